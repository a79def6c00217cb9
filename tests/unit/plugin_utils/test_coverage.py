# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A clean bill rests on questions that found an answer, from whichever source."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import coverage, evidence
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.evidence import Evidence
from unit.plugin_utils.documents import DAY, MICROSOFT, NOW, STORE, failed, look, scan_section, searched
from unit.plugin_utils.judging import judged

NO_REACH: dict[str, Any] = {"events.reach": []}


def missing(host: Evidence) -> list[str]:
    return [name.partition(" (")[0] for name in coverage.of(host).missing]


def test_a_look_that_saw_everything_has_no_question() -> None:
    assert coverage.of(look()) == coverage.Coverage((), ())


@pytest.mark.parametrize("name", ["sources", "cache", "disk", "clock", "upgrade", "history", "events", "reporting"])
def test_no_single_source_is_required(name: str) -> None:
    assert missing(look(status={name: "denied"})) == []


@pytest.mark.parametrize(
    ("sections", "question"),
    [
        (["cbs"], "the component store"),
        (["services"], "services"),
        (["reboot"], "a pending restart"),
        (["servicing"], "a pending restart"),
        (["policy"], "policies"),
        (["events", "reporting", "history"], "installations"),
    ],
)
@pytest.mark.parametrize("status", ["timeout", "denied", "failed"])
def test_what_nobody_answers_is_missing_and_told(sections: list[str], question: str, status: str) -> None:
    host = look(status=dict.fromkeys(sections, status))
    # Searches are in the same logs: where these ran out of time the agent's own date, which tells successes alone, is no answer.
    also = ["searches"] if status == "timeout" and "events" in sections else []
    assert missing(host) == [*also, question]
    assert f"{sections[0]} {status}" in coverage.of(host).missing[-1]
    assert judged(host).verdict.name == "unknown"
    assert set(coverage.of(host).timed_out) == (set(sections) if status == "timeout" else set())


def test_a_log_that_is_not_there_is_an_answer() -> None:
    assert missing(look(status={"cbs": "absent"})) == []


# --- searches ---


@pytest.mark.parametrize(
    ("changes", "answered"),
    [
        ({}, False),
        ({"sources.last_search": NOW - 5 * DAY}, True),
        (scan_section(), True),
        (scan_section(0x80072EE2), True),
        ({"events.records": [searched(5)]}, True),
        ({"events.records": [searched(8 * 24)]}, False),
        (
            {
                "events.reach": [
                    {"channel": "Microsoft-Windows-WindowsUpdateClient/Operational", "oldest": NOW - 90 * DAY, "complete": True}
                ]
            },
            False,
        ),
        (
            {
                "events.reach": [
                    {"channel": "Microsoft-Windows-WindowsUpdateClient/Operational", "oldest": NOW - 90 * DAY, "complete": False}
                ]
            },
            False,
        ),
        ({"events.reach": [{"channel": "System", "oldest": NOW - 90 * DAY, "complete": True}]}, False),
    ],
)
def test_who_answers_for_searches(changes: dict[str, Any], answered: bool) -> None:
    host = look({"sources.last_search": None, "events.records": [], **NO_REACH, **changes})
    assert ("searches" not in missing(host)) is answered


def test_a_search_of_another_class_is_no_answer() -> None:
    store = {"sources.last_search": None, "events.records": [searched(5, service=STORE)]}
    assert missing(look(store)) == ["searches"]


def test_a_failed_search_is_an_answer_too() -> None:
    failure = {
        "provider": "Microsoft-Windows-WindowsUpdateClient",
        "id": 25,
        "time": NOW - DAY,
        "record": 1,
        "data": {"errorCode": "0x80072EE2", "serviceGuid": f"{{{MICROSOFT}}}"},
    }
    assert missing(look({"sources.last_search": None, "events.records": [failure], **NO_REACH})) == []


# --- partial ---


def partial(*names: str, why: str) -> Evidence:
    document = look().to_document()
    for name in names:
        document["sections"][name] |= {"status": "partial", "why": why}
    return evidence.parse(document)


def test_what_was_read_in_part_is_seen() -> None:
    assert (
        missing(partial("events", "history", "reporting", "cbs", "services", "reboot", "servicing", "policy", why="a field was odd")) == []
    )


def test_where_failures_were_cut_nothing_is_known_of_installations() -> None:
    assert missing(partial("events", "history", "reporting", why="cut to fit")) == ["installations"]
    assert missing(partial("events", "history", why="cut to fit")) == []


@pytest.mark.parametrize("name", ["events", "history", "reporting"])
def test_where_a_failure_was_cut_there_is_no_clean_bill(name: str) -> None:
    host = partial(name, why="failures cut to fit; System: late")
    assert missing(host) == ["all failures"]
    assert judged(host).verdict.name == "unknown"
    passing = judged(host, failed("scan", 0x80072EE2, 1), failed("scan", 0x80072EE2, 2)).verdict
    assert (passing.name, "not all were seen" in passing.msg) == ("busy", True)
    assert "not all were seen" not in judged(look(), failed("scan", 0x80072EE2, 1)).verdict.msg


def test_where_what_went_well_was_cut_nothing_is_missing() -> None:
    assert missing(partial("events", why="cut to fit")) == []
