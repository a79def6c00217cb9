# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From a rung to a plan, and from the agent's reply to an outcome. Pure data both ways."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ._arrival import bare
from .conditions import Finding, duration
from .evidence import Evidence
from .rungs import BY_NAME, HOWTO_ORDER, LADDER, TITLES, Expect, Refusal, Step, osupgrade
from .rungs import _common as common
from .situation import GIB, Settings, number, rows

__all__ = [
    "Outcome",
    "OutcomeError",
    "Plan",
    "Step",
    "backups",
    "build",
    "new_run_id",
    "outlook",
    "parse_outcome",
    "route",
    "valid_run_id",
    "words",
]

START_NAMES = {0: "Boot", 1: "System", 2: "Automatic", 3: "Manual", 4: "Disabled"}

_RUN_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")


@dataclass(frozen=True)
class Plan:
    """What one rung would do on one host. With `refused`, or without steps, nothing is sent.

    `would` says the steps in words, `done` the same once each is done, step by step; `notes` is what a person should
    know beside them, `diff` is before and after for ansible's `--diff`, `paths` where the folders are.
    """

    rung: str
    run_id: str
    reasons: tuple[str, ...] = ()
    expect: tuple[Expect, ...] = ()
    steps: tuple[Step, ...] = ()
    refused: Refusal | None = None
    would: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    diff: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    done: tuple[str, ...] = ()
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
        """The apply request, with the observe request of the after-look."""
        return {
            "schema": 1,
            "op": "apply",
            "run": self.run_id,
            "uses": list(self.uses),
            "expect": [item.to_dict() for item in self.expect],
            "steps": [
                {"id": index, "kind": step.kind, "args": dict(step.args)}
                for index, step in enumerate(self.steps, start=1)
            ],
            "observe": None if observe is None else dict(observe),
        }


def new_run_id(now: float) -> str:
    """A name for a run, from Unix seconds: `20261124T101530Z-1a2b3c`."""
    return f"{datetime.fromtimestamp(now, tz=UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def valid_run_id(text: str) -> bool:
    """Whether the text can name a run. It becomes part of a path on the host, so nothing else is let through."""
    return _RUN_ID.fullmatch(text) is not None


def build(  # noqa: PLR0917 - what a plan is made from, in the order it comes to be
    rung_name: str,
    evidence: Evidence,
    found: Sequence[Finding],
    options: Mapping[str, Any],
    run_id: str,
    settings: Settings | None = None,
    *,
    force: bool = False,
) -> Plan:
    """Plan one rung.

    Args:
        rung_name: A name of `rungs.LADDER`. One that this release cannot climb gives a refused plan.
        evidence: The look that `found` comes from.
        found: The findings.
        options: The module's options, by their names there.
        run_id: The run it belongs to.
        settings: As for the findings.
        force: Plan although nothing asks for it. The guards stay.
    """
    settings = settings or Settings()
    rung = BY_NAME.get(rung_name)
    if rung is None:
        what = TITLES.get(rung_name, rung_name)
        return Plan(rung_name, run_id, refused=Refusal("unresolved", f"This release cannot {what} (rung {rung_name})."))
    if not valid_run_id(run_id):
        raise ValueError(f"run_id {run_id!r} is no name of a run, such as 20261124T101530Z-1a2b3c")
    options = {**options, "force": force or bool(options.get("force"))}
    reasons = tuple(item.id for item in rung.asked_for_by(found))
    steps = rung.steps(evidence, found, options, settings, force=options["force"])
    notes = rung.notes(evidence, options, settings)
    wants_nothing = not steps and not reasons
    refused = None if wants_nothing and not _explicit(options) else rung.guards(evidence, found, options)
    if refused is not None:
        return Plan(rung_name, run_id, reasons, refused=refused, notes=notes)
    if not steps:
        return Plan(rung_name, run_id, reasons, notes=notes)
    return Plan(
        rung_name,
        run_id,
        reasons,
        rung.expect(evidence, steps),
        steps,
        None,
        _sentences(steps, evidence),
        notes,
        _diff(steps, evidence, run_id),
        tuple(_words(step, evidence, past=True) for step in steps),
        {
            str(step.args["folder"]): _folder_path(evidence, step.args["folder"])
            for step in steps
            if "folder" in step.args
        },
    )


