# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Time: never away from the domain, never over a policy, never by the controller unless told so."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import findings, plan
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.evidence import Evidence
from unit.plugin_utils.documents import DAY, RUN, failed, find, look, service, services, source

HOUR_MS = 3600_000
MEMBER = {
    "host.domain_role": 1,
    "host.domain": "corp.example",
    "clock.type": "NT5DS",
    "clock.servers": [],
    "clock.max_pos": 0xFFFFFFFF,
    "clock.max_neg": 0xFFFFFFFF,
    "clock.sources": [source("corp.example")],
}


def off(ms: int, **more: Any) -> Evidence:
    """A host whose own source and whose controller both say that it is off."""
    return look({"clock.sources": [source(offset_ms=ms)], **more}, controller_ms=ms)


def make(evidence: Evidence, *records: Any, reference: str = "source", **options: Any) -> plan.Plan:
    settings = findings.Settings(reference=reference)
    return plan.build("timesync", evidence, find(evidence, records, reference=reference), options, RUN, settings)


def kinds(made: plan.Plan) -> list[str]:
    return [step.kind for step in made.steps]


def test_a_workgroup_clock_is_resynchronised_and_its_service_left_as_found() -> None:
    made = make(off(HOUR_MS))
    assert kinds(made) == ["start_service", "resync"]
    assert made.steps[0].args["stop_after"] is True
    assert made.steps[1].args["lift_limit"] is False


def test_a_running_service_is_not_started_again() -> None:
    rows = [service("W32Time", state="running")]
    assert kinds(make(off(HOUR_MS, **{"services.services": rows}))) == ["resync"]


@pytest.mark.parametrize(("ms", "lifts"), [(DAY * 1000, True), (-DAY * 1000, True), (50_000_000, False)])
def test_the_limit_is_lifted_only_where_it_stands_in_the_way(ms: int, lifts: bool) -> None:
    assert make(off(ms)).steps[-1].args["lift_limit"] is lifts


def test_a_limit_that_may_not_be_lifted_leaves_the_clock() -> None:
    made = make(off(DAY * 1000), beyond_limit="refuse")
    assert kinds(made) == []
    assert "54000" in made.notes[0]


def test_a_limit_that_a_policy_owns_is_not_lifted_but_gone_around() -> None:
    made = make(off(DAY * 1000, **{"clock.policy": {"MaxPosPhaseCorrection": 54000}}))
    assert [step.args for step in made.steps] == [{"offset_ms": DAY * 1000}]


def test_a_domain_member_is_never_turned_to_ntp_silently() -> None:
    wrong = MEMBER | {"clock.sources": [source("corp.example", HOUR_MS)]}
    for options in ({}, {"servers": ["ntp.example"]}, {"resync": "always"}):
        made = make(look(wrong, controller_ms=HOUR_MS), **options)
        assert "set_time_source" not in kinds(made)
    assert any("domain hierarchy" in note for note in make(look(MEMBER), servers=["ntp.example"]).notes)
    explicit = make(look(MEMBER), source="ntp", servers=["ntp.example", "10.0.0.1,0x9"])
    assert explicit.steps[0].args == {"type": "NTP", "servers": ["ntp.example,0x8", "10.0.0.1,0x9"]}


def test_a_domain_member_that_follows_nobody_goes_back_to_its_domain() -> None:
    lost = MEMBER | {"clock.type": "NoSync", "clock.sources": []}
    made = make(look(lost, controller_ms=DAY * 1000))
    assert made.steps[0].args == {"type": "NT5DS", "servers": None}


def test_the_first_domain_controller_has_nobody_above_it() -> None:
    emulator = MEMBER | {"host.domain_role": 5, "clock.type": "NoSync", "clock.sources": []}
    assert "set_time_source" not in kinds(make(look(emulator, controller_ms=DAY * 1000)))


def test_a_workgroup_host_without_a_source_gets_one() -> None:
    lost = {"clock.type": "NoSync", "clock.servers": [], "clock.sources": []}
    made = make(look(lost, controller_ms=DAY * 1000))
    assert made.steps[0].args == {"type": "NTP", "servers": ["time.windows.com,0x9"]}
    assert kinds(made) == ["set_time_source", "start_service", "resync"]


def test_a_policy_owns_what_it_sets() -> None:
    owned = {"clock.policy": {"NtpServer": "a.example"}, "clock.sources": [source(offset_ms=HOUR_MS)]}
    made = make(look(owned, controller_ms=HOUR_MS), servers=["b.example"])
    assert "set_time_source" not in kinds(made)
    assert any("policy" in note for note in made.notes)
    refused = make(look(owned), source="ntp", servers=["b.example"]).refused
    assert refused is not None
    assert refused.verdict == "not_this_host"


def test_no_domain_no_domain_time() -> None:
    refused = make(look(), source="domain").refused
    assert refused is not None
    assert refused.verdict == "unsupported"


@pytest.mark.parametrize("server", ["a b", "ntp.example,8", "ntp;reboot", "", "ntp.example\n"])
def test_what_is_no_server_is_refused_before_the_agent_does(server: str) -> None:
    refused = make(look(), source="ntp", servers=[server]).refused
    assert refused is not None
    assert "time server" in refused.sentence


def test_what_is_configured_already_is_left() -> None:
    assert kinds(make(look(), source="ntp", servers=["time.windows.com,0x9"])) == []
    assert kinds(make(look(MEMBER), source="domain")) == []
    assert kinds(make(look(), time_zone="UTC")) == []
    assert kinds(make(look(), time_zone="W. Europe Standard Time")) == ["set_time_zone"]


def test_a_disabled_service_gets_its_healthy_start_type() -> None:
    made = make(look(services(W32Time=4)))
    assert [step.args for step in made.steps] == [{"name": "W32Time", "start": 3, "delayed": False}]
    member = make(look(MEMBER | services(W32Time=4)))
    assert kinds(member) == ["set_start_type", "start_service"]
    assert member.steps[0].args["start"] == 2
    assert member.steps[1].args["stop_after"] is False


def test_the_controller_sets_a_clock_only_when_it_is_believed_and_nothing_else_can() -> None:
    silent = look({"clock.sources": [source(offset_ms=None)]}, controller_ms=HOUR_MS)
    assert kinds(make(silent)) == []
    (step,) = make(silent, reference="controller").steps
    assert (step.kind, abs(step.args["offset_ms"] - HOUR_MS) < 1000) == ("set_clock", True)
    assert kinds(make(off(HOUR_MS), reference="controller"))[-1] == "resync"
    liar = look(controller_ms=HOUR_MS)
    assert kinds(make(liar, reference="controller")) == ["set_clock"]


def test_a_missing_service_is_gone_around_by_the_measured_offset() -> None:
    rows = [service("W32Time", exists=False)]
    (step,) = make(off(HOUR_MS, **{"services.services": rows})).steps
    assert (step.kind, step.args) == ("set_clock", {"offset_ms": HOUR_MS})


def test_the_user_decides_about_the_resync() -> None:
    assert kinds(make(off(HOUR_MS), resync="never")) == []
    assert kinds(make(look(), resync="always")) == ["start_service", "resync"]


def test_tls_with_a_clock_that_nobody_vouches_for_resynchronises() -> None:
    silent = look({"clock.sources": [source(offset_ms=None)]}, controller_ms=DAY * 1000)
    made = make(silent, failed("scan", 0x80072F8F))
    assert kinds(made) == ["start_service", "resync"]
    assert made.steps[-1].args["rediscover"] is True
