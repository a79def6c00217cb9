# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What in a log is a failure, what a success, what noise; whatever the bytes look like."""

# ruff: noqa: E501 - lines of logs and documents stay whole
from __future__ import annotations

import re
import time

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import logs
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.observation import Observation
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.readers import records
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.sections import LogKind
from hypothesis import given, settings
from hypothesis import strategies as st

T0 = 1763942400  # 2025-11-24 00:00:00 UTC


def cbs(*messages: str, level: str = "Info", part: str = "CBS") -> str:
    return "".join(
        f"2025-11-24 00:00:{second:02d}, {level:<21} {part}    {text}\r\n" for second, text in enumerate(messages)
    )


def names(seen: list[Observation]) -> set[str]:
    return {f"0x{one.code:08x}" for one in seen if one.code is not None} | {one.marker for one in seen if one.marker}


def bad(seen: list[Observation]) -> list[Observation]:
    return [one for one in seen if one.outcome in ("failed", "cancelled")]


def good(seen: list[Observation]) -> list[Observation]:
    return [one for one in seen if one.ok]


def read(text: str, **options: int) -> list[Observation]:
    return logs.read(text.encode(), "CBS.log", **options)


NOISE = cbs(
    "InternalOpenPackage failed for Package_for_KB3025096~31bf~amd64~~6.4.1.0 [HRESULT = 0x800f0805 - CBS_E_INVALID_PACKAGE]",
    "Failed to internally open package. [HRESULT = 0x800f0805 - CBS_E_INVALID_PACKAGE]",
    "Expecting attribute name [HRESULT = 0x800f080d - CBS_E_MANIFEST_INVALID_ITEM]",
    "Not able to add pending.xml to Windows Error Report. [HRESULT = 0x80070002 - ERROR_FILE_NOT_FOUND]",
    "SQM: Failed to start upload with file pattern: C:\\x flags: 0x2 [HRESULT = 0x80004005 - E_FAIL]",
    "Failed to read PoqTime time value from registry. [HRESULT = 0x80070490 - ERROR_NOT_FOUND]",
    "Exec: Failed to read AutoRepairNeeded. [HRESULT = 0x80070490 - ERROR_NOT_FOUND]",
    "CheckSur: hrStatus: 0x0 [S_OK], download Result: 0x0 [S_OK]",
    "Session: 31000000_1 finalized. Reboot required: no [HRESULT = 0x00000000 - S_OK]",
    "Session: 31000000_2 finalized. Reboot required: no [HRESULT = 0x800f081e - CBS_E_NOT_APPLICABLE]",
)


def test_lookups_that_find_nothing_are_noise() -> None:
    assert bad(read(NOISE)) == []


def test_the_verdict_of_a_session_is_a_failure_with_its_package() -> None:
    text = NOISE + cbs(
        "Exec: Processing complete.  Session: 31000000_9, Package: Package_for_RollupFix~31bf~amd64~~19041.1.1.1, "
        "Identifier: KB5005565 [HRESULT = 0x800f0988 - PSFX_E_INVALID_DELTA_COMBINATION]",
        "Session: 31000000_9 finalized. Reboot required: no [HRESULT = 0x800f0988 - PSFX_E_INVALID_DELTA_COMBINATION]",
    )
    (found,) = bad(read(text))
    assert (found.code, found.kb, found.count, found.source) == (0x800F0988, "KB5005565", 1, "cbs"), "two lines tell of one try"
    assert found.name == "Package_for_RollupFix~31bf~amd64~~19041.1.1.1"
    assert (found.first, found.time, found.bound_s) == (T0, T0 + 1, 14 * 3600)


def test_an_error_that_the_session_survived_is_none() -> None:
    error = cbs("Failed to process single phase execution. [HRESULT = 0x80073712 - X]", level="Error")
    assert names(read(error)) == {"0x80073712"}
    survived = error + cbs("Session: 1000_2 finalized. Reboot required: no [HRESULT = 0x00000000 - S_OK]")
    assert read(survived) == []
    failed = error + cbs("Session: 1000_2 finalized. Reboot required: no [HRESULT = 0x800f0831 - X]")
    assert names(read(failed)) == {"0x80073712", "0x800f0831"}


def test_an_error_is_about_the_package_of_its_session() -> None:
    error = cbs("Failed to process single phase execution. [HRESULT = 0x80073712 - X]", level="Error")
    end = "Exec: Processing complete.  Session: 31000000_9, Package: Package_for_KB5099999~31bf~amd64~~1.1 [HRESULT = 0x80073712 - X]"
    assert {one.kb for one in read(error + cbs(end))} == {"KB5099999"}
    much_later = cbs(end).replace("2025-11-24 00:", "2025-11-25 00:")
    assert {one.kb for one in read(error + much_later)} == {None, "KB5099999"}, "what failed a day before was another session's"


INSTALLER = cbs(
    "00000009 (F) Installer Generic Command failed for lab-edge-component. HRESULT = 80070643[gle=0x80004005]",
    "0000000a (F) Failed execution of queue item Installer: Generic Command ({81a34a10-4256-436a-89d6-794b97ca407c}) with HRESULT 80070643[gle=0x80004005]",
    level="Error",
    part="CSI",
)


def test_an_installer_that_failed_is_named() -> None:
    text = INSTALLER + cbs("Startup: Failed to process advanced operation queue. [HRESULT = 0x800f0922 - CBS_E_INSTALLERS_FAILED]", level="Error")
    seen = bad(read(text))
    assert [(one.layer, one.code, one.name) for one in seen] == [
        ("install", 0x80070643, "lab-edge-component"),
        ("install", 0x800F0922, "lab-edge-component"),
    ]


