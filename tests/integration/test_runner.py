# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""As AWX runs it, by ansible-runner: artifacts, how many bytes of events a host costs, relaunch on failed, cancel."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from lab.controller import environment
from lab.fleet import Fleet

from .conftest import MakeFleet

runner = pytest.importorskip("ansible_runner")
# Of a host that is repaired, all events together; AWX keeps them in its database. What is done once for all is booked on the first host.
MOST_OF_A_REPAIR = 12 * 1024
REPORT = "report.json"


def run(fleet: Fleet, *, limit: str | None = None, variables: dict[str, Any] | None = None, **more: Any) -> Any:
    """Run fix_wu as ansible-runner does for AWX."""
    folder = fleet.folder / "runner"
    (folder / "project").mkdir(parents=True, exist_ok=True)
    given = {"wu_repair_report": str(fleet.folder / REPORT), **(variables or {})}
    return runner.run(
        private_data_dir=str(folder),
        playbook="winfleet.wu_repair.fix_wu",
        inventory=str(fleet.write_inventory()),
        envvars=environment(fleet.folder),
        extravars=given,
        limit=limit,
        quiet=True,
        **more,
    )


def artifacts(done: Any) -> dict[str, Any]:
    """What AWX shows as the artifacts of the job."""
    (stats,) = [event["event_data"] for event in done.events if event["event"] == "playbook_on_stats"]
    data: dict[str, Any] = stats["artifact_data"]
    return data


def of_host(done: Any, host: str) -> list[dict[str, Any]]:
    return [event for event in done.events if event["event_data"].get("host") == host]


def test_artifacts_events_and_relaunch_on_failed(make_fleet: MakeFleet) -> None:
    fleet = make_fleet("model", "healthy-client=well", "german-host=canary", "german-host=sick", "low-disk=full", "healthy-client=locked")
    fleet.wire.hosts["locked"].faults["access_denied"] = True
    first = run(fleet)
    assert (first.status, first.rc) == ("failed", 2)
    known = artifacts(first)
    counts = {"hosts": 5, "healthy": 1, "repaired": 2, "needs_action": 1, "unreachable": 1}
    assert {name: known[f"wu_repair_{name}"] for name in counts} == counts
    assert {row["host"]: row["now"] for row in known["wu_repair_rows"]} == {"full": "needs_action", "locked": "unreachable"}
    for host in ("canary", "sick"):
        events = of_host(first, host)
        assert sum(len(json.dumps(event)) for event in events) <= MOST_OF_A_REPAIR, [event["event_data"]["task"] for event in events]
    assert not any('"sections"' in json.dumps(event) for event in first.events)
    assert '"evidence": ' not in "".join(json.dumps(event) for event in first.events)
    # Relaunch on failed hosts, as AWX does: by --limit.
    failed = {event["event_data"]["host"] for event in first.events if event["event"] == "runner_on_failed"}
    assert failed == {"locked"}
    del fleet.wire.hosts["locked"].faults["access_denied"]
    again = run(fleet, limit=",".join(failed))
    assert (again.status, artifacts(again)["wu_repair_hosts"], artifacts(again)["wu_repair_healthy"]) == ("successful", 1, 1)


def backups(fleet: Fleet, host: str) -> list[str]:
    return [path.name for path in (fleet.folder / host / "c" / "Windows").glob("SoftwareDistribution.wu-*")]


class Cancelled:
    """Cancels a run a second after a task began on a host, while that host takes its time to answer."""

    def __init__(self, fleet: Fleet, host: str, task: str) -> None:
        self._faults, self._host, self._task = fleet.wire.hosts[host].faults, host, task
        self._began: float | None = None
        self._lock = threading.Lock()

    def look(self, event: dict[str, Any]) -> None:
        data = event["event_data"]
        if event["event"] == "runner_on_start" and (data.get("host"), data.get("task")) == (self._host, self._task):
            self._faults["slow_ms"] = 3000
            with self._lock:
                self._began = time.monotonic()

    def asks(self) -> bool:
        with self._lock:
            return self._began is not None and time.monotonic() - self._began > 1


def wait_for(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not holds() and time.monotonic() < until:
        time.sleep(0.2)


@pytest.mark.slow
def test_a_cancelled_job_loses_no_repair_and_its_relaunch_makes_no_second_one(make_fleet: MakeFleet) -> None:
    fleet = make_fleet("model", "german-host=done", "german-host=at-work", "german-host=waiting", "healthy-client=fine")
    cancelled = Cancelled(fleet, "at-work", "Reset the download cache")
    first = run(fleet, variables={"wu_repair_serial": 1}, event_handler=cancelled.look, cancel_callback=cancelled.asks)
    assert first.status == "canceled"
    lines = (fleet.folder / REPORT).with_suffix(".jsonl").read_text("utf-8").splitlines()
    head, *rows = [json.loads(line) for line in lines]
    assert (head["asked"], {row["host"]: row["now"] for row in rows}) == (4, {"done": "repaired", "fine": "healthy"})
    fleet.wire.hosts["at-work"].faults.pop("slow_ms")
    # What is at work on the host goes on without its controller, and nothing is left behind that it stopped.
    wait_for(lambda: len(backups(fleet, "at-work")) == 1)
    again = run(fleet)
    assert again.status == "successful"
    known = artifacts(again)
    assert (known["wu_repair_healthy"], known["wu_repair_repaired"]) == (3, 1), known
    assert {host: len(backups(fleet, host)) for host in ("done", "at-work", "waiting")} == {"done": 1, "at-work": 1, "waiting": 1}
