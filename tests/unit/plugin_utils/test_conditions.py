# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the state of the host itself says, without a code: whose it is, and when it is only worth a word."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import conditions, situation
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.evidence import Evidence
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.finding import Finding
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.observation import Observation
from unit.plugin_utils.documents import (
    BY_WSUS,
    DAY,
    HOUR,
    NOW,
    WSUS,
    active,
    failed,
    find,
    folder,
    installed,
    look,
    searched,
    service,
    services,
    source,
    worked,
)
from unit.plugin_utils.judging import judged

SILENT = {"sources.last_search": NOW - 20 * DAY, "events.records": []}
NO_SOURCE = {"clock.sources": [source(offset_ms=None)]}


def conditions_of(host: Evidence, *observations: Observation) -> dict[str, str]:
    """The conditions that count: id and answer."""
    return {
        name: answer for name, answer in active(find(host, observations)).items() if "@" not in name and name not in ("stale", "behind")
    }


def notices_of(host: Evidence, *observations: Observation) -> list[str]:
    return [item.id for item in find(host, observations) if item.notice and item.condition is not None]


def the(condition: str, host: Evidence, *observations: Observation) -> Finding:
    (item,) = [item for item in find(host, observations) if item.condition == condition]
    return item


# --- servicing and restart ---


@pytest.mark.parametrize(
    ("changes", "busy"),
    [
        # Evidence of older releases tells that it was there, which says nothing.
        ({"servicing.processes": ["TiWorker"]}, False),
        ({"servicing.processes": ["SetupHost"]}, True),
        ({"servicing.processes": [{"name": "setupprep", "busy_ms": None}]}, True),
        ({"servicing.processes": [{"name": "TiWorker", "busy_ms": 50}]}, True),
        ({"servicing.processes": [{"name": "tiworker", "busy_ms": 49}]}, False),
        ({"servicing.processes": [{"name": "TiWorker", "busy_ms": None}]}, False),
        # On a slow disk it takes a tick or two between what it writes; one that took nothing has ended.
        ({"servicing.processes": [{"name": "TiWorker", "busy_ms": 16}], "servicing.log_age": 14}, True),
        ({"servicing.processes": [{"name": "TiWorker", "busy_ms": None}], "servicing.log_age": 14}, True),
        ({"servicing.processes": [{"name": "TiWorker", "busy_ms": 16}], "servicing.log_age": 15}, False),
        ({"servicing.processes": [{"name": "TiWorker", "busy_ms": 0}], "servicing.log_age": 1}, False),
        ({"servicing.processes": [{"name": "msiexec", "busy_ms": 16}], "servicing.log_age": 1}, False),
        ({"servicing.in_progress": 2}, True),
        ({"servicing.in_progress": 1}, False),
        ({"servicing.in_progress": 0}, False),
        ({"servicing.setup_in_progress": True}, True),
        ({"servicing.upgrade_in_progress": True}, True),
        ({"servicing.processes": ["msiexec"]}, False),
        ({"servicing.installer_in_progress": True}, False),
        ({"servicing.installer_in_progress": True, "servicing.processes": ["MsiExec"]}, False),
        ({"servicing.installer_in_progress": True, "servicing.processes": [{"name": "MsiExec", "busy_ms": 900}]}, True),
        ({"servicing.processes": [{"name": "notepad", "busy_ms": 900}]}, False),
    ],
)
def test_servicing_at_work_is_waited_for(changes: dict[str, Any], busy: bool) -> None:
    assert (conditions_of(look(changes)) == {"servicing_at_work": "wait servicing"}) is busy
    assert (judged(look(changes), failed("scan", 0x80070002)).verdict.name == "busy") is busy


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        ({"servicing.setup_in_progress": True}, "restart the host, then set HKLM\\SYSTEM\\Setup: SystemSetupInProgress = 0."),
        ({"servicing.upgrade_in_progress": True}, "restart the host, then set HKLM\\SYSTEM\\Setup: UpgradeInProgress = 0."),
        ({"servicing.in_progress": 2}, "if it says the same tomorrow restart the host."),
        ({"servicing.setup_in_progress": True, "servicing.processes": ["SetupHost"]}, "Leave the host alone and run this again later."),
        ({"servicing.processes": [{"name": "msiexec", "busy_ms": 900}]}, "Leave the host alone and run this again later."),
    ],
)
def test_a_value_alone_that_says_work_is_not_waited_for_without_end(changes: dict[str, Any], step: str) -> None:
    verdict = judged(look(changes)).verdict
    assert (verdict.name, verdict.next_step.endswith(step), step in verdict.msg) == ("busy", True, True)


def test_servicing_in_progress_1_waits_for_a_restart() -> None:
    host = look({"servicing.in_progress": 1})
    assert conditions_of(host) == {"restart_pending": "wait restart"}
    judged_as = judged(host, failed("scan", 0x80070002)).verdict
    assert (judged_as.name, "for component servicing" in judged_as.msg) == ("restart_required", True)


def test_a_session_that_keeps_all_others_waiting() -> None:
    host = look({"servicing.exclusive": 1})
    assert (conditions_of(host), notices_of(host)) == ({}, ["servicing_exclusive"])
    assert conditions_of(host, failed("install", 0x80073712)) == {"servicing_exclusive": "owner admin"}
    assert "Exclusive = 0" in the("servicing_exclusive", host).next_step
    # One that is at work, or waits for its restart, is as it shall be.
    for more in ({"servicing.in_progress": 2}, {"reboot.markers": ["cbs_reboot_pending"]}, {"servicing.exclusive": 0}):
        assert "servicing_exclusive" not in {item.condition for item in find(look({"servicing.exclusive": 1} | more))}


