# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

# PRIVATE: what a look gathers. It reads and bounds; what it means is decided elsewhere.

#Requires -Version 5.1

# ASCII: 5.1 leaves letters to the console's code page.
function ConvertTo-JsonText([object] $Value) {
  $json = ConvertTo-Json -InputObject $Value -Compress -Depth 9
  if ($json -notmatch '[^\x20-\x7e]') { return $json }
  # Half of a surrogate pair is no character for Python.
  [regex]::Replace(($json -replace '[\ud800-\udfff]+', '?'), '[^\x20-\x7e]', { '\u{0:x4}' -f [int]$args[0].Value[0] })
}

function Limit-Text([string] $Text, $Max) { $Text -replace "(?s)^(.{$Max}).*", '$1' }
# It ends with KB and build, or has its KB where it is cut.
function Limit-Title([string] $Text) { $Text -replace '(?s)^(.{70}(?>B?\d{0,7})).{9,}(.{46})$', '$1...$2' }

function Get-Fault([object] $Record) {
  $fault = $Record.Exception
  while ($fault.InnerException) { $fault = $fault.InnerException }
  $code = $fault.HResult
  if ($fault -is [ComponentModel.Win32Exception]) { $code = -2147024896 -bor $fault.NativeErrorCode }
  $why = ([string]$fault.Message -replace '\s+', ' ').Trim()
  # 0x8013.... is .NET's own, which says nothing about Windows.
  if (($code -shr 16) -eq -32749) { $code = $null } elseif ($code) { $why += ' (0x{0:X8})' -f $code }
  @{ type = "$($fault.GetType().Name) $($fault.NativeErrorCode)"; code = $code; why = Limit-Text $why 200 }
}

function Add-Fault($Look, [hashtable] $Fault = @{ type = 'Cut'; why = 'cut to fit' }) {
  if ($Fault.why -notin $Look.faults.why) { $Look.faults += $Fault }
}

# What each section reads of the registry: a key (short, see Get-RegistryPart) and the values. -: that it is there.
function Get-RegistryTable {
  return @{
    host = @'
MS\Windows NT\CurrentVersion;CurrentBuildNumber|UBR|EditionID
CCS\Control\ProductOptions;ProductType
'@
    clock = @'
CCS\Services\W32Time\Parameters;Type|NtpServer
CCS\Services\W32Time\Config;Max[^C].*|Util.*
CCS\Services\W32Time\TimeProviders\NtpClient;Enabled|Spec.*
CCS\Services\W32Time\TimeProviders\VMICTimeProvider;Enabled
POL\W32Time\Parameters;Type|NtpServer
POL\W32Time\Config;Max[^C].*|Util.*
POL\W32Time\TimeProviders\NtpClient;Enabled|Spec.*
'@
    servicing = @'
CBS\Interface;ServicingInProgress
CBS\SessionsPending;Exclusive
CV\Installer\InProgress;-
SYSTEM\Setup;(SystemSetup|Upgrade)InProgress
'@
    reboot = @'
CBS\RebootPending;-
CBS\RebootInProgress;-
CV\WindowsUpdate\Auto Update\RebootRequired;-
MS\ServerManager\CurrentRebootAttempts;-
MS\ServerManager\ServicingStorage\ServerComponentCache;RestartRequired
CCS\Services\Netlogon;JoinDomain|AvoidSpnSet
CCS\Control\ComputerName\ActiveComputerName;ComputerName
CCS\Control\ComputerName\ComputerName;ComputerName
'@
    policy = @'
POL\Windows\WindowsUpdate;.*
POL\Windows\WindowsUpdate\AU;.*
POL\Windows\DeliveryOptimization;DODownloadMode
CV\Policies\WindowsUpdate;.*
CV\Policies\Explorer;No(AutoUpdate|WindowsUpdate)
CV\Policies\Servicing;.*
CV\WindowsUpdate;SusClientId
MS\WindowsUpdate\UX\Settings;(Pause|Flight|Defer|Branch|Exclude|Target|IsExpedited).*
MS\PolicyManager\current\device\Update;(?!.*_(ProviderSet|WinningProvider|LastWrite)).*
MS\PolicyManager\current\device\DeliveryOptimization;DODownloadMode
MS\PolicyManager\current\device\ControlPolicyConflict;MDMWinsOverGP
CCS\Control\SecurityProviders\SCHANNEL\Protocols\TLS 1.2\Client;Enabled|DisabledByDefault
CV\Internet Settings\WinHttp;DefaultSecureProtocols
CCS\Services\CcmExec;-
'@
    sources = @'
POL\Windows\WindowsUpdate;WUServer
POL\Windows\WindowsUpdate\AU;UseWUServer
CV\Internet Settings;Proxy(Enable|Server)
SYS\Internet Settings;Proxy(Enable|Server)|AutoConfigURL
'@
    upgrade = @'
CV\WindowsUpdate\OSUpgrade;.*
SYSTEM\Setup\MoSetup\Volatile;BoxResult
SYSTEM\Setup\SetupDiag\Results;.*
SYSTEM\Setup\MoSetup\Volatile\SetupDiag;.*
'@
  }
}

