# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The agent played in Python: what ``wu_observe`` sends, in its raw form, by the lab's platform functions.

The registry's table is the agent's own, read out of its source; lines of logs, events and the history are folded here a second time, by the
words of docs/architecture.md.
"""

from __future__ import annotations

import calendar
import functools
import re
import time
from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from .sim import SimError

CV = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion"
CBS = CV + r"\Component Based Servicing"
SYSTEMS_OWN = CV.replace("HKLM", r"HKU\S-1-5-18")
_PORTS = {"http": 80, "https": 443}
WU_POLICY = r"HKLM\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate"
W32TIME = r"HKLM\SYSTEM\CurrentControlSet\Services\W32Time"
W32TIME_POLICY = r"HKLM\SOFTWARE\Policies\Microsoft\W32Time"
OSUPGRADE = CV + r"\WindowsUpdate\OSUpgrade"
WUC = "Microsoft-Windows-WindowsUpdateClient"
FOLDERS = {"SoftwareDistribution": r"C:\Windows", "catroot2": r"C:\Windows\System32"}
ALWAYS = ("host", "services", "servicing", "reboot")
SECTIONS = (
    *ALWAYS, "policy", "disk", "upgrade", "reporting", "cbs", "events", "cache", "fact", "clock", "sources", "agent", "history", "scan",
)  # fmt: skip
# Gathered apart, a part of another section.
PARTS = {"fact": "host", "agent": "sources"}
SERVICES = (
    "wuauserv", "BITS", "CryptSvc", "TrustedInstaller", "msiserver", "AppIDSvc", "wlidsvc", "UsoSvc", "DoSvc", "WaaSMedicSvc", "W32Time",
)  # fmt: skip
SCM = "Service Control Manager"
# Channel, provider, ids, those of them that tell no failure.
EVENTS = (
    ("System", WUC, (19,), (19,)),
    ("System", WUC, (16, 20, 24, 32, 33, 213, 217), ()),
    ("System", WUC, (43, 44), ()),
    (f"{WUC}/Operational", WUC, (26, 41), (26, 41)),
    (f"{WUC}/Operational", WUC, (25, 31, 32, 33, 34, 35), ()),
    ("Setup", "Microsoft-Windows-Servicing", (2, 3, 6, 11, 12, 1009, 1014, 1015), (2,)),
    ("System", SCM, (7000, 7001, 7002, 7003, 7009, 7011, 7022, 7023, 7024, 7031, 7034, 7038, 7041), ()),
    ("System", "Microsoft-Windows-Time-Service", (17, 24, 29, 34, 35, 36, 37, 47, 129, 130, 131, 134), (35, 37)),
)

_SHORT = {"CBS": r"CV\Component Based Servicing", "CV": r"MS\Windows\CurrentVersion", "MS": r"SOFTWARE\Microsoft"}
_SHORT |= {"POL": r"SOFTWARE\Policies\Microsoft", "CCS": r"SYSTEM\CurrentControlSet"}

Tells = tuple[bool, str, str, bool]

# A line of the file hosts that names a server of Windows Update.
_OF_UPDATES = re.compile(r"^[^#]{0,99}(windowsupdate|(update|download|mp).microsoft.com).{0,99}$", re.IGNORECASE)


@functools.cache
def registry_table() -> dict[str, list[tuple[str, str]]]:
    """Keys and patterns of values by section, out of the agent's source."""
    source = Path(__file__).resolve().parents[2] / "plugins" / "module_utils" / "_Evidence.psm1"
    found = re.findall(r"^    (\w+) = @'\n(.*?)\n'@", source.read_text("ascii"), re.MULTILINE | re.DOTALL)
    return {name: [(key, match) for key, _mark, match in (row.partition(";") for row in rows.splitlines())] for name, rows in found}


