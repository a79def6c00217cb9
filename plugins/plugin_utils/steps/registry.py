# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Steps on the one registry value that may be set: AllowOSUpgrade."""

from __future__ import annotations

from ..evidence import Evidence
from ._common import Diff, Expect, Kind, Step

# Exactly this key: one without CurrentVersion circulates, and nothing ever read it.
KEY = "HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\WindowsUpdate\\OSUpgrade"
VALUE = "AllowOSUpgrade"


def value_of(evidence: Evidence) -> int | str | None:
    """The value as it was seen, None when it is not there. Windows compares names without case."""
    values = evidence.upgrade.osupgrade
    return next((value for name, value in values.items() if name.lower() == VALUE.lower()), None)


class _OfValue(Kind):
    def expect(self, step: Step, evidence: Evidence) -> tuple[Expect, ...]:
        """See Kind."""
        return (Expect("value", f"{KEY}\\{VALUE}", "value", value_of(evidence)),)

    def diff(self, step: Step, evidence: Evidence, run_id: str) -> Diff:
        """See Kind."""
        return {VALUE: value_of(evidence)}, {VALUE: step.args.get("value")}


class SetValue(_OfValue):
    """Set the value."""

    name = "set_value"
    required = frozenset({"key", "name", "kind", "value"})
    deed = f"{VALUE} set"

    def would(self, step: Step, evidence: Evidence) -> str:
        """See Kind."""
        return f"set {step.args['name']} to {step.args['value']}"

    def done(self, step: Step, evidence: Evidence) -> str:
        """See Kind."""
        return f"set {step.args['name']} to {step.args['value']}"


class RemoveValue(_OfValue):
    """Remove the value."""

    name = "remove_value"
    required = frozenset({"key", "name"})
    deed = f"{VALUE} removed"

    def would(self, step: Step, evidence: Evidence) -> str:
        """See Kind."""
        return f"remove {step.args['name']}"

    def done(self, step: Step, evidence: Evidence) -> str:
        """See Kind."""
        return f"removed {step.args['name']}"


KINDS: tuple[Kind, ...] = (SetValue(), RemoveValue())
