# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""wu_explain on files, folders and packed files: which host each is of, what it is, and what the result carries."""

from __future__ import annotations

import gzip
import io
import json
import os
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.winfleet.wu_repair.plugins.action import wu_explain
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import _files, explain, logs, seems, situation
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.finding import Finding, as_text
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.readers import reporting
from unit.plugin_utils import documents
from unit.plugin_utils.documents import NOW

CBS_BAD = (
    "2025-11-18 11:06:40, Info                  CSI    00000213 [SR] Cannot repair member file "
    "[l:9]'short.dll' of X-Component, version 1\r\n"
)
CBS_GOOD = (
    "2025-11-20 11:06:40, Info                  CBS    Exec: Processing complete.  Session: 1_2, Package: "
    "Package_for_RollupFix~31bf3856ad364e35~amd64~~26100.2454.1.9 [HRESULT = 0x00000000 - S_OK]\r\n"
)
CBS_NOISE = "2025-11-18 11:06:40, Info                  CBS    TrustedInstaller service starts successfully.\r\n"
REPORT = (
    "{8F8EA247-1586-48E4-A5F6-1D19A9343341}\t2025-11-18 05:14:55:630-0400\t1\t148 [AGENT_DETECTION_FAILED]\t101\t"
    "{00000000-0000-0000-0000-000000000000}\t0\t80072ee2\tUpdateOrchestrator\tFailure\tSoftware Synchronization\t"
    "Windows Update Client failed to detect with error 0x80072ee2.\tabc.1.0.0\r\n"
)
SETUP = "2025-11-18 03:11:09, Error                 SP     Could not read a value of the old system\r\n"
CMTRACE = (
    '<![LOG[Policy evaluated.]LOG]!><time="10:01:00.000+000" date="11-18-2025" component="PolicyAgent" context="" type="1" thread="1" '
    'file="a.cpp:1">\n'
)
FOREIGN = (
    "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='ExampleBackup'/><EventID>20</EventID>"
    "<Level>2</Level><TimeCreated SystemTime='2025-11-18T17:22:06.5Z'/><Channel>Application</Channel><Computer>web01</Computer></System>"
    "<EventData><Data>0x80070002</Data></EventData></Event>"
)


def run(*paths: Path, **options: Any) -> dict[str, Any]:
    """The module's result, as a task would get it."""
    task = SimpleNamespace(
        args={"path": [str(path) for path in paths], **options}, diff=False, check_mode=False, async_val=0, action="test", environment=[]
    )
    connection = SimpleNamespace(transport="local", _shell=SimpleNamespace(tmpdir=None, _IS_WINDOWS=False))
    made = wu_explain.ActionModule(task, connection, SimpleNamespace(), SimpleNamespace(), SimpleNamespace(), SimpleNamespace())
    done: dict[str, Any] = made.run(None, {"inventory_hostname": "localhost"})
    json.dumps(done)
    assert len(done["msg"]) <= 300
    return done


def put(folder: Path, **files: str | bytes) -> Path:
    """Files in a folder: `a__b_log` is `a/b.log`."""
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_log", ".log").replace("_json", ".json").replace("_xml", ".xml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def look(**sections: Any) -> str:
    return json.dumps(documents.look(sections).to_document())


def ids(result: dict[str, Any]) -> set[str]:
    return {item["id"] for item in result["findings"]}


