# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: Windows events, as XML, as text of wevtutil, or already taken apart."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from ._records import (
    NOT_APPLICABLE,
    PROOFS,
    Collector,
    clean,
    guid_of,
    is_failure,
    kb_of,
    outcome_of_failure,
    part,
    stamp_of,
    title_of,
    to_code,
)
from .observation import FAILED, OK, STARTED, Observation

_WUC = "Microsoft-Windows-WindowsUpdateClient"
_SERVICING = "Microsoft-Windows-Servicing"
_SCM = "Service Control Manager"
_TIME = "Microsoft-Windows-Time-Service"


class _Rule(NamedTuple):
    """What an event says; `marker` names a failure that carries no code, and one whose code says too little."""

    layer: str
    outcome: str = FAILED
    marker: str | None = None


# 23, an update that was taken away, proves no installation, so it is not here.
_RULES: dict[str, dict[int, _Rule]] = {
    _WUC: {
        16: _Rule("scan", marker="cannot_connect"),
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
    _SERVICING: {
        2: _Rule("install", OK),
        3: _Rule("install", marker="package_failed"),
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
    _SCM: dict.fromkeys(
        (7000, 7001, 7002, 7003, 7009, 7011, 7022, 7023, 7024, 7031, 7034, 7038, 7041), _Rule("service", marker="service_failed")
    ),
    _TIME: {
        **dict.fromkeys((11, 13, 14, 17, 18, 24, 29, 30, 47, 48, 49), _Rule("clock", marker="time_source_failed")),
        **dict.fromkeys((129, 130, 131, 133, 134, 136), _Rule("clock", marker="time_source_failed")),
        34: _Rule("clock", marker="clock_beyond_limit"),
        36: _Rule("clock", marker="clock_not_synchronised"),
        46: _Rule("clock", marker="time_service_failed"),
        35: _Rule("clock", OK),
        37: _Rule("clock", OK),
    },
}
# Its code is the one of an installation, but no installation failed.
_MARKER_STAYS = ("uninstall_failed",)
_CODE_FIELDS = ("errorcode", "errormessage", "hresult", "status", "resultcode")
# 24 and 217 call the title `updatelist`.
_TITLE_FIELDS = ("updatetitle", "updatelist")
_PACKAGE_FIELDS = ("packageidentifier", "identifier", "updatename")
# A time source has its flags and addresses behind it: `time.windows.com,0x9 (ntp.m|0x9|0.0.0.0:123->51.140.127.197:123)`.
_NAME_FIELDS = ("servername", "manualpeer", "domainpeer", "timesource", "domain")
_BLOBS = ("binary", "__binlength", "binarydata")
_SCM_CODE_PARAM = {7000: "param2", 7001: "param3", 7023: "param2", 7038: "param3"}
# The first parameter of these two is a time.
_SCM_NAME_PARAM = {7009: "param2", 7011: "param2"}
_EMBEDDED = re.compile(r"%%([0-9]{1,10})|\b(0x[89c][0-9a-f]{7})\b", re.I)


def _embedded(text: str) -> int | None:
    return to_code(part(_EMBEDDED.search(text[:400]), 0))


def service_key(data: Mapping[str, str]) -> str | None:
    """The key name of a service out of a Service Control Manager event, whose parameters are translated names."""
    if data.get("service"):
        return clean(str(data["service"]), 80)
    blob = str(data.get("binary") or data.get("Binary") or data.get("BinaryData") or "")[:512]
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
        line=clean(" ".join(f"{key}={value}" for key, value in data.items() if key.lower() not in _BLOBS)),
        count=count,
        first=time,
    )
    if provider == _SCM:
        return _service(seen, event_id, data)
    if event_id in (1014, 1015) and provider == _SERVICING:
        return _corruption(seen, fields)
    return _judged(_named(seen, fields), fields)


def _service(seen: Observation, event_id: int, data: Mapping[str, str]) -> Observation:
    code = _embedded(str(data.get(_SCM_CODE_PARAM.get(event_id, ""), "")))
    shown = data.get(_SCM_NAME_PARAM.get(event_id, "param1"), "")
    key = service_key(data)
    line = clean(f"{key or ''} {seen.line}")
    name = key or clean(str(shown), 80) or None
    if not is_failure(code):
        return replace(seen, name=name, line=line)
    return replace(seen, name=name, line=line, code=code, marker=None)


def _corruption(seen: Observation, fields: Mapping[str, str]) -> Observation | None:
    """Events 1014 and 1015: a detection or repair of the store ended."""
    code = _code(fields)
    if is_failure(code):
        return replace(seen, code=code, marker=None)
    total, repaired = _number(fields, "totalcorruption"), _number(fields, "repaired") or 0
    if total is None:
        return None
    if total > repaired:
        return seen
    return replace(seen, outcome=OK, marker=PROOFS[total > 0])


def _number(fields: Mapping[str, str], key: str) -> int | None:
    return _whole(part(re.fullmatch(r"\s{0,8}([0-9]{1,9})\s{0,8}", fields.get(key, ""))))


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
    if seen.layer == "clock":
        return replace(seen, name=part(re.match(r"[^\s,]{1,200}", _first(fields, _NAME_FIELDS) or ""), 0))
    if seen.layer == "scan":
        return replace(seen, service=service, name=_first(fields, _NAME_FIELDS), found=_number(fields, "updatecount"))
    title, package = _first(fields, _TITLE_FIELDS), _first(fields, _PACKAGE_FIELDS)
    kb = kb_of(title) or kb_of(fields.get("packageidentifier")) or kb_of(package)
    if package is not None and package.upper() == kb:
        # A package that is called by its KB alone is named by it already.
        package = None
    return replace(seen, service=service, update=guid_of(fields.get("updateguid")), title=title, kb=kb, name=package)


def _judged(seen: Observation, fields: Mapping[str, str]) -> Observation | None:
    """With its code; None where a failure turns out to be none."""
    if seen.outcome != FAILED:
        return replace(seen, marker=None)
    code = _code(fields)
    if code == NOT_APPLICABLE:
        return None
    if not is_failure(code):
        return seen if seen.marker else None
    seen = replace(seen, code=code, outcome=outcome_of_failure(seen.layer, code))
    return seen if seen.marker in _MARKER_STAYS else replace(seen, marker=None)


_ENTITY = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}
_ENTITIES = re.compile(r"&(lt|gt|amp|quot|apos|#[0-9]{1,7}|#x[0-9a-fA-F]{1,6});")
_XML_EVENT = re.compile(r"<Event ")
_XML_PROVIDER = re.compile(r"<Provider\b[^>]{0,400}?\bName=[\"']([^\"'<>]{1,120})[\"']")
_XML_ID = re.compile(r"<EventID\b[^>]{0,80}>\s{0,8}([0-9]{1,5})\s{0,8}</EventID>")
_XML_RECORD = re.compile(r"<EventRecordID>\s{0,8}([0-9]{1,18})\s{0,8}</EventRecordID>")
_XML_CHANNEL = re.compile(r"<Channel>\s{0,8}([^<>]{1,120}?)\s{0,8}</Channel>")
_XML_TIME = re.compile(r"\bSystemTime=[\"']([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}:[0-9]{2})")
_XML_DATA = re.compile(r"<Data\b(?:[^>]{0,80}?\bName=[\"']([^\"'<>]{1,80})[\"'])?[^>/]{0,80}>([^<]{0,4000})</Data>")
_XML_LEAF = re.compile(r"<([A-Za-z_][\w.-]{0,60})(?:\s[^<>]{0,300})?>([^<]{0,4000})</\1>")


