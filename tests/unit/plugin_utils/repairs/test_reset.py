# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reset: only the folders and services the findings point at, in the order that works, and proved by their own kind."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.evidence import Evidence
from unit.plugin_utils.documents import NOW, WSUS, folder, look, searched, service, services
from unit.plugin_utils.repairs.asked import condition, failure, make, prove, shown

LOST = failure("scan", 0x80070002)
OFF = condition("service_disabled", "BITS")
IDLE = condition("service_stopped", "UsoSvc")
HOUR_ON = -1


def reset(evidence: Evidence, *findings: Any, **options: Any) -> list[str]:
    return shown(make("reset", evidence, *findings, **options))


def test_a_lost_cache_is_set_aside_with_its_users_stopped() -> None:
    assert reset(look(), LOST) == [
        "stop_service UsoSvc",
        "stop_service DoSvc",
        "stop_service BITS",
        "stop_service wuauserv",
        "set_aside SoftwareDistribution",
        "restore_services",
    ]


def test_only_what_holds_files_may_fail_the_reset() -> None:
    made = make("reset", look(), failure("install", 0x800B0100))
    needed = {step.args["name"]: step.args["needed"] for step in made.steps if step.kind == "stop_service"}
    assert needed == {"UsoSvc": False, "DoSvc": False, "BITS": True, "wuauserv": True, "CryptSvc": True}


@pytest.mark.parametrize("code", [0x800B0100, 0x80096004, 0x80242006])
def test_damaged_signatures_and_metadata_take_the_catalogues_too(code: int) -> None:
    assert reset(look(), failure("install", code))[4:] == [
        "stop_service CryptSvc",
        "set_aside SoftwareDistribution",
        "set_aside catroot2",
        "restore_services",
    ]


def test_drifted_start_types_are_repaired_and_nothing_is_set_aside() -> None:
    found = [condition("service_disabled", name) for name in ("wuauserv", "BITS", "UsoSvc")]
    made = make("reset", look(services(wuauserv=4, BITS=4, UsoSvc=4)), *found)
    assert shown(made) == ["set_start_type wuauserv", "set_start_type BITS", "set_start_type UsoSvc", "start_service UsoSvc"]
    assert made.steps[2].args == {"name": "UsoSvc", "start": 2, "delayed": True}
    assert {"what": "service", "name": "BITS", "field": "start", "is": 4} in made.request(None)["expect"]


@pytest.mark.parametrize("name", ["DoSvc", "msiserver", "AppIDSvc", "TrustedInstaller", "WaaSMedicSvc"])
def test_start_types_that_nobody_may_change_are_not_planned(name: str) -> None:
    host = look(services(**{name: 4}))
    assert reset(host, condition("service_disabled", name)) == []
    assert reset(host, condition("service_stopped", name)) == []
    assert f"set_start_type {name}" not in reset(host, force=True)


def test_a_needed_service_that_does_not_run_is_started() -> None:
    idle = look({"services.services": [service("UsoSvc", state="stopped"), service("CryptSvc")]})
    made = make("reset", idle, IDLE)
    assert shown(made) == ["start_service UsoSvc"]
    assert made.steps[0].args["needed"] is False
    assert made.would == ("start UsoSvc",)
    assert reset(look(), IDLE) == [], "it runs by now"
    crypt = look({"services.services": [service("CryptSvc", state="stopped")]})
    assert make("reset", crypt, condition("service_stopped", "CryptSvc")).steps[0].args["needed"] is True


def test_a_code_of_a_disabled_service_sets_nothing_aside() -> None:
    off = condition("service_disabled", "wuauserv")
    assert reset(look(services(wuauserv=4)), failure("scan", 0x80070422), off) == ["set_start_type wuauserv"]


def test_what_was_repaired_and_waits_for_its_next_try_asks_for_nothing() -> None:
    for more in ({"state": "untested"}, {"state": "unknown"}, {"superseded_by": "a later search"}, {"notice": True}):
        assert reset(look(), failure("scan", 0x80070002, **more)) == []


