# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: what DISM logs.

A command (`Executing command line: ...` to `Ending Dism.exe session`, or one call of DISM's API) is one operation with one result,
however many lines tell it. What the command was decides what the result is about:

* /RestoreHealth, /ScanHealth, /CheckHealth: the component store. Only a /RestoreHealth that ended without an error proves something:
  a /ScanHealth ends alike whether it found damage or not;
* packages, features, capabilities: an installation, by name;
* a command on another image than the running Windows (/Image, mounting, WinPE) is not about this host;
* what was to be taken away counts where Windows knows nothing of that name, or the code is one of a damaged store;
* all else (apps, drivers, questions, a mistyped command) is not about updates.

Two commands may run at once. DISM.EXE writes no process id, its providers do (in a host process of their own), so the providers' first
line after a command binds the process to it.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace

from .. import hresult, routing
from ..observation import CANCELLED, FAILED, OK, Observation
from .records import Collector, clean, is_failure, kb_of, part, to_code
from .stack import E_FAIL, NO_SOURCE, NOTHING, SOME_FEATURE, Line, Reader, Subject, layer_of

RESTORE, SCAN, INSTALL, REMOVE, CLEANUP, GUESSED, OTHER = "restore", "scan", "install", "remove", "cleanup", "guessed", ""

# Who hides numbers on a page writes `PID=####`.
_PID = re.compile(r"\bPID=([0-9]{1,10}\b|[#*xX]{1,10})")
_WORD = re.compile(r"(?:/|(?<=\s)-)([a-z][a-z-]{1,60})", re.I)
# Words of commands that work on a file of images, or on one that is laid out in a folder.
_ON_AN_IMAGE = re.compile(
    r"(?:image|imagefile|wimfile|mountdir|(?:mount|unmount|remount|commit|apply|capture|append|export|split|delete)-[a-z]{3,20}"
    r"|get-(?:wim|image|mounted)[a-z]{0,20}|cleanup-(?:wim|mountpoints))$"
)
_COMMAND_WORDS = {
    "add-package": INSTALL, "enable-feature": INSTALL, "add-capability": INSTALL,
    "remove-package": REMOVE, "disable-feature": REMOVE, "remove-capability": REMOVE,
    "restorehealth": RESTORE, "scanhealth": SCAN, "checkhealth": SCAN,
    "startcomponentcleanup": CLEANUP, "spsuperseded": CLEANUP, "revertpendingactions": CLEANUP, "analyzecomponentstore": CLEANUP,
}  # fmt: skip
_CALLS = {
    "RestoreImageHealth": RESTORE, "CheckImageHealth": SCAN,
    "AddPackage": INSTALL, "EnableFeature": INSTALL, "AddCapability": INSTALL,
    "RemovePackage": REMOVE, "DisableFeature": REMOVE, "RemoveCapability": REMOVE,
    # Which of the two it was stands in its parameters.
    "EnableDisableFeature": INSTALL,
}  # fmt: skip
# `/featurename:NetFx3`, `/PackagePath:"C:\a b\windows10.0-kb5034441-x64.cab"`.
_NAMED = re.compile(r"/(?:(?:feature|capability|package)(?:name|path)|driver):(?:[\"']([^\"']{1,260})|([^\s\"']{1,260}))", re.I)
# Calls name it `FeatureName: X`, `Feature: X` (a capability), or `EnableFeatureName: X, DisableFeatureName: (null)`.
_CALL_NAMED = re.compile(
    r"\b(?:(?:Enable|Disable)FeatureName|(?:Feature|Capability|Package)(?:Name|Path)?|Name|Path|Identifier): ?([^,\r\n]{1,260})"
)
_ENABLES = re.compile(r"\bEnableFeatureName: ?(?!\(null\))[^\s,]")
_CALL = re.compile(r"- Dism([A-Za-z]{3,40}?)(?:Internal)?(?:\(hr:|$)")
_IMAGE_PATH = re.compile(r"\bImagePath: ?([^,\r\n]{1,260})")
# The running Windows has this name in the API.
_ONLINE = "DISM_{53BFAE52-B167-4E2F-A258-0A37B57FF845}"
_RAN_FROM_PE = re.compile(r"line: [\"']?X:\\|physical location path: X:\\", re.I)

_HRESULT_BARE = re.compile(r"HRESULT ?= ?(?:0x)?([0-9a-fA-F]{8})\b")
# Last what older and shortened lines end with: `Failed finalizing changes. Error: 0x800f0922`.
_HR = re.compile(r"\bhr: ?(0x[0-9a-fA-F]{8})|\b[Ee]rror:? (0x[0-9a-fA-F]{8})\.?$")
_OPTION = re.compile(r'Encountered (?:the|an unknown) option "(?:feature|capability|package)(?:name|path)" with value "([^"]{2,260})"')
_PROCESSED = re.compile(r"DISM\.EXE: (.{1,60}?) processed the command line but failed")
_DONE_IN_VAIN = re.compile(
    r"Failed while processing command ([a-z-]{3,40})|processed the command line but failed|- Dism[A-Za-z]{3,40}\(hr:"
)
_OF_A_REPAIR = re.compile(r"restore the image|cleanup-image|RestoreHealth|ScanHealth|CheckHealth|StoreCorruption|ImageHealth", re.I)
# Of drivers that were to be added, to this Windows or to an image.
_DRIVER = re.compile(r"Failed to (?:import|install) (?:the )?driver package '(?:[^'\r\n]{0,300}[\\/])?([^'\\/\r\n]{1,100}\.inf)'", re.I)
_MOST_DRIVERS = 50
_MAPPED = re.compile(r"\bFeature ([\w.~-]{2,120}) with CBS state")
# `Failed opening package @Foundation. - CDISM...`; a path is no name.
_OPENED = re.compile(r"Failed opening package (@?[A-Za-z][\w.~-]{2,120}?)\. - ")
_OPENING = re.compile(r"\bopen", re.I)
# `DismHostLib: PID=1 TID=2 Failed to create dismhost.exe servicing process. - DismCreateObjectInHostFromCLSID(hr:0x80070005)`: DISM's other
# half, which opens the Windows. It is tried twice.
_NO_HOST = "Failed to create dismhost.exe"
_HOST, _NOT_RUN = Subject("dismhost.exe"), "dism_could_not_run"
# The part of DISM that services Windows. Providers for what is not there (WinPE, siloed packages) are missed by many a healthy host.
_NOT_LOADED = re.compile(r"Failed to Load the provider: [^\r\n]{0,300}\\CbsProvider\.dll|- CDISMPackageManager::Initialize\(hr:", re.I)
_UNSUPPORTED = re.compile(r"No providers were found that support the command ?(?:\(([\w-]{3,40})\))?")
# Whether it is a mounted image is asked of every folder.
_NOT_MOUNTED = 0xC142011C
# Who called made a mistake, and nothing is broken: ERROR_INVALID_PARAMETER, ERROR_INVALID_NAME, ERROR_NOT_SUPPORTED,
# ERROR_ELEVATION_REQUIRED.
_MISTAKES = (0x80070057, 0x8007007B, 0x80070032, 0x800702E4)
_NOT_THERE = (0x80070002, 0x80070003)
# ERROR_CANCELLED, CBS_E_CANCEL.
_CANCELLED = (0x800704C7, 0x800F0820)
_SOURCE_MISSING = 0x800F081F
# CBS_E_UNKNOWN_UPDATE: no feature or package of that name.
_UNKNOWN_NAME = 0x800F080C
# So long it takes at most from the command to the first line of its providers.
_BINDS_S = 60
_MAX_SESSIONS = 20
_MAX_RELATED = 8
# A name that was mistyped is put right at once; a letter is lacking, too many, or in a wrong place.
_PUT_RIGHT_S, _MOST_MISTYPED = 600, 1


@dataclass
class _Session:
    """One console or one user of the API, with the command that it works on."""

    api: bool = False
    pids: set[str] = field(default_factory=set)
    bound: bool = False
    began: int | None = None
    kind: str = GUESSED
    started: bool = False
    offline: bool = False
    mistaken: bool = False
    closing: bool = False
    told: bool = False
    subject: Subject = NOTHING
    failure: Line | None = None
    code: int | None = None
    rank: int = 0
    codes: list[int] = field(default_factory=list)
    # Why the part of DISM that services Windows could not be loaded.
    not_loaded: int | None = None


class Dism(Reader):
    """The commands of DISM."""

    def __init__(self, out: Collector) -> None:
        super().__init__(out)
        self._open: list[_Session] = []
        self._current: _Session | None = None
        # What the lines of a command whose beginning is not in the log tell of.
        self._features: tuple[str, ...] = ()
        self._asked: str | None = None
        self._drivers: set[str] = set()
        self._unknown: tuple[_Session, int | None] | None = None
        self._nameless: list[Observation] = []
        # Why the other half of DISM did not start, until a session came to its end for it; and whether one did.
        self._no_host: int | None = None
        self._host_failed = False

    @property
    def is_offline(self) -> bool:
        """Whether what the stack says now is about another image."""
        return self._current is not None and self._current.offline

    def close(self) -> None:
        """No more lines: what has not ended did not succeed."""
        for session in self._open:
            self._failed(session)
        self._open.clear()
        self._current = None
        self._tell_nameless()

    def _tell_nameless(self) -> None:
        """Failures without a date and a name. Where the stack names what failed with the same code, nothing else joins the two."""
        if not self._nameless:
            return
        named = {seen.code for seen in self._out.result() if seen.source == "cbs" and (seen.name or seen.kb)}
        for seen in self._nameless:
            if seen.code not in named:
                self._emit(seen)
        self._nameless.clear()

    def line(self, line: Line) -> None:
        message = line.message
        if message.startswith("DISM.EXE:"):
            self._console(line)
            return
        if message.startswith("DISM Driver Manager:"):
            self._driver(line)
        if "Encountered " in message:
            self._asked = part(_OPTION.search(message)) or self._asked
        if "with CBS state" in message:
            self._maps(message)
        self._hosted(line)
        session = self._session_of(line)
        if session is None:
            return
        self._current = session
        if _RAN_FROM_PE.search(message):
            session.offline = True
        if "API: " in message[:12]:
            self._call(line, session)
        elif "Finalizing CBS core" in message:
            session.closing = True
        if _is_error(line):
            self._error(line, session)

    def _hosted(self, line: Line) -> None:
        """Whether the other half of DISM runs: a session ends where it cannot be started, and what it says shows that it was."""
        if _NO_HOST in line.message:
            self._no_host = _code_of(line.message)
        elif line.message.startswith(_OF_THE_HOST):
            self._no_host = None
            if self._host_failed:
                self._emit(self._seen(line, "tool", _HOST, "dism", outcome=OK, marker=_NOT_RUN))
            self._host_failed = False
        elif self._no_host and "- DismOpenSession" in line.message and _code_of(line.message) == self._no_host:
            self._emit(self._seen(line, "tool", _HOST, "dism", marker=_NOT_RUN, related=(self._no_host,)))
            self._no_host, self._host_failed = None, True

    def _driver(self, line: Line) -> None:
        """A driver package that was refused: no update of Windows, but what a log that somebody gives is about."""
        name, code = part(_DRIVER.search(line.message)), _code_of(line.message)
        if name is None or name in self._drivers or len(self._drivers) >= _MOST_DRIVERS:
            return
        self._drivers.add(name)
        seen = self._seen(line, "drivers", Subject(name), "dism", marker="driver_refused")
        self._emit(replace(seen, related=(code,) if code else ()))

    def _maps(self, message: str) -> None:
        feature = part(_MAPPED.search(message))
        if feature is not None and feature not in self._features:
            self._features = (*self._features, feature)[:2]

    # -- commands of DISM.EXE

    def _console(self, line: Line) -> None:
        message = line.message
        if "Starting Dism.exe session" in message:
            self._begin(line)
        elif "Executing command line: " in message:
            self._command(line)
        elif "Ending Dism.exe session" in message:
            self._end(line)
        elif "Failed validating command line" in message:
            # Nothing was carried out.
            self._unstarted(line).mistaken = True
        elif _is_error(line) or _DONE_IN_VAIN.search(message):
            self._error(line, self._told_by_console(line))

    def _begin(self, line: Line) -> _Session:
        if len(self._open) >= _MAX_SESSIONS:
            self._failed(self._open.pop(0))
        session = _Session(began=line.time)
        if "Starting Dism.exe session" in line.message:
            self._features, self._asked = (), None
        self._open.append(session)
        self._current = session
        return session

    def _unstarted(self, line: Line) -> _Session:
        """The session that has begun and has no command yet; a cut log may not show its beginning."""
        newest = next((one for one in reversed(self._open) if not one.api), None)
        if newest is None or newest.started or newest.failure is not None:
            newest = self._begin(line)
        newest.started = True
        self._current = newest
        return newest

    def _command(self, line: Line) -> None:
        session = self._unstarted(line)
        command = line.message.partition("Executing command line: ")[2]
        words = [word.lower() for word in _WORD.findall(command)]
        session.began = line.time
        session.kind = next((_COMMAND_WORDS[word] for word in words if word in _COMMAND_WORDS), OTHER)
        elsewhere = "online" not in words and any(_ON_AN_IMAGE.match(word) for word in words)
        session.offline = elsewhere or bool(_RAN_FROM_PE.search(line.message))
        session.mistaken = "online" not in words and not session.offline
        session.subject = _named([first or second for first, second in _NAMED.findall(command)])
        if session.kind == CLEANUP:
            session.subject = Subject("/StartComponentCleanup")

    def _told_by_console(self, line: Line) -> _Session:
        """DISM.EXE names no process: it speaks of the one that failed last, or that began last."""
        consoles = [one for one in self._open if not one.api]
        failing = [one for one in consoles if one.failure is not None and not one.told]
        if failing:
            return max(failing, key=lambda one: one.failure.place if one.failure else 0)
        return consoles[-1] if consoles else self._begin(line)

    def _end(self, line: Line) -> None:
        consoles = [one for one in self._open if not one.api]
        if not consoles:
            return
        session = next((one for one in consoles if one.closing), consoles[-1])
        self._ended(session, line)
        self._drop(session)

    def _drop(self, session: _Session) -> None:
        self._open.remove(session)
        if self._current is session:
            self._current = self._open[-1] if self._open else None

    # -- calls of the API

    def _call(self, line: Line, session: _Session) -> None:
        message = line.message
        call = part(_CALL.search(message)) or ""
        image = part(_IMAGE_PATH.search(message))
        if image is not None:
            session.offline = image.strip() != _ONLINE
        if "Ending DismApi.dll session" in message:
            self._ended(session, line)
            self._drop(session)
        elif " Leave Dism" in message and session.started and call in _CALLS:
            self._ended(session, line)
            _forget(session)
        elif "Input parameter" in message:
            if session.started:
                self._ended(session, line)
            _forget(session)
            session.kind, session.started = _kind_of_call(call, message), call in _CALLS
            named = [name for name in _CALL_NAMED.findall(message) if name.strip() != "(null)"]
            session.subject = _named(named[:1])
        elif session.kind in (GUESSED, OTHER) and call in _CALLS and "(hr:" in message:
            session.kind = _CALLS[call]

    # -- which session a line is of

    def _session_of(self, line: Line) -> _Session | None:
        """By its process. One that is new is the host of the session that has begun and has none yet."""
        message = line.message
        pid = part(_PID.search(message[:120]))
        known = next((one for one in reversed(self._open) if pid in one.pids), None)
        if known is not None:
            return known
        if "API: " in message[:12]:
            session = self._begin(line)
            session.api, session.kind = True, OTHER
            session.pids.add(pid or "")
            return session
        if not message.startswith(_OF_THE_HOST):
            return self._current or self._of_a_cut_log(line)
        waiting = [one for one in self._open if not one.bound]
        near = [one for one in waiting if _is_near(one, line)]
        if waiting:
            # One that was ended by force waits for ever.
            session = near[0] if near else waiting[-1]
        elif pid is None and self._current is not None:
            session = self._current
        elif _is_error(line):
            session = self._begin(line)
        else:
            return None
        session.bound = True
        if pid is not None:
            session.pids.add(pid)
        return session

    def _of_a_cut_log(self, line: Line) -> _Session | None:
        """A session of which nothing was quoted but what it failed with: an image, or a provider that could not be loaded."""
        code = _code_of(line.message) or 0
        on_an_image = hresult.is_image_code(code) and code != _NOT_MOUNTED
        if not _is_error(line) or not (on_an_image or _NOT_LOADED.search(line.message)):
            return None
        session = self._begin(line)
        session.offline = on_an_image
        return session

    # -- what went wrong

    def _error(self, line: Line, session: _Session) -> None:
        message = line.message
        _learn(session, message, (self._asked,) if self._asked else self._features)
        code = _code_of(message)
        if _NOT_LOADED.search(message):
            session.not_loaded = session.not_loaded or code
        elif _UNSUPPORTED.search(message):
            code = session.not_loaded or code
        rank = _rank(message, code)
        if rank == 0 and not (session.offline and _ends_a_command(message)):
            return
        if code is not None and is_failure(code):
            session.codes.append(code)
        if code in _NOT_THERE and _OPENING.search(message):
            session.mistaken = True
        if rank >= session.rank or session.failure is None:
            session.failure, session.code, session.rank = line, code, rank
        if rank == _FINAL and message.startswith("DISM.EXE:"):
            session.closing = session.told = True
            if not session.started:
                # Its beginning is not there, so its end may be missing, too.
                self._drop(session)
                self._failed(session)

    def _ended(self, session: _Session, line: Line) -> None:
        """A command has come to its end: without an error it went well."""
        if session.failure is not None or session.mistaken or session.offline or not session.started:
            self._failed(session)
        elif session.kind == RESTORE:
            self._emit(self._seen(line, "store", NOTHING, "dism", outcome=OK, marker="store_repaired"))
        else:
            if session.kind in (INSTALL, CLEANUP):
                self._emit(self._seen(line, "install", session.subject, "dism", outcome=OK))
            self._put_right(session, line)

    def _put_right(self, session: _Session, line: Line) -> None:
        """Where a name was mistyped and the same command went well with the right one, nothing is left to do."""
        if self._unknown is None:
            return
        mistyped, time = self._unknown
        soon = time is not None and line.time is not None and 0 <= line.time - time <= _PUT_RIGHT_S
        if soon and session.kind == mistyped.kind and _is_mistyped(mistyped.subject.name or "", session.subject.name or ""):
            self._emit(self._seen(line, "install", mistyped.subject, "dism", outcome=OK))
            self._unknown = None

    def _failed(self, session: _Session) -> None:
        line, code = session.failure, _telling(session)
        if line is None:
            return
        related = tuple(dict.fromkeys(session.codes))[:_MAX_RELATED]
        if session.offline:
            seen = self._seen(line, "offline", _of_an_image(session, code), "dism", marker="offline_image")
            self._emit(replace(seen, related=related))
            return
        if code is None or not is_failure(code) or session.mistaken or code in _MISTAKES or session.kind == OTHER:
            return
        if session.kind == REMOVE and code != _UNKNOWN_NAME and not routing.is_damage_code(code):
            return
        if code == _UNKNOWN_NAME:
            self._unknown = (replace(session), line.time)
        outcome = FAILED
        if code in _CANCELLED:
            outcome = CANCELLED
        damaged = session.kind in (RESTORE, SCAN)
        subject = session.subject
        if _shows_damage(session, code):
            # What was to be taken away or cleaned is not what is damaged.
            damaged, subject = True, NOTHING
        layer = layer_of(code, "", repair=damaged)
        # What it met on the way, such as a /Source that is no folder, says nothing alone and a lot beside the result.
        beside = tuple(one for one in related if one not in (code, E_FAIL))
        self._tell(replace(self._seen(line, layer, subject, "dism", code=code, outcome=outcome), related=beside))

    def _tell(self, seen: Observation) -> None:
        if seen.time is None and not (seen.name or seen.kb) and len(self._nameless) < _MAX_SESSIONS:
            self._nameless.append(seen)
            return
        self._emit(seen)


_OF_THE_HOST = ("DISM Package Manager:", "DISM Image Session:")
_BY_THE_WAY, _GIVEN_UP, _FINAL = 1, 2, 3


def _is_error(line: Line) -> bool:
    """By its level; where a paste has lost it, by its words."""
    if line.level:
        return line.is_error or "(CBS HRESULT=" in line.message
    words = ("Failed", "but failed", "(CBS HRESULT=", "No providers were found that support")
    return any(said in line.message for said in words)


def _code_of(message: str) -> int | None:
    bare, named = _HRESULT_BARE.search(message), _HR.search(message)
    if bare is not None:
        return to_code(bare.group(1))
    return None if named is None else to_code(named.group(1) or named.group(2))


def _rank(message: str, code: int | None) -> int:
    """How much a line decides: the end of a command, its giving up, an error on the way. Providers probe for what may be missing: 0."""
    if _DONE_IN_VAIN.search(message):
        return _FINAL
    if code is not None and message.startswith("DISM.EXE:"):
        return _FINAL
    if message.startswith(("DISM Package Manager:", "API:", "DISM API:")):
        return _GIVEN_UP if code is not None and "(CBS HRESULT=" not in message else _BY_THE_WAY * (code is not None)
    return 0


def _is_mistyped(name: str, right: str) -> bool:
    """Whether one name may be the other with a slip of the finger: NetFx3 is no slip of NetFx35."""
    if not name or not right or re.sub(r"\D", "", name) != re.sub(r"\D", "", right):
        return False
    typed, meant = Counter(name.lower()), Counter(right.lower())
    return ((typed - meant) | (meant - typed)).total() <= _MOST_MISTYPED


def _shows_damage(session: _Session, code: int) -> bool:
    """Whether a command that brings nothing failed for the store itself."""
    if session.kind == CLEANUP and code == _SOURCE_MISSING:
        return True
    return session.kind in (CLEANUP, REMOVE) and routing.is_damage_code(code)


def _kind_of_call(call: str, parameters: str) -> str:
    """What a call of the API is for."""
    if call == "EnableDisableFeature" and not _ENABLES.search(parameters):
        return REMOVE
    return _CALLS.get(call, OTHER)


def _ends_a_command(message: str) -> bool:
    return message.startswith("DISM.EXE:") or "ExecuteCmdLine" in message


def _telling(session: _Session) -> int | None:
    """The code of the result; where that is E_FAIL, the first one that says more."""
    if session.code not in (None, E_FAIL):
        return session.code
    return next((code for code in session.codes if code != E_FAIL), session.code)


def _learn(session: _Session, message: str, features: tuple[str, ...]) -> None:
    """What an error says of the command itself."""
    if session.kind == GUESSED:
        _guess(session, message, features)
    opened = part(_OPENED.search(message)) or kb_of(message)
    if opened is not None and session.subject == NOTHING:
        session.subject = _named([opened])
    manager = part(_PROCESSED.search(message))
    if manager not in (None, "DISM Package Manager") and not session.offline:
        session.kind = OTHER
    if "Failed to access the image folder" in message:
        session.offline = True
    unsupported = _UNSUPPORTED.search(message)
    if unsupported:
        # A typing error, unless the provider that knows the command is what is lacking.
        session.mistaken = session.not_loaded is None
        session.kind = _COMMAND_WORDS.get((unsupported.group(1) or "").lower(), session.kind)


def _guess(session: _Session, message: str, features: tuple[str, ...]) -> None:
    """What a command was whose beginning is not in the log, by what its errors say."""
    if _OF_A_REPAIR.search(message):
        session.kind = RESTORE
        return
    word = part(_DONE_IN_VAIN.search(message)) or ""
    if word in _COMMAND_WORDS:
        session.kind = _COMMAND_WORDS[word]
    if not word.endswith("-feature") or session.subject != NOTHING:
        return
    if len(features) == 1:
        # What lists features tells of hundreds.
        session.subject = _named(list(features))
    elif word == "enable-feature" and _code_of(message) in NO_SOURCE:
        session.subject = Subject(SOME_FEATURE)


def _of_an_image(session: _Session, code: int | None) -> Subject:
    """What a command on an image was about; the code stands in for a name that nothing tells."""
    if session.subject == NOTHING and code:
        return Subject(hresult.hex_of(code))
    return session.subject


def _forget(session: _Session) -> None:
    """The next call of the same user is another command."""
    session.kind, session.started, session.subject, session.mistaken = OTHER, False, NOTHING, False
    session.failure, session.code, session.rank, session.codes = None, None, 0, []


def _is_near(session: _Session, line: Line) -> bool:
    return session.began is None or line.time is None or abs(line.time - session.began) <= _BINDS_S


def _named(found: list[str]) -> Subject:
    """Names of features, or of packages without their folders."""
    names = [re.split(r"[\\/]", name.strip())[-1] for name in found]
    together = clean(", ".join(name for name in names if name and name != "(null)"), 150)
    return Subject(together or None, kb_of(together))
