# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The brakes of a repair of many hosts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import case as cases
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import case_document, rollout
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.case_document import parse_options
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.verdict import OWNERS, Verdict

ROLE = Path(rollout.__file__).parents[2] / "roles" / "wu_repair"


@pytest.mark.parametrize(
    ("given", "known"),
    [
        (1, [1]),
        ("25%", ["25%"]),
        ([1, "25%", "100%"], [1, "25%", "100%"]),
        ("[1, 2]", [1, 2]),
        ('[1, "25%"]', [1, "25%"]),
        ("1,25%,100%", [1, "25%", "100%"]),
    ],
)
def test_sizes_in_every_form_that_a_person_types(given: object, known: list[int | str]) -> None:
    assert rollout.sizes(given) == known


@pytest.mark.parametrize("given", [0, -1, ",", "many", "0%", "101%", [], [1, "x"], True, [True], None, {"a": 1}, 1.5])
def test_a_size_that_is_none_is_one_line(given: object) -> None:
    with pytest.raises(rollout.RolloutError, match="wu_repair_serial must be a number of hosts"):
        rollout.sizes(given)


def test_a_question_that_nobody_answers_is_the_default_of_the_role() -> None:
    """A survey of AWX hands an empty text over, and ended the job."""
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text("utf-8"))
    assert rollout.sizes("") == rollout.sizes(defaults["wu_repair_serial"])
    assert rollout.most_failed(" ", 40) == rollout.most_failed(defaults["wu_repair_max_failed"], 40)
    assert rollout.fewest_alike("") == rollout.fewest_alike(defaults["wu_repair_shared_server"])
    assert parse_options({"skip": ""}) == parse_options({"skip": []})


def test_canary_and_all_after_it() -> None:
    assert rollout.batches([1, "25%", "100%"], "first") == [1]
    assert rollout.batches([1, "25%", "100%"], "rest") == ["25%", "100%"]
    assert (rollout.batches(3, "first"), rollout.batches(3, "rest")) == ([3], [3])


@pytest.mark.parametrize(("given", "most"), [(10, 10), ("10", 10), ("10%", 4), ("1%", 1), (0, None), ("0%", None), ("0", None)])
def test_how_many_may_fail_of_forty(given: object, most: int | None) -> None:
    assert rollout.most_failed(given, 40) == most


@pytest.mark.parametrize("given", [-1, "ten", "101%", True, None, [1], 1.5])
def test_a_limit_that_is_none_is_one_line(given: object) -> None:
    with pytest.raises(rollout.RolloutError, match="wu_repair_max_failed must be a number"):
        rollout.most_failed(given, 40)


def rows(**states: str) -> dict[str, dict[str, Any]]:
    """Hosts that were sent a change, by what came of them; `lost` was sent nothing."""
    nothing = ("lost", "sick")
    return {host: {"did": ["reset"] * (now not in nothing), "now": now.replace("lost", "unreachable")} for host, now in states.items()}


@pytest.mark.parametrize("now", ["failed", "unresolved", "unreachable", "unsupported", "unknown"])
def test_a_canary_without_a_good_end_stops_all(now: str) -> None:
    known = rows(a=now, b="sick", c="sick")
    assert rollout.is_over(known, ["a"], 10)
    assert rollout.is_over(known, ["a"], 0)


@pytest.mark.parametrize("now", ["repaired", "unproven", "healthy", "restart_required"])
def test_a_canary_with_a_good_end_lets_all_go_on(now: str) -> None:
    assert not rollout.is_over(rows(a=now, b="sick"), ["a"], 1)


def test_a_host_that_was_sent_nothing_is_no_canary_and_does_not_count() -> None:
    known = rows(a="lost", b="sick")
    assert not rollout.has_canary(known)
    assert not rollout.is_over(known, ["a"], 1)
    assert rollout.has_canary(rows(a="lost", b="repaired"))


def test_later_ones_count_by_number_and_by_share() -> None:
    known = rows(a="repaired", b="failed", c="unreachable", d="repaired", **{f"x{number}": "sick" for number in range(16)})
    assert rollout.is_over(known, ["a"], 2)
    assert not rollout.is_over(known, ["a"], 3)
    assert rollout.is_over(known, ["a"], "10%")
    assert not rollout.is_over(known, ["a"], "15%")
    assert not rollout.is_over(known, ["a"], 0)


