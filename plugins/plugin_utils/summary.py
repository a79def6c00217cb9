# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What came of a run over many hosts, for a person: totals, what is left to do by cause and owner, the hosts that are not healthy."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .report import WELL, WORDS, WORST_FIRST, words_of
from .verdict import OWNERS

WIDTH = 120
# Two screens of fifty lines.
MOST_LINES = 96
_MOST_CAUSES = 12
_MOST_ROW_LINES = 2
_MOST_PHRASE = 170
_MOST_NAMES = 3
_MOST_NAME = 32
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Cause:
    """What several hosts have in common.

    Attributes:
        said: what is wrong, one clause.
        state: the verdict of its hosts; empty for what is wrong across hosts.
        owner: who must act, as a key of OWNERS; None for who runs this.
        next_step: what to do.
        hosts: their names, in the order in which they were given.
    """

    said: str
    state: str
    owner: str | None
    next_step: str
    hosts: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As the report holds it."""
        return {
            "cause": self.said,
            "state": self.state or None,
            "owner": self.owner,
            "next_step": self.next_step,
            "count": len(self.hosts),
            "hosts": list(self.hosts),
        }


@dataclass(frozen=True)
class Scope:
    """What a summary is of, beside its rows.

    Attributes:
        asked: how many hosts the run was asked to look at; None where nobody knows.
        interrupted: it did not come to its end.
        rest: where all rows are, for a person; '' for nowhere.
        stopped: why the repair was stopped before its end; '' where it was not.
        check: nothing was changed, by the wish of whoever ran it.
        unknown: names of hosts and groups that were asked for and that nobody has.
    """

    asked: int | None = None
    interrupted: bool = False
    rest: str = ""
    stopped: str = ""
    check: bool = False
    unknown: tuple[str, ...] = ()


# ------------------------------------------------------------------------------------------------------------- totals


def totals(rows: Sequence[Row]) -> dict[str, int]:
    """How many hosts there are, and how many of each verdict; those without any are left out."""
    names = [_state(row) for row in rows]
    return {"hosts": len(rows), **{name: names.count(name) for name in reversed(WORST_FIRST) if name in names}}


def _state(row: Row) -> str:
    name = str(row.get("now") or row.get("verdict") or "")
    if name in WORDS:
        return name
    return "failed"


def worst_first(rows: Iterable[Row]) -> list[Row]:
    """In the order in which somebody must look at them; by name within one verdict, `web9` before `web10`."""
    return sorted(rows, key=lambda row: (WORST_FIRST.index(_state(row)), _by_name(str(row.get("host")))))


def _by_name(name: str) -> list[tuple[int, str]]:
    return [(int(part[:18]) if part.isdecimal() else -1, part) for part in re.split(r"([0-9]+)", name) if part]


def headline(rows: Sequence[Row]) -> str:
    """The totals in words."""
    if not rows:
        return "No host was looked at."
    counted: dict[str, list[tuple[str, str]]] = {}
    for row in reversed(worst_first(rows)):
        words = words_of(row)
        counted.setdefault(words[1], []).append(words)
    return f"{_hosts(len(rows))}: {', '.join(f'{len(alike)} {_word(alike)}' for alike in counted.values())}."


def _word(alike: Sequence[tuple[str, str]]) -> str:
    """Words of a count; those of one host where they can stand in a list."""
    one, several = alike[0]
    if one.startswith("needs "):
        one = "needs somebody"
    if len(alike) == 1 and "," not in one:
        return one
    return several


def _hosts(count: int) -> str:
    return f"{count} host{'s' * (count != 1)}"


# ------------------------------------------------------------------------------------------------------------- causes

# Said of one host alone: how often and when.
_OF_ONE = re.compile(r", (?:once|\d+ times)\b|, last (?:in the host's own future|[0-9-]{10} [0-9:]{5} UTC)")
_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.]*:)")


def causes(rows: Sequence[Row]) -> list[Cause]:
    """What is left to do, what concerns most hosts first."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in worst_first(rows):
        if _state(row) not in WELL:
            groups.setdefault(_key(row), []).append(row)
    found = [_cause(group) for group in groups.values()]
    return sorted([*_shared_identities(rows), *found], key=lambda cause: -len(cause.hosts))


def _key(row: Row) -> tuple[str, ...]:
    """Alike are hosts with one verdict, one code or condition, one owner and one thing to do."""
    state, why = _state(row), str(row.get("why") or "")
    said = "" if why and state != "failed" else _NUMBER.sub("#", _phrase(row))
    return state, why, str(row.get("owner") or ""), _anonymous(str(row.get("next_step") or ""), row), said


def _cause(group: Sequence[Row]) -> Cause:
    first = group[0]
    step = _anonymous(str(first.get("next_step") or ""), first) if len(group) > 1 else str(first.get("next_step") or "")
    return Cause(_phrase(first), _state(first), first.get("owner"), step, tuple(str(row.get("host")) for row in group))


