# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One explanation a host out of files: logs and evidence, in folders or packed, each for what its content says it is.

Which files belong to one host:

* a file of evidence names its host by its own name (`web01.json`, `web01.after.json`); of several looks at one host the newest counts;
* logs belong to the evidence that lies beside them, or in the nearest folder above, if it is of one host alone, or of the host that one of
  their folders is called by;
* all other logs are of one host, unless a log that a host has once is there twice: then each folder is a host of its own.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO
from urllib.parse import unquote

from . import evidence as evidence_
from . import logs, mentioned, packed, plan, repairs, seems, seen
from . import verdict as verdicts
from .evidence import Evidence, EvidenceError
from .finding import Finding
from .observation import BOUND_UNKNOWN_ZONE_S, Observation, in_utc
from .plan import Plan
from .readers import event_binary
from .readers.records import clean
from .readers.reporting import zone_told
from .redact import Redactor
from .report import FAILED
from .situation import Settings, size
from .verdict import Judged

MOST_DEPTH = 4
MOST_FILES = 500
# Of several large files together so much is read, of each its end, and of none less than the last: a folder may take no longer than a file.
MOST_READ, LEAST_READ = 28 * 1024 * 1024, 4 * 1024 * 1024
_MOST_NAMED = 3
_HEAD = 64
# Evidence is a JSON object: a brace, and a name between quotation marks. A line of ReportingEvents.log begins with a brace, too, and so do
# the marks of pages and the code of programs.
_DOCUMENT = re.compile(r"\s{0,64}\{\s{0,64}(?:[\"}]|\Z)")
_OF_EVIDENCE = re.compile(r'"(?:schema|sections|taken)"|\A[^"\']{0,400000}\Z')
# What people copy out of windows, with what they write around it.
_SCREENS = ("console", "tool", "update history")
_OF_AGENT = ("wulog", "cmtrace", "reporting")
# Where a notice may be all that somebody asked about, though it says nothing of the updates of Windows.
_BESIDE_UPDATES = ("drivers", "offline", "tool", "install")
# A host has one of each, wherever it was copied to.
_ONCE = ("cbs.log", "dism.log", "windowsupdate.log", "reportingevents.log", "system.evtx", "wuahandler.log")

# The worst first: what somebody must act on, what is not known, what passes by itself, what is well.
_WORST_FIRST = (
    "unreachable", "unsupported", "failed", "needs_action", "sick", "restart_required", "unresolved", "unknown", "stale", "behind", "busy",
    "unproven", "repaired", "healthy",
)  # fmt: skip


class ExplainError(ValueError):
    """The files cannot be explained at all; the message is one line."""


@dataclass(frozen=True)
class File:
    """A file, or a member of a packed one, as it was read.

    Attributes:
        shown: its path for a person, members as `FILE.zip!MEMBER`.
        parts: its folders and its name, those of a packed file among them.
        kind: what it was taken for: a reader's kind, `evidence`, or None for nothing about updates.
        seems: what it seems to be, in words; '' for what is no text.
        size: its bytes, of which the last `read_bytes` were read.
        speaks: no reader knows it, and it names Windows Update, an update or one of their codes.
        mentions: the codes that a text names which is no log.
        updates: the few updates that a text speaks of which is no log and tells nothing.
        advice: what to do with it so that it can be read.
        digest: of its content, to know copies by.
        zone: how far the local time of its host is ahead of UTC, where it says so.
    """

    shown: str
    parts: tuple[str, ...]
    size: int
    kind: str | None = None
    seems: str = ""
    read_bytes: int = 0
    observations: tuple[Observation, ...] = ()
    speaks: bool = False
    mentions: tuple[mentioned.Mention, ...] = ()
    updates: tuple[str, ...] = ()
    evidence: Evidence | None = None
    advice: str = ""
    digest: bytes = b""
    zone: int | None = None

    @property
    def name(self) -> str:
        """Its own name."""
        return self.parts[-1]

    @property
    def host(self) -> str:
        """The host that a file of evidence names."""
        return clean(unquote(re.sub(r"(?:\.after)?(?:\.json)?$", "", self.name, flags=re.I))) or self.name

    def to_dict(self) -> dict[str, object]:
        """As the module returns it."""
        return {
            "path": self.shown,
            "kind": self.kind,
            "seems": self.seems or None,
            "bytes": self.size,
            "read_bytes": self.read_bytes,
            "records": len(self.observations),
        }


@dataclass(frozen=True)
class Host:
    """What the files of one host came to; without a name where none of them is evidence and all are of one host."""

    name: str | None
    judged: Judged
    plans: tuple[Plan, ...] = ()


