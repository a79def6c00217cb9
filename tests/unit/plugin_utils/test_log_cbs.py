# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""CBS.log and CheckSUR.log: what names the thing that is damaged, what is one failure, whatever is around the lines."""

# ruff: noqa: E501 - lines of logs stay whole
from __future__ import annotations

import time

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import logs
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.observation import Observation
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.sections import LogKind

DAY = "2025-11-24 00:00:00, "


def read(text: str) -> list[Observation]:
    return logs.read(text.encode(), "CBS.log")


SR = "[SR] Cannot repair member file [l:7]'lab.dll' of Lab-Core, version 10.0.1.1, arch amd64 in the store, hash mismatch"


@pytest.mark.parametrize(
    "text",
    [
        SR,
        f"{DAY}Info                  CSI    00000001 {SR}",
        f"> {DAY}Info CSI 00000001 {SR}",
        f"C:\\Windows\\Logs\\CBS\\CBS.log:{DAY}Info                  CSI    00000001 {SR}",
        f"4711:{DAY}Info                  CSI    00000001 {SR}",
        f"CSI    00000001 {SR}",
        SR.replace(" of Lab", "\nof Lab"),
        f"{DAY}Info                  CSI    00000001 " + SR.replace(" repair member", " repair\nmember").replace(" [l:7]", "\r\n[l:7]"),
    ],
)
def test_a_damaged_file_is_named_whatever_was_done_to_its_line(text: str) -> None:
    (seen,) = read(text)
    assert (seen.marker, seen.name) == ("sr_cannot_repair", "lab.dll of Lab-Core")
    assert (seen.time is None) == ("2025" not in text)


def test_a_broken_line_takes_no_line_of_its_own_with_it() -> None:
    first = f"{DAY}Info                  CSI    00000001 [SR] Cannot repair member file"
    seen = read(f"{first}\n{DAY}Info                  CSI    00000001 {SR}\n")
    assert {one.name for one in seen} == {None, "lab.dll of Lab-Core"}


def test_lines_that_run_on_are_read_each() -> None:
    lines = [
        f"{DAY}Info                  CSI    00000001 {SR}",
        f"{DAY}Info                  CSI    00000002 {SR.replace('lab.dll', 'two.dll')}",
    ]
    assert [one.name for one in read(" ".join(lines))] == ["lab.dll of Lab-Core", "two.dll of Lab-Core"]


def test_what_sfc_mended_is_no_damage_beside_what_it_could_not() -> None:
    mended = f"{DAY}Info                  CSI    00000001 [SR] Repairing file \\??\\C:\\Windows\\Web\\lab.jpg from store\n"
    (alone,) = read(mended)
    assert (alone.marker, alone.name) == ("sr_damaged", "lab.jpg")
    assert [one.marker for one in read(f"{mended}{DAY}Info                  CSI    00000001 {SR}\n")] == ["sr_cannot_repair"]


@pytest.mark.parametrize(("alike", "closed"), [(1, True), (2, False)])
def test_of_lines_alike_a_host_sends_the_last_and_its_repair_ends_no_other(alike: int, closed: bool) -> None:
    repaired = f"{DAY}Info                  CSI    00000002 [SR] Repairing file \\??\\C:\\Windows\\System32\\lab.dll from store"
    groups = [LogKind(f"{DAY}Info                  CSI    00000001 {SR}", count=alike), LogKind(repaired)]
    assert any(one.ok for one in logs.read_lines("cbs", groups)) == closed


@pytest.mark.parametrize(("alike", "failing"), [(1, False), (2, True)])
def test_of_installers_alike_a_host_sends_the_last_and_the_first_may_have_stopped_the_queue(alike: int, failing: bool) -> None:
    ignored = (
        "2025-11-24 00:00:00, Error      [0x018003] CSI    00000c71 (F) Failed execution of queue item Installer: Lab Scheduler "
        "({54bdf32e-4ab5-4ab4-b4c9-2e3c9d5a7b5c}) with HRESULT HRESULT_FROM_WIN32(5).  Failure will be ignored[gle=0x80004005]"
    )
    seen = logs.read_lines("cbs", [LogKind(ignored, count=alike)])
    assert any(one.name == "Lab Scheduler" for one in seen) == failing