def test_a_package_that_a_note_names_is_what_the_error_is_about() -> None:
    package = "Lab-Core-Package~31bf3856ad364e35~amd64~nl-NL~10.0.17763.1"
    note = cbs(f"Failed to pin deployment while resolving Update: {package} from file: (null) [HRESULT = 0x80073701 - ERROR_SXS_ASSEMBLY_MISSING]")
    error = cbs("Failed to perform operation.  [HRESULT = 0x80073701 - ERROR_SXS_ASSEMBLY_MISSING]", level="Error")
    done = cbs("Session: 31000031_2 finalized. Reboot required: no [HRESULT = 0x00000000 - S_OK]")
    assert bad(read(f"{note}\n{done}")) == [], "a note alone is none, where it went well after it"
    assert [one.name for one in bad(read(note + error))] == [package]
    other = cbs("Failed to perform operation.  [HRESULT = 0x800f0988 - X]", level="Error")
    assert [one.name for one in bad(read(note + other))] == [None], "of the same code only"


def test_an_update_that_needs_a_newer_stack_says_so_with_its_line() -> None:
    words = (
        'Package "Package_for_KB5012170~31bf~amd64~~14393.5285.1.4" requires Servicing Stack v10.0.14393.5285 '
        'but current Servicing Stack is v10.0.14393.4349.'
    )
    (seen,) = bad(read(cbs(f"{words} [HRESULT = 0x800f0823 - CBS_E_NEW_SERVICING_STACK_REQUIRED]")))
    assert (seen.layer, seen.code, seen.kb) == ("install", 0x800F0823, "KB5012170")
    assert "v10.0.14393.5285 but current Servicing Stack is v10.0.14393.4349" in seen.line


def test_a_transaction_that_is_given_up_has_the_code_that_is_noted() -> None:
    text = cbs("Startup: No progress detected, rolling back. [HRESULT = 0x80004005 - E_FAIL]", level="Error") + cbs(
        "Setting original failure status: 0x800f0920, last forward execute state: CbsExecuteStateResolvePending"
    )
    assert names(read(text)) == {"0x800f0920"}


def repair(detected: int, repaired: int, result: str) -> str:
    damage = ["(p)\tCSI Payload Corrupt\t(n)\t\t\tamd64_x\\y.dll"] * bool(detected)
    return cbs(
        f"Operation result: {result}",
        *damage,
        f"Total Detected Corruption:\t{detected}",
        f"Total Repaired Corruption:\t{repaired}",
    )


def test_a_task_of_maintenance_that_ends_well_survived_its_errors() -> None:
    error = cbs("Failed to resolve package. [HRESULT = 0x80070490 - ERROR_NOT_FOUND]", level="Error")
    assert names(read(error)) == {"0x80070490"}
    assert names(read(error + cbs("Maint: processing complete.  Session: 31000000_4. [HRESULT = 0x00000000 - S_OK]"))) == set()


def test_what_a_repair_could_not_download_is_told_beside_the_damage() -> None:
    text = cbs(
        "CheckSur: hrStatus: 0x800f0906 [CBS_E_DOWNLOAD_FAILURE], download Result: 0x80240438 [Unknown Error]",
        "Session: 31000000_5 finalized. Download error: 0x80240438 [Unknown Error], Reboot required: no "
        "[HRESULT = 0x800f0906 - CBS_E_DOWNLOAD_FAILURE]",
    )
    assert {(r.layer, r.code) for r in read(text)} >= {("store", 0x800F0906), ("download", 0x80240438)}


def test_a_session_that_repaired_is_about_the_store() -> None:
    text = cbs(
        "Exec: Session: 31000000_7, starting corruption detection",
        "Session: 31000000_7 finalized. Reboot required: no [HRESULT = 0x800f0906 - CBS_E_DOWNLOAD_FAILURE]",
        "Session: 31000000_8 finalized. Reboot required: no [HRESULT = 0x800f0906 - CBS_E_DOWNLOAD_FAILURE]",
    )
    assert [one.layer for one in read(text)] == ["store", "install"]


def test_what_no_end_was_seen_of_has_failed_in_groups_too() -> None:
    error = cbs("Failed to process single phase execution. [HRESULT = 0x80073712 - X]", level="Error")
    assert names(logs.read_lines("cbs", [LogKind(last=error)])) == {"0x80073712"}


def test_a_repair_that_mended_all_is_a_success_after_the_damage() -> None:
    broken = repair(8, 0, "0x800f081f")
    assert {"0x800f081f", "payload_corrupt", "store_corrupt"} == names(read(broken))
    seen = read(broken + repair(8, 8, "0x0"))
    (mended,) = good(seen)
    assert mended.marker == "store_repaired"
    assert all(one.channel == mended.channel and (one.place or 0) < (mended.place or 0) for one in bad(seen))
    assert [one.marker for one in read(repair(0, 0, "0x0"))] == ["store_clean"]


def test_what_has_no_date_has_the_time_of_the_line_above() -> None:
    head = "2025-11-24 00:00:{:02d}, Info                  CBS    \r\n=====\r\n"
    summary = "(p)\tCSI Payload Corrupt\t(n)\t\t\tamd64_x\\y.dll\r\nOperation result: {}\r\nTotal Detected Corruption:\t1\r\nTotal Repaired Corruption:\t{}\r\n"
    seen = read(head.format(1) + summary.format("0x800f081f", 0) + head.format(9) + summary.replace("(p)", "x").format("0x0", 1))
    assert {one.time for one in bad(seen)} == {T0 + 1}
    assert [(one.marker, one.time) for one in good(seen)] == [("store_repaired", T0 + 9)]


def test_a_total_of_nothing_beside_a_failed_operation_proves_nothing() -> None:
    seen = read(repair(8, 0, "0x0") + repair(0, 0, "0x80070bc9"))
    assert {"payload_corrupt", "0x80070bc9"} <= names(bad(seen))
    assert good(seen) == []


CANNOT = "0000000a [SR] Cannot repair member file [l:9]'tcpip.sys' of Lab-TCPIP, version 1, arch amd64 in the store, hash mismatch"


