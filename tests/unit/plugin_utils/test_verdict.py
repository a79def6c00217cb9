# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The verdict says what must come first, and calls nothing repaired that was not proved."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import plan, verdict
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.conditions import minute
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.evidence import Evidence
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.observation import Observation, called
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.repairs import PROVED, REFUTED, SEARCH_DENIED, UNPROVEN, Proof
from unit.plugin_utils.documents import (
    BY_WSUS,
    DAY,
    MICROSOFT,
    NOW,
    RUN,
    SETTINGS,
    WSUS,
    failed,
    find,
    look,
    outcome,
    scan_section,
    searched,
    services,
    source,
    worked,
)
from unit.plugin_utils.judging import judged, repaired

OFF = {"clock.sources": [source(offset_ms=7 * 3600_000)]}
LOST = failed("scan", 0x80070002, 0.5)
NEVER = {"sources.last_search": NOW - 20 * DAY, "events.records": []}
WSUS_DOWN = {
    **BY_WSUS,
    **NEVER,
    "sources.endpoints": [{"role": "wsus", "host": "wsus.corp.example", "port": 8530, "ok": False, "error": None}],
}
UNORDERED = failed("scan", 0x80070002, 6, bound_s=14 * 3600)


# --- a look ---


@pytest.mark.parametrize(
    ("changes", "observations", "name", "repairs"),
    [
        ({}, [], "healthy", ()),
        ({}, [LOST], "sick", ("reset",)),
        ({"servicing.in_progress": 2}, [LOST], "busy", ("reset",)),
        ({"reboot.markers": ["wu_reboot_required"]}, [LOST], "restart_required", ("reset",)),
        ({"servicing.in_progress": 2, "reboot.markers": ["wu_reboot_required"]}, [], "busy", ()),
        (WSUS_DOWN, [failed("download", 0x80246010, 1)], "needs_action", ("reset",)),
        ({"disk.free": 0}, [failed("download", 0x80246010, 1)], "needs_action", ("reset",)),
        ({"disk.free": 0, "reboot.markers": ["wu_reboot_required"]}, [], "restart_required", ()),
        (services(wuauserv=4) | {"disk.free": 0}, [LOST], "sick", ("reset",)),
        ({}, [failed("scan", 0x80072EE2, 30), failed("scan", 0x80072EE2, 1)], "busy", ()),
        (NEVER, [failed("scan", 0x80072EE2, 30), failed("scan", 0x80072EE2, 1)], "needs_action", ()),
        ({}, [failed("store", 0x80073712)], "needs_action", ()),
        ({}, [failed("store", 0x80073712), LOST], "sick", ("reset",)),
        ({}, [failed("install", 0x80070BC9), LOST], "sick", ("reset",)),
        ({}, [failed("install", 0x80070BC9), failed("store", 0x80073712)], "restart_required", ()),
        ({}, [failed("install", 0x80070BC9, 10 * 24), failed("install", 0x80070BC9, 1)], "needs_action", ()),
        ({"host.boot_time": NOW - 3600}, [failed("install", 0x80070BC9, 2)], "unproven", ()),
        ({"host.boot_time": NOW - 15 * DAY, "history.entries": []}, [failed("install", 0x80070BC9, 16 * 24)], "needs_action", ()),
        (NEVER, [], "stale", ()),
        ({"host.elevated": False}, [LOST], "unsupported", ()),
        ({}, [UNORDERED], "unknown", ()),
    ],
)
def test_what_must_come_first_wins(changes: dict[str, Any], observations: list[Observation], name: str, repairs: tuple[str, ...]) -> None:
    said = judged(look(changes), *observations).verdict
    assert (said.name, said.repairs) == (name, repairs)
    assert said.msg.endswith(".") or name == "unsupported"
    assert len(said.msg) <= 300


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        ({"host.elevated": False}, "administrator"),
        ({"host.language_mode": "ConstrainedLanguage"}, "ConstrainedLanguage"),
        ({"host.is_64bit": False}, "32-bit"),
    ],
)
def test_who_may_not_look_is_told_why(fault: dict[str, Any], word: str) -> None:
    said = judged(look(fault)).verdict
    assert (said.name, said.owner, word in said.msg, said.next_step != "") == ("unsupported", "admin", True, True)


