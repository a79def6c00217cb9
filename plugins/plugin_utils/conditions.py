# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Findings that carry no error code: what the state of the host itself says."""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from . import hresult, routing
from .evidence import Evidence
from .finding import FAILING, Finding, named_server
from .sections import Endpoint, Process, Service, Servicing
from .situation import DAY, GIB, Settings, Situation, is_set, lookup, size

# Markers that a restart alone takes away. The others (pending file renames above all) are left by any installer and
# stay for months.
STRONG_REBOOT = frozenset(
    {"cbs_reboot_pending", "cbs_reboot_in_progress", "wu_reboot_required", "server_manager", "netlogon_join", "computer_rename"}
)

# A policy pause ends by itself after so long (Microsoft's policy pages: 35 days).
LONGEST_PAUSE_S = 35 * 86400
# Delayed automatic services start two minutes after the others; a busy start of Windows takes some more.
_START_GRACE_S = 600

# A condition of its own: what a reset repairs without any code.
CACHE_IS_FILE = "cache_is_file"

ADMIN, POLICY, MANAGEMENT = {"owner": "admin"}, {"owner": "policy"}, {"owner": "management"}


# Where an update server is asked.
_OF_SERVERS = ("scan", "download", "cache")


@dataclass(frozen=True)
class Recent:
    """What goes well and what fails, as far as a condition's weight depends on it.

    `failing`: active findings with a code. `searched`: when a search that counts last went well. `installed`: when a quality update did.
    """

    failing: tuple[Finding, ...] = ()
    searched: int | None = None
    installed: int | None = None

    def has_searched(self, now: int | None, days: int) -> bool:
        """Whether a search went well within so many days."""
        return now is not None and self.searched is not None and now - self.searched <= days * DAY

    def has_installed(self, now: int | None, days: int) -> bool:
        """Whether a quality update went in within so many days."""
        return now is not None and self.installed is not None and now - self.installed <= days * DAY

    def is_served(self, now: int | None, days: int = 1) -> bool:
        """Whether a search went well lately and no search or download fails: an installer that fails asks no server."""
        return self.has_searched(now, days) and not any(item.layer in _OF_SERVERS for item in self.failing)


def find(evidence: Evidence, settings: Settings, situation: Situation, recent: Recent) -> list[Finding]:
    """Conditions of the host."""
    return [
        *_servicing(evidence, recent),
        *_reboot(evidence),
        *_policy(evidence, situation, recent),
        *_pauses(evidence, situation),
        *_download_mode(evidence, situation, recent),
        *_management(evidence, settings, situation, recent),
        *_policy_file(evidence, situation, recent),
        *_clock(evidence, settings, situation, recent),
        *_services(evidence, settings, situation, recent),
        *_endpoints(evidence, situation, recent),
        *_hosts(evidence, situation, recent),
        *_cache(evidence, recent),
        *_disk(evidence, settings),
    ]


def _condition(
    condition: str,
    *,
    order: int,
    layer: str,
    meaning: str,
    answer: Mapping[str, str],
    next_step: str,
    of: str | None = None,
    server: str = "",
    blocking: bool = False,
) -> Finding:
    name = condition if of is None else f"{condition}:{of}"
    return Finding(
        id=name,
        subject=name,
        layer=layer,
        meaning=meaning,
        answer=answer,
        next_step=next_step,
        condition=condition,
        name=of,
        source=layer,
        server=server,
        order=order,
        blocking=blocking,
    )


def _blocking_or_told(finding: Finding, *, blocks: bool) -> Finding:
    """A condition that stops all updates where it is certain, else a notice."""
    if blocks:
        return replace(finding, blocking=True)
    return _as_notice(finding)


def _as_notice(finding: Finding) -> Finding:
    return replace(finding, notice=True)


def _weighed(finding: Finding, *, is_fault: bool) -> Finding:
    """A condition beside what fails because of it is a fault; beside success it is told."""
    if is_fault:
        return finding
    return _as_notice(finding)


# --- servicing and restart ---


# The processor's clock ticks every 15.6 ms: an idle process takes a tick now and then.
_IDLE_MS = 50
_LOG_IS_WRITTEN_S = 15
_SET_UP, _WORKER, _INSTALLER = ("setuphost", "setupprep"), "tiworker", "msiexec"


def servicing_work(evidence: Evidence) -> list[str]:
    """What servicing is at work, in words; [] when none is."""
    data = evidence.servicing
    work = [_INSTALLATION if process.name.lower() == _INSTALLER else process.name for process in data.processes if _works(process, data)]
    if data.in_progress == _AT_WORK:
        work.append(f"ServicingInProgress = {_AT_WORK}")
    if data.setup_in_progress:
        work.append("Windows set-up")
    if data.upgrade_in_progress:
        work.append("a feature upgrade")
    return list(dict.fromkeys(work))


def _until_it_ends(evidence: Evidence) -> str:
    """What to do about work. A value of the registry that a crash left says for ever that there is work, and nothing here takes it away."""
    data = evidence.servicing
    left = ["HKLM\\SYSTEM\\Setup: SystemSetupInProgress = 0"] if data.setup_in_progress else []
    left += ["HKLM\\SYSTEM\\Setup: UpgradeInProgress = 0"] if data.upgrade_in_progress else []
    later = "Leave the host alone and run this again later"
    if any(_works(process, data) for process in data.processes) or (not left and data.in_progress != _AT_WORK):
        return f"{later}."
    rest = "".join(f", then set {text}" for text in left)
    return f"{later}; no process of it was seen, so if it says the same tomorrow restart the host{rest}."


