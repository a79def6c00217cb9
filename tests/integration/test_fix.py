# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""fix_wu.yml on every scenario: what is promised comes true, nothing else is touched, and all backends agree."""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterable
from typing import Any

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import report
from lab.controller import changed, fix
from lab.demo import QUICK, kept, promised_scenarios
from lab.fleet import missing, read_scenario

from . import alike
from .conftest import MakeFleet

SCENARIOS = promised_scenarios()
PROMISES = {name: read_scenario(name)["promise"] for name in SCENARIOS}
SIMULATED = [name for name in SCENARIOS if not read_scenario(name).get("linux")]
CHANGED = [name for name in SCENARIOS if PROMISES[name].get("changed")]
LEFT_ALONE = [name for name in SIMULATED if name not in CHANGED]
# A host that cannot be looked at has no evidence to compare.
LOOKED_AT = [name for name in SCENARIOS if PROMISES[name]["was"] not in ("failed", "unreachable", "unsupported")]
# Wine boots a host in a second or two and runs a PowerShell in one: here one that touches services, folders and searches.
# tests/unit/lab asks Wine for each function by itself, and `make test-long` plays all hosts.
QUICKLY = ["lost-cache"]
ON_WINE = [pytest.param(name, marks=[] if name in QUICKLY else [pytest.mark.slow]) for name in LOOKED_AT]
# A look of the engine takes seconds: there every repair and every way in which a look fails; what differs in data alone, such as a month
# of real life, is played on it by `make demo` and `make test-long`.
NOISE = [name for name in SCENARIOS if name.startswith("noise-")]
BY_DATA = [
    "clock-ahead-workgroup", "clock-domain-member", "german-host", "reboot-pending", "rotated-log", "scan-denied", "stale-host",
    "w32time-disabled",
    "component-store", "controller-clock", "healthy-server", "low-disk", "not-elevated", "old-powershell", "update-access-policy",
    "win-updates-rescue", "wsus-unreachable", *(name for name in NOISE if name != "noise-german"),
]  # fmt: skip
Run = dict[str, Any]


def chosen(backend: str, slow: bool) -> list[str]:
    """The hosts that a run plays."""
    if slow:
        return LOOKED_AT if backend == "wine" else SCENARIOS
    if backend == "wine":
        return QUICKLY
    return [name for name in SCENARIOS if backend == "model" or name not in BY_DATA]


def needs(run: Run, name: str) -> None:
    """Skip a host that this run did not play."""
    if name not in run["rows"]:
        pytest.skip("played on the engine by make demo and make test-long")


@pytest.fixture(scope="module")
def run_on(request: pytest.FixtureRequest, make_fleet: MakeFleet, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Run]:
    """The fleet of a backend, fixed once: every host, on Wine those that are asked for."""
    done: dict[str, Run] = {}
    slow = any(item.get_closest_marker("slow") for item in request.session.items if item.path == request.path)

    def run(backend: str) -> Run:
        if backend not in done:
            reason = missing(backend)
            if reason:
                pytest.skip(reason)
            names = chosen(backend, slow)
            fleet = make_fleet(backend, *names)
            simulated = [name for name in names if name in SIMULATED]
            found: Run = {"before": fleet.snapshots(simulated)}
            folder = tmp_path_factory.mktemp(backend)
            fleet.reset_counters()
            # Many Wine hosts at once are so slow that a look runs into its limits.
            forks = ["--forks", "3"] if backend == "wine" else []
            found["rows"], found["first"] = fix(fleet, *forks, variables={**QUICK, "wu_repair_evidence_dir": str(folder)})
            found["cost"] = fleet.counters()
            looked_at = [name for name in names if name in LOOKED_AT]
            found["evidence"] = {name: alike.evidence(folder / f"{name}.json") for name in looked_at}
            found["end"] = {name: alike.end(fleet, name) for name in looked_at}
            if backend != "wine":
                found["after"] = fleet.snapshots(simulated)
            # On the engine `make demo` fixes every host a second time.
            if backend == "model" or (backend == "engine" and slow):
                found["again"], found["second"] = fix(fleet, variables=QUICK)
                found["at_last"] = fleet.snapshots(simulated)
            done[backend] = found
        return done[backend]

    return run


@pytest.fixture(scope="module")
def run(backend: str, run_on: Callable[[str], Run]) -> Run:
    return run_on(backend)


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_promise_of_the_scenario_is_kept(run: Run, name: str) -> None:
    needs(run, name)
    assert kept(run["rows"][name], PROMISES[name]), json.dumps(run["rows"][name], indent=1)


