# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A failing subject becomes one finding with one answer; what was cured is history; a healthy host asks for nothing."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import evidence, findings, hresult, plan, repairs, routing, situation
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.finding import CLOSED, FAILING, UNKNOWN, UNTESTED, Finding
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.observation import CANCELLED, Observation
from hypothesis import given
from hypothesis import strategies as st
from unit.plugin_utils.documents import (
    BY_WSUS,
    DAY,
    HOUR,
    MICROSOFT,
    NOW,
    RUN,
    SETTINGS,
    STORE,
    WSUS,
    WUC,
    active,
    failed,
    find,
    folder,
    healthy,
    installed,
    look,
    scan_section,
    scanned,
    searched,
    services,
    source,
    worked,
)
from unit.plugin_utils.judging import judged

LAYERS = ["store", "cache", "scan", "download", "install", "upgrade", "service", "clock"]
NO_SEARCH: dict[str, Any] = {"sources.last_search": None, "events.records": []}
BACKUP = "SoftwareDistribution.wu_repair-20251123T160000Z-1a2b3c"
RESET_AT = 1_763_913_600


def the(subject: str, host: evidence.Evidence, *observations: Observation, **settings: Any) -> Finding:
    (item,) = [item for item in find(host, observations, **settings) if item.subject == subject]
    return item


def asked(*observations: Observation, **changes: Any) -> tuple[str, ...]:
    return repairs.asked_for(find(look(changes), observations))


def test_a_healthy_host_asks_for_nothing() -> None:
    assert find(look()) == []


@pytest.mark.parametrize("section", sorted(healthy()))
@pytest.mark.parametrize("status", ["denied", "timeout", "absent", "failed"])
def test_a_section_that_could_not_be_read_is_no_reason_to_repair(section: str, status: str) -> None:
    assert repairs.asked_for(find(look(status={section: status}))) == ()


# --- where it was seen decides ---


@pytest.mark.parametrize("code", [0x80070002, 0x80070003])
@pytest.mark.parametrize(
    ("layer", "subject", "answer"),
    [
        ("store", "store:packages", "owner admin"),
        ("scan", "search:microsoft", "repair reset"),
        ("download", "update:KB5099002", "repair reset"),
        ("install", "update:KB5099002", "repair reset"),
        ("upgrade", "upgrade:", "owner admin"),
        ("service", "service:wuauserv", "owner admin"),
    ],
)
def test_a_missing_file_is_routed_by_its_layer(code: int, layer: str, subject: str, answer: str) -> None:
    more: dict[str, Any] = {"name": "wuauserv"} if layer == "service" else {}
    assert active(find(look(), [failed(layer, code, **more)])) == {f"{hresult.hex_of(code)}@{subject}": answer}


def test_a_failed_installation_beside_a_damaged_component_store_is_not_reset() -> None:
    found = find(look(), [failed("install", 0x80070002), failed("store", 0x80073712)])
    assert repairs.asked_for(found) == ()
    assert "DISM" in the("update:KB5099002", look(), failed("install", 0x80070002), failed("store", 0x80073712)).next_step


def test_a_component_store_repaired_since_does_not_blame_the_store() -> None:
    repaired = worked("store", 1, source="cbs", marker="store_repaired")
    found = find(look(), [failed("store", 0x80073712, 5), repaired, failed("install", 0x80070002, 0.5)])
    assert active(found) == {"0x80070002@update:KB5099002": "repair reset"}


def test_a_service_that_cannot_be_loaded_comes_before_the_cache() -> None:
    broken = failed("service", 0x8007007E, 2, name="wuauserv")
    item = the("search:microsoft", look(NO_SEARCH), broken, failed("scan", 0x80070002, 1))
    assert (dict(item.answer), "wuauserv" in item.next_step) == ({"owner": "admin"}, True)


@pytest.mark.parametrize(
    ("service", "policy", "answer"),
    [(MICROSOFT, {}, "owner admin"), (WSUS, BY_WSUS, "owner wsus"), (None, BY_WSUS, "owner wsus"), (None, {}, "owner admin")],
)
def test_a_server_that_cannot_be_reached_belongs_to_whoever_was_asked(service: str | None, policy: dict[str, Any], answer: str) -> None:
    timeout = failed("scan", 0x80072EE2, service=service, caller="UpdateOrchestrator")
    assert list(active(find(look(NO_SEARCH | policy), [timeout])).values()) == [answer]