_INSTALLATION = "an installation by Windows Installer"
# Values of ServicingInProgress: what ansible.windows.win_updates says of them.
_WAITS_FOR_RESTART, _AT_WORK = 1, 2


def _works(process: Process, servicing: Servicing) -> bool:
    """Whether a process does something. That TiWorker is there says nothing: it stays for two minutes after its last session."""
    name = process.name.lower()
    if name in _SET_UP:
        return True
    if name not in (_WORKER, _INSTALLER):
        return False
    if process.busy_ms is not None and process.busy_ms >= _IDLE_MS:
        return True
    # On a slow disk it takes little time. One that took none at all has ended what it wrote.
    written = servicing.log_age is not None and servicing.log_age < _LOG_IS_WRITTEN_S
    return name == _WORKER and written and process.busy_ms != 0


def reboot_markers(evidence: Evidence) -> list[str]:
    """The markers that say a restart must come first."""
    markers = [name for name in evidence.reboot.markers if name in STRONG_REBOOT]
    if evidence.servicing.in_progress == _WAITS_FOR_RESTART:
        markers.append(f"ServicingInProgress = {_WAITS_FOR_RESTART}")
    return markers


# What a marker stands for, to a person.
_WAITS_FOR = {
    "cbs_reboot_pending": "component servicing",
    "cbs_reboot_in_progress": "component servicing",
    f"ServicingInProgress = {_WAITS_FOR_RESTART}": "component servicing",
    "wu_reboot_required": "Windows Update",
    "server_manager": "a role or feature",
    "netlogon_join": "a domain join",
    "computer_rename": "a new computer name",
}


def _all_of(names: Iterable[str]) -> str:
    *first, last = names
    if not first:
        return last
    return f"{', '.join(first)} and {last}"


def _exclusive(evidence: Evidence, recent: Recent, at_work: bool) -> Iterator[Finding]:
    """A session that keeps all others waiting, and does nothing and waits for no restart itself.

    Source: jpwinsup.github.io, 2024-07-23 (Microsoft's support in Japan): an update is not completed by its restart while the flag stays.
    """
    if not evidence.servicing.exclusive or at_work or reboot_markers(evidence):
        return
    finding = _condition(
        "servicing_exclusive",
        order=6,
        layer="servicing",
        meaning="Servicing is kept for one session (SessionsPending\\Exclusive is set), and no session is at work or waits for a restart",
        answer=ADMIN,
        next_step="Set HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Component Based Servicing\\SessionsPending: "
        "Exclusive = 0, then restart.",
    )
    fails = any(item.layer in ("install", "store") and item.state == FAILING for item in recent.failing)
    yield _weighed(finding, is_fault=fails)


def _servicing(evidence: Evidence, recent: Recent) -> Iterator[Finding]:
    work = servicing_work(evidence)
    if work:
        yield _condition(
            "servicing_at_work",
            order=1,
            layer="servicing",
            meaning=f"Windows is installing updates now ({', '.join(work)})",
            answer={"wait": "servicing"},
            next_step=_until_it_ends(evidence),
        )
    yield from _exclusive(evidence, recent, bool(work))
    # The key alone is what an installation leaves that was cut off: it stays for ever.
    if evidence.servicing.installer_in_progress and _INSTALLATION not in work:
        finding = _condition(
            "installer_cut_off",
            order=101,
            layer="servicing",
            meaning="An installation by Windows Installer was begun and does nothing (the key Installer\\InProgress is there)",
            answer=ADMIN,
            next_step="Let that program's installation be repeated, or delete the key "
            "HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Installer\\InProgress.",
        )
        yield _as_notice(finding)


def _reboot(evidence: Evidence) -> Iterator[Finding]:
    markers = reboot_markers(evidence)
    if markers:
        finding = _condition(
            "restart_pending",
            order=2,
            layer="reboot",
            meaning=f"Windows waits for a restart (for {_all_of(dict.fromkeys(_WAITS_FOR.get(name, name) for name in markers))})",
            answer={"wait": "restart"},
            next_step="Restart the host, or run again with -e wu_repair_restart=true.",
        )
        yield replace(finding, pending=True)


# --- policy ---


def _owner(situation: Situation) -> dict[str, str]:
    return MANAGEMENT if situation.managed else POLICY


# Hosts search every 22 hours, so one miss is no sign that a policy has begun to bite.
_SERVED_DAYS = 2


def _policy(evidence: Evidence, situation: Situation, recent: Recent) -> Iterator[Finding]:
    """Policies that can turn updates off. Beside searches that go well they do not: a WSUS serves a host that may not ask Microsoft."""
    served = recent.is_served(situation.now, _SERVED_DAYS)
    for finding in _restrictions(evidence, situation, recent):
        yield _blocking_or_told(finding, blocks=not served or finding.condition == "wsus_is_nobody")