def _explicit(options: Mapping[str, Any]) -> bool:
    """Whether the user asked for a state by itself, so that a refusal must be said though no finding asks."""
    return options.get("source", "auto") != "auto" or bool(options.get("force"))


def route(
    found: Iterable[Finding], mode: str = "routed", only: Sequence[str] = (), skip: Sequence[str] = ()
) -> list[str]:
    """The rungs to climb, in order.

    `routed`: those that active findings ask for, cheapest and safest first. `all`: the how-to's five methods, in order.
    `only` and `skip` narrow either. A rung that this release cannot climb is named all the same.
    """
    if mode == "all":
        names = list(HOWTO_ORDER)
    else:
        wanted = {item.answer["rung"] for item in found if item.active and "rung" in item.answer}
        names = [name for name in LADDER if name in wanted]
    return [name for name in names if (not only or name in only) and name not in skip]


def outlook(names: Sequence[str]) -> dict[str, str]:
    """What check mode can promise: the first rung would be climbed, later ones only if that does not cure it."""
    return {name: "would" if index == 0 else "if_not_cured" for index, name in enumerate(names)}


# --- words ---


def words(plan: Plan, outcome: Outcome) -> tuple[str, ...]:
    """What was done and stayed, in words."""
    return tuple(plan.done[result.id - 1] for result in _kept(plan, outcome) if plan.done[result.id - 1])


def backups(plan: Plan, outcome: Outcome) -> tuple[str, ...]:
    """Where the folders went, as full paths."""
    return tuple(
        f"{plan.paths[str(plan.steps[result.id - 1].args['folder'])]}.wu_repair-{plan.run_id}"
        for result in _kept(plan, outcome)
        if plan.steps[result.id - 1].kind == "set_aside"
    )


def _kept(plan: Plan, outcome: Outcome) -> list[StepResult]:
    """The steps that changed something and were not undone."""
    undone = {item.id for item in outcome.undone if item.ok}
    return [
        result
        for result in outcome.steps
        if result.status == "done" and result.changed and result.id not in undone and 1 <= result.id <= len(plan.steps)
    ]


def _sentences(steps: Sequence[Step], evidence: Evidence) -> tuple[str, ...]:
    """The steps for a person. Stops in a row become one sentence; starting again what was stopped belongs to them."""
    said: list[str] = []
    stops: list[str] = []
    for step in [*steps, Step("")]:
        if step.kind == "stop_service":
            stops.append(str(step.args["name"]))
            continue
        if stops:
            said.append(f"stop {', '.join(stops)} and start again what ran")
            stops = []
        text = _words(step, evidence, past=False)
        if text:
            said.append(text)
    return tuple(said)


def _words(step: Step, evidence: Evidence, *, past: bool) -> str:
    args, kind = step.args, step.kind
    put, took, started = ("set", "removed", "started") if past else ("set", "remove", "start")
    if kind == "stop_service":
        return f"{'stopped' if past else 'stop'} {args['name']}"
    if kind == "restore_services" and past:
        return "started again what ran"
    if kind == "set_start_type":
        before = START_NAMES.get(number(common.service(evidence, args["name"]).get("start")) or 0, "unknown")
        return f"{put} the start type of {args['name']} from {before} to {_start(args)}"
    if kind == "start_service":
        return f"{started} {args['name']}{' for the time of the run' if args['stop_after'] else ''}"
    if kind == "set_aside":
        size = "" if past else _folder_size(evidence, args["folder"])
        return f"{put} aside {_folder_path(evidence, args['folder'])}{size}"
    if kind == "prune_backups":
        return f"{'deleted' if past else 'delete'} backups of {args['folder']} but the newest {args['keep']}"
    if kind == "set_value":
        return f"{put} {args['name']} to {args['value']}"
    if kind == "remove_value":
        return f"{took} {args['name']}"
    if kind == "set_time_source":
        servers = f" with {', '.join(args['servers'])}" if args["servers"] else ""
        return f"{put} the time source to {args['type']}{servers}"
    if kind == "resync":
        lifted = ", its limit lifted for that" if args["lift_limit"] else ""
        return f"{'resynchronised' if past else 'resynchronise'} the clock{lifted}"
    if kind == "set_clock":
        direction = "forward" if args["offset_ms"] > 0 else "back"
        return f"{put} the clock {duration(args['offset_ms'])} {direction}"
    if kind == "set_time_zone":
        return f"{put} the time zone to {args['id']}"
    if kind == "set_aside_bits_queue":
        return f"{put} aside the queue of BITS"
    if kind == "set_service_security":
        return f"{'wrote' if past else 'write'} the default security descriptor of {args['name']}"
    return ""