def test_sfc_names_each_file_once_and_says_how_its_repair_ended() -> None:
    again = "0000000b [SR] Could not reproject corrupted file \\??\\C:\\Windows\\System32\\drivers\\tcpip.sys; source file in store is also corrupted"
    sfc = cbs(CANNOT, again, part="CSI")
    (damage,) = read(sfc)
    assert (damage.marker, damage.name, damage.count) == ("sr_cannot_repair", "tcpip.sys of Lab-TCPIP", 1)
    (alone,) = logs.read_lines("cbs", [LogKind(last=cbs(again, part="CSI"))])
    assert alone.name == "tcpip.sys"
    mended = cbs("00000001 [SR] Repairing 1 components", "00000002 [SR] Repair complete", part="CSI")
    assert [one.marker for one in good(read(sfc + mended))] == ["sr_repaired"]
    in_vain = cbs("00000001 [SR] Repairing 1 components", CANNOT, "3 [SR] Repair complete", part="CSI")
    assert good(read(in_vain)) == []


def test_a_driver_that_sfc_cannot_repair_is_damage() -> None:
    corrupt = cbs("[Pnp] Corrupt file: C:\\Windows\\System32\\drivers\\lab.sys", part="DEPLOY")
    assert read(corrupt) == []
    failed = cbs("[Pnp] Failed repairing file: C:\\Windows\\System32\\drivers\\lab.sys: ", level="Error", part="DEPLOY")
    assert [(one.marker, one.name) for one in read(corrupt + failed)] == [("sr_cannot_repair", "lab.sys")]


def test_one_fault_has_one_code() -> None:
    text = cbs(
        "0000000b (F) STATUS_SXS_COMPONENT_STORE_CORRUPT #1# from CCSDirectTransaction[gle=0xd015001a]",
        level="Error",
        part="CSI",
    )
    assert names(read(text)) == {"0x80073712"}


def test_a_value_of_the_registry_that_is_not_there_is_noise() -> None:
    lookup = "00000001 (F) STATUS_OBJECT_NAME_NOT_FOUND #40# from Windows::Rtl::SystemImplementation::{}(flags = 0, vn = [l:7]'Compact')[gle=0xd0000034]"
    lines = [lookup.format("DirectRegistryProvider::SysQueryValueKey"), lookup.format("CKey::QueryValue")]
    assert read(cbs(*lines, level="Error", part="CSI")) == []
    file = lookup.format("DirectFileSystemProvider::SysCreateFile").replace("'Compact'", "'\\??\\C:\\Windows\\WinSxS\\lab.dll'")
    assert names(read(cbs(file, level="Error", part="CSI"))) == {"0x80070002"}


def test_a_missing_manifest_counts_at_any_level() -> None:
    flag = "Mark store corruption flag because of package: Package_1_for_KB5099999~31bf~amd64~~20348.1.1.1. [HRESULT = 0x800f0831 - CBS_E_STORE_CORRUPTION]"
    (seen,) = bad(read(cbs(flag, "Session: 1000_2 finalized. Reboot required: no [HRESULT = 0x00000000 - S_OK]")))
    assert (seen.layer, seen.code, seen.kb, seen.name) == ("store", 0x800F0831, "KB5099999", "Package_1_for_KB5099999~31bf~amd64~~20348.1.1.1")


def test_a_zone_moves_local_time() -> None:
    text = cbs("Session: 1000_2 finalized. Reboot required: no [HRESULT = 0x800f0831 - X]")
    (found,) = read(text, zone_offset_s=7200)
    assert (found.time, found.bound_s) == (T0 - 7200, 3600), "daylight saving may have changed since"
    (found,) = logs.read_lines("cbs", [LogKind(last=text, count=3, first="2025-11-23 23:00:00")], zone_offset_s=7200)
    assert (found.time, found.first, found.bound_s, found.count) == (T0 - 7200, T0 - 10800, 3600, 3)


def report(
    number: str, code: str, second: int = 0, guid: str = "C7B927C8-6B48-4E6D-8C0B-8F0DA7ED9959", result: str = "Failure"
) -> str:
    return (
        f"{{36DB1E9D-F68C-4D17-88A6-546C7E7FDD87}}\t2025-11-24 03:00:{second:02d}:279+0300\t1\t{number}\t101\t{{{guid}}}\t201\t{code}\t"
        f"Agent\t{result}\tContent\tWords.\tcV.1\r\n"
    )


REPORTS = (
    report("148 [AGENT_DETECTION_FAILED]", "80072ee2")
    + report("163 [AGENT_DOWNLOAD_CANCELED]", "8024000b", 1, result="Success")
    + report("182 [AGENT_INSTALLING_FAILED]", "80070002", 2)
    + report("147 [AGENT_DETECTION_FINISHED]", "240010", 3, result="Success")
    + report("167 [AGENT_DOWNLOAD_STARTED]", "0", 4, result="Success")
)


def test_what_stands_before_every_line_is_none_of_the_log() -> None:
    lines = ["(f) CBS MUM Corrupt 0x00000000 servicing\\Packages\\Package_for_KB9900008~31bf~amd64~~6.0.1.0.mum", "Checking Package Manifests"]
    (seen,) = logs.read("\n".join(lines).encode())
    for marked in (
        [f"> {line}" for line in lines],
        [f"{number}: {line}" for number, line in enumerate(lines, 7)],
        ["", f"  >{lines[0]}", f"  >{lines[1]}", ""],
    ):
        assert [(one.marker, one.kb) for one in logs.read("\n".join(marked).encode())] == [(seen.marker, seen.kb)]
    # Times, and numbers that do not grow, are of the log.
    assert logs.read(f"10:{lines[0]}\n10:{lines[1]}".encode()) == []


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", [b"\n", b"\r"])
def test_text_whose_ends_of_lines_were_written_anew_in_the_middle_of_its_letters(end: bytes, mark: str) -> None:
    text = "\r\nLab Resource Protection found corrupt files\r\nbut was unable to fix some of them.\r\n"
    data = (mark + text).encode("utf-16-le").replace(b"\r\0\n\0", end)
    lines = [line for line in logs.decode(data).splitlines() if line.strip("\ufeff\ufffd")]
    assert lines == text.split("\r\n")[1:-1]
    assert logs.decode(text.encode("utf-16-le")) == text


