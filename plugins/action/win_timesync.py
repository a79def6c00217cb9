# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Adapter of the module win_timesync."""

from __future__ import annotations

from typing import Any

from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import findings, situation
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils._action import ChangeAction
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.evidence import Evidence


class ActionModule(ChangeAction):
    """Climbs the rung timesync on one host."""

    MODULE = "win_timesync"
    RUNG = "timesync"

    def extra(self, before: Evidence, after: Evidence | None) -> dict[str, Any]:
        """See ChangeAction."""
        then, now = (None if look is None else situation.clock_of(look, findings.Settings()).own_ms for look in (before, after))
        return {"offset_ms": {"before": then, "after": then if after is None else now}}
