# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a host said about itself, checked field by field before anything is decided from it.

A host may be broken or hostile. Only the shape, size and depth of the whole refuse a document. A bad field spoils its own section alone: on
a broken host the odd value may be the fault that is looked for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from . import _arrival, fields
from . import sections as parts
from .fields import CUT, LOST, Check, Faults, FieldError, many, one_line, record, refusal

MAX_BYTES = 256 * 1024
MAX_DEPTH = 64
STATUSES = ("ok", "partial", "absent", "denied", "timeout", "failed")

_USABLE = ("ok", "partial")
# Fields of rows that most rows lack: a document has many rows.
_SPARSE = (
    *("trigger", "image_path", "service_dll", "service", "caller", "classes", "channel", "count", "first"),
    *("max_slew", "max_poll", "special_poll", "seeding", "hypervisor", "status"),
    *("account", "dll_missing", "exclusive", "protocols", "pol_damaged"),
)
_MOST_WHY = 600
_MOST_WHY_OF_HOST = 300

# The services that a look reads, by key name.
SERVICES = (
    "wuauserv",
    "BITS",
    "CryptSvc",
    "TrustedInstaller",
    "msiserver",
    "AppIDSvc",
    "wlidsvc",
    "UsoSvc",
    "DoSvc",
    "WaaSMedicSvc",
    "W32Time",
    "vmictimesync",
)

T = TypeVar("T")


class EvidenceError(ValueError):
    """The document cannot be taken at all; the message is one line that says why."""


@dataclass(frozen=True)
class Section:
    """One part of a look: `data` is the dataclass of `sections` for it, None when there is none that can be used."""

    status: str
    ms: int = 0
    why: str | None = None
    data: object | None = None


@dataclass(frozen=True)
class Evidence:
    """Everything one look at a host gave; `asked_ms` and `answered_ms` are the controller's clock.

    The properties never are None: where a section is missing or could not be gathered, nothing in its dataclass is known.
    """

    asked_ms: int | None
    answered_ms: int | None
    sections: Mapping[str, Section]

    def status(self, name: str) -> str:
        """Status of a section, `missing` when it was never gathered."""
        section = self.sections.get(name)
        return "missing" if section is None else section.status

    def has(self, name: str) -> bool:
        """Whether a section has data that may be used."""
        section = self.sections.get(name)
        return section is not None and section.status in _USABLE and section.data is not None

    def cut(self, name: str) -> bool:
        """Whether something of a section was left out for want of room."""
        section = self.sections.get(name)
        return section is not None and section.status == "partial" and CUT in (section.why or "")

    def lost(self, name: str) -> bool:
        """Whether a failure of a section was left out for want of room."""
        return self.cut(name) and LOST in (self.sections[name].why or "")

    @property
    def host(self) -> parts.Host:
        """The machine."""
        return self._data("host", parts.Host)

    @property
    def clock(self) -> parts.Clock:
        """The host's clock and its time sources."""
        return self._data("clock", parts.Clock)

    @property
    def services(self) -> parts.Services:
        """The Windows services that updates need."""
        return self._data("services", parts.Services)

    @property
    def history(self) -> parts.History:
        """The update history."""
        return self._data("history", parts.History)

    @property
    def events(self) -> parts.Events:
        """Events that decide."""
        return self._data("events", parts.Events)

    @property
    def reporting(self) -> parts.Log:
        """ReportingEvents.log."""
        return self._data("reporting", parts.Log)

    @property
    def cbs(self) -> parts.Log:
        """CBS.log."""
        return self._data("cbs", parts.Log)

    @property
    def servicing(self) -> parts.Servicing:
        """Whether servicing is at work."""
        return self._data("servicing", parts.Servicing)

    @property
    def reboot(self) -> parts.Reboot:
        """The markers of a pending restart."""
        return self._data("reboot", parts.Reboot)

    @property
    def policy(self) -> parts.Policy:
        """Policies that decide about updates."""
        return self._data("policy", parts.Policy)

    @property
    def sources(self) -> parts.Sources:
        """Where updates come from."""
        return self._data("sources", parts.Sources)

    @property
    def cache(self) -> parts.Cache:
        """The folders that a reset renews."""
        return self._data("cache", parts.Cache)

    @property
    def disk(self) -> parts.Disk:
        """The system drive."""
        return self._data("disk", parts.Disk)

    @property
    def upgrade(self) -> parts.Upgrade:
        """What feature upgrades left behind."""
        return self._data("upgrade", parts.Upgrade)

    @property
    def scan(self) -> parts.Scan:
        """The live search of this look."""
        return self._data("scan", parts.Scan)

    def _data(self, name: str, kind: type[T]) -> T:
        section = self.sections.get(name)
        if section is not None and section.status in _USABLE and isinstance(section.data, kind):
            return section.data
        return kind()

    @property
    def now(self) -> int:
        """The host's own clock when the look ended (Unix seconds), else the controller's."""
        end_ms = self.clock.end_ms
        if end_ms is not None:
            return end_ms // 1000
        return (self.answered_ms or self.asked_ms or 0) // 1000

    def offset_to_controller(self) -> tuple[int, int] | None:
        """Host minus controller and the bound of its error, in milliseconds.

        The look began after it was asked for and ended before it was answered, which bounds the offset from both sides.
        """
        start_ms, end_ms = self.clock.start_ms, self.clock.end_ms
        if start_ms is None or end_ms is None or self.asked_ms is None or self.answered_ms is None:
            return None
        low, high = end_ms - self.answered_ms, start_ms - self.asked_ms
        return (low + high) // 2, abs(high - low + 1) // 2

    def to_document(self) -> dict[str, Any]:
        """The evidence document, as `parse` takes it."""
        return {
            "schema": 1,
            "taken": {"asked_ms": self.asked_ms, "answered_ms": self.answered_ms},
            "sections": {
                name: {"status": section.status, "ms": section.ms, "why": section.why, "data": fields.plain(section.data, _SPARSE)}
                for name, section in self.sections.items()
            },
        }


