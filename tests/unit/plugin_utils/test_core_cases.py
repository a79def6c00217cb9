# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hosts that the first release judged wrong: each with what is right."""

from __future__ import annotations

import copy
import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.winfleet.wu_repair.plugins import plugin_utils
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import evidence, logs, outcome, plan, situation, verdict
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.evidence import Evidence
from unit.plugin_utils import documents
from unit.plugin_utils.documents import (
    DAY,
    HOUR,
    NOW,
    RUN,
    SETTINGS,
    active,
    failed,
    find,
    folder,
    healthy,
    installed,
    look,
    reply,
    scan_section,
    searched,
    service,
    services,
    source,
    worked,
)
from unit.plugin_utils.judging import judged, repaired

LOST = failed("scan", 0x80070002, 0.5)
DAMAGED = failed("store", 0x80073712, 9)
CUMULATIVE = "2025-{} Cumulative Update for Windows 10 Version 22H2 for x64-based Systems (KB{})"
BEHIND_2H = {"clock.sources": [source(offset_ms=7_200_000)]}


def with_sections(host: Evidence, **data: Any) -> Evidence:
    """A look with the raw data of some sections as a host may send them: of any type."""
    document = host.to_document()
    for name, content in data.items():
        document["sections"][name] = {"status": "ok", "ms": 1, "why": None, "data": content}
    return evidence.parse(document)


# --- 1: no verdict is better than the one of the look after it ---


def test_a_repaired_service_beside_a_damaged_store_is_unresolved() -> None:
    result = repaired("reset", look(services(BITS=4)), [DAMAGED, failed("download", 0x80246008, 2)])
    assert (result.before.verdict.name, [step.kind for step in result.plan.steps]) == ("sick", ["set_start_type"])
    assert (result.verdict.name, result.verdict.owner) == ("unresolved", "admin")
    assert "0x80073712" in result.verdict.msg


def test_a_clock_that_was_set_beside_a_damaged_store_is_unresolved() -> None:
    result = repaired("timesync", look(BEHIND_2H, controller_ms=7_200_000), [DAMAGED])
    assert (result.before.verdict.name, result.proof.status) == ("sick", "proved")
    assert (result.verdict.name, "0x80073712" in result.verdict.msg) == ("unresolved", True)


def test_a_reset_that_nobody_needed_does_not_mend_a_damaged_store() -> None:
    result = repaired("reset", look(), [DAMAGED], after=scan_section(count=1), options={"force": True})
    assert (result.verdict.name, "DISM" in result.verdict.next_step) == ("unresolved", True)


def test_a_service_that_runs_again_while_the_search_fails_is_unresolved() -> None:
    stale = {"sources.last_search": NOW - 20 * DAY, "events.records": []}
    result = repaired("reset", look(services(wuauserv=4) | stale), after=scan_section(0x80070002))
    assert (result.before.verdict.name, result.verdict.name) == ("sick", "unresolved")
    assert "0x80070002" in result.verdict.msg


def test_a_search_that_ends_with_the_same_warning_is_unresolved() -> None:
    warned = {"scan": {"result": 3, "hresult": 0, "count": 0, "warnings": [-2147024894]}}
    result = repaired("reset", look(), [LOST], after=warned)
    assert (result.before.verdict.name, result.verdict.name) == ("sick", "unresolved")
    assert "0x80070002" in result.verdict.msg


# --- 2: what is over asks for nothing ---


def test_a_failure_of_the_previous_cumulative_update_is_history() -> None:
    older = failed("install", 0x80070002, 25 * 24, kb="KB5098001", title=CUMULATIVE.format("10", "5098001"))
    result = judged(look(), older)
    assert (result.verdict.name, active(result.findings)) == ("healthy", {})


def test_a_driver_that_failed_once_is_history() -> None:
    driver = failed("install", 0x8024200B, 25 * 24, update="aaaa", title="Intel - System - 10.1.1.42", kb=None)
    assert judged(look(), driver).verdict.name == "healthy"


