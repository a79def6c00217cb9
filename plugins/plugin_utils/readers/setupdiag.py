# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: what SetupDiag says of a failed upgrade, in each of its forms: text, its console, XML, JSON, and its key in the registry.

All hold the same fields. The rule (ProfileName) is a name that is never translated; the code stands in FailureData or FailureDetails.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import zip_longest

from ..observation import OK, Observation
from .records import Collector, clean, is_failure, part, stamp, to_code

_SIGN = re.compile(
    r"Matching Profile found: |SetupDiag version: |(?:^|\n)\ufeff?SetupDiag v[0-9]|SetupDiag: processing rule: |SetupDiag reports "
    r"|<SetupDiag[ >]|\"ProfileGuid\"[ \t]{0,4}[:=]"
    r"|(?:^|\n)\ufeff?\[?HKEY_LOCAL_MACHINE\\SYSTEM\\Setup\\(?:MoSetup\\Volatile\\)?SetupDiag(?:\\Results)?\]?\r?(?:\n|$)",
)
_SETUP_ACT = re.compile(r"(?:^|\n)[^\n]{0,60}(?:MOUPG|SP)[ \t]+SetupHost")
# A driver of the file system that holds no code.
_DATA_FILES = ("pagefile.sys", "hiberfil.sys", "swapfile.sys", "dumpstack.log")
# What tells of the failure; the rest tells of the host, its filter drivers among it.
_FIELDS = (
    "FailureDetails", "FailureData", "LogErrorLine", "DeviceDriverInfo", "DriverPackageId", "DriverName", "DriverFile", "InfName",
    "OperationName", "AppName", "ErrorCode", "ExtendedErrorCode", "Message",
)  # fmt: skip
_PHASED = re.compile(r"(?<![0-9A-Za-z])0x([89c][0-9a-f]{7})[ \t]{0,2}[-,][ \t]{0,2}0x([1-6][0-9a-f]{4})(?![0-9A-Za-z])", re.I)
_EXTENDED = re.compile(r"\bEx(?:tended)?(?:Error)?Code[ \t]{0,3}[=:\n][ \t]{0,3}0x([1-6][0-9a-f]{4})\b", re.I)
_CODE = re.compile(r"(?:\b|[a-z])Err(?:or)?(?:[ _]?[Cc]ode)?[ \t]{0,3}[=:]?[ \t]{0,3}(0x[0-9a-f]{1,8})(?![0-9A-Za-z])", re.I)
_LAST_PHASE = re.compile(r"\bLast(?: Setup)? ?Phase[ \t]{0,3}[=:][ \t]{0,3}([A-Za-z][A-Za-z -]{1,40})")
_LAST_OPERATION = re.compile(r"\bLast(?: Setup)? ?Operation[ \t]{0,3}[=:][ \t]{0,3}([^\r\n,]{2,80})")
_DRIVER = re.compile(
    r"(?<![\w$-])([\w-]{1,60}(?:\.[\w-]{1,20}){0,3}\.(?:sys|inf))(?![\w.])|(?<![\w$-])([\w-]{1,60}\.inf)_(?:amd64|x86|arm64)", re.I
)
_APP = re.compile(
    r"Block for: \"?([^\"\r\n]{2,80})\"|ninstall \"([^\"\r\n]{2,80})\""
    r"|\b(?:AppName|Application Name|App(?:lication)? block)[ \t]{0,3}[=:][ \t]{0,3}\"?([^\"\r\n,]{2,80})",
    re.I,
)
# Of an optional component that would not open or install.
_PACKAGE = re.compile(r"\bPackage Name[ \t]{0,3}[=:][ \t]{0,3}([\w.~-]{2,80})", re.I)
# A part of set-up that failed: `Binary = C:\\...\\reagent.dll`, `Plug-in Module: C:\\...\\reagent.dll`.
_PLUG_IN = re.compile(r"(?:\bBinary = |\bPlug-in Module: )[^,\r\n]{0,200}?\\([\w.-]{2,60}?\.dll)", re.I)
# What was at work: `Add [6] package C:\\$WINDOWS.~BT\\DUImageSandbox\\NAME.cab to C:\\$WINDOWS.~BT\\NewOS`.
_AT_WORK = re.compile(r"\bAdd \[[0-9]{1,4}\] package (?:[^\r\n]{0,200}?\\)?([\w.~-]{4,150}?)\.(?:cab|msu|mum|esd)\b", re.I)
# The rules OptionalComponent..., as SetupDiag puts them where the rule itself was not copied.
_OF_A_COMPONENT = re.compile(r"SetupDiag reports Optional Component ")
_REPORTS = re.compile(r"SetupDiag reports ([^\r\n.]{3,120})")
_ADVICE = re.compile(r"\b(Recommend[^\r\n]{5,300})")
_LOG_TIME = re.compile(r"\b([0-9]{4}-[0-9]{2}-[0-9]{2})[ T]([0-9]{2}:[0-9]{2}:[0-9]{2}), (?:Info|Warning|Error)")
_END_TIME = re.compile(r"UpgradeEndTime\W{1,6}([0-9]{4}-[0-9]{2}-[0-9]{2})[ T]([0-9]{2}:[0-9]{2}:[0-9]{2})")
_PROFILE = re.compile(r"(?:Matching Profile found|ProfileName)[ \t]{0,12}: {1,3}([A-Za-z][\w]{2,80})")
_RULE = re.compile(r"processing rule: ([A-Za-z]\w{2,80})\.[\s.]{0,200}Error: SetupDiag reports")
_BLOCK_RULE = re.compile(r"hardblock|^compatblocked|complianceblock", re.I)
_GOOD_RULE, _SCAN_RULE = "FindSuccessfulUpgrade", "CompatScanOnly"
_MAX_TEXT = 1_000_000


