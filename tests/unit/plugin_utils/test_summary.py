# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a person reads after a run, and the files that are made of it."""

from __future__ import annotations

import csv
import io
import json
import random
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import report, rollout, run, summary

CHECK = "Check wsus3 and TCP 8530."
SILENT = "WSUS wsus3:8530 does not answer (timed out); 0x80072EE2 in searches for updates, {} times, last 2026-11-2{} 10:15 UTC. " + CHECK


def row(host: str, now: str = "healthy", msg: str = "Windows Update works.", **more: Any) -> dict[str, Any]:
    """A row as a case makes it."""
    known = {"host": host, "was": now, "now": now, "why": "", "msg": msg, "next_step": "", "owner": None, "did": [], "deeds": []}
    return {**known, "next": "end", **more}


def wsus(number: int) -> dict[str, Any]:
    """One of many hosts that ask the same dead WSUS, each with its own count and time."""
    said = SILENT.format(number + 2, number % 10)
    return row(f"web{number:03}", "needs_action", said, why="0x80072EE2", owner="wsus", next_step=CHECK)


def fleet(hosts: int = 1000) -> list[dict[str, Any]]:
    """Fifty sick hosts in five ways among healthy ones."""
    step = "Run DISM /Online /Cleanup-Image /RestoreHealth, then sfc /scannow, then this again."
    said = "0x80070002 in searches, {} times. To do: reset."
    lost = [row(f"db{n:02}", "sick", said.format(n), why="0x80070002", next_step="Run fix_wu.") for n in range(12)]
    store = {"why": "0x800F081F", "owner": "admin", "next_step": step}
    stores = [row(f"app{n}", "needs_action", f"0x800F081F of part{n}. {step}", **store) for n in range(8)]
    said = "The host was not reached: the credentials were refused"
    refused = [row(f"dc{n}", "unreachable", said, next_step="Mend it.") for n in range(4)]
    waits = [row(f"fs{n}", "restart_required", "Windows waits.", why="restart_pending", next_step="Restart it.") for n in range(3)]
    kinds = [[wsus(number) for number in range(23)], lost, stores, refused, waits]
    ill = [one for kind in kinds for one in kind]
    every = [*ill, *(row(f"ok{number:04}") for number in range(hosts - len(ill)))]
    random.Random(1).shuffle(every)
    return every


def test_a_thousand_hosts_are_a_number_and_five_causes_on_two_screens() -> None:
    said = summary.lines(fleet())
    assert said[0] == (
        "1000 hosts: 950 healthy, 3 wait for a restart, 12 broken but repairable, 31 need somebody, 4 unreachable."
    )
    assert len(said) <= 100
    assert max(map(len, said)) <= 120
    left = said[said.index("Left to do:") + 1 : said.index("Not healthy, worst first:") - 1]
    assert [line.split(":")[0].strip() for line in left if line.startswith("  ") and line[2] != " "] == [
        "23 hosts", "12 hosts", "8 hosts", "4 hosts", "3 hosts"
    ]  # fmt: skip
    assert left[0].startswith("  23 hosts: WSUS wsus3:8530 does not answer (timed out); 0x80072EE2 in searches for updates. ->")
    assert "whoever runs the WSUS: Check wsus3 and TCP 8530." in " ".join(" ".join(left[:2]).split())
    assert "and 20 more)" in left[2]
    # Each of the fifty has its row.
    ill = [one["host"] for one in fleet() if one["now"] != "healthy"]
    rows = said[said.index("Not healthy, worst first:") + 1 :]
    assert {host for host in ill if any(line.startswith(f"  {host} ") for line in rows)} == set(ill)
    assert [line.split()[0] for line in rows[:6]] == ["dc0", "dc1", "dc2", "dc3", "app0", "app1"]


