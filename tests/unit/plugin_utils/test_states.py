# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What ends a failure, and what does not. A state is made of sets: neither order nor duplicates matter."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import states, subjects
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.observation import CANCELLED, FAILED, OK, Observation
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.situation import Clock, Situation
from hypothesis import given
from hypothesis import strategies as st
from unit.plugin_utils.documents import DAY, FLIGHTING, HOUR, MICROSOFT, NOW, STORE, WSUS, failed, scanned, worked

HOST = Situation(now=NOW, host=True, boot_time=NOW - 9 * DAY, build=19045, revision=5000, clock=Clock("right"))
BY_WSUS = replace(HOST, required_class="wsus", wsus_server="wsus.corp.example:8530")
OS_TITLE = "2025-11 Cumulative Update for Windows 10 Version 22H2 for x64-based Systems (KB{})"


def state_of(subject: str, *seen: Observation, host: Situation = HOST) -> states.State:
    return states.of(seen, host).get(subject)


# --- subjects ---


@pytest.mark.parametrize(
    ("fields", "subject"),
    [
        ({"layer": "scan", "service": MICROSOFT}, "search:microsoft"),
        ({"layer": "scan", "service": "7971f918-a847-4430-9279-4a52d1efe18d"}, "search:microsoft"),
        ({"layer": "scan", "service": WSUS}, "search:wsus"),
        ({"layer": "scan", "service": STORE}, "search:store"),
        ({"layer": "scan", "service": FLIGHTING}, "search:flighting"),
        ({"layer": "scan", "service": "0d95de3c-0000-4000-8000-000000000001"}, "search:offline"),
        ({"layer": "scan", "caller": "CompatTelRunner"}, "search:other"),
        ({"layer": "scan", "caller": "UpdateOrchestrator"}, "search:unknown"),
        ({"layer": "install", "title": OS_TITLE.format("5099001"), "kb": "KB5099001"}, "update:os"),
        ({"layer": "install", "title": "2025-10 Security Update (KB5070773) (26100.6901)", "kb": "KB5070773"}, "update:os"),
        ({"layer": "install", "name": "Package_for_RollupFix~31bf3856ad364e35~amd64~~19041.5247.1.5"}, "update:os"),
        (
            {
                "layer": "install",
                "title": "2025-10 Cumulative Update for .NET Framework 3.5 and 4.8 for Windows 10 (KB5066747)",
                "kb": "KB5066747",
            },
            "update:dotnet",
        ),
        ({"layer": "install", "title": "Security Intelligence Update - KB2267602 (Version 1.2)", "kb": "KB2267602"}, "update:KB2267602"),
        ({"layer": "install", "title": "Servicing Stack Update for Windows Server 2016 (KB5054006)", "kb": "KB5054006"}, "update:ssu"),
        ({"layer": "install", "title": "Intel - System - 10.1.1.42", "update": "ab"}, "driver:ab"),
        ({"layer": "install", "title": "9NBLGGH4NNS1-Microsoft.DesktopAppInstaller"}, "app:9NBLGGH4NNS1-Microsoft.DesktopAppInstaller"),
        ({"layer": "install", "service": STORE, "title": "Something"}, "app:Something"),
        ({"layer": "install", "title": "Windows 11, version 24H2"}, "upgrade:24H2"),
        ({"layer": "install", "code": 0xC1900101, "title": "Windows 11"}, "upgrade:"),
        (
            {"layer": "install", "title": "2024-01 Security Update for Windows 10 Version 22H2 (KB5034441)", "kb": "KB5034441"},
            "update:KB5034441",
        ),
        ({"layer": "install", "update": "6f1e"}, "update:6f1e"),
        ({"layer": "store", "marker": "sr_cannot_repair"}, "store:files"),
        ({"layer": "store", "code": 0x80073712}, "store:packages"),
        ({"layer": "service", "name": "wuauserv"}, "service:wuauserv"),
        ({"layer": "service", "name": "Steam Client Service"}, None),
    ],
)
def test_a_failure_is_about_one_subject(fields: dict[str, Any], subject: str | None) -> None:
    assert subjects.of(Observation("event:x/1", **fields), HOST) == subject


# --- searches by class of service ---


@pytest.mark.parametrize("service", [STORE, FLIGHTING, MICROSOFT])
def test_a_search_elsewhere_proves_nothing_about_the_wsus(service: str) -> None:
    seen = (failed("scan", 0x80244022, 2, service=WSUS), worked("scan", 1, service=service))
    assert state_of("search:wsus", *seen, host=BY_WSUS).name == "failing"


def test_microsoft_update_is_the_server_of_windows_update() -> None:
    seen = (failed("scan", 0x80072EE2, 2), worked("scan", 1, service="7971f918-a847-4430-9279-4a52d1efe18d"))
    assert state_of("search:microsoft", *seen).name == "good"


