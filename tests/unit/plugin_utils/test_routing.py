# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who can act on a failure: every judged code, the kinds behind them, and sentences that name the thing."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import hresult, routing
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.routing import Failure, Routed
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.situation import Clock, Situation
from hypothesis import given
from hypothesis import strategies as st

CODES = Path(__file__).parents[2] / "data" / "codes.tsv"
RIGHT, OFF, UNKNOWN = Clock("right", own_ms=0), Clock("off", own_ms=7_200_000), Clock()
MICROSOFT = Situation(host=True, client=True, disabled=(), clock=RIGHT, build=19045)
WSUS = replace(MICROSOFT, required_class="wsus", wsus_server="wsus.corp.example:8530")
BLANK = Situation()
SITUATIONS = (MICROSOFT, WSUS, BLANK, replace(WSUS, disabled=("BITS", "DoSvc")), replace(MICROSOFT, clock=OFF))
Flags = tuple[bool, bool, bool, Situation]

REPAIRS, WAITS = ("reset", "timesync"), ("restart", "retry")
OWNERS = ("wsus", "proxy", "policy", "management", "hardware", "admin")
LAYERS = ("scan", "download", "install", "store", "cache", "upgrade", "service", "clock")
ALL_CODES = sorted(code for code in hresult._CODES if code)


# --- the judged codes ---


def judged() -> Iterator[object]:
    with CODES.open(encoding="utf-8", newline="") as stream:
        rows = csv.DictReader((line for line in stream if not line.startswith("#")), delimiter="\t")
        for number, row in enumerate(rows):
            name = f"{number}-{row['code']}-{row['layers'].replace(' ', '/')}-{row['wsus']}"
            yield pytest.param(row, id=name)


@pytest.mark.parametrize("row", list(judged()))
def test_judged_code(row: dict[str, str]) -> None:
    if row["owner"]:
        pytest.skip(f"decided by {row['owner']}: {row['note']}")
    if row["layers"] == "explain":
        explained(row)
        return
    for wsus in {"yes": (True,), "no": (False,), "any": (True, False)}[row["wsus"]]:
        with_wsus, _bar, without = row["expected"].partition("|")
        expected = with_wsus if wsus or not without else without
        for layer in row["layers"].split():
            failure, situation = given_row(row, layer, wsus=wsus)
            check(routing.answer_for(failure, situation), failure, expected)


def given_row(row: dict[str, str], layer: str, *, wsus: bool) -> tuple[Failure, Situation]:
    """The failure and the host that a row of the table means."""
    facts = dict(part.partition("=")[::2] for part in re.findall(r"name=.*?(?= restarted| tried|$)|\S+", row["given"]))
    situation = WSUS if wsus else MICROSOFT
    clock = {"right": RIGHT, "off": OFF, "unknown": UNKNOWN}[facts.get("clock", "right")]
    situation = replace(situation, clock=clock, client="server" not in facts, tls12_off="tls12off" in facts, proxy="proxy" in facts)
    situation = replace(situation, service_broken=(facts["broken"],) if "broken" in facts else ())
    situation = replace(situation, disabled=(facts["disabled"],) if "disabled" in facts else ())
    asked: str | None = facts.get("asked", "wsus" if wsus else "microsoft")
    if layer not in ("scan", "download", "install"):
        asked = None
    failure = Failure(
        layer,
        int(row["code"], 16),
        asked=asked,
        kb=facts.get("kb"),
        name=facts.get("name"),
        lasting=row["lasting"] == "yes",
        restarted_since="restarted" in facts,
        reset_tried="tried" in facts,
    )
    return failure, situation


def check(routed: Routed, failure: Failure, expected: str) -> None:
    wanted, _plus, extra = expected.partition("+")
    answer, _colon, step = wanted.partition(":")
    where = f"{failure}: {routed}"
    if answer == "notice":
        assert routed.notice, where
    else:
        assert not routed.notice, where
        kind = "repair" if answer in REPAIRS else "wait" if answer in WAITS else "owner"
        assert routed.answer == {kind: answer}, where
    if step:
        assert routed.step == wanted, where
    assert (routed.attempt == "osupgrade") == (extra == "osupgrade"), where
    if extra == "catroot2":
        assert extra in routing.reset_folders(failure.code), where
    assert routed.next_step, where


def explained(row: dict[str, str]) -> None:
    """What a person who asks for a code alone is told."""
    if row["expected"] == "refused":
        with pytest.raises(hresult.HResultError, match="digits"):
            hresult.normalise(row["code"])
        return
    code = hresult.normalise(row["code"])
    places = routing.by_place(code, BLANK)
    if row["expected"] == "unknown":
        assert "Not an error code" in hresult.describe(code).meaning
        assert places == []
    else:
        assert len({words for _place, words, _step in places}) > 1


def test_the_table_of_judged_codes_is_whole() -> None:
    rows = [param.values[0] for param in judged()]  # type: ignore[attr-defined]
    assert len({row["code"] for row in rows}) >= 165
    assert {row["owner"] for row in rows} == {"", "states", "readers"}
    assert all(row["note"] for row in rows)


