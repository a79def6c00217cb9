# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

# PRIVATE: what a look gathers. It reads, filters and bounds; what it means is decided where it arrives.

#Requires -Version 5.1

# JSON in ASCII: 5.1 leaves letters to the console's code page.
function ConvertTo-JsonText([object] $Value) {
  $json = ConvertTo-Json -InputObject $Value -Compress -Depth 9
  if ($json -notmatch '[^\x20-\x7e]') { return $json }
  # Half of a surrogate pair (a cut line) is not a character that Python may write again.
  return [regex]::Replace(($json -replace '[\ud800-\udfff]+', '?'), '[^\x20-\x7e]', { '\u{0:x4}' -f [int]$args[0].Value[0] })
}

function Limit-Text([string] $Text, $Max) { return $Text -replace "(?s)^(.{$Max}).*", '$1' }

# What an error record says, as it is.
function Get-Fault([object] $Record) {
  $fault = $Record.Exception
  while ($fault.InnerException) { $fault = $fault.InnerException }
  $code = $fault.HResult
  if ($fault -is [ComponentModel.Win32Exception]) { $code = -2147024896 -bor $fault.NativeErrorCode }
  $why = ([string]$fault.Message -replace '\s+', ' ').Trim()
  # 0x8013.... is .NET's own, which says nothing about Windows.
  if (($code -shr 16) -eq -32749) { $code = $null } elseif ($code) { $why += ' (0x{0:X8})' -f $code }
  return @{ type = "$($fault.GetType().Name) $($fault.NativeErrorCode)"; code = $code; why = Limit-Text $why 200 }
}

function Add-Fault($Look, [hashtable] $Fault = @{ type = 'Cut'; why = 'cut to fit' }) {
  if ($Fault['why'] -notin $Look['faults'].why) { $Look['faults'] += $Fault }
}

# What each section reads of the registry: a key below HKLM (short, see Get-RegistryPart) and the values to send.
# -: that the key is there. #: how many subkeys it has.
function Get-RegistryTable {
  return @{
    host = @'
MS\Windows NT\CurrentVersion;CurrentBuildNumber|UBR|EditionID
CCS\Control\ProductOptions;ProductType
CCS\Services\Tcpip\Parameters;Domain
'@
    clock = @'
CCS\Services\W32Time\Parameters;Type|NtpServer
CCS\Services\W32Time\Config;Max(Pos|Neg)PhaseCorrection
CCS\Services\W32Time\TimeProviders\NtpClient;Enabled
POL\W32Time\Parameters;Type|NtpServer
POL\W32Time\Config;Max(Pos|Neg)PhaseCorrection
POL\W32Time\TimeProviders\NtpClient;Enabled
'@
    servicing = @'
CBS\Interface;ServicingInProgress
CBS\SessionsPending;#
CV\Installer\InProgress;-
SYSTEM\Setup;(SystemSetup|Upgrade)InProgress
'@
    reboot = @'
CBS\RebootPending;-
CBS\RebootInProgress;-
CBS\PackagesPending;-
CV\WindowsUpdate\Auto Update\RebootRequired;-
CV\WindowsUpdate\Auto Update\PostRebootReporting;-
CV\WindowsUpdate\Services\Pending;#
CV\RunOnce;DVDRebootSignal
MS\ServerManager\CurrentRebootAttempts;-
MS\ServerManager\ServicingStorage\ServerComponentCache;RestartRequired
MS\Updates;UpdateExeVolatile
CCS\Services\Netlogon;JoinDomain|AvoidSpnSet
CCS\Control\Session Manager;PendingFileRenameOperations2?
CCS\Control\ComputerName\ActiveComputerName;ComputerName
CCS\Control\ComputerName\ComputerName;ComputerName
'@
    policy = @'
POL\Windows\WindowsUpdate;.*
POL\Windows\WindowsUpdate\AU;.*
CV\Policies\WindowsUpdate;.*
CV\Policies\Explorer;No(AutoUpdate|WindowsUpdate)
CV\Policies\Servicing;.*
MS\WindowsUpdate\UX\Settings;(Pause|Flight|Defer|Branch|Exclude|Target|IsExpedited).*
MS\PolicyManager\current\device\Update;(?!.*_(ProviderSet|WinningProvider|LastWrite)).*
MS\PolicyManager\current\device\ControlPolicyConflict;MDMWinsOverGP
CCS\Services\CcmExec;-
'@
    sources = @'
POL\Windows\WindowsUpdate;WUServer
POL\Windows\WindowsUpdate\AU;UseWUServer
CV\Internet Settings;Proxy(Enable|Server)
'@
    upgrade = @'
CV\WindowsUpdate\OSUpgrade;.*
SYSTEM\Setup\MoSetup\Volatile;BoxResult
SYSTEM\Setup\MoSetup\Tracking;FailureCount|InstallAttempts
SYSTEM\Setup\SetupDiag\Results;.*
SYSTEM\Setup\MoSetup\Volatile\SetupDiag;.*
'@
  }
}

