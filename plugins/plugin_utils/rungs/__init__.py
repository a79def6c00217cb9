# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rungs of the ladder, cheapest and safest first."""

from __future__ import annotations

from . import osupgrade, reset, timesync
from ._common import KINDS, Expect, Proof, Refusal, Rung, Step

__all__ = ["BY_NAME", "HOWTO_ORDER", "KINDS", "LADDER", "TITLES", "Expect", "Proof", "Refusal", "Rung", "Step"]

# Every rung that can be an answer. A right clock comes first, since TLS and every later proof need it; the registry
# value touches nothing but itself; a reset stops services and gives up the local history; troubleshoot runs for an
# hour; drivers touch devices.
LADDER = ("timesync", "osupgrade", "reset", "troubleshoot", "drivers")

# The order in which the how-to's give the methods.
HOWTO_ORDER = ("timesync", "reset", "troubleshoot", "osupgrade", "drivers")

# The rungs that this release can climb.
BY_NAME: dict[str, Rung] = {"timesync": timesync, "osupgrade": osupgrade, "reset": reset}

TITLES = {
    timesync.NAME: timesync.TITLE,
    osupgrade.NAME: osupgrade.TITLE,
    reset.NAME: reset.TITLE,
    "troubleshoot": "repair the component store (DISM, SFC)",
    "drivers": "repair devices and drivers",
}
