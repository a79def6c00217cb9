# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One simulated Windows: state, laws, and every platform function of docs/architecture.md.

What holds on all hosts is in laws.yml, what is wrong with one host in its scenario. Nothing here knows a verdict.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import fnmatch
import hashlib
import hmac
import inspect
import json
import os
import re
import secrets
import shlex
import shutil
import socketserver
import stat
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PureWindowsPath
from typing import Any

from . import scenario
from .eventlog import CHANNELS, Event, Query, QueryError, copied

E_ACCESSDENIED = 0x80070005
WUC = "Microsoft-Windows-WindowsUpdateClient"
WU_OPERATIONAL = f"{WUC}/Operational"
WU_POLICY = r"HKLM\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate"
W32TIME = r"HKLM\SYSTEM\CurrentControlSet\Services\W32Time"
W32TIME_POLICY = r"HKLM\SOFTWARE\Policies\Microsoft\W32Time"
SERVICES_KEY = r"HKLM\SYSTEM\CurrentControlSet\Services" + "\\"
SERVICES = SERVICES_KEY.lower()
SOFTWARE_DISTRIBUTION = r"C:\Windows\SoftwareDistribution"
CATROOT2 = r"C:\Windows\System32\catroot2"
DOWNLOADER = r"C:\ProgramData\Microsoft\Network\Downloader"
DATA_STORE = SOFTWARE_DISTRIBUTION + r"\DataStore\DataStore.edb"
REPORTING = SOFTWARE_DISTRIBUTION + r"\ReportingEvents.log"
WINDOWS_UPDATE_ID = "9482f4b4-e343-43b6-b170-9a65bc822c77"
WSUS_ID = "3da21691-e39d-4da6-8a4b-b43877bcb1b7"
# What others call "categories" are these classifications: docs of WSUS, "Deploying updates by classification".
CLASSES = {
    "applications": "5c9376ab-8ce6-464a-b136-22113dd69801",
    "critical updates": "e6cf1350-c01b-414d-a61f-263d14d133b4",
    "definition updates": "e0789628-ce08-4437-be74-2495b842f43b",
    "drivers": "ebfc1fc5-71a4-4f7b-9aca-3b9a503104a0",
    "feature packs": "b54e7d24-7add-428f-8b75-90a396fa584f",
    "security updates": "0fa1201d-4330-4fa8-8ae9-b877473b6441",
    "service packs": "68c5b0a3-d1a6-4553-ae49-01d3a7827828",
    "tools": "b4832bd8-e735-4761-8daf-37f882276dab",
    "update rollups": "28bc880e-0592-4cbf-8f95-c79b17911d5f",
    "updates": "cd5ffd1e-e932-4e3a-bf74-18bf0b1bbd83",
    "upgrades": "3689bdc8-b205-4af4-8d4a-a63924c5e9d5",
}
# As healthy hosts have them (data/registry.tsv, sc qc of real hosts); a scenario changes them through the registry.
SERVICE_DLLS = {"wuauserv": "wuaueng.dll", "bits": "qmgr.dll", "usosvc": "usosvc.dll"}
SVCHOST = r"%systemroot%\system32\svchost.exe -k netsvcs -p"
# What a section of a look calls, for `damage: {sections: ...}`: function, and what one of its parameters ends with.
SECTION_CALLS = {
    "host": (("Get-HostFact", ""),),
    "services": (("Get-ServiceTable", ""),),
    "servicing": (("Get-ProcessTime", ""),),
    "reboot": (("Read-RegistryKey", "RebootPending"),),
    "policy": (("Read-RegistryKey", "WindowsUpdate\\UX\\Settings"),),
    "disk": (("Get-DriveFact", ""),),
    "upgrade": (("Read-FileTail", "setuperr.log"),),
    "reporting": (("Read-FileTail", "ReportingEvents.log"),),
    "cbs": (("Read-FileTail", "CBS.log"),),
    "clock": (("Get-TimeZoneId", ""),),
    "events": (("Read-EventRecord", ""),),
    "cache": (("Get-FolderFact", ""),),
    "history": (("Get-UpdateHistory", ""),),
    "sources": (("Get-UpdateService", ""), ("Get-UpdateResult", "")),
    "scan": (("Invoke-UpdateSearch", ""),),
}
CBS_LOG = r"C:\Windows\Logs\CBS\CBS.log"
# Real CBS logs of Server 2012, 8.1, 10 and 11 (shared data): TiWorker ends 120 to 131 s after its last session, which every
# search (client WindowsUpdateAgent), every inventory (WinMgmt) and every installation begins. An apply waits for that, so the
# lab's own is short; a scenario may give the real one (`worker_idle`).
REAL_WORKER_IDLE_S = 120
WORKER_IDLE = "2s"
NO_UPDATE = "{00000000-0000-0000-0000-000000000000}"

# A running service keeps files open here: (service, folder). Delivery Optimization has had its cache in SoftwareDistribution (clean-up
# scripts look for it there to this day), and elsewhere in later releases: it holds what is there.
_HELD = (
    ("wuauserv", SOFTWARE_DISTRIBUTION), ("cryptsvc", CATROOT2), ("bits", DOWNLOADER),
    ("dosvc", SOFTWARE_DISTRIBUTION + r"\DeliveryOptimization"),
)  # fmt: skip
# Who an administrator is to a descriptor: himself, any user who is logged on, everybody.
_ADMINISTRATOR = ("BA", "AU", "WD")


def _grants(service: Mapping[str, Any], right: str) -> bool:
    """Whether an administrator has a right: stop WP, change of the start type DC, change of the descriptor WD.

    Source: Microsoft, "Service Security and Access Rights" and "ACE Strings". A scenario that names no descriptor has Windows' own.
    """
    if service.get("sddl") is None:
        return True
    rights: dict[str, set[str]] = {"A": set(), "D": set()}
    for kind, words, who in re.findall(r"\((\w+);\w*;(\w*);[^;]*;[^;]*;(\w+)\)", str(service["sddl"]).partition("S:")[0]):
        if who in _ADMINISTRATOR and kind in rights:
            rights[kind].update(words[at : at + 2] for at in range(0, len(words), 2))
    return right in rights["A"] and right not in rights["D"]


_STATE_CODES = {
    "stopped": 1, "start_pending": 2, "stop_pending": 3, "running": 4, "continue_pending": 5, "pause_pending": 6, "paused": 7
}  # fmt: skip
_SC_LABELS = {
    name: name
    for name in (
        "SERVICE_NAME", "DISPLAY_NAME", "TYPE", "STATE", "WIN32_EXIT_CODE", "SERVICE_EXIT_CODE", "CHECKPOINT", "WAIT_HINT", "PID", "FLAGS",
    )
}  # fmt: skip
# Whose start types the service manager refuses to administrators: vrk3/Windows_client_tool, tools/service_config_probe.py (DoSvc, although
# its descriptor grants it); ChrisTitusTech/winutil#867 (msiserver, AppIDSvc); Microsoft, SERVICE_LAUNCH_PROTECTED_INFO (AppIDSvc,
# WaaSMedicSvc).
_GUARDED_TYPES = frozenset({"dosvc", "msiserver", "appidsvc", "waasmedicsvc"})
# A protected service takes no stop and its process no end from what is not protected (SERVICE_LAUNCH_PROTECTED_INFO).
_PROTECTED = frozenset({"appidsvc"})
_HIVES = {"HKEY_LOCAL_MACHINE": "HKLM", "HKEY_CURRENT_USER": "HKCU", "HKEY_USERS": "HKU", "HKEY_CLASSES_ROOT": "HKCR"}

_CURRENT = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion"
_WINHTTP = _CURRENT + r"\Internet Settings\Connections"
_SERVICING = _CURRENT + r"\Component Based Servicing"
_REBOOT_REQUIRED = _CURRENT + r"\WindowsUpdate\Auto Update\RebootRequired"
_MANAGER = r"HKLM\SYSTEM\CurrentControlSet\Control\Session Manager"
_COMPUTER_NAME = r"HKLM\SYSTEM\CurrentControlSet\Control\ComputerName"
# Keys and values that stand until the next restart, and values that it sets anew.
_UNTIL_RESTART = (
    *(rf"{_SERVICING}\{name}" for name in ("RebootPending", "RebootInProgress", "PackagesPending")),
    _REBOOT_REQUIRED,
    rf"{_CURRENT}\WindowsUpdate\Auto Update\PostRebootReporting",
    rf"{_CURRENT}\WindowsUpdate\Services\Pending",
    rf"{_CURRENT}\Installer\InProgress",
    r"HKLM\SOFTWARE\Microsoft\ServerManager\CurrentRebootAttempts",
)
_VALUES_UNTIL_RESTART = (
    (_MANAGER, "PendingFileRenameOperations"),
    (_MANAGER, "PendingFileRenameOperations2"),
    (rf"{_CURRENT}\RunOnce", "DVDRebootSignal"),
    (r"HKLM\SYSTEM\CurrentControlSet\Services\Netlogon", "JoinDomain"),
    (r"HKLM\SYSTEM\CurrentControlSet\Services\Netlogon", "AvoidSpnSet"),
)
_VALUES_AFTER_RESTART = (
    (rf"{_SERVICING}\Interface", "ServicingInProgress", 0),
    (rf"{_SERVICING}\SessionsPending", "Exclusive", 0),
    (rf"{_SERVICING}\SessionsPending", "TotalSessionPhases", 0),
    (r"HKLM\SOFTWARE\Microsoft\Updates", "UpdateExeVolatile", 0),
    (r"HKLM\SOFTWARE\Microsoft\ServerManager\ServicingStorage\ServerComponentCache", "RestartRequired", 0),
)


