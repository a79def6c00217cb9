# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters of the role and the playbooks, over plugin_utils/report.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import report


class FilterModule:
    """Gives ansible-core the filters by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Called by ansible-core."""
        return {"result": report.result, "report": report.rows, "table": report.table}
