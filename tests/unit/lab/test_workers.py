# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How long TiWorker lives on real hosts, in the lab, and what a look makes of one that merely lives."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import evidence, verdict
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.situation import Settings
from lab import sim as lab_sim
from lab.model_apply import Applier
from lab.sim import Sim

REAL = Path(__file__).resolve().parents[4] / "shared/data/real/cbs"
WHEN = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d), ")
SECTIONS = ["policy", "disk", "upgrade", "reporting", "cbs", "events", "cache", "clock", "sources", "history"]


def idle_seconds(lines: list[str]) -> Iterator[int]:
    """From the last session of each TiWorker of a CBS log to its exit."""
    last = None
    for line in lines:
        found = WHEN.match(line)
        if found is None:
            continue
        at = datetime.fromisoformat(found[1])
        if re.search(r"Session: \d+_\d+ initialized by client", line):
            last = at
        elif "TiWorker signaled for shutdown, going to exit" in line and last is not None:
            yield round((at - last).total_seconds())
            last = None


@pytest.mark.skipif(not REAL.is_dir(), reason="the real logs are not beside this folder")
def test_on_real_hosts_tiworker_stays_for_two_minutes_after_its_last_session() -> None:
    lives = [idle for path in sorted(REAL.glob("*.log")) for idle in idle_seconds(path.read_text("utf-8", "replace").splitlines())]
    of_idle = [idle for idle in lives if 120 <= idle <= 131]
    assert (len(of_idle), min(of_idle)) == (29, lab_sim.REAL_WORKER_IDLE_S)
    # The others' last session took minutes itself; one was told to end.
    assert sorted(idle for idle in lives if idle not in of_idle)[:2] == [38, 205]


def judged(sim: Sim, *sections: str) -> verdict.Judged:
    reply = Applier(sim.call).observe({"schema": 1, "op": "observe", "sections": [*SECTIONS, *sections]})
    return verdict.look(evidence.from_reply(reply, None, None), Settings())


def after_search(name: str, folder: Path, seconds: int) -> Sim:
    """A host as it is so long after a search."""
    sim = Sim.load(name, folder, "h")
    sim._worker_idle_s = lab_sim.REAL_WORKER_IDLE_S
    sim.search("UpdateOrchestrator")
    sim._worker_until -= seconds
    sim._stamp(sim.path(lab_sim.CBS_LOG), sim.host_time() - seconds)
    return sim


@pytest.mark.parametrize("seconds", [1, 15, 60, 119])
def test_a_healthy_host_is_healthy_however_short_after_a_search(seconds: int, tmp_path: Path) -> None:
    sim = after_search("healthy-client", tmp_path, seconds)
    running: Any = sim.call("Get-ProcessTime", {"Name": ["TiWorker"]})
    assert running == {"TiWorker": 0}
    assert judged(sim).verdict.name == "healthy"


def test_it_ends_two_minutes_after_the_search(tmp_path: Path) -> None:
    sim = after_search("healthy-client", tmp_path, lab_sim.REAL_WORKER_IDLE_S)
    assert sim.call("Get-ProcessTime", {"Name": ["TiWorker"]}) == {}


def test_a_failing_host_is_sick_short_after_a_search_and_busy_while_it_installs(tmp_path: Path) -> None:
    sim = after_search("lost-cache", tmp_path, 5)
    assert judged(sim).verdict.name == "sick"
    sim.processes["TiWorker"] = 0.7
    sim._monotonic -= 100
    take_time = Sim._get_update_history

    def slowly(self: Sim, max: int) -> dict[str, Any]:
        time.sleep(0.15)
        return take_time(self, max)

    sim._functions = {**sim._functions, "Get-UpdateHistory": slowly}
    assert judged(sim).verdict.name == "busy"


def test_the_search_of_a_look_makes_no_host_busy(tmp_path: Path) -> None:
    sim = Sim.load("healthy-client", tmp_path, "h")
    for _look in range(2):
        assert judged(sim, "scan").verdict.name == "healthy"


def test_a_second_repair_waits_for_what_the_search_of_the_first_one_started(tmp_path: Path) -> None:
    sim = Sim.load("lost-cache", tmp_path, "h")
    steps = [{"id": 1, "kind": "stop_service", "args": {"name": "wuauserv", "timeout_ms": 1000}}]
    calm = [{"what": "servicing", "name": None, "field": "busy", "is": False}]
    watch = {"schema": 1, "op": "observe", "sections": ["scan"]}
    for run in ("20261124T101530Z-1a2b3c", "20261124T101531Z-1a2b3d"):
        request = {"schema": 1, "op": "apply", "run": run, "uses": ["stop_service"], "steps": steps, "expect": calm, "observe": watch}
        reply = Applier(sim.call).apply(request)
        assert (reply["differs"], reply["failed"]) == ([], None)
        assert sim.running() == {"TiWorker": 0.0}
