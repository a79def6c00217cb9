# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: events in the columns of PowerShell's `Format-Table`: what `Get-EventLog` shows, and `Get-WinEvent` with a column of providers.

Dashes under the header say where columns are; numbers stand at the right of theirs, all else at the left. Names are cut with dots where a
column is too narrow, and the time of Get-EventLog has no year: its index says what came after what.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from .event_message import MAX_MESSAGE, has_reason, told
from .event_rows import MESSAGES, NUMBERS, PROVIDERS, TIMES, name_of, number_of
from .events import provider_called, providers_like
from .local_times import Moment, day_first, moment, unix
from .records import Collector, each_line

_DASHES = re.compile(r"\s{0,40}-{2,40}(?: {1,200}-{2,40}){2,20}\s{0,200}")
_COLUMN = re.compile(r"-+")
_DIGITS = re.compile(r"[0-9]+")
_INDEX = "index"
_CUT = ("...", "\u2026")
_MOST_LINES = 40


class _Column(NamedTuple):
    name: str
    start: int
    end: int


class _Row(NamedTuple):
    """One event; `place` orders those that have no year."""

    provider: str
    number: int
    moment: Moment | None
    place: int | None
    message: str


def is_event_columns(sample: str, _name: str) -> bool:
    """Whether a header with dashes under it names a provider, an id and a message."""
    return any(True for _columns in _tables(sample))


def event_columns(text: str, out: Collector) -> None:
    """Read the tables."""
    rows = [row for row in _rows(text) if row.provider]
    by_day = day_first([row.moment for row in rows if row.moment is not None])
    channel = out.channel or "events"
    for row in rows:
        time = None if row.moment is None else unix(row.moment, by_day)
        place = time if row.place is None else row.place
        seen = told(row.provider, row.number, row.message, time, record=place, channel=None if place is None else channel)
        if seen is not None:
            out.add(seen, local=True)


def _columns(header: str, dashes: str) -> list[_Column]:
    """The columns of a table of events, none where it is of something else."""
    found = [_Column(name_of(header[one.start() : one.end()]), one.start(), one.end()) for one in _COLUMN.finditer(dashes)]
    names = {column.name for column in found}
    is_ours = all(names.intersection(wanted) for wanted in (PROVIDERS, NUMBERS, MESSAGES))
    return found if is_ours else []


def _tables(text: str) -> Iterator[list[_Column]]:
    before = ""
    for line in each_line(text):
        columns = _columns(before, line) if "--" in line and _DASHES.fullmatch(line) else []
        if columns:
            yield columns
        before = line


def _rows(text: str) -> Iterator[_Row]:
    columns: list[_Column] = []
    before, more = "", 0
    row: _Row | None = None
    for line in each_line(text):
        if "--" in line and _DASHES.fullmatch(line):
            columns = _columns(before, line)
        elif columns and (begun := _row(line.rstrip(), columns)) is not None:
            if row is not None:
                yield row
            row, more = begun, 0
        elif row is not None and columns and _is_wrapped(line, columns) and more < _MOST_LINES:
            row, more = row._replace(message=f"{row.message} {line.strip()}"[:MAX_MESSAGE]), more + 1
        before = line
    if row is not None:
        yield row


def _is_wrapped(line: str, columns: list[_Column]) -> bool:
    """Whether a line has nothing but more of the message, which is the last column."""
    return bool(line.strip()) and not line[: columns[-1].start].strip()


def _row(line: str, columns: list[_Column]) -> _Row | None:
    cells = _cells(line, columns)
    provider, number, when, message = (
        next((cells[name] for name in wanted if cells.get(name)), "") for wanted in (PROVIDERS, NUMBERS, TIMES, MESSAGES)
    )
    found = number_of(number)
    if found is None or not provider:
        return None
    index = cells.get(_INDEX, "")
    place = int(index) if index.isascii() and index.isdigit() and len(index) <= 18 else None
    return _Row(_named(provider, found, message), found, moment(when), place, message[:MAX_MESSAGE])


def _cells(line: str, columns: list[_Column]) -> dict[str, str]:
    """The cells of a row; a number ends where its dashes end, however far to the left it begins."""
    spans = [_span(line, column) for column in columns]
    cells: dict[str, str] = {}
    for at, column in enumerate(columns):
        end = spans[at + 1][0] if at + 1 < len(columns) else len(line)
        cells.setdefault(column.name, line[spans[at][0] : end].strip())
    return cells


def _span(line: str, column: _Column) -> tuple[int, int]:
    if column.name in NUMBERS or column.name == _INDEX:
        for found in _DIGITS.finditer(line, max(0, column.start - 20), column.end):
            if found.end() == column.end:
                return found.span()
    return column.start, column.end


def _named(provider: str, number: int, message: str) -> str:
    """The provider that a name stands for, '' for none that is known.

    `Microsoft-Windows...` may be anybody, but where a KB or a code is told.
    """
    if not provider.endswith(_CUT):
        return provider_called(provider) or ""
    like = providers_like(provider.rstrip(".\u2026"), number)
    if len(like) != 1 or (provider.lower().startswith("microsoft-windows.") and not has_reason(message)):
        return ""
    return like[0]
