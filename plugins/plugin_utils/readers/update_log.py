# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: WindowsUpdate.log as Get-WindowsUpdateLog writes it (Windows 10 and later); what has the old form goes to the old reader."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import replace

from .. import routing
from ..observation import CANCELLED, FAILED, OK, Observation
from .records import Collector, clean, is_failure, lines_with, outcome_of_failure, part, stamp
from .reporting import REPORT, report, zone_seconds
from .told import WSUS_SERVICE, Told
from .update_log_line import GUID, PART, RUN_ON, AgentLine, Lines, Updates, is_update_log, on_lines_of_their_own
from .update_log_old import WORTH, OldForm

__all__ = ["is_update_log", "wulog"]

_HEX = r"([0-9A-Fa-f]{8})"
_ENDED = re.compile(rf"Finding updates.{{0,300}}?[Ee]xit code = 0x{_HEX}")
_CALLER = re.compile(r"CallerId = ([^,\]\r\n]{1,80}?)(?:[,\]]| {1,2}Id |$)")
# An installation has ended, by who tells it. Both `LogHistory` and the callback have the code that people see first, then the inner one.
_INSTALLED = (
    ("handler", re.compile(rf"Install complete for update ID: (?P<update>{GUID})\.[0-9]{{1,5}}\s{{1,3}}Return code is 0x(?P<code>{_HEX})")),
    ("deploy", re.compile(rf"Method failed for update (?P<update>{GUID})\.[0-9]{{1,5}}, hrDeploy = 0x(?P<code>{_HEX})")),
    (
        "callback",
        re.compile(
            rf"callback for top-level update (?P<update>{GUID})\.[0-9]{{1,5}}, "
            r"callback code = Update (?:failed|success\w{0,10})\b.{0,160}?"
            rf"\bmapped result = 0x(?P<code>{_HEX}), unmapped result = 0x(?P<inner>{_HEX})"
        ),
    ),
    (
        "history",
        re.compile(
            rf"idUpdate=\{{(?P<update>{GUID})\}}\.[0-9]{{1,5}},\s{{1,6}}resultMapped=(?P<code>{_HEX}),\s{{1,6}}"
            r"resultUnMapped=(?P<inner>[0-9A-Fa-f]{1,8})"
        ),
    ),
    ("driver", re.compile(rf"\*FAILED\* \[(?P<code>{_HEX})\] Driver Install of \{{(?P<update>{GUID})\}}")),
    ("top", re.compile(rf"\*FAILED\* \[(?P<code>{_HEX})\].{{0,120}}?: Installing for Top level update id (?P<update>{GUID})")),
)
# A search that came back with half of its answer (WU_E_PT_ECP_SUCCEEDED_WITH_ERRORS), and what stopped the other half, on its thread.
_HALF_FOUND = 0x8024402F
_SENT = re.compile(rf"\*FAILED\* \[{_HEX}\] WinHttp: Send")
# A talk with a server that failed. In a part of a log it is all there is of a search that has no end in it.
_TALK = re.compile(rf"\*FAILED\* \[{_HEX}\] (?:Library download error|WinHttp: Send|SyncUpdates_WithRecovery failed)")
# So is whatever failed with a code of the network or of HTTP where nothing else failed: `SLS sync failed`, say.
_OF_TALKS = re.compile(r"\*FAILED\* \[(80072[EeFf][0-9A-Fa-f]{2}|80190[0-9A-Fa-f]{3}|80244[0-9A-Fa-f]{3})\]")
_TALKERS = ("Agent", "Misc", "SLS", "ProtocolTalker", "WebServices", "IdleTimer", "Shared")
_SUCCEEDED = re.compile(rf"called for update id ({GUID})\.[0-9]{{1,5}}, code = Update success")
_HANDLER = re.compile(
    rf"FATAL: .{{0,80}}?0x{_HEX}|CBS called Error with 0x{_HEX}|install completed\. Return code = 0x{_HEX}, Result = Failed"
)
# A download has failed, by who tells it; only the last of them name the update.
_FILE = re.compile(rf"\*FAILED\* \[{_HEX}\] Failed to (?:postprocess|download|verify) the file")
_DOWNLOADS = (
    ("update", re.compile(rf"\*FAILED\* \[(?P<code>{_HEX})\] Error occurred while downloading update (?P<update>{GUID})")),
    ("update", re.compile(rf"Error 0x(?P<code>{_HEX}) occurred while downloading update(?: (?P<update>{GUID}))?")),
    ("job", re.compile(rf"\bfailed, updateId = (?P<update>{GUID})\.[0-9]{{1,5}}, hr = 0x(?P<code>{_HEX})")),
    ("background", re.compile(rf"\*FAILED\* \[(?P<code>{_HEX})\] Background download of UpdateId = (?P<update>{GUID})")),
    ("begin", re.compile(rf"Begin Downloading Updates.{{0,200}}\[hr = 0x(?P<code>{_HEX})\](?P<update>)")),
    ("info", re.compile(rf"^\w{{1,60}} returned, hr=0x(?P<code>{_HEX})(?P<update>)")),
)
# What the orchestrator was told of a download: `{GUID}:TITLE:hr=0x8024001e;`.
_HANDED_ON = re.compile(rf"\{{(?P<update>{GUID})\}}:(?P<title>.{{3,300}}?):hr=0x(?P<code>[0-9A-Fa-f]{{1,8}})(?=;|\s|$)")
# Where a WSUS has its files: `http://HOST:8530/Content/43/SHA1.cab`.
_OF_WSUS = re.compile(r"https?://[^\s/]{1,200}/Content/[0-9A-Fa-f]{2}/[0-9A-Fa-f]{8,40}\.")
# What of a WSUS a search asks for, and how the request failed: `failed for <http://HOST:8530/selfupdate/wuident.cab>. error 0x80072efd`.
# A page makes a link of the address, on a line of its own.
_ASKED = re.compile(
    r"failed for(?i:\s{0,2}<?\s{0,4}(?:\[url\])?https?://([^\s/<>\[\]]{1,120})/{1,2}(?:selfupdate|ClientWebService|SimpleAuthWebService)/"
    r"[^\s<>\[\]]{1,200}?(?:\[/url\])?[\s>.:]{1,8}error (?:0x)?(8[0-9a-f]{7}))"
)
# `WSUS server: <NULL>`, `WSUS server: (null)`: none.
_WSUS_SERVER = re.compile(r"WSUS server: https?://([^\s/<>\[\]]{1,120})", re.I)
_OF_MICROSOFT = re.compile(r"(?:^|\.)(?:microsoft|windowsupdate)\.com(?::|$)", re.I)
_CALL = re.compile(rf"download call (\{{{GUID}\}}) with code Call (progress|complete) and error (?:0x)?([0-9A-Fa-f]{{1,8}})")
_CALL_BEGUN = re.compile(rf"Begin Downloading Updates.{{0,160}}\[Call ID = (\{{{GUID}\}})\]")
# Most lines say nothing of how anything ended. One of these words stands in each that does, or in one that names something.
_WORTH = (
    "xit code = 0x", "Return code is", "hrDeploy = ", "Failed to ", "occurred while down", "[hr = 0x", "CBS called", "FATAL",
    "WinHttp: Send", "download call", "returned, hr=0x8", "ServiceI", "resultMapped=", "callback code = ", "Driver Install of",
    "Top level update id", "= Update success", "install completed.", "failed, updateId", "Background download", "Title = ", "UpdateId = ",
    "Begin Downl", "Download finished", "Library download error", "*FAILED* [80072", "*FAILED* [80190", "*FAILED* [80244",
)  # fmt: skip
_ROW = "REPORT EVENT"
# So soon a report is usually written; and the lines before it among which its moment is looked for.
_SOON_S, _MOST_RECENT = 5, 300
# `WU_E_UH_POSTREBOOTSTILLPENDING` with nothing behind it: installed, and the rest is due at the restart. How that ends is told after it.
_WAITS_FOR_RESTART = 0x80242014
_WORTH_READING = tuple(dict.fromkeys((_ROW, *_WORTH, *WORTH)))
_MOST_CALLS = 1000
# A log of many megabytes was not pasted.
_MOST_PASTED = 2 * 1024 * 1024