def test_a_host_that_said_nothing_is_not_judged_healthy() -> None:
    assert judged(Evidence(NOW * 1000, NOW * 1000, {})).verdict.name == "unsupported"
    assert judged(look(status={"host": "timeout"})).verdict.name == "unsupported"


def test_a_sick_host_is_told_code_place_time_and_repair() -> None:
    said = judged(look(), failed("scan", 0x80070002, 2, count=3)).verdict
    assert said.msg == (
        f"0x80070002 (ERROR_FILE_NOT_FOUND) in searches for updates, 3 times, last {minute(NOW - 7200)}. "
        "To do: reset the download cache and the update services."
    )
    assert (said.why, said.owner, said.findings) == ("0x80070002", None, ("0x80070002@search:microsoft",))


def test_a_clock_comes_before_the_server_that_does_not_answer() -> None:
    said = judged(look(WSUS_DOWN | OFF, controller_ms=7 * 3600_000)).verdict
    assert (said.name, said.repairs) == ("sick", ("timesync",))
    assert "To do: set the clock right" in said.msg


def test_repairs_come_in_order_and_the_cause_is_said_first() -> None:
    said = judged(look(OFF, controller_ms=7 * 3600_000), failed("scan", 0x80072F8F, 2), failed("download", 0x80246010, 2)).verdict
    assert said.repairs == ("timesync", "reset")
    assert said.msg.startswith("The clock is 7 h 0 min behind time.windows.com, more than 300 s; 0x80072F8F (")
    assert said.msg.endswith("To do: set the clock right from its own source, then reset the download cache and the update services.")


def test_the_server_that_does_not_answer_is_said_before_the_code() -> None:
    said = judged(look(WSUS_DOWN), failed("scan", 0x80072EE2, 2, service=WSUS)).verdict
    assert (said.name, said.owner, said.why) == ("needs_action", "wsus", "0x80072EE2")
    assert said.msg.startswith("The WSUS wsus.corp.example:8530 does not answer from this host; 0x80072EE2 (")
    assert "TCP 8530" in said.next_step


@pytest.mark.parametrize("condition", ["service_missing", "policy_incomplete"])
def test_some_causes_decide_whatever_code_stands_beside_them(condition: str) -> None:
    changes: dict[str, Any] = NEVER | {"policy.au": {"UseWUServer": 1}}
    if condition == "service_missing":
        rows = services()["services.services"]
        changes = NEVER | {"services.services": [{**row, "exists": row["name"] != "wuauserv"} for row in rows]}
    said = judged(look(changes), failed("install", 0x80070005, 30)).verdict
    assert (said.name, said.why) == ("needs_action", condition)


def test_an_update_is_called_by_its_name() -> None:
    said = judged(
        look(), failed("install", 0x80070005, 2, kb="KB5034441", title="2024-01 Security Update (KB5034441)", name="lab-component")
    ).verdict
    assert "of KB5034441 (lab-component)" in said.msg.replace("2024-01 Security Update (KB5034441)", "KB5034441")
    assert "None" not in said.msg


def test_a_failure_that_may_have_been_cured_asks_for_a_search() -> None:
    said = judged(look(), UNORDERED).verdict
    assert (said.name, said.search, said.owner) == ("unknown", True, None)
    assert "cannot be told" in said.msg


def test_the_user_is_told_what_to_do_to_see_more() -> None:
    said = judged(look(status={"cbs": "timeout"})).verdict
    assert "the component store (cbs timeout)" in said.msg
    assert "time_limit" in said.next_step


def test_what_was_repaired_and_not_tried_asks_for_a_search() -> None:
    young = look({"host.boot_time": NOW - 3600})
    said = judged(young, failed("scan", 0x80246008, 30), failed("scan", 0x80246008, 2)).verdict
    assert said.name in ("unproven", "needs_action", "restart_required")
    assert judged(young, failed("install", 0x80070BC9, 2)).verdict.search is False


