# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Readers of the logs Windows writes while it services itself: what in them is a failure, and what is noise.

The servicing stack logs nearly every lookup that finds nothing as `Failed to ... [HRESULT = ...]`, healthy hosts by the hundred.
So a line counts for what it is, not for the code in it:

* a verdict closes an operation: a finalised session, a processed package, the summary of a repair, what DISM.EXE ends with;
* damage is something found broken in the component store: `[SR] Cannot repair`, a summary's `(p)` line, a mark on the store;
* an error on the way (level Error, or an execution step that gives up) counts only as long as the operation around it did not succeed after all.

All else is noise. All patterns are linear in the length of a line, and lines are cut before any pattern sees them.
"""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from . import hresult

TAIL_BYTES = 64 * 1024 * 1024

_MAX_LINE = 2000
_MAX_TEXT = 200
_MAX_RECORDS = 2000


@dataclass(frozen=True)
class Record:
    """One thing that was seen, whatever it was seen in.

    Attributes:
        source: `cbs`, `reporting`, `setup`, `dism`, `wulog`, `history`, `event:PROVIDER/ID`, `scan`, `registry`.
        layer: `store`, `cache`, `scan`, `download`, `install`, `upgrade`, `service`, `clock`.
        time: when it was seen last, Unix seconds; None if the line carries no date.
        ok: a success that may overtake failures.
        code: unsigned HRESULT.
        marker: name of a condition that has no code of its own, or whose code says nothing.
        update: update id (lower case, no braces) or KB number or package.
        text: what was read, at most 200 characters.
        local_time: the log writes the host's local time and its zone was not known: `time` is uncertain by the zone.
    """

    source: str
    layer: str
    time: int | None
    ok: bool = False
    code: int | None = None
    marker: str | None = None
    update: str | None = None
    text: str = ""
    count: int = 1
    first: int | None = None
    local_time: bool = False


# --- when a success makes a failure history ---------------------------------------------------------------------------

_STORE_CURES = ("store_repaired", "store_clean")


def _cures(success: Record, failure: Record) -> bool:
    if success.layer != failure.layer:
        return False
    if failure.layer == "store":
        # sfc looks at files in use, DISM at the store: neither proves what the other one found.
        if (failure.marker or "").startswith("sr_"):
            return success.marker == "sr_repaired"
        return success.marker in _STORE_CURES
    if failure.layer in ("download", "install"):
        return success.update is not None and success.update == failure.update
    return failure.layer != "service" or (success.update is not None and success.update == failure.update)


def overtaken_by(record: Record, records: list[Record]) -> Record | None:
    """The later success that makes a failure history.

    Args:
        record: a failure, one of `records`.
        records: what one reader gave, in its order (which decides where times are equal or unknown).
    """
    if record.ok:
        return None
    at = next((index for index, other in enumerate(records) if other is record), -1)
    for index, other in enumerate(records):
        if not other.ok or not _cures(other, record):
            continue
        if record.time is None or other.time is None or record.time == other.time:
            later = index > at
        else:
            later = other.time > record.time
        if later:
            return other
    return None


def standing(records: list[Record]) -> list[Record]:
    """The failures that no later success in the same list overtakes."""
    return [record for record in records if not record.ok and overtaken_by(record, records) is None]


# --- bytes to lines ---------------------------------------------------------------------------------------------------


def decode(data: bytes) -> str:
    """Bytes of a Windows log as text, whatever encoding they are in and wherever they were cut."""
    if data.startswith(b"\xff\xfe"):
        return data[2:].decode("utf-16-le", "replace")
    if data.startswith(b"\xfe\xff"):
        return data[2:].decode("utf-16-be", "replace")
    if data.startswith(b"\xef\xbb\xbf"):
        return data[3:].decode("utf-8", "replace")
    start = len(data) - len(data.lstrip(b"\0"))
    start -= start % 2
    sample = data[start : start + 8192]
    even, odd = sample[0::2], sample[1::2]
    low, high = even.count(0), odd.count(0)
    half = max(len(odd), 1)
    # Logs are mostly ASCII, so in UTF-16 every other byte is NUL; on the wrong side if the cut went through a character.
    if high > half * 0.6 and low < half * 0.2:
        return data[start:].decode("utf-16-le", "replace")
    if low > half * 0.6 and high < half * 0.2:
        return data[start + 1 :].decode("utf-16-le", "replace")
    return data.decode("utf-8", "replace")


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def clean(text: str, limit: int = _MAX_TEXT) -> str:
    """Text on one line, without control characters, cut."""
    return _CONTROL.sub(" ", text[: limit * 2]).strip()[:limit]


def _lines(text: str) -> Iterator[str]:
    start, size = 0, len(text)
    while start < size:
        end = text.find("\n", start)
        if end < 0:
            end = size
        yield text[start : min(end, start + _MAX_LINE)]
        start = end + 1


def _stamp(date: str, clock: str) -> int | None:
    try:
        return timegm(
            (
                int(date[0:4]),
                int(date[5:7]),
                int(date[8:10]),
                int(clock[0:2]),
                int(clock[3:5]),
                int(clock[6:8]),
                0,
                0,
                0,
            )
        )
    except ValueError:
        return None


def _code(text: str | None) -> int | None:
    if not text:
        return None
    try:
        return hresult.normalise(text)
    except hresult.HResultError:
        return None


def _failed(code: int | None) -> bool:
    return code is not None and bool(code & 0x80000000)


_KB = re.compile(r"\bKB([0-9]{6,8})\b", re.I)
_GUID = re.compile(r"\{?([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\}?", re.I)


def update_id(text: str | None) -> str | None:
    """A GUID (lower case, no braces), else a KB number, else None."""
    if not text:
        return None
    guid = _GUID.search(text[:_MAX_LINE])
    if guid and set(guid.group(1)) - set("0-"):
        return guid.group(1).lower()
    kb = _KB.search(text[:_MAX_LINE])
    return f"KB{kb.group(1)}" if kb else None


class _Collector:
    """Records, those alike folded into one, in the order in which they were seen last."""

    def __init__(self, zone_offset_s: int | None) -> None:
        self._records: dict[tuple[object, ...], Record] = {}
        self._zone = zone_offset_s

    def add(self, record: Record, *, local: bool = False) -> None:
        time, first = record.time, record.first
        if local and self._zone is not None:
            time = None if time is None else time - self._zone
            first = None if first is None else first - self._zone
        record = replace(
            record,
            time=time,
            first=time if first is None else first,
            text=clean(record.text),
            local_time=local and self._zone is None and time is not None,
        )
        key = (record.source, record.layer, record.ok, record.code, record.marker, record.update)
        before = self._records.pop(key, None)
        if before is not None:
            times = [moment for moment in (before.time, record.time) if moment is not None]
            firsts = [moment for moment in (before.first, record.first) if moment is not None]
            newer = before if (before.time or 0) > (record.time or 0) else record
            record = replace(
                newer, count=before.count + record.count, time=max(times, default=None), first=min(firsts, default=None)
            )
        elif len(self._records) >= _MAX_RECORDS:
            del self._records[next(iter(self._records))]
        self._records[key] = record

    def result(self) -> list[Record]:
        return list(self._records.values())


# --- the servicing stack: CBS.log, DISM.log, setupact.log, setuperr.log ---------------------------------------------------

_HEAD = re.compile(
    r"\ufeff?(?:([0-9]{4}-[0-9]{2}-[0-9]{2})[ T]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]{1,7})?, ?)?[ \t]*"
    r"(Info|Warning|Error|Fatal|Perf)[ \t]+(?:\[0x[0-9a-f]{2,8}\][ \t]+)?(?:([A-Z][A-Za-z]{1,9})[ \t]+)?(.*)",
    re.S,
)
_DATED = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[ T]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]{1,7})?, ?(.*)", re.S)
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
# The agent offers, the stack says whether the update applies: an answer, not a fault.
_NOT_APPLICABLE = 0x800F081E
# Level Error, and yet only the window of whoever asked that went away.
_TALK = ("UI handler", "SQM: ", "Logged @")
# Steps of the executor; what merely looks something up has no such prefix.
_STEP = re.compile(r"(?:Exec|Doqe|Doq|Session|Startup|Shtd|Plan|Repr|Aproc|Poqexec): ?Failed|Failed to find file: ")
_STORE_AREAS = ("store",)
_NETWORK_AREAS = ("network", "proxy", "protocol", "time_tls", "policy_wsus")
_REPAIR = re.compile(
    r"corruption detect|detect and repair|corruption repair|hrStatus|operation result|repair store", re.I
)
_INTERESTING = re.compile(
    r"Error|Fatal|HRESULT|\[SR\]|orrupt|Repair failed|Repair complete|CbsExecuteState|tatus: 0x|result: 0x|Failed to find file"
    r"|eporting|SetupResult|CSI |CBS M"
)


def nt_to_win32(code: int) -> int:
    """A kernel status, plain or wrapped, as the Windows error it stands for where that is known."""
    win32 = _NT_TO_WIN32.get(code & ~0x10000000) if code >> 28 in (0xC, 0xD) else None
    return code if win32 is None else 0x80070000 | win32


def _package(message: str) -> str | None:
    kb = _KB.search(message)
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


class _Servicing:
    """Reads one stream of lines of the servicing stack in their order."""

    def __init__(self, out: _Collector) -> None:
        self._out = out
        self._time: int | None = None
        self._pending: list[Record] = []
        self._packages: dict[str, str] = {}
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
            dated = _DATED.match(raw)
            date, clock, message = dated.groups() if dated else (None, None, raw)
            level, component = "", "CBS"
        if date and clock:
            self._time = _stamp(date, clock) or self._time
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
        if len(parts) < 2 or not parts[1].startswith(("CSI ", "CBS ")):
            return
        marker = re.sub(r"[^a-z0-9]+", "_", parts[1][4:64].lower()).strip("_")
        code = _code(parts[2]) if len(parts) > 2 and parts[2].lower().startswith("0x") else None
        self._emit(self._record(line, "store", marker=marker or "store_corrupt", code=code if _failed(code) else None))

    def _csi(self, line: _Line) -> None:
        message = line.message
        if "Logged @" in message:
            return
        gle = _code(found.group(1)) if (found := _GLE.search(message)) else None
        if "mark store corrupt" in message:
            category = found.group(1) if (found := _CATEGORY.search(message)) else ""
            marker = (
                "payload_corrupt"
                if "Payload" in category
                else "manifest_corrupt"
                if "Manifest" in category
                else "store_corrupt"
            )
            self._emit(self._record(line, "store", marker=marker, code=gle))
            return
        if "Hydration failed" in message:
            self._emit(self._record(line, "store", marker="payload_corrupt", code=gle))
            return
        code = gle if gle != _E_FAIL else None
        if code is None and (found := _ERROR_CODE.search(message) or _FROM_WIN32.search(message)):
            code = _code(found.group(1))
        if code is None and (found := _STATUS_NAME.search(message)):
            code = _NT_NAMES.get(found.group(1))
        if code is None and "egenerating file" in message:
            code = gle
        if _failed(code) and code is not None:
            code = nt_to_win32(code)
            self._pending.append(self._record(line, self._layer(code, message), code=code))

    def _layer(self, code: int, message: str) -> str:
        if _REPAIR.search(message):
            return "store"
        area = hresult.describe(code).area
        if area in _STORE_AREAS:
            return "store"
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
        if message.startswith("Exec: Processing complete") or (
            message.startswith("Session: ") and " finalized" in message
        ):
            if found:
                self._verdict(line, _code(found.group(1)), package or self._packages.get(session or ""))
            return
        status = (
            _STATUS.search(message)
            if message.startswith(("CheckSur: ", "WER: Generating failure", "Reporting "))
            else None
        )
        if status:
            code = _code(status.group(1))
            if _failed(code) and code not in (None, _NOT_APPLICABLE):
                self._emit(self._record(line, self._layer(code, message), code=code, update=package))
            return
        code = _code(found.group(1)) if found else None
        if code is None or not _failed(code) or code == _NOT_APPLICABLE:
            return
        if line.level in ("Error", "Fatal") or _STEP.match(message):
            self._pending.append(self._record(line, self._layer(code, message), code=code, update=package))

    def _verdict(self, line: _Line, code: int | None, package: str | None) -> None:
        failed = _failed(code) and code != _NOT_APPLICABLE
        self._settle(succeeded=not failed)
        if failed and code is not None:
            self._emit(self._record(line, self._layer(code, line.message), code=code, update=package))
        elif package and code == 0:
            self._emit(self._record(line, "install", ok=True, update=package))

    def _total(self, line: _Line, what: str, text: str) -> None:
        if what == "Operation result":
            code = int(text, 16) if text.startswith("0x") else int(text)
            self._summary = {"result": code}
            if _failed(code):
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
        # Providers probe for what may be missing at level Error; the command line and the package manager give up for good.
        if line.level == "Error" and message.startswith(("DISM.EXE:", "DISM Package Manager:", "API:", "DISM API:")):
            found = _HRESULT_BARE.search(message) or _HR.search(message)
        elif "(CBS HRESULT=" in message:
            found = _HRESULT_BARE.search(message)
        else:
            return
        code = int(found.group(1), 16) if found else None
        if code is not None and _failed(code):
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


def _servicing(text: str, out: _Collector) -> None:
    stream = _Servicing(out)
    for line in _lines(text):
        stream.line(line.rstrip("\r"))
    stream.close()


_SETUPDIAG = re.compile(r"Error = (0x[0-9a-fA-F]{8})(?:[- ]{1,3}(0x[0-9a-fA-F]{1,8}))?")


def _setupdiag(text: str, out: _Collector) -> None:
    profile = re.search(r"Matching Profile found: ([^\r\n]{1,150})", text)
    found = _SETUPDIAG.search(text)
    if profile or found:
        out.add(
            Record(
                "setup",
                "upgrade",
                None,
                code=_code(found.group(1)) if found else None,
                marker=None if found else "setup_failed",
                text=f"{profile.group(1) if profile else ''} {found.group(0) if found else ''}",
            )
        )


# --- ReportingEvents.log ------------------------------------------------------------------------------------------------

_REPORT = re.compile(
    r"\{[0-9A-Fa-f-]{36}\}\s{1,4}([0-9]{4}-[0-9]{2}-[0-9]{2}) ([0-9]{2}:[0-9]{2}:[0-9]{2}):[0-9]{3}([+-][0-9]{4})\s{1,4}[0-9]{1,3}\s{1,4}"
    r"([0-9]{1,4})(?: \[([A-Za-z_()]{1,60})\])?\s{1,4}[0-9]{1,5}\s{1,4}\{([0-9A-Fa-f-]{36})\}\s{1,4}[0-9]{1,10}\s{1,4}"
    r"([0-9A-Fa-f]{1,8})\b([^\r\n]{0,600})"
)
# Numbers whose name a build does not know come as [(null)].
_REPORT_RANGES = ((range(140, 160), "scan"), (range(160, 180), "download"), (range(180, 210), "install"))
_REPORT_WORDS = (("DETECT", "scan"), ("DOWNLOAD", "download"), ("INSTALL", "install"), ("SELFUPDATE", "scan"))
_REPORT_OK = {147, 162, 183}


def _report_layer(number: int, name: str) -> str | None:
    for word, layer in _REPORT_WORDS:
        if word in name:
            return layer
    return next((layer for numbers, layer in _REPORT_RANGES if number in numbers), None)


def _report(match: re.Match[str], out: _Collector, count: int, source: str) -> None:
    date, clock, zone, number_text, name, guid, hex_code, rest = match.groups()
    number, name = int(number_text), (name or "").upper()
    layer = _report_layer(number, name)
    time = _stamp(date, clock)
    if layer is None:
        return
    if time is not None:
        offset = int(zone[1:3]) * 3600 + int(zone[3:5]) * 60
        time += offset if zone[0] == "-" else -offset
    code = int(hex_code, 16)
    update = None if layer == "scan" else update_id(guid)
    text = f"{number} {name} {hresult.hex_of(code)}{rest}"
    # 163 AGENT_DOWNLOAD_CANCELED says Success in its result column while the code is the failure.
    if _failed(code):
        out.add(Record(source, layer, time, code=code, update=update, text=text, count=count))
    elif name.endswith("FAILED"):
        out.add(Record(source, layer, time, marker=f"{layer}_failed", update=update, text=text, count=count))
    elif (number in _REPORT_OK and not name) or name.endswith(("FINISHED", "SUCCEEDED", "SUCCEEDED_REBOOT_REQUIRED")):
        out.add(Record(source, layer, time, ok=True, update=update, text=text, count=count))


def _reporting(text: str, out: _Collector) -> None:
    for match in _REPORT.finditer(text):
        _report(match, out, 1, "reporting")


# --- WindowsUpdate.log --------------------------------------------------------------------------------------------------

_WU_HEAD = re.compile(
    r"([0-9]{4}[-/.][0-9]{2}[-/.][0-9]{2})[ \t]([0-9]{2}:[0-9]{2}:[0-9]{2})[.:][0-9]{3,7}\s{1,4}[0-9]{1,6}\s{1,6}[0-9a-fA-F]{1,6}\s{1,6}(\w{1,30})\s{1,20}(.*)",
    re.S,
)
_WU_EXIT = re.compile(r"[Ee]xit code = (0x[0-9A-Fa-f]{8})")
_WU_RETURN = re.compile(
    r"Install complete for update ID: ([0-9A-Fa-f-]{36})\.[0-9]{1,5}\s{1,3}Return code is (0x[0-9A-Fa-f]{8})"
)
_WU_DEPLOY = re.compile(r"Method failed for update ([0-9A-Fa-f-]{36})\.[0-9]{1,5}, hrDeploy = (0x[0-9A-Fa-f]{8})")
_WU_FILE = re.compile(r"\*FAILED\* \[([0-9A-Fa-f]{8})\] Failed to (?:postprocess|download|verify) the file")
_WU_DOWNLOAD = re.compile(
    r"Error (0x[0-9A-Fa-f]{8}) occurred while downloading update|Begin Downloading Updates.{0,200}\[hr = (0x[0-9A-Fa-f]{8})\]"
)
_WU_CBS = re.compile(r"FATAL: .{0,80}?(0x[0-9A-Fa-f]{8})|CBS called Error with (0x[0-9A-Fa-f]{8})")
_WU_WORTH = re.compile(
    r"xit code = 0x|Return code is|hrDeploy = |Failed to (?:post|down|ver)|REPORT EVENT|occurred while down|\[hr = 0x|CBS called Error|FATAL"
)


def _wulog(text: str, out: _Collector) -> None:
    search = False
    for raw in _lines(text):
        if not _WU_WORTH.search(raw):
            if "Finding updates" in raw or "** END **" in raw:
                search = "Finding updates" in raw and "END" in raw
            continue
        if "REPORT EVENT" in raw and (report := _REPORT.search(raw)):
            _report(report, out, 1, "wulog")
            continue
        head = _WU_HEAD.match(raw.rstrip("\r"))
        if not head:
            continue
        date, clock, component, message = head.groups()
        time = _stamp(date, clock)
        text_ = f"{component} {message}"
        if (found := _WU_RETURN.search(message)) or (found := _WU_DEPLOY.search(message)):
            code = int(found.group(2), 16)
            out.add(
                Record(
                    "wulog",
                    "install",
                    time,
                    ok=code == 0,
                    code=code or None,
                    update=update_id(found.group(1)),
                    text=text_,
                ),
                local=True,
            )
        elif found := _WU_EXIT.search(message):
            # The old format says what ended on the banner line before.
            if component == "Agent" and ("Finding updates" in message or search):
                code = int(found.group(1), 16)
                if _failed(code) or code == 0:
                    out.add(Record("wulog", "scan", time, ok=code == 0, code=code or None, text=text_), local=True)
            search = False
        elif found := _WU_FILE.search(message):
            out.add(Record("wulog", "download", time, code=int(found.group(1), 16), text=text_), local=True)
        elif found := _WU_DOWNLOAD.search(message):
            code = int(found.group(1) or found.group(2), 16)
            if _failed(code):
                out.add(Record("wulog", "download", time, code=code, text=text_), local=True)
        elif component == "Handler" and (found := _WU_CBS.search(message)):
            code = int(found.group(1) or found.group(2), 16)
            if _failed(code):
                out.add(Record("wulog", "install", time, code=code, text=text_), local=True)


# --- events -------------------------------------------------------------------------------------------------------------

_WUC = "Microsoft-Windows-WindowsUpdateClient"
_SERVICING = "Microsoft-Windows-Servicing"
_SCM = "Service Control Manager"
_TIME = "Microsoft-Windows-Time-Service"

# provider -> id -> (layer, success, marker where the event carries no code)
_EVENTS: dict[str, dict[int, tuple[str, bool, str]]] = {
    _WUC: {
        16: ("scan", False, "cannot_connect"),
        19: ("install", True, ""),
        20: ("install", False, "install_failed"),
        23: ("install", True, ""),
        24: ("install", False, "uninstall_failed"),
        25: ("scan", False, "scan_failed"),
        26: ("scan", True, ""),
        31: ("download", False, "download_failed"),
        32: ("scan", False, "cannot_connect"),
        33: ("scan", False, "proxy_credentials"),
        34: ("scan", False, "self_update_failed"),
        35: ("scan", False, "self_update_failed"),
        41: ("download", True, ""),
        213: ("install", False, ""),
        217: ("install", False, ""),
    },
    _SERVICING: {
        2: ("install", True, ""),
        3: ("install", False, "package_failed"),
        6: ("install", False, "package_failed"),
        11: ("install", False, "feature_failed"),
        12: ("install", False, "feature_failed"),
        1009: ("install", False, ""),
        1014: ("store", False, "store_corrupt"),
        1015: ("store", False, "store_corrupt"),
        4373: ("install", True, ""),
        4375: ("install", False, "package_failed"),
        4385: ("install", False, "feature_failed"),
    },
    _SCM: {
        number: ("service", False, "service_failed")
        for number in (7000, 7001, 7002, 7003, 7009, 7011, 7022, 7023, 7024, 7031, 7034, 7038, 7041)
    },
    _TIME: {
        **{number: ("clock", False, "time_source_failed") for number in (11, 13, 14, 17, 18, 24, 29, 30, 47, 48, 49)},
        **{number: ("clock", False, "time_source_failed") for number in (129, 130, 131, 133, 134, 136)},
        34: ("clock", False, "clock_beyond_limit"),
        36: ("clock", False, "clock_not_synchronised"),
        46: ("clock", False, "time_service_failed"),
        35: ("clock", True, ""),
        37: ("clock", True, ""),
    },
}
_EVENT_CODE_KEYS = ("errorcode", "errormessage", "hresult", "status", "resultcode")
_SCM_CODE_PARAM = {7000: "param2", 7001: "param3", 7023: "param2", 7038: "param3"}
_EMBEDDED = re.compile(r"%%([0-9]{1,10})|\b(0x[89c][0-9a-f]{7})\b", re.I)


def _embedded(text: str) -> int | None:
    found = _EMBEDDED.search(text[:400])
    if not found:
        return None
    return _code(found.group(0))


def service_key(data: Mapping[str, str]) -> str | None:
    """The key name of a service out of a Service Control Manager event; its parameters are display names, translated."""
    if data.get("service"):
        return clean(str(data["service"]), 80)
    try:
        text = bytes.fromhex(
            str(data.get("binary") or data.get("Binary") or data.get("BinaryData") or "")[:512]
        ).decode("utf-16-le", "ignore")
    except ValueError:
        return None
    name = text.split("\0", 1)[0].split("/", 1)[0]
    return name if re.fullmatch(r"[A-Za-z0-9_.\- ]{2,80}", name) else None


def event_record(
    provider: str, event: int, time: int | None, data: Mapping[str, str], *, count: int = 1
) -> Record | None:
    """An event as a record, or None if it says neither failure nor success.

    Args:
        provider: name in System/Provider/@Name.
        event: EventID.
        time: Unix seconds, UTC.
        data: the data fields by name (EventData or UserData).
    """
    rule = _EVENTS.get(provider, {}).get(event)
    if rule is None:
        return None
    layer, ok, marker = rule
    lower = {key.lower(): value for key, value in data.items()}
    text = " ".join(
        f"{key}={value}" for key, value in data.items() if key.lower() not in ("binary", "__binlength", "binarydata")
    )
    code: int | None = None
    update: str | None = None
    if provider == _SCM:
        code = _embedded(str(data.get(_SCM_CODE_PARAM.get(event, ""), "")))
        update = service_key(data)
        text = f"{update or ''} {text}".strip()
    else:
        for key in _EVENT_CODE_KEYS:
            if key in lower:
                value = str(lower[key])
                code = _embedded(value) or _code(value)
                break
        if provider in (_WUC, _SERVICING) and layer != "scan":
            titles = [
                str(lower.get(key, ""))
                for key in ("updateguid", "packageidentifier", "identifier", "updatetitle", "updatename")
            ]
            update = (
                next((found for found in map(update_id, titles) if found), None)
                or clean(titles[1] or titles[2], 100)
                or None
            )
    source = f"event:{provider}/{event}"
    if ok:
        return Record(source, layer, time, ok=True, update=update, text=clean(text), count=count)
    if event in (1014, 1015) and provider == _SERVICING:
        return _corruption_event(
            Record(source, layer, time, code=code, marker=marker, text=clean(text), count=count), lower
        )
    if not _failed(code):
        code = None
        if not marker or event in (213, 217):
            return None
    elif code == _NOT_APPLICABLE:
        return None
    return Record(
        source,
        layer,
        time,
        code=code,
        marker=None if code is not None else marker,
        update=update,
        text=clean(text),
        count=count,
    )


def _corruption_event(record: Record, lower: Mapping[str, str]) -> Record | None:
    """Events 1014 and 1015: a detection or repair of the store ended."""
    numbers = [
        int(value) if (value := str(lower.get(key, ""))).isdigit() else None for key in ("totalcorruption", "repaired")
    ]
    if _failed(record.code):
        return replace(record, marker=None)
    if numbers[0] is None:
        return None
    if numbers[0] > (numbers[1] or 0):
        return replace(record, code=None)
    return replace(record, ok=True, code=None, marker="store_repaired" if numbers[0] else "store_clean")


_ENTITY = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}
_ENTITIES = re.compile(r"&(lt|gt|amp|quot|apos|#[0-9]{1,7}|#x[0-9a-fA-F]{1,6});")
_XML_PROVIDER = re.compile(r"<Provider\b[^>]{0,400}?\bName=[\"']([^\"'<>]{1,120})[\"']")
_XML_ID = re.compile(r"<EventID\b[^>]{0,80}>\s{0,8}([0-9]{1,5})\s{0,8}</EventID>")
_XML_TIME = re.compile(r"\bSystemTime=[\"']([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}:[0-9]{2})")
_XML_DATA = re.compile(r"<Data\b(?:[^>]{0,80}?\bName=[\"']([^\"'<>]{1,80})[\"'])?[^>/]{0,80}>([^<]{0,4000})</Data>")
_XML_LEAF = re.compile(r"<([A-Za-z_][\w.-]{0,60})(?:\s[^<>]{0,300})?>([^<]{0,4000})</\1>")


def _unescape(match: re.Match[str]) -> str:
    name = match.group(1)
    if name in _ENTITY:
        return _ENTITY[name]
    number = int(name[2:], 16) if name[1] == "x" else int(name[1:])
    return chr(number) if 0 < number < 0x110000 and not 0xD800 <= number < 0xE000 else "?"


def event_fields(xml: str) -> tuple[str, int, int | None, dict[str, str]] | None:
    """Provider, id, time and data of one event's XML. Entities and DTDs are never followed."""
    provider, event = _XML_PROVIDER.search(xml), _XML_ID.search(xml)
    if not provider or not event:
        return None
    found = _XML_TIME.search(xml)
    data: dict[str, str] = {}
    split = max(xml.find("<EventData"), xml.find("<UserData"))
    if split >= 0:
        body = xml[split : split + 60000]
        for index, match in enumerate(_XML_DATA.finditer(body)):
            data[match.group(1) or f"param{index + 1}"] = _ENTITIES.sub(_unescape, match.group(2))
        for match in _XML_LEAF.finditer(body):
            if match.group(1) != "Data":
                data.setdefault(match.group(1), _ENTITIES.sub(_unescape, match.group(2)))
    return provider.group(1), int(event.group(1)), _stamp(*found.groups()) if found else None, data


