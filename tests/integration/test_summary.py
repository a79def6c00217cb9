# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The answer reaches the person: last on the screen, whoever chose the hosts; the files of a run; how many lines it prints."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from lab.controller import command, environment, play
from lab.fleet import Fleet

from .conftest import MakeFleet

Done = subprocess.CompletedProcess[str]


def summary_of(said: str) -> list[str]:
    """The lines after ansible's own recap."""
    return said.rpartition("PLAY RECAP")[2].partition("\n\n")[2].splitlines()


def lines_beside_the_recap(said: str) -> int:
    """How long the output is for a person, without the line a host that ansible's recap has."""
    before, _recap, after = said.rpartition("PLAY RECAP")
    return len(before.splitlines()) + len(after.partition("\n\n")[2].splitlines())


def totals(done: Done) -> str:
    """The first line of the summary."""
    return summary_of(done.stdout)[0]


@pytest.fixture(scope="module")
def fleet(make_fleet: MakeFleet) -> Fleet:
    # The first host is down, and so is what a task with run_once would be asked of.
    return make_fleet("model", "dead-host=a-gone", "healthy-client=well", "lost-cache=sick", "low-disk=full", "healthy-client=denied")


@pytest.fixture(scope="module")
def checked(fleet: Fleet) -> tuple[Done, dict[str, Any], Path]:
    """One look at all, with a report."""
    spec = next(spec for spec in fleet.specs if spec.name == "denied")
    spec.variables["ansible_password"] = "wrong"
    report = fleet.folder / "reports" / "wu.json"
    # As a person types it; the report names it whole.
    done = play(fleet, "check_wu", variables={"wu_repair_report": str(report), "wu_repair_evidence_dir": "evidence"})
    assert report.exists(), done.stdout + done.stderr
    return done, json.loads(report.read_text("utf-8")), report


def test_the_summary_is_last_and_says_who_must_do_what(checked: tuple[Done, dict[str, Any], Path]) -> None:
    done = checked[0]
    said = summary_of(done.stdout)
    assert said[0] == "5 hosts: 1 healthy, 1 broken but repairable, 1 needs somebody, 2 unreachable."
    assert any(line.startswith("  denied") and "the credentials were refused" in line for line in said)
    assert any(line.startswith("  a-gone") and "connection refused" in line for line in said)
    assert any(line.startswith("  full: ") and "free" in line for line in said)
    assert any("Run fix_wu" in line for line in said)
    assert max(map(len, said[:-1])) <= 120
    assert done.returncode == 2


def test_a_failed_host_is_one_short_line_and_its_sentence_stands_once(checked: tuple[Done, dict[str, Any], Path]) -> None:
    said = checked[0].stdout
    fatal = [line for line in said.splitlines() if line.startswith("fatal: ")]
    assert len(fatal) == 2
    assert max(map(len, fatal)) < 200
    assert said.partition("PLAY RECAP")[0].count("credentials") == 0
    assert "Traceback" not in said
    assert "HTTPConnectionPool" not in said


def test_the_report_is_a_document(checked: tuple[Done, dict[str, Any], Path]) -> None:
    _done, document, path = checked
    assert (document["schema"], document["playbook"], document["hosts"], document["asked"]) == (1, "check_wu", "windows", 5)
    assert (document["interrupted"], document["not_looked_at"], document["version"] != "") == (False, [], True)
    assert document["totals"] == {"hosts": 5, "healthy": 1, "sick": 1, "needs_action": 1, "unreachable": 2}
    rows = {row["host"]: row for row in document["rows"]}
    assert rows["sick"]["about"]["build"].startswith("19045.")
    assert rows["sick"]["about"]["last_search_text"].endswith("Z")
    assert (rows["sick"]["findings"][0]["code"], "0x80070002" in rows["sick"]["findings"][0]["line"].lower()) == ("0x80070002", True)
    assert Path(rows["sick"]["evidence_path"]).name == "sick.json"
    assert rows["a-gone"]["evidence_path"] == str(path.parents[1] / "evidence" / "a-gone.failed.json")
    assert (rows["a-gone"]["owner"], rows["a-gone"]["next_step"][-1]) == ("admin", ".")
    assert abs(rows["sick"]["about"]["source_offset_ms"]) < 60_000
    assert [row["now"] for row in document["rows"]][-1] == "healthy"
    assert path.stat().st_mode & 0o077 == 0


def test_a_line_a_host_and_a_table_lie_beside_the_report(checked: tuple[Done, dict[str, Any], Path]) -> None:
    path = checked[2]
    first, *rows = [json.loads(line) for line in path.with_suffix(".jsonl").read_text("utf-8").splitlines()]
    assert (first["kind"], first["asked"]) == ("winfleet.wu_repair.report", 5)
    assert sorted(row["host"] for row in rows[:-1]) == ["a-gone", "denied", "full", "sick", "well"]
    assert "ended" in rows[-1]
    assert len(path.with_suffix(".csv").read_text("utf-8").splitlines()) == 6
    assert not [one.name for one in path.parent.iterdir() if one.name.startswith(".")]


