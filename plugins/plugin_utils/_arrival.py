# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: what the agent sends, as the evidence that the core reads.

Each byte of the agent crosses the wire for every look, so a host sends what it read as it is: values of the registry under the names of its
own table, the service table, and faults by their type. What they mean is decided here, before the field table of `evidence` checks it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

Registry = Mapping[str, Mapping[str, Any]]

_ACCESS_DENIED = 0x80070005
# Keys as the agent's own table writes them: CBS, CV, MS, POL, CCS stand for the beginnings of paths below HKLM.
_MARKERS = {
    "CBS\\RebootPending": "cbs_reboot_pending",
    "CBS\\RebootInProgress": "cbs_reboot_in_progress",
    "CBS\\PackagesPending": "cbs_packages_pending",
    "CV\\WindowsUpdate\\Auto Update\\RebootRequired": "wu_reboot_required",
    "CV\\WindowsUpdate\\Auto Update\\PostRebootReporting": "wu_post_reboot_reporting",
    "CV\\WindowsUpdate\\Services\\Pending": "wu_services_pending",
    "CV\\RunOnce": "dvd_reboot_signal",
    "MS\\ServerManager\\CurrentRebootAttempts": "server_manager",
    "MS\\ServerManager\\ServicingStorage\\ServerComponentCache": "server_manager",
    "MS\\Updates": "update_exe_volatile",
    "CCS\\Services\\Netlogon": "netlogon_join",
    "CCS\\Control\\Session Manager": "file_renames",
}
_POLICIES = {
    "wu": ("POL\\Windows\\WindowsUpdate",),
    "au": ("POL\\Windows\\WindowsUpdate\\AU",),
    "user": ("CV\\Policies\\WindowsUpdate", "CV\\Policies\\Explorer"),
    "ux": ("MS\\WindowsUpdate\\UX\\Settings",),
    "mdm": ("MS\\PolicyManager\\current\\device\\Update",),
    "servicing": ("CV\\Policies\\Servicing",),
}
# Gathered apart, because what answers may hang.
_PARTS = {"fact": "host", "agent": "sources"}
_PRODUCTS = {"WinNT": "client", "ServerNT": "server", "LanmanNT": "domain_controller"}


def bare(value: object) -> object:
    """Take ConvertTo-Json's wrapping of arrays away, at any depth.

    Windows PowerShell 5.1 writes an array that it holds as a PSObject as `{"value": [...], "Count": n}`.
    """
    if isinstance(value, Mapping):
        if set(value) == {"value", "Count"} and isinstance(value["value"], list):
            return [bare(item) for item in value["value"]]
        return {key: bare(item) for key, item in value.items()}
    return [bare(item) for item in value] if isinstance(value, list) else value


def complete(sections: object, services: Iterable[str]) -> object:
    """Turn the sections of a reply into sections of evidence; what is not a section is left for the check to refuse.

    Args:
        sections: `sections` of a reply, untrusted.
        services: the names of the services that a look asks for.
    """
    sections = bare(sections)
    if not isinstance(sections, Mapping):
        return sections
    return {name: _section(name, section, services) for name, section in _joined(sections).items()}


def _joined(sections: Mapping[Any, Any]) -> dict[Any, Any]:
    """Make parts one with their sections."""
    whole = dict(sections)
    for part, name in _PARTS.items():
        more, section = whole.get(part), whole.get(name)
        if isinstance(more, Mapping) and isinstance(section, Mapping):
            del whole[part]
            own, added = section.get("data"), more.get("data")
            data = {**added, **(own or {})} if isinstance(added, Mapping) and isinstance(own, (Mapping, type(None))) else own
            faults = [fault for one in (section, more) if isinstance(one.get("faults"), (list, tuple)) for fault in one["faults"]]
            whole[name] = {**section, "data": data, "faults": faults}
    return whole


def _section(name: object, section: object, services: Iterable[str]) -> object:
    if not isinstance(section, Mapping):
        return section
    data = section.get("data")
    if isinstance(data, Mapping):
        data = _data(name, dict(data), services)
    result = {**section, "data": data}
    if "status" not in section:
        faults = section.get("faults") or ()
        found = [fault for fault in faults if isinstance(fault, Mapping)] if isinstance(faults, (list, tuple)) else []
        result["status"] = ("partial" if found else "ok") if data is not None else _status(found[0]) if found else "absent"
        result["why"] = "; ".join(dict.fromkeys(str(fault.get("why") or "")[:300] for fault in found))[:300] or None
    return result


def _status(fault: Mapping[str, Any]) -> str:
    kind, code = str(fault.get("type") or "")[:100], fault.get("code")
    denied = isinstance(code, int) and code & 0xFFFFFFFF == _ACCESS_DENIED
    if denied or kind.startswith(("UnauthorizedAccessException", "SecurityException")) or "AccessDenied" in kind:
        return "denied"
    if kind.split(" ", maxsplit=1)[0].endswith("NotFoundException"):
        return "absent"
    return "timeout" if kind.startswith("TimeoutException") else "failed"


def _data(name: object, data: dict[str, Any], services: Iterable[str]) -> dict[str, Any]:
    if name == "services" and isinstance(data.get("services"), Mapping):
        table = data["services"]
        data["services"] = [_service(one, table.get(one)) for one in services]
    if name == "cache" and isinstance(data.get("folders"), (list, tuple)):
        data["folders"] = [_folder(row) for row in data["folders"]]
    registry = data.pop("registry", None)
    make = _OF_REGISTRY.get(str(name))
    if make is None or not isinstance(registry, Mapping):
        return data
    tables = {str(key): dict(values) for key, values in registry.items() if isinstance(values, Mapping)}
    return {**data, **make(tables, data)}