def _event_xml(text: str, out: _Collector) -> None:
    start = text.find("<Event ")
    while start >= 0:
        after = text.find("<Event ", start + 7)
        end = text.find("</Event>", start, after if after >= 0 else len(text))
        if end >= 0:
            fields = event_fields(text[start : min(end, start + 100000)])
            record = event_record(*fields) if fields else None
            if record is not None:
                out.add(record)
        start = after


_TEXT_EVENT = re.compile(r"^Event\[[0-9]{1,9}\]:?", re.M)
_TEXT_FIELD = re.compile(r"^ {1,4}(Source|Date|Event ID): ([^\r\n]{1,200})", re.M)


def _event_text(text: str, out: _Collector) -> None:
    starts = [match.start() for match in _TEXT_EVENT.finditer(text)]
    for index, start in enumerate(starts):
        block = text[start : min(starts[index + 1] if index + 1 < len(starts) else len(text), start + 20000)]
        fields = dict(_TEXT_FIELD.findall(block))
        number = fields.get("Event ID", "").strip()
        if not number.isdigit():
            continue
        description = block.partition("Description:")[2]
        data = {"description": clean(description)}
        date = fields.get("Date", "")
        found = re.match(r"([0-9]{4}-[0-9]{2}-[0-9]{2})T([0-9:]{8})", date)
        code = _EMBEDDED.search(description[:2000])
        if code:
            data["errorCode"] = code.group(0)
        data["updateTitle"] = clean(description)
        record = event_record(
            fields.get("Source", "").strip(), int(number), _stamp(*found.groups()) if found else None, data
        )
        if record is not None:
            # `wevtutil /f:text` writes local time with a Z behind it.
            out.add(record, local=True)


