# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Readers of the logs Windows writes while it services itself: what in them is a failure, and what is noise.

They make observations and decide nothing: what cures a failure is for `states`. All patterns are linear in the length of a
line, and lines are cut before any pattern sees them.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

from .observation import Observation
from .readers.compat import compat, is_compat
from .readers.configmgr import configmgr, is_cmtrace
from .readers.console import console, is_console
from .readers.event_columns import event_columns, is_event_columns
from .readers.event_json import event_json, is_event_json
from .readers.event_table import event_csv, event_rows, is_event_csv, is_event_rows
from .readers.event_text import event_text, is_event_text
from .readers.event_xml import event_xml, is_event_xml
from .readers.events import event_observation, service_key
from .readers.records import MAX_LINE, Collector, clean, decode, stamp_of
from .readers.records import guid_of as guid
from .readers.records import kb_of as kb
from .readers.reporting import REPORT, REPORT_TIME, is_reporting, report, report_time, reporting
from .readers.servicing import Servicing, is_servicing, servicing
from .readers.setup import SetupLog, is_device_setup, is_setup, nothing, setup
from .readers.setupdiag import is_setupdiag, setupdiag
from .readers.stack import DATED
from .readers.tool_result import is_tool_result, tool_result
from .readers.update_log import is_update_log, wulog
from .readers.update_screen import is_update_screen, update_screen
from .sections import LogKind

__all__ = [
    "TAIL_BYTES", "clean", "decode", "event_observation", "guid", "kb", "kind_of", "read", "read_lines", "service_key", "understood",
]  # fmt: skip

# Of a file that is larger the end alone is read: 4 s and 250 MB of a controller are enough for one explanation.
TAIL_BYTES = 20 * 1024 * 1024


def read(data: bytes, name: str = "", zone_offset_s: int | None = None) -> list[Observation]:
    """Read a whole log, or the tail of one, recognised by its content.

    Never raises, whatever the bytes are; rubbish gives nothing. Takes time linear in the length.

    Args:
        data: the file as it is (callers pass at most the last TAIL_BYTES).
        name: the file's name. It keeps the order of lines apart from another file's, and helps where the content says nothing.
        zone_offset_s: the host's local time minus UTC in seconds, for logs that write local time.

    Returns:
        What was seen, in the order of when each was seen last.
    """
    return understood(data, name, zone_offset_s)[1]


def _text_of(data: bytes) -> str:
    """The text of a log, without what a quotation or an editor has set before every line: a mark, or the number of the line."""
    text = _as_written(decode(bytes(data[-TAIL_BYTES:])))
    if len(text) > _MOST_QUOTED:
        return text
    lines = text.split("\n")
    marks = [_MARK.match(line) for line in lines if line.strip()]
    if len(marks) < _FEWEST_MARKED or None in marks:
        return text
    numbers = [int(mark.group(1)) for mark in marks if mark and mark.group(1)]
    if numbers and (len(numbers) < len(marks) or any(after <= before for before, after in pairwise(numbers))):
        # `10:00:01` is a time.
        return text
    return "\n".join(_MARK.sub("", line, count=1) for line in lines)


def understood(data: bytes, name: str = "", zone_offset_s: int | None = None) -> tuple[str | None, list[Observation]]:
    """What `kind_of` and `read` say, for who wants both: a large log is decoded and recognised once."""
    text = _text_of(data)
    kind = _kind(text, name)
    if kind is None:
        return None, []
    out = Collector(zone_offset_s, _channel(kind.name, name))
    kind.read(text, out)
    seen = out.result()
    if len(text) <= _MOST_QUOTED and kind.name in _QUOTED:
        seen = _quoted_beside(text, name, kind, seen, zone_offset_s)
    return kind.name, seen


def _quoted_beside(text: str, name: str, first: _Kind, seen: list[Observation], zone_offset_s: int | None) -> list[Observation]:
    """What was seen, and what other readers find in a short text, where it is more than that."""
    done = {first.name} | _INSIDE.get(first.name, set())
    for kind in _KINDS:
        if kind.name in done or kind.name not in _QUOTED or not kind.recognises(text, name):
            continue
        out = Collector(zone_offset_s, _channel(kind.name, name))
        kind.read(text, out)
        found = [one for one in out.result() if one.ok or _is_news(one, seen)]
        named = [one for one in out.result() if one.kb and one not in found]
        seen = [_with_name(one, named) for one in seen]
        if not all(one.ok for one in found):
            seen += found
    return seen


def _is_news(one: Observation, seen: list[Observation]) -> bool:
    """Whether a failure is none of those that were seen: another code, or another condition."""
    if one.code is None:
        return one.marker not in {other.marker for other in seen}
    return not any(one.code == other.code or one.code in other.related for other in seen)


def _with_name(one: Observation, named: list[Observation]) -> Observation:
    """A failure with the update that the same text names beside its code; what it names by itself is the nearer cause."""
    if one.code is None or one.kb or one.update:
        return one
    other = next((other for other in named if (other.code, other.layer) == (one.code, one.layer)), None)
    if other is None:
        return one
    if one.name:
        return replace(one, name=f"{one.name} of {other.kb}")
    return replace(one, kb=other.kb, title=other.title)


