# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE. What every action of this collection shares: options, the agent, results. The only file here that imports ansible."""

from __future__ import annotations

import importlib
import json
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import sanitize_keys
from ansible.plugins.action import ActionBase

from . import evidence as evidence_
from . import findings as findings_
from . import hresult, plan, verdict

COLLECTION = "winfleet.wu_repair"
_ROOT = "ansible_collections.winfleet.wu_repair.plugins"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
ALWAYS = ("host", "services", "servicing", "reboot", "runs")
SECTIONS = (
    "host",
    "clock",
    "services",
    "history",
    "events",
    "reporting",
    "cbs",
    "servicing",
    "reboot",
    "policy",
    "sources",
    "cache",
    "disk",
    "upgrade",
    "runs",
)
SCAN = "scan"
# A byte budget a log: a CBS.log of 2 GB costs no more than one of this size.
LOG_BYTES = 4 * 1024 * 1024
_KNOWN_KEYS = {
    "aliases",
    "choices",
    "default",
    "description",
    "elements",
    "required",
    "suboptions",
    "type",
    "version_added",
}


class ActionError(Exception):
    """The task ends here, with one clear line and no change.

    Args:
        line: what is wrong and what to do, one sentence.
        name: the verdict to report.
    """

    def __init__(self, line: str, name: str = "failed") -> None:
        super().__init__(line)
        self.verdict = name


# ---------------------------------------------------------------------------------------------------------------- options


def argument_spec(module: str) -> dict[str, dict[str, Any]]:
    """Make the argument spec of a module of this collection from its documentation.

    Called while an action plugin is imported: that happens once, before ansible forks its workers.

    Raises:
        ValueError: the documentation says something this converter does not know, so that nothing is left unchecked.
    """
    documented = yaml.load(importlib.import_module(f"{_ROOT}.modules.{module}").DOCUMENTATION, _LOADER)
    options: dict[str, Any] = dict(documented.get("options") or {})
    for name in documented.get("extends_documentation_fragment") or ():
        fragment = importlib.import_module(f"{_ROOT}.doc_fragments.{name.rpartition('.')[2]}").ModuleDocFragment
        shared = yaml.load(fragment.DOCUMENTATION, _LOADER).get("options") or {}
        options = {**shared, **options}
    return {name: _option(f"{module}.{name}", option) for name, option in options.items()}


def _option(path: str, option: Mapping[str, Any]) -> dict[str, Any]:
    if unknown := set(option) - _KNOWN_KEYS:
        raise ValueError(f"{path}: documentation keys without a meaning for the argument spec: {', '.join(sorted(unknown))}")
    spec = {key: value for key, value in option.items() if key in ("type", "default", "elements", "required", "aliases")}
    if choices := option.get("choices"):
        spec["choices"] = list(choices)
    if suboptions := option.get("suboptions"):
        spec["options"] = {name: _option(f"{path}.{name}", value) for name, value in suboptions.items()}
    return spec


_RANGES = {
    "lookback": (1, 3650),
    "max_skew": (1, 86400),
    "stale_after": (1, 3650),
    "time_limit": (5, 3600),
    "scan_timeout": (5, 7200),
    "stop_timeout": (1, 3600),
    "keep_backups": (0, 1000),
}
_SERVER = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._:-]{0,252})(,0x[0-9a-fA-F]{1,2})?")

# core's messages quote the value; these keep the name of the option and drop the rest, since any value may be a secret.
_TYPE_ERROR = re.compile(
    r"(?:argument|Elements value for option) '(?P<name>[^']+)'.*?is of type.*?(?:convert to|to) (?P<type>\w+)", re.DOTALL
)
_VALUE_ERROR = re.compile(r"value of (?P<name>\w+) must be (?P<how>one of|one or more of): (?P<choices>.*?)(?:, got|\. Got|$)", re.DOTALL)
_UNSUPPORTED = re.compile(r"(?P<names>.+?)\. Supported parameters include: (?P<known>.+?)\.?$", re.DOTALL)


