# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Each failure gets the answer of where it was seen; what was cured is history; a healthy host asks for nothing."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import (
    evidence,
    findings,
    hresult,
    plan,
    routing,
    rungs,
    situation,
)
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.logs import Record
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.routing import Seen, answer_for
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.situation import Situation
from hypothesis import given
from hypothesis import strategies as st
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
    look,
    scanned,
    service,
    services,
    source,
    worked,
)

LAYERS = ["store", "cache", "scan", "download", "install", "upgrade", "service", "clock"]
WSUS = {"policy.wu": {"WUServer": "http://wsus:8530"}, "policy.au": {"UseWUServer": 1}}


def test_a_healthy_host_asks_for_nothing() -> None:
    assert active(find(look())) == {}


@pytest.mark.parametrize("section", sorted(healthy()))
def test_a_section_that_could_not_be_read_is_no_reason_to_repair(section: str) -> None:
    for status in ("denied", "timeout", "absent", "failed"):
        assert plan.route(find(look(status={section: status}))) == []


# --- where it was seen decides ---


@pytest.mark.parametrize("code", [0x80070002, 0x80070003])
@pytest.mark.parametrize(
    ("layer", "answer"),
    [
        ("store", "rung troubleshoot"),
        ("cache", "rung reset"),
        ("scan", "rung reset"),
        ("download", "rung reset"),
        ("install", "rung reset"),
        ("upgrade", "rung osupgrade"),
        ("service", "owner admin"),
    ],
)
def test_a_missing_file_is_routed_by_its_layer(code: int, layer: str, answer: str) -> None:
    found = find(look(), [failed(layer, code, update="wuauserv" if layer == "service" else None)])
    assert active(found) == {f"{hresult.hex_of(code)}@{layer}": answer}


def test_a_failed_installation_beside_a_damaged_component_store_is_not_reset() -> None:
    records = [failed("install", 0x80070002), failed("store", 0x80073712)]
    assert plan.route(find(look(), records)) == ["troubleshoot"]


def test_a_component_store_repaired_since_does_not_blame_the_store() -> None:
    repaired = worked("store", 1, source="cbs", marker="store_repaired")
    found = find(look(), [failed("store", 0x80073712, 5), repaired, failed("install", 0x80070002, 0.5)])
    assert active(found) == {"0x80070002@install": "rung reset"}


@pytest.mark.parametrize(
    ("layer", "code", "answer"),
    [
        ("store", 0x800F081F, "rung troubleshoot"),
        ("install", 0x80073701, "rung troubleshoot"),
        ("install", 0x800F0831, "rung troubleshoot"),
        ("store", 0x80070570, "rung troubleshoot"),
        ("scan", 0x80072EE2, "owner admin"),
        ("scan", 0x80072EFD, "owner admin"),
        ("scan", 0x8024402C, "owner admin"),
        ("scan", 0x80244022, "owner admin"),
        ("scan", 0x8024401B, "owner proxy"),
        ("download", 0x80D05001, "owner proxy"),
        ("download", 0x80240034, "owner admin"),
        ("scan", 0x80248007, "rung reset"),
        ("install", 0x80242006, "rung reset"),
        ("install", 0x8024200D, "rung reset"),
        ("download", 0x80246010, "rung reset"),
        ("install", 0x80242014, "wait restart"),
        ("install", 0x80070BC9, "wait restart"),
        ("scan", 0x8024002E, "owner policy"),
        ("scan", 0x8024002F, "owner policy"),
        ("scan", 0x80240025, "owner policy"),
        ("install", 0x80070020, "wait retry"),
        ("install", 0x80240022, "wait retry"),
        ("install", 0x80073D02, "wait retry"),
        ("upgrade", 0xC1900101, "rung osupgrade"),
        ("install", 0xC1900101, "rung osupgrade"),
        ("upgrade", 0xC1900200, "owner hardware"),
        ("upgrade", 0xC190020E, "owner admin"),
        ("install", 0x800F0228, "rung drivers"),
        ("install", 0x80070070, "owner admin"),
        ("install", 0x8007045D, "owner hardware"),
    ],
)
def test_the_published_classes(layer: str, code: int, answer: str) -> None:
    assert list(active(find(look(), [failed(layer, code)])).values()) == [answer]


