# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Each module by itself, without the role: check mode, change, proof, repeat; and what it must leave alone."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from lab.controller import Call, adhoc, command, each, environment
from lab.fleet import Fleet

from .conftest import MakeFleet

RUN_ID = "20261124T101530Z-1a2b3c"
FAILED_UPDATES = {"failed": True, "failed_update_count": 1, "updates": {"a": {"failure_hresult_code": 2147942402, "title": "x"}}}
# Host: scenario, module, verdict.
REPAIRS = {
    "german-host": ("german-host", "win_wu_reset", "repaired"),
    # Its failed installation can only be proved by the next one.
    "lost-cache": ("lost-cache", "win_wu_reset", "unproven"),
    "clock-ahead-workgroup": ("clock-ahead-workgroup", "win_timesync", "repaired"),
    "clock-domain-member": ("clock-domain-member", "win_timesync", "repaired"),
    "w32time-disabled": ("w32time-disabled", "win_timesync", "repaired"),
    "wuauserv-disabled": ("wuauserv-disabled", "win_wu_reset", "repaired"),
    # An attempt keeps the verdict of the look after it.
    "feature-upgrade-failed": ("feature-upgrade-failed", "win_osupgrade_reg", "needs_action"),
}
# A round takes seconds on the engine: there one host of each verdict; fix_wu.yml plays the others on it as well.
ON_ENGINE = ("lost-cache", "healthy-cache", "component-store")
# Host: scenario, module, arguments.
ALONE: dict[str, tuple[str, str, dict[str, Any]]] = {
    "healthy-looked-at": ("healthy-client", "win_wu_info", {}),
    "healthy-cache": ("healthy-client", "win_wu_reset", {}),
    "healthy-clock": ("healthy-client", "win_timesync", {}),
    "server": ("healthy-server", "win_osupgrade_reg", {}),
    "component-store": ("component-store", "win_wu_reset", {}),
    "reboot-pending": ("reboot-pending", "win_wu_reset", {"force": True}),
}
# What a failed update run returned, as a hint.
REPORTED = ("lost-cache", "win_wu_info", {"reported": FAILED_UPDATES})
VALUE = "win_osupgrade_reg"
Results = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Ran:
    """Three rounds of calls, with the state of the hosts around them."""

    before: dict[str, Any]
    check: Results
    checked: dict[str, Any]
    done: Results
    after: dict[str, Any]
    again: Results
    end: dict[str, Any]


@pytest.fixture(scope="module")
def ran(backend: str, make_fleet: MakeFleet) -> Ran:
    chosen = {host: row for host, row in REPAIRS.items() if backend == "model" or host in ON_ENGINE}
    others = {host: row for host, row in ALONE.items() if backend == "model" or host in ON_ENGINE}
    repairs: dict[str, Call] = {host: (module, {}) for host, (_scenario, module, _verdict) in chosen.items()}
    alone: dict[str, Call] = {host: (module, arguments) for host, (_scenario, module, arguments) in others.items()}
    scenarios = {host: row[0] for host, row in {**chosen, **others, "reported": REPORTED, "value": ("healthy-client",)}.items()}
    fleet = make_fleet(backend, *(f"{scenario}={host}" for host, scenario in scenarios.items()))
    before = fleet.snapshots(scenarios)
    check = each(fleet, repairs, "--check", "--diff")
    checked = fleet.snapshots(scenarios)
    # Without the live search, which leaves its lines in the host's own logs.
    put: Call = (VALUE, {"scan": False})
    done = each(fleet, {**repairs, **alone, "reported": REPORTED[1:], "value": put})
    after = fleet.snapshots(scenarios)
    gone: Call = (VALUE, {"scan": False, "state": "absent"})
    again = each(fleet, {**repairs, "value": gone})
    return Ran(before, check, checked, done, after, again, fleet.snapshots(scenarios))


def _played(ran: Ran, host: str) -> None:
    if host not in ran.done:
        pytest.skip("played on the engine by fix_wu.yml, and here on the model")