def test_a_proxy_answers_where_there_is_one() -> None:
    proxy = {"sources.endpoints": [{"role": "proxy", "host": "p", "port": 8080, "ok": True, "error": None}]}
    assert active(find(look(NO_SEARCH | proxy), [failed("scan", 0x80072EE2)])) == {"0x80072EE2@search:microsoft": "owner proxy"}


@pytest.mark.parametrize(("hours_ago", "says"), [(30.0, "has lasted for more than a day"), (2.0, "was not followed by a success")])
def test_how_long_it_lasts_is_only_said_where_it_was_seen(hours_ago: float, says: str) -> None:
    """Of one line of a log was said that its failure "has lasted for more than a day"."""
    tries = [failed("scan", 0x8024400E, hours_ago, service=None), failed("scan", 0x8024400E, 1, service=None)]
    (item,) = findings.from_observations(tries, SETTINGS, NOW)
    assert f"0x8024400E {says}" in item.next_step


def test_what_a_success_ended_is_told_with_all_its_codes() -> None:
    """Of a driver that failed with 0x8024200B and, the day before, with 0x80240009, and went in then, one code was told."""
    driver = {"title": "Lab - Display - 31.0.15.1694", "update": "11111111-2222-4333-8444-555555555555"}
    codes = [failed("install", 0x80240009, 60, **driver), failed("install", 0x8024200B, 40, **driver)]
    (told,) = find(look(), [*codes, worked("install", 30, **driver)])
    assert (told.state, told.codes) == (CLOSED, ("0x8024200B", "0x80240009"))


def test_the_search_of_another_class_is_nothing() -> None:
    found = find(look(), [failed("scan", 0x80072EE2, service=STORE)])
    assert (active(found), [item.state for item in found]) == ({}, [CLOSED])


def test_policy_codes_name_the_policy_and_its_owner() -> None:
    denied = failed("scan", 0x8024002E)
    item = the("search:microsoft", look({"policy.wu": {"DoNotConnectToWindowsUpdateInternetLocations": 1}}), denied)
    assert (dict(item.answer), "DoNotConnectToWindowsUpdateInternetLocations = 1" in item.meaning) == ({"owner": "policy"}, True)
    managed = the("search:microsoft", look({"policy.configmgr": True}), denied)
    assert dict(managed.answer) == {"owner": "management"}


def test_markers_without_a_code_are_routed_too() -> None:
    found = find(look(), [failed("store", marker="sr_cannot_repair"), failed("scan", marker="proxy_credentials")])
    assert active(found) == {"sr_cannot_repair@store:files": "owner admin", "proxy_credentials@search:microsoft": "owner proxy"}


# --- one finding for one subject ---


def test_a_failure_in_several_logs_is_one_finding() -> None:
    item = the(
        "search:microsoft",
        look(NO_SEARCH),
        failed("scan", 0x80070002, 9, source="reporting", count=3, first=NOW - 30 * HOUR),
        failed("scan", 0x80070002, 2, count=2),
    )
    assert (item.count, item.first_seen, item.last_seen) == (3, NOW - 30 * HOUR, NOW - 2 * HOUR)
    assert item.to_dict()["answer"] == {"repair": "reset"}


def test_a_subject_that_fails_by_several_codes_is_one_finding_by_its_newest() -> None:
    item = the("search:microsoft", look(NO_SEARCH), failed("scan", 0x80072EE2, 9), failed("scan", 0x80070002, 2))
    assert (item.code, item.codes) == ("0x80070002", ("0x80070002", "0x80072EE2"))


def test_a_code_that_means_nothing_hides_no_other_failure_of_the_subject() -> None:
    # 0x80073D02: a package of the Store is in use, which is nothing that a search can fail with.
    found = the("search:microsoft", look(), failed("scan", 0x80070002, 5), failed("scan", 0x80073D02, 1))
    assert (found.code, found.notice, found.answer) == ("0x80070002", False, {"repair": "reset"})
    alone = the("search:microsoft", look(), failed("scan", 0x80073D02, 1))
    assert (alone.code, alone.notice) == ("0x80073D02", True)


