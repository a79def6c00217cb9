# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From states to findings: what asks for something, why, and who or what answers it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from . import absence, conditions, hresult, routing, seen, situation, states, subjects
from .evidence import Evidence
from .finding import CLOSED, FAILING, UNKNOWN, UNTESTED, Finding
from .observation import CANCELLED, Observation
from .situation import DAY, HOUR, Settings, Situation
from .states import State, States

# A code that persists longer than this has not passed by itself, so waiting is no answer any more.
PASSES_WITHIN_S = DAY
# Two tries so far apart are no accident of one evening.
_RECURS_S = 20 * 3600
# Updates that come and go count when they failed so often over so long.
_ROLLING_TRIES, _ROLLING_S = 3, 3 * DAY
# A failure of one update is history when others were installed since and the next patch cycle has begun.
_ONE_OFF_S = 14 * DAY
_MOST_LINES = 3

# Where something was seen, for a sentence.
LAYERS = {
    "scan": "searches for updates",
    "cache": "the data store and download cache",
    "download": "downloads",
    "install": "installations",
    "store": "the component store",
    "upgrade": "feature upgrades",
    "service": "services",
    "clock": "time synchronisation",
    "sysprep": "Sysprep",
    "offline": "commands on another image",
    "drivers": "driver packages",
    "tool": "the tools of Windows",
    "sync": "the synchronisation of the WSUS",
}
_ORDER = {"scan": 10, "cache": 11, "download": 12, "store": 13, "install": 14, "upgrade": 15, "service": 16, "clock": 17}

# Conditions that the readers of logs name without a code.
MARKERS = {
    "sr_cannot_repair": "SFC found damaged files that it cannot repair",
    "sr_damaged": "SFC found damaged files",
    "repair_failed": "A repair of the component store failed",
    "payload_corrupt": "The component store holds a damaged payload",
    "manifest_corrupt": "The component store holds a damaged manifest",
    "store_corrupt": "The component store is marked as damaged",
    "cannot_connect": "The update agent could not reach its server",
    "proxy_credentials": "The proxy wants credentials that the update agent does not have",
    "self_update_failed": "The update agent could not update itself",
    "rolled_back": "An installation was rolled back",
    "install_aborted": "An installation was aborted",
    "install_failed": "An installation failed",
    "download_failed": "A download failed",
    "scan_failed": "A search for updates failed",
    "feature_failed": "A Windows feature could not be changed",
    "service_failed": "A service that updates need failed to start or ended",
    "setup_failed": "A feature upgrade failed",
    "offline_image": "A command on an offline image failed: that is another Windows than the one that runs",
    "already_installed": "An update is installed already",
    "not_for_this": "An update does not fit this Windows",
    "driver_refused": "A driver package was not added",
    "not_elevated": "A tool refused to work without administrator rights",
    "sync_failed": "A ConfigMgr site did not synchronise its updates",
    "wrong_dism": "A tool refused to work on this Windows",
    "catalog_corrupt": "The component store holds a damaged catalog",
    "mum_corrupt": "The component store holds a damaged package manifest",
    "mum_missing": "A package manifest of the component store is missing",
    "component_gone": "A component that something needs is gone from the component store",
    "payload_missing": "A payload of the component store is missing",
    "payload_file_missing": "A payload of the component store is missing",
    "repair_file_missing": "CheckSUR did not get the files that repair the component store",
    "manifest_missing": "A manifest of the component store is missing",
    "compat_block": "A program, driver or device blocks the feature upgrade",
    "sysprep": "Sysprep failed",
    "sfc_could_not_run": "SFC could not run",
    "sfc_no_service": "SFC could not start the service that repairs (TrustedInstaller)",
    "dism_could_not_run": "DISM could not open Windows",
    "sfc_repair_pending": "SFC waits for a restart",
    "clock_not_synchronised": "The clock is not synchronised",
    "clock_runs_free": "The clock follows no time source",
    "clock_beyond_limit": "The clock is further off than the time service may correct",
    "clock_off": "The clock is off by more than five minutes",
    "no_time_data": "No time source has given the time",
    "time_data_stale": "The time source gives old data alone",
    "time_source_failed": "A time source does not serve this host",
    "on_the_way": "An error on the way of a set-up",
}


_FOREIGN_SERVICE = "A service that updates do not need failed to start or ended"


@dataclass(frozen=True)
class Diagnosis:
    """What a look, or a set of logs, comes to before the verdict."""

    findings: tuple[Finding, ...]
    states: States
    situation: Situation


def find(evidence: Evidence, settings: Settings) -> list[Finding]:
    """Everything that is wrong with a host, most important first, history last."""
    return list(diagnose(evidence, settings).findings)


