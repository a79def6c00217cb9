# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Adapter of the module wu_case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import case as cases
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import report
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils._action import ActionError, WuAction
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.case_document import parse, to_document

# Names of the first release, for one more.
_ALIASES = {"not_this_host": "needs_action"}


class ActionModule(WuAction):
    """Takes an event that no module of this collection makes, or ends the case."""

    MODULE = "wu_case"
    WINDOWS_ONLY = False
    _requires_connection = False

    def perform(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """See WuAction."""
        case = parse(options["case"])
        if options["event"] == "restarted":
            return self._restarted(case, options)
        self.evidence_file(case.run).delete()
        row = report.row(case)
        unknown = sorted(set(options["fail_on"]) - set(report.VERDICTS) - set(_ALIASES))
        if unknown:
            raise ActionError(f"option fail_on has no verdict named {', '.join(unknown)}; verdicts are {', '.join(report.VERDICTS)}")
        fails = row["now"] in {_ALIASES.get(name, name) for name in options["fail_on"]}
        msg = f"{row['now']}: {row['msg']}" if fails else row["msg"]
        return {**row, "verdict": row["now"], "msg": msg, "failed": fails, "next": cases.END, "case": options["case"]}

    def _restarted(self, case: cases.Case, options: Mapping[str, Any]) -> dict[str, Any]:
        event: cases.Event = cases.Restarted(_why_failed(options.get("result") or {}))
        if self._task.check_mode:
            event = cases.Would(cases.RESTART, ("restart the host",))
        case = cases.advance(case, event)
        row = report.row(case)
        return {**row, "verdict": row["now"], "next": case.next, "case": to_document(case)}


def _why_failed(result: Mapping[str, Any]) -> str:
    """Why the restart failed, by what its module returned; empty where it did not."""
    if not result.get("failed") and not result.get("unreachable"):
        return ""
    return cases.line(f"the restart failed: {result.get('msg') or 'the host did not come back'}")