def _anonymous(text: str, row: Row) -> str:
    """Without the names that only this host has, which would tell it from its like: its own and that of its run."""
    for name in (row.get("host"), row.get("run_id")):
        if name:
            text = re.sub(rf"(?<![\w.-]){re.escape(str(name))}(?![\w-])", "it", text)
    return text


def _phrase(row: Row) -> str:
    """The sentence of a host without what is said of it alone, and without what to do."""
    text = _OF_ONE.sub("", str(row.get("msg") or ""))
    step = str(row.get("next_step") or "").strip(" .")
    if step:
        text = re.sub(re.escape(step), "", text, count=1, flags=re.IGNORECASE)
        text = re.sub(rf"{re.escape(step.partition(': ')[0])}\.", "", text, count=1, flags=re.IGNORECASE)
    text = re.sub(r"(?: Also: | To do: | Would ).*", "", text)
    text = re.sub(r"\.(?:\s*\.)+", ".", _anonymous(" ".join(text.split()), row)).strip(" .;:,")
    return _cut_at_sentence(text, _MOST_PHRASE)


def _shared_identities(rows: Sequence[Row]) -> Iterator[Cause]:
    """Hosts that were made of one image and kept its identity: a WSUS takes them for one computer."""
    known: dict[str, list[str]] = {}
    for row in rows:
        about = row.get("about")
        identity = about.get("client_id") if isinstance(about, Mapping) else None
        if isinstance(identity, str) and identity.strip():
            known.setdefault(identity.strip().lower(), []).append(str(row.get("host")))
    for identity, hosts in known.items():
        if len(hosts) > 1:
            said = f"one SusClientId ({_cut(identity, 40)}) is shared, so that a WSUS takes them for one computer"
            step = "Delete SusClientId and SusClientIdValidation on each, restart wuauserv, let it search; mend the image of them."
            yield Cause(said, "", "admin", step, tuple(hosts))


# --------------------------------------------------------------------------------------------------------------- lines


def lines(rows: Sequence[Row], scope: Scope | None = None, width: int = WIDTH) -> list[str]:
    """The summary for a person: totals, what is left to do, the hosts that are not healthy; at most MOST_LINES."""
    scope = scope or Scope()
    head = [*_wrapped(headline(rows), width), *_notes(rows, scope, width)]
    ill = [row for row in worst_first(rows) if _state(row) not in WELL]
    found = causes(rows)
    left = _cause_lines(found, width)
    # How many hosts have what is wrong with each in common.
    alike = {host: len(cause.hosts) for cause in reversed(found[:_MOST_CAUSES]) for host in cause.hosts if cause.state}
    room = MOST_LINES - len(head) - len(left) - 2
    return [*head, *left, *_row_lines(ill, alike, scope, width, room)]


def refused(why: str, width: int = WIDTH) -> list[str]:
    """Of a run that ended before it looked at anybody."""
    return _wrapped(f"No host was looked at: {_sentence(why)}", width)


def _notes(rows: Sequence[Row], scope: Scope, width: int) -> Iterator[str]:
    if scope.asked is not None and scope.asked > len(rows):
        began = "Interrupted: " if scope.interrupted else ""
        yield from _wrapped(f"{began}{len(rows)} of {_hosts(scope.asked)} were looked at.", width)
    elif scope.interrupted:
        yield "Interrupted before its end."
    if scope.unknown:
        yield from _wrapped(f"The inventory has no host or group {_names(scope.unknown)}, which wu_repair_hosts names.", width)
    if scope.check:
        yield "Check mode: nothing was changed."
    if scope.stopped:
        yield from _wrapped(scope.stopped, width)
    deeds = [str(deed) for row in rows for deed in row.get("deeds") or ()]
    if deeds:
        counted = ", ".join(f"{deed} on {_hosts(deeds.count(deed))}" for deed in dict.fromkeys(deeds))
        yield from _wrapped(f"Done: {counted}.", width)


def _cause_lines(found: Sequence[Cause], width: int) -> list[str]:
    if not found:
        return []
    shown = ["", "Left to do:"]
    for cause in found[:_MOST_CAUSES]:
        alone = len(cause.hosts) == 1
        whose = _short(cause.hosts[0]) if alone else _hosts(len(cause.hosts))
        text = f"{whose}: {_sentence(cause.said)} -> {_who(cause)}{_sentence(cause.next_step)}"
        shown += _wrapped(text, width, "  ", later="      ", most=4)
        shown += [] if alone else _wrapped(f"({_names(cause.hosts)})", width, "      ", most=1)
    if len(found) > _MOST_CAUSES:
        rest = found[_MOST_CAUSES:]
        shown.append(f"  and {len(rest)} more cause{'s' * (len(rest) != 1)}, of {_hosts(sum(len(cause.hosts) for cause in rest))}")
    return shown


