# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the agent changes, refuses and takes back."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Host

RUN = "20261124T101530Z-1a2b3c"
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


def stop(name: str, timeout_ms: int = 1000) -> tuple[str, dict[str, Any]]:
    return "stop_service", {"name": name, "timeout_ms": timeout_ms}


RESTORE = ("restore_services", {"timeout_ms": 1000})
RESET = (stop("UsoSvc"), stop("CryptSvc"), ("set_aside", {"folder": "SoftwareDistribution"}), RESTORE)


def changes(host: Host) -> list[str]:
    return [call for call in host.state["calls"] if not call.startswith("w32tm")]


def test_reset_moves_the_folder_and_starts_what_ran(host: Host) -> None:
    look = {"schema": 1, "op": "observe", "sections": ["cache"]}
    reply = host.run("wu_apply", request(*RESET, observe=look))
    assert reply["failed"] is None
    assert reply["changed"] is True
    assert [step["status"] for step in reply["steps"]] == ["done"] * 4
    assert (host.files / f"Windows/SoftwareDistribution.wu_repair-{RUN}/DataStore/DataStore.edb").exists()
    starts = [call for call in host.state["calls"] if call.startswith("Send-ServiceStart")]
    assert starts == ["Send-ServiceStart CryptSvc", "Send-ServiceStart UsoSvc"]
    assert reply["sections"]["cache"]["data"]["folders"][0]["backups"] == [f"SoftwareDistribution.wu_repair-{RUN}"]


def test_a_step_that_fails_takes_everything_back(host: Host) -> None:
    name = "Move-Folder C:\\Windows\\System32\\catroot2"
    host.state["fails"][name] = {"message": "in use", "code": -2147024864}
    host.state["services"]["CryptSvc"]["dependents"] = ["DoSvc"]
    steps = (*RESET[:3], ("set_clock", {"offset_ms": 60000}), ("set_service_security", {"name": "bits"}))
    bad = ("set_start_type", {"name": "W32Time", "start": 2, "delayed": False})
    host.state["fails"]["Set-ServiceStart W32Time 2"] = {"message": "denied", "code": -2147024891}
    before = {key: host.state[key] for key in ("clock_ms", "security")}
    reply = host.run("wu_apply", request(*steps, bad, RESTORE))
    assert reply["failed"]["id"] == 6
    assert reply["failed"]["code"] == -2147024891
    assert [step["status"] for step in reply["steps"]] == ["done"] * 5 + ["failed", "not_run"]
    assert all(line["ok"] for line in reply["undone"])
    assert reply["changed"] is False
    assert (host.files / "Windows/SoftwareDistribution/DataStore/DataStore.edb").exists()
    assert {key: host.state[key] for key in before} == before
    assert {name: host.state["services"][name]["state"] for name in ("UsoSvc", "CryptSvc", "DoSvc")} == {
        "UsoSvc": "running", "CryptSvc": "running", "DoSvc": "running",
    }  # fmt: skip
    calls = changes(host)
    assert calls[-3:] == [f"Send-ServiceStart {name}" for name in ("CryptSvc", "DoSvc", "UsoSvc")]


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
    assert [(line["ok"], line["why"]) for line in reply["undone"]] == [
        (False, "CryptSvc is still stopping and could not be started again")
    ]
    assert reply["changed"] is True


def test_a_service_that_ends_stopping_during_the_undo_is_started_again(host: Host) -> None:
    host.state["services"]["CryptSvc"]["slow_ms"] = 5000
    reply = host.run("wu_apply", request(stop("CryptSvc", 3000)))
    assert "did not stop within 3000 ms" in reply["failed"]["why"]
    assert [line["ok"] for line in reply["undone"]] == [True]
    assert host.state["services"]["CryptSvc"]["state"] == "running"
    assert reply["changed"] is False


def test_a_stuck_service_of_its_own_process_is_ended_after_the_limit(host: Host) -> None:
    host.state["services"]["CryptSvc"].update(stuck=True, shared=1)
    reply = host.run("wu_apply", request(stop("CryptSvc", 400)))
    assert reply["failed"] is None
    assert "Stop-ServiceProcess 812" in changes(host)
    assert host.state["services"]["CryptSvc"]["state"] == "running", (
        "a plan without restore_services leaves none stopped"
    )


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


@pytest.mark.parametrize("sign", ["TiWorker", "reboot"])
def test_servicing_or_a_restart_differs(host: Host, sign: str) -> None:
    if sign == "TiWorker":
        host.state["processes"] = ["TiWorker"]
    else:
        host.state["registry"][
            r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired"
        ] = {}
    expect = [
        {"what": "servicing", "name": None, "field": "busy", "is": False},
        {"what": "reboot", "name": None, "field": "pending", "is": False},
    ]
    reply = host.run("wu_apply", request(*RESET, expect=expect))
    assert [item["what"] for item in reply["differs"]] == ["servicing" if sign == "TiWorker" else "reboot"]


@pytest.mark.parametrize(
    "step",
    [
        ("stop_service", {"name": "Winmgmt", "timeout_ms": 1}),
        ("stop_service", {"name": True, "timeout_ms": 1}),
        ("stop_service", {"name": "TrustedInstaller", "timeout_ms": 1}),
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
    start = ("start_service", {"name": "W32Time", "timeout_ms": 1000, "stop_after": True})
    reply = host.run("wu_apply", request(start, ("resync", args)))
    assert reply["failed"] is None
    step = reply["steps"][1]
    assert (step["before"]["offset_ms"], step["after"]["offset_ms"]) == (90_000_000, 5)
    assert host.state["registry"][config] == {"MaxPosPhaseCorrection": 54000, "MaxNegPhaseCorrection": 54000}
    assert f"Write-RegistryValue {config}\\MaxPosPhaseCorrection" in host.state["calls"]
    assert "w32tm.exe /resync /rediscover" in host.state["calls"]
    assert host.state["services"]["W32Time"]["state"] == "stopped"


def test_a_resync_that_fails_restores_the_limit_and_the_source(host: Host) -> None:
    host.state["exit_code"] = -2147023838
    registry = {key: dict(value) for key, value in host.state["registry"].items()}
    args = {"rediscover": False, "lift_limit": True, "timeout_ms": 1000, "settle_ms": 0}
    source = ("set_time_source", {"type": "NT5DS", "servers": ["a.example,0x8"]})
    reply = host.run("wu_apply", request(source, ("resync", args)))
    assert reply["failed"]["code"] == -2147023838
    assert host.state["registry"] == registry
    assert reply["changed"] is False


def test_prune_keeps_the_newest_and_what_is_not_ours(host: Host) -> None:
    for name in ("20250101T000000Z-aaaaaa", "20250201T000000Z-bbbbbb", "mine", "20250301T000000Z-cccccc"):
        (host.files / f"Windows/SoftwareDistribution.wu_repair-{name}").mkdir()
    prune = ("prune_backups", {"folder": "SoftwareDistribution", "keep": 2})
    reply = host.run("wu_apply", request(prune, *RESET))
    left = sorted(
        path.name.partition("wu_repair-")[2] for path in (host.files / "Windows").glob("SoftwareDistribution.*")
    )
    assert left == ["20250301T000000Z-cccccc", RUN, "mine"]
    assert reply["failed"] is None


def test_a_reparse_point_or_an_existing_target_is_refused(host: Host) -> None:
    (host.files / f"Windows/SoftwareDistribution.wu_repair-{RUN}").mkdir()
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
    assert sorted(path.name for path in (host.files / folder).iterdir() if "wu_repair" not in path.name) == [
        "other.txt"
    ]
