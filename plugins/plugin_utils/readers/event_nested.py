# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: events as JSON that keeps their data fields: what evtx_dump, EvtxECmd, Winlogbeat, Wazuh and Velociraptor make of an event.

All have the part that Windows calls System and the one that it calls EventData or UserData, each in a place and with a case of its own.
Attributes of XML stand below `#attributes`, or have a mark before their name; the text of an element is `#text` or `Value`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from .event_rows import name_of

_MOST_FIELDS, _MOST_DEPTH, _MAX_VALUE, _MAX_PAYLOAD = 80, 5, 4000, 60_000
_TEXTS = ("#text", "Value", "$", "_")
_DATA = ("eventdata", "userdata")


class Nested(NamedTuple):
    """One event: the fields of its System by their plain names, and its data."""

    system: dict[str, Any]
    data: dict[str, str]


def nested(item: Mapping[str, Any]) -> Nested | None:
    """The event in an object, None for one without a System part."""
    around = _within(item, "_source")
    event = around.get("Event") or around.get("winlog") or _within(around, "data").get("win")
    if isinstance(event, Mapping):
        return _event(event, around)
    if any(name_of(str(key)) == "system" and isinstance(value, Mapping) for key, value in around.items()):
        return _event(around, around)
    return None


def data_in(value: Any) -> dict[str, str]:
    """The data fields in EvtxECmd's column `Payload`, which is JSON again."""
    if not isinstance(value, str) or len(value) > _MAX_PAYLOAD:
        return {}
    try:
        item = json.loads(value)
    except (ValueError, RecursionError):
        return {}
    return _data(_mapping(item))


def _within(item: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return _mapping(item.get(name)) or item


def _mapping(value: Any) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    return {}


def _event(event: Mapping[str, Any], around: Mapping[str, Any]) -> Nested:
    """Winlogbeat has the time and the message one level above; Wazuh and the files of Windows have a part called System."""
    system = next((value for key, value in event.items() if name_of(str(key)) == "system" and isinstance(value, Mapping)), event)
    fields: dict[str, Any] = {}
    for part in (system, around):
        for key, value in list(part.items())[:_MOST_FIELDS]:
            plain = _plain(value)
            if plain is not None:
                fields.setdefault(name_of(str(key)), plain)
    provider = system.get("Provider", system.get("Provider_attributes"))
    if isinstance(provider, Mapping):
        fields["provider"] = _attribute(provider, "name")
    created = system.get("TimeCreated", system.get("TimeCreated_attributes"))
    if isinstance(created, Mapping):
        fields["timecreated"] = _attribute(created, "systemtime")
    return Nested(fields, _data(event))


def _attribute(element: Mapping[str, Any], name: str) -> Any:
    attributes = _within(element, "#attributes")
    return next((value for key, value in attributes.items() if name_of(str(key)) == name), None)


def _plain(value: Any) -> Any:
    """A value, or the text of an element with attributes."""
    if isinstance(value, Mapping):
        value = next((value[name] for name in _TEXTS if name in value), None)
    if isinstance(value, (str, int, float)):
        return value
    return None


def _data(event: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in event.items():
        if name_of(str(key)) in _DATA:
            for name, text in _leaves(value, 0):
                if len(found) < _MOST_FIELDS:
                    found.setdefault(name or f"param{len(found) + 1}", text)
    return found


def _leaves(value: Any, depth: int, name: str = "") -> Iterator[tuple[str, str]]:
    """Names and texts below EventData; elements called Data are named by an attribute, or by their place."""
    if depth > _MOST_DEPTH:
        return
    if isinstance(value, Mapping):
        named = next((str(value[key]) for key in ("@Name", "Name") if key in value), None) or _attribute(value, "name")
        text = _plain(value)
        if text is not None:
            yield str(named or name), str(text)[:_MAX_VALUE]
            return
        for key, inner in value.items():
            if not str(key).startswith(("#attributes", "@")):
                yield from _leaves(inner, depth + 1, "" if key in ("Data", "#text") else str(key))
    elif isinstance(value, list):
        for inner in value[:_MOST_FIELDS]:
            yield from _leaves(inner, depth + 1, name)
    elif value is not None:
        yield name, str(value)[:_MAX_VALUE]
