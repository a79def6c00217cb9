# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The role in a play of its own: what it registers on every host, when it fails one, and what it does where a line breaks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import situation
from lab.controller import changed, play
from lab.fleet import Fleet

from .conftest import MakeFleet

HOSTS = {
    "well": "healthy-client",
    "sick": "german-host",
    "stuck": "wuauserv-will-not-stop",
    "store": "component-store",
    "gone": "dead-host",
    "upgrade": "feature-upgrade-failed",
    "wrong": "healthy-client",
}
KEYS = {"host", "was", "why", "did", "now", "msg", "next_step", "owner", "changed", "proved_by", "run_id", "backups"}


@dataclass(frozen=True)
class Ran:
    """A run of the role, with what it registered."""

    results: dict[str, dict[str, Any]]
    said: str
    code: int


def run_role(fleet: Fleet, *options: str, use: str = "roles", variables: dict[str, Any] | None = None) -> Ran:
    """Run the role on all hosts; another play writes down what is known of each afterwards."""
    kept = fleet.folder / "kept.json"
    kept.unlink(missing_ok=True)
    name = "winfleet.wu_repair.wu_repair"
    one: dict[str, Any] = {"hosts": "windows", "gather_facts": False, "roles": [name]}
    if use == "include":
        one = {"hosts": "windows", "gather_facts": False, "tasks": [{"name": "Repair", "ansible.builtin.include_role": {"name": name}}]}
    known = "{% set all = {} %}{% for host in groups.windows %}"
    known += "{% set _ = all.update({host: hostvars[host].wu_repair_result | default(none)}) %}{% endfor %}{{ all | to_json }}"
    keep = {"name": "Keep", "ansible.builtin.copy": {"content": known, "dest": str(kept), "mode": "0600"}}
    book = fleet.folder / "role.yml"
    plays = [one, {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [keep]}]
    book.write_text(yaml.safe_dump(plays, sort_keys=False), "utf-8")
    done = play(fleet, str(book), *options, variables={"wu_repair_stop_timeout": 2, **(variables or {})})
    assert kept.exists(), done.stdout[-3000:] + done.stderr[-3000:]
    results = {host: row for host, row in json.loads(kept.read_text("utf-8")).items() if row is not None}
    return Ran(results, done.stdout + done.stderr, done.returncode)


@pytest.fixture(scope="module")
def ran(make_fleet: MakeFleet) -> Ran:
    fleet = make_fleet("model", *(f"{scenario}={host}" for host, scenario in HOSTS.items()))
    next(spec for spec in fleet.specs if spec.name == "wrong").variables["wu_repair_max_skew"] = "abc"
    # AWX shows these as the artifacts of a job.
    (fleet.folder / "ansible.cfg").write_text("[defaults]\nshow_custom_stats = true\n")
    return run_role(fleet)


def test_every_host_has_its_row(ran: Ran) -> None:
    # ansible-core itself refuses the role on a host whose variables are wrong.
    assert set(ran.results) == set(HOSTS) - {"wrong"}
    for host, row in ran.results.items():
        assert set(row) >= KEYS, host
        assert row["verdict"] == row["now"]
        assert len(row["msg"]) <= 300
    assert (ran.results["well"]["now"], ran.results["well"]["changed"]) == ("healthy", False)
    assert (ran.results["sick"]["now"], ran.results["sick"]["changed"], ran.results["sick"]["did"]) == ("repaired", True, ["reset"])
    assert ran.results["sick"]["backups"][0].endswith(str(situation.backup_ending(ran.results["sick"]["run_id"])))


def test_red_verdicts_fail_their_host_with_one_line(ran: Ran) -> None:
    failed = {host for host in HOSTS if f"fatal: [{host}]: FAILED!" in ran.said}
    assert failed == {"stuck", "gone", "wrong"}
    assert ran.code == 2
    assert "wuauserv" in ran.results["stuck"]["msg"]
    assert ran.results["gone"]["now"] == "unreachable"


