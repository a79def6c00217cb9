# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rows and table of a run."""

from __future__ import annotations

from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import case as cases
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import report
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.case_document import to_document
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.repairs import Proof
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.verdict import Verdict

RUN = "20261124T101530Z-1a2b3c"
SICK = cases.Look(Verdict("sick", "0x80070002 in searches.", repairs=("reset",), why="0x80070002"))
HEALTHY = cases.Look(Verdict("healthy", "Windows Update works."))


def repaired(proof: Proof) -> cases.Case:
    """A host whose cache was reset."""
    options = cases.Options("routed", ("reset",))
    case = cases.advance(cases.start("web01", RUN, options), cases.Looked(SICK))
    return cases.advance(case, cases.Applied("reset", changed=True, backups=("C:\\x",), look=HEALTHY, proofs={"reset": proof}))


def test_row_of_a_registered_case() -> None:
    row = report.result({"case": to_document(repaired(Proof("proved", "a live search"))), "changed": False})
    assert (row["was"], row["why"], row["did"], row["now"]) == ("sick", "0x80070002", ["reset"], "repaired")
    assert row["proved_by"] == "a live search"
    assert (row["changed"], row["run_id"], row["backups"]) == (True, RUN, ["C:\\x"])


def test_what_was_not_proved_is_not_said_to_be() -> None:
    row = report.result({"case": to_document(repaired(Proof("unproven", None, "it may not search")))})
    assert (row["now"], row["proved_by"]) == ("unproven", None)
    assert row["proof"]["reason"] == "it may not search"


def test_row_of_a_task_that_ansible_ended() -> None:
    assert report.result({"failed": True, "msg": "a\nb"})["msg"] == "a b"
    assert report.result({"unreachable": True, "msg": "gone"})["now"] == "unreachable"
    assert report.result({"case": {"schema": 7}})["now"] == "failed"


def test_rows_name_the_hosts_of_the_inventory() -> None:
    known = {"web01": {"wu_repair_result": {"case": to_document(repaired(Proof("proved", "x")))}}, "web02": {}}
    first, second = report.rows(["web01", "web02"], known)
    assert (first["host"], first["now"]) == ("web01", "repaired")
    assert (second["host"], second["was"], second["now"], second["msg"]) == ("web02", "failed", "failed", "the host was not looked at")


def test_table_says_deeds_and_what_check_mode_foresees() -> None:
    done = report.rows(["web01"], {"web01": {"wu_repair_result": {"case": to_document(repaired(Proof("proved", "a live search")))}}})
    foreseen = {"host": "web02", "was": "sick", "now": "sick", "would": ["set aside A", "start B"], "if_not_cured": ["osupgrade"]}
    heading, first, second, below = report.table([*done, foreseen])
    assert heading.split() == ["host", "was", "why", "did", "now", "proved_by"]
    assert "cache reset" in first
    assert second.split() == ["web02", "sick", "-", "-", "sick", "-"]
    assert below == "web02 would set aside A; start B; if that does not cure it: osupgrade"


def test_red_verdicts_are_verdicts() -> None:
    assert set(report.RED) < set(report.VERDICTS)