@pytest.mark.parametrize("cut", range(4))
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_reporting_events_in_every_encoding_and_cut(encoding: str, cut: int) -> None:
    data = (
        report("162 [AGENT_DOWNLOAD_SUCCEEDED]", "0", 0, "0" * 8 + "-0000-0000-0000-000000000001") + REPORTS
    ).encode(encoding)
    seen = [one for one in logs.read(data[cut or None :][: -cut or None], "ReportingEvents.log") if one.layer != "download" or not one.ok]
    assert [(one.layer, one.outcome, one.code) for one in seen] == [
        ("scan", "failed", 0x80072EE2),
        ("download", "cancelled", 0x8024000B),
        ("install", "failed", 0x80070002),
        ("scan", "ok", None),
        ("download", "started", None),
    ][: len(seen)]
    assert len(seen) >= (4 if cut else 5), "a cut takes the last row at most"
    assert {one.channel for one in seen} == {"reporting:ReportingEvents.log"}
    places = [one.place or 0 for one in seen]
    assert places == sorted(set(places))
    install = seen[2]
    assert (install.time, install.bound_s, install.update) == (T0 + 2, 0, "c7b927c8-6b48-4e6d-8c0b-8f0da7ed9959")


def row(number: str, code: str, message: str, guid: str = "0" * 8 + "-0000-0000-0000-000000000000", caller: str = "UpdateOrchestrator") -> str:
    return (
        f"{{36DB1E9D-F68C-4D17-88A6-546C7E7FDD87}}\t2025-11-24 03:00:00:279+0300\t1\t{number}\t101\t{{{guid}}}\t201\t{code}\t"
        f"{caller}\tSuccess\tContent Install\t{message}\ty1zR9Wp8oEysRR2w.1.1.0.4.0\r\n"
    )


def rows(*texts: str) -> list[Observation]:
    return logs.read("".join(texts).encode("utf-16"))


WU, STORE = "9482F4B4-E343-43B6-B170-9A65BC822C77", "855E8A7C-ECB4-4CA3-B045-1DFA50104289"
FINISHED = "147 [AGENT_DETECTION_FINISHED]"


@pytest.mark.parametrize(
    ("message", "found"),
    [
        ("Windows Update Client successfully detected 12 updates.", 12),
        ("Der Windows Update-Client hat 0 Updates erfolgreich erkannt.", 0),
        ("Windows 更新客户端已成功检测到5个更新。", 5),
        ("Windows Update Client successfully detected updates.", None),
        ("Windows 10: 3 mises à jour", None),
    ],
)
def test_a_search_tells_how_many_it_found_in_any_language(message: str, found: int | None) -> None:
    (seen,) = rows(row(FINISHED, "0", message))
    assert (seen.layer, seen.outcome, seen.found) == ("scan", "ok", found)


def test_a_search_tells_who_asked_and_whom() -> None:
    seen = rows(
        row(FINISHED, "0", "Found 1.", WU),
        row(FINISHED, "0", "Found 5.", STORE),
        row(FINISHED, "0", "Found 0.", WU, "<<PROCESS>>: CompatTelRunner.exe"),
        row("148 [AGENT_DETECTION_FAILED]", "8024402c", "Failed to detect 1 time."),
        row(FINISHED, "0", "Found 2.", WU),
    )
    assert {(one.service, one.caller, one.outcome, one.found, one.count) for one in seen} == {
        (WU.lower(), "UpdateOrchestrator", "ok", 2, 2),
        (STORE.lower(), "UpdateOrchestrator", "ok", 5, 1),
        (WU.lower(), "<<PROCESS>>: CompatTelRunner.exe", "ok", 0, 1),
        (None, "UpdateOrchestrator", "failed", None, 1),
    }
    assert all(one.update is None for one in seen)


@pytest.mark.parametrize(
    ("number", "code", "message"),
    [
        ("182 [AGENT_INSTALLING_FAILED]", "80070643", "Installation Failure: Windows failed to install the following update with error 0x80070643: {}."),
        ("182 [AGENT_INSTALLING_FAILED]", "80070643", "Échec de l'installation : Windows n'a pas pu installer la mise à jour, erreur 0x80070643 : {}"),
        ("183 [AGENT_INSTALLING_SUCCEEDED]", "0", "Installation Successful: Windows successfully installed the following update: {}"),
        ("183", "0", "安装成功: Windows 成功安装了下列更新：{}"),
        ("181 [AGENT_INSTALLING_STARTED]", "0", "Installation Started: Windows has started installing the following update: {}"),
    ],
)
def test_an_installation_names_its_update_in_any_language(number: str, code: str, message: str) -> None:
    title = "Servicing: 2025-11 Cumulative Update (KB5099999) (26100.7171)"
    update = "C7B927C8-6B48-4E6D-8C0B-8F0DA7ED9959"
    (seen,) = rows(row(number, code, message.format(title), update))
    assert (seen.title, seen.kb, seen.update, seen.service) == (title, "KB5099999", update.lower(), None)
    assert seen.outcome == {"182": "failed", "183": "ok", "181": "started"}[number[:3]]


def test_a_download_that_was_cancelled_has_not_failed() -> None:
    update = "C7B927C8-6B48-4E6D-8C0B-8F0DA7ED9959"
    seen = rows(
        row("163 [AGENT_DOWNLOAD_CANCELED]", "8024000b", "Download canceled.", update),
        row("161 [AGENT_DOWNLOAD_FAILED]", "800704c7", "Error: Download failed.", update),
        row("161 [AGENT_DOWNLOAD_FAILED]", "80200056", "Error: Download failed.", update),
        row("161 [AGENT_DOWNLOAD_FAILED]", "0", "Error: Download failed.", update),
        row("148 [AGENT_DETECTION_FAILED]", "8024000b", "Failed."),
    )
    assert [(one.layer, one.outcome, one.code, one.marker) for one in seen] == [
        ("download", "cancelled", 0x8024000B, None),
        ("download", "cancelled", 0x800704C7, None),
        ("download", "failed", 0x80200056, None),
        ("download", "failed", None, "download_failed"),
        ("scan", "failed", 0x8024000B, None),
    ]


