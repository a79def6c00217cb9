# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reset: only the folders and services the evidence points at, in the order that works."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import plan
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.evidence import Evidence
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.logs import Record
from unit.plugin_utils.documents import RUN, SETTINGS, failed, find, folder, look, service, services

LOST = failed("scan", 0x80070002, 0.5)


def make(evidence: Evidence, *records: Record, **options: Any) -> plan.Plan:
    return plan.build("reset", evidence, find(evidence, records), options, RUN, SETTINGS)


def shown(made: plan.Plan) -> list[str]:
    return [
        " ".join([step.kind, *(str(step.args[key]) for key in ("name", "folder") if key in step.args)])
        for step in made.steps
    ]


def test_a_lost_cache_is_set_aside_with_its_users_stopped() -> None:
    assert shown(make(look(), LOST)) == [
        "stop_service UsoSvc",
        "stop_service DoSvc",
        "stop_service BITS",
        "stop_service wuauserv",
        "set_aside SoftwareDistribution",
        "restore_services",
    ]


def test_damaged_signatures_take_the_catalogues_too() -> None:
    assert shown(make(look(), failed("install", 0x800B0100)))[4:] == [
        "stop_service CryptSvc",
        "set_aside SoftwareDistribution",
        "set_aside catroot2",
        "restore_services",
    ]


def test_drifted_start_types_are_repaired_and_nothing_is_set_aside() -> None:
    made = make(look(services(wuauserv=4, BITS=4, UsoSvc=4)))
    assert shown(made) == [
        "set_start_type wuauserv",
        "set_start_type BITS",
        "set_start_type UsoSvc",
        "start_service UsoSvc",
    ]
    assert made.steps[2].args == {"name": "UsoSvc", "start": 2, "delayed": True}
    assert {"what": "service", "name": "BITS", "field": "start", "is": 4} in made.request(None)["expect"]


def test_a_code_of_a_disabled_service_sets_nothing_aside() -> None:
    made = make(look(services(wuauserv=4)), failed("scan", 0x80070422, 0.5))
    assert shown(made) == ["set_start_type wuauserv"]


def test_a_service_that_does_not_exist_is_not_named() -> None:
    rows = [service(name, exists=name != "DoSvc") for name in ("wuauserv", "BITS", "CryptSvc", "UsoSvc", "DoSvc")]
    assert "stop_service DoSvc" not in shown(make(look({"services.services": rows}), LOST))


def test_a_folder_that_is_not_there_is_not_set_aside() -> None:
    gone = look({"cache.folders": [folder("SoftwareDistribution", exists=False), folder("catroot2")]})
    assert shown(make(gone, LOST)) == []


def test_a_cache_that_could_not_be_read_is_still_reset_and_checked_by_the_agent() -> None:
    unread = look(status={"cache": "timeout"})
    made = make(unread, LOST)
    assert "set_aside SoftwareDistribution" in shown(made)
    assert {"what": "folder", "name": "SoftwareDistribution", "field": "reparse", "is": False} in made.request(None)[
        "expect"
    ]


def test_what_was_seen_is_expected_again() -> None:
    wanted = make(look(), LOST).request(None)["expect"]
    for what, name, field, value in (
        ("servicing", None, "busy", False),
        ("reboot", None, "pending", False),
        ("folder", "SoftwareDistribution", "exists", True),
        ("folder", "SoftwareDistribution", "reparse", False),
        ("service", "wuauserv", "start", 3),
    ):
        assert {"what": what, "name": name, "field": field, "is": value} in wanted


def test_options_narrow_and_widen_but_do_not_ask() -> None:
    assert shown(make(look(), folders=["catroot2"], bits_queue=True, service_security=True)) == []
    assert "set_aside SoftwareDistribution" not in shown(make(look(), LOST, folders=["catroot2"]))
    forced = shown(make(look(), force=True))
    assert "set_aside SoftwareDistribution" in forced
    assert "set_aside catroot2" in forced
    assert "set_aside_bits_queue" not in forced
    every = shown(make(look(), LOST, bits_queue=True, service_security=True))
    assert every[-4:] == [
        "set_aside_bits_queue",
        "set_service_security bits",
        "set_service_security wuauserv",
        "restore_services",
    ]


@pytest.mark.parametrize(("keep", "backups", "pruned"), [(2, 1, False), (2, 2, True), (1, 1, True), (0, 9, False)])
def test_old_backups_go_last_and_only_beyond_the_limit(keep: int, backups: int, pruned: bool) -> None:
    names = [f"SoftwareDistribution.wu_repair-2025010{day + 1}T000000Z-aaaaaa" for day in range(backups)]
    host = look({"cache.folders": [folder("SoftwareDistribution", backups=names), folder("catroot2")]})
    steps = make(host, LOST, keep_backups=keep).steps
    assert (steps[-1].kind == "prune_backups") is pruned
    assert "prune_backups" not in [step.kind for step in steps[:-1]]


def test_the_time_to_stop_is_the_users() -> None:
    assert make(look(), LOST, stop_timeout=7).steps[0].args["timeout_ms"] == 7000
    assert make(look(), LOST, stop_timeout=0).steps[0].args["timeout_ms"] == 60000


def test_unknown_services_stop_the_reset() -> None:
    made = make(look(status={"services": "timeout"}), LOST)
    assert made.refused is not None
    assert made.refused.verdict == "failed"
