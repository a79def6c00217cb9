# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What came of each host, as rows for a program and as a table for a person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

COLUMNS = ("host", "was", "why", "did", "now", "proved_by")


def result(step: Mapping[str, Any], before: Mapping[str, Any] | None = None, rung: str | None = None) -> dict[str, Any]:
    """Fold one module result of a host into what is known of it.

    Args:
        step: a registered result of this collection's modules, or a failed one of any.
        before: what an earlier call gave; empty for the first look.
        rung: the rung that was climbed.

    Returns:
        `was`, `why`, `did` (list of rungs), `now`, `msg`, `changed`, `proved_by`; in check mode `would` (what the first
        rung would do, in words) and `if_not_cured` (the rungs after it, which nobody can foresee).
    """
    name = verdict_of(step)
    known = dict(before or {})
    proof = step.get("proof") or {}
    # A step that failed half way was climbed as well; one that was refused was not.
    tried = [rung] if rung and "did" in step else []
    would = list(known.get("would") or ())
    later = [rung] if rung and would and "would" in step else []
    return {
        "was": known.get("was", name),
        "why": known.get("why", why(step)),
        "did": [*known.get("did", []), *tried],
        "now": name,
        "msg": str(step.get("msg") or ""),
        "changed": bool(known.get("changed")) or bool(step.get("changed")),
        "proved_by": proof.get("by") or known.get("proved_by"),
        "would": would or list(step.get("would") or ()),
        "if_not_cured": [*known.get("if_not_cured", []), *later],
    }


def verdict_of(step: Mapping[str, Any]) -> str:
    """The verdict of a result, also of one that has none because ansible-core made it."""
    if step.get("unreachable"):
        return "unreachable"
    return str(step.get("verdict") or "failed")


def why(step: Mapping[str, Any]) -> str:
    """The finding that decided, by its code or condition."""
    for finding in step.get("findings") or ():
        if not finding.get("overtaken_by"):
            return str(finding.get("code") or finding.get("condition"))
    return ""


def rows(hosts: Iterable[str], hostvars: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row a host, from the facts and results that the role left in its variables."""
    found = []
    for host in hosts:
        known = hostvars[host]
        row = known.get("wu_repair_result") or result(known.get("wu_repair_first_look") or {"msg": "not looked at"})
        found.append({"host": host, **row})
    return found


def table(given: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines of a table, columns padded; below it what check mode foresees."""
    text = [COLUMNS, *((*(_cell(row.get(name)) for name in COLUMNS),) for row in given)]
    widths = [max(len(line[column]) for line in text) for column in range(len(COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in text]
    for row in given:
        if row.get("would"):
            then = f"; if that does not cure it: {', '.join(row['if_not_cured'])}" if row.get("if_not_cured") else ""
            lines.append(f"{row['host']} would {'; '.join(row['would'])}{then}")
    return lines


def _cell(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return " ".join(map(str, value)) or "-"
    return str(value) if value else "-"