class _NewForm:
    """Reads lines of the new form."""

    def __init__(self, told: Told, updates: Updates) -> None:
        self._told = told
        self._updates = updates
        # Errors on the way of a call, by code, and where a call that still runs began.
        self._calls: dict[str, dict[int, Observation]] = {}
        self._running: dict[str, int] = {}
        # Why the last request of a thread failed, since it began to search.
        self._sent: dict[tuple[str, str], int] = {}
        self._searched = False
        self._talk: tuple[AgentLine, int] | None = None
        self._weak_talk: tuple[AgentLine, int] | None = None
        self._went_well = False

    def line(self, line: AgentLine) -> bool:
        """Take a line; whether it meant something."""
        self._request(line)
        readers = (self._handed_on, self._installed, self._succeeded, self._ended, self._call, self._file, self._download, self._handler)
        return any(reader(line) for reader in readers)

    def _ok(self, line: AgentLine, layer: str, update: str | None = None) -> Observation:
        self._went_well = True
        return line.seen(layer, self._told.channel, update, outcome=OK)

    def _bad(self, line: AgentLine, layer: str, code: int, update: str | None = None, related: tuple[int, ...] = ()) -> Observation:
        return line.seen(layer, self._told.channel, update, outcome=outcome_of_failure(layer, code), code=code, related=related)

    def _installed(self, line: AgentLine) -> bool:
        for said_by, pattern in _INSTALLED:
            found = pattern.search(line.message)
            if found is not None:
                self._take_result(line, said_by, found)
                return True
        return False

    def _take_result(self, line: AgentLine, said_by: str, found: re.Match[str]) -> None:
        parts = found.groupdict()
        code, inner = int(parts["code"], 16), int(parts.get("inner") or "0", 16)
        if code == _WAITS_FOR_RESTART and parts.get("inner") is not None and not inner:
            return
        if not is_failure(code):
            self._told.add(self._ok(line, "install", parts["update"]))
            return
        related = (inner,) if is_failure(inner) and inner != code else ()
        self._told.failed(self._bad(line, "install", code, parts["update"], related), said_by)

    def _handed_on(self, line: AgentLine) -> bool:
        """What the update orchestrator says of downloads that have ended."""
        if line.component != "USO":
            return False
        for found in _HANDED_ON.finditer(line.message):
            self._told.name(found.group("update"), found.group("title"))
            code = int(found.group("code"), 16)
            if is_failure(code):
                self._told.failed(self._bad(line, "download", code, found.group("update")), "orchestrator")
            else:
                self._told.add(self._ok(line, "download", found.group("update")))
        return True

    def _succeeded(self, line: AgentLine) -> bool:
        update = part(_SUCCEEDED.search(line.message))
        if update is not None:
            self._told.add(self._ok(line, "install", update))
        return update is not None

    def _ended(self, line: AgentLine) -> bool:
        """The end of a search."""
        found = _ENDED.search(line.message)
        if found is None or line.component != "Agent":
            return False
        self._searched = True
        code, caller = int(found.group(1), 16), part(_CALLER.search(line.message)) or ""
        inner = self._sent.pop(line.key, None)
        related: tuple[int, ...] = ()
        if code == _HALF_FOUND and inner is not None:
            code, related = inner, (code,)
        seen = line.seen(
            "scan",
            self._told.channel,
            outcome=OK if code == 0 else FAILED,
            code=code or None,
            caller=clean(caller, 80) or None,
            service=self._updates.service(line),
            related=related,
        )
        if code == 0:
            self._told.add(seen)
        elif is_failure(code):
            self._told.failed(seen, "end")
        return True

    def close(self) -> None:
        """No more lines: where no search has ended, the talk that failed is told."""
        talk = self._talk
        if talk is None and not self._went_well and not any(self._told.has_failed(layer) for layer in ("download", "install")):
            talk = self._weak_talk
        if talk is None or self._searched or self._told.has_failed("scan"):
            return
        line, code = talk
        self._told.failed(self._bad(line, "scan", code), "talk")

    def _request(self, line: AgentLine) -> None:
        talk = part(_TALK.search(line.message))
        if talk is not None and is_failure(int(talk, 16)):
            self._talk = line, int(talk, 16)
        weak = part(_OF_TALKS.search(line.message))
        if weak is not None and line.component in _TALKERS:
            self._weak_talk = line, int(weak, 16)
        code = part(_SENT.search(line.message))
        if code is not None and len(self._sent) < _MOST_CALLS:
            self._sent[line.key] = int(code, 16)
        elif "START * Finding updates" in line.message:
            self._sent.pop(line.key, None)

    def _call(self, line: AgentLine) -> bool:
        """An error on the way counts once the call ended with an error, too; before that the agent still tries."""
        found = _CALL.search(line.message)
        if found is None:
            begun = part(_CALL_BEGUN.search(line.message))
            if begun is not None:
                self._run(begun, line.place)
            return begun is not None and "[hr = 0x8" not in line.message
        call, code = found.group(1), int(found.group(3), 16)
        if found.group(2) == "progress":
            self._run(call, line.place)
            if is_failure(code) and len(self._calls) < _MOST_CALLS:
                self._calls.setdefault(call, {})[code] = self._bad(line, "download", code)
            return True
        self._call_ended(line, call, code)
        return True

    def _run(self, call: str, place: int) -> None:
        if len(self._running) < _MOST_CALLS:
            self._running.setdefault(call, place)

    def _call_ended(self, line: AgentLine, call: str, code: int) -> None:
        before, began = self._calls.pop(call, {}), self._running.pop(call, None)
        if is_failure(code):
            ended = self._bad(line, "download", code)
            others = [seen for seen in before.values() if seen.code != code][-8:]
            if ended.outcome == CANCELLED:
                # Whoever gave up did so for what had gone wrong before.
                for one in others:
                    self._told.failed(one, "progress")
            elif others:
                ended = replace(ended, related=tuple(seen.code for seen in others if seen.code is not None))
            self._told.failed(ended, "call")
        elif began is not None and not any(other < line.place for other in self._running.values()):
            # What could not be used was loaded again: the calls that it may belong to all went well.
            self._told.forget("download", "file", began)

    def _file(self, line: AgentLine) -> bool:
        code = part(_FILE.search(line.message))
        if code is not None:
            seen = self._bad(line, "download", int(code, 16))
            self._told.failed(replace(seen, service=_service_of_file(line.message)), "file")
        return code is not None

    def _download(self, line: AgentLine) -> bool:
        for said_by, pattern in _DOWNLOADS:
            found = pattern.search(line.message)
            if found is None:
                continue
            code = int(found.group("code"), 16)
            if is_failure(code):
                seen = self._bad(line, "download", code, found.group("update"))
                self._told.failed(replace(seen, service=_service_of_file(line.message)), said_by)
            return True
        return False

    def _handler(self, line: AgentLine) -> bool:
        if line.component != "Handler":
            return False
        found = _HANDLER.search(line.message)
        if found is None:
            return False
        code = int(next(filter(None, found.groups())), 16)
        if is_failure(code):
            self._told.failed(self._bad(line, "install", code), "command")
        return True


