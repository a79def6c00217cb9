# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: what SFC writes into CBS.log: the files that it found damaged, that it cannot repair, and that it put back.

Lines with `[SR]` are of the files of components, those with `[Pnp]` of the files of drivers, at which it looks in a second round.
"""

from __future__ import annotations

import re

from ..observation import OK, Observation, file_of
from .records import Collector, clean, part
from .stack import QUOTE, Line, Reader, Subject

_SR_COUNT = re.compile(r"\[SR\] Repairing ([0-9]{1,9}) ")
# Windows 7 writes `[l:34{17}]"System.Design.dll" of`.
_SR_FILE = re.compile(
    rf"member file {{1,4}}\[[^\]]{{1,40}}\] ?{QUOTE}([^'\"\u2019\u201d]{{1,120}}){QUOTE}(?: {{1,4}}of ([^,]{{1,150}}),)?"
)
# Files that anybody may change: Windows does not protect them, and SFC has nothing to put in their place (KB954402, KB3022345).
_UNPROTECTED = re.compile(r"\bof [\w.-]{1,80}-(?:Shell-Wallpaper|Unified-Telemetry-Client)\b", re.I)
# Shortcuts and the like of the profile from which new ones are made: people and OneDrive's own removal take them away, SFC puts them
# back at each run, and no update looks at them.
_OF_A_PROFILE = re.compile(r"\[SR\] Repair(?:ing|ed)[^\r\n]{0,80}?\b[A-Z]:\\Users\\", re.I)
_SR_MANIFEST = re.compile(r"Cannot verify component files for ([^,]{1,150}),")
_SR_PROJECTED = re.compile(r"corrupted file ([^;\r\n]{1,400})")
# Which of two files of one name a line speaks of: that of the 32 bits beside 64, or the system's own.
_OF_GUEST = re.compile(r"IA32_ON_WIN64|Guest ?= ?x86|\\SysWOW64\b|\\wow64_", re.I)
_OF_HOST = re.compile(r"\barch amd64|ARCHITECTURE_AMD64|\\System32\b|\\amd64_", re.I)
_LAST_PART = re.compile(r"([^\\/'\"\s\[\]{}:]{1,120})['\"]?\s*$")
_SR_DRIVER = re.compile(r"\[Pnp\] Failed repairing file: (?:[^\r\n]{0,300}\\)?([^\\\r\n:]{1,120})")
_SR_DRIVER_CORRUPT = re.compile(r"\[Pnp\] Corrupt file: (?:[^\r\n]{0,300}\\)?([^\\\r\n:]{1,120}?)\s*$")
_SR_DRIVER_REPAIRED = re.compile(r"\[Pnp\] Repaired file: (?:[^\r\n]{0,300}\\)?([^\\\r\n:]{1,120}?)\s*$")
_MOST_FILES = 5000


class SystemFiles(Reader):
    """Lines of SFC.

    Args:
        host: a host filtered the lines, and keeps none of those that say what SFC was to do.
    """

    def __init__(self, out: Collector, *, host: bool) -> None:
        super().__init__(out)
        self._host = host
        # What the run that is read has come to: None where none has.
        self._failed: bool | None = None
        self._named: dict[str, str] = {}
        # Whether SFC has verified and does not repair (`sfc /verifyonly`): where nothing is damaged, /scannow repairs 0 components.
        self._verified_only = False
        # Files that are damaged by what was read so far, as they were named, and which of that name; and those that may be changed.
        self._broken: dict[str, set[tuple[str, bool | None]]] = {}
        self._spared: set[str] = set()
        # A host sends the last of several lines alike: the other files that they name are not known.
        self._more_broken = False
        self._put_back: list[Observation] = []

    def line(self, line: Line) -> None:
        """Take a line with `[SR]`."""
        message = line.message
        self._verified_only = "[SR] Verify complete" in message
        if "[SR] Cannot " in message and _UNPROTECTED.search(message):
            self._spared.add(file_of(part(_SR_FILE.search(message))))
            return
        if "[SR] Could not reproject" in message and _projected(message) in self._spared:
            return
        if "[SR] Cannot " in message or "[SR] Could not reproject" in message:
            self._failed = True
            self._damage(line)
        elif "[SR] Repairing file" in message or "[SR] Repaired file" in message or "[SR] Repairing corrupted file" in message:
            name = _file_in(message)
            if len(self._put_back) < _MOST_FILES and not _OF_A_PROFILE.search(message):
                self._put_back.append(self._seen(line, "store", Subject(name), marker="sr_damaged"))
            self._repaired(line, name)
        elif _SR_COUNT.search(message):
            # The verdict of the verification came before; what cannot be repaired is said again after this line.
            self._failed = False
        elif "[SR] Repair complete" in message:
            self.close()
            if self._failed is False:
                self._emit(self._seen(line, "store", outcome=OK, marker="sr_repaired"))
            self._failed = None

    def driver(self, line: Line) -> None:
        """SFC looks at the files of drivers in a second round; what is corrupt is repaired by the next line, unless it only verifies."""
        found = _SR_DRIVER.search(line.message)
        if found:
            self.cannot_repair(line, found.group(1).strip())
            return
        corrupt = part(_SR_DRIVER_CORRUPT.search(line.message))
        if corrupt is not None:
            if self._verified_only and not self._host:
                self._broke(line, corrupt, marker="sr_damaged")
            return
        self._repaired(line, part(_SR_DRIVER_REPAIRED.search(line.message)))

    def cannot_repair(self, line: Line, name: str | None) -> None:
        """Take a file that stays damaged."""
        self._failed = True
        self._broke(line, name)

    def close(self) -> None:
        """A scan has ended, or the log: what SFC has mended is no damage any more; it is told where nothing worse is."""
        mended, self._put_back = self._put_back, []
        if not self._failed:
            for seen in mended:
                self._emit(seen)

    def _damage(self, line: Line) -> None:
        """A damaged file, by name. `Could not reproject` says the same of the file once more, with its path."""
        member, projected = _SR_FILE.search(line.message), _projected(line.message)
        if member:
            # Its component may have been cut off.
            name = clean(" of ".join(filter(None, (_short(member.group(1)), member.group(2)))), 150)
            if len(self._named) < _MOST_FILES:
                self._named[file_of(name)] = name
            self._broke(line, name)
        elif projected is None:
            self._broke(line, part(_SR_MANIFEST.search(line.message)))
        elif projected not in self._named or projected not in self._broken:
            self._broke(line, self._named.get(projected) or _file_in(line.message))

    def _broke(self, line: Line, name: str | None, *, marker: str = "sr_cannot_repair") -> None:
        self._more_broken = self._more_broken or line.times > 1
        if name and len(self._broken) < _MOST_FILES:
            self._broken.setdefault(file_of(name), set()).add((name.lower(), _is_guest(line.message)))
        self._emit(self._seen(line, "store", Subject(name), marker=marker))

    def _repaired(self, line: Line, name: str | None) -> None:
        """A file was repaired: that ends what was told of it before, and of no other; a run that was cut has no better end."""
        file, guest = file_of(name), _is_guest(line.message)
        broken = None if self._more_broken else self._broken.get(file)
        if not broken or len({named for named, _guest in broken if " of " in named}) > 1:
            # Of several components that have such a file it is not known whose was repaired.
            return
        self._broken[file] = {one for one in broken if None not in (one[1], guest) and one[1] != guest}
        if not self._broken[file]:
            del self._broken[file]
            self._emit(self._seen(line, "store", Subject(name), outcome=OK, marker="sr_repaired"))


def _file_in(message: str) -> str | None:
    """`[SR] Repairing file \\??\\C:\\Windows\\Web\\img0.jpg from store`; newer Windows brackets the folder and the name."""
    text = message.partition(" file")[2].removeprefix(":").partition(" from store")[0].partition("; ")[0].partition(" by copying")[0]
    return part(_LAST_PART.search(text))


def _projected(message: str) -> str | None:
    """The file, in small letters, that could not be put back in its place."""
    projected = _SR_PROJECTED.search(message)
    last = _LAST_PART.search(projected.group(1)) if projected else None
    return last.group(1).lower() if last else None


def _short(file: str) -> str:
    """A file with the last of its folders: some components have files of one name in several."""
    return "\\".join(file.split("\\")[-2:])


def _is_guest(message: str) -> bool | None:
    """Whether a line speaks of a file of the 32 bits beside 64; None where it does not say."""
    if _OF_GUEST.search(message):
        return True
    return False if _OF_HOST.search(message) else None
