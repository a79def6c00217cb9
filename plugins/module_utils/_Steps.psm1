# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

# PRIVATE: what the agent may change. A step is made of effects; an effect is data: what shall be so, and what was so before. The way back is
# registered before an effect is made, and what is so already is success in both directions.

#Requires -Version 5.1

# Services that may be stopped, started and changed. TrustedInstaller promotes itself for what a restart will finish; WaaSMedicSvc, AppIDSvc
# and msiserver guard themselves.
function Get-ServiceName { return 'wuauserv', 'BITS', 'CryptSvc', 'wlidsvc', 'UsoSvc', 'DoSvc', 'W32Time' }

# The fixed set: what each argument of each kind may be. Anything else refuses the whole request.
function Get-StepRule {
  # $true -eq any text holds in PowerShell, so each asks for the type too.
  $service = { $args[0] -is [string] -and $args[0] -in (Get-ServiceName) }
  $folder = { $args[0] -is [string] -and $args[0] -in 'SoftwareDistribution', 'catroot2' }
  $wait = { Test-Whole -Value $args[0] -Low 0 -High 3600000 }
  $bool = { $args[0] -is [bool] }
  $flag = { $null -eq $args[0] -or $args[0] -is [bool] }
  $key = { $args[0] -is [string] -and $args[0] -eq 'HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\OSUpgrade' }
  $name = { $args[0] -is [string] -and $args[0] -eq 'AllowOSUpgrade' }
  return @{
    set_start_type = @{ name = $service; start = { Test-Whole -Value $args[0] -Low 2 -High 4 }; delayed = $bool }
    stop_service = @{ name = $service; timeout_ms = $wait; needed = $flag }
    restore_services = @{ timeout_ms = $wait }
    start_service = @{ name = $service; timeout_ms = $wait; stop_after = $flag; needed = $flag }
    set_aside = @{ folder = $folder }
    prune_backups = @{ folder = $folder; keep = { Test-Whole -Value $args[0] -Low 1 -High 1000 } }
    set_value = @{ key = $key; name = $name; kind = { $args[0] -is [string] -and $args[0] -eq 'DWord' }; value = { Test-Whole -Value $args[0] -Low 0 -High 1 } }
    remove_value = @{ key = $key; name = $name }
    set_time_source = @{
      type = { $args[0] -is [string] -and $args[0] -in 'NTP', 'NT5DS', 'AllSync', 'NoSync' }
      servers = { $args[0] -isnot [ValueType] -and -not @(@($args[0]) | Where-Object { $null -ne $_ -and "$_" -notmatch '\A[A-Za-z0-9.:_-]{1,253}(,0x[0-9A-Fa-f]{1,2})?\z' }) }
    }
    resync = @{ rediscover = $bool; lift_limit = $bool; timeout_ms = $wait; settle_ms = $wait }
    set_clock = @{ offset_ms = { Test-Whole -Value $args[0] -Low -3155760000000 -High 3155760000000 } }
    set_time_zone = @{ id = { $args[0] -is [string] -and $args[0] -match '\A[A-Za-z0-9 .+()-]{1,64}\z' } }
    set_aside_bits_queue = @{}
    set_service_security = @{ name = { $args[0] -is [string] -and $args[0] -in 'bits', 'wuauserv' } }
  }
}

# Whatever ansible made of the request (dictionaries, PSCustomObjects, lists) as hashtables and arrays.
function ConvertTo-PlainData([object] $Value) {
  if ($null -eq $Value -or $Value -is [string] -or $Value -is [ValueType]) { return $Value }
  $plain = @{}
  if ($Value -is [Collections.IDictionary]) {
    foreach ($entry in $Value.GetEnumerator()) { $plain[[string]$entry.Key] = ConvertTo-PlainData $entry.Value }
    return $plain
  }
  if ($Value -is [Collections.IEnumerable]) { return , @(foreach ($one in $Value) { ConvertTo-PlainData $one }) }
  foreach ($property in $Value.PSObject.Properties) { $plain[$property.Name] = ConvertTo-PlainData $property.Value }
  return $plain
}

function Test-Whole([object] $Value, [long] $Low, [long] $High) {
  return ($Value -is [int] -or $Value -is [long]) -and $Value -ge $Low -and $Value -le $High
}

# Why a request is not carried out, or null. Nothing was touched when this answers.
function Test-ApplyRequest {
  [CmdletBinding()]
  param([hashtable] $Request)
  if ($Request['schema'] -ne 1 -or $Request['op'] -ne 'apply') { return 'this agent applies by schema 1 alone' }
  if ($Request['check']) { return 'check mode: nothing is changed' }
  if ($null -eq (Get-BackupEnding -Run $Request['run'])) { return 'run is not a run id' }
  $rules = Get-StepRule
  foreach ($kind in $Request['uses']) { if (-not $rules.ContainsKey("$kind")) { return "unknown kind of step $kind" } }
  $ids = @{}
  foreach ($step in $Request['steps']) {
    if ($step -isnot [hashtable] -or -not (Test-Whole -Value $step['id'] -Low 0 -High 10000)) { return 'a step has no id' }
    if ($ids.ContainsKey($step['id'])) { return "two steps have the id $($step['id'])" }
    $ids[$step['id']] = $true
    $kind = "$($step['kind'])"
    if ($kind -cnotin $Request['uses']) { return "step kind $kind is not among those it says it uses" }
    $given = if ($null -eq $step['args']) { @{} } else { $step['args'] }
    if ($given -isnot [hashtable]) { return "arguments of $kind are not a table" }
    $rule = $rules[$kind]
    foreach ($entry in $given.GetEnumerator()) { if (-not $rule.ContainsKey($entry.Key)) { return "unknown argument $($entry.Key) of $kind" } }
    foreach ($entry in $rule.GetEnumerator()) {
      if (-not (& $entry.Value $given[$entry.Key])) { return "argument $($entry.Key) of $kind is missing or outside the fixed set" }
    }
  }
  foreach ($one in $Request['expect']) {
    $why = Test-Expectation -Expect $one
    if ($why) { return $why }
  }
  return $null
}