# --- kinds, not cases ---


def of_area(area: str) -> list[int]:
    return [code for code in ALL_CODES if hresult.describe(code).area == area]


@pytest.mark.parametrize("layer", ["scan", "download"])
def test_what_a_wsus_answered_is_never_reset(layer: str) -> None:
    for code in of_area("protocol") + of_area("network") + of_area("proxy"):
        for lasting in (False, True):
            routed = routing.answer_for(Failure(layer, code, asked="wsus", lasting=lasting), WSUS)
            assert "repair" not in routed.answer, f"{code:#x} {routed}"
    for code in of_area("protocol"):
        first = routing.answer_for(Failure(layer, code, asked="wsus", lasting=False), WSUS)
        later = routing.answer_for(Failure(layer, code, asked="wsus"), WSUS)
        if code not in (0x80240027, 0x80240046) and code >> 8 not in (0x802450, 0x802451):
            assert (first.answer, later.answer) == ({"wait": "retry"}, {"owner": "wsus"}), f"{code:#x} {first} {later}"


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("situation", [WSUS, BLANK], ids=["wsus", "nothing known"])
def test_every_known_code_has_one_answer_and_a_sentence(layer: str, situation: Situation) -> None:
    for number, code in enumerate([*ALL_CODES, 0x8024BEEF, 0xC8000999, 0xD0150004, 0x80073CF9]):
        routed = routing.answer_for(Failure(layer, code, lasting=number % 5 > 0), situation)
        assert_sound(routed, lasting=number % 5 > 0, restarted=False)


def assert_sound(routed: Routed, *, lasting: bool, restarted: bool) -> None:
    assert len(routed.answer) == 1
    kind, who = next(iter(routed.answer.items()))
    assert who in {"repair": REPAIRS, "wait": WAITS, "owner": OWNERS}[kind], routed
    assert not (lasting and who == "retry"), routed
    assert not (restarted and who == "restart"), routed
    assert 10 < len(routed.next_step) < 400
    assert routed.next_step[0].isupper()
    assert re.search(r"[^.]\.$", routed.next_step)
    assert not re.search(r"[{}]|\bNone\b|\brung|\bclimb|\bladder|  ", routed.next_step), routed


@given(
    code=st.one_of(st.sampled_from(ALL_CODES), st.integers(0, 0xFFFFFFFF)),
    layer=st.sampled_from((*LAYERS, "policy", "reported")),
    asked=st.sampled_from((None, "wsus", "microsoft", "store", "flighting", "offline", "unknown")),
    name=st.one_of(st.none(), st.sampled_from(("wuauserv", "{odd}", "NetFx3", "x" * 300))),
    flags=st.tuples(*[st.booleans()] * 3, st.sampled_from(SITUATIONS)),
)
def test_any_failure_has_one_sound_answer(code: int, layer: str, asked: str | None, name: str | None, flags: Flags) -> None:
    lasting, restarted, tried, situation = flags
    failure = Failure(layer, code, None, asked=asked, name=name, lasting=lasting, restarted_since=restarted, reset_tried=tried)
    routed = routing.answer_for(failure, situation)
    assert len(routed.answer) == 1
    assert not (lasting and routed.answer == {"wait": "retry"})
    assert not (restarted and routed.answer == {"wait": "restart"})
    if routed.answer == {"repair": "reset"} and routed.step != "reset:services":
        assert layer in ("cache", "scan", "download", "install")
        assert not tried
    if routed.attempt:
        assert situation.client
    if routed.blocking:
        assert not routed.notice


def test_a_reset_only_where_the_cache_is_at_work() -> None:
    for layer in ("store", "upgrade", "clock"):
        for code in ALL_CODES:
            routed = routing.answer_for(Failure(layer, code), replace(MICROSOFT, disabled=None))
            assert routed.answer != {"repair": "reset"} or routed.step == "reset:services", f"{layer} {code:#x}"


def test_a_reset_gives_way() -> None:
    lost = Failure("install", 0x80070002)
    assert routing.answer_for(lost, MICROSOFT).answer == {"repair": "reset"}
    damaged = routing.answer_for(lost, replace(MICROSOFT, store_damaged=True))
    assert (damaged.answer, damaged.step) == ({"owner": "admin"}, "admin:dism")
    assert "DISM /Online /Cleanup-Image /RestoreHealth, then sfc /scannow" in damaged.next_step
    assert routing.answer_for(replace(lost, layer="scan"), replace(MICROSOFT, store_damaged=True)).answer == {"repair": "reset"}
    assert routing.answer_for(replace(lost, subject="update:os", source="dism"), MICROSOFT).answer == {"owner": "admin"}, "given to DISM"
    assert routing.answer_for(replace(lost, subject="update:os", source="cbs"), MICROSOFT).answer == {"repair": "reset"}
    tried = routing.answer_for(replace(lost, reset_tried=True), MICROSOFT)
    assert (tried.answer, tried.step) == ({"owner": "admin"}, "admin:dism_after_reset")
    broken = routing.answer_for(lost, replace(MICROSOFT, service_broken=("wuauserv",)))
    assert (broken.answer, broken.step, broken.blocking) == ({"owner": "admin"}, "admin:service_dll", True)
    assert "wuauserv" in broken.next_step


