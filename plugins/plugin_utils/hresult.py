# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Error codes in every form they are written in, and what they mean."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path


class HResultError(ValueError):
    """The value is no error code in any form that is known."""


@dataclass(frozen=True)
class CodeInfo:
    """What is known of one code."""

    code: int
    hex: str
    symbol: str
    area: str
    meaning: str
    remedies: tuple[str, ...]


_UNNAMED = "UNNAMED"

# winerror.h FACILITY_*: how an unknown code of the facility reads, its area, what to try.
_FACILITY = {
    0x01: ("remote procedure calls", "service", ("reboot", "manual")),
    0x02: ("COM automation", "service", ("manual",)),
    0x03: ("structured storage", "disk", ("manual",)),
    0x04: ("an interface that defines its own codes", "other", ("manual",)),
    0x09: ("the security interface (TLS, certificates)", "time_tls", ("timesync", "manual")),
    0x0B: ("certificate trust", "time_tls", ("timesync", "manual")),
    0x0F: ("component based servicing", "servicing_cbs", ("troubleshoot", "manual")),
    0x19: ("the HTTP layer", "network", ("network", "proxy")),
    0x20: ("the background transfer service (BITS)", "network", ("network", "wait")),
    0x24: ("the Windows Update agent", "other", ("manual",)),
    0xD0: ("delivery optimisation", "network", ("network", "wait")),
}


def _load() -> tuple[dict[int, tuple[str, str, str, str]], dict[str, int]]:
    codes = {0: ("S_OK", "other", "Success", "")}
    symbols: dict[str, int] = {"S_OK": 0, "ERROR_SUCCESS": 0}
    path = Path(__file__).parent / "data" / "hresults.csv"
    with path.open(encoding="utf-8", newline="") as stream:
        rows = csv.reader(stream)
        next(rows)
        for text, symbol, area, meaning, remedies in rows:
            code = int(text, 16)
            codes[code] = ("" if symbol == _UNNAMED else symbol, area, meaning, remedies)
            symbols[symbol.upper()] = code
    symbols.pop(_UNNAMED, None)
    return codes, symbols


_CODES, _SYMBOLS = _load()

_EDGE = " \t\r\n\f\v\0.,;:!?'\"()[]{}<>"
_PREFIX = re.compile(r"(?:hresult|hr|error(?: ?code)?|errorcode|code|status)\s*[=:]?\s*(?=[-0-9a-z_%])", re.I)
_WIN32 = re.compile(r"(?:%%|win32\s*[:=]?\s*)", re.I)
# `0x80070002 - ERROR_FILE_NOT_FOUND` and `0x80070002 (ERROR_FILE_NOT_FOUND)`: the number decides.
_NAMED = re.compile(r"(\S+?)\s*(?:-\s+|\()[A-Za-z][\w .]{0,100}")
_HEX = re.compile(r"0x([0-9a-f]{1,16})", re.I)
_HEX8 = re.compile(r"[0-9a-f]{8}", re.I)
_DECIMAL = re.compile(r"-?[0-9]{1,20}")
_MAX_TEXT = 200


def _win32(number: int) -> int:
    return 0x80070000 | number if 0 < number < 0x10000 else number


def _from_number(number: int, shown: str) -> int:
    if not -0x80000000 <= number <= 0xFFFFFFFF:
        raise HResultError(f"{shown} does not fit into 32 bits, so it is no error code")
    return _win32(number) & 0xFFFFFFFF


