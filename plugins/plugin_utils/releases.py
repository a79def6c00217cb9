# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which release of Windows a build is, and until when Microsoft makes updates for it."""

from __future__ import annotations

import json
from calendar import timegm
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

_TABLE: dict[str, Any] = json.loads(Path(__file__).with_name("data").joinpath("releases.json").read_text(encoding="utf-8"))

# EditionID in the registry, lower case and without the N of Europe: which column of the table holds its date. All others are
# `enterprise`.
_HOME = frozenset(("core", "coresinglelanguage", "corecountryspecific"))
_HOME |= {f"professional{kind}" for kind in ("", "education", "workstation", "singlelanguage")}
_LTSC, _IOT = frozenset(("enterprises", "enterpriseseval")), frozenset(("iotenterprises", "iotenterprisesk"))
_KINDS = ("home", "enterprise", "ltsc", "iot", "server")


@dataclass(frozen=True)
class Release:
    """A release of Windows.

    Attributes:
        name: `Windows 11 24H2`, `Windows Server 2022`.
        last_day: the last day of regular updates, `2026-10-13`; None where the table does not say.
        supported_until: the end of that day in UTC, Unix seconds.
        esu: the last day of extended security updates, which are bought apart; None where there are none.
    """

    name: str
    last_day: str | None = None
    supported_until: int | None = None
    esu: str | None = None

    def is_supported(self, now: int) -> bool:
        """Whether regular updates are still made; true where that is not known."""
        return self.supported_until is None or now < self.supported_until


def of(build: int | None, product_type: str | None, edition: str | None) -> Release | None:
    """The release of a build; None for a build that the table does not hold (a preview, or a newer Windows).

    Args:
        product_type: `client`, anything else is a server.
        edition: EditionID of the registry (`Professional`, `EnterpriseS`). Where it is not known, the longest support counts.
    """
    group = _TABLE["client"] if product_type in ("client", None) else _TABLE["server"]
    row: dict[str, str] | None = group.get(str(build))
    if row is None:
        return None
    last_day = _last_day(row, None if product_type not in ("client", None) else edition)
    if last_day is None:
        return Release(row["name"], esu=row.get("esu"))
    return Release(row["name"], last_day, _end_of(last_day), row.get("esu"))


def runs(build: int, release: str, title: str | None) -> bool:
    """Whether a host of that build runs a release (`24H2`), or a later one.

    Args:
        title: of the upgrade (`Windows 11, version 24H2`): Windows 10 and 11 share some names of releases. Without a product in it the
            later one is meant, so that nothing is called done which may not be.
    """
    text = (title or "").lower()
    wanted = [
        int(number)
        for number, row in _TABLE["client"].items()
        if release and row["name"].endswith(f" {release.upper()}") and _fits(row["name"], text)
    ]
    return bool(wanted) and build >= max(wanted)


def _fits(name: str, title: str) -> bool:
    product = name.rpartition(" ")[0].lower()
    return product in title or not ("windows 10" in title or "windows 11" in title)


def _last_day(row: dict[str, str], edition: str | None) -> str | None:
    if edition:
        exact = row.get(_kind(edition))
        if exact is not None:
            return exact
    days = [row[kind] for kind in _KINDS if kind in row]
    return max(days, default=None)


def _kind(edition: str) -> str:
    name = edition.strip().lower()
    for kind, names in (("home", _HOME), ("ltsc", _LTSC), ("iot", _IOT)):
        if name in names or (name.endswith("n") and name[:-1] in names):
            return kind
    return "enterprise"


def _end_of(day: str) -> int:
    # Updates of the last day are still offered on it, so it counts whole.
    return timegm(date.fromisoformat(day).timetuple()) + 86400
