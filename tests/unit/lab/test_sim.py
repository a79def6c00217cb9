# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The simulated Windows: laws, services, files, clock, event log and the socket."""

from __future__ import annotations

import base64
import json
import re
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from lab import scenario
from lab.engine import find_powershell
from lab.eventlog import Event, Query, QueryError
from lab.sim import CHANGE, READ, Sim, SimError, clixml

REPOSITORY = Path(__file__).resolve().parents[3]
SD = r"C:\Windows\SoftwareDistribution"
W32 = r"HKLM\SYSTEM\CurrentControlSet\Services\W32Time"


@pytest.fixture
def make(tmp_path: Path):  # type: ignore[no-untyped-def]
    """Make a host out of keys of a scenario."""
    count = 0

    def build(**keys: Any) -> Sim:
        nonlocal count
        count += 1
        path = tmp_path / f"s{count}.yml"
        path.write_text(yaml.safe_dump({"title": "t", "machine": "client10", **keys}))
        return Sim.load(str(path), tmp_path / f"h{count}", f"h{count}")

    return build


def code_of(sim: Sim, function: str, **args: Any) -> int:
    """The HRESULT of a call that fails, 0 of one that works."""
    try:
        sim.call(function, args)
    except SimError as error:
        return error.hresult & 0xFFFFFFFF
    return 0


def search(sim: Sim) -> int:
    return code_of(sim, "Invoke-UpdateSearch", Criteria="IsInstalled=0")


def state(sim: Sim, name: str) -> dict[str, Any]:
    table: Any = sim.call("Get-ServiceTable", {"Name": [name]})
    return dict(table[name])


def process_of(sim: Sim, name: str) -> dict[str, int]:
    """The process of a service by what sc.exe prints, and how many it serves."""
    text: Any = sim.call("Read-ServiceListing", {})
    blocks = [block.splitlines() for block in text.replace("\r\n", "\n").strip().split("\n\n")]
    pids = {block[0].partition(": ")[2]: int(block[-2].partition(": ")[2]) for block in blocks}
    own = pids.get(name, 0)
    return {"pid": own, "shared": list(pids.values()).count(own) if own else 0}


def end_process(sim: Sim, process: int) -> None:
    fact: Any = sim.call("Get-ProcessFact", {"ProcessId": process})
    sim.call("Stop-ServiceProcess", {"ProcessId": process, "Name": fact["name"], "Started": fact["started"]})


def test_plays_every_platform_function_of_the_contract() -> None:
    text = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    part = text.partition("### Platform functions")[2].partition("## The core")[0]
    cells = [line.split("|")[1] for line in part.splitlines() if line.startswith("| `")]
    named = {name for cell in cells for name in re.findall(r"`([A-Z][a-z]+-[A-Za-z]+)", cell)}
    assert named == {*READ, *CHANGE}


# -- laws


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ({}, 0),
        ({"services": {"wuauserv": {"start": 4}}}, 0x80070422),
        ({"services": {"CryptSvc": {"start": 4}}}, 0x80070422),
        ({"data_store": "damaged 0x80248007"}, 0x80248007),
        ({"clock_offset": "301s"}, 0x80072F8F),
        ({"clock_offset": "-301s"}, 0x80072F8F),
        ({"clock_offset": "299s"}, 0),
        ({"controller_skew": "5h"}, 0),
        ({"denied": ["search"]}, 0x80070005),
    ],
)
def test_law_decides_a_search(make: Any, keys: dict[str, Any], code: int) -> None:
    assert search(make(**keys)) == code


def test_unreachable_wsus_gives_the_code_of_its_endpoint(make: Any) -> None:
    policy = r"HKLM\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate"
    registry = {policy: {"WUServer": "http://wsus.example:8530"}, policy + r"\AU": {"UseWUServer": 1}}
    assert search(make(registry=registry)) == 0x80072EE2
    refused = {"wsus.example:8530": {"ok": False, "gives": 0x80072EFD}}
    assert search(make(registry=registry, endpoints=refused)) == 0x80072EFD
    assert search(make(registry=registry, endpoints={"wsus.example:8530": {"ok": True}})) == 0


