# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The record of a run over many hosts: rows as hosts end, and the three files that are made of them (JSON, JSON lines, CSV)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from . import case as cases
from . import report, rollout, summary
from .finding import as_text

SCHEMA = 1
KIND = "winfleet.wu_repair.report"
PROGRESS_S = 60
_MOST_SLOW = 3
_LOOK_AGAIN = "Wait some minutes, then look at the host again before anything else."
_COLUMNS = (
    "host", "now", "was", "why", "msg", "next_step", "owner", "did", "changed", "proved_by", "not_proved", "findings", "backups", "run_id",
    "seconds", "previous", "evidence_path",
)  # fmt: skip
_OF_ABOUT = ("build", "edition", "last_search", "last_install", "free_bytes", "source_offset_ms", "controller_offset_ms")
_TIMES = ("last_search", "last_install")
# What a program for tables takes for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Head:
    """What a run is, before it has looked at anybody.

    Attributes:
        run: its name.
        began: Unix seconds.
        playbook: the playbook's name (`check_wu`, `fix_wu`).
        check: whether it ran in check mode.
    """

    run: str
    began: int
    playbook: str
    version: str = ""
    ansible: str = ""
    controller: str = ""
    hosts: str = ""
    limit: str = ""
    check: bool = False


@dataclass
class Run:
    """A run as it goes on: what was asked, a row a host."""

    head: Head
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: tuple[str, ...] = ()
    asked_count: int | None = None
    unknown: tuple[str, ...] = ()
    # Why nobody was looked at: a variable or a path that cannot be meant so.
    refused: str = ""
    # As wu_repair_shared_server.
    shared_server: object = rollout.SHARED_SERVER
    previous: Mapping[str, str] = field(default_factory=dict)
    _told: dict[str, str] = field(default_factory=dict)
    # Hosts whose row was kept since a line told it: a task that ends asks of these alone.
    _kept: dict[str, None] = field(default_factory=dict)
    _at_work: dict[str, tuple[str, int]] = field(default_factory=dict)
    _changing: dict[str, str] = field(default_factory=dict)
    _said: int = 0

    def ask(self, pattern: str, hosts: Sequence[str], unknown: Sequence[str] = ()) -> None:
        """The play that looks at hosts begins; `unknown` are names in its pattern that nobody has."""
        self.head = replace(self.head, hosts=pattern)
        self.unknown = tuple(unknown)
        self.asked = tuple(dict.fromkeys((*self.asked, *hosts)))
        self.asked_count = len(self.asked)

    def take(self, host: str, result: Mapping[str, Any], now: int) -> None:
        """A module of this collection returned a row."""
        self._keep(host, report.of_result(host, result, self.rows.get(host)), now)

    def begins(self, host: str, task: str, now: int, *, changes: bool = False) -> None:
        """A task begins on a host; `changes`: it may change it."""
        name = task.rpartition(" : ")[2]
        self._at_work[host] = (name, now)
        if changes and not self.head.check:
            self._changing[host] = name

    def ends(self, host: str) -> None:
        """The task of a host is over."""
        self._at_work.pop(host, None)
        self._changing.pop(host, None)

    def interrupt(self) -> None:
        """The controller goes away. Of a host in the middle of a change nobody knows what comes of it."""
        for host, task in self._changing.items():
            if host in self.rows:
                said = f"This run was interrupted in the middle of: {task}. It may go on without us, and its outcome is unknown."
                row = {**self.rows[host], "now": "failed", "msg": said, "next_step": _LOOK_AGAIN, "owner": "admin", "next": cases.END}
                self._keep(host, row, self.head.began)

    def progress(self, now: int) -> str:
        """Where long work is, at most once a minute; '' where there is nothing to say."""
        self._said = self._said or now
        # Who has a verdict is failed by a task of no length.
        at_work = {host: work for host, work in self._at_work.items() if self.rows.get(host, {}).get("next") != cases.END}
        if now - self._said < PROGRESS_S or not at_work:
            return ""
        self._said = now
        ended = sum(row.get("next") == cases.END for row in self.rows.values())
        slow = sorted(at_work.items(), key=lambda item: item[1][1])[:_MOST_SLOW]
        names = ", ".join(f"{host} ({task}, {now - began} s)" for host, (task, began) in slow)
        return f"{ended} of {self.asked_count or len(self.rows)} hosts are done; at work for longest: {names}"

    def not_tried(self, host: str) -> None:
        """The rollout was stopped before this host."""
        if host in self.rows:
            self.rows[host].update(not_tried=True, next=cases.END)
            self._kept[host] = None

    def ended_by_ansible(self, host: str, result: Mapping[str, Any], now: int) -> None:
        """A task of ours failed before it could say anything. A host that has its verdict is failed by a later task on purpose."""
        earlier = self.rows.get(host)
        if earlier is None or earlier.get("next") != cases.END:
            self._keep(host, report.without_case(host, result, earlier), now)

    def _keep(self, host: str, row: dict[str, Any], now: int) -> None:
        row["seconds"] = max(0, now - int(row.get("began") or self.head.began))
        if host in self.previous:
            row["previous"] = self.previous[host]
        self.rows[host] = row
        self._kept[host] = None

    def untold(self, *, all_of_them: bool = False) -> list[dict[str, Any]]:
        """Rows of hosts that have ended and stand in no line yet, or in one that is not so any more."""
        fresh = []
        for host in list(self._kept):
            row = self.rows[host]
            if not all_of_them and row.get("next") != cases.END:
                continue
            del self._kept[host]
            told = json.dumps({**row, "seconds": 0}, sort_keys=True)
            if self._told.get(host) != told:
                self._told[host] = told
                fresh.append(row)
        return fresh

    def stopped(self) -> str:
        """That the repair was stopped, in one line; '' where it was not."""
        untried = [row for row in self.rows.values() if row.get("not_tried")]
        if not untried:
            return ""
        sent = [row for row in self.rows.values() if row.get("did")]
        bad = [row for row in sent if rollout.is_bad(row)]
        count = f"{len(bad)} of {len(sent)} hosts that were sent a change failed" if sent else "no host could be sent a change"
        return f"The rollout was stopped: {count}, {len(untried)} hosts not tried."

    def name_shared_servers(self) -> None:
        """Of hosts that could be repaired, say whose server is mended first: a look says what the repair would leave alone."""
        known = {}
        for host, row in self.rows.items():
            server = row.get("fails_at") if row.get("now") == "sick" else ""
            known[host] = rollout.asking(server, row.get("why"), row.get("about") or {})
        for host in rollout.at_one_server(known, self.shared_server):
            self.rows[host].update(rollout.told_of_its_server(known[host]["fails_at"], str(self.rows[host].get("msg") or "")))
            self._kept[host] = None

    def document(self, ended: int, *, interrupted: bool = False) -> dict[str, Any]:
        """The report: everything that is known."""
        rows = [dict(row) for row in summary.worst_first(self.rows.values())]
        for row in rows:
            row.pop("next", None)
            row["about"] = _dated(row.get("about"))
        return {
            "schema": SCHEMA,
            "kind": KIND,
            **asdict(self.head),
            "began_text": as_text(self.head.began),
            "ended": ended,
            "ended_text": as_text(ended),
            "interrupted": interrupted,
            "stopped": self.stopped() or None,
            "asked": self.asked_count,
            "not_looked_at": sorted(set(self.asked) - set(self.rows)),
            "totals": summary.totals(rows),
            "causes": [cause.to_dict() for cause in summary.causes(rows)],
            "rows": rows,
        }

    def lines(self, *, interrupted: bool = False, rest: str = "") -> list[str]:
        """The summary for a person."""
        if self.refused and not self.rows:
            return summary.refused(self.refused)
        scope = summary.Scope(self.asked_count, interrupted, rest, self.stopped(), self.head.check, self.unknown)
        return summary.lines(list(self.rows.values()), scope)

    def first_line(self) -> dict[str, Any]:
        """The head of the JSON lines."""
        return {"schema": SCHEMA, "kind": KIND, **asdict(self.head), "asked": self.asked_count}