@pytest.mark.parametrize(
    "code", [0x80070643, 0x800F0988, 0x80004005, 0x80070490, 0x80070103, 0x800F0922, 0x80070005, 0x8007000E, 0x80072EFE]
)
@pytest.mark.parametrize(
    "update",
    [
        {"kb": "KB5034441", "title": "2024-01 Security Update (KB5034441)"},
        {"update": "aaaa", "title": "Vendor - Printer - 1.0"},
        {"kb": "KB2267602"},
    ],
)
def test_one_failure_before_the_last_patch_day_is_at_most_a_notice(code: int, update: dict[str, str]) -> None:
    recent = look({"history.entries": [installed(2 * 24)]})
    result = judged(recent, failed("install", code, 20 * 24, **update))
    assert (result.verdict.name, result.verdict.repairs, active(result.findings)) == ("healthy", (), {})


def test_a_failure_that_recurs_is_no_history() -> None:
    again = [failed("install", 0x80070002, hours, kb="KB5034441", title="2024-01 Update (KB5034441)") for hours in (25 * 24, 20, 2)]
    assert judged(look(), *again).verdict.name == "sick"


# --- 3: who was not seen is not healthy ---


UNSEEN = ("events", "history", "cache", "cbs", "reporting", "upgrade", "clock", "policy", "disk")


@pytest.mark.parametrize("status", ["timeout", "denied", "failed"])
def test_a_host_of_which_only_the_last_search_is_known_is_unknown(status: str) -> None:
    result = judged(look(status=dict.fromkeys(UNSEEN, status)))
    assert result.verdict.name == "unknown"
    for question in ("installations", "the component store", "policies"):
        assert question in result.verdict.msg


def test_a_host_whose_services_could_not_be_read_is_unknown() -> None:
    result = judged(look(status={"services": "failed"}))
    assert (result.verdict.name, "services (services failed)" in result.verdict.msg) == ("unknown", True)


def test_a_host_that_said_only_what_it_is_is_unknown() -> None:
    host = look()
    bare = Evidence(host.asked_ms, host.answered_ms, {"host": host.sections["host"]})
    assert judged(bare).verdict.name == "unknown"


def test_a_failure_is_told_whatever_could_not_be_seen() -> None:
    assert judged(look(status={"cbs": "timeout", "services": "failed"}), failed("scan", 0x80072EE2)).verdict.name != "unknown"


def test_an_agent_that_is_refused_to_us_is_no_fault_while_events_answer() -> None:
    events = [
        searched(),
        {"provider": documents.WUC, "id": 19, "time": NOW - 9 * DAY, "record": 1, "data": {"updateTitle": "Update (KB5099001)"}},
    ]
    host = look({"events.records": events}, status={"history": "denied", "sources": "denied"})
    assert judged(host).verdict.name == "healthy"


# --- 4: what was done is told, whatever the rest of the reply is ---


def _made() -> plan.Plan:
    host = look()
    return plan.build("reset", host, find(host, [LOST]), {}, RUN, SETTINGS)


@pytest.mark.parametrize("value", [[1, 2], 1.5, {"a": 1}, None, True, "x" * 5000])
def test_a_difference_of_an_odd_type_is_read(value: object) -> None:
    row = {"what": "service", "name": "BITS", "field": "start", "expected": 3, "found": value}
    read = outcome.parse(reply(_made(), differs=[row], changed=False))
    assert (read.changed, read.unknown, len(read.differs)) == (False, None, 1)
    stopped = plan.stopped(_made(), read)
    assert stopped is not None
    assert (stopped.verdict, len(stopped.sentence) < 600) == ("failed", True)


def test_a_failure_of_no_step_is_read() -> None:
    read = outcome.parse(reply(_made(), failed={"id": None, "why": "A plan that forgot them", "code": None}))
    assert (read.changed, read.unknown) == (True, None)
    stopped = plan.stopped(_made(), read)
    assert stopped is not None
    assert "A plan that forgot them" in stopped.sentence


def test_a_reset_whose_look_after_it_holds_an_odd_value_stays_a_change() -> None:
    odd = {**healthy()["clock"], "max_pos": "54000"}
    result = repaired("reset", look(), [LOST], after=scan_section() | {"clock": odd})
    assert (result.after.verdict.name, result.verdict.name) == ("healthy", "repaired")
    assert outcome.parse(reply(_made())).changed