def test_a_live_failure_comes_first() -> None:
    found = find(look(), [failed("download", 0x80246010, 0.1), scanned(0x80070002)])
    assert found[0].code == "0x80070002"


def test_history_stands_behind_what_counts_and_notices_between() -> None:
    found = find(
        look(),
        [
            failed("install", 0x80070643, 26, kb="KB2267602"),
            failed("scan", 0x80070002, 8),
            worked("scan", 6),
            failed("download", 0x80246010, 3),
        ],
    )
    assert [(item.active, item.notice, item.state) for item in found] == [
        (True, False, FAILING),
        (False, True, FAILING),
        (False, False, CLOSED),
    ]
    assert (found[2].next_step, found[2].superseded_by) == ("", "a later success")


def test_what_the_servicing_stack_said_is_the_inner_reason() -> None:
    inner = failed(
        "install", 0x80070643, 2.5, source="cbs", name="lab-edge-component", line="Failed to install lab-edge-component", kb=None
    )
    item = the("update:KB5099002", look(), failed("install", 0x800F0922, 2, line="Installation failed"), inner)
    assert (item.name, item.related_codes) == ("lab-edge-component", ("0x80070643",))
    assert item.lines[0] == "Failed to install lab-edge-component"


def test_at_most_three_lines_are_kept_the_newest_last() -> None:
    tries = [failed("install", 0x80070643, hours, line=f"line {hours}") for hours in (2, 3, 4, 5, 6)]
    assert the("update:KB5099002", look(), *tries).lines == ("line 4", "line 3", "line 2")


def test_a_final_result_leads_over_errors_on_the_way() -> None:
    final = Observation("setup", "upgrade", time=NOW - 5 * HOUR, code=0xC1900101, marker="final", name="0x30018", line="final")
    way = Observation("setup", "upgrade", time=NOW - HOUR, code=0x80070002, marker="on_the_way", line="on the way")
    item = the("upgrade:", look(), way, final)
    assert (item.code, item.name, item.lines) == ("0xC1900101", "0x30018", ("final", "on the way"))
    assert (item.count, item.codes, item.related_codes) == (1, ("0xC1900101",), ("0x80070002",))
    assert active(find(look(), [way])) == {}


# --- what is worth a word, and what is nothing ---


def tries_of(kb: str, *hours: float, **more: Any) -> list[Observation]:
    return [failed("install", 0x80070005, hour, kb=kb, title=f"Update ({kb})", **more) for hour in hours]


@pytest.mark.parametrize(
    ("hours", "fault"),
    [((2,), False), ((2, 3), False), ((2, 26, 50), False), ((2, 26, 80), True), ((2, 80), False), ((2, 5, 80), True)],
)
def test_what_comes_and_goes_counts_at_three_tries_over_three_days(hours: tuple[float, ...], fault: bool) -> None:
    assert (active(find(look(), tries_of("KB2267602", *hours))) != {}) is fault
    drivers = [failed("install", 0x80070643, hour, update="aa", title="Intel - System - 1.0", kb=None) for hour in hours]
    assert (active(find(look(), drivers)) != {}) is fault


@pytest.mark.parametrize(
    ("days", "entries", "fault"),
    [(13, [installed(9 * 24)], True), (16, [installed(9 * 24)], False), (16, [installed(20 * 24)], True), (16, [], True)],
)
def test_one_failed_update_is_a_fault_until_others_came(days: int, entries: list[dict[str, Any]], fault: bool) -> None:
    found = find(look({"history.entries": entries}), [failed("install", 0x80070002, days * 24, kb="KB5034441", title="Update (KB5034441)")])
    assert ("0x80070002@update:KB5034441" in active(found)) is fault
    assert fault or [item.notice for item in found if item.subject == "update:KB5034441"] == [True]


def test_an_app_of_the_store_is_nothing() -> None:
    found = find(look(), [failed("install", 0x80073D02, 2, service=STORE, title="Some app", kb=None)])
    assert (active(found), len(found)) == ({}, 1)


