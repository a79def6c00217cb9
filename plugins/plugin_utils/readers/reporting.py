# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: ReportingEvents.log, and its rows inside of WindowsUpdate.log."""

from __future__ import annotations

import re
from itertools import islice

from .. import hresult
from ..observation import CANCELLED, FAILED, OK, STARTED, Observation, changed
from .records import (
    Collector,
    clean,
    failure_or_none,
    guid_of,
    is_failure,
    kb_of,
    outcome_of_failure,
    stamp,
    stamp_of,
    title_of,
)

REPORT = re.compile(
    r"\{[0-9A-Fa-f-]{36}\}"
    r"\s{1,8}([0-9]{4}-[0-9]{2}-[0-9]{2}) ([0-9]{2}:[0-9]{2}:[0-9]{2}):[0-9]{3}([+-][0-9]{4})\s{1,8}[0-9]{1,3}\s{1,8}"
    r"([0-9]{1,4})(?: \[([A-Za-z_()]{1,60})\])?\s{1,8}[0-9]{1,5}\s{1,8}\{([0-9A-Fa-f-]{36})\}"
    r"\s{1,8}[0-9]{1,10}\s{1,8}"
    r"([0-9A-Fa-f]{1,8})\b([^\r\n]{0,600})"
)
# Rows that a program has written anew: without the event's number and zone, with another form of code, and words for a number.
_REWRITTEN = re.compile(
    r"^\ufeff?\{[0-9A-Fa-f-]{36}\}\t([^\t\r\n]{0,40})\t(?:[^\t\r\n]{0,60}\t){2,4}\{([0-9A-Fa-f-]{36})\}\t0x([0-9A-Fa-f]{8})\t"
    r"([^\t\r\n]{0,80})\t(Success|Failure)\t([^\t\r\n]{1,60})\t([^\r\n]{0,600})",
    re.M,
)
_LOCAL_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}) ([0-9]{2}:[0-9]{2}:[0-9]{2})")
# The time of a row, alone or in front of the rest of it.
REPORT_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}) ([0-9]{2}:[0-9]{2}:[0-9]{2}):[0-9]{3}([+-][0-9]{4})")
# Summer time.
_SUMMER_S = 3600
# What stands before a row in WindowsUpdate.log, whose reader takes it.
_IN_LOG = "REPORT EVENT: "
_REPORT_WORDS = (("DETECT", "scan"), ("DOWNLOAD", "download"), ("INSTALL", "install"), ("SELFUPDATE", "scan"))
_REPORT_RANGES = ((range(140, 160), "scan"), (range(160, 180), "download"), (range(180, 210), "install"))
# 190 tells of the same installation again when the host has started.
_OWES_RESTART = "AGENT_INSTALLING_RESTART_REQUIRED"
# Numbers whose name a build does not know come as [(null)]; older ones wrote no names at all.
_NAME_OF = {
    147: "AGENT_DETECTION_FINISHED",
    148: "AGENT_DETECTION_FAILED",
    161: "AGENT_DOWNLOAD_FAILED",
    162: "AGENT_DOWNLOAD_SUCCEEDED",
    163: "AGENT_DOWNLOAD_CANCELED",
    167: "AGENT_DOWNLOAD_STARTED",
    181: "AGENT_INSTALLING_STARTED",
    182: "AGENT_INSTALLING_FAILED",
    183: "AGENT_INSTALLING_SUCCEEDED",
    # Of Automatic Updates up to Windows 8.1.
    190: "AGENT_INSTALLING_SUCCEEDED",
    191: _OWES_RESTART,
    195: "AGENT_INSTALLING_FAILED",
}
_REPORT_OK = ("FINISHED", "SUCCEEDED", "SUCCEEDED_REBOOT_REQUIRED")
# Rows whose columns were flattened to blanks, as in excerpts on web pages.
_FLAT_COLUMNS = re.compile(r"\s{1,8}(\S.{0,79}?)\s{1,8}(?:Success|Failure)\s{1,8}(?:Software Synchronization|Content \w{1,20})\s{1,8}(.*)")
# Chinese sets no blanks around it, and a correlation vector (`y1zR9Wp8oEysRR2w.1.1.0`) is none.
_NUMBER = re.compile(r"(?<![A-Za-z0-9.])[0-9]{1,5}(?![A-Za-z0-9]|\.[0-9])")


def _report_layer(number: int, name: str) -> str | None:
    for word, layer in _REPORT_WORDS:
        if word in name:
            return layer
    return next((layer for numbers, layer in _REPORT_RANGES if number in numbers), None)


def report_time(date: str, clock: str, zone: str) -> int | None:
    """The moment of a row, which carries its own zone."""
    time = stamp(date, clock)
    return None if time is None else time - zone_seconds(zone)


def zone_seconds(zone: str) -> int:
    """How far `+0530` is ahead of UTC; `-0500` is west of Greenwich, where it is earlier."""
    return (int(zone[1:3]) * 3600 + int(zone[3:5]) * 60) * int(f"{zone[0]}1")