def test_a_restart_cures_no_installation() -> None:
    owed = {"0x80070BC9", "0x800706BE", "0x80246008", "0x8024A000", "0x80D01001"}
    for code in ALL_CODES:
        routed = routing.answer_for(Failure("install", code), MICROSOFT)
        if routed.answer == {"wait": "restart"}:
            assert hresult.hex_of(code) in owed or hresult.describe(code).area == "reboot", f"{code:#x}"
            again = routing.answer_for(Failure("install", code, restarted_since=True), MICROSOFT)
            assert again.answer == {"owner": "admin"}, f"{code:#x} {again}"


def test_a_repair_that_does_not_exist_never_hides_an_owner() -> None:
    for code in of_area("servicing_cbs"):
        for layer in ("store", "install"):
            routed = routing.answer_for(Failure(layer, code, restarted_since=True), MICROSOFT)
            assert "repair" not in routed.answer or "reset" in hresult.describe(code).remedies, f"{code:#x} {routed}"


def test_an_exception_is_no_damage_of_the_store() -> None:
    for code in (0x80004005, 0x80240FFF, 0x80004002):
        assert "dism" not in routing.answer_for(Failure("install", code), MICROSOFT).step, f"{code:#x}"
        assert "dism" in routing.answer_for(Failure("store", code), MICROSOFT).step, f"{code:#x}"
    assert "dism" in routing.answer_for(Failure("install", 0x80073712), MICROSOFT).step


@pytest.mark.parametrize(
    ("situation", "asked", "owner"),
    [
        (WSUS, "wsus", "wsus"),
        (WSUS, None, "wsus"),
        (MICROSOFT, "microsoft", "admin"),
        (replace(MICROSOFT, proxy=True, proxy_server="proxy.corp.example:3128"), "microsoft", "proxy"),
        (replace(MICROSOFT, wsus_server="wsus.corp.example:8530"), "microsoft", "admin"),
        (replace(WSUS, wsus_server="127.0.0.1:80"), "wsus", "policy"),
        (replace(WSUS, wsus_server="[::1]:8530"), "wsus", "policy"),
        (replace(WSUS, wsus_server="localhost:8530", client=False), "wsus", "wsus"),
        (replace(WSUS, wsus_server="wu.invalid:80"), "wsus", "policy"),
    ],
)
def test_who_serves_the_updates(situation: Situation, asked: str | None, owner: str) -> None:
    routed = routing.answer_for(Failure("scan", 0x80072EFE, asked=asked), situation)
    assert routed.answer == {"owner": owner}
    assert routed.blocking
    named = {"wsus": situation.wsus_server, "proxy": "proxy.corp.example:3128", "policy": situation.wsus_server, "admin": "TCP 443"}[owner]
    assert str(named) in routed.next_step


def test_a_proxys_login_is_the_proxys_whoever_was_asked() -> None:
    assert routing.answer_for(Failure("scan", 0x8024401B, asked="wsus"), WSUS).answer == {"owner": "proxy"}
    assert routing.answer_for(Failure("scan", 0x80072F78, asked="wsus"), WSUS).answer == {"owner": "wsus"}


def test_a_catalogue_signed_wrongly_is_the_servers() -> None:
    assert routing.answer_for(Failure("scan", 0x80247140, asked="wsus"), WSUS).answer == {"owner": "wsus"}
    assert routing.answer_for(Failure("scan", 0x80247140, asked="microsoft"), MICROSOFT).answer == {"repair": "reset"}


def test_only_the_required_class_is_a_fault() -> None:
    for asked in ("store", "flighting", "offline", "wsus"):
        routed = routing.answer_for(Failure("scan", 0x80072EE2, asked=asked), MICROSOFT)
        assert routed.notice, asked
        assert not routed.blocking
    # A log alone does not know what policy wants.
    assert not routing.answer_for(Failure("scan", 0x80244022, asked="wsus"), BLANK).notice


@pytest.mark.parametrize("answer", ["wait", "owner"])
def test_a_passing_failure_blocks_nothing(answer: str) -> None:
    routed = routing.answer_for(Failure("scan", 0x80244022, asked="wsus", lasting=answer == "owner"), WSUS)
    assert list(routed.answer) == [answer]
    assert routed.blocking == (answer == "owner")
    assert not routing.answer_for(Failure("download", 0x80244022, asked="wsus"), WSUS).blocking
    assert not routing.answer_for(Failure("download", 0x80072EE2, asked="microsoft"), MICROSOFT).blocking
    assert routing.answer_for(Failure("scan", 0x80072EE2, asked="microsoft"), MICROSOFT).blocking


