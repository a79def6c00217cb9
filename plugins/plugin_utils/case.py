# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The case of one host: what was seen and done, what came of it, and what is next. A state machine without ansible and sockets.

`start` opens a case, `advance` takes what happened, `Case.next` says what to do, `verdict_of` what came of it. `case_document` makes JSON
of a case and a case of JSON; no decision depends on the texts in it, so that these may be cut to fit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from . import situation, verdict
from .repairs import BY_NAME, HOWTO_ORDER, PROVED, REFUTED, UNPROVEN, Proof
from .verdict import Verdict

MAX_ACTIONS = 12
MAX_LINE = 300
# What may be due next beside a repair by its name.
LOOK, SEARCH, RESTART, END = "look", "search", "restart", "end"
MODES = ("look", "routed", "all")
# A look that failed as a whole tells nothing about the state of Windows Update.
_NO_LOOK = ("failed", "unsupported", "unreachable")
# How often in a row a host may be asked for a look without an answer.
_LOOKS_LOST = 2


@dataclass(frozen=True)
class Options:
    """What may be done for a host.

    Attributes:
        mode: `look` repairs nothing, `routed` what findings ask for, `all` every repair of a sick host until it is cured.
        repairs: the repairs and attempts that may be made.
        restart: whether a host that waits for a restart gets one.
        search: whether a live search may be made.
    """

    mode: str = "look"
    repairs: tuple[str, ...] = ()
    restart: bool = False
    search: bool = True


@dataclass(frozen=True)
class Look:
    """The newest look, judged by itself.

    Attributes:
        verdict: its verdict.
        waits: Windows itself waits for a restart.
        timed_out: sections that an unanswered question needs and that did not answer in time.
    """

    verdict: Verdict
    waits: bool = False
    timed_out: tuple[str, ...] = ()


# ------------------------------------------------------------------------------------------------------------------ events


@dataclass(frozen=True)
class Looked:
    """A look came back. `proofs` are what it says about the repairs that were made before it."""

    look: Look
    proofs: Mapping[str, Proof] = field(default_factory=dict)


@dataclass(frozen=True)
class Searched(Looked):
    """A look with a live search came back."""


@dataclass(frozen=True)
class TimedOut(Looked):
    """A look came back in which required sections did not answer in time (`look.timed_out`)."""


@dataclass(frozen=True)
class Applied:
    """A change was sent and answered.

    Attributes:
        repair: the repair or attempt.
        changed: what the agent said; True where that could not be read.
        failed: why it did not come to its end.
        unknown: what of the agent's account could not be read.
        backups: full paths of what was set aside.
        deeds: what was done and stayed, in two or three words each.
        look: the after-look; None where it is missing or could not be read.
        proofs: of this repair and of those before it.
    """

    repair: str
    changed: bool
    failed: str = ""
    unknown: str = ""
    backups: tuple[str, ...] = ()
    look: Look | None = None
    proofs: Mapping[str, Proof] = field(default_factory=dict)
    deeds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lost:
    """The connection failed: in a look, or (`repair`) after a change had been sent."""

    why: str
    repair: str = ""


@dataclass(frozen=True)
class Declined:
    """A repair was not sent. `verdict` is empty where there was simply nothing to change."""

    repair: str
    verdict: str = ""
    why: str = ""
    next_step: str = ""
    owner: str | None = None


@dataclass(frozen=True)
class Would:
    """Check mode: what the repair, or a restart, would do."""

    what: str
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Restarted:
    """The host was restarted, or (`failed`) did not come back from it."""

    failed: str = ""


Event = Looked | Applied | Lost | Declined | Would | Restarted


# ---------------------------------------------------------------------------------------------------------------- the case


