# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a single changed line of the core would break on a real host, told by no other test."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import (
    case,
    coverage,
    evidence,
    plan,
    repairs,
    seen,
    situation,
    states,
    subjects,
    verdict,
)
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils._action_change import ChangeAction
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils._action_look import Scene
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils._agent import AgentError
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.fields import CUT
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.situation import Settings, Situation
from unit.plugin_utils.documents import (
    BY_WSUS,
    DAY,
    FLIGHTING,
    MICROSOFT,
    NOW,
    RUN,
    SETTINGS,
    WSUS,
    active,
    failed,
    find,
    folder,
    healthy,
    installed,
    look,
    searched,
    service,
    services,
    source,
    worked,
)
from unit.plugin_utils.judging import judged, repaired

LOST = failed("scan", 0x80070002, 0.5)
CLOCK_OFF = {"clock.sources": [source(offset_ms=7_200_000)]}
CUMULATIVE = "2025-11 Cumulative Update for Windows 11 Version 24H2 for x64-based Systems (KB5099009) ({})"


def ids(found: list[Any]) -> set[str]:
    return {item.id for item in found}


def service_row(name: str, **changes: Any) -> dict[str, Any]:
    rows = [{**service(row), **(changes if row == name else {})} for row in ("wuauserv", "BITS", "CryptSvc", "UsoSvc", "TrustedInstaller")]
    return {"services.services": rows}


# --- observations and subjects ---


def test_an_uninstallation_is_none_of_our_business() -> None:
    removed = {**installed(5), "operation": 2, "result": 4, "hresult": -2147024894}
    host = look({"history.entries": [removed, installed(9)]})
    assert [one.outcome for one in seen.observations(host) if one.source == "history"] == ["ok"]


def test_a_failed_removal_is_no_failed_installation() -> None:
    removal = failed("install", 0x800F0825, 1, marker="uninstall_failed", kb="KB5099001")
    assert subjects.of(removal, Situation(host=True)) is None


@pytest.mark.parametrize(
    ("subject", "is_quality"),
    [
        ("update:os", True),
        ("update:KB5034441", True),
        ("upgrade:24H2", True),
        ("update:KB2267602", False),
        ("driver:a", False),
        ("update:dotnet", False),
    ],
)
def test_definitions_and_drivers_are_no_quality_updates(subject: str, is_quality: bool) -> None:
    assert subjects.is_quality(subject) is is_quality


def test_a_service_that_updates_do_not_need_is_no_subject_of_a_host() -> None:
    spooler = failed("service", marker="service_failed", name="Spooler")
    assert subjects.of(spooler, Situation(host=True)) is None
    assert subjects.of(spooler, Situation()) == "service:Spooler"


def test_flighting_proves_nothing_about_windows_update() -> None:
    known = states.of([failed("scan", 0x80072EE2, 5), worked("scan", 1, service=FLIGHTING)], Situation(now=NOW, host=True))
    assert known.get("search:microsoft").alive


# --- states ---


def test_a_search_does_not_end_a_failure_of_the_time_service() -> None:
    fault = failed("service", 0x80070422, 5, name="W32Time")
    known = states.of([fault, worked("scan", 1)], Situation(now=NOW, host=True))
    assert known.get("service:W32Time").alive
    other = dataclasses.replace(fault, name="BITS")
    assert not states.of([other, worked("scan", 1)], Situation(now=NOW, host=True)).get("service:BITS").alive


def test_one_failure_in_two_logs_is_one_failure() -> None:
    twice = [failed("install", 0x80070002, 5, source="history", count=2), failed("install", 0x80070002, 5, source="reporting", count=3)]
    (state,) = states.of(twice, Situation(now=NOW, host=True)).alive()
    assert state.tries == 3


@pytest.mark.parametrize(("build", "is_alive"), [(26100, False), (22631, True)])
def test_only_a_revision_of_the_same_build_holds_the_update(build: int, is_alive: bool) -> None:
    older = failed("install", 0x80070002, 5, title=CUMULATIVE.format("26100.6899"), kb="KB5099009")
    host = Situation(now=NOW, host=True, build=build, revision=7000)
    assert states.of([older], host).get("update:os").alive is is_alive


def test_a_list_that_was_cut_does_not_tell_what_is_not_offered() -> None:
    broken = failed("install", 0x80070002, 30, kb="KB5034441", title="Security Update (KB5034441)")
    for found, is_alive in ((1, False), (40, True)):
        search = worked("scan", 1, source="scan", found=found, offered=(("a", "KB5099001"),))
        assert states.of([broken, search], Situation(now=NOW, host=True)).get("update:KB5034441").alive is is_alive


