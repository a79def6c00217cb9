# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: WindowsUpdate.log of Windows Vista to 8.1 and of their servers.

An operation stands between a START and an END banner. Its exit code is on a line of its own before the END; where there is none it
went well. The agent, Automatic Updates (AU), the interface of programs (COMAPI) and the handlers of installations have banners each.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

from .. import hresult
from ..observation import OK, STARTED, Observation
from .records import clean, guid_of, is_failure, kb_of, outcome_of_failure, part, to_code
from .told import Told
from .update_log_line import GUID, AgentLine, Updates

_BANNER = re.compile(
    r"(?:\*{1,3}|#{2}|-{2}|>{2}[#-]{2}|<{2}[#-]{2})\s{0,4}(START|END|RESUMED|SUBMITTED)\s{0,4}(?:\*{1,3}|#{2}|-{2})\s{0,4}"
    r"(?:(Agent|AU|COMAPI|DnldMgr): )?([A-Z][A-Za-z ]{2,60})"
)
_MARKS = ("START", "END", "RESUMED", "SUBMITTED")
_CALLER = re.compile(r"(?:CallerId|ClientId) = ([^\],\r\n]{1,80}?)\s{0,3}(?:[\],]| {1,3}Id = |$)")
_EXIT = re.compile(r"[Ee]xit code = (0x[0-9A-Fa-f]{8})(?:, Result code = (0x[0-9A-Fa-f]{8}))?")
_CLIENT = re.compile(
    r"WU client failed (?:to )?(search|install|download)\w{0,8} (?:for )?updates?.{0,40}? with error (?:0x)?([0-9A-F]{8})", re.I
)
_AU = re.compile(
    r"(Install|Download|Search)(?: callback)? failed, (?:error|result) = (?:0x)?([0-9A-Fa-f]{8})"
    r"|(find) updates with error code (?:0x)?([0-9A-Fa-f]{8})",
    re.I,
)
_AU_UPDATE = re.compile(rf"UpdateId = \{{({GUID})\}}(, succeeded)?")
_CBS_BEGUN = re.compile(rf"Starting install of CBS update ({GUID})")
_CBS_PACKAGE = re.compile(r"CBS package identity: ([\w.~-]{3,120})")
_CBS_ENDED = re.compile(r"Completed install of CBS update with type=.{0,80}\bhr=(0x[0-9A-Fa-f]{1,8})")
_PREPARED = re.compile(rf"Preparing update for install, updateId = \{{({GUID})\}}")
_HANDLER_FAILED = re.compile(
    r"FATAL: .{0,80}?(0x[0-9A-Fa-f]{8})|CBS called Error with (0x[0-9A-Fa-f]{8})|WARNING: Exit code = (0x[0-9A-Fa-f]{8})"
    r"|Operation failed at update [0-9]{1,5}, Exit code = (0x[0-9A-Fa-f]{8})"
    r"|Installer completed\. .{0,60}?, result = (0x[0-9A-Fa-f]{8})"
)
# What of an update is to be downloaded, the handler says.
_ASKED_FOR = "Request generation for CBS update"
_SEARCHING = re.compile(r"Skipping scan, self-update check|Failed to synchronize|Failed to find updates|SyncServerUpdates")
_SYNC = re.compile(
    r"(?:(?:SyncUpdates_WithRecovery failed|SyncServerUpdatesInternal failed|Sync of Updates)[.:]{1,2}:? ?|SyncUpdates failure, error = )"
    r"(0x8[0-9A-Fa-f]{7})"
)
# A talk with a server that failed. In a part of a log it may be all there is of a search.
_TALK = re.compile(
    r"WARNING: (?:WinHttp: SendRequestUsingProxy failed for .{0,300}?error |WinHttp: SendRequestToServerForFileInformation failed with |"
    r"SendRequest failed with hr = )(?:0x)?(8[0-9A-Fa-f]{7})"
    # What the web services of a WSUS answered, by whichever of their functions, and its copy of the agent.
    r"|FATAL: (?:OnCallFailure|NwsCallWithRetries|IsUpdateRequired|SelfUpdate handler).{0,200}?"
    r"failed with (?:hr ?= ?|error )0x(8[0-9A-Fa-f]{7})",
    re.I,
)
WORTH = (
    "START", "END", "RESUMED", "xit code = 0x", "client failed", " failed, ", "error code ", "CBS update", "CBS called",
    "CBS package", "FATAL", "Preparing update", "Skipping scan", "Failed to ", "UpdateId = ", "Title = ", "ServiceI", "SyncServer",
    "SyncUpdates", "Sync of Upd", "SendRequest", "failed with hr", "IsUpdateReq", "SelfUpdate handler", "Installer compl",
)  # fmt: skip
_LAYERS = (("find", "scan"), ("search", "scan"), ("install", "install"), ("download", "download"))
# Nothing was there to be done: WU_E_NO_UPDATE.
_NOTHING_TO_DO = (0x80240024,)
_NETWORK_AREAS = ("network", "proxy", "protocol", "time_tls", "policy_wsus")
_MOST_OPEN = 1000


