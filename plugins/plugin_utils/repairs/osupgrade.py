# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""OS upgrade: the registry value that how-to's set against failed feature upgrades.

It is an attempt. Nothing published shows that Windows 10 or 11 reads the value, so no finding is ever answered with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..evidence import Evidence
from ..finding import Finding
from ..steps.registry import KEY, VALUE, value_of
from ._common import PROVED, REFUTED, UNPROVEN, Look, Proof, Refusal, Repair, Step, Wish, attempts

_OVERRIDES = {
    "wu": (
        "DisableOSUpgrade",
        "TargetReleaseVersion",
        "TargetReleaseVersionInfo",
        "ProductVersion",
        "DeferFeatureUpdates",
        "DeferFeatureUpdatesPeriodInDays",
        "PauseFeatureUpdates",
        "PauseFeatureUpdatesStartTime",
        "DeferUpgrade",
    ),
    "mdm": (
        "DeferFeatureUpdatesPeriodInDays",
        "PauseFeatureUpdates",
        "PauseFeatureUpdatesStartTime",
        "ProductVersion",
        "TargetReleaseVersion",
    ),
    "ux": ("PauseFeatureUpdatesEndTime",),
}


_WHERE = {"wu": "", "mdm": " (mdm)", "ux": " (ux)"}


class OsUpgrade(Repair):
    """Set or remove AllowOSUpgrade. Calling it is asking for it."""

    name = "osupgrade"
    title = "allow the feature upgrade in the registry"
    deed = "AllowOSUpgrade set"
    order = 20
    howto_order = 40
    attempt = True

    def asked_by(self, findings: Iterable[Finding]) -> tuple[Finding, ...]:
        """The failed feature upgrades for which it may be tried once."""
        return attempts(findings, self.name)

    def guards(self, wish: Wish) -> Refusal | None:
        """Client editions only."""
        host = wish.evidence.host
        if host.product_type == "client":
            return None
        edition = host.edition or "this edition"
        return Refusal("unsupported", f"{VALUE} is for client editions only, and {edition} is none.")

    def steps(self, wish: Wish) -> tuple[Step, ...]:
        """Nothing where it is so already."""
        if wish.options.get("state", "present") == "absent":
            if value_of(wish.evidence) is None:
                return ()
            return (Step("remove_value", {"key": KEY, "name": VALUE}),)
        if previous(wish.evidence) == 1:
            return ()
        return (Step("set_value", {"key": KEY, "name": VALUE, "kind": "DWord", "value": 1}),)

    def notes(self, wish: Wish) -> tuple[str, ...]:
        """Which policies decide whatever the value says."""
        over = overridden_by(wish.evidence)
        return (f"overridden by {', '.join(over)}",) if over else ()

    def prove(self, before: Look, after: Look, steps: Sequence[Step]) -> Proof:
        """The value can be read again; whether it helps only an upgrade can tell."""
        if not after.evidence.has("upgrade"):
            return Proof(UNPROVEN, None, f"the value could not be read again ({after.evidence.status('upgrade')})")
        there = value_of(after.evidence)
        wanted = None if any(step.kind == "remove_value" for step in steps) else 1
        if there != wanted:
            seen = "not there" if there is None else there
            return Proof(REFUTED, None, f"{VALUE} is {seen}")
        if wanted is not None and self.asked_by(before.findings):
            return Proof(UNPROVEN, None, f"{VALUE} is set; only the next feature upgrade can tell whether it helped")
        return Proof(PROVED, "the value, read again")


REPAIR = OsUpgrade()


def previous(evidence: Evidence) -> int | None:
    """The value as it was seen, None when it is not there or no number."""
    value = value_of(evidence)
    return value if isinstance(value, int) else None


def overridden_by(evidence: Evidence) -> list[str]:
    """Policies that decide about feature upgrades whatever the value says, as `NAME = VALUE`."""
    policy = evidence.policy
    groups = {"wu": policy.wu, "mdm": policy.mdm, "ux": policy.ux}
    decided = []
    for group, names in _OVERRIDES.items():
        for name in names:
            value = _lookup(groups[group], name)
            if value not in (None, 0, "", "0"):
                decided.append(f"{name} = {value}{_WHERE[group]}")
    return decided


def _lookup(values: Mapping[str, int | str | None], wanted: str) -> int | str | None:
    return next((value for name, value in values.items() if name.lower() == wanted.lower()), None)
