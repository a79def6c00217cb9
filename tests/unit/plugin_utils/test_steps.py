# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kinds of steps: each can say what it will do and did, and the agent knows the same ones."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import routing, situation, steps
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.steps import Step, kind_of
from lab import model_apply
from unit.plugin_utils.documents import RUN, folder, look, services, source

AGENT = (Path(__file__).resolve().parents[3] / "plugins/module_utils/_Steps.psm1").read_text("utf-8")
KEY = "HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\WindowsUpdate\\OSUpgrade"
CACHE = r"C:\Windows\SoftwareDistribution"

# Step, what it would do, what it did where that is said otherwise.
WORDS: tuple[tuple[str, dict[str, Any], str, str | None], ...] = (
    (
        "set_start_type", {"name": "UsoSvc", "start": 2, "delayed": True},
        "set the start type of UsoSvc from Disabled to Automatic (delayed)", None,
    ),
    ("stop_service", {"name": "BITS", "timeout_ms": 1}, "stop BITS", "stopped BITS"),
    ("restore_services", {"timeout_ms": 1}, "", "started again what ran"),
    ("start_service", {"name": "UsoSvc", "timeout_ms": 1}, "start UsoSvc", "started UsoSvc"),
    (
        "start_service", {"name": "W32Time", "timeout_ms": 1, "stop_after": True},
        "start W32Time for the time of the run", "started W32Time for the time of the run",
    ),
    (
        "set_service_security", {"name": "bits"},
        "write the default security descriptor of bits", "wrote the default security descriptor of bits",
    ),
    ("set_aside", {"folder": "SoftwareDistribution"}, f"set aside {CACHE}", f"set aside {CACHE}"),
    (
        "prune_backups", {"folder": "catroot2", "keep": 2},
        "delete backups of catroot2 but the newest 2", "deleted backups of catroot2 but the newest 2",
    ),
    ("set_aside_bits_queue", {}, "set aside the queue of BITS", None),
    ("set_value", {"key": KEY, "name": "AllowOSUpgrade", "kind": "DWord", "value": 1}, "set AllowOSUpgrade to 1", None),
    ("remove_value", {"key": KEY, "name": "AllowOSUpgrade"}, "remove AllowOSUpgrade", "removed AllowOSUpgrade"),
    ("set_time_source", {"type": "NT5DS", "servers": None}, "set the time source to NT5DS", None),
    ("set_time_source", {"type": "NTP", "servers": ["a.test", "b.test"]}, "set the time source to NTP with a.test, b.test", None),
    (
        "resync", {"rediscover": True, "lift_limit": True, "timeout_ms": 1, "settle_ms": 1},
        "resynchronise the clock, its limit lifted for that", "resynchronised the clock, its limit lifted for that",
    ),
    ("set_clock", {"offset_ms": -7200_000}, "set the clock 2 h 0 min back", None),
    ("set_time_zone", {"id": "UTC"}, "set the time zone to UTC", None),
)  # fmt: skip


def rules() -> dict[str, set[str]]:
    """Kinds and arguments of the agent's fixed set."""
    table = AGENT[AGENT.index("function Get-StepRule") : AGENT.index("# Whatever ansible made")]
    kinds = re.split(r"^    (\w+) = @\{", table, flags=re.MULTILINE)[1:]
    return {kind: set(re.findall(r"(?:^|[;{]|\n)\s*(\w+) = (?=[{$])", body)) for kind, body in zip(kinds[::2], kinds[1::2], strict=True)}


def test_the_agent_the_model_and_the_controller_know_the_same_steps() -> None:
    known = {name: kind.required | kind.optional for name, kind in steps.KINDS.items()}
    assert rules() == known
    assert {name: set(rule) for name, rule in model_apply.RULES.items()} == known


def test_the_agent_changes_the_services_that_may_be_planned() -> None:
    names = re.search(r"function Get-ServiceName \{ return (.*) \}", AGENT)
    assert names is not None
    planned = {name for name, row in routing.SERVICES.items() if row["repair"] == "reset"} | {*routing.STOP_ORDER, "W32Time"}
    assert set(re.findall(r"'(\w+)'", names.group(1))) == planned == set(model_apply.OURS)


def test_each_kind_has_a_function_on_the_host() -> None:
    functions = set(re.findall(r"^function Invoke-(\w+)Step\(", AGENT, re.MULTILINE))
    assert functions == set(steps.KINDS)
    assert set(re.findall(r"-Effect (\w+)", AGENT)) == set(re.findall(r"^function Set-(\w+)Effect\(", AGENT, re.MULTILINE))


