# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: Windows events, as XML, as text of wevtutil, or already taken apart."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from ._records import NOT_APPLICABLE, Collector, Record, clean, is_failure, stamp, to_code, update_id

_WUC = "Microsoft-Windows-WindowsUpdateClient"
_SERVICING = "Microsoft-Windows-Servicing"
_SCM = "Service Control Manager"
_TIME = "Microsoft-Windows-Time-Service"

# provider -> id -> (layer, success, marker where the event carries no code)
_EVENTS: dict[str, dict[int, tuple[str, bool, str]]] = {
    _WUC: {
        16: ("scan", False, "cannot_connect"),
        19: ("install", True, ""),
        20: ("install", False, "install_failed"),
        23: ("install", True, ""),
        24: ("install", False, "uninstall_failed"),
        25: ("scan", False, "scan_failed"),
        26: ("scan", True, ""),
        31: ("download", False, "download_failed"),
        32: ("scan", False, "cannot_connect"),
        33: ("scan", False, "proxy_credentials"),
        34: ("scan", False, "self_update_failed"),
        35: ("scan", False, "self_update_failed"),
        41: ("download", True, ""),
        213: ("install", False, ""),
        217: ("install", False, ""),
    },
    _SERVICING: {
        2: ("install", True, ""),
        3: ("install", False, "package_failed"),
        6: ("install", False, "package_failed"),
        11: ("install", False, "feature_failed"),
        12: ("install", False, "feature_failed"),
        1009: ("install", False, ""),
        1014: ("store", False, "store_corrupt"),
        1015: ("store", False, "store_corrupt"),
        4373: ("install", True, ""),
        4375: ("install", False, "package_failed"),
        4385: ("install", False, "feature_failed"),
    },
    _SCM: dict.fromkeys(
        (7000, 7001, 7002, 7003, 7009, 7011, 7022, 7023, 7024, 7031, 7034, 7038, 7041),
        ("service", False, "service_failed"),
    ),
    _TIME: {
        **dict.fromkeys((11, 13, 14, 17, 18, 24, 29, 30, 47, 48, 49), ("clock", False, "time_source_failed")),
        **dict.fromkeys((129, 130, 131, 133, 134, 136), ("clock", False, "time_source_failed")),
        34: ("clock", False, "clock_beyond_limit"),
        36: ("clock", False, "clock_not_synchronised"),
        46: ("clock", False, "time_service_failed"),
        35: ("clock", True, ""),
        37: ("clock", True, ""),
    },
}
_EVENT_CODE_KEYS = ("errorcode", "errormessage", "hresult", "status", "resultcode")
_SCM_CODE_PARAM = {7000: "param2", 7001: "param3", 7023: "param2", 7038: "param3"}
_EMBEDDED = re.compile(r"%%([0-9]{1,10})|\b(0x[89c][0-9a-f]{7})\b", re.I)


def _embedded(text: str) -> int | None:
    found = _EMBEDDED.search(text[:400])
    if not found:
        return None
    return to_code(found.group(0))


def service_key(data: Mapping[str, str]) -> str | None:
    """The key name of a service out of a Service Control Manager event, whose parameters are translated names."""
    if data.get("service"):
        return clean(str(data["service"]), 80)
    try:
        text = bytes.fromhex(
            str(data.get("binary") or data.get("Binary") or data.get("BinaryData") or "")[:512]
        ).decode("utf-16-le", "ignore")
    except ValueError:
        return None
    name = text.split("\0", 1)[0].split("/", 1)[0]
    return name if re.fullmatch(r"[A-Za-z0-9_.\- ]{2,80}", name) else None


def event_record(
    provider: str, event: int, time: int | None, data: Mapping[str, str], *, count: int = 1
) -> Record | None:
    """An event as a record, or None if it says neither failure nor success.

    Args:
        provider: name in System/Provider/@Name.
        event: EventID.
        time: Unix seconds, UTC.
        data: the data fields by name (EventData or UserData).
    """
    rule = _EVENTS.get(provider, {}).get(event)
    if rule is None:
        return None
    layer, ok, marker = rule
    lower = {key.lower(): value for key, value in data.items()}
    text = " ".join(
        f"{key}={value}" for key, value in data.items() if key.lower() not in ("binary", "__binlength", "binarydata")
    )
    code: int | None = None
    update: str | None = None
    if provider == _SCM:
        code = _embedded(str(data.get(_SCM_CODE_PARAM.get(event, ""), "")))
        update = service_key(data)
        text = f"{update or ''} {text}".strip()
    else:
        for key in _EVENT_CODE_KEYS:
            if key in lower:
                value = str(lower[key])
                code = _embedded(value) or to_code(value)
                break
        if provider in (_WUC, _SERVICING) and layer != "scan":
            titles = [
                str(lower.get(key, ""))
                for key in ("updateguid", "packageidentifier", "identifier", "updatetitle", "updatename")
            ]
            update = (
                next((found for found in map(update_id, titles) if found), None)
                or clean(titles[1] or titles[2], 100)
                or None
            )
    source = f"event:{provider}/{event}"
    if ok:
        return Record(source, layer, time, ok=True, update=update, text=clean(text), count=count)
    if event in (1014, 1015) and provider == _SERVICING:
        return _corruption_event(
            Record(source, layer, time, code=code, marker=marker, text=clean(text), count=count), lower
        )
    if not is_failure(code):
        code = None
        if not marker or event in (213, 217):
            return None
    elif code == NOT_APPLICABLE:
        return None
    return Record(
        source,
        layer,
        time,
        code=code,
        marker=None if code is not None else marker,
        update=update,
        text=clean(text),
        count=count,
    )