def diagnose(evidence: Evidence, settings: Settings, more: Iterable[Observation] = ()) -> Diagnosis:
    """The findings of a host, with the states that they come from; `more` was seen beside the evidence."""
    host = situation.of(evidence, settings)
    host = replace(host, restart_pending=bool(conditions.reboot_markers(evidence)))
    known = states.of([*seen.observations(evidence), *more], host)
    host = _by_search_in_use(host, known)
    found, host = _from_states(known, host, settings)
    active = tuple(item for item in found if item.active and item.code is not None and item.state != UNTESTED)
    recent = conditions.Recent(active, absence.last_search(known, host), absence.last_quality_success(known, host))
    found += conditions.find(evidence, settings, host, recent)
    found += absence.find(evidence, known, settings, host, found)
    found = [_explained(item, found) for item in found]
    return Diagnosis(tuple(_ordered([*found, *_hints(found, settings)])), known, host)


def from_observations(observations: Iterable[Observation], settings: Settings, now: int | None = None) -> list[Finding]:
    """The same from logs alone, without the host that wrote them: what only the host could say stays unknown."""
    return list(diagnose_logs(observations, settings, now).findings)


def diagnose_logs(observations: Iterable[Observation], settings: Settings, now: int | None = None) -> Diagnosis:
    """The findings of logs alone, with the states that they come from."""
    nobody = Situation(now=now, skew_s=settings.max_skew_s)
    known = states.of(observations, nobody)
    found, nobody = _from_states(known, nobody, settings)
    found += _restart_owed(known, nobody)
    return Diagnosis(tuple(_ordered([*found, *_hints(found, settings)])), known, nobody)


def _ordered(found: Iterable[Finding]) -> list[Finding]:
    return sorted(found, key=lambda item: (item.superseded_by is not None, item.notice, item.order, -(item.last_seen or 0), item.id))


def _by_search_in_use(host: Situation, known: States) -> Situation:
    """Who was asked decides who answers: a WSUS that a policy names but nobody searches is not the one that failed."""
    in_use = known.search.removeprefix("search:")
    if in_use not in (situation.WSUS, situation.MICROSOFT):
        return host
    return replace(host, required_class=in_use)


# --- failures ---


def _from_states(known: States, host: Situation, settings: Settings) -> tuple[list[Finding], Situation]:
    """A finding for each subject that failed. The store and the services come first: they decide what a failed installation asks for."""
    host = replace(host, service_broken=_broken_services(known))
    every = [state for state in known.by_subject.values() if state.failures]
    first = [state for state in every if state.subject.startswith("store:")]
    found = [_finding(state, known, host, settings) for state in first]
    host = replace(host, store_damaged=any(item.active for item in found))
    found += [_finding(state, known, host, settings) for state in every if state not in first]
    return [*found, *_never_ending(known, host), *_not_kept(known, host)], host


_NEVER_ENDS = {"download": "download_never_ends"}
# The message of event 44 names no update: in an export as text all that were begun are one.
_NAMELESS = "update:"


def _never_ending(known: States, host: Situation) -> Iterator[Finding]:
    """Downloads and installations that are begun again and again and never end: nothing fails, and nothing gets installed."""
    for state in known.by_subject.values():
        is_named = state.subject.startswith(("update:", "upgrade:")) and state.subject != _NAMELESS
        if state.alive or not is_named or subjects.is_rolling(state.subject):
            continue
        started = [one for one in state.started if one.marker != RESTART_OWED]
        times = [time for one in started for time in (one.first, one.time) if time is not None]
        tries = sum(max(1, one.count) for one in started)
        if tries < _ROLLING_TRIES or max(times, default=0) - min(times, default=0) < _ROLLING_S:
            continue
        marker = _NEVER_ENDS.get(started[-1].layer, "never_ended")
        told = f"was begun {tries} times in {(max(times) - min(times)) // DAY} days, and neither succeeded nor failed"
        yield replace(_without_code(state, started, marker, told, host), condition="never_ends", id=f"never_ends:{state.subject}")


# What the servicing stack says of a package that waits; a host itself says better whether it waits still.
RESTART_OWED = "restart_owed"


def _restart_owed(known: States, host: Situation) -> Iterator[Finding]:
    """Packages that waited for a restart when the logs ended: whatever was installed later came after one, or may have."""
    installed = [one for state in known.by_subject.values() for one in state.successes if one.layer == "install"]
    last = max((states.newness(one) for one in installed), default=None)
    for state in known.by_subject.values():
        owed = [one for one in state.started if one.marker == RESTART_OWED]
        if state.alive or not owed or (last is not None and last > states.newness(owed[-1])):
            continue
        yield replace(_without_code(state, owed, RESTART_OWED, "waits for a restart", host), notice=True)


