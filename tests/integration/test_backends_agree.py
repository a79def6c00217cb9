# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The same scenario gives the same evidence, findings, plan and end state, whichever way a host is played."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from lab.controller import adhoc, fix
from lab.demo import QUICK, promised_scenarios
from lab.fleet import Fleet, missing, read_scenario

from .conftest import MakeFleet

# A host that cannot be looked at has no evidence to compare.
SCENARIOS = [name for name in promised_scenarios() if read_scenario(name)["promise"]["was"] not in ("failed", "unreachable", "unsupported")]
# Wine boots a host in a second or two and runs a PowerShell in one: a choice that touches every kind of step.
IN_WINE = ["healthy-client", "lost-cache", "wuauserv-disabled", "w32time-disabled", "feature-upgrade-failed", "reboot-pending"]
RUN_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")

# What a backend cannot play as the others do, and why. Everything else must be equal.
APART = {
    "host.ps_version": "each PowerShell has its own",
    "host.ps_edition": "psh says Core where Windows PowerShell says Desktop",
    "host.uptime_s": "runs on between two looks",
    "cache.bytes": "an event log line more or less",
    "cache.created": "Wine shows a folder's last change as its creation time",
    "cache.data_store_created": "Wine shows a file's last change as its creation time",
    "reporting.size": "an event log line more or less",
    "reporting.read": "an event log line more or less",
    "disk.free": "Wine's disk is the machine's",
    "disk.size": "Wine's disk is the machine's",
}
TIMES = re.compile(r"^(time|boot_time|start_ms|end_ms|modified|created|last_search|last_install|offset_ms|rtt_ms|ms|seconds|record)$|_ms$")


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


def _evidence(path: Path) -> dict[str, Any]:
    sections = json.loads(path.read_text("utf-8"))["sections"]
    return {name: {"status": section["status"], "data": _plain(name, section["data"])} for name, section in sections.items()}


# What the modules of this collection may change, read through the platform's own functions on every backend.
SERVICES = ["wuauserv", "BITS", "CryptSvc", "UsoSvc", "DoSvc", "W32Time", "TrustedInstaller", "msiserver", "wlidsvc"]
KEYS = [
    "HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\WindowsUpdate\\OSUpgrade",
    "HKLM\\SYSTEM\\CurrentControlSet\\Services\\W32Time\\Parameters",
]
FOLDERS = {"C:\\Windows": "SoftwareDistribution*", "C:\\Windows\\System32": "catroot2*"}


def _end(fleet: Fleet, name: str) -> dict[str, Any]:
    call: Any = fleet.sim(name).call
    table = call("Get-ServiceTable", {"Name": SERVICES})
    keys = {key: (call("Read-RegistryKey", {"Key": key}) or {}).get("values") for key in KEYS}
    return {
        "services": {service.lower(): (row["start"], row["state"]) for service, row in table.items()},
        "registry": {key: {value: data for value, data in (values or {}).items() if value in WATCHED} for key, values in keys.items()},
        "folders": {
            path: sorted(RUN_ID.sub("RUN", item) for item in call("Get-ChildName", {"Path": path, "Filter": pattern}))
            for path, pattern in FOLDERS.items()
        },
    }


WATCHED = ("AllowOSUpgrade", "Type", "NtpServer")
Played = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def play_all(make_fleet: MakeFleet, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Play scenarios on a backend, once: evidence of the first look, the report row and the end state of each."""
    done: dict[str, Played] = {}

    def play(backend: str, names: list[str]) -> Played:
        if backend not in done:
            reason = missing(backend)
            if reason:
                pytest.skip(reason)
            fleet = make_fleet(backend, *names)
            folder = tmp_path_factory.mktemp(backend)
            rows, _done = fix(fleet, variables={**QUICK, "wu_repair_evidence_dir": str(folder)})
            done[backend] = {
                name: {"evidence": _evidence(folder / f"{name}.json"), "row": rows[name], "end": _end(fleet, name)} for name in names
            }
        return done[backend]

    return play


def _row(row: dict[str, Any]) -> dict[str, Any]:
    return {key: row[key] for key in ("was", "why", "did", "now", "changed")}


@pytest.mark.engine
@pytest.mark.parametrize("name", SCENARIOS)
def test_model_and_engine(play_all: Any, name: str) -> None:
    engine, model = play_all("engine", SCENARIOS)[name], play_all("model", SCENARIOS)[name]
    assert _row(engine["row"]) == _row(model["row"])
    for section, shown in engine["evidence"].items():
        assert shown == model["evidence"][section], section
    assert engine["end"] == model["end"]


@pytest.mark.wine
@pytest.mark.parametrize("name", IN_WINE)
def test_wine_and_model(play_all: Any, name: str) -> None:
    wine, model = play_all("wine", IN_WINE)[name], play_all("model", SCENARIOS)[name]
    assert _row(wine["row"]) == _row(model["row"])
    for section, shown in wine["evidence"].items():
        assert shown == model["evidence"][section], section
    for part in ("services", "folders"):
        # The lab's own look into a prefix knows only the keys of the scenario: test_wine.py compares the registry.
        assert wine["end"][part] == model["end"][part]


def test_a_repair_names_the_same_steps(make_fleet: MakeFleet) -> None:
    reason = missing("engine")
    if reason:
        pytest.skip(reason)
    said = []
    for backend in ("model", "engine"):
        fleet = make_fleet(backend, f"lost-cache=steps-{backend}")
        said.append(adhoc(fleet, f"steps-{backend}", "win_wu_reset", {"force": True}, "--check")["would"])
    assert said[0] == said[1]
