# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: the form that the servicing stack's logs share (CBS.log, DISM.log, setupact.log, setuperr.log) and what their lines name."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from .. import hresult
from ..observation import Observation
from .records import Collector, kb_of, part, to_code

HEAD = re.compile(
    r"\ufeff?(?:([0-9]{4}-[0-9]{2}-[0-9]{2})[ T]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]{1,7})?, ?)?[ \t]*"
    # `Error 0x80073701 is ERROR_SXS_ASSEMBLY_MISSING` is a sentence.
    r"(Info|Warning|Error|Fatal|Perf)(?:[ \t]{2,}|[ \t](?!0x))(?:\[0x[0-9a-f]{2,8}\][ \t]+)?(?:([A-Z][A-Za-z]{1,9})[ \t]+)?(.*)",
    re.S,
)
DATED = re.compile(r"\ufeff?([0-9]{4}-[0-9]{2}-[0-9]{2})[ T]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]{1,7})?, ?(.*)", re.S)
# A copied screen has lost the ends of lines. A log of many megabytes is none, and would take a second more for every ten of them.
MOST_PASTED = 2 * 1024 * 1024
_LEVEL = r"(?:Info|Warning|Error|Fatal|Perf)[ \t]"
RUN_ON = re.compile(
    r"(?<=[^\n\ufeff])(?=[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,7})?, ?"
    rf"{_LEVEL})"
    # Lines that had no date either.
    rf"|(?<=[^\s,>0-9])[ \t]{{1,4}}(?={_LEVEL}{{1,24}}(?:\[0x[0-9a-f]{{2,8}}\][ \t]{{1,24}})?(?:CBS|CSI|DISM|MOUPG|SYSPRP)[ \t])"
)
# Who writes of lines that are not of his own host sets X for what differs: `Package_for_KB5XXXXXX~31bf...~amd64~~XX.X.X.X`,
# `Lab.App_1.0.0.0_x64__xxxx`.
_PLACEHOLDER = re.compile(
    r"(?<![A-Za-z0-9])KB[0-9]{0,5}X{3,8}(?![A-Za-z0-9])|~X{1,3}(?:\.X{1,5}){1,3}(?![0-9A-Za-z])|_x(?:64|86)__x{4,13}(?![0-9A-Za-z])", re.I
)
_APART = re.compile(r"\n(?:[ \t\r]{0,40}\n){1,40}")
ANY_HEX = re.compile(r"\b0x([89c][0-9a-fA-F]{7})\b", re.I)
# An identity: name, key, architecture, language and version, with tildes between them.
_PACKAGE = re.compile(r"(?<![\w~.-])([A-Za-z0-9][\w.-]{3,120}~[\w.~-]{0,120})")
# What ran inside of an installation: the component, or the installer with a GUID behind it.
INSTALLER = re.compile(
    r"Installer Generic Command failed for ([^\s\[\]]{2,120})|Failed execution of queue item Installer: ([^(\[\r\n]{2,80})"
    # The summary of all that failed: `(F) Installer: NAME<TAB>Binary Name: X.dll<TAB>ErrorCode: 80070005<TAB>Phase: 39`.
    r"|\(F\) Installer: ([^\t\r\n\[]{2,80}?)\s{1,8}Binary Name:"
)
E_FAIL = 0x80004005
_STORE_AREAS = ("store",)
_RPC_GONE = (1722, 1726, 1727)
_NETWORK_AREAS = ("network", "proxy", "protocol", "time_tls", "policy_wsus")
REPAIR = re.compile(r"corruption detect|detect and repair|corruption repair|hrStatus|operation result|repair store", re.I)


def without_examples(text: str) -> str:
    """A paste without the undated lines that stand together with one that names a package which is none: nobody has seen them."""
    if _PLACEHOLDER.search(text) is None:
        return text
    return "\n\n".join(block for block in _APART.split(text) if not _is_example(block))


def _is_example(block: str) -> bool:
    return _PLACEHOLDER.search(block) is not None and not any(DATED.match(line.lstrip(" \t>*")) for line in block.split("\n"))


class Subject(NamedTuple):
    """What a line is about."""

    name: str | None = None
    kb: str | None = None


NOTHING = Subject()


def subject_of(message: str) -> Subject:
    """The installer, component or package that a line names, and its KB."""
    installer = INSTALLER.search(message)
    if installer:
        return Subject(next(filter(None, installer.groups())).strip(" .,'\""), kb_of(message))
    package = (part(_PACKAGE.search(message)) or "").strip(" .,")[:120]
    return Subject(package or None, kb_of(message))


def searched(pattern: re.Pattern[str], message: str) -> int | None:
    """The code that a pattern finds in a message."""
    return to_code(part(pattern.search(message)))


class Line(NamedTuple):
    time: int | None
    level: str
    component: str
    message: str
    times: int
    first: int | None
    place: int

    @property
    def is_error(self) -> bool:
        return self.level in ("Error", "Fatal")


# Forums make other quotes of them.
QUOTE = "['\"\u2018\u2019\u201c\u201d]"
# A feature whose files were not found, where what names it was not pasted.
SOME_FEATURE = "a Windows feature"
# CBS_E_SOURCE_MISSING, CBS_E_DOWNLOAD_FAILURE and what forbids to fetch: of a feature, its files were not found.
NO_SOURCE = (0x800F081F, 0x800F0906, 0x800F0907, 0x800F0950, 0x800F0954)


def layer_of(code: int, message: str, *, repair: bool = False) -> str:
    if repair or REPAIR.search(message):
        return "store"
    area = hresult.describe(code).area
    if area in _STORE_AREAS:
        return "store"
    # A service that does not answer the stack (event log, a client gone) is not what was being installed.
    if code >> 16 == 0x8007 and code & 0xFFFF in _RPC_GONE:
        return "service"
    if area in _NETWORK_AREAS:
        return "download"
    return "install"


class Reader:
    """Reads the lines of one component of the stack, and keeps what was seen."""

    def __init__(self, out: Collector) -> None:
        self._out = out

    def _emit(self, seen: Observation) -> None:
        self._out.add(seen, local=True)

    def _seen(self, line: Line, layer: str, subject: Subject = NOTHING, source: str = "cbs", **fields: Any) -> Observation:
        return Observation(
            source,
            layer,
            time=line.time,
            place=line.place,
            channel=self._out.channel,
            line=line.message,
            count=line.times,
            first=line.first,
            name=subject.name,
            kb=subject.kb,
            **fields,
        )