@pytest.mark.parametrize("host", REPAIRS)
def test_check_then_change_then_nothing_more(ran: Ran, host: str) -> None:
    _played(ran, host)
    check, done, again = ran.check[host], ran.done[host], ran.again[host]
    assert check["changed"] is True, check["_output"]
    assert check["would"]
    assert ran.checked[host] == ran.before[host]

    verdict = REPAIRS[host][2]
    assert (done["verdict"], done["changed"]) == (verdict, True), done["_output"]
    assert done["did"]
    assert done["proof"]["status"] == ("proved" if verdict == "repaired" else "unproven")
    assert ran.after[host] != ran.before[host]

    assert (again["changed"], again["failed"]) == (False, False), again["_output"]
    assert ran.end[host] == ran.after[host]


def test_a_person_sees_the_difference(ran: Ran) -> None:
    assert ran.check["lost-cache"]["_output"].count("+++ after") == len(ran.check)


@pytest.mark.parametrize("host", ALONE)
def test_a_host_that_the_module_cannot_help_is_left_alone(ran: Ran, host: str) -> None:
    _played(ran, host)
    assert ran.done[host]["changed"] is False
    assert ran.after[host] == ran.before[host]


@pytest.mark.parametrize("host", [host for host in ALONE if host.startswith("healthy")])
def test_a_healthy_host_is_said_to_be_healthy(ran: Ran, host: str) -> None:
    _played(ran, host)
    assert (ran.done[host]["verdict"], ran.done[host]["repairs"]) == ("healthy", [])


def test_the_registry_value_is_for_clients(ran: Ran) -> None:
    _played(ran, "server")
    assert (ran.done["server"]["verdict"], ran.done["server"]["failed"]) == ("unsupported", True)


def test_the_registry_value_comes_and_goes(ran: Ran) -> None:
    put, gone = ran.done["value"], ran.again["value"]
    assert (put["changed"], put["previous"]) == (True, None), put["_output"]
    assert (gone["changed"], gone["previous"]) == (True, 1)
    assert ran.after["value"] != ran.before["value"]
    # Whose the key is that held it nobody knows by then: it stays, empty.
    key = r"hklm\software\microsoft\windows\currentversion\windowsupdate\osupgrade"
    registry = dict(ran.end["value"]["registry"])
    assert registry.pop(key) == {}
    assert {**ran.end["value"], "registry": registry} == ran.before["value"]


def test_a_reset_that_cannot_help_is_not_tried(ran: Ran) -> None:
    result = ran.done["component-store"]
    assert (result["verdict"], result["owner"], result["repairs"]) == ("needs_action", "admin", [])
    assert "DISM" in result["next_step"]


def test_force_does_not_override_a_pending_restart(ran: Ran) -> None:
    _played(ran, "reboot-pending")
    assert ran.done["reboot-pending"]["verdict"] == "restart_required"


def test_the_result_of_a_failed_update_run_is_a_hint(ran: Ran) -> None:
    result = ran.done["reported"]
    assert result["verdict"] == "sick"
    assert "scan" in result["summary"]["sections"], json.dumps(result["summary"])


@dataclass(frozen=True)
class Acted:
    """Calls on the evidence of looks, and what happened to the hosts in between."""

    fleet: Fleet
    folder: Path
    looks: Results
    before: dict[str, Any]
    acts: Results
    cost: dict[str, dict[str, float]]


LOST = {f"lost-line-{messages}": messages for messages in (1, 2, 4)}


@pytest.fixture(scope="module")
def acted(backend: str, make_fleet: MakeFleet, tmp_path_factory: pytest.TempPathFactory) -> Acted:
    # A line is lost the same way whatever plays the host behind it.
    lost = LOST if backend == "model" else {}
    hosts = ("by-evidence", "changed-since", "gone", *lost)
    fleet = make_fleet(backend, *(f"german-host={host}" for host in hosts))
    folder = tmp_path_factory.mktemp("evidence")
    saved = {"evidence_dir": str(folder), "return_evidence": "unhealthy"}
    looks = each(fleet, {host: ("win_wu_info", saved if host == "by-evidence" else {"return_evidence": "always"}) for host in hosts})

    fleet.sim("changed-since").call("Set-ServiceStart", {"Name": "wuauserv", "Start": 2, "Delayed": False})
    fleet.wire.hosts["gone"].faults["down"] = True
    for host, messages in lost.items():
        fleet.wire.hosts[host].faults["drop_after_messages"] = fleet.wire.hosts[host].total_messages + messages
    before = fleet.snapshots(hosts)
    fleet.reset_counters()
    acts = each(fleet, {host: ("win_wu_reset", {"evidence": looks[host]["evidence"], "run_id": RUN_ID}) for host in hosts})
    return Acted(fleet, folder, looks, before, acts, fleet.counters())


