# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From observations to the state of each subject. States are defined by sets: neither order nor duplicates can matter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from . import releases, subjects
from .finding import CLOSED, FAILING, GOOD, UNKNOWN, UNSEEN
from .observation import CANCELLED, FAILED, OK, STARTED, Observation, file_of
from .situation import HOUR, MICROSOFT, Situation

# What the servicing stack logs belongs to the update that failed within this time.
_ONE_FAILURE_S = HOUR
_STACK = ("cbs", "dism")
# SFC looks at the files in use, DISM at the store: neither proves what the other one found.
_STORE_PROOF = {"store:files": ("sr_repaired",), "store:packages": ("store_repaired", "store_clean")}


@dataclass(frozen=True)
class State:
    """What is known of one subject.

    Attributes:
        name: `good`, `failing`, `unknown`, `closed` or `unseen` (`untested` is decided with the answer).
        failures: the failures that are alive, or, where none is, those that were; newest last.
        successes: the successes of the subject itself.
        started: tries that were begun after the last success.
        closed_by: why no failure is alive.
        reasons: what the servicing stack logged about the same failures: the inner reason and the named component.
    """

    subject: str
    name: str
    failures: tuple[Observation, ...] = ()
    successes: tuple[Observation, ...] = ()
    started: tuple[Observation, ...] = ()
    closed_by: str | None = None
    reasons: tuple[Observation, ...] = ()

    @property
    def alive(self) -> bool:
        """Whether a failure counts."""
        return self.name in (FAILING, UNKNOWN)

    @property
    def first(self) -> int | None:
        """When the failures began, Unix seconds."""
        times = [time for one in self.failures for time in (one.first, one.time) if time is not None]
        return min(times, default=None)

    @property
    def last(self) -> int | None:
        """The latest moment that a failure can stand for."""
        return max((one.latest for one in self.failures if one.latest is not None), default=None)

    @property
    def tries(self) -> int:
        """How often it failed: one failure is written to several logs, so the sources are not added up."""
        by_source: dict[str, int] = {}
        # A set-up fails once, by its result, however many errors it logged on the way, and whatever its report warned of.
        for one in [one for one in self.failures if one.marker not in ("on_the_way", "compat_block")] or self.failures:
            # A count of 0: one more line of a try that is counted already.
            by_source[one.source] = by_source.get(one.source, 0) + one.count
        return max(1, *by_source.values()) if by_source else 0

    @property
    def newest(self) -> Observation:
        """The failure that was seen last. Of one moment the one with a code and a title tells more."""
        return max(self.failures, key=newness)

    def last_success(self) -> int | None:
        """When it last went well by a log, Unix seconds."""
        return max((one.time for one in self.successes if one.time is not None and one.source != "agent"), default=None)


@dataclass(frozen=True)
class States:
    """All subjects of a host or of a set of logs. `search` is the subject of the searches that its quality updates need."""

    by_subject: Mapping[str, State]
    search: str
    observations: tuple[Observation, ...] = ()

    def get(self, subject: str) -> State:
        """The state of a subject, `unseen` for one that nothing was seen of."""
        return self.by_subject.get(subject, State(subject, UNSEEN))

    def alive(self) -> list[State]:
        """The subjects with a failure that counts."""
        return [state for state in self.by_subject.values() if state.alive]


def of(observations: Iterable[Observation], situation: Situation) -> States:
    """The states of everything that was seen."""
    groups, reasons = _joined(_grouped(observations, situation))
    search = _search_in_use(groups, situation)
    judge = _Judge(groups, search, situation)
    states = {subject: replace(judge.state(subject), reasons=tuple(reasons.get(subject, ()))) for subject in sorted(groups)}
    everything = tuple(one for group in groups.values() for one in group)
    return States(states, search, everything)


Groups = dict[str, list[Observation]]


def _grouped(observations: Iterable[Observation], situation: Situation) -> Groups:
    groups: Groups = {}
    for one in _named(list(dict.fromkeys(observations))):
        subject = subjects.of(one, situation)
        if subject is not None:
            groups.setdefault(subject, []).append(one)
    _name_upgrades(groups)
    return groups