def _without_code(state: State, seen: Sequence[Observation], marker: str, told: str, host: Situation) -> Finding:
    """What goes wrong without any failure being written; `seen` tells of it, newest last."""
    newest = seen[-1]
    times = [time for one in seen for time in (one.first, one.time) if time is not None]
    failure = routing.Failure(newest.layer, marker=marker, subject=state.subject, kb=newest.kb, title=newest.title)
    routed = routing.answer_for(failure, host)
    return Finding(
        id=f"{marker}:{state.subject}",
        subject=state.subject,
        layer=newest.layer,
        meaning=f"{newest.kb or newest.title or state.subject} {told}",
        answer=routed.answer,
        next_step=routed.next_step,
        condition=marker,
        kb=newest.kb,
        title=newest.title,
        lines=(newest.line,),
        seen_in=_seen_in(seen),
        source=newest.source,
        first_seen=min(times, default=None),
        last_seen=max(times, default=None),
        count=sum(max(1, one.count) for one in seen),
        order=18,
    )


def _not_kept(known: States, host: Situation) -> Iterator[Finding]:
    """Updates that went in and are not there: taken back at the restart, or installed and offered again and again."""
    if host.restart_pending:
        return
    searches = [one for one in known.get(known.search).successes if one.found is not None and subjects.is_general(one)]
    last = max(searches, key=lambda one: (one.source == "scan", one.time or 0), default=None)
    for state in known.by_subject.values():
        installed = [one for one in state.successes if one.layer == "install" and one.time is not None and not host.is_future(one.time)]
        if state.alive or not installed or not state.subject.startswith(("update:", "driver:")):
            continue
        newest = max(installed, key=states.newness)
        same = sorted((one for one in installed if one.update == newest.update and one.source == newest.source), key=states.newness)
        if last is not None and last.found == 0 and (last.time or 0) > (newest.time or 0):
            continue
        if state.subject == subjects.OS and absence.was_taken_back(newest, host):
            told = f"was installed and taken back: the host has started since and runs {host.build}.{host.revision}"
            yield _without_code(state, same, "taken_back", told, host)
        elif _is_installed_again(same) or _is_offered_still(newest, last, host):
            finding = _without_code(state, same, "installed_again", "was installed and is offered again", host)
            yield replace(finding, notice=subjects.is_rolling(state.subject))


def _is_installed_again(same: Sequence[Observation]) -> bool:
    """Whether one update went in three times over three days: ansible.windows calls that an update loop."""
    times = [time for one in same for time in (one.first, one.time) if time is not None]
    counts = [max(1, one.count) for one in same]
    # Each installation is told by several lines of WindowsUpdate.log, and by one more when the host has started again.
    tries = min(counts) if same[0].source == "wulog" else sum(counts)
    return same[0].update is not None and tries >= _ROLLING_TRIES and max(times) - min(times) >= _ROLLING_S


def _is_offered_still(newest: Observation, last: Observation | None, host: Situation) -> bool:
    """Whether a live search offers what went in a day ago or before the last start: a search before its restart does so rightly."""
    if last is None or last.source != "scan" or newest.update is None:
        return False
    settled = host.restarted_since(newest.time) or (host.now or 0) - (newest.time or 0) > DAY
    return settled and newest.update.lower() in {names[0].lower() for names in last.offered or () if names}


def _broken_services(known: States) -> tuple[str, ...]:
    """Services whose program could not be loaded: a file, a path, a module, a procedure that is not there, or a bad path name."""
    codes = (0x80070002, 0x80070003, 0x8007007E, 0x800700A1, 0x8007007F)
    alive = [state for state in known.alive() if state.subject.startswith("service:")]
    return tuple(state.subject.partition(":")[2] for state in alive if any(one.code in codes for one in state.failures))


def _finding(state: State, known: States, host: Situation, settings: Settings) -> Finding:
    if not state.alive:
        return _history(state, host)
    weight = _weight(state, known, host)
    finding = _worst(state, known, host, settings)
    if weight == _NOTHING:
        return replace(finding, state=CLOSED, superseded_by=f"nothing: {_why_nothing(state)}")
    if weight == _NOTICE:
        return replace(finding, notice=True)
    return finding


def _worst(state: State, known: States, host: Situation, settings: Settings) -> Finding:
    """What its newest failure comes to; one whose code is only worth a notice hides no other failure of the subject."""
    finding = _alive(state, known, host, settings)
    others = tuple(one for one in state.failures if one.code is None or hresult.hex_of(one.code) != finding.code)
    if not finding.notice or len(others) in (0, len(state.failures)):
        return finding
    other = _worst(replace(state, failures=others), known, host, settings)
    return finding if other.notice else other


