# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a look saw enough for a clean bill: question by question, not section by section. One source that answered is enough."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import seen, situation, states
from .evidence import Evidence

ALL_FAILURES = "all failures"
# The sections that tell failures of searches and installations.
_OF_FAILURES = ("events", "reporting", "history")
# Searches are daily: a week without the trace of one is no horizon for them.
_SEARCHES_S = 7 * 86400


@dataclass(frozen=True)
class Coverage:
    """Which questions found no answer.

    Attributes:
        missing: the questions, in words, each with what its sections said (`searches (events timeout, sources denied)`).
        timed_out: the sections of those questions that ran out of time: a second look at them alone may answer.
    """

    missing: tuple[str, ...] = ()
    timed_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Question:
    name: str
    sections: tuple[str, ...]
    is_answered: Callable[[Evidence], bool]


def of(evidence: Evidence) -> Coverage:
    """The coverage of a look."""
    open_ones = [question for question in _QUESTIONS if not question.is_answered(evidence)]
    missing = tuple(
        f"{question.name} ({', '.join(f'{name} {evidence.status(name)}' for name in question.sections)})" for question in open_ones
    )
    late = dict.fromkeys(name for question in open_ones for name in question.sections if evidence.status(name) == "timeout")
    return Coverage(missing, tuple(late))


def _knows_searches(evidence: Evidence) -> bool:
    """A search of the class that counts, well or failed, in events, ReportingEvents or live; else the agent's own date.

    That date tells successes alone, so it is no answer where the logs that would tell failures ran out of time.
    """
    known = states.of(seen.observations(evidence), situation.of(evidence, situation.Settings()))
    state = known.get(known.search)
    recent = [one for one in (*state.failures, *state.successes) if one.time is not None and 0 <= evidence.now - one.time <= _SEARCHES_S]
    if any(one.source != "agent" for one in recent):
        return True
    return bool(recent) and not any(evidence.status(name) == "timeout" for name in ("events", "reporting"))


def _knows_installations(evidence: Evidence) -> bool:
    """System 19 and 20, ReportingEvents, or the history; none of them where failures had to be cut."""
    return any(evidence.has(name) and not evidence.cut(name) for name in _OF_FAILURES)


def _knows_all_failures(evidence: Evidence) -> bool:
    """No failure was left out for want of room: what is not known cannot be called cured."""
    return not any(evidence.lost(name) for name in _OF_FAILURES)


def _knows_store(evidence: Evidence) -> bool:
    """CBS.log was read, or there is none."""
    return evidence.has("cbs") or evidence.status("cbs") == "absent"


def _has(*names: str) -> Callable[[Evidence], bool]:
    return lambda evidence: all(evidence.has(name) for name in names)


_QUESTIONS = (
    _Question("searches", ("events", "reporting", "sources"), _knows_searches),
    _Question("installations", ("events", "reporting", "history"), _knows_installations),
    _Question(ALL_FAILURES, _OF_FAILURES, _knows_all_failures),
    _Question("the component store", ("cbs",), _knows_store),
    _Question("services", ("services",), _has("services")),
    _Question("a pending restart", ("reboot", "servicing"), _has("reboot", "servicing")),
    _Question("policies", ("policy",), _has("policy")),
)
