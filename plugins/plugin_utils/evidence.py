# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a host said about itself, checked field by field before anything is decided from it.

A host may be broken or hostile: every value is compared with one declarative table; what that does not name is dropped.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from . import _arrival, logs
from .logs import Record, clean

MAX_BYTES = 256 * 1024
STATUSES = ("ok", "partial", "absent", "denied", "timeout", "failed")

# The services whose state decides whether updates work, by key name, with the names Windows shows in English.
SERVICES = {
    "wuauserv": "windows update",
    "BITS": "background intelligent transfer service",
    "CryptSvc": "cryptographic services",
    "TrustedInstaller": "windows modules installer",
    "msiserver": "windows installer",
    "AppIDSvc": "application identity",
    "wlidsvc": "microsoft account sign-in assistant",
    "UsoSvc": "update orchestrator service",
    "DoSvc": "delivery optimization",
    "WaaSMedicSvc": "windows update medic service",
    "W32Time": "windows time",
}


class EvidenceError(ValueError):
    """The document is not what the contract says; the message is one line that names the path."""


@dataclass(frozen=True)
class Section:
    """One part of the look; `data` is empty when there is none."""

    status: str
    ms: int
    why: str | None
    data: Mapping[str, Any]


@dataclass(frozen=True)
class Evidence:
    """Everything one look at a host gave; `asked_ms` and `answered_ms` are the controller's clock."""

    asked_ms: int | None
    answered_ms: int | None
    sections: Mapping[str, Section]

    def data(self, name: str) -> Mapping[str, Any]:
        """Data of a section, {} when it is missing or has none that can be used."""
        section = self.sections.get(name)
        return section.data if section is not None and section.status in ("ok", "partial") else {}

    def status(self, name: str) -> str:
        """Status of a section, `missing` when it was never gathered."""
        section = self.sections.get(name)
        return "missing" if section is None else section.status

    @property
    def now(self) -> int:
        """The host's own clock when the look ended (Unix seconds), else the controller's."""
        end = self.data("clock").get("end_ms")
        if isinstance(end, int):
            return end // 1000
        return (self.answered_ms or self.asked_ms or 0) // 1000

    def offset_to_controller(self) -> tuple[int, int] | None:
        """Host minus controller and the bound of its error, in milliseconds.

        The look began after it was asked for and ended before it was answered, which bounds the offset from both sides.
        """
        clock = self.data("clock")
        start, end = clock.get("start_ms"), clock.get("end_ms")
        if not isinstance(start, int) or not isinstance(end, int) or self.asked_ms is None or self.answered_ms is None:
            return None
        low, high = end - self.answered_ms, start - self.asked_ms
        return (low + high) // 2, abs(high - low + 1) // 2

    def to_document(self) -> dict[str, Any]:
        """The evidence document, as `parse` takes it."""
        return {
            "schema": 1,
            "taken": {"asked_ms": self.asked_ms, "answered_ms": self.answered_ms},
            "sections": {
                name: {"status": s.status, "ms": s.ms, "why": s.why, "data": dict(s.data) if s.data else None}
                for name, s in self.sections.items()
            },
        }


# --- the table --------------------------------------------------------------------------------------------------------

_Check = Callable[[object, str], Any]
_BIG = 1 << 63


def _bad(path: str, value: object, expected: str) -> EvidenceError:
    if isinstance(value, str):
        # Never the text itself: whoever passed the wrong variable may have passed a secret.
        shown = f"text of length {len(value)}"
    elif isinstance(value, Mapping):
        shown = "an object"
    elif isinstance(value, (list, tuple)):
        shown = "a list"
    elif isinstance(value, int) and not isinstance(value, bool) and abs(value) > _BIG:
        shown = "a huge number"
    else:
        shown = "null" if value is None else clean(ascii(value), 40)
    return EvidenceError(f"evidence: {path} is {shown}, expected {expected}")


def _whole(low: int = -_BIG, high: int = _BIG, expected: str = "a number") -> _Check:
    def check(value: object, path: str) -> int:
        if isinstance(value, float) and math.isfinite(value):
            value = round(value)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise _bad(path, value, expected)
        return int(value)

    return check


