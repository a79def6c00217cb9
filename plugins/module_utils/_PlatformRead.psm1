# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

# PRIVATE: the reading half of what touches Windows. One Windows call a function, plain results.

#Requires -Version 5.1

function Get-HostClock {
  [DateTimeOffset]::UtcNow.ToUnixTimeMilliseconds()
}

function Get-HostFact {
  $system = Get-CimInstance -ClassName Win32_ComputerSystem -Property DomainRole, Domain -OperationTimeoutSec 10
  $os = Get-CimInstance -ClassName Win32_OperatingSystem -Property LastBootUpTime -OperationTimeoutSec 10
  @{ domain_role = [int]$system.DomainRole; domain = $system.Domain; boot_time = ([DateTimeOffset]$os.LastBootUpTime).ToUnixTimeSeconds() }
}

function Get-SessionFact {
  $principal = [Security.Principal.WindowsPrincipal][Security.Principal.WindowsIdentity]::GetCurrent()
  @{
    ps_version = [string]$PSVersionTable.PSVersion
    language_mode = [string]$ExecutionContext.SessionState.LanguageMode
    elevated = $principal.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)
    is_64bit = [Environment]::Is64BitProcess
  }
}

function Get-TimeZoneId {
  [TimeZoneInfo]::Local.Id
}

function Get-UtcOffset {
  [int][TimeZoneInfo]::Local.GetUtcOffset([DateTime]::UtcNow).TotalSeconds
}

function Read-RegistryKey([string] $Key) {
  $open = $null
  $hive = if ($Key -match '^HKU') { 'Users' } else { 'LocalMachine' }
  $base = [Microsoft.Win32.RegistryKey]::OpenBaseKey($hive, 'Registry64')
  try {
    $open = $base.OpenSubKey($Key -replace '^HK\w+\\')
    if ($null -eq $open) { return }
    $values = @{}
    foreach ($name in $open.GetValueNames()) {
      $value = $open.GetValue($name, $null, 'DoNotExpandEnvironmentNames')
      # .NET gives a DWORD signed; Windows means it unsigned.
      if ($value -is [int]) { $value = [long]$value -band 4294967295 }
      if ($null -ne $value -and $value -isnot [byte[]]) { $values[$name] = $value }
    }
    return @{ values = $values; subkeys = $open.GetSubKeyNames() }
  }
  finally {
    if ($open) { $open.Dispose() }
    $base.Dispose()
  }
}

function Get-ServiceTable([string[]] $Name) {
  Add-Type -AssemblyName System.ServiceProcess
  $states = 'stopped', 'start_pending', 'stop_pending', 'running', 'continue_pending', 'pause_pending', 'paused'
  $all = @{}
  foreach ($service in [ServiceProcess.ServiceController]::GetServices()) { $all[$service.ServiceName] = $service }
  $table = @{}
  foreach ($one in $Name) {
    $path = "HKLM\SYSTEM\CurrentControlSet\Services\$one"
    $key = Read-RegistryKey $path
    if ($null -eq $key) { continue }
    $state = $null
    $running = @()
    if ($all[$one]) {
      $state = $states[[int]$all[$one].Status - 1]
      if ($state -ne 'stopped') {
        $running = @($all[$one].DependentServices | Where-Object Status -GT Stopped | ForEach-Object ServiceName)
      }
    }
    else {
      # The list leaves out what this account may not query; a method tells.
      try { [ServiceProcess.ServiceController]::new($one).WaitForStatus('Running', [TimeSpan]::Zero) }
      # ERROR_SERVICE_DOES_NOT_EXIST: a key that is left of a deleted service.
      catch { if ($_.Exception.GetBaseException().NativeErrorCode -eq 1060) { continue } }
    }
    $table[$one] = @{
      start = $key['values']['Start']; delayed = 1 -eq $key['values']['DelayedAutostart']; state = $state; dependents = $running
      trigger = 'TriggerInfo' -in $key['subkeys']
    }
    if ($one -in 'wuauserv', 'BITS', 'UsoSvc') {
      $own = Read-RegistryKey "$path\Parameters"
      $library = if ($own) { $own['values']['ServiceDll'] }
      if (-not $library) { $library = $key['values']['ServiceDll'] }
      $file = [Environment]::ExpandEnvironmentVariables("$library") -replace '^\\\\\?\\'
      $table[$one] += @{
        image_path = $key['values']['ImagePath']; service_dll = $library; account = $key['values']['ObjectName']
        dll_missing = $file -match '^[a-z]:' -and -not [IO.File]::Exists($file)
      }
    }
  }
  $table
}

