# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A log that lies on a host comes to the same findings as the file that somebody sends, although the agent sends only what tells."""

from __future__ import annotations

import re
from calendar import timegm
from pathlib import Path
from typing import Any

import pytest
from lab import laid_logs

from .conftest import Host

PLACES = {
    "cbs": ("cbs", "cbs", "Windows/Logs/CBS/CBS.log"),
    "setup": ("setup", "upgrade", "$WINDOWS.~BT/Sources/Panther/setuperr.log"),
    "reporting": ("reporting", "reporting", "Windows/SoftwareDistribution/ReportingEvents.log"),
}
_TIME = re.compile(r"(20\d\d)-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)")


def last_moment(text: str) -> int:
    """The newest time that stands in a log, as if it were UTC."""
    times = [timegm((*map(int, found.groups()), 0, 0, 0)) for found in _TIME.finditer(text)]
    return max(times, default=0)


def said(found: Any) -> set[str]:
    """The findings that ask for something: what, and of what."""
    return {f"{item.code or item.condition}@{item.subject}" for item in found if item.active}


@pytest.mark.parametrize(("family", "path"), laid_logs.params(*PLACES))
def test_a_host_tells_what_its_file_tells(host: Host, family: str, path: Path) -> None:
    from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import evidence, logs, verdict  # noqa: PLC0415
    from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.situation import Settings  # noqa: PLC0415

    kind, section, place = PLACES[family]
    data = path.read_bytes()
    now = last_moment(logs.decode(data)) + 3600
    host.state["clock_ms"] = now * 1000
    host.put(place, data, modified=now - 3600)
    reply = host.run("wu_observe", {"schema": 1, "op": "observe", "sections": [section]})
    taken = evidence.from_reply(reply, None, None)
    groups = [(None, taken.cbs.kinds)] if family == "cbs" else [(None, taken.reporting.kinds)]
    if family == "setup":
        groups = [(log.path, log.kinds) for log in taken.upgrade.logs]
    lines = [one for name, kinds in groups for one in logs.read_lines(kind, kinds, None, name=name or "")]
    whole = verdict.logs(logs.read(data, path.name), Settings(), now).findings
    assert said(verdict.logs(lines, Settings(), now).findings) == said(whole)