_FAULT, _NOTICE, _NOTHING = "fault", "notice", "nothing"
_NO_MATTER = "updates of Windows do not depend on it"
_ON_THE_WAY = "set-ups that end well write it, too; the result of this one is not in the log"
_GIVEN_UP = "it was cancelled, which is no fault of updates"
_ASKED_BESIDE = "that service is asked beside the one that counts, and may bring updates, too"


def _why_nothing(state: State) -> str:
    """Why a failure is neither a fault nor worth a word."""
    if state.subject.startswith("upgrade:"):
        return _ON_THE_WAY
    if state.subject == subjects.FLIGHTING_SEARCH:
        return _ASKED_BESIDE
    if not state.subject.startswith("app:") and all(_is_cancelled(one) for one in state.failures):
        return _GIVEN_UP
    return _NO_MATTER


def _weight(state: State, known: States, host: Situation) -> str:
    """Whether the subject's failure is a fault of updates, worth a word, or nothing."""
    subject = state.subject
    kind = subject.partition(":")[0]
    if kind == "search":
        return _search_weight(state, known, host)
    if kind == "app":
        return _NOTHING
    if kind == "upgrade":
        return _fault_or(_NOTHING, any(one.marker != "on_the_way" for one in state.failures))
    if kind == "sysprep":
        # No update of a host depends on it; who gives its log asks about it.
        return _fault_or(_NOTICE, not host.host)
    if all(_is_cancelled(one) for one in state.failures):
        return _fault_or(_cancelled_weight(state, host), _keeps_failing(state))
    if subjects.is_rolling(subject):
        return _fault_or(_NOTICE, _keeps_failing(state))
    if kind == "service":
        return _service_weight(state, host)
    if subject == "clock":
        return _fault_or(_NOTICE, not host.host and not _is_silent_source(state, known))
    if kind in ("update", "servicing", "feature") and subject not in (subjects.OS, subjects.DOTNET, subjects.SSU):
        return _one_off_weight(state, known, host)
    return _FAULT


def _search_weight(state: State, known: States, host: Situation) -> str:
    """Searches that updates need are a fault; of the service that is asked beside them nobody knows what a host may do without."""
    if _is_given_up(state):
        return _NOTHING
    if state.subject == subjects.FLIGHTING_SEARCH:
        return _NOTICE if host.required_class == situation.MICROSOFT and _keeps_failing(state) else _NOTHING
    return _fault_or(_NOTHING, state.subject in (known.search, subjects.UNKNOWN_SEARCH))


def _cancelled_weight(state: State, host: Situation) -> str:
    """Who gives a log asks what became of the update in it; on a host the next try says more than one that was given up."""
    is_asked = not host.host and subjects.is_quality(state.subject) and any(one.layer == "install" for one in state.failures)
    return _NOTICE if is_asked else _NOTHING


# What the time service says of the clock itself.
_CLOCK_IS_WRONG = ("clock_beyond_limit", "clock_not_synchronised", "time_service_failed")


# The time service asks a source at least so often, and writes an event each time that it does not answer.
_ASKS_AGAIN_S = 7 * DAY


def _is_silent_source(state: State, known: States) -> bool:
    """Whether events tell but of a time source that did not answer now and then: every start without a network does that."""
    events = all(one.source.startswith("event:") and one.marker not in _CLOCK_IS_WRONG for one in state.failures)
    end = _end_of_logs(known)
    is_over = end is not None and state.last is not None and end - state.last > _ASKS_AGAIN_S
    return events and (is_over or not _keeps_failing(state))


def _is_cancelled(one: Observation) -> bool:
    """Whether somebody or the agent itself gave the try up: WU_E_CALL_CANCELLED, ERROR_CANCELLED."""
    return one.outcome == CANCELLED or one.code in (0x8024000B, 0x800704C7)


def _is_given_up(state: State) -> bool:
    """Whether all tries were given up and it did not come to that again and again: a host that is shut down cancels its searches."""
    return all(_is_cancelled(one) for one in state.failures) and not _keeps_failing(state)


def _fault_or(other: str, is_fault: bool) -> str:
    if is_fault:
        return _FAULT
    return other


def _keeps_failing(state: State) -> bool:
    """Three tries over three days: it does not come and go any more."""
    if state.first is None or state.last is None:
        return False
    return state.tries >= _ROLLING_TRIES and state.last - state.first >= _ROLLING_S


