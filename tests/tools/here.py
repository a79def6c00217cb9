# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What this machine has beside the Python that runs the tests."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
COLLECTIONS = BUILD / "collections"
SHARED = ROOT.parent / "shared"
# Newest first. 3.12 is the oldest that the newest ansible-core runs on.
NEWER = ("3.14", "3.13", "3.12")


@functools.cache
def pythons() -> dict[str, Path]:
    """Version -> program of each Python of NEWER that starts, by its own path: shims of pyenv upset ansible-test."""
    found: dict[str, Path] = {}
    for version in NEWER:
        kept = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}"))
        for candidate in [*reversed(kept), shutil.which(f"python{version}")]:
            if candidate is None:
                continue
            script = f"import sys, ssl; print(sys.version_info[:2] == (3, {version.split('.')[1]}), sys.executable)"
            done = subprocess.run([str(candidate), "-c", script], capture_output=True, text=True, check=False)
            good, _space, program = done.stdout.strip().partition(" ")
            if good == "True":
                found[version] = Path(program)
                break
    return found


def venv(version: str) -> Path:
    """Return the environment of another Python, made on first use.

    Raises:
        RuntimeError: it could not be made.
    """
    return _made(BUILD / f"venv-{version}", pythons()[version], ROOT / "tests" / "requirements.txt")


def galaxy_venv() -> Path:
    """Return the environment of what checks the collection as Galaxy does, made on first use.

    Raises:
        RuntimeError: it could not be made.
    """
    return _made(BUILD / "venv-galaxy", Path(sys.executable), ROOT / "tests" / "requirements-galaxy.txt")


def _made(folder: Path, python: Path, requirements: Path) -> Path:
    stamp = folder / ".ready"
    setup = ROOT / "tests" / "tools" / "setup.py"
    newest = max(requirements.stat().st_mtime, setup.stat().st_mtime)
    if not stamp.exists() or stamp.stat().st_mtime < newest:
        if subprocess.run([python, setup, "venv", folder, requirements], check=False).returncode:
            raise RuntimeError(f"no environment {folder.name} with what {requirements.name} asks for")
        stamp.touch()
    return folder


def newest_venv() -> tuple[str, Path] | None:
    """Return version and environment of the newest other Python, None where only the one that runs this is."""
    for version in pythons():
        try:
            return version, venv(version)
        except RuntimeError as error:
            print(error, file=sys.stderr)
    return None


@functools.cache
def psh() -> Path | None:
    """Return a pwsh that lints for Windows PowerShell 5.1: the one of the sibling folder, or on PATH."""
    for candidate in (SHARED / "tools" / "psh" / "pwsh", shutil.which("pwsh")):
        if candidate is None or not os.access(candidate, os.X_OK):
            continue
        probe = ROOT / "plugins" / "module_utils" / "_PlatformRead.psm1"
        done = subprocess.run([str(candidate), "-Lint", str(probe)], capture_output=True, text=True, check=False)
        if re.search(r"\d+ files?, \d+ errors?", done.stdout + done.stderr):
            return Path(candidate)
    return None


class Step:
    """Runs the steps of a target, one line each, and keeps what failed."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.failed: list[str] = []

    def skip(self, name: str, reason: str) -> None:
        """Say that a step is left out, and why."""
        print(f"{self.target}: {name}: skipped, {reason}", flush=True)

    def run(
        self, name: str, command: list[str | Path], environment: dict[str, str] | None = None, cwd: Path = ROOT,
        show: re.Pattern[str] | None = None,
    ) -> bool:  # fmt: skip
        """Run a command; its output is shown when it fails, or those lines that match ``show`` as they come."""
        print(f"{self.target}: {name}", end="\n" if show else " ... ", flush=True)
        begin = time.monotonic()
        child = subprocess.Popen(
            [str(word) for word in command], cwd=cwd, env={**os.environ, **(environment or {})},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        )  # fmt: skip
        assert child.stdout is not None
        kept: list[str] = []
        for line in child.stdout:
            if show is None:
                kept.append(line)
            elif show.match(line):
                print(f"  {line.rstrip()}", flush=True)
        good = child.wait() == 0
        prefix = f"{self.target}: {name}: " if show else ""
        print(f"{prefix}{'ok' if good else 'FAILED'}, {time.monotonic() - begin:.0f} s", flush=True)
        if not good:
            print("".join(kept).rstrip(), flush=True)
            self.failed.append(name)
        return good

    def end(self) -> int:
        """Say how it ended and return the exit code."""
        print(f"{self.target}: " + (f"FAILED: {', '.join(self.failed)}" if self.failed else "ok"), flush=True)
        return 1 if self.failed else 0
