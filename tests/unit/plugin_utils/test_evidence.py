# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A bad field spoils its section and is named; only shape, size and depth refuse a document."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import evidence as ev
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import fields, sections
from unit.plugin_utils.evidence_samples import NOW, SECURITY, UPDATE, WINDOWS_UPDATE, document, first_release, log, section


def changed(path: str, value: object, base: dict[str, Any] | None = None) -> dict[str, Any]:
    """A document with another value at a path of names and numbers."""
    whole = document() if base is None else base
    place: Any = whole
    *parents, last = path.split(".")
    for name in parents:
        place = place[int(name)] if name.isdigit() else place[name]
    place[int(last) if last.isdigit() else last] = value
    return whole


def only_section(name: str, data: object, status: str = "ok", why: str | None = None) -> ev.Section:
    return ev.parse({"schema": 1, "sections": {name: section(data, status, why)}}).sections[name]


def refusal_of(document_: object) -> str:
    with pytest.raises(ev.EvidenceError) as caught:
        ev.parse(document_)
    line = str(caught.value)
    assert line.startswith("evidence: ")
    assert len(line.splitlines()) == 1
    assert len(line) < 400
    return line.removeprefix("evidence: ")


# --- what is right ----------------------------------------------------------------------------------------------------


def test_a_document_comes_back_as_it_went_in() -> None:
    evidence = ev.parse(document())
    assert evidence.to_document() == document()
    assert ev.parse(json.dumps(document())) == evidence == ev.parse(json.dumps(document()).encode())
    assert ev.parse(b"\xef\xbb\xbf" + json.dumps(document()).encode()) == evidence, "an editor's mark of UTF-8"


def test_every_section_has_its_dataclass() -> None:
    evidence = ev.parse(document())
    assert all(evidence.has(name) for name in evidence.sections)
    assert evidence.host == sections.Host(
        build=20348, revision=1, edition="ServerStandard", product_type="server", domain_role=3, domain="corp.example",
        ps_version="5.1.20348.1", language_mode="FullLanguage", elevated=True, is_64bit=True,
        boot_time=NOW - 86400,
    )  # fmt: skip
    assert evidence.clock.sources == (sections.TimeSource("t", ok=True, offset_ms=-3),)
    assert (evidence.clock.utc_offset_s, evidence.clock.servers) == (3600, ("time.windows.com,0x9",))
    assert evidence.clock.policy == {"Type": "NTP"}
    service = evidence.services.by_name("WUAUSERV")
    assert service is not None
    assert (service.trigger, service.service_dll, service.dependents) == (True, "%systemroot%\\system32\\wuaueng.dll", ("UsoSvc",))
    assert evidence.history.entries[1] == sections.HistoryEntry(
        time=NOW - 9, operation=1, result=4, hresult=-2147024894, title="A", update_id=UPDATE, service=WINDOWS_UPDATE,
        caller="UpdateOrchestrator", classes=(SECURITY,), count=3, first=NOW - 7000,
    )  # fmt: skip
    assert evidence.events.records[0].data == {"param1": "Windows Update", "param2": "%%1058"}
    assert evidence.events.reach == (sections.Reach("System", NOW - 86400, complete=True),)
    assert evidence.reporting.kinds[1].last.count("\t") == 5
    assert (evidence.cbs.oldest, evidence.cbs.kinds[1].count) == ("2025-10-01 08:00:00", 3)
    assert (evidence.servicing.processes, evidence.servicing.log_age) == ((sections.Process("TiWorker", 120),), 4)
    assert evidence.reboot.markers == ("cbs_reboot_pending",)
    assert (evidence.policy.wu["UseWUServer"], evidence.policy.tls, evidence.policy.configmgr) == (1, {"Enabled": 0}, False)
    assert evidence.sources.endpoints == (sections.Endpoint("wsus", "w", 8530, ok=False, status=503, error="refused"),)
    assert evidence.sources.services == (sections.UpdateService(WINDOWS_UPDATE, default=True, managed=False),)
    folder = evidence.cache.by_name("SoftwareDistribution")
    assert folder is not None
    assert (folder.data_store, len(folder.backups)) == (True, 1)
    assert evidence.disk.free == 1 << 34
    assert evidence.upgrade.logs[0].kinds[1].last.endswith("0xC1900101")
    assert evidence.scan.updates == (sections.OfferedUpdate("B (KB5005565)", ("KB5005565",), UPDATE, (SECURITY,)),)


