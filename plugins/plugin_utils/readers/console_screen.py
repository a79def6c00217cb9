# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: what was copied from a console, as the lines that the programs wrote.

Labels are translated, so nothing here or in the readers of the programs goes by them: codes, numbers, units, names of constants and
the order of fields are the same in every language.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from .records import MAX_LINE

# A copied screen has no line ends: each line is filled up with blanks. So do progress bars that overwrite each other.
_PADDED = 200
_PADDING = re.compile(r" {6,}")
# Nobody copies more from a console: of a longer text the begin and the end are read.
_MOST = 250_000
# `W i n d o w s`: UTF-16 in a file of another encoding, its NULs shown as blanks (the output of sfc through a pipe).
_SPREAD = 24
# `C:\Windows\system32>`, `PS C:\>`, `[host]: PS C:\>`, and rulers of scripts that call one program after the other.
_PROMPT = re.compile(r"(?:\([^()]{1,40}\) ?)?(?:\[[^\[\]]{1,80}\]: ?)?(?:PS )?(?:[A-Z]:\\[^<>|\"]{0,200}|HK[A-Z]{2}:\\)> ?|[=*#_-]{20,}")
# Lines of logs in between, indented or quoted, are for the readers of these logs.
_LOGGED = re.compile(r"[ \t>*]{0,12}(?:[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,7})?, ?|<!\[LOG\[)")
# What a build or a pipeline sets before each line that a program wrote: `2031-02-03 10:00:00Z -> `.
_STAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:]{8}(?:\.[0-9]{1,7})?Z?(?:[ \t]{0,4}(?:->|==>)|(?<=Z):?)[ \t]{1,4}")
# `[17.01.2031 7:57:47] [Debug] `: a program's own log of what another one wrote.
_LOGGED_BY = re.compile(r"\[[0-9]{1,4}[./-][0-9]{1,2}[./-][0-9]{1,4}[ T][0-9:]{7,8}(?:[.,][0-9]{1,7})?\] \[[A-Za-z]{3,11}\] {1,8}(?:- )?")
# A line in bold type of a page.
_BOLD = re.compile(r"\*\*([^*].{0,400}[^*])\*\*$")
# A heading or a comment: what was pasted behind it is what the program wrote.
_HEADING, _TITLE = re.compile(r"# "), re.compile(r"#{2,6} ")
# `If you see "...", run ...`, a row of a table: what a program may write, not what it wrote.
_SUPPOSED = re.compile(
    r"^\||\b(?:if|whether|in case|wenn|falls|sollten? (?:sie|das|die|der)|\u0435\u0441\u043b\u0438)\b|(?:^|[.:(-] ?)(?:si|se|als)\b"
    r"|\u5982\u679c|\u5834\u5408", re.I
)
# A sentence between quotation marks that more words follow; who tells of himself reports it.
_EXPLAINED = re.compile(
    r"[\"'\u201c\u201e\u00ab`][^\"'\u201c\u201d\u00bb`]{10,300}[\"'\u201c\u201d\u00bb`][\W_]{0,4}(?:[\w.*`'-]{1,40}[ ,]{1,2}){3}"
)
_MINE = re.compile(r"\b(?:I|my|me|we|our|ich|mein|mir|wir|je|mon|yo|mi|eu)\b", re.I)
# `You may get one of these messages:`: a list of what a program may write.
_LISTED = re.compile(
    r"\b(?:one of (?:the following|these) (?:error )?(?:messages|results)|eine der folgenden Meldungen|l.un des messages suivants"
    r"|uno de los siguientes mensajes|uma das seguintes mensagens|uno dei seguenti messaggi)\b", re.I
)
_LIST_LINES = 12
# `You may encounter the following error:`, one or two lines above.
_MAY_COME = re.compile(
    r"\b(?:may|might|could)(?: \w{2,10})? (?:encounter|see|get|receive|return|say|show|be (?:shown|returned))\b[^.\n]{0,200}:$", re.I
)
_ANNOUNCED_LINES, _LONGEST = 4, 300
_LABEL = re.compile(r"([^:\uff1a]{1,80}?)[ \u00a0]?[:\uff1a][ \u00a0]?(.*)", re.S)


