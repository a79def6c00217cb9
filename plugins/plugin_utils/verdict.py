# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From findings to a verdict: one name, one sentence, one next step. The two tables of docs/architecture.md, each row a function."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from . import absence, conditions, coverage, findings, hresult, repairs, routing, seen, subjects
from .coverage import Coverage
from .evidence import Evidence
from .finding import UNKNOWN, UNTESTED, Finding
from .observation import Observation, called
from .repairs import SEARCH_DENIED, Proof
from .situation import Settings
from .states import State, States

# What each verdict is to ansible. `changed` is only what it may be: whether something was changed, the outcome says.
OUTCOME = {
    "healthy": "ok",
    "sick": "ok",
    "needs_action": "ok",
    "restart_required": "ok",
    "busy": "ok",
    "stale": "ok",
    "behind": "ok",
    "unknown": "ok",
    "unproven": "changed",
    "repaired": "changed",
    "unresolved": "changed",
    "unsupported": "failed",
    "failed": "failed",
    "unreachable": "unreachable",
}

# The default of wu_repair_fail_on.
RED = ("unreachable", "unsupported", "failed", "unknown", "unresolved")

OWNERS = {
    "wsus": "whoever runs the WSUS",
    "proxy": "whoever runs the proxy",
    "policy": "the owner of the policy",
    "hardware": "whoever owns the hardware",
    "management": "whoever runs the device management",
    "admin": "an administrator",
}

_MOST, _MOST_CODES = 300, 2
# Conditions that are a verdict of their own and no failure.
_ABSENCE = (absence.STALE, absence.BEHIND)
# These need no server to be repaired, and nothing works without them.
_REPAIRED_FIRST = ("clock_off", "time_source_none", "time_source_silent", "time_source_unfit", "service_disabled", "service_stopped")
_AS_SYSTEM = "Run again with -e wu_repair_become=true (become_method runas, become_user SYSTEM), since SYSTEM may search"
_SEARCH_REFUSED = {
    "denied": _AS_SYSTEM,
    "timeout": "Give the search more time (scan_timeout)",
}


def is_failure(name: str) -> bool:
    """Whether the verdict fails the task."""
    return OUTCOME.get(name) in ("failed", "unreachable")


@dataclass(frozen=True)
class Verdict:
    """One name, one sentence, the next step.

    Attributes:
        msg: one printable line of at most 300 characters, the cause first.
        next_step: what a person does next; '' where there is nothing to do.
        owner: who must act, where somebody must.
        repairs: the repairs of this release that active findings ask for, in order.
        attempts: changes that may be tried once although they are not known to cure.
        why: code or condition of the finding that decided.
        findings: ids of the findings behind it.
        search: a live search would tell more.
        until: with `busy`, when a failure that may pass by itself has not, Unix seconds; None where that is not known.
        server: with `sick`, the one server (`wsus:NAME`, `proxy:NAME`, `time:NAME`) that may be behind all that asks for a repair.
    """

    name: str
    msg: str
    next_step: str = ""
    owner: str | None = None
    repairs: tuple[str, ...] = ()
    attempts: tuple[str, ...] = ()
    why: str = ""
    findings: tuple[str, ...] = ()
    search: bool = False
    server: str = ""
    until: int | None = None


@dataclass(frozen=True)
class Judged:
    """What a look came to."""

    findings: tuple[Finding, ...]
    verdict: Verdict
    coverage: Coverage


def look(evidence: Evidence, settings: Settings, more: Iterable[Observation] = ()) -> Judged:
    """Judge one look; `more` was seen in logs of the same host."""
    found = findings.diagnose(evidence, settings, more).findings
    covered = coverage.of(evidence)
    return Judged(found, judge(found, evidence, covered), covered)


NOTHING_SHOWN = "The logs show neither a failure nor a success of Windows Update."


