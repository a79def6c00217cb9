# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The repairs of this release, cheapest and safest first. A file here is found by itself: its `REPAIR` is added."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..finding import Finding
from ._common import PROVED, REFUTED, SEARCH_DENIED, UNPROVEN, Proof, Refusal, Repair, Wish, attempts

__all__ = [
    "BY_NAME",
    "HOWTO_ORDER",
    "ORDER",
    "PROVED",
    "REFUTED",
    "SEARCH_DENIED",
    "TITLES",
    "UNPROVEN",
    "Proof",
    "Refusal",
    "Repair",
    "Wish",
    "asked_for",
    "attempted",
]


def _find() -> Sequence[Repair]:
    names = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith("_"))
    found: list[Repair] = [importlib.import_module(f"{__name__}.{name}").REPAIR for name in names]
    return sorted(found, key=lambda repair: repair.order)


_REPAIRS = _find()

# A right clock comes first, since TLS and every later proof need it; the registry value touches nothing but itself; a reset stops services
# and gives up the local history.
ORDER: tuple[str, ...] = tuple(repair.name for repair in _REPAIRS)
HOWTO_ORDER: tuple[str, ...] = tuple(repair.name for repair in sorted(_REPAIRS, key=lambda repair: repair.howto_order))
BY_NAME: dict[str, Repair] = {repair.name: repair for repair in _REPAIRS}
TITLES: dict[str, str] = {repair.name: repair.title for repair in _REPAIRS}


def asked_for(findings: Iterable[Finding]) -> tuple[str, ...]:
    """The repairs that findings ask for, in order. An attempt is no repair."""
    known = tuple(findings)
    answers = {item.answer.get("repair") for item in known if item.answer.get("repair")}
    return tuple(name for name in ORDER if name in answers and BY_NAME[name].asked_by(known))


def attempted(findings: Iterable[Finding]) -> tuple[str, ...]:
    """The changes that may be tried once although they are not known to cure, in order."""
    known = tuple(findings)
    return tuple(name for name in ORDER if attempts(known, name))