def _unfit(source: Mapping[str, Any]) -> str | None:
    """Why a time server's answer may not be used: leap 3 or stratum 0 or 16 is one that is not synchronised (RFC 5905, 7.3)."""
    if source.get("leap") == 3 or not 1 <= source.get("stratum", 2) <= 15:
        return "not synchronised"
    if source.get("root_s", 0) > 5:
        return f"root distance {source['root_s'] * 1000} ms"
    return None


class SimError(Exception):
    """What a Windows call raises: an HRESULT, a message, and the exception of .NET where that tells more."""

    def __init__(self, hresult: int, message: str, kind: str = "COMException") -> None:
        super().__init__(message)
        self.hresult = signed(hresult)
        self.message = message
        self.kind = kind


def signed(code: int) -> int:
    """An HRESULT as COM gives it: a signed 32-bit integer."""
    code &= 0xFFFFFFFF
    return code - (1 << 32) if code >= 1 << 31 else code


def win32(code: int, message: str) -> SimError:
    """A Win32 error as an HRESULT."""
    return SimError(0x80070000 | code, message)


def class_ids(names: list[str]) -> list[str]:
    """GUIDs of classifications by their names; a name that is none of a classification (a product's) is left out."""
    return [CLASSES[name.lower()] for name in names if name.lower() in CLASSES]


def _laid(result: Any, over: Any) -> Any:
    """A result with what a scenario says otherwise."""
    if isinstance(result, dict) and isinstance(over, dict):
        return {**result, **{key: _laid(result.get(key), value) for key, value in over.items()}}
    return result if over is None else over


def _later(seconds: float, do: Callable[[], object]) -> None:
    timer = threading.Timer(seconds, do)
    timer.daemon = True
    timer.start()


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.replace("-", "_").replace("XPath", "Xpath")).lower()


def _key(key: str) -> str:
    parts = key.replace("/", "\\").strip("\\").split("\\")
    hive = parts[0].rstrip(":").upper()
    return "\\".join([_HIVES.get(hive, hive), *parts[1:]])