@pytest.mark.parametrize("name", LEFT_ALONE)
def test_a_host_without_a_repair_is_left_as_it_was(run: Run, name: str) -> None:
    if name == "wuauserv-will-not-stop":
        pytest.skip("what was asked to stop and hangs cannot be asked back; the services beside it are looked at below")
    needs(run, name)
    before, after = dict(run["before"][name]), dict(run["after"][name])
    if name == "stale-host":
        # It was asked for a live search, which leaves its lines in the host's own logs.
        before.pop("files")
        after.pop("files")
    assert after == before


def test_the_second_run_changes_nothing(run: Run) -> None:
    if "second" not in run:
        pytest.skip("played on the engine by make demo and make test-long")
    counts = changed(run["second"].stdout)
    assert {name for name in CHANGED if name in run["rows"]} <= set(counts)
    assert set(counts.values()) == {0}
    differs = [name for name in run["after"] if run["at_last"][name] != run["after"][name] and name != "wuauserv-will-not-stop"]
    assert differs == []


def test_what_ran_before_a_failed_stop_runs_again(run: Run) -> None:
    before, after = (run[when]["wuauserv-will-not-stop"]["services"] for when in ("before", "after"))
    ran = {name for name, service in before.items() if service["state"] == "running"}
    runs = {name for name, service in after.items() if service["state"] == "running"}
    assert ran - runs <= {"wuauserv"}


def test_a_healthy_host_costs_one_process(run: Run, backend: str) -> None:
    cost = run["cost"]["healthy-client"]
    assert cost["processes"] == 1
    if backend == "engine":
        assert cost["bytes_sent"] + cost["bytes_received"] < 200_000


def test_a_reset_host_costs_at_most_four_processes_and_half_a_megabyte(run: Run) -> None:
    cost = run["cost"]["lost-cache"]
    assert cost["processes"] <= 4
    assert cost["bytes_sent"] + cost["bytes_received"] <= 500_000


def test_the_exit_code_and_the_recap_follow_the_verdicts(run: Run) -> None:
    assert run["first"].returncode == 2
    red = ("failed", "unreachable", "unresolved", "unsupported", "unknown")
    failed = {name for name, row in run["rows"].items() if row["now"] in red}
    for line in run["first"].stdout.rpartition("PLAY RECAP")[2].partition("\n\n")[0].splitlines():
        name = line.partition(":")[0].strip()
        if name in run["rows"]:
            assert ("failed=1" in line) is (name in failed), line


def test_the_summary_names_every_host_that_is_not_well_in_plain_words(run: Run) -> None:
    shown = run["first"].stdout.rpartition("PLAY RECAP")[2].partition("Not healthy, worst first:")[2].splitlines()
    for name, row in run["rows"].items():
        told = any(name in line and report.words_of(row)[0] in line for line in shown)
        assert told is (row["now"] not in report.WELL), name


def test_without_anything_to_say_the_exit_code_is_zero(make_fleet: MakeFleet) -> None:
    _rows, done = fix(make_fleet("model", "healthy-client", "healthy-server"))
    assert done.returncode == 0, done.stdout[-2000:]


def _agree(other: Run, model: Run, name: str, apart: Container[str], parts: Iterable[str]) -> None:
    """Hold the evidence (but for what `apart` names), the report row and these parts of the end state of a host equal."""
    assert alike.row(other["rows"][name]) == alike.row(model["rows"][name])
    for section, shown in other["evidence"][name].items():
        assert alike.without(section, shown, apart) == alike.without(section, model["evidence"][name][section], apart), section
    for part in parts:
        assert other["end"][name][part] == model["end"][name][part], part


@pytest.mark.engine
@pytest.mark.parametrize("name", LOOKED_AT)
def test_model_and_engine_agree(run_on: Callable[[str], Run], name: str) -> None:
    needs(run_on("engine"), name)
    _agree(run_on("engine"), run_on("model"), name, (), ("services", "registry", "folders"))


@pytest.mark.wine
@pytest.mark.slow  # most of a minute; tests/unit/lab/test_wine_ansible.py plays a repair on Wine in make test
@pytest.mark.parametrize("name", ON_WINE)
def test_wine_and_model_agree(run_on: Callable[[str], Run], name: str) -> None:
    # The lab's own look into a prefix knows only the keys of the scenario: test_wine.py compares the registry.
    _agree(run_on("wine"), run_on("model"), name, (), ("services", "folders"))
