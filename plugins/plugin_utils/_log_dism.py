# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: what DISM logs."""

from __future__ import annotations

import re

from ._log_stack import NOTHING, Line, Reader, Subject, layer_of, subject_of
from ._records import Collector, is_failure, part, to_code

_HRESULT_BARE = re.compile(r"HRESULT ?= ?(?:0x)?([0-9a-fA-F]{8})\b")
_HR = re.compile(r"\bhr: ?(0x[0-9a-fA-F]{8})")
# Of `dism /online /enable-feature /featurename:NetFx3`.
_FEATURE = re.compile(r"/(?:featurename|capabilityname):[\"']?([\w.~-]{1,120})", re.I)


class Dism(Reader):
    """The commands of DISM."""

    def __init__(self, out: Collector) -> None:
        super().__init__(out)
        self._command = ""

    def line(self, line: Line) -> None:
        message = line.message
        # Providers probe at level Error for what may be missing; the command line and the package manager give up.
        if "Executing command line: " in message:
            self._command = message
            return
        given_up = line.level == "Error" and message.startswith(("DISM.EXE:", "DISM Package Manager:", "API:", "DISM API:"))
        found = _HRESULT_BARE.search(message)
        if given_up:
            found = found or _HR.search(message)
        elif "(CBS HRESULT=" not in message:
            return
        code = to_code(part(found))
        if code is None or not is_failure(code):
            return
        # One command has one result, whoever of DISM tells it; what it was for stands in the line that began it.
        repair = "restore the image" in message or "cleanup-image" in f"{message} {self._command}".lower()
        subject = subject_of(message)
        if subject == NOTHING:
            subject = Subject(part(_FEATURE.search(self._command)))
        self._emit(self._seen(line, layer_of(code, message, repair=repair), subject, "dism", code=code))