def test_a_service_that_does_not_exist_is_not_named() -> None:
    rows = [service(name, exists=name != "DoSvc") for name in ("wuauserv", "BITS", "CryptSvc", "UsoSvc", "DoSvc")]
    assert "stop_service DoSvc" not in reset(look({"services.services": rows}), LOST)


def test_a_folder_that_is_not_there_is_not_set_aside() -> None:
    gone = look({"cache.folders": [folder("SoftwareDistribution", exists=False), folder("catroot2")]})
    assert reset(gone, LOST) == []


def test_a_cache_that_could_not_be_read_is_still_reset_and_checked_by_the_agent() -> None:
    made = make("reset", look(status={"cache": "timeout"}), LOST)
    assert "set_aside SoftwareDistribution" in shown(made)
    wanted = made.request(None)["expect"]
    assert {"what": "folder", "name": "SoftwareDistribution", "field": "reparse", "is": False} in wanted
    assert not [item for item in wanted if item["field"] == "exists"]


def test_what_was_seen_is_expected_again() -> None:
    wanted = make("reset", look(), LOST).request(None)["expect"]
    for what, name, field, value in (
        ("servicing", None, "busy", False),
        ("reboot", None, "pending", False),
        ("folder", "SoftwareDistribution", "exists", True),
        ("folder", "SoftwareDistribution", "reparse", False),
        ("service", "wuauserv", "start", 3),
    ):
        assert {"what": what, "name": name, "field": field, "is": value} in wanted


def test_options_narrow_and_widen_but_do_not_ask() -> None:
    assert reset(look(), folders=["catroot2"], bits_queue=True, service_security=True) == []
    assert "set_aside SoftwareDistribution" not in reset(look(), LOST, folders=["catroot2"])
    forced = reset(look(), force=True)
    assert "set_aside SoftwareDistribution" in forced
    assert "set_aside catroot2" in forced
    assert "set_aside_bits_queue" not in forced
    every = reset(look(), LOST, bits_queue=True, service_security=True)
    assert every[-2:] == ["set_aside_bits_queue", "restore_services"]
    # Before the services that it lets an administrator stop and change.
    assert every[:3] == ["set_service_security bits", "set_service_security wuauserv", "stop_service UsoSvc"]


@pytest.mark.parametrize(("keep", "backups", "pruned"), [(2, 1, False), (2, 2, True), (1, 1, True), (0, 9, False)])
def test_old_backups_go_last_and_only_beyond_the_limit(keep: int, backups: int, pruned: bool) -> None:
    names = [f"SoftwareDistribution.wu_repair-2025010{day + 1}T000000Z-aaaaaa" for day in range(backups)]
    host = look({"cache.folders": [folder("SoftwareDistribution", backups=names), folder("catroot2")]})
    steps = make("reset", host, LOST, keep_backups=keep).steps
    assert (steps[-1].kind == "prune_backups") is pruned
    assert "prune_backups" not in [step.kind for step in steps[:-1]]


def test_the_time_to_stop_is_the_users() -> None:
    assert make("reset", look(), LOST, stop_timeout=7).steps[0].args["timeout_ms"] == 7000
    assert make("reset", look(), LOST, stop_timeout=0).steps[0].args["timeout_ms"] == 60000


# --- guards ---


def test_unknown_services_stop_the_reset() -> None:
    refused = make("reset", look(status={"services": "timeout"}), LOST).refused
    assert refused is not None
    assert refused.verdict == "failed"


def test_a_link_is_never_followed() -> None:
    linked = look({"cache.folders": [folder("SoftwareDistribution", reparse=True), folder("catroot2")]})
    refused = make("reset", linked, LOST).refused
    assert refused is not None
    assert (refused.verdict, refused.owner) == ("needs_action", "admin")
    assert r"C:\Windows\SoftwareDistribution" in refused.next_step


def with_dependents(name: str, *dependents: str) -> Evidence:
    rows = [service(one, state="running") for one in ("wuauserv", "BITS", "CryptSvc", "UsoSvc", "DoSvc")]
    return look({"services.services": [{**row, "dependents": list(dependents)} if row["name"] == name else row for row in rows]})


