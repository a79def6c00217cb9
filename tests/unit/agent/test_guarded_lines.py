# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a single changed line of the agent would break on a real host, told by no other test."""

from __future__ import annotations

from .conftest import Host
from .test_apply import ENDING, RESET, changes, request
from .test_observe import cbs_line

OLD = "SoftwareDistribution.wu_repair-20250101T000000Z-aaaaaa"
PRUNE = ("prune_backups", {"folder": "SoftwareDistribution", "keep": 1})


def test_a_backup_that_is_a_link_is_left(host: Host) -> None:
    kept = host.files / "elsewhere"
    kept.mkdir()
    (host.files / "Windows" / OLD).symlink_to(kept)
    reply = host.run("wu_apply", request(*RESET, PRUNE))
    assert (reply["failed"], reply["warnings"]) == (None, [])
    assert not [call for call in changes(host) if call.startswith("Remove-FolderTree")]
    assert kept.is_dir()


def test_the_backup_of_this_run_is_never_pruned(host: Host) -> None:
    (host.files / "Windows" / "SoftwareDistribution.wu_repair-20991231T000000Z-aaaaaa").mkdir()
    reply = host.run("wu_apply", request(*RESET, PRUNE))
    assert reply["failed"] is None
    assert (host.files / f"Windows/SoftwareDistribution{ENDING}/DataStore").is_dir()


def test_an_installation_at_work_differs(host: Host) -> None:
    host.state["processes"] = ["TiWorker"]
    expect = [{"what": "servicing", "name": None, "field": "busy", "is": False}]
    reply = host.run("wu_apply", request(*RESET, expect=expect))
    assert [row["what"] for row in reply["differs"]] == ["servicing"]
    assert changes(host) == []


def test_a_line_of_the_last_day_before_the_look_back_is_told(host: Host) -> None:
    # The host's clock stands at 16:00 UTC on 24 November; its log is in local time, which may be 14 hours off.
    lines = [line.replace("11-20 10:", "11-23 02:") for line in (cbs_line(1, "Failed [HRESULT = 0x80073712]"), cbs_line(2, "x"))]
    host.put("Windows/Logs/CBS/CBS.log", "".join(lines).encode())
    kinds = host.observe("cbs", lookback_s=86400)["cbs"]["data"]["kinds"]
    assert [kind["last"][-10:] for kind in kinds] == ["x80073712]"]


def test_half_a_character_is_not_sent(host: Host) -> None:
    # A log's line is cut at 300 characters: here in the middle of one that takes two places.
    line = cbs_line(1, "Failed [HRESULT = 0x80073712] ", "Error").strip()
    line += "x" * (299 - len(line)) + "\U0001f600 and more"
    host.put("Windows/Logs/CBS/CBS.log", f"{line}\r\n".encode())
    kinds = host.observe("cbs")["cbs"]["data"]["kinds"]
    assert kinds[0]["last"] == line[:299] + "?"
    assert "\\ud8" not in host.raw.lower()
