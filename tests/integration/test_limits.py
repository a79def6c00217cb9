# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What holds a run back: batches, the failure limit, time limits, repairs that may not be made."""

from __future__ import annotations

import time
from typing import Any

import pytest
from lab.controller import changed, fix, play
from lab.fleet import Fleet
from lab.wire import Host

from .conftest import MakeFleet

STOPPED = "The rollout was stopped: {} of {} hosts that were sent a change failed, {} hosts not tried."


@pytest.fixture(scope="module")
def one(make_fleet: MakeFleet) -> Fleet:
    return make_fleet("model", "lost-cache=one")


def test_failed_repairs_end_the_run_before_its_next_batch(make_fleet: MakeFleet) -> None:
    fleet = make_fleet("model", *(f"wuauserv-will-not-stop=stuck-{number}" for number in (1, 2, 3)))
    # The batches follow the inventory, whichever host answers first: an administrator names the canary. Under the strategy free the
    # first one is sure to be grouped last.
    fleet.wire.hosts["stuck-1"].faults["slow_ms"] = 300
    (fleet.folder / "ansible.cfg").write_text("[defaults]\nstrategy = free\n")
    untouched = fleet.snapshots(("stuck-2", "stuck-3"))
    # The defaults: a canary that fails stops all, whatever the limit of the others.
    rows, done = fix(fleet, variables={"wu_repair_stop_timeout": 1})
    assert [rows[f"stuck-{number}"]["now"] for number in (1, 2, 3)] == ["failed", "sick", "sick"]
    assert fleet.snapshots(untouched) == untouched
    assert done.returncode == 2
    assert STOPPED.format(1, 1, 2) in done.stdout.splitlines()
    assert "not tried" in next(line for line in done.stdout.splitlines() if line.startswith("  stuck-2 "))
    # Who was not tried fails as well, so that a relaunch on failed hosts tries them.
    assert {name for name in rows if f"fatal: [{name}]: FAILED!" in done.stdout} == {"stuck-1", "stuck-2", "stuck-3"}


class Goes(dict[str, Any]):
    """Faults of a host that goes down for good once it has had so many messages."""

    def __init__(self, host: Host, messages: int) -> None:
        super().__init__()
        self._host, self._messages = host, messages

    def get(self, key: str, default: Any = None) -> Any:
        return self._host.total_messages >= self._messages if key == "down" else default


def three(make_fleet: MakeFleet, messages: int) -> tuple[dict[str, dict[str, Any]], str, int]:
    """Repair three hosts, of which the canary goes down so many messages after its look."""
    fleet = make_fleet("model", *(f"german-host=host-{number}" for number in (1, 2, 3)))
    play(fleet, "check_wu")
    first = fleet.wire.hosts["host-1"]
    first.faults = Goes(first, 2 * first.total_messages + messages)
    rows, done = fix(fleet, variables={"wu_repair_serial": "1,100%"})
    return rows, done.stdout, done.returncode


def test_a_canary_that_is_lost_before_anything_was_sent_to_it_is_replaced_by_the_next(make_fleet: MakeFleet) -> None:
    rows, said, code = three(make_fleet, 0)
    assert [(rows[f"host-{number}"]["now"], rows[f"host-{number}"]["did"]) for number in (1, 2, 3)] == [
        ("unreachable", []), ("repaired", ["reset"]), ("repaired", ["reset"])
    ], said  # fmt: skip
    first = [play for play in said.split("PLAY [")[1:] if play.startswith("Repair the first]")]
    assert [name for play in first for name in ("host-1", "host-2", "host-3") if f"for {name}" in play] == ["host-1", "host-2"]
    assert code == 2


def test_a_canary_that_is_lost_in_the_middle_of_a_change_stops_the_rollout(make_fleet: MakeFleet) -> None:
    rows, said, code = three(make_fleet, 3)
    assert (rows["host-1"]["now"], rows["host-1"]["did"]) == ("failed", ["reset"]), said
    assert "outcome is unknown" in rows["host-1"]["msg"]
    assert [rows[name]["did"] for name in ("host-2", "host-3")] == [[], []]
    assert STOPPED.format(1, 1, 2) in said.splitlines()
    assert code == 2


