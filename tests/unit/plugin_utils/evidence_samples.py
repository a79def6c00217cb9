# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An evidence document that uses every field, one of the first release, and a reply as an agent sends it."""

from __future__ import annotations

from typing import Any

NOW = 1763900001
UPDATE = "c7b927c8-6b48-4e6d-8c0b-8f0da7ed9959"
WINDOWS_UPDATE = "9482f4b4-e343-43b6-b170-9a65bc822c77"
SECURITY = "0fa1201d-4330-4fa8-8ae9-b877473b6441"
WUC = "Microsoft-Windows-WindowsUpdateClient"
TLS = r"CCS\Control\SecurityProviders\SCHANNEL\Protocols\TLS 1.2\Client"


def section(data: object, status: str = "ok", why: str | None = None) -> dict[str, Any]:
    """A section in the form of the contract."""
    return {"status": status, "ms": 3, "why": why, "data": data}


def log(last: str, path: str = "C:\\Windows\\x.log") -> dict[str, Any]:
    """The tail of a log with two kinds, the newest last."""
    return {
        "path": path, "size": 9000, "read": 9000, "modified": NOW, "oldest": "2025-10-01 08:00:00",
        "kinds": [
            {"last": "2025-11-20 12:00:00, Info                  CBS    older", "count": 1},
            {"last": last, "count": 3, "first": "2025-11-21 12:00:00"},
        ],
    }  # fmt: skip


def document() -> dict[str, Any]:
    """Every section, every field."""
    return {
        "schema": 1,
        "taken": {"asked_ms": 1763900000123, "answered_ms": 1763900001456},
        "sections": {
            "host": section({
                "build": 20348, "revision": 1, "edition": "ServerStandard", "product_type": "server", "domain_role": 3,
                "domain": "corp.example", "ps_version": "5.1.20348.1", "language_mode": "FullLanguage",
                "elevated": True, "is_64bit": True, "boot_time": NOW - 86400}),
            "clock": section({
                "start_ms": 1763900000500, "end_ms": 1763900001300, "zone": "UTC", "utc_offset_s": 3600, "type": "NTP",
                "servers": ["time.windows.com,0x9"], "policy": {"Type": "NTP"}, "max_pos": 54000, "max_neg": 4294967295,
                "client_enabled": 1, "max_slew": 300, "max_poll": 15, "special_poll": 3600, "seeding": 1, "hypervisor": 1,
                "status": {"time": NOW - 60, "leap": 0, "stratum": 4, "reference": "0x0A000001", "source": "dc1", "poll": 10, "since_s": 5},
                "sources": [{"server": "t", "ok": True, "offset_ms": -3, "error": None}]}),
            "services": section({"services": [
                {"name": "wuauserv", "exists": True, "start": 3, "delayed": False, "state": "stopped", "trigger": True,
                 "image_path": "%systemroot%\\system32\\svchost.exe -k netsvcs -p", "service_dll": "%systemroot%\\system32\\wuaueng.dll",
                 "account": "LocalSystem", "dll_missing": False, "dependents": ["UsoSvc"]},
                {"name": "msiserver", "exists": False, "start": None, "delayed": None, "state": None, "dependents": []}]}),
            "history": section({"entries": [
                {"time": NOW - 5, "operation": 1, "result": 2, "hresult": 0, "title": "B (KB5005565)", "update_id": ""},
                {"time": NOW - 9, "operation": 1, "result": 4, "hresult": -2147024894, "title": "A", "update_id": UPDATE,
                 "service": WINDOWS_UPDATE, "caller": "UpdateOrchestrator", "classes": [SECURITY], "count": 3, "first": NOW - 7000}]}),
            "events": section({
                "records": [
                    {"provider": "Service Control Manager", "id": 7023, "channel": "System", "time": NOW, "record": 8,
                     "data": {"param1": "Windows Update", "param2": "%%1058"}},
                    {"provider": WUC, "id": 20, "time": NOW - 8, "record": 7, "data": {"errorCode": "0x80240017"},
                     "count": 2, "first": NOW - 99}],
                "reach": [{"channel": "System", "oldest": NOW - 86400, "complete": True}]}),
            "reporting": section(log("{36DB1E9D}\t2025-11-23 12:00:00:279+0000\t1\t148 [AGENT_DETECTION_FAILED]\t\tx")),
            "cbs": section(log("2025-11-23 12:00:00, Info                  CSI    [SR] Cannot repair"), "partial", "cut to fit"),
            "servicing": section({
                "in_progress": 0, "processes": [{"name": "TiWorker", "busy_ms": 120}], "log_age": 4, "installer_in_progress": False,
                "setup_in_progress": False, "upgrade_in_progress": False, "exclusive": 1}),
            "reboot": section({"markers": ["cbs_reboot_pending"]}),
            "policy": section({
                "wu": {"WUServer": "http://w:8530", "UseWUServer": 1}, "au": {}, "user": {}, "ux": {}, "mdm": {"x": None},
                "mdm_wins": None, "servicing": {}, "tls": {"Enabled": 0}, "configmgr": False, "sus_client_id": UPDATE,
                "protocols": 0x800, "pol_damaged": False}),
            "sources": section({
                "services": [{"id": WINDOWS_UPDATE, "default": True, "managed": False}],
                "last_search": NOW - 100, "last_install": None,
                "endpoints": [{"role": "wsus", "host": "w", "port": 8530, "ok": False, "status": 503, "error": "refused"}],
                "hosts": ["0.0.0.0 download.windowsupdate.com"]}),
            "cache": section({"folders": [
                {"name": "SoftwareDistribution", "exists": True, "path": "C:\\x", "reparse": False, "file": False, "created": NOW - 9,
                 "data_store": True, "data_store_created": NOW - 9,
                 "backups": ["SoftwareDistribution.wu-t68n42b0"]}]}),
            "disk": section({"drive": "C:", "free": 1 << 34}),
            "upgrade": section({
                "osupgrade": {"AllowOSUpgrade": 1}, "box_result": 0x80070005,
                "setupdiag": {"ProfileName": "FindRollbackFailure"}, "logs": [log("2025-11-23 12:00:00, Error  MOUPG  0xC1900101")]}),
            "scan": section({
                "result": 3, "hresult": 0, "count": 1, "warnings": [-2147024894],
                "updates": [{"title": "B (KB5005565)", "kb": ["KB5005565"], "id": UPDATE, "classes": [SECURITY]}]}),
        },
    }  # fmt: skip