# The registry's part of a section: what is there, without credentials in addresses.
function Get-RegistryPart($Look, [string] $Section) {
  $part = @{}
  foreach ($row in $Look.table[$Section] -split '\r?\n') {
    $short, $match = $row -split ';', 2
    $key = $short -replace '^SYS\b', 'HKU\S-1-5-18\CV' -replace '^CBS', 'CV\Component Based Servicing' -replace '\bCV\\', 'MS\Windows\CurrentVersion\' `
      -replace '\bMS\\', 'SOFTWARE\Microsoft\' -replace '^POL', 'SOFTWARE\Policies\Microsoft' -replace '^CCS', 'SYSTEM\CurrentControlSet' -replace '^(?!HKU)', 'HKLM\'
    # A guarded key hides no other.
    $read = try { Read-RegistryKey $key } catch { Add-Fault $Look (Get-Fault $_) }
    if ($null -eq $read) { continue }
    $values = @{}
    foreach ($name in [string[]]@($read['values'].psbase.Keys -match "^($match)$" | Sort-Object)) {
      $value = $read['values'][$name]
      if ($value -is [string]) {
        $value = Limit-Text ($value -replace '(://)[^/@\s]*@', '$1') 400
      }
      elseif ($value -isnot [ValueType]) { $value = @($value).Length }
      $Look.room -= "$name$value".Length + 6
      if ($Look.room -lt 0) { Add-Fault $Look }
      else { $values[$name] = $value }
    }
    if ($match -eq '-' -or $values.psbase.Count) { $part[$short] = $values }
  }
  $part
}

# By what a success overtakes a failure.
function Get-UpdateName([string] $Title, [string] $Id) {
  if ($Title -match 'KB\d{6,7}') { return $Matches[0] }
  $Id
}

# Of items, newest first, what tells: like failures as one, with count and first (of those of an update that a success has ended the newest);
# the newest calm one of each group and of each update that failed, and the newest $Extra of other KBs (all where something fails).
# An item tells: failed, group, update, ended.
function Select-Telling($Look, [object[]] $Item, $Room = 6500, $Extra = 0) {
  $sick = @{}
  $have = @{}
  $told = @(foreach ($one in $Item) {
    $failed, $group, $update, $ended = $one.tells
    if ($failed) {
      $sick["$update"] = $true
      $alike = if ($ended -and $update) { $update } else { "$group $update $ended" }
      if (-not $ended) { $Extra = 1000 }
      $same = $have[$alike]
      if ($same) {
        if (-not $ended) { $same.first = $one.time; $same['count'] = 1 + [Math]::Max(1, [int]$same['count']) }
        continue
      }
      $have[$alike] = $one
    }
    $one
  })
  $sick.Remove('')
  $count = @{}
  $alive = $first = $rest = @()
  for ($at = 0; $at -lt $told.Length; $at++) {
    $failed, $group, $update, $ended = $told[$at].tells
    $told[$at].Remove('tells')
    $rank = ++$count["$group $update"]
    $of_group = ++$count["$group"]
    if ($failed) { if ($ended) { $rest += $at } else { $alive += $at } }
    elseif ($rank -eq 1 -and ($of_group -eq 1 -or $sick["$update"])) { $first += $at }
    elseif ($rank -eq 1 -and $update -match '^KB' -and $Extra-- -gt 0) { $rest += $at }
  }
  $Look.cut = $false
  $keep = @(foreach ($at in $alive + $first + $rest) {
    $Room -= (ConvertTo-JsonText $told[$at]).Length + 1
    if ($Room -lt 0) {
      $Look.cut = $true
      Add-Fault $Look @{ type = 'Cut'; why = $(if ($at -in $alive) { 'failures ' }) + 'cut to fit' }
      break
    }
    $at
  })
  foreach ($at in $keep | Sort-Object) { $told[$at] }
}

