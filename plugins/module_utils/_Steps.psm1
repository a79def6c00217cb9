# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

# PRIVATE: what the agent may change, one function a step kind. Each registers how to undo an effect with the effect itself.

#Requires -Version 5.1

# The fixed set: what each argument of each kind may be. Anything else refuses the whole request.
function Get-StepRule {
  # $true -eq any text holds in PowerShell, so each asks for the type too.
  # TrustedInstaller promotes itself for what a restart will finish, and WaaSMedicSvc guards itself: neither is ours to touch.
  $service = { $args[0] -is [string] -and $args[0] -in 'wuauserv', 'BITS', 'CryptSvc', 'msiserver', 'AppIDSvc', 'wlidsvc', 'UsoSvc', 'DoSvc', 'W32Time' }
  $folder = { $args[0] -is [string] -and $args[0] -in 'SoftwareDistribution', 'catroot2' }
  $wait = { Test-Whole -Value $args[0] -Low 0 -High 3600000 }
  $bool = { $args[0] -is [bool] }
  $key = { $args[0] -is [string] -and $args[0] -eq 'HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\OSUpgrade' }
  $name = { $args[0] -is [string] -and $args[0] -eq 'AllowOSUpgrade' }
  return @{
    set_start_type = @{ name = $service; start = { Test-Whole -Value $args[0] -Low 2 -High 4 }; delayed = $bool }
    stop_service = @{ name = $service; timeout_ms = $wait }
    restore_services = @{ timeout_ms = $wait }
    start_service = @{ name = $service; timeout_ms = $wait; stop_after = { $null -eq $args[0] -or $args[0] -is [bool] } }
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
  if ("$($Request['run'])" -notmatch '\A\d{8}T\d{6}Z-[0-9a-f]{6,8}\z') { return 'run is not a run id' }
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
    'folder/exists' { $name -in 'SoftwareDistribution', 'catroot2' }
    'folder/reparse' { $name -in 'SoftwareDistribution', 'catroot2' }
    'value/value' { $name -eq 'HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\OSUpgrade\AllowOSUpgrade' }
    'boot/time' { $true }
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
      $fact = Get-FolderFact -Path (Get-FolderPath -Run $Run -Folder $name)
      if ($Expect['field'] -eq 'exists') { return $null -ne $fact }
      return $null -ne $fact -and $fact.reparse
    }
    'value' {
      $cut = $name.LastIndexOf('\')
      return Get-Registered -Key $name.Substring(0, $cut) -Name $name.Substring($cut + 1)
    }
    'boot' { return (Get-HostFact).boot_time }
    'servicing' {
      $seen = Get-SectionData -Look $Run.look -Name servicing
      $registry = $seen.registry
      $interface, $setup = $registry['CBS\Interface'], $registry['SYSTEM\Setup']
      return ($interface -and $interface['ServicingInProgress'] -eq 2) -or $seen.processes.Length -gt 0 -or ($setup -and 1 -in $setup.Values)
    }
    'reboot' {
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

# What is not as the plan was made for.
function Get-Difference([hashtable] $Run, [object[]] $Expect) {
  foreach ($one in $Expect) {
    if ($null -eq $one) { continue }
    $found = Get-Found -Run $Run -Expect $one
    $want = $one['is']
    $same = if ($one['what'] -eq 'boot' -and $null -ne $found -and $null -ne $want) { [Math]::Abs($found - $want) -le 5 } else { $found -eq $want }
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

function Add-Undo([hashtable] $Run, [string] $Do, [hashtable] $With) {
  $Run.undo.Insert(0, @{ id = $Run.step.id; kind = $Run.step.kind; do = $Do; with = $With })
}

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

function Stop-OneService([hashtable] $Run, [string] $Name, [int] $TimeoutMs) {
  $row = Get-OneService -Name $Name
  if ($null -eq $row -or $row.state -eq 'stopped') { return }
  foreach ($list in $Run.ran, $Run.stopped) { if (-not $list.Contains($Name)) { $null = $list.Add($Name) } }
  if (-not $Run.by.ContainsKey($Name)) { $Run.by[$Name] = $Run.step }
  try { Send-ServiceStop -Name $Name } catch { $Run.fault = (Get-Fault -Record $_).why }
  if (Wait-Service -Name $Name -State stopped -TimeoutMs $TimeoutMs -Again Send-ServiceStop) { return }
  $row = Get-OneService -Name $Name
  $process = Get-ServiceProcess -Name $Name
  if ($process.pid -eq 0 -or $process.shared -ne 1) {
    throw "$Name did not stop within $TimeoutMs ms (state $($row.state)); its process $($process.pid) serves $($process.shared) services and is not ended $($Run.fault)".TrimEnd()
  }
  Stop-ServiceProcess -ProcessId $process.pid
  if (-not (Wait-Service -Name $Name -State stopped -TimeoutMs 10000)) { throw "$Name is not stopped though its process $($process.pid) was ended" }
}

function Start-OneService([string] $Name, [int] $TimeoutMs, [int] $StopMs = 30000) {
  $row = Get-OneService -Name $Name
  # One that is stopping refuses a start ("already running"): it was never stopped, and may still end.
  if ($row -and $row.state -eq 'stop_pending') {
    $null = Wait-Service -Name $Name -State stopped -TimeoutMs $StopMs
    $row = Get-OneService -Name $Name
    if ($row -and $row.state -eq 'stop_pending') { throw "$Name is still stopping and could not be started again" }
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
  if ($row.start -eq $Argument.start -and ($Argument.start -ne 2 -or $row.delayed -eq $Argument.delayed)) { return New-Result -Before $before -After $before -Changed $false -Why 'is so' }
  Add-Undo -Run $Run -Do start_type -With (@{ name = $Argument.name } + $before)
  Set-ServiceStart -Name $Argument.name -Start $Argument.start -Delayed $Argument.delayed
  return New-Result -Before $before -After @{ start = $Argument.start; delayed = $Argument.delayed }
}

function Invoke-stop_serviceStep([hashtable] $Run, [hashtable] $Argument) {
  $row = Get-OneService -Name $Argument.name
  if ($null -eq $row) { return New-Result -Changed $false -Why 'no such service' }
  $before = @{ state = $row.state; dependents = @($row.dependents) }
  if ($row.state -eq 'stopped') { return New-Result -Before $before -After $before -Changed $false -Why 'was not running' }
  foreach ($name in @($row.dependents) + $Argument.name) { Stop-OneService -Run $Run -Name $name -TimeoutMs $Argument.timeout_ms }
  return New-Result -Before $before -After @{ state = 'stopped'; dependents = @() }
}

function Invoke-restore_servicesStep([hashtable] $Run, [hashtable] $Argument) {
  $started = @()
  while ($Run.stopped.Count) {
    $name = $Run.stopped[$Run.stopped.Count - 1]
    Add-Undo -Run $Run -Do stop -With @{ name = $name }
    Start-OneService -Name $name -TimeoutMs $Argument.timeout_ms
    $Run.stopped.RemoveAt($Run.stopped.Count - 1)
    $started += $name
  }
  if (-not $started) { return New-Result -Changed $false -Why 'nothing was stopped' }
  return New-Result -After @{ started = $started }
}

function Invoke-start_serviceStep([hashtable] $Run, [hashtable] $Argument) {
  $row = Get-OneService -Name $Argument.name
  if ($null -eq $row) { throw "there is no service $($Argument.name)" }
  $before = @{ state = $row.state }
  if ($row.state -eq 'running') { return New-Result -Before $before -After $before -Changed $false -Why 'is running' }
  Add-Undo -Run $Run -Do stop -With @{ name = $Argument.name }
  Start-OneService -Name $Argument.name -TimeoutMs $Argument.timeout_ms
  if ($Argument['stop_after']) { $null = $Run.stop_after.Add($Argument.name) }
  return New-Result -Before $before -After @{ state = 'running' }
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
      if ($clock.ElapsedMilliseconds -ge $Run.patience_ms) { throw }
    }
    Start-Sleep -Milliseconds 500
    foreach ($name in @($Run.stopped)) { Stop-OneService -Run $Run -Name $name -TimeoutMs 10000 }
  }
}

function Invoke-set_asideStep([hashtable] $Run, [hashtable] $Argument) {
  $path = Get-FolderPath -Run $Run -Folder $Argument.folder
  $target = "$path.wu_repair-$($Run.id)"
  $fact = Get-FolderFact -Path $path
  if ($null -eq $fact) { return New-Result -Changed $false -Why 'there is no such folder' }
  if ($fact.reparse) { throw "$path is a reparse point and is not moved" }
  if (@(Get-ChildName -Path ($path -replace '\\[^\\]*\z') -Filter "$($Argument.folder).wu_repair-$($Run.id)").Length) { throw "$target is there already" }
  Move-Patiently -Run $Run -Path $path -Destination $target
  Add-Undo -Run $Run -Do move_back -With @{ path = $path; target = $target }
  return New-Result -Before @{ path = $path } -After @{ path = $target }
}

function Invoke-prune_backupsStep([hashtable] $Run, [hashtable] $Argument) {
  $path = Get-FolderPath -Run $Run -Folder $Argument.folder
  $parent = $path -replace '\\[^\\]*\z'
  # A run's name begins with its time, so names sort by age.
  $ours = @(Get-ChildName -Path $parent -Filter "$($Argument.folder).wu_repair-*" | Where-Object {
    $_ -match '\.wu_repair-\d{8}T\d{6}Z-[0-9a-f]{6,8}(\.new)?\z'
  } | Sort-Object -Descending)
  $old = @($ours | Select-Object -Skip $Argument.keep | Where-Object { $_ -notlike "*.wu_repair-$($Run.id)*" })
  $gone = @()
  foreach ($name in $old) {
    $fact = Get-FolderFact -Path "$parent\$name"
    if ($null -eq $fact -or $fact.reparse) { continue }
    Remove-FolderTree -Path "$parent\$name"
    $gone += $name
  }
  if (-not $gone) { return New-Result -Changed $false -Why 'nothing to remove' }
  return New-Result -Before @{ backups = $ours } -After @{ backups = @($ours | Where-Object { $_ -notin $gone }) }
}

function Set-Registered([hashtable] $Run, [string] $Key, [string] $Name, [string] $Kind, [object] $Value) {
  $before = Get-Registered -Key $Key -Name $Name
  if ($before -eq $Value) { return $false }
  Add-Undo -Run $Run -Do value -With @{ key = $Key; name = $Name; kind = $Kind; value = $before }
  Write-Registered -Key $Key -Name $Name -Kind $Kind -Value $Value
  return $true
}

function Write-Registered([string] $Key, [string] $Name, [string] $Kind, [object] $Value) {
  if ($null -eq $Value) { Remove-RegistryValue -Key $Key -Name $Name }
  else { Write-RegistryValue -Key $Key -Name $Name -Kind $Kind -Value $Value }
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
      if ($null -ne $after.offset_ms -and [Math]::Abs($after.offset_ms) -lt 1000) { break }
      Start-Sleep -Milliseconds 500
    } while ($code -eq 0 -and $clock.ElapsedMilliseconds -lt $Argument.settle_ms)
  }
  finally {
    $lifted = $Run.undo.Count - $undo
    while ($Run.undo.Count -gt $undo) {
      $with = $Run.undo[0].with
      Write-Registered -Key $with.key -Name $with.name -Kind $with.kind -Value $with['value']
      $Run.undo.RemoveAt(0)
    }
    if ($lifted) { Update-TimeService -Run $Run }
  }
  if ($null -eq $code) { throw "the resync took longer than $($Argument.timeout_ms) ms" }
  if ($code -ne 0) { throw [Runtime.InteropServices.COMException]::new('the time service did not resync', $code) }
  $moved = $null -eq $before.offset_ms -or $null -eq $after.offset_ms -or [Math]::Abs($before.offset_ms - $after.offset_ms) -ge 1000
  return New-Result -Before $before -After $after -Changed $moved
}

function Invoke-set_clockStep([hashtable] $Run, [hashtable] $Argument) {
  $before = @{ clock_ms = Get-HostClock }
  if ($Argument.offset_ms -eq 0) { return New-Result -Before $before -After $before -Changed $false -Why 'is so' }
  Set-HostClock -OffsetMs $Argument.offset_ms
  # An offset is undone by its opposite however long ago it was.
  Add-Undo -Run $Run -Do clock -With @{ offset_ms = - $Argument.offset_ms }
  return New-Result -Before $before -After @{ clock_ms = Get-HostClock }
}

function Invoke-set_time_zoneStep([hashtable] $Run, [hashtable] $Argument) {
  $before = @{ id = Get-TimeZoneId }
  if ($before.id -eq $Argument.id) { return New-Result -Before $before -After $before -Changed $false -Why 'is so' }
  Add-Undo -Run $Run -Do zone -With $before
  Set-TimeZoneId -Id $Argument.id
  return New-Result -Before $before -After @{ id = $Argument.id }
}

function Invoke-set_aside_bits_queueStep([hashtable] $Run, [hashtable] $Argument) {
  $null = $Argument
  $folder = "$env:ProgramData\Microsoft\Network\Downloader"
  $names = foreach ($filter in 'qmgr*.dat', 'qmgr.db', 'qmgr.jfm', 'edb*.log', 'edb.chk') { Get-ChildName -Path $folder -Filter $filter }
  $names = @($names | Where-Object { $_ -notmatch '\.wu_repair-' } | Sort-Object -Unique)
  if (-not $names) { return New-Result -Changed $false -Why 'there is no queue' }
  foreach ($name in $names) {
    $target = "$folder\$name.wu_repair-$($Run.id)"
    if (Get-FileFact -Path $target) { throw "$target is there already" }
    Move-SingleFile -Path "$folder\$name" -Destination $target
    Add-Undo -Run $Run -Do file_back -With @{ path = "$folder\$name"; target = $target }
  }
  return New-Result -Before @{ files = $names } -After @{ files = @() }
}

function Invoke-set_service_securityStep([hashtable] $Run, [hashtable] $Argument) {
  $want = @{
    bits = 'D:(A;CI;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;SY)(A;;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;BA)(A;;CCLCSWLOCRRC;;;IU)(A;;CCLCSWLOCRRC;;;SU)'
    wuauserv = 'D:(A;;CCLCSWRPLORC;;;AU)(A;;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;BA)(A;;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;SY)'
  }[$Argument.name]
  $before = @{ sddl = Get-ServiceSecurity -Name $Argument.name }
  if ($before.sddl -eq $want) { return New-Result -Before $before -After $before -Changed $false -Why 'is so' }
  Add-Undo -Run $Run -Do security -With (@{ name = $Argument.name } + $before)
  Set-ServiceSecurity -Name $Argument.name -Sddl $want
  return New-Result -Before $before -After @{ sddl = $want }
}

function Undo-One([hashtable] $Run, [string] $Do, [hashtable] $With) {
  switch ($Do) {
    'start_type' { Set-ServiceStart -Name $With.name -Start $With.start -Delayed $With.delayed }
    'stop' { Stop-OneService -Run $Run -Name $With.name -TimeoutMs 30000 }
    'value' {
      Write-Registered -Key $With.key -Name $With.name -Kind $With.kind -Value $With['value']
      if ($With.key -like '*\W32Time\*') { Update-TimeService -Run $Run }
    }
    'clock' { Set-HostClock -OffsetMs $With.offset_ms }
    'zone' { Set-TimeZoneId -Id $With.id }
    'security' { Set-ServiceSecurity -Name $With.name -Sddl $With.sddl }
    'move_back' {
      foreach ($name in @($Run.stopped)) { Stop-OneService -Run $Run -Name $name -TimeoutMs 30000 }
      if ($null -ne (Get-FolderFact -Path $With.path)) { Move-Patiently -Run $Run -Path $With.path -Destination "$($With.target).new" }
      Move-Patiently -Run $Run -Path $With.target -Destination $With.path
    }
    'file_back' {
      if (Get-FileFact -Path $With.path) { Move-SingleFile -Path $With.path -Destination "$($With.target).new" }
      Move-SingleFile -Path $With.target -Destination $With.path
    }
  }
}

# Back in reverse; a failure does not stop the rest; services that ran are started last of all.
function Undo-Run([hashtable] $Run) {
  $ran = @($Run.ran)
  foreach ($entry in @($Run.undo)) {
    $line = @{ id = $entry.id; kind = $entry.kind; ok = $true; why = $null }
    try { Undo-One -Run $Run -Do $entry.do -With $entry.with }
    catch {
      $line.ok = $false
      $line.why = (Get-Fault -Record $_).why
    }
    $line
  }
  [array]::Reverse($ran)
  foreach ($name in $ran) {
    $line = @{ id = $Run.by[$name].id; kind = $Run.by[$name].kind; ok = $true; why = $null }
    $given = $Run.by[$name]['args']
    $patience = if ($given -and $given['timeout_ms']) { [Math]::Min(30000, $given.timeout_ms) } else { 30000 }
    try { Start-OneService -Name $name -TimeoutMs 60000 -StopMs $patience }
    catch {
      $line.ok = $false
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

function Invoke-Apply {
  <# .SYNOPSIS The reply to a request to change the host. #>
  [CmdletBinding()]
  param([hashtable] $Request)
  $refused = Test-ApplyRequest -Request $Request
  $look = New-Look -Request @{ schema = 1; op = 'observe' }
  $watch = $Request['observe']
  if (-not $refused -and $watch) { $refused = if ($watch -is [hashtable]) { (New-Look -Request $watch).refused } else { 'observe is not a request' } }
  if ($refused) { return @{ schema = 1; refused = $refused } }
  $steps = @($Request['steps'] | Where-Object { $null -ne $_ })
  $run = @{
    id = $Request['run']; look = $look; step = $null; fault = $null; by = @{}; patience_ms = 20000
    undo = [Collections.ArrayList]::new(); ran = [Collections.ArrayList]::new(); stopped = [Collections.ArrayList]::new(); stop_after = [Collections.ArrayList]::new()
  }
  # Which source answers for a domain member's clock hangs on its role.
  if ('resync' -in $Request['uses']) { try { $null = Get-SectionData -Look $look -Name fact } catch { $null = $_ } }
  $reply = @{ schema = 1; op = 'apply'; differs = @(); failed = $null; undone = @(); changed = $false; sections = $null }
  $lines = @{}
  $reply.steps = @(foreach ($step in $steps) {
    $lines[$step.id] = @{ id = $step.id; kind = $step.kind; status = 'not_run'; changed = $false; why = $null; before = $null; after = $null; ms = 0 }
    $lines[$step.id]
  })
  $reply.differs = @(Get-Difference -Run $run -Expect $Request['expect'])
  if ($reply.differs) { return $reply }
  # What cannot be taken back runs when all else has succeeded.
  foreach ($step in @($steps | Where-Object { $_.kind -ne 'prune_backups' })) {
    $reply.failed = Invoke-Step -Run $run -Step $step -Line $lines[$step.id]
    if ($reply.failed) { break }
  }
  if (-not $reply.failed -and $run.stopped.Count) {
    # A plan that forgot them must not leave services stopped.
    try { $null = Invoke-restore_servicesStep -Run $run -Argument @{ timeout_ms = 60000 } }
    catch { $reply.failed = @{ id = $null; why = (Get-Fault -Record $_).why; code = $null } }
  }
  if ($reply.failed) { $reply.undone = @(Undo-Run -Run $run) }
  else {
    foreach ($name in @($run.stop_after)) { try { Stop-OneService -Run $run -Name $name -TimeoutMs 30000 } catch { $null = $_ } }
    foreach ($step in @($steps | Where-Object { $_.kind -eq 'prune_backups' })) { $null = Invoke-Step -Run $run -Step $step -Line $lines[$step.id] }
  }
  $passing = 'stop_service', 'restore_services'
  $kept = @($reply.steps | Where-Object { $_.changed -and $_.kind -notin $passing -and -not ($_.kind -eq 'start_service' -and $run.stop_after.Count) })
  $reply.changed = if ($reply.failed) { @($reply.undone | Where-Object { -not $_.ok }).Length -gt 0 } else { $kept.Length -gt 0 }
  if ($watch) { try { $reply.sections = (Get-Observation -Request $watch).sections } catch { $reply.sections = $null } }
  return $reply
}

Export-ModuleMember -Function 'ConvertTo-PlainData', 'Invoke-Apply', 'Test-ApplyRequest'
