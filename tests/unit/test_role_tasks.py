# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What holds for every task of the role: the load of a fleet is bounded, and a task of the fleet has a limit of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROLE = Path(__file__).resolve().parents[2] / "roles" / "wu_repair"
OURS = "winfleet.wu_repair."
# What a WSUS, a link or a hypervisor feels where many hosts do it at once.
HEAVY = ("win_wu_reset", "win_timesync", "win_osupgrade_reg", "ansible.windows.win_reboot")


def tasks(value: Any) -> Iterator[dict[str, Any]]:
    for item in value or []:
        yield item
        yield from tasks(item.get("block"))


def all_tasks() -> list[tuple[str, dict[str, Any]]]:
    files = sorted((ROLE / "tasks").glob("*.yml"))
    return [(path.name, task) for path in files for task in tasks(yaml.safe_load(path.read_text("utf-8")))]


def module(task: dict[str, Any]) -> str:
    return next((key.removeprefix(OURS) for key in task if "." in key), "")


def is_heavy(task: dict[str, Any]) -> bool:
    return module(task) in HEAVY or "scan" in ((task.get(f"{OURS}win_wu_info") or {}).get("gather_subset") or ())


@pytest.mark.parametrize(
    ("name", "task"), [pytest.param(name, task, id=f"{name}-{task['name']}") for name, task in all_tasks() if is_heavy(task)]
)
def test_what_loads_a_server_or_restarts_is_done_on_few_hosts_at_once(name: str, task: dict[str, Any]) -> None:
    assert task.get("throttle") == "{{ wu_repair_throttle }}", name


def test_there_are_such_tasks() -> None:
    found = {module(task) for _name, task in all_tasks() if is_heavy(task)}
    assert found == {*HEAVY, "win_wu_info"}


def test_a_task_on_a_host_ends_by_a_limit() -> None:
    on_hosts = [(name, task) for name, task in all_tasks() if module(task).startswith("win_")]
    assert len(on_hosts) > 5
    assert [name for name, task in on_hosts if not task.get("timeout")] == []
