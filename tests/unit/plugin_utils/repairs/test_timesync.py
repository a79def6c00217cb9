# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Time: never away from the domain, never over a policy, never by one answer alone, never by the controller unless told so."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import plan
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.evidence import Evidence
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.situation import Settings
from unit.plugin_utils.documents import DAY, NOW, RUN, look, service, services, source
from unit.plugin_utils.repairs.asked import condition, failure, make, prove

HOUR_MS = 3600_000
DAY_MS = DAY * 1000
MEMBER = {
    "host.domain_role": 1,
    "host.domain": "corp.example",
    "clock.type": "NT5DS",
    "clock.servers": [],
    "clock.max_pos": 0xFFFFFFFF,
    "clock.max_neg": 0xFFFFFFFF,
    "clock.sources": [source("corp.example")],
}
WRONG = condition("clock_off", repair="timesync")
NO_SOURCE = condition("time_source_none", repair="timesync")
SILENT = condition("time_source_silent", repair="timesync")
DISABLED = condition("service_disabled", "W32Time", repair="timesync")
TLS = failure("scan", 0x80072F8F, "timesync")


def off(ms: int, **more: Any) -> Evidence:
    """A host whose own source and whose controller both say that it is off."""
    return look({"clock.sources": [source(offset_ms=ms)], **more}, controller_ms=ms)


def sync(evidence: Evidence, *findings: Any, reference: str = "source", **options: Any) -> plan.Plan:
    return make("timesync", evidence, *findings, reference=reference, **options)


def kinds(made: plan.Plan) -> list[str]:
    return [step.kind for step in made.steps]


# --- the clock ---


def test_a_workgroup_clock_is_resynchronised_and_its_service_left_as_found() -> None:
    made = sync(off(HOUR_MS), WRONG)
    assert kinds(made) == ["start_service", "resync"]
    assert made.steps[0].args["stop_after"] is True
    assert made.steps[1].args["lift_limit"] is False


def test_a_running_service_is_not_started_again() -> None:
    rows = [service("W32Time", state="running")]
    assert kinds(sync(off(HOUR_MS, **{"services.services": rows}), WRONG)) == ["resync"]


@pytest.mark.parametrize(
    ("ms", "lifts"), [(DAY_MS, True), (-DAY_MS, True), (50_000_000, False), (54_000_001, True), (54_000_000, False), (40 * DAY_MS, True)]
)
def test_the_limit_is_lifted_by_any_distance_where_source_and_controller_agree(ms: int, lifts: bool) -> None:
    assert sync(off(ms), WRONG).steps[-1].args["lift_limit"] is lifts


@pytest.mark.parametrize("options", [{}, {"resync": "always"}, {"force": True}])
def test_where_only_the_source_differs_no_step_is_made(options: dict[str, Any]) -> None:
    for ms in (-HOUR_MS, 20 * 365 * DAY_MS):
        made = sync(look({"clock.sources": [source(offset_ms=ms)]}), WRONG, **options)
        assert made.steps == ()
        assert "only time.windows.com says" in made.notes[0]
    vetted = sync(look({"clock.sources": [source(offset_ms=HOUR_MS)]}), TLS)
    assert vetted.steps == (), "TLS that fails is no second witness"


def test_beyond_the_limit_one_answer_without_a_witness_moves_nothing() -> None:
    third = look({"clock.sources": [source(offset_ms=DAY_MS)]}, controller_ms=7 * DAY_MS)
    alone = look({"clock.sources": [source(offset_ms=DAY_MS)], "clock.start_ms": None, "clock.end_ms": None})
    for evidence in (third, alone):
        made = sync(evidence, WRONG)
        assert made.steps == ()
        assert "does not confirm" in made.notes[0]
    within = look({"clock.sources": [source(offset_ms=HOUR_MS)]}, controller_ms=7 * HOUR_MS)
    assert sync(within, WRONG).steps[-1].args["lift_limit"] is False, "as far as W32Time would go by itself"


