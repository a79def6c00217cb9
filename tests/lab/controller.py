# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The other side of the wire: ansible-core as a user runs it, against a fleet."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.fleet import Fleet

REPOSITORY = Path(__file__).resolve().parents[2]
LIMIT_S = 900
# A module of this collection (or one with its full name) and its arguments.
Call = tuple[str, dict[str, Any]]


def environment(folder: Path) -> dict[str, str]:
    """What ansible needs to find the collections beside this Python, and nothing of the caller's own configuration."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    collections = os.environ.get("WULAB_COLLECTIONS") or str(REPOSITORY / "build" / "collections")
    return {
        **kept,
        "ANSIBLE_COLLECTIONS_PATH": collections,
        "ANSIBLE_LOCAL_TEMP": str(folder / "ansible"),
        "ANSIBLE_HOME": str(folder / "ansible-home"),
        "ANSIBLE_FORKS": "10",
        "ANSIBLE_NOCOLOR": "1",
        "PYTHONWARNINGS": "ignore",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }


def command(program: str) -> str:
    """A program of ansible-core, of the Python that runs this."""
    return str(Path(sys.executable).with_name(program))


def play(fleet: Fleet, playbook: str, *options: str, variables: dict[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a playbook (a path, or a name within the collection) against a fleet."""
    name = playbook if "/" in playbook else _full_name(playbook)
    extra = ["-e", json.dumps(variables)] if variables else []
    return _run(fleet, "ansible-playbook", name, *extra, *options)


def _run(fleet: Fleet, program: str, *words: str, more: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [command(program), "-i", str(fleet.write_inventory()), *words],
        env={**environment(fleet.folder), **(more or {})},
        cwd=fleet.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )


def fix(
    fleet: Fleet, *options: str, variables: dict[str, Any] | None = None
) -> tuple[dict[str, dict[str, Any]], subprocess.CompletedProcess[str]]:
    """Run fix_wu.yml; a report row for each host, and how the run ended."""
    report = fleet.folder / "report.json"
    report.unlink(missing_ok=True)
    done = play(fleet, "fix_wu", *options, variables={**(variables or {}), "wu_repair_report": str(report)})
    rows = json.loads(report.read_text("utf-8"))["rows"] if report.exists() else []
    return {row["host"]: row for row in rows}, done


def adhoc(fleet: Fleet, host: str, module: str, arguments: dict[str, Any] | None = None, *options: str) -> dict[str, Any]:
    """Run one module on one host as `ansible HOST -m MODULE -a ARGUMENTS -v` (without `-v` a person gets less) and return its result."""
    given = ["-a", json.dumps(arguments)] if arguments else []
    return results(fleet, "ansible", host, "-m", _full_name(module), "-v", *given, *options)[host]


def each(fleet: Fleet, calls: Mapping[str, Call], *options: str) -> dict[str, dict[str, Any]]:
    """Run one module on each of several hosts, side by side, by one playbook; host -> its result.

    A start of ansible takes as long as many a call.
    """
    tasks = [
        {
            "name": module,
            _full_name(module): None,
            "args": "{{ calls[inventory_hostname].arguments }}",
            "when": f"calls[inventory_hostname].module == '{module}'",
            "ignore_errors": True,
            "ignore_unreachable": True,
        }
        for module in sorted({module for module, _arguments in calls.values()})
    ]
    given = {host: {"module": module, "arguments": arguments} for host, (module, arguments) in calls.items()}
    book = fleet.folder / "each.yml"
    one = {"hosts": ",".join(calls), "gather_facts": False, "strategy": "free", "vars": {"calls": given}, "tasks": tasks}
    book.write_text(json.dumps([one]), "utf-8")
    return results(fleet, "ansible-playbook", str(book), *options)


def _full_name(module: str) -> str:
    return module if "." in module else f"winfleet.wu_repair.{module}"


def results(fleet: Fleet, program: str, *words: str) -> dict[str, dict[str, Any]]:
    """Run a program of ansible-core and return each host's last result."""
    kept = fleet.folder / "results.jsonl"
    kept.write_text("", "utf-8")
    keeper = {
        "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).with_name("callback")),
        "ANSIBLE_CALLBACKS_ENABLED": "results",
        # `ansible` loads what is enabled only when told so.
        "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1",
        "WULAB_RESULTS": str(kept),
    }
    done = _run(fleet, program, *words, more=keeper)
    # `_output` is everything that a person would see: a test of secrets looks there.
    said = done.stdout + done.stderr
    rows = [json.loads(line) for line in kept.read_text("utf-8").splitlines()]
    if not rows:
        raise AssertionError(f"no result of {program} {' '.join(words)}: {said}")
    return {row["host"]: {**row["result"], "failed": row["failed"], "unreachable": row["unreachable"], "_output": said} for row in rows}


def changed(recap: str) -> dict[str, int]:
    """Host -> number of changes, from the recap of a run."""
    return {host: int(count) for host, count in re.findall(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)", recap, re.MULTILINE)}
