# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From a repair to a plan, and what an outcome means for it. Pure data both ways."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from . import situation
from .conditions import duration
from .evidence import Evidence
from .finding import Finding
from .outcome import DONE, SKIPPED, Outcome, Remark, StepResult
from .repairs import BY_NAME, Proof, Refusal, Repair, Wish
from .situation import Settings
from .steps import Diff, Expect, Step, kind_of
from .steps.folders import backup_of, path_of
from .steps.services import stops_and_starts

__all__ = [
    "Plan",
    "Step",
    "backups",
    "build",
    "deeds",
    "new_run_id",
    "prove",
    "stopped",
    "valid_run_id",
    "warnings",
    "words",
]


@dataclass(frozen=True)
class Plan:
    """What one repair would do on one host. With `refused`, or without steps, nothing is sent.

    `would` says the steps in words, `done` the same once each is done, `tried` what was meant, both step by step; `notes` is what a person
    should know beside them, `diff` is before and after for ansible's `--diff`, `paths` where the folders are.
    """

    repair: str
    run_id: str
    reasons: tuple[str, ...] = ()
    expect: tuple[Expect, ...] = ()
    steps: tuple[Step, ...] = ()
    refused: Refusal | None = None
    would: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    diff: Diff = ({}, {})
    done: tuple[str, ...] = ()
    tried: tuple[str, ...] = ()
    paths: Mapping[str, str] = field(default_factory=dict)

    @property
    def changes(self) -> bool:
        """Whether carrying it out would change anything."""
        return bool(self.steps) and self.refused is None

    @property
    def uses(self) -> tuple[str, ...]:
        """The kinds of its steps, each once."""
        return tuple(dict.fromkeys(step.kind for step in self.steps))

    def request(self, observe: Mapping[str, Any] | None) -> dict[str, Any]:
        """The apply request, with the observe request of the look after it."""
        steps = [{"id": index, "kind": step.kind, "args": dict(step.args)} for index, step in enumerate(self.steps, start=1)]
        return {
            "schema": 1,
            "op": "apply",
            "run": self.run_id,
            "uses": list(self.uses),
            "expect": [item.to_dict() for item in self.expect],
            "steps": steps,
            "observe": None if observe is None else dict(observe),
        }


def new_run_id(now: float) -> str:
    """A name for a run, from Unix seconds: `20261124T101530Z-1a2b3c`."""
    return f"{datetime.fromtimestamp(now, tz=UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def valid_run_id(text: str) -> bool:
    """Whether the text can name a run. What is set aside on the host is named after it, so nothing else is let through."""
    return situation.backup_ending(text) is not None


def build(  # noqa: PLR0917 - what a plan is made from, in the order it comes to be
    name: str,
    evidence: Evidence,
    findings: Sequence[Finding],
    options: Mapping[str, Any],
    run_id: str,
    settings: Settings | None = None,
    *,
    force: bool = False,
) -> Plan:
    """Plan one repair.

    Args:
        name: of the repair. One that this release does not have gives a refused plan.
        evidence: the look that `findings` come from.
        findings: what was found in it.
        options: the module's options, by their names there.
        run_id: the run it belongs to.
        settings: as for the findings.
        force: plan although nothing asks for it. The guards stay.
    """
    repair = BY_NAME.get(name)
    if repair is None:
        known = ", ".join(BY_NAME)
        return Plan(name, run_id, refused=Refusal("needs_action", f"This release has no repair {name}, only {known}."))
    if not valid_run_id(run_id):
        raise ValueError(f"run_id {run_id!r} is no name of a run, such as 20261124T101530Z-1a2b3c")
    chosen = settings or Settings()
    wish = Wish(
        evidence=evidence,
        findings=tuple(findings),
        options=options,
        situation=situation.of(evidence, chosen),
        settings=chosen,
        force=force or bool(options.get("force")),
    )
    return _planned(repair, wish, run_id)


