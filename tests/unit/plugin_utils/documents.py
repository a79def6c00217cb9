# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Small looks at simulated hosts: a healthy one, and changes to it."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import findings, situation
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import outcome as outcomes
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.evidence import Evidence, parse
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.observation import FAILED, OK, Observation
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.plan import Plan

NOW = 1_764_000_000
HOUR, DAY = 3600, 86400
RUN = "20251124T160002Z-1a2b3c"
SETTINGS = findings.Settings()
WUC = "Microsoft-Windows-WindowsUpdateClient"
MICROSOFT, WSUS = "9482f4b4-e343-43b6-b170-9a65bc822c77", "3da21691-e39d-4da6-8a4b-b43877bcb1b7"
STORE, FLIGHTING = "855e8a7c-ecb4-4ca3-b045-1dfa50104289", "8b24b027-1dee-babb-9a95-3517dfb9c552"
BY_WSUS = {"policy.wu": {"WUServer": "http://wsus.corp.example:8530"}, "policy.au": {"UseWUServer": 1}}

_STARTS = {
    "wuauserv": 3,
    "BITS": 3,
    "CryptSvc": 2,
    "TrustedInstaller": 3,
    "msiserver": 3,
    "AppIDSvc": 3,
    "wlidsvc": 3,
    "UsoSvc": 2,
    "DoSvc": 2,
    "WaaSMedicSvc": 3,
    "W32Time": 3,
}


def _state(name: str, start: int | None) -> str:
    return "running" if name in ("CryptSvc", "UsoSvc", "DoSvc") and start != 4 else "stopped"


def service(name: str, start: int | None = None, state: str | None = None, *, exists: bool = True) -> dict[str, Any]:
    """One row of the service table."""
    return {
        "name": name,
        "exists": exists,
        "trigger": name in ("wuauserv", "DoSvc", "W32Time"),
        "start": (_STARTS[name] if start is None else start) if exists else None,
        "delayed": name in ("UsoSvc", "DoSvc"),
        "state": (state or _state(name, start)) if exists else None,
        "dependents": [],
    }


def folder(name: str, **changes: Any) -> dict[str, Any]:
    """One cache folder."""
    path = {"SoftwareDistribution": "C:\\Windows\\SoftwareDistribution", "catroot2": "C:\\Windows\\System32\\catroot2"}[name]
    store = name == "SoftwareDistribution"
    return {
        "name": name,
        "path": path,
        "exists": True,
        "reparse": False,
        "created": NOW - 400 * DAY,
        "data_store": store or None,
        "data_store_created": NOW - 400 * DAY if store else None,
        "backups": [],
        **changes,
    }


def source(server: str = "time.windows.com", offset_ms: int | None = 12) -> dict[str, Any]:
    """One time source, silent where there is no offset."""
    return {
        "server": server,
        "ok": offset_ms is not None,
        "offset_ms": offset_ms,
        "stratum": 2,
        "error": None if offset_ms is not None else "timed out",
    }


def installed(
    hours_ago: float = 9 * 24, title: str = "2025-11 Cumulative Update for Windows 10 Version 22H2 for x64-based Systems (KB5099001)"
) -> dict[str, Any]:
    """One entry of the history: the newest cumulative update went in."""
    return {
        "time": NOW - int(hours_ago * HOUR),
        "operation": 1,
        "result": 2,
        "hresult": 0,
        "title": title,
        "update_id": "6f1e2d3c-0a1b-4c5d-8e9f-000000000101",
        "service": MICROSOFT,
        "caller": "UpdateOrchestrator",
    }


def searched(hours_ago: float = 5, found: int = 0, service: str = MICROSOFT) -> dict[str, Any]:
    """One event 26: a search that went well."""
    data = {"updateCount": str(found), "serviceGuid": f"{{{service}}}"}
    return {"provider": WUC, "id": 26, "time": NOW - int(hours_ago * HOUR), "record": 1000 - int(hours_ago), "data": data}


