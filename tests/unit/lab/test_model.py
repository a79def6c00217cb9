# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The agent played in Python, by the contract."""

from __future__ import annotations

import base64
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from lab.answers import BOOTSTRAP
from lab.model import ModelBackend
from lab.model_apply import RULES, Applier
from lab.model_observe import PARTS, SECTIONS, group_lines, registry_table, telling
from lab.sim import Sim

REPOSITORY = Path(__file__).resolve().parents[3]
RUN = "20261124T101530Z-1a2b3c"
SD = r"C:\Windows\SoftwareDistribution"
RESET = (
    ("stop_service", {"name": "wuauserv", "timeout_ms": 300}),
    ("stop_service", {"name": "CryptSvc", "timeout_ms": 300}),
    ("set_aside", {"folder": "SoftwareDistribution"}),
    ("set_aside", {"folder": "catroot2"}),
    ("restore_services", {"timeout_ms": 1000}),
)


def request(*steps: tuple[str, dict[str, Any]], **more: Any) -> dict[str, Any]:
    rows = [{"id": number, "kind": kind, "args": args} for number, (kind, args) in enumerate(steps, 1)]
    uses = sorted({kind for kind, _args in steps})
    return {"schema": 1, "op": "apply", "run": RUN, "uses": uses, "expect": [], "steps": rows, "observe": None, **more}


@pytest.fixture
def host(tmp_path: Path) -> Sim:
    return Sim.load("lost-cache", tmp_path, "h")


def apply(sim: Sim, *steps: tuple[str, dict[str, Any]], **more: Any) -> dict[str, Any]:
    return Applier(sim.call).apply(request(*steps, **more))


def contract(heading: str) -> dict[str, str]:
    """First column to second of the table that begins with a heading."""
    text = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = text.partition(heading)[2].partition("\n\n")[0]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| `")]
    return {row[1].strip().strip("`"): row[2] for row in rows}


def test_knows_the_steps_and_sections_of_the_contract() -> None:
    kinds = contract("| kind | args | undo |")
    assert set(RULES) == set(kinds)
    for kind, arguments in kinds.items():
        wanted = set(re.findall(r"`([a-z_]+)`", arguments.split(";")[0]))
        assert wanted - {"bits", "wuauserv"} <= {*RULES[kind], "stop_after"}, kind
    assert set(SECTIONS) - set(PARTS) == set(contract("| section | data |"))


def test_what_it_sends_is_what_the_core_reads(host: Sim) -> None:
    from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import evidence  # noqa: PLC0415

    host.spec["damage"] = {"sections": {"sources": "denied"}, "answers": {"Get-HostFact": {"domain_role": 3}}}
    reply = Applier(host.call).observe({"schema": 1, "op": "observe", "sections": list(SECTIONS), "lookback_s": 10**9})
    read = evidence.from_reply(reply, None, None)
    sections = read.to_document()["sections"]
    assert {name: section["status"] for name, section in sections.items() if section["status"] != "ok"} == {"sources": "partial"}
    assert set(sections) == set(SECTIONS) - set(PARTS)
    assert (read.host.build, read.host.domain_role, read.clock.utc_offset_s) == (19045, 3, 0)
    assert {entry.service for entry in read.history.entries} == {"9482f4b4-e343-43b6-b170-9a65bc822c77"}
    assert {reach.complete for reach in read.events.reach} == {True}
    assert read.reporting.oldest is not None


def test_reads_the_registrys_table_out_of_the_agent() -> None:
    assert ("CCS\\Services\\CcmExec", "-") in registry_table()["policy"]
    assert set(registry_table()) == {"host", "clock", "servicing", "reboot", "policy", "sources", "upgrade"}


def test_unknown_section_is_refused_and_always_sections_come_unasked(host: Sim) -> None:
    agent = Applier(host.call)
    assert "unknown section" in agent.observe({"schema": 1, "op": "observe", "sections": ["nope"]})["refused"]
    reply = agent.observe({"schema": 1, "op": "observe", "sections": []})
    assert set(reply["sections"]) == {"host", "fact", "services", "servicing", "reboot"}


def test_reset_cures_proves_and_keeps_the_backup(host: Sim) -> None:
    look = {"schema": 1, "op": "observe", "sections": ["scan", "cache"], "lookback_s": 10**9}
    reply = apply(host, *RESET, observe=look)
    assert reply["failed"] is None
    assert reply["changed"] is True
    assert [row["status"] for row in reply["steps"]] == ["skipped", "done", "done", "done", "done"]
    assert reply["sections"]["scan"]["data"]["hresult"] == 0
    assert reply["sections"]["cache"]["data"]["folders"][0]["backups"] == ["SoftwareDistribution.wu-tp04hub0"]
    assert b"damaged" in (host.read(f"{SD}.wu-tp04hub0\\DataStore\\DataStore.edb") or b"")