_Recent = deque[tuple[int, int]]


def _report(raw: str, line: AgentLine | None, recent: _Recent, place: int, told: Told) -> Observation | None:
    """A row of ReportingEvents.log inside of the log: it has a zone of its own, and is written later than it happened."""
    row = REPORT.search(raw)
    seen = row and report(row, "wulog")
    if row is None or seen is None:
        return None
    told.zone(zone_seconds(row.group(3)))
    at = None if line is None else line.at
    seen = replace(seen, place=_place_then(stamp(row.group(1), row.group(2)), at, recent, place), channel=told.channel)
    if seen.outcome in (FAILED, CANCELLED):
        told.failed(seen, "report", at=at, local=False)
    else:
        told.add(seen, local=False)
    return seen


def _place_then(happened: int | None, at: int | None, recent: _Recent, place: int) -> int:
    """Where the log was when something happened that it tells at a place: reports are written together, minutes later at times."""
    if happened is None or at is None or at - happened <= _SOON_S or not recent:
        return place
    return next((before for time, before in reversed(recent) if time <= happened), recent[0][1])


def _service_of_file(message: str) -> str | None:
    """The service that a file was fetched for, where its address says so."""
    return WSUS_SERVICE if _OF_WSUS.search(message) else None


def _managed_by(text: str) -> str | None:
    """The WSUS that the agent of this host was last told to ask by default, as it writes when it starts."""
    found = _WSUS_SERVER.match(text, text.rfind("WSUS server: "))
    return found.group(1).lower() if found else None


