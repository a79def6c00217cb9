# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the evidence says about the host as a whole: the background against which each failure is judged."""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median_low
from typing import Any

from .evidence import Evidence

GIB = 1024**3

_BACKUP = re.compile(r"\.wu_repair-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-[0-9a-f]+$")


@dataclass(frozen=True)
class Settings:
    """What the user decides about finding.

    `reference` is whose time is believed (`source` or `controller`); `reported` are codes that somebody else saw:
    hints, never evidence.
    """

    max_skew_s: int = 300
    stale_days: int = 14
    min_free_bytes: int = 3 * GIB
    reference: str = "source"
    reported: tuple[int, ...] = ()


@dataclass(frozen=True)
class Clock:
    """How right the host's clock is.

    `state`: `right`, `off` (beyond max_skew, by whoever is believed), `suspect` (only the controller says so) or
    `unknown`. `own_ms` is source minus host, by the host's own configured source; `controller_ms` is controller minus
    host, with its bound.
    """

    state: str = "unknown"
    own_ms: int | None = None
    own_server: str | None = None
    controller_ms: int | None = None
    bound_ms: int = 0

    @property
    def offset_ms(self) -> int | None:
        """What would have to be added to the host's clock, by the best that is known."""
        return self.own_ms if self.own_ms is not None else self.controller_ms


@dataclass(frozen=True)
class Situation:
    """One host as a whole. Without a host (logs alone) everything stays unknown."""

    now: int | None = None
    host: bool = False
    boot_time: int | None = None
    client: bool | None = None
    domain_role: int | None = None
    wsus: bool = False
    proxy: bool = False
    managed: bool = False
    policies: tuple[str, ...] = ()
    clock: Clock = field(default_factory=Clock)
    disabled: tuple[str, ...] | None = None
    renewed: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    reset_at: Mapping[str, int] = field(default_factory=dict)
    upgrade_allowed: bool = False
    upgraded: bool = False
    store_damaged: bool = False

    @property
    def domain_member(self) -> bool:
        """Whether the domain hierarchy can give it the time (domain_role 1, 3, 4, 5)."""
        return self.domain_role in (1, 3, 4, 5)

    def restarted_since(self, time: int | None) -> bool:
        """Whether the host has started after that time."""
        return self.boot_time is not None and time is not None and self.boot_time > time


def number(value: object) -> int | None:
    """An integer, also when a registry held it as text; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,12}", value.strip()):
        return int(value)
    return None


def values(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A map inside a section, {} when it is not there."""
    found = data.get(name)
    return found if isinstance(found, Mapping) else {}


def lookup(data: Mapping[str, Any], name: str) -> Any:
    """A registry value by its name, whatever its case."""
    wanted = name.lower()
    for key, value in data.items():
        if key.lower() == wanted:
            return value
    return None


