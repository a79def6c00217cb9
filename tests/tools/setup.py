# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make what the other targets need, with nothing but Python and pip at hand: environments and the collections beside ours.

``setup.py venv FOLDER [REQUIREMENTS]`` and ``setup.py collections FOLDER PYTHON``; the Makefile keeps the stamps.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "tests" / "requirements.txt"
WINDOWS = "ansible_collections/ansible/windows/"
OLDEST = (3, 11)


def say(line: str) -> None:
    """One line a step, seen at once."""
    print(line, flush=True)


def run(*command: str | Path, **environment: str) -> None:
    """Run a command quietly; its output and an error when it fails.

    Raises:
        RuntimeError: the command failed.
    """
    done = subprocess.run(
        [str(word) for word in command], env={**os.environ, **environment}, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{' '.join(str(word) for word in command)}\n{done.stdout.strip()[-3000:]}")


def find_pip(python: Path) -> list[str]:
    """Return the words that install into an environment without pip of its own.

    Raises:
        RuntimeError: there is no pip.
    """
    for own in (sys.executable, "python3", "/usr/bin/python3"):
        done = subprocess.run([own, "-m", "pip", "--version"], capture_output=True, text=True, check=False)
        if done.returncode == 0 and tuple(int(part) for part in done.stdout.split()[1].split(".")[:2]) >= (22, 3):
            return [own, "-m", "pip", "--python", str(python)]
    raise RuntimeError("no pip of 22.3 or newer: apt-get install python3-pip, or python3-venv")


def make_venv(folder: Path, requirements: Path = REQUIREMENTS) -> None:
    """Make an environment of the Python that runs this and install into it what a file asks for."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    say(f"setup: environment {folder} of Python {version}")
    shutil.rmtree(folder, ignore_errors=True)
    python = folder / "bin" / "python"
    try:
        run(sys.executable, "-m", "venv", folder)
        pip = [str(python), "-m", "pip"]
    except RuntimeError:
        # Debian keeps ensurepip in python3-venv; an environment without pip needs nothing of it.
        run(sys.executable, "-m", "venv", "--clear", "--without-pip", folder)
        pip = find_pip(python)
    say(f"setup: packages of {requirements.relative_to(ROOT)}")
    run(*pip, "install", "--quiet", "--disable-pip-version-check", "-r", requirements)


def make_collections(folder: Path, python: Path) -> None:
    """Put ansible.windows and a link to this checkout under a collections path.

    ansible.windows by itself is on Galaxy only; the package ``ansible`` brings it from where pip gets all else.
    """
    shutil.rmtree(folder, ignore_errors=True)
    space = folder / "ansible_collections" / "winfleet"
    space.mkdir(parents=True)
    (space / "wu_repair").symlink_to(os.path.relpath(ROOT, space), target_is_directory=True)
    say("setup: ansible.windows, out of the package ansible (54 MB)")
    has_pip = subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0
    pip = [str(python), "-m", "pip"] if has_pip else find_pip(python)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="wheel-") as scratch:
        run(*pip, "download", "--quiet", "--disable-pip-version-check", "--no-cache-dir", "--no-deps",
            "--only-binary", ":all:", "--dest", scratch, "ansible>=12,<15")  # fmt: skip
        wheel = next(Path(scratch).glob("ansible-*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder, [name for name in archive.namelist() if name.startswith(WINDOWS)])
    if not (folder / WINDOWS / "MANIFEST.json").is_file():
        raise RuntimeError(f"{wheel.name} holds no {WINDOWS}")


def main(words: list[str]) -> int:
    """Run the command line and return its exit code."""
    if sys.version_info < OLDEST:
        say(f"setup: Python {sys.version.split()[0]} is too old, 3.11 is the oldest: make PYTHON=/path/to/python3.11")
        return 1
    try:
        if len(words) in (2, 3) and words[0] == "venv":
            make_venv(*(Path(word).absolute() for word in words[1:]))
        elif len(words) == 3 and words[0] == "collections":
            make_collections(Path(words[1]).absolute(), Path(words[2]).absolute())
        else:
            say(__doc__)
            return 2
    except (RuntimeError, OSError) as error:
        say(f"setup: {error}")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
