# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A plan changes what the evidence asks for and nothing else; what came of it is told as it was done."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import outcome as outcomes
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import plan, repairs, situation, steps
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.evidence import Evidence
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.finding import Finding
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.plugin_utils.documents import DAY, NOW, RUN, SETTINGS, look, outcome, reply, service, services, source
from unit.plugin_utils.repairs.asked import condition, failure, make

WRONG = {"clock.sources": [source(offset_ms=7 * 3600_000)]}
LOST = failure("scan", 0x80070002)
ATTEMPT = failure("upgrade", 0xC1900101, answer={"owner": "hardware"}, attempt="osupgrade")
IDLE = [service("UsoSvc", state="stopped"), service("CryptSvc"), service("wuauserv"), service("BITS")]

# What ails a host, its look, what was found, and the repair of it.
SICK: dict[str, tuple[Evidence, tuple[Finding, ...], str]] = {
    "cache": (look(), (LOST,), "reset"),
    "signatures": (look(), (failure("install", 0x800B0100),), "reset"),
    "disabled": (
        look(services(wuauserv=4, UsoSvc=4)),
        (condition("service_disabled", "wuauserv"), condition("service_disabled", "UsoSvc")),
        "reset",
    ),
    "idle": (look({"services.services": IDLE}), (condition("service_stopped", "UsoSvc"),), "reset"),
    "clock": (look(WRONG, controller_ms=7 * 3600_000), (condition("clock_off", repair="timesync"),), "timesync"),
    "w32time": (look(services(W32Time=4)), (condition("service_disabled", "W32Time", repair="timesync"),), "timesync"),
    "upgrade": (look(), (ATTEMPT,), "osupgrade"),
}


@pytest.mark.parametrize("name", repairs.ORDER)
def test_a_healthy_host_gets_no_plan(name: str) -> None:
    made = make(name, look(), state="absent")
    assert (made.steps, made.refused, made.would, made.changes) == ((), None, (), False)


@pytest.mark.parametrize("case", SICK)
def test_what_is_planned_is_what_the_agent_knows(case: str) -> None:
    evidence, found, name = SICK[case]
    made = plan.build(name, evidence, found, {}, RUN, SETTINGS)
    assert made.changes
    assert made.reasons == tuple(item.id for item in found)
    request = made.request({"schema": 1, "op": "observe"})
    assert json.loads(json.dumps(request)) == request
    assert set(request["uses"]) == {step["kind"] for step in request["steps"]} <= set(steps.KINDS)
    for step in made.steps:
        kind = steps.kind_of(step)
        assert kind.required <= set(step.args) <= kind.required | kind.optional
    assert [step["id"] for step in request["steps"]] == list(range(1, len(made.steps) + 1))
    assert {item["what"] for item in request["expect"]} <= {"service", "folder", "value", "boot", "servicing", "reboot"}
    assert {"what": "boot", "name": None, "field": "time", "is": NOW - 9 * DAY} in request["expect"]
    assert made.would
    assert len(made.done) == len(made.steps)


@given(st.lists(st.sampled_from(sorted(SICK)), max_size=3, unique=True), st.sampled_from(repairs.ORDER), st.booleans())
@settings(deadline=None, max_examples=60)
def test_every_plan_of_any_mix_is_sound(cases: list[str], name: str, force: bool) -> None:
    found = [item for case in cases for item in SICK[case][1]]
    changes: dict[str, Any] = services(wuauserv=4, UsoSvc=4) if "disabled" in cases else {}
    if "clock" in cases:
        changes |= WRONG
    made = plan.build(name, look(changes), found, {"state": "absent"}, RUN, SETTINGS, force=force)
    kinds = [step.kind for step in made.steps]
    stopped = [step.args["name"] for step in made.steps if step.kind == "stop_service"]
    assert len(stopped) == len(set(stopped))
    assert kinds.count("restore_services") == (1 if stopped else 0)
    if stopped:
        last_stop = len(kinds) - 1 - kinds[::-1].index("stop_service")
        moves = [index for index, kind in enumerate(kinds) if kind == "set_aside"]
        assert last_stop < min(moves)
        assert kinds.index("restore_services") > max(moves)
    touched = {step.args.get("name") for step in made.steps}
    assert not touched & {"TrustedInstaller", "WaaSMedicSvc", "AppIDSvc", "msiserver"}
    assert not made.steps or made.reasons or force


# --- which repairs ---


def test_repairs_come_in_order_and_only_for_what_asks_now() -> None:
    clock, store = condition("clock_off", repair="timesync"), failure("store", 0x80073712, answer={"owner": "admin"})
    assert repairs.asked_for([LOST, clock, store, ATTEMPT]) == ("timesync", "reset")
    assert repairs.asked_for([failure("scan", 0x80070002, state="untested"), store]) == ()
    assert repairs.asked_for([failure("store", 0x80073712, "troubleshoot")]) == ()
    assert repairs.ORDER == ("timesync", "osupgrade", "reset")
    assert repairs.HOWTO_ORDER == ("timesync", "reset", "osupgrade")
    assert set(repairs.TITLES) == set(repairs.BY_NAME) == set(repairs.ORDER)