# Text of a log, or of a slice of one that may begin within a character.
function ConvertFrom-LogByte([byte[]] $Bytes) {
  $text = [Text.Encoding]::UTF8.GetString($Bytes)
  # In UTF-16LE a NUL follows each letter of ASCII, at odd places unless the slice began within a character.
  $parts = (Limit-Text $text 400) -split '\0'
  if (@($parts -ne '').Length -gt 25) {
    $begin = 1 - $parts[0].Length % 2
    $text = [Text.Encoding]::Unicode.GetString($Bytes, $begin, ($Bytes.Length - $begin) -band -2)
  }
  # What is not UTF-8 became U+FFFD; so does a character of which the slice has the end alone.
  elseif ($text.LastIndexOf([char]65533) -gt 2) { $text = [Text.Encoding]::GetEncoding(28591).GetString($Bytes) }
  $text -replace '^\uFEFF'
}

function Read-SmallFile($Look, $Path) {
  try { Read-FileTail "$($Look.windows)\System32\$Path" 999999 } catch { Add-Fault $Look (Get-Fault $_) }
}

function Get-policySection($Look, $Data) {
  # Local policy that does not begin so is not applied.
  $file = Read-SmallFile $Look 'GroupPolicy\Machine\Registry.pol'
  if ($file -and $file.size -le 999999 -and "$($file.bytes[0..3])" -ne '80 82 101 103') { $Data.pol_damaged = $true }
  $Data
}

# The tail of a log as kinds: lines with a code or a word of note, those alike as one, in order of their last line.
function Read-Log($Look, [string] $Path, [string] $Sort, $Room = 6500) {
  $tail = Read-FileTail $Path $Look.log_bytes
  if ($null -eq $tail) { return }
  $read = $tail.bytes.Length
  $log = @{ path = $Path; size = $tail.size; read = $read; modified = $tail.modified; oldest = $null; kinds = @() }
  if ($tail.modified -lt $Look.since -or $read -eq 0) { return $log }
  $text = ConvertFrom-LogByte $tail.bytes
  if ($read -lt $tail.size) { $text = $text -replace '^[^\n]*\n' }
  # Local time of whatever zone: a day of grace.
  $floor = [DateTimeOffset]::FromUnixTimeSeconds([Math]::Max(0, $Look.since - 86400)).ToString('u') -replace 'Z'
  if ($text -match '(?m)^(?:\{[^\t]*\t)?(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)') { $log.oldest = @($Matches[1], $floor | Sort-Object)[1] }
  # It has up to 50 MB: errors alone.
  if ($Sort -eq 'old') { $text = @(foreach ($match in [regex]::Matches($text, ', Error [^\r\n]*')) { if ($match.Index -gt 18) { $text.Substring($match.Index - 19, $match.Length + 19) } }) -join "`n" }
  $options = 'IgnoreCase, CultureInvariant, ExplicitCapture'
  if ($text.Length -gt 300000) { $options += ', Compiled' }
  $code = [regex]::new('0x[8c][0-9a-f]{7}(?![0-9a-f])|(HRESULT|error|\(F\)|hr|Result)[ =:[]{1,4}[8c][0-9a-f]{7}(?![0-9a-f])', $options)
  $words = '\[SR\] (?!Verifying|Verify complete|Beginning|This component was)|Corrupt|CSI Payload|CSI Manifest|Repair(ed|ing)? (f(ailed|ile)|complete|\d)|' +
    'Exec: Processing complete|Total Detected|\(Fixed\)|Checking System Update Readiness|CheckSur|Operation result|Hydration failed|rollback|PANIC|fatal error|' +
    'Error \S+ originated|result [^0], inf|\\(WinSxS|servicing)\\.{9,500}=0xd'
  # Set-up tells much without a code.
  if ($Sort -eq 'setup') { $words += '|, Error ' }
  $begin = if ($Sort -eq 'reporting') { '\{[^\t\n]*(\t[^\t\n]*){2}\t\d[^\t\n]*(\t[^\t\n]*){3}\t[0-9a-f]+\t' } else { "[^\n]*?($code|$words)" }
  $vary = [regex]::new('^\S+ [\d:]+, \w+ +|\b[0-9a-f]{8}(@\S+)? |''[^'']*''|"[^"]*"|\S*[\\~]\S*|\[[^\]]*\]|\b(0x)?[0-9a-f]*\d[0-9a-f]*\b|\W+', $options)
  $kinds = @{}
  $ends = @{}
  foreach ($match in [regex]::new("(?<=^|\n)$begin[^\r\n]*", $options).Matches($text)) {
    $line = Limit-Text $match.Value 1000
    if ($Sort -eq 'reporting') {
      $column = $line -split '\t'
      $time = $column[1]
      $number = $column[3] -replace '\D.*'
      $update = $column[5]
      $group = "$number $($column[8])"
      # A search has the service's GUID here.
      if ($number -in 147, 148) { $group += $update }
      $name = Get-UpdateName $column[11] $update
      $failed = $column[7] -notmatch '^0+$'
      # 162, 167, 181: fetched or begun, which ends no failed installation.
      if (-not $failed -and $number -notin 162, 167, 181) { $ends["$name"]++ }
      $kind = "$($column[7]) $group $name"
      $tells = @($failed, $kind, $name, $ends["$name"])
      if ($failed) { $kind += " $($ends["$name"])" } else { $tells[1] = $group }
      # Its own id and last column decide nothing.
      $line = "`t" + ($column[1..11] -join "`t")
      $need = "$($column[0..7])".Length
    }
    else {
      $time = Limit-Text $line 19
      $code_match = $code.Match($line)
      $kind = $code_match.Value + (Limit-Text $vary.Replace((Limit-Text $line 200), ' ') 48)
      $tells = @($true, $kind, '', 0)
      $need = $code_match.Index + $code_match.Length
    }
    if ($time -notmatch '^\d{4}-.{14}' -or $time -ge $floor) {
      $have = $kinds[$kind]
      if ($null -eq $have) { $kinds[$kind] = $have = @{ count = 0; first = $time; tells = $tells } }
      $have['count']++
      $have.last = $line -replace '\s+$'
      $have.order = $match.Index, $need
    }
  }
  $rank = 0
  $log.kinds = @(Select-Telling $Look -Room $Room -Item @(foreach ($kind in $kinds.Values | Sort-Object { $_.order[0] } -Descending) {
    if ($rank++ -ge 2000) { break }
    # How often all went well decides nothing.
    if ($kind['count'] -eq 1 -or -not $kind.tells[0]) { foreach ($name in 'count', 'first') { $kind.Remove($name) } }
    $kind.tells[3] = $kind.tells[3] -lt $ends["$($kind.tells[2])"]
    $long = if ($Sort -eq 'reporting') { 262 } else { 300 }
    if ($rank -gt 20) { $long = 160 }
    # Up to where its code ends.
    $kind.last = Limit-Text $kind.last ([Math]::Max($long, [Math]::Min(400, $kind.order[1])))
    $kind.Remove('order')
    $kind
  }))
  [array]::Reverse($log.kinds)
  $log
}