function Get-ProcessTime([string[]] $Name) {
  $times = @{}
  foreach ($process in [Diagnostics.Process]::GetProcesses()) {
    foreach ($one in $Name -eq $process.ProcessName) {
      # Denied or gone: null, of which [long] makes 0.
      $took = $process.TotalProcessorTime.TotalMilliseconds
      $times[$one] += if ($took -is [double]) { [long]$took }
    }
  }
  $times
}

function Read-EventRecord([string] $Channel, [string] $XPath, $Max, $TimeoutMs, [bool] $Oldest) {
  $clock = [Diagnostics.Stopwatch]::StartNew()
  $query = [Diagnostics.Eventing.Reader.EventLogQuery]::new($Channel, 'LogName', $XPath)
  $query.ReverseDirection = -not $Oldest
  $reader = [Diagnostics.Eventing.Reader.EventLogReader]::new($query)
  try {
    for ($count = 0; $count -lt $Max; $count++) {
      if ($clock.ElapsedMilliseconds -ge $TimeoutMs) { throw [TimeoutException]::new("the events took longer than $TimeoutMs ms") }
      $record = $reader.ReadEvent([TimeSpan]::FromMilliseconds($TimeoutMs))
      if ($null -eq $record) { break }
      $record.ToXml()
      $record.Dispose()
    }
  }
  finally {
    $reader.Dispose()
  }
}

function Read-FileTail([string] $Path, $Bytes) {
  $file = [IO.FileInfo]::new($Path)
  if (-not $file.Exists) { return }
  $stream = $file.Open('Open', 'Read', 'ReadWrite, Delete')
  try {
    $size = $stream.Length
    if ($size -gt $Bytes) { $null = $stream.Seek(-$Bytes, 'End') }
    if ($size -lt $Bytes) { $Bytes = $size }
    $tail = [IO.BinaryReader]::new($stream).ReadBytes($Bytes)
    return @{ size = $size; modified = ([DateTimeOffset]$file.LastWriteTimeUtc).ToUnixTimeSeconds(); bytes = $tail }
  }
  finally {
    $stream.Dispose()
  }
}

function Get-FolderFact([string] $Path) {
  $folder = [IO.DirectoryInfo]::new($Path)
  if (-not $folder.Exists) { return }
  @{ created = ([DateTimeOffset]$folder.CreationTimeUtc).ToUnixTimeSeconds(); reparse = 0 -ne ($folder.Attributes -band 1024) }
}

function Get-ChildName([string] $Path, [string] $Filter) {
  if (-not [IO.Directory]::Exists($Path)) { return @() }
  @(foreach ($entry in [IO.Directory]::GetFileSystemEntries($Path, $Filter)) { [IO.Path]::GetFileName($entry) }) | Sort-Object
}

function Get-FileFact([string] $Path) {
  $file = [IO.FileInfo]::new($Path)
  if (-not $file.Exists) { return }
  @{ created = ([DateTimeOffset]$file.CreationTimeUtc).ToUnixTimeSeconds(); size = $file.Length }
}

function Get-DriveFact([string] $Drive) {
  @{ free = [IO.DriveInfo]::new($Drive).TotalFreeSpace }
}