def test_a_file_that_could_not_be_put_together_is_named() -> None:
    csi = "2025-11-24 00:00:00, Error                 CSI    00000001 (F) {}[gle=0x80004005]\n"
    (seen,) = read(csi.format("Failed on regenerating file [l:7]'lab.dll'"))
    assert (seen.marker, seen.name, seen.related) == ("sr_cannot_repair", "lab.dll", (0x80004005,))
    nameless = csi.format("Hydration failed with error NTSTATUS_FROM_WIN32(ERROR_INVALID_DATA) . Delta Type: Reverse Delta")
    assert [(one.marker, one.name) for one in read(nameless)] == [("payload_corrupt", None)]
    named = csi.format("Hydration failed for component Lab-Core, version 10.0.1.1, arch amd64 on file lab.dll with NTSTATUS -1")
    assert [(one.marker, one.name) for one in read(nameless + named)] == [("payload_corrupt", "lab.dll of Lab-Core")]


def test_errors_far_apart_are_two_tries_and_close_ones_one() -> None:
    error = "{}, Error                 CBS    Failed to stage Lab-Package~31bf~amd64~~1.1. [HRESULT = 0x80073701 - X]\n"
    (one,) = read(error.format("2025-11-24 00:00:00") + error.format("2025-11-24 00:00:40"))
    (two,) = read(error.format("2025-11-24 00:00:00") + error.format("2025-11-25 00:00:40"))
    assert (one.count, two.count) == (1, 2)


def test_a_part_that_windows_made_up_a_name_for_is_told_by_its_package() -> None:
    text = (
        f"{DAY}Info                  CBS    Failed to pin deployment for package:Wrapper-00FF~31bf~amd64~~10.0.1.1 [HRESULT = 0x80073712 - X]\n"
        f"{DAY}Error                 CBS    Failed to process single phase execution. [HRESULT = 0x80073712 - X]\n"
        f"{DAY}Info                  CBS    WER: Generating failure report for package: Package_for_KB5099999~31bf~amd64~~1.1, "
        "status: 0x80073712, failure source: Resolve\n"
    )
    assert {(one.kb, one.name) for one in read(text)} == {("KB5099999", "Package_for_KB5099999~31bf~amd64~~1.1")}


@pytest.mark.parametrize(
    ("found", "fixed", "expected"),
    [(2, None, ["store_corrupt"]), (2, 1, ["store_corrupt"]), (2, 2, ["store_corrupt", "store_repaired"]), (0, None, ["store_corrupt"])],
)
def test_the_summary_of_the_readiness_tool_proves_only_what_it_fixed(found: int, fixed: int | None, expected: list[str]) -> None:
    lines = ["Checking Windows Servicing Packages", "Summary:", "Seconds executed: 9", f" Found {found} errors"]
    lines += [f" Fixed {fixed} errors"] * (fixed is not None)
    assert [one.marker for one in read("\n".join(lines))] == expected


def test_the_readiness_tool_names_a_payload_with_its_component() -> None:
    line = "(f)\tCSI Payload File Missing\t0x00000000\tlab.sys\tamd64_lab_31bf3856ad364e35_6.1.1.0_none_0"
    (seen,) = read(f"Checking Windows Servicing Packages\n{line}\n")
    assert (seen.marker, seen.code, seen.name) == ("payload_file_missing", None, "lab.sys of amd64_lab_31bf3856ad364e35_6.1.1.0_none_0")


STACK = f"{DAY}Info                  CBS    {{}}\n"
TRIED = [
    "Startup: Failed while processing non-critical primitive operations queue. [HRESULT = 0x80070057 - E_INVALIDARG]",
    "Setting original failure status: 0x80070057, last forward execute state: CbsExecuteStateResolvePending",
    "Startup: Failed, restart required to try again.",
]
CLEARED = "Clearing original failure status: 0x00000000"
ROLLBACK = "Setting ExecuteState key to: CbsExecuteStateInitiateRollback"