# Each completes the data of its section, which begin with the registry's part.
function Get-factSection($Look) {
  ($Look.fact = Get-HostFact)
}

function Get-clockSection($Look, $Data) {
  $set = @{}
  foreach ($key in 'CCS\Services', 'POL') {
    $values = $Data.registry["$key\W32Time\Parameters"]
    if ($values) { foreach ($name in $values.Keys) { $set[$name] = $values[$name] } }
  }
  $ask = @()
  if ($set.Type -in 'NTP', 'AllSync') { $ask += "$($set.NtpServer)" -split '\s+' -replace ',.*' }
  # A member asks its domain by name; a controller would ask itself.
  if ($set.Type -in 'NT5DS', 'AllSync' -and $Look.fact.domain_role -in 1, 3) { $ask += $Look.fact.domain }
  $Data.sources = @(foreach ($server in @($ask + $Look.servers -ne '' | Select-Object -Unique -First 6)) {
    try { @{ server = $server; ok = $true } + (Invoke-SntpQuery $server $Look.sntp_ms) }
    catch { @{ server = $server; ok = $false; error = (Get-Fault $_).why } }
  })
  # Silent to us is not silent: W32Time's own status (from 1703 on).
  if ($true -notin $Data.sources.ok) {
    $from = @{ Channel = 'Microsoft-Windows-Time-Service/Operational'; XPath = '*[System[EventID=260]]' }
    try { $Data.status = ConvertFrom-EventXml (Read-EventRecord @from -Max 1 -TimeoutMs 999) } catch { }
  }
  $Data + @{ start_ms = $Look.start_ms; end_ms = Get-HostClock; zone = Get-TimeZoneId; utc_offset_s = Get-UtcOffset }
}

function Get-historySection($Look) {
  $good = @{}
  $entries = @(foreach ($entry in Get-UpdateHistory 300) {
    $failed = $entry.result -notin 1, 2
    # Of what is old: the newest that went well.
    $old = $entry.time -lt $Look.since
    if ($old -and $failed) { continue }
    $entry.title = Limit-Title $entry.title
    $entry.classes = @($entry.classes | Select-Object -First 6)
    foreach ($name in 'service', 'caller', 'classes', 'hresult') { if (-not $entry[$name]) { $entry.Remove($name) } }
    $group = "$($entry.operation) $($entry.result)"
    if ($failed) { $group += " $($entry.hresult)" } else { $group += " $($entry.service) $($entry.classes)" }
    $update = if (-not $old) { Get-UpdateName $entry.title $entry.update_id }
    $entry.tells = @($failed, $group, $update, ($update -and $good[$update]))
    if ($update -and $entry.operation -eq 1 -and -not $failed) { $good[$update] = $true }
    $entry
  })
  @{ entries = @(Select-Telling $Look -Item $entries -Extra 3) }
}

