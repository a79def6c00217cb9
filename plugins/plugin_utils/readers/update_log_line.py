# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: the form that lines of WindowsUpdate.log have, old and new, and the lists of updates in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..observation import Observation
from .dates import DATE, Fields, moment, order_of
from .records import part
from .told import Told

GUID = r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}"

# The separators are those of the culture of whoever wrote the file: `2024.05.06 10.00.01.1000000`. Quoted lines begin with `> `.
_CLOCK = r"([0-9]{1,2})[:.]([0-9]{2})[:.]([0-9]{2})(?:[:.,]([0-9]{3,7}))?(?: ?([AaPp])\.? ?[Mm]\b\.?)?"
_START = rf"\ufeff?[ \t>|#*-]{{0,8}}{DATE}[ \t]{{1,4}}{_CLOCK}"
_NUMBERS = r"[ \t]{1,8}([0-9]{1,6})[ \t]{1,8}([0-9a-fA-F]{1,6})[ \t]{1,8}"
_HEAD = re.compile(rf"{_START}{_NUMBERS}([A-Za-z]\w{{1,29}})[ \t]{{1,24}}(.*)", re.S)
_HEADS = re.compile(rf"^{_START}{_NUMBERS}[A-Za-z]\w", re.M)
# What a ticket quotes of the old form often has lost date, process and thread: `Agent   * WARNING: Exit code = 0x80244010`.
_COMPONENTS = "Agent|AU|PT|Handler|Misc|Setup|COMAPI|DnldMgr"
# Or a word stands in the place of the date (`Date Time 788 ee4 PT WARNING: ...`), or nothing but process and thread are left.
_NO_DATE = r"[^\d\n]{0,40}[0-9]{1,6}[ \t]{1,8}[0-9a-fA-F]{1,6}[ \t]{1,8}"
_UNDATED = re.compile(
    rf"(?:{_NO_DATE}|[ \t>|]{{0,8}})({_COMPONENTS})[ \t]{{1,8}}(?:--[ \t]{{1,4}}(?=WARNING|FATAL))?((?:[*#<>:-]|WARNING|FATAL).*)", re.S
)
# A trace that was formatted by hand: TIME PROCESS THREAD `uhwinsetup_cpp776 [Handler] MESSAGE`, the time in any form, or a word for it.
_TRACED = re.compile(
    r"^[^\r\n]{0,60}?[ \t]([0-9]{1,6})[ \t]{1,8}([0-9]{1,6})[ \t]{1,8}[a-z]\w{2,60}_(?:cpp|c|h)[0-9]{1,6}[ \t]{1,8}"
    r"\[([A-Z][A-Za-z]{1,29})\][ \t]{1,8}(.*)",
    re.M,
)
# These say by themselves whose they are.
_BARE = re.compile(
    r"[ \t>|]{0,8}(?:[*#\u2022-]{1,2}[ \t]{1,4})?(?:WARNING: )?"
    r"((?:WU client failed |Failed to find updates with error code |SyncUpdates failure, error = ).*)",
    re.S,
)
# Of the new form: process and thread may be left, and a page sets a mark before each star.
_NEW_UNDATED = (
    r"[ \t>|#-]{0,8}(?:[0-9a-f]{1,6}[ \t]{1,8}[0-9a-f]{1,6}[ \t]{1,8})?(?:([A-Z][A-Za-z]{1,29})[ \t]{1,24})?"
    r"(\\?\*FAILED\\?\* \[8[0-9a-f]{7}\] "
)
_NEW_BARE = re.compile(rf"{_NEW_UNDATED}.*)", re.S | re.I)
# Of the log of the update orchestrator (USO), which hands on what the agent answered.
_ORCHESTRATOR = re.compile(rf"[^\n]{{0,120}}?(\*Download finished\* -> \[Results\] : \{{{GUID}\}}:.*)", re.S)
_UNDATED_SIGN = re.compile(
    rf"^{_NEW_UNDATED}(?:Send request|WinHttp: Send|Library download|SyncUpdates_W|Error occurred while|Background download))|"
    r"^[ \t>|*#\u2022-]{0,8}(?:WARNING: )?"
    r"(?:WU client failed (?:search|install|download)ing \w{2,12} .{0,20}with error 0x8|SyncUpdates failure, error = 0x8)"
    r"|(?:^[ \t>|]{0,8}|[ \t])(?:Agent|AU|PT)[ \t]{1,8}(?:--[ \t]{1,4}|[*#][ \t]{1,4})?WARNING: "
    r"(?:WU client failed |Exit code = 0x8|Failed to (?:synchronize|find updates)|(?:Search|Install|Download) callback failed)"
    rf"|^{_NO_DATE}(?:{_COMPONENTS})[ \t]{{1,8}}(?:[*#-]{{1,2}}[ \t]{{1,4}})?(?:WARNING|FATAL): "
    rf"|\*Download finished\* -> \[Results\] : \{{{GUID}\}}:",
    re.M | re.I,
)
# A page has lost the ends of these lines, too.
_UNDATED_RUN_ON = re.compile(r"(?<=[^\s>|])[ \t]{1,8}(?=(?:Agent|AU|PT)[ \t]{1,8}(?:[*#][ \t]{1,4})?(?:WARNING: |FATAL: |\*{2}|>>|#{2}))")
# A page or a ticket has lost the ends of lines: then the END of a search stood on the line of its error, and looked like a success.
RUN_ON = re.compile(
    r"(?<=[^\s>|\ufeff])[ \t]{0,8}(?=[0-9]{4}[-/][0-9]{2}[-/][0-9]{2}[ \t]{1,4}[0-9]{2}:[0-9]{2}:[0-9]{2}[:.][0-9]{3,7}"
    r"[ \t]{1,8}[0-9]{1,6}[ \t]{1,8}[0-9a-fA-F]{1,6}[ \t]{1,8}[A-Z][A-Za-z])"
)
# Lines of Windows Vista to 8.1 and of its servers have milliseconds; Get-WindowsUpdateLog writes seven digits.
_OLD_DIGITS = 3

