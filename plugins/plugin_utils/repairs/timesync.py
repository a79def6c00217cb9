# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Time: the clock right by the host's own source."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .. import situation
from ..conditions import duration, is_left_to_slew, is_slewed, moment, time_policy
from ..evidence import Evidence
from ..finding import Finding
from ._common import PROVED, REFUTED, UNPROVEN, Look, Proof, Refusal, Repair, Step, Wish, all_of, search_proof

# What Windows ships for a host in a workgroup.
_DEFAULT_SERVERS = ("time.windows.com,0x9",)
# MaxPosPhaseCorrection of a stand-alone host, where the value is not known.
_DEFAULT_LIMIT_S = 54000
_NO_LIMIT = 0xFFFFFFFF
# What the agent lets through: a name or address, and flags.
_SERVER = re.compile(r"[A-Za-z0-9.:_-]{1,253}(,0x[0-9A-Fa-f]{1,2})?")
_RESYNC_MS = 60000
_SETTLE_MS = 10000
_START_MS = 30000
_W32TIME = "W32Time"
_DISABLED_START = 4
# The forest-root PDC emulator is one of these (DomainRole 5): nobody stands above it in the hierarchy.
_PRIMARY_CONTROLLER = 5


@dataclass(frozen=True)
class _Source:
    """The time source that is wanted, None for as it is."""

    type: str | None = None
    servers: tuple[str, ...] | None = None


class TimeSync(Repair):
    """The service, then its source, then the clock, then the zone."""

    name = "timesync"
    title = "set the clock right from its own source"
    deed = "clock set"
    order = 10
    howto_order = 10

    def guards(self, wish: Wish) -> Refusal | None:
        """A clock may be set at any time; only what contradicts itself, or a policy, is refused."""
        source = wish.options.get("source")
        if source == "domain" and not wish.situation.domain_member:
            return Refusal("unsupported", "The host is in no domain, so no domain can give it the time (source: domain).")
        for server in wish.options.get("servers") or ():
            if not _SERVER.fullmatch(str(server)):
                return Refusal("failed", f"{str(server)[:60]!r} is no name or address of a time server, such as ntp.example,0x8.")
        owned = time_policy(wish.evidence)
        if source in ("domain", "ntp") and owned:
            return Refusal(
                "needs_action",
                f"A policy owns the time source ({', '.join(owned)}).",
                f"Change the policy that sets {', '.join(owned)}.",
                "policy",
            )
        return None

    def steps(self, wish: Wish) -> tuple[Step, ...]:
        """Only what a finding or the user asks for."""
        source = _source_step(self, wish)
        clock = _clock_step(self, wish, new_source=source is not None)
        zone = _zone_step(wish)
        enable = _enable_step(self, wish, needed=source is not None or (clock is not None and clock.kind == "resync"))
        start = _start_step(wish, resyncs=clock is not None and clock.kind == "resync", enabled=enable is not None)
        return tuple(step for step in (enable, source, start, clock, zone) if step is not None)

    def notes(self, wish: Wish) -> tuple[str, ...]:
        """Who owns the time source, and why the clock is left alone."""
        said = []
        owned = time_policy(wish.evidence)
        if owned:
            said.append(f"a policy owns the time source ({', '.join(owned)}), which is left as it is")
        if wish.situation.domain_member and wish.options.get("servers") and wish.options.get("source", "auto") == "auto":
            said.append("a domain member keeps its domain hierarchy; source: ntp would turn it to the servers")
        left = _why_left(wish)
        if left:
            said.append(left)
        elif wish.situation.clock.state == "off" and is_left_to_slew(wish.situation):
            limit = duration(wish.situation.clock.slew_ms)
            said.append(
                f"being slewed: W32Time corrects up to {limit} by the clock's rate (MaxAllowedPhaseOffset), "
                "and a domain controller's clock is not set by hand"
            )
        return tuple(said)

    def prove(self, before: Look, after: Look, steps: Sequence[Step]) -> Proof:
        """The clock by who is believed, the configuration by reading it again, failures of TLS by a search."""
        asked = self.asked_by(before.findings)
        left = [item for item in self.asked_by(after.findings) if item.code is None]
        if left:
            return Proof(REFUTED, None, left[0].meaning)
        proofs = []
        moved = any(step.kind in ("resync", "set_clock") for step in steps)
        if moved or any(item.condition == "clock_off" for item in asked):
            proofs.append(_clock_proof(before, after))
        if not proofs or any(item.code is None and item.condition != "clock_off" for item in asked):
            proofs.append(_configuration_proof(after))
        failures = [item for item in asked if item.code is not None]
        if failures:
            proofs.append(search_proof(after, failures, "the clock"))
        return all_of(proofs)