def logs(observations: Iterable[Observation], settings: Settings, now: int | None = None) -> Judged:
    """Judge logs alone, without the host that wrote them."""
    diagnosis = findings.diagnose_logs(observations, settings, now)
    verdict = judge(diagnosis.findings, None, None)
    if verdict.name == "healthy":
        lacking = _lacking(diagnosis.states) or _unsearched(diagnosis)
        if lacking:
            verdict = replace(verdict, name="unknown", msg=lacking)
    return Judged(diagnosis.findings, verdict, Coverage())


def _named(good: list[State]) -> str:
    """The first of the updates that went well."""
    names = dict.fromkeys(one.kb or one.title or state.subject for state in good for one in state.successes[-1:])
    return ", ".join(list(names)[:2])


# What DISM proved, and what SFC did: its files are no more than a part of the store.
_PROVED = {
    "store:packages": "The component store is proved to be sound",
    "store:files": "SFC has left no damaged file",
}


def _lacking(known: States) -> str:
    """What is not shown by what went well; '' where a search did, or an update of Windows.

    An app of the Store, a service or a search of the Store's proves nothing; a sound component store and definitions prove themselves.
    """
    good = [state for state in known.by_subject.values() if state.successes]
    searches = (known.search, subjects.UNKNOWN_SEARCH, "search:microsoft", "search:wsus")
    if any(state.subject in searches or state.subject.startswith(("upgrade:", "servicing:")) for state in good):
        return ""
    loaded = [state for state in good if state.subject.startswith(("update:", "driver:"))]
    # Of a download that failed before that is what was asked.
    own = [state for state in loaded if state.failures or any(one.layer != "download" for one in state.successes)]
    if any(not subjects.is_rolling(state.subject) for state in own):
        return ""
    if own:
        return f"Only definitions, tools or drivers were installed ({_named(own)}): that says nothing of the updates of Windows."
    if loaded:
        return f"Nothing here says whether what was downloaded was installed ({_named(loaded)})."
    sound = {state.subject for state in good if any(one.name is None for one in state.successes)}
    proofs = [words for subject, words in _PROVED.items() if subject in sound]
    if proofs:
        return f"{proofs[0]}; nothing here says whether searches and installations of updates work."
    return NOTHING_SHOWN


def _unsearched(diagnosis: findings.Diagnosis) -> str:
    """What is said where the service that brings a part of the updates fails on and on, and no update came since; '' elsewhere."""
    failing = [item for item in diagnosis.findings if item.subject == subjects.FLIGHTING_SEARCH and item.superseded_by is None]
    if not failing:
        return ""
    item, installed = failing[0], absence.last_quality_success(diagnosis.states, diagnosis.situation)
    if installed is not None and installed > (item.first_seen or 0):
        return ""
    return (
        f"Searches at Windows Update went well; those at the service beside it, which brings updates of Windows, too, fail: {say(item)}. "
        "Nothing here says whether updates come."
    )


# --- the verdict of a look: the first row that holds ---


def judge(found: Sequence[Finding], evidence: Evidence | None, covered: Coverage | None) -> Verdict:
    """The verdict of a look. Without evidence (logs alone) it is about what the logs show."""
    if evidence is not None:
        reason = _unsupported(evidence)
        if reason is not None:
            return Verdict("unsupported", reason[0], reason[1], "admin")
    active = [item for item in found if item.active and item.condition not in _ABSENCE]
    rest = _Rest(tuple(found), tuple(active), evidence, covered)
    for row in (_servicing, _restart, _blocked, _sick, _restart_may_help, _needs_action, _retry, _untested, _absent, _unknown):
        verdict = row(rest)
        if verdict is not None:
            return verdict
    return _healthy(rest)


