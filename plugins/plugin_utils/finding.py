# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A finding: a subject whose state asks for something, or a condition of the host, with one answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

# The states of a subject. Only the first three can ask for something.
FAILING, UNKNOWN, UNTESTED, GOOD, CLOSED, UNSEEN = "failing", "unknown", "untested", "good", "closed", "unseen"

# A name that is that of a file, with the component that it belongs to, if any: `example.dll of Example-Component`, `C:\Windows\a.sys`.
_FILE = re.compile(
    r"([^\s,~*?\"<>|]{1,220}\.(?:dll|sys|exe|mui|cat|mum|man|manifest|inf|cab|msi|msu|msp|esd|wim|psf|edb|dat|xml|ocx|cpl|drv|ax|tlb|nls|ttf|"
    r"ttc|fon|mof|msc|chm|hlp|jfm|chk|log|ini|js|vbs|ps1|psm1|psd1|cdxml|scr|efi|png|jpg|ico|lnk|pnf|bin|xsd|config|html?|txt|rll|winmd))"
    r"(?: of .{1,200})?",
    re.I,
)

_MOST_OF_A_SERVER = 80


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
        name: the component, package, file, service, policy or server it is about, for a person; `kb` and `title` name the update.
        lines: up to three lines of the logs, the newest last; `seen_in` names up to three logs that they were read in.
        count: how many things it is about: damaged files where they have names, else tries.
        notice: true and worth saying, but nothing on the host is wrong for it.
        superseded_by: what made it history; None while it counts.
        blocking: no search can succeed while it holds, so it comes before repairs of the host (architecture: needs_action, blocked).
        pending: Windows itself waits (a strong marker of a restart), not a mere remedy to try.
        server: with a repair, the server of one's own (`wsus:NAME`, `proxy:NAME`, `time:NAME`) that may be behind it instead; '' for none.
        attempt: a change that may be tried once although it is not known to cure (`osupgrade`), or None.
        until: with the answer `retry`, when it has not passed by itself any more, Unix seconds; None where that is not known.
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
    seen_in: tuple[str, ...] = ()
    source: str = ""
    first_seen: int | None = None
    last_seen: int | None = None
    count: int = 1
    superseded_by: str | None = None
    notice: bool = False
    blocking: bool = False
    pending: bool = False
    server: str = ""
    attempt: str | None = None
    order: int = 50
    related_codes: tuple[str, ...] = ()
    until: int | None = None

    @property
    def active(self) -> bool:
        """Whether it asks for something now."""
        return self.superseded_by is None and not self.notice

    @property
    def closed_by_nothing(self) -> bool:
        """Whether it fails still, but nothing depends on it."""
        return (self.superseded_by or "").startswith("nothing:")

    @property
    def file(self) -> str | None:
        """The file that it is about, without the component that it belongs to."""
        found = _FILE.match((self.name or "")[:440])
        return found and found.group(1)

    @property
    def service(self) -> str | None:
        """Key name of the Windows service that it is about."""
        kind, _colon, name = self.subject.partition(":")
        if kind == "service":
            return name or None
        return self.name if self.layer == "service" else None

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
            "file": self.file,
            "service": self.service,
            "lines": list(self.lines),
            "seen_in": list(self.seen_in),
            "source": self.source,
            "first_seen": self.first_seen,
            "first_seen_text": as_text(self.first_seen),
            "last_seen": self.last_seen,
            "last_seen_text": as_text(self.last_seen),
            "count": self.count,
            "superseded_by": self.superseded_by,
            "notice": self.notice,
            "related_codes": list(self.related_codes),
            "answer": dict(self.answer),
            "next_step": self.next_step,
        }


def named_server(kind: str, name: str | None) -> str:
    """A server by its kind (`wsus`, `proxy`, `time`) and name; '' where it has no name."""
    if name:
        return f"{kind}:{name[:_MOST_OF_A_SERVER]}"
    return ""


def as_text(time: int | None) -> str | None:
    """Unix seconds as ISO 8601 in UTC; None for no time, and for one that no calendar holds."""
    if time is None:
        return None
    try:
        return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return None