def _planned(repair: Repair, wish: Wish, run_id: str) -> Plan:
    reasons = tuple(item.id for item in repair.asked_by(wish.findings))
    steps = repair.steps(wish)
    notes = repair.notes(wish)
    # A state that the user asked for by itself is refused aloud, though no finding asks for it.
    wanted = bool(steps or reasons or wish.force) or wish.options.get("source", "auto") != "auto"
    refused = repair.guards(wish) if wanted else None
    if refused is not None or not steps:
        return Plan(repair.name, run_id, reasons, refused=refused, notes=notes)
    evidence = wish.evidence
    return Plan(
        repair=repair.name,
        run_id=run_id,
        reasons=reasons,
        expect=repair.expect(wish, steps),
        steps=steps,
        would=_sentences(steps, evidence),
        notes=notes,
        diff=_diff(steps, evidence, run_id),
        done=tuple(kind_of(step).done(step, evidence) for step in steps),
        tried=tuple(kind_of(step).would(step, evidence) or "start again what was stopped" for step in steps),
        paths={str(step.args["folder"]): path_of(evidence, step.args["folder"]) for step in steps if "folder" in step.args},
    )


def _sentences(steps: Sequence[Step], evidence: Evidence) -> tuple[str, ...]:
    """The steps for a person: what changes first, since it is cut where it is long, and last which services are stopped for it."""
    stops = [str(step.args["name"]) for step in steps if step.kind == "stop_service"]
    said = [kind_of(step).would(step, evidence) for step in steps if step.kind != "stop_service"]
    if stops:
        said.append(stops_and_starts(stops))
    return tuple(sentence for sentence in said if sentence)


def _diff(steps: Sequence[Step], evidence: Evidence, run_id: str) -> Diff:
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for step in steps:
        was, will = kind_of(step).diff(step, evidence, run_id)
        before |= was
        after |= will
    return before, after


# --- what came of it ---


def prove(  # noqa: PLR0917 - before and after, in that order
    plan: Plan,
    before: Evidence,
    after: Evidence,
    findings_before: Sequence[Finding],
    findings_after: Sequence[Finding],
    settings: Settings | None = None,
) -> Proof:
    """Whether that is gone which asked for the plan."""
    return BY_NAME[plan.repair].proof(before, after, findings_before, findings_after, plan.steps, settings)


def words(plan: Plan, outcome: Outcome) -> tuple[str, ...]:
    """What was done and stayed, step by step, in words."""
    return tuple(plan.done[result.id - 1] for result in _kept(plan, outcome) if plan.done[result.id - 1])


def deeds(plan: Plan, outcome: Outcome) -> tuple[str, ...]:
    """What was done and stayed, in two or three words each: `cache reset`."""
    # What is started for the time of the run alone serves the rest.
    kept = [plan.steps[result.id - 1] for result in _kept(plan, outcome)]
    named = [kind_of(step).deed for step in kept if not step.args.get("stop_after")]
    return tuple(dict.fromkeys(deed for deed in named if deed))


def backups(plan: Plan, outcome: Outcome) -> tuple[str, ...]:
    """Where the folders went, as full paths."""
    kept = [plan.steps[result.id - 1] for result in _kept(plan, outcome)]
    return tuple(backup_of(plan.paths[str(step.args["folder"])], plan.run_id) for step in kept if step.kind == "set_aside")


def _kept(plan: Plan, outcome: Outcome) -> list[StepResult]:
    """The steps that changed something and were not taken back whole."""
    stuck = {item.id for item in outcome.undone if not item.ok}
    taken_back = {item.id for item in outcome.undone} - stuck
    return [
        result
        for result in outcome.steps
        if result.status == DONE and result.changed and result.id not in taken_back and 1 <= result.id <= len(plan.steps)
    ]


def warnings(plan: Plan, outcome: Outcome) -> tuple[str, ...]:
    """What did not come out as wanted and spoils nothing: a folder that is left, an old backup that stays, a start type that was denied."""
    return tuple(dict.fromkeys([*plan.notes, *(_remark(plan, item) for item in outcome.warnings)]))