def test_what_somebody_cancelled_is_a_fault_only_where_it_recurs() -> None:
    assert active(find(look(), [failed("download", 0x8024000B, 2, outcome=CANCELLED)])) == {}
    often = [failed("download", 0x8024000B, hours, outcome=CANCELLED) for hours in (2, 30, 80)]
    assert active(find(look(), often)) != {}
    logs_alone = [failed("scan", 0x8024000B, hours, service=MICROSOFT) for hours in (2, 30, 80)]
    assert [one.active for one in findings.from_observations(logs_alone[:1], situation.Settings())] == [False]
    assert [one.active for one in findings.from_observations(logs_alone, situation.Settings())] == [True]


def test_the_newest_word_of_the_clock_and_of_a_whole_check_outranks_an_older_code() -> None:
    clock = [failed("clock", 0x80070005, 30, marker="time_service_failed"), failed("clock", None, 2, marker="clock_not_synchronised")]
    store = [failed("store", 0x80070BC9, 3), failed("store", None, 2, marker="store_corrupt")]
    for seen, name in ((clock, "clock_not_synchronised"), (store, "store_corrupt")):
        assert [one.id.partition("@")[0] for one in findings.from_observations(seen, situation.Settings())] == [name]
    given_up = [failed("store", 0x800F081F, 3), failed("store", 0x800704C7, 2, outcome=CANCELLED)]
    assert [one.code for one in findings.from_observations(given_up, situation.Settings())] == ["0x800F081F"]
    lasting = [failed("store", 0x800F081F, 3), failed("store", None, 2, marker="store_corrupt")]
    assert [one.code for one in findings.from_observations(lasting, situation.Settings())] == ["0x800F081F"]


@pytest.mark.parametrize(("code", "name"), [(0x8007000D, None), (0xC1900208, "oem0.inf"), (None, "oem0.inf")])
def test_what_blocks_is_named_only_where_the_upgrade_was_refused(code: int | None, name: str | None) -> None:
    result = [failed("upgrade", code, 2, marker="final")] if code else []
    block = failed("upgrade", None, 2, marker="compat_block", name="oem0.inf")
    (found,) = findings.from_observations([*result, block], situation.Settings())
    assert (found.name, found.count) == (name, 1)


def test_services_that_updates_do_not_need_may_fail() -> None:
    assert find(look(), [failed("service", name="Spooler", marker="service_failed")]) == []
    assert active(find(look(), [failed("service", 0x8007041D, name="DoSvc")])) == {}
    assert active(find(look(), [failed("service", 0x8007041D, name="BITS")])) != {}


# --- what passes, what may help, what was tried ---


@pytest.mark.parametrize(("search", "answer"), [(3, "wait retry"), (23, "wait retry"), (60, "owner admin")])
def test_a_search_that_fails_is_retried_until_the_last_success_is_too_old(search: float, answer: str) -> None:
    tries = [failed("scan", 0x80072EE2, hours) for hours in (0.5, 2)]
    assert list(active(find(look(NO_SEARCH), [worked("scan", search), *tries])).values()) == [answer]


def test_an_installation_that_fails_for_more_than_a_day_does_not_pass() -> None:
    assert active(find(look(), [failed("install", 0x80070020, 2)])) == {"0x80070020@update:KB5099002": "wait retry"}
    assert active(find(look(), [failed("install", 0x80070020, 2), failed("install", 0x80070020, 30)])) == {
        "0x80070020@update:KB5099002": "owner admin"
    }


def test_a_restart_is_asked_for_once() -> None:
    first = failed("install", 0x80070BC9, 5)
    assert the("update:KB5099002", look(), first).answer == {"wait": "restart"}
    restarted = look({"host.boot_time": NOW - 3 * HOUR})
    assert the("update:KB5099002", restarted, first).state == UNTESTED
    again = the("update:KB5099002", restarted, first, failed("install", 0x80070BC9, 1))
    assert (dict(again.answer), again.state) == ({"owner": "admin"}, FAILING)


def test_what_was_restarted_long_ago_and_never_tried_is_for_somebody() -> None:
    item = the("update:KB5099002", look({"host.boot_time": NOW - 15 * DAY, "history.entries": []}), failed("install", 0x80070BC9, 16 * 24))
    assert (item.state, dict(item.answer)) == (FAILING, {"owner": "admin"})


@pytest.mark.parametrize("code", [0x80070643, 0x80242014, 0x800F0922, 0x80073712, 0x80070005])
def test_a_restart_cures_no_installation(code: int) -> None:
    assert the("update:KB5099002", look(), failed("install", code, 2)).answer.get("wait") != "restart"