def test_failed_and_successful_searches_leave_their_traces(make: Any) -> None:
    sim = make(data_store="damaged 0x80070002", last_search="now-3d")
    assert search(sim) == 0x80070002
    xpath = "*[System[Provider[@Name='Microsoft-Windows-WindowsUpdateClient'] and EventID=25]]"
    asked = {"Channel": "Microsoft-Windows-WindowsUpdateClient/Operational", "XPath": xpath, "Max": 5, "TimeoutMs": 100}
    found: Any = sim.call("Read-EventRecord", asked)
    assert "<Data Name='errorCode'>0x80070002</Data>" in found[0]
    tail: Any = sim.call("Read-FileTail", {"Path": SD + r"\ReportingEvents.log", "Bytes": 4000})
    line = base64.b64decode(tail["bytes"]).decode("utf-16-le").splitlines()[-1].split("\t")
    assert len(line) == 13
    assert (line[3], line[7], line[9]) == ("148 [AGENT_DETECTION_FAILED]", "80070002", "Failure")
    # A script's own search never moves the agent's date.
    dates: Any = make().call("Get-UpdateResult", {})
    assert sim.last_search < dates["last_search"]


def test_reset_of_the_data_store_cures_and_empties_the_history(make: Any) -> None:
    sim = make(data_store="damaged 0x80070002")
    assert search(sim) == 0x80070002
    sim.call("Send-ServiceStop", {"Name": "wuauserv"})
    sim.call("Move-Folder", {"Path": SD, "Destination": SD + ".old"})
    assert search(sim) == 0
    history: Any = sim.call("Get-UpdateHistory", {"Max": 10})
    assert history == []


def test_law_of_a_scenario_comes_after_the_universal_ones(make: Any) -> None:
    law = {"on": ["search"], "when": [{"file_missing": r"C:\Windows\x.txt"}], "gives": 0x80240034}
    sim = make(laws=[law], services={"wuauserv": {"start": 4}})
    assert search(sim) == 0x80070422
    sim.call("Set-ServiceStart", {"Name": "wuauserv", "Start": 3, "Delayed": False})
    assert search(sim) == 0x80240034
    (sim.root / "Windows" / "X.TXT").write_text("x")
    assert search(sim) == 0


# -- services


def test_service_manager_answers_as_windows_does(make: Any) -> None:
    sim = make(services={"wuauserv": {"state": "running"}, "child": {"needs": ["wuauserv"], "state": "running"}})
    assert code_of(sim, "Send-ServiceStart", Name="wuauserv") == 0x80070420
    assert code_of(sim, "Send-ServiceStop", Name="wuauserv") == 0x8007041B
    assert state(sim, "wuauserv")["dependents"] == ["child"]
    assert code_of(sim, "Send-ServiceStop", Name="child") == 0
    assert code_of(sim, "Send-ServiceStop", Name="child") == 0x80070426
    assert code_of(sim, "Send-ServiceStop", Name="wuauserv") == 0
    assert code_of(sim, "Send-ServiceStart", Name="nothing") == 0x80070424
    sim.call("Set-ServiceStart", {"Name": "wuauserv", "Start": 4, "Delayed": False})
    assert code_of(sim, "Send-ServiceStart", Name="wuauserv") == 0x80070422
    assert code_of(sim, "Send-ServiceStart", Name="child") == 0x8007042C
    assert code_of(sim, "Set-ServiceStart", Name="WaaSMedicSvc", Start=3, Delayed=False) == 0x80070005


def test_stops_that_refuse_hang_take_time_or_do_not_last(make: Any) -> None:
    sim = make(
        services={
            "BITS": {"state": "running", "stop": "refuse"},
            "DoSvc": {"state": "running", "stop": "hang"},
            "CryptSvc": {"stop_ms": 60},
            "wuauserv": {"state": "running", "revived_by": "UsoSvc", "revive_ms": 20},
        }
    )
    assert code_of(sim, "Send-ServiceStop", Name="BITS") == 0x8007041C
    for name in ("DoSvc", "CryptSvc", "wuauserv"):
        assert code_of(sim, "Send-ServiceStop", Name=name) == 0
    assert state(sim, "CryptSvc")["state"] == "stop_pending"
    time.sleep(0.08)
    assert state(sim, "CryptSvc")["state"] == "stopped"
    assert state(sim, "wuauserv")["state"] == "running"
    assert state(sim, "DoSvc")["state"] == "stop_pending"
    end_process(sim, process_of(sim, "DoSvc")["pid"])
    assert state(sim, "DoSvc")["state"] == "stopped"


