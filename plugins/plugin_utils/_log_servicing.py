# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: the servicing stack's logs: CBS.log, DISM.log, setupact.log, setuperr.log, SetupDiagResults.log.

The stack logs nearly every lookup that finds nothing as `Failed to ... [HRESULT = ...]`, healthy hosts by the hundred.
So a line counts for what it is, not for the code in it:

* a verdict closes an operation: a finalised session, a processed package, a repair's summary, what DISM.EXE ends with;
* damage is what was found broken in the component store: `[SR] Cannot repair`, a summary's `(p)` line, a mark on it;
* an error on the way (level Error, or an execution step that gives up) counts only while the operation around it did
  not succeed after all.

All else is noise. Only beside damage are the codes in it named, for somebody will search for them.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, NamedTuple

from . import hresult
from ._records import KB, NOT_APPLICABLE, Collector, Record, each_line, is_failure, stamp, to_code

_HEAD = re.compile(
    r"\ufeff?(?:([0-9]{4}-[0-9]{2}-[0-9]{2})[ T]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]{1,7})?, ?)?[ \t]*"
    r"(Info|Warning|Error|Fatal|Perf)[ \t]+(?:\[0x[0-9a-f]{2,8}\][ \t]+)?(?:([A-Z][A-Za-z]{1,9})[ \t]+)?(.*)",
    re.S,
)
DATED = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[ T]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]{1,7})?, ?(.*)", re.S)
_HRESULT = re.compile(r"\[HRESULT = (0x[0-9a-fA-F]{8})")
_HRESULT_BARE = re.compile(r"HRESULT ?= ?(?:0x)?([0-9a-fA-F]{8})\b")
_HR = re.compile(r"\bhr: ?(0x[0-9a-fA-F]{8})")
_GLE = re.compile(r"\[gle=(0x[0-9a-fA-F]{8})")
_ANY_HEX = re.compile(r"\b0x([89c][0-9a-fA-F]{7})\b", re.I)
_ERROR_CODE = re.compile(r"\bwith error code ([0-9]{1,5})\b")
_FROM_WIN32 = re.compile(r"HRESULT_FROM_WIN32\((?:ERROR_[A-Z_]{1,60}|([0-9]{1,5}))\)")
_STATUS_NAME = re.compile(r"\b(STATUS_[A-Z_0-9]{4,60})\b")
_CATEGORY = re.compile(r"category \[[^\]]{1,20}\]['\"]([A-Za-z]{1,60})['\"]")
_SESSION = re.compile(r"[Ss]ession[^:]{0,40}: ?([0-9]{4,12}_[0-9]{1,12})")
_PACKAGE = re.compile(r"[Pp]ackage:? ?'?([A-Za-z0-9][\w.-]{3,120}~[\w.~-]{0,120})")
_STATUS = re.compile(r"\b(?:status|hrStatus|result): (0x[0-9a-fA-F]{1,8})\b")
_NUMBER = re.compile(
    r"(Total (?:Detected|Repaired) Corruption|Operation result):\s{0,8}(0x[0-9a-fA-F]{1,8}|[0-9]{1,9})"
)
# `(p)<TAB>CSI Payload Corrupt<TAB>(n)<TAB>...`; a copied screen has lost the tabs.
_DAMAGE = re.compile(r"\(\w{1,5}\)\s{1,16}(?:CSI|CBS) ((?:[A-Z][A-Za-z]{1,20} ?){1,4})")
_SR_COUNT = re.compile(r"\[SR\] Repairing ([0-9]{1,9}) ")

