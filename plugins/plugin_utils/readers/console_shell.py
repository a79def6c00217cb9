# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: what PowerShell, sc, net, wusa and pnputil write to a console about updates and the services that they need."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice, pairwise, takewhile
from typing import Any

from .. import hresult, routing
from ..observation import FAILED, OK, Observation
from .console_screen import Piece, Screen
from .records import CODE, Collector, kb_of, part, to_code
from .stack import SOME_FEATURE, layer_of

_DISABLED, _GONE, _NOT_ELEVATED = 0x80070422, 0x80070424, 0x800702E4
# ERROR_SERVICE_NEVER_STARTED: not since the host started, which is right for what starts on demand.
_NEVER_STARTED = 1077
_MOST = 500
_SERVICES = {name.lower(): name for name in routing.SERVICES}
_TIME_SERVICE = "W32Time"
_SERVICES[_TIME_SERVICE.lower()] = _TIME_SERVICE


def _needed(name: str) -> str | None:
    """A service that updates always need, in its own spelling. The others may be off on a sound host."""
    own = _SERVICES.get(name.strip().lower())
    if own is None or routing.SERVICES.get(own, {}).get("needed") != "always":
        return None
    return own


# --- sc, net, Get-Service ---

_SC_TYPE = re.compile(r"[^:\uff1a]{1,30}[:\uff1a] ?[0-9a-f]{1,3} {1,4}(?:WIN32|KERNEL|USER|FILE_SYSTEM|ADAPTER|ERROR|UNKNOWN)")
_SC_START = re.compile(r"[^:\uff1a]{1,30}[:\uff1a] ?([0-4]) {1,4}(?:BOOT_START|SYSTEM_START|AUTO_START|DEMAND_START|DISABLED)")
_SC_STATE = re.compile(
    r"[^:\uff1a]{1,30}[:\uff1a] ?([1-7]) {1,4}(?:STOPPED|START_PENDING|STOP_PENDING|RUNNING|CONTINUE_PENDING|PAUSE\w{0,8})"
)
_SC_EXIT = re.compile(r"[^:\uff1a]{1,30}[:\uff1a] ?([0-9]{1,10}) {1,4}\(0x[0-9a-f]{1,8}\)")
_SC_REFUSED = re.compile(r"\[SC\] [A-Za-z]{4,40}(?::[A-Za-z]{4,40})? [^\s:]{1,20} ([0-9]{1,5})[:\uff1a.]")
_SC_COMMAND = re.compile(
    r"\bsc(?:\.exe)? (?:\\\\\S{1,60} )?(?:query|queryex|qc|start|config|qtriggerinfo) [\"']?([A-Za-z][\w.-]{1,60})", re.I
)
_NET_START = re.compile(r"\bnet1?(?:\.exe)? start [\"']?([A-Za-z][\w.-]{1,60})[\"']?$", re.I)
_NET_ERROR = re.compile(r"[^\d]{1,40} ?([0-9]{4})(?![0-9])")
_HELP = re.compile(r"NET HELPMSG", re.I)
_TABLE = re.compile(r"-{4,}(?: {1,80}-{3,}){1,8}")
_ROW = re.compile(r"([A-Za-z][\w-]{2,40})\s.{0,300}?\bDisabled\b|Disabled\s.{0,200}?\s([A-Za-z][\w-]{2,40})(?=\s)")
_LISTED = re.compile(r"(Name|StartType|StartMode)\s{1,30}: (\S{1,60})")


def is_services(screen: Screen) -> bool:
    """Whether sc told about services, or a service of updates stands in a table of PowerShell."""
    if any(True for _found in _services(screen)):
        return True
    return any(_SC_TYPE.match(piece.text) or _SC_REFUSED.match(piece.text) for piece in screen.pieces) or _is_table(screen)