def test_the_evidence_of_a_look_is_enough_to_act_on(acted: Acted) -> None:
    look, result = acted.looks["by-evidence"], acted.acts["by-evidence"]
    explained = adhoc(acted.fleet, "by-evidence", "wu_explain", {"path": str(acted.folder / "by-evidence.json")})
    assert [item["id"] for item in explained["findings"]] == [item["id"] for item in look["findings"]]
    assert explained["plan"][0]["repair"] == "reset"
    assert result["verdict"] == "repaired"
    assert result["backups"] == ["C:\\Windows\\SoftwareDistribution.wu-tp04hub0"]
    assert acted.cost["by-evidence"]["processes"] == 1


def test_a_host_that_changed_since_the_look_is_left_alone(acted: Acted) -> None:
    result = acted.acts["changed-since"]
    assert (result["failed"], result["changed"]) == (True, False)
    assert result["differs"] == [{"what": "service", "name": "wuauserv", "field": "start", "expected": 3, "found": 2}]
    assert "wuauserv" in result["msg"]
    assert acted.fleet.sim("changed-since").snapshot() == acted.before["changed-since"]


@pytest.mark.parametrize("host", LOST)
def test_a_connection_that_is_lost_during_a_change_leaves_the_outcome_unknown(acted: Acted, host: str) -> None:
    if host not in acted.acts:
        pytest.skip("played on the model: a line is lost the same way whatever is behind it")
    result = acted.acts[host]
    assert (result["failed"], result["verdict"]) == (True, "failed")
    assert result["changed"] is True
    assert RUN_ID in result["msg"]
    assert "outcome is unknown" in result["msg"]


def test_a_host_that_was_never_reached_is_unreachable(acted: Acted) -> None:
    assert acted.acts["gone"]["unreachable"] is True
    assert acted.fleet.sim("gone").snapshot() == acted.before["gone"]


def test_ad_hoc_as_a_person_calls_it(make_fleet: MakeFleet) -> None:
    fleet = make_fleet("model", "german-host=ad-hoc")
    look = adhoc(fleet, "ad-hoc", "win_wu_info", {"return_evidence": "always"})
    assert (look["verdict"], look["changed"]) == ("sick", False)
    assert len(json.dumps(look["summary"])) <= 1536
    assert len(json.dumps(look["evidence"], separators=(",", ":"))) <= 8192
    result = adhoc(fleet, "ad-hoc", "win_wu_reset")
    assert (result["verdict"], result["changed"], result["failed"]) == ("repaired", True, False), result["_output"]


@pytest.mark.parametrize(("module", "options"), [("win_wu_info", ()), ("win_wu_reset", ("--check",))])
def test_ad_hoc_prints_few_lines_and_the_sentence_first(make_fleet: MakeFleet, module: str, options: tuple[str, ...]) -> None:
    fleet = make_fleet("model", "german-host=person")
    words = [command("ansible"), "person", "-i", str(fleet.write_inventory()), "-m", f"winfleet.wu_repair.{module}", *options]
    done = subprocess.run(words, env=environment(fleet.folder), cwd=fleet.folder, capture_output=True, text=True, check=False)
    said = done.stdout.splitlines()
    assert len(said) <= 40, done.stdout + done.stderr
    before = said[: next(number for number, line in enumerate(said) if '"msg"' in line)]
    assert len(before) <= 4
    assert "0x80070002" in done.stdout
    assert "evidence" not in json.loads(done.stdout.partition("=>")[2])
