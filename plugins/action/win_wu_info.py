# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Adapter of the module win_wu_info."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import findings, verdict
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils._action import (
    ALWAYS,
    SCAN,
    SECTIONS,
    ActionError,
    WuAction,
    findings_result,
    summary,
    write_json,
)


class ActionModule(WuAction):
    """Looks at one host and says what is wrong with its Windows Update."""

    MODULE = "win_wu_info"

    def perform(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """See WuAction."""
        settings = self.settings(options)
        sections = chosen(options["gather_subset"])
        if settings.reported and SCAN not in sections:
            sections = (*sections, SCAN)
        evidence = self.look(options, sections)
        self.assert_usable(evidence)
        found = findings.find(evidence, settings)
        judged = verdict.judge(found, evidence)
        result = {**findings_result(found, judged), "summary": summary(evidence)}
        document = evidence.to_document()
        wanted = options["return_evidence"]
        if wanted == "always" or (wanted == "unhealthy" and judged.name != "healthy"):
            result["evidence"] = document
        if options["evidence_dir"]:
            host = re.sub(r"[^A-Za-z0-9_.-]", "_", str(self._vars.get("inventory_hostname", "host")))
            path = Path(options["evidence_dir"]) / f"{host}.json"
            write_json(path, document)
            result["evidence_path"] = str(path)
        return result


def chosen(subset: Sequence[str]) -> tuple[str, ...]:
    """The sections that `gather_subset` names, in the agent's order.

    Raises:
        ActionError: a name that is no section.
    """
    known = (*SECTIONS, SCAN)
    wanted: set[str] = set()
    for name in [name for name in subset if not name.startswith("!")] or ["all"]:
        if name == "all":
            wanted.update(SECTIONS)
        elif name in known:
            wanted.add(name)
        elif name != "min":
            raise _unknown(name)
    for name in [name[1:] for name in subset if name.startswith("!")]:
        if name not in known:
            raise _unknown(name)
        wanted.discard(name)
    wanted.update(ALWAYS)
    return tuple(name for name in known if name in wanted)


def _unknown(name: str) -> ActionError:
    return ActionError(f"option gather_subset has no part named {name}; parts are all, min, {', '.join((*SECTIONS, SCAN))}")
