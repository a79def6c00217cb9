# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The update agent's logs: what single lines mean, what is one failure, and when it was. Whole files are in tests/cases/logs."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import logs
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.observation import Observation
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.readers import dates as log_dates
from hypothesis import given, settings
from hypothesis import strategies as st

CASES = Path(__file__).resolve().parents[2] / "cases/logs"
ONE, TWO, PART = (f"{digit * 8}-1111-4222-8333-444455556666" for digit in "ABC")
CALL = "{11111111-2222-4333-8444-555555555555}"
T0 = 1_557_136_800  # 2019-05-06 10:00:00 UTC

Line = tuple[int, str, str, str]


def old(*lines: Line, day: str = "2019-05-06") -> list[Observation]:
    """Lines of the old form: second, thread, component, message."""
    text = [f"{day}\t10:00:{second:02d}:100\t 812\t{thread}\t{part}\t{message}\n" for second, thread, part, message in lines]
    return logs.read("".join(text).encode(), "WindowsUpdate.log", 0)


def new(*lines: Line) -> list[Observation]:
    """Lines of the new form."""
    text = [f"2019/05/06 10:00:{second:02d}.1234567 812   {thread:<5} {part:<15} {message}\n" for second, thread, part, message in lines]
    return logs.read("".join(text).encode(), "WindowsUpdate.log", 0)


def told(seen: list[Observation]) -> list[tuple[str, str, int | None, str | None]]:
    return [(one.layer, one.outcome, one.code, one.update) for one in seen]


def start(what: str, who: str = "AutomaticUpdates") -> str:
    return f"** START **  Agent: {what} [CallerId = {who}]"


def end(what: str, who: str = "AutomaticUpdates") -> str:
    return f"**  END  **  Agent: {what} [CallerId = {who}]"


# --- the old form


@pytest.mark.parametrize(
    ("what", "layer"), [("Finding updates", "scan"), ("Installing updates", "install"), ("Downloading updates", "download")]
)
def test_an_operation_is_told_by_its_banner(what: str, layer: str) -> None:
    (good,) = old((0, "a1", "Agent", start(what, "CcmExec")), (1, "a1", "Agent", end(what, "CcmExec")))
    assert (good.layer, good.outcome, good.code, good.caller, good.place) == (layer, "ok", None, "CcmExec", 1)
    (bad,) = old((0, "a1", "Agent", start(what)), (1, "a1", "Agent", "  * WARNING: Exit code = 0x8024401C"), (2, "a1", "Agent", end(what)))
    assert (bad.layer, bad.outcome, bad.code, bad.time) == (layer, "failed", 0x8024401C, T0 + 1)


def test_a_start_is_not_needed_and_an_end_is_not_either() -> None:
    code = (1, "a1", "Agent", "  * WARNING: Exit code = 0x80070643")
    (cut,) = old(code, (2, "a1", "Agent", end("Installing updates")))
    assert (cut.layer, cut.code) == ("install", 0x80070643)
    (open_end,) = old((0, "a1", "Agent", start("Installing updates")), code)
    assert (open_end.layer, open_end.code) == ("install", 0x80070643)


def test_a_code_without_banners_is_what_the_thread_spoke_of() -> None:
    code = (1, "a1", "Agent", "  * WARNING: Exit code = 0x80070005")
    assert [one.layer for one in old((0, "a1", "Agent", "  * WARNING: Failed to synchronize, error = 0x80070005"), code)] == ["scan"]
    assert [one.layer for one in old(code)] == ["install"]
    assert [one.layer for one in old((1, "a1", "Agent", "  * WARNING: Exit code = 0x8024402C"))] == ["scan"]


def test_a_service_that_ends_is_no_operation() -> None:
    assert (
        old(
            (0, "a1", "Service", "** START **  Service: Service startup"),
            (1, "a1", "Service", "**  END  **  Service: exit [Exit code = 0x240001]"),
        )
        == []
    )


def test_threads_keep_operations_apart() -> None:
    seen = old(
        (0, "a1", "Agent", start("Finding updates")),
        (1, "b2", "Agent", start("Installing updates")),
        (2, "b2", "Agent", "  * WARNING: Exit code = 0x80070643"),
        (3, "a1", "Agent", end("Finding updates")),
        (4, "b2", "Agent", end("Installing updates")),
    )
    assert sorted(told(seen)) == [("install", "failed", 0x80070643, None), ("scan", "ok", None, None)]


