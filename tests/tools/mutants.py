# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``make mutants``: change one line of the product at a time and see whether a test notices.

The changes stand in tests/cases/mutants.yml, each with the tests that ought to notice. A line that is not found any more is an error: the
list is to follow the code. A test that fails without any change can notice none: it is left out and named, and the run fails.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import yaml
from here import BUILD, COLLECTIONS, ROOT, SHARED
from lab.engine import find_powershell

LIST = ROOT / "tests" / "cases" / "mutants.yml"
# So many of them must be noticed.
SHARE = 0.9
LIMIT_S = 240
_COPIED = ("plugins", "playbooks", "tests", "meta", "pyproject.toml", "galaxy.yml")
# Exit codes of pytest: all passed, a test failed, nothing was left to run.
_PASSED, _FAILED, _NOTHING = 0, 1, 5
_RED = re.compile(r"^(?:FAILED|ERROR) (\S.*?)(?: - .*)?$", re.MULTILINE)

Mutant = Mapping[str, Any]


class Bench:
    """A copy of the tree in which one change is made, tried and taken back.

    Attributes:
        red: the tests that fail without a change.
    """

    def __init__(self, number: int) -> None:
        self.root = BUILD / "mutants" / str(number)
        self.tree = self.root / "tree"
        self.collections = self.root / "collections"
        self.red: tuple[str, ...] = ()
        self._seconds = 1_000_000_000
        shutil.rmtree(self.root, ignore_errors=True)
        self.tree.mkdir(parents=True)
        for name in _COPIED:
            _copy(ROOT / name, self.tree / name)
        home = self.collections / "ansible_collections"
        (home / "winfleet").mkdir(parents=True)
        (home / "winfleet" / "wu_repair").symlink_to(self.tree)
        (home / "ansible").symlink_to(COLLECTIONS / "ansible_collections" / "ansible")
        if SHARED.is_dir():
            # The tests of the agent look for their PowerShell beside the tree.
            (self.root / "shared").symlink_to(SHARED)

    def is_noticed(self, mutant: Mutant) -> bool:
        """Make the change, run its tests, take it back."""
        path = self.tree / mutant["file"]
        before = path.read_text("utf-8")
        self._write(path, before.replace(mutant["old"], mutant["new"]))
        try:
            return self.run(mutant["tests"], "-x")[0] == _FAILED
        finally:
            self._write(path, before)

    def _write(self, path: Path, text: str) -> None:
        """Write a file that no bytecode of an earlier text stands for: Python tells one text from another by size and whole seconds."""
        path.write_text(text, "utf-8")
        self._seconds += 1
        os.utime(path, (self._seconds, self._seconds))

    def find_red(self, tests: Sequence[str]) -> tuple[str, ...]:
        """The names of the tests that fail as the tree is."""
        code, said = self.run(tests, "-rfE")
        return tuple(dict.fromkeys(_RED.findall(said))) if code == _FAILED else ()

    def run(self, tests: Sequence[str], how: str) -> tuple[int, str]:
        """The exit code of pytest, and what it said."""
        environment = {
            **os.environ,
            "PYTHONPATH": f"{self.collections}:{self.tree / 'tests'}",
            "ANSIBLE_COLLECTIONS_PATH": str(self.collections),
            "WULAB_COLLECTIONS": str(self.collections),
            # Twenty thousand lines are compiled once and not for every change.
            "PYTHONPYCACHEPREFIX": str(self.root / "bytecode"),
            "HYPOTHESIS_STORAGE_DIRECTORY": str(self.root / "hypothesis"),
        }
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        left_out = [word for name in self.red for word in ("--deselect", name)]
        command = [sys.executable, "-m", "pytest", "-q", how, "-p", "no:cacheprovider", "-p", "no:xdist", *left_out, *tests]
        try:
            done = subprocess.run(command, cwd=self.tree, env=environment, capture_output=True, check=False, timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            return _FAILED, ""
        said = done.stdout.decode(errors="replace")
        if done.returncode not in (_PASSED, _FAILED, _NOTHING):
            raise ValueError(f"pytest {' '.join(tests)} ended with {done.returncode}: {said[-400:]}")
        return done.returncode, said


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy2(source, target)


def find_lines(mutants: Iterable[Mutant]) -> list[str]:
    """What is wrong with the list: a line that is not there exactly once, or tests that are not there."""
    wrong = []
    for mutant in mutants:
        times = (ROOT / mutant["file"]).read_text("utf-8").count(mutant["old"])
        if times != 1:
            wrong.append(f"{mutant['file']} holds the line of {mutant['name']!r} {times} times")
        wrong += [f"{mutant['name']!r}: there is no {test}" for test in mutant["tests"] if not (ROOT / test.partition("::")[0]).is_file()]
    return wrong


def possible(mutants: Sequence[Mutant]) -> list[Mutant]:
    """Those that can be tried here; the others are named with the reason."""
    if find_powershell() is not None:
        return list(mutants)
    for mutant in mutants:
        if mutant.get("needs") == "pwsh":
            print(f"skipped        {mutant['file']}: {mutant['name']}: no PowerShell, neither pwsh on PATH nor ../shared/tools/psh")
    return [mutant for mutant in mutants if mutant.get("needs") != "pwsh"]


def try_all(mutants: Sequence[Mutant], jobs: int) -> tuple[list[Mutant], tuple[str, ...]]:
    """Those that live, and the tests that were red before."""
    benches = [Bench(number) for number in range(jobs)]
    free: SimpleQueue[Bench] = SimpleQueue()
    files = list(dict.fromkeys(test for mutant in mutants for test in mutant["tests"]))
    with ThreadPoolExecutor(jobs) as pool:
        shares = [(bench, files[number::jobs]) for number, bench in enumerate(benches)]
        red = pool.map(lambda share: share[0].find_red(share[1]) if share[1] else (), shares)
        names = tuple(name for part in red for name in part)
        for bench in benches:
            bench.red = names
            free.put(bench)

        def is_noticed(mutant: Mutant) -> bool:
            bench = free.get()
            began = time.monotonic()
            try:
                noticed = bench.is_noticed(mutant)
            finally:
                free.put(bench)
            print(f"{'noticed' if noticed else 'LIVES':8}{time.monotonic() - began:4.0f} s  {mutant['file']}: {mutant['name']}", flush=True)
            return noticed

        results = list(pool.map(is_noticed, mutants))
    return [mutant for mutant, noticed in zip(mutants, results, strict=True) if not noticed], names


def main(arguments: Sequence[str] | None = None) -> int:
    """Try all, name those that live, and fail where too many do."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="a pattern of names or files")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    given = parser.parse_args(arguments)
    began = time.monotonic()
    mutants = [row for row in yaml.safe_load(LIST.read_text("utf-8")) if re.search(given.only, f"{row['name']} {row['file']}")]
    wrong = find_lines(mutants)
    if wrong:
        print("\n".join(wrong))
        return 2
    tried = possible(mutants)
    living, red = try_all(tried, given.jobs)
    print(f"{len(tried) - len(living)} of {len(tried)} noticed, {time.monotonic() - began:.0f} s")
    for mutant in living:
        print(f"lives: {mutant['file']}: {mutant['name']}")
    for name in red:
        print(f"red without a change, left out: {name}")
    return int(bool(red) or len(living) > len(tried) * (1 - SHARE))


if __name__ == "__main__":
    sys.exit(main())
