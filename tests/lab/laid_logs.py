# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The logs of tests/cases/logs that a host may have: which a look reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

CASES = Path(__file__).resolve().parents[1] / "cases/logs"
# What no host writes, or what its agent is not asked for: CheckSUR's list, pastes, rows that a program wrote anew, a Vista, other logs of
# set-up, what wusa.exe writes, what the database engine and Windows Error Reporting write into the Application log; of the clock a host is
# asked itself.
# What a host sends of CBS.log is less than the file: up to 400 characters of a line, the last of several alike, no line of CSI that has
# nothing but `gle=0xd...`, and no line at level Info that names a driver, a feature or the component of an installer beside what became of
# it. That SFC was only to verify it does not tell either.
_NOT_READ = (
    "clock-beyond-limit.xml",
    "clock-not-synchronised.xml",
    "clock-silent-to-the-end.xml",
    "common-controls.log",
    "data-store-log-has-another-sector-size.xml",
    "data-store-was-held-then-a-search.xml",
    "driver-of-bad-data.log",
    "feature-of-a-session.log",
    "foreign-7001-cut.xml",
    "installer-of-a-component.log",
    "installer-stopped-then-went-well.log",
    "pnp-corrupt-and-only-verified.log",
    "prefixed.xml",
    "rendering-info-only.xml",
    "report-of-a-package.xml",
    "rows-written-anew.log",
    "sr-file-put-back.log",
    "two-errors-one-gone.log",
    "time-source-silent-then-advertises.xml",
    "vista-component.log",
    "wusa.xml",
)
_READ: dict[str, Callable[[str], bool]] = {
    "cbs": lambda name: name.endswith(".log") and not name.startswith("checksur"),
    "setup": lambda name: name.startswith("setuperr") and "sysprep" not in name,
    "reporting": lambda name: name.endswith(".log"),
    "events": lambda name: name.endswith(".xml"),
}


def found(*families: str) -> Iterator[tuple[str, Path]]:
    """Family and file of each log that a look reads."""
    for family in families:
        for path in sorted((CASES / family).iterdir()):
            if _READ[family](path.name) and path.name not in _NOT_READ:
                yield family, path


def params(*families: str) -> list[object]:
    """The same for pytest."""
    return [pytest.param(family, path, id=f"{family}/{path.name}") for family, path in found(*families)]