def test_a_file_of_local_policy_that_is_damaged() -> None:
    host = {"policy.pol_damaged": True}
    assert notices_of(look(host)) == ["policy_file_damaged"]
    assert conditions_of(look(host | SILENT), failed("scan", 0x8024401C)) == {"policy_file_damaged": "owner policy"}
    assert "gpupdate" in the("policy_file_damaged", look(host)).next_step


@pytest.mark.parametrize(
    ("policy", "off"),
    [
        ({}, False),
        ({"policy.protocols": 0}, False),
        ({"policy.protocols": 0xA80}, False),
        ({"policy.protocols": 0x2000}, False),
        ({"policy.protocols": 0x280}, True),
        ({"policy.tls": {"Enabled": 0}}, True),
        ({"policy.tls": {"DisabledByDefault": 1}, "policy.protocols": 0x800}, True),
    ],
)
def test_a_host_that_may_not_speak_tls_1_2(policy: dict[str, Any], off: bool) -> None:
    assert situation.is_tls12_off(look(policy).policy) is off
    assert not off or "DefaultSecureProtocols" in judged(look(policy), failed("scan", 0x80072F8F)).verdict.next_step


def test_what_a_cut_off_installation_left_is_told_beside_all_else() -> None:
    host = look({"servicing.installer_in_progress": True})
    notice = the("installer_cut_off", host)
    assert (notice.notice, "Installer\\InProgress" in notice.next_step) == (True, True)
    assert judged(host).verdict.name == "healthy"
    at_work = look({"servicing.installer_in_progress": True, "servicing.processes": [{"name": "msiexec", "busy_ms": 900}]})
    assert "installer_cut_off" not in {item.condition for item in find(at_work)}


@pytest.mark.parametrize("marker", sorted(conditions.STRONG_REBOOT))
def test_a_strong_marker_is_a_pending_restart(marker: str) -> None:
    item = the("restart_pending", look({"reboot.markers": ["file_renames", marker]}))
    assert (dict(item.answer), item.pending, item.meaning.count("(for "), marker in item.meaning) == ({"wait": "restart"}, True, 1, False)


@pytest.mark.parametrize(
    "marker",
    ["file_renames", "cbs_packages_pending", "wu_post_reboot_reporting", "dvd_reboot_signal", "wu_services_pending", "update_exe_volatile"],
)
def test_a_weak_marker_alone_is_none(marker: str) -> None:
    assert conditions_of(look({"reboot.markers": [marker]})) == {}


# --- policy ---


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        (SILENT | {"policy.wu": {"DisableWindowsUpdateAccess": 1}}, "owner policy"),
        (SILENT | {"policy.user": {"NoWindowsUpdate": 1}}, "owner policy"),
        (SILENT | {"policy.au": {"UseWUServer": 1}}, "owner policy"),
        (SILENT | {"policy.mdm": {"AllowUpdateService": 0}}, "owner management"),
        (SILENT | {"policy.wu": {"WUServer": "http://127.0.0.1:8530"}, "policy.au": {"UseWUServer": 1}}, "owner policy"),
        (SILENT | {"policy.wu": {"WUServer": "http://localhost"}, "policy.au": {"UseWUServer": 1}}, "owner policy"),
        ({"disk.free": 1024**3}, "owner admin"),
    ],
)
def test_what_is_not_the_hosts_own_fault_has_an_owner_and_blocks(changes: dict[str, Any], answer: str) -> None:
    host = look(changes)
    assert list(conditions_of(host).values()) == [answer]
    assert judged(host, failed("download", 0x80246010)).verdict.name == "needs_action"


def test_a_wsus_without_a_name_decides_whatever_code_stands_beside_it() -> None:
    # Preparation tools write a space (parsec-cloud/Parsec-Cloud-Preparation-Tool#73).
    host = look(SILENT | {"policy.wu": {"WUServer": " "}, "policy.au": {"UseWUServer": 1}})
    verdict = judged(host, failed("scan", 0x80240438, 26), failed("scan", 0x80240438)).verdict
    assert (verdict.owner, verdict.why) == ("policy", "policy_incomplete")


@pytest.mark.parametrize(
    "changes",
    [
        {"policy.wu": {"DisableWindowsUpdateAccess": 1}},
        {"policy.mdm": {"AllowUpdateService": 0}},
        {"policy.au": {"UseWUServer": 1}},
    ],
)
def test_a_policy_beside_searches_that_go_well_turns_nothing_off(changes: dict[str, Any]) -> None:
    # A host that may not ask Microsoft is served by its WSUS all the same, and one search in 22 hours is enough.
    missed = {"events.records": [searched(30)], "sources.last_search": NOW - 30 * HOUR}
    for host in (look(changes), look(changes | missed)):
        assert (conditions_of(host), judged(host).verdict.name) == ({}, "healthy")
        assert len([item for item in find(host) if item.notice and item.layer == "policy"]) == 1
    assert judged(look(changes), failed("install", 0x80073712)).verdict.why == "0x80073712"
    assert judged(look(changes), failed("scan", 0x8024002E)).verdict.owner in ("policy", "management")


