# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

# As _PlatformRead.psm1 beside it, for what changes.

Set-Item -Path function:Send-RealServiceStop -Value ${function:Send-ServiceStop}
Set-Item -Path function:Get-RealProcessFact -Value ${function:Get-ProcessFact}
Set-Item -Path function:Stop-RealServiceProcess -Value ${function:Stop-ServiceProcess}
Set-Item -Path function:Invoke-RealProgram -Value ${function:Invoke-Program}

function Send-ServiceStop {
  [CmdletBinding()]
  param(
    [string] $Name
  )
  $lab = Invoke-Lab -Function Get-ServiceTable -Argument @{ Name = @($Name) }
  if ($lab.ContainsKey($Name) -and @($lab[$Name]['dependents']).Count) { throw [ComponentModel.Win32Exception]::new(1051) }
  Send-RealServiceStop -Name $Name
}

function Get-ProcessFact {
  [CmdletBinding()]
  param(
    [int] $ProcessId
  )
  $fact = Get-RealProcessFact -ProcessId $ProcessId
  # A service of the lab runs a program of the lab, which stands for svchost.
  if ($fact.name -eq 'fakesvc') { $fact.name = 'svchost' }
  return $fact
}

function Stop-ServiceProcess {
  [CmdletBinding()]
  param(
    [int] $ProcessId,
    [string] $Name,
    [long] $Started
  )
  if ($Name -eq 'svchost') { $Name = 'fakesvc' }
  Stop-RealServiceProcess -ProcessId $ProcessId -Name $Name -Started $Started
}

function Invoke-Program {
  [CmdletBinding()]
  param(
    [string] $Path,
    [string[]] $Argument,
    [int] $TimeoutMs
  )
  if ($Path -notmatch '(^|\\)w32tm(\.exe)?$') { return Invoke-RealProgram -Path $Path -Argument $Argument -TimeoutMs $TimeoutMs }
  return Invoke-Lab -Function Invoke-Program -Argument @{ Path = $Path; Argument = @($Argument); TimeoutMs = $TimeoutMs }
}
