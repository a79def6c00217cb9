# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What holds a run back: batches, the failure limit, time limits, repairs that may not be made."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from lab.controller import changed, fix, play
from lab.fleet import scenario_path
from lab.wire import Host

from .conftest import MakeFleet

# What a look and a search may take, where a task's own limit is short.
SHORT = {"wu_repair_time_limit": 5, "wu_repair_scan_timeout": 5}
STOPPED = "The rollout was stopped: {} of {} hosts that were sent a change failed, {} hosts not tried."


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


@pytest.mark.slow  # half a minute; the canary lost in the middle of a change, below, is played by make test
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


@pytest.mark.slow
def test_later_failures_stop_by_their_number_and_no_limit_is_none(make_fleet: MakeFleet) -> None:
    fleet = make_fleet("model", "german-host=a-good", *(f"wuauserv-will-not-stop=b-stuck-{number}" for number in (1, 2, 3)))
    given = {"wu_repair_stop_timeout": 1, "wu_repair_serial": [1]}
    rows, done = fix(fleet, variables={**given, "wu_repair_max_failed": "25%"})
    assert [len(row["did"]) for _host, row in sorted(rows.items())] == [1, 1, 0, 0], done.stdout
    assert STOPPED.format(1, 2, 2) in done.stdout.splitlines()
    rows, done = fix(fleet, "--limit", "!a-good,!b-stuck-1", variables={**given, "wu_repair_serial": 2, "wu_repair_max_failed": 0})
    assert [len(row["did"]) for row in rows.values()] == [1, 1]


def wsus_client(fleet_folder: Path, wsus: str) -> str:
    """A scenario's file: a host whose WSUS sends metadata that it cannot use (WU_E_UH_INVALIDMETADATA)."""
    text = scenario_path("wsus-unreachable").read_text("utf-8").replace("0x80072ee2", "0x80242006").replace("0x80072EE2", "0x80242006")
    text = text.replace("{ok: false, error: timed out, gives: 0x80242006}", "{ok: true}").replace("wsus.corp.example", wsus)
    path = fleet_folder / f"{wsus}.yml"
    path.write_text(text, "utf-8")
    return str(path)


def test_hosts_that_fail_alike_at_one_server_are_left_to_it(make_fleet: MakeFleet, tmp_path: Path) -> None:
    bad, other = wsus_client(tmp_path, "wsus1"), wsus_client(tmp_path, "wsus2")
    hosts = [*(f"{bad}=alike-{number}" for number in (1, 2, 3)), f"{other}=alone", "german-host=own-cache"]
    fleet = make_fleet("model", *hosts)
    untouched = fleet.snapshots([f"alike-{number}" for number in (1, 2, 3)])
    # As the inventory says it, for a play has no host yet.
    for spec in fleet.specs:
        spec.variables["wu_repair_shared_server"] = 3
    # A look names the server as well, and not the repair that would leave its hosts alone.
    looked = play(fleet, "check_wu").stdout
    assert looked.count("-> whoever runs the WSUS: Mend WSUS wsus1:8530") == 1, looked
    assert [line for line in looked.splitlines() if line.startswith("  3 hosts: ") and "0x80242006" in line], looked
    rows, done = fix(fleet)
    assert fleet.snapshots(untouched) == untouched
    for name in untouched:
        row = rows[name]
        assert (row["was"], row["now"], row["owner"], row["did"], row["why"]) == ("sick", "needs_action", "wsus", [], "0x80242006")
        assert "Many hosts fail alike at WSUS wsus1:8530" in row["msg"]
        assert row["next_step"].startswith("Mend WSUS wsus1:8530. Where it is sound, repair one host (--limit)")
    assert (rows["alone"]["did"], rows["own-cache"]["now"]) == (["reset"], "repaired"), done.stdout
    (cause,) = [line for line in done.stdout.splitlines() if line.startswith("  3 hosts: ")]
    assert "0x80242006" in cause
    assert done.stdout.count("whoever runs the WSUS: Mend WSUS wsus1:8530") == 1
    assert not {name for name in untouched if f"fatal: [{name}]" in done.stdout}
    # One of them alone, as the next step says.
    rows, done = fix(fleet, "--limit", "alike-1", "--check")
    assert rows["alike-1"]["would"], done.stdout


