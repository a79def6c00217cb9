# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: what a Windows event says, whatever form it was exported in: its provider, its id and its data."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from ..observation import FAILED, OK, STARTED, Observation, changed
from .records import (
    NOT_APPLICABLE,
    PROOFS,
    clean,
    guid_of,
    is_failure,
    kb_of,
    outcome_of_failure,
    part,
    to_code,
)
from .service_names import is_disabled, names_disabled, service_called

WUC = "Microsoft-Windows-WindowsUpdateClient"
SERVICING = "Microsoft-Windows-Servicing"
SCM = "Service Control Manager"
TIME = "Microsoft-Windows-Time-Service"
# Installs a .msu that somebody or some management started (its events: 2 installed, 3 not, with the code as a number).
WUSA = "Microsoft-Windows-WUSA"
# The database engine: what it says of the update agent's data store. Of all others that use it nothing is said.
ESENT = "ESENT"
SERVICE_PACK = "Microsoft-Windows-Service Pack Installer"
# What it keeps of failures; of those of the servicing stack the name of the package and the code are a part.
REPORTS = "Windows Error Reporting"
# Provider GUIDs, which stand in XML beside the name or alone.
_GUIDS = {
    "945a8954-c147-4acd-923f-40c45405a658": WUC,
    "bd12f3b8-fc40-4a61-a307-b7a013a069c1": SERVICING,
    "555908d1-a6d7-4695-8e1e-26931d2012f4": SCM,
    "06edcfeb-0fd1-4e53-acca-a6f8bbf81bcb": TIME,
    "09608c12-c1da-4104-a6fe-b959cf57560a": WUSA,
}
# As the viewer's list, Windows Server 2003 and the first lines of a copied event show them.
_OTHER_NAMES = {"service control manager eventlog provider": SCM, "windows update agent": WUC, "w32time": TIME}


class _Rule(NamedTuple):
    """What an event says; `marker` names a failure that carries no code, and one whose code says too little."""

    layer: str
    outcome: str = FAILED
    marker: str | None = None


