# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

# Runs a module the way ansible-core's module_wrapper.ps1 does: its own runspace, module utilities made by New-Module in the order given,
# $complex_args set, output and error stream taken apart.

param(
    [string] $Module,
    [string] $RequestFile,
    [string[]] $Utils
)

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

$request = ConvertTo-Table (ConvertFrom-Json -InputObject ([IO.File]::ReadAllText($RequestFile)))
$ps = [PowerShell]::Create()
$ps.Runspace.SessionStateProxy.SetVariable('ErrorActionPreference', 'Stop')
$ps.Runspace.SessionStateProxy.SetVariable('complex_args', @{ request = $request; _ansible_check_mode = $false })
foreach ($util in $Utils -split ',') {
    $null = $ps.AddScript('New-Module -Name $args[0] -ScriptBlock ([ScriptBlock]::Create($args[1])) | Import-Module -WarningAction SilentlyContinue -Scope Global')
    $null = $ps.AddArgument([IO.Path]::GetFileNameWithoutExtension($util)).AddArgument([IO.File]::ReadAllText($util)).AddStatement()
}
$null = $ps.AddScript('${function:<AnsibleModule>} = [ScriptBlock]::Create($args[0])').AddArgument([IO.File]::ReadAllText($Module)).AddStatement()
$null = $ps.AddCommand('<AnsibleModule>', $false).AddStatement()
$out = @($ps.Invoke())
$out -join "`n"
foreach ($record in $ps.Streams.Error) { "ERROR STREAM: $record" }