def _text(limit: int = 200) -> _Check:
    def check(value: object, path: str) -> str:
        if not isinstance(value, str):
            raise _bad(path, value, "text")
        return clean(value, limit)

    return check


def _log_line(value: object, path: str) -> str:
    """A line of a log keeps its tabs: they part its columns."""
    if not isinstance(value, str):
        raise _bad(path, value, "text")
    return "\t".join(clean(part, 400) for part in value[:400].split("\t"))


def _flag(value: object, path: str) -> bool:
    if not isinstance(value, bool):
        raise _bad(path, value, "true or false")
    return bool(value)


def _one_of(*names: str) -> _Check:
    def check(value: object, path: str) -> str:
        if isinstance(value, str):
            for name in names:
                if name == value:
                    return name
        raise _bad(path, value, f"one of {', '.join(names)}")

    return check


def _maybe(inner: _Check) -> _Check:
    return lambda value, path: None if value is None else inner(value, path)


def _many(inner: _Check, limit: int = 300) -> _Check:
    def check(value: object, path: str) -> list[Any]:
        if not isinstance(value, (list, tuple)):
            raise _bad(path, value, "a list")
        if len(value) > limit:
            raise EvidenceError(f"evidence: {path} has {len(value)} items, expected at most {limit}")
        return [inner(item, f"{path}[{index}]") for index, item in enumerate(value)]

    return check


def _fields(required: str, **checks: _Check) -> _Check:
    needed = tuple(required.split())

    def check(value: object, path: str) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise _bad(path, value, "an object")
        for name in needed:
            if name not in value:
                raise EvidenceError(f"evidence: {path}.{name} is missing")
        return {name: inner(value[name], f"{path}.{name}") for name, inner in checks.items() if name in value}

    return check


def _number_or_text(value: object, path: str) -> int | str | None:
    if isinstance(value, str):
        return clean(value, 400)
    if value is None:
        return None
    if isinstance(value, bool):
        return int(value)
    return int(_whole(expected="a number or text")(value, path))


def _shown(value: object, path: str) -> str:
    if isinstance(value, str):
        return clean(value, 200)
    if value is None:
        return ""
    if isinstance(value, (bool, int)):
        return str(int(_whole()(int(value), path)))
    raise _bad(path, value, "text")


def _named(inner: _Check, limit: int = 200) -> _Check:
    def check(value: object, path: str) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise _bad(path, value, "an object")
        if len(value) > limit:
            raise EvidenceError(f"evidence: {path} has {len(value)} names, expected at most {limit}")
        result = {}
        for name, item in value.items():
            if not isinstance(name, str):
                raise EvidenceError(f"evidence: {path} has a name that is no text")
            result[clean(name, 100)] = inner(item, f"{path}.{clean(name, 40)}")
        return result

    return check


_INT = _whole()
_COUNT = _whole(0, expected="a number from 0 on")
_TIME = _maybe(_whole(-(1 << 40), 1 << 40, "a time in Unix seconds"))
_CODE = _whole(-(1 << 31), (1 << 32) - 1, "an HRESULT")
_NAME = _text(200)
_VALUES = _named(_number_or_text)
_LOG_FIELDS: dict[str, _Check] = {
    "path": _text(300),
    "size": _COUNT,
    "read": _COUNT,
    "modified": _TIME,
    "kinds": _many(_fields("last", kind=_text(200), count=_COUNT, first=_maybe(_log_line), last=_log_line), 200),
}
_LOG = _fields("kinds", **_LOG_FIELDS)
_SOURCE = _fields(
    "server",
    server=_NAME,
    ok=_flag,
    offset_ms=_maybe(_INT),
    rtt_ms=_maybe(_INT),
    stratum=_maybe(_INT),
    error=_maybe(_NAME),
)
_STATES = (
    "stopped",
    "start_pending",
    "stop_pending",
    "running",
    "continue_pending",
    "pause_pending",
    "paused",
)
_SERVICE = _fields(
    "name exists",
    name=_NAME,
    exists=_flag,
    start=_maybe(_whole(0, 4, "a number 0 to 4")),
    delayed=_maybe(_flag),
    state=_maybe(_one_of(*_STATES)),
    dependents=_maybe(_many(_NAME)),
)

