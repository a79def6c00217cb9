# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: what the component store (CBS, CSI) logs.

The stack logs nearly every lookup that finds nothing as `Failed to ... [HRESULT = ...]`, healthy hosts by the hundred.
So a line counts for what it is, not for the code in it:

* a verdict closes an operation: a finalised session, a processed package, a repair's summary, what DISM.EXE ends with;
* damage is what was found broken in the component store: `[SR] Cannot repair`, a summary's `(p)` line, a mark on it;
* an error on the way (level Error, or an execution step that gives up) counts only while the operation around it did
  not succeed after all;
* of a set-up only the final result is a failure of the upgrade (marker `final`): set-ups that end well log errors, too, so
  those have the marker `on_the_way`.

All else is noise. Only beside damage are the codes in it named, for somebody will search for them.
"""

from __future__ import annotations

import re
from dataclasses import replace

from .. import hresult
from ..observation import OK, SOME_DRIVER, Observation
from .checksur import damage_of
from .records import NOT_APPLICABLE, PROOFS, Collector, clean, is_failure, part
from .sfc import SystemFiles
from .stack import (
    ANY_HEX,
    E_FAIL,
    INSTALLER,
    NOTHING,
    QUOTE,
    REPAIR,
    Line,
    Reader,
    Subject,
    layer_of,
    searched,
    subject_of,
)

_HRESULT = re.compile(r"\[HRESULT = (0x[0-9a-fA-F]{8})")
# Vista and Server 2008 end a line so; they log lookups at level Error, too, so only what a step gives up with counts.
_OLD_HRESULT = re.compile(r"\bhr: ?(0x[0-9a-fA-F]{8})\b")
_GLE = re.compile(r"\[gle=(0x[0-9a-fA-F]{8})")
_ERROR_CODE = re.compile(r"\bwith error code ([0-9]{1,5})\b")
_FROM_WIN32 = re.compile(r"HRESULT_FROM_WIN32\((?:ERROR_[A-Z_]{1,60}|([0-9]{1,5}))\)")
_OF_INSTALLER = re.compile(r"HRESULT_FROM_WIN32\((ERROR_[A-Z_]{1,60}|[0-9]{1,5})\)")
# CSI writes the number of a status that it has no name for: `(F) c0000242 [Error,Facility=(system),Code=578 (0x0242)]`.
_NUMBERED = re.compile(r"\(F\) ([89c][0-9a-f]{7}) \[Error", re.I)
# The source of an installer's plug-in, which looks up nothing that may be missing.
_PLUGIN = "wcp\\plugins\\"
_STATUS_NAME = re.compile(r"\b(STATUS_[A-Z_0-9]{4,60})\b")
_CATEGORY = re.compile(r"category \[[^\]]{1,20}\]['\"]([A-Za-z]{1,60})['\"]")
_SESSION = re.compile(r"[Ss]ession[^:]{0,40}: ?([0-9]{4,12}_[0-9]{1,12})")
_INSTALLER_CODE = re.compile(r"(?:HRESULT ?=?|ErrorCode:) ?(?:0x)?([89c][0-9a-f]{7})\b", re.I)
_NEW_STACK = re.compile(r"requires (?:newer servicing stack|Servicing Stack v)", re.I)
_ORIGINAL = re.compile(r"Setting original failure status: (0x[89cC][0-9a-fA-F]{7})\b")
_STATUS = re.compile(r"\b(?:status|hrStatus|result): (0x[0-9a-fA-F]{1,8})\b")
_NUMBER = re.compile(r"(Total (?:Detected|Repaired) Corruption|Operation result):\s{0,8}(0x[0-9a-fA-F]{1,8}|0|[1-9][0-9]{0,8})\b")

_NT_NAMES = {
    "STATUS_ACCESS_DENIED": 0xC0000022,
    "STATUS_CRC_ERROR": 0xC000003F,
    "STATUS_DEVICE_DATA_ERROR": 0xC000009C,
    "STATUS_IO_DEVICE_ERROR": 0xC0000185,
    "STATUS_OBJECT_NAME_NOT_FOUND": 0xC0000034,
    "STATUS_OBJECT_PATH_NOT_FOUND": 0xC000003A,
    "STATUS_SHARING_VIOLATION": 0xC0000043,
    "STATUS_DISK_FULL": 0xC000007F,
    "STATUS_FILE_CORRUPT_ERROR": 0xC0000102,
    "STATUS_REQUEST_OUT_OF_SEQUENCE": 0xC000042A,
    "STATUS_SXS_ASSEMBLY_NOT_FOUND": 0xC0150004,
    "STATUS_SXS_COMPONENT_STORE_CORRUPT": 0xC015001A,
}
# Nobody searches for these: a package asked for is not there, as healthy hosts log all day (CBS_E_INVALID_PACKAGE,
# CBS_E_MANIFEST_INVALID_ITEM), or all went well (ERROR_SUCCESS_REBOOT_REQUIRED).
_NOT_TOLD = (0x800F0805, 0x800F080D, 0x80070BC2)
# CBS_E_STORE_CORRUPTION: that a manifest is missing is a mark on the store, and told at level Info.
_STORE_CORRUPT = 0x800F0831
# ERROR_SXS_ASSEMBLY_MISSING: the operation ends with it. Of a log that somebody quotes, the line that names the package is often all.
_ASSEMBLY_MISSING = 0x80073701
# ERROR_FAIL_REBOOT_REQUIRED: the stack takes nothing before a restart. It says so at level Info, and often nothing else was quoted.
_RESTART_FIRST = 0x80070BC9
# With these a start ends that wants another one.
_RESTARTS = (0x80070BC2, _RESTART_FIRST)
# `(F) Component marked deleted and is no longer available for: [l:77 ml:140]'amd64_lab-assistant_31bf3856ad364e35_10.0.26100.1_none_...'`
_DELETED = re.compile(r"Component marked deleted\b[^\[\r\n]{0,80}(?:\[[^\]]{1,40}\] ?)?['\"]([^'\"\r\n]{3,200})['\"]")
# CSI looks for values of the registry that need not be there.
_LOOKUP = re.compile(r"::DirectRegistryProvider::|::CKey::|SysQueryValueKey")
_FILE_NOT_FOUND = (0x80070002, 0x80070003)
# ERROR_ADVANCED_INSTALLER_FAILED: why stands in the line of the installer.
_INSTALLER_FAILED = 0x80073713
# Files of the store. What else is looked for and not there is only lacking for what was being installed.
_STORE_FILE = re.compile(r"\\(?:WinSxS|servicing)\\", re.I)
_SOUGHT = re.compile(r"[\"'](?:\\\?\?\\)?((?:[A-Za-z]:|\\Device\\HarddiskVolume[0-9]{1,3})\\[^\"'\r\n]{1,300})[\"']")
# These say without an error's level that the store is damaged.
_CORRUPT_PACKAGE = ("Store corruption, ", "Mark store corruption flag")
_DAMAGED_BY_CODE = (0x80073712, 0x80073715, 0x800736CC, 0x800F0983, 0x800F0984, 0x800F0991)
# Level Error, and yet only the window of whoever asked that went away.
_TALK = ("UI handler", "SQM: ", "Logged @")
# So the reports below begin up to Server 2012 R2.
_OLD_REPORT = "SQM: Reporting "
# Whether a package fits or is there is asked of many that are not: of a service pack that went in long ago at every scan of Windows 7.
# Another answer than that something is not there (0x80070057 of a version, 0x80073712) tells of a damaged store.
_QUESTION = re.compile(r"Failed to (?:check (?:whether|if)\b|(?:call |evaluate |determine )[^\[]{0,40}applicab)", re.I)
# An installer that Windows does not rely on, or that failed while all was taken back: the queue goes on.
_QUEUE_ITEM = "Failed execution of queue item Installer: "
_IGNORED, _NOT_IGNORED = "Failure will be ignored", "Failure will not be ignored"
# `Startup: Failed to process advanced operation queue, startupPhase: 0.  A rollback transaction will be created. [HRESULT = 0x800f0922 ...`
_TO_ROLL_BACK = "rollback transaction will be created"
# What a start after a restart brought each package to: `... completed startup processing, new state: Installed, original: Staged,
# targeted: Installed.  hr = 0x0`.
_STARTED_UP = re.compile(
    r"Startup: Package: .{3,300} completed startup processing, new state: ([A-Za-z ]{3,30}), original: ([A-Za-z ]{3,30}), "
    r"targeted: ([A-Za-z ]{3,30})\.\s{1,4}hr = (0x[0-9a-fA-F]{1,8})\b"
)
# Steps of the executor; a lookup seldom has such a prefix, but `Exec: Failed to read AutoRepairNeeded.` is one.
_STEP = re.compile(
    r"(?:Exec|Doqe|Doq|Session|Startup|Shtd|Plan|Repr|Aproc|Poqexec): ?Failed(?! to (?:read|query|get|look up|determine|check)\b)"
    r"|Failed to find file: "
)
# What ends an operation, on its own or as a task of maintenance.
_ENDED = ("Exec: Processing complete", "Maint: processing complete")
# What became of a feature of a package: `Reporting selectable update change for package: PACKAGE, update: FEATURE, start: Staged, ...,
# target: Installed, ..., overall result:0x800f0922 (...)`. The end of the session names the package that holds all of Windows' features.
_FEATURE = re.compile(
    r"Reporting selectable update change .{1,300}?, update: ([\w.-]{2,100}), start: ([A-Za-z ]{3,30}), .{0,60}?target: ([A-Za-z ]{3,30}), "
    r".{1,400}?overall result: ?(0x[0-9a-fA-F]{8})"
)
_COMPLETED = "Reporting package change completion for package: "
_REPORTED = ("CheckSur: ", "WER: Generating failure", "Reporting ")
# Why a repair could not fetch what it needs.
_DOWNLOAD = re.compile(r"\b[Dd]ownload (?:[Rr]esult|error): (0x[0-9a-fA-F]{8})\b")
# An error belongs to the session that fails within this time.
_SESSION_S = 3600
_MAX_SESSIONS, _MAX_PENDING = 5000, 300
# Looked for and not there, and maybe not needed.
_WEAK = "lookup"
# A component that was taken out of the store although something needs it.
_GONE = "component_gone"
# ERROR_NOT_FOUND: of packages of all versions it is asked whether they are there.
_NOT_FOUND_CODE = 0x80070490
# An excerpt is no longer; healthy hosts log these all day.
_MOST_QUOTED = 40
_NOT_QUOTED = (0x80070002, 0x80070003, 0x80070490, E_FAIL)
# Lines of one failure come close together.
_ONE_FAILURE_S = 60
_SHOWN = 200
_HYDRATED = re.compile(r"Hydration failed for component ([^,]{1,120}),.{0,300}? on file (?:[^\r\n]{0,200}\\)?([^\\\r\n]{1,120}?) with ")
_REGENERATED = re.compile(r"Failed on regenerating file \[[^\]]{1,40}\]['\"]([^'\"]{1,120})['\"]")
_NOT_FOUND = re.compile(r"Failed to find file: ?([^\s\[]{3,150})")
_FILE_LOOKUP = re.compile(r"FileSystemProvider::|SysCreateFile|CreateFile|QueryAttributes")
_SERVICE = re.compile(r"StartService for \[[^\]]{1,20}\]['\"]([^'\"]{1,80})['\"]")
# Of the drivers that an update brings: `INSTALL index: 55, phase: 2, result 2, inf: flpydisk.inf`; without `result` or with 0 all is well.
_DRIVER_FAILED = re.compile(r"\bindex: [0-9]{1,6}, phase: [0-9]{1,3}, result (?!0\b)[0-9]{1,10}, inf: ([\w.-]{1,80}\.inf)\b", re.I)
# `Doqe: Installing driver Update ID: Package_2_for_KB943899~31bf3856ad364e35~x86~~6.0.2.1~943899-4_RTM_neutral_GDR`.
_DRIVER_OF_UPDATE = "Installing driver Update ID: "
_OF_DRIVERS = re.compile(r"driver (?:updates|operations)|\bDoqe: |failure source: DOQ\b", re.I)
# The queue of driver operations, in the report of a package.
_BY_DRIVERS = "failure source: DOQ,"
# `Pkgmgr: Install Drivers Offline Callback: ERROR: Failed to install driver package 'E:\\drv\\lab.inf'. (Error code (HRESULT) 0x8007001d.)`
# Pages make another sign of the x, too.
_PKGMGR_DRIVER = re.compile(
    rf"\bFailed to (?:stage|install|import|add) (?:the )?driver(?: package)? {QUOTE}(?:[^'\"\u2018\u2019\r\n]{{0,300}}[\\/])?"
    rf"([^'\"\u2018\u2019\\/\r\n]{{1,100}}\.inf){QUOTE}", re.I
)
_PKGMGR_CODE = re.compile("\\b0[x\u00d7]([89c][0-9a-f]{7})\\b", re.I)
_MOST_DRIVERS = 50


class Store(Reader):
    """CBS and CSI, which find files that SFC is told of, too."""

    def __init__(self, out: Collector, files: SystemFiles, *, host: bool) -> None:
        super().__init__(out)
        self._files = files
        self._host = host
        self._pending: list[Observation] = []
        self._packages: dict[str, Subject] = {}
        self._repairs: set[str] = set()
        self._named_beside: dict[int, Subject] = {}
        self._pinned: Observation | None = None
        self._summary: dict[str, int] = {}
        self._last_damage = NOTHING
        # A file that could not be put together is named in the line after.
        self._nameless: Observation | None = None
        # A rollback is told by its code, where one is found.
        self._rollback: Observation | None = None
        self._coded: Observation | None = None
        self._failed_sessions: set[tuple[str, int]] = set()
        # The features that a session could not bring in or out, by the code.
        self._features: dict[int, str] = {}
        # The first package of a session that was reported to have failed, by the code.
        self._completed: dict[int, Subject] = {}
        self._failed_driver: str | None = None
        self._refused: set[str] = set()
        self._driver_update = NOTHING
        # Why a restart is to try again, and whether it is a rollback that it comes back from.
        self._original: Observation | None = None
        self._rolls_back = False
        # Whether the queue stops for an installer; whether what a start went through was brought in, and whether all of it went well.
        self._queue_stops = False
        self._brought_in, self._all_well = False, True
        self._stayed: tuple[int, Subject] | None = None
        # The installer whose lines are read, and the component that it works for; those that stopped the queue, and that ended well since.
        self._installer: str | None = None
        self._last_installer: str | None = None
        self._works_for: str | None = None
        self._stopped_by: set[str] = set()
        self._ended_well: set[str] = set()
        # What a repair mended is history where it mended all, and no damage where it did not.
        self._fixed: list[Observation] = []
        # What gave up at level Info, by its code, and how many lines there are in all.
        self._given_up: dict[int, list[Observation]] = {}
        self._lines = 0

    def close(self) -> None:
        """No more lines: what no success survived has failed."""
        self._keep_original()
        if self._rollback is not None:
            # That it failed, the rollback says better.
            self._pending = [seen for seen in self._pending if seen.code != E_FAIL]
        self._settle(succeeded=False, ended=False)
        self._rolled_back()
        self._files.close()
        if self._nameless is not None:
            self._emit(self._nameless)
        # A look keeps no line of a success: what is alone there need not have been so in the file.
        if self._pinned is not None and not self._host and not self._out.result():
            self._emit(self._pinned)
        self._tell_quoted()

    def _tell_quoted(self) -> None:
        """Of a quotation in which most lines give up with one code, that code: nobody quotes what hinders nothing."""
        if self._host or self._lines > _MOST_QUOTED or not self._given_up or self._out.result():
            return
        told = max(self._given_up.values(), key=len)
        if 2 * len(told) > self._lines:
            named = next((seen for seen in told if seen.name or seen.kb), told[0])
            self._emit(replace(named, first=told[0].time))

    def _settle(self, *, succeeded: bool, session: Subject = NOTHING, time: int | None = None, ended: bool = True) -> None:
        """End an operation: its errors count unless it succeeded, and are about what it was about unless they say it."""
        pending, self._pending = self._pending, []
        self._queue_stops = False
        if succeeded:
            self._pinned = None
        if ended or not any(seen.marker != _WEAK for seen in pending):
            # Nothing says that what is not there was needed; where a result is known, that tells more.
            pending = [seen for seen in pending if seen.marker != _WEAK]
        if not succeeded:
            self._give_up(pending, session, time)
        self._named_beside.clear()

    def _keep(self, seen: Observation) -> None:
        """Remember an error until its operation has ended. The stack repeats itself, so what is alike is kept once."""
        last = self._pending[-1] if self._pending else None
        if last is not None and (seen.code, seen.name, seen.kb, seen.marker) == (last.code, last.name, last.kb, last.marker):
            more = 0 if _is_near(seen.time, last.time) else seen.count
            seen = replace(seen, count=last.count + more, first=last.first or last.time)
            self._pending.pop()
        elif len(self._pending) >= _MAX_PENDING:
            self._pending.pop(0)
        self._pending.append(seen)

    def _give_up(self, pending: list[Observation], session: Subject, time: int | None) -> None:
        """Tell of what failed. The stack gives up from the inside out, so lines that come close together are one try."""
        installer = _installer(pending)
        beside = {seen.code: Subject(seen.name, seen.kb) for seen in reversed(pending) if seen.name or seen.kb}
        # The end of a session counts as the try; without dates all of it is one.
        before = time
        file = next((seen for seen in pending if seen.layer == "store" and seen.name and seen.code in _FILE_NOT_FOUND), None)
        for place, seen in enumerate(pending):
            named = seen
            if file is not None and seen.code == file.code and not (seen.name or seen.kb):
                # What gives up for a file of the store is about that file, which may be an older update's, and not the session's.
                named = replace(seen, layer="store", name=file.name, kb=file.kb)
            named = self._with_subject(named, session, time)
            if named.marker == _WEAK:
                named = replace(named, marker=None)
            if not (named.name or named.kb):
                other = beside.get(named.code, Subject(installer if named.layer == "install" else None))
                named = replace(named, name=other.name, kb=other.kb)
            if named.code in _FILE_NOT_FOUND and (named.kb or (session.name and named.name == session.name)):
                # No renewed cache of the agent brings it back.
                named = replace(named, layer="store")
            if (place or before is not None) and _is_near(named.time, before):
                named = replace(named, count=max(0, named.count - 1))
            before = named.time
            self._fail(named)

    def _rolled_back(self, line: Line | None = None) -> None:
        """Tell of the last rollback, if no code was found for it; a line is that of the next one."""
        if self._rollback is not None:
            self._emit(self._rollback)
        self._rollback = None
        if line is not None and not (self._coded and _is_within(self._coded.time, line.time)):
            self._rollback = self._seen(line, "install", marker="rolled_back")

    def _fail(self, seen: Observation) -> None:
        """Tell of a failure with its code: a rollback near it is its end."""
        self._coded = seen
        if self._rollback is not None and _is_within(self._rollback.time, seen.time):
            self._rollback = None
        self._emit(seen)

    def _with_subject(self, seen: Observation, session: Subject, time: int | None) -> Observation:
        if seen.kb:
            return seen
        near = session if _is_within(seen.time, time) else NOTHING
        if seen.name and not (seen.name.startswith("Wrapper-") and near.name):
            return replace(seen, kb=near.kb)
        if seen.code in self._named_beside:
            # `Failed to pin deployment while resolving Update: PACKAGE [HRESULT = X]`, then `Failed to perform operation. [HRESULT = X]`.
            beside = self._named_beside[seen.code]
            if near.name and ((beside.name or "").startswith("Wrapper-") or beside.name == near.name):
                # A name that Windows makes up for a part of the package; or the package itself, whose end names its KB as well.
                beside = near
            return replace(seen, name=beside.name, kb=beside.kb)
        return replace(seen, name=near.name, kb=near.kb)

    def line(self, line: Line) -> None:
        message = line.message
        self._lines += 1
        if "[SR]" in message:
            self._files.line(line)
        elif message.startswith("("):
            self._damage(line)
        elif message.startswith("Repair failed"):
            # It speaks of the damage in the line above.
            self._emit(self._seen(line, "store", self._last_damage, marker="repair_failed"))
        elif message.startswith(_CORRUPT_PACKAGE) or (line.is_error and _CORRUPT_PACKAGE[1] in message):
            self._emit(self._seen(line, "store", subject_of(message), code=_STORE_CORRUPT))
        elif message.startswith("Pkgmgr: "):
            self._driver_refused(line)
        elif line.component == "CSI":
            if line.is_error or (not line.level and " (F) " in message):
                self._csi(line)
        elif message.startswith(_OLD_REPORT):
            self._package_manager(line._replace(message=message.removeprefix("SQM: ")))
        elif not message.startswith(_TALK) and "UI handler" not in message:
            self._package_manager(line)

    def _damage(self, line: Line) -> None:
        damage = damage_of(line.message)
        if damage is not None:
            self._last_damage = damage.subject
            seen = self._seen(line, "store", damage.subject, marker=damage.marker, code=damage.code)
            if "(Fixed)" not in line.message:
                self._emit(seen)
            elif len(self._fixed) < _MAX_SESSIONS:
                self._fixed.append(seen)

    def _csi(self, line: Line) -> None:
        message = line.message
        if "Logged @" in message:
            return
        if _IGNORED in message and line.times == 1:
            # Of several alike a host sends the last: the first may have stopped the queue, and this be its way back.
            self._ignored(line)
            return
        self._queue_stops = self._queue_stops or _NOT_IGNORED in message
        gle = telling = searched(_GLE, message)
        if gle == E_FAIL:
            # CSI ends nearly every message with it; beside a marker it says nothing and would only hide the marker.
            self._out.aside(gle)
            telling = None
        marker = _csi_marker(message)
        if marker:
            self._mark(line, marker, telling)
            return
        deleted = _DELETED.search(message)
        if deleted:
            self._keep(self._seen(line, "store", Subject(clean(deleted.group(1), 150)), marker=_GONE))
            return
        code = telling
        if code is None:
            code = _csi_code(message)
        regenerated = _REGENERATED.search(message)
        if regenerated:
            self._files.cannot_repair(line, regenerated.group(1))
            return
        if code is None or not is_failure(code):
            return
        # One fault has one code in every log.
        self._csi_error(line, hresult.nt_to_win32(code))

    def _ignored(self, line: Line) -> None:
        """The queue goes on without an installer: what it said of itself just before is no failure, where nothing stopped the queue."""
        code = searched(_OF_INSTALLER, line.message) or searched(ANY_HEX, line.message)
        if not self._queue_stops:
            self._pending = [seen for seen in self._pending if seen.code != code or not _is_near(seen.time, line.time)]

    def _csi_error(self, line: Line, code: int) -> None:
        message = line.message
        subject, layer = self._stopper(message), _layer_of_installer(code, message)
        if INSTALLER.search(message) and any(seen.code == code and INSTALLER.search(seen.line) for seen in self._pending):
            # The queue tells once more of the installer that failed inside of it.
            return
        if _LOOKUP.search(message):
            return
        if subject == NOTHING and self._follows_a_gone_component(line, code):
            return
        if code not in _FILE_NOT_FOUND:
            if _STORE_FILE.search(message) and "SysReadFile" in message:
                # A file of the store that is there and cannot be read: the disk, or its compression (WOF).
                subject, layer = Subject(_sought(message) or subject.name, subject.kb), "store"
            self._keep(self._seen(line, layer, subject, code=code))
        elif _STORE_FILE.search(message):
            self._keep(self._seen(line, "store", Subject(_sought(message) or subject.name, subject.kb), code=code))
        else:
            weak = _WEAK if _FILE_LOOKUP.search(message) else None
            name = subject.name or _sought(message) or part(_SERVICE.search(message))
            self._keep(self._seen(line, "install", Subject(name, subject.kb), code=code, marker=weak))

    def _stopper(self, message: str) -> Subject:
        """What a message of CSI names. The queue names the installer that stopped it, below the lines of its work."""
        subject = subject_of(message)
        if subject.name is not None and subject.name == self._last_installer and _QUEUE_ITEM in message:
            subject = subject._replace(name=self._of_a_component(subject.name))
        if subject.name is not None and _NOT_IGNORED in message and len(self._stopped_by) < _MAX_SESSIONS:
            self._stopped_by.add(subject.name)
            self._ended_well.discard(subject.name)
        return subject

    def _follows_a_gone_component(self, line: Line, code: int) -> bool:
        """Whether CSI gives up for the component that it has just missed: that one is the failure, and the code is told beside it."""
        last = self._pending[-1] if self._pending else None
        if last is None or last.marker != _GONE or not _is_near(last.time, line.time):
            return False
        self._out.aside(code)
        return True

    def installer_begins(self, name: str, component: str | None) -> None:
        """An installer works for a component that is brought in, or at the end for all of them."""
        self._installer = self._last_installer = name
        self._works_for = component

    def installer_ended(self, line: Line, *, well: bool) -> None:
        """An installer within an operation has ended. Where it did not end well and the queue gives up for it, that is the same failure."""
        name, self._installer = self._of_a_component(self._installer), None
        if well and name in self._stopped_by:
            self._ended_well.add(name)
        code = None if well else searched(_OF_INSTALLER, line.message) or searched(ANY_HEX, line.message)
        if code is not None and is_failure(code) and code not in (*_FILE_NOT_FOUND, _INSTALLER_FAILED):
            layer = layer_of(code, "")
            self._keep(self._seen(line, "install" if layer == "service" else layer, Subject(name), code=code))

    def _of_a_component(self, installer: str | None) -> str | None:
        """An installer with the component that it works for: there are few installers, and each works for many."""
        if installer is None or self._works_for is None:
            return installer
        return f"{installer} of {self._works_for}"

    def _mark(self, line: Line, marker: str, code: int | None) -> None:
        """A mark on the store, which names no file, and the file that could not be put together."""
        hydrated = _HYDRATED.search(line.message)
        if hydrated:
            self._last_damage = Subject(clean(f"{hydrated.group(2)} of {hydrated.group(1)}", 150))
            self._nameless = None
        elif "Hydration failed" in line.message:
            if self._nameless is not None:
                self._emit(self._nameless)
            self._nameless = self._seen(line, "store", marker=marker, code=code)
            return
        subject = subject_of(line.message)
        if subject == NOTHING and marker == "payload_corrupt":
            subject = self._last_damage
        self._emit(self._seen(line, "store", subject, marker=marker, code=code))

    def _package_manager(self, line: Line) -> None:
        message = line.message
        total = _NUMBER.match(message)
        if total:
            self._total(line, total.group(1), total.group(2))
            return
        if message.startswith("Setting ExecuteState key to: CbsExecuteState") and "Rollback" in message:
            # What failed before it has failed. E_FAIL alone says nothing, and a better code may follow.
            self._rolls_back = True
            self._keep_original()
            nothing = [seen for seen in self._pending if seen.code == E_FAIL]
            self._pending = [seen for seen in self._pending if seen.code != E_FAIL]
            self._settle(succeeded=False)
            self._pending = nothing
            self._rolled_back(line)
            return
        if message.startswith("Clearing original failure status"):
            self._cleared()
            return
        if message.startswith("Startup: P") and self._starts_up(line):
            return
        if message.startswith("Startup: Failed while processing non-critical"):
            return
        self._failed_driver = part(_DRIVER_FAILED.search(message)) or self._failed_driver
        subject = self._subject(message)
        session = self._remember(message, subject)
        fetched = searched(_DOWNLOAD, message)
        if is_failure(fetched):
            self._emit(self._seen(line, "download", subject, code=fetched))
        code = _code_of(message)
        if message.startswith(_ENDED) or (message.startswith("Session: ") and " finalized" in message):
            if code is not None:
                self._verdict(line, code, session or "", subject)
        elif message.startswith(_REPORTED) and (_STATUS.search(message) or _FEATURE.match(message)):
            self._reported(line, subject)
        else:
            self._step(line, code, subject)

    def _subject(self, message: str) -> Subject:
        """What a line names; the drivers that an update brings are named above the line that gives up."""
        subject = subject_of(message)
        if _DRIVER_OF_UPDATE in message:
            self._driver_update = subject
        if subject != NOTHING or not _OF_DRIVERS.search(message):
            return subject
        return Subject(self._failed_driver) if self._failed_driver else self._driver_update

    def _remember(self, message: str, subject: Subject) -> str | None:
        """The session that a line names; what it is about, and whether it repairs, is kept for its end."""
        session = part(_SESSION.search(message))
        if session is None or len(self._packages) > _MAX_SESSIONS:
            return session
        if subject.name or subject.kb:
            self._packages[session] = subject
        if REPAIR.search(message):
            self._repairs.add(session)
        return session

    def _reported(self, line: Line, subject: Subject) -> None:
        feature = _FEATURE.match(line.message)
        code = int(feature.group(4), 16) if feature else searched(_STATUS, line.message)
        if code is None or not is_failure(code) or code == NOT_APPLICABLE:
            return
        if feature is not None:
            # A feature that was to stay as it is did not fail; one that did is what the session was for.
            if feature.group(2) != feature.group(3):
                self._features.setdefault(code, feature.group(1))
            return
        if code in self._features:
            subject = Subject(self._features[code])
        if _BY_DRIVERS in line.message:
            subject = Subject(self._failed_driver or f"{SOME_DRIVER} of {subject.name}", subject.kb)
        if line.message.startswith("WER: ") and any(seen.code == code for seen in self._pending):
            # It names the package of what failed above it.
            self._settle(succeeded=False, session=subject, time=line.time)
        if subject.name and line.message.startswith(_COMPLETED):
            self._completed.setdefault(code, subject)
        seen = self._seen(line, _layer_of_step(code, line.message), subject, code=code)
        self._fail(replace(seen, count=0) if self._is_told(seen, "", code) else seen)

    def _step(self, line: Line, code: int | None, subject: Subject) -> None:
        """A line in the middle of an operation."""
        self._queue_stops = self._queue_stops or _TO_ROLL_BACK in line.message
        original = searched(_ORIGINAL, line.message)
        if original is not None:
            self._originally(line, original, subject)
            return
        if code is None or not is_failure(code) or code == NOT_APPLICABLE:
            return
        if code == _STORE_CORRUPT and "store corruption" in line.message.lower():
            self._emit(self._seen(line, "store", subject, code=code))
            return
        stack = _NEW_STACK.search(line.message)
        if _QUESTION.match(line.message) and code in _NOT_QUOTED:
            self._out.aside(code)
            return
        if line.is_error or stack or _STEP.match(line.message) or code in _DAMAGED_BY_CODE:
            if stack:
                # Both versions stay in what is shown of the line.
                line = line._replace(message=line.message[max(0, min(stack.start(), len(line.message) - _SHOWN)) :])
            if subject == NOTHING:
                subject = Subject(part(_NOT_FOUND.search(line.message)))
            seen = self._seen(line, _layer_of_step(code, line.message), subject, code=code)
            self._keep(replace(seen, marker=_marker_of_step(code, line.message, is_new_stack=stack is not None)))
            return
        if code in _NOT_TOLD:
            return
        self._out.aside(code)
        self._quote(line, code, subject)
        if subject.name or subject.kb:
            self._beside(line, code, subject)

    def _quote(self, line: Line, code: int, subject: Subject) -> None:
        """What counts where nothing else was quoted."""
        if code == _RESTART_FIRST and self._pinned is None:
            self._pinned = self._seen(line, "install", subject, code=code)
        if self._lines <= _MOST_QUOTED and code not in _NOT_QUOTED:
            self._given_up.setdefault(code, []).append(self._seen(line, layer_of(code, line.message), subject, code=code))

    def _beside(self, line: Line, code: int, subject: Subject) -> None:
        """What a code was about. The first one is what was looked for; the stack then gives up from the inside out."""
        self._named_beside.setdefault(code, subject)
        if code == _ASSEMBLY_MISSING and self._pinned is None and "pin deployment" in line.message:
            self._pinned = self._seen(line, "install", subject, code=code)

    def _originally(self, line: Line, code: int, subject: Subject) -> None:
        """Why it is rolled back. The errors before it say no more than that it failed; whatever succeeds later, it comes back from that.

        Without a rollback the next start tries again, and clears it where that went well.
        """
        told = self._coded
        self._pending = [seen for seen in self._pending if seen.code not in (E_FAIL, code)]
        if told is None or told.code != code or not _is_near(told.time, line.time) or told.time is None:
            self._original = self._seen(line, _layer_of_step(code, line.message), subject, code=code)
        if self._rolls_back:
            self._keep_original()
            self._settle(succeeded=False)

    def _starts_up(self, line: Line) -> bool:
        """Whether the line tells what a start made of a package; once it has gone through all, the errors on the way mean nothing."""
        package = _STARTED_UP.match(line.message)
        if package is not None:
            new, original, targeted, result = package.groups()
            code, subject = int(result, 16), subject_of(line.message)
            well = new == targeted and code == 0
            self._all_well = self._all_well and well
            if is_failure(code) and self._stayed is None:
                self._stayed = code, subject
            if well and (original, new) == ("Staged", "Installed") and not self._rolls_back:
                # What a rollback brings back was not staged before.
                self._brought_in = True
                self._emit(self._seen(line, "install", subject, outcome=OK))
            elif is_failure(code) and (subject.name or "").startswith("Package_for_"):
                self._start_failed(line, code, subject)
            return True
        if line.message.startswith("Startup: Processing complete"):
            self._start_ended(line, _code_of(line.message))
        return False

    def _start_ended(self, line: Line, code: int | None) -> None:
        """A start after a restart has gone through all that was pending. Whatever comes after it, it failed where its installers did."""
        subject = self._stayed[1] if self._stayed is not None and self._stayed[0] == code else NOTHING
        failed = code if is_failure(code) and code not in _RESTARTS else None
        told = self._coded is not None and _is_within(self._coded.time, line.time)
        if code == 0 and self._all_well and not self._rolls_back:
            self._installers_went_well(line)
        if self._brought_in and self._all_well and code == 0:
            self._settle(succeeded=True)
        elif failed is not None and not self._pending and not told:
            self._start_failed(line, failed, subject)
        elif failed is not None or self._queue_stops:
            self._settle(succeeded=False, session=subject, time=line.time)
        self._brought_in, self._all_well, self._stayed = False, True, None
        self._ended_well.clear()

    def _installers_went_well(self, line: Line) -> None:
        """A start went well, and in it the very installer that had stopped the queue before."""
        for name in sorted(self._ended_well):
            self._stopped_by.discard(name)
            self._emit(self._seen(line, "install", Subject(name), outcome=OK))

    def _start_failed(self, line: Line, code: int, subject: Subject) -> None:
        """A start after a restart did not bring in what was pending; what it failed for may have been told above."""
        self._settle(succeeded=False, session=subject, time=line.time)
        told = self._coded
        if told is None or told.code != code or not _is_within(told.time, line.time):
            self._fail(self._seen(line, layer_of(code, ""), subject, code=code))

    def _keep_original(self) -> None:
        if self._original is not None:
            self._keep(self._original)
        self._original = None

    def _cleared(self) -> None:
        """A start has gone through what was pending."""
        if self._rolls_back:
            self._keep_original()
            self._settle(succeeded=False)
        self._original, self._rolls_back = None, False

    def _verdict(self, line: Line, code: int, session: str, subject: Subject) -> None:
        if not (subject.name or subject.kb):
            subject = self._packages.get(session, NOTHING)
        failed = is_failure(code) and code != NOT_APPLICABLE
        if failed and session in self._repairs:
            self._pending = [_of_repair(seen) for seen in self._pending]
        if failed:
            subject = self._innermost(subject, code)
            if session:
                self._packages[session] = subject
        self._completed.clear()
        # An installer that stops the queue takes its own session, or start, with it: one that went well after it was another.
        if self._queue_stops:
            self._keep_original()
        self._settle(succeeded=not failed and not self._queue_stops, session=subject if failed else NOTHING, time=line.time)
        if failed:
            layer = layer_of(code, line.message, repair=session in self._repairs)
            seen = self._seen(line, layer, subject, code=code)
            if self._is_told(seen, session, code):
                seen = replace(seen, count=0)
            if len(self._failed_sessions) < _MAX_SESSIONS:
                self._failed_sessions.add((session, code))
            self._fail(seen)
        elif code == 0 and (subject.name or subject.kb):
            self._emit(self._seen(line, "install", subject, outcome=OK))

    def _is_told(self, seen: Observation, session: str, code: int) -> bool:
        """Whether its package was told to have failed before, or it was told within the same session."""
        if session and (session, code) in self._failed_sessions:
            return True
        told = self._coded
        if told is None or seen.name is None:
            return False
        return (told.code, told.name) == (code, seen.name) and _is_within(told.time, seen.time)

    def _innermost(self, package: Subject, code: int) -> Subject:
        """The package of a session that failed, or what failed in it: a feature, the installer, or what an error of the same code names."""
        if code in self._features:
            return Subject(self._features.pop(code))
        if code in self._completed and not package.kb and not (package.name or "").startswith("Package_for_"):
            # The session names the package that holds others: all of Windows' features, say.
            return self._completed[code]
        if not (package.name or package.kb):
            return next((Subject(seen.name, seen.kb) for seen in self._pending if seen.code == code and (seen.name or seen.kb)), NOTHING)
        if package.kb and (package.name or "").startswith("Package_for_KB"):
            return package._replace(name=_installer(self._pending) or package.name)
        return package

    def _total(self, line: Line, what: str, text: str) -> None:
        if what == "Operation result":
            code = int(text, 0)
            self._summary = {"result": code}
            if is_failure(code):
                self._emit(self._seen(line, "store", code=code))
            return
        number = int(text, 0)
        if what == "Total Detected Corruption":
            self._summary["detected"] = number
            if number == 0 and self._summary.get("result") == 0:
                # What was repaired need not be told then, and is often cut off.
                self._emit(self._seen(line, "store", outcome=OK, marker=PROOFS[False]))
                self._summary = {}
            return
        detected, result = self._summary.get("detected"), self._summary.get("result")
        fixed, self._fixed = self._fixed, []
        self._summary = {}
        if detected is None:
            return
        if detected <= number:
            for seen in fixed:
                self._emit(seen)
        if detected > number:
            damaged = self._seen(line, "store", marker="store_corrupt")
            self._emit(replace(damaged, line=f"{detected} corruptions found, {number} repaired"))
        elif result == 0:
            # A total of 0 beside an operation that failed says nothing: seen with 0x80070bc9.
            self._emit(self._seen(line, "store", outcome=OK, marker=PROOFS[detected > 0]))

    def _driver_refused(self, line: Line) -> None:
        """A driver package that the package manager of Vista could not add to an image: set-up gave it a folder of drivers."""
        name, code = part(_PKGMGR_DRIVER.search(line.message)), searched(_PKGMGR_CODE, line.message)
        if name is None or name.lower() in self._refused or len(self._refused) >= _MOST_DRIVERS:
            return
        self._refused.add(name.lower())
        self._emit(self._seen(line, "drivers", Subject(name), marker="driver_refused", related=(code,) if is_failure(code) else ()))


def _code_of(message: str) -> int | None:
    """The code that a line ends with."""
    code = searched(_HRESULT, message)
    if code is None and (_STEP.match(message) or message.startswith(_ENDED)):
        code = searched(_OLD_HRESULT, message)
    return code


def _of_repair(seen: Observation) -> Observation:
    """An error within a repair of the store, which installs nothing."""
    if seen.layer != "install" or seen.name or seen.kb:
        return seen
    return replace(seen, layer="store")


def _installer(pending: list[Observation]) -> str | None:
    """The innermost installer that failed."""
    return next((seen.name for seen in pending if seen.layer == "install" and INSTALLER.search(seen.line)), None)


def _is_near(time: int | None, other: int | None) -> bool:
    """Whether two lines are of one failure."""
    return time is None or other is None or abs(time - other) <= _ONE_FAILURE_S


def _is_within(time: int | None, end: int | None) -> bool:
    return time is not None and end is not None and abs(end - time) <= _SESSION_S


def _layer_of_installer(code: int, message: str) -> str:
    """An installer that the stack has lost is what failed, and no service of that name."""
    layer = layer_of(code, message)
    return "install" if layer == "service" and INSTALLER.search(message) else layer


def _layer_of_step(code: int, message: str) -> str:
    """The store misses a file only where one of its own is named; drivers and services have files, too."""
    if code in _FILE_NOT_FOUND and not (message.startswith("Failed to find file") or _STORE_FILE.search(message)):
        return "install"
    # What is damaged there is the driver's own.
    return "install" if _OF_DRIVERS.search(message) else layer_of(code, message)


def _marker_of_step(code: int, message: str, *, is_new_stack: bool) -> str | None:
    if is_new_stack:
        # Its line is shown beside that of the session that failed for it.
        return "newer_stack"
    if code == _NOT_FOUND_CODE and message.startswith("Failed to resolve package '"):
        return _WEAK
    return None


def _sought(message: str) -> str | None:
    """The file that was looked for."""
    file = part(_SOUGHT.search(message))
    return clean(file[-150:], 150) if file else None


def _csi_marker(message: str) -> str | None:
    """What a mark on the store says is damaged."""
    if "Hydration failed" in message:
        return "payload_corrupt"
    if "mark store corrupt" not in message:
        return None
    category = part(_CATEGORY.search(message)) or ""
    if "Payload" in category:
        return "payload_corrupt"
    if "Manifest" in category:
        return "manifest_corrupt"
    return "store_corrupt"


def _csi_code(message: str) -> int | None:
    """The code of a CSI message that does not end with a telling one."""
    if _PLUGIN in message:
        return searched(_OF_INSTALLER, message)
    if INSTALLER.search(message):
        return searched(_INSTALLER_CODE, message) or searched(_OF_INSTALLER, message)
    for pattern in (_ERROR_CODE, _FROM_WIN32, _NUMBERED):
        code = searched(pattern, message)
        if code is not None:
            return code
    return _NT_NAMES.get(part(_STATUS_NAME.search(message)) or "")
