# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What came of one host, as a row: out of a result of one of this collection's modules, or of a task that ansible-core ended."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from . import case as cases
from .case import Case
from .conditions import minute
from .verdict import OUTCOME, OWNERS, RED

VERDICTS = tuple(OUTCOME)
# The worst first: a change whose outcome is bad or not known, what could not be read, what somebody must do, what passes by itself.
WORST_FIRST = (
    "failed", "unresolved", "unreachable", "unsupported", "unknown", "needs_action", "sick", "restart_required", "stale", "behind", "busy",
    "unproven", "repaired", "healthy",
)  # fmt: skip
# The verdicts of a host that nothing is left to do for.
WELL = ("healthy", "repaired")
# What somebody reads, of one host and in a count.
WORDS = {
    "failed": ("failed", "failed"),
    "unresolved": ("repaired, not cured", "repaired but not cured"),
    "unreachable": ("unreachable", "unreachable"),
    "unsupported": ("cannot be read", "cannot be read"),
    "unknown": ("not enough seen", "with not enough seen"),
    "needs_action": ("needs somebody", "need somebody"),
    "sick": ("broken, can be repaired", "broken but repairable"),
    "restart_required": ("waits for a restart", "wait for a restart"),
    "stale": ("silent", "silent"),
    "behind": ("behind", "behind"),
    "busy": ("busy", "busy"),
    "unproven": ("not verified yet", "not verified yet"),
    "repaired": ("repaired", "repaired"),
    "healthy": ("healthy", "healthy"),
}
# Names of the first release, for one more.
_ALIASES = {"not_this_host": "needs_action"}
# A busy host is told by its reason.
_INSTALLING = ("installing now", "installing now")
_PASSING = "left alone for now"


def words_of(row: Mapping[str, Any]) -> tuple[str, str]:
    """What somebody reads of one host, and in a count of its like."""
    now = str(row.get("now"))
    if now == "busy" and row.get("why") == "servicing_at_work":
        return _INSTALLING
    until = row.get("until")
    if now == "busy" and isinstance(until, int):
        return f"left alone until {minute(until)}", _PASSING
    if now == "needs_action" and row.get("owner") in OWNERS:
        return f"needs {OWNERS[str(row['owner'])]}", WORDS[now][1]
    return WORDS.get(now, WORDS["failed"])


FIELDS = tuple(cases.row(cases.start("", "")))
# What is known of a host that nobody could look at lies in a file of its own, where the evidence of the others is.
FAILED, FAILED_KIND = ".failed.json", "winfleet.wu_repair.failed"
# What a result may hold beside the row, each bounded where it is made.
BESIDE = ("about", "evidence_path", "not_tried")
_MOST_FINDINGS = 6
_OF_FINDING = ("id", "code", "condition", "kb", "name", "meaning")

__all__ = ["RED", "VERDICTS", "WELL", "WORDS", "WORST_FIRST", "connection", "is_of_case", "of_result", "row", "without_case", "words_of"]


class VerdictError(ValueError):
    """A name that is no verdict; one line says which are."""


def verdicts(given: Sequence[str]) -> list[str]:
    """The verdicts that a person names.

    Raises:
        VerdictError: one is none.
    """
    names = [_ALIASES.get(name, name) for name in given]
    unknown = sorted(set(names) - set(VERDICTS))
    if unknown:
        names_of_none = ", ".join(unknown)
        raise VerdictError(f"option fail_on has no verdict named {names_of_none}; verdicts are {', '.join(VERDICTS)}")
    return names


def row(case: Case) -> dict[str, Any]:
    """What came of one host."""
    return cases.row(case)


def is_of_case(result: Mapping[str, Any]) -> bool:
    """Whether a result of a module of this collection holds the row of its host."""
    return isinstance(result.get("case"), Mapping) and isinstance(result.get("now"), str)


def of_result(host: str, result: Mapping[str, Any], earlier: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The row out of a result that holds one (`is_of_case`), over what an earlier result of the host said beside it."""
    kept = {name: earlier[name] for name in (*BESIDE, "findings") if earlier and earlier.get(name)}
    taken = {name: result.get(name) for name in FIELDS}
    # A change tells its steps in `did`; the case has their names.
    taken["did"] = list(_of_document(result["case"], "did"))
    taken["changed"] = bool(result["case"].get("changed")) or bool(result.get("would"))
    beside = {name: result[name] for name in BESIDE if result.get(name)}
    findings = [_finding(item) for item in list(result.get("findings") or ())[:_MOST_FINDINGS] if isinstance(item, Mapping)]
    more: dict[str, Any] = {"findings": findings} if findings else {}
    if taken["now"] in WELL:
        kept.pop("findings", None)
    return {**kept, **beside, **more, **taken, "host": host, "next": str(result.get("next") or cases.END)}


def _of_document(document: Mapping[str, Any], name: str) -> Sequence[str]:
    value = document.get(name)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [str(item) for item in value]
    return []


def _finding(item: Mapping[str, Any]) -> dict[str, Any]:
    """A finding with the newest line that it rests on."""
    lines = _of_document(item, "lines")
    return {**{name: item[name] for name in _OF_FINDING if item.get(name)}, **({"line": lines[-1]} if lines else {})}


def from_failed(document: object) -> dict[str, Any] | None:
    """The row out of such a file; None where it is none."""
    if not isinstance(document, Mapping) or document.get("kind") != FAILED_KIND or document.get("now") not in OUTCOME:
        return None
    texts = ("host", "was", "now", "why", "msg", "next_step", "owner")
    return {name: cases.line(document.get(name) or "") for name in texts}


def without_case(host: str, result: Mapping[str, Any], earlier: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """ansible-core ended the task before the collection could say anything: it was lost on the way, or a variable was wrong."""
    name = "unreachable" if result.get("unreachable") else "failed"
    said = cases.line(result.get("msg") or "the host was not looked at")
    known = {**cases.row(cases.start("", "")), **(earlier or {})}
    known.update(host=host, was=(earlier or {}).get("was") or name, now=name, msg=said, owner="admin", next=cases.END)
    return {**known, "next_step": "Mend what the message names, then run again."}


# ---------------------------------------------------------------------------------------------------------- connections

# What libraries write (requests, urllib3, pywinrm, pypsrp, OpenSSH), in words. Only what is shown depends on it, no decision.
_CONNECTIONS = (
    (r"credentials were rejected|\b401\b|unauthori[sz]ed|authentication fail|permission denied", "the credentials were refused"),
    (r"certificate", "the certificate was not accepted"),
    (r"name or service not known|getaddrinfo|nodename nor servname|failed to resolve|name resolution", "the name cannot be resolved"),
    (r"connection refused|errno 111|errno 61", "nothing listens on the port (connection refused)"),
    (r"no route to host|network is unreachable", "there is no route to it"),
    (r"timed out|timeout", "it did not answer in time"),
    (r"reset by peer|connection aborted|remotedisconnected|broken pipe|closed the connection", "the connection broke"),
)


def connection(error: object) -> str:
    """Why a connection failed, in a few words; what is not known is cut, without addresses of objects."""
    text = cases.line(error, 2000)
    for pattern, words in _CONNECTIONS:
        if re.search(pattern, text, re.IGNORECASE):
            return words
    return cases.line(re.sub(r"<[^>]{0,200} at 0x[0-9a-f]+>", "", text), 120)
