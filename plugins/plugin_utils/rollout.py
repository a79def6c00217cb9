# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The brakes of a repair of many hosts: its batches, and whether it goes on.

Hosts that fail alike at one server (a WSUS, a proxy, a time source) are left to whoever runs it: a repair of each would only ask it again.

The first batch is the canary. A host that was lost before anything was sent to it is no canary: the next one takes its place. Of those
that were sent a change all must come to a good end; later so many may fail as the user allows. A host counts once it was sent a change,
whatever came back.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from typing import Any

from .case import END, line
from .verdict import RED, Verdict

FIRST, REST = "first", "rest"
# A pattern that no host matches.
NOBODY = "all:!all"
# The canary, a quarter of the others, the rest.
SERIAL: tuple[int | str, ...] = (1, "25%", "100%")
_SIZE = re.compile(r"[1-9]\d{0,5}|(?:[1-9]\d?|100)%")
_LIMIT = re.compile(r"\d{1,6}|(?:\d{1,2}|100)%")
_NUMBER = re.compile(r"\d{1,6}")
# So many hosts that fail alike at one server are left to it, where they are half of those that ask it or more.
SHARED_SERVER = 5
# So many hosts may come to no good end.
MAX_FAILED = 10
# The kinds of servers in words, and who acts on one.
_SERVERS = {"wsus": ("WSUS ", "wsus"), "proxy": ("the proxy ", "proxy"), "time": ("the time source ", "admin")}


class RolloutError(ValueError):
    """A size or a limit that cannot be meant so; one line says what it must be."""


def _answer(given: object, default: object) -> object:
    """A question of a survey that nobody answers is an empty text, over the default of the role."""
    if isinstance(given, str) and not given.strip():
        return default
    return given


def sizes(given: object) -> list[int | str]:
    """The sizes of batches, as `serial` takes them, out of what a person types.

    Args:
        given: a number, `25%`, a list of them, or text of one (`1,25%,100%`, `[1, "25%"]`).

    Raises:
        RolloutError: it is none.
    """
    given = _answer(given, SERIAL)
    items: Sequence[object] = given if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    if isinstance(given, str):
        items = [part.strip(" []'\"") for part in given.split(",")]
    known = [str(item) for item in items if not isinstance(item, bool)]
    if not known or len(known) != len(items) or not all(_SIZE.fullmatch(item) for item in known):
        raise RolloutError('wu_repair_serial must be a number of hosts, a share such as 25%, or a list of them such as [1, "25%", "100%"]')
    return [item if item.endswith("%") else int(item) for item in known]


def batches(given: object, part: str) -> list[int | str]:
    """The sizes for the canary (`first`) or for all after it (`rest`); a single size is that of every batch."""
    known = sizes(given)
    return known[:1] if part == FIRST else known[1:] or known