def test_a_kernel_status_is_routed_as_the_windows_error() -> None:
    for status, code in ((0xC000003F, 0x80070017), (0xD0000043, 0x80070020), (0xC01A001D, 0x800719E4)):
        for layer in ("scan", "install", "store"):
            one, other = (routing.answer_for(Failure(layer, number), MICROSOFT) for number in (status, code))
            assert (one.answer, one.step) == (other.answer, other.step), f"{layer} {status:#x}"


def test_the_clock_is_moved_only_where_it_is_wrong() -> None:
    tls = Failure("scan", 0x80072F8F)
    assert routing.answer_for(tls, replace(MICROSOFT, clock=OFF)).answer == {"repair": "timesync"}
    assert routing.answer_for(tls, replace(BLANK, host=True)).answer == {"repair": "timesync"}
    of_logs = routing.answer_for(tls, BLANK)
    assert of_logs.answer == {"owner": "admin"}, "logs alone show no offset"
    assert of_logs.next_step.startswith("Compare the clock")
    silent = replace(MICROSOFT, clock=Clock("suspect", controller_ms=7_200_000, silent=("time.corp.example",)))
    asleep = routing.answer_for(tls, silent)
    assert asleep.answer == {"owner": "admin"}
    assert "UDP 123" in asleep.next_step
    assert "time.corp.example" in asleep.next_step
    differs = replace(MICROSOFT, clock=Clock("suspect", own_ms=7_200_000, source_differs=True))
    assert routing.answer_for(tls, differs).answer == {"owner": "admin"}


def test_a_bad_file_is_not_the_clocks_matter() -> None:
    for code in (0x80096004, 0x80070241, 0x800B0100):
        assert routing.answer_for(Failure("download", code), BLANK).answer == {"repair": "reset"}, f"{code:#x}"
        assert routing.answer_for(Failure("download", code), replace(MICROSOFT, clock=OFF)).answer == {"repair": "timesync"}


def test_start_types_that_only_a_person_can_set() -> None:
    failure = Failure("scan", 0x80070422)
    both = routing.answer_for(failure, replace(MICROSOFT, disabled=("BITS", "DoSvc")))
    assert both.answer == {"repair": "reset"}
    assert "BITS" in both.next_step
    alone = routing.answer_for(failure, replace(MICROSOFT, disabled=("DoSvc",)))
    assert alone.answer == {"owner": "admin"}
    assert all(word in alone.next_step for word in ("DoSvc", "Start = 2", "DelayedAutostart = 1", "DODownloadMode"))
    assert routing.repairable_services(replace(MICROSOFT, disabled=("DoSvc", "msiserver", "wuauserv", "Foreign"))) == ("wuauserv",)
    assert routing.repairable_services(BLANK) is None


def test_a_service_that_updates_do_not_need() -> None:
    for code in (0x80070422, 0x8007041D, 0x80070002, 0x8007000E):
        assert routing.answer_for(Failure("service", code, name="netprofm"), MICROSOFT).notice
        assert not routing.answer_for(Failure("service", code, name="cryptsvc", lasting=True), MICROSOFT).notice


@pytest.mark.parametrize(
    ("client", "allowed", "attempt"),
    [(True, False, "osupgrade"), (True, True, None), (False, False, None), (None, False, None)],
)
def test_the_attempt_is_for_clients_and_made_once(client: bool | None, allowed: bool, attempt: str | None) -> None:
    situation = replace(MICROSOFT, client=client, upgrade_allowed=allowed)
    for failure in (Failure("upgrade", 0xC1900101), Failure("install", 0x80070002, subject="upgrade:24H2")):
        routed = routing.answer_for(failure, situation)
        assert (routed.answer, routed.attempt) == ({"owner": "admin"}, attempt)
    # What the machine lacks, no value in the registry gives it.
    assert routing.answer_for(Failure("upgrade", 0xC1900200), situation).attempt is None
    assert routing.answer_for(Failure("upgrade", 0xC1900101), replace(situation, host=False)).attempt is None


