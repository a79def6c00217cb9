# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""fix_wu.yml and check_wu.yml on every scenario: what is promised comes true, and nothing else is touched."""

from __future__ import annotations

import json
from typing import Any

import pytest
from lab.controller import changed, fix, play
from lab.demo import QUICK, kept, promised_scenarios
from lab.fleet import Fleet, read_scenario

from .conftest import MakeFleet

SCENARIOS = promised_scenarios()
LEFT_ALONE = [name for name in SCENARIOS if not read_scenario(name)["promise"].get("changed") and not read_scenario(name).get("linux")]
Run = dict[str, Any]


@pytest.fixture(scope="module")
def fleet(backend: str, make_fleet: MakeFleet) -> Fleet:
    return make_fleet(backend, *SCENARIOS)


@pytest.fixture(scope="module")
def run(fleet: Fleet) -> Run:
    """The fleet looked at, fixed, and fixed again."""
    names = [name for name in SCENARIOS if not read_scenario(name).get("linux")]
    found: Run = {"before": {name: fleet.sim(name).snapshot() for name in names}}
    found["check"] = play(fleet, "check_wu")
    found["checked"] = {name: fleet.sim(name).snapshot() for name in names}
    fleet.reset_counters()
    found["rows"], found["first"] = fix(fleet, variables=QUICK)
    found["cost"] = fleet.counters()
    found["after"] = {name: fleet.sim(name).snapshot() for name in names}
    found["again"], found["second"] = fix(fleet, variables=QUICK)
    found["end"] = {name: fleet.sim(name).snapshot() for name in names}
    return found


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_promise_of_the_scenario_is_kept(run: Run, name: str) -> None:
    assert kept(run["rows"][name], read_scenario(name)["promise"]), json.dumps(run["rows"][name], indent=1)


@pytest.mark.parametrize("name", LEFT_ALONE)
def test_a_host_without_a_repair_is_left_as_it_was(run: Run, name: str) -> None:
    if name == "wuauserv-will-not-stop":
        pytest.skip("what was asked to stop and hangs cannot be asked back; the services beside it are looked at below")
    before, after = dict(run["before"][name]), dict(run["after"][name])
    if name == "stale-host":
        # It was asked for a live search, which leaves its lines in the host's own logs.
        before.pop("files")
        after.pop("files")
    assert after == before


def test_check_wu_changes_nothing(run: Run) -> None:
    assert run["checked"] == run["before"]
    assert set(changed(run["check"].stdout).values()) == {0}


def test_the_second_run_changes_nothing(run: Run) -> None:
    assert set(changed(run["second"].stdout).values()) == {0}
    differs = [name for name in run["after"] if run["end"][name] != run["after"][name] and name != "wuauserv-will-not-stop"]
    assert differs == []


def test_what_ran_before_a_failed_stop_runs_again(run: Run) -> None:
    before, after = (run[when]["wuauserv-will-not-stop"]["services"] for when in ("before", "after"))
    ran = {name for name, service in before.items() if service["state"] == "running"}
    runs = {name for name, service in after.items() if service["state"] == "running"}
    assert ran - runs <= {"wuauserv"}


def test_a_healthy_host_costs_one_process(run: Run, backend: str) -> None:
    cost = run["cost"]["healthy-server"]
    assert cost["processes"] == 1
    if backend == "engine":
        assert cost["bytes_sent"] + cost["bytes_received"] < 200_000


def test_a_reset_host_costs_at_most_four_processes_and_half_a_megabyte(run: Run) -> None:
    cost = run["cost"]["lost-cache"]
    assert cost["processes"] <= 4
    assert cost["bytes_sent"] + cost["bytes_received"] <= 500_000


def test_the_exit_code_and_the_recap_follow_the_verdicts(run: Run) -> None:
    assert run["first"].returncode == 2
    failed = {name for name, row in run["rows"].items() if row["now"] in ("failed", "unreachable", "unresolved")}
    for line in run["first"].stdout.rpartition("PLAY RECAP")[2].splitlines():
        name = line.partition(":")[0].strip()
        if name in run["rows"]:
            assert ("failed=1" in line) is (name in failed), line


def test_the_summary_names_every_host(run: Run) -> None:
    shown = run["first"].stdout
    for name, row in run["rows"].items():
        assert any(name in line and row["now"] in line for line in shown.splitlines()), name


def test_without_anything_to_say_the_exit_code_is_zero(fleet: Fleet) -> None:
    _rows, done = fix(fleet, "--limit", "healthy-client,healthy-server,localhost")
    assert done.returncode == 0, done.stdout[-2000:]