def test_a_notice_is_said_and_changes_nothing() -> None:
    said = judged(look(controller_ms=2 * 3600_000)).verdict
    assert (said.name, said.next_step, said.findings) == ("healthy", "", ())
    assert "2 h 0 min" in said.msg


def test_a_failed_upgrade_of_a_client_may_be_tried_once() -> None:
    final = failed("upgrade", 0xC1900101, 20, marker="final", title="Windows 11, version 24H2")
    said = judged(look(), final).verdict
    assert (said.name, said.repairs, said.attempts) == ("needs_action", (), ("osupgrade",))
    assert judged(look({"upgrade.osupgrade": {"AllowOSUpgrade": 1}}), final).verdict.attempts == ()
    assert judged(look({"host.product_type": "server"}), final).verdict.attempts == ()


def test_every_verdict_is_something_to_ansible() -> None:
    assert set(verdict.OUTCOME.values()) == {"ok", "changed", "failed", "unreachable"}
    assert {name for name in verdict.OUTCOME if verdict.is_failure(name)} == {"unsupported", "failed", "unreachable"}
    assert set(verdict.RED) == {"unreachable", "unsupported", "failed", "unknown", "unresolved"}
    assert {name for name, kind in verdict.OUTCOME.items() if kind == "changed"} == {"repaired", "unresolved", "unproven"}


# --- logs alone ---


def test_logs_alone_are_judged_without_a_host() -> None:
    assert verdict.logs([LOST], SETTINGS, NOW).verdict.name == "sick"
    assert verdict.logs([LOST, worked("scan", 0.2)], SETTINGS, NOW).verdict.name == "healthy"
    assert verdict.logs([], SETTINGS, NOW).verdict.name == "unknown"
    assert verdict.logs([failed("scan", 0x80240024)], SETTINGS, NOW).verdict.name == "unknown"


# --- a repair ---


def test_a_search_failure_is_repaired_when_a_live_search_succeeds() -> None:
    result = repaired("reset", look(), [LOST], after=scan_section())
    assert (result.verdict.name, result.verdict.repairs) == ("repaired", ())
    assert result.verdict.msg == "Done: cache reset. Proved by a live search that found 2 updates."


def test_a_repaired_host_that_is_behind_is_told_so() -> None:
    section = scan_section(count=0)
    old = {
        "history": {"entries": []},
        "sources": {"services": [], "last_search": NOW + 20, "last_install": NOW - 60 * DAY, "endpoints": []},
    }
    result = repaired("reset", look({"sources.last_install": NOW - 60 * DAY, "history.entries": []}), [LOST], after=section | old)
    assert (result.after.verdict.name, result.verdict.name) == ("behind", "repaired")
    assert "No quality update" in result.verdict.msg


def test_without_a_search_a_reset_is_unproven() -> None:
    result = repaired("reset", look({"sources.last_search": NOW - DAY, "events.records": []}), [LOST])
    assert result.verdict.name == "unproven"
    assert "no live search was made" in result.verdict.msg


def test_a_search_that_the_host_made_since_proves_it_too() -> None:
    own = worked("scan", 0, time=NOW + 20, first=NOW + 20)
    event = {
        "provider": "Microsoft-Windows-WindowsUpdateClient",
        "id": 26,
        "time": NOW + 20,
        "record": 9,
        "data": {"updateCount": "0", "serviceGuid": f"{{{MICROSOFT}}}"},
    }
    result = repaired(
        "reset",
        look({"sources.last_search": NOW - DAY, "events.records": []}),
        [LOST],
        [own],
        after={"events": {"records": [event], "reach": []}},
    )
    assert (result.proof.status, result.verdict.name) == ("proved", "repaired")


def test_a_search_of_the_store_proves_nothing() -> None:
    store = worked("scan", 0, service="855e8a7c-ecb4-4ca3-b045-1dfa50104289", time=NOW + 20, first=NOW + 20)
    result = repaired("reset", look({"sources.last_search": NOW - DAY, "events.records": []}), [LOST], [store])
    assert result.verdict.name == "unproven"