def test_a_repair_without_a_look_after_it_is_unproven() -> None:
    end = verdict.after_change(
        failed=None, changed=True, after=None, after_strong_restart=False, proof=repaired("reset", look(), [LOST]).proof, what="cache reset"
    )
    assert (end.name, "cache reset" in end.msg) == ("unproven", True)


# --- 7: an odd value spoils its own field ---


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("clock.max_pos", "54000"),
        ("clock.client_enabled", "1"),
        ("servicing.in_progress", "0"),
        ("policy.mdm_wins", "yes"),
        ("clock.type", 4),
        ("host.revision", "5000"),
        ("host.build", "19045.1"),
        ("services.services", [{**service("wuauserv"), "start": 5}, *(service(name) for name in ("BITS", "CryptSvc"))]),
        ("services.services", [{**service("BITS"), "start": "3"}]),
        (
            "cache.folders",
            [folder("SoftwareDistribution", backups=[f"SoftwareDistribution.wu_repair-20240101T000000Z-{n:06x}" for n in range(400)])],
        ),
        ("scan", {"result": 4, "hresult": -2147024894, "count": None, "warnings": [0] * 150}),
    ],
)
def test_a_value_of_another_type_does_not_hide_the_fault(path: str, value: object) -> None:
    result = judged(look({path: value}), LOST)
    assert (result.verdict.name, result.verdict.repairs) == ("sick", ("reset",))


@pytest.mark.parametrize("path", ["clock.max_pos", "servicing.in_progress", "host.revision"])
def test_a_section_with_an_odd_value_says_so(path: str) -> None:
    host = look({path: {"an": "object"}})
    section = host.sections[path.split(".", maxsplit=1)[0]]
    assert (section.status, path in (section.why or "")) == ("partial", True)


# --- 8: nothing that a host sends may end in a traceback ---


@pytest.mark.parametrize("date", ["20261399T999999Z", "00000000T000000Z", "99999999T999999Z", "20260230T120000Z"])
def test_a_folder_with_an_impossible_date_is_none_of_ours(date: str) -> None:
    name = f"SoftwareDistribution.wu_repair-{date}-abcdef"
    assert situation.backup_time(name) is None
    host = look({"cache.folders": [folder("SoftwareDistribution", backups=[name]), folder("catroot2")]})
    assert judged(host, LOST).verdict.repairs == ("reset",)


def nested(depth: int) -> Any:
    value: Any = {}
    for _level in range(depth):
        value = {"value": [value], "Count": 1}
    return value


def test_a_reply_that_is_nested_600_deep_is_refused_in_one_line() -> None:
    sections = {"host": {"data": nested(300)}, "cbs": nested(600)}
    reads: list[Callable[[], Evidence]] = [
        lambda: evidence.from_reply({"schema": 1, "op": "observe", "sections": sections}, 0, 0),
        lambda: evidence.parse({"schema": 1, "sections": sections}),
    ]
    for read in reads:
        with pytest.raises(evidence.EvidenceError) as error:
            read()
        assert "\n" not in str(error.value)


def test_a_reply_that_is_nested_600_deep_is_a_change_that_nobody_knows() -> None:
    read = outcome.parse({**reply(_made()), "steps": nested(600), "failed": nested(600)})
    assert read.changed
    assert plan.stopped(_made(), read) is not None


# --- 9: a reset that did not cure is not made again ---


BACKUP = "SoftwareDistribution.wu_repair-20251123T160000Z-1a2b3c"
RESET_AT = 1_763_913_600


def after_our_reset(**changes: Any) -> Evidence:
    folders = [folder("SoftwareDistribution", data_store_created=RESET_AT + 60, backups=[BACKUP]), folder("catroot2")]
    return look({"cache.folders": folders, **changes})


