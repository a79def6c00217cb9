# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: what the readers of logs share: how observations alike fold, how bytes become lines, and what is named in a text."""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Iterable, Iterator
from functools import lru_cache

from .. import hresult
from ..fields import one_line
from ..observation import CANCELLED, FAILED, Observation, changed, in_utc

MAX_LINE = 2000
_MANY_LINES = 64 * 1024
_MAX_LINE_SHOWN = 200
_MAX_OBSERVATIONS = 2000
_MAX_RELATED = 8
# The agent offers, the stack says whether the update applies: an answer, not a fault (CBS_E_NOT_APPLICABLE).
NOT_APPLICABLE = 0x800F081E
# What the installer of an update answers where it has nothing to do: WU_S_ALREADY_INSTALLED, WU_E_NOT_APPLICABLE.
ANSWERS = {0x00240006: "already_installed", 0x80240017: "not_for_this", NOT_APPLICABLE: "not_for_this"}
# What a detection or repair of the component store proves that left nothing damaged, by whether there was damage.
PROOFS = {True: "store_repaired", False: "store_clean"}
# A download ends with these where somebody stopped it: E_ABORT, ERROR_REQUEST_ABORTED, ERROR_CANCELLED, WU_E_CALL_CANCELLED.
CANCEL_CODES = (0x80004004, 0x800704D3, 0x800704C7, 0x8024000B)


# So much ASCII in a row is never UTF-16.
_PLAIN = re.compile(rb"[ -~]{60}")
# Of a text in English, its byte order mark among it.
_LETTERS = bytes([*range(32, 127), 9, 10, 13, 0xFE, 0xFF])


def decode(data: bytes) -> str:
    """Bytes of a Windows log as text, whatever encoding they are in and wherever they were cut."""
    text = _decoded(data)
    if "\n" in text:
        return text
    # What went through some editors has carriage returns alone.
    return text.replace("\r", "\n")


def _has_lost_pairs(data: bytes) -> bool:
    """Whether UTF-16 was taken for text that has bytes for letters: a program that writes ends of lines anew turns all behind each."""
    sample = data[:8192]
    letters = sample.translate(None, b"\0")
    plain = len(letters.translate(None, _LETTERS))
    low, high = sample[0::2].count(0), sample[1::2].count(0)
    return plain * 50 <= len(letters) and min(low, high) * 10 > len(letters)


def _decoded(data: bytes) -> str:
    if _has_lost_pairs(data):
        return data.replace(b"\0", b"").decode("utf-8", "replace")
    if data.startswith(b"\xff\xfe"):
        return data[2:].decode("utf-16-le", "replace")
    if data.startswith(b"\xfe\xff"):
        return data[2:].decode("utf-16-be", "replace")
    if data.startswith(b"\xef\xbb\xbf"):
        return data[3:].decode("utf-8", "replace")
    start = len(data) - len(data.lstrip(b"\0"))
    start -= start % 2
    sample = data[start : start + 8192]
    if _PLAIN.search(sample):
        # A batch file's own log: ASCII, into which sfc wrote UTF-16.
        return data.decode("utf-8", "replace")
    even, odd = sample[0::2], sample[1::2]
    low, high = even.count(0), odd.count(0)
    half = max(len(odd), 1)
    # In UTF-16 the high byte of ASCII is NUL, misplaced if the cut went through a character. No script is without blanks and digits.
    if high > half * 0.2 and low * 3 < high:
        return data[start:].decode("utf-16-le", "replace")
    if low > half * 0.2 and high * 3 < low:
        return data[start + 1 :].decode("utf-16-le", "replace")
    return data.decode("utf-8", "replace")


def clean(text: str, limit: int = _MAX_LINE_SHOWN) -> str:
    """Text on one line, without control characters, cut."""
    return one_line(text, limit)


def each_line(text: str) -> Iterator[str]:
    """Lines without their ends, each cut to MAX_LINE."""
    start, size = 0, len(text)
    while start < size:
        # Many lines at once: of large logs half of the time would go into finding the end of each.
        end = text.find("\n", min(start + _MANY_LINES, size - 1))
        if end < 0:
            end = size
        for line in text[start:end].split("\n"):
            yield line if len(line) <= MAX_LINE else line[:MAX_LINE]
        start = end + 1