@pytest.mark.parametrize("code", [None, -2146233087])
def test_a_search_that_the_agent_could_not_make_refutes_nothing(code: int | None) -> None:
    broken: dict[str, Any] = {"scan": {"result": None, "hresult": code, "count": None, "warnings": []}}
    result = repaired("reset", look({"sources.last_search": NOW - DAY, "events.records": []}), [LOST], after=broken)
    assert (result.proof.status, result.verdict.name) == ("unproven", "unproven")


def test_the_same_failure_in_a_live_search_is_unresolved_and_not_reset_again() -> None:
    result = repaired("reset", look(NEVER), [LOST], after=scan_section(0x80070002))
    assert (result.proof.status, result.verdict.name, result.verdict.repairs) == ("refuted", "unresolved", ())
    assert "0x80070002" in result.verdict.msg


def test_a_live_search_that_meets_the_network_proves_nothing_about_the_cache() -> None:
    result = repaired("reset", look(), [LOST, worked("scan", 1)], after=scan_section(0x80072EE2))
    assert (result.proof.status, result.verdict.name) == ("unproven", "unproven")


def test_an_installation_is_proved_by_an_installation_alone() -> None:
    broken = failed("install", 0x80070002, 0.5, update="aaaa", kb="KB5034441", title="2024-01 Update (KB5034441)")
    assert repaired("reset", look(), [broken], after=scan_section(count=1)).verdict.name == "unproven"


def test_a_clock_is_proved_by_its_own_source() -> None:
    result = repaired("timesync", look(OFF, controller_ms=7 * 3600_000))
    assert result.verdict.name == "repaired"
    assert "time.windows.com" in result.verdict.msg


def test_a_clock_that_stayed_wrong_is_unresolved() -> None:
    before = look(OFF, controller_ms=7 * 3600_000)
    stayed = {"clock": {**before.to_document()["sections"]["clock"]["data"], "start_ms": None}}
    result = repaired("timesync", before, after=stayed)
    assert (result.proof.status, result.verdict.name, result.verdict.repairs) == ("refuted", "unresolved", ("timesync",))


def test_tls_is_proved_by_a_search_and_not_by_the_clock() -> None:
    before = look(OFF | {"sources.last_search": NOW - DAY, "events.records": []}, controller_ms=7 * 3600_000)
    tls = [failed("scan", 0x80072F8F, 0.5)]
    assert repaired("timesync", before, tls).verdict.name == "unproven"
    assert repaired("timesync", before, tls, after=scan_section()).verdict.name == "repaired"


def test_a_restart_that_became_pending_comes_before_the_proof() -> None:
    pending = {"reboot": {"markers": ["wu_reboot_required"]}}
    assert repaired("reset", look(), [LOST], after=pending).verdict.name == "restart_required"
    assert repaired("reset", look(), [LOST], after=pending | scan_section()).verdict.name == "restart_required"


# --- the table after a change ---

GOOD = Proof(PROVED, "a live search")
AFTER = {name: verdict.Verdict(name, f"It is {name}.", "Do this.") for name in verdict.OUTCOME}


@pytest.mark.parametrize(
    ("name", "proof", "end"),
    [
        ("healthy", GOOD, "repaired"),
        ("behind", GOOD, "repaired"),
        ("healthy", Proof(UNPROVEN, None, "no search"), "unproven"),
        ("healthy", Proof(REFUTED, None, "it fails"), "unproven"),
        *((name, GOOD, "unproven") for name in ("busy", "stale", "unknown", "unproven")),
        *((name, GOOD, "unresolved") for name in ("sick", "needs_action", "restart_required")),
    ],
)
def test_a_proof_makes_no_verdict_better_than_the_look(name: str, proof: Proof, end: str) -> None:
    said = verdict.after_change(failed=None, changed=True, after=AFTER[name], after_strong_restart=False, proof=proof, what="cache reset")
    assert (said.name, said.msg.startswith("Done: cache reset.")) == (end, True)
    assert said.next_step or end == "repaired"