def is_setupdiag(sample: str, name: str) -> bool:
    """Whether SetupDiag wrote it. What set-up itself logs of SetupDiag is set-up's."""
    if "setupdiagresults" in name.lower():
        return True
    return _SIGN.search(sample) is not None and _SETUP_ACT.search(sample) is None


def setupdiag(text: str, out: Collector) -> None:
    """Read what SetupDiag says, which names why an upgrade failed."""
    text = text[:_MAX_TEXT]
    fields = _fields(text)
    said = "\n".join(f"{name}: {fields[name]}" for name in _FIELDS if name in fields) if fields else text
    rule = fields.get("ProfileName") or part(_PROFILE.search(text)) or part(_RULE.search(text)) or ""
    seen = Observation("setup", "upgrade", time=_time(text), channel=out.channel, line=_line(rule, said))
    if rule == _GOOD_RULE or "reports successful upgrade" in said:
        out.add(replace(seen, outcome=OK, marker="final"), local=True)
        return
    code, phase = _code(said)
    if rule == _SCAN_RULE or not (code or rule or _REPORTS.search(said)):
        return
    culprit = _culprit(rule, said)
    name = " ".join(word for word in (phase, culprit) if word) or _phase_words(said)
    out.add(replace(seen, code=code, marker=_marker(rule, code), name=name), local=True)
    advice = fields.get("Remediation") or part(_ADVICE.search(text))
    if advice and advice.strip():
        out.add(replace(seen, marker="on_the_way", line=clean(f"SetupDiag advises: {advice}")), local=True)


def _marker(rule: str, code: int | None) -> str:
    if code:
        return "final"
    return "compat_block" if _BLOCK_RULE.search(rule) else "setup_failed"


def _line(rule: str, said: str) -> str:
    """The rule that matched, what it found, and how SetupDiag puts it."""
    code = _PHASED.search(said) or _CODE.search(said)
    parts = (rule, part(_REPORTS.search(said)), code and code.group(0), part(_LAST_OPERATION.search(said)))
    return "SetupDiag: " + ", ".join(word.strip() for word in parts if word)


def _code(said: str) -> tuple[int | None, str | None]:
    """The code, with the phase in which it ended where one stands behind it."""
    phased = _PHASED.search(said)
    if phased:
        return int(phased.group(1), 16), f"0x{phased.group(2).upper()}"
    extended = part(_EXTENDED.search(said))
    for found in _CODE.finditer(said):
        code = to_code(found.group(1))
        # SetupDiag writes a Windows error with eight digits: 0x00000057.
        if code is not None and 0 < code < 0x10000:
            code |= 0x80070000
        if is_failure(code):
            return code, extended and f"0x{extended.upper()}"
    return None, None


def _phase_words(said: str) -> str | None:
    phase = part(_LAST_PHASE.search(said))
    return f"phase {phase.strip()}" if phase else None


def _culprit(rule: str, said: str) -> str | None:
    """The driver's file, or the plug-in's; of a block the program, of an optional component the package."""
    if _BLOCK_RULE.search(rule) or "Block for: " in said:
        app = _APP.search(said)
        if app:
            return str(next(filter(None, app.groups()))).strip()
    package = part(_PACKAGE.search(said))
    if not (package and (rule.startswith("OptionalComponent") or _OF_A_COMPONENT.search(said))):
        package = part(_AT_WORK.search(said))
    if package:
        return f"package {package}"
    files = [found.group(1) or found.group(2) for found in _DRIVER.finditer(said)]
    return next((file for file in files if file.lower() not in _DATA_FILES), None) or part(_PLUG_IN.search(said))