def _caller_and_message(rest: str) -> tuple[str | None, str]:
    """Who asked, and the message, from the columns after the code: caller, result, type, message, correlation."""
    columns = rest.split("\t")
    if len(columns) >= 5:
        return clean(columns[1], 80) or None, columns[4]
    flat = _FLAT_COLUMNS.match(rest)
    if flat is None:
        return None, ""
    return clean(flat.group(1), 80), flat.group(2)


def _outcome(name: str, layer: str, code: int) -> str | None:
    """How a row ended; None where it says neither."""
    if name.endswith("CANCELED"):
        # 163 says Success in its result column while the code says who stopped it.
        return CANCELLED
    if is_failure(code) or name.endswith("FAILED"):
        return outcome_of_failure(layer, code)
    if "UNINSTALL" in name or "SELFUPDATE" in name:
        # Neither an update that was taken away nor an agent that renewed itself proves an installation or a search.
        return None
    if name.endswith("STARTED") or name == _OWES_RESTART:
        return STARTED
    if name.endswith(_REPORT_OK):
        return OK
    return None


def _marker(name: str, layer: str, outcome: str, code: int) -> str | None:
    if name == _OWES_RESTART:
        return "restart_owed"
    if outcome != FAILED:
        return None
    if "UNINSTALL" in name:
        return "uninstall_failed"
    return None if is_failure(code) else f"{layer}_failed"


def report(match: re.Match[str], source: str) -> Observation | None:
    """A row of ReportingEvents.log, None where it says neither failure nor success."""
    date, clock, zone, number_text, name, guid, hex_code, rest = match.groups()
    number, name, code = int(number_text), (name or "").upper(), int(hex_code, 16)
    if name in ("", "(NULL)"):
        name = _NAME_OF.get(number, "")
    layer = _report_layer(number, name)
    if layer is None:
        return None
    outcome = _outcome(name, layer, code)
    if outcome is None:
        return None
    caller, message = _caller_and_message(rest)
    seen = Observation(
        source,
        layer,
        outcome,
        time=report_time(date, clock, zone),
        code=failure_or_none(code),
        marker=_marker(name, layer, outcome, code),
        caller=caller,
        line=f"{number} {name} {hresult.hex_of(code)}{rest}",
    )
    if layer == "scan":
        # Searches have the service that was asked, or zeros, where the others have the update.
        return changed(seen, service=guid_of(guid), found=_found(message, outcome))
    title = title_of(message)
    return changed(seen, update=guid_of(guid), title=title, kb=kb_of(title))


def _found(message: str, outcome: str) -> int | None:
    """How many updates a search found: the only number in its message, whatever the language."""
    numbers = _NUMBER.findall(message)
    if outcome != OK or len(numbers) != 1:
        return None
    return int(numbers[0])


def reporting(text: str, out: Collector) -> None:
    """Read ReportingEvents.log."""
    for place, match in enumerate(REPORT.finditer(text)):
        seen = report(match, "reporting")
        if seen is not None:
            out.add(changed(seen, place=place, channel=out.channel))
    if REPORT.search(text) is not None:
        return
    for place, row in enumerate(_REWRITTEN.finditer(text)):
        seen = _rewritten(row)
        if seen is not None:
            out.add(changed(seen, place=place, channel=out.channel), local=True)


def _rewritten(row: re.Match[str]) -> Observation | None:
    when, update, hex_code, caller, result, kind, message = row.groups()
    layer = next((layer for word, layer in _REPORT_WORDS if word in kind.upper()), "scan" if "SCAN" in kind.upper() else None)
    if layer is None:
        return None
    code, failed = int(hex_code, 16), result == "Failure" or is_failure(int(hex_code, 16))
    seen = Observation(
        "reporting",
        layer,
        outcome_of_failure(layer, code) if failed else OK,
        time=stamp_of(_LOCAL_TIME.match(when)),
        code=failure_or_none(code),
        marker=f"{layer}_failed" if failed and not is_failure(code) else None,
        caller=clean(caller, 80) or None,
        line=f"{kind} {result} {hresult.hex_of(code)} {message}",
    )
    return seen if layer == "scan" else changed(seen, update=guid_of(update), kb=kb_of(message))


def zone_told(text: str) -> int | None:
    """How far the host's local time is ahead of UTC, as its rows say; None without rows, and where they come from several places."""
    zones = [zone_seconds(row.group(3)) for row in REPORT.finditer(text)]
    if not zones or max(zones) - min(zones) > _SUMMER_S:
        return None
    return zones[-1]


def is_reporting(sample: str, _name: str) -> bool:
    """Whether it is ReportingEvents.log."""
    if _REWRITTEN.search(sample) is not None:
        return True
    return any(sample[max(0, row.start() - len(_IN_LOG)) : row.start() - 1] != _IN_LOG[:-1] for row in islice(REPORT.finditer(sample), 20))