def test_every_network_proxy_and_policy_code_is_left_to_its_owner() -> None:
    for area in ("network", "proxy"):
        for code in _codes(area):
            for layer in LAYERS:
                for about in (Situation(), Situation(wsus=True), Situation(proxy=True)):
                    assert "rung" not in answer_for(Seen(layer, code), about), hresult.hex_of(code)


def _codes(area: str) -> list[int]:
    return [code for code in hresult._CODES if hresult.describe(code).area == area]


def test_every_code_has_exactly_one_answer_that_somebody_can_act_on() -> None:
    owners = {"wsus", "proxy", "policy", "hardware", "management", "admin"}
    for code in hresult._CODES:
        for layer in LAYERS:
            for about in (
                Situation(),
                Situation(client=False),
                Situation(wsus=True, store_damaged=True, boot_time=NOW),
            ):
                answer = answer_for(Seen(layer, code, last=NOW - DAY), about)
                assert len(answer) == 1
                ((kind, value),) = answer.items()
                assert value in {"rung": set(rungs.LADDER), "wait": {"restart", "retry"}, "owner": owners}[kind]


@given(code=st.integers(0x80000000, 0xFFFFFFFF), layer=st.sampled_from(LAYERS))
def test_a_code_that_no_table_names_never_asks_for_a_reset(code: int, layer: str) -> None:
    if code not in hresult._CODES:
        assert answer_for(Seen(layer, code), Situation()).get("rung") != "reset"


@given(code=st.sampled_from(sorted(hresult._CODES)), layer=st.sampled_from(["store", "upgrade", "service", "clock"]))
def test_what_was_seen_away_from_the_cache_is_never_answered_by_a_reset_of_it(code: int, layer: str) -> None:
    assert answer_for(Seen(layer, code), Situation(disabled=())).get("rung") != "reset"


def test_a_server_is_never_told_to_allow_an_upgrade() -> None:
    server = look({"host.product_type": "server"})
    assert active(find(server, [failed("upgrade", 0xC1900101)])) == {"0xC1900101@upgrade": "owner admin"}


def test_an_upgrade_that_was_allowed_already_asks_for_what_else_can_help() -> None:
    allowed = look({"upgrade.osupgrade": {"AllowOSUpgrade": 1}})
    assert active(find(allowed, [failed("upgrade", 0xC1900101)])) == {"0xC1900101@upgrade": "rung drivers"}


def test_a_server_that_cannot_be_reached_belongs_to_whoever_is_the_source() -> None:
    timeout = [failed("scan", 0x80072EE2)]
    assert active(find(look(WSUS), timeout)) == {"0x80072EE2@scan": "owner wsus"}
    proxy = {"sources.endpoints": [{"role": "proxy", "host": "p", "port": 8080, "ok": True, "ms": 1, "error": None}]}
    assert active(find(look(proxy), timeout)) == {"0x80072EE2@scan": "owner proxy"}


def test_policy_codes_name_the_policy_and_its_owner() -> None:
    denied = [failed("scan", 0x8024002E)]
    by_policy = find(look({"policy.wu": {"DisableWindowsUpdateAccess": 1}}), denied)
    assert "DisableWindowsUpdateAccess = 1" in next(item for item in by_policy if item.code).meaning
    by_mdm = find(look({"policy.mdm": {"AllowUpdateService": 0}}), denied)
    assert set(active(by_mdm).values()) == {"owner management"}


def test_markers_without_a_code_are_routed_too() -> None:
    found = find(look(), [failed("store", marker="sr_cannot_repair"), failed("scan", marker="proxy_credentials")])
    assert active(found) == {"sr_cannot_repair@store": "rung troubleshoot", "proxy_credentials@scan": "owner proxy"}


