# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""DISM.log: a command is one operation with one result, whoever tells it and whatever runs beside it."""


from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import logs
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.observation import Observation

REAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "real" / "dism"


def line(text: str, level: str = "Info", clock: str = "10:00:00") -> str:
    return f"2025-11-24 {clock}, {level:<21} DISM   {text}\r\n"


def command(text: str, clock: str = "10:00:00") -> str:
    return line(f"DISM.EXE: Executing command line: {text}", clock=clock)


def failed(pid: int | None, code: str, word: str = "cleanup-image") -> str:
    process = "" if pid is None else f"PID={pid} TID=9 "
    return line(
        f"DISM Package Manager: {process}Failed while processing command {word}. - CPackageManagerCLIHandler::ExecuteCmdLine(hr:{code})",
        "Error",
    )


END = line("DISM.EXE: <----- Ending Dism.exe session ----->", clock="10:10:00")
REPAIR = "dism /online /cleanup-image /restorehealth"


def read(text: str) -> list[Observation]:
    return logs.read(text.encode(), "dism.log")


def told(seen: list[Observation]) -> list[tuple[str, str, int | None, str | None, str | None]]:
    return [(one.layer, one.outcome, one.code, one.marker, one.name) for one in seen]


def test_a_repair_that_ended_without_an_error_is_a_proof() -> None:
    assert told(read(command(REPAIR) + END)) == [("store", "ok", None, "store_repaired", None)]
    assert read(command(REPAIR)) == [], "it may still be at work, or was ended by force"
    assert read(command(REPAIR.replace("restore", "scan")) + END) == []
    assert read(command(REPAIR.replace("/online", "/onlin")) + END) == [], "nothing was carried out"


@pytest.mark.parametrize("before", ["    ", "> ", "\t"])
def test_a_log_that_is_indented_or_quoted_is_no_console(before: str) -> None:
    noise = line("DISM Provider Store: PID=9 TID=9 Failed to load the provider: C:\\lab.dll. - Lab::Load(hr:0x8007007e)", "Warning")
    begun = line("Initialized Panther logging at C:\\Windows\\Logs\\DISM\\dism.log")
    text = begun + noise + command(REPAIR) + failed(9, "0x800f081f") + END
    alone = read(text)
    assert [one.code for one in alone] == [0x800F081F]
    quoted = "".join(f"{before}{part}" for part in text.splitlines(keepends=True))
    assert (logs.kind_of(quoted.encode()), told(read(quoted))) == ("servicing", told(alone))


@pytest.mark.parametrize("code", ["0x80070057", "0x8007007b", "0x800702e4", "0x80070032"])
def test_a_mistake_of_the_caller_is_no_failure(code: str) -> None:
    assert read(command(REPAIR) + failed(1, code) + END) == []


@pytest.mark.parametrize("code", ["0x800704c7", "0x800f0820"])
def test_what_somebody_ended_is_cancelled(code: str) -> None:
    assert [one.outcome for one in read(command(REPAIR) + failed(1, code) + END)] == ["cancelled"]


def test_a_result_without_a_telling_code_has_the_one_that_the_stack_gave() -> None:
    inner = line("DISM Package Manager: PID=1 TID=2  Error in operation: (null) (CBS HRESULT=0x80073712) - CCbsConUIHandler::Error")
    assert told(read(command(REPAIR) + inner + failed(1, "0x80004005") + END)) == [("store", "failed", 0x80073712, None, None)]


@pytest.mark.parametrize(
    ("text", "name", "kb"),
    [
        ("/enable-feature /featurename:Lab-Web /featurename:Lab-Net", "Lab-Web, Lab-Net", None),
        ("/Enable-Feature /FeatureName:'Lab Web'", "Lab Web", None),
        ('/add-package /packagepath:"C:\\a b\\windows10.0-kb5011111-x64.msu"', "windows10.0-kb5011111-x64.msu", "KB5011111"),
        ("/Add-Capability /CapabilityName:Lab.Tools~~~~0.0.1.0", "Lab.Tools~~~~0.0.1.0", None),
    ],
)
def test_an_installation_names_what_was_asked_for(text: str, name: str, kb: str | None) -> None:
    (seen,) = read(command(f"dism.exe /Online {text}") + failed(1, "0x800f0922", "x") + END)
    assert (seen.layer, seen.name, seen.kb, seen.count) == ("install", name, kb, 1)
    (good,) = read(command(f"dism.exe /Online {text}") + END)
    assert (good.layer, good.outcome, good.name, good.kb) == ("install", "ok", name, kb)


def test_what_was_taken_away_is_no_installation() -> None:
    text = command("dism /online /remove-package /packagename:Package_for_KB5011111~31bf~amd64~~1.1")
    assert read(text + END) == []
    assert read(text + failed(1, "0x800f0825", "remove-package") + END) == []


def test_a_process_belongs_to_the_command_that_waits_for_one() -> None:
    both = command(REPAIR) + command("dism /online /enable-feature /featurename:Lab", "10:00:02")
    text = both + failed(1, "0x800f081f") + failed(2, "0x800f0922", "enable-feature") + failed(1, "0x800f081f")
    assert {(one.layer, one.code, one.name, one.count) for one in read(text)} == {
        ("store", 0x800F081F, None, 1),
        ("install", 0x800F0922, "Lab", 1),
    }


def test_errors_without_their_commands_are_a_result_each() -> None:
    one = failed(None, "0x800f081f") + line(
        "DISM.EXE: DISM Package Manager processed the command line but failed. HRESULT=800F081F", "Error"
    )
    (seen,) = read(one * 3)
    assert (seen.layer, seen.code, seen.count) == ("store", 0x800F081F, 3)


def test_the_stack_speaks_of_the_image_that_dism_works_on() -> None:
    stack = "2025-11-24 10:00:01, Error                 CBS    Failed to load store. [HRESULT = 0x80070020 - ERROR_SHARING_VIOLATION]\r\n"
    offline = command("dism /image:D:\\mount /add-package /packagepath:x.cab") + stack + failed(1, "0x80070020", "add-package")
    (seen,) = read(offline + END)
    assert (seen.layer, seen.marker, seen.code, seen.related) == ("offline", "offline_image", None, (0x80070020,))
    assert {one.layer for one in read(offline + END + stack)} == {"offline", "install"}, "the image was closed"
    assert read(command("dism /image:D:\\mount /add-package /packagepath:x.cab") + END) == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("abcdra-w10-cleanmgr-noise.log", set()),
        ("appostarsi-w10-22h2-0x80070bc9-tail.log", {("store", 0x80070BC9, None, 2)}),
        ("appostarsi-w11-22h2-0x800f081f.log", {("store", 0x800F081F, None, 2)}),
        ("asus-w11-24h2-healthy.log", set()),
        ("dieter-win7-lf-only.log", set()),
        ("findingsanity-sccm-offline.log", {("offline", None, "0x80070020", 1)}),
        ("iideerii-w10-netfx3-0x800f081f.log", {("install", 0x800F081F, "NetFx3", 5)}),
        ("ones-winpe-cbs-named.log", set()),
        ("semenova-win81.log", set()),
    ],
)
def test_real_logs_tell_what_their_index_says(name: str, expected: set[tuple[str, int | None, str | None, int]]) -> None:
    if not REAL.is_dir():
        pytest.skip("the recorded logs are not beside this checkout")
    seen = [one for one in logs.read((REAL / name).read_bytes(), name) if not one.ok and one.source == "dism"]
    assert {(one.layer, one.code, one.name, one.count) for one in seen} == expected
