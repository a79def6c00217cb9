# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Logs of set-up, Sysprep and SetupDiag: what they are recognised by, what they say, and the same under cuts, encodings and rubbish."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import findings, logs, routing
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.observation import Observation
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.sections import LogKind
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.situation import Settings, Situation
from unit.plugin_utils.documents import look

CASES = sorted((Path(__file__).resolve().parents[2] / "cases/logs/setup").iterdir())
OURS = ("setup", "device setup", "setupdiag", "compat")
NOW = 1_795_000_000


def line(message: str, level: str = "Info", part: str = "MOUPG", clock: str = "10:00:00", code: str = "") -> str:
    return f"2026-03-14 {clock}, {level:<10} {code:<10} {part:<6} {message}\r\n"


def read(text: str, name: str = "setupact.log") -> list[Observation]:
    return logs.read(text.encode(), name)


def finals(text: str) -> list[tuple[str, int | None, str | None]]:
    return [(one.outcome, one.code, one.name) for one in read(text) if one.marker == "final"]


# --- what it is recognised by ---


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.name)
def test_every_file_is_known_for_what_it_is(path: Path) -> None:
    assert logs.kind_of(path.read_bytes(), path.name) in OURS


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-14 10:00:00, Info                  CBS    Session: 1_2 initialized\n" * 40 + line("Only one"),
        "2026-03-14 10:00:00, Error                 CSI    00000001 (F) HRESULT_FROM_WIN32(14098) #1#\n",
        "2026-03-14 10:00:00, Info                  DISM   PID=1 TID=2 Scratch directory set\n",
        "00000015 [SR] Cannot repair member file [l:9]'a.dll' of B, hash mismatch\n",
    ],
)
def test_a_log_of_the_servicing_stack_stays_one(text: str) -> None:
    assert logs.kind_of(text.encode(), "x.log") == "servicing"


@pytest.mark.parametrize(
    "text", ["", "\r\n", "a letter about an upgrade that failed, 0xC1900101\r\n", "{}", "<a/>", "SP 1 is out\n", "setupact"]
)
def test_what_is_no_log_is_refused_whatever_its_name(text: str) -> None:
    for name in ("x.txt", "setupact.log", "setuperr.log"):
        assert logs.kind_of(text.encode(), name) is None


def test_a_log_that_is_called_by_set_up_is_its_own_though_the_stack_tells_most() -> None:
    stack = "2026-03-14 10:00:00, Error                 CBS    Failed to add lab [HRESULT = 0x800f081f - X]\n" * 60
    text = (stack + line("CSetupManager::Lab(1): Result = 0x80070002", "Error")).encode()
    assert [logs.kind_of(text, name) for name in ("setuperr.log", "CBS.log")] == ["setup", "servicing"]
    assert {one.marker for one in logs.read(text, "setuperr.log")} == {"on_the_way"}


def test_what_set_up_logs_of_its_diagnostics_tool_is_no_result_of_that() -> None:
    tool = 'SetupHost: Using Diagnostic tool: ["SetupDiag.exe" /RegPath:HKEY_LOCAL_MACHINE\\SYSTEM\\Setup\\SetupDiag\\Results]'
    assert logs.kind_of((line(tool) + "SetupDiag reports nothing\n").encode(), "x.log") == "setup"


# --- the result ---


def test_one_try_has_one_result_whoever_repeats_it() -> None:
    text = "".join(
        line(message)
        for message in (
            "ImageExit: Initializing SetupResult: [0x80070032]",
            "ImageExit: Initializing Extended:    [0x50013]",
            "Finalize: Remapping install error [0x80070032] -> [0xC1900108] for telemetry.",
            "Finalize: Reporting result value: [0xC1900108]",
            "SetupNotify: Specifying extended data [0x50013] for error [0x80070032].",
        )
    )
    (seen,) = read(text)
    assert (seen.code, seen.name, seen.count, seen.related) == (0x80070032, "0x50013", 1, (0xC1900108,))
    assert (seen.place, seen.line) == (5, "SetupNotify: Specifying extended data [0x50013] for error [0x80070032].")


def test_each_command_line_begins_another_try() -> None:
    begin = line("SetupHost::Initialize: CmdLine                = [/Install /Media]")
    failed = line("SetupHost: Reporting error event -> [0xC1900101, 0x2000C]")
    rolled_back = line("SetupHost::Initialize: CmdLine                = [/RollbackSys /Media]") + failed
    (seen,) = read(begin + failed + rolled_back + begin + failed)
    assert seen.count == 2