def test_no_limit_is_no_limit() -> None:
    apart = look({**MEMBER, "clock.sources": [source("corp.example", 10 * DAY_MS)]}, controller_ms=30 * DAY_MS)
    made = sync(apart, WRONG)
    assert kinds(made) == ["start_service", "resync"]
    assert made.steps[-1].args["lift_limit"] is False


def test_no_limit_holds_for_a_clock_of_another_century_too() -> None:
    # 0xFFFFFFFF seconds are 136 years.
    made = sync(look({**MEMBER, "clock.sources": [source("corp.example", 150 * 365 * DAY_MS)]}, controller_ms=DAY_MS), WRONG)
    assert kinds(made) == ["start_service", "resync"]
    assert made.notes == ()


def test_a_new_source_lifts_no_limit_that_nobody_confirms() -> None:
    third = look({"clock.sources": [source(offset_ms=DAY_MS)]}, controller_ms=7 * DAY_MS)
    made = sync(third, WRONG, source="ntp", servers=["ntp.example"])
    assert kinds(made) == ["set_time_source", "start_service", "resync"]
    assert made.steps[-1].args["lift_limit"] is False


def test_a_limit_that_may_not_be_lifted_leaves_the_clock() -> None:
    made = sync(off(DAY_MS), WRONG, beyond_limit="refuse")
    assert kinds(made) == []
    assert "54000" in made.notes[0]


def test_an_unknown_limit_is_that_of_a_stand_alone_host() -> None:
    assert sync(off(DAY_MS, **{"clock.max_pos": None}), WRONG).steps[-1].args["lift_limit"] is True
    assert sync(off(-DAY_MS, **{"clock.max_pos": 1}), WRONG).steps[-1].args["lift_limit"] is True
    assert sync(off(-HOUR_MS, **{"clock.max_pos": 1}), WRONG).steps[-1].args["lift_limit"] is False, "the limit backwards counts"


def test_a_limit_that_a_policy_owns_is_not_lifted_but_gone_around() -> None:
    owned = off(DAY_MS, **{"clock.policy": {"MaxPosPhaseCorrection": 54000}})
    assert [step.args for step in sync(owned, WRONG).steps] == [{"offset_ms": DAY_MS}]
    other = off(-DAY_MS, **{"clock.policy": {"MaxPosPhaseCorrection": 54000}})
    assert kinds(sync(other, WRONG))[-1] == "resync"


def test_the_controller_sets_a_clock_only_when_it_is_believed_and_nothing_else_can() -> None:
    silent = look({"clock.sources": [source(offset_ms=None)]}, controller_ms=HOUR_MS)
    assert kinds(sync(silent)) == []
    (step,) = sync(silent, WRONG, reference="controller").steps
    assert (step.kind, abs(step.args["offset_ms"] - HOUR_MS) < 1000) == ("set_clock", True)
    assert kinds(sync(off(HOUR_MS), WRONG, reference="controller"))[-1] == "resync"
    liar = look(controller_ms=HOUR_MS)
    assert kinds(sync(liar, WRONG, reference="controller")) == ["set_clock"]


def test_a_missing_service_is_gone_around_by_the_measured_offset() -> None:
    rows = [service("W32Time", exists=False)]
    (step,) = sync(off(HOUR_MS, **{"services.services": rows}), WRONG).steps
    assert (step.kind, step.args) == ("set_clock", {"offset_ms": HOUR_MS})


def test_the_user_decides_about_the_resync() -> None:
    assert kinds(sync(off(HOUR_MS), WRONG, resync="never")) == []
    assert kinds(sync(look(), resync="always")) == ["start_service", "resync"]


def test_tls_with_a_clock_that_nobody_vouches_for_resynchronises() -> None:
    silent = look({"clock.sources": [source(offset_ms=None)]}, controller_ms=DAY_MS)
    made = sync(silent, TLS)
    assert kinds(made) == ["start_service", "resync"]
    assert made.steps[-1].args["rediscover"] is True


