# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``make cases``: play every case and print right and wrong with what was said.

Scenarios are played by fix_wu.yml on the model (public reports in tests/cases/scenarios, the lab's own), codes and the inputs of the
deciding core by their tests. ``--folder`` plays the scenarios of another folder.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from here import ROOT
from lab.controller import each, fix
from lab.demo import QUICK
from lab.fleet import SCENARIOS, Fleet, read_scenario
from lab.hosts import HostSpec

REPORTS = ROOT / "tests" / "cases" / "scenarios"
TESTS = ("tests/unit/plugin_utils/test_routing.py", "tests/unit/plugin_utils/test_core_cases.py")
# What the first release called it, for scenarios that were written in its words.
ALSO = {"not_this_host": {"needs_action"}}


def wanted(value: Any) -> set[str]:
    """The verdicts that a promise allows."""
    names = [str(one) for one in (value if isinstance(value, list) else [value])]
    return {name for one in names for name in (one, *ALSO.get(one, ()))}


def broken(row: Mapping[str, Any], look: Mapping[str, Any], promise: Mapping[str, Any]) -> list[str]:
    """What of a promise was not kept, in words."""
    wrong = [
        f"{name} {row.get(name) or '-'} instead of {promise[name]}"
        for name in ("was", "now")
        if name in promise and str(row.get(name)) not in wanted(promise[name])
    ]
    if "why" in promise and (row.get("why") or "") != (promise["why"] or ""):
        wrong.append(f"why {row.get('why') or '-'} instead of {promise['why'] or '-'}")
    if "did" in promise and list(row.get("did") or ()) != list(promise["did"]):
        wrong.append(f"did {row.get('did')} instead of {promise['did']}")
    if "changed" in promise and bool(row.get("changed")) is not promise["changed"]:
        wrong.append(f"changed {row.get('changed')}")
    if promise.get("owner") and row.get("owner") not in promise["owner"]:
        wrong.append(f"owner {row.get('owner') or '-'} instead of {' or '.join(promise['owner'])}")
    said = {key: value for key, value in look.items() if key not in ("evidence", "_output", "invocation")}
    told = json.dumps([said, row], ensure_ascii=False)
    wrong += [f"does not say {word!r}" for word in promise.get("says") or () if str(word) not in told]
    return wrong


def _scenarios(folders: Iterable[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.glob("[!_]*.yml")):
            if read_scenario(str(path)).get("promise"):
                found[path.stem] = path
    return found


def play(paths: Mapping[str, Path], backend: str = "model") -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Look at every host, then repair: host -> its row and its first look."""
    specs = [HostSpec(name, str(path)) for name, path in paths.items()]
    with Fleet(specs, backend) as fleet:
        looks = each(fleet, {name: ("win_wu_info", {"return_evidence": "never"}) for name in paths})
        rows, done = fix(fleet, variables=QUICK)
        if not rows:
            print(done.stdout[-3000:], done.stderr[-3000:], sep="\n")
        return {name: (rows.get(name, {}), looks.get(name, {})) for name in paths}


def main(arguments: Sequence[str] | None = None) -> int:
    """Play all, print a line a case, and say how many were right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, action="append", help="play the scenarios of this folder instead")
    parser.add_argument("--only", default="", help="a pattern of names")
    parser.add_argument("--backend", default="model")
    parser.add_argument("--no-tests", action="store_true", help="scenarios alone")
    given = parser.parse_args(arguments)
    paths = {name: path for name, path in _scenarios(given.folder or [REPORTS, SCENARIOS]).items() if re.search(given.only, name)}
    right = 0
    for name, (row, look) in play(paths, given.backend).items():
        wrong = broken(row, look, read_scenario(str(paths[name]))["promise"])
        right += not wrong
        said = " ".join(str(row.get(key) or "-") for key in ("was", "why", "owner", "did", "now"))
        print(f"{'wrong' if wrong else 'right':6}{name:34} {said}")
        if wrong:
            print(f"      {'; '.join(wrong)}\n      said: {row.get('msg')}")
    print(f"scenarios: {right} of {len(paths)} right")
    failed = right != len(paths)
    if not given.no_tests:
        present = [test for test in TESTS if (ROOT / test).exists()]
        words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *present]
        failed = subprocess.run(words, cwd=ROOT, check=False).returncode != 0 or failed
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