def test_what_is_deferred_is_not_offered_and_not_done() -> None:
    broken = failed("install", 0x80070002, 30, kb="KB5034441", title="Security Update (KB5034441)")
    search = worked("scan", 1, source="scan", found=0, offered=())
    assert states.of([broken, search], Situation(now=NOW, host=True, held_back=True)).get("update:KB5034441").alive
    assert situation.of(look({"policy.wu": {"DeferQualityUpdatesPeriodInDays": 7}}), SETTINGS).held_back


# --- findings ---


def test_three_failures_of_one_evening_are_no_fault_of_a_driver() -> None:
    driver = {"title": "Vendor - Printer - 1.0", "update": "aaaa", "kb": None}
    evening = [failed("install", 0x8024200B, hours, **driver) for hours in (1, 2, 3)]
    assert active(find(look(), evening)) == {}
    assert active(find(look(), [failed("install", 0x8024200B, hours, **driver) for hours in (1, 40, 90)])) != {}


def test_a_success_of_the_future_does_not_make_a_lasting_failure_pass() -> None:
    ahead = {"sources.last_search": NOW + 9 * DAY, "events.records": [searched(90)]}
    failures = [failed("scan", 0x80244022, hours) for hours in (1, 20, 40, 60)]
    assert judged(look(BY_WSUS | ahead), *failures, worked("scan", -9 * 24)).verdict.name == "needs_action"


def silent_clock(changes: dict[str, Any]) -> evidence.Evidence:
    """A host whose time source is silent, compared with nobody's clock."""
    return dataclasses.replace(look({"clock.sources": [source(offset_ms=None)], "sources.last_search": None} | changes), asked_ms=None)


@pytest.mark.parametrize(
    ("changes", "is_cleared"),
    [
        ({"events.records": [searched(0.2)]}, True),
        # WSUS mostly speaks plain HTTP, and the agent's date does not say to whom it spoke.
        ({"events.records": [searched(0.2, service=WSUS)]}, False),
        ({"events.records": [], "sources.last_search": NOW - 600}, False),
    ],
)
def test_only_tls_speaks_for_the_clock(changes: dict[str, Any], is_cleared: bool) -> None:
    signature = failed("install", 0x80072F8F, 1, kb="KB5099002")
    (item,) = [item for item in find(silent_clock(changes), [signature]) if item.code == "0x80072F8F"]
    assert ("time.windows.com" not in item.next_step) is is_cleared


def test_a_wsus_that_nobody_searches_is_not_blamed() -> None:
    down = [failed("scan", 0x80244022, hours) for hours in (1, 30, 60)]
    host = look(BY_WSUS | {"events.records": [], "sources.last_search": None})
    assert judged(host, *down).verdict.owner != "wsus"
    assert judged(host, *(dataclasses.replace(one, service=WSUS) for one in down)).verdict.owner == "wsus"


def test_a_damaged_store_explains_a_failed_installation() -> None:
    broken = [failed("install", 0x80070002, 5), failed("store", 0x80073712, 20)]
    assert judged(look(), *broken).verdict.repairs == ()
    assert judged(look(), broken[0]).verdict.repairs == ("reset",)


def test_what_was_done_a_month_ago_leaves_nothing_untested() -> None:
    for days, name in ((1, "untested"), (20, "failing")):
        young = {"cache.folders": [folder("SoftwareDistribution", data_store_created=NOW - days * DAY), folder("catroot2")]}
        found = find(look(young), [failed("download", 0x80246010, hours) for hours in ((days + 1) * 24, (days + 2) * 24)])
        assert [item.state for item in found if item.code == "0x80246010"] == [name]


# --- conditions ---


def test_an_installer_that_merely_runs_makes_no_host_busy() -> None:
    assert active(find(look({"servicing.processes": [{"name": "msiexec", "busy_ms": 0}]}))) == {}
    busy = look({"servicing.processes": [{"name": "msiexec", "busy_ms": 300}], "servicing.installer_in_progress": True})
    assert active(find(busy)) == {"servicing_at_work": "wait servicing"}