def lines_with(text: str, words: Iterable[str], more: re.Pattern[str] | None = None) -> Iterator[tuple[int, str]]:
    """The number of each line in which one of some words stands, or that `more` finds, and the line, cut to MAX_LINE.

    The words are looked for in many lines at once: to ask each line of a large log for each word takes three times as long.
    """
    every = tuple(words)
    start, size, number = 0, len(text), 0
    while start < size:
        end = text.find("\n", min(start + _MANY_LINES, size - 1))
        block = text[start : size if end < 0 else end + 1]
        begins = {begin for word in every for begin in _begins(block, word)}
        if more is not None:
            begins.update(block.rfind("\n", 0, found.start()) + 1 for found in more.finditer(block))
        before = 0
        for begin in sorted(begins):
            number += block.count("\n", before, begin)
            before = begin
            line_end = block.find("\n", begin)
            yield number, block[begin : len(block) if line_end < 0 else line_end][:MAX_LINE]
        number += block.count("\n", before)
        start += len(block)


def _begins(block: str, word: str) -> Iterator[int]:
    """Where each line begins that has the word."""
    found = block.find(word)
    while found >= 0:
        yield block.rfind("\n", 0, found) + 1
        line_end = block.find("\n", found)
        found = block.find(word, line_end) if line_end >= 0 else -1


@lru_cache(maxsize=1024)
def stamp(date: str, clock: str) -> int | None:
    """Unix seconds of `2025-11-24` and `03:00:00`, read as UTC; None where there is no such moment."""
    try:
        day = (int(date[0:4]), int(date[5:7]), int(date[8:10]))
        return timegm((*day, int(clock[0:2]), int(clock[3:5]), int(clock[6:8]), 0, 0, 0))
    except ValueError:
        return None


# The code of a failure in running text.
CODE = re.compile(r"(?<![0-9A-Za-z])(0x[89c][0-9a-f]{7})(?![0-9A-Za-z])", re.I)


def to_code(text: str | None) -> int | None:
    """An error code in any form, None for what is none."""
    if not text:
        return None
    try:
        return hresult.normalise(text)
    except hresult.HResultError:
        return None


def is_failure(code: int | None) -> bool:
    """Whether the code is an HRESULT that says that something failed."""
    return code is not None and bool(code & 0x80000000)


def failure_or_none(code: int | None) -> int | None:
    """The code where it says that something failed."""
    return code if is_failure(code) else None


def outcome_of_failure(layer: str, code: int | None) -> str:
    """How something ended that did not succeed: a download may have been stopped by somebody, all else failed."""
    return CANCELLED if layer == "download" and code in CANCEL_CODES else FAILED


def part(found: re.Match[str] | None, group: int = 1) -> str | None:
    """A part of what a pattern found, None where it found nothing."""
    return found and found.group(group)


def stamp_of(found: re.Match[str] | None) -> int | None:
    """The moment whose date and time are the first two parts of what a pattern found."""
    return found and stamp(found.group(1), found.group(2))


# `Package_for_KB5034441` has a letter before it that is none of a word. The stack calls each feature on demand KB777778.
_KB = re.compile(r"(?<![A-Za-z0-9])KB(?!777778(?![0-9]))([0-9]{6,8})(?![0-9])", re.I)
_GUID = re.compile(r"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})", re.I)


def guid_of(text: str | None) -> str | None:
    """The first GUID, lower case and without braces; None for none or the one of zeros, which stands for nothing."""
    found = _GUID.search((text or "")[:MAX_LINE])
    if found is None or not set(found.group(1)) - set("0-"):
        return None
    return found.group(1).lower()


def kb_of(text: str | None) -> str | None:
    """The first KB number, as `KB5034441`."""
    found = _KB.search((text or "")[:MAX_LINE])
    return found and f"KB{found.group(1)}"


def kbs_of(text: str) -> tuple[str, ...]:
    """Every KB number of a text, each once, in its order."""
    return tuple(dict.fromkeys(f"KB{found.group(1)}" for found in _KB.finditer(text)))


