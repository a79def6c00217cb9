# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The role's variables of every host, checked before anybody is connected to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleError
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import _variables

ROLE = Path(_variables.__file__).parents[2] / "roles" / "wu_repair"


def said(**values: Any) -> list[str]:
    return _variables.faults(["a"], {"a": {f"wu_repair_{name}": value for name, value in values.items()}})


def test_the_defaults_of_the_role_can_be_meant_so() -> None:
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text("utf-8"))
    assert _variables.faults(["a"], {"a": defaults}) == []
    assert set(defaults) <= set(_variables.role_spec())


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("mode", "fast", "wu_repair_mode must be one of: routed, all"),
        ("restart", "perhaps", "wu_repair_restart must be of type bool"),
        ("max_skew", "abc", "wu_repair_max_skew must be of type int"),
        ("max_skew", 0, "wu_repair_max_skew must be a number from 1 to 86400"),
        ("stop_timeout", "3601", "wu_repair_stop_timeout must be a number from 1 to 3600"),
        ("throttle", -1, "wu_repair_throttle must be a number from 1 to 1000"),
        ("task_timeout", 4, "wu_repair_task_timeout must be a number from 5 to 86400"),
        ("only", ["defrag"], "wu_repair_only"),
        ("skip", "defrag", "wu_repair_skip"),
        ("fail_on", ["faild"], "has no verdict named faild"),
        ("serial", "0", "wu_repair_serial must be a number of hosts"),
        ("max_failed", "many", "wu_repair_max_failed must be"),
        ("shared_server", "few", "wu_repair_shared_server must be"),
        ("evidence_dir", "/dev/null/x", "wu_repair_evidence_dir: cannot write to /dev/null/x on the controller"),
        ("task_timeout", 100, "wu_repair_task_timeout must be at least the 360 s of wu_repair_time_limit and wu_repair_scan_timeout"),
    ],
)
def test_a_value_that_cannot_be_meant_so_is_one_line(name: str, value: object, text: str) -> None:
    (line,) = said(**{name: value})
    assert line.startswith("a: ")
    assert text in line


@pytest.mark.parametrize(
    ("given", "meant"), [("skp", "skip"), ("serail", "serial"), ("reprot", "report"), ("max_fail", "max_failed"), ("host", "hosts")]
)
def test_a_name_that_is_mistyped_is_one_line(given: str, meant: str) -> None:
    assert said(**{given: "x"}) == [f"a: wu_repair_{given} is no variable of this collection; was wu_repair_{meant} meant?"]


def test_names_of_others_and_of_the_role_itself_are_left_alone() -> None:
    own = yaml.safe_load((ROLE / "vars" / "main.yml").read_text("utf-8"))
    tasks = "".join(path.read_text("utf-8") for path in sorted((ROLE / "tasks").iterdir()))
    registered = dict.fromkeys(re.findall(r"register: (\w+)", tasks))
    others = {"wu_repair_done": 1, "wu_repair_team": "x", "wu_repairs_kip": 1}
    assert len(registered) > 1
    assert _variables.faults(["a"], {"a": {**own, **registered, **others}}) == []


def test_a_value_that_was_cut_at_a_blank_is_one_line_without_what_was_cut() -> None:
    (line,) = _variables.faults(["a", "b"], {"a": {"_raw_params": "hunter2"}, "b": {"_raw_params": "hunter2"}})
    assert line == "a, b: -e was cut at a blank, and what follows it belongs to no variable; quote it inside: -e 'NAME=\"a, b\"'"


@pytest.mark.parametrize(
    "values",
    [
        {"serial": "1,25%,100%", "max_failed": "10%", "only": "reset,timesync", "restart": "yes", "max_skew": "300"},
        {"fail_on": ["not_this_host"], "rungs": [], "evidence_dir": "", "reported": {"failed": True}},
        {"task_timeout": 60, "scan": False},
        {"task_timeout": 10, "time_limit": 5, "scan_timeout": 5},
    ],
)
def test_what_a_person_may_well_mean(values: Mapping[str, Any]) -> None:
    assert said(**values) == []


class Lazy(dict[str, Any]):
    """Variables of which one cannot be had."""

    def __getitem__(self, key: str) -> Any:
        if key == "wu_repair_max_skew":
            raise AnsibleError("'nosuch' is undefined")
        return super().__getitem__(key)

    def __iter__(self) -> Iterator[str]:
        return super().__iter__()


def test_every_host_is_asked_and_one_fault_of_many_is_one_line() -> None:
    hostvars: dict[str, Mapping[str, Any]] = {f"web{number}": {"wu_repair_lookback": 0} for number in range(5)}
    hostvars["db"] = {"wu_repair_lookback": 0, "wu_repair_mode": "fast"}
    hostvars["late"] = Lazy(wu_repair_max_skew="{{ nosuch }}")
    assert _variables.faults([*hostvars], hostvars) == [
        "web0, web1, web2 and 3 more: wu_repair_lookback must be a number from 1 to 3650",
        "db: wu_repair_mode must be one of: routed, all",
    ]
