# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Steps on the clock: its source, the clock itself, the time zone."""

from __future__ import annotations

from ..conditions import apart, duration
from ..evidence import Evidence
from ._common import Diff, Kind, Step


class SetTimeSource(Kind):
    """Change whom W32Time follows."""

    name = "set_time_source"
    required = frozenset({"type"})
    optional = frozenset({"servers"})
    deed = "time source set"

    def would(self, step: Step, evidence: Evidence) -> str:
        """See Kind."""
        servers = f" with {', '.join(step.args['servers'])}" if step.args.get("servers") else ""
        return f"set the time source to {step.args['type']}{servers}"

    def done(self, step: Step, evidence: Evidence) -> str:
        """See Kind."""
        return self.would(step, evidence)

    def diff(self, step: Step, evidence: Evidence, run_id: str) -> Diff:
        """See Kind."""
        servers = list(evidence.clock.servers)
        before = {"type": evidence.clock.type, "servers": servers}
        after = {"type": step.args["type"], "servers": step.args.get("servers") or servers}
        return {"time source": before}, {"time source": after}


class _MovesClock(Kind):
    deed = "clock set"

    def diff(self, step: Step, evidence: Evidence, run_id: str) -> Diff:
        """See Kind."""
        own = next((source for source in evidence.clock.sources if source.ok and source.offset_ms is not None), None)
        if own is not None:
            return {"clock": f"{apart(own.offset_ms or 0)} {own.server}"}, {"clock": f"right by {own.server}"}
        offset = evidence.offset_to_controller()
        if offset is not None:
            return {"clock": f"{apart(-offset[0])} the controller"}, {"clock": "right by its time source"}
        return {"clock": "not known"}, {"clock": "right by its time source"}


class Resync(_MovesClock):
    """Let W32Time set the clock by its own source."""

    name = "resync"
    required = frozenset({"rediscover", "lift_limit", "timeout_ms", "settle_ms"})

    def would(self, step: Step, evidence: Evidence) -> str:
        """See Kind."""
        return f"resynchronise the clock{self._lifted(step)}"

    def done(self, step: Step, evidence: Evidence) -> str:
        """See Kind."""
        return f"resynchronised the clock{self._lifted(step)}"

    @staticmethod
    def _lifted(step: Step) -> str:
        return ", its limit lifted for that" if step.args["lift_limit"] else ""


class SetClock(_MovesClock):
    """Move the clock by an offset."""

    name = "set_clock"
    required = frozenset({"offset_ms"})

    def would(self, step: Step, evidence: Evidence) -> str:
        """See Kind."""
        direction = "forward" if step.args["offset_ms"] > 0 else "back"
        return f"set the clock {duration(step.args['offset_ms'])} {direction}"

    def done(self, step: Step, evidence: Evidence) -> str:
        """See Kind."""
        return self.would(step, evidence)


class SetTimeZone(Kind):
    """Change the time zone, which moves no clock."""

    name = "set_time_zone"
    required = frozenset({"id"})
    deed = "time zone set"

    def would(self, step: Step, evidence: Evidence) -> str:
        """See Kind."""
        return f"set the time zone to {step.args['id']}"

    def done(self, step: Step, evidence: Evidence) -> str:
        """See Kind."""
        return self.would(step, evidence)

    def diff(self, step: Step, evidence: Evidence, run_id: str) -> Diff:
        """See Kind."""
        return {"time zone": evidence.clock.zone}, {"time zone": step.args["id"]}


KINDS: tuple[Kind, ...] = (SetTimeSource(), Resync(), SetClock(), SetTimeZone())
