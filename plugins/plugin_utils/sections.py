# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What each section of a look holds. Times are Unix seconds (UTC), keys in `_ms` milliseconds, sizes bytes; None is "not there".

GUIDs are lower case without braces. What a host sends is checked in `evidence` before one of these is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Values = Mapping[str, int | str | None]


@dataclass(frozen=True)
class Host:
    """The machine, its edition, and the session that looked."""

    build: int | None = None
    revision: int | None = None
    edition: str | None = None
    product_type: str | None = None
    domain_role: int | None = None
    domain: str | None = None
    ps_version: str | None = None
    language_mode: str | None = None
    elevated: bool | None = None
    is_64bit: bool | None = None
    boot_time: int | None = None


@dataclass(frozen=True)
class TimeSource:
    """One time server that the host asked; `offset_ms` is source minus host: positive means that the host is behind."""

    server: str
    ok: bool = False
    offset_ms: int | None = None
    error: str | None = None


@dataclass(frozen=True)
class TimeStatus:
    """What W32Time said of itself at `time`: `since_s` seconds after it last synchronised, asking every 2**`poll` seconds."""

    time: int | None = None
    leap: int | None = None
    stratum: int | None = None
    reference: str | None = None
    source: str | None = None
    poll: int | None = None
    since_s: int | None = None


@dataclass(frozen=True)
class Clock:
    """The host's clock and W32Time as configured; `utc_offset_s` is local time minus UTC now.

    In force, in seconds: `max_pos` and `max_neg` are how far it may be corrected, `max_slew` up to where that is done by its rate
    (MaxAllowedPhaseOffset), `special_poll` how often a server with the flag 0x1 is asked; `max_poll` is a power of 2. Who else moves
    the clock: `seeding` (UtilizeSslTimeData), `hypervisor` (VMICTimeProvider). `status` is there where no source answered us.
    """

    start_ms: int | None = None
    end_ms: int | None = None
    zone: str | None = None
    utc_offset_s: int | None = None
    type: str | None = None
    servers: tuple[str, ...] = ()
    policy: Values = field(default_factory=dict)
    max_pos: int | None = None
    max_neg: int | None = None
    client_enabled: int | None = None
    max_slew: int | None = None
    max_poll: int | None = None
    special_poll: int | None = None
    seeding: int | None = None
    hypervisor: int | None = None
    status: TimeStatus | None = None
    sources: tuple[TimeSource, ...] = ()


@dataclass(frozen=True)
class Service:
    """One Windows service; `dependents` are the running ones. `image_path` and `service_dll` as the registry holds them.

    `account` is None where it is LocalSystem or was not read; `dll_missing`: there is no file of the name `service_dll`.
    """

    name: str
    exists: bool
    start: int | None = None
    delayed: bool | None = None
    state: str | None = None
    trigger: bool | None = None
    image_path: str | None = None
    service_dll: str | None = None
    account: str | None = None
    dll_missing: bool | None = None
    dependents: tuple[str, ...] = ()


@dataclass(frozen=True)
class Services:
    """The services that updates need, and W32Time."""

    services: tuple[Service, ...] = ()

    def by_name(self, name: str) -> Service | None:
        """A service by its key name, None where the table does not hold it."""
        return next((one for one in self.services if one.name.lower() == name.lower()), None)


@dataclass(frozen=True)
class HistoryEntry:
    """One entry of the update history. `operation` 1 installs, 2 uninstalls; `result` 0 to 5 (OperationResultCode).

    `count` entries alike are one, the newest; `first` is when the oldest of them was.
    """

    time: int | None = None
    operation: int | None = None
    result: int | None = None
    hresult: int | None = None
    title: str | None = None
    update_id: str | None = None
    service: str | None = None
    caller: str | None = None
    classes: tuple[str, ...] = ()
    count: int | None = None
    first: int | None = None


@dataclass(frozen=True)
class History:
    """The update history, newest first."""

    entries: tuple[HistoryEntry, ...] = ()


@dataclass(frozen=True)
class Event:
    """One event; `record` orders a channel. `count` events alike are one, the newest; `first` is when the oldest of them was."""

    provider: str
    id: int
    channel: str | None = None
    time: int | None = None
    record: int | None = None
    count: int | None = None
    first: int | None = None
    data: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reach:
    """How far back a channel was read: `oldest` is its oldest event of all, `complete` that nothing asked for was left out."""

    channel: str
    oldest: int | None = None
    complete: bool = False