def test_what_was_not_gathered_is_empty_and_never_none() -> None:
    evidence = ev.parse({"schema": 1, "sections": {}})
    assert (evidence.host, evidence.clock, evidence.services) == (sections.Host(), sections.Clock(), sections.Services())
    assert (evidence.cbs, evidence.sources, evidence.scan) == (sections.Log(), sections.Sources(), sections.Scan())
    assert (evidence.status("host"), evidence.has("host"), evidence.cut("host")) == ("missing", False, False)
    assert evidence.offset_to_controller() is None


@pytest.mark.parametrize("status", ["absent", "denied", "timeout", "failed"])
def test_data_of_a_section_that_failed_are_not_used(status: str) -> None:
    evidence = ev.parse(changed("sections.disk.status", status))
    assert (evidence.disk, evidence.has("disk"), evidence.status("disk")) == (sections.Disk(), False, status)
    assert evidence.to_document()["sections"]["disk"]["data"]["drive"] == "C:"


def test_a_section_without_data_has_nothing() -> None:
    evidence = ev.parse(changed("sections.cbs", section(None, "ok")))
    assert (evidence.has("cbs"), evidence.cbs) == (False, sections.Log())


def test_the_clocks() -> None:
    evidence = ev.parse(document())
    assert evidence.now == NOW
    assert evidence.offset_to_controller() == (110, 267)
    assert ev.parse(changed("sections.clock.data.end_ms", None)).now == 1763900001, "the controller's, when it was answered"
    unknown = ev.parse(changed("taken.answered_ms", "now"))
    assert (unknown.asked_ms, unknown.answered_ms, unknown.offset_to_controller()) == (1763900000123, None, None)


def test_only_what_was_cut_to_fit_is_cut() -> None:
    evidence = ev.parse(document())
    assert [name for name in evidence.sections if evidence.cut(name)] == ["cbs"]
    assert not ev.parse(changed("sections.cbs.why", "CBS.log: access denied")).cut("cbs")
    assert not ev.parse(changed("sections.cbs.status", "failed")).cut("cbs")


def test_a_document_of_the_first_release_is_taken() -> None:
    evidence = ev.parse(first_release())
    assert [section.status for section in evidence.sections.values()] == ["ok", "ok", "ok", "partial", "ok"]
    assert "runs" not in evidence.sections
    assert (evidence.host.build, evidence.host.boot_time) == (19045, NOW - 9)
    assert (evidence.history.entries[0].title, evidence.events.records[0].channel) == ("A", "System")
    assert evidence.cbs.kinds == (sections.LogKind("2025-11-23 12:00:00, Info  CSI  x", 2, ""),)
    assert (evidence.sources.services, evidence.sources.last_search) == (None, NOW - 100)
    assert ev.parse(evidence.to_document()) == evidence


def test_what_the_contract_does_not_name_is_dropped() -> None:
    more = changed("sections.host.data.password", "x", changed("sections.secrets", section({"x": 1})))
    assert ev.parse(more) == ev.parse(document())


def test_guids_and_articles_have_one_form() -> None:
    entry = {"update_id": "{" + UPDATE.upper() + "}", "service": WINDOWS_UPDATE.upper(), "classes": ["{" + SECURITY + "}"]}
    (read,) = ev.parse({"schema": 1, "sections": {"history": section({"entries": [entry]})}}).history.entries
    assert (read.update_id, read.service, read.classes) == (UPDATE, WINDOWS_UPDATE, (SECURITY,))
    offered = {"kb": ["5005565", "KB5005566"], "id": "9WZDNCRFJBMP"}
    (update,) = ev.parse({"schema": 1, "sections": {"scan": section({"updates": [offered]})}}).scan.updates
    assert (update.kb, update.id) == (("KB5005565", "KB5005566"), "9WZDNCRFJBMP")


