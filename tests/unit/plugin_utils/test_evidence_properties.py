# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whatever is passed: evidence, or one line that says why not. Whatever is damaged: its own section alone."""

from __future__ import annotations

import json
import os
from typing import Any

from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import evidence as ev
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.plugin_utils.evidence_samples import document, first_release, reply

CASES = int(os.environ.get("WU_REPAIR_CASES", "500"))
SECRET = "hunter2-correct-horse"
# The order of what may be said of a section, the best first.
BEST_FIRST = ("ok", "partial", "absent", "denied", "timeout", "failed")
# Parts of a raw reply, and the sections they become.
PARTS = {"fact": "host", "agent": "sources"}

LEAF = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([-1, 5, 1 << 31, 1 << 40, 1 << 64, 10**400]),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from([SECRET, "54000", "ok", "partial", "\ud800", "x" * 3000, b"\xff", object()]),
)
NAME = st.one_of(
    st.text(max_size=8),
    st.integers(),
    st.none(),
    st.sampled_from(["value", "Count", "registry", "faults", "type", "code", "why", "status", "data", "name", "exists", "store"]),
)
JUNK = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAME, inner, max_size=4) | st.tuples(inner),
    max_leaves=8,
)


def nested(depth: int, value: object = SECRET) -> Any:
    """A value in so many lists."""
    for _level in range(depth):
        value = [value]
    return value


BAD = st.one_of(
    JUNK,
    st.integers(1, 700).map(nested),
    st.integers(1, 500).map(lambda number: [SECRET] * number),
    JUNK.map(lambda value: [value] * 70),
)


