# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A host whose agent is played in Python, with no process behind it: ten thousand of them fit into one."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from . import manifest
from .answers import BOOTSTRAP, encoded_script
from .model_apply import Applier
from .sim import Sim


class ModelBackend:
    """A host without a process: what ansible-core sends is read, and answered by the contract (hosts.Backend)."""

    name = "model"

    def __init__(self, sim: Sim, folder: Path) -> None:
        self._sim = sim
        self._agent = Applier(sim.call)

    def start(self, command_line: str, environment: Mapping[str, str] | None = None) -> ModelProcess:
        """See hosts.Backend."""
        # Nothing else reads its input, and what sends no input would wait for an answer for ever.
        if BOOTSTRAP not in encoded_script(command_line):
            return ModelProcess(None, b"", b"a model host runs no command but the modules it knows\r\n", 1)
        return ModelProcess(self._answer)

    def close(self) -> None:
        """See hosts.Backend."""

    def _answer(self, stdin: bytes) -> dict[str, Any]:
        try:
            sent = manifest.parse(stdin)
        except manifest.NotManifest as error:
            return {"failed": True, "msg": f"a model host runs modules alone: {error}"}
        if _is_system(sent):
            return self._as_system(sent)
        return self._module(sent)

    def _as_system(self, sent: manifest.Manifest) -> dict[str, Any]:
        """What the update agent refuses to a network logon it does for SYSTEM: ansible.windows.win_updates searches by a task of SYSTEM."""
        denied, self._sim.denied = self._sim.denied, set()
        try:
            return self._module(sent)
        finally:
            self._sim.denied = denied

    def _module(self, sent: manifest.Manifest) -> dict[str, Any]:
        request = sent.args.get("request")
        if sent.module == "winfleet.wu_repair.wu_observe":
            return {"reply": self._agent.observe(request or {})}
        if sent.module == "winfleet.wu_repair.wu_apply":
            return {"reply": self._agent.apply(request or {})}
        if sent.module in ("ansible.windows.win_ping", "ansible.builtin.win_ping", "win_ping"):
            data = str(sent.args.get("data", "pong"))
            return {"changed": False, "ping": data, "invocation": {"module_args": {"data": data}}}
        return {"failed": True, "msg": f"a model host does not know the module {sent.module}"}


def _is_system(sent: manifest.Manifest) -> bool:
    """Whether ansible-core's wrapper for become starts the module as SYSTEM."""
    return any(action.name == "become_wrapper.ps1" and action.params.get("BecomeUser") == "SYSTEM" for action in sent.actions)


class ModelProcess:
    """A command of a model host: all input, then one line (hosts.Process)."""

    def __init__(
        self,
        answer: Callable[[bytes], dict[str, Any]] | None,
        out: bytes = b"",
        err: bytes = b"",
        code: int | None = None,
    ) -> None:
        self.began = time.monotonic()
        self._answer, self._out, self._err, self._code = answer, out, err, code
        self._input = bytearray()
        self._ready = threading.Condition()

    def write(self, data: bytes) -> None:
        """See hosts.Process."""
        self._input += data

    def close_stdin(self) -> None:
        """See hosts.Process. The answer is made where it is read, so that the wire's own thread never waits."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()

    _closed = False

    def read(self, timeout: float) -> tuple[bytes, bytes, int | None]:
        """See hosts.Process."""
        with self._ready:
            if self._code is None and not self._closed:
                self._ready.wait(timeout)
            if self._code is None and not self._closed:
                return b"", b"", None
        if self._code is None and self._answer is not None:
            result = self._answer(bytes(self._input))
            self._out = json.dumps(result).encode() + b"\r\n"
            self._code = 1 if result.get("failed") else 0
        out, err, self._out, self._err = self._out, self._err, b"", b""
        return out, err, self._code

    def kill(self) -> None:
        """See hosts.Process."""
        with self._ready:
            if self._code is None and not self._closed:
                self._code = 1
            self._ready.notify_all()