# 23, an update that was taken away, proves no installation, so it is not here.
_RULES: dict[str, dict[int, _Rule]] = {
    WUC: {
        16: _Rule("scan", marker="cannot_connect"),
        # Downloaded, and ready to be installed.
        17: _Rule("download", OK),
        18: _Rule("download", OK),
        19: _Rule("install", OK),
        20: _Rule("install", marker="install_failed"),
        24: _Rule("install", marker="uninstall_failed"),
        25: _Rule("scan", marker="scan_failed"),
        26: _Rule("scan", OK),
        31: _Rule("download", marker="download_failed"),
        32: _Rule("scan", marker="cannot_connect"),
        33: _Rule("scan", marker="proxy_credentials"),
        34: _Rule("scan", marker="self_update_failed"),
        35: _Rule("scan", marker="self_update_failed"),
        41: _Rule("download", OK),
        43: _Rule("install", STARTED),
        44: _Rule("download", STARTED),
        213: _Rule("install"),
        217: _Rule("install"),
    },
    SERVICING: {
        2: _Rule("install", OK),
        3: _Rule("install", marker="package_failed"),
        # A restart is necessary before the package can be installed.
        4: _Rule("install", STARTED, marker="restart_owed"),
        6: _Rule("install", marker="package_failed"),
        11: _Rule("install", marker="feature_failed"),
        12: _Rule("install", marker="feature_failed"),
        1009: _Rule("install"),
        1014: _Rule("store", marker="store_corrupt"),
        1015: _Rule("store", marker="store_corrupt"),
        4373: _Rule("install", OK),
        4375: _Rule("install", marker="package_failed"),
        4385: _Rule("install", marker="feature_failed"),
    },
    WUSA: {2: _Rule("install", OK), 3: _Rule("install", marker="install_failed")},
    SERVICE_PACK: {8: _Rule("install", marker="install_failed")},
    REPORTS: {1001: _Rule("install")},
    ESENT: {
        **dict.fromkeys(
            (412, 413, 427, 439, 454, 455, 465, 467, 474, 475, 481, 482, 483, 485, 486, 488, 489, 490, 491, 492, 494, 517, 518, 519),
            _Rule("cache"),
        ),
        # Recovered; attached. (636 and 640, of a map that is made anew, mean no harm.)
        **dict.fromkeys((302, 326), _Rule("cache", OK)),
    },
    SCM: {
        **dict.fromkeys(
            (7000, 7001, 7002, 7003, 7009, 7011, 7022, 7023, 7024, 7031, 7034, 7038, 7041), _Rule("service", marker="service_failed")
        ),
        # A start type was changed.
        7040: _Rule("service"),
    },
    TIME: {
        **dict.fromkeys((11, 13, 14, 17, 18, 24, 29, 30, 47, 48, 49), _Rule("clock", marker="time_source_failed")),
        **dict.fromkeys((129, 130, 131, 133, 134, 136), _Rule("clock", marker="time_source_failed")),
        34: _Rule("clock", marker="clock_beyond_limit"),
        36: _Rule("clock", marker="clock_not_synchronised"),
        46: _Rule("clock", marker="time_service_failed"),
        35: _Rule("clock", OK),
        37: _Rule("clock", OK),
        # The clock was set by what a source said.
        52: _Rule("clock", OK),
        # A domain controller offers its time to others: the service runs, whatever its clock is like.
        139: _Rule("service", OK),
        143: _Rule("service", OK),
    },
}
_PROVIDERS = {name.lower().removeprefix("microsoft-windows-"): name for name in _RULES} | _OTHER_NAMES
# The code of the first is the one of an installation, but no installation failed; those of the others do not say that the clock is wrong.
_MARKER_STAYS = ("uninstall_failed", "clock_beyond_limit", "clock_not_synchronised", "time_service_failed")
# How far the clock is to be moved, and how far it may be.
_CORRECTION = ("systemtimechangeseconds", "maxsystemtimechangeseconds")
_CODE_FIELDS = ("errorcode", "errormessage", "hresult", "status", "resultcode")
# 24 and 217 call the title `updatelist`.
_TITLE_FIELDS = ("updatetitle", "updatelist")
_PACKAGE_FIELDS = ("packageidentifier", "identifier", "updatename")
# A time source has its flags and addresses behind it: `time.windows.com,0x9 (ntp.m|0x9|0.0.0.0:123->51.140.127.197:123)`.
_NAME_FIELDS = ("servername", "manualpeer", "domainpeer", "timesource", "domain")
# What a record carries beside what it says.
_UNSAID = ("binary", "__binlength", "binarydata", "message")
# A package can be brought into other states than installed: 5112 or the word, which is not translated.
_STATES, _INSTALLED = ("intendedpackagestatetextized", "intendedpackagestate"), ("5112", "installed", "permanent")
_GONE = ("5000", "absent")
# Of the .msu that WUSA was given: it is for another Windows (WU_E_NOT_APPLICABLE), or it is not there.
_NO_FAILURE_OF_WUSA = (0x80240017, 0x80070002, 0x80070003)
# WU_S_*: WUSA says `could not be installed because of error 2359302` of an update that is installed (WU_S_ALREADY_INSTALLED).
_SUCCESSES_OF_AGENT = range(0x00240000, 0x00250000)
_SCM_CODE_PARAM = {7000: "param2", 7001: "param3", 7023: "param2", 7024: "param2", 7038: "param3"}
# What a service calls its own error: a number that only it knows, or a code that all know.
_OWN_ERROR, _OWN_CODE = 7024, re.compile(r"%%(?:-[0-9]{9,10}|[0-9]{10})")
# Event 7040: `from demand start to disabled`, as the last parameter, or as the end of the sentence.
START_TYPE, _DISABLED_SERVICE = 7040, 0x80070422
_ALWAYS_NEEDED = ("wuauserv", "BITS", "CryptSvc", "UsoSvc", "TrustedInstaller")
# The first parameter of these two is a time.
_SCM_NAME_PARAM = {7009: "param2", 7011: "param2"}
# The data store by its folder or by whose engine it is, and the engine's own errors: `-1032`. Where event 427 has none it is that one.
_OF_DATA_STORE = re.compile(r"wuaueng|SoftwareDistribution|SUS20ClientDataStore", re.I)
_ESE_ERROR = re.compile(r"(?<![\w.,-])-([1-9][0-9]{2,3})(?![\w-])")
_ESE, _FILE_ACCESS_DENIED, _FILE_NOT_FOUND, _CANNOT_ACCESS = 0xC8000000, 1032, 1811, 427
# `CbsPackageServicingFailure2`, `P2: Package_for_KB5990101`, `P6: 800b0100`.
_PACKAGE_REPORT = re.compile(
    r"\bCbsPackageServicingFailure[0-9]?\b(.{0,400}?)(?<![0-9A-Za-z.-])(8[0-9a-f]{7})(?![0-9A-Za-z.-])", re.S | re.I
)
_REPORTED_PACKAGE = re.compile(r"(?<![\w.-])(?:Package_[\w.~-]{4,120}|[A-Za-z][\w.~-]{2,100}-Package\b[\w.~-]{0,60})")
# What is installed has no title in these events.
_SERVICE_PACK_TITLE = "Service Pack"
_EMBEDDED = re.compile(r"%%(-?[0-9]{1,10})|\b(0x[89c][0-9a-f]{7})\b", re.I)