@pytest.mark.parametrize(
    ("changes", "is_told"),
    [
        ({}, True),
        ({"host.boot_time": NOW - 300}, False),
        ({"servicing.in_progress": 1}, False),
        ({"trigger": True}, False),
    ],
)
def test_a_service_that_should_run_and_does_not(changes: dict[str, Any], is_told: bool) -> None:
    row = {"state": "stopped"} | {name: value for name, value in changes.items() if name == "trigger"}
    host = look(service_row("UsoSvc", **row) | {name: value for name, value in changes.items() if name != "trigger"})
    assert ("service_stopped:UsoSvc" in active(find(host))) is is_told


def test_a_host_that_another_product_patches_keeps_its_service_disabled() -> None:
    policy = {"policy.au": {"NoAutoUpdate": 1}, "events.records": [], "sources.last_search": NOW - 60 * DAY}
    found = active(find(look(services(wuauserv=4) | policy), [failed("scan", 0x80070422)]))
    assert found["service_disabled:wuauserv"] == "owner policy"


def test_one_connection_that_failed_beside_good_searches_is_a_notice() -> None:
    point = {"role": "wsus", "host": "wsus.corp.example", "port": 8530, "ok": False, "error": "timed out"}
    good = look(BY_WSUS | {"sources.endpoints": [point], "events.records": [searched(5, service=WSUS)]})
    assert active(find(good)) == {}
    silent = look(BY_WSUS | {"sources.endpoints": [point], "events.records": [], "sources.last_search": NOW - 5 * DAY})
    assert active(find(silent)) == {"unreachable:wsus:wsus.corp.example:8530": "owner wsus"}


def test_a_wsus_that_no_policy_puts_to_use_is_not_blamed() -> None:
    point = {"role": "wsus", "host": "old.corp.example", "port": 8530, "ok": False, "error": None}
    assert ids(find(look({"sources.endpoints": [point], "sources.last_search": NOW - 5 * DAY, "events.records": []}))) == set()


@pytest.mark.parametrize(
    ("path", "is_told"),
    [
        ("%systemroot%\\system32\\wuaueng.dll", False),
        ("C:\\WINDOWS\\System32\\wuaueng.dll", False),
        ("C:\\ProgramData\\x\\wuaueng.dll", True),
        ("%systemroot%\\system32\\wuaueng.dll_BAK", True),
    ],
)
def test_the_program_of_a_service_is_the_one_in_system32(path: str, is_told: bool) -> None:
    assert ("service_program:wuauserv" in ids(find(look(service_row("wuauserv", service_dll=path))))) is is_told


@pytest.mark.parametrize(("day", "is_paused"), [("2025-11-01", True), ("2025-09-01", False)])
def test_a_pause_by_policy_ends_after_35_days(day: str, is_paused: bool) -> None:
    found = ids(find(look({"policy.wu": {"PauseQualityUpdatesStartTime": day}})))
    assert any(name.startswith("updates_paused") for name in found) is is_paused


# --- absence and coverage ---


OLD = {"history.entries": [installed(60 * 24)], "sources.last_install": NOW - 60 * DAY}


def test_deferred_updates_are_expected_later() -> None:
    assert "behind" in ids(find(look(OLD)))
    assert "behind" not in ids(find(look(OLD | {"policy.wu": {"DeferQualityUpdatesPeriodInDays": 30}})))


def test_nothing_is_missed_where_no_source_reaches_back() -> None:
    young = {
        "history.entries": [],
        "sources.last_install": None,
        "cache.folders": [folder("SoftwareDistribution", data_store_created=NOW - 9 * DAY)],
        "events.reach": [{"channel": "System", "oldest": NOW - 9 * DAY, "complete": True}],
    }
    assert "behind" not in ids(find(look(young)))
    for complete in (True, False):
        reach = [{"channel": "System", "oldest": NOW - 90 * DAY, "complete": complete}]
        assert ("behind" in ids(find(look(young | {"events.reach": reach})))) is complete


def cut(host: evidence.Evidence, *names: str) -> evidence.Evidence:
    """The same look, from which something of these sections was left out for want of room."""
    less = {name: dataclasses.replace(host.sections[name], status="partial", why=CUT) for name in names}
    return evidence.Evidence(host.asked_ms, host.answered_ms, {**host.sections, **less})


def test_failures_that_were_cut_answer_for_no_installation() -> None:
    assert coverage.of(look()).missing == ()
    assert coverage.of(cut(look(), "events", "reporting")).missing == ()
    (missing,) = coverage.of(cut(look(), "events", "reporting", "history")).missing
    assert missing.startswith("installations")


def test_the_agents_date_is_no_answer_where_failures_timed_out() -> None:
    host = look(status={"events": "timeout", "reporting": "absent"})
    assert [text.partition(" (")[0] for text in coverage.of(host).missing] == ["searches"]
    assert coverage.of(look(status={"events": "denied", "reporting": "absent"})).missing == ()


