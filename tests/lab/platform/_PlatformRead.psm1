# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

# Stands in for _PlatformRead: the same functions, answered by the simulated Windows at $env:WULAB.

#Requires -Version 5.1

# One line of JSON out, one of CLIXML back, over a connection that this runspace keeps: a second one makes its own.
function Invoke-Lab {
  [CmdletBinding()]
  param(
    [string] $Function,
    [hashtable] $Argument = @{}
  )
  if ($null -eq $script:labReader) {
    $server, $port, $script:labToken = $env:WULAB -split ':', 3
    $client = [Net.Sockets.TcpClient]::new($server, [int]$port)
    $stream = $client.GetStream()
    $script:labReader = [IO.StreamReader]::new($stream)
    $script:labWriter = [IO.StreamWriter]::new($stream)
  }
  $script:labWriter.WriteLine((ConvertTo-Json -InputObject @{ token = $script:labToken; function = $Function; args = $Argument } -Compress -Depth 5))
  $script:labWriter.Flush()
  $answer = $script:labReader.ReadLine()
  if ($null -eq $answer) {
    $script:labReader = $null
    throw [IO.IOException]::new('the lab hung up')
  }
  # CLIXML costs one call; JSON would take another reader, for ConvertFrom-Json turns text that looks like a time into a DateTime.
  $reply = [Management.Automation.PSSerializer]::Deserialize($answer)
  if ($reply['ok']) { return , $reply['result'] }
  $code = [int]$reply.hresult
  if ($Function -eq 'Read-EventRecord' -and $code -eq -2147009889) { throw [IO.FileNotFoundException]::new($reply.message) }
  if ($reply.kind -eq 'TimeoutException') { throw [TimeoutException]::new($reply.message) }
  # .NET has exceptions of its own for these two codes of COM.
  if ($Function -match '-Update' -and $code -eq -2147024894) { throw [IO.FileNotFoundException]::new($reply.message) }
  if ($Function -match '-Update' -and $code -eq -2147024893) { throw [IO.DirectoryNotFoundException]::new($reply.message) }
  if ($Function -match '^(Move|Remove)-F' -and $code -eq -2147024891) { throw [UnauthorizedAccessException]::new($reply.message) }
  throw [Runtime.InteropServices.COMException]::new($reply.message, $code)
}

function Get-HostClock {
  [CmdletBinding()]
  param()
  $result = Invoke-Lab -Function Get-HostClock -Argument @{}
  return $result
}

function Get-HostFact {
  [CmdletBinding()]
  param()
  $result = Invoke-Lab -Function Get-HostFact -Argument @{}
  return $result
}

function Get-SessionFact {
  [CmdletBinding()]
  param()
  $result = Invoke-Lab -Function Get-SessionFact -Argument @{}
  return $result
}

function Get-TimeZoneId {
  [CmdletBinding()]
  param()
  $result = Invoke-Lab -Function Get-TimeZoneId -Argument @{}
  return $result
}

function Get-UtcOffset {
  [CmdletBinding()]
  param()
  $result = Invoke-Lab -Function Get-UtcOffset -Argument @{}
  return $result
}

function Read-RegistryKey {
  [CmdletBinding()]
  param(
    [string] $Key
  )
  $result = Invoke-Lab -Function Read-RegistryKey -Argument @{ Key = $Key }
  return $result
}

function Get-ServiceTable {
  [CmdletBinding()]
  param(
    [string[]] $Name
  )
  $result = Invoke-Lab -Function Get-ServiceTable -Argument @{ Name = @($Name) }
  return $result
}

function Get-ProcessTime {
  [CmdletBinding()]
  param(
    [string[]] $Name
  )
  $result = Invoke-Lab -Function Get-ProcessTime -Argument @{ Name = @($Name) }
  return $result
}

function Read-EventRecord {
  [CmdletBinding()]
  param(
    [string] $Channel,
    [string] $XPath,
    [int] $Max,
    [int] $TimeoutMs,
    [bool] $Oldest
  )
  $result = Invoke-Lab -Function Read-EventRecord -Argument @{ Channel = $Channel; XPath = $XPath; Max = $Max; TimeoutMs = $TimeoutMs; Oldest = $Oldest }
  return $result
}

function Read-FileTail {
  [CmdletBinding()]
  param(
    [string] $Path,
    [long] $Bytes
  )
  $tail = Invoke-Lab -Function Read-FileTail -Argument @{ Path = $Path; Bytes = $Bytes }
  if ($null -eq $tail) { return $null }
  $tail.bytes = [Convert]::FromBase64String($tail.bytes)
  return $tail
}

function Get-FolderFact {
  [CmdletBinding()]
  param(
    [string] $Path
  )
  $result = Invoke-Lab -Function Get-FolderFact -Argument @{ Path = $Path }
  return $result
}

function Get-ChildName {
  [CmdletBinding()]
  param(
    [string] $Path,
    [string] $Filter
  )
  $result = Invoke-Lab -Function Get-ChildName -Argument @{ Path = $Path; Filter = $Filter }
  return $result
}

function Get-FileFact {
  [CmdletBinding()]
  param(
    [string] $Path
  )
  $result = Invoke-Lab -Function Get-FileFact -Argument @{ Path = $Path }
  return $result
}

function Get-DriveFact {
  [CmdletBinding()]
  param(
    [string] $Drive
  )
  $result = Invoke-Lab -Function Get-DriveFact -Argument @{ Drive = $Drive }
  return $result
}

function Invoke-SntpQuery {
  [CmdletBinding()]
  param(
    [string] $Server,
    [int] $TimeoutMs
  )
  $result = Invoke-Lab -Function Invoke-SntpQuery -Argument @{ Server = $Server; TimeoutMs = $TimeoutMs }
  return $result
}

function Test-TcpConnect {
  [CmdletBinding()]
  param(
    [string] $Server,
    [int] $Port,
    [int] $TimeoutMs
  )
  $result = Invoke-Lab -Function Test-TcpConnect -Argument @{ Server = $Server; Port = $Port; TimeoutMs = $TimeoutMs }
  return $result
}

function Get-HttpStatus {
  [CmdletBinding()]
  param(
    [string] $Url,
    [int] $TimeoutMs
  )
  $result = Invoke-Lab -Function Get-HttpStatus -Argument @{ Url = $Url; TimeoutMs = $TimeoutMs }
  return $result
}

function Get-WinHttpProxy {
  [CmdletBinding()]
  param()
  $result = Invoke-Lab -Function Get-WinHttpProxy -Argument @{}
  return $result
}

function Get-UpdateHistory {
  [CmdletBinding()]
  param(
    [int] $Max
  )
  $result = Invoke-Lab -Function Get-UpdateHistory -Argument @{ Max = $Max }
  return $result
}

function Get-UpdateService {
  [CmdletBinding()]
  param()
  $result = Invoke-Lab -Function Get-UpdateService -Argument @{}
  return $result
}

function Get-UpdateResult {
  [CmdletBinding()]
  param()
  $result = Invoke-Lab -Function Get-UpdateResult -Argument @{}
  return $result
}

function Invoke-UpdateSearch {
  [CmdletBinding()]
  param(
    [string] $Criteria
  )
  $result = Invoke-Lab -Function Invoke-UpdateSearch -Argument @{ Criteria = $Criteria }
  return $result
}

Export-ModuleMember -Function *