def _time(text: str) -> int | None:
    """When set-up failed: by the last line of its log that is quoted, else by its end."""
    quoted = [found.groups() for found in _LOG_TIME.finditer(text)]
    ended = _END_TIME.search(text)
    if quoted:
        return stamp(*quoted[-1])
    return stamp(*ended.groups()) if ended else None


# --- the fields of each form ---


def _fields(text: str) -> dict[str, str]:
    """The fields by name; none for text, where the order of the lines says the same."""
    start = text.lstrip("\ufeff \t\r\n")[:400]
    if "<SetupDiag" in text[:4000] or start.startswith("<?xml") or _XML_FIELD.search(text):
        return _joined(_of_xml(text))
    if start.startswith("{") or '"ProfileGuid"' in text and "Windows Registry Editor" not in start and "[HKEY" not in start:
        return _joined(_of_json(text))
    if "HKEY_LOCAL_MACHINE" in start or "Windows Registry Editor" in start:
        return _joined(_of_registry(text))
    return {}


def _joined(pairs: Iterator[tuple[str, str]]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, value in pairs:
        fields[name] = f"{fields[name]}\n{value}" if name in fields else value
    return fields


_LEAF = re.compile(r"<([A-Za-z]\w{0,60})(?: [^<>]{0,300})?>([^<]{1,8000})")
_XML_FIELD = re.compile(r"<(?:ProfileName|FailureData|FailureDetails)[ >]")
# What stands below other elements, by the element that names it.
_OPEN = re.compile(r"</?(DeviceDriverInfo|SetupPhaseInfo|SetupOperationInfo|Remediation)\b[^<>]{0,200}>")


def _of_xml(text: str) -> Iterator[tuple[str, str]]:
    """Each element that holds text, also of a file that was cut anywhere."""
    drivers = [found.start() for found in _OPEN.finditer(text) if found.group(1) == "DeviceDriverInfo"]
    inside = (drivers[0], drivers[-1]) if drivers else (0, 0)
    for found in _LEAF.finditer(text):
        value = html.unescape(found.group(2)).strip()
        if not value:
            continue
        name = "DeviceDriverInfo" if inside[0] < found.start() < inside[1] else found.group(1)
        yield name, value


def _of_json(text: str) -> Iterator[tuple[str, str]]:
    start = text.find("{")
    try:
        document = json.loads(text[start:], strict=False)
    except (ValueError, RecursionError):
        yield from _of_cut_json(text)
        return
    if isinstance(document, dict):
        for name, value in document.items():
            yield str(name), "\n".join(_strings(value, 0))


def _strings(value: object, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    if depth > 5:
        return
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _strings(one, depth + 1)


_JSON_NAME = re.compile(r"\"([A-Za-z]\w{2,60})\"[ \t]{0,4}:")
_JSON_STRING = re.compile(r"\"((?:[^\"\\]|\\.){1,4000})\"")
_JSON_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.S)


def _of_cut_json(text: str) -> Iterator[tuple[str, str]]:
    """What stands between one name and the next."""
    names = list(_JSON_NAME.finditer(text))
    for found, following in zip_longest(names, names[1:]):
        value = text[found.end() : following.start() if following else len(text)]
        yield found.group(1), "\n".join(_plain(one.group(1)) for one in _JSON_STRING.finditer(value))


def _plain(escaped: str) -> str:
    return _JSON_ESCAPE.sub(_unescaped, escaped)


def _unescaped(found: re.Match[str]) -> str:
    if found.group(1):
        return chr(int(found.group(1), 16))
    return "\n" if found.group(2) == "n" else str(found.group(2))


_REG_VALUE = re.compile(r"^[ \t]*\"(\w{2,60})\"=(?:\"([^\r\n]{0,4000})\"|hex\([127]\):([0-9a-fA-F,\\ \t\r\n]{1,60000}))", re.M)
_REG_QUERY = re.compile(r"^[ \t]+(\w{2,60})[ \t]+REG_(?:MULTI_SZ|EXPAND_SZ|SZ|DWORD)[ \t]+([^\r\n]{1,4000})", re.M)


def _of_registry(text: str) -> Iterator[tuple[str, str]]:
    """An export of the key, or what `reg query` prints of it."""
    for found in _REG_VALUE.finditer(text):
        name, value, digits = found.groups()
        if digits is None:
            yield name, value.replace('\\"', '"').replace("\\\\", "\\")
            continue
        raw = re.sub(r"[^0-9a-fA-F]", "", digits)
        yield name, bytes.fromhex(raw[: len(raw) // 4 * 4]).decode("utf-16-le", "replace").replace("\0", "\n")
    for found in _REG_QUERY.finditer(text):
        yield found.group(1), found.group(2).replace("\\0", "\n")
