# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From evidence to findings: facts, each with a reason and one answer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from . import conditions, hresult, routing, situation
from .evidence import Evidence
from .evidence import records as records_of
from .logs import Record
from .situation import Settings, Situation

__all__ = ["Finding", "Settings", "find", "from_records"]

Finding = conditions.Finding

# A log that was written in an unknown time zone may be this far from UTC.
_ZONE_S = 14 * 3600

_KB = re.compile(r"(?<![A-Za-z])KB\d{6,8}(?!\d)", re.IGNORECASE)

_SERVICE = re.compile(r"\bservice=(\w+)")

_LAYER_ORDER = {
    "scan": 10,
    "cache": 11,
    "download": 12,
    "store": 13,
    "install": 14,
    "upgrade": 15,
    "service": 16,
    "clock": 17,
}


def find(evidence: Evidence, settings: Settings) -> list[Finding]:
    """Everything that is wrong with a host, most important first, history last."""
    return find_in(evidence, records_of(evidence), settings)


def find_in(evidence: Evidence, seen: Iterable[Record], settings: Settings) -> list[Finding]:
    """The same, with the records given."""
    about = situation.of(evidence, settings)
    seen = list(seen)
    successes = [*(record for record in seen if record.ok), *_agent_dates(evidence)]
    found = _from_codes(seen, successes, about, settings)
    found += conditions.find(evidence, settings, about, found)
    stale = _stale(evidence, successes, found, about, settings)
    if stale is not None:
        found.append(stale)
    return _ordered([*found, *_hints(found, settings)])


def from_records(records: Iterable[Record], settings: Settings, now: int | None = None) -> list[Finding]:
    """The same from logs alone, without the host that wrote them: what only the host could say stays unknown."""
    seen = list(records)
    found = _from_codes(seen, [record for record in seen if record.ok], Situation(now=now), settings)
    return _ordered([*found, *_hints(found, settings)])


def _ordered(found: list[Finding]) -> list[Finding]:
    return sorted(found, key=lambda item: (not item.active, item.order, -(item.last_seen or 0), item.id))


def _agent_dates(evidence: Evidence) -> list[Record]:
    """The update agent's own two dates, as successes."""
    sources = evidence.data("sources")
    return [
        Record("registry", layer, time, ok=True)
        for key, layer in (("last_search", "scan"), ("last_install", "install"))
        if (time := situation.number(sources.get(key))) is not None
    ]


# --- failures that carry a code or a marker ---


@dataclass(frozen=True)
class _Past:
    """What has gone well, prepared for asking what it overtakes."""

    live_search: bool
    by_layer: Mapping[str, list[Record]]
    failed_upgrade: bool
    place: Mapping[int, int]

    @classmethod
    def of(cls, successes: Iterable[Record], failures: Iterable[Record], seen: Sequence[Record] = ()) -> _Past:
        by_layer: dict[str, list[Record]] = {}
        live = False
        for record in successes:
            by_layer.setdefault(record.layer, []).append(record)
            live = live or (record.source == "scan" and record.layer == "scan")
        failed_upgrade = any(
            record.source != "setup"
            and (record.layer == "upgrade" or routing.is_upgrade_code(record.code))
            or (record.source == "setup" and record.marker is not None)
            for record in failures
        )
        return cls(live, by_layer, failed_upgrade, {id(record): place for place, record in enumerate(seen)})

    def after(self, failure: Record, layers: tuple[str, ...]) -> list[Record]:
        """The successes in these layers that came after a failure."""
        return [record for layer in layers for record in self.by_layer.get(layer, []) if self._is_after(record, failure)]

    def _is_after(self, success: Record, failure: Record) -> bool:
        # One reader gives records in the order of its log, which decides where the log has no times or equal ones.
        follows = success.source == failure.source and self.place.get(id(success), -1) > self.place.get(id(failure), len(self.place))
        if success.time is None or failure.time is None:
            return follows and success.time is failure.time
        if success.local_time == failure.local_time:
            # The same zone wrote both, whichever it was.
            return success.time > failure.time or (success.time == failure.time and follows)
        return success.time - (_ZONE_S if success.local_time else 0) > failure.time + (_ZONE_S if failure.local_time else 0)

    def later(self, layers: tuple[str, ...], than: int) -> list[Record]:
        return [
            record
            for layer in layers
            for record in self.by_layer.get(layer, [])
            if record.time is not None and record.time - (_ZONE_S if record.local_time else 0) > than
        ]


