# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Adapter of the module wu_explain."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import explain, hresult, routing, situation
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils._action import ActionError, WuAction, ending
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils._options import settings_of
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.evidence import EvidenceError
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.explain import ExplainError
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.redact import Redactor

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
        if len(rows) > 1:
            result = {**result, "hosts": rows, "msg": explain.summary(explained.hosts)}
        result["warnings"] = [*explained.warnings, *worst.get("warnings", [])]
        if redactor is None:
            return result
        # The task's own arguments hold paths, and paths hold names.
        return {**redactor.value(result), "invocation": {"module_args": {"path": ["VALUE_NOT_REPEATED"], "redact": True}}}


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
