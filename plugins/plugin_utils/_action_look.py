# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE. The actions that look at a host: by its case, in one task or from task to task."""

from __future__ import annotations

import contextlib
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ansible import context
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.utils.display import Display

from . import case as cases
from . import evidence as evidence_
from . import plan, verdict
from ._action import COLLECTION, WuAction, about, artifacts, ending, verdict_of_error
from ._agent import PATIENCE, SCAN, AgentError, LostError, observe_request, why_no_reply
from ._files import FileError, name_of_host, write_json
from ._options import OptionError, settings_of
from .case import Case, Look, Looked, Lost, Searched, TimedOut, line
from .case_document import CaseError, parse, parse_options, to_document
from .evidence import Evidence, EvidenceError
from .finding import as_text
from .repairs import BY_NAME, PROVED, Proof
from .report import FAILED, FAILED_KIND, connection
from .situation import size
from .steps import Step
from .verdict import Judged, Verdict

display = Display()


@dataclass
class Scene:
    """What one task knows of its host beside the case.

    Attributes:
        evidence: of the newest look, merged where only some sections were asked again.
        judged: what it came to.
        before: the look before each repair of this case, with the steps that were made, by the repair's name.
        written: when a task wrote the evidence down, Unix seconds; None for a look of this task.
    """

    evidence: Evidence | None = None
    judged: Judged | None = None
    before: dict[str, tuple[Evidence, tuple[Step, ...]]] | None = None
    written: int | None = None