def renewed(**row: Any) -> evidence.Evidence:
    return look(NO_SEARCH | {"cache.folders": [folder("SoftwareDistribution", **row), folder("catroot2")]})


def test_what_failed_in_the_old_cache_is_untested_in_the_new_one() -> None:
    young = renewed(data_store_created=NOW - HOUR)
    assert the("update:KB5099002", young, failed("download", 0x80246010, 2)).state == UNTESTED
    assert the("update:KB5099002", young, failed("download", 0x80246010, 0.5)).state == FAILING
    assert the("update:KB5099002", young, failed("install", 0x80070643, 2)).state == FAILING


def test_the_creation_time_of_the_folder_itself_is_not_believed() -> None:
    assert the("update:KB5099002", renewed(created=NOW - HOUR), failed("download", 0x80246010, 2)).state == FAILING


def test_a_reset_does_not_touch_damage_of_the_component_store() -> None:
    assert the("store:packages", renewed(data_store_created=NOW - HOUR), failed("store", 0x80070002, 2)).state == FAILING


def test_our_own_backup_dates_the_reset() -> None:
    assert situation.backup_time(BACKUP) == RESET_AT
    host = renewed(data_store=False, data_store_created=None, backups=[BACKUP])
    before, after = (failed("download", 0x80246010, time=RESET_AT + delta, first=RESET_AT + delta) for delta in (-60, 60))
    assert the("update:KB5099002", host, before).state == UNTESTED
    assert the("update:KB5099002", host, after).answer == {"repair": "reset"}


def test_the_same_failure_after_our_reset_goes_to_a_person() -> None:
    host = renewed(data_store_created=RESET_AT + 30, backups=[BACKUP])
    before, after = (failed("scan", 0x80070002, time=RESET_AT + delta, first=RESET_AT + delta) for delta in (-60, HOUR))
    assert the("search:microsoft", host, before, after).answer == {"owner": "admin"}
    between = worked("scan", 0, time=RESET_AT + 120, first=RESET_AT + 120)
    assert the("search:microsoft", host, before, between, after).answer == {"repair": "reset"}


def test_a_repair_of_this_run_leaves_what_was_not_tried_since_untested() -> None:
    failure = failed("scan", 0x80072F8F, 2)
    off = look(NO_SEARCH | {"clock.sources": [source(offset_ms=DAY * 1000)]}, controller_ms=DAY * 1000)
    assert the("search:microsoft", off, failure).answer == {"repair": "timesync"}
    assert the("search:microsoft", look(NO_SEARCH), failure, repaired=(("timesync", NOW - HOUR),)).state == UNTESTED
    assert the("search:microsoft", look(NO_SEARCH), failed("scan", 0x80072F8F, 0.5), repaired=(("timesync", NOW - HOUR),)).state == FAILING


def test_a_success_that_cannot_be_ordered_leaves_the_failure_unknown() -> None:
    assert the("search:microsoft", look(), failed("scan", 0x80070002, 6, bound_s=14 * 3600)).state == UNKNOWN


# --- the clock and signatures ---


def test_tls_asks_for_the_clock_unless_the_clock_is_right() -> None:
    tls = failed("scan", 0x80072F8F)
    assert asked(tls, **NO_SEARCH) == ()
    off = {"clock.sources": [source(offset_ms=DAY * 1000)]}
    assert repairs.asked_for(find(look(NO_SEARCH | off, controller_ms=DAY * 1000), [tls])) == ("timesync",)
    assert repairs.asked_for(find(look(NO_SEARCH | off), [tls])) == ()
    silent = {"clock.sources": [source(offset_ms=None)]}
    item = the("search:microsoft", look(NO_SEARCH | silent, controller_ms=DAY * 1000), tls)
    assert (dict(item.answer), "time.windows.com" in item.next_step) == ({"owner": "admin"}, True)


def test_a_signature_of_one_file_is_not_the_clocks_while_searches_go_well() -> None:
    off = look({"clock.sources": [source(offset_ms=DAY * 1000)]}, controller_ms=DAY * 1000)
    file = failed("install", 0x80096004, 9)
    assert the("update:KB5099002", off, file, worked("scan", 1)).answer == {"repair": "reset"}
    assert the(
        "update:KB5099002", look(NO_SEARCH | {"clock.sources": [source(offset_ms=DAY * 1000)]}, controller_ms=DAY * 1000), file
    ).answer == {"repair": "timesync"}