# --- the verdict ---


def test_a_pending_restart_comes_before_any_repair() -> None:
    result = judged(look(services(BITS=4) | {"reboot.markers": ["wu_reboot_required"]}), LOST)
    assert (result.verdict.name, result.verdict.repairs) == ("restart_required", ("reset",))


@pytest.mark.parametrize(
    ("name", "expected"), [("unknown", "unproven"), ("busy", "unproven"), ("stale", "unproven"), ("healthy", "repaired")]
)
def test_a_proof_makes_no_verdict_better_than_the_look(name: str, expected: str) -> None:
    proof = repairs.Proof("proved", "a live search")
    after = verdict.Verdict(name, "Something.")
    end = verdict.after_change(failed=None, changed=True, after=after, after_strong_restart=False, proof=proof, what="cache reset")
    assert end.name == expected


def test_a_restart_that_the_repair_made_necessary_is_told() -> None:
    proof = repairs.Proof("proved", "a live search")
    after = verdict.Verdict("restart_required", "Windows waits for a restart.", "Restart the host.")
    end = verdict.after_change(failed=None, changed=True, after=after, after_strong_restart=True, proof=proof, what="cache reset")
    assert (end.name, end.next_step) == ("restart_required", "Restart the host.")


# --- the case ---


def test_nothing_is_repaired_after_a_change_that_failed() -> None:
    options = case.Options(mode="routed", repairs=("timesync", "reset"))
    sick = case.Look(verdict.Verdict("sick", "Something fails.", repairs=("timesync", "reset")))
    looked = case.advance(case.start("host", RUN, options), case.Looked(sick))
    assert looked.next == "timesync"
    for failed_why, following in (("", "reset"), ("the service did not start", "end")):
        applied = case.Applied("timesync", changed=True, failed=failed_why, look=sick)
        assert case.advance(looked, applied).next == following


# --- the host as a whole ---


def test_a_wsus_is_in_use_only_where_policy_says_so() -> None:
    named = {"policy.wu": {"WUServer": "http://wsus.corp.example:8530"}}
    assert situation.of(look(named), SETTINGS).wsus is False
    assert situation.of(look(BY_WSUS), SETTINGS).wsus is True


def test_the_scan_source_counts_where_it_is_switched_on() -> None:
    microsoft = {"WUServer": "http://wsus.corp.example:8530", "SetPolicyDrivenUpdateSourceForQualityUpdates": 0}
    assert situation.of(look(BY_WSUS | {"policy.wu": microsoft}), SETTINGS).wsus is True
    assert situation.of(look(BY_WSUS | {"policy.wu": microsoft | {"UseUpdateClassPolicySource": 1}}), SETTINGS).wsus is False


@pytest.mark.parametrize(
    ("changes", "wsus"),
    [
        ({}, False),
        ({"policy.wu": BY_WSUS["policy.wu"]}, True),
        ({"policy.wu": {**BY_WSUS["policy.wu"], "DeferFeatureUpdatesPeriodInDays": 30, "DisableDualScan": 1}}, True),
        ({"host.build": 26100}, True),
    ],
)
def test_deferrals_beside_a_wsus_send_windows_to_microsoft(changes: dict[str, Any], wsus: bool) -> None:
    # "Demystifying Dual Scan" (blogs.technet.microsoft.com/wsus); Windows 11 has the scan source policy instead.
    both = BY_WSUS | {"policy.wu": {**BY_WSUS["policy.wu"], "DeferFeatureUpdatesPeriodInDays": 30}, "host.build": 17763}
    assert situation.of(look(both | changes), SETTINGS).wsus is wsus


def test_of_three_clocks_with_three_times_none_is_believed() -> None:
    three = look({"clock.sources": [source(offset_ms=7_200_000)]}, controller_ms=90_000_000)
    assert situation.of(three, SETTINGS).clock.state == "suspect"
    assert judged(three).verdict.repairs == ()


def test_only_its_own_servers_judge_a_clock() -> None:
    other = look({"clock.sources": [source(), source("other.example", 900_000), source("third.example", 900_000)]}, controller_ms=900_000)
    assert situation.of(other, SETTINGS).clock.own_server == "time.windows.com"


def test_a_server_is_never_told_to_allow_an_upgrade() -> None:
    upgrade = failed("upgrade", 0xC1900101, 5, marker="final", title="Windows 11, version 24H2")
    assert judged(look(), upgrade).verdict.attempts == ("osupgrade",)
    assert judged(look({"host.product_type": "server"}), upgrade).verdict.attempts == ()