REPAIR = TimeSync()


# --- steps ---


def _exists(evidence: Evidence) -> bool:
    service = evidence.services.by_name(_W32TIME)
    return service is not None and service.exists


def _is_asked(repair: Repair, wish: Wish, *conditions: str) -> bool:
    return any(item.condition in conditions for item in repair.asked_by(wish.findings))


def _enable_step(repair: Repair, wish: Wish, *, needed: bool) -> Step | None:
    """A disabled service is enabled where that is asked for, or where the rest needs it: other programs disable it on purpose."""
    service = wish.evidence.services.by_name(_W32TIME)
    if service is None or not service.exists or service.start != _DISABLED_START:
        return None
    if not (needed or _is_asked(repair, wish, "service_disabled")):
        return None
    start = 2 if wish.situation.domain_member else 3
    return Step("set_start_type", {"name": _W32TIME, "start": start, "delayed": False})


def _start_step(wish: Wish, *, resyncs: bool, enabled: bool) -> Step | None:
    service = wish.evidence.services.by_name(_W32TIME)
    member = wish.situation.domain_member
    if service is None or not service.exists or service.state == "running":
        return None
    if not (resyncs or (enabled and member)):
        return None
    # In a workgroup W32Time is started by triggers and stops by itself (KB2385818): it is left as it was found.
    return Step("start_service", {"name": _W32TIME, "timeout_ms": _START_MS, "stop_after": not member})


def _zone_step(wish: Wish) -> Step | None:
    zone = wish.options.get("time_zone")
    if not zone or str(zone).lower() == str(wish.evidence.clock.zone or "").lower():
        return None
    return Step("set_time_zone", {"id": str(zone)})


def _source_step(repair: Repair, wish: Wish) -> Step | None:
    if time_policy(wish.evidence) or not _exists(wish.evidence):
        return None
    clock = wish.evidence.clock
    wanted = _wanted_source(repair, wish)
    if wanted.type is None:
        return None
    now = tuple(item.lower() for item in clock.servers)
    same_servers = wanted.servers is None or tuple(item.lower() for item in wanted.servers) == now
    if wanted.type == str(clock.type or "").upper() and same_servers:
        return None
    servers = None if wanted.servers is None else list(wanted.servers)
    return Step("set_time_source", {"type": wanted.type, "servers": servers})


def _wanted_source(repair: Repair, wish: Wish) -> _Source:
    source = wish.options.get("source", "auto")
    given = tuple(item if "," in item else f"{item},0x8" for item in map(str, wish.options.get("servers") or ()))
    default = None if wish.evidence.clock.servers else _DEFAULT_SERVERS
    if source == "domain":
        return _Source("NT5DS")
    if source == "ntp":
        return _Source("NTP", given or default)
    broken = _is_asked(repair, wish, "time_source_none", "time_source_silent", "time_source_unfit")
    if wish.situation.domain_member:
        if not broken or wish.situation.domain_role == _PRIMARY_CONTROLLER:
            return _Source()
        return _Source("NT5DS")
    if wish.situation.domain_role is None:
        return _Source()
    if given:
        return _Source("NTP", given)
    if broken:
        return _Source("NTP", default)
    return _Source()


def _wants_clock(repair: Repair, wish: Wish, *, new_source: bool) -> bool:
    when = wish.options.get("resync", "if_needed")
    if when == "never":
        return False
    wrong = any(item.condition == "clock_off" or item.code is not None for item in repair.asked_by(wish.findings))
    return wrong or new_source or wish.force or when == "always"


