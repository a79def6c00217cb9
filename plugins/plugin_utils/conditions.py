# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Findings that carry no error code: what the state of the host itself says."""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from . import routing
from .evidence import Evidence
from .situation import GIB, Settings, Situation, lookup, number, own_sources, rows, values

# Where something was seen, for a sentence.
LAYERS = {
    "scan": "searches for updates",
    "cache": "the data store and download cache",
    "download": "downloads",
    "install": "installations",
    "store": "the component store",
    "upgrade": "feature upgrades",
    "service": "services",
    "clock": "time synchronisation",
}

# Conditions that the readers of logs name without a code.
MARKERS = {
    "sr_cannot_repair": "SFC found damaged files that it cannot repair",
    "sr_damaged": "SFC found damaged files",
    "repair_failed": "A repair of the component store failed",
    "payload_corrupt": "The component store holds a damaged payload",
    "manifest_corrupt": "The component store holds a damaged manifest",
    "store_corrupt": "The component store is marked as damaged",
    "cannot_connect": "The update agent could not reach its server",
    "proxy_credentials": "The proxy wants credentials that the update agent does not have",
    "self_update_failed": "The update agent could not update itself",
    "rolled_back": "An installation was rolled back",
    "install_aborted": "An installation was aborted",
    "install_failed": "An installation failed",
    "download_failed": "A download failed",
    "scan_failed": "A search for updates failed",
    "service_failed": "A service that updates need failed to start or ended",
    "setup_failed": "A feature upgrade failed",
}

# Markers that a restart alone takes away. The others (pending file renames above all) are left by any installer and
# stay for months.
STRONG_REBOOT = frozenset(
    {
        "cbs_reboot_pending",
        "cbs_reboot_in_progress",
        "wu_reboot_required",
        "server_manager",
        "netlogon_join",
        "computer_rename",
    }
)

# A policy pause ends by itself after so long (Microsoft's policy pages: 35 days).
_PAUSE_S = 35 * 86400


@dataclass(frozen=True)
class Finding:
    """A fact with a reason. `answer` holds exactly one of `rung`, `wait`, `owner`; `overtaken_by` makes it history.

    `order` sorts: what must be waited for, failures, the conditions behind them. A `notice` is true and worth saying,
    but nothing on the host is wrong for it. `beside` holds codes, as hex, that the same log names and that mean
    nothing alone.
    """

    id: str
    code: str | None
    condition: str | None
    symbol: str
    area: str
    meaning: str
    source: str
    first_seen: int | None
    last_seen: int | None
    count: int
    overtaken_by: str | None
    answer: Mapping[str, str]
    order: int = 50
    notice: bool = False
    beside: tuple[str, ...] = ()

    @property
    def active(self) -> bool:
        """Whether it counts: nothing has overtaken it."""
        return self.overtaken_by is None

    def to_dict(self) -> dict[str, Any]:
        """The finding as the modules return it."""
        return {
            "id": self.id,
            "code": self.code,
            "condition": self.condition,
            "symbol": self.symbol,
            "area": self.area,
            "meaning": self.meaning,
            "source": self.source,
            "first_seen": self.first_seen,
            "last_seen": self.last_seen,
            "count": self.count,
            "overtaken_by": self.overtaken_by,
            "beside": list(self.beside),
            "answer": dict(self.answer),
        }


def find(evidence: Evidence, settings: Settings, about: Situation, failures: Iterable[Finding]) -> list[Finding]:
    """Conditions of the host. `failures` are the findings with a code: some conditions count only beside one."""
    failing = [item for item in failures if item.active]
    return [
        *_servicing(evidence),
        *_reboot(evidence),
        *_policy(evidence, about),
        *_clock(evidence, settings, about),
        *_services(evidence, about, failing),
        *_endpoints(evidence),
        *_cache(evidence, failing),
        *_disk(evidence, settings),
    ]


