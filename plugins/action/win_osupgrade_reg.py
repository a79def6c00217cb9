# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Adapter of the module win_osupgrade_reg."""

from __future__ import annotations

from typing import Any

from ansible_collections.winfleet.wu_repair.plugins.plugin_utils._action_change import ChangeAction
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.evidence import Evidence
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.repairs import osupgrade


class ActionModule(ChangeAction):
    """Makes the attempt osupgrade on one host."""

    MODULE = "win_osupgrade_reg"
    REPAIR = "osupgrade"

    def extra(self, before: Evidence, after: Evidence | None) -> dict[str, Any]:
        """See ChangeAction."""
        return {"previous": osupgrade.previous(before), "overridden_by": osupgrade.overridden_by(before)}