def _latest(record: Record) -> int | None:
    """The latest moment that the record can stand for."""
    return None if record.time is None else record.time + (_ZONE_S if record.local_time else 0)


def _from_codes(
    seen: Sequence[Record], successes: Iterable[Record], about: Situation, settings: Settings
) -> list[Finding]:
    groups: dict[tuple[str, int | None, str | None], list[Record]] = {}
    for record in seen:
        if not record.ok and (record.code is not None or record.marker) and _concerns_updates(record, about):
            # A marker beside a code names the same failure; the code routes it.
            key = (record.layer, record.code, None if record.code is not None else record.marker)
            groups.setdefault(key, []).append(record)
    past = _Past.of(successes, [record for group in groups.values() for record in group], seen)
    # The component store comes first: whether it is damaged decides what a failed installation asks for.
    found = [_finding(key, group, past, about, settings) for key, group in groups.items() if key[0] == "store"]
    damaged = any(item.active and item.answer.get("rung") == "troubleshoot" for item in found)
    about = replace(about, store_damaged=damaged)
    found += [_finding(key, group, past, about, settings) for key, group in groups.items() if key[0] != "store"]
    return found


def _finding(
    key: tuple[str, int | None, str | None], group: list[Record], past: _Past, about: Situation, settings: Settings
) -> Finding:
    layer, code, marker = key
    answer = _answer(key, group, about)
    reasons = [(record, _overtaken(record, answer, past, about, settings)) for record in group]
    alive = [record for record, reason in reasons if reason is None]
    overtaken_by: str | None = None
    if alive:
        answer = _answer(key, alive, about)
        if answer.get("rung") == "reset" and _reset_did_not_cure(code, group, alive, past, about):
            answer = _answer(key, alive, about, tried_reset=True)
    else:
        newest = max(reasons, key=lambda pair: pair[0].time or 0)
        overtaken_by = newest[1]
    shown = alive or group
    info = None if code is None else hresult.describe(code)
    name = info.hex if info is not None else str(marker)
    newest_record = max(shown, key=lambda record: record.time or 0)
    return Finding(
        id=f"{name}@{layer}",
        code=None if info is None else info.hex,
        condition=marker,
        symbol="" if info is None else info.symbol,
        area=layer,
        meaning=_meaning(info, marker, answer, about),
        source=newest_record.source,
        first_seen=_first(shown),
        last_seen=newest_record.time,
        count=_count(shown),
        overtaken_by=overtaken_by,
        answer=answer,
        order=_order(layer, newest_record),
        beside=tuple(dict.fromkeys(hresult.describe(other).hex for record in shown for other in record.beside)),
    )


def _concerns_updates(record: Record, about: Situation) -> bool:
    """Whether it is about updates at all: the service manager logs the failures of every service.

    A log that somebody asks about is explained whole; on a host only the services that updates need count.
    """
    if record.source == "scan" and routing.is_dotnet_code(record.code):
        return False
    return record.layer != "service" or not about.host or _is_update_service(record)


def _is_update_service(record: Record) -> bool:
    name = _service_of(record)
    return name == "W32Time" or routing.SERVICES.get(name, {}).get("needed") == "always"


def _service_of(record: Record) -> str:
    named = _SERVICE.search(record.text)
    return record.update or (named.group(1) if named else "")