def _condition(
    name: str,
    order: int,
    area: str,
    meaning: str,
    answer: Mapping[str, str],
    *,
    of: str | None = None,
    history: str | None = None,
    notice: bool = False,
) -> Finding:
    return Finding(
        id=name if of is None else f"{name}:{of}",
        code=None,
        condition=name,
        symbol="",
        area=area,
        meaning=meaning,
        source=area,
        first_seen=None,
        last_seen=None,
        count=1,
        overtaken_by=history,
        answer=answer,
        order=order,
        notice=notice,
    )


def servicing_work(evidence: Evidence) -> list[str]:
    """What servicing is at work, in words; [] when none is."""
    data = evidence.data("servicing")
    work = [str(name) for name in data.get("processes") or ()]
    if number(data.get("in_progress")) == 2:
        work.append("ServicingInProgress = 2")
    for key, text in (
        ("installer_in_progress", "an installation by Windows Installer"),
        ("setup_in_progress", "Windows set-up"),
        ("upgrade_in_progress", "a feature upgrade"),
    ):
        if data.get(key):
            work.append(text)
    return list(dict.fromkeys(work))


def reboot_markers(evidence: Evidence) -> list[str]:
    """The markers that say a restart must come first."""
    return [str(name) for name in evidence.data("reboot").get("markers") or () if name in STRONG_REBOOT]


def _servicing(evidence: Evidence) -> Iterator[Finding]:
    work = servicing_work(evidence)
    if work:
        yield _condition(
            "servicing_at_work", 1, "servicing", f"Servicing is at work: {', '.join(work)}", {"wait": "servicing"}
        )


def _reboot(evidence: Evidence) -> Iterator[Finding]:
    markers = reboot_markers(evidence)
    if markers:
        yield _condition(
            "restart_pending", 2, "reboot", f"A restart is pending: {', '.join(markers)}", {"wait": "restart"}
        )


# --- policy ---


def _policy(evidence: Evidence, about: Situation) -> Iterator[Finding]:
    policy = evidence.data("policy")
    owner = {"owner": "management" if about.managed else "policy"}
    for group, where in (("wu", "Policies\\Microsoft\\Windows\\WindowsUpdate"), ("user", "CurrentVersion\\Policies")):
        for name in ("DisableWindowsUpdateAccess", "NoWindowsUpdate"):
            if number(lookup(values(policy, group), name)) == 1:
                yield _condition(
                    "policy_blocks_updates",
                    43,
                    "policy",
                    f"A policy turns updates off: {name} = 1 in {where}",
                    {"owner": "policy"},
                    of=f"{group}.{name}",
                )
    if number(lookup(values(policy, "mdm"), "AllowUpdateService")) == 0:
        yield _condition(
            "policy_blocks_updates",
            43,
            "policy",
            "Device management turns updates off: AllowUpdateService = 0",
            {"owner": "management"},
            of="mdm.AllowUpdateService",
        )
    if number(lookup(values(policy, "au"), "UseWUServer")) == 1 and not lookup(values(policy, "wu"), "WUServer"):
        yield _condition(
            "policy_incomplete",
            44,
            "policy",
            "A policy sets UseWUServer = 1 but no WUServer, so there is no server to ask",
            owner,
        )
    if about.now is not None:
        for name, what, until in _pauses(policy, about.now):
            who = {"owner": "admin"} if what == "a person" else owner
            yield _condition(
                "updates_paused",
                100,
                "policy",
                f"Updates are paused by {what} until {_date(until)} ({name})",
                who,
                of=name,
            )


def _pauses(policy: Mapping[str, Any], now: int) -> Iterator[tuple[str, str, int]]:
    """Pauses that are in force now: the value, who set it, and when it ends."""
    ux = values(policy, "ux")
    for name in ("PauseUpdatesExpiryTime", "PauseQualityUpdatesEndTime"):
        until = _time(lookup(ux, name))
        if until is not None and until > now:
            yield name, "a person", until
            break
    for group, who in (("wu", "a policy"), ("mdm", "device management")):
        start = _time(lookup(values(policy, group), "PauseQualityUpdatesStartTime"))
        if start is not None and start <= now < start + _PAUSE_S:
            yield "PauseQualityUpdatesStartTime", who, start + _PAUSE_S


