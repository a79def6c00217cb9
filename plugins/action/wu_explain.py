# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Adapter of the module wu_explain."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import explain, hresult, report, routing, situation, summary
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import run as runs
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils._action import ActionError, WuAction, ending
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils._options import settings_of
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.evidence import EvidenceError
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.explain import ExplainError
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.redact import Redactor

# Of the files of a run: the first line, and all of ten thousand hosts.
_MOST_HEAD, _MOST_LINES = 65536, 67108864
_NUMBER = re.compile(r"-?(0[xX])?[0-9a-fA-F]{1,16}")


class ActionModule(WuAction):
    """Explains files and codes on the controller."""

    MODULE = "wu_explain"
    WINDOWS_ONLY = False
    RULES = {"required_one_of": [["path", "code"]]}
    _requires_connection = False

    def perform(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """See WuAction."""
        self.settings = settings_of(options)
        result: dict[str, Any] = {}
        if options["code"]:
            result = _codes(options["code"])
        if options["path"]:
            result.update(self._explain(options["path"], Redactor() if options["redact"] else None))
        return result

    def _explain(self, paths: list[str], redactor: Redactor | None) -> dict[str, Any]:
        run = _run_of(paths)
        if run is not None:
            return _hidden(_summary_of(*run, redactor), redactor)
        return self._files(paths, redactor)

    def _files(self, paths: list[str], redactor: Redactor | None) -> dict[str, Any]:
        try:
            explained = explain.explain([Path(item) for item in paths], self.settings, int(time.time()), explain.Reading(redactor))
        except (ExplainError, EvidenceError) as error:
            raise ActionError(str(error) if redactor is None else redactor.text(str(error))) from error
        if redactor is not None:
            # Here a name is a host's even where it is an ordinary word.
            hosts = tuple(replace(one, name=redactor.host(one.name) if one.name else None) for one in explained.hosts)
            explained = replace(explained, hosts=hosts)
        rows = [_host(one) for one in explained.hosts]
        worst = rows[0]
        result = {**worst, "files": [one.to_dict() for one in explained.files]}
        unseen = [_learnt(row, redactor) for row in _failed(paths) if row["host"] not in {one.name for one in explained.hosts}]
        if len(rows) + len(unseen) > 1:
            shown = [*(_row(one) for one in explained.hosts), *unseen]
            result = {**result, "hosts": rows, "msg": explain.summary(explained.hosts), "summary": summary.lines(shown)}
        result["warnings"] = [*explained.warnings, *worst.get("warnings", [])]
        return _hidden(result, redactor)


def _failed(paths: list[str]) -> Iterator[dict[str, Any]]:
    """The rows of hosts that nobody could look at, as the look left them beside the evidence of the others."""
    for path in [one for name in paths if Path(name).is_dir() for one in sorted(Path(name).glob(f"*{report.FAILED}"))]:
        with contextlib.suppress(OSError, ValueError, RecursionError):
            row = report.from_failed(json.loads(path.read_text("utf-8")[:_MOST_HEAD]))
            if row is not None:
                yield row


def _learnt(row: dict[str, Any], redactor: Redactor | None) -> dict[str, Any]:
    if redactor is not None:
        redactor.learn_host(row["host"])
    return row


def _hidden(result: dict[str, Any], redactor: Redactor | None) -> dict[str, Any]:
    """With pseudonyms, where they are asked for."""
    if redactor is None:
        return result
    # The task's own arguments hold paths, and paths hold names.
    return {**redactor.value(result), "invocation": {"module_args": {"path": ["VALUE_NOT_REPEATED"], "redact": True}}}


def _run_of(paths: list[str]) -> tuple[runs.Run, bool] | None:
    """The run whose JSON lines or report the only file holds, and whether it came to its end."""
    path = Path(paths[0])
    if len(paths) != 1 or not path.is_file():
        return None
    try:
        with path.open(encoding="utf-8") as stream:
            head = stream.readline(_MOST_HEAD)
            if not head.startswith("{"):
                return None
            stream.seek(0)
            text = stream.read(_MOST_LINES)
    except (OSError, UnicodeDecodeError):
        return None
    if runs.is_lines(head):
        return runs.from_lines(text), runs.is_ended(text)
    return runs.from_document(text)


def _summary_of(run: runs.Run, ended: bool, redactor: Redactor | None) -> dict[str, Any]:
    rows = summary.worst_first(run.rows.values())
    for row in rows:
        if redactor is not None:
            redactor.learn_host(str(row["host"]))
    lines = run.lines(interrupted=not ended)
    return {"verdict": rows[0]["now"] if rows else None, "msg": summary.headline(rows), "summary": lines, "totals": summary.totals(rows)}


def _row(explained: explain.Host) -> dict[str, Any]:
    """The row of a host as a run has it."""
    judged = explained.judged.verdict
    said = {"why": judged.why, "msg": judged.msg, "next_step": judged.next_step, "owner": judged.owner, "until": judged.until}
    return {"host": explained.name or "-", "was": judged.name, "now": judged.name, **said}


def _host(explained: explain.Host) -> dict[str, Any]:
    """What one host came to, as it stands in a result. A bad host does not fail the task that explains its files."""
    judged = explained.judged
    plans = [
        {"repair": made.repair, "would": list(made.would), "refused": made.refused.sentence if made.refused else None}
        for made in explained.plans
    ]
    return {
        "host": explained.name,
        **ending(judged.verdict),
        "failed": False,
        "findings": [item.to_dict() for item in judged.findings],
        "plan": plans,
    }


def _codes(given: list[str]) -> dict[str, Any]:
    nothing = situation.Situation()
    shown = []
    for item in hresult.whole(given):
        pasted = _code(item)
        info = hresult.describe(pasted.code)
        rows = routing.by_place(info.code, nothing, pasted.phase)
        places = [{"place": place, "answer": answer, "next_step": step} for place, answer, step in rows]
        named = {"code": info.hex, "phase": routing.phase_words(pasted.phase) or None, "symbol": info.symbol}
        shown.append({**named, "area": info.area, "meaning": info.meaning, "places": places})
    return {"verdict": None, "msg": "; ".join(_sentence(item) for item in shown), "codes": shown}


def _sentence(shown: Mapping[str, Any]) -> str:
    phase = f" - {shown['phase']}" if shown["phase"] else ""
    name = f"{shown['code']}{phase} {shown['symbol']}".strip()
    answers = "; ".join(f"{item['place']}: {item['answer']}" for item in shown["places"])
    return f"{name}: {shown['meaning']}" + (f" ({answers})" if answers else "")


def _code(value: str) -> hresult.Pasted:
    try:
        return hresult.pasted(value)
    except hresult.HResultError as error:
        # What is wrong with a number is told; any other text may be a secret that stands in the wrong place.
        tellable = isinstance(error, hresult.NoCodeError) or _NUMBER.fullmatch(value.strip())
        why = f": {error}" if tellable else ""
        raise ActionError(f"option code must be an error code such as 0x80070002, -2147024894 or ERROR_FILE_NOT_FOUND{why}") from error
