# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Adapter of the module wu_explain."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import evidence, findings, hresult, logs, plan, rungs, verdict
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils._action import (
    ActionError,
    WuAction,
    checked,
    findings_result,
)

# What is no text: by how it begins, and what to do with it.
_PACKED = {
    b"ElfFile\0": "export it as XML first: wevtutil qe FILE /lf:true /f:xml",
    b"MSCF": "unpack it first: expand FILE -F:* FOLDER",
}
# Evidence is a JSON object. A line of ReportingEvents.log begins with a brace, too: with that of a GUID.
_DOCUMENT = re.compile(r"\{(?![0-9A-Fa-f]{8}-)")


class ActionModule(WuAction):
    """Explains files and codes on the controller."""

    MODULE = "wu_explain"
    WINDOWS_ONLY = False
    RULES = {"required_one_of": [["path", "code"]]}
    _requires_connection = False

    def perform(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """See WuAction."""
        settings = self.settings(options)
        result: dict[str, Any] = {}
        if options["code"]:
            described = [hresult.describe(_code(item)) for item in options["code"]]
            result["codes"] = [
                {"code": info.hex, "symbol": info.symbol, "area": info.area, "meaning": info.meaning, "remedies": list(info.remedies)}
                for info in described
            ]
            result["msg"] = "; ".join(f"{info.hex} {info.symbol}: {info.meaning}" for info in described)
            result["verdict"] = None
        if options["path"]:
            result.update(self._explain([Path(item) for item in options["path"]], settings))
        return result

    def _explain(self, paths: list[Path], settings: findings.Settings) -> dict[str, Any]:
        files: list[dict[str, Any]] = []
        records: list[logs.Record] = []
        unknown: list[str] = []
        given = _files(paths)
        for path in given:
            data, size = _tail(path)
            if _DOCUMENT.match(logs.decode(data[:64]).lstrip("\ufeff \t\r\n")):
                if len(given) > 1:
                    raise ActionError(f"{path} is the evidence of one host, which is explained by itself: give its path alone")
                return self._saved(path, data, settings)
            read, kind = logs.read(data, path.name), logs.kind_of(data, path.name)
            files.append({"path": str(path), "kind": kind, "bytes": size, "records": len(read)})
            records += read
            if kind is None:
                packed = next((f" ({what})" for sign, what in _PACKED.items() if data.startswith(sign)), "")
                unknown.append(f"{path}{packed}")
        if len(unknown) == len(files):
            raise ActionError(f"no log of Windows Update that is known, and no evidence: {', '.join(unknown[:3])}")
        found = findings.from_records(records, settings, int(time.time()))
        warnings = [f"not a log that is known: {path}" for path in unknown]
        return {**findings_result(found, verdict.judge(found, None)), "plan": [], "files": files, "warnings": warnings}

    def _saved(self, path: Path, data: bytes, settings: findings.Settings) -> dict[str, Any]:
        saved = checked(evidence.parse, data)
        found = findings.find(saved, settings)
        plans = []
        for name in plan.route(found):
            if name in rungs.BY_NAME:
                made = plan.build(name, saved, found, {}, plan.new_run_id(time.time()), settings)
                plans.append({"rung": name, "would": list(made.would), "refused": made.refused[1] if made.refused else None})
        file = {"path": str(path), "kind": "evidence", "bytes": len(data), "records": len(evidence.records(saved))}
        return {**findings_result(found, verdict.judge(found, saved)), "plan": plans, "files": [file]}


def _code(value: str) -> int:
    try:
        return hresult.normalise(value)
    except hresult.HResultError as error:
        raise ActionError("option code must be an error code such as 0x80070002, -2147024894 or ERROR_FILE_NOT_FOUND") from error


def _files(paths: list[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(item for item in path.iterdir() if item.is_file())
        elif path.is_file():
            found.append(path)
        else:
            raise ActionError(f"no such file on the controller: {path}")
    if not found:
        raise ActionError(f"no files in {paths[0]}")
    return found


def _tail(path: Path) -> tuple[bytes, int]:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - logs.TAIL_BYTES))
            return file.read(), size
    except OSError as error:
        raise ActionError(f"cannot read {path} on the controller: {error.strerror}") from error
