# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: which service a name means that Windows shows, in whatever language."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_FILE = Path(__file__).parents[1] / "data/service_names.json"
_TABLE: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
_SHOWN: dict[str, list[str]] = _TABLE["names"]
_DISABLED: tuple[str, ...] = tuple(_TABLE["disabled"])
_CHANGED: tuple[str, ...] = tuple(_TABLE["changed"])
_MARKS = " .\u3002\"\u201c\u201d\u00ab\u00bb\u300c\u300d"
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


def is_disabled(start_type: str) -> bool:
    """Whether a start type, or a sentence that ends in the one a service was given, is the one that forbids it to run."""
    words = start_type.strip().rstrip(_MARKS).lower()
    verb = next((verb for verb in _CHANGED if words.endswith(verb)), "")
    return words.removesuffix(verb).rstrip(_MARKS).endswith(_DISABLED)


def names_disabled(words: str) -> bool:
    """Whether that start type stands anywhere in them."""
    return any(word in words.lower() for word in _DISABLED)
