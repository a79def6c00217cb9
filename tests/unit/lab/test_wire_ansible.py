# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible itself through the wire into a real PowerShell: the engine machine with a platform of the test's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from lab import engine
from lab.engine import EngineBackend, find_powershell
from lab.wire import Wire

pytest.importorskip("winrm", reason="pywinrm is not installed")
ANSIBLE = Path(sys.executable).with_name("ansible")

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(find_powershell() is None, reason="no pwsh on PATH and no ../shared/tools/psh"),
    pytest.mark.skipif(not ANSIBLE.exists(), reason="no ansible beside this Python"),
]

MODULE = """#!powershell
#AnsibleRequires -PowerShell ..module_utils._PlatformRead
@{
    changed = $false
    who = Get-Who
    version = $PSVersionTable.PSVersion.Major
    lab = $env:WULAB
    temp = [System.IO.Path]::GetTempPath()
    got = $complex_args.text
} | ConvertTo-Json -Compress
"""
UTIL = "Function Get-Who { '%s' }\nExport-ModuleMember -Function Get-Who\n"


class Lab:
    """One engine host and the ansible that talks to it."""

    def __init__(self, folder: Path, personality: str) -> None:
        self.folder = folder
        sim: Any = SimpleNamespace(name="h1", address="127.0.0.1:1:token", serve=lambda: ("127.0.0.1", 1))
        self.wire = Wire()
        self.machine = EngineBackend(sim, folder / "h1", personality)
        host = self.wire.add("h1", self.machine)
        (folder / "inventory.yml").write_text(yaml.safe_dump({"all": {"hosts": {"h1": {
            "ansible_connection": "winrm", "ansible_host": "127.0.0.1", "ansible_port": host.port,
            "ansible_winrm_scheme": "http", "ansible_winrm_transport": "basic", "ansible_user": self.wire.user,
            "ansible_password": self.wire.password,
        }}}}))

    def run(self, module: str, *arguments: str, **environment: str) -> tuple[int, str]:
        # pytest-ansible overwrites the variable; what Python can import, ansible shall find too.
        roots = [entry for entry in sys.path if (Path(entry) / "ansible_collections").is_dir()]
        path = ":".join([str(self.folder / "collections"), os.environ.get("ANSIBLE_COLLECTIONS_PATH", ""), *roots])
        answer = subprocess.run(
            [ANSIBLE, "-i", self.folder / "inventory.yml", "h1", "-m", module, *arguments],
            env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": path, "ANSIBLE_LOCALHOST_WARNING": "0",
                 "ANSIBLE_NOCOLOR": "1", **environment},
            capture_output=True, text=True, check=False, timeout=120,
        )
        return answer.returncode, answer.stdout + answer.stderr


@pytest.fixture(params=["5.1", "7"])
def lab(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    plugins = tmp_path / "collections/ansible_collections/test/lab/plugins"
    for folder in ("modules", "module_utils"):
        (plugins / folder).mkdir(parents=True)
    (plugins / "modules/who.ps1").write_text(MODULE)
    (plugins / "module_utils/_PlatformRead.psm1").write_text(UTIL % "windows")
    (tmp_path / "platform").mkdir()
    monkeypatch.setattr(engine, "PLATFORM", tmp_path / "platform")
    lab = Lab(tmp_path, request.param)
    lab.personality = request.param  # type: ignore[attr-defined]
    yield lab
    lab.wire.close()
    lab.machine.close()
    assert lab.wire.errors == []


def test_raw_and_module(lab: Lab) -> None:
    major = int(lab.personality[0])  # type: ignore[attr-defined]
    code, out = lab.run("raw", "-a", "$PSVersionTable.PSVersion.Major; [Console]::Error.WriteLine('oh'); exit 3")
    assert code == 2, out
    assert f"rc=3 >>\n{major}" in out
    assert "oh" in out

    code, out = lab.run("test.lab.who", "-a", "text=gr\u00fc\u00dfe")
    assert code == 0, out
    result = json.loads(out[out.index("{"):])
    assert result["who"] == "windows"
    assert result["got"] == "gr\u00fc\u00dfe"
    assert result["version"] == major
    assert result["lab"] == "127.0.0.1:1:token"
    assert Path(result["temp"]) == lab.folder / "h1/temp"


def test_platform_is_swapped_and_coverage_books_the_rest(lab: Lab) -> None:
    (lab.folder / "platform/_PlatformRead.psm1").write_text(UTIL % "simulated")
    covered = lab.folder / "coverage"
    covered.mkdir()
    code, out = lab.run(
        "test.lab.who", _ANSIBLE_COVERAGE_REMOTE_OUTPUT=f"{covered}/run", _ANSIBLE_COVERAGE_REMOTE_PATH_FILTER="*"
    )
    assert code == 0, out
    assert '"who": "simulated"' in out
    lines: dict[str, list[dict[str, int]]] = {}
    for file in covered.iterdir():
        lines.update(json.loads(file.read_text(encoding="utf-8-sig")))
    module = str(lab.folder / "collections/ansible_collections/test/lab/plugins/modules/who.ps1")
    assert {line["Line"] for line in lines[module] if line["HitCount"]} >= {3, 5, 9}
    original = module.replace("modules/who.ps1", "module_utils/_PlatformRead.psm1")
    assert original not in lines


def test_a_module_with_ansibles_own_utilities(lab: Lab) -> None:
    code, out = lab.run("ansible.windows.win_ping")
    if "Cannot resolve 'ansible.windows" in out:
        pytest.skip("ansible.windows is not installed")
    assert code == 0, out
    assert '"ping": "pong"' in out
    cost = lab.wire.counters()["h1"]
    assert cost["messages"] <= 9
    assert cost["bytes_sent"] < 300_000
    assert cost["processes"] == 1