@pytest.mark.parametrize(
    ("messages", "outcome"),
    [
        (["Finalize: Reporting result value: [0x0]"], ["ok"]),
        (["Finalize: Successfully completed the downlevel phase", "Finalize: Reporting result value: [0x0]"], []),
        (["Finalize: Reporting result value: [0x0]", "SetupHost: Reporting pending reboot event"], []),
        (["ImageExit: Initializing SetupResult: [0x0]", "ImageExit: Initializing PostReboot:  [FALSE]"], []),
        (["Finalize: Reporting result value: [0x0]", "Finalize: Reporting result value: [0xC1900101]"], ["failed"]),
        (["Finalize: Reporting result value: [0xC1900101]", "Current result: 0x0"], ["failed", "ok"]),
        (["Current result: Unknown"], []),
    ],
)
def test_only_the_end_of_all_is_a_success(messages: list[str], outcome: list[str]) -> None:
    assert [said for said, _code, _name in finals("".join(map(line, messages)))] == outcome


def test_a_host_sends_no_proof_that_a_good_result_was_the_last_one() -> None:
    groups = [LogKind(last=line(message)) for message in ("Current result: 0xC1900101", "Finalize: Reporting result value: [0x0]")]
    seen = logs.read_lines("setup", groups, name="C:\\Windows\\Panther\\setupact.log")
    assert [(one.outcome, one.code) for one in seen] == [("failed", 0xC1900101)]


def test_set_up_that_leaves_itself_to_begin_anew_has_no_result() -> None:
    assert finals(line("CSetupHost::Execute(433): Result = 0x800705BB", "Error")) == []
    assert finals(line("CSetupHost::Execute(433): Result = 0x80070002", "Error")) == [("failed", 0x80070002, None)]


def test_what_the_user_left_is_cancelled() -> None:
    for code in (0x800704C7, 0x800704D3, 0xC1800108, 0xC190020D, 0xC1900110, 0xC1900201):
        assert finals(line(f"SetupHost: Reporting error event -> [0x{code:X}, 0x10018]"))[0][0] == "cancelled"


def test_the_upgrade_is_never_asked_to_be_allowed_where_a_driver_is_named() -> None:
    host = Situation(host=True, client=True)
    assert routing.answer_for(routing.Failure("upgrade", 0xC1900101, name="0x30018"), host).attempt == "osupgrade"
    named = routing.answer_for(routing.Failure("upgrade", 0xC1900101, name="0x30018 exampleflt.sys"), host)
    assert (named.attempt, named.step) == (None, "admin:setup_named_driver")
    assert routing.answer_for(routing.Failure("upgrade", 0x800704C7), host).attempt is None


@pytest.mark.parametrize(
    ("names", "joined"),
    [
        (["0x30018", "0x20017 a.sys"], "0x30018 a.sys"),
        (["phase Safe OS", "0x2000C"], "0x2000C"),
        (["phase Safe OS", None], "phase Safe OS"),
        (["phase Safe OS", "a.sys"], "a.sys"),
        ([None], None),
    ],
)
def test_results_of_one_upgrade_have_one_name(names: list[str | None], joined: str | None) -> None:
    assert routing.phase_and_culprit(names) == joined


def test_a_report_of_what_blocks_names_it_beside_the_result() -> None:
    report = (
        '<CompatReport><Programs><Program Name="Example Guard"><CompatibilityInfo BlockingType="Hard"/></Program></Programs></CompatReport>'
    )
    both = read(line("SetupHost: Reporting error event -> [0xC1900208, 0x10003]")) + read(report, "CompatData_1.xml")
    (found,) = findings.from_observations(both, Settings(), NOW)
    assert (found.code, found.name) == ("0xC1900208", "0x10003 Example Guard")
    assert "Example Guard" in found.next_step


# --- Sysprep ---


def test_sysprep_is_told_of_where_its_log_is_given_and_is_no_fault_of_a_host() -> None:
    (seen,) = read(line("WinMain:Hit failure while processing cleanup; hr = 0x80310039", "Error", "SYSPRP", code="[0x0f00ae]"))
    (alone,) = findings.from_observations([seen], Settings(), NOW)
    assert (alone.active, dict(alone.answer)) == (True, {"owner": "admin"})
    on_a_host = [one for one in findings.diagnose(look(), Settings(), [seen]).findings if one.subject == "sysprep"]
    assert [one.notice for one in on_a_host] == [True]