class Sim:
    """A host. Made by ``load``; all that is public may be called from any thread."""

    def __init__(self, spec: dict[str, Any], folder: Path, host_name: str) -> None:
        self.spec = spec
        self.name = host_name
        self.folder = folder
        self.root = folder / "c"
        self.wire: dict[str, Any] = dict(spec.get("wire") or {})
        self.linux = bool(spec.get("linux"))
        self.promised: dict[str, Any] = dict(spec.get("promise") or {})
        self.changes: list[dict[str, Any]] = []
        self.laws: list[dict[str, Any]] = [*scenario.universal_laws(), *(spec.get("laws") or [])]
        self._lock = threading.RLock()
        self._server: _Server | None = None
        self._functions = _FUNCTIONS
        self._monotonic = time.monotonic()
        self._pid = 1000
        # Who changes the host: a number of its own, and the run.
        self._locks = 0
        self._changing: tuple[int, str] | None = None
        self._begun: dict[int, int] = {}
        # A wrong controller is a lab whose truth is elsewhere: this process' clock stands for the controller's.
        self.truth_offset = scenario.seconds(spec.get("controller_skew", 0))
        self.clock_offset = float(scenario.seconds(spec.get("clock_offset", 0)))
        self.zone = str(spec.get("zone", "UTC"))
        self.uptime_s = scenario.seconds(spec.get("uptime_s", "6d"))
        self._booted = self._monotonic
        self.time_sources: dict[str, dict[str, Any]] = {
            str(k).lower(): dict(v or {}) for k, v in (spec.get("time_sources") or {}).items()
        }
        self.endpoints: dict[str, dict[str, Any]] = {
            str(k).lower(): dict(v or {}) for k, v in (spec.get("endpoints") or {}).items()
        }
        # By name: which part of a processor's time each takes.
        self.processes: dict[str, float] = {}
        for process in spec.get("processes") or []:
            self.processes.update(process if isinstance(process, dict) else {process: 0.0})
        self._worker_until = 0.0
        self._worker_idle_s = scenario.seconds(spec.get("worker_idle", WORKER_IDLE))
        self.updates: list[dict[str, Any]] = copy.deepcopy(spec.get("updates") or [])
        self.denied: set[str] = set(spec.get("denied") or [])
        self.drive: dict[str, int] = dict(spec.get("drive") or {"free": 64 << 30, "size": 128 << 30})
        now = self.host_time()
        self.last_search = self._moment_or_none(spec.get("last_search"), now)
        self.last_install = self._moment_or_none(spec.get("last_install"), now)
        self.registry: dict[str, dict[str, Any]] = {}
        for key, values in (spec.get("registry") or {}).items():
            entry = self._registry_make(_key(key))
            for name, value in (values or {}).items():
                kind = value["kind"] if isinstance(value, dict) else "DWord" if isinstance(value, int) else "String"
                entry["values"][str(name).lower()] = [
                    str(name),
                    kind,
                    value["value"] if isinstance(value, dict) else value,
                ]
        if proxy := spec.get("winhttp_proxy"):
            # What `netsh winhttp set proxy` writes: flags at 8, the length of the text at 12, the text at 16.
            text = str(proxy).encode("ascii")
            setting = bytes.fromhex("28000000000000000300000000000000")[:12] + len(text).to_bytes(4, "little") + text + bytes(4)
            self._registry_make(_WINHTTP)["values"]["winhttpsettings"] = ["WinHttpSettings", "Binary", setting]
        self._hung = threading.Event()
        self._damaged: dict[str, int] = {}
        self.services: dict[str, dict[str, Any]] = {}
        groups: dict[str, int] = {}
        for name, given in (spec.get("services") or {}).items():
            service = {
                "name": name,
                "display": name,
                "start": 3,
                "delayed": False,
                "state": "stopped",
                "pid": 0,
                "needs": [],
                "stop": "ok",
                **given,
            }
            service["until"], service["by_trigger"] = None, False
            if service["state"] != "stopped":
                service["pid"] = self._service_pid(service, groups)
            self.services[name.lower()] = service
            key = _key(SERVICES_KEY + name)
            if service.get("trigger"):
                self._registry_make(key + "\\TriggerInfo\\0")
            if (library := SERVICE_DLLS.get(name.lower())) and self.value(key + "\\Parameters", "ServiceDll") is None:
                library = rf"%systemroot%\system32\{library}"
                self._registry_make(key + "\\Parameters")["values"]["servicedll"] = ["ServiceDll", "ExpandString", library]
        self._events: dict[str, list[Event]] = {channel: [] for channel in CHANNELS}
        if spec.get("machine") == "server2016":
            del self._events["Microsoft-Windows-Time-Service/Operational"]
        # `written` is when a record was made, where the clock of that time wrote another one into it.
        given_events = [(scenario.moment(event.get("written", event["time"]), now), event) for event in spec.get("events") or []]
        for _made, event in sorted(given_events, key=lambda item: item[0]):
            when = scenario.moment(event["time"], now)
            data, wrapper = dict(event.get("data") or {}), event.get("user_data")
            if "service" in event:
                # The service manager names the key in a binary: UTF-16 in hex, as real exports show it.
                data["Binary"] = (str(event["service"]) + "\0").encode("utf-16-le").hex().upper()
            self._log(event["channel"], event["provider"], event["id"], data, when, user_data=wrapper)
        self._w32 = self._w32_configuration()
        self._created: dict[tuple[int, int], float] = {}
        self._tunnel: dict[str, tuple[float, float]] = {}
        self._make_files(now)

    @classmethod
    def load(cls, name: str | Path, folder: Path, host_name: str) -> Sim:
        """Make a host from a scenario.

        Args:
            name: name of a scenario of the lab, or the path of a ``.yml``.
            folder: the host's own folder; its ``C:\\`` becomes ``folder / "c"``.
            host_name: its name, also the computer name in events.
        """
        folder = Path(folder)
        (folder / "c").mkdir(parents=True, exist_ok=True)
        return cls(scenario.load(name), folder, host_name)

    # -- time ---------------------------------------------------------------------------------------------------

    def true_time(self) -> float:
        """Unix seconds of the one true clock that time sources are measured against."""
        return time.time() + self.truth_offset

    def host_time(self) -> float:
        """Unix seconds of the host's own clock."""
        return self.true_time() + self.clock_offset

    @staticmethod
    def _moment_or_none(value: Any, now: float) -> int | None:
        return None if value in (None, "never") else int(scenario.moment(value, now))

    def step_clock(self, by_s: float) -> None:
        """Somebody sets the host's clock: a person, a hypervisor, secure time seeding."""
        with self._lock:
            self._move_clock(by_s)

    def _move_clock(self, by_s: float) -> None:
        old = self.host_time()
        self.clock_offset += by_s
        new = self.host_time()
        stamp = [time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + ".0000000Z" for at in (new, old)]
        self._log(
            "System", "Microsoft-Windows-Kernel-General", 1, {"NewTime": stamp[0], "OldTime": stamp[1], "Reason": 2}
        )

    # -- files --------------------------------------------------------------------------------------------------

    def path(self, windows_path: str) -> Path:
        r"""The real file behind ``C:\...``, names matched without regard to case; last part need not exist.

        Raises:
            SimError: another drive, a relative path, or a way that leads out of the host's folder.
        """
        pure = PureWindowsPath(windows_path.removeprefix("\\\\?\\"))
        if pure.drive.upper() != "C:" or not pure.root or ".." in pure.parts:
            raise win32(3, f"Could not find a part of the path '{windows_path}'.")
        at = self.root
        for part in pure.parts[1:]:
            exact = at / part
            if not os.path.lexists(exact):
                wanted = part.lower()
                with contextlib.suppress(OSError):
                    exact = next((Path(entry.path) for entry in os.scandir(at) if entry.name.lower() == wanted), exact)
            at = exact
        # A link in the scenario may point anywhere; what it points to outside of the host is not ours.
        if not str(at.parent.resolve()).startswith(str(self.root.resolve())):
            raise win32(5, f"Access to the path '{windows_path}' is denied.")
        return at

    def _stamp(self, path: Path, when: float | None = None, created: float | None = None) -> None:
        at = self.host_time() if when is None else when
        info = path.lstat()
        if not stat.S_ISLNK(info.st_mode):
            os.utime(path, (at, at))
        self._created[info.st_dev, info.st_ino] = at if created is None else created

    def _created_at(self, path: Path) -> float:
        info = path.lstat()
        return self._created.get((info.st_dev, info.st_ino), info.st_mtime)

    def _make_folder(self, windows_path: str, when: float | None = None) -> Path:
        path = self.path(windows_path)
        missing = [path, *path.parents]
        new = [part for part in missing if not os.path.lexists(part)]
        path.mkdir(parents=True, exist_ok=True)
        for part in reversed(new):
            self._stamp(part, when, self._tunnelled(part))
        return path

    def _tunnelled(self, path: Path) -> float | None:
        """NTFS gives a name that comes back within 15 seconds the creation time that went away with it."""
        created, until = self._tunnel.pop(str(path).lower(), (None, 0.0))
        return created if time.monotonic() < until else None

    def _write(
        self,
        windows_path: str,
        content: bytes,
        when: float | None = None,
        append: bool = False,
        created: float | None = None,
    ) -> None:
        path = self.path(windows_path)
        self._make_folder(str(PureWindowsPath(windows_path).parent), when)
        old = self._created_at(path) if path.exists() else None
        with path.open("ab" if append else "wb") as file:
            file.write(content)
        self._stamp(path, when, created if created is not None else old)

    def read(self, windows_path: str) -> bytes | None:
        """Content of a file, or None; for laws and tests."""
        try:
            return self.path(windows_path).read_bytes()
        except (OSError, SimError):
            return None

    def _make_files(self, now: float) -> None:
        install = now - 200 * 86400
        links = []
        for windows_path, spec in (self.spec.get("files") or {}).items():
            full = windows_path if windows_path[1:2] == ":" else "C:\\" + windows_path
            modified = scenario.moment(spec.get("modified", "now-1h"), now)
            created = scenario.moment(spec["created"], now) if "created" in spec else min(install, modified)
            if "link" in spec:
                links.append((full, spec["link"]))
            elif spec.get("folder"):
                self._stamp(self._make_folder(full, created), created)
            else:
                if not os.path.lexists(self.path(str(PureWindowsPath(full).parent))):
                    self._make_folder(str(PureWindowsPath(full).parent), created)
                if self.path(full).is_dir():
                    # A file where the machine has a folder.
                    shutil.rmtree(self.path(full))
                self._write(full, scenario.file_bytes(spec, now, self.zone), modified, created=created)
        store = str(self.spec.get("data_store") or "healthy")
        history = [
            {
                "time": int(scenario.moment(entry["time"], now)),
                "operation": entry.get("operation", 1),
                "result": entry["result"],
                "hresult": signed(entry.get("hresult", 0)),
                "title": entry["title"],
                "update_id": entry.get("update_id", str(uuid.uuid4())),
                "service": entry.get("service", self._asked_service()),
                "caller": entry.get("caller", "UpdateOrchestrator"),
                "classes": class_ids(entry.get("categories") or []),
            }
            for entry in self.spec.get("history") or []
        ]
        if self.spec.get("data_store") != "missing":
            parent = str(PureWindowsPath(DATA_STORE).parent)
            if not self.path(parent).exists():
                self._make_folder(parent, install)
            downloads = [update["id"] for update in self.updates if update.get("downloaded")]
            self._write(DATA_STORE, self._store_bytes(store, history, downloads), now - 3600, created=install)
        for full, target in links:
            source, destination = self.path(full), self._make_folder(target, install)
            if source.is_dir():
                shutil.copytree(source, destination, dirs_exist_ok=True)
                shutil.rmtree(source)
            source.parent.mkdir(parents=True, exist_ok=True)
            source.symlink_to(os.path.relpath(destination, source.parent), target_is_directory=True)
            self._stamp(source, install)

    @staticmethod
    def _store_bytes(state: str, history: list[dict[str, Any]], downloads: list[str]) -> bytes:
        return f"lab data store\n{state}\n{json.dumps(downloads)}\n{json.dumps(history)}\n".encode()

    def _store_lines(self) -> list[str]:
        return (self.read(DATA_STORE) or b"").decode(errors="replace").splitlines()

    def _store_write(self, history: list[dict[str, Any]], downloads: list[str]) -> None:
        lines = self._store_lines()
        self._write(DATA_STORE, self._store_bytes(lines[1] if len(lines) > 1 else "healthy", history, downloads))

    def downloads(self) -> list[str]:
        """Ids of the updates that the data store believes to be downloaded, whether their files are there or not."""
        try:
            return list(json.loads(self._store_lines()[-2]))
        except (ValueError, IndexError):
            return []

    @staticmethod
    def download_path(update: dict[str, Any]) -> str:
        """Where the files of a downloaded update are."""
        return f"{SOFTWARE_DISTRIBUTION}\\Download\\{hashlib.sha1(update['id'].encode()).hexdigest()}\\update.cab"

    def history(self) -> list[dict[str, Any]]:
        """Entries of the data store, newest first. They live in its file: where that goes, they go."""
        try:
            return sorted(json.loads(self._store_lines()[-1]), key=lambda entry: -entry["time"])
        except (ValueError, IndexError):
            return []

    def _history_add(self, entry: dict[str, Any]) -> None:
        self._store_write([entry, *self.history()], self.downloads())

    def _report(self, event: str, code: int, **fields: Any) -> None:
        first = not self.read(REPORTING)
        row = {
            "time": self.host_time(),
            "event": event,
            "hresult": code,
            "id": f"{{{str(uuid.uuid4()).upper()}}}",
            **fields,
        }
        self._write(REPORTING, scenario.reporting_bytes([row], self.host_time(), self.zone, first), append=True)

    def _held(self, windows_path: str) -> str | None:
        """Which running service or lock keeps files open in a path."""
        wanted = os.path.realpath(self.path(windows_path))
        for service, folder in _HELD:
            if service in self.services and self.services[service]["state"] != "stopped" and self._existing(folder) is not None:
                holder = os.path.realpath(self.path(folder))
                if wanted == holder or wanted.startswith(holder + os.sep) or holder.startswith(wanted + os.sep):
                    return service
        for lock in self.spec.get("locks") or []:
            holder = os.path.realpath(self.path(lock["path"]))
            if (
                wanted == holder or holder.startswith(wanted + os.sep)
            ) and time.monotonic() - self._monotonic < lock.get("for_s", 1e9):
                return str(lock.get("by", "another process"))
        return None

    # -- registry -----------------------------------------------------------------------------------------------

    def _registry_make(self, key: str) -> dict[str, Any]:
        parts = key.split("\\")
        for depth in range(1, len(parts) + 1):
            part = "\\".join(parts[:depth])
            self.registry.setdefault(part.lower(), {"name": parts[depth - 1], "values": {}})
        return self.registry[key.lower()]

    def value(self, key: str, name: str) -> Any:
        """A registry value, or None where it is not there."""
        entry = self.registry.get(_key(key).lower())
        found = entry["values"].get(name.lower()) if entry else None
        return found[2] if found else None

    def _service_values(self, key: str) -> dict[str, Any] | None:
        """The service manager's own values of ``Services\\NAME``, where that is one of ours."""
        lower = key.lower()
        service = self.services.get(lower.removeprefix(SERVICES)) if lower.startswith(SERVICES) else None
        if service is None:
            return None
        values: dict[str, Any] = {"Start": service["start"], "DisplayName": service["display"], "ImagePath": SVCHOST}
        if service["delayed"]:
            values["DelayedAutostart"] = 1
        return values

    def _registry_drop(self, key: str) -> None:
        gone = _key(key).lower()
        for name in [name for name in self.registry if (name + "\\").startswith(gone + "\\")]:
            del self.registry[name]

    # -- restart ------------------------------------------------------------------------------------------------

    def boot_time(self) -> float:
        """When Windows says that it started, Unix seconds of its own clock."""
        return self.host_time() - self.uptime_s - (time.monotonic() - self._booted)

    def shut_down(self, delay_s: float, away_s: float = 1.0) -> None:
        """Restart after a delay; the wire answers nobody until the host is back."""

        def down() -> None:
            self.wire["down"] = True
            self.restart()
            _later(away_s, lambda: self.wire.pop("down"))

        _later(delay_s, down)

    def restart(self) -> None:
        """What a restart does at once: installations that waited for it end, and what waits for none is as it was."""
        with self._lock:
            self.uptime_s, self._booted = 0, time.monotonic()
            self.processes, self._worker_until = {}, 0.0
            waiting = list(self.registry.get(_REBOOT_REQUIRED.lower(), {"values": {}})["values"].values())
            for key in _UNTIL_RESTART:
                self._registry_drop(key)
            for key, name in _VALUES_UNTIL_RESTART:
                self._remove_registry_value(key, name)
            for key, name, value in _VALUES_AFTER_RESTART:
                if self.value(key, name) is not None:
                    self._set_value(key, name, "DWord", value)
            name = self.value(_COMPUTER_NAME + r"\ComputerName", "ComputerName")
            if name is not None:
                self._set_value(_COMPUTER_NAME + r"\ActiveComputerName", "ComputerName", "String", name)
            for service in self.services.values():
                service.update(state="stopped", pid=0, until=None, by_trigger=False)
            self._log("System", "Microsoft-Windows-Kernel-General", 12, {"MajorVersion": 10})
            for service in self.services.values():
                if service["start"] == 2 and service["state"] == "stopped":
                    with contextlib.suppress(SimError):
                        self._start(service)
            for update_id, _kind, _value in waiting:
                update = {"id": update_id, "title": self._title(update_id)}
                self._installation_ended(update, self.law("install") or 0, "UpdateOrchestrator")

    def _title(self, update_id: str) -> str:
        """An update's name, as the host's own log knows it."""
        for event in reversed(self._events["System"]):
            if str(event.data.get("updateGuid", "")).strip("{}").lower() == update_id.lower():
                return str(event.data.get("updateTitle", update_id))
        return update_id

    def _asked_service(self) -> str:
        """Whom policy makes the host ask for quality updates: the WSUS, else what is registered as default.

        Scan source policy: data/registry.tsv, SetPolicyDrivenUpdateSourceForQualityUpdates (0 Windows Update, 1 WSUS).
        """
        split = self.value(WU_POLICY, "UseUpdateClassPolicySource") == 1
        if self.wsus() and not (split and self.value(WU_POLICY, "SetPolicyDrivenUpdateSourceForQualityUpdates") == 0):
            return WSUS_ID
        given = self.spec.get("update_services") or []
        return next((str(service["id"]) for service in given if service.get("default")), WINDOWS_UPDATE_ID)

    # -- services -----------------------------------------------------------------------------------------------

    def _service_pid(self, service: dict[str, Any], groups: dict[str, int] | None = None) -> int:
        group = service.get("group")
        if group:
            running = next(
                (other["pid"] for other in self.services.values() if other.get("group") == group and other["pid"]), 0
            )
            if running:
                return int(running)
        self._pid += 4
        return self._pid

    def _service(self, name: str) -> dict[str, Any]:
        service = self.services.get(name.lower())
        if service is None:
            raise win32(1060, f"The specified service does not exist as an installed service: {name}")
        self._settle(service)
        return service

    def _settle(self, service: dict[str, Any]) -> None:
        """Let pending changes of a service happen whose time has come."""
        if service["until"] is not None and time.monotonic() >= service["until"]:
            service["until"] = None
            if service["state"] == "stop_pending":
                self._stopped(service)
            elif service["state"] == "start_pending":
                self._started(service)
            elif service["state"] == "stopped":
                self._start(service, by_trigger=True)

    def _stopped(self, service: dict[str, Any]) -> None:
        service.update(state="stopped", pid=0, until=None, by_trigger=False)
        reviver = self.services.get(str(service.get("revived_by", "")).lower())
        if reviver and reviver["state"] == "running":
            service["until"] = time.monotonic() + service.get("revive_ms", 200) / 1000

    def _started(self, service: dict[str, Any]) -> None:
        service.update(state="running", until=None)
        name = service["name"].lower()
        if name == "wuauserv" and not self.path(SOFTWARE_DISTRIBUTION).is_file():
            if not self.path(DATA_STORE).exists():
                self._make_folder(SOFTWARE_DISTRIBUTION + r"\Download")
                self._write(DATA_STORE, self._store_bytes("healthy", [], []))
            if not self.path(REPORTING).exists():
                self._write(REPORTING, b"\xff\xfe")
        elif name == "cryptsvc" and not self.path(CATROOT2).exists():
            self._write(CATROOT2 + r"\{F750E6C3-38EE-11D1-85E5-00C04FC295EE}\catdb", b"lab catalogue database\n")
        elif name == "w32time":
            self._w32 = self._w32_configuration()

    def _start(self, service: dict[str, Any], by_trigger: bool = False) -> None:
        if service["start"] == 4:
            raise win32(
                1058,
                "The service cannot be started, either because it is disabled or because it has no enabled devices.",
            )
        if service["state"] != "stopped":
            raise win32(1056, "An instance of the service is already running.")
        if service.get("start_fails"):
            raise win32(int(service["start_fails"]), f"The {service['display']} service could not be started.")
        if service["name"].lower() == "wuauserv" and self.path(SOFTWARE_DISTRIBUTION).is_file():
            # CreateDirectory, where a file has the name: ERROR_ALREADY_EXISTS. In which words wuauserv says it nobody was seen to report.
            raise win32(183, "Cannot create a file when that file already exists.")
        for needed in service["needs"]:
            other = self.services.get(needed.lower())
            if other is None or (other["start"] == 4 and other["state"] == "stopped"):
                raise win32(1068, "The dependency service or group failed to start.")
            if other["state"] == "stopped":
                self._start(other)
        service.update(state="start_pending", by_trigger=by_trigger, pid=self._service_pid(service))
        slow = service.get("start_ms", 0)
        if slow:
            service["until"] = time.monotonic() + slow / 1000
        else:
            self._started(service)

    def _ask_for(self, name: str) -> None:
        """The update agent's calls start its service by trigger."""
        service = self._service(name)
        if service["state"] == "stopped":
            self._start(service, by_trigger=True)
            self._changed("(trigger)", {"name": name})

    def _dependents(self, service: dict[str, Any]) -> list[str]:
        """Running services and drivers that depend on it, in the order to stop them (EnumDependentServicesW: reverse start order)."""
        found: list[str] = []
        for other in self.services.values():
            if other["state"] != "stopped" and service["name"].lower() in [needed.lower() for needed in other["needs"]]:
                found += [name for name in [*self._dependents(other), other["name"]] if name not in found]
        return found

    # -- events -------------------------------------------------------------------------------------------------

    def _log(
        self,
        channel: str,
        provider: str,
        number: int,
        data: dict[str, Any],
        when: float | None = None,
        *,
        user_data: str | None = None,
    ) -> None:
        records = self._events.get(channel)
        if records is not None:
            at = self.host_time() if when is None else when
            records.append(Event(channel, provider, number, at, len(records) + 1, data, self.name, user_data))

    def lay_events(self, texts: Iterable[str]) -> None:
        """Write records of an export, which may have the newest first, into their channels."""
        for text in sorted(texts, key=lambda one: copied(one, 0).time):
            channel = copied(text, 0).channel
            self._events[channel].append(copied(text, len(self._events[channel]) + 1))

    # -- the update agent ---------------------------------------------------------------------------------------

    def law(self, event: str, update: dict[str, Any] | None = None) -> int | None:
        """The HRESULT that the first law in force gives for ``search``, ``history``, ``download`` or ``install``."""
        with self._lock:
            for law in self.laws:
                if event in law["on"]:
                    groups = self._holds(law["when"], update)
                    if groups is not None:
                        code = law["gives"]
                        if isinstance(code, str) and code.startswith("\\"):
                            code = groups[int(code[1:]) - 1]
                        if "wsus_down" in str(law["when"]):
                            code = self.wsus().get("gives", code)
                        return int(code, 0) if isinstance(code, str) else int(code)
        return None

    def _holds(self, conditions: list[dict[str, Any]], update: dict[str, Any] | None = None) -> list[str] | None:
        """None if a condition does not hold, else what patterns captured."""
        captured: list[str] = []
        for condition in conditions:
            ((kind, wanted),) = condition.items()
            if kind == "not":
                if self._holds(wanted if isinstance(wanted, list) else [wanted], update) is not None:
                    return None
                continue
            if kind == "file_holds":
                match = re.search(wanted["pattern"].encode(), self.read(wanted["path"]) or b"")
                held = match is not None
                captured += [group.decode() for group in match.groups()] if match else []
            elif kind == "file_missing":
                held = not self.path(wanted).exists()
            elif kind == "registry":
                held = self.value(wanted["key"], wanted["name"]) == wanted.get("is")
            elif kind == "service":
                service = self.services.get(wanted["name"].lower(), {})
                held = all(service.get(field) == value for field, value in wanted.items() if field != "name")
            elif kind == "skew_over":
                held = abs(self.clock_offset) > wanted
            elif kind == "endpoint_down":
                held = not self.endpoints.get(wanted.lower(), {}).get("ok")
            elif kind == "wsus_down":
                held = bool(self.wsus()) and not self.wsus()["ok"]
            elif kind == "wsus_answers":
                held = self.wsus().get("ok") is True and self.wsus().get("http", 200) == wanted
            elif kind == "process":
                held = wanted.lower() in [name.lower() for name in self.running()]
            elif kind == "free_below":
                held = self.drive["free"] < wanted
            elif kind == "download_lost":
                # The agent takes the record's word for the files.
                recorded = update is not None and update["id"] in self.downloads()
                held = recorded and not self.path(self.download_path(update or {})).exists()
            else:
                raise ValueError(f"unknown condition {kind}")
            if not held:
                return None
        return captured

    def wsus(self) -> dict[str, Any]:
        """The WSUS that policy names: its endpoint, ``ok`` or not; empty where policy names none."""
        if self.value(WU_POLICY + r"\AU", "UseWUServer") != 1 or not self.value(WU_POLICY, "WUServer"):
            return {}
        match = re.match(r"(https?)://(?:[^@/]*@)?([^:/]+)(?::(\d+))?", str(self.value(WU_POLICY, "WUServer")))
        if not match:
            return {"ok": False}
        port = int(match[3] or (443 if match[1] == "https" else 80))
        return {"ok": False, **self.endpoints.get(f"{match[2]}:{port}".lower(), {})}

    def _com(self, what: str) -> None:
        if what in self.denied:
            raise SimError(E_ACCESSDENIED, "Access is denied. (Exception from HRESULT: 0x80070005 (E_ACCESSDENIED))")

    def search(self, caller: str = "<<PROCESS>>: powershell.exe") -> tuple[int, int | None]:
        """The agent looks for updates: (HRESULT, how many), with the traces that this leaves."""
        with self._lock:
            code = self.law("search") or 0
            if code == 0x80070422:
                return code, None
            self._ask_for("wuauserv")
            code = self.law("search") or 0
            self._servicing_session()
            service = f"{{{self._asked_service()}}}"
            if code:
                self._log(WU_OPERATIONAL, WUC, 25, {"errorCode": f"0x{code:08x}", "serviceGuid": service})
                self._report(
                    "148 [AGENT_DETECTION_FAILED]",
                    code,
                    update=service.upper(),
                    caller=caller,
                    message=f"Windows Update Client failed to detect with error 0x{code:08x}.",
                )
                return code, None
            count = len(self.updates)
            self._log(WU_OPERATIONAL, WUC, 26, {"updateCount": count, "serviceGuid": service})
            self._report(
                "147 [AGENT_DETECTION_FINISHED]",
                0,
                update=service.upper(),
                caller=caller,
                message=f"Windows Update Client successfully detected {count} updates.",
            )
            if (self.spec.get("search") or {}).get("automatic"):
                self.last_search = int(self.host_time())
            return 0, count

    def download(self, update: dict[str, Any]) -> int:
        """The agent downloads one update; its HRESULT."""
        with self._lock:
            self._ask_for("wuauserv")
            code = self.law("download", update) or 0
            data = {"updateTitle": update["title"], "updateGuid": f"{{{update['id']}}}", "updateRevisionNumber": 1}
            self._log("System", WUC, 44, data)
            if code:
                self._log(
                    WU_OPERATIONAL, WUC, 31, {"updateTitle": update["title"], "errorCode": f"0x{code:08x}", **data}
                )
                self._report(
                    "161 [AGENT_DOWNLOAD_FAILED]",
                    code,
                    update=f"{{{update['id'].upper()}}}",
                    revision=1,
                    type="Content Download",
                    message="Error: Download failed.",
                )
            else:
                self._log(WU_OPERATIONAL, WUC, 41, data)
                self._write(self.download_path(update), b"lab update\n")
                self._store_write(self.history(), [*self.downloads(), update["id"]])
                self._report(
                    "162 [AGENT_DOWNLOAD_SUCCEEDED]",
                    0,
                    update=f"{{{update['id'].upper()}}}",
                    revision=1,
                    type="Content Download",
                    message="Download succeeded.",
                )
            return code

    def install(self, update: dict[str, Any], client: str) -> int:
        """The agent installs one update that it has: its HRESULT; history, events and dates follow."""
        with self._lock:
            self._ask_for("wuauserv")
            code = self.law("install", update) or 0
            data = {"updateTitle": update["title"], "updateGuid": f"{{{update['id']}}}", "updateRevisionNumber": 1}
            self._log("System", WUC, 43, data)
            self._installation_ended(update, code, client)
            return code

    def _installation_ended(self, update: dict[str, Any], code: int, client: str) -> None:
        with self._lock:
            self._servicing_session()
            service = f"{{{self._asked_service()}}}"
            data = {"updateTitle": update["title"], "updateGuid": f"{{{update['id']}}}", "updateRevisionNumber": 1}
            fields = {
                "update": f"{{{update['id'].upper()}}}",
                "revision": 1,
                "caller": client,
                "type": "Content Install",
            }
            if code:
                self._log("System", WUC, 20, {"errorCode": f"0x{code:08x}", **data, "serviceGuid": service})
                self._report(
                    "182 [AGENT_INSTALLING_FAILED]",
                    code,
                    message=f"Installation Failure: Windows failed to install: {update['title']}.",
                    **fields,
                )
            else:
                self._log("System", WUC, 19, {**data, "serviceGuid": service})
                self._report(
                    "183 [AGENT_INSTALLING_SUCCEEDED]",
                    0,
                    message=f"Installation Successful: {update['title']}.",
                    **fields,
                )
                self.updates = [other for other in self.updates if other["id"] != update["id"]]
                self.last_install = int(self.host_time())
                if update.get("reboot"):
                    self._registry_make(
                        r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired"
                    )
            self._history_add(
                {
                    "time": int(self.host_time()),
                    "operation": 1,
                    "result": 4 if code else 2,
                    "hresult": signed(code),
                    "title": update["title"],
                    "update_id": update["id"],
                    "service": self._asked_service(),
                    "caller": client,
                    "classes": class_ids(update.get("categories") or []),
                }
            )

    @property
    def reboot_required(self) -> bool:
        """What Microsoft.Update.SystemInfo says."""
        return (
            r"hklm\software\microsoft\windows\currentversion\windowsupdate\auto update\rebootrequired" in self.registry
        )

    # -- W32Time ------------------------------------------------------------------------------------------------

    def _w32_configuration(self) -> dict[str, Any]:
        """What the service reads at its start and on ``w32tm /config /update``; policy wins."""

        def either(name: str, local_key: str, policy_key: str) -> Any:
            policy = self.value(policy_key, name)
            return self.value(local_key, name) if policy is None else policy

        return {
            "type": either("Type", W32TIME + r"\Parameters", W32TIME_POLICY + r"\Parameters"),
            "servers": str(
                either("NtpServer", W32TIME + r"\Parameters", W32TIME_POLICY + r"\Parameters") or ""
            ).split(),
            "max_pos": either("MaxPosPhaseCorrection", W32TIME + r"\Config", W32TIME_POLICY + r"\Config"),
            "max_neg": either("MaxNegPhaseCorrection", W32TIME + r"\Config", W32TIME_POLICY + r"\Config"),
            "max_slew": either("MaxAllowedPhaseOffset", W32TIME + r"\Config", W32TIME_POLICY + r"\Config"),
            "rate": either("PhaseCorrectRate", W32TIME + r"\Config", W32TIME_POLICY + r"\Config"),
            "poll": either("MinPollInterval", W32TIME + r"\Config", W32TIME_POLICY + r"\Config"),
            "enabled": either(
                "Enabled", W32TIME + r"\TimeProviders\NtpClient", W32TIME_POLICY + r"\TimeProviders\NtpClient"
            ),
        }

    def _w32_source(self) -> dict[str, Any] | None:
        kind = str(self._w32["type"] or "").upper()
        names = []
        if kind in ("NT5DS", "ALLSYNC") and self.spec.get("domain_source"):
            names.append(str(self.spec["domain_source"]))
        if kind in ("NTP", "ALLSYNC"):
            names += [server.split(",")[0] for server in self._w32["servers"]]
        if self._w32["enabled"] == 0:
            return None
        return next((row for name in names for row in self._time_servers(name, from_123=True) if not _unfit(row)), None)

    def _time_servers(self, name: str, *, from_123: bool) -> list[dict[str, Any]]:
        """The servers behind a name that answer: a domain's name has the addresses of all its controllers.

        A server with `from_123` stands behind a firewall that lets that port alone ask: W32Time uses UDP 123 as the source port, too
        (Microsoft, "Windows Time service tools and settings", Network port).
        """
        source = self.time_sources.get(name.lower(), {})
        rows = source.get("addresses") or [source]
        return [row for row in rows if row.get("reachable", False) and (from_123 or not row.get("from_123"))]

    def _is_slewed(self, delta_s: float) -> bool:
        """Whether W32Time corrects by the rate of the clock.

        Microsoft, "Windows Time service tools and settings", Configuring how Windows Time service resets the computer clock: the offset is
        less than MaxAllowedPhaseOffset (300 s in a domain, 1 s stand-alone) and, in ticks of 100 ns, offset / (16 * PhaseCorrectRate * poll
        interval in seconds) is at most half of SystemClockRate (156250).
        """
        limit = self._w32["max_slew"]
        if limit is None:
            limit = 300 if self.spec["host"]["domain_role"] in (1, 3, 4, 5) else 1
        poll_s = 1 << (self._w32["poll"] or 10)
        return abs(delta_s) <= limit and abs(delta_s) * 1e7 / (16 * (self._w32["rate"] or 1) * poll_s) <= 156250 / 2

    def _w32tm(self, arguments: list[str]) -> int:
        words = [argument.lower() for argument in arguments]
        service = self.services.get("w32time")
        running = service is not None and service["state"] == "running"
        if any(word == "/config" for word in words):
            if "/update" in words and not running:
                return signed(0x80070426)
            for argument in arguments:
                name, _colon, given = argument.partition(":")
                if name.lower() == "/manualpeerlist":
                    self._set_value(W32TIME + r"\Parameters", "NtpServer", "String", given.strip('"'))
                elif name.lower() == "/syncfromflags":
                    types = {"manual": "NTP", "domhier": "NT5DS", "all": "AllSync", "no": "NoSync"}
                    self._set_value(W32TIME + r"\Parameters", "Type", "String", types[given.lower()])
            if "/update" in words:
                self._w32 = self._w32_configuration()
            return 0
        if "/resync" in words:
            if not running:
                return signed(0x80070426)
            source = self._w32_source()
            if source is None:
                return 1
            # Source minus host: positive means that the host's clock must go forward.
            delta = float(scenario.seconds(source.get("offset", 0))) - self.clock_offset
            limit = self._w32["max_pos" if delta > 0 else "max_neg"]
            if limit is not None and limit != 0xFFFFFFFF and abs(delta) > limit:
                return 1
            settle = int(self.spec.get("w32time_settle_ms", 0))
            if self._is_slewed(delta):
                # It takes hours; none of them pass here.
                return 0
            if settle:
                threading.Timer(settle / 1000, self._later_move, (delta,)).start()
            elif abs(delta) > 0.0005:
                self._move_clock(delta)
            self._now_follows()
            return 0
        if "/query" in words or "/stripchart" in " ".join(words):
            return 0 if running else signed(0x80070426)
        return signed(0x80070057)

    def _later_move(self, delta: float) -> None:
        with self._lock:
            self._move_clock(delta)
            self._now_follows()

    def _now_follows(self) -> None:
        """W32Time says whom it follows when it finds its source anew (events 35 and 37; data/real/events)."""
        name = self._w32["servers"][0] if str(self._w32["type"]).upper() == "NTP" else self.spec.get("domain_source")
        for number in (37, 35):
            self._log("System", "Microsoft-Windows-Time-Service", number, {"TimeSource": f"{name} (ntp.m|0x8|0.0.0.0:123->10.0.0.1:123)"})

    def _set_value(self, key: str, name: str, kind: str, value: Any) -> None:
        self._registry_make(_key(key))["values"][name.lower()] = [name, kind, value]

    # -- calls --------------------------------------------------------------------------------------------------

    def _changed(self, function: str, args: dict[str, Any]) -> None:
        self.changes.append({"function": function, "args": args})

    def call(self, function: str, args: dict[str, Any]) -> object:
        """Play one platform function of docs/architecture.md.

        Args:
            function: its name, ``Get-HostClock``.
            args: parameters by name, ``{"Key": "HKLM\\..."}``.

        Raises:
            SimError: what Windows would raise.
        """
        method = self._functions.get(function)
        if method is None:
            raise SimError(0x80004001, f"{function} is no platform function")
        known = inspect.signature(method).parameters
        given = {_snake(name): value for name, value in (args or {}).items()}
        if unknown := set(given) - set(known):
            raise SimError(0x80070057, f"{function} has no parameter {', '.join(sorted(unknown))}")
        missing = [
            name
            for name, parameter in known.items()
            if parameter.default is inspect.Parameter.empty and name != "self" and name not in given
        ]
        if missing:
            raise SimError(0x80070057, f"{function} needs {', '.join(missing)}")
        self._play_damage(function, given)
        if function == "Invoke-UpdateSearch":
            time.sleep((self.spec.get("search") or {}).get("ms", 0) / 1000)
        with self._lock:
            for service in self.services.values():
                self._settle(service)
            result = _laid(method(self, **given), (self.spec.get("damage") or {}).get("answers", {}).get(function))
            if function in CHANGE and not function.startswith(("Get-", "Read-", "Enter-", "Exit-")):
                self._changed(function, dict(args or {}))
            return result

    def _play_damage(self, function: str, given: dict[str, Any]) -> None:
        """Raise, or hang, where the scenario's `damage` names a section or a function."""
        damage = self.spec.get("damage") or {}
        asked = [(how, f"function {function}") for name, how in (damage.get("functions") or {}).items() if name == function]
        for section, how in (damage.get("sections") or {}).items():
            for name, end in SECTION_CALLS[section]:
                if name == function and any(str(value).lower().endswith(end.lower()) for value in given.values() or [""]):
                    asked.append((how, f"section {section}"))
        for how, name in asked:
            with self._lock:
                self._damaged[name] = self._damaged.get(name, 0) + 1
                if self._damaged[name] > damage.get("times", 1 << 30):
                    continue
            if how == "hang":
                self._hung.wait(scenario.seconds(damage.get("hang", "60s")))
            if how in ("hang", "timeout"):
                raise SimError(0x800705B4, "This operation returned because the timeout period expired.", "TimeoutException")
            if how == "denied":
                raise SimError(E_ACCESSDENIED, "Access is denied.")
            raise SimError(int(str(how), 0), f"Exception from HRESULT: {how}")

    # read functions, in the order of docs/architecture.md

    def _get_host_clock(self) -> int:
        return int(self.host_time() * 1000)

    def _get_host_fact(self) -> dict[str, Any]:
        uptime = int(self.uptime_s + time.monotonic() - self._booted)
        # Windows moves its boot time with the clock: now minus uptime, always.
        return {
            "domain_role": self.spec["host"]["domain_role"],
            "domain": self.spec["host"].get("domain", "WORKGROUP"),
            "boot_time": round(self.host_time() - uptime),
            "uptime_s": uptime,
        }

    def _get_session_fact(self) -> dict[str, Any]:
        session = {
            "ps_version": "5.1.20348.2227",
            "language_mode": "FullLanguage",
            "elevated": True,
            "is_64bit": True,
        }
        return {**session, **(self.spec.get("session") or {})}

    def _get_time_zone_id(self) -> str:
        return self.zone

    def _get_utc_offset(self) -> int:
        return scenario.ZONES[self.zone] * 60

    def _read_registry_key(self, key: str) -> dict[str, Any] | None:
        path = _key(key)
        service = self._service_values(path)
        entry = self.registry.get(path.lower())
        if entry is None and service is None:
            return None
        own = {name: value for name, kind, value in entry["values"].values() if kind != "Binary"} if entry else {}
        known = {name.lower() for name in service or {} if name != "ImagePath"}
        values = {**{name: value for name, value in own.items() if name.lower() not in known}, **(service or {})}
        values.update({name: value for name, value in own.items() if name.lower() == "imagepath"})
        prefix = path.lower() + "\\"
        subkeys = [
            item["name"]
            for name, item in self.registry.items()
            if name.startswith(prefix) and "\\" not in name[len(prefix) :]
        ]
        if prefix == SERVICES:
            subkeys = sorted({*subkeys, *(service["name"] for service in self.services.values())})
        return {"values": values, "subkeys": subkeys}

    def _get_service_table(self, name: list[str]) -> dict[str, Any]:
        table = {}
        for wanted in [name] if isinstance(name, str) else name:
            service = self.services.get(wanted.lower())
            # ServiceController.GetServices lists no drivers.
            if service is not None and not service.get("driver"):
                table[wanted] = {
                    "start": service["start"],
                    "delayed": service["delayed"],
                    "state": service["state"],
                    "dependents": self._dependents(service),
                    "trigger": bool(service.get("trigger")),
                }
                if wanted.lower() in SERVICE_DLLS:
                    key = SERVICES_KEY + service["name"]
                    library = self.value(key + "\\Parameters", "ServiceDll")
                    table[wanted]["service_dll"] = self.value(key, "ServiceDll") if library is None else library
                    image = self.value(key, "ImagePath") or SVCHOST
                    # Under Wine a service of the lab runs a program of the lab, which stands for svchost.
                    table[wanted]["image_path"] = SVCHOST if "fakesvc" in image else image
                    table[wanted]["account"] = self.value(key, "ObjectName") or "LocalSystem"
                    # A scenario says of which service the file is gone; a host has no System32 of its own.
                    table[wanted]["dll_missing"] = bool(service.get("dll_missing"))
        return table

    def running(self) -> dict[str, float]:
        """The processes that are there, with the part of a processor that each takes."""
        idle = {"TiWorker": 0.0} if time.monotonic() < self._worker_until else {}
        return idle | self.processes

    def _get_process_time(self, name: list[str]) -> dict[str, int]:
        running = {process.lower(): part for process, part in self.running().items()}
        lived_ms = (time.monotonic() - self._monotonic) * 1000
        wanted = [name] if isinstance(name, str) else name
        return {one: round(running[one.lower()] * lived_ms) for one in wanted if one.lower() in running}

    def _servicing_session(self) -> None:
        """Somebody asked the servicing stack: TiWorker is started, writes CBS.log, and stays for a while after that."""
        self._worker_until = time.monotonic() + self._worker_idle_s
        log = self._existing(CBS_LOG)
        if log is not None:
            self._stamp(log, created=self._created_at(log))

    def _read_event_record(self, channel: str, xpath: str, max: int, timeout_ms: int = 0, oldest: bool = False) -> list[str]:
        records = next((found for known, found in self._events.items() if known.lower() == channel.lower()), None)
        if records is None:
            raise win32(15007, "The specified channel could not be found.")
        try:
            query = Query(xpath)
            found = []
            for record in sorted(records, key=lambda item: item.record, reverse=not oldest):
                xml = record.xml()
                if query.matches(xml, self.host_time()):
                    found.append(xml)
                    if len(found) >= max:
                        break
            return found
        except QueryError as error:
            raise win32(15001, f"The specified query is invalid: {error}") from None

    def _read_file_tail(self, path: str, bytes: int) -> dict[str, Any] | None:
        try:
            real = self.path(path)
            if not real.is_file():
                return None
        except SimError:
            return None
        info = real.stat()
        with real.open("rb") as file:
            file.seek(max(0, info.st_size - bytes))
            data = file.read()
        return {"size": info.st_size, "modified": int(info.st_mtime), "bytes": base64.b64encode(data).decode()}

    def _existing(self, path: str) -> Path | None:
        try:
            real = self.path(path)
        except SimError:
            return None
        return real if os.path.lexists(real) else None

    def _get_folder_fact(self, path: str) -> dict[str, Any] | None:
        real = self._existing(path)
        if real is None or not real.is_dir():
            return None
        return {"created": int(self._created_at(real)), "reparse": real.is_symlink()}

    def _get_child_name(self, path: str, filter: str) -> list[str]:
        real = self._existing(path)
        if real is None or not real.is_dir():
            return []
        return sorted(entry.name for entry in os.scandir(real) if fnmatch.fnmatch(entry.name.lower(), filter.lower()))

    def _get_file_fact(self, path: str) -> dict[str, Any] | None:
        real = self._existing(path)
        if real is None or not real.is_file():
            return None
        info = real.stat()
        return {"created": int(self._created_at(real)), "modified": int(info.st_mtime), "size": info.st_size}

    def _get_drive_fact(self, drive: str) -> dict[str, int]:
        if not drive.upper().startswith("C"):
            raise win32(21, "The device is not ready.")
        return {"free": self.drive["free"]}

    def _invoke_sntp_query(self, server: str, timeout_ms: int) -> dict[str, Any]:
        name = server.split(",", maxsplit=1)[0]
        if name.lower() not in self.time_sources:
            raise SimError(0x80004005, "No such host is known")
        service = self.services.get("w32time")
        # The port is W32Time's own while it runs.
        free = service is None or service["state"] == "stopped"
        answers = self._time_servers(name, from_123=False) or self._time_servers(name, from_123=free)
        if not answers:
            raise SimError(0x80131501, f"no answer within {timeout_ms} ms")
        source = next((row for row in answers if not _unfit(row)), answers[0])
        if why := _unfit(source):
            raise SimError(0x80131501, f"unfit: {why}")
        offset = scenario.seconds(source.get("offset", 0)) - self.clock_offset
        return {"offset_ms": round(offset * 1000)}

    def _test_tcp_connect(self, server: str, port: int, timeout_ms: int) -> dict[str, Any]:
        endpoint = self.endpoints.get(f"{server}:{port}".lower())
        if endpoint is None:
            return {"ok": False, "error": "No such host is known"}
        ok = bool(endpoint.get("ok"))
        return {
            "ok": ok,
            "error": None if ok else endpoint.get("error", "timed out"),
        }

    def _get_http_status(self, url: str, timeout_ms: int) -> int:
        found = re.match(r"http://([^/:]+)(?::(\d+))?/", url)
        endpoint = self.endpoints.get(f"{found[1]}:{found[2] or 80}".lower(), {}) if found else {}
        status = endpoint.get("http", 200)
        if not endpoint.get("ok") or status is None:
            raise SimError(0x80131509, f"The operation has timed out after {timeout_ms} ms")
        return int(status)

    def _get_win_http_proxy(self) -> str | None:
        entry = self.registry.get(_WINHTTP.lower())
        found = entry["values"].get("winhttpsettings") if entry else None
        if not found or not found[2][8] & 2:
            return None
        length = int.from_bytes(found[2][12:16], "little")
        return bytes(found[2][16 : 16 + length]).decode("ascii")

    def _get_update_history(self, max: int) -> list[dict[str, Any]]:
        self._com("history")
        if code := self.law("history"):
            raise SimError(code, f"Exception from HRESULT: 0x{code:08X}")
        self._ask_for("wuauserv")
        return [dict(entry) for entry in self.history()[:max]]

    def _get_update_service(self) -> list[dict[str, Any]]:
        self._com("service")
        managed = bool(self.wsus())
        found: list[dict[str, Any]] = list(
            self.spec.get("update_services")
            or [{"id": WINDOWS_UPDATE_ID, "default": not managed, "managed": False}]
        )
        if managed:
            found = [{**entry, "default": False} for entry in found]
            found.append({"id": WSUS_ID, "default": True, "managed": True})
        return found

    def _get_update_result(self) -> dict[str, Any]:
        self._com("results")
        return {"last_search": self.last_search, "last_install": self.last_install}

    def _invoke_update_search(self, criteria: str) -> dict[str, Any]:
        self._com("search")
        if not criteria.strip():
            raise SimError(0x80240032, "Exception from HRESULT: 0x80240032")
        code, count = self.search("winfleet.wu_repair")
        if code:
            raise SimError(code, f"Exception from HRESULT: 0x{code:08X}")
        given = self.spec.get("search") or {}
        offered = [
            {
                "title": update["title"],
                "id": update["id"],
                "kb": list(update.get("kb") or []),
                "classes": class_ids(update.get("categories") or []),
            }
            for update in self.updates[:30]
        ]
        return {
            "result": given.get("result", 2),
            "hresult": 0,
            "count": count,
            "updates": offered,
            "warnings": [signed(code) for code in given.get("warnings", [])],
        }

    def _read_service_listing(self) -> str:
        """As sc.exe prints it (Microsoft, "sc.exe query", example); the labels are of the reader's language."""
        label = {**_SC_LABELS, **(self.spec.get("sc_labels") or {})}
        text = ""
        for service in self.services.values():
            if service["state"] == "stopped" or service.get("driver"):
                continue
            code = _STATE_CODES[service["state"]]
            rows = [
                ("TYPE", "20  WIN32_SHARE_PROCESS  "),
                ("STATE", f"{code}  {service['state'].upper()} "),
                ("WIN32_EXIT_CODE", "0  (0x0)"),
                ("SERVICE_EXIT_CODE", "0  (0x0)"),
                ("CHECKPOINT", "0x0"),
                ("WAIT_HINT", "0x0"),
                ("PID", str(self._process_of(service))),
                ("FLAGS", ""),
            ]
            lines = [f"        {label[name]:<19}: {value}" for name, value in rows]
            lines.insert(2, "                                (STOPPABLE, NOT_PAUSABLE, ACCEPTS_SHUTDOWN)")
            head = [f"{label['SERVICE_NAME']}: {service['name']}", f"{label['DISPLAY_NAME']}: {service['display']}"]
            text += "\r\n" + "\r\n".join([*head, *lines]) + "\r\n"
        return text

    def _process_of(self, service: dict[str, Any]) -> int:
        """The number of a service's process, as Windows gives it."""
        return int(service["pid"])

    def _get_process_fact(self, process_id: int) -> dict[str, Any]:
        owner = next((service for service in self.services.values() if service["pid"] == process_id and process_id), None)
        if owner is None:
            raise SimError(0x80070057, f"Process with an Id of {process_id} is not running.")
        return {"name": owner.get("process", "svchost"), "started": self._begun.setdefault(process_id, int(self.host_time() * 1000))}

    def _get_service_security(self, name: str) -> str:
        return str(
            self._service(name).get(
                "sddl", "D:(A;;CCLCSWRPWPDTLOCRRC;;;SY)(A;;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;BA)(A;;CCLCSWLOCRRC;;;IU)"
            )
        )

    # change functions

    def _enter_host_change(self, run: str) -> dict[str, Any]:
        """A named mutex (Microsoft, "Mutex Objects"): one holder; one that ended without letting go holds nothing."""
        given = self.spec.get("host_change") or {}
        if given.get("why"):
            return {"held": False, "by": None, "why": given["why"], "handle": 0}
        if given and time.monotonic() - self._monotonic < given.get("for_s", 1e9):
            return {"held": False, "by": given.get("by"), "why": None, "handle": 0}
        if self._changing is not None:
            return {"held": False, "by": self._changing[1], "why": None, "handle": 0}
        self._locks += 1
        self._changing = (self._locks, run)
        return {"held": True, "by": None, "why": None, "handle": self._locks}

    def _exit_host_change(self, lock: dict[str, Any]) -> None:
        if self._changing is not None and self._changing[0] == lock["handle"]:
            self._changing = None

    def hung_up(self, handles: list[int]) -> None:
        """A PowerShell ended: what it held is free."""
        with self._lock:
            for handle in handles:
                self._exit_host_change({"handle": handle})

    def _set_service_start(self, name: str, start: int, delayed: bool = False) -> None:
        service = self._service(name)
        if service.get("protected") or name.lower() in _GUARDED_TYPES or not _grants(service, "DC"):
            raise win32(5, "Access is denied.")
        if start not in (0, 1, 2, 3, 4):
            raise win32(87, "The parameter is incorrect.")
        words = self.spec.get("start_words") or {2: "auto start", 3: "demand start", 4: "disabled"}
        if start != service["start"]:
            self._log(
                "System",
                "Service Control Manager",
                7040,
                {
                    "param1": service["display"],
                    "param2": words.get(service["start"], "boot start"),
                    "param3": words.get(start, "boot start"),
                    "param4": service["name"],
                },
            )
        service.update(start=start, delayed=bool(delayed) and start == 2)

    def _send_service_stop(self, name: str) -> None:
        service = self._service(name)
        if name.lower() in _PROTECTED or service["stop"] == "denied" or not _grants(service, "WP"):
            raise win32(5, "Access is denied.")
        if service["state"] == "stopped":
            raise win32(1062, "The service has not been started.")
        if self._dependents(service):
            raise win32(1051, "A stop control has been sent to a service that other running services are dependent on.")
        if service["state"] != "running":
            raise win32(1061, "The service cannot accept control messages at this time.")
        if service["stop"] == "refuse":
            raise win32(1052, "The requested control is not valid for this service.")
        service["state"] = "stop_pending"
        if service["stop"] == "hang":
            return
        if service.get("stop_ms"):
            service["until"] = time.monotonic() + service["stop_ms"] / 1000
        else:
            self._stopped(service)

    def _send_service_start(self, name: str) -> None:
        self._start(self._service(name))

    def _stop_service_process(self, process_id: int, name: str, started: int) -> None:
        if self._get_process_fact(process_id) != {"name": name, "started": started}:
            raise SimError(0x80131509, f"process {process_id} is another one by now")
        victims = [service for service in self.services.values() if service["pid"] == process_id]
        if any(service.get("unkillable") or service["name"].lower() in _PROTECTED for service in victims):
            raise win32(5, "Access is denied.")
        for service in victims:
            self._stopped(service)

    def _rename(self, path: str, destination: str, folder: bool) -> None:
        source = self._existing(path)
        if source is None or (source.is_dir() != folder):
            raise win32(3 if folder else 2, f"Could not find '{path}'.")
        if self._held(path):
            raise win32(
                5 if folder else 32,
                f"Access to the path '{path}' is denied." if folder else "The process cannot access the file.",
            )
        target = self.path(destination)
        if os.path.lexists(target):
            raise win32(
                183, f"Cannot create '{destination}' because a file or directory with the same name already exists."
            )
        if not target.parent.is_dir():
            raise win32(3, f"Could not find a part of the path '{destination}'.")
        self._tunnel[str(source).lower()] = (self._created_at(source), time.monotonic() + 15)
        source.rename(target)

    def _move_folder(self, path: str, destination: str) -> None:
        self._rename(path, destination, folder=True)

    def _move_single_file(self, path: str, destination: str) -> None:
        self._rename(path, destination, folder=False)

    def _remove_folder_tree(self, path: str) -> None:
        real = self._existing(path)
        if real is None:
            raise win32(3, f"Could not find a part of the path '{path}'.")
        if self._held(path):
            raise win32(32, "The process cannot access the file because it is being used by another process.")
        if real.is_symlink() or real.is_file():
            real.unlink()
            return
        for folder, folders, names in os.walk(real, topdown=False):
            for name in [*folders, *names]:
                info = os.lstat(os.path.join(folder, name))
                self._created.pop((info.st_dev, info.st_ino), None)
        shutil.rmtree(real)

    def _write_registry_value(self, key: str, name: str, kind: str, value: Any) -> None:
        path = _key(key)
        if kind == "DWord" and not (isinstance(value, int) and 0 <= value & 0xFFFFFFFF <= 0xFFFFFFFF):
            raise SimError(0x80070057, "The type of the value object did not match the specified RegistryValueKind.")
        service = self.services.get(path.lower().removeprefix(SERVICES)) if path.lower().startswith(SERVICES) else None
        if service is not None and name.lower() == "start":
            service["start"] = int(value)
            return
        # Text that Windows keeps with variables in it stays of its kind, as the function promises.
        old = self.registry.get(path.lower(), {"values": {}})["values"].get(name.lower())
        if kind == "String" and old is not None and old[1] == "ExpandString":
            kind = "ExpandString"
        self._set_value(path, name, kind, value & 0xFFFFFFFF if kind == "DWord" else value)

    def _remove_registry_value(self, key: str, name: str, empty_key: bool = False) -> None:
        path = _key(key).lower()
        entry = self.registry.get(path)
        if entry is None:
            return
        entry["values"].pop(name.lower(), None)
        if empty_key and not entry["values"] and not any(other.startswith(path + "\\") for other in self.registry):
            del self.registry[path]

    def _set_host_clock(self, offset_ms: int) -> None:
        self._move_clock(offset_ms / 1000)

    def _set_time_zone_id(self, id: str) -> None:
        if id not in scenario.ZONES:
            raise SimError(0x80070057, f"The time zone ID '{id}' was not found on the local computer.")
        self.zone = id

    def _invoke_program(self, path: str, argument: Any, timeout_ms: int) -> int | None:
        program = PureWindowsPath(path).name.lower().removesuffix(".exe")
        arguments = (
            [str(item) for item in argument]
            if isinstance(argument, list)
            else shlex.split(str(argument or ""), posix=False)
        )
        if program == "w32tm":
            return self._w32tm(arguments)
        if program == "sc" and len(arguments) >= 2:
            try:
                name = arguments[1]
                if arguments[0].lower() == "start":
                    self._send_service_start(name)
                elif arguments[0].lower() == "stop":
                    self._send_service_stop(name)
                elif arguments[0].lower() in ("query", "qc", "sdshow", "triggerinfo"):
                    self._service(name)
                else:
                    return 1639
                return 0
            except SimError as error:
                return error.hresult & 0xFFFF
        raise win32(2, f"The system cannot find the file specified: {path}")

    def _set_service_security(self, name: str, sddl: str) -> None:
        service = self._service(name)
        if not _grants(service, "WD"):
            raise win32(5, "Access is denied.")
        service["sddl"] = sddl

    # -- the outside --------------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """The whole state as plain data, to compare before and after.

        A service that Windows started by trigger for a look counts as stopped: Windows stops it again when it is idle.
        """
        with self._lock:
            for service in self.services.values():
                self._settle(service)
            registry = {
                key: {name: [kind, value] for name, (_shown, kind, value) in sorted(entry["values"].items())}
                for key, entry in sorted(self.registry.items())
            }
            services = {
                name: {
                    "start": service["start"],
                    "delayed": service["delayed"],
                    "sddl": service.get("sddl"),
                    "state": "stopped" if service["by_trigger"] else service["state"],
                }
                for name, service in sorted(self.services.items())
            }
            files: dict[str, str] = {}
            for folder, folders, names in os.walk(self.root):
                for name in sorted(folders + names):
                    real = Path(folder, name)
                    shown = str(real.relative_to(self.root)).replace(os.sep, "\\")
                    if real.is_symlink():
                        files[shown] = f"link {os.readlink(real)}"
                    elif real.is_dir():
                        files[shown] = "folder"
                    else:
                        files[shown] = hashlib.sha256(real.read_bytes()).hexdigest()
            return {
                "registry": registry,
                "services": services,
                "files": dict(sorted(files.items())),
                "clock_offset": round(self.clock_offset, 3),
                "zone": self.zone,
            }

    def serve(self) -> tuple[str, int]:
        """Start, once, the server that the lab's PowerShell asks; (address, port)."""
        with self._lock:
            if self._server is None:
                self._server = _Server(self)
                threading.Thread(
                    target=self._server.serve_forever,
                    kwargs={"poll_interval": 0.05},
                    name=f"sim {self.name}",
                    daemon=True,
                ).start()
            host, port = self._server.server_address[:2]
            return str(host), int(port)

    @property
    def address(self) -> str:
        """Value of WULAB, ``127.0.0.1:PORT:TOKEN``; starts the server if need be."""
        host, port = self.serve()
        assert self._server is not None
        return f"{host}:{port}:{self._server.token}"

    def close(self) -> None:
        """Stop serving; the host's files stay."""
        self._hung.set()
        with self._lock:
            server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()


