# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE. The base of every action: a task is validated, performed, and ends in a result with a verdict and one line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from ansible import constants as C
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import sanitize_keys
from ansible.plugins.action import ActionBase
from ansible.release import __version__ as ansible_version

from . import verdict
from ._agent import AgentError
from ._files import FileError, HandOver
from ._options import OptionError, argument_spec, option_error
from .case import END, line
from .case_document import CaseError
from .evidence import Evidence, EvidenceError
from .report import WELL, VerdictError
from .rollout import RolloutError
from .situation import update_server
from .verdict import Verdict

COLLECTION = "winfleet.wu_repair"
# What travels between tasks and would only be printed again.
_NOT_REPEATED = ("evidence", "reported", "seen", "case", "result")


# Templates are lazy, and results are tagged, from this one on.
OLDEST_CORE = (2, 19)


def too_old(version: str) -> str:
    """What is said to an ansible-core that this collection does not run with, in one sentence; '' for any other."""
    found = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if found >= OLDEST_CORE:
        return ""
    oldest = ".".join(map(str, OLDEST_CORE))
    return f"{COLLECTION} needs ansible-core {oldest} or newer, and this is {version}: update ansible-core on the controller"


class ActionError(Exception):
    """The task ends here, with one clear line and no change.

    Args:
        why: what is wrong and what to do, one sentence.
        name: the verdict to report.
        next_step: what to do, where the message does not say it.
    """

    def __init__(self, why: str, name: str = "failed", next_step: str = "") -> None:
        super().__init__(why)
        self.verdict = name
        self.next_step = next_step


_ERRORS = (ActionError, RolloutError, VerdictError, OptionError, CaseError, FileError, EvidenceError, AgentError)


def verdict_of_error(error: Exception) -> Verdict:
    """The verdict that an error of these modules makes."""
    step = getattr(error, "next_step", "") or "Mend what the message names, then run again."
    return Verdict(name=getattr(error, "verdict", "failed"), msg=line(error), next_step=step, owner="admin")