def first_release() -> dict[str, Any]:
    """What the first release wrote: a section and fields that are gone, none of those that are new."""
    return {
        "schema": 1,
        "taken": {"asked_ms": 1763900000123, "answered_ms": 1763900001456},
        "sections": {
            "host": section({"build": 19045, "elevated": True, "boot_time": NOW - 9, "uptime_s": 9}),
            "history": section({"entries": [
                {"time": NOW - 9, "operation": 1, "result": 4, "hresult": -2147024894, "title": "A", "update_id": UPDATE, "client": "x"}]}),
            "events": section({"records": [{"channel": "System", "provider": WUC, "id": 20, "time": NOW, "record": 7, "data": {}}]}),
            "cbs": section({"path": "C:\\x", "size": 1, "read": 1, "modified": NOW, "kinds": [
                {"kind": "x", "count": 2, "first": "", "last": "2025-11-23 12:00:00, Info  CSI  x"}]}, "partial", "cut to fit"),
            "sources": section({"services": None, "last_search": NOW - 100, "last_install": None, "endpoints": []}),
            "runs": section({"folders": ["20251124T160002Z-1a2b3c"]}),
        },
    }  # fmt: skip


def raw(data: object, *faults: dict[str, Any]) -> dict[str, Any]:
    """A section as an agent sends it."""
    sent: dict[str, Any] = {"ms": 3, "data": data}
    if faults:
        sent["faults"] = list(faults)
    return sent


def reply() -> dict[str, Any]:
    """A reply as an agent sends it: values of the registry, parts of sections, faults by their type."""
    row = {"start": 3, "delayed": False, "state": "stopped", "dependents": [], "trigger": True}
    own = document()["sections"]
    time = r"CCS\Services\W32Time"
    return {
        "schema": 1,
        "op": "observe",
        "sections": {
            "host": raw({"elevated": True, "registry": {
                r"MS\Windows NT\CurrentVersion": {"CurrentBuildNumber": "19045", "UBR": 4780, "EditionID": "Professional"},
                r"CCS\Control\ProductOptions": {"ProductType": "WinNT"}}}),
            "fact": raw({"domain_role": 1, "domain": "corp.example", "boot_time": NOW - 86400}),
            "clock": raw({"start_ms": 1763900000500, "end_ms": 1763900001300, "zone": "UTC", "utc_offset_s": 0, "sources": [], "registry": {
                time + r"\Parameters": {"Type": "NTP", "NtpServer": "a,0x9 b"}, time + r"\TimeProviders\NtpClient": {"Enabled": 1},
                time + r"\Config": {"MaxPosPhaseCorrection": 54000, "MaxNegPhaseCorrection": 54000}}}),
            "services": raw({"services": {name: dict(row) for name in ("wuauserv", "BITS", "CryptSvc", "W32Time")}}),
            "servicing": raw({"times": {}, "registry": {
                r"CBS\Interface": {"ServicingInProgress": 0}, r"SYSTEM\Setup": {"SystemSetupInProgress": 0, "UpgradeInProgress": 0}}}),
            "reboot": raw({"registry": {
                r"CCS\Control\ComputerName\ActiveComputerName": {"ComputerName": "A"}}}),
            "policy": raw({"registry": {
                r"POL\Windows\WindowsUpdate": {"WUServer": "http://w:8530"}, r"POL\Windows\WindowsUpdate\AU": {"UseWUServer": 1},
                r"MS\PolicyManager\current\device\ControlPolicyConflict": {"MDMWinsOverGP": 1}, TLS: {"Enabled": 0},
                r"CV\WindowsUpdate": {"SusClientId": UPDATE}}}),
            "sources": raw({"endpoints": []}),
            "agent": raw({"services": [], "last_search": NOW - 100, "last_install": None}),
            "cache": raw({"folders": [
                {"name": "SoftwareDistribution", "exists": True, "path": "C:\\x", "backups": [], "store": {"created": NOW - 9, "size": 7},
                 "created": NOW - 9, "reparse": False, "file": False}]}),
            "upgrade": raw({"logs": [], "registry": {
                r"CV\WindowsUpdate\OSUpgrade": {"AllowOSUpgrade": 1}, r"SYSTEM\Setup\MoSetup\Volatile": {"BoxResult": 0x80070005}}}),
            "events": raw(own["events"]["data"], {"type": "TimeoutException ", "code": None, "why": "Setup: no answer in time"}),
            "history": raw(None, {"type": "COMException ", "code": -2145124329, "why": "x"}),
            "cbs": raw(own["cbs"]["data"], {"type": "Cut", "why": "cut to fit"}),
            "reporting": raw(None),
            "disk": raw({"drive": "C:", "free": 1 << 34}),
            "scan": raw(own["scan"]["data"]),
        },
    }  # fmt: skip