def _is_table(screen: Screen) -> bool:
    """Whether it is a table of services: a ruler of dashes, and below it the names of services that updates need."""
    ruler = next((index for index, piece in enumerate(screen.pieces) if _TABLE.match(piece.text)), None)
    if ruler is None:
        return False
    words = (piece.text.split(None, 1)[0].lower() for piece in screen.pieces[ruler:])
    return len({word for word in words if word in _SERVICES}) >= 2


def services(screen: Screen, out: Collector) -> None:
    """Read states and start types: only what updates always need and what cannot start is told."""
    for piece, name, code in islice(_services(screen), _MOST):
        out.add(Observation("sc", "service", place=piece.place, channel=out.channel, code=code, name=name, line=piece.text))


def _services(screen: Screen) -> Iterator[tuple[Piece, str, int]]:
    yield from _by_sc(screen)
    yield from _by_net(screen)
    yield from _by_table(screen)


def _by_sc(screen: Screen) -> Iterator[tuple[Piece, str, int]]:
    name: str | None = None
    asked: str | None = None
    stopped = False
    for index, piece in enumerate(screen.pieces):
        command = _SC_COMMAND.search(piece.text)
        if command:
            asked = command.group(1)
        if _SC_TYPE.match(piece.text):
            name, stopped = _name_above(screen, index), False
            continue
        refused = _SC_REFUSED.match(piece.text)
        if refused and asked:
            yield from _refused(piece, asked, int(refused.group(1)))
        elif name is not None:
            state, start, ended = (pattern.match(piece.text) for pattern in (_SC_STATE, _SC_START, _SC_EXIT))
            stopped = state.group(1) == "1" if state else stopped
            if start and start.group(1) == "4":
                yield piece, name, _DISABLED
            if ended and stopped:
                stopped = False
                yield from _refused(piece, name, int(ended.group(1)))


def _name_above(screen: Screen, index: int) -> str | None:
    """The service that a block of sc is about: the name stands one or two lines above its type."""
    names = [_needed(piece.value) for piece in screen.pieces[max(0, index - 2) : index]]
    return next((name for name in names if name), None)


def _refused(piece: Piece, name: str, number: int) -> Iterator[tuple[Piece, str, int]]:
    own = _needed(name)
    code = to_code(str(number)) if 0 < number < 0x10000 else None
    # 1056: it runs already; 5: the console has no rights.
    if own is None or code is None or number in (_NEVER_STARTED, 1056, 5, 1066, 1062):
        return
    if code == _GONE and not routing.SERVICES[own]["must_exist"]:
        return
    yield piece, own, code


def _by_net(screen: Screen) -> Iterator[tuple[Piece, str, int]]:
    for index, piece in enumerate(screen.pieces):
        command = _NET_START.search(piece.text)
        if command is None:
            continue
        for answer in screen.pieces[index + 1 : index + 4]:
            if answer.is_prompt or _HELP.search(answer.text):
                break
            number = _NET_ERROR.match(answer.text)
            if number:
                yield from _refused(answer, command.group(1), int(number.group(1)))
                break


def _by_table(screen: Screen) -> Iterator[tuple[Piece, str, int]]:
    """Get-Service: as a table (`Format-Table`), or as a list of names and values."""
    in_table, listed = False, ""
    for piece in screen.pieces:
        if _TABLE.match(piece.text):
            in_table = True
        pair = _LISTED.match(piece.text)
        if pair and pair.group(1) == "Name":
            listed = pair.group(2)
        elif pair and pair.group(2) == "Disabled" and (own := _needed(listed)):
            yield piece, own, _DISABLED
        row = _ROW.match(piece.text) if in_table and "Disabled" in piece.text else None
        if row and (own := _needed(row.group(1) or row.group(2))):
            yield piece, own, _DISABLED


# --- PowerShell ---

