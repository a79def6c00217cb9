# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Codes that somebody wrote of in a text: what people tell is no record of what happened, but it is what they ask about."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from . import hresult
from .finding import CLOSED, Finding
from .readers.records import clean, kbs_of, only_kb
from .readers.service_names import service_called

# A text with more codes than this is a table of codes, and no longer text is a ticket.
_MOST_CODES, MOST_TEXT = 6, 60_000
_MOST_LINE, _MOST_NAMED = 200, 3
# A code that no table names is one where a word says so: a Windows error near the word, any other behind the name that programs give it.
_CALLED = re.compile(
    r"(?:\b(?:err(?:or|eur|ore)?s?|errno|(?:error|exit)?code|c[o\u00f3]dig[oe]|codice|fehler(?:code)?|fout|chyba|b\u0142\u0105d|hata|hr"
    r"|fail(?:ed|ure|s)?)\b|HRESULT|\u043e\u0448\u0438\u0431\u043a|\u9519\u8bef|\u932f\u8aa4|\u30a8\u30e9\u30fc|\uc624\ub958)"
    r"[^\n]{0,60}?(?<![0-9A-Za-z_.#/-])(0x8007[0-9a-f]{4})(?![0-9a-z_-])"
    r"|\b(?:hr|HRESULT)(?: ?[:=] ?| (?:of )?)\(?(0x[89c][0-9a-f]{7})(?![0-9a-z_-])",
    re.I,
)
# Those of driver installations begin with 0xE0000.
_CODE = re.compile(
    r"(?<![0-9A-Za-z_.#/-])(0x(?:[89c]|e(?=0000))[0-9a-f]{7}|[89c][0-9a-f]{7}|-[12][0-9]{9}|[23][0-9]{9})(?![0-9a-z_-]|\.[0-9a-z])", re.I
)
# Errors of assemblies, as DISM and SFC end with them, and as people write of them: `Error: 14098`, `(Error 14081)`.
_SMALL = re.compile(r"(?:[^\W\d_]{2,20} ?[:=\uff1a]|\berror) ?(14[01][0-9]{2})(?![0-9a-z.,-])", re.I)
# DISM ends with Windows errors, and their numbers are what people give: `DISM exited with code 112`. Where the line does not name it,
# the number must be one that is none of something else.
_ENDED = re.compile(
    r"\b(?:(?:exit(?:ed)?(?: with)?(?: exit)?|failed|error|failure)[ -]{1,2}(?:with )?(?:error )?code[ :=]{1,3}|error: ?)"
    r"([0-9]{1,5})(?![0-9a-z.,x-])",
    re.I,
)
_BARE = re.compile(r"\bcode[ :=]{1,3}(1[0-9]{3})(?![0-9a-z.,x-])", re.I)
_DISM = re.compile(r"\bdism\b", re.I)
_NOTHING = (0x80070000, 0x80070001)
# How far an upgrade came stands behind its code: `0xC1900101 - 0x20017`.
_PHASE = re.compile(r"(0xC19[0-9a-f]{5}|0x8[0-9a-f]{7}) ?[-\u2013] ?(0x[2-5]00[0-9a-f]{2})(?![0-9a-z])", re.I)
# A line of a log: a date or a level before it, columns, or a code in the form of a program.
_RECORD = re.compile(r"^[\W_]{0,8}(?:(?!0x)[0-9]|(?:Info|Warning|Error|Fatal)[ \t]{2}|<)|\t|HRESULT|gle=|\bhr ?=", re.I)
_FAILS = re.compile(r"FAILED|FATAL|WARNING|\b(?:fail(?:s|ed|ure)?|errors?)\b", re.I)
# What the service manager says of a service, in English, quoted without its event.
_SERVICE_ENDED = re.compile(r"\bThe (\S.{2,60}?) service (?:terminated|hung on starting|failed to start)\b")
# A program to install is not what a code elsewhere belongs to: `NDP452-KB2901907-x86-x64-AllOS-ENU.exe` among what others need.
_PROGRAM = re.compile(r"[\w.-]{0,80}KB[0-9]{6,8}[\w.-]{0,80}\.exe\b", re.I)
# The update agent's, the servicing stack's, those of a feature upgrade and of ConfigMgr: nothing else gives them.
_OF_UPDATES = (0x8024, 0x800F, 0xC190, 0x87D0)


@dataclass(frozen=True)
class Mention:
    """A code that a text names.

    Attributes:
        code: unsigned, as `hresult.normalise` gives it; None where it is said without one that a service failed.
        kb: the update that is named in the same line, or the only one of the text.
        line: the line, cut to 200 characters.
        log: the name of the file.
        beside: of an upgrade how far it came, else the updates that the text names, where they are a few.
        service: key name of a service that is said to have failed.
    """

    code: int | None
    kb: str | None
    line: str
    log: str = ""
    beside: str | None = None
    service: str | None = None