# As W32Time asks: all addresses; the first good answer wins.
function Invoke-SntpQuery([string] $Server, $TimeoutMs) {
  $lookup = [Net.Dns]::GetHostAddressesAsync($Server)
  if (-not $lookup.Wait($TimeoutMs + 1500)) { throw [TimeoutException]::new('the name was not resolved') }
  $why = "no answer within $TimeoutMs ms"
  $packet = [byte[]]::new(48)
  $packet[0] = 0x23
  # Not our time but a random number: only who saw it can answer it.
  [Array]::Copy([Guid]::NewGuid().ToByteArray(), 0, $packet, 40, 8)
  # Some firewalls pass port 123 alone, free while W32Time is stopped.
  foreach ($port in 0, 123) {
    $clients = @{}
    $clock = [Diagnostics.Stopwatch]::StartNew()
    $sent = Get-HostClock
    foreach ($address in $lookup.Result[0..15]) {
      $family = $address.AddressFamily
      try {
        if (-not $clients[$family]) { $clients[$family] = [Net.Sockets.UdpClient]::new($port, $family) }
        $null = $clients[$family].Send($packet, 48, [Net.IPEndPoint]::new($address, 123))
      }
      catch { }
    }
    while (-not $result -and $clients.Count -and ($left = $TimeoutMs - $clock.ElapsedMilliseconds) -gt 0) {
      $ready = [Collections.ArrayList]@($clients.Values.Client)
      [Net.Sockets.Socket]::Select($ready, $null, $null, 1000 * $left)
      foreach ($socket in $ready) {
        $answer = [byte[]]::new(1024)
        try { $null = $socket.Receive($answer) } catch { continue }
        $received = $sent + $clock.Elapsed.TotalMilliseconds
        if ("$($answer[24..31])" -ne "$($packet[40..47])") { continue }
        $stratum = [int]$answer[1]
        if ($answer[0] -ge 192 -or $stratum -notin 1..15) {
          $why = 'unfit: not synchronised'
          if ($stratum -eq 0 -and [Text.Encoding]::ASCII.GetString($answer, 12, 4) -match '^[!-~]{3,4}') { $why += ", kiss-o'-death $($Matches[0])" }
          continue
        }
        $delay, $spread, $words = foreach ($at in 4, 8, 32, 36, 40, 44) { [double][BitConverter]::ToUInt32([byte[]]$answer[($at + 3)..$at], 0) }
        $distance = [long](([Math]::Min($delay, 4294967296 - $delay) / 2 + $spread) / 65.536)
        if ($distance -gt 5000) { $why = "unfit: root distance $distance ms"; continue }
        $stamps = foreach ($at in 0, 2) {
          # NTP's era 0 ends in 2036; a small number is of era 1 (RFC 4330, section 3).
          if ($words[$at] -lt 2147483648) { $words[$at] += 4294967296 }
          ($words[$at] - 2208988800) * 1000 + $words[$at + 1] * 1000 / 4294967296
        }
        $result = @{
          offset_ms = [long][Math]::Round((($stamps[0] - $sent) + ($stamps[1] - $received)) / 2)
        }
      }
    }
    foreach ($client in $clients.Values) { $client.Close() }
    if ($result -or $why -match 'unfit') { break }
  }
  if ($result) { return $result }
  throw $why
}

function Test-TcpConnect([string] $Server, $Port, $TimeoutMs) {
  $socket = $null
  $row = @{ ok = $false; error = "no answer within $TimeoutMs ms" }
  try {
    # TcpClient speaks IPv4 alone in .NET Framework.
    $socket = [Net.Sockets.Socket]::new('Stream', 'Tcp')
    $wait = $socket.BeginConnect($Server, $Port, $null, $null)
    if ($wait.AsyncWaitHandle.WaitOne($TimeoutMs)) {
      $socket.EndConnect($wait)
      $row = @{ ok = $true; error = $null }
    }
  }
  catch { $row.error = $_.Exception.GetBaseException().Message }
  if ($socket) { $socket.Close() }
  $row
}

