# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tarball, as a user has it: built, installed, asked for its documentation, and run."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab.controller import REPOSITORY, command, environment, fix

from .conftest import MakeFleet

SICK, HEALTHY = "german-host", "healthy-client"

pytestmark = pytest.mark.skipif(not Path(command("ansible-galaxy")).exists(), reason="no ansible-galaxy beside this Python")


def run(folder: Path, program: str, *words: str | Path) -> str:
    """Run a program of ansible-core and return what it said; it must succeed."""
    line = [command(program), *(str(word) for word in words)]
    done = subprocess.run(line, env=environment(folder), cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The installed collection; while it is in use, ansible sees no other copy."""
    folder = tmp_path_factory.mktemp("installed")
    others = Path(os.environ.get("WULAB_COLLECTIONS") or REPOSITORY / "build" / "collections") / "ansible_collections"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WULAB_COLLECTIONS", str(folder))
        # The loader looks at Python's path too.
        patch.delenv("PYTHONPATH", raising=False)
        run(folder, "ansible-galaxy", "collection", "build", REPOSITORY, "--output-path", folder)
        (tarball,) = folder.glob("winfleet-wu_repair-*.tar.gz")
        run(folder, "ansible-galaxy", "collection", "install", "--offline", "--no-deps", "-p", folder, tarball)
        (folder / "ansible_collections" / "ansible").symlink_to((others / "ansible").resolve(), target_is_directory=True)
        yield folder / "ansible_collections" / "winfleet" / "wu_repair"


def test_holds_what_a_user_needs_and_nothing_of_the_workshop(installed: Path) -> None:
    names = {path.name for path in installed.iterdir()}
    assert {"COPYING", "README.md", "meta", "playbooks", "plugins", "roles"} <= names
    assert sorted(names & {"build", "collections", "tests", "Makefile", ".ci", ".git", ".github"}) == []
    assert sorted(str(path.relative_to(installed)) for path in installed.rglob(".*cache*")) == []


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        ("role", ["wu_repair"]),
        ("module", ["win_wu_info", "win_timesync", "win_wu_reset", "win_osupgrade_reg", "wu_case", "wu_explain"]),
        ("filter", ["batches", "has_canary", "is_over"]),
    ],
)
def test_documents_itself(installed: Path, sort: str, names: list[str]) -> None:
    pages = run(installed, "ansible-doc", "-t", sort, *(f"winfleet.wu_repair.{name}" for name in names))
    # ansible-core writes `> MODULE name (path)`, and `> ROLE: *name* (path)`.
    found = re.findall(rf"^> {sort}:? \*?winfleet\.wu_repair\.(\w+)\*? \({re.escape(str(installed))}", pages, re.IGNORECASE | re.MULTILINE)
    assert found == names


def test_repairs_a_sick_host_and_leaves_a_healthy_one(installed: Path, make_fleet: MakeFleet) -> None:
    assert installed.is_dir()
    rows, done = fix(make_fleet("model", HEALTHY, SICK))
    assert done.returncode == 0, done.stdout + done.stderr
    assert (rows[SICK]["did"], rows[SICK]["now"]) == (["reset"], "repaired")
    assert (rows[HEALTHY]["did"], rows[HEALTHY]["now"]) == ([], "healthy")
