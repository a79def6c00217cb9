# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: events as rows: what the event viewer saves as text or CSV, `Export-Csv` and the table of Get-WinEvent.

The viewer's columns are level, date, provider, id, category, message in every language; the header is translated, and names no message.
PowerShell's are named, and not translated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from .event_message import MAX_MESSAGE
from .event_nested import data_in
from .event_rows import MESSAGES, NUMBERS, PROVIDERS, TIMES, Row, add_rows, name_of, number_of
from .events import provider_called
from .local_times import moment
from .records import Collector, each_line

# The last is that of tables on a page.
_SEPARATORS = ("\t", ",", ";", "|")
_VIEWER_CELLS = 5
_MOST_LINES, _MOST_CELLS, _MAX_CELL = 40, 80, 4000
# `#TYPE` of PowerShell, `sep=;` of Excel, an empty line.
_LINES_BEFORE_HEADER, _MOST_ABOVE_TABLE = 4, 400
_GROUP = re.compile(r"\s{0,8}ProviderName: (\S.{0,120})$")
_IN_GROUP = re.compile(r"\s{1,40}([0-9]{1,5})\s{1,8}(\S.*)$")
_MAX_QUOTED = 20_000
# A dump without columns: LEVEL, maybe date and host, ID, PROVIDER, category, user and message.
_DUMPED = re.compile(
    r"[ \t]{0,8}\w{3,20}[ \t]{1,8}(.{0,120}?)[ \t]{1,8}([0-9]{1,5})[ \t]{1,8}(Microsoft-Windows-[A-Za-z-]{3,60})[ \t]{1,8}(\S.*)"
)


def is_event_rows(sample: str, _name: str) -> bool:
    """Whether rows as the viewer saves them stand in it, or groups as Get-WinEvent shows them."""
    lines = list(islice(each_line(sample), 4000))
    if any(provider_called(group) for group in _groups(lines)):
        return True
    return any(_viewer_row(line) or _dumped_row(line) for line in lines)


def is_event_csv(sample: str, _name: str) -> bool:
    """Whether a header names a provider, an id and a time or a message."""
    return _header(sample) is not None


def event_rows(text: str, out: Collector) -> None:
    """Read rows of the viewer, and the table of Get-WinEvent."""
    add_rows([row for row in _rows(text) if provider_called(row.provider)], out)


def event_csv(text: str, out: Collector) -> None:
    """Read a CSV whose header names its columns."""
    header = _header(text)
    if header is None:
        return
    start, separator, names = header
    rows = (_named_row(names, cells) for cells in _records(text, start, separator))
    add_rows([row for row in rows if row is not None and provider_called(row.provider)], out)


# --- rows that are known by their shape ---


def _groups(lines: list[str]) -> Iterator[str]:
    for line in lines:
        found = _GROUP.match(line)
        if found is not None:
            yield found.group(1)


def _rows(text: str) -> Iterator[Row]:
    """Rows with the lines of their messages; a row ends where the next begins, so that no quote that was cut off swallows the rest."""
    row: Row | None = None
    more: list[str] = []
    provider = ""
    for line in each_line(text):
        group = _GROUP.match(line)
        provider = provider if group is None else group.group(1)
        begun = _viewer_row(line) or _grouped_row(line, provider) or _dumped_row(line)
        if begun is None and group is None:
            if len(more) < _MOST_LINES:
                more.append(line.strip())
            continue
        if row is not None:
            yield _whole(row, more)
        row, more = begun, []
    if row is not None:
        yield _whole(row, more)


def _whole(row: Row, more: list[str]) -> Row:
    words = " ".join([row.message, *more])[:MAX_MESSAGE].strip()
    if words.startswith('"'):
        words = words[1:].rpartition('"')[0] or words[1:]
    return row._replace(message=words.replace('""', '"'))