def _restrictions(evidence: Evidence, situation: Situation, recent: Recent) -> Iterator[Finding]:
    policy = evidence.policy
    for values, where in ((policy.wu, "Policies\\Microsoft\\Windows\\WindowsUpdate"), (policy.user, "CurrentVersion\\Policies")):
        for name in ("DisableWindowsUpdateAccess", "NoWindowsUpdate"):
            if is_set(values, name):
                yield _blocking_policy(f"{name} = 1 in {where}", POLICY)
    if is_set(policy.mdm, "AllowUpdateService", 0):
        yield _blocking_policy("AllowUpdateService = 0 of the device management", MANAGEMENT)
    server = situation.wsus_server
    if is_set(policy.au, "UseWUServer") and server is None:
        yield _condition(
            "policy_incomplete",
            order=3,
            layer="policy",
            meaning="A policy sets UseWUServer = 1 but no WUServer, so there is no server to ask",
            answer=_owner(situation),
            next_step="Set WUServer in the policy, or take UseWUServer away.",
        )
    elif situation.wsus and routing.is_nobodys(server) and not _serves(evidence, situation, recent):
        yield _condition(
            "wsus_is_nobody",
            order=3,
            layer="policy",
            meaning=f"A policy names {server} as the WSUS, which is this host itself or a name of nobody, and no WSUS runs here",
            answer=POLICY,
            next_step="Take WUServer, WUStatusServer and UseWUServer out of the policy, or name a real WSUS.",
            of=server,
        )


def _blocking_policy(what: str, answer: Mapping[str, str]) -> Finding:
    return _condition(
        "policy_blocks_updates",
        order=3,
        layer="policy",
        meaning=f"A policy turns updates off: {what}",
        answer=answer,
        next_step=f"Have the owner of the policy take {what.partition(' ')[0]} away, if this host is to be updated by Windows Update.",
        of=what.partition(" ")[0],
    )


def _serves(evidence: Evidence, situation: Situation, recent: Recent) -> bool:
    """Whether a WSUS runs on the host itself: it answers, or a search of it went well. A WSUS server may well be its own client."""
    return recent.has_searched(situation.now, 1) or any(row.ok for row in evidence.sources.endpoints if row.role == "wsus")


# Microsoft, "Delivery Optimization reference", Download mode: from Windows 11 on 100 is deprecated and
# "can cause some content to fail to download".
_WINDOWS_11, _BYPASS = 22000, 100


def _download_mode(evidence: Evidence, situation: Situation, recent: Recent) -> Iterator[Finding]:
    """Delivery Optimization is passed by. Told beside a download that fails: most content comes all the same."""
    build = evidence.host.build
    if build is None or build < _WINDOWS_11 or not any(_is_download(item) for item in recent.failing):
        return
    for values, owner in ((evidence.policy.wu, _owner(situation)), (evidence.policy.mdm, MANAGEMENT)):
        if not is_set(values, "DODownloadMode", _BYPASS):
            continue
        yield _as_notice(
            _condition(
                "download_mode_bypass",
                order=102,
                layer="policy",
                meaning=f"A policy makes downloads pass Delivery Optimization by (DODownloadMode = {_BYPASS}), "
                "for which some fail since Windows 11",
                answer=owner,
                next_step="Have the owner of the policy set DODownloadMode to 0 (no peers), or to 99 for a host without internet.",
            )
        )
        return


def _is_download(item: Finding) -> bool:
    code = _code(item)
    return item.layer == "download" or (code is not None and code >> 16 == _DELIVERY_OPTIMIZATION)


def _pauses(evidence: Evidence, situation: Situation) -> Iterator[Finding]:
    if situation.now is None:
        return
    for name, who, until in pauses(evidence, situation.now):
        answer = ADMIN if who == "a person" else _owner(situation)
        yield _as_notice(
            _condition(
                "updates_paused",
                order=100,
                layer="policy",
                meaning=f"Updates are paused by {who} until {date(until)} ({name})",
                answer=answer,
                next_step="Wait for the end of the pause, or end it.",
                of=f"{name} of {who}",
            )
        )


def pauses(evidence: Evidence, now: int) -> Iterator[tuple[str, str, int]]:
    """Pauses of quality updates that are in force now: the value, who set it, and when it ends."""
    for name in ("PauseUpdatesExpiryTime", "PauseQualityUpdatesEndTime"):
        until = _time(lookup(evidence.policy.ux, name))
        if until is not None and until > now:
            yield name, "a person", until
            break
    for values, who in ((evidence.policy.wu, "a policy"), (evidence.policy.mdm, "device management")):
        start = _time(lookup(values, "PauseQualityUpdatesStartTime"))
        if start is not None and start <= now < start + LONGEST_PAUSE_S:
            yield "PauseQualityUpdatesStartTime", who, start + LONGEST_PAUSE_S


_WHEN = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d):(\d\d))?")


def _time(value: object) -> int | None:
    """A registry date (`2026-11-24` or `2026-11-24T10:15:30Z`). A DWORD, which some templates write, names no time."""
    found = _WHEN.match(value.strip()) if isinstance(value, str) else None
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
    try:
        return timegm(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timetuple())
    except ValueError:
        return None


def date(time: int) -> str:
    """A moment as a person reads it."""
    return datetime.fromtimestamp(max(0, min(time, 253402300799)), tz=UTC).strftime("%Y-%m-%d")


def minute(time: int) -> str:
    """A time as a person reads it, wherever he is."""
    return datetime.fromtimestamp(max(0, min(time, 253402300799)), tz=UTC).strftime("%Y-%m-%d %H:%M UTC")


