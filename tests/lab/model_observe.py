# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The agent played in Python: what ``wu_observe`` answers, read out of docs/architecture.md a second time."""

from __future__ import annotations

import calendar
import functools
import re
import time
from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any
from xml.etree import ElementTree

from .sim import SimError

CV = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion"
CBS = CV + r"\Component Based Servicing"
WU_POLICY = r"HKLM\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate"
W32TIME = r"HKLM\SYSTEM\CurrentControlSet\Services\W32Time"
W32TIME_POLICY = r"HKLM\SOFTWARE\Policies\Microsoft\W32Time"
OSUPGRADE = CV + r"\WindowsUpdate\OSUpgrade"
TIME_SERVICE = "Microsoft-Windows-Time-Service"
WUC = "Microsoft-Windows-WindowsUpdateClient"
FOLDERS = {"SoftwareDistribution": r"C:\Windows", "catroot2": r"C:\Windows\System32"}
ALWAYS = ("host", "services", "servicing", "reboot", "runs")
SECTIONS = (
    *ALWAYS,
    "policy",
    "disk",
    "upgrade",
    "cache",
    "reporting",
    "cbs",
    "clock",
    "events",
    "history",
    "sources",
    "scan",
)
SERVICES = (
    "wuauserv",
    "BITS",
    "CryptSvc",
    "TrustedInstaller",
    "msiserver",
    "AppIDSvc",
    "wlidsvc",
    "UsoSvc",
    "DoSvc",
    "WaaSMedicSvc",
    "W32Time",
)