@pytest.mark.parametrize(
    ("words", "layer"),
    [
        ("Searching for update", "scan"),
        ("installing updates", "install"),
        ("to install updates", "install"),
        ("downloading updates", "download"),
    ],
)
def test_the_client_line_alone_is_enough(words: str, layer: str) -> None:
    (seen,) = old((0, "a1", "Agent", f"WARNING: WU client failed {words} with error 0x8024000e"))
    assert (seen.layer, seen.outcome, seen.code) == (layer, "failed", 0x8024000E)


def test_two_failures_of_one_kind_of_line_are_two() -> None:
    line = "WARNING: WU client failed Searching for update with error 0x80072ee2"
    (seen,) = old((0, "a1", "Agent", line), (30, "a1", "Agent", line))
    assert seen.count == 2


def test_automatic_updates_name_what_failed() -> None:
    seen = old(
        (0, "a1", "AU", f">>##  RESUMED  ## AU: Download update [UpdateId = {{{ONE}}}, succeeded]"),
        (1, "a1", "AU", f">>##  RESUMED  ## AU: Installing update [UpdateId = {{{TWO}}}]"),
        (2, "a1", "AU", "  # WARNING: Install failed, error = 0x80070005 / 0x80070005"),
    )
    assert told(seen) == [("download", "ok", None, ONE.lower()), ("install", "failed", 0x80070005, TWO.lower())]


def test_a_part_of_a_bundle_is_the_bundle() -> None:
    seen = old(
        (0, "a1", "Agent", "  *   Title = A Rollup (KB4500331)"),
        (0, "a1", "Agent", f"  *   UpdateId = {{{ONE}}}.200"),
        (0, "a1", "Agent", "  *     Bundles 1 updates:"),
        (0, "a1", "Agent", f"  *       {{{PART}}}.200"),
        (1, "b2", "Handler", f"Starting install of CBS update {PART}"),
        (2, "b2", "Handler", "Completed install of CBS update with type=0, requiresReboot=1, installerError=0, hr=0x0"),
    )
    assert [(one.update, one.kb, one.title) for one in seen] == [(ONE.lower(), "KB4500331", "A Rollup (KB4500331)")]


def test_nothing_to_install_is_no_failure() -> None:
    assert old(
        (0, "a1", "COMAPI", "-- START --  COMAPI: Install [ClientId = <NULL>]"),
        (1, "a1", "COMAPI", "  - WARNING: Exit code = 0x80240024"),
        (2, "a1", "COMAPI", "--  END  --  COMAPI: Install [ClientId = <NULL>]"),
    ) == []  # fmt: skip


def test_what_never_reached_the_agent_is_told_by_the_interface() -> None:
    (seen,) = old(
        (0, "a1", "COMAPI", "-- START --  COMAPI: Search [ClientId = Lab]"),
        (1, "a1", "COMAPI", "  - WARNING: Exit code = 0x00000000, Result code = 0x80070422"),
        (2, "a1", "COMAPI", "--  END  --  COMAPI: Search [ClientId = Lab]"),
    )
    assert (seen.layer, seen.code, seen.caller) == ("scan", 0x80070422, "Lab")


def test_a_report_tells_the_zone_of_the_whole_log() -> None:
    row = f"REPORT EVENT: {{{TWO}}}\t2019-05-06 12:00:00:200+0200\t1\t147\t101\t{{{ONE}}}\t1\t0\tX\tSuccess\tContent\tx\tv.1"
    text = f"2019-05-06\t12:00:00:100\t1\ta\tAgent\t{end('Finding updates')}\n2019-05-06\t12:00:01:100\t1\ta\tReport\t{row}\n"
    seen = logs.read(text.encode())
    assert {one.time for one in seen} == {T0}
    assert [one.bound_s for one in seen] == [3600, 0]


# --- the new form


def test_a_failed_download_names_its_update_and_is_one() -> None:
    (seen,) = new(
        (0, "a1", "DownloadManager", "*FAILED* [80096010] Failed to postprocess the file: URL = 'x'"),
        (0, "a1", "DownloadManager", f"DO job {CALL} failed, updateId = {ONE}.1, hr = 0x80096010. File URL = x"),
        (0, "a1", "DownloadManager", f"*FAILED* [80096010] Error occurred while downloading update {ONE}.1; notifying dependent calls."),
        (1, "a1", "Agent", f"WU client calls back to download call {CALL} with code Call complete and error 0x80096010"),
    )
    assert (seen.layer, seen.code, seen.update, seen.count, seen.place) == ("download", 0x80096010, ONE.lower(), 1, 0)