def test_the_variables_of_every_host_are_checked_before_the_first_connection(make_fleet: MakeFleet) -> None:
    fleet = make_fleet("model", "healthy-client=first", "healthy-client=second", "healthy-client=third")
    fleet.specs[1].variables["wu_repair_stop_timeout"] = 0
    fleet.specs[2].variables["wu_repair_task_timeout"] = 30
    everywhere = {"serial": "0", "max_failed": "many", "shared_server": "few", "fail_on": ["faild"]}
    done = play(fleet, "fix_wu", variables={f"wu_repair_{name}": value for name, value in everywhere.items()})
    assert done.returncode == 2
    told = done.stdout.splitlines()
    for name in ("serial", "max_failed", "shared_server"):
        assert [line for line in told if line.startswith(f"first, second, third: wu_repair_{name} must be")], name
    assert [line for line in told if line.startswith("first, second, third: option fail_on has no verdict named faild")]
    assert "second: wu_repair_stop_timeout must be a number from 1 to 3600" in told, done.stdout
    assert "third: wu_repair_task_timeout must be at least the 360 s of wu_repair_time_limit and wu_repair_scan_timeout together" in told
    assert sum(cost["messages"] for cost in fleet.counters().values()) == 0
    # Not a host that failed, of three that were asked for.
    said = done.stdout.rpartition("PLAY RECAP")[2].partition("\n\n")[2].splitlines()
    assert said[0].startswith("No host was looked at: 6 variables cannot be meant so, above; the first: first, second, third: ")
    assert len(said) < 4


def test_what_is_cut_at_a_blank_is_no_smaller_fleet(make_fleet: MakeFleet) -> None:
    """`-e 'wu_repair_hosts=a, b'` looked at `a` alone, and was green."""
    fleet = make_fleet("model", "healthy-client=first", "healthy-client=second")
    done = play(fleet, "check_wu", "-e", "wu_repair_hosts=first, second", "-e", "wu_repair_reprot=wu.json")
    assert done.returncode == 2, done.stdout
    assert "first: -e was cut at a blank, and what follows it belongs to no variable; quote it inside: -e 'NAME=\"a, b\"'" in done.stdout
    assert "wu_repair_reprot is no variable of this collection; was wu_repair_report meant?" in done.stdout
    assert sum(cost["messages"] for cost in fleet.counters().values()) == 0


def test_a_host_that_hangs_does_not_hold_the_others_up(make_fleet: MakeFleet) -> None:
    fleet = make_fleet("model", "hanging-host", "german-host=sick-one", "healthy-client=well", "healthy-client=odd")
    # One whose variable cannot be had ends before our module begins; with that configuration ansible-core would end the play for all.
    next(spec for spec in fleet.specs if spec.name == "odd").variables["wu_repair_max_skew"] = "{{ nosuch }}"
    (fleet.folder / "ansible.cfg").write_text("[defaults]\nany_errors_fatal = true\n")
    began = time.monotonic()
    rows, _done = fix(fleet, variables={"wu_repair_task_timeout": 10, **SHORT})
    assert rows["hanging-host"]["now"] in ("failed", "unreachable")
    assert (rows["sick-one"]["now"], rows["well"]["now"], rows["odd"]["now"]) == ("repaired", "healthy", "failed")
    assert "nosuch" in rows["odd"]["msg"]
    assert time.monotonic() - began < 60


def test_a_repair_is_not_ended_while_it_may_be_at_work(make_fleet: MakeFleet) -> None:
    """The limit of the tasks once ended an agent in the middle: wuauserv, BITS, UsoSvc and DoSvc stayed stopped for good."""
    fleet = make_fleet("model", "wuauserv-will-not-stop=slow")
    ran = {name for name, service in fleet.sim("slow").snapshot()["services"].items() if service["state"] == "running"}
    rows, _done = fix(fleet, variables={"wu_repair_task_timeout": 10, "wu_repair_stop_timeout": 12, **SHORT})
    assert rows["slow"]["now"] == "failed"
    assert "did not stop within 12 s" in rows["slow"]["msg"]
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
