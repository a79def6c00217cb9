# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The case of a host as it travels from task to task: at most 2 KB of JSON, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from .case import MAX_LINE, MODES, Case, Declined, Look, Options, line, verdict_of
from .repairs import BY_NAME, ORDER, Proof
from .verdict import Verdict

SCHEMA = 1
MAX_BYTES = 2048


class CaseError(Exception):
    """A document that is no case; one line says why."""


def to_document(case: Case) -> dict[str, Any]:
    """The case as JSON of at most MAX_BYTES; what is empty is left out, long texts are cut."""
    came = verdict_of(case)
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "verdict": came.name,
        "next": case.next,
        "host": case.host,
        "run": case.run,
        "began": case.began,
        "options": _options_document(case.options),
        "look": None if case.look is None else _look_document(case.look),
        "declined": None if case.declined is None else _verdict_document(_as_verdict(case.declined)),
        "declined_repair": None if case.declined is None else case.declined.repair,
        "proofs": {name: proof.to_dict() for name, proof in case.proofs.items()},
        **{name: getattr(case, name) for name in _PLAIN},
        **{name: list(getattr(case, name)) for name in _LISTS},
        **{name: list(getattr(case, name))[:_MOST_SENTENCES] for name in _SENTENCES},
    }
    for most in (MAX_LINE, 160, 100, 60, 40, 24):
        fitted: dict[str, Any] = _cut(document, most)
        if _size(fitted) <= MAX_BYTES:
            break
    return fitted


_TEXTS = ("was", "why", "failed", "unknown", "why_lost", "due")
_FLAGS = ("changed", "blind", "repeated", "searched")
_NUMBERS = ("began", "lost", "actions")
_PLAIN = (*_TEXTS, *_FLAGS, *_NUMBERS)
_LISTS = ("did", "tried", "made", "later")
_SENTENCES = ("backups", "deeds", "would")
# There also when empty.
_KEPT = ("verdict", "msg", "next", "search")
_MOST_SENTENCES = 6


def _size(document: object) -> int:
    return len(json.dumps(document, separators=(",", ":")))


def _cut(value: Any, most: int) -> Any:
    """Without what is empty, texts cut to so many bytes of JSON."""
    if isinstance(value, str):
        return _cut_text(value, most)
    if isinstance(value, Mapping):
        return {key: _cut(item, most) for key, item in value.items() if key in _KEPT or item not in (None, "", [], {}, False, 0)}
    if isinstance(value, list):
        return [_cut(item, most) for item in value]
    return value


def _cut_text(text: str, most: int) -> str:
    shown = line(text, most)
    while _size(shown) - 2 > most:
        # A character takes at most six bytes there (twelve outside the first plane).
        shown = f"{shown[: max(0, len(shown) - 4 - (_size(shown) - most) // 12)]}..."
    return shown


def _options_document(options: Options) -> dict[str, Any]:
    return {"mode": options.mode, "repairs": list(options.repairs), "restart": options.restart, "search": options.search}


def _look_document(look: Look) -> dict[str, Any]:
    return {**_verdict_document(look.verdict), "waits": look.waits, "timed_out": list(look.timed_out)}


def _verdict_document(judged: Verdict) -> dict[str, Any]:
    return {
        "name": judged.name,
        "msg": judged.msg,
        "next_step": judged.next_step,
        "owner": judged.owner,
        "repairs": list(judged.repairs),
        "attempts": list(judged.attempts),
        "why": judged.why,
        "searchable": judged.search,
        "server": judged.server,
        "until": judged.until,
    }


def _as_verdict(declined: Declined) -> Verdict:
    return Verdict(name=declined.verdict, msg=declined.why, next_step=declined.next_step, owner=declined.owner)


def parse(document: object) -> Case:
    """Read a case that travelled through variables.

    Raises:
        CaseError: it is none.
    """
    top = _mapping(document, "case")
    if top.get("schema") != SCHEMA:
        raise CaseError("option case must be what an earlier task of this run returned as case")
    look = top.get("look")
    plain: dict[str, Any] = {
        **{name: _text(top, name) for name in _TEXTS},
        **{name: _flag(top, name) for name in _FLAGS},
        **{name: _number(top, name) for name in _NUMBERS},
        **{name: _names(top, name) for name in (*_LISTS, *_SENTENCES)},
    }
    return Case(
        host=_text(top, "host"),
        run=_text(top, "run"),
        options=parse_options(_mapping(top.get("options") or {}, "case.options")),
        look=None if look is None else _parse_look(_mapping(look, "case.look")),
        declined=_parse_declined(top),
        proofs=_parse_proofs(_mapping(top.get("proofs") or {}, "case.proofs")),
        **plain,
    )


