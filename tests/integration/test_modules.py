# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Each module by itself, ad hoc: check mode, change, proof, repeat."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lab.controller import adhoc
from lab.fleet import Fleet

from .conftest import MakeFleet

REPAIRS = [
    ("lost-cache", "win_wu_reset", "repaired"),
    ("clock-ahead-workgroup", "win_timesync", "repaired"),
    ("clock-domain-member", "win_timesync", "repaired"),
    ("w32time-disabled", "win_timesync", "repaired"),
    ("wuauserv-disabled", "win_wu_reset", "repaired"),
    ("feature-upgrade-failed", "win_osupgrade_reg", "unproven"),
]
HEALTHY = "healthy-client"


@pytest.fixture(scope="module")
def fleet(backend: str, make_fleet: MakeFleet) -> Fleet:
    return make_fleet(
        backend, *(name for name, _module, _verdict in REPAIRS), HEALTHY, "healthy-server", "component-store", "reboot-pending"
    )


@pytest.mark.parametrize(("name", "module", "verdict"), REPAIRS)
def test_check_then_change_then_nothing_more(fleet: Fleet, name: str, module: str, verdict: str) -> None:
    sim = fleet.sim(name)
    before = sim.snapshot()
    check = adhoc(fleet, name, module, {}, "--check", "--diff")
    assert check["changed"] is True, check["_output"]
    assert check["would"]
    assert "+++ after" in check["_output"], check["_output"]
    assert sim.snapshot() == before

    done = adhoc(fleet, name, module)
    assert (done["verdict"], done["changed"]) == (verdict, True), done["_output"]
    assert done["did"]
    assert done["proof"]["status"] == ("proved" if verdict == "repaired" else "unproven")
    after = sim.snapshot()
    assert after != before

    again = adhoc(fleet, name, module)
    assert (again["changed"], again["failed"]) == (False, False), again["_output"]
    assert sim.snapshot() == after


@pytest.mark.parametrize("module", ["win_wu_info", "win_wu_reset", "win_timesync"])
def test_a_healthy_host_is_left_alone(fleet: Fleet, module: str) -> None:
    before = fleet.sim(HEALTHY).snapshot()
    result = adhoc(fleet, HEALTHY, module)
    assert (result["verdict"], result["changed"], result["asks"]) == ("healthy", False, [])
    assert fleet.sim(HEALTHY).snapshot() == before


def test_the_registry_value_is_for_clients(fleet: Fleet) -> None:
    before = fleet.sim("healthy-server").snapshot()
    result = adhoc(fleet, "healthy-server", "win_osupgrade_reg")
    assert (result["verdict"], result["failed"]) == ("unsupported", True)
    assert fleet.sim("healthy-server").snapshot() == before


def test_the_registry_value_comes_and_goes(fleet: Fleet) -> None:
    before = fleet.sim(HEALTHY).snapshot()
    # Without the live search, which leaves its lines in the host's own logs.
    put = adhoc(fleet, HEALTHY, "win_osupgrade_reg", {"scan": False})
    assert (put["changed"], put["previous"]) == (True, None), put["_output"]
    gone = adhoc(fleet, HEALTHY, "win_osupgrade_reg", {"state": "absent", "scan": False})
    assert (gone["changed"], gone["previous"]) == (True, 1)
    assert fleet.sim(HEALTHY).snapshot() == before


def test_a_reset_that_cannot_help_is_not_tried(fleet: Fleet) -> None:
    before = fleet.sim("component-store").snapshot()
    result = adhoc(fleet, "component-store", "win_wu_reset")
    assert result["changed"] is False
    assert result["asks"] == ["troubleshoot"]
    assert fleet.sim("component-store").snapshot() == before


def test_force_does_not_override_a_pending_restart(fleet: Fleet) -> None:
    before = fleet.sim("reboot-pending").snapshot()
    result = adhoc(fleet, "reboot-pending", "win_wu_reset", {"force": True})
    assert (result["verdict"], result["changed"]) == ("restart_required", False)
    assert fleet.sim("reboot-pending").snapshot() == before


def test_a_host_that_changed_since_the_look_is_left_alone(make_fleet: MakeFleet, backend: str) -> None:
    fleet = make_fleet(backend, "lost-cache=changed-since")
    look = adhoc(fleet, "changed-since", "win_wu_info")
    fleet.sim("changed-since").call("Set-ServiceStart", {"Name": "wuauserv", "Start": 2, "Delayed": False})
    before = fleet.sim("changed-since").snapshot()
    result = adhoc(fleet, "changed-since", "win_wu_reset", {"evidence": look["evidence"]})
    assert (result["failed"], result["changed"]) == (True, False)
    assert result["differs"] == [{"what": "service", "name": "wuauserv", "field": "start", "expected": 3, "found": 2}]
    assert "wuauserv" in result["msg"]
    assert fleet.sim("changed-since").snapshot() == before


def test_the_evidence_of_a_look_is_enough_to_act_on(make_fleet: MakeFleet, backend: str, tmp_path: Path) -> None:
    fleet = make_fleet(backend, "lost-cache=by-evidence")
    look = adhoc(fleet, "by-evidence", "win_wu_info", {"evidence_dir": str(tmp_path), "return_evidence": "unhealthy"})
    explained = adhoc(fleet, "by-evidence", "wu_explain", {"path": str(tmp_path / "by-evidence.json")})
    assert [item["id"] for item in explained["findings"]] == [item["id"] for item in look["findings"]]
    assert explained["plan"][0]["rung"] == "reset"
    fleet.reset_counters()
    result = adhoc(fleet, "by-evidence", "win_wu_reset", {"evidence": look["evidence"], "run_id": "20261124T101530Z-1a2b3c"})
    assert result["verdict"] == "repaired"
    assert result["backups"] == ["C:\\Windows\\SoftwareDistribution.wu_repair-20261124T101530Z-1a2b3c"]
    assert fleet.counters()["by-evidence"]["processes"] == 1


def test_summary_and_evidence_keep_to_their_size(fleet: Fleet) -> None:
    result: dict[str, Any] = adhoc(fleet, HEALTHY, "win_wu_info")
    assert len(json.dumps(result["summary"])) <= 1536
    assert len(json.dumps(result["evidence"], separators=(",", ":"))) <= 8192


@pytest.mark.parametrize("messages", [1, 2, 4])
def test_a_connection_that_is_lost_during_a_change_leaves_the_outcome_unknown(make_fleet: MakeFleet, messages: int) -> None:
    name = f"lost-line-{messages}"
    fleet = make_fleet("model", f"lost-cache={name}")
    look = adhoc(fleet, name, "win_wu_info")
    host = fleet.wire.hosts[name]
    host.faults["drop_after_messages"] = host.total_messages + messages
    result = adhoc(fleet, name, "win_wu_reset", {"evidence": look["evidence"], "run_id": "20261124T101530Z-1a2b3c"})
    assert (result["failed"], result["verdict"]) == (True, "failed")
    assert "20261124T101530Z-1a2b3c" in result["msg"]
    assert "outcome is unknown" in result["msg"]


def test_a_host_that_was_never_reached_is_unreachable(make_fleet: MakeFleet) -> None:
    fleet = make_fleet("model", "lost-cache=gone")
    look = adhoc(fleet, "gone", "win_wu_info")
    before = fleet.sim("gone").snapshot()
    fleet.wire.hosts["gone"].faults["down"] = True
    result = adhoc(fleet, "gone", "win_wu_reset", {"evidence": look["evidence"]})
    assert "UNREACHABLE" in result["_output"]
    assert fleet.sim("gone").snapshot() == before