@pytest.mark.parametrize("hindered", ["catroot2", "second", "start"])
def test_what_fails_is_undone_bit_for_bit(host: Sim, hindered: str) -> None:
    if hindered == "catroot2":
        host.spec["locks"] = [{"path": r"C:\Windows\System32\catroot2\{F750E6C3-38EE-11D1-85E5-00C04FC295EE}"}]
    elif hindered == "second":
        host._make_folder("C:\\Windows\\System32\\catroot2.wu-tp04hub0")
    else:
        host.services["cryptsvc"]["start_fails"] = 1053
    before = host.snapshot()
    reply = apply(host, *RESET)
    assert reply["failed"] is not None
    if hindered == "start":
        assert reply["changed"] is True  # the service that cannot start any more is told, not hidden
        assert [line["ok"] for line in reply["undone"]].count(False) == 1
        return
    assert reply["changed"] is False
    assert all(line["ok"] for line in reply["undone"])
    assert host.snapshot() == before


def test_service_that_shares_its_process_is_never_ended(tmp_path: Path) -> None:
    sim = Sim.load("wuauserv-will-not-stop", tmp_path, "h")
    reply = apply(sim, *RESET)
    assert reply["failed"]["id"] == 1
    assert "serves 3 services" in reply["failed"]["why"]
    assert not [change for change in sim.changes if change["function"] == "Stop-ServiceProcess"]
    sim.services["wuauserv"].update(group=None, pid=4242)
    assert apply(sim, *RESET)["failed"] is None


@pytest.mark.parametrize(
    "change",
    [
        {"uses": []},
        {"uses": ["stop_service", "format_disk"]},
        {"run": "../../x"},
        {"schema": 2},
        {"steps": [{"id": 1, "kind": "stop_service", "args": {"name": "TrustedInstaller", "timeout_ms": 1}}]},
        {"steps": [{"id": 1, "kind": "stop_service", "args": {"name": "BITS", "timeout_ms": 1, "force": True}}]},
        {"steps": [{"id": 1, "kind": "stop_service", "args": {"name": "BITS"}}]},
        {"expect": [{"what": "folder", "name": r"..\System32", "field": "exists", "is": True}]},
    ],
)
def test_request_outside_the_fixed_set_is_refused_whole(host: Sim, change: dict[str, Any]) -> None:
    good = request(("stop_service", {"name": "CryptSvc", "timeout_ms": 100}))
    before = host.snapshot()
    reply = Applier(host.call).apply({**good, **change})
    assert set(reply) == {"schema", "refused"}
    assert host.snapshot() == before


def test_expectation_that_does_not_hold_stops_everything(host: Sim) -> None:
    fact: Any = host.call("Get-HostFact", {})
    expect = [
        {"what": "service", "name": "wuauserv", "field": "start", "is": 2},
        {"what": "service", "name": "BITS", "field": "start", "is": 3},
        {"what": "boot", "name": None, "field": "time", "is": fact["boot_time"] + 3},
        {"what": "servicing", "name": None, "field": "busy", "is": False},
        {"what": "reboot", "name": None, "field": "pending", "is": False},
        {"what": "folder", "name": "catroot2", "field": "reparse", "is": False},
    ]
    before = host.snapshot()
    reply = apply(host, *RESET, expect=expect)
    assert reply["differs"] == [{"what": "service", "name": "wuauserv", "field": "start", "expected": 2, "found": 3}]
    assert {row["status"] for row in reply["steps"]} == {"not_run"}
    assert host.snapshot() == before


def test_resync_lifts_the_limit_for_once(tmp_path: Path) -> None:
    sim = Sim.load("clock-ahead-workgroup", tmp_path, "h")
    sim.clock_offset = 90000.0
    steps = (
        ("start_service", {"name": "W32Time", "timeout_ms": 500, "stop_after": True}),
        ("resync", {"rediscover": True, "lift_limit": True, "timeout_ms": 1000, "settle_ms": 100}),
    )
    before = sim.snapshot()
    reply = apply(sim, *steps)
    assert reply["failed"] is None
    assert reply["steps"][1]["before"]["offset_ms"] == -90_000_000
    assert abs(reply["steps"][1]["after"]["offset_ms"]) < 1000
    after = sim.snapshot()
    assert abs(after["clock_offset"]) < 1
    assert {**after, "clock_offset": 0} == {**before, "clock_offset": 0}  # limits and service as before
    again = apply(sim, *steps)
    assert again["changed"] is False


def test_prune_keeps_the_newest_and_other_peoples_folders(host: Sim) -> None:
    names = [f"SoftwareDistribution.wu_repair-2026010{day}T000000Z-aaaaaa" for day in (1, 2, 3)]
    for name in [*names, "SoftwareDistribution.wu_repair-mine", "SoftwareDistribution.bak"]:
        host._make_folder(rf"C:\Windows\{name}")
    apply(host, ("prune_backups", {"folder": "SoftwareDistribution", "keep": 2}))
    left: Any = host.call("Get-ChildName", {"Path": r"C:\Windows", "Filter": "SoftwareDistribution.*"})
    assert left == sorted([*names[1:], "SoftwareDistribution.wu_repair-mine", "SoftwareDistribution.bak"])