def _answer(
    key: tuple[str, int | None, str | None], group: list[Record], about: Situation, *, tried_reset: bool = False
) -> dict[str, str]:
    layer, code, marker = key
    if layer == "service" and not any(_is_update_service(record) for record in group):
        return {"owner": "admin"}
    times = [time for record in group if (time := _latest(record)) is not None]
    seen = routing.Seen(layer, code, marker, _first(group), max(times, default=None), tried_reset)
    return routing.answer_for(seen, about)


def _order(layer: str, record: Record) -> int:
    return 5 if record.source == "scan" else _LAYER_ORDER.get(layer, 19)


def _first(group: Iterable[Record]) -> int | None:
    return min((time for record in group for time in (record.first, record.time) if time is not None), default=None)


def _count(group: Iterable[Record]) -> int:
    """How often: one failure is written to several logs, so the sources are not added up."""
    by_source: dict[str, int] = {}
    for record in group:
        by_source[record.source] = by_source.get(record.source, 0) + max(1, record.count)
    return max(by_source.values(), default=0)


def _meaning(info: hresult.CodeInfo | None, marker: str | None, answer: Mapping[str, str], about: Situation) -> str:
    if info is None:
        return conditions.MARKERS.get(str(marker), str(marker).replace("_", " "))
    meaning = info.meaning or "A code that no table of this collection holds"
    if answer.get("owner") in ("policy", "management") and about.policies:
        meaning += f" ({', '.join(about.policies)})"
    return meaning


# --- what makes a failure history ---


def _overtaken(
    record: Record, answer: Mapping[str, str], past: _Past, about: Situation, settings: Settings
) -> str | None:
    """Why a failure is history, or None while it counts."""
    if record.source == "scan":
        return None
    layer, time = record.layer, _latest(record)
    if about.clock.state == "right" and (layer == "clock" or (layer == "service" and _service_of(record) == "W32Time")):
        return "the clock, which is right now"
    if record.source == "setup" and about.host and not past.failed_upgrade:
        # Every installation of Windows leaves a setuperr.log with errors in it.
        return "nothing: no feature upgrade is known to have failed"
    if layer == "upgrade" and about.upgraded:
        return "a feature upgrade since: the host runs what it was to bring"
    if layer == "scan" and past.live_search:
        return "a live search that succeeded now"
    if record.code == 0x80070422 and routing.repairable_services(about) == ():
        return "no update service is disabled any more"
    if time is None:
        return _later_success(record, past)
    if about.now is not None and time > about.now + settings.max_skew_s and not record.local_time:
        # Nothing can have been seen in the future: the clock was wrong when it was written.
        return "the clock: it was wrong then and is right now" if about.clock.state == "right" else None
    later = _later_success(record, past)
    if later is not None:
        return later
    if answer.get("rung") == "reset" or layer == "cache":
        renewed = _renewed_since(record.code, time, about)
        if renewed is not None:
            return renewed
    if answer == {"wait": "restart"} and about.restarted_since(time):
        return "a restart since"
    if answer == {"wait": "retry"} and past.after(record, (layer,)):
        return f"a later success in {conditions.LAYERS.get(layer, layer)}"
    if _about_the_clock(record) and about.clock.state == "right" and past.after(record, ("clock",)):
        return "a clock that was set right since"
    return None


def _later_success(record: Record, past: _Past) -> str | None:
    if record.layer == "scan" and past.after(record, ("scan",)):
        return "a later successful search"
    if record.layer == "clock" and past.after(record, ("clock",)):
        return "a later synchronisation of the clock"
    if record.layer == "store":
        # SFC looks at the files in use, DISM at the store: neither proves what the other one found.
        cures = ("sr_repaired",) if (record.marker or "").startswith("sr_") else ("store_repaired", "store_clean")
        if any(other.marker in cures for other in past.after(record, ("store",))):
            return "a later repair of the component store that succeeded"
    if record.layer == "upgrade" and past.after(record, ("upgrade",)):
        return "a later feature upgrade that succeeded"
    if record.layer == "service" and _service_of(record) != "W32Time" and past.after(record, ("scan",)):
        return "a later successful search"
    if record.layer in ("download", "install", "store"):
        wanted = _update_keys(record)
        layers = ("download", "install") if record.layer == "download" else ("install",)
        if wanted and any(wanted & _update_keys(other) for other in past.after(record, layers)):
            return "a later success of the same update"
    return None


