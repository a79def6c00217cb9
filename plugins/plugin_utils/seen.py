# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Everything that a look saw, as observations: events, history, logs, the update agent's dates and a live search."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from . import logs, routing
from .evidence import Evidence
from .observation import CANCELLED, FAILED, OK, Observation, changed
from .readers.service_names import service_called
from .sections import Event, HistoryEntry, Values
from .situation import lookup

# shared data of events: these of WindowsUpdateClient are written to Operational, the others to System.
_OPERATIONAL = (25, 26, 31, 32, 33, 34, 35, 40, 41)
_CHANNELS = {"Microsoft-Windows-Servicing": "Setup"}
_FAILURE = re.compile(r"\b0x([89c][0-9a-f]{7})\b", re.I)

_ACCESS_DENIED = 0x80070005
_ASKED_FOR = {"history": "history", "sources": "services and dates"}

# An operation of the history (IUpdateHistoryEntry.Operation) and its results (OperationResultCode).
_UNINSTALLATION = 2
_SUCCEEDED, _WITH_ERRORS, _FAILED, _ABORTED = 2, 3, 4, 5


def observations(evidence: Evidence) -> list[Observation]:
    """Everything in the evidence that went well or failed, in no promised order."""
    zone = evidence.clock.utc_offset_s
    return [
        *_events(evidence),
        *_history(evidence),
        *_agent_dates(evidence),
        *_agent_failures(evidence),
        *_live_search(evidence),
        *logs.read_lines("reporting", evidence.reporting.kinds, zone),
        *logs.read_lines("cbs", evidence.cbs.kinds, zone),
        *_upgrade(evidence, zone),
    ]


def has_searched(evidence: Evidence) -> bool:
    """Whether a live search was carried out, well or not."""
    return any(True for _one in _live_search(evidence))


def our_service(data: Mapping[str, str]) -> str | None:
    """Key name of the service an event is about, if updates need it, in whatever language it is shown."""
    names = (data.get("service"), logs.service_key(data), data.get("param1"), data.get("param2"))
    return next((key for name in names if (key := service_called(str(name or ""))) is not None), None)


def _events(evidence: Evidence) -> Iterator[Observation]:
    for event in evidence.events.records:
        data = dict(event.data)
        if event.provider == "Service Control Manager":
            service = our_service(data)
            if service is None:
                continue
            data["service"] = service
        channel = event.channel or _channel(event.provider, event.id)
        made = logs.event_observation(event.provider, event.id, event.time, data, record=event.record, channel=channel)
        if made is not None:
            yield _as_many(made, event)


def _as_many(made: Observation, row: Event | HistoryEntry) -> Observation:
    """A row stands for all that were alike."""
    if row.count is None or row.count < 2:
        return made
    return changed(made, count=row.count, first=made.first if row.first is None else row.first)


def _channel(provider: str, event: int) -> str:
    if provider == "Microsoft-Windows-WindowsUpdateClient":
        if event in _OPERATIONAL:
            return f"{provider}/Operational"
        return "System"
    return _CHANNELS.get(provider, "System")


def _history(evidence: Evidence) -> Iterator[Observation]:
    for index, entry in enumerate(evidence.history.entries):
        made = _entry(entry, -index)
        if made is not None:
            yield made


def _entry(entry: HistoryEntry, place: int) -> Observation | None:
    """One entry; the agent gives the newest first, so that a smaller place is older."""
    if entry.operation == _UNINSTALLATION:
        return None
    code = _failure(entry.hresult)
    outcome, marker = _history_outcome(entry.result, code)
    if outcome is None:
        return None
    made = Observation(
        source="history",
        layer="install",
        outcome=outcome,
        time=entry.time,
        place=place,
        channel="history",
        code=code,
        marker=marker,
        caller=entry.caller,
        service=logs.guid(entry.service),
        update=logs.guid(entry.update_id),
        kb=logs.kb(entry.title),
        title=entry.title,
        classes=entry.classes,
        line=entry.title or "",
        first=entry.time,
    )
    return _as_many(made, entry)


def _history_outcome(result: int | None, code: int | None) -> tuple[str | None, str | None]:
    if result == _FAILED:
        return FAILED, _unless(code, "install_failed")
    if result == _ABORTED:
        return CANCELLED, _unless(code, "install_aborted")
    if result == _WITH_ERRORS and code:
        return FAILED, None
    if result in (_SUCCEEDED, _WITH_ERRORS):
        return OK, None
    return None, None


