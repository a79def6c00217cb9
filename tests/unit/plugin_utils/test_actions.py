# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The actions against a simulated host whose answers are lost, cut or odd: what the result says, and what the next task is told."""

from __future__ import annotations

import copy
import json
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible import constants
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible_collections.winfleet.wu_repair.plugins.action import win_timesync, win_wu_info, win_wu_reset, wu_case
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import _action, _agent, _files, _options, situation
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils._files import HandOver
from lab.model_apply import Applier
from lab.sim import Sim

RUN = "20261124T101530Z-1a2b3c"
FIX = {"mode": "routed", "repairs": ["timesync", "reset", "osupgrade"], "search": True}
Answer = Callable[[dict[str, Any]], dict[str, Any]]


class TaskTimeoutError(BaseException):
    """What ansible-core's own looks like: by its name, since its module moved."""


class Host:
    """A simulated Windows that actions act on; `spoil` holds for each program what becomes of its next answers."""

    def __init__(self, scenario: str, folder: Path) -> None:
        self.sim = Sim.load(scenario, folder, "web01")
        self._agent = Applier(self.sim.call)
        self.spoil: dict[str, list[Answer | BaseException | None]] = {"wu_observe": [], "wu_apply": []}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.connected = True

    def execute(self, module_name: str = "", module_args: Any = None, **_more: Any) -> dict[str, Any]:
        """As ActionBase._execute_module."""
        program = module_name.rpartition(".")[2]
        request = json.loads(json.dumps(module_args["request"]))
        self.asked.append((program, request))
        answers = {"wu_observe": self._agent.observe, "wu_apply": self._agent.apply}
        spoilt = self.spoil[program].pop(0) if self.spoil[program] else None
        if isinstance(spoilt, BaseException) and program == "wu_observe":
            raise spoilt
        reply = json.loads(json.dumps(answers[program](request)))
        if isinstance(spoilt, BaseException):
            raise spoilt
        return {"reply": reply} if spoilt is None else spoilt({"reply": reply})

    def connect(self) -> None:
        """As Connection._connect."""
        if not self.connected:
            raise AnsibleConnectionFailure("no route to host")

    def run(self, action: Any, arguments: dict[str, Any] | None = None, *, check: bool = False, shell: bool = True) -> dict[str, Any]:
        """Run one task."""
        task = SimpleNamespace(args=arguments or {}, diff=False, check_mode=check, async_val=0, action="test", environment=[])
        connection = SimpleNamespace(
            transport="winrm", _shell=SimpleNamespace(tmpdir=None, _IS_WINDOWS=shell), _connect=self.connect, close=lambda: None
        )
        made = action.ActionModule(task, connection, SimpleNamespace(), SimpleNamespace(), SimpleNamespace(), SimpleNamespace())
        made._execute_module = self.execute
        done: dict[str, Any] = made.run(None, {"inventory_hostname": "web01"})
        assert done["verdict"]
        assert isinstance(done["msg"], str)
        assert len(done["msg"]) <= 300
        assert done["msg"].isprintable()
        return done


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path / "ansible"))
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    made = Host("german-host", tmp_path / "host")
    yield made
    made.sim.close()


def handed_over(tmp_path: Path) -> list[Path]:
    """The files that tasks keep for each other."""
    return sorted((tmp_path / "ansible").glob("*")) if (tmp_path / "ansible").exists() else []


# --- a look ---


def test_a_look_whose_connection_failed_is_repeated_once(host: Host) -> None:
    host.spoil["wu_observe"] = [AnsibleConnectionFailure("read timed out\nafter 20 s")]
    result = host.run(win_wu_info)
    assert (result["verdict"], len(host.asked)) == ("sick", 2)


def test_a_host_that_is_silent_twice_is_unreachable(host: Host) -> None:
    host.spoil["wu_observe"] = [ConnectionResetError("reset"), AnsibleConnectionFailure("x" * 5000 + "\n\x1b[31mred")]
    result = host.run(win_wu_info)
    assert (result["verdict"], result["unreachable"], result["changed"], len(host.asked)) == ("unreachable", True, False, 2)


def test_a_task_whose_time_is_over_is_not_begun_again(host: Host) -> None:
    host.spoil["wu_observe"] = [TaskTimeoutError("Timed out after 900 second(s).")]
    result = host.run(win_wu_info, {"case": FIX})
    assert (result["verdict"], result["next"], len(host.asked)) == ("unreachable", "end", 1)
    assert "failed" not in result or result["failed"] is False
    assert not result.get("unreachable")


