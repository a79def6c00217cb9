# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: which service a name means that Windows shows, in whatever language."""

from __future__ import annotations

import json
from pathlib import Path

_FILE = Path(__file__).parents[1] / "data/service_names.json"
_SHOWN: dict[str, list[str]] = json.loads(_FILE.read_text(encoding="utf-8"))[
    "names"
]
_KEYS = {name.lower(): key for key, names in _SHOWN.items() for name in (key, *names)}
# `Windows Update Medic Service` before `Windows Update`, which it begins with.
_LONGEST_FIRST = sorted((name.lower() for names in _SHOWN.values() for name in names), key=len, reverse=True)


def service_called(name: str) -> str | None:
    """Key name of the service that is shown so, None for one that updates do not need; `(BITS)` may stand behind it."""
    shown = name.strip().lower()
    return _KEYS.get(shown) or _KEYS.get(shown.partition(" (")[0])


def service_in(message: str) -> str | None:
    """Key name of the first of these services whose shown name stands in a text."""
    text = message.lower()
    places = [(place, name) for name in _LONGEST_FIRST if (place := text.find(name)) >= 0]
    if not places:
        return None
    first = min(place for place, _name in places)
    return _KEYS[next(name for place, name in places if place == first)]
