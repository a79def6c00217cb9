# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From a failure to its answer: who or what can cure it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import hresult
from .situation import Situation

# A code that persists longer than this has not passed by itself, so waiting is no answer any more.
PASSES_WITHIN_S = 24 * 3600

_DATA = Path(__file__).with_name("data")
_TABLE: dict[str, Any] = json.loads((_DATA / "routing.json").read_text(encoding="utf-8"))
_CODES: dict[int, dict[str, list[str]]] = {int(code, 16): row for code, row in _TABLE["codes"].items()}
SERVICES: dict[str, dict[str, Any]] = json.loads((_DATA / "services.json").read_text(encoding="utf-8"))["services"]
STOP_ORDER: tuple[str, ...] = tuple(json.loads((_DATA / "services.json").read_text(encoding="utf-8"))["stop_order"])

# A reset renews the data store and the download cache: it is an answer only to what was seen at work with them.
_RESET_LAYERS = ("cache", "scan", "download", "install")


@dataclass(frozen=True)
class Seen:
    """One failure as it is routed."""

    layer: str
    code: int | None = None
    marker: str | None = None
    first: int | None = None
    last: int | None = None
    tried_reset: bool = False


def answer_for(seen: Seen, situation: Situation) -> dict[str, str]:
    """Exactly one of rung, wait, owner."""
    for word in _words(seen):
        answer = _answer(word, seen, situation)
        if answer is not None:
            return answer
    return {"owner": "admin"}


def repairable_services(situation: Situation) -> tuple[str, ...] | None:
    """The disabled services whose start type a reset repairs, None when the start types are not known."""
    if situation.disabled is None:
        return None
    return tuple(name for name in situation.disabled if SERVICES.get(name, {}).get("rung") == "reset")


def is_signature_code(code: int | None) -> bool:
    """Whether the code is about catalogues and signatures, whose cache is catroot2."""
    return code is not None and any(_low(pair[0]) <= code <= _low(pair[1]) for pair in _TABLE["signature_codes"])


def is_service_code(code: int | None) -> bool:
    """Whether the code says that a service is not there to be used: its start type is what a reset repairs."""
    return code is not None and any(words[0] == "services" for words in _CODES.get(code, {}).values())


def is_dotnet_code(code: int | None) -> bool:
    """Whether the code is an exception of .NET (facility 0x13), so of whoever asked, not of Windows Update."""
    return code is not None and code >> 16 == 0x8013


def is_upgrade_code(code: int | None) -> bool:
    """Whether the code comes from the set-up of a feature upgrade, wherever it was seen."""
    span = _TABLE["upgrade_codes"]
    return code is not None and _low(span["from"]) <= code <= _low(span["to"])


def _low(text: str) -> int:
    return int(text, 16)


def _words(seen: Seen) -> list[str]:
    if seen.code is None:
        return list(_TABLE["markers"].get(seen.marker) or _TABLE["marker_layers"].get(seen.layer) or ["admin"])
    info = hresult.describe(seen.code)
    remedies = [_TABLE["remedies"].get(word, "admin") for word in info.remedies]
    layer = "upgrade" if is_upgrade_code(seen.code) else seen.layer
    words: list[str] = []
    for word in _row(seen.code, layer, info.area):
        words.extend(remedies if word == "remedies" else [word])
    return words


def _row(code: int, layer: str, area: str) -> list[str]:
    by_code = _CODES.get(code, {})
    if layer in by_code or "*" in by_code:
        return list(by_code.get(layer) or by_code["*"])
    for span in _TABLE["ranges"]:
        if _low(span["from"]) <= code <= _low(span["to"]) and area in span.get("areas", [area]):
            return list(span["answer"])
    by_layer = _TABLE["layers"].get(layer, {})
    return list(by_layer.get(area) or _TABLE["areas"].get(area) or ["admin"])


def _answer(word: str, seen: Seen, situation: Situation) -> dict[str, str] | None:
    """The answer that a word stands for, or None where it declines."""
    if word == "reset":
        if seen.layer not in _RESET_LAYERS:
            return None
        if (seen.layer == "install" and situation.store_damaged) or seen.tried_reset:
            return {"rung": "troubleshoot"}
        return {"rung": "reset"}
    if word == "troubleshoot":
        return None if seen.layer == "upgrade" else {"rung": "troubleshoot"}
    if word == "timesync":
        return None if situation.clock.state == "right" else {"rung": "timesync"}
    if word == "clock":
        return {"rung": "timesync"} if situation.clock.state == "off" else None
    if word == "upgrade":
        if situation.client is False:
            return {"owner": "admin"}
        return None if situation.upgrade_allowed else {"rung": "osupgrade"}
    if word == "services":
        return None if repairable_services(situation) == () else {"rung": "reset"}
    if word == "restart":
        return None if situation.restarted_since(seen.last) else {"wait": "restart"}
    if word == "restart_only":
        return {"wait": "restart"}
    if word == "retry":
        lasting = seen.first is not None and seen.last is not None and seen.last - seen.first > PASSES_WITHIN_S
        return None if lasting else {"wait": "retry"}
    if word == "source":
        return {"owner": "wsus" if situation.wsus else "proxy" if situation.proxy else "admin"}
    if word == "proxy":
        return {"owner": "wsus" if situation.wsus and not situation.proxy else "proxy"}
    if word == "policy":
        return {"owner": "management" if situation.managed else "policy"}
    if word == "wait":
        return {"wait": "retry"}
    if word == "drivers":
        return {"rung": "drivers"}
    return {"owner": word}