_SEARCHES = (
    "Get-WindowsUpdate",
    "Get-WUList",
    "Start-WUScan",
    "Get-WUInstall",
    "Install-WindowsUpdate",
    "Get-WUUpdates",
    "Install-WUUpdates",
)
_INSTALLS = (
    "Add-WindowsPackage", "Remove-WindowsPackage", "Enable-WindowsOptionalFeature", "Disable-WindowsOptionalFeature",
    "Add-WindowsCapability", "Remove-WindowsCapability", "Install-WindowsFeature", "Add-WindowsFeature",
)  # fmt: skip
_FEATURES = ("Enable-WindowsOptionalFeature", "Add-WindowsCapability", "Install-WindowsFeature", "Add-WindowsFeature")
_REPAIR = "Repair-WindowsImage"
_CMDLET = "|".join((*_SEARCHES, *_INSTALLS, _REPAIR))
# The same words in every language: `+ CategoryInfo : NotSpecified: (:) [Get-WindowsUpdate], COMException`.
_CATEGORY = re.compile(rf"\bCategoryInfo\s{{0,20}}:.{{0,200}}\[({_CMDLET})\]", re.I)
_QUALIFIED = re.compile(
    r"\bFullyQualifiedErrorId\s{0,20}:.{0,200}"
    r"(?:PSWindowsUpdate\.(?P<wu>GetWindowsUpdate|InstallWindowsUpdate|\w{3,40})|Microsoft\.Dism\.Commands\.(?P<dism>\w{3,60})Command)",
    re.I,
)
# PowerShell 7: `Get-WindowsUpdate: Exception from HRESULT: 0x80240438`.
_CONCISE = re.compile(rf"(?:\x1b\[[0-9;]{{1,10}}m)?({_CMDLET}) ?: .{{0,400}}", re.I)
# `WARNING: Add-WindowsPackage failed. Error code = 0x800f0823`: whoever called it, and whatever is told below.
_STATED = re.compile(
    rf"(?:[^\W\d_][\w -]{{1,40}}[:\uff1a] ?){{0,2}}({'|'.join((*_INSTALLS, _REPAIR))})\b[^=]{{1,40}}= ?(0x[89c][0-9a-f]{{7}})\W{{0,3}}$",
    re.I,
)
# Where the message of a record begins.
_MESSAGE = re.compile(rf"(?:{_CMDLET}) ?: ", re.I)
# The call of a cmdlet, and below it `Error: 0x800f0954` in any language.
_CALLED = re.compile(rf"(?:PS [^>]{{1,120}}> ?)?({'|'.join(_INSTALLS)}) -", re.I)
_LABELLED_CODE = re.compile(r"[^\W\d_]{1,16}[ \u00a0]?[:\uff1a][ \u00a0]{0,2}0x[8c][0-9a-f]{7}(?![0-9a-z])", re.I)
# A record may give the words of Windows alone.
_IN_WORDS = {
    "component store has been corrupted": 0x80073712,
    "source files could not be found": 0x800F081F,
    "source files could not be downloaded": 0x800F0906,
    "referenced assembly could not be found": 0x80073701,
    "package is not applicable to this image": 0x800F081E,
    # ERROR_SERVICE_DISABLED.
    "cannot be started, either because it is disabled": _DISABLED,
    "er ist deaktiviert oder nicht mit aktivierten": _DISABLED,
    "aucun p\u00e9riph\u00e9rique activ\u00e9": _DISABLED,
    "deshabilitado o porque no tiene": _DISABLED,
    "desabilitado ou porque n\u00e3o": _DISABLED,
    "\u043e\u043d\u0430 \u043e\u0442\u043a\u043b\u044e\u0447\u0435\u043d\u0430 \u0438\u043b\u0438 \u0432\u0441\u0435": _DISABLED,
    "\u65e0\u6cd5\u542f\u52a8\u670d\u52a1\uff0c\u539f\u56e0\u53ef\u80fd\u662f": _DISABLED,
    # ERROR_ELEVATION_REQUIRED in the languages that people paste most.
    "operation requires elevation": _NOT_ELEVATED,
    "erfordert erh\u00f6hte rechte": _NOT_ELEVATED,
    "n\u00e9cessite une \u00e9l\u00e9vation": _NOT_ELEVATED,
    "requiere elevaci\u00f3n": _NOT_ELEVATED,
    "requer eleva\u00e7\u00e3o": _NOT_ELEVATED,
    "privilegi elevati": _NOT_ELEVATED,
    "\u0442\u0440\u0435\u0431\u0443\u0435\u0442 \u043f\u043e\u0432\u044b\u0448\u0435\u043d\u0438\u044f": _NOT_ELEVATED,
    "\u64cd\u4f5c\u9700\u8981\u63d0\u5347": _NOT_ELEVATED,
    "\u4f5c\u696d\u9700\u8981\u63d0\u5347": _NOT_ELEVATED,
    "\u7ba1\u7406\u8005\u7279\u6a29\u304c\u5fc5\u8981": _NOT_ELEVATED,
    "\u9700\u8981\u63d0\u5347\u7684\u6b0a\u9650": _NOT_ELEVATED,
}
# The update agent called by a script: `Exception calling "Search" with "1" argument(s): "Exception from HRESULT: 0x8024401C"`.
_METHODS = {"search": "scan", "download": "download", "install": "install"}
_CALL = re.compile(
    r"[\"'\u201c\u201e\u00ab](Search|Download|Install)[\"'\u201d\u201c\u00bb].{0,160}?HRESULT ?: ?(0x[89c][0-9a-f]{7})(?![0-9a-z])", re.I
)
_METHOD = re.compile(r"\.(Search|Download|Install)\(", re.I)
_COM_FAILURE = re.compile(r"\bCategoryInfo\s{0,20}:.{0,200}\], COMException", re.I)
# The module win_updates of Ansible up to 2.9.
_OLD_MODULE = re.compile(r"HRESULT ?: ?(0x[89c][0-9a-f]{7}) .{0,40}DoWindowsUpdate", re.I)
# `-Online` or `-Path FOLDER`: an image that is laid out in a folder is not the Windows that runs.
_ON_AN_IMAGE = re.compile(rf"\b(?:{'|'.join((*_INSTALLS, _REPAIR))})\b (?:(?!-Online\b).){{0,300}}?-Path[ :]", re.I)
# PowerShell cuts the line of a call: the last word of `-FeatureName Microsoft- ...` names nothing.
_CUT = re.compile(r"[^\s]{1,200} \.\.\.(?!\S)")
_FEATURE = re.compile(r"-(?:FeatureName|Name)[ :][\"']?([\w.~-]{1,120})", re.I)
_CUT_FEATURE = re.compile(r"-(?:FeatureName|Name)[ :][\"']?([\w.~-]{1,120})[\"']? \.\.\.", re.I)
_PACKAGE_FILE = re.compile(r"-PackagePath[ :][\"']?(?:[^\"'\s]{0,200}[\\/])?([\w.~-]{2,120})", re.I)
# The sentence of a name that Windows does not know; in other languages it is a short message that names the feature of the call.
_UNKNOWN_FEATURE = re.compile(
    r"(?:\bFeature name|nom de fonctionnalit\u00e9|\u529f\u80fd\u540d\u79f0) ([\w.-]{2,80}) (?:is unknown|est inconnu|\u672a\u77e5)", re.I
)
_OF_FEATURES = ("Enable-WindowsOptionalFeature", "Disable-WindowsOptionalFeature")
_FEATURE_UNKNOWN, _LONGEST_MESSAGE = 0x800F080C, 160
# `At line:1 char:1`, `Au caract\u00e8re Ligne:1 : 1`, `+ Enable-...`: what PowerShell sets below a message.
_POSITION = re.compile(r"\+ |[^\d]{2,40}[:\uff1a] ?[0-9]{1,6}\b")
# The wizard of Server Manager, and the cmdlets of it without their records.
_ROLES = re.compile(
    r"Installation of one or more roles, role services,? or features failed\.?\s{1,4}"
    r"(?:(?!Installation of one or more)[^\0]){0,700}?\bError:? ?(0x8[0-9a-f]{7})(?![0-9a-z])", re.I
)
# Who calls it: `Install-WindowsFeature Hyper-V`, `Add-WindowsFeature -Name NET-Framework-Core`.
_ROLE = re.compile(r"\b(?:Install|Add|Uninstall|Remove)-WindowsFeature (?:-\w+ )?[\"']?([A-Za-z][\w.-]{1,80})", re.I)
# What a script says of it: `Failed to activate Windows Feature 'NET-Framework-Features'`.
_TOLD_ROLE = re.compile(r"\bWindows Features? ['\"`\u2018]([A-Za-z][\w.-]{1,80})['\"`\u2019]", re.I)
_OF_ROLES = ("Install-WindowsFeature", "Add-WindowsFeature")
_HEALTH = re.compile(r"ImageHealthState\s{0,30}: (Healthy|NonRepairable|Repairable)\b")
_HEALTHS = {"Healthy": (OK, "store_clean"), "Repairable": (FAILED, "store_corrupt"), "NonRepairable": (FAILED, "repair_failed")}
_ABOVE, _NEAR, _STATED_ABOVE = 12, 8, 2


