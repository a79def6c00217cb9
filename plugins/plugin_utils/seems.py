# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a file seems to be, in a few words, by its structure: for files that hold nothing about updates."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from .observation import Observation
from .readers import cmtrace
from .readers.records import clean

_SAMPLE = 200_000
_BINARY_SHARE = 0.05
_MOST_NAMES = 2

_CHECKSUR = re.compile(
    r"^[ \t>*]{0,8}\((?:f|fix)\)[ \t]{1,8}(?:CBS|CSI) |Unavailable repair files:|Seconds executed: ?[0-9]|^Binary Version [0-9.]{5,30}",
    re.M,
)
_PROVIDER = re.compile(r"<Provider Name=['\"]([^'\"]{1,120})['\"]")


_OF_UPDATES = re.compile(
    r"\bKB[0-9]{6,8}\b|Windows ?Update|win_updates|_update_count|(?:Cumulative|Feature|Security) update|wuauserv|\bWSUS\b|\w\.msu\b"
    r"|0x(?:8024|800F|80D0|C190)[0-9a-f]{4}|\bdism(?:\.exe)? /|Microsoft\.Dism|\bsfc /|component store|Update-MpSignature",
    re.I,
)
UNKNOWN, UNKNOWN_OF_UPDATES = "text of no known form", "text of no known form that speaks of updates"

# Programs that read events hold samples of them, in every form that a log has. Scripts (`.ps1`, `.bat`) are read: a console may be in them.
SOURCE = "the source of a program"
NO_EVENTS = "an event log (.evtx) without an event"
FOREIGN = "a log with dates of a program that is not known"
_SOURCES = (".c", ".cpp", ".cs", ".go", ".h", ".java", ".js", ".jsx", ".kt", ".php", ".py", ".rb", ".rs", ".swift", ".ts", ".tsx")


class _Sign(NamedTuple):
    """How one kind of file is told: `found` is looked for in a sample, `words` says what it is then."""

    found: re.Pattern[str]
    words: str


# The first that is found. A name in the words is a part of what was found.
_SIGNS = (
    _Sign(re.compile(r"\[Device Install Log\]|^>>>  \[(?:Device|Setup|Delete|Boot)", re.M), "a log of device installations (setupapi)"),
    _Sign(re.compile(r"=== (?:Verbose )?[Ll]ogging started: |^MSI \([sc]\) \(", re.M), "a log of Windows Installer"),
    _Sign(re.compile(r"^MpCmdRun: Command Line: ", re.M), "a log of Microsoft Defender (MpCmdRun)"),
    _Sign(re.compile(r"^Command: /stub .{0,80}/payload |\bMpSigStub\b", re.M), "a log of Microsoft Defender's updater (MpSigStub)"),
    _Sign(re.compile(r"^\[[0-9A-F]{4}:[0-9A-F]{4}\]\[[0-9T:-]{19}\][iwe][0-9]{3}: Burn v", re.M), "a log of an installer's bundle (Burn)"),
    _Sign(
        re.compile(r"^[0-9/. -]{6,12} [0-9:.]{5,10}(?: [AP]M)? - (?:PFRO Error: |[0-9]{1,6} Successful PFRO )", re.M),
        "what Windows renamed at a restart (PFRO)",
    ),
    _Sign(re.compile(r"^\s{0,20}Microsoft DHCP(?:v6)? Service Activity Log", re.M), "a log of a DHCP server"),
    _Sign(
        re.compile(r"^Timestamp\s+Process\s+TID\s+Area\s+Category\s+EventID\s+Level\s+Message", re.M),
        "a log of Microsoft Office or SharePoint (ULS)",
    ),
    _Sign(re.compile(r"^#Software: ([^\r\n]{3,80})", re.M), "a log of {0}"),
    _Sign(re.compile(r"^\*{20,}\r?\n[^\r\n]{0,80}PowerShell", re.M), "a transcript of PowerShell"),
    _Sign(re.compile(r"\A\ufeff?Windows Registry Editor Version|\A\ufeff?REGEDIT4"), "an export of the registry"),
    _Sign(re.compile(r'"(?:GET|POST|HEAD|PUT|OPTIONS) [^"\r\n]{1,500} HTTP/[0-9.]{1,4}" [0-9]{3} '), "a log of a web server"),
    _Sign(
        re.compile(
            r"^(?:<[0-9]{1,3}>)?[A-Z][a-z]{2} [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2} [\w.-]{1,64} ([\w./-]{1,40})(?:\[[0-9]{1,8}\])?: ",
            re.M,
        ),
        "a syslog of {0}",
    ),
    _Sign(re.compile(r"\A\ufeff?\s{0,20}<(?:!DOCTYPE html|html)", re.I), "a web page"),
    _Sign(
        re.compile(r"\A\ufeff?\s{0,20}<xml [^<]{0,400}urn:schemas-microsoft-com:rowset"),
        "what set-up keeps of its errors (diagerr.xml, diagwrn.xml)",
    ),
    _Sign(
        re.compile(r"\A\ufeff?\s{0,20}<\?xml[^>]{0,200}\?>\s{0,20}<([\w:.-]{1,60})|\A\ufeff?\s{0,20}<([A-Za-z][\w:.-]{0,60})"), "XML ({0})"
    ),
    _Sign(re.compile(r"\A\ufeff?\s{0,20}(?:\[\s{0,20}[\"{\[]|\{\s{0,20}\")"), "JSON"),
    _Sign(
        re.compile(r"(?:^|\n)\[?[0-9]{4}[-/.][0-9]{2}[-/.][0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}"),
        FOREIGN,
    ),
)

