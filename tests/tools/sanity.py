# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``make sanity``: ansible-test sanity on a copy of the tree, with no ignored finding.

It wants the collection under ``ansible_collections/NAMESPACE/NAME`` in a git checkout of its own, a Python that the newest
ansible-core supports, and a pip for the environments it makes.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import here
import lint
from here import COLLECTIONS, ROOT

# What a tarball of the collection leaves out and nobody imports; the logs are as Windows writes them: CRLF, UTF-16, old code pages.
LEFT_OUT = (".ci/", "tests/cases/logs/")
# The sibling folder's pwsh stands in; PSScriptAnalyzer itself comes from a gallery that is not to be had everywhere.
SKIPPED = ["pslint"]
# Of what ansible-test says: its tests and their findings, not what pip does for each.
TOLD = re.compile(r"Running sanity test|ERROR|FATAL|WARNING: (?!Location)")


def make_home() -> Path:
    """Return a home for ansible-test under build/, with the pip that the Python brings: it would download a script to that place."""
    home = here.BUILD / "cache" / "home"
    cache = home / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    (cache / "get_pip_25_2.py").write_text("import ensurepip; ensurepip.bootstrap()\n", "utf-8")
    # The user's settings of pip, and programs that were unpacked before; ansible-test hands on no variable that names them.
    for name in (".config", ".cache"):
        own = Path.home() / name
        if own.is_dir() and not (home / name).exists():
            (home / name).symlink_to(own, target_is_directory=True)
    return home


def copy_tree(scratch: Path) -> Path:
    """Copy the files of the checkout to where ansible-test looks, beside the collections they need."""
    space = scratch / "ansible_collections"
    target = space / "winfleet" / "wu_repair"
    for name in lint.tracked("*"):
        if not name.startswith(LEFT_OUT):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name, follow_symlinks=False)
    (space / "ansible").mkdir()
    (space / "ansible" / "windows").symlink_to(COLLECTIONS / "ansible_collections" / "ansible" / "windows", target_is_directory=True)
    subprocess.run(["git", "init", "--quiet"], cwd=target, check=True)
    subprocess.run(["git", "add", "--all"], cwd=target, check=True)
    return target


def main() -> int:
    """Run ansible-test and return its exit code; 0 where it cannot run."""
    step = here.Step("sanity")
    found = here.newest_venv()
    if not found:
        step.skip("ansible-test", "it needs Python 3.12 or newer beside the one that runs this")
        return 0
    if not shutil.which("git"):
        step.skip("ansible-test", "it needs git")
        return 0
    version, folder = found
    words: list[str | Path] = [folder / "bin" / "ansible-test", "sanity", "--local", "--color", "no", "--python", version]
    for name in SKIPPED:
        words += ["--skip-test", name]
    pwsh = here.psh()
    # Shims of pyenv on PATH break it: only what it needs, each by its own folder.
    path = [folder / "bin", *([pwsh.parent] if pwsh else []), "/usr/local/bin", "/usr/bin", "/bin"]
    if not pwsh:
        step.skip("validate-modules of the .ps1", "no pwsh")
    with tempfile.TemporaryDirectory(prefix="sanity-", dir=os.environ.get("TMPDIR")) as name:
        target = copy_tree(Path(name))
        if not pwsh:
            scripts = sorted(str(file.relative_to(target)) for file in target.glob("plugins/modules/*.ps1"))
            words += [word for script in scripts for word in ("--exclude", script)]
        environment = {
            "HOME": str(make_home()), "PATH": ":".join(str(each) for each in path),
            "PYTHONPATH": "", "ANSIBLE_COLLECTIONS_PATH": "",
        }  # fmt: skip
        step.run(f"ansible-test, Python {version}", words, environment, target, show=TOLD)
    return step.end()


if __name__ == "__main__":
    sys.exit(main())