# --- what a file seems to be ---


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("setuperr.log", SETUP, "a set-up log without a result"),
        ("PolicyAgent.log", CMTRACE, "a CMTrace log of PolicyAgent"),
        ("app.xml", FOREIGN, "events without any of Windows Update"),
        ("CBS.log", CBS_NOISE, "a log of the servicing stack (CBS)"),
        ("messages", "Nov 24 03:00:00 web01 sshd[12]: closed\n", "a syslog of sshd"),
        (
            "u_ex26.log",
            "#Software: Microsoft Internet Information Services 10.0\n#Fields: date\n",
            "a log of Microsoft Internet Information Services",
        ),
        ("list.json", '{"a": [1, 2]}', "JSON"),
        (
            "diagerr.xml",
            '<xml xmlns:rs="urn:schemas-microsoft-com:rowset">\n<z:row Msg="Lab [HRESULT = 0x80070002 - X]"/>\n</xml>\n',
            "what set-up keeps of its errors",
        ),
        # What others write that looks like it.
        (
            "MpCmdRun.log",
            '----\nMpCmdRun: Command Line: "MpCmdRun.exe" SignatureUpdate\n Start Time: now\n',
            "Microsoft Defender (MpCmdRun)",
        ),
        ("MpSigStub.log", "----\nStart time: 2026-04-07\nCommand: /stub 1.1.2 /payload 1.4.0 /MpWUStub\n", "Microsoft Defender's updater"),
        ("dd_lab.log", "[1968:196C][2026-04-07T09:00:00]i001: Burn v3.10.4, Windows v10.0\n", "an installer's bundle (Burn)"),
        ("PFRO.log", "4/7/2026 9:00:00 - PFRO Error: \\??\\C:\\lab, |delete operation|, 0xc0000034\n", "renamed at a restart (PFRO)"),
        (
            "DhcpSrvLog-Mon.log",
            "\t\tMicrosoft DHCP Service Activity Log\n\nEvent ID  Meaning\n00\tThe log was started.\n",
            "a log of a DHCP server",
        ),
        ("office.log", "Timestamp\tProcess\tTID\tArea\tCategory\tEventID\tLevel\tMessage\n", "Microsoft Office or SharePoint (ULS)"),
        (
            "pfirewall.log",
            "#Version: 1.5\n#Software: Microsoft Windows Firewall\n#Fields: date time\n",
            "a log of Microsoft Windows Firewall",
        ),
        ("install.log", "=== Verbose logging started: 4/7/2026  9:00:00 ===\n", "a log of Windows Installer"),
        ("DPX/setupact.log", "2026-04-07 09:00:00, Info                  DPX    Started DPX phase: Inventory\n", "unpacked (DPX)"),
        ("readme.txt", "hello\nworld\n", "text of no known form"),
        (
            "events.test.ts",
            f"const SAMPLE = `{FOREIGN.replace('ExampleBackup', 'Microsoft-Windows-WindowsUpdateClient')}`;\n",
            "the source of a",
        ),
        ("page.md", "{{< log-excerpt >}}\nhello\n{{< /log-excerpt >}}\n", "text of no known form"),
        ("program.txt", "{ id: 'evt-1', eventId: 7, message: 'hello' },\n", "text of no known form"),
        ("ticket.txt", "KB5099008 was there\n", "text of no known form that speaks of updates"),
        ("app.log", "2025-11-24 10:00:00 started\n", "a log with dates of a program that is not known"),
    ],
)
def test_a_file_without_anything_about_updates_is_told_for_what_it_is(tmp_path: Path, name: str, content: str, says: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(content, "utf-8")
    result = run(tmp_path / name)
    assert (result["verdict"], result["failed"], result["findings"]) == (
        "unknown",
        False,
        [item for item in result["findings"] if item["superseded_by"]],
    )
    assert says in result["msg"]
    assert says in result["files"][0]["seems"]


def test_a_set_up_log_with_a_result_is_not_told_to_be_without_one() -> None:
    log = Path(__file__).resolve().parents[2] / "cases/logs/setup/setupact-rollback-0xC1900101.log"
    assert run(log)["files"][0]["seems"] == "a set-up log"


@pytest.mark.parametrize("content", [b"", b"\0\xff\xfe rubbish " * 50, os.urandom(4000) + b"\0" * 500])
def test_what_nobody_can_read_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.log").write_bytes(content)
    result = run(tmp_path / "a.log")
    assert (result["verdict"], result["failed"]) == ("failed", True)
    assert "no log of Windows Update that is known" in result["msg"]


def test_a_set_up_log_that_tells_its_result_has_one(tmp_path: Path) -> None:
    line = "2026-04-07 09:00:00, Info                  MOUPG  SetupHost: Reporting post reboot event -> [0xC1900101, 0x30018]\n"
    result = run(put(tmp_path, setupact_log=line))
    assert result["files"][0]["seems"] == "a set-up log"
    assert "feature upgrades (phase 0x30018)" in result["msg"]


def test_the_list_of_checksur_is_one_of_checksur(tmp_path: Path) -> None:
    result = run(
        put(tmp_path, CheckSUR_log="Unavailable repair files:\n servicing\\packages\\Package_for_KB5099111~31bf~amd64~~6.1.1.0.mum\n")
    )
    assert "CheckSUR.log" in result["files"][0]["seems"]
    assert "KB5099111" in result["msg"]


def test_a_success_that_updates_need_makes_logs_healthy(tmp_path: Path) -> None:
    assert run(put(tmp_path, CBS_log=CBS_GOOD))["verdict"] == "healthy"
    app = REPORT.replace("148 [AGENT_DETECTION_FAILED]", "183 [AGENT_INSTALLING_SUCCEEDED]").replace("80072ee2", "0")
    app = app.replace(
        "Windows Update Client failed to detect with error 0x0.",
        "Installation Successful: Windows installed the following update: 9WZDNCRFHVN5-Calculator",
    )
    assert run(put(tmp_path / "app", ReportingEvents_log=app))["verdict"] == "unknown"


def test_of_several_large_files_together_so_much_is_read_as_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explain, "MOST_READ", 100_000)
    monkeypatch.setattr(explain, "LEAST_READ", 20_000)
    line = b"2026-03-01 10:00:00, Info                  CBS    Nothing.\r\n"
    for name, lines in (("CBS.log", 3000), ("dism.log", 3000), ("setupact.log", 200)):
        (tmp_path / name).write_bytes(line * lines)
    told = explain.explain([tmp_path], situation.Settings(), 1_795_000_000)
    read = {file.name: file.read_bytes for file in told.files}
    assert read["setupact.log"] == len(line) * 200
    assert 20_000 <= read["CBS.log"] == read["dism.log"] <= 50_000
    assert any("CBS.log" in warning and "only the last" in warning for warning in told.warnings)


