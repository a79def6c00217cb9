# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A document is as the contract says, or it is refused in one line that names the path."""


from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import evidence as ev
from hypothesis import given, settings
from hypothesis import strategies as st

NOW = 1763900001
GUID = "c7b927c8-6b48-4e6d-8c0b-8f0da7ed9959"
WUC = "Microsoft-Windows-WindowsUpdateClient"


def section(data: object, status: str = "ok") -> dict[str, Any]:
    return {"status": status, "ms": 3, "why": None, "data": data}


def document() -> dict[str, Any]:
    log = {
        "path": "C:\\Windows\\x.log", "size": 9000, "read": 9000, "modified": NOW,
        "kinds": [{"kind": "148|80072ee2|", "count": 3, "first": "", "last": (
            "{36DB1E9D-F68C-4D17-88A6-546C7E7FDD87}\t2025-11-23 12:00:00:279+0000\t1\t148 [AGENT_DETECTION_FAILED]\t101\t"
            "{9482F4B4-E343-43B6-B170-9A65BC822C77}\t0\t80072ee2\tx\tFailure\tSoftware Synchronization\tWords.\tcV")}],
    }  # fmt: skip
    cbs = {**log, "kinds": [{"kind": "x", "count": 2, "first": "", "last": (
        "2025-11-23 12:00:00, Info                  CSI    0000000a [SR] Cannot repair member file [l:9]'tcpip.sys' of X")}]}  # fmt: skip
    setup = {**log, "kinds": [{"kind": "x", "count": 1, "first": "", "last": (
        "2025-11-23 12:00:00, Error                 MOUPG  CSetupManager::Execute(295): Result = 0xC1900101")}]}  # fmt: skip
    return {
        "schema": 1,
        "taken": {"asked_ms": 1763900000123, "answered_ms": 1763900001456},
        "sections": {
            "host": section({"build": 20348, "revision": 1, "edition": "ServerStandard", "product_type": "server", "elevated": True}),
            "clock": section({
                "start_ms": 1763900000500, "end_ms": 1763900001300, "zone": "UTC", "type": "NTP", "servers": ["time.windows.com,0x9"],
                "policy": {}, "max_pos": 54000, "max_neg": 4294967295, "client_enabled": 1,
                "sources": [{"server": "t", "ok": True, "offset_ms": -3, "rtt_ms": 5, "stratum": 2, "error": None}]}),
            "services": section({"services": [{"name": "wuauserv", "exists": True, "start": 3, "delayed": False, "state": "stopped",
                                               "dependents": []}]}),
            "history": section({"total": 2, "entries": [
                {"time": NOW - 9, "operation": 1, "result": 4, "hresult": -2147024894, "title": "A", "update_id": GUID, "client": "x"},
                {"time": NOW - 5, "operation": 1, "result": 2, "hresult": 0, "title": "B (KB5005565)", "update_id": "", "client": "x"}]}),
            "events": section({"records": [
                {"channel": "System", "provider": WUC, "id": 20, "time": NOW - 8, "record": 7,
                 "data": {"errorCode": "0x80240017", "updateGuid": "{" + GUID.upper() + "}"}},
                {"channel": "System", "provider": "Service Control Manager", "id": 7023, "time": NOW, "record": 8,
                 "data": {"param1": "Windows Update", "param2": "%%1058"}},
                {"channel": "System", "provider": "Service Control Manager", "id": 7023, "time": NOW, "record": 9,
                 "data": {"param1": "Print Spooler", "param2": "%%1058"}}]}),
            "reporting": section(log),
            "cbs": section(cbs, "partial"),
            "reboot": section({"markers": ["cbs_reboot_pending"], "file_renames": 0}),
            "policy": section({"wu": {"WUServer": "http://w", "UseWUServer": 1}, "mdm_wins": None, "configmgr": False}),
            "sources": section({"services": None, "last_search": NOW - 100, "last_install": None, "endpoints": []}),
            "cache": section({"folders": [{"name": "catroot2", "path": "C:\\x", "exists": True, "reparse": False, "backups": []}]}),
            "upgrade": section({"osupgrade": {}, "box_result": 0x80070005, "setupdiag": {
                "ProfileName": "FindRollbackFailure", "FailureData": "Error = 0x8007000D-0x2000C"}, "logs": [setup]}),
            "scan": section({"result": 4, "hresult": -2145107951, "count": None, "seconds": 3, "warnings": []}),
            "runs": section(None, "absent"),
        },
    }  # fmt: skip


