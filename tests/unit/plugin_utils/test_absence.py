# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What did not happen is claimed only inside the horizon of a source, and never beside a success of the future."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from unit.plugin_utils.documents import (
    BY_WSUS,
    DAY,
    HOUR,
    NOW,
    WSUS,
    failed,
    find,
    folder,
    installed,
    look,
    scan_section,
    scanned,
    searched,
    worked,
)
from unit.plugin_utils.judging import judged

SILENT = {"sources.last_search": NOW - 15 * DAY, "events.records": []}
# The last quality update is 50 days old, and so is all that would show another.
OLD = {"history.entries": [installed(50 * 24)], "sources.last_install": NOW - 50 * DAY}


def conditions_of(host: Any, *observations: Any, **settings: Any) -> list[str]:
    return [item.id for item in find(host, observations, **settings) if item.condition in ("stale", "behind")]


# --- searches ---


def test_a_host_that_has_not_searched_is_stale() -> None:
    result = judged(look(SILENT))
    assert (result.verdict.name, result.verdict.why) == ("stale", "stale")
    assert "15 days" in result.verdict.msg


@pytest.mark.parametrize(("days", "name"), [(13, []), (14, []), (15, ["stale"])])
def test_so_long_without_a_search_is_normal(days: int, name: list[str]) -> None:
    assert conditions_of(look(SILENT | {"sources.last_search": NOW - days * DAY})) == name


def test_the_user_says_how_long() -> None:
    assert conditions_of(look(SILENT), stale_days=20) == []


def test_any_good_search_of_the_class_counts() -> None:
    assert conditions_of(look(SILENT), worked("scan", 30)) == []
    assert conditions_of(look(SILENT), scanned()) == []
    assert conditions_of(look(SILENT), worked("install", 30)) == ["stale"]
    assert conditions_of(look(SILENT), worked("scan", 30, service="855e8a7c-ecb4-4ca3-b045-1dfa50104289")) == ["stale"]


def test_a_search_at_microsoft_is_none_at_the_wsus() -> None:
    host = look(SILENT | BY_WSUS | {"sources.last_search": None})
    assert conditions_of(host, worked("scan", 5), worked("scan", 20 * 24, service=WSUS)) == ["stale"]
    assert conditions_of(host, worked("scan", 5, service=WSUS)) == []


def test_a_search_of_the_future_is_none() -> None:
    assert conditions_of(look(SILENT), worked("scan", -48)) == ["stale"]
    assert conditions_of(look(SILENT), worked("scan", -0.05)) == []


def test_a_failing_search_is_not_stale_as_well() -> None:
    assert conditions_of(look(SILENT), failed("scan", 0x80072EE2)) == []


@pytest.mark.parametrize(("code", "said"), [(0x80240024, "no failure"), (0x80240438, "0x80240438")])
def test_a_search_that_is_no_certain_failure_leaves_a_silent_host_stale(code: int, said: str) -> None:
    undated = replace(failed("scan", code), time=None, first=None)
    result = judged(look(SILENT | OLD), undated, worked("scan", 20 * 24))
    assert (result.verdict.name, result.verdict.search) == ("stale", True)
    assert said in result.verdict.msg


def test_a_host_without_any_search_is_not_well() -> None:
    never: dict[str, Any] = {"sources.last_search": None, "events.records": []}
    assert judged(look(never)).verdict.name in ("stale", "unknown")


# --- quality updates ---


def test_a_host_without_a_quality_update_is_behind() -> None:
    result = judged(look(OLD))
    assert (result.verdict.name, result.verdict.owner) == ("behind", "admin")
    assert "50 days" in result.verdict.msg


@pytest.mark.parametrize(("days", "behind"), [(44, False), (46, True)])
def test_a_patch_cycle_and_a_half_is_normal(days: int, behind: bool) -> None:
    host = look({"history.entries": [installed(days * 24)], "sources.last_install": NOW - days * DAY})
    assert (conditions_of(host) == ["behind"]) is behind


