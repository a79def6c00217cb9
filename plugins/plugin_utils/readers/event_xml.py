# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: events as XML, as `wevtutil qe /f:xml`, the event viewer and readers of .evtx write them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..observation import Observation
from .event_message import data_of
from .events import event_observation, provider_called, tells
from .records import Collector, part, stamp_of

_MAX_EVENT, _MAX_DATA = 100_000, 60_000
_ENTITY = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}
_ENTITIES = re.compile(r"&(lt|gt|amp|quot|apos|#[0-9]{1,7}|#x[0-9a-fA-F]{1,6});")
_EVENT = re.compile(r"<Event[\s>]")
# Programs that parse XML and write it again name the namespace: `<ns0:Event`, `<ns0:System>`.
_PREFIXED = re.compile(r"<([A-Za-z_][\w.-]{0,30}):Event[\s>]")
# Programs keep each event as a text in JSON: its quotation marks have a sign before them, and Windows PowerShell escapes brackets, too.
_AS_TEXT, _ESCAPE = ('<Event xmlns=\\"', "\\u003cEvent"), re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.S)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "b": " ", "f": " "}
_PROVIDER = re.compile(r"<Provider\b([^<>]{0,500})>")
# Programs of one's own write `Name=Microsoft-Windows-Kernel-General/>`.
_NAME = re.compile(r"\bName\s?=\s?(?:[\"']([^\"'<>]{1,120})[\"']|([^\s\"'<>/]{3,120}))")
_GUID = re.compile(r"\bGuid\s?=\s?[\"']([^\"'<>]{36,38})[\"']")
_ID = re.compile(r"<EventID\b[^>]{0,80}>\s{0,8}([0-9]{1,5})\s{0,8}</EventID>")
_RECORD = re.compile(r"<EventRecordID>\s{0,8}([0-9]{1,18})\s{0,8}</EventRecordID>")
_CHANNEL = re.compile(r"<Channel>\s{0,8}([^<>]{1,120}?)\s{0,8}</Channel>")
_TIME = re.compile(r"\bSystemTime\s?=\s?[\"']?([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}:[0-9]{2})")
_DATA = re.compile(r"<Data\b(?:[^>]{0,80}?\bName\s?=\s?[\"']?([^\"'<>]{1,80})[\"']?)?[^>/]{0,80}>([^<]{0,4000})</Data>")
_LEAF = re.compile(r"<([A-Za-z_][\w.-]{0,60})(?:\s[^<>]{0,300})?>([^<]{0,4000})</\1>")
_MESSAGE = re.compile(r"<Message>([^<]{0,4000})")
_ENDS = ("</EventData>", "</UserData>", "<RenderingInfo")


def is_event_xml(sample: str, _name: str) -> bool:
    """Whether events stand in it as XML."""
    sample = _out_of_json(sample)
    if "System>" not in sample and "Provider " not in sample:
        return False
    return _EVENT.search(sample) is not None or _PREFIXED.search(sample) is not None


def event_xml(text: str, out: Collector) -> None:
    """Read events with or without a root, whole or cut at either end."""
    text = _without_prefix(_out_of_json(text))
    for block in _blocks(text):
        # An event that was cut says by its first part what it is.
        if "</System>" in block:
            seen = _observation(block)
            if seen is not None:
                out.add(seen)


def _out_of_json(text: str) -> str:
    """Events that stand as texts in JSON, whole or cut, as they were."""
    if not any(sign in text for sign in _AS_TEXT):
        return text
    return _ESCAPE.sub(_unescaped, text)


def _unescaped(match: re.Match[str]) -> str:
    sign = match.group(1)
    if len(sign) == 1:
        return _ESCAPED.get(sign, sign)
    return _character(int(sign[1:], 16))


def _without_prefix(text: str) -> str:
    prefix = part(_PREFIXED.search(text))
    if prefix is None:
        return text
    return text.replace(f"<{prefix}:", "<").replace(f"</{prefix}:", "</")


def _blocks(text: str) -> Iterator[str]:
    """The text from each event to the next."""
    starts = [match.start() for match in _EVENT.finditer(text)]
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        yield text[start : min(end, start + _MAX_EVENT)]


def _provider(xml: str) -> str | None:
    words = part(_PROVIDER.search(xml)) or ""
    named, guid = _NAME.search(words), part(_GUID.search(words))
    name = named and (named.group(1) or named.group(2))
    return provider_called(name or "") or provider_called(guid or "")


def _observation(xml: str) -> Observation | None:
    provider, number = _provider(xml), part(_ID.search(xml))
    if provider is None or number is None or not tells(provider, int(number)):
        return None
    data, message = _fields(xml), part(_MESSAGE.search(xml))
    if not data and message is not None:
        # What was collected from other hosts may carry its message alone.
        data = data_of(provider, int(number), _plain(message))
    record = part(_RECORD.search(xml))
    return event_observation(
        provider,
        int(number),
        stamp_of(_TIME.search(xml)),
        data,
        record=None if record is None else int(record),
        channel=part(_CHANNEL.search(xml)),
    )


def _fields(xml: str) -> dict[str, str]:
    """The data fields. Entities and DTDs are never followed."""
    data: dict[str, str] = {}
    start = max(xml.find("<EventData"), xml.find("<UserData"))
    if start < 0:
        return data
    body = xml[start : start + _MAX_DATA]
    ends = [place for end in _ENDS if (place := body.find(end)) >= 0]
    body = body[: min(ends, default=len(body))]
    for index, match in enumerate(_DATA.finditer(body)):
        data[match.group(1) or f"param{index + 1}"] = _plain(match.group(2))
    for match in _LEAF.finditer(body):
        if match.group(1) != "Data":
            data.setdefault(match.group(1), _plain(match.group(2)))
    return data


def _plain(text: str) -> str:
    return _ENTITIES.sub(_unescape, text)


def _unescape(match: re.Match[str]) -> str:
    name = match.group(1)
    if name in _ENTITY:
        return _ENTITY[name]
    # `#228` or `#xE4`.
    return _character(int(name[1:].replace("x", "0x"), 0 if "x" in name else 10))


def _character(number: int) -> str:
    if not 0 < number < 0x110000 or 0xD800 <= number < 0xE000:
        return "?"
    return chr(number)