# --- the fields -------------------------------------------------------------------------------------------------------

_NUMBER = fields.whole()
_COUNT = fields.whole(0, expected="a number from 0 on")
# A year that a date can hold, so that nobody who reckons with it has to look again.
_TIME = fields.whole(-(1 << 34), 1 << 37, "a time in Unix seconds")
_TIME_MS = fields.whole(-(1 << 44), 1 << 47, "a time in Unix milliseconds")
_OFFSET_MS = fields.whole(-(1 << 47), 1 << 47, "milliseconds")
_UNSIGNED = fields.whole(0, (1 << 32) - 1, "unsigned seconds")
_CODE = fields.whole(-(1 << 31), (1 << 32) - 1, "an HRESULT")
_NAME = fields.text(200)
_PATH = fields.text(300)
_NAMES = many(_NAME, 300)
_GUIDS = many(fields.guid, 32)
_VALUES = fields.table(fields.number_or_text, 200)
_FLAG = fields.flag

_TIME_SOURCE = record(
    parts.TimeSource, server=_NAME, ok=_FLAG, offset_ms=_OFFSET_MS, error=_NAME
)
_TIME_STATUS = record(
    parts.TimeStatus,
    time=_TIME,
    leap=_NUMBER,
    stratum=_NUMBER,
    reference=_NAME,
    source=_NAME,
    poll=_NUMBER,
    since_s=_NUMBER,
)
_SERVICE = record(
    parts.Service,
    name=_NAME,
    exists=_FLAG,
    start=fields.whole(0, 4, "a number 0 to 4"),
    delayed=_FLAG,
    state=fields.one_of(
        "stopped", "start_pending", "stop_pending", "running", "continue_pending", "pause_pending", "paused"
    ),
    trigger=_FLAG,
    image_path=_PATH,
    service_dll=_PATH,
    account=_NAME,
    dll_missing=_FLAG,
    dependents=_NAMES,
)
_HISTORY_ENTRY = record(
    parts.HistoryEntry,
    time=_TIME,
    operation=_NUMBER,
    result=_NUMBER,
    hresult=_CODE,
    title=_NAME,
    update_id=fields.guid,
    service=fields.guid,
    caller=_NAME,
    classes=_GUIDS,
    count=_COUNT,
    first=_TIME,
)
_EVENT = record(
    parts.Event,
    channel=_NAME,
    provider=_NAME,
    id=fields.whole(0, 65535, "an event id"),
    time=_TIME,
    record=_COUNT,
    count=_COUNT,
    first=_TIME,
    data=fields.table(fields.as_text, 64),
)
_REACH = record(parts.Reach, channel=_NAME, oldest=_TIME, complete=_FLAG)
_LOG_KIND = record(parts.LogKind, last=fields.log_line, count=_COUNT, first=fields.log_line)
_LOG = record(
    parts.Log,
    "kinds",
    path=_PATH,
    size=_COUNT,
    read=_COUNT,
    modified=_TIME,
    oldest=fields.log_line,
    kinds=many(_LOG_KIND, 200, newest_last=True),
)
_UPDATE_SERVICE = record(parts.UpdateService, id=fields.guid, default=_FLAG, managed=_FLAG)
_ENDPOINT = record(
    parts.Endpoint, role=fields.one_of("wsus", "proxy", "pac"), host=_NAME, port=_COUNT, ok=_FLAG, status=_COUNT, error=_NAME
)
_CACHE_FOLDER = record(
    parts.CacheFolder,
    name=fields.one_of("SoftwareDistribution", "catroot2"),
    exists=_FLAG,
    path=_PATH,
    reparse=_FLAG,
    file=_FLAG,
    created=_TIME,
    data_store=_FLAG,
    data_store_created=_TIME,
    backups=_NAMES,
)
_PROCESS = record(parts.Process, name=_NAME, busy_ms=_NUMBER)