def explained(fleet: Fleet, path: Path) -> dict[str, Any]:
    """What wu_explain says of a path, as a person calls it."""
    words = [command("ansible"), "localhost", "-m", "winfleet.wu_repair.wu_explain", "-a", f"path={path}"]
    done = subprocess.run(words, env=environment(fleet.folder), cwd=fleet.folder, capture_output=True, text=True, check=False)
    result: dict[str, Any] = json.loads(done.stdout.partition("=>")[2])
    return result


def test_the_lines_and_the_evidence_give_the_same_summary_later(fleet: Fleet, checked: tuple[Done, dict[str, Any], Path]) -> None:
    said = summary_of(checked[0].stdout)
    by_lines = explained(fleet, checked[2].with_suffix(".jsonl"))
    assert (by_lines["summary"], by_lines["msg"]) == (said[:-1], said[0])
    # The report itself once was "evidence: sections is null".
    assert explained(fleet, checked[2])["summary"] == said[:-1]
    assert by_lines["msg"].endswith(".")
    # Who was not reached has no evidence, but what is known of him lies there.
    by_evidence = explained(fleet, fleet.folder / "evidence")["summary"]
    assert by_evidence == said[:-1]
    assert [line for line in by_evidence if line.startswith("  full: ")] == [line for line in said if line.startswith("  full: ")]


# The words of a command, its variables, and the hosts that it is about; the first host of the inventory is down.
CHOICES: list[tuple[Sequence[str], dict[str, Any], str]] = [
    (["--limit", "well"], {}, "1 host: 1 healthy."),
    ([], {"wu_repair_hosts": ["sick", "a-gone"]}, "2 hosts: 1 broken but repairable, 1 unreachable."),
    # As text, which `-e wu_repair_hosts=...` makes of it, and a group whose names are matched.
    (["-e", "wu_repair_hosts=['sick',\"a-gone\",nosuch]", "--limit", "windows"], {}, "2 hosts: 1 broken but repairable, 1 unreachable."),
    (["--limit", "we*", "--skip-tags", "other"], {}, "1 host: 1 healthy."),
    (["--limit", "!a-gone,!denied"], {"wu_repair_hosts": "windows:!full"}, "2 hosts: 1 healthy, 1 broken but repairable."),
]


@pytest.mark.parametrize("number", range(len(CHOICES)))
def test_whoever_chose_the_hosts_and_however(fleet: Fleet, checked: object, number: int) -> None:
    words, variables, said = CHOICES[number]
    done = play(fleet, "check_wu", *words, variables=variables)
    assert totals(done) == said, done.stdout + done.stderr
    # A name that nobody has was a warning of ansible-core, hundreds of lines above.
    told = "The inventory has no host or group nosuch, which wu_repair_hosts names." in summary_of(done.stdout)
    assert told == any("nosuch" in word for word in words)


def test_through_import_playbook_and_with_a_user_s_own_configuration(fleet: Fleet, checked: object) -> None:
    book = fleet.folder / "site.yml"
    other = {"name": "Look", "hosts": "well", "gather_facts": False, "tasks": [{"name": "x", "ansible.builtin.debug": {"msg": "other"}}]}
    book.write_text(yaml.safe_dump([other, {"import_playbook": "winfleet.wu_repair.check_wu"}]), "utf-8")
    (fleet.folder / "ansible.cfg").write_text("[defaults]\nstrategy = free\nany_errors_fatal = true\nstdout_callback = oneline\n")
    try:
        done = play(fleet, str(book), variables={"wu_repair_hosts": "sick,a-gone"})
    finally:
        (fleet.folder / "ansible.cfg").unlink()
    assert "2 hosts: 1 broken but repairable, 1 unreachable." in done.stdout.splitlines(), done.stdout + done.stderr
    assert done.returncode == 2


@pytest.mark.parametrize(("words", "hosts"), [([], "no-such-group"), (["--tags", "none-of-ours"], "well")])
def test_nobody_looked_at_is_red_and_said(fleet: Fleet, words: Sequence[str], hosts: str) -> None:
    done = play(fleet, "check_wu", *words, variables={"wu_repair_hosts": hosts})
    assert done.returncode == 2
    assert "No host was looked at: no host matches" in done.stdout


def test_hosts_are_listed_without_a_run(fleet: Fleet) -> None:
    done = play(fleet, "fix_wu", "--list-hosts")
    assert done.returncode == 0, done.stderr
    assert "hosts (5):" in done.stdout


def test_a_host_that_no_inventory_names_is_red_where_it_cannot_be_read(fleet: Fleet) -> None:
    done = play(fleet, "check_wu", variables={"wu_repair_hosts": "localhost"})
    assert (totals(done), done.returncode) == ("1 host: 1 cannot be read.", 2), done.stdout