@pytest.mark.parametrize(
    "changes",
    [
        {"policy.wu": {"DisableWindowsUpdateAccess": 0}},
        {"policy.au": {"NoAutoUpdate": 1}},
        {"policy.wu": {"WUServer": "http://wsus:8530"}},
        {"policy.ux": {"PauseUpdatesExpiryTime": "2025-10-24T10:00:00Z"}},
        {"policy.wu": {"PauseQualityUpdatesStartTime": "2025-09-20"}},
        {"policy.wu": {"PauseQualityUpdatesStartTime": 1}},
        {"policy.wu": {"PauseQualityUpdatesStartTime": "2025-99-99"}},
        {"disk.free": None},
        {"disk.free": 4 * 1024**3},
    ],
)
def test_what_looks_like_a_policy_and_stops_nothing_is_no_finding(changes: dict[str, Any]) -> None:
    assert find(look(changes)) == []


@pytest.mark.parametrize(
    ("changes", "who"),
    [
        ({"policy.ux": {"PauseUpdatesExpiryTime": "2025-12-24T10:00:00Z"}}, "a person until 2025-12-24"),
        ({"policy.wu": {"PauseQualityUpdatesStartTime": "2025-11-20"}}, "a policy until 2025-12-25"),
        ({"policy.mdm": {"PauseQualityUpdatesStartTime": "2025-11-20"}}, "device management until 2025-12-25"),
    ],
)
def test_a_pause_is_told_and_no_fault(changes: dict[str, Any], who: str) -> None:
    result = judged(look(changes))
    assert (result.verdict.name, who in result.verdict.msg) == ("healthy", True)


@pytest.mark.parametrize(
    ("changes", "code", "layer", "owner"),
    [
        ({"policy.wu": {"DODownloadMode": 100}}, 0x80D03002, "download", "policy"),
        ({"policy.wu": {"DODownloadMode": 100}}, 0x80D03002, "install", "policy"),
        ({"policy.mdm": {"DODownloadMode": 100}}, 0x80072EE2, "download", "management"),
        # It passes Delivery Optimization by on purpose, and no download fails; simple; Windows 10 may.
        ({"policy.wu": {"DODownloadMode": 100}}, 0x80073712, "install", None),
        ({"policy.wu": {"DODownloadMode": 99}}, 0x80D03002, "download", None),
        ({"policy.wu": {"DODownloadMode": 100}, "host.build": 19045}, 0x80D03002, "download", None),
    ],
)
def test_downloads_that_pass_delivery_optimization_by(changes: dict[str, Any], code: int, layer: str, owner: str | None) -> None:
    host = look({"host.build": 22631} | changes)
    found = [item for item in find(host, [failed(layer, code)]) if item.condition == "download_mode_bypass"]
    assert [(item.notice, dict(item.answer)) for item in found] == ([(True, {"owner": owner})] if owner else [])


@pytest.mark.parametrize(("ok", "hours", "blamed"), [(True, 400, False), (False, 5, False), (False, 30, True)])
def test_a_wsus_server_may_be_its_own_client(ok: bool, hours: float, blamed: bool) -> None:
    host = look({
        "policy.wu": {"WUServer": "http://localhost:8530"},
        "policy.au": {"UseWUServer": 1},
        "host.product_type": "server",
        "sources.endpoints": [{"role": "wsus", "host": "localhost", "port": 8530, "ok": ok, "ms": 3, "error": None if ok else "refused"}],
        "events.records": [],
        "sources.last_search": None,
    })  # fmt: skip
    found = conditions_of(host, worked("scan", hours, service=WSUS))
    assert ("wsus_is_nobody:localhost:8530" in found) is blamed


def test_a_configmgr_client_without_a_policy_searches_nowhere() -> None:
    lost = {"policy.configmgr": True}
    # It searches where Intune sends it, so this is not why an installation fails.
    assert conditions_of(look(lost), failed("install", 0x80070643)) == {}
    assert conditions_of(look(lost | SILENT)) == {"management_without_policy": "owner management"}
    assert conditions_of(look(lost)) == {}
    # A failed installation is no search, a failed search is told by itself.
    assert conditions_of(look(lost | SILENT), failed("install", 0x80070002)) == {"management_without_policy": "owner management"}
    assert conditions_of(look(lost | SILENT), failed("scan", 0x80072EE2)) == {}
    assert conditions_of(look(lost | SILENT | {"policy.wu": {"WUServer": "http://wsus:8530"}, "policy.au": {"UseWUServer": 1}})) == {}


# --- the clock ---


def test_an_offset_that_source_and_controller_agree_on_is_repaired() -> None:
    assert conditions_of(look({"clock.sources": [source(offset_ms=301_000)]}, controller_ms=301_000)) == {"clock_off": "repair timesync"}
    assert conditions_of(look({"clock.sources": [source(offset_ms=-299_000)]})) == {}


def test_a_server_that_the_host_does_not_follow_does_not_judge_its_clock() -> None:
    asked = {"clock.sources": [source(), *(source(f"other{number}.example", 900_000) for number in "12")]}
    assert find(look(asked)) == []


def test_only_the_source_differs() -> None:
    host = look({"clock.sources": [source(offset_ms=-3_600_000)]})
    assert (conditions_of(host), notices_of(host)) == ({}, ["clock_disagrees"])


def test_only_the_controller_differs() -> None:
    host = look(controller_ms=3_600_000)
    assert (conditions_of(host), notices_of(host)) == ({}, ["clock_disagrees"])
    assert "controller" in the("clock_disagrees", host).next_step