# --- the service and its source ---


def test_a_disabled_service_gets_its_healthy_start_type_where_that_is_asked_for() -> None:
    made = sync(look(services(W32Time=4)), DISABLED)
    assert [step.args for step in made.steps] == [{"name": "W32Time", "start": 3, "delayed": False}]
    member = sync(look(MEMBER | services(W32Time=4)), DISABLED)
    assert kinds(member) == ["set_start_type", "start_service"]
    assert member.steps[0].args["start"] == 2
    assert member.steps[1].args["stop_after"] is False


def test_a_service_that_others_disabled_on_purpose_is_left() -> None:
    assert kinds(sync(look(services(W32Time=4)))) == []
    assert kinds(sync(look(services(W32Time=4)), time_zone="W. Europe Standard Time")) == ["set_time_zone"]
    needed = sync(off(HOUR_MS, **services(W32Time=4)), WRONG)
    assert kinds(needed) == ["set_start_type", "start_service", "resync"]


def test_a_domain_member_is_never_turned_to_ntp_silently() -> None:
    wrong = MEMBER | {"clock.sources": [source("corp.example", HOUR_MS)]}
    for options in ({}, {"servers": ["ntp.example"]}, {"resync": "always"}):
        assert "set_time_source" not in kinds(sync(look(wrong, controller_ms=HOUR_MS), WRONG, **options))
    assert any("domain hierarchy" in note for note in sync(look(MEMBER), servers=["ntp.example"]).notes)
    explicit = sync(look(MEMBER), source="ntp", servers=["ntp.example", "10.0.0.1,0x9"])
    assert explicit.steps[0].args == {"type": "NTP", "servers": ["ntp.example,0x8", "10.0.0.1,0x9"]}


def test_a_domain_member_that_follows_nobody_goes_back_to_its_domain() -> None:
    lost = MEMBER | {"clock.type": "NoSync", "clock.sources": []}
    made = sync(look(lost, controller_ms=DAY_MS), NO_SOURCE)
    assert made.steps[0].args == {"type": "NT5DS", "servers": None}


@pytest.mark.parametrize("found", [NO_SOURCE, SILENT])
def test_the_first_domain_controller_has_nobody_above_it(found: Any) -> None:
    for kind in ("NoSync", "NTP"):
        emulator = MEMBER | {"host.domain_role": 5, "clock.type": kind, "clock.sources": [source(offset_ms=None)]}
        assert "set_time_source" not in kinds(sync(look(emulator, controller_ms=DAY_MS), found))
    member = MEMBER | {"clock.type": "NTP", "clock.servers": ["a.example"], "clock.sources": [source("a.example", None)]}
    assert sync(look(member), SILENT).steps[0].args["type"] == "NT5DS"


def test_a_workgroup_host_without_a_source_gets_one() -> None:
    lost = {"clock.type": "NoSync", "clock.servers": [], "clock.sources": []}
    made = sync(look(lost, controller_ms=DAY_MS), NO_SOURCE)
    assert made.steps[0].args == {"type": "NTP", "servers": ["time.windows.com,0x9"]}
    assert kinds(made) == ["set_time_source", "start_service", "resync"]


def test_a_policy_owns_what_it_sets() -> None:
    owned = {"clock.policy": {"NtpServer": "a.example"}, "clock.sources": [source(offset_ms=HOUR_MS)]}
    made = sync(look(owned, controller_ms=HOUR_MS), WRONG, servers=["b.example"])
    assert "set_time_source" not in kinds(made)
    assert any("policy" in note for note in made.notes)
    refused = sync(look(owned), source="ntp", servers=["b.example"]).refused
    assert refused is not None
    assert (refused.verdict, refused.owner) == ("needs_action", "policy")
    assert "NtpServer" in refused.next_step


