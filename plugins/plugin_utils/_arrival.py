# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: what the agent sends, as the evidence that the core reads.

Each byte of the agent crosses the wire for every look, so a host sends what it read as it is: values of the registry under the names of its
own table, the service table, and faults by their type. What they mean is decided here, before the fields are checked. A value of the wrong
type is passed on as it is, for that check to name it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .fields import CUT, LOST

Registry = Mapping[str, Mapping[str, Any]]

_ACCESS_DENIED = 0x80070005
_MOST_DEPTH = 64
_MOST_WHY = 300
# Keys as the agent's own table writes them: CBS, CV, MS, POL, CCS stand for the beginnings of paths below HKLM.
_VERSION = r"MS\Windows NT\CurrentVersion"
_MARKERS = {
    r"CBS\RebootPending": "cbs_reboot_pending",
    r"CBS\RebootInProgress": "cbs_reboot_in_progress",
    r"CV\WindowsUpdate\Auto Update\RebootRequired": "wu_reboot_required",
    r"MS\ServerManager\CurrentRebootAttempts": "server_manager",
    r"MS\ServerManager\ServicingStorage\ServerComponentCache": "server_manager",
    r"CCS\Services\Netlogon": "netlogon_join",
}
_POLICIES = {
    "wu": (r"POL\Windows\WindowsUpdate", r"POL\Windows\DeliveryOptimization"),
    "au": (r"POL\Windows\WindowsUpdate\AU",),
    "user": (r"CV\Policies\WindowsUpdate", r"CV\Policies\Explorer"),
    "ux": (r"MS\WindowsUpdate\UX\Settings",),
    "mdm": (r"MS\PolicyManager\current\device\Update", r"MS\PolicyManager\current\device\DeliveryOptimization"),
    "servicing": (r"CV\Policies\Servicing",),
    "tls": (r"CCS\Control\SecurityProviders\SCHANNEL\Protocols\TLS 1.2\Client",),
}
# An event says of which channel and provider it is in two letters.
_EVENT_CHANNELS = {"S": "System", "O": "Microsoft-Windows-WindowsUpdateClient/Operational", "U": "Setup"}
_EVENT_PROVIDERS = {
    "W": "Microsoft-Windows-WindowsUpdateClient",
    "C": "Microsoft-Windows-Servicing",
    "M": "Service Control Manager",
    "T": "Microsoft-Windows-Time-Service",
}
# Gathered apart, because what answers may hang.
_PARTS = {"fact": "host", "agent": "sources"}
# The processes whose time is asked twice.
_WORKERS = ("tiworker", "msiexec")
_PRODUCTS = {"WinNT": "client", "ServerNT": "server", "LanmanNT": "domain_controller"}
# A file or a channel that is not there is an answer. An update agent that is broken says the same: .NET makes a FileNotFoundException of
# 0x80070002.
_OF_FILES = ("events", "reporting", "cbs", "cache", "upgrade")
_NOT_THERE = ("FileNotFoundException", "DirectoryNotFoundException", "EventLogNotFoundException", "ItemNotFoundException")
_DENIED = ("UnauthorizedAccessException", "SecurityException")