@dataclass(frozen=True)
class Case:
    """The record of one host.

    Attributes:
        host: its name in the inventory.
        run: name of the run, part of every backup's name.
        began: when the case was opened, Unix seconds.
        options: what may be done.
        look: the newest look.
        was: the verdict of the first look.
        why: the code or condition that decided then.
        did: what was sent, in order: repairs, attempts, the restart.
        tried: the same, and what was declined.
        made: what changed something.
        changed: whether the host was changed; never taken back.
        failed: why a change failed.
        unknown: the change whose outcome nobody knows.
        lost: how many looks in a row were lost, and `why_lost` why.
        declined: why the last declined repair was declined.
        blind: the newest change has no look after it.
        proofs: what is known of each repair that was made.
        backups: full paths of what was set aside.
        deeds: what was done and stayed, in two or three words each.
        would: check mode: what would be done, in words.
        later: check mode: repairs that would follow if that does not cure it.
        due: the look that must come first: `look`, `search` or nothing.
        repeated: sections that had timed out were asked again.
        searched: a live search was made.
        actions: how many events were taken.
    """

    host: str
    run: str
    began: int = 0
    options: Options = field(default_factory=Options)
    look: Look | None = None
    was: str = ""
    why: str = ""
    did: tuple[str, ...] = ()
    tried: tuple[str, ...] = ()
    made: tuple[str, ...] = ()
    changed: bool = False
    failed: str = ""
    unknown: str = ""
    lost: int = 0
    why_lost: str = ""
    declined: Declined | None = None
    blind: bool = False
    proofs: Mapping[str, Proof] = field(default_factory=dict)
    backups: tuple[str, ...] = ()
    deeds: tuple[str, ...] = ()
    would: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    due: str = LOOK
    repeated: bool = False
    searched: bool = False
    actions: int = 0

    @property
    def next(self) -> str:
        """What to do next: `look`, `search`, a repair by its name, `restart` or `end`."""
        return _next(self)

    @property
    def ended(self) -> bool:
        """Whether nothing more is to be done."""
        return self.next == END


def start(host: str, run: str, options: Options | None = None, now: int = 0) -> Case:
    """Open a case."""
    return Case(host=host, run=run, began=now, options=options or Options())


def advance(case: Case, event: Event) -> Case:
    """Take one event."""
    for kind, take in _TAKE.items():
        if isinstance(event, kind):
            return replace(take(case, _with_reasons(event)), actions=case.actions + 1)
    raise TypeError(f"no event of a case: {event!r}")


def _with_reasons(event: Any) -> Any:
    """A reason that nothing printable is in (a host may send a blank) is still one: it must not vanish on the way through a document."""
    given = {name: getattr(event, name, "") for name in ("failed", "unknown", "why")}
    blank = {name: "no reason was given" for name, text in given.items() if text and not line(text)}
    return replace(event, **blank) if blank else event


# ------------------------------------------------------------------------------------------------------------- transitions


def _looked(case: Case, event: Looked) -> Case:
    asks_again = bool(event.look.timed_out) and not case.repeated and event.look.verdict.name not in _NO_LOOK
    taken = replace(
        case,
        look=event.look,
        lost=0,
        due=LOOK if asks_again else "",
        repeated=case.repeated or asks_again,
        searched=case.searched or isinstance(event, Searched),
        proofs={**case.proofs, **event.proofs},
        blind=False,
    )
    return taken if asks_again else _first(taken)


def _first(case: Case) -> Case:
    """Keep what the first complete look came to."""
    if case.was or case.look is None:
        return case
    return replace(case, was=case.look.verdict.name, why=case.look.verdict.why)


def _applied(case: Case, event: Applied) -> Case:
    changed = event.changed or bool(event.unknown)
    taken = replace(
        case,
        did=_with(case.did, event.repair),
        tried=_with(case.tried, event.repair),
        made=_with(case.made, event.repair) if changed else case.made,
        changed=case.changed or changed,
        failed=case.failed or event.failed,
        unknown=event.repair if event.unknown else case.unknown,
        why_lost=event.unknown or case.why_lost,
        declined=None,
        backups=_with(case.backups, *event.backups),
        deeds=_with(case.deeds, *event.deeds),
        proofs={**case.proofs, **event.proofs},
        blind=True,
        due="",
    )
    if event.look is None:
        return replace(taken, due=LOOK) if event.unknown else taken
    return _looked(taken, Looked(event.look))


