# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A fleet of simulated hosts with its inventory."""

from __future__ import annotations

import contextlib
import re
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from lab import engine
from lab.answers import AnsweringBackend
from lab.hosts import Backend, HostSpec, SimLike
from lab.sim import Sim
from lab.wire import Wire

SCENARIOS = Path(__file__).resolve().parent / "scenarios"
BACKENDS = ("auto", "model", "engine", "wine")


def scenario_path(name: str) -> Path:
    """Return the file of a scenario that is given by name or by path."""
    path = Path(name)
    return path if path.suffix == ".yml" else SCENARIOS / f"{name}.yml"


def read_scenario(name: str) -> dict[str, Any]:
    """Return a scenario's document.

    Raises:
        FileNotFoundError: there is none of that name.
    """
    document = yaml.safe_load(scenario_path(name).read_text(encoding="utf-8"))
    return document if isinstance(document, dict) else {}


def missing(backend: str) -> str | None:
    """Return why a backend cannot be used here, None when it can."""
    if backend == "engine":
        return None if engine.find_powershell() else "no pwsh on PATH and no ../shared/tools/psh"
    if backend == "wine":
        from lab import wine  # noqa: PLC0415 - only who asks for Wine needs it

        return wine.available()
    return None


def parse_hosts(text: str) -> list[HostSpec]:
    """Read ``scenario[=name][*count],...``: names default to the scenario's, counted ones get -1, -2 and so on.

    Raises:
        ValueError: a part has another form, or a name comes twice.
    """
    specs: list[HostSpec] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*([^=*,]+?)(?:=([A-Za-z0-9_.-]+))?(?:\*(\d+))?\s*", part)
        if not match:
            raise ValueError(f"not scenario[=name][*count]: {part!r}")
        scenario, name, count = match[1], match[2] or Path(match[1]).stem, match[3]
        names = [name] if count is None else [f"{name}-{number}" for number in range(1, int(count) + 1)]
        specs += [HostSpec(each.replace("_", "-"), scenario) for each in names]
    seen: set[str] = set()
    for spec in specs:
        if spec.name in seen:
            raise ValueError(f"two hosts are called {spec.name}: give one a name with scenario=name")
        seen.add(spec.name)
    return specs


class Fleet:
    """A context manager: sims, machines and the wire of all hosts.

    Args:
        hosts: what to build.
        backend: "engine" where a PowerShell is at hand and "model" elsewhere with "auto".
        folder: where each host gets a folder of its name; a temporary one, deleted at the end, when None.
        personality: "5.1" or "7": which PowerShell the engine and wine backends play.
        bind: the loopback address to listen on.
        operation_timeout: seconds that one Receive may wait; ``read_timeout`` must be larger.
    """

    def __init__(
        self,
        hosts: Sequence[HostSpec],
        backend: str = "auto",
        folder: Path | str | None = None,
        *,
        personality: str = "5.1",
        bind: str = "127.0.0.1",
        operation_timeout: int = 10,
        read_timeout: int = 20,
    ) -> None:
        if backend not in BACKENDS:
            raise ValueError(f"backend is one of {', '.join(BACKENDS)}, not {backend!r}")
        if backend == "auto":
            backend = "model" if missing("engine") else "engine"
        self.backend, self.personality = backend, personality
        self.specs = list(hosts)
        self.wire = Wire(bind)
        self._folder = Path(folder) if folder else None
        self._timeouts = {
            "ansible_winrm_operation_timeout_sec": operation_timeout, "ansible_winrm_read_timeout_sec": read_timeout,
        }
        self._sims: dict[str, SimLike] = {}
        self._linux: set[str] = set()
        self._stack = contextlib.ExitStack()

    @property
    def folder(self) -> Path:
        """Where the hosts have their folders; known once entered."""
        assert self._folder is not None
        return self._folder

    def __enter__(self) -> Fleet:
        reason = missing(self.backend)
        if reason:
            raise RuntimeError(f"backend {self.backend}: {reason}")
        try:
            if self._folder is None:
                own = tempfile.TemporaryDirectory(prefix="wulab-", ignore_cleanup_errors=True)
                self._folder = Path(self._stack.enter_context(own))
            self._folder = self._folder.resolve()
            self._stack.callback(self.wire.close)
            for spec in self.specs:
                self._build(spec)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        # Programs first, their machines next, the sims they ask last.
        self.wire.close()
        self._stack.close()

    def sim(self, name: str) -> SimLike:
        """Return the simulated Windows of a host."""
        return self._sims[name]

    def snapshots(self, names: Iterable[str]) -> dict[str, Any]:
        """Return the state of several hosts, by name: equal ones mean that nothing was changed."""
        return {name: self.sim(name).snapshot() for name in names}

    def counters(self) -> dict[str, dict[str, float]]:
        """Return what each host cost since the start or the last reset."""
        return self.wire.counters()

    def reset_counters(self) -> None:
        """Set every counter to zero."""
        self.wire.reset_counters()

    def inventory(self) -> dict[str, Any]:
        """Return an inventory with all hosts in the group ``windows``."""
        hosts: dict[str, Any] = {}
        for spec in self.specs:
            if spec.name in self._linux:
                # Ansible's own shell and interpreter: a real Linux host that slipped into the group.
                own: dict[str, Any] = {
                    "ansible_connection": "local",
                    "ansible_python_interpreter": sys.executable,
                }
            else:
                own = {"ansible_host": self.wire.bind, "ansible_port": self.wire.hosts[spec.name].port}
            hosts[spec.name] = {**own, **spec.variables}
        common = {
            "ansible_connection": "winrm", "ansible_winrm_scheme": "http", "ansible_winrm_transport": "basic",
            "ansible_user": self.wire.user, "ansible_password": self.wire.password,
            **self._timeouts,
        }
        return {"all": {"children": {"windows": {"hosts": hosts, "vars": common}}}}

    def write_inventory(self, path: Path | str | None = None) -> Path:
        """Write the inventory as YAML (``inventory.yml`` in the folder by default) and return its path."""
        target = Path(path) if path else self.folder / "inventory.yml"
        target.write_text(yaml.safe_dump(self.inventory(), sort_keys=False), encoding="utf-8")
        return target

    def _build(self, spec: HostSpec) -> None:
        if read_scenario(spec.scenario).get("linux"):
            self._linux.add(spec.name)
            return
        folder = self.folder / spec.name
        folder.mkdir(parents=True, exist_ok=True)
        sim = Sim.load(spec.scenario, folder, spec.name)
        self._stack.callback(sim.close)
        machine = AnsweringBackend(self._machine(sim, folder), sim)
        self._stack.callback(machine.close)
        self._sims[spec.name] = sim
        self.wire.add(spec.name, machine, sim.wire)

    def _machine(self, sim: Sim, folder: Path) -> Backend:
        if self.backend == "engine":
            return engine.EngineBackend(sim, folder, self.personality)
        if self.backend == "wine":
            from lab.wine import WineBackend  # noqa: PLC0415

            more = {} if self.personality == "5.1" else {"personality": self.personality}
            wine: Backend = WineBackend(sim, folder, **more)
            return wine
        from lab.model import ModelBackend  # noqa: PLC0415

        model: Backend = ModelBackend(sim, folder)
        return model
