# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: what the readers of logs share. A record, how records fold, and how bytes become lines."""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Iterator
from dataclasses import dataclass, replace

from . import hresult

MAX_LINE = 2000
_MAX_TEXT = 200
_MAX_RECORDS = 2000
_MAX_BESIDE = 8
# The agent offers, the stack says whether the update applies: an answer, not a fault (CBS_E_NOT_APPLICABLE).
NOT_APPLICABLE = 0x800F081E


@dataclass(frozen=True)
class Record:
    """One thing that was seen, whatever it was seen in.

    Attributes:
        source: `cbs`, `reporting`, `setup`, `dism`, `wulog`, `history`, `event:PROVIDER/ID`, `scan`, `registry`.
        layer: `store`, `cache`, `scan`, `download`, `install`, `upgrade`, `service`, `clock`.
        time: when it was seen last, Unix seconds; None if the line carries no date.
        ok: a success that may overtake failures.
        code: unsigned HRESULT.
        marker: name of a condition that has no code of its own, or whose code says nothing.
        update: update id (lower case, no braces) or KB number or package.
        text: what was read, at most 200 characters.
        beside: codes of failures in the same log that mean nothing alone, but help to search for this one.
        local_time: the log writes the host's local time and its zone was not known: `time` is uncertain by the zone.
    """

    source: str
    layer: str
    time: int | None
    ok: bool = False
    code: int | None = None
    marker: str | None = None
    update: str | None = None
    text: str = ""
    count: int = 1
    first: int | None = None
    beside: tuple[int, ...] = ()
    local_time: bool = False


def decode(data: bytes) -> str:
    """Bytes of a Windows log as text, whatever encoding they are in and wherever they were cut."""
    if data.startswith(b"\xff\xfe"):
        return data[2:].decode("utf-16-le", "replace")
    if data.startswith(b"\xfe\xff"):
        return data[2:].decode("utf-16-be", "replace")
    if data.startswith(b"\xef\xbb\xbf"):
        return data[3:].decode("utf-8", "replace")
    start = len(data) - len(data.lstrip(b"\0"))
    start -= start % 2
    sample = data[start : start + 8192]
    even, odd = sample[0::2], sample[1::2]
    low, high = even.count(0), odd.count(0)
    half = max(len(odd), 1)
    # Logs are mostly ASCII: in UTF-16 every other byte is NUL, the wrong one if the cut went through a character.
    if high > half * 0.6 and low < half * 0.2:
        return data[start:].decode("utf-16-le", "replace")
    if low > half * 0.6 and high < half * 0.2:
        return data[start + 1 :].decode("utf-16-le", "replace")
    return data.decode("utf-8", "replace")


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def clean(text: str, limit: int = _MAX_TEXT) -> str:
    """Text on one line, without control characters, cut."""
    return _CONTROL.sub(" ", text[: limit * 2]).strip()[:limit]


def each_line(text: str) -> Iterator[str]:
    start, size = 0, len(text)
    while start < size:
        end = text.find("\n", start)
        if end < 0:
            end = size
        yield text[start : min(end, start + MAX_LINE)]
        start = end + 1


def stamp(date: str, clock: str) -> int | None:
    try:
        return timegm(
            (
                int(date[0:4]),
                int(date[5:7]),
                int(date[8:10]),
                int(clock[0:2]),
                int(clock[3:5]),
                int(clock[6:8]),
                0,
                0,
                0,
            )
        )
    except ValueError:
        return None


def to_code(text: str | None) -> int | None:
    if not text:
        return None
    try:
        return hresult.normalise(text)
    except hresult.HResultError:
        return None


def is_failure(code: int | None) -> bool:
    return code is not None and bool(code & 0x80000000)


KB = re.compile(r"\bKB([0-9]{6,8})\b", re.I)
_GUID = re.compile(r"\{?([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\}?", re.I)


def update_id(text: str | None) -> str | None:
    """A GUID (lower case, no braces), else a KB number, else None."""
    if not text:
        return None
    guid = _GUID.search(text[:MAX_LINE])
    if guid and set(guid.group(1)) - set("0-"):
        return guid.group(1).lower()
    kb = KB.search(text[:MAX_LINE])
    return f"KB{kb.group(1)}" if kb else None


class Collector:
    """Records, those alike folded into one, in the order in which they were seen last."""

    def __init__(self, zone_offset_s: int | None) -> None:
        self._records: dict[tuple[object, ...], Record] = {}
        self._zone = zone_offset_s
        self._aside: dict[int, None] = {}

    def add(self, record: Record, *, local: bool = False) -> None:
        time, first = record.time, record.first
        if local and self._zone is not None:
            time = None if time is None else time - self._zone
            first = None if first is None else first - self._zone
        record = replace(
            record,
            time=time,
            first=time if first is None else first,
            text=clean(record.text),
            local_time=local and self._zone is None and time is not None,
        )
        key = (record.source, record.layer, record.ok, record.code, record.marker, record.update)
        before = self._records.pop(key, None)
        if before is not None:
            times = [moment for moment in (before.time, record.time) if moment is not None]
            firsts = [moment for moment in (before.first, record.first) if moment is not None]
            newer = before if (before.time or 0) > (record.time or 0) else record
            record = replace(
                newer, count=before.count + record.count, time=max(times, default=None), first=min(firsts, default=None)
            )
        elif len(self._records) >= _MAX_RECORDS:
            del self._records[next(iter(self._records))]
        self._records[key] = record

    def aside(self, code: int) -> None:
        """Note a code that tells nothing by itself. It is named beside damage in the same log, if any."""
        if len(self._aside) < _MAX_BESIDE:
            self._aside[code] = None

    def result(self) -> list[Record]:
        told = {record.code for record in self._records.values()}
        beside = tuple(code for code in self._aside if code not in told)
        return [
            replace(record, beside=beside) if record.layer == "store" and record.marker and not record.ok else record
            for record in self._records.values()
        ]