@pytest.mark.parametrize(
    ("failure", "situation", "parts"),
    [
        (Failure("scan", 0x80244022), WSUS, ["wsus.corp.example:8530", "WsusPool", "503"]),
        (Failure("scan", 0x80072EE2), WSUS, ["wsus.corp.example:8530", "TCP 8530"]),
        (Failure("scan", 0x8024401B), replace(WSUS, proxy=True, proxy_server="proxy.corp:3128"), ["proxy.corp:3128", "login"]),
        (Failure("scan", 0x8024002E), replace(MICROSOFT, policies=("DisableWindowsUpdateAccess = 1",)), ["DisableWindowsUpdateAccess = 1"]),
        (
            Failure("install", 0x80070070),
            replace(MICROSOFT, free_bytes=322122547, drive="C:"),
            ["Free space", "C:", "0.3 GB", "about 3 GB"],
        ),
        (Failure("install", 0x80070070, kb="KB5099001"), replace(MICROSOFT, free_bytes=80 << 30), ["Install KB5099001 again", "80.0 GB"]),
        (Failure("install", 0xC190020E), replace(MICROSOFT, free_bytes=9 << 30), ["Free space", "9.0 GB", "an upgrade needs about 20 GB"]),
        (Failure("install", 0x80070070, subject="upgrade:24H2"), replace(MICROSOFT, free_bytes=9 << 30), ["Free space", "about 20 GB"]),
        (Failure("upgrade", 0xC190020E), replace(MICROSOFT, free_bytes=30 << 30), ["Install the update again", "30.0 GB", "20 GB"]),
        (Failure("install", 0x80070660), replace(MICROSOFT, free_bytes=80 << 30), ["Check the drives and folders"]),
        (Failure("scan", 0xC8000710), replace(MICROSOFT, free_bytes=1 << 30), ["Free space", "1.0 GB"]),
        (
            Failure("install", 0x80070641, kb="KB5099070"),
            replace(MICROSOFT, disabled=("msiserver",)),
            ["msiserver", "KB5099070", "Start = 3"],
        ),
        (Failure("install", 0x80070641), MICROSOFT, ["the service msiserver"]),
        (Failure("download", 0x80246008, restarted_since=True), MICROSOFT, ["the service BITS"]),
        (Failure("install", 0x80070643, kb="KB2267602"), MICROSOFT, ["KB2267602", "security intelligence", "MpCmdRun", "MPLog"]),
        (Failure("install", 0x80070643, kb="KB890830"), MICROSOFT, ["KB890830", "Malicious Software Removal Tool", "by hand"]),
        (Failure("scan", 0x8024500B, asked="wsus"), WSUS, ["slscr.update.microsoft.com", "DoNotConnect", "wsus.corp.example:8530"]),
        (Failure("scan", 0x8024401C), WSUS, ["HTTP 408", "too slow", "wsus.corp.example:8530"]),
        (Failure("scan", 0x80244016), WSUS, ["HTTP 400", "IIS"]),
        (Failure("scan", 0x80244023), replace(MICROSOFT, proxy=True, proxy_server="proxy.corp:3128"), ["HTTP 504", "proxy.corp:3128"]),
        (Failure("scan", 0x80244018), WSUS, ["HTTP 403"]),
        (Failure("download", 0x801901F4), MICROSOFT, ["HTTP 500"]),
        (Failure("install", 0x80070643, kb="KB5034441"), MICROSOFT, ["KB5034441", "recovery partition", "250 MB"]),
        (Failure("install", 0x80070643, title="2024-01 Security Update for Windows 10", kb="KB5034440"), MICROSOFT, ["KB5034440"]),
        (Failure("install", 0x800F0922, name="Edge"), MICROSOFT, ["Edge", "CBS.log"]),
        (Failure("install", 0x800F0823, kb="KB5099002"), WSUS, ["servicing stack", "KB5099002", "wsus.corp.example:8530"]),
        (Failure("store", 0x800F081F, name="Package_for_X"), MICROSOFT, ["DISM /Online /Cleanup-Image", "sfc", "Package_for_X"]),
        (Failure("store", None, "sr_cannot_repair", name="ntdll.dll"), MICROSOFT, ["DISM", "ntdll.dll"]),
        (Failure("upgrade", 0xC1900101, name="0x30018"), MICROSOFT, ["0x30018", "SetupDiagResults.xml", "driver"]),
        (Failure("upgrade", 0xC1900101, name="0x20017 acmeflt.sys"), MICROSOFT, ["the driver acmeflt.sys", "phase 0x20017"]),
        (Failure("upgrade", 0xC1900101, name="acmeflt.sys"), MICROSOFT, ["the driver acmeflt.sys", "(0xC1900101)"]),
        (Failure("upgrade", 0x8007042B, name="0x4000D C:\\Lab\\odd.dll"), MICROSOFT, ["phase 0x4000D", "C:\\Lab\\odd.dll"]),
        (Failure("upgrade", 0x8007042B, name="C:\\Lab\\odd.dll"), MICROSOFT, ["0x8007042B: C:\\Lab\\odd.dll"]),
        (Failure("service", 0x80070424, name="wuauserv"), MICROSOFT, ["wuauserv"]),
        (Failure("scan", 0x80072F8F), replace(MICROSOFT, tls12_off=True), ["TLS 1.2", "Enabled = 1"]),
        (Failure("clock", 0x80072AF9), replace(MICROSOFT, clock=Clock(silent=("time.nowhere.example",))), ["time.nowhere.example"]),
        (Failure("scan", None, "proxy_credentials"), MICROSOFT, ["login"]),
        (Failure("upgrade", 0x80073CF2, name="Lab.App"), MICROSOFT, ["Lab.App", "Sysprep"]),
    ],
)
def test_the_next_step_names_the_thing(failure: Failure, situation: Situation, parts: list[str]) -> None:
    step = routing.answer_for(failure, situation).next_step
    assert [part for part in parts if part not in step] == [], step


