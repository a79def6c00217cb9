# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From findings to a verdict: one name, one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from . import conditions, hresult
from .conditions import LAYERS, Finding
from .evidence import Evidence
from .plan import Outcome, Plan, route
from .rungs import BY_NAME, Proof

# What each verdict is to ansible. `changed` is only what it may be: whether something was changed, the outcome says.
TABLE: dict[str, str] = {
    "healthy": "ok",
    "stale": "ok",
    "sick": "ok",
    "restart_required": "ok",
    "busy": "ok",
    "not_this_host": "ok",
    "repaired": "changed",
    "unproven": "changed",
    "unresolved": "changed",
    "unsupported": "failed",
    "unreachable": "failed",
    "failed": "failed",
}

OWNERS = {
    "wsus": "whoever runs the update server (WSUS)",
    "proxy": "whoever runs the proxy",
    "policy": "whoever owns the policy",
    "hardware": "whoever owns the hardware",
    "management": "whoever runs the device management",
    "admin": "an administrator",
}


def is_failure(name: str) -> bool:
    """Whether the verdict fails the task."""
    return TABLE.get(name) == "failed"


@dataclass(frozen=True)
class Verdict:
    """One name, one sentence, the findings behind it, and what they ask for.

    `asks`: rungs in the order in which they would be climbed. `owners`: whose the rest is. `proof` and `changed` are
    of a repair.
    """

    name: str
    sentence: str
    findings: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    proof: Proof | None = None
    changed: bool = False

    @property
    def ansible(self) -> str:
        """What it is to ansible: ok, changed or failed."""
        return TABLE[self.name]

    def to_dict(self) -> dict[str, Any]:
        """The parts that every module returns."""
        return {"verdict": self.name, "msg": self.sentence, "asks": list(self.asks)}


def judge(found: Sequence[Finding], evidence: Evidence | None) -> Verdict:
    """The verdict of a look. Without evidence (logs alone) it is about what the logs show.

    What must come first wins: a host at work is left alone, a restart comes before a repair, a repair before an owner,
    since what the host itself can cure may be all there is. What else was found stays in `asks` and `owners`.
    """
    notices = [item for item in found if item.active and item.notice]
    active = [item for item in found if item.active and not item.notice]
    asks = tuple(route(active, "routed"))
    owners = tuple(dict.fromkeys(item.answer["owner"] for item in active if "owner" in item.answer))
    now = None if evidence is None else evidence.now

    def verdict(name: str, sentence: str, behind: Sequence[Finding] = ()) -> Verdict:
        return Verdict(name, sentence, tuple(item.id for item in behind), asks, owners)

    if evidence is not None:
        reason = _unsupported(evidence)
        if reason is not None:
            return Verdict("unsupported", reason)
    servicing = _answered(active, "wait", "servicing")
    if servicing:
        return verdict("busy", f"{servicing[0].meaning}.", servicing)
    waiting = _answered(active, "wait", "restart")
    restart = [item for item in waiting if _restart_is_pending(item)]
    if restart:
        then = f" Then: {', '.join(asks)}." if asks else ""
        return verdict("restart_required", f"{say(restart[0], now)}: a restart comes first.{then}", restart)
    sick = [item for item in active if "rung" in item.answer]
    if sick:
        return verdict("sick", f"{_reason(sick, asks[0], now)}: {_rung_can(asks[0])}.{_besides(owners, asks)}", sick)
    if waiting:
        return verdict("restart_required", f"{say(waiting[0], now)}: a restart is the first thing to try.", waiting)
    owned = [item for item in active if "owner" in item.answer]
    if owned:
        who = OWNERS.get(owned[0].answer["owner"], owned[0].answer["owner"])
        return verdict(
            "not_this_host", f"{say(owned[0], now)}: this is for {who}, not for a repair of the host.", owned
        )
    retry = _answered(active, "wait", "retry")
    if retry:
        return verdict("busy", f"{say(retry[0], now)}: it passes by itself, try again later.", retry)
    stale = _answered(active, "wait", "scan")
    if stale:
        return verdict("stale", f"{stale[0].meaning}, and no failure either: a search would tell.", stale)
    if evidence is None:
        return verdict("healthy", "The logs show no failure that counts.")
    said = "".join(f" {item.meaning}." for item in notices)
    return verdict("healthy", f"Windows Update works: no failure counts, and a search succeeded lately.{said}", notices)