def _start(args: Mapping[str, Any]) -> str:
    return f"{START_NAMES[args['start']]}{' (delayed)' if args.get('delayed') else ''}"


def _folder_row(evidence: Evidence, name: str) -> Mapping[str, Any]:
    return next((row for row in rows(evidence.data("cache"), "folders") if row.get("name") == name), {})


def _folder_path(evidence: Evidence, name: str) -> str:
    return str(_folder_row(evidence, name).get("path") or name)


def _folder_size(evidence: Evidence, name: str) -> str:
    row = _folder_row(evidence, name)
    files, size = number(row.get("files")), number(row.get("bytes"))
    if files is None or size is None:
        return ""
    least = "" if row.get("complete", True) else "at least "
    amount = f"{size / GIB:.1f} GB" if size >= GIB // 10 else f"{size / 1024**2:.1f} MB"
    return f" ({least}{files} files, {amount})"


def _diff(steps: Sequence[Step], evidence: Evidence, run_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for step in steps:
        args = step.args
        if step.kind == "set_start_type":
            key = f"start type of {args['name']}"
            before[key] = START_NAMES.get(number(common.service(evidence, args["name"]).get("start")) or 0)
            after[key] = _start(args)
        elif step.kind == "set_aside":
            path = _folder_path(evidence, args["folder"])
            before[path] = "there"
            after[path] = f"set aside as {path}.wu_repair-{run_id}"
        elif step.kind in ("set_value", "remove_value"):
            before[args["name"]] = osupgrade.previous(evidence)
            after[args["name"]] = args.get("value")
        elif step.kind == "set_time_source":
            clock = evidence.data("clock")
            before["time source"] = {"type": clock.get("type"), "servers": list(clock.get("servers") or ())}
            after["time source"] = {
                "type": args["type"],
                "servers": args["servers"] or before["time source"]["servers"],
            }
        elif step.kind == "set_time_zone":
            before["time zone"], after["time zone"] = evidence.data("clock").get("zone"), args["id"]
        elif step.kind in ("resync", "set_clock"):
            before["clock"], after["clock"] = "as it is", "right"
    return before, after


# --- the agent's reply ---


class OutcomeError(ValueError):
    """The reply is not what the contract says; the message is one line that names the place."""


@dataclass(frozen=True)
class StepResult:
    """What became of one step."""

    id: int
    kind: str
    status: str
    changed: bool
    why: str | None = None
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Undone:
    """One step that was taken back, or could not be."""

    id: int
    kind: str
    ok: bool
    why: str | None = None


@dataclass(frozen=True)
class Failure:
    """The step that failed."""

    id: int
    why: str
    code: int | None


@dataclass(frozen=True)
class Outcome:
    """What the agent says it did.

    `differs` holds what was found otherwise than expected, before anything was changed. `sections` is the after-look
    as it came: `evidence.from_reply` checks it.
    """

    refused: str | None = None
    differs: tuple[dict[str, Any], ...] = ()
    steps: tuple[StepResult, ...] = ()
    failed: Failure | None = None
    undone: tuple[Undone, ...] = ()
    changed: bool = False
    sections: Mapping[str, Any] | None = None


_STATUSES = ("done", "skipped", "failed", "not_run")
_MOST_STEPS = 200


def parse_outcome(reply: object) -> Outcome:
    """Check the untrusted reply to an apply request.

    Raises:
        OutcomeError: With one line that names what is wrong.
    """
    top = _map(bare(reply), "outcome")
    if _get(top, "schema", int, "outcome") != 1:
        raise OutcomeError("outcome.schema: 1 expected")
    if top.get("refused") is not None:
        return Outcome(refused=_line(top["refused"], "outcome.refused"))
    if top.get("op") != "apply":
        raise OutcomeError("outcome.op: apply expected")
    sections = top.get("sections")
    failed = top.get("failed")
    return Outcome(
        None,
        tuple(_difference(item, f"outcome.differs[{i}]") for i, item in _list(top, "differs")),
        tuple(_step(item, f"outcome.steps[{i}]") for i, item in _list(top, "steps")),
        None if failed is None else _failure(failed, "outcome.failed"),
        tuple(_undone(item, f"outcome.undone[{i}]") for i, item in _list(top, "undone")),
        _get(top, "changed", bool, "outcome"),
        None if sections is None else _map(sections, "outcome.sections"),
    )


def _map(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise OutcomeError(f"{where}: an object expected")
    return value


def _list(top: Mapping[str, Any], key: str) -> list[tuple[int, object]]:
    value = top.get(key)
    # ConvertTo-Json of Windows PowerShell 5.1 leaves null where an empty list came out of a function.
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > _MOST_STEPS:
        raise OutcomeError(f"outcome.{key}: a list of at most {_MOST_STEPS} expected")
    return list(enumerate(value))


def _get(row: Mapping[str, Any], key: str, kind: type, where: str) -> Any:
    value = row.get(key)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise OutcomeError(f"{where}.{key}: {kind.__name__} expected")
    return value


def _line(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise OutcomeError(f"{where}: text expected")
    return " ".join(value.split())[:300]


def _optional(row: Mapping[str, Any], key: str, where: str) -> str | None:
    return None if row.get(key) is None else _line(row[key], f"{where}.{key}")


def _step(item: object, where: str) -> StepResult:
    row = _map(item, where)
    status = _get(row, "status", str, where)
    if status not in _STATUSES:
        raise OutcomeError(f"{where}.status: one of {', '.join(_STATUSES)} expected")
    return StepResult(
        _get(row, "id", int, where),
        _line(row.get("kind"), f"{where}.kind"),
        status,
        _get(row, "changed", bool, where),
        _optional(row, "why", where),
        None if row.get("before") is None else _map(row["before"], f"{where}.before"),
        None if row.get("after") is None else _map(row["after"], f"{where}.after"),
    )


def _undone(item: object, where: str) -> Undone:
    row = _map(item, where)
    return Undone(
        _get(row, "id", int, where),
        _line(row.get("kind"), f"{where}.kind"),
        _get(row, "ok", bool, where),
        _optional(row, "why", where),
    )


def _difference(item: object, where: str) -> dict[str, Any]:
    row = _map(item, where)
    return {
        "what": _line(row.get("what"), f"{where}.what"),
        "name": _optional(row, "name", where),
        "field": _line(row.get("field"), f"{where}.field"),
        "expected": _scalar(row.get("expected"), f"{where}.expected"),
        "found": _scalar(row.get("found"), f"{where}.found"),
    }


def _scalar(value: object, where: str) -> Any:
    if value is None or isinstance(value, (bool, int)):
        return value
    return _line(value, where)


def _failure(item: object, where: str) -> Failure:
    row = _map(item, where)
    code = row.get("code")
    if code is not None and (not isinstance(code, int) or isinstance(code, bool)):
        raise OutcomeError(f"{where}.code: int expected")
    return Failure(_get(row, "id", int, where), _line(row.get("why"), f"{where}.why"), code)