_WHEN = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d):(\d\d))?")


def _time(value: object) -> int | None:
    """A registry date (`2026-11-24` or `2026-11-24T10:15:30Z`). A DWORD, which some templates write, names no time."""
    found = _WHEN.match(value.strip()) if isinstance(value, str) else None
    if found is None:
        return None
    parts = [int(part or 0) for part in found.groups()]
    if not (1 <= parts[1] <= 12 and 1 <= parts[2] <= 31 and parts[0] >= 1970):
        return None
    return timegm((*parts, 0, 0, 0))


def _date(time: int) -> str:
    return datetime.fromtimestamp(min(time, 253402300799), tz=UTC).strftime("%Y-%m-%d")


# --- time ---


def duration(ms: int) -> str:
    """A length of time for a person."""
    seconds = abs(ms) // 1000
    if seconds < 1:
        return f"{abs(ms)} ms"
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            rest = {"d": (3600, "h"), "h": (60, "min"), "min": (1, "s")}[unit]
            return f"{seconds // size} {unit} {seconds % size // rest[0]} {rest[1]}"
    return f"{seconds} s"


def apart(offset_ms: int) -> str:
    """How the host's clock stands, from source minus host."""
    return f"{duration(offset_ms)} {'behind' if offset_ms > 0 else 'ahead of'}"


def time_policy(evidence: Evidence) -> list[str]:
    """What a policy decides about the time source."""
    policy = values(evidence.data("clock"), "policy")
    return [f"{name} = {lookup(policy, name)}" for name in ("Type", "NtpServer") if lookup(policy, name) is not None]


def _clock(evidence: Evidence, settings: Settings, about: Situation) -> Iterator[Finding]:
    clock, data = about.clock, evidence.data("clock")
    limit = settings.max_skew_s * 1000
    if not data:
        return
    far = clock.controller_ms is not None and abs(clock.controller_ms) - clock.bound_ms > limit
    by_controller = settings.reference == "controller"
    if clock.state == "off":
        offset = clock.controller_ms if by_controller and far else clock.own_ms
        whom = "the controller" if by_controller and far else clock.own_server
        if offset is not None:
            yield _condition(
                "clock_off",
                50,
                "clock",
                f"The clock is {apart(offset)} {whom}, more than {settings.max_skew_s} s",
                {"rung": "timesync"},
            )
    if far and not by_controller and clock.controller_ms is not None:
        own_agrees = clock.own_ms is not None and abs(clock.own_ms - clock.controller_ms) - clock.bound_ms <= limit
        if not own_agrees:
            silent = clock.own_ms is None
            why = "and its own time source did not answer" if silent else "although its own time source says otherwise"
            yield _condition(
                "clock_disagrees",
                52,
                "clock",
                f"The clock is {apart(clock.controller_ms)} the controller's, {why}",
                {"owner": "admin"},
                # Where the host and its own source agree, it is the controller's clock that somebody has to look at.
                notice=not silent,
            )
    yield from _time_service(evidence, about)


