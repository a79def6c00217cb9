# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the agent changes, refuses and takes back."""

from __future__ import annotations

import os
import shutil
from typing import Any

import pytest

from .conftest import NOW, Host, listing

RUN = "20261124T101530Z-1a2b3c"
# 1795515330 seconds, and 0x1a2b3c % 36 ** 2, in base 36.
ENDING = ".wu-tp04hub0"
KEY = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\OSUpgrade"


def request(*steps: tuple[str, dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {
        "schema": 1,
        "op": "apply",
        "run": RUN,
        "uses": sorted({kind for kind, _args in steps}),
        "expect": [],
        "steps": [{"id": index, "kind": kind, "args": args} for index, (kind, args) in enumerate(steps, 1)],
        "observe": None,
        **more,
    }


def stop(name: str, timeout_ms: int = 1000, **more: Any) -> tuple[str, dict[str, Any]]:
    return "stop_service", {"name": name, "timeout_ms": timeout_ms, **more}


def start(name: str, **more: Any) -> tuple[str, dict[str, Any]]:
    return "start_service", {"name": name, "timeout_ms": 1000, **more}


# As a Spanish Windows names the lines.
SPANISH = (
    "NOMBRE_SERVICIO", "NOMBRE_PARA_MOSTRAR", "TIPO", "ESTADO", "CÓD_SALIDA_WIN32", "CÓD_SALIDA_SERV", "PUNTO_COMPROB.",
    "INDICACIÓN_INICIO", "ID. DE PROCESO", "MARCAS",
)  # fmt: skip
DENIED = {"message": "Access is denied.", "code": -2147024891}
NO_ZONE = ("set_time_zone", {"id": "Nowhere"})


def fails_last(host: Host) -> None:
    """A step NO_ZONE fails, so that everything before it is taken back."""
    host.state["fails"]["Set-TimeZoneId Nowhere"] = {"message": "no such zone", "code": -2147024809}


RESTORE = ("restore_services", {"timeout_ms": 1000})
RESET = (stop("UsoSvc"), stop("CryptSvc"), ("set_aside", {"folder": "SoftwareDistribution"}), RESTORE)


def changes(host: Host) -> list[str]:
    return [call for call in host.state["calls"] if not call.startswith(("w32tm", "Exit-HostChange True"))]


def test_reset_moves_the_folder_and_starts_what_ran(host: Host) -> None:
    look = {"schema": 1, "op": "observe", "sections": ["cache"]}
    reply = host.run("wu_apply", request(*RESET, observe=look))
    assert reply["failed"] is None
    assert reply["changed"] is True
    assert [step["status"] for step in reply["steps"]] == ["done"] * 4
    assert (host.files / f"Windows/SoftwareDistribution{ENDING}/DataStore/DataStore.edb").exists()
    starts = [call for call in host.state["calls"] if call.startswith("Send-ServiceStart")]
    assert starts == ["Send-ServiceStart CryptSvc", "Send-ServiceStart UsoSvc"]
    assert reply["sections"]["cache"]["data"]["folders"][0]["backups"] == [f"SoftwareDistribution{ENDING}"]


def test_a_step_that_fails_takes_everything_back(host: Host) -> None:
    host.state["services"]["CryptSvc"]["dependents"] = ["DoSvc"]
    steps = (*RESET[:3], ("set_clock", {"offset_ms": 60000}), ("set_service_security", {"name": "bits"}))
    fails_last(host)
    clock, security = host.state["clock_ms"], host.state["security"]
    reply = host.run("wu_apply", request(*steps, NO_ZONE, RESTORE))
    assert (reply["failed"]["id"], reply["failed"]["code"]) == (6, -2147024809)
    assert [step["status"] for step in reply["steps"]] == ["done"] * 5 + ["failed", "not_run"]
    assert all(line["ok"] for line in reply["undone"])
    assert reply["changed"] is False
    assert (host.files / "Windows/SoftwareDistribution/DataStore/DataStore.edb").exists()
    # The recorded clock stands still, so the way back is off by as long as the run took.
    assert abs(host.state["clock_ms"] - clock) < 30000
    assert host.state["security"] == security
    assert {name: host.state["services"][name]["state"] for name in ("UsoSvc", "CryptSvc", "DoSvc")} == {
        "UsoSvc": "running", "CryptSvc": "running", "DoSvc": "running",
    }  # fmt: skip
    calls = changes(host)
    assert calls[-3:] == [f"Send-ServiceStart {name}" for name in ("CryptSvc", "DoSvc", "UsoSvc")]


def test_an_undo_names_the_step_that_made_the_effect(host: Host) -> None:
    fails_last(host)
    reply = host.run("wu_apply", request(*RESET, NO_ZONE))
    lines = [(line["id"], line["kind"]) for line in reply["undone"]]
    assert lines == [
        (5, "set_time_zone"), (4, "restore_services"), (4, "restore_services"), (3, "set_aside"), (2, "stop_service"), (1, "stop_service"),
    ]  # fmt: skip
    assert (host.files / "Windows/SoftwareDistribution/DataStore/DataStore.edb").exists()
    assert host.state["services"]["UsoSvc"]["state"] == "running"


def test_services_that_a_plan_forgot_fail_as_the_step_that_stopped_them(host: Host) -> None:
    host.state["fails"]["Send-ServiceStart UsoSvc"] = {"message": "no", "code": -2147023834}
    reply = host.run("wu_apply", request(stop("UsoSvc"), ("set_aside", {"folder": "SoftwareDistribution"})))
    assert reply["failed"]["id"] == 1
    assert [(line["id"], line["kind"]) for line in reply["undone"]] == [(1, "stop_service"), (2, "set_aside"), (1, "stop_service")]
    assert [line["ok"] for line in reply["undone"]] == [True, True, False]


@pytest.mark.parametrize(
    ("step", "call"),
    [
        (("set_service_security", {"name": "bits"}), "Set-ServiceSecurity bits"),
        (("set_time_zone", {"id": "UTC"}), "Set-TimeZoneId UTC"),
        (("set_aside", {"folder": "catroot2"}), r"Move-SingleFile C:\ProgramData\Microsoft\Network\Downloader\qmgr.db"),
        (("set_value", {"key": KEY, "name": "AllowOSUpgrade", "kind": "DWord", "value": 1}), rf"Write-RegistryValue {KEY}\AllowOSUpgrade"),
        (start("W32Time"), "Send-ServiceStart W32Time"),
        (stop("CryptSvc"), "Send-ServiceStop CryptSvc"),
    ],
)
def test_the_way_back_is_known_before_the_change(host: Host, step: tuple[str, dict[str, Any]], call: str) -> None:
    if step[0] == "set_aside":
        host.put("ProgramData/Microsoft/Network/Downloader/qmgr.db", b"x")
        step = ("set_aside_bits_queue", {})
    host.state["registry"][KEY] = {"AllowOSUpgrade": 0}
    host.state["fails_after"] = {call: {"message": "ended in the middle", "code": -2147467259}}
    before = {key: host.state[key] for key in ("security", "zone", "registry")}
    running = {name: row["state"] for name, row in host.state["services"].items()}
    fails_last(host)
    reply = host.run("wu_apply", request(step, NO_ZONE))
    assert call in host.state["calls"]
    assert reply["failed"] is not None
    assert all(line["ok"] for line in reply["undone"])
    assert {key: host.state[key] for key in before} == before
    assert {name: row["state"] for name, row in host.state["services"].items()} == running
    if step[0] == "set_aside_bits_queue":
        assert (host.files / "ProgramData/Microsoft/Network/Downloader/qmgr.db").exists()


def test_a_denied_start_type_undoes_nothing_else(host: Host) -> None:
    host.state["services"]["DoSvc"].update(start=4, state="stopped")
    host.state["services"]["wuauserv"]["start"] = 4
    host.state["fails"]["Set-ServiceStart DoSvc 2"] = DENIED
    types = {"wuauserv": 3, "DoSvc": 2}
    steps = [("set_start_type", {"name": name, "start": kind, "delayed": False}) for name, kind in types.items()]
    reply = host.run("wu_apply", request(*steps, *RESET, start("DoSvc")))
    assert reply["failed"] is None
    assert reply["changed"] is True
    assert [step["status"] for step in reply["steps"]] == ["done", "skipped", "done", "done", "done", "done", "skipped"]
    assert host.state["services"]["wuauserv"]["start"] == 3
    assert [warning["id"] for warning in reply["warnings"]] == [2, 7]
    assert "denied" in reply["warnings"][0]["why"]
    assert (host.files / f"Windows/SoftwareDistribution{ENDING}").exists()


def test_a_denied_start_type_alone_changes_nothing(host: Host) -> None:
    host.state["services"]["DoSvc"]["start"] = 4
    host.state["fails"]["Set-ServiceStart DoSvc 2"] = DENIED
    reply = host.run("wu_apply", request(("set_start_type", {"name": "DoSvc", "start": 2, "delayed": True})))
    assert (reply["failed"], reply["changed"], reply["undone"]) == (None, False, [])
    assert "denied" in reply["steps"][0]["why"]


def test_a_service_that_only_helps_neither_stops_nor_fails_a_reset(host: Host) -> None:
    host.state["fails"]["Send-ServiceStop UsoSvc"] = DENIED
    host.state["fails"]["Send-ServiceStart DoSvc"] = {"message": "did not start", "code": -2147023843}
    steps = (stop("UsoSvc", 60000, needed=False), stop("DoSvc", needed=False), stop("CryptSvc"), *RESET[2:])
    reply = host.run("wu_apply", request(*steps))
    assert reply["failed"] is None
    assert [step["status"] for step in reply["steps"]] == ["skipped", "done", "done", "done", "done"]
    assert [warning["id"] for warning in reply["warnings"]] == [1, 5]
    assert "DoSvc" in reply["warnings"][1]["why"]
    assert reply["steps"][0]["ms"] < 30000, "a denial is the last word"
    assert reply["changed"] is True
    assert host.state["services"]["CryptSvc"]["state"] == "running"


def test_what_is_not_ours_to_stop_refuses_before_anything_is_stopped(host: Host) -> None:
    host.state["services"]["EdrAgent"] = {**host.state["services"]["CryptSvc"], "pid": 999, "dependents": []}
    host.state["services"]["CryptSvc"]["dependents"] = ["EdrAgent"]
    reply = host.run("wu_apply", request(stop("CryptSvc"), ("set_aside", {"folder": "catroot2"}), RESTORE))
    assert "EdrAgent" in reply["failed"]["why"]
    assert changes(host) == []
    assert reply["changed"] is False


def test_what_windows_made_meanwhile_is_moved_away_before_the_undo(host: Host) -> None:
    host.state["fails"]["Send-ServiceStart UsoSvc"] = {"message": "no", "code": -2147023834}
    reply = host.run("wu_apply", request(*RESET))
    assert reply["failed"]["id"] == 4
    assert (host.files / "Windows/SoftwareDistribution/DataStore").exists()
    assert reply["changed"] is True, "UsoSvc could not be started again"
    assert host.state["services"]["CryptSvc"]["state"] == "running"


def test_a_stuck_service_of_a_shared_process_is_not_ended(host: Host) -> None:
    host.state["services"]["CryptSvc"]["stuck"] = True
    reply = host.run("wu_apply", request(stop("CryptSvc", 400)))
    assert "serves 3 services" in reply["failed"]["why"]
    assert not [call for call in changes(host) if call.startswith("Stop-ServiceProcess")]
    assert not [call for call in changes(host) if call.startswith("Send-ServiceStart")], "one that is stopping takes no start"
    # It never stopped, so there is nothing that was not undone.
    assert [(line["ok"], line["why"]) for line in reply["undone"]] == [(True, "CryptSvc never stopped: it is still stopping")]
    assert reply["changed"] is False


def test_a_service_that_ends_stopping_during_the_undo_is_started_again(host: Host) -> None:
    host.state["services"]["CryptSvc"]["slow_ms"] = 5000
    reply = host.run("wu_apply", request(stop("CryptSvc", 3000)))
    assert "did not stop within 3 s" in reply["failed"]["why"]
    assert [line["ok"] for line in reply["undone"]] == [True]
    assert host.state["services"]["CryptSvc"]["state"] == "running"
    assert reply["changed"] is False


def test_a_stuck_service_of_its_own_process_is_ended_after_the_limit(host: Host) -> None:
    host.state["services"]["CryptSvc"]["stuck"] = True
    host.state["services"]["UsoSvc"].update(state="stopped", pid=0)
    host.state["services"]["DoSvc"].update(state="stopped", pid=0)
    host.state["listing"] = listing({"My service": 4, "CryptSvc": 812}, SPANISH)
    reply = host.run("wu_apply", request(stop("CryptSvc", 400)))
    assert reply["failed"] is None
    assert f"Stop-ServiceProcess 812 svchost {NOW * 1000}" in changes(host)
    assert host.state["services"]["CryptSvc"]["state"] == "running", (
        "a plan without restore_services leaves none stopped"
    )


@pytest.mark.parametrize(
    ("facts", "shown"),
    [
        ({"812": {"name": "lsass", "started": 1}}, {"CryptSvc": 812}),
        # Its number, and what it is, cannot be read.
        ({}, {"CryptSvc": 812}),
        ({"812": {"name": "svchost", "started": 1}}, {}),
    ],
)
def test_a_process_that_is_not_surely_the_services_own_is_not_ended(host: Host, facts: dict[str, Any], shown: dict[str, int]) -> None:
    host.state["services"]["CryptSvc"]["stuck"] = True
    host.state.update(process_facts=facts, listing=listing(shown))
    reply = host.run("wu_apply", request(stop("CryptSvc", 400)))
    assert "is not ended" in reply["failed"]["why"]
    assert not [call for call in changes(host) if call.startswith("Stop-ServiceProcess")]


@pytest.mark.parametrize("spoil", ["[SC] EnumQueryServicesStatus: more data, need 512 bytes\r\n", "SERVICE_NAME: cut\r\n"])
def test_a_list_of_services_that_ends_elsewhere_ends_no_process(host: Host, spoil: str) -> None:
    host.state["services"]["CryptSvc"]["stuck"] = True
    host.state["listing"] = listing({"CryptSvc": 812}) + "\r\n" + spoil
    reply = host.run("wu_apply", request(stop("CryptSvc", 400)))
    assert "cannot be read" in reply["failed"]["why"]
    assert not [call for call in changes(host) if call.startswith("Stop-ServiceProcess")]


@pytest.mark.parametrize(("code", "fails"), [(-2147024891, True), (-2147023844, True), (-2147023836, False), (-2147023834, False)])
def test_a_final_answer_is_not_waited_for(host: Host, code: int, fails: bool) -> None:
    host.state["fails"]["Send-ServiceStop CryptSvc"] = {"message": "no", "code": code}
    reply = host.run("wu_apply", request(stop("CryptSvc", 60000)))
    assert (reply["failed"] is not None) is fails
    assert ("sc.exe sdshow CryptSvc" in str(reply["failed"])) is (code == -2147024891)
    assert reply["steps"][0]["ms"] < 10000
    assert changes(host).count("Send-ServiceStop CryptSvc") == 1


def test_what_depends_on_a_stopped_service_is_never_ended(host: Host) -> None:
    host.state["services"]["CryptSvc"]["dependents"] = ["DoSvc"]
    host.state["services"]["DoSvc"]["stuck"] = True
    host.state["listing"] = listing({"DoSvc": 812})
    reply = host.run("wu_apply", request(stop("CryptSvc", 400)))
    assert "DoSvc did not stop" in reply["failed"]["why"]
    assert not [call for call in changes(host) if call.startswith("Stop-ServiceProcess")]


def test_what_differs_stops_everything(host: Host) -> None:
    expect = [
        {"what": "service", "name": "wuauserv", "field": "start", "is": 3},
        {"what": "service", "name": "BITS", "field": "start", "is": 4},
        {"what": "boot", "name": None, "field": "time", "is": host.state["host"]["boot_time"] + 4},
        {"what": "value", "name": KEY + r"\AllowOSUpgrade", "field": "value", "is": None},
        {"what": "servicing", "name": None, "field": "busy", "is": False},
        {"what": "reboot", "name": None, "field": "pending", "is": False},
        {"what": "folder", "name": "catroot2", "field": "exists", "is": True},
    ]
    reply = host.run("wu_apply", request(*RESET, expect=expect))
    assert reply["differs"] == [{"what": "service", "name": "BITS", "field": "start", "expected": 4, "found": 3}]
    assert changes(host) == []
    assert {step["status"] for step in reply["steps"]} == {"not_run"}


@pytest.mark.parametrize(("seconds", "differs"), [(5, False), (6, True), (-6, True), (14 * 86400, True)])
def test_a_restart_between_look_and_repair_differs(host: Host, seconds: int, differs: bool) -> None:
    expect = [{"what": "boot", "name": None, "field": "time", "is": host.state["host"]["boot_time"] - seconds}]
    reply = host.run("wu_apply", request(*RESET, expect=expect))
    assert bool(reply["differs"]) is differs
    assert bool(changes(host)) is not differs


@pytest.mark.parametrize(("seconds", "uptime_s", "fields"), [
    # Windows moves the time of its start with its clock: a clock that was set is no other start.
    (7200, 86400, ["time"]), (-7200, 86400, ["time"]), (5, 86400, []), (0, 90, ["time", "uptime"]),
])  # fmt: skip
def test_a_clock_that_was_set_is_told_from_a_restart(host: Host, seconds: int, uptime_s: int, fields: list[str]) -> None:
    was = host.state["host"]["boot_time"]
    expect = [{"what": "boot", "name": None, "field": "time", "is": was}, {"what": "boot", "name": None, "field": "uptime", "is": 86400}]
    host.state["clock_ms"] += (seconds + 60) * 1000
    host.state["host"]["boot_time"] = was + seconds if uptime_s == 86400 else NOW + 60 - uptime_s
    reply = host.run("wu_apply", request(*RESET, expect=expect))
    assert [row["field"] for row in reply["differs"]] == fields
    assert bool(changes(host)) is not bool(fields)


CBS = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing"
SERVER_MANAGER = r"HKLM\SOFTWARE\Microsoft\ServerManager"


@pytest.mark.parametrize(
    ("key", "values", "what"),
    [
        (rf"{CBS}\Interface", {"ServicingInProgress": 2}, "servicing"),
        (r"HKLM\SYSTEM\Setup", {"UpgradeInProgress": 1}, "servicing"),
        (rf"{CBS}\Interface", {"ServicingInProgress": 1}, "reboot"),
        (rf"{CBS}\RebootPending", {}, "reboot"),
        (rf"{CBS}\RebootInProgress", {}, "reboot"),
        (r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired", {}, "reboot"),
        (rf"{SERVER_MANAGER}\CurrentRebootAttempts", {}, "reboot"),
        (rf"{SERVER_MANAGER}\ServicingStorage\ServerComponentCache", {"RestartRequired": 1}, "reboot"),
        (r"HKLM\SYSTEM\CurrentControlSet\Services\Netlogon", {"JoinDomain": 1}, "reboot"),
        (rf"{CBS}\Interface", {"ServicingInProgress": 0}, None),
        (rf"{SERVER_MANAGER}\ServicingStorage\ServerComponentCache", {"RestartRequired": 0}, None),
    ],
)
def test_servicing_or_a_restart_differs(host: Host, key: str, values: dict[str, Any], what: str | None) -> None:
    host.state["registry"][key] = values
    expect = [
        {"what": "servicing", "name": None, "field": "busy", "is": False},
        {"what": "reboot", "name": None, "field": "pending", "is": False},
    ]
    reply = host.run("wu_apply", request(*RESET, expect=expect))
    assert [item["what"] for item in reply["differs"]] == ([] if what is None else [what])


@pytest.mark.parametrize(
    "step",
    [
        ("stop_service", {"name": "Winmgmt", "timeout_ms": 1}),
        ("stop_service", {"name": True, "timeout_ms": 1}),
        ("stop_service", {"name": "TrustedInstaller", "timeout_ms": 1}),
        ("stop_service", {"name": "AppIDSvc", "timeout_ms": 1}),
        ("stop_service", {"name": "BITS", "timeout_ms": 1, "needed": "no"}),
        ("set_start_type", {"name": "msiserver", "start": 3, "delayed": False}),
        ("stop_service", {"name": "BITS"}),
        ("stop_service", {"name": "BITS", "timeout_ms": "1"}),
        ("set_aside", {"folder": r"..\Windows"}),
        ("set_aside", {"folder": "catroot"}),
        ("set_aside", {"folder": "catroot2", "path": "C:\\"}),
        ("set_value", {"key": KEY.replace(r"\CurrentVersion", ""), "name": "AllowOSUpgrade", "kind": "DWord", "value": 1}),
        ("set_value", {"key": KEY, "name": "DisableOSUpgrade", "kind": "DWord", "value": 1}),
        ("set_value", {"key": True, "name": True, "kind": True, "value": 1}),
        ("remove_value", {"key": r"HKLM\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate", "name": "WUServer"}),
        ("set_time_source", {"type": "NTP", "servers": ["a b"]}),
        ("set_time_source", {"type": "NTP", "servers": ["time.example;calc"]}),
        ("set_time_zone", {"id": "UTC\"&calc"}),
        ("set_service_security", {"name": "lsass"}),
        ("set_start_type", {"name": "wuauserv", "start": 1, "delayed": False}),
        ("prune_backups", {"folder": "catroot2", "keep": 0}),
        ("run_program", {"path": "calc.exe"}),
    ],
)  # fmt: skip
def test_outside_the_fixed_set_refuses_the_whole(host: Host, step: tuple[str, dict[str, Any]]) -> None:
    reply = host.run("wu_apply", request(RESET[0], step))
    assert set(reply) == {"schema", "refused"}
    assert changes(host) == []


def test_what_a_request_may_hold_is_the_same_under_every_culture(host: Host) -> None:
    """Under a Turkish culture `[A-Z]` without regard to case takes another I for I.

    .NET Framework even takes I itself for none of `[A-Za-z]` there (dotnet/runtime#36147), so that BITS was no name of a service and every
    reset was refused.
    """
    host.state["culture"] = "tr-TR"
    assert "outside the fixed set" in host.run("wu_apply", request(("set_time_zone", {"id": "Tokelau Standard T\u0131me"})))["refused"]
    found = [{"what": "service", "name": "BITS", "field": "start", "is": 3}]
    assert host.run("wu_apply", request(*RESET, expect=found))["failed"] is None


@pytest.mark.parametrize(
    "more",
    [
        {"check": True}, {"run": r"..\x"}, {"uses": []}, {"schema": 2}, {"observe": {"schema": 1, "op": "observe", "sections": ["x"]}},
        {"expect": [{"what": "file", "name": "x", "field": "y", "is": 1}]},
    ],
)  # fmt: skip
def test_a_request_that_is_not_ours_changes_nothing(host: Host, more: dict[str, Any]) -> None:
    reply = host.run("wu_apply", request(RESET[0], **more))
    assert set(reply) == {"schema", "refused"}
    assert changes(host) == []


def test_a_host_that_another_run_changes_is_left_alone(host: Host) -> None:
    host.state["lock"] = {"by": "20261124T101000Z-abcdef"}
    reply = host.run("wu_apply", request(*RESET))
    assert reply == {"schema": 1, "refused": "another run changes this host now", "busy": "20261124T101000Z-abcdef"}
    assert changes(host) == ["Exit-HostChange False"]
    host.state["lock"] = {"by": None}
    assert host.run("wu_apply", request(*RESET))["busy"] == ""


def test_a_32_bit_powershell_changes_nothing(host: Host) -> None:
    host.state["session"]["is_64bit"] = False
    reply = host.run("wu_apply", request(*RESET))
    assert "32-bit" in reply["refused"]
    assert changes(host) == []


def test_a_lock_that_is_not_ours_to_open_is_a_warning(host: Host) -> None:
    host.state["lock"] = {"why": "Access to the path is denied."}
    reply = host.run("wu_apply", request(*RESET))
    assert reply["changed"] is True
    assert reply["warnings"] == [{"id": None, "why": "other runs are not kept out: Access to the path is denied."}]


def test_the_lock_is_let_go_whatever_happens(host: Host) -> None:
    for more in ({}, {"expect": [{"what": "service", "name": "BITS", "field": "start", "is": 4}]}):
        host.state["calls"] = []
        host.run("wu_apply", request(*RESET, NO_ZONE, **more))
        assert host.state["calls"][-1] == "Exit-HostChange True"


@pytest.mark.parametrize(
    ("field", "value", "differs"),
    [
        ("created", NOW, False), ("created", NOW - 3600, True),
        ("backups", ["SoftwareDistribution.wu_repair-20250101T000000Z-aaaaaa", "SoftwareDistribution.wu-sqgkk0zz"], False),
        ("backups", ["SoftwareDistribution.wu-sqgkk0zz"], True), ("backups", [], True),
        ("file", False, False), ("file", True, True),
    ],
)  # fmt: skip
def test_what_was_renewed_since_the_look_is_not_set_aside(host: Host, field: str, value: Any, differs: bool) -> None:
    for name in ("SoftwareDistribution.wu-sqgkk0zz", "SoftwareDistribution.wu_repair-20250101T000000Z-aaaaaa"):
        (host.files / "Windows" / name).mkdir()
    os.utime(host.files / "Windows/SoftwareDistribution", (NOW, NOW))
    reply = host.run("wu_apply", request(*RESET, expect=[{"what": "folder", "name": "SoftwareDistribution", "field": field, "is": value}]))
    assert bool(reply["differs"]) is differs
    assert ("Move-Folder C:\\Windows\\SoftwareDistribution" in changes(host)) is not differs


def test_a_list_of_one_backup_and_of_none_is_the_same(host: Host) -> None:
    expect = [{"what": "folder", "name": "catroot2", "field": "backups", "is": []}]
    assert host.run("wu_apply", request(RESTORE, expect=expect))["differs"] == []
    (host.files / "Windows/System32/catroot2.wu-sqgkk0zz").mkdir()
    expect[0]["is"] = ["catroot2.wu-sqgkk0zz"]
    assert host.run("wu_apply", request(RESTORE, expect=expect))["differs"] == []


def test_a_file_in_the_place_of_the_folder_is_set_aside_and_comes_back(host: Host) -> None:
    cache = host.files / "Windows/SoftwareDistribution"
    shutil.rmtree(cache)
    cache.write_bytes(b"blocked")
    assert host.observe("cache")["cache"]["data"]["folders"][0]["file"] is True
    aside = ("set_aside", {"folder": "SoftwareDistribution"})
    reply = host.run("wu_apply", request(aside))
    assert (reply["failed"], reply["changed"], cache.exists()) == (None, True, False)
    assert (host.files / f"Windows/SoftwareDistribution{ENDING}").read_bytes() == b"blocked"
    (host.files / f"Windows/SoftwareDistribution{ENDING}").rename(cache)
    fails_last(host)
    host.state["makes_folder"] = True
    reply = host.run("wu_apply", request(aside, NO_ZONE))
    assert [line["ok"] for line in reply["undone"]] == [True, True]
    assert cache.read_bytes() == b"blocked"
    # What Windows made there meanwhile.
    assert (host.files / f"Windows/SoftwareDistribution{ENDING}.new").is_dir()


def test_the_key_that_a_value_needed_goes_with_it_and_no_other(host: Host) -> None:
    set_it = ("set_value", {"key": KEY, "name": "AllowOSUpgrade", "kind": "DWord", "value": 1})
    fails_last(host)
    host.run("wu_apply", request(set_it, NO_ZONE))
    assert f"Write-RegistryValue {KEY}\\AllowOSUpgrade" in changes(host)
    assert KEY not in host.state["registry"]
    host.state["registry"][KEY] = {}
    host.run("wu_apply", request(set_it, NO_ZONE))
    assert host.state["registry"][KEY] == {}, "one that stood there before stays"


def test_values_are_set_once_and_removed_again(host: Host) -> None:
    set_it = ("set_value", {"key": KEY, "name": "AllowOSUpgrade", "kind": "DWord", "value": 1})
    assert host.run("wu_apply", request(set_it))["changed"] is True
    again = host.run("wu_apply", request(set_it))
    assert again["changed"] is False
    assert again["steps"][0]["status"] == "skipped"
    gone = host.run("wu_apply", request(("remove_value", {"key": KEY, "name": "AllowOSUpgrade"})))
    assert gone["changed"] is True
    assert gone["steps"][0]["before"] == {"value": 1}
    assert host.state["registry"][KEY] == {}


def test_resync_lifts_the_limit_for_itself_alone(host: Host) -> None:
    host.state["sntp"]["time.windows.com"] = 90_000_000
    config = r"HKLM\SYSTEM\CurrentControlSet\Services\W32Time\Config"
    args = {"rediscover": True, "lift_limit": True, "timeout_ms": 1000, "settle_ms": 1000}
    reply = host.run("wu_apply", request(start("W32Time", stop_after=True), ("resync", args)))
    assert reply["failed"] is None
    step = reply["steps"][1]
    assert (step["before"]["offset_ms"], step["after"]["offset_ms"]) == (90_000_000, 5)
    assert host.state["registry"][config] == {"MaxPosPhaseCorrection": 54000, "MaxNegPhaseCorrection": 54000}
    assert f"Write-RegistryValue {config}\\MaxPosPhaseCorrection" in host.state["calls"]
    assert "w32tm.exe /resync /rediscover" in host.state["calls"]
    assert host.state["services"]["W32Time"]["state"] == "stopped"


@pytest.mark.parametrize(("offset_ms", "slewed"), [(120_000, True), (-120_000, True), (300_001, False), (900, False)])
def test_a_resync_says_what_is_being_slewed(host: Host, offset_ms: int, slewed: bool) -> None:
    host.state["sntp"]["time.windows.com"] = offset_ms
    host.state["registry"][r"HKLM\SYSTEM\CurrentControlSet\Services\W32Time\Config"]["MaxAllowedPhaseOffset"] = 300
    args = {"rediscover": False, "lift_limit": False, "timeout_ms": 1000, "settle_ms": 0}
    reply = host.run("wu_apply", request(start("W32Time"), ("resync", args)))
    assert reply["failed"] is None
    said = [row["why"] for row in reply["warnings"]]
    assert bool(said) is slewed
    assert all("120000 ms off time.windows.com and is being slewed" in why and "300 s" in why for why in said)


def test_a_time_source_is_not_asked_more_often_than_it_bears(host: Host) -> None:
    """NIST: "NEVER queries a server more frequently than once every 4 seconds. Systems that exceed this rate will be refused service"."""
    host.state["sntp"]["time.windows.com"] = 120_000
    host.state["registry"][r"HKLM\SYSTEM\CurrentControlSet\Services\W32Time\Config"]["MaxAllowedPhaseOffset"] = 300
    args = {"rediscover": False, "lift_limit": False, "timeout_ms": 1000, "settle_ms": 2500}
    reply = host.run("wu_apply", request(start("W32Time"), ("resync", args)))
    assert (reply["failed"], reply["steps"][1]["ms"] >= 2500) == (None, True)
    # Before, at once after, and when the time was over.
    assert (host.folder / "state.json.asked").read_text().split() == ["time.windows.com"] * 3


def test_a_resync_that_fails_restores_the_limit_and_the_source(host: Host) -> None:
    host.state["exit_code"] = -2147023838
    registry = {key: dict(value) for key, value in host.state["registry"].items()}
    args = {"rediscover": False, "lift_limit": True, "timeout_ms": 1000, "settle_ms": 0}
    source = ("set_time_source", {"type": "NT5DS", "servers": ["a.example,0x8"]})
    reply = host.run("wu_apply", request(source, ("resync", args)))
    assert reply["failed"]["code"] == -2147023838
    assert host.state["registry"] == registry
    assert reply["changed"] is False


def test_a_resync_that_does_not_end_says_how_long_it_was_waited_for(host: Host) -> None:
    """What Invoke-Program gives of a program that it had to end is no exit code."""
    host.state["exit_code"] = None
    args = {"rediscover": False, "lift_limit": False, "timeout_ms": 1500, "settle_ms": 0}
    reply = host.run("wu_apply", request(("resync", args)))
    assert "the resync took longer than 1.5 s" in str(reply["failed"])


def test_prune_keeps_the_newest_and_what_is_not_ours(host: Host) -> None:
    for name in ("20250101T000000Z-aaaaaa", "20250201T000000Z-bbbbbb", "mine", "20250301T000000Z-cccccc"):
        (host.files / f"Windows/SoftwareDistribution.wu_repair-{name}").mkdir()
    (host.files / "Windows/SoftwareDistribution.wu_repair-20240101T000000Z-dddddd").symlink_to(host.files / "Windows/System32")
    prune = ("prune_backups", {"folder": "SoftwareDistribution", "keep": 2})
    reply = host.run("wu_apply", request(prune, *RESET))
    left = sorted(path.name.partition("Distribution.")[2] for path in (host.files / "Windows").glob("SoftwareDistribution.*"))
    # A link that somebody made is not followed, and not ours.
    old = ("20240101T000000Z-dddddd", "20250301T000000Z-cccccc", "mine")
    assert left == [ENDING[1:], *(f"wu_repair-{name}" for name in old)]
    assert reply["failed"] is None


def test_backups_of_both_names_are_kept_by_their_age(host: Host) -> None:
    # From 1 January 2025 (spiz00 in base 36) to 1 March, and what stood there when one was undone; the rest is not ours.
    old = [".wu_repair-20250101T000000Z-aaaaaa", ".wu-sqgkk0zz", ".wu_repair-20250201T000000Z-bbbbbb.new"]
    ages = [*old, ".wu-srw5c000.new", ".wu-srw5c001"]
    strange = [".wu-srw5c0", ".wu-SRW5C001", ".wu-srw5c001.old", ".wuold", ".wu_repair-20259901T000000Z-aaaaaa"]
    for name in (*ages, *strange):
        (host.files / f"Windows/SoftwareDistribution{name}").mkdir()
    reply = host.run("wu_apply", request(("prune_backups", {"folder": "SoftwareDistribution", "keep": 2})))
    gone = [name for name in (*ages, *strange) if not (host.files / f"Windows/SoftwareDistribution{name}").exists()]
    assert gone == ages[:3]
    assert reply["steps"][0]["before"]["backups"] == [f"SoftwareDistribution{name}" for name in reversed(ages)]


def test_an_old_backup_that_will_not_go_is_a_remark(host: Host) -> None:
    names = [f"SoftwareDistribution.wu_repair-2025010{day}T000000Z-aaaaaa" for day in (1, 2, 3)]
    for name in names:
        (host.files / "Windows" / name).mkdir()
    stays = rf"C:\Windows\{names[0]}"
    host.state["fails"][f"Remove-FolderTree {stays}"] = {"message": "path too long", "code": -2147024690}
    prune = ("prune_backups", {"folder": "SoftwareDistribution", "keep": 2})
    reply = host.run("wu_apply", request(*RESET, prune))
    assert (reply["failed"], reply["changed"], reply["undone"]) == (None, True, [])
    assert [step["status"] for step in reply["steps"]][-1] == "done"
    assert [warning["id"] for warning in reply["warnings"]] == [5]
    assert names[0] in reply["warnings"][0]["why"]
    assert not (host.files / "Windows" / names[1]).exists(), "one that stays keeps none of the others"
    assert (host.files / f"Windows/SoftwareDistribution{ENDING}").exists()
    host.state["fails"][f"Remove-FolderTree C:\\Windows\\{names[2]}"] = DENIED
    alone = host.run("wu_apply", request(("prune_backups", {"folder": "SoftwareDistribution", "keep": 1})))
    assert (alone["steps"][0]["status"], alone["failed"], alone["changed"]) == ("skipped", None, False)


def test_a_number_kept_as_text_is_another_value(host: Host) -> None:
    host.state["registry"][KEY] = {"AllowOSUpgrade": "1"}
    set_it = ("set_value", {"key": KEY, "name": "AllowOSUpgrade", "kind": "DWord", "value": 1})
    fails_last(host)
    assert host.run("wu_apply", request(set_it))["changed"] is True
    assert host.state["registry"][KEY] == {"AllowOSUpgrade": 1}
    host.state["registry"][KEY] = {"AllowOSUpgrade": "1"}
    host.run("wu_apply", request(set_it, NO_ZONE))
    assert host.state["registry"][KEY] == {"AllowOSUpgrade": "1"}


def test_a_reparse_point_or_an_existing_target_is_refused(host: Host) -> None:
    (host.files / f"Windows/SoftwareDistribution{ENDING}").mkdir()
    reply = host.run("wu_apply", request(*RESET))
    assert "there already" in reply["failed"]["why"]
    (host.files / "Windows/System32/catroot2").rmdir()
    (host.files / "Windows/System32/catroot2").symlink_to(host.files)
    reply = host.run("wu_apply", request(("set_aside", {"folder": "catroot2"})))
    assert "reparse point" in reply["failed"]["why"]


def test_the_bits_queue_old_and_new(host: Host) -> None:
    folder = "ProgramData/Microsoft/Network/Downloader"
    for name in ("qmgr0.dat", "qmgr.db", "edb00001.log", "edb.chk", "other.txt"):
        host.put(f"{folder}/{name}", b"x")
    reply = host.run("wu_apply", request(("set_aside_bits_queue", {})))
    assert reply["steps"][0]["before"]["files"] == ["edb.chk", "edb00001.log", "qmgr.db", "qmgr0.dat"]
    assert sorted(path.name for path in (host.files / folder).iterdir() if not path.name.endswith(ENDING)) == [
        "other.txt"
    ]
