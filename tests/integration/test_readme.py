# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""README.md and docs: each command is run, here or by the test that is named; the playbooks they show pass the linter."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from lab.controller import REPOSITORY, command, environment
from lab.fleet import Fleet

from .conftest import MakeFleet

PAGES = ("README.md", "docs/undo.md", "docs/awx.md", "docs/how-it-decides.md", "docs/variables.md", "roles/wu_repair/README.md")
SICK, WELL = "db01.corp.example", "web01.corp.example"

# What is run elsewhere, and where: a file of tests, and a word of it.
ELSEWHERE = {
    "ansible-galaxy collection install winfleet.wu_repair": ("integration/test_installed.py", '"install", "--offline"'),
    "make demo": ("integration/test_fix.py", "promised_scenarios"),
    "make test": ("integration/test_readme.py", "make test"),
    "make lab": ("integration/test_readme.py", "test_make_lab"),
}
# What is run whenever the tests are. The command of `make lab` plays a playbook; the others are of a kind with what other tests call.
QUICK = ("ansible localhost -m winfleet.wu_repair.wu_explain -a 'path=case-4711.zip redact=true'",)
# What each shows, by a word of it. A look at a fleet with a broken host is no failure.
PRINTS = {"ansible-doc": "OPTIONS|wu_repair_hosts|RETURN", "_wu ": "hosts?: ", "ansible": '"msg"|"ping"'}


def blocks(language: str) -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for named, block in re.findall(r"^```(\w*)\n(.*?)^```$", (REPOSITORY / page).read_text("utf-8"), re.MULTILINE | re.DOTALL):
            if named == language:
                yield page, block


def commands() -> list[str]:
    """The commands in blocks, and those within a sentence."""
    lines = [line.partition("  #")[0].strip() for _page, block in blocks("") for line in block.splitlines()]
    texts = [(REPOSITORY / page).read_text("utf-8") for page in PAGES]
    inline = [text for page in texts for text in re.findall(r"`(ansible(?:-\w+)? [^`\n]+)`", page)]
    return list(dict.fromkeys(line for line in (*lines, *inline) if re.match(r"(ansible(-\w+)?|make) ", line)))


RUN_HERE = [line for line in commands() if line not in ELSEWHERE]


def test_there_are_commands_and_each_is_run() -> None:
    assert len(commands()) > 15
    for line, (file, word) in ELSEWHERE.items():
        assert line in commands(), line
        assert word in (REPOSITORY / "tests" / file).read_text("utf-8"), line
    assert set(QUICK) <= set(RUN_HERE)
    assert not [line for line in RUN_HERE if line.startswith("make ")]


@pytest.fixture(scope="module")
def fleet(make_fleet: MakeFleet) -> Fleet:
    made = make_fleet("model", f"healthy-client={WELL}", f"german-host={SICK}", "lost-cache=web02.corp.example")
    inventory = made.folder / "inventory"
    inventory.write_text(Path(made.write_inventory()).read_text("utf-8"), "utf-8")
    log = REPOSITORY / "tests/cases/logs/cbs"
    text = next(path for path in sorted(log.iterdir()) if path.suffix == ".log").read_bytes()
    (made.folder / "CBS.log").write_bytes(text)
    with zipfile.ZipFile(made.folder / "case-4711.zip", "w") as packed:
        packed.writestr("web01/CBS.log", text)
    return made


def _run(fleet: Fleet, line: str) -> subprocess.CompletedProcess[str]:
    program, *words = shlex.split(line)
    where = {**environment(fleet.folder), "ANSIBLE_INVENTORY": "inventory"}
    return subprocess.run([command(program), *words], env=where, cwd=fleet.folder, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.parametrize("line", [pytest.param(line, marks=[] if line in QUICK else pytest.mark.slow) for line in RUN_HERE])
def test_a_command_works_as_it_stands_there(fleet: Fleet, line: str) -> None:
    for name in re.findall(r"path=(\S+)\.jsonl", line):
        _run(fleet, f"ansible-playbook -i inventory winfleet.wu_repair.check_wu -e wu_repair_report={name}.json")
    done = _run(fleet, line)
    assert done.returncode == 0, done.stdout + done.stderr
    wanted = next(word for name, word in PRINTS.items() if name in line)
    assert re.search(wanted, done.stdout), done.stdout


def test_make_lab_prints_a_command_that_works_as_pasted_and_cleans_up_when_its_terminal_goes(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "lab", "up", "--backend", "model", "--hosts", "healthy-client"]
    where = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(words, env=where, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as lab:
        try:
            assert lab.stdout is not None
            lab.stdout.readline()
            line = lab.stdout.readline()
            assert line.startswith("try: ")
            # A shell of the user, who has no virtual environment on his path.
            bare = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(tmp_path), "LANG": "C.UTF-8"}
            pasted = line.removeprefix("try: ")
            done = subprocess.run(
                ["sh", "-c", pasted], env=bare, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
            )  # fmt: skip
            assert "1 host: 1 healthy." in done.stdout.splitlines(), done.stdout + done.stderr
        finally:
            lab.send_signal(signal.SIGHUP)
            lab.wait(timeout=30)
    assert list(tmp_path.glob("wulab-*")) == []


def test_what_is_shown_of_a_playbook_is_one() -> None:
    shown = list(blocks("yaml"))
    assert len(shown) >= 6
    for page, block in shown:
        for play in yaml.safe_load(block) if block.lstrip().startswith("- ") else []:
            assert play.get("name"), f"{page}: a play without a name"


@pytest.mark.slow
@pytest.mark.skipif(not Path(command("ansible-lint")).exists(), reason="no ansible-lint beside this Python")
def test_the_playbooks_that_are_shown_pass_the_linter_s_production_profile(tmp_path: Path) -> None:
    for number, (_page, block) in enumerate(blocks("yaml")):
        if block.lstrip().startswith("- "):
            (tmp_path / f"shown{number}.yml").write_text(f"---\n{block}", "utf-8")
    files = sorted(tmp_path.glob("*.yml"))
    words = [command("ansible-lint"), "--offline", "--profile", "production", "--nocolor", "-q", "--project-dir", str(tmp_path)]
    where = {**environment(tmp_path), "ANSIBLE_HOME": str(tmp_path / "home")}
    done = subprocess.run([*words, *map(str, files)], env=where, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