def _lost(case: Case, event: Lost) -> Case:
    if event.repair:
        return replace(
            case,
            did=_with(case.did, event.repair),
            tried=_with(case.tried, event.repair),
            made=_with(case.made, event.repair),
            changed=True,
            unknown=event.repair,
            why_lost=event.why,
            declined=None,
            blind=True,
            due=LOOK,
            lost=0,
        )
    lost = case.lost + 1
    if lost < _LOOKS_LOST:
        return replace(case, lost=lost, why_lost=event.why, due=case.due or LOOK)
    silent = replace(case, lost=lost, why_lost=event.why, due="")
    if case.unknown or case.failed or RESTART not in case.did or case.made[-1:] != (RESTART,):
        return silent
    return replace(silent, failed=f"the host did not answer after its restart: {event.why}")


def _declined(case: Case, event: Declined) -> Case:
    refused = event if event.why else None
    if event.verdict == "failed":
        return replace(case, tried=_with(case.tried, event.repair), failed=case.failed or event.why, due="")
    return replace(case, tried=_with(case.tried, event.repair), declined=refused, due="")


def declined_at_all(case: Case, said: Verdict) -> Case:
    """Nothing is sent to the host, whatever repair the newest look asks for; `said` is why."""
    for name in _wanted(case):
        case = advance(case, Declined(name, said.name, said.msg, said.next_step, said.owner))
    return case


def _would(case: Case, event: Would) -> Case:
    if case.would:
        return case
    later = tuple(name for name in _wanted(case) if name not in (*case.tried, event.what))
    return replace(case, would=event.words or (event.what,), later=later, due="")


def _restarted(case: Case, event: Restarted) -> Case:
    return replace(
        case,
        did=_with(case.did, RESTART),
        tried=_with(case.tried, RESTART),
        made=_with(case.made, RESTART),
        deeds=_with(case.deeds, "restarted"),
        changed=True,
        failed=case.failed or event.failed,
        declined=None,
        blind=True,
        lost=0,
        due=_look_after_restart(case, event),
    )


def _look_after_restart(case: Case, event: Restarted) -> str:
    if event.failed:
        return ""
    return SEARCH if case.options.search else LOOK


_TAKE: dict[type, Callable[[Case, Any], Case]] = {
    Looked: _looked,
    Applied: _applied,
    Lost: _lost,
    Declined: _declined,
    Would: _would,
    Restarted: _restarted,
}


def _with(names: Sequence[str], *more: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*names, *more)))


# --------------------------------------------------------------------------------------------------------- what comes next


def _next(case: Case) -> str:
    if case.actions >= MAX_ACTIONS or case.would:
        return END
    if case.due:
        return case.due
    if case.look is None or case.failed or case.unknown or case.blind or case.lost:
        return END
    state = state_of(case)
    if state.name == "restart_required" or case.look.waits:
        return RESTART if case.options.restart and RESTART not in case.tried else END
    if state.name in (*_NO_LOOK, "busy"):
        return END
    repair = next((name for name in _wanted(case) if name not in case.tried), None)
    if repair is not None:
        return repair
    if state.search and case.options.search and not case.searched:
        return SEARCH
    return END


def _wanted(case: Case) -> tuple[str, ...]:
    """The repairs and attempts that the newest look asks for and that may be made, in order."""
    if case.look is None:
        return ()
    judged = case.look.verdict
    names: tuple[str, ...] = ()
    if judged.name == "sick":
        names = HOWTO_ORDER if case.options.mode == "all" else judged.repairs
    elif judged.name == "needs_action":
        names = judged.attempts
    return tuple(name for name in names if name in case.options.repairs)


# ------------------------------------------------------------------------------------------------------------- the verdict


def state_of(case: Case) -> Verdict:
    """What the host is now, as if nothing had been changed: the newest look, or why it could not be had."""
    if case.look is None or (case.lost >= _LOOKS_LOST and not case.changed):
        return Verdict(
            name="unreachable",
            msg=line(f"The host was not reached: {case.why_lost or 'it was not looked at'}"),
            next_step="Make the connection work (ansible.windows.win_ping), then run again.",
            owner="admin",
        )
    judged = case.look.verdict
    # Who calls one repair alone has asked for it, whatever the host is.
    asked = judged.name == "sick" or case.options.mode == "look"
    if case.declined is not None and case.declined.verdict and asked:
        return replace(
            judged,
            name=case.declined.verdict,
            msg=line(case.declined.why),
            next_step=case.declined.next_step or judged.next_step,
            owner=case.declined.owner or judged.owner,
        )
    return judged