@pytest.mark.parametrize("name", ["troubleshoot", "drivers", "", "../reset"])
def test_a_repair_of_no_release_is_refused_by_name(name: str) -> None:
    made = plan.build(name, look(), [LOST], {}, RUN, SETTINGS)
    assert made.refused is not None
    assert made.refused.verdict == "needs_action"
    assert "timesync, osupgrade, reset" in made.refused.sentence
    assert not made.changes


# --- refusals ---


def test_a_busy_host_is_left_alone_even_by_force() -> None:
    busy = look({"servicing.in_progress": 2, "servicing.processes": ["TiWorker"]})
    for options in ({}, {"force": True}):
        made = make("reset", busy, LOST, **options)
        assert made.refused is not None
        assert made.refused.verdict == "busy"
        assert made.steps == ()
    pending = make("reset", look({"reboot.markers": ["cbs_reboot_pending"]}), LOST)
    assert pending.refused is not None
    assert pending.refused.verdict == "restart_required"
    assert "Restart" in pending.refused.next_step


def test_a_host_that_needs_nothing_is_refused_nothing() -> None:
    assert make("reset", look({"reboot.markers": ["cbs_reboot_pending"]})).refused is None


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


# --- words ---

BOTH = (LOST, condition("service_disabled", "BITS"))


def reset() -> plan.Plan:
    return plan.build("reset", look(services(BITS=4)), BOTH, {}, RUN, SETTINGS)


def number(made: plan.Plan, kind: str) -> int:
    return next(index for index, step in enumerate(made.steps, start=1) if step.kind == kind)


def test_what_would_be_done_is_said_in_words() -> None:
    made = reset()
    assert made.would == (
        "set the start type of BITS from Disabled to Manual",
        "set aside C:\\Windows\\SoftwareDistribution",
        "stop UsoSvc, DoSvc, BITS, wuauserv and start again what ran",
    )
    assert made.diff[0]["start type of BITS"] == "Disabled"
    assert made.diff[1]["C:\\Windows\\SoftwareDistribution"].endswith(str(situation.backup_ending(RUN)))


def test_what_was_done_is_told_in_short_and_step_by_step() -> None:
    made = reset()
    done = outcome(made)
    assert plan.deeds(made, done) == ("start types repaired", "cache reset")
    assert "set aside C:\\Windows\\SoftwareDistribution" in plan.words(made, done)
    assert plan.backups(made, done) == (f"C:\\Windows\\SoftwareDistribution{situation.backup_ending(RUN)}",)
    clock = plan.build("timesync", *SICK["clock"][:2], {}, RUN, SETTINGS)
    assert plan.deeds(clock, outcome(clock)) == ("clock set",)
    value = plan.build("osupgrade", look(), [ATTEMPT], {}, RUN, SETTINGS)
    assert plan.deeds(value, outcome(value)) == ("AllowOSUpgrade set",)


def test_what_was_skipped_or_undone_was_not_done() -> None:
    made = reset()
    aside = number(made, "set_aside")
    undone = outcome(made, undone=[{"id": aside, "kind": "set_aside", "ok": True, "why": None}])
    assert plan.backups(made, undone) == ()
    assert plan.deeds(made, undone) == ("start types repaired",)
    stuck = [{"id": aside, "kind": "set_aside", "ok": ok, "why": None} for ok in (True, False)]
    assert plan.deeds(made, outcome(made, undone=stuck)) == ("start types repaired", "cache reset"), "taken back in part"
    for change in ({"status": "skipped"}, {"changed": False}):
        rows = reply(made)["steps"]
        rows[aside - 1] |= change
        assert plan.backups(made, outcome(made, steps=rows)) == ()


def test_steps_that_the_plan_does_not_have_are_not_told() -> None:
    made = reset()
    stranger = {"id": 99, "kind": "set_aside", "status": "done", "changed": True, "why": None}
    assert plan.backups(made, outcome(made, steps=[stranger, {**stranger, "id": 0}])) == ()


# --- what stopped it ---


def why(made: plan.Plan, **changes: Any) -> tuple[str, str]:
    stopped = plan.stopped(made, outcome(made, **changes))
    return ("", "") if stopped is None else (stopped.verdict, stopped.sentence)


def test_a_change_that_came_to_its_end_was_not_stopped() -> None:
    assert why(reset()) == ("", "")


@pytest.mark.parametrize(
    ("row", "verdict", "says"),
    [
        ({"what": "servicing", "field": "busy", "expected": False, "found": True}, "busy", "nothing was changed"),
        ({"what": "reboot", "field": "pending", "expected": False, "found": True}, "restart_required", "nothing was changed"),
        ({"what": "service", "name": "BITS", "field": "start", "expected": 4, "found": 3}, "failed", "service BITS: start is 3, not 4"),
    ],
)
def test_a_host_that_changed_since_the_look_is_left(row: dict[str, Any], verdict: str, says: str) -> None:
    name, sentence = why(reset(), differs=[row], steps=[], changed=False)
    assert name == verdict
    assert says in sentence


