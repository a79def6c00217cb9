# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``make lint``: every check that needs no host."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import here
from here import BUILD, COLLECTIONS, ROOT


def tracked(*patterns: str) -> list[str]:
    """Files of the checkout that git knows or would add, by pattern; all such files where there is no git."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return sorted(name for name in set(done.stdout.splitlines()) if (ROOT / name).is_file())
    names = [path.relative_to(ROOT) for pattern in patterns for path in ROOT.rglob(pattern)]
    return sorted(str(name) for name in names if name.parts[0] not in ("build", "collections", ".git", ".venv"))


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

    found = here.newest_venv()
    if found:
        version, folder = found
        # It asks git for the files and Galaxy for nothing; a home of its own keeps its caches out of the user's.
        step.run(
            f"ansible-lint, Python {version}",
            [folder / "bin" / "ansible-lint", "--offline", "--profile", "production", "--nocolor", "-q"],
            {"PATH": f"{folder / 'bin'}:/usr/local/bin:/usr/bin:/bin", "ANSIBLE_HOME": str(BUILD / "cache" / "ansible-lint")},
        )
    else:
        step.skip("ansible-lint", "it needs Python 3.12 or newer")
    return step.end()


if __name__ == "__main__":
    raise SystemExit(main())