# --- upgrades ---


def test_osupgrade_is_an_attempt_and_never_an_answer() -> None:
    final = failed("upgrade", 0xC1900101, 20, marker="final", title="Windows 11, version 24H2")
    item = the("upgrade:24H2", look(), final)
    assert (dict(item.answer), item.attempt) == ({"owner": "admin"}, "osupgrade")
    assert the("upgrade:24H2", look({"host.product_type": "server"}), final).attempt is None
    assert the("upgrade:24H2", look({"upgrade.osupgrade": {"AllowOSUpgrade": 1}}), final).attempt is None


def test_an_upgrade_that_has_been_made_since_is_history() -> None:
    diagnosis = {"ProfileName": "FindRollbackFailure", "FailureData": "Error: 0x8007000D", "TargetOSVersion": "10.0.22631.1"}
    assert list(active(find(look({"upgrade.setupdiag": diagnosis})))) == ["0x8007000D@upgrade:"]
    assert active(find(look({"upgrade.setupdiag": diagnosis | {"TargetOSVersion": "10.0.19045.1"}}))) == {}


# --- the document as it comes from a host ---


def event(number: int, hours_ago: float, **data: str) -> dict[str, Any]:
    return {
        "channel": f"{WUC}/Operational",
        "provider": WUC,
        "id": number,
        "time": NOW - int(hours_ago * HOUR),
        "record": 10_000 - int(hours_ago * 10),
        "data": data,
    }


def test_a_lost_data_store_is_read_out_of_events_and_history() -> None:
    entry = {
        **installed(29, "Update (KB5034441)"),
        "result": 4,
        "hresult": -2147024894,
        "update_id": "6f1e2d3c-0a1b-4c5d-8e9f-000000000777",
    }
    records = [
        event(25, 1, errorCode="0x80070002", serviceGuid=f"{{{MICROSOFT}}}"),
        event(25, 25, errorCode="0x80070002", serviceGuid=f"{{{MICROSOFT}}}"),
        event(26, 72, serviceGuid=f"{{{MICROSOFT}}}"),
    ]
    found = find(look({"events.records": records, "history.entries": [entry, installed()], "sources.last_search": NOW - 3 * DAY}))
    assert active(found) == {"0x80070002@search:microsoft": "repair reset", "0x80070002@update:KB5034441": "repair reset"}
    assert found[0].count == 2


def test_a_service_event_counts_for_the_services_of_updates_alone() -> None:
    rows = [
        {**event(7000, 1, param1=name, param2="%%1058"), "provider": "Service Control Manager", "channel": "System"}
        for name in ("Print Spooler", "Windows Update")
    ]
    found = find(look({**services(wuauserv=4), "events.records": rows}))
    assert active(found) == {"service_disabled:wuauserv": "repair reset", "0x80070422@service:wuauserv": "repair reset"}


def test_a_live_search_leaves_only_the_installation() -> None:
    scan = {"scan": {"result": 2, "hresult": 0, "count": 1, "warnings": []}}
    records = [
        event(25, 1, errorCode="0x80070002", serviceGuid=f"{{{MICROSOFT}}}"),
        event(31, 2, errorCode="0x80246010", updateTitle="Update (KB5034441)"),
    ]
    assert active(find(look({"events.records": records, **scan}))) == {"0x80246010@update:KB5034441": "repair reset"}


# --- hints and logs alone ---


def test_a_reported_code_is_a_hint_and_never_evidence() -> None:
    found = find(look(), reported=(0x80070002, 0x80070002))
    assert active(found) == {}
    assert [(item.id, item.symbol) for item in found] == [("0x80070002@reported", "ERROR_FILE_NOT_FOUND")]
    assert [item.id for item in find(look(), [failed("scan", 0x80070002, 0.1)], reported=(0x80070002,))] == ["0x80070002@search:microsoft"]


