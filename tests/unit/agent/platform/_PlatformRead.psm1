# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

# A recorded Windows for the agent's own tests: state in one JSON file, files of the host in a folder beside it. A function that the
# state names under "fails" throws, one under "hangs" never returns.

function Get-TestState {
    $state = ConvertFrom-Json -InputObject ([IO.File]::ReadAllText($env:AGENT_TEST_STATE))
    $name = (Get-PSCallStack)[1].Command
    if ($state.hangs.$name) { [Threading.Thread]::Sleep(600000) }
    # `far`: in the lane beside alone.
    if ($state.fails.$name -and (-not $state.fails.$name.far -or [Threading.Thread]::CurrentThread.IsBackground)) {
        $fail = $state.fails.$name
        if ($fail.type -eq 'denied') { throw [UnauthorizedAccessException]::new($fail.message) }
        if ($fail.type -eq 'timeout') { throw [TimeoutException]::new($fail.message) }
        if ($fail.type -eq 'absent') { throw [IO.FileNotFoundException]::new($fail.message) }
        throw [Runtime.InteropServices.COMException]::new($fail.message, [int]$fail.code)
    }
    return $state
}

function Get-TestPath {
    param([string] $Path)
    return [IO.Path]::Combine($env:AGENT_TEST_ROOT, ($Path.Substring(3) -replace '\\', '/'))
}

function ConvertFrom-TestNode {
    param([object] $Node)
    $table = @{}
    if ($null -ne $Node) { foreach ($property in $Node.PSObject.Properties) { $table[$property.Name] = $property.Value } }
    return $table
}

function Get-HostClock { param() (Get-TestState).clock_ms }
function Get-HostFact { param() ConvertFrom-TestNode -Node (Get-TestState).host }
function Get-SessionFact { param() ConvertFrom-TestNode -Node (Get-TestState).session }
function Get-TimeZoneId { param() (Get-TestState).zone }
function Get-UtcOffset { param() (Get-TestState).utc_offset_s }
function Get-WinHttpProxy { param() (Get-TestState).winhttp_proxy }