def long_key(short: str) -> str:
    """A key of the agent's table in full."""
    if short.startswith("SYS\\"):
        return SYSTEMS_OWN + short[3:]
    for mark, full in _SHORT.items():
        if short.partition("\\")[0] == mark:
            short = full + short[len(mark) :]
    return "HKLM\\" + short


# The usual program and account of a service tell nothing.
USUAL = re.compile(r"%systemroot%\\system32\\svchost\.exe |LocalSystem$", re.IGNORECASE)


def _telling(row: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out of a service what is as nearly everywhere."""
    return {name: value for name, value in row.items() if value and not USUAL.match(str(value))}


class Observer:
    """Reads a host by platform functions alone.

    Args:
        call: ``sim.call``.
    """

    def __init__(self, call: Callable[[str, dict[str, Any]], object]) -> None:
        self._call = call

    def value(self, key: str, name: str) -> Any:
        """A value of the registry, None where it is not there."""
        read = self._call("Read-RegistryKey", {"Key": key})
        if not isinstance(read, dict):
            return None
        return next((value for known, value in read["values"].items() if known.lower() == name.lower()), None)

    def registry(self, section: str) -> dict[str, dict[str, Any]]:
        """The registry's part of a section."""
        part = {}
        for short, match in registry_table().get(section, []):
            read: Any = self._call("Read-RegistryKey", {"Key": long_key(short)})
            if read is None:
                continue
            values: dict[str, Any] = {}
            for name, value in read["values"].items():
                if re.fullmatch(match, name, re.IGNORECASE):
                    kept = re.sub(r"(://)[^/@\s]*@", r"\1", value)[:400] if isinstance(value, str) else value
                    values[name] = len(kept) if isinstance(kept, list) else kept
            if match == "-" or values:
                part[short] = values
        return part

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
        wanted = {*ALWAYS, *asked}
        sections: dict[str, dict[str, Any]] = {}
        for name in SECTIONS:
            if name == "scan":
                later = self._call("Get-ProcessTime", {"Name": ["TiWorker", "msiexec"]})
            if PARTS.get(name, name) in wanted:
                over = (time.monotonic() - started) * 1000 > request.get("budget_ms", 30000)
                sections[name] = self._section(name, {**request, "start_ms": start_ms}, since, over)
        servicing = sections["servicing"]["data"]
        if servicing:
            servicing.update(self._workers_again(servicing["times"], later))
        self._add_old_log(sections, since)
        clock = (sections.get("clock") or {}).get("data")
        if clock:
            clock["end_ms"] = self._call("Get-HostClock", {})
        return {"schema": 1, "op": "observe", "sections": sections}

    def _section(self, name: str, request: Mapping[str, Any], since: int, over: bool) -> dict[str, Any]:
        begin = time.monotonic()
        faults: list[dict[str, Any]] = []
        section: dict[str, Any] = {"data": None}
        try:
            if over:
                raise SimError(0x800705B4, "the time of the look was over", "TimeoutException")
            data = getattr(self, f"look_{name}")(request, since)
            if data is not None:
                faults = data.pop("_faults", [])
                if name in registry_table() and name != "sources":
                    data["registry"] = self.registry(name)
            section["data"] = data
        except SimError as error:
            faults = [fault_of(error)]
        if faults:
            section["faults"] = faults
        section["ms"] = round((time.monotonic() - begin) * 1000)
        return section

    def look_host(self, _request: Mapping[str, Any], _since: int) -> dict[str, Any]:
        session: Any = self._call("Get-SessionFact", {})
        return dict(session)

    def look_fact(self, _request: Mapping[str, Any], _since: int) -> dict[str, Any]:
        fact: Any = self._call("Get-HostFact", {})
        return {name: fact.get(name) for name in ("domain_role", "domain", "boot_time")}

    def look_clock(self, request: Mapping[str, Any], _since: int) -> dict[str, Any]:
        force = {}
        for name in ("Type", "NtpServer"):
            policy = self.value(W32TIME_POLICY + r"\Parameters", name)
            force[name] = str((self.value(W32TIME + r"\Parameters", name) if policy is None else policy) or "")
        ask = [server.split(",")[0] for server in force["NtpServer"].split()] if force["Type"] in ("NTP", "AllSync") else []
        fact: Any = self._call("Get-HostFact", {})
        if force["Type"] in ("NT5DS", "AllSync") and fact["domain_role"] in (1, 3):
            ask.append(fact["domain"])
        sources = []
        for server in list(dict.fromkeys([*ask, *(request.get("servers") or [])]))[:6]:
            try:
                answer: Any = self._call("Invoke-SntpQuery", {"Server": server, "TimeoutMs": request.get("sntp_ms", 1000)})
                sources.append({"server": server, "ok": True, **answer})
            except SimError as error:
                sources.append({"server": server, "ok": False, "error": why_of(error)})
        zone, offset = self._call("Get-TimeZoneId", {}), self._call("Get-UtcOffset", {})
        data = {"start_ms": request["start_ms"], "zone": zone, "utc_offset_s": offset, "sources": sources}
        if not any(row["ok"] for row in sources):
            data |= self._time_status()
        return data

    def _time_status(self) -> dict[str, Any]:
        """W32Time's own word, where no source answered us."""
        asked = {"Channel": "Microsoft-Windows-Time-Service/Operational", "XPath": "*[System[EventID=260]]", "Max": 1, "TimeoutMs": 999}
        try:
            texts: Any = self._call("Read-EventRecord", {**asked, "Oldest": False})
        except SimError:
            return {}
        return {"status": _event(texts[0])} if texts else {}

    def look_services(self, _request: Mapping[str, Any], _since: int) -> dict[str, Any]:
        table: Any = self._call("Get-ServiceTable", {"Name": [*SERVICES, "vmictimesync"]})
        return {"services": {name: _telling(row) for name, row in table.items()}}

    def look_servicing(self, _request: Mapping[str, Any], _since: int) -> dict[str, Any]:
        return {
            "in_progress": self.value(CBS + r"\Interface", "ServicingInProgress"),
            "setup_in_progress": self.value(r"HKLM\SYSTEM\Setup", "SystemSetupInProgress") == 1,
            "upgrade_in_progress": self.value(r"HKLM\SYSTEM\Setup", "UpgradeInProgress") == 1,
            "times": self._call("Get-ProcessTime", {"Name": ["TiWorker", "msiexec", "SetupHost", "setupprep"]}),
        }

    def _workers_again(self, first: Mapping[str, Any], later: object) -> dict[str, Any]:
        """What is asked at the end of a look where a worker was there at its begin."""
        if not {"TiWorker", "msiexec"} & set(first):
            return {}
        tail: Any = self._call("Read-FileTail", {"Path": r"C:\Windows\Logs\CBS\CBS.log", "Bytes": 1})
        now: Any = self._call("Get-HostClock", {})
        return {"later": later, "log_age": None if tail is None else now // 1000 - tail["modified"]}

    def look_reboot(self, _request: Mapping[str, Any], _since: int) -> dict[str, Any]:
        """What strongly asks for a restart, for the model of a change; the wire carries the registry, which tells all."""
        part = self.registry("reboot")
        strong = {
            "cbs_reboot_pending": r"CBS\RebootPending",
            "cbs_reboot_in_progress": r"CBS\RebootInProgress",
            "wu_reboot_required": r"CV\WindowsUpdate\Auto Update\RebootRequired",
            "server_manager": r"MS\ServerManager\CurrentRebootAttempts",
            "netlogon_join": r"CCS\Services\Netlogon",
        }
        keys = [rf"CCS\Control\ComputerName\{key}" for key in ("ActiveComputerName", "ComputerName")]
        names = {str(part.get(key, {}).get("ComputerName")).lower() for key in keys}
        markers = [name for name, key in strong.items() if key in part]
        return {"markers": markers + ["computer_rename"] * (len(names) - 1)}

    def look_policy(self, _request: Mapping[str, Any], _since: int) -> dict[str, Any]:
        tail: Any = self._call("Read-FileTail", {"Path": r"C:\Windows\System32\GroupPolicy\Machine\Registry.pol", "Bytes": 999999})
        damaged = tail is not None and b64decode(tail["bytes"])[:4] != b"PReg"
        return {"pol_damaged": True} if damaged else {}

    def look_history(self, _request: Mapping[str, Any], since: int) -> dict[str, Any]:
        read: Any = self._call("Get-UpdateHistory", {"Max": 300})
        entries = [{key: value for key, value in entry.items() if value not in ([], 0) or key == "result"} for entry in read]
        for entry in entries:
            entry["title"] = middle(entry["title"])
        wanted = [entry for entry in entries if entry["time"] >= since or entry["result"] in (1, 2)]
        return {"entries": telling(wanted, _History(since), 3)}

    def look_events(self, _request: Mapping[str, Any], since: int) -> dict[str, Any] | None:
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(since))
        records: list[dict[str, Any]] = []
        reach: dict[str, dict[str, Any]] = {}
        faults: list[dict[str, Any]] = []
        ends: dict[str, int] = {}
        for channel, provider, ids, calm in EVENTS:
            numbers = " or ".join(f"EventID={number}" for number in ids)
            xpath = f"*[System[Provider[@Name='{provider}'] and ({numbers}) and TimeCreated[@SystemTime>='{at}']]]"
            asked = {"Channel": channel, "TimeoutMs": 3000}
            try:
                if provider == WUC and channel not in reach:
                    first: Any = self._call("Read-EventRecord", {**asked, "XPath": "*", "Max": 1, "Oldest": True})
                    oldest = max(since, _event(first[0])["time"]) if first else None
                    reach[channel] = {"channel": channel, "oldest": oldest, "complete": True}
                texts: Any = self._call("Read-EventRecord", {**asked, "XPath": xpath, "Max": 200})
            except SimError as error:
                if error.hresult & 0xFFFFFFFF == 0x80073A9F:
                    reach.pop(channel, None)
                elif fault_of(error) not in faults:
                    faults.append(fault_of(error))
                continue
            events = [event for text in texts if _ours(event := {**_event(text), "channel": channel})]
            tells = functools.partial(_event_tells, calm, ends)
            if ids == (43, 44):
                events = [event for event in events if not tells(event)[3]]
            records += telling(events, tells, 5)
        if faults and not records:
            raise SimError(faults[0]["code"], faults[0]["why"], faults[0]["type"])
        records.sort(key=lambda record: (record["time"], record["record"]), reverse=True)
        return {"records": records, "reach": list(reach.values()), "_faults": faults}

    def _log(self, path: str, sort: str, request: Mapping[str, Any], since: int) -> dict[str, Any] | None:
        tail: Any = self._call("Read-FileTail", {"Path": path, "Bytes": request.get("log_bytes", 4194304)})
        if tail is None:
            return None
        text = log_text(b64decode(tail["bytes"]))
        floor = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(max(0, since - 86400)))
        first = re.search(r"^(?:\{[^\t]*\t)?(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)", text, re.MULTILINE)
        if sort == "old":
            text = "\n".join(re.findall(r"^.{19}, Error [^\r\n]*", text, re.MULTILINE))
        old = tail["modified"] < since
        return {
            "path": path,
            "size": tail["size"],
            "read": len(b64decode(tail["bytes"])),
            "modified": tail["modified"],
            "oldest": None if first is None or old else max(first[1], floor),
            "kinds": [] if old else group_lines(text, sort, floor),
        }

    def look_reporting(self, request: Mapping[str, Any], since: int) -> dict[str, Any] | None:
        return self._log(r"C:\Windows\SoftwareDistribution\ReportingEvents.log", "reporting", request, since)

    def _add_old_log(self, sections: Mapping[str, dict[str, Any]], since: int) -> None:
        """What CBS.log held before it was rotated, where it is younger than the newest failure."""
        log = (sections.get("cbs") or {}).get("data")
        records = ((sections.get("events") or {}).get("data") or {}).get("records", [])
        failed = next((record["time"] for record in records if record["id"] in (3, 20)), None)
        if failed is None or not log or not log["oldest"]:
            return
        offset: Any = self._call("Get-UtcOffset", {})
        if calendar.timegm(time.strptime(log["oldest"], "%Y-%m-%d %H:%M:%S")) - offset <= failed:
            return
        folder = log["path"].rpartition("\\")[0]
        names: Any = self._call("Get-ChildName", {"Path": folder, "Filter": "CbsPersist_*"})
        if not names or not names[-1].endswith(".log"):
            return
        old = self._log(f"{folder}\\{names[-1]}", "old", {"log_bytes": 1 << 25}, since)
        if old is not None:
            log.update(kinds=old["kinds"] + log["kinds"], oldest=old["oldest"] or log["oldest"])

    def look_cbs(self, request: Mapping[str, Any], since: int) -> dict[str, Any] | None:
        return self._log(r"C:\Windows\Logs\CBS\CBS.log", "cbs", request, since)

    def look_sources(self, request: Mapping[str, Any], _since: int) -> dict[str, Any]:
        asked, scheme = [], ""
        proxies = [self._call("Get-WinHttpProxy", {})]
        for key in (CV, SYSTEMS_OWN):
            if self.value(key + r"\Internet Settings", "ProxyEnable") == 1:
                proxies.append(self.value(key + r"\Internet Settings", "ProxyServer"))
        script = re.match(r"(https?)://([^:/]+)(?::(\d+))?", str(self.value(SYSTEMS_OWN + r"\Internet Settings", "AutoConfigURL") or ""))
        if script:
            asked.append(("pac", script[2], int(script[3] or _PORTS[script[1]])))
        for proxy in dict.fromkeys(proxies):
            # Of several, by protocol, the one for http or https.
            found = re.match(r"(?:.*?https?=)?(?:https?://)?([^:/;=]+)(?::(\d+))?(?:;|$)", str(proxy or ""))
            if found:
                asked.append(("proxy", found[1], int(found[2] or 80)))
        if self.value(WU_POLICY + r"\AU", "UseWUServer") == 1:
            found = re.match(r"(https?)://(?:[^@/]*@)?([^:/]+)(?::(\d+))?", str(self.value(WU_POLICY, "WUServer") or ""))
            if found:
                scheme = found[1]
                asked.append(("wsus", found[2], int(found[3] or _PORTS[found[1]])))
        points = []
        for role, host, port in asked:
            limit = request.get("connect_ms", 1500)
            answer: Any = self._call("Test-TcpConnect", {"Server": host, "Port": port, "TimeoutMs": limit})
            row = {"role": role, "host": host, "port": port, **answer}
            points.append(row)
            if role != "wsus" or not row["ok"] or scheme != "http":
                continue
            url = f"http://{host}{'' if port == 80 else f':{port}'}/ClientWebService/client.asmx"
            try:
                row["status"] = self._call("Get-HttpStatus", {"Url": url, "TimeoutMs": 6000})
            except SimError as error:
                row["error"] = fault_of(error)["why"]
        tail: Any = self._call("Read-FileTail", {"Path": r"C:\Windows\System32\drivers\etc\hosts", "Bytes": 999999})
        if tail is None:
            return {"endpoints": points}
        lines = b64decode(tail["bytes"]).decode().splitlines()
        return {"endpoints": points, "hosts": [line for line in lines if _OF_UPDATES.search(line)][:9]}

    def look_agent(self, _request: Mapping[str, Any], _since: int) -> dict[str, Any]:
        data: dict[str, Any] = {"_faults": []}
        for function in ("Get-UpdateService", "Get-UpdateResult"):
            try:
                answer: Any = self._call(function, {})
                data.update({"services": answer} if function == "Get-UpdateService" else answer)
            except SimError as error:
                if fault_of(error) not in data["_faults"]:
                    data["_faults"].append(fault_of(error))
        return data

    def look_cache(self, _request: Mapping[str, Any], _since: int) -> dict[str, Any]:
        rows = []
        for name, parent in FOLDERS.items():
            path = f"{parent}\\{name}"
            backups = self._call("Get-ChildName", {"Path": parent, "Filter": f"{name}.wu*"})
            row: dict[str, Any] = {"name": name, "path": path, "exists": False, "backups": backups}
            fact: Any = self._call("Get-FolderFact", {"Path": path})
            if fact:
                store = self._call("Get-FileFact", {"Path": path + r"\DataStore\DataStore.edb"})
                row.update(fact, exists=True, store=store)
            elif self._call("Get-FileFact", {"Path": path}):
                row["file"] = True
            rows.append(row)
        return {"folders": rows}

    def look_disk(self, _request: Mapping[str, Any], _since: int) -> dict[str, Any]:
        fact: Any = self._call("Get-DriveFact", {"Drive": "C:"})
        return {"drive": "C:", **fact}

    def look_upgrade(self, request: Mapping[str, Any], since: int) -> dict[str, Any]:
        paths = (r"C:\$WINDOWS.~BT\Sources\Panther", r"C:\$WINDOWS.~BT\Sources\Rollback", r"C:\Windows\Panther")
        logs = [self._log(path + r"\setuperr.log", "setup", request, since) for path in paths]
        return {"logs": [log for log in logs if log]}

    def look_scan(self, _request: Mapping[str, Any], _since: int) -> dict[str, Any]:
        try:
            answer: Any = self._call("Invoke-UpdateSearch", {"Criteria": "IsInstalled=0 and IsHidden=0"})
            data = dict(answer)
        except SimError as error:
            if error.hresult & 0xFFFFFFFF == 0x80070005 or error.kind != "COMException":
                raise
            data = {"hresult": error.hresult}
        data["updates"] = [{**update, "title": middle(update["title"])} for update in data.get("updates") or []]
        return data