def _option_error(message: str, spec: Mapping[str, Mapping[str, Any]]) -> str:
    if match := _VALUE_ERROR.search(message):
        return f"option {match['name']} must be {match['how']}: {match['choices'].strip()}"
    if match := _UNSUPPORTED.search(message):
        names = ", ".join(name.strip() for name in match["names"].split(",") if name.strip() not in spec)
        return f"unknown option {names}; known are {', '.join(sorted(spec))}"
    if match := _TYPE_ERROR.search(message):
        wanted = spec.get(match["name"], {}).get("elements" if message.startswith("Elements") else "type", match["type"])
        return f"option {match['name']} must be of type {wanted}"
    # What is left names options only ("missing required arguments: ...", "mutually exclusive: a|b").
    return message if "got" not in message and "unable" not in message else "an option has a value of the wrong type"


def _one_line(text: object, limit: int = 300) -> str:
    line = " ".join(str(text).split())
    return line if len(line) <= limit else f"{line[: limit - 3]}..."


# ------------------------------------------------------------------------------------------------------------------ hints


def reported_codes(value: object) -> tuple[int, ...]:
    """Find the codes in what somebody reported: a code, a list of them, or the result of ansible.windows.win_updates.

    Raises:
        ActionError: a plain code that is none.
    """
    if value is None or value == "":
        return ()
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        in_text = _codes_in_text(value) if isinstance(value, str) and " " in value.strip() else ()
        try:
            return in_text or (hresult.normalise(value),)
        except hresult.HResultError as error:
            raise ActionError(
                "option reported must be an error code such as 0x80070002, a list of them or the result of win_updates"
            ) from error
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return tuple(dict.fromkeys(code for item in value for code in reported_codes(item)))
    if isinstance(value, Mapping):
        return tuple(dict.fromkeys(_codes_in_result(value)))
    raise ActionError("option reported must be an error code such as 0x80070002, a list of them or the result of win_updates")


def _codes_in_text(text: str) -> tuple[int, ...]:
    return tuple(int(found, 16) for found in re.findall(r"0x([89ACac][0-9A-Fa-f]{7})\b", text))


def _codes_in_result(value: object) -> list[int]:
    if isinstance(value, Mapping):
        found: list[int] = []
        for key, item in value.items():
            if key in ("failure_hresult_code", "hresult") and isinstance(item, int) and not isinstance(item, bool) and item:
                found.append(item & 0xFFFFFFFF)
            else:
                found += _codes_in_result(item)
        return found
    if isinstance(value, str):
        return list(_codes_in_text(value))
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [code for item in value for code in _codes_in_result(item)]
    return []


# ---------------------------------------------------------------------------------------------------------------- actions