# ------------------------------------------------------------------------------------------------------------- the files


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as a table, the worst first. What a program for tables would take for a formula begins with an apostrophe."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow((*_COLUMNS, *_OF_ABOUT))
    for row in summary.worst_first(rows):
        writer.writerow([_cell(value) for value in _cells(row)])
    return stream.getvalue()


def _cells(row: Mapping[str, Any]) -> list[object]:
    """A row of the table, times as dates and what is a list in one cell."""
    about = _dated(row.get("about"))
    proof = row.get("proof") or {}
    known = {
        **row,
        **about,
        **{name: about.get(f"{name}_text") for name in _TIMES},
        "did": ", ".join(map(str, row.get("deeds") or ())),
        "backups": ", ".join(map(str, row.get("backups") or ())),
        "not_proved": proof.get("reason"),
        "findings": "; ".join(_told(item) for item in row.get("findings") or () if isinstance(item, Mapping)),
    }
    return [known.get(name) for name in (*_COLUMNS, *_OF_ABOUT)]


def _told(item: Mapping[str, Any]) -> str:
    named = [item.get("code") or item.get("condition"), item.get("kb"), item.get("name")]
    return " ".join(str(part) for part in named if part)


def _dated(about: object) -> dict[str, Any]:
    """What is known of a host, its times also as a person reads them."""
    if not isinstance(about, Mapping):
        return {}
    known = dict(about)
    times = {name: known[name] for name in _TIMES if isinstance(known.get(name), int)}
    return {**known, **{f"{name}_text": as_text(time) for name, time in times.items()}}


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, int):
        return str(value)
    text = cases.line(value, 1000)
    if text.startswith(_FORMULA):
        return f"'{text}"
    return text