@pytest.mark.parametrize(
    ("other", "lost"),
    [("EdrAgent", " and would be stopped too")]
    + [(name, ", and AppLocker would be switched off") for name in ("AppIDSvc", "applockerfltr")],
)
def test_a_folder_is_left_where_others_would_be_stopped(other: str, lost: str) -> None:
    made = make("reset", with_dependents("CryptSvc", other), failure("install", 0x800B0100))
    assert made.refused is None
    assert "set_aside SoftwareDistribution" in shown(made)
    assert not {"set_aside catroot2", "stop_service CryptSvc"} & set(shown(made))
    assert made.notes == (f"catroot2 is left: {other} depends on CryptSvc{lost}",)
    alone = make("reset", with_dependents("wuauserv", other), LOST).refused
    assert alone is not None
    assert (alone.verdict, alone.owner) == ("needs_action", "admin")
    assert other in alone.sentence
    assert other in alone.next_step


def test_where_applocker_runs_nobody_is_told_to_stop_it() -> None:
    made = make("reset", with_dependents("CryptSvc", "AppIDSvc", "applockerfltr"), LOST, folders=["catroot2"])
    assert made.refused is not None
    assert "AppLocker would be switched off" in made.refused.sentence
    assert made.refused.next_step.startswith("Leave catroot2 as it is")


def test_what_depends_on_a_service_that_only_helps_leaves_no_folder() -> None:
    assert "set_aside SoftwareDistribution" in reset(with_dependents("DoSvc", "EdrAgent"), LOST)


def test_dependents_that_are_ours_are_stopped_with_the_rest() -> None:
    assert "set_aside SoftwareDistribution" in reset(with_dependents("BITS", "DoSvc", "wlidsvc"), LOST)


@pytest.mark.parametrize(("name", "other"), [("SoftwareDistribution", "catroot2"), ("catroot2", "SoftwareDistribution")])
def test_a_file_in_the_place_of_a_folder_is_set_aside_and_proved_gone(name: str, other: str) -> None:
    blocked = condition("cache_is_file", of=name)
    before = look({"cache.folders": [folder(name, exists=False, file=True), folder(other)]})
    made = make("reset", before, blocked)
    assert [step for step in shown(made) if step.startswith("set_aside")] == [f"set_aside {name}"]
    assert prove(made, look(), (blocked,)).status == "proved"
    assert prove(made, before, (blocked,), (blocked,)).status == "refuted"
    assert prove(made, look(status={"cache": "failed"}), (blocked,)).status == "unproven"


# --- proof ---


def scan(result: int | None, hresult: int = 0, *warnings: int) -> dict[str, Any]:
    section = {"result": result, "hresult": hresult, "count": 0 if result in (2, 3) else None}
    return {"scan": {**section, "warnings": [warning - (1 << 32) for warning in warnings]}}


def later(changes: dict[str, Any] | None = None, **more: Any) -> Evidence:
    """A look an hour after the one before the repair."""
    clock = {"clock.start_ms": (NOW + 3600) * 1000 - 500, "clock.end_ms": (NOW + 3600) * 1000}
    return look({**clock, **(changes or {})}, controller_ms=3600_000, **more)


def proved(findings: tuple[Any, ...], after: Evidence, left: tuple[Any, ...] = ()) -> tuple[str, str]:
    result = prove(make("reset", look(), *findings), after, findings, left)
    return result.status, str(result.by or result.reason)


def test_a_search_proves_searches() -> None:
    assert proved((LOST,), later(scan(2))) == ("proved", "a live search that found 0 updates")
    assert proved((LOST,), later(scan(3)))[0] == "proved", "errors that are no failures of its kind"


def test_start_types_prove_only_services() -> None:
    good = later(services(BITS=3))
    assert proved((OFF,), good) == ("proved", "the start types, read again")
    assert proved((OFF, LOST), good)[0] == "unproven"
    assert proved((OFF, LOST), later(scan(2))) == ("proved", "the start types, read again, and a live search that found 0 updates")


def test_a_service_that_is_still_off_refutes_whatever_the_search_says() -> None:
    status, reason = proved((OFF, LOST), later({**services(BITS=4), **scan(2)}))
    assert (status, reason) == ("refuted", "BITS is still disabled")