def _time_service(evidence: Evidence, about: Situation) -> Iterator[Finding]:
    data = evidence.data("clock")
    right = "the clock, which is right all the same" if about.clock.state == "right" else None
    owned = time_policy(evidence)
    kind = str(data.get("type") or "").upper()
    if about.disabled is not None and "W32Time" in about.disabled:
        yield _condition(
            "service_disabled",
            51,
            "clock",
            "The service W32Time is disabled, so the clock drifts",
            {"rung": "timesync"},
            of="W32Time",
        )
    if kind == "NOSYNC" or (kind == "NT5DS" and about.domain_role in (0, 2)):
        reason = "NoSync follows no source" if kind == "NOSYNC" else "NT5DS follows a domain, and the host is in none"
        answer = {"owner": "policy"} if any(text.startswith("Type") for text in owned) else {"rung": "timesync"}
        yield _condition("time_source_none", 53, "clock", f"W32Time has no source: {reason}", answer, history=right)
    if number(data.get("client_enabled")) == 0:
        yield _condition(
            "time_client_off",
            54,
            "clock",
            "The NTP client of W32Time is off (NtpClient\\Enabled = 0)",
            {"owner": "admin"},
            history=right,
        )
    asked = own_sources(evidence)
    if asked and not any(row.get("ok") for row in asked):
        names = ", ".join(str(row.get("server")) for row in asked[:3])
        # A domain member on NTP whose servers are silent can go back to its domain; anybody else needs a person.
        strayed = kind == "NTP" and about.domain_role in (1, 3, 4) and not owned
        answer = {"rung": "timesync"} if strayed else {"owner": "policy" if owned else "admin"}
        yield _condition("time_source_silent", 55, "clock", f"No time source answered: {names}", answer, history=right)


# --- services, network, cache, disk ---


def _services(evidence: Evidence, about: Situation, failing: list[Finding]) -> Iterator[Finding]:
    if about.disabled is None:
        return
    table = {str(row.get("name")): row for row in rows(evidence.data("services"), "services")}
    for name, wanted in routing.SERVICES.items():
        row = table.get(name)
        if row is None:
            continue
        if not row.get("exists"):
            if wanted["must_exist"]:
                yield _condition(
                    "service_missing", 57, "service", f"The service {name} does not exist", {"owner": "admin"}, of=name
                )
        elif name in about.disabled:
            idle = wanted["needed"] == "failing" and not _concerns(name, failing)
            answer = {"rung": wanted["rung"]} if wanted["rung"] else {"owner": "admin"}
            untouched = "" if wanted["rung"] else "; it is protected or looks after itself, so no step here touches it"
            yield _condition(
                "service_disabled",
                56,
                "service",
                f"The service {name} is disabled{untouched}",
                answer,
                of=name,
                history="nothing: no failure here needs it" if idle else None,
            )


def _concerns(name: str, failing: list[Finding]) -> bool:
    """Whether an active failure may come from this service being disabled."""
    codes = {item.code for item in failing}
    if codes & {"0x80070422", "0x80070426"}:
        return True
    return name == "wlidsvc" and any(item.area == "upgrade" for item in failing)


def _endpoints(evidence: Evidence) -> Iterator[Finding]:
    for row in rows(evidence.data("sources"), "endpoints"):
        if row.get("ok"):
            continue
        role = "wsus" if row.get("role") == "wsus" else "proxy"
        what = "update server (WSUS)" if role == "wsus" else "proxy"
        where = f"{row.get('host')}:{row.get('port')}"
        why = f": {str(row['error'])[:120]}" if row.get("error") else ""
        yield _condition(
            "unreachable",
            80,
            "network",
            f"The {what} {where} does not answer from the host{why}",
            {"owner": role},
            of=f"{role}:{where}",
        )


def _cache(evidence: Evidence, failing: list[Finding]) -> Iterator[Finding]:
    asked = any(item.answer.get("rung") == "reset" for item in failing)
    for row in rows(evidence.data("cache"), "folders"):
        if row.get("reparse"):
            name = str(row.get("name"))
            yield _condition(
                "cache_is_link",
                81,
                "cache",
                f"{row.get('path') or name} is a link, and no reset follows a link",
                {"owner": "admin"},
                of=name,
                history=None if asked else "nothing: no failure asks for a reset of it",
            )


def _disk(evidence: Evidence, settings: Settings) -> Iterator[Finding]:
    disk = evidence.data("disk")
    free = number(disk.get("free"))
    if free is not None and free < settings.min_free_bytes:
        yield _condition(
            "low_space",
            82,
            "disk",
            f"Drive {disk.get('drive') or 'C:'} has {free / GIB:.1f} GiB free, "
            f"updates want {settings.min_free_bytes / GIB:.0f}",
            {"owner": "admin"},
        )