def test_only_the_end_of_a_very_large_file_is_read_and_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "TAIL_BYTES", 1 << 20)
    (tmp_path / "CBS.log").write_text(CBS_BAD + CBS_NOISE * 30_000 + CBS_GOOD, "utf-8", newline="")
    result = run(tmp_path / "CBS.log")
    (file,) = result["files"]
    assert (file["read_bytes"], file["bytes"] > 2 << 20) == (1 << 20, True)
    assert any("only the last 1.0 MB of" in warning for warning in result["warnings"])
    assert result["findings"] == []


# --- whose files ---


@pytest.mark.parametrize(("clock", "verdict"), [("09:10", "healthy"), ("00:10", "needs_action")])
def test_the_zone_that_one_log_tells_orders_the_others(tmp_path: Path, clock: str, verdict: str) -> None:
    cbs = (
        "2025-11-24 03:00:00, Info                  CBS    Exec: Processing started.  Session: 3114_2207, Package: "
        "Package_for_KB9900009~31bf3856ad364e35~amd64~~26100.4061.1.12\r\n"
        "2025-11-24 03:10:00, Info                  CBS    Session: 3114_2207 finalized. Reboot required: no [HRESULT = 0x800f0922 - X]\r\n"
    )
    report = (
        f"{{8F8EA247-1586-48E4-A5F6-1D19A9343341}}\t2025-11-24 {clock}:11:101+0100\t1\t183 [AGENT_INSTALLING_SUCCEEDED]\t101\t"
        "{11111111-2222-4333-8444-555555555555}\t200\t0\tAutomaticUpdates\tSuccess\tContent Install\t"
        "Installation Successful: Windows successfully installed the following update: 2025-11 Security Update (KB9900009)\tabc.1.0.0\r\n"
    )
    result = run(put(tmp_path, CBS_log=cbs, ReportingEvents_log=report))
    assert (result["verdict"], ids(result)) == (verdict, {"0x800F0922@update:KB9900009"})
    alone = run(put(tmp_path / "one", CBS_log=cbs))
    assert (alone["verdict"], ids(alone)) == ("needs_action", {"0x800F0922@update:KB9900009"})


def test_rows_of_several_zones_tell_none() -> None:
    nobody = "{{00000000-0000-0000-0000-000000000000}}"
    row = f"{nobody}\t2025-11-18 05:14:55:630{{}}\t1\t148\t101\t{nobody}\t0\t0\n"
    assert reporting.zone_told(row.format("+0100") + row.format("+0200")) == 7200
    assert reporting.zone_told(row.format("+0100") + row.format("-0500")) is None
    assert reporting.zone_told("") is None


def test_logs_beside_one_look_are_judged_with_it(tmp_path: Path) -> None:
    result = run(put(tmp_path, web01_json=look(), CBS_log=CBS_BAD, more__ReportingEvents_log=REPORT))
    assert "hosts" not in result
    assert (result["host"], result["verdict"]) == ("web01", "needs_action")
    assert "sr_cannot_repair@store:files" in ids(result)
    assert {file["kind"] for file in result["files"]} == {"evidence", "reporting", "servicing"}


def test_the_same_folder_in_any_order_gives_the_same(tmp_path: Path) -> None:
    put(tmp_path, web01_json=look(), CBS_log=CBS_BAD, ReportingEvents_log=REPORT)
    paths = sorted(tmp_path.iterdir())
    one, other = run(*paths), run(*reversed(paths))
    assert one["findings"] == other["findings"]