def test_services_of_one_host_process_die_together(make: Any) -> None:
    sim = make(services={"wuauserv": {"state": "running"}})
    row = process_of(sim, "wuauserv")
    assert row["shared"] == 3
    assert code_of(sim, "Stop-ServiceProcess", ProcessId=row["pid"], Name="svchost", Started=1) == 0x80131509
    end_process(sim, row["pid"])
    assert state(sim, "Schedule")["state"] == "stopped"


def test_what_guards_itself_is_denied_and_a_driver_is_a_dependent_but_no_service(make: Any) -> None:
    sim = make(
        services={
            "CryptSvc": {"state": "running"},
            "AppIDSvc": {"start": 3, "state": "running", "needs": ["CryptSvc", "applockerfltr"]},
            "applockerfltr": {"driver": True, "start": 3, "state": "running", "needs": ["CryptSvc"]},
        }
    )
    for name in ("DoSvc", "msiserver", "AppIDSvc"):
        assert code_of(sim, "Set-ServiceStart", Name=name, Start=3, Delayed=False) == 0x80070005
    assert code_of(sim, "Send-ServiceStop", Name="AppIDSvc") == 0x80070005
    assert state(sim, "CryptSvc")["dependents"] == ["AppIDSvc", "applockerfltr"]
    assert sim.call("Get-ServiceTable", {"Name": ["applockerfltr"]}) == {}


def test_search_starts_the_service_by_trigger_and_a_look_counts_as_no_change(make: Any) -> None:
    sim = make()
    before = sim.snapshot()
    sim.call("Get-UpdateHistory", {"Max": 5})
    assert state(sim, "wuauserv")["state"] == "running"
    assert sim.snapshot() == before


# -- files


def test_running_service_keeps_its_folder(make: Any) -> None:
    sim = make(services={"wuauserv": {"state": "running"}})
    assert code_of(sim, "Move-Folder", Path=SD, Destination=SD + ".old") == 0x80070005
    bits = r"C:\ProgramData\Microsoft\Network\Downloader\qmgr.db"
    assert code_of(sim, "Move-SingleFile", Path=bits, Destination=bits + ".old") == 0
    sim.call("Send-ServiceStart", {"Name": "BITS"})
    other = bits.replace("qmgr.db", "edb.chk")
    assert code_of(sim, "Move-SingleFile", Path=other, Destination=other + ".old") == 0x80070020
    sim.call("Send-ServiceStop", {"Name": "wuauserv"})
    assert code_of(sim, "Move-Folder", Path=SD, Destination=r"C:\Windows\System32\catroot2") == 0x800700B7
    assert code_of(sim, "Move-Folder", Path=SD.upper(), Destination=SD + ".old") == 0
    assert code_of(sim, "Move-Folder", Path=SD, Destination=SD + ".other") == 0x80070003


def test_ntfs_gives_a_name_that_comes_back_its_old_creation_time(make: Any) -> None:
    sim = make()
    old: Any = sim.call("Get-FolderFact", {"Path": SD})
    sim.call("Move-Folder", {"Path": SD, "Destination": SD + ".old"})
    sim.call("Send-ServiceStart", {"Name": "wuauserv"})
    new: Any = sim.call("Get-FolderFact", {"Path": SD})
    store: Any = sim.call("Get-FileFact", {"Path": SD + r"\DataStore\DataStore.edb"})
    assert new["created"] == old["created"] < store["created"]


def test_link_is_told_and_never_followed(make: Any) -> None:
    sim = make(files={r"Windows\SoftwareDistribution": {"link": r"C:\Elsewhere"}})
    fact: Any = sim.call("Get-FolderFact", {"Path": SD})
    assert fact["reparse"] is True
    sim.call("Remove-FolderTree", {"Path": SD})
    assert sim.read(r"C:\Elsewhere\DataStore\DataStore.edb") is not None


@given(st.lists(st.sampled_from(["..", ".", "Windows", "a b", "x/y", "C:", "~"]), max_size=6).map("\\".join))
@settings(max_examples=60, deadline=None)
def test_no_path_leads_out_of_the_host(tmp_path_factory: pytest.TempPathFactory, tail: str) -> None:
    global SHARED  # noqa: PLW0603 - one host for all examples
    if SHARED is None:
        SHARED = Sim.load("healthy-client", tmp_path_factory.mktemp("shared"), "shared")
    try:
        real = SHARED.path("C:\\" + tail)
    except SimError:
        return
    assert real.resolve().is_relative_to(SHARED.root.resolve())