def test_no_domain_no_domain_time() -> None:
    refused = sync(look(), source="domain").refused
    assert refused is not None
    assert refused.verdict == "unsupported"


@pytest.mark.parametrize("server", ["a b", "ntp.example,8", "ntp;reboot", "", "ntp.example\n"])
def test_what_is_no_server_is_refused_before_the_agent_does(server: str) -> None:
    refused = sync(look(), source="ntp", servers=[server]).refused
    assert refused is not None
    assert "time server" in refused.sentence


def test_what_is_configured_already_is_left() -> None:
    assert kinds(sync(look(), source="ntp", servers=["time.windows.com,0x9"])) == []
    assert kinds(sync(look(MEMBER), source="domain")) == []
    assert kinds(sync(look(), time_zone="UTC")) == []
    assert kinds(sync(look(), time_zone="W. Europe Standard Time")) == ["set_time_zone"]


# --- what W32Time would slew ---


def member_off(ms: int, **more: Any) -> Evidence:
    return look(MEMBER | {"clock.sources": [source("corp.example", ms)], "clock.max_slew": 300, **more}, controller_ms=ms)


def slewing(evidence: Evidence, *findings: Any, **options: Any) -> plan.Plan:
    """The plan where 60 s are already too much."""
    return plan.build("timesync", evidence, findings, options, RUN, Settings(max_skew_s=60))


@pytest.mark.parametrize(("ms", "kind"), [(120_000, "set_clock"), (-299_000, "set_clock"), (300_001, "resync"), (-HOUR_MS, "resync")])
def test_what_a_resync_would_only_slew_is_set(ms: int, kind: str) -> None:
    made = slewing(member_off(ms), WRONG)
    assert made.steps[-1].kind == kind
    if kind == "set_clock":
        assert [step.args for step in made.steps] == [{"offset_ms": ms}], "W32Time need not run for it"


def test_how_much_is_slewed_is_read_and_else_that_of_the_role() -> None:
    assert slewing(member_off(120_000, **{"clock.max_slew": 100}), WRONG).steps[-1].kind == "resync"
    assert slewing(member_off(120_000, **{"clock.max_slew": None}), WRONG).steps[-1].kind == "set_clock"
    alone = look({"clock.sources": [source(offset_ms=120_000)]}, controller_ms=120_000)
    assert slewing(alone, WRONG).steps[-1].kind == "resync", "a stand-alone host slews a second"


def test_the_clock_of_a_domain_controller_is_left_to_slew_and_that_is_said() -> None:
    for role, kind in ((4, "domain_controller"), (5, "domain_controller")):
        evidence = member_off(120_000, **{"host.domain_role": role, "host.product_type": kind})
        made = slewing(evidence, WRONG)
        assert made.steps[-1].kind == "resync"
        assert any("being slewed" in note for note in made.notes)
        proof = prove(made, evidence, (WRONG,), max_skew_s=60)
        assert (proof.status, "being slewed" in str(proof.reason)) == ("unproven", True)


def test_a_clock_that_is_right_is_not_set_by_hand() -> None:
    for ms in (30_000, 59_000):
        assert slewing(member_off(ms), resync="always").steps[-1].kind == "resync"


def test_a_domain_member_goes_back_to_its_domain_from_a_source_that_is_unfit() -> None:
    lost = {**source("a.example", None), "error": "unfit: not synchronised"}
    member = MEMBER | {"clock.type": "NTP", "clock.servers": ["a.example"], "clock.sources": [lost]}
    unfit = condition("time_source_unfit", repair="timesync")
    assert sync(look(member), unfit).steps[0].args["type"] == "NT5DS"
    assert proved((WRONG,), look({"clock.sources": [lost | {"server": "time.windows.com"}]})) == (
        "unproven", "its own time source is unfit: time.windows.com (not synchronised)",
    )  # fmt: skip