@dataclass(frozen=True)
class _Rest:
    """What the rows look at: all findings, the active ones, the look."""

    found: tuple[Finding, ...]
    active: tuple[Finding, ...]
    evidence: Evidence | None
    covered: Coverage | None

    @property
    def failing(self) -> list[Finding]:
        """What counts now: neither unordered nor untested."""
        return [item for item in self.active if item.state not in (UNTESTED, UNKNOWN)]

    @property
    def now(self) -> int | None:
        return None if self.evidence is None else self.evidence.now

    def waiting(self, what: str) -> list[Finding]:
        return [item for item in self.failing if item.answer.get("wait") == what]

    def verdict(self, name: str, behind: Sequence[Finding], *, msg: str, next_step: str, search: bool = False) -> Verdict:
        owner, why = None, ""
        if behind:
            owner, why = behind[0].answer.get("owner"), behind[0].code or behind[0].condition or ""
        return Verdict(
            name,
            one_line(msg),
            next_step,
            owner,
            repairs.asked_for(self.found),
            repairs.attempted(self.found),
            why,
            tuple(item.id for item in behind),
            search,
        )


def _unsupported(evidence: Evidence) -> tuple[str, str] | None:
    """Why the host can neither be looked into nor repaired, and what to do."""
    host = evidence.host
    if not evidence.has("host"):
        return f"The host did not say what it is (section host: {evidence.status('host')}).", "Try ansible.windows.win_ping on it."
    if host.elevated is False:
        line = "The account has no administrator rights on the host: connect as a local administrator, or become one."
        return line, "Connect as a local administrator, or become one."
    if host.language_mode not in (None, "FullLanguage"):
        line = f"PowerShell runs in {host.language_mode} on the host: an application control policy wants signed modules."
        return line, "Sign the collection's modules, or allow them in the application control policy."
    if host.is_64bit is False:
        return (
            "PowerShell is a 32-bit process on the host, which sees other folders and keys: use the 64-bit one",
            "Use the 64-bit PowerShell.",
        )
    return None


def _servicing(rest: _Rest) -> Verdict | None:
    work = rest.waiting("servicing")
    if not work:
        return None
    return rest.verdict("busy", work, msg=f"{work[0].meaning}. {work[0].next_step}", next_step=work[0].next_step)


def _restart(rest: _Rest) -> Verdict | None:
    pending = [item for item in rest.failing if item.pending]
    if not pending:
        return None
    # What fails beside it, a newer update above all, will fail after the restart, too.
    msg = _with_others(f"{pending[0].meaning}. {pending[0].next_step}", rest, {item.id for item in pending})
    return rest.verdict("restart_required", pending, msg=msg, next_step=pending[0].next_step)


def _blocked(rest: _Rest) -> Verdict | None:
    blocking = [item for item in rest.failing if item.blocking]
    first = [item for item in rest.failing if item.condition in _REPAIRED_FIRST and "repair" in item.answer]
    if not blocking or first:
        return None
    owners = {item.answer.get("owner") for item in blocking}
    same = [item for item in rest.failing if item.code is not None and item.layer == "scan" and item.answer.get("owner") in owners]
    return _action(rest, [*blocking, *(item for item in same if not item.blocking)])


def _sick(rest: _Rest) -> Verdict | None:
    asking = [item for item in rest.failing if "repair" in item.answer]
    if not asking:
        return None
    names = repairs.asked_for(rest.found)
    first = [item for item in asking if item.answer["repair"] == names[0]]
    causes = [item for item in first if item.code is None][:1]
    failures = [item for item in first if item.code is not None][:1]
    words = "; ".join(say(item, rest.now) for item in [*causes, *failures])
    to_do = ", then ".join(_deed(name, asking) for name in names)
    decided = failures or causes
    verdict = rest.verdict(
        "sick",
        [*decided, *asking],
        msg=_with_others(f"{words}. To do: {to_do}.", rest, {item.id for item in asking}),
        next_step=f"Run fix_wu: it will {_deed(names[0], asking)}.",
    )
    behind = tuple(dict.fromkeys(item.id for item in asking))
    return replace(verdict, owner=None, findings=behind, server=_one_server(asking))


def _one_server(asking: Sequence[Finding]) -> str:
    """The server that may be behind all of these, where it is one."""
    servers = {item.server for item in asking}
    if len(servers) > 1:
        return ""
    return servers.pop()