def test_two_updates_that_fail_alike_are_two() -> None:
    failed = "*FAILED* [80D02002] Error occurred while downloading update {}.1; notifying dependent calls."
    assert len(new((0, "a1", "DownloadManager", failed.format(ONE)), (0, "a1", "DownloadManager", failed.format(TWO)))) == 2


def test_a_file_that_was_loaded_again_is_no_failure_but_one_of_an_open_call_is() -> None:
    progress, complete = (
        f"WU client calls back to download call {{}} with code Call {word} and error 0" for word in ("progress", "complete")
    )
    other = CALL.replace("1111", "7777")
    file = (2, "a1", "DownloadManager", "*FAILED* [80246002] Failed to postprocess the file: URL = 'x'")
    begun = (0, "a1", "Agent", progress.format(CALL))
    assert new(begun, file, (3, "a1", "Agent", complete.format(CALL))) == []
    assert len(new(begun, (1, "a1", "Agent", progress.format(other)), file, (3, "a1", "Agent", complete.format(CALL)))) == 1
    assert len(new(file, (3, "a1", "Agent", complete.format(CALL)))) == 1


def test_errors_on_the_way_stand_beside_the_end_of_a_call() -> None:
    call = f"WU client calls back to download call {CALL} with code Call "
    (seen,) = new((0, "1", "Agent", call + "progress and error 0x80244018"), (1, "1", "Agent", call + "complete and error 0x80d05001"))
    assert (seen.code, seen.related) == (0x80D05001, (0x80244018,))


@pytest.mark.parametrize(
    "line",
    [
        f"Deploy call {TWO} : deployment callback for top-level update {ONE}.1, callback code = Update failed, reboot required = no, "
        "commit required = No, mapped result = 0x80070643, unmapped result = 0x800F0828",
        f"LogHistory called. idUpdate={{{ONE}}}.1, resultMapped=80070643, resultUnMapped=800F0828",
    ],
)
def test_a_result_has_the_code_that_people_see_and_the_inner_one(line: str) -> None:
    (seen,) = new((0, "a1", "Agent", line))
    assert (seen.layer, seen.outcome, seen.code, seen.related, seen.update) == ("install", "failed", 0x80070643, (0x800F0828,), ONE.lower())


def test_a_wrapper_gives_way_to_what_it_wraps() -> None:
    lines = [
        (0, "a1", "UDP", f"Deployment job Id {TWO} : Method failed for update {ONE}.1, hrDeploy = 0x8024200b"),
        (1, "a1", "Handler", f"*FAILED* [800F024B] Driver Install of {{{ONE}}} on pci (mapping to error 8024200B)"),
    ]
    for order in (lines, lines[::-1]):
        (seen,) = new(*[(0, *line[1:]) for line in order])
        assert (seen.code, seen.related, seen.count) == (0x800F024B, (0x8024200B,), 1)
    (alone,) = new(lines[0])
    assert alone.code == 0x8024200B


@pytest.mark.parametrize(
    "line",
    [
        f"Deploy call {TWO} : NotifyClient (1)(0) called for update id {ONE}.1, code = Update success, percent complete = 100",
        f"LogHistory called. idUpdate={{{ONE}}}.1, resultMapped=00000000, resultUnMapped=00000000",
        f"Install complete for update ID: {ONE}.1 Return code is 0x00240005. Requires Reboot:Yes",
    ],
)
def test_an_installation_that_went_well(line: str) -> None:
    assert told(new((0, "a1", "Agent", line))) == [("install", "ok", None, ONE.lower())]


# --- times