def _update_keys(record: Record) -> set[str]:
    """What names an update: its id, and the number of its article, which stays when a new revision gets a new id."""
    keys = {name.upper() for name in _KB.findall(f"{record.update or ''} {record.text}")}
    if record.update:
        keys.add(record.update.strip("{} ").upper())
    return keys


def _renewed_since(code: int | None, time: int, about: Situation) -> str | None:
    folder = "catroot2" if routing.is_signature_code(code) else "SoftwareDistribution"
    renewed = about.renewed.get(folder)
    return renewed[1] if renewed is not None and renewed[0] > time else None


def _about_the_clock(record: Record) -> bool:
    return record.code is not None and "timesync" in hresult.describe(record.code).remedies and record.layer != "store"


def _reset_did_not_cure(
    code: int | None, group: Iterable[Record], alive: Iterable[Record], past: _Past, about: Situation
) -> bool:
    """Whether we reset the cache before, nothing went well since, and the same failure came again.

    Another reset would cure it no better.
    """
    folder = "catroot2" if routing.is_signature_code(code) else "SoftwareDistribution"
    reset = about.reset_at.get(folder)
    if reset is None:
        return False
    before = any(time < reset for record in group for time in (record.first, record.time) if time is not None)
    since = all(record.time is None or record.time >= reset for record in alive)
    return before and since and not past.later(("scan", "download", "install"), reset)


# --- no failure and no success either ---


def _stale(
    evidence: Evidence, successes: Iterable[Record], found: Iterable[Finding], about: Situation, settings: Settings
) -> Finding | None:
    if about.now is None or any(item.active and item.area in ("scan", "cache") for item in found):
        return None
    times = [
        record.time
        for record in successes
        if record.time is not None
        and record.layer in ("scan", "download", "install")
        and record.time <= about.now + settings.max_skew_s
    ]
    last = max(times, default=None)
    if last is not None and about.now - last <= settings.stale_days * 86400:
        return None
    if last is not None:
        meaning = f"No successful search for updates for {(about.now - last) // 86400} days"
    else:
        wanted = ("sources", "events", "history", "reporting")
        unread = [f"{name} {evidence.status(name)}" for name in wanted if not evidence.data(name)]
        meaning = "No successful search for updates is known" + (f" (not read: {', '.join(unread)})" if unread else "")
    return Finding(
        id="stale",
        code=None,
        condition="stale",
        symbol="",
        area="scan",
        meaning=meaning,
        source="sources",
        first_seen=None,
        last_seen=last,
        count=1,
        overtaken_by=None,
        answer={"wait": "scan"},
        order=110,
    )


def _hints(found: Iterable[Finding], settings: Settings) -> list[Finding]:
    """What somebody reported and nothing on the host shows: said, but never acted on."""
    shown = {item.code for item in found}
    hints = []
    for code in dict.fromkeys(settings.reported):
        info = hresult.describe(code)
        if info.hex not in shown:
            hints.append(
                Finding(
                    id=f"{info.hex}@reported",
                    code=info.hex,
                    condition=None,
                    symbol=info.symbol,
                    area="reported",
                    meaning=info.meaning,
                    source="reported",
                    first_seen=None,
                    last_seen=None,
                    count=1,
                    overtaken_by="nothing: only reported, the host shows no trace of it",
                    answer={"wait": "scan"},
                    order=120,
                )
            )
    return hints


def to_dicts(found: Iterable[Finding]) -> list[dict[str, Any]]:
    """Findings as plain data, in their order."""
    return [item.to_dict() for item in found]
