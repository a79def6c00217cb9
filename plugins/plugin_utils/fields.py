# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How one field of untrusted JSON is checked, and how a dataclass is made of an object field by field.

A check takes a value, its path and the faults of its section. It returns what may be used or raises `FieldError`. What holds the value
then leaves it out and notes the fault: `record` a field that may be missing, `many` a row, `table` a name.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

# In `why` of a section from which something was left out for want of room.
CUT = "cut to fit"
LOST = f"failures {CUT}"

_LARGEST = 1 << 63
_MOST_FAULTS_IN_WORDS = 3
# C0 and C1, half surrogate pairs (nothing can write them again), line separators, and what turns the direction of a line.
_NOT_PRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")
_PLAIN_NAME = re.compile(r"[A-Za-z#][A-Za-z0-9_.-]{0,39}")
_DIGITS = re.compile(r"[0-9]{4,9}")
_GUID = re.compile(r"\{?([0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})\}?")

T = TypeVar("T")


class FieldError(ValueError):
    """A value that cannot be used. The message is one line that names its path."""


class Faults:
    """What is wrong with the fields of one section: the first few in words, and how many. `cut` says that a list was too long."""

    def __init__(self) -> None:
        self.cut = False
        self._count = 0
        self._lines: list[str] = []

    def __bool__(self) -> bool:
        return self._count > 0

    def add(self, line: str) -> None:
        """Note one fault."""
        self._count += 1
        if self._count <= _MOST_FAULTS_IN_WORDS:
            self._lines.append(line)

    def words(self) -> list[str]:
        """The faults for a person."""
        if self._count <= _MOST_FAULTS_IN_WORDS:
            return self._lines
        return [*self._lines, f"and {self._count - _MOST_FAULTS_IN_WORDS} more"]


Check = Callable[[object, str, Faults], Any]


def one_line(text: str, limit: int) -> str:
    """Text on one line, without control characters, cut to `limit`. What it returns it leaves as it is."""
    return _NOT_PRINTABLE.sub(" ", text[: limit * 2]).strip()[:limit].rstrip()


def excess(value: object, most_bytes: int, most_depth: int) -> str | None:
    """Say how a value is larger than JSON of it may be, None where it is not.

    It walks without recursion and stops at the limit, so neither depth nor a loop nor a value that stands in many places harms it.
    """
    room = most_bytes
    waiting: list[tuple[object, int]] = [(value, 1)]
    while waiting:
        item, depth = waiting.pop()
        if depth > most_depth:
            return f"is nested deeper than {most_depth}"
        room -= _own_size(item)
        if room < 0:
            return f"is larger than {most_bytes} bytes"
        if isinstance(item, Mapping):
            waiting.extend((name, depth) for name in item)
            waiting.extend((inner, depth + 1) for inner in item.values())
        elif isinstance(item, (list, tuple)):
            waiting.extend((inner, depth + 1) for inner in item)
    return None


def _own_size(item: object) -> int:
    """Bytes of a value in JSON without those of what it holds."""
    if isinstance(item, str):
        return len(json.dumps(item))
    if isinstance(item, (Mapping, list, tuple)):
        commas = max(len(item) - 1, 0)
        colons = len(item) if isinstance(item, Mapping) else 0
        return 2 + 2 * (commas + colons)
    if isinstance(item, int) and abs(item) > _LARGEST:
        return item.bit_length() // 4
    if item is None or isinstance(item, (int, float)):
        return len(json.dumps(item))
    return 2


