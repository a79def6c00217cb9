# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

# The changing half of the recorded Windows: every call is noted under "calls" of the state, in order. One that the state names under
# "fails" changes nothing, one under "fails_after" changes and throws all the same, once.

function Edit-TestState {
    param([string] $Call, [scriptblock] $Change)
    $state = ConvertFrom-Json -InputObject ([IO.File]::ReadAllText($env:AGENT_TEST_STATE))
    $state.calls = @($state.calls | Where-Object { $_ }) + $Call
    $broken = $state.fails.$Call
    if (-not $broken) { & $Change $state }
    if ($state.fails_after.$Call) {
        $broken = $state.fails_after.$Call
        $state.fails_after.PSObject.Properties.Remove($Call)
    }
    [IO.File]::WriteAllText($env:AGENT_TEST_STATE, (ConvertTo-Json -InputObject $state -Depth 12))
    if ($broken) { throw [Runtime.InteropServices.COMException]::new($broken.message, [int]$broken.code) }
}

function Get-ChangePath {
    param([string] $Path)
    return [IO.Path]::Combine($env:AGENT_TEST_ROOT, ($Path.Substring(3) -replace '\\', '/'))
}

# Who holds the host's lock stands in the state: nothing, a run, or why it cannot be known.
function Enter-HostChange {
    param([string] $Run)
    $lock = (ConvertFrom-Json -InputObject ([IO.File]::ReadAllText($env:AGENT_TEST_STATE))).lock
    return @{ held = -not $lock; by = $lock.by; why = $lock.why; handle = $Run }
}

function Exit-HostChange { param([hashtable] $Lock) Edit-TestState "Exit-HostChange $($Lock.held)" { } }

function Set-ServiceStart {
    param([string] $Name, [int] $Start, [bool] $Delayed)
    Edit-TestState "Set-ServiceStart $Name $Start" { param($s) $s.services.$Name.start = $Start; $s.services.$Name.delayed = $Delayed }
}

function Send-ServiceStop {
    param([string] $Name)
    Edit-TestState "Send-ServiceStop $Name" {
        param($s)
        $slow = $s.services.$Name.slow_ms
        if ($slow) { $s.services.$Name | Add-Member -NotePropertyName stops_at -NotePropertyValue ([DateTimeOffset]::UtcNow.ToUnixTimeMilliseconds() + $slow) -Force }
        if ($s.services.$Name.stuck -or $slow) { $s.services.$Name.state = 'stop_pending' } else { $s.services.$Name.state = 'stopped'; $s.services.$Name.pid = 0 }
    }
}

function Send-ServiceStart { param([string] $Name) Edit-TestState "Send-ServiceStart $Name" { param($s) $s.services.$Name.state = 'running'; $s.services.$Name.PSObject.Properties.Remove('stops_at') } }

function Stop-ServiceProcess {
    param([int] $ProcessId, [string] $Name, [long] $Started)
    Edit-TestState "Stop-ServiceProcess $ProcessId $Name $Started" {
        param($s)
        foreach ($p in $s.services.PSObject.Properties) { if ($p.Value.pid -eq $ProcessId) { $p.Value.state = 'stopped'; $p.Value.pid = 0 } }
    }
}

function Move-Folder {
    param([string] $Path, [string] $Destination)
    $holder = (ConvertFrom-Json -InputObject ([IO.File]::ReadAllText($env:AGENT_TEST_STATE))).starts_and_holds
    if ($holder) { Edit-TestState "trigger $holder" { param($s) $s.starts_and_holds = $null; $s.services.$holder.state = 'running' } }
    Edit-TestState "Move-Folder $Path" {
        param($s)
        if ($s.holds -and $s.services.($s.holds).state -ne 'stopped') { throw [IO.IOException]::new('Access to the path is denied.') }
        [IO.Directory]::Move((Get-ChangePath -Path $Path), (Get-ChangePath -Path $Destination))
    }
}

function Move-SingleFile {
    param([string] $Path, [string] $Destination)
    Edit-TestState "Move-SingleFile $Path" {
        param($s)
        [IO.File]::Move((Get-ChangePath -Path $Path), (Get-ChangePath -Path $Destination))
        # Windows makes its folder again as soon as its place is free.
        if ($s.makes_folder -and $Path -like '*SoftwareDistribution') { $null = [IO.Directory]::CreateDirectory((Get-ChangePath -Path $Path)) }
    }
}

function Remove-FolderTree { param([string] $Path) Edit-TestState "Remove-FolderTree $Path" { Remove-Item -LiteralPath (Get-ChangePath -Path $Path) -Recurse } }

function Write-RegistryValue {
    param([string] $Key, [string] $Name, [string] $Kind, [object] $Value)
    Edit-TestState "Write-RegistryValue $Key\$Name" {
        param($s)
        if ($null -eq $s.registry.$Key) { $s.registry | Add-Member -NotePropertyName $Key -NotePropertyValue ([pscustomobject]@{}) }
        $s.registry.$Key | Add-Member -NotePropertyName $Name -NotePropertyValue $Value -Force
    }
}

function Remove-RegistryValue {
    param([string] $Key, [string] $Name, [bool] $EmptyKey)
    Edit-TestState "Remove-RegistryValue $Key\$Name" {
        param($s)
        $s.registry.$Key.PSObject.Properties.Remove($Name)
        if ($EmptyKey -and -not @($s.registry.$Key.PSObject.Properties).Length) { $s.registry.PSObject.Properties.Remove($Key) }
    }
}
function Set-HostClock { param([long] $OffsetMs) Edit-TestState "Set-HostClock $OffsetMs" { param($s) $s.clock_ms += $OffsetMs } }
function Set-TimeZoneId { param([string] $Id) Edit-TestState "Set-TimeZoneId $Id" { param($s) $s.zone = $Id } }

function Invoke-Program {
    param([string] $Path, [string[]] $Argument, [int] $TimeoutMs)
    $name = $Path -replace '^.*\\'
    Edit-TestState "$name $Argument" {
        param($s)
        # W32Time corrects what is less than MaxAllowedPhaseOffset by the rate of the clock, which takes hours.
        $slew = 1000 * $s.registry.'HKLM\SYSTEM\CurrentControlSet\Services\W32Time\Config'.MaxAllowedPhaseOffset
        if ("$Argument" -like '/resync*' -and $s.sntp.'time.windows.com' -gt $slew) { $s.sntp.'time.windows.com' = 5 }
    }
    return (ConvertFrom-Json -InputObject ([IO.File]::ReadAllText($env:AGENT_TEST_STATE))).exit_code
}

function Read-ServiceListing { (ConvertFrom-Json -InputObject ([IO.File]::ReadAllText($env:AGENT_TEST_STATE))).listing }

function Get-ProcessFact {
    param([int] $ProcessId)
    $fact = (ConvertFrom-Json -InputObject ([IO.File]::ReadAllText($env:AGENT_TEST_STATE))).process_facts."$ProcessId"
    if (-not $fact) { throw [ArgumentException]::new("Process with an Id of $ProcessId is not running.") }
    return @{ name = $fact.name; started = [long]$fact.started }
}

function Get-ServiceSecurity { param([string] $Name) (ConvertFrom-Json -InputObject ([IO.File]::ReadAllText($env:AGENT_TEST_STATE))).security.$Name }
function Set-ServiceSecurity { param([string] $Name, [string] $Sddl) Edit-TestState "Set-ServiceSecurity $Name" { param($s) $s.security.$Name = $Sddl } }

Export-ModuleMember -Function *
