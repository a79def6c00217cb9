# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What came of each host, as rows for a program and as a table for a person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from . import case as cases
from .case import Case
from .case_document import CaseError, parse
from .verdict import OUTCOME, RED

VERDICTS = tuple(OUTCOME)
COLUMNS = ("host", "was", "why", "did", "now", "proved_by")
# The registered variable that holds the newest case of a host.
VARIABLE = "wu_repair_result"

__all__ = ["COLUMNS", "RED", "VARIABLE", "VERDICTS", "result", "row", "rows", "table"]


def row(case: Case) -> dict[str, Any]:
    """What came of one host."""
    return cases.row(case)


def result(registered: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a host, out of the registered result of one of this collection's modules, or of a failed one of any."""
    given = registered.get("case")
    if given is not None:
        try:
            return row(parse(given))
        except CaseError as error:
            registered = {"failed": True, "msg": str(error)}
    return _row_without_case(registered)


def _row_without_case(registered: Mapping[str, Any]) -> dict[str, Any]:
    """ansible-core ended the task before the collection could say anything: it was lost on the way, or a variable was wrong."""
    name = "unreachable" if registered.get("unreachable") else "failed"
    empty = cases.row(cases.start("", ""))
    return {**empty, "was": name, "now": name, "msg": cases.line(registered.get("msg") or "the host was not looked at")}


def rows(hosts: Iterable[str], hostvars: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row a host, from what the role registered in its variables."""
    return [{**result(hostvars[host].get(VARIABLE) or {}), "host": host} for host in hosts]


def table(given: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines of a table, columns padded; below it what check mode foresees."""
    text = [COLUMNS, *((*(_cell(known, name) for name in COLUMNS),) for known in given)]
    widths = [max(len(line[column]) for line in text) for column in range(len(COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in text]
    for known in given:
        if known.get("would"):
            lines.append(f"{known['host']} would {'; '.join(known['would'])}{_then(known)}")
    return lines


def _then(known: Mapping[str, Any]) -> str:
    later = known.get("if_not_cured")
    return f"; if that does not cure it: {', '.join(later)}" if later else ""


def _cell(known: Mapping[str, Any], name: str) -> str:
    value = known.get(name)
    if name == "did":
        return ", ".join(known.get("deeds") or [cases.deed(str(item)) for item in value or ()]) or "-"
    return str(value) if value else "-"