def test_an_installation_that_failed_before_and_after_our_reset_is_for_a_person() -> None:
    assert situation.backup_time(BACKUP) == situation.backup_time("SoftwareDistribution.wu-t66sg0b0") == RESET_AT
    tries = [failed("install", 0x80070002, time=RESET_AT + delta, first=RESET_AT + delta) for delta in (-2 * DAY, -DAY, 5 * HOUR)]
    result = judged(after_our_reset(), *tries, worked("scan", 6), worked("scan", 40))
    assert (result.verdict.name, result.verdict.repairs, result.verdict.owner) == ("needs_action", (), "admin")


def test_only_a_success_of_the_same_update_lets_the_reset_be_made_again() -> None:
    tries = [failed("install", 0x80070002, time=RESET_AT + delta, first=RESET_AT + delta) for delta in (-DAY, 5 * HOUR)]
    between = worked("install", 0, time=RESET_AT + HOUR, first=RESET_AT + HOUR)
    assert judged(after_our_reset(), *tries, between).verdict.repairs == ("reset",)
    other = worked("install", 0, time=RESET_AT + HOUR, first=RESET_AT + HOUR, kb="KB5077777", title="Other (KB5077777)")
    assert judged(after_our_reset(), *tries, other).verdict.repairs == ()


# --- 10: what is dated in the future overtakes nothing ---


def test_successes_of_the_future_do_not_hide_failed_searches() -> None:
    ahead = look({"sources.last_search": NOW + 60 * DAY, "events.records": [searched(-60 * 24)]})
    result = judged(ahead, *(failed("scan", 0x80070002, hours) for hours in (1, 2, 3, 4, 5)))
    assert (result.verdict.name, result.verdict.repairs) == ("sick", ("reset",))


def test_a_data_store_of_the_future_does_not_hide_failed_downloads() -> None:
    ahead = look({"cache.folders": [folder("SoftwareDistribution", data_store_created=NOW + 60 * DAY), folder("catroot2")]})
    result = judged(ahead, *(failed("download", 0x80246010, hours) for hours in (1, 30)))
    assert (result.verdict.name, result.verdict.repairs) == ("sick", ("reset",))


# --- 11: an old backup that stays is a warning ---


def test_a_backup_that_would_not_go_is_a_warning() -> None:
    host = look(
        {
            "cache.folders": [
                folder("SoftwareDistribution", backups=[f"SoftwareDistribution.wu_repair-2025010{n}T000000Z-abcdef" for n in (1, 2, 3)])
            ]
        }
    )
    made = plan.build("reset", host, find(host, [LOST]), {"keep_backups": 2}, RUN, SETTINGS)
    number = len(made.steps)
    assert made.steps[-1].kind == "prune_backups"
    said = reply(made, warnings=[{"id": number, "kind": "prune_backups", "why": "the path is too long"}])
    said["steps"][-1] |= {"status": "skipped", "changed": False, "why": "the path is too long"}
    read = outcome.parse(said)
    assert plan.stopped(made, read) is None
    assert ["too long" in text for text in plan.warnings(made, read)] == [True]


# --- 14: one answer without a signature moves no clock ---


@pytest.mark.parametrize("seconds", [-3600, 3600, -20 * 365 * DAY])
def test_a_time_source_that_is_wrong_alone_is_told_and_not_followed(seconds: int) -> None:
    result = judged(look({"clock.servers": ["ntp.corp.example,0x8"], "clock.sources": [source("ntp.corp.example", seconds * 1000)]}))
    assert (result.verdict.name, result.verdict.repairs) == ("healthy", ())
    assert "ntp.corp.example" in result.verdict.msg
    assert "controller agrees" in result.verdict.msg


@pytest.mark.parametrize("days", [1, 40, 3000])
def test_a_limit_is_lifted_where_source_and_controller_agree(days: int) -> None:
    off = look({"clock.sources": [source(offset_ms=days * DAY * 1000)]}, controller_ms=days * DAY * 1000)
    made = plan.build("timesync", off, find(off), {}, RUN, SETTINGS)
    (step,) = [step for step in made.steps if step.kind == "resync"]
    assert step.args["lift_limit"] is True