HTTP = {
    **{
        0x80244016: 400,
        0x80244017: 401,
        0x80244018: 403,
        0x80244019: 404,
        0x8024401A: 405,
        0x8024401B: 407,
        0x8024401C: 408,
        0x8024401D: 409,
    },
    **{0x8024401E: 410, 0x8024401F: 500, 0x80244020: 501, 0x80244021: 502, 0x80244022: 503, 0x80244023: 504, 0x80244024: 505},
    **{0x80190000 + status: status for status in (400, 404, 407, 408, 500, 503)},
}


@pytest.mark.parametrize("situation", [WSUS, MICROSOFT, replace(MICROSOFT, proxy=True, proxy_server="proxy.corp:3128")])
def test_a_status_of_http_is_named(situation: Situation) -> None:
    for code, status in HTTP.items():
        assert f"HTTP {status}" in hresult.describe(code).meaning
        step = routing.answer_for(Failure("scan", code), situation).next_step
        assert f"HTTP {status}" in step, f"{code:#x} {step}"
    assert "HTTP" not in routing.answer_for(Failure("scan", 0x80244025), situation).next_step


def test_damage_of_the_store_is_asserted_only_where_it_is_known() -> None:
    known = {int(code, 16) for code in routing._TABLE["damage_codes"]}
    for code in ALL_CODES:
        for layer in ("scan", "download", "install", "store", "cache"):
            for tried in (False, True):
                failure = Failure(layer, code, restarted_since=tried, reset_tried=tried)
                said = "store is damaged" in routing.answer_for(failure, MICROSOFT).next_step
                assert not said or hresult.nt_to_win32(code) in known, f"{layer} {code:#x}"
    assert "store is damaged" in routing.answer_for(Failure("store", None, "payload_corrupt"), MICROSOFT).next_step
    look = replace(MICROSOFT, store_damaged=True)
    assert "store is damaged" in routing.answer_for(Failure("install", 0x80070002), look).next_step
    assert "store is damaged" in routing.answer_for(Failure("install", 0x800F0986), look).next_step


def test_a_data_store_is_no_component_store() -> None:
    for code in ALL_CODES:
        if code >> 12 in (0x80248, 0xC8000):
            for layer in ("scan", "download", "install"):
                tried = routing.answer_for(Failure(layer, code, reset_tried=True, restarted_since=True), MICROSOFT)
                assert "dism" not in tried.step, f"{code:#x} {tried}"


def test_what_rolls_is_a_fault_once_it_lasts() -> None:
    for kb in ("KB2267602", "KB4052623", "KB890830", "KB5001716"):
        for code in (0x80070643, 0x8024200B):
            failure = Failure("install", code, kb=kb)
            routed = routing.answer_for(failure, MICROSOFT)
            assert (routed.answer, routed.notice) == ({"owner": "admin"}, False), kb
            assert "ecovery" not in routed.next_step
            assert routing.answer_for(replace(failure, lasting=False), MICROSOFT).notice
    cut = "Update for Microsoft Defender Antivirus antimalware platform - KB40526...ersion 4.18.25010.3)"
    assert "KB4052623" in routing.answer_for(Failure("install", 0x80070643, title=cut), MICROSOFT).next_step
    assert "ecovery" not in hresult.describe(0x80070643).meaning


def test_a_locator_that_does_not_answer_stops_every_search() -> None:
    routed = routing.answer_for(Failure("scan", 0x8024500B, asked="microsoft"), MICROSOFT)
    assert routed.blocking
    assert "DoNotConnect" not in routed.next_step


def test_management_instead_of_policy() -> None:
    managed = replace(MICROSOFT, managed=True)
    assert routing.answer_for(Failure("scan", 0x8024500C), managed).answer == {"owner": "management"}
    assert routing.answer_for(Failure("scan", 0x8024500C), MICROSOFT).answer == {"owner": "policy"}


# --- one code by itself ---


def test_a_code_is_explained_by_place() -> None:
    rows = routing.by_place(0x80070002, BLANK)
    answers = {place: words for place, words, _step in rows}
    assert answers["in a search, a download or an installation"] == "a reset of the update cache"
    assert answers["in CBS.log"] == "DISM, then SFC"
    assert any("set-up" in place for place in answers)
    served = {place: words for place, words, _step in routing.by_place(0x80244022, BLANK)}
    assert [words for place, words in served.items() if "with a WSUS" in place] == ["a retry for a day, then the owner of the WSUS"]
    assert "else" in routing.by_place(0x80072F8F, BLANK)[0][1]


def test_every_known_code_can_be_explained() -> None:
    for code in (code for code in ALL_CODES[::5] if code & 0x80000000):
        rows = routing.by_place(code, BLANK)
        assert rows, f"{code:#x}"
        assert all(place.startswith("in ") and words and step for place, words, step in rows)
        text = " ".join(words for _place, words, _step in rows)
        assert not re.search(r"troubleshoot|osupgrade|remed|rung", text)


def test_a_success_that_wants_a_restart_asks_for_it_first() -> None:
    for code in (0x80070BC2, 0x00240005):
        ((place, words, step),) = routing.by_place(code, BLANK)
        assert place.endswith("CBS.log or set-up")
        assert words.startswith("a restart, once")
        assert step.startswith("Restart the host once")