def most_failed(given: object, hosts: int) -> int | None:
    """How many hosts may fail of so many; None for any number.

    Raises:
        RolloutError: it is neither a number nor a share.
    """
    text = str(_answer(given, MAX_FAILED)).strip()
    if isinstance(given, bool) or not _LIMIT.fullmatch(text):
        raise RolloutError("wu_repair_max_failed must be a number of hosts, or a share of them such as 10%; 0 means no limit")
    share = text.endswith("%")
    number = int(text.rstrip("%"))
    if number == 0:
        return None
    if share:
        return max(1, hosts * number // 100)
    return number


def is_bad(row: Mapping[str, Any]) -> bool:
    """Whether a host that was sent a change came to no good end: failed, refuted, outcome unknown, lost."""
    return bool(row.get("did")) and row.get("now") in RED


def is_over(rows: Mapping[str, Mapping[str, Any]], canaries: Sequence[str], limit: object) -> bool:
    """Whether no more hosts may be repaired.

    Args:
        rows: what is known of each host that is to be repaired.
        canaries: those of the first batches.
        limit: as `wu_repair_max_failed`.
    """
    bad = {host for host, row in rows.items() if is_bad(row)}
    most = most_failed(limit, len(rows))
    return bool(bad & set(canaries)) or (most is not None and len(bad) >= most)


def has_canary(rows: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether a host was sent a change."""
    return any(row.get("did") for row in rows.values())


def hosts_of(given: object) -> list[str]:
    """The hosts to look at, as a play takes them, out of what a person types: a name, a pattern, a list, or text of a list.

    `-e 'wu_repair_hosts=["a","b"]'` is text.
    """
    if isinstance(given, str) and given.strip().startswith("[") and given.strip().endswith("]"):
        given = [part.strip(" '\"") for part in given.strip()[1:-1].split(",")]
    if isinstance(given, str):
        given = [given]
    items = given if isinstance(given, Sequence) else []
    return [str(item).strip() for item in items if str(item).strip()] or [NOBODY]


def pattern(groups: Container[str], wanted: str, *but: str) -> str:
    """The hosts of one group of the run that are in none of some others, in the order of the inventory; a group that is not there is empty.

    By groups and not by names, which ansible-core would repeat in every event of the play.
    """
    if wanted not in groups:
        return NOBODY
    # `all` has the order of the inventory, and not a localhost that nobody wrote down.
    return ":".join(("all", wanted, f"&{wanted}", *(f"!{name}" for name in but if name in groups)))


def _part(of: object, name: str) -> Mapping[str, Any]:
    """A part of what a host registered; empty where it has none."""
    part = of.get(name) if isinstance(of, Mapping) else None
    return part if isinstance(part, Mapping) else {}


def known_rows(hosts: Sequence[str], hostvars: Mapping[str, Any], variable: str) -> dict[str, dict[str, Any]]:
    """What the case of each host says, out of what it registered."""
    found = {}
    for host in hosts:
        known = _part(hostvars[host].get(variable), "case")
        found[host] = {"did": list(known.get("did") or ()), "now": known.get("verdict")}
    return found


# ------------------------------------------------------------------------------------------------------------- one server


def fewest_alike(given: object) -> int | None:
    """How many hosts that fail alike at one server are left to it; None for never.

    Raises:
        RolloutError: it is no number.
    """
    text = str(_answer(given, SHARED_SERVER)).strip()
    if isinstance(given, bool) or not _NUMBER.fullmatch(text):
        raise RolloutError("wu_repair_shared_server must be a number of hosts; 0 repairs each, whatever server they share")
    return int(text) or None


def at_one_server(rows: Mapping[str, Mapping[str, Any]], least: object) -> list[str]:
    """The hosts that fail alike at one server, at least so many, and at least half of those that are known to ask it.

    Where most hosts that ask it do well the server is sound, and each that fails has a reason of its own.

    Args:
        rows: of every host that was looked at: `fails_at` (the server that may be behind all that a repair would answer), `why`, and
            `asks`, the server that it is sent to for updates.
        least: as `wu_repair_shared_server`.
    """
    fewest = fewest_alike(least)
    if fewest is None:
        return []
    alike: dict[tuple[str, str], list[str]] = {}
    for host, row in rows.items():
        if row["fails_at"]:
            alike.setdefault((row["fails_at"], row["why"]), []).append(host)
    found = []
    for (server, _why), hosts in alike.items():
        ask = sum(server in (row["asks"], row["fails_at"]) for row in rows.values())
        if len(hosts) >= fewest and 2 * len(hosts) >= ask:
            found += hosts
    return found


def left_to_its_server(judged: Verdict) -> Verdict:
    """What is said of such a host, by the verdict of its look."""
    told = told_of_its_server(judged.server, judged.msg)
    return Verdict("needs_action", told["msg"], told["next_step"], told["owner"], why=judged.why)


def told_of_its_server(at: str, msg: str) -> dict[str, str]:
    """Sentence, next step and owner of such a host.

    Args:
        at: the server, as `wsus:NAME`.
        msg: the sentence of its look.
    """
    kind, _colon, name = at.partition(":")
    words, owner = _SERVERS.get(kind, ("the server ", "admin"))
    server = f"{words}{name}"
    said = msg.partition(" To do: ")[0].rstrip(".")
    otherwise = "Where it is sound, repair one host (--limit); if that cures it, all with -e wu_repair_shared_server=0."
    return {
        "msg": line(f"{said}. Many hosts fail alike at {server}, so it is mended first and none of them is changed."),
        "next_step": f"Mend {server}. {otherwise}",
        "owner": owner,
    }


def asking_rows(hosts: Sequence[str], hostvars: Mapping[str, Any], variable: str) -> dict[str, dict[str, str]]:
    """What `at_one_server` wants to know, of the hosts that registered a case."""
    found = {}
    for host in hosts:
        registered = hostvars[host].get(variable)
        case = _part(registered, "case")
        if not case:
            continue
        look, about = _part(case, "look"), _part(registered, "about")
        server = "" if case.get("next") == END else look.get("server")
        found[host] = asking(server, look.get("why"), about)
    return found


def asking(server: object, why: object, about: Mapping[str, Any]) -> dict[str, str]:
    """Of one host, out of what is untrusted: the server that it fails at (empty for one that asks for no repair), why, and whom it asks."""
    return {"fails_at": str(server or ""), "why": str(why or ""), "asks": str(about.get("server") or "")}