READ = (
    "Get-HostClock",
    "Get-HostFact",
    "Get-SessionFact",
    "Get-TimeZoneId",
    "Get-UtcOffset",
    "Read-RegistryKey",
    "Get-ServiceTable",
    "Get-ProcessTime",
    "Read-EventRecord",
    "Read-FileTail",
    "Get-FolderFact",
    "Get-ChildName",
    "Get-FileFact",
    "Get-DriveFact",
    "Invoke-SntpQuery",
    "Test-TcpConnect",
    "Get-HttpStatus",
    "Get-WinHttpProxy",
    "Get-UpdateHistory",
    "Get-UpdateService",
    "Get-UpdateResult",
    "Invoke-UpdateSearch",
)
CHANGE = (
    "Enter-HostChange",
    "Exit-HostChange",
    "Set-ServiceStart",
    "Send-ServiceStop",
    "Send-ServiceStart",
    "Stop-ServiceProcess",
    "Move-Folder",
    "Move-SingleFile",
    "Remove-FolderTree",
    "Write-RegistryValue",
    "Remove-RegistryValue",
    "Set-HostClock",
    "Set-TimeZoneId",
    "Invoke-Program",
    "Set-ServiceSecurity",
    "Read-ServiceListing",
    "Get-ProcessFact",
    "Get-ServiceSecurity",
)
_FUNCTIONS: dict[str, Callable[..., object]] = {name: getattr(Sim, f"_{_snake(name)}") for name in (*READ, *CHANGE)}


