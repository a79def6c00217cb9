# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the rungs share: steps, expectations, proof."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from .. import conditions, hresult, routing
from ..conditions import Finding
from ..evidence import Evidence
from ..situation import Settings, number, rows

# The kinds of steps that the agent knows. A plan with any other would be refused whole.
KINDS = frozenset(
    (
        "set_start_type",
        "stop_service",
        "restore_services",
        "start_service",
        "set_aside",
        "prune_backups",
        "set_value",
        "remove_value",
        "set_time_source",
        "resync",
        "set_clock",
        "set_time_zone",
        "set_aside_bits_queue",
        "set_service_security",
    )
)


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
        return {"what": self.what, "name": self.name, "field": self.field, "is": self.value}


class Refusal(NamedTuple):
    """Why a plan must not be carried out: the verdict, and one sentence."""

    verdict: str
    sentence: str


@dataclass(frozen=True)
class Proof:
    """`status` is proved, unproven or refuted; `by` what proved it; `reason` why not."""

    status: str
    by: str | None = None
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As the modules return it."""
        return {"status": self.status, "by": self.by, "reason": self.reason}


class Rung(Protocol):
    """What each rung file offers."""

    NAME: str
    TITLE: str

    def asked_for_by(self, found: Sequence[Finding]) -> tuple[Finding, ...]:
        """The active findings that this rung answers."""

    def guards(self, evidence: Evidence, found: Sequence[Finding], options: Mapping[str, Any]) -> Refusal | None:
        """Why it must not be climbed now."""

    def steps(
        self,
        evidence: Evidence,
        found: Sequence[Finding],
        options: Mapping[str, Any],
        settings: Settings,
        *,
        force: bool,
    ) -> tuple[Step, ...]:
        """What it would change; nothing when nothing asks for it."""

    def expect(self, evidence: Evidence, steps: Sequence[Step]) -> tuple[Expect, ...]:
        """What must still hold when it begins."""

    def notes(self, evidence: Evidence, options: Mapping[str, Any], settings: Settings) -> tuple[str, ...]:
        """What a person should know beside the steps."""

    def proof(
        self,
        steps: Sequence[Step],
        before: Evidence,
        after: Evidence,
        found_before: Sequence[Finding],
        found_after: Sequence[Finding],
    ) -> Proof:
        """Whether what was seen before is gone."""


def asked(found: Iterable[Finding], name: str) -> tuple[Finding, ...]:
    """The active findings whose answer is the rung of that name."""
    return tuple(item for item in found if item.active and item.answer.get("rung") == name)


def service(evidence: Evidence, name: str) -> Mapping[str, Any]:
    """One row of the service table, {} when it is not there."""
    for row in rows(evidence.data("services"), "services"):
        if str(row.get("name")).lower() == name.lower():
            return row
    return {}


def exists(evidence: Evidence, name: str) -> bool:
    """Whether the service exists."""
    return bool(service(evidence, name).get("exists"))


def same_boot(evidence: Evidence) -> list[Expect]:
    """The host has not restarted since the look."""
    boot = number(evidence.data("host").get("boot_time"))
    return [] if boot is None else [Expect("boot", None, "time", boot)]


def same_start(evidence: Evidence, steps: Iterable[Step]) -> list[Expect]:
    """The services that a step touches start as they did."""
    names = dict.fromkeys(
        str(step.args["name"]) for step in steps if step.kind in ("set_start_type", "stop_service", "start_service")
    )
    starts = ((name, number(service(evidence, name).get("start"))) for name in names)
    return [Expect("service", name, "start", start) for name, start in starts if start is not None]


def quiet() -> list[Expect]:
    """Nothing else is at work on the host."""
    return [Expect("servicing", None, "busy", False), Expect("reboot", None, "pending", False)]


def not_quiet(evidence: Evidence) -> Refusal | None:
    """Why what stops services and moves folders must wait."""
    work = conditions.servicing_work(evidence)
    if work:
        return Refusal("busy", f"Servicing is at work ({', '.join(work)}): nothing is touched until it is done.")
    markers = conditions.reboot_markers(evidence)
    if markers:
        return Refusal("restart_required", f"A restart is pending ({', '.join(markers)}): it comes first.")
    return None


def live_search(evidence: Evidence) -> tuple[str, int | None]:
    """How a live search went: `ok`, `failed` (with its code), `denied`, `timeout`, `broken` or `none`."""
    status = evidence.status("scan")
    data = evidence.data("scan")
    result, code = number(data.get("result")), number(data.get("hresult"))
    if result in (2, 3):
        return "ok", None
    if routing.is_dotnet_code(None if not code else code & 0xFFFFFFFF):
        return "broken", None
    if code or result is not None:
        return "failed", None if not code else code & 0xFFFFFFFF
    return {"denied": "denied", "timeout": "timeout", "missing": "none", "absent": "none"}.get(status, "broken"), None


def search_proof(after: Evidence, found_after: Sequence[Finding], rung: str, what: str) -> Proof:
    """What a live search after the repair says about failures of `what`."""
    how, code = live_search(after)
    if how == "ok":
        count = number(after.data("scan").get("count"))
        found = "" if count is None else f" that found {count} update{'' if count == 1 else 's'}"
        return Proof("proved", f"a live search{found}")
    if how == "failed":
        name = "without a code" if code is None else f"with {hresult.hex_of(code)}"
        failures = [item for item in found_after if item.active and item.area == "scan"]
        if failures and all("owner" in item.answer or item.answer.get("wait") == "retry" for item in failures):
            return Proof("unproven", None, f"a live search fails {name}, which is not about {what}")
        return Proof(
            "refuted",
            None,
            f"a live search still fails {name}" if asked(found_after, rung) else f"a live search fails {name}",
        )
    reason = {
        "denied": "the network logon may not search; become SYSTEM to prove it",
        "timeout": "the live search did not end in time",
        "broken": "the live search could not be carried out",
    }.get(how, "no live search was made")
    return Proof("unproven", None, reason)
