# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What ansible.windows.win_updates would answer on a simulated host.

The real module needs scheduled tasks, pipes between processes and the update agent's COM interfaces, none of which the
lab has. Its action plugin runs for real: this answers its operations ``start``, ``poll``, ``cancel`` and ``test``.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any

from .sim import Sim, signed

_LONG = {
    "CriticalUpdates": "Critical Updates",
    "DefinitionUpdates": "Definition Updates",
    "DeveloperKits": "Developer Kits",
    "FeaturePacks": "Feature Packs",
    "SecurityUpdates": "Security Updates",
    "ServicePacks": "Service Packs",
    "UpdateRollups": "Update Rollups",
}


class WinUpdates:
    """One host's runs of the module."""

    def __init__(self, sim: Sim) -> None:
        self._sim = sim
        self._output: dict[str, list[dict[str, Any]]] = {}

    def run(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """The module's result for its arguments (``_ansible_check_mode`` among them)."""
        operation = args.get("_operation", "start")
        options = args.get("_operation_options") or {}
        shown = {key: value for key, value in args.items() if not key.startswith("_ansible_")}
        result: dict[str, Any] = {"changed": False, "invocation": {"module_args": shown}}
        if operation == "poll":
            result["output"] = self._output.pop(options.get("pipe_name", ""), [])
        elif operation in ("start", "test"):
            name = f"Ansible.Windows.WinUpdates-{uuid.uuid4()}"
            done = {"changed": False, "failed": False, "reboot_required": False, "action": None, "exception": None}
            self._output[name] = [{"task": "exit", "result": done}] if operation == "test" else self._work(args)
            result["cancel_options"] = {"cancel_id": f"Global\\{name}", "task_pid": 4711}
            result["poll_options"] = {"pipe_name": name}
        return result

    def _work(self, args: Mapping[str, Any]) -> list[dict[str, Any]]:
        sim = self._sim
        done: dict[str, Any] = {
            "changed": False,
            "failed": False,
            "reboot_required": sim.reboot_required,
            "exception": None,
        }
        code, _count = sim.search()
        if code:
            text = f"Searching for updates: Exception from HRESULT: 0x{code:08X}"
            return [_failed(done, text, signed(code))]
        # Only these keys decide; the rest of what the module tells of an update nobody reads.
        found = [
            {
                "title": update["title"],
                "kb": list(update.get("kb") or []),
                "categories": list(update.get("categories") or []),
                "id": update["id"],
            }
            for update in sim.updates
        ]
        filtered = [{"id": update["id"], "reasons": reasons} for update in found if (reasons := _reasons(update, args))]
        out = [{"task": "search_result", "result": {"updates": found, "filtered": filtered}}]
        left_out = {row["id"] for row in filtered}
        chosen = [update for update in sim.updates if update["id"] not in left_out]
        state = args.get("state", "installed")
        if args.get("_ansible_check_mode") or state == "searched" or not chosen:
            done["changed"] = bool(chosen) and state != "searched"
            return [*out, {"task": "exit", "result": done}]
        if done["reboot_required"]:
            return [*out, _failed(done, "A reboot is required before more updates can be installed")]
        for phase in ("download", "install"):
            todo = [update for update in chosen if phase == "install" or update["id"] not in sim.downloads()]
            rows = []
            for update in todo:
                code = (
                    sim.download(update) if phase == "download" else sim.install(update, "ansible.windows.win_updates")
                )
                reboot = not code and bool(update.get("reboot"))
                rows.append(
                    {
                        "id": update["id"],
                        "result_code": 4 if code else 2,
                        "hresult": signed(code),
                        "reboot_required": reboot,
                    }
                )
            if todo:
                done["changed"] = True
                out.append({"task": f"{phase}_result", "result": {"info": rows}})
            if any(row["hresult"] for row in rows):
                return [*out, _failed(done, f"Failed to {phase} all updates - see updates for more information")]
            if state == "downloaded":
                break
        done["reboot_required"] = sim.reboot_required
        return [*out, {"task": "exit", "result": done}]


def _failed(done: dict[str, Any], message: str, hresult: int | None = None) -> dict[str, Any]:
    exception: dict[str, Any] = {"message": message, "exception": message}
    if hresult is not None:  # the module names a code for errors of COM alone
        exception["hresult"] = hresult
    return {"task": "exit", "result": {**done, "failed": True, "exception": exception}}


def _reasons(update: Mapping[str, Any], args: Mapping[str, Any]) -> list[str]:
    """Why an update is left out, by the module's own filters."""
    names = [update["title"], *update["kb"]]

    def listed(patterns: Any) -> bool:
        return any(re.search(pattern, name, re.IGNORECASE) for pattern in patterns for name in names)

    reasons = []
    if args.get("accept_list") and not listed(args["accept_list"]):
        reasons.append("accept_list")
    if args.get("reject_list") and listed(args["reject_list"]):
        reasons.append("reject_list")
    wanted = args.get("category_names", ["CriticalUpdates", "SecurityUpdates", "UpdateRollups"]) or []
    full = {_LONG.get(name, name).lower() for name in wanted}
    if full and "*" not in full and not full & {name.lower() for name in update["categories"]}:
        reasons.append("category_names")
    return reasons
