# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: what programs that call the update agent say of how it ended: Ansible, Salt, Chef, Packer, DSC, bundles of installers, scripts.

Whose words they are does not matter. A code of the agent's own (0x8024xxxx) behind `HRESULT`, or in the tuple of a COM error, is the
agent's wherever it stands; another code counts on a line that speaks of updates. An installer of an .msu is known by the file's KB.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from .. import hresult, routing
from ..observation import Observation
from .events import package_report
from .records import ANSWERS, CODE, NOT_APPLICABLE, Collector, clean, each_line, is_failure, kb_of, kbs_of, outcome_of_failure, to_code
from .service_names import service_called

# `Exception from HRESULT: 0x80240438`; not `[HRESULT = 0x80070002]`, as the servicing stack logs it.
_HRESULT = re.compile(r"(?<!\[)(?<!CBS )HRESULT ?[:=]? ?\(?(0x[89c][0-9a-f]{7})(?![0-9a-z])", re.I)
# pywin32: DISP_E_EXCEPTION, and what it stands for last in the tuple that it holds.
_TUPLE = re.compile(r"\(-2147352567, ?.{0,200}?[, ](-2[0-9]{9})\)")
_OF_UPDATES = re.compile(r"\b(?:windows )?updates?\b|\bupdate(?-i:[A-Z])|win_updates|WindowsUpdate|\bwu(?:a|auserv)\b", re.I)
# A code between quotation marks that more words follow; who tells of himself reports it.
_EXPLAINED = re.compile(r"[\])]{0,2}[`\"\u201d\u00bb][\W_]{0,6}(?:[\w'-]{1,40}[ ,]{1,2}){4}")
_MINE = re.compile(r"\b(?:I|my|me|we|our|ich|mein|mir|wir|je|mon|yo|mi|eu)\b", re.I)
# A program that was not let start: the agent was not asked at all, and it refused nobody. `Failed to start the hotfix installer.`
_NEVER_BEGUN = re.compile(
    r"\bfail(?:ed|ure)? to (?:(?:start|launch) (?:[\w.-]{2,20} ){0,3}installer|(?:start|create|launch) (?:[\w.-]{1,20} ){0,3}process)\b",
    re.I,
)
_AGENT, _STACK, _DELIVERY = 0x8024, 0x800F, 0x80D0
# What each of them does where nothing else says it.
_ASKS = {_AGENT: "scan", _DELIVERY: "download"}
_LAYERS_OF_NAMES = (("WU_E_UH_", "install"), ("WU_E_INSTALL", "install"), ("WU_E_DM_", "download"))
_WORDS = (
    ("search", "scan"), ("scan", "scan"), ("download", "download"), ("to install", "install"), ("installation failed", "install"),
    ("installer", "install"),
)  # fmt: skip
# `Windows updates failed to install: KB5001148,KB5001149`
_SEVERAL = re.compile(r"\bupdates? (?:which |that )?failed to install: ?((?:KB[0-9]{6,8}[,; ]{0,2}){1,20})", re.I)
# `Failed to download update (1 of 2) ID TITLE (KB...): Download Result 4`.
_ONE_UPDATE = re.compile(
    r"Failed to (download|install)(?: the)? update(?: \([0-9]{1,4} of [0-9]{1,4}\))?:? (?:[0-9A-Za-z-]{12,40} )?"
    r"([^\n]{5,250}?\(KB[0-9]{6,8}\))",
    re.I,
)
# A state of Salt, one value a line.
_SALT = re.compile(r"\bResult:\s{1,80}(Installation|Download) Failed\s{1,80}Title:\s{1,80}(\S[^\n]{4,250})")
_MARKERS = {"install": "install_failed", "download": "download_failed", "service": "service_failed"}
# Chef says what a program ended with; the console that it ran in has wrapped the command anywhere.
_EXIT = re.compile(r"Expected process to exit with \[[0-9, -]{1,80}\], but received '?(-?[0-9]{1,10})")
_BUNDLE = re.compile(r"Error (0x[89c][0-9a-f]{7}): Failed to execute MSU package", re.I)
_FILE = re.compile(r"(KB[0-9]{6,8})[^<>|\"*?]{0,40}?\.msu", re.I)
_BELOW, _ABOVE = 600, 2500
# What ran the installer of an update says what it ended with, some words behind its file, in hexadecimal or as a number.
_ENDED = re.compile(
    r"(?:exit(?:ed)?|return(?:ed)?)(?: with)?(?:\s?(?:code|status|value))?\b[\s:=]{0,3}(?:was\s|of\s|is\s)?['\"(]{0,2}"
    r"(0x[0-9a-f]{8}|-?[0-9]{1,10})(?![0-9a-z.])",
    re.I,
)
# An .msu is run by wusa alone, whose small numbers are errors of Windows (5). With 1 scripts end; 2, 3 and 87 are of who called it.
_BY_WUSA, _OF_CALLERS = ".msu", (0, 1, 2, 3, 87)
_INSTALLER = re.compile(r"(KB[0-9]{6,8})[^<>|\"'*?\n]{0,60}?\.(?:msu|cab|exe|msp)\b", re.I)
_BEHIND = 400
_RESTART, _SMALL = (3010, 1641), 4
# `WARNING: Update KB5099001 installation failed with code 0x80240017 (...)`
_LOGGED = re.compile(
    r"\W{0,4}(?:WARNING|ERROR|FATAL)\b.{0,60}?\b(KB[0-9]{6,8})\b.{0,80}?\bfailed\b.{0,60}?(0x[89c][0-9a-f]{7})(?![0-9a-z])", re.I
)
# Codes of the agent and of the stack as numbers, behind a word that says what they are: `Installer error -2145124318`.
_AS_NUMBER = re.compile(
    r"\b(?:error|code|result|hresult|returned|received|status)\b[\s:=]{0,3}(?:code\b|was\b|is\b)?[\s:=]{0,3}['\"(]{0,2}"
    r"(-214[56][0-9]{6}|214[89][0-9]{6})(?![0-9a-z])(?!\W{0,4}(?:means|=|:|bedeutet|signifi))",
    re.I,
)
# It is for another Windows. (That it is there already, 0x00240006, is told by a code of success.)
_NOT_FOR_THIS = 0x80240017
_DISABLED = 0x80070422
_IS_DISABLED = re.compile(r"The service cannot be started, either because it is disabled or because it has no enabled devices", re.I)
# Start-Service: the reason stands behind it in words alone.
_NOT_STARTED = re.compile(r"Service '[^'\n]{1,60}\(([A-Za-z]\w{1,40})\)' cannot be started")
# `WUA: The Background Intelligent Transfer service (bits) must not be disabled`.
_MUST_RUN = re.compile(r"\b[Ss]ervice \(([A-Za-z]\w{1,40})\) must not be disabled")
# What Ruby raises for a COM object; its own code is DISP_E_EXCEPTION, and the one of the object stands without `0x`.
_OLE = re.compile(r"\(in OLE method [`'](\w{4,40})'?: ?\)\s{1,80}OLE error code: ?([89C][0-9A-F]{7})\b", re.I)
_METHODS = {
    "Search": "scan", "QueryHistory": "scan", "CreateUpdateSearcher": "scan", "CreateUpdateDownloader": "download", "Download": "download",
    "CreateUpdateInstaller": "install", "Install": "install",
}  # fmt: skip
_OLE_NEAR = 1_500
# What Windows Error Reporting keeps of a failure: the code is the second parameter, what was done the fourth.
_REPORT = re.compile(
    r"WindowsUpdateFailure[0-9]?\b(.{0,400}?)(?<![0-9A-Za-z-])(8[0-9a-f]{7})(?![0-9A-Za-z-])(.{0,200}?\b(Scan|Download|Install)\b)?", re.S
)
_REPORTED = {"Scan": "scan", "Download": "download", "Install": "install"}
# A cmdlet of PSWindowsUpdate that was refused, and nothing but words.
_REFUSED = re.compile(r"\b(?:Get|Install|Hide|Remove)-W(?:indowsUpdate|U\w{2,20}) ?: Access is denied\b(?!.{0,20}HRESULT)")
_ACCESS_DENIED = 0x80070005
_IN_WORDS = ("cannot be started", "must not be disabled", "Access is denied")
# `Searching for Windows updates...`: what a program is at when it says, some lines below, what an exception stands for.
_AT_WORK = re.compile(r"(?:\S{1,60}:? {1,8}){0,4}(Searching for|Downloading|Installing) (?:\w{1,20} ){0,2}updates?\b.{0,60}$", re.I)
_WORKS = {"searching for": "scan", "downloading": "download", "installing": "install"}
_WORK_LINES = 12
# `wsl --update` and `wsl --install` ask the update agent, and say no more than a label and the code, in any language:
# `Erreur : 0x80245006`, `Error code: Wsl/InstallDistro/0x80240438`; what is left of a bar may stand behind it.
_WSL = re.compile(r"(?:[^\n]{0,120}[>\u276f$#] ?)?wsl(?:\.exe)? --(?:update|install)\b", re.I)
_WSL_ENDED = re.compile(
    r"[^\W\d_][^:\uff1a0-9]{1,24}[:\uff1a][ \u00a0]{0,2}(?:Wsl/[\w/]{1,60}/)?(0x80(?:24|d0)[0-9a-f]{4})(?:\s{2,}[0-9., %\]]{0,80})?$", re.I
)
_WSL_LINES, _WSL_TITLE = 12, "Windows Subsystem for Linux"
# Microsoft Defender's updater (MpSigStub.log): the versions it brings are one article, of which a new one comes every few hours.
_STUB = re.compile(
    r"^[ \t>]{0,8}(?:ERROR (0x8[0-9a-f]{7}) : '[^'\n]{0,60}Defender[^'\n]{0,40}' failed to update\b"
    r"|MpSigStub successfully updated [^\n]{0,40}Defender)", re.M | re.I
)
_DEFINITIONS = "KB2267602"
_MOST, _MAX_TEXT = 200, 400_000


