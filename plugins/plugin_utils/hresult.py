# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Error codes in every form they are written in, and what they mean."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path


class HResultError(ValueError):
    """The value is no error code in any form that is known."""


class NoCodeError(HResultError):
    """The same, in words that repeat nothing of a text that may be a secret."""


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
_FACILITY_WIN32 = 7
# ntstatus.h gives out facilities below 0x100 (FACILITY_MAXIMUM_VALUE): 0xCAFEBABE is a pattern of programmers and no status.
_LAST_FACILITY_OF_NT = 0xFF
_NO_CODE = "Not an error code that is known"
# 0xC8000000 plus a number: the database engine (ESE) under the update agent's data store.
_ESE = range(0xC8000001, 0xC8001000)
# windowsupdate.microsoft.com of 2000 to 2011 made codes of its own (0x8DDD0018).
_OLD_SITE = 0x8DDD
# What a program raises that loads a library only when it needs it (delayimp.h: facility 0x6D, the Windows error below it).
_DELAY_LOADED = 0xC06D

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
    return codes, {**_aliases(symbols), **symbols}


# One error of the HTTP layers has a name in winerror.h, one in wininet.h and one in winhttp.h.
_HTTP_FAMILIES = ("WININET_E_", "ERROR_INTERNET_", "ERROR_WINHTTP_")
_HTTP_ERRORS = range(0x80072EE0, 0x80073000)
# winerror.h names of Windows errors, and where the names of the HTTP layers differ.
_OTHER_NAMES = {
    "E_ACCESSDENIED": 0x80070005, "E_HANDLE": 0x80070006, "E_OUTOFMEMORY": 0x8007000E, "E_INVALIDARG": 0x80070057,
    "WININET_E_TIMEOUT": 0x80072EE2, "WININET_E_INTERNAL_ERROR": 0x80072EE4, "WININET_E_INVALID_URL": 0x80072EE5,
    "WININET_E_UNRECOGNIZED_SCHEME": 0x80072EE6, "WININET_E_NAME_NOT_RESOLVED": 0x80072EE7, "WININET_E_SHUTDOWN": 0x80072EEC,
    "WININET_E_OPERATION_CANCELLED": 0x80072EF1, "WININET_E_CANNOT_CONNECT": 0x80072EFD, "WININET_E_CONNECTION_ABORTED": 0x80072EFE,
    "WININET_E_SEC_CERT_DATE_INVALID": 0x80072F05, "WININET_E_SEC_CERT_CN_INVALID": 0x80072F06,
    "WININET_E_CLIENT_AUTH_CERT_NEEDED": 0x80072F0C, "WININET_E_INVALID_CA": 0x80072F0D, "WININET_E_HEADER_NOT_FOUND": 0x80072F76,
    "WININET_E_INVALID_SERVER_RESPONSE": 0x80072F78, "WININET_E_PROXY_SERVER_UNREACHABLE": 0x80072F85,
    "WININET_E_DECODING_FAILED": 0x80072F8F,
}  # fmt: skip


def _aliases(symbols: Mapping[str, int]) -> dict[str, int]:
    aliases = dict(_OTHER_NAMES)
    for name, code in [*symbols.items(), *_OTHER_NAMES.items()]:
        family = next((family for family in _HTTP_FAMILIES if name.startswith(family)), None)
        if family is not None and code in _HTTP_ERRORS:
            aliases.update({other + name.removeprefix(family): code for other in _HTTP_FAMILIES})
    return aliases


_CODES, _SYMBOLS = _load()

_EDGE = " \t\r\n\f\v\0.,;:!?'\"()[]{}<>"
_PREFIX = re.compile(r"(?:hresult|hr|error(?: ?code)?|errorcode|(?:exit ?)?code|status)\s*[=:]?\s*(?=[-0-9a-z_%])", re.I)
_WIN32 = re.compile(r"(?:%%|win32\s*[:=]?\s*)", re.I)
# `0x80070002 - ERROR_FILE_NOT_FOUND` and `0x80070002 (ERROR_FILE_NOT_FOUND)`: the number decides.
_NAMED = re.compile(r"(\S+?)\s*(?:-\s+|\()[A-Za-z][\w .]{0,100}")
_HEX = re.compile(r"0x([0-9a-f]{1,16})", re.I)
_HEX8 = re.compile(r"[0-9a-f]{8}", re.I)
_DECIMAL = re.compile(r"-?[0-9]{1,20}")
_HEX_LIKE = re.compile(r"(?=[0-9a-f]*[0-9])[0-9a-f]{7,9}", re.I)
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
    return _from_bare(rest, shown, is_win32=win32 is not None)