_SECTIONS: dict[str, _Check] = {
    "host": _fields(
        "",
        build=_maybe(_COUNT),
        revision=_maybe(_COUNT),
        edition=_maybe(_NAME),
        product_type=_maybe(_one_of("client", "server", "domain_controller")),
        domain_role=_maybe(_whole(0, 5, "a number 0 to 5")),
        domain=_maybe(_NAME),
        ps_version=_maybe(_NAME),
        ps_edition=_maybe(_NAME),
        language_mode=_maybe(_NAME),
        elevated=_maybe(_flag),
        is_64bit=_maybe(_flag),
        culture=_maybe(_NAME),
        boot_time=_TIME,
        uptime_s=_maybe(_COUNT),
    ),
    "clock": _fields(
        "",
        start_ms=_maybe(_INT),
        end_ms=_maybe(_INT),
        zone=_maybe(_NAME),
        type=_maybe(_NAME),
        servers=_maybe(_many(_NAME)),
        policy=_maybe(_VALUES),
        max_pos=_maybe(_whole(0, (1 << 32) - 1, "unsigned seconds")),
        max_neg=_maybe(_whole(0, (1 << 32) - 1, "unsigned seconds")),
        client_enabled=_maybe(_INT),
        sources=_maybe(_many(_SOURCE, 64)),
    ),
    "services": _fields("services", services=_many(_SERVICE, 64)),
    "history": _fields(
        "",
        total=_maybe(_COUNT),
        entries=_many(
            _fields(
                "",
                time=_TIME,
                operation=_maybe(_INT),
                result=_maybe(_INT),
                hresult=_maybe(_CODE),
                title=_maybe(_NAME),
                update_id=_maybe(_NAME),
                client=_maybe(_NAME),
            ),
            100,
        ),
    ),
    "events": _fields(
        "records",
        records=_many(
            _fields(
                "provider id",
                channel=_maybe(_NAME),
                provider=_NAME,
                id=_whole(0, 65535, "an event id"),
                time=_TIME,
                record=_maybe(_COUNT),
                data=_maybe(_named(_shown, 64)),
            ),
            400,
        ),
    ),
    "reporting": _LOG,
    "cbs": _LOG,
    "servicing": _fields(
        "",
        in_progress=_maybe(_INT),
        processes=_maybe(_many(_NAME)),
        sessions_pending=_maybe(_INT),
        installer_in_progress=_maybe(_flag),
        setup_in_progress=_maybe(_flag),
        upgrade_in_progress=_maybe(_flag),
    ),
    "reboot": _fields("markers", markers=_many(_NAME, 32), file_renames=_maybe(_COUNT)),
    "policy": _fields(
        "",
        wu=_maybe(_VALUES),
        au=_maybe(_VALUES),
        user=_maybe(_VALUES),
        ux=_maybe(_VALUES),
        mdm=_maybe(_VALUES),
        mdm_wins=_maybe(_INT),
        servicing=_maybe(_VALUES),
        configmgr=_maybe(_flag),
    ),
    "sources": _fields(
        "",
        services=_maybe(
            _many(_fields("id", id=_NAME, name=_maybe(_NAME), default=_maybe(_flag), managed=_maybe(_flag)), 64)
        ),
        last_search=_TIME,
        last_install=_TIME,
        endpoints=_maybe(
            _many(
                _fields(
                    "role",
                    role=_one_of("wsus", "proxy"),
                    host=_maybe(_NAME),
                    port=_maybe(_COUNT),
                    ok=_maybe(_flag),
                    ms=_maybe(_INT),
                    error=_maybe(_NAME),
                ),
                64,
            )
        ),
    ),
    "cache": _fields(
        "folders",
        folders=_many(
            _fields(
                "name exists",
                name=_one_of("SoftwareDistribution", "catroot2"),
                path=_maybe(_text(300)),
                exists=_flag,
                reparse=_maybe(_flag),
                created=_TIME,
                files=_maybe(_COUNT),
                bytes=_maybe(_COUNT),
                complete=_maybe(_flag),
                data_store=_maybe(_flag),
                data_store_created=_TIME,
                backups=_maybe(_many(_NAME)),
            ),
            8,
        ),
    ),
    "disk": _fields("", drive=_maybe(_NAME), free=_maybe(_COUNT), size=_maybe(_COUNT)),
    "upgrade": _fields(
        "",
        osupgrade=_maybe(_VALUES),
        box_result=_maybe(_CODE),
        failure_count=_maybe(_INT),
        install_attempts=_maybe(_INT),
        setupdiag=_maybe(_VALUES),
        logs=_maybe(_many(_LOG, 16)),
    ),
    "runs": _fields("folders", folders=_many(_NAME, 1000)),
    "scan": _fields(
        "",
        result=_maybe(_INT),
        hresult=_maybe(_CODE),
        count=_maybe(_COUNT),
        seconds=_maybe(_COUNT),
        warnings=_maybe(_many(_CODE, 100)),
    ),
}