def test_a_report_that_cannot_be_written_is_said_before_anybody_is_looked_at(fleet: Fleet) -> None:
    fleet.reset_counters()
    blocked = fleet.folder / "file"
    blocked.write_text("")
    done = play(fleet, "check_wu", variables={"wu_repair_report": str(blocked / "wu.json"), "wu_repair_hosts": "well"})
    assert done.returncode != 0
    assert f"wu_repair_report: cannot write to {blocked} on the controller" in done.stdout
    # A folder was told at the end, in a warning, and the run was green.
    done = play(fleet, "check_wu", variables={"wu_repair_report": str(fleet.folder), "wu_repair_hosts": "well"})
    assert done.returncode == 2
    assert f"wu_repair_report: {fleet.folder} on the controller is a folder; name a file in it" in done.stdout
    assert fleet.counters()["well"]["processes"] == 0


def _interrupted(running: subprocess.Popen[str]) -> str:
    """What it says at Ctrl-C. Python drops the exception of one that comes while it tidies up; who sees nothing happen presses it again."""
    os.killpg(running.pid, signal.SIGINT)
    try:
        return running.communicate(timeout=25)[0]
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGINT)
        return running.communicate(timeout=60)[0]


def test_ctrl_c_keeps_what_was_seen(fleet: Fleet, checked: object) -> None:
    report = fleet.folder / "stopped.json"
    fleet.wire.hosts["full"].faults["hang"] = True
    words = [
        command("ansible-playbook"), "-i", str(fleet.write_inventory()), "winfleet.wu_repair.check_wu",
        "-e", json.dumps({"wu_repair_report": str(report), "wu_repair_hosts": "well,full"}),
    ]  # fmt: skip
    running = subprocess.Popen(
        words, env=environment(fleet.folder), cwd=fleet.folder, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until and '"host": "well"' not in _text(report.with_suffix(".jsonl")):
            time.sleep(0.2)
        said = _interrupted(running)
    finally:
        fleet.wire.hosts["full"].faults.pop("hang")
        running.kill()
    assert "Interrupted: 1 of 2 hosts were looked at." in said.splitlines(), said
    document = json.loads(report.read_text("utf-8"))
    assert (document["interrupted"], document["not_looked_at"], document["totals"]) == (True, ["full"], {"hosts": 1, "healthy": 1})


def test_a_run_that_is_stopped_in_the_middle_of_a_repair_says_what_is_unknown(make_fleet: MakeFleet) -> None:
    """Who stops a service or a container sends SIGTERM, at which ansible-core ends without a word."""
    fleet = make_fleet("model", "healthy-client=fine", "german-host=at-work")
    report = fleet.folder / "ended.json"
    words = [
        command("ansible-playbook"), "-i", str(fleet.write_inventory()), "winfleet.wu_repair.fix_wu", "-e", f"wu_repair_report={report}"
    ]  # fmt: skip
    environ = {**environment(fleet.folder), "PYTHONUNBUFFERED": "1"}
    running = subprocess.Popen(words, env=environ, cwd=fleet.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert running.stdout is not None
        for line in running.stdout:
            if line.startswith("PLAY [Repair the first]"):
                fleet.wire.hosts["at-work"].faults["slow_ms"] = 5000
            if "Reset the download cache" in line:
                break
        time.sleep(1)
        running.terminate()
        said, _nothing = running.communicate(timeout=30)
    finally:
        fleet.wire.hosts["at-work"].faults.pop("slow_ms", None)
        running.kill()
    assert said.count("2 hosts: 1 healthy, 1 failed.") == 1, said
    assert "in the middle of: Reset the download cache" in said
    assert running.returncode == -signal.SIGTERM
    document = json.loads(report.read_text("utf-8"))
    assert (document["interrupted"], document["totals"]) == (True, {"hosts": 2, "healthy": 1, "failed": 1})
    lines = [json.loads(line) for line in report.with_suffix(".jsonl").read_text("utf-8").splitlines()]
    assert [line.get("host") for line in lines] == [None, "fine", "at-work", None]


def _text(path: Path) -> str:
    return path.read_text("utf-8") if path.exists() else ""


def test_a_check_of_a_hundred_healthy_and_five_sick_prints_few_lines(make_fleet: MakeFleet) -> None:
    sick = ("wsus-unreachable", "lost-cache", "component-store", "not-elevated", "dead-host")
    done = play(make_fleet("model", *(f"healthy-client=web{number:03}" for number in range(100)), *sick), "check_wu")
    assert totals(done).startswith("105 hosts: 100 healthy, ")
    assert lines_beside_the_recap(done.stdout) <= 160
    assert not any("web0" in line for line in summary_of(done.stdout))


def test_a_repair_of_twenty_sick_prints_few_lines(make_fleet: MakeFleet) -> None:
    done = play(make_fleet("model", *(f"german-host=sick{number:02}" for number in range(20))), "fix_wu")
    assert summary_of(done.stdout) == ["20 hosts: 20 repaired.", "Done: cache reset on 20 hosts."], done.stdout + done.stderr
    assert lines_beside_the_recap(done.stdout) <= 160
    assert done.returncode == 0