def plain(value: object, only_when_there: Collection[str] = ()) -> Any:
    """A dataclass as JSON knows it.

    Args:
        value: a dataclass, or what one holds.
        only_when_there: the fields that are left out where they hold nothing.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        items = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        empty = [name for name in only_when_there if items.get(name) in (None, ())]
        return {name: plain(item, only_when_there) for name, item in items.items() if name not in empty}
    if isinstance(value, tuple):
        return [plain(item, only_when_there) for item in value]
    if isinstance(value, Mapping):
        return dict(value)
    return value


def refusal(path: str, value: object, expected: str) -> FieldError:
    """The error for a value of the wrong kind.

    Text is never repeated: whoever passed the wrong variable may have passed a secret.
    """
    return FieldError(f"{path} is {_kind_of(value)}, expected {expected}")


def _kind_of(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, str):
        return f"text of length {len(value)}"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, (bool, float)):
        return str(value)
    if not isinstance(value, int):
        return "of a kind that JSON does not know"
    if abs(value) > _LARGEST:
        return "a huge number"
    return str(int(value))


# --- checks of one value ----------------------------------------------------------------------------------------------


def whole(low: int = -_LARGEST, high: int = _LARGEST, expected: str = "a number") -> Check:
    """A number without a fraction, from `low` to `high`."""

    def check(value: object, path: str, _faults: Faults) -> int:
        number = value
        if isinstance(value, float) and math.isfinite(value):
            number = round(value)
        if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
            raise refusal(path, value, expected)
        return int(number)

    return check


def text(limit: int = 200) -> Check:
    """Text on one line, cut."""

    def check(value: object, path: str, _faults: Faults) -> str:
        if not isinstance(value, str):
            raise refusal(path, value, "text")
        return one_line(value, limit)

    return check


def log_line(value: object, path: str, _faults: Faults) -> str:
    """A line of a log. It keeps its tabs, which part its columns."""
    if not isinstance(value, str):
        raise refusal(path, value, "text")
    return "\t".join(one_line(column, 400) for column in value[:400].split("\t"))


def guid(value: object, path: str, _faults: Faults) -> str:
    """A GUID in lower case without braces; other text stays, since not all that names an update is a GUID."""
    if not isinstance(value, str):
        raise refusal(path, value, "text")
    line = one_line(value, 200)
    match = _GUID.fullmatch(line)
    return match.group(1).lower() if match else line


def kb(value: object, path: str, _faults: Faults) -> str:
    """The number of an article, which the update agent gives without its letters."""
    if not isinstance(value, str):
        raise refusal(path, value, "text")
    line = one_line(value, 20)
    return f"KB{line}" if _DIGITS.fullmatch(line) else line


def flag(value: object, path: str, _faults: Faults) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise refusal(path, value, "true or false")
    return value


def one_of(*names: str) -> Check:
    """One of a few words."""

    def check(value: object, path: str, _faults: Faults) -> str:
        if isinstance(value, str):
            for name in names:
                if name == value:
                    return name
        raise refusal(path, value, f"one of {', '.join(names)}")

    return check


def number_or_text(value: object, path: str, faults: Faults) -> int | str | None:
    """A value of the registry."""
    if value is None:
        return None
    if isinstance(value, str):
        return one_line(value, 400)
    if isinstance(value, bool):
        return int(value)
    number: int = whole(expected="a number or text")(value, path, faults)
    return number


def as_text(value: object, path: str, _faults: Faults) -> str:
    """A field of an event, which is text whatever it looks like."""
    if value is None:
        return ""
    if isinstance(value, str):
        return one_line(value, 200)
    if isinstance(value, int) and abs(value) <= _LARGEST:
        return str(int(value))
    raise refusal(path, value, "text")


# --- checks of what holds others --------------------------------------------------------------------------------------


def many(item: Check, limit: int, *, newest_last: bool = False) -> Check:
    """A list. A bad item is left out; of a list that is too long the oldest items are."""

    def check(value: object, path: str, faults: Faults) -> tuple[Any, ...]:
        if not isinstance(value, (list, tuple)):
            raise refusal(path, value, "a list")
        first = 0
        if len(value) > limit:
            faults.cut = True
            faults.add(f"{path} has {len(value)} items, expected at most {limit}")
            if newest_last:
                first = len(value) - limit
        return tuple(_usable(item, value[first : first + limit], path=path, first=first, faults=faults))

    return check


def _usable(item: Check, values: Sequence[object], *, path: str, first: int, faults: Faults) -> list[Any]:
    items = []
    for index, value in enumerate(values, start=first):
        try:
            items.append(item(value, f"{path}[{index}]", faults))
        except FieldError as error:
            faults.add(str(error))
    return items


def table(item: Check, limit: int) -> Check:
    """An object of values by names that are not known beforehand. A bad value is left out with its name."""

    def check(value: object, path: str, faults: Faults) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise refusal(path, value, "an object")
        if len(value) > limit:
            faults.cut = True
            faults.add(f"{path} has {len(value)} names, expected at most {limit}")
        values: dict[str, Any] = {}
        for index, (name, inner) in enumerate(value.items()):
            if len(values) == limit:
                break
            if not isinstance(name, str):
                faults.add(f"{path} has a name that is no text")
                continue
            try:
                values[one_line(name, 100)] = item(inner, f"{path}.{_shown_name(name, index)}", faults)
            except FieldError as error:
                faults.add(str(error))
        return values

    return check


def _shown_name(name: str, index: int) -> str:
    """A name as a path shows it; a host may have put anything into it."""
    return name if _PLAIN_NAME.fullmatch(name) else f"({index})"


def record(kind: type[T], *needed: str, **checks: Check) -> Callable[[object, str, Faults], T]:
    """An object with known fields, as a dataclass. Names that are not in `checks` are dropped.

    Args:
        kind: the dataclass. A field without a default must be there and right; any other keeps its default where it is null or bad.
        needed: more fields that must be there although they have a default.
        checks: the check of each field.
    """
    required = set(needed) | _without_default(kind)
    if not required <= set(checks) or set(checks) != set(getattr(kind, "__dataclass_fields__", ())):
        raise TypeError(f"the checks are not those of the fields of {kind.__name__}")

    def check(value: object, path: str, faults: Faults) -> T:
        if not isinstance(value, Mapping):
            raise refusal(path, value, "an object")
        given: dict[str, Any] = {}
        for name, inner in checks.items():
            item = value.get(name)
            if item is None:
                if name in required:
                    raise FieldError(f"{path}.{name} is missing")
                continue
            try:
                given[name] = inner(item, f"{path}.{name}", faults)
            except FieldError as error:
                if name in required:
                    raise
                faults.add(str(error))
        return kind(**given)

    return check


def _without_default(kind: type) -> set[str]:
    missing = dataclasses.MISSING
    return {field.name for field in dataclasses.fields(kind) if field.default is missing and field.default_factory is missing}
