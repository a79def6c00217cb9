# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: what the message of an event says, in any language.

Exports as text carry no data fields, only the sentence that the data was set into. Words are translated; codes, KBs, GUIDs, packages,
names of hosts and `PREFIX: SENTENCE: TITLE` are not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..observation import Observation
from .events import SCM, SERVICING, START_TYPE, TIME, WUC, WUSA, event_observation, provider_called, service_data, tells
from .records import clean, guid_of, kb_of, part, title_of
from .service_names import service_in

MAX_MESSAGE = 1500
# Their messages end in a title.
_ABOUT_A_TITLE = (19, 20, 24, 43, 213, 217)
# "Windows Update failed to download an update": its data names the update and the code, and no success could be told to end it.
_NAMES_NOTHING = (WUC, 31)
_CODE = re.compile(r"%%-?[0-9]{1,10}|\b0x[89c][0-9a-f]{7}\b", re.I)
_PACKAGE = re.compile(r"\bPackage_[\w.~-]{4,160}")
# `Absent` and `Staged` are names of states.
_STATE = re.compile(r"\b(Absent|Staged|Resolved|Superseded|Uninstalled)\b")
# WUSA writes its codes as numbers: failures (2148468739) and what the agent calls a success (2359302, WU_S_ALREADY_INSTALLED).
_DECIMAL_CODE = re.compile(r"(?<![0-9A-Za-z])([0-9]{10}|2359[23][0-9]{2})(?![0-9A-Za-z])")
_NUMBER = re.compile(r"(?<![0-9.])([0-9]{1,5})(?![0-9.])")
# A time source has its flags behind it.
_TIME_SOURCE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,80}),0x[0-9a-f]{1,4}", re.I)
_THE_SERVICE = re.compile(r"\b[Tt]he (\S.{0,78}?) service\b")
_QUOTED = re.compile(
    r"[\"\u201c\u201e\u00ab\u300c\u300e] ?([^\"\u201c\u201d\u00ab\u00bb\u300d\u300f]{2,80}?) ?[\"\u201c\u201d\u00bb\u300d\u300f]"
)
# In English, as `Get-EventLog | Select-Object EventID, Message` leaves them.
_SENTENCES = (
    ((19, 20, 43), re.compile(r"Installation (?:Successful|Failure|Started): Windows .{4,30} install\w* the following update"), WUC),
    (
        (7000, 7001, 7023, 7024, 7031, 7034),
        re.compile(r"The \S.{0,78}? service (?:terminated |failed to start |depends on the )"),
        SCM,
    ),
)
_AFTER_COLON = re.compile(r"[ \u00a0]?(?::\s|\uff1a)\s?")
_HELP = re.compile(r"(?<=[.\u3002]) [^.:]{5,80}https?://go\.microsoft\.com/fwlink/events\.asp")
# What the viewer and PowerShell set behind a message that they cut.
CUT = ("...", "\u2026")


def told(
    provider: str,
    number: int,
    message: str,
    time: int | None,
    *,
    record: int | None = None,
    channel: str | None = None,
    data: Mapping[str, str] | None = None,
) -> Observation | None:
    """What an event says whose message is most of what is known of it, None for what says nothing.

    Args:
        provider: as it is shown, a name or a GUID.
        number: the event's id.
        message: in any language, on one line or several.
        time: Unix seconds.
        record: what orders it.
        channel: what `record` counts in.
        data: its data fields, where an export has kept them.
    """
    name = provider_called(provider)
    if name is None or not tells(name, number):
        return None
    if data:
        words = clean(message, MAX_MESSAGE)
        return event_observation(name, number, time, {**data, **({"message": words} if words else {})}, record=record, channel=channel)
    if (name, number) == _NAMES_NOTHING and _CODE.search(message[:MAX_MESSAGE]) is None:
        return None
    return event_observation(name, number, time, data_of(name, number, message), record=record, channel=channel)


def spoken_by(number: int, message: str) -> str | None:
    """The provider of an event that an export has left it out of, where the sentence is one that no other writes."""
    return next((name for numbers, sentence, name in _SENTENCES if number in numbers and sentence.match(message)), None)


def has_reason(message: str) -> bool:
    """Whether a message names a KB or a code, as few programs but the update agent and its like do."""
    return kb_of(message) is not None or _CODE.search(message[:MAX_MESSAGE]) is not None


def data_of(provider: str, number: int, message: str) -> dict[str, str]:
    """The data fields that a message was made of, as far as they can be told."""
    text = clean(message, MAX_MESSAGE)
    data = {"message": text}
    code = part(_CODE.search(text), 0)
    if code is not None:
        data["errorCode"] = code
    if provider == SCM:
        return {**data, **service_data(number, _service(number, text), code or "")}
    if provider == SERVICING:
        return {**data, **_package(text)}
    if provider == TIME:
        return {**data, "timesource": part(_TIME_SOURCE.search(text)) or ""}
    if provider == WUSA:
        return {**data, "updatetitle": kb_of(text) or "", "errorcode": part(_DECIMAL_CODE.search(text)) or code or ""}
    return {**data, **_update(number, text)}


def _service(number: int, text: str) -> str:
    """The service: in English before its noun, in many languages between quotes, else where one that updates need is named."""
    if number == START_TYPE:
        # `The start type of the X service was changed`
        return service_in(text) or ""
    return part(_THE_SERVICE.search(text)) or part(_QUOTED.search(text)) or service_in(text) or ""


def _package(text: str) -> dict[str, str]:
    data = {"packageidentifier": part(_PACKAGE.search(text), 0) or kb_of(text) or ""}
    state = part(_STATE.search(text))
    return data if state is None else {**data, "intendedpackagestate": state}


def _update(number: int, text: str) -> dict[str, str]:
    data = {"updateguid": guid_of(text) or "", "updatecount": part(_NUMBER.search(text)) or ""}
    if number in _ABOUT_A_TITLE:
        data["updatetitle"] = _title(text) or kb_of(text) or ""
    return data


def _title(text: str) -> str | None:
    """What stands behind the sentence; nothing where the message was cut within it."""
    if text.endswith(CUT):
        return None
    # Windows Server 2003 sets a pointer to its help behind the message, and the data in hexadecimal.
    text = _HELP.split(text, maxsplit=1)[0].strip()
    title = title_of(text)
    if title is not None:
        return title.rstrip(" .\u3002")
    words = _AFTER_COLON.split(text)[-1].rstrip(" .\u3002")
    return words if kb_of(words) else None