def _clock_step(repair: Repair, wish: Wish, *, new_source: bool) -> Step | None:
    if not _wants_clock(repair, wish, new_source=new_source):
        return None
    by_controller = _controller_step(wish, new_source=new_source)
    if by_controller is not None:
        return by_controller
    own_ms = wish.situation.clock.own_ms
    if not new_source and _why_left(wish):
        return None
    if not _exists(wish.evidence):
        return _step_to_source(wish)
    if not new_source and _is_beyond_policy(wish):
        # A policy would put its limit back over ours: the measured offset to the host's own source is set directly.
        return Step("set_clock", {"offset_ms": own_ms})
    if not new_source and _is_set_by_hand(wish):
        # A resync would only change the rate of the clock, for hours; the measured offset is set as W32Time would set a greater one.
        return Step("set_clock", {"offset_ms": own_ms})
    return Step(
        "resync",
        {
            "rediscover": new_source or own_ms is None or wish.situation.domain_member,
            "lift_limit": _may_lift(wish),
            "timeout_ms": _RESYNC_MS,
            "settle_ms": _SETTLE_MS,
        },
    )


def _controller_step(wish: Wish, *, new_source: bool) -> Step | None:
    """Where the controller is believed and the host's own source cannot help, its clock is the only one left."""
    clock = wish.situation.clock
    if wish.settings.reference != "controller" or clock.state != "off" or clock.controller_ms is None or new_source:
        return None
    # A resync ends at the host's own source.
    helps = _exists(wish.evidence) and clock.own_ms is not None and _agree(wish)
    if helps:
        return None
    return Step("set_clock", {"offset_ms": clock.controller_ms})


def _step_to_source(wish: Wish) -> Step | None:
    """Without W32Time the measured offset is set."""
    own_ms = wish.situation.clock.own_ms
    if own_ms is None or abs(own_ms) <= wish.settings.max_skew_s * 1000:
        return None
    return Step("set_clock", {"offset_ms": own_ms})


def _agree(wish: Wish) -> bool:
    """Whether the host's own source and the controller say the same of the host's clock."""
    clock = wish.situation.clock
    if clock.own_ms is None or clock.controller_ms is None:
        return False
    return abs(clock.own_ms - clock.controller_ms) - clock.bound_ms <= wish.settings.max_skew_s * 1000


def _why_left(wish: Wish) -> str | None:
    """Why the clock is not moved to its own source, None where it may be."""
    clock = wish.situation.clock
    if clock.own_ms is None:
        return None
    if _only_source_differs(wish):
        return f"only {clock.own_server} says that the clock is wrong, the controller agrees with it, so the clock is left as it is"
    limit = _limit_in_the_way(wish.evidence, clock.own_ms)
    if limit is None:
        return None
    beyond = f"the offset of {duration(clock.own_ms)} is beyond the limit of {limit} s"
    if wish.options.get("beyond_limit", "lift") == "refuse":
        return f"{beyond}, and beyond_limit is refuse, so the clock is left as it is"
    if not _agree(wish):
        return f"{beyond}, and the controller does not confirm what {clock.own_server} says, so the clock is left as it is"
    return None


def _only_source_differs(wish: Wish) -> bool:
    """Host and controller agree: one answer that nobody signed moves no clock."""
    clock, limit_ms = wish.situation.clock, wish.settings.max_skew_s * 1000
    if clock.own_ms is None or clock.controller_ms is None or abs(clock.own_ms) <= limit_ms:
        return False
    return abs(clock.controller_ms) - clock.bound_ms <= limit_ms


def _may_lift(wish: Wish) -> bool:
    if wish.options.get("beyond_limit", "lift") != "lift":
        return False
    return _agree(wish) and _limit_in_the_way(wish.evidence, wish.situation.clock.own_ms) is not None


def _limit_in_the_way(evidence: Evidence, offset_ms: int | None) -> int | None:
    """The phase-correction limit in seconds that the offset is beyond, None when it is within."""
    if offset_ms is None:
        return None
    limit = evidence.clock.max_pos if offset_ms > 0 else evidence.clock.max_neg
    if limit is None:
        limit = _DEFAULT_LIMIT_S
    if limit == _NO_LIMIT or abs(offset_ms) <= limit * 1000:
        return None
    return limit