def _viewer_row(line: str) -> Row | None:
    """LEVEL, DATE, PROVIDER, ID, CATEGORY, MESSAGE between tabs, commas or semicolons."""
    for separator in _SEPARATORS:
        cells = line.split(separator, _VIEWER_CELLS)
        if len(cells) < _VIEWER_CELLS:
            continue
        when, provider, number = (cell.strip().strip('"') for cell in cells[1:4])
        found = moment(when)
        if found is not None and number_of(number) is not None and provider:
            return Row(provider, int(number) & 0xFFFF, found, cells[_VIEWER_CELLS] if len(cells) > _VIEWER_CELLS else "")
    return None


def _dumped_row(line: str) -> Row | None:
    """LEVEL ... ID PROVIDER ... MESSAGE, where the provider is one that is known."""
    found = _DUMPED.match(line) if "Microsoft-Windows-" in line else None
    if found is None or provider_called(found.group(3)) is None:
        return None
    return Row(found.group(3), int(found.group(2)), moment(found.group(1)), found.group(4))


def _grouped_row(line: str, provider: str) -> Row | None:
    """DATE ID LEVEL MESSAGE under the name of a provider; the level is one word, in any language."""
    if not provider:
        return None
    words = line.strip()
    found = moment(words)
    rest = _IN_GROUP.match(words[found.end :]) if found is not None else None
    if rest is None:
        return None
    return Row(provider, int(rest.group(1)), found, rest.group(2).partition(" ")[2].strip())


# --- a CSV with names ---


def _header(text: str) -> tuple[int, str, list[str]] | None:
    """Where the rows begin, what separates their cells, and the names of their columns."""
    start = 0
    for place, line in enumerate(each_line(text)):
        start += len(line) + 1
        if place >= _LINES_BEFORE_HEADER and not line.startswith("|"):
            continue
        if place >= _MOST_ABOVE_TABLE:
            break
        for separator in _SEPARATORS:
            names = [name_of(cell) for cell in line.split(separator)][:_MOST_CELLS]
            kinds = [set(names).intersection(wanted) for wanted in (PROVIDERS, NUMBERS, TIMES, MESSAGES)]
            if kinds[0] and kinds[1] and (kinds[2] or kinds[3]):
                return start, separator, names
    return None


def _records(text: str, start: int, separator: str) -> Iterator[list[str]]:
    """The cells of each row; between quotes stand separators and ends of lines, too."""
    cells: list[str] = []
    size = len(text)
    while start < size:
        cell, start = _cell(text, start, separator)
        if len(cells) < _MOST_CELLS:
            cells.append(cell)
        if start < size and text[start] == separator:
            start += 1
            continue
        yield cells
        cells = []
        start += 1
    if cells:
        yield cells


def _cell(text: str, start: int, separator: str) -> tuple[str, int]:
    """A cell and where it ends."""
    closed = _closing_quote(text, start)
    place = start if closed is None else closed
    ends = [end for mark in (separator, "\n") if (end := text.find(mark, place, place + _MAX_CELL)) >= 0]
    end = min(ends, default=min(len(text), place + _MAX_CELL))
    value = text[start : min(end, start + _MAX_CELL)].strip(" \r")
    return value.removeprefix('"').removesuffix('"').replace('""', '"'), end


def _closing_quote(text: str, start: int) -> int | None:
    """Where the quote that a cell begins with is closed; None without one, and for one that a cut left open."""
    if text[start : start + 1] != '"':
        return None
    limit = start + _MAX_QUOTED
    place = text.find('"', start + 1, limit)
    while place >= 0 and text[place + 1 : place + 2] == '"':
        place = text.find('"', place + 2, limit)
    return None if place < 0 else place


def _named_row(names: list[str], cells: list[str]) -> Row | None:
    values: dict[str, str] = {}
    for name, cell in zip(names, cells, strict=False):
        values.setdefault(name, cell)
    provider, number, when, message = (
        next((values[name] for name in wanted if values.get(name)), "") for wanted in (PROVIDERS, NUMBERS, TIMES, MESSAGES)
    )
    found = number_of(number)
    if found is None:
        return None
    # The event viewer's own header names no message.
    rest = " ".join(cells[len(names) :])
    return Row(provider, found, moment(when), (message or rest)[:MAX_MESSAGE], data_in(values.get("payload")))
