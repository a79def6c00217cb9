# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

# Stands in for _PlatformChange: the same functions, answered by the simulated Windows at $env:WULAB, by way of _PlatformRead's Invoke-Lab.

#Requires -Version 5.1

function Enter-HostChange {
  [CmdletBinding()]
  param(
    [string] $Run
  )
  $result = Invoke-Lab -Function Enter-HostChange -Argument @{ Run = $Run }
  return $result
}

function Exit-HostChange {
  [CmdletBinding()]
  param(
    [hashtable] $Lock
  )
  $null = Invoke-Lab -Function Exit-HostChange -Argument @{ Lock = $Lock }
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
    [int] $ProcessId,
    [string] $Name,
    [long] $Started
  )
  $null = Invoke-Lab -Function Stop-ServiceProcess -Argument @{ ProcessId = $ProcessId; Name = $Name; Started = $Started }
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
    [string] $Name,
    [bool] $EmptyKey
  )
  $null = Invoke-Lab -Function Remove-RegistryValue -Argument @{ Key = $Key; Name = $Name; EmptyKey = $EmptyKey }
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

function Read-ServiceListing {
  [CmdletBinding()]
  param()
  $result = Invoke-Lab -Function Read-ServiceListing -Argument @{}
  return $result
}

function Get-ProcessFact {
  [CmdletBinding()]
  param(
    [int] $ProcessId
  )
  $result = Invoke-Lab -Function Get-ProcessFact -Argument @{ ProcessId = $ProcessId }
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

Export-ModuleMember -Function *
