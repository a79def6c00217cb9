# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""wu_explain as a person calls it, on logs as they are: which reader a file gets, and what is said of it."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from lab.controller import results
from lab.fleet import Fleet

from .conftest import MakeFleet

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "real"
ROWS: list[dict[str, str]] = []
if (REAL / "INDEX.tsv").is_file():
    with (REAL / "INDEX.tsv").open(encoding="utf-8", newline="") as stream:
        every = csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
        ROWS = [row for row in every if row["kind"] in ("cbs", "reporting_events", "events")]

READERS = {"cbs": "servicing", "reporting_events": "reporting", "events": "events"}
REPORT = (
    "{8F8EA247-1586-48E4-A5F6-1D19A9343341}\t2025-11-24 05:14:55:630-0400\t1\t148 [AGENT_DETECTION_FAILED]\t101\t"
    "{00000000-0000-0000-0000-000000000000}\t0\t80072ee2\tUpdateOrchestrator\tFailure\tSoftware Synchronization\t"
    "Windows Update Client failed to detect with error 0x80072ee2.\tabc.1.0.0\r\n"
)
CBS = "2025-11-24 00:00:01, Info                  CSI    00000213 [SR] Cannot repair member file [l:9]'short.dll' of X\r\n"
EVENT = (
    "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>"
    "<Provider Name='Microsoft-Windows-WindowsUpdateClient'/><EventID>20</EventID><Level>2</Level>"
    "<TimeCreated SystemTime='2025-11-24T17:22:06.5Z'/><Channel>System</Channel></System>"
    "<EventData><Data Name='errorCode'>0x80070002</Data><Data Name='updateTitle'>KB5000001</Data></EventData></Event>"
)
# Name: content, reader, finding.
FILES: dict[str, tuple[bytes, str | None, str]] = {
    "ReportingEvents.log": (b"\xff\xfe" + (REPORT * 3).encode("utf-16-le"), "reporting", "0x80072EE2"),
    "reporting-without-mark.log": ((REPORT * 3).encode("utf-16-le"), "reporting", "0x80072EE2"),
    "reporting-utf8.log": ((REPORT * 3).encode(), "reporting", "0x80072EE2"),
    "CBS.log": (CBS.encode(), "servicing", "sr_cannot_repair"),
    "CBS-with-mark.log": (b"\xef\xbb\xbf" + CBS.encode(), "servicing", "sr_cannot_repair"),
    "events.xml": (EVENT.encode(), "events", "0x80070002"),
    "ticket.txt": (b"KB5058379 does not go in: Windows Update says 0x800f0922.\n", None, "0x800F0922"),
}


@pytest.fixture(scope="module")
def fleet(make_fleet: MakeFleet) -> Fleet:
    return make_fleet("model", "healthy-client")


def explain(fleet: Fleet, paths: Sequence[str]) -> list[dict[str, Any]]:
    """One result for each path, all of one run."""
    task = {"winfleet.wu_repair.wu_explain": {"path": "{{ item }}"}, "loop": list(paths), "ignore_errors": True, "name": "Explain"}
    book = fleet.folder / "explain.yml"
    book.write_text(json.dumps([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [task]}]), "utf-8")
    found: list[dict[str, Any]] = results(fleet, "ansible-playbook", str(book))["localhost"]["results"]
    return found


def _names(result: dict[str, Any]) -> set[str]:
    return {item["code"] or item["condition"] for item in result["findings"]}


def test_every_log_finds_its_reader(fleet: Fleet, tmp_path: Path) -> None:
    for name, (content, _kind, _finding) in FILES.items():
        (tmp_path / name).write_bytes(content)
    for (name, (_content, kind, finding)), result in zip(
        FILES.items(), explain(fleet, [str(tmp_path / name) for name in FILES]), strict=True
    ):
        assert result.get("files"), (name, result.get("msg"))
        assert result["files"][0]["kind"] == kind, name
        assert _names(result) == {finding}, name


def test_a_folder_is_one_host_and_with_evidence_the_one_that_it_names(fleet: Fleet, tmp_path: Path) -> None:
    logs, mixed = tmp_path / "logs", tmp_path / "mixed"
    for folder in (logs, mixed):
        folder.mkdir()
        for name, (content, _kind, _finding) in FILES.items():
            (folder / name).write_bytes(content)
    (mixed / "kestrel07.json").write_text('{"schema": 1, "sections": {}}', "utf-8")
    whole, named = explain(fleet, [str(logs), str(mixed)])
    assert {item["kind"] for item in whole["files"]} == {kind for _content, kind, _finding in FILES.values()}
    assert _names(whole) == {finding for _content, _kind, finding in FILES.values()}
    assert (whole["host"], named["host"]) == (None, "kestrel07")
    # Evidence without a section does not even say that it is of Windows.
    # ansible-core 2.21 leaves the key of an item out where nothing failed.
    assert (named["verdict"], named.get("failed", False)) == ("unsupported", False)
    assert _names(whole) <= _names(named)


def test_a_redacted_result_holds_no_name_on_any_way(fleet: Fleet, tmp_path: Path) -> None:
    (tmp_path / "kestrel07.log").write_text(CBS.replace("of X", "of X, C:\\Users\\jsparrow\\x, on kestrel07.larkspur.local"), "utf-8")
    task = {"winfleet.wu_repair.wu_explain": {"path": str(tmp_path), "redact": True}, "name": "Explain"}
    book = fleet.folder / "redact.yml"
    book.write_text(json.dumps([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [task]}]), "utf-8")
    result = results(fleet, "ansible-playbook", str(book))["localhost"]
    assert _names(result) == {"sr_cannot_repair"}
    shown = json.dumps(result).lower()
    assert not [secret for secret in ("kestrel07", "jsparrow", "larkspur", str(tmp_path).lower()) if secret in shown]


@pytest.mark.skipif(not ROWS, reason="the recorded logs are not beside this checkout")
def test_every_recorded_log_is_read(fleet: Fleet) -> None:
    """test_logs_real.py says what must be found; here each file reaches its reader by the way that a person goes."""
    for row, result in zip(ROWS, explain(fleet, [str(REAL / row["file"]) for row in ROWS]), strict=True):
        assert result.get("files"), (row["file"], result.get("msg"))
        assert result["files"][0]["kind"].startswith(READERS[row["kind"]]), row["file"]
        assert result["verdict"] not in ("failed", None), row["file"]
        # Without a failure in the file nothing is asked of anybody.
        if row["status"] != "failing":
            assert result["verdict"] in ("healthy", "unknown", "stale", "behind"), (row["file"], result["msg"])
