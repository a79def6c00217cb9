# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: CheckSUR.log and CheckSUR.persist.log, what the System Update Readiness Tool of Windows 7 found in the component store.

Its lines have no dates; the head of a run has one. `(f)` found, `(fix)` mended, `(p)` and `(w)` in the summaries that newer Windows
writes into CBS.log. The summary ends with `Found N errors` and `Fixed M errors`, or with `No errors detected`, and then lists the files
that it could not get (`Unavailable repair files:`). People paste that list alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from ..observation import OK, Observation
from .records import PROOFS, Collector, failure_or_none, kb_of, stamp, to_code
from .stack import NOTHING, Line, Reader, Subject

# `(p)<TAB>CSI Payload Corrupt<TAB>(n)<TAB>...`; a copied screen has lost the tabs.
_DAMAGE = re.compile(r"[ \t>*]{0,8}\((\w{1,5})\)\s{1,16}(?:CSI|CBS) ((?:[A-Z][A-Za-z]{1,20} ?){1,4})")
_HEADING = re.compile(r"Checking (?:Windows Servicing Packages|Package Manifests and Catalogs)|Binary Version [0-9.]{3,30}\s*$")
_BEGAN = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}) ([0-9]{2}:[0-9]{2})\s*$")
_COUNTED = re.compile(r"[\s>*]{0,8}(Found|Fixed) ([0-9]{1,7}) errors?\b")
_UNAVAILABLE = re.compile(r"[\s>*]{0,8}Unavailable repair files:")
# `servicing\packages\Package_for_KB....mum`, `winsxs\manifests\amd64_....manifest`.
_FILE = re.compile(r"[\s>*]{0,40}((?:servicing\\packages|winsxs\\(?:manifests|catalogs))\\[^\s\\]{5,250}\.(?:mum|cat|manifest))\s*$", re.I)
_NONE_FOUND = re.compile(r"\s{0,8}No errors detected")
_ASSEMBLY = re.compile(r"(?:amd64|x86|wow64|msil|ia64|arm64)_")
_WORDS = re.compile(r"[\s\\/\"']+")
_MAX_PENDING, _MOST_WORDS, _MOST_UNAVAILABLE = 2000, 60, 200
_LONGEST = 150


class Damage(NamedTuple):
    """What a line of a summary says is damaged."""

    marker: str
    code: int | None
    subject: Subject


def damage_of(message: str) -> Damage | None:
    """The damage that a line names, None for another line and for what was mended by the tool of Windows 7."""
    found = _DAMAGE.match(message)
    if "\\\\" in message:
        # A page of Markdown has set a mark before each backslash and tilde.
        message = message.replace("\\\\", "\\").replace("\\~", "~")
        found = _DAMAGE.match(message)
    if not found or found.group(1) == "fix":
        return None
    rest = message[found.end() :]
    columns = [column.strip() for column in rest.split("\t")]
    if "\t" not in rest.strip():
        columns = rest.split()
    marker = re.sub(r"[^a-z0-9]+", "_", found.group(2).lower()).strip("_")
    code = next((to_code(column) for column in columns[:2] if column.lower().startswith("0x")), None)
    # Between the kind and the file stand a code, `(n)` or `(w)`, and `(Fixed)`.
    names = [column for column in columns if column and not column.lower().startswith(("0x", "("))][:2]
    name = _shortened(names[0]) if names else None
    if name and len(names) > 1 and _ASSEMBLY.match(names[1]) and not _ASSEMBLY.match(name):
        name = f"{name[-60:]} of {names[1][:85]}"
    return Damage(marker, failure_or_none(code), Subject(name, kb_of(name)))


def _shortened(name: str) -> str:
    """A long path with its two ends: the component at the front is looked for, the file at the end is what is damaged."""
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 63]}...{name[-60:]}"