def clixml(value: object) -> bytes:
    """Plain data as one line of PowerShell's own XML (MS-PSRP 2.2.5), which it reads in one call.

    Raises:
        TypeError: no plain data.
    """
    return f'<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04">{_element(value, "")}</Objs>'.encode()


def _element(value: object, name: str) -> str:
    if value is None:
        return f"<Nil{name}/>"
    if isinstance(value, bool):
        return f"<B{name}>{str(value).lower()}</B>"
    if isinstance(value, int):
        return f"<I64{name}>{value}</I64>"
    if isinstance(value, float):
        return f"<Db{name}>{value!r}</Db>"
    if isinstance(value, str):
        return f"<S{name}>{_NOT_IN_XML.sub(_escaped, value)}</S>"
    if isinstance(value, (list, tuple)):
        return f"<Obj{name}><LST>{''.join(_element(item, '') for item in value)}</LST></Obj>"
    if isinstance(value, dict):
        pairs = (f"<En>{_element(str(key), _KEY)}{_element(item, _VALUE)}</En>" for key, item in value.items())
        return f"<Obj{name}><DCT>{''.join(pairs)}</DCT></Obj>"
    raise TypeError(f"{type(value).__name__} is no plain data")


_KEY, _VALUE = ' N="Key"', ' N="Value"'
# What XML may not hold or would not keep, and an underscore that would begin such an escape (MS-PSRP 2.2.5.3.2).
_NOT_IN_XML = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff&<>]|_(?=[xX][0-9A-Fa-f]{4}_)")


