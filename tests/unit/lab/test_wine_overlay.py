# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is overlaid on a Wine host, and that nothing else is. Needs no Wine."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from pathlib import Path

import pytest
from lab import wine
from lab.engine import find_powershell
from lab.manifest import MARK, parse
from lab.sim import CHANGE, READ

MODULE_UTILS = wine.REPOSITORY / "plugins" / "module_utils"
REAL = b"""function Get-HostClock { 'x' }
function Get-TimeZoneId { 'real zone' }
function Read-RegistryKey { 'real key, ' + (Get-TimeZoneId) }
function Get-HostFact { 'x' }
function Get-FolderFact { 'x' }
function Get-ServiceTable { 'x' }
function Invoke-SntpQuery { 'x' }
function Test-TcpConnect { param($Server, $Port, $TimeoutMs) "real $Server" }
Export-ModuleMember -Function Get-TimeZoneId, Read-RegistryKey, Test-TcpConnect
"""


def test_the_table_names_platform_functions_and_gives_reasons() -> None:
    table = wine.overlay_table()
    assert set(table) <= {*READ, *CHANGE}
    assert {who for who, _reason in table.values()} <= {"lab", "both"}
    assert all(reason.strip() for _who, reason in table.values())


def test_what_wine_can_do_is_not_overlaid() -> None:
    real = {
        "Get-SessionFact",
        "Read-RegistryKey",
        "Get-ProcessTime",
        "Read-FileTail",
        "Get-ChildName",
        "Get-FileFact",
        "Get-WinHttpProxy",
        "Enter-HostChange",
        "Exit-HostChange",
        "Set-ServiceStart",
        "Send-ServiceStart",
        "Move-Folder",
        "Move-SingleFile",
        "Remove-FolderTree",
        "Write-RegistryValue",
        "Remove-RegistryValue",
    }
    assert real == {*READ, *CHANGE} - set(wine.overlay_table())


@pytest.mark.parametrize("module", wine.MODULES)
def test_the_overlay_defines_what_the_table_names_and_no_other_platform_function(module: str) -> None:
    defined = set(wine.functions(wine.overlay_text(module))) & {*READ, *CHANGE}
    assert defined == set(wine.overlay_table()) & set(wine.MODULES[module])


@pytest.mark.parametrize("module", wine.MODULES)
def test_an_overlaid_function_takes_the_parameters_of_the_real_one(module: str) -> None:
    file = MODULE_UTILS / module
    if not file.exists():
        pytest.skip(f"no {module} yet")
    real = wine.functions(file.read_text("utf-8"))
    overlay = wine.functions(wine.overlay_text(module))
    for name in set(wine.overlay_table()) & set(wine.MODULES[module]):
        assert parameters(overlay[name]) == parameters(real[name]), name


def parameters(function: str) -> list[str]:
    """Names of a function's parameters, in order; types cost time and bytes and stand where they change what arrives."""
    # Where bytes count they stand behind the name.
    match = re.search(r"(?:^function [\w-]+|param)\((.*?)\) ?[\n{]", function, re.DOTALL)
    return re.findall(r"\$(\w+)", match[1] if match else "")


def test_the_real_source_keeps_its_lines() -> None:
    source = b"line 1\nline 2\n"
    assert wine.overlaid("a.b._PlatformRead.psm1", source).startswith(source)
    assert wine.overlaid("a.b._Evidence.psm1", source) == source


def test_a_manifest_passes_through_in_pieces_and_keeps_its_paths() -> None:
    scripts = {
        name: {"script": base64.b64encode(b"# text").decode(), "path": f"/controller/{name}"}
        for name in ("x.y._PlatformRead.psm1", "x.y._Evidence.psm1")
    }
    body = json.dumps({"scripts": scripts, "actions": []}).encode()
    whole = b'{"name": "exec_wrapper"}\n' + MARK + b"\n" + body + b"\n" + MARK + b"\ndata"
    feed = wine.rewriter()
    sent = b"".join(feed(whole[at : at + 50]) for at in range(0, len(whole), 50)) + feed(b"")
    found = parse(sent)
    assert found.scripts["x.y._PlatformRead.psm1"].startswith(b"# text\n")
    assert b"function Get-UpdateHistory" in found.scripts["x.y._PlatformRead.psm1"]
    assert found.scripts["x.y._Evidence.psm1"] == b"# text"
    assert b'"path": "/controller/x.y._PlatformRead.psm1"' in sent
    assert sent.endswith(b"data")


