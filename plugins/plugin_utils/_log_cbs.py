# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: what the component store (CBS, CSI) and SFC log.

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

from . import hresult
from ._log_stack import E_FAIL, INSTALLER, NOTHING, REPAIR, Line, Reader, Subject, layer_of, searched, subject_of
from ._records import NOT_APPLICABLE, PROOFS, Collector, clean, failure_or_none, is_failure, kb_of, part, to_code
from .observation import OK, Observation

_HRESULT = re.compile(r"\[HRESULT = (0x[0-9a-fA-F]{8})")
_GLE = re.compile(r"\[gle=(0x[0-9a-fA-F]{8})")
_ERROR_CODE = re.compile(r"\bwith error code ([0-9]{1,5})\b")
_FROM_WIN32 = re.compile(r"HRESULT_FROM_WIN32\((?:ERROR_[A-Z_]{1,60}|([0-9]{1,5}))\)")
_STATUS_NAME = re.compile(r"\b(STATUS_[A-Z_0-9]{4,60})\b")
_CATEGORY = re.compile(r"category \[[^\]]{1,20}\]['\"]([A-Za-z]{1,60})['\"]")
_SESSION = re.compile(r"[Ss]ession[^:]{0,40}: ?([0-9]{4,12}_[0-9]{1,12})")
_INSTALLER_CODE = re.compile(r"HRESULT ?=? ?(?:0x)?([89c][0-9a-f]{7})\b", re.I)
_NEW_STACK = re.compile(r"requires (?:newer servicing stack|Servicing Stack v)", re.I)
_ORIGINAL = re.compile(r"Setting original failure status: (0x[89cC][0-9a-fA-F]{7})\b")
_STATUS = re.compile(r"\b(?:status|hrStatus|result): (0x[0-9a-fA-F]{1,8})\b")
_NUMBER = re.compile(r"(Total (?:Detected|Repaired) Corruption|Operation result):\s{0,8}(0x[0-9a-fA-F]{1,8}|0|[1-9][0-9]{0,8})\b")
# `(p)<TAB>CSI Payload Corrupt<TAB>(n)<TAB>...`; a copied screen has lost the tabs.
_DAMAGE = re.compile(r"\(\w{1,5}\)\s{1,16}(?:CSI|CBS) ((?:[A-Z][A-Za-z]{1,20} ?){1,4})")
_SR_COUNT = re.compile(r"\[SR\] Repairing ([0-9]{1,9}) ")
# Windows 7 writes `[l:34{17}]"System.Design.dll" of`.
_SR_FILE = re.compile(r"member file \[[^\]]{1,40}\]['\"]([^'\"]{1,120})['\"] of ([^,]{1,150}),")
_SR_PROJECTED = re.compile(r"corrupted file ([^;\r\n]{1,400})")
_LAST_PART = re.compile(r"([^\\/'\"\s\[\]{}:]{1,120})['\"]?\s*$")

_NT_NAMES = {
    "STATUS_ACCESS_DENIED": 0xC0000022,
    "STATUS_OBJECT_NAME_NOT_FOUND": 0xC0000034,
    "STATUS_OBJECT_PATH_NOT_FOUND": 0xC000003A,
    "STATUS_SHARING_VIOLATION": 0xC0000043,
    "STATUS_DISK_FULL": 0xC000007F,
    "STATUS_FILE_CORRUPT_ERROR": 0xC0000102,
    "STATUS_SXS_COMPONENT_STORE_CORRUPT": 0xC015001A,
}
# Nobody searches for these: a package asked for is not there, as healthy hosts log all day (CBS_E_INVALID_PACKAGE,
# CBS_E_MANIFEST_INVALID_ITEM), or all went well (ERROR_SUCCESS_REBOOT_REQUIRED).
_NOT_TOLD = (0x800F0805, 0x800F080D, 0x80070BC2)
# CBS_E_STORE_CORRUPTION: that a manifest is missing is a mark on the store, and told at level Info.
_STORE_CORRUPT = 0x800F0831
# CSI looks for values of the registry that need not be there.
_LOOKUP = re.compile(r"::DirectRegistryProvider::|::CKey::|SysQueryValueKey")
_FILE_NOT_FOUND = 0x80070002
# Level Error, and yet only the window of whoever asked that went away.
_TALK = ("UI handler", "SQM: ", "Logged @")
# Steps of the executor; a lookup seldom has such a prefix, but `Exec: Failed to read AutoRepairNeeded.` is one.
_STEP = re.compile(
    r"(?:Exec|Doqe|Doq|Session|Startup|Shtd|Plan|Repr|Aproc|Poqexec): ?Failed(?! to (?:read|query|get|look up|determine|check)\b)"
    r"|Failed to find file: "
)
# What ends an operation, on its own or as a task of maintenance.
_ENDED = ("Exec: Processing complete", "Maint: processing complete")
_REPORTED = ("CheckSur: ", "WER: Generating failure", "Reporting ")
# Why a repair could not fetch what it needs.
_DOWNLOAD = re.compile(r"\b[Dd]ownload (?:[Rr]esult|error): (0x[0-9a-fA-F]{8})\b")
# An error belongs to the session that fails within this time.
_SESSION_S = 3600
_MAX_SESSIONS = 5000
_SR_DRIVER = re.compile(r"\[Pnp\] Failed repairing file: (?:[^\r\n]{0,300}\\)?([^\\\r\n:]{1,120})")