# --- what is printed --------------------------------------------------------------------------------------------------


def test_what_cannot_be_printed_never_gets_through() -> None:
    evidence = ev.parse(changed("sections.host.data.edition", "Server\x1b[31m\r\nStandard\x00\ud800\u202e"))
    assert evidence.host.edition == "Server [31m Standard"
    assert json.dumps(evidence.to_document(), ensure_ascii=False).encode()


def test_a_line_of_a_log_keeps_its_columns() -> None:
    line = "2025-11-23 12:00:00, Info                  CBS    (p)\tCSI Payload Corrupt\t(n)\t\t\tamd64_x\x07y.dll"
    evidence = ev.parse(changed("sections.cbs.data.kinds.0.last", line))
    assert evidence.cbs.kinds[0].last == line.replace("\x07", " ")


def test_text_that_is_cut_at_a_blank_is_not_cut_again() -> None:
    evidence = ev.parse(changed("sections.history.data.entries.0.title", "x" * 199 + " y"))
    assert evidence.history.entries[0].title == "x" * 199
    assert ev.parse(evidence.to_document()) == evidence


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
    if isinstance(value, str):
        return Text(value)
    return Number(value) if isinstance(value, int) and not isinstance(value, bool) else value


def test_tagged_values_are_taken_and_left_plain() -> None:
    evidence = ev.parse(tagged(document()))
    assert evidence == ev.parse(document())
    assert evidence.host.edition.__class__ is str
    assert evidence.host.build.__class__ is int
    assert {name.__class__ for name in evidence.policy.wu} == {str}


# --- a bad field ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        ("clock.data.max_pos", "54000", "clock.max_pos is text of length 5, expected unsigned seconds"),
        ("clock.data.max_neg", -1, "clock.max_neg is -1, expected unsigned seconds"),
        ("clock.data.type", 7, "clock.type is 7, expected text"),
        ("clock.data.servers", "a,0x9", "clock.servers is text of length 5, expected a list"),
        ("clock.data.sources.0.offset_ms", 1 << 60, f"clock.sources[0].offset_ms is {1 << 60}, expected milliseconds"),
        ("clock.data.end_ms", 1 << 50, f"clock.end_ms is {1 << 50}, expected a time in Unix milliseconds"),
        ("clock.data.utc_offset_s", 90000, "clock.utc_offset_s is 90000, expected seconds of at most a day"),
        ("host.data.build", "19045.1", "host.build is text of length 7, expected a number from 0 on"),
        ("host.data.build", -1, "host.build is -1, expected a number from 0 on"),
        ("host.data.build", float("nan"), "host.build is nan, expected a number from 0 on"),
        ("host.data.build", 10**400, "host.build is a huge number, expected a number from 0 on"),
        ("host.data.build", True, "host.build is True, expected a number from 0 on"),
        ("host.data.build", b"1", "host.build is of a kind that JSON does not know, expected a number from 0 on"),
        ("host.data.elevated", 1, "host.elevated is 1, expected true or false"),
        ("host.data.product_type", "phone", "host.product_type is text of length 5, expected one of client, server, domain_controller"),
        ("host.data.boot_time", 1 << 38, f"host.boot_time is {1 << 38}, expected a time in Unix seconds"),
        ("services.data.services.0.start", 5, "services.services[0].start is 5, expected a number 0 to 4"),
        ("services.data.services.0.start", "3", "services.services[0].start is text of length 1, expected a number 0 to 4"),
        ("services.data.services.0.dependents", {}, "services.services[0].dependents is an object, expected a list"),
        ("history.data.entries.0.hresult", 1 << 32, f"history.entries[0].hresult is {1 << 32}, expected an HRESULT"),
        ("events.data.records.0.data.param1", [], "events.records[0].data.param1 is a list, expected text"),
        ("events.data.records.0.data", {7: "x"}, "events.records[0].data has a name that is no text"),
        ("events.data.records.0.data.param1", 1 << 64, "events.records[0].data.param1 is a huge number, expected text"),
        ("events.data.reach", None, None),
        ("servicing.data.in_progress", "2", "servicing.in_progress is text of length 1, expected a number"),
        ("policy.data.mdm_wins", "1", "policy.mdm_wins is text of length 1, expected a number"),
        ("policy.data.wu.WUServer", [], "policy.wu.WUServer is a list, expected a number or text"),
        ("policy.data.wu", {"hunter2 !": []}, "policy.wu.(0) is a list, expected a number or text"),
        ("policy.data.configmgr", None, None),
        ("history.data.entries.0.count", 1.5e308, "history.entries[0].count is 1.5e+308, expected a number from 0 on"),
        ("upgrade.data.logs.0.size", "x", "upgrade.logs[0].size is text of length 1, expected a number from 0 on"),
        ("disk.ms", "x", "disk.ms is text of length 1, expected a number from 0 on"),
        ("disk.why", 7, "disk.why is 7, expected text"),
        ("disk.status", "fine", "disk.status is text of length 4, expected one of ok, partial, absent, denied, timeout, failed"),
        ("disk.status", None, "disk.status is missing"),
    ],
)
def test_a_bad_field_spoils_itself_alone(path: str, value: object, why: str | None) -> None:
    name, evidence = path.split(".", maxsplit=1)[0], ev.parse(changed(f"sections.{path}", value))
    whole = ev.parse(document())
    spoiled = evidence.sections[name]
    assert (spoiled.status, spoiled.why) == (("ok", None) if why is None else ("partial", why))
    assert evidence.has(name)
    assert {**evidence.sections, name: None} == {**whole.sections, name: None}
    assert ev.parse(evidence.to_document()) == evidence