# What the kernel's status is as a Windows error (RtlNtStatusToDosError), so that one fault has one code in every log.
_NT_TO_WIN32 = {
    0xC0000022: 5,
    0xC0000034: 2,
    0xC000003A: 3,
    0xC000003F: 23,
    0xC0000043: 32,
    0xC000007F: 112,
    0xC0000032: 1393,
    0xC0000102: 1392,
    0xC015001A: 14098,
}
_NT_NAMES = {
    "STATUS_ACCESS_DENIED": 0xC0000022,
    "STATUS_OBJECT_NAME_NOT_FOUND": 0xC0000034,
    "STATUS_OBJECT_PATH_NOT_FOUND": 0xC000003A,
    "STATUS_SHARING_VIOLATION": 0xC0000043,
    "STATUS_DISK_FULL": 0xC000007F,
    "STATUS_FILE_CORRUPT_ERROR": 0xC0000102,
    "STATUS_SXS_COMPONENT_STORE_CORRUPT": 0xC015001A,
}
_E_FAIL = 0x80004005
# Nobody searches for these: a package asked for is not there, as healthy hosts log all day (CBS_E_INVALID_PACKAGE,
# CBS_E_MANIFEST_INVALID_ITEM), or all went well (ERROR_SUCCESS_REBOOT_REQUIRED).
_NOT_TOLD = (0x800F0805, 0x800F080D, 0x80070BC2)
# Level Error, and yet only the window of whoever asked that went away.
_TALK = ("UI handler", "SQM: ", "Logged @")
# Steps of the executor; a lookup seldom has such a prefix, but `Exec: Failed to read AutoRepairNeeded.` is one.
_STEP = re.compile(
    r"(?:Exec|Doqe|Doq|Session|Startup|Shtd|Plan|Repr|Aproc|Poqexec): ?Failed(?! to (?:read|query|get|look up|determine|check)\b)"
    r"|Failed to find file: "
)
# What ends an operation, on its own or as a task of maintenance.
_ENDED = ("Exec: Processing complete", "Maint: processing complete")
# Why a repair could not fetch what it needs.
_DOWNLOAD = re.compile(r"\b[Dd]ownload (?:[Rr]esult|error): (0x[0-9a-fA-F]{8})\b")
_STORE_AREAS = ("store",)
_RPC_GONE = (1722, 1726, 1727)
_NETWORK_AREAS = ("network", "proxy", "protocol", "time_tls", "policy_wsus")
_REPAIR = re.compile(
    r"corruption detect|detect and repair|corruption repair|hrStatus|operation result|repair store", re.I
)
_INTERESTING = re.compile(
    r"Error|Fatal|HRESULT|\[SR\]|orrupt|Repair failed|Repair complete|CbsExecuteState|tatus: 0x|result: 0x"
    r"|Failed to find file"
    r"|eporting|SetupResult|CSI |CBS M"
)


def nt_to_win32(code: int) -> int:
    """A kernel status, plain or wrapped, as the Windows error it stands for where that is known."""
    win32 = _NT_TO_WIN32.get(code & ~0x10000000) if code >> 28 in (0xC, 0xD) else None
    return code if win32 is None else 0x80070000 | win32


def _package(message: str) -> str | None:
    kb = KB.search(message)
    if kb:
        return f"KB{kb.group(1)}"
    found = _PACKAGE.search(message)
    if not found:
        return None
    parts = found.group(1).split("~")
    return f"{parts[0]} {parts[-1]}".strip(" .,")[:100]


class _Line(NamedTuple):
    time: int | None
    level: str
    component: str
    message: str
    times: int
    first: int | None


