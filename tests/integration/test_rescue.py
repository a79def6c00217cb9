# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The role as the rescue of an update run, with the playbook that README.md shows and the real win_updates."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from lab.controller import REPOSITORY, changed, play
from lab.fleet import Fleet
from lab.sim import Sim

from .conftest import MakeFleet

HOST = "win-updates-rescue"
NOT_FOUND = 0x80070002


def shown_in_readme() -> str:
    """The playbook of README.md that has a rescue."""
    blocks = re.findall(r"^```yaml\n(.*?)^```", (REPOSITORY / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    (found,) = [block for block in blocks if "rescue:" in block]
    return str(found)


@dataclass(frozen=True)
class Run:
    """One run of the playbook: what came of it, and what the host's variables held at its end."""

    done: subprocess.CompletedProcess[str]
    updates: dict[str, Any]
    result: dict[str, Any] | None
    renamed: list[str]
    installed: bool
    fleet: Fleet


@pytest.fixture(scope="module")
def runs(backend: str, make_fleet: MakeFleet) -> tuple[Run, Run]:
    fleet = make_fleet(backend, HOST)
    once = _runner(fleet)
    return once(), once()


def _runner(fleet: Fleet) -> Callable[..., Run]:
    book, keep, kept = (fleet.folder / name for name in ("rescue.yml", "keep.yml", "kept.json"))
    book.write_text(shown_in_readme(), "utf-8")
    # A second playbook of the same run sees the variables that the first one left.
    content = "{{ {'updates': known.updates, 'result': known.wu_repair_result | default(none)} | to_json }}"
    task = {
        "name": "Keep",
        "vars": {"known": "{{ hostvars['" + HOST + "'] }}"},
        "ansible.builtin.copy": {"content": content, "dest": str(kept), "mode": "0600"},
    }
    play_of_it = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [task]}
    keep.write_text(yaml.safe_dump([play_of_it]), "utf-8")
    sim = fleet.sim(HOST)
    assert isinstance(sim, Sim)

    def once(*earlier: str) -> Run:
        kept.unlink(missing_ok=True)
        done = play(fleet, *earlier, str(book), str(keep))
        assert kept.exists(), done.stdout[-3000:] + done.stderr[-3000:]
        held = json.loads(kept.read_text("utf-8"))
        windows = sim.folder / "c" / "Windows"
        renamed = sorted(path.name for path in windows.iterdir() if ".wu-" in path.name)
        return Run(done, held["updates"], held["result"], renamed, not sim.updates, fleet)

    return once


def test_failed_installation_is_rescued_and_the_second_one_succeeds(runs: tuple[Run, Run]) -> None:
    first, _second = runs
    assert first.updates["failed"] is True
    codes = {update.get("failure_hresult_code") for update in first.updates["updates"].values()}
    assert codes == {NOT_FOUND}
    assert first.done.returncode == 0, first.done.stdout[-3000:]
    assert re.search(rf"^{HOST}\s+:.*failed=0\s.*rescued=1\s", first.done.stdout, re.MULTILINE)
    assert first.installed
    assert [name.partition(".")[0] for name in first.renamed] == ["SoftwareDistribution"]


def test_host_itself_shows_the_failed_installation(runs: tuple[Run, Run]) -> None:
    sim = runs[0].fleet.sim(HOST)
    asked = {"Channel": "System", "XPath": "*[System[(EventID=20)]]", "Max": 5, "TimeoutMs": 1000}
    events = sim.call("Read-EventRecord", asked)
    assert isinstance(events, list)
    assert ["0x80070002" in xml for xml in events] == [True]
    aside = sim.folder / "c" / "Windows" / runs[0].renamed[0]
    assert "182 [AGENT_INSTALLING_FAILED]" in (aside / "ReportingEvents.log").read_bytes().decode("utf-16")
    history = json.loads((aside / "DataStore" / "DataStore.edb").read_text("utf-8").splitlines()[-1])
    assert [row["result"] for row in history if row["hresult"] & 0xFFFFFFFF == NOT_FOUND] == [4]


def test_role_says_what_it_saw_and_leaves_the_proof_to_the_next_installation(runs: tuple[Run, Run]) -> None:
    result = runs[0].result
    assert result is not None
    assert (result["was"], result["why"], result["did"]) == ("sick", "0x80070002", ["reset"])
    # A search cannot prove it: searches never failed here.
    assert result["now"] == "unproven"
    assert "installations" in result["msg"]


def test_second_run_of_the_same_playbook_needs_no_rescue(runs: tuple[Run, Run]) -> None:
    first, second = runs
    assert second.done.returncode == 0
    assert second.updates["failed"] is False
    assert second.result is None
    assert "rescued=0" in second.done.stdout
    assert changed(second.done.stdout)[HOST] == 0
    assert second.renamed == first.renamed


def test_a_look_before_the_failure_does_not_count(make_fleet: MakeFleet) -> None:
    # It is the controller that remembers a look.
    run = _runner(make_fleet("model", HOST))("check_wu")
    assert run.result is not None
    assert (run.result["was"], run.result["did"]) == ("sick", ["reset"])
    assert run.installed