def is_powershell(screen: Screen) -> bool:
    """Whether a cmdlet of updates or of DISM failed on this console, or told the health of the store."""
    if any(True for _found in _records(screen)) or any(True for _found in _calls(screen)):
        return True
    return _HEALTH.search(screen.text) is not None or _ROLES.search(screen.text) is not None


def powershell(screen: Screen, out: Collector) -> None:
    """Read error records of cmdlets, and the health of the component store."""
    for first, index, cmdlet in _records(screen):
        seen = _record(screen, first, index, cmdlet, out)
        if seen is not None:
            out.add(seen)
    told = {one.code for one in out.result()}
    for found in _ROLES.finditer(screen.text):
        code = to_code(found.group(1))
        if code is not None and code not in told:
            line, place = " ".join(found.group(0).split()), screen.at(found.start()).place
            name = _role_of(screen)
            out.add(Observation("dism", layer_of(code, ""), place=place, channel=out.channel, code=code, name=name, line=line))
    for piece, layer, text in _calls(screen):
        out.add(Observation("powershell", layer, place=piece.place, channel=out.channel, code=to_code(text), line=piece.text))
    for found in _HEALTH.finditer(screen.text):
        outcome, marker = _HEALTHS[found.group(1)]
        piece = screen.at(found.start())
        out.add(Observation("dism", "store", outcome, place=piece.place, channel=out.channel, marker=marker, line=piece.text))


