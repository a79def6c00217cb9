# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a single changed line of the agent would break on a real host, told by no other test."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from .conftest import NOW, ROOT, Host, find_shell, platform_script
from .test_apply import ENDING, RESET, RESTORE, changes, request, stop
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


def test_backups_that_cannot_be_listed_fail_no_run(host: Host) -> None:
    host.state["fails"]["Get-ChildName"] = {"message": "no", "code": -2147024891}
    reply = host.run("wu_apply", request(PRUNE))
    assert (reply["failed"], reply["steps"][0]["status"], reply["changed"]) == (None, "skipped", False)
    assert reply["warnings"][0]["why"] == "no (0x80070005)"


CALM = [{"what": "servicing", "name": None, "field": "busy", "is": False}]


@pytest.fixture
def hasty(tmp_path: Path) -> Path:
    """The agent as it is, but for the 3 s between two samples, the 150 s that it waits for a worker at most, and the 20 s for a move."""
    utils = tmp_path / "utils"
    shutil.copytree(ROOT / "plugins/module_utils", utils, ignore=shutil.ignore_patterns("*.py"))
    steps = (utils / "_Steps.psm1").read_text("ascii")
    sleeps = ("Start-Sleep -Seconds 3\n", "Start-Sleep -Milliseconds 200\n")
    for was, now in (sleeps, ("-lt 150000", "-lt 2000"), ("ms = 20000", "ms = 1500")):
        assert steps.count(was) == 1
        steps = steps.replace(was, now)
    (utils / "_Steps.psm1").write_text(steps, "ascii")
    return utils


@pytest.mark.parametrize(
    "processes",
    [
        {"SetupHost": 0}, {"setupprep": 0}, {"TiWorker": 700}, {"msiexec": 700}, {"TiWorker": [5, 5, 80, 160]},
        # Its time may not be read.
        {"TiWorker": [None]},
    ],
)  # fmt: skip
def test_an_installation_at_work_differs(host: Host, hasty: Path, processes: dict[str, Any]) -> None:
    host.state["processes"] = processes
    reply = host.run("wu_apply", request(*RESET, expect=CALM), utils=hasty)
    assert [row["what"] for row in reply["differs"]] == ["servicing"]
    assert changes(host) == []


@pytest.mark.parametrize(
    ("processes", "seconds"),
    [
        # TiWorker stays for two minutes after a search; its end takes some time of the processor.
        ({"TiWorker": [40, 40, -1]}, 0.4),
        ({"TiWorker": [40, 40, 120, -1]}, 0.6),
        ({"TiWorker": [None, None, -1]}, 0.4),
        # The service of Windows Installer stays for ten minutes.
        ({"msiexec": [40, 44]}, 0.2),
        # One that stays is passed by.
        ({"TiWorker": [40]}, 2),
    ],
)
def test_an_idle_worker_is_waited_for_and_the_repair_goes_on(
    host: Host, hasty: Path, processes: dict[str, Any], seconds: float
) -> None:
    host.state["processes"] = processes
    reply = host.run("wu_apply", request(*RESET, expect=CALM), utils=hasty)
    assert (reply["differs"], reply["failed"], reply["changed"]) == ([], None, True)
    assert host.seconds >= seconds


ASIDE = ("set_aside", {"folder": "SoftwareDistribution"})


def test_a_helper_that_a_trigger_starts_again_is_stopped_again(host: Host, hasty: Path) -> None:
    """DoSvc has kept its cache in SoftwareDistribution: once a trigger had started it again no try moved the folder."""
    host.state["services"]["DoSvc"]["state"] = "running"
    host.state["starts_and_holds"] = host.state["holds"] = "DoSvc"
    reply = host.run("wu_apply", request(stop("DoSvc", needed=False), ASIDE, RESTORE), utils=hasty)
    assert reply["failed"] is None
    assert changes(host).count("Send-ServiceStop DoSvc") == 2
    assert host.state["services"]["DoSvc"]["state"] == "running"


def test_a_folder_that_is_not_moved_is_said_to_be_held_by_what_runs(host: Host, hasty: Path) -> None:
    host.state["services"]["DoSvc"].update(state="running", stuck=True)
    host.state["holds"] = "DoSvc"
    failed = host.run("wu_apply", request(stop("DoSvc", 300, needed=False), ASIDE, RESTORE), utils=hasty)["failed"]
    assert ("DoSvc" in failed["why"], "CryptSvc" in failed["why"], failed["why"].count("denied")) == (True, False, 1)


@pytest.mark.parametrize(
    ("processes", "told", "asked"),
    [
        ({}, [], 1),
        ({"SetupHost": [7]}, [("SetupHost", None)], 1),
        ({"TiWorker": [40, 40]}, [("TiWorker", 0)], 2),
        ({"TiWorker": [40, 340]}, [("TiWorker", 300)], 2),
        ({"TiWorker": [40, -1]}, [], 2),
        # A search starts it.
        ({"TiWorker": [-1, 900]}, [], 1),
        ({"TiWorker": [None, 900]}, [("TiWorker", None)], 2),
    ],
)
@pytest.mark.parametrize("lanes", [1, 2])
def test_what_workers_took_during_a_look(host: Host, processes: dict[str, Any], told: list[Any], asked: int, lanes: int) -> None:
    host.put("Windows/Logs/CBS/CBS.log", b"x", NOW - 9)
    host.state["processes"] = processes
    data = host.observe("disk", lanes=lanes)["servicing"]["data"]
    assert [(row["name"], row["busy_ms"]) for row in data["processes"]] == told
    assert data["log_age"] == (9 if asked == 2 else None)


@pytest.mark.parametrize("lanes", [1, 2])
def test_what_a_worker_does_for_our_own_search_is_no_work(host: Host, lanes: int) -> None:
    host.state["processes"] = {"TiWorker": [40, 45, 2000]}
    sections = host.observe("scan", lanes=lanes)
    assert [row["busy_ms"] for row in sections["servicing"]["data"]["processes"]] == [5]
    assert sections["scan"]["status"] == "ok"


def test_a_search_says_whose_it_is(tmp_path: Path) -> None:
    """Our searches stand in ReportingEvents and the history; without a name nobody could tell them from those of Windows."""
    shell = find_shell()
    if shell is None:
        pytest.skip("no PowerShell: neither ../shared/tools/psh nor one on PATH")
    script = tmp_path / "script.ps1"
    script.write_text(
        platform_script(r"""
        $searcher = [PSCustomObject]@{ ClientApplicationID = '' }
        $searcher | Add-Member ScriptMethod Search { @{ ResultCode = 2; Updates = @{ Count = 0 }; Warnings = @() } }
        $session = [PSCustomObject]@{}
        $session | Add-Member ScriptMethod CreateUpdateSearcher { $searcher }
        function global:New-Object { $session }
        $null = Invoke-UpdateSearch -Criteria 'IsInstalled=0'
        $searcher.ClientApplicationID
        """),
        "ascii",
    )
    command = [shell, "-NoProfile", "-NonInteractive", "-File", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.stdout.strip(), done.stderr) == ("winfleet.wu_repair", "")


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