def moment(time: int) -> str:
    """A time of day as a person reads it."""
    return datetime.fromtimestamp(max(0, min(time, 253402300799)), tz=UTC).strftime("at %H:%M UTC on %Y-%m-%d")


def _management(evidence: Evidence, settings: Settings, situation: Situation, recent: Recent) -> Iterator[Finding]:
    """A ConfigMgr client gets its WSUS by a local policy; where that never arrives it searches nowhere (a Registry.pol that is damaged)."""
    # With the workload of updates at Intune no policy names a WSUS, and Microsoft is searched, whatever installation fails.
    if not evidence.policy.configmgr or situation.wsus_server is not None or recent.has_searched(situation.now, settings.stale_days):
        return
    searches_fail = any(item.layer == "scan" and item.state == FAILING for item in recent.failing)
    if searches_fail or not evidence.has("policy"):
        return
    yield _condition(
        "management_without_policy",
        order=45,
        layer="policy",
        meaning="A ConfigMgr client is installed, but no policy names its WSUS, so it searches nowhere",
        answer=MANAGEMENT,
        next_step="Check the software updates of the ConfigMgr client; "
        "delete a damaged %SystemRoot%\\System32\\GroupPolicy\\Machine\\Registry.pol, then gpupdate.",
    )


_POLICY_FILE = "%SystemRoot%\\System32\\GroupPolicy\\Machine\\Registry.pol"


def _policy_file(evidence: Evidence, situation: Situation, recent: Recent) -> Iterator[Finding]:
    """Where local policy cannot be read, what ConfigMgr or an administrator writes there (the WSUS above all) never arrives."""
    if not evidence.policy.pol_damaged:
        return
    finding = _condition(
        "policy_file_damaged",
        order=43,
        layer="policy",
        meaning=f"The file of local policy, {_POLICY_FILE}, is damaged (it does not begin with PReg)",
        answer=_owner(situation),
        next_step=f"Delete {_POLICY_FILE}, then gpupdate /force.",
    )
    yield _weighed(finding, is_fault=not recent.is_served(situation.now))


# --- time ---


def duration(ms: int) -> str:
    """A length of time for a person."""
    seconds = abs(ms) // 1000
    if seconds < 1:
        return f"{abs(ms)} ms"
    for unit, length, rest, name in (("d", 86400, 3600, "h"), ("h", 3600, 60, "min"), ("min", 60, 1, "s")):
        if seconds >= length:
            return f"{seconds // length} {unit} {seconds % length // rest} {name}"
    return f"{seconds} s"


def apart(offset_ms: int) -> str:
    """How the host's clock stands, from source minus host."""
    return f"{duration(offset_ms)} {'behind' if offset_ms > 0 else 'ahead of'}"


def time_policy(evidence: Evidence) -> list[str]:
    """What a policy decides about the time source."""
    policy = evidence.clock.policy
    return [f"{name} = {lookup(policy, name)}" for name in ("Type", "NtpServer") if lookup(policy, name) is not None]


def _clock(evidence: Evidence, settings: Settings, situation: Situation, recent: Recent) -> Iterator[Finding]:
    if not evidence.has("clock"):
        return
    found = [*_clock_off(settings, situation), *_clock_disagrees(settings, situation), *_time_service(evidence, situation, recent)]
    # Whoever is to mend a clock wants to know who else moves it.
    movers = " and ".join(situation.clock.movers)
    for finding in found:
        if not movers:
            yield finding
        elif finding.condition == "service_disabled":
            yield replace(finding, meaning=f"{finding.meaning}; {movers} may move it")
        else:
            yield replace(finding, next_step=f"{finding.next_step.rstrip('.')}; besides its source, {movers} may move this clock.")


def _clock_off(settings: Settings, situation: Situation) -> Iterator[Finding]:
    clock = situation.clock
    if clock.state != "off":
        return
    by_controller = settings.reference == "controller"
    offset, whom = clock.own_ms, clock.own_server
    if by_controller or offset is None:
        offset, whom = clock.controller_ms, "the controller"
    if offset is None:
        return
    finding = _condition(
        "clock_off",
        order=4,
        layer="clock",
        meaning=f"The clock is {apart(offset)} {whom}, more than {settings.max_skew_s} s",
        answer={"repair": "timesync"},
        next_step=f"Set the clock right from {whom}.",
    )
    resynced = any(name == "timesync" for name, _time in settings.repaired)
    if not (resynced and is_left_to_slew(situation)):
        yield finding
        return
    yield replace(
        finding,
        answer={"wait": "retry"},
        meaning=f"{finding.meaning}, and is being slewed: "
        f"W32Time corrects up to {duration(clock.slew_ms)} by the clock's rate (MaxAllowedPhaseOffset)",
        next_step="Look again in an hour; no domain controller's clock is set by hand here.",
    )


def is_slewed(situation: Situation) -> bool:
    """Whether W32Time would correct what the clock is off slowly, by its rate, and not set it."""
    own_ms = situation.clock.own_ms
    return own_ms is not None and abs(own_ms) <= situation.clock.slew_ms


def is_left_to_slew(situation: Situation) -> bool:
    """Whether that is all that is done: a domain follows its controllers, whose clock is not made to jump."""
    return is_slewed(situation) and _is_controller(situation)


