# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the evidence says about the host as a whole: the background against which each failure is judged."""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median_low
from urllib.parse import urlsplit

from .evidence import Evidence
from .finding import named_server
from .sections import Policy, TimeSource, TimeStatus, Values

GIB = 1024**3
DAY, HOUR = 86400, 3600

# What a run appends to what it sets aside: `.wu-`, its second in base 36 and two more characters. A short one, for a cache is full of long
# paths and Windows PowerShell opens none of more than 260 characters. Earlier releases appended the run's whole name.
_BACKUP = re.compile(r"\.wu-([0-9a-z]{6,7})[0-9a-z]{2}$")
_OLD_BACKUP = re.compile(r"\.wu_repair-(\d{8}T\d{6})Z-[0-9a-f]{6,8}$")
_RUN_ID = re.compile(r"(\d{8}T\d{6})Z-([0-9a-f]{6})")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_NO_POLICY: Values = {}

WSUS, MICROSOFT = "wsus", "microsoft"
# DomainRole of members and of controllers.
_MEMBERS = (1, 3, 4, 5)


@dataclass(frozen=True)
class Settings:
    """What the user decides about finding.

    `behind_days`: so long without a quality update is normal. `reference` is whose time is believed (`source` or `controller`); `reported`
    are codes that somebody else saw: hints, never evidence. `repaired` names the repairs of this run with the host's time before each: what
    failed before it and was not tried since is untested.
    """

    max_skew_s: int = 300
    stale_days: int = 14
    behind_days: int = 45
    min_free_bytes: int = 3 * GIB
    reference: str = "source"
    reported: tuple[int, ...] = ()
    repaired: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Clock:
    """How right the host's clock is.

    `state`: `right`, `off` (beyond max_skew, by whoever is believed), `suspect` (somebody says so whom nobody else supports) or `unknown`.
    `own_ms` is source minus host, by the host's own configured source; `controller_ms` is controller minus host, with its bound.
    `source_differs`: host and controller agree, only the source does not.

    Where no source gave an answer that may be used: `silent` are the servers that did not answer, `unfit` those that did, each with the
    reason. `synced` is when W32Time itself says that it last synchronised, if that is no longer ago than it asks: then nobody is `silent`,
    and `unheard` are those that did not answer us. `slew_ms`: up to this W32Time corrects by the clock's rate. `movers`: who else moves it.
    """

    state: str = "unknown"
    own_ms: int | None = None
    own_server: str | None = None
    controller_ms: int | None = None
    bound_ms: int = 0
    source_differs: bool = False
    silent: tuple[str, ...] = ()
    unfit: tuple[str, ...] = ()
    unheard: tuple[str, ...] = ()
    synced: int | None = None
    slew_ms: int = 0
    movers: tuple[str, ...] = ()

    @property
    def offset_ms(self) -> int | None:
        """What would have to be added to the host's clock, by the best that is known."""
        return self.controller_ms if self.own_ms is None else self.own_ms


@dataclass(frozen=True)
class Situation:
    """One host as a whole. Without a host (logs alone) everything stays unknown.

    `required_class` is the kind of update service that policy wants asked for quality updates. `renewed` says of each cache folder when it
    was last made anew and how that is known; `reset_at` when we set it aside. `service_broken` names services without a program.
    """

    now: int | None = None
    skew_s: int = 300
    host: bool = False
    boot_time: int | None = None
    build: int | None = None
    revision: int | None = None
    edition: str | None = None
    product_type: str | None = None
    client: bool | None = None
    domain_role: int | None = None
    required_class: str = MICROSOFT
    wsus_server: str | None = None
    proxy: bool = False
    proxy_server: str | None = None
    managed: bool = False
    policies: tuple[str, ...] = ()
    clock: Clock = field(default_factory=Clock)
    disabled: tuple[str, ...] | None = None
    service_broken: tuple[str, ...] = ()
    renewed: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    reset_at: Mapping[str, int] = field(default_factory=dict)
    upgrade_allowed: bool = False
    target_build: int | None = None
    store_damaged: bool = False
    tls12_off: bool = False
    restart_pending: bool = False
    held_back: bool = False
    drive: str = "C:"
    free_bytes: int | None = None

    @property
    def wsus(self) -> bool:
        """Whether a WSUS answers for this host's quality updates."""
        return self.required_class == WSUS

    @property
    def domain_member(self) -> bool:
        """Whether the domain hierarchy can give it the time (domain_role 1, 3, 4, 5)."""
        return self.domain_role in _MEMBERS

    def restarted_since(self, time: int | None) -> bool:
        """Whether the host has started after that time. A start in the future was dated by a wrong clock, and tells nothing."""
        if self.boot_time is None or time is None or self.is_future(self.boot_time):
            return False
        return self.boot_time > time

    def is_future(self, time: int | None) -> bool:
        """Whether that time has not come yet by the host's own clock."""
        return time is not None and self.now is not None and time > self.now + self.skew_s