def test_lines_are_grouped_by_what_makes_them_alike() -> None:
    text = "".join(
        f"2026-11-2{day} 10:00:00, Info                  CBS    Failed to open {day}. [HRESULT = 0x800f0805]\r\n"
        for day in (1, 2, 3)
    )
    text += "2026-11-23 10:00:01, Info                  CBS    Nothing to tell\r\n"
    text += "2026-11-23 10:00:02, Info                  CSI    00000001 [SR] Cannot repair member file 'x'\r\n"
    kinds = group_lines(text, "cbs", "")
    assert [row.get("count") for row in kinds] == [3, None]
    assert kinds[0]["first"].startswith("2026-11-21")
    assert kinds[0]["last"].startswith("2026-11-23")
    assert group_lines(text, "cbs", "2030-01-01 00:00:00") == []


def test_like_failures_are_one_and_of_those_that_ended_the_newest_stays() -> None:
    items: list[dict[str, Any]] = [{"time": time, "kb": "KB2267602", "failed": True, "ended": time < 5} for time in range(9, 0, -1)]
    items.insert(5, {"time": 55, "kb": "KB2267602", "failed": False, "ended": False})
    items += [{"time": 0, "kb": f"KB500000{number}", "failed": False, "ended": False} for number in range(9)]

    def tells(item: dict[str, Any]) -> tuple[bool, str, str, bool]:
        return item["failed"], str(item["failed"]), item["kb"], item["ended"]

    kept = telling(items, tells)
    assert [(row["time"], row.get("first"), row.get("count")) for row in kept if row["failed"]] == [(9, 5, 5), (4, None, None)]
    assert [row["kb"] for row in kept if not row["failed"]] == ["KB2267602", *(f"KB500000{number}" for number in range(9))]
    calm = [item for item in items if not item["failed"]]
    assert len(telling(calm, tells, 3)) == 4
    # Where nothing fails any more, no more of what went well is needed than on a healthy host.
    assert len([row for row in telling(items[6:], tells, 3) if not row["failed"]]) == 4


# -- what the wire talks to


def powershell(script: str) -> str:
    """The command line that ansible-core makes of a script."""
    return f"PowerShell -NoProfile -EncodedCommand {base64.b64encode(script.encode('utf-16-le')).decode()}"


def told(backend: ModelBackend, module: str, args: dict[str, Any]) -> dict[str, Any]:
    """Send what ansible-core sends for a module and read the answer."""
    script = f"ansible_collections.{module.rpartition('.')[0]}.plugins.modules.{module.rpartition('.')[2]}.ps1"
    variables = [{"Name": "complex_args", "Value": args, "Scope": "Global"}]
    document = {
        "scripts": {"module_wrapper.ps1": {"path": "x", "script": base64.b64encode(b"#").decode()}},
        "actions": [{"name": "module_wrapper.ps1", "params": {"Script": script, "Variables": variables}}],
        "signed_hashlist": [],
    }
    process = backend.start(powershell(f'$in -eq "{BOOTSTRAP}"'))
    process.write(b"wrapper\n\0\0\0\0\n" + json.dumps(document).encode())
    assert process.read(0.01) == (b"", b"", None)
    process.close_stdin()
    out, err, code = process.read(1)
    assert err == b""
    assert process.read(1) == (b"", b"", code)
    answer: dict[str, Any] = json.loads(out)
    assert bool(answer.get("failed")) is bool(code)
    return answer


def test_backend_answers_modules_it_knows_and_fails_clearly_on_others(host: Sim, tmp_path: Path) -> None:
    backend = ModelBackend(host, tmp_path)
    look = {"schema": 1, "op": "observe", "sections": ["clock"], "lookback_s": 10**9}
    reply = told(backend, "winfleet.wu_repair.wu_observe", {"request": look, "_ansible_check_mode": False})["reply"]
    assert abs(reply["sections"]["clock"]["data"]["start_ms"] / 1000 - time.time()) < 5
    assert told(backend, "ansible.windows.win_ping", {"data": "x"})["ping"] == "x"
    assert "does not know the module" in told(backend, "ansible.windows.win_feature", {})["msg"]


@pytest.mark.parametrize("line", ["whoami", powershell("Get-Date"), "powershell -Command Get-Date", "powershell -EncodedCommand ?"])
def test_backend_refuses_other_commands_at_once(host: Sim, tmp_path: Path, line: str) -> None:
    # Nobody sends input to them, so there is no end of it to wait for.
    out, err, code = ModelBackend(host, tmp_path).start(line).read(0)
    assert (out, code) == (b"", 1)
    assert b"runs no command" in err