@pytest.mark.engine
@pytest.mark.skipif(find_powershell() is None, reason="no pwsh on PATH and no ../shared/tools/psh")
@pytest.mark.parametrize("name", ["powershell", "pwsh"])
def test_an_overlaid_function_is_the_one_that_is_exported(name: str, tmp_path: Path) -> None:
    programs = find_powershell()
    assert programs is not None
    text = wine.overlaid("a.b._PlatformRead.psm1", REAL) + b"\nfunction Invoke-Lab { 'the lab' }\n"
    (tmp_path / "module.txt").write_bytes(text)
    (tmp_path / "run.ps1").write_text(
        f"$text = [IO.File]::ReadAllText('{tmp_path}/module.txt')\n"
        "New-Module -Name a.b -ScriptBlock ([ScriptBlock]::Create($text)) | Import-Module\n"
        "Get-TimeZoneId; Read-RegistryKey; Test-TcpConnect -Server 127.0.0.1; Test-TcpConnect -Server far.example\n"
        "((Get-Command -Module a.b).Name | Sort-Object) -join ','\n"
    )
    done = subprocess.run(
        [programs[name], "-NoProfile", "-File", tmp_path / "run.ps1"], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "the lab",
        "real key, the lab",
        "real 127.0.0.1",
        "the lab",
        "Get-TimeZoneId,Invoke-Lab,Read-RegistryKey,Test-TcpConnect",
    ]


def test_hive_text_survives_what_names_and_values_may_hold(tmp_path: Path) -> None:
    hive = tmp_path / "system.reg"
    hive.write_text(
        'WINE REGISTRY Version 2\n\n[Software\\\\Old] 1\n"Gone"="x"\n"Kept"="y"\n\n'
        '[Software\\\\Old\\\\Below] 1\n"z"="z"\n\n[Software\\\\Older] 1\n@="q"\n'
    )
    wine.cut_keys(hive, ["software\\old\\BELOW"])
    wine.write_hive(
        hive,
        {"Software\\Old": {"gone": None}, "Software\\A[1]": {'q"\\ü': (wine.REG_SZ, wine.encode("é", wine.REG_SZ))}},
    )
    text = hive.read_text("latin-1")
    assert "Below" not in text
    assert '"Gone"' not in text
    assert '"Kept"="y"' in text
    assert "[Software\\\\Older]" in text
    assert "[Software\\\\A\\[1\\]]" in text
    assert '"q\\"\\\\\\x00fc"=hex(1):e9,00,00,00' in text


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (7, wine.REG_DWORD),
        (1 << 40, wine.REG_QWORD),
        ("Zürich", wine.REG_SZ),
        (["a", "b"], wine.REG_MULTI_SZ),
        (b"\x01", wine.REG_BINARY),
    ],
)
def test_registry_data_comes_back(value: wine.Value, kind: int) -> None:
    assert wine.kind_of(value) == kind
    assert wine.decode(kind, wine.encode(value, kind)) == value


@pytest.mark.parametrize(
    ("given", "personality", "line"),
    [
        ("PowerShell -NoProfile -", "5.1", "PowerShell -NoProfile -"),
        ("powershell.exe -NoProfile -", "7", "pwsh -NoProfile -"),
        ('"C:\\a b\\powershell.exe" -x', "7", "pwsh -x"),
        ("pwsh -NoProfile", "7", "pwsh -NoProfile"),
        ("whoami /all", "7", "cmd.exe /c whoami /all"),
    ],
)
def test_a_command_line_goes_to_the_powershell_that_is_asked_for(given: str, personality: str, line: str) -> None:
    assert wine.windows_line(given, personality) == line