@pytest.mark.parametrize(
    ("messages", "codes"),
    [
        ([*TRIED, CLEARED], []),
        (TRIED, [0x80070057]),
        ([*TRIED, ROLLBACK, CLEARED], [0x80070057]),
        ([ROLLBACK, *TRIED, CLEARED], [0x80070057]),
    ],
)
def test_what_the_next_start_went_through_has_not_failed(messages: list[str], codes: list[int]) -> None:
    assert [one.code for one in read("".join(STACK.format(message) for message in messages)) if one.code] == codes


def test_an_error_within_a_repair_is_of_the_repair() -> None:
    messages = [
        "Failed to create CSI transaction with id: A pending repair transaction already exists [HRESULT = 0x80070bc9 - X]",
        "Exec: Processing complete, session(Corruption Detecting): 31034770_648112869 [HRESULT = 0x80070bc9 - X]",
    ]
    seen = read("".join(STACK.format(message).replace("Info ", "Error") for message in messages))
    assert {(one.layer, one.code) for one in seen} == {("store", 0x80070BC9)}


def test_a_feature_on_demand_is_no_update() -> None:
    package = "Lab-Basic-Package~31bf3856ad364e35~amd64~~10.0.1.1"
    about = f"Session: 31069300_2212357542, Package: {package}, Identifier: KB777778"
    (seen,) = read(STACK.format(f"Exec: Processing complete.  {about} [HRESULT = 0x8024402c]"))
    assert (seen.code, seen.name, seen.kb) == (0x8024402C, package, None)


def test_a_package_that_is_looked_up_and_not_there_is_no_failure() -> None:
    lookup = "Failed to resolve package 'Lab-{}-Package~31bf3856ad364e35~amd64~~10.0.1.1' [HRESULT = 0x80070490 - ERROR_NOT_FOUND]"
    lookups = "".join(STACK.format(lookup.format(name)).replace("Info ", "Error") for name in ("One", "Two"))
    assert read(lookups) == []
    ended = STACK.format("Exec: Processing complete.  Session: 1111_2222, Package: Lab-One-Package~31bf [HRESULT = 0x80070490 - X]")
    assert [(one.code, one.name) for one in read(lookups + ended)] == [(0x80070490, "Lab-One-Package~31bf")]


def test_what_a_search_found_in_several_logs_is_read_by_their_age() -> None:
    csi = "2025-11-{} 00:00:00, Info                  CSI    00000001 {}\n"
    clean = csi.format(24, "[SR] Repairing 0 components") + csi.format(24, "[SR] Repair complete")
    before = "C:\\Windows\\Logs\\CBS\\CbsPersist_20251123.log:"
    seen = read(clean + before + csi.format(23, SR))
    assert [one.marker for one in seen] == ["sr_cannot_repair", "sr_repaired"]


def test_a_damaged_file_whose_component_was_cut_off_is_named() -> None:
    (seen,) = read(f"{DAY}Info                  CSI    00000001 {SR.partition(' of ')[0]}")
    assert seen.name == "lab.dll"


BOMBS = [
    "[SR] Cannot repair x\n", "[HRESULT = \n", "(f) CBS A\n", "(fix) CBS A\n(f) CBS MUM Missing 0x00000002 s\\x.mum\n", "> " * 900 + "Error\n",
    "2025-11-24 00:00:00, Error CSI (F) Hydration failed for component a, " + " on file a" * 180 + "\n", "C:\\" + "a b" * 60 + ": Error  x\n",
    "2025-11-24 00:00:00, Error                 CBS   Failed a~b [HRESULT = 0x80073712 - X]\n", "Found 3 errors\n",
]  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS, ids=range(len(BOMBS)))
def test_time_is_linear(bomb: str) -> None:
    def cost(size: int) -> float:
        data = (bomb * (size // len(bomb) + 1)).encode()
        start = time.process_time()
        logs.read(data, "CBS.log")
        return time.process_time() - start

    cost(20_000)
    small, large = cost(100_000), cost(400_000)
    assert large < 0.3 or large < small * 12