def why_of(error: SimError) -> str:
    """What a failure says, and its code, where it is one of Windows and not of .NET (0x8013....)."""
    if error.hresult >> 16 & 0xFFFF == 0x8013:
        return " ".join(error.message.split())[:180]
    return f"{' '.join(error.message.split())[:180]} (0x{error.hresult & 0xFFFFFFFF:08X})"


def fault_of(error: SimError) -> dict[str, Any]:
    """A failure as the agent sends it."""
    return {"type": error.kind, "code": error.hresult, "why": why_of(error)}


def update_name(title: str, update: str) -> str:
    """By what a success overtakes a failure: the KB, else the update's own id."""
    found = re.search(r"KB\d{6,7}", title, re.IGNORECASE)
    return found[0] if found else update


class _History:
    """What entries of the history tell, newest first: an installation ends the failures that come after it here."""

    def __init__(self, since: int) -> None:
        self._since = since
        self._good: set[str] = set()

    def __call__(self, entry: dict[str, Any]) -> Tells:
        failed = entry["result"] not in (1, 2)
        more = entry.get("hresult") if failed else f"{entry.get('service')} {entry.get('classes')}"
        # Of what is old the newest of each group that went well.
        name = update_name(entry["title"], entry["update_id"]) if entry["time"] >= self._since else ""
        ended = name in self._good
        if not failed and name and entry["operation"] == 1:
            self._good.add(name)
        return failed, f"{entry['operation']} {entry['result']} {more}", name, ended