@pytest.mark.parametrize(
    "changes",
    [
        {"policy.wu": {"DeferQualityUpdatesPeriodInDays": 20}},
        {"policy.mdm": {"DeferQualityUpdatesPeriodInDays": 20}},
        {"policy.ux": {"PauseUpdatesExpiryTime": "2025-12-24T10:00:00Z"}},
        {"policy.wu": {"PauseQualityUpdatesStartTime": "2025-11-20"}},
    ],
)
def test_what_is_held_back_is_not_behind(changes: dict[str, Any]) -> None:
    assert conditions_of(look(OLD | changes)) == []


@pytest.mark.parametrize(("days", "name"), [(79, "healthy"), (81, "behind")])
def test_a_pause_without_end_hides_no_old_host(days: int, name: str) -> None:
    # Privacy tools pause until 2077; Windows lets nobody pause for longer than 35 days.
    host = {"policy.ux": {"PauseUpdatesExpiryTime": "2077-01-01T00:00:00Z"}, "history.entries": [installed(days * 24)]}
    verdict = judged(look(host | {"sources.last_install": NOW - days * DAY})).verdict
    assert verdict.name == name
    assert name == "healthy" or (verdict.owner, "End the pause of updates: PauseUpdatesExpiryTime" in verdict.msg) == ("admin", True)


def test_a_pause_by_policy_is_ended_by_its_owner() -> None:
    old = {"history.entries": [installed(90 * 24)], "sources.last_install": NOW - 90 * DAY}
    paused = judged(look(old | {"policy.wu": {"PauseQualityUpdatesStartTime": "2025-11-20"}})).verdict
    assert (paused.name, paused.owner) == ("behind", "policy")


def test_behind_by_the_users_number_of_days() -> None:
    assert conditions_of(look(OLD), behind_days=60) == []
    assert conditions_of(look(OLD), behind_days=30) == ["behind"]


@pytest.mark.parametrize(
    ("title", "behind"),
    [
        ("Security Intelligence Update - KB2267602 (Version 1.2)", True),
        ("Intel - System - 10.1.1.42", True),
        ("9NBLGGH4NNS1-Microsoft.DesktopAppInstaller", True),
        ("2025-11 Cumulative Update for .NET Framework 3.5 and 4.8 for Windows 10 (KB5066747)", True),
        ("2025-11 Security Update (KB5068861) (19045.5247)", False),
        ("2024-01 Security Update for Windows 10 Version 22H2 (KB5034441)", False),
    ],
)
def test_only_a_quality_update_of_windows_counts(title: str, behind: bool) -> None:
    rows = [{**installed(2 * 24, title), "update_id": "6f1e2d3c-0a1b-4c5d-8e9f-000000000999"}, installed(50 * 24)]
    host = look({**OLD, "history.entries": rows})
    assert (conditions_of(host) == ["behind"]) is behind


@pytest.mark.parametrize(
    ("changes", "behind"),
    [
        ({}, False),
        ({"sources.last_install": NOW - 50 * DAY}, True),
        ({"events.reach": [{"channel": "System", "oldest": NOW - 90 * DAY, "complete": True}]}, True),
        ({"events.reach": [{"channel": "System", "oldest": NOW - 90 * DAY, "complete": False}]}, False),
        ({"events.reach": [{"channel": "System", "oldest": NOW - 20 * DAY, "complete": True}]}, False),
        (
            {
                "events.reach": [
                    {"channel": "Microsoft-Windows-WindowsUpdateClient/Operational", "oldest": NOW - 90 * DAY, "complete": True}
                ]
            },
            False,
        ),
        ({"cache.folders": [folder("SoftwareDistribution", data_store_created=NOW - 60 * DAY)]}, True),
        ({"cache.folders": [folder("SoftwareDistribution", data_store_created=NOW - 10 * DAY)]}, False),
    ],
)
def test_absence_is_claimed_inside_a_horizon_alone(changes: dict[str, Any], behind: bool) -> None:
    young = {
        "sources.last_install": None,
        "events.reach": [],
        "cache.folders": [folder("SoftwareDistribution", data_store_created=NOW - DAY)],
    }
    host = look({**OLD, **young, **changes})
    assert (conditions_of(host) == ["behind"]) is behind