def unwrap(value: object, depth: int = _MOST_DEPTH) -> object:
    """Take ConvertTo-Json's wrapping of arrays away. What is nested deeper than `depth` becomes null.

    Windows PowerShell 5.1 writes an array that it holds as a PSObject as `{"value": [...], "Count": n}`.
    """
    if depth <= 0:
        return None
    if isinstance(value, Mapping):
        if set(value) == {"value", "Count"} and isinstance(value["value"], list):
            return [unwrap(item, depth - 1) for item in value["value"]]
        return {key: unwrap(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list):
        return [unwrap(item, depth - 1) for item in value]
    return value


def complete(sections: object, services: Iterable[str]) -> object:
    """Turn the sections of a reply into sections of evidence; what is not a section is left for the check to refuse.

    Args:
        sections: `sections` of a reply, untrusted.
        services: the names of the services that a look asks for.
    """
    unwrapped = unwrap(sections)
    if not isinstance(unwrapped, Mapping):
        return unwrapped
    return {name: _section(name, section, services) for name, section in _joined(unwrapped).items()}


def _joined(sections: Mapping[Any, Any]) -> dict[Any, Any]:
    """Put parts into their sections. No section has a part's own name, so that what is left of it is dropped."""
    whole = dict(sections)
    for part_name, name in _PARTS.items():
        part, section = whole.get(part_name), whole.get(name)
        if isinstance(part, Mapping) and isinstance(section, Mapping):
            faults = [*_faults(section), *_faults(part)]
            whole[name] = {**section, "data": _joined_data(section.get("data"), part.get("data")), "faults": faults}
    return whole


def _joined_data(own: object, added: object) -> object:
    if not isinstance(added, Mapping):
        return own
    if own is None:
        return dict(added)
    if isinstance(own, Mapping):
        return {**added, **own}
    return own


def _section(name: str, section: object, services: Iterable[str]) -> object:
    if not isinstance(section, Mapping):
        return section
    data = section.get("data")
    if isinstance(data, Mapping):
        data = _data(name, dict(data), services)
    if "status" in section:
        return {**section, "data": data}
    faults = _faults(section)
    return {**section, "data": data, "status": _status(name, data, faults), "why": _why(faults)}


def _faults(section: Mapping[Any, Any]) -> list[Mapping[str, Any]]:
    faults = section.get("faults")
    if not isinstance(faults, (list, tuple)):
        return []
    return [fault for fault in faults if isinstance(fault, Mapping)]


def _why(faults: list[Mapping[str, Any]]) -> str | None:
    """The reasons in one line, each once; what was cut stands first, since the line is cut too."""
    reasons = list(dict.fromkeys(_reason(fault) for fault in faults))
    reasons.sort(key=lambda reason: reason not in (CUT, LOST))
    return "; ".join(reasons)[:_MOST_WHY] or None


def _reason(fault: Mapping[str, Any]) -> str:
    why, code = _text(fault.get("why"))[:_MOST_WHY], fault.get("code")
    if not isinstance(code, int) or code == 0:
        return why
    shown = f"0x{code & 0xFFFFFFFF:08X}"
    if shown in why:
        return why
    return f"{why} ({shown})".strip()


def _status(name: str, data: object, faults: list[Mapping[str, Any]]) -> str:
    if data is not None:
        return "partial" if faults else "ok"
    if faults:
        return _status_of_fault(name, faults[0])
    return "absent"


def _status_of_fault(name: str, fault: Mapping[str, Any]) -> str:
    kind, code = _text(fault.get("type")), fault.get("code")
    if isinstance(code, int) and code & 0xFFFFFFFF == _ACCESS_DENIED:
        return "denied"
    if kind.startswith(_DENIED) or "AccessDenied" in kind:
        return "denied"
    if name in _OF_FILES and kind.startswith(_NOT_THERE):
        return "absent"
    if kind.startswith("TimeoutException"):
        return "timeout"
    return "failed"


def _data(name: str, data: dict[str, Any], services: Iterable[str]) -> dict[str, Any]:
    if name == "services" and isinstance(data.get("services"), Mapping):
        rows = data["services"]
        data["services"] = [_service(service, rows.get(service)) for service in services]
    if name == "cache" and isinstance(data.get("folders"), (list, tuple)):
        data["folders"] = [_folder(row) for row in data["folders"]]
    if name == "events" and isinstance(data.get("records"), (list, tuple)):
        data["records"] = [_event(row) for row in data["records"]]
    registry = data.pop("registry", None)
    read = _OF_REGISTRY.get(name)
    if read is None or not isinstance(registry, Mapping):
        return data
    tables = {key: dict(values) for key, values in registry.items() if isinstance(values, Mapping)}
    return {**data, **read(tables, data)}


def _service(name: str, row: object) -> object:
    if row is None:
        return {"name": name, "exists": False, "delayed": False}
    if not isinstance(row, Mapping):
        return row
    return {"delayed": False, **row, "name": name, "exists": True}


def _event(row: object) -> object:
    if not isinstance(row, Mapping) or "of" not in row:
        return row
    channel, provider = _EVENT_CHANNELS.get(_text(row["of"])[:1]), _EVENT_PROVIDERS.get(_text(row["of"])[1:])
    return {**{key: value for key, value in row.items() if key != "of"}, "channel": channel, "provider": provider}


def _folder(row: object) -> object:
    if not isinstance(row, Mapping) or "store" not in row:
        return row
    folder = {key: value for key, value in row.items() if key != "store"}
    if row.get("name") != "SoftwareDistribution":
        return folder
    store = row["store"]
    if not isinstance(store, Mapping):
        return {**folder, "data_store": store is not None}
    return {**folder, "data_store": True, "data_store_created": store.get("created")}


def _value(registry: Registry, key: str, name: str) -> Any:
    """A value by its name, which Windows compares without case."""
    for known, value in registry.get(key, {}).items():
        if _text(known).lower() == name.lower():
            return value
    return None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> object:
    """A number that Windows keeps as text."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    return value


def _is_one(value: object) -> object:
    if value is None or isinstance(value, int):
        return value == 1
    return value


def _words(value: object) -> object:
    if value is None:
        return []
    if isinstance(value, str):
        return value.split()
    return value


def _host(registry: Registry, data: Mapping[str, Any]) -> dict[str, Any]:
    product = _value(registry, r"CCS\Control\ProductOptions", "ProductType")
    member = data.get("domain_role") in (1, 3, 4, 5)
    return {
        "build": _number(_value(registry, _VERSION, "CurrentBuildNumber")),
        "revision": _value(registry, _VERSION, "UBR"),
        "edition": _value(registry, _VERSION, "EditionID"),
        "product_type": _PRODUCTS.get(_text(product), product),
        # The name of a workgroup is none.
        "domain": data.get("domain") if member else None,
    }


def _clock(registry: Registry, data: Mapping[str, Any]) -> dict[str, Any]:
    def own(key: str, name: str) -> Any:
        return _value(registry, rf"CCS\Services\W32Time\{key}", name)

    def in_force(key: str, name: str) -> Any:
        ruled = _value(registry, rf"POL\W32Time\{key}", name)
        return own(key, name) if ruled is None else ruled

    policy = {
        name: _value(registry, rf"POL\W32Time\{key}", name)
        for name, key in (
            ("Type", "Parameters"),
            ("NtpServer", "Parameters"),
            ("MaxPosPhaseCorrection", "Config"),
            ("MaxNegPhaseCorrection", "Config"),
            ("MaxAllowedPhaseOffset", "Config"),
        )
    }
    policy = {name: value for name, value in policy.items() if value is not None}
    client = r"TimeProviders\NtpClient"
    return {
        "type": policy.get("Type", own("Parameters", "Type")),
        "servers": _words(policy.get("NtpServer", own("Parameters", "NtpServer"))),
        "policy": policy,
        "max_pos": in_force("Config", "MaxPosPhaseCorrection"),
        "max_neg": in_force("Config", "MaxNegPhaseCorrection"),
        "max_slew": in_force("Config", "MaxAllowedPhaseOffset"),
        "max_poll": in_force("Config", "MaxPollInterval"),
        "special_poll": in_force(client, "SpecialPollInterval"),
        "seeding": in_force("Config", "UtilizeSslTimeData"),
        "client_enabled": in_force(client, "Enabled"),
        "hypervisor": own(r"TimeProviders\VMICTimeProvider", "Enabled"),
        "status": _time_status(data.get("status")),
    }


def _time_status(event: Any) -> dict[str, Any] | None:
    """What W32Time says of itself every eight hours (event 260); numbers as text, as the log holds them."""
    told = event.get("data") if isinstance(event, Mapping) else None
    if not isinstance(told, Mapping):
        return None
    return {
        "time": event.get("time"),
        "leap": _leading_number(told.get("LeapIndicator")),
        "stratum": _leading_number(told.get("Stratum")),
        "reference": told.get("ReferenceId"),
        "source": told.get("Source"),
        "poll": _leading_number(told.get("PollInterval")),
        "since_s": _leading_number(told.get("TimeSinceLastGoodSync")),
    }


def _leading_number(value: object) -> int | None:
    """The whole number that a text begins with: `2820.1997480s`, with a comma in some languages; None for what says none."""
    found = re.match(r"\d{1,12}", _text(value))
    return int(found.group()) if found else None


def _processes(times: object, later: object) -> object:
    """Who was there when the look began, with what he took until it ended; who has gone since does nothing any more."""
    if not isinstance(times, Mapping):
        return times
    if not isinstance(later, Mapping):
        return [{"name": name} for name in times]
    return [
        {"name": name, "busy_ms": _growth(time, later.get(name))}
        for name, time in times.items()
        if name in later or _text(name).lower() not in _WORKERS
    ]


def _growth(before: object, after: object) -> int | None:
    if not isinstance(before, int) or not isinstance(after, int):
        return None
    return max(0, after - before)


def _servicing(registry: Registry, data: Mapping[str, Any]) -> dict[str, Any]:
    processes = data.get("processes", [])
    if "times" in data:
        processes = _processes(data["times"], data.get("later"))
    return {
        "processes": processes,
        "in_progress": _value(registry, r"CBS\Interface", "ServicingInProgress"),
        "exclusive": _value(registry, r"CBS\SessionsPending", "Exclusive"),
        "installer_in_progress": r"CV\Installer\InProgress" in registry,
        "setup_in_progress": _is_one(_value(registry, r"SYSTEM\Setup", "SystemSetupInProgress")),
        "upgrade_in_progress": _is_one(_value(registry, r"SYSTEM\Setup", "UpgradeInProgress")),
    }


def _is_sign(values: Mapping[str, Any] | None) -> bool:
    """A key that is there, or a value of it that is not 0."""
    if values is None:
        return False
    return not values or any(value not in (0, "0") for value in values.values())


def _reboot(registry: Registry, _data: Mapping[str, Any]) -> dict[str, Any]:
    markers = {marker for key, marker in _MARKERS.items() if _is_sign(registry.get(key))}
    active = _value(registry, r"CCS\Control\ComputerName\ActiveComputerName", "ComputerName")
    configured = _value(registry, r"CCS\Control\ComputerName\ComputerName", "ComputerName")
    if active and _text(active).lower() != _text(configured).lower():
        markers.add("computer_rename")
    return {"markers": sorted(markers)}


def _policy(registry: Registry, _data: Mapping[str, Any]) -> dict[str, Any]:
    policies: dict[str, Any] = {
        name: {value_name: value for key in keys for value_name, value in registry.get(key, {}).items()}
        for name, keys in _POLICIES.items()
    }
    wins = _value(registry, r"MS\PolicyManager\current\device\ControlPolicyConflict", "MDMWinsOverGP")
    identity = _value(registry, r"CV\WindowsUpdate", "SusClientId")
    protocols = _value(registry, r"CV\Internet Settings\WinHttp", "DefaultSecureProtocols")
    managed = r"CCS\Services\CcmExec" in registry
    return {**policies, "mdm_wins": wins, "protocols": protocols, "configmgr": managed, "sus_client_id": identity}


def _upgrade(registry: Registry, _data: Mapping[str, Any]) -> dict[str, Any]:
    diagnosis = registry.get(r"SYSTEM\Setup\SetupDiag\Results") or registry.get(r"SYSTEM\Setup\MoSetup\Volatile\SetupDiag")
    return {
        "osupgrade": registry.get(r"CV\WindowsUpdate\OSUpgrade", {}),
        "box_result": _value(registry, r"SYSTEM\Setup\MoSetup\Volatile", "BoxResult"),
        "setupdiag": diagnosis,
    }


_OF_REGISTRY: dict[str, Callable[[Registry, Mapping[str, Any]], dict[str, Any]]] = {
    "host": _host,
    "clock": _clock,
    "servicing": _servicing,
    "reboot": _reboot,
    "policy": _policy,
    "upgrade": _upgrade,
}