function Get-HttpStatus([string] $Url, $TimeoutMs) {
  $ask = [Net.WebRequest]::CreateHttp($Url)
  $ask.Proxy = $null
  $ask.AllowAutoRedirect = $false
  $ask.Timeout = $TimeoutMs
  try { $answer = $ask.GetResponse() }
  catch {
    $answer = $_.Exception.InnerException.Response
    if (-not $answer) { throw }
  }
  [int]$answer.StatusCode
  $answer.Close()
}

function Get-WinHttpProxy {
  $key = 'HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Internet Settings\Connections'
  $setting = [Microsoft.Win32.Registry]::GetValue($key, 'WinHttpSettings', $null)
  # Flags (2: a proxy) at 8, the length of the text at 12, the text at 16.
  if ($setting -isnot [byte[]] -or $setting.Length -lt 16 -or 0 -eq ($setting[8] -band 2)) { return }
  [Text.Encoding]::ASCII.GetString($setting, 16, [Math]::Min($setting.Length - 16, [BitConverter]::ToInt32($setting, 12)))
}

function Get-UpdateHistory($Max) {
  $searcher = (New-Object -ComObject Microsoft.Update.Session).CreateUpdateSearcher()
  $total = [int]$searcher.GetTotalHistoryCount()
  # QueryHistory(0, 0) throws WU_E_INVALIDINDEX.
  if ($total -lt 1) { return }
  foreach ($entry in $searcher.QueryHistory(0, [Math]::Min($Max, $total))) {
    # A DATE arrives with Kind Unspecified and is UTC.
    $date = [DateTimeOffset][DateTime]::SpecifyKind($entry.Date, 'Utc')
    $row = @{
      time = $date.ToUnixTimeSeconds(); operation = [int]$entry.Operation; result = [int]$entry.ResultCode
      hresult = [int]$entry.HResult; title = [string]$entry.Title
      update_id = [string]$entry.UpdateIdentity.UpdateID
      service = [string]$entry.ServiceID; caller = [string]$entry.ClientApplicationID; classes = @()
    }
    # An entry that has no categories to tell is one all the same.
    try { $row.classes = @($entry.Categories | Where-Object Type -EQ UpdateClassification | ForEach-Object CategoryID) } catch { }
    $row
  }
}

function Get-UpdateService {
  $manager = New-Object -ComObject Microsoft.Update.ServiceManager
  foreach ($service in $manager.Services) {
    @{ id = [string]$service.ServiceID; default = [bool]$service.IsDefaultAUService; managed = [bool]$service.IsManaged }
  }
}

function Get-UpdateResult {
  $results = (New-Object -ComObject Microsoft.Update.AutoUpdate).Results
  $dates = foreach ($date in $results.LastSearchSuccessDate, $results.LastInstallationSuccessDate) {
    if ($date -is [DateTime]) { ([DateTimeOffset][DateTime]::SpecifyKind($date, 'Utc')).ToUnixTimeSeconds() } else { $null }
  }
  @{ last_search = $dates[0]; last_install = $dates[1] }
}

function Invoke-UpdateSearch([string] $Criteria) {
  $searcher = (New-Object -ComObject Microsoft.Update.Session).CreateUpdateSearcher()
  $searcher.ClientApplicationID = 'winfleet.wu_repair'
  $search = $searcher.Search($Criteria)
  $count = [int]$search.Updates.Count
  $updates = @(for ($index = 0; $index -lt $count -and $index -lt 30; $index++) {
    $update = $search.Updates.Item($index)
    @{
      title = [string]$update.Title; id = [string]$update.Identity.UpdateID
      kb = @(foreach ($number in $update.KBArticleIDs) { "KB$number" })
      classes = @($update.Categories | Where-Object Type -EQ UpdateClassification | ForEach-Object CategoryID)
    }
  })
  @{
    result = [int]$search.ResultCode; hresult = 0; count = $count; updates = $updates
    warnings = @(foreach ($warning in $search.Warnings) { [int]$warning.HResult })
  }
}

Export-ModuleMember -Function *
