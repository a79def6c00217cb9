# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Time: the clock right by the host's own source."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .. import situation
from ..conditions import Finding, apart, duration, time_policy
from ..evidence import Evidence
from ..situation import Settings, lookup, number, values
from . import _common
from ._common import Expect, Proof, Refusal, Step

NAME = "timesync"
TITLE = "set the clock right from its own source"

# What Windows ships for a host in a workgroup.
_DEFAULT_SERVERS = ["time.windows.com,0x9"]
# MaxPosPhaseCorrection of a stand-alone host, where the value is not known.
_DEFAULT_LIMIT_S = 54000
_NO_LIMIT = 0xFFFFFFFF
# What the agent lets through: a name or address, and flags.
_SERVER = re.compile(r"[A-Za-z0-9.:_-]{1,253}(,0x[0-9A-Fa-f]{1,2})?")
_RESYNC_MS = 60000
_SETTLE_MS = 10000
_START_MS = 30000


@dataclass(frozen=True)
class _Wish:
    """The time source that is wanted, None for as it is."""

    type: str | None = None
    servers: tuple[str, ...] | None = None


def asked_for_by(found: Sequence[Finding]) -> tuple[Finding, ...]:
    """The active findings about the clock."""
    return _common.asked(found, NAME)


def guards(evidence: Evidence, found: Sequence[Finding], options: Mapping[str, Any]) -> Refusal | None:
    """A clock may be set at any time; only what contradicts itself is refused."""
    role = number(evidence.data("host").get("domain_role"))
    if options.get("source") == "domain" and role not in (1, 3, 4, 5):
        return Refusal("unsupported", "The host is in no domain, so no domain can give it the time (source: domain).")
    for server in options.get("servers") or ():
        if not _SERVER.fullmatch(str(server)):
            return Refusal(
                "failed", f"{str(server)[:60]!r} is no name or address of a time server, such as ntp.example,0x8."
            )
    if options.get("source") in ("domain", "ntp") and time_policy(evidence):
        return Refusal("not_this_host", f"A policy owns the time source ({', '.join(time_policy(evidence))}).")
    return None


def steps(
    evidence: Evidence, found: Sequence[Finding], options: Mapping[str, Any], settings: Settings, *, force: bool
) -> tuple[Step, ...]:
    """The service, then its source, then the clock, then the zone."""
    about = situation.of(evidence, settings)
    there = _common.exists(evidence, "W32Time")
    disabled = there and number(_common.service(evidence, "W32Time").get("start")) == 4
    plan: list[Step] = []
    if disabled:
        start = 2 if about.domain_member else 3
        plan.append(Step("set_start_type", {"name": "W32Time", "start": start, "delayed": False}))
    source = _source_step(evidence, found, options, about) if there else None
    if source is not None:
        plan.append(source)
    clock = _clock_step(
        evidence, found, options, settings, about, new_source=source is not None, there=there, force=force
    )
    stopped = _common.service(evidence, "W32Time").get("state") != "running"
    needs_service = clock is not None and clock.kind == "resync"
    if there and stopped and (needs_service or (disabled and about.domain_member)):
        # In a workgroup W32Time is started by triggers and stops by itself: it is left as it was found.
        plan.append(
            Step("start_service", {"name": "W32Time", "timeout_ms": _START_MS, "stop_after": not about.domain_member})
        )
    if clock is not None:
        plan.append(clock)
    zone = options.get("time_zone")
    if zone and str(zone).lower() != str(evidence.data("clock").get("zone") or "").lower():
        plan.append(Step("set_time_zone", {"id": str(zone)}))
    return tuple(plan)


def expect(evidence: Evidence, steps: Sequence[Step]) -> tuple[Expect, ...]:
    """The same boot, the same start type."""
    return (*_common.same_boot(evidence), *_common.same_start(evidence, steps))


def notes(evidence: Evidence, options: Mapping[str, Any], settings: Settings) -> tuple[str, ...]:
    """Who owns the time source, and what is left alone."""
    about = situation.of(evidence, settings)
    said = []
    owned = time_policy(evidence)
    if owned:
        said.append(f"a policy owns the time source ({', '.join(owned)}), which is left as it is")
    if about.domain_member and options.get("servers") and options.get("source", "auto") == "auto":
        said.append("a domain member keeps its domain hierarchy; source: ntp would turn it to the servers")
    limit = _limit(evidence, about.clock.offset_ms)
    if limit is not None and options.get("beyond_limit", "lift") == "refuse":
        said.append(
            f"the offset is beyond the limit of {limit} s, and beyond_limit is refuse, so the clock is left as it is"
        )
    return tuple(said)


def proof(
    steps: Sequence[Step],
    before: Evidence,
    after: Evidence,
    found_before: Sequence[Finding],
    found_after: Sequence[Finding],
) -> Proof:
    """The clock by who is believed; failures of TLS by a search."""
    seen = asked_for_by(found_before)
    left = [item for item in asked_for_by(found_after) if item.code is None]
    if left:
        return Proof("refuted", None, left[0].meaning)
    moved = any(step.kind in ("resync", "set_clock") for step in steps)
    by = _clock_proof(after, found_after)
    if moved and by is None:
        silent = any(item.condition == "clock_disagrees" and item.active for item in found_after)
        reason = (
            "its own time source did not answer, and the controller's clock says otherwise"
            if silent
            else "no clock could be compared"
        )
        return Proof("unproven", None, reason)
    if any(item.code is not None for item in seen):
        search = _common.search_proof(after, found_after, NAME, "the clock")
        return Proof("proved", f"{by}, and {search.by}" if by else search.by) if search.status == "proved" else search
    return Proof("proved", by if moved else "the configuration, read again")


