# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The demo: a mixed fleet, fixed by the real playbook over the wire, twice; the outcome must be what the scenarios promise."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.controller import REPOSITORY, changed, fix
from lab.fleet import SCENARIOS, Fleet, read_scenario
from lab.hosts import HostSpec

# A service that never stops would hold the demo up for the minutes that a real one may take.
QUICK = {"wu_repair_stop_timeout": 5}
COLUMNS = ("host", "was", "why", "did", "now", "proved by")


def promised_scenarios() -> list[str]:
    """Names of the scenarios that say what shall come of them."""
    return [path.stem for path in sorted(SCENARIOS.glob("[!_]*.yml")) if read_scenario(path.stem).get("promise")]


def kept(row: Mapping[str, Any], promise: Mapping[str, Any]) -> bool:
    """Whether a row is what its scenario promises."""
    wanted = {name: promise[name] for name in ("was", "why", "did", "now") if name in promise}
    return all((row.get(name) or "") == (value or "") if name == "why" else row.get(name) == value for name, value in wanted.items())


def main(backend: str = "auto", names: Sequence[str] = (), personality: str = "5.1", output: Path | None = None) -> int:
    """Run the demo, print its table, write build/demo.json; 0 when every promise was kept and the second run changed nothing."""
    output = output or REPOSITORY / "build" / "demo.json"
    chosen = list(names) or promised_scenarios()
    began = time.monotonic()
    with Fleet([HostSpec(name, name) for name in chosen], backend, personality=personality) as fleet:
        print(f"{len(chosen)} simulated hosts on the backend {fleet.backend}, fixed by fix_wu.yml over WinRM", flush=True)
        report, first = fix(fleet, variables=QUICK)
        if not report:
            print(first.stdout[-4000:], first.stderr[-4000:], sep="\n")
            return 1
        print(f"first run {time.monotonic() - began:.0f} s, again to see that it changes nothing", flush=True)
        _again, second = fix(fleet, variables=QUICK)
        second_changed = sum(changed(second.stdout).values())
        used = fleet.backend
    hosts = [
        {
            **{name: row.get(name) for name in ("host", "was", "why", "did", "now", "proved_by", "msg")},
            "promised": read_scenario(row["host"])["promise"],
        }
        for row in report.values()
    ]
    broken = [row for row in hosts if not kept(row, row["promised"])]
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps({"backend": used, "hosts": hosts, "second_run_changed": second_changed}, indent=1) + "\n", "utf-8")
    print("\n".join(_table(hosts)))
    for row in broken:
        came = {name: row[name] for name in ("was", "why", "did", "now")}
        print(f"NOT AS PROMISED  {row['host']}: {row['promised']} but {came}: {row['msg']}")
    missing = set(chosen) - {row["host"] for row in hosts}
    took = time.monotonic() - began
    print(f"{len(hosts) - len(broken)} of {len(chosen)} as promised, the second run changed {second_changed}, {took:.0f} s")
    return 1 if broken or missing or second_changed else 0


def _table(hosts: Sequence[Mapping[str, Any]]) -> list[str]:
    cells = [COLUMNS]
    for row in hosts:
        cells.append((row["host"], row["was"], row["why"] or "-", " ".join(row["did"]) or "-", row["now"], row["proved_by"] or "-"))
    widths = [max(len(line[column]) for line in cells) for column in range(len(COLUMNS))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