# --- one finding for one failure ---


def test_a_failure_in_several_logs_is_one_finding() -> None:
    records = [
        failed("scan", 0x80070002, 9, source="reporting", count=3, first=NOW - 30 * HOUR),
        failed("scan", 0x80070002, 2, source="event:WU/25", count=2),
    ]
    (item,) = [item for item in find(look({"sources.last_search": NOW - 2 * DAY}), records) if item.active]
    assert (item.count, item.first_seen, item.last_seen) == (3, NOW - 30 * HOUR, NOW - 2 * HOUR)
    assert item.to_dict()["answer"] == {"rung": "reset"}
    assert "order" not in item.to_dict()


def test_a_live_failure_comes_first() -> None:
    found = find(look(), [failed("scan", 0x80072EE2, 0.1), scanned(0x80070002)])
    assert found[0].code == "0x80070002"


def test_history_stays_in_the_list_behind_what_counts() -> None:
    found = find(look(), [failed("scan", 0x80248007, 6), failed("install", 0x80070070, 30)])
    assert [item.active for item in found] == [True, False]
    assert found[1].overtaken_by == "a later successful search"


# --- what makes a failure history ---


def test_a_later_search_overtakes_a_failed_search_and_nothing_else() -> None:
    records = [failed("scan", 0x80070002, 8), failed("download", 0x80246010, 8), worked("scan", 6)]
    assert active(find(look(), records)) == {"0x80246010@download": "rung reset"}


def test_a_search_before_the_failure_overtakes_nothing() -> None:
    old = look({"sources.last_search": NOW - 5 * DAY})
    assert active(find(old, [worked("scan", 9), failed("scan", 0x80070002, 8)])) == {"0x80070002@scan": "rung reset"}


def test_a_live_search_that_succeeds_overtakes_every_failed_search() -> None:
    future = failed("scan", 0x80070002, -48)
    assert active(find(look(), [future, failed("scan", 0x80072EE2, 0.01), scanned()])) == {}


def test_an_installation_is_overtaken_by_the_same_update_alone() -> None:
    broken = failed("install", 0x80070002, 20, update="aaaa")
    assert active(find(look(), [broken, worked("install", 2, update="bbbb")])) != {}
    assert active(find(look(), [broken, worked("install", 2, update="{AAAA}")])) == {}


def test_a_new_revision_of_the_same_article_overtakes_the_old_one() -> None:
    broken = failed("install", 0x80070002, 20, update="aaaa", text="Cumulative Update (KB5099002)")
    package = worked("install", 2, update="Package_for_KB5099002~31bf3856ad364e35~amd64~~1.0")
    other = worked("install", 2, update="Package_for_KB50990023~31bf3856ad364e35~amd64~~1.0")
    assert active(find(look(), [broken, package])) == {}
    assert active(find(look(), [broken, other])) != {}


def test_a_cache_made_anew_overtakes_what_was_seen_in_the_old_one() -> None:
    young = {"cache.folders": [folder("SoftwareDistribution", data_store_created=NOW - HOUR), folder("catroot2")]}
    failure = failed("download", 0x80246010, 2)
    assert active(find(look(young), [failure])) == {}
    assert active(find(look(young), [failed("download", 0x80246010, 0.5)])) != {}


def test_the_creation_time_of_the_folder_itself_is_not_believed() -> None:
    tunnelled = {"cache.folders": [folder("SoftwareDistribution", created=NOW - HOUR)]}
    assert active(find(look(tunnelled), [failed("download", 0x80246010, 2)])) != {}