def _service(event: dict[str, Any]) -> str:
    data = event["data"]
    named = [value for value in data.values() if value.lower() in [name.lower() for name in SERVICES]]
    return str(data.get("service") or (named[0] if named and event["provider"] == SCM else ""))


def _ours(event: dict[str, Any]) -> bool:
    service = _service(event)
    return event["provider"] != SCM or not service or service.lower() in [name.lower() for name in SERVICES]


def _about(event: dict[str, Any]) -> tuple[str, str]:
    """The update of an event, and what a success of the same ends: for a search the service that was asked."""
    data = event["data"]
    title = " ".join(value for name, value in data.items() if re.search(r"title$|updatelist|identifier$", name, re.IGNORECASE))
    update = update_name(title, data.get("updateGuid", ""))
    asked = data.get("serviceGuid") if event["id"] in (25, 26) else ""
    return update, f"{event['channel']} {update}{asked}"


def _event_tells(calm: Iterable[int], ends: dict[str, int], event: dict[str, Any]) -> Tells:
    data = event["data"]
    update, about = _about(event)
    failed = event["id"] not in calm
    if not failed and (update or event["id"] == 26):
        ends.setdefault(about, event["record"])
    codes = [value for value in data.values() if value.startswith("%%")]
    group = f"{event['id']} {_service(event)} {data.get('serviceGuid')} {data.get('errorCode')} {codes}"
    return failed, group, update, event["record"] <= ends.get(about, 0)


