# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

# Follows the real module, and the lab's own Invoke-Lab, in one text: a function that is defined again takes the first one's place, exported
# or not. These only correct what the real one says; it lives on under another name. The reasons are in table.tsv.

Set-Item -Path function:Get-RealHostClock -Value ${function:Get-HostClock}
Set-Item -Path function:Get-RealHostFact -Value ${function:Get-HostFact}
Set-Item -Path function:Get-RealFolderFact -Value ${function:Get-FolderFact}
Set-Item -Path function:Get-RealServiceTable -Value ${function:Get-ServiceTable}
Set-Item -Path function:Invoke-RealSntpQuery -Value ${function:Invoke-SntpQuery}
Set-Item -Path function:Get-RealHttpStatus -Value ${function:Get-HttpStatus}
Set-Item -Path function:Test-RealTcpConnect -Value ${function:Test-TcpConnect}

function Get-HostClock {
  [CmdletBinding()]
  param()
  return (Get-RealHostClock) + [IO.File]::ReadAllText('C:\winhost\clock.txt')
}

function Get-HostFact {
  [CmdletBinding()]
  param()
  $null = Get-RealHostFact
  return Invoke-Lab -Function Get-HostFact
}

function Get-FolderFact {
  [CmdletBinding()]
  param(
    [string] $Path
  )
  $fact = Get-RealFolderFact -Path $Path
  if ($null -eq $fact) { return $null }
  $lab = Invoke-Lab -Function Get-FolderFact -Argument @{ Path = $Path }
  if ($null -ne $lab) { $fact.created = $lab['created'] }
  return $fact
}

function Get-ServiceTable {
  [CmdletBinding()]
  param(
    [string[]] $Name
  )
  $table = Get-RealServiceTable -Name $Name
  $lab = Invoke-Lab -Function Get-ServiceTable -Argument @{ Name = @($Name) }
  foreach ($one in @($table.Keys)) {
    # A service of the lab runs a program of the lab, which stands for svchost.
    if ("$($table[$one]['image_path'])" -match 'fakesvc') { $table[$one]['image_path'] = '%systemroot%\system32\svchost.exe -k netsvcs -p' }
    $library = @{ wuauserv = 'wuaueng.dll'; BITS = 'qmgr.dll'; UsoSvc = 'usosvc.dll' }[$one]
    if ($library -and -not $table[$one]['service_dll']) { $table[$one]['service_dll'] = "%systemroot%\system32\$library" }
    if ($lab.ContainsKey($one)) {
      $table[$one]['dependents'] = $lab[$one]['dependents']
      # Not $name: the parameter of that name makes a list of what it is given, which is no key.
      foreach ($field in 'image_path', 'service_dll', 'account', 'dll_missing') {
        if ($lab[$one].ContainsKey($field)) { $table[$one][$field] = $lab[$one][$field] }
      }
    }
  }
  return $table
}

function Invoke-SntpQuery {
  [CmdletBinding()]
  param(
    [string] $Server,
    [int] $TimeoutMs
  )
  if ($Server -match '^127\.') { return Invoke-RealSntpQuery -Server $Server -TimeoutMs $TimeoutMs }
  return Invoke-Lab -Function Invoke-SntpQuery -Argument @{ Server = $Server; TimeoutMs = $TimeoutMs }
}

function Test-TcpConnect {
  [CmdletBinding()]
  param(
    [string] $Server,
    [int] $Port,
    [int] $TimeoutMs
  )
  if ($Server -match '^127\.') { return Test-RealTcpConnect -Server $Server -Port $Port -TimeoutMs $TimeoutMs }
  return Invoke-Lab -Function Test-TcpConnect -Argument @{ Server = $Server; Port = $Port; TimeoutMs = $TimeoutMs }
}

function Get-HttpStatus {
  [CmdletBinding()]
  param(
    [string] $Url,
    [int] $TimeoutMs
  )
  if ($Url -match '^http://127\.') { return Get-RealHttpStatus -Url $Url -TimeoutMs $TimeoutMs }
  return Invoke-Lab -Function Get-HttpStatus -Argument @{ Url = $Url; TimeoutMs = $TimeoutMs }
}

Export-ModuleMember -Function Invoke-Lab