# A service that runs was slow to answer the service manager, as all are that wake from a sleep. One that hangs is told by others, too.
_SLOW = "event:Service Control Manager/7011"


def _service_weight(state: State, host: Situation) -> str:
    name = state.subject.partition(":")[2]
    if all(one.source == _SLOW for one in state.failures):
        return _NOTICE
    if not host.host:
        return _fault_or(_NOTHING, name in routing.SERVICES)
    return _fault_or(_NOTICE, routing.SERVICES.get(name, {}).get("needed") == "always")


def _one_off_weight(state: State, known: States, host: Situation) -> str:
    """A fault if nothing else was tried since, else for two weeks: then the next patch cycle has passed it by."""
    today = host.now if host.host else _end_of_logs(known)
    if today is None or state.last is None or today - state.last <= _ONE_OFF_S:
        return _FAULT
    others = [one for other in known.by_subject.values() if other.subject != state.subject for one in _tries(other)]
    return _fault_or(_NOTICE, not any(one.time is not None and one.time > state.last for one in others))


def _end_of_logs(known: States) -> int | None:
    """The newest moment in logs alone: a log may be read years after it ended, and nobody knows what came later."""
    return max((one.time for one in known.observations if one.time is not None), default=None)


def _tries(state: State) -> list[Observation]:
    """The installations of a subject that count as another try of the host."""
    if not subjects.is_quality(state.subject):
        return []
    return [one for one in (*state.failures, *state.successes) if one.layer == "install"]


def _alive(state: State, known: States, host: Situation, settings: Settings) -> Finding:
    failure, routed, verdict_of_state = _routed(state, known, host, settings)
    lead = _lead(state)
    told = _Told.of(failure.code, failure.marker)
    times = [one.time for one in state.failures if one.time is not None and not host.is_future(one.time)]
    return Finding(
        id=f"{told.name}@{state.subject}",
        subject=state.subject,
        layer=lead.layer,
        meaning=_foreign(state) or _meaning(told, routed, host),
        answer=routed.answer,
        next_step=routed.next_step,
        state=verdict_of_state,
        code=told.code,
        codes=_codes(state),
        condition=told.condition,
        symbol=told.symbol,
        name=_named(state) or failure.name,
        kb=failure.kb,
        title=failure.title,
        lines=_lines(state),
        seen_in=_seen_in((*state.failures, *state.reasons)),
        source=lead.source,
        first_seen=state.first,
        last_seen=max(times, default=None),
        count=_count(state),
        notice=routed.notice,
        # No search succeeds until its owner has acted: nothing that a repair here does could be proved.
        blocking=state.subject.startswith("search:") and "owner" in routed.answer and not routed.notice,
        server=routing.server_of(failure, routed, host),
        attempt=routed.attempt,
        order=_order(state, lead),
        related_codes=_related(state),
        until=_retried_until(routed, state, known, host),
    )


def _codes(state: State) -> tuple[str, ...]:
    """All codes of the failures, the newest first."""
    codes = [one.code for one in sorted(_final(state), key=states.newness, reverse=True) if one.code is not None]
    return tuple(dict.fromkeys(hresult.hex_of(code) for code in codes))


# ERROR_FAIL_REBOOT_REQUIRED: a repair of the store is pending.
_RESTART_BEFORE_REPAIR = 0x80070BC9
# MOSETUP_E_COMPAT_*: the upgrade was refused before it began.
_REFUSED = range(0xC1900200, 0xC1900210)
# What comes again every few days hides no update of the month.
_ROLLING_ORDER = 20


def _order(state: State, lead: Observation) -> int:
    if subjects.is_rolling(state.subject):
        return _ROLLING_ORDER
    return 9 if lead.source == "scan" else _ORDER.get(lead.layer, 19)


def _lead(state: State) -> Observation:
    """The failure that stands for all: the result of set-up before errors on the way, what failed before what was given up, the newest."""
    final = _final(state)
    final = [one for one in final if not _is_cancelled(one)] or final
    newest = max(final, key=states.newness)
    chosen = [one for one in final if one.code is not None and not _is_overtaken(one, newest)] or final
    return replace(state, failures=tuple(chosen)).newest


def _is_overtaken(one: Observation, newest: Observation) -> bool:
    """Whether what was seen last, though it has no code, says more than an older code.

    The clock's newest word is its state; and a check of the store that ran to its end did not wait for a restart any more.
    """
    if newest.code is not None or one.time is None or newest.time is None:
        return False
    if one.layer == "clock":
        return newest.time - one.time > HOUR
    return one.code == _RESTART_BEFORE_REPAIR and newest.marker == "store_corrupt" and newest.time > one.time