def middle(text: str) -> str:
    """A title without its middle: it ends with its KB and build."""
    return re.sub(r"(?s)^(.{70}(?>B?\d{0,7})).{9,}(.{46})$", r"\1...\2", text)


def telling(items: list[dict[str, Any]], tells: Callable[[dict[str, Any]], Tells], extra: int = 0) -> list[dict[str, Any]]:
    """Of items, newest first, what the agent keeps of them where there is room.

    Args:
        tells: whether the item is a failure, its group, its update, and whether a success has ended it.
        extra: how many more KBs of calm items.
    """
    told: list[tuple[dict[str, Any], bool, str, str]] = []
    rows: dict[tuple[str, ...], dict[str, Any]] = {}
    left = extra
    for given in items:
        failed, group, update, ended = tells(given)
        if failed and not ended:
            left = 1000
        alike = (update,) if ended and update else (group, update, str(ended))
        row = rows.get(alike) if failed else None
        if row is None:
            row = dict(given)
            told.append((row, failed, group, update))
            if failed:
                rows[alike] = row
        elif not ended:
            row.update(first=given["time"], count=(row.get("count") or 1) + 1)
    sick = {update for _item, failed, _group, update in told if failed}
    groups: Counter[str] = Counter()
    ranks: Counter[tuple[str, str]] = Counter()
    kept = []
    for item, failed, group, update in told:
        groups[group] += 1
        ranks[group, update] += 1
        rank = ranks[group, update]
        keep = failed or (rank == 1 and (groups[group] == 1 or update in sick - {""}))
        if not keep and rank == 1 and update.upper().startswith("KB") and left:
            keep, left = True, left - 1
        if keep:
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
            content = (element.text or "").strip()
            if len(element) == 0 and element.tag == "Binary":
                data["service"] = bytes.fromhex(content).decode("utf-16-le").partition("\0")[0]
            elif len(element) == 0 and content and element.get("Name") != "updateRevisionNumber":
                data[element.get("Name") or element.tag] = middle(content)
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
    r"\{[^}\t]*\}\t(?P<time>[^\t]*)\t[^\t]*\t(?P<event>\d+)[^\t]*\t[^\t]*\t(?P<update>[^\t]*)\t[^\t]*\t(?P<code>[0-9a-f]+)"
    r"\t(?P<caller>[^\t]*)\t[^\t]*\t[^\t]*\t(?P<message>[^\t]*)",
    re.IGNORECASE,
)
_CODE = re.compile(
    r"0x[8c][0-9a-f]{7}(?![0-9a-f])|(?:HRESULT|error|\(F\)|hr|Result)[ =:[]{1,4}[8c][0-9a-f]{7}(?![0-9a-f])",
    re.IGNORECASE,
)
_MARK = re.compile(
    r"\[SR\] (?!Verifying|Verify complete|Beginning|This component was)|Corrupt|CSI Payload|CSI Manifest"
    r"|Repair(?:ed|ing)? (?:f(?:ailed|ile)|complete|\d)|Exec: Processing complete|Total Detected|\(Fixed\)|Checking System Update Readiness"
    r"|CheckSur|Operation result|Hydration failed|rollback|PANIC|fatal error|Error \S+ originated|result [^0], inf"
    r"|\\(?:WinSxS|servicing)\\.{9,500}=0xd",
    re.IGNORECASE,
)
_NOISE = re.compile(
    r"^\S+ [\d:]+, \w+ +|'[^']*'|\"[^\"]*\"|\S*[\\~]\S*|\[[^\]]*\]|\b(?:0x)?[0-9a-f]*\d[0-9a-f]*\b|\W+", re.IGNORECASE
)