@pytest.mark.parametrize(
    ("dates", "order"),
    [
        (["2024/05/06"], "ymd"),
        (["05/06/2024", "13/06/2024"], "dmy"),
        (["05/06/2024", "06/13/2024"], "mdy"),
        (["30/11/24"], "dmy"),
        (["05/06/2024"], None),
        # Each order goes back once, the other never.
        (["10/01/2024", "05/02/2024"], "dmy"),
        (["01/10/2024", "02/05/2024"], "mdy"),
        # A day apart by one order, a month by the other.
        (["01/04/2024", "02/04/2024", "03/04/2024"], "dmy"),
        (["04/01/2024", "04/02/2024", "04/03/2024"], "mdy"),
        (["03/04/2024", "03/05/2024"], None),
        ([], None),
    ],
)
def test_the_order_of_dates_is_told_by_the_log(dates: list[str], order: str | None) -> None:
    fields = [(one.split("/")[0], one.split("/")[1], one.split("/")[2]) for one in dates]
    assert log_dates.order_of(fields) == order


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2019/05/06 10:00:00.0000000", T0),
        ("2019-05-06 10:00:00.0000000", T0),
        ("2019. 05. 06. 10:00:00.0000000", T0),
        ("2019.05.06 10.00.00.0000000", T0),
        ("2562/05/06 10:00:00.0000000", T0),
        ("1398/02/16 10:00:00.0000000", None),
        ("13/05/2019 10:00:00.0000000", T0 + 7 * 86400),
        ("5/13/2019 10:00:00.0000000 AM", T0 + 7 * 86400),
        ("5/13/2019 12:00:00.0000000 a.m.", T0 + 7 * 86400 - 10 * 3600),
        ("5/13/2019 10:00:00.0000000 PM", T0 + 7 * 86400 + 12 * 3600),
        ("05/05/2019 10:00:00.0000000", T0 - 86400),
        ("05/06/2019 10:00:00.0000000", None),
        ("2019/13/45 10:00:00.0000000", None),
        ("2019/05/06 25:00:00.0000000", None),
    ],
)
def test_a_time_is_read_in_any_culture_or_not_at_all(text: str, moment: int | None) -> None:
    line = f"{text} 812\ta1   Agent   * END * Finding updates CallerId = X, Id = 3, Exit code = 0x8024402C (cV = a.1.0)\n"
    assert logs.kind_of(line.encode()) == "wulog"
    (seen,) = logs.read(line.encode(), zone_offset_s=0)
    assert (seen.time, seen.code, seen.place) == (moment, 0x8024402C, 0)


# --- whatever comes


FILES = sorted(path for family in ("wulog", "reporting", "cmtrace") for path in (CASES / family).iterdir())


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(FILES),
    st.integers(0, 900),
    st.integers(0, 900),
    st.sampled_from(["utf-8", "utf-16", "utf-16-be", "utf-8-sig", "cp1252"]),
    st.booleans(),
)
def test_any_cut_in_any_encoding_is_read(path: Path, head: int, tail: int, encoding: str, joined: bool) -> None:
    text = logs.decode(path.read_bytes())
    if joined:
        text = text.replace("\n", "")
    data = text.encode(encoding, "replace")
    data = data[head : len(data) - tail]
    for seen in logs.read(data, path.name):
        assert len(seen.line) <= 200


BOMBS = [
    "2024/05/06 10:00:01.1000000 1 1 Agent * END * Finding updates " * 40 + "\n",
    "2019-03-04\t09:00:01:100\t 812\ta10\tAgent\t" + "** START ** " * 150 + "\n",
    "{" + "A" * 36 + "}\t" + "a\t" * 900 + "\n", "1 " * 900 + "a_cpp1 [\n", "x 1 1 " + "a_cpp1" * 300 + "\n",
    "FATAL: OnCallFailure" * 90 + "\n",
    "2024/05/06 10:00:01.1000000 1 1 Agent   Title = " + "x " * 900 + "\n",
    "2024/05/06 10:00:01.1000000 1 1 DownloadManager *FAILED* [80096004] Failed to postprocess the file: x\n",
    "<![LOG[" * 10 + "]LOG]!>",
    '<![LOG[Scan failed with error = 0x80240438.]LOG]!><time="10:00:00.000+000" date="01-02-2026" component="WUAHandler">\n',
    "x $$<" * 300 + "\n",
    " " * 1900 + "x 12 (0x0C)\n",
    "1.2.2024 " * 200 + "\n",
]  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS, ids=range(len(BOMBS)))
def test_time_is_linear(bomb: str) -> None:
    def cost(size: int) -> float:
        data = (bomb * (size // len(bomb) + 1)).encode()
        start = time.process_time()
        logs.read(data)
        return time.process_time() - start

    cost(20_000)
    small, large = cost(100_000), cost(400_000)
    assert large < 0.5 or large < small * 12


def test_lines_that_end_with_a_carriage_return_alone() -> None:
    messages = [
        "** START **  Agent: Finding updates [CallerId = AutomaticUpdates]",
        "WARNING: WU client failed Searching for update with error 0x8024402c",
    ]
    text = "".join(f"2019-05-06\t10:00:00:100\t 812\t9\tAgent\t{message}\r" for message in messages)
    (seen,) = logs.read(text.encode(), "WindowsUpdate.log", 0)
    assert (seen.layer, seen.code) == ("scan", 0x8024402C)