class WuAction(ActionBase):  # type: ignore[misc]
    """An action of this collection. A subclass names its module and does its part in `perform`."""

    MODULE: ClassVar[str]
    SPEC: ClassVar[Mapping[str, Mapping[str, Any]]]
    WINDOWS_ONLY: ClassVar[bool] = True
    RULES: ClassVar[Mapping[str, Any]] = {}
    _supports_check_mode = True
    _supports_async = False
    _supports_diff = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "MODULE" in cls.__dict__:
            cls.SPEC = argument_spec(cls.MODULE)

    def perform(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Do what the module is for and return its result, `verdict` and `msg` among it."""
        raise NotImplementedError

    def refused(self, error: Exception) -> dict[str, Any]:
        """The result of a task that could not begin."""
        return ending(verdict_of_error(error))

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Validate, perform, and turn what goes wrong into one line. Called by ansible-core."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        self._vars = task_vars or {}
        try:
            if refusal := too_old(ansible_version):
                raise ActionError(refusal)
            options, shown = self._validated()
            done = self.perform(options)
            if "case" not in done:
                result["invocation"] = {"module_args": shown}
        except _ERRORS as error:
            # Without the arguments: the value that was refused may be a secret.
            done = self.refused(error)
        if not self._task.diff:
            done.pop("diff", None)
        return {**result, "changed": False, **done, "msg": line(done.get("msg", ""))}

    def _validated(self) -> tuple[Mapping[str, Any], dict[str, Any]]:
        """The options, and what of them may be shown."""
        given = dict(self._task.args)
        validated = ArgumentSpecValidator(dict(self.SPEC), **self.RULES).validate(given)
        if validated.error_messages:
            raise ActionError(f"{COLLECTION}.{self.MODULE}: {option_error(given, self.SPEC, self.RULES)}")
        if self.WINDOWS_ONLY and not getattr(self._connection._shell, "_IS_WINDOWS", False):
            raise ActionError(
                f"This is no Windows host: the connection {self._connection.transport} has a POSIX shell",
                "unsupported",
                "Take the host out of wu_repair_hosts, or give it a connection to Windows (winrm, psrp, ssh with ansible_shell_type).",
            )
        options: Mapping[str, Any] = validated.validated_parameters
        shown: dict[str, Any] = sanitize_keys(options, validated._no_log_values)
        for name in _NOT_REPEATED:
            if shown.get(name) is not None:
                shown[name] = "VALUE_NOT_REPEATED"
        return options, shown

    @property
    def host(self) -> str:
        """The host's name in the inventory."""
        return str(self._vars.get("inventory_hostname", "host"))

    def join(self, name: str, *parents: str) -> dict[str, Any]:
        """Put the host in a group of this run, for a later play; what must stand in the result for it.

        By the action of ansible.builtin.group_by, since a task of its own prints a line for every host that it is not for, and how an
        action changes the inventory differs between releases of ansible-core.
        """
        task = self._task.copy()
        task.args = {"key": name, "parents": list(parents) or ["all"]}
        loader = self._shared_loader_obj.action_loader
        action = loader.get(
            "ansible.builtin.group_by",
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        joined: dict[str, Any] = action.run(task_vars=self._vars)
        return {key: joined[key] for key in ("add_group", "parent_groups") if key in joined}

    def tried(self, result: Mapping[str, Any]) -> dict[str, Any]:
        """With the playbooks, put a host that was tried in a group: who is well then costs no further task."""
        if "wu_repair_unhealthy" not in (self._vars.get("group_names") or ()):
            return {}
        is_well = result["next"] == END and result["now"] in WELL and result["now"] not in (self._vars.get("wu_repair_fail_on") or ())
        if is_well:
            return self.join("wu_repair_cured", "wu_repair_tried")
        return self.join("wu_repair_tried")

    def evidence_file(self, run: str) -> HandOver:
        """Where the tasks of a case keep the evidence for each other."""
        return HandOver(Path(C.DEFAULT_LOCAL_TMP), self.host, run)


class InternalAction(ActionBase):  # type: ignore[misc]
    """Refuses a task that calls a program of the agent by its name."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Refuse. Called by ansible-core."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        why = f"{self._task.action} is internal: use winfleet.wu_repair.win_wu_info or one of the repair modules"
        return {**result, "changed": False, **ending(Verdict(name="failed", msg=why))}


# ----------------------------------------------------------------------------------------------------------------- results


def ending(judged: Verdict) -> dict[str, Any]:
    """The part of every result that says what it came to."""
    outcome_ = verdict.OUTCOME.get(judged.name, "failed")
    result: dict[str, Any] = {
        "verdict": judged.name,
        "msg": line(judged.msg),
        "next_step": judged.next_step,
        "owner": judged.owner,
        "repairs": list(judged.repairs),
        "attempts": list(judged.attempts),
        "failed": outcome_ == "failed",
    }
    if outcome_ == "unreachable":
        result["unreachable"] = True
    if judged.name == "unknown":
        result["warnings"] = [result["msg"]]
    return result


# So many hosts have a row among the artifacts of a job: AWX keeps them in one field of its database and hands them on as variables.
_MOST_ARTIFACTS = 100


def artifacts(row: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """What ansible.builtin.set_stats would return for a host that has ended: counted, and told where it is not well."""
    now = str(row["now"])
    data: dict[str, Any] = {"wu_repair_hosts": 1, f"wu_repair_{now}": 1}
    groups = variables.get("groups") or {}
    told = list(groups.get("wu_repair_unhealthy") or variables.get("ansible_play_hosts_all") or ())[:_MOST_ARTIFACTS]
    if now not in ("healthy", "repaired") and row.get("host") in told:
        data["wu_repair_rows"] = [{name: row.get(name) for name in ("host", "now", "why", "msg", "next_step", "owner")}]
    return {"ansible_stats": {"data": data, "per_host": False, "aggregate": True}}


def about(evidence: Evidence) -> dict[str, Any]:
    """What a report of many hosts says of each beside its verdict, at most 300 bytes; what is not known is left out."""
    host, offset = evidence.host, evidence.offset_to_controller()
    build = None if host.build is None else f"{host.build}.{host.revision or 0}"
    known = {
        "build": build,
        "edition": line(host.edition or "", 40),
        "last_search": evidence.sources.last_search,
        "last_install": evidence.sources.last_install,
        "free_bytes": evidence.disk.free,
        "controller_offset_ms": offset[0] if offset else None,
        "source_offset_ms": next((source.offset_ms for source in evidence.clock.sources if source.ok), None),
        "client_id": _client_id(evidence),
        "server": line(update_server(evidence), 100),
    }
    return {name: value for name, value in known.items() if value not in (None, "")}


def _client_id(evidence: Evidence) -> str | None:
    """The identity by which a WSUS knows the host, where the look read it."""
    for part in (evidence.sources, evidence.policy, evidence.host):
        for name in ("sus_client_id", "client_id"):
            value = getattr(part, name, None)
            if isinstance(value, str) and value:
                return line(value, 64)
    return None


def summary(evidence: Evidence) -> dict[str, Any]:
    """The host in a few values, at most 1.5 KB."""
    offset = evidence.offset_to_controller()
    asked = [source.offset_ms for source in evidence.clock.sources if source.ok]
    host = evidence.host
    return {
        "build": host.build,
        "revision": host.revision,
        "edition": host.edition,
        "product_type": host.product_type,
        "clock_offset_ms": asked[0] if asked else None,
        "controller_offset_ms": offset[0] if offset else None,
        "last_search": evidence.sources.last_search,
        "free_bytes": evidence.disk.free,
        "reboot": list(evidence.reboot.markers)[:12],
        "sections": {name: section.status for name, section in evidence.sections.items()},
    }