def _deed(name: str, asking: Sequence[Finding]) -> str:
    """What a repair will do here: where services alone ask for a reset, no folder is touched."""
    ours = [item for item in asking if item.answer["repair"] == name]
    of_services = [item for item in ours if item.condition in ("service_disabled", "service_stopped")]
    # What fails because of such a service asks for no folder either.
    ours = [item for item in ours if not of_services or not _is_service_code(item)]
    steps = dict.fromkeys(_of_service(item) for item in of_services)
    if not of_services and all(_is_service_code(item) for item in ours):
        return "set the start types of the services right that updates need"
    if len(steps) == len(ours):
        return " and ".join(steps)
    if all(item.condition in ("time_source_silent", "time_source_unfit") for item in ours):
        return "turn the host back to the time of its domain"
    return repairs.TITLES[name]


def _of_service(item: Finding) -> str:
    """What a repair will do about a service, in words."""
    if item.condition == "service_disabled":
        return f"set the start type of {item.id.partition(':')[2]} right"
    step = item.next_step.rstrip(".")
    return f"{step[:1].lower()}{step[1:]}"


def _is_service_code(item: Finding) -> bool:
    return item.code is not None and routing.is_service_code(hresult.normalise(item.code))


def _restart_may_help(rest: _Rest) -> Verdict | None:
    waiting = rest.waiting("restart")
    if not waiting:
        return None
    return rest.verdict(
        "restart_required",
        waiting,
        msg=f"{say(waiting[0], rest.now)}. A restart is the first thing to try.",
        next_step=waiting[0].next_step,
    )


def _needs_action(rest: _Rest) -> Verdict | None:
    owned = [item for item in rest.failing if "owner" in item.answer]
    if not owned:
        return None
    return _action(rest, owned)


def _action(rest: _Rest, owned: Sequence[Finding]) -> Verdict:
    """Cause first, then the failure; who must act by the thing.

    A condition (a WSUS that does not answer, a disabled service) explains a failure that its owner answers as well, so both are told.
    """
    ranked = sorted(owned, key=lambda item: (item.code is None and item.condition not in _CAUSES, item.order))
    codes = [item for item in ranked if item.code is not None]
    causes = [item for item in ranked if item.code is None]
    lead = ranked[0]
    if codes and (not causes or causes[0].condition not in _DECIDES_ALONE):
        lead = codes[0]
    cause = next((item for item in causes if item is not lead and item.answer == lead.answer and _explains(item, lead)), None)
    words, step = say(lead, rest.now), lead.next_step
    if cause is not None:
        words, step = f"{cause.meaning}; {words}", cause.next_step
    step = _sentence(step)
    ordered = [lead, *(item for item in owned if item is not lead)]
    told = {lead.id, "" if cause is None else cause.id}
    return rest.verdict("needs_action", ordered, msg=_with_others(_fitted(words, step), rest, told), next_step=step)


def _fitted(words: str, step: str) -> str:
    """What is wrong and what to do. Where both have no room, the step goes without its reason: the next step has all of it."""
    msg, short = f"{words}. {step}", step
    while len(one_line(msg, 10 * _MOST)) > _MOST and ": " in short:
        short = short.rpartition(": ")[0]
        msg = f"{words}. {short}."
    return msg


def _with_others(msg: str, rest: _Rest, told: set[str]) -> str:
    """The sentence, and what else somebody must act on, as far as there is room: a host may have two faults."""
    others = [item for item in rest.failing if item.id not in told and ("owner" in item.answer or "repair" in item.answer)]
    steps = {item.next_step for item in rest.failing if item.id in told}
    left = [item for item in others if item.next_step not in steps]
    for place, item in enumerate(left):
        after = len(left) - place - 1
        # Whatever is told leaves room to say how many more there are.
        room = _MOST - len(_more(after))
        words = (f" Also: {say(item, rest.now)}.", f" Also: {_brief(item)}.", f" Also: {item.code or item.meaning}.")
        also = next((also for also in words if len(one_line(msg + also, 10 * _MOST)) <= room), None)
        if also is None:
            return one_line(msg, _MOST - len(_more(after + 1))) + _more(after + 1)
        msg += also
    return msg


