# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a host said about itself, checked field by field before anything is decided from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .logs import Record


class EvidenceError(ValueError):
    """The document is not what the contract says; the message is one line that names the path."""


@dataclass(frozen=True)
class Section:
    """One part of the look; `data` is empty when there is none."""

    status: str
    ms: int
    why: str | None
    data: Mapping[str, Any]


@dataclass(frozen=True)
class Evidence:
    """Everything one look at a host gave."""

    asked_ms: int | None
    answered_ms: int | None
    sections: Mapping[str, Section]

    def data(self, name: str) -> Mapping[str, Any]:
        """Data of a section, {} when it is missing or has none that can be used."""
        section = self.sections.get(name)
        return section.data if section is not None and section.status in ("ok", "partial") else {}

    def status(self, name: str) -> str:
        """Status of a section, `missing` when it was never gathered."""
        section = self.sections.get(name)
        return "missing" if section is None else section.status

    @property
    def now(self) -> int:
        """The host's own clock when the look ended (Unix seconds), else the controller's."""
        end = self.data("clock").get("end_ms")
        if isinstance(end, int):
            return end // 1000
        return (self.answered_ms or self.asked_ms or 0) // 1000

    def offset_to_controller(self) -> tuple[int, int] | None:
        """Host minus controller and the bound of its error, in milliseconds."""
        clock = self.data("clock")
        start, end = clock.get("start_ms"), clock.get("end_ms")
        if not isinstance(start, int) or not isinstance(end, int) or self.asked_ms is None or self.answered_ms is None:
            return None
        low, high = end - self.answered_ms, start - self.asked_ms
        return (low + high) // 2, abs(high - low + 1) // 2

    def to_document(self) -> dict[str, Any]:
        """The evidence document again."""
        return {
            "schema": 1,
            "taken": {"asked_ms": self.asked_ms, "answered_ms": self.answered_ms},
            "sections": {
                name: {"status": s.status, "ms": s.ms, "why": s.why, "data": dict(s.data) if s.data else None}
                for name, s in self.sections.items()
            },
        }


def parse(document: object) -> Evidence:
    """Check an untrusted evidence document."""
    raise EvidenceError("evidence: not read yet")


def from_reply(reply: object, asked_ms: int | None, answered_ms: int | None) -> Evidence:
    """Check the agent's reply to an observe request."""
    raise EvidenceError("evidence: not read yet")


def records(evidence: Evidence) -> list[Record]:
    """Everything in the evidence that is a failure or a success, as records."""
    return []
