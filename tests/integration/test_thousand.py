# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A thousand hosts, fifty of them sick in five ways that no repair mends: what a person sees of them, and what they cost the controller."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass

import pytest
from lab.controller import command, environment
from lab.fleet import Fleet

from .conftest import MakeFleet

HEALTHY, REPAIRED, EACH = 940, 10, 10
# What somebody else must mend.
KINDS = ("wsus-unreachable", "low-disk", "component-store", "update-access-policy", "reparse-cache")
PAGE = 60
# As many times as win_ping costs the controller in the same minutes.
HEALTHY_TIMES, SICK_TIMES = 2, 8

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Ran:
    """One run: its output, CPU seconds of all processes and memory of the largest in MB."""

    said: str
    code: int
    cpu: float
    memory: float


def run(fleet: Fleet, program: str, *words: str) -> Ran:
    """Run a program of ansible-core and count what it used."""
    output = fleet.folder / "said.txt"
    inventory = fleet.write_inventory()
    with output.open("w") as file:
        child = subprocess.Popen(
            [command(program), "-i", str(inventory), *words], env=environment(fleet.folder), cwd=fleet.folder, stdout=file, stderr=file
        )
        _pid, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    return Ran(output.read_text("utf-8"), child.returncode, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


@pytest.fixture(scope="module")
def runs(make_fleet: MakeFleet) -> tuple[Ran, Ran]:
    sick = [f"{kind}={kind}-{number:02}" for kind in KINDS for number in range(EACH)]
    repaired = [f"german-host=repaired-{number}" for number in range(REPAIRED)]
    fleet = make_fleet("model", *(f"healthy-client=well-{number:03}" for number in range(HEALTHY)), *repaired, *sick)
    ping = run(fleet, "ansible", "windows", "-m", "ansible.windows.win_ping")
    assert ping.code == 0
    return ping, run(fleet, "ansible-playbook", "winfleet.wu_repair.fix_wu", "-f", "50")


def test_the_summary_names_the_causes_on_two_pages(runs: tuple[Ran, Ran]) -> None:
    after = runs[1].said.rpartition("PLAY RECAP")[2].partition("\n\n")[2].splitlines()
    assert len(after) <= 2 * PAGE
    assert max(map(len, after)) <= 120
    assert after[0].startswith(f"1000 hosts: {HEALTHY} healthy, {REPAIRED} repaired, {EACH * len(KINDS)} need somebody")
    left = "\n".join(after).partition("Left to do:")[2].partition("Not healthy, worst first:")[0]
    causes = [line for line in left.splitlines() if line.startswith(f"  {EACH} hosts")]
    assert len(causes) == len(KINDS), left


def test_the_controller_pays_little(runs: tuple[Ran, Ran]) -> None:
    ping, fixed = runs
    hosts = HEALTHY + REPAIRED + EACH * len(KINDS)
    allowed = ping.cpu / hosts * (HEALTHY * HEALTHY_TIMES + (hosts - HEALTHY) * SICK_TIMES)
    assert fixed.cpu <= allowed, f"{fixed.cpu:.0f} s, win_ping {ping.cpu:.0f} s"
    assert fixed.memory <= 200


def test_no_healthy_host_is_named(runs: tuple[Ran, Ran]) -> None:
    after = runs[1].said.rpartition("PLAY RECAP")[2].partition("\n\n")[2]
    assert "well-" not in after