class HostAction(WuAction):
    """An action that looks at a host."""

    def open(self, options: Mapping[str, Any]) -> Case:
        """Begin: with the case that an earlier task returned, or a new one."""
        self.settings = settings_of(options)
        given = options.get("case")
        self.scene = Scene(before={})
        self._in_case = given is not None
        if given is None:
            return cases.start(self.host, self._run_id(options), now=int(time.time()))
        if "schema" not in given:
            return cases.start(self.host, self._run_id(options), parse_options(given), int(time.time()))
        case = parse(given)
        if not plan.valid_run_id(case.run):
            raise CaseError("option case holds no run: pass what an earlier task returned as case")
        self._take_over(case)
        return case

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """With a case no fault of ours ends the role of a host without a word. Called by ansible-core."""
        try:
            return for_a_person(super().run(tmp, task_vars))
        except Exception as error:
            if not isinstance(self._task.args.get("case"), Mapping):
                raise
            display.vvv(traceback.format_exc())
            return self.refused(RuntimeError(f"a fault of {COLLECTION}, shown by -vvv: {type(error).__name__}: {error}"))

    def refused(self, error: Exception) -> dict[str, Any]:
        """With a case, a task that could not begin is an event of it."""
        given = self._task.args.get("case")
        if not isinstance(given, Mapping):
            return super().refused(error)
        judged = verdict_of_error(error)
        try:
            options = cases.Options() if "schema" in given else parse_options(given)
            case = parse(given) if "schema" in given else cases.start(self.host, plan.new_run_id(time.time()), options, int(time.time()))
        except CaseError:
            return super().refused(error)
        case = cases.advance(case, self.event_of_refusal(judged))
        return {**self._of_case(case), **self._known(case)}

    def _known(self, case: Case) -> dict[str, Any]:
        """What is known of a host that was not asked (no Windows, no rights), where the user wants evidence."""
        folder = self._task.args.get("evidence_dir")
        if hasattr(self, "scene") or not isinstance(folder, str):
            return {}
        self.scene = Scene()
        with contextlib.suppress(FileError):
            return self._save(case, {"evidence_dir": folder})
        return {}

    def event_of_refusal(self, judged: Verdict) -> cases.Event:
        """What a task that could not begin is to its case."""
        return Looked(Look(judged))

    def look(self, case: Case, options: Mapping[str, Any], sections: Sequence[str], times: int = 1) -> Case:
        """Look at the host, and again as long as the case wants to know more."""
        asked = tuple(sections)
        while True:
            case, expired = self._look_once(case, options, asked, times)
            if expired and not case.changed:
                # It had all the time of a task: it is not asked again.
                return cases.advance(case, Lost(case.why_lost))
            if case.next != cases.LOOK or expired:
                return case
            if case.lost:
                self.connect_anew()
            elif case.look is not None and case.look.timed_out:
                asked, times = case.look.timed_out, PATIENCE

    def _look_once(self, case: Case, options: Mapping[str, Any], sections: Sequence[str], times: int) -> tuple[Case, bool]:
        request = observe_request(options, sections, times)
        asked_ms = now_ms()
        try:
            reply = self.ask("wu_observe", request)
            seen = evidence_.from_reply(reply, asked_ms, now_ms())
        except LostError as error:
            if case.lost and error.verdict == "failed":
                return cases.advance(case, Looked(Look(verdict_of_error(error)))), False
            return cases.advance(case, Lost(line(error))), error.expired
        except (AgentError, EvidenceError) as error:
            return cases.advance(case, Looked(Look(verdict_of_error(error)))), False
        if times > 1:
            seen = merged(self.scene.evidence, seen)
        look = self.see(seen)
        proofs = self.proofs(case)
        if SCAN in sections:
            return cases.advance(case, Searched(look, proofs)), False
        if look.timed_out:
            return cases.advance(case, TimedOut(look, proofs)), False
        return cases.advance(case, Looked(look, proofs)), False

    def see(self, evidence: Evidence) -> Look:
        """Judge a look, which is the newest now."""
        repaired = tuple((name, before.now) for name, (before, _steps) in self.before().items() if before.now is not None)
        judged = verdict.look(evidence, replace(self.settings, repaired=repaired))
        self.scene.evidence, self.scene.judged, self.scene.written = evidence, judged, None
        waits = any(item.active and item.pending for item in judged.findings)
        return Look(judged.verdict, waits=waits, timed_out=judged.coverage.timed_out)

    def proofs(self, case: Case) -> dict[str, Proof]:
        """What the newest look says about the repairs of this case that are not proved yet."""
        after, judged = self.scene.evidence, self.scene.judged
        if after is None or judged is None:
            return {}
        found: dict[str, Proof] = {}
        for name, (before, steps) in self.before().items():
            known = case.proofs.get(name)
            if name in BY_NAME and (known is None or known.status != PROVED):
                earlier = verdict.look(before, self.settings).findings
                found[name] = BY_NAME[name].proof(before, after, earlier, judged.findings, steps, self.settings)
        return found

    def ask(self, program: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Run one of the two programs on the host and return its untrusted reply, which may be that it refused.

        Raises:
            AgentError: the program did not run, or gave no reply.
            LostError: the connection failed, or the task's time was over.
        """
        try:
            arguments = {"request": dict(request)}
            answer = self._execute_module(module_name=f"{COLLECTION}.{program}", module_args=arguments, task_vars=self._vars)
        except BaseException as error:
            raise _lost(error) from error
        reply = answer.get("reply")
        if answer.get("failed") or not isinstance(reply, Mapping):
            raise why_no_reply(answer)
        return dict(reply)

    def connect_anew(self) -> None:
        """Leave what remains of a connection that failed."""
        with contextlib.suppress(Exception):
            self._connection.close()
        time.sleep(1)

    # -- what goes from task to task

    def before(self) -> dict[str, tuple[Evidence, tuple[Step, ...]]]:
        return self.scene.before or {}

    def _take_over(self, case: Case) -> None:
        content = self.evidence_file(case.run).read()
        if content is None:
            return
        with contextlib.suppress(EvidenceError, KeyError, TypeError, AttributeError):
            self.scene.before = {name: _parse_before(item) for name, item in (content.get("before") or {}).items()}
            self.scene.evidence = evidence_.parse(content["evidence"])
            self.scene.written = content["written"]

    def hand_over(self, case: Case) -> None:
        """Keep the evidence for the next task of the case, or drop it where there is none."""
        if not self._in_case:
            return
        file = self.evidence_file(case.run)
        if case.ended:
            file.delete()
            return
        evidence = self.scene.evidence
        file.write(
            {
                "evidence": None if evidence is None else evidence.to_document(),
                "before": {name: _before_document(before, steps) for name, (before, steps) in self.before().items()},
            }
        )

    # -- results

    def result(self, case: Case, options: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
        """The result of a task: small with a case, whole without."""
        self.hand_over(case)
        path = self._save(case, options)
        if self._in_case:
            return {**self._of_case(case), **self._findings(active=True), **self._about(), **more, **path}
        came = cases.verdict_of(case)
        result = {**ending(came), **self._findings(active=False), **more, **path}
        wanted = options["return_evidence"]
        if self.scene.evidence is not None and (wanted == "always" or (wanted == "unhealthy" and _is_shown_with(came))):
            result["evidence"] = self.scene.evidence.to_document()
        return result

    def _of_case(self, case: Case) -> dict[str, Any]:
        """The row of the host, and the case for the next task. `changed` is of the task alone."""
        row = cases.row(case)
        ended = artifacts(row, self._vars) if case.ended else {}
        return {**row, "verdict": row["now"], "changed": False, "failed": False, "next": case.next, "case": to_document(case), **ended}

    def _about(self) -> dict[str, Any]:
        if self.scene.evidence is None:
            return {}
        return {"about": about(self.scene.evidence)}

    def _findings(self, *, active: bool) -> dict[str, Any]:
        if self.scene.judged is None:
            if active:
                return {}
            return {"findings": []}
        shown = [item.to_dict() for item in self.scene.judged.findings if item.active or not active]
        if active:
            shown = [_small(item) for item in shown]
        if shown or not active:
            return {"findings": shown}
        return {}

    def _save(self, case: Case, options: Mapping[str, Any]) -> dict[str, Any]:
        """Write the evidence where the user wants it: that of the first look, and beside it that after a change; else what is known."""
        folder = options.get("evidence_dir")
        if not folder or self.scene.written is not None:
            return {}
        name = name_of_host(self.host)
        folder = Path(folder).absolute()
        failed = folder / f"{name}{FAILED}"
        if self.scene.evidence is None:
            write_json(failed, {"schema": 1, "kind": FAILED_KIND, **cases.row(case)})
            return {"evidence_path": str(failed)}
        path = folder / f"{name}{'.after' if case.changed else ''}.json"
        write_json(path, self.scene.evidence.to_document())
        failed.unlink(missing_ok=True)
        return {"evidence_path": str(path)}

    @staticmethod
    def _run_id(options: Mapping[str, Any]) -> str:
        given = options.get("run_id")
        if given is None:
            return plan.new_run_id(time.time())
        if not plan.valid_run_id(given):
            raise OptionError("option run_id must look like 20261124T101530Z-1a2b3c; leave it out to have one made")
        return str(given)


def for_a_person(result: dict[str, Any]) -> dict[str, Any]:
    """What `ansible HOST -m MODULE` shows: it prints every key of a result, a line each, sorted. A playbook, and `-v`, has all of them.

    A finding has 27 keys. Each becomes a sentence, under a key that sorts after the verdict's own.
    """
    if not context.CLIARGS.get("module_name") or display.verbosity or "case" in result:
        return result
    left_out = ("findings", "attempts", "invocation")
    shown = {name: value for name, value in result.items() if name not in left_out and value not in (None, "", [])}
    if findings := result.get("findings"):
        counts = [item for item in findings if item["superseded_by"] is None]
        shown["seen"] = [line(f"{item['code'] or item['condition']}: {item['meaning']}", 160) for item in counts[:_MOST_SEEN]]
    if isinstance(result.get("summary"), dict):
        sections = {name: status for name, status in result["summary"]["sections"].items() if status != "ok"}
        shown["summary"] = {**result["summary"], "sections": sections, **_read_at_once(result["summary"])}
    return shown


def _read_at_once(known: Mapping[str, Any]) -> dict[str, str]:
    """Times as dates, bytes in their unit."""
    words = {"last_search": as_text(known["last_search"])}
    if known["free_bytes"] is not None:
        words["free_bytes"] = size(known["free_bytes"])
    return {name: text for name, text in words.items() if text}


_MOST_SEEN = 6


def merged(older: Evidence | None, newer: Evidence) -> Evidence:
    """One look out of two: what was asked again takes the place of what was seen before."""
    if older is None:
        return newer
    sections = {**older.sections, **newer.sections}
    # The controller's times belong to the clock that was read with them.
    timed = newer if newer.has("clock") else older
    return Evidence(timed.asked_ms, timed.answered_ms, sections)


_NOT_TRAVELLING = ("first_seen_text", "last_seen_text", "seen_in", "source", "subject")


def _small(finding: Mapping[str, Any]) -> dict[str, Any]:
    """A finding as it is in an event of a job: with its newest line, without what is empty, times as text and the log."""
    shown = {name: value for name, value in finding.items() if value and name not in _NOT_TRAVELLING}
    return {**shown, "lines": list(finding["lines"])[-1:]}


def _before_document(before: Evidence, steps: Sequence[Step]) -> dict[str, Any]:
    return {"evidence": before.to_document(), "steps": [{"kind": step.kind, "args": dict(step.args)} for step in steps]}


def _parse_before(item: Mapping[str, Any]) -> tuple[Evidence, tuple[Step, ...]]:
    return evidence_.parse(item["evidence"]), tuple(Step(step["kind"], step["args"]) for step in item["steps"])


def _is_shown_with(came: Verdict) -> bool:
    """Whether evidence helps beside the verdict. ansible shows a failed result whole: tens of kilobytes would bury its one line."""
    return came.name != "healthy" and verdict.OUTCOME.get(came.name) not in ("failed", "unreachable")


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def _lost(error: BaseException) -> Exception:
    """What an exception of ansible-core means for the program that was to run.

    Raises:
        BaseException: it is none of a connection or a program.
    """
    # Its module is private and has moved between releases of ansible-core.
    if type(error).__name__ == "TaskTimeoutError":
        return LostError(f"the task was given up: {line(error, 120)}", expired=True)
    if not isinstance(error, Exception):
        raise error
    if isinstance(error, AnsibleError) and not isinstance(error, AnsibleConnectionFailure):
        # A become that cannot be had, and a line that breaks while input is sent, look the same.
        return LostError(f"the agent could not be run: {line(error, 200)}", "failed")
    # Connections raise what their libraries raise; -vvv shows it whole.
    display.vvv(line(error, 2000))
    return LostError(connection(error) or type(error).__name__)