def test_a_service_that_shall_run_is_proved_by_its_state() -> None:
    for state, status in (("running", "proved"), ("stopped", "refuted"), ("stop_pending", "refuted")):
        rows = [service("UsoSvc", state=state)]
        assert proved((IDLE,), later({"services.services": rows}))[0] == status
    assert proved((IDLE,), later(status={"services": "timeout"}))[0] == "unproven"
    assert proved((IDLE,), later({"services.services": []}))[0] == "unproven"


@pytest.mark.parametrize(
    ("warning", "status"),
    [(0x80070002, "refuted"), (0x80070003, "unproven"), (0x80072EFD, "proved"), (0x00240005, "proved")],
)
def test_a_search_that_warns_of_the_same_proves_nothing(warning: int, status: str) -> None:
    section = {"result": 3, "hresult": 0, "count": 0, "warnings": [warning]}
    assert proved((LOST,), later({"scan": section}))[0] == status


def test_a_warning_that_is_no_failure_is_no_failure_of_its_kind() -> None:
    # WU_S_REBOOT_REQUIRED and E_FAIL are both of no area.
    section = {"result": 3, "hresult": 0, "count": 0, "warnings": [0x00240005]}
    assert proved((failure("scan", 0x80004005),), later({"scan": section}))[0] == "proved"


def test_a_search_that_fails_refutes_or_tells_of_something_else() -> None:
    assert proved((LOST,), later(scan(4, 0x80070002)), (LOST,)) == ("refuted", "a live search still fails with 0x80070002")
    network = failure("scan", 0x80072EFD, answer={"owner": "proxy"})
    assert proved((LOST,), later(scan(4, 0x80072EFD)), (network,))[0] == "unproven"
    assert proved((LOST,), later(scan(4, 0x80072EFD)), (network, LOST))[0] == "refuted"
    assert proved((LOST,), later(scan(5)))[0] == "refuted"


@pytest.mark.parametrize("status", ["denied", "timeout", "absent", "failed"])
def test_a_search_that_was_not_made_proves_nothing(status: str) -> None:
    result, reason = proved((LOST,), later(status={"scan": status}))
    assert result == "unproven"
    assert ("no remote logon" in reason) is (status == "denied")


def test_the_hosts_own_search_since_proves_too() -> None:
    after = {"events.records": [searched(HOUR_ON / 2)]}
    assert proved((LOST,), later(after)) == ("proved", "a successful search since the repair")
    assert proved((LOST,), later({"sources.last_search": NOW + 60}))[0] == "unproven", "a date that names no service"
    assert proved((LOST,), later({"sources.last_search": NOW - 60}))[0] == "unproven"
    other = {"events.records": [searched(HOUR_ON / 2, service=WSUS)]}
    assert proved((LOST,), later(other))[0] == "unproven", "of another server"
    assert proved((LOST,), later({"sources.last_search": NOW + 86400}))[0] == "unproven", "dated in the host's future"


def test_an_installation_is_proved_by_an_installation_alone() -> None:
    install = failure("install", 0x80070002, name="KB5099002", subject="update:KB5099002")
    assert proved((install,), later(scan(2))) == ("unproven", "only the next try can tell about the installation of KB5099002")
    assert proved((install, LOST), later(scan(2)))[0] == "unproven", "the same code in a search tells nothing about it"
    entry = {"time": NOW + 60, "operation": 1, "result": 2, "hresult": 0, "title": "Security Update (KB5099002)", "update_id": "7"}
    assert proved((install,), later({"history.entries": [entry], **scan(2)}))[0] == "proved"
    assert proved((install,), later({"history.entries": [{**entry, "time": NOW - 60}], **scan(2)}))[0] == "unproven"
    assert proved((install,), later({"history.entries": [{**entry, "title": "Other (KB5099003)"}], **scan(2)}))[0] == "unproven"


def test_a_forced_reset_is_proved_by_a_search() -> None:
    assert proved((), later(scan(2)))[0] == "proved"
    assert proved((), later())[0] == "unproven"