# setuperr.log has errors alone.
_ALL_LEVELS = re.compile(r"^[0-9-]{10} [0-9:]{8}, Info ", re.M)
# Others write the form of set-up, too.
_OF_SET_UP = (
    ("[recenv.exe]", "a log of the recovery environment (WinRE), without a result of set-up"),
    (" DPX  ", "a log of how updates are unpacked (DPX), without a result of set-up"),
    ("[windeploy.exe]", "a log of the first start of an image, without a result of set-up"),
)

# What the readers' kinds are, where their names do not say it.
_KINDS = {
    "wulog": "a WindowsUpdate.log",
    "reporting": "a ReportingEvents.log",
    "setupdiag": "a result of SetupDiag",
    "cmtrace": "a log of the ConfigMgr client",
    "console": "output of commands",
    "update history": "what a window of Windows Update shows",
    "tool": "what a program says that calls the update agent",
    "device setup": "what device installers wrote into C:\\Windows\\setupact.log, without a set-up of Windows in it",
    "compat": "a compatibility report of set-up",
    "evidence": "the saved evidence of a look",
}
# Where nothing in a text says it more exactly.
_OTHERWISE = {"servicing": "lines of the servicing stack (CBS) or of DISM"}


def of(text: str, kind: str | None, observations: Iterable[Observation] = ()) -> str:
    """What a text seems to be.

    Args:
        text: the file, or its beginning.
        kind: what the readers take it for, None for nothing that they know.
        observations: what they saw in it.
    """
    sample = text[:_SAMPLE]
    seen = tuple(observations)
    for rule in (_cmtrace, _events, _known, _servicing, _by_sign):
        words = rule(sample, kind, seen)
        if words:
            return words
    if _OF_UPDATES.search(sample):
        return UNKNOWN_OF_UPDATES
    return UNKNOWN if sample.strip() else "an empty file"


def speaks_of_updates(text: str) -> bool:
    """Whether Windows Update or an update is named in it."""
    return _OF_UPDATES.search(text[:_SAMPLE]) is not None


def may_quote(words: str) -> bool:
    """Whether codes in such a text may be somebody's failure: of the logs of other programs none is Windows Update's."""
    return words in (UNKNOWN, UNKNOWN_OF_UPDATES, FOREIGN, "JSON") or words.startswith("XML (")


def is_source(name: str) -> bool:
    """Whether a file is no log by its name."""
    return name.lower().endswith(_SOURCES)


def is_text(text: str) -> bool:
    """Whether somebody could read it: neither empty nor the bytes of a program or picture."""
    sample = text[:_SAMPLE]
    if not sample.strip("\0 \t\r\n\ufeff"):
        return False
    odd = sum(sample.count(letter) for letter in ("\0", "\ufffd", "\1", "\2", "\3", "\4"))
    return odd <= len(sample) * _BINARY_SHARE


def _cmtrace(sample: str, kind: str | None, _seen: tuple[Observation, ...]) -> str:
    if kind != "cmtrace":
        return ""
    names = Counter(record.component for record in cmtrace.records(sample) if record.component)
    return f"a CMTrace log of {_most_common(names)}" if names else ""


def _events(sample: str, kind: str | None, seen: tuple[Observation, ...]) -> str:
    providers = Counter(found.group(1) for found in _PROVIDER.finditer(sample))
    if not providers and not (kind or "").startswith("events"):
        return ""
    words = "events" if seen else "events without any of Windows Update"
    return f"{words} (of {_most_common(providers)})" if providers else words


def _most_common(names: Counter[str]) -> str:
    ranked = sorted(names, key=lambda name: (-names[name], name))
    shown = ", ".join(clean(name, 60) for name in ranked[:_MOST_NAMES])
    return f"{shown} and others" if len(ranked) > _MOST_NAMES else shown


def _is_final(one: Observation) -> bool:
    """Whether it says how a set-up or sysprep ended."""
    return one.layer in ("upgrade", "sysprep") and one.marker != "on_the_way"


def _servicing(sample: str, kind: str | None, seen: tuple[Observation, ...]) -> str:
    if kind == "setup":
        return _set_up(sample, seen)
    if kind == "servicing" and _CHECKSUR.search(sample):
        return "a CheckSUR.log (System Update Readiness Tool)"
    lines = {name: sample.count(f" {name} ") for name in ("CBS", "CSI", "DISM")}
    # SFC tells of drivers in lines of DEPLOY, as set-up does.
    is_of_sfc = any(one.layer == "store" for one in seen)
    if kind is None or not (any(lines.values()) or is_of_sfc):
        return "" if kind is None else _by_sign(sample, kind, seen) or _OTHERWISE.get(kind, f"a log of the kind {kind}")
    return "a log of DISM" if lines["DISM"] > lines["CBS"] + lines["CSI"] else "a log of the servicing stack (CBS)"


def _set_up(sample: str, seen: tuple[Observation, ...]) -> str:
    if any(_is_final(one) for one in seen):
        return "a set-up log"
    is_upgrade = " MOUPG " in sample or "  SP  " in sample
    for sign, words in () if is_upgrade else _OF_SET_UP:
        if sign in sample:
            return words
    if any(one.layer == "upgrade" for one in seen) and _ALL_LEVELS.search(sample):
        return "a set-up log without a result (errors on the way alone)"
    if any(one.layer == "upgrade" for one in seen):
        return "a set-up log without a result (errors on the way alone; the result is in setupact.log)"
    return "a set-up log without a result"


def _known(_sample: str, kind: str | None, _seen: tuple[Observation, ...]) -> str:
    return _KINDS.get(kind or "", "")


def _by_sign(sample: str, _kind: str | None, _seen: tuple[Observation, ...]) -> str:
    for sign in _SIGNS:
        found = sign.found.search(sample)
        if found:
            return sign.words.format(clean(next(filter(None, found.groups()), ""), 60))
    return ""
