# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Functions that read a real host, beside classes that stand in for what .NET has on Windows alone or does there under other rights."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from .conftest import find_shell, platform_script

# PowerShell looks a name up as it is written before it puts System before it, so that these come first.
PROCESSES = """
Add-Type @'
namespace Diagnostics {
  public class Process {
    public string ProcessName; object taken;
    Process(string name, object taken) { ProcessName = name; this.taken = taken; }
    public System.TimeSpan TotalProcessorTime { get {
      if (taken == null) throw new System.ComponentModel.Win32Exception(5);
      return System.TimeSpan.FromSeconds((int)taken);
    } }
    public static Process[] GetProcesses() {
      return new[] { new Process("TiWorker", null), new Process("msiexec", 7), new Process("msiexec", 2) };
    }
  }
}
'@
"""


# UsoSvc has two dependents; who depends on wuauserv may not be asked.
SERVICES = """
Add-Type @'
namespace ServiceProcess {
  public enum State { Stopped = 1, StartPending, StopPending, Running }
  public class ServiceController {
    public string ServiceName; public State Status;
    public ServiceController(string name, State status) { ServiceName = name; Status = status; }
    public ServiceController[] DependentServices { get {
      if (ServiceName == "wuauserv") throw new System.InvalidOperationException("denied");
      return new[] {
        new ServiceController("one", State.Running), new ServiceController("two", State.Stopped),
        new ServiceController("three", State.StopPending)
      };
    } }
    public static ServiceController[] GetServices() {
      return new[] { new ServiceController("wuauserv", State.Running), new ServiceController("UsoSvc", State.Running) };
    }
  }
}
'@
"""
REGISTRY = r"""
& (Get-Module _PlatformRead) {
  function script:Read-RegistryKey([string] $Key) {
    if ($Key -match '\\wuauserv\\Parameters$') { @{ values = @{ ServiceDll = $global:library } } }
    elseif ($Key -match '\\(wuauserv|UsoSvc)$') { @{ values = @{ Start = 3 }; subkeys = @() } }
  }
}
"""


def read(tmp_path: Path, script: str, before: str = "") -> Any:
    """What lines give, as data, after the real module was loaded."""
    shell = find_shell()
    if shell is None:
        pytest.skip("no PowerShell: neither ../shared/tools/psh nor one on PATH")
    file = tmp_path / "script.ps1"
    file.write_text(f"{before}\n{platform_script('ConvertTo-Json -Compress -Depth 5 -InputObject (& {' + script + '})')}", "ascii")
    done = subprocess.run([shell, "-NoProfile", "-NonInteractive", "-File", file], capture_output=True, text=True, check=False, timeout=120)
    assert not done.stderr, done.stderr
    return json.loads(done.stdout)


def test_a_processor_time_that_may_not_be_read_is_not_known(tmp_path: Path) -> None:
    """To PowerShell a property that throws is null, and [long] of null is 0: a worker that may not be asked was taken for idle."""
    assert read(tmp_path, "Get-ProcessTime -Name TiWorker, msiexec, SetupHost", PROCESSES) == {"TiWorker": None, "msiexec": 9000}


# Without a drive Windows looks for it in System32, and we would look in whatever folder PowerShell was started.
LIBRARIES = {
    r"C:\gone.dll": True,
    r"C:\here.dll": False,
    r"\\?\C:\here.dll": False,
    r"\\?\C:\gone.dll": True,
    "wuaueng.dll": False,
    "": False,
}


def test_a_library_is_missed_at_the_place_that_is_named(tmp_path: Path) -> None:
    """To Linux `C:\\here.dll` is a file of the current folder."""
    (tmp_path / r"C:\here.dll").write_text("x")
    quoted = ", ".join(f"'{library}'" for library in LIBRARIES)
    tables = read(tmp_path, f"""
        [Environment]::CurrentDirectory = '{tmp_path}'
        {REGISTRY}
        @(foreach ($library in {quoted}) {{ $global:library = $library; Get-ServiceTable -Name wuauserv, UsoSvc }})
    """, SERVICES)  # fmt: skip
    assert [table["wuauserv"]["dll_missing"] for table in tables] == list(LIBRARIES.values())
    assert [tables[0][name]["dependents"] for name in ("wuauserv", "UsoSvc")] == [[], ["one", "three"]]