def test_a_document_comes_back_as_it_went_in() -> None:
    found = ev.parse(document())
    assert found.to_document() == document()
    assert ev.parse(json.dumps(document())) == found == ev.parse(json.dumps(document()).encode())
    assert found.now == NOW
    assert found.offset_to_controller() == (110, 267)
    assert (found.status("runs"), found.data("runs"), found.status("disk")) == ("absent", {}, "missing")
    assert found.data("cbs")["size"] == 9000, "what was gathered in part counts"


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        (
            "sections.services.data.services.0.start",
            "x",
            'evidence: sections.services.data.services[0].start is text of length 1, expected a number 0 to 4',
        ),
        ("sections.services.data.services.0.start", True, "evidence: sections.services.data.services[0].start is True"),
        ("sections.services.data.services.0.start", 5, "evidence: sections.services.data.services[0].start is 5"),
        ("sections.services.data.services.0.state", "asleep", "sections.services.data.services[0].state"),
        ("sections.services.data", [], "evidence: sections.services.data is a list, expected an object"),
        (
            "sections.services.data.services",
            {},
            "evidence: sections.services.data.services is an object, expected a list",
        ),
        ("sections.host.data.build", float("nan"), "evidence: sections.host.data.build is nan"),
        ("sections.host.data.build", 10**400, "evidence: sections.host.data.build is a huge number"),
        ("sections.clock.status", "fine", "evidence: sections.clock.status"),
        ("sections.clock", 7, "evidence: sections.clock is 7"),
        (
            "sections.events.data.records",
            [{"provider": "x"}],
            "evidence: sections.events.data.records[0].id is missing",
        ),
        ("sections.reboot.data.markers", ["x"] * 1000, "evidence: sections.reboot.data.markers has 1000 items"),
        ("sections.policy.data.wu.WUServer", [], "evidence: sections.policy.data.wu.WUServer is a list"),
        (
            "sections.reporting.data.kinds.0.last",
            None,
            "evidence: sections.reporting.data.kinds[0].last is null, expected text",
        ),
        ("sections", None, "evidence: sections is null"),
        ("schema", 2, "evidence: schema is 2, expected 1"),
        ("schema", "1\n2", "evidence: schema is"),
        ("taken.asked_ms", "now", "evidence: taken.asked_ms"),
    ],
)
def test_what_differs_is_named_in_one_line(path: str, value: object, line: str) -> None:
    broken = document()
    at: Any = broken
    *parents, last = path.split(".")
    for name in parents:
        at = at[int(name)] if name.isdigit() else at[name]
    at[int(last) if last.isdigit() else last] = value
    with pytest.raises(ev.EvidenceError) as caught:
        ev.parse(broken)
    assert str(caught.value).startswith(line if line.startswith("evidence") else "evidence: " + line)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "NaN",
        '{"schema": NaN}',
        "[" * 100_000,
        '{"schema":' + "9" * 5000 + "}",
        b"\xff\xfe{",
        " " * 300_000,
        None,
        7,
        True,
        [1],
    ],
    ids=range(13),
)
def test_no_document(text: object) -> None:
    with pytest.raises(ev.EvidenceError) as caught:
        ev.parse(text)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 400


def test_a_document_may_not_be_larger_than_its_limit() -> None:
    large = document()
    large["sections"]["events"]["data"]["records"] = [
        {"provider": "p", "id": 1, "time": NOW, "data": {f"n{number}": "x" * 150 for number in range(10)}}
        for _level in range(300)
    ]
    for form in (large, json.dumps(large)):
        with pytest.raises(ev.EvidenceError, match=r"evidence: the document (is larger|has)"):
            ev.parse(form)