def _from_bare(rest: str, shown: str, *, is_win32: bool) -> int:
    """A code with nothing around it."""
    if rest.upper() in _SYMBOLS:
        return _SYMBOLS[rest.upper()]
    digits = _HEX.fullmatch(rest)
    if digits:
        return _from_hex(digits.group(1), shown)
    if not is_win32 and _HEX8.fullmatch(rest):
        return int(rest, 16)
    if _DECIMAL.fullmatch(rest):
        return _from_decimal(rest, shown)
    if _HEX_LIKE.fullmatch(rest):
        raise HResultError(f"{shown} {_digits(rest)}")
    raise HResultError(f"{shown} is no error code in a form that is known")


def _digits(digits: str) -> str:
    """What is wrong with a number that is nearly a code."""
    amiss = "one is missing" if len(digits) < 8 else "one is too many"
    if abs(len(digits) - 8) > 1:
        amiss = f"{8 - len(digits)} are missing" if len(digits) < 8 else f"{len(digits) - 8} are too many"
    return f"has {len(digits)} digits where an error code has eight: {amiss}"


def _from_hex(digits: str, shown: str) -> int:
    """A number behind 0x: a code has eight digits, a bare Windows error at most four."""
    number = int(digits, 16)
    if len(digits) > 8:
        # A signed code printed as 64 bits carries its sign: 0xffffffff80070002.
        if number >> 31 not in (0x1FFFFFFFF, 0, 1):
            raise HResultError(f"{shown} {_digits(digits)}")
        return number & 0xFFFFFFFF
    if len(digits) == 8 or _is_note(number):
        return number
    if number > 0xFFFF:
        raise HResultError(f"{shown} {_digits(digits)}")
    return _win32(number)


def _from_decimal(digits: str, shown: str) -> int:
    """A decimal number: a code has ten digits, a bare Windows error at most five."""
    number = int(digits)
    if 0xFFFF < number < 0x1000000 and not _is_note(number):
        if len(digits) == 7:
            raise HResultError(f"{shown} {_digits(digits)}")
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
    if number is None and code >> 16 & 0xFFF == _FACILITY_WIN32:
        # NTSTATUS_FROM_WIN32: a Windows error that a kernel function hands on.
        number = code & 0xFFFF
    return code if number is None else _win32(number)


def is_known(code: int) -> bool:
    """Whether a table names the code, itself or as the Windows error that it stands for."""
    return code in _CODES or nt_to_win32(code) in _CODES


def is_image_code(code: int) -> bool:
    """Whether wimgapi.dll gives the code, which mounts and writes images: nothing of the Windows that runs does."""
    return code >> 16 == 0xC142


_Unknown = tuple[str, str, tuple[str, ...]]


def _setup_or_image(code: int) -> _Unknown | None:
    if code >> 16 & 0xFFF0 == 0xC190 or code >> 16 in (0xC180, 0xC770):
        meaning = "A set-up (feature upgrade) error without a public name; look for the inner error"
        return "setup_upgrade", meaning, ("manual",)
    if is_image_code(code):
        return "servicing_cbs", "An image (WIM) mounting error without a public name", ("manual",)
    if code >> 16 == _DELAY_LOADED:
        meaning = f"A library (DLL) that a program loads only when it needs it could not be used (Windows error {code & 0xFFFF})"
        return "other", meaning, ("manual",)
    if code >> 16 == _OLD_SITE:
        return "other", "A code of the old Windows Update web site, which is gone: the update agent of today gives none of these", ()
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
    if status >> 16 & 0xFFF > _LAST_FACILITY_OF_NT:
        return "other", _NO_CODE, ()
    text = "A kernel status (NTSTATUS) without a public name here"
    if code & _NT_BIT:
        text = f"The kernel's status {hex_of(status)} in the form of an error code"
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
        return "other", _NO_CODE, ()
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


# --- what people paste ---

