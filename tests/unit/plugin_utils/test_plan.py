# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A plan changes what the evidence asks for and nothing else; a reply is believed only as far as it was checked."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from typing import Any

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import plan, rungs
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.evidence import Evidence
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.logs import Record
from hypothesis import given
from hypothesis import strategies as st
from unit.plugin_utils.documents import (
    DAY,
    NOW,
    RUN,
    SETTINGS,
    carried_out,
    failed,
    find,
    folder,
    look,
    outcome,
    reply,
    services,
    source,
)

OFF = {"clock.sources": [source(offset_ms=7 * 3600_000)]}

SICK: dict[str, tuple[Evidence, list[Record]]] = {
    "cache": (look(), [failed("scan", 0x80070002, 0.5)]),
    "signatures": (look(), [failed("install", 0x800B0100)]),
    "services": (look(services(wuauserv=4, UsoSvc=4)), []),
    "clock": (look(OFF, controller_ms=7 * 3600_000), []),
    "w32time": (look(services(W32Time=4)), []),
    "upgrade": (look(), [failed("upgrade", 0xC1900101)]),
}


def make(name: str, evidence: Evidence, records: Sequence[Record] = (), **options: Any) -> plan.Plan:
    return plan.build(name, evidence, find(evidence, records), options, RUN, SETTINGS)


@pytest.mark.parametrize("name", rungs.BY_NAME)
def test_a_healthy_host_gets_no_plan(name: str) -> None:
    made = make(name, look(), state="absent")
    assert (made.steps, made.refused, made.would, made.changes) == ((), None, (), False)


@pytest.mark.parametrize("case", SICK)
def test_what_is_planned_is_what_the_agent_knows(case: str) -> None:
    evidence, records = SICK[case]
    found = find(evidence, records)
    names = plan.route(found)
    assert names
    for name in names:
        made = plan.build(name, evidence, found, {}, RUN, SETTINGS)
        assert made.changes
        assert made.reasons
        request = made.request({"schema": 1, "op": "observe"})
        assert json.loads(json.dumps(request)) == request
        assert set(request["uses"]) == {step["kind"] for step in request["steps"]} <= rungs.KINDS
        assert [step["id"] for step in request["steps"]] == list(range(1, len(made.steps) + 1))
        assert {item["what"] for item in request["expect"]} <= {
            "service",
            "folder",
            "value",
            "boot",
            "servicing",
            "reboot",
        }
        assert {"what": "boot", "name": None, "field": "time", "is": NOW - 9 * DAY} in request["expect"]
        assert made.would
        assert all(made.diff)


@pytest.mark.parametrize("case", SICK)
def test_the_second_look_asks_for_nothing_that_was_done(case: str) -> None:
    evidence, records = SICK[case]
    found = find(evidence, records)
    for name in plan.route(found):
        made = plan.build(name, evidence, found, {}, RUN, SETTINGS)
        after = carried_out(evidence, made)
        again = find(after, records)
        assert name not in plan.route(again)
        assert plan.build(name, after, again, {}, RUN, SETTINGS).steps == ()


@given(st.lists(st.sampled_from(sorted(SICK)), max_size=3, unique=True), st.sampled_from(sorted(rungs.BY_NAME)))
def test_every_plan_of_any_mix_is_sound(cases: list[str], name: str) -> None:
    records = [record for case in cases for record in SICK[case][1]]
    changes: dict[str, Any] = {}
    if "services" in cases:
        changes |= services(wuauserv=4, UsoSvc=4)
    if "clock" in cases:
        changes |= OFF
    evidence = look(changes)
    made = plan.build(name, evidence, find(evidence, records), {"state": "absent"}, RUN, SETTINGS)
    kinds = [step.kind for step in made.steps]
    stopped = [step.args["name"] for step in made.steps if step.kind == "stop_service"]
    assert len(stopped) == len(set(stopped))
    assert kinds.count("restore_services") == (1 if stopped else 0)
    if stopped:
        last_stop = len(kinds) - 1 - kinds[::-1].index("stop_service")
        assert last_stop < min(index for index, kind in enumerate(kinds) if kind == "set_aside")
        assert kinds.index("restore_services") > max(index for index, kind in enumerate(kinds) if kind == "set_aside")
    touched = {step.args.get("name") for step in made.steps}
    assert not touched & {"TrustedInstaller", "WaaSMedicSvc", "AppIDSvc"}
    assert not made.steps or made.reasons


# --- refusals ---


def test_a_busy_host_is_left_alone_even_by_force() -> None:
    busy = look({"servicing.processes": ["TiWorker"]})
    for options in ({}, {"force": True}):
        made = make("reset", busy, [failed("scan", 0x80070002, 0.5)], **options)
        assert made.refused is not None
        assert made.refused.verdict == "busy"
        assert made.steps == ()
    pending = make("reset", look({"reboot.markers": ["cbs_reboot_pending"]}), [failed("scan", 0x80070002, 0.5)])
    assert pending.refused is not None
    assert pending.refused.verdict == "restart_required"


def test_a_link_is_never_followed() -> None:
    linked = look({"cache.folders": [folder("SoftwareDistribution", reparse=True), folder("catroot2")]})
    made = make("reset", linked, [failed("scan", 0x80070002, 0.5)])
    assert made.refused is not None
    assert made.refused.verdict == "unresolved"


def test_a_rung_of_a_later_release_is_refused_by_name() -> None:
    made = make("troubleshoot", look(), [failed("store", 0x80073712)])
    assert made.refused is not None
    assert "troubleshoot" in made.refused.sentence