_TITLE = re.compile(r"^[ *]{0,12}Title = (?!<NULL>)(.{3,300})")
_UPDATE = re.compile(rf"^[ *]{{0,12}}UpdateId = \{{?({GUID})\}}?\.[0-9]{{1,6}}")
_PART = re.compile(rf"^[ *]{{0,24}}\{{?({GUID})\}}?\.[0-9]{{1,6}}\s*$")
# What a line ends in that may name a part of a bundle: a revision (`.201`).
PART = re.compile(r"\.[0-9]{1,4}[ \t\r]{0,8}$", re.M)
_SERVICE = re.compile(rf"ServiceI[Dd] = \{{({GUID})\}}")
_MOST_THREADS = 1000


@dataclass(frozen=True)
class AgentLine:
    """A line of WindowsUpdate.log.

    Attributes:
        at: its time, as the machine's clock showed it; None where the order of day and month is not known.
        process, thread: their ids: lines of several operations stand among each other.
        is_old: whether it has the old form.
    """

    place: int
    at: int | None
    process: str
    thread: str
    component: str
    message: str
    is_old: bool

    @property
    def key(self) -> tuple[str, str]:
        """What keeps operations apart that run side by side."""
        return self.process, self.thread

    def seen(self, layer: str, channel: str | None, update: str | None = None, **fields: Any) -> Observation:
        """An observation of the line."""
        return Observation(
            "wulog",
            layer,
            time=self.at,
            place=self.place,
            channel=channel,
            update=update.lower() if update else None,
            line=f"{self.component} {self.message}",
            **fields,
        )


def is_update_log(sample: str, _name: str) -> bool:
    """Whether it is WindowsUpdate.log: date, time, process, thread and component begin its lines, or what is quoted of them."""
    return any(sign.search(sample) for sign in (_HEADS, _UNDATED_SIGN, RUN_ON, _TRACED))


def on_lines_of_their_own(text: str) -> str:
    """Lines without dates that a page has joined, each for itself again."""
    if _HEADS.search(text) is not None:
        return text
    return _UNDATED_RUN_ON.sub("\n", text)


class Lines:
    """Reads lines of one file."""

    def __init__(self, text: str) -> None:
        self._order = order_of(_dates(text))
        self._is_undated = _HEADS.search(text) is None

    def read(self, place: int, raw: str) -> AgentLine | None:
        """A line, None where it has not the form of one."""
        head = _HEAD.match(raw.rstrip("\r"))
        if head is None:
            return self._undated(place, raw.rstrip("\r"))
        *_time, process, thread, component, message = head.groups()
        digits = head.group(7) or ""
        date: Fields = (head.group(1), head.group(2), head.group(3))
        clock: Fields = (head.group(4), head.group(5), head.group(6))
        return AgentLine(
            place=place,
            at=moment(date, clock, head.group(8), self._order),
            process=process,
            thread=thread.lower(),
            component=component,
            message=message,
            is_old=len(digits) <= _OLD_DIGITS,
        )

    def _undated(self, place: int, raw: str) -> AgentLine | None:
        """A line that was quoted without its time, in a text that has no other."""
        if not self._is_undated:
            return None
        traced = _TRACED.match(raw)
        if traced is not None:
            process, thread, component, message = traced.groups()
            return AgentLine(place, None, process, thread, component, message, is_old=True)
        new = _NEW_BARE.match(raw)
        if new is not None:
            return AgentLine(place, None, "", "", new.group(1) or "Agent", new.group(2).replace("\\*", "*"), is_old=False)
        result = _ORCHESTRATOR.match(raw)
        if result is not None:
            return AgentLine(place, None, "", "", "USO", result.group(1), is_old=False)
        found = _UNDATED.match(raw)
        if found is not None:
            return AgentLine(place, None, "", "", found.group(1), found.group(2), is_old=True)
        bare = _BARE.match(raw)
        return bare and AgentLine(place, None, "", "", "Agent", bare.group(1), is_old=True)


def _dates(text: str) -> Iterator[Fields]:
    for head in _HEADS.finditer(text):
        yield head.group(1), head.group(2), head.group(3)


class Updates:
    """What the lines of a thread name: the titles, ids and parts of updates, and the service that is asked."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._title: dict[tuple[str, str], str] = {}
        self._update: dict[tuple[str, str], str] = {}
        self._services: dict[tuple[str, str], str] = {}

    def take(self, line: AgentLine) -> str | None:
        """Note what a line names; the id of an update that it lists."""
        if "ServiceI" in line.message:
            self._take_service(line)
            return None
        title = part(_TITLE.search(line.message))
        if title is not None:
            _put(self._title, line.key, title)
            return None
        update = part(_UPDATE.search(line.message))
        if update is not None:
            _put(self._update, line.key, update)
            self._told.name(update, self._title.pop(line.key, None))
            return update
        self._told.bundle(part(_PART.search(line.message)), self._update.get(line.key))
        return None

    def _take_service(self, line: AgentLine) -> None:
        service = part(_SERVICE.search(line.message))
        if service is not None and line.component in ("Agent", "PT"):
            _put(self._services, line.key, service.lower())

    def service(self, line: AgentLine) -> str | None:
        """The service that the search on a line's thread asked."""
        return self._services.pop(line.key, None)


def _put(known: dict[tuple[str, str], str], key: tuple[str, str], value: str) -> None:
    if len(known) < _MOST_THREADS or key in known:
        known[key] = value