def test_later_failures_stop_by_their_number_and_no_limit_is_none(make_fleet: MakeFleet) -> None:
    fleet = make_fleet("model", "german-host=a-good", *(f"wuauserv-will-not-stop=b-stuck-{number}" for number in (1, 2, 3)))
    given = {"wu_repair_stop_timeout": 1, "wu_repair_serial": [1]}
    rows, done = fix(fleet, variables={**given, "wu_repair_max_failed": "25%"})
    assert [len(row["did"]) for _host, row in sorted(rows.items())] == [1, 1, 0, 0], done.stdout
    assert STOPPED.format(1, 2, 2) in done.stdout.splitlines()
    rows, done = fix(fleet, "--limit", "!a-good,!b-stuck-1", variables={**given, "wu_repair_serial": 2, "wu_repair_max_failed": 0})
    assert [len(row["did"]) for row in rows.values()] == [1, 1]


@pytest.mark.parametrize(("name", "value"), [("serial", "0"), ("max_failed", "many"), ("fail_on", ["faild"])])
def test_a_limit_that_cannot_be_meant_so_is_one_line_before_any_host(one: Fleet, name: str, value: object) -> None:
    one.reset_counters()
    done = play(one, "fix_wu", variables={f"wu_repair_{name}": value})
    assert done.returncode != 0
    assert f"wu_repair_{name} must be" in done.stdout or f"option {name} has no verdict named faild" in done.stdout
    assert one.counters()["one"]["processes"] == 0


def test_a_host_that_hangs_does_not_hold_the_others_up(make_fleet: MakeFleet) -> None:
    fleet = make_fleet("model", "hanging-host", "german-host=sick-one", "healthy-client=well", "healthy-client=odd")
    # One whose variable cannot be had ends before our module begins; with that configuration ansible-core would end the play for all.
    next(spec for spec in fleet.specs if spec.name == "odd").variables["wu_repair_max_skew"] = "{{ nosuch }}"
    (fleet.folder / "ansible.cfg").write_text("[defaults]\nany_errors_fatal = true\n")
    began = time.monotonic()
    rows, _done = fix(fleet, variables={"wu_repair_task_timeout": 6, "wu_repair_time_limit": 5})
    assert rows["hanging-host"]["now"] in ("failed", "unreachable")
    assert (rows["sick-one"]["now"], rows["well"]["now"], rows["odd"]["now"]) == ("repaired", "healthy", "failed")
    assert "nosuch" in rows["odd"]["msg"]
    assert time.monotonic() - began < 60


def test_a_repair_is_not_ended_while_it_may_be_at_work(make_fleet: MakeFleet) -> None:
    """The limit of the tasks once ended an agent in the middle: wuauserv, BITS, UsoSvc and DoSvc stayed stopped for good."""
    fleet = make_fleet("model", "wuauserv-will-not-stop=slow")
    ran = {name for name, service in fleet.sim("slow").snapshot()["services"].items() if service["state"] == "running"}
    rows, _done = fix(fleet, variables={"wu_repair_task_timeout": 5, "wu_repair_stop_timeout": 7, "wu_repair_time_limit": 20})
    assert rows["slow"]["now"] == "failed"
    assert "did not stop within 7000 ms" in rows["slow"]["msg"]
    runs = {name for name, service in fleet.sim("slow").snapshot()["services"].items() if service["state"] == "running"}
    assert ran - runs <= {"wuauserv"}


@pytest.mark.parametrize("name", ["wu_repair_skip", "wu_repair_skip_rungs"])
def test_a_repair_that_may_not_be_made_is_not(make_fleet: MakeFleet, name: str) -> None:
    fleet = make_fleet("model", "lost-cache=skipped")
    before = fleet.sim("skipped").snapshot()
    rows, done = fix(fleet, variables={name: ["reset"]})
    assert (rows["skipped"]["did"], rows["skipped"]["now"]) == ([], "unresolved")
    assert fleet.sim("skipped").snapshot() == before
    assert set(changed(done.stdout).values()) == {0}


def test_all_repairs_until_the_host_is_cured_and_leaves_the_healthy_alone(make_fleet: MakeFleet) -> None:
    fleet = make_fleet("model", "german-host=all-sick", "healthy-client=all-well", "wsus-unreachable=all-wsus")
    alone = fleet.snapshots(("all-well", "all-wsus"))
    rows, _done = fix(fleet, variables={"wu_repair_mode": "all"})
    assert rows["all-sick"]["now"] == "repaired"
    assert "reset" in rows["all-sick"]["did"]
    assert "osupgrade" not in rows["all-sick"]["did"]
    assert fleet.snapshots(alone) == alone
