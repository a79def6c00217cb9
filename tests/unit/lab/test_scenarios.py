# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every scenario loads, and its causes show where an agent would look."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lab import scenario
from lab.model_apply import Applier
from lab.model_observe import PARTS, SECTIONS
from lab.sim import Sim, SimError
from lab.winupdates import WinUpdates

VERDICTS = {
    "healthy",
    "sick",
    "stale",
    "behind",
    "needs_action",
    "unknown",
    "restart_required",
    "busy",
    "not_this_host",
    "unsupported",
    "unreachable",
    "failed",
    "repaired",
    "unproven",
    "unresolved",
}
SEARCHES = {
    "lost-cache": 0x80070002,
    "german-host": 0x80070002,
    "wuauserv-will-not-stop": 0x80070002,
    "servicing-in-progress": 0x80070002,
    "reparse-cache": 0x80070002,
    "scan-denied": 0x80070005,
    "noise-denied": 0x80070005,
    "clock-ahead-workgroup": 0x80072F8F,
    "clock-domain-member": 0x80072F8F,
    "w32time-disabled": 0x80072F8F,
    "wuauserv-disabled": 0x80070422,
    "wsus-unreachable": 0x80072EE2,
    "update-access-policy": 0x8024002E,
}


@pytest.mark.parametrize("name", scenario.names())
def test_scenario_keeps_its_form_and_answers_a_search_by_its_causes(name: str, tmp_path: Path) -> None:
    sim = Sim.load(name, tmp_path, name)
    if sim.promised:  # one without is for a test that needs its own time limits
        assert set(sim.promised) >= {"was", "did", "now", "changed"}
        assert {sim.promised["was"], sim.promised["now"]} <= VERDICTS
    try:
        sim.call("Invoke-UpdateSearch", {"Criteria": "IsInstalled=0"})
        code = 0
    except SimError as error:
        code = error.hresult & 0xFFFFFFFF
    assert code == SEARCHES.get(name, 0)


@pytest.mark.parametrize("name", scenario.names())
def test_look_changes_nothing(name: str, tmp_path: Path) -> None:
    sim = Sim.load(name, tmp_path, name)
    before = sim.snapshot()
    sections = [section for section in SECTIONS if section not in {*PARTS, "scan"}]
    Applier(sim.call).observe({"schema": 1, "op": "observe", "sections": sections, "lookback_s": 10**9})
    assert sim.snapshot() == before


def test_there_are_machines_with_an_ordinary_month() -> None:
    noise = [scenario.load(name) for name in scenario.names() if name.startswith("noise-")]
    assert len(noise) >= 22
    assert {one["promise"]["was"] for one in noise} <= {"healthy", "behind"}
    assert [one["promise"]["did"] for one in noise] == [[]] * len(noise)


def updates(sim: Sim) -> list[dict[str, Any]]:
    module = WinUpdates(sim)
    started = module.run({"category_names": ["*"], "state": "installed"})
    output: list[dict[str, Any]] = module.run({"_operation": "poll", "_operation_options": started["poll_options"]})[
        "output"
    ]
    return output


def set_cache_aside(sim: Sim) -> None:
    sim.call("Send-ServiceStop", {"Name": "wuauserv"})
    path = r"C:\Windows\SoftwareDistribution"
    sim.call("Move-Folder", {"Path": path, "Destination": path + ".old"})


@pytest.mark.parametrize(("name", "cured"), [("win-updates-rescue", True), ("component-store", False)])
def test_installation_fails_with_file_not_found_and_a_reset_cures_only_the_cache(
    name: str, cured: bool, tmp_path: Path
) -> None:
    sim = Sim.load(name, tmp_path, name)
    first = updates(sim)
    assert first[-1]["result"]["failed"] is True
    assert {row["hresult"] & 0xFFFFFFFF for row in first[-2]["result"]["info"]} == {0x80070002}
    set_cache_aside(sim)
    second = updates(sim)
    assert second[-1]["result"]["failed"] is not cured
    assert (sim.updates == []) is cured


def test_installed_update_shows_in_history_events_and_dates(tmp_path: Path) -> None:
    sim = Sim.load("win-updates-rescue", tmp_path, "h")
    updates(sim)
    failed: Any = sim.call("Get-UpdateHistory", {"Max": 5})
    set_cache_aside(sim)
    before = sim.last_install
    updates(sim)
    done: Any = sim.call("Get-UpdateHistory", {"Max": 5})
    assert len(failed) == 3
    assert (failed[0]["result"], failed[0]["hresult"] & 0xFFFFFFFF) == (4, 0x80070002)
    assert [entry["result"] for entry in done] == [2]
    assert sim.last_install > before


def test_german_host_speaks_german_where_windows_does(tmp_path: Path) -> None:
    sim = Sim.load("german-host", tmp_path, "h")
    sim.call("Set-ServiceStart", {"Name": "W32Time", "Start": 4, "Delayed": False})
    asked = {"Channel": "System", "XPath": "*[System[EventID=7040]]", "Max": 1, "TimeoutMs": 10}
    event: Any = sim.call("Read-EventRecord", asked)
    assert "Windows-Zeitgeber" in event[0]
    assert "Deaktiviert" in event[0]
    # Its logs carry local time with the zone.
    assert b"+0100" in (sim.read(r"C:\Windows\SoftwareDistribution\ReportingEvents.log") or b"").replace(b"\0", b"")


def test_domain_member_follows_its_domain_and_the_controller_may_be_the_one_that_is_wrong(tmp_path: Path) -> None:
    member = Sim.load("clock-domain-member", tmp_path / "a", "a")
    answer: Any = member.call("Invoke-SntpQuery", {"Server": "corp.example", "TimeoutMs": 10})
    assert answer["offset_ms"] == 7_200_000
    other = Sim.load("controller-clock", tmp_path / "b", "b")
    own: Any = other.call("Invoke-SntpQuery", {"Server": "time.windows.com", "TimeoutMs": 10})
    assert own["offset_ms"] == 0
    assert round(other.host_time() - member.true_time()) == 7200