def _who(cause: Cause) -> str:
    owner = OWNERS.get(str(cause.owner), "")
    if owner and cause.owner != "admin":
        return f"{owner}: "
    return ""


def _names(hosts: Sequence[str]) -> str:
    named = ", ".join(_short(name) for name in hosts[:_MOST_NAMES])
    if len(hosts) <= _MOST_NAMES:
        return named
    return f"{named} and {len(hosts) - _MOST_NAMES} more"


def one_row(row: Row, width: int = 240) -> str:
    """A host in one line, with its next step."""
    return _cut(f"{row.get('host')}: {_say(row, with_step=True)}", width)


def _row_lines(ill: Sequence[Row], alike: Mapping[str, int], scope: Scope, width: int, room: int) -> list[str]:
    """A row a host: two lines where all fit, else those of many alike in one, else all, and how many are left out.

    What to do stands with the cause.

    Args:
        ill: the rows.
        alike: of each host that was told with its cause, how many hosts that has.
        scope: where the rest is.
        width: columns.
        room: how many lines there are.
    """
    if not ill:
        return []
    column = max(len(_short(str(row.get("host")))) for row in ill)
    title = ["", "Not healthy, worst first:"]
    for most, of_many in ((_MOST_ROW_LINES, _MOST_ROW_LINES), (_MOST_ROW_LINES, 1), (1, 1)):
        shown = []
        for row in ill:
            shown += _row(row, column, width, _most_lines(row, alike.get(str(row.get("host")), 0), most, of_many))
        if len(shown) <= room:
            return [*title, *shown]
    shown = shown[: max(0, room - 1)]
    where = f" in {scope.rest}" if scope.rest else "; -e wu_repair_report=FILE keeps all"
    return [*title, *shown, _cut(f"  and {len(ill) - len(shown)} more{where}", width)]


def _most_lines(row: Row, alike: int, most: int, of_many: int) -> int:
    """How many lines a row may have: all of a host that is alone with its cause was told with that."""
    if alike == 1 and not row.get("would"):
        return 1
    if alike > _MOST_NAMES:
        return of_many
    return most


def _row(row: Row, column: int, width: int, most: int) -> list[str]:
    host = _short(str(row.get("host")))
    return _wrapped(f"{host.ljust(column)}  {_say(row)}", width, "  ", later=" " * (column + 4), most=most)


def _say(row: Row, *, with_step: bool = False) -> str:
    """State and sentence; in check mode what would be done."""
    said, step = str(row.get("msg") or ""), str(row.get("next_step") or "").strip(" .")
    state = words_of({**row, "now": _state(row)})[0]
    deeds = ", ".join(str(deed) for deed in row.get("deeds") or ())
    if deeds and not said.startswith("Done: "):
        said = f"Done: {deeds}. {said}"
    text = f"{state}: {_sentence(said)}"
    would = [str(item) for item in row.get("would") or ()]
    if would:
        later = ", ".join(str(name) for name in row.get("if_not_cured") or ())
        then = f"; if that does not cure it: {later}" if later else ""
        return f"{state}: would {'; '.join(would)}{then}. {_sentence(said)}"
    if row.get("not_tried"):
        return f"not tried, {text}"
    if not with_step or not step or step.lower() in said.lower():
        return text
    return f"{text} -> {_sentence(step)}"


def _sentence(text: str) -> str:
    text = text.strip()
    if not text or text.endswith((".", "!", "?")):
        return text
    return f"{text}."


def _short(name: str) -> str:
    """A name of a host, cut in the middle: its beginning says where it is, its end which one."""
    if len(name) <= _MOST_NAME:
        return name
    return f"{name[: _MOST_NAME - 13]}...{name[-10:]}"


def _cut_at_sentence(text: str, most: int) -> str:
    """As many whole sentences as fit; at least a part of the first."""
    if len(text) <= most:
        return text
    whole = text[:most].rpartition(". ")[0]
    if len(whole) > most // 4:
        return whole
    return _cut(text, most)


def _cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    return f"{text[: most - 3].rsplit(' ', 1)[0].rstrip(' ,;:')}..."


def _wrapped(text: str, width: int, first: str = "", *, later: str | None = None, most: int = 3) -> list[str]:
    """At most so many lines of at most `width` columns; what is longer than a line, such as a path, is broken."""
    hanging = later if later is not None else f"{first}  "
    clean = "".join(character if character.isprintable() else " " for character in text)
    wrapped = textwrap.wrap(clean, width, initial_indent=first, subsequent_indent=hanging, break_on_hyphens=False)
    if len(wrapped) > most:
        wrapped = [*wrapped[: most - 1], _cut(f"{wrapped[most - 1]} {wrapped[most].strip()}", width)]
    return wrapped