@dataclass(frozen=True)
class Explained:
    """Everything that was read, by host, the worst first."""

    hosts: tuple[Host, ...]
    files: tuple[File, ...]
    warnings: tuple[str, ...]


@dataclass
class Reading:
    """How files are read, and what was left out. With a redactor names of files are pseudonyms, and it learns from all that is read."""

    redactor: Redactor | None = None
    warnings: list[str] = field(default_factory=list)
    tail: int = logs.TAIL_BYTES

    def show(self, path: object) -> str:
        """The path of a file for a person."""
        return str(path) if self.redactor is None else self.redactor.file(str(path))

    def show_look(self, look: File) -> str:
        """The path of a file of evidence: its name is that of its host."""
        if self.redactor is None or not re.search(rf"\b{re.escape(look.host)}\b", look.shown, re.I):
            return look.shown
        return f"{self.redactor.host(look.host)}.json"

    def learn(self, text: str) -> None:
        """Look for names in a log."""
        if self.redactor is not None:
            self.redactor.learn(text)

    def learn_look(self, host: str, look: Evidence) -> None:
        """Look for names in evidence, which names its host."""
        if self.redactor is not None:
            self.redactor.learn_host(host)
            self.redactor.learn_domain(look.host.domain or "")
            self.redactor.learn_document(look.to_document())


def explain(paths: Iterable[Path], settings: Settings, now: int, reading: Reading | None = None) -> Explained:
    """Explain files and folders.

    Raises:
        ExplainError: a path that is not there or cannot be read, or nothing that anybody could read.
        EvidenceError: the only file is evidence that cannot be taken.
    """
    reading = reading or Reading()
    files = list(_read_all(list(paths), reading))
    for broken in [one for one in files if one.kind == "evidence" and one.evidence is None]:
        if len(files) == 1:
            raise EvidenceError(broken.advice)
        reading.warnings.append(f"{broken.shown}: {broken.advice}")
    readable = [one for one in files if one.kind is not None or one.seems]
    if not readable:
        raise ExplainError(f"no log of Windows Update that is known, and no evidence: {_listed([_as_unknown(one) for one in files])}")
    reading.warnings += _warnings(files)
    hosts = [_judge(name, group, settings, now) for name, group in _by_host(readable)]
    hosts.sort(key=lambda one: (_WORST_FIRST.index(one.judged.verdict.name), one.name or ""))
    return Explained(tuple(hosts), tuple(files), tuple(reading.warnings))


def summary(hosts: Iterable[Host]) -> str:
    """Several hosts in one line: the worst, and how many there are of each verdict."""
    every = list(hosts)
    worst = every[0]
    names = [one.judged.verdict.name for one in every]
    counts = ", ".join(f"{names.count(name)} {name}" for name in dict.fromkeys(names))
    return f"{len(every)} hosts: {counts}. {worst.name}: {worst.judged.verdict.msg}"


# --- which files ------------------------------------------------------------------------------------------------------


def _read_all(paths: list[Path], reading: Reading) -> Iterator[File]:
    given = _files(paths, reading)
    if not given:
        raise ExplainError(f"no files in {reading.show(paths[0])}" if paths else "no path is given")
    reading.tail = _tail_of(given)
    for path in given:
        yield from _read(path, reading)