class WuAction(ActionBase):  # type: ignore[misc]
    """An action of this collection. A subclass names its module and does its part in `perform`."""

    MODULE: ClassVar[str]
    SPEC: ClassVar[Mapping[str, Mapping[str, Any]]]
    WINDOWS_ONLY: ClassVar[bool] = True
    NO_LOG: ClassVar[frozenset[str]] = frozenset()
    RULES: ClassVar[Mapping[str, Any]] = {}
    _supports_check_mode = True
    _supports_async = False
    _supports_diff = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "MODULE" in cls.__dict__:
            spec = argument_spec(cls.MODULE)
            cls.SPEC = {name: {**option, "no_log": True} if name in cls.NO_LOG else option for name, option in spec.items()}

    def perform(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Do what the module is for and return its result, `verdict` and `msg` among it."""
        raise NotImplementedError

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Validate, refuse, perform, and turn what goes wrong into one line. Called by ansible-core."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        self._vars = task_vars or {}
        try:
            validated = ArgumentSpecValidator(dict(self.SPEC), **self.RULES).validate(dict(self._task.args))
            if validated.error_messages:
                raise ActionError(f"{COLLECTION}.{self.MODULE}: {_option_error(validated.error_messages[0], self.SPEC)}")
            if self.WINDOWS_ONLY and not getattr(self._connection._shell, "_IS_WINDOWS", False):
                raise ActionError(
                    f"not a Windows host: the connection {self._connection.transport} has a POSIX shell; use winrm, psrp or ssh to Windows",
                    "unsupported",
                )
            options = validated.validated_parameters
            result["invocation"] = {"module_args": sanitize_keys(options, validated._no_log_values)}
            # A dictionary that came from another look is input, not something to print again.
            for name in ("evidence", "reported"):
                if result["invocation"]["module_args"].get(name) is not None:
                    result["invocation"]["module_args"][name] = "VALUE_NOT_REPEATED"
            done = self.perform(options)
            if not self._task.diff:
                done.pop("diff", None)
            return {**result, "changed": False, **done}
        except ActionError as error:
            # The value that was refused may be a secret, and ansible-core 2.21 registers this key of a failed task.
            result.pop("invocation", None)
            return {
                **result,
                "changed": False,
                "failed": verdict.is_failure(error.verdict),
                "verdict": error.verdict,
                "msg": _one_line(error),
            }

    # -- the agent

    def agent(self, program: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Run one of the two programs on the host and return its untrusted reply, which may be that it refused.

        Raises:
            ActionError: the program did not run; one line says why.
            AnsibleConnectionFailure: the host could not be reached.
        """
        answer = self._execute_module(module_name=f"{COLLECTION}.{program}", module_args={"request": dict(request)}, task_vars=self._vars)
        reply = answer.get("reply")
        if answer.get("failed") or not isinstance(reply, Mapping):
            raise ActionError(*_why_no_reply(answer))
        return dict(reply)

    def observe_request(self, options: Mapping[str, Any], sections: Sequence[str]) -> dict[str, Any]:
        """Make the request for a look."""
        return {
            "schema": 1,
            "op": "observe",
            "sections": list(sections),
            "lookback_s": options["lookback"] * 86400,
            "budget_ms": options["time_limit"] * 1000,
            "scan_ms": options["scan_timeout"] * 1000,
            "sntp_ms": 1000,
            "connect_ms": 1500,
            "log_bytes": LOG_BYTES,
            "servers": [],
        }

    def look(self, options: Mapping[str, Any], sections: Sequence[str]) -> evidence_.Evidence:
        """Look at the host, in one PowerShell process."""
        asked = time.time_ns() // 1_000_000
        reply = self.agent("wu_observe", self.observe_request(options, sections))
        answered = time.time_ns() // 1_000_000
        evidence: evidence_.Evidence = checked(evidence_.from_reply, reply, asked, answered)
        return evidence

    @staticmethod
    def settings(options: Mapping[str, Any]) -> findings_.Settings:
        """Take from the options what the findings depend on."""
        for name, (least, most) in _RANGES.items():
            if name in options and not least <= options[name] <= most:
                raise ActionError(f"option {name} must be a number from {least} to {most}")
        for server in options.get("servers") or ():
            if not _SERVER.fullmatch(server):
                raise ActionError("option servers must hold names or addresses such as ntp1.example.com or ntp1.example.com,0x9")
        if options.get("source") == "ntp" and options.get("servers") == []:
            raise ActionError("option servers must not be empty with source: ntp")
        return findings_.Settings(
            max_skew_s=options["max_skew"],
            stale_days=options["stale_after"],
            reference=options.get("reference", "source"),
            reported=reported_codes(options.get("reported")),
        )

    def assert_usable(self, evidence: evidence_.Evidence) -> None:
        """Refuse a host whose agent may not see or do what it has to.

        Raises:
            ActionError: with the verdict `unsupported`.
        """
        host = evidence.data("host")
        if host.get("elevated") is False:
            raise ActionError(
                "the account has no administrator rights on the host: connect as a local administrator, or become one", "unsupported"
            )
        if host.get("language_mode") not in (None, "FullLanguage"):
            raise ActionError(
                f"PowerShell runs in {host['language_mode']} on the host: an application control policy wants signed modules", "unsupported"
            )


def checked(function: Any, *arguments: Any) -> Any:
    """Call a reader of untrusted input; what it refuses ends the task with its line."""
    try:
        return function(*arguments)
    except (evidence_.EvidenceError, plan.OutcomeError) as error:
        raise ActionError(str(error)) from error


def _why_no_reply(answer: Mapping[str, Any]) -> tuple[str, str]:
    """Turn core's account of a program that gave no reply into one line and a verdict."""
    said = " ".join(str(answer.get(key) or "") for key in ("msg", "module_stdout", "module_stderr", "exception"))
    if "ConstrainedLanguage" in said or "not trusted" in said:
        return "PowerShell runs in ConstrainedLanguage on the host: an application control policy wants signed modules", "unsupported"
    if "requires PowerShell v5.1" in said or "#requires" in said.lower():
        return "the host has no Windows PowerShell 5.1 or newer: install WMF 5.1", "unsupported"
    if "is not recognized as" in said or "interpreter" in said and "not found" in said:
        return "the host has no PowerShell: install Windows PowerShell 5.1", "unsupported"
    out = _one_line(answer.get("module_stdout") or "", 120)
    if "deserialization failed" in said or not answer.get("failed"):
        return (
            f"the host answered something that is no reply of the agent{f' ({out!r})' if out else ''}; try ansible.windows.win_ping on it",
            "failed",
        )
    return f"the agent did not run on the host: {_one_line(answer.get('msg'), 200)}", "failed"


# ---------------------------------------------------------------------------------------------------------------- results


def findings_result(found: Sequence[findings_.Finding], judged: verdict.Verdict) -> dict[str, Any]:
    """The part of a result that says what was found and what it came to."""
    return {
        "verdict": judged.name,
        "failed": verdict.is_failure(judged.name),
        "msg": judged.sentence,
        "asks": list(judged.asks),
        "findings": [finding.to_dict() for finding in found],
    }


def summary(evidence: evidence_.Evidence) -> dict[str, Any]:
    """The host in a few values, at most 1.5 KB."""
    host, clock, sources = (evidence.data(name) for name in ("host", "clock", "sources"))
    offset = evidence.offset_to_controller()
    asked = [source["offset_ms"] for source in clock.get("sources") or () if source.get("ok")]
    return {
        "build": host.get("build"),
        "revision": host.get("revision"),
        "edition": host.get("edition"),
        "product_type": host.get("product_type"),
        "clock_offset_ms": asked[0] if asked else None,
        "controller_offset_ms": offset[0] if offset else None,
        "last_search": sources.get("last_search"),
        "free_bytes": evidence.data("disk").get("free"),
        "reboot": list(evidence.data("reboot").get("markers") or ())[:12],
        "sections": {name: section.status for name, section in evidence.sections.items()},
    }


class ChangeAction(WuAction):
    """An action that may change a host: look, plan, check mode or apply, prove, judge."""

    RUNG: ClassVar[str]

    def extra(self, before: evidence_.Evidence, after: evidence_.Evidence | None) -> dict[str, Any]:
        """Return values of this module alone; `after` is there once something was tried."""
        return {}

    def perform(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """See WuAction."""
        settings = self.settings(options)
        run_id = self._run_id(options.get("run_id"))
        given = options.get("evidence")
        before = checked(evidence_.parse, given) if given is not None else self.look(options, SECTIONS)
        self.assert_usable(before)
        found = findings_.find(before, settings)
        planned = plan.build(self.RUNG, before, found, options, run_id, settings)
        result: dict[str, Any] = {"run_id": run_id, **self.extra(before, None)}
        if not planned.changes:
            judged = verdict.judge_repair(planned, None, before, None, found, None)
            return {**result, **self._result(before, found, judged)}
        diff = {"before": planned.diff[0], "after": planned.diff[1]}
        if self._task.check_mode:
            judged = verdict.judge_repair(planned, None, before, None, found, None)
            return {**result, **self._result(before, found, judged), "changed": True, "would": list(planned.would), "diff": diff}
        return {**result, **self._apply(options, settings, before, found, planned), "diff": diff}

    def _apply(
        self,
        options: Mapping[str, Any],
        settings: findings_.Settings,
        before: evidence_.Evidence,
        found: Sequence[findings_.Finding],
        planned: plan.Plan,
    ) -> dict[str, Any]:
        sections = (*SECTIONS, SCAN) if options["scan"] else SECTIONS
        # A host that cannot be reached at all is unreachable, as with any module: nothing has been sent to it.
        self._connection._connect()
        asked = time.time_ns() // 1_000_000
        try:
            reply = self.agent("wu_apply", planned.request(self.observe_request(options, sections)))
        except ActionError as error:
            if error.verdict == "unsupported":
                raise
            raise ActionError(f"{error}; how far run {planned.run_id} came is unknown, look again") from error
        except Exception as error:
            # Connections raise what their libraries raise. Whether the host received the request, and how far it came, nobody knows, and
            # unreachable would say that nothing happened.
            line = f"the connection was lost while run {planned.run_id} changed the host: its outcome is unknown, look again"
            raise ActionError(line) from error
        answered = time.time_ns() // 1_000_000
        outcome = checked(plan.parse_outcome, reply)
        after, found_after = None, None
        if outcome.sections is not None:
            after = checked(evidence_.from_reply, {"schema": 1, "op": "observe", "sections": outcome.sections}, asked, answered)
            found_after = findings_.find(after, settings)
        judged = verdict.judge_repair(planned, outcome, before, after, found, found_after)
        result = {
            **self._result(after or before, found if found_after is None else found_after, judged),
            "changed": outcome.changed,
            "did": list(plan.words(planned, outcome)),
            **self.extra(before, after),
        }
        if outcome.differs:
            result["differs"] = [dict(item) for item in outcome.differs]
        if judged.proof is not None:
            result["proof"] = judged.proof.to_dict()
        if backups := plan.backups(planned, outcome):
            result["backups"] = list(backups)
        return result

    @staticmethod
    def _result(evidence: evidence_.Evidence, found: Sequence[findings_.Finding], judged: verdict.Verdict) -> dict[str, Any]:
        result = findings_result(found, judged)
        # ansible shows the whole result of a failed task; tens of kilobytes of evidence would bury its one line.
        if judged.name != "healthy" and not verdict.is_failure(judged.name):
            result["evidence"] = evidence.to_document()
        return result

    @staticmethod
    def _run_id(given: str | None) -> str:
        if given is None:
            return plan.new_run_id(time.time())
        if not plan.valid_run_id(given):
            raise ActionError("option run_id must look like 20261124T101530Z-1a2b3c; leave it out to have one made")
        return str(given)


class InternalAction(ActionBase):  # type: ignore[misc]
    """Refuses a task that calls a program of the agent by its name."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Refuse. Called by ansible-core."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        name = self._task.action
        return {
            **result,
            "failed": True,
            "changed": False,
            "msg": f"{name} is internal: use winfleet.wu_repair.win_wu_info or one of the repair modules",
        }


def write_json(path: Path, document: object) -> None:
    """Write a file on the controller whole or not at all.

    Raises:
        ActionError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        part.write_text(json.dumps(document, indent=1, sort_keys=True), "utf-8")
        part.replace(path)
    except OSError as error:
        raise ActionError(f"cannot write {path} on the controller: {error.strerror}") from error