def _process(value: object, path: str, faults: Faults) -> parts.Process:
    """A process; evidence of older releases holds its name alone."""
    if isinstance(value, str):
        return parts.Process(_NAME(value, path, faults))
    return _PROCESS(value, path, faults)


_OFFERED_UPDATE = record(parts.OfferedUpdate, title=_NAME, kb=many(fields.kb, 32), id=fields.guid, classes=_GUIDS)

_SECTIONS: dict[str, Check] = {
    "host": record(
        parts.Host,
        build=_COUNT,
        revision=_COUNT,
        edition=_NAME,
        product_type=fields.one_of("client", "server", "domain_controller"),
        domain_role=fields.whole(0, 5, "a number 0 to 5"),
        domain=_NAME,
        ps_version=_NAME,
        language_mode=_NAME,
        elevated=_FLAG,
        is_64bit=_FLAG,
        boot_time=_TIME,
    ),
    "clock": record(
        parts.Clock,
        start_ms=_TIME_MS,
        end_ms=_TIME_MS,
        zone=_NAME,
        utc_offset_s=fields.whole(-86400, 86400, "seconds of at most a day"),
        type=_NAME,
        servers=_NAMES,
        policy=_VALUES,
        max_pos=_UNSIGNED,
        max_neg=_UNSIGNED,
        client_enabled=_NUMBER,
        max_slew=_UNSIGNED,
        max_poll=_NUMBER,
        special_poll=_UNSIGNED,
        seeding=_NUMBER,
        hypervisor=_NUMBER,
        status=_TIME_STATUS,
        sources=many(_TIME_SOURCE, 64),
    ),
    "services": record(parts.Services, "services", services=many(_SERVICE, 64)),
    "history": record(parts.History, "entries", entries=many(_HISTORY_ENTRY, 100)),
    "events": record(parts.Events, "records", records=many(_EVENT, 400), reach=many(_REACH, 16)),
    "reporting": _LOG,
    "cbs": _LOG,
    "servicing": record(
        parts.Servicing,
        in_progress=_NUMBER,
        processes=many(_process, 300),
        log_age=_NUMBER,
        exclusive=_NUMBER,
        installer_in_progress=_FLAG,
        setup_in_progress=_FLAG,
        upgrade_in_progress=_FLAG,
    ),
    "reboot": record(parts.Reboot, "markers", markers=many(_NAME, 32)),
    "policy": record(
        parts.Policy,
        wu=_VALUES,
        au=_VALUES,
        user=_VALUES,
        ux=_VALUES,
        mdm=_VALUES,
        mdm_wins=_NUMBER,
        servicing=_VALUES,
        tls=_VALUES,
        protocols=_COUNT,
        pol_damaged=_FLAG,
        configmgr=_FLAG,
        sus_client_id=_NAME,
    ),
    "sources": record(
        parts.Sources,
        services=many(_UPDATE_SERVICE, 64),
        last_search=_TIME,
        last_install=_TIME,
        endpoints=many(_ENDPOINT, 64),
        hosts=many(_NAME, 9),
    ),
    "cache": record(parts.Cache, "folders", folders=many(_CACHE_FOLDER, 8)),
    "disk": record(parts.Disk, drive=_NAME, free=_COUNT),
    "upgrade": record(
        parts.Upgrade,
        osupgrade=_VALUES,
        box_result=_CODE,
        setupdiag=_VALUES,
        logs=many(_LOG, 16),
    ),
    "scan": record(
        parts.Scan,
        result=_NUMBER,
        hresult=_CODE,
        count=_COUNT,
        warnings=many(_CODE, 100),
        updates=many(_OFFERED_UPDATE, 30),
    ),
}


