# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Repairs that go half way and back, that run into a limit, or that find the host changed: table in lab/steps.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lab.fleet import Fleet, missing
from lab.model_apply import ending
from lab.steps import CASES, OLD, W32TIME, Case, run, specs

from .conftest import MakeFleet

# A call of the engine takes seconds, and tests/unit/agent asks each kind of step by itself: there what needs the whole way.
ON_ENGINE = ("helpers-refuse", "beyond-the-limit", "stuck-alone", "hung-agent", "much-to-tell")
REST = [case for case in CASES if case.model and case.host not in ON_ENGINE]
# Result of the call, the host before it and after it.
Seen = dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]


@pytest.fixture(scope="module")
def fleet(backend: str, make_fleet: MakeFleet, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    folder: Path = tmp_path_factory.mktemp("scenarios")
    return make_fleet(backend, *(spec.scenario for spec in specs(folder)))


@pytest.fixture(scope="module")
def played(fleet: Fleet) -> Seen:
    """The cases that the backend plays, at once."""
    if fleet.backend == "model":
        return _play(fleet, [case for case in CASES if case.model])
    return _play(fleet, [case for case in CASES if case.host in ON_ENGINE])


@pytest.fixture(scope="module")
def rest_on_engine(make_fleet: MakeFleet, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    reason = missing("engine")
    if reason:
        pytest.skip(reason)
    folder: Path = tmp_path_factory.mktemp("rest")
    return _play(make_fleet("engine", *(spec.scenario for spec in specs(folder, REST))), REST)


def _play(fleet: Fleet, cases: list[Case]) -> Seen:
    hosts = [case.host for case in cases]
    before = fleet.snapshots(hosts)
    results = run(fleet, cases)
    after = fleet.snapshots(hosts)
    return {host: (results[host], before[host], after[host]) for host in hosts}


def _seen(played: Seen, host: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    if host not in played:
        pytest.skip("on the engine played by make test-long; the model has no helper to leave behind and no limit on what it sends")
    return played[host]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.host)
def test_it_comes_to_what_it_shall(played: Seen, case: Case) -> None:
    _holds(case, *_seen(played, case.host))


@pytest.mark.slow
@pytest.mark.engine
@pytest.mark.parametrize("case", REST, ids=lambda case: case.host)
def test_the_rest_comes_to_what_it_shall_on_the_engine(rest_on_engine: Seen, case: Case) -> None:
    _holds(case, *rest_on_engine[case.host])


def _holds(case: Case, result: dict[str, Any], before: dict[str, Any], after: dict[str, Any]) -> None:
    shown = json.dumps({key: value for key, value in result.items() if key not in ("evidence", "_output")}, indent=1)
    assert (result["changed"], result["failed"]) == (case.changed, case.failed), shown
    assert case.says in result["msg"], shown
    if case.changed or case.meanwhile:
        return
    files = {name: what for name, what in after["files"].items() if not name.startswith(case.left or ("\0",))}
    # A look that searches leaves its lines in the host's own log.
    for state in (before["files"], files):
        state.pop(r"Windows\SoftwareDistribution\ReportingEvents.log", None)
    assert {**after, "files": files, "clock_offset": round(after["clock_offset"])} == {
        **before,
        "clock_offset": round(before["clock_offset"]),
    }


def test_the_limit_is_back_after_the_one_resync(played: Seen) -> None:
    _result, before, after = _seen(played, "beyond-the-limit")
    assert after["registry"] == before["registry"]
    assert before["registry"][rf"{W32TIME}\Config".lower()]["maxposphasecorrection"] == ["DWord", 54000]
    assert (round(before["clock_offset"]), round(after["clock_offset"])) == (72000, 0)
    assert (before["zone"], after["zone"]) == ("UTC", "W. Europe Standard Time")


def test_a_stuck_service_is_ended_and_runs_again(fleet: Fleet, played: Seen) -> None:
    _seen(played, "stuck-alone")
    sim: Any = fleet.sim("stuck-alone")
    assert [change["function"] for change in sim.changes].count("Stop-ServiceProcess") == 1
    assert sim.snapshot()["services"]["wuauserv"]["state"] == "running"


def test_applocker_runs_on_and_only_its_folder_is_left(fleet: Fleet, played: Seen) -> None:
    result, before, after = _seen(played, "applocker")
    assert [path.rpartition("\\")[2].partition(".")[0] for path in result["backups"]] == ["SoftwareDistribution"]
    names = {"cryptsvc", "appidsvc", "applockerfltr"}
    assert {name: after["services"][name] for name in names} == {name: before["services"][name] for name in names}
    # ansible takes the warnings out of the result and shows them, broken into lines.
    assert "catroot2 is left: AppIDSvc, applockerfltr depend on CryptSvc" in " ".join(result["_output"].split())
    stopped = {change["args"]["Name"] for change in fleet.sim("applocker").changes if change["function"] == "Send-ServiceStop"}  # type: ignore[attr-defined]
    assert not stopped & {"CryptSvc", "AppIDSvc", "applockerfltr"}


def test_what_depends_on_a_stopped_service_runs_again(fleet: Fleet, played: Seen) -> None:
    _result, before, after = _seen(played, "dependent")
    assert after["services"] == before["services"]
    stops = [change["args"]["Name"] for change in fleet.sim("dependent").changes if change["function"] == "Send-ServiceStop"]  # type: ignore[attr-defined]
    assert stops.index("wlidsvc") < stops.index("wuauserv")


def test_the_oldest_backup_goes_and_what_is_not_ours_stays(played: Seen) -> None:
    result, _before, after = _seen(played, "old-backups")
    folders = {name for name in after["files"] if name.count("\\") == 1 and "SoftwareDistribution." in name}
    assert folders == {r"Windows\SoftwareDistribution.wu_repair-not-ours", result["backups"][0].removeprefix("C:\\")}
    assert not any(OLD in name for name in after["files"])
    queue = {name.rpartition("\\")[2] for name in after["files"] if "Downloader\\" in name}
    assert queue == {f"{name}{ending(result['run_id'])}" for name in ("qmgr.db", "qmgr.jfm", "edb.log", "edb.chk")}
    assert after["services"]["bits"]["sddl"].startswith("D:(A;CI;")


def test_a_search_that_hangs_is_told_and_takes_nothing_down(played: Seen) -> None:
    result, _before, _after = _seen(played, "hung-agent")
    sections = result["evidence"]["sections"]
    assert sections["scan"]["status"] == "timeout"
    assert {sections[name]["status"] for name in ("host", "services", "history", "cbs")} == {"ok"}


def test_what_was_cut_is_told(played: Seen) -> None:
    result, _before, _after = _seen(played, "much-to-tell")
    sections = result["evidence"]["sections"]
    assert (sections["policy"]["status"], sections["policy"]["why"]) == ("partial", "cut to fit")
    assert (sections["history"]["status"], sections["history"]["why"]) == ("partial", "failures cut to fit")
    # The service's key name is read out of the binary; an event whose binary names none is told all the same.
    assert {record["data"].get("service") for record in sections["events"]["data"]["records"] if record["id"] == 7034} == {"W32Time", None}