def test_an_uninstallation_proves_no_installation() -> None:
    assert rows(row("200 [AGENT_UNINSTALLING_SUCCEEDED]", "0", "Uninstallation Successful: Done: X", WU)) == []
    (seen,) = rows(row("201 [AGENT_UNINSTALLING_FAILED]", "800f0825", "Uninstallation Failure: error 0x800f0825: X", WU))
    assert (seen.marker, seen.code) == ("uninstall_failed", 0x800F0825)


def test_numbers_without_a_name_and_flattened_rows_are_read() -> None:
    assert [one.outcome for one in rows(row("147 [(null)]", "0", "Found 1."), row("162", "0", "Download succeeded.", WU))] == ["ok", "ok"]
    (flat,) = logs.read(row(FINISHED, "0", "Windows Update Client successfully detected 7 updates.", WU).replace("\t", " ").encode())
    assert (flat.service, flat.caller, flat.found) == (WU.lower(), "UpdateOrchestrator", 7)


def test_rows_that_the_host_folded_keep_their_count_and_first_time() -> None:
    last = row("148 [AGENT_DETECTION_FAILED]", "8024402c", "Failed.", WU).strip()
    kinds = [LogKind(last=last, count=7, first="2025-11-20 03:00:00:000+0300"), LogKind(last=row(FINISHED, "0", "Found 1.", WU))]
    failed, found = logs.read_lines("reporting", kinds)
    assert (failed.count, failed.first, failed.time, failed.place, failed.channel) == (7, T0 - 4 * 86400, T0, 0, "reporting")
    assert (found.count, found.first, found.place) == (1, T0, 1)


def test_the_last_of_those_alike_is_the_last_by_place_whatever_the_clock_said() -> None:
    def at(day: int, found: int) -> str:
        return row(FINISHED, "0", f"Found {found}.", WU).replace("2025-11-24", f"2025-11-{day}")

    (seen,) = rows(at(20, 1), at(29, 2), at(24, 3))
    assert (seen.time, seen.first, seen.found, seen.count, seen.place) == (T0, T0 - 4 * 86400, 3, 3, 2)


def event(provider: str, number: int, record: int = 7, channel: str = "System", **data: str) -> str:
    fields = "".join(f"<Data Name='{name}'>{value}</Data>" for name, value in data.items())
    return (
        f"<Event xmlns='http://x'><System><Provider Name='{provider}' Guid='{{1}}'/><EventID Qualifiers='0'>{number}</EventID>"
        f"<TimeCreated SystemTime='2025-11-24T00:00:05.1234567Z'/><EventRecordID>{record}</EventRecordID><Channel>{channel}</Channel>"
        f"</System><EventData>{fields}</EventData></Event>"
    )


def test_an_event_that_was_cut_tells_what_is_left_of_it() -> None:
    whole = event("Microsoft-Windows-WindowsUpdateClient", 20, errorCode="0x80248007", updateTitle="A")
    assert names(read(whole[:-9])) == {"0x80248007"}
    assert names(read(whole[: whole.index("</Data>")])) == {"install_failed"}
    assert names(read(whole[: whole.index("</Data>")] + whole)) == {"install_failed", "0x80248007"}
    assert read(whole[: whole.index("</System>")]) == []


def test_events_with_and_without_a_root() -> None:
    wuc = "Microsoft-Windows-WindowsUpdateClient"
    failure = event(
        wuc, 20, errorCode="0x80248007", updateTitle="A &amp; B", updateGuid="{C7B927C8-6B48-4E6D-8C0B-8F0DA7ED9959}"
    )
    scan = event(wuc, 25, errorCode="0x8024402c")
    for text in (failure + scan, f"<Events>\n{failure}\n{scan}</Events>", f"{failure}\r\n{scan[:-30]}"):
        seen = logs.read(text.encode("utf-16"))[0]
        assert seen.source == f"event:{wuc}/20"
        assert (seen.code, seen.time, seen.bound_s, seen.place, seen.channel) == (0x80248007, T0 + 5, 0, 7, "System")
        assert (seen.title, seen.update) == ("A & B", "c7b927c8-6b48-4e6d-8c0b-8f0da7ed9959")
        assert "A & B" in seen.line
    assert names(logs.read((failure + scan).encode())) == {"0x80248007", "0x8024402c"}


def test_a_service_is_named_by_its_key() -> None:
    blob = "wuauserv/4".encode("utf-16-le").hex()
    text = event("Service Control Manager", 7023, param1="Windows-Update", param2="%%1058").replace(
        "</EventData>", f"<Binary>{blob}</Binary></EventData>"
    )
    (found,) = logs.read(text.encode())
    assert (found.layer, found.code, found.name) == ("service", 0x80070422, "wuauserv")
    (shown,) = read(event("Service Control Manager", 7009, param1="30000", param2="Lab Service"))
    assert (shown.name, shown.marker) == ("Lab Service", "service_failed"), "the name that is shown, where there is no other"


WUC = "Microsoft-Windows-WindowsUpdateClient"
TITLE = "2025-11 Cumulative Update (KB5099999)"
GUID = "C7B927C8-6B48-4E6D-8C0B-8F0DA7ED9959"


