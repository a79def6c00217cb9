# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A look judged, and a repair carried out on paper and judged by the look after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import conditions, coverage, findings, plan, repairs
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import verdict as verdicts
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.evidence import Evidence
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.observation import Observation
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.situation import Settings
from unit.plugin_utils.documents import RUN, SETTINGS, carried_out


def judged(host: Evidence, *observations: Observation, **settings: Any) -> verdicts.Judged:
    """The verdict of a look whose logs held these observations as well."""
    return judged_by(host, observations, Settings(**settings))


def judged_by(host: Evidence, observations: Iterable[Observation], settings: Settings) -> verdicts.Judged:
    """The same with settings that are made already."""
    found = findings.diagnose(host, settings, observations).findings
    seen = coverage.of(host)
    return verdicts.Judged(found, verdicts.judge(found, host, seen), seen)


@dataclass(frozen=True)
class Repaired:
    """A repair, the look after it and what came of both."""

    plan: plan.Plan
    before: verdicts.Judged
    after: verdicts.Judged
    proof: repairs.Proof
    verdict: verdicts.Verdict


def repaired(
    name: str,
    before: Evidence,
    observations: Iterable[Observation] = (),
    later: Iterable[Observation] = (),
    *,
    after: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    settings: Settings = SETTINGS,
) -> Repaired:
    """Carry one repair out as its steps say, and judge it.

    Args:
        name: of the repair.
        before: the look that it is planned from.
        observations: what the logs held before it, and hold still.
        later: what they hold since.
        after: sections of the look after it that are otherwise than the steps make them.
        options: of the repair.
        settings: for both looks.
    """
    seen = tuple(observations)
    first = judged_by(before, seen, settings)
    made = plan.build(name, before, first.findings, options or {}, RUN, settings)
    assert made.changes, made.refused
    looked = carried_out(before, made, after)
    second = judged_by(looked, (*seen, *later), replace(settings, repaired=((name, before.now),)))
    proof = plan.prove(made, before, looked, first.findings, second.findings, settings)
    end = verdicts.after_change(
        failed=None,
        changed=True,
        after=second.verdict,
        after_strong_restart=bool(conditions.reboot_markers(looked)),
        proof=proof,
        what=repairs.BY_NAME[name].deed,
    )
    return Repaired(made, first, second, proof, end)