def _more(count: int) -> str:
    return f" Also: {count} more." * bool(count)


def _brief(item: Finding) -> str:
    """A finding by code and thing alone: the second of two faults is to be named where there is little room."""
    if item.code is None:
        return item.meaning.partition(" (")[0]
    return " of ".join(part for part in (item.code, item.kb or called(item.name or "")) if part)


def _explains(cause: Finding, lead: Finding) -> bool:
    """Whether a condition may be why a failure came about."""
    code = None if lead.code is None else int(lead.code, 16)
    if cause.condition == "low_space":
        return code is not None and hresult.describe(code).area == "disk"
    if cause.condition in ("unreachable", "wsus_http"):
        # No port answers under a name that nobody knows.
        return lead.layer in ("scan", "download") and code not in conditions.NAME_NOT_RESOLVED
    if cause.condition == "hosts_file":
        return conditions.is_of_hosts(lead)
    if str(cause.condition).startswith("service_"):
        return routing.is_service_code(code) or routing.is_missing_service_code(code) or lead.layer in ("scan", "download")
    return cause.layer == "policy"


# Conditions that explain failures, and those that decide whatever code stands beside them.
_CAUSES = (
    "unreachable",
    "wsus_http",
    "hosts_file",
    "low_space",
    "service_missing",
    "service_program",
    "service_account",
    "service_disabled",
    "wsus_is_nobody",
    "policy_blocks_updates",
    "policy_incomplete",
)
_DECIDES_ALONE = ("wsus_is_nobody", "service_missing", "service_program", "policy_incomplete")


def _retry(rest: _Rest) -> Verdict | None:
    retry = rest.waiting("retry")
    if not retry:
        return None
    judged = rest.verdict(
        "busy",
        retry,
        msg=f"{say(retry[0], rest.now)}. It may pass by itself{_until(retry[0])}.{_not_all(rest)}",
        next_step=retry[0].next_step,
    )
    return replace(judged, until=retry[0].until)


def _until(item: Finding) -> str:
    """Until when it is left alone: what is still there then does not pass by itself."""
    if item.until is None:
        return " and is left alone for now"
    return f" and is left alone until {conditions.minute(item.until)}"


def _not_all(rest: _Rest) -> str:
    """Beside a failure that passes by itself there may be one that does not."""
    missing = () if rest.covered is None else rest.covered.missing
    if not any(question.startswith(coverage.ALL_FAILURES) for question in missing):
        return ""
    return " There were more failures than a look holds: not all were seen."


def _untested(rest: _Rest) -> Verdict | None:
    untested = [item for item in rest.active if item.state == UNTESTED]
    if not untested:
        return None
    msg = f"{say(untested[0], rest.now)}. The host was repaired or restarted since, and updates were not tried again yet."
    step = "Let the host search for updates and install them (ansible.windows.win_updates), then look again."
    verdict = rest.verdict(
        "unproven", untested, msg=msg, next_step=step, search=_may_search(rest) and any(item.layer == "scan" for item in untested)
    )
    return replace(verdict, owner=None)


def _absent(rest: _Rest) -> Verdict | None:
    by_condition = {item.condition: item for item in rest.found if item.condition in _ABSENCE and item.active}
    stale, behind = by_condition.get(absence.STALE), by_condition.get(absence.BEHIND)
    if stale is not None:
        refused = _search_refused(rest)
        if refused is not None:
            return rest.verdict(
                "unknown", [stale], msg=f"{stale.meaning}, and a live search was not possible. {refused}", next_step=refused
            )
        beside = _beside_silence(rest)
        return rest.verdict(
            "stale",
            [stale],
            msg=f"{stale.meaning}{beside}: a search would tell.",
            next_step=stale.next_step,
            search=_may_search(rest),
        )
    if behind is not None:
        return rest.verdict(
            "behind", [behind], msg=f"{behind.meaning}. {behind.next_step}", next_step=behind.next_step, search=_may_search(rest)
        )
    return None