class Observer:
    """Reads a host by platform functions alone.

    Args:
        call: ``sim.call``.
    """

    def __init__(self, call: Callable[[str, dict[str, Any]], object]) -> None:
        self._call = call

    def value(self, key: str, name: str) -> Any:
        read = self._call("Read-RegistryKey", {"Key": key})
        if not isinstance(read, dict):
            return None
        return next((value for known, value in read["values"].items() if known.lower() == name.lower()), None)

    def _values(self, key: str, match: str = ".") -> dict[str, Any]:
        read = self._call("Read-RegistryKey", {"Key": key})
        if not isinstance(read, dict):
            return {}
        found = {}
        for name, value in read["values"].items():
            if re.search(match, name):
                text = ";".join(value) if isinstance(value, list) else value
                found[name] = re.sub(r"(://)[^/@\s]*@", r"\1", text)[:200] if isinstance(text, str) else text
        return found

    def _exists(self, key: str) -> bool:
        return self._call("Read-RegistryKey", {"Key": key}) is not None

    # -- observe ----------------------------------------------------------------------------------------------------

    def observe(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The reply to an observe request."""
        if request.get("schema") != 1 or request.get("op") != "observe":
            return {"schema": 1, "refused": "this agent observes by schema 1 alone"}
        asked = list(request.get("sections") or [])
        if unknown := [name for name in asked if name not in SECTIONS]:
            return {"schema": 1, "refused": f"unknown section {unknown[0]}"}
        for name in ("lookback_s", "budget_ms", "scan_ms", "sntp_ms", "connect_ms", "log_bytes"):
            value = request.get(name, 0)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                return {"schema": 1, "refused": f"{name} is not a number"}
        started = time.monotonic()
        start_ms: Any = self._call("Get-HostClock", {})
        since = max(0, start_ms // 1000 - int(request.get("lookback_s", 3456000)))
        sections: dict[str, Any] = {}
        for name in SECTIONS:
            if name not in ALWAYS and name not in asked:
                continue
            begin = time.monotonic()
            section: dict[str, Any] = {"status": "ok", "ms": 0, "why": None, "data": None}
            if (begin - started) * 1000 > request.get("budget_ms", 30000):
                section.update(status="timeout", why="the time of the look was over")
            else:
                try:
                    section["data"] = getattr(self, f"look_{name}")(request, since)
                    why = (section["data"] or {}).pop("_partial", None)
                    if section["data"] is None:
                        section["status"] = "absent"
                    elif why:
                        section.update(status="partial", why=why)
                except SimError as error:
                    denied = error.hresult & 0xFFFFFFFF == 0x80070005
                    section.update(status="denied" if denied else "failed", why=why_of(error))
            section["ms"] = round((time.monotonic() - begin) * 1000)
            sections[name] = section
        clock = (sections.get("clock") or {}).get("data")
        if clock:
            clock.update(start_ms=start_ms, end_ms=self._call("Get-HostClock", {}))
        return {"schema": 1, "op": "observe", "sections": sections}

    def look_host(self, _request: Mapping[str, Any], _since: int) -> dict[str, Any]:
        version = self._values(r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion")
        fact: Any = self._call("Get-HostFact", {})
        session: Any = self._call("Get-SessionFact", {})
        product = self.value(r"HKLM\SYSTEM\CurrentControlSet\Control\ProductOptions", "ProductType")
        member = fact["domain_role"] in (1, 3, 4, 5)
        return {
            **session,
            "domain_role": fact["domain_role"],
            "boot_time": fact["boot_time"],
            "build": int(version["CurrentBuildNumber"]),
            "revision": version.get("UBR", 0),
            "edition": version.get("EditionID"),
            "product_type": {"WinNT": "client", "ServerNT": "server", "LanmanNT": "domain_controller"}.get(product),
            "domain": self.value(r"HKLM\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters", "Domain")
            if member
            else None,
        }

    def look_clock(self, request: Mapping[str, Any], _since: int) -> dict[str, Any]:
        names = {
            "Type": "Parameters",
            "NtpServer": "Parameters",
            "MaxPosPhaseCorrection": "Config",
            "MaxNegPhaseCorrection": "Config",
            "Enabled": r"TimeProviders\NtpClient",
        }
        policy, force = {}, {}
        for name, sub in names.items():
            force[name] = self.value(f"{W32TIME}\\{sub}", name)
            if (value := self.value(f"{W32TIME_POLICY}\\{sub}", name)) is not None:
                force[name] = value
                if name != "Enabled":
                    policy[name] = value
        servers = str(force["NtpServer"] or "").split()
        ask = [server.split(",")[0] for server in servers] if force["Type"] in ("NTP", "AllSync") else []
        fact: Any = self._call("Get-HostFact", {})
        domain = self.value(r"HKLM\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters", "Domain")
        if force["Type"] in ("NT5DS", "AllSync") and fact["domain_role"] in (1, 3) and domain:
            ask.append(domain)
        sources = []
        for server in list(dict.fromkeys([*ask, *(request.get("servers") or [])]))[:6]:
            row = {"server": server, "ok": False, "offset_ms": None, "rtt_ms": None, "stratum": None, "error": None}
            try:
                answer: Any = self._call(
                    "Invoke-SntpQuery", {"Server": server, "TimeoutMs": request.get("sntp_ms", 1000)}
                )
                row.update(answer, ok=True)
            except SimError as error:
                row["error"] = why_of(error)
            sources.append(row)
        return {
            "start_ms": 0,
            "end_ms": 0,
            "zone": self._call("Get-TimeZoneId", {}),
            "type": force["Type"],
            "servers": servers,
            "policy": policy,
            "max_pos": force["MaxPosPhaseCorrection"],
            "max_neg": force["MaxNegPhaseCorrection"],
            "client_enabled": force["Enabled"],
            "sources": sources,
        }

    def look_services(self, _request: Mapping[str, Any], _since: int) -> dict[str, Any]:
        table: Any = self._call("Get-ServiceTable", {"Name": list(SERVICES)})
        nothing: dict[str, Any] = {
            "start": None,
            "delayed": False,
            "state": None,
            "dependents": [],
        }
        return {"services": [{"name": name, "exists": name in table, **table.get(name, nothing)} for name in SERVICES]}

    def look_history(self, _request: Mapping[str, Any], since: int) -> dict[str, Any]:
        read: Any = self._call("Get-UpdateHistory", {"Max": 300})
        entries = [{**entry, "title": entry["title"][:100]} for entry in read["entries"] if entry["time"] >= since]
        kept = telling(
            entries,
            lambda entry: (entry["result"] not in (1, 2), f"{entry['operation']} {entry['result']}", str(entry.get("update_id") or "")),
        )
        return {"total": read["total"], "entries": kept}

    def look_events(self, _request: Mapping[str, Any], since: int) -> dict[str, Any]:
        # Channel, provider, ids, and those of them that tell no failure.
        wanted = (
            ("System", WUC, (16, 19, 20, 21, 22, 43, 44), (19, 21, 22, 43, 44)),
            (f"{WUC}/Operational", WUC, (25, 26, 31, 34, 35, 40, 41), (26, 40, 41)),
            ("Setup", "Microsoft-Windows-Servicing", (2, 3, 4), (2, 4)),
            ("System", "Service Control Manager", (7000, 7001, 7009, 7022, 7023, 7024, 7031, 7034, 7040), (7040,)),
            ("Microsoft-Windows-Time-Service/Operational", TIME_SERVICE, tuple(range(257, 267)), tuple(range(257, 267))),
        )
        at = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(since))
        records: list[dict[str, Any]] = []
        for channel, provider, ids, calm in wanted:
            numbers = " or ".join(f"EventID={number}" for number in ids)
            xpath = f"*[System[Provider[@Name='{provider}'] and ({numbers}) and TimeCreated[@SystemTime>='{at}']]]"
            try:
                texts: Any = self._call(
                    "Read-EventRecord", {"Channel": channel, "XPath": xpath, "Max": 200, "TimeoutMs": 3000}
                )
            except SimError as error:
                if error.hresult & 0xFFFFFFFF != 0x80073A9F:
                    raise
                continue
            events = [_event(text) for text in texts]
            events.sort(key=lambda record: (record["time"], record["record"]), reverse=True)
            records += telling(events, functools.partial(_event_tells, calm))
        records.sort(key=lambda record: (record["time"], record["record"]), reverse=True)
        return {"records": records[:200]}

    def _log(self, path: str, sort: str, request: Mapping[str, Any], since: int) -> dict[str, Any] | None:
        tail: Any = self._call("Read-FileTail", {"Path": path, "Bytes": request.get("log_bytes", 4194304)})
        if tail is None:
            return None
        data = b64decode(tail["bytes"])
        return {
            "path": path,
            "size": tail["size"],
            "read": len(data),
            "modified": tail["modified"],
            "kinds": group_lines(data, sort, since),
        }

    def look_reporting(self, request: Mapping[str, Any], since: int) -> dict[str, Any] | None:
        return self._log(r"C:\Windows\SoftwareDistribution\ReportingEvents.log", "reporting", request, since)

    def look_cbs(self, request: Mapping[str, Any], since: int) -> dict[str, Any] | None:
        return self._log(r"C:\Windows\Logs\CBS\CBS.log", "cbs", request, since)

    def look_servicing(self, _request: Mapping[str, Any], _since: int) -> dict[str, Any]:
        installer = self._exists(CV + r"\Installer\InProgress")
        running: Any = self._call("Get-ProcessName", {"Name": ["TiWorker", "msiexec", "SetupHost", "setupprep"]})
        sessions: Any = self._call("Read-RegistryKey", {"Key": CBS + r"\SessionsPending"})
        return {
            "in_progress": self.value(CBS + r"\Interface", "ServicingInProgress"),
            "processes": [name for name in running if name != "msiexec" or installer],
            "sessions_pending": len(sessions["subkeys"]) if sessions else None,
            "installer_in_progress": installer,
            "setup_in_progress": self.value(r"HKLM\SYSTEM\Setup", "SystemSetupInProgress") == 1,
            "upgrade_in_progress": self.value(r"HKLM\SYSTEM\Setup", "UpgradeInProgress") == 1,
        }

    def look_reboot(self, _request: Mapping[str, Any], _since: int) -> dict[str, Any]:
        keys = {
            "cbs_reboot_pending": CBS + r"\RebootPending",
            "cbs_reboot_in_progress": CBS + r"\RebootInProgress",
            "cbs_packages_pending": CBS + r"\PackagesPending",
            "wu_reboot_required": CV + r"\WindowsUpdate\Auto Update\RebootRequired",
            "wu_post_reboot_reporting": CV + r"\WindowsUpdate\Auto Update\PostRebootReporting",
            "server_manager": r"HKLM\SOFTWARE\Microsoft\ServerManager\CurrentRebootAttempts",
        }
        markers = {name for name, key in keys.items() if self._exists(key)}
        pending: Any = self._call("Read-RegistryKey", {"Key": CV + r"\WindowsUpdate\Services\Pending"})
        if pending and pending["subkeys"]:
            markers.add("wu_services_pending")
        renames = 0
        for name in ("PendingFileRenameOperations", "PendingFileRenameOperations2"):
            given = self.value(r"HKLM\SYSTEM\CurrentControlSet\Control\Session Manager", name) or []
            renames += (len(given) + 1) // 2
        if renames:
            markers.add("file_renames")
        if self.value(r"HKLM\SOFTWARE\Microsoft\Updates", "UpdateExeVolatile"):
            markers.add("update_exe_volatile")
        if self.value(CV + r"\RunOnce", "DVDRebootSignal") is not None:
            markers.add("dvd_reboot_signal")
        netlogon = self._values(r"HKLM\SYSTEM\CurrentControlSet\Services\Netlogon", "^(JoinDomain|AvoidSpnSet)$")
        if netlogon:
            markers.add("netlogon_join")
        base = r"HKLM\SYSTEM\CurrentControlSet\Control\ComputerName"
        active, wanted = (
            self.value(f"{base}\\{key}", "ComputerName") for key in ("ActiveComputerName", "ComputerName")
        )
        if active and active != wanted:
            markers.add("computer_rename")
        return {"markers": sorted(markers), "file_renames": renames}

    def look_policy(self, _request: Mapping[str, Any], _since: int) -> dict[str, Any]:
        mdm = r"HKLM\SOFTWARE\Microsoft\PolicyManager\current\device"
        return {
            "wu": self._values(WU_POLICY),
            "au": self._values(WU_POLICY + r"\AU"),
            "user": {
                **self._values(CV + r"\Policies\WindowsUpdate"),
                **self._values(CV + r"\Policies\Explorer", "^No(AutoUpdate|WindowsUpdate)$"),
            },
            "ux": self._values(
                r"HKLM\SOFTWARE\Microsoft\WindowsUpdate\UX\Settings", "^(Pause|Defer|Branch|Target|Exclude)"
            ),
            "mdm": self._values(mdm + r"\Update", "^(?!.*_(ProviderSet|WinningProvider|LastWrite))"),
            "mdm_wins": self.value(mdm + r"\ControlPolicyConflict", "MDMWinsOverGP"),
            "servicing": self._values(CV + r"\Policies\Servicing"),
            "configmgr": self._exists(r"HKLM\SYSTEM\CurrentControlSet\Services\CcmExec"),
        }

    def look_sources(self, request: Mapping[str, Any], _since: int) -> dict[str, Any]:
        data: dict[str, Any] = {"services": None, "last_search": None, "last_install": None, "endpoints": []}
        faults = []
        try:
            data["services"] = self._call("Get-UpdateService", {})
        except SimError as error:
            faults.append(why_of(error))
        try:
            dates: Any = self._call("Get-UpdateResult", {})
            data.update(dates)
        except SimError as error:
            faults.append(why_of(error))
        if self.value(WU_POLICY + r"\AU", "UseWUServer") == 1:
            found = re.match(
                r"(https?)://(?:[^@/]*@)?([^:/]+)(?::(\d+))?", str(self.value(WU_POLICY, "WUServer") or "")
            )
            if found:
                port = int(found[3] or (443 if found[1] == "https" else 80))
                asked = {"Server": found[2], "Port": port, "TimeoutMs": request.get("connect_ms", 1500)}
                answer: Any = self._call("Test-TcpConnect", asked)
                data["endpoints"].append({"role": "wsus", "host": found[2], "port": port, **answer})
        if faults:
            data["_partial"] = "; ".join(dict.fromkeys(faults))
        return data

    def look_cache(self, _request: Mapping[str, Any], _since: int) -> dict[str, Any]:
        rows = []
        for name, parent in FOLDERS.items():
            path = f"{parent}\\{name}"
            row: dict[str, Any] = {
                "name": name,
                "path": path,
                "exists": False,
                "reparse": False,
                "created": None,
                "files": 0,
                "bytes": 0,
                "complete": True,
                "data_store": None,
                "data_store_created": None,
                "backups": self._call("Get-ChildName", {"Path": parent, "Filter": f"{name}.wu_repair-*"}),
            }
            fact: Any = self._call("Get-FolderFact", {"Path": path})
            if fact:
                size: Any = self._call("Measure-Folder", {"Path": path, "MaxFiles": 50000, "MaxMs": 2000})
                row.update(fact, **size, exists=True)
                if name == "SoftwareDistribution":
                    store: Any = self._call("Get-FileFact", {"Path": path + r"\DataStore\DataStore.edb"})
                    row.update(data_store=store is not None, data_store_created=store["created"] if store else None)
            rows.append(row)
        return {"folders": rows}

    def look_disk(self, _request: Mapping[str, Any], _since: int) -> dict[str, Any]:
        fact: Any = self._call("Get-DriveFact", {"Drive": "C:"})
        return {"drive": "C:", **fact}

    def look_upgrade(self, request: Mapping[str, Any], since: int) -> dict[str, Any]:
        setup = r"HKLM\SYSTEM\Setup"
        paths = (r"C:\$WINDOWS.~BT\Sources\Panther", r"C:\$WINDOWS.~BT\Sources\Rollback", r"C:\Windows\Panther")
        logs = [self._log(path + r"\setuperr.log", "setup", request, since) for path in paths]
        return {
            "osupgrade": self._values(OSUPGRADE),
            "box_result": self.value(setup + r"\MoSetup\Volatile", "BoxResult"),
            "failure_count": self.value(setup + r"\MoSetup\Tracking", "FailureCount"),
            "install_attempts": self.value(setup + r"\MoSetup\Tracking", "InstallAttempts"),
            "setupdiag": self._values(setup + r"\SetupDiag\Results")
            or self._values(setup + r"\MoSetup\Volatile\SetupDiag")
            or None,
            "logs": [log for log in logs if log],
        }

    def look_runs(self, _request: Mapping[str, Any], _since: int) -> dict[str, Any]:
        asked = {"Path": r"C:\ProgramData\winfleet\wu_repair\runs", "Filter": "*"}
        return {"folders": self._call("Get-ChildName", asked)}

    def look_scan(self, _request: Mapping[str, Any], _since: int) -> dict[str, Any]:
        begin = time.monotonic()
        try:
            answer: Any = self._call("Invoke-UpdateSearch", {"Criteria": "IsInstalled=0 and IsHidden=0"})
            data = dict(answer)
        except SimError as error:
            if error.hresult & 0xFFFFFFFF == 0x80070005:
                raise
            data = {"result": None, "hresult": error.hresult, "count": None, "warnings": []}
        return {**data, "seconds": round(time.monotonic() - begin)}


def why_of(error: SimError) -> str:
    return f"{' '.join(error.message.split())[:180]} (0x{error.hresult & 0xFFFFFFFF:08X})"


def _event_tells(calm: tuple[int, ...], event: dict[str, Any]) -> tuple[bool, str, str]:
    return event["id"] not in calm, str(event["id"]), str(event["data"].get("updateGuid") or "")


def telling(
    items: list[dict[str, Any]], tells: Callable[[dict[str, Any]], tuple[bool, str, str]]
) -> list[dict[str, Any]]:
    """Of items, newest first: every failure, all of an update that also failed, and the newest of each other sort.

    Args:
        tells: whether the item is a failure, its sort, and its update.
    """
    told = [(item, *tells(item)) for item in items]
    sick = {update for _item, failed, _sort, update in told if failed} - {""}
    kept, seen = [], set()
    for item, failed, sort, update in told:
        if failed or sort not in seen or update in sick:
            seen.add(sort)
            kept.append(item)
    return kept


def _event(text: str) -> dict[str, Any]:
    root = ElementTree.fromstring(text)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    system = root.find("System")
    assert system is not None
    data = {}
    for part in (root.find("EventData"), root.find("UserData")):
        for element in part.iter() if part is not None else ():
            if len(element) == 0 and (element.text or "").strip():
                data[element.get("Name") or element.tag] = (element.text or "").strip()[:120]
    provider, created = system.find("Provider"), system.find("TimeCreated")
    assert provider is not None
    assert created is not None
    at = calendar.timegm(time.strptime(created.attrib["SystemTime"][:19], "%Y-%m-%dT%H:%M:%S"))
    return {
        "provider": provider.attrib["Name"],
        "id": int(system.findtext("EventID") or 0),
        "time": at,
        "record": int(system.findtext("EventRecordID") or 0),
        "data": data,
    }


_REPORTING = re.compile(
    r"^\{[^}\t]*\}\t(?P<time>[^\t]*)\t[^\t]*\t(?P<event>\d+)[^\t]*\t[^\t]*\t(?P<update>[^\t]*)\t[^\t]*\t(?P<code>[0-9a-f]+)\t",
    re.IGNORECASE,
)
_CODE = re.compile(
    r"0x[8c][0-9a-f]{7}(?![0-9a-f])|(?:HRESULT|error|\(F\)|hr|Result)[ =:[]{1,4}[8c][0-9a-f]{7}(?![0-9a-f])",
    re.IGNORECASE,
)
_MARK = re.compile(
    r"\[SR\] (?!Verifying|Verify complete|Beginning)|Corrupt|CSI Payload|CSI Manifest"
    r"|Repair(?:ed|ing)? (?:failed|complete|\d)"
    r"|Total Detected|\(Fixed\)|Operation result|rollback|fatal error",
    re.IGNORECASE,
)
_NOISE = re.compile(
    r"^\S+ [\d:]+, \w+ +|'[^']*'|\"[^\"]*\"|\S*[\\~]\S*|\[[^\]]*\]|\b(?:0x)?[0-9a-f]*\d[0-9a-f]*\b|\W+", re.IGNORECASE
)


def group_lines(data: bytes, sort: str, since: int) -> list[dict[str, Any]]:
    """Group the lines of a log that may matter into kinds, in order of their last line."""
    wide = data[1:4096:2].count(0) > len(data[:4096]) / 4
    text = data.decode("utf-16-le" if wide else "utf-8", "replace").lstrip("\ufeff")
    floor = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(max(0, since - 86400)))
    kinds: dict[str, dict[str, Any]] = {}
    for raw in text.splitlines():
        line = raw.rstrip()
        if sort == "reporting":
            match = _REPORTING.match(line)
            if not match:
                continue
            kind, at = f"{match['event']}|{match['code']}|{match['update']}", match["time"]
        else:
            code = _CODE.search(line)
            if not code and not _MARK.search(line):
                continue
            kind, at = f"{code[0] if code else ''} {_NOISE.sub(' ', line)[:48]}".strip(), line
        if re.match(r"\d{4}-", at) and at[:19] < floor:
            continue
        first = at[:19]
        row = kinds.pop(kind, {"count": 0, "first": first})
        row.update(count=row["count"] + 1, last=line[:300])
        kinds[kind] = row
    rows = [(kind, {**row, "first": row["first"] if row["count"] > 1 else None}) for kind, row in kinds.items()]
    if sort != "reporting":
        return [row for _kind, row in rows]
    names = {id(row): kind.split("|") for kind, row in rows}
    # The event's number is its sort; a code of zeros is a success.
    newest = telling(
        [row for _kind, row in reversed(rows)],
        lambda row: (bool(names[id(row)][1].strip("0")), names[id(row)][0], names[id(row)][2]),
    )
    return newest[::-1]
