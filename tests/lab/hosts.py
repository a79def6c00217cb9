# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the wire asks of a host's machine, and the child process that most machines are made of."""

from __future__ import annotations

import collections
import contextlib
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


class Process(Protocol):
    """One command that runs on a host. The wire calls each method from any thread, never two reads at once.

    Attributes:
        began: the monotonic clock when its program was started.
    """

    began: float

    def write(self, data: bytes) -> None:
        """Give standard input; must not wait for the program to read it. After the program's end: ignored."""

    def close_stdin(self) -> None:
        """Say that no more input comes."""

    def read(self, timeout: float) -> tuple[bytes, bytes, int | None]:
        """Return (stdout, stderr, exit code) of what came within ``timeout`` seconds, as soon as anything came.

        The exit code is None until the program has ended and all it wrote was returned. Nothing within the
        timeout is ``(b"", b"", None)``. After the end, every call returns ``(b"", b"", code)``.
        """

    def kill(self) -> None:
        """End it with all its children; a second call or one after the end does nothing."""


class Backend(Protocol):
    """One host's machine, made by ``Backend(sim, folder)``."""

    name: str

    def start(self, command_line: str, environment: Mapping[str, str] | None = None) -> Process:
        """Run a command line as WinRM would through cmd.exe.

        Args:
            command_line: command and arguments, as the client sent them, joined by blanks.
            environment: variables that the client set for its shell.

        Raises:
            OSError: the machine cannot run it; the wire answers with a WSMan fault.
        """

    def close(self) -> None:
        """End what still runs and let go of the machine."""


class SimLike(Protocol):
    """What the wire, the fleet and the backends use of ``lab.sim.Sim``."""

    name: str
    folder: Path
    wire: dict[str, Any]

    @property
    def address(self) -> str:
        """Value of WULAB, ``127.0.0.1:PORT:TOKEN``; known after serve()."""

    def serve(self) -> tuple[str, int]:
        """Start, once, the server that the lab's PowerShell asks."""

    def call(self, function: str, args: dict[str, Any]) -> object:
        """Play one platform function."""

    def snapshot(self) -> dict[str, Any]:
        """Return files, registry, services and clock as they are."""

    def close(self) -> None:
        """Stop serving."""


@dataclass(frozen=True)
class HostSpec:
    """One host of a fleet: its name in the inventory and its scenario (a name, or the path of a .yml)."""

    name: str
    scenario: str
    variables: dict[str, Any] = field(default_factory=dict)


class ChildProcess:
    """A Process that is a child of this one, in a process group of its own."""

    # A grandchild may hold the pipes long after the child's end (a service started in the background does).
    # Windows' shell host does not wait for it either.
    LINGER_S = 0.5

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], cwd: Path | str) -> None:
        self.began = time.monotonic()
        self._child = subprocess.Popen(
            list(argv), env=dict(env), cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            bufsize=0, start_new_session=True,
        )
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        assert self._child.stderr is not None
        self._stdin = self._child.stdin
        self._input: collections.deque[bytes | None] = collections.deque()
        self._input_ready = threading.Condition()
        self._feeder: threading.Thread | None = None
        self._code: int | None = None
        self._ended_at: float | None = None
        self._pidfd = os.pidfd_open(self._child.pid)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._child.stdout, selectors.EVENT_READ, "out")
        self._selector.register(self._child.stderr, selectors.EVENT_READ, "err")
        self._selector.register(self._pidfd, selectors.EVENT_READ, "end")

    def write(self, data: bytes) -> None:
        """See Process."""
        if data:
            self._queue(data)

    def close_stdin(self) -> None:
        """See Process."""
        self._queue(None)

    def read(self, timeout: float) -> tuple[bytes, bytes, int | None]:
        """See Process."""
        out, err = b"", b""
        deadline = time.monotonic() + timeout
        while self._code is None:
            wait = deadline - time.monotonic()
            if self._ended_at is not None:
                wait = min(wait, self._ended_at + self.LINGER_S - time.monotonic())
            ready = self._selector.select(max(wait, 0))
            for key, _events in ready:
                if key.data == "end":
                    self._selector.unregister(key.fileobj)
                    self._ended_at = time.monotonic()
                    continue
                data = os.read(key.fd, 1 << 16)
                if not data:
                    self._selector.unregister(key.fileobj)
                elif key.data == "out":
                    out += data
                else:
                    err += data
            left = {key.data for key in self._selector.get_map().values()}
            lingered = self._ended_at is not None and time.monotonic() - self._ended_at >= self.LINGER_S
            if not left or (lingered and not ready):
                self._finish()
            elif out or err or time.monotonic() >= deadline:
                break
        return out, err, self._code

    def kill(self) -> None:
        """See Process."""
        if self._code is None and self._child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)

    @property
    def ended(self) -> bool:
        """Whether it has ended and all it wrote was read."""
        return self._code is not None

    def _queue(self, item: bytes | None) -> None:
        with self._input_ready:
            self._input.append(item)
            if self._feeder is None:
                self._feeder = threading.Thread(target=self._feed, name="stdin", daemon=True)
                self._feeder.start()
            self._input_ready.notify()

    def _feed(self) -> None:
        try:
            while True:
                with self._input_ready:
                    while not self._input:
                        self._input_ready.wait()
                    item = self._input.popleft()
                if item is None:
                    return
                view = memoryview(item)
                while view:
                    view = view[self._stdin.write(view):]
        except OSError:
            pass  # the program ended before it read all
        finally:
            with contextlib.suppress(OSError):
                self._stdin.close()

    def _finish(self) -> None:
        self._code = self._child.wait()
        self._selector.close()
        os.close(self._pidfd)
        for stream in (self._child.stdout, self._child.stderr):
            if stream:
                stream.close()
        if self._feeder:
            self._queue(None)
        else:
            self._stdin.close()