def _role_of(screen: Screen) -> str:
    """The one role or feature that a text names."""
    roles = {role.group(1) for pattern in (_ROLE, _TOLD_ROLE) for role in pattern.finditer(_whole(screen.text))}
    return roles.pop() if len(roles) == 1 else SOME_FEATURE


def _records(screen: Screen) -> Iterator[tuple[int, int, str]]:
    """Error records: their first and last line, and the cmdlet that failed."""
    last, free = 0, 0
    for index, piece in enumerate(screen.pieces):
        concise = _CONCISE.match(piece.text)
        called = _CALLED.match(piece.text)
        if index >= last and called and (below := _coded_below(screen, index)):
            yield index, below, called.group(1)
            last, free = below + 1, below + _NEAR
            continue
        if concise and (CODE.search(concise.group(0)) or _is_told(screen, index, concise)):
            yield max(last, index - _NEAR), index, concise.group(1)
            last, free = index + 1, index + _NEAR
            continue
        stated = _STATED.match(piece.text)
        if stated and index >= last:
            yield max(last, index - _STATED_ABOVE), index, stated.group(1)
            last, free = index + 1, index + _NEAR
            continue
        found = _CATEGORY.search(piece.text)
        cmdlet = found.group(1) if found else _qualified(piece.text)
        if cmdlet is None or index < free:
            continue
        yield max(last, index - _ABOVE), index, cmdlet
        # What else names the cmdlet a few lines below belongs to the same record.
        last, free = index + 1, index + 3