def healthy() -> dict[str, Any]:
    """The data of each section of a client in a workgroup that finds and installs its updates."""
    return {
        "host": {
            "build": 19045,
            "revision": 5000,
            "edition": "Professional",
            "product_type": "client",
            "domain_role": 0,
            "domain": None,
            "elevated": True,
            "language_mode": "FullLanguage",
            "is_64bit": True,
            "boot_time": NOW - 9 * DAY,
        },
        "clock": {
            "start_ms": NOW * 1000 - 500,
            "end_ms": NOW * 1000,
            "zone": "UTC",
            "utc_offset_s": 0,
            "type": "NTP",
            "servers": ["time.windows.com,0x9"],
            "policy": {},
            "max_pos": 54000,
            "max_neg": 54000,
            "client_enabled": 1,
            "sources": [source()],
        },
        "services": {"services": [service(name) for name in _STARTS]},
        "history": {"entries": [installed()]},
        "events": {
            "records": [searched()],
            "reach": [
                {"channel": "System", "oldest": NOW - 90 * DAY, "complete": True},
                {"channel": "Microsoft-Windows-WindowsUpdateClient/Operational", "oldest": NOW - 90 * DAY, "complete": True},
            ],
        },
        "reporting": {
            "path": "C:\\Windows\\SoftwareDistribution\\ReportingEvents.log",
            "size": 4000,
            "read": 4000,
            "modified": NOW - HOUR,
            "kinds": [],
        },
        "cbs": {"path": "C:\\Windows\\Logs\\CBS\\CBS.log", "size": 4000, "read": 4000, "modified": NOW - HOUR, "kinds": []},
        "servicing": {
            "in_progress": 0,
            "processes": [],
            "log_age": None,
            "installer_in_progress": False,
            "setup_in_progress": False,
            "upgrade_in_progress": False,
        },
        "reboot": {"markers": []},
        "policy": {
            "wu": {},
            "au": {},
            "user": {},
            "ux": {},
            "mdm": {},
            "mdm_wins": None,
            "servicing": {},
            "tls": {},
            "configmgr": False,
        },
        "sources": {"services": [], "last_search": NOW - 5 * HOUR, "last_install": NOW - 3 * DAY, "endpoints": []},
        "cache": {"folders": [folder("SoftwareDistribution"), folder("catroot2")]},
        "disk": {"drive": "C:", "free": 50 * 1024**3},
        "upgrade": {
            "osupgrade": {},
            "box_result": None,
            "setupdiag": None,
            "logs": [],
        },
    }


def look(changes: Mapping[str, Any] | None = None, *, controller_ms: int = 0, status: Mapping[str, str] | None = None) -> Evidence:
    """A look at the healthy host with some data changed, as `{"clock.type": "NoSync"}`.

    `controller_ms`: how far the controller's clock is ahead of the host's. `status`: sections without data, and why.
    """
    data = copy.deepcopy(healthy())
    for path, value in (changes or {}).items():
        *parents, last = path.split(".")
        at: Any = data
        for name in parents:
            at = at.setdefault(name, {})
        at[last] = value
    sections: dict[str, Any] = {name: {"status": "ok", "ms": 1, "why": None, "data": content} for name, content in data.items()}
    for name, why in (status or {}).items():
        sections[name] = {"status": why, "ms": 1, "why": why, "data": None}
    return document(sections, NOW * 1000 - 600 + controller_ms, NOW * 1000 + 100 + controller_ms)


def document(sections: Mapping[str, Any], asked_ms: int, answered_ms: int) -> Evidence:
    """Evidence, checked as any is."""
    return parse({"schema": 1, "taken": {"asked_ms": asked_ms, "answered_ms": answered_ms}, "sections": dict(sections)})


def services(**starts: int) -> dict[str, Any]:
    """A change of start types: `services(wuauserv=4)`."""
    return {"services.services": [service(name, starts.get(name)) for name in _STARTS]}


def find(evidence: Evidence, observations: Iterable[Observation] = (), **settings: Any) -> list[findings.Finding]:
    """The findings of a look whose logs held these observations as well."""
    return list(findings.diagnose(evidence, findings.Settings(**settings), observations).findings)


def active(found: Iterable[findings.Finding]) -> dict[str, str]:
    """The findings that count: id and answer, as `repair reset`."""
    return {item.id: " ".join(*item.answer.items()) for item in found if item.active}


_SOURCES = {"store": "cbs", "upgrade": "registry", "scan": f"event:{WUC}/25", "service": "event:Service Control Manager/7023"}