class _Said(NamedTuple):
    place: int
    layer: str
    code: int | None
    line: str
    title: str = ""
    name: str | None = None
    marker: str = ""


def is_tool_result(sample: str, _name: str) -> bool:
    """Whether a program says that the update agent failed."""
    return any(True for _one in _said(sample[:_MAX_TEXT]))


def tool_result(text: str, out: Collector) -> None:
    """Read what failed."""
    for one in islice(_said(text[:_MAX_TEXT]), _MOST):
        if one.marker:
            common: dict[str, Any] = {"place": one.place, "channel": out.channel, "kb": kb_of(one.title), "line": one.line}
            out.add(Observation("tool", one.layer, marker=one.marker, related=tuple(filter(None, (one.code,))), **common))
            continue
        marker = _MARKERS[one.layer] if one.code is None else None
        out.add(
            Observation(
                "tool",
                one.layer,
                outcome_of_failure(one.layer, one.code),
                place=one.place,
                channel=out.channel,
                code=one.code,
                marker=marker,
                title=clean(one.title).rstrip(" .") or None,
                kb=kb_of(one.title),
                name=one.name,
                line=one.line,
            )
        )


def _said(text: str) -> Iterator[_Said]:
    yield from _states(text)
    yield from _installers(text)
    yield from _raised(text)
    yield from _reports(text)
    yield from _subsystem(text)
    yield from _definitions(text)
    doing, since = "", 0
    for place, line in enumerate(each_line(text), 1):
        at_work = _AT_WORK.match(line.strip()) if "update" in line else None
        if at_work:
            doing, since = _WORKS[at_work.group(1).lower()], place
        named = _ONE_UPDATE.search(line)
        logged = _LOGGED.match(line)
        several = _SEVERAL.search(line)
        if logged:
            yield from _by_number(place, line, logged.group(2), logged.group(1).upper())
        elif several:
            yield from (_Said(place, "install", None, line, kb) for kb in kbs_of(several.group(1)))
        elif named:
            code = CODE.search(line, named.end())
            yield _Said(place, named.group(1).lower(), code and to_code(code.group(1)), line, named.group(2))
        elif "HRESULT" in line or "-2147352567" in line:
            yield from _codes(place, line, doing if place - since <= _WORK_LINES else "")
        elif any(word in line for word in _IN_WORDS):
            yield from _in_words(place, line)
        elif "214" in line and not line.lstrip().startswith("|"):
            for number in _AS_NUMBER.finditer(line):
                yield from _by_number(place, line, number.group(1))


