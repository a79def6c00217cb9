# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What holds a run back: batches, the failure limit, time limits, repairs that may not be made."""

from __future__ import annotations

import time

from lab.controller import changed, fix

from .conftest import MakeFleet


def test_failed_repairs_end_the_run_before_its_next_batch(make_fleet: MakeFleet) -> None:
    fleet = make_fleet("model", *(f"wuauserv-will-not-stop=stuck-{number}" for number in (1, 2, 3)))
    # The batches follow the inventory, whichever host answers first: an administrator names the canary. Under the strategy free the
    # first one is sure to be grouped last.
    fleet.wire.hosts["stuck-1"].faults["slow_ms"] = 300
    (fleet.folder / "ansible.cfg").write_text("[defaults]\nstrategy = free\n")
    untouched = fleet.snapshots(("stuck-2", "stuck-3"))
    rows, done = fix(fleet, variables={"wu_repair_stop_timeout": 1, "wu_repair_serial": [1], "wu_repair_max_failed": 1})
    assert [rows[f"stuck-{number}"]["now"] for number in (1, 2, 3)] == ["failed", "sick", "sick"]
    assert fleet.snapshots(untouched) == untouched
    assert done.returncode == 2


def test_a_host_that_hangs_does_not_hold_the_others_up(make_fleet: MakeFleet) -> None:
    fleet = make_fleet("model", "hanging-host", "german-host=sick-one", "healthy-client=well")
    began = time.monotonic()
    rows, _done = fix(fleet, variables={"wu_repair_task_timeout": 6, "wu_repair_time_limit": 5})
    assert rows["hanging-host"]["now"] in ("failed", "unreachable")
    assert (rows["sick-one"]["now"], rows["well"]["now"]) == ("repaired", "healthy")
    assert time.monotonic() - began < 60


def test_a_repair_that_may_not_be_made_is_not(make_fleet: MakeFleet) -> None:
    fleet = make_fleet("model", "lost-cache=skipped")
    before = fleet.sim("skipped").snapshot()
    rows, done = fix(fleet, variables={"wu_repair_skip_rungs": ["reset"]})
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