def kind_of(data: bytes, name: str = "") -> str | None:
    """Name what `read` takes a log for, None for what is no log that is known.

    One of the names in `_KINDS`: `events`, `wulog`, `reporting`, `setup`, `device setup` (setupact.log without a set-up of Windows in it),
    `setupdiag`, `compat`, `console`, `servicing` (CBS and DISM) ...
    """
    kind = _kind(_text_of(data), name)
    return None if kind is None else kind.name


class _Kind(NamedTuple):
    """A family of logs: its name in results, how it is recognised by a sample of its text and its file's name, and its reader."""

    name: str
    recognises: Callable[[str, str], bool]
    read: Callable[[str, Collector], None]


# The first that recognises a text reads it.
_KINDS = (
    _Kind("events", is_event_xml, event_xml),
    _Kind("wulog", is_update_log, wulog),
    _Kind("reporting", is_reporting, reporting),
    _Kind("cmtrace", is_cmtrace, configmgr),
    _Kind("events as JSON", is_event_json, event_json),
    _Kind("events as columns", is_event_columns, event_columns),
    _Kind("events as rows", is_event_rows, event_rows),
    _Kind("events as CSV", is_event_csv, event_csv),
    _Kind("events as text", is_event_text, event_text),
    _Kind("setupdiag", is_setupdiag, setupdiag),
    _Kind("compat", is_compat, compat),
    _Kind("device setup", is_device_setup, nothing),
    _Kind("setup", is_setup, setup),
    # A paste may hold lines of CBS.log between what programs wrote to the console.
    _Kind("console", is_console, console),
    _Kind("servicing", is_servicing, servicing),
    _Kind("update history", is_update_screen, update_screen),
    _Kind("tool", is_tool_result, tool_result),
)
# A ticket quotes several of these, one below the other; what writes one of them writes nothing that looks like another.
_QUOTED = ("events", "wulog", "reporting", "cmtrace", "events as text", "console", "servicing", "update history", "tool")
# What a reader reads by itself of another's lines.
_INSIDE = {"console": {"servicing"}}
_MOST_QUOTED = 60_000
# What begins a record of events or of the ConfigMgr client.
_ESCAPED = re.compile(r"&lt;(?:Event[ &]|!\[LOG\[)")
_MARK = re.compile(r"[ \t]{0,8}(?:>[ \t]?|([0-9]{1,6})[:|][ \t]?)")
_FEWEST_MARKED = 2
_SAMPLE_HEAD, _SAMPLE_TAIL = 300_000, 100_000


# Who describes the form of logs gives an example of each line: `YYYY-MM-DD HH:MM:SS, <Level> <Component>`.
_DESCRIBED = re.compile(r"\bYYYY[-/.]MM[-/.]DD[ T]HH:MM:SS")


def _kind(text: str, name: str) -> _Kind | None:
    sample = text
    if len(text) <= _MOST_QUOTED and _DESCRIBED.search(text):
        return None
    if len(text) > _SAMPLE_HEAD + _SAMPLE_TAIL:
        sample = f"{text[:_SAMPLE_HEAD]}\n{text[-_SAMPLE_TAIL:]}"
    return next((kind for kind in _KINDS if kind.recognises(sample, name)), None)


def _as_written(text: str) -> str:
    """A text without the entities that a page or a form has made of its brackets; data within events have some of their own."""
    if len(text) > _MOST_QUOTED or _ESCAPED.search(text) is None:
        return text
    return html.unescape(text)


def _channel(kind: str, name: str) -> str:
    """What the places of one log count in; another file of the kind is another channel."""
    return f"{kind}:{name}" if name else kind


def read_lines(kind: str, groups: Iterable[LogKind], zone_offset_s: int | None = None, name: str = "") -> list[Observation]:
    """Read the groups of a log that the host filtered.

    Args:
        kind: `cbs`, `setup`, `dism` or `reporting`; with `name` the channel in which the order of groups counts.
        groups: in the order of their last lines.
        zone_offset_s: as in `read`.
        name: the log's path, where there is more than one of a kind.
    """
    out = Collector(zone_offset_s, _channel(kind, name))
    if kind == "reporting":
        for place, group in enumerate(groups):
            _report_group(place, group, out)
        return out.result()
    stream = SetupLog(out, host=True) if kind == "setup" else Servicing(out, host=True)
    for group in groups:
        # The comma that follows the time where it is a whole line.
        first = stamp_of(DATED.match(f"{(group.first or '')[:MAX_LINE]}, "))
        stream.line(group.last[:MAX_LINE], max(group.count, 1), first)
    stream.close()
    return out.result()


_NO_ID = "00000000-0000-0000-0000-000000000000"


def _report_group(place: int, group: LogKind, out: Collector) -> None:
    line = group.last[:MAX_LINE]
    if line.startswith("\t"):
        # A host sends rows without their own id.
        line = f"{{{_NO_ID}}}{line}"
    match = REPORT.search(line)
    seen = match and report(match, "reporting")
    if seen is None:
        return
    first = REPORT_TIME.search((group.first or "")[:MAX_LINE])
    began = first and report_time(*first.groups())
    out.add(replace(seen, place=place, channel=out.channel, count=max(group.count, 1), first=began))
