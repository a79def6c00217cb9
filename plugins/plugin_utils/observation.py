# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One thing that was seen, whatever it was seen in. Readers make these and decide nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

OK, FAILED, CANCELLED, STARTED = "ok", "failed", "cancelled", "started"

# How far the time of a log may be from UTC: in the host's own zone by daylight saving, in an unknown one by the zone.
BOUND_HOST_ZONE_S = 3600
BOUND_UNKNOWN_ZONE_S = 14 * 3600

# `Package_for_RollupFix~31bf3856ad364e35~amd64~~26100.1742.1.10`; `amd64_example_31bf3856ad364e35_10.0.14393.0_none_b49e21a1e4d6ebe1`.
_PACKAGE = re.compile(r"~31bf3856ad364e35~[\w.-]{0,20}~[\w.-]{0,20}~([0-9.]{3,40})")
_COMPONENT = re.compile(
    r"\b(?:amd64|x86|wow64|arm64|msil)_([\w.-]{2,120}?)_31bf3856ad364e35_[0-9.]{5,30}_[\w-]{2,10}_[0-9a-f]{16}(?![0-9a-f])", re.I
)

# What the agent reads on a host, by the channel of its lines.
_LOGS = {"reporting": "ReportingEvents.log", "cbs": "CBS.log", "history": "update history"}

# A driver that an update brings, where no line names it: `a driver of COMPONENT`.
SOME_DRIVER = "a driver"


@dataclass(frozen=True)
class Observation:
    """One thing that was seen.

    Attributes:
        source: `cbs`, `dism`, `setup`, `reporting`, `wulog`, `history`, `event:PROVIDER/ID`, `scan` (a live search), `agent` (its dates).
        layer: `scan`, `download`, `install`, `store`, `cache`, `upgrade`, `service`, `clock`.
        outcome: `ok`, `failed`, `cancelled` or `started`.
        time: when it was last seen, Unix seconds UTC; None where it carries no time.
        bound_s: how far `time` may be wrong, in either direction.
        place: its order in `channel`, larger is later: an event's record id, the number of a line; None where there is none.
        channel: what `place` counts in (`System`, `reporting`, ...): two places of one channel can be compared, others cannot.
        code: unsigned HRESULT.
        marker: name of a condition that has no code, or whose code says nothing.
        caller: who asked (`UpdateOrchestrator`, `CcmExec`, ...).
        service: GUID of the update service that was asked, lower case, no braces.
        update: GUID of the update, lower case, no braces.
        kb: `KB5034441`.
        title: the update's title as Windows writes it.
        classes: GUIDs of the update's classifications.
        name: what else it is about, by name: a package, a component, a Windows service, a servicing session's package.
        found: how many updates a search found; `offered` names each of them by id and KB, None where the source does not list them.
        line: what was read, at most 200 characters.
        count: how often; `first` is when first.
        related: codes in the same log that mean nothing alone, but help to search for this one.
        log: name of the file that it was read in, where somebody gave files. What two copies of a log tell is one thing.
    """

    source: str
    layer: str
    outcome: str = FAILED
    time: int | None = None
    bound_s: int = 0
    place: int | None = None
    channel: str | None = None
    code: int | None = None
    marker: str | None = None
    caller: str | None = None
    service: str | None = None
    update: str | None = None
    kb: str | None = None
    title: str | None = None
    classes: tuple[str, ...] = ()
    name: str | None = None
    found: int | None = None
    offered: tuple[tuple[str, ...], ...] | None = None
    line: str = ""
    count: int = 1
    first: int | None = None
    related: tuple[int, ...] = ()
    log: str | None = field(default=None, compare=False)

    @property
    def ok(self) -> bool:
        """Whether it went well."""
        return self.outcome == OK

    @property
    def seen_in(self) -> str | None:
        """The log that it was read in, by the name that a person looks for; None for what no log told."""
        if self.log is not None or self.channel is None:
            return self.log
        if self.source.startswith("event:"):
            return f"event log {self.channel}"
        family, _colon, path = self.channel.partition(":")
        return _LOGS.get(family) or path.rpartition("\\")[2] or None

    @property
    def earliest(self) -> int | None:
        """The earliest moment that it can stand for."""
        return None if self.time is None else self.time - self.bound_s

    @property
    def latest(self) -> int | None:
        """The latest moment that it can stand for."""
        return None if self.time is None else self.time + self.bound_s


def changed(one: Observation, **fields: object) -> Observation:
    """A copy with some fields otherwise, as dataclasses.replace makes it in ten times the time: of large logs a quarter went into it."""
    made = object.__new__(Observation)
    made.__dict__.update(one.__dict__)
    made.__dict__.update(fields)
    return made


def file_of(name: str | None) -> str:
    """The file of `FOLDER\\FILE of COMPONENT`, in small letters: Windows knows no case."""
    return (name or "").partition(" of ")[0].rpartition("\\")[2].strip().lower()


def called(name: str) -> str:
    """A package or a component as a person calls it: without key, architecture, language and hash, which fill a line and tell nothing."""
    return _COMPONENT.sub(r"\1", _PACKAGE.sub(r" \1", name))


def in_utc(one: Observation, zone_s: int | None) -> Observation:
    """What was seen at local times, in UTC: `zone_s` is how far the host's local time is ahead of it, None where nobody knows."""
    if zone_s is None:
        return changed(one, bound_s=BOUND_UNKNOWN_ZONE_S)
    time, first = (None if moment is None else moment - zone_s for moment in (one.time, one.first))
    return changed(one, bound_s=BOUND_HOST_ZONE_S, time=time, first=first)