def _from_text(text: str) -> int:
    shown = ascii(text[:60])
    if len(text) > _MAX_TEXT:
        raise HResultError(f"{shown}... is too long for an error code")
    bare = text.strip(_EDGE)
    if bare.upper() in _SYMBOLS:
        return _SYMBOLS[bare.upper()]
    prefix = _PREFIX.match(bare)
    if prefix:
        bare = bare[prefix.end() :]
    named = _NAMED.fullmatch(bare)
    if named:
        bare = named.group(1)
    win32 = _WIN32.match(bare)
    if win32:
        bare = bare[win32.end() :]
    if bare.upper() in _SYMBOLS:
        return _SYMBOLS[bare.upper()]
    found = _HEX.fullmatch(bare)
    if found:
        digits = found.group(1)
        number = int(digits, 16)
        if len(digits) > 8:
            # A signed code printed as 64 bits carries its sign: 0xffffffff80070002.
            if number >> 31 not in (0x1FFFFFFFF, 0, 1):
                raise HResultError(f"{shown} does not fit into 32 bits, so it is no error code")
            return number & 0xFFFFFFFF
        return number if len(digits) == 8 else _win32(number)
    if win32 is None and _HEX8.fullmatch(bare):
        return int(bare, 16)
    if _DECIMAL.fullmatch(bare):
        return _from_number(int(bare), shown)
    raise HResultError(f"{shown} is no error code in a form that is known")


def normalise(value: int | str) -> int:
    """Give an error code as an unsigned 32-bit number, whatever form it came in.

    Args:
        value: signed or unsigned number, hexadecimal with or without `0x` (bare: exactly eight digits), a Win32 error
            (`2`, `%%1058`, `WIN32: 2`: numbers below 0x10000 become 0x8007xxxx), or a symbol.

    Raises:
        HResultError: the value is none of these; the message is one line.
    """
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise HResultError(f"a {type(value).__name__} is no error code")
    if isinstance(value, str):
        return _from_text(value)
    number = int(value)
    return _from_number(number, str(number) if abs(number) < 1 << 64 else "a number of more than 64 bits")


def hex_of(code: int) -> str:
    """The code as `0x80070002`."""
    return f"0x{code & 0xFFFFFFFF:08X}"


def _unknown(code: int) -> tuple[str, str, tuple[str, ...]]:
    """Area, meaning and remedies of a code that no table names, from its bits alone ([MS-ERREF] 2.1, 2.3)."""
    facility, number = code >> 16 & 0x7FF, code & 0xFFFF
    if code >> 16 & 0xFFF0 == 0xC190 or code >> 16 in (0xC180, 0xC770):
        return (
            "setup_upgrade",
            "A set-up (feature upgrade) error without a public name; look for the inner error",
            ("manual",),
        )
    if code >> 16 == 0xC142:
        return "servicing_cbs", "An image (WIM) mounting error without a public name", ("manual",)
    if code & 0x10000000:
        status = code & ~0x10000000
        store = facility == 0x15
        return (
            "store" if store else "other",
            f"The kernel's status {hex_of(status)}, wrapped as an error code",
            ("troubleshoot", "manual") if store else ("manual",),
        )
    if code >> 30 == 3:
        store = facility == 0x15
        return "store" if store else "other", "A kernel status (NTSTATUS) without a public name here", ("manual",)
    if not code & 0x80000000:
        return "other", f"Success with a note (facility {facility}, number {number})", ()
    if facility == 7:
        return "other", f"The Windows error {number}, for which no advice is known", ("manual",)
    if facility == 0x19 and 100 <= number < 600:
        return "network", f"The server or a proxy answered HTTP {number}", ("network", "proxy")
    if facility in _FACILITY:
        name, area, remedies = _FACILITY[facility]
        return area, f"An error of {name} without a public name (number {number})", remedies
    return "other", f"An unknown error (facility {facility}, number {number})", ("manual",)


def describe(code: int) -> CodeInfo:
    """Tell what a code means; for one that no table names, what its bits say.

    Args:
        code: as `normalise` gives it.
    """
    code &= 0xFFFFFFFF
    known = _CODES.get(code)
    if known is not None:
        symbol, area, meaning, listed = known
        return CodeInfo(code, hex_of(code), symbol, area, meaning, tuple(listed.split("|")) if listed else ())
    area, meaning, remedies = _unknown(code)
    return CodeInfo(code, hex_of(code), "", area, meaning, remedies)
