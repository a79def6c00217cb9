# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Refuses direct calls of the agent's program wu_observe."""

from __future__ import annotations

from ansible_collections.winfleet.wu_repair.plugins.plugin_utils._action import InternalAction


class ActionModule(InternalAction):
    """The collection's own actions run this program; a task never does."""