def test_what_does_not_fit_is_counted_and_where_it_is_said() -> None:
    many = [row(f"h{number:03}", "sick", f"fault {number}. To do: reset.", why=f"0x{number:08X}") for number in range(200)]
    said = summary.lines(many, summary.Scope(rest="/tmp/report.json"))
    assert len(said) <= 100
    shown = sum(line.startswith("  h") for line in said[said.index("Not healthy, worst first:") :])
    assert said[-1] == f"  and {200 - shown} more in /tmp/report.json"
    assert f"  and {200 - 12} more causes, of 188 hosts" in said
    assert "wu_repair_report" in summary.lines(many)[-1]


def test_a_cause_of_one_host_names_it_and_its_row_is_one_line() -> None:
    long = "stop_service wuauserv failed: wuauserv did not stop within 60000 ms (state stop_pending); its process serves 3 services"
    said = summary.lines([row("only", "failed", f"{long}; everything was undone.", next_step="Look at the host."), row("well")])
    assert said[0] == "2 hosts: 1 healthy, 1 failed."
    assert said[3].startswith("  only: stop_service wuauserv failed")
    assert sum("only" in line for line in said) == 2


def test_nothing_left_to_do_is_one_line() -> None:
    said = summary.lines([row("a"), row("b", "repaired", deeds=["cache reset"])])
    assert said == ["2 hosts: 1 healthy, 1 repaired.", "Done: cache reset on 1 host."]


def test_hosts_that_share_an_identity_are_one_cause_even_when_healthy() -> None:
    one = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
    given = [row(host, about={"client_id": identity}) for host, identity in (("a", one), ("b", one.upper()), ("c", "other"))]
    given.append(row("d"))
    (cause,) = summary.causes(given)
    assert (cause.hosts, cause.owner) == (("a", "b"), "admin")
    assert "SusClientId" in cause.said
    assert "2 hosts: one SusClientId" in "\n".join(summary.lines(given))


def test_check_mode_says_what_would_be_done_and_what_would_follow() -> None:
    said = summary.lines([row("a", "sick", "x.", would=["set aside A", "start B"], if_not_cured=["osupgrade"])])
    assert "  a  broken, can be repaired: would set aside A; start B; if that does not cure it: osupgrade. x." in said


def test_check_mode_says_that_nothing_was_changed() -> None:
    assert summary.lines([row("a")], summary.Scope(check=True)) == ["1 host: 1 healthy.", "Check mode: nothing was changed."]


def test_what_was_done_is_told_of_a_host_that_somebody_must_still_act_on() -> None:
    said = summary.lines([row("a", "needs_action", "0xC1900101 in feature upgrades.", owner="admin", deeds=["AllowOSUpgrade set"])])
    assert "  a  needs an administrator: Done: AllowOSUpgrade set. 0xC1900101 in feature upgrades." in said


def test_many_alike_do_not_cut_the_rows_of_others_short() -> None:
    tail = " ".join(["and more of it"] * 9)
    others = [row(f"b{number}", "sick", f"0x8024200{number} {tail} END.", would=["reset"]) for number in range(4)]
    said = summary.lines([*(wsus(number) for number in range(1, 61)), *others])
    assert len(said) <= summary.MOST_LINES
    rows = said[said.index("Not healthy, worst first:") :]
    assert sum("END." in line for line in rows) == 4


def test_one_cause_more_is_one() -> None:
    given = [row(f"a{number}", "sick", f"x{number}.", why=f"0x{number}") for number in range(13)]
    assert "  and 1 more cause, of 1 host" in summary.lines(given)


def test_a_name_is_cut_in_the_middle_and_the_text_of_a_host_is_one_line() -> None:
    said = summary.lines([row("x" * 60 + ".example.com", "unreachable", "a\nb\x1b[31mred \u202e", next_step="y")])
    assert all(line.isprintable() and len(line) <= 120 for line in said)
    assert any("xxx...xample.com" in line for line in said)


def test_hosts_with_the_same_code_and_another_thing_to_do_are_two_causes() -> None:
    given = [wsus(1), {**wsus(2), "next_step": "Check wsus4 and TCP 8530."}, {**wsus(3), "owner": "proxy"}]
    assert len(summary.causes(given)) == 3


