# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A log that lies on a host: a look at the host comes to the findings that `wu_explain` has for the file itself."""

from __future__ import annotations

import os
import re
import time
from calendar import timegm
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from lab import laid_logs
from lab.controller import each
from lab.fleet import Fleet
from lab.hosts import HostSpec

from .conftest import backend_params

LOGS = list(laid_logs.found("cbs", "setup", "reporting", "events"))
DAY = 86_400
PLACES = {
    "cbs": r"C:\Windows\Logs\CBS\CBS.log",
    "setup": r"C:\$WINDOWS.~BT\Sources\Panther\setuperr.log",
    "reporting": r"C:\Windows\SoftwareDistribution\ReportingEvents.log",
}
_DATE = re.compile(r"\b(20\d\d)-([01]\d)-([0-3]\d)(?=[ T](\d\d):(\d\d):(\d\d))")
_EVENT = re.compile(r"<Event[ >].*?</Event>", re.S)
_NAMESPACE = "xmlns='http://schemas.microsoft.com/win/2004/08/events/event'"
# A Windows that has logged nothing yet.
BARE = {
    "machine": "client10",
    "last_search": None,
    "last_install": None,
    "history": [],
    "events": [],
    "files": {r"Windows\SoftwareDistribution\ReportingEvents.log": None, r"Windows\Logs\CBS\CBS.log": None},
}


def host_of(family: str, path: Path) -> str:
    """The name of the host that a log is laid on."""
    return f"{family}-{path.stem}".lower().replace(".", "-")


def brought_to_today(text: str, now: float) -> str:
    """The same log with its dates moved by whole days, so that its newest line is of the last day and a bit."""
    moments = [timegm((*map(int, found.groups()), 0, 0, 0)) for found in _DATE.finditer(text)]
    if not moments:
        return text
    days = int((now - 7200 - max(moments)) // DAY)

    def moved(found: re.Match[str]) -> str:
        return f"{datetime.fromtimestamp(timegm((*map(int, found.groups()[:3]), 0, 0, 0)) + days * DAY, UTC):%Y-%m-%d}"

    return _DATE.sub(moved, text)


def lay(sim: Any, family: str, text: str, now: float) -> None:
    """Put a log where Windows keeps it."""
    if family == "events":
        found = [found.group(0) for found in _EVENT.finditer(text)]
        sim.lay_events(one if "xmlns" in one else one.replace("<Event", f"<Event {_NAMESPACE}", 1) for one in found)
        return
    path = sim.path(PLACES[family])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8", newline="")
    os.utime(path, (now - 3600, now - 3600))


def asking(result: dict[str, Any]) -> set[str]:
    """The findings that ask for something: what, and of what."""
    return {
        f"{one['code'] or one['condition']}@{one['subject']}"
        for one in result["findings"]
        if not one["superseded_by"] and not one["notice"]
    }


@pytest.fixture(scope="module", params=backend_params())
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[set[str], set[str]]]:
    """Host -> what a look at it asks for, and what its log asks for."""
    from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import logs  # noqa: PLC0415

    folder, now = tmp_path_factory.mktemp("logs"), time.time()
    bare = folder / "bare.yml"
    bare.write_text(yaml.safe_dump(BARE), "utf-8")
    names = [host_of(family, path) for family, path in LOGS]
    specs = [HostSpec(name, str(bare)) for name in ("bare", *names)]
    with Fleet(specs, str(request.param), tmp_path_factory.mktemp("fleet")) as fleet:
        for name, (family, path) in zip(names, LOGS, strict=True):
            text = brought_to_today(logs.decode(path.read_bytes()), now)
            (folder / name).mkdir()
            (folder / name / path.name).write_text(text, "utf-8", newline="")
            lay(fleet.sim(name), family, text, now)
        looks = each(fleet, {spec.name: ("win_wu_info", {}) for spec in specs})
        calls = {name: ("wu_explain", {"path": str(folder / name / path.name)}) for name, (_family, path) in zip(names, LOGS, strict=True)}
        files = each(fleet, calls)
    own = asking(looks["bare"])
    return {name: (asking(looks[name]) - own, asking(files[name])) for name in names}


@pytest.mark.parametrize(("family", "path"), laid_logs.params("cbs", "setup", "reporting", "events"))
def test_a_host_tells_what_its_log_tells(told: dict[str, tuple[set[str], set[str]]], family: str, path: Path) -> None:
    host, file = told[host_of(family, path)]
    assert host == file