function Test-Expectation([object] $Expect) {
  if ($Expect -isnot [hashtable]) { return 'an expectation is not a table' }
  $name = "$($Expect['name'])"
  $known = switch ("$($Expect['what'])/$($Expect['field'])") {
    'service/start' { $name -match '\A[A-Za-z0-9_]{1,64}\z' }
    { $_ -match '\Afolder/(exists|reparse|file|created|backups)\z' } { $name -in 'SoftwareDistribution', 'catroot2' }
    'value/value' { $name -eq 'HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\OSUpgrade\AllowOSUpgrade' }
    'boot/time' { $true }
    'boot/uptime' { $true }
    'servicing/busy' { $true }
    'reboot/pending' { $true }
  }
  if (-not $known) { return "unknown expectation $($Expect['what']) $name $($Expect['field'])" }
  return $null
}

function Get-Found([hashtable] $Run, [hashtable] $Expect) {
  $name = "$($Expect['name'])"
  switch ($Expect['what']) {
    'service' {
      $table = Get-ServiceTable -Name $name
      if ($table.ContainsKey($name)) { return $table[$name].start }
      return $null
    }
    'folder' {
      $path = Get-FolderPath -Run $Run -Folder $name
      $fact = Get-FolderFact -Path $path
      switch ($Expect['field']) {
        'exists' { return $null -ne $fact }
        'reparse' { return $null -ne $fact -and $fact.reparse }
        'created' { if ($fact) { return $fact.created } else { return $null } }
        'file' { return $null -ne (Get-FileFact -Path $path) }
        'backups' { return Join-Name -Name (Get-ChildName -Path ($path -replace '\\[^\\]*\z') -Filter "$name.wu*") }
      }
    }
    'value' {
      $cut = $name.LastIndexOf('\')
      return Get-Registered -Key $name.Substring(0, $cut) -Name $name.Substring($cut + 1)
    }
    'boot' {
      $boot = (Get-HostFact).boot_time
      if ($Expect['field'] -eq 'time') { return $boot }
      $now = Get-HostClock
      return ($now - $now % 1000) / 1000 - $boot
    }
    'servicing' { return Test-Servicing -Look $Run.look }
    'reboot' {
      # An update that does no work and waits for a restart.
      $interface = (Get-SectionData -Look $Run.look -Name servicing).registry['CBS\Interface']
      if ($interface -and $interface['ServicingInProgress'] -eq 1) { return $true }
      $registry = (Get-SectionData -Look $Run.look -Name reboot).registry
      $strong = 'CBS\RebootPending', 'CBS\RebootInProgress', 'CV\WindowsUpdate\Auto Update\RebootRequired', 'CCS\Services\Netlogon',
        'MS\ServerManager\CurrentRebootAttempts', 'MS\ServerManager\ServicingStorage\ServerComponentCache'
      foreach ($values in @($registry[$strong] | Where-Object { $null -ne $_ })) {
        if ($values.psbase.Count -eq 0 -or @($values.Values | Where-Object { "$_" -ne '0' })) { return $true }
      }
      $active, $name = foreach ($key in 'ActiveComputerName', 'ComputerName') { "$($registry["CCS\Control\ComputerName\$key"].ComputerName)" }
      return $active -and $active -ne $name
    }
  }
}

# Names in one order, as one text.
function Join-Name([string[]] $Name) { return @($Name | Sort-Object) -join ', ' }

# Whether Windows installs something. A worker stays for two minutes after what it did (every search, every failed installation): one that takes
# no processor time is waited for, and then passed by.
function Test-Servicing([hashtable] $Look) {
  $clock = [Diagnostics.Stopwatch]::StartNew()
  $before = $null
  $grown = 0
  do {
    $seen = Get-SectionData -Look $Look -Name servicing
    $interface, $setup = $seen.registry['CBS\Interface'], $seen.registry['SYSTEM\Setup']
    if (($interface -and $interface['ServicingInProgress'] -eq 2) -or ($setup -and 1 -in $setup.Values)) { return $true }
    if ($seen.times.ContainsKey('SetupHost') -or $seen.times.ContainsKey('setupprep')) { return $true }
    $workers = @('TiWorker', 'msiexec' | Where-Object { $seen.times.ContainsKey($_) })
    if (-not $workers) { return $false }
    if ($before) {
      $growth = @($workers | Where-Object { $null -ne $before[$_] -and $seen.times[$_] - $before[$_] -ge 50 })
      # Once may be its own end.
      if ($growth) { $grown++ } else { $grown = 0 }
      if ($grown -eq 2) { return $true }
      if (-not $grown -and 'TiWorker' -notin $workers) { return $false }
    }
    $before = $seen.times
    Start-Sleep -Seconds 3
  } while ($clock.ElapsedMilliseconds -lt 150000)
  # An idle worker has ended by now; of one whose time may not be read nobody knows.
  return $grown -gt 0 -or $null -in $seen.times.Values
}

# What is not as the plan was made for.
function Get-Difference([hashtable] $Run, [object[]] $Expect) {
  foreach ($one in $Expect) {
    if ($null -eq $one) { continue }
    $found = Get-Found -Run $Run -Expect $one
    $want = if ($one['field'] -eq 'backups') { Join-Name -Name $one['is'] } else { $one['is'] }
    $same = $found -eq $want
    if ($one['what'] -eq 'boot' -and $null -ne $found -and $null -ne $want) {
      # Windows moves the time of its start with its clock; how long ago that was goes on.
      $same = if ($one['field'] -eq 'uptime') { $found - $want -ge -5 } else { [Math]::Abs($found - $want) -le 5 }
    }
    if (-not $same) { @{ what = $one['what']; name = $one['name']; field = $one['field']; expected = $want; found = $found } }
  }
}

function Get-Registered([string] $Key, [string] $Name) {
  $read = Read-RegistryKey -Key $Key
  if ($null -eq $read) { return $null }
  return $read['values'][$Name]
}

function Get-FolderPath([hashtable] $Run, [string] $Folder) {
  if ($Folder -eq 'catroot2') { return "$($Run.look.windows)\System32\catroot2" }
  return "$($Run.look.windows)\SoftwareDistribution"
}

# The answer of a step: state before and after, changed or not.
function New-Result([hashtable] $Before, [hashtable] $After, [bool] $Changed = $true, [string] $Why) {
  return @{ status = if ($Why -and -not $Changed) { 'skipped' } else { 'done' }; changed = $Changed; before = $Before; after = $After; why = if ($Why) { $Why } else { $null } }
}

# What did not come out as wanted, and stops nothing.
function Add-Remark([hashtable] $Run, [hashtable] $Step, [string] $Why) {
  $null = $Run.warnings.Add(@{ id = $Step.id; why = $Why })
}

# Make something so. Step is whose effect it is.
function Set-Effect([hashtable] $Run, [string] $Effect, [hashtable] $Do, [hashtable] $Undo, [hashtable] $Step) {
  $Run.undo.Insert(0, @{ id = $Step.id; kind = $Step.kind; effect = $Effect; with = $Undo; restored = $false })
  $null = & "Set-${Effect}Effect" -Run $Run -With $Do
}

# --- effects: each makes so what it is given, and gives a remark or nothing

function Set-StartTypeEffect([hashtable] $Run, [hashtable] $With) {
  $null = $Run
  $row = Get-OneService -Name $With.name
  if (Test-StartType -Row $row -Start $With.start -Delayed $With.delayed) { return }
  Set-ServiceStart -Name $With.name -Start $With.start -Delayed $With.delayed
}

function Test-StartType([hashtable] $Row, [int] $Start, [bool] $Delayed) {
  return $null -ne $Row -and $Row.start -eq $Start -and ($Start -ne 2 -or $Row.delayed -eq $Delayed)
}

function Set-ServiceStateEffect([hashtable] $Run, [hashtable] $With) {
  $null = $Run
  if ($With.state -eq 'stopped') { Stop-OneService -Name $With.name -TimeoutMs $With.timeout_ms -Kill ($With['needed'] -ne $false); return }
  return Start-OneService -Name $With.name -TimeoutMs $With.timeout_ms -StopMs $With.stop_ms
}

# A folder or a file at another place of its volume. What stands there meanwhile is moved away to aside.
function Set-PlaceEffect([hashtable] $Run, [hashtable] $With) {
  if (-not (Test-Place -With $With -Path $With.from)) {
    if (Test-Place -With $With -Path $With.to) { return }
    throw "there is neither $($With.from) nor $($With.to)"
  }
  # Where a file stood Windows may have made a folder.
  foreach ($standing in @{ file = $false }, @{ file = $true }) {
    if ($With['aside'] -and (Test-Place -With $standing -Path $With.to)) { Move-Place -Run $Run -With $standing -Path $With.to -Destination $With.aside }
  }
  Move-Place -Run $Run -With $With -Path $With.from -Destination $With.to
}

function Test-Place([hashtable] $With, [string] $Path) {
  if ($With['file']) { return $null -ne (Get-FileFact -Path $Path) }
  return $null -ne (Get-FolderFact -Path $Path)
}

function Move-Place([hashtable] $Run, [hashtable] $With, [string] $Path, [string] $Destination) {
  if ($With['file']) { Move-SingleFile -Path $Path -Destination $Destination }
  else { Move-Patiently -Run $Run -Path $Path -Destination $Destination }
}

# The undo of a value of the time service tells it, too; a step tells it once for all its values.
function Set-ValueEffect([hashtable] $Run, [hashtable] $With) {
  if (Test-Registered -Is (Get-Registered -Key $With.key -Name $With.name) -Value $With['value']) { return }
  if ($null -eq $With['value']) { Remove-RegistryValue -Key $With.key -Name $With.name -EmptyKey ($true -eq $With['empty_key']) }
  else { Write-RegistryValue -Key $With.key -Name $With.name -Kind $With.kind -Value $With['value'] }
  if ($With['tell']) { Update-TimeService -Run $Run }
}

# A number and its text are two values.
function Test-Registered([object] $Is, [object] $Value) { return $Is -ceq $Value -and ($Is -is [string]) -eq ($Value -is [string]) }

# How far the host's clock is ahead of one that nobody sets.
function Get-ClockLead { return (Get-HostClock) - [long]([Diagnostics.Stopwatch]::GetTimestamp() * 1000.0 / [Diagnostics.Stopwatch]::Frequency) }

function Set-ClockEffect([hashtable] $Run, [hashtable] $With) {
  $null = $Run
  $offset = $With.lead_ms - (Get-ClockLead)
  if ([Math]::Abs($offset) -ge $With.least_ms) { Set-HostClock -OffsetMs $offset }
}

function Set-ZoneEffect([hashtable] $Run, [hashtable] $With) {
  $null = $Run
  if ((Get-TimeZoneId) -ne $With.id) { Set-TimeZoneId -Id $With.id }
}

function Set-SecurityEffect([hashtable] $Run, [hashtable] $With) {
  $null = $Run
  if ((Get-ServiceSecurity -Name $With.name) -cne $With.sddl) { Set-ServiceSecurity -Name $With.name -Sddl $With.sddl }
}

# --- services

# One service by name, or null.
function Get-OneService([string] $Name) {
  $table = Get-ServiceTable -Name $Name
  return $table[$Name]
}

function Wait-Service([string] $Name, [string] $State, [int] $TimeoutMs, [string] $Again) {
  $clock = [Diagnostics.Stopwatch]::StartNew()
  $next = 5000
  do {
    $row = Get-OneService -Name $Name
    if ($null -eq $row -or $row.state -eq $State) { return $true }
    # A service that was starting takes no stop; one that a trigger started again wants another.
    if ($Again -and $row.state -eq 'running' -and $clock.ElapsedMilliseconds -ge $next) {
      $next += 5000
      try { & $Again -Name $Name } catch { $null = $_ }
    }
    Start-Sleep -Milliseconds 200
  } while ($clock.ElapsedMilliseconds -lt $TimeoutMs)
  return $false
}

# Who keeps an administrator from a service: its descriptor, as update blockers write it, or a program that guards it.
function Get-DenialHint([string] $Name) {
  $cure = if ($Name -in 'wuauserv', 'BITS') { ' (service_security of win_wu_reset puts that right)' }
  return "; sc.exe sdshow $Name says who may$cure, unless a program guards it"
}

function Stop-OneService([string] $Name, [int] $TimeoutMs, [bool] $Kill = $true) {
  $row = Get-OneService -Name $Name
  if ($null -eq $row -or $row.state -eq 'stopped') { return }
  $fault = @{ code = $null; why = '' }
  try { Send-ServiceStop -Name $Name } catch { $fault = Get-Fault -Record $_ }
  # No such service any more (1060), or it is stopped (1062).
  if ($fault.code -in -2147023836, -2147023834) { return }
  # What no waiting changes: denied (5), and a stop that one that runs does not take (1052).
  $denied = $fault.code -eq -2147024891
  $final = $denied -or ($fault.code -eq -2147023844 -and $row.state -eq 'running')
  if ($final) { $TimeoutMs = 0 }
  if (Wait-Service -Name $Name -State stopped -TimeoutMs $TimeoutMs -Again Send-ServiceStop) { return }
  $row = Get-OneService -Name $Name
  $late = if ($final) { "$Name does not stop (state $($row.state))" } else { "$Name did not stop within $($TimeoutMs / 1000) s (state $($row.state))" }
  if ($denied) { throw "$late $($fault.why)$(Get-DenialHint -Name $Name)" }
  if (-not $Kill) { throw "$late $($fault.why)".TrimEnd() }
  $process = @{ pid = 0; shared = 0; name = ''; started = 0 }
  try { $process = Get-ServiceProcess -Name $Name } catch { $fault.why = "$($fault.why) $((Get-Fault -Record $_).why)" }
  if ($process.pid -eq 0 -or $process.shared -ne 1 -or $process.name -ne 'svchost') {
    throw "$late; its process $($process.pid) $($process.name) serves $($process.shared) services and is not ended $($fault.why)".TrimEnd()
  }
  Stop-ServiceProcess -ProcessId $process.pid -Name $process.name -Started $process.started
  if (-not (Wait-Service -Name $Name -State stopped -TimeoutMs 10000)) { throw "$Name is not stopped though its process $($process.pid) was ended" }
}

# The process of a service, how many it serves, and what it is. Of what sc.exe prints a label's place and a number hold in every language:
# a part a service, its name first, the process the last line but one. A list that ends elsewhere tells nothing.
function Get-ServiceProcess([string] $Name) {
  $pids = @{}
  foreach ($part in (Read-ServiceListing).Trim() -split '(?:\r?\n[ \t]*){2,}') {
    $lines = @($part.Trim() -split '\r?\n')
    if ($lines.Length -lt 8 -or $lines[0] -notmatch '\A\S.*?:\s*(.+?)\s*\z') { throw 'the list of services cannot be read' }
    $service = $Matches[1]
    if ($lines[-2] -notmatch '\A\s.*:\s*(\d+)\s*\z') { throw 'the list of services cannot be read' }
    $pids[$service] = [int]$Matches[1]
  }
  $own = [int]$pids[$Name]
  if ($own -eq 0) { return @{ pid = 0; shared = 0; name = ''; started = 0 } }
  return @{ pid = $own; shared = @($pids.Values | Where-Object { $_ -eq $own }).Length } + (Get-ProcessFact -ProcessId $own)
}

# Gives a remark about a service that never stopped: it ran all the time, so it need not run again.
function Start-OneService([string] $Name, [int] $TimeoutMs, [int] $StopMs) {
  $row = Get-OneService -Name $Name
  # One that is stopping refuses a start ("already running"), and may still end.
  if ($row -and $row.state -eq 'stop_pending') {
    $null = Wait-Service -Name $Name -State stopped -TimeoutMs $StopMs
    $row = Get-OneService -Name $Name
    if ($row -and $row.state -eq 'stop_pending') { return "$Name never stopped: it is still stopping" }
  }
  if ($null -eq $row -or $row.state -eq 'running') { return }
  $fault = ''
  try { Send-ServiceStart -Name $Name } catch { $fault = (Get-Fault -Record $_).why }
  # What a trigger started at the same moment refuses our start and runs all the same.
  if ($fault -and (Get-OneService -Name $Name).state -eq 'stopped') { $TimeoutMs = [Math]::Min($TimeoutMs, 2000) }
  if (-not (Wait-Service -Name $Name -State running -TimeoutMs $TimeoutMs)) {
    $row = Get-OneService -Name $Name
    throw "$Name does not run (state $($row.state)) $fault".TrimEnd()
  }
}

function Invoke-set_start_typeStep([hashtable] $Run, [hashtable] $Argument) {
  $row = Get-OneService -Name $Argument.name
  if ($null -eq $row) { return New-Result -Changed $false -Why 'no such service' }
  $before = @{ start = $row.start; delayed = $row.delayed }
  if (Test-StartType -Row $row -Start $Argument.start -Delayed $Argument.delayed) { return New-Result -Before $before -After $before -Changed $false -Why 'is so' }
  $fault = $null
  try { Set-Effect -Run $Run -Step $Run.step -Effect StartType -Do $Argument -Undo (@{ name = $Argument.name } + $before) }
  catch { $fault = (Get-Fault -Record $_).why }
  if ($null -eq $fault) { return New-Result -Before $before -After @{ start = $Argument.start; delayed = $Argument.delayed } }
  # Windows guards some services against everybody, and half of a change (delayed) may be refused: the rest of the plan needs neither.
  Add-Remark -Run $Run -Step $Run.step -Why "the start type of $($Argument.name) was not changed: $fault"
  $row = Get-OneService -Name $Argument.name
  $after = @{ start = $row.start; delayed = $row.delayed }
  return New-Result -Before $before -After $after -Changed ($after.start -ne $before.start -or $after.delayed -ne $before.delayed) -Why $fault
}

# What is stopped is registered to run again, each service of its own, as any other effect is.
function Stop-RunningService([hashtable] $Run, [string] $Name, [hashtable] $Argument) {
  $row = Get-OneService -Name $Name
  if ($null -eq $row -or $row.state -eq 'stopped') { return }
  $needed = $Argument['needed'] -ne $false
  $stopMs = [Math]::Min(30000, $Argument.timeout_ms)
  Set-Effect -Run $Run -Step $Run.step -Effect ServiceState -Do @{ name = $Name; state = 'stopped'; timeout_ms = $Argument.timeout_ms; needed = $needed } `
    -Undo @{ name = $Name; state = 'running'; timeout_ms = 60000; stop_ms = $stopMs; needed = $needed }
}

function Invoke-stop_serviceStep([hashtable] $Run, [hashtable] $Argument) {
  $row = Get-OneService -Name $Argument.name
  if ($null -eq $row) { return New-Result -Changed $false -Why 'no such service' }
  $before = @{ state = $row.state; dependents = @($row.dependents) }
  if ($row.state -eq 'stopped') { return New-Result -Before $before -After $before -Changed $false -Why 'was not running' }
  try {
    $strange = @($row.dependents | Where-Object { $_ -notin (Get-ServiceName) })
    # They belong to other products, or are drivers, and may not come back.
    if ($strange) { throw "$($strange -join ', ') would stop with $($Argument.name) and is not ours to stop" }
    # What depends on it is ours too, but what does not stop of it is not ended, and need not run for updates.
    foreach ($name in @($row.dependents)) { Stop-RunningService -Run $Run -Name $name -Argument @{ timeout_ms = $Argument.timeout_ms; needed = $false } }
    Stop-RunningService -Run $Run -Name $Argument.name -Argument $Argument
  }
  catch {
    if ($Argument['needed'] -ne $false) { throw }
    $fault = (Get-Fault -Record $_).why
    Add-Remark -Run $Run -Step $Run.step -Why $fault
    return New-Result -Before $before -Changed $false -Why $fault
  }
  return New-Result -Before $before -After @{ state = 'stopped'; dependents = @() }
}

# Services that were stopped and shall run again, the last stopped first.
function Get-StoppedService([hashtable] $Run) {
  return @($Run.undo | Where-Object { $_.effect -eq 'ServiceState' -and $_.with.state -eq 'running' -and -not $_.restored })
}

# Whose the effect is that starts a service again: the step that is at work, or, where a plan forgot it, the one that stopped the service.
function Restore-OneService([hashtable] $Run, [hashtable] $Entry, [int] $TimeoutMs, [hashtable] $Step) {
  $name = $Entry.with.name
  try {
    Set-Effect -Run $Run -Step $Step -Effect ServiceState -Do @{ name = $name; state = 'running'; timeout_ms = $TimeoutMs; stop_ms = 5000 } `
      -Undo @{ name = $name; state = 'stopped'; timeout_ms = 30000; needed = $Entry.with.needed; passing = $true }
  }
  catch {
    if ($Entry.with.needed) { throw }
    Add-Remark -Run $Run -Step $Step -Why "not started again: $((Get-Fault -Record $_).why)"
  }
  $Entry.restored = $true
}

