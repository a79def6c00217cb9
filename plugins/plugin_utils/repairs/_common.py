# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: what a repair is, and what the repairs share: guards, expectations, proof."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from .. import conditions, hresult, routing
from ..evidence import Evidence
from ..finding import FAILING, Finding
from ..situation import Settings, Situation
from ..steps import Expect, Step, kind_of

__all__ = ["PROVED", "REFUTED", "UNPROVEN", "Expect", "Look", "Proof", "Refusal", "Repair", "Step", "Wish", "all_of"]

PROVED, UNPROVEN, REFUTED = "proved", "unproven", "refuted"

# Why a repair could not be proved where a search as SYSTEM would.
SEARCH_DENIED = "Windows lets no remote logon search on this host"

# Result codes of a search (OperationResultCode): succeeded, and succeeded with errors.
_SUCCEEDED, _WITH_ERRORS = 2, 3
# The top bit of an HRESULT says that it is a failure.
_FAILURE = 0x80000000


class Refusal(NamedTuple):
    """Why nothing must be changed: the verdict, one sentence, what a person does next, and who."""

    verdict: str
    sentence: str
    next_step: str = ""
    owner: str | None = None


@dataclass(frozen=True)
class Proof:
    """`status` is proved, unproven or refuted; `by` what proved it; `reason` why not."""

    status: str
    by: str | None = None
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As the modules return it."""
        return {"status": self.status, "by": self.by, "reason": self.reason}


@dataclass(frozen=True)
class Wish:
    """What a plan is made from: the look, what was found in it, and what the user wants.

    `force`: plan although nothing asks for it. The guards stay.
    """

    evidence: Evidence
    findings: tuple[Finding, ...]
    options: Mapping[str, Any]
    situation: Situation
    settings: Settings
    force: bool = False


@dataclass(frozen=True)
class Look:
    """One look at a host with what was found in it; a proof compares two."""

    evidence: Evidence
    findings: tuple[Finding, ...]
    settings: Settings = field(default_factory=Settings)


class Repair:
    """One repair of this release.

    Attributes:
        name: as the findings, the options and the report call it.
        title: what it does, as an infinitive without "to".
        deed: what was done when it is done, in two or three words.
        order: which comes first: the cheapest and safest.
        howto_order: the place in the order in which the how-to's give their methods.
        attempt: whether it promises nothing: it may be tried once, and no finding is answered with it.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    deed: ClassVar[str]
    order: ClassVar[int]
    howto_order: ClassVar[int]
    attempt: ClassVar[bool] = False

    def asked_by(self, findings: Iterable[Finding]) -> tuple[Finding, ...]:
        """The findings that it can repair. What was repaired already and waits for its next try asks for nothing."""
        return tuple(item for item in findings if _counts(item) and item.answer.get("repair") == self.name)

    def guards(self, wish: Wish) -> Refusal | None:
        """Why it must not be made now."""
        return None

    def steps(self, wish: Wish) -> tuple[Step, ...]:
        """What it changes; nothing when nothing asks for it."""
        raise NotImplementedError

    def expect(self, wish: Wish, steps: Sequence[Step]) -> tuple[Expect, ...]:
        """What must still hold when it begins: what each step expects, and the same start of the host."""
        wanted = [*_same_boot(wish.evidence), *(one for step in steps for one in kind_of(step).expect(step, wish.evidence))]
        return tuple(dict.fromkeys(wanted))

    def notes(self, wish: Wish) -> tuple[str, ...]:
        """What a person should know beside the steps."""
        return ()

    def proof(  # noqa: PLR0917 - before and after, in that order
        self,
        before: Evidence,
        after: Evidence,
        findings_before: Sequence[Finding],
        findings_after: Sequence[Finding],
        steps: Sequence[Step] = (),
        settings: Settings | None = None,
    ) -> Proof:
        """Whether that is gone which asked for it. A proof never makes a verdict better than the look after it."""
        chosen = settings or Settings()
        return self.prove(Look(before, tuple(findings_before), chosen), Look(after, tuple(findings_after), chosen), steps)

    def prove(self, before: Look, after: Look, steps: Sequence[Step]) -> Proof:
        """As `proof`, by two looks."""
        raise NotImplementedError


def _counts(item: Finding) -> bool:
    return item.active and item.state == FAILING


def attempts(findings: Iterable[Finding], name: str) -> tuple[Finding, ...]:
    """The findings for which a change may be tried once although it is not known to cure."""
    return tuple(item for item in findings if _counts(item) and item.attempt == name)


