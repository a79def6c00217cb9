# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Functions that change a real host, as far as .NET on this machine has what they ask for: files, processes, mutexes."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import ROOT, find_shell

MODULE = ROOT / "plugins/module_utils/_PlatformChange.psm1"
TRY = "function Try-It([scriptblock] $Block) { try { & $Block } catch { $_.Exception.GetBaseException().GetType().Name } }"


class Real:
    """Runs lines after the real module was loaded."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        # A name of its own: two runs of these tests share this machine's mutexes.
        self._module = folder / MODULE.name
        self._module.write_text(MODULE.read_text("ascii").replace("Global\\winfleet.wu_repair", f"Global\\{uuid.uuid4().hex}"), "ascii")

    def start(self, script: str, before: str = "") -> subprocess.Popen[str]:
        """A PowerShell that runs a script."""
        text = f"{before}\nImport-Module {self._module} -WarningAction SilentlyContinue\n$ErrorActionPreference = 'Stop'\n{TRY}\n{script}"
        command = [self._program, "-NoProfile", "-NonInteractive", "-Command", text]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    def run(self, script: str) -> Any:
        """What it gives, as data."""
        process = self.start(f"ConvertTo-Json -Compress -InputObject (& {{ {script} }})")
        out, errors = process.communicate(timeout=120)
        assert not errors, errors
        return json.loads(out)


@pytest.fixture
def real(tmp_path: Path) -> Real:
    found = find_shell()
    if found is None:
        pytest.skip("no PowerShell: neither ../shared/tools/psh nor one on PATH")
    return Real(found, tmp_path)


def test_deleting_follows_no_link_and_touches_no_attribute_of_another_name(real: Real, tmp_path: Path) -> None:
    tree, kept = tmp_path / "tree", tmp_path / "kept"
    (tree / "inner").mkdir(parents=True)
    kept.mkdir()
    (kept / "file.txt").write_text("kept")
    for name in ("alone", "inner/shared"):
        (tree / name).write_text("x")
        (tree / name).chmod(stat.S_IREAD)
    os.link(tree / "inner/shared", kept / "other name")
    (tree / "link").symlink_to(kept, target_is_directory=True)
    (tree / "inner/link.txt").symlink_to(kept / "file.txt")
    assert real.run(f"Remove-FolderTree -Path '{tree}'; 'done'") == "done"
    assert not tree.exists()
    assert sorted(path.name for path in kept.iterdir()) == ["file.txt", "other name"]
    assert not (kept / "other name").stat().st_mode & stat.S_IWRITE


def test_deleting_asks_windows_in_the_form_that_takes_long_paths(real: Real, tmp_path: Path) -> None:
    """No machine here refuses 260 characters, so this looks at the name: on Linux it is one of a file in the current folder."""
    (tmp_path / "\\\\?\\C:\\Old").mkdir()
    assert real.run(f"[Environment]::CurrentDirectory = '{tmp_path}'; Remove-FolderTree -Path 'C:\\Old'; 'done'") == "done"
    assert [path.name for path in tmp_path.iterdir() if "Old" in path.name] == []


def test_a_file_in_the_place_of_a_folder_is_deleted_too(real: Real, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert real.run(f"Remove-FolderTree -Path '{tmp_path / 'file'}'; 'done'") == "done"
    assert not (tmp_path / "file").exists()


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "300"])
    yield process
    process.kill()
    process.wait()


def test_a_process_is_ended_only_as_the_one_that_was_seen(real: Real, sleeper: subprocess.Popen[bytes]) -> None:
    number = sleeper.pid
    seen = real.run(f"""
        $fact = Get-ProcessFact -ProcessId {number}
        $fact.name
        Try-It {{ Stop-ServiceProcess -ProcessId {number} -Name svchost -Started $fact.started }}
        Try-It {{ Stop-ServiceProcess -ProcessId {number} -Name sleep -Started ($fact.started + 1) }}
        [Diagnostics.Process]::GetProcessById({number}).HasExited
        Stop-ServiceProcess -ProcessId {number} -Name sleep -Started $fact.started
    """)
    assert seen == ["sleep", "InvalidOperationException", "InvalidOperationException", False]
    assert sleeper.wait(10) != 0


CONTROLLER = """
Add-Type @'
namespace ServiceProcess {
  public class ServiceController {
    public string ServiceName; public string Status; public ServiceController[] DependentServices = new ServiceController[0];
    public ServiceController(string name) {
      ServiceName = name; Status = "Running";
      if (name == "CryptSvc") DependentServices = new[] {
        new ServiceController("AppIDSvc"), new ServiceController("Old") { Status = "Stopped" }
      };
    }
    public void Stop() {
      foreach (var other in DependentServices) other.Stop();
      System.Console.Error.Write("stopped " + ServiceName + ";");
    }
    public void Dispose() { }
  }
}
'@
"""


def test_a_service_is_stopped_without_what_depends_on_it(real: Real) -> None:
    """Stop of .NET stops all that depends on a service first: what a trigger had started since the look stood still for good."""
    command = real.start(
        """
        try { Send-ServiceStop -Name CryptSvc } catch { $fault = $_.Exception.GetBaseException(); $fault.NativeErrorCode; $fault.Message }
        Send-ServiceStop -Name BITS
        """,
        CONTROLLER,
    )
    out, errors = command.communicate(timeout=120)
    assert (out.split(), errors) == (["1051", "AppIDSvc", "depends", "on", "CryptSvc", "and", "runs"], "stopped BITS;")


def test_one_run_changes_a_host_and_a_dead_one_holds_nothing(real: Real) -> None:
    enter = "$lock = Enter-HostChange -Run 20261124T101530Z-1a2b3c; $lock.held, $lock.why; Exit-HostChange -Lock $lock"
    assert real.run(enter) == [True, None]
    holder = real.start("$lock = Enter-HostChange -Run 20261124T101530Z-1a2b3c; [Console]::WriteLine($lock.held); Start-Sleep 300")
    assert holder.stdout
    try:
        assert holder.stdout.readline().strip() == "True"
        assert real.run(enter) == [False, None]
    finally:
        holder.kill()
        holder.wait()
    time.sleep(0.2)
    assert real.run(enter) == [True, None]
