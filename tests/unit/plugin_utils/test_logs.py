# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What in a log is a failure, what a success, what noise; whatever the bytes look like."""

# ruff: noqa: E501 - lines of logs and documents stay whole
from __future__ import annotations

import time

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import findings, logs
from hypothesis import given, settings
from hypothesis import strategies as st

T0 = 1763942400  # 2025-11-24 00:00:00 UTC


def cbs(*messages: str, level: str = "Info", part: str = "CBS") -> str:
    return "".join(
        f"2025-11-24 00:00:{second:02d}, {level:<21} {part}    {text}\r\n" for second, text in enumerate(messages)
    )


def names(records: list[logs.Record]) -> set[str]:
    return {f"0x{r.code:08x}" for r in records if r.code is not None} | {r.marker for r in records if r.marker}


def read(text: str, **options: int) -> list[logs.Record]:
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
    assert [record for record in read(NOISE) if not record.ok] == []


def test_the_verdict_of_a_session_is_a_failure_with_its_package() -> None:
    text = NOISE + cbs(
        "Exec: Processing complete.  Session: 31000000_9, Package: Package_for_RollupFix~31bf~amd64~~19041.1.1.1, "
        "Identifier: KB5005565 [HRESULT = 0x800f0988 - PSFX_E_INVALID_DELTA_COMBINATION]",
        "Session: 31000000_9 finalized. Reboot required: no [HRESULT = 0x800f0988 - PSFX_E_INVALID_DELTA_COMBINATION]",
    )
    (found,) = logs.standing(read(text))
    assert (found.code, found.update, found.count, found.source) == (0x800F0988, "KB5005565", 2, "cbs")
    assert (found.first, found.time, found.local_time) == (T0, T0 + 1, True)


def test_an_error_that_the_session_survived_is_none() -> None:
    error = cbs("Failed to process single phase execution. [HRESULT = 0x80073712 - X]", level="Error")
    assert names(logs.standing(read(error))) == {"0x80073712"}
    survived = error + cbs("Session: 1000_2 finalized. Reboot required: no [HRESULT = 0x00000000 - S_OK]")
    assert logs.standing(read(survived)) == []
    failed = error + cbs("Session: 1000_2 finalized. Reboot required: no [HRESULT = 0x800f0831 - X]")
    assert names(logs.standing(read(failed))) == {"0x80073712", "0x800f0831"}


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


def test_a_repair_that_mended_all_overtakes_the_damage() -> None:
    broken = repair(8, 0, "0x800f081f")
    assert {"0x800f081f", "payload_corrupt", "store_corrupt"} <= names(logs.standing(read(broken)))
    records = read(broken + repair(8, 8, "0x0"))
    assert logs.standing(records) == []
    assert [record.marker for record in records if record.ok] == ["store_repaired"]


def test_a_total_of_nothing_beside_a_failed_operation_proves_nothing() -> None:
    records = read(repair(8, 0, "0x0") + repair(0, 0, "0x80070bc9"))
    assert {"payload_corrupt", "0x80070bc9"} <= names(logs.standing(records))
    assert not [record for record in records if record.ok]


def test_sfc_and_dism_do_not_vouch_for_each_other() -> None:
    sfc = cbs(
        "0000000a [SR] Cannot repair member file [l:9]'tcpip.sys' of X, version 1 in the store, hash mismatch",
        part="CSI",
    )
    assert names(logs.standing(read(sfc + repair(3, 3, "0x0")))) == {"sr_cannot_repair"}
    mended = cbs("00000001 [SR] Repairing 1 components", "00000002 [SR] Repair complete", part="CSI")
    assert logs.standing(read(sfc + mended)) == []
    again = cbs(
        "00000001 [SR] Repairing 1 components",
        "00000002 [SR] Cannot repair member file x",
        "3 [SR] Repair complete",
        part="CSI",
    )
    assert names(logs.standing(read(sfc + again))) == {"sr_cannot_repair"}


def test_one_fault_has_one_code() -> None:
    text = cbs(
        "0000000b (F) STATUS_SXS_COMPONENT_STORE_CORRUPT #1# from CCSDirectTransaction[gle=0xd015001a]",
        level="Error",
        part="CSI",
    )
    assert names(logs.standing(read(text))) == {"0x80073712"}


def test_a_zone_moves_local_time() -> None:
    text = cbs("Session: 1000_2 finalized. Reboot required: no [HRESULT = 0x800f0831 - X]")
    (found,) = read(text, zone_offset_s=7200)
    assert (found.time, found.local_time) == (T0 - 7200, False)


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