@pytest.mark.parametrize(
    ("number", "data", "expected"),
    [
        (19, {"updateTitle": TITLE, "updateGuid": GUID}, {"layer": "install", "outcome": "ok", "title": TITLE, "kb": "KB5099999", "update": GUID.lower()}),
        (20, {"errorCode": "0x80070643", "updateTitle": TITLE, "serviceGuid": f"{{{WU}}}"},
            {"outcome": "failed", "code": 0x80070643, "service": WU.lower(), "marker": None}),
        (24, {"errorCode": "0x800f0825", "updatelist": TITLE}, {"outcome": "failed", "code": 0x800F0825, "marker": "uninstall_failed", "title": TITLE}),
        (25, {"errorCode": "0x8024402c", "serviceGuid": f"{{{STORE}}}"}, {"layer": "scan", "outcome": "failed", "service": STORE.lower()}),
        (26, {"updateCount": "3", "serviceGuid": f"{{{WU}}}"}, {"layer": "scan", "outcome": "ok", "service": WU.lower(), "found": 3}),
        (26, {"updateCount": "0", "serviceGuid": "{" + "0" * 8 + "-0000-0000-0000-" + "0" * 12 + "}"}, {"service": None, "found": 0}),
        (31, {"errorCode": "0x8024000b", "updateGuid": GUID}, {"layer": "download", "outcome": "cancelled", "code": 0x8024000B}),
        (31, {"errorCode": "0x80248007", "updateGuid": GUID}, {"layer": "download", "outcome": "failed"}),
        (32, {"serverName": "wsus.corp.example"}, {"layer": "scan", "marker": "cannot_connect", "name": "wsus.corp.example"}),
        (43, {"updateTitle": TITLE, "updateGuid": GUID}, {"layer": "install", "outcome": "started", "kb": "KB5099999"}),
        (44, {"updateTitle": TITLE, "updateGuid": GUID}, {"layer": "download", "outcome": "started"}),
    ],
)
def test_what_the_events_of_the_update_agent_say(number: int, data: dict[str, str], expected: dict[str, object]) -> None:
    seen = logs.event_observation(WUC, number, T0, data, record=11, channel="System", count=4)
    assert seen is not None
    assert {name: getattr(seen, name) for name in expected} == expected
    assert (seen.time, seen.first, seen.place, seen.channel, seen.count) == (T0, T0, 11, "System", 4)


def test_events_that_prove_nothing_are_none() -> None:
    assert logs.event_observation(WUC, 23, T0, {"updateTitle": TITLE}) is None, "an update that was taken away"
    assert logs.event_observation(WUC, 40, T0, {}) is None
    assert logs.event_observation(WUC, 217, T0, {"errorCode": "0x0"}) is None
    assert logs.event_observation("Microsoft-Windows-Servicing", 3, T0, {"ErrorCode": "0x800f081e"}) is None, "it does not apply"


def test_a_package_is_named_by_its_kb_or_whole() -> None:
    servicing = "Microsoft-Windows-Servicing"
    by_kb = logs.event_observation(servicing, 3, T0, {"PackageIdentifier": "KB5012170", "ErrorCode": "0x800f0984"})
    assert by_kb is not None
    assert (by_kb.kb, by_kb.name) == ("KB5012170", None)
    whole = logs.event_observation(servicing, 2, T0, {"PackageIdentifier": "Package_for_RollupFix~31bf~amd64~~26100.1.1.1", "ErrorCode": "0x0"})
    assert whole is not None
    assert (whole.kb, whole.name) == (None, "Package_for_RollupFix~31bf~amd64~~26100.1.1.1")


def test_the_last_of_events_without_a_record_id_is_the_last_by_time() -> None:
    def at(day: int, words: str) -> str:
        return (
            f"Event[0]:\r\n  Source: {WUC}\r\n  Date: 2025-11-{day}T00:00:00.000Z\r\n  Event ID: 25\r\n"
            f"  Description: \r\nFailed with error 0x8024402c {words}\r\n"
        )

    (seen,) = read(at(24, "new") + at(20, "old"))
    assert (seen.time, seen.first, seen.count) == (T0, T0 - 4 * 86400, 2)
    assert "new" in seen.line


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"errorCode": "0x0", "repaired": "0", "totalCorruption": "0"}, ("ok", "store_clean", None)),
        ({"errorCode": "0x0", "repaired": "3", "totalCorruption": "3"}, ("ok", "store_repaired", None)),
        ({"errorCode": "0x0", "repaired": "2", "totalCorruption": "3"}, ("failed", "store_corrupt", None)),
        ({"errorCode": "0x800f081f", "repaired": "0", "totalCorruption": "0"}, ("failed", None, 0x800F081F)),
        ({"errorCode": "0x0"}, None),
    ],
)
def test_what_the_end_of_a_repair_says_of_the_store(data: dict[str, str], expected: tuple[object, ...] | None) -> None:
    seen = logs.event_observation("Microsoft-Windows-Servicing", 1014, T0, data)
    assert (seen and (seen.outcome, seen.marker, seen.code)) == expected


def test_entities_are_read_and_never_followed() -> None:
    (seen,) = read(event(WUC, 19, updateTitle="f&#252;r &#xFC; &lt;A&gt; &#0; &file;"))
    assert seen.title == "für ü <A> ? &file;"


def test_a_time_source_is_named_without_its_flags() -> None:
    provider = "Microsoft-Windows-Time-Service"
    silent = logs.event_observation(provider, 47, T0, {"ManualPeer": "ntp.corp.example,0x8", "ErrorMessage": "x (0x800705B4)"})
    good_one = logs.event_observation(provider, 35, T0, {"TimeSource": "time.windows.com,0x9 (ntp.m|0x9|0.0.0.0:123->51.140.127.197:123)"})
    assert silent is not None
    assert good_one is not None
    assert (silent.name, silent.code) == ("ntp.corp.example", 0x800705B4)
    assert (good_one.name, good_one.outcome) == ("time.windows.com", "ok")


def test_events_as_text_are_local_and_name_their_update() -> None:
    text = (
        "Event[0]:\r\n  Log Name: System\r\n  Source: Microsoft-Windows-WindowsUpdateClient\r\n  Date: 2025-11-24T00:00:00.000Z\r\n  Event ID: 20\r\n"
        "  Description: \r\nInstallation Failure: Windows failed to install the following update with error 0x80070643: A (KB5099999).\r\n"
    )
    (seen,) = read(text)
    assert (seen.code, seen.title, seen.kb, seen.bound_s, seen.place) == (0x80070643, "A (KB5099999)", "KB5099999", 14 * 3600, T0)


def test_dism_gives_up_and_probes() -> None:
    head = "2025-11-24 00:00:00, Error                 DISM   "
    text = head + "DISM.EXE: DISM Package Manager processed the command line but failed. HRESULT=80070BC9\n"
    probe = (
        head
        + "DISM Driver Manager: PID=1 TID=2 Error, file not found 'oem9.inf'. - CDriverManager::OpenPackageByFile(hr:0x80070002)\n"
    )
    assert names(logs.read((probe + text).encode())) == {"0x80070bc9"}


