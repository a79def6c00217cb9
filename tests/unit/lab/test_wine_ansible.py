# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible over the wire to a Wine host: the collection's PowerShell on real services, a real registry, real files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab import wine
from lab.fleet import Fleet, HostSpec
from lab.wine import WineSim

pytest.importorskip("winrm", reason="pywinrm is not installed")
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")

pytestmark = [
    pytest.mark.wine,
    pytest.mark.skipif(wine.available() is not None, reason=str(wine.available())),
    pytest.mark.skipif(not PLAYBOOK.exists(), reason="no ansible beside this Python"),
]


@pytest.fixture(scope="module")
def collections(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collections path with this checkout in it."""
    folder = tmp_path_factory.mktemp("collections")
    space = folder / "ansible_collections" / "winfleet"
    space.mkdir(parents=True)
    (space / "wu_repair").symlink_to(wine.REPOSITORY, target_is_directory=True)
    return folder


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Fleet([HostSpec("wine-1", "lost-cache")], "wine", tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet
    assert fleet.wire.errors == []


def play(fleet: Fleet, collections: Path, task: dict[str, Any], **environment: str) -> dict[str, Any]:
    """Run one task against the fleet and return its result for the host."""
    book = fleet.folder / "book.yml"
    answer = fleet.folder / "answer.json"
    answer.unlink(missing_ok=True)
    keep = {
        "ansible.builtin.copy": {"content": "{{ result | to_json }}", "dest": str(answer)},
        "delegate_to": "localhost",
        "vars": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable},
    }
    tasks = [{**task, "register": "result", "ignore_errors": True}, keep]
    book.write_text(json.dumps([{"hosts": "windows", "gather_facts": False, "tasks": tasks}]))
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "_ANSIBLE_"))}
    done = subprocess.run(
        [PLAYBOOK, "-i", fleet.write_inventory(), book],
        env={
            **clean,
            "ANSIBLE_COLLECTIONS_PATH": str(collections),
            "ANSIBLE_HOME": str(fleet.folder / "ansible"),
            **environment,
        },
        cwd=fleet.folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert answer.exists(), done.stdout + done.stderr
    result: dict[str, Any] = json.loads(answer.read_text("utf-8"))
    return result


def sim(fleet: Fleet) -> WineSim:
    found = fleet.sim("wine-1")
    assert isinstance(found, WineSim)
    return found


def state(fleet: Fleet) -> dict[str, Any]:
    """The host as it is, without what the update agent itself writes when it is asked to search."""
    found = sim(fleet).snapshot()
    return {**found, "files": {path: mark for path, mark in found["files"].items() if "ReportingEvents" not in path}}


def test_a_look_covers_the_real_lines_and_changes_nothing(fleet: Fleet, collections: Path) -> None:
    before = state(fleet)
    covered = fleet.folder / "wine-1" / "prefix" / "drive_c" / "users" / "cov"
    covered.mkdir()
    result = play(
        fleet,
        collections,
        {"winfleet.wu_repair.win_wu_info": {"gather_subset": ["all", "scan"], "return_evidence": "always"}},
        _ANSIBLE_COVERAGE_REMOTE_OUTPUT="C:\\users\\cov\\look",
        _ANSIBLE_COVERAGE_REMOTE_PATH_FILTER="*",
    )
    assert result["verdict"] == "sick", result
    assert result["changed"] is False
    sections = result["evidence"]["sections"]
    assert {name: one["why"] for name, one in sections.items() if one["status"] not in ("ok", "absent")} == {}
    assert state(fleet) == before
    lines = [json.loads(file.read_text("utf-8-sig")) for file in covered.iterdir()]
    module = str(collections / "ansible_collections/winfleet/wu_repair/plugins/module_utils/_PlatformRead.psm1")
    hits = {
        one["Line"]
        for report in lines
        for path, found in report.items()
        if path == module
        for one in found
        if one["HitCount"]
    }
    source = Path(module).read_text().splitlines()
    really = {source[line - 1].strip() for line in hits if line <= len(source)}
    assert "return @{ values = $values; subkeys = $open.GetSubKeyNames() }" in really
    assert "$state = $states[[int]$all[$one].Status - 1]" in really


def test_check_mode_leaves_files_registry_and_services_bit_for_bit(fleet: Fleet, collections: Path) -> None:
    before = state(fleet)
    result = play(fleet, collections, {"winfleet.wu_repair.win_wu_reset": {}, "check_mode": True})
    assert result["changed"] is True, result
    assert state(fleet) == before


def test_a_reset_is_done_proved_and_not_done_again(fleet: Fleet, collections: Path) -> None:
    result = play(fleet, collections, {"winfleet.wu_repair.win_wu_reset": {}})
    # The search is proved; only the next try can tell about the installation that failed.
    assert (result["verdict"], result["changed"]) == ("unproven", True), result
    names = [path.name for path in sim(fleet).path("C:\\Windows").iterdir()]
    backups = [name for name in names if name.startswith("SoftwareDistribution.wu-")]
    assert len(backups) == 1
    services = {name: one.state for name, one in sim(fleet).prefix.services().items()}
    assert {services["usosvc"], services["dosvc"], services["cryptsvc"]} == {"running"}
    assert sim(fleet).law("search") is None
    again = play(fleet, collections, {"winfleet.wu_repair.win_wu_reset": {}})
    assert (again["verdict"], again["changed"]) == ("unproven", False), again


def test_a_plain_command_runs_too(fleet: Fleet, collections: Path) -> None:
    result = play(
        fleet,
        collections,
        {"ansible.builtin.raw": "reg query HKLM\\SYSTEM\\CurrentControlSet\\Services\\wuauserv /v Start"},
    )
    assert "REG_DWORD    0x3" in result["stdout"], result