def number(value: object) -> int | None:
    """An integer, also when a registry held it as text; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,12}", value.strip()):
        return int(value)
    return None


def size(count: int) -> str:
    """Bytes for a person."""
    for unit, least in (("GB", GIB), ("MB", 1024**2), ("KB", 1024)):
        if count * 10 >= least:
            return f"{count / least:.1f} {unit}"
    return f"{count} bytes"


def lookup(values: Values, name: str) -> int | str | None:
    """A registry value by its name, whatever its case."""
    wanted = name.lower()
    return next((value for key, value in values.items() if key.lower() == wanted), None)


def is_set(values: Values, name: str, wanted: int = 1) -> bool:
    """Whether a registry value is that number."""
    return number(lookup(values, name)) == wanted


def backup_time(name: str) -> int | None:
    """When one of our own backups was made, from its name; None for a name that is none of ours, or holds no date."""
    found = _BACKUP.search(name)
    if found is not None:
        return int(found.group(1), 36)
    found = _OLD_BACKUP.search(name)
    return None if found is None else _seconds(found.group(1))


def is_backup(name: str) -> bool:
    """Whether one of our runs made it: what was set aside, or what stood in its place when that was undone."""
    return backup_time(name.removesuffix(".new")) is not None


def backup_ending(run_id: str) -> str | None:
    """What a run appends to the name of what it sets aside; None for a text that names no run."""
    found = _RUN_ID.fullmatch(run_id)
    second = None if found is None else _seconds(found.group(1))
    if found is None or second is None:
        return None
    return f".wu-{_base36(second, 6)}{_base36(int(found.group(2), 16) % 36**2, 2)}"


def _seconds(text: str) -> int | None:
    try:
        return timegm(datetime.strptime(text, "%Y%m%dT%H%M%S").timetuple())
    except ValueError:
        # Anybody may name a folder so.
        return None


def _base36(number: int, width: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits.rjust(width, "0")


def of(evidence: Evidence, settings: Settings) -> Situation:
    """The situation of a host."""
    host, policy = evidence.host, evidence.policy
    services = evidence.services.services
    disabled = tuple(row.name for row in services if row.exists and row.start == 4) if services else None
    proxy = next((row for row in evidence.sources.endpoints if row.role in ("proxy", "pac")), None)
    return Situation(
        now=evidence.now or None,
        skew_s=settings.max_skew_s,
        host=True,
        boot_time=host.boot_time,
        build=host.build,
        revision=host.revision,
        edition=host.edition,
        product_type=host.product_type,
        client=None if host.product_type is None else host.product_type == "client",
        domain_role=host.domain_role,
        required_class=required_class(evidence),
        wsus_server=wsus_server(policy),
        proxy=proxy is not None,
        proxy_server=None if proxy is None else f"{proxy.host}:{proxy.port}",
        managed=_is_managed(policy),
        policies=_restricting(policy),
        clock=clock_of(evidence, settings),
        disabled=disabled,
        renewed=_renewed(evidence),
        reset_at=reset_at(evidence),
        upgrade_allowed=is_set(evidence.upgrade.osupgrade, "AllowOSUpgrade"),
        target_build=_target_build(evidence.upgrade.setupdiag),
        tls12_off=is_tls12_off(policy),
        held_back=_is_held_back(policy),
        drive=evidence.disk.drive or "C:",
        free_bytes=evidence.disk.free,
    )


# Bits of DefaultSecureProtocols: TLS 1.2 and 1.3 (Microsoft, "Update to enable TLS 1.1 and TLS 1.2 as default secure protocols").
_MODERN_TLS = 0x800 | 0x2000


def is_tls12_off(policy: Policy) -> bool:
    """Whether the host may not speak TLS 1.2 or later, which the servers of Windows Update demand."""
    if is_set(policy.tls, "Enabled", 0) or is_set(policy.tls, "DisabledByDefault"):
        return True
    return policy.protocols not in (None, 0) and not (policy.protocols or 0) & _MODERN_TLS


def _target_build(diagnosis: Values | None) -> int | None:
    """The build that a failed upgrade was to bring: SetupDiag's result stays for ever."""
    target = re.match(r"\d+\.\d+\.(\d+)", str(lookup(diagnosis or _NO_POLICY, "TargetOSVersion") or ""))
    return int(target.group(1)) if target else None


