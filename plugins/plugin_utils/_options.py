# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE. The options of the modules: their spec out of the documentation, what is wrong with a value, what the core makes of them."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from . import hresult
from .situation import Settings

_ROOT = "ansible_collections.winfleet.wu_repair.plugins"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_KNOWN_KEYS = {"aliases", "choices", "default", "description", "elements", "required", "suboptions", "type", "version_added"}

# Least and most of each number. Days: a host's log can hold ten years; seconds: W32Time and the service manager know no more.
RANGES = {
    "lookback": (1, 3650),
    "max_skew": (1, 86400),
    "stale_after": (1, 3650),
    "behind_after": (1, 3650),
    "time_limit": (5, 3600),
    "scan_timeout": (5, 7200),
    "stop_timeout": (1, 3600),
    "keep_backups": (0, 1000),
}
_SERVER = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._:-]{0,252})(,0x[0-9a-fA-F]{1,2})?")
_WHAT_REPORTED = "option reported must be an error code such as 0x80070002, a list of them or the result of win_updates"


class OptionError(Exception):
    """An option that cannot be meant so; one line says what is wrong, without the value, which may be a secret."""


# ------------------------------------------------------------------------------------------------------------- the spec


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


# -------------------------------------------------------------------------------------------------------- what is wrong


def option_error(
    arguments: Mapping[str, Any], spec: Mapping[str, Mapping[str, Any]], rules: Mapping[str, Sequence[Sequence[str]]]
) -> str:
    """Say which option is wrong and what it must be.

    ansible-core's own messages quote the value. So each option is asked alone, and the spec says what it must be.

    Args:
        arguments: what the task gave.
        spec: the argument spec.
        rules: `required_one_of`, as ArgumentSpecValidator takes it.
    """
    aliases = {alias: name for name, option in spec.items() for alias in option.get("aliases", ())}
    unknown = sorted(str(name) for name in arguments if name not in spec and name not in aliases)
    if unknown:
        return f"unknown option {', '.join(unknown)}; known are {', '.join(sorted(spec))}"
    for given, value in arguments.items():
        name = aliases.get(given, given)
        alone = ArgumentSpecValidator({name: {**spec[name], "required": False}}).validate({name: value})
        if alone.error_messages:
            return must_be(name, spec[name])
    absent = sorted(name for name, option in spec.items() if option.get("required") and name not in arguments)
    if absent:
        return f"missing option {', '.join(absent)}"
    given_names = {aliases.get(given, given) for given, value in arguments.items() if value is not None}
    for names in rules.get("required_one_of", ()):
        if not given_names & set(names):
            return f"one of the following is required: {', '.join(names)}"
    return "the options do not fit together"


def must_be(name: str, option: Mapping[str, Any]) -> str:
    """What an option must be, by its spec."""
    choices = option.get("choices")
    if choices and option.get("type") == "list":
        return f"option {name} must be one or more of: {', '.join(map(str, choices))}"
    if choices:
        return f"option {name} must be one of: {', '.join(map(str, choices))}"
    if option.get("elements"):
        return f"option {name} must be a list of {option['elements']}"
    return f"option {name} must be of type {option.get('type', 'str')}"


# --------------------------------------------------------------------------------------------------- for the core


def settings_of(options: Mapping[str, Any]) -> Settings:
    """Take from the options what the findings depend on.

    Raises:
        OptionError: a number out of its range, a server that is no name.
    """
    for name, (least, most) in RANGES.items():
        if name in options and not least <= options[name] <= most:
            raise OptionError(f"option {name} must be a number from {least} to {most}")
    for server in options.get("servers") or ():
        if not _SERVER.fullmatch(server):
            raise OptionError("option servers must hold names or addresses such as ntp1.example.com or ntp1.example.com,0x9")
    if options.get("source") == "ntp" and options.get("servers") == []:
        raise OptionError("option servers must not be empty with source: ntp")
    return Settings(
        max_skew_s=options["max_skew"],
        stale_days=options["stale_after"],
        behind_days=options["behind_after"],
        reference=options.get("reference", "source"),
        reported=reported_codes(options.get("reported")),
    )


def reported_codes(value: object) -> tuple[int, ...]:
    """Find the codes in what somebody reported: a code, a list of them, or the result of ansible.windows.win_updates.

    Raises:
        OptionError: a plain code that is none.
    """
    if value is None or value == "":
        return ()
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        return _plain_codes(value)
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return tuple(dict.fromkeys(code for item in value for code in reported_codes(item)))
    if isinstance(value, Mapping):
        return tuple(dict.fromkeys(_codes_in_result(value)))
    raise OptionError(_WHAT_REPORTED)


def _plain_codes(value: str | int) -> tuple[int, ...]:
    if isinstance(value, str) and " " in value.strip():
        in_text = _codes_in_text(value)
        if in_text:
            return in_text
    try:
        return (hresult.normalise(value),)
    except hresult.HResultError as error:
        raise OptionError(_WHAT_REPORTED) from error


def _codes_in_text(text: str) -> tuple[int, ...]:
    return tuple(int(code, 16) for code in re.findall(r"0x([89ACac][0-9A-Fa-f]{7})\b", text))


def _codes_in_result(value: object) -> list[int]:
    if isinstance(value, Mapping):
        codes: list[int] = []
        for key, item in value.items():
            if key in ("failure_hresult_code", "hresult") and isinstance(item, int) and not isinstance(item, bool) and item:
                codes.append(item & 0xFFFFFFFF)
            else:
                codes += _codes_in_result(item)
        return codes
    if isinstance(value, str):
        return list(_codes_in_text(value))
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [code for item in value for code in _codes_in_result(item)]
    return []