# ---------------------------------------------------------------------------------------------------------------- a run


def head(**more: Any) -> run.Head:
    return run.Head(**{"run": "20261124T101530Z-1a2b3c", "began": 100, "playbook": "fix_wu", **more})


def returned(host: str, now: str, next_: str = "end", **more: Any) -> dict[str, Any]:
    """What a module returns with a case, as far as a run reads it."""
    one = row(host, now, began=100, **more)
    return {**one, "next": next_, "case": {"schema": 1, "did": one["did"], "changed": bool(one["did"])}}


def test_a_run_tells_each_host_once_and_again_when_it_changed() -> None:
    made = run.Run(head())
    made.take("a", returned("a", "healthy"), 101)
    made.take("b", returned("b", "sick", "reset"), 101)
    assert [one["host"] for one in made.untold()] == ["a"]
    made.take("a", returned("a", "healthy"), 130)
    assert made.untold() == []
    made.take("b", returned("b", "repaired", did=["reset"]), 140)
    assert [(one["host"], one["now"], one["seconds"]) for one in made.untold()] == [("b", "repaired", 40)]


def test_what_is_told_as_hosts_end_costs_the_thousandth_no_more_than_the_first() -> None:
    made = run.Run(head())
    began = time.process_time()
    told = 0
    for number in range(1000):
        made.take(f"pc{number}", returned(f"pc{number}", "healthy"), 101)
        told += len(made.untold())
    assert told == 1000
    # 5 s when each task that ended asked all hosts again.
    assert time.process_time() - began < 1


def test_a_task_that_fails_on_purpose_does_not_take_the_verdict_away() -> None:
    made = run.Run(head())
    made.take("a", returned("a", "unresolved", did=["reset"]), 101)
    made.ended_by_ansible("a", {"failed": True, "msg": "needs somebody"}, 102)
    made.ended_by_ansible("b", {"failed": True, "msg": "a variable is undefined"}, 102)
    assert (made.rows["a"]["now"], made.rows["b"]["now"], made.rows["b"]["msg"]) == ("unresolved", "failed", "a variable is undefined")


def test_long_work_says_where_it_is_at_most_once_a_minute() -> None:
    made = run.Run(head())
    made.ask("windows", ["a", "b", "c"])
    made.begins("a", "role : Look", 1000)
    made.begins("b", "role : Look", 1010)
    assert made.progress(1000) == ""
    made.ends("a")
    made.take("a", returned("a", "healthy"), 1059)
    assert made.progress(1059) == ""
    assert made.progress(1060) == "1 of 3 hosts are done; at work for longest: b (Look, 50 s)"
    assert made.progress(1119) == ""
    # A host with a verdict is failed at the end, which is no work.
    made.begins("a", "role : Fail the host", 1150)
    made.ends("b")
    assert made.progress(1200) == ""


def test_an_interruption_in_the_middle_of_a_change_leaves_its_outcome_unknown() -> None:
    made = run.Run(head())
    for host in ("a", "b", "c"):
        made.take(host, returned(host, "sick", "reset"), 101)
    made.begins("a", "role : Look at Windows Update again", 102)
    made.begins("b", "role : Reset the download cache", 102, changes=True)
    made.begins("c", "role : Reset the download cache", 102, changes=True)
    made.ends("c")
    made.interrupt()
    assert [made.rows[host]["now"] for host in "abc"] == ["sick", "failed", "sick"]
    assert "in the middle of: Reset the download cache." in made.rows["b"]["msg"]
    assert "outcome is unknown" in made.rows["b"]["msg"]
    assert [row["host"] for row in made.untold()] == ["b"]


