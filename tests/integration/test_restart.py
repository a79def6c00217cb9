# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""wu_repair_restart: a host that waits for a restart gets one, by the real win_reboot, and is looked at again."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import pytest
from lab.controller import changed, fix
from lab.fleet import Fleet
from lab.sim import Sim

from .conftest import MakeFleet

HOST = "reboot-pending"
RESTART = {"wu_repair_restart": True, "wu_repair_task_timeout": 60, "wu_repair_scan_timeout": 20, "wu_repair_time_limit": 40}
REQUIRED = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired"


@dataclass(frozen=True)
class Ran:
    """A run of fix_wu.yml that may restart, and another one after it."""

    sim: Sim
    began: float
    row: dict[str, Any]
    code: int
    again: dict[str, Any]
    booted: tuple[float, float]
    changes: int


@pytest.fixture(scope="module")
def ran(backend: str, make_fleet: MakeFleet) -> Ran:
    fleet: Fleet = make_fleet(backend, HOST)
    sim = fleet.sim(HOST)
    assert isinstance(sim, Sim)
    began = time.time()
    rows, done = fix(fleet, variables=RESTART)
    assert HOST in rows, done.stdout[-3000:] + done.stderr[-3000:]
    booted = sim.boot_time()
    again, second = fix(fleet, variables=RESTART)
    count = changed(second.stdout)[HOST]
    return Ran(sim, began, rows[HOST], done.returncode, again[HOST], (booted, sim.boot_time()), count)


def test_host_is_restarted_and_found_healthy(ran: Ran) -> None:
    assert (ran.row["was"], ran.row["did"], ran.row["now"]) == ("restart_required", ["restart"], "healthy"), ran.row
    assert ran.row["changed"] is True
    assert ran.code == 0
    assert ran.booted[0] >= ran.began


def test_what_waited_for_the_restart_is_done(ran: Ran) -> None:
    assert ran.sim.call("Read-RegistryKey", {"Key": REQUIRED}) is None
    newest = ran.sim.history()[0]
    assert (newest["title"], newest["result"]) == ("Cumulative Update (KB5099002)", 2)
    running = [name for name, service in ran.sim.services.items() if service["state"] == "running"]
    assert "cryptsvc" in running
    assert not [name for name in running if ran.sim.services[name]["start"] == 4]


def test_a_second_run_restarts_nothing(ran: Ran) -> None:
    assert (ran.again["was"], ran.again["did"], ran.again["now"]) == ("healthy", [], "healthy")
    assert ran.changes == 0
    assert ran.booted[1] == pytest.approx(ran.booted[0], abs=0.5)