def test_an_installation_is_no_search() -> None:
    assert state_of("search:microsoft", failed("scan", 0x80072EE2, 2), worked("install", 1)).name == "failing"


def test_the_searches_that_count_are_those_of_the_policy_or_those_in_use() -> None:
    assert states.of([failed("scan", 1, service=WSUS), worked("scan", 1)], BY_WSUS).search == "search:wsus"
    assert states.of([failed("scan", 0x8024500C)], BY_WSUS).search == "search:microsoft"
    assert states.of([], BY_WSUS).search == "search:wsus"


def test_a_search_without_a_service_is_ended_by_one_that_counts() -> None:
    seen = (failed("scan", 0x80072EE2, 2, service=None, caller="UpdateOrchestrator"), worked("scan", 1))
    assert state_of("search:unknown", *seen).name == "good"


# --- what is certainly after ---


def test_an_earlier_success_ends_nothing() -> None:
    assert state_of("search:microsoft", worked("scan", 3), failed("scan", 0x80070002, 2)).name == "failing"


def test_in_one_channel_the_record_orders_and_not_the_time() -> None:
    failure = failed("scan", 0x80070002, 1, channel="System", place=10)
    success = worked("scan", 2, channel="System", place=11)
    assert state_of("search:microsoft", failure, success).name == "good"
    assert state_of("search:microsoft", replace(failure, place=12), success).name == "failing"


def test_the_history_of_one_second_is_ordered_by_its_places() -> None:
    old = failed("install", 0x80070002, 5, source="history", channel="history", place=-1)
    new = worked("install", 5, source="history", channel="history", place=0)
    assert state_of("update:KB5099002", old, new).name == "good"
    assert state_of("update:KB5099002", replace(old, place=0), replace(new, place=-1)).name == "failing"


@pytest.mark.parametrize(("bound_s", "hours", "name"), [(0, 1, "good"), (3600, 1, "unknown"), (3600, 3, "good"), (14 * 3600, 3, "unknown")])
def test_a_time_of_a_log_is_only_as_good_as_its_zone(bound_s: int, hours: int, name: str) -> None:
    failure = failed("download", 0x80070002, 5, bound_s=bound_s)
    assert state_of("update:KB5099002", failure, worked("install", 5 - hours)).name == name


def test_a_success_of_the_future_ends_nothing() -> None:
    assert state_of("search:microsoft", failed("scan", 0x80070002, 1), worked("scan", -60 * 24)).name == "failing"


def test_a_failure_of_the_future_is_ended_by_a_search_of_this_run_alone() -> None:
    failure = failed("scan", 0x80070002, -2)
    assert state_of("search:microsoft", failure, worked("scan", 1)).name == "unknown"
    assert state_of("search:microsoft", failure, scanned()).name == "good"


# --- installations by subject ---


def test_a_download_does_not_end_a_failed_installation() -> None:
    assert state_of("update:KB5099002", failed("install", 0x80070002, 2), worked("download", 1)).name == "failing"
    assert state_of("update:KB5099002", failed("download", 0x80070002, 2), worked("download", 1)).name == "good"


def test_another_update_ends_nothing() -> None:
    seen = (failed("install", 0x80070002, 2), worked("install", 1, kb="KB5099009", title="x"))
    assert state_of("update:KB5099002", *seen).name == "failing"


def test_a_newer_cumulative_update_ends_the_failure_of_an_older_one() -> None:
    seen = (
        failed("install", 0x80070002, 25 * 24, kb="KB5099001", title=OS_TITLE.format("5099001")),
        worked("install", 9 * 24, kb="KB5099005", title=OS_TITLE.format("5099005")),
    )
    assert state_of("update:os", *seen).name == "good"


@pytest.mark.parametrize(("revision", "name"), [(5246, "failing"), (5247, "closed"), (5300, "closed")])
def test_a_host_that_runs_the_build_needs_the_update_no_more(revision: int, name: str) -> None:
    failure = failed("install", 0x80070002, 2, kb="KB5099001", title="2025-11 Cumulative Update for Windows 10 (KB5099001) (19045.5247)")
    assert state_of("update:os", failure, host=replace(HOST, revision=revision)).name == name


def offers(found: int, caller: str | None = "UpdateOrchestrator", **more: Any) -> Observation:
    return worked("scan", 1, source="reporting", service=None, caller=caller, found=found, **more)