@dataclass(frozen=True)
class Events:
    """Events that decide, newest first."""

    records: tuple[Event, ...] = ()
    reach: tuple[Reach, ...] = ()


@dataclass(frozen=True)
class LogKind:
    """Lines of a log that are alike: how many, the time of the first as the line writes it, and the last one."""

    last: str
    count: int = 1
    first: str | None = None


@dataclass(frozen=True)
class Log:
    """The tail of a log. `read` bytes of `size` were read; `oldest` is the time of its first line as the line writes it."""

    path: str | None = None
    size: int | None = None
    read: int | None = None
    modified: int | None = None
    oldest: str | None = None
    kinds: tuple[LogKind, ...] = ()


@dataclass(frozen=True)
class Process:
    """A process that was there when the look began; `busy_ms` is the processor time that it took since, None where that is not known."""

    name: str
    busy_ms: int | None = None


@dataclass(frozen=True)
class Servicing:
    """What says that servicing is at work. `log_age` is how many seconds ago CBS.log was written, asked where a worker was there.

    `exclusive`: a session that keeps all others from being carried out (SessionsPending).
    """

    in_progress: int | None = None
    processes: tuple[Process, ...] = ()
    log_age: int | None = None
    exclusive: int | None = None
    installer_in_progress: bool | None = None
    setup_in_progress: bool | None = None
    upgrade_in_progress: bool | None = None


@dataclass(frozen=True)
class Reboot:
    """The markers of a pending restart, by name."""

    markers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Policy:
    """Policies that decide about updates, by where they stand. `tls` is SCHANNEL's TLS 1.2 for clients, `protocols` what WinHTTP may use.

    `pol_damaged`: the file of local policy (Registry.pol) does not begin as one.
    """

    wu: Values = field(default_factory=dict)
    au: Values = field(default_factory=dict)
    user: Values = field(default_factory=dict)
    ux: Values = field(default_factory=dict)
    mdm: Values = field(default_factory=dict)
    mdm_wins: int | None = None
    servicing: Values = field(default_factory=dict)
    tls: Values = field(default_factory=dict)
    protocols: int | None = None
    pol_damaged: bool | None = None
    configmgr: bool | None = None
    sus_client_id: str | None = None


@dataclass(frozen=True)
class UpdateService:
    """One service of the update agent."""

    id: str
    default: bool | None = None
    managed: bool | None = None


@dataclass(frozen=True)
class Endpoint:
    """One server that was connected to: `role` is wsus, proxy, or pac (who serves the script that names the proxy).

    `ok`: by TCP. `status`: what the WSUS answered over plain HTTP, where it was asked; with `ok` an `error` says why it gave no answer.
    """

    role: str
    host: str | None = None
    port: int | None = None
    ok: bool | None = None
    status: int | None = None
    error: str | None = None


@dataclass(frozen=True)
class Sources:
    """Where updates come from; the two dates are the update agent's own. `hosts`: lines of the file hosts that name its servers."""

    services: tuple[UpdateService, ...] | None = None
    last_search: int | None = None
    last_install: int | None = None
    endpoints: tuple[Endpoint, ...] = ()
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True)
class CacheFolder:
    """SoftwareDistribution or catroot2.

    `file`: a file has its name. `backups` are the names beside it that may be ours (situation.is_backup).
    """

    name: str
    exists: bool
    path: str | None = None
    reparse: bool | None = None
    file: bool | None = None
    created: int | None = None
    data_store: bool | None = None
    data_store_created: int | None = None
    backups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cache:
    """The two folders that a reset renews."""

    folders: tuple[CacheFolder, ...] = ()

    def by_name(self, name: str) -> CacheFolder | None:
        """A folder by its name, None where it was not looked at."""
        return next((one for one in self.folders if one.name == name), None)


@dataclass(frozen=True)
class Disk:
    """The system drive."""

    drive: str | None = None
    free: int | None = None


@dataclass(frozen=True)
class Upgrade:
    """What feature upgrades left behind."""

    osupgrade: Values = field(default_factory=dict)
    box_result: int | None = None
    setupdiag: Values | None = None
    logs: tuple[Log, ...] = ()


@dataclass(frozen=True)
class OfferedUpdate:
    """One update that a live search offers."""

    title: str | None = None
    kb: tuple[str, ...] = ()
    id: str | None = None
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scan:
    """A live search: `result` is an OperationResultCode; `updates` holds at most 30 of `count`."""

    result: int | None = None
    hresult: int | None = None
    count: int | None = None
    warnings: tuple[int, ...] = ()
    updates: tuple[OfferedUpdate, ...] = ()