# --- the clock ---


def own_sources(evidence: Evidence) -> list[TimeSource]:
    """The time sources that the host itself is configured to follow, as they were asked.

    A look may ask more servers than these; where the host names its servers (Type NTP), only they count.
    """
    clock = evidence.clock
    names = {_server(item) for item in clock.servers}
    if str(clock.type or "").upper() == "NTP" and names:
        return [row for row in clock.sources if _server(row.server) in names]
    return list(clock.sources)


def _server(text: str) -> str:
    return text.split(",", maxsplit=1)[0].strip().lower()


def clock_of(evidence: Evidence, settings: Settings) -> Clock:
    """How right the clock is, by the host's own source and by the controller."""
    asked = own_sources(evidence)
    answers = [(row.offset_ms, row.server) for row in asked if row.ok and row.offset_ms is not None]
    own, server = None, None
    if answers:
        own = median_low([offset for offset, _name in answers])
        server = next(name for offset, name in answers if offset == own)
    measured = evidence.offset_to_controller()
    controller, bound = (None, 0) if measured is None else (-measured[0], measured[1])
    left = [] if answers else asked
    unfit = tuple(f"{row.server} ({(row.error or '').removeprefix('unfit: ')})" for row in left if is_unfit(row))
    unheard = tuple(row.server for row in left if not is_unfit(row))
    synced = _synced_at(evidence) if unheard else None
    state, source_differs = _clock_state(own, controller, bound, settings)
    return Clock(
        state=state,
        own_ms=own,
        own_server=server,
        controller_ms=controller,
        bound_ms=bound,
        source_differs=source_differs,
        silent=unheard if synced is None else (),
        unfit=unfit,
        unheard=unheard,
        synced=synced,
        slew_ms=_slew_ms(evidence),
        movers=_movers(evidence),
    )


def is_unfit(row: TimeSource) -> bool:
    """Whether a source answered, and its answer may not be used: it is not synchronised itself, or too far from who is."""
    return not row.ok and (row.error or "").startswith("unfit")


def _slew_ms(evidence: Evidence) -> int:
    """Up to where W32Time corrects by the rate of the clock (MaxAllowedPhaseOffset: 300 s in a domain, 1 s stand-alone)."""
    limit = evidence.clock.max_slew
    if limit is None:
        limit = 300 if evidence.host.domain_role in _MEMBERS else 1
    return limit * 1000


# Events by which W32Time says that it follows a source, and those by which it says that it does not.
_FOLLOWS, _LOST = (35, 37), (24, 29, 34, 36, 47, 129, 130, 131, 134)
_TIME_SERVICE = "Microsoft-Windows-Time-Service"
# The poll interval is a power of 2 (MaxPollInterval 15 stand-alone and on members, 10 on controllers); NTP knows none above 17.
_USUAL_POLL, _MOST_POLL = 15, 17
# The reference of a clock that follows nobody: LOCL.
_NOBODY = "4C4F434C"
_UNSYNCHRONISED = 3


def _synced_at(evidence: Evidence) -> int | None:
    """When W32Time last synchronised by its own word, no longer ago than the time between two of its questions.

    We ask from another port than it does, so a source may be silent to us alone.
    """
    events = [row for row in evidence.events.records if row.provider == _TIME_SERVICE and row.time is not None]
    told = [row.time for row in events if row.id in _FOLLOWS and row.time is not None]
    status = evidence.clock.status
    if status is not None and status.time is not None and status.since_s is not None and _follows_somebody(status):
        told.append(status.time - status.since_s)
    lost = max((row.time for row in events if row.id in _LOST and row.time is not None), default=0)
    last = max(told, default=0)
    age = evidence.now - last
    # What is dated in the future was written by another clock than the one of now.
    return last if last > lost and -60 < age <= _poll_s(evidence) else None


def _follows_somebody(status: TimeStatus) -> bool:
    return status.leap != _UNSYNCHRONISED and bool(status.stratum) and _NOBODY not in (status.reference or "").upper()