def _is_set_by_hand(wish: Wish) -> bool:
    """Whether the clock is wrong, and by so little that W32Time would slew it: then it is set, but on a domain controller."""
    return wish.situation.clock.state == "off" and is_slewed(wish.situation) and not is_left_to_slew(wish.situation)


def _is_beyond_policy(wish: Wish) -> bool:
    own_ms = wish.situation.clock.own_ms
    if own_ms is None or _limit_in_the_way(wish.evidence, own_ms) is None:
        return False
    name = "MaxPosPhaseCorrection" if own_ms > 0 else "MaxNegPhaseCorrection"
    return situation.lookup(wish.evidence.clock.policy, name) is not None


# --- proof ---


def _clock_proof(before: Look, after: Look) -> Proof:
    """What shows that the clock is right now."""
    clock = situation.clock_of(after.evidence, after.settings)
    limit_ms = after.settings.max_skew_s * 1000
    if after.settings.reference == "controller":
        return _controller_proof(clock, limit_ms)
    if clock.own_ms is None:
        return _by_its_own_word(before, clock) or Proof(UNPROVEN, None, _why_unmeasured(after.evidence, clock))
    if abs(clock.own_ms) > limit_ms:
        if is_left_to_slew(situation.of(after.evidence, after.settings)):
            return Proof(UNPROVEN, None, f"the clock is still {duration(clock.own_ms)} off {clock.own_server} and is being slewed")
        return Proof(REFUTED, None, f"the clock is still {duration(clock.own_ms)} off {clock.own_server}")
    disagrees = _active(after.findings, "clock_disagrees")
    if disagrees is not None:
        return Proof(UNPROVEN, None, f"{clock.own_server} says that the clock is right, but: {disagrees.meaning}")
    return Proof(PROVED, f"the offset to {clock.own_server}, now {duration(clock.own_ms)}")


def _by_its_own_word(before: Look, clock: situation.Clock) -> Proof | None:
    """A source that is silent to us alone: W32Time synchronised since the look before, and the controller agrees with the clock."""
    asked_ms = before.evidence.answered_ms
    if clock.synced is None or clock.controller_ms is None or clock.state != "right" or asked_ms is None:
        return None
    # The log's time is told in whole seconds, and the controller's clock is known within its bound.
    if (clock.synced + 1) * 1000 + clock.controller_ms + clock.bound_ms < asked_ms:
        return None
    by = f"W32Time, which synchronised {moment(clock.synced)}, and the controller's clock, now {duration(clock.controller_ms)} apart"
    return Proof(PROVED, by)


def _why_unmeasured(evidence: Evidence, clock: situation.Clock) -> str:
    if not evidence.clock.sources:
        return "no clock could be compared"
    if clock.unfit:
        return f"its own time source is unfit: {', '.join(clock.unfit[:3])}"
    if clock.synced is not None:
        return f"its own time source did not answer us; W32Time says that it synchronised {moment(clock.synced)}"
    return "its own time source did not answer"


def _controller_proof(clock: situation.Clock, limit_ms: int) -> Proof:
    if clock.controller_ms is None:
        return Proof(UNPROVEN, None, "the clock could not be compared with the controller's")
    apart = duration(clock.controller_ms)
    if abs(clock.controller_ms) - clock.bound_ms > limit_ms:
        return Proof(REFUTED, None, f"the clock is still {apart} off the controller's")
    return Proof(PROVED, f"the controller's clock, now {apart} apart")


def _configuration_proof(after: Look) -> Proof:
    for name in ("clock", "services"):
        if not after.evidence.has(name):
            return Proof(UNPROVEN, None, f"the configuration could not be read again ({name}: {after.evidence.status(name)})")
    return Proof(PROVED, "the configuration, read again")


def _active(findings: Sequence[Finding], condition: str) -> Finding | None:
    return next((item for item in findings if item.active and item.condition == condition), None)
