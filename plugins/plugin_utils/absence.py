# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What did not happen: no search for too long (stale), no quality update for too long (behind).

Absence is claimed only inside the horizon of a source: from when it reaches, and only where nothing of it was cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from . import conditions, releases, subjects
from .evidence import Evidence
from .finding import FAILING, UNTESTED, Finding
from .observation import Observation
from .situation import DAY, Settings, Situation, deferral_days
from .states import States

STALE, BEHIND = "stale", "behind"
_MOST_NAMED = 3
_SYSTEM, _OPERATIONAL = "System", "Microsoft-Windows-WindowsUpdateClient/Operational"
# A look begins a moment before its host's now.
_SLACK_S = 3600


def find(evidence: Evidence, states: States, settings: Settings, host: Situation, failures: Iterable[Finding] = ()) -> list[Finding]:
    """The findings `stale` and `behind` of a host, each at most once. `failures` is what its states came to."""
    if host.now is None:
        return []
    silent = [] if _search_fails(states, failures) else _stale(evidence, states, settings, host)
    return [*silent, *_behind(evidence, states, settings, host)]


def _search_fails(states: States, failures: Iterable[Finding]) -> bool:
    """Whether a failing search is told already: a notice is none, nor is one of an unknown time, which succeeded neither way."""
    searches = (states.search, subjects.UNKNOWN_SEARCH)
    return any(item.active and item.state in (FAILING, UNTESTED) and item.subject in searches for item in failures)


# --- searches ---


def last_search(states: States, host: Situation) -> int | None:
    """When a search of the class that counts last went well, Unix seconds."""
    times = [one.time for one in states.get(states.search).successes if one.time is not None and not host.is_future(one.time)]
    return max(times, default=None)


def _stale(evidence: Evidence, states: States, settings: Settings, host: Situation) -> Iterator[Finding]:
    now, last = host.now or 0, last_search(states, host)
    limit = now - settings.stale_days * DAY
    if last is None and not _channel_reaches_back(evidence, _OPERATIONAL, limit):
        return
    if last is not None and last >= limit:
        return
    since = f"{settings.stale_days} days and more"
    if last is not None:
        since = f"{(now - last) // DAY} days (since {conditions.date(last)})"
    yield Finding(
        id=STALE,
        subject=states.search,
        layer="scan",
        meaning=f"No successful search for updates for {since}",
        answer={"wait": "search"},
        next_step="Let the host search for updates: run fix_wu, which searches, or usoclient StartScan on the host.",
        condition=STALE,
        source="sources",
        last_seen=last,
        order=110,
    )


# --- quality updates ---


def last_quality_success(states: States, host: Situation) -> int | None:
    """When a quality update of Windows was last installed, Unix seconds."""
    newest = _newest_success(states, host)
    return None if newest is None else newest.time


def _newest_success(states: States, host: Situation) -> Observation | None:
    return _newest([one for one in _successes(states, host) if not was_taken_back(one, host)])


def _successes(states: States, host: Situation) -> list[Observation]:
    known = [state for state in states.by_subject.values() if subjects.is_quality(state.subject)]
    installations = [one for state in known for one in state.successes if one.layer == "install"]
    return [one for one in installations if one.time is not None and not host.is_future(one.time)]


def _newest(found: Iterable[Observation]) -> Observation | None:
    return max(found, key=lambda one: (one.time or 0, one.line), default=None)


def was_taken_back(one: Observation, host: Situation) -> bool:
    """Whether the host runs less than the update brought, although it has started since: Windows or a person took it back."""
    brought = subjects.build_of(one.title)
    if brought is None or host.revision is None or host.build != brought[0] or host.restart_pending:
        return False
    return host.revision < brought[1] and host.restarted_since(one.time)


def _behind(evidence: Evidence, states: States, settings: Settings, host: Situation) -> Iterator[Finding]:
    now = host.now or 0
    held_back = settings.behind_days + deferral_days(evidence.policy)
    paused = next(conditions.pauses(evidence, now), None)
    if paused is not None:
        # Windows lets nobody pause for longer: a pause until 2077, which privacy tools write, excuses no old host.
        held_back += conditions.LONGEST_PAUSE_S // DAY
    limit = now - held_back * DAY
    newest = _newest_success(states, host)
    if newest is not None and (newest.time or 0) >= limit:
        return
    if _runs_a_newer_build(newest, host) or not _reaches_back(evidence, limit) or _has_undated_success(states):
        return
    last = last_quality_success(states, host) or evidence.sources.last_install
    if last is not None and last > limit:
        last = None
    owner, next_step = _next_step(evidence, states, host) if paused is None else _unpause(paused, host)
    since = (
        f"for {(now - last) // DAY} days (since {conditions.date(last)})"
        if last is not None
        else f"for more than {settings.behind_days} days"
    )
    yield Finding(
        id=BEHIND,
        subject=subjects.OS,
        layer="install",
        meaning=f"No quality update was installed {since}",
        answer={"owner": owner},
        next_step=next_step,
        condition=BEHIND,
        source="history",
        last_seen=last,
        order=111,
    )