def _corruption_event(record: Record, lower: Mapping[str, str]) -> Record | None:
    """Events 1014 and 1015: a detection or repair of the store ended."""
    numbers = [
        int(value) if (value := str(lower.get(key, ""))).isdigit() else None for key in ("totalcorruption", "repaired")
    ]
    if is_failure(record.code):
        return replace(record, marker=None)
    if numbers[0] is None:
        return None
    if numbers[0] > (numbers[1] or 0):
        return replace(record, code=None)
    return replace(record, ok=True, code=None, marker="store_repaired" if numbers[0] else "store_clean")


_ENTITY = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}
_ENTITIES = re.compile(r"&(lt|gt|amp|quot|apos|#[0-9]{1,7}|#x[0-9a-fA-F]{1,6});")
_XML_PROVIDER = re.compile(r"<Provider\b[^>]{0,400}?\bName=[\"']([^\"'<>]{1,120})[\"']")
_XML_ID = re.compile(r"<EventID\b[^>]{0,80}>\s{0,8}([0-9]{1,5})\s{0,8}</EventID>")
_XML_TIME = re.compile(r"\bSystemTime=[\"']([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}:[0-9]{2})")
_XML_DATA = re.compile(r"<Data\b(?:[^>]{0,80}?\bName=[\"']([^\"'<>]{1,80})[\"'])?[^>/]{0,80}>([^<]{0,4000})</Data>")
_XML_LEAF = re.compile(r"<([A-Za-z_][\w.-]{0,60})(?:\s[^<>]{0,300})?>([^<]{0,4000})</\1>")


def _unescape(match: re.Match[str]) -> str:
    name = match.group(1)
    if name in _ENTITY:
        return _ENTITY[name]
    number = int(name[2:], 16) if name[1] == "x" else int(name[1:])
    return chr(number) if 0 < number < 0x110000 and not 0xD800 <= number < 0xE000 else "?"


def event_fields(xml: str) -> tuple[str, int, int | None, dict[str, str]] | None:
    """Provider, id, time and data of one event's XML. Entities and DTDs are never followed."""
    provider, event = _XML_PROVIDER.search(xml), _XML_ID.search(xml)
    if not provider or not event:
        return None
    found = _XML_TIME.search(xml)
    data: dict[str, str] = {}
    split = max(xml.find("<EventData"), xml.find("<UserData"))
    if split >= 0:
        body = xml[split : split + 60000]
        for index, match in enumerate(_XML_DATA.finditer(body)):
            data[match.group(1) or f"param{index + 1}"] = _ENTITIES.sub(_unescape, match.group(2))
        for match in _XML_LEAF.finditer(body):
            if match.group(1) != "Data":
                data.setdefault(match.group(1), _ENTITIES.sub(_unescape, match.group(2)))
    return provider.group(1), int(event.group(1)), stamp(*found.groups()) if found else None, data


def event_xml(text: str, out: Collector) -> None:
    start = text.find("<Event ")
    while start >= 0:
        after = text.find("<Event ", start + 7)
        # An event that was cut says by its first part what it is.
        limit = min(after if after >= 0 else len(text), start + 100000)
        if text.find("</System>", start, limit) >= 0:
            fields = event_fields(text[start:limit])
            record = event_record(*fields) if fields else None
            if record is not None:
                out.add(record)
        start = after


TEXT_EVENT = re.compile(r"^Event\[[0-9]{1,9}\]:?", re.M)
_TEXT_FIELD = re.compile(r"^ {1,4}(Source|Date|Event ID): ([^\r\n]{1,200})", re.M)


def event_text(text: str, out: Collector) -> None:
    starts = [match.start() for match in TEXT_EVENT.finditer(text)]
    for index, start in enumerate(starts):
        block = text[start : min(starts[index + 1] if index + 1 < len(starts) else len(text), start + 20000)]
        fields = dict(_TEXT_FIELD.findall(block))
        number = fields.get("Event ID", "").strip()
        if not number.isdigit():
            continue
        description = block.partition("Description:")[2]
        data = {"description": clean(description)}
        date = fields.get("Date", "")
        found = re.match(r"([0-9]{4}-[0-9]{2}-[0-9]{2})T([0-9:]{8})", date)
        code = _EMBEDDED.search(description[:2000])
        if code:
            data["errorCode"] = code.group(0)
        data["updateTitle"] = clean(description)
        record = event_record(
            fields.get("Source", "").strip(), int(number), stamp(*found.groups()) if found else None, data
        )
        if record is not None:
            # `wevtutil /f:text` writes local time with a Z behind it.
            out.add(record, local=True)
