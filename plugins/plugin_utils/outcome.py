# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the agent's reply to an outcome: what it says that it did.

The host may have changed before its reply was spoilt, so no reply is refused: what can be read is kept, and what cannot is named in
`unknown`, with which everything counts as changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

DONE, SKIPPED, FAILED, NOT_RUN = "done", "skipped", "failed", "not_run"
_STATUSES = (DONE, SKIPPED, FAILED, NOT_RUN)
_MOST_ROWS = 200
_LONGEST = 300
_REPLY = "the reply"


@dataclass(frozen=True)
class StepResult:
    """What became of one step."""

    id: int
    kind: str
    status: str
    changed: bool
    why: str | None = None


@dataclass(frozen=True)
class Undone:
    """One effect of a step that was taken back, or could not be. `why` may also tell of what needed no undo."""

    id: int | None
    kind: str
    ok: bool
    why: str | None = None


@dataclass(frozen=True)
class Failure:
    """What failed; `id` is None where it was no step of the plan."""

    id: int | None
    why: str
    code: int | None = None


@dataclass(frozen=True)
class Remark:
    """What did not come out as wanted, and stopped nothing; `id` is the step that it is about."""

    id: int | None
    why: str


@dataclass(frozen=True)
class Outcome:
    """What the agent says it did.

    `busy` is the run that changes the host now, "" where that is not known: then nothing was changed. `differs` holds what was found
    otherwise than expected, before anything was changed. `sections` is the look after it, as it came.
    `unknown` says what could not be read: then nobody knows what was done, and `changed` is True.
    """

    refused: str | None = None
    busy: str | None = None
    differs: tuple[dict[str, Any], ...] = ()
    steps: tuple[StepResult, ...] = ()
    failed: Failure | None = None
    undone: tuple[Undone, ...] = ()
    warnings: tuple[Remark, ...] = ()
    changed: bool = False
    sections: Mapping[str, Any] | None = None
    unknown: str | None = None


def parse(reply: object) -> Outcome:
    """Read the untrusted reply to an apply request. Never raises."""
    return _Reader().read(reply)


@dataclass
class _Reader:
    """One reply as it is read; `problems` is what could not be."""

    problems: list[str] = field(default_factory=list)

    def read(self, reply: object) -> Outcome:
        if not isinstance(reply, Mapping):
            return _lost(f"{_REPLY} is no object")
        if reply.get("schema") != 1:
            return _lost(f"{_REPLY} is not of schema 1")
        if isinstance(reply.get("refused"), str):
            busy = reply.get("busy")
            return Outcome(refused=_line(reply["refused"]), busy=_line(busy) if isinstance(busy, str) else None)
        if reply.get("refused") is not None or reply.get("op") != "apply":
            return _lost(f"{_REPLY} is none to a change")
        steps = self._steps(reply)
        sections = reply.get("sections")
        outcome = Outcome(
            differs=tuple(_difference(row) for row in self._rows(reply, "differs")),
            steps=steps,
            failed=_failure(reply.get("failed")),
            undone=tuple(_undone(row) for row in self._rows(reply, "undone")),
            warnings=tuple(Remark(_number(row.get("id")), _line(row.get("why"))) for row in self._rows(reply, "warnings")),
            changed=self._changed(reply),
            sections=sections if isinstance(sections, Mapping) else None,
        )
        if not self.problems:
            return outcome
        return replace(outcome, changed=True, unknown="; ".join(self.problems[:3]))

    def _changed(self, reply: Mapping[Any, Any]) -> bool:
        value = reply.get("changed")
        if isinstance(value, bool):
            return value
        self.problems.append("changed is no yes or no")
        return True

    def _rows(self, reply: Mapping[Any, Any], name: str) -> list[Mapping[Any, Any]]:
        """The rows of a list; those that are none are named and left out."""
        value = reply.get(name)
        # ConvertTo-Json of Windows PowerShell 5.1 leaves null where an empty list came out of a function, one row where there was one, and
        # wraps a list that it holds as a PSObject.
        if value is None:
            return []
        if isinstance(value, Mapping):
            wrapped = value["value"] if set(value) == {"value", "Count"} else [value]
            value = wrapped if isinstance(wrapped, list) else [value]
        if not isinstance(value, list):
            self.problems.append(f"{name} is no list")
            return []
        rows = [row for row in value[:_MOST_ROWS] if isinstance(row, Mapping)]
        if len(rows) < len(value):
            self.problems.append(f"{len(value) - len(rows)} rows of {name} cannot be read")
        return rows

    def _steps(self, reply: Mapping[Any, Any]) -> tuple[StepResult, ...]:
        results = []
        for row in self._rows(reply, "steps"):
            result = _step(row)
            if result is None:
                self.problems.append(f"a step cannot be read ({_line(row.get('kind'))})")
            else:
                results.append(result)
        return tuple(results)


def _lost(why: str) -> Outcome:
    return Outcome(changed=True, unknown=why)


def _line(value: object) -> str:
    """Anything as one line; a thing that is no text by its beginning."""
    if value is None:
        return ""
    if not isinstance(value, (str, int, float)):
        return f"({type(value).__name__})"
    return " ".join(str(value)[: 4 * _LONGEST].split())[:_LONGEST]


def _optional(value: object) -> str | None:
    return _line(value) or None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _scalar(value: object) -> Any:
    """What was expected or found, for a sentence; a list is told by its items."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return ", ".join(_line(item) for item in value[:5])
    return _line(value)


def _step(row: Mapping[Any, Any]) -> StepResult | None:
    number, status, changed = _number(row.get("id")), row.get("status"), row.get("changed")
    if number is None or not isinstance(changed, bool) or not isinstance(status, str) or status not in _STATUSES:
        return None
    return StepResult(number, _line(row.get("kind")), status, changed, _optional(row.get("why")))


def _undone(row: Mapping[Any, Any]) -> Undone:
    # What does not say that it went well did not.
    return Undone(_number(row.get("id")), _line(row.get("kind")), row.get("ok") is True, _optional(row.get("why")))


def _difference(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        "what": _line(row.get("what")),
        "name": _optional(row.get("name")),
        "field": _line(row.get("field")),
        "expected": _scalar(row.get("expected")),
        "found": _scalar(row.get("found")),
    }


def _failure(value: object) -> Failure | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        return Failure(None, _line(value) or "something that was not told")
    return Failure(_number(value.get("id")), _line(value.get("why")) or "something that was not told", _number(value.get("code")))
