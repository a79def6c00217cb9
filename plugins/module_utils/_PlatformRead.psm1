# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

# PRIVATE: the reading half of what touches Windows. One Windows call a function, plain results. Each function stands alone, because
# some run in a helper runspace of their own.

#Requires -Version 5.1

function Get-HostClock {
  [CmdletBinding()]
  param()
  return [DateTimeOffset]::UtcNow.ToUnixTimeMilliseconds()
}

function Get-HostFact {
  [CmdletBinding()]
  param()
  $system = Get-CimInstance -ClassName Win32_ComputerSystem -Property DomainRole
  $os = Get-CimInstance -ClassName Win32_OperatingSystem -Property LastBootUpTime
  $boot = [DateTimeOffset]$os.LastBootUpTime
  return @{
    domain_role = [int]$system.DomainRole
    boot_time = $boot.ToUnixTimeSeconds()
    uptime_s = [long]([DateTimeOffset]::UtcNow - $boot).TotalSeconds
  }
}

function Get-SessionFact {
  [CmdletBinding()]
  param()
  $identity = [Security.Principal.WindowsIdentity]::GetCurrent()
  $principal = [Security.Principal.WindowsPrincipal]$identity
  return @{
    ps_version = [string]$PSVersionTable.PSVersion
    ps_edition = [string]$PSVersionTable.PSEdition
    language_mode = [string]$ExecutionContext.SessionState.LanguageMode
    elevated = $principal.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)
    is_64bit = [Environment]::Is64BitProcess
    culture = [Globalization.CultureInfo]::CurrentCulture.Name
  }
}

function Get-TimeZoneId {
  [CmdletBinding()]
  param()
  return [TimeZoneInfo]::Local.Id
}

function Read-RegistryKey {
  [CmdletBinding()]
  param([string] $Key)
  $hive, $path = $Key -split '\\', 2
  $open = $null
  $hives = @{ HKLM = 'LocalMachine'; HKCU = 'CurrentUser'; HKU = 'Users' }
  $base = [Microsoft.Win32.RegistryKey]::OpenBaseKey($hives[$hive], 'Registry64')
  try {
    $open = $base.OpenSubKey($path)
    if ($null -eq $open) { return $null }
    $values = @{}
    foreach ($name in $open.GetValueNames()) {
      $kind = [string]$open.GetValueKind($name)
      $value = $open.GetValue($name)
      if ($null -eq $value) { continue }
      # .NET gives a DWORD as a signed Int32; Windows means it unsigned.
      if ($kind -eq 'DWord') { $values[$name] = [long]$value -band 4294967295 }
      elseif ($kind -eq 'QWord') { $values[$name] = [long]$value }
      elseif ($kind -in 'String', 'ExpandString') { $values[$name] = [string]$value }
      elseif ($kind -eq 'MultiString') { $values[$name] = [string[]]$value }
    }
    return @{ values = $values; subkeys = [string[]]$open.GetSubKeyNames() }
  }
  finally {
    if ($null -ne $open) { $open.Dispose() }
    $base.Dispose()
  }
}

function Get-ServiceTable {
  [CmdletBinding()]
  param([string[]] $Name)
  Add-Type -AssemblyName System.ServiceProcess
  $states = @{
    Stopped = 'stopped'; StartPending = 'start_pending'; StopPending = 'stop_pending'; Running = 'running'
    ContinuePending = 'continue_pending'; PausePending = 'pause_pending'; Paused = 'paused'
  }
  $pids = @{}
  $users = @{}
  try {
    foreach ($row in Get-CimInstance -Query 'SELECT Name, ProcessId FROM Win32_Service WHERE ProcessId > 0') {
      $pids[$row.Name] = [int]$row.ProcessId
      $users[[int]$row.ProcessId] = 1 + [int]$users[[int]$row.ProcessId]
    }
  }
  catch {
    # Without CIM the process stays unknown (0); the rest still counts.
    $pids = @{}
  }
  $table = @{}
  foreach ($one in $Name) {
    $key = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey("SYSTEM\CurrentControlSet\Services\$one")
    if ($null -eq $key) { continue }
    $service = [ServiceProcess.ServiceController]::new($one)
    try {
      $state = $states[[string]$service.Status]
      $running = @($service.DependentServices | Where-Object { [string]$_.Status -ne 'Stopped' } | ForEach-Object { [string]$_.ServiceName })
    }
    catch [InvalidOperationException] {
      # ERROR_SERVICE_DOES_NOT_EXIST: a key that is left of a deleted service.
      if ($_.Exception.InnerException.NativeErrorCode -eq 1060) { continue }
      $state = $null
      $running = @()
    }
    $process = [int]$pids[$one]
    $table[$one] = @{
      start = $key.GetValue('Start'); delayed = 1 -eq $key.GetValue('DelayedAutostart'); state = $state
      pid = $process; shared = if ($process) { $users[$process] } else { 0 }; dependents = $running
    }
    $service.Dispose()
    $key.Dispose()
  }
  return $table
}