def test_our_own_backup_dates_the_reset() -> None:
    name = "SoftwareDistribution.wu_repair-20251124T150000Z-1a2b3c"
    time = situation.backup_time(name)
    assert time is not None
    renewed = {
        "cache.folders": [folder("SoftwareDistribution", data_store=False, data_store_created=None, backups=[name])]
    }
    before, after = [failed("download", 0x80246010, time=time + delta) for delta in (-60, 60)]
    assert active(find(look(renewed), [before])) == {}
    assert active(find(look(renewed), [after])) == {"0x80246010@download": "rung reset"}


def test_a_reset_does_not_overtake_damage_of_the_component_store() -> None:
    young = {"cache.folders": [folder("SoftwareDistribution", data_store_created=NOW - HOUR), folder("catroot2")]}
    assert active(find(look(young), [failed("store", 0x80070002, 2)])) == {"0x80070002@store": "rung troubleshoot"}


def test_the_same_failure_after_our_reset_climbs_on() -> None:
    name = "SoftwareDistribution.wu_repair-20251124T150000Z-1a2b3c"
    time = situation.backup_time(name)
    assert time is not None
    host = look(
        {
            "cache.folders": [folder("SoftwareDistribution", data_store_created=None, backups=[name])],
            "sources.last_search": time - 9 * DAY,
            "sources.last_install": None,
        }
    )
    before, after = [failed("scan", 0x80070002, time=time + delta) for delta in (-60, 60)]
    assert active(find(host, [before, after])) == {"0x80070002@scan": "rung troubleshoot"}
    assert active(find(host, [before, worked("scan", 0, time=time + 30), after])) == {"0x80070002@scan": "rung reset"}


def test_a_failure_of_the_future_is_history_once_the_clock_is_right() -> None:
    future = failed("scan", 0x80070002, -48)
    assert active(find(look(), [future])) == {}
    off = {"clock.sources": [source(offset_ms=7 * 3600_000)]}
    assert "0x80070002@scan" in active(find(look(off, controller_ms=7 * 3600_000), [future]))