def test_one_command_of_dism_has_one_result() -> None:
    begin = "2025-11-24 00:00:00, Info                  DISM   DISM.EXE: Executing command line: dism.exe /online {}\n"
    said = [
        "DISM Package Manager: PID=1 TID=2 Failed while processing command. - CPackageManagerCLIHandler::ExecuteCmdLine(hr:0x800f081f)",
        "DISM.EXE: DISM Package Manager processed the command line but failed. HRESULT=800F081F",
    ]
    failed = "".join(f"2025-11-24 00:00:00, Error                 DISM   {text}\n" for text in said)
    (repair,) = read(begin.format("/Cleanup-Image /RestoreHealth") + failed)
    assert (repair.layer, repair.code, repair.name, repair.count) == ("store", 0x800F081F, None, 1)
    (feature,) = read(begin.format("/Enable-Feature /FeatureName:NetFx3 /All") + failed)
    assert (feature.layer, feature.name, feature.count) == ("install", "NetFx3", 1)


def test_groups_of_the_host_read_like_the_file() -> None:
    lines = (NOISE + repair(8, 0, "0x800f081f")).splitlines()
    from_groups = logs.read_lines("cbs", [LogKind(last=line, count=2, first=line[:19]) for line in lines])
    assert names(from_groups) == names(read("\n".join(lines)))
    assert all(one.count >= 2 and one.channel == "cbs" for one in from_groups)
    assert {one.channel for one in logs.read_lines("setup", [LogKind(last=FINAL)], name="a.log")} == {"setup:a.log"}


def setup_line(message: str, level: str = "Error", part: str = "MOUPG") -> str:
    return f"2025-11-24 00:00:00, {level:<21} {part:<6} {message}\r\n"


FINAL = setup_line("SetupHost: Reporting post reboot event -> [0xC1900101, 0x30018]", level="Info")


@pytest.mark.parametrize(
    ("message", "code", "name"),
    [
        ("CInstallUI::OnFinalResult: Install failed: 0xC1900101 - 0x30018", 0xC1900101, "0x30018"),
        ("SetupHost: Reporting post reboot event -> [0xc1900101, 0x4001e]", 0xC1900101, "0x4001E"),
        ("Finalize: Reporting result value: [0x8007000D]", 0x8007000D, None),
    ],
)
def test_the_final_result_of_a_set_up_has_its_phase(message: str, code: int, name: str | None) -> None:
    (seen,) = logs.read_lines("setup", [LogKind(last=setup_line(message, "Info"))])
    assert (seen.layer, seen.marker, seen.code, seen.name) == ("upgrade", "final", code, name)


def test_a_set_up_that_somebody_closed_has_not_failed() -> None:
    (seen,) = read(setup_line("Finalize: Reporting result value: [0x800704C7]", "Info"))
    assert (seen.outcome, seen.marker) == ("cancelled", "final")


def test_errors_of_a_set_up_are_on_the_way() -> None:
    lines = [
        "SetupHost: OneSettings initialization failed: [0x80072EE7]",
        "DUImage: Failed to execute driver search and download [0x80072EE2]",
        "CSetupPlatform::DownloadDynamicUpdates: Failed to download updates. Error: 0x80004005",
    ]
    lines += [f"Failed to load number {number}" for number in range(30)]
    text = "".join(map(setup_line, lines))
    text += setup_line("CConfigEntry::RefreshConfigFile could not load document path=C:\\WINDOWS\\lab\\A.tmp Error code: 0x1", part="DDSet_Error:")
    text += setup_line("Only told", level="Info")
    seen = read(text)
    assert {(one.layer, one.marker, one.outcome) for one in seen} == {("upgrade", "on_the_way", "failed")}
    assert [one.code for one in seen if one.code] == [0x80072EE2], "the settings of Microsoft's are noise"
    told = [one for one in seen if one.code is None]
    assert len(told) == 20, "the newest"
    assert (told[-1].name, told[-1].place) == ("C:\\WINDOWS\\lab\\A.tmp", 34)
    assert "could not load document" in told[-1].line
    assert len({one.line for one in told}) == 20


def test_sysprep_is_no_upgrade() -> None:
    text = setup_line("Package Lab.App_1.0_neutral__x was installed for a user, but not provisioned for all users.", part="SYSPRP")
    text += setup_line("Failed to remove apps for the current user: 0x80073cf2.", part="SYSPRP")
    assert [(one.layer, one.code, one.name) for one in read(text)] == [("sysprep", 0x80073CF2, "Lab.App_1.0_neutral__x")]
    assert {one.marker for one in read(text)} == {"sysprep"}


def test_setupdiag_names_the_result_and_its_phase() -> None:
    text = "Matching Profile found: FindRollbackFailure - 3A43\r\nSetupDiag version: 1.6\r\nError = 0x8007000D-0x2000C\r\n"
    (seen,) = read(text)
    assert (seen.layer, seen.marker, seen.code, seen.name) == ("upgrade", "final", 0x8007000D, "0x2000C")
    assert "FindRollbackFailure" in seen.line


NEW = "2024/05/06 10:00:{:02d}.1000000 1200  {:<5} {:<15} {}\n"


def wulog(*lines: tuple[str, str, str]) -> list[Observation]:
    return logs.read("".join(NEW.format(index, *line) for index, line in enumerate(lines)).encode())


def test_a_search_of_the_agents_log_names_its_service_and_caller() -> None:
    end = "* END * Finding updates CallerId = {}, Id = {}, Exit code = 0x{} (cV = x.1.0)"
    seen = wulog(
        ("2d1c", "Agent", f"ServiceID = {{{WU}}} Windows Update"),
        ("3400", "Agent", f"ServiceID = {{{STORE}}} Third party service"),
        ("3400", "Agent", end.format("Update;ScanForUpdates", 5, "00000000")),
        ("2d1c", "Agent", end.format("MoUpdateOrchestrator", 6, "8024402C")),
        ("2d1c", "Agent", end.format("MoUpdateOrchestrator", 7, "8024402F")),
    )
    assert [(one.outcome, one.code, one.service, one.caller) for one in seen] == [
        ("ok", None, STORE.lower(), "Update;ScanForUpdates"),
        ("failed", 0x8024402C, WU.lower(), "MoUpdateOrchestrator"),
        ("failed", 0x8024402F, None, "MoUpdateOrchestrator"),
    ]
    assert [one.place for one in seen] == [2, 3, 4]
    assert {one.bound_s for one in seen} == {14 * 3600}