function Get-ProcessName {
  [CmdletBinding()]
  param([string[]] $Name)
  return @($Name | Where-Object { [Diagnostics.Process]::GetProcessesByName($_).Length -gt 0 })
}

function Read-EventRecord {
  [CmdletBinding()]
  param([string] $Channel, [string] $XPath, [int] $Max, [int] $TimeoutMs)
  $clock = [Diagnostics.Stopwatch]::StartNew()
  $query = [Diagnostics.Eventing.Reader.EventLogQuery]::new($Channel, 'LogName', $XPath)
  $query.ReverseDirection = $true
  $reader = [Diagnostics.Eventing.Reader.EventLogReader]::new($query)
  try {
    $count = 0
    while ($count -lt $Max -and $clock.ElapsedMilliseconds -lt $TimeoutMs) {
      $record = $reader.ReadEvent([TimeSpan]::FromMilliseconds($TimeoutMs))
      if ($null -eq $record) { break }
      $count++
      $record.ToXml()
      $record.Dispose()
    }
  }
  finally {
    $reader.Dispose()
  }
}

function Read-FileTail {
  [CmdletBinding()]
  param([string] $Path, [long] $Bytes)
  if (-not [IO.File]::Exists($Path)) { return $null }
  $stream = [IO.FileStream]::new($Path, 'Open', 'Read', [IO.FileShare]'ReadWrite, Delete')
  try {
    $size = $stream.Length
    $buffer = [byte[]]::new([Math]::Min($size, $Bytes))
    $null = $stream.Seek($size - $buffer.Length, [IO.SeekOrigin]::Begin)
    $have = 0
    while ($have -lt $buffer.Length) {
      $got = $stream.Read($buffer, $have, $buffer.Length - $have)
      if ($got -eq 0) { break }
      $have += $got
    }
    $modified = [DateTimeOffset][IO.File]::GetLastWriteTimeUtc($Path)
    return @{ size = $size; modified = $modified.ToUnixTimeSeconds(); bytes = $buffer }
  }
  finally {
    $stream.Dispose()
  }
}

function Get-FolderFact {
  [CmdletBinding()]
  param([string] $Path)
  $folder = [IO.DirectoryInfo]::new($Path)
  if (-not $folder.Exists) { return $null }
  return @{
    created = ([DateTimeOffset]$folder.CreationTimeUtc).ToUnixTimeSeconds()
    reparse = 0 -ne ($folder.Attributes -band [IO.FileAttributes]::ReparsePoint)
  }
}

function Measure-Folder {
  [CmdletBinding()]
  param([string] $Path, [int] $MaxFiles, [int] $MaxMs)
  $clock = [Diagnostics.Stopwatch]::StartNew()
  $total = @{ files = 0; bytes = [long]0; complete = $true }
  $todo = [Collections.Stack]::new()
  $todo.Push([IO.DirectoryInfo]::new($Path))
  while ($todo.Count) {
    $folder = $todo.Pop()
    if (0 -ne ($folder.Attributes -band [IO.FileAttributes]::ReparsePoint)) { continue }
    try {
      foreach ($entry in $folder.EnumerateFileSystemInfos()) {
        if ($entry -is [IO.DirectoryInfo]) { $todo.Push($entry); continue }
        $total.files++
        if (0 -eq ($entry.Attributes -band [IO.FileAttributes]::ReparsePoint)) { $total.bytes += $entry.Length }
        if ($total.files -ge $MaxFiles -or $clock.ElapsedMilliseconds -ge $MaxMs) {
          $total.complete = $false
          return $total
        }
      }
    }
    catch {
      # A folder that is denied, or went away under our hands: what was counted is a lower bound.
      $total.complete = $false
    }
  }
  return $total
}