# An event's id, time and data; UserData flattened.
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
    # Its key, as UTF-16 in hex.
    if ($name -eq 'Binary') {
      if ($value -notmatch '^([2-7][0-9A-F]00)+') { continue }
      $name = 'service'
      $value = [uri]::UnescapeDataString(($Matches[0] -replace '(..)00', '%$1')) -replace '/.*'
    }
    if ($value) { $data[$name] = Limit-Title $value }
  }
  $record
}

function Get-eventsSection($Look) {
  # Channel; provider; ids (XPath allows some twenty terms); those that tell no failure; most to read. 32, 33: in either channel.
  $rows = 'S;W;19;19;200', 'S;W;16,20,24,32,33,213,217;;200', 'S;W;43,44;;60', 'O;W;26,41;26,41;200', 'O;W;25,31,32,33,34,35;;200',
    'U;C;2,3,6,11,12,1009,1014,1015;2;100', 'S;M;7000,7001,7002,7003,7009,7011,7022,7023,7024,7031,7034,7038,7041;;60',
    'S;T;17,24,29,34,35,36,37,47,129,130,131,134;35,37;20'
  $names = @{
    S = 'System'; O = 'Microsoft-Windows-WindowsUpdateClient/Operational'; U = 'Setup'; W = 'Microsoft-Windows-WindowsUpdateClient'
    C = 'Microsoft-Windows-Servicing'; M = 'Service Control Manager'; T = 'Microsoft-Windows-Time-Service'
  }
  # No upper bound: a clock may have been ahead.
  $since = [DateTimeOffset]::FromUnixTimeSeconds($Look.since).ToString('u') -replace ' ', 'T'
  $reach = [ordered]@{}
  $ends = @{}
  $records = @(foreach ($row in $rows) {
    $of, $from, $ids, $calm, $max = $row -split ';'
    $channel, $provider = $names[$of, $from]
    $xpath = "*[System[Provider[@Name='$provider'] and (EventID=$($ids -replace ',', ' or EventID=')) and TimeCreated[@SystemTime>='$since']]]"
    $texts = [Collections.ArrayList]::new()
    $whole = $true
    # What was read before a fault counts.
    try {
      if ($from -eq 'W' -and -not $reach[$channel]) {
        $reach[$channel] = @{ channel = $channel; oldest = $null; complete = $true }
        foreach ($text in Read-EventRecord -Channel $channel -XPath '*' -Max 1 -TimeoutMs 3000 -Oldest $true) {
          $reach[$channel].oldest = [Math]::Max($Look.since, (ConvertFrom-EventXml $text).time)
        }
      }
      Read-EventRecord -Channel $channel -XPath $xpath -Max $max -TimeoutMs 3000 | ForEach-Object { $null = $texts.Add($_) }
    }
    catch {
      $whole = $false
      $fault = Get-Fault $_
      $fault.why = "${channel}: $($fault.why)"
      if ($fault.type -match 'NotFound') { $reach.Remove($channel) } else { Add-Fault $Look $fault }
    }
    $items = @(foreach ($text in $texts) {
      $record = ConvertFrom-EventXml $text
      $data = $record.data
      $data.Remove('updateRevisionNumber')
      $service = "$($data.service)"
      if ($from -eq 'M') {
        foreach ($value in @($data.psbase.Values)) { if (-not $service -and $value -in $Look.names) { $service = $value } }
        if ($service -and $service -notin $Look.names) { continue }
      }
      $title = foreach ($name in $data.psbase.Keys) { if ($name -match 'title$|updatelist|identifier$') { $data[$name] } }
      $update = "$(Get-UpdateName $title $data.updateGuid)"
      # Of searches the service that was asked.
      $about = "$channel $update"
      if ($record.id -in 25, 26) { $about += $data.serviceGuid }
      $failed = $record.id -notin ($calm -split ',')
      if (-not $failed -and ($update -or $record.id -eq 26) -and -not $ends[$about]) { $ends[$about] = $record.record }
      $ended = $record.record -le $ends[$about]
      # A try that was installed since tells nothing.
      if ($ended -and $ids -eq '43,44') { continue }
      $codes = "$($data.serviceGuid) $($data.errorCode) $($data.psbase.Values -like '%%*')"
      $record += @{ of = $of + $from; tells = @($failed, "$($record.id) $service $codes", $update, $ended) }
      $record
    })
    Select-Telling $Look -Room 4000 -Extra 5 -Item $items
    if ($reach[$channel] -and $ids -ne '43,44' -and (-not $whole -or $texts.Count -ge $max -or $Look.cut)) { $reach[$channel].complete = $false }
  })
  if ($Look.faults -and -not $records) { return $null }
  @{ records = @($records | Sort-Object { $_.time }, { $_.record } -Descending); reach = @($reach.Values) }
}

