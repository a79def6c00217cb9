# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: the update agent's logs: ReportingEvents.log and WindowsUpdate.log, old and new."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from . import hresult
from ._records import (
    Collector,
    clean,
    each_line,
    failure_or_none,
    guid_of,
    is_failure,
    kb_of,
    outcome_of_failure,
    part,
    stamp,
    title_of,
)
from .observation import CANCELLED, FAILED, OK, STARTED, Observation

REPORT = re.compile(
    r"\{[0-9A-Fa-f-]{36}\}"
    r"\s{1,4}([0-9]{4}-[0-9]{2}-[0-9]{2}) ([0-9]{2}:[0-9]{2}:[0-9]{2}):[0-9]{3}([+-][0-9]{4})\s{1,4}[0-9]{1,3}\s{1,4}"
    r"([0-9]{1,4})(?: \[([A-Za-z_()]{1,60})\])?\s{1,4}[0-9]{1,5}\s{1,4}\{([0-9A-Fa-f-]{36})\}"
    r"\s{1,4}[0-9]{1,10}\s{1,4}"
    r"([0-9A-Fa-f]{1,8})\b([^\r\n]{0,600})"
)
# The time of a row, alone or in front of the rest of it.
REPORT_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}) ([0-9]{2}:[0-9]{2}:[0-9]{2}):[0-9]{3}([+-][0-9]{4})")
_REPORT_WORDS = (("DETECT", "scan"), ("DOWNLOAD", "download"), ("INSTALL", "install"), ("SELFUPDATE", "scan"))
_REPORT_RANGES = ((range(140, 160), "scan"), (range(160, 180), "download"), (range(180, 210), "install"))
# Numbers whose name a build does not know come as [(null)]; older ones wrote no names at all.
_NAME_OF = {
    147: "AGENT_DETECTION_FINISHED",
    162: "AGENT_DOWNLOAD_SUCCEEDED",
    163: "AGENT_DOWNLOAD_CANCELED",
    167: "AGENT_DOWNLOAD_STARTED",
    181: "AGENT_INSTALLING_STARTED",
    183: "AGENT_INSTALLING_SUCCEEDED",
}
_REPORT_OK = ("FINISHED", "SUCCEEDED", "SUCCEEDED_REBOOT_REQUIRED")
# Rows whose columns were flattened to blanks, as in excerpts on web pages.
_FLAT_COLUMNS = re.compile(r"\s{1,4}(\S.{0,79}?)\s{1,4}(?:Success|Failure)\s{1,4}(?:Software Synchronization|Content \w{1,20})\s{1,4}(.*)")
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
    if time is None:
        return None
    offset = int(zone[1:3]) * 3600 + int(zone[3:5]) * 60
    # `-0500` is west of Greenwich, where it is earlier.
    return time - offset * int(f"{zone[0]}1")


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
    if name.endswith("STARTED"):
        return STARTED
    if name.endswith(_REPORT_OK):
        return OK
    return None


def _marker(name: str, layer: str, outcome: str, code: int) -> str | None:
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
        return replace(seen, service=guid_of(guid), found=_found(message, outcome))
    title = title_of(message)
    return replace(seen, update=guid_of(guid), title=title, kb=kb_of(title))


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
            out.add(replace(seen, place=place, channel=out.channel))


_WU_HEAD = re.compile(
    r"([0-9]{4}[-/.][0-9]{2}[-/.][0-9]{2})[ \t]([0-9]{2}:[0-9]{2}:[0-9]{2})[.:][0-9]{3,7}\s{1,4}[0-9]{1,6}"
    r"\s{1,6}([0-9a-fA-F]{1,6})\s{1,6}(\w{1,30})\s{1,20}(.*)",
    re.S,
)
_WU_EXIT = re.compile(r"[Ee]xit code = (0x[0-9A-Fa-f]{8})")
_WU_RETURN = re.compile(
    r"Install complete for update ID: ([0-9A-Fa-f-]{36})\.[0-9]{1,5}\s{1,3}Return code is (0x[0-9A-Fa-f]{8})"
    r"|Method failed for update ([0-9A-Fa-f-]{36})\.[0-9]{1,5}, hrDeploy = (0x[0-9A-Fa-f]{8})"
)
_WU_FILE = re.compile(r"\*FAILED\* \[([0-9A-Fa-f]{8})\] Failed to (?:postprocess|download|verify) the file")
_WU_DOWNLOAD = re.compile(
    r"Error (0x[0-9A-Fa-f]{8}) occurred while downloading update"
    r"|Begin Downloading Updates.{0,200}\[hr = (0x[0-9A-Fa-f]{8})\]"
    r"|^\w{1,60} returned, hr=(0x[0-9A-Fa-f]{8})"
)
_WU_CALL = re.compile(r"download call (\{[0-9A-Fa-f-]{36}\}) with code Call (progress|complete) and error (0x[0-9A-Fa-f]{8})")
_WU_CBS = re.compile(r"FATAL: .{0,80}?(0x[0-9A-Fa-f]{8})|CBS called Error with (0x[0-9A-Fa-f]{8})")
_WU_SERVICE = re.compile(r"ServiceI[Dd] = (\{[0-9A-Fa-f-]{36}\})")
_WU_CALLER = re.compile(r"CallerId = ([^,\]\r\n]{1,80}?)(?:[,\]]| {1,2}Id |$)")
_WU_WORTH = re.compile(
    r"xit code = 0x|Return code is|hrDeploy = |Failed to (?:post|down|ver)|REPORT EVENT|occurred while down"
    r"|\[hr = 0x|CBS called Error|FATAL|download call|returned, hr=0x8|ServiceID = \{"
)
_WU_MAX_OPEN = 1000
# By whether the code is 0.
_OUTCOMES = {True: OK, False: FAILED}