class Servicing:
    """Reads one stream of lines of the servicing stack in their order."""

    def __init__(self, out: Collector) -> None:
        self._out = out
        self._time: int | None = None
        self._pending: list[Record] = []
        self._packages: dict[str, str] = {}
        self._repairs: set[str] = set()
        self._summary: dict[str, int] = {}
        self._sfc_failed: bool | None = None

    def line(self, raw: str, count: int = 1, first: int | None = None) -> None:
        if not _INTERESTING.search(raw):
            return
        head = _HEAD.match(raw)
        if head:
            date, clock, level, component, message = head.groups()
        else:
            # Server 2012 writes the whole summary of a repair without dates.
            dated = DATED.match(raw)
            date, clock, message = dated.groups() if dated else (None, None, raw)
            level, component = "", "CBS"
        if date and clock:
            self._time = stamp(date, clock) or self._time
        line = _Line(self._time, level, component or "", message.strip(), count, first)
        if line.component in ("CBS", "CSI"):
            self._cbs(line)
        elif line.component == "DISM":
            self._dism(line)
        elif head:
            self._setup(line)

    def close(self) -> None:
        self._settle(succeeded=False)

    def _emit(self, record: Record) -> None:
        self._out.add(record, local=True)

    def _record(self, line: _Line, layer: str, source: str = "cbs", **fields: Any) -> Record:
        return Record(source, layer, line.time, text=line.message, count=line.times, first=line.first, **fields)

    def _settle(self, *, succeeded: bool) -> None:
        if not succeeded:
            for record in self._pending:
                self._emit(record)
        self._pending.clear()

    # CBS and CSI

    def _cbs(self, line: _Line) -> None:
        message = line.message
        if "[SR]" in message:
            self._sfc(line)
        elif message.startswith("("):
            self._damage(line)
        elif message.startswith("Repair failed"):
            self._emit(self._record(line, "store", marker="repair_failed"))
        elif line.component == "CSI":
            if line.level in ("Error", "Fatal"):
                self._csi(line)
        elif not message.startswith(_TALK) and "UI handler" not in message:
            self._package_manager(line)

    def _sfc(self, line: _Line) -> None:
        message = line.message
        if "[SR] Cannot repair" in message or "[SR] Could not reproject" in message:
            self._sfc_failed = True
            self._emit(self._record(line, "store", marker="sr_cannot_repair"))
        elif "[SR] Repairing file" in message or "[SR] Repaired file" in message:
            self._emit(self._record(line, "store", marker="sr_damaged"))
        elif _SR_COUNT.search(message):
            # The verdict of the verification came before; what cannot be repaired is said again after this line.
            self._sfc_failed = False
        elif "[SR] Repair complete" in message:
            if self._sfc_failed is False:
                self._emit(self._record(line, "store", marker="sr_repaired", ok=True))
            self._sfc_failed = None

    def _damage(self, line: _Line) -> None:
        parts = [part.strip() for part in line.message.split("\t")]
        found = _DAMAGE.match(line.message)
        if not found:
            return
        kind = parts[1][4:64] if len(parts) > 1 else found.group(1)
        marker = re.sub(r"[^a-z0-9]+", "_", kind.lower()).strip("_")
        code = to_code(parts[2]) if len(parts) > 2 and parts[2].lower().startswith("0x") else None
        self._emit(
            self._record(line, "store", marker=marker or "store_corrupt", code=code if is_failure(code) else None)
        )

    def _csi(self, line: _Line) -> None:
        message = line.message
        if "Logged @" in message:
            return
        gle = to_code(found.group(1)) if (found := _GLE.search(message)) else None
        # CSI ends nearly every message with E_FAIL; beside a marker it says nothing and would only hide the marker.
        telling = gle if gle != _E_FAIL else None
        if gle == _E_FAIL:
            self._out.aside(gle)
        if "mark store corrupt" in message:
            category = found.group(1) if (found := _CATEGORY.search(message)) else ""
            marker = (
                "payload_corrupt"
                if "Payload" in category
                else "manifest_corrupt"
                if "Manifest" in category
                else "store_corrupt"
            )
            self._emit(self._record(line, "store", marker=marker, code=telling))
            return
        if "Hydration failed" in message:
            self._emit(self._record(line, "store", marker="payload_corrupt", code=telling))
            return
        code = telling
        if code is None and (found := _ERROR_CODE.search(message) or _FROM_WIN32.search(message)):
            code = to_code(found.group(1))
        if code is None and (found := _STATUS_NAME.search(message)):
            code = _NT_NAMES.get(found.group(1))
        if code is None and "egenerating file" in message:
            code = gle
        if is_failure(code) and code is not None:
            code = nt_to_win32(code)
            self._pending.append(self._record(line, self._layer(code, message), code=code))

    def _layer(self, code: int, message: str) -> str:
        if _REPAIR.search(message):
            return "store"
        area = hresult.describe(code).area
        if area in _STORE_AREAS:
            return "store"
        # A service that does not answer the stack (event log, a client gone) is not what was being installed.
        if code >> 16 == 0x8007 and code & 0xFFFF in _RPC_GONE:
            return "service"
        return "download" if area in _NETWORK_AREAS else "install"

    def _package_manager(self, line: _Line) -> None:
        message = line.message
        total = _NUMBER.match(message)
        if total:
            self._total(line, total.group(1), total.group(2))
            return
        if message.startswith("Setting ExecuteState key to: CbsExecuteState") and "Rollback" in message:
            self._emit(self._record(line, "install", marker="rolled_back"))
            return
        found = _HRESULT.search(message)
        session = found_session.group(1) if (found_session := _SESSION.search(message)) else None
        package = _package(message)
        if session and package:
            self._packages[session] = package
        if session and _REPAIR.search(message):
            self._repairs.add(session)
        if fetched := _DOWNLOAD.search(message):
            code = to_code(fetched.group(1))
            if code is not None and is_failure(code):
                self._emit(self._record(line, "download", code=code))
        if message.startswith(_ENDED) or (message.startswith("Session: ") and " finalized" in message):
            if found:
                self._verdict(
                    line,
                    to_code(found.group(1)),
                    package or self._packages.get(session or ""),
                    session in self._repairs,
                )
            return
        status = (
            _STATUS.search(message)
            if message.startswith(("CheckSur: ", "WER: Generating failure", "Reporting "))
            else None
        )
        if status:
            code = to_code(status.group(1))
            if is_failure(code) and code not in (None, NOT_APPLICABLE):
                self._emit(self._record(line, self._layer(code, message), code=code, update=package))
            return
        code = to_code(found.group(1)) if found else None
        if code is None or not is_failure(code) or code == NOT_APPLICABLE:
            return
        if line.level in ("Error", "Fatal") or _STEP.match(message):
            self._pending.append(self._record(line, self._layer(code, message), code=code, update=package))
        elif code not in _NOT_TOLD:
            self._out.aside(code)

    def _verdict(self, line: _Line, code: int | None, package: str | None, repair: bool) -> None:
        failed = is_failure(code) and code != NOT_APPLICABLE
        self._settle(succeeded=not failed)
        if failed and code is not None:
            layer = "store" if repair else self._layer(code, line.message)
            self._emit(self._record(line, layer, code=code, update=package))
        elif package and code == 0:
            self._emit(self._record(line, "install", ok=True, update=package))

    def _total(self, line: _Line, what: str, text: str) -> None:
        if what == "Operation result":
            code = int(text, 16) if text.startswith("0x") else int(text)
            self._summary = {"result": code}
            if is_failure(code):
                self._emit(self._record(line, "store", code=code))
            return
        number = int(text) if text.isdigit() else 0
        if what == "Total Detected Corruption":
            self._summary["detected"] = number
            return
        detected, result = self._summary.get("detected"), self._summary.get("result")
        self._summary = {}
        if detected is None:
            return
        if detected > number:
            self._emit(
                replace(
                    self._record(line, "store", marker="store_corrupt"),
                    text=f"{detected} corruptions found, {number} repaired",
                )
            )
        elif result == 0:
            # A total of 0 beside an operation that failed says nothing: seen with 0x80070bc9.
            self._emit(self._record(line, "store", ok=True, marker="store_repaired" if detected else "store_clean"))

    # DISM

    def _dism(self, line: _Line) -> None:
        message = line.message
        # Providers probe at level Error for what may be missing; the command line and the package manager give up.
        if line.level == "Error" and message.startswith(("DISM.EXE:", "DISM Package Manager:", "API:", "DISM API:")):
            found = _HRESULT_BARE.search(message) or _HR.search(message)
        elif "(CBS HRESULT=" in message:
            found = _HRESULT_BARE.search(message)
        else:
            return
        code = int(found.group(1), 16) if found else None
        if code is not None and is_failure(code):
            layer = (
                "store"
                if "restore the image" in message or "cleanup-image" in message.lower()
                else self._layer(code, message)
            )
            self._emit(self._record(line, layer, "dism", code=code, update=_package(message)))

    # Set-up (feature upgrade)

    def _setup(self, line: _Line) -> None:
        message = line.message
        final = message.startswith(_SETUP_FINAL)
        if not final and (line.level not in ("Error", "Fatal") or line.component not in _SETUP_PARTS):
            return
        for found in list(_ANY_HEX.finditer(message))[:2]:
            code = int(found.group(1), 16)
            if not final and code == _E_FAIL:
                continue
            self._emit(self._record(line, "upgrade", "setup", code=code, marker="final" if final else None))