def test_the_rest_of_the_section_stays() -> None:
    clock, whole = ev.parse(changed("sections.clock.data.max_pos", "54000")).clock, ev.parse(document()).clock
    assert (clock.max_pos, clock.max_neg, clock.servers, clock.sources) == (None, whole.max_neg, whole.servers, whole.sources)
    policy = ev.parse(changed("sections.policy.data.wu.WUServer", [])).policy
    assert policy.wu == {"UseWUServer": 1}


def test_values_whose_type_does_not_matter() -> None:
    policy = ev.parse(changed("sections.policy.data.wu", {"a": True, "b": 2.0, "c": "3", "d": None})).policy
    assert policy.wu == {"a": 1, "b": 2, "c": "3", "d": None}
    assert {value.__class__ for value in policy.wu.values()} == {int, str, None.__class__}
    event = ev.parse(changed("sections.events.data.records.0.data", {"a": True, "b": 7, "c": "x", "d": None})).events.records[0]
    assert event.data == {"a": "1", "b": "7", "c": "x", "d": ""}


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        ("events.data.records.1.id", "x", "events.records[1].id is text of length 1, expected an event id"),
        ("events.data.records.1.id", 65536, "events.records[1].id is 65536, expected an event id"),
        ("events.data.records.1", {"provider": "x"}, "events.records[1].id is missing"),
        ("history.data.entries.1", 7, "history.entries[1] is 7, expected an object"),
        ("services.data.services.1.exists", None, "services.services[1].exists is missing"),
        ("cbs.data.kinds.1.last", 7, "cbs.kinds[1].last is 7, expected text"),
        ("reboot.data.markers", ["cbs_reboot_pending", 5], "reboot.markers[1] is 5, expected text"),
    ],
)
def test_a_row_without_what_it_needs_is_left_out(path: str, value: object, why: str) -> None:
    name = path.split(".", maxsplit=1)[0]
    evidence = ev.parse(changed(f"sections.{path}", value))
    assert evidence.status(name) == "partial"
    assert (evidence.sections[name].why or "").endswith(why)
    field = path.split(".")[2]
    whole = getattr(getattr(ev.parse(document()), name), field)
    assert getattr(getattr(evidence, name), field) == whole[:1]


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        ("services.data.services", {}, "services.services is an object, expected a list"),
        ("services.data", {}, "services.services is missing"),
        ("events.data.records", None, "events.records is missing"),
        ("history.data", {"more": 0}, "history.entries is missing"),
        ("cache.data.folders", 7, "cache.folders is 7, expected a list"),
        ("reboot.data.markers", "x", "reboot.markers is text of length 1, expected a list"),
        ("reporting.data", [], "reporting is a list, expected an object"),
        ("host.data", "x", "host is text of length 1, expected an object"),
        ("disk", 7, "disk is 7, expected an object"),
        ("disk", None, "disk is null, expected an object"),
        ("disk", {}, "disk.status is missing"),
    ],
)
def test_what_a_section_is_for_must_be_there(path: str, value: object, why: str) -> None:
    """An empty table would pass for a look that saw nothing amiss."""
    name, evidence = path.split(".", maxsplit=1)[0], ev.parse(changed(f"sections.{path}", value))
    assert evidence.sections[name] == ev.Section("failed", evidence.sections[name].ms, why, None)
    assert not evidence.has(name)
    assert ev.parse(evidence.to_document()) == evidence