# The last three are patterns of programmers: no facility of the kernel has such a number.
@pytest.mark.parametrize("code", [0x12345678, 0, 0x00240006, 0x7FFFFFFF, 0xDEADBEEF, 0xCAFEBABE, 0xCFFFFFFF])
def test_what_is_no_failure_is_not_explained(code: int) -> None:
    assert routing.by_place(code, BLANK) == []


# --- the tables ---


def test_the_table_uses_only_words_and_steps_that_exist() -> None:
    table = routing._TABLE
    lists = [words for row in table["codes"].values() for words in row.values()]
    lists += [span["answer"] for span in table["ranges"]]
    lists += [words for rows in table["layers"].values() for words in rows.values()]
    lists += [*table["areas"].values(), *table["markers"].values(), *table["marker_layers"].values(), *table["remedies"].values()]
    used: set[str] = set()
    for word, _colon, step in (entry.partition(":") for words in lists for entry in words):
        assert word == "remedies" or word in routing._WORDS, word
        if step:
            assert any(name.endswith(f":{step}") for name in table["steps"]), step
            used.add(step)
    made_here = set(re.findall(r'step ?= ?"(\w+)"', Path(routing.__file__).read_text(encoding="utf-8")))
    made_here |= {"dism", "dism_check", "setup", "setup_named_driver", "space_there", "disk", "reset_tried"}
    unused = {name.partition(":")[2].removesuffix("@brief") for name in table["steps"] if ":" in name} - used - made_here
    assert unused == set()
    assert {name for name in (*table["short"], *table["blocking_steps"]) if name not in table["steps"]} == set()


def test_every_area_of_the_codes_is_routed() -> None:
    assert {hresult.describe(code).area for code in ALL_CODES} <= set(routing._TABLE["areas"])


def test_services() -> None:
    assert set(routing.STOP_ORDER) <= set(routing.SERVICES)
    for name, row in routing.SERVICES.items():
        assert row["repair"] in ("reset", None), name
        assert f"Start = {row['start']}" in row["owner_step"], name
    automatic = {name for name, row in routing.SERVICES.items() if row["automatic"]}
    assert automatic == {"CryptSvc", "UsoSvc"}
    assert all(routing.SERVICES[name]["service_dll"] for name in ("wuauserv", "BITS", "UsoSvc"))
    refused = {name for name, row in routing.SERVICES.items() if row["repair"] is None}
    assert refused == {"DoSvc", "msiserver", "TrustedInstaller", "AppIDSvc", "WaaSMedicSvc"}


def test_a_log_alone_does_not_know_start_types() -> None:
    assert routing.answer_for(Failure("scan", 0x80070422), BLANK).answer == {"repair": "reset"}
    assert routing.answer_for(Failure("scan", 0x8024001E, lasting=False), BLANK).answer == {"wait": "retry"}
    assert routing.answer_for(Failure("scan", 0x80070422), MICROSOFT).answer != {"repair": "reset"}


def test_kinds_of_codes() -> None:
    assert all(routing.is_clock_code(code) for code in (0x80072F8F, 0x80072F05, 0x800B0101, 0x80096004))
    assert not any(routing.is_clock_code(code) for code in (0x80070002, 0x80072EFE, 0x800B0001, None))
    assert all(routing.is_missing_service_code(code) for code in (0x80070424, 0x8007043B, 0x8007007E))
    assert not any(routing.is_missing_service_code(code) for code in (0x80070002, 0x80070422, None))
    assert routing.is_service_code(0x80070422)
    assert not routing.is_service_code(0x80070002)
    assert routing.is_dotnet_code(0x80131500)
    assert not routing.is_dotnet_code(0x80070002)
    assert routing.is_upgrade_code(0xC1900101)
    assert not routing.is_upgrade_code(0xC1800118)
    assert routing.passes(Failure("scan", 0x80244022))
    assert not routing.passes(Failure("scan", 0x8024002E))
    assert routing.reset_folders(0x80070002) == ("SoftwareDistribution",)
    assert routing.reset_folders(0x80242006) == ("SoftwareDistribution", "catroot2")


def test_a_row_of_the_table_can_name_a_repair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(routing._CODES, 0x80200053, {"download": ["repair:other"]})
    monkeypatch.setitem(routing._STEPS, "other", "Do it")
    routed = routing.answer_for(Failure("download", code=0x80200053), Situation())
    assert (routed.answer, routed.next_step) == ({"repair": "other"}, "Do it.")


@pytest.mark.parametrize(("reset_tried", "repairs"), [(False, True), (True, False)])
def test_a_disabled_service_that_nobody_saw_is_not_enabled_twice(reset_tried: bool, repairs: bool) -> None:
    failure = Failure("scan", code=0x80070422, reset_tried=reset_tried)
    assert ("repair" in routing.answer_for(failure, Situation(host=True, disabled=None)).answer) is repairs