@pytest.mark.parametrize(
    ("given", "hosts"),
    [
        ("windows", ["windows"]),
        ("web1,web2", ["web1,web2"]),
        ("windows:!db*", ["windows:!db*"]),
        ("~web.*", ["~web.*"]),
        ("windows[0:1]", ["windows[0:1]"]),
        (["web1", "web2"], ["web1", "web2"]),
        ('["web1","web2"]', ["web1", "web2"]),
        ("['web1', 'web2']", ["web1", "web2"]),
        ("[web1,web2]", ["web1", "web2"]),
        ("", [rollout.NOBODY]),
        ([], [rollout.NOBODY]),
        (None, [rollout.NOBODY]),
    ],
)
def test_hosts_in_every_form_that_a_person_types(given: object, hosts: list[str]) -> None:
    assert rollout.hosts_of(given) == hosts


def test_hosts_by_their_groups_whichever_there_are() -> None:
    groups = {"sick": ["a", "b"], "tried": ["a"]}
    assert rollout.pattern(groups, "sick", "spared", "tried") == "all:sick:&sick:!tried"
    assert rollout.pattern(groups, "stale") == rollout.NOBODY


def test_rows_out_of_what_hosts_registered() -> None:
    case = {"did": ["reset"], "verdict": "failed"}
    known = rollout.known_rows(["a", "b", "c"], {"a": {"wu": {"case": case}}, "b": {"wu": {"msg": "x"}}, "c": {}}, "wu")
    assert known == {"a": {"did": ["reset"], "now": "failed"}, "b": {"did": [], "now": None}, "c": {"did": [], "now": None}}


# --- one server ---


def at(server: str, why: str = "0x80242006", asks: str | None = None) -> dict[str, str]:
    """A host, by the server that may be behind its failure and the one that it asks."""
    return {"fails_at": server, "why": why, "asks": server if asks is None else asks}


WSUS = "wsus:wsus1:8530"


@pytest.mark.parametrize(
    ("others", "least", "spared"),
    [
        ({}, 3, True),
        ({}, 4, False),
        ({}, 0, False),
        # One that does well asks the same server; three that do are more than half.
        ({"well": at("", asks=WSUS)}, 3, True),
        ({f"well{number}": at("", asks=WSUS) for number in range(4)}, 3, False),
        ({f"else{number}": at("", asks="wsus:wsus2:8530") for number in range(4)}, 3, True),
        ({"other": at(WSUS, why="0x80246007")}, 3, True),
    ],
)
def test_hosts_that_fail_alike_at_one_server(others: dict[str, Any], least: int, spared: bool) -> None:
    alike = {f"alike{number}": at(WSUS) for number in range(3)}
    assert rollout.at_one_server({**others, **alike}, least) == list(alike) * spared


def test_what_is_said_of_them_names_the_server_and_who_runs_it() -> None:
    proxy, time = ("proxy:p:8080", "the proxy p:8080", "proxy"), ("time:ntp1", "the time source ntp1", "admin")
    kinds = ((WSUS, "WSUS wsus1:8530", "wsus"), proxy, time)
    for server, words, owner in kinds:
        said = rollout.left_to_its_server(Verdict("sick", "0x1 in searches. To do: reset the cache.", why="0x1", server=server))
        assert (said.name, said.owner, said.why) == ("needs_action", owner, "0x1")
        assert said.owner in OWNERS
        assert said.msg.startswith(f"0x1 in searches. Many hosts fail alike at {words}, ")
        assert said.next_step.startswith(f"Mend {words}.")


def sick() -> cases.Case:
    judged = Verdict("sick", "m", repairs=("timesync", "reset"), why="0x1", server=WSUS)
    return cases.advance(cases.start("a", "r", cases.Options("routed", ("timesync", "reset"))), cases.Looked(cases.Look(judged)))


def test_nothing_is_left_to_do_for_a_host_that_is_left_to_its_server() -> None:
    case = sick()
    case = cases.declined_at_all(case, rollout.left_to_its_server(case.look.verdict))  # type: ignore[union-attr]
    again = case_document.parse(case_document.to_document(case))
    assert (again.next, cases.verdict_of(again).name, again.did, again.changed) == ("end", "needs_action", (), False)


def test_servers_out_of_what_hosts_registered() -> None:
    document = case_document.to_document(sick())
    over = {**document, "next": "end"}
    hostvars = {
        "a": {"wu": {"case": document, "about": {"server": WSUS}}}, "b": {"wu": {"case": over}}, "c": {}, "d": {"wu": {"msg": "x"}}
    }  # fmt: skip
    known = rollout.asking_rows("abcd", hostvars, "wu")
    assert known == {"a": at(WSUS, "0x1"), "b": at("", "0x1", "")}


@pytest.mark.parametrize("given", ["few", -1, True, None, "10%"])
def test_a_number_of_alike_that_is_none_is_one_line(given: object) -> None:
    with pytest.raises(rollout.RolloutError, match="wu_repair_shared_server must be a number"):
        rollout.fewest_alike(given)