def test_several_looks_give_a_row_a_host_the_worst_first(tmp_path: Path) -> None:
    put(tmp_path, web01_json=look(), web02_json=look(), web02__CBS_log=CBS_BAD, web03_json='{"schema": 1, "sections": 3}')
    result = run(tmp_path)
    assert [(row["host"], row["verdict"]) for row in result["hosts"]] == [("web02", "needs_action"), ("web01", "healthy")]
    assert (result["host"], result["verdict"]) == ("web02", "needs_action")
    assert result["msg"].startswith("2 hosts: 1 needs_action, 1 healthy. web02: ")
    assert result["findings"] == result["hosts"][0]["findings"]
    assert any("web03.json" in warning for warning in result["warnings"])


def test_of_two_looks_at_one_host_the_newer_counts(tmp_path: Path) -> None:
    older = json.loads(look(**{"host.elevated": False}))
    newer = json.loads(look())
    newer["taken"] = {"asked_ms": (NOW + 60) * 1000, "answered_ms": (NOW + 61) * 1000}
    result = run(put(tmp_path, **{"web01_json": json.dumps(newer), "web01.after_json": json.dumps(older)}))
    assert (result["host"], result["verdict"], len(result["files"])) == ("web01", "healthy", 2)


def test_logs_that_a_host_has_once_in_two_folders_are_of_two_hosts(tmp_path: Path) -> None:
    result = run(put(tmp_path, pc1__CBS_log=CBS_BAD, pc2__CBS_log=CBS_GOOD))
    assert [(row["host"], row["verdict"]) for row in result["hosts"]] == [("pc1", "needs_action"), ("pc2", "healthy")]
    other = tmp_path / "one"
    result = run(put(other, CBS__CBS_log=CBS_BAD, WU__ReportingEvents_log=REPORT))
    assert "hosts" not in result


def test_what_a_look_read_itself_counts_once(tmp_path: Path) -> None:
    other = REPORT.replace("05:14:55", "06:14:55")
    log = {"path": "ReportingEvents.log", "size": 100, "read": 100, "kinds": [{"last": other.strip(), "count": 1, "first": None}]}
    alone = run(put(tmp_path, web01_json=look(reporting=log)))
    both = run(put(tmp_path, ReportingEvents_log=REPORT + other))
    assert [[item["count"] for item in result["findings"] if item["code"] == "0x80072EE2"] for result in (alone, both)] == [[1], [2]]


def test_a_copy_of_a_log_counts_once(tmp_path: Path) -> None:
    result = run(put(tmp_path, ReportingEvents_log=REPORT, copy__Reporting_log=REPORT))
    assert result["findings"][0]["count"] == 1


def test_folders_are_read_four_deep_without_hidden_files(tmp_path: Path) -> None:
    put(tmp_path, a__b__c__CBS_log=CBS_BAD, a__b__c__d__dism_log=CBS_BAD.replace("short", "deep"))
    (tmp_path / ".hidden.log").write_text(REPORT, "utf-8")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert [Path(file["path"]).name for file in run(tmp_path)["files"]] == ["CBS.log"]


def test_only_so_many_files_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explain, "MOST_FILES", 2)
    result = run(put(tmp_path, CBS_log=CBS_BAD, dism_log=CBS_NOISE, x_log=REPORT))
    assert len(result["files"]) == 2
    assert "only the first 2 files were read" in result["warnings"]


# --- packed files ---


def test_a_zip_is_a_folder(tmp_path: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("Logs/CBS/CBS.log", CBS_BAD)
        archive.writestr("web01.json", look())
        archive.writestr("trace.etl", b"x")
    (tmp_path / "case.zip").write_bytes(file.getvalue())
    result = run(tmp_path / "case.zip")
    assert result["host"] == "web01"
    assert [file["path"].rpartition("/")[2] for file in result["files"]] == ["CBS.log", "case.zip!web01.json", "case.zip!trace.etl"]
    assert any("Get-WindowsUpdateLog" in warning for warning in result["warnings"])
    (tmp_path / "CBS.log.gz").write_bytes(gzip.compress(CBS_BAD.encode()))
    assert "sr_cannot_repair@store:files" in ids(run(tmp_path / "CBS.log.gz"))


@pytest.mark.parametrize(
    ("name", "content", "says"), [("a.cab", b"MSCF" + bytes(60), "expand FILE"), ("a.zip", b"PK\3\4" + bytes(60), "cannot be unpacked")]
)
def test_what_cannot_be_unpacked_says_why(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    result = run(tmp_path / name)
    assert result["verdict"] == "failed"
    assert says in result["msg"]


# --- what findings carry ---


def test_a_finding_names_its_things(tmp_path: Path) -> None:
    other = CBS_BAD.replace("short", "other").replace("11:06:40", "11:07:40")
    again = CBS_BAD.replace("11:06:40", "11:08:40")
    (item,) = run(put(tmp_path, CBS_log=CBS_BAD + other + again))["findings"]
    assert (item["name"], item["file"], item["count"]) == ("short.dll of X-Component, other.dll of X-Component", "short.dll", 2)
    assert (item["seen_in"], item["last_seen_text"], item["first_seen_text"]) == (
        ["CBS.log"],
        "2025-11-18T11:08:40Z",
        "2025-11-18T11:06:40Z",
    )
    assert len(item["lines"]) == 2
    assert "short.dll" in item["lines"][-1]


def test_dates_that_no_calendar_holds_have_no_text() -> None:
    assert [as_text(time) for time in (None, 0, 1 << 60, -(1 << 60))] == [None, "1970-01-01T00:00:00Z", None, None]


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("example.dll of A-B", "example.dll"),
        (r"C:\Windows\System32\a.sys", r"C:\Windows\System32\a.sys"),
        ("Package_for_KB5034441~31bf3856ad364e35~amd64~~1.0.1.3", None),
        ("wuauserv", None),
        (None, None),
    ],
)
def test_a_file_is_told_from_a_package(name: str | None, file: str | None) -> None:
    assert Finding("a@store:files", "store:files", "store", "m", {}, "", name=name).file == file


