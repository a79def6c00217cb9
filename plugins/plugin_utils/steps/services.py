# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Steps on Windows services: start types, stopping and starting, security descriptors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..evidence import Evidence
from ._common import Diff, Expect, Kind, Step

START_NAMES = {0: "Boot", 1: "System", 2: "Automatic", 3: "Manual", 4: "Disabled"}


def stops_and_starts(names: Sequence[str]) -> str:
    """Stops in a row as one sentence; starting again what was stopped belongs to them."""
    return f"stop {', '.join(names)} and start again what ran"


def _start_seen(evidence: Evidence, name: str) -> int | None:
    service = evidence.services.by_name(name)
    return None if service is None else service.start


def _start_before(evidence: Evidence, name: str) -> str:
    start = _start_seen(evidence, name)
    return START_NAMES.get(-1 if start is None else start, "unknown")


def _start_wanted(args: Mapping[str, Any]) -> str:
    delayed = " (delayed)" if args.get("delayed") else ""
    return f"{START_NAMES[args['start']]}{delayed}"


def _same_start(step: Step, evidence: Evidence) -> tuple[Expect, ...]:
    name = str(step.args["name"])
    start = _start_seen(evidence, name)
    if start is None:
        return ()
    return (Expect("service", name, "start", start),)


class SetStartType(Kind):
    """Change how a service starts."""

    name = "set_start_type"
    required = frozenset({"name", "start", "delayed"})
    deed = "start types repaired"

    def would(self, step: Step, evidence: Evidence) -> str:
        """See Kind."""
        return self._words("set", step, evidence)

    def done(self, step: Step, evidence: Evidence) -> str:
        """See Kind."""
        return self._words("set", step, evidence)

    def expect(self, step: Step, evidence: Evidence) -> tuple[Expect, ...]:
        """See Kind."""
        return _same_start(step, evidence)

    def diff(self, step: Step, evidence: Evidence, run_id: str) -> Diff:
        """See Kind."""
        key = f"start type of {step.args['name']}"
        return {key: _start_before(evidence, step.args["name"])}, {key: _start_wanted(step.args)}

    @staticmethod
    def _words(verb: str, step: Step, evidence: Evidence) -> str:
        name = step.args["name"]
        return f"{verb} the start type of {name} from {_start_before(evidence, name)} to {_start_wanted(step.args)}"


class StopService(Kind):
    """Stop a service and what depends on it. `needed: false`: one that does not stop is told, and the rest goes on."""

    name = "stop_service"
    required = frozenset({"name", "timeout_ms"})
    optional = frozenset({"needed"})

    def would(self, step: Step, evidence: Evidence) -> str:
        """See Kind."""
        return f"stop {step.args['name']}"

    def done(self, step: Step, evidence: Evidence) -> str:
        """See Kind."""
        return f"stopped {step.args['name']}"

    def expect(self, step: Step, evidence: Evidence) -> tuple[Expect, ...]:
        """See Kind."""
        return _same_start(step, evidence)


class RestoreServices(Kind):
    """Start what was stopped, in reverse order."""

    name = "restore_services"
    required = frozenset({"timeout_ms"})

    def would(self, step: Step, evidence: Evidence) -> str:
        """See Kind."""
        return ""

    def done(self, step: Step, evidence: Evidence) -> str:
        """See Kind."""
        return "started again what ran"


class StartService(Kind):
    """Start a service. `stop_after`: only for the time of the run. `needed: false`: one that does not start is told."""

    name = "start_service"
    required = frozenset({"name", "timeout_ms"})
    optional = frozenset({"stop_after", "needed"})
    deed = "services started"

    def would(self, step: Step, evidence: Evidence) -> str:
        """See Kind."""
        return f"start {step.args['name']}{self._how_long(step)}"

    def done(self, step: Step, evidence: Evidence) -> str:
        """See Kind."""
        return f"started {step.args['name']}{self._how_long(step)}"

    def expect(self, step: Step, evidence: Evidence) -> tuple[Expect, ...]:
        """See Kind."""
        return _same_start(step, evidence)

    @staticmethod
    def _how_long(step: Step) -> str:
        return " for the time of the run" if step.args.get("stop_after") else ""


class SetServiceSecurity(Kind):
    """Write the security descriptor that Windows ships; the agent alone knows it."""

    name = "set_service_security"
    required = frozenset({"name"})
    deed = "service security restored"

    def would(self, step: Step, evidence: Evidence) -> str:
        """See Kind."""
        return f"write the default security descriptor of {step.args['name']}"

    def done(self, step: Step, evidence: Evidence) -> str:
        """See Kind."""
        return f"wrote the default security descriptor of {step.args['name']}"


KINDS: tuple[Kind, ...] = (SetStartType(), StopService(), RestoreServices(), StartService(), SetServiceSecurity())