def _unescape(match: re.Match[str]) -> str:
    name = match.group(1)
    if name in _ENTITY:
        return _ENTITY[name]
    # `#228` or `#xE4`.
    number = int(name[1:].replace("x", "0x"), 0 if "x" in name else 10)
    if not 0 < number < 0x110000 or 0xD800 <= number < 0xE000:
        return "?"
    return chr(number)


def _xml_data(xml: str) -> dict[str, str]:
    """The data fields. Entities and DTDs are never followed."""
    data: dict[str, str] = {}
    start = max(xml.find("<EventData"), xml.find("<UserData"))
    if start < 0:
        return data
    body = xml[start : start + 60000]
    for index, match in enumerate(_XML_DATA.finditer(body)):
        data[match.group(1) or f"param{index + 1}"] = _ENTITIES.sub(_unescape, match.group(2))
    for match in _XML_LEAF.finditer(body):
        if match.group(1) != "Data":
            data.setdefault(match.group(1), _ENTITIES.sub(_unescape, match.group(2)))
    return data


def _xml_observation(xml: str) -> Observation | None:
    provider, event = _XML_PROVIDER.search(xml), _XML_ID.search(xml)
    if provider is None or event is None:
        return None
    return event_observation(
        provider.group(1),
        int(event.group(1)),
        stamp_of(_XML_TIME.search(xml)),
        _xml_data(xml),
        record=_whole(part(_XML_RECORD.search(xml))),
        channel=part(_XML_CHANNEL.search(xml)),
    )


def event_xml(text: str, out: Collector) -> None:
    """Read events as `wevtutil qe /f:xml` and the event viewer write them, with or without a root."""
    for block in _blocks(text, [match.start() for match in _XML_EVENT.finditer(text)], 100000):
        # An event that was cut says by its first part what it is.
        if "</System>" in block:
            seen = _xml_observation(block)
            if seen is not None:
                out.add(seen)


def _blocks(text: str, starts: list[int], limit: int) -> Iterator[str]:
    """The text from each start to the next, cut to `limit`."""
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        yield text[start : min(end, start + limit)]


TEXT_EVENT = re.compile(r"^Event\[[0-9]{1,9}\]:?", re.M)
_TEXT_FIELD = re.compile(r"^ {1,4}(Source|Date|Event ID): ([^\r\n]{1,200})", re.M)
_TEXT_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})T([0-9:]{8})")


def _text_observation(block: str) -> Observation | None:
    fields = dict(_TEXT_FIELD.findall(block))
    number = fields.get("Event ID", "").strip()
    if not (number.isascii() and number.isdigit()):
        return None
    description = block.partition("Description:")[2][:2000].strip()
    data = {"description": clean(description)}
    title, code = title_of(description), _EMBEDDED.search(description)
    if title:
        data["updateTitle"] = title
    if code:
        data["errorCode"] = code.group(0)
    time = stamp_of(_TEXT_DATE.match(fields.get("Date", "")))
    return event_observation(fields.get("Source", "").strip(), int(number), time, data)


def event_text(text: str, out: Collector) -> None:
    """Read events as `wevtutil qe /f:text` writes them: local time with a Z behind it, and no record ids."""
    for block in _blocks(text, [match.start() for match in TEXT_EVENT.finditer(text)], 20000):
        seen = _text_observation(block)
        if seen is not None:
            out.add(seen, local=True)


def is_event_xml(sample: str, _name: str) -> bool:
    """Whether events stand in it as XML."""
    return "<Event " in sample and ("<System>" in sample or "<Provider " in sample)


def is_event_text(sample: str, _name: str) -> bool:
    """Whether it is the text of wevtutil."""
    return TEXT_EVENT.search(sample) is not None and "Event ID:" in sample