def _remark(plan: Plan, item: Remark) -> str:
    if item.id is None:
        return item.why
    return f"{_step_name(plan, item.id)}: {item.why}"


def stopped(plan: Plan, outcome: Outcome) -> Refusal | None:
    """Why the change did not come to its end, as the verdict that this alone makes; None when it did."""
    if outcome.busy is not None:
        # Anybody on the host may have written that name.
        other = f"run {outcome.busy}" if valid_run_id(outcome.busy) else "another run"
        return Refusal("busy", f"The host is being changed by {other}: nothing was changed.", "Run again when that has ended.")
    if outcome.refused is not None:
        return Refusal("failed", f"The agent refused the plan, nothing was changed: {outcome.refused}")
    if outcome.differs:
        return _differs(plan, outcome.differs)
    if outcome.failed is not None:
        return _failed(plan, outcome)
    if outcome.unknown is not None:
        sentence = f"What run {plan.run_id} did is not known ({outcome.unknown})."
        return Refusal("failed", sentence, "Look at the host again.")
    accounted = {item.id for item in outcome.steps if item.status in (DONE, SKIPPED)}
    missing = set(range(1, len(plan.steps) + 1)) - accounted
    if not missing:
        return None
    count = f"{len(missing)} of {len(plan.steps)} steps"
    return Refusal("failed", f"The agent did not account for {count}, so what was done is not known.", "Look at the host again.")


def _differs(plan: Plan, differs: Sequence[Mapping[str, Any]]) -> Refusal:
    """Something is not as it was looked at, so nothing was changed."""
    first = differs[0]
    by_clock = _moved_clock(plan, differs)
    if by_clock is not None:
        return by_clock
    if first["what"] == "servicing":
        return Refusal("busy", "Windows began to install updates after the look: nothing was changed.", "Run again later.")
    if first["what"] == "reboot":
        sentence = "Windows waits for a restart since the look: nothing was changed."
        return Refusal("restart_required", sentence, "Restart the host, then run again.")
    if first["what"] == "folder" and first["field"] in ("created", "backups"):
        sentence = f"{first['name']} was set aside or made anew since the look, by another run or by hand: nothing was changed."
        return Refusal("failed", sentence, "Run again.")
    what = f"{first['what']} {first['name'] or ''}".strip()
    change = f"{what}: {first['field']} is {first['found']}, not {first['expected']}"
    return Refusal("failed", f"The host changed between look and repair ({change}): nothing was changed.", "Run again.")


def _moved_clock(plan: Plan, differs: Sequence[Mapping[str, Any]]) -> Refusal | None:
    """The host started at another time by its own clock, and runs as long as before: its clock was set."""
    by_field = {row["field"]: row for row in differs if row["what"] == "boot"}
    known = any(item.what == "boot" and item.field == "uptime" for item in plan.expect)
    expected, found = (by_field.get("time", {}).get(name) for name in ("expected", "found"))
    if not known or "uptime" in by_field or not isinstance(expected, int) or not isinstance(found, int):
        return None
    how = f"{duration(1000 * (found - expected))} {'forward' if found > expected else 'back'}"
    sentence = f"The host's clock was set between look and repair ({how}), so the times that were seen hold no more: nothing was changed."
    return Refusal("failed", sentence, "Run again; if it happens again, find out who sets this host's clock.")


def _failed(plan: Plan, outcome: Outcome) -> Refusal | None:
    if outcome.failed is None:
        return None
    stuck = [item for item in outcome.undone if not item.ok]
    end = "everything was undone"
    if stuck:
        end = f"could not be undone: {', '.join(f'{_step_name(plan, item.id)} ({item.why or item.kind})' for item in stuck)}"
    elif outcome.changed:
        end = "something is different from before all the same"
    return Refusal("failed", f"Could not {_step_name(plan, outcome.failed.id)}: {outcome.failed.why}; {end}.")


def _step_name(plan: Plan, number: int | None) -> str:
    if number is None or not 1 <= number <= len(plan.steps):
        return "make a step"
    return plan.tried[number - 1]