# A set-up says by five digits where it ended: `0xC1900101 - 0x30018`.
_WITH_PHASE = re.compile(r"(0x[0-9a-f]{8}|[0-9a-f]{8})\s{0,3}[-,:/ ]\s{0,3}(?:0x)?([1-5][0-9a-f]{4})(?![0-9a-z])", re.I)
# What Windows' own pages write before a code, and Python behind it.
_PAGE = re.compile(r"windowsupdate_(?=[0-9a-z])", re.I)
_PAGE_WITHOUT_CODE = re.compile(r"(?:windowsupdate_)?dt[0-9]{3}", re.I)
_LONG = re.compile(r"(?:(?:0x)?[0-9a-f]{8}|-?[0-9]{10})L", re.I)
# `hex(-2147024894)` of Python, and `Fehler: 1603` of any language.
_NEGATIVE = re.compile(r"-0x([0-7][0-9a-f]{7})", re.I)
_LABELLED = re.compile(r"[^\W\d_]{2,20}(?: ?[:=] ?| )([0-9]{1,5})")
# 800700020: as a decimal number it is no failure, so a digit too many is meant.
_NINE = re.compile(r"80[0-9]{7}")
_PHASE_ALONE = re.compile(r"0x[1-5]00[0-2][0-9a-f]", re.I)
# Numbers in a sentence or a tuple: `Exception from HRESULT: 0x80240438`, `(-2147352567, '...', (0, None, -2145124329), None)`.
_IN_TEXT = re.compile(
    r"(?<![0-9A-Za-z_.])(0x[0-9a-f]{1,16}(?![0-9a-z_])|-[0-9]{9,10}(?![0-9a-z_.])|(?<!-)[89c][0-9a-f]{7}(?![0-9a-z_-]|\.[0-9a-z]))", re.I
)
_SYMBOL = re.compile(r"(?<![A-Za-z0-9_])([A-Z][A-Z0-9]{1,11}_(?:[A-Z]_)?[A-Z0-9_]{2,60})(?![A-Za-z0-9_])")
# Names of the families that the table knows.
_FAMILY = re.compile(
    r"(?:WU|CBS|PSFX|WININET|BG|DO|WS|MOSETUP|TRUST|CERT|CRYPT|SPAPI|RPC)_[ESO]_[A-Z][A-Z_]{2,40}$|ERROR_[A-Z][A-Z_]{2,40}$"
)
# DISP_E_EXCEPTION: what automation says when the object called failed; the reason is in the tuple.
_DISPATCH = 0x80020009
_MOST_TEXT = 2000


@dataclass(frozen=True)
class Pasted:
    """A code as somebody gave it. `phase`: the five digits with which a set-up says where it ended (`0x30018`), else empty."""

    code: int
    phase: str = ""


def whole(items: Iterable[str]) -> list[str]:
    """Put together again what a list option split at the commas of a tuple."""
    joined: list[str] = []
    depth = 0
    for item in items:
        if depth > 0:
            joined[-1] = f"{joined[-1]},{item}"
        else:
            joined.append(item)
        depth = max(0, depth + item.count("(") - item.count(")"))
    return joined


def pasted(text: str) -> Pasted:
    """Give the code in what people paste: a code in any form, a sentence or a tuple around it, a code with its phase.

    Raises:
        HResultError: there is none, or more than one; the message is one line.
    """
    if len(text) > _MOST_TEXT:
        raise NoCodeError("that is too long for an error code: give it as a file")
    rest = _PAGE.sub("", text.strip(_EDGE))
    phased = _WITH_PHASE.search(rest)
    if phased:
        return Pasted(normalise(phased.group(1)), f"0x{phased.group(2).upper()}")
    rest = _plain(rest)
    try:
        return Pasted(normalise(rest))
    except HResultError as error:
        return Pasted(_found_in(rest, error))


def _plain(text: str) -> str:
    """A number as others write it."""
    if _LONG.fullmatch(text):
        return text[:-1]
    negative, labelled = _NEGATIVE.fullmatch(text), _LABELLED.fullmatch(text)
    if negative:
        return str(-int(negative.group(1), 16))
    if labelled:
        return labelled.group(1)
    if _NINE.fullmatch(text):
        raise NoCodeError(f"{text} {_digits(text)}")
    if _PHASE_ALONE.fullmatch(text):
        raise NoCodeError("five digits such as 0x30018 are the phase of a set-up: give the code that stands before them, too")
    return text


def _found_in(text: str, error: HResultError) -> int:
    """The one code in a text; where a tuple of automation wraps another, the inner one."""
    try:
        codes = [normalise(number) for number in _IN_TEXT.findall(text)]
    except HResultError as amiss:
        # It repeats a number alone.
        raise NoCodeError(str(amiss)) from amiss
    codes = list(dict.fromkeys(code for code in codes if code != _DISPATCH)) or codes
    codes = codes or list(dict.fromkeys(_SYMBOLS[name] for name in _SYMBOL.findall(text) if name in _SYMBOLS))
    if len(codes) == 1:
        return codes[0]
    if len(codes) > 1:
        raise NoCodeError(f"{len(codes)} codes are in one text: give each by itself, or the text as a file")
    if _PAGE_WITHOUT_CODE.fullmatch(text):
        raise NoCodeError("WindowsUpdate_dt000 and its like are names of help pages, with no code in them: the code stands beside it")
    family = _FAMILY.match(text)
    if family:
        raise NoCodeError(f"no code of the name {family.group(0)} is known")
    raise error