def judge_repair(  # noqa: PLR0917 - before and after, in that order
    plan: Plan,
    outcome: Outcome | None,
    before: Evidence,
    after: Evidence | None,
    found_before: Sequence[Finding],
    found_after: Sequence[Finding] | None,
) -> Verdict:
    """The verdict of one rung.

    Args:
        plan: What was to be done.
        outcome: What the agent said, None when nothing was sent (check mode, nothing to do, refused).
        before: The look that the plan was made from.
        after: The after-look, None when there is none.
        found_before: Findings of `before`.
        found_after: Findings of `after`.
    """
    left = list(found_before if found_after is None else found_after)
    state = judge(left, after or before)
    if plan.refused is not None:
        return _with(state, plan.refused.verdict, plan.refused.sentence, plan.reasons)
    if not plan.steps:
        return _nothing_to_do(plan, state)
    if outcome is None:
        would = "; ".join(plan.would)
        return _with(state, state.name, f"{state.sentence} Would {would}." if would else state.sentence, state.findings)
    stopped = _stopped(plan, outcome, state)
    if stopped is not None:
        return stopped
    if after is None or found_after is None:
        proof = Proof("unproven", None, "the host could not be looked at after the repair")
    else:
        proof = BY_NAME[plan.rung].proof(plan.steps, before, after, found_before, found_after)
    return _proved(plan, outcome, proof, after, state)


def say(item: Finding, now: int | None = None) -> str:
    """One finding in words, without a full stop."""
    if item.code is None:
        return item.meaning
    name = f"{item.code} ({item.symbol})" if item.symbol else item.code
    times = "once" if item.count == 1 else f"{item.count} times"
    last = "" if item.last_seen is None or now is None else f", last {ago(now - item.last_seen)}"
    return f"{name} in {LAYERS.get(item.area, item.area)}, {times}{last}"


def ago(seconds: int) -> str:
    """How long ago, for a person."""
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            amount = seconds // size
            return f"{amount} {unit}{'' if amount == 1 else 's'} ago"
    return "just now" if seconds > -60 else "in the host's own future"


def _reason(sick: Sequence[Finding], rung: str, now: int | None) -> str:
    """The cause and the failure that it made, where both are known; else the first finding."""
    asking = [item for item in sick if item.answer["rung"] == rung]
    causes = [item for item in asking if item.code is None][:1]
    failures = [item for item in asking if item.code is not None][:1]
    return "; ".join(say(item, now) for item in [*causes, *failures])


def _restart_is_pending(item: Finding) -> bool:
    """Whether Windows itself waits for the restart; for other codes it is only the first remedy to try."""
    return item.code is None or hresult.describe(int(item.code, 16)).area == "reboot"


def _answered(active: Sequence[Finding], key: str, value: str) -> list[Finding]:
    return [item for item in active if item.answer.get(key) == value]


def _rung_can(name: str) -> str:
    return (
        f"the rung {name} can repair it"
        if name in BY_NAME
        else f"it asks for the rung {name}, which this release cannot climb"
    )


def _besides(owners: Sequence[str], asks: Sequence[str]) -> str:
    more = f" Also asked for: {', '.join(asks[1:])}." if len(asks) > 1 else ""
    return more + (
        f" Beside it something is for {' and '.join(OWNERS.get(who, who) for who in owners)}." if owners else ""
    )


def _unsupported(evidence: Evidence) -> str | None:
    host = evidence.data("host")
    if not host:
        return f"The host did not say what it is (section host: {evidence.status('host')})."
    if host.get("elevated") is False:
        return "The logon has no elevated rights, so the host can neither be looked into nor repaired."
    return None


def _with(
    state: Verdict,
    name: str,
    sentence: str,
    behind: Sequence[str],
    *,
    proof: Proof | None = None,
    changed: bool = False,
) -> Verdict:
    return Verdict(name, sentence, tuple(behind), state.asks, state.owners, proof, changed)