def test_what_the_contract_does_not_name_is_dropped() -> None:
    more = document()
    more["sections"]["secrets"] = section({"x": 1})
    more["sections"]["host"]["data"]["password"] = "x"
    assert ev.parse(more) == ev.parse(document())


def test_control_characters_never_get_through() -> None:
    dirty = document()
    dirty["sections"]["host"]["data"]["edition"] = "Server\x1b[31m\r\nStandard\x00"
    assert ev.parse(dirty).data("host")["edition"] == "Server [31m Standard"


class Text(str):
    """ansible tags its values by subclassing."""


class Number(int):
    """As Text."""


class Names(dict):  # type: ignore[type-arg]
    """As Text."""


def tagged(value: Any) -> Any:
    if isinstance(value, dict):
        return Names({Text(name): tagged(item) for name, item in value.items()})
    if isinstance(value, list):
        return [tagged(item) for item in value]
    if isinstance(value, bool):
        return value
    return Text(value) if isinstance(value, str) else Number(value) if isinstance(value, int) else value


def test_tagged_values_are_taken_and_left_plain() -> None:
    found = ev.parse(tagged(document()))
    assert found == ev.parse(document())
    edition = found.data("host")["edition"]
    assert edition.__class__ is str


def test_a_reply() -> None:
    reply = {"schema": 1, "op": "observe", "sections": document()["sections"]}
    assert ev.from_reply(reply, 1763900000123, 1763900001456) == ev.parse(document())
    with pytest.raises(ev.EvidenceError, match=r"^evidence: the agent refused: no such section$"):
        ev.from_reply({"schema": 1, "refused": "no such\nsection"}, 1, 2)
    with pytest.raises(ev.EvidenceError, match=r"reply\.schema"):
        ev.from_reply({"schema": 3}, 1, 2)


def test_every_section_gives_its_records() -> None:
    found = {(r.source, r.layer, r.code, r.marker, r.update, r.ok) for r in ev.records(ev.parse(document()))}
    assert found == {
        ("history", "install", 0x80070002, None, GUID, False),
        ("history", "install", None, None, "KB5005565", True),
        (f"event:{WUC}/20", "install", 0x80240017, None, GUID, False),
        ("event:Service Control Manager/7023", "service", 0x80070422, None, "wuauserv", False),
        ("reporting", "scan", 0x80072EE2, None, None, False),
        ("cbs", "store", None, "sr_cannot_repair", None, False),
        ("history", "scan", None, None, None, True),
        ("scan", "scan", 0x80244011, None, None, False),
        ("registry", "upgrade", 0x80070005, None, None, False),
        ("registry", "upgrade", 0x8007000D, None, None, False),
        ("setup", "upgrade", 0xC1900101, None, None, False),
    }


def test_lines_of_logs_keep_their_columns() -> None:
    damaged = document()
    damaged["sections"]["cbs"]["data"]["kinds"][0]["last"] = (
        "2025-11-23 12:00:00, Info                  CBS    (p)\tCSI Payload Corrupt\t(n)\t\t\tamd64_x\x07y.dll"
    )
    (found,) = [record for record in ev.records(ev.parse(damaged)) if record.source == "cbs"]
    assert (found.marker, found.count) == ("payload_corrupt", 2)


def test_nothing_is_made_of_a_section_that_failed() -> None:
    broken = document()
    for part in broken["sections"].values():
        part["status"] = "failed"
    assert ev.records(ev.parse(broken)) == []


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_whatever_stands_in_a_place_it_is_taken_or_refused_in_one_line(data: st.DataObject) -> None:
    changed = copy.deepcopy(document())
    at: Any = changed
    while True:
        key = data.draw(st.sampled_from(list(at) if isinstance(at, dict) else list(range(len(at)))))
        inner = at[key]
        if not isinstance(inner, (dict, list)) or not inner or data.draw(st.booleans()):
            break
        at = inner
    at[key] = data.draw(JSON)
    try:
        found = ev.parse(changed)
    except ev.EvidenceError as error:
        line = str(error)
        assert line.startswith("evidence: ")
        assert len(line.splitlines()) == 1
    else:
        ev.records(found)
        assert ev.parse(json.dumps(found.to_document())) == found