def test_an_interrupt_is_no_event(host: Host) -> None:
    host.spoil["wu_observe"] = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        host.run(win_wu_info, {"case": FIX})


def test_an_agent_that_cannot_be_run_is_a_failure_and_no_unreachable_host(host: Host) -> None:
    host.spoil["wu_observe"] = [AnsibleError("winrm send_input failed")]
    assert host.run(win_wu_info)["verdict"] == "sick"
    host.asked.clear()
    host.spoil["wu_observe"] = [AnsibleError("no become plugin")] * 2
    result = host.run(win_wu_info)
    assert (result["verdict"], result["failed"], len(host.asked)) == ("failed", True, 2)


def late(*names: str) -> Answer:
    """An answer in which sections ran out of time."""

    def change(answer: dict[str, Any]) -> dict[str, Any]:
        for name in names:
            answer["reply"]["sections"][name] = {"status": "timeout", "ms": 1, "why": "no answer in time", "data": None}
        return answer

    return change


def test_what_timed_out_is_asked_once_more_with_three_times_the_budget(host: Host) -> None:
    host.spoil["wu_observe"] = [late("cbs", "cache")]
    result = host.run(win_wu_info, {"time_limit": 20, "return_evidence": "always"})
    assert [request["sections"] for _program, request in host.asked[1:]] == [["cbs"]]
    assert [request["budget_ms"] for _program, request in host.asked] == [20_000, 60_000]
    sections = result["evidence"]["sections"]
    assert (sections["cbs"]["status"], sections["cache"]["status"], sections["events"]["status"]) == ("ok", "timeout", "ok")
    assert result["verdict"] == "sick"


def test_what_times_out_twice_stays_unknown(host: Host) -> None:
    host.spoil["wu_observe"] = [late("services"), late("services"), late("services")]
    result = host.run(win_wu_info, {"return_evidence": "always"})
    assert len(host.asked) == 2
    assert result["evidence"]["sections"]["services"]["status"] == "timeout"


def test_lookback_reaches_as_far_as_behind_after(host: Host) -> None:
    host.run(win_wu_info, {"lookback": 10, "behind_after": 60})
    assert host.asked[0][1]["lookback_s"] == 60 * 86400


def test_a_posix_shell_is_unsupported_and_with_a_case_no_failure(host: Host, tmp_path: Path) -> None:
    alone = host.run(win_wu_info, shell=False)
    assert (alone["verdict"], alone["failed"]) == ("unsupported", True)
    inside = host.run(win_wu_info, {"case": FIX, "evidence_dir": str(tmp_path / "evidence")}, shell=False)
    assert (inside["verdict"], inside["failed"], inside["next"]) == ("unsupported", False, "end")
    kept = json.loads((tmp_path / "evidence" / "web01.failed.json").read_text("utf-8"))
    assert (kept["now"], kept["msg"], kept["run_id"]) == ("unsupported", inside["msg"], inside["run_id"])
    assert inside["run_id"]


def test_a_wrong_option_is_an_event_of_the_case(host: Host) -> None:
    result = host.run(win_wu_info, {"case": FIX, "max_skew": "abc"})
    assert (result["verdict"], result["failed"], result["next"]) == ("failed", False, "end")
    assert "option max_skew must be of type int" in result["msg"]


# --- a change ---


def reset(host: Host, **arguments: Any) -> dict[str, Any]:
    """A reset by the evidence of a look."""
    look = host.run(win_wu_info, {"return_evidence": "always"})
    host.asked.clear()
    return host.run(win_wu_reset, {"evidence": look, "run_id": RUN, **arguments})


def test_the_whole_result_of_a_look_is_taken_as_evidence(host: Host) -> None:
    result = reset(host)
    assert (result["verdict"], result["changed"]) == ("repaired", True)
    assert [program for program, _request in host.asked] == ["wu_apply"]
    assert result["backups"] == [rf"C:\Windows\SoftwareDistribution{situation.backup_ending(RUN)}"]


def test_a_result_without_evidence_is_told_what_to_pass(host: Host) -> None:
    result = host.run(win_wu_reset, {"evidence": host.run(win_wu_info, {"return_evidence": "never"})})
    assert result["failed"] is True
    assert "return_evidence" in result["msg"]


def odd_after_look(answer: dict[str, Any]) -> dict[str, Any]:
    """Sections that are none."""
    answer["reply"]["sections"] = [1, 2, 3]
    return answer