def _same_boot(evidence: Evidence) -> list[Expect]:
    boot, end_ms = evidence.host.boot_time, evidence.clock.end_ms
    if boot is None:
        return []
    same = [Expect("boot", None, "time", boot)]
    if end_ms is None:
        return same
    # Windows moves the time of its start with its clock: how long it runs tells a clock that was set from another start.
    return [*same, Expect("boot", None, "uptime", end_ms // 1000 - boot)]


def quiet() -> tuple[Expect, ...]:
    """Nothing else is at work on the host."""
    return Expect("servicing", None, "busy", False), Expect("reboot", None, "pending", False)


def not_quiet(evidence: Evidence) -> Refusal | None:
    """Why what stops services and moves folders must wait."""
    work = conditions.servicing_work(evidence)
    if work:
        return Refusal(
            "busy",
            f"Windows is installing updates now ({', '.join(work)}): nothing is touched until it is done.",
            "Run again when the installation has ended.",
        )
    markers = conditions.reboot_markers(evidence)
    if markers:
        return Refusal(
            "restart_required",
            f"Windows waits for a restart ({', '.join(markers)}), which comes before any repair.",
            "Restart the host, then run again.",
        )
    return None


# --- proof ---


def all_of(proofs: Sequence[Proof]) -> Proof:
    """One proof of several: refuted by any, unproven by any, else proved by all."""
    for status in (REFUTED, UNPROVEN):
        reasons = [proof.reason for proof in proofs if proof.status == status and proof.reason]
        if reasons:
            return Proof(status, None, "; ".join(dict.fromkeys(reasons)))
    return Proof(PROVED, ", and ".join(dict.fromkeys(proof.by for proof in proofs if proof.by)))


def code_of(item: Finding) -> int | None:
    """A finding's code as a number."""
    return None if item.code is None else int(item.code, 16)


def codes_of(item: Finding) -> frozenset[int]:
    """All codes that a finding joins."""
    return frozenset(int(code, 16) for code in (*item.codes, item.code) if code)


def search_proof(after: Look, asked: Sequence[Finding], what: str) -> Proof:
    """What a live search after the repair says about failures of searches.

    Args:
        after: the look after it.
        asked: the findings that are to be proved gone.
        what: what the repair mends, for a sentence.
    """
    scan = after.evidence.scan
    code = None if not scan.hresult else scan.hresult & 0xFFFFFFFF
    if routing.is_dotnet_code(code):
        return Proof(UNPROVEN, None, "the live search could not be carried out")
    if scan.result in (_SUCCEEDED, _WITH_ERRORS):
        return _with_warnings(after, asked) or Proof(PROVED, f"a live search{_found(scan.count)}")
    if code or scan.result is not None:
        if code is not None and code in {known for item in asked for known in codes_of(item)}:
            return Proof(REFUTED, None, f"a live search still fails with {hresult.hex_of(code)}")
        return _failed_search(after, code, what)
    reason = {
        "denied": SEARCH_DENIED,
        "timeout": "the live search did not end in time",
        "missing": "no live search was made",
        "absent": "no live search was made",
    }.get(after.evidence.status("scan"), "the live search could not be carried out")
    return Proof(UNPROVEN, None, reason)


def _found(count: int | None) -> str:
    if count is None:
        return ""
    if count == 1:
        return " that found 1 update"
    return f" that found {count} updates"


def _with_warnings(after: Look, asked: Sequence[Finding]) -> Proof | None:
    """A search that ended well but warns of a failure like the one that was to be mended proves nothing."""
    failures = [warning & 0xFFFFFFFF for warning in after.evidence.scan.warnings if warning & _FAILURE]
    wanted = {code for item in asked for code in codes_of(item)}
    areas = {hresult.describe(code).area for code in wanted}
    for code in failures:
        if code in wanted:
            return Proof(REFUTED, None, f"a live search still warns of {hresult.hex_of(code)}")
        if hresult.describe(code).area in areas:
            return Proof(UNPROVEN, None, f"a live search warns of {hresult.hex_of(code)}")
    return None


def _failed_search(after: Look, code: int | None, what: str) -> Proof:
    """A search that fails for another reason than the one that was mended."""
    name = "without a code"
    if code is not None:
        name = f"with {hresult.hex_of(code)}"
    failures = [item for item in after.findings if item.active and item.layer == "scan"]
    for_others = [item for item in failures if "owner" in item.answer or item.answer.get("wait") == "retry"]
    if failures and len(for_others) == len(failures):
        return Proof(UNPROVEN, None, f"a live search fails {name}, which is not about {what}")
    return Proof(REFUTED, None, f"a live search fails {name}")