BOOT = {"what": "boot", "name": None, "field": "time", "expected": NOW - 9 * DAY, "found": NOW - 9 * DAY + 7200}
UPTIME = {"what": "boot", "name": None, "field": "uptime", "expected": 9 * DAY, "found": 60}


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([BOOT], "clock was set between look and repair (2 h 0 min forward)"),
        ([{**BOOT, "found": NOW - 9 * DAY - 61}], "clock was set between look and repair (1 min 1 s back)"),
        ([{"what": "service", "name": "BITS", "field": "start", "expected": 4, "found": 3}, BOOT], "clock was set"),
        ([BOOT, UPTIME], "The host changed between look and repair (boot: time is"),
        ([UPTIME], "boot: uptime is 60"),
        ([{**BOOT, "found": None}], "boot: time is None"),
        ([{**BOOT, "found": "x"}], "boot: time is x"),
    ],
)
def test_a_clock_that_was_set_is_no_other_start_of_the_host(rows: list[dict[str, Any]], says: str) -> None:
    made = reset()
    assert {"what": "boot", "name": None, "field": "uptime", "is": 9 * DAY} in made.request(None)["expect"]
    name, sentence = why(made, differs=rows, steps=[], changed=False)
    assert name == "failed"
    assert says in sentence


def test_without_the_hosts_clock_a_start_is_compared_alone() -> None:
    made = make("reset", look(status={"clock": "timeout"}), LOST)
    assert [item.field for item in made.expect if item.what == "boot"] == ["time"]
    assert "boot: time is" in why(made, differs=[BOOT], steps=[], changed=False)[1]


def test_a_failure_says_what_it_was_and_whether_all_is_back() -> None:
    made = reset()
    aside = number(made, "set_aside")
    failed = {"id": aside, "why": "in use", "code": 5}
    said = why(made, failed=failed, changed=False)[1]
    assert said == "Could not set aside C:\\Windows\\SoftwareDistribution: in use; everything was undone."
    stuck = [{"id": 1, "kind": "set_start_type", "ok": False, "why": "denied"}]
    said = why(made, failed=failed, undone=stuck)[1]
    assert said.endswith("could not be undone: set the start type of BITS from Disabled to Manual (denied).")
    assert "all the same" in why(made, failed=failed)[1]
    said = why(made, failed={"id": None, "why": "UsoSvc does not run", "code": None})[1]
    assert said.startswith("Could not make a step: UsoSvc")


def test_an_outcome_that_cannot_be_read_is_not_known() -> None:
    made = reset()
    verdict, sentence = why(made, changed="yes")
    assert verdict == "failed"
    assert RUN in sentence
    assert why(made, steps=reply(made)["steps"][:-2])[1].startswith("The agent did not account for 2 of")
    rows: Sequence[dict[str, Any]] = reply(made)["steps"]
    rows[1]["status"] = "not_run"
    assert "1 of" in why(made, steps=rows)[1]


def test_a_refusal_of_the_agent_changed_nothing() -> None:
    assert why(reset(), refused="unknown kind")[1] == "The agent refused the plan, nothing was changed: unknown kind"


@pytest.mark.parametrize(
    ("run", "named"), [("20261124T101000Z-abcdef", "run 20261124T101000Z-abcdef"), ("", "another run"), ("x; y", "another run")]
)
def test_a_host_that_another_run_changes_is_busy(run: str, named: str) -> None:
    came = outcomes.parse({"schema": 1, "refused": "another run changes this host now", "busy": run})
    assert not came.changed
    refusal = plan.stopped(reset(), came)
    assert refusal is not None
    assert (refusal.verdict, refusal.owner) == ("busy", None)
    assert refusal.sentence == f"The host is being changed by {named}: nothing was changed."


@pytest.mark.parametrize("field", ["created", "backups"])
def test_a_folder_that_was_renewed_since_is_told_as_such(field: str) -> None:
    row = {"what": "folder", "name": "SoftwareDistribution", "field": field, "expected": 1, "found": 2}
    refusal = plan.stopped(reset(), outcomes.parse({**reply(reset()), "differs": [row]}))
    assert refusal is not None
    assert refusal.sentence.startswith("SoftwareDistribution was set aside or made anew since the look")


def test_what_spoils_nothing_is_a_warning() -> None:
    made = reset()
    remarks = [{"id": 1, "why": "denied"}, {"id": None, "why": "an old backup stays"}]
    done = outcome(made, warnings=remarks)
    assert plan.stopped(made, done) is None
    assert plan.warnings(made, done) == ("set the start type of BITS from Disabled to Manual: denied", "an old backup stays")
