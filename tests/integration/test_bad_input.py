# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What users, hosts and files get wrong: one clear line each, nothing secret shown, the host unchanged."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from lab.controller import play
from lab.fleet import Fleet

from .conftest import MakeFleet

SECRET = "hunter2-correct-horse"


@pytest.fixture(scope="module")
def fleet(make_fleet: MakeFleet) -> Fleet:
    # All of this is refused on the controller, before anybody asks what plays the host.
    return make_fleet("model", "lost-cache")


# Files that are no saved evidence, and what is said of them.
NO_EVIDENCE: list[tuple[bytes, str]] = [
    (b"", "no log of Windows Update that is known"),
    (b"\x00\xff\xfe rubbish " * 50, "no log of Windows Update that is known"),
    (b"ElfFile\0" + bytes(4088), "No event in this .evtx could be read"),
    (b"MSCF" + bytes(200), "unpack it first: expand"),
    (b"{", "evidence:"),
    (b'{"schema": 1, "sections": {"host": ', "evidence:"),
    (b'{"schema": 1, "sections": []}', "evidence:"),
    (b'{"schema": "1", "sections": {}}', "evidence:"),
]
CASES: list[tuple[str, dict[str, Any], str]] = [
    ("win_wu_info", {"gather_subsets": ["all"]}, "unknown option gather_subsets; known are"),
    ("win_wu_info", {"gather_subset": ["cbss"]}, "no part named cbss"),
    ("win_wu_info", {"max_skew": SECRET}, "option max_skew must be of type int"),
    ("win_wu_info", {"max_skew": 0}, "option max_skew must be a number from 1"),
    ("win_wu_info", {"reference": SECRET}, "option reference must be one of: source, controller"),
    ("win_wu_info", {"reported": SECRET}, "option reported must be an error code"),
    ("win_wu_info", {"reported": "0x8007000Z"}, "option reported must be an error code"),
    ("win_wu_info", {"reported": [True]}, "option reported must be an error code"),
    ("win_wu_reset", {"evidence": SECRET}, "option evidence must be of type dict"),
    ("win_wu_reset", {"evidence": {"password": SECRET}}, "evidence:"),
    ("win_wu_reset", {"evidence": {"schema": 2, "sections": {}}}, "evidence:"),
    # A bad field spoils its section, and a host that does not say what it is cannot be repaired.
    ("win_wu_reset", {"evidence": {"schema": 1, "sections": {"host": {"status": "ok", "data": {"build": SECRET}}}}, "force": True}, ""),
    ("win_wu_reset", {"folders": ["catroot"]}, "option folders must be one or more of: auto, SoftwareDistribution, catroot2"),
    ("win_wu_reset", {"run_id": f"..\\{SECRET}"}, "option run_id must look like"),
    ("win_wu_reset", {"keep_backups": -1}, "option keep_backups must be"),
    ("win_wu_reset", {"stop_timeout": 10**9}, "option stop_timeout must be"),
    ("win_wu_info", {"case": {"mode": "some"}}, "option case.mode must be one of: look, routed, all"),
    ("win_wu_info", {"case": {"repairs": ["rest"]}}, "option case.repairs (wu_repair_only) knows the repairs"),
    ("wu_case", {"case": {"schema": 9}}, "option case must be what an earlier task of this run returned"),
    ("win_timesync", {"source": "ntpp"}, "option source must be one of: auto, domain, ntp"),
    ("win_timesync", {"servers": [f"a b {SECRET}"]}, "option servers"),
    ("win_osupgrade_reg", {"state": "latest"}, "option state must be one of: present, absent"),
    ("wu_explain", {}, "one of the following is required: path, code"),
    ("wu_explain", {"code": f"0x{SECRET}"}, "option code must be an error code"),
    ("wu_explain", {"path": "/nowhere/CBS.log"}, "no such file on the controller: /nowhere/CBS.log"),
    *(("wu_explain", {"path": f"{number}.json"}, said) for number, (_content, said) in enumerate(NO_EVIDENCE)),
    ("wu_observe", {"request": {}}, "is internal"),
    ("wu_apply", {"request": {"password": SECRET}}, "is internal"),
]
# A variable, as a vault would give it: the error must not show what it held.
VARIABLE = "{{ secret }}"


def _with_variable(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace(SECRET, VARIABLE)
    if isinstance(value, list):
        return [_with_variable(item) for item in value]
    return {key: _with_variable(item) for key, item in value.items()} if isinstance(value, dict) else value


@pytest.fixture(scope="module")
def refused(fleet: Fleet) -> tuple[list[dict[str, Any]], str]:
    """One playbook run over all cases: the result of each, and everything that a person would see."""
    target = fleet.folder / "results.json"
    for number, (content, _said) in enumerate(NO_EVIDENCE):
        (fleet.folder / f"{number}.json").write_bytes(content)
    tasks: list[dict[str, Any]] = []
    for number, (module, arguments, _said) in enumerate(CASES):
        tasks.append(
            {
                "name": f"Case {number}",
                f"winfleet.wu_repair.{module}": _with_variable(arguments),
                "register": f"case_{number}",
                "ignore_errors": True,
            }
        )
    names = ", ".join(f"case_{number}" for number in range(len(CASES)))
    tasks.append(
        {
            "name": "Keep",
            "ansible.builtin.copy": {"content": "{{ [" + names + "] | to_json }}", "dest": str(target), "mode": "0600"},
            "delegate_to": "localhost",
            "no_log": True,
            "vars": {"ansible_connection": "local"},
        }
    )
    book = fleet.folder / "cases.yml"
    book.write_text(yaml.safe_dump([{"hosts": "windows", "gather_facts": False, "tasks": tasks}], sort_keys=False), "utf-8")
    before = fleet.sim("lost-cache").snapshot()
    done = play(fleet, str(book), variables={"secret": SECRET})
    assert fleet.sim("lost-cache").snapshot() == before
    assert target.exists(), done.stdout[-3000:] + done.stderr[-3000:]
    return json.loads(target.read_text("utf-8")), done.stdout + done.stderr


@pytest.mark.parametrize("number", range(len(CASES)))
def test_option_is_refused_in_one_line(refused: tuple[list[dict[str, Any]], str], number: int) -> None:
    result, said = refused[0][number], CASES[number][2]
    assert result["failed"] is True
    assert said in result["msg"]
    assert "\n" not in result["msg"]
    assert SECRET not in json.dumps(result)
    assert result["verdict"] == "failed" or not said


def test_no_secret_is_shown(refused: tuple[list[dict[str, Any]], str]) -> None:
    assert SECRET not in refused[1]
    assert "Traceback" not in refused[1]


def test_unknown_rung_stops_the_playbook_before_any_host(fleet: Fleet) -> None:
    fleet.reset_counters()
    done = play(fleet, "fix_wu", variables={"wu_repair_only": ["rest"]})
    assert done.returncode != 0
    assert "wu_repair_only" in done.stdout
    assert fleet.counters()["lost-cache"]["processes"] == 0