_SECTION = _fields("status", status=_one_of(*STATUSES), ms=_maybe(_COUNT), why=_maybe(_text(300)))
_TAKEN = _fields("", asked_ms=_maybe(_INT), answered_ms=_maybe(_INT))


# --- in ---------------------------------------------------------------------------------------------------------------


def _no_constant(name: str) -> Any:
    raise EvidenceError(f"evidence: {name} is no number that JSON knows")


def _load(document: object, what: str) -> Mapping[object, object]:
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
        except EvidenceError:
            raise
        except (ValueError, RecursionError) as error:
            raise EvidenceError(f"evidence: {what} is not JSON: {clean(str(error), 80)}") from None
    if not isinstance(document, Mapping):
        raise EvidenceError(f"evidence: {what} is not an object")
    return document


def _sections(value: object) -> dict[str, Section]:
    if not isinstance(value, Mapping):
        raise _bad("sections", value, "an object")
    sections: dict[str, Section] = {}
    for name, check in _SECTIONS.items():
        if name not in value:
            continue
        path, raw = f"sections.{name}", value[name]
        head = _SECTION(raw, path)
        data = raw.get("data") if isinstance(raw, Mapping) else None
        # Section `disk` and its like may be there in part; what is there is checked whatever the status says.
        checked = {} if data is None else check(data, f"{path}.data")
        sections[name] = Section(head["status"], head.get("ms") or 0, head.get("why"), checked)
    return sections


def _schema(document: Mapping[object, object], what: str) -> None:
    schema = document.get("schema")
    if isinstance(schema, bool) or not isinstance(schema, int) or schema != 1:
        raise _bad(f"{what}schema", schema, "1")


def _bounded(found: Evidence, document: object) -> Evidence:
    if isinstance(document, Mapping) and len(json.dumps(found.to_document())) > MAX_BYTES:
        raise EvidenceError(f"evidence: the document is larger than {MAX_BYTES} bytes")
    return found


def parse(document: object) -> Evidence:
    """Check an untrusted evidence document.

    Args:
        document: the document as an object, or as JSON in text or UTF-8 bytes.

    Raises:
        EvidenceError: something is not what the contract says. The message is one line that names the path.
    """
    loaded = _load(document, "the document")
    _schema(loaded, "")
    taken = _TAKEN(loaded.get("taken") or {}, "taken")
    found = Evidence(taken.get("asked_ms"), taken.get("answered_ms"), _sections(loaded.get("sections")))
    return _bounded(found, document)


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
    _schema(loaded, "reply.")
    if loaded.get("refused") is not None:
        raise EvidenceError(f"evidence: the agent refused: {clean(str(loaded['refused']), 200)}")
    if loaded.get("op") not in ("observe", "apply"):
        raise _bad("reply.op", loaded.get("op"), '"observe"')
    sections = _sections(_arrival.complete(loaded.get("sections"), SERVICES))
    return _bounded(Evidence(asked_ms, answered_ms, sections), reply)


# --- records ----------------------------------------------------------------------------------------------------------


def _our_service(data: Mapping[str, str]) -> str | None:
    """Key name of the service an event is about, if one of ours; an unknown (translated) name is none."""
    names = [
        str(data.get("service") or ""),
        logs.service_key(data) or "",
        str(data.get("param1") or ""),
        str(data.get("param2") or ""),
    ]
    for name in names:
        lower = name.lower()
        for key, display in SERVICES.items():
            if lower in (key.lower(), display):
                return key
    return None


