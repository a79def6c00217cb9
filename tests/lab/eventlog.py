# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Event records as Windows renders them, and the part of XPath 1.0 that the event log understands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from xml.etree import ElementTree
from xml.sax.saxutils import escape

NAMESPACE = "http://schemas.microsoft.com/win/2004/08/events/event"

GUIDS = {
    "Microsoft-Windows-WindowsUpdateClient": "945a8954-c147-4acd-923f-40c45405a658",
    "Microsoft-Windows-Time-Service": "06edcfeb-0fd0-4e53-acca-a6f8bbf81bcb",
    "Microsoft-Windows-Servicing": "bd12f3b8-fc40-4a61-a307-b7a013a069c1",
    "Microsoft-Windows-Kernel-General": "a68ca8b7-004f-d7b6-a698-07e2de0f1f5d",
    "Service Control Manager": "555908d1-a6d7-4695-8e1e-26931d2012f4",
}

# (level, version) where it is not (4, 1): the levels of the providers' manifests.
_SHAPE = {
    ("Microsoft-Windows-WindowsUpdateClient", 16): (3, 0),
    ("Microsoft-Windows-WindowsUpdateClient", 20): (2, 1),
    ("Microsoft-Windows-WindowsUpdateClient", 25): (2, 1),
    ("Microsoft-Windows-WindowsUpdateClient", 31): (2, 1),
    ("Microsoft-Windows-WindowsUpdateClient", 34): (2, 1),
    ("Microsoft-Windows-WindowsUpdateClient", 35): (2, 1),
    ("Service Control Manager", 7000): (2, 0),
    ("Service Control Manager", 7001): (2, 0),
    ("Service Control Manager", 7023): (2, 0),
    ("Service Control Manager", 7031): (2, 0),
    ("Service Control Manager", 7034): (2, 0),
    ("Service Control Manager", 7040): (4, 0),
}
_SERVICING = "http://manifests.microsoft.com/win/2004/08/windows/setup_provider"
_UPDATELIST = "http://manifests.microsoft.com/win/2004/08/windows/events/windowsupdateclient"

CHANNELS = (
    "System",
    "Setup",
    "Application",
    "Microsoft-Windows-WindowsUpdateClient/Operational",
    "Microsoft-Windows-Time-Service/Operational",
    "Microsoft-Windows-Bits-Client/Operational",
)


@dataclass(frozen=True)
class Event:
    """One record; ``time`` in Unix seconds of the host's clock when it was written."""

    channel: str
    provider: str
    id: int
    time: float
    record: int
    data: Mapping[str, object] = field(default_factory=dict)
    computer: str = "host"
    user_data: str | None = None

    def xml(self) -> str:
        """Render as EventRecord.ToXml() does: UserData for servicing and update lists, EventData for the rest."""
        guid = GUIDS.get(self.provider)
        level, version = _SHAPE.get(
            (self.provider, self.id), (0, 0) if self.provider == "Microsoft-Windows-Servicing" else (4, 1)
        )
        at = datetime.fromtimestamp(int(self.time), UTC)
        qualifiers = " Qualifiers='16384'" if self.provider == "Service Control Manager" else ""
        source = " EventSourceName='Service Control Manager'" if self.provider == "Service Control Manager" else ""
        head = (
            f"<Event xmlns='{NAMESPACE}'><System><Provider Name={_quoted(self.provider)}"
            + (f" Guid='{{{guid}}}'" if guid else "")
            + source
            + f"/><EventID{qualifiers}>{self.id}</EventID><Version>{version}</Version><Level>{level}</Level>"
            f"<Task>1</Task><Opcode>0</Opcode><Keywords>0x8000000000000000</Keywords>"
            f"<TimeCreated SystemTime='{at:%Y-%m-%dT%H:%M:%S}.{int(self.time % 1 * 10_000_000):07d}Z'/>"
            f"<EventRecordID>{self.record}</EventRecordID><Correlation/><Execution ProcessID='1180' ThreadID='4712'/>"
            f"<Channel>{escape(self.channel)}</Channel><Computer>{escape(self.computer)}</Computer>"
            "<Security UserID='S-1-5-18'/></System>"
        )
        wrapper, space = self.user_data, _SERVICING
        if wrapper is None and self.provider == "Microsoft-Windows-Servicing":
            wrapper = "CbsPackageChangeState"
        if wrapper is None and self.provider == "Microsoft-Windows-WindowsUpdateClient" and self.id in (17, 18, 21, 22):
            wrapper, space = "updatelist", _UPDATELIST
        if wrapper is not None:
            fields = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in self.data.items())
            return f"{head}<UserData><{wrapper} xmlns='{space}'>{fields}</{wrapper}></UserData></Event>"
        fields = "".join(
            f"<Binary>{value}</Binary>" if name == "Binary" else f"<Data Name={_quoted(name)}>{escape(str(value))}</Data>"
            for name, value in self.data.items()
        )
        return f"{head}<EventData>{fields}</EventData></Event>"


