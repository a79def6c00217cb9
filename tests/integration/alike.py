# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What must be the same whichever way a host is played: evidence, report row and end state, without what time and place change."""

from __future__ import annotations

import json
import re
from collections.abc import Container
from pathlib import Path
from typing import Any

from lab.fleet import Fleet

# A run in full, and as the ending of what it sets aside.
RUN_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}|(?<=\.wu-)[0-9a-z]{8}\b")

# What a backend cannot play as the others do, and why. Everything else must be equal.
APART = {
    "host.ps_version": "each PowerShell has its own",
    "host.uptime_s": "runs on between two looks",
    "cache.bytes": "an event log line more or less",
    "cache.created": "Wine shows a folder's last change as its creation time",
    "cache.data_store_created": "Wine shows a file's last change as its creation time",
    "reporting.size": "an event log line more or less",
    "reporting.read": "an event log line more or less",
    "disk.free": "Wine's disk is the machine's",
}
TIMES = re.compile(
    r"^(time|first|log_age|boot_time|start_ms|end_ms|modified|created|last_search|last_install|offset_ms|ms|seconds|record|oldest)$|_ms$"
)
# What the modules of this collection may change, read through the platform's own functions on every backend.
SERVICES = ["wuauserv", "BITS", "CryptSvc", "UsoSvc", "DoSvc", "W32Time", "TrustedInstaller", "msiserver", "wlidsvc"]
KEYS = [
    "HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\WindowsUpdate\\OSUpgrade",
    "HKLM\\SYSTEM\\CurrentControlSet\\Services\\W32Time\\Parameters",
]
VALUES = ("AllowOSUpgrade", "Type", "NtpServer")
FOLDERS = {"C:\\Windows": "SoftwareDistribution*", "C:\\Windows\\System32": "catroot2*"}


def evidence(path: Path) -> dict[str, Any]:
    """Read the sections of a saved look."""
    sections = json.loads(path.read_text("utf-8"))["sections"]
    return {name: {"status": section["status"], "data": _plain(name, section["data"])} for name, section in sections.items()}


def without(section: str, shown: dict[str, Any], apart: Container[str]) -> dict[str, Any]:
    """Leave out of a section what is named as apart, what one backend alone cannot play."""
    data = shown["data"]
    return {**shown, "data": data and {name: value for name, value in data.items() if f"{section}.{name}" not in apart}}


def row(shown: dict[str, Any]) -> dict[str, Any]:
    """Return what a report row says of a host."""
    return {key: shown[key] for key in ("was", "why", "did", "now", "changed")}


def end(fleet: Fleet, name: str) -> dict[str, Any]:
    """Return the state of a host as far as the modules may change it."""
    call: Any = fleet.sim(name).call
    table = call("Get-ServiceTable", {"Name": SERVICES})
    keys = {key: (call("Read-RegistryKey", {"Key": key}) or {}).get("values") or {} for key in KEYS}
    return {
        "services": {service.lower(): (found["start"], found["state"]) for service, found in table.items()},
        "registry": {key: {value: data for value, data in values.items() if value in VALUES} for key, values in keys.items()},
        "folders": {
            path: sorted(RUN_ID.sub("RUN", item) for item in call("Get-ChildName", {"Path": path, "Filter": pattern}))
            for path, pattern in FOLDERS.items()
        },
    }


def _plain(section: str, value: Any, key: str = "") -> Any:
    """A section without what time and place make different; lists of rows in one order."""
    if isinstance(value, dict):
        return {
            name: _plain(section, item, name)
            for name, item in sorted(value.items())
            # null says that something is not there, as a name that is missing does.
            if item is not None and not TIMES.search(name) and f"{section}.{name}" not in APART
        }
    if isinstance(value, list):
        return sorted((_plain(section, item, key) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
    if isinstance(value, str):
        if key == "path":
            # Wine spells it windows.
            return value.lower()
        # Times inside lines of logs and events.
        return re.sub(r"\d{4}-\d\d-\d\d[ T][\d:.,]+(Z|[+-]\d{4})?", "TIME", value)
    return value
