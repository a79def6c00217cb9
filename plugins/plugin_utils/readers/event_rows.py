# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: events that were read out of a text export, before it is known which number of their dates is the day."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from . import local_times
from .event_message import CUT, told
from .local_times import Moment
from .records import Collector

# Names of fields that programs write and nobody translates; a viewer's own are found by their place.
PROVIDERS = ("providername", "provider", "sourcename", "eventsource", "source", "providerid")
NUMBERS = ("eventid", "id", "eventcode", "eventidentifier", "instanceid")
TIMES = ("timecreated", "timegenerated", "dateandtime", "datetime", "timestamp", "systemtime", "timewritten", "date", "time")
MESSAGES = ("message", "description", "renderedmessage", "details", "text")
_NOT_OF_A_NAME = re.compile(r"[^a-z0-9]")
_ALIKE, _MOST_ALIKE = 60, 200
# An instance id has a severity and a facility before the event's id.
_LAST_16_BITS = 0xFFFF


class Row(NamedTuple):
    """One event of a text export."""

    provider: str
    number: int
    moment: Moment | None
    message: str
    data: Mapping[str, str] = {}


def name_of(field: str) -> str:
    """The name of a field as the tables above have it."""
    return _NOT_OF_A_NAME.sub("", field[:40].lower())


def number_of(text: str) -> int | None:
    """An event's id, also where it was put into an instance id."""
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        return None
    return int(text) & _LAST_16_BITS


def _uncut(rows: Sequence[Row]) -> list[Row]:
    """Rows whose message a table has cut, with that of a row that says the same to its end: one update is one thing."""
    whole: dict[str, list[str]] = {}
    for row in rows:
        if not row.message.rstrip().endswith(CUT):
            whole.setdefault(row.message[:_ALIKE], []).append(row.message)
    return [row._replace(message=_longer(row.message.rstrip(), whole)) for row in rows]


def _longer(message: str, whole: dict[str, list[str]]) -> str:
    if not message.endswith(CUT):
        return message
    stem = message.rstrip(".\u2026")
    alike = whole.get(message[:_ALIKE], ())
    return next((other for other in alike[:_MOST_ALIKE] if other.startswith(stem)), message)


def add_rows(rows: Sequence[Row], out: Collector) -> None:
    """Tell what rows say: their times are local, and order the file among themselves."""
    rows = _uncut(rows)
    by_day = local_times.day_first([row.moment for row in rows if row.moment is not None])
    channel = out.channel or "events"
    for row in rows:
        time = None if row.moment is None else local_times.unix(row.moment, by_day)
        counted = None if time is None else channel
        seen = told(row.provider, row.number, row.message, time, record=time, channel=counted, data=row.data)
        if seen is not None:
            out.add(seen, local=True)