def provider_called(name: str) -> str | None:
    """The provider of that name or GUID, if its events are about updates, services or the clock; with and without what all begin with."""
    shown = name.strip().lower()
    return _PROVIDERS.get(shown.removeprefix("microsoft-windows-")) or _GUIDS.get(shown.strip("{}"))


def tells(provider: str, event_id: int) -> bool:
    """Whether an event of this id says that something failed, went well or began."""
    return event_id in _RULES.get(provider, {})


def providers_like(beginning: str, event_id: int) -> list[str]:
    """The providers whose names begin so and that write an event of this id."""
    begun = beginning.strip().lower()
    return [name for name in _RULES if name.lower().startswith(begun) and tells(name, event_id)]


def service_data(event_id: int, name: str, code: str) -> dict[str, str]:
    """The parameters in which the service manager has the service and the error."""
    return {_SCM_NAME_PARAM.get(event_id, "param1"): name, _SCM_CODE_PARAM.get(event_id, "error"): code}


def _embedded(text: str) -> int | None:
    return to_code(part(_EMBEDDED.search(text[:400]), 0))


def service_key(data: Mapping[str, str]) -> str | None:
    """The key name of a service out of a Service Control Manager event, whose parameters are translated names."""
    if data.get("service"):
        return clean(str(data["service"]), 80)
    blob = "".join(str(data.get("binary") or data.get("Binary") or data.get("BinaryData") or "")[:512].split())
    try:
        text = bytes.fromhex(blob).decode("utf-16-le", "ignore")
    except ValueError:
        return None
    name = text.split("\0", 1)[0].split("/", 1)[0]
    return part(re.fullmatch(r"[A-Za-z0-9_.\- ]{2,80}", name), 0)


def event_observation(
    provider: str,
    event_id: int,
    time: int | None,
    data: Mapping[str, str],
    *,
    record: int | None = None,
    channel: str | None = None,
    count: int = 1,
) -> Observation | None:
    """What an event says, or None if it says neither failure nor success.

    Args:
        provider: name in System/Provider/@Name.
        event_id: EventID.
        time: Unix seconds, UTC.
        data: the data fields by name (EventData or UserData).
        record: EventRecordID, which orders the channel.
        channel: System/Channel.
        count: how many events alike it stands for.
    """
    rule = _RULES.get(provider, {}).get(event_id)
    if rule is None:
        return None
    fields = {key.lower(): str(value) for key, value in data.items()}
    seen = Observation(
        f"event:{provider}/{event_id}",
        rule.layer,
        rule.outcome,
        time=time,
        place=record,
        channel=channel,
        marker=rule.marker,
        line=clean(data.get("message") or " ".join(f"{key}={value}" for key, value in data.items() if key.lower() not in _UNSAID)),
        count=count,
        first=time,
    )
    if provider in _IN_WORDS:
        return _IN_WORDS[provider](seen, event_id, " ".join(fields.values()))
    if provider == SCM:
        return _service(seen, event_id, data)
    if event_id in (1014, 1015) and provider == SERVICING:
        return _corruption(seen, fields)
    if provider == SERVICING and not _is_installing(fields):
        return _taken_away(seen, fields)
    return _judged(_named(seen, fields), fields)