# --- proof ---


def after(offset_ms: int | None = 5, controller_ms: int = 0, **changes: Any) -> Evidence:
    return look({"clock.sources": [source(offset_ms=offset_ms)], **changes}, controller_ms=controller_ms)


def proved(findings: tuple[Any, ...], later: Evidence, left: tuple[Any, ...] = (), **settings: Any) -> tuple[str, str]:
    made = sync(off(HOUR_MS), *findings)
    result = prove(made, later, findings, left, **settings)
    return result.status, str(result.by or result.reason)


def test_the_clock_is_proved_by_its_own_source() -> None:
    assert proved((WRONG,), after()) == ("proved", "the offset to time.windows.com, now 5 ms")
    assert proved((WRONG,), after(HOUR_MS))[0] == "refuted"
    assert proved((WRONG,), after(HOUR_MS), (WRONG,)) == ("refuted", WRONG.meaning)


def test_a_silent_source_proves_nothing_and_is_not_called_wrong() -> None:
    assert proved((WRONG,), after(None)) == ("unproven", "its own time source did not answer")


@pytest.mark.parametrize(
    ("seconds_ago", "controller_ms", "status"), [(0, 20, "proved"), (30, 20, "unproven"), (0, 2 * HOUR_MS, "unproven")]
)
def test_w32time_is_believed_where_it_synchronised_since_beside_the_controller(seconds_ago: int, controller_ms: int, status: str) -> None:
    told = {"provider": "Microsoft-Windows-Time-Service", "id": 35, "time": NOW + 1 - seconds_ago, "record": 1, "data": {}}
    later = after(None, controller_ms, **{"events.records": [told], "clock.end_ms": NOW * 1000 + 2000})
    result, reason = proved((WRONG,), later)
    assert result == status
    assert "W32Time" in reason


def test_a_controller_that_disagrees_is_not_silence() -> None:
    disagrees = condition("clock_disagrees", repair="timesync", answer={"owner": "admin"}, meaning="the controller is 2 h off")
    status, reason = proved((WRONG,), after(5, 2 * HOUR_MS), (disagrees,))
    assert status == "unproven"
    assert "did not answer" not in reason
    assert "the controller is 2 h off" in reason


def test_by_the_controller_only_where_it_is_believed() -> None:
    silent = after(None, 20)
    assert proved((WRONG,), silent)[0] == "unproven"
    status, by = proved((WRONG,), silent, reference="controller")
    assert status == "proved"
    assert "controller" in by
    assert proved((WRONG,), after(5, HOUR_MS), reference="controller")[0] == "refuted"
    blind = after(**{"clock.start_ms": None, "clock.end_ms": None})
    assert proved((WRONG,), blind, reference="controller")[0] == "unproven"


def test_tls_is_proved_by_a_search_and_the_clock() -> None:
    good = {"scan": {"result": 2, "hresult": 0, "count": 1, "warnings": []}}
    assert proved((TLS,), after(**good)) == ("proved", "the offset to time.windows.com, now 5 ms, and a live search that found 1 update")
    assert proved((TLS,), after())[0] == "unproven"
    bad = {"scan": {"result": 4, "hresult": 0x80072F8F, "count": None, "warnings": []}}
    assert proved((TLS,), after(**bad), (TLS,))[0] == "refuted"


def test_a_start_type_is_proved_by_reading_it() -> None:
    made = sync(look(services(W32Time=4)), DISABLED)
    assert prove(made, look(), (DISABLED,)).by == "the configuration, read again"
    assert prove(made, look(services(W32Time=4)), (DISABLED,), (DISABLED,)).status == "refuted"
    assert prove(made, look(status={"services": "failed"}), (DISABLED,)).status == "unproven"


def test_a_time_zone_is_no_clock() -> None:
    made = sync(look(), time_zone="W. Europe Standard Time")
    assert prove(made, after(None), ()).by == "the configuration, read again"