def test_a_download_of_the_agents_log_counts_once_its_call_has_failed() -> None:
    call = "WU client calls back to download call {11111111-2222-4333-8444-555555555555} with code Call "
    tries = ("1", "Agent", call + "progress and error 0x80246007")
    assert wulog(tries) == []
    assert wulog(tries, ("1", "Agent", call + "complete and error 0x00000000")) == []
    ended = wulog(tries, ("1", "Agent", call + "complete and error 0x8024000b"))
    assert [(one.layer, one.outcome, one.code) for one in ended] == [("download", "failed", 0x80246007), ("download", "cancelled", 0x8024000B)]


def test_an_installation_of_the_agents_log_names_its_update() -> None:
    done = "Install complete for update ID: C7B927C8-6B48-4E6D-8C0B-8F0DA7ED9959.1 Return code is 0x{}. Requires Reboot:No"
    seen = wulog(("1", "Handler", done.format("80070643")), ("1", "Handler", done.format("00000000")))
    assert [(one.layer, one.outcome, one.code, one.update) for one in seen] == [
        ("install", "failed", 0x80070643, GUID.lower()),
        ("install", "ok", None, GUID.lower()),
    ]


PIECES = st.sampled_from(
    [
        NOISE[:200],
        repair(8, 0, "0x0"),
        REPORTS,
        event("X", 1),
        "<Event ",
        "<Data Name='",
        "{",
        "\0",
        "\r",
        "\n",
        "[HRESULT = 0x8",
        "Error",
        " " * 50,
    ]
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.one_of(PIECES.map(str.encode), st.binary(max_size=80)), max_size=12).map(b"".join), st.integers(0, 40)
)
def test_never_raises_whatever_the_bytes(data: bytes, cut: int) -> None:
    for record in logs.read(data[cut:], "x"):
        assert len(record.line) <= 200
        assert record.line == logs.clean(record.line)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_rubbish_gives_nothing(data: bytes) -> None:
    assert logs.read(data) == []


BOMBS = [
    "<Event " * 8, "<Event <Provider Name='a' <System>", "<Event ><System><Provider Name='" + "a" * 90, "{" + "0" * 36 + "}\t",
    "2025-11-24 00:00:00, Info    CBS  " + "Session" * 20, "2025-11-24 00:00:00, Error   CBS  [HRESULT = 0x8", " " * 100, "session: session: ",
    "Event[0]:\n  Source: a\n Event ID: ", "2025-11-24 00:00:00, Error CSI " + "(" * 90, "2025/11/24 00:00:00.0000000 1 1 Agent FATAL: " + "x" * 70,
    "Package: " + "a~" * 60, "\0" * 90,
]  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS, ids=range(len(BOMBS)))
def test_time_is_linear(bomb: str) -> None:
    def cost(size: int) -> float:
        data = (bomb * (size // len(bomb) + 1)).encode()
        start = time.process_time()
        logs.read(data)
        return time.process_time() - start

    cost(20_000)
    small, large = cost(200_000), cost(800_000)
    assert large < 0.3 or large < small * 12, (
        "four times the length takes no more than four times the time, with room for the machine"
    )


def test_codes_that_are_noise_are_named_beside_damage_alone() -> None:
    mark = cbs("0000021a (F) Attempting to mark store corrupt with category [l:17 ml:18]'CorruptPayloadFile'[gle=0x80004005]", level="Error", part="CSI")
    (damage,) = bad(read(NOISE + mark))
    assert (damage.marker, damage.code) == ("payload_corrupt", None)
    assert set(damage.related) == {0x80070002, 0x80070490, 0x80004005}
    # What is a failure of its own is not named twice; where nothing is damaged nothing is named.
    text = mark + cbs("Exec: Failed to stage. [HRESULT = 0x80070490 - ERROR_NOT_FOUND]")
    assert names(read(NOISE + text)) == {"payload_corrupt", "0x80070490"}
    assert all(0x80070490 not in record.related for record in read(NOISE + text))
    assert all(not record.related for record in read(NOISE))


def test_damage_is_named_with_and_without_tabs() -> None:
    tabs = cbs("(p)\tCBS Catalog Corrupt\t(n)\t\t\tPackage_1.cat", "(f)\tCBS MUM Missing\t0x800F0900\tservicing\\x.mum")
    assert names(read(tabs)) == {"catalog_corrupt", "mum_missing", "0x800f0900"}
    assert [one.name for one in read(tabs)] == ["Package_1.cat", "servicing\\x.mum"]
    assert [one.name for one in read(cbs("(p)\tCSI Payload Corrupt\t(w)\t\tamd64_x\\y.dll"))] == ["amd64_x\\y.dll"]
    assert read(cbs("(p)\tCSI Payload Corrupt\t(w)\t(Fixed)\tamd64_x\\y.dll")) == []
    assert names(read(tabs.replace("\t", "  "))) == {"catalog_corrupt", "mum_missing", "0x800f0900"}


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_lines_with_a_word_are_those_of_the_log_and_have_their_numbers(end: str) -> None:
    every = [f"{at} {'alpha' * (at % 7 == 0)} {'beta alpha' * (at % 11 == 3)} end.{at % 300}{'x' * (at % 3)}" for at in range(9000)]
    every[5000] = "beta" + "y" * 5000
    text = (end or "\n").join(every) + end
    numbered = records.lines_with(text, ("alpha", "beta"), re.compile(r"\.20[1-9]\r?$", re.M))
    found = [(number, line.rstrip("\r")) for number, line in numbered]
    wanted = [(number, line[: records.MAX_LINE]) for number, line in enumerate(every) if re.search(r"alpha|beta|\.20[1-9]$", line)]
    assert found == wanted