def test_every_kind_stands_in_the_table_of_words() -> None:
    assert {kind for kind, *_rest in WORDS} == set(steps.KINDS)


def test_what_is_set_aside_is_what_was_seen() -> None:
    names = ["SoftwareDistribution.wu-t66sg0b0", "SoftwareDistribution.wu_repair-20250101T000000Z-aaaaaa"]
    step = Step("set_aside", {"folder": "SoftwareDistribution"})
    host = look({"cache.folders": [folder("SoftwareDistribution", created=1700000000, backups=names)]})
    wanted = [one.to_dict() for one in kind_of(step).expect(step, host)]
    row = {"what": "folder", "name": "SoftwareDistribution"}
    assert {**row, "field": "created", "is": 1700000000} in wanted
    assert {**row, "field": "backups", "is": names} in wanted
    many = look({"cache.folders": [folder("SoftwareDistribution", created=None, backups=[f"x{n}" for n in range(400)])]})
    assert {one.field for one in kind_of(step).expect(step, many)} == {"exists", "reparse"}


def test_a_file_is_set_aside_by_its_name() -> None:
    step = Step("set_aside", {"folder": "SoftwareDistribution"})
    host = look({"cache.folders": [folder("SoftwareDistribution", exists=False, file=True, files=None, created=None)]})
    assert kind_of(step).would(step, host) == f"set aside the file {CACHE}"
    assert [one.to_dict() for one in kind_of(step).expect(step, host)] == [
        {"what": "folder", "name": "SoftwareDistribution", "field": "file", "is": True}
    ]


@pytest.mark.parametrize(("kind", "args", "would", "done"), WORDS)
def test_words(kind: str, args: dict[str, Any], would: str, done: str | None) -> None:
    step, evidence = Step(kind, args), look(services(UsoSvc=4))
    assert kind_of(step).would(step, evidence) == would
    assert kind_of(step).done(step, evidence) == (would if done is None else done)
    kept = kind_of(step).required <= set(args) <= kind_of(step).required | kind_of(step).optional
    assert kept


def test_a_folder_that_was_not_seen_is_told_by_its_name() -> None:
    step = Step("set_aside", {"folder": "SoftwareDistribution"})
    assert kind_of(step).would(step, look(status={"cache": "failed"})) == "set aside SoftwareDistribution"


@pytest.mark.parametrize(
    ("kind", "args", "before", "after"),
    [
        (
            "set_start_type", {"name": "BITS", "start": 4, "delayed": False},
            {"start type of BITS": "Manual"}, {"start type of BITS": "Disabled"},
        ),
        ("set_aside", {"folder": "SoftwareDistribution"}, {CACHE: "there"}, {CACHE: f"set aside as {CACHE}{situation.backup_ending(RUN)}"}),
        ("remove_value", {"key": KEY, "name": "AllowOSUpgrade"}, {"AllowOSUpgrade": None}, {"AllowOSUpgrade": None}),
        (
            "set_time_source", {"type": "NT5DS", "servers": None},
            {"time source": {"type": "NTP", "servers": ["time.windows.com,0x9"]}},
            {"time source": {"type": "NT5DS", "servers": ["time.windows.com,0x9"]}},
        ),
        ("set_time_zone", {"id": "X"}, {"time zone": "UTC"}, {"time zone": "X"}),
        (
            "set_clock", {"offset_ms": 1},
            {"clock": "2 h 0 min behind time.windows.com"}, {"clock": "right by time.windows.com"},
        ),
        ("stop_service", {"name": "BITS", "timeout_ms": 1}, {}, {}),
    ],
)  # fmt: skip
def test_diff(kind: str, args: dict[str, Any], before: dict[str, Any], after: dict[str, Any]) -> None:
    step = Step(kind, args)
    assert kind_of(step).diff(step, look({"clock.sources": [source(offset_ms=7200_000)]}), RUN) == (before, after)


def test_the_clock_s_diff_names_whose_time_it_is_where_no_source_answered() -> None:
    step = Step("resync", {"rediscover": False, "lift_limit": True, "timeout_ms": 1, "settle_ms": 1})
    silent = look({"clock.sources": []}, controller_ms=-90_000)
    assert kind_of(step).diff(step, silent, RUN)[0] == {"clock": "1 min 30 s ahead of the controller"}
