# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Adapter of the module wu_case."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.utils.display import Display
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import _variables, report, rollout, summary
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import case as cases
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import run as runs
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils._action import ActionError, WuAction, artifacts
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils._files import check_file, check_folder
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.case_document import parse, to_document

# One text for all hosts: ansible-core shows it once with the place in the role, and the sentence of each host stands elsewhere.
_RED = "Windows Update needs somebody on this host; its line says why, and wu_repair_result holds all"
# So many lines, and nobody reads more.
_MOST_FAULTS = 40
display = Display()


class ActionModule(WuAction):
    """Begins a run, takes an event that no module of this collection makes, or ends the case."""

    MODULE = "wu_case"
    WINDOWS_ONLY = False
    _requires_connection = False

    def perform(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """See WuAction."""
        if options["event"] == "begin":
            return self._begin(options)
        if options["case"] is None:
            raise ActionError("winfleet.wu_repair.wu_case: missing option case")
        case = parse(options["case"])
        if options["event"] == "restarted":
            return self._restarted(case, options)
        if options["event"] == "one_server":
            return self._left_to_its_server(case)
        if options["event"] == "fail":
            return self._fail(case, options)
        return self._end(case, options)

    def _begin(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Check what only the end of a run would show, before anybody is looked at."""
        self._check_variables()
        fail_on = report.verdicts(options["fail_on"])
        # What this task itself was given, wherever from.
        rollout.sizes(options["serial"])
        rollout.most_failed(options["max_failed"], 1)
        rollout.fewest_alike(options["shared_server"])
        report_path = runs.document_path(options["report"]) if options["report"] else None
        if report_path is not None:
            for path in (report_path, *runs.beside(report_path)):
                check_file(path, "wu_repair_report")
        if options["evidence_dir"]:
            check_folder(Path(options["evidence_dir"]), "wu_repair_evidence_dir")
        run = {"report": str(report_path or ""), "fail_on": fail_on, "shared_server": options["shared_server"]}
        return {"verdict": None, "msg": "The variables can be meant so.", "run": run}

    def _check_variables(self) -> None:
        """Of every host of the play, a line each, before anybody is connected to."""
        hosts = self._vars.get("ansible_play_hosts_all") or ()
        found = _variables.faults(hosts, self._vars.get("hostvars") or {}) if hosts else []
        if not found:
            return
        if len(found) == 1:
            raise ActionError(f"{found[0]}. No host was connected to.")
        for said in found[:_MOST_FAULTS]:
            display.display(said)
        raise ActionError(f"{len(found)} variables cannot be meant so, above; the first: {found[0]}. No host was connected to.")

    def _end(self, case: cases.Case, options: Mapping[str, Any]) -> dict[str, Any]:
        self.evidence_file(case.run).delete()
        row = report.row(case)
        fails = row["now"] in report.verdicts(options["fail_on"])
        msg = f"{row['now']}: {row['msg']}" if fails else row["msg"]
        if options["say"] and row["now"] not in report.WELL:
            display.display(summary.one_row({**row, "host": self.host}))
        return {**row, "verdict": row["now"], "msg": msg, "failed": fails, "next": cases.END, "case": options["case"]}

    def _fail(self, case: cases.Case, options: Mapping[str, Any]) -> dict[str, Any]:
        """One short result for every host: ansible-core prints what is failed whole, and twice what is in `msg`."""
        self.evidence_file(case.run).delete()
        untried = options["rollout"] and not case.ended
        name = cases.verdict_of(case).name
        fail_on = report.verdicts(options["fail_on"])
        fails = bool(fail_on) and (untried or name in fail_on)
        result = {"verdict": name, "msg": _RED if fails else "Nothing here fails the host.", "failed": fails}
        return {**result, "not_tried": True} if untried else result

    def _left_to_its_server(self, case: cases.Case) -> dict[str, Any]:
        """Nothing is sent to the host, since its like fail at one server."""
        if case.look is None:
            raise ActionError("option case holds no look: pass what an earlier task returned as case")
        self.evidence_file(case.run).delete()
        case = cases.declined_at_all(case, rollout.left_to_its_server(case.look.verdict))
        row = report.row(case)
        result = {**row, "verdict": row["now"], "next": case.next, "case": to_document(case)}
        return {**result, **artifacts(row, self._vars), **self.join("wu_repair_spared", "wu_repair_unhealthy")}

    def _restarted(self, case: cases.Case, options: Mapping[str, Any]) -> dict[str, Any]:
        event: cases.Event = cases.Restarted(_why_failed(options.get("result") or {}))
        if self._task.check_mode:
            event = cases.Would(cases.RESTART, ("restart the host",))
        case = cases.advance(case, event)
        row = report.row(case)
        result = {**row, "verdict": row["now"], "next": case.next, "case": to_document(case)}
        return {**result, **self.tried(result), **(artifacts(row, self._vars) if case.ended else {})}


def _why_failed(result: Mapping[str, Any]) -> str:
    """Why the restart failed, by what its module returned; empty where it did not."""
    if not result.get("failed") and not result.get("unreachable"):
        return ""
    return cases.line(f"the restart failed: {result.get('msg') or 'the host did not come back'}")