def test_sysprep_without_a_code_or_an_app_tells_nothing() -> None:
    assert read(line("Something failed", "Error", "SYSPRP") + line("All is well: 0x80070002", "Info", "SYSPRP")) == []


# --- SetupDiag ---


@pytest.mark.parametrize(
    ("said", "code", "name"),
    [
        ("Error: 0xC1900101 - 0x50016", 0xC1900101, "0x50016"),
        ("Error = 0x8007000d-0x2000c", 0x8007000D, "0x2000C"),
        ("RollbackErrorCode = 0x800736CC, ExtendedCode = 0x20003", 0x800736CC, "0x20003"),
        ("DiskSpace = 20003, ErrorCode = 0xC190020E, ExCode = 0x4001E", 0xC190020E, "0x4001E"),
        ("Err = 0x00000057, LastOperation = Gather data, LastPhase = Downlevel", 0x80070057, "phase Downlevel"),
        ("Error: 0x00000000", None, None),
    ],
)
def test_setupdiag_writes_its_code_in_many_ways(said: str, code: int | None, name: str | None) -> None:
    (seen,) = read(f"Error: SetupDiag reports rollback failure found.\n{said}\n", "x.txt")
    assert (seen.code, seen.name, seen.marker) == (code, name, "final" if code else "setup_failed")


def test_setupdiag_has_the_time_of_the_line_that_it_quotes() -> None:
    (seen,) = read(f"Matching Profile found: FindRollbackFailure - 3A\nLogEntry: {line('x', 'Error')}", "x.txt")
    assert seen.time == 1773482400


# --- robust ---


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.name)
def test_no_cut_and_no_encoding_invents_a_code(path: Path) -> None:
    data = path.read_bytes()
    text = logs.decode(data)
    whole = {one.code for one in logs.read(data, path.name)}
    for encoding, nl in (("utf-8", "\n"), ("utf-8-sig", "\r\n"), ("utf-16", "\r\n"), ("utf-16-le", "\n")):
        again = text.replace("\r\n", "\n").replace("\n", nl).encode(encoding)
        assert {one.code for one in logs.read(again, path.name)} == whole, encoding
    chance = random.Random(path.name)
    for _time in range(12):
        start, end = sorted(chance.sample(range(len(data) + 2), 2))
        cut = {one.code for one in logs.read(data[start:end], path.name)}
        # A cut may lose the success, the try's other code, or the half of a number: never more than it had.
        assert len(cut) <= len(whole) + 2


RUBBISH = [
    "2026-03-14 10:00:00, Error                 SP     " + "C:\\" + "a\\" * 900 + "\n",
    "2026-03-14 10:00:00, Error      [0x0f0082] SYSPRP Package " + "a" * 1900 + "\n",
    "2026-03-14 10:00:00, Info                  MOUPG  block " + "Name=" * 380 + "\n",
    "Error = 0xC1900101" + "-" * 1900 + "SetupDiag reports \n",
    '<CompatReport><Program Name="' + "x" * 1900 + "\n",
    "<SetupDiag><FailureData>" + "a.b-" * 470 + "\n",
    '{"ProfileGuid":"' + "\\\\" * 900 + "\n",
    '"ProfileGuid":[[[[' + "[" * 1900 + "\n",
    '[HKEY_LOCAL_MACHINE\\SYSTEM\\Setup\\SetupDiag\\Results]\n"FailureData"=hex(7):' + "41,00," * 300 + "\n",
    "AudMig: " * 240 + "\n",
    "dispci.dll:  " + " " * 1900 + "Error \n",
    "CSetupHost<" * 170 + "::Execute(1): \n",
    "x Info" + " " * 24 + "\n Error MOUPG  y",
]


@pytest.mark.parametrize("repeated", RUBBISH, ids=lambda text: text[:24].strip())
def test_pathological_text_takes_no_longer_than_a_second_a_megabyte(repeated: str) -> None:
    data = (repeated * (1_000_000 // len(repeated))).encode()
    for name in ("x.log", "setupact.log", "SetupDiagResults.xml"):
        began = time.process_time()
        logs.read(data, name)
        assert time.process_time() - began < 2.0