def test_logs_alone_are_routed_without_the_host() -> None:
    seen = [failed("scan", 0x80070002), failed("scan", 0x80070422, service=None), failed("store", 0x800F081F)]
    found = findings.from_observations(seen, SETTINGS, NOW)
    assert active(found) == {
        "0x80070002@search:microsoft": "repair reset",
        "0x80070422@search:unknown": "repair reset",
        "0x800F081F@store:packages": "owner admin",
    }


def test_a_log_of_another_service_is_told_and_asks_for_nothing() -> None:
    other = Observation("event:Service Control Manager/7001", "service", time=1_700_000_000, code=0x80070422, name="EventLog")
    found = findings.from_observations([other], SETTINGS)
    assert ([item.code for item in found], active(found)) == (["0x80070422"], {})


def test_a_finding_is_returned_whole() -> None:
    row = the("update:KB5099002", look(), failed("install", 0x80070005, 2, line="a line")).to_dict()
    assert (row["area"], row["subject"], row["lines"], row["title"]) == (
        "install",
        "update:KB5099002",
        ["a line"],
        "Cumulative Update (KB5099002)",
    )
    assert (row["kb"], row["answer"], row["state"]) == ("KB5099002", {"owner": "admin"}, FAILING)
    assert row["next_step"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(LAYERS),
            st.sampled_from(sorted(hresult._CODES)),
            st.floats(0.1, 400),
            st.booleans(),
            st.sampled_from(["aaaa", "wuauserv"]),
        ),
        max_size=6,
    )
)
def test_a_reset_is_planned_only_for_what_was_seen_at_work_with_the_cache(rows: list[tuple[str, int, float, bool, str]]) -> None:
    seen = [worked(layer, hours, name=name) if good else failed(layer, code, hours, name=name) for layer, code, hours, good, name in rows]
    host = look()
    found = find(host, seen)
    reset = plan.build("reset", host, found, {}, RUN, SETTINGS)
    if reset.steps:
        asking = [item for item in found if item.id in reset.reasons]
        assert {item.layer for item in asking} <= set(routing._CACHE_LAYERS)
    assert all(item.active or item.notice or item.superseded_by for item in found)


def test_a_failure_that_a_wrong_clock_dated_asks_for_no_second_reset() -> None:
    # The clock ran 300 days ahead when it was written, so it stays later than every reset until then.
    ahead = failed("install", 0x80070002, -300 * 24)
    assert judged(look(), ahead).verdict.name == "sick"
    ours = f"SoftwareDistribution{situation.backup_ending(RUN)}"
    rows = {"cache.folders": [folder("SoftwareDistribution", backups=[ours]), folder("catroot2")]}
    reset = next(iter(situation.reset_at(look(rows)).values()))
    untested = judged(look(rows), ahead)
    assert (untested.verdict.name, untested.verdict.repairs) == ("unproven", ())
    later = NOW + 20 * DAY
    moved = {**rows, "clock.start_ms": later * 1000 - 500, "clock.end_ms": later * 1000}
    given_up = judged(look(moved, controller_ms=20 * DAY * 1000), ahead).verdict
    assert later - reset > SETTINGS.stale_days * DAY
    assert (given_up.repairs, "did not cure" in given_up.next_step) == ((), True)


def test_a_start_that_a_wrong_clock_dated_is_no_restart_since() -> None:
    waits = failed("install", 0x80070BC9, 3)
    assert judged(look({"host.boot_time": NOW + 5 * DAY}), waits).verdict.name == "restart_required"
    assert judged(look({"host.boot_time": NOW - HOUR}), waits).verdict.name == "unproven"


# --- what went in and is not there ---

ID = "6f1e2d3c-0a1b-4c5d-8e9f-000000000102"
BUILD = "2025-11 Cumulative Update for Windows 10 Version 22H2 for x64-based Systems (KB5099002) (19045.6100)"


