# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""check_wu.yml, and fix_wu.yml --check, which says what the first repair would do and which come after it: nothing is changed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest
from lab.controller import changed, fix, play
from lab.fleet import Fleet

from .conftest import MakeFleet

HOSTS = ("lost-cache", "wuauserv-disabled", "clock-ahead-workgroup", "reboot-pending", "healthy-client")


@dataclass(frozen=True)
class Checked:
    """Four checks of one fleet, with the state of its hosts before and after them."""

    looked: str
    routed: dict[str, dict[str, Any]]
    routed_said: str
    howto: dict[str, dict[str, Any]]
    restart: dict[str, dict[str, Any]]
    before: dict[str, Any]
    after: dict[str, Any]
    booted: dict[str, tuple[Any, Any]]


def _boots(fleet: Fleet) -> dict[str, Any]:
    facts = {name: fleet.sim(name).call("Get-HostFact", {}) for name in HOSTS}
    return {name: fact["boot_time"] for name, fact in facts.items() if isinstance(fact, dict)}


@pytest.fixture(scope="module")
def checked(make_fleet: MakeFleet) -> Checked:
    # Check mode of the role is the controller's work. test_modules.py holds that of each module, on every backend.
    fleet = make_fleet("model", *HOSTS)
    before, boots = fleet.snapshots(HOSTS), _boots(fleet)
    looked = play(fleet, "check_wu").stdout
    routed, said = fix(fleet, "--check", "--diff")
    howto, _done = fix(fleet, "--check", "--limit", "lost-cache", variables={"wu_repair_mode": "all"})
    one = ("--limit", "reboot-pending")
    restart, _done = fix(fleet, "--check", *one, variables={"wu_repair_restart": True})
    booted = {name: (boots[name], time) for name, time in _boots(fleet).items()}
    return Checked(looked, routed, said.stdout + said.stderr, howto, restart, before, fleet.snapshots(HOSTS), booted)


def test_nothing_is_changed(checked: Checked) -> None:
    assert checked.before == checked.after
    for before, after in checked.booted.values():
        assert after == pytest.approx(before, abs=2)


def test_check_wu_names_every_host_that_is_not_healthy_and_counts_no_change(checked: Checked) -> None:
    counts = changed(checked.looked)
    assert set(HOSTS) <= set(counts)
    assert set(counts.values()) == {0}
    told = checked.looked.partition("Not healthy, worst first:")[2].splitlines()
    for name, words in zip(HOSTS, ("broken, can be repaired",) * 3 + ("waits for a restart",), strict=False):
        assert any(name in line and words in line for line in told), name
    assert not any("healthy-client" in line for line in told)


def test_row_says_what_the_repair_would_do(checked: Checked) -> None:
    row = checked.routed["lost-cache"]
    assert (row["was"], row["did"], row["now"], row["proved_by"]) == ("sick", [], "sick", None)
    assert row["changed"] is True
    assert any(r"set aside C:\Windows\SoftwareDistribution" in sentence for sentence in row["would"])
    assert row["if_not_cured"] == []
    assert any("wuauserv" in sentence for sentence in checked.routed["wuauserv-disabled"]["would"])
    assert any("clock" in sentence for sentence in checked.routed["clock-ahead-workgroup"]["would"])


def test_a_person_reads_it_in_the_summary(checked: Checked) -> None:
    told = checked.routed_said.partition("Not healthy, worst first:")[2]
    assert re.search(r"lost-cache +broken, can be repaired: would set aside C:.Windows.SoftwareDistribution; stop ", told)
    assert "Check mode: nothing was changed." in checked.routed_said.splitlines()
    assert "healthy-client" not in told


def test_healthy_host_would_do_nothing(checked: Checked) -> None:
    row = checked.routed["healthy-client"]
    assert (row["would"], row["if_not_cured"], row["changed"]) == ([], [], False)


def test_later_repairs_are_only_named(checked: Checked) -> None:
    row = checked.howto["lost-cache"]
    assert (row["did"], row["now"]) == ([], "sick")
    assert any("clock" in sentence for sentence in row["would"])
    assert not any("SoftwareDistribution" in sentence for sentence in row["would"])
    # The order of the how-to, not the one in which a set of names happens to come.
    assert row["if_not_cured"] == ["reset", "osupgrade"]


def test_restart_is_only_announced(checked: Checked) -> None:
    assert checked.routed["reboot-pending"]["would"] == []
    row = checked.restart["reboot-pending"]
    assert (row["would"], row["did"], row["now"]) == (["restart the host"], [], "restart_required")
