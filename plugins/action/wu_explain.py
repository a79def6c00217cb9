# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Adapter of the module wu_explain."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import evidence, hresult, logs, plan, repairs, routing, seen, situation
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import verdict as verdicts
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils._action import ActionError, WuAction, ending
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils._options import settings_of
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.observation import Observation

# What is no text: by how it begins, and what to do with it.
_PACKED = {
    b"ElfFile\0": "export it as XML first: wevtutil qe FILE /lf:true /f:xml",
    b"MSCF": "unpack it first: expand FILE -F:* FOLDER",
}
# Evidence is a JSON object. A line of ReportingEvents.log begins with a brace, too: with that of a GUID.
_NUMBER = re.compile(r"-?(0[xX])?[0-9a-fA-F]{1,16}")
_DOCUMENT = re.compile(r"\{(?![0-9A-Fa-f]{8}-)")


@dataclass(frozen=True)
class _Log:
    """A file that was read as a log; `kind` is None where no reader knows it."""

    path: Path
    kind: str | None
    size: int
    observations: list[Observation]
    packed: str

    def to_dict(self) -> dict[str, Any]:
        return {"path": str(self.path), "kind": self.kind, "bytes": self.size, "records": len(self.observations)}

    @property
    def unknown(self) -> str:
        """Its path, with what to do to it."""
        return f"{self.path} ({self.packed})" if self.packed else str(self.path)


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
            result.update(self._explain([Path(item) for item in options["path"]]))
        return result

    def _explain(self, paths: list[Path]) -> dict[str, Any]:
        given = _files(paths)
        read: list[_Log] = []
        for path in given:
            data, size = _tail(path)
            if not _DOCUMENT.match(logs.decode(data[:64]).lstrip("\ufeff \t\r\n")):
                read.append(_read(path, data, size))
            elif len(given) > 1:
                raise ActionError(f"{path} is the evidence of one host, which is explained by itself: give its path alone")
            else:
                return self._saved(path, data)
        unknown = [log.unknown for log in read if log.kind is None]
        if len(unknown) == len(read):
            raise ActionError(f"no log of Windows Update that is known, and no evidence: {', '.join(unknown[:3])}")
        observations = [item for log in read for item in log.observations]
        return {
            **_judged(verdicts.logs(observations, self.settings, int(time.time()))),
            "plan": [],
            "files": [log.to_dict() for log in read],
            "warnings": [f"not a log that is known: {path}" for path in unknown],
        }

    def _saved(self, path: Path, data: bytes) -> dict[str, Any]:
        saved = evidence.parse(data)
        judged = verdicts.look(saved, self.settings)
        plans = []
        for name in (*repairs.asked_for(judged.findings), *repairs.attempted(judged.findings)):
            made = plan.build(name, saved, judged.findings, {}, plan.new_run_id(time.time()), self.settings)
            plans.append({"repair": name, "would": list(made.would), "refused": made.refused.sentence if made.refused else None})
        file = {"path": str(path), "kind": "evidence", "bytes": len(data), "records": len(seen.observations(saved))}
        return {**_judged(judged), "plan": plans, "files": [file]}


def _judged(judged: verdicts.Judged) -> dict[str, Any]:
    """What a verdict and its findings are in a result. A bad host does not fail the task that explains its files."""
    return {**ending(judged.verdict), "failed": False, "findings": [item.to_dict() for item in judged.findings]}


def _read(path: Path, data: bytes, size: int) -> _Log:
    packed = next((what for sign, what in _PACKED.items() if data.startswith(sign)), "")
    return _Log(path, logs.kind_of(data, path.name), size, logs.read(data, path.name), packed)


def _codes(given: list[str]) -> dict[str, Any]:
    nothing = situation.Situation()
    described = [hresult.describe(_code(item)) for item in given]
    shown = []
    for info in described:
        places = [{"place": place, "answer": answer, "next_step": step} for place, answer, step in routing.by_place(info.code, nothing)]
        shown.append({"code": info.hex, "symbol": info.symbol, "area": info.area, "meaning": info.meaning, "places": places})
    return {"verdict": None, "msg": "; ".join(_sentence(item) for item in shown), "codes": shown}


def _sentence(shown: Mapping[str, Any]) -> str:
    name = f"{shown['code']} {shown['symbol']}".strip()
    answers = "; ".join(f"{item['place']}: {item['answer']}" for item in shown["places"])
    return f"{name}: {shown['meaning']}" + (f" ({answers})" if answers else "")


def _code(value: str) -> int:
    try:
        return hresult.normalise(value)
    except hresult.HResultError as error:
        # What is wrong with a number is told; any other text may be a secret that stands in the wrong place.
        why = f": {error}" if _NUMBER.fullmatch(value) else ""
        raise ActionError(f"option code must be an error code such as 0x80070002, -2147024894 or ERROR_FILE_NOT_FOUND{why}") from error


def _files(paths: list[Path]) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(item for item in path.iterdir() if item.is_file())
        elif path.is_file():
            files.append(path)
        else:
            raise ActionError(f"no such file on the controller: {path}")
    if not files:
        raise ActionError(f"no files in {paths[0]}")
    return files


def _tail(path: Path) -> tuple[bytes, int]:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - logs.TAIL_BYTES))
            return file.read(), size
    except OSError as error:
        raise ActionError(f"cannot read {path} on the controller: {error.strerror}") from error
