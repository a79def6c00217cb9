# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: events as JSON: a list, one object, or one a line.

`Get-WinEvent` and `Get-EventLog` with `ConvertTo-Json` have no names for the data, so the message says what the event says; Windows
PowerShell writes a date as `/Date(1767348000000)/`, PowerShell 7 as ISO text. Other tools keep the data (`event_nested`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from .event_message import MAX_MESSAGE, spoken_by, told
from .event_nested import data_in, nested
from .event_rows import MESSAGES, NUMBERS, PROVIDERS, TIMES, name_of, number_of
from .events import provider_called
from .records import Collector, part, stamp_of

_BEGINS = re.compile(r"\{\s{0,40}\"")
# evtx_dump sets a number before each.
_FIRST = re.compile(r"[\ufeff \t\r\n]{0,40}(?:Record [0-9]{1,18}\s{1,4})?[\[{]")
# An event with its bookmark and its properties is seldom longer; what a cut has left of one is given up.
_LONGEST, _MOST_SPOILT, _MOST_DEPTH = 65_536, 200, 4
_RECORDS, _LOGS = ("recordid", "eventrecordid", "index", "recordnumber"), ("logname", "channel", "log")
_SECONDS_SINCE_1970 = re.compile(r"/Date\((-?[0-9]{4,14})[0-9]{3}(?:[+-][0-9]{4})?\)/")
_ISO = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})?")
_DECODER = json.JSONDecoder()


def is_event_json(sample: str, _name: str) -> bool:
    """Whether an object in it names the id of an event, and a provider or a sentence that tells it."""
    if _FIRST.match(sample) is None:
        return False
    return any(_provider(item) and _number(item) is not None for item in _objects(sample))


def event_json(text: str, out: Collector) -> None:
    """Read the events of providers that are known."""
    for item in _objects(text):
        provider, number = _provider(item), _number(item)
        if provider is None or number is None or provider_called(provider) is None:
            continue
        time, is_local = _time(_first(item, TIMES))
        record, channel = number_in(_first(item, _RECORDS)), str(_first(item, _LOGS) or out.channel or "events")
        place = record or time
        message = str(_first(item, MESSAGES) or "")[:MAX_MESSAGE]
        seen = told(provider, number, message, time, record=place, channel=channel[:120], data=item["data"])
        if seen is not None:
            out.add(seen, local=is_local)


def _objects(text: str) -> Iterator[Mapping[str, Any]]:
    """The objects of a list or of lines, by the names of their fields; the first and the last may be cut."""
    place, spoilt = 0, 0
    while spoilt < _MOST_SPOILT:
        begun = _BEGINS.search(text, place)
        if begun is None:
            return
        place = begun.start()
        try:
            item, length = _DECODER.raw_decode(text[place : place + _LONGEST])
        except (ValueError, RecursionError):
            spoilt += 1
            place += 1
            continue
        place += length
        yield from _events_in(item, 0)


def _events_in(item: Mapping[str, Any], depth: int) -> Iterator[Mapping[str, Any]]:
    """An object as the fields of an event, with its data in `data`; where it is none, those in the lists that it holds."""
    event = nested(item)
    if event is not None:
        yield {**event.system, "data": event.data}
        return
    flat = {name_of(name): value for name, value in item.items()}
    if _provider(flat) is None and depth < _MOST_DEPTH:
        for inner in _held(item):
            yield from _events_in(inner, depth + 1)
    yield {**flat, "data": data_in(flat.get("payload"))}


def _held(item: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for value in item.values():
        if isinstance(value, dict):
            yield value
        elif isinstance(value, list):
            yield from (inner for inner in value if isinstance(inner, dict))


def number_in(value: Any) -> int | None:
    """A whole number, also as text."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 18:
        return int(value)
    if isinstance(value, int):
        return value
    return None


def _first(item: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((value for name in names if (value := item.get(name)) is not None), None)


def _provider(item: Mapping[str, Any]) -> str | None:
    value, number = _first(item, PROVIDERS), _number(item)
    if isinstance(value, str) or value is not None or number is None:
        return value if isinstance(value, str) else None
    return spoken_by(number, str(_first(item, MESSAGES) or "")[:MAX_MESSAGE])


def _number(item: Mapping[str, Any]) -> int | None:
    value = _first(item, NUMBERS)
    return number_of(str(value)) if isinstance(value, (int, str)) else None


def _time(value: Any) -> tuple[int | None, bool]:
    """Unix seconds, and whether they are local time; a date with PowerShell's additions is an object."""
    text = str((value.get("value") or value.get("DateTime")) if isinstance(value, dict) else value or "")[:80]
    since = part(_SECONDS_SINCE_1970.search(text))
    if since is not None:
        return int(since), False
    found = _ISO.search(text)
    local = stamp_of(found)
    if found is None or local is None:
        return None, False
    zone = found.group(3)
    if zone is None:
        return local, True
    ahead = 0 if zone == "Z" else (int(zone[1:3]) * 3600 + int(zone[4:6]) * 60) * int(f"{zone[0]}1")
    return local - ahead, False