SHARED: Sim | None = None


# -- registry


def test_registry_knows_no_case_and_reflects_services(make: Any) -> None:
    sim = make()
    key = r"HKEY_LOCAL_MACHINE\software\Lab"
    sim.call("Write-RegistryValue", {"Key": key, "Name": "Big", "Kind": "DWord", "Value": -1})
    read: Any = sim.call("Read-RegistryKey", {"Key": r"hklm\SOFTWARE\lab"})
    assert read["values"] == {"Big": 0xFFFFFFFF}
    service: Any = sim.call("Read-RegistryKey", {"Key": r"HKLM\SYSTEM\CurrentControlSet\Services\WUAUSERV"})
    assert service["values"]["Start"] == 3
    assert sim.call("Read-RegistryKey", {"Key": r"HKLM\SOFTWARE\Nope"}) is None


def test_snapshot_is_the_same_after_a_value_came_and_went(make: Any) -> None:
    sim = make()
    before = sim.snapshot()
    where = {"Key": r"HKLM\SOFTWARE\Lab", "Name": "x"}
    sim.call("Write-RegistryValue", {**where, "Kind": "String", "Value": "1"})
    assert sim.snapshot() != before
    sim.call("Remove-RegistryValue", where)
    assert sim.snapshot() != before, "Windows keeps a key that holds nothing"
    sim.call("Write-RegistryValue", {**where, "Kind": "String", "Value": "1"})
    sim.call("Remove-RegistryValue", {**where, "EmptyKey": True})
    assert sim.snapshot() == before
    assert [change["function"] for change in sim.changes] == ["Write-RegistryValue", "Remove-RegistryValue"] * 2


# -- clock


def w32tm(sim: Sim, *arguments: str) -> Any:
    path = r"C:\Windows\System32\w32tm.exe"
    return sim.call("Invoke-Program", {"Path": path, "Argument": list(arguments), "TimeoutMs": 1000})


def offset(sim: Sim, server: str = "time.windows.com") -> int:
    answer: Any = sim.call("Invoke-SntpQuery", {"Server": server, "TimeoutMs": 100})
    return int(answer["offset_ms"])


def test_resync_needs_the_service_a_source_and_room(make: Any) -> None:
    sim = make(clock_offset="16h")
    assert offset(sim) == -16 * 3_600_000
    assert w32tm(sim, "/resync") & 0xFFFFFFFF == 0x80070426
    sim.call("Send-ServiceStart", {"Name": "W32Time"})
    assert w32tm(sim, "/resync") != 0  # beyond 15 hours
    for name in ("MaxPosPhaseCorrection", "MaxNegPhaseCorrection"):
        value = {"Key": W32 + r"\Config", "Name": name, "Kind": "DWord", "Value": 0xFFFFFFFF}
        sim.call("Write-RegistryValue", value)
    assert w32tm(sim, "/resync") != 0  # the service has not read the new limit
    assert w32tm(sim, "/config", "/update") == 0
    assert w32tm(sim, "/resync") == 0
    assert offset(sim) == 0


@pytest.mark.parametrize("kind", ["NoSync", "NT5DS"])
def test_resync_finds_nothing_where_nothing_is_configured(make: Any, kind: str) -> None:
    sim = make(
        clock_offset="1h", services={"W32Time": {"state": "running"}}, registry={W32 + r"\Parameters": {"Type": kind}}
    )
    assert w32tm(sim, "/resync") != 0
    assert round(sim.clock_offset) == 3600


@given(st.integers(min_value=-50_000_000, max_value=50_000_000))
@settings(max_examples=30, deadline=None)
def test_clock_moved_and_moved_back_is_where_it_was(tmp_path_factory: pytest.TempPathFactory, by: int) -> None:
    test_no_path_leads_out_of_the_host.hypothesis.inner_test(tmp_path_factory, "")
    assert SHARED is not None
    SHARED.call("Set-HostClock", {"OffsetMs": by})
    clock: Any = SHARED.call("Get-HostClock", {})
    assert abs(clock - time.time() * 1000 - by) < 2000
    SHARED.call("Set-HostClock", {"OffsetMs": -by})
    assert abs(SHARED.clock_offset) < 0.001