function Get-sourcesSection($Look, $Data) {
  $proxies = @(Get-WinHttpProxy)
  $ask = @(
    foreach ($values in $Data.registry.Values) {
      if (1 -eq $values.ProxyEnable) { $proxies += $values.ProxyServer }
      if ($values.AutoConfigURL) { , @('pac', $values.AutoConfigURL) }
    }
    foreach ($proxy in $proxies) { , @('proxy', ('http://' + ("$proxy" -replace '^(?=.*=).*?(https?=|$)' -replace ';.*' -replace '^https?://'))) }
    if (1 -eq $Data.registry['POL\Windows\WindowsUpdate\AU'].UseWUServer) { , @('wsus', $Data.registry['POL\Windows\WindowsUpdate'].WUServer) }
  )
  $Data.Remove('registry')
  $Data.endpoints = @(foreach ($one in $ask | Sort-Object { "$_" } -Unique) {
    $url = $one[1] -as [uri]
    if ($url.Port -lt 1) { continue }
    $row = @{ role = $one[0]; host = $url.DnsSafeHost; port = $url.Port }
    $row += Test-TcpConnect $url.DnsSafeHost $url.Port $Look.connect_ms
    # Its pool may stand still.
    if ($row.ok -and "$($one[0])$($url.Scheme)" -eq 'wsushttp') {
      try { $row.status = Get-HttpStatus "http://$($url.Authority)/ClientWebService/client.asmx" 6000 }
      catch { $row.error = (Get-Fault $_).why }
    }
    $row
  })
  $file = Read-SmallFile $Look 'drivers\etc\hosts'
  if ($file) { $Data.hosts = @(((ConvertFrom-LogByte $file.bytes) -split '\s*\n' -match '^[^#]{0,99}(windowsupdate|(update|download|mp).microsoft.com).{0,99}$')[0..8]) }
  $Data
}

function Get-agentSection($Look) {
  $data = @{}
  try { $data.services = @(Get-UpdateService) } catch { Add-Fault $Look (Get-Fault $_) }
  try { $data += Get-UpdateResult } catch { Add-Fault $Look (Get-Fault $_) }
  $data
}

function Get-cacheSection($Look) {
  return @{ folders = @(foreach ($path in "$($Look.windows)\SoftwareDistribution", "$($Look.windows)\System32\catroot2") {
    $parent, $name = $path -split '\\(?=[^\\]*$)'
    $folder = @{ name = $name; path = $path; exists = $false; backups = @(Get-ChildName $parent "$name.wu*") }
    $fact = Get-FolderFact $path
    if ($fact) {
      $folder.exists = $true
      $folder.store = Get-FileFact "$path\DataStore\DataStore.edb"
      $folder += $fact
    }
    elseif (Get-FileFact $path) { $folder.file = $true }
    $folder
  }) }
}

function Get-upgradeSection($Look, $Data) {
  $old = $Look.drive + '\$WINDOWS.~BT\Sources'
  $Data.logs = @(foreach ($folder in "$old\Panther", "$old\Rollback", "$($Look.windows)\Panther") { Read-Log $Look "$folder\setuperr.log" setup 1500 })
  $Data
}

function Get-scanSection($Look) {
  try { $scan = Invoke-UpdateSearch 'IsInstalled=0 and IsHidden=0' }
  catch {
    $fault = Get-Fault $_
    # A failed search, but for want of rights, is no fault of the look.
    if (-not $fault.code -or $fault.code -eq -2147024891) { throw }
    $scan = @{ hresult = $fault.code }
  }
  foreach ($update in $scan.updates) { $update.title = Limit-Title $update.title }
  $scan
}