def test_a_host_that_is_not_well_has_one_line_and_a_failed_one_says_its_sentence_once(ran: Ran) -> None:
    told = {host: [line for line in ran.said.splitlines() if line.startswith(f"{host}: ")] for host in HOSTS}
    assert {host for host, lines in told.items() if len(lines) == 1} == {"stuck", "store", "gone", "upgrade"}
    assert told["store"][0].startswith("store: needs an administrator: ")
    assert "DISM" in told["store"][0]
    assert "nothing listens on the port (connection refused)" in told["gone"][0]
    for host in ("stuck", "gone"):
        assert ran.said.partition("CUSTOM STATS")[0].count(ran.results[host]["msg"][:60]) == 1
        assert max(len(line) for line in ran.said.splitlines() if line.startswith(f"fatal: [{host}]")) < 200


def test_totals_and_rows_that_are_not_well_are_artifacts(ran: Ran) -> None:
    (line,) = [line for line in ran.said.splitlines() if line.strip().startswith("RUN: ")]
    known = json.loads(line.partition("RUN: ")[2])
    counts = {"hosts": 6, "healthy": 1, "repaired": 1, "unreachable": 1, "failed": 1, "needs_action": 2}
    assert {name: known[f"wu_repair_{name}"] for name in counts} == counts
    assert {row["host"]: row["now"] for row in known["wu_repair_rows"]} == {
        "stuck": "failed", "store": "needs_action", "gone": "unreachable", "upgrade": "needs_action"
    }  # fmt: skip


def test_what_no_repair_mends_is_needs_action_at_once(ran: Ran) -> None:
    row = ran.results["store"]
    assert (row["was"], row["now"], row["owner"], row["did"]) == ("needs_action", "needs_action", "admin", [])
    assert "DISM" in row["next_step"]


def test_the_attempt_is_made_once_and_promises_nothing(ran: Ran) -> None:
    row = ran.results["upgrade"]
    assert (row["was"], row["did"], row["now"], row["changed"]) == ("needs_action", ["osupgrade"], "needs_action", True)


def test_the_variables_of_each_host_are_checked(ran: Ran) -> None:
    assert "fatal: [wrong]" in ran.said
    assert "wu_repair_max_skew" in ran.said


def test_a_case_is_small_and_holds_no_evidence(ran: Ran) -> None:
    for host, registered in ran.results.items():
        assert len(json.dumps(registered["case"], separators=(",", ":"))) <= 2048, host
        assert "evidence" not in registered
    assert len(json.dumps(ran.results["well"])) < 1500


def test_nothing_is_left_on_the_controller(make_fleet: MakeFleet) -> None:
    fleet = make_fleet("model", "german-host=tidy", "healthy-client=calm")
    run_role(fleet)
    assert not list(fleet.folder.glob("ansible/**/wu_repair-*"))


def test_fail_false_leaves_it_to_who_reads_the_result(make_fleet: MakeFleet) -> None:
    fleet = make_fleet("model", "wuauserv-will-not-stop=stuck-kept", "healthy-client=well-kept")
    ran = run_role(fleet, use="include", variables={"wu_repair_fail": False})
    assert ran.code == 0, ran.said[-2000:]
    assert (ran.results["stuck-kept"]["now"], ran.results["well-kept"]["now"]) == ("failed", "healthy")


def test_a_line_that_breaks_in_a_look_is_tried_once_more(make_fleet: MakeFleet) -> None:
    fleet = make_fleet("model", "healthy-client=shaky")
    host = fleet.wire.hosts["shaky"]
    broken = iter([True])
    real = host.faults

    class Once(dict[str, Any]):
        """Faults of which the line drops once."""

        def get(self, key: str, default: Any = None) -> Any:
            if key == "drop_after_messages":
                return 0 if host.total_messages >= 2 and next(broken, False) else None
            return real.get(key, default)

    host.faults = Once()
    ran = run_role(fleet)
    assert ran.results["shaky"]["now"] == "healthy", ran.said[-2000:]
    assert next(broken, None) is None
    assert changed(ran.said)["shaky"] == 0