def _beside_silence(rest: _Rest) -> str:
    """What is known of searches where none of those that count went well: most often nothing."""
    unordered = [item for item in rest.active if item.state == UNKNOWN and item.layer == "scan"]
    if unordered:
        return f"; {say(unordered[0], rest.now)}, at an unknown time"
    # Where automatic updates are off, a program of the administrator may be all that searches.
    others = [item for item in rest.found if item.subject == subjects.OTHER_SEARCH and item.code and item.closed_by_nothing]
    if others:
        return f"; a program that searches for itself failed with {others[0].code}"
    return ", and no failure either"


def _may_search(rest: _Rest) -> bool:
    """Whether a live search was not tried in this look."""
    return rest.evidence is not None and rest.evidence.status("scan") == "missing"


def _search_refused(rest: _Rest) -> str | None:
    """What to do where a live search was tried and not carried out."""
    if rest.evidence is None or seen.has_searched(rest.evidence) or rest.evidence.status("scan") == "missing":
        return None
    return f"{_SEARCH_REFUSED.get(rest.evidence.status('scan'), 'Look into the update agent of the host')}, then look again."


def _unknown(rest: _Rest) -> Verdict | None:
    unordered = [item for item in rest.active if item.state == UNKNOWN]
    if rest.covered is not None and rest.covered.missing:
        missing = rest.covered.missing
        step = _to_see_more(missing)
        msg = f"No failure was seen, but not enough either: {', '.join(missing)}. {step}"
        return rest.verdict("unknown", unordered, msg=msg, next_step=step, search=_may_search(rest))
    if unordered:
        msg = f"{say(unordered[0], rest.now)}. Whether a later success ended it cannot be told from the times."
        verdict = rest.verdict(
            "unknown", unordered, msg=msg, next_step="Let the host search for updates, then look again.", search=_may_search(rest)
        )
        return replace(verdict, owner=None)
    refused = _search_refused(rest)
    if refused is not None and rest.evidence is not None:
        msg = f"No failure was seen, but the live search that was asked for was not possible ({rest.evidence.status('scan')}). {refused}"
        return rest.verdict("unknown", [], msg=msg, next_step=refused)
    return None


def _to_see_more(missing: Sequence[str]) -> str:
    """What would answer the questions: more time, more rights, or a search that leaves a trace."""
    words = " ".join(missing)
    if "timeout" in words:
        return "Run it again with a larger time_limit."
    if "denied" in words:
        return "Run again with -e wu_repair_become=true (become_method runas, become_user SYSTEM)."
    if "failed" in words or "missing" in words:
        return "Look into what could not be read, then look again."
    return "Let the host search for updates, then look again."


def _healthy(rest: _Rest) -> Verdict:
    if rest.evidence is None:
        owed = [item for item in rest.found if item.condition == findings.RESTART_OWED]
        said = "".join(f" {item.meaning}." for item in owed[:2])
        return rest.verdict("healthy", [], msg=f"The logs show no current failure.{said}", next_step=owed[0].next_step if owed else "")
    notices = [item for item in rest.found if item.notice and item.superseded_by is None]
    said = "".join(f" {say(item, rest.now)}: {item.meaning}." if item.code else f" {item.meaning}." for item in notices[:2])
    return rest.verdict("healthy", [], msg=f"Windows Update works: no current failure, and a search succeeded lately.{said}", next_step="")


# --- words ---