def _nothing_to_do(plan: Plan, state: Verdict) -> Verdict:
    if not plan.reasons:
        note = f" Not changed: {'; '.join(plan.notes)}." if plan.notes else ""
        return _with(state, state.name, state.sentence + note, state.findings)
    why = "; ".join(plan.notes) or "there is nothing on the host that it could change"
    return _with(state, "unresolved", f"The rung {plan.rung} is asked for, but {why}.", plan.reasons)


def _stopped(plan: Plan, outcome: Outcome, state: Verdict) -> Verdict | None:
    """The verdict where the plan was not carried out to its end."""
    if outcome.refused is not None:
        return _with(
            state, "failed", f"The agent refused the plan, nothing was changed: {outcome.refused}", plan.reasons
        )
    if outcome.differs:
        first = outcome.differs[0]
        what = first["what"]
        if what == "servicing":
            return _with(state, "busy", "Servicing began after the look: nothing was changed.", plan.reasons)
        if what == "reboot":
            return _with(
                state,
                "restart_required",
                "A restart has become pending since the look: nothing was changed.",
                plan.reasons,
            )
        what = f"{what} {first['name'] or ''}".strip()
        return _with(
            state,
            "failed",
            f"The host changed between look and repair ({what}: {first['field']} is {first['found']}, "
            f"not {first['expected']}): nothing was changed.",
            plan.reasons,
        )
    if outcome.failed is not None:
        step = plan.steps[outcome.failed.id - 1] if 1 <= outcome.failed.id <= len(plan.steps) else None
        name = (
            "a step"
            if step is None
            else f"{step.kind} {step.args.get('name') or step.args.get('folder') or ''}".strip()
        )
        stuck = [item for item in outcome.undone if not item.ok]
        if stuck:
            end = f"could not be undone: {', '.join(f'{item.kind} ({item.why or item.id})' for item in stuck)}"
        elif outcome.changed:
            end = "something is different from before all the same"
        else:
            end = "everything was undone"
        return _with(
            state, "failed", f"{name} failed: {outcome.failed.why}; {end}.", plan.reasons, changed=outcome.changed
        )
    accounted = {item.id for item in outcome.steps if item.status in ("done", "skipped")}
    missing = set(range(1, len(plan.steps) + 1)) - accounted
    if missing:
        return _with(
            state,
            "failed",
            f"The agent did not account for {len(missing)} of {len(plan.steps)} steps, so what was done is not known.",
            plan.reasons,
            changed=outcome.changed,
        )
    return None


def _proved(plan: Plan, outcome: Outcome, proof: Proof, after: Evidence | None, state: Verdict) -> Verdict:
    changed = outcome.changed
    rest = _rest(plan, state)
    if proof.status == "proved":
        if not changed:
            return _with(state, state.name, state.sentence, state.findings, proof=proof)
        return _with(
            state,
            "repaired",
            f"Repaired by {plan.rung}, proved by {proof.by}.{rest}",
            plan.reasons,
            proof=proof,
            changed=True,
        )
    markers = [] if after is None else conditions.reboot_markers(after)
    if markers:
        return _with(
            state,
            "restart_required",
            f"After {plan.rung} a restart is pending ({', '.join(markers)}): it decides whether the repair held.",
            plan.reasons,
            proof=proof,
            changed=changed,
        )
    if proof.status == "refuted":
        return _with(
            state,
            "unresolved",
            f"{plan.rung} did not cure it: {proof.reason}.{rest}",
            plan.reasons,
            proof=proof,
            changed=changed,
        )
    return _with(
        state,
        "unproven",
        f"{plan.rung} was carried out, not proved: {proof.reason}.{rest}",
        plan.reasons,
        proof=proof,
        changed=changed,
    )


def _rest(plan: Plan, state: Verdict) -> str:
    others = [name for name in state.asks if name != plan.rung]
    more = f" Still asked for: {', '.join(others)}." if others else ""
    return more + (
        f" The rest is for {' and '.join(OWNERS.get(who, who) for who in state.owners)}." if state.owners else ""
    )