def log_text(data: bytes) -> str:
    """A log's text, whatever it is written in."""
    wide = data[1:4096:2].count(0) > len(data[:4096]) / 4
    return data.decode("utf-16-le" if wide else "utf-8", "replace").lstrip("\ufeff")


def _kind(line: str, sort: str, ends: Counter[str]) -> tuple[str, str, tuple[bool, str, str, int]] | None:
    """What makes a line alike to others, its time, and what it tells; None where it does not matter.

    Told last is after how many successes of its update it stands.
    """
    if sort == "reporting":
        match = _REPORTING.match(line)
        if not match:
            return None
        update = match["update"]
        group = f"{match['event']} {match['caller']}{update if match['event'] in ('147', '148') else ''}"
        name = update_name(match["message"], update)
        failed = match["code"].strip("0") != ""
        if not failed and match["event"] not in ("162", "167", "181"):
            ends[name] += 1
        kind = f"{match['code']} {group} {name}"
        if not failed:
            return kind, match["time"], (False, group, name, ends[name])
        return f"{kind} {ends[name]}", match["time"], (True, kind, name, ends[name])
    code = _CODE.search(line)
    if not code and not _MARK.search(line) and not (sort == "setup" and ", Error " in line):
        return None
    kind = f"{code[0] if code else ''} {_NOISE.sub(' ', line)[:48]}".strip()
    return kind, line, (True, kind, "", 0)