def test_a_silent_source_is_told_by_its_name_and_not_followed() -> None:
    host = look(NO_SOURCE, controller_ms=3_600_000)
    assert conditions_of(host) == {"clock_disagrees": "owner admin", "time_source_silent": "owner admin"}
    assert "UDP 123" in the("clock_disagrees", host).next_step
    assert "time.windows.com" in the("clock_disagrees", host).next_step
    assert judged(host).verdict.repairs == ()


def test_no_firewall_is_in_the_way_of_a_source_that_is_not_named() -> None:
    host = look({"clock.type": "NoSync", "clock.sources": []}, controller_ms=600_000)
    found = the("clock_disagrees", host)
    assert ("UDP" in found.next_step, "did not answer" in found.meaning) == (False, False)
    assert found.next_step.startswith("Give W32Time a time source that answers")
    # A domain controller has a source, but a look does not know it.
    follower = look({"clock.type": "NT5DS", "clock.sources": [], "host.domain_role": 4}, controller_ms=600_000)
    assert "w32tm /monitor" in the("clock_disagrees", follower).next_step


def test_three_clocks_with_three_times_are_for_a_person() -> None:
    host = look({"clock.sources": [source(offset_ms=7_200_000)]}, controller_ms=3_600_000)
    assert conditions_of(host) == {"clock_disagrees": "owner admin"}


def test_the_controller_is_believed_where_the_user_says_so() -> None:
    host = look(NO_SOURCE, controller_ms=3_600_000)
    assert active(find(host, reference="controller"))["clock_off"] == "repair timesync"
    assert "clock_disagrees" not in active(find(host, reference="controller"))


def test_a_time_service_without_a_source() -> None:
    off = {"clock.type": "NoSync", "clock.servers": [], "clock.sources": []}
    assert (conditions_of(look(off)), notices_of(look(off))) == ({}, ["time_source_none"])
    assert conditions_of(look(off, controller_ms=DAY * 1000))["time_source_none"] == "repair timesync"
    owned = off | {"clock.policy": {"Type": "NoSync"}}
    assert conditions_of(look(owned, controller_ms=DAY * 1000))["time_source_none"] == "owner policy"
    domain = off | {"clock.type": "NT5DS"}
    assert "time_source_none" in conditions_of(look(domain, controller_ms=DAY * 1000))
    assert "time_source_none" not in conditions_of(look(domain | {"host.domain_role": 1}, controller_ms=DAY * 1000))


def test_a_disabled_time_service_is_a_fault_beside_a_wrong_clock_alone() -> None:
    off = look(services(W32Time=4))
    assert (conditions_of(off), notices_of(off)) == ({}, ["service_disabled:W32Time"])
    assert "VMware Tools" in the("service_disabled", off).meaning
    # A clock that is right is no reason for a failure of TLS: whoever keeps it right is left alone.
    assert "service_disabled:W32Time" not in conditions_of(off, failed("scan", 0x80072F8F))
    assert conditions_of(look(services(W32Time=4) | NO_SOURCE, controller_ms=DAY * 1000))["service_disabled:W32Time"] == "repair timesync"


@pytest.mark.parametrize(
    ("role", "kind", "answer"),
    [
        (1, "NTP", "repair timesync"),
        (3, "NTP", "repair timesync"),
        (5, "NTP", "owner admin"),
        (0, "NTP", "owner admin"),
        (1, "NT5DS", "owner admin"),
    ],
)
def test_who_can_name_another_source(role: int, kind: str, answer: str) -> None:
    host = look(NO_SOURCE | {"host.domain_role": role, "clock.type": kind}, controller_ms=DAY * 1000)
    assert conditions_of(host)["time_source_silent"] == answer


UNFIT = [{**source(offset_ms=None), "error": "unfit: not synchronised"}]
TIME = "Microsoft-Windows-Time-Service"


def said(number: int, minutes_ago: float) -> dict[str, Any]:
    """An event of W32Time."""
    return {"provider": TIME, "channel": "System", "id": number, "time": NOW - int(60 * minutes_ago), "record": 1, "data": {}}


def status(minutes_ago: float = 60, since_s: int | None = 300, **more: Any) -> dict[str, Any]:
    """Event 260."""
    given = {"leap": 0, "stratum": 4, "reference": "0x0A000001 (source IP: 10.0.0.1)", "source": "dc1.corp.example", "poll": 15, **more}
    return {"clock.status": {"time": NOW - int(60 * minutes_ago), "since_s": since_s, **given}}


@pytest.mark.parametrize(
    ("changes", "silent"),
    [
        ({}, True),
        # A stand-alone host or member asks at least every 2**15 s, one with the flag 0x1 by SpecialPollInterval.
        ({"events.records": [said(35, 60)]}, False),
        ({"events.records": [said(37, 500)], "clock.servers": ["time.windows.com"]}, False),
        ({"events.records": [said(37, 560)], "clock.servers": ["time.windows.com"]}, True),
        ({"events.records": [said(37, 16)], "clock.special_poll": 900}, True),
        ({"events.records": [said(37, 14)], "clock.special_poll": 900}, False),
        ({"events.records": [said(37, 16)], "clock.max_poll": 6, "clock.servers": ["a"], "clock.sources": [source("a", None)]}, True),
        # It lost its source since.
        ({"events.records": [said(47, 10), said(35, 60)]}, True),
        ({"events.records": [said(35, 10), said(47, 60)]}, False),
        # Dated in the future: by the clock of another time.
        ({"events.records": [said(35, -20)]}, True),
        (status(), False),
        (status(since_s=None), True),
        (status(minutes_ago=500, since_s=4000), True),
        (status(poll=10), True),
        (status(minutes_ago=1, since_s=600, poll=10), False),
        (status(leap=3), True),
        (status(stratum=0), True),
        (status(stratum=1, reference="0x4C4F434C (source name: LOCL)"), True),
    ],
)
def test_silent_to_us_is_not_silent_where_w32time_synchronised(changes: dict[str, Any], silent: bool) -> None:
    host = look({**NO_SOURCE, "clock.servers": ["time.windows.com,0x9"], **changes})
    assert ("time_source_silent" in notices_of(host)) is silent
    wrong = look({**NO_SOURCE, "clock.servers": ["time.windows.com,0x9"], **changes}, controller_ms=2 * HOUR * 1000)
    assert ("time_source_silent" in conditions_of(wrong)) is silent
    finding = the("clock_disagrees", wrong)
    assert ("Open UDP 123" in finding.next_step) is silent
    assert ("W32Time says that it synchronised" in finding.meaning) is not silent


