# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: the forms of CMTrace in which ConfigMgr writes its logs, and others after it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .dates import DATE, MONTH_FIRST, Fields, moment, order_of
from .records import MAX_LINE, each_line, part

_OPEN, _CLOSE = "<![LOG[", "]LOG]!>"
# Behind the text of a record; the bias is in minutes, and UTC is the local time plus it. Others than ConfigMgr leave it out.
_TIME = re.compile(r'\btime="([0-9]{1,2}):([0-9]{2}):([0-9]{2})(?:\.[0-9]{1,7})?([+-]{1,2}[0-9]{1,4})?"')
_DATE = re.compile(rf'\bdate="{DATE}"')
_COMPONENT = re.compile(r'\bcomponent="([^"<>]{0,60})"')
_MAX_ATTRIBUTES = 600
# The older form: `text  $$<Component><MM-dd-yyyy HH:mm:ss.fff+240><thread=1234 (0x4D2)>`.
_OLD = re.compile(
    rf"^(.{{0,1800}}?)\s{{0,8}}\$\$<([\w .]{{1,60}})>"
    rf"<(?:{DATE} ([0-9]{{1,2}}):([0-9]{{2}}):([0-9]{{2}})(?:\.[0-9]{{1,7}})?([+-]{{1,2}}[0-9]{{1,4}})?"
    r"|[^<>]{1,80})><thread=[^<>]{1,40}>"
)
# Rows copied from the window of CMTrace: text, component, date, time, thread.
_ROW = re.compile(
    rf"^(.{{0,1800}}?)[ \t]{{1,8}}([A-Za-z_]{{3,40}})[ \t]{{1,8}}{DATE}[ \t]{{1,4}}([0-9]{{1,2}})[:.]([0-9]{{2}})[:.]([0-9]{{2}})"
    r"(?:\.[0-9]{1,7})?(?: ?([AaPp])\.? ?[Mm]\.?)?[ \t]{1,8}[0-9]{1,6} \(0x[0-9A-Fa-f]{1,8}\)\s{0,8}$"
)
_ROW_SIGN = re.compile(r"[ \t][0-9]{1,6} \(0x[0-9A-Fa-f]{1,8}\)[ \t\r]{0,8}(?:\n|$)")
_MAX_BIAS = 900
# The column of messages alone, as it is copied into a ticket; some have the component behind it, or the log's name in brackets.
_BARE = re.compile(
    r"[ \t>*|]{0,12}(\S.{2,1800}?)(?:[ \t]{1,8}(WUAHandler|Updates(?:DeploymentAgent|Handler|Store)|ScanAgent|CcmExec)"
    r"|[ \t]{1,4}\(([A-Za-z]{3,30})\.log\))?[ \t\r]{0,8}$"
)
# Of a site server: wsyncmgr.log.
SYNC_MANAGER = "SMS_WSUS_SYNC_MANAGER"
# By what a message begins with it is known whose it is.
_WHOSE = (
    (re.compile(r"OnSearchComplete - Failed to end search job\. Error = 0x[0-9A-Fa-f]{8}"), "WUAHandler"),
    (re.compile(r"Scan failed with error ?= ?0x[0-9A-Fa-f]{8}"), "WUAHandler"),
    (re.compile(r"Group policy settings were overwritten by a higher authority \("), "WUAHandler"),
    (re.compile(r"Failed to Add Update Source for WUAgent of type \("), "WUAHandler"),
    (re.compile(r"HResult: 0x[0-9A-Fa-f]{8} Context: uec|Received 'SucceededWithErrors' code"), "WUAHandler"),
    (re.compile(r"WU Agent reported the following [0-9]{1,4} warning"), "WUAHandler"),
    (re.compile(r"Failed to download updates to the WUAgent datastore\. Error = 0x[0-9A-Fa-f]{8}"), "WUAHandler"),
    (re.compile(r"Failed to initiate install of WSUS updates ?, error ?= ?0x", re.I), "UpdatesHandler"),
    (re.compile(r"Failed to start batch install through WSUS Install handler ?, error ?= ?0x", re.I), "UpdatesHandler"),
    (re.compile(r"InstallUpdatesInBatch failed with error ?0x", re.I), "UpdatesHandler"),
    (re.compile(r"Failed to get final installation result of updates\. Error = 0x"), "WUAHandler"),
    (re.compile(r"Update [0-9]{1,4} \([0-9A-Fa-f-]{36}\) finished installing \(0x"), "WUAHandler"),
    (re.compile(r"(?:ScanJob\(\{?[0-9A-Fa-f-]{36}\}?\): )?CScanJob::\w{3,30}[ -]"), "ScanAgent"),
    (re.compile(r"Job error \(0x[0-9A-Fa-f]{8}\) received for assignment \("), "UpdatesDeploymentAgent"),
    (re.compile(r"Update \(Site_.{1,120}?\) Progress: Status = ci"), "UpdatesDeploymentAgent"),
    (re.compile(r"WSUS update \([0-9A-Fa-f-]{36}\) installation result = 0x"), "UpdatesHandler"),
    (re.compile(r"(?:Synchronizing|Failed to sync) update [0-9A-Fa-f-]{36}(?:\. Error: | - )"), SYNC_MANAGER),
    (re.compile(r"Sync failed: .{3,300} Source: \w|Sync succeeded\. Setting sync alert"), SYNC_MANAGER),
)
# A line that somebody quotes of the log that he names. A page that lists several explains them.
_ALONE = re.compile(
    r"[ \t>*|]{0,12}(?:OnSearchComplete - Failed to end search job\. Error|Scan failed with error"
    r"|Failed to download updates to the WUAgent datastore\. Error"
    r"|CScanJob::\w{3,30}[ -]{1,3}Failed at \w{3,30}, Error) ?= ?(0x8[0-9A-Fa-f]{7})[.\s]{0,8}$"
)
_LOG_NAMED = re.compile(r"WUAHandler|ScanAgent", re.I)
# Of a page that quotes a line most lines are prose.
_BARE_SHARE, _MOST_BARE = 0.3, 400