function Get-ChildName {
  [CmdletBinding()]
  param([string] $Path, [string] $Filter)
  if (-not [IO.Directory]::Exists($Path)) { return @() }
  return @([IO.Directory]::EnumerateFileSystemEntries($Path, $Filter) | ForEach-Object { [IO.Path]::GetFileName($_) } | Sort-Object)
}

function Get-FileFact {
  [CmdletBinding()]
  param([string] $Path)
  $file = [IO.FileInfo]::new($Path)
  if (-not $file.Exists) { return $null }
  return @{
    created = ([DateTimeOffset]$file.CreationTimeUtc).ToUnixTimeSeconds()
    modified = ([DateTimeOffset]$file.LastWriteTimeUtc).ToUnixTimeSeconds()
    size = $file.Length
  }
}

function Get-DriveFact {
  [CmdletBinding()]
  param([string] $Drive)
  $info = [IO.DriveInfo]::new($Drive)
  return @{ free = $info.TotalFreeSpace; size = $info.TotalSize }
}

function Invoke-SntpQuery {
  [CmdletBinding()]
  param([string] $Server, [int] $TimeoutMs)
  $addresses = [Net.Dns]::GetHostAddresses($Server)
  $address = @(@($addresses | Where-Object { [string]$_.AddressFamily -eq 'InterNetwork' }) + @($addresses))[0]
  $client = [Net.Sockets.UdpClient]::new($address.AddressFamily)
  try {
    $client.Client.ReceiveTimeout = $TimeoutMs
    $client.Connect($address, 123)
    $packet = [byte[]]::new(48)
    $packet[0] = 0x23
    $now = [DateTimeOffset]::UtcNow
    $clock = [Diagnostics.Stopwatch]::StartNew()
    $sent = ($now.UtcTicks - 621355968000000000) / 10000.0
    # What we send is a random number, not our time: only who saw it can answer it, and a wrong clock is nobody's business.
    $cookie = [Guid]::NewGuid().ToByteArray()
    [Array]::Copy($cookie, 0, $packet, 40, 8)
    $null = $client.Send($packet, 48)
    $from = [Net.IPEndPoint]::new([Net.IPAddress]::Any, 0)
    $answer = $client.Receive([ref]$from)
    $received = $sent + $clock.Elapsed.TotalMilliseconds
  }
  finally {
    $client.Close()
  }
  if ($answer.Length -lt 48) { throw 'the answer is shorter than an SNTP packet' }
  $mode = $answer[0] -band 7
  $stratum = [int]$answer[1]
  if ($mode -ne 4) { throw "the answer has mode $mode" }
  if ($stratum -eq 0) { throw ('kiss-o''-death ' + [Text.Encoding]::ASCII.GetString($answer, 12, 4)) }
  if ($stratum -gt 15 -or ($answer[0] -shr 6) -eq 3) { throw 'the source is not synchronised' }
  foreach ($index in 0..7) {
    if ($answer[24 + $index] -ne $packet[40 + $index]) { throw 'the answer is to another question' }
  }
  $stamps = foreach ($offset in 32, 40) {
    $seconds = [double]0
    foreach ($index in 0..3) { $seconds = $seconds * 256 + $answer[$offset + $index] }
    $fraction = [double]0
    foreach ($index in 4..7) { $fraction = $fraction * 256 + $answer[$offset + $index] }
    # NTP's era 0 began in 1900 and ends in 2036; a small number is of era 1 (RFC 4330, section 3).
    if ($seconds -lt 2147483648) { $seconds += 4294967296 }
    ($seconds - 2208988800) * 1000 + $fraction * 1000 / 4294967296
  }
  return @{
    offset_ms = [long][Math]::Round((($stamps[0] - $sent) + ($stamps[1] - $received)) / 2)
    rtt_ms = [long][Math]::Max(0, [Math]::Round(($received - $sent) - ($stamps[1] - $stamps[0])))
    stratum = $stratum
  }
}

