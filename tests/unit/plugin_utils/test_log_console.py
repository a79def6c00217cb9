# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Console output: what each program wrote is told by structure, in any language and encoding; the rest is none of it.

One file a fault stands in tests/cases/logs/console; here is what many of them have in common, and how much a reader must bear.
"""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import logs
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.observation import OK, Observation
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.readers.console import console, is_console
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.readers.console_screen import Screen
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.readers.records import Collector

CASES = Path(__file__).resolve().parents[2] / "cases/logs/console"
PASTES = sorted(path for path in CASES.iterdir() if not path.name.startswith("prose"))
LIMIT_S = 1.0  # of processor time, for one MB
PATHOLOGICAL = {
    "colons": ":", "brackets": "[=", "bars": "[==100.0%==]", "labels": "Error: 0x80070002\n", "versions": "Version: 10.0.19041.1\n",
    "precision": ": -23 (119.209ns)\n", "numbers": ": 1 (x)\n", "seconds": "a: 1.0000000s\nb: 1 (\n", "samples": "12:35:27 ",
    "hosts": "a[1.1.1.1:123] NTP: error ERROR_TIMEOUT\n", "records": "CategoryInfo : [Get-WindowsUpdate]\n", "spread": "a ",
    "services": "SERVICE_NAME: wuauserv\nT : 20 WIN32\nS : 4 DISABLED\n", "table": "---- ---- ----\nwuauserv Disabled\n",
    "options": "dism /a /b /c /d ", "returns": "a\r", "drivers": ": oem1.inf\n{4d36e97d-", "refused": "a: a.inf\nb: c\n",
    "folders": "a: /a.inf/a", "blanks": " ", "letters": "a",
    "wusa": "wusa a.msu\n", "sentences": "Windows Resource Protection found corrupt files but was unable to fix some of them. ",
}  # fmt: skip


def read(text: str) -> list[Observation]:
    out = Collector(None, "console")
    console(text, out)
    return out.result()


def paste(name: str) -> str:
    return logs.decode((CASES / name).read_bytes())


@pytest.mark.parametrize("name", PATHOLOGICAL)
def test_no_text_takes_long(name: str) -> None:
    piece = PATHOLOGICAL[name]
    text = piece * ((1 << 20) // len(piece))
    begun = time.process_time()
    is_console(text[:400_000], "")
    read(text)
    # Recognising and reading, and a machine that is busy: what is not linear takes minutes.
    assert time.process_time() - begun < 4 * LIMIT_S


@pytest.mark.parametrize("path", PASTES, ids=lambda path: path.name)
def test_cut_joined_and_wrong_encodings_never_raise(path: Path) -> None:
    data, dice = path.read_bytes(), random.Random(path.name)
    for _try in range(6):
        cut = data[dice.randrange(len(data)) :][: dice.randrange(len(data) + 1)]
        for given in (cut, cut.replace(b"\r\n", b" "), cut[::-1], cut.decode("utf-8", "replace").encode("utf-16-le")):
            logs.read(given, path.name)
            logs.kind_of(given, path.name)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n", "\n\n"])
def test_line_ends_change_nothing(end: str) -> None:
    for name in ("dism-restorehealth.txt", "w32tm-ru-unsynced.txt", "sc-wuauserv-disabled.txt", "powershell-search.txt"):
        text = paste(name).replace("\r\n", "\n")
        told = [(one.layer, one.code, one.marker, one.name) for one in read(text.replace("\n", end))]
        assert told == [(one.layer, one.code, one.marker, one.name) for one in read(text)]
        assert told


def test_every_failure_has_its_line_and_place() -> None:
    for path in PASTES:
        for one in logs.read(path.read_bytes(), path.name):
            assert one.line, path.name
            assert one.place is not None, path.name


@pytest.mark.parametrize("name", sorted(path.name for path in CASES.glob("prose*")))
def test_prose_is_no_console(name: str) -> None:
    assert not is_console(paste(name), name)


@pytest.mark.parametrize(
    "text",
    [
        "Please run DISM /Online /Cleanup-Image /RestoreHealth; Error: 0x800f081f means that files are missing.",
        "Details are in C:\\Windows\\Logs\\CBS\\CBS.log; sfc /scannow found nothing.",
        "The clock was wrong (0x80072AF9), w32tm /resync helped.",
        "Get-WindowsUpdate never worked here, 0x80240438",
        "Windows Resource Protection is a feature of Windows.",
        "sc config wuauserv start= disabled",
        "progress 100.0% [done] Error 5: nothing",
        "",
    ],
)
def test_a_code_or_a_command_in_a_sentence_is_none(text: str) -> None:
    assert not is_console(text, "")


def test_a_finished_bar_is_believed_after_a_failure_alone() -> None:
    finished = paste("dism-ja-finished.txt")
    assert read(finished) == []
    both = paste("dism-de-cp850.txt") + finished
    assert [(one.outcome, one.marker) for one in read(both) if one.ok] == [(OK, "store_repaired")]


def test_a_code_behind_another_prompt_is_not_dism_s() -> None:
    text = paste("dism-ja-finished.txt") + "\nC:\\>other.exe\nError: 0x80070005\n"
    assert read(text) == []


def test_what_w32tm_writes_below_is_not_dism_s() -> None:
    text = paste("dism-ja-finished.txt") + "ReferenceId: 0xAC689AB6 (source IP:  172.104.154.182)\n12:35:27, error: 0x800705B4\n"
    assert read(text) == []


def test_the_first_package_that_failed_is_the_cause() -> None:
    text = (
        "Deployment Image Servicing and Management tool\nVersion: 10.0.19041.1\n\nImage Version: 10.0.19045.1\n\n"
        "Processing 1 of 2 - Adding package Package_for_RollupFix~31bf3856ad364e35~amd64~~19041.1.1.1\n"
        "Package_for_RollupFix: The specified image is no longer serviceable.\n Error: 0x8007007f\n"
        "Processing 2 of 2 - Package_for_KB5099007: The specified image is no longer serviceable.\n Error: 0x800f0830\n\nError: 127\n"
    )
    (one,) = read(text)
    assert one.code == 0x8007007F
    assert str(one.name).startswith("Package_for_RollupFix")


def test_two_calls_without_a_prompt_between_them_are_two() -> None:
    call = (
        "Deployment Image Servicing and Management tool\nVersion: 10.0.26100.5074\n\nImage Version: 10.0.26100.6584\n\n"
        "Processing 1 of 1 - Adding package Package_for_{}~31bf3856ad364e35~amd64~~26100.1.1.1\n"
        "[==========================100.0%==========================]\n"
    )
    text = call.format("KB5099008") + "The operation completed successfully.\n\n" + call.format("RollupFix") + "Error: 0x800f081f\n"
    good, bad = read(text)
    assert (good.outcome, good.kb) == (OK, "KB5099008")
    assert (bad.code, bad.kb) == (0x800F081F, None)


def test_places_are_lines_of_the_file_however_long_it_is() -> None:
    screen = Screen("first\n" + "x\n" * 400_000 + "last\n")
    assert screen.pieces[0].place == 1
    assert screen.pieces[-1].place == 400_002


def test_services_that_may_be_off_are_no_failure() -> None:
    for name in ("wlidsvc", "DoSvc", "Fax", "WaaSMedicSvc"):
        assert read(paste("sc-wuauserv-disabled.txt").replace("wuauserv", name)) == []
    for name in ("BITS", "cryptsvc", "UsoSvc"):
        assert [one.code for one in read(paste("sc-wuauserv-disabled.txt").replace("wuauserv", name))] == [0x80070422]


@pytest.mark.parametrize("number", ["0", "1077", "5"])
def test_a_service_that_is_stopped_as_it_should_be(number: str) -> None:
    assert read(paste("sc-es-disabled-stopped.txt").replace("1058  (0x422)", f"{number}  (0x0)")) == []


@pytest.mark.parametrize(
    ("leap", "stratum", "failed"), [("3", "0", True), ("0", "0", True), ("3", "2", True), ("0", "3", False), ("1", "3", False)]
)
def test_leap_and_stratum_say_whether_the_clock_is_synchronised(leap: str, stratum: str, *, failed: bool) -> None:
    text = paste("w32tm-ru-good.txt").replace(": 0(", f": {leap}(").replace(": 3 (", f": {stratum} (")
    assert bool(read(text)) is failed
