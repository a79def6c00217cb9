# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The other side of the wire: ansible-core as a user runs it, against a fleet."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from lab.fleet import Fleet

REPOSITORY = Path(__file__).resolve().parents[2]
LIMIT_S = 900


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
    inventory = fleet.write_inventory()
    name = playbook if "/" in playbook else f"winfleet.wu_repair.{playbook}"
    extra = ["-e", json.dumps(variables)] if variables else []
    return subprocess.run(
        [command("ansible-playbook"), "-i", str(inventory), name, *extra, *options],
        env=environment(fleet.folder),
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
    rows = json.loads(report.read_text("utf-8")) if report.exists() else []
    return {row["host"]: row for row in rows}, done


def adhoc(fleet: Fleet, host: str, module: str, arguments: dict[str, Any] | None = None, *options: str) -> dict[str, Any]:
    """Run one module on one host as `ansible HOST -m MODULE -a ARGUMENTS` and return its result."""
    inventory = fleet.write_inventory()
    tree = fleet.folder / "tree"
    target = tree / host
    target.unlink(missing_ok=True)
    name = module if "." in module else f"winfleet.wu_repair.{module}"
    given = ["-a", json.dumps(arguments)] if arguments else []
    done = subprocess.run(
        [command("ansible"), "-i", str(inventory), host, "-m", name, *given, "-t", str(tree), *options],
        env=environment(fleet.folder),
        cwd=fleet.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )
    if not target.exists():
        raise AssertionError(f"no result of {name} on {host}: {done.stdout}{done.stderr}")
    result: dict[str, Any] = json.loads(target.read_text("utf-8"))
    # The tree callback leaves out what ansible itself says of a result.
    result["failed"] = done.returncode != 0
    # Everything that a person would see: a test of secrets looks here.
    result["_output"] = done.stdout + done.stderr
    return result


def changed(recap: str) -> dict[str, int]:
    """Host -> number of changes, from the recap of a run."""
    return {host: int(count) for host, count in re.findall(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)", recap, re.MULTILINE)}