class Store(Reader):
    """CBS, CSI and SFC."""

    def __init__(self, out: Collector) -> None:
        super().__init__(out)
        self._pending: list[Observation] = []
        self._packages: dict[str, Subject] = {}
        self._repairs: set[str] = set()
        self._named_beside: dict[int, Subject] = {}
        self._summary: dict[str, int] = {}
        self._sfc_failed: bool | None = None
        self._sfc_files: dict[str, str] = {}

    def close(self) -> None:
        """No more lines: what no success survived has failed."""
        self._settle(succeeded=False)

    def _settle(self, *, succeeded: bool, session: Subject = NOTHING, time: int | None = None) -> None:
        """End an operation: its errors count unless it succeeded, and are about what it was about unless they say it."""
        pending, self._pending = self._pending, []
        if not succeeded:
            for seen in pending:
                self._emit(self._with_subject(seen, session, time))
        self._named_beside.clear()

    def _with_subject(self, seen: Observation, session: Subject, time: int | None) -> Observation:
        if seen.name or seen.kb:
            return seen
        if seen.code in self._named_beside:
            # `Failed to pin deployment while resolving Update: PACKAGE [HRESULT = X]`, then `Failed to perform operation. [HRESULT = X]`.
            beside = self._named_beside[seen.code]
            return replace(seen, name=beside.name, kb=beside.kb)
        if seen.time is None or time is None or abs(time - seen.time) > _SESSION_S:
            return seen
        return replace(seen, name=session.name, kb=session.kb)

    def line(self, line: Line) -> None:
        message = line.message
        if "[SR]" in message:
            self._sfc(line)
        elif message.startswith("("):
            self._damage(line)
        elif message.startswith("Repair failed"):
            self._emit(self._seen(line, "store", marker="repair_failed"))
        elif line.component == "CSI":
            if line.is_error:
                self._csi(line)
        elif not message.startswith(_TALK) and "UI handler" not in message:
            self._package_manager(line)

    def _sfc(self, line: Line) -> None:
        message = line.message
        if "[SR] Cannot repair" in message or "[SR] Could not reproject" in message:
            self._sfc_failed = True
            self._sfc_damage(line)
        elif "[SR] Repairing file" in message or "[SR] Repaired file" in message:
            self._emit(self._seen(line, "store", marker="sr_damaged"))
        elif _SR_COUNT.search(message):
            # The verdict of the verification came before; what cannot be repaired is said again after this line.
            self._sfc_failed = False
        elif "[SR] Repair complete" in message:
            if self._sfc_failed is False:
                self._emit(self._seen(line, "store", outcome=OK, marker="sr_repaired"))
            self._sfc_failed = None

    def _sfc_damage(self, line: Line) -> None:
        """A damaged file, by name. `Could not reproject` says the same of the file once more, with its path."""
        member, projected = _SR_FILE.search(line.message), _SR_PROJECTED.search(line.message)
        name = None
        if member:
            file = member.group(1)
            name = clean(f"{file} of {member.group(2)}", 150)
            if len(self._sfc_files) < _MAX_SESSIONS:
                self._sfc_files[file.lower()] = name
        elif projected and (part := _LAST_PART.search(projected.group(1))):
            if part.group(1).lower() in self._sfc_files:
                return
            name = part.group(1)
        self._emit(self._seen(line, "store", Subject(name), marker="sr_cannot_repair"))

    def _damage(self, line: Line) -> None:
        found = _DAMAGE.match(line.message)
        if not found:
            return
        columns = [column.strip() for column in line.message.split("\t")][2:]
        marker = re.sub(r"[^a-z0-9]+", "_", found.group(1).lower()).strip("_")
        code = next((to_code(column) for column in columns[:1] if column.lower().startswith("0x")), None)
        # Between the kind and the file stand a code, `(n)` or `(w)`, and `(Fixed)`.
        name = next((column[-150:] for column in columns if column and not column.lower().startswith(("0x", "("))), None)
        self._emit(self._seen(line, "store", Subject(name, kb_of(name)), marker=marker, code=failure_or_none(code)))

    def _csi(self, line: Line) -> None:
        message = line.message
        if "Logged @" in message:
            return
        gle = telling = searched(_GLE, message)
        if gle == E_FAIL:
            # CSI ends nearly every message with it; beside a marker it says nothing and would only hide the marker.
            self._out.aside(gle)
            telling = None
        marker = _csi_marker(message)
        if marker:
            self._emit(self._seen(line, "store", subject_of(message), marker=marker, code=telling))
            return
        code = telling
        if code is None:
            code = _csi_code(message)
        if code is None and "egenerating file" in message:
            code = gle
        if code is None or not is_failure(code):
            return
        # One fault has one code in every log.
        code = hresult.nt_to_win32(code)
        if code != _FILE_NOT_FOUND or not _LOOKUP.search(message):
            self._pending.append(self._seen(line, layer_of(code, message), subject_of(message), code=code))

    def _package_manager(self, line: Line) -> None:
        message = line.message
        total = _NUMBER.match(message)
        if total:
            self._total(line, total.group(1), total.group(2))
            return
        if message.startswith("Setting ExecuteState key to: CbsExecuteState") and "Rollback" in message:
            self._emit(self._seen(line, "install", marker="rolled_back"))
            return
        subject = subject_of(message)
        session = self._remember(message, subject)
        fetched = searched(_DOWNLOAD, message)
        if is_failure(fetched):
            self._emit(self._seen(line, "download", subject, code=fetched))
        code = searched(_HRESULT, message)
        if message.startswith(_ENDED) or (message.startswith("Session: ") and " finalized" in message):
            if code is not None:
                self._verdict(line, code, session or "", subject)
        elif message.startswith(_REPORTED) and _STATUS.search(message):
            self._reported(line, subject)
        else:
            self._step(line, code, subject)

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
        code = searched(_STATUS, line.message)
        if code is not None and is_failure(code) and code != NOT_APPLICABLE:
            self._emit(self._seen(line, layer_of(code, line.message), subject, code=code))

    def _step(self, line: Line, code: int | None, subject: Subject) -> None:
        """A line in the middle of an operation."""
        original = searched(_ORIGINAL, line.message)
        if original is not None:
            # The errors before it say no more than that it failed.
            self._pending = [seen for seen in self._pending if seen.code != E_FAIL]
            self._pending.append(self._seen(line, layer_of(original, line.message), subject, code=original))
            return
        if code is None or not is_failure(code) or code == NOT_APPLICABLE:
            return
        if code == _STORE_CORRUPT and "store corruption" in line.message.lower():
            self._emit(self._seen(line, "store", subject, code=code))
            return
        if line.is_error or _STEP.match(line.message) or _NEW_STACK.search(line.message):
            self._pending.append(self._seen(line, layer_of(code, line.message), subject, code=code))
            return
        if code in _NOT_TOLD:
            return
        self._out.aside(code)
        if subject.name or subject.kb:
            # The first one is what was looked for; the stack then gives up from the inside out.
            self._named_beside.setdefault(code, subject)

    def _verdict(self, line: Line, code: int, session: str, subject: Subject) -> None:
        if not (subject.name or subject.kb):
            subject = self._packages.get(session, NOTHING)
        failed = is_failure(code) and code != NOT_APPLICABLE
        self._settle(succeeded=not failed, session=subject, time=line.time)
        if failed:
            layer = layer_of(code, line.message, repair=session in self._repairs)
            self._emit(self._seen(line, layer, subject, code=code))
        elif code == 0 and (subject.name or subject.kb):
            self._emit(self._seen(line, "install", subject, outcome=OK))

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
            return
        detected, result = self._summary.get("detected"), self._summary.get("result")
        self._summary = {}
        if detected is None:
            return
        if detected > number:
            damaged = self._seen(line, "store", marker="store_corrupt")
            self._emit(replace(damaged, line=f"{detected} corruptions found, {number} repaired"))
        elif result == 0:
            # A total of 0 beside an operation that failed says nothing: seen with 0x80070bc9.
            self._emit(self._seen(line, "store", outcome=OK, marker=PROOFS[detected > 0]))

    def driver(self, line: Line) -> None:
        """SFC looks at the files of drivers in a second round; `Corrupt file` alone is repaired by the next line."""
        found = _SR_DRIVER.search(line.message)
        if found:
            self._sfc_failed = True
            self._emit(self._seen(line, "store", Subject(found.group(1).strip()), marker="sr_cannot_repair"))


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
    if INSTALLER.search(message):
        return searched(_INSTALLER_CODE, message)
    for pattern in (_ERROR_CODE, _FROM_WIN32):
        code = searched(pattern, message)
        if code is not None:
            return code
    return _NT_NAMES.get(part(_STATUS_NAME.search(message)) or "")