@dataclass(frozen=True)
class _AgentLine:
    """A line of WindowsUpdate.log; `seen` is an observation of it that still has no outcome."""

    thread: str
    component: str
    message: str
    seen: Observation


class _AgentLog:
    """Reads WindowsUpdate.log, line by line."""

    def __init__(self, out: Collector) -> None:
        self._out = out
        self._in_search = False
        self._service_of: dict[str, str] = {}
        self._calls: dict[str, list[Observation]] = {}

    def line(self, place: int, raw: str) -> None:
        """Take the next line."""
        if not _WU_WORTH.search(raw):
            if "Finding updates" in raw or "** END **" in raw:
                self._in_search = "Finding updates" in raw and "END" in raw
            return
        if "REPORT EVENT" in raw and (embedded := REPORT.search(raw)):
            seen = report(embedded, "wulog")
            if seen is not None:
                self._out.add(replace(seen, place=place, channel=self._out.channel))
            return
        head = _WU_HEAD.match(raw.rstrip("\r"))
        if head is None:
            return
        date, clock, thread, component, message = head.groups()
        seen = Observation(
            "wulog", "install", time=stamp(date, clock), place=place, channel=self._out.channel, line=f"{component} {message}"
        )
        self._message(_AgentLine(thread.lower(), component, message, seen))

    def _message(self, line: _AgentLine) -> None:
        for reader in (self._service, self._installed, self._ended, self._call, self._file, self._download, self._handler):
            if reader(line):
                return

    def _add(self, seen: Observation) -> None:
        self._out.add(seen, local=True)

    def _service(self, line: _AgentLine) -> bool:
        """A search says on its own thread which service it asks."""
        service = guid_of(part(_WU_SERVICE.search(line.message)))
        if line.component != "Agent" or service is None:
            return False
        if len(self._service_of) < _WU_MAX_OPEN:
            self._service_of[line.thread] = service
        return True

    def _installed(self, line: _AgentLine) -> bool:
        found = _WU_RETURN.search(line.message)
        if found is None:
            return False
        update, code = guid_of(found.group(1) or found.group(3)), int(found.group(2) or found.group(4), 16)
        self._add(replace(line.seen, outcome=_OUTCOMES[code == 0], code=code or None, update=update))
        return True

    def _ended(self, line: _AgentLine) -> bool:
        """The end of a search; the old format says what ended on the banner line before."""
        found = _WU_EXIT.search(line.message)
        if found is None:
            return False
        code, searched = int(found.group(1), 16), "Finding updates" in line.message or self._in_search
        self._in_search = False
        if line.component != "Agent" or not searched or not (is_failure(code) or code == 0):
            return True
        caller = part(_WU_CALLER.search(line.message)) or ""
        self._add(
            replace(
                line.seen,
                layer="scan",
                outcome=_OUTCOMES[code == 0],
                code=code or None,
                caller=clean(caller, 80) or None,
                service=self._service_of.pop(line.thread, None),
            )
        )
        return True

    def _call(self, line: _AgentLine) -> bool:
        """An error on the way counts once the call ended with an error, too; before that the agent still tries."""
        found = _WU_CALL.search(line.message)
        if found is None:
            return False
        call, what, code = found.group(1), found.group(2), int(found.group(3), 16)
        seen = replace(line.seen, layer="download", outcome=outcome_of_failure("download", code), code=code)
        if what == "progress":
            if is_failure(code) and len(self._calls) < _WU_MAX_OPEN:
                self._calls.setdefault(call, []).append(seen)
            return True
        before = self._calls.pop(call, [])
        if is_failure(code):
            for one in [*before[-20:], seen]:
                self._add(one)
        return True

    def _file(self, line: _AgentLine) -> bool:
        found = _WU_FILE.search(line.message)
        if found is None:
            return False
        code = int(found.group(1), 16)
        self._add(replace(line.seen, layer="download", outcome=outcome_of_failure("download", code), code=code))
        return True

    def _download(self, line: _AgentLine) -> bool:
        found = _WU_DOWNLOAD.search(line.message)
        if found is None:
            return False
        code = int(next(filter(None, found.groups())), 16)
        if is_failure(code):
            self._add(replace(line.seen, layer="download", outcome=outcome_of_failure("download", code), code=code))
        return True

    def _handler(self, line: _AgentLine) -> bool:
        found = _WU_CBS.search(line.message)
        if line.component != "Handler" or found is None:
            return False
        code = int(found.group(1) or found.group(2), 16)
        if is_failure(code):
            self._add(replace(line.seen, code=code))
        return True


def wulog(text: str, out: Collector) -> None:
    """Read WindowsUpdate.log, of Windows 7 or as Get-WindowsUpdateLog writes it."""
    log = _AgentLog(out)
    for place, raw in enumerate(each_line(text)):
        log.line(place, raw)


_WU_SIGN = re.compile(
    r"(?:^|\n)\ufeff?[0-9]{4}[-/.][0-9]{2}[-/.][0-9]{2}[ \t][0-9]{2}:[0-9]{2}:[0-9]{2}[.:][0-9]{3,7}"
    r"\s{1,4}[0-9]{1,6}\s{1,6}[0-9a-fA-F]{1,6}\s{1,6}\w"
)


def is_update_log(sample: str, _name: str) -> bool:
    """Whether it is WindowsUpdate.log."""
    return _WU_SIGN.search(sample) is not None


def is_reporting(sample: str, _name: str) -> bool:
    """Whether it is ReportingEvents.log."""
    return REPORT.search(sample) is not None