@dataclass(frozen=True)
class Copied(Event):
    """A record out of an export, which renders as it stands there."""

    text: str = ""

    def xml(self) -> str:
        """See Event."""
        return self.text


def copied(text: str, record: int) -> Copied:
    """Take a record out of an export; it gets the number of this log, as a record that is written anew."""
    unnumbered = re.sub(r"<EventRecordID>[0-9]*</EventRecordID>", "", text)
    text = unnumbered.replace("<Channel>", f"<EventRecordID>{record}</EventRecordID><Channel>", 1)
    system = ElementTree.fromstring(text)[0]
    names = {"e": NAMESPACE}
    provider, created = system.find("e:Provider", names), system.find("e:TimeCreated", names)
    assert provider is not None, text[:200]
    assert created is not None, text[:200]
    return Copied(
        channel=system.findtext("e:Channel", "", names),
        provider=provider.attrib["Name"],
        id=int(system.findtext("e:EventID", "0", names)),
        time=datetime.fromisoformat(created.attrib["SystemTime"]).timestamp(),
        record=record,
        text=text,
    )


def _quoted(text: str) -> str:
    return "'" + escape(text, {"'": "&apos;"}) + "'"


class QueryError(ValueError):
    """The event log would answer that the query is invalid (15001)."""


# Windows refuses a query with more expressions than this ("The specified query is invalid").
MOST_COMPARISONS = 23

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'[^']*'|\"[^\"]*\")|(?P<number>\d+)|(?P<op><=|>=|!=|=|<|>)"
    r"|(?P<mark>[()\[\]/,@*.])|(?P<name>[A-Za-z_][\w.-]*))"
)