def test_who_asks_from_another_port_than_w32time_says_so() -> None:
    running = [service("W32Time", state="running")]
    host = look({**NO_SOURCE, "services.services": running}, controller_ms=DAY * 1000)
    assert "answered us, who ask from another port than W32Time" in the("time_source_silent", host).meaning
    assert "answered:" in the("time_source_silent", look(NO_SOURCE, controller_ms=DAY * 1000)).meaning


def test_a_source_that_is_unfit_is_not_silent() -> None:
    host = look({"clock.sources": UNFIT}, controller_ms=DAY * 1000)
    assert conditions_of(host) == {"clock_disagrees": "owner admin", "time_source_unfit": "owner admin"}
    assert "not synchronised" in the("time_source_unfit", host).meaning
    assert "UDP" not in the("time_source_unfit", host).next_step + the("clock_disagrees", host).next_step
    assert notices_of(look({"clock.sources": UNFIT})) == ["time_source_unfit"]
    tls = [item for item in find(host, (failed("scan", 0x80072F8F),)) if item.code == "0x80072F8F"]
    assert (tls[0].answer, "UDP" in tls[0].next_step) == ({"owner": "admin"}, False)
    one_answers = look({"clock.servers": ["a", "b"], "clock.sources": [{**UNFIT[0], "server": "a"}, source("b")]})
    assert notices_of(one_answers) == []


def test_a_domain_controller_is_slewed_once_it_was_resynchronised() -> None:
    role = {"host.domain_role": 4, "host.product_type": "domain_controller", "clock.max_slew": 300}
    host = look({**role, "clock.sources": [source(offset_ms=120_000)]}, controller_ms=120_000)
    assert active(find(host, max_skew_s=60))["clock_off"] == "repair timesync"
    later = [item for item in find(host, max_skew_s=60, repaired=(("timesync", NOW - 60),)) if item.condition == "clock_off"]
    assert later[0].answer == {"wait": "retry"}
    assert "being slewed" in later[0].meaning
    member = look({"host.domain_role": 3, "clock.max_slew": 300, "clock.sources": [source(offset_ms=120_000)]}, controller_ms=120_000)
    assert active(find(member, max_skew_s=60, repaired=(("timesync", NOW - 60),)))["clock_off"] == "repair timesync"


GUEST = [service("W32Time"), {**service("W32Time", 3, "running"), "name": "vmictimesync"}]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"clock.seeding": 1}, ["UtilizeSslTimeData"]),
        ({"clock.seeding": 0}, []),
        ({}, ["UtilizeSslTimeData"]),
        ({"host.product_type": "server", "host.build": 26100}, []),
        ({"host.product_type": "server", "host.build": 20348}, ["UtilizeSslTimeData"]),
        ({"clock.seeding": 0, "services.services": GUEST}, ["vmictimesync"]),
        ({"clock.seeding": 0, "services.services": GUEST, "clock.hypervisor": 0}, []),
        ({"clock.seeding": 1, "services.services": GUEST}, ["vmictimesync", "UtilizeSslTimeData"]),
        ({"clock.seeding": 1, **services(W32Time=4)}, []),
    ],
)
def test_who_else_moves_a_clock_is_named_where_it_is_wrong(changes: dict[str, Any], named: list[str]) -> None:
    host = look({"clock.sources": [source(offset_ms=HOUR * 1000)], **changes}, controller_ms=HOUR * 1000)
    step = the("clock_off", host).next_step
    assert [name for name in ("vmictimesync", "UtilizeSslTimeData") if name in step] == named


# --- services ---


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("wuauserv", "repair reset"),
        ("BITS", "repair reset"),
        ("CryptSvc", "repair reset"),
        ("UsoSvc", "repair reset"),
        ("TrustedInstaller", "owner admin"),
    ],
)
def test_a_needed_service_that_is_disabled_beside_a_failure_is_a_fault(name: str, answer: str) -> None:
    off = look(services(**{name: 4}))
    assert (conditions_of(off), notices_of(off)) == ({}, [f"service_disabled:{name}"])
    assert conditions_of(off, failed("scan", 0x80070422))[f"service_disabled:{name}"] == answer


@pytest.mark.parametrize("other", [(), (failed("store", 0x80073712, 9),), (failed("install", 0x800F0922, 30),)])
def test_a_disabled_service_on_a_silent_host_is_a_fault(other: tuple[Observation, ...]) -> None:
    assert conditions_of(look(services(BITS=4) | SILENT), *other)["service_disabled:BITS"] == "repair reset"