def _tail_of(paths: list[Path]) -> int:
    """How much of the end of each file is read."""
    sizes = [path.stat().st_size for path in paths if path.exists()]
    tail = logs.TAIL_BYTES
    while tail > LEAST_READ and sum(min(size, tail) for size in sizes) > MOST_READ:
        tail = max(LEAST_READ, tail - tail // 8)
    return tail


def _files(paths: list[Path], reading: Reading) -> list[Path]:
    found: dict[Path, Path] = {}
    for path in paths:
        if path.is_dir():
            inside = list(_inside(path))
        elif path.is_file():
            inside = [path]
        else:
            raise ExplainError(f"no such file on the controller: {reading.show(path)}")
        for one in inside:
            found.setdefault(one.resolve(), one)
    files = list(found.values())
    if len(files) > MOST_FILES:
        reading.warnings.append(f"only the first {MOST_FILES} files were read")
    return files[:MOST_FILES]


def _inside(folder: Path, depth: int = 1) -> Iterator[Path]:
    """The files in a folder and below it, those of the folder itself first; no hidden ones, through no link to a folder."""
    try:
        items = sorted(item for item in folder.iterdir() if not item.name.startswith("."))
    except OSError:
        return
    yield from (item for item in items if item.is_file() and not item.name.endswith(FAILED))
    if depth >= MOST_DEPTH:
        return
    for item in items:
        if item.is_dir() and not item.is_symlink():
            yield from _inside(item, depth + 1)


# --- one file ---------------------------------------------------------------------------------------------------------


def _read(path: Path, reading: Reading) -> Iterator[File]:
    """A file; of a packed one what is in it."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            head = file.read(_HEAD)
            if packed.is_packed(head):
                unpacker = packed.Unpacker(logs.TAIL_BYTES)
                members = unpacker.unpack(file, path.name, size)
                yield from _members(path, size, members, unpacker.notes, reading)
                return
            data = head if packed.advice(head, path.name) else _end_of(file, size, head, reading.tail)
    except OSError as error:
        raise ExplainError(f"cannot read {reading.show(path)} on the controller: {error.strerror or 'it is damaged'}") from error
    yield _understood(reading.show(path), path.absolute().parts, data, size, reading)


def _end_of(file: IO[bytes], size: int, head: bytes, tail: int) -> bytes:
    """The end of a file; of binary events also their header, which alone says what they are."""
    file.seek(0)
    begin = file.read(event_binary.HEADER_BYTES) if event_binary.is_evtx(head) else head
    file.seek(max(0, size - tail))
    return event_binary.end_of(begin, file.read(), size)


def _members(path: Path, size: int, members: Iterable[packed.Member], notes: list[str], reading: Reading) -> Iterator[File]:
    came = 0
    for member in members:
        name = "/".join(clean(part) for part in member.name.split("/"))
        parts = tuple(part for part in re.split(r"[/!]", name) if part)
        shown = reading.show(f"{path}!{name}")
        came += 1
        yield _understood(shown, (*path.absolute().parts, *parts), member.data, member.size, reading)
    shown = reading.show(path)
    reading.warnings += [f"{shown}: {clean(note)}" for note in notes]
    if came == 0:
        yield File(shown, path.absolute().parts, size, advice="; ".join(clean(note) for note in notes) or "nothing is in it")


def _understood(shown: str, parts: tuple[str, ...], data: bytes, size: int, reading: Reading) -> File:
    """A file for what its content says it is."""
    name = parts[-1]
    file = File(shown, parts, size, read_bytes=len(data))
    if event_binary.is_evtx(data):
        if event_binary.is_empty(data):
            return replace(file, seems=seems.NO_EVENTS)
        made = _text_of_evtx(data)
        if isinstance(made, str):
            return replace(file, advice=made)
        file = replace(file, read_bytes=event_binary.bytes_read(data))
        data = made
    advice = packed.advice(data[:_HEAD], name)
    if advice:
        return replace(file, advice=advice, read_bytes=0)
    text = logs.decode(data[:400_000])
    if _DOCUMENT.match(text.lstrip("\ufeff")) and _OF_EVIDENCE.search(text):
        return _as_evidence(file, data, reading)
    if seems.is_source(name):
        return replace(file, seems=seems.SOURCE)
    kind, observed = logs.understood(data, name)
    if kind is None and not seems.is_text(text):
        return file
    reading.learn(text)
    log = re.split(r"[/!]", shown)[-1]
    observations = tuple(replace(one, log=log) for one in observed)
    digest = hashlib.blake2b(data).digest()
    zone = zone_told(text) if kind == "reporting" else None
    file = replace(file, kind=kind, seems=seems.of(text, kind, observations), observations=observations, digest=digest, zone=zone)
    file = replace(file, speaks=kind is None and seems.speaks_of_updates(text))
    told = file.kind in _SCREENS or (file.kind is None and file.speaks and seems.may_quote(file.seems))
    spoken = mentioned.updates(text) if told else ()
    return replace(file, mentions=_mentions(file, text, log), updates=spoken)


def _mentions(file: File, text: str, log: str) -> tuple[mentioned.Mention, ...]:
    """The codes in what a person wrote, or pasted."""
    is_anybodys = file.seems == seems.UNKNOWN or (file.speaks and seems.may_quote(file.seems))
    if file.kind is None and not is_anybodys:
        return ()
    is_log = file.kind not in (None, *_SCREENS)
    # Of the agent's logs in which nothing ended, its lines are all that can be named.
    records = file.kind in _OF_AGENT and not file.observations
    return tuple(replace(one, log=log) for one in mentioned.in_text(text, is_log=is_log, records=records))


def _as_evidence(file: File, data: bytes, reading: Reading) -> File:
    try:
        read = evidence_.parse(data)
    except EvidenceError as error:
        return replace(file, kind="evidence", advice=str(error))
    reading.learn_look(file.host, read)
    file = replace(file, kind="evidence", seems=seems.of("", "evidence"), evidence=read, observations=tuple(seen.observations(read)))
    return replace(file, shown=reading.show_look(file))


def _text_of_evtx(data: bytes) -> bytes | str:
    """The XML of a binary event log, or what to do where it cannot be made."""
    try:
        return event_binary.xml_of(data).encode("utf-8", "replace")
    except event_binary.EvtxError as error:
        return clean(str(error))


# --- what is said of files --------------------------------------------------------------------------------------------


def _as_unknown(file: File) -> str:
    if file.advice:
        return f"{file.shown} ({file.advice})"
    if file.size == 0:
        return f"{file.shown} (it is empty)"
    return file.shown


def _listed(items: list[str]) -> str:
    more = len(items) - _MOST_NAMED
    return ", ".join(items[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _warnings(files: list[File]) -> list[str]:
    """What was not read, each reason once."""
    by_advice: dict[str, list[str]] = {}
    for one in files:
        if one.kind is not None:
            continue
        nothing = "nothing in it says how updates went" if one.speaks else "nothing about updates in it"
        by_advice.setdefault(one.advice or nothing, []).append(_with_seems(one))
    warnings = [f"{_listed(names)}: {advice}" for advice, names in by_advice.items()]
    cut = [one for one in files if 0 < one.read_bytes < one.size and one.kind is not None]
    warnings += [f"only the last {size(one.read_bytes)} of {one.shown} ({size(one.size)}) were read" for one in cut]
    return warnings


def _with_seems(file: File) -> str:
    return f"{file.shown} ({file.seems})" if file.seems else file.shown


def _nothing_told(files: Iterable[File]) -> str:
    """What files without a failure or a success are, so that nobody takes them for a healthy host."""
    told = [one for one in files if one.seems and one.kind != "evidence"]
    about_updates = [one for one in told if one.kind is not None or one.speaks]
    words = "Nothing in it says whether updates work" if about_updates else "Nothing about updates is in it"
    named = [f"{re.split(r'[/!]', one.shown)[-1]} seems to be {one.seems}" for one in about_updates or told]
    return f"{words}: {_listed(named)}."


# --- whose files ------------------------------------------------------------------------------------------------------


def _by_host(files: list[File]) -> list[tuple[str | None, list[File]]]:
    """The files of each host, with its name."""
    looks = [one for one in files if one.evidence is not None]
    hosts: dict[str, list[File]] = {}
    names: dict[str, str] = {}
    for look in looks:
        names.setdefault(look.host.lower(), look.host)
        hosts.setdefault(names[look.host.lower()], []).append(look)
    left: list[File] = []
    for log in [one for one in files if one.kind != "evidence"]:
        owner = _owner(log, looks, names)
        if owner is None:
            left.append(log)
        else:
            hosts[owner].append(log)
    known = [one for one in left if one.kind is not None] if hosts else left
    groups: list[tuple[str | None, list[File]]] = list(hosts.items())
    if not known:
        return groups
    split = _by_folder(known)
    if not groups and len(split) == 1:
        return [(None, known)]
    return [*groups, *split]


def _owner(log: File, looks: list[File], names: Mapping[str, str]) -> str | None:
    """The host whose evidence lies nearest, or that a folder of the log is called by."""
    for depth in range(len(log.parts) - 1, 0, -1):
        if (named := names.get(log.parts[depth - 1].lower())) is not None:
            return named
        beside = {names[look.host.lower()] for look in looks if look.parts[:-1] == log.parts[:depth]}
        if len(beside) == 1:
            return beside.pop()
        if beside:
            return _called_by(log, names)
    return next(iter(names.values())) if len(names) == 1 else None


def _called_by(log: File, names: Mapping[str, str]) -> str | None:
    """The host whose name the log's own name holds, as in `web01_CBS.log`."""
    called = [host for name, host in names.items() if re.search(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", log.name, re.I)]
    return called[0] if len(called) == 1 else None


def _by_folder(files: list[File]) -> list[tuple[str | None, list[File]]]:
    """One host, or one a folder where a log that a host has once is there twice."""
    common = _common_folder(files)
    branches: dict[str | None, list[File]] = {}
    for one in files:
        below = one.parts[len(common) : -1]
        branches.setdefault(below[0] if below else None, []).append(one)
    once = [(name.lower(), branch) for branch, group in branches.items() for name in {one.name for one in group}]
    twice = any(len({branch for other, branch in once if other == name}) > 1 for name in _ONCE)
    if not twice:
        return [(common[-1] if common else None, files)]
    return [(branch or common[-1], group) for branch, group in branches.items()]


def _common_folder(files: list[File]) -> tuple[str, ...]:
    folders = [one.parts[:-1] for one in files]
    common = folders[0]
    for folder in folders[1:]:
        same = 0
        while same < min(len(common), len(folder)) and common[same] == folder[same]:
            same += 1
        common = common[:same]
    return common


# --- the verdict of a host --------------------------------------------------------------------------------------------


def _judge(name: str | None, files: list[File], settings: Settings, now: int) -> Host:
    looks = [one for one in files if one.evidence is not None]
    # What two copies of a log tell is one thing.
    unlike = {one.digest: one for one in reversed(files) if one.evidence is None}
    told = [observation for one in files if unlike.get(one.digest) is one for observation in one.observations]
    if not looks:
        zones = {one.zone for one in files if one.zone is not None}
        zone = zones.pop() if len(zones) == 1 else None
        judged = verdicts.logs([_in_utc(one, zone) for one in told], settings, now)
        return Host(name, _with_mentions(judged, files))
    newest = max(looks, key=lambda one: _taken(one.evidence)).evidence or Evidence(None, None, {})
    judged = verdicts.look(newest, settings, _not_seen_yet(newest, told))
    plans = []
    for repair in (*repairs.asked_for(judged.findings), *repairs.attempted(judged.findings)):
        plans.append(plan.build(repair, newest, judged.findings, {}, plan.new_run_id(now), settings))
    return Host(name, _with_mentions(judged, files), tuple(plans))


def _with_mentions(judged: Judged, files: list[File]) -> Judged:
    """What logs came to, with what their texts name beside it: that decides nothing."""
    named = mentioned.findings([mention for one in files for mention in one.mentions], judged.findings)
    verdict = judged.verdict
    if verdict.msg == verdicts.NOTHING_SHOWN:
        beside = [item for item in judged.findings if item.layer in _BESIDE_UPDATES]
        msg = _nothing_told(files) + _told_beside(beside) + mentioned.sentence(named)
        verdict = replace(verdict, msg=msg, next_step=next((item.next_step for item in (*beside, *named)), verdict.next_step))
    verdict = replace(verdict, msg=verdicts.one_line(verdict.msg + _spoken_of(judged, files, verdict.msg)))
    return replace(judged, findings=(*judged.findings, *named), verdict=verdict)


def _spoken_of(judged: Judged, files: list[File], said: str) -> str:
    """The few updates that a ticket speaks of and that no finding names: what is found below may be why they fail."""
    if len(files) != 1 or any(item.kb for item in judged.findings):
        return ""
    went = {one.kb for one in files[0].observations}
    spoken = [kb for kb in files[0].updates if kb not in said and kb not in went]
    return f" It speaks of {_listed(spoken)}." if spoken else ""


def _told_beside(notices: Iterable[Finding]) -> str:
    """Notices in words: where nothing else is in a log, it was given for them."""
    named = ((item, item.name or item.kb) for item in notices if item.notice)
    told = list(dict.fromkeys(_called(item) if name in item.meaning else f"{_called(item)}: {name}" for item, name in named if name))
    return f" {'; '.join(told[:_MOST_NAMED])}." if told else ""


def _called(item: Finding) -> str:
    return item.meaning if item.condition else f"{item.code} ({item.meaning})"


def _taken(look: Evidence | None) -> int:
    return 0 if look is None else (look.asked_ms or look.answered_ms or 0)


def _not_seen_yet(look: Evidence, told: Iterable[Observation]) -> Iterator[Observation]:
    """What logs tell beyond a look at their host, which read the ends of some of them itself: nothing may count twice."""
    zone = look.clock.utc_offset_s
    before: dict[object, list[Observation]] = {}
    for one in seen.observations(look):
        before.setdefault(_what(one), []).append(one)
    for one in told:
        local = _in_utc(one, zone)
        same = [other for other in before.get(_what(local), ()) if _covers(local, other)]
        count = local.count - sum(other.count for other in same)
        if count > 0:
            yield replace(local, count=count)


def _in_utc(one: Observation, zone: int | None) -> Observation:
    """Local time of a zone that the look knows, or another log of the host."""
    return one if zone is None or one.bound_s != BOUND_UNKNOWN_ZONE_S else in_utc(one, zone)


def _what(one: Observation) -> object:
    return (one.source, one.layer, one.outcome, one.code, one.marker, one.update, one.kb, one.name, one.service)


def _covers(one: Observation, other: Observation) -> bool:
    """Whether what a look saw lies within what a log tells."""
    if one.time is None or other.time is None:
        return one.time == other.time
    return (one.first or one.time) <= other.time <= one.time
