# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a person reads says repair, names the thing and who acts, and in which unit a number is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import (
    _action,
    _action_look,
    case,
    conditions,
    finding,
    findings,
    repairs,
    report,
    routing,
    steps,
    verdict,
)

REPOSITORY = Path(__file__).resolve().parents[2]
WORDING = REPOSITORY.parent / "shared" / "cases" / "wording.md"
READ = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.rst", "changelogs/fragments")
READ += ("docs", "plugins", "roles", "playbooks", "meta", ".github")
SUFFIXES = (".py", ".ps1", ".psm1", ".yml", ".json", ".md", ".csv", ".rst")

# Said by the first release, and decoded by nobody.
FORBIDDEN = (
    r"\brungs?\b",
    r"\bclimb(s|ed|ing|able)?\b",
    r"\bladder\b",
    r"not_this_host",
    r"this is for (an administrator|whoever)",
    r"is for an administrator",
    r"no failure counts",
    r"after-look says",
    r"overtaken_by",
    r"a restart comes first",
    r"Servicing is at work:",
    r"the network logon may not search",
    r"Say that the ladder is spent|Begin with what was seen|Ask the update agent of a silent host",
    r"wrapped as an error code",
    r"can be repaired by osupgrade|osupgrade can repair",
    r"run this again later\b.*may pass",
)
# The names of the first release, announced as such and understood for one more.
ANNOUNCED = re.compile(
    r"``not_this_host``|wu_repair_(skip_)?rungs|\"(skip_)?rungs\": lambda|"
    r"V\(not_this_host\)|`not_this_host` is understood|\"not_this_host\": \"needs_action\""
)


@cache
def texts() -> dict[str, str]:
    """Every file of the product that a person reads, or that holds a sentence for him."""
    found: dict[str, str] = {}
    for name in READ:
        path = REPOSITORY / name
        files = [path] if path.is_file() else sorted(path.rglob("*"))
        found |= {str(one.relative_to(REPOSITORY)): one.read_text("utf-8") for one in files if one.suffix in SUFFIXES and one.is_file()}
    assert len(found) > 80
    return found


def lines() -> Iterator[tuple[str, str]]:
    for name, text in texts().items():
        for line in text.splitlines():
            yield name, ANNOUNCED.sub("", line)


@pytest.mark.parametrize("pattern", FORBIDDEN)
def test_no_word_of_the_first_release_is_said(pattern: str) -> None:
    said = re.compile(pattern, re.IGNORECASE)
    assert [f"{name}: {line.strip()}" for name, line in lines() if said.search(line)] == []


def test_the_list_finds_what_it_is_for() -> None:
    told = "it asks for the rung troubleshoot, which this release cannot climb: this is for an administrator"
    assert sum(re.search(pattern, told, re.IGNORECASE) is not None for pattern in FORBIDDEN) == 4


def left_column() -> list[str]:
    """Sentences of the table's first column, without what they leave open."""
    rows = [line.split(" | ")[0] for line in WORDING.read_text("utf-8").splitlines() if line.startswith("| ")]
    quoted = [part for row in rows for part in re.findall(r"`([^`]+)`", row)]
    parts = [piece.strip(" .:,") for text in quoted for piece in text.split("...")]
    return [part for part in parts if len(part.split()) >= 3 and not part.startswith(("wu_explain", "remedies"))]


@pytest.mark.skipif(not WORDING.exists(), reason="the table of better wording (../shared/cases/wording.md) is not here")
def test_no_sentence_of_the_table_is_said() -> None:
    sentences = left_column()
    assert len(sentences) > 12
    everything = " ".join(" ".join(text.split()) for text in texts().values()).lower()
    assert [sentence for sentence in sentences if " ".join(sentence.split()).lower() in everything] == []


# --- what the product can say ---

# Whose thing a next step must name.
NAMED = {
    "wsus": r"\{wsus\}|WUServer|WSUS",
    "proxy": r"\{proxy\}",
    "policy": r"polic|WUServer|pause",
    "management": r"ConfigMgr|device management",
    "hardware": r"disk|host",
}


@pytest.mark.parametrize("owner", sorted(NAMED))
def test_a_next_step_names_the_thing_of_whoever_must_act(owner: str) -> None:
    said = {name: text for name, text in routing._STEPS.items() if re.split("[:@]", name)[0] == owner}
    assert said
    assert [f"{name}: {text}" for name, text in said.items() if not re.search(NAMED[owner], text)] == []


def test_every_next_step_is_an_imperative_with_its_thing() -> None:
    for name, text in routing._STEPS.items():
        assert re.match(r"[A-Z{]", text), name
        assert len(text.split()) >= 5 or text == "{start_steps}", name
        assert not re.search(r"\badministrator\b", text), name
        # What can be looked up is named: a code, a path, a service, a server, an update, a command.
        assert name.startswith(("notice", "reset", "timesync", "restart", "retry")) or re.search(r"\{|[A-Z][A-Z]|\\|/|host|\"", text), name