class CheckSur(Reader):
    """The readiness tool of Windows 7."""

    def __init__(self, out: Collector) -> None:
        super().__init__(out)
        self._running = False
        self._time: int | None = None
        # By the names of the files, without their folders.
        self._pending: dict[str, list[Observation]] = {}
        self._held = 0
        self._found = 0
        self._any = False
        # What could not be had for a repair, by package or assembly; None outside of the list.
        self._unavailable: dict[str, Observation] | None = None

    def takes(self, raw: str, place: int, moment: Callable[[], int | None]) -> bool:
        """Read a line, and say whether it is one of the tool's; `moment` gives the time of the last dated line, if any."""
        if raw[:1] == "2" and not self._running:
            return False
        if raw.lstrip(" \t>*").startswith(("(f)", "(fix)")):
            if not self._running:
                self._time = moment()
            # A paste may begin here.
            self._running = True
        if _HEADING.match(raw):
            self._running = True
            return True
        counted = _COUNTED.match(raw)
        if counted:
            self._counted(self._line(raw, place), counted.group(1), int(counted.group(2)))
            return True
        if self._lists(raw, place):
            return True
        if not self._running:
            return False
        began = _BEGAN.match(raw)
        if began:
            self.close()
            self._running, self._time = True, stamp(began.group(1), f"{began.group(2)}:00")
            return True
        if _NONE_FOUND.match(raw):
            self._end(self._of_tool(self._line(raw, place), NOTHING, outcome=OK, marker=PROOFS[False]))
            return True
        return self._damage(raw, place)

    def _of_tool(self, line: Line, subject: Subject = NOTHING, **fields: Any) -> Observation:
        return self._seen(line, "store", subject, "checksur", **fields)

    def _line(self, raw: str, place: int) -> Line:
        return Line(self._time, "", "CBS", raw.strip(), 1, None, place)

    def _lists(self, raw: str, place: int) -> bool:
        """The list of files that the tool could not get for a repair."""
        if _UNAVAILABLE.match(raw):
            self._unavailable = self._unavailable or {}
            return True
        file = _FILE.match(raw) if self._unavailable is not None else None
        if file is None or self._unavailable is None:
            return False
        stem = file.group(1).rpartition("\\")[2].rpartition(".")[0]
        if len(self._unavailable) < _MOST_UNAVAILABLE:
            seen = self._of_tool(self._line(raw, place), Subject(stem[-150:], kb_of(stem)), marker="repair_file_missing")
            self._unavailable.setdefault(stem.lower(), seen)
        return True

    def _damage(self, raw: str, place: int) -> bool:
        if raw.lstrip(" \t>*").startswith("(fix)"):
            for word in _WORDS.split(raw.lower())[:_MOST_WORDS]:
                self._pending.pop(word, None)
            return True
        damage = damage_of(raw)
        if damage is None:
            return False
        self._any = True
        self._hold(self._of_tool(self._line(raw, place), damage.subject, marker=damage.marker, code=damage.code))
        return True

    def _hold(self, seen: Observation) -> None:
        """Keep what was found until it is known whether it was mended."""
        file = (seen.name or "").split(" of ")[0].rpartition("\\")[2].lower()
        if self._held < _MAX_PENDING:
            self._held += 1
            self._pending.setdefault(file, []).append(seen)

    def _counted(self, line: Line, what: str, number: int) -> None:
        if what == "Found":
            self._found = number
            if not self._pending and not self._any:
                self._hold(replace(self._of_tool(line, marker="store_corrupt"), line=f"{number} errors found"))
        elif self._found and number >= self._found:
            self._end(self._of_tool(line, NOTHING, outcome=OK, marker=PROOFS[True]))

    def _end(self, proof: Observation | None) -> None:
        listed = list((self._unavailable or {}).values())
        # The list repeats what lines above it named; where it was pasted alone it says more than a number of errors.
        told = listed if listed and not self._any else [seen for group in self._pending.values() for seen in group]
        for seen in told:
            self._emit(seen)
        self._pending, self._held, self._found, self._any = {}, 0, 0, False
        self._unavailable = None
        if proof is not None:
            self._emit(proof)

    def close(self) -> None:
        """No more lines."""
        self._end(None)
