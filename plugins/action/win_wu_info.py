# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Adapter of the module win_wu_info."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import case as cases
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils._action import ActionError, summary
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils._action_change import FRESH_S
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils._action_look import HostAction
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils._agent import ALWAYS, SCAN, SECTIONS
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.case_document import parse


class ActionModule(HostAction):
    """Looks at one host and says what is wrong with its Windows Update."""

    MODULE = "win_wu_info"

    def perform(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """See WuAction."""
        sections = chosen(options["gather_subset"])
        taken = self._taken_over(options)
        if taken is not None:
            return self._of_case(taken)
        case = self.open(options)
        if self.settings.reported and SCAN not in sections:
            sections = (*sections, SCAN)
        case = self.look(case, options, sections)
        more: dict[str, Any] = {}
        if self.scene.evidence is not None and not self._in_case:
            more["summary"] = summary(self.scene.evidence)
        return self.result(case, options, more)

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Also a host whose look could not begin is in a group. Called by ansible-core."""
        result = super().run(tmp, task_vars)
        wanted = boolean(self._task.args.get("group") or False, strict=False)
        if not wanted or "case" not in result:
            return result
        if result["verdict"] == "healthy":
            return {**result, **self.tried(result)}
        # By what comes next and not by the verdict: of two hosts that need somebody's action one may still have an attempt to come.
        sort = {cases.END: "left_alone", cases.SEARCH: "searchable", cases.LOOK: "searchable"}.get(str(result["next"]), "repairable")
        return {**result, **self.join(f"wu_repair_{sort}", "wu_repair_unhealthy")}

    def _taken_over(self, options: Mapping[str, Any]) -> cases.Case | None:
        """The case of an earlier look, where it is of this run of ansible and still young."""
        seen = options.get("seen")
        if not isinstance(seen, Mapping) or not isinstance(seen.get("case"), Mapping):
            return None
        case = parse(seen["case"])
        # Only this run's own folder can hold the file.
        content = self.evidence_file(case.run).read()
        if content is None or time.time() - content["written"] > FRESH_S:
            return None
        return case


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