def _is_told(screen: Screen, index: int, concise: re.Match[str]) -> bool:
    """Whether a message in words alone stands below its call and says what a code would."""
    if not _is_typed(screen, index):
        return False
    call = " ".join(piece.text for piece in screen.pieces[max(0, index - 2) : index])
    message = concise.group(0)
    return _in_words(message) is not None or _unknown_feature(concise.group(1), _MESSAGE.sub("", message, count=1), call) is not None


def _unknown_feature(cmdlet: str, message: str, call: str) -> str | None:
    """The feature that a message without a code says is unknown."""
    told = _UNKNOWN_FEATURE.search(message)
    if told:
        return told.group(1)
    if cmdlet.lower() not in {name.lower() for name in _OF_FEATURES} or len(message) > _LONGEST_MESSAGE or CODE.search(message):
        return None
    # Of a call that was cut the message has the whole name.
    named = [*_FEATURE.findall(_whole(call)), *_CUT_FEATURE.findall(call)]
    return next((part(found, 0) for name in named if (found := re.search(rf"(?<![\w.-]){re.escape(name)}[\w-]*", message, re.I))), None)


def _message(pieces: list[Piece]) -> str:
    """What a record says, without the line that says where."""
    said = [pieces[0].text, *(piece.text for piece in takewhile(lambda one: not _POSITION.match(one.text), pieces[1:]))]
    return _MESSAGE.sub("", " ".join(said), count=1)


def _is_typed(screen: Screen, index: int) -> bool:
    """Whether somebody typed the call, a line or two above: articles quote a message alone, for whoever has it."""
    return any(piece.is_prompt for piece in screen.pieces[max(0, index - 2) : index])


def _coded_below(screen: Screen, index: int) -> int:
    """The line below a call that is a label and a code, as people note what came of it; 0 for none."""
    below = ((place, screen.pieces[place]) for place in range(index + 1, min(index + 4, len(screen.pieces))))
    return next((place for place, piece in below if _LABELLED_CODE.match(piece.text)), 0)


def _calls(screen: Screen) -> Iterator[tuple[Piece, str, str]]:
    """Calls of the update agent's own objects that failed: the line, the layer and the code."""
    for index, piece in enumerate(screen.pieces):
        called, old = _CALL.search(piece.text), _OLD_MODULE.search(piece.text)
        if called:
            yield piece, _METHODS[called.group(1).lower()], called.group(2)
        elif old:
            yield piece, "scan", old.group(1)
        elif _COM_FAILURE.search(piece.text):
            yield from _failed_method(screen.pieces[max(0, index - _NEAR) : index])


def _failed_method(above: list[Piece]) -> Iterator[tuple[Piece, str, str]]:
    """`$searcher.Search(...)` in an error record whose message is a code alone."""
    method = next((found.group(1) for piece in above if piece.text.startswith("+") and (found := _METHOD.search(piece.text))), None)
    coded = [(piece, found.group(1)) for piece in above if (found := CODE.search(piece.text)) and not _CALL.search(piece.text)]
    if method and coded:
        yield coded[-1][0], _METHODS[method.lower()], coded[-1][1]


def _qualified(text: str) -> str | None:
    found = _QUALIFIED.search(text)
    if found is None:
        return None
    if found.group("dism"):
        return re.sub(r"(?<=[a-z])(?=Windows)", "-", found.group("dism"), count=1)
    return "Get-WindowsUpdate"