class Piece(NamedTuple):
    """A line as a program wrote it, and the number of the line of the file that it stands in."""

    text: str
    place: int

    @property
    def is_prompt(self) -> bool:
        """Whether another command begins here."""
        return _PROMPT.match(self.text) is not None

    @property
    def value(self) -> str:
        """What stands behind the first colon."""
        found = _LABEL.match(self.text)
        return found.group(2).strip() if found else ""


class Screen:
    """What was copied: its lines, and their text in one, for what runs over several lines."""

    def __init__(self, text: str) -> None:
        self.pieces = [piece for piece in _pieces(text) if piece.text]
        self.text = "\n".join(piece.text for piece in self.pieces)
        self._lower = self.text.lower()
        # Looked for once: a guide repeats the sentences that are asked about.
        self._lists = [at for at, piece in enumerate(self.pieces) if _LISTED.search(piece.text)]
        self._announced = [at for at, piece in enumerate(self.pieces) if _is_announced(piece.text)]
        self._starts: list[int] = []
        start = 0
        for piece in self.pieces:
            self._starts.append(start)
            start += len(piece.text) + 1

    def has(self, *words: str) -> bool:
        """Whether one of some words, in lower case, stands anywhere: what a program always writes is looked for before any pattern."""
        return any(word in self._lower for word in words)

    def index_at(self, offset: int) -> int:
        """Which line an offset into the text lies in."""
        return max(0, bisect_right(self._starts, offset) - 1)

    def start_of(self, index: int) -> int:
        """The offset into the text at which a line begins."""
        return self._starts[index]

    def is_supposed(self, offset: int) -> bool:
        """Whether what stands at an offset is only spoken of: a guide says what to do where a program writes it."""
        index = self.index_at(offset)
        start = offset - self._starts[index]
        line = self.pieces[index].text
        if _SUPPOSED.search(line[max(0, start - 200) : start]):
            return True
        above = "" if index == 0 else self.pieces[index - 1].text
        if above.endswith(":") and _SUPPOSED.search(above) and not _MINE.search(above):
            return True
        if _is_near(self._lists, index, _LIST_LINES) or _is_near(self._announced, index, _ANNOUNCED_LINES):
            return True
        return _EXPLAINED.match(line, max(0, start - 1)) is not None and not _MINE.search(line)

    def at(self, offset: int) -> Piece:
        """The line that an offset into the text lies in."""
        return self.pieces[self.index_at(offset)]


def _is_announced(line: str) -> bool:
    """Whether a line says that what is below may come."""
    return line.endswith(":") and len(line) <= _LONGEST and _MAY_COME.search(line) is not None and not _MINE.search(line)


def _is_near(above: list[int], index: int, most: int) -> bool:
    """Whether one of some lines stands above a line, at most so many lines away."""
    nearest = bisect_left(above, index) - 1
    return nearest >= 0 and index - above[nearest] <= most


def _pieces(text: str) -> Iterator[Piece]:
    text = text.replace("\0", "").replace("\u200b", "").replace("\ufeff", "")
    skipped = 0
    if len(text) > 2 * _MOST:
        skipped = text.count("\n", _MOST, len(text) - _MOST) + 1
        text = f"{text[:_MOST]}\n{text[-_MOST:]}"
    lines = text.split("\n")
    cut = text.count("\n", 0, _MOST) + 1 if skipped else len(lines)
    for number, whole in enumerate(lines, 1):
        place = number if number <= cut else number - 1 + skipped - 1
        if _LOGGED.match(whole):
            continue
        # A carriage return alone goes back to the line's begin: what follows stands over it.
        for line in map(_together, whole.split("\r")):
            for part in _PADDING.split(line) if len(line) > _PADDED else (line,):
                for start in range(0, len(part), MAX_LINE):
                    written = part[start : start + MAX_LINE].strip("\t \u00a0`")
                    if written[:2] == "20":
                        written = _STAMP.sub("", written, count=1)
                    elif written[:1] == "[":
                        written = _LOGGED_BY.sub("", written, count=1)
                    yield Piece(_pasted(written), place)


def _pasted(written: str) -> str:
    """A line without the mark of a comment; a title within a page (`### Error: ...`) is what somebody wrote about it."""
    if written.startswith("**"):
        return _BOLD.sub(r"\1", written, count=1)
    if not written.startswith("#"):
        return written
    if _TITLE.match(written):
        return ""
    return _HEADING.sub("", written, count=1)


def _together(line: str) -> str:
    bare = line.strip()
    if len(bare) >= _SPREAD and not bare[1::2].strip():
        return bare[::2]
    return line
