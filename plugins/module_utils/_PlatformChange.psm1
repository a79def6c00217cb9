# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

# PRIVATE: the changing half of what touches Windows. One Windows call a function; nothing here waits or decides.

#Requires -Version 5.1

# One change of a host at a time. What holds the mutex tells its run in memory that dies with it, too. Why: the mutex is not ours to open.
function Enter-HostChange {
  [CmdletBinding()]
  param([string] $Run)
  $lock = @{ held = $false; by = $null; why = $null; handle = @() }
  try {
    $name, $made = 'Global\winfleet.wu_repair', $false
    try {
      # For SYSTEM and administrators alike: of one that SYSTEM made (become) by its default descriptor, an administrator may only wait for it,
      # and .NET opens none for that alone. .NET Framework has a constructor for a descriptor, .NET a class.
      $security = [Security.AccessControl.MutexSecurity]::new()
      $security.SetSecurityDescriptorSddlForm('D:(A;;0x1f0001;;;SY)(A;;0x1f0001;;;BA)')
      $acl = 'Threading.MutexAcl' -as [type]
      $mutex = if ($acl) { $acl::Create($false, $name, [ref]$made, $security) } else { [Threading.Mutex]::new($false, $name, [ref]$made, $security) }
    }
    catch [PlatformNotSupportedException] { $mutex = [Threading.Mutex]::new($false, $name) }
    $lock.handle = @($mutex)
    # A holder that died holds nothing: it is ours.
    try { $lock.held = $mutex.WaitOne(0) } catch [Threading.AbandonedMutexException] { $lock.held = $true }
  }
  catch {
    $lock.why = $_.Exception.GetBaseException().Message
    return $lock
  }
  try {
    $name, $size = 'Global\winfleet.wu_repair.run', 64
    $note = if ($lock.held) { [IO.MemoryMappedFiles.MemoryMappedFile]::CreateOrOpen($name, $size) } else { [IO.MemoryMappedFiles.MemoryMappedFile]::OpenExisting($name, 'Read') }
    $lock.handle += $note
    $view = $note.CreateViewStream(0, $size, $(if ($lock.held) { 'ReadWrite' } else { 'Read' }))
    $bytes = [byte[]]::new($size)
    if ($lock.held) { $view.Write([Text.Encoding]::ASCII.GetBytes($Run.PadRight($size)), 0, $size) }
    elseif ($view.Read($bytes, 0, $size)) { $lock.by = [Text.Encoding]::ASCII.GetString($bytes).Trim(" `0") }
    $view.Dispose()
  }
  # A run without a name keeps others out just as well.
  catch { $null = $_ }
  return $lock
}

function Exit-HostChange {
  [CmdletBinding()]
  param([hashtable] $Lock)
  if ($Lock.held) { $Lock.handle[0].ReleaseMutex() }
  foreach ($handle in $Lock.handle) { $handle.Dispose() }
}

function Set-ServiceStart {
  [CmdletBinding()]
  param(
    [string] $Name,
    [int] $Start,
    [bool] $Delayed
  )
  Set-Service -Name $Name -StartupType @{ 2 = 'Automatic'; 3 = 'Manual'; 4 = 'Disabled' }[$Start]
  if ($Start -ne 2) { return }
  $key = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey("SYSTEM\CurrentControlSet\Services\$Name")
  $now = 1 -eq $key.GetValue('DelayedAutostart')
  $key.Dispose()
  if ($now -eq $Delayed) { return }
  # Set-Service of 5.1 knows no delayed start; the service manager does not see it written to the registry.
  $word = if ($Delayed) { 'delayed-auto' } else { 'auto' }
  $code = Invoke-Program -Path "$env:SystemRoot\System32\sc.exe" -Argument 'config', $Name, 'start=', $word -TimeoutMs 30000
  if ($code -ne 0) { throw [ComponentModel.Win32Exception]::new([int]$code) }
}

function Send-ServiceStop {
  [CmdletBinding()]
  param([string] $Name)
  Add-Type -AssemblyName System.ServiceProcess
  $service = [ServiceProcess.ServiceController]::new($Name)
  try {
    # Stop() would stop what depends on it as well, whoever it belongs to, and nobody would start it again (.NET, ServiceController.Stop).
    # The caller has stopped what is ours; what runs by now a trigger has started since.
    $others = @($service.DependentServices | Where-Object { $_.Status -ne 'Stopped' })
    if ($others) { throw [ComponentModel.Win32Exception]::new(1051, "$($others.ServiceName -join ', ') depends on $Name and runs") }
    $service.Stop()
  }
  finally { $service.Dispose() }
}