def _record(screen: Screen, first: int, index: int, cmdlet: str, out: Collector) -> Observation | None:
    pieces = screen.pieces[first : index + 1]
    begun = max((place for place, piece in enumerate(pieces) if piece.is_prompt), default=0)
    pieces = pieces[begun:]
    told_from = max((place for place, piece in enumerate(pieces) if _MESSAGE.match(piece.text)), default=0)
    # Where the message is words alone, whoever wrote above it may have told the code.
    coded = _codes_in(pieces[told_from:]) or _codes_in(pieces)
    # The code stands in the message, the first lines of a record; PowerShell 5 may repeat it as FullyQualifiedErrorId.
    piece, text = coded[0] if coded else (pieces[told_from], "")
    written = " ".join(one.text for one in pieces)
    told = _whole(written)
    code = to_code(text) or _in_words(" ".join(one.text for one in pieces[told_from:]))
    common: dict[str, Any] = {"place": piece.place, "channel": out.channel, "line": piece.text}
    own = next((name for name in (*_SEARCHES, *_INSTALLS, _REPAIR) if name.lower() == cmdlet.lower()), cmdlet)
    if code == _NOT_ELEVATED and _is_called_again(screen, index, own):
        return None
    if code == _NOT_ELEVATED:
        return Observation("console", "tool", marker="not_elevated", name=own, related=(code,), **common)
    # PowerShell shows the call below the message.
    written_below = " ".join(one.text for one in screen.pieces[index + 1 : index + _NEAR]).partition("FullyQualifiedErrorId")[0]
    below = _whole(written_below)
    if own not in _SEARCHES and _ON_AN_IMAGE.search(f"{told} {below}"):
        related = tuple(filter(None, (code,)))
        name = part(_FEATURE.search(told) or _FEATURE.search(below) or _PACKAGE_FILE.search(told) or _PACKAGE_FILE.search(below))
        return Observation("dism", "offline", marker="offline_image", related=related, name=name, **common)
    if own == _REPAIR:
        called = next((one for one in pieces if "restorehealth" in one.text.lower()), None)
        if code is None and called is None:
            return None
        if code is None and called is not None:
            common = {**common, "line": called.text, "place": called.place}
        return Observation("dism", "store", code=code, marker=None if code else "repair_failed", **common)
    name = part(_FEATURE.search(told) or _FEATURE.search(below) or _ROLE.search(told))
    if code is None:
        return _without_code(own, _message(pieces[told_from:]), f"{written} {written_below}", name, common)
    if own in _OF_ROLES:
        name = name or _role_of(screen)
    if own in _SEARCHES:
        return Observation("powershell", _layer_of_search(code), code=code, **common)
    return Observation("dism", layer_of(code, "", repair=False), code=code, name=name, kb=kb_of(told), **common)


def _without_code(cmdlet: str, message: str, call: str, name: str | None, common: dict[str, Any]) -> Observation | None:
    """What a record tells that has no code: a feature that Windows does not know, or one that it did not change."""
    unknown = _unknown_feature(cmdlet, message, call)
    if unknown:
        return Observation("dism", "install", code=_FEATURE_UNKNOWN, name=unknown, **common)
    if cmdlet in _FEATURES and (name or _CUT_FEATURE.search(call)):
        return Observation("dism", "install", marker="feature_failed", name=name, **common)
    return None


def _whole(call: str) -> str:
    """A call without the word that was cut."""
    return _CUT.sub(" ", call)


def _is_called_again(screen: Screen, index: int, cmdlet: str) -> bool:
    return any(piece.is_prompt and cmdlet.lower() in piece.text.lower() for piece in screen.pieces[index + 1 :])


def _in_words(message: str) -> int | None:
    words = message.lower()
    return next((code for told, code in _IN_WORDS.items() if told in words), None)


def _codes_in(pieces: list[Piece]) -> list[tuple[Piece, str]]:
    return [(piece, found.group(1)) for piece in pieces if (found := CODE.search(piece.text))]


def _layer_of_search(code: int) -> str:
    """Cmdlets of updates search before they install: only what no search can say is the installation's."""
    area = hresult.describe(code).area
    if code >> 16 in (0x800F, 0x8024) and area in ("servicing_cbs", "driver", "eula") or code in (0x80070643, 0x8024200B):
        return "install"
    return "scan"


# --- wusa ---

