# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Error codes in every form they are written in, and what they mean."""

from __future__ import annotations

from dataclasses import dataclass


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


def hex_of(code: int) -> str:
    """The code as `0x80070002`."""
    return f"0x{code & 0xFFFFFFFF:08x}"


def normalise(value: int | str) -> int:
    """The code as an unsigned 32-bit number."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise HResultError(f"{value!r} is no error code")
    number = int(value, 0) if isinstance(value, str) else int(value)
    return number & 0xFFFFFFFF


def describe(code: int) -> CodeInfo:
    """What the code means."""
    return CodeInfo(code, hex_of(code), "", "other", "", ())