def test_a_host_that_runs_a_newer_build_was_patched_another_way() -> None:
    rows = [installed(50 * 24, "2025-09 Security Update (KB5065429) (19045.4000)")]
    assert conditions_of(look({**OLD, "history.entries": rows})) == []
    assert conditions_of(look({**OLD, "history.entries": rows, "host.revision": 4000})) == ["behind"]


def test_an_installation_of_the_future_is_none() -> None:
    assert conditions_of(look({**OLD, "history.entries": [installed(-48), installed(50 * 24)]})) == ["behind"]


# --- who acts ---


def step_of(host: Any, *observations: Any) -> tuple[str | None, str]:
    said = judged(host, *observations).verdict
    assert said.name == "behind"
    return said.owner, said.next_step


def test_what_is_offered_is_to_be_installed() -> None:
    section = scan_section(count=1)
    section["scan"]["updates"] = [
        {"title": "2025-11 Update (KB5068861)", "kb": ["KB5068861"], "id": "6f1e2d3c-0a1b-4c5d-8e9f-000000000103", "classes": []}
    ]
    owner, step = step_of(look(OLD | section))
    assert (owner, "KB5068861" in step) == ("admin", True)
    owner, step = step_of(look(OLD), worked("scan", 1, found=3, caller="UpdateOrchestrator"))
    assert "3 updates" in step


def test_only_definitions_are_nothing_to_install() -> None:
    section = scan_section(count=1)
    section["scan"]["updates"] = [{"title": "Security Intelligence Update - KB2267602", "kb": ["KB2267602"], "id": None, "classes": []}]
    assert "KB2267602" not in step_of(look(OLD | section))[1]


def test_a_release_out_of_support_gets_nothing_more() -> None:
    # Windows 10 22H2 of a client that buys nothing: until 2025-10-14.
    owner, step = step_of(look(OLD))
    assert (owner, "2025-10-1" in step) == ("admin", True)


def test_a_wsus_that_approves_nothing_is_named() -> None:
    supported = {"host.build": 20348, "host.product_type": "server", "host.edition": "ServerStandard"}
    host = look(OLD | BY_WSUS | supported | {"sources.last_search": NOW - HOUR, "events.records": [searched(1, service=WSUS)]})
    owner, step = step_of(host)
    assert (owner, "wsus.corp.example:8530" in step) == ("wsus", True)
    assert step_of(look(OLD | supported))[0] == "admin"


@pytest.mark.parametrize(
    ("changes", "behind"),
    [
        ({}, True),
        ({"host.revision": 6100}, False),
        # Its restart is still to come.
        ({"host.boot_time": NOW - 40 * DAY}, False),
        ({"host.build": 19044}, False),
    ],
)
def test_an_update_that_windows_took_back_is_none(changes: dict[str, Any], behind: bool) -> None:
    title = "2025-11 Cumulative Update for Windows 10 Version 22H2 for x64-based Systems (KB5099001) (19045.6100)"
    old = "2025-09 Cumulative Update for Windows 10 Version 22H2 for x64-based Systems (KB5098001) (19045.5000)"
    older = {**installed(70 * 24, old), "update_id": "6f1e2d3c-0a1b-4c5d-8e9f-000000000102"}
    host = look({"history.entries": [installed(20 * 24, title), older], "host.revision": 5000, "host.boot_time": NOW - 9 * DAY, **changes})
    assert (conditions_of(host) == ["behind"]) is behind
    assert not behind or "why KB5099001 was taken back" in judged(host).verdict.next_step