def _escaped(found: re.Match[str]) -> str:
    return {"&": "&amp;", "<": "&lt;", ">": "&gt;"}.get(found[0], f"_x{ord(found[0]):04X}_")


class _Server(socketserver.ThreadingTCPServer):
    """One line of JSON asks, one of CLIXML answers; a connection stays open."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, sim: Sim) -> None:
        self.sim = sim
        self.token = secrets.token_hex(16)
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self) -> None:
        # A PowerShell that ends abruptly resets its connection, whether the next line is awaited or an answer sent.
        with contextlib.suppress(OSError):
            self._converse()

    def _converse(self) -> None:
        server = self.server
        assert isinstance(server, _Server)
        held: list[int] = []
        try:
            self._answer_all(server, held)
        finally:
            server.sim.hung_up(held)

    def _answer_all(self, server: _Server, held: list[int]) -> None:
        for line in self.rfile:
            try:
                asked = json.loads(line)
                if not hmac.compare_digest(str(asked["token"]), server.token):
                    return
                result: Any = server.sim.call(asked["function"], asked.get("args") or {})
                if asked["function"] == "Enter-HostChange" and result["held"]:
                    held.append(result["handle"])
                answer = {"ok": True, "result": result}
            except SimError as error:
                answer = {"ok": False, "hresult": error.hresult, "message": error.message, "kind": error.kind}
            except Exception as error:  # the lab's fault must reach the PowerShell
                answer = {
                    "ok": False,
                    "hresult": signed(0x8000FFFF),
                    "message": f"lab: {type(error).__name__}: {error}",
                }
            self.wfile.write(clixml(answer) + b"\n")