def _service(name: str, row: object) -> dict[str, Any]:
    nothing: dict[str, Any] = {"start": None, "delayed": False, "state": None, "dependents": []}
    known = row if isinstance(row, Mapping) else {}
    return {"name": name, "exists": isinstance(row, Mapping), **nothing, **known}


def _folder(row: object) -> object:
    if not isinstance(row, Mapping) or "store" not in row:
        return row
    file, found = row["store"], {key: value for key, value in row.items() if key != "store"}
    if row.get("name") != "SoftwareDistribution":
        return found
    return {**found, "data_store": file is not None, "data_store_created": file.get("created") if isinstance(file, Mapping) else None}


def _value(registry: Registry, table: str, name: str) -> Any:
    """A value by its name, which Windows compares without case."""
    return next((value for known, value in registry.get(table, {}).items() if str(known).lower() == name.lower()), None)


def _number(value: object) -> object:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10 else value


def _host(registry: Registry, data: Mapping[str, Any]) -> dict[str, Any]:
    member = data.get("domain_role") in (1, 3, 4, 5)
    return {
        "build": _number(_value(registry, r"MS\Windows NT\CurrentVersion", "CurrentBuildNumber")),
        "revision": _value(registry, r"MS\Windows NT\CurrentVersion", "UBR"),
        "edition": _value(registry, r"MS\Windows NT\CurrentVersion", "EditionID"),
        "product_type": _PRODUCTS.get(str(_value(registry, r"CCS\Control\ProductOptions", "ProductType"))),
        "domain": _value(registry, r"CCS\Services\Tcpip\Parameters", "Domain") if member else None,
    }


def _clock(registry: Registry, _data: Mapping[str, Any]) -> dict[str, Any]:
    set_, force = {}, {}
    for name, table in (
        ("Type", "Parameters"), ("NtpServer", "Parameters"), ("MaxPosPhaseCorrection", "Config"), ("MaxNegPhaseCorrection", "Config"),
        ("Enabled", r"TimeProviders\NtpClient"),
    ):  # fmt: skip
        policy = _value(registry, f"POL\\W32Time\\{table}", name)
        force[name] = _value(registry, f"CCS\\Services\\W32Time\\{table}", name) if policy is None else policy
        if policy is not None and name != "Enabled":
            set_[name] = policy
    return {
        "type": force["Type"],
        "servers": str(force["NtpServer"] or "").split(),
        "policy": set_,
        "max_pos": force["MaxPosPhaseCorrection"],
        "max_neg": force["MaxNegPhaseCorrection"],
        "client_enabled": force["Enabled"],
    }


def _servicing(registry: Registry, _data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "in_progress": _value(registry, r"CBS\Interface", "ServicingInProgress"),
        "sessions_pending": _value(registry, r"CBS\SessionsPending", "#"),
        "installer_in_progress": r"CV\Installer\InProgress" in registry,
        "setup_in_progress": _value(registry, r"SYSTEM\Setup", "SystemSetupInProgress") == 1,
        "upgrade_in_progress": _value(registry, r"SYSTEM\Setup", "UpgradeInProgress") == 1,
    }


def _is_sign(table: Mapping[str, Any] | None) -> bool:
    """A key that is there, or a value of it that is not 0."""
    return table is not None and (not table or any(str(value) != "0" for value in table.values()))


def _reboot(registry: Registry, _data: Mapping[str, Any]) -> dict[str, Any]:
    markers = {name for key, name in _MARKERS.items() if _is_sign(registry.get(key))}
    active, name = (
        _value(registry, rf"CCS\Control\ComputerName\{key}", "ComputerName") for key in ("ActiveComputerName", "ComputerName")
    )
    if active and str(active).lower() != str(name).lower():
        markers.add("computer_rename")
    # Pairs of source and target.
    counts = [count for count in registry.get(r"CCS\Control\Session Manager", {}).values() if isinstance(count, int)]
    return {"markers": sorted(markers), "file_renames": sum((count + 1) // 2 for count in counts)}


def _policy(registry: Registry, _data: Mapping[str, Any]) -> dict[str, Any]:
    tables: dict[str, Any] = {
        name: {value: data for key in keys for value, data in registry.get(key, {}).items()} for name, keys in _POLICIES.items()
    }
    wins = _value(registry, r"MS\PolicyManager\current\device\ControlPolicyConflict", "MDMWinsOverGP")
    return {**tables, "mdm_wins": wins, "configmgr": r"CCS\Services\CcmExec" in registry}


def _upgrade(registry: Registry, _data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "osupgrade": registry.get(r"CV\WindowsUpdate\OSUpgrade", {}),
        "box_result": _value(registry, r"SYSTEM\Setup\MoSetup\Volatile", "BoxResult"),
        "failure_count": _value(registry, r"SYSTEM\Setup\MoSetup\Tracking", "FailureCount"),
        "install_attempts": _value(registry, r"SYSTEM\Setup\MoSetup\Tracking", "InstallAttempts"),
        "setupdiag": registry.get(r"SYSTEM\Setup\SetupDiag\Results")
        or registry.get(r"SYSTEM\Setup\MoSetup\Volatile\SetupDiag"),
    }


_OF_REGISTRY: dict[str, Callable[[Registry, Mapping[str, Any]], dict[str, Any]]] = {
    "host": _host,
    "clock": _clock,
    "servicing": _servicing,
    "reboot": _reboot,
    "policy": _policy,
    "upgrade": _upgrade,
}