def test_files_of_a_host_with_a_wrong_clock_carry_its_time(make: Any) -> None:
    sim = make(clock_offset="7h", data_store="missing")
    sim.call("Send-ServiceStart", {"Name": "wuauserv"})
    fact: Any = sim.call("Get-FileFact", {"Path": SD + r"\DataStore\DataStore.edb"})
    assert abs(fact["modified"] - time.time() - 7 * 3600) < 5


# -- event log


def rendered(**keys: Any) -> str:
    given_keys = {
        "channel": "System",
        "provider": "P",
        "id": 20,
        "time": 1_700_000_000.5,
        "record": 1,
        "data": {},
        **keys,
    }
    return Event(**given_keys).xml()


@pytest.mark.parametrize(
    ("xpath", "selected"),
    [
        ("*", True),
        ("*[System[Provider[@Name='P']]]", True),
        ("*[System[Provider[@Name='Q' or @Name='P'] and (EventID=19 or EventID=20)]]", True),
        ("*[System[(EventID>=21 and EventID<=40)]]", False),
        ("*[System[TimeCreated[@SystemTime>='2023-11-14T22:13:20.000Z']]]", True),
        ("*[System[TimeCreated[@SystemTime>'2023-11-14T22:13:20.500Z']]]", False),
        ("*[System[TimeCreated[timediff(@SystemTime) <= 1000]]]", True),
        ("*[System[TimeCreated[timediff(@SystemTime) <= 400]]]", False),
        ("*[EventData[Data[@Name='errorCode']='0x80070002']]", True),
        ("Event/System[EventID=20]", True),
    ],
)
def test_query_selects_as_the_event_log_does(xpath: str, selected: bool) -> None:
    xml = rendered(data={"errorCode": "0x80070002"})
    assert Query(xpath).matches(xml, 1_700_000_001.0) is selected


@pytest.mark.parametrize(
    "xpath",
    ["*[System[", "*[System[EventID=x]]", "", "*[System[" + " or ".join(f"EventID={n}" for n in range(30)) + "]]"],
)
def test_query_that_windows_would_refuse(xpath: str) -> None:
    with pytest.raises(QueryError):
        Query(xpath)


def test_event_log_says_when_there_is_no_such_channel_or_query(make: Any) -> None:
    sim = make(machine="server2016")
    ask = {"XPath": "*", "Max": 1, "TimeoutMs": 10}
    assert code_of(sim, "Read-EventRecord", Channel="Microsoft-Windows-Time-Service/Operational", **ask) == 0x80073A9F
    assert code_of(sim, "Read-EventRecord", Channel="System", XPath="*[", Max=1, TimeoutMs=10) == 0x80073A99


def test_servicing_and_update_lists_carry_user_data() -> None:
    assert "<UserData><CbsPackageChangeState" in rendered(
        provider="Microsoft-Windows-Servicing", data={"ErrorCode": "0x0"}
    )
    assert "<UserData><updatelist" in rendered(provider="Microsoft-Windows-WindowsUpdateClient", id=21)


@given(
    st.dictionaries(
        st.from_regex(r"[A-Za-z]{1,8}", fullmatch=True),
        st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20),
    )
)
def test_any_event_text_survives_rendering(data: dict[str, str]) -> None:
    for name, value in data.items():
        if "'" not in value and not re.match(r"\d{4}-", value):
            assert Query(f"*[EventData[Data[@Name='{name}']='{value}']]").matches(rendered(data=data), 0) is True


# -- scenario texts


@given(st.integers(0, 400), st.integers(0, 23))
def test_times_are_relative_to_the_host(days: int, hours: int) -> None:
    assert scenario.moment(f"{{now-{days}d{hours}h}}", 1_700_000_000) == 1_700_000_000 - days * 86400 - hours * 3600


def test_unknown_keys_and_machines_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.yml"
    for text in ("title: x\nsurprise: 1\n", "title: x\nmachine: vista\n", "- 1\n"):
        path.write_text(text)
        scenario._read.cache_clear()
        with pytest.raises(scenario.ScenarioError):
            scenario.load(str(path))


# -- the socket