def _in_words(place: int, line: str) -> Iterator[_Said]:
    """What is told without a code."""
    yield from _services(place, line)
    yield from _disabled(place, line)
    if _REFUSED.search(line):
        yield _Said(place, _layer(line, _ACCESS_DENIED), _ACCESS_DENIED, line)


def _services(place: int, line: str) -> Iterator[_Said]:
    found, is_disabled = _NOT_STARTED.search(line), _IS_DISABLED.search(line) is not None
    if found and routing.SERVICES.get(found.group(1), {}).get("needed") == "always":
        yield _Said(place, "service", _DISABLED if is_disabled else None, line, name=found.group(1))
    elif is_disabled and _OF_UPDATES.search(line):
        yield _Said(place, "scan", _DISABLED, line)


def _disabled(place: int, line: str) -> Iterator[_Said]:
    found = _MUST_RUN.search(line)
    name = found and service_called(found.group(1))
    if name:
        yield _Said(place, "service", _DISABLED, line, name=name)


def _raised(text: str) -> Iterator[_Said]:
    """What a COM object raised in a program in Ruby."""
    for found in _OLE.finditer(text):
        code, layer = to_code(found.group(2)), _METHODS.get(found.group(1))
        if code is None or layer is None or not is_failure(code) or code == _NOT_FOR_THIS:
            continue
        if code >> 16 == _AGENT or _OF_UPDATES.search(text, max(0, found.start() - _OLE_NEAR), found.start()):
            yield _Said(0, layer, code, found.group(0))