@pytest.mark.parametrize("name", ["DoSvc", "msiserver", "AppIDSvc", "wlidsvc"])
def test_a_service_that_few_updates_need_counts_beside_its_own_failure(name: str) -> None:
    off = look(services(**{name: 4}))
    assert conditions_of(off, failed("scan", 0x80244022)) == {}
    assert f"service_disabled:{name}" in conditions_of(off, failed("scan", 0x80070422))


def test_a_service_that_no_update_needs_is_told_and_no_fault() -> None:
    """The images of GitHub's runners have WaaSMedicSvc disabled; a disabled wuauserv beside it is what searches fail for."""
    off = look(services(WaaSMedicSvc=4, wuauserv=4))
    assert conditions_of(off, failed("scan", 0x80070422)) == {"service_disabled:wuauserv": "repair reset"}
    assert "service_disabled:WaaSMedicSvc" in notices_of(off, failed("scan", 0x80070422))


def test_the_sign_in_assistant_counts_for_an_upgrade() -> None:
    assert "service_disabled:wlidsvc" in conditions_of(look(services(wlidsvc=4)), failed("upgrade", 0xC1900101, marker="final"))


@pytest.mark.parametrize("policy", [{"policy.au": {"NoAutoUpdate": 1}}, {"policy.wu": {"DisableWindowsUpdateAccess": 1}}])
def test_a_service_that_a_policy_keeps_off_is_the_policy_owners(policy: dict[str, Any]) -> None:
    host = look(services(wuauserv=4) | SILENT | policy)
    item = the("service_disabled", host)
    assert (dict(item.answer), item.blocking) == ({"owner": "policy"}, True)
    assert judged(host).verdict.repairs == ()


@pytest.mark.parametrize("start", [2, 3])
def test_any_other_start_type_may_be_meant(start: int) -> None:
    starts = dict.fromkeys(("wuauserv", "BITS", "DoSvc", "msiserver", "wlidsvc"), start)
    assert conditions_of(look(services(**starts)), failed("scan", 0x80244022)) == {}


def rows(*changed: dict[str, Any]) -> dict[str, Any]:
    """The service table with some rows changed."""
    names = {row["name"] for row in changed}
    kept = [
        service(name) for name in ("wuauserv", "BITS", "CryptSvc", "UsoSvc", "DoSvc", "TrustedInstaller", "W32Time") if name not in names
    ]
    return {"services.services": [*kept, *changed]}


def test_an_automatic_service_that_does_not_run_is_started() -> None:
    stopped = rows(service("CryptSvc", state="stopped"))
    assert conditions_of(look(stopped)) == {"service_stopped:CryptSvc": "repair reset"}
    assert conditions_of(look(stopped | {"host.boot_time": NOW - 500})) == {}
    assert conditions_of(look(stopped | {"host.boot_time": NOW - 700})) != {}
    assert conditions_of(look(stopped | {"host.boot_time": None})) == {}


@pytest.mark.parametrize(
    "row",
    [
        {**service("UsoSvc", state="stopped"), "trigger": True},
        service("UsoSvc", state="start_pending"),
        service("UsoSvc", start=3, state="stopped"),
        service("BITS", start=2, state="stopped"),
        service("DoSvc", start=2, state="stopped"),
        # It ends when it has nothing to do, where it has no trigger (Server 2016), too.
        {**service("DoSvc", start=2, state="stopped"), "trigger": False},
    ],
)
def test_what_windows_starts_when_it_is_needed_may_stand(row: dict[str, Any]) -> None:
    assert conditions_of(look(rows(row))) == {}


def test_a_service_that_waits_for_an_installation_may_stand() -> None:
    waits = look(rows(service("UsoSvc", state="stopped")) | {"servicing.in_progress": 1})
    assert conditions_of(waits) == {"restart_pending": "wait restart"}
    assert conditions_of(look(rows(service("UsoSvc", state="stopped")))) == {"service_stopped:UsoSvc": "repair reset"}


@pytest.mark.parametrize(
    ("name", "missing"), [("wuauserv", True), ("BITS", True), ("TrustedInstaller", True), ("DoSvc", False), ("UsoSvc", False)]
)
def test_a_service_that_is_gone_is_for_a_person(name: str, missing: bool) -> None:
    host = look(rows(service(name, exists=False)))
    assert (conditions_of(host) == {f"service_missing:{name}": "owner admin"}) is missing
    assert judged(host).verdict.name == ("needs_action" if missing else "healthy")


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("%SystemRoot%\\system32\\wuaueng.dll", True),
        ("C:\\WINDOWS\\System32\\wuaueng.dll", True),
        ("%windir%\\System32\\WUAUENG.DLL", True),
        ("C:\\Windows\\System32\\wuaueng.dll.bak", False),
        ("C:\\Users\\Public\\wuaueng.dll", False),
        ("C:\\Windows\\System32\\other\\wuaueng.dll", False),
        (None, True),
    ],
)
def test_a_service_runs_what_windows_ships(path: str | None, known: bool) -> None:
    host = look(rows({**service("wuauserv"), "service_dll": path}))
    assert (conditions_of(host) == {}) is known
    if not known:
        assert (judged(host).verdict.name, judged(host).verdict.owner) == ("needs_action", "admin")
        assert "wuaueng.dll" in the("service_program", host).next_step


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("%systemroot%\\system32\\svchost.exe -k netsvcs -p", True),
        ('"C:\\Windows\\system32\\svchost.exe" -k netsvcs', True),
        ("\\SystemRoot\\System32\\svchost.exe -k netsvcs", True),
        ("\\\\?\\C:\\Windows\\System32\\svchost.exe -k netsvcs", True),
        ("%windir%\\system32\\svchost.exe -k netsvcs", True),
        ("C:\\Windows\\Temp\\svchost.exe -k netsvcs", False),
        ("C:\\Windows\\System32\\svchost2.exe", False),
    ],
)
def test_a_service_is_run_by_what_windows_ships(path: str, known: bool) -> None:
    assert (conditions_of(look(rows({**service("UsoSvc"), "image_path": path}))) == {}) is known