def test_no_limit_is_lifted_on_the_word_of_the_source_alone() -> None:
    alone = look({"clock.sources": [source(offset_ms=40 * DAY * 1000)]}, controller_ms=20 * DAY * 1000)
    assert judged(alone).verdict.name == "needs_action"
    assert not [
        step for step in plan.build("timesync", alone, find(alone), {}, RUN, SETTINGS).steps if step.kind in ("resync", "set_clock")
    ]


def test_a_tls_success_newer_than_the_fault_speaks_for_the_clock() -> None:
    silent = {"clock.sources": [source(offset_ms=None)]}
    file = failed("install", 0x80096004, 3)
    assert judged(look(silent), file, worked("scan", 1)).verdict.repairs == ("reset",)
    tls = failed("scan", 0x80072F8F, 3, service=None, caller="CcmExec")
    assert (
        "timesync"
        not in judged(
            look(silent | {"sources.last_search": None, "events.records": []}),
            tls,
            worked("scan", 2.9, service="7971f918-a847-4430-9279-4a52d1efe18d"),
        ).verdict.repairs
    )


def test_a_clock_that_nobody_vouches_for_after_the_repair_names_its_source() -> None:
    before = look(BEHIND_2H, controller_ms=7_200_000)
    silent = {"clock": {**healthy()["clock"], "sources": [source(offset_ms=None)]}}
    result = repaired("timesync", before, after=silent)
    assert (result.proof.status, result.proof.reason) == ("unproven", "its own time source did not answer")
    differs = {"clock": {**healthy()["clock"], "sources": [source(offset_ms=7_200_000)]}}
    wrong = repaired("timesync", before, after=differs)
    assert (wrong.proof.status == "proved", "did not answer" in str(wrong.proof.reason)) == (False, False)


# --- 15: a key that an installation left is no installation ---


def test_a_stale_installer_key_does_not_make_a_host_busy() -> None:
    key = {"servicing.installer_in_progress": True}
    assert judged(look(key), LOST).verdict.name == "sick"
    assert judged(look(key | {"servicing.processes": [{"name": "msiexec", "busy_ms": 300}]}), LOST).verdict.name == "busy"
    assert judged(look({"servicing.processes": ["msiexec"]}), LOST).verdict.name == "sick"


# --- 16: the history is newest first ---


def entry(result: int, time: int | None) -> dict[str, Any]:
    code = 0 if result == 2 else -2147024894
    return {**installed(title="Update (KB5099002)"), "result": result, "hresult": code, "time": time}


@pytest.mark.parametrize("time", [NOW - 2 * HOUR, None])
def test_of_one_second_the_first_entry_is_the_newest(time: int | None) -> None:
    newest_failed = judged(look({"history.entries": [entry(4, time), entry(2, time)]}))
    assert newest_failed.verdict.name == "sick"
    newest_worked = judged(look({"history.entries": [entry(2, time), entry(4, time)]}))
    assert (newest_worked.verdict.repairs, active(newest_worked.findings).get("0x80070002@update:KB5099002")) == ((), None)


# --- 19: nothing is kept for the tests alone ---


CORE = Path(str(plugin_utils.__path__[0]))
_USED_BY_NAME = {"main"}


def test_what_nobody_calls_is_gone() -> None:
    playbooks = CORE.parents[1] / "playbooks"
    texts = [path.read_text(encoding="utf-8") for path in (*CORE.parent.rglob("*.py"), *playbooks.rglob("*.py"))]
    words = [word for text in texts for word in re.findall(r"\w+", text)]
    unused = [
        f"{path.name}: {name}"
        for path in sorted(CORE.rglob("*.py"))
        for name in re.findall(r"^(?:def|class) ([A-Za-z]\w*)", path.read_text(encoding="utf-8"), re.M)
        if words.count(name) < 2
    ]
    assert unused == []


def test_a_section_that_nobody_writes_is_ignored() -> None:
    document = look().to_document()
    document["sections"]["runs"] = {"status": "ok", "ms": 1, "why": None, "data": {"runs": [1, 2]}}
    assert "runs" not in evidence.parse(document).sections
    assert not {"standing", "overtaken_by", "Record"} & set(logs.__all__)


