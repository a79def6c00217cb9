# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE. The role's variables of every host of a play, checked once, before anybody is connected to."""

from __future__ import annotations

import difflib
import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from . import rollout
from ._files import FileError, check_folder
from ._options import RANGES, must_be
from .case import line
from .case_document import CaseError, parse_options
from .report import VerdictError, verdicts

PREFIX = "wu_repair_"
_SPEC = Path(__file__).resolve().parents[2] / "roles" / "wu_repair" / "meta" / "argument_specs.yml"
_VALIDATED = ("type", "default", "elements", "choices")
# Seconds, but for the number of hosts at a time.
_RANGES = {**RANGES, "task_timeout": (5, 86400), "throttle": (1, 1000)}
_MOST_NAMES = 3
# Variables of the playbooks that the role does not know.
_OF_PLAYBOOKS = ("hosts",)
# What its tasks register: a second run in one playbook finds it.
_REGISTERED = {"result", "restarted"}
# How alike two names are of which one is the other mistyped: `skp` and `skip`, `serail` and `serial`, but not `done` and `mode`.
_ALIKE = 0.75
# Where `-e NAME=VALUE` is cut at a blank, ansible-core keeps the rest under this name and says nothing.
_CUT = "_raw_params"
_SAID_OF_CUT = "-e was cut at a blank, and what follows it belongs to no variable; quote it inside: -e 'NAME=\"a, b\"'"
_SUMMED = ("scan", "time_limit", "scan_timeout", "task_timeout")


def _check_folder(folder: str) -> None:
    if folder:
        check_folder(Path(folder), f"{PREFIX}evidence_dir")


# Where the value is read by the core: what it says of one that cannot be meant so.
_READERS: Mapping[str, Callable[[Any], object]] = {
    "fail_on": verdicts,
    "only": lambda value: parse_options({"repairs": value}),
    "rungs": lambda value: parse_options({"repairs": value}),
    "skip": lambda value: parse_options({"skip": value}),
    "skip_rungs": lambda value: parse_options({"skip": value}),
    "serial": rollout.sizes,
    "max_failed": lambda value: rollout.most_failed(value, 1),
    "shared_server": rollout.fewest_alike,
    "evidence_dir": _check_folder,
}


def role_spec() -> dict[str, dict[str, Any]]:
    """The argument spec of the role."""
    options = yaml.safe_load(_SPEC.read_text("utf-8"))["argument_specs"]["main"]["options"]
    return {name: {key: option[key] for key in _VALIDATED if key in option} for name, option in options.items()}


@functools.cache
def _own_names() -> frozenset[str]:
    """What the role makes of its variables for its own tasks, and what these register."""
    own = yaml.safe_load((_SPEC.parents[1] / "vars" / "main.yml").read_text("utf-8"))
    return frozenset(str(name).removeprefix(PREFIX) for name in own) | _REGISTERED


def faults(hosts: Sequence[str], hostvars: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What cannot be meant so, one line a fault with the hosts that have it, those of most hosts first.

    Args:
        hosts: names of the hosts of the play.
        hostvars: their variables. One that cannot be had now may be known later, and is left to the task that wants it.
    """
    spec = role_spec()
    known: dict[str, tuple[str, ...]] = {}
    found: dict[str, list[str]] = {}
    for host in hosts:
        variables = hostvars[host]
        given, unknown = _given(variables, spec), _unknown(variables, spec)
        # Most hosts have the same ones.
        key = json.dumps([given, unknown], sort_keys=True, default=str)
        if key not in known:
            known[key] = (*unknown, *_faults(given, spec))
        for text in known[key]:
            found.setdefault(text, []).append(host)
    ranked = sorted(found.items(), key=lambda item: -len(item[1]))
    return [f"{_names(named)}: {text}" for text, named in ranked]


def _given(variables: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    given = {}
    for name in spec:
        if name not in variables:
            continue
        try:
            given[name] = variables[name]
        except AnsibleError:
            continue
    return given


def _unknown(variables: Mapping[str, Any], spec: Mapping[str, Any]) -> list[str]:
    """Names that are none of ours and were meant to be: a limit that is mistyped is no limit."""
    names = [*(name.removeprefix(PREFIX) for name in spec), *_OF_PLAYBOOKS]
    strange = {str(name).removeprefix(PREFIX) for name in variables if str(name).startswith(PREFIX)} - {*names} - _own_names()
    found = [_SAID_OF_CUT] if _CUT in variables else []
    for short in sorted(strange):
        for meant in difflib.get_close_matches(short, names, 1, _ALIKE):
            found.append(f"{PREFIX}{short} is no variable of this collection; was {PREFIX}{meant} meant?")
    return found


def _faults(given: Mapping[str, Any], spec: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """What is wrong with the variables of one host, without the values, which may be secrets."""
    values = {name: option.get("default") for name, option in spec.items()}
    wrong = set()
    for name, value in given.items():
        validated = ArgumentSpecValidator({name: spec[name]}).validate({name: value})
        values[name] = validated.validated_parameters.get(name)
        text = _wrong_type(name, spec, validated) or _out_of_range(name, values[name]) or _unreadable(name, values[name])
        if text:
            wrong.add(name)
            yield text
    if not wrong & {f"{PREFIX}{name}" for name in _SUMMED}:
        yield from _sum(values)


def _wrong_type(name: str, spec: Mapping[str, Mapping[str, Any]], validated: Any) -> str:
    if validated.error_messages:
        return must_be(name, spec[name]).removeprefix("option ")
    return ""


def _out_of_range(name: str, value: object) -> str:
    least, most = _RANGES.get(name.removeprefix(PREFIX), (0, 0))
    if most and isinstance(value, int) and not least <= value <= most:
        return f"{name} must be a number from {least} to {most}"
    return ""


def _unreadable(name: str, value: object) -> str:
    short = name.removeprefix(PREFIX)
    try:
        _READERS.get(short, bool)(value)
    except (CaseError, FileError, VerdictError, rollout.RolloutError) as error:
        return line(error)
    return ""


def _sum(values: Mapping[str, Any]) -> Iterator[str]:
    """A task that is given up before what it waits for may end would never come to an end."""
    parts = ["time_limit", "scan_timeout"][: 1 + bool(values[f"{PREFIX}scan"])]
    needed = sum(values[f"{PREFIX}{part}"] for part in parts)
    if values[f"{PREFIX}task_timeout"] < needed:
        names = " and ".join(f"{PREFIX}{part}" for part in parts)
        yield f"{PREFIX}task_timeout must be at least the {needed} s of {names} together"


def _names(hosts: Sequence[str]) -> str:
    named = ", ".join(hosts[:_MOST_NAMES])
    if len(hosts) <= _MOST_NAMES:
        return named
    return f"{named} and {len(hosts) - _MOST_NAMES} more"