_WUSA = re.compile(r"\bwusa(?:\.exe)?[\"']? .{0,200}?\.(?:msu|cab)\b", re.I)
_ASKS_CODE = re.compile(r"errorlevel|LASTEXITCODE|ExitCode", re.I)
_NUMBER = re.compile(r"(?:.{0,40}(?:errorlevel|exit ?code)[^0-9-]{0,6})?(-?[0-9]{1,10}|0x[0-9a-f]{8})$", re.I)
# Done, done but for a restart, there already: answers, no faults. WU_E_NOT_APPLICABLE says that the update is for another Windows.
_RESTART = (3010, 1641)


def is_wusa(screen: Screen) -> bool:
    """Whether the exit code of wusa stands on this console."""
    return any(True for _found in _wusa(screen))


def wusa(screen: Screen, out: Collector) -> None:
    """Read the exit codes of the update standalone installer."""
    for command, piece, number in _wusa(screen):
        kb = kb_of(command.replace("-", " ").replace("_", " "))
        code = to_code(number)
        common: dict[str, Any] = {"place": piece.place, "channel": out.channel, "kb": kb, "line": f"{command}: {number}"}
        if code is None:
            continue
        if code == 0 or code & 0xFFFF in _RESTART:
            out.add(Observation("wusa", "install", OK, **common))
        elif code & 0x80000000:
            out.add(Observation("wusa", "install", code=code, **common))


def _wusa(screen: Screen) -> Iterator[tuple[str, Piece, str]]:
    for index, piece in enumerate(screen.pieces):
        command = _WUSA.search(piece.text)
        if command is None:
            continue
        asked = False
        for answer in screen.pieces[index + 1 : index + 6]:
            asked = asked or _ASKS_CODE.search(answer.text) is not None
            number = _NUMBER.match(answer.text)
            if asked and number:
                yield command.group(0), answer, number.group(1)
                break


# --- pnputil ---

_DRIVERS = re.compile(
    r"[:\uff1a][ \u00a0]{1,30}oem[0-9]{1,4}\.inf\b(?:.{1,400}?)\{[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\}", re.I | re.S
)


# What a driver package is called by: `Adding driver package:  echo_2.inf`, and in the line below `...: WHY IT WAS REFUSED`.
# What is added is called oem12.inf from then on.
_PACKAGE = re.compile(r"(?!oem[0-9])[\w.-]{1,100}\.inf", re.I)
_TOTAL = re.compile(r"[0-9]{1,6}$")


def is_refused_driver(screen: Screen) -> bool:
    """Whether pnputil was to add driver packages and did not add all of them."""
    return next(_not_added(screen), None) is not None


def refused_drivers(screen: Screen, out: Collector) -> None:
    """Packages that pnputil did not add: no updates of Windows, but what the paste is about."""
    for name, piece in _not_added(screen):
        out.add(
            Observation("console", "drivers", place=piece.place, channel=out.channel, name=name, marker="driver_refused", line=piece.text)
        )


def _not_added(screen: Screen) -> Iterator[tuple[str, Piece]]:
    """Each package with the line that says why: two totals end the list, of what was tried and of what was added."""
    named: list[tuple[str, Piece]] = []
    pieces = [piece for piece in screen.pieces if piece.value]
    for piece, below in pairwise(pieces):
        package = _package(piece.value)
        if package and not _package(below.value) and not _TOTAL.match(below.value) and below.place - piece.place <= 1:
            named.append((package, below))
        elif _TOTAL.match(piece.value) and _TOTAL.match(below.value) and named:
            if int(piece.value) > int(below.value):
                yield from named
            named = []


def _package(value: str) -> str | None:
    """The file of a driver package, without its folder."""
    name = value.replace("/", "\\").rpartition("\\")[2]
    return name if _PACKAGE.fullmatch(name) else None


def is_drivers(screen: Screen) -> bool:
    """Whether pnputil listed drivers. A list tells nothing about updates."""
    return _DRIVERS.search(screen.text) is not None