@pytest.mark.parametrize("table", sorted((Path(routing.__file__).parent / "data").glob("*.json")), ids=lambda path: path.name)
def test_no_table_says_two_things_of_one_key(table: Path) -> None:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(pairs)) == len(pairs), [key for key, _value in pairs]
        return dict(pairs)

    json.loads(table.read_text("utf-8"), object_pairs_hook=once)


@pytest.mark.parametrize(("layer", "step"), [("scan", "wsus:not_found"), ("download", "wsus:content"), ("install", "wsus:content")])
def test_a_file_that_a_wsus_has_not_is_no_wrong_address(layer: str, step: str) -> None:
    assert routing.answer_for(Failure(layer, 0x80244019, asked="wsus", kb="KB5099002"), WSUS).step == step


@pytest.mark.parametrize(
    ("code", "lasting", "step"),
    [
        (0x87D00666, False, "retry:window"),
        (0x87D00666, True, "management:window"),
        (0x87D00667, False, "management:window"),
        (0x87D0070C, True, "management:run_time"),
        (0x87D00664, True, "management:configmgr"),
        (0x87D00692, True, "policy:conflict"),
        (0x87D01201, True, "configmgr_cache"),
    ],
)
def test_a_code_of_configmgr_is_nobody_elses(code: int, lasting: bool, step: str) -> None:
    routed = routing.answer_for(Failure("install", code, kb="KB5099002", lasting=lasting), MICROSOFT)
    assert (routed.step.removeprefix("admin:"), "CBS.log" in routed.next_step) == (step, False)


@pytest.mark.parametrize("layer", ["install", "store"])
def test_a_permanent_package_is_no_damage(layer: str) -> None:
    # `Processing 1 of 1 - WinPE-Rejuv-Package: Permanent package cannot be uninstalled. Error: 0x800f0825`
    routed = routing.answer_for(Failure(layer, 0x800F0825, name="WinPE-Rejuv-Package"), BLANK)
    assert routed.answer == {"owner": "admin"}
    assert "WinPE-Rejuv-Package" in routed.next_step
    assert "DISM" not in routed.next_step


def test_the_phase_of_an_upgrade_is_no_package() -> None:
    routed = routing.answer_for(Failure("upgrade", 0x800F0818, name="0x20003"), BLANK)
    assert "0x20003" not in routed.next_step


def test_an_update_that_does_not_fit_left_no_error_in_cbs_log() -> None:
    assert routing.answer_for(Failure("install", 0x80240017, kb="KB5099002"), MICROSOFT).step == "admin:not_applicable"
    assert "DISM" in routing.answer_for(Failure("scan", 0x8024D007), MICROSOFT).next_step


def test_an_agent_that_ended_before_set_up_began_left_no_setupdiag() -> None:
    # 0x80240069: wuauserv crashes while a WSUS serves an upgrade (Windows 11 24H2, April 2025).
    routed = routing.answer_for(Failure("install", 0x80240069, subject="upgrade:24H2"), MICROSOFT)
    assert ("SetupDiag" in routed.next_step, "Service Control Manager" in routed.next_step) == (False, True)
    assert routing.answer_for(Failure("install", 0x80246007, subject="upgrade:24H2"), MICROSOFT).answer == {"repair": "reset"}
    for code in (0x8024200B, 0x8007042B, 0xC1900101):
        assert "SetupDiag" in routing.answer_for(Failure("install", code, subject="upgrade:24H2"), MICROSOFT).next_step


# --- which server may be behind it ---

PROXY = replace(MICROSOFT, proxy=True, proxy_server="proxy.corp.example:8080")


@pytest.mark.parametrize(
    ("code", "layer", "situation", "server"),
    [
        # WU_E_UH_INVALIDMETADATA: what the server sent of the update cannot be used.
        (0x80242006, "scan", WSUS, "wsus:wsus.corp.example:8530"),
        (0x80242006, "scan", PROXY, "proxy:proxy.corp.example:8080"),
        (0x80242006, "scan", MICROSOFT, ""),
        # TRUST_E_CERT_SIGNATURE of a download.
        (0x80096004, "download", WSUS, "wsus:wsus.corp.example:8530"),
        # Of the host's own cache, its data store and its services.
        (0x80070002, "scan", WSUS, ""),
        (0xC80003FA, "scan", WSUS, ""),
        (0x80070422, "scan", replace(WSUS, disabled=("wuauserv",)), ""),
        # What a server's owner answers is no repair of a host.
        (0x80244007, "scan", WSUS, ""),
        # A clock that is wrong is the cause.
        (0x80072F8F, "scan", replace(WSUS, clock=OFF), ""),
        (0x80072F8F, "scan", replace(WSUS, clock=UNKNOWN), "wsus:wsus.corp.example:8530"),
    ],
)
def test_the_server_that_may_be_behind_a_failure(code: int, layer: str, situation: Situation, server: str) -> None:
    failure = Failure(layer, code)
    assert routing.server_of(failure, routing.answer_for(failure, situation), situation) == server