def test_a_restart_since_overtakes_what_asked_for_one() -> None:
    assert active(find(look(), [failed("install", 0x80242014, 1)])) == {"0x80242014@install": "wait restart"}
    assert active(find(look({"host.boot_time": NOW - HOUR // 2}), [failed("install", 0x80242014, 1)])) == {}


def test_what_a_restart_did_not_cure_asks_for_the_next_remedy() -> None:
    restarted = look({"host.boot_time": NOW - HOUR // 2})
    assert active(find(restarted, [failed("install", 0x80070643, 1)])) == {"0x80070643@install": "rung troubleshoot"}


def test_what_should_pass_by_itself_and_did_not_is_for_somebody() -> None:
    first = failed("scan", 0x80244010, 1, first=NOW - 3 * DAY)
    assert active(find(look(WSUS | {"sources.last_search": NOW - 4 * DAY}), [first])) == {
        "0x80244010@scan": "owner wsus"
    }


def test_a_log_in_an_unknown_zone_is_not_overtaken_by_what_may_be_older() -> None:
    local = failed("scan", 0x80070002, 10, local_time=True)
    assert active(find(look({"sources.last_search": NOW - 5 * HOUR}), [local])) != {}
    assert active(find(look({"sources.last_search": NOW + 5 * HOUR}), [local])) == {}
    known = failed("install", 0x80070002, 10, update="a")
    assert active(find(look(), [known, worked("install", 1, update="a", local_time=True)])) != {}
    assert active(find(look(), [known, worked("install", -5, update="a", local_time=True)])) == {}


def test_errors_of_set_up_count_only_beside_a_failed_upgrade() -> None:
    log = failed("upgrade", 0x80070002, 1, source="setup")
    assert active(find(look(), [log])) == {}
    assert "0x80070002@upgrade" in active(find(look(), [log, failed("upgrade", 0xC1900101)]))
    assert active(findings.from_records([log], SETTINGS, NOW)) == {"0x80070002@upgrade": "rung osupgrade"}


def test_services_that_updates_do_not_need_may_fail() -> None:
    assert active(find(look(), [failed("service", update="Spooler", marker="service_failed")])) == {}
    assert active(find(look(), [failed("service", marker="service_failed")])) == {}


# --- services ---


@pytest.mark.parametrize("name", ["wuauserv", "BITS", "CryptSvc", "UsoSvc", "DoSvc", "msiserver"])
def test_a_disabled_update_service_asks_for_a_reset(name: str) -> None:
    assert active(find(look(services(**{name: 4})))) == {f"service_disabled:{name}": "rung reset"}


@pytest.mark.parametrize("start", [2, 3])
def test_any_other_start_type_may_be_meant(start: int) -> None:
    starts = dict.fromkeys(("wuauserv", "BITS", "CryptSvc", "UsoSvc", "DoSvc", "msiserver", "wlidsvc"), start)
    assert active(find(look(services(**starts)))) == {}


def test_protected_services_are_never_for_a_rung() -> None:
    assert active(find(look(services(TrustedInstaller=4)))) == {"service_disabled:TrustedInstaller": "owner admin"}
    assert active(find(look(services(WaaSMedicSvc=4, AppIDSvc=4)))) == {}


def test_the_sign_in_assistant_counts_when_something_needs_it() -> None:
    off = look(services(wlidsvc=4))
    assert active(find(off)) == {}
    assert plan.route(find(off, [failed("install", 0x80070426)])) == ["reset"]
    assert plan.route(find(off, [failed("upgrade", 0x80070002)])) == ["osupgrade", "reset"]


def test_the_code_of_a_disabled_service_is_history_when_none_is_disabled() -> None:
    assert active(find(look(), [failed("scan", 0x80070422)])) == {}
    found = active(find(look(services(wuauserv=4)), [failed("scan", 0x80070422)]))
    assert found == {"service_disabled:wuauserv": "rung reset", "0x80070422@scan": "rung reset"}


def test_a_missing_service_is_for_a_person() -> None:
    rows = [service(name, exists=name != "wuauserv") for name in ("wuauserv", "BITS", "UsoSvc")]
    assert active(find(look({"services.services": rows}))) == {"service_missing:wuauserv": "owner admin"}


# --- the clock ---


def test_an_offset_to_its_own_source_asks_for_timesync() -> None:
    off = look({"clock.sources": [source(offset_ms=301_000)]}, controller_ms=301_000)
    assert active(find(off)) == {"clock_off": "rung timesync"}
    assert active(find(look({"clock.sources": [source(offset_ms=-299_000)]}))) == {}


def test_a_server_that_the_host_does_not_follow_does_not_judge_its_clock() -> None:
    asked = {"clock.sources": [source(), *(source(f"other{n}.example", 900_000) for n in "12")]}
    assert active(find(look(asked))) == {}


def test_the_controller_alone_does_not_judge_the_clock() -> None:
    silent = {"clock.sources": [source(offset_ms=None)]}
    host = look(silent, controller_ms=3600_000)
    assert active(find(host)) == {"clock_disagrees": "owner admin", "time_source_silent": "owner admin"}
    assert active(find(host, reference="controller"))["clock_off"] == "rung timesync"
    assert active(find(look(controller_ms=3600_000))) == {"clock_disagrees": "owner admin"}


def test_the_bound_of_the_measurement_is_in_favour_of_the_host() -> None:
    quick = look(controller_ms=310_000)
    assert "clock_disagrees" in active(find(quick))
    slow = dataclasses.replace(quick, asked_ms=(quick.asked_ms or 0) - 30_000)
    assert "clock_disagrees" not in active(find(slow))
    silent = {"clock.sources": [source(offset_ms=None)]}
    far = dataclasses.replace(look(silent, controller_ms=310_000), asked_ms=slow.asked_ms)
    assert active(find(far, [failed("scan", 0x80072F8F)])) == {"0x80072F8F@scan": "owner admin"}


def test_tls_asks_for_the_clock_unless_the_clock_is_right() -> None:
    tls = [failed("scan", 0x80072F8F)]
    assert active(find(look(), tls)) == {"0x80072F8F@scan": "owner admin"}
    assert active(find(look(WSUS), tls)) == {"0x80072F8F@scan": "owner wsus"}
    off = look({"clock.sources": [source(offset_ms=DAY * 1000)]}, controller_ms=DAY * 1000)
    assert active(find(off, tls)) == {"clock_off": "rung timesync", "0x80072F8F@scan": "rung timesync"}
    silent = {"clock.sources": [source(offset_ms=None)]}
    assert active(find(look(silent), tls)) == {"0x80072F8F@scan": "owner admin"}
    assert active(find(look(silent, controller_ms=DAY * 1000), tls))["0x80072F8F@scan"] == "rung timesync"


def test_a_time_service_without_a_source() -> None:
    off = {"clock.type": "NoSync", "clock.servers": [], "clock.sources": []}
    assert active(find(look(off))) == {}
    assert active(find(look(off, controller_ms=DAY * 1000)))["time_source_none"] == "rung timesync"
    owned = off | {"clock.policy": {"Type": "NoSync"}}
    assert active(find(look(owned, controller_ms=DAY * 1000)))["time_source_none"] == "owner policy"


def test_a_disabled_time_service_asks_for_timesync() -> None:
    assert active(find(look(services(W32Time=4)))) == {"service_disabled:W32Time": "rung timesync"}


# --- what comes first, and whose it is ---


def test_servicing_and_restarts_are_waited_for() -> None:
    assert active(find(look({"servicing.processes": ["TiWorker"]}))) == {"servicing_at_work": "wait servicing"}
    assert active(find(look({"servicing.in_progress": 2}))) == {"servicing_at_work": "wait servicing"}
    assert active(find(look({"servicing.in_progress": 1}))) == {}
    assert active(find(look({"reboot.markers": ["wu_reboot_required"]}))) == {"restart_pending": "wait restart"}


@pytest.mark.parametrize(
    "marker", ["file_renames", "cbs_packages_pending", "wu_post_reboot_reporting", "dvd_reboot_signal"]
)
def test_weak_markers_alone_are_no_pending_restart(marker: str) -> None:
    assert active(find(look({"reboot.markers": [marker]}))) == {}


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({"policy.wu": {"DisableWindowsUpdateAccess": 1}}, "owner policy"),
        ({"policy.user": {"NoWindowsUpdate": 1}}, "owner policy"),
        ({"policy.au": {"UseWUServer": 1}}, "owner policy"),
        ({"policy.mdm": {"AllowUpdateService": 0}}, "owner management"),
        ({"policy.ux": {"PauseUpdatesExpiryTime": "2025-12-24T10:00:00Z"}}, "owner admin"),
        ({"policy.wu": {"PauseQualityUpdatesStartTime": "2025-11-20"}}, "owner policy"),
        ({"disk.free": 1024**3}, "owner admin"),
    ],
)
def test_what_is_not_the_hosts_own_fault_has_an_owner(changes: dict[str, object], answer: str) -> None:
    assert list(active(find(look(changes))).values()) == [answer]


@pytest.mark.parametrize(
    "changes",
    [
        {"policy.wu": {"DisableWindowsUpdateAccess": 0}},
        {"policy.au": {"NoAutoUpdate": 1}},
        {"policy.ux": {"PauseUpdatesExpiryTime": "2025-10-24T10:00:00Z"}},
        {"policy.wu": {"PauseQualityUpdatesStartTime": "2025-09-20"}},
        {"policy.wu": {"PauseQualityUpdatesStartTime": 1}},
        {"policy.wu": {"PauseQualityUpdatesStartTime": "2025-99-99"}},
        {"disk.free": None},
    ],
)
def test_what_looks_like_a_policy_and_stops_nothing_is_no_finding(changes: dict[str, object]) -> None:
    assert active(find(look(changes))) == {}


def test_an_endpoint_that_does_not_answer_belongs_to_its_owner() -> None:
    row = {"role": "wsus", "host": "wsus", "port": 8530, "ok": False, "ms": 1500, "error": "timed out"}
    assert active(find(look({"sources.endpoints": [row]}))) == {"unreachable:wsus:wsus:8530": "owner wsus"}


def test_a_link_is_named_only_where_a_reset_would_meet_it() -> None:
    linked = look({"cache.folders": [folder("SoftwareDistribution", reparse=True)]})
    assert active(find(linked)) == {}
    assert "cache_is_link:SoftwareDistribution" in active(find(linked, [failed("download", 0x80246010)]))


# --- no failure and no success ---


def test_a_host_that_has_not_searched_is_stale() -> None:
    old = {"sources.last_search": NOW - 15 * DAY, "sources.last_install": None}
    assert active(find(look(old))) == {"stale": "wait scan"}
    assert active(find(look(old), stale_days=20)) == {}
    for layer in ("scan", "download", "install"):
        assert active(find(look(old), [worked(layer, 30)])) == {}
    assert active(find(look(old), [scanned()])) == {}


def test_what_is_not_known_is_stale_and_says_why() -> None:
    (item,) = [item for item in find(look(status={"sources": "denied"})) if item.active]
    assert (item.condition, "sources denied" in item.meaning) == ("stale", True)


def test_a_failing_search_is_not_stale_as_well() -> None:
    old = {"sources.last_search": NOW - 15 * DAY, "sources.last_install": None}
    assert active(find(look(old), [failed("scan", 0x80072EE2)])) == {"0x80072EE2@scan": "owner admin"}


# --- the document as it comes from a host ---


def _document(**sections: Any) -> dict[str, Any]:
    document = look().to_document()
    for name, data in sections.items():
        document["sections"][name] = {"status": "ok", "ms": 1, "why": None, "data": data}
    return document


def _event(event: int, hours_ago: float, **data: str) -> dict[str, Any]:
    return {
        "channel": "Microsoft-Windows-WindowsUpdateClient/Operational",
        "provider": "Microsoft-Windows-WindowsUpdateClient",
        "id": event,
        "time": NOW - int(hours_ago * HOUR),
        "record": 1,
        "data": data,
    }


def test_a_healthy_document_asks_for_nothing() -> None:
    assert active(findings.find(evidence.parse(_document()), SETTINGS)) == {}


def test_a_lost_data_store_is_read_out_of_events_and_history() -> None:
    old = {"services": None, "last_search": NOW - 3 * DAY, "last_install": NOW - 9 * DAY, "endpoints": []}
    events = {
        "records": [_event(25, 1, errorCode="0x80070002"), _event(25, 25, errorCode="0x80070002"), _event(26, 72)]
    }
    entry = {
        "time": NOW - 29 * HOUR,
        "operation": 1,
        "result": 4,
        "hresult": -2147024894,
        "title": "Update (KB5099002)",
    }
    history = {"total": 1, "entries": [{**entry, "update_id": "6f1e2d3c-0a1b-4c5d-8e9f-000000000102", "client": "x"}]}
    found = findings.find(evidence.parse(_document(sources=old, events=events, history=history)), SETTINGS)
    assert active(found) == {"0x80070002@scan": "rung reset", "0x80070002@install": "rung reset"}
    assert found[0].count == 2


def test_a_live_search_that_worked_leaves_only_the_installation() -> None:
    events = {"records": [_event(25, 1, errorCode="0x80070002"), _event(31, 2, errorCode="0x80246010")]}
    scan = {"result": 2, "hresult": 0, "count": 1, "seconds": 3, "warnings": []}
    found = findings.find(evidence.parse(_document(events=events, scan=scan)), SETTINGS)
    assert active(found) == {"0x80246010@download": "rung reset"}


def test_a_service_event_counts_for_the_services_of_updates_alone() -> None:
    rows = [
        {**_event(7000, 1, param1=name, param2="%%1058"), "provider": "Service Control Manager", "channel": "System"}
        for name in ("Print Spooler", "Windows Update")
    ]
    found = findings.find(evidence.parse(_document(events={"records": rows}, **_services(wuauserv=4))), SETTINGS)
    assert active(found) == {"service_disabled:wuauserv": "rung reset", "0x80070422@service": "rung reset"}


def _services(**starts: int) -> dict[str, Any]:
    return {"services": {"services": next(iter(services(**starts).values()))}}


def test_the_result_of_an_upgrade_that_has_been_made_since_is_history() -> None:
    diagnosis = {
        "ProfileName": "FindRollbackFailure",
        "FailureData": "Error: 0x8007000D",
        "TargetOSVersion": "10.0.22631.1",
    }
    upgrade = {"osupgrade": {}, "box_result": None, "setupdiag": diagnosis, "logs": []}
    assert active(findings.find(evidence.parse(_document(upgrade=upgrade)), SETTINGS)) == {
        "0x8007000D@upgrade": "rung osupgrade"
    }
    upgrade["setupdiag"] = diagnosis | {"TargetOSVersion": "10.0.19045.1"}
    assert active(findings.find(evidence.parse(_document(upgrade=upgrade)), SETTINGS)) == {}


# --- hints and logs alone ---


def test_a_reported_code_is_a_hint_and_never_evidence() -> None:
    found = find(look(), reported=(0x80070002,))
    assert active(found) == {}
    assert [(item.id, item.symbol) for item in found] == [("0x80070002@reported", "ERROR_FILE_NOT_FOUND")]
    seen = find(look(), [failed("scan", 0x80070002, 0.1)], reported=(0x80070002,))
    assert [item.id for item in seen] == ["0x80070002@scan"]


def test_logs_alone_are_routed_without_the_host() -> None:
    records = [failed("scan", 0x80072F8F), failed("scan", 0x80070422, update=None), failed("store", 0x800F081F)]
    found = findings.from_records(records, SETTINGS, NOW)
    assert plan.route(found) == ["timesync", "reset", "troubleshoot"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(LAYERS),
            st.sampled_from(sorted(hresult._CODES)),
            st.floats(0.1, 400),
            st.booleans(),
            st.sampled_from([None, "aaaa", "wuauserv"]),
        ),
        max_size=6,
    )
)
def test_a_reset_is_planned_only_for_what_was_seen_at_work_with_the_cache(
    seen: list[tuple[str, int, float, bool, str | None]],
) -> None:
    records = [
        failed(layer, code, hours, update=update) if not ok else worked(layer, hours, update=update)
        for layer, code, hours, ok, update in seen
    ]
    host = look()
    found = find(host, records)
    reset = plan.build("reset", host, found, {}, RUN, SETTINGS)
    if reset.steps:
        wanted = {item.area for item in found if item.id in reset.reasons}
        assert wanted <= set(routing._RESET_LAYERS)
    assert all(item.active or item.overtaken_by for item in found)


def test_a_repair_later_in_the_same_log_needs_no_zone() -> None:
    # CBS.log writes local time of an unknown zone, but the same zone on every line, and often the same second.
    broken = Record("cbs", "store", 1_700_000_000, marker="payload_corrupt", local_time=True)
    cured = Record("cbs", "store", 1_700_000_000, ok=True, marker="store_repaired", local_time=True)
    assert active(findings.from_records([broken, cured], SETTINGS)) == {}
    assert list(active(findings.from_records([cured, broken], SETTINGS))) == ["payload_corrupt@store"]


def test_a_log_of_another_service_is_explained_and_left_to_a_person() -> None:
    other = Record("event:Service Control Manager/7001", "service", 1_700_000_000, code=0x80070422, update="EventLog")
    assert active(findings.from_records([other], SETTINGS)) == {"0x80070422@service": "owner admin"}
