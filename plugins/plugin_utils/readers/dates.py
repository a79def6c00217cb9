# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: dates in the order of a machine's culture, where one line does not say what is day and what is month."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from .records import stamp

# A date in three numbers of any order; some cultures set a blank behind the separator, or a dot behind the last number.
DATE = r"([0-9]{1,4})[-/.] ?([0-9]{1,2})[-/.] ?([0-9]{1,4})\.?"
YEAR_FIRST, DAY_FIRST, MONTH_FIRST = "ymd", "dmy", "mdy"
# The Thai calendar is 543 years ahead; years of the Arabic and Persian ones are of another length.
_THAI, _THAI_YEARS = 2400, 543
_OLDEST = 1990
# Logs of this kind have lines for most days: three dates a day or a week apart are days, three a month apart are not.
_ENOUGH_DATES, _CLOSE_DAYS, _FAR_DAYS = 3, 7, 25
_MOST_DATES = 20_000

Fields = tuple[str, str, str]


def order_of(dates: Iterable[Fields], *, daily: bool = True) -> str | None:
    """In which order the dates of a log are written, in the order of its lines; None where the log does not tell.

    Args:
        dates: as they follow each other.
        daily: it is a log, the newest last, that has lines for most days, as the update agent and ConfigMgr write: dates a month apart are
            days. What a viewer exports may have the newest first.
    """
    different: list[Fields] = []
    for fields in dates:
        if len(fields[0]) == 4:
            return YEAR_FIRST
        if not different or different[-1] != fields:
            different.append(fields)
        if len(different) >= _MOST_DATES:
            break
    if any(int(fields[0]) > 12 for fields in different):
        return DAY_FIRST
    if any(int(fields[1]) > 12 for fields in different):
        return MONTH_FIRST
    return _by_sequence(different, daily)


def _by_sequence(dates: Sequence[Fields], daily: bool) -> str | None:
    """Lines follow each other in time, so the order in which fewer of them go the other way is the right one."""
    by_day, by_month = _gaps(dates, DAY_FIRST), _gaps(dates, MONTH_FIRST)
    astray_by_day, astray_by_month = (_astray(gaps, either_way=not daily) for gaps in (by_day, by_month))
    if astray_by_day != astray_by_month:
        return DAY_FIRST if astray_by_day < astray_by_month else MONTH_FIRST
    if len(dates) < _ENOUGH_DATES or not daily:
        return None
    if _are_close(by_day) and _are_far(by_month):
        return DAY_FIRST
    if _are_close(by_month) and _are_far(by_day):
        return MONTH_FIRST
    return None


def _gaps(dates: Sequence[Fields], order: str) -> list[int]:
    days = [day for fields in dates if (day := _day(fields, order)) is not None]
    return [(later - earlier).days for earlier, later in zip(days, days[1:], strict=False)]


def _astray(gaps: Sequence[int], *, either_way: bool) -> int:
    """How many dates go back, or go the other way than most."""
    back = sum(gap < 0 for gap in gaps)
    return min(back, len(gaps) - back) if either_way else back


def _are_close(gaps: Iterable[int]) -> bool:
    return all(abs(gap) <= _CLOSE_DAYS for gap in gaps)


def _are_far(gaps: Iterable[int]) -> bool:
    return all(abs(gap) >= _FAR_DAYS for gap in gaps)


def _day(fields: Fields, order: str) -> date | None:
    year, month, day = (int(fields[order.index(part)]) for part in "ymd")
    if year < 100:
        year += 2000
    if year > _THAI:
        year -= _THAI_YEARS
    if year < _OLDEST:
        return None
    try:
        return date(year, month, day)
    except ValueError:
        return None


def moment(fields: Fields, clock: Fields, half: str | None, order: str | None) -> int | None:
    """Unix seconds of a date and a time, read as UTC.

    Args:
        fields: the three numbers of the date, as they stand.
        clock: hour, minute and second.
        half: `AM` or `PM` in any form, None for a clock of 24 hours.
        order: what `order_of` found. Where it is unknown, the moment is unknown but for a day that has the number of its month.
    """
    if order is None and int(fields[0]) == int(fields[1]):
        order = DAY_FIRST
    day = None if order is None else _day(fields, order)
    hour = int(clock[0])
    if half:
        hour = hour % 12 + 12 * (half[0] in "pP")
    if day is None or hour > 23 or int(clock[1]) > 59 or int(clock[2]) > 60:
        return None
    return stamp(day.isoformat(), f"{hour:02d}:{clock[1]}:{clock[2]}")