def paths(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """All places in an object, the deepest last."""
    places = [path]
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for name, inner in items:
        places += paths(inner, (*path, name))
    return places


def put(whole: dict[str, Any], path: tuple[Any, ...], value: object) -> None:
    """Change one place."""
    place: Any = whole
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value


DOCUMENT_PATHS = [path for path in paths(document()) if path]
SECTION_PATHS = [path for path in DOCUMENT_PATHS if len(path) > 1 and path[0] == "sections"]
REPLY_PATHS = [path for path in paths(reply()) if len(path) > 1 and path[0] == "sections"]
WHOLE = ev.parse(document())
WHOLE_REPLY = ev.from_reply(reply(), 1, 2)


def taken(function: Any, *arguments: Any) -> ev.Evidence | None:
    """What was taken, or None where it was refused in one line; any other exception fails the test."""
    try:
        evidence = function(*arguments)
    except ev.EvidenceError as error:
        line = str(error)
        assert line.startswith("evidence: ")
        assert len(line.splitlines()) == 1
        assert len(line) < 400
        assert SECRET not in line or line.startswith("evidence: the agent refused: ")
        return None
    assert isinstance(evidence, ev.Evidence)
    check_whole(evidence)
    return evidence


def check_whole(evidence: ev.Evidence) -> None:
    """What holds of all evidence: it can be read, written and read again."""
    text = json.dumps(evidence.to_document(), allow_nan=False)
    assert ev.parse(text) == evidence
    assert isinstance(evidence.now, int)
    evidence.offset_to_controller()
    for name, section in evidence.sections.items():
        assert section.status in ev.STATUSES
        assert section.ms >= 0
        assert section.why is None or len(section.why.splitlines()) <= 1
        assert getattr(evidence, name).__class__ is getattr(WHOLE, name).__class__
        if not evidence.has(name):
            assert getattr(evidence, name) == getattr(WHOLE, name).__class__()


@settings(max_examples=CASES, deadline=None)
@given(JUNK, st.integers(0, 700))
def test_whatever_is_passed_it_is_taken_or_refused_in_one_line(junk: Any, depth: int) -> None:
    for passed in (junk, nested(depth, junk), {"evidence": junk}, {"schema": 1, "sections": junk}, {"schema": junk, "sections": {}}):
        taken(ev.parse, passed)
        taken(ev.from_reply, passed, 1, 2)
    taken(ev.from_reply, {"schema": 1, "op": "observe", "sections": junk}, None, None)
    taken(ev.from_reply, {"schema": 1, "op": junk, "refused": junk, "sections": {}}, None, None)


@settings(max_examples=CASES, deadline=None)
@given(st.one_of(st.text(max_size=60), st.binary(max_size=60), st.sampled_from("[{").map(lambda sign: sign * 2000)))
def test_whatever_text_is_passed_it_is_taken_or_refused_in_one_line(text: str | bytes) -> None:
    taken(ev.parse, text)
    taken(ev.from_reply, text, 1, 2)


@settings(max_examples=CASES, deadline=None)
@given(st.dictionaries(st.sampled_from([*WHOLE.sections, "runs", "fact", "agent"]), JUNK, max_size=4), JUNK)
def test_whatever_stands_in_a_section(junk: dict[str, Any], taken_: Any) -> None:
    for sections in (junk, {name: {"status": "ok", "data": value} for name, value in junk.items()}):
        taken(ev.parse, {"schema": 1, "taken": taken_, "sections": sections})
        taken(ev.from_reply, {"schema": 1, "op": "observe", "sections": sections}, 1, 2)
    raw = {name: {"ms": 1, "data": value, "faults": value} for name, value in junk.items()}
    taken(ev.from_reply, {"schema": 1, "op": "observe", "sections": raw}, 1, 2)
    registry = {name: {"ms": 1, "data": {"registry": value}, "faults": [value]} for name, value in junk.items()}
    taken(ev.from_reply, {"schema": 1, "op": "observe", "sections": registry}, 1, 2)


def only_differs(evidence: ev.Evidence, whole: ev.Evidence, name: str, expected: type) -> ev.Section | None:
    """Compare all sections but one."""
    assert {**evidence.sections, name: None} == {**whole.sections, name: None}
    section = evidence.sections.get(name)
    assert section is None or isinstance(section, expected)
    return section


@settings(max_examples=CASES, deadline=None)
@given(st.sampled_from(SECTION_PATHS), BAD)
def test_damage_spoils_its_own_section_alone(path: tuple[Any, ...], value: Any) -> None:
    damaged = document()
    put(damaged, path, value)
    evidence = taken(ev.parse, damaged)
    if evidence is None:
        return
    name = path[1]
    section, before = only_differs(evidence, WHOLE, name, ev.Section), WHOLE.sections[name]
    assert section is not None
    if path[2:3] == ("why",):
        return
    assert SECRET not in (section.why or "")
    if path[2:3] != ("status",):
        assert BEST_FIRST.index(section.status) >= BEST_FIRST.index(before.status)
    if section.why != before.why:
        assert name in (section.why or "")
        assert section.status in ("partial", "failed")


@settings(max_examples=CASES, deadline=None)
@given(st.sampled_from(REPLY_PATHS), BAD)
def test_damage_of_what_a_host_sends_spoils_its_own_section_alone(path: tuple[Any, ...], value: Any) -> None:
    damaged = reply()
    put(damaged, path, value)
    evidence = taken(ev.from_reply, damaged, 1, 2)
    if evidence is None:
        return
    section = only_differs(evidence, WHOLE_REPLY, PARTS.get(path[1], path[1]), ev.Section)
    assert section is not None
    if "faults" not in path and "why" not in path:
        assert SECRET not in (section.why or "") or "faults" in repr(value)


@settings(max_examples=CASES, deadline=None)
@given(st.sampled_from(DOCUMENT_PATHS), st.sampled_from(DOCUMENT_PATHS), BAD, BAD)
def test_damage_in_two_places(first: tuple[Any, ...], second: tuple[Any, ...], value: Any, other: Any) -> None:
    damaged = document()
    put(damaged, first, value)
    if second[: len(first)] != first:
        put(damaged, second, other)
    taken(ev.parse, damaged)


@settings(max_examples=min(CASES, 100), deadline=None)
@given(st.sets(st.sampled_from(list(first_release()["sections"]))))
def test_what_the_first_release_wrote_is_taken_in_part(missing: set[str]) -> None:
    """Any section may be missing."""
    old = first_release()
    for name in missing:
        del old["sections"][name]
    evidence = taken(ev.parse, old)
    assert evidence is not None
    assert set(evidence.sections) == set(old["sections"]) - {"runs"}
    assert {section.status for section in evidence.sections.values()} <= {"ok", "partial"}


ODD = (10**5000, float("inf"), {10**5000: 10**5000}, nested(600), object())


def test_what_no_text_can_show_in_every_place() -> None:
    """Each place gets one of these values."""
    for index, path in enumerate(DOCUMENT_PATHS):
        damaged = document()
        put(damaged, path, ODD[index % len(ODD)])
        taken(ev.parse, damaged)
    for index, path in enumerate(REPLY_PATHS):
        damaged = reply()
        put(damaged, path, ODD[index % len(ODD)])
        taken(ev.from_reply, damaged, 1, 2)


def test_the_samples_use_every_field() -> None:
    """Else damage would not reach all of them."""
    for name, section in WHOLE.sections.items():
        assert section.status == ("partial" if name == "cbs" else "ok")
        sent = document()["sections"][name]["data"]
        assert set(ev.fields.plain(section.data)) == set(sent), name
        for rows in [value for value in sent.values() if isinstance(value, list) and value and isinstance(value[0], dict)]:
            made = next(value for key, value in ev.fields.plain(section.data).items() if sent[key] is rows)
            assert set().union(*rows) == set().union(*made), name
