# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A finding: a subject whose state asks for something, or a condition of the host, with one answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# The states of a subject. Only the first three can ask for something.
FAILING, UNKNOWN, UNTESTED, GOOD, CLOSED, UNSEEN = "failing", "unknown", "untested", "good", "closed", "unseen"


@dataclass(frozen=True)
class Finding:
    """A fact with a reason and exactly one answer.

    Attributes:
        id: stable name, `CODE@SUBJECT` or `CONDITION` or `CONDITION:NAME`.
        subject: what it is about (`search:wsus`, `update:KB5034441`, `service:BITS`, `clock`).
        layer: where it was seen: `scan`, `download`, `install`, `store`, `cache`, `upgrade`, `service`, `clock`, `policy`, `network`,
            `disk`, `servicing`, `reboot`, `reported`.
        state: `failing`, `unknown`, `untested`, `closed`; conditions of the host are `failing`.
        answer: exactly one of `repair` (a repair of this release), `wait` (`restart`, `servicing`, `retry`, `search`) and `owner` (`wsus`,
            `proxy`, `policy`, `management`, `hardware`, `admin`).
        next_step: what to do, one imperative sentence that names the thing.
        meaning: what it means, one clause without a full stop.
        name: the component, service, policy or server it is about, for a person; `kb` and `title` name the update.
        notice: true and worth saying, but nothing on the host is wrong for it.
        superseded_by: what made it history; None while it counts.
        blocking: no search can succeed while it holds, so it comes before repairs of the host (architecture: needs_action, blocked).
        pending: Windows itself waits (a strong marker of a restart), not a mere remedy to try.
        attempt: a change that may be tried once although it is not known to cure (`osupgrade`), or None.
    """

    id: str
    subject: str
    layer: str
    meaning: str
    answer: Mapping[str, str]
    next_step: str
    state: str = FAILING
    code: str | None = None
    codes: tuple[str, ...] = ()
    condition: str | None = None
    symbol: str = ""
    name: str | None = None
    kb: str | None = None
    title: str | None = None
    lines: tuple[str, ...] = ()
    source: str = ""
    first_seen: int | None = None
    last_seen: int | None = None
    count: int = 1
    superseded_by: str | None = None
    notice: bool = False
    blocking: bool = False
    pending: bool = False
    attempt: str | None = None
    order: int = 50
    related_codes: tuple[str, ...] = ()

    @property
    def active(self) -> bool:
        """Whether it asks for something now."""
        return self.superseded_by is None and not self.notice

    def to_dict(self) -> dict[str, Any]:
        """The finding as the modules return it."""
        return {
            "id": self.id,
            "subject": self.subject,
            "area": self.layer,
            "state": self.state,
            "code": self.code,
            "codes": list(self.codes),
            "condition": self.condition,
            "symbol": self.symbol,
            "meaning": self.meaning,
            "name": self.name,
            "kb": self.kb,
            "title": self.title,
            "lines": list(self.lines),
            "source": self.source,
            "first_seen": self.first_seen,
            "last_seen": self.last_seen,
            "count": self.count,
            "superseded_by": self.superseded_by,
            "notice": self.notice,
            "related_codes": list(self.related_codes),
            "answer": dict(self.answer),
            "next_step": self.next_step,
        }