def test_a_service_whose_program_is_gone_is_for_a_person() -> None:
    host = look(rows({**service("wuauserv"), "service_dll": "%SystemRoot%\\system32\\wuaueng.dll", "dll_missing": True}))
    gone = the("service_program", host, failed("service", 0x80070002, name="wuauserv"))
    assert ("there is no such file" in gone.meaning, "update disablers" in gone.next_step, gone.blocking) == (True, True, True)
    verdict = judged(host, failed("scan", 0x80070002)).verdict
    assert (verdict.name, verdict.owner) == ("needs_action", "admin")


@pytest.mark.parametrize(("account", "told"), [(None, False), ("localsystem", False), ("NT AUTHORITY\\SYSTEM", False), (".\\svc", True)])
def test_who_runs_a_service(account: str | None, told: bool) -> None:
    host = rows({**service("BITS"), "account": account})
    assert (notices_of(look(host)) == ["service_account:BITS"]) is told
    found = conditions_of(look(host | SILENT), failed("scan", 0x80070005))
    assert (found == {"service_account:BITS": "owner admin"}) is told
    assert not told or "obj= LocalSystem" in the("service_account", look(host)).next_step


def test_searches_say_nothing_of_what_installs() -> None:
    off = rows(service("TrustedInstaller", start=4))
    assert conditions_of(look(off)) == {}
    old = {"history.entries": [installed(60 * 24)], "sources.last_install": NOW - 60 * DAY}
    verdict = judged(look(off | old)).verdict
    assert (verdict.name, verdict.why, "TrustedInstaller: Start = 3" in verdict.msg) == ("needs_action", "service_disabled", True)


# --- servers, cache, disk ---


def endpoint(role: str, ok: bool = False) -> dict[str, Any]:
    return {
        "sources.endpoints": [
            {"role": role, "host": "wsus.corp.example", "port": 8530, "ok": ok, "error": None if ok else "timed out"}
        ]
    }


def test_a_server_that_does_not_answer_is_its_owners() -> None:
    host = look(BY_WSUS | endpoint("wsus") | SILENT)
    assert conditions_of(host) == {"unreachable:wsus:wsus.corp.example:8530": "owner wsus"}
    assert judged(host).verdict.name == "needs_action"
    assert "TCP 8530" in judged(host).verdict.next_step
    script = look(endpoint("pac") | SILENT)
    assert conditions_of(script) == {"unreachable:pac:wsus.corp.example:8530": "owner proxy"}
    assert "proxy script" in judged(script).verdict.msg
    lasting = [failed("download", 0x80072EE2, hours) for hours in (50, 1)]
    assert judged(look(endpoint("pac", ok=True)), *lasting).verdict.owner == "proxy"
    assert conditions_of(look(endpoint("proxy") | SILENT)) == {"unreachable:proxy:wsus.corp.example:8530": "owner proxy"}


def test_one_connection_that_did_not_come_about_is_no_fault() -> None:
    well = worked("scan", 5, service=WSUS)
    host = look(BY_WSUS | endpoint("wsus") | {"sources.last_search": None, "events.records": []})
    assert (conditions_of(host, well), notices_of(host, well)) == ({}, ["unreachable:wsus:wsus.corp.example:8530"])
    assert conditions_of(host, well, failed("scan", 0x80072EE2, 1, service=WSUS)) != {}
    assert conditions_of(host, worked("scan", 30, service=WSUS)) != {}


def test_a_connection_that_did_not_come_about_hides_no_installation() -> None:
    host = look(endpoint("proxy"))
    assert judged(host, failed("install", 0x80070002)).verdict.repairs == ("reset",)
    assert judged(host, failed("install", 0x80070002)).verdict.name == "sick"
    assert judged(host, failed("download", 0x80072EE2, 50), failed("download", 0x80072EE2)).verdict.owner == "proxy"


def test_a_server_that_nobody_asks_is_no_finding() -> None:
    assert find(look(endpoint("wsus"))) == []
    assert find(look(BY_WSUS | endpoint("wsus", ok=True))) == []


def http(status: int | None, error: str | None = None) -> dict[str, Any]:
    row = {"role": "wsus", "host": "wsus.corp.example", "port": 8530, "ok": True, "status": status, "error": error}
    return BY_WSUS | {"sources.endpoints": [row]}


