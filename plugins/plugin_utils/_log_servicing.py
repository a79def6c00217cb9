# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: one stream of lines of the servicing stack, each given to the reader of its component.

One file may hold several: DISM's lines stand in files that are called CBS.log, and what CBS says to DISM in DISM.log.
"""

from __future__ import annotations

import re

from ._log_cbs import Store
from ._log_dism import Dism
from ._log_setup import Setup
from ._log_stack import DATED, HEAD, Line
from ._records import Collector, each_line, part, stamp_of

_INTERESTING = re.compile(
    r"Error|Fatal|HRESULT|\[SR\]|orrupt|Repair failed|Repair complete|CbsExecuteState|tatus: 0x|result: 0x"
    r"|Failed to find file"
    r"|eporting|SetupResult|OnFinalResult|CSI |CBS M|Executing command line: "
)


class Servicing:
    """Reads one stream of lines of the servicing stack in their order."""

    def __init__(self, out: Collector) -> None:
        self._store, self._dism, self._setup = Store(out), Dism(out), Setup(out)
        self._place = 0
        self._dated = ""
        self._time: int | None = None

    def line(self, raw: str, count: int = 1, first: int | None = None) -> None:
        """Take the next line, or the last of `count` lines alike."""
        self._place += 1
        if raw[4:5] == "-" or raw[5:6] == "-":
            self._dated = raw
        if not _INTERESTING.search(raw):
            return
        head = HEAD.match(raw)
        if head:
            level, component, message = head.group(3), head.group(4) or "", head.group(5)
        else:
            # Server 2012 writes the whole summary of a repair without dates.
            level, component, message = "", "CBS", part(DATED.match(raw), 3) or raw
        line = Line(self._moment(), level, component, message.strip(), count, first, self._place)
        if component in ("CBS", "CSI"):
            self._store.line(line)
        elif component == "DEPLOY":
            self._store.driver(line)
        elif component == "DISM":
            self._dism.line(line)
        elif head:
            self._setup.line(line)

    def _moment(self) -> int | None:
        """The time of this line, or of the last dated one above it."""
        dated = DATED.match(self._dated)
        if dated:
            self._time = stamp_of(dated) or self._time
            self._dated = ""
        return self._time

    def close(self) -> None:
        """No more lines."""
        self._store.close()
        self._setup.close()


def servicing(text: str, out: Collector) -> None:
    """Read CBS.log, DISM.log, setupact.log or setuperr.log."""
    stream = Servicing(out)
    for line in each_line(text):
        stream.line(line.rstrip("\r"))
    stream.close()


_SERVICING_SIGN = re.compile(
    r"(?:^|\n)\ufeff?(?:[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,7})?, )?"
    r"[ \t]*(?:Info|Warning|Error)[ \t]{1,24}"
    r"(?:\[0x[0-9a-f]{2,8}\][ \t]{1,8})?(?:CBS|CSI|DISM|SP|MOUPG|MIG|IBS|IBSLIB|CONX|SYSPRP|DEPLOY|PANTHR)[ \t]"
    r"|\[SR\] |Total Detected Corruption:"
)


def is_servicing(sample: str, _name: str) -> bool:
    """Whether the servicing stack or a set-up wrote it."""
    return _SERVICING_SIGN.search(sample) is not None
