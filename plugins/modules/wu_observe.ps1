#!powershell

# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

#Requires -Version 5.1
#AnsibleRequires -PowerShell ..module_utils._PlatformRead
#AnsibleRequires -PowerShell ..module_utils._Evidence

try {
    $reply = Get-Observation -Request $complex_args.request
}
catch {
    $reply = @{ schema = 1; refused = 'the agent broke: ' + (Get-Fault -Record $_).why }
}
ConvertTo-JsonText -Value @{ reply = $reply }