def _is_controller(situation: Situation) -> bool:
    return situation.domain_role in _CONTROLLERS or situation.product_type == "domain_controller"


# DomainRole of a backup and a primary domain controller.
_CONTROLLERS = (4, 5)


def _clock_disagrees(settings: Settings, situation: Situation) -> Iterator[Finding]:
    clock, limit = situation.clock, settings.max_skew_s * 1000
    if settings.reference == "controller" or clock.controller_ms is None:
        return
    if clock.source_differs and clock.own_ms is not None:
        # The host's clock is right, so this asks for nothing of the host.
        yield _as_notice(
            _disagreement(
                f"The time source {clock.own_server} says that the clock is {duration(clock.own_ms)} {_direction(clock.own_ms)}, "
                "but the controller agrees with the host",
                f"Check the time server {clock.own_server}: its answer is not followed.",
            )
        )
        return
    if abs(clock.controller_ms) - clock.bound_ms <= limit:
        return
    how = f"The clock is {apart(clock.controller_ms)} the controller's"
    if clock.state == "right":
        # The host and its own source agree: it is the controller's clock that somebody has to look at.
        yield _as_notice(_disagreement(f"{how}, although its own time source says otherwise", "Check the clock of the controller."))
    elif clock.state == "suspect" and clock.own_ms is None:
        yield _unconfirmed(how, situation)
    elif clock.state == "suspect":
        yield _disagreement(
            f"{how} and {duration(clock.own_ms or 0)} off its own time source {clock.own_server}: three clocks, three times",
            f"Find out which is right: {clock.own_server}, the host or the controller.",
        )


def _unconfirmed(how: str, situation: Situation) -> Finding:
    """The controller alone says that the clock is wrong."""
    clock = situation.clock
    if clock.synced is not None:
        # By the clock that is in doubt: no witness, but a reason not to call the source dead.
        return _disagreement(
            f"{how}, and no time source answered us ({', '.join(clock.unheard[:3])}), but "
            f"W32Time says that it synchronised {moment(clock.synced)}",
            "Find out which is right, the controller's clock or what W32Time follows: w32tm /query /status /verbose on the host.",
        )
    if clock.unfit:
        return _disagreement(
            f"{how}, and its own time source is unfit: {', '.join(clock.unfit[:3])}",
            "Mend the time source, or name another one (the controller is the only reference).",
        )
    if not clock.silent and _is_controller(situation):
        # Its source is another domain controller, which a look does not know.
        return _disagreement(
            f"{how}, and a domain controller's own source is not asked here",
            "Find out which is right, the controller's clock or the domain's: w32tm /monitor on the host compares its domain controllers.",
        )
    if not clock.silent:
        # NoSync, or a member whose domain gave no server to ask: no firewall is in the way of nobody.
        return _disagreement(
            f"{how}, and no time source of its own could be asked",
            "Give W32Time a time source that answers (the controller is the only reference).",
        )
    servers = ", ".join(clock.silent[:3])
    return _disagreement(
        f"{how}, and its own time source did not answer ({servers})",
        f"Open UDP 123 from the host to {servers}, or name a time source that answers (the controller is the only reference).",
    )


def _direction(offset_ms: int) -> str:
    return "behind" if offset_ms > 0 else "ahead"


def _disagreement(meaning: str, next_step: str) -> Finding:
    return _condition("clock_disagrees", order=5, layer="clock", meaning=meaning, answer=ADMIN, next_step=next_step)


def _time_service(evidence: Evidence, situation: Situation, recent: Recent) -> Iterator[Finding]:
    """How W32Time is set up. A clock that is right shows that whatever keeps it right works: then all of this is a notice."""
    found = [*_time_disabled(situation), *_time_source(evidence, situation), *_time_silent(evidence, situation)]
    is_right = situation.clock.state == "right"
    for finding in found:
        yield _as_notice(finding) if is_right else finding


def _code(finding: Finding) -> int | None:
    return None if finding.code is None else int(finding.code, 16)


def _time_disabled(situation: Situation) -> Iterator[Finding]:
    if situation.disabled is not None and "W32Time" in situation.disabled:
        yield _condition(
            "service_disabled",
            order=51,
            layer="clock",
            meaning="The service W32Time is disabled, so another program must keep the time (VMware Tools, Meinberg NTP) or nobody does",
            answer={"repair": "timesync"},
            next_step="Enable W32Time, unless another program keeps the time.",
            of="W32Time",
        )


def _time_source(evidence: Evidence, situation: Situation) -> Iterator[Finding]:
    owned = time_policy(evidence)
    kind = str(evidence.clock.type or "").upper()
    if kind == "NOSYNC" or (kind == "NT5DS" and situation.domain_role in (0, 2)):
        reason = "NT5DS follows a domain, and the host is in none"
        if kind == "NOSYNC":
            reason = "NoSync follows no source"
        by_policy = any(text.startswith("Type") for text in owned)
        yield _condition(
            "time_source_none",
            order=53,
            layer="clock",
            meaning=f"W32Time has no source: {reason}",
            answer=POLICY if by_policy else {"repair": "timesync"},
            next_step="Give W32Time a source.",
        )
    if evidence.clock.client_enabled == 0:
        yield _condition(
            "time_client_off",
            order=54,
            layer="clock",
            meaning="The NTP client of W32Time is off (NtpClient\\Enabled = 0)",
            answer=ADMIN,
            next_step="Set NtpClient\\Enabled to 1.",
        )