function Invoke-restore_servicesStep([hashtable] $Run, [hashtable] $Argument) {
  $entries = Get-StoppedService -Run $Run
  if (-not $entries) { return New-Result -Changed $false -Why 'nothing was stopped' }
  foreach ($entry in $entries) { Restore-OneService -Run $Run -Entry $entry -TimeoutMs $Argument.timeout_ms -Step $Run.step }
  return New-Result -After @{ started = @($entries | ForEach-Object { $_.with.name }) }
}

function Invoke-start_serviceStep([hashtable] $Run, [hashtable] $Argument) {
  $name = $Argument.name
  $row = Get-OneService -Name $name
  if ($null -eq $row) { throw "there is no service $name" }
  $before = @{ state = $row.state }
  if ($row.state -eq 'running') { return New-Result -Before $before -After $before -Changed $false -Why 'is running' }
  if ($row.start -eq 4) {
    # Its start type was refused, which undoes nothing else.
    Add-Remark -Run $Run -Step $Run.step -Why "$name is disabled and was not started"
    return New-Result -Before $before -After $before -Changed $false -Why 'is disabled'
  }
  try {
    Set-Effect -Run $Run -Step $Run.step -Effect ServiceState -Do @{ name = $name; state = 'running'; timeout_ms = $Argument.timeout_ms; stop_ms = 30000 } `
      -Undo @{ name = $name; state = 'stopped'; timeout_ms = 30000 }
  }
  catch {
    if ($Argument['needed'] -ne $false) { throw }
    $fault = (Get-Fault -Record $_).why
    Add-Remark -Run $Run -Step $Run.step -Why $fault
    return New-Result -Before $before -Changed $false -Why $fault
  }
  if ($Argument['stop_after']) { $Run.stop_after[$name] = $Run.step }
  return New-Result -Before $before -After @{ state = 'running' }
}

# --- folders

# A moment as a run is named by it, in Unix seconds, or null.
function ConvertFrom-Stamp([string] $Text) {
  $moment = [DateTime]::MinValue
  $styles = [Globalization.DateTimeStyles]'AssumeUniversal, AdjustToUniversal'
  if (-not [DateTime]::TryParseExact($Text, "yyyyMMdd'T'HHmmss'Z'", [Globalization.CultureInfo]::InvariantCulture, $styles, [ref]$moment)) { return $null }
  return ([DateTimeOffset]$moment).ToUnixTimeSeconds()
}

function ConvertTo-Base36([long] $Number, [int] $Width) {
  $digits = ''
  for (; $Number -gt 0; $Number = [Math]::Floor($Number / 36)) { $digits = '0123456789abcdefghijklmnopqrstuvwxyz'[$Number % 36] + $digits }
  return $digits.PadLeft($Width, '0')
}

# What a run appends to the name of what it sets aside, or null where that names no run: the second and two more characters, since a cache is
# full of long paths and Windows PowerShell opens none of more than 260 characters.
function Get-BackupEnding([string] $Run) {
  if ($Run -cnotmatch '\A(\d{8}T\d{6}Z)-([0-9a-f]{6})\z') { return $null }
  $rest = [Convert]::ToInt32($Matches[2], 16) % 1296
  $second = ConvertFrom-Stamp -Text $Matches[1]
  if ($null -eq $second -or $second -lt 0) { return $null }
  return ".wu-$(ConvertTo-Base36 -Number $second -Width 6)$(ConvertTo-Base36 -Number $rest -Width 2)"
}

# When one of our runs made it, in Unix seconds, or null: by today's ending or the longer one of earlier releases.
function Get-BackupSecond([string] $Name) {
  if ($Name -cmatch '\.wu_repair-(\d{8}T\d{6}Z)-[0-9a-f]{6,8}(\.new)?\z') { return ConvertFrom-Stamp -Text $Matches[1] }
  if ($Name -cnotmatch '\.wu-([0-9a-z]{6,7})[0-9a-z]{2}(\.new)?\z') { return $null }
  $second = [long]0
  foreach ($digit in $Matches[1].ToCharArray()) { $second = $second * 36 + '0123456789abcdefghijklmnopqrstuvwxyz'.IndexOf($digit) }
  return $second
}

# Why a folder does not move: Windows names nobody, so we name who runs of those that keep files in it.
function Get-MoveFault([object] $Record, [string] $Path) {
  $fault = $Record.Exception.GetBaseException()
  $users = if ($Path -like '*\catroot2*') { , 'CryptSvc' } else { 'wuauserv', 'BITS', 'UsoSvc', 'DoSvc' }
  $table = Get-ServiceTable -Name $users
  $runs = @($users | Where-Object { $table[$_] -and $table[$_].state -ne 'stopped' })
  if (-not $runs) { return $fault }
  return [Runtime.InteropServices.COMException]::new("$($fault.Message.TrimEnd()) $($runs -join ', ') may hold it and still runs.", $fault.HResult)
}

# Rename with patience: what held the folder may let go, and a service that a trigger started again is stopped again.
function Move-Patiently([hashtable] $Run, [string] $Path, [string] $Destination) {
  $clock = [Diagnostics.Stopwatch]::StartNew()
  while ($true) {
    try {
      Move-Folder -Path $Path -Destination $Destination
      return
    }
    catch {
      if ($null -eq (Get-FolderFact -Path $Path) -and $null -ne (Get-FolderFact -Path $Destination)) { return }
      if ($clock.ElapsedMilliseconds -ge $Run.patience_ms) { throw (Get-MoveFault -Record $_ -Path $Path) }
    }
    Start-Sleep -Milliseconds 500
    foreach ($entry in Get-StoppedService -Run $Run) {
      # The move itself tells when it was in vain. What only helps is not ended, but may hold files as well.
      $wait = if ($entry.with.needed) { 10000 } else { 2000 }
      try { Stop-OneService -Name $entry.with.name -TimeoutMs $wait -Kill ($true -eq $entry.with.needed) } catch { $null = $_ }
    }
  }
}

function Invoke-set_asideStep([hashtable] $Run, [hashtable] $Argument) {
  $path = Get-FolderPath -Run $Run -Folder $Argument.folder
  $target = "$path$($Run.ending)"
  $fact = Get-FolderFact -Path $path
  # A file in its place keeps Windows from making the folder.
  $file = $null -eq $fact -and $null -ne (Get-FileFact -Path $path)
  if ($null -eq $fact -and -not $file) { return New-Result -Changed $false -Why 'there is no such folder' }
  if ($fact -and $fact.reparse) { throw "$path is a reparse point and is not moved" }
  if (@(Get-ChildName -Path ($path -replace '\\[^\\]*\z') -Filter "$($Argument.folder)$($Run.ending)").Length) { throw "$target is there already" }
  Set-Effect -Run $Run -Step $Run.step -Effect Place -Do @{ from = $path; to = $target; file = $file } `
    -Undo @{ from = $target; to = $path; aside = "$target.new"; file = $file }
  return New-Result -Before @{ path = $path } -After @{ path = $target }
}

function Invoke-prune_backupsStep([hashtable] $Run, [hashtable] $Argument) {
  $path = Get-FolderPath -Run $Run -Folder $Argument.folder
  $parent = $path -replace '\\[^\\]*\z'
  $ours = @(Get-ChildName -Path $parent -Filter "$($Argument.folder).wu*" | Where-Object { Get-BackupSecond -Name $_ } |
      Sort-Object -Descending -Property { Get-BackupSecond -Name $_ }, { $_ })
  $old = @($ours | Select-Object -Skip $Argument.keep | Where-Object { $_ -notlike "*$($Run.ending)*" })
  $gone = @()
  $stays = @()
  foreach ($name in $old) {
    # One that will not go (a file in use, a path too long) keeps none of the others.
    try {
      $fact = Get-FolderFact -Path "$parent\$name"
      if ($fact -and $fact.reparse) { continue }
      Remove-FolderTree -Path "$parent\$name"
      $gone += $name
    }
    catch { $stays += "$name was not deleted: $((Get-Fault -Record $_).why)" }
  }
  foreach ($why in $stays) { Add-Remark -Run $Run -Step $Run.step -Why $why }
  $why = if ($stays) { $stays[0] } elseif (-not $gone) { 'nothing to remove' }
  return New-Result -Before @{ backups = $ours } -After @{ backups = @($ours | Where-Object { $_ -notin $gone }) } -Changed ($gone.Length -gt 0) -Why $why
}

function Invoke-set_aside_bits_queueStep([hashtable] $Run, [hashtable] $Argument) {
  $null = $Argument
  $folder = "$env:ProgramData\Microsoft\Network\Downloader"
  $names = foreach ($filter in 'qmgr*.dat', 'qmgr.db', 'qmgr.jfm', 'edb*.log', 'edb.chk') { Get-ChildName -Path $folder -Filter $filter }
  $names = @($names | Where-Object { $_ -notmatch '\.wu(_repair)?-' } | Sort-Object -Unique)
  if (-not $names) { return New-Result -Changed $false -Why 'there is no queue' }
  foreach ($name in $names) {
    $target = "$folder\$name$($Run.ending)"
    if (Get-FileFact -Path $target) { throw "$target is there already" }
    Set-Effect -Run $Run -Step $Run.step -Effect Place -Do @{ from = "$folder\$name"; to = $target; file = $true } `
      -Undo @{ from = $target; to = "$folder\$name"; aside = "$target.new"; file = $true }
  }
  return New-Result -Before @{ files = $names } -After @{ files = @() }
}

# --- the registry and the clock

# Whether the value had to be changed.
function Set-Registered([hashtable] $Run, [string] $Key, [string] $Name, [string] $Kind, [object] $Value) {
  $before = Get-Registered -Key $Key -Name $Name
  if (Test-Registered -Is $before -Value $Value) { return $false }
  $to = @{ key = $Key; name = $Name }
  $was = if ($before -is [string]) { 'String' } else { $Kind }
  # A key that this makes goes again with its value.
  $made = $null -eq (Read-RegistryKey -Key $Key)
  Set-Effect -Run $Run -Step $Run.step -Effect Value -Do ($to + @{ value = $Value; kind = $Kind }) `
    -Undo ($to + @{ value = $before; kind = $was; empty_key = $made; tell = $Key -like '*\W32Time\*' })
  return $true
}

function Invoke-set_valueStep([hashtable] $Run, [hashtable] $Argument) {
  $before = @{ value = Get-Registered -Key $Argument.key -Name $Argument.name }
  $changed = Set-Registered -Run $Run -Key $Argument.key -Name $Argument.name -Kind $Argument.kind -Value $Argument['value']
  return New-Result -Before $before -After @{ value = $Argument['value'] } -Changed $changed -Why $(if (-not $changed) { 'is so' })
}

function Invoke-remove_valueStep([hashtable] $Run, [hashtable] $Argument) {
  return Invoke-set_valueStep -Run $Run -Argument @{ key = $Argument.key; name = $Argument.name; kind = 'DWord'; value = $null }
}

# The time service takes new settings when it is told; one that is stopped reads them at its start.
function Update-TimeService([hashtable] $Run) {
  $row = Get-OneService -Name W32Time
  if ($row -and $row.state -eq 'running') { $null = Invoke-Program -Path "$($Run.look.windows)\System32\w32tm.exe" -Argument '/config', '/update' -TimeoutMs 30000 }
}

function Invoke-set_time_sourceStep([hashtable] $Run, [hashtable] $Argument) {
  $key = 'HKLM\SYSTEM\CurrentControlSet\Services\W32Time\Parameters'
  $before = @{ type = Get-Registered -Key $key -Name Type; servers = Get-Registered -Key $key -Name NtpServer }
  $changed = Set-Registered -Run $Run -Key $key -Name Type -Kind String -Value $Argument.type
  if ($null -ne $Argument['servers']) {
    $changed = (Set-Registered -Run $Run -Key $key -Name NtpServer -Kind String -Value (@($Argument.servers) -join ' ')) -or $changed
  }
  if ($changed) { Update-TimeService -Run $Run }
  $after = @{ type = Get-Registered -Key $key -Name Type; servers = Get-Registered -Key $key -Name NtpServer }
  return New-Result -Before $before -After $after -Changed $changed -Why $(if (-not $changed) { 'is so' })
}

# The offset to the first of the host's own sources that answers, by one look at the clock.
function Get-OwnOffset([hashtable] $Run) {
  $source = @((Get-SectionData -Look $Run.look -Name clock).sources | Where-Object { $_.ok })[0]
  if ($source) { return @{ offset_ms = $source.offset_ms; server = $source.server } }
  return @{ offset_ms = $null; server = $null }
}

# Take back the newest effects of a run at once, down to so many.
function Undo-Newest([hashtable] $Run, [int] $Count) {
  while ($Run.undo.Count -gt $Count) {
    $entry = $Run.undo[0]
    $null = & "Set-$($entry.effect)Effect" -Run $Run -With $entry.with
    $Run.undo.RemoveAt(0)
  }
}

function Invoke-resyncStep([hashtable] $Run, [hashtable] $Argument) {
  $config = 'HKLM\SYSTEM\CurrentControlSet\Services\W32Time\Config'
  $before = Get-OwnOffset -Run $Run
  $undo = $Run.undo.Count
  try {
    if ($Argument.lift_limit) {
      foreach ($name in 'MaxPosPhaseCorrection', 'MaxNegPhaseCorrection') { $null = Set-Registered -Run $Run -Key $config -Name $name -Kind DWord -Value 4294967295 }
      Update-TimeService -Run $Run
    }
    $words = @('/resync') + $(if ($Argument.rediscover) { '/rediscover' })
    $code = Invoke-Program -Path "$($Run.look.windows)\System32\w32tm.exe" -Argument $words -TimeoutMs $Argument.timeout_ms
    $clock = [Diagnostics.Stopwatch]::StartNew()
    do {
      $after = Get-OwnOffset -Run $Run
      $left = $Argument.settle_ms - $clock.ElapsedMilliseconds
      if ($code -ne 0 -or $left -le 0 -or ($null -ne $after.offset_ms -and [Math]::Abs($after.offset_ms) -lt 1000)) { break }
      # NIST's servers refuse who asks more often than once in 4 s, and others tell him so by a kiss-o'-death.
      Start-Sleep -Milliseconds ([Math]::Min(4000, $left))
    } while ($true)
  }
  finally { Undo-Newest -Run $Run -Count $undo }
  if ($null -eq $code) { throw "the resync took longer than $($Argument.timeout_ms / 1000) s" }
  if ($code -ne 0) { throw [Runtime.InteropServices.COMException]::new('the time service did not resync', $code) }
  $apart = [Math]::Abs([long]$after.offset_ms)
  $slew = Get-Registered -Key $config -Name MaxAllowedPhaseOffset
  if ($apart -ge 1000 -and $apart -le 1000 * $slew) {
    Add-Remark -Run $Run -Step $Run.step -Why "the clock is still $apart ms off $($after.server) and is being slewed (W32Time sets no clock for less than MaxAllowedPhaseOffset, $slew s)"
  }
  $moved = $null -eq $before.offset_ms -or $null -eq $after.offset_ms -or [Math]::Abs($before.offset_ms - $after.offset_ms) -ge 1000
  return New-Result -Before $before -After $after -Changed $moved
}

function Invoke-set_clockStep([hashtable] $Run, [hashtable] $Argument) {
  $before = @{ clock_ms = Get-HostClock }
  $offset = $Argument.offset_ms
  if ($offset -eq 0) { return New-Result -Before $before -After $before -Changed $false -Why 'is so' }
  # Counted on a clock that nobody sets, so that the way back is right however long ago it was. What is off by less than half is as it was.
  $lead = Get-ClockLead
  Set-Effect -Run $Run -Step $Run.step -Effect Clock -Do @{ lead_ms = $lead + $offset; least_ms = 1 } `
    -Undo @{ lead_ms = $lead; least_ms = [Math]::Min(5000, [Math]::Abs($offset) / 2) }
  return New-Result -Before $before -After @{ clock_ms = Get-HostClock }
}

function Invoke-set_time_zoneStep([hashtable] $Run, [hashtable] $Argument) {
  $before = @{ id = Get-TimeZoneId }
  if ($before.id -eq $Argument.id) { return New-Result -Before $before -After $before -Changed $false -Why 'is so' }
  Set-Effect -Run $Run -Step $Run.step -Effect Zone -Do @{ id = $Argument.id } -Undo $before
  return New-Result -Before $before -After @{ id = $Argument.id }
}

function Invoke-set_service_securityStep([hashtable] $Run, [hashtable] $Argument) {
  $want = @{
    bits = 'D:(A;CI;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;SY)(A;;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;BA)(A;;CCLCSWLOCRRC;;;IU)(A;;CCLCSWLOCRRC;;;SU)'
    wuauserv = 'D:(A;;CCLCSWRPLORC;;;AU)(A;;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;BA)(A;;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;SY)'
  }[$Argument.name]
  $before = @{ sddl = Get-ServiceSecurity -Name $Argument.name }
  if ($before.sddl -eq $want) { return New-Result -Before $before -After $before -Changed $false -Why 'is so' }
  $to = @{ name = $Argument.name }
  Set-Effect -Run $Run -Step $Run.step -Effect Security -Do ($to + @{ sddl = $want }) -Undo ($to + $before)
  return New-Result -Before $before -After @{ sddl = $want }
}

# --- a run

# Back in reverse; a failure does not stop the rest. Stops come before moves, so services run again when their files are back.
function Undo-Run([hashtable] $Run) {
  foreach ($entry in $Run.undo) { $entry.restored = $false }
  foreach ($entry in @($Run.undo)) {
    $line = @{ id = $entry.id; kind = $entry.kind; ok = $true; why = $null }
    try {
      $remark = & "Set-$($entry.effect)Effect" -Run $Run -With $entry.with
      if ($remark) { $line.why = "$remark" }
    }
    catch {
      # A service that is stopped only for a move back ends as the entry of its stop says.
      $line.ok = $true -eq $entry.with['passing']
      $line.why = (Get-Fault -Record $_).why
    }
    $line
  }
}

function Invoke-Step([hashtable] $Run, [hashtable] $Step, [hashtable] $Line) {
  $clock = [Diagnostics.Stopwatch]::StartNew()
  $Run.step = $Step
  try {
    $given = if ($null -eq $Step['args']) { @{} } else { $Step['args'] }
    $result = & "Invoke-$($Step.kind)Step" -Run $Run -Argument $given
    foreach ($field in 'status', 'changed', 'before', 'after', 'why') { $Line[$field] = $result[$field] }
    return $null
  }
  catch {
    $fault = Get-Fault -Record $_
    $Line.status = 'failed'
    $Line.why = $fault.why
    return @{ id = $Step.id; why = $fault.why; code = $fault.code }
  }
  finally { $Line.ms = $clock.ElapsedMilliseconds }
}

# The steps in their order, until one fails: that failure, or null.
function Invoke-Plan([hashtable] $Run, [object[]] $Step, [hashtable] $Line) {
  foreach ($one in $Step) {
    $failed = Invoke-Step -Run $Run -Step $one -Line $Line[$one.id]
    if ($failed) { return $failed }
  }
  # A plan that forgot them must not leave services stopped.
  foreach ($entry in Get-StoppedService -Run $Run) {
    try { Restore-OneService -Run $Run -Entry $entry -TimeoutMs 60000 -Step $entry }
    catch { return @{ id = $entry.id; why = (Get-Fault -Record $_).why; code = $null } }
  }
  return $null
}

# What runs when all else has succeeded: services that were started for the run alone, and what cannot be taken back. Nothing of it can fail a run.
function Complete-Run([hashtable] $Run, [object[]] $Step, [hashtable] $Line) {
  foreach ($name in @($Run.stop_after.Keys)) {
    try { Stop-OneService -Name $name -TimeoutMs 30000 -Kill $false }
    catch { Add-Remark -Run $Run -Step $Run.stop_after[$name] -Why (Get-Fault -Record $_).why }
  }
  foreach ($one in $Step) {
    $failed = Invoke-Step -Run $Run -Step $one -Line $Line[$one.id]
    if (-not $failed) { continue }
    $Line[$one.id].status = 'skipped'
    Add-Remark -Run $Run -Step $one -Why $failed.why
  }
}

# Whether anything is different from before.
function Test-Changed([hashtable] $Run, [hashtable] $Reply) {
  if ($Reply.failed) { return @($Reply.undone | Where-Object { -not $_.ok }).Length -gt 0 }
  $passing = @($Run.stop_after.Values | ForEach-Object { $_.id })
  return @($Reply.steps | Where-Object { $_.changed -and $_.kind -notin 'stop_service', 'restore_services' -and $_.id -notin $passing }).Length -gt 0
}

function New-Run([hashtable] $Request, [hashtable] $Look) {
  return @{
    id = $Request['run']; ending = Get-BackupEnding -Run $Request['run']; look = $Look; step = $null; patience_ms = 20000
    undo = [Collections.ArrayList]::new(); warnings = [Collections.ArrayList]::new(); stop_after = @{}
  }
}

function Invoke-Apply {
  <# .SYNOPSIS The reply to a request to change the host. #>
  [CmdletBinding()]
  param([hashtable] $Request)
  # First: it leaves the culture of the host, by which I is no letter of [A-Za-z] for .NET Framework under Turkish.
  $look = New-Look -Request @{ schema = 1; op = 'observe'; sections = @(); servers = @() }
  $refused = Test-ApplyRequest -Request $Request
  # Another System32 and other keys.
  if (-not $refused -and -not (Get-SessionFact).is_64bit) { $refused = 'PowerShell is a 32-bit process on the host' }
  $watch = $Request['observe']
  if (-not $refused -and $watch) { $refused = if ($watch -is [hashtable]) { (New-Look -Request $watch).refused } else { 'observe is not a request' } }
  if ($refused) { return @{ schema = 1; refused = $refused } }
  $run = New-Run -Request $Request -Look $look
  $lock = Enter-HostChange -Run $run.id
  try {
    if ($lock.why) { $null = $run.warnings.Add(@{ id = $null; why = "other runs are not kept out: $($lock.why)" }) }
    elseif (-not $lock.held) { return @{ schema = 1; refused = 'another run changes this host now'; busy = "$($lock.by)" } }
    return Invoke-Change -Request $Request -Run $run
  }
  finally { Exit-HostChange -Lock $lock }
}

# What a request asks for, while no other run changes the host.
function Invoke-Change([hashtable] $Request, [hashtable] $Run) {
  $steps = @($Request['steps'] | Where-Object { $null -ne $_ })
  # Which source answers for a domain member's clock hangs on its role.
  if ('resync' -in $Request['uses']) { try { $null = Get-SectionData -Look $Run.look -Name fact } catch { $null = $_ } }
  $reply = @{ schema = 1; op = 'apply'; differs = @(); failed = $null; undone = @(); warnings = @(); changed = $false; sections = $null }
  $lines = @{}
  $reply.steps = @(foreach ($step in $steps) {
    $lines[$step.id] = @{ id = $step.id; kind = $step.kind; status = 'not_run'; changed = $false; why = $null; before = $null; after = $null; ms = 0 }
    $lines[$step.id]
  })
  $reply.differs = @(Get-Difference -Run $run -Expect $Request['expect'])
  $reply.warnings = @($Run.warnings)
  if ($reply.differs) { return $reply }
  $reply.failed = Invoke-Plan -Run $run -Step @($steps | Where-Object { $_.kind -ne 'prune_backups' }) -Line $lines
  if ($reply.failed) { $reply.undone = @(Undo-Run -Run $run) }
  else { Complete-Run -Run $run -Step @($steps | Where-Object { $_.kind -eq 'prune_backups' }) -Line $lines }
  $reply.warnings = @($run.warnings)
  $reply.changed = Test-Changed -Run $run -Reply $reply
  $watch = $Request['observe']
  if ($watch) { try { $reply.sections = (Get-Observation -Request $watch).sections } catch { $reply.sections = $null } }
  return $reply
}

Export-ModuleMember -Function 'ConvertTo-PlainData', 'Invoke-Apply', 'Test-ApplyRequest'