def _events(evidence: Evidence) -> list[Record]:
    found = []
    for event in evidence.data("events").get("records") or ():
        data = event.get("data") or {}
        provider = event["provider"]
        if provider == "Service Control Manager":
            ours = _our_service(data)
            if ours is None:
                continue
            data = {**data, "service": ours}
        record = logs.event_record(provider, event["id"], event.get("time"), data)
        if record is not None:
            found.append(record)
    return found


def _history(evidence: Evidence) -> list[Record]:
    found = []
    for entry in evidence.data("history").get("entries") or ():
        result, code = entry.get("result"), (entry.get("hresult") or 0) & 0xFFFFFFFF
        update = logs.update_id(entry.get("update_id")) or logs.update_id(entry.get("title"))
        title, time = entry.get("title") or "", entry.get("time")
        failed = bool(code & 0x80000000)
        if result in (4, 5) or (result == 3 and failed):
            marker = None if failed else "install_failed" if result == 4 else "install_aborted"
            found.append(
                Record(
                    "history",
                    "install",
                    time,
                    code=code if failed else None,
                    marker=marker,
                    update=update,
                    text=title,
                    first=time,
                )
            )
        elif result in (2, 3) and entry.get("operation") in (1, None):
            found.append(Record("history", "install", time, ok=True, update=update, text=title, first=time))
    return found


def _scan(evidence: Evidence) -> list[Record]:
    found = []
    last = evidence.data("sources").get("last_search")
    if last is not None:
        found.append(
            Record("history", "scan", last, ok=True, text="the agent's own last successful search", first=last)
        )
    scan, now = evidence.data("scan"), evidence.now
    result, code = scan.get("result"), (scan.get("hresult") or 0) & 0xFFFFFFFF
    if code & 0x80000000:
        found.append(Record("scan", "scan", now, code=code, text=f"search result {result}", first=now))
    elif result in (4, 5):
        found.append(Record("scan", "scan", now, marker="scan_failed", text=f"search result {result}", first=now))
    elif result in (2, 3):
        found.append(Record("scan", "scan", now, ok=True, text=f"{scan.get('count')} updates found", first=now))
        # Succeeded with errors: one of several services did not answer.
        for warning in dict.fromkeys(scan.get("warnings") or () if result == 3 else ()):
            if warning & 0x80000000:
                found.append(
                    Record(
                        "scan",
                        "scan",
                        now,
                        code=warning & 0xFFFFFFFF,
                        text="warning of a search that succeeded",
                        first=now,
                    )
                )
    return found


_ISO = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}:[0-9]{2})")
_HEX = re.compile(r"\b0x([89c][0-9a-f]{7})\b", re.I)


def _upgrade(evidence: Evidence) -> list[Record]:
    upgrade = evidence.data("upgrade")
    found: list[Record] = []
    box = upgrade.get("box_result")
    if box is not None and box & 0x80000000:
        found.append(
            Record("registry", "upgrade", None, code=box & 0xFFFFFFFF, text="result of the last feature upgrade")
        )
    diagnosis = upgrade.get("setupdiag") or {}
    if diagnosis:
        words = " ".join(f"{name}={value}" for name, value in diagnosis.items())
        code = _HEX.search(words)
        profile = str(diagnosis.get("ProfileName") or "")
        if code or "fail" in profile.lower():
            text = clean(f"{profile} {diagnosis.get('FailureData') or diagnosis.get('FailureDetails') or ''}")
            marker = None if code else "setup_failed"
            found.append(
                Record(
                    "registry", "upgrade", None, code=int(code.group(1), 16) if code else None, marker=marker, text=text
                )
            )
    for log in upgrade.get("logs") or ():
        found += logs.read_lines("setup", log["kinds"])
    return found


def records(evidence: Evidence) -> list[Record]:
    """Everything in the evidence that is a failure or a success, as records, in no promised order."""
    return [
        *_events(evidence),
        *_history(evidence),
        *_scan(evidence),
        *logs.read_lines("reporting", evidence.data("reporting").get("kinds") or ()),
        *logs.read_lines("cbs", evidence.data("cbs").get("kinds") or ()),
        *_upgrade(evidence),
    ]