def test_what_failed_is_told_before_anything_else() -> None:
    said = verdict.after_change(
        failed="set_aside failed: in use", changed=True, after=AFTER["healthy"], after_strong_restart=True, proof=GOOD, what=""
    )
    assert (said.name, said.msg) == ("failed", "set_aside failed: in use")


def test_nothing_done_is_the_look_itself() -> None:
    said = verdict.after_change(failed=None, changed=False, after=AFTER["stale"], after_strong_restart=False, proof=GOOD, what="")
    assert said == AFTER["stale"]


# --- what went wrong ---


def _made() -> plan.Plan:
    before = look()
    return plan.build("reset", before, find(before, [LOST]), {}, RUN, SETTINGS)


def _differs(what: str, name: str | None, field: str, expected: object, found: object) -> dict[str, Any]:
    return {"differs": [{"what": what, "name": name, "field": field, "expected": expected, "found": found}]}


@pytest.mark.parametrize(
    ("reply", "name", "word"),
    [
        ({"failed": {"id": 1, "why": "did not stop", "code": None}, "changed": False}, "failed", "everything was undone"),
        (
            {
                "failed": {"id": 5, "why": "in use", "code": 32},
                "undone": [{"id": 1, "kind": "stop_service", "ok": False, "why": "hangs"}],
                "changed": True,
            },
            "failed",
            "could not be undone: stop UsoSvc (hangs)",
        ),
        ({"failed": {"id": 99, "why": "?", "code": None}, "changed": True}, "failed", "different from before"),
        ({"steps": [], "changed": True}, "failed", "did not account"),
        (_differs("servicing", None, "busy", False, True), "busy", "nothing was changed"),
        (_differs("reboot", None, "pending", False, True), "restart_required", "nothing was changed"),
        (_differs("service", "BITS", "start", 3, 4), "failed", "service BITS: start is 4, not 3"),
        ({"changed": "yes"}, "failed", "is not known"),
    ],
)
def test_a_plan_that_was_not_carried_out_is_no_repair(reply: dict[str, Any], name: str, word: str) -> None:
    made = _made()
    stopped = plan.stopped(made, outcome(made, **reply))
    assert stopped is not None
    assert (stopped.verdict, word in stopped.sentence) == (name, True)


def test_a_plan_that_was_carried_out_is_no_failure() -> None:
    made = _made()
    assert plan.stopped(made, outcome(made)) is None


# --- words ---


@pytest.mark.parametrize(("time", "text"), [(1795000000, "2026-11-18 11:06 UTC"), (1795000000 + 3600, "in the host's own future")])
def test_when_is_a_date(time: int, text: str) -> None:
    assert verdict.when(time, 1795000000) == text


@pytest.mark.parametrize(
    ("observations", "folder"),
    [([failed("scan", 0x80070422)], False), ([failed("scan", 0x80070422), failed("download", 0x80246010)], True)],
)
def test_the_next_step_of_a_disabled_service_promises_no_reset_of_a_folder(observations: list[Observation], folder: bool) -> None:
    """What fails because the service is disabled is mended with it."""
    said = judged(look(services(wuauserv=4)), *observations).verdict
    assert (said.name, said.repairs) == ("sick", ("reset",))
    assert ("cache" in said.next_step) is folder, said.next_step
    assert ("cache" in said.msg) is folder
    assert ("it will set the start type of wuauserv right." in said.next_step) is not folder


@pytest.mark.parametrize(("result", "words"), [(None, "failed"), (4, "failed"), (5, "was aborted")])
def test_a_live_search_that_failed_is_said_in_words(result: int | None, words: str) -> None:
    section = scan_section(0x80070002)
    section["scan"]["result"] = result
    (told,) = [item for item in judged(look(section)).findings if item.code == "0x80070002"]
    assert told.lines[-1] == f"a live search {words}"


