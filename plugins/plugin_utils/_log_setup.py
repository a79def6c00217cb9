# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: what set-up logs (setupact.log, setuperr.log), sysprep in the same form, and what SetupDiag says of a set-up.

Only the final result of a set-up is a failure of the upgrade (marker `final`): set-ups that end well log errors, too, so those have the
marker `on_the_way`.
"""

from __future__ import annotations

import re
from dataclasses import replace

from ._log_stack import ANY_HEX, E_FAIL, Line, Reader, Subject
from ._records import Collector, part, to_code
from .observation import CANCELLED, FAILED, Observation

_SETUP_PARTS = ("", "SP", "MOUPG", "MIG", "CONX", "IBS", "PANTHR", "SetupPl")
_SETUP_FINAL = (
    "Finalize: Reporting result value",
    "SetupHost: Reporting error event",
    "SetupHost: Reporting post reboot event",
    "SetupNotify: Specifying extended data",
    "ImageExit: Initializing SetupResult",
    "ExecuteOperations: Main operation execution failed",
    "CInstallUI::OnFinalResult",
    "Current result: ",
)
# ERROR_CANCELLED, ERROR_REQUEST_ABORTED: somebody closed the window of the set-up.
_SETUP_CANCELLED = (0x800704C7, 0x800704D3)
# The phase and operation in which a set-up ended stand behind the code: 0x2000C, 0x30018, 0x4001E.
_PHASE = re.compile(r"\b0x[89c][0-9a-f]{7}[\], -]{1,6}\[?0x([1-6][0-9a-f]{4})\b", re.I)
_APP = re.compile(r"\bPackage ([\w.+-]{3,120}) was installed for a user")
_FILE = re.compile(r"\b([A-Za-z]:\\[^\s\"*?<>|\[\]]{1,220}\.[A-Za-z0-9]{1,8})\b")
_MAX_TOLD = 20


class Setup(Reader):
    """A set-up or sysprep."""

    def __init__(self, out: Collector) -> None:
        super().__init__(out)
        self._app: str | None = None
        # Errors that carry no code, by their words.
        self._told: dict[str, Observation] = {}

    def close(self) -> None:
        """No more lines."""
        for seen in self._told.values():
            self._out.add(seen, local=True, by_line=True)
        self._told.clear()

    def line(self, line: Line) -> None:
        if line.component == "SYSPRP":
            self._sysprep(line)
        elif line.message.startswith(_SETUP_FINAL):
            self._final(line)
        elif line.is_error and line.component in _SETUP_PARTS:
            self._on_the_way(line)

    def _sysprep(self, line: Line) -> None:
        if not line.is_error:
            return
        app = _APP.search(line.message)
        if app:
            self._app = app.group(1)
        for code in _codes(line.message):
            self._emit(self._seen(line, "sysprep", Subject(self._app), "setup", code=code, marker="sysprep"))

    def _final(self, line: Line) -> None:
        """The result of a set-up, with its phase where it has one: `0xC1900101 - 0x30018`."""
        seen = self._seen(line, "upgrade", Subject(_phase(_PHASE.search(line.message))), "setup", marker="final")
        for code in _codes(line.message):
            seen = replace(seen, code=code, outcome=FAILED)
            if code in _SETUP_CANCELLED:
                seen = replace(seen, outcome=CANCELLED)
            self._emit(seen)

    def _on_the_way(self, line: Line) -> None:
        file = part(_FILE.search(line.message))
        seen = self._seen(line, "upgrade", Subject(file), "setup", marker="on_the_way")
        codes = [code for code in _codes(line.message) if code != E_FAIL]
        for code in codes:
            self._emit(replace(seen, code=code))
        if not codes:
            self._told[line.message] = seen
            if len(self._told) > _MAX_TOLD:
                del self._told[next(iter(self._told))]


def _phase(found: re.Match[str] | None, group: int = 1) -> str | None:
    digits = part(found, group)
    return digits and f"0x{digits.upper()}"


def _codes(message: str) -> list[int]:
    return [int(found.group(1), 16) for found in list(ANY_HEX.finditer(message))[:2]]


SETUPDIAG_SIGN = re.compile(r"Matching Profile found: |SetupDiag version: |SetupDiag v[0-9]")
_SETUPDIAG = re.compile(r"Error = (0x[0-9a-fA-F]{8})(?:[- ]{1,3}0x([0-9a-fA-F]{1,8}))?")


def setupdiag(text: str, out: Collector) -> None:
    """Read SetupDiagResults.log, which names why an upgrade failed."""
    profile = re.search(r"Matching Profile found: ([^\r\n]{1,150})", text)
    found = _SETUPDIAG.search(text)
    if profile is None and found is None:
        return
    seen = Observation("setup", "upgrade", marker="setup_failed", line=" ".join(one.group(0) for one in (profile, found) if one))
    if found:
        seen = replace(seen, code=to_code(found.group(1)), marker="final", name=_phase(found, 2))
    out.add(seen)


def is_setupdiag(sample: str, name: str) -> bool:
    """Whether SetupDiag wrote it."""
    return SETUPDIAG_SIGN.search(sample) is not None or "setupdiagresults" in name.lower()
