# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Scenarios: YAML with causes, laid over a machine's profile, with times relative to the host's now."""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
SCENARIOS = HERE / "scenarios"

# Standard offsets in minutes. The lab's zones keep no daylight saving: a test must not depend on the season.
ZONES = {
    "UTC": 0,
    "GMT Standard Time": 0,
    "W. Europe Standard Time": 60,
    "E. Europe Standard Time": 120,
    "Turkey Standard Time": 180,
    "India Standard Time": 330,
    "Tokyo Standard Time": 540,
    "Eastern Standard Time": -300,
    "Central Standard Time": -360,
    "Pacific Standard Time": -480,
}

_UNIT = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_TIME = re.compile(r"\{?now(?:([+-])((?:\d+[dhms])+))?\}?")


class ScenarioError(ValueError):
    """A scenario that cannot be loaded; the text names the file and what is wrong."""


def names() -> list[str]:
    """Names of all scenarios that come with the lab."""
    return sorted(path.stem for path in SCENARIOS.glob("*.yml") if not path.stem.startswith("_"))


@functools.cache
def _read(path: Path) -> Any:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(path.read_text(encoding="utf-8"), Loader=loader)


@functools.cache
def universal_laws() -> list[dict[str, Any]]:
    """The laws of every host (laws.yml)."""
    return list(_read(HERE / "laws.yml"))


def _lay(base: Any, over: Any) -> Any:
    """Lay one mapping over another, keys without regard to case; null removes."""
    if not isinstance(base, dict) or not isinstance(over, Mapping):
        return copy.deepcopy(over)
    known = {str(key).lower(): key for key in base}
    for key, value in over.items():
        mine = known.get(str(key).lower(), key)
        if value is None:
            base.pop(mine, None)
        else:
            base[mine] = _lay(base.get(mine), value)
    return base


KEYS = {
    "title",
    "machine",
    "promise",
    "wire",
    "linux",
    "language",
    "zone",
    "clock_offset",
    "controller_skew",
    "uptime_s",
    "host",
    "session",
    "registry",
    "services",
    "processes",
    "worker_idle",
    "files",
    "data_store",
    "history",
    "events",
    "time_sources",
    "domain_source",
    "endpoints",
    "laws",
    "search",
    "updates",
    "denied",
    "last_search",
    "last_install",
    "update_services",
    "drive",
    "locks",
    "w32time_settle_ms",
    "damage",
    "winhttp_proxy",
    "start_words",
    "sc_labels",
    "host_change",
    "about",
}


def load(name: str | Path) -> dict[str, Any]:
    """Read a scenario by name or path and lay it over its machine.

    Raises:
        ScenarioError: no such scenario, an unknown key or machine.
    """
    path = Path(name) if str(name).endswith((".yml", ".yaml")) else SCENARIOS / f"{name}.yml"
    if not path.is_file():
        raise ScenarioError(f"no scenario {name}")
    own = _read(path.resolve())
    if not isinstance(own, dict) or (unknown := set(own) - KEYS):
        raise ScenarioError(
            f"{path.name}: {', '.join(sorted(unknown)) if isinstance(own, dict) else 'not a mapping'}: unknown"
        )
    profiles = _read(SCENARIOS / "_machines.yml")
    machine = own.get("machine", "server2022")
    if machine not in profiles["machines"]:
        raise ScenarioError(f"{path.name}: no machine {machine}")
    state: dict[str, Any] = copy.deepcopy(profiles["every"])
    profile = profiles["machines"][machine]
    state = _lay(state, profiles["kinds"][profile["kind"]])
    state = _lay(state, {key: value for key, value in profile.items() if key != "kind"})
    if own.get("language") in profiles["languages"]:
        state = _lay(state, profiles["languages"][own["language"]])
    return dict(_lay(state, own))


def seconds(text: Any) -> int:
    """Turn ``90``, ``7h`` or ``-1d12h`` into seconds."""
    if isinstance(text, (int, float)):
        return int(text)
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.lstrip("+"))
    parts = re.findall(r"(\d+)([dhms])", rest)
    if not parts or "".join(a + b for a, b in parts) != rest:
        raise ScenarioError(f"{text!r} is not a duration such as 1d12h")
    return sign * sum(int(number) * _UNIT[unit] for number, unit in parts)


def moment(text: Any, now: float) -> float:
    """Turn ``now-3h`` (braces or not) or Unix seconds into Unix seconds of the host's clock."""
    if isinstance(text, (int, float)):
        return float(text)
    match = _TIME.fullmatch(str(text))
    if not match:
        raise ScenarioError(f"{text!r} is not a time such as now-3h")
    sign, duration = match.groups()
    return now + (seconds((sign or "+") + duration) if duration else 0)


def fill(text: str, now: float, shape: Callable[[float], str]) -> str:
    """Replace every ``{now-3h}`` in a text by the time in the shape that the file wants."""
    return re.sub(r"\{now(?:[+-](?:\d+[dhms])+)?\}", lambda match: shape(moment(match[0], now)), text)


def local(when: float, zone: str) -> datetime:
    """A moment as the host's wall clock shows it."""
    return datetime.fromtimestamp(when, timezone(timedelta(minutes=ZONES[zone])))


def reporting_time(when: float, zone: str) -> str:
    """``2026-11-24 10:11:12:345+0100``, the time column of ReportingEvents.log."""
    at = local(when, zone)
    return f"{at:%Y-%m-%d %H:%M:%S}:{at.microsecond // 1000:03d}{at:%z}"


def _reporting_line(row: Mapping[str, Any], now: float, zone: str) -> str:
    columns = [
        row.get("id", "{B0A7C1D2-5E0F-4A3B-9C8D-1F2E3D4C5B6A}"),
        reporting_time(moment(row["time"], now), zone),
        1,
        row["event"],
        row.get("category", 101),
        row.get("update", "{00000000-0000-0000-0000-000000000000}"),
        row.get("revision", 0),
        f"{row.get('hresult', 0) & 0xFFFFFFFF:x}",
        row.get("caller", "UpdateOrchestrator"),
        row.get("status", "Failure" if row.get("hresult") else "Success"),
        row.get("type", "Software Synchronization"),
        row.get("message", ""),
        row.get("cookie", "k3nBq0Zr7E2o.1.0.0.3.0"),
    ]
    return "\t".join(str(column) for column in columns) + "\r\n"


def reporting_bytes(rows: list[Mapping[str, Any]], now: float, zone: str, first: bool) -> bytes:
    """Rows of ReportingEvents.log: UTF-16LE, CRLF, 13 columns, a BOM at the file's begin."""
    return (b"\xff\xfe" if first else b"") + "".join(_reporting_line(row, now, zone) for row in rows).encode(
        "utf-16-le"
    )


def file_bytes(spec: Mapping[str, Any], now: float, zone: str) -> bytes:
    """What a scenario's file holds: ``cbs`` or ``setup`` lines, ``reporting`` rows, ``text`` or ``size`` zero bytes."""
    if "reporting" in spec:
        return reporting_bytes(list(spec["reporting"]), now, zone, first=True)
    for kind in ("cbs", "setup"):
        if kind in spec:
            text = "".join(f"{line}\r\n" for line in spec[kind])
            return b"\xef\xbb\xbf" + fill(text, now, lambda when: f"{local(when, zone):%Y-%m-%d %H:%M:%S}").encode()
    if "size" in spec:
        return bytes(spec["size"])
    return fill(str(spec.get("text", "")), now, lambda when: f"{local(when, zone):%Y-%m-%d %H:%M:%S}").encode(
        spec.get("encoding", "utf-8")
    )
