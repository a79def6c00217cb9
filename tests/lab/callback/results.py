# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keeps every task result that a run of ansible shows, one document of JSON a line, in the file WULAB_RESULTS."""

from __future__ import annotations

import json
import os
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: results
type: aggregate
short_description: Keep task results in a file
description:
  - Appends to the file that the environment variable E(WULAB_RESULTS) names.
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """The rows hold ``host``, ``failed``, ``unreachable`` and ``result``, which is what a callback may see: no secrets of no_log."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "results"
    CALLBACK_NEEDS_ENABLED = True

    def _keep(self, result: Any, *, failed: bool = False, unreachable: bool = False) -> None:
        row: dict[str, Any] = {"host": result.host.get_name(), "failed": failed, "unreachable": unreachable}
        row["result"] = json.loads(self._dump_results(result.result))
        with open(os.environ["WULAB_RESULTS"], "a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")

    def v2_runner_on_ok(self, result: Any) -> None:
        """A task went well."""
        self._keep(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """A task failed, whether that was to be ignored or not."""
        self._keep(result, failed=True)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """A host could not be reached."""
        self._keep(result, unreachable=True)
