# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``make sanity``: ansible-test sanity on a copy of the tree, with no ignored finding; then what Galaxy and the documentation site check.

ansible-test wants the collection under ``ansible_collections/NAMESPACE/NAME`` in a git checkout of its own, a Python that the newest
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


def check_as_galaxy(step: here.Step) -> None:
    """Build the tarball and import it as Galaxy does, and check the pages that antsibull-docs makes of the documentation."""
    try:
        folder = here.galaxy_venv()
    except RuntimeError as error:
        step.skip("galaxy-importer, antsibull-docs", str(error))
        return
    path = f"{folder / 'bin'}:/usr/local/bin:/usr/bin:/bin"
    with tempfile.TemporaryDirectory(prefix="galaxy-", dir=os.environ.get("TMPDIR")) as name:
        environment = {"PATH": path, "PYTHONPATH": "", "HOME": name, "ANSIBLE_HOME": name, "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS)}
        build: list[str | Path] = [folder / "bin" / "ansible-galaxy", "collection", "build", ROOT, "--output-path", name]
        if not step.run("the tarball", build, environment):
            return
        (tarball,) = Path(name).glob("*.tar.gz")
        step.run("galaxy-importer", [folder / "bin" / "python", "-m", "galaxy_importer.main", tarball], environment, Path(name))
        collection = COLLECTIONS / "ansible_collections" / "winfleet" / "wu_repair"
        words: list[str | Path] = [folder / "bin" / "antsibull-docs", "lint-collection-docs", "--plugin-docs", "."]
        step.run("antsibull-docs", words, environment, collection)


def main() -> int:
    """Run all and return the exit code; 0 where nothing can run."""
    step = here.Step("sanity")
    check_with_ansible_test(step)
    check_as_galaxy(step)
    return step.end()


def check_with_ansible_test(step: here.Step) -> None:
    """Run ansible-test on a copy of the tree."""
    found = here.newest_venv()
    if not found:
        step.skip("ansible-test", "it needs Python 3.12 or newer beside the one that runs this")
        return
    if not shutil.which("git"):
        step.skip("ansible-test", "it needs git")
        return
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


if __name__ == "__main__":
    sys.exit(main())