@pytest.mark.parametrize("run_id", ["", "..\\..\\x", "20261124T101530Z-1a2b3c\n", "20261124T101530Z-1A2B3C", "x" * 40])
def test_a_run_id_cannot_leave_its_folder(run_id: str) -> None:
    assert not plan.valid_run_id(run_id)
    with pytest.raises(ValueError, match="run_id"):
        plan.build("reset", look(), [], {}, run_id, SETTINGS)


def test_a_new_run_id_is_a_valid_one_and_its_own() -> None:
    first, second = plan.new_run_id(NOW), plan.new_run_id(NOW + 0.5)
    assert plan.valid_run_id(first)
    assert first.startswith("20251124T160000Z-")
    assert first != second


# --- the order of the rungs ---


def test_routed_climbs_what_is_asked_for_cheapest_first() -> None:
    evidence = look(OFF, controller_ms=7 * 3600_000)
    found = find(evidence, [failed("store", 0x80073712), failed("download", 0x80246010), failed("upgrade", 0xC1900101)])
    assert plan.route(found) == ["timesync", "osupgrade", "reset", "troubleshoot"]
    assert plan.route(found, "routed", only=["reset", "drivers"]) == ["reset"]
    assert plan.route(found, "routed", skip=["timesync"]) == ["osupgrade", "reset", "troubleshoot"]
    assert plan.route([], "all") == ["timesync", "reset", "troubleshoot", "osupgrade", "drivers"]
    assert plan.outlook(plan.route(found)[:2]) == {"timesync": "would", "osupgrade": "if_not_cured"}


# --- words ---


def test_what_would_be_done_is_said_in_words() -> None:
    made = make("reset", look(services(BITS=4)), [failed("scan", 0x80070002, 0.5)])
    assert made.would == (
        "set the start type of BITS from Disabled to Manual",
        "stop UsoSvc, DoSvc, BITS, wuauserv and start again what ran",
        "set aside C:\\Windows\\SoftwareDistribution (812 files, 1.8 GB)",
    )
    assert made.diff[0]["start type of BITS"] == "Disabled"
    assert made.diff[1]["C:\\Windows\\SoftwareDistribution"].endswith(RUN)


def test_what_was_done_leaves_out_what_was_skipped_or_undone() -> None:
    made = make("reset", look(services(BITS=4)), [failed("scan", 0x80070002, 0.5)])
    done = outcome(made)
    assert "set aside C:\\Windows\\SoftwareDistribution" in plan.words(made, done)
    assert plan.backups(made, done) == (f"C:\\Windows\\SoftwareDistribution.wu_repair-{RUN}",)
    aside = next(index for index, step in enumerate(made.steps, start=1) if step.kind == "set_aside")
    undone = outcome(made, undone=[{"id": aside, "kind": "set_aside", "ok": True, "why": None}])
    assert plan.backups(made, undone) == ()
    steps = reply(made)["steps"]
    steps[aside - 1]["status"] = "skipped"
    assert plan.backups(made, outcome(made, steps=steps)) == ()


# --- the reply is untrusted ---


def test_a_good_reply_is_read() -> None:
    made = make("reset", look(), [failed("scan", 0x80070002, 0.5)])
    read = outcome(made, differs=[{"what": "service", "name": "BITS", "field": "start", "expected": 3, "found": 4}])
    assert [item.status for item in read.steps] == ["done"] * len(made.steps)
    assert read.differs == ({"what": "service", "name": "BITS", "field": "start", "expected": 3, "found": 4},)
    assert plan.parse_outcome({"schema": 1, "refused": "unknown\nkind"}).refused == "unknown kind"


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"schema": 2}, "outcome.schema"),
        ({"op": "observe"}, "outcome.op"),
        ({"changed": "yes"}, "outcome.changed"),
        ({"changed": 1}, "outcome.changed"),
        ({"steps": {}}, "outcome.steps"),
        ({"steps": [None] * 201}, "outcome.steps"),
        ({"steps": [7]}, r"outcome.steps\[0\]"),
        ({"steps": [{"id": 1, "kind": "x", "status": "maybe", "changed": True}]}, r"outcome.steps\[0\].status"),
        ({"steps": [{"id": True, "kind": "x", "status": "done", "changed": True}]}, r"outcome.steps\[0\].id"),
        ({"steps": [{"id": 1, "kind": ["x"], "status": "done", "changed": True}]}, r"outcome.steps\[0\].kind"),
        ({"failed": {"id": 1, "why": "x", "code": "0x1"}}, "outcome.failed.code"),
        ({"undone": [{"id": 1, "kind": "x", "ok": "true"}]}, r"outcome.undone\[0\].ok"),
        (
            {"differs": [{"what": "boot", "field": "time", "expected": [], "found": 1}]},
            r"outcome.differs\[0\].expected",
        ),
        ({"sections": []}, "outcome.sections"),
        ({"refused": 7}, "outcome.refused"),
    ],
)
def test_a_reply_that_is_not_the_contract_is_refused_in_one_line(changes: dict[str, Any], where: str) -> None:
    made = make("reset", look(), [failed("scan", 0x80070002, 0.5)])
    with pytest.raises(plan.OutcomeError, match=where) as caught:
        outcome(made, **changes)
    assert "\n" not in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    JSON, st.dictionaries(st.sampled_from(["schema", "op", "steps", "differs", "failed", "undone", "changed"]), JSON)
)
def test_no_reply_at_all_breaks_the_reader(anything: object, fields: dict[str, object]) -> None:
    for candidate in (anything, {"schema": 1, "op": "apply", "changed": False, **fields}):
        with contextlib.suppress(plan.OutcomeError):
            plan.parse_outcome(candidate)