@pytest.mark.parametrize("cut", range(4))
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_reporting_events_in_every_encoding_and_cut(encoding: str, cut: int) -> None:
    data = (
        report("162 [AGENT_DOWNLOAD_SUCCEEDED]", "0", 0, "0" * 8 + "-0000-0000-0000-000000000001") + REPORTS
    ).encode(encoding)
    records = logs.read(data[cut or None :][: -cut or None], "ReportingEvents.log")
    seen = {(r.layer, r.code, r.ok) for r in records}
    assert ("download", 0x8024000B, False) in seen
    assert ("install", 0x80070002, False) in seen
    assert names(logs.standing(records)) == {"0x8024000b", "0x80070002"}, "a later search succeeded"
    install = next(r for r in records if r.code == 0x80070002)
    assert (install.time, install.update) == (T0 + 2, "c7b927c8-6b48-4e6d-8c0b-8f0da7ed9959")


def test_an_installation_is_overtaken_by_the_same_update_alone() -> None:
    other = report("183 [AGENT_INSTALLING_SUCCEEDED]", "0", 9, "11111111-6B48-4E6D-8C0B-8F0DA7ED9959", "Success")
    assert "0x80070002" in names(logs.standing(logs.read((REPORTS + other).encode())))
    same = report("183 [AGENT_INSTALLING_SUCCEEDED]", "0", 9, result="Success")
    assert "0x80070002" not in names(logs.standing(logs.read((REPORTS + same).encode())))


def event(provider: str, number: int, **data: str) -> str:
    fields = "".join(f"<Data Name='{name}'>{value}</Data>" for name, value in data.items())
    return (
        f"<Event xmlns='http://x'><System><Provider Name='{provider}' Guid='{{1}}'/><EventID Qualifiers='0'>{number}</EventID>"
        f"<TimeCreated SystemTime='2025-11-24T00:00:05.1234567Z'/></System><EventData>{fields}</EventData></Event>"
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
        records = logs.read(text.encode("utf-16"))
        assert records[0].source == f"event:{wuc}/20"
        assert (records[0].code, records[0].time) == (0x80248007, T0 + 5)
        assert "A & B" in records[0].text
    assert names(logs.read((failure + scan).encode())) == {"0x80248007", "0x8024402c"}


def test_a_service_is_named_by_its_key() -> None:
    blob = "wuauserv/4".encode("utf-16-le").hex()
    text = event("Service Control Manager", 7023, param1="Windows-Update", param2="%%1058").replace(
        "</EventData>", f"<Binary>{blob}</Binary></EventData>"
    )
    (found,) = logs.read(text.encode())
    assert (found.layer, found.code, found.update) == ("service", 0x80070422, "wuauserv")


def test_dism_gives_up_and_probes() -> None:
    head = "2025-11-24 00:00:00, Error                 DISM   "
    text = head + "DISM.EXE: DISM Package Manager processed the command line but failed. HRESULT=80070BC9\n"
    probe = (
        head
        + "DISM Driver Manager: PID=1 TID=2 Error, file not found 'oem9.inf'. - CDriverManager::OpenPackageByFile(hr:0x80070002)\n"
    )
    assert names(logs.read((probe + text).encode())) == {"0x80070bc9"}


def test_groups_of_the_host_read_like_the_file() -> None:
    lines = (NOISE + repair(8, 0, "0x800f081f")).splitlines()
    groups = [{"kind": "x", "count": 2, "first": line, "last": line} for line in lines]
    from_groups = logs.read_lines("cbs", groups)
    assert names(from_groups) == names(read("\n".join(lines)))
    assert all(record.count >= 2 for record in from_groups)


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
        assert len(record.text) <= 200
        assert record.text.isprintable() or "\ufffd" in record.text or record.text.strip() == record.text


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
    (damage,) = logs.standing(read(NOISE + mark))
    assert (damage.marker, damage.code) == ("payload_corrupt", None)
    assert set(damage.beside) == {0x80070002, 0x80070490, 0x80004005}
    (found,) = findings.from_records([damage], findings.Settings())
    assert {"0x80070490", "0x80004005"} < set(found.to_dict()["beside"])
    # What is a failure of its own is not named twice; where nothing is damaged nothing is named.
    text = mark + cbs("Exec: Failed to stage. [HRESULT = 0x80070490 - ERROR_NOT_FOUND]")
    assert names(read(NOISE + text)) == {"payload_corrupt", "0x80070490"}
    assert all(0x80070490 not in record.beside for record in read(NOISE + text))
    assert all(not record.beside for record in read(NOISE))


def test_damage_is_named_with_and_without_tabs() -> None:
    tabs = cbs("(p)\tCBS Catalog Corrupt\t(n)\t\t\tPackage_1.cat", "(f)\tCBS MUM Missing\t0x800F0900\tservicing\\x.mum")
    assert names(read(tabs)) == {"catalog_corrupt", "mum_missing", "0x800f0900"}
    assert names(read(tabs.replace("\t", "  "))) == {"catalog_corrupt", "mum_missing"}