class Query:
    """A compiled event query such as ``*[System[Provider[@Name='x'] and (EventID=19 or EventID=20)]]``."""

    def __init__(self, xpath: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        position = 0
        text = xpath.strip().replace("&lt;", "<").replace("&gt;", ">")
        while position < len(text):
            match = _TOKEN.match(text, position)
            if not match or match.lastgroup is None:
                raise QueryError(f"cannot read the query at {text[position : position + 20]!r}")
            self._tokens.append((match.lastgroup, match[match.lastgroup]))
            position = match.end()
        if sum(kind == "op" for kind, _value in self._tokens) > MOST_COMPARISONS:
            raise QueryError("too many expressions")
        self._at = 0
        self._tree = self._path()
        if self._at != len(self._tokens):
            raise QueryError(f"unexpected {self._tokens[self._at][1]!r}")

    def matches(self, xml: str, now: float) -> bool:
        """Whether a rendered record is selected; ``now`` is the host's clock for timediff()."""
        event = ElementTree.fromstring(xml)
        for element in event.iter():
            element.tag = element.tag.rpartition("}")[2]
        root = ElementTree.Element("root")
        root.append(event)
        return bool(self._nodes(self._tree, root, now))

    # grammar: or > and > comparison > path
    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")

    def _take(self, value: str | None = None) -> tuple[str, str]:
        token = self._peek()
        if token[0] == "end" or (value is not None and token[1] != value):
            raise QueryError(f"expected {value or 'more'}, found {token[1] or 'the end'}")
        self._at += 1
        return token

    def _or(self) -> tuple:  # type: ignore[type-arg]
        left = self._and()
        while self._peek() == ("name", "or"):
            self._take()
            left = ("or", left, self._and())
        return left

    def _and(self) -> tuple:  # type: ignore[type-arg]
        left = self._comparison()
        while self._peek() == ("name", "and"):
            self._take()
            left = ("and", left, self._comparison())
        return left

    def _comparison(self) -> tuple:  # type: ignore[type-arg]
        left: tuple  # type: ignore[type-arg]
        if self._peek()[1] == "(":
            self._take()
            left = self._or()
            self._take(")")
            return left
        if self._peek()[1] == "timediff":
            self._take()
            self._take("(")
            left = ("timediff", self._path())
            self._take(")")
        else:
            left = self._path()
        if self._peek()[0] == "op":
            operator = self._take()[1]
            kind, value = self._take()
            if kind not in ("text", "number"):
                raise QueryError(f"{value!r} is not a literal")
            return ("compare", operator, left, value[1:-1] if kind == "text" else int(value))
        return left

    def _path(self) -> tuple:  # type: ignore[type-arg]
        steps = []
        while True:
            attribute = self._peek()[1] == "@"
            if attribute:
                self._take()
            kind, name = self._take()
            if kind not in ("name", "mark") or (kind == "mark" and name not in "*."):
                raise QueryError(f"{name!r} is not a name")
            tests = []
            while self._peek()[1] == "[":
                self._take()
                tests.append(self._or())
                self._take("]")
            steps.append((attribute, name, tests))
            if self._peek()[1] != "/":
                return ("path", steps)
            self._take()

    def _nodes(self, tree: tuple, node: ElementTree.Element, now: float) -> list[ElementTree.Element | str]:  # type: ignore[type-arg]
        found: list[ElementTree.Element | str] = [node]
        for attribute, name, tests in tree[1]:
            following: list[ElementTree.Element | str] = []
            for item in found:
                if isinstance(item, str):
                    continue
                if attribute:
                    following += [item.attrib[name]] if name in item.attrib else []
                elif name == ".":
                    following.append(item)
                else:
                    following += [child for child in item if name in ("*", child.tag)]
            found = [
                item
                for item in following
                if all(isinstance(item, str) or self._true(test, item, now) for test in tests)
            ]
        return found

    def _true(self, tree: tuple, node: ElementTree.Element, now: float) -> bool:  # type: ignore[type-arg]
        if tree[0] == "or":
            return self._true(tree[1], node, now) or self._true(tree[2], node, now)
        if tree[0] == "and":
            return self._true(tree[1], node, now) and self._true(tree[2], node, now)
        if tree[0] == "path":
            return bool(self._nodes(tree, node, now))
        _kind, operator, left, literal = tree
        if left[0] == "timediff":
            values: list[float | str] = [
                (now - _instant(str(item))) * 1000 for item in self._nodes(left[1], node, now) if isinstance(item, str)
            ]
        else:
            values = [item if isinstance(item, str) else (item.text or "") for item in self._nodes(left, node, now)]
        return any(_compare(operator, value, literal) for value in values)


def _instant(text: str) -> float:
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z?", text)
    if not match:
        raise QueryError(f"{text!r} is not a time")
    return datetime.fromisoformat(match[1]).replace(tzinfo=UTC).timestamp() + float(match[2] or 0)


def _compare(operator: str, value: float | str, literal: int | str) -> bool:
    left: float | str = value
    right: float | str = literal
    if isinstance(literal, int):
        try:
            left = float(value)
        except ValueError:
            return False
    elif isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT", value) and re.match(r"\d{4}-\d\d-\d\dT", literal):
        left, right = _instant(value), _instant(literal)
    elif operator not in ("=", "!="):
        return False
    if operator in ("=", "!="):
        return (left == right) == (operator == "=")
    return {"<": left < right, ">": left > right, "<=": left <= right, ">=": left >= right}[operator]  # type: ignore[operator]