@dataclass(frozen=True)
class _Head:
    status: str | None = None
    ms: int = 0
    why: str | None = None


@dataclass(frozen=True)
class _Taken:
    asked_ms: int | None = None
    answered_ms: int | None = None


_HEAD = record(_Head, status=fields.one_of(*STATUSES), ms=_COUNT, why=fields.text(_MOST_WHY))
_TAKEN = record(_Taken, asked_ms=_TIME_MS, answered_ms=_TIME_MS)


# --- in ---------------------------------------------------------------------------------------------------------------


def parse(document: object) -> Evidence:
    """Check an untrusted evidence document.

    Args:
        document: the document, or a result of a module that holds it under `evidence`; as an object, or as JSON in text or UTF-8 bytes.

    Raises:
        EvidenceError: it is no evidence, or too large or too deep. The message is one line.
    """
    loaded = _evidence_of(_load(document, "the document"))
    _check_size(loaded, "the document")
    _check_schema(loaded, "schema")
    taken = _Taken()
    if isinstance(loaded.get("taken"), Mapping):
        taken = _TAKEN(loaded["taken"], "taken", Faults())
    return _bounded(Evidence(taken.asked_ms, taken.answered_ms, _sections(loaded.get("sections"))))


def from_reply(reply: object, asked_ms: int | None, answered_ms: int | None) -> Evidence:
    """Check the agent's reply to an observe request.

    Args:
        reply: what the agent wrote under `reply`.
        asked_ms: the controller's clock just before the question, Unix milliseconds.
        answered_ms: the same just after the answer.

    Raises:
        EvidenceError: as `parse`, or the agent refused the request.
    """
    loaded = _load(reply, "the reply")
    _check_size(loaded, "the reply")
    _check_schema(loaded, "reply.schema")
    _check_not_refused(loaded.get("refused"))
    if loaded.get("op") not in ("observe", "apply"):
        raise _error(refusal("reply.op", loaded.get("op"), '"observe"'))
    sections = _sections(_arrival.complete(loaded.get("sections"), SERVICES))
    return _bounded(Evidence(asked_ms, answered_ms, sections))


def _check_not_refused(refused: object) -> None:
    if refused is None:
        return
    if not isinstance(refused, str):
        raise _error(refusal("reply.refused", refused, "text"))
    raise EvidenceError(f"evidence: the agent refused: {one_line(refused, 200)}")