def _final(state: State) -> list[Observation]:
    """The failures that count: a set-up's result, or, where there is none, all that was seen."""
    return [one for one in state.failures if one.marker != "on_the_way"] or list(state.failures)


def _related(state: State) -> tuple[str, ...]:
    codes = [code for one in state.failures for code in one.related]
    codes += [one.code for one in _newest_reasons(state) if one.code is not None]
    final = {one.code for one in _final(state)}
    codes += [one.code for one in reversed(state.failures) if one.code is not None and one.code not in final]
    return tuple(dict.fromkeys(hresult.hex_of(code) for code in codes))[:8]


def _newest_reasons(state: State) -> list[Observation]:
    return sorted(state.reasons, key=states.newness, reverse=True)


# SetupDiag names the reason, set-up the file; the others repeat the code.
_LINE_ORDER = {"registry": 0, "setup": 1}


def _lines(state: State) -> tuple[str, ...]:
    """Up to three lines of the logs: what the servicing stack said first, then the failure itself."""
    newest_first = sorted(state.failures, key=states.newness, reverse=True)
    ranked = sorted(_newest_reasons(state), key=lambda one: one.name is None)
    ranked += sorted(newest_first, key=lambda one: (_LINE_ORDER.get(one.source, 2), one.marker == "on_the_way"))
    chosen: dict[str, Observation] = {}
    for one in ranked:
        if one.line and len(chosen) < _MOST_LINES:
            chosen.setdefault(one.line, one)
    return tuple(one.line for one in sorted(chosen.values(), key=states.newness))


def _seen_in(seen: Iterable[Observation]) -> tuple[str, ...]:
    """Up to three logs, those of the newest lines first."""
    newest_first = sorted(seen, key=states.newness, reverse=True)
    return tuple(dict.fromkeys(one.seen_in for one in newest_first if one.seen_in))[:_MOST_LINES]


def _things(state: State) -> list[str]:
    """What of the component store is damaged, by name, newest first: several lines may speak of one file, some without its component."""
    if not state.subject.startswith("store:"):
        return []
    names: dict[str, str] = {}
    for one in sorted(state.failures, key=states.newness, reverse=True):
        if one.name:
            # SFC and the drivers' part of it spell a file in two ways.
            names.setdefault(one.name.lower(), one.name)
    return [name for key, name in names.items() if not any(other.startswith(f"{key} of ") for other in names)]


def _named(state: State) -> str | None:
    """All that is damaged, as far as there is room for names."""
    names = _things(state)
    if len(names) <= 1:
        return names[0] if names else None
    more = len(names) - _MOST_LINES
    return ", ".join(names[:_MOST_LINES]) + (f" and {more} more" if more > 0 else "")


def _count(state: State) -> int:
    """Things where they have names, else tries."""
    return len(_things(state)) or state.tries


def _routed(state: State, known: States, host: Situation, settings: Settings) -> tuple[routing.Failure, routing.Routed, str]:
    """Who or what answers the failure, and whether it is still untested."""
    failure = _as_failure(state, known, host)
    host = _with_proved_clock(state, known, host)
    hopeful = replace(failure, restarted_since=False, reset_tried=False)
    answer = routing.answer_for(hopeful, host)
    tried = _tried_since(state, hopeful, answer, host, settings)
    if tried is not None and host.now is not None and host.now - tried <= settings.stale_days * DAY:
        return failure, answer, UNTESTED
    if tried is not None:
        failure = replace(failure, restarted_since=True, reset_tried=True)
    return failure, routing.answer_for(failure, host), state.name


def _as_failure(state: State, known: States, host: Situation) -> routing.Failure:
    lead = _lead(state)
    named = (lead, *reversed(state.failures), *_newest_reasons(state))
    inner = next((one.name for one in (*_newest_reasons(state), lead, *_results(state)) if one.name), None)
    if state.subject.startswith("upgrade:"):
        inner = routing.phase_and_culprit([inner, *(one.name for one in _results(state))])
    # Of several lines about one update one alone may say whose file it was.
    service = next((one.service for one in (lead, *reversed(state.failures)) if one.service), "")
    asked = subjects.SERVICE_CLASSES.get(service)
    if state.subject.startswith("search:"):
        asked = state.subject.removeprefix("search:")
    return routing.Failure(
        layer=lead.layer,
        code=lead.code,
        marker=lead.marker,
        subject=state.subject,
        asked=asked,
        kb=next((one.kb for one in named if one.kb), None),
        title=next((one.title for one in named if one.title), None),
        name=inner,
        lasting=_is_lasting(state, known, host),
        lasted=_has_lasted(state, host),
        # Whether a start came after a failure of the future nobody knows: no run after run is to ask for one.
        restarted_since=host.restarted_since(state.first) or any(host.is_future(one.time) for one in state.failures),
        reset_tried=_reset_did_not_cure(state, lead.code, host),
        source=lead.source,
    )