def _poll_s(evidence: Evidence) -> int:
    clock = evidence.clock
    if clock.special_poll and any(_is_special(item) for item in clock.servers) and str(clock.type or "").upper() != "NT5DS":
        return min(clock.special_poll, 1 << _MOST_POLL)
    given = clock.status.poll if clock.status is not None else None
    power = given or clock.max_poll or _USUAL_POLL
    return 1 << max(0, min(power, _MOST_POLL))


def _is_special(server: str) -> bool:
    """Whether a server has the flag SpecialInterval (0x1)."""
    found = re.search(r",0x([0-9A-Fa-f]{1,4})$", server)
    return found is not None and bool(int(found.group(1), 16) & 1)


def _movers(evidence: Evidence) -> tuple[str, ...]:
    """Who moves the clock beside what W32Time is told to follow."""
    named = []
    rows = {name: evidence.services.by_name(name) for name in ("W32Time", "vmictimesync")}
    guest, service = rows["vmictimesync"], rows["W32Time"]
    if guest is not None and guest.state == "running" and evidence.clock.hypervisor != 0:
        named.append("Hyper-V (service vmictimesync, VMICTimeProvider)")
    if service is not None and service.exists and service.start != _DISABLED and _is_seeded(evidence):
        named.append("secure time seeding (UtilizeSslTimeData)")
    return tuple(named)


_DISABLED = 4
# From here on a server has secure time seeding off (Server 2025); clients and older servers have it on (from 1511 on).
_UNSEEDED_SERVER = 26100


def _is_seeded(evidence: Evidence) -> bool:
    if evidence.clock.seeding is not None:
        return evidence.clock.seeding == 1
    host = evidence.host
    if host.build is None:
        return False
    return host.product_type == "client" or host.build < _UNSEEDED_SERVER


def _clock_state(own: int | None, controller: int | None, bound: int, settings: Settings) -> tuple[str, bool]:
    """Who says so: `state` of Clock, and whether only the source differs."""
    limit = settings.max_skew_s * 1000
    apart = None if controller is None else abs(controller) - bound > limit
    if settings.reference == "controller" and apart is not None:
        return ("off" if apart else "right"), False
    if own is None:
        if apart is None:
            return "unknown", False
        return ("suspect" if apart else "right"), False
    if abs(own) <= limit:
        return "right", False
    if controller is None:
        return "off", False
    if not apart:
        # One answer without a signature against the controller and the host: nothing is set by it.
        return "right", True
    agree = abs(own - controller) - bound <= limit
    return ("off" if agree else "suspect"), False


# --- where updates come from ---


def required_class(evidence: Evidence) -> str:
    """The kind of update service that policy wants asked for quality updates: `wsus` or `microsoft`.

    The scan source policy (SetPolicyDrivenUpdateSourceForQualityUpdates: 0 Windows Update, 1 WSUS) decides over a WSUS that is set
    (MicrosoftDocs, "Use Windows Update client policies and WSUS together").
    """
    policy = evidence.policy
    driven = is_set(policy.wu, "UseUpdateClassPolicySource") or is_set(policy.au, "UseUpdateClassPolicySource")
    for values, in_force in ((policy.wu, driven), (policy.mdm, True)):
        source = number(lookup(values, "SetPolicyDrivenUpdateSourceForQualityUpdates"))
        if in_force and source in (0, 1):
            return WSUS if source == 1 and wsus_server(policy) else MICROSOFT
    if wsus_server(policy) and _is_dual_scan(evidence):
        return MICROSOFT
    if wsus_server(policy) or any(row.default and row.managed for row in evidence.sources.services or ()):
        return WSUS
    return MICROSOFT


_DEFERRALS = (
    "DeferQualityUpdates", "DeferQualityUpdatesPeriodInDays", "DeferFeatureUpdates", "DeferFeatureUpdatesPeriodInDays",
    "BranchReadinessLevel", "PauseQualityUpdatesStartTime", "PauseFeatureUpdatesStartTime",
)  # fmt: skip
_DUAL_SCAN_BUILDS = range(14393, 22000)


def _is_dual_scan(evidence: Evidence) -> bool:
    """Whether Windows itself is updated by Microsoft although a WSUS is set: deferrals beside it do that ("Demystifying Dual Scan").

    It came with 1607; DisableDualScan = 1 switches it off, and Windows 11 has the scan source policy instead.
    """
    policy = evidence.policy
    if evidence.host.build not in _DUAL_SCAN_BUILDS or is_set(policy.wu, "DisableDualScan") or is_set(policy.mdm, "DisableDualScan"):
        return False
    return any(lookup(values, name) is not None for values in (policy.wu, policy.mdm) for name in _DEFERRALS)