@pytest.mark.parametrize(
    ("status", "step"),
    [
        (503, "Start the application pool WsusPool on wsus.corp.example and raise its private memory limit."),
        (404, "Correct WUServer in the policy or the site of wsus.corp.example in IIS: there is no ClientWebService at this address."),
        (403, "Let the site of wsus.corp.example in IIS accept this host; where it demands TLS, name it with https in WUServer."),
        (401, "Let the site of wsus.corp.example in IIS accept anonymous access."),
        (502, "Check what stands before wsus.corp.example and its site in IIS."),
    ],
)
def test_a_wsus_that_takes_the_connection_and_refuses_is_its_owners(status: int, step: str) -> None:
    host = look(http(status) | SILENT)
    assert conditions_of(host) == {"wsus_http:wsus.corp.example:8530": "owner wsus"}
    assert judged(host).verdict.name == "needs_action"
    assert judged(host).verdict.next_step == step
    assert f"answers HTTP {status}" in the("wsus_http", host).meaning


# 500: that a site does not answer a GET is how some are set, and no way a client asks.
@pytest.mark.parametrize("status", [None, 200, 302, 405, 500])
def test_what_a_wsus_may_answer(status: int | None) -> None:
    assert find(look(http(status) | SILENT)) == find(look(BY_WSUS | SILENT))


def test_a_status_beside_searches_that_go_well_is_a_notice() -> None:
    well = worked("scan", 5, service=WSUS)
    host = look(http(503) | {"sources.last_search": None, "events.records": []})
    assert (conditions_of(host, well), notices_of(host, well)) == ({}, ["wsus_http:wsus.corp.example:8530"])
    assert find(look({"sources.endpoints": http(503)["sources.endpoints"]})) == []


def test_a_wsus_that_says_nothing_over_http_explains_a_search_that_fails_and_nothing_else() -> None:
    host = look(http(None, "The operation has timed out") | SILENT)
    assert (conditions_of(host), notices_of(host)) == ({}, ["wsus_http:wsus.corp.example:8530"])
    late = failed("scan", 0x8024401C, 1, service=WSUS)
    assert conditions_of(host, late) == {"wsus_http:wsus.corp.example:8530": "owner wsus"}
    assert "no HTTP answer (The operation has timed out)" in the("wsus_http", host, late).meaning


LANCACHE = {"sources.hosts": ["10.0.0.5\tdownload.windowsupdate.com"]}


def test_lines_of_hosts_answer_a_search_that_finds_nobody() -> None:
    host = look(LANCACHE)
    refused = failed("scan", 0x80072EFD, 1)
    assert (conditions_of(host), notices_of(host)) == ({}, ["hosts_file"]), "who searches well all the same runs a cache"
    assert conditions_of(host, refused) == {"hosts_file": "owner admin"}
    assert [item.answer for item in find(host, [refused]) if item.code] == [{"owner": "admin"}]
    step = "Take these lines out of C:\\Windows\\System32\\drivers\\etc\\hosts: 10.0.0.5 download.windowsupdate.com."
    assert {item.next_step for item in find(host, [refused]) if item.active and item.layer in ("scan", "network")} == {step}


@pytest.mark.parametrize("code", [0x80072EE7, 0x8024402C, 0x80070422])
def test_lines_of_hosts_explain_no_name_that_is_not_found(code: int) -> None:
    assert "hosts_file" in notices_of(look(LANCACHE), failed("scan", code, 1))


def test_lines_of_hosts_stop_nobody_who_asks_a_wsus_or_a_proxy() -> None:
    proxy = {"sources.endpoints": [{"role": "proxy", "host": "p", "port": 8080, "ok": True, "error": None}]}
    assert "hosts_file" in notices_of(look(BY_WSUS | LANCACHE), failed("scan", 0x80072EFD, 1, service=WSUS))
    assert "hosts_file" in notices_of(look(proxy | LANCACHE), failed("scan", 0x80072EFD, 1))


def test_many_lines_of_hosts_are_told_in_part() -> None:
    host = look({"sources.hosts": [f"0.0.0.0 s{place}.update.microsoft.com" for place in range(5)]})
    assert "s2.update.microsoft.com and 2 more" in the("hosts_file", host).meaning


def test_a_link_is_named_only_where_a_reset_would_meet_it() -> None:
    linked = look({"cache.folders": [folder("SoftwareDistribution", reparse=True)]})
    assert (conditions_of(linked), notices_of(linked)) == ({}, ["cache_is_link:SoftwareDistribution"])
    assert conditions_of(linked, failed("download", 0x80246010)) == {"cache_is_link:SoftwareDistribution": "owner admin"}


def test_a_file_in_the_place_of_the_cache_is_repaired() -> None:
    blocked = look({"cache.folders": [{"name": "SoftwareDistribution", "exists": False, "file": True, "backups": []}, folder("catroot2")]})
    assert conditions_of(blocked) == {"cache_is_file:SoftwareDistribution": "repair reset"}
    assert "A file stands where the folder SoftwareDistribution must be" in the("cache_is_file", blocked).meaning


def test_little_space_is_told_in_numbers() -> None:
    item = the("low_space", look({"disk.free": 1536 * 1024**2}))
    assert item.meaning == "C: has 1.5 GB free, an update needs about 3 GB"
    assert conditions_of(look({"disk.free": 3 * 1024**3})) == {}


# --- words ---


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (12, "12 ms"),
        (-12, "12 ms"),
        (59_000, "59 s"),
        (61_000, "1 min 1 s"),
        (7_200_000, "2 h 0 min"),
        (40 * DAY * 1000 + HOUR * 1000, "40 d 1 h"),
    ],
)
def test_a_length_of_time(ms: int, text: str) -> None:
    assert conditions.duration(ms) == text


def test_ahead_and_behind() -> None:
    assert conditions.apart(7_200_000) == "2 h 0 min behind"
    assert conditions.apart(-7_200_000) == "2 h 0 min ahead of"