def only_kb(text: str) -> str | None:
    """The KB number of a text that names one alone."""
    named = kbs_of(text)
    return named[0] if len(named) == 1 else None


# `PREFIX: SENTENCE: TITLE`; French sets a blank before the colon, Chinese and Japanese write a wide one.
_COLON = re.compile(r"[ \u00a0]?(?::\s|\uff1a)\s?")
_CODE_COLON = re.compile(r"0x[0-9a-f]{8}[ \u00a0]?(?::\s|\uff1a)\s?", re.I)


def title_of(message: str) -> str | None:
    """The title in the message of an installation, whatever language the rest of it is in."""
    after_code = _CODE_COLON.search(message)
    if after_code:
        return clean(message[after_code.end() :]).rstrip(" .") or None
    parts = _COLON.split(message, maxsplit=2)
    if len(parts) < 3:
        return None
    return clean(parts[2]).rstrip(" .") or None


def _is_newer(one: Observation, other: Observation) -> bool:
    """Whether `one`, which was read before `other`, is the later of the two: in one channel by place, else by time."""
    if one.place is not None and other.place is not None and one.channel == other.channel:
        return one.place > other.place
    if one.time is not None and other.time is not None:
        return one.time > other.time
    return other.time is None and one.time is not None


def _fold(before: Observation, after: Observation) -> Observation:
    newer, older = after, before
    if _is_newer(before, after):
        newer, older = before, after
    if newer.time is None:
        newer = changed(newer, time=older.time, bound_s=older.bound_s)
    first = min((moment for moment in (before.first, after.first) if moment is not None), default=None)
    # The time is that of the last one, not the greatest: a clock that was set back must not make it lie in the future.
    return changed(newer, count=before.count + after.count, first=first, title=newer.title or older.title)


def _is_damage(seen: Observation) -> bool:
    return seen.layer == "store" and seen.marker is not None and not seen.ok


def _title_alone(one: Observation) -> str | None:
    """The title of what has no other name: drivers and apps in the text of an event, where neither GUID nor KB stands."""
    if one.update or one.kb or one.name:
        return None
    return one.title


class Collector:
    """Observations, those alike folded into one, in the order in which they were seen last."""

    def __init__(self, zone_offset_s: int | None, channel: str | None = None) -> None:
        self.channel = channel
        self._seen: dict[tuple[object, ...], Observation] = {}
        self._zone = zone_offset_s
        self._aside: dict[int, None] = {}

    def add(self, observation: Observation, *, local: bool = False, by_line: bool = False) -> None:
        """Take one.

        Args:
            observation: what was seen. Without a `first` it was seen once, at `time`.
            local: its times are the host's local ones.
            by_line: only what has the same line is alike.
        """
        if local:
            observation = in_utc(observation, self._zone)
        if observation.first is None:
            observation = changed(observation, first=observation.time)
        key = (
            observation.source, observation.channel, observation.layer, observation.outcome, observation.code, observation.marker,
            observation.update, observation.kb, observation.name, observation.service, observation.caller,
            _title_alone(observation), by_line and clean(observation.line),
        )  # fmt: skip
        before = self._seen.pop(key, None)
        if before is not None:
            observation = _fold(before, observation)
        elif len(self._seen) >= _MAX_OBSERVATIONS:
            del self._seen[next(iter(self._seen))]
        self._seen[key] = observation

    def aside(self, code: int) -> None:
        """Note a code that tells nothing by itself. It is named beside damage in the same log, if any."""
        if len(self._aside) < _MAX_RELATED:
            self._aside[code] = None

    def result(self) -> list[Observation]:
        """What was seen, with the codes that mean nothing alone beside the damage."""
        told = {one.code for one in self._seen.values()}
        related = tuple(code for code in self._aside if code not in told)
        for key, one in self._seen.items():
            # Of a hundred lines alike one is left to be cleaned.
            self._seen[key] = changed(one, line=clean(one.line), related=related if _is_damage(one) else one.related)
        return list(self._seen.values())
