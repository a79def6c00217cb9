# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A reply is believed as far as it can be read, and what was done is never lost for what cannot."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import outcome
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.outcome import Outcome, parse
from hypothesis import given
from hypothesis import strategies as st

STEP = {"id": 1, "kind": "set_aside", "status": "done", "changed": True, "why": None, "before": None, "after": None, "ms": 5}
GOOD = {
    "schema": 1, "op": "apply", "differs": [], "steps": [STEP], "failed": None, "undone": [], "warnings": [],
    "changed": True, "sections": {},
}  # fmt: skip


def read(**changes: Any) -> Outcome:
    return parse({**GOOD, **changes})


def test_a_good_reply_is_read_whole() -> None:
    made = read(
        differs=[{"what": "service", "name": "BITS", "field": "start", "expected": 3, "found": 4}],
        undone=[{"id": 1, "kind": "set_aside", "ok": True, "why": None}],
        warnings=[{"id": 1, "why": "an old backup\nstays"}],
        failed={"id": 1, "why": "x", "code": -5},
        sections={"host": {}},
    )
    assert made.unknown is None
    assert made.differs == ({"what": "service", "name": "BITS", "field": "start", "expected": 3, "found": 4},)
    assert made.steps == (outcome.StepResult(1, "set_aside", "done", True),)
    assert made.undone == (outcome.Undone(1, "set_aside", True),)
    assert made.warnings == (outcome.Remark(1, "an old backup stays"),)
    assert made.failed == outcome.Failure(1, "x", -5)
    assert (made.changed, made.sections) == (True, {"host": {}})


def test_a_refusal_changed_nothing() -> None:
    made = parse({"schema": 1, "refused": "unknown\nkind"})
    assert (made.refused, made.changed, made.unknown) == ("unknown kind", False, None)


def test_what_did_not_change_is_not_said_to_have_changed() -> None:
    assert read(changed=False, steps=[]).changed is False


@pytest.mark.parametrize(
    "reply",
    [
        None, [], "done", 7, {}, {"schema": 2, "op": "apply"}, {"schema": 1}, {"schema": 1, "op": "observe"}, {"schema": 1, "refused": 7},
        {"schema": 1, "refused": ["x"], "op": "apply"},
    ],
)  # fmt: skip
def test_a_reply_that_is_none_leaves_the_outcome_unknown(reply: object) -> None:
    made = parse(reply)
    assert (made.changed, made.refused, made.failed) == (True, None, None)
    assert made.unknown


@pytest.mark.parametrize(
    "changes",
    [
        {"changed": "yes"}, {"changed": 1}, {"changed": None}, {"steps": "none"}, {"steps": [7]}, {"steps": [STEP] * 201},
        {"steps": [{**STEP, "status": "maybe"}]}, {"steps": [{**STEP, "status": ["done"]}]}, {"steps": [{**STEP, "id": True}]},
        {"steps": [{**STEP, "id": None}]}, {"steps": [{**STEP, "changed": "no"}]}, {"undone": 4}, {"differs": ["x"]},
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named_and_counts_as_changed(changes: dict[str, Any]) -> None:
    made = read(**{"changed": False, **changes})
    assert made.changed is True
    assert made.unknown
    assert "\n" not in made.unknown
    assert made.sections == {}, "the look after it is read apart"


def test_one_bad_step_keeps_the_others() -> None:
    made = read(steps=[STEP, {**STEP, "id": "x"}, {**STEP, "id": 3}])
    assert [step.id for step in made.steps] == [1, 3]
    assert made.unknown is not None


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (["RUNNING", 3], "RUNNING, 3"), (1764000000.0, 1764000000), (0.5, "0.5"), ({"a": 1}, "(dict)"), (True, True), (None, None),
        ("a\nb", "a b"),
    ],
)  # fmt: skip
def test_what_was_found_may_be_anything(found: object, told: object) -> None:
    made = read(changed=False, differs=[{"what": "boot", "field": "time", "expected": 1, "found": found}])
    assert (made.unknown, made.changed) == (None, False)
    assert made.differs[0]["found"] == told


@pytest.mark.parametrize(
    ("failed", "number", "why", "code"),
    [
        ({"id": None, "why": "UsoSvc does not run", "code": None}, None, "UsoSvc does not run", None),
        ({"id": "3", "why": ["x"], "code": "0x1"}, None, "(list)", None),
        ({"id": 2}, 2, "something that was not told", None),
        ("it broke", None, "it broke", None),
        (True, None, "True", None),
    ],
)
def test_a_failure_is_one_whatever_it_looks_like(failed: object, number: int | None, why: str, code: int | None) -> None:
    made = read(failed=failed)
    assert made.failed == outcome.Failure(number, why, code)
    assert (made.unknown, len(made.steps)) == (None, 1)


def test_an_undo_that_does_not_say_that_it_went_well_did_not() -> None:
    made = read(undone=[{"id": 1, "kind": "x", "ok": "true"}, {"kind": "y"}, {"id": 2, "kind": "z", "ok": True}])
    assert [line.ok for line in made.undone] == [False, False, True]


def test_lists_as_windows_powershell_writes_them() -> None:
    made = read(steps={"value": [STEP], "Count": 1}, undone=None, differs=None, warnings={"id": 1, "why": "alone"})
    assert (made.unknown, len(made.steps)) == (None, 1)
    assert made.warnings == (outcome.Remark(1, "alone"),)


def test_a_look_that_is_none_is_missing() -> None:
    for sections in ([], "x", 7, None):
        assert read(sections=sections).sections is None


def test_a_reply_that_is_nested_deep_breaks_nothing() -> None:
    deep: Any = 1
    for _level in range(600):
        deep = [deep]
    made = read(differs=deep, failed=deep, sections={"host": deep})
    assert made.changed is True
    assert made.failed is not None
    assert read(steps=[{**STEP, "before": deep, "why": deep}]).unknown is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | st.integers(), inner, max_size=3),  # type: ignore[arg-type]
    max_leaves=8,
)
FIELDS = st.sampled_from(["schema", "op", "refused", "steps", "differs", "failed", "undone", "warnings", "changed", "sections"])


@given(JSON, st.dictionaries(FIELDS, JSON))
def test_no_reply_breaks_the_reader_or_takes_a_change_back(anything: object, fields: dict[str, object]) -> None:
    for candidate in (anything, {**GOOD, **fields}):
        made = parse(candidate)
        json.dumps([made.unknown, made.refused, [step.why for step in made.steps], list(made.differs)])
        told = isinstance(candidate, dict) and (candidate.get("changed") is False or isinstance(candidate.get("refused"), str))
        assert made.changed or told