function Get-SectionData($Look, [string] $Name) {
  $data = @{}
  if ($Look.table[$Name]) { $data.registry = Get-RegistryPart $Look $Name }
  switch ($Name) {
    'reboot' { return $data }
    'host' { return $data + (Get-SessionFact) }
    'servicing' { return $data + @{ times = Get-ProcessTime 'TiWorker', 'msiexec', 'SetupHost', 'setupprep' } }
    'services' {
      $services = Get-ServiceTable ($Look.names + 'vmictimesync')
      foreach ($row in $services.Values) {
        foreach ($field in @($row.psbase.Keys)) { if (-not $row[$field] -or "$($row[$field])" -match '^(%systemroot%\\system32\\svchost\.exe |LocalSystem$)') { $row.Remove($field) } }
      }
      return @{ services = $services }
    }
    'reporting' { return Read-Log $Look "$($Look.windows)\SoftwareDistribution\ReportingEvents.log" reporting }
    'cbs' { return Read-Log $Look "$($Look.windows)\Logs\CBS\CBS.log" cbs 12000 }
    'disk' { return @{ drive = $Look.drive } + (Get-DriveFact $Look.drive) }
    default { return & "Get-${Name}Section" $Look $data }
  }
}

function Invoke-Section($Look, [string] $Name) {
  $clock = [Diagnostics.Stopwatch]::StartNew()
  $Look.faults = @()
  $section = @{ data = $null }
  try {
    if ($Look.clock.ElapsedMilliseconds -gt $Look.budget_ms) { throw [TimeoutException]::new('the time of the look was over') }
    $section.data = Get-SectionData $Look $Name
  }
  catch { $Look.faults = @(Get-Fault $_) }
  if ($Look.faults) { $section.faults = $Look.faults }
  $section.ms = $clock.ElapsedMilliseconds
  $section
}

# The limits of a look; key refused holds why it is none.
function New-Look([object] $Request) {
  # -match takes letters as the culture does: a Turkish I is no i.
  [Threading.Thread]::CurrentThread.CurrentCulture = [Globalization.CultureInfo]::InvariantCulture
  $look = @{
    clock = [Diagnostics.Stopwatch]::StartNew(); servers = @($Request.servers) -ne $null; room = 6000; faults = @(); table = Get-RegistryTable
    windows = $env:SystemRoot; drive = $env:SystemDrive
    names = 'wuauserv', 'BITS', 'CryptSvc', 'TrustedInstaller', 'msiserver', 'AppIDSvc', 'wlidsvc', 'UsoSvc', 'DoSvc', 'WaaSMedicSvc', 'W32Time'
  }
  $limits = @{ lookback_s = 3456000; budget_ms = 30000; scan_ms = 120000; sntp_ms = 1000; connect_ms = 1500; log_bytes = 4194304 }
  foreach ($name in $limits.Keys) {
    $limit = if ($null -ne $Request[$name]) { $Request[$name] } else { $limits[$name] }
    if (($limit -isnot [int] -and $limit -isnot [long]) -or $limit -lt 0) { $look.refused = "$name is not a number" }
    $look[$name] = $limit
  }
  $always = 'host', 'services', 'servicing', 'reboot'
  $near = 'policy', 'disk', 'upgrade', 'reporting', 'cbs'
  # The likeliest to hang later; the search, which takes minutes, last.
  $far = 'events', 'cache', 'fact', 'clock', 'sources', 'agent', 'history', 'scan'
  $asked = @($Request.sections) -ne $null
  foreach ($name in $asked) { if ($name -notin ($always + $near + $far)) { $look.refused = "unknown section $name" } }
  $asked += 'fact', $(if ('sources' -in $asked) { 'agent' })
  $look.near = $always + @($near | Where-Object { $_ -in $asked })
  $look.far = @($far | Where-Object { $_ -in $asked })
  if ($Request.schema -ne 1 -or $Request.op -ne 'observe') { $look.refused = 'this agent observes by schema 1 alone' }
  if ($look.refused) { $look.near = $look.far = @(); return $look }
  $look.start_ms = Get-HostClock
  # By the host's own clock: that is the one its logs were written by.
  $look.since = [Math]::Max(0, ($look.start_ms - $look.start_ms % 1000) / 1000 - $look.lookback_s)
  $look
}

function Invoke-Lane($Look, $Result, [string[]] $Name) {
  foreach ($one in $Name) {
    # What the worker does for a search of our own is no work.
    if ($one -eq 'scan') {
      while (-not $Result.near) { Start-Sleep -Milliseconds 20 }
      try { $Result.times = Get-ProcessTime 'TiWorker', 'msiexec' } catch { $null = $_ }
    }
    $Result[$one] = Invoke-Section $Look $one
  }
}

function Invoke-FarLane([object] $Request, $Result) {
  # A thread that is stuck in Windows must not keep the process alive.
  [Threading.Thread]::CurrentThread.IsBackground = $true
  $look = New-Look $Request
  Invoke-Lane $look $Result $look.far
}

