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
    0x3D: ("the web services layer", "network", ("network", "wait")),
    0xD0: ("delivery optimisation", "network", ("network", "wait")),
}
_UPDATE_AGENT = 0x24

# Bits 27 to 30 of an HRESULT: C, N, r, X ([MS-ERREF] 2.1). A code of Windows sets none of them but N and C of a kernel status.
_RESERVED = 0x78000000
_NT_BIT = 0x10000000
# 0xC8000000 plus a number: the database engine (ESE) under the update agent's data store.
_ESE = range(0xC8000001, 0xC8001000)

# What the kernel's status is as a Windows error (RtlNtStatusToDosError), so that one fault has one code in every log.
NT_TO_WIN32 = {
    0xC0000005: 998,
    0xC0000008: 6,
    0xC000000D: 87,
    0xC000000F: 2,
    0xC0000011: 38,
    0xC0000017: 8,
    0xC0000022: 5,
    0xC0000032: 1393,
    0xC0000033: 123,
    0xC0000034: 2,
    0xC0000035: 183,
    0xC000003A: 3,
    0xC000003F: 23,
    0xC0000043: 32,
    0xC0000056: 5,
    0xC000007F: 112,
    0xC000009A: 1450,
    0xC000009C: 23,
    0xC0000101: 145,
    0xC0000102: 1392,
    0xC0000121: 5,
    0xC0000135: 126,
    0xC0000139: 127,
    0xC0000142: 1114,
    0xC000014C: 1015,
    0xC000014D: 1016,
    0xC000017C: 1018,
    0xC0000185: 1117,
    0xC0000225: 1168,
    0xC0000428: 577,
    0xC000042A: 776,
    0xC0150002: 14001,
    0xC0150004: 14003,
    0xC0150005: 14004,
    0xC0150006: 14005,
    0xC015000C: 14081,
    0xC0150015: 14083,
    0xC015001A: 14098,
    0xC015001B: 14028,
    0xC015001C: 14101,
    0xC0150020: 14099,
    0xC0150024: 14107,
    0xC0150025: 14108,
    0xC0150026: 14109,
    0xC0150027: 14110,
    0xC0190003: 6701,
    0xC01A001D: 6628,
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
    rest = text.strip(_EDGE)
    if rest.upper() in _SYMBOLS:
        return _SYMBOLS[rest.upper()]
    prefix = _PREFIX.match(rest)
    if prefix:
        rest = rest[prefix.end() :]
    named = _NAMED.fullmatch(rest)
    if named:
        rest = named.group(1)
    win32 = _WIN32.match(rest)
    if win32:
        rest = rest[win32.end() :]
    if rest.upper() in _SYMBOLS:
        return _SYMBOLS[rest.upper()]
    digits = _HEX.fullmatch(rest)
    if digits:
        return _from_hex(digits.group(1), shown)
    if win32 is None and _HEX8.fullmatch(rest):
        return int(rest, 16)
    if _DECIMAL.fullmatch(rest):
        return _from_decimal(rest, shown)
    raise HResultError(f"{shown} is no error code in a form that is known")


def _from_hex(digits: str, shown: str) -> int:
    """A number behind 0x: a code has eight digits, a bare Windows error at most four."""
    number = int(digits, 16)
    if len(digits) > 8:
        # A signed code printed as 64 bits carries its sign: 0xffffffff80070002.
        if number >> 31 not in (0x1FFFFFFFF, 0, 1):
            raise HResultError(f"{shown} does not fit into 32 bits, so it is no error code")
        return number & 0xFFFFFFFF
    if len(digits) == 8 or _is_note(number):
        return number
    if number > 0xFFFF:
        raise HResultError(f"{shown} has {len(digits)} digits where an error code has eight: one is missing")
    return _win32(number)


def _from_decimal(digits: str, shown: str) -> int:
    """A decimal number: a code has ten digits, a bare Windows error at most five."""
    number = int(digits)
    if 0xFFFF < number < 0x1000000 and not _is_note(number):
        raise HResultError(f"{shown} is no error code: one has eight digits in hexadecimal and ten in decimal")
    return _from_number(number, shown)


def _is_note(number: int) -> bool:
    """Whether it is a success of the update agent with a note (0x00240006), which logs write without its zeros."""
    return number >> 16 == _UPDATE_AGENT


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


def nt_to_win32(code: int) -> int:
    """The Windows error that a kernel status stands for, as a code (0x800736B3 for 0xC0150004 and 0xD0150004); any other code as it is.

    Both are written for one fault, often a line apart.
    """
    if code >> 28 not in (0xC, 0xD):
        return code
    number = NT_TO_WIN32.get(code & ~_NT_BIT)
    return code if number is None else _win32(number)


def is_known(code: int) -> bool:
    """Whether a table names the code, itself or as the Windows error that it stands for."""
    return code in _CODES or nt_to_win32(code) in _CODES


_Unknown = tuple[str, str, tuple[str, ...]]


def _setup_or_image(code: int) -> _Unknown | None:
    if code >> 16 & 0xFFF0 == 0xC190 or code >> 16 in (0xC180, 0xC770):
        meaning = "A set-up (feature upgrade) error without a public name; look for the inner error"
        return "setup_upgrade", meaning, ("manual",)
    if code >> 16 == 0xC142:
        return "servicing_cbs", "An image (WIM) mounting error without a public name", ("manual",)
    if code in _ESE:
        return "store", f"An error of the database engine under the update agent's data store (number {code & 0xFFFF})", ("reset", "manual")
    return None


def _kernel_status(code: int) -> _Unknown | None:
    if code >> 28 not in (0xC, 0xD):
        return None
    status = code & ~_NT_BIT
    known = _CODES.get(nt_to_win32(status))
    if known is not None:
        _symbol, area, meaning, listed = known
        return area, f"{meaning} (the kernel's status {hex_of(status)} for {hex_of(nt_to_win32(status))})", tuple(listed.split("|"))
    text = "A kernel status (NTSTATUS) without a public name here"
    if code & _NT_BIT:
        text = f"The kernel's status {hex_of(status)}, wrapped as an error code"
    if status >> 16 & 0xFFF == 0x15:
        return "store", text, ("troubleshoot", "manual")
    return "other", text, ("manual",)


def _unknown(code: int) -> _Unknown:
    """Area, meaning and remedies of a code that no table names, from its bits alone ([MS-ERREF] 2.1, 2.3)."""
    facility, number = code >> 16 & 0x7FF, code & 0xFFFF
    special = _setup_or_image(code) or _kernel_status(code)
    if special is not None:
        return special
    if code & _RESERVED:
        return "other", "Not an error code that is known", ()
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
        return CodeInfo(code, hex_of(code), symbol, area, meaning, tuple(part for part in listed.split("|") if part))
    area, meaning, remedies = _unknown(code)
    return CodeInfo(code, hex_of(code), "", area, meaning, remedies)