@pytest.mark.parametrize(
    ("search", "host", "name"),
    [
        (offers(0), HOST, "closed"),
        (offers(1), HOST, "failing"),
        (offers(0, caller="CompatTelRunner"), HOST, "failing"),
        (worked("scan", 1, found=0), HOST, "failing"),
        (offers(0), replace(HOST, restart_pending=True), "failing"),
        (offers(0), replace(HOST, held_back=True), "failing"),
        (replace(offers(0), time=NOW - 30 * HOUR), HOST, "failing"),
        (replace(scanned(), found=1, offered=(("x", "KB5099003"),)), HOST, "closed"),
        (replace(scanned(), found=1, offered=(("x", "KB5099002"),)), HOST, "failing"),
        (replace(scanned(), found=40, offered=(("x", "KB5099003"),)), HOST, "failing"),
    ],
)
def test_an_update_that_is_not_offered_any_more_is_history_under_all_conditions(search: Observation, host: Situation, name: str) -> None:
    assert state_of("update:KB5099002", failed("install", 0x80070643, 26), search, host=host).name == name


# --- the component store, services, upgrades ---


@pytest.mark.parametrize(
    ("failure", "cure", "name"),
    [
        ("sr_cannot_repair", "sr_repaired", "good"),
        ("sr_cannot_repair", "store_repaired", "failing"),
        ("store_corrupt", "store_clean", "good"),
        ("store_corrupt", "sr_repaired", "failing"),
    ],
)
def test_sfc_and_dism_prove_their_own_findings_alone(failure: str, cure: str, name: str) -> None:
    subject = "store:files" if failure.startswith("sr_") else "store:packages"
    assert state_of(subject, failed("store", marker=failure, hours_ago=3), worked("store", 1, source="cbs", marker=cure)).name == name


def test_a_service_that_failed_once_is_history_when_a_search_went_well() -> None:
    failure = failed("service", 0x8007041D, 3, name="wuauserv")
    assert state_of("service:wuauserv", failure, worked("scan", 1)).name == "good"
    assert state_of("service:wuauserv", failure).name == "failing"


def test_what_the_stack_logs_within_the_hour_is_the_inner_reason_of_the_update() -> None:
    update = failed("install", 0x800F0922, 2)
    inner = failed("install", 0x80070643, 2.5, source="cbs", name="lab-edge-component", kb=None, title=None)
    known = states.of([update, inner], HOST)
    assert [one.name for one in known.get("update:KB5099002").reasons] == ["lab-edge-component"]
    assert [state.subject for state in known.alive()] == ["update:KB5099002"]
    alone = states.of([update, replace(inner, time=NOW - 30 * HOUR)], HOST)
    assert len(alone.alive()) == 2


def test_logs_of_set_up_belong_to_the_upgrade_that_was_tried() -> None:
    seen = (
        failed("install", 0xC1900101, 48, kb=None, title="Windows 11, version 24H2"),
        Observation("setup", "upgrade", code=0xC1900101, marker="final"),
    )
    assert [state.subject for state in states.of(seen, HOST).alive()] == ["upgrade:24H2"]


@pytest.mark.parametrize(("build", "name"), [(19045, "failing"), (22631, "failing"), (26100, "closed"), (26200, "closed")])
def test_a_host_that_was_upgraded_since_has_no_failed_upgrade(build: int, name: str) -> None:
    failure = failed("install", 0xC1900101, 48, kb=None, title="Windows 11, version 24H2")
    assert state_of("upgrade:24H2", failure, host=replace(HOST, build=build)).name == name


# --- sets ---


SUBJECTS = st.sampled_from(
    [{"layer": "scan"}, {"layer": "scan", "service": WSUS}, {"layer": "install"}, {"layer": "download"}, {"layer": "store"}]
)
OBSERVATIONS = st.builds(
    lambda fields, outcome, hours, code, place: (worked if outcome == OK else failed)(
        fields["layer"],
        hours_ago=hours,
        **{key: value for key, value in fields.items() if key != "layer"},
        **({} if outcome == OK else {"code": code, "outcome": outcome}),
        **({} if place is None else {"channel": "x", "place": place}),
    ),
    SUBJECTS,
    st.sampled_from([OK, FAILED, CANCELLED]),
    st.integers(-48, 40 * 24),
    st.sampled_from([0x80070002, 0x80244022, 0x80070643]),
    st.one_of(st.none(), st.integers(0, 9)),
)


@given(st.lists(OBSERVATIONS, max_size=12), st.randoms())
def test_neither_order_nor_duplicates_matter(seen: list[Observation], random: Any) -> None:
    other = [*seen, *seen[:3]]
    random.shuffle(other)
    first, second = states.of(seen, HOST), states.of(other, HOST)
    assert {name: (state.name, state.closed_by, state.tries) for name, state in first.by_subject.items()} == {
        name: (state.name, state.closed_by, state.tries) for name, state in second.by_subject.items()
    }
    assert first.search == second.search
