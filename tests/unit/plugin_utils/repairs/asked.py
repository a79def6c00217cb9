# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Findings that ask for a repair, made by hand: what makes them is tested elsewhere."""

from __future__ import annotations

from typing import Any

from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import plan, repairs, situation
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.evidence import Evidence
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.finding import Finding
from unit.plugin_utils.documents import RUN, look


def failure(layer: str, code: int | None, repair: str = "reset", subject: str = "", **more: Any) -> Finding:
    """A failure that a repair answers."""
    hex_code = None if code is None else f"0x{code:08X}"
    about = subject or {"scan": "search:microsoft", "install": "update:os", "download": "update:os"}.get(layer, layer)
    given = {"answer": {"repair": repair}, "codes": (hex_code,) if hex_code else (), **more}
    return Finding(id=f"{hex_code}@{about}", subject=about, layer=layer, meaning="a failure", next_step="", code=hex_code, **given)


def condition(name: str, of: str = "", repair: str = "reset", **more: Any) -> Finding:
    """A condition of the host that a repair answers."""
    layer = "clock" if repair == "timesync" else "service"
    given = {"answer": {"repair": repair}, "meaning": f"{name} {of}".strip(), **more}
    number, subject = (f"{name}:{of}", f"service:{of}") if of else (name, layer)
    return Finding(id=number, subject=subject, layer=layer, condition=name, next_step="", **given)


def make(name: str, evidence: Evidence, *findings: Finding, reference: str = "source", **options: Any) -> plan.Plan:
    """The plan of a repair."""
    settings = situation.Settings(reference=reference)
    return plan.build(name, evidence, findings, options, RUN, settings)


def shown(made: plan.Plan) -> list[str]:
    """The steps of a plan, each as its kind and what it is done to."""
    names = ("name", "folder")
    return [" ".join([step.kind, *(str(step.args[key]) for key in names if key in step.args)]) for step in made.steps]


def prove(made: plan.Plan, after: Evidence, before: tuple[Finding, ...], left: tuple[Finding, ...] = (), **settings: Any) -> repairs.Proof:
    """The proof of a plan that was made from `before`, when `left` was found after it."""
    return repairs.BY_NAME[made.repair].proof(look(), after, before, left, made.steps, situation.Settings(**settings))