def offering(*updates: tuple[str, str]) -> dict[str, Any]:
    """A live search that offers these: title, GUID."""
    section = scan_section(count=len(updates))
    section["scan"]["updates"] = [{"title": title, "kb": ["KB5099002"], "id": update, "classes": []} for title, update in updates]
    return section


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"host.revision": 5000}, ["taken_back"]),
        ({"host.revision": 6100}, []),
        # Its restart is still to come, or Windows is about to make it.
        ({"host.revision": 5000, "host.boot_time": NOW - 3 * DAY}, []),
        ({"host.revision": 5000, "reboot.markers": ["wu_reboot_required"]}, []),
    ],
)
def test_an_update_taken_back_at_the_restart_is_told(changes: dict[str, Any], found: list[str]) -> None:
    base = {"history.entries": [{**installed(2 * 24, BUILD), "update_id": ID}], "host.boot_time": NOW - DAY}
    host = look(base | {"events.records": [searched(5, found=1)]} | changes)
    assert [item.condition for item in find(host) if item.condition in ("taken_back", "installed_again")] == found
    # Whoever serves the updates has withdrawn it.
    withdrawn = find(host, [worked("scan", 2, found=0, caller="UpdateOrchestrator")])
    assert "taken_back" not in [item.condition for item in withdrawn]
    verdict = judged(host).verdict
    if found:
        assert (verdict.name, verdict.owner) == ("needs_action", "admin")
        assert "why KB5099002 was taken back" in verdict.next_step


@pytest.mark.parametrize(
    ("title", "hours", "offered", "name"),
    [
        ("Security Update (KB5099002)", 30, ID, "needs_action"),
        ("Security Update (KB5099002)", 30, ID.replace("102", "103"), "healthy"),
        # Not yet a day ago, and no start since: the next search may find it installed.
        ("Security Update (KB5099002)", 3, ID, "healthy"),
        # What comes again every few days is worth a word.
        ("Update for Windows Security platform - KB5007651 (Version 10.0.1.2)", 30, ID, "healthy"),
    ],
)
def test_an_update_that_is_installed_and_offered_again_is_told(title: str, hours: float, offered: str, name: str) -> None:
    entries = [{**installed(hours, title), "update_id": ID}, installed()]
    host = look({"history.entries": entries, **offering((title, offered))})
    result = judged(host).verdict
    assert result.name == name
    told = [item for item in find(host) if item.condition == "installed_again"]
    assert len(told) == (offered == ID and hours == 30)
    assert name == "healthy" or "KB5099002" in result.msg
    waiting = look({"history.entries": entries, "reboot.markers": ["wu_reboot_required"], **offering((title, offered))})
    assert [item for item in find(waiting) if item.condition == "installed_again"] == []


def findings_of_logs(*observations: Observation) -> list[Finding]:
    return findings.from_observations(observations, SETTINGS, NOW)


def test_an_update_loop_is_seen_in_logs_alone() -> None:
    loop = [worked("install", hours, update=ID, kb="KB5099002") for hours in (100, 76, 52, 28, 4)]
    search = worked("scan", 2, found=1, caller="UpdateOrchestrator")
    assert [item.condition for item in findings_of_logs(*loop, search) if item.active] == ["installed_again"]
    assert [item for item in findings_of_logs(*loop[:2], search) if item.active] == []
    assert [item for item in findings_of_logs(*loop, worked("scan", 1, found=0, caller="UpdateOrchestrator")) if item.active] == []
    versions = [worked("install", hours, update=f"{ID[:-1]}{number}", kb="KB2267602") for number, hours in enumerate((100, 76, 52, 28, 4))]
    assert [item for item in findings_of_logs(*versions, search) if item.active or item.notice] == []


def test_an_update_of_the_recovery_environment_is_no_line_of_windows() -> None:
    title = "2025-11 Safe OS Dynamic Update for Windows 10 Version 22H2 for x64-based Systems (KB5071844) (19045.6999)"
    host = look({"history.entries": [{**installed(2 * 24, title), "update_id": ID}, installed()], "host.boot_time": NOW - DAY})
    assert judged(host).verdict.name == "healthy"
    failing = failed("install", 0x80073712, 72, title=BUILD, kb="KB5099002")
    assert judged(host, failing, worked("install", 2, title=title, update=ID)).verdict.why == "0x80073712"


def test_no_restart_is_asked_for_by_a_failure_of_the_future() -> None:
    # Whether a start came after it nobody knows: it would be asked for in each run.
    host = look({"events.records": [], "sources.last_search": None})
    assert judged(host, failed("scan", 0x8024A000, 30)).verdict.name == "restart_required"
    assert judged(host, failed("scan", 0x8024A000, -48)).verdict.name == "needs_action"
    assert judged(host, failed("scan", 0x8024A000, -48), failed("scan", 0x8024A000, 1)).verdict.name == "needs_action"
