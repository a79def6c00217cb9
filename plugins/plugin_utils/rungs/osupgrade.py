# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""OS upgrade: the registry value that how-to's set against failed feature upgrades."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..conditions import Finding
from ..evidence import Evidence
from ..situation import Settings, lookup, number, values
from . import _common
from ._common import Expect, Proof, Refusal, Step

NAME = "osupgrade"
TITLE = "allow the feature upgrade in the registry"

# Exactly this key: one without CurrentVersion circulates, and nothing ever read it.
KEY = "HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\WindowsUpdate\\OSUpgrade"
VALUE = "AllowOSUpgrade"

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


def asked_for_by(found: Sequence[Finding]) -> tuple[Finding, ...]:
    """The active findings of failed feature upgrades."""
    return _common.asked(found, NAME)


def guards(evidence: Evidence, found: Sequence[Finding], options: Mapping[str, Any]) -> Refusal | None:
    """Client editions only."""
    kind = evidence.data("host").get("product_type")
    if kind != "client":
        edition = evidence.data("host").get("edition") or "this edition"
        return Refusal("unsupported", f"{VALUE} is for client editions only, and {edition} is none.")
    return None


def steps(
    evidence: Evidence, found: Sequence[Finding], options: Mapping[str, Any], settings: Settings, *, force: bool
) -> tuple[Step, ...]:
    """Set or remove the value, when it is not so already. Calling the rung is asking for it."""
    there = previous(evidence)
    if options.get("state", "present") == "absent":
        return () if there is None else (Step("remove_value", {"key": KEY, "name": VALUE}),)
    return () if there == 1 else (Step("set_value", {"key": KEY, "name": VALUE, "kind": "DWord", "value": 1}),)


def expect(evidence: Evidence, steps: Sequence[Step]) -> tuple[Expect, ...]:
    """The value is as it was seen."""
    return (*_common.same_boot(evidence), Expect("value", f"{KEY}\\{VALUE}", "value", previous(evidence)))


def notes(evidence: Evidence, options: Mapping[str, Any], settings: Settings) -> tuple[str, ...]:
    """Which policies decide whatever the value says."""
    over = overridden_by(evidence)
    return (f"overridden by {', '.join(over)}",) if over else ()


def proof(
    steps: Sequence[Step],
    before: Evidence,
    after: Evidence,
    found_before: Sequence[Finding],
    found_after: Sequence[Finding],
) -> Proof:
    """The value can be read again; whether it helps only an upgrade can tell."""
    there = previous(after)
    wanted = None if any(step.kind == "remove_value" for step in steps) else 1
    if after.data("upgrade") == {}:
        return Proof("unproven", None, f"the value could not be read again ({after.status('upgrade')})")
    if there != wanted:
        return Proof("refuted", None, f"{VALUE} is {there if there is not None else 'not there'}")
    if wanted is not None and asked_for_by(found_before):
        return Proof("unproven", None, f"{VALUE} is set; only the next feature upgrade can tell whether it helped")
    return Proof("proved", "the value, read again")


def previous(evidence: Evidence) -> int | None:
    """The value as it was seen, None when it is not there."""
    return number(lookup(values(evidence.data("upgrade"), "osupgrade"), VALUE))


def overridden_by(evidence: Evidence) -> list[str]:
    """Policies that decide about feature upgrades whatever the value says, as `NAME = VALUE`."""
    policy = evidence.data("policy")
    found = []
    for group, names in _OVERRIDES.items():
        for name in names:
            value = lookup(values(policy, group), name)
            if value not in (None, 0, "", "0"):
                found.append(f"{name} = {value}" if group == "wu" else f"{name} = {value} ({group})")
    return found