def _results(state: State) -> list[Observation]:
    """What names the phase in which an upgrade ended, or what ended it: one that began to copy was not stopped by what blocks."""
    codes = [one.code for one in _final(state) if one.code is not None]
    is_refused = not codes or any(code in _REFUSED for code in codes)
    return [one for one in state.failures if one.marker == "final" or (is_refused and one.marker == "compat_block")]


def _is_lasting(state: State, known: States, host: Situation) -> bool:
    """Whether it has not passed by itself: searches until the last success is a day old, all else a day after it began."""
    now, until = host.now or state.last, _passes_until(state, known, host)
    if now is None or until is None or now > until:
        return True
    return not state.subject.startswith("search:") and (state.last or 0) - (state.first or 0) > _RECURS_S


def _has_lasted(state: State, host: Situation) -> bool:
    """Whether it was seen for more than a day, or began so long before a look."""
    seen_last = host.now if host.host else state.last
    return state.first is not None and seen_last is not None and seen_last - state.first > PASSES_WITHIN_S


def _retried_until(routed: routing.Routed, state: State, known: States, host: Situation) -> int | None:
    if routed.answer.get("wait") != "retry":
        return None
    return _passes_until(state, known, host)


def _passes_until(state: State, known: States, host: Situation) -> int | None:
    """How long it may still pass by itself; None where nobody knows."""
    now = host.now or state.last
    if state.subject.startswith("search:"):
        good = [time for name in (state.subject, known.search) if (time := known.get(name).last_success()) is not None]
        return max((time + _passes_within(state) for time in good if now is not None and time <= now), default=None)
    if state.first is None or state.last is None:
        return None
    return state.first + PASSES_WITHIN_S


def _passes_within(state: State) -> int:
    """So old the last success may be. Hosts search every 22 hours: after one miss it is always older than a day."""
    if state.tries == 1:
        return PASSES_WITHIN_S + _RECURS_S
    return PASSES_WITHIN_S


def _reset_did_not_cure(state: State, code: int | None, host: Situation) -> bool:
    """Whether the same subject failed before and after a reset of ours, and never went well in between: another cures it no better."""
    reset = max((host.reset_at[name] for name in routing.reset_folders(code) if name in host.reset_at), default=None)
    if reset is None or state.last is None or state.last < reset:
        return False
    before = state.first is not None and state.first < reset
    good_since = any(one.earliest is not None and one.earliest > reset and not host.is_future(one.time) for one in state.successes)
    return before and not good_since


def _tried_since(state: State, failure: routing.Failure, answer: routing.Routed, host: Situation, settings: Settings) -> int | None:
    """When, after the last try, something was done that may have cured it; None where it failed since, or nothing was done."""
    if state.last is None:
        return None
    if any(host.is_future(one.time) for one in state.failures):
        return _reset_since_a_wrong_clock(failure, answer, host)
    done: list[int] = []
    if answer.answer.get("repair") == "reset":
        done += [host.renewed[name][0] for name in routing.reset_folders(failure.code) if name in host.renewed]
    if answer.answer.get("wait") == "restart" and host.boot_time is not None:
        done.append(host.boot_time)
    later = [time for time in done if time > state.last and not host.is_future(time)]
    fitting = {answer.answer.get("repair")}
    if routing.is_service_code(failure.code):
        fitting.add("reset")
    if routing.is_clock_code(failure.code):
        fitting.add("timesync")
    # The look before a repair of this run saw the failure, so the repair came after it, be it within the same second.
    later += [time for name, time in settings.repaired if name in fitting and time >= state.last]
    return max(later, default=None)


def _reset_since_a_wrong_clock(failure: routing.Failure, answer: routing.Routed, host: Situation) -> int | None:
    """Our last reset, where a clock that ran ahead dated the failure: it seems later than any reset, and would ask for one in each run."""
    if answer.answer.get("repair") != "reset":
        return None
    return max((host.reset_at[name] for name in routing.reset_folders(failure.code) if name in host.reset_at), default=None)


def _with_proved_clock(state: State, known: States, host: Situation) -> Situation:
    """TLS that went well after the failure speaks for the host's clock: a certificate of one file is not the clock's."""
    if host.clock.state == "right" or state.last is None:
        return host
    good = [
        one for name, other in known.by_subject.items() if name.startswith("search:") and name != "search:wsus" for one in other.successes
    ]
    good = [one for one in good if one.source != "agent" and not host.is_future(one.time)]
    if any(one.latest is not None and one.latest >= state.last for one in good):
        return replace(host, clock=replace(host.clock, state="right"))
    return host