# --- what arrives ---


def test_of_a_log_that_is_too_long_the_newest_lines_stay() -> None:
    kinds = [{"count": 1, "first": None, "last": f"line {number}"} for number in range(250)]
    document = look().to_document()
    document["sections"]["cbs"]["data"]["kinds"] = kinds
    assert evidence.parse(document).cbs.kinds[-1].last == "line 249"


def test_what_a_host_logged_is_judged_by_its_own_clock() -> None:
    assert look(controller_ms=9 * DAY * 1000).now == NOW


# --- repairs and plans ---


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"servicing.processes": [{"name": "TiWorker", "busy_ms": 300}]}, "busy"),
        ({"reboot.markers": ["cbs_reboot_pending"]}, "restart_required"),
    ],
)
def test_no_reset_while_windows_installs_or_waits(changes: dict[str, Any], name: str) -> None:
    host = look(changes)
    made = plan.build("reset", host, find(host, [LOST]), {"force": True}, RUN, SETTINGS)
    assert made.refused is not None
    assert (made.refused.verdict, made.changes) == (name, False)


@pytest.mark.parametrize(
    ("name", "host", "failures"), [("reset", look(), [LOST]), ("timesync", look(CLOCK_OFF, controller_ms=7_200_000), [])]
)
def test_a_plan_holds_for_the_start_of_the_host_that_was_looked_at(name: str, host: evidence.Evidence, failures: list[Any]) -> None:
    made = plan.build(name, host, find(host, failures), {}, RUN, SETTINGS)
    assert {"what": "boot", "name": None, "field": "time", "is": NOW - 9 * DAY} in made.request(None)["expect"]


def test_a_search_of_the_future_proves_no_reset() -> None:
    for hours_ago, status in ((-0.005, "proved"), (-30 * 24, "unproven")):
        result = repaired("reset", look(), [LOST], after={"events": {**healthy()["events"], "records": [searched(hours_ago)]}})
        assert (result.proof.status, result.verdict.name == "repaired") == (status, status == "proved")


@pytest.mark.parametrize("text", [RUN + "\\..\\x", RUN + "0", "x" + RUN, ""])
def test_a_run_id_is_part_of_a_path_and_nothing_else(text: str) -> None:
    assert plan.valid_run_id(RUN)
    assert not plan.valid_run_id(text)


# --- the way in ---


OPTIONS: dict[str, Any] = {
    "max_skew": 300,
    "stale_after": 14,
    "behind_after": 45,
    "lookback": 45,
    "time_limit": 30,
    "scan_timeout": 120,
    "scan": False,
    "case": None,
    "run_id": RUN,
    "evidence": None,
    "evidence_dir": None,
    "return_evidence": "unhealthy",
}


FAILED_SEARCH = {
    "events.records": [{**searched(1), "id": 25, "data": {"errorCode": "0x80070002", "serviceGuid": f"{{{MICROSOFT}}}"}}],
    "sources.last_search": NOW - 3 * DAY,
}


class Reset(ChangeAction):
    """A reset without ansible-core, whose agent gives no reply."""

    REPAIR = "reset"

    def __init__(self) -> None:
        self._vars: dict[str, Any] = {"inventory_hostname": "host"}
        self._task = SimpleNamespace(args={}, check_mode=False, diff=False)

    def ask(self, program: str, request: Any) -> dict[str, Any]:
        """The agent gives no reply."""
        raise AgentError(f"{program} did not run ({request['op']})")


def test_a_run_is_named_where_the_agent_broke() -> None:
    result = Reset().perform(OPTIONS)
    assert (result["verdict"], result["failed"], result["run_id"]) == ("failed", True, RUN)


@pytest.mark.parametrize(
    ("changes", "name", "is_shown"),
    [({}, "healthy", False), (FAILED_SEARCH, "sick", True), ({"host.elevated": False}, "unsupported", False)],
)
def test_evidence_stands_beside_a_verdict_that_it_explains(changes: dict[str, Any], name: str, is_shown: bool) -> None:
    action = Reset()
    action.settings = Settings()
    action.scene, action._in_case = Scene(before={}), False
    seen_now = action.see(look(changes))
    result = action.result(case.advance(case.start("host", RUN), case.Looked(seen_now)), OPTIONS, {})
    assert (result["verdict"], "evidence" in result) == (name, is_shown)