def _time_silent(evidence: Evidence, situation: Situation) -> Iterator[Finding]:
    silent, unfit = situation.clock.silent, situation.clock.unfit
    if not silent and not unfit:
        return
    owned = time_policy(evidence)
    # A domain member on NTP whose servers are silent can go back to its domain; anybody else needs a person. The forest-root PDC emulator
    # (role 5) has nobody above it.
    strayed = str(evidence.clock.type or "").upper() == "NTP" and situation.domain_role in (1, 3, 4) and not owned
    answer: Mapping[str, str] = POLICY if owned else ADMIN
    if strayed:
        answer = {"repair": "timesync"}
    if unfit:
        yield _condition(
            "time_source_unfit",
            order=55,
            layer="clock",
            meaning=f"No time source may be followed: {', '.join(unfit[:3])}{_off(situation)}",
            answer=answer,
            next_step="Let the time source synchronise itself first, or name another one.",
            server=named_server("time", ", ".join(name.partition(" ")[0] for name in unfit[:3])),
        )
        return
    servers = ", ".join(silent[:3])
    service = evidence.services.by_name("W32Time")
    # W32Time holds UDP 123 while it runs, and firewalls may let that port alone ask.
    us = " us, who ask from another port than W32Time" if service is not None and service.state == "running" else ""
    yield _condition(
        "time_source_silent",
        order=55,
        layer="clock",
        meaning=f"No time source answered{us}: {servers}{_off(situation)}",
        answer=answer,
        next_step=f"Open UDP 123 from the host to {servers}.",
        server=named_server("time", servers),
    )


def _off(situation: Situation) -> str:
    """How far the clock is off by the controller, for a sentence; nothing where it is not known."""
    offset = situation.clock.controller_ms
    if situation.clock.state != "suspect" or offset is None:
        return ""
    return f", and the clock is {apart(offset)} the controller's"


# --- services ---


def _services(evidence: Evidence, settings: Settings, situation: Situation, recent: Recent) -> Iterator[Finding]:
    if not evidence.has("services"):
        return
    for name, wanted in routing.SERVICES.items():
        row = evidence.services.by_name(name)
        if row is None:
            continue
        if not row.exists:
            yield from _missing(name, wanted)
        elif row.start == 4:
            yield _disabled(row, settings, situation, recent)
        elif _should_run(row, wanted, evidence, situation):
            yield _condition(
                "service_stopped",
                order=56,
                layer="service",
                meaning=f"The service {name} starts automatically but does not run",
                answer={"repair": "reset"},
                next_step=f"Start {name}.",
                of=name,
            )
        if row.exists:
            yield from _program(row, wanted)
            yield from _account(row, situation, recent)


def _missing(name: str, wanted: Mapping[str, object]) -> Iterator[Finding]:
    if not wanted.get("must_exist"):
        return
    yield _condition(
        "service_missing",
        order=3,
        layer="service",
        meaning=f"The service {name} does not exist",
        answer=ADMIN,
        next_step=f"Make the service {name} again: import its key from a host of the same build, then restart. "
        "Neither DISM nor a reset makes a service.",
        of=name,
        blocking=True,
    )


def _disabled(row: Service, settings: Settings, situation: Situation, recent: Recent) -> Finding:
    """Disabled beside success is meant so. Disabled while something fails is a fault; with a policy beside it, the policy owner's."""
    wanted = routing.SERVICES[row.name]
    repair = wanted.get("repair")
    finding = _condition(
        "service_disabled",
        order=6,
        layer="service",
        meaning=f"The service {row.name} is disabled",
        answer={"repair": str(repair)} if repair else ADMIN,
        next_step=f"{wanted['owner_step']}.",
        of=row.name,
    )
    if wanted["needed"] == "always" and not _goes_well(row.name, settings, situation, recent):
        return _by_policy(finding, situation) or finding
    if not _concerns(row.name, recent):
        return _as_notice(finding)
    return _by_policy(finding, situation) or finding


def _goes_well(name: str, settings: Settings, situation: Situation, recent: Recent) -> bool:
    """Whether what the service is there for went well lately. No search needs TrustedInstaller, and nothing is installed without it."""
    if name == "TrustedInstaller":
        return recent.has_installed(situation.now, settings.behind_days)
    return recent.has_searched(situation.now, _quiet_days(name, settings))


def _quiet_days(name: str, settings: Settings) -> int:
    """So long a host may be silent with that service disabled. Without wuauserv no search comes at all, and searches are daily."""
    if name == "wuauserv":
        return 2
    return settings.stale_days


def _by_policy(finding: Finding, situation: Situation) -> Finding | None:
    """A host whose automatic updates a policy turns off is patched by another product: nobody enables a service there."""
    named = [
        text
        for text in situation.policies
        if text.startswith(("NoAutoUpdate", "DisableWindowsUpdateAccess", "NoWindowsUpdate", "AllowUpdateService"))
    ]
    if not named:
        return None
    return replace(
        finding,
        answer=_owner(situation),
        meaning=f"{finding.meaning}, and a policy turns automatic updates off ({', '.join(named)})",
        next_step=f"Leave it so if another product patches the host; else have the policy ({named[0]}) "
        f"and the start type of {finding.name} put right.",
        blocking=True,
    )