def test_a_passing_failure_says_until_when_it_is_left_alone() -> None:
    said = judged(look(), failed("scan", 0x80072EE2, 30), failed("scan", 0x80072EE2, 1)).verdict
    assert (said.name, said.msg.count("It may pass by itself and is left alone until ")) == ("busy", 1)
    assert said.until is not None
    assert minute(said.until) in said.msg
    assert re.search(r"until \d{4}-\d\d-\d\d \d\d:\d\d UTC", said.msg)


@pytest.mark.parametrize("text", ["a\nb\x00c\u202ed", "word " * 200, "x" * 1000, ""])
def test_one_line(text: str) -> None:
    line = verdict.one_line(text)
    assert len(line) <= 300
    assert line.isprintable()
    assert line == line.strip()
    assert verdict.one_line(line) == line


def test_a_search_that_worked_lately_is_seen_in_the_events() -> None:
    assert judged(look({"sources.last_search": None, "events.records": [searched(5)]})).verdict.name == "healthy"


def test_what_comes_every_few_days_hides_no_update_of_the_month() -> None:
    title = "Security Intelligence Update for Microsoft Defender Antivirus - KB2267602 (Version 1.1)"
    defender = failed("install", 0x80070643, 2, kb="KB2267602", title=title, count=60, first=NOW - 20 * DAY)
    said = judged(look(), defender, failed("install", 0x800F0922, 30)).verdict
    assert (said.why, "KB5099002" in said.next_step) == ("0x800F0922", True)
    # There is no room for the second sentence, but for its name, and for how many there are beside it.
    assert (len(said.msg) <= 300, said.msg.endswith(" Also: 0x80070643 of KB2267602.")) == (True, True)
    codes = (0x800F0823, 0x80240020, 0x80070005, 0x800F0920, 0x80070641, 0x800B0109, 0x80070070)
    others = [failed("install", code, 3, kb=f"KB50990{code & 0xFF:02d}") for code in codes]
    crowded = judged(look(), defender, failed("install", 0x800F0922, 30), *others).verdict.msg
    assert (len(crowded) <= 300, re.search(r"\. Also: \d more\.$", crowded) is not None) == (True, True)
    assert judged(look(), defender).verdict.why == "0x80070643"


def test_the_failure_of_another_programs_search_is_not_kept_quiet() -> None:
    never = look({"events.records": [], "sources.last_search": None})
    said = judged(never, failed("scan", 0x8024402C, 5, service=None, caller="wuauclt")).verdict
    assert (said.name, "0x8024402C" in said.msg, "no failure" in said.msg) == ("stale", True, False)
    assert "no failure either" in judged(never).verdict.msg


def test_what_fails_beside_a_pending_restart_is_told() -> None:
    host = look({"reboot.markers": ["cbs_reboot_pending"]})
    result = judged(host, failed("install", 0x800F0922, 5)).verdict
    assert (result.name, result.why) == ("restart_required", "restart_pending")
    assert "Also: 0x800F0922 (CBS_E_INSTALLERS_FAILED) in installations of KB5099002" in result.msg


def test_what_a_refused_search_could_not_prove_says_how_to_search() -> None:
    refused = Proof(UNPROVEN, None, SEARCH_DENIED)
    for after in (AFTER["healthy"], AFTER["unproven"]):
        said = verdict.after_change(failed=None, changed=True, after=after, after_strong_restart=False, proof=refused, what="cache reset")
        assert (said.name, "wu_repair_become=true" in said.next_step) == ("unproven", True)
        assert said.msg.startswith("Done: cache reset. Not proved: Windows lets no remote logon search on this host.")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Package_for_RollupFix~31bf3856ad364e35~amd64~~26100.1742.1.10", "Package_for_RollupFix 26100.1742.1.10"),
        ("amd64_example-part_31bf3856ad364e35_10.0.14393.0_none_b49e21a1e4d6ebe1\\lab.dll, x.sys", "example-part\\lab.dll, x.sys"),
        ("NetFx3", "NetFx3"),
        ("amd64_lab", "amd64_lab"),
    ],
)
def test_a_sentence_calls_a_package_without_its_key_and_hash(name: str, words: str) -> None:
    """A name of 120 letters left no room for what was to be done."""
    assert called(name) == words
