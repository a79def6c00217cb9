# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

# Stands in for _PlatformChange: the same functions, answered by the simulated Windows at $env:WULAB.

#Requires -Version 5.1

# One line of JSON out, one of CLIXML back, over a connection that this runspace keeps. A helper runspace gets copies of all functions and
# makes a connection of its own.
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
  if ($reply.ok) { return , $reply.result }
  $code = [int]$reply.hresult
  if ($Function -eq 'Read-EventRecord' -and $code -eq -2147009889) { throw [IO.FileNotFoundException]::new($reply.message) }
  if ($Function -match '^(Move|Remove)-F' -and $code -eq -2147024891) { throw [UnauthorizedAccessException]::new($reply.message) }
  throw [Runtime.InteropServices.COMException]::new($reply.message, $code)
}

function Set-ServiceStart {
  [CmdletBinding()]
  param(
    [string] $Name,
    [int] $Start,
    [bool] $Delayed
  )
  $null = Invoke-Lab -Function Set-ServiceStart -Argument @{ Name = $Name; Start = $Start; Delayed = $Delayed }
}

function Send-ServiceStop {
  [CmdletBinding()]
  param(
    [string] $Name
  )
  $null = Invoke-Lab -Function Send-ServiceStop -Argument @{ Name = $Name }
}

function Send-ServiceStart {
  [CmdletBinding()]
  param(
    [string] $Name
  )
  $null = Invoke-Lab -Function Send-ServiceStart -Argument @{ Name = $Name }
}

function Stop-ServiceProcess {
  [CmdletBinding()]
  param(
    [int] $ProcessId
  )
  $null = Invoke-Lab -Function Stop-ServiceProcess -Argument @{ ProcessId = $ProcessId }
}

function Move-Folder {
  [CmdletBinding()]
  param(
    [string] $Path,
    [string] $Destination
  )
  $null = Invoke-Lab -Function Move-Folder -Argument @{ Path = $Path; Destination = $Destination }
}

function Move-SingleFile {
  [CmdletBinding()]
  param(
    [string] $Path,
    [string] $Destination
  )
  $null = Invoke-Lab -Function Move-SingleFile -Argument @{ Path = $Path; Destination = $Destination }
}

function Remove-FolderTree {
  [CmdletBinding()]
  param(
    [string] $Path
  )
  $null = Invoke-Lab -Function Remove-FolderTree -Argument @{ Path = $Path }
}

function Write-RegistryValue {
  [CmdletBinding()]
  param(
    [string] $Key,
    [string] $Name,
    [string] $Kind,
    [object] $Value
  )
  $null = Invoke-Lab -Function Write-RegistryValue -Argument @{ Key = $Key; Name = $Name; Kind = $Kind; Value = $Value }
}

function Remove-RegistryValue {
  [CmdletBinding()]
  param(
    [string] $Key,
    [string] $Name
  )
  $null = Invoke-Lab -Function Remove-RegistryValue -Argument @{ Key = $Key; Name = $Name }
}

function Set-HostClock {
  [CmdletBinding()]
  param(
    [long] $OffsetMs
  )
  $null = Invoke-Lab -Function Set-HostClock -Argument @{ OffsetMs = $OffsetMs }
}

function Set-TimeZoneId {
  [CmdletBinding()]
  param(
    [string] $Id
  )
  $null = Invoke-Lab -Function Set-TimeZoneId -Argument @{ Id = $Id }
}

function Invoke-Program {
  [CmdletBinding()]
  param(
    [string] $Path,
    [string[]] $Argument,
    [int] $TimeoutMs
  )
  $result = Invoke-Lab -Function Invoke-Program -Argument @{ Path = $Path; Argument = @($Argument); TimeoutMs = $TimeoutMs }
  return $result
}

function Get-ServiceProcess {
  [CmdletBinding()]
  param(
    [string] $Name
  )
  $result = Invoke-Lab -Function Get-ServiceProcess -Argument @{ Name = $Name }
  return $result
}

function Get-ServiceSecurity {
  [CmdletBinding()]
  param(
    [string] $Name
  )
  $result = Invoke-Lab -Function Get-ServiceSecurity -Argument @{ Name = $Name }
  return $result
}

function Set-ServiceSecurity {
  [CmdletBinding()]
  param(
    [string] $Name,
    [string] $Sddl
  )
  $null = Invoke-Lab -Function Set-ServiceSecurity -Argument @{ Name = $Name; Sddl = $Sddl }
}

Export-ModuleMember -Function @(
  'Get-ServiceProcess', 'Get-ServiceSecurity', 'Invoke-Program', 'Move-Folder', 'Move-SingleFile', 'Remove-FolderTree', 'Remove-RegistryValue', 'Send-ServiceStart'
  'Send-ServiceStop', 'Set-HostClock', 'Set-ServiceSecurity', 'Set-ServiceStart', 'Set-TimeZoneId'
  'Stop-ServiceProcess', 'Write-RegistryValue'
)