def in_text(text: str, *, is_log: bool, records: bool = False) -> tuple[Mention, ...]:
    """The failures that a text names, each code once; none where it is a table of codes, or longer than a ticket.

    Args:
        text: at most MOST_TEXT characters, else nothing is looked for.
        is_log: it holds lines of a log, where a code that its reader leaves alone is noise: sentences alone are looked at.
        records: those of its lines are looked at, too, that say that something failed.
    """
    if len(text) > MOST_TEXT:
        return ()
    named = updates(_PROGRAM.sub(" ", text))
    only = named[0] if len(named) == 1 else None
    several = ", ".join(named) if len(named) > 1 else None
    first: dict[int | str, Mention] = {}
    of_dism = not is_log and _DISM.search(text) is not None
    for line in text.splitlines():
        if is_log and _RECORD.search(line) and not (records and _FAILS.search(line)):
            continue
        own = only_kb(line) or only
        for code in (*_codes(line), *(_ended(line) if of_dism else ())):
            beside = _phase(line, code) or several
            first.setdefault(code, Mention(code, own, clean(line.strip())[:_MOST_LINE], beside=beside))
        for one in _services(line):
            first.setdefault(one.service or "", one)
    return tuple(first.values()) if len(first) <= _MOST_CODES else ()


def _phase(line: str, code: int) -> str | None:
    """How far the upgrade came that ended with a code."""
    return next((f"phase {found.group(2)}" for found in _PHASE.finditer(line) if int(found.group(1), 16) == code), None)


def _services(line: str) -> Iterator[Mention]:
    """The services that updates need of which a line says that they ended or did not start."""
    for found in _SERVICE_ENDED.finditer(line):
        name = service_called(found.group(1))
        if name is not None:
            yield Mention(None, None, clean(line.strip())[:_MOST_LINE], service=name)


def _codes(line: str) -> Iterator[int]:
    for found in (*_CODE.finditer(line), *_SMALL.finditer(line)):
        try:
            code = hresult.normalise(found.group(1))
        except hresult.HResultError:
            continue
        if hresult.is_known(code) or code >> 16 in _OF_UPDATES:
            yield code
    for found in _CALLED.finditer(line):
        code = hresult.normalise(found.group(1) or found.group(2))
        if code not in _NOTHING:
            yield code


def _ended(line: str) -> Iterator[int]:
    """The Windows errors that a line says DISM ended with, in a text that speaks of it."""
    own = _DISM.search(line) is not None
    for found in (*_ENDED.finditer(line), *_BARE.finditer(line)):
        code = hresult.normalise(found.group(1))
        if code not in _NOTHING and hresult.is_known(code) and (own or len(found.group(1)) >= 4):
            yield code


def updates(text: str) -> tuple[str, ...]:
    """The few updates that a text speaks of; none where it is longer than a ticket, or lists them."""
    if len(text) > MOST_TEXT:
        return ()
    named = kbs_of(text)
    return named if len(named) <= _MOST_NAMED else ()


def findings(mentions: Iterable[Mention], found: Sequence[Finding]) -> list[Finding]:
    """What is named and not among the findings: told, and never acted on."""
    shown = {code for item in found for code in (item.code, *item.codes, *item.related_codes)}
    told: dict[str, Finding] = {}
    services = {item.service for item in found}
    for one in mentions:
        if one.code is None:
            if one.service and one.service not in services:
                told.setdefault(one.service, _of_service(one, one.service))
            continue
        info = hresult.describe(one.code)
        if info.hex not in shown:
            told.setdefault(info.hex, _of_code(one, info))
    return list(told.values())


def _of_service(one: Mention, name: str) -> Finding:
    told = _finding(one, name, f"The service {name} is said to have ended or not to start", ": they say why.")
    return replace(told, condition="service_failed", name=name, order=122)


def _of_code(one: Mention, info: hresult.CodeInfo) -> Finding:
    told = _finding(one, info.hex, info.meaning, f"; code={info.hex} says what helps where.")
    return replace(told, code=info.hex, symbol=info.symbol, kb=one.kb, name=one.beside)


def _finding(one: Mention, name: str, meaning: str, more: str) -> Finding:
    return Finding(
        id=f"{name}@mentioned",
        subject="mentioned",
        layer="reported",
        meaning=meaning,
        answer={"wait": "search"},
        next_step=f"Look at the host (winfleet.wu_repair.win_wu_info) or explain its logs{more}",
        state=CLOSED,
        lines=(one.line,),
        seen_in=(one.log,) if one.log else (),
        source="reported",
        superseded_by="nothing: it is named, and nothing is shown that failed with it",
        order=121,
    )


def sentence(named: Sequence[Finding]) -> str:
    """What a text names, in words; '' where it names nothing."""
    if not named:
        return ""
    more = len(named) - _MOST_NAMED
    others = f" and {more} more" if more > 0 else ""
    return f" It names {', '.join(_words(item) for item in named[:_MOST_NAMED])}{others}, but no line that is known shows what failed."


def _words(item: Finding) -> str:
    if item.code is None:
        return f"{item.name} (without a code)"
    return f"{item.code}{_whose(item)} ({item.meaning})"


def _whose(item: Finding) -> str:
    """Whose code it is, or how far the upgrade came; of updates that the text names elsewhere it is not known."""
    if item.kb is None and item.name and item.name.startswith("KB"):
        return f" beside {item.name}"
    own = item.kb or item.name
    return f" of {own}" if own else ""