def test_a_bad_field_does_not_make_a_status_better() -> None:
    broken = changed("sections.disk.status", "denied", changed("sections.disk.data.free", "x"))
    assert ev.parse(broken).sections["disk"].status == "denied"
    empty = changed("sections.disk.status", "timeout", changed("sections.disk.data", []))
    assert ev.parse(empty).sections["disk"].status == "timeout"


def test_of_a_list_that_is_too_long_the_newest_stay_and_it_is_cut() -> None:
    entries = [{"title": str(number)} for number in range(120)]
    newest_first = only_section("history", {"entries": entries})
    assert isinstance(newest_first.data, sections.History)
    assert [entry.title for entry in newest_first.data.entries] == [str(number) for number in range(100)]
    assert (newest_first.status, newest_first.why) == ("partial", "cut to fit; history.entries has 120 items, expected at most 100")

    kinds = [{"last": str(number)} for number in range(220)] + [{"last": 7}]
    newest_last = ev.parse({"schema": 1, "sections": {"cbs": section({"kinds": kinds})}})
    assert [kind.last for kind in newest_last.cbs.kinds] == [str(number) for number in range(21, 220)]
    assert newest_last.cut("cbs")
    assert (newest_last.sections["cbs"].why or "").endswith("cbs.kinds[220].last is 7, expected text")


def test_many_backups_warnings_and_values_are_cut() -> None:
    folder = {"name": "catroot2", "exists": True, "backups": [f"catroot2.wu_repair-{number}" for number in range(400)]}
    evidence = ev.parse({"schema": 1, "sections": {
        "cache": section({"folders": [folder]}), "scan": section({"result": 3, "warnings": [5] * 150}),
        "policy": section({"wu": {f"n{number}": number for number in range(250)}})}})  # fmt: skip
    assert len(evidence.cache.folders[0].backups) == 300
    assert (len(evidence.scan.warnings), len(evidence.policy.wu)) == (100, 200)
    assert [evidence.cut(name) for name in evidence.sections] == [True] * 3


def test_why_names_a_few_and_counts_the_rest() -> None:
    why = only_section("reboot", {"markers": [1, 2, 3, 4, 5]}, why="the host's own reason").why or ""
    assert why.startswith("the host's own reason; reboot.markers[0] is 1")
    assert why.endswith("; and 2 more")
    assert len(why.split("; ")) == 5


def test_a_long_reason_of_the_host_leaves_room_for_ours() -> None:
    why = only_section("reboot", {"markers": [1]}, why="y" * 600).why or ""
    assert why == "y" * 300 + "; reboot.markers[0] is 1, expected text"


def test_cut_to_fit_is_said_once() -> None:
    section_ = only_section("reboot", {"markers": ["x"] * 40}, "partial", "cut to fit")
    assert section_.why == "cut to fit; reboot.markers has 40 items, expected at most 32"