def _service(seen: Observation, event_id: int, data: Mapping[str, str]) -> Observation | None:
    told = str(data.get(_SCM_CODE_PARAM.get(event_id, ""), ""))
    code = None if event_id == _OWN_ERROR and not _OWN_CODE.match(told) else _embedded(told)
    shown = clean(str(data.get(_SCM_NAME_PARAM.get(event_id, "param1"), "")), 80)
    key = service_key(data)
    name = service_called(key or shown) or key or shown or None
    line = seen.line
    if key is not None and key not in line:
        line = clean(f"{key} {line}")
    if event_id == START_TYPE:
        return _start_type(changed(seen, name=name, line=line), data)
    if not is_failure(code):
        return changed(seen, name=name, line=line)
    return changed(seen, name=name, line=line, code=code, marker=None)


def _data_store(seen: Observation, event_id: int, words: str) -> Observation | None:
    """What the database engine says of the data store of the update agent."""
    if not _OF_DATA_STORE.search(words):
        return None
    number = _whole(part(_ESE_ERROR.search(words)))
    if number is None and event_id == _CANNOT_ACCESS:
        number = _FILE_ACCESS_DENIED
    if seen.ok or number is None or number == _FILE_NOT_FOUND:
        # The engine makes anew what is not there.
        return seen if seen.ok else None
    return changed(seen, code=_ESE + number)


def package_report(words: str) -> tuple[int, str] | None:
    """The code and the package in a report of a package that could not be serviced, whatever form it was copied in."""
    found = _PACKAGE_REPORT.search(words)
    code = to_code(f"0x{found.group(2)}") if found else None
    if found is None or code is None or code == NOT_APPLICABLE:
        return None
    return code, part(_REPORTED_PACKAGE.search(found.group(1)), 0) or ""


def _reported(seen: Observation, _event_id: int, words: str) -> Observation | None:
    report = package_report(words)
    if report is None:
        return None
    code, package = report
    return changed(seen, code=code, name=package or None, kb=kb_of(package))


_IN_WORDS: dict[str, Callable[[Observation, int, str], Observation | None]] = {ESENT: _data_store, REPORTS: _reported}


def _start_type(seen: Observation, data: Mapping[str, str]) -> Observation | None:
    """A service that updates cannot do without was disabled, or set to start again; of others, and of other changes, nothing is said."""
    name = service_called(str(data.get("param4") or "")) or seen.name
    message = str(data.get("message") or "")[:400]
    if name not in _ALWAYS_NEEDED:
        return None
    if is_disabled(str(data.get("param3") or message)):
        return changed(seen, name=name, code=_DISABLED_SERVICE)
    was_disabled = names_disabled(str(data.get("param2") or message))
    return changed(seen, name=name, outcome=OK) if was_disabled else None


def _is_installing(fields: Mapping[str, str]) -> bool:
    """Whether a package was to be installed; where its event does not say, it was."""
    return (_first(fields, _STATES) or "installed").lower() in _INSTALLED


def _taken_away(seen: Observation, fields: Mapping[str, str]) -> Observation | None:
    """A package that was staged or removed is not installed; one that would not go, or be staged, failed."""
    if seen.outcome != FAILED:
        return None
    state = (_first(fields, _STATES) or "").lower()
    return _judged(_named(changed(seen, marker="uninstall_failed") if state in _GONE else seen, fields), fields)