@dataclass(frozen=True)
class _Raw:
    """A record as it stands."""

    text: str
    component: str
    date: Fields | None
    clock: Fields | None
    half: str | None = None
    bias: str | None = None


@dataclass(frozen=True)
class Record:
    """A record: its text, whose it is, when, and whether that is local time of an unknown zone."""

    place: int
    text: str
    component: str
    time: int | None
    local: bool


def is_cmtrace(sample: str, name: str) -> bool:
    """Whether its records have one of the forms of CMTrace, or are what was copied of them."""
    return _has_form(sample) or _is_bare(sample, name)


def _is_bare(text: str, _name: str) -> bool:
    """Whether it is the column of messages alone: one that is known, and most lines known by what they begin with or end in."""
    lines = [line for line in each_line(text[: _MOST_BARE * 200]) if line.strip()][:_MOST_BARE]
    if not any(_whose(line.lstrip(" \t>*|")) for line in lines):
        return False
    if len({part(found) for line in lines if (found := _ALONE.match(line))}) == 1 and _LOG_NAMED.search(text):
        return True
    return sum(bool(_bare(line)[1]) for line in lines) >= len(lines) * _BARE_SHARE


def _whose(text: str) -> str:
    return next((component for pattern, component in _WHOSE if pattern.match(text)), "")


def _bare(line: str) -> tuple[str, str]:
    """The message of a line, and whose it is; '' where that is not known."""
    found = _BARE.match(line)
    if found is None:
        return "", ""
    return found.group(1), found.group(2) or _whose(found.group(1)) or found.group(3) or ""


def _has_form(sample: str) -> bool:
    if _CLOSE in sample and ("<time=" in sample or _OPEN in sample):
        return True
    if "$$<" in sample and "><thread=" in sample:
        return any(_OLD.match(line) for line in _candidates(sample, "$$<"))
    return _ROW_SIGN.search(sample) is not None and any(_ROW.match(line) for line in _candidates(sample, " (0x"))


def _candidates(text: str, sign: str) -> list[str]:
    """A few lines that have a sign."""
    found: list[str] = []
    for line in each_line(text):
        if sign in line:
            found.append(line)
        if len(found) >= 50:
            break
    return found


def _raw_records(text: str) -> Iterator[_Raw]:
    if _CLOSE in text:
        yield from _marked(text)
        return
    if not _has_form(text):
        yield from _bare_records(text)
        return
    for line in each_line(text):
        found = _OLD.match(line) if "$$<" in line else None
        if found is not None:
            yield _of_line(found, half=None, bias=found.group(9))
            continue
        found = _ROW.match(line) if " (0x" in line else None
        if found is not None:
            yield _of_line(found, half=found.group(9), bias=None)


def _bare_records(text: str) -> Iterator[_Raw]:
    for line in each_line(text):
        message, component = _bare(line)
        if component:
            yield _Raw(message, component, None, None)


def _of_line(found: re.Match[str], half: str | None, bias: str | None) -> _Raw:
    date = clock = None
    if found.group(3) is not None:
        date = (found.group(3), found.group(4), found.group(5))
        clock = (found.group(6), found.group(7), found.group(8))
    return _Raw(found.group(1), found.group(2), date, clock, half, bias)


def _marked(text: str) -> Iterator[_Raw]:
    """Records between marks, of one line or more; the first and the last may be cut."""
    for piece in _pieces(text):
        end = piece.find(_CLOSE)
        if end < 0:
            continue
        attributes = piece[end : end + _MAX_ATTRIBUTES]
        date, clock = _DATE.search(attributes), _TIME.search(attributes)
        yield _Raw(
            text=piece[: min(end, MAX_LINE)],
            component=part(_COMPONENT.search(attributes)) or "",
            date=date and (date.group(1), date.group(2), date.group(3)),
            clock=clock and (clock.group(1), clock.group(2), clock.group(3)),
            bias=part(clock, 4),
        )


def _pieces(text: str) -> Iterator[str]:
    """What stands from one opening mark to the next, without the mark."""
    start = 0
    while start <= len(text):
        end = text.find(_OPEN, start)
        if end < 0:
            end = len(text)
        yield text[start:end]
        start = end + len(_OPEN)


def records(text: str) -> Iterator[Record]:
    order = order_of(raw.date for raw in _raw_records(text) if raw.date is not None)
    if order is None and (_CLOSE in text or "$$<" in text):
        # ConfigMgr itself writes the month first; only what a person copied follows a culture.
        order = MONTH_FIRST
    for place, raw in enumerate(_raw_records(text)):
        time = moment(raw.date, raw.clock, raw.half, order) if raw.date and raw.clock else None
        bias = _bias(raw.bias)
        if time is not None and bias is not None:
            time += bias * 60
        yield Record(place, raw.text, raw.component, time, local=bias is None)


def _bias(text: str | None) -> int | None:
    """Minutes from local time to UTC, None where it is not told."""
    if not text:
        return None
    # Some write `+-60`.
    minutes = int(text[-4:].lstrip("+-") or "0")
    if minutes > _MAX_BIAS:
        return None
    return -minutes if "-" in text else minutes
