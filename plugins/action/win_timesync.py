# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Adapter of the module win_timesync."""

from __future__ import annotations

from typing import Any

from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import situation
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils._action_change import ChangeAction
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.evidence import Evidence


class ActionModule(ChangeAction):
    """Makes the repair timesync on one host."""

    MODULE = "win_timesync"
    REPAIR = "timesync"

    def extra(self, before: Evidence, after: Evidence | None) -> dict[str, Any]:
        """See ChangeAction."""
        return {"offset_ms": {"before": self._offset(before), "after": self._offset(after or before)}}

    def _offset(self, look: Evidence) -> int | None:
        return situation.clock_of(look, self.settings).own_ms