# The registry's part of a section: what is there, as numbers and text, without credentials in addresses.
function Get-RegistryPart($Look, [string] $Section) {
  $part = @{}
  foreach ($row in $Look['table'][$Section] -split '\r?\n') {
    $short, $match = $row -split ';', 2
    $key = $short -replace '^CBS', 'CV\Component Based Servicing' -replace '^CV', 'MS\Windows\CurrentVersion' -replace '^MS', 'SOFTWARE\Microsoft' `
      -replace '^POL', 'SOFTWARE\Policies\Microsoft' -replace '^CCS', 'SYSTEM\CurrentControlSet'
    $read = Read-RegistryKey -Key "HKLM\$key"
    if ($null -eq $read) { continue }
    $values = @{}
    if ($match -eq '#') { $values['#'] = @($read['subkeys']).Length }
    foreach ($name in [string[]]@($read['values'].psbase.Keys -match "^($match)$" | Sort-Object)) {
      $value = $read['values'][$name]
      if ($value -is [string]) {
        $value = Limit-Text ($value -replace '(://)[^/@\s]*@', '$1') 400
      }
      # Of a list its length.
      elseif ($value -isnot [ValueType]) { $value = @($value).Length }
      $Look['room'] -= "$name$value".Length + 6
      if ($Look['room'] -lt 0) { Add-Fault $Look }
      else { $values[$name] = $value }
    }
    if ($match -eq '-' -or $values.psbase.Count) { $part[$short] = $values }
  }
  return $part
}

# Of items, newest first: every failure, every item of an update that failed (a later success overtakes it) and the newest of each
# group, until there is no more room. Each tells: failed, group, update.
function Select-Telling($Look, [object[]] $Item, $Room = 6500) {
  $sick = @{}
  foreach ($one in $Item) { if ($one['tells'][0]) { $sick["$($one['tells'][2])"] = $true } }
  $sick.Remove('')
  $seen = @{}
  foreach ($one in $Item) {
    $failed, $group, $update = $one['tells']
    if (-not $failed -and $seen["$group"] -and -not $sick["$update"]) { continue }
    $seen["$group"] = $true
    $one.Remove('tells')
    $Room -= (ConvertTo-JsonText $one).Length + 1
    if ($Room -lt 0) {
      Add-Fault $Look
      break
    }
    $one
  }
}

# Text of a log, or of a slice of one that may begin within a character.
function ConvertFrom-LogByte([byte[]] $Bytes) {
  $text = [Text.Encoding]::UTF8.GetString($Bytes)
  # In UTF-16LE a NUL follows each letter of ASCII: the first at an odd place, unless the slice began within a character.
  $parts = (Limit-Text $text 400) -split '\0'
  if (@($parts -ne '').Length -gt 25) {
    $begin = 1 - $parts[0].Length % 2
    $text = [Text.Encoding]::Unicode.GetString($Bytes, $begin, ($Bytes.Length - $begin) -band -2)
  }
  # What is not UTF-8 became U+FFFD; so does a character of which the slice has the end alone.
  elseif ($text -match '(?s)^.{3}.*\uFFFD') { $text = [Text.Encoding]::GetEncoding(28591).GetString($Bytes) }
  return $text -replace '^\uFEFF'
}

# The tail of a log as kinds: lines that matter, those alike as one, in order of their last line. Only lines that hold a code or a word
# of note are looked at one by one: a tail has 40000.
function Read-Log($Look, [string] $Path, [string] $Sort, $Room = 6500) {
  $tail = Read-FileTail -Path $Path -Bytes $Look['log_bytes']
  if ($null -eq $tail) { return }
  $read = $tail['bytes'].Length
  $log = @{ path = $Path; size = $tail['size']; read = $read; modified = $tail['modified']; kinds = @() }
  if ($tail['modified'] -lt $Look['since'] -or $read -eq 0) { return $log }
  $text = ConvertFrom-LogByte $tail['bytes']
  # The first line of a slice may lack its begin.
  if ($read -lt $tail['size']) { $text = $text -replace '^[^\n]*\n' }
  # Lines carry local time of whatever zone was in force: a day of grace.
  $floor = [DateTimeOffset]::FromUnixTimeSeconds($Look['since'] - 86400).ToString('u')
  $options = 'IgnoreCase, CultureInvariant, ExplicitCapture'
  # Compiling costs more than a short log.
  if ($text.Length -gt 300000) { $options += ', Compiled' }
  $code = [regex]::new('0x[8c][0-9a-f]{7}(?![0-9a-f])|(HRESULT|error|\(F\)|hr|Result)[ =:[]{1,4}[8c][0-9a-f]{7}(?![0-9a-f])', $options)
  $words = '\[SR\] (?!Verifying|Verify complete|Beginning|This component was)|Corrupt|CSI Payload|CSI Manifest|Repair(ed|ing)? (failed|complete|\d)|' +
    'Total Detected|\(Fixed\)|Checking System Update Readiness|CheckSur|Operation result|Hydration failed|rollback|PANIC|fatal error'
  $begin = if ($Sort -eq 'reporting') { '\{[^\t\n]*(\t[^\t\n]*){2}\t\d[^\t\n]*(\t[^\t\n]*){3}\t[0-9a-f]+\t' } else { "[^\n]*?($code|$words)" }
  # What differs between lines that are alike.
  $vary = [regex]::new('^\S+ [\d:]+, \w+ +|\b[0-9a-f]{8}(@\S+)? |''[^'']*''|"[^"]*"|\S*[\\~]\S*|\[[^\]]*\]|\b(0x)?[0-9a-f]*\d[0-9a-f]*\b|\W+', $options)
  $kinds = @{}
  foreach ($match in [regex]::new("(?<=^|\n)$begin[^\r\n]*", $options).Matches($text)) {
    $line = Limit-Text $match.Value 1000
    if ($Sort -eq 'reporting') {
      $column = $line -split '\t'
      $time = $column[1]
      $tells = @(($column[7] -notmatch '^0+$'), ($column[3] -replace '\D.*'), $column[5])
      $kind = "$($column[7]) $tells"
      $need = "$($column[0..7])".Length
    }
    else {
      $time = Limit-Text $line 19
      $tells = @($true)
      $found = $code.Match($line)
      $kind = $found.Value + (Limit-Text $vary.Replace((Limit-Text $line 200), ' ') 48)
      $need = $found.Index + $found.Length
    }
    if ($time -notmatch '^\d{4}-.{14}' -or $time -ge $floor) {
      $have = $kinds[$kind]
      if ($null -eq $have) { $kinds[$kind] = $have = @{ count = 0; first = $time; tells = $tells } }
      $have['count']++
      $have['last'] = $line -replace '\s+$'
      $have['order'] = $match.Index, $need
    }
  }
  $rank = 0
  $log['kinds'] = @(Select-Telling $Look -Room $Room -Item @(foreach ($kind in $kinds.Values | Sort-Object -Property { $_['order'][0] } -Descending) {
    if ($rank++ -ge 2000) { break }
    if ($kind['count'] -eq 1) { $kind['first'] = $null }
    # An older kind ends with its code.
    $keep = if ($rank -le 20) { 300 } else { [Math]::Min(300, [Math]::Max(160, $kind['order'][1])) }
    $kind['last'] = Limit-Text $kind['last'] $keep
    $kind.Remove('order')
    $kind
  }))
  [array]::Reverse($log['kinds'])
  return $log
}

# Each of these completes the data of its section, which begin with the registry's part.
function Get-hostSection($Look, $Data) {
  return $Data + (Get-SessionFact)
}

# What CIM knows, a part of host.
function Get-factSection($Look) {
  $fact = Get-HostFact
  $Look['role'] = $fact['domain_role']
  if ($Look['role'] -in 1, 3, 4, 5) { $Look['domain'] = (Read-RegistryKey -Key 'HKLM\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters')['values']['Domain'] }
  return $fact
}

function Get-clockSection($Look, $Data) {
  $set = @{}
  foreach ($key in 'CCS\Services', 'POL') {
    $values = $Data['registry']["$key\W32Time\Parameters"]
    if ($values) { foreach ($name in $values.Keys) { $set[$name] = $values[$name] } }
  }
  $ask = @()
  if ($set['Type'] -in 'NTP', 'AllSync') { $ask += "$($set['NtpServer'])" -split '\s+' -replace ',.*' }
  # A member's source is a domain controller; the domain's own name answers with one. A controller would ask itself.
  if ($set['Type'] -in 'NT5DS', 'AllSync' -and $Look['role'] -lt 4) { $ask += "$($Look['domain'])" }
  $Data['sources'] = @(foreach ($server in @($ask + $Look['servers'] -ne '' | Select-Object -Unique -First 6)) {
    try { @{ server = $server; ok = $true } + (Invoke-SntpQuery -Server $server -TimeoutMs $Look['sntp_ms']) }
    catch { @{ server = $server; ok = $false; error = (Get-Fault $_).why } }
  })
  return $Data + @{ start_ms = $Look['start_ms']; end_ms = Get-HostClock; zone = Get-TimeZoneId }
}

function Get-historySection($Look) {
  $history = Get-UpdateHistory -Max 300
  $entries = @(foreach ($entry in $history['entries']) {
    if ($entry['time'] -lt $Look['since']) { continue }
    $entry['title'] = Limit-Text $entry['title'] 100
    $entry['tells'] = @(($entry['result'] -notin 1, 2), "$($entry['operation']) $($entry['result'])", $entry['update_id'])
    $entry
  })
  return @{ total = $history['total']; entries = @(Select-Telling $Look -Item $entries) }
}

# Id, time and the data fields of an event; UserData flattened. A document each would cost several times as much.
function ConvertFrom-EventXml([string] $Text) {
  if ($Text -notmatch '(?s)<EventID[^>]*>\s*(\d+).*?SystemTime=.(.{19}).*?<EventRecordID>\s*(\d+).*?</System>(.*)') { throw 'an event that is none' }
  $data = @{}
  $record = @{ id = [int]$Matches[1]; time = ([DateTimeOffset]($Matches[2] + 'Z')).ToUnixTimeSeconds(); record = [long]$Matches[3]; data = $data }
  $position = 0
  foreach ($leaf in [regex]::Matches($Matches[4], '<([\w.-]+)([^<>]*?)(/>|>([^<]*)</\1>)')) {
    $name = $leaf.Groups[1].Value
    $value = [Net.WebUtility]::HtmlDecode($leaf.Groups[4].Value) -replace '^\s+|\s+$'
    if ($name -eq 'Data') { $position++; $name = "param$position" }
    if ($leaf.Groups[2].Value -match '\bName=["'']([^"'']+)') { $name = $Matches[1] }
    # The service manager names a service in the reader's language; its key name stands in the binary, as UTF-16 in hex.
    if ($name -eq 'Binary') {
      if ($value -notmatch '^([2-7][0-9A-F]00)+') { continue }
      $name = 'service'
      $value = [uri]::UnescapeDataString(($Matches[0] -replace '(..)00', '%$1'))
    }
    if ($value) { $data[$name] = Limit-Text $value 120 }
  }
  return $record
}

function Get-eventsSection($Look) {
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
  # No upper bound: what a clock that was ahead wrote is told, too.
  $since = [DateTimeOffset]::FromUnixTimeSeconds($Look['since']).ToString('u') -replace ' ', 'T'
  $records = @(foreach ($row in $rows) {
    $channel, $provider, $ids, $calm, $max = $row
    $terms = foreach ($id in $ids -split ',') { if ($id -match '(.*)-(.*)') { "(EventID>=$($Matches[1]) and EventID<=$($Matches[2]))" } else { "EventID=$id" } }
    $xpath = "*[System[Provider[@Name='$provider'] and ($($terms -join ' or ')) and TimeCreated[@SystemTime>='$since']]]"
    try { $texts = @(Read-EventRecord -Channel $channel -XPath $xpath -Max $max -TimeoutMs 3000) }
    catch {
      $fault = Get-Fault $_
      $fault['why'] = "${channel}: $($fault['why'])"
      if ($fault['type'] -notmatch 'NotFound') { Add-Fault $Look $fault }
      continue
    }
    Select-Telling $Look -Room 1200 -Item @(foreach ($text in $texts) {
      $record = ConvertFrom-EventXml $text
      $data = $record['data']
      $service = "$($data['service'])$($data['param4'])"
      if ($max -eq 60 -and $service -and $service -notin $Look['names']) { continue }
      # The clock is slewed all day; a step of a minute tells something.
      if ($max -eq 50 -and $data['NewTime'] -and $data['OldTime'] -and
        [Math]::Abs(([DateTimeOffset]$data['NewTime'] - [DateTimeOffset]$data['OldTime']).TotalSeconds) -lt 60) { continue }
      $record['provider'] = $provider
      $record['tells'] = @(($record['id'] -notin $calm), "$($record['id']) $service", $data['updateGuid'])
      $record
    })
  })
  # Faults alone are no data.
  if ($Look['faults'] -and -not $records) { return $null }
  return @{ records = @($records | Sort-Object -Property { $_.time }, { $_.record } -Descending) }
}

function Get-servicingSection($Look, $Data) {
  $names = 'TiWorker', 'SetupHost', 'setupprep'
  # It lives on for minutes after an installation.
  if ($Data['registry']['CV\Installer\InProgress']) { $names += 'msiexec' }
  return $Data + @{ processes = @(Get-ProcessName -Name $names) }
}

function Get-sourcesSection($Look, $Data) {
  $set = @{}
  foreach ($values in $Data['registry'].Values) { $set += $values }
  $Data.Remove('registry')
  $ask = @{}
  if (1 -eq $set['UseWUServer']) { $ask.wsus = $set['WUServer'] }
  if (1 -eq $set['ProxyEnable']) { $ask.proxy = 'http://' + ("$($set['ProxyServer'])" -replace '^(?=.*=).*?(https?=|$)' -replace ';.*' -replace '^https?://') }
  $Data['endpoints'] = @(foreach ($role in $ask.Keys) {
    $url = $ask[$role] -as [uri]
    if ($null -eq $url -or -not $url.Host) { continue }
    @{ role = $role; host = $url.DnsSafeHost; port = $url.Port } + (Test-TcpConnect -Server $url.DnsSafeHost -Port $url.Port -TimeoutMs $Look['connect_ms'])
  })
  return $Data
}

# What the update agent knows, a part of sources.
function Get-agentSection($Look) {
  $data = @{}
  try { $data['services'] = @(Get-UpdateService) } catch { Add-Fault $Look (Get-Fault $_) }
  try { $data += Get-UpdateResult } catch { Add-Fault $Look (Get-Fault $_) }
  return $data
}

function Get-cacheSection($Look) {
  return @{ folders = @(foreach ($path in "$($Look['windows'])\SoftwareDistribution", "$($Look['windows'])\System32\catroot2") {
    $parent, $name = $path -split '\\(?=[^\\]*$)'
    $folder = @{ name = $name; path = $path; exists = $false; backups = @(Get-ChildName -Path $parent -Filter "$name.wu_repair-*") }
    $fact = Get-FolderFact -Path $path
    if ($fact) {
      $folder['exists'] = $true
      $folder['store'] = Get-FileFact -Path "$path\DataStore\DataStore.edb"
      $folder += $fact + (Measure-Folder -Path $path -MaxFiles 50000 -MaxMs 2000)
    }
    $folder
  }) }
}

function Get-upgradeSection($Look, $Data) {
  $old = $Look['drive'] + '\$WINDOWS.~BT\Sources'
  $Data['logs'] = @(foreach ($folder in "$old\Panther", "$old\Rollback", "$($Look['windows'])\Panther") { Read-Log $Look "$folder\setuperr.log" setup 1500 })
  return $Data
}

function Get-scanSection($Look) {
  $clock = [Diagnostics.Stopwatch]::StartNew()
  try { $scan = Invoke-UpdateSearch -Criteria 'IsInstalled=0 and IsHidden=0' }
  catch {
    $fault = Get-Fault $_
    # A search that failed with a code (but not for want of rights) is a finding, not a fault of the look.
    if (-not $fault.code -or $fault.code -eq -2147024891) { throw }
    $scan = @{ hresult = $fault.code }
  }
  $scan.seconds = [int]$clock.Elapsed.TotalSeconds
  return $scan
}

# The data of a section; throws.
function Get-SectionData($Look, [string] $Name) {
  $data = @{}
  if ($Look['table'][$Name]) { $data['registry'] = Get-RegistryPart $Look $Name }
  switch ($Name) {
    { $_ -in 'reboot', 'policy' } { return $data }
    'services' { return @{ services = Get-ServiceTable -Name $Look['names'] } }
    'reporting' { return Read-Log $Look "$($Look['windows'])\SoftwareDistribution\ReportingEvents.log" reporting }
    'cbs' { return Read-Log $Look "$($Look['windows'])\Logs\CBS\CBS.log" cbs 12000 }
    'disk' { return @{ drive = $Look['drive'] } + (Get-DriveFact -Drive $Look['drive']) }
    'runs' { return @{ folders = @(Get-ChildName -Path "$env:ProgramData\winfleet\wu_repair\runs" -Filter '*' | Select-Object -Last 50) } }
    default { return & "Get-${Name}Section" $Look $data }
  }
}

# One section; whatever happens in it stays in it.
function Invoke-Section($Look, [string] $Name) {
  $clock = [Diagnostics.Stopwatch]::StartNew()
  $Look['faults'] = @()
  $section = @{ data = $null }
  try {
    if ($Look['clock'].ElapsedMilliseconds -gt $Look['budget_ms']) { throw [TimeoutException]::new('the time of the look was over') }
    # By name: an index would keep the nothing of a bare return.
    $section.data = Get-SectionData $Look $Name
  }
  catch { $Look['faults'] = @(Get-Fault $_) }
  if ($Look['faults']) { $section['faults'] = $Look['faults'] }
  $section['ms'] = $clock.ElapsedMilliseconds
  return $section
}

# The limits of a look; key refused holds why it is none.
function New-Look([object] $Request) {
  $look = @{
    clock = [Diagnostics.Stopwatch]::StartNew(); servers = @($Request['servers']); room = 6000; faults = @(); table = Get-RegistryTable
    windows = $env:SystemRoot; drive = $env:SystemDrive
    names = 'wuauserv', 'BITS', 'CryptSvc', 'TrustedInstaller', 'msiserver', 'AppIDSvc', 'wlidsvc', 'UsoSvc', 'DoSvc', 'WaaSMedicSvc', 'W32Time'
    refused = $null
  }
  $limits = @{ lookback_s = 3456000; budget_ms = 30000; scan_ms = 120000; sntp_ms = 1000; connect_ms = 1500; log_bytes = 4194304 }
  foreach ($name in $limits.Keys) {
    $limit = if ($null -ne $Request[$name]) { $Request[$name] } else { $limits[$name] }
    if (($limit -isnot [int] -and $limit -isnot [long]) -or $limit -lt 0) { $look['refused'] = "$name is not a number" }
    $look[$name] = $limit
  }
  $always = 'host', 'services', 'servicing', 'reboot', 'runs'
  $near = 'policy', 'disk', 'upgrade', 'reporting', 'cbs'
  # What may wait, the search last: it alone may take minutes.
  $far = 'clock', 'sources', 'events', 'cache', 'history', 'scan'
  $asked = @($Request['sections'])
  foreach ($name in $asked) { if ($name -notin ($always + $near + $far)) { $look['refused'] = "unknown section $name" } }
  $look['near'] = $always + @(foreach ($name in $near) { if ($name -in $asked) { $name } })
  $look['far'] = @('fact') + @(foreach ($name in $far) { if ($name -in $asked) { $name; if ($name -eq 'sources') { 'agent' } } })
  if ($Request['schema'] -ne 1 -or $Request['op'] -ne 'observe') { $look['refused'] = 'this agent observes by schema 1 alone' }
  if ($look['refused']) { $look['near'] = $look['far'] = @(); return $look }
  $look['start_ms'] = Get-HostClock
  # By the host's own clock: that is the one its logs were written by.
  $look['since'] = ($look['start_ms'] - $look['start_ms'] % 1000) / 1000 - $look['lookback_s']
  if ($look['since'] -lt 0) { $look['since'] = 0 }
  return $look
}

function Invoke-Lane($Look, $Box, [string[]] $Name) { foreach ($one in $Name) { $Box[$one] = Invoke-Section $Look $one } }

# The far sections beside the others, for CIM and the update agent may hang and know no cancel: in a runspace that is then left alone.
function Start-Lane([object] $Request, $Box) {
  # In the background: a thread that is stuck in Windows must not keep the process alive. Here is no module to export from.
  $text = 'param($Request, $Box) [Threading.Thread]::CurrentThread.IsBackground = $true; $ErrorActionPreference = "Stop"; function Export-ModuleMember { }',
    ${function:Get-HostClock}.Ast.Parent.Parent.Extent.Text, ${function:Get-Observation}.Ast.Parent.Parent.Extent.Text,
    '$look = New-Look $Request; Invoke-Lane $look $Box $look["far"]'
  return [PowerShell]::Create().AddScript($text -join "`n").AddArgument($Request).AddArgument($Box).BeginInvoke()
}

# What the lane found, section by section; once one has hung, nobody waits for the next.
function Wait-Lane($Look, $Box, [object] $Lane) {
  $sections = @{}
  $limit = $Look['budget_ms']
  foreach ($name in $Look['far']) {
    if ($name -eq 'scan' -and $limit) { $limit = $Look['scan_ms'] }
    $clock = [Diagnostics.Stopwatch]::StartNew()
    while (-not $Box[$name] -and $clock.ElapsedMilliseconds -lt $limit -and -not $Lane.AsyncWaitHandle.WaitOne(20)) { continue }
    # A copy: the lane may still write.
    $sections[$name] = $Box[$name]
    if (-not $sections[$name]) {
      $sections[$name] = @{ data = $null; faults = @(Get-Fault @{ Exception = [TimeoutException]::new('no answer in time') }); ms = $limit }
      $limit = 0
    }
  }
  return $sections
}

# The reply to a request to observe.
function Get-Observation([object] $Request) {
  $box = [hashtable]::Synchronized(@{})
  # First: its start takes a while.
  if ($Request['lanes'] -ne 1) { $lane = Start-Lane $Request $box }
  $look = New-Look $Request
  if ($look['refused']) { return @{ schema = 1; refused = $look['refused'] } }
  $sections = @{}
  Invoke-Lane $look $sections $look['near']
  if ($lane) { $sections += Wait-Lane $look $box $lane } else { Invoke-Lane $look $sections $look['far'] }
  if ($sections['clock'] -and $sections['clock'].data) { $sections['clock'].data.end_ms = Get-HostClock }
  return @{ schema = 1; op = 'observe'; sections = $sections }
}

Export-ModuleMember -Function 'ConvertTo-JsonText', 'Get-Fault', 'Get-Observation', 'Get-SectionData', 'New-Look'