# --- redaction ---


def test_a_host_that_is_called_by_an_ordinary_word_goes_where_it_is_the_host(tmp_path: Path) -> None:
    put(tmp_path, office_json=look(), setup_json=look())
    redacted = run(tmp_path, redact=True)
    assert {row["host"] for row in redacted["hosts"]} == {"host-1", "host-2"}
    assert redacted["host"] in redacted["msg"]
    assert "office" not in json.dumps(redacted).lower()


def test_a_redacted_result_holds_no_name(tmp_path: Path) -> None:
    secrets = ("kestrel07", "larkspur", "jsparrow", "10.77.66.55")
    report = REPORT.replace("detect with error", r"detect from 10.77.66.55 for LARKSPUR\jsparrow on kestrel07 with error")
    put(
        tmp_path / "kestrel07-case",
        **{"kestrel07_json": look(**{"host.domain": "larkspur.local"}), "ReportingEvents_log": report, "kestrel07-x_log": CBS_BAD},
    )
    plain, redacted = run(tmp_path / "kestrel07-case"), run(tmp_path / "kestrel07-case", redact=True)
    assert all(secret in json.dumps(plain).lower() for secret in secrets)
    assert not any(secret in json.dumps(redacted).lower() for secret in (*secrets, str(tmp_path).lower()))
    assert redacted["host"] == "host-1"
    assert {item["code"] for item in redacted["findings"]} == {item["code"] for item in plain["findings"]}
    missing = run(tmp_path / "kestrel07.log", redact=True)
    assert "kestrel07" not in json.dumps(missing)


def test_binary_is_told_from_text() -> None:
    assert [seems.is_text(text) for text in ("", "\0\0", "abc", "\ufffd" * 10 + "a", "a" * 1000 + "\ufffd")] == [
        False,
        False,
        True,
        False,
        True,
    ]


HOSTS = ["web01", "server-日本語", "server-中国語", "müller-größe", "2001:db8::1", "2001_db8__1", "a/b", "a_b", "100%"]
HOSTS += ["h" * 300, "h" * 301, "日" * 90]


def test_no_two_hosts_share_a_file_of_evidence_and_each_is_told_by_its_name(tmp_path: Path) -> None:
    """Every letter beyond ASCII was an underscore: of `server-日本語` and `server-中国語` one overwrote the other."""
    names = [_files.name_of_host(host) for host in HOSTS]
    assert len(set(names)) == len(HOSTS)
    content = json.dumps(documents.look().to_document())
    for name in names:
        (tmp_path / f"{name}.after.json").write_text(content, "utf-8")
    told = {row["host"] for row in run(tmp_path)["hosts"]}
    assert {host for host in HOSTS if len(host) < 80} <= told
    (tmp_path / "a%0ab.json").write_text(content, "utf-8")
    assert run(tmp_path / "a%0ab.json")["host"].isprintable()


TICKET = (
    "Since the May update our servers do not install KB5058379 any more.\n\n"
    "Windows Update ends with {0} and the server goes back. sfc /scannow finds nothing.\n"
)


