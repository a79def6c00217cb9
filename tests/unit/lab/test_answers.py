# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the lab answers in the stead of a machine, and what a restart leaves."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from lab.answers import AnsweringBackend
from lab.hosts import Process
from lab.model import ModelBackend, ModelProcess
from lab.sim import Sim

REBOOT_PENDING = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending"


class Recorder:
    """A machine that notes what it was asked to start, and what it was sent."""

    name = "recorder"

    def __init__(self) -> None:
        self.started: list[str] = []
        self.sent = b""

    def start(self, command_line: str, environment: Mapping[str, str] | None = None) -> Process:
        self.started.append(command_line)
        process = ModelProcess(lambda stdin: {"got": len(stdin)})
        write = process.write

        def note(data: bytes) -> None:
            self.sent += data
            write(data)

        process.write = note  # type: ignore[method-assign]
        return process

    def close(self) -> None:
        pass


def line(script: str) -> str:
    return f"PowerShell -NoProfile -EncodedCommand {base64.b64encode(script.encode('utf-16-le')).decode()}"


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def backend(recorder: Recorder, tmp_path: Path) -> AnsweringBackend:
    return AnsweringBackend(recorder, Sim.load("reboot-pending", tmp_path, "h"))


def test_every_other_command_reaches_the_machine_whole(backend: AnsweringBackend, recorder: Recorder) -> None:
    backend.start("whoami")
    backend.start(line("Get-Date"))
    assert recorder.started == ["whoami", line("Get-Date")]
    process = backend.start(line("foreach ($in in $input) { '`0`0`0`0' }"))
    process.write(b'{"x": 1}\n\0\0\0\0\n')
    assert len(recorder.started) == 2
    process.write(b'{"scripts": {}, "actions": []}')
    process.write(b"\nmore")
    process.close_stdin()
    assert recorder.sent == b'{"x": 1}\n\0\0\0\0\n{"scripts": {}, "actions": []}\nmore'
    assert process.read(1)[2] == 0


def test_a_command_that_is_killed_before_its_input_ends(backend: AnsweringBackend, recorder: Recorder) -> None:
    process = backend.start(line("'`0`0`0`0'"))
    assert process.read(0.01) == (b"", b"", None)
    threading.Timer(0.05, process.kill).start()
    assert process.read(5)[2] == 1
    assert recorder.started == []


def test_restart_goes_away_and_comes_back(tmp_path: Path) -> None:
    sim = Sim.load("reboot-pending", tmp_path, "h")
    backend = AnsweringBackend(ModelBackend(sim, tmp_path), sim)
    asked = line("(Get-CimInstance -ClassName Win32_OperatingSystem -Property LastBootUpTime).LastBootUpTime.ToFileTime()")
    before = backend.start(asked).read(1)
    assert backend.start(asked).read(1) == before
    assert b'"rc": 0' in backend.start(line("C:\\Windows\\System32\\shutdown.exe /r /t 0 /c 'x'")).read(1)[0]
    until = time.monotonic() + 5
    while not sim.wire.get("down") and time.monotonic() < until:
        time.sleep(0.01)
    while sim.wire.get("down") and time.monotonic() < until:
        time.sleep(0.01)
    assert not sim.wire.get("down")
    after = backend.start(asked).read(1)
    assert int(after[0]) > int(before[0])
    assert sim.call("Read-RegistryKey", {"Key": REBOOT_PENDING}) is None


def test_restart_ends_what_hangs_and_starts_what_starts_by_itself(tmp_path: Path) -> None:
    sim = Sim.load("wuauserv-will-not-stop", tmp_path, "h")
    for name in ("CryptSvc", "wuauserv"):
        sim.call("Send-ServiceStop", {"Name": name})
    assert sim.services["wuauserv"]["state"] == "stop_pending"
    sim.restart()
    states = {name: sim.services[name]["state"] for name in ("wuauserv", "cryptsvc")}
    assert states == {"wuauserv": "stopped", "cryptsvc": "running"}