function Send-ServiceStart {
  [CmdletBinding()]
  param([string] $Name)
  Add-Type -AssemblyName System.ServiceProcess
  $service = [ServiceProcess.ServiceController]::new($Name)
  try { $service.Start() }
  finally { $service.Dispose() }
}

# What sc.exe says of all services that are not stopped, with their processes. It needs no WMI, which may be broken where updates are.
function Read-ServiceListing {
  [CmdletBinding()]
  param()
  # 256 KB is the most that EnumServicesStatusEx gives at once.
  $start = [Diagnostics.ProcessStartInfo]::new("$env:SystemRoot\System32\sc.exe", 'queryex type= service state= active bufsize= 262144')
  $start.UseShellExecute = $false
  $start.CreateNoWindow = $true
  $start.RedirectStandardOutput = $true
  $process = [Diagnostics.Process]::Start($start)
  try {
    $text = $process.StandardOutput.ReadToEndAsync()
    if (-not $text.Wait(30000)) {
      $process.Kill()
      throw [TimeoutException]::new('sc.exe did not list the services within 30000 ms')
    }
    return $text.Result
  }
  finally { $process.Dispose() }
}

# The name of a process and when it began, by its number.
function Get-ProcessFact {
  [CmdletBinding()]
  param([int] $ProcessId)
  $process = [Diagnostics.Process]::GetProcessById($ProcessId)
  try { return @{ name = $process.ProcessName; started = ([DateTimeOffset]$process.StartTime).ToUnixTimeMilliseconds() } }
  finally { $process.Dispose() }
}

function Stop-ServiceProcess {
  [CmdletBinding()]
  param(
    [int] $ProcessId,
    [string] $Name,
    [long] $Started
  )
  $process = [Diagnostics.Process]::GetProcessById($ProcessId)
  try {
    # While its handle is open its number is nobody else's.
    $null = $process.Handle
    if ($process.ProcessName -ne $Name -or ([DateTimeOffset]$process.StartTime).ToUnixTimeMilliseconds() -ne $Started) {
      throw [InvalidOperationException]::new("process $ProcessId is another one by now")
    }
    $process.Kill()
  }
  finally { $process.Dispose() }
}

function Move-Folder {
  [CmdletBinding()]
  param(
    [string] $Path,
    [string] $Destination
  )
  [IO.Directory]::Move($Path, $Destination)
}

function Move-SingleFile {
  [CmdletBinding()]
  param(
    [string] $Path,
    [string] $Destination
  )
  [IO.File]::Move($Path, $Destination)
}

function Remove-FolderTree {
  [CmdletBinding()]
  param([string] $Path)
  $reparse, $readOnly = [int][IO.FileAttributes]::ReparsePoint, [int][IO.FileAttributes]::ReadOnly
  $first = $null
  # The one form in which Windows PowerShell 5.1 opens more than 260 characters whatever the host says (Microsoft, "More on new .NET path handling").
  $long = $Path -replace '\A(?=[A-Za-z]:\\)', '\\?\'
  $entries = [Collections.ArrayList]@($(if ([IO.File]::Exists($long)) { [IO.FileInfo]::new($long) } else { [IO.DirectoryInfo]::new($long) }))
  for ($i = 0; $i -lt $entries.Count; $i++) {
    if ($entries[$i] -isnot [IO.DirectoryInfo] -or 0 -ne ([int]$entries[$i].Attributes -band $reparse)) { continue }
    try { $entries.AddRange($entries[$i].GetFileSystemInfos()) }
    catch { if (-not $first) { $first = $_ } }
  }
  # Deepest first and not recursive: of a link the link itself goes, never what it points to. One that will not go keeps none of the others.
  for ($i = $entries.Count - 1; $i -ge 0; $i--) {
    $entry = $entries[$i]
    try {
      # A file's attributes are those of all its names. This is null for one that has one name (LinkType, but a property that throws is null too).
      if ($readOnly -eq ([int]$entry.Attributes -band ($readOnly -bor $reparse)) -and -not
        [Microsoft.PowerShell.Commands.InternalSymbolicLinkLinkCodeMethods]::GetLinkType($entry)) {
        $entry.Attributes = if ($entry -is [IO.DirectoryInfo]) { [IO.FileAttributes]::Directory } else { [IO.FileAttributes]::Normal }
      }
    }
    catch { $null = $_ }
    try { $entry.Delete() }
    catch { if (-not $first) { $first = $_ } }
  }
  if ($first) { throw $first }
}