def _long(line: str) -> int:
    """How much of a line is told: up to where its code ends."""
    code = _CODE.search(line)
    return max(300, min(400, code.end())) if code else 300


def group_lines(text: str, sort: str, floor: str) -> list[dict[str, Any]]:
    """Group the lines of a log that may matter into kinds, in order of their last line."""
    kinds: dict[str, dict[str, Any]] = {}
    told: dict[str, tuple[bool, str, str, int]] = {}
    ends: Counter[str] = Counter()
    for raw in text.splitlines():
        line = raw.rstrip()
        found = _kind(line, sort, ends)
        if found is None or (re.match(r"\d{4}-", found[1]) and found[1][:19] < floor):
            continue
        kind, at, tells = found
        row = kinds.pop(kind, {"count": 0, "first": at[:28] if sort == "reporting" else at[:19], "kind": kind})
        if sort == "reporting":
            line = "\t" + "\t".join(line.split("\t")[1:12])
        row.update(count=row["count"] + 1, last=line[: 262 if sort == "reporting" else _long(line)])
        kinds[kind] = row
        told[kind] = tells

    def tells_of(row: dict[str, Any]) -> Tells:
        failed, group, name, place = told[row["kind"]]
        return failed, group, name, place < ends[name]

    kept = telling(list(kinds.values())[::-1], tells_of)
    several = {row["kind"] for row in kept if row["count"] > 1 and told[row["kind"]][0]}
    counted = [{"count": row["count"], "first": row["first"]} if row["kind"] in several else {} for row in kept]
    return [{"last": row["last"], **more} for row, more in zip(kept, counted, strict=True)][::-1]