function Test-TcpConnect {
  [CmdletBinding()]
  param([string] $Server, [int] $Port, [int] $TimeoutMs)
  $clock = [Diagnostics.Stopwatch]::StartNew()
  $fault = $null
  # This constructor speaks IPv4 and IPv6 alike; TcpClient's speaks IPv4 alone in .NET Framework.
  $socket = [Net.Sockets.Socket]::new('Stream', 'Tcp')
  try {
    $wait = $socket.BeginConnect($Server, $Port, $null, $null)
    if ($wait.AsyncWaitHandle.WaitOne($TimeoutMs)) { $socket.EndConnect($wait) }
    else { $fault = "no answer within $TimeoutMs ms" }
  }
  catch {
    $fault = [string]$_.Exception.GetBaseException().Message
  }
  finally {
    $socket.Close()
  }
  return @{ ok = $null -eq $fault; ms = [long]$clock.ElapsedMilliseconds; error = $fault }
}

function Get-UpdateHistory {
  [CmdletBinding()]
  param([int] $Max)
  $searcher = (New-Object -ComObject Microsoft.Update.Session).CreateUpdateSearcher()
  $total = [int]$searcher.GetTotalHistoryCount()
  $entries = @()
  # QueryHistory(0, 0) throws WU_E_INVALIDINDEX.
  if ($total -gt 0) {
    $entries = @(foreach ($entry in $searcher.QueryHistory(0, [Math]::Min($Max, $total))) {
      # A DATE arrives with Kind Unspecified and is UTC.
      $date = [DateTimeOffset][DateTime]::SpecifyKind($entry.Date, [DateTimeKind]::Utc)
      @{
        time = $date.ToUnixTimeSeconds(); operation = [int]$entry.Operation; result = [int]$entry.ResultCode
        hresult = [int]$entry.HResult; title = [string]$entry.Title; client = [string]$entry.ClientApplicationID
        update_id = [string]$entry.UpdateIdentity.UpdateID
      }
    })
  }
  return @{ total = $total; entries = $entries }
}

function Get-UpdateService {
  [CmdletBinding()]
  param()
  $manager = New-Object -ComObject Microsoft.Update.ServiceManager
  foreach ($service in $manager.Services) {
    @{
      id = [string]$service.ServiceID; name = [string]$service.Name
      default = [bool]$service.IsDefaultAUService; managed = [bool]$service.IsManaged
    }
  }
}

function Get-UpdateResult {
  [CmdletBinding()]
  param()
  $results = (New-Object -ComObject Microsoft.Update.AutoUpdate).Results
  $dates = foreach ($date in $results.LastSearchSuccessDate, $results.LastInstallationSuccessDate) {
    if ($date -is [DateTime]) { ([DateTimeOffset][DateTime]::SpecifyKind($date, [DateTimeKind]::Utc)).ToUnixTimeSeconds() }
    else { [long]0 }
  }
  return @{
    last_search = if ($dates[0]) { $dates[0] } else { $null }
    last_install = if ($dates[1]) { $dates[1] } else { $null }
  }
}

function Invoke-UpdateSearch {
  [CmdletBinding()]
  param([string] $Criteria)
  $searcher = (New-Object -ComObject Microsoft.Update.Session).CreateUpdateSearcher()
  $found = $searcher.Search($Criteria)
  return @{
    result = [int]$found.ResultCode; hresult = 0; count = [int]$found.Updates.Count
    warnings = @(foreach ($warning in $found.Warnings) { [int]$warning.HResult })
  }
}

function Get-ServiceSecurity {
  [CmdletBinding()]
  param([string] $Name)
  $start = [Diagnostics.ProcessStartInfo]::new("$env:SystemRoot\System32\sc.exe", "sdshow $Name")
  $start.UseShellExecute = $false
  $start.RedirectStandardOutput = $true
  $process = [Diagnostics.Process]::Start($start)
  $text = $process.StandardOutput.ReadToEnd()
  $process.WaitForExit()
  if ($text -notmatch '(?m)^\s*([OGDS]:\S+)') { throw "sc.exe showed no descriptor (exit code $($process.ExitCode))" }
  return $Matches[1]
}

Export-ModuleMember -Function @(
  'Get-ChildName', 'Get-DriveFact', 'Get-FileFact', 'Get-FolderFact', 'Get-HostClock', 'Get-HostFact', 'Get-ProcessName', 'Get-ServiceSecurity'
  'Get-ServiceTable', 'Get-SessionFact', 'Get-TimeZoneId', 'Get-UpdateHistory', 'Get-UpdateResult', 'Get-UpdateService', 'Invoke-SntpQuery'
  'Invoke-UpdateSearch', 'Measure-Folder', 'Read-EventRecord', 'Read-FileTail', 'Read-RegistryKey', 'Test-TcpConnect'
)