# --- 23: what was put back that no step did ---


def test_an_effect_of_no_step_takes_back_no_step() -> None:
    made = _made()
    rows = [
        {"id": None, "kind": "start_service", "ok": True, "why": None},
        {"id": None, "kind": "start_service", "ok": True, "why": "it runs"},
    ]
    read = outcome.parse(reply(made, undone=rows))
    assert plan.backups(made, read) == plan.backups(made, outcome.parse(reply(made)))
    assert len(plan.backups(made, read)) == 1
    assert {item.id for item in read.undone} == {None}


def test_a_step_that_was_taken_back_is_not_told() -> None:
    made = _made()
    number = next(index for index, step in enumerate(made.steps, start=1) if step.kind == "set_aside")
    rows = [{"id": number, "kind": "set_aside", "ok": True, "why": None}]
    assert plan.backups(made, outcome.parse(reply(made, undone=rows))) == ()


# --- 24: one id, one finding ---


def test_two_pauses_of_one_name_are_two_findings() -> None:
    paused = {name: {"PauseQualityUpdatesStartTime": "2025-11-20"} for name in ("policy.wu", "policy.mdm")}
    ids = [item.id for item in find(look(paused)) if item.condition == "updates_paused"]
    assert (len(ids), len(set(ids))) == (2, 2)


# --- 25: a search that could not be made is no answer ---


OLD_SEARCH = {"sources.last_search": NOW - 20 * DAY, "events.records": [searched(20 * 24)]}


@pytest.mark.parametrize(("status", "way_out"), [("denied", "SYSTEM"), ("timeout", "scan_timeout"), ("failed", "update agent")])
def test_a_search_that_was_refused_leaves_the_host_unknown(status: str, way_out: str) -> None:
    result = judged(look(OLD_SEARCH, status={"scan": status}))
    assert (result.verdict.name, result.verdict.search) == ("unknown", False)
    assert way_out in result.verdict.next_step


def test_a_host_that_has_not_searched_is_stale_until_it_is_asked() -> None:
    result = judged(look(OLD_SEARCH))
    assert (result.verdict.name, result.verdict.search) == ("stale", True)


def test_a_search_that_failed_with_a_code_is_a_finding() -> None:
    result = judged(look(OLD_SEARCH | scan_section(0x80070002)))
    assert (result.verdict.name, result.verdict.why) == ("sick", "0x80070002")


# --- 26: one printable line ---


@pytest.mark.parametrize("rubbish", ["x" * 5000, "a\nb\x00c\x1b[31m\u202e", "\ud800", " \t "])
def test_whatever_failed_is_told_in_one_line(rubbish: str) -> None:
    end = verdict.after_change(
        failed=f"The agent broke: {rubbish}",
        changed=True,
        after=None,
        after_strong_restart=False,
        proof=repaired("reset", look(), [LOST]).proof,
        what="",
    )
    assert end.name == "failed"
    assert len(end.msg) <= 300
    assert end.msg.isprintable()
    assert end.msg.startswith("The agent broke:")


# --- lines that no test noticed ---


def test_a_search_of_the_future_is_no_search() -> None:
    ahead = {"sources.last_search": NOW + 60 * DAY, "events.records": [searched(20 * 24), searched(-60 * 24)]}
    assert judged(look(ahead)).verdict.name == "stale"


def test_a_download_of_the_update_is_no_installation_of_it() -> None:
    assert judged(look(), failed("install", 0x80070002, 30), failed("install", 0x80070002, 2), worked("download", 1)).verdict.name == "sick"


def test_the_bound_of_the_measurement_is_in_favour_of_the_host() -> None:
    silent = {"clock.sources": [source(offset_ms=None)]}
    quick = look(silent, controller_ms=320_000)
    assert judged(quick).verdict.name == "needs_action"
    slow = dataclasses.replace(quick, asked_ms=(quick.asked_ms or 0) - 30_000)
    assert situation.clock_of(slow, SETTINGS).state == "right"