def _unless(code: int | None, marker: str) -> str | None:
    """A marker only where no code tells more."""
    if code is not None:
        return None
    return marker


def _failure(code: int | None) -> int | None:
    """The code where it is a failure, unsigned."""
    if code is None or not code & 0x80000000:
        return None
    return code & 0xFFFFFFFF


def _agent_dates(evidence: Evidence) -> Iterator[Observation]:
    """The update agent's own two dates. Only automatic updates move that of the search, no script does (IAutomaticUpdatesResults)."""
    sources = evidence.sources
    for layer, time in (("scan", sources.last_search), ("install", sources.last_install)):
        if time is not None:
            yield Observation(
                "agent", layer, OK, time, marker="agent_date", line=f"the update agent's own date of its last {layer}", first=time
            )


def _agent_failures(evidence: Evidence) -> Iterator[Observation]:
    """An update agent that answers with a code. That it does not answer this logon is no failure of it."""
    for name in ("history", "sources"):
        section = evidence.sections.get(name)
        if section is None or section.status not in ("failed", "partial"):
            continue
        codes = {int(text, 16) for text in _FAILURE.findall(section.why or "")}
        for code in sorted(codes - {_ACCESS_DENIED}):
            if not routing.is_dotnet_code(code):
                line = logs.clean(f"the update agent, asked for its {_ASKED_FOR[name]}: {section.why}", 200)
                yield Observation("agent", "scan", FAILED, evidence.now, code=code, line=line, first=evidence.now)


def _live_search(evidence: Evidence) -> Iterator[Observation]:
    """A search of this run. Result 3 is a success with warnings: a warning that is a failure is told as one."""
    if not evidence.has("scan"):
        return
    scan, now = evidence.scan, evidence.now
    code = _failure(scan.hresult)
    if routing.is_dotnet_code(code):
        # An exception of .NET is our own program's: no search was made.
        return
    if code is not None or scan.result in (_FAILED, _ABORTED):
        marker = _unless(code, "scan_failed")
        said = "failed"
        if scan.result == _ABORTED:
            said = "was aborted"
        yield Observation("scan", "scan", FAILED, now, code=code, marker=marker, line=f"a live search {said}", first=now)
        return
    if scan.result not in (_SUCCEEDED, _WITH_ERRORS):
        return
    warnings = [warning & 0xFFFFFFFF for warning in scan.warnings if warning & 0x80000000 and scan.result == _WITH_ERRORS]
    for warning in dict.fromkeys(warnings):
        yield Observation("scan", "scan", FAILED, now, code=warning, marker="warning", line="a warning of a live search", first=now)
    if not warnings:
        offered = tuple((row.id or "", *row.kb) for row in scan.updates)
        yield Observation(
            "scan", "scan", OK, now, found=scan.count, offered=offered, line=f"a live search found {scan.count} updates", first=now
        )


def _upgrade(evidence: Evidence, zone: int | None) -> Iterator[Observation]:
    upgrade = evidence.upgrade
    code = _failure(upgrade.box_result)
    if code is not None:
        yield Observation("registry", "upgrade", FAILED, code=code, marker="final", line="result of the last feature upgrade")
    made = _diagnosis(upgrade.setupdiag or {})
    if made is not None:
        yield made
    for log in upgrade.logs:
        yield from logs.read_lines("setup", log.kinds, zone, name=log.path or "")


def _diagnosis(values: Values) -> Observation | None:
    """What SetupDiag left in the registry: its rule, its advice, the code with its phase."""
    words = " ".join(f"{name}={value}" for name, value in values.items())
    codes = _FAILURE.findall(words)
    profile = str(lookup(values, "ProfileName") or "")
    if not codes and "fail" not in profile.lower():
        return None
    details = lookup(values, "FailureData") or lookup(values, "FailureDetails") or ""
    advice = lookup(values, "Remediation") or ""
    text = logs.clean(f"SetupDiag: {profile}. {details} {advice}".replace(" . ", " "), 200)
    code = int(codes[0], 16) if codes else None
    phase = re.search(r"\b0x[89c][0-9a-f]{7}\s?-\s?(0x[0-9a-f]{5})\b", words, re.I)
    return Observation(
        source="registry",
        layer="upgrade",
        code=code,
        marker="final" if code else "setup_failed",
        name=phase.group(1) if phase else None,
        line=text,
    )
