# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: console output that people paste: one paste may hold what several programs wrote, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from ..observation import Observation
from .console_dism import dism, is_dism
from .console_screen import Piece, Screen
from .console_sfc import is_sfc, sfc
from .console_shell import (
    is_drivers,
    is_powershell,
    is_refused_driver,
    is_services,
    is_wusa,
    powershell,
    refused_drivers,
    services,
    wusa,
)
from .console_time import clock, is_time
from .records import Collector, each_line
from .servicing import is_servicing, servicing
from .stack import HEAD

# `Language.Basic~~~de-DE~0.0.1.0`
_CAPABILITY = "~~~"
_Sign = Callable[[Screen], bool]
_Reader = Callable[[Screen, Collector], None]


class _Program(NamedTuple):
    """A program that writes to a console: what it always writes, how it is recognised and read."""

    writes: tuple[str, ...]
    is_it: _Sign
    read: _Reader | None


_SFC_WRITES = (
    "resource", "windir", "repair", "sfc", "integri", "violation", "ihlali", "ressourcen", "ressources", "recursos", "risorse", "kaynak",
    "zasob", "bronbesch", "resurs", "prost", "\u0440\u0435\u0441\u0443\u0440\u0441", "\u8d44\u6e90", "\u8cc7\u6e90",
    "\u30ea\u30bd\u30fc\u30b9",
)  # fmt: skip
_PROGRAMS = (
    _Program(("dism", "processing ", "10.0.", "6.1.", "6.2.", "6.3.", "%"), is_dism, dism),
    _Program(_SFC_WRITES, is_sfc, sfc),
    _Program(
        (
            "w32tm", "0s", "1s", "2s", "3s", "4s", "5s", "6s", "7s", "8s", "9s", "timeproviders", "resync", "ntp:", ":123]",
            "local cmos clock", "free-running system clock", "0x4c4f434c", "0x80070426", "ntpclient", "time service", "time sources",
        ),  # fmt: skip
        is_time,
        clock,
    ),
    _Program(("win32", "[sc]", "disabled", "net start", "net1 start", "----"), is_services, services),
    _Program(
        ("hresult", "categoryinfo", "qualifiederrorid", "imagehealthstate", "-windows", "-wu", "role services"), is_powershell, powershell
    ),
    _Program(("wusa",), is_wusa, wusa),
    _Program((".inf",), is_refused_driver, refused_drivers),
    _Program(("oem",), is_drivers, None),
)


def is_console(sample: str, _name: str) -> bool:
    """Whether a program that is known wrote to a console, by the structure of what it wrote; a code in a sentence is none."""
    screen = Screen(sample)
    return any(screen.has(*program.writes) and program.is_it(screen) for program in _PROGRAMS)


def console(text: str, out: Collector) -> None:
    """Read what each program wrote. Lines of CBS.log in between (`findstr [SR]`) are read as such."""
    screen = Screen(text)
    for program in _PROGRAMS:
        if program.read is not None and screen.has(*program.writes):
            program.read(screen, out)
    if is_servicing(text, ""):
        _logged(text, out)


def _logged(text: str, out: Collector) -> None:
    """Lines of logs. What DISM logged on the way to a result is told by the result."""
    logs = Collector(None, out.channel)
    servicing("\n".join(_of_logs(text)), logs)
    ended = [one for one in out.result() if one.source == "dism" and one.code is not None]
    for one in logs.result():
        if not any(_is_told(one, other) for other in ended):
            out.add(one)


def _of_logs(text: str) -> Iterator[str]:
    """Each line of a log, and an empty one for any other: what follows a line of a log belongs to it up to the next prompt."""
    is_logged = False
    for line in each_line(text):
        # (The readiness tool draws a ruler of its own.)
        goes_on = is_logged and (line.startswith("==") or not Piece(line.strip(), 0).is_prompt)
        is_logged = goes_on or HEAD.match(line) is not None
        yield line if is_logged or "[SR]" in line else ""


def _is_told(logged: Observation, ended: Observation) -> bool:
    """Whether what DISM ended with tells of what was logged on the way to it."""
    if logged.source == "dism":
        return logged.layer == ended.layer
    if logged.code != ended.code or logged.layer != ended.layer:
        return False
    # The stack calls a package by its identity, and a capability by the package that brings it.
    of_one_name = (logged.name or "").partition("~")[0] == (ended.name or "").partition("~")[0]
    return of_one_name or _CAPABILITY in (ended.name or "")
