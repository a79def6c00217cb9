# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run the agent's real PowerShell against a recorded Windows."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).resolve().parent
NOW = 1764000000


def find_shell() -> str | None:
    """The 5.1 personality of psh beside the repository, or any PowerShell on PATH."""
    beside = ROOT.parent / "shared/tools/psh/unpack"
    if beside.exists():
        folder = subprocess.run([beside, "linux-x64"], capture_output=True, text=True, check=False).stdout.strip()
        if folder:
            return str(Path(folder) / "powershell")
    return shutil.which("powershell") or shutil.which("pwsh")


def platform_script(body: str) -> str:
    """A script that has the real functions of _PlatformRead, without the rest of the agent."""
    module = ROOT / "plugins/module_utils/_PlatformRead.psm1"
    return (
        "$ErrorActionPreference = 'Stop'\n"
        "New-Module -Name _PlatformRead -ScriptBlock ([ScriptBlock]::Create([IO.File]::ReadAllText(\n"
        f"  '{module}'))) | Import-Module\n{textwrap.dedent(body)}"
    )


LABELS = (
    "SERVICE_NAME", "DISPLAY_NAME", "TYPE", "STATE", "WIN32_EXIT_CODE", "SERVICE_EXIT_CODE", "CHECKPOINT", "WAIT_HINT", "PID", "FLAGS",
)  # fmt: skip


def listing(pids: dict[str, int], labels: tuple[str, ...] = LABELS) -> str:
    """What `sc queryex type= service state= active` prints of running services (Microsoft, "sc.exe query")."""
    text = ""
    for name, process in pids.items():
        rows = ("20  WIN32_SHARE_PROCESS  ", "4  RUNNING ", "0  (0x0)", "0  (0x0)", "0x0", "0x0", str(process), "")
        lines = [f"        {label:<19}: {value}" for label, value in zip(labels[2:], rows, strict=True)]
        lines.insert(2, "                                (STOPPABLE, NOT_PAUSABLE, ACCEPTS_SHUTDOWN)")
        text += "\r\n" + "\r\n".join([f"{labels[0]}: {name}", f"{labels[1]}: The {name}: service", *lines]) + "\r\n"
    return text


def healthy_state() -> dict[str, Any]:
    """A workgroup client that nothing ails."""
    version = r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion"
    time_service = r"HKLM\SYSTEM\CurrentControlSet\Services\W32Time"
    service = {"start": 3, "delayed": False, "state": "stopped", "pid": 0, "dependents": []}
    running = {**service, "start": 2, "state": "running", "pid": 812}
    return {
        "clock_ms": NOW * 1000,
        "zone": "W. Europe Standard Time",
        "utc_offset_s": 3600,
        "winhttp_proxy": None,
        "host": {"domain_role": 0, "domain": "WORKGROUP", "boot_time": NOW - 86400, "uptime_s": 86400},
        "session": {
            "ps_version": "5.1.19041.1",
            "language_mode": "FullLanguage",
            "elevated": True,
            "is_64bit": True,
        },
        "registry": {
            version: {"CurrentBuildNumber": "19045", "UBR": 4780, "EditionID": "Professional"},
            r"HKLM\SYSTEM\CurrentControlSet\Control\ProductOptions": {"ProductType": "WinNT"},
            time_service + r"\Parameters": {"Type": "NTP", "NtpServer": "time.windows.com,0x9"},
            time_service + r"\Config": {"MaxPosPhaseCorrection": 54000, "MaxNegPhaseCorrection": 54000},
            time_service + r"\TimeProviders\NtpClient": {"Enabled": 1},
        },
        "services": {
            "wuauserv": dict(service),
            "BITS": dict(service),
            "CryptSvc": dict(running),
            "TrustedInstaller": dict(service),
            "msiserver": dict(service),
            "UsoSvc": dict(running),
            "DoSvc": dict(running),
            "W32Time": dict(service),
        },
        "listing": listing(dict.fromkeys(("CryptSvc", "UsoSvc", "DoSvc"), 812)),
        "process_facts": {"812": {"name": "svchost", "started": NOW * 1000}},
        "processes": {},
        "channels": {"System": [], "Setup": [], "Microsoft-Windows-WindowsUpdateClient/Operational": []},
        "disk": {"free": 50 << 30},
        "sntp": {"time.windows.com": 40},
        "tcp": [],
        "history": [],
        "update_services": [
            {
                "id": "7971f918-a847-4430-9279-4a52d1efe18d",
                "name": "Microsoft Update",
                "default": True,
                "managed": False,
            }
        ],
        "security": {"bits": "D:(A;;CC;;;SY)", "wuauserv": "D:(A;;CC;;;BA)"},
        "fails": {},
        "hangs": {},
        "calls": [],
        "exit_code": 0,
    }