def test_a_stopped_rollout_is_said_with_its_numbers() -> None:
    made = run.Run(head())
    for host, now in (("a", "failed"), ("b", "repaired")):
        made.take(host, returned(host, now, did=["reset"]), 101)
    for host in ("c", "d"):
        made.take(host, returned(host, "sick", "reset"), 101)
        made.not_tried(host)
    assert made.stopped() == "The rollout was stopped: 1 of 2 hosts that were sent a change failed, 2 hosts not tried."
    assert made.stopped() in made.lines()
    assert any(line.startswith("  c  not tried, broken") for line in made.lines())
    assert rollout.is_bad(made.rows["a"])


def test_the_report_is_a_document_and_knows_who_was_not_looked_at() -> None:
    made = run.Run(head(limit="web*"), previous={"a": "sick"})
    made.ask("windows", ["a", "b", "c"])
    made.take("a", returned("a", "healthy"), 101)
    document = made.document(160, interrupted=True)
    assert (document["schema"], document["kind"], document["hosts"], document["limit"]) == (1, run.KIND, "windows", "web*")
    assert (document["began"], document["ended"], document["interrupted"], document["asked"]) == (100, 160, True, 3)
    assert document["not_looked_at"] == ["b", "c"]
    assert document["totals"] == {"hosts": 1, "healthy": 1}
    assert (document["rows"][0]["previous"], "next" in document["rows"][0]) == ("sick", False)
    assert "Interrupted: 1 of 3 hosts were looked at." in made.lines(interrupted=True)
    assert run.previous(document) == {"a": "healthy"}
    assert run.previous([{"host": "a"}]) == {}


def at_one_server(count: int, server: str, **more: Any) -> run.Run:
    made = run.Run(head(playbook="check_wu"), **more)
    for number in range(count):
        fails = {"why": "0x80242006", "msg": "0x80242006 in searches. To do: reset the cache.", "fails_at": server}
        one = returned(f"pc{number}", "sick", next_step="Run fix_wu.", about={"server": server}, **fails)
        made.take(f"pc{number}", one, 101)
    made.untold()
    return made


def test_a_look_names_the_server_that_the_repair_would_leave_its_hosts_to() -> None:
    made = at_one_server(5, "wsus:wsus1:8530")
    made.name_shared_servers()
    (cause,) = made.document(160)["causes"]
    assert (cause["count"], cause["owner"], cause["state"]) == (5, "wsus", "sick")
    assert cause["next_step"].startswith("Mend WSUS wsus1:8530.")
    assert "Many hosts fail alike at WSUS wsus1:8530" in cause["cause"]
    # The JSON lines tell it as well: they were written before all hosts were known.
    assert {row["owner"] for row in made.untold()} == {"wsus"}


@pytest.mark.parametrize(("count", "server", "more"), [(4, "wsus:w:8530", {}), (5, "", {}), (5, "wsus:w:8530", {"shared_server": "0"})])
def test_a_few_hosts_or_none_at_one_server_are_left_to_the_repair(count: int, server: str, more: dict[str, Any]) -> None:
    made = at_one_server(count, server, **more)
    made.name_shared_servers()
    assert [cause["next_step"] for cause in made.document(160)["causes"]] == ["Run fix_wu."]


def test_json_lines_give_the_same_summary_and_a_broken_one_is_left_out() -> None:
    made = run.Run(head())
    made.ask("windows", ["a", "b", "c"])
    lines = [json.dumps(made.first_line())]
    for host, now in (("a", "healthy"), ("b", "sick"), ("b", "repaired")):
        made.take(host, returned(host, now, msg=f"{now}."), 101)
        lines += [json.dumps(one) for one in made.untold()]
    text = "\n".join([*lines, '{"host": "c", "now": "hea'])
    assert run.is_lines(text)
    again = run.from_lines(text)
    assert again.lines(interrupted=True) == made.lines(interrupted=True)
    assert (run.is_ended(text), run.is_ended("\n".join([*lines, '{"ended": 160}']))) == (False, True)
    # A run that was interrupted writes its end as well, and did not come to it.
    assert not run.is_ended("\n".join([*lines, '{"ended": 160, "interrupted": true}']))
    for interrupted in (True, False):
        document = run.from_document(json.dumps(made.document(160, interrupted=interrupted), indent=1))
        assert document is not None
        assert (document[0].lines(interrupted=interrupted), document[1]) == (made.lines(interrupted=interrupted), not interrupted)
    assert run.from_document('{"schema": 1, "sections": {}}') is None
    assert not run.is_lines('{"schema": 1, "sections": {}}')
    assert not run.is_lines("")