def no_after_look(answer: dict[str, Any]) -> dict[str, Any]:
    """No look after the change."""
    answer["reply"]["sections"] = None
    return answer


@pytest.mark.parametrize("spoil", [odd_after_look, no_after_look])
def test_a_bad_look_after_a_change_spoils_the_proof_alone(host: Host, spoil: Answer) -> None:
    host.spoil["wu_apply"] = [spoil]
    result = reset(host)
    assert (result["verdict"], result["changed"], result["failed"]) == ("unproven", True, False)
    assert result["did"]
    assert (result["run_id"], len(result["backups"])) == (RUN, 1)


def test_a_fault_of_ours_after_a_change_does_not_lose_what_was_done(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    look = host.run(win_wu_info, {"return_evidence": "always"})

    def broken(*_arguments: Any) -> dict[str, Any]:
        raise ZeroDivisionError

    monkeypatch.setattr(win_wu_reset.ActionModule, "proofs", broken)
    monkeypatch.setattr(win_wu_reset.ActionModule, "_look_once", broken)
    result = host.run(win_wu_reset, {"evidence": look, "run_id": RUN})
    assert (result["verdict"], result["changed"], len(result["backups"])) == ("unproven", True, 1)


def test_a_fault_of_ours_is_an_event_of_the_case(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(win_wu_info.ActionModule, "see", broken)
    result = host.run(win_wu_info, {"case": FIX})
    assert (result["verdict"], result["failed"], result["next"]) == ("failed", False, "end")
    assert "ZeroDivisionError" in result["msg"]
    with pytest.raises(ZeroDivisionError):
        host.run(win_wu_info)


def odd_outcome(answer: dict[str, Any]) -> dict[str, Any]:
    """An account that makes no sense."""
    answer["reply"]["steps"] = "many"
    answer["reply"]["changed"] = "perhaps"
    return answer


def no_reply(answer: dict[str, Any]) -> dict[str, Any]:
    """Rubbish instead of a reply."""
    return {"failed": True, "msg": "Module result deserialization failed.", "module_stdout": "%%%%" * 400, "rc": 0}


@pytest.mark.parametrize("spoil", [odd_outcome, no_reply, AnsibleConnectionFailure("gone"), OSError("reset by peer")])
def test_an_outcome_that_nobody_knows_is_a_change_and_is_looked_at(host: Host, spoil: Answer | BaseException) -> None:
    host.spoil["wu_apply"] = [spoil]
    result = reset(host)
    assert (result["verdict"], result["changed"], result["failed"]) == ("failed", True, True)
    assert RUN in result["msg"]
    assert "outcome is unknown" in result["msg"]
    assert result["run_id"] == RUN


def test_a_change_whose_answer_is_lost_is_looked_at_in_the_same_task(host: Host) -> None:
    host.spoil["wu_apply"] = [AnsibleConnectionFailure("gone")]
    result = reset(host)
    assert [program for program, _request in host.asked] == ["wu_apply", "wu_observe"]
    assert "a look after it says" in result["msg"]


def test_a_change_whose_time_is_over_is_looked_at_by_the_next_task(host: Host) -> None:
    case = host.run(win_wu_info, {"case": FIX})["case"]
    host.spoil["wu_apply"] = [TaskTimeoutError("Timed out")]
    given_up = host.run(win_wu_reset, {"case": case})
    assert (given_up["verdict"], given_up["changed"], given_up["next"]) == ("failed", True, "look")
    looked = host.run(win_wu_info, {"case": given_up["case"]})
    assert (looked["verdict"], looked["next"], looked["case"]["changed"]) == ("failed", "end", True)


def test_a_host_that_cannot_be_reached_before_a_change_is_unreachable_and_unchanged(host: Host) -> None:
    look = host.run(win_wu_info, {"return_evidence": "always"})
    host.connected = False
    host.spoil["wu_observe"] = [AnsibleConnectionFailure("no route")] * 2
    result = host.run(win_wu_reset, {"evidence": look})
    assert (result["verdict"], result["unreachable"], result["changed"]) == ("unreachable", True, False)
    assert "wu_apply" not in [program for program, _request in host.asked]


def test_check_mode_says_what_it_would_do(host: Host) -> None:
    result = host.run(win_wu_reset, check=True)
    assert (result["verdict"], result["changed"]) == ("sick", True)
    assert "SoftwareDistribution" in result["msg"]
    assert "wu_apply" not in [program for program, _request in host.asked]


# --- from task to task ---


def test_evidence_goes_from_task_to_task_by_a_file_of_its_owner(host: Host, tmp_path: Path) -> None:
    first = host.run(win_wu_info, {"case": FIX})
    assert (first["verdict"], first["next"]) == ("sick", "reset")
    assert "evidence" not in first
    (file,) = handed_over(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    content = json.loads(file.read_text("utf-8"))
    assert (content["host"], content["run"], content["version"]) == ("web01", first["case"]["run"], _files.VERSION)
    host.asked.clear()
    second = host.run(win_wu_reset, {"case": first["case"]})
    assert (second["verdict"], second["next"], second["changed"]) == ("repaired", "end", True)
    assert [program for program, _request in host.asked] == ["wu_apply"]
    assert handed_over(tmp_path) == []


def test_a_healthy_host_leaves_no_file_and_says_little(host: Host, tmp_path: Path) -> None:
    case = host.run(win_wu_info, {"case": FIX})["case"]
    host.run(win_wu_reset, {"case": case})
    result = host.run(win_wu_info, {"case": FIX})
    assert (result["verdict"], result["next"]) == ("healthy", "end")
    assert len(json.dumps(result)) < 1500
    assert handed_over(tmp_path) == []


def test_evidence_of_another_host_or_run_is_not_believed(host: Host, tmp_path: Path) -> None:
    first = host.run(win_wu_info, {"case": FIX})
    (file,) = handed_over(tmp_path)
    content = json.loads(file.read_text("utf-8"))
    for key, value in (("host", "db01"), ("run", "20200101T000000Z-aaaaaa"), ("version", 0)):
        file.write_text(json.dumps({**content, key: value}), "utf-8")
        assert HandOver(tmp_path / "ansible", "web01", first["case"]["run"]).read() is None
    host.asked.clear()
    assert host.run(win_wu_reset, {"case": first["case"]})["verdict"] == "repaired"
    assert [program for program, _request in host.asked] == ["wu_observe", "wu_apply"]


def test_evidence_that_has_become_old_is_looked_at_anew(host: Host, tmp_path: Path) -> None:
    first = host.run(win_wu_info, {"case": FIX})
    (file,) = handed_over(tmp_path)
    content = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps({**content, "written": content["written"] - 700}), "utf-8")
    host.asked.clear()
    host.run(win_wu_reset, {"case": first["case"]})
    assert [program for program, _request in host.asked] == ["wu_observe", "wu_apply"]


def test_a_look_of_this_run_is_taken_over_and_no_other(host: Host, tmp_path: Path) -> None:
    first = host.run(win_wu_info, {"case": FIX})
    host.asked.clear()
    taken = host.run(win_wu_info, {"case": FIX, "seen": copy.deepcopy(first)})
    assert (taken["case"], host.asked) == (first["case"], [])
    handed_over(tmp_path)[0].unlink()
    assert host.run(win_wu_info, {"case": FIX, "seen": first})["case"]["run"] != first["case"]["run"]
    assert len(host.asked) == 1


def test_a_repair_that_the_case_does_not_ask_for_is_not_made(host: Host) -> None:
    case = host.run(win_wu_info, {"case": FIX})["case"]
    host.asked.clear()
    result = host.run(win_timesync, {"case": case, "resync": "always"})
    assert (result["changed"], result["next"]) == (False, "reset")
    assert "wu_apply" not in [program for program, _request in host.asked]


def test_saved_evidence_is_its_owners_alone_and_that_of_the_fault_stays(host: Host, tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    case = host.run(win_wu_info, {"case": FIX, "evidence_dir": str(folder)})["case"]
    host.run(win_wu_reset, {"case": case, "evidence_dir": str(folder)})
    assert sorted(path.name for path in folder.iterdir()) == ["web01.after.json", "web01.json"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    _files.write_json(target, {"a": 1})
    with pytest.raises(TypeError):
        _files.write_json(target, {"a": object()})
    assert json.loads(target.read_text("utf-8")) == {"a": 1}
    with pytest.raises(_files.FileError, match="cannot write"):
        _files.write_json(tmp_path / "a.json" / "b.json", {})


# --- the end of a case ---


def test_the_end_of_a_case_is_the_row_and_fails_by_the_verdict(host: Host, tmp_path: Path) -> None:
    case = host.run(win_wu_info, {"case": {**FIX, "repairs": []}})["case"]
    assert case["verdict"] == "unresolved"
    kept = host.run(wu_case, {"case": case})
    assert (kept["failed"], kept["was"], kept["now"], kept["changed"]) == (False, "sick", "unresolved", False)
    failed = host.run(wu_case, {"case": case, "fail_on": ["unresolved"]})
    assert failed["failed"] is True
    assert failed["msg"].startswith("unresolved: ")
    assert handed_over(tmp_path) == []


def test_the_old_name_of_needs_action_is_understood(host: Host, tmp_path: Path) -> None:
    store = Host("component-store", tmp_path / "store")
    case = store.run(win_wu_info, {"case": FIX})["case"]
    store.sim.close()
    assert case["verdict"] == "needs_action"
    assert host.run(wu_case, {"case": case, "fail_on": ["not_this_host"]})["failed"] is True
    assert host.run(wu_case, {"case": case, "fail_on": ["unresolved"]})["failed"] is False
    assert "no verdict named" in host.run(wu_case, {"case": case, "fail_on": ["sik"]})["msg"]


# --- why there is no reply ---

CMD_GERMAN = 'Der Befehl "PowerShell" ist entweder falsch geschrieben oder konnte nicht gefunden werden.'
NOT_FOUND, ID = "ObjectNotFound:", "CommandNotFoundException"
WHY: list[tuple[dict[str, Any], str, str]] = [
    ({"failed": True, "rc": 1, "module_stdout": "", "module_stderr": CMD_GERMAN, "msg": "x"}, "unsupported", "no PowerShell"),
    ({"failed": True, "rc": 9009, "module_stdout": "", "module_stderr": "\u627e\u4e0d\u5230", "msg": "x"}, "unsupported", "no PowerShell"),
    ({"failed": True, "rc": 1, "module_stdout": "", "module_stderr": "#< CLIXML <Objs/>", "msg": "x"}, "failed", "did not run"),
    ({"failed": True, "msg": "Ansible requires PowerShell v5.1"}, "unsupported", "5.1"),
    (
        {"failed": True, "msg": "x", "exception": "+ FullyQualifiedErrorId : MethodInvocationNotSupportedInConstrainedLanguage"},
        "unsupported",
        "ConstrainedLanguage",
    ),
    ({"failed": True, "msg": "x", "module_stderr": f"{NOT_FOUND} (powershell:String) [], {ID}"}, "unsupported", "no PowerShell"),
    # A profile script of the host that fails by itself says nothing about PowerShell.
    ({"failed": True, "msg": "x", "module_stdout": "hi", "module_stderr": f"{NOT_FOUND} (prompt:String) [], {ID}"}, "failed", "no reply"),
    ({"reply": "text"}, "failed", "no"),
]


@pytest.mark.parametrize(("answer", "name", "says"), WHY)
def test_why_there_is_no_reply_is_told_by_identifiers(answer: dict[str, Any], name: str, says: str) -> None:
    error = _agent.why_no_reply(answer)
    assert error.verdict == name
    assert says in str(error)


# --- options ---


def test_every_option_is_judged_by_its_spec_and_not_by_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = _options.argument_spec("win_timesync")
    secret = "hunter2"
    for arguments, said in (
        ({"source": secret}, "option source must be one of: auto, domain, ntp"),
        ({"servers": {"a": secret}}, "option servers must be a list of str"),
        ({"scan": secret}, "option scan must be of type bool"),
        ({"max_skew_seconds": secret}, "option max_skew must be of type int"),
        ({"sorce": secret}, "unknown option sorce; known are"),
    ):
        text = _options.option_error(arguments, spec, {})
        assert said in text
        assert secret not in text
    assert _options.option_error({}, {"a": {"required": True}}, {}) == "missing option a"
    assert _options.option_error({}, {"a": {}, "b": {}}, {"required_one_of": [["a", "b"]]}) == "one of the following is required: a, b"


CORES = [("2.18.12", True), ("2.9.27", True), ("2.19.0b4", False), ("2.19.14", False), ("2.21.1", False), ("3.0", False)]


@pytest.mark.parametrize(("version", "old"), CORES)
def test_an_older_core_is_refused_in_one_sentence(host: Host, monkeypatch: pytest.MonkeyPatch, version: str, old: bool) -> None:
    monkeypatch.setattr(_action, "ansible_version", version)
    result = host.run(win_wu_info)
    refusal = f"winfleet.wu_repair needs ansible-core 2.19 or newer, and this is {version}: update ansible-core on the controller"
    assert (result["msg"] == refusal) is old
    assert bool(result["failed"]) is old