def start_shell(program: str, folder: Path) -> tuple[subprocess.Popen[str], Path]:
    """A PowerShell that takes orders from a pipe in a folder; standard input of `powershell -File` is read to its end first."""
    pipe = folder / "orders"
    os.mkfifo(pipe)
    # Cultures are known by their letters' case alone where there is no ICU.
    cultures = {"DOTNET_SYSTEM_GLOBALIZATION_PREDEFINED_CULTURES_ONLY": "false"}
    environment = {**os.environ, **cultures, "SystemRoot": "C:\\Windows", "SystemDrive": "C:", "ProgramData": "C:\\ProgramData"}
    command = [program, "-NoProfile", "-NonInteractive", "-File", str(HERE / "run.ps1"), "-Orders", str(pipe)]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    return process, pipe


def run_alone(program: str, order: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Carry out one order in a process of its own, which must end by itself."""
    process, pipe = start_shell(program, folder)
    pipe.write_text(json.dumps(order) + "\n")
    try:
        out, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        pipe.unlink()
    assert not errors, errors
    return json.loads(out)


class Shell:
    """A PowerShell that stays, and carries out one order after the other."""

    def __init__(self, program: str, folder: Path) -> None:
        self.program = program
        self.process, pipe = start_shell(program, folder)
        self.orders = pipe.open("w")

    def run(self, order: dict[str, Any]) -> dict[str, Any]:
        """Carry out one order; one that takes more than a minute ends the process, and so the test."""
        assert self.process.stdout
        watch = threading.Timer(60, self.process.kill)
        watch.start()
        print(json.dumps(order), file=self.orders, flush=True)
        line = self.process.stdout.readline()
        watch.cancel()
        assert line, f"the PowerShell ended: {self.process.communicate()[1]}"
        return json.loads(line)

    def close(self) -> None:
        """No order is left, so that it ends; nothing may have been written beside the answers."""
        self.orders.close()
        assert self.process.communicate(timeout=60) == ("", "")


class Host:
    """One recorded Windows and the way to run the agent on it."""

    def __init__(self, shell: Shell, folder: Path) -> None:
        self.shell = shell
        self.folder = folder
        self.files = folder / "C"
        self.state = healthy_state()
        self.seconds = 0.0
        self.raw = ""
        for name in ("Windows/SoftwareDistribution/DataStore", "Windows/System32/catroot2", "Windows/Logs/CBS"):
            (self.files / name).mkdir(parents=True)
        (self.files / "Windows/SoftwareDistribution/DataStore/DataStore.edb").write_bytes(b"x" * 100)

    def put(self, path: str, data: bytes, modified: int = NOW) -> None:
        """Write a file of the host."""
        file = self.files / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        os.utime(file, (modified, modified))

    def run(self, module: str, request: Any, platform: str | None = None, utils: Path | None = None) -> dict[str, Any]:
        """Run a module as ansible would and return its reply; anything on the error stream fails the test."""
        state_file = self.folder / "state.json"
        state_file.write_text(json.dumps(self.state))
        request_file = self.folder / "request.json"
        request_file.write_text(json.dumps(request))
        utils = utils or ROOT / "plugins/module_utils"
        names = ["_PlatformRead", "_Evidence"]
        if module == "wu_apply":
            names += ["_PlatformChange", "_Steps"]
        random.shuffle(names)
        fake = Path(platform) if platform else HERE / "platform"
        order = {
            "state": str(state_file),
            "root": str(self.files),
            "request": str(request_file),
            "culture": self.state.get("culture"),
            "module": str(ROOT / "plugins/modules" / f"{module}.ps1"),
            "utils": [str((fake if name.startswith("_Platform") else utils) / f"{name}.psm1") for name in names],
        }
        begin = time.monotonic()
        # PowerShell keeps the expressions that it made, in the culture of then.
        alone = bool(self.state["hangs"] or self.state.get("culture"))
        # What hangs would stay in a process that goes on; there the end of the process is looked at as well.
        answer = run_alone(self.shell.program, order, self.folder) if alone else self.shell.run(order)
        self.seconds = time.monotonic() - begin
        self.raw = answer["out"].strip()
        assert not answer["errors"], answer["errors"]
        assert "\n" not in self.raw, self.raw[-2000:]
        self.state = json.loads(state_file.read_text())
        document = json.loads(self.raw)
        assert list(document) == ["reply"]
        return document["reply"]

    def observe(self, *sections: str, **request: Any) -> dict[str, Any]:
        """The sections of a look, as the core reads them."""
        reply = self.run("wu_observe", {"schema": 1, "op": "observe", "sections": list(sections), **request})
        # Not at the top: a conftest is imported before ansible's own finder of collections, which then refuses the rest of the package.
        from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import evidence  # noqa: PLC0415

        return evidence.from_reply(reply, None, None).to_document()["sections"]


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """The PowerShell to test with."""
    found = find_shell()
    if found is None:
        pytest.skip("no PowerShell: neither ../shared/tools/psh nor one on PATH")
    started = Shell(found, tmp_path_factory.mktemp("shell"))
    yield started
    started.close()


@pytest.fixture
def host(shell: Shell, tmp_path: Path) -> Host:
    """A healthy host; change its state before the run."""
    return Host(shell, tmp_path)