def test_the_table_holds_no_formula_of_a_host() -> None:
    table = list(csv.reader(io.StringIO(run.as_csv([row("a", msg="=cmd|'/c calc'!A0", about={"build": "1.2"}), row("b", "sick", "x\ny")]))))
    assert [line[0] for line in table] == ["host", "b", "a"]
    known = dict(zip(table[0], table[2], strict=True))
    assert (known["msg"], known["build"], known["now"]) == ("'=cmd|'/c calc'!A0", "1.2", "healthy")


def test_the_table_holds_what_a_row_knows_in_words_and_dates() -> None:
    known = row(
        "a", "unproven", deeds=["cache reset", "clock set"], backups=["C:\\x.wu-1", "C:\\y.wu-1"], proof={"reason": "no try yet"},
        findings=[{"code": "0x80070002", "kb": "KB5099002"}, {"condition": "low_space", "name": "C:"}], evidence_path="/e/a.json",
        about={"last_search": 1795000000, "free_bytes": 1, "source_offset_ms": -3},
    )  # fmt: skip
    names, cells = csv.reader(io.StringIO(run.as_csv([known])))
    said = dict(zip(names, cells, strict=True))
    assert (said["did"], said["backups"], said["not_proved"]) == ("cache reset, clock set", "C:\\x.wu-1, C:\\y.wu-1", "no try yet")
    assert (said["findings"], said["last_search"]) == ("0x80070002 KB5099002; low_space C:", "2026-11-18T11:06:40Z")
    assert (said["evidence_path"], said["free_bytes"], said["source_offset_ms"], said["last_install"]) == ("/e/a.json", "1", "-3", "")


@pytest.mark.parametrize(
    ("path", "stem"), [("/a/r.json", "/a/r"), ("/a/r", "/a/r"), ("/a/r.txt", "/a/r.txt"), ("/a/b.c/r.csv", "/a/b.c/r")]
)
def test_what_lies_beside_the_report(path: str, stem: str) -> None:
    assert run.beside(Path(path)) == (Path(f"{stem}.jsonl"), Path(f"{stem}.csv"))


@pytest.mark.parametrize("given", ["/a/wu.json", "/a/wu.csv", "/a/wu.jsonl", "/a/wu", "/a/wu.txt"])
def test_the_three_files_of_a_report_are_three(given: str) -> None:
    document = run.document_path(given)
    assert len({document, *run.beside(document)}) == 3
    assert given in {str(path) for path in (document, *run.beside(document))}


def test_a_busy_host_is_told_by_its_reason_and_a_needy_one_by_whom_it_needs() -> None:
    # The date is data of the row, whatever the sentence was cut to.
    passing = "0x80072EE2 in searches for updates. It may pass by itself and is left..."
    rows = [
        row("a", "busy", "Windows is installing updates now (TiWorker).", why="servicing_at_work"),
        row("b", "busy", passing, why="0x80072EE2", until=1795515300),
        row("c", "busy", "The host is being changed by another run: nothing was changed."),
        wsus(1),
    ]
    said = "\n".join(summary.lines(rows))
    assert said.startswith("4 hosts: 1 busy, 1 left alone until 2026-11-24 10:15 UTC, 1 installing now, 1 needs somebody.")
    assert "  a       installing now: " in said
    assert "  b       left alone until 2026-11-24 10:15 UTC: " in said
    assert "  web001  needs whoever runs the WSUS: " in said


def test_words_say_repair_and_no_word_of_the_workshop() -> None:
    words = " ".join(word for pair in report.WORDS.values() for word in pair)
    assert not any(word in words for word in ("rung", "climb", "ladder", "sick", "stale", "_"))