def parse_options(document: Mapping[str, Any]) -> Options:
    """Read what may be done, as the role gives it.

    Raises:
        CaseError: a value is of another type, or the mode is none.
    """
    if unknown := set(document) - {"mode", "repairs", "skip", "restart", "search"}:
        raise CaseError(f"option case has no key {', '.join(sorted(map(str, unknown)))}")
    mode = _text(document, "mode") or "routed"
    if mode not in MODES:
        raise CaseError(f"option case.mode must be one of: {', '.join(MODES)}")
    wanted, skipped = (_repairs(document, key) for key in ("repairs", "skip"))
    return Options(
        mode=mode,
        repairs=tuple(name for name in wanted if name not in skipped),
        restart=_flag(document, "restart"),
        search=_flag({"search": True, **document}, "search"),
    )


def _repairs(document: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Names of repairs, or text as extra variables bring it (`-e wu_repair_only=reset,timesync`)."""
    value = document.get(key)
    if isinstance(value, str):
        value = [part.strip(" []'\"") for part in value.split(",")]
    names = _names({key: value}, key)
    unknown = [name for name in names if name and name not in (ALL, *BY_NAME)]
    if unknown:
        raise CaseError(f"option case.{key} ({_VARIABLES[key]}) knows the repairs {', '.join(BY_NAME)} and no other")
    return ORDER if ALL in names else tuple(name for name in names if name)


# Every repair of this release; and the role's variables, by which its user knows the options.
ALL = "all"
_VARIABLES = {"repairs": "wu_repair_only", "skip": "wu_repair_skip"}


def _parse_look(document: Mapping[str, Any]) -> Look:
    return Look(_parse_verdict(document), _flag(document, "waits"), _names(document, "timed_out"))


def _parse_verdict(document: Mapping[str, Any]) -> Verdict:
    return Verdict(
        name=_text(document, "name"),
        msg=_text(document, "msg"),
        next_step=_text(document, "next_step"),
        owner=_text(document, "owner") or None,
        repairs=_names(document, "repairs"),
        attempts=_names(document, "attempts"),
        why=_text(document, "why"),
        search=_flag(document, "searchable"),
        server=_text(document, "server"),
        until=_number(document, "until") or None,
    )


def _parse_declined(top: Mapping[str, Any]) -> Declined | None:
    if not top.get("declined"):
        return None
    said = _parse_verdict(_mapping(top["declined"], "case.declined"))
    return Declined(_text(top, "declined_repair"), said.name, said.msg, said.next_step, said.owner)


def _parse_proofs(document: Mapping[str, Any]) -> dict[str, Proof]:
    proofs = {}
    for name, given in document.items():
        proof = _mapping(given, "case.proofs")
        proofs[name] = Proof(_text(proof, "status"), _text(proof, "by") or None, _text(proof, "reason") or None)
    return proofs


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise CaseError(f"option {where} must be a dictionary")
    return value


def _text(document: Mapping[str, Any], key: str) -> str:
    value = document.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise CaseError(f"option case.{key} must be text")
    return str(value)


def _flag(document: Mapping[str, Any], key: str) -> bool:
    """A boolean, or text as extra variables bring it (`-e wu_repair_restart=true`)."""
    value = document.get(key)
    if isinstance(value, str):
        value = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}.get(value.lower())
        if value is None:
            raise CaseError(f"option case.{key} must be true or false")
    if value is not None and not isinstance(value, bool):
        raise CaseError(f"option case.{key} must be true or false")
    return bool(value)


def _number(document: Mapping[str, Any], key: str) -> int:
    value = document.get(key, 0)
    if not isinstance(value, int) or isinstance(value, bool):
        raise CaseError(f"option case.{key} must be a number")
    return int(value)


def _names(document: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = document.get(key)
    if value is None:
        return ()
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(item, str) for item in value):
        raise CaseError(f"option case.{key} must be a list of names")
    return tuple(str(item) for item in value)