def _named(observations: list[Observation]) -> list[Observation]:
    """Name an update alike in all logs: some write its GUID alone, or cut its title. The same GUID is the same update."""
    kbs: dict[str, str] = {}
    titles: dict[str, str] = {}
    classes: dict[str, tuple[str, ...]] = {}
    for one in observations:
        if one.update is None:
            continue
        if one.kb and one.kb > kbs.get(one.update, ""):
            kbs[one.update] = one.kb
        if one.title and (len(one.title), one.title) > (len(titles.get(one.update, "")), titles.get(one.update, "")):
            titles[one.update] = one.title
        if one.classes > classes.get(one.update, ()):
            classes[one.update] = one.classes
    return [
        one
        if one.update is None
        else replace(
            one, kb=kbs.get(one.update, one.kb), title=titles.get(one.update, one.title), classes=classes.get(one.update, one.classes)
        )
        for one in observations
    ]


def _name_upgrades(groups: Groups) -> None:
    """Logs of set-up do not name their target: they belong to the upgrade that was tried last."""
    nameless = groups.get("upgrade:")
    named = [subject for subject in groups if subject.startswith("upgrade:") and subject != "upgrade:"]
    if not nameless or not named:
        return
    newest = max(named, key=lambda subject: (max((one.time or 0 for one in groups[subject]), default=0), subject))
    groups[newest] = [*groups[newest], *nameless]
    del groups["upgrade:"]


def _joined(groups: Groups) -> tuple[Groups, dict[str, list[Observation]]]:
    """Give what the servicing stack logged of a failure to the update that failed within the hour."""
    updates = [
        (subject, one)
        for subject, group in groups.items()
        if subject.startswith(("update:", "driver:", "upgrade:"))
        for one in group
        if one.outcome == FAILED and one.source not in _STACK and one.source != "setup"
    ]
    reasons: dict[str, list[Observation]] = {}
    left: Groups = {}
    for subject, group in groups.items():
        for one in group:
            owner = _owner(subject, one, updates)
            if owner is None:
                left.setdefault(subject, []).append(one)
            else:
                reasons.setdefault(owner, []).append(one)
    return left, reasons


def _owner(subject: str, one: Observation, updates: list[tuple[str, Observation]]) -> str | None:
    """The update whose failure an observation explains, None where it stands for itself."""
    if one.outcome != FAILED or one.source not in _STACK or one.layer not in ("install", "download"):
        return None
    near = [(_apart(one, failure), name) for name, failure in updates]
    close = sorted((apart, name) for apart, name in near if apart is not None and apart <= _ONE_FAILURE_S)
    return close[0][1] if close and close[0][1] != subject else None


def _apart(one: Observation, other: Observation) -> int | None:
    if one.time is None or other.time is None:
        return None
    return max(0, abs(one.time - other.time) - one.bound_s - other.bound_s)


def _search_in_use(groups: Groups, situation: Situation) -> str:
    """The searches that count: of the class that policy requires, or, where none of it was seen, of the one that is in use."""
    asked = None if situation.host else _asked_last(groups)
    if asked is not None:
        return asked
    required = f"search:{situation.required_class}"
    others = (required, f"search:{MICROSOFT}", "search:wsus", subjects.UNKNOWN_SEARCH)
    with_evidence = [name for name in others if any(one.source != "agent" for one in groups.get(name, ()))]
    return with_evidence[0] if with_evidence else required


def _asked_last(groups: Groups) -> str | None:
    """Whom those asked who search for all updates, by logs alone. Where a policy names a WSUS, Microsoft is asked beside it."""
    last = {}
    for name in ("search:wsus", f"search:{MICROSOFT}"):
        times = [one.time or 0 for one in groups.get(name, ()) if one.caller and subjects.is_general(one)]
        if times:
            last[name] = max(times)
    if len(last) == 2 and last[f"search:{MICROSOFT}"] - last["search:wsus"] > 24 * HOUR:
        return f"search:{MICROSOFT}"
    return next(iter(last), None)