# --- the door ---------------------------------------------------------------------------------------------------------------

_SERVICING_SIGN = re.compile(
    r"(?:^|\n)\ufeff?(?:[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,7})?, )?[ \t]*(?:Info|Warning|Error)[ \t]{1,24}"
    r"(?:\[0x[0-9a-f]{2,8}\][ \t]{1,8})?(?:CBS|CSI|DISM|SP|MOUPG|MIG|IBS|IBSLIB|CONX|SYSPRP|DEPLOY|PANTHR)[ \t]|\[SR\] |Total Detected Corruption:"
)
_WU_SIGN = re.compile(
    r"(?:^|\n)\ufeff?[0-9]{4}[-/.][0-9]{2}[-/.][0-9]{2}[ \t][0-9]{2}:[0-9]{2}:[0-9]{2}[.:][0-9]{3,7}\s{1,4}[0-9]{1,6}\s{1,6}[0-9a-fA-F]{1,6}\s{1,6}\w"
)


def read(data: bytes, name: str = "", zone_offset_s: int | None = None) -> list[Record]:
    """Read a whole log, or the tail of one, recognised by its content.

    Never raises, whatever the bytes are; rubbish gives nothing. Takes time linear in the length.

    Args:
        data: the file as it is (callers pass at most the last TAIL_BYTES).
        name: the file's name, a help only where the content says nothing.
        zone_offset_s: the host's local time minus UTC in seconds, for logs that write local time.

    Returns:
        Failures and successes in the order of when each was seen last.
    """
    text = decode(bytes(data[-TAIL_BYTES:]))
    out = _Collector(zone_offset_s)
    sample = text if len(text) < 400_000 else text[:300_000] + "\n" + text[-100_000:]
    if "<Event " in sample and ("<System>" in sample or "<Provider " in sample):
        _event_xml(text, out)
    elif _TEXT_EVENT.search(sample) and "Event ID:" in sample:
        _event_text(text, out)
    elif _WU_SIGN.search(sample):
        _wulog(text, out)
    elif _REPORT.search(sample):
        _reporting(text, out)
    elif "SetupDiag" in sample[:4000] or "setupdiag" in name.lower():
        _setupdiag(text, out)
    elif _SERVICING_SIGN.search(sample):
        _servicing(text, out)
    return out.result()


def read_lines(kind: str, groups: Iterable[Mapping[str, Any]], zone_offset_s: int | None = None) -> list[Record]:
    """Read the groups of a LOG that the host filtered.

    Args:
        kind: `cbs`, `setup`, `dism` or `reporting`.
        groups: `{"kind", "count", "first", "last"}`, in the order of their last lines.
        zone_offset_s: as in `read`.
    """
    out = _Collector(zone_offset_s)
    stream = _Servicing(out)
    for group in groups:
        last, first = str(group.get("last") or "")[:_MAX_LINE], str(group.get("first") or "")[:_MAX_LINE]
        number = group.get("count")
        count = max(int(number), 1) if isinstance(number, int) else 1
        if kind == "reporting":
            match, before = _REPORT.search(last), _REPORT.search(first)
            if before is not None and match is not None and before.group(0) != match.group(0):
                _report(before, out, 1, "reporting")
                count = max(count - 1, 1)
            if match is not None:
                _report(match, out, count, "reporting")
        else:
            dated = _DATED.match(first)
            stream.line(last, count, _stamp(dated.group(1), dated.group(2)) if dated else None)
    stream.close()
    return out.result()