@pytest.mark.parametrize("written", ["0x800f0922", "800F0922", "-2146498270", "2148469026", "`0x800F0922`", "0x800F0922."])
def test_a_code_in_a_ticket_is_told_and_decides_nothing(tmp_path: Path, written: str) -> None:
    """A ticket that says what fails, without any log, was answered with "text of no known form" alone."""
    done = run(put(tmp_path, ticket_txt=TICKET.format(written)) / "ticket_txt")
    (told,) = done["findings"]
    assert (told["code"], told["kb"], told["state"]) == ("0x800F0922", "KB5058379", "closed")
    assert (done["verdict"], done["repairs"], done["attempts"]) == ("unknown", [], [])
    assert "It names 0x800F0922 of KB5058379" in done["msg"]
    assert "code=0x800F0922" in done["next_step"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Updates KB5066835 or KB5070773 failed\n\nThe error code is 0x800f0991.\n", "0x800F0991 beside KB5066835, KB5070773"),
        ("KB5066835 went in.\nKB5070773 ended with 0x800f0991.\n", "0x800F0991 of KB5070773"),
        ("KB5066835 went in, KB5070773 ended with 0x800f0991.\n", "0x800F0991 beside KB5066835, KB5070773"),
        ("Cannot enable the feature (Error 14081) since KB5058379\n", "0x80073701 of KB5058379"),
        ("Error 0x80073701 of Windows Update\nMark absent Package_3817_for_KB4601383~31bf3856ad364e35\n", "0x80073701 of KB4601383"),
    ],
)
def test_the_updates_of_a_ticket_are_named_beside_its_code(tmp_path: Path, text: str, named: str) -> None:
    assert f"It names {named}" in run(put(tmp_path, ticket_txt=text) / "ticket_txt")["msg"]


@pytest.mark.parametrize(
    ("file", "named"), [("NDP45-KB5990305-x64.exe", "0x80070002 ("), ("windows11-KB5990305-x64.msu", "0x80070002 of KB5990305")]
)
def test_a_program_to_install_is_not_the_update_of_a_code(tmp_path: Path, file: str, named: str) -> None:
    text = f"Windows Update\nItem '{file}' is applicable.\nSetInitialCommandLine failed with error 0x80070002\n"
    assert f"It names {named}" in run(put(tmp_path, ticket_txt=text) / "ticket_txt")["msg"]


def test_a_service_that_is_said_to_fail_is_told_and_decides_nothing(tmp_path: Path) -> None:
    """A ticket that quotes the sentence of an event without its head was answered without a name."""
    words = 'Then it says "The Windows Update service terminated unexpectedly." and nothing else.'
    done = run(put(tmp_path, ticket_txt=f"Hello,\n\n{words}\n") / "ticket_txt")
    (told,) = done["findings"]
    assert (told["name"], told["state"], told["code"]) == ("wuauserv", "closed", None)
    assert (done["verdict"], done["repairs"]) == ("unknown", [])
    assert "It names wuauserv" in done["msg"]


@pytest.mark.parametrize(("of", "names"), [("The Windows Update service", ["wuauserv"]), ("The service", [])])
def test_a_foreign_log_is_asked_where_it_speaks_of_updates(tmp_path: Path, of: str, names: list[str]) -> None:
    """A program that lists events with dates of its own was said to hold nothing, and its code was named nowhere."""
    lines = "".join(f"2025-07-{day}T08:00:01.000  [7034]  {of} terminated unexpectedly, 0x80070005.\n" for day in (19, 20))
    done = run(put(tmp_path, list_txt=lines) / "list_txt")
    assert [item["name"] for item in done["findings"] if item["name"]] == names
    assert bool(done["findings"]) == bool(names)


