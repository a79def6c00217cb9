# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

# PRIVATE: what a look gathers, one function a section. It decides nothing: it filters and bounds.

#Requires -Version 5.1

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

# JSON in ASCII. ConvertTo-Json of 5.1 wraps arrays as value and Count and leaves letters to the console's code page.
function ConvertTo-JsonText {
  param([object] $Value)
  if ($null -eq $Value) { return 'null' }
  if ($Value -is [bool]) { return ([string]$Value).ToLowerInvariant() }
  if ($Value -is [Collections.IDictionary]) {
    $parts = foreach ($entry in $Value.GetEnumerator()) {
      (ConvertTo-JsonText ([string]$entry.Key)) + ':' + (ConvertTo-JsonText $entry.Value)
    }
    return '{' + ($parts -join ',') + '}'
  }
  if ($Value -is [ValueType] -and $Value -isnot [char]) { return $Value.ToString([Globalization.CultureInfo]::InvariantCulture) }
  if ($Value -is [Collections.IEnumerable] -and $Value -isnot [string]) {
    return '[' + (@(foreach ($one in $Value) { ConvertTo-JsonText $one }) -join ',') + ']'
  }
  $text = ([string]$Value).Replace('\', '\\').Replace('"', '\"')
  if ($text -match '[^\x20-\x7e]') {
    # Half of a surrogate pair (a cut line) is not a character that Python may write again.
    $text = $text -replace '[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]', [string][char]0xFFFD
    $text = [regex]::Replace($text, '[^\x20-\x7e]', { '\u{0:x4}' -f [int]$args[0].Value[0] })
  }
  return '"' + $text + '"'
}

# Status, code and one line of an error record.
function Get-Fault([object] $Record) {
  $fault = $Record.Exception
  while ($fault.InnerException) { $fault = $fault.InnerException }
  $code = $fault.HResult
  if ($fault -is [ComponentModel.Win32Exception]) { $code = -2147024896 -bor $fault.NativeErrorCode }
  $status = 'failed'
  if ($fault -is [UnauthorizedAccessException] -or $fault -is [Security.SecurityException] -or $code -eq -2147024891 -or
    [string]$fault.NativeErrorCode -eq 'AccessDenied') { $status = 'denied' }
  elseif ($fault.GetType().Name -match '^(File|Directory|EventLog)NotFoundException$') { $status = 'absent' }
  elseif ($fault -is [TimeoutException]) { $status = 'timeout' }
  $why = ([string]$fault.Message -replace '\s+', ' ').Trim()
  # 0x8013.... is .NET's own, which says nothing about Windows.
  if (($code -shr 16) -eq -32749) { $code = $null }
  elseif ($code) { $why += ' (0x{0:X8})' -f $code }
  return @{ status = $status; code = $code; why = if ($why.Length -gt 200) { $why.Substring(0, 200) } else { $why } }
}

# Run a reader that has no cancel in a runspace that is left alone when its time is over.
function Invoke-Helper([hashtable] $Look, [string] $Name, [hashtable] $Argument = @{}, [int] $TimeoutMs) {
  $agent = $Name -match 'Update'
  # Once the update agent has hung, nobody waits for it again.
  if ($agent -and $Look.hung) { throw [TimeoutException]::new('the update agent did not answer before') }
  if ($null -eq $Look.helper) {
    $state = [Management.Automation.Runspaces.InitialSessionState]::CreateDefault2()
    # ansible-core names a module by the whole path of its collection.
    $module = (Get-Command -Name Get-HostClock).Module
    $readers = & $module { param($Name) Get-Command -CommandType Function | Where-Object { $_.ModuleName -eq $Name } } $module.Name
    foreach ($reader in $readers) {
      $entry = [Management.Automation.Runspaces.SessionStateFunctionEntry]::new($reader.Name, $reader.Definition)
      $state.Commands.Add($entry)
    }
    $Look.helper = [Management.Automation.Runspaces.RunspaceFactory]::CreateRunspace($state)
    $Look.helper.ThreadOptions = 'ReuseThread'
    $Look.helper.Open()
  }
  $shell = [PowerShell]::Create()
  $shell.Runspace = $Look.helper
  # A background thread: one that is stuck in Windows must not keep the process alive. (Two statements by AddStatement never ended.)
  $script = 'param($Name, $Argument) [Threading.Thread]::CurrentThread.IsBackground = $true; $ErrorActionPreference = "Stop"; & $Name @Argument'
  $null = $shell.AddScript($script).AddArgument($Name).AddArgument($Argument)
  $wait = $shell.BeginInvoke()
  if (-not $wait.AsyncWaitHandle.WaitOne($TimeoutMs)) {
    $Look.helper = $null
    if ($agent) { $Look.hung = $true }
    throw [TimeoutException]::new("$Name did not answer within $TimeoutMs ms")
  }
  foreach ($one in $shell.EndInvoke($wait)) { if ($null -ne $one) { $one.PSObject.BaseObject } }
}

# One registry value or null; a key is read once a look.
function Get-Value([hashtable] $Look, [string] $Key, [string] $Name) {
  if (-not $Look.keys.ContainsKey($Key)) { $Look.keys[$Key] = Read-RegistryKey $Key }
  if ($null -eq $Look.keys[$Key]) { return $null }
  return $Look.keys[$Key]['values'][$Name]
}

# All values of a key that match, as numbers and short text, without credentials in addresses.
function Get-ValueTable([string] $Key, [string] $Match = '.') {
  $table = @{}
  $read = Read-RegistryKey $Key
  if ($null -eq $read) { return $table }
  foreach ($entry in @($read['values'].GetEnumerator() | Where-Object { $_.Key -match $Match } | Sort-Object -Property Key | Select-Object -First 80)) {
    $value = $entry.Value
    if ($value -isnot [ValueType]) {
      $value = (@($value) -join ';') -replace '(://)[^/@\s]*@', '$1'
      if ($value.Length -gt 200) { $value = $value.Substring(0, 200) }
    }
    $table[$entry.Key] = $value
  }
  return $table
}

function Select-Telling {
  <#
  .SYNOPSIS
  Of items, newest first: every failure, every item of an update that failed (a later success overtakes it) and the newest of
  each group. Years of successes say no more than that.
  #>
  param([object[]] $Item)
  $sick = @{}
  foreach ($one in $Item) { if ($one['_failed']) { $sick[[string]$one['_update']] = $true } }
  $sick.Remove('')
  $seen = @{}
  foreach ($one in $Item) {
    $group = [string]$one['_group']
    $seen[$group] = 1 + [int]$seen[$group]
    if ($one['_failed'] -or $seen[$group] -le 1 -or $sick[[string]$one['_update']]) {
      foreach ($name in '_failed', '_group', '_update') { $one.Remove($name) }
      $one
    }
  }
}

# Text of a log, or of a slice of one that may begin within a character.
function ConvertFrom-LogByte([byte[]] $Bytes) {
  $size = [Math]::Min($Bytes.Length, 4096)
  $nul = @(0, 0)
  for ($i = 0; $i -lt $size; $i++) { if ($Bytes[$i] -eq 0) { $nul[$i % 2]++ } }
  # ASCII in UTF-16LE has a NUL in every second byte: at odd places, or at even ones where the slice began within a character.
  foreach ($begin in 0, 1) {
    if ($nul[1 - $begin] -gt $size / 8 -and $nul[1 - $begin] -gt 4 * $nul[$begin]) {
      $text = [Text.Encoding]::Unicode.GetString($Bytes, $begin, ($Bytes.Length - $begin) -band -2)
      return $text.TrimStart([char]0xFEFF)
    }
  }
  $begin = 0
  while ($begin -lt [Math]::Min(3, $size) -and ($Bytes[$begin] -band 0xC0) -eq 0x80) { $begin++ }
  try {
    $strict = [Text.UTF8Encoding]::new($false, $true)
    return $strict.GetString($Bytes, $begin, $Bytes.Length - $begin).TrimStart([char]0xFEFF)
  }
  catch { return [Text.Encoding]::GetEncoding(28591).GetString($Bytes) }
}

# What a line must hold, and what of it makes its kind, per sort of log.
function Get-LogRule([string] $Sort) {
  if ($Sort -eq 'reporting') {
    return @{
      find = '(?<=^|\n)\{[^}\t]*\}\t(?<time>[^\t]*)\t[^\t]*\t(?<event>\d+)[^\t]*\t[^\t]*\t(?<update>[^\t]*)\t[^\t]*\t(?<code>[0-9a-f]+)\t'
    }
  }
  $code = '0x[8c][0-9a-f]{7}(?![0-9a-f])|(?:HRESULT|error|\(F\)|hr|Result)[ =:[]{1,4}[8c][0-9a-f]{7}(?![0-9a-f])'
  $marks = @(
    '\[SR\] (?!Verifying|Verify complete|Beginning|This component was)', 'Corrupt', 'CSI Payload', 'CSI Manifest', 'Repair(?:ed|ing)? (?:failed|complete|\d)'
    'Total Detected', '\(Fixed\)', 'Checking System Update Readiness', 'CheckSur', 'Operation result', 'Hydration failed', 'rollback', 'PANIC', 'fatal error'
  )
  return @{ find = $code + '|' + ($marks -join '|'); code = $code }
}

# Lines that matter, grouped to kinds in order of their last line. Only these are looked at one by one: a tail has 40000.
function Group-LogLine([string] $Text, [string] $Sort, [string] $Floor) {
  $rule = Get-LogRule -Sort $Sort
  $options = 'Compiled, IgnoreCase, CultureInvariant, ExplicitCapture'
  $find = [regex]::new($rule.find, $options)
  $code = [regex]::new($rule.code, $options)
  $strip = [regex]::new('^\S+ [\d:]+, \w+ +|\b[0-9a-f]{8}(@\S+)? |''[^'']*''|"[^"]*"|\S*[\\~]\S*|\[[^\]]*\]|\b(0x)?[0-9a-f]*\d[0-9a-f]*\b|\W+', $options)
  $lf = [char]10
  $kinds = @{}
  $order = 0
  $match = $find.Match($Text, 0)
  while ($match.Success) {
    $begin = 0
    if ($match.Index -gt 0) { $begin = $Text.LastIndexOf($lf, $match.Index) + 1 }
    if ($Sort -eq 'reporting') { $begin = $match.Index }
    $end = $Text.IndexOf($lf, $match.Index)
    if ($end -lt 0) { $end = $Text.Length }
    $line = $Text.Substring($begin, [Math]::Min($end - $begin, 1000)).TrimEnd()
    if ($Sort -eq 'reporting') {
      $time = $match.Groups['time'].Value
      $kind = $match.Groups['event'].Value + '|' + $match.Groups['code'].Value + '|' + $match.Groups['update'].Value
    }
    else {
      $time = $line
      $found = $code.Match($line)
      $words = $strip.Replace($line.Substring(0, [Math]::Min($line.Length, 200)), ' ')
      $kind = ($found.Value + ' ' + $words.Substring(0, [Math]::Min($words.Length, 48))).Trim()
    }
    if ($time.Length -lt 19 -or $time[4] -ne '-' -or [string]::CompareOrdinal($time, 0, $Floor, 0, 19) -ge 0) {
      $order++
      $have = $kinds[$kind]
      if ($null -eq $have) { $kinds[$kind] = @(1, $line, $line, $order) }
      else { $have[0]++; $have[2] = $line; $have[3] = $order }
    }
    if ($end -ge $Text.Length) { break }
    $match = $find.Match($Text, $end)
  }
  return @(foreach ($entry in @($kinds.GetEnumerator() | Sort-Object -Property { $_.Value[3] } -Descending)) {
    $lines = foreach ($line in $entry.Value[1..2]) { if ($line.Length -gt 300) { $line.Substring(0, 300) } else { $line } }
    @{ kind = [string]$entry.Key; count = $entry.Value[0]; first = $lines[0]; last = $lines[1] }
  })
}

# The tail of a log as kinds, or null.
function Read-Log([hashtable] $Look, [string] $Path, [string] $Sort) {
  $tail = Read-FileTail -Path $Path -Bytes $Look.log_bytes
  if ($null -eq $tail) { return $null }
  $log = @{ path = $Path; size = $tail.size; read = $tail.bytes.Length; modified = $tail.modified; kinds = @() }
  if ($tail.modified -lt $Look.since -or $tail.bytes.Length -eq 0) { return $log }
  $text = ConvertFrom-LogByte -Bytes $tail.bytes
  if ($tail.bytes.Length -lt $tail.size) { $text = $text.Substring($text.IndexOf([char]10) + 1) }
  # Lines carry local time of whatever zone was in force: a day of grace.
  $floor = [DateTimeOffset]::FromUnixTimeSeconds([Math]::Max(86400, $Look.since) - 86400).ToString('yyyy-MM-dd HH:mm:ss', [Globalization.CultureInfo]::InvariantCulture)
  $kinds = @(Group-LogLine -Text $text -Sort $Sort -Floor $floor)
  if ($Sort -eq 'reporting') {
    foreach ($kind in $kinds) {
      $event, $code, $update = $kind.kind -split '\|', 3
      $kind['_failed'] = $code -notmatch '^0*$'
      $kind['_group'] = $event
      $kind['_update'] = $update
    }
    $kinds = @(Select-Telling -Item $kinds)
  }
  $kinds = @($kinds | Select-Object -First 60)
  [array]::Reverse($kinds)
  $log.kinds = $kinds
  return $log
}

function Get-hostSection([hashtable] $Look) {
  $session = Get-SessionFact
  try { $fact = Get-HostFact }
  catch {
    $fact = @{ domain_role = $null; boot_time = $null; uptime_s = $null }
    $Look.partial = (Get-Fault $_).why
  }
  $version = 'HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion'
  $product = Get-Value $Look 'HKLM\SYSTEM\CurrentControlSet\Control\ProductOptions' ProductType
  $Look.domain_role = $fact.domain_role
  if ($fact.domain_role -in 1, 3, 4, 5) { $Look.domain = Get-Value $Look 'HKLM\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters' Domain }
  return $session + $fact + @{
    build = [int](Get-Value $Look $version CurrentBuildNumber)
    revision = [int](Get-Value $Look $version UBR)
    edition = Get-Value $Look $version EditionID
    product_type = @{ WinNT = 'client'; ServerNT = 'server'; LanmanNT = 'domain_controller' }["$product"]
    domain = $Look.domain
  }
}

function Get-clockSection([hashtable] $Look) {
  $local = 'HKLM\SYSTEM\CurrentControlSet\Services\W32Time'
  $policy = 'HKLM\SOFTWARE\Policies\Microsoft\W32Time'
  $set = @{}
  $force = @{}
  foreach ($name in 'Type', 'NtpServer', 'MaxPosPhaseCorrection', 'MaxNegPhaseCorrection', 'Enabled') {
    $sub = @{ Type = 'Parameters'; NtpServer = 'Parameters'; Enabled = 'TimeProviders\NtpClient' }[$name]
    if (-not $sub) { $sub = 'Config' }
    $force[$name] = Get-Value $Look "$local\$sub" $name
    $value = Get-Value $Look "$policy\$sub" $name
    if ($null -eq $value) { continue }
    $force[$name] = $value
    if ($name -ne 'Enabled') { $set[$name] = $value }
  }
  $servers = @("$($force.NtpServer)" -split '\s+' | Where-Object { $_ })
  $ask = @()
  if ($force.Type -in 'NTP', 'AllSync') { $ask += @($servers -replace ',.*', '') }
  # A member's source is a domain controller; the domain's own name answers with one. A controller would ask itself.
  if ($force.Type -in 'NT5DS', 'AllSync' -and $Look.domain -and $Look.domain_role -lt 4) { $ask += $Look.domain }
  $sources = @(foreach ($server in @(@($ask) + @($Look.servers) | Where-Object { $_ } | Select-Object -Unique -First 6)) {
    $source = @{ server = $server; ok = $false; offset_ms = $null; rtt_ms = $null; stratum = $null; error = $null }
    try {
      # Resolving a name has no limit of its own.
      $answer = Invoke-Helper $Look Invoke-SntpQuery -Argument @{ Server = $server; TimeoutMs = $Look.sntp_ms } -TimeoutMs ($Look.sntp_ms + 1500)
      foreach ($name in 'offset_ms', 'rtt_ms', 'stratum') { $source[$name] = $answer[$name] }
      $source.ok = $true
    }
    catch { $source.error = (Get-Fault $_).why }
    $source
  })
  return @{
    start_ms = $Look.start_ms; end_ms = $Look.start_ms; zone = Get-TimeZoneId; type = $force.Type; servers = $servers; policy = $set
    max_pos = $force.MaxPosPhaseCorrection; max_neg = $force.MaxNegPhaseCorrection; client_enabled = $force.Enabled; sources = $sources
  }
}

function Get-servicesSection([hashtable] $Look) {
  $table = Get-ServiceTable -Name $Look.names
  return @{ services = @(foreach ($name in $Look.names) {
    $row = @{ name = $name; exists = $table.ContainsKey($name); start = $null; delayed = $false; state = $null; pid = 0; shared = 0; dependents = @() }
    if ($row.exists) { foreach ($field in @($table[$name].Keys)) { $row[$field] = $table[$name][$field] } }
    $row.dependents = @($row.dependents)
    $row
  }) }
}

function Get-historySection([hashtable] $Look) {
  $history = Invoke-Helper $Look Get-UpdateHistory -Argument @{ Max = 300 } -TimeoutMs 15000
  $entries = @(foreach ($entry in @($history.entries | Where-Object { $_.time -ge $Look.since })) {
    if ($entry.title.Length -gt 100) { $entry.title = $entry.title.Substring(0, 100) }
    $entry['_failed'] = $entry.result -notin 1, 2
    $entry['_group'] = "$($entry.operation) $($entry.result)"
    $entry['_update'] = $entry.update_id
    $entry
  })
  return @{ total = $history.total; entries = @(Select-Telling -Item $entries | Select-Object -First 50) }
}

# Provider, id, time and the data fields of an event; UserData flattened.
function ConvertFrom-EventXml([string] $Text, [string] $Channel) {
  $xml = [xml]$Text
  $system = @{}
  foreach ($node in $xml.DocumentElement.SelectSingleNode('*[local-name()="System"]').ChildNodes) { $system[$node.LocalName] = $node }
  $data = @{}
  $position = 0
  foreach ($node in $xml.DocumentElement.SelectNodes('*[local-name()="EventData" or local-name()="UserData"]//*[not(*)]')) {
    $name = $node.GetAttribute('Name')
    $value = $node.InnerText.Trim()
    if ($node.LocalName -eq 'Data') { $position++ }
    if (-not $name) { $name = if ($node.LocalName -eq 'Data') { "param$position" } else { $node.LocalName } }
    # The service manager names a service in the reader's language; its key name stands in the binary, as UTF-16 in hex.
    if ($name -eq 'Binary') {
      if ($value -notmatch '^([2-7][0-9A-F]00)+') { continue }
      $name = 'service'
      $value = -join ([regex]::Matches($Matches[0], '..(?=00)') | ForEach-Object { [char][Convert]::ToInt32($_.Value, 16) })
    }
    if ($value) { $data[$name] = $value.Substring(0, [Math]::Min(120, $value.Length)) }
  }
  $time = [DateTimeOffset]::Parse($system['TimeCreated'].GetAttribute('SystemTime').Substring(0, 19) + 'Z', [Globalization.CultureInfo]::InvariantCulture)
  return @{
    channel = $Channel; provider = $system['Provider'].GetAttribute('Name'); id = [int]$system['EventID'].InnerText
    time = $time.ToUnixTimeSeconds(); record = [long]$system['EventRecordID'].InnerText; data = $data
  }
}

function Get-eventsSection([hashtable] $Look) {
  $wu = 'Microsoft-Windows-WindowsUpdateClient'
  $time = 'Microsoft-Windows-Time-Service'
  # Channel, provider, ids (an expression of XPath may hold some twenty terms), those of them that tell no failure, most to read.
  $rows = @(
    , @('System', $wu, '16,19-22,43,44', (19, 21, 22, 43, 44), 250)
    , @("$wu/Operational", $wu, '25,26,31,34,35,40,41', (26, 40, 41), 200)
    , @('Setup', 'Microsoft-Windows-Servicing', '2-4', (2, 4), 100)
    , @('System', 'Service Control Manager', '7000,7001,7009,7022-7024,7031,7034,7040', @(7040), 60)
    , @('System', $time, '17,22,24,29,34-38,47,50,129-131,134,142', (35, 37), 20)
    , @('System', 'Microsoft-Windows-Kernel-General', '1', @(), 50)
    , @("$time/Operational", $time, '257-266', (257..266), 10)
  )
  $since = [DateTimeOffset]::FromUnixTimeSeconds($Look.since).ToString('yyyy-MM-ddTHH:mm:ss.000Z', [Globalization.CultureInfo]::InvariantCulture)
  $faults = @()
  $records = @(foreach ($row in $rows) {
    $channel, $provider, $ids, $calm, $max = $row
    $terms = foreach ($id in $ids -split ',') { if ($id -match '(.*)-(.*)') { "(EventID>=$($Matches[1]) and EventID<=$($Matches[2]))" } else { "EventID=$id" } }
    $xpath = "*[System[Provider[@Name='$provider'] and ($($terms -join ' or ')) and TimeCreated[@SystemTime>='$since']]]"
    try { $texts = @(Read-EventRecord -Channel $channel -XPath $xpath -Max $max -TimeoutMs 3000) }
    catch {
      $fault = Get-Fault $_
      if ($fault.status -ne 'absent') { $faults += "${channel}: $($fault.why)"; $status = $fault.status }
      continue
    }
    $of = @(foreach ($text in $texts) {
      $record = ConvertFrom-EventXml -Text $text -Channel $channel
      $data = $record.data
      $service = "$($data['service'])$($data['param4'])"
      if ($max -eq 60 -and $service -and $service -notin $Look.names) { continue }
      # The clock is slewed all day; a step of a minute tells something.
      if ($max -eq 50 -and $data['NewTime'] -and $data['OldTime'] -and
        [Math]::Abs(([DateTimeOffset]$data['NewTime'] - [DateTimeOffset]$data['OldTime']).TotalSeconds) -lt 60) { continue }
      $record['_failed'] = $record.id -notin $calm
      $record['_group'] = "$($record.id) $service"
      $record['_update'] = $data['updateGuid']
      $record
    })
    Select-Telling -Item $of
  })
  if ($faults) {
    if (-not $records) { $Look.status = $status }
    $Look.partial = ($faults | Select-Object -Unique) -join '; '
  }
  return @{ records = @($records | Sort-Object -Property { $_.time }, { $_.record } -Descending | Select-Object -First 200) }
}

function Get-reportingSection([hashtable] $Look) {
  return Read-Log $Look "$($Look.windows)\SoftwareDistribution\ReportingEvents.log" reporting
}

function Get-cbsSection([hashtable] $Look) {
  return Read-Log $Look "$($Look.windows)\Logs\CBS\CBS.log" cbs
}

function Get-servicingSection([hashtable] $Look) {
  $cbs = 'HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing'
  $installer = $null -ne (Read-RegistryKey 'HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Installer\InProgress')
  $sessions = Read-RegistryKey "$cbs\SessionsPending"
  return @{
    in_progress = Get-Value $Look "$cbs\Interface" ServicingInProgress
    processes = @(Get-ProcessName -Name 'TiWorker', 'msiexec', 'SetupHost', 'setupprep' | Where-Object { $_ -ne 'msiexec' -or $installer })
    sessions_pending = if ($sessions) { @($sessions['subkeys']).Length } else { $null }
    installer_in_progress = $installer
    setup_in_progress = 1 -eq (Get-Value $Look 'HKLM\SYSTEM\Setup' SystemSetupInProgress)
    upgrade_in_progress = 1 -eq (Get-Value $Look 'HKLM\SYSTEM\Setup' UpgradeInProgress)
  }
}

function Get-rebootSection([hashtable] $Look) {
  $version = 'HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion'
  $control = 'HKLM\SYSTEM\CurrentControlSet'
  $manager = 'HKLM\SOFTWARE\Microsoft\ServerManager'
  # Marker, key, and what of it is the sign: the key itself, a value that is there or one that is not 0.
  $rows = @(
    , @('cbs_reboot_pending', "$version\Component Based Servicing\RebootPending")
    , @('cbs_reboot_in_progress', "$version\Component Based Servicing\RebootInProgress")
    , @('cbs_packages_pending', "$version\Component Based Servicing\PackagesPending")
    , @('wu_reboot_required', "$version\WindowsUpdate\Auto Update\RebootRequired")
    , @('wu_post_reboot_reporting', "$version\WindowsUpdate\Auto Update\PostRebootReporting")
    , @('server_manager', "$manager\CurrentRebootAttempts")
    , @('server_manager', "$manager\ServicingStorage\ServerComponentCache", 'RestartRequired')
    , @('update_exe_volatile', 'HKLM\SOFTWARE\Microsoft\Updates', 'UpdateExeVolatile')
    , @('dvd_reboot_signal', "$version\RunOnce", 'DVDRebootSignal')
    , @('netlogon_join', "$control\Services\Netlogon", 'JoinDomain')
    , @('netlogon_join', "$control\Services\Netlogon", 'AvoidSpnSet')
  )
  $markers = @(foreach ($row in $rows) {
    $sign = if ($row[2]) { Get-Value $Look $row[1] $row[2] } else { Read-RegistryKey $row[1] }
    if ($null -ne $sign -and "$sign" -ne '0') { $row[0] }
  })
  $pending = Read-RegistryKey "$version\WindowsUpdate\Services\Pending"
  if ($pending -and @($pending['subkeys']).Length) { $markers += 'wu_services_pending' }
  $files = 0
  foreach ($name in 'PendingFileRenameOperations', 'PendingFileRenameOperations2') {
    # Pairs of source and target; the target may be empty.
    $files += [int][Math]::Ceiling(@(Get-Value $Look "$control\Control\Session Manager" $name | Where-Object { $null -ne $_ }).Length / 2)
  }
  if ($files) { $markers += 'file_renames' }
  $active = Get-Value $Look "$control\Control\ComputerName\ActiveComputerName" ComputerName
  if ($active -and $active -ne (Get-Value $Look "$control\Control\ComputerName\ComputerName" ComputerName)) { $markers += 'computer_rename' }
  return @{ markers = @($markers | Sort-Object -Unique); file_renames = $files }
}

function Get-policySection([hashtable] $Look) {
  $wu = 'HKLM\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate'
  $version = 'HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies'
  $mdm = 'HKLM\SOFTWARE\Microsoft\PolicyManager\current\device'
  return @{
    wu = Get-ValueTable $wu
    au = Get-ValueTable "$wu\AU"
    user = (Get-ValueTable "$version\WindowsUpdate") + (Get-ValueTable "$version\Explorer" -Match '^No(AutoUpdate|WindowsUpdate)$')
    ux = Get-ValueTable 'HKLM\SOFTWARE\Microsoft\WindowsUpdate\UX\Settings' -Match '^(Pause|Flight|Defer|Branch|Exclude|Target|IsExpedited)'
    mdm = Get-ValueTable "$mdm\Update" -Match '^(?!.*_(ProviderSet|WinningProvider|LastWrite))'
    mdm_wins = Get-Value $Look "$mdm\ControlPolicyConflict" MDMWinsOverGP
    servicing = Get-ValueTable "$version\Servicing"
    configmgr = $null -ne (Read-RegistryKey 'HKLM\SYSTEM\CurrentControlSet\Services\CcmExec')
  }
}

function Get-sourcesSection([hashtable] $Look) {
  $data = @{ services = $null; last_search = $null; last_install = $null; endpoints = @() }
  $faults = @()
  try { $data.services = @(Invoke-Helper $Look Get-UpdateService -TimeoutMs 10000) }
  catch { $faults += (Get-Fault $_).why }
  try {
    $dates = Invoke-Helper $Look Get-UpdateResult -TimeoutMs 10000
    $data.last_search = $dates.last_search
    $data.last_install = $dates.last_install
  }
  catch { $faults += (Get-Fault $_).why }
  $wu = 'HKLM\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate'
  $internet = 'HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Internet Settings'
  $ask = @{}
  if (1 -eq (Get-Value $Look "$wu\AU" UseWUServer)) { $ask.wsus = Get-Value $Look $wu WUServer }
  if (1 -eq (Get-Value $Look $internet ProxyEnable)) {
    $ask.proxy = 'http://' + ("$(Get-Value $Look $internet ProxyServer)" -replace '^.*?(https?=|$)', '' -replace ';.*', '' -replace '^https?://', '')
  }
  $data.endpoints = @(foreach ($role in $ask.Keys) {
    $url = $ask[$role] -as [uri]
    if ($null -eq $url -or -not $url.Host) { continue }
    $answer = Test-TcpConnect -Server $url.DnsSafeHost -Port $url.Port -TimeoutMs $Look.connect_ms
    @{ role = $role; host = $url.DnsSafeHost; port = $url.Port; ok = $answer.ok; ms = $answer.ms; error = $answer.error }
  })
  if ($faults) { $Look.partial = ($faults | Select-Object -Unique) -join '; ' }
  return $data
}

function Get-cacheSection([hashtable] $Look) {
  return @{ folders = @(foreach ($name in 'SoftwareDistribution', 'catroot2') {
    $parent = if ($name -eq 'catroot2') { "$($Look.windows)\System32" } else { $Look.windows }
    $folder = @{
      name = $name; path = "$parent\$name"; exists = $false; reparse = $false; created = $null; files = 0; bytes = 0; complete = $true
      data_store = $null; data_store_created = $null; backups = @(Get-ChildName -Path $parent -Filter "$name.wu_repair-*")
    }
    $fact = Get-FolderFact -Path $folder.path
    if ($fact) {
      $size = Measure-Folder -Path $folder.path -MaxFiles 50000 -MaxMs 2000
      $folder.exists = $true
      foreach ($key in @($fact.Keys)) { $folder[$key] = $fact[$key] }
      foreach ($key in @($size.Keys)) { $folder[$key] = $size[$key] }
      if ($name -eq 'SoftwareDistribution') {
        $store = Get-FileFact -Path "$($folder.path)\DataStore\DataStore.edb"
        $folder.data_store = $null -ne $store
        if ($store) { $folder.data_store_created = $store.created }
      }
    }
    $folder
  }) }
}

function Get-diskSection([hashtable] $Look) {
  return @{ drive = $Look.drive } + (Get-DriveFact -Drive $Look.drive)
}

function Get-upgradeSection([hashtable] $Look) {
  $setup = 'HKLM\SYSTEM\Setup'
  $diag = Get-ValueTable "$setup\SetupDiag\Results"
  if ($diag.psbase.Count -eq 0) { $diag = Get-ValueTable "$setup\MoSetup\Volatile\SetupDiag" }
  $folders = "$($Look.drive)\`$WINDOWS.~BT\Sources\Panther", "$($Look.drive)\`$WINDOWS.~BT\Sources\Rollback", "$($Look.windows)\Panther"
  return @{
    osupgrade = Get-ValueTable 'HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\OSUpgrade'
    box_result = Get-Value $Look "$setup\MoSetup\Volatile" BoxResult
    failure_count = Get-Value $Look "$setup\MoSetup\Tracking" FailureCount
    install_attempts = Get-Value $Look "$setup\MoSetup\Tracking" InstallAttempts
    setupdiag = if ($diag.psbase.Count) { $diag } else { $null }
    logs = @(foreach ($folder in $folders) { $log = Read-Log $Look "$folder\setuperr.log" setup; if ($log) { $log } })
  }
}

function Get-runsSection([hashtable] $Look) {
  return @{ folders = @(Get-ChildName -Path "$($Look.program_data)\winfleet\wu_repair\runs" -Filter '*' | Select-Object -Last 50) }
}

function Get-scanSection([hashtable] $Look) {
  $clock = [Diagnostics.Stopwatch]::StartNew()
  try { $scan = Invoke-Helper $Look Invoke-UpdateSearch -Argument @{ Criteria = 'IsInstalled=0 and IsHidden=0' } -TimeoutMs $Look.scan_ms }
  catch {
    $fault = Get-Fault $_
    if ($fault.status -ne 'failed' -or -not $fault.code) { throw }
    # A search that failed with a code is a finding, not a fault of the look.
    $scan = @{ result = $null; hresult = $fault.code; count = $null; warnings = @() }
  }
  $scan.warnings = @($scan.warnings)
  $scan.seconds = [int]$clock.Elapsed.TotalSeconds
  return $scan
}

# Cut lists and lines, the same way each time, until the document fits; cut sections become partial.
function Limit-Evidence([hashtable] $Sections, [int] $Max = 46000) {
  foreach ($limit in (40, 200), (25, 160), (15, 120), (8, 100), (3, 60)) {
    if ((ConvertTo-JsonText $Sections).Length -le $Max) { return }
    foreach ($name in @($Sections.Keys)) {
      $section = $Sections[$name]
      if ((ConvertTo-JsonText $section).Length -lt $Max / 12) { continue }
      foreach ($holder in @($section.data) + @($section.data.logs)) {
        foreach ($key in 'records', 'entries', 'kinds') {
          if ($null -eq $holder -or -not $holder[$key]) { continue }
          # Kinds end with the newest, the others begin with it.
          $kept = if ($key -eq 'kinds') { @{ Last = $limit[0] } } else { @{ First = $limit[0] } }
          $holder[$key] = @($holder[$key] | Select-Object @kept)
          foreach ($one in $holder[$key]) {
            foreach ($field in 'first', 'last', 'title') {
              if ("$($one[$field])".Length -gt $limit[1]) { $one[$field] = $one[$field].Substring(0, $limit[1]) }
            }
          }
          $section.status = 'partial'
          $section.why = 'cut to fit'
        }
      }
    }
  }
}

# One section with its status; whatever happens in it stays in it.
function Invoke-Section([hashtable] $Look, [string] $Name) {
  $clock = [Diagnostics.Stopwatch]::StartNew()
  $Look.partial = $null
  $Look.status = 'partial'
  $section = @{ status = 'ok'; ms = 0; why = $null; data = $null }
  try {
    if ($Look.clock.ElapsedMilliseconds -gt $Look.budget_ms) { throw [TimeoutException]::new('the time of the look was over') }
    $section.data = & "Get-${Name}Section" -Look $Look
    if ($null -eq $section.data) { $section.status = 'absent' }
    if ($Look.partial) {
      $section.status = $Look.status
      $section.why = $Look.partial
    }
  }
  catch {
    $fault = Get-Fault $_
    $section.status = $fault.status
    $section.why = $fault.why
  }
  $section.ms = $clock.ElapsedMilliseconds
  return $section
}

# The reply to a request to observe.
# The limits of a look; key refused holds why it is none.
function New-Look([hashtable] $Request) {
  $look = @{ clock = [Diagnostics.Stopwatch]::StartNew(); keys = @{}; refused = $null; servers = @($Request['servers'] | Where-Object { $_ }) }
  $look.names = 'wuauserv', 'BITS', 'CryptSvc', 'TrustedInstaller', 'msiserver', 'AppIDSvc', 'wlidsvc', 'UsoSvc', 'DoSvc', 'WaaSMedicSvc', 'W32Time'
  $look.asked = @($Request['sections'] | Where-Object { $_ })
  # The cheap before the dear; the search last, because it alone may take minutes.
  $look.always = 'host', 'services', 'servicing', 'reboot', 'runs'
  $look.others = 'policy', 'disk', 'upgrade', 'cache', 'reporting', 'cbs', 'clock', 'events', 'history', 'sources', 'scan'
  $limits = @{ since = 0; budget_ms = 30000; scan_ms = 120000; sntp_ms = 1000; connect_ms = 1500; log_bytes = 4194304 }
  foreach ($name in $limits.Keys) {
    $look[$name] = if ($null -eq $Request[$name]) { $limits[$name] } else { $Request[$name] }
    if (($look[$name] -isnot [int] -and $look[$name] -isnot [long]) -or $look[$name] -lt 0) { $look.refused = "$name is not a number" }
  }
  $unknown = @($look.asked | Where-Object { $_ -notin ($look.always + $look.others) })
  if ($unknown) { $look.refused = "unknown section $($unknown[0])" }
  if ($Request['schema'] -ne 1 -or $Request['op'] -ne 'observe') { $look.refused = 'this agent observes by schema 1 alone' }
  $look.windows = if ($env:SystemRoot) { $env:SystemRoot } else { 'C:\Windows' }
  $look.drive = $look.windows.Substring(0, 2)
  $look.program_data = if ($env:ProgramData) { $env:ProgramData } else { 'C:\ProgramData' }
  return $look
}

# The reply to a request to observe.
function Get-Observation([hashtable] $Request) {
  $look = New-Look -Request $Request
  if ($look.refused) { return @{ schema = 1; refused = $look.refused } }
  $look.start_ms = Get-HostClock
  $sections = @{}
  foreach ($name in $look.always + @($look.others | Where-Object { $_ -in $look.asked })) { $sections[$name] = Invoke-Section -Look $look -Name $name }
  if ($sections.clock.data) { $sections.clock.data.end_ms = Get-HostClock }
  Limit-Evidence -Sections $sections
  return @{ schema = 1; op = 'observe'; sections = $sections }
}

Export-ModuleMember -Function @(
  'ConvertTo-JsonText', 'ConvertTo-PlainData', 'Get-Fault', 'Get-Observation', 'Get-clockSection', 'Get-hostSection', 'Get-rebootSection'
  'Get-servicingSection', 'New-Look'
)