def _servers_asked(text: str) -> dict[int, str]:
    """The WSUS whose answer a request did not get, by the code; none where two failed with the same."""
    found: dict[int, set[str]] = {}
    for server, code in _ASKED.findall(text):
        if not _OF_MICROSOFT.search(server):
            told = int(code, 16)
            for one in (told, routing.agents_code(told)):
                found.setdefault(one, set()).add(server.lower())
    return {code: servers.pop() for code, servers in found.items() if len(servers) == 1}


def wulog(text: str, out: Collector) -> None:
    """Read WindowsUpdate.log, of Windows 7 or as Get-WindowsUpdateLog writes it."""
    if len(text) <= _MOST_PASTED:
        text = on_lines_of_their_own(RUN_ON.sub("\n", text))
    lines, told = Lines(text), Told(out)
    told.asked(_servers_asked(text), _managed_by(text))
    updates = Updates(told)
    old, new = OldForm(told, updates), _NewForm(told, updates)
    recent: _Recent = deque(maxlen=_MOST_RECENT)
    for place, raw in lines_with(text, _WORTH_READING, PART):
        line = lines.read(place, raw)
        if _ROW in raw:
            old.reported(_report(raw, line, recent, place, told))
            continue
        if line is None:
            continue
        if line.at is not None:
            recent.append((line.at, place))
        listed = updates.take(line)
        if line.is_old or not new.line(line):
            old.line(line, listed)
    old.close()
    new.close()
    told.close()