def test_of_several_time_sources_the_one_in_the_middle_is_believed() -> None:
    servers = {"clock.servers": ["a.example,0x8", "b.example,0x8", "c.example,0x8"]}
    rows = [source("a.example", 9_000_000), source("b.example", 20), source("c.example", 10)]
    host = look(servers | {"clock.sources": rows})
    assert situation.clock_of(host, SETTINGS).own_ms == 20
    assert judged(host).verdict.name == "healthy"


def test_a_data_store_made_after_our_backup_dates_the_renewal() -> None:
    rows = [folder("SoftwareDistribution", data_store_created=RESET_AT + 9 * HOUR, backups=[BACKUP])]
    renewed = situation.of(look({"cache.folders": rows}), SETTINGS).renewed
    assert renewed["SoftwareDistribution"] == (RESET_AT + 9 * HOUR, "a data store that was made since")
    older = [folder("SoftwareDistribution", data_store_created=RESET_AT - 9 * HOUR, backups=[BACKUP])]
    assert situation.of(look({"cache.folders": older}), SETTINGS).renewed["SoftwareDistribution"] == (RESET_AT, "a reset since")


@pytest.mark.parametrize(
    "marker", ["computer_rename", "cbs_reboot_pending", "cbs_reboot_in_progress", "wu_reboot_required", "server_manager", "netlogon_join"]
)
def test_a_strong_marker_alone_is_a_pending_restart(marker: str) -> None:
    assert judged(look({"reboot.markers": [marker]})).verdict.name == "restart_required"


@pytest.mark.parametrize(("role", "repairs"), [(5, ()), (4, ("timesync",)), (1, ("timesync",)), (2, ())])
def test_the_first_domain_controller_has_nobody_above_it(role: int, repairs: tuple[str, ...]) -> None:
    silent = {"clock.sources": [source("ntp.example", None)], "clock.servers": ["ntp.example,0x8"], "host.domain_role": role}
    assert judged(look(silent, controller_ms=3_600_000)).verdict.repairs == repairs


@pytest.mark.parametrize("days", [40, 60_000])
def test_no_limit_is_no_limit(days: int) -> None:
    # As seconds the value would be a limit of 136 years.
    off = {"clock.sources": [source(offset_ms=days * DAY * 1000)], "clock.max_pos": 0xFFFFFFFF}
    host = look(off, controller_ms=days * DAY * 1000)
    (step,) = [step for step in plan.build("timesync", host, find(host), {}, RUN, SETTINGS).steps if step.kind == "resync"]
    assert step.args["lift_limit"] is False


def test_a_search_with_harmless_warnings_is_a_proof() -> None:
    warned = {"scan": {"result": 3, "hresult": 0, "count": 1, "warnings": [0x240010]}}
    result = repaired("reset", look(), [LOST], after=warned)
    assert (result.proof.status, result.verdict.name) == ("proved", "repaired")


def test_what_fails_the_task() -> None:
    assert {name: verdict.is_failure(name) for name in verdict.OUTCOME if verdict.is_failure(name)} == dict.fromkeys(
        ("unsupported", "failed", "unreachable"), True
    )


@pytest.mark.parametrize(
    ("result", "code", "name"), [(3, 0, "healthy"), (3, -2147024894, "sick"), (4, -2147024894, "sick"), (2, 0, "healthy")]
)
def test_an_installation_with_remarks_is_none_that_failed(result: int, code: int, name: str) -> None:
    row = {**installed(2), "result": result, "hresult": code}
    assert judged(look({"history.entries": [row]})).verdict.name == name


def test_a_warning_of_a_live_search_is_seen() -> None:
    warned = {"scan": {"result": 3, "hresult": 0, "count": 0, "warnings": [-2147024894]}}
    assert judged(look(warned)).verdict.repairs == ("reset",)
    fine = copy.deepcopy(warned)
    fine["scan"]["result"] = 2
    assert judged(look(fine)).verdict.name == "healthy"


# --- what a host folds ---

DEFENDER = "Security Intelligence Update for Microsoft Defender Antivirus - KB2267602 (Version 1.49.9.0) - Current Channel (Broad)"