def test_server_takes_a_program_that_ends_abruptly(make: Any, capsys: pytest.CaptureFixture[str]) -> None:
    sim = make()
    host, port, token = sim.address.split(":")
    before = set(threading.enumerate())
    with socket.create_connection((host, int(port)), timeout=5) as link, link.makefile("rw", encoding="utf-8") as file:
        file.write(json.dumps({"token": token, "function": "Get-TimeZoneId", "args": {}}) + "\n")
        file.flush()
        assert OK in file.readline()
        serving = set(threading.enumerate()) - before
        # Closed with a reset, as the system does for a process that is killed with something unread.
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    for thread in serving:
        thread.join(5)
    sim.close()
    assert serving
    assert capsys.readouterr().err == ""


def test_server_answers_many_at_once_and_only_who_has_the_token(make: Any) -> None:
    sim = make()
    host, port, token = sim.address.split(":")
    failures: list[str] = []

    def ask(said: str, count: int) -> list[str]:
        with (
            socket.create_connection((host, int(port)), timeout=5) as link,
            link.makefile("rw", encoding="utf-8") as file,
        ):
            answers = []
            for _time in range(count):
                file.write(json.dumps({"token": said, "function": "Get-TimeZoneId", "args": {}}) + "\n")
                file.flush()
                answers.append(file.readline())
            return answers

    def work() -> None:
        if any(OK not in answer or ">UTC</S>" not in answer for answer in ask(token, 20)):
            failures.append("wrong answer")

    threads = [threading.Thread(target=work) for _thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert ask("wrong", 1) == [""]
    with socket.create_connection((host, int(port)), timeout=5) as link, link.makefile("rw", encoding="utf-8") as file:
        for asked in (
            {"function": "Move-Folder", "args": {"Path": r"C:\No", "Destination": r"C:\X"}},
            {"function": "Do-Evil"},
        ):
            file.write(json.dumps({"token": token, **asked}) + "\n")
            file.flush()
            answer = file.readline()
            assert OK not in answer
            assert '<S N="Key">hresult</S><I64 N="Value">-' in answer
    sim.close()


@pytest.mark.skipif(find_powershell() is None, reason="no PowerShell: neither pwsh on PATH nor ../shared/tools/psh")
def test_a_powershell_reads_what_the_server_answers(tmp_path: Path) -> None:
    file = tmp_path / "answer.xml"
    awkward = "".join(map(chr, range(1, 0x180))) + "_x000A_ _X0041_ <&]]>\"' \u2028\ufffe\U0001f600"
    said = {"ok": True, "text": awkward, "list": [1, [], {}, None, ["a"]], "Big": 1 << 40, "half": 0.5, "none": None, "no": False}
    script = (
        f"$read = [Management.Automation.PSSerializer]::Deserialize([IO.File]::ReadAllText('{file}'));"
        "$json = ConvertTo-Json -InputObject $read -Compress -Depth 5;"
        "[regex]::Replace($json, '[^\\x20-\\x7e]', { '\\u{0:x4}' -f [int]$args[0].Value[0] })"
    )
    programs = find_powershell()
    assert programs
    file.write_bytes(clixml(said))
    run = subprocess.run([programs["powershell"], "-NoProfile", "-Command", script], capture_output=True, check=False, timeout=60)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == said


# What an answer without a fault begins with.
OK = '<S N="Key">ok</S><B N="Value">true</B>'


def answer(sim: Sim, function: str, **args: Any) -> Any:
    return sim.call(function, args)


def test_whom_policy_makes_the_host_ask_stands_in_all_that_it_writes(tmp_path: Path) -> None:
    wsus, microsoft = "3da21691-e39d-4da6-8a4b-b43877bcb1b7", "9482f4b4-e343-43b6-b170-9a65bc822c77"
    sim = Sim.load("wsus-unreachable", tmp_path / "a", "a")
    sim.endpoints["wsus.corp.example:8530"]["ok"] = True
    answer(sim, "Invoke-UpdateSearch", Criteria="IsInstalled=0")
    newest = answer(sim, "Read-EventRecord", Channel="Microsoft-Windows-WindowsUpdateClient/Operational", XPath="*", Max=1, TimeoutMs=1)
    assert wsus in newest[0]
    assert b"winfleet.wu_repair" in (sim.read(r"C:\Windows\SoftwareDistribution\ReportingEvents.log") or b"").replace(b"\0", b"")
    assert {entry["service"] for entry in sim.history()} == {wsus}
    policy = r"HKLM\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate"
    for name, value in (("UseUpdateClassPolicySource", 1), ("SetPolicyDrivenUpdateSourceForQualityUpdates", 0)):
        answer(sim, "Write-RegistryValue", Key=policy, Name=name, Kind="DWord", Value=value)
    assert sim._asked_service() == microsoft


def test_a_search_offers_updates_with_their_classes(tmp_path: Path) -> None:
    sim = Sim.load("win-updates-rescue", tmp_path, "h")
    sim.spec["search"] = {"result": 3, "warnings": [0x8024000C]}
    found = answer(sim, "Invoke-UpdateSearch", Criteria="IsInstalled=0")
    assert (found["result"], found["warnings"], found["count"]) == (3, [0x8024000C - (1 << 32)], 1)
    assert (found["updates"][0]["kb"], found["updates"][0]["classes"]) == (["KB5099002"], ["0fa1201d-4330-4fa8-8ae9-b877473b6441"])


def test_what_services_load_can_be_changed_by_the_registry(tmp_path: Path) -> None:
    sim = Sim.load("healthy-client", tmp_path, "h")
    table = answer(sim, "Get-ServiceTable", Name=["wuauserv", "BITS", "CryptSvc"])
    assert (table["wuauserv"]["trigger"], table["BITS"]["trigger"]) == (True, False)
    assert table["BITS"]["service_dll"] == r"%systemroot%\system32\qmgr.dll"
    assert table["wuauserv"]["image_path"] == r"%systemroot%\system32\svchost.exe -k netsvcs -p"
    assert "service_dll" not in table["CryptSvc"]
    key = r"HKLM\SYSTEM\CurrentControlSet\Services\wuauserv"
    answer(sim, "Write-RegistryValue", Key=key + r"\Parameters", Name="ServiceDll", Kind="String", Value=r"C:\x.dll")
    answer(sim, "Write-RegistryValue", Key=key, Name="ImagePath", Kind="String", Value=r"C:\x.exe")
    row = answer(sim, "Get-ServiceTable", Name=["wuauserv"])["wuauserv"]
    assert (row["service_dll"], row["image_path"]) == (r"C:\x.dll", r"C:\x.exe")
    assert answer(sim, "Read-RegistryKey", Key=key)["subkeys"] == ["TriggerInfo", "Parameters"]


def test_damage_hits_what_it_names_as_often_as_it_says(tmp_path: Path) -> None:
    sim = Sim.load("healthy-client", tmp_path, "h")
    sim.spec["damage"] = {
        "sections": {"cbs": "timeout"},
        "functions": {"Get-DriveFact": "0x8007045D"},
        "answers": {"Get-HostFact": {"domain_role": "x"}},
        "times": 1,
    }
    with pytest.raises(SimError) as late:
        answer(sim, "Read-FileTail", Path=r"C:\Windows\Logs\CBS\CBS.log", Bytes=10)
    assert late.value.kind == "TimeoutException"
    assert answer(sim, "Read-FileTail", Path=r"C:\Windows\SoftwareDistribution\ReportingEvents.log", Bytes=10)["size"]
    assert answer(sim, "Read-FileTail", Path=r"C:\Windows\Logs\CBS\CBS.log", Bytes=10)["size"]
    with pytest.raises(SimError) as broken:
        answer(sim, "Get-DriveFact", Drive="C:")
    assert broken.value.hresult & 0xFFFFFFFF == 0x8007045D
    fact = answer(sim, "Get-HostFact")
    assert fact["domain_role"] == "x"
    assert fact["boot_time"] > 0


def test_the_oldest_event_and_an_order_that_time_does_not_tell(tmp_path: Path) -> None:
    sim = Sim.load("noise-clock-was-wrong", tmp_path, "h")
    asked = {"Channel": "Microsoft-Windows-WindowsUpdateClient/Operational", "XPath": "*", "TimeoutMs": 1}
    newest = answer(sim, "Read-EventRecord", **asked, Max=9)
    assert answer(sim, "Read-EventRecord", **asked, Max=1, Oldest=True) == newest[-1:]
    times = [re.search(r"SystemTime='([^']*)", text)[1] for text in newest]  # type: ignore[index]
    assert times[-2] == max(times)


def test_a_proxy_that_netsh_winhttp_set(tmp_path: Path) -> None:
    sim = Sim.load("healthy-client", tmp_path / "a", "a")
    assert answer(sim, "Get-WinHttpProxy") is None
    other = Sim({**sim.spec, "winhttp_proxy": "proxy.example:8080"}, tmp_path / "b", "b")
    assert answer(other, "Get-WinHttpProxy") == "proxy.example:8080"


# -- W32Time, by Microsoft's "Windows Time service tools and settings"


@pytest.mark.parametrize(
    ("behind_s", "config", "role", "jumps"),
    [
        (120, {"MaxAllowedPhaseOffset": 300}, 3, False),
        # Within MaxAllowedPhaseOffset, but the rate would not do: 1.3e9 ticks / (16 * 1 * 1024) is more than 156250 / 2.
        (130, {"MaxAllowedPhaseOffset": 300}, 3, True),
        (130, {"MaxAllowedPhaseOffset": 300, "PhaseCorrectRate": 2}, 3, False),
        (130, {"MaxAllowedPhaseOffset": 100, "PhaseCorrectRate": 2}, 3, True),
        (60, {"MaxAllowedPhaseOffset": 300, "MinPollInterval": 6}, 3, True),
        (120, {}, 3, False),
        (120, {}, 0, True),
        (1, {}, 0, False),
    ],
)
def test_w32time_slews_what_is_small_and_sets_the_rest(make: Any, behind_s: int, config: dict[str, int], role: int, jumps: bool) -> None:
    own = {"MaxAllowedPhaseOffset": None, "PhaseCorrectRate": 1, "MinPollInterval": 10, **config}
    sim = make(clock_offset=f"-{behind_s}s", host={"domain_role": role}, registry={W32 + r"\Config": own})
    sim.call("Send-ServiceStart", {"Name": "W32Time"})
    assert w32tm(sim, "/resync") == 0
    assert offset(sim) == (0 if jumps else behind_s * 1000)


def test_a_name_answers_by_any_of_its_addresses(make: Any) -> None:
    rows = [{"reachable": False}, {"reachable": True, "leap": 3}, {"reachable": True, "offset": "1h"}]
    sim = make(time_sources={"dc.example": {"addresses": rows}})
    assert offset(sim, "dc.example") == 3_600_000
    for last in ({"reachable": False}, {"reachable": True, "stratum": 0}, {"reachable": True, "root_s": 900}):
        lost = make(time_sources={"dc.example": {"addresses": [*rows[:2], last]}})
        with pytest.raises(SimError, match="unfit"):
            offset(lost, "dc.example")


def test_port_123_is_w32times_while_it_runs(make: Any) -> None:
    sim = make(time_sources={"time.windows.com": {"reachable": True, "from_123": True}})
    assert offset(sim) == 0
    sim.call("Send-ServiceStart", {"Name": "W32Time"})
    with pytest.raises(SimError, match="no answer"):
        offset(sim)
    assert w32tm(sim, "/resync") == 0, "it asks from its own port"


def test_a_clock_that_is_set_moves_the_start_of_the_host_and_no_uptime(make: Any) -> None:
    sim = make()
    first: Any = sim.call("Get-HostFact", {})
    sim.step_clock(7200)
    later: Any = sim.call("Get-HostFact", {})
    assert abs(later["boot_time"] - first["boot_time"] - 7200) <= 1
    assert abs(later["uptime_s"] - first["uptime_s"]) <= 1


# -- one change at a time


def test_one_run_changes_a_host_and_one_that_ended_holds_nothing(make: Any) -> None:
    sim = make()
    first: Any = sim.call("Enter-HostChange", {"Run": "a"})
    second: Any = sim.call("Enter-HostChange", {"Run": "b"})
    assert (first["held"], second["held"], second["by"]) == (True, False, "a")
    sim.call("Exit-HostChange", {"Lock": second})
    third: Any = sim.call("Enter-HostChange", {"Run": "c"})
    assert third["held"] is False
    server, port, token = sim.address.split(":")
    sim.call("Exit-HostChange", {"Lock": first})
    with socket.create_connection((server, int(port))) as connection:
        asked = {"token": token, "function": "Enter-HostChange", "args": {"Run": "d"}}
        connection.sendall(json.dumps(asked).encode() + b"\n")
        assert b"<B" in connection.recv(4096)
        again: Any = sim.call("Enter-HostChange", {"Run": "e"})
        assert (again["held"], again["by"]) == (False, "d")
    deadline = time.monotonic() + 5
    while not again["held"] and time.monotonic() < deadline:
        time.sleep(0.05)
        again = sim.call("Enter-HostChange", {"Run": "e"})
    assert again["held"] is True
    assert sim.changes == []