function Write-RegistryValue {
  [CmdletBinding()]
  param(
    [string] $Key,
    [string] $Name,
    [string] $Kind,
    [object] $Value
  )
  $path = ($Key -split '\\', 2)[1]
  # .NET takes a DWORD as a signed Int32 alone.
  $data = if ($Kind -eq 'DWord') { [BitConverter]::ToInt32([BitConverter]::GetBytes([long]$Value), 0) } else { [string]$Value }
  $base = [Microsoft.Win32.RegistryKey]::OpenBaseKey('LocalMachine', 'Registry64')
  try {
    $open = $base.CreateSubKey($path)
    # Text that Windows keeps with variables in it (NtpServer may be REG_EXPAND_SZ) stays of its kind.
    if ($Kind -eq 'String' -and $Name -in $open.GetValueNames() -and $open.GetValueKind($Name) -eq 'ExpandString') { $Kind = 'ExpandString' }
    $open.SetValue($Name, $data, [Microsoft.Win32.RegistryValueKind]$Kind)
  }
  finally { $base.Dispose() }
}

function Remove-RegistryValue {
  [CmdletBinding()]
  param(
    [string] $Key,
    [string] $Name,
    [bool] $EmptyKey
  )
  $path = ($Key -split '\\', 2)[1]
  $base = [Microsoft.Win32.RegistryKey]::OpenBaseKey('LocalMachine', 'Registry64')
  try {
    $open = $base.OpenSubKey($path, $true)
    if ($null -eq $open) { return }
    $open.DeleteValue($Name, $false)
    $empty = $open.ValueCount -eq 0 -and $open.SubKeyCount -eq 0
    $open.Dispose()
    if ($EmptyKey -and $empty) { $base.DeleteSubKey($path, $false) }
  }
  finally { $base.Dispose() }
}

function Set-HostClock {
  [CmdletBinding()]
  param([long] $OffsetMs)
  # Set-Date takes local time whatever the Kind of its DateTime (it calls SetLocalTime), which names two moments in the hour that autumn
  # repeats and none in the one that spring leaves out. SetSystemTime takes UTC, and the privilege it needs it enables itself.
  # The compiled method reads the error itself: between two lines of PowerShell others set it.
  $code = @'
[DllImport("kernel32.dll", SetLastError = true)] static extern bool SetSystemTime(ushort[] time);
public static int Set(ushort[] time) { return SetSystemTime(time) ? 0 : Marshal.GetLastWin32Error(); }
'@
  $native = Add-Type -MemberDefinition $code -Name SystemClock -Namespace WinfleetWuRepair -PassThru
  $to = [DateTime]::UtcNow.AddMilliseconds($OffsetMs)
  [uint16[]] $parts = $to.Year, $to.Month, [int]$to.DayOfWeek, $to.Day, $to.Hour, $to.Minute, $to.Second, $to.Millisecond
  $failed = $native::Set($parts)
  if ($failed) { throw [ComponentModel.Win32Exception]::new([int]$failed) }
}

function Set-TimeZoneId {
  [CmdletBinding()]
  param([string] $Id)
  Set-TimeZone -Id $Id
}

function Invoke-Program {
  [CmdletBinding()]
  param(
    [string] $Path,
    [string[]] $Argument,
    [int] $TimeoutMs
  )
  $words = foreach ($word in $Argument) { if ($word -match '[\s"]') { '"' + ($word -replace '(\\*)"', '$1$1\"') + '"' } else { $word } }
  $start = [Diagnostics.ProcessStartInfo]::new($Path, ($words -join ' '))
  $start.UseShellExecute = $false
  $start.CreateNoWindow = $true
  # Whatever it prints is in the reader's language and must not come between us and our one line.
  $start.RedirectStandardInput = $true
  $start.RedirectStandardOutput = $true
  $start.RedirectStandardError = $true
  $process = [Diagnostics.Process]::Start($start)
  try {
    $process.StandardInput.Close()
    $process.BeginOutputReadLine()
    $process.BeginErrorReadLine()
    if ($process.WaitForExit($TimeoutMs)) { return $process.ExitCode }
    $process.Kill()
    return $null
  }
  finally { $process.Dispose() }
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

function Set-ServiceSecurity {
  [CmdletBinding()]
  param(
    [string] $Name,
    [string] $Sddl
  )
  $code = Invoke-Program -Path "$env:SystemRoot\System32\sc.exe" -Argument 'sdset', $Name, $Sddl -TimeoutMs 30000
  if ($code -ne 0) { throw [ComponentModel.Win32Exception]::new([int]$code) }
}

Export-ModuleMember -Function *
