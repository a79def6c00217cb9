# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE. The actions that may change a host: look, plan, check mode or apply, prove."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar

from ansible.utils.display import Display

from . import case as cases
from . import evidence as evidence_
from . import outcome, plan, verdict
from ._action_look import HostAction, now_ms
from ._agent import PATIENCE, SCAN, SECTIONS, AgentError, LostError, observe_request
from .case import Applied, Case, Declined, Look, Looked, Lost, Would, line
from .evidence import Evidence, EvidenceError
from .outcome import Outcome
from .plan import Plan
from .repairs import Proof
from .report import connection
from .verdict import Verdict

# Evidence that another task of this run left is acted on while it is so young; else the host is looked at first.
FRESH_S = 600
display = Display()


class ChangeAction(HostAction):
    """An action that may change a host: look, plan, check mode or apply, prove."""

    REPAIR: ClassVar[str]

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """With the playbooks, the host is in the group of those that were tried. Called by ansible-core."""
        result = super().run(tmp, task_vars)
        if "case" not in result:
            return result
        return {**result, **self.tried(result)}

    def extra(self, before: Evidence, after: Evidence | None) -> dict[str, Any]:
        """Return values of this module alone; `after` is there once something was tried."""
        return {}

    def event_of_refusal(self, judged: Verdict) -> cases.Event:
        """See HostAction."""
        return Declined(self.REPAIR, "failed", judged.msg)

    def perform(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """See WuAction."""
        case = self._seen(self.open(options), options)
        before, judged = self.scene.evidence, self.scene.judged
        if before is None or judged is None or not self._may_go_on(case):
            return self.result(case, options, {"run_id": case.run})
        planned = plan.build(self.REPAIR, before, judged.findings, options, case.run, self.settings)
        more: dict[str, Any] = {"run_id": case.run, **self.extra(before, None)}
        if planned.changes:
            more["diff"] = {"before": planned.diff[0], "after": planned.diff[1]}
            if planned.notes:
                more["warnings"] = list(planned.notes)
        refusal = self._refusal(planned)
        if refusal is not None:
            return self.result(cases.advance(case, refusal), options, more)
        if self._task.check_mode:
            said = cases.advance(case, Would(self.REPAIR, planned.would))
            result = self.result(said, options, {**more, "changed": True, "would": list(planned.would)})
            return {**result, "msg": line(f"{result['msg'].rstrip('.')}. Would {'; '.join(planned.would)}.")}
        case, done = self._apply(case, options, planned)
        return self.result(case, options, {**more, **done})

    def _seen(self, case: Case, options: Mapping[str, Any]) -> Case:
        """The case with evidence to act on: given, handed over, or looked for now."""
        given = options.get("evidence")
        if given is not None:
            return cases.advance(case, Looked(self.see(evidence_.parse(given))))
        if self.scene.evidence is not None and time.time() - (self.scene.written or 0) <= FRESH_S:
            written = self.scene.written
            self.see(self.scene.evidence)
            self.scene.written = written
            return case
        return self.look(case, options, SECTIONS)

    def _may_go_on(self, case: Case) -> bool:
        """Whether the host may be changed now: the case asks for it, or somebody called this module alone."""
        if case.options.mode != "look":
            return case.next == self.REPAIR
        return case.look is not None and verdict.OUTCOME.get(case.look.verdict.name) not in ("failed", "unreachable")

    def _refusal(self, planned: Plan) -> Declined | None:
        if planned.refused is not None:
            refused = planned.refused
            return Declined(self.REPAIR, refused.verdict, line(refused.sentence), refused.next_step, refused.owner)
        if planned.steps:
            return None
        notes = "; ".join(planned.notes)
        if not planned.reasons:
            return Declined(self.REPAIR, why=notes)
        return Declined(self.REPAIR, why=notes or f"{cases.deed(self.REPAIR)} is asked for, but there is nothing on the host to change")

    def _apply(self, case: Case, options: Mapping[str, Any], planned: Plan) -> tuple[Case, dict[str, Any]]:
        """Send the change; what came of it is an event of the case, whatever it is."""
        sections = (*SECTIONS, SCAN) if options["scan"] else SECTIONS
        try:
            # A host that cannot be reached at all: nothing has been sent to it.
            self._connection._connect()
        except Exception as error:
            return self._look_again(cases.advance(case, Lost(connection(error))), options), {}
        asked_ms = now_ms()
        before = self.scene.evidence
        if before is None:
            raise AssertionError("a plan was made from a look")
        self.scene.before = {**self.before(), self.REPAIR: (before, planned.steps)}
        try:
            reply: object = self.ask("wu_apply", planned.request(observe_request(options, sections)))
        except LostError as error:
            lost = cases.advance(case, Lost(line(error), self.REPAIR))
            return (lost if error.expired else self._look_again(lost, options)), {"changed": True}
        except AgentError as error:
            if error.verdict == "unsupported":
                return cases.advance(case, Declined(self.REPAIR, "failed", line(error))), {}
            unknown = cases.advance(case, Applied(self.REPAIR, changed=True, unknown=line(error)))
            return self._look_again(unknown, options), {"changed": True}
        return self._applied(case, options, planned, outcome.parse(reply), asked_ms)

    def _applied(
        self, case: Case, options: Mapping[str, Any], planned: Plan, came: Outcome, asked_ms: int
    ) -> tuple[Case, dict[str, Any]]:
        before = self.before()[self.REPAIR][0]
        stopped = plan.stopped(planned, came)
        if stopped is not None and (came.refused is not None or came.differs):
            declined = Declined(self.REPAIR, stopped.verdict, line(stopped.sentence), stopped.next_step, stopped.owner)
            return cases.advance(case, declined), {"differs": [dict(item) for item in came.differs]}
        look, proofs = self._judged_after(case, came, asked_ms)
        event = Applied(
            self.REPAIR,
            changed=came.changed,
            failed="" if stopped is None or came.unknown is not None else line(stopped.sentence),
            unknown=line(came.unknown or ""),
            backups=plan.backups(planned, came),
            deeds=plan.deeds(planned, came),
            look=look,
            proofs=proofs,
        )
        case = self._look_again(cases.advance(case, event), options)
        return case, self._account(case, planned, came, self.extra(before, None if look is None else self.scene.evidence))

    def _account(self, case: Case, planned: Plan, came: Outcome, extra: Mapping[str, Any]) -> dict[str, Any]:
        """What the agent did, for the result."""
        done: dict[str, Any] = {**extra, "changed": came.changed or came.unknown is not None, "did": list(plan.words(planned, came))}
        proof = case.proofs.get(self.REPAIR)
        if proof is not None:
            done["proof"] = proof.to_dict()
        if backups := plan.backups(planned, came):
            done["backups"] = list(backups)
        if warnings := plan.warnings(planned, came):
            done["warnings"] = list(warnings)
        return done

    def _judged_after(self, case: Case, came: Outcome, asked_ms: int) -> tuple[Look | None, dict[str, Proof]]:
        """The look after the change and what it proves. One that is missing or cannot be read spoils the proof and nothing else."""
        if came.sections is None:
            return None, {}
        try:
            look = self.see(evidence_.from_reply({"schema": 1, "op": "observe", "sections": came.sections}, asked_ms, now_ms()))
            return look, self.proofs(case)
        except EvidenceError:
            return None, {}
        except Exception as error:
            # The host is changed. Whatever is wrong with us must not lose what was done.
            display.warning(f"the look after the change could not be judged: {type(error).__name__}: {line(error, 200)}")
            return None, {}

    def _look_again(self, case: Case, options: Mapping[str, Any]) -> Case:
        """Look where the case wants it: after an answer that was lost, or where sections timed out."""
        if case.next != cases.LOOK:
            return case
        if case.look is not None and case.look.timed_out and not case.blind:
            return self.look(case, options, case.look.timed_out, PATIENCE)
        self.connect_anew()
        return self.look(case, options, SECTIONS)
