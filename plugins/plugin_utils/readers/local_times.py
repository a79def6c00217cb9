# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: dates as a culture shows them, `1/2/2026 10:00:00 AM`, `02.01.2026 10:00:00`, `2026. 1. 2. 오전 10:00:00`.

Which of the first two numbers is the day, one date often does not say: all dates of a text do.
"""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Sequence
from typing import NamedTuple

_YEAR_FIRST = re.compile(
    r"([0-9]{4})\s?[-/.年년]\s{0,2}([0-9]{1,2})\s?[-/.月월]\s{0,2}([0-9]{1,2})([^0-9]{1,20})([0-9]{1,2})[:.]([0-9]{2})(?:[:.]([0-9]{2}))?"
)
_YEAR_LAST = re.compile(
    r"([0-9]{1,2})(\s?[-/.])\s{0,2}([0-9]{1,2})\s?[-/.]\s{0,2}([0-9]{4})([^0-9]{1,20})([0-9]{1,2})[:.]([0-9]{2})(?:[:.]([0-9]{2}))?"
)
# English, Spanish, Korean, Chinese, Japanese, Greek, Vietnamese, Arabic.
_HALF = r"(?:{0}\.?\s?m\b\.?|{1})"
_BEFORE_NOON = re.compile(r"\s{0,2}" + _HALF.format("a", r"오전|上午|午前|π\.?\s?μ|SA\b|ص"), re.I)
_AFTER_NOON = re.compile(r"\s{0,2}" + _HALF.format("p", r"오후|下午|午後|μ\.?\s?μ|CH\b|م"), re.I)
# What directions of writing leave around a date.
_MARKS = str.maketrans("\u202f\u00a0", "  ", "\u200e\u200f\u202a\u202b\u202c")


class Moment(NamedTuple):
    """A date and a time of day; of `first` and `second` one is the day, unless the year stands first.

    Attributes:
        year_first: `first` is the month.
        seconds: of the day.
        halves: the clock has twelve hours.
        mark: what stands between the numbers.
        end: where it ends in the text.
    """

    year: int
    first: int
    second: int
    seconds: int
    year_first: bool
    halves: bool
    mark: str
    end: int


def moment(text: str) -> Moment | None:
    """The date that a text begins with, None where there is none."""
    text = text[:80].translate(_MARKS)
    found = _YEAR_FIRST.match(text)
    if found is not None:
        year, first, second, between, *clock = found.groups()
        return _moment(text, found, (year, first, second), between, clock, mark="")
    found = _YEAR_LAST.match(text)
    if found is None:
        return None
    first, mark, second, year, between, *clock = found.groups()
    return _moment(text, found, (year, first, second), between, clock, mark=mark.strip())


def _moment(text: str, found: re.Match[str], day: Sequence[str], between: str, clock: Sequence[str | None], *, mark: str) -> Moment:
    rest, end = text[found.end() :], found.end()
    after, before = _AFTER_NOON.match(rest), _BEFORE_NOON.match(rest)
    half = after or before
    is_after = after is not None or _AFTER_NOON.search(between) is not None
    halves = is_after or half is not None or _BEFORE_NOON.search(between) is not None
    hour, minute, second = (int(part or 0) for part in clock)
    if halves:
        hour = hour % 12 + 12 * is_after
    if half is not None:
        end += half.end()
    year, first, other = (int(number) for number in day)
    return Moment(year, first, other, hour * 3600 + minute * 60 + second, not mark, halves, mark, end)


def day_first(moments: Sequence[Moment]) -> bool:
    """Whether the first number of these dates is the day.

    A number above twelve decides; else that a log is in order one way alone; else the marks that cultures use.
    """
    open_ones = [one for one in moments if not one.year_first]
    if any(one.first > 12 for one in open_ones):
        return True
    if any(one.second > 12 for one in open_ones):
        return False
    by_day, by_month = _is_in_order(open_ones, True), _is_in_order(open_ones, False)
    if by_day != by_month:
        return by_day
    # `1/2/2026 10:00 AM` is American, nearly everybody else writes the day first.
    return not any(one.halves and one.mark == "/" for one in open_ones)


def _is_in_order(moments: Sequence[Moment], by_day: bool) -> bool:
    times = [time for one in moments if (time := unix(one, by_day)) is not None]
    pairs = list(zip(times, times[1:], strict=False))
    return all(one <= other for one, other in pairs) or all(one >= other for one, other in pairs)


def unix(one: Moment, by_day: bool) -> int | None:
    """Unix seconds, read as UTC; None where there is no such day."""
    month, day = one.first, one.second
    if by_day and not one.year_first:
        month, day = day, month
    if not (1 <= month <= 12 and 1 <= day <= 31 and 1970 <= one.year <= 2200 and one.seconds < 86400):
        return None
    return timegm((one.year, month, day, 0, 0, 0, 0, 0, 0)) + one.seconds