def _has_undated_success(states: States) -> bool:
    """Whether a quality update went in at a time that nobody wrote down."""
    known = [state for state in states.by_subject.values() if subjects.is_quality(state.subject)]
    return any(one.time is None and one.layer == "install" for state in known for one in state.successes)


def _runs_a_newer_build(newest: Observation | None, host: Situation) -> bool:
    """Whether the host runs more than its last known update brought: it was patched by a way that leaves no trace here."""
    brought = None if newest is None else subjects.build_of(newest.title)
    if brought is None or host.revision is None:
        return False
    return (host.build or 0, host.revision) > brought


def _reaches_back(evidence: Evidence, limit: int) -> bool:
    """Whether a source would show a quality update that was installed since the limit."""
    if evidence.sources.last_install is not None and evidence.sources.last_install <= limit:
        # The agent's own date moves with every installation.
        return True
    if _channel_reaches_back(evidence, _SYSTEM, limit):
        return True
    store = evidence.cache.by_name("SoftwareDistribution")
    if store is None or store.data_store_created is None:
        return False
    # The history lives in the data store, so it reaches back to when that was made.
    return evidence.has("history") and not evidence.cut("history") and store.data_store_created <= limit


def _channel_reaches_back(evidence: Evidence, channel: str, limit: int) -> bool:
    """Whether a channel was read without a gap from that time on."""
    reach = next((row for row in evidence.events.reach if row.channel == channel), None)
    if reach is None or not reach.complete or reach.oldest is None:
        return False
    return reach.oldest <= limit + _SLACK_S


def _unpause(paused: tuple[str, str, int], host: Situation) -> tuple[str, str]:
    """Who ends a pause: nothing is offered while it lasts, whatever else is the matter."""
    name, who, until = paused
    others = "management" if host.managed else "policy"
    return "admin" if who == "a person" else others, f"End the pause of updates: {name} is set by {who} until {conditions.date(until)}."


def _next_step(evidence: Evidence, states: States, host: Situation) -> tuple[str, str]:
    """Who acts, and how: a release out of support, nothing approved or offered, or offered and not installed."""
    taken = _newest([one for one in _successes(states, host) if was_taken_back(one, host)])
    if taken is not None:
        name = taken.kb or taken.title
        return "admin", f"Find out why {name} was taken back at the restart: C:\\Windows\\Logs\\CBS\\CBS.log of that time names it."
    release = releases.of(host.build, host.product_type, host.edition)
    offered = _offered(evidence, states, host)
    if offered:
        return "admin", f"Install what is offered: {offered}."
    if release is not None and release.supported_until is not None and release.supported_until < (host.now or 0):
        return (
            "admin",
            f"{release.name} has had no support since {conditions.date(release.supported_until)}: upgrade it, or buy extended updates.",
        )
    if host.wsus:
        return "wsus", f"Approve the newest cumulative update for this host on the WSUS {host.wsus_server}: it offers none."
    return (
        "admin",
        "Find out why no update is offered: the release's support, a target release policy, deferrals, or a search that looks elsewhere.",
    )


def _offered(evidence: Evidence, states: States, host: Situation) -> str:
    """What the newest search offers, in words; '' for nothing."""
    quality = [row for row in evidence.scan.updates if not subjects.is_rolling(f"update:{''.join(row.kb[:1])}")]
    names = [", ".join(row.kb) or str(row.title) for row in quality]
    if names:
        if len(names) > _MOST_NAMED:
            names[_MOST_NAMED:] = [f"{len(names) - _MOST_NAMED} more"]
        return ", ".join(names)
    if evidence.has("scan"):
        return ""
    searches = [one for name in (states.search, subjects.UNKNOWN_SEARCH) for one in states.get(name).successes if one.found is not None]
    searches = [one for one in searches if one.time is not None and not host.is_future(one.time)]
    newest = max(searches, key=lambda one: (one.time or 0, one.found or 0), default=None)
    if newest is None or not newest.found:
        return ""
    return f"{newest.found} update{'s' * (newest.found != 1)} in the last search"
