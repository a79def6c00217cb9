# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Adapter of the module win_wu_reset."""

from __future__ import annotations

from ansible_collections.winfleet.wu_repair.plugins.plugin_utils._action_change import ChangeAction


class ActionModule(ChangeAction):
    """Makes the repair reset on one host."""

    MODULE = "win_wu_reset"
    REPAIR = "reset"