def test_cut_to_fit_is_never_lost_to_a_long_reason() -> None:
    evidence = ev.parse({"schema": 1, "sections": {"reboot": section({"markers": ["x"] * 40}, "partial", "y" * 5000)}})
    assert evidence.cut("reboot")
    assert len(evidence.sections["reboot"].why or "") <= 600


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        ("sections", None, "sections is null, expected an object"),
        ("sections", [], "sections is a list, expected an object"),
        ("schema", 2, "schema is 2, expected 1"),
        ("schema", True, "schema is True, expected 1"),
        ("schema", "1\n2", "schema is text of length 3, expected 1"),
    ],
)
def test_the_shape_of_the_whole(path: str, value: object, line: str) -> None:
    assert refusal_of(changed(path, value)) == line


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "NaN", '{"schema": NaN}', "[" * 100_000, '{"schema":' + "9" * 5000 + "}", b"\xff\xfe{", " " * 300_000,
     b" " * 300_000, None, 7, True, [1]],
    ids=range(14),
)  # fmt: skip
def test_no_document(text: object) -> None:
    refusal_of(text)


def nested(depth: int) -> Any:
    value: Any = 1
    for _level in range(depth):
        value = {"x": [value]}
    return value


@pytest.mark.parametrize("place", ["sections.host.data.build", "sections.policy.data.wu", "sections.unknown", "unknown"])
def test_a_document_may_not_be_deeper_than_its_limit(place: str) -> None:
    deep = changed(place, nested(300))
    line = "the document is nested deeper than 64"
    assert refusal_of(deep) == line
    assert refusal_of({"evidence": deep}) == line
    if place != "unknown":
        with pytest.raises(ev.EvidenceError, match="the reply is nested deeper than 64"):
            ev.from_reply({"schema": 1, "op": "observe", "sections": deep["sections"]}, 1, 2)


def test_what_is_not_too_deep_is_taken() -> None:
    assert ev.parse(changed("sections.unknown", nested(30))) == ev.parse(document())
    assert fields.excess([[[]]], 99, 3) is None
    assert fields.excess([[[]]], 99, 2) == "is nested deeper than 2"
    assert fields.excess({"x": [7]}, 99, 2) == "is nested deeper than 2", "a value is a level too"


@pytest.mark.parametrize(
    "value", [document(), [], {}, [1], [1, 22], {"a": 1}, {"a": None, "b": [True, False]}, -1.5, "\u4e00\n", [1 << 63], {"\u4e00" * 9: ""}]
)
def test_the_size_of_a_value_is_that_of_its_json(value: object) -> None:
    size = len(json.dumps(value))
    assert fields.excess(value, size, 64) is None
    assert fields.excess(value, size - 1, 64) == f"is larger than {size - 1} bytes"


def test_the_size_of_what_json_does_not_know() -> None:
    assert fields.excess([10**5000], 4000, 64) == "is larger than 4000 bytes"
    assert fields.excess([object()] * 99, 200, 64) == "is larger than 200 bytes"


def test_a_loop_and_a_value_in_many_places_are_only_large() -> None:
    loop: dict[str, Any] = {}
    loop["x"] = loop
    assert refusal_of(changed("unknown", loop)).endswith("nested deeper than 64")
    wide: list[Any] = []
    for _level in range(60):
        wide = [wide, wide]
    assert refusal_of(changed("unknown", wide)).endswith(f"larger than {ev.MAX_BYTES} bytes")


def test_a_document_may_not_be_larger_than_its_limit() -> None:
    records = [{"provider": "p", "id": 1, "data": {f"n{number}": "x" * 150 for number in range(10)}} for _record in range(300)]
    large = changed("sections.events.data.records", records)
    assert refusal_of(large).endswith(f"larger than {ev.MAX_BYTES} bytes")
    assert "characters, expected at most" in refusal_of(json.dumps(large))
    assert "bytes, expected at most" in refusal_of(json.dumps(large).encode())
    assert refusal_of(changed("sections.events.data.records", records[:1] * 10 + ["\u4e00" * 50_000])).endswith("bytes")