def rows(data: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """A list of maps inside a section, [] when it is not there."""
    found = data.get(name)
    return [row for row in found if isinstance(row, Mapping)] if isinstance(found, (list, tuple)) else []


def backup_time(name: str) -> int | None:
    """When one of our own backups was made, from its name."""
    found = _BACKUP.search(name)
    return timegm(tuple(int(part) for part in found.groups()) + (0, 0, 0)) if found else None


def of(evidence: Evidence, settings: Settings) -> Situation:
    """The situation of a host."""
    host, policy, upgrade = evidence.data("host"), evidence.data("policy"), evidence.data("upgrade")
    services = {str(row.get("name")): row for row in rows(evidence.data("services"), "services")}
    product = host.get("product_type")
    managed, policies = _policies(policy)
    return Situation(
        now=evidence.now or None,
        host=True,
        boot_time=number(host.get("boot_time")),
        client=None if product is None else product == "client",
        domain_role=number(host.get("domain_role")),
        wsus=_uses_wsus(evidence),
        proxy=any(row.get("role") == "proxy" for row in rows(evidence.data("sources"), "endpoints")),
        managed=managed,
        policies=policies,
        clock=clock_of(evidence, settings),
        disabled=tuple(name for name, row in services.items() if row.get("exists") and row.get("start") == 4)
        if services
        else None,
        renewed=_renewed(evidence),
        reset_at=_reset_at(evidence),
        upgraded=_upgraded(host, values(upgrade, "setupdiag")),
        upgrade_allowed=number(lookup(values(upgrade, "osupgrade"), "AllowOSUpgrade")) == 1,
    )


def _upgraded(host: Mapping[str, Any], diagnosis: Mapping[str, Any]) -> bool:
    """Whether the host runs by now what the failed upgrade was to bring: SetupDiag's result stays for ever."""
    target = re.match(r"\d+\.\d+\.(\d+)", str(lookup(diagnosis, "TargetOSVersion") or ""))
    build = number(host.get("build"))
    return target is not None and build is not None and build >= int(target.group(1))


def own_sources(evidence: Evidence) -> list[Mapping[str, Any]]:
    """The time sources that the host itself is configured to follow, as they were asked.

    A look may ask more servers than these; where the host names its servers (Type NTP), only they count.
    """
    clock = evidence.data("clock")
    asked = rows(clock, "sources")
    configured = clock.get("servers")
    listed = configured if isinstance(configured, (list, tuple)) else ()
    names = {str(item).split(",", maxsplit=1)[0].strip().lower() for item in listed}
    if str(clock.get("type") or "").upper() == "NTP" and names:
        return [row for row in asked if str(row.get("server")).split(",", maxsplit=1)[0].strip().lower() in names]
    return asked


def clock_of(evidence: Evidence, settings: Settings) -> Clock:
    """How right the clock is, by the host's own source and by the controller."""
    limit = settings.max_skew_s * 1000
    answers = [
        (offset, str(row.get("server")))
        for row in own_sources(evidence)
        if row.get("ok") and (offset := number(row.get("offset_ms"))) is not None
    ]
    own, server = None, None
    if answers:
        own = median_low([offset for offset, _name in answers])
        server = next(name for offset, name in answers if offset == own)
    measured = evidence.offset_to_controller()
    controller, bound = (None, 0) if measured is None else (-measured[0], measured[1])
    disagrees = None if controller is None else abs(controller) - bound > limit

    if settings.reference == "controller" and disagrees is not None:
        state = "off" if disagrees else "right"
    elif own is not None:
        state = "off" if abs(own) > limit else "right"
    elif disagrees is None:
        state = "unknown"
    else:
        state = "suspect" if disagrees else "right"
    return Clock(state, own, server, controller, bound)


def _uses_wsus(evidence: Evidence) -> bool:
    policy, sources = evidence.data("policy"), evidence.data("sources")
    if number(lookup(values(policy, "au"), "UseWUServer")) == 1 and lookup(values(policy, "wu"), "WUServer"):
        return True
    if lookup(values(policy, "mdm"), "UpdateServiceUrl"):
        return True
    if any(row.get("role") == "wsus" for row in rows(sources, "endpoints")):
        return True
    return any(row.get("default") and row.get("managed") for row in rows(sources, "services"))


_BLOCKING = {
    "wu": ("DisableWindowsUpdateAccess", "DoNotConnectToWindowsUpdateInternetLocations", "SetDisableUXWUAccess"),
    "au": ("UseWUServer",),
    "user": ("DisableWindowsUpdateAccess", "NoWindowsUpdate"),
}


def _policies(policy: Mapping[str, Any]) -> tuple[bool, tuple[str, ...]]:
    """Whether ConfigMgr or MDM decides (and no group policy does), and the policies that restrict updates, by name."""
    named = [
        f"{name} = 1"
        for group, names in _BLOCKING.items()
        for name in names
        if number(lookup(values(policy, group), name)) == 1
    ]
    if number(lookup(values(policy, "mdm"), "AllowUpdateService")) == 0:
        named.append("AllowUpdateService = 0 (MDM)")
    group_policy = bool(values(policy, "wu")) or bool(values(policy, "au"))
    mdm = bool(values(policy, "mdm"))
    managed = bool(policy.get("configmgr")) or (mdm and (not group_policy or policy.get("mdm_wins") == 1))
    return managed, tuple(dict.fromkeys(named))


def _reset_at(evidence: Evidence) -> dict[str, int]:
    """When we last set each cache folder aside, by our own backups."""
    found = {}
    for row in rows(evidence.data("cache"), "folders"):
        times = [time for name in row.get("backups") or () if (time := backup_time(str(name))) is not None]
        if times:
            found[str(row.get("name"))] = max(times)
    return found


def _renewed(evidence: Evidence) -> dict[str, tuple[int, str]]:
    """When each cache folder was last made anew, and how that is known.

    NTFS gives a folder that is made again within seconds the creation time of the one that was renamed away
    (tunnelling), so the folder's own `created` is never believed.
    """
    found: dict[str, tuple[int, str]] = {}
    ours = _reset_at(evidence)
    for row in rows(evidence.data("cache"), "folders"):
        name = str(row.get("name"))
        store = number(row.get("data_store_created"))
        if store is not None and row.get("data_store"):
            found[name] = (store, "a data store that was made since")
        if name in ours and (name not in found or ours[name] > found[name][0]):
            found[name] = (ours[name], "a reset since")
    return found
