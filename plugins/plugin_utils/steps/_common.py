# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: what a step is, and what each kind of step must be able to say of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ..evidence import Evidence

Diff = tuple[dict[str, Any], dict[str, Any]]


@dataclass(frozen=True)
class Step:
    """One change, as the agent is asked for it."""

    kind: str
    args: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Expect:
    """What must still hold on the host before the first step."""

    what: str
    name: str | None
    field: str
    value: Any

    def to_dict(self) -> dict[str, Any]:
        """As the agent wants it."""
        value = list(self.value) if isinstance(self.value, tuple) else self.value
        return {"what": self.what, "name": self.name, "field": self.field, "is": value}


class Kind:
    """One kind of step: its arguments, its words, what it expects of the host, and its part of a diff.

    Attributes:
        name: as the agent knows it.
        required: the arguments that it must have.
        optional: the arguments that it may have.
        deed: what was done when it is done, in two or three words for the record of a host; "" where it serves another step.
    """

    name: ClassVar[str]
    required: ClassVar[frozenset[str]] = frozenset()
    optional: ClassVar[frozenset[str]] = frozenset()
    deed: ClassVar[str] = ""

    def would(self, step: Step, evidence: Evidence) -> str:
        """What it will do, as an imperative without a full stop; "" where another step says it."""
        raise NotImplementedError

    def done(self, step: Step, evidence: Evidence) -> str:
        """The same when it is done."""
        raise NotImplementedError

    def expect(self, step: Step, evidence: Evidence) -> tuple[Expect, ...]:
        """What was seen and must still be so before the first step."""
        return ()

    def diff(self, step: Step, evidence: Evidence, run_id: str) -> Diff:
        """Before and after, for `--diff`."""
        return {}, {}
