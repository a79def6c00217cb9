# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The verdict says what must come first, and calls nothing repaired that was not proved."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import evidence, findings, plan, rungs, verdict
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.evidence import Evidence
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.logs import Record
from unit.plugin_utils.documents import (
    DAY,
    NOW,
    RUN,
    SETTINGS,
    carried_out,
    failed,
    find,
    look,
    outcome,
    scan_section,
    scanned,
    services,
    source,
    worked,
)

OFF = {"clock.sources": [source(offset_ms=7 * 3600_000)]}
LOST = failed("scan", 0x80070002, 0.5)
WSUS_DOWN = {"sources.endpoints": [{"role": "wsus", "host": "wsus", "port": 8530, "ok": False, "ms": 9, "error": None}]}


def judged(host: Evidence, *records: Record) -> verdict.Verdict:
    return verdict.judge(find(host, records), host)


# --- a look ---


@pytest.mark.parametrize(
    ("changes", "records", "name", "asks"),
    [
        ({}, [], "healthy", ()),
        ({}, [LOST], "sick", ("reset",)),
        ({"servicing.in_progress": 2}, [LOST], "busy", ("reset",)),
        ({"reboot.markers": ["wu_reboot_required"]}, [LOST], "restart_required", ("reset",)),
        ({"servicing.in_progress": 2, "reboot.markers": ["wu_reboot_required"]}, [], "busy", ()),
        ({}, [failed("scan", 0x80072EE2)], "not_this_host", ()),
        (OFF | WSUS_DOWN, [], "sick", ("timesync",)),
        (services(wuauserv=4) | {"disk.free": 0}, [], "sick", ("reset",)),
        ({"disk.free": 0}, [failed("install", 0x80070020)], "not_this_host", ()),
        ({}, [failed("install", 0x80070020)], "busy", ()),
        ({"sources.last_search": None, "sources.last_install": None}, [], "stale", ()),
        ({"disk.free": 0, "sources.last_search": None, "sources.last_install": None}, [], "not_this_host", ()),
        ({"host.elevated": False}, [LOST], "unsupported", ()),
        ({}, [failed("store", 0x80073712)], "sick", ("troubleshoot",)),
        ({}, [failed("install", 0x80242014), LOST], "restart_required", ("reset",)),
        ({}, [failed("install", 0x8024200B), LOST], "sick", ("reset",)),
        ({"disk.free": 0}, [failed("install", 0x8024200B)], "restart_required", ()),
    ],
)
def test_what_must_come_first_wins(
    changes: dict[str, Any], records: list[Record], name: str, asks: tuple[str, ...]
) -> None:
    result = judged(look(changes), *records)
    assert (result.name, result.asks) == (name, asks)
    assert result.sentence.endswith(".")
    assert "\n" not in result.sentence


def test_the_sentence_of_a_sick_host_names_code_place_time_and_rung() -> None:
    text = judged(look(), failed("scan", 0x80070002, 2, count=3)).sentence
    assert text == (
        "0x80070002 (ERROR_FILE_NOT_FOUND) in searches for updates, 3 times, last 2 hours ago: "
        "the rung reset can repair it."
    )


def test_the_sentence_of_a_mix_names_the_rest() -> None:
    text = judged(look(OFF | WSUS_DOWN, controller_ms=7 * 3600_000)).sentence
    assert "7 h 0 min behind time.windows.com" in text
    assert "WSUS" in text


def test_the_cause_is_said_beside_the_failure() -> None:
    text = judged(look(OFF, controller_ms=7 * 3600_000), failed("scan", 0x80072F8F, 2)).sentence
    assert text.startswith("The clock is 7 h 0 min behind time.windows.com, more than 300 s; 0x80072F8F (")


def test_a_controller_whose_clock_is_wrong_makes_no_host_sick() -> None:
    result = judged(look(controller_ms=2 * 3600_000))
    assert (result.name, result.findings, result.owners) == ("healthy", ("clock_disagrees",), ())
    assert "2 h 0 min" in result.sentence
    silent = {"clock.sources": [source(offset_ms=None)]}
    assert judged(look(silent, controller_ms=2 * 3600_000)).name == "not_this_host"


def test_a_host_that_said_nothing_is_not_judged_healthy() -> None:
    assert verdict.judge([], Evidence(NOW * 1000, NOW * 1000, {})).name == "unsupported"


def test_every_verdict_is_something_to_ansible() -> None:
    assert set(verdict.TABLE.values()) == {"ok", "changed", "failed"}
    assert verdict.is_failure("failed")
    assert not verdict.is_failure("unresolved")