def folded(title: str, hours_ago: float, count: int | None, first_hours_ago: float | None, code: int = -2145091563) -> dict[str, Any]:
    row = {**installed(hours_ago, title), "update_id": "6f1e2d3c-0a1b-4c5d-8e9f-000000000329", "result": 4, "hresult": code, "count": count}
    return row | {"first": None if first_hours_ago is None else NOW - int(first_hours_ago * HOUR)}


@pytest.mark.parametrize(
    ("count", "first", "counts"), [(None, None, False), (2, 100, False), (3, 60, False), (3, 80, True), (60, 480, True)]
)
def test_a_folded_row_is_as_many_tries_over_as_many_days(count: int | None, first: float | None, counts: bool) -> None:
    # Three tries over three days.
    host = look({"history.entries": [folded(DEFENDER, 5, count, first), installed()]})
    (item,) = [item for item in find(host) if item.kb == "KB2267602"]
    assert (item.notice, item.count) == (not counts, count or 1)
    data = {"errorCode": "0x80240016", "updateTitle": DEFENDER, "updateGuid": "{6f1e2d3c-0a1b-4c5d-8e9f-000000000329}"}
    event = {"provider": "Microsoft-Windows-WindowsUpdateClient", "id": 20, "time": NOW - 5 * HOUR, "record": 9, "data": data}
    began = folded("", 5, count, first)["first"]
    events = look({"events.records": [searched(), {**event, "count": count, "first": began}]})
    (item,) = [item for item in find(events) if item.kb == "KB2267602"]
    assert (item.notice, item.count) == (not counts, count or 1)


@pytest.mark.parametrize(("first", "verdict"), [(5.5, "busy"), (26, "needs_action")])
def test_a_folded_row_of_two_tries_20_hours_apart_does_not_pass_by_itself(first: float, verdict: str) -> None:
    failure = folded("Update (KB5099002)", 5, 2, first, code=0x80072EE2 - (1 << 32))
    assert judged(look({"history.entries": [failure, installed()]})).verdict.name == verdict


# --- the update agent itself ---


def spoiled(name: str, why: str, status: str = "failed", scan: dict[str, Any] | None = None) -> Evidence:
    document = look(scan).to_document()
    document["sections"].setdefault(name, {"ms": 1, "data": None})
    document["sections"][name] |= {"status": status, "why": why}
    if status != "partial":
        document["sections"][name]["data"] = None
    return evidence.parse(document)


@pytest.mark.parametrize(("name", "status"), [("history", "failed"), ("sources", "failed"), ("sources", "partial")])
@pytest.mark.parametrize("code", ["0x80070002", "0x80070003", "0x80040154"])
def test_an_update_agent_that_fails_with_a_code_is_a_finding(name: str, status: str, code: str) -> None:
    host = spoiled(name, f"Retrieving the COM class factory failed ({code})", status)
    (item,) = [item for item in find(host) if item.code == code]
    assert (item.layer, item.active, "asked for its" in item.lines[0]) == ("scan", True, True)
    assert judged(host).verdict.name in ("sick", "needs_action", "restart_required", "busy")
    # A live search that goes well has the last word.
    assert [item for item in find(spoiled(name, f"x ({code})", status, scan_section())) if item.active and item.code] == []


@pytest.mark.parametrize("why", ["Access is denied. (0x80070005)", "no code", "an exception of .NET (0x80131500)"])
def test_an_agent_that_does_not_answer_this_logon_is_no_finding(why: str) -> None:
    assert active(find(spoiled("sources", why, "partial"))) == {}


@pytest.mark.parametrize(("status", "step"), [("denied", "become_method runas"), ("timeout", "scan_timeout"), ("failed", "update agent")])
def test_a_search_that_was_asked_for_and_refused_gives_no_clean_bill(status: str, step: str) -> None:
    verdict = judged(spoiled("scan", "no", status)).verdict
    assert (verdict.name, step in verdict.msg, step in verdict.next_step) == ("unknown", True, True)
    assert judged(look()).verdict.name == "healthy"
    assert judged(look(scan_section())).verdict.name == "healthy"