def test_what_a_person_reads_of_a_verdict_is_no_id() -> None:
    words = [
        *report.WORDS.values(),
        *(report.words_of({"now": now, "owner": owner}) for now in report.VERDICTS for owner in verdict.OWNERS),
    ]
    for one in [word for pair in words for word in pair]:
        assert not re.search(r"_|\bsick\b|\bstale\b|unproven", one), one
    assert all(" " in title and "_" not in title for title in repairs.TITLES.values()), repairs.TITLES
    deeds = {kind.deed for kind in steps.KINDS.values() if kind.deed}
    assert all(" " in deed and "_" not in deed for deed in deeds), deeds


def test_a_marker_is_told_in_words() -> None:
    assert set(conditions.STRONG_REBOOT) <= set(conditions._WAITS_FOR)
    assert not any("_" in text for text in (*conditions._WAITS_FOR.values(), *findings.MARKERS.values(), *findings.LAYERS.values()))


def tasks(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        for item in value:
            yield from tasks(item)
    elif isinstance(value, dict):
        yield value
        for key in ("tasks", "block", "rescue", "always"):
            yield from tasks(value.get(key))


def test_a_task_s_name_says_what_happens() -> None:
    files = [*(REPOSITORY / "roles").rglob("tasks/*.yml"), *(REPOSITORY / "playbooks").glob("*.yml")]
    names = [
        (path.name, str(task.get("name")))
        for path in files
        for task in tasks(yaml.safe_load(path.read_text("utf-8")))
        if "name" in task and "block" not in task
    ]
    assert len(names) > 20
    for path, name in names:
        assert name[:1].isupper(), f"{path}: {name}"
        assert not re.search(r"_|\bcase\b(?! that)|rung", name), f"{path}: {name}"


UNIT = re.compile(r"\b(seconds?|days?|milliseconds|hours?|how many|number of|so many)\b", re.IGNORECASE)


def documented() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path in sorted((REPOSITORY / "plugins").rglob("*.py")):
        for block in re.findall(
            r'^(?:DOCUMENTATION|    DOCUMENTATION) = r?"""(.*?)^\s*"""', path.read_text("utf-8"), re.MULTILINE | re.DOTALL
        ):
            for name, option in (yaml.safe_load(block).get("options") or {}).items():
                yield path.stem, name, option
    specs = yaml.safe_load((REPOSITORY / "roles/wu_repair/meta/argument_specs.yml").read_text("utf-8"))["argument_specs"]
    for name, option in specs["main"]["options"].items():
        yield "role", name, option


def test_a_number_has_its_unit() -> None:
    options = list(documented())
    assert len(options) > 50
    for where, name, option in options:
        said = " ".join([option["description"]] if isinstance(option["description"], str) else option["description"])
        if option.get("type") in ("int", "float"):
            assert UNIT.search(said), f"{where}: {name}: {said}"


MODULES = ("win_wu_info", "win_wu_reset", "win_timesync", "win_osupgrade_reg", "wu_case", "wu_explain")


def returned(module: str) -> dict[str, Any]:
    text = (REPOSITORY / "plugins" / "modules" / f"{module}.py").read_text("utf-8")
    values: dict[str, Any] = yaml.safe_load(re.findall(r'^RETURN = r?"""(.*?)^"""', text, re.MULTILINE | re.DOTALL)[0])
    return values


@pytest.mark.parametrize("module", MODULES)
def test_every_return_value_has_a_sample_and_says_when_it_is_there(module: str) -> None:
    for name, value in returned(module).items():
        assert value.get("returned"), name
        assert "sample" in value or "contains" in value, name
        told = yaml.safe_dump(value)
        assert not re.search(r"\b(hour|day|minute)s? ago\b", told), name


def test_what_a_result_holds_is_documented() -> None:
    always = set(_action.ending(verdict.Verdict("healthy", "x"))) - {"failed"}
    for module in MODULES[:4]:
        assert always <= set(returned(module)), module
        assert {"case", "next"} <= set(returned(module)), module
    assert set(case.row(case.start("", ""))) <= set(returned("wu_case"))
    assert {"about", "summary", "findings", "evidence", "evidence_path"} <= set(returned("win_wu_info"))
    assert set(finding.Finding("", "", "", "", {}, "").to_dict()) == set(returned("win_wu_info")["findings"]["contains"])
    told = " ".join(returned("win_wu_info")["findings"]["description"])
    assert [name for name in _action_look._NOT_TRAVELLING if f"C({name})" not in told] == []


def test_the_two_programs_of_the_agent_are_called_internal_and_are_told_to_nobody() -> None:
    # ansible-core 2.19 lists every module but those whose name begins with two underscores, so that ansible-doc -l shows them.
    for name in ("wu_observe", "wu_apply"):
        sidecar = yaml.safe_load((REPOSITORY / "plugins" / "modules" / f"{name}.yml").read_text("utf-8"))["DOCUMENTATION"]
        assert sidecar["short_description"].startswith("Internal")
        assert "refuses to be called from a playbook" in " ".join(sidecar["description"])
        assert not [page for page, text in texts().items() if page.endswith("README.md") and name in text]


def version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def test_nothing_was_added_in_a_version_that_is_still_to_come() -> None:
    present = version(yaml.safe_load((REPOSITORY / "galaxy.yml").read_text("utf-8"))["version"])
    added = {(name, found) for name, text in texts().items() for found in re.findall(r"version_added: [\"']?([0-9.]+)", text)}
    assert len(added) > 5
    assert [f"{name}: {found}" for name, found in added if version(found) > present] == []