@dataclass(frozen=True)
class _Judge:
    """Says which successes end which failures."""

    groups: Groups
    search: str
    situation: Situation

    def state(self, subject: str) -> State:
        """The state of one subject."""
        group = self.groups[subject]
        failures = [one for one in group if one.outcome in (FAILED, CANCELLED)]
        successes = tuple(one for one in group if one.outcome == OK)
        started = self._unended(group, successes)
        if not failures:
            return State(subject, GOOD if successes else UNSEEN, successes=successes, started=started)
        endings = [(one, self._ended(subject, one)) for one in failures]
        alive = sorted((one for one, ending in endings if ending is None), key=newness)
        if alive:
            name = UNKNOWN if self._cannot_order(subject, alive) else FAILING
            return State(subject, name, tuple(alive), successes, started)
        newest = max(endings, key=lambda pair: (newness(pair[0]), pair[1] or ""))
        name = GOOD if any(ending == _SUCCESS for _one, ending in endings) else CLOSED
        return State(subject, name, tuple(sorted(failures, key=newness)), successes, closed_by=newest[1])

    def _unended(self, group: Iterable[Observation], successes: Iterable[Observation]) -> tuple[Observation, ...]:
        """The starts of a try that no success came after."""
        ends = [one for one in successes if one.layer == "install"]
        starts = [one for one in group if one.outcome == STARTED and not self.situation.is_future(one.time)]
        return tuple(sorted((one for one in starts if not any(self.is_after(end, one) for end in ends)), key=newness))

    def _ended(self, subject: str, failure: Observation) -> str | None:
        """Why a failure counts no more, None while it does."""
        if any(self.is_after(success, failure) for success in self._cures(subject, failure)):
            return _SUCCESS
        return self._closed(subject, failure)

    def _cures(self, subject: str, failure: Observation) -> list[Observation]:
        """The successes that may end a failure, wherever they stand in time."""
        own = [one for one in self.groups.get(subject, ()) if one.ok]
        if failure.layer == "scan":
            # The agent's date names no service: any search of automatic updates may have moved it.
            own = [one for one in own if one.source != "agent"]
        if failure.marker == "time_service_failed":
            return [*own, *self._good("service:W32Time")]
        if subject in _STORE_PROOF:
            return [one for one in own if one.marker in _STORE_PROOF[subject] and _is_proof_of(one, failure)]
        if subject.startswith(("update:", "driver:", "app:", "upgrade:")):
            layers = ("download", "install") if failure.layer == "download" else ("install", "upgrade")
            more = self._good(subjects.OS) if subject == subjects.SSU else []
            return [one for one in [*own, *more] if one.layer in layers]
        if subject in (subjects.UNKNOWN_SEARCH, subjects.OTHER_SEARCH):
            return [*own, *self._good(self.search)]
        # Whoever searches or installs has the data store open.
        if subject == "cache" or (subject.startswith("service:") and subject != "service:W32Time"):
            return [*own, *self._good(self.search), *self._installations()]
        if subject.startswith("servicing:"):
            return [
                one for group in self.groups.values() for one in group if one.ok and one.layer == "install" and one.marker != "agent_date"
            ]
        return own

    def _good(self, subject: str) -> list[Observation]:
        return [one for one in self.groups.get(subject, ()) if one.ok]

    def _installations(self) -> list[Observation]:
        wanted = [group for subject, group in self.groups.items() if subjects.is_quality(subject)]
        return [one for group in wanted for one in group if one.ok and one.layer == "install"]

    def is_after(self, success: Observation, failure: Observation) -> bool:
        """Whether a success is certainly later: by the sequence of one source, else by time with its bounds.

        What is dated in the future was written by a wrong clock: as a success it ends nothing, as a failure a search of this run ends it.
        """
        if self.situation.is_future(success.time):
            return False
        if success.channel is not None and success.channel == failure.channel and None not in (success.place, failure.place):
            return (success.place or 0) > (failure.place or 0)
        if success.source == "scan":
            return failure.source != "scan"
        if success.earliest is None or failure.latest is None or self.situation.is_future(failure.time):
            return False
        return success.earliest > failure.latest

    def _is_before(self, success: Observation, failure: Observation) -> bool:
        """Whether a success certainly ended nothing: it was earlier, or a wrong clock wrote it."""
        if self.situation.is_future(success.time):
            return True
        if success.channel is not None and success.channel == failure.channel and None not in (success.place, failure.place):
            return (success.place or 0) < (failure.place or 0)
        if failure.source == "scan":
            return True
        if success.latest is None or failure.earliest is None or self.situation.is_future(failure.time):
            return False
        return success.latest <= failure.earliest

    def _cannot_order(self, subject: str, alive: Iterable[Observation]) -> bool:
        """Whether a success is there for every failure that may well have ended it."""
        return all(any(not self._is_before(success, one) for success in self._cures(subject, one)) for one in alive)

    # -- other ends than a success

    def _closed(self, subject: str, failure: Observation) -> str | None:
        for rule in (self._clock_is_right, self._runs_that_build, self._is_upgraded, self._not_offered):
            reason = rule(subject, failure)
            if reason is not None:
                return reason
        return None

    def _clock_is_right(self, subject: str, _failure: Observation) -> str | None:
        if subject in ("clock", "service:W32Time") and self.situation.clock.state == "right":
            return "the clock, which is right now"
        return None

    def _runs_that_build(self, subject: str, failure: Observation) -> str | None:
        """A cumulative update holds all before it: a host of that revision or a newer one needs it no more."""
        wanted, build, revision = subjects.build_of(failure.title), self.situation.build, self.situation.revision
        if subject != subjects.OS or wanted is None or build != wanted[0] or revision is None:
            return None
        return f"nothing: the host runs {build}.{revision}" if revision >= wanted[1] else None

    def _is_upgraded(self, subject: str, failure: Observation) -> str | None:
        if not subject.startswith("upgrade:") or self.situation.build is None:
            return None
        if (
            self.situation.target_build is not None
            and failure.source in ("registry", "setup")
            and self.situation.build >= self.situation.target_build
        ):
            return "a feature upgrade since: the host runs what it was to bring"
        if releases.runs(self.situation.build, subject.removeprefix("upgrade:"), failure.title or ""):
            return "a feature upgrade since: the host runs what it was to bring"
        return None

    def _not_offered(self, subject: str, failure: Observation) -> str | None:
        """A later search for all updates that does not find it, under all the conditions that make this tell something."""
        if not subject.startswith(("update:", "driver:", "upgrade:")) or failure.layer not in ("install", "download"):
            return None
        if self.situation.restart_pending or self.situation.held_back:
            return None
        if any(self._offers_without(search, failure) for search in self._general_searches()):
            return "a later search that does not offer it any more"
        return None

    def _general_searches(self) -> list[Observation]:
        names = (self.search, subjects.UNKNOWN_SEARCH)
        searches = [one for name in names for one in self.groups.get(name, ()) if one.ok and one.found is not None]
        # Never event 26 alone: CompatTelRunner and features on demand ask the same service and find nothing.
        return [one for one in searches if subjects.is_general(one)]

    def _offers_without(self, search: Observation, failure: Observation) -> bool:
        if not self.is_after(search, failure):
            return False
        if search.found == 0:
            return True
        offered = search.offered
        if offered is None or search.found is None or search.found > len(offered):
            return False
        keys = {str(key).lower() for key in (failure.update, failure.kb) if key}
        return bool(keys) and not any(keys & {name.lower() for name in names} for names in offered)


_SUCCESS = "a later success"


def _is_proof_of(proof: Observation, failure: Observation) -> bool:
    """Whether a proof of the component store is one for what failed: one that names a file is of that file alone."""
    return proof.name is None or file_of(proof.name) == file_of(failure.name or "")


def _names(one: Observation) -> tuple[str, ...]:
    return tuple(name or "" for name in (one.name, one.kb, one.title, one.update, one.channel, one.service, one.caller))


def newness(one: Observation) -> tuple[object, ...]:
    """A total order: later is larger, and of one moment the one that tells more. So no answer depends on the order of the input."""
    place = one.place
    if place is None:
        place = -1
    tells = (one.code is not None, bool(one.title), bool(one.name))
    return (one.time is not None, one.time or 0, place, *tells, one.code or 0, one.marker or "", one.source, *_names(one), one.line)