def _layer_of(words: str) -> str | None:
    return next((layer for word, layer in _LAYERS if word in words.lower()), None)


@dataclass
class _Operation:
    """What a thread does between two banners."""

    layer: str | None
    caller: str | None = None
    code: int | None = None
    line: AgentLine | None = None
    updates: list[str] = field(default_factory=list)


_Key = tuple[str, str, str]


class OldForm:
    """Reads lines of the old form."""

    def __init__(self, told: Told, updates: Updates) -> None:
        self._told = told
        self._updates = updates
        self._open: dict[_Key, _Operation] = {}
        self._searching: set[tuple[str, str]] = set()
        # What Automatic Updates speak of on a thread, and what a process installs: update, package.
        self._resumed: dict[tuple[str, str], str] = {}
        self._installing: dict[str, tuple[str | None, str | None]] = {}
        self._prepared: str | None = None
        # Talks with a server that failed, until their search ends: in a cut log it may never do.
        self._unended: dict[tuple[str, str], tuple[AgentLine, int]] = {}
        self._talk: tuple[AgentLine, int] | None = None
        self._is_ended = False
        # What reports say has begun to install and has not ended.
        self._begun: dict[str, Observation] = {}

    def line(self, line: AgentLine, listed: str | None) -> None:
        """Take the next line; `listed` is the update that it lists."""
        if listed is not None:
            self._list(line, listed)
        if _SEARCHING.search(line.message):
            self._search_on(line)
        if any(word in line.message for word in ("SendRequest", "failed with hr", "IsUpdateReq", "SelfUpdate handler")):
            self._talked(line)
        sync = part(_SYNC.search(line.message)) if line.component in ("PT", "Agent") else None
        if sync is not None and len(self._unended) < _MOST_OPEN:
            self._unended[line.key] = (line, int(sync, 16))
        if line.component.lower() == "handler":
            self._handler(line)
            return
        for reader in (self._banner, self._exit, self._client, self._automatic, self._prepare):
            if reader(line):
                return

    def _talked(self, line: AgentLine) -> None:
        found = _TALK.search(line.message)
        if found is not None:
            self._talk = line, int(found.group(1) or found.group(2), 16)

    def reported(self, seen: Observation | None) -> None:
        """Take a report of the log: in a cut one it may be all that names an update."""
        if seen is None or seen.layer != "install" or not seen.update:
            return
        if seen.outcome == STARTED:
            if len(self._begun) < _MOST_OPEN:
                self._begun[seen.update] = seen
        else:
            self._begun.pop(seen.update, None)

    def close(self) -> None:
        """Tell the operations whose END is not in the log, where they have a code."""
        for key, operation in self._open.items():
            if operation.line is None or operation.code is None:
                continue
            # What a program was told repeats what the agent said.
            if key[2] != "comapi" or not self._told.has_failed(operation.layer or "scan"):
                self._end(key, operation, operation.line)
        self._open.clear()
        for line, code in self._unended.values():
            if not self._told.has_failed("scan"):
                self._fail(line, "scan", code, "sync")
        self._unended.clear()
        if self._talk is not None and not self._is_ended and not self._told.has_failed("scan"):
            line, code = self._talk
            self._fail(line, "scan", code, "talk", service=guid_of(self._updates.service(line)))

    # -- banners

    def _list(self, line: AgentLine, update: str) -> None:
        operation = self._open.get(_key(line, "agent"))
        if operation is not None and update not in operation.updates:
            operation.updates.append(update)

    def _search_on(self, line: AgentLine) -> None:
        """A thread that speaks of a search, in a log whose beginning is cut off."""
        if len(self._searching) < _MOST_OPEN:
            self._searching.add(line.key)

    def _banner(self, line: AgentLine) -> bool:
        # A plain word is found in a tenth of the time of a pattern.
        marked = any(word in line.message for word in _MARKS)
        found = _BANNER.search(line.message) if marked else None
        if found is None:
            return False
        what, who, words = found.groups()
        if words.startswith("Queu"):
            # To put a search in the queue is no search.
            return True
        key, layer = _key(line, who or line.component), _layer_of(words)
        if what == "START":
            self._begin(key, layer, line)
        elif what == "END":
            self._is_ended = True
            self._unended.pop(line.key, None)
            operation = self._open.pop(key, None) or _Operation(None)
            operation.layer = layer
            operation.caller = self._caller(line) or operation.caller
            self._end(key, operation, line)
        elif key[2] == "au":
            self._resume(line, layer)
        return True

    @staticmethod
    def _caller(line: AgentLine) -> str | None:
        caller = clean(part(_CALLER.search(line.message)) or "", 80)
        return caller if caller and caller != "<NULL>" else None

    def _begin(self, key: _Key, layer: str | None, line: AgentLine) -> None:
        before = self._open.pop(key, None)
        if before is not None and before.line is not None and before.code is not None:
            self._end(key, before, before.line)
        if len(self._open) < _MOST_OPEN:
            self._open[key] = _Operation(layer, self._caller(line))

    def _exit(self, line: AgentLine) -> bool:
        if line.component.lower() not in ("agent", "comapi"):
            return False
        found = _EXIT.search(line.message)
        if found is None:
            return False
        self._is_ended = True
        self._unended.pop(line.key, None)
        code, key = to_code(found.group(2) or found.group(1)), _key(line, line.component)
        operation = self._open.get(key)
        if operation is None and len(self._open) < _MOST_OPEN:
            operation = self._open[key] = _Operation(None)
        if operation is not None:
            operation.code, operation.line = code, line
        return True

    def _end(self, key: _Key, operation: _Operation, line: AgentLine) -> None:
        by, code = key[2], operation.code
        if code is not None and code in _NOTHING_TO_DO:
            return
        if is_failure(code):
            layer = operation.layer or self._guess(line, code or 0)
            seen = self._of(operation, operation.line or line, layer)
            self._told.failed(replace(seen, outcome=outcome_of_failure(layer, code), code=code), by)
            return
        # The interface and Automatic Updates end well, too, where single updates failed.
        if by == "agent" and operation.layer is not None:
            self._succeed(operation, line)

    def _succeed(self, operation: _Operation, line: AgentLine) -> None:
        layer = operation.layer or "scan"
        seen = replace(self._of(operation, line, layer), outcome=OK)
        if len(operation.updates) < 2:
            self._told.add(seen)
            return
        for update in operation.updates:
            self._told.add(replace(seen, update=update.lower()))

    def _guess(self, line: AgentLine, code: int) -> str:
        """What a code ended whose banners are not in the log."""
        if line.key in self._searching or hresult.describe(code).area in _NETWORK_AREAS:
            return "scan"
        return "install"

    def _of(self, operation: _Operation, line: AgentLine, layer: str) -> Observation:
        if layer == "scan":
            return line.seen(layer, self._told.channel, caller=operation.caller, service=guid_of(self._updates.service(line)))
        update = operation.updates[0] if len(operation.updates) == 1 else None
        return line.seen(layer, self._told.channel, update, caller=operation.caller)

    # -- single lines

    def _client(self, line: AgentLine) -> bool:
        found = _CLIENT.search(line.message) if "client failed" in line.message else None
        if found is None:
            return False
        layer, code = _layer_of(found.group(1)), int(found.group(2), 16)
        if layer is not None and is_failure(code) and code not in _NOTHING_TO_DO:
            self._fail(line, layer, code, "client")
        return True

    def _resume(self, line: AgentLine, layer: str | None) -> None:
        """Automatic Updates tell of one update; what failed stands on the lines below."""
        found = _AU_UPDATE.search(line.message)
        if found is None or layer not in ("install", "download"):
            return
        if len(self._resumed) < _MOST_OPEN:
            self._resumed[line.key] = found.group(1)
        if found.group(2):
            self._told.add(line.seen(layer, self._told.channel, found.group(1), outcome=OK))

    def _automatic(self, line: AgentLine) -> bool:
        if line.component.lower() != "au":
            return False
        found = _AU.search(line.message)
        if found is None:
            return False
        layer, code = _layer_of(found.group(1) or found.group(3)), int(found.group(2) or found.group(4), 16)
        if layer is None or not is_failure(code) or code in _NOTHING_TO_DO:
            return True
        update = None if layer == "scan" else self._resumed.get(line.key)
        self._fail(line, layer, code, "au callback" if found.group(1) else "au", update=update)
        return True

    def _fail(self, line: AgentLine, layer: str, code: int, said_by: str, **named: Any) -> None:
        seen = line.seen(layer, self._told.channel, outcome=outcome_of_failure(layer, code), code=code, **named)
        self._told.failed(seen, said_by)

    def _prepare(self, line: AgentLine) -> bool:
        update = part(_PREPARED.search(line.message))
        if update is not None:
            self._prepared = update
        return update is not None

    # -- installations

    def _handler(self, line: AgentLine) -> None:
        begun, package = part(_CBS_BEGUN.search(line.message)), part(_CBS_PACKAGE.search(line.message))
        if begun is not None and (len(self._installing) < _MOST_OPEN or line.process in self._installing):
            self._installing[line.process] = (begun, None)
        if package is not None and line.process in self._installing:
            self._installing[line.process] = (self._installing[line.process][0], package)
        ended = part(_CBS_ENDED.search(line.message))
        if ended is not None:
            self._installed(line, int(ended, 16), "cbs")
            return
        found = _HANDLER_FAILED.search(line.message)
        if found is None or "EvaluateApplicability" in line.message:
            # Whether one of many updates fits was asked within a search: nothing was installed.
            return
        code = int(next(filter(None, found.groups())), 16)
        if not is_failure(code):
            return
        if _ASKED_FOR in line.message:
            self._fail(line, "download", code, "handler")
        else:
            self._installed(line, code, "handler")

    def _installed(self, line: AgentLine, code: int, said_by: str) -> None:
        update, package = self._installing.get(line.process, (self._prepared, None))
        if is_failure(code):
            kb = kb_of(package)
            if update is None and len(self._begun) == 1:
                only = next(iter(self._begun.values()))
                update, kb = only.update, only.kb
            self._fail(line, "install", code, said_by, update=update, name=package, kb=kb)
        elif code == 0:
            self._told.add(line.seen("install", self._told.channel, update, name=package, kb=kb_of(package), outcome=OK))


def _key(line: AgentLine, who: str) -> _Key:
    return line.process, line.thread, who.lower()