def test_what_is_taken_can_be_written_and_taken_again() -> None:
    """Fields that were not sent stand in the document as null, which makes it larger than what was sent."""

    def events(length: int) -> dict[str, Any]:
        records = [{"provider": "p", "id": 1, "data": dict.fromkeys("abc", "x" * length)}] * 400
        return {"schema": 1, "sections": {"events": section({"records": records})}}

    evidence = ev.parse(events(180))
    assert ev.parse(json.dumps(evidence.to_document())) == evidence
    assert len(json.dumps(events(195))) < ev.MAX_BYTES
    assert refusal_of(events(195)) == f"the document is larger than {ev.MAX_BYTES} bytes"


# --- what may be passed -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("inner", [document(), json.dumps(document())], ids=["object", "text"])
def test_the_whole_result_of_a_module_is_taken(inner: object) -> None:
    result = {"changed": False, "failed": False, "verdict": "healthy", "msg": "x", "evidence": inner, "findings": []}
    assert ev.parse(result) == ev.parse(document())
    assert ev.parse(json.dumps(result)) == ev.parse(document())
    assert ev.parse({**document(), "evidence": "x"}) == ev.parse(document())


@pytest.mark.parametrize(
    ("passed", "line"),
    [
        ({"changed": False, "verdict": "healthy"}, "this result holds no evidence; look with return_evidence: always"),
        ({"verdict": "sick", "evidence": None}, "this result holds no evidence; look with return_evidence: always"),
        ({"results": [{"evidence": document()}]}, "this is the result of a loop; pass one of its results"),
        ({"x": 1}, "this is no evidence document; pass the result of win_wu_info, its key evidence, or a file that evidence_dir holds"),
        ({"evidence": {"x": 1}}, "schema is null, expected 1"),
        ({"evidence": 7}, "what stands under the key evidence is not an object"),
    ],
)
def test_or_it_is_said_what_to_pass(passed: object, line: str) -> None:
    assert refusal_of(passed) == line


def test_a_reply() -> None:
    reply = {"schema": 1, "op": "observe", "sections": document()["sections"]}
    assert ev.from_reply(reply, 1763900000123, 1763900001456) == ev.parse(document())
    assert ev.from_reply({**reply, "op": "apply"}, 1763900000123, 1763900001456) == ev.parse(document())


@pytest.mark.parametrize(
    ("reply", "line"),
    [
        ({"schema": 1, "refused": "no such\nsection"}, "the agent refused: no such section"),
        ({"schema": 1, "refused": ["x"]}, "reply.refused is a list, expected text"),
        ({"schema": 3}, "reply.schema is 3, expected 1"),
        ({"schema": 1, "op": "x", "sections": {}}, 'reply.op is text of length 1, expected "observe"'),
        ({"schema": 1, "op": "observe"}, "sections is null, expected an object"),
        ("x", "the reply is not JSON: Expecting value: line 1 column 1 (char 0)"),
        (None, "the reply is not an object"),
    ],
)
def test_a_reply_that_is_none(reply: object, line: str) -> None:
    with pytest.raises(ev.EvidenceError) as caught:
        ev.from_reply(reply, 1, 2)
    assert str(caught.value) == f"evidence: {line}"


# --- the mechanism ----------------------------------------------------------------------------------------------------


def test_the_checks_of_a_dataclass_are_those_of_its_fields() -> None:
    with pytest.raises(TypeError, match="Disk"):
        fields.record(sections.Disk, drive=fields.flag)
    with pytest.raises(TypeError, match="Disk"):
        fields.record(sections.Disk, drive=fields.flag, free=fields.flag, more=fields.flag)


def test_the_kinds_of_a_log_are_what_it_is_for() -> None:
    without = {name: value for name, value in log("x").items() if name != "kinds"}
    assert only_section("reporting", without).status == "failed"