def _corruption(seen: Observation, fields: Mapping[str, str]) -> Observation | None:
    """Events 1014 and 1015: a detection or repair of the store ended."""
    code = _code(fields)
    if is_failure(code):
        return changed(seen, code=code, marker=None)
    total, repaired = _number(fields, "totalcorruption"), _number(fields, "repaired") or 0
    if total is None:
        return None
    if total > repaired:
        return seen
    return changed(seen, outcome=OK, marker=PROOFS[total > 0])


def _number(fields: Mapping[str, str], key: str) -> int | None:
    return _whole(part(re.fullmatch(r"\s{0,8}([0-9]{1,9})\s{0,8}", fields.get(key, ""))))


def _is_within_limit(fields: Mapping[str, str]) -> bool:
    """Whether event 34 tells of a correction that the time service may make: some that were seen say 0 of at most 54000 seconds."""
    wanted, most = (part(re.fullmatch(r"[+-]?([0-9]{1,9})", fields.get(key, "").strip())) for key in _CORRECTION)
    return wanted is not None and most is not None and int(wanted) <= int(most)


def _whole(text: str | None) -> int | None:
    return None if text is None else int(text)


def _code(fields: Mapping[str, str]) -> int | None:
    value = next((fields[key] for key in _CODE_FIELDS if key in fields), "")
    return _embedded(value) or to_code(value)


def _first(fields: Mapping[str, str], keys: tuple[str, ...]) -> str | None:
    return next((text for key in keys if (text := clean(fields.get(key, "")))), None)


def _named(seen: Observation, fields: Mapping[str, str]) -> Observation:
    """With the service that was asked, the update, the package or the server that it is about."""
    service = guid_of(fields.get("serviceguid"))
    if seen.layer == "service":
        # What the service manager tells has been taken before.
        return changed(seen, name="W32Time")
    if seen.layer == "clock":
        return changed(seen, name=part(re.match(r"[^\s,]{1,200}", _first(fields, _NAME_FIELDS) or ""), 0))
    if seen.layer == "scan":
        return changed(seen, service=service, name=_first(fields, _NAME_FIELDS), found=_number(fields, "updatecount"))
    title, package = _title(seen, fields), _first(fields, _PACKAGE_FIELDS)
    kb = kb_of(title) or kb_of(fields.get("packageidentifier")) or kb_of(package) or kb_of(fields.get("commandline"))
    if package is not None and package.upper() == kb:
        # A package that is called by its KB alone is named by it already.
        package = None
    return changed(seen, service=service, update=guid_of(fields.get("updateguid")), title=title, kb=kb, name=package)


def _title(seen: Observation, fields: Mapping[str, str]) -> str | None:
    """The title of the update; of a list (`\n- TITLE`) where it has one alone."""
    if seen.source == f"event:{SERVICE_PACK}/8":
        return _SERVICE_PACK_TITLE
    listed = [line.strip()[1:] for line in fields.get("updatelist", "").splitlines() if line.strip().startswith("- ")]
    if listed:
        return clean(listed[0]) or None if len(listed) == 1 else None
    return _first(fields, _TITLE_FIELDS)


def _judged(seen: Observation, fields: Mapping[str, str]) -> Observation | None:
    """With its code; None where a failure turns out to be none."""
    if seen.outcome == STARTED:
        return seen
    if seen.outcome != FAILED:
        return changed(seen, marker=None)
    if seen.marker == "clock_beyond_limit" and _is_within_limit(fields):
        return None
    code = _code(fields)
    # None would be compared with each number of the range.
    if code is not None and (code == NOT_APPLICABLE or code in _SUCCESSES_OF_AGENT):
        return None
    if code in _NO_FAILURE_OF_WUSA and seen.source.startswith(f"event:{WUSA}/"):
        return None
    if not is_failure(code):
        return seen if seen.marker else None
    seen = changed(seen, code=code, outcome=outcome_of_failure(seen.layer, code))
    return seen if seen.marker in _MARKER_STAYS else changed(seen, marker=None)
