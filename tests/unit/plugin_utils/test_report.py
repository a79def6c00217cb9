# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The row of a host: out of a result that holds a case, and of a task that ansible-core ended."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import case as cases
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import report
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.case_document import to_document
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.repairs import Proof
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.verdict import OUTCOME, Verdict

RUN = "20261124T101530Z-1a2b3c"
SICK = cases.Look(Verdict("sick", "0x80070002 in searches.", repairs=("reset",), why="0x80070002"))
HEALTHY = cases.Look(Verdict("healthy", "Windows Update works."))


def repaired(proof: Proof) -> cases.Case:
    """A host whose cache was reset."""
    options = cases.Options("routed", ("reset",))
    case = cases.advance(cases.start("web01", RUN, options), cases.Looked(SICK))
    return cases.advance(case, cases.Applied("reset", changed=True, backups=("C:\\x",), look=HEALTHY, proofs={"reset": proof}))


def returned(case: cases.Case, **more: Any) -> dict[str, Any]:
    """What a module returns with a case."""
    return {**report.row(case), "changed": False, "next": case.next, "case": to_document(case), **more}


def test_row_of_a_case() -> None:
    row = report.of_result("web01", returned(repaired(Proof("proved", "a live search"))))
    assert (row["was"], row["why"], row["did"], row["now"]) == ("sick", "0x80070002", ["reset"], "repaired")
    assert (row["proved_by"], row["run_id"], row["backups"], row["next"]) == ("a live search", RUN, ["C:\\x"], "end")
    # `changed` of a result is of its task alone.
    assert row["changed"] is True


def test_did_of_a_change_is_the_names_of_repairs_and_not_its_steps() -> None:
    row = report.of_result("web01", returned(repaired(Proof("proved", "x")), did=["stopped wuauserv", "set aside C:\\x"]))
    assert row["did"] == ["reset"]


def test_what_stands_beside_the_row_is_kept_from_task_to_task() -> None:
    finding = {"id": "a", "code": "0x80070002", "kb": "KB5034441", "lines": ["older", "newest"], "answer": {"repair": "reset"}}
    looked = report.of_result("web01", returned(repaired(Proof("unproven", None, "x")), about={"build": "1.2"}, findings=[finding]))
    assert looked["findings"] == [{"id": "a", "code": "0x80070002", "kb": "KB5034441", "line": "newest"}]
    later = report.of_result("web01", returned(repaired(Proof("unproven", None, "x"))), looked)
    assert (later["about"], later["findings"]) == ({"build": "1.2"}, looked["findings"])
    # What was wrong before a repair that is proved is not wrong any more.
    assert "findings" not in report.of_result("web01", returned(repaired(Proof("proved", "x"))), looked)


def test_row_of_a_task_that_ansible_ended() -> None:
    row = report.without_case("web01", {"failed": True, "msg": "a\nb"})
    assert (row["host"], row["was"], row["now"], row["msg"], row["next"]) == ("web01", "failed", "failed", "a b", "end")
    assert report.without_case("web01", {"unreachable": True, "msg": "gone"})["now"] == "unreachable"
    earlier = report.of_result("web01", returned(repaired(Proof("proved", "x"))))
    after = report.without_case("web01", {"failed": True, "msg": "x"}, earlier)
    assert (after["was"], after["now"], after["did"], after["run_id"]) == ("sick", "failed", ["reset"], RUN)


def test_every_verdict_has_words_and_a_place_in_the_order() -> None:
    assert set(report.VERDICTS) == set(OUTCOME) == set(report.WORDS) == set(report.WORST_FIRST)
    assert set(report.RED) < set(report.VERDICTS)
    assert not set(report.RED) & set(report.WELL)


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        ("basic: the specified credentials were rejected by the server", "the credentials were refused"),
        ("basic: HTTPConnectionPool(host='127.0.0.1', port=5985): Max retries exceeded with url: /wsman (Caused by NewConnectionError("
         "'<urllib3.connection.HTTPConnection object at 0x7f>: Failed to establish a new connection: [Errno 111] Connection refused'))",
         "nothing listens on the port (connection refused)"),
        ("HTTPSConnectionPool(host='web01', port=5986): Max retries exceeded with url: /wsman (Caused by NameResolutionError(\"x: Failed "
         "to resolve 'web01' ([Errno -2] Name or service not known)\"))", "the name cannot be resolved"),
        ("ntlm: HTTPSConnectionPool(host='web01', port=5986): Read timed out. (read timeout=30)", "it did not answer in time"),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed'))",
         "the certificate was not accepted"),
        ("('Connection aborted.', RemoteDisconnected('Remote end closed connection without response'))", "the connection broke"),
        ("something\nnew <object at 0x7f00>", "something new"),
    ],
)  # fmt: skip
def test_why_a_connection_failed_in_a_few_words(raised: str, said: str) -> None:
    assert report.connection(raised) == said
