# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

# Runs modules the way ansible-core's module_wrapper.ps1 does: each in its own runspace, module utilities made by New-Module in the order given,
# $complex_args set, output and error stream taken apart.
#
# One order a line of a named pipe, one answer a line on standard output: a PowerShell that has started once runs them in a tenth of the time.

param([string] $Orders)

# As ansible-core does it: objects become hashtables.
function ConvertTo-Table($Value) {
    if ($Value -is [Management.Automation.PSCustomObject]) {
        $table = @{}
        foreach ($property in $Value.PSObject.Properties) { $table[$property.Name] = ConvertTo-Table $property.Value }
        return $table
    }
    if ($Value -is [array]) { return , @(foreach ($one in $Value) { ConvertTo-Table $one }) }
    return $Value
}

function Invoke-Module($Order) {
    $env:AGENT_TEST_STATE = $Order.state
    $env:AGENT_TEST_ROOT = $Order.root
    if ($Order.lab) { $env:WULAB = $Order.lab }
    $request = ConvertTo-Table (ConvertFrom-Json -InputObject ([IO.File]::ReadAllText($Order.request)))
    $text = [IO.File]::ReadAllText($Order.module)
    # As on a host of that language; a thread forgets it with each of its pipelines.
    if ($Order.culture) { $text = "[Threading.Thread]::CurrentThread.CurrentCulture = [Globalization.CultureInfo]::new('$($Order.culture)')`n" + ($text -replace '(?m)^#.*') }
    $ps = [PowerShell]::Create()
    $ps.Runspace.SessionStateProxy.SetVariable('ErrorActionPreference', 'Stop')
    $ps.Runspace.SessionStateProxy.SetVariable('complex_args', @{ request = $request; _ansible_check_mode = $false })
    foreach ($util in $Order.utils) {
        $null = $ps.AddScript('New-Module -Name $args[0] -ScriptBlock ([ScriptBlock]::Create($args[1])) | Import-Module -WarningAction SilentlyContinue -Scope Global')
        $null = $ps.AddArgument([IO.Path]::GetFileNameWithoutExtension($util)).AddArgument([IO.File]::ReadAllText($util)).AddStatement()
    }
    $null = $ps.AddScript('${function:<AnsibleModule>} = [ScriptBlock]::Create($args[0])').AddArgument($text).AddStatement()
    $null = $ps.AddCommand('<AnsibleModule>', $false).AddStatement()
    $answer = @{ out = @($ps.Invoke()) -join "`n"; errors = @($ps.Streams.Error | ForEach-Object { "$_" }) }
    $ps.Runspace.Dispose()
    $ps.Dispose()
    return $answer
}

$reader = [IO.StreamReader]::new($Orders)
while ($null -ne ($line = $reader.ReadLine())) {
    $answer = Invoke-Module (ConvertFrom-Json -InputObject $line)
    [Console]::Out.WriteLine((ConvertTo-Json -Compress -InputObject $answer))
    [Console]::Out.Flush()
}