def failed(layer: str, code: int | None = None, hours_ago: float = 1, **more: Any) -> Observation:
    """A failure; of a search at Windows Update, or of the update KB5099002."""
    return _observed(layer, FAILED, hours_ago, {"source": _SOURCES.get(layer, f"event:{WUC}/20"), "code": code, **more})


def worked(layer: str, hours_ago: float, **more: Any) -> Observation:
    """A success, likewise."""
    return _observed(layer, OK, hours_ago, {"source": f"event:{WUC}/{26 if layer == 'scan' else 19}", **more})


def _observed(layer: str, outcome_: str, hours_ago: float, more: Mapping[str, Any]) -> Observation:
    time = NOW - int(hours_ago * HOUR)
    own: dict[str, Any] = {"service": MICROSOFT} if layer == "scan" else {}
    if layer in ("install", "download") and not {"kb", "update", "title", "name"} & set(more):
        own = {"kb": "KB5099002", "title": "Cumulative Update (KB5099002)"}
    return Observation(**{"layer": layer, "outcome": outcome_, "time": time, "first": time, **own, **more})


def scanned(code: int | None = None, time: int = NOW) -> Observation:
    """A live search."""
    return Observation("scan", "scan", OK if code is None else FAILED, time, code=code, found=0 if code is None else None, first=time)


def scan_section(code: int | None = None, count: int = 2) -> dict[str, Any]:
    """The section of a live search."""
    result = {"result": 2 if code is None else 4, "hresult": code or 0, "count": None if code else count}
    return {"scan": {**result, "warnings": []}}


# --- carrying a plan out on paper ---


def reply(plan: Plan, **changes: Any) -> dict[str, Any]:
    """What the agent says when every step went well."""
    steps = [
        {
            "id": index,
            "kind": step.kind,
            "status": "done",
            "changed": True,
            "why": None,
            "before": None,
            "after": None,
            "ms": 5,
        }
        for index, step in enumerate(plan.steps, start=1)
    ]
    good = {"schema": 1, "op": "apply", "differs": [], "steps": steps, "failed": None, "undone": [], "changed": True}
    return {**good, "sections": None, **changes}


def outcome(plan: Plan, **changes: Any) -> outcomes.Outcome:
    """The same, checked."""
    return outcomes.parse(reply(plan, **changes))


def carried_out(before: Evidence, plan: Plan, changes: Mapping[str, Any] | None = None) -> Evidence:
    """The look after the plan was carried out and did what its steps say, on the healthy host with `before`'s data."""
    data = {name: copy.deepcopy(section["data"]) for name, section in before.to_document()["sections"].items()}
    rows = {row["name"]: row for row in data["services"]["services"]}
    folders = {row["name"]: row for row in data["cache"]["folders"]}
    for step in plan.steps:
        args = step.args
        if step.kind == "set_start_type":
            rows[args["name"]]["start"] = args["start"]
        elif step.kind == "set_aside":
            folders[args["folder"]]["backups"].append(f"{args['folder']}{situation.backup_ending(plan.run_id)}")
            if args["folder"] == "SoftwareDistribution":
                folders[args["folder"]]["data_store_created"] = NOW + 5
        elif step.kind == "set_time_source":
            data["clock"]["type"] = args["type"]
            data["clock"]["servers"] = args["servers"] or data["clock"]["servers"]
        elif step.kind in ("resync", "set_clock"):
            data["clock"]["sources"] = [{**row, "offset_ms": 3 if row["ok"] else None} for row in data["clock"]["sources"]]
        elif step.kind == "set_time_zone":
            data["clock"]["zone"] = args["id"]
        elif step.kind == "set_value":
            data["upgrade"]["osupgrade"][args["name"]] = args["value"]
        elif step.kind == "remove_value":
            data["upgrade"]["osupgrade"].pop(args["name"])
    data["clock"]["end_ms"] = (NOW + 30) * 1000
    data["clock"]["start_ms"] = (NOW + 29) * 1000
    for name, content in (changes or {}).items():
        data[name] = content
    sections = {name: {"status": "ok", "ms": 1, "why": None, "data": content} for name, content in data.items()}
    return document(sections, (NOW + 29) * 1000, (NOW + 30) * 1000)