def _concerns(name: str, recent: Recent) -> bool:
    """Whether an active failure may come from this service being disabled."""
    needed = routing.SERVICES[name]["needed"]
    if needed == "never":
        return False
    if needed == "always":
        return any(_may_be_the_services(item) for item in recent.failing)
    codes = [code for item in recent.failing if (code := _code(item)) is not None]
    if any(routing.is_service_code(code) for code in codes):
        return True
    if name == "DoSvc" and any(code >> 16 == _DELIVERY_OPTIMIZATION for code in codes):
        return True
    if name == "msiserver" and _INSTALLER_SERVICE_FAILURE in codes:
        return True
    return name == "wlidsvc" and any(item.layer == "upgrade" for item in recent.failing)


def _may_be_the_services(item: Finding) -> bool:
    """Whether a failure may come from a disabled service: searches and downloads, and installations that miss files or a service.

    An installer of .NET or a driver that fails does not.
    """
    if item.layer in ("scan", "download", "cache"):
        return True
    code = _code(item)
    return routing.is_service_code(code) or code in _MISSING_FILES


# The facility of Delivery Optimization's own codes, and ERROR_INSTALL_SERVICE_FAILURE.
_DELIVERY_OPTIMIZATION = 0x80D0
_INSTALLER_SERVICE_FAILURE = 0x80070641
# ERROR_FILE_NOT_FOUND, ERROR_PATH_NOT_FOUND: what a download that never came leaves.
_MISSING_FILES = (0x80070002, 0x80070003)


def _should_run(row: Service, wanted: Mapping[str, object], evidence: Evidence, situation: Situation) -> bool:
    """A needed automatic service that does not run, long enough after the start of the host."""
    if row.state != "stopped" or row.start != 2 or row.trigger or not wanted.get("automatic"):
        return False
    if situation.boot_time is None or situation.now is None or situation.now - situation.boot_time < _START_GRACE_S:
        return False
    # UsoSvc does not start while an update waits for its restart or is at work.
    return evidence.servicing.in_progress in (None, 0)


def _program(row: Service, wanted: Mapping[str, object]) -> Iterator[Finding]:
    """A service whose program is another one than Windows ships: update disablers rename it."""
    for label, path, known in (
        ("ServiceDll", row.service_dll, wanted.get("service_dll")),
        ("ImagePath", row.image_path, wanted.get("image")),
    ):
        names = [str(name).lower() for name in (known if isinstance(known, list) else [known]) if name]
        is_gone = label == "ServiceDll" and row.dll_missing is True
        if not path or not names or (_is_known(path, names) and not is_gone):
            continue
        yield _condition(
            "service_program",
            order=3,
            layer="service",
            meaning=f"{label} of the service {row.name} is {path[:80]}, {_PROGRAM_FAULTS[is_gone]}",
            answer=ADMIN,
            next_step=_program_step(row.name, label, names[0], is_gone),
            of=row.name,
            blocking=row.name == "wuauserv",
        )


_PROGRAM_FAULTS = {True: "and there is no such file", False: "which is not what Windows ships"}


def _program_step(service: str, label: str, name: str, is_gone: bool) -> str:
    if is_gone:
        return f"Put the file %SystemRoot%\\System32\\{name} back (update disablers rename it; sfc /scannow brings it back), then restart."
    return f"Put {label} of {service} back to %SystemRoot%\\System32\\{name}, then restart."


# As whom Windows runs them, however that is written.
_SYSTEM = ("localsystem", ".\\localsystem", "nt authority\\system")


def _account(row: Service, situation: Situation, recent: Recent) -> Iterator[Finding]:
    """A service that runs as somebody else may change nothing, or not start where his password is another by now (event 7038)."""
    if row.account is None or row.account.lower() in _SYSTEM:
        return
    finding = _condition(
        "service_account",
        order=6,
        layer="service",
        meaning=f"The service {row.name} runs as {row.account[:60]}, not as LocalSystem",
        answer=ADMIN,
        next_step=f"Set the account back: sc.exe config {row.name} obj= LocalSystem, then restart.",
        of=row.name,
    )
    yield _weighed(finding, is_fault=not recent.is_served(situation.now))


_PROGRAM = re.compile(r"^(?:\\\\\?\\)?(?:%systemroot%|%windir%|\\systemroot|[a-z]:\\windows)\\system32\\([^\\ ]+)")


def _is_known(path: str, names: Sequence[str]) -> bool:
    """Whether a path is one of these programs in System32, without regard to case, quotes, or how the folder is written."""
    found = _PROGRAM.match(" ".join(path.replace('"', "").lower().split()))
    return found is not None and found.group(1) in names


# --- network, cache, disk ---


# What each is called, and who can act on it.
_SERVERS = {"wsus": ("WSUS", "wsus"), "proxy": ("proxy", "proxy"), "pac": ("server of the proxy script (AutoConfigURL)", "proxy")}