def test_of_a_log_in_which_nothing_ended_the_codes_of_its_failures_are_told(tmp_path: Path) -> None:
    line = "2025/02/26 15:35:10.44153{}9 6508  4364  Agent           *FAILED* [{}] Method failed [CAgentSomething::Other:3020]\n"
    done = run(put(tmp_path, agent_txt=line.format(1, "8024000C") + line.format(2, "80240439")) / "agent_txt")
    assert {item["code"] for item in done["findings"]} >= {"0x80240439"}
    assert all(item["state"] == "closed" for item in done["findings"])


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("".join(f"Windows Update error 0x8024{number:04x}: see below\n" for number in range(1, 9)), id="a table of codes"),
        pytest.param("Windows Update of commit 8007000a and of 0x0 and 0x00240005 went well\n", id="no failure"),
        pytest.param("KB5058379 is build 80070002.1 of branch x-80070002, Build: 14098.1, Windows 14098\n", id="no code"),
        pytest.param("Windows Update: address 0x8fffffff of 0x91234567\n", id="no code that is known"),
        pytest.param("Windows Update: its driver is at 0x80061234, flags 0x80071234\nerror\n0x80071235\n", id="no word near it"),
        pytest.param("".join(f"Windows Update error 0x80071{number:03x}: see\n" for number in range(1, 9)), id="a table of unknown codes"),
        pytest.param(CBS_NOISE + CBS_NOISE.replace("starts successfully", "gave 0x800f0805, 0x80070002"), id="a log's own noise"),
    ],
)
def test_what_is_no_report_of_a_failure_names_none(tmp_path: Path, text: str) -> None:
    done = run(put(tmp_path, ticket_txt=text) / "ticket_txt")
    assert done["findings"] == []
    assert done["verdict"] == "unknown"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Error while I update from the Store (0x80070216).\n", "0x80070216"),
        ("Beim Update aus dem Store kommt der Fehlercode: 0x80070216\n", "0x80070216"),
        ("Update-MpSignature ends with errors\nCmdTool: Failed with hr = 0x800106BA. See its log\n", "0x800106BA"),
        ("2020-03-28T21:19:45Z: Update-MpSignature\n2020-03-28T21:29:35Z: CmdTool: Failed with HRESULT 0x800106BA.\n", "0x800106BA"),
    ],
)
def test_a_code_that_no_table_knows_is_named_where_a_word_says_that_it_is_one(tmp_path: Path, text: str, code: str) -> None:
    """Who asks about such a code was told that nothing about updates is in his text, and its code nowhere."""
    done = run(put(tmp_path, ticket_txt=text) / "ticket_txt")
    assert [(item["code"], item["state"]) for item in done["findings"]] == [(code, "closed")]
    assert (done["verdict"], done["repairs"]) == ("unknown", [])


def test_what_is_written_above_lines_of_a_log_is_told(tmp_path: Path) -> None:
    """The lines were all noise, so the ticket was "a log of the servicing stack" that says nothing."""
    done = run(
        put(tmp_path, ticket_txt=TICKET.format("0x800f0922") + "\nError 0x80073701 is in CBS.log, too:\n" + CBS_NOISE) / "ticket_txt"
    )
    assert {item["code"]: item["state"] for item in done["findings"]} == {"0x800F0922": "closed", "0x80073701": "closed"}
    assert "It names 0x800F0922 of KB5058379" in done["msg"]


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("Windows Update: DISM command failed with exit code 1465\n", ["0x800705B9"]),
        ("dism.exe /online /cleanup-image fails on every host:\n\nrpc call failed  code 1726\n", ["0x800706BE"]),
        ("DISM exited with code 112\n", ["0x80070070"]),
        ("I ran DISM /RestoreHealth and got Error: 2 The system cannot find the file specified. Now?\n", ["0x80070002"]),
        ("I ran DISM\nThe other program says Error: 2 of 7\n", []),
        ("DISM exited with code 1.\nThe script ended with exit code 13\n", []),
        ("Windows Update: the script ended with exit code 1726\n", []),
        ("dism is there; zip code 99999, build code 1726.3, code 1726x\n", []),
    ],
)
def test_the_windows_error_that_dism_ended_with_is_a_code(tmp_path: Path, text: str, codes: list[str]) -> None:
    """People give its exit code, which is a Windows error; the number of another program is none."""
    done = run(put(tmp_path, ticket_txt=text) / "ticket_txt")
    assert [item["code"] for item in done["findings"]] == codes
    assert {item["state"] for item in done["findings"]} <= {"closed"}
    assert done["verdict"] == "unknown"


def test_the_few_updates_that_a_text_speaks_of_are_said(tmp_path: Path) -> None:
    """ "Text of no known form that speaks of updates" did not say of which."""
    done = run(
        put(tmp_path, ticket_txt="The newest cumulative update (KB5022845) keeps failing to install since Tuesday.\n") / "ticket_txt"
    )
    assert (done["verdict"], done["findings"]) == ("unknown", [])
    assert done["msg"].endswith("It speaks of KB5022845.")
    damaged = "# KB5040497 is not installed\n\nWindows Resource Protection found corrupt files but was unable to fix some of them.\n"
    beside = run(put(tmp_path, sfc_txt=damaged) / "sfc_txt")
    assert [item["condition"] for item in beside["findings"]] == ["sr_cannot_repair"]
    assert beside["msg"].endswith("It speaks of KB5040497.")
    listed = "Windows Update: " + ", ".join(f"KB50{number}" for number in range(22845, 22849)) + "\n"
    assert "It speaks of" not in run(put(tmp_path, list_txt=listed) / "list_txt")["msg"], "a list of updates"


@pytest.mark.parametrize(("text", "name"), [("0xC1900101 - 0x20017", "phase 0x20017"), ("0xC1900101", None), ("0xC1900101 - 0x12", None)])
def test_a_code_of_an_upgrade_is_told_with_its_phase(tmp_path: Path, text: str, name: str | None) -> None:
    (told,) = run(put(tmp_path, ticket_txt=f"The article on upgrade error {text} lacks a cause: a bad slot\n") / "ticket_txt")["findings"]
    assert (told["code"], told["name"], told["state"]) == ("0xC1900101", name, "closed")