# The far sections beside the others: what hangs knows no cancel; its runspace is then left alone.
function Start-Lane([object] $Request, $Result) {
  $state = [Management.Automation.Runspaces.InitialSessionState]::CreateDefault()
  $state.Variables.Add([Management.Automation.Runspaces.SessionStateVariableEntry]::new('ErrorActionPreference', 'Stop', $null))
  foreach ($module in ${function:New-Look}.Module, ${function:Get-HostClock}.Module) {
    foreach ($function in & $module { Get-ChildItem -Path function: }) {
      if ($function.ModuleName -ne $module.Name) { continue }
      $state.Commands.Add([Management.Automation.Runspaces.SessionStateFunctionEntry]::new($function.Name, $function.Definition))
    }
  }
  $shell = [PowerShell]::Create($state)
  @{ shell = $shell; wait = $shell.AddCommand('Invoke-FarLane').AddArgument($Request).AddArgument($Result).BeginInvoke() }
}

# What the lane found; once one has hung, nobody waits for the next.
function Wait-Lane($Look, $Result, [hashtable] $Lane) {
  $sections = @{}
  $limit = $Look.budget_ms
  foreach ($name in $Look.far) {
    if ($name -eq 'scan' -and $limit) { $limit = $Look.scan_ms }
    $clock = [Diagnostics.Stopwatch]::StartNew()
    while (-not $Result[$name] -and $clock.ElapsedMilliseconds -lt $limit -and -not $Lane.wait.AsyncWaitHandle.WaitOne(20)) { continue }
    $sections[$name] = $Result[$name]
    if ($sections[$name]) { continue }
    $reason = $Lane.shell.InvocationStateInfo.Reason
    if ($null -eq $reason) { $reason = [TimeoutException]::new('no answer in time') }
    $sections[$name] = @{ data = $null; faults = @(Get-Fault @{ Exception = $reason }); ms = $limit }
    $limit = 0
  }
  $sections
}

# What the workers that were there took since. One that came later is none: a search starts it, and it stays for two minutes.
function Complete-Servicing($Look, $Data, $Times) {
  if (-not $Data -or -not ($Data.times.ContainsKey('TiWorker') -or $Data.times.ContainsKey('msiexec'))) { return }
  if ($null -eq $Times) { $Times = Get-ProcessTime 'TiWorker', 'msiexec' }
  $Data.later = $Times
  $log = Read-FileTail "$($Look.windows)\Logs\CBS\CBS.log" 1
  if ($log) { $Data.log_age = [long]((Get-HostClock) / 1000 - $log.modified) }
}

# Where CBS.log is younger than the newest failure: what it held before.
function Add-OldLog($Look, $Section, $Records) {
  $log = $Section.data
  $failed = @($Records | Where-Object { $_.id -in 3, 20 })[0].time
  if (-not $failed -or ([DateTimeOffset]($log.oldest + 'Z')).ToUnixTimeSeconds() - (Get-UtcOffset) -le $failed) { return }
  $folder = $log.path -replace '\\[^\\]*$'
  # A newer one may be packed by now.
  $name = @(Get-ChildName $folder 'CbsPersist_*')[-1]
  if ($name -notlike '*.log') { return }
  $Look.log_bytes = 33554432
  $Look.faults = @($Section.faults) -ne $null
  $old = Read-Log $Look "$folder\$name" old 4000
  $log.kinds = @($old.kinds) + $log.kinds
  if ($old.oldest) { $log.oldest = $old.oldest }
  if ($Look.faults) { $Section.faults = $Look.faults }
}

function Get-Observation([object] $Request) {
  $result = [hashtable]::Synchronized(@{})
  if ($Request.lanes -ne 1) { $lane = Start-Lane $Request $result }
  $look = New-Look $Request
  if ($look.refused) { return @{ schema = 1; refused = $look.refused } }
  $sections = @{}
  if (-not $lane) { $result = $sections }
  Invoke-Lane $look $sections $look.near
  $result.near = $true
  if ($lane) { $sections += Wait-Lane $look $result $lane } else { Invoke-Lane $look $sections $look.far }
  try { Complete-Servicing $look $sections.servicing.data $result.times } catch { $null = $_ }
  try { Add-OldLog $look $sections.cbs $sections.events.data.records } catch { $null = $_ }
  foreach ($name in 'near', 'times') { $sections.Remove($name) }
  if ($sections.clock -and $sections.clock.data) { $sections.clock.data.end_ms = Get-HostClock }
  @{ schema = 1; op = 'observe'; sections = $sections }
}

Export-ModuleMember -Function 'ConvertTo-JsonText', 'Get-Fault', 'Get-Observation', 'Get-SectionData', 'New-Look'