def _endpoints(evidence: Evidence, situation: Situation, recent: Recent) -> Iterator[Finding]:
    for row in evidence.sources.endpoints:
        if row.role == "wsus" and not situation.wsus:
            continue
        if row.ok:
            yield from _http(row, situation, recent)
            continue
        what, owner = _SERVERS[row.role]
        where = f"{row.host}:{row.port}"
        why = f" ({row.error[:80]})" if row.error else ""
        finding = _condition(
            "unreachable",
            order=3,
            layer="network",
            meaning=f"The {what} {where} does not answer from this host{why}",
            answer={"owner": owner},
            next_step=f"Check the {what} and TCP {row.port} from the host to {row.host}.",
            of=f"{row.role}:{where}",
        )
        # One connection that did not come about, beside searches that do, proves nothing.
        yield _blocking_or_told(finding, blocks=not recent.is_served(situation.now))


# What no WSUS says that works. Not 500: a site may be set not to answer a GET, which is not how a client asks.
_HTTP_STEPS = {
    401: "Let the site of {server} in IIS accept anonymous access",
    403: "Let the site of {server} in IIS accept this host; where it demands TLS, name it with https in WUServer",
    404: "Correct WUServer in the policy or the site of {server} in IIS: there is no ClientWebService at this address",
    502: "Check what stands before {server} and its site in IIS",
    503: "Start the application pool WsusPool on {server} and raise its private memory limit",
    504: "Check what stands before {server} and its site in IIS",
}


def _http(row: Endpoint, situation: Situation, recent: Recent) -> Iterator[Finding]:
    """A WSUS that takes the connection and cannot serve: its application pool stands still, or this is no WSUS."""
    where = f"{row.host}:{row.port}"
    step = None if row.status is None else _HTTP_STEPS.get(row.status)
    answer = f"answers HTTP {row.status}"
    if row.status is None and row.error:
        step = "Look at the application pool WsusPool on {server}"
        answer = f"takes the connection and gives no HTTP answer ({row.error[:80]})"
    if step is None:
        return
    finding = _condition(
        "wsus_http",
        order=3,
        layer="network",
        meaning=f"The WSUS {where} {answer} to this host",
        answer={"owner": "wsus"},
        next_step=step.format(server=row.host) + ".",
        of=where,
    )
    searches_fail = any(item.layer == "scan" for item in recent.failing)
    # Slow to answer is not dead, as long as no search fails.
    certain = searches_fail if row.status is None else not recent.is_served(situation.now)
    yield _blocking_or_told(finding, blocks=certain)


_MOST_LINES = 3


def _hosts(evidence: Evidence, situation: Situation, recent: Recent) -> Iterator[Finding]:
    """Lines that send the servers of Windows Update elsewhere: of privacy tools, of malware, and of who runs a cache of his own."""
    lines = [" ".join(line.split()) for line in evidence.sources.hosts]
    if not lines:
        return
    more = f" and {len(lines) - _MOST_LINES} more" if len(lines) > _MOST_LINES else ""
    told = "; ".join(line[:80] for line in lines[:_MOST_LINES]) + more
    finding = _condition(
        "hosts_file",
        order=3,
        layer="network",
        meaning=f"The file hosts sends servers of Windows Update elsewhere ({told})",
        answer=ADMIN,
        next_step=f"Take these lines out of C:\\Windows\\System32\\drivers\\etc\\hosts: {told}.",
    )
    # Who asks a WSUS, or a proxy that looks names up itself, needs none of these; nor who searches well all the same.
    fails = any(is_of_hosts(item) for item in recent.failing) and not situation.wsus and not situation.proxy
    yield _blocking_or_told(finding, blocks=fails)


# WU_E_PT_WINHTTP_NAME_NOT_RESOLVED, WININET_E_NAME_NOT_RESOLVED. A name that the file hosts has is known.
NAME_NOT_RESOLVED = (0x8024402C, 0x80072EE7)


def is_of_hosts(finding: Finding) -> bool:
    """Whether a failure is one that lines of the file hosts bring about: no connection, or one with somebody else."""
    if finding.code is None or finding.layer not in ("scan", "download"):
        return False
    code = int(finding.code, 16)
    return code not in NAME_NOT_RESOLVED and hresult.describe(code).area in ("network", "time_tls")


def _cache(evidence: Evidence, recent: Recent) -> Iterator[Finding]:
    asked = any(item.answer.get("repair") == "reset" for item in recent.failing)
    for row in evidence.cache.folders:
        if row.file:
            yield _condition(
                CACHE_IS_FILE,
                order=7,
                layer="cache",
                meaning=f"A file stands where the folder {row.path or row.name} must be, so Windows cannot make it",
                answer={"repair": "reset"},
                next_step=f"Rename the file {row.path or row.name}; Windows makes the folder again.",
                of=row.name,
            )
        if not row.reparse:
            continue
        finding = _condition(
            "cache_is_link",
            order=7,
            layer="cache",
            meaning=f"{row.path or row.name} is a link, and no reset follows a link",
            answer=ADMIN,
            next_step=f"Put a folder in the place of the link {row.path or row.name}.",
            of=row.name,
        )
        yield finding if asked else _as_notice(finding)


def _disk(evidence: Evidence, settings: Settings) -> Iterator[Finding]:
    free = evidence.disk.free
    if free is None or free >= settings.min_free_bytes:
        return
    drive = evidence.disk.drive or "C:"
    yield _condition(
        "low_space",
        order=60,
        layer="disk",
        meaning=f"{drive} has {size(free)} free, an update needs about {settings.min_free_bytes / GIB:.0f} GB",
        answer=ADMIN,
        next_step=f"Free space on {drive}, then run this again.",
        blocking=True,
    )
