# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: one stream of lines of the servicing stack, each given to the reader of its component.

One file may hold several: DISM's lines stand in files that are called CBS.log, and what CBS says to DISM in DISM.log.
"""

from __future__ import annotations

import re
from itertools import pairwise

from .cbs import Store
from .checksur import CheckSur
from .dism import Dism
from .records import Collector, each_line, part, stamp_of
from .setup import Setup
from .sfc import SystemFiles
from .stack import DATED, HEAD, MOST_PASTED, RUN_ON, Line, without_examples

_INTERESTING = re.compile(
    r"Error|Fatal|HRESULT|\[SR\]|orrupt|Repair failed|Repair complete|CbsExecuteState|tatus: 0x|result: 0x|Installing driver"
    r"|Failed to find file|Failed repairing file|Repaired file|startup processing, new state"
    r"|eporting|SetupResult|OnFinalResult|CSI |CBS M|Executing command line: |DISM[ .]|Servicing Stack v|, inf: |Processing started"
)
# What a search (`findstr /n`, `grep -r`), a quotation or a list sets before a line: a file, a number, a mark.
# Who writes an article sets `<DateTime>,` in the place of the date.
_BEGINS = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}|(?:Info|Warning|Error)(?: {2}|[ \t]{1,8}(?:CBS|CSI|DISM)[ \t])"
)
_BEFORE = re.compile(r"[\w :\\/.()~$%<>,*+\t-]{1,170}")
# Of a line without date or level: `CSI    0000001a [SR] ...`, `DISM.EXE: ...`.
_NAMED_PART = re.compile(r"[ \t>*]{0,8}(CBS|CSI|DISM|DEPLOY)[ \t]{1,8}(?=\S)")
_OF_DISM = re.compile(r"[ \t>*]{0,8}(?:DISM\.EXE: |DISM [A-Z][A-Za-z ]{2,30}: PID=|API: PID=)")
# What lines of CheckSUR.log begin with: a mark, `Checking`, `Binary`, `Found`, `Fixed`, `No errors`, the date of a run,
# `Unavailable repair files`, and of these `servicing\\packages` or `winsxs\\manifests`.
_UNDATED = frozenset("(CBFN 2\t>*Usw")
# A copied summary that has lost the ends of its lines.
_FLAT_SUMMARY = re.compile(r"Seconds executed: ?[0-9]{1,7} (?=Found [0-9])")
_SUMMARY_PARTS = re.compile(
    r" (?=(?:Found|Fixed) [0-9]{1,7} errors?\b|Unavailable repair files:|servicing\\packages\\|winsxs\\manifests\\)", re.I
)
_HAS_HEAD = re.compile(r"\ufeff?(?:[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:|[ \t>*]{0,8}(?:(?:Info|Warning|Error)  |CBS |CSI |DISM))")
# A page has wrapped a line before its code.
_CODE_BELOW = re.compile(r"[ \t\r]{0,8}\n[ \t]{0,8}(?=\[HRESULT = 0x)")
_MOST_JOINED = 4
# Of a screen; below a line of operations stand the operations, indented or numbered.
_NARROWEST, _FEWEST_BROKEN, _INDENTED = 79, 2, " \t("


# `findstr [SR] C:\Windows\Logs\CBS\*.log` sets the file before each line.
_DATE_FIRST = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}")
_OF_FILE = re.compile(rf"^([A-Z]:\\[^\n:*?\"<>|]{{1,150}}\.log):(?={_DATE_FIRST.pattern})", re.I | re.M)
# What CSI tells at level Info is read by these alone, and most of a CBS.log is told by CSI.
_TOLD_AT_INFO = ("[SR]", "orruption", "epair failed", "[Pnp]")


def _is_lookup(raw: str) -> bool:
    """Whether CSI tells at level Info what it looks up and stages, in the columns of every CBS.log."""
    if raw[21:25] != "Info" or raw[43:47] != "CSI ":
        return False
    return raw[46:].lstrip()[:1] != "(" and not any(word in raw for word in _TOLD_AT_INFO)


# What providers of DISM tell of themselves at level Info: half of a DISM.log.
_OF_PROVIDERS = (
    "DISM Provider Store: ", "DISM.EXE: Attempting to add", "DISM.EXE: Succesfully registered", "Initialized Panther logging",
    "DISM Imaging Provider: ", "DISM Driver Manager: ", "DISM Transmog Provider: ", "DISM OS Provider: ", "DISM WIM Provider: ",
    "DISM VHD Provider: ", "DISM FFU Provider: ",
)  # fmt: skip


def _is_told_by_provider(raw: str) -> bool:
    """Whether a provider of DISM tells what it does, of a Windows that runs."""
    return raw.startswith(_OF_PROVIDERS, 50) and raw[21:25] == "Info" and "X:\\" not in raw


# `    New component: Example-Task, version 10.0.26100.1, arch amd64` or `[l:168 ml:169]'Example-Task, Culture=neutral, ...'` or `(null)`,
# and `    Installer name: 'Network Drivers'` below `Begin executing advanced installer`, `    Completion status: S_OK` below its end.
# Pages take the blanks before them.
_NEW_COMPONENT = re.compile(r"[ \t]{0,12}New component: (?:\[[^\]]{1,60}\] ?)?['\"]?(?:([A-Za-z][\w.-]{2,100}),|)")
_INSTALLER_NAME = re.compile(r"[ \t]{0,12}Installer name: (?:\[[^\]]{1,20}\] ?)?['\"]([^'\"\r\n]{2,80})['\"]")
_COMPLETION = re.compile(r"[ \t]{0,12}Completion status: (?:(S_OK)\b|\S)")
_OF_AN_INSTALLER = (" ", "\t", "New component: ", "Installer name: ", "Completion status: ")


class Servicing:
    """Reads one stream of lines of the servicing stack in their order; `host`: those that a look kept."""

    def __init__(self, out: Collector, *, host: bool = False) -> None:
        self._files = SystemFiles(out, host=host)
        self._store, self._dism, self._setup, self._checksur = Store(out, self._files, host=host), Dism(out), Setup(out), CheckSur(out)
        self._place = 0
        self._dated = ""
        self._time: int | None = None
        self._component: str | None = None

    def line(self, raw: str, count: int = 1, first: int | None = None) -> None:
        """Take the next line, or the last of `count` lines alike."""
        self._place += 1
        if raw[4:5] == "-" or raw[5:6] == "-":
            self._dated = raw
        if raw.startswith(_OF_AN_INSTALLER) and self._is_of_an_installer(raw):
            return
        if raw[:1] in _UNDATED and self._checksur.takes(raw, self._place, self._moment):
            return
        if _is_lookup(raw) or _is_told_by_provider(raw) or not _INTERESTING.search(raw):
            return
        head = HEAD.match(raw)
        if not head:
            raw = self._bare(raw)
            head = HEAD.match(raw)
        if head and head.group(1):
            self._time, self._dated = stamp_of(head) or self._time, ""
        if head:
            level, component, message = head.group(3), head.group(4) or "", head.group(5)
        else:
            level, component, message = _headless(raw)
        line = Line(self._moment(), level, component, message.strip(), count, first, self._place)
        self._dispatch(line, bool(head))

    def _is_of_an_installer(self, raw: str) -> bool:
        """Take what stands below the begin and the end of an advanced installer: for what it works, its name, and how it ended."""
        component = _NEW_COMPONENT.match(raw)
        if component:
            self._component = component.group(1)
            return True
        named = _INSTALLER_NAME.match(raw)
        if named:
            self._store.installer_begins(named.group(1), self._component)
            self._component = None
            return True
        ended = _COMPLETION.match(raw)
        if ended is None:
            return False
        line = Line(self._moment(), "Info", "CSI", raw.strip(), 1, None, self._place)
        self._store.installer_ended(line, well=ended.group(1) is not None)
        return True

    def _bare(self, raw: str) -> str:
        """A line without what a search or a quotation has set before it."""
        begins = _BEGINS.search(raw[:200])
        if begins is None or not _BEFORE.fullmatch(raw[: begins.start()]):
            return raw
        raw = raw[begins.start() :]
        self._dated = raw
        return raw

    def _dispatch(self, line: Line, has_head: bool) -> None:
        if line.component == "DISM":
            self._dism.line(line)
        elif line.component == "DEPLOY" or line.message.startswith("[Pnp]"):
            self._files.driver(line)
        elif line.component in ("CBS", "CSI"):
            # The stack writes into DISM's log what it does to another image than the running Windows.
            if not self._dism.is_offline:
                self._store.line(line)
        elif has_head:
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
        self._dism.close()
        self._setup.close()
        self._checksur.close()


def _headless(raw: str) -> tuple[str, str, str]:
    """Level, component and message of a line without a level: Server 2012 writes the summaries of repairs so, and pastes lose it."""
    text = part(DATED.match(raw), 3) or raw
    # The name of the part that writes begins with `DISM`, too.
    if _OF_DISM.match(text):
        return "", "DISM", text.lstrip(" \t>*")
    named = _NAMED_PART.match(text)
    if named:
        return "", named.group(1), text[named.end() :]
    return "", "CBS", text


def _by_age(text: str) -> str:
    """What a search found in several logs, the oldest log first: CbsPersist_*.log comes behind CBS.log by its name, and is older."""
    if _OF_FILE.search(text) is None:
        return text
    found: dict[str, list[str]] = {}
    file = ""
    for line in each_line(text):
        named = _OF_FILE.match(line)
        if named:
            file = named.group(1).lower()
        elif _DATE_FIRST.match(line):
            file = ""
        found.setdefault(file, []).append(line)
    return "\n".join(line for lines in sorted(found.values(), key=_begun) for line in lines)


def _begun(lines: list[str]) -> str:
    """The date and time of the first line that has one."""
    return next((found.group(0) for line in lines if (found := _DATE_FIRST.search(line[:300]))), "")


def _unwrapped(text: str) -> str:
    """Lines that a screen has broken at its last column, whole again: those are the longest, and as long as each other."""
    lines = text.replace("\r\n", "\n").split("\n")
    width = max(map(len, lines))
    broken = {
        place
        for place, (line, after) in enumerate(pairwise(lines))
        if len(line) == width and after.strip() and after[0] not in _INDENTED and not _HAS_HEAD.match(after)
    }
    if width < _NARROWEST or len(broken) < _FEWEST_BROKEN:
        return text
    return "".join(line if place in broken else f"{line}\n" for place, line in enumerate(lines))


def servicing(text: str, out: Collector) -> None:
    """Read CBS.log, DISM.log, CheckSUR.log, setupact.log or setuperr.log."""
    stream = Servicing(out)
    held, joined = "", 0
    if len(text) <= MOST_PASTED:
        text = _CODE_BELOW.sub(" ", text)
        text = without_examples(RUN_ON.sub("\n", _by_age(_unwrapped(text))))
        if _FLAT_SUMMARY.search(text):
            text = _SUMMARY_PARTS.sub("\n", text)
    for raw in each_line(text):
        line = raw.rstrip("\r")
        if held and joined < _MOST_JOINED and line.strip() and not _HAS_HEAD.match(line):
            # A paste has broken a line in the middle of what it names.
            line, joined = f"{held} {line.strip()}", joined + 1
        elif held:
            stream.line(held)
            joined = 0
        held = ""
        if "[" in line and _is_broken(line):
            held = line
        else:
            stream.line(line)
            joined = 0
    if held:
        stream.line(held)
    stream.close()


def _is_broken(line: str) -> bool:
    """Whether a line ends within a bracket, or before the file that SFC names in it."""
    if "[SR] Cannot repair" in line:
        return "," not in line[line.find("[SR]") :]
    return line.rfind("[HRESULT") > line.rfind("]")


_SERVICING_SIGN = re.compile(
    r"(?:^|\n)\ufeff?(?:[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,7})?, )?"
    r"[ \t]*(?:Info|Warning|Error)[ \t]{1,24}"
    r"(?:\[0x[0-9a-f]{2,8}\][ \t]{1,8})?(?:CBS|CSI|DISM|SP|MOUPG|MIG|IBS|IBSLIB|CONX|SYSPRP|DEPLOY|PANTHR)[ \t]"
    r"|, (?:Info|Warning|Error) {1,24}(?:\[0x[0-9a-f]{2,8}\] {1,8})?(?:CBS|CSI|DISM|DEPLOY)[ \t]"
    r"|(?:^|\n)[ \t>*]{0,8}(?:CSI[ \t]{1,8}[0-9a-f]{8}[ @]|(?:CBS|DISM) {3,8}[A-Z])"
    r"|\[HRESULT = 0x[0-9a-f]{8} - |\[Pnp\] Failed repairing file"
    r"|\[SR\] |Total Detected Corruption:|DISM\.EXE: (?:Executing command line|<-----|DISM Package Manager)"
    r"|DISM (?:Package Manager|Provider Store): PID="
    r"|Checking System Update Readiness|Checking Windows Servicing Packages|Checking Package Manifests and Catalogs"
    r"|(?:^|\n)[ \t>*]{0,8}\((?:f|fix|p|w)\)[ \t]{1,8}(?:CBS|CSI) [A-Z]"
    r"|(?:^|\n)[ \t>*]{0,8}Unavailable repair files:|Seconds executed: ?[0-9]{1,7}\s{1,12}(?:Found [0-9]|No errors detected)"
)


def is_servicing(sample: str, _name: str) -> bool:
    """Whether the servicing stack or a set-up wrote it."""
    return _SERVICING_SIGN.search(sample) is not None