def _reports(text: str) -> Iterator[_Said]:
    """Reports of Windows Error Reporting, in whatever form they were copied."""
    report = package_report(text) if "CbsPackageServicingFailure" in text else None
    if report is not None:
        reported, package = report
        yield _Said(0, "install", reported, f"CbsPackageServicingFailure {package}", kb_of(package) or "", package or None)
    if "WindowsUpdateFailure" not in text:
        return
    for found in _REPORT.finditer(text):
        code = to_code(f"0x{found.group(2)}")
        if code is not None and is_failure(code) and code != _NOT_FOR_THIS:
            words = " ".join(found.group(0).split())
            yield _Said(0, _REPORTED.get(found.group(4) or "", "scan"), code, words)


def _definitions(text: str) -> Iterator[_Said]:
    """Definitions that Defender's updater did not bring, and did not bring later on either."""
    ended = list(_STUB.finditer(text)) if "Defender" in text else []
    if ended and ended[-1].group(1):
        yield _Said(0, "install", to_code(ended[-1].group(1)), ended[-1].group(0).strip(), _DEFINITIONS)


def _subsystem(text: str) -> Iterator[_Said]:
    """What ended the commands that fetch the Windows Subsystem for Linux."""
    if "wsl" not in text.lower():
        return
    below, told = 0, 0
    for place, raw in enumerate(each_line(text), 1):
        line = raw.strip("\t \r\u00a0`")
        ended = _WSL_ENDED.match(line) if below > 0 else None
        code = ended and to_code(ended.group(1))
        if code and code != told:
            # It is told twice, the second time with the step that failed.
            told = code
            layer = _layer(line, code, _ASKS[code >> 16])
            yield _Said(place, layer, code, line, "" if layer == "scan" else _WSL_TITLE)
        below -= 1
        if _WSL.match(line):
            below = _WSL_LINES


