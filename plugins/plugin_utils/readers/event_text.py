# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: events as labelled lines: text of wevtutil, events copied from the viewer, `Format-List` of PowerShell.

Labels of the first two are translated, so that an event is known by its shape: lines `LABEL: VALUE`, of which one is a date and a later
one the number of the event. wevtutil and the viewer have the log, the provider, the date and the id in this order in every language.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

from .event_message import MAX_MESSAGE
from .event_rows import MESSAGES, NUMBERS, PROVIDERS, TIMES, Row, add_rows, name_of, number_of
from .events import SCM, provider_called, tells
from .local_times import Moment, moment
from .records import Collector, each_line

# A label begins with a letter, of whatever script; a line of most logs with a date.
_LABELLED = re.compile(r"(\s{0,8})([^\W\d_][^:\uff1a]{0,40}?)\s{0,24}[:\uff1a](.*)$")
# Format-List sets what it wraps under the value, far behind the labels.
_CONTINUED = re.compile(r"\s{5,60}(\S.*)")
# A ticket quotes with `> `, and a form sets an empty line after each. A log of many megabytes was not pasted.
_QUOTED = re.compile(r"(?:[ \t]{0,4}>){1,3} ?")
_MOST_PASTED = 2 * 1024 * 1024
_FEWEST_APART = 4
_MOST_FIELDS, _MOST_LINES = 60, 40
_FEWEST = 3
_WORD = re.compile(r"[^\W_]")
# Scripts show an event's log and leave its source out. In the System log these ids are the service manager's.
_LOGS, _SYSTEM, _OF_SERVICES = ("log", "logname", "channel", "eventlog"), "system", range(7000, 7046)
# Between the id and the message stand at least task, level, keywords, user and computer.
_BEFORE_MESSAGE = 5


class _Field(NamedTuple):
    """`LABEL: VALUE`; `indent` is the width of the blanks before it."""

    indent: int
    label: str
    value: str

    @property
    def name(self) -> str:
        return name_of(self.label)


class _Head(NamedTuple):
    """The labelled lines of an event, its date, and where among them its date and its id stand."""

    fields: list[_Field]
    moment: Moment
    time: int
    number: int


def is_event_text(sample: str, _name: str) -> bool:
    """Whether labelled lines of events stand in it."""
    return any(_looks_like_event(head) for head, _body in _events(sample))


def event_text(text: str, out: Collector) -> None:
    """Read the events of providers that are known. Times are local, also where wevtutil sets a Z behind them."""
    rows = (_row(head, body) for head, body in _events(text))
    add_rows([row for row in rows if row is not None], out)


def _looks_like_event(head: _Head) -> bool:
    names = {field.name for field in head.fields}
    if names.intersection(NUMBERS) and names.intersection(PROVIDERS):
        return True
    if _of_services(head.fields, number_of(head.fields[head.number].value)):
        return True
    if any(provider_called(field.value) for field in head.fields):
        return True
    # LOG, PROVIDER, DATE, ID, whatever they are called.
    return head.time >= 2 and head.number == head.time + 1 and len(head.fields) >= 2 * _FEWEST


# --- from lines to events ---


def _events(text: str) -> Iterator[tuple[_Head, list[str]]]:
    """Each event: its labelled lines, and the lines behind them up to the next one."""
    head: _Head | None = None
    body: list[str] = []
    for run, rest in _runs(text):
        found = _head(run)
        if found is None:
            # Lines of a message that look labelled.
            body = [*body, *(f"{field.label}: {field.value}" for field in run), *rest][:_MOST_LINES]
            continue
        if head is not None:
            yield head, body
        head, body = found, rest
    if head is not None:
        yield head, body


def _runs(text: str) -> Iterator[tuple[list[_Field], list[str]]]:
    """Labelled lines that follow each other, and what stands behind them; of both no more than an event has."""
    run: list[_Field] = []
    rest: list[str] = []
    for line in _lines(text):
        field = _field(line)
        if field is None:
            _take(run, rest, line)
            continue
        if rest or len(run) >= _MOST_FIELDS or _begins_again(run, field):
            yield run, rest
            run, rest = [], []
        run.append(field)
    yield run, rest


def _lines(text: str) -> Iterable[str]:
    """The lines of a text as the program wrote them."""
    if len(text) > _MOST_PASTED:
        return each_line(text)
    lines = [_QUOTED.sub("", line, count=1) if ">" in line[:8] else line for line in each_line(text)]
    labelled = [_LABELLED.match(line) is not None for line in lines]
    together = sum(one and other for one, other in pairwise(labelled))
    apart = sum(one and other and not between.strip() for one, other, between in zip(labelled, labelled[2:], lines[1:], strict=False))
    if apart < _FEWEST_APART or apart < 3 * together:
        return lines
    return _joined(lines)