def one_line(text: str, limit: int = _MOST) -> str:
    """Text on one printable line, cut at a word."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    if len(line) <= limit:
        return line
    return f"{line[: limit - 3].rsplit(' ', 1)[0]}..."


def _sentence(text: str) -> str:
    return f"{text.rstrip('.')}." * bool(text)


def say(item: Finding, now: int | None = None) -> str:
    """One finding in words, without a full stop."""
    if item.code is None:
        thing = _thing(item) if item.condition in findings.MARKERS else ""
        return f"{item.meaning}: {thing}" if thing and thing not in item.meaning else item.meaning
    parts = [item.code]
    if item.symbol:
        parts.append(f"({item.symbol})")
    parts.append(f"in {findings.LAYERS.get(item.layer, item.layer)}")
    if thing := _thing(item):
        parts.append(_how_named(item, thing))
    told = [" ".join(parts), f"{_times(item.count)}{_also_with(item)}"]
    if item.last_seen is not None and now is not None:
        told.append(f"last {when(item.last_seen, now)}")
    return ", ".join(told)


def _also_with(item: Finding) -> str:
    """The other codes of the tries that were counted."""
    others = [code for code in item.codes if code != item.code] if item.count > 1 else []
    return f" (also with {', '.join(others[:_MOST_CODES])})" if others else ""


def _how_named(item: Finding, thing: str) -> str:
    if item.layer == "scan":
        # A search is made at a server, all else is of a thing.
        return f"at {thing}"
    if item.layer == "store":
        return f"({thing})"
    if item.layer == "upgrade" and thing.startswith("0x"):
        # An upgrade's name may be the phase alone in which it ended.
        return f"(phase {thing})"
    return f"of {thing}"


def _times(count: int) -> str:
    if count == 1:
        return "once"
    return f"{count} times"


def _thing(item: Finding) -> str:
    """What the finding is about, by name: the update, then the component that failed in it."""
    update, name = item.kb or (item.title or "")[:80], called(item.name or "")
    if not update or not name or name in update:
        return update or name
    return f"{update} ({name})"


def when(time: int, now: int) -> str:
    """A moment that a person may read days later."""
    if time > now + 60:
        return "in the host's own future"
    return conditions.minute(time)


# --- the verdict after a change ---


def after_change(
    *, failed: str | None, changed: bool, after: Verdict | None, after_strong_restart: bool, proof: Proof, what: str
) -> Verdict:
    """The verdict of a repair.

    Args:
        failed: why it did not come to its end, None where it did.
        changed: whether the host is different from before.
        after: the verdict of the look after it, None where there is none that can be read.
        after_strong_restart: whether Windows waits for a restart now.
        proof: whether what was asked for is gone; it never makes a verdict better than `after`.
        what: what was done, in words.
    """
    if failed is not None:
        step = "Mend what is named here, or restart the host, then run this again."
        return Verdict("failed", one_line(failed), step, "admin", why=after.why if after is not None else "")
    if after is None:
        return Verdict("unproven", one_line(f"Done: {what}. The host could not be looked at afterwards."), "Look at the host again.")
    if not changed and not what:
        return after
    done = f"Done: {what or 'nothing more'}."
    if after_strong_restart:
        return replace(after, name="restart_required", msg=one_line(f"{done} {after.msg}"))
    if after.name in ("sick", "needs_action", "restart_required"):
        return replace(after, name="unresolved", msg=one_line(f"{done} Not cured: {after.msg}"), repairs=after.repairs)
    reason = proof.reason or "the look after it says more is needed"
    if after.name in ("healthy", "behind") and proof.status == "proved":
        proved = f"{done} Proved by {proof.by}."
        if after.name == "behind":
            proved += f" {after.msg}"
        return replace(after, name="repaired", msg=one_line(proved))
    if after.name in ("healthy", "behind"):
        return replace(after, name="unproven", msg=one_line(f"{done} Not proved: {reason}."), next_step=_to_prove(proof) or _NEXT_TRY)
    step = _to_prove(proof) or after.next_step or _NEXT_TRY
    return replace(after, name="unproven", msg=one_line(f"{done} Not proved: {reason}. {after.msg}"), next_step=step)


def _to_prove(proof: Proof) -> str:
    """What would prove it now; '' where only the next try can."""
    if proof.reason != SEARCH_DENIED:
        return ""
    return f"{_AS_SYSTEM}."


_NEXT_TRY = "Let the host search for updates and install them (ansible.windows.win_updates), then look again."

__all__ = [
    "OUTCOME",
    "OWNERS",
    "RED",
    "Judged",
    "Proof",
    "Verdict",
    "after_change",
    "is_failure",
    "judge",
    "logs",
    "look",
    "one_line",
    "say",
    "when",
]