def update_server(evidence: Evidence) -> str:
    """The server of one's own that is asked for updates, as `wsus:NAME` or `proxy:NAME`; '' where Microsoft is asked directly."""
    if required_class(evidence) == WSUS:
        return named_server("wsus", wsus_server(evidence.policy))
    proxies = (named_server("proxy", f"{row.host}:{row.port}") for row in evidence.sources.endpoints if row.role == "proxy")
    return next(proxies, "")


def wsus_server(policy: Policy) -> str | None:
    """The WSUS that a policy names, as `wsus.corp.example:8530`; None where none is in use."""
    address = lookup(policy.wu, "WUServer") if is_set(policy.au, "UseWUServer") else None
    address = address or lookup(policy.mdm, "UpdateServiceUrl")
    if not isinstance(address, str) or not address.strip():
        return None
    try:
        parts = urlsplit(address.strip() if "//" in address else f"http://{address.strip()}")
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return address.strip()[:80]
    return f"{parts.hostname}:{port}" if parts.hostname else address.strip()[:80]


_BLOCKING = {
    "wu": ("DisableWindowsUpdateAccess", "DoNotConnectToWindowsUpdateInternetLocations", "SetDisableUXWUAccess"),
    "au": ("UseWUServer", "NoAutoUpdate"),
    "user": ("DisableWindowsUpdateAccess", "NoWindowsUpdate", "NoAutoUpdate"),
}


def _restricting(policy: Policy) -> tuple[str, ...]:
    """The policies that restrict updates, by name and value."""
    groups = {"wu": policy.wu, "au": policy.au, "user": policy.user}
    named = [f"{name} = 1" for group, names in _BLOCKING.items() for name in names if is_set(groups[group], name)]
    if is_set(policy.mdm, "AllowUpdateService", 0):
        named.append("AllowUpdateService = 0 (MDM)")
    return tuple(dict.fromkeys(named))


def _is_managed(policy: Policy) -> bool:
    """Whether ConfigMgr or MDM decides, and no group policy does."""
    group_policy = bool(policy.wu) or bool(policy.au)
    return bool(policy.configmgr) or (bool(policy.mdm) and (not group_policy or policy.mdm_wins == 1))


def deferral_days(policy: Policy) -> int:
    """So many days a policy or a person holds quality updates back (DeferQualityUpdatesPeriodInDays, at most 30)."""
    days = [number(lookup(values, "DeferQualityUpdatesPeriodInDays")) for values in (policy.wu, policy.mdm, policy.ux)]
    return max((day for day in days if day is not None and 0 <= day <= 30), default=0)


def _is_held_back(policy: Policy) -> bool:
    """Whether something pauses or defers quality updates, so that an update which is not offered tells nothing."""
    paused = [lookup(values, name) for values in (policy.wu, policy.mdm, policy.ux) for name in _PAUSES]
    return deferral_days(policy) > 0 or any(value not in (None, 0, "", "0") for value in paused)


_PAUSES = ("PauseQualityUpdatesStartTime", "PauseQualityUpdatesEndTime", "PauseUpdatesExpiryTime", "PauseQualityUpdates")


# --- the cache ---


def reset_at(evidence: Evidence) -> dict[str, int]:
    """When we last set each cache folder aside, by our own backups."""
    latest = {}
    for row in evidence.cache.folders:
        times = [time for name in row.backups if (time := backup_time(name)) is not None and time <= evidence.now + DAY]
        if times:
            latest[row.name] = max(times)
    return latest


def _renewed(evidence: Evidence) -> dict[str, tuple[int, str]]:
    """When each cache folder was last made anew, and how that is known.

    NTFS gives a folder that is made again within seconds the creation time of the one that was renamed away (tunnelling), so the folder's
    own `created` is never believed.
    """
    renewed: dict[str, tuple[int, str]] = {}
    ours = reset_at(evidence)
    for row in evidence.cache.folders:
        if row.data_store_created is not None and row.data_store:
            renewed[row.name] = (row.data_store_created, "a data store that was made since")
        if row.name in ours and (row.name not in renewed or ours[row.name] > renewed[row.name][0]):
            renewed[row.name] = (ours[row.name], "a reset since")
    return renewed