function Read-RegistryKey {
    param([string] $Key)
    $state = Get-TestState
    if ($Key -in $state.guarded) { throw [Security.SecurityException]::new('Requested registry access is not allowed.') }
    $read = @{ values = @{}; subkeys = @() }
    $found = $false
    foreach ($property in $state.registry.PSObject.Properties) {
        if ($property.Name -eq $Key) {
            $found = $true
            $read.values = ConvertFrom-TestNode -Node $property.Value
        }
        elseif ($property.Name.StartsWith("$Key\", 'OrdinalIgnoreCase')) {
            $found = $true
            $read.subkeys += $property.Name.Substring($Key.Length + 1).Split('\')[0]
        }
    }
    if ($found) { return $read }
    return $null
}

function Get-ServiceTable {
    param([string[]] $Name)
    $state = Get-TestState
    $table = @{}
    foreach ($one in $Name) {
        $service = $state.services.$one
        if ($null -eq $service) { continue }
        if ($service.stops_at -and [DateTimeOffset]::UtcNow.ToUnixTimeMilliseconds() -ge $service.stops_at) { $service.state = 'stopped' }
        $table[$one] = @{
            start = $service.start; delayed = [bool]$service.delayed; state = $service.state
            dependents = @($service.dependents | Where-Object { $_ -and $state.services.$_.state -ne 'stopped' })
            trigger = [bool]$service.trigger
        }
        if ($one -in 'wuauserv', 'BITS', 'UsoSvc') {
            $table[$one] += @{
                image_path = '%systemroot%\system32\svchost.exe -k netsvcs -p'; service_dll = "%systemroot%\system32\$one.dll"
                account = if ($service.account) { $service.account } else { 'LocalSystem' }; dll_missing = [bool]$service.dll_missing
            }
        }
    }
    return $table
}

# A process that is a number takes so many milliseconds of each second, null cannot be read, a list holds what is answered one call after the other.
function Get-ProcessTime {
    param([string[]] $Name)
    $state = Get-TestState
    $times = @{}
    foreach ($property in $state.processes.PSObject.Properties) {
        if ($property.Name -notin $Name) { continue }
        $value = $property.Value
        if ($null -ne $value -and $value -isnot [array]) { $value = [long]($value * [Diagnostics.Stopwatch]::GetTimestamp() / [Diagnostics.Stopwatch]::Frequency) }
        elseif ($null -ne $value) {
            # Each call takes one, the last stays; -1 is a process that has gone.
            $file = "$env:AGENT_TEST_STATE.$($property.Name)"
            $at = if ([IO.File]::Exists($file)) { [int][IO.File]::ReadAllText($file) } else { 0 }
            [IO.File]::WriteAllText($file, "$($at + 1)")
            $value = $value[[Math]::Min($at, $value.Length - 1)]
            if ($value -eq -1) { continue }
        }
        $times[$property.Name] = $value
    }
    return $times
}

function Read-EventRecord {
    param([string] $Channel, [string] $XPath, [int] $Max, [int] $TimeoutMs, [bool] $Oldest)
    $state = Get-TestState
    if ($null -eq $state.channels.$Channel) { throw [IO.FileNotFoundException]::new("no channel $Channel") }
    $texts = $state.channels.$Channel
    if ($Oldest) { return @($texts | Select-Object -Last $Max) }
    # Enough of XPath to tell providers and ids apart.
    $provider = [regex]::Match($XPath, "@Name='([^']*)'").Groups[1].Value
    $terms = [regex]::Matches($XPath, 'EventID=(\d+)|EventID>=(\d+) and EventID<=(\d+)')
    $found = @($texts | Where-Object {
        $id = [int][regex]::Match($_, '<EventID[^>]*>(\d+)').Groups[1].Value
        (-not $provider -or $_.Contains("Name='$provider'")) -and @($terms | Where-Object {
            if ($_.Groups[1].Success) { [int]$_.Groups[1].Value -eq $id } else { [int]$_.Groups[2].Value -le $id -and $id -le [int]$_.Groups[3].Value }
        })
    } | Select-Object -First $Max)
    if ($null -eq $state.breaks.$Channel) { return $found }
    $found | Select-Object -First $state.breaks.$Channel
    throw [TimeoutException]::new('late')
}

function Read-FileTail {
    param([string] $Path, [long] $Bytes)
    $null = Get-TestState
    $file = Get-TestPath -Path $Path
    if (-not [IO.File]::Exists($file)) { return $null }
    $all = [IO.File]::ReadAllBytes($file)
    $size = [Math]::Min($all.Length, $Bytes)
    $tail = [byte[]]::new($size)
    [Array]::Copy($all, $all.Length - $size, $tail, 0, $size)
    return @{ size = $all.Length; modified = ([DateTimeOffset][IO.File]::GetLastWriteTimeUtc($file)).ToUnixTimeSeconds(); bytes = $tail }
}

function Get-FolderFact {
    param([string] $Path)
    $folder = [IO.DirectoryInfo]::new((Get-TestPath -Path $Path))
    if (-not $folder.Exists) { return $null }
    return @{ created = ([DateTimeOffset]$folder.LastWriteTimeUtc).ToUnixTimeSeconds(); reparse = 0 -ne ($folder.Attributes -band 1024) }
}

function Get-ChildName {
    param([string] $Path, [string] $Filter)
    $null = Get-TestState
    $folder = Get-TestPath -Path $Path
    if (-not [IO.Directory]::Exists($folder)) { return @() }
    @([IO.Directory]::GetFileSystemEntries($folder, $Filter) | ForEach-Object { [IO.Path]::GetFileName($_) } | Sort-Object)
}

function Get-FileFact {
    param([string] $Path)
    $file = [IO.FileInfo]::new((Get-TestPath -Path $Path))
    if (-not $file.Exists) { return $null }
    $time = ([DateTimeOffset]$file.LastWriteTimeUtc).ToUnixTimeSeconds()
    return @{ created = $time; modified = $time; size = $file.Length }
}

function Get-DriveFact { param([string] $Drive) ConvertFrom-TestNode -Node (Get-TestState).disk }

function Invoke-SntpQuery {
    param([string] $Server, [int] $TimeoutMs)
    [IO.File]::AppendAllText("$env:AGENT_TEST_STATE.asked", "$Server`n")
    $answer = (Get-TestState).sntp.$Server
    if ($null -eq $answer) { throw [Net.Sockets.SocketException]::new(10060) }
    return @{ offset_ms = $answer }
}

function Get-HttpStatus { param([string] $Url, [int] $TimeoutMs) if ((Get-TestState).http.$Url) { (Get-TestState).http.$Url } else { throw "nothing at $Url within $TimeoutMs ms" } }
function Test-TcpConnect { param([string] $Server, [int] $Port, [int] $TimeoutMs) @{ ok = (Get-TestState).tcp -contains "${Server}:$Port"; error = $null } }

function Get-UpdateHistory {
    param([int] $Max)
    $history = @((Get-TestState).history | Where-Object { $null -ne $_ })
    return @($history | Select-Object -First $Max | ForEach-Object { ConvertFrom-TestNode -Node $_ })
}

function Get-UpdateService { param() foreach ($one in (Get-TestState).update_services) { ConvertFrom-TestNode -Node $one } }
function Get-UpdateResult { param() $null = Get-TestState; @{ last_search = 1764000000; last_install = $null } }
# The worker takes what it takes for the search: of a list the next.
function Invoke-UpdateSearch { param([string] $Criteria) $null = Get-ProcessTime -Name TiWorker; $null = Get-TestState; @{
        result = 2; hresult = 0; count = 1; warnings = @()
        updates = @(@{ title = 't' * 200; id = 'u1'; kb = @('KB5034441'); classes = @('0fa1201d-4330-4fa8-8ae9-b877473b6441') })
    } }

Export-ModuleMember -Function *