def _joined(lines: list[str]) -> Iterator[str]:
    """Lines without the empty one behind each; what was empty before stays, for it ends an event."""
    empty = 0
    for line in lines:
        empty = 0 if line.strip() else empty + 1
        if empty % 2 == 0:
            yield line


def _field(line: str) -> _Field | None:
    found = _LABELLED.match(line)
    if found is None:
        return None
    return _Field(len(found.group(1)), found.group(2), found.group(3).strip())


def _take(run: list[_Field], rest: list[str], line: str) -> None:
    """Take a line without a label: Format-List wrapped it, or it is of the message."""
    more = _CONTINUED.match(line)
    if more is not None and run and not rest:
        run[-1] = run[-1]._replace(value=f"{run[-1].value} {more.group(1).rstrip()}"[:MAX_MESSAGE].strip())
    elif len(rest) < _MOST_LINES:
        rest.append(line.strip())


def _begins_again(run: list[_Field], field: _Field) -> bool:
    """Whether a label is the first or second of the event that is being read: the next one begins, without a blank line."""
    return len(run) > _FEWEST and field.label in (run[0].label, run[1].label) and field.indent in (run[0].indent, run[1].indent)


def _head(run: list[_Field]) -> _Head | None:
    """Labelled lines as the head of an event, None for those without a date and an id."""
    if len(run) < _FEWEST:
        return None
    times = [(place, found) for place in range(len(run)) if (found := _moment(run, place)) is not None]
    if not times:
        return None
    time, found = next(((place, one) for name in TIMES for place, one in times if run[place].name == name), times[0])
    number = _number_place(run, time)
    return None if number is None else _Head(run, found, time, number)


def _moment(run: list[_Field], place: int) -> Moment | None:
    """The date in a field; Windows Server 2003 has the time of day in the next one."""
    value = run[place].value
    if not value[:1].isdigit() and value[:1] not in ("\u200e", "\u200f"):
        return None
    more = run[place + 1].value if place + 1 < len(run) else ""
    return moment(value) or moment(f"{value[:20]} {more[:20]}")


def _number_place(run: list[_Field], time: int) -> int | None:
    """Where the id stands: by its name, else the first number behind the date."""
    numbers = [place for place, field in enumerate(run) if number_of(field.value) is not None]
    named = [place for name in NUMBERS for place in numbers if run[place].name == name]
    return next((place for place in (*named, *(place for place in numbers if place > time))), None)


# --- from an event to what is known of it ---


def _row(head: _Head, body: list[str]) -> Row | None:
    number = number_of(head.fields[head.number].value)
    provider = _provider(head.fields) or _of_services(head.fields, number)
    if provider is None or number is None:
        return None
    return Row(provider, number, head.moment, _message(head, body)[:MAX_MESSAGE])


def _provider(fields: list[_Field]) -> str | None:
    by_name = [field.value for name in PROVIDERS for field in fields if field.name == name]
    return next((value for value in (*by_name, *(field.value for field in fields)) if provider_called(value)), None)


def _of_services(fields: list[_Field], number: int | None) -> str | None:
    """The service manager, where an event of the System log without a source has one of its ids."""
    in_system = any(field.name in _LOGS and field.value.lower() == _SYSTEM for field in fields)
    is_its = number is not None and number in _OF_SERVICES and tells(SCM, number)
    return SCM if in_system and is_its else None


def _message(head: _Head, body: list[str]) -> str:
    fields = head.fields
    place = next((place for name in MESSAGES for place, field in enumerate(fields) if field.name == name), None)
    if place is not None and fields[place].value and place < len(fields) - 1:
        return fields[place].value
    place = _message_place(head) if place is None else place
    words = [fields[place].value, *(f"{field.label}: {field.value}" for field in fields[place + 1 :]), *body]
    # Scripts set a ruler below each event.
    return " ".join(word for word in words if _WORD.search(word))


def _message_place(head: _Head) -> int:
    """Where the message begins: at a label without a value, the keywords' left out, which often have none either; else in the last line."""
    indent = head.fields[head.number].indent
    empty = [place for place, field in enumerate(head.fields) if place > head.number and not field.value and field.indent == indent]
    far = [place for place in empty if place >= head.number + _BEFORE_MESSAGE]
    return (far or empty[-1:] or [len(head.fields) - 1])[0]
