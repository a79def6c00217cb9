# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: one failure that a log tells in several lines, and updates that it names far from where they fail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..observation import Observation, changed, in_utc
from .records import Collector, clean, guid_of, kb_of

# Update services by GUID: the one that a policy manages, a WSUS.
WSUS_SERVICE = "3da21691-e39d-4da6-8a4b-b43877bcb1b7"
# Codes that only say that something below failed: WU_E_ALL_UPDATES_FAILED, WU_E_UH_INSTALLERFAILURE, WU_E_UH_OPERATION_FAILED.
WRAPPERS = (0x80240022, 0x8024200B, 0x8024200A)
# All lines of one failure are written within minutes; a wrapper and its inner code within one.
_ONE_FAILURE_S, _ONE_WRAPPER_S = 600, 60
_ONE_FAILURE_LINES = 400
_MOST_OPEN = 12
_MOST_NAMES = 20_000
_MOST_KEPT = 5_000


@dataclass(eq=False)
class _Entry:
    """An observation that may still get names, or be told again: by whom it was told, and when by the clock of its line."""

    seen: Observation
    at: int | None
    local: bool
    said_by: set[str]


class Told:
    """Takes what the lines of one log say and gives each thing to the collector once, with the names that the log has for it."""

    def __init__(self, out: Collector) -> None:
        self._out = out
        self._kept: list[_Entry] = []
        self._open: dict[str, list[_Entry]] = {}
        self._titles: dict[str, tuple[str | None, str | None]] = {}
        self._top: dict[str, str] = {}
        self._zone: int | None = None
        self._servers: dict[int, str] = {}
        self._managed_by: str | None = None

    @property
    def channel(self) -> str | None:
        """What the places of the log count in."""
        return self._out.channel

    def zone(self, seconds: int | None) -> None:
        """Note how far the machine's local time was ahead of UTC, where the log says it."""
        self._zone = self._zone if seconds is None else seconds

    def asked(self, servers: Mapping[int, str], managed_by: str | None) -> None:
        """Note who is asked by a search that names no service.

        Args:
            servers: which WSUS gave no answer to a request, by the code with which the request failed.
            managed_by: the WSUS that the agent asks by default.
        """
        self._servers = dict(servers)
        self._managed_by = managed_by

    def name(self, update: str | None, title: str | None, kb: str | None = None) -> None:
        """Note the title of an update."""
        guid = guid_of(update)
        if guid is None or len(self._titles) >= _MOST_NAMES:
            return
        title = clean(title).strip() if title else None
        self._titles[guid] = (title or None, kb or kb_of(title))

    def bundle(self, part: str | None, whole: str | None) -> None:
        """Note that an update is a part of another, which is the one that people see."""
        part, whole = guid_of(part), guid_of(whole)
        if part and whole and part != whole and len(self._top) < _MOST_NAMES:
            self._top[part] = whole

    def add(self, seen: Observation, *, local: bool = True) -> None:
        """Take what is no failure."""
        self._keep(_Entry(seen, seen.time, local, set()))

    def failed(self, seen: Observation, said_by: str, *, at: int | None = None, local: bool = True) -> None:
        """Take a failure, which other lines may tell too.

        Args:
            seen: the failure.
            said_by: which kind of line tells it; two lines of one kind are two failures.
            at: the time of its line, where `seen` has another one.
            local: its time is the host's local one.
        """
        if seen.update:
            seen = changed(seen, update=self._whole(seen.update))
        if seen.code in WRAPPERS:
            # Whoever tells the inner code tells the outer one, too.
            said_by = f"{said_by} outer"
        entry = _Entry(seen, seen.time if at is None else at, local, {said_by})
        recent = self._open.setdefault(seen.layer, [])
        for before in reversed(recent):
            if said_by not in before.said_by and _is_one(before, entry):
                _merge(before, entry)
                return
        recent.append(entry)
        del recent[:-_MOST_OPEN]
        self._keep(entry)

    def forget(self, layer: str, said_by: str, since: int) -> None:
        """Drop failures that only one kind of line told, at or after a place: what they belong to went well in the end."""
        dropped = [entry for entry in self._open.get(layer, []) if entry.said_by == {said_by} and (entry.seen.place or 0) >= since]
        for entry in dropped:
            self._open[layer].remove(entry)
            if entry in self._kept:
                self._kept.remove(entry)

    def has_failed(self, layer: str) -> bool:
        """Whether a failure of this kind was told."""
        return bool(self._open.get(layer))

    def close(self) -> None:
        """Give everything to the collector."""
        if self._managed_by is None and any(_is_nobodys(entry.seen) and entry.seen.ok for entry in self._kept):
            # A search that went well and names no server may have asked the same one.
            self._servers.clear()
        told = self._services_by_code()
        for entry in self._kept:
            self._ask(entry)
            service = told.get(entry.seen.code or 0)
            if service and _is_nobodys(entry.seen):
                entry.seen = changed(entry.seen, service=service)
            self._give(entry)
        self._kept.clear()

    def _services_by_code(self) -> dict[int, str]:
        """The service at which searches failed, by the code: a row without a service tells of the same; none where they are several."""
        found: dict[int, set[str]] = {}
        for entry in self._kept:
            if entry.seen.layer == "scan" and entry.seen.code and entry.seen.service:
                found.setdefault(entry.seen.code, set()).add(entry.seen.service)
        return {code: services.pop() for code, services in found.items() if len(services) == 1}

    def _ask(self, entry: _Entry) -> None:
        """A search that names no service asks the WSUS that is known, whether it went well or not."""
        seen = entry.seen
        server = self._servers.get(seen.code or 0, self._managed_by)
        if server and _is_nobodys(seen):
            entry.seen = changed(seen, service=WSUS_SERVICE, name=None if seen.ok else server)

    def _keep(self, entry: _Entry) -> None:
        self._kept.append(entry)
        if len(self._kept) > _MOST_KEPT:
            self._servers.clear()
            for old in self._kept[: _MOST_KEPT // 2]:
                self._ask(old)
                self._give(old)
            del self._kept[: _MOST_KEPT // 2]

    def _whole(self, update: str) -> str:
        return self._top.get(update, update)

    def _give(self, entry: _Entry) -> None:
        seen = entry.seen
        if seen.update:
            update = self._whole(seen.update)
            title, kb = self._titles.get(update) or self._titles.get(seen.update) or (None, None)
            seen = changed(seen, update=update, title=seen.title or title, kb=seen.kb or kb)
        if entry.local and self._zone is not None:
            self._out.add(in_utc(seen, self._zone))
            return
        self._out.add(seen, local=entry.local)


def _is_one(before: _Entry, after: _Entry) -> bool:
    """Whether two lines tell one failure: the same code, or a wrapper of it, nothing that contradicts, and close to each other."""
    one, other = before.seen, after.seen
    for mine, its in ((one.update, other.update), (one.kb, other.kb), (one.service, other.service), (one.caller, other.caller)):
        if mine and its and mine != its:
            return False
    limit = _ONE_FAILURE_S
    if one.code != other.code:
        inner = _is_wrapper(one) or _is_wrapper(other) or one.code in other.related or other.code in one.related
        if not inner:
            return False
        limit = _ONE_WRAPPER_S
    if before.at is None or after.at is None:
        return (other.place or 0) - (one.place or 0) <= _ONE_FAILURE_LINES
    return abs(after.at - before.at) <= limit


def _is_nobodys(seen: Observation) -> bool:
    """Whether it is a search that names neither a service nor a server."""
    return seen.layer == "scan" and not seen.service and not seen.name


def _is_wrapper(seen: Observation) -> bool:
    return seen.code is None or seen.code in WRAPPERS


def _merge(before: _Entry, after: _Entry) -> None:
    """Fold a line into the failure that it tells again. The place stays that of the first line: then it failed."""
    one, other = before.seen, after.seen
    related = [*one.related, *other.related]
    if one.code != other.code:
        kept, left = (other, one) if _is_wrapper(one) or one.code in other.related else (one, other)
        related += [left.code] if left.code is not None else []
        one = changed(one, code=kept.code, marker=kept.marker, line=kept.line, outcome=kept.outcome)
    if before.local and not after.local:
        # A row that carries its zone is more exact than the clock of a line.
        one, before.local = changed(one, time=other.time), False
    before.seen = changed(
        one,
        related=tuple(dict.fromkeys(code for code in related if code != one.code)),
        update=one.update or other.update,
        title=one.title or other.title,
        kb=one.kb or other.kb,
        name=one.name or other.name,
        service=one.service or other.service,
        caller=one.caller or other.caller,
    )
    before.said_by |= after.said_by
