# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the simulated Windows answers in the stead of every machine: updates that are installed, and restarts.

``ansible.windows.win_updates`` needs scheduled tasks and the update agent's COM interfaces, ``win_reboot`` a machine
that goes away and comes back. Their action plugins run for real on the controller; what they ask of a host ends here,
before anything is started.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import threading
import time
from collections.abc import Callable, Mapping

from . import manifest
from .hosts import Backend, Process
from .sim import Sim, SimError
from .winupdates import WinUpdates

_ENCODED = re.compile(r"-enc\w*\s+([A-Za-z0-9+/=]+)", re.IGNORECASE)
_SHUTDOWN = re.compile(r"shutdown\.exe /r /t (\d+)", re.IGNORECASE)
_ECHO = re.compile(r"AutoLogonChecked' -ErrorAction Stop; '([^']+)'")
# The bootstrap of ansible-core reads its input up to the mark of the manifest.
BOOTSTRAP = "`0`0`0`0"
_FILETIME_0 = 11644473600


class AnsweringBackend:
    """A host's machine behind these answers (hosts.Backend)."""

    def __init__(self, inner: Backend, sim: Sim) -> None:
        self.name = inner.name
        self._inner = inner
        self._sim = sim
        self._updates = WinUpdates(sim)

    def start(self, command_line: str, environment: Mapping[str, str] | None = None) -> Process:
        """See hosts.Backend."""
        script = encoded_script(command_line)
        said = self._command(script)
        if said is not None:
            return AnsweredProcess(*said)

        def real() -> Process:
            return self._inner.start(command_line, environment) if environment else self._inner.start(command_line)

        return UndecidedProcess(self._module, real) if BOOTSTRAP in script else real()

    def close(self) -> None:
        """See hosts.Backend."""
        self._inner.close()

    def _module(self, stdin: bytes) -> Process | None:
        try:
            sent = manifest.parse(stdin)
        except manifest.NotManifest:
            return None
        if sent.module != "ansible.windows.win_updates":
            return None
        result = self._updates.run(sent.args)
        return AnsweredProcess(1 if result.get("failed") else 0, json.dumps(result) + "\r\n")

    def _command(self, script: str) -> tuple[int, str] | None:
        """Exit code and output of what ansible.windows sends around a restart; None for any other script."""
        sim = self._sim
        if "LastBootUpTime).LastBootUpTime.ToFileTime()" in script:
            return 0, f"{round((sim.boot_time() + _FILETIME_0) * 10) * 10**6}\r\n"
        if found := _SHUTDOWN.search(script):
            code = 0
            try:
                sim.shut_down(float(found[1]))
            except SimError as error:
                code = error.hresult & 0xFFFF
            return 0, json.dumps({"stdout": "", "stderr": "", "rc": code}) + "\r\n"
        if found := _ECHO.search(script):
            return 0, f"{found[1]}\r\n"
        if "Get-ItemPropertyValue" in script and "'ServicingInProgress'" in script:
            servicing = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\Interface"
            busy = sim.value(servicing, "ServicingInProgress") or 0
            return (0 if busy in (0, 1) else int(busy)), ""
        return None


def encoded_script(command_line: str) -> str:
    """The PowerShell of a command line that carries it encoded; empty for any other."""
    found = _ENCODED.search(command_line)
    if not found or not re.search(r"powershell|pwsh", command_line, re.IGNORECASE):
        return ""
    try:
        return base64.b64decode(found[1]).decode("utf-16-le")
    except (binascii.Error, UnicodeDecodeError):
        return ""


class AnsweredProcess:
    """A command whose end is known (hosts.Process)."""

    def __init__(self, code: int, out: str = "") -> None:
        self.began = time.monotonic()
        self._code, self._out = code, out.encode()

    def write(self, data: bytes) -> None:
        """See hosts.Process."""

    def close_stdin(self) -> None:
        """See hosts.Process."""

    def read(self, timeout: float) -> tuple[bytes, bytes, int | None]:
        """See hosts.Process."""
        out, self._out = self._out, b""
        return out, b"", self._code

    def kill(self) -> None:
        """See hosts.Process."""


class UndecidedProcess:
    """A command whose input decides who runs it (hosts.Process).

    Args:
        answer: the process that answers a complete manifest, or None to let the machine run it.
        real: starts it on the machine.
    """

    def __init__(self, answer: Callable[[bytes], Process | None], real: Callable[[], Process]) -> None:
        self._answer, self._real = answer, real
        self._held = bytearray()
        self._process: Process | None = None
        self._decided = threading.Condition()
        self.began = time.monotonic()

    def write(self, data: bytes) -> None:
        """See hosts.Process."""
        with self._decided:
            if self._process is None:
                self._held += data
                if not manifest.waits(self._held):
                    self._decide()
                return
        self._process.write(data)

    def close_stdin(self) -> None:
        """See hosts.Process."""
        with self._decided:
            process = self._process or self._decide()
        process.close_stdin()

    def read(self, timeout: float) -> tuple[bytes, bytes, int | None]:
        """See hosts.Process."""
        with self._decided:
            if self._process is None:
                self._decided.wait(timeout)
            process = self._process
        return (b"", b"", None) if process is None else process.read(timeout)

    def kill(self) -> None:
        """See hosts.Process."""
        with self._decided:
            if self._process is None:
                self._process = AnsweredProcess(1)
                self._decided.notify_all()
            process = self._process
        process.kill()

    def _decide(self) -> Process:
        process = self._answer(bytes(self._held))
        if process is None:
            process = self._real()
            self.began = process.began
            process.write(bytes(self._held))
        self._process = process
        self._decided.notify_all()
        return process