def test_a_code_that_begins_a_title_above_noise_is_told(tmp_path: Path) -> None:
    done = run(put(tmp_path, ticket_txt="### 0x80070005 (access denied) in C:\\Windows\\Logs\\CBS\\CBS.log\n\n" + CBS_NOISE) / "ticket_txt")
    assert {item["code"]: item["state"] for item in done["findings"]} == {"0x80070005": "closed"}


def test_what_is_true_beside_updates_is_said_where_nothing_else_is(tmp_path: Path) -> None:
    """A driver that was refused was a finding that the sentence did not speak of."""
    shown = "Microsoft PnP Utility\n\nAdding driver package:  labaudio.inf\nFailed to add driver package: Access is denied.\n"
    shown += "\nTotal driver packages:  1\nAdded driver packages:  0\n"
    done = run(put(tmp_path, paste_txt=shown) / "paste_txt")
    assert (done["verdict"], done["repairs"], done["attempts"]) == ("unknown", [], [])
    assert "labaudio.inf" in done["msg"]


def test_the_number_that_dism_ends_with_is_a_code(tmp_path: Path) -> None:
    done = run(put(tmp_path, ticket_txt="Windows Update fails, and DISM says Error: 14098 - the store is damaged\n") / "ticket_txt")
    assert [item["code"] for item in done["findings"]] == ["0x80073712"]


def test_what_a_paste_shows_is_not_told_again_as_named(tmp_path: Path) -> None:
    """The console's failure is a finding; the other code, of which only the sentence above it speaks, stands beside it."""
    shown = "C:\\>dism /online /cleanup-image /restorehealth\nDeployment Image Servicing and Management tool\nVersion: 10.0.20348.1\n\n"
    shown += "Image Version: 10.0.20348.169\n\nError: 0x800f081f\n\nThe source files could not be found.\n"
    done = run(put(tmp_path, ticket_txt="Windows Update ends with 0x80073712, and DISM with 0x800f081f:\n\n" + shown) / "ticket_txt")
    states = {item["code"]: item["state"] for item in done["findings"]}
    assert states == {"0x800F081F": "failing", "0x80073712": "closed"}
    assert done["verdict"] == "needs_action"
    assert "0x80073712" not in done["msg"]


def test_a_log_of_another_program_that_speaks_of_updates_is_not_said_to_hold_nothing_of_them(tmp_path: Path) -> None:
    log = tmp_path / "build.log"
    log.write_text("2026-03-02 10:00:00 Installing updates\n2026-03-02 10:04:00 2 Accepted KB5099001 11 MB Update for Windows Server\n")
    (host,) = explain.explain([log], situation.Settings(), NOW).hosts
    assert host.judged.verdict.name == "unknown"
    assert host.judged.verdict.msg.startswith("Nothing in it says whether updates work")
    assert "KB5099001" in host.judged.verdict.msg


def test_a_code_of_updates_makes_a_text_speak_of_them(tmp_path: Path) -> None:
    ticket = tmp_path / "ticket.md"
    ticket.write_text("It ends with 0xC1900208, something is incompatible.\n")
    (host,) = explain.explain([ticket], situation.Settings(), NOW).hosts
    assert not host.judged.verdict.msg.startswith("Nothing about updates")
    assert "0xC1900208" in host.judged.verdict.msg


def test_a_notice_that_is_all_of_a_log_is_said(tmp_path: Path) -> None:
    log = tmp_path / "MpSigStub.log"
    log.write_text("ERROR 0x8007051a : 'Microsoft Windows Defender (RS1+)' failed to update.\n")
    (host,) = explain.explain([log], situation.Settings(), NOW).hosts
    assert "0x8007051A" in host.judged.verdict.msg
    assert "KB2267602" in host.judged.verdict.msg


def test_an_event_log_in_which_nothing_was_written_is_no_fault_of_its_file(tmp_path: Path) -> None:
    """Every Windows has such logs (HardwareEvents.evtx, often Setup.evtx), and each was refused as damaged."""
    chunk = b"ElfChnk\0" + (1).to_bytes(8, "little") + b"\xff" * 24
    (tmp_path / "Setup.evtx").write_bytes(b"ElfFile\0".ljust(4096, b"\0") + chunk.ljust(65_536, b"\0"))
    done = run(tmp_path / "Setup.evtx")
    assert (done["verdict"], done["findings"]) == ("unknown", [])
    assert "an event log (.evtx) without an event" in done["msg"]