def verdict_of(case: Case) -> Verdict:
    """The one verdict of the host, derived from the record."""
    if case.unknown:
        return _unknown(case)
    if case.failed:
        return _after_change(case, case.failed)
    # An attempt or a restart alone keeps the verdict of the look after it, where there is one.
    if _repairs_made(case) or case.changed and not _is_seen(case):
        return _after_change(case, None)
    state = state_of(case)
    return _spent(case, state) if _is_spent(case, state) else state


def _repairs_made(case: Case) -> tuple[str, ...]:
    """What promised to cure something and changed the host: neither an attempt nor the restart."""
    return tuple(name for name in case.made if name in BY_NAME and not BY_NAME[name].attempt)


def deed(name: str) -> str:
    """What was done, in two words."""
    if name in BY_NAME:
        return BY_NAME[name].deed
    return "restarted" if name == RESTART else name


def _is_seen(case: Case) -> bool:
    """Whether a look tells what the host is now."""
    return case.look is not None and not case.blind and case.look.verdict.name not in _NO_LOOK


def _after_change(case: Case, failed: str | None) -> Verdict:
    after = state_of(case) if _is_seen(case) else None
    return verdict.after_change(
        failed=failed,
        changed=case.changed,
        after=after,
        after_strong_restart=after is not None and case.look is not None and case.look.waits,
        proof=proof_of(case),
        what=", ".join(case.deeds or [deed(name) for name in case.did]),
    )


def proof_of(case: Case) -> Proof:
    """What is proved of all repairs together: the weakest decides."""
    known = [case.proofs.get(name, Proof(UNPROVEN, None, "nothing was seen after it")) for name in _repairs_made(case)]
    for status in (REFUTED, UNPROVEN):
        weakest = next((item for item in known if item.status == status), None)
        if weakest is not None:
            return weakest
    if not known:
        return Proof(UNPROVEN, None, "nothing was repaired")
    return Proof(PROVED, " and ".join(dict.fromkeys(item.by for item in known if item.by)), None)


def _unknown(case: Case) -> Verdict:
    now = "it does not answer now"
    if case.look is not None and not case.blind:
        now = f"a look after it says {case.look.verdict.name}: {case.look.verdict.msg}"
    why = f" ({case.why_lost})" if case.why_lost else ""
    return Verdict(
        name="failed",
        msg=line(f"No answer came to run {case.run}, which changed the host ({deed(case.unknown)}): its outcome is unknown{why}; {now}"),
        next_step=f"Look at the host again before anything else; backups of run {case.run} end in {situation.backup_ending(case.run)}",
        owner="admin",
        why=case.why,
    )


def _is_spent(case: Case, state: Verdict) -> bool:
    """Whether a repair fits that was not or may not be made, and nothing else is left."""
    return state.name == "sick" and case.options.mode != "look" and not case.would and case.ended


def _spent(case: Case, state: Verdict) -> Verdict:
    reason = "no repair is left that may be made"
    if case.declined is not None:
        reason = case.declined.why
    return replace(state, name="unresolved", msg=line(f"{state.msg.rstrip('.')}. Not repaired: {reason}"))


# ------------------------------------------------------------------------------------------------------------- the row


def row(case: Case) -> dict[str, Any]:
    """What came of the host, for a report."""
    came = verdict_of(case)
    proof = proof_of(case) if _repairs_made(case) else None
    return {
        "host": case.host,
        "was": case.was or came.name,
        "why": case.why or came.why,
        "did": list(case.did),
        "deeds": list(case.deeds),
        "now": came.name,
        "msg": came.msg,
        "next_step": came.next_step,
        "owner": came.owner,
        "until": came.until,
        "fails_at": came.server,
        "changed": case.changed or bool(case.would),
        "proved_by": None if proof is None else proof.by,
        "proof": None if proof is None else proof.to_dict(),
        "run_id": case.run,
        "backups": list(case.backups),
        "would": list(case.would),
        "if_not_cured": list(case.later),
        "began": case.began,
    }


def line(text: object, most: int = MAX_LINE) -> str:
    """One printable line of at most so many characters."""
    words = " ".join("".join(character if character.isprintable() else " " for character in str(text)).split())
    return words if len(words) <= most else f"{words[: most - 3]}..."