def document_path(given: str) -> Path:
    """Where the report is that somebody names: who names its table or its JSON lines gets all three."""
    path = Path(given).absolute()
    return path.with_suffix(".json") if path.suffix in (".jsonl", ".csv") else path


def beside(path: Path) -> tuple[Path, Path]:
    """Where the JSON lines and the table of a report are: beside it."""
    stem = path.with_suffix("") if path.suffix in (".json", ".jsonl", ".csv") else path
    return stem.with_name(f"{stem.name}.jsonl"), stem.with_name(f"{stem.name}.csv")


def previous(document: object) -> dict[str, str]:
    """Host -> verdict, out of the report of an earlier run; nothing where it is none."""
    rows = document.get("rows") if isinstance(document, Mapping) else None
    if not isinstance(rows, list):
        return {}
    return {str(row["host"]): str(row["now"]) for row in rows if isinstance(row, Mapping) and row.get("host") and row.get("now")}


def from_document(text: str) -> tuple[Run, bool] | None:
    """A run out of its report, and whether it came to its end; None where it is none."""
    # Events as JSON begin like it, and are larger than any report.
    document = _loaded(text) if KIND in text else None
    if document is None or document.get("kind") != KIND or not isinstance(document.get("rows"), list):
        return None
    run = _of_head(document)
    _take_rows(run, document["rows"])
    return run, not document.get("interrupted")


def is_lines(text: str) -> bool:
    """Whether a text begins as the JSON lines of a run do."""
    first = _loaded(text.partition("\n")[0])
    return first is not None and first.get("kind") == KIND and "run" in first


def from_lines(text: str) -> Run:
    """A run out of its JSON lines. The last line of a host counts; a line that broke when the controller was lost is left out."""
    first, *rest = text.splitlines()
    run = _of_head(_loaded(first) or {})
    _take_rows(run, [_loaded(line) for line in rest])
    return run


def _of_head(head: Mapping[str, Any]) -> Run:
    """A run of which nobody was looked at yet, out of the head of its files."""
    known = {name: head[name] for name in Head.__dataclass_fields__ if isinstance(head.get(name), (str, int))}
    run = Run(Head(**{"run": "", "began": 0, "playbook": "", **known}))
    run.asked_count = head["asked"] if isinstance(head.get("asked"), int) else None
    return run


def _take_rows(run: Run, rows: Sequence[object]) -> None:
    for row in rows:
        if isinstance(row, Mapping) and isinstance(row.get("host"), str) and row.get("now") in report.VERDICTS:
            run.rows[row["host"]] = dict(row)


def is_ended(text: str) -> bool:
    """Whether the last line of JSON lines says that the run came to its end."""
    last = _loaded(text.rstrip().rpartition("\n")[2])
    return last is not None and "ended" in last and not last.get("interrupted")


def _loaded(line: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, dict):
        return value
    return None