def _history(state: State, host: Situation) -> Finding:
    """A failure that something has ended: told, but it asks for nothing."""
    lead = _lead(state)
    told = _Told.of(lead.code, lead.marker)
    last_seen = lead.time
    if host.is_future(last_seen):
        last_seen = None
    return Finding(
        id=f"{told.name}@{state.subject}",
        subject=state.subject,
        layer=lead.layer,
        meaning=_foreign(state) or told.meaning,
        answer={"owner": "admin"},
        next_step="",
        state=CLOSED,
        code=told.code,
        codes=_codes(state),
        condition=told.condition,
        symbol=told.symbol,
        name=_named(state) or lead.name,
        kb=lead.kb,
        title=lead.title,
        lines=_lines(state)[-1:],
        seen_in=_seen_in(state.failures),
        source=lead.source,
        first_seen=state.first,
        last_seen=last_seen,
        count=_count(state),
        superseded_by=state.closed_by,
        related_codes=_related(state),
        order=_ORDER.get(lead.layer, 19),
    )


@dataclass(frozen=True)
class _Told:
    """How a failure is told: by its code, or by the marker where there is none."""

    name: str
    meaning: str
    code: str | None = None
    symbol: str = ""
    condition: str | None = None

    @classmethod
    def of(cls, code: int | None, marker: str | None) -> _Told:
        if code is None:
            return cls(str(marker), MARKERS.get(str(marker), str(marker).replace("_", " ")), condition=marker)
        info = hresult.describe(code)
        return cls(info.hex, info.meaning or "A code that no table of this collection holds", info.hex, info.symbol)


def _foreign(state: State) -> str:
    """What is said of a service that updates do not need: what its code means was written for updates."""
    kind, _colon, name = state.subject.partition(":")
    return _FOREIGN_SERVICE if kind == "service" and name and not routing.is_ours(name) else ""


def _meaning(told: _Told, routed: routing.Routed, host: Situation) -> str:
    if routed.answer.get("owner") in ("policy", "management") and host.policies:
        return f"{told.meaning} ({', '.join(host.policies)})"
    return told.meaning


def _explained(finding: Finding, found: Sequence[Finding]) -> Finding:
    """A failed search whose cause stands beside it as a condition is answered by who answers for the cause."""
    if not finding.active or finding.code is None:
        return finding
    code = int(finding.code, 16)
    causes = [item for item in found if item.active and item.code is None and item.id != finding.id]
    for item in causes:
        if item.condition == "low_space" and hresult.describe(code).area == "disk":
            return replace(finding, answer=item.answer, next_step=item.next_step, blocking=True)
        if item.condition == "cache_is_link" and finding.answer.get("repair") == "reset":
            return replace(finding, answer=item.answer, next_step=item.next_step)
        if not finding.subject.startswith("search:"):
            continue
        if item.condition in ("service_missing", "service_program") and routing.is_missing_service_code(code):
            return replace(finding, answer=item.answer, next_step=item.next_step, blocking=True)
        if item.condition == "hosts_file" and conditions.is_of_hosts(finding):
            return replace(finding, answer=item.answer, next_step=item.next_step, blocking=True)
        if item.condition == "clock_disagrees" and routing.is_clock_code(code):
            return replace(finding, answer=item.answer, next_step=item.next_step, blocking=True)
    return finding


def _hints(found: Iterable[Finding], settings: Settings) -> list[Finding]:
    """What somebody reported and nothing on the host shows: said, but never acted on."""
    shown = {code for item in found for code in (item.code, *item.codes)}
    hints = []
    for code in dict.fromkeys(settings.reported):
        info = hresult.describe(code)
        if info.hex in shown:
            continue
        hints.append(
            Finding(
                id=f"{info.hex}@reported",
                subject="reported",
                layer="reported",
                meaning=info.meaning,
                answer={"wait": "search"},
                next_step="Search for updates and look again.",
                state=CLOSED,
                code=info.hex,
                symbol=info.symbol,
                source="reported",
                superseded_by="nothing: only reported, the host shows no trace of it",
                order=120,
            )
        )
    return hints


def is_unknown(finding: Finding) -> bool:
    """Whether a success of its subject is there that cannot be ordered against the failure."""
    return finding.state == UNKNOWN


__all__ = ["FAILING", "LAYERS", "Diagnosis", "Finding", "Settings", "diagnose", "diagnose_logs", "find", "from_observations", "is_unknown"]
