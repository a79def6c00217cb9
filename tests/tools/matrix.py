# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``make matrix``: the quick tests again on every other Python, each with the newest ansible-core that it can have."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import here
from here import BUILD, ROOT

# What pytest says at its end, and which tests failed.
PYTEST_TELLS = re.compile(r"=+ .* in [\d.:]+|(FAILED|ERROR) |.*\[ *\d+%\]")
# On the model all, and with the real PowerShell each module by itself.
QUICK = ("tests/unit/plugin_utils", "tests/integration", "-k", "not engine or test_modules")


def core(folder: Path) -> str:
    """Return the version of ansible-core in an environment."""
    script = "import ansible.release; print(ansible.release.__version__)"
    done = subprocess.run([folder / "bin" / "python", "-c", script], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "none"


def main() -> int:
    """Run the tests on each other Python and return the exit code; ``--quick``: on the newest only, and not the lab's own."""
    quick = "--quick" in sys.argv[1:]
    step = here.Step("matrix")
    versions = list(here.pythons())
    if not versions:
        step.skip("other Pythons", f"none of {', '.join(here.NEWER)} is to be had here")
    for version in versions[:1] if quick else versions:
        try:
            folder = here.venv(version)
        except RuntimeError as error:
            step.skip(f"Python {version}", str(error))
            continue
        what = QUICK if quick else ("tests/unit", "tests/integration")
        command: list[str | Path] = [
            folder / "bin" / "python", "-m", "pytest", "-o", f"cache_dir={BUILD / 'cache' / f'pytest-{version}'}",
            "-n", os.environ.get("JOBS", "2"), "--dist", "loadfile", "-m", "not slow and not wine" if quick else "not slow", *what,
        ]  # fmt: skip
        step.run(f"Python {version}, ansible-core {core(folder)}", command, cwd=ROOT, show=PYTEST_TELLS)
    return step.end()


if __name__ == "__main__":
    raise SystemExit(main())