_SETUP_PARTS = ("SP", "MOUPG", "MIG", "CONX", "IBS", "SYSPRP", "PANTHR", "SetupPl")
_SETUP_FINAL = (
    "Finalize: Reporting result value",
    "SetupHost: Reporting error event",
    "SetupHost: Reporting post reboot event",
    "SetupNotify: Specifying extended data",
    "ImageExit: Initializing SetupResult",
    "ExecuteOperations: Main operation execution failed",
    "Current result: ",
)


def servicing(text: str, out: Collector) -> None:
    stream = Servicing(out)
    for line in each_line(text):
        stream.line(line.rstrip("\r"))
    stream.close()


SETUPDIAG_SIGN = re.compile(r"Matching Profile found: |SetupDiag version: |SetupDiag v[0-9]")
_SETUPDIAG = re.compile(r"Error = (0x[0-9a-fA-F]{8})(?:[- ]{1,3}(0x[0-9a-fA-F]{1,8}))?")


def setupdiag(text: str, out: Collector) -> None:
    profile = re.search(r"Matching Profile found: ([^\r\n]{1,150})", text)
    found = _SETUPDIAG.search(text)
    if profile or found:
        out.add(
            Record(
                "setup",
                "upgrade",
                None,
                code=to_code(found.group(1)) if found else None,
                marker=None if found else "setup_failed",
                text=f"{profile.group(1) if profile else ''} {found.group(0) if found else ''}",
            )
        )