def _clock_proof(after: Evidence, found_after: Sequence[Finding]) -> str | None:
    """What shows that the clock is right now."""
    # The findings were judged by the user's own thresholds: an active one about the clock says that it is not right.
    if any(item.active and item.condition in ("clock_off", "clock_disagrees") for item in found_after):
        return None
    clock = situation.clock_of(after, Settings())
    if clock.own_ms is not None:
        return f"the offset to {clock.own_server}, now {duration(clock.own_ms)}"
    if clock.controller_ms is not None:
        return f"the controller's clock, now {duration(clock.controller_ms)} apart"
    return None


def _source_step(
    evidence: Evidence, found: Sequence[Finding], options: Mapping[str, Any], about: situation.Situation
) -> Step | None:
    if time_policy(evidence):
        return None
    data = evidence.data("clock")
    wish = _wish(evidence, found, options, about)
    now_type = str(data.get("type") or "").upper()
    now_servers = tuple(str(item).lower() for item in data.get("servers") or ())
    same_servers = wish.servers is None or tuple(item.lower() for item in wish.servers) == now_servers
    if wish.type is None or (wish.type == now_type and same_servers):
        return None
    return Step("set_time_source", {"type": wish.type, "servers": None if wish.servers is None else list(wish.servers)})


def _wish(
    evidence: Evidence, found: Sequence[Finding], options: Mapping[str, Any], about: situation.Situation
) -> _Wish:
    source = options.get("source", "auto")
    given = tuple(item if "," in item else f"{item},0x8" for item in map(str, options.get("servers") or ()))
    configured = tuple(str(item) for item in evidence.data("clock").get("servers") or ())
    broken = any(item.condition in ("time_source_none", "time_source_silent") for item in asked_for_by(found))
    if source == "domain":
        return _Wish("NT5DS")
    if source == "ntp":
        return _Wish("NTP", given or (None if configured else tuple(_DEFAULT_SERVERS)))
    if about.domain_member:
        # The forest-root PDC emulator has nobody above it in the hierarchy: it is never turned to it.
        if not broken or about.domain_role == 5:
            return _Wish()
        return _Wish("NT5DS")
    if about.domain_role is None:
        return _Wish()
    if given:
        return _Wish("NTP", given)
    return _Wish("NTP", None if configured else tuple(_DEFAULT_SERVERS)) if broken else _Wish()


def _clock_step(
    evidence: Evidence,
    found: Sequence[Finding],
    options: Mapping[str, Any],
    settings: Settings,
    about: situation.Situation,
    *,
    new_source: bool,
    there: bool,
    force: bool,
) -> Step | None:
    when = options.get("resync", "if_needed")
    if when == "never":
        return None
    clock = about.clock
    wanted = asked_for_by(found)
    wrong = any(item.condition == "clock_off" or item.code is not None for item in wanted)
    if not (wrong or new_source or force or when == "always"):
        return None
    limit = settings.max_skew_s * 1000
    controller = clock.controller_ms if settings.reference == "controller" and clock.state == "off" else None
    if controller is not None and not new_source:
        # A resync ends at the host's own source. Where that is silent or wrong, only the controller's clock is left.
        helps = there and clock.own_ms is not None and abs(clock.own_ms - controller) <= limit
        if not helps:
            return Step("set_clock", {"offset_ms": controller})
    own_off = clock.own_ms is not None and abs(clock.own_ms) > limit
    if not there:
        return Step("set_clock", {"offset_ms": clock.own_ms}) if own_off else None
    if _limit(evidence, clock.own_ms) is not None:
        if options.get("beyond_limit", "lift") == "refuse":
            return None
        if _limit_is_policy(evidence, clock.own_ms):
            # A policy would put its limit back over ours: the measured offset to the host's own source is set directly.
            return Step("set_clock", {"offset_ms": clock.own_ms})
    return Step(
        "resync",
        {
            "rediscover": new_source or clock.own_ms is None or about.domain_member,
            "lift_limit": _limit(evidence, clock.offset_ms) is not None
            and options.get("beyond_limit", "lift") == "lift",
            "timeout_ms": _RESYNC_MS,
            "settle_ms": _SETTLE_MS,
        },
    )


def _limit_name(offset_ms: int) -> tuple[str, str]:
    return ("max_pos", "MaxPosPhaseCorrection") if offset_ms > 0 else ("max_neg", "MaxNegPhaseCorrection")


def _limit(evidence: Evidence, offset_ms: int | None) -> int | None:
    """The phase-correction limit in seconds that the offset is beyond, None when it is within."""
    if offset_ms is None:
        return None
    limit = number(evidence.data("clock").get(_limit_name(offset_ms)[0]))
    if limit is None:
        limit = _DEFAULT_LIMIT_S
    return limit if limit != _NO_LIMIT and abs(offset_ms) > limit * 1000 else None


def _limit_is_policy(evidence: Evidence, offset_ms: int | None) -> bool:
    if offset_ms is None:
        return False
    return lookup(values(evidence.data("clock"), "policy"), _limit_name(offset_ms)[1]) is not None


def describe(evidence: Evidence, settings: Settings) -> str | None:
    """How the clock stands, for a sentence."""
    clock = situation.clock_of(evidence, settings)
    return None if clock.own_ms is None else f"{apart(clock.own_ms)} {clock.own_server}"