def _error(error: FieldError) -> EvidenceError:
    return EvidenceError(f"evidence: {error}")


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number that JSON knows")


def _load(document: object, what: str) -> Mapping[Any, Any]:
    """The document as an object."""
    if isinstance(document, (bytes, bytearray)):
        if len(document) > MAX_BYTES:
            raise EvidenceError(f"evidence: {what} has {len(document)} bytes, expected at most {MAX_BYTES}")
        try:
            document = bytes(document).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise EvidenceError(f"evidence: {what} is not UTF-8") from None
    if isinstance(document, str):
        if len(document) > MAX_BYTES:
            raise EvidenceError(f"evidence: {what} has {len(document)} characters, expected at most {MAX_BYTES}")
        try:
            document = json.loads(document, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise EvidenceError(f"evidence: {what} is not JSON: {one_line(str(error), 80)}") from None
    if not isinstance(document, Mapping):
        raise EvidenceError(f"evidence: {what} is not an object")
    return document


def _evidence_of(loaded: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """The evidence document, which may stand in the result of a module."""
    if "sections" in loaded:
        return loaded
    if loaded.get("evidence") is not None:
        return _load(loaded["evidence"], "what stands under the key evidence")
    if "schema" in loaded:
        return loaded
    raise EvidenceError(f"evidence: {_what_to_pass(loaded)}")


def _what_to_pass(loaded: Mapping[Any, Any]) -> str:
    if isinstance(loaded.get("results"), (list, tuple)):
        return "this is the result of a loop; pass one of its results"
    if "verdict" in loaded:
        return "this result holds no evidence; look with return_evidence: always"
    return "this is no evidence document; pass the result of win_wu_info, its key evidence, or a file that evidence_dir holds"


def _check_size(loaded: Mapping[Any, Any], what: str) -> None:
    wrong = fields.excess(loaded, MAX_BYTES, MAX_DEPTH)
    if wrong:
        raise EvidenceError(f"evidence: {what} {wrong}")


def _check_schema(loaded: Mapping[Any, Any], path: str) -> None:
    schema = loaded.get("schema")
    if isinstance(schema, bool) or not isinstance(schema, int) or schema != 1:
        raise _error(refusal(path, schema, "1"))


def _sections(value: object) -> dict[str, Section]:
    if not isinstance(value, Mapping):
        raise _error(refusal("sections", value, "an object"))
    return {name: _section(name, value[name], check) for name, check in _SECTIONS.items() if name in value}


def _section(name: str, value: object, check: Check) -> Section:
    if not isinstance(value, Mapping):
        return Section("failed", why=str(refusal(name, value, "an object")))
    faults = Faults()
    head = _HEAD(value, name, faults)
    if head.status is None and value.get("status") is None:
        faults.add(f"{name}.status is missing")
    raw = value.get("data")
    data: object | None = None
    if raw is not None:
        try:
            data = check(raw, name, faults)
        except FieldError as error:
            faults.add(str(error))
    status = _status(head.status, faults, usable=data is not None, given=raw is not None)
    return Section(status, head.ms, _why(head.why, faults), data)


def _status(status: str | None, faults: Faults, *, usable: bool, given: bool) -> str:
    """The status of a section after its fields were read."""
    if status not in (None, "ok", "partial"):
        return str(status)
    if not usable and (given or status is None):
        return "failed"
    if faults:
        return "partial"
    return status or "partial"


def _why(why: str | None, faults: Faults) -> str | None:
    if not faults:
        return why
    words = faults.words()
    if why:
        words = [one_line(why, _MOST_WHY_OF_HOST), *words]
    if faults.cut:
        words = [CUT, *(word for word in words if word != CUT)]
    return one_line("; ".join(words), _MOST_WHY)


def _bounded(evidence: Evidence) -> Evidence:
    """What is taken can be written and taken again."""
    if len(json.dumps(evidence.to_document())) > MAX_BYTES:
        raise EvidenceError(f"evidence: the document is larger than {MAX_BYTES} bytes")
    return evidence