def _codes(place: int, line: str, doing: str) -> Iterator[_Said]:
    """What stands behind `HRESULT`; `doing` is what the program was at, where it said so."""
    for found in (*_HRESULT.finditer(line), *_TUPLE.finditer(line)):
        code = to_code(found.group(1))
        if code is None or not is_failure(code) or code == _NOT_FOR_THIS or routing.is_app_code(code):
            # (`Package failed updates, dependency or conflict validation` speaks of an app.)
            continue
        if code == _ACCESS_DENIED and _NEVER_BEGUN.search(line):
            continue
        if _EXPLAINED.match(line, found.end()) and not _MINE.search(line[: found.start()]):
            continue
        if code >> 16 == _AGENT or doing or _OF_UPDATES.search(line):
            yield _Said(place, _layer(line, code, doing), code, line)


def _by_number(place: int, line: str, number: str, kb: str = "") -> Iterator[_Said]:
    """A code of the agent's own, or of the stack's, which a program shows in its own way."""
    code = to_code(number)
    if code is None or not is_failure(code) or code in (_NOT_FOR_THIS, NOT_APPLICABLE):
        return
    if kb or code >> 16 == _STACK:
        yield _Said(place, "install", code, line, kb)
    elif code >> 16 == _AGENT:
        yield _Said(place, _layer(line, code), code, line)


def _layer(line: str, code: int, doing: str = "") -> str:
    """What was done: by the code's own name (WU_E_INSTALL_NOT_ALLOWED), else by the words of the line, else by what the program was at."""
    name = hresult.describe(code).symbol or ""
    of_code = next((layer for part, layer in _LAYERS_OF_NAMES if name.startswith(part)), None)
    words = line.lower()
    return of_code or next((layer for word, layer in _WORDS if word in words), doing or "scan")


def _states(text: str) -> Iterator[_Said]:
    for found in _SALT.finditer(text):
        layer = {"Installation": "install", "Download": "download"}[found.group(1)]
        yield _Said(0, layer, None, f"{found.group(1)} Failed: {found.group(2)}", found.group(2))


def _installers(text: str) -> Iterator[_Said]:
    """What an .msu ended with: Chef names its file below the code, a bundle above it."""
    for found in _EXIT.finditer(text):
        below = re.sub(r"\s+", "", text[found.end() : found.end() + _BELOW])
        yield from _installer(found, next(_FILE.finditer(below), None))
    for found in _BUNDLE.finditer(text):
        files = list(_FILE.finditer(text, max(0, found.start() - _ABOVE), found.start()))
        yield from _installer(found, files[-1] if files else None)
    yield from _returned(text)


def _returned(text: str) -> Iterator[_Said]:
    """What the installers of updates returned: the number belongs to the file above it."""
    last = 0
    for found in _ENDED.finditer(text):
        files = list(_INSTALLER.finditer(text, max(last, found.start() - _BEHIND), found.start()))
        last = found.end()
        if not files or not _is_of_windows(found, files[-1].group(0)):
            continue
        code, kb = _of_windows(to_code(found.group(1))), files[-1].group(1).upper()
        line = f"{files[-1].group(0)}: {found.group(0)}"
        if code in ANSWERS:
            yield _Said(0, "install", code, line, kb, marker=ANSWERS[code])
        elif code is not None and is_failure(code) and code & 0xFFFF not in _RESTART:
            yield _Said(0, "install", code, line, kb)


def _is_of_windows(found: re.Match[str], file: str) -> bool:
    """Whether a number that an installer returned is an error of Windows: of fewer than four digits only what wusa says is known."""
    number = found.group(1)
    if len(number.lstrip("-")) >= _SMALL:
        return True
    return file.lower().endswith(_BY_WUSA) and "code" in found.group(0).lower() and int(number) not in _OF_CALLERS


def _of_windows(code: int | None) -> int | None:
    """The code of a Windows error that stands as a small number, also in hexadecimal (0x00000643)."""
    if code is None or not 0 < code < 0x10000:
        return code
    return to_code(str(code))


def _installer(found: re.Match[str], file: re.Match[str] | None) -> Iterator[_Said]:
    code = to_code(found.group(1))
    if file is None or code is None or not is_failure(code):
        return
    yield _Said(0, "install", code, f"{found.group(0)}: {file.group(0)}", file.group(1).upper(), marker=ANSWERS.get(code, ""))
