# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: dates as a culture shows them, `1/2/2026 10:00:00 AM`, `02.01.2026 10:00:00`, `2026. 1. 2. 오전 10:00:00`, taken out of text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from . import dates
from .dates import Fields

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
    """A date and a time of day as they stand.

    Attributes:
        fields: the three numbers of the date in their order; a year of four digits stands first or last.
        clock: hour, minute and second.
        half: `am` or `pm`, None for a clock of 24 hours.
        mark: what stands between the numbers.
        end: where it ends in the text.
    """

    fields: Fields
    clock: Fields
    half: str | None
    mark: str
    end: int

    @property
    def year_first(self) -> bool:
        return len(self.fields[0]) == 4


def moment(text: str) -> Moment | None:
    """The date that a text begins with, None where there is none."""
    text = text[:80].translate(_MARKS)
    found = _YEAR_FIRST.match(text)
    if found is not None:
        *day, between, hour, minute, second = found.groups()
        return _moment(text, found, (day, between, (hour, minute, second or "00")), mark="")
    found = _YEAR_LAST.match(text)
    if found is None:
        return None
    first, mark, second, year, between, *clock = found.groups()
    return _moment(text, found, ([first, second, year], between, (clock[0], clock[1], clock[2] or "00")), mark=mark.strip())


def _moment(text: str, found: re.Match[str], parts: tuple[list[str], str, Fields], *, mark: str) -> Moment:
    (first, second, third), between, clock = parts
    rest, end = text[found.end() :], found.end()
    after, before = _AFTER_NOON.match(rest), _BEFORE_NOON.match(rest)
    behind = after or before
    half = None
    if after is not None or _AFTER_NOON.search(between) is not None:
        half = "pm"
    elif before is not None or _BEFORE_NOON.search(between) is not None:
        half = "am"
    if behind is not None:
        end += behind.end()
    return Moment((first, second, third), clock, half, mark, end)


def day_first(moments: Sequence[Moment]) -> bool:
    """Whether the first number of these dates is the day: where they do not tell, by the marks that cultures use."""
    open_ones = [one for one in moments if not one.year_first]
    order = dates.order_of((one.fields for one in open_ones), daily=False)
    if order is not None:
        return order == dates.DAY_FIRST
    # `1/2/2026 10:00 AM` is American, nearly everybody else writes the day first.
    return not any(one.half and one.mark == "/" for one in open_ones)


def unix(one: Moment, by_day: bool) -> int | None:
    """Unix seconds, read as UTC; None where there is no such day."""
    order = dates.DAY_FIRST if by_day else dates.MONTH_FIRST
    return dates.moment(one.fields, one.clock, one.half, dates.YEAR_FIRST if one.year_first else order)
