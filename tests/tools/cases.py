# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``make cases``: play every case and print right and wrong with what was said.

Scenarios are played by fix_wu.yml on the model (public reports in tests/cases/scenarios, the lab's own), codes and the inputs of the
deciding core by their tests. ``--folder`` plays the scenarios of another folder.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from here import ROOT
from lab.cases import REPORTS, broken, play, promising
from lab.fleet import SCENARIOS, read_scenario

TESTS = ("tests/unit/plugin_utils/test_routing.py", "tests/unit/plugin_utils/test_core_cases.py")


def main(arguments: Sequence[str] | None = None) -> int:
    """Play all, print a line a case, and say how many were right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, action="append", help="play the scenarios of this folder instead")
    parser.add_argument("--only", default="", help="a pattern of names")
    parser.add_argument("--backend", default="model")
    parser.add_argument("--no-tests", action="store_true", help="scenarios alone")
    given = parser.parse_args(arguments)
    paths = {name: path for name, path in promising(given.folder or [REPORTS, SCENARIOS]).items() if re.search(given.only, name)}
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