def test_logs_alone_are_judged_without_a_host() -> None:
    found = findings.from_records([LOST], SETTINGS, NOW)
    assert verdict.judge(found, None).name == "sick"
    assert verdict.judge([], None).name == "healthy"


# --- a repair ---


def repair(
    rung: str,
    before: Evidence,
    records: list[Record],
    *,
    scan: dict[str, Any] | None = None,
    after_records: list[Record] | None = None,
    options: dict[str, Any] | None = None,
    reply: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> verdict.Verdict:
    found = find(before, records)
    made = plan.build(rung, before, found, options or {}, RUN, SETTINGS)
    assert made.changes
    seen = carried_out(before, made, {**(scan or {}), **(after or {})})
    later = [*records, *(after_records if after_records is not None else evidence.records(seen))]
    return verdict.judge_repair(made, outcome(made, **(reply or {})), before, seen, found, find(seen, later))


def test_a_search_failure_is_repaired_when_a_live_search_succeeds() -> None:
    result = repair("reset", look(), [LOST], scan=scan_section())
    assert (result.name, result.asks, result.changed) == ("repaired", (), True)
    assert result.sentence == "Repaired by reset, proved by a live search that found 2 updates."
    assert result.ansible == "changed"


def test_without_a_search_a_reset_is_unproven() -> None:
    result = repair("reset", look({"sources.last_search": NOW - DAY}), [LOST])
    assert (result.name, result.changed) == ("unproven", True)
    assert "no live search was made" in result.sentence


def test_a_search_logged_since_proves_it_too() -> None:
    after = {"sources": {"services": [], "last_search": NOW + 20, "last_install": None, "endpoints": []}}
    result = repair("reset", look({"sources.last_search": NOW - DAY}), [LOST], after=after)
    assert result.name == "repaired"


def test_a_search_that_may_not_be_made_names_the_way() -> None:
    before = look()
    made = plan.build("reset", before, find(before, [LOST]), {}, RUN, SETTINGS)
    seen = carried_out(before, made)
    seen.sections["scan"] = evidence.Section("denied", 1, "access denied", {})  # type: ignore[index]
    result = verdict.judge_repair(made, outcome(made), before, seen, find(before, [LOST]), find(seen, [LOST]))
    assert (result.name, "SYSTEM" in result.sentence) == ("unproven", True)


def test_a_search_that_the_agent_could_not_make_refutes_nothing() -> None:
    for code in (0, -2146233087):
        broken = {"scan": {"result": None, "hresult": code, "count": None, "seconds": 0, "warnings": []}}
        result = repair(
            "reset", look(), [LOST], scan=broken, after_records=[scanned(code & 0xFFFFFFFF)] if code else []
        )
        assert (result.name, "could not be carried out" in result.sentence) == ("unproven", True)


def test_the_same_failure_in_a_live_search_refutes_the_reset_and_climbs_on() -> None:
    before = look({"sources.last_search": NOW - 20 * DAY, "sources.last_install": None})
    result = repair(
        "reset", before, [LOST], scan=scan_section(0x80070002), after_records=[scanned(0x80070002, NOW + 30)]
    )
    assert (result.name, result.asks) == ("unresolved", ("troubleshoot",))
    assert "0x80070002" in result.sentence


def test_a_live_search_that_meets_the_network_proves_nothing_about_the_cache() -> None:
    result = repair("reset", look(), [LOST], scan=scan_section(0x80072EE2), after_records=[scanned(0x80072EE2)])
    assert (result.name, result.owners) == ("unproven", ("admin",))


def test_an_installation_is_proved_by_an_installation_alone() -> None:
    broken = failed("install", 0x80070002, 0.5, update="aaaa")
    assert repair("reset", look(), [broken], scan=scan_section()).name == "unproven"
    done = [scanned(), worked("install", 0, update="aaaa", time=NOW + 20)]
    assert repair("reset", look(), [broken], scan=scan_section(), after_records=done).name == "repaired"


def test_the_same_code_in_searches_and_installations_is_proved_by_a_search() -> None:
    both = [LOST, failed("install", 0x80070002, 9, update="aaaa")]
    assert repair("reset", look(), both, scan=scan_section()).name == "repaired"


def test_start_types_are_proved_by_reading_them_again() -> None:
    result = repair("reset", look(services(wuauserv=4)), [])
    assert (result.name, result.proof) == ("repaired", rungs.Proof("proved", "the start types, read again"))


def test_a_clock_is_proved_by_its_own_source() -> None:
    before = look(OFF, controller_ms=7 * 3600_000)
    result = repair("timesync", before, [])
    assert result.name == "repaired"
    assert "time.windows.com" in result.sentence


def test_a_clock_that_stayed_wrong_is_unresolved() -> None:
    before = look(OFF, controller_ms=7 * 3600_000)
    stayed = {"clock": dict(before.data("clock"))}
    result = repair("timesync", before, [], after=stayed)
    assert (result.name, result.asks) == ("unresolved", ("timesync",))


def test_tls_is_proved_by_a_search_and_not_by_the_clock() -> None:
    before = look(OFF, controller_ms=7 * 3600_000)
    tls = [failed("scan", 0x80072F8F, 0.5)]
    assert repair("timesync", before, tls).name == "unproven"
    assert repair("timesync", before, tls, scan=scan_section()).name == "repaired"


def test_a_registry_value_for_an_upgrade_is_never_proof_of_one() -> None:
    assert repair("osupgrade", look(), [failed("upgrade", 0xC1900101)]).name == "unproven"
    assert repair("osupgrade", look(), []).name == "repaired"


def test_what_other_rungs_must_do_is_said() -> None:
    store = failed("store", 0x80073712, 9)
    result = repair("reset", look(), [LOST, store], scan=scan_section())
    assert (result.name, result.asks) == ("repaired", ("troubleshoot",))
    assert "Still asked for: troubleshoot." in result.sentence


def test_a_restart_that_became_pending_is_said_when_nothing_is_proved() -> None:
    pending = {"reboot": {"markers": ["wu_reboot_required"], "file_renames": 0}}
    assert repair("reset", look(), [LOST], after=pending).name == "restart_required"
    assert repair("reset", look(), [LOST], after=pending, scan=scan_section()).name == "repaired"


# --- what went wrong ---


def _made() -> tuple[plan.Plan, Evidence, list[findings.Finding]]:
    before = look()
    found = find(before, [LOST])
    return plan.build("reset", before, found, {}, RUN, SETTINGS), before, found


@pytest.mark.parametrize(
    ("reply", "name", "word", "changed"),
    [
        (
            {"failed": {"id": 1, "why": "did not stop", "code": None}, "changed": False},
            "failed",
            "everything was undone",
            False,
        ),
        (
            {
                "failed": {"id": 5, "why": "in use", "code": 32},
                "undone": [{"id": 1, "kind": "stop_service", "ok": False, "why": "hangs"}],
                "changed": True,
            },
            "failed",
            "could not be undone: stop_service (hangs)",
            True,
        ),
        ({"failed": {"id": 99, "why": "?", "code": None}, "changed": True}, "failed", "different from before", True),
        ({"steps": [], "changed": True}, "failed", "did not account", True),
        (
            {"differs": [{"what": "servicing", "name": None, "field": "busy", "expected": False, "found": True}]},
            "busy",
            "nothing was changed",
            False,
        ),
        (
            {"differs": [{"what": "reboot", "name": None, "field": "pending", "expected": False, "found": True}]},
            "restart_required",
            "nothing was changed",
            False,
        ),
        (
            {"differs": [{"what": "service", "name": "BITS", "field": "start", "expected": 3, "found": 4}]},
            "failed",
            "service BITS: start is 4, not 3",
            False,
        ),
    ],
)
def test_a_plan_that_was_not_carried_out_is_no_repair(
    reply: dict[str, Any], name: str, word: str, changed: bool
) -> None:
    made, before, found = _made()
    result = verdict.judge_repair(made, outcome(made, **reply), before, before, found, found)
    assert (result.name, result.changed) == (name, changed)
    assert word in result.sentence


def test_a_refusal_keeps_its_verdict() -> None:
    busy = look({"servicing.in_progress": 2})
    found = find(busy, [LOST])
    made = plan.build("reset", busy, found, {}, RUN, SETTINGS)
    result = verdict.judge_repair(made, None, busy, None, found, None)
    assert (result.name, result.asks) == ("busy", ("reset",))


def test_nothing_to_do_is_the_verdict_of_the_look() -> None:
    host = look()
    made = plan.build("reset", host, [], {}, RUN, SETTINGS)
    assert verdict.judge_repair(made, None, host, None, [], None).name == "healthy"


def test_a_repair_without_an_after_look_is_unproven() -> None:
    made, before, found = _made()
    assert verdict.judge_repair(made, outcome(made), before, None, found, None).name == "unproven"


def test_check_mode_says_what_would_be_done() -> None:
    made, before, found = _made()
    result = verdict.judge_repair(made, None, before, None, found, None)
    assert (result.name, "set aside" in result.sentence) == ("sick", True)
