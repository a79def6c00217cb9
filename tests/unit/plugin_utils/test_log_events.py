# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The forms in which events are exported: dates of cultures, cuts, binary files, and how long pathological text takes."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import findings, logs, seen, situation
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.readers import event_binary, local_times
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.readers.service_names import service_called, service_in

CASES = sorted((Path(__file__).resolve().parents[2] / "cases/logs/events").iterdir())
WUC = "Microsoft-Windows-WindowsUpdateClient"
TEN = 1_767_348_000  # 2026-01-02 10:00:00


@pytest.mark.parametrize(
    ("text", "by_day", "expected"),
    [
        ("1/2/2026 10:00:00 AM", False, TEN),
        ("1/2/2026 10:00:00 PM", False, TEN + 12 * 3600),
        ("1/2/2026 12:00:00\u202fAM", False, TEN - 10 * 3600),
        ("02.01.2026 10:00:00", True, TEN),
        ("02-01-2026 10:00", True, TEN),
        ("2026-01-02T10:00:00.0000000Z", True, TEN),
        ("2026/1/2 10:00:00", True, TEN),
        ("2026. 1. 2. 오전 10:00:00", True, TEN),
        ("2026/1/2 下午 10:00:00", True, TEN + 12 * 3600),
        ("2026년 1월 2일 오후 10:00:00", True, TEN + 12 * 3600),
        ("\u200e2/\u200e1/\u200e2026 10:00:00 μ.μ.", True, TEN + 12 * 3600),
        ("02/01/2026 10.00.00", True, TEN),
        ("31/02/2026 10:00:00", False, None),
    ],
)
def test_a_date_as_a_culture_writes_it(text: str, by_day: bool, expected: int | None) -> None:
    found = local_times.moment(text)
    assert found is not None
    assert local_times.unix(found, by_day) == expected


@pytest.mark.parametrize(
    ("dates", "by_day"),
    [
        (["1/13/2026 10:00", "1/2/2026 10:00"], False),
        (["13/1/2026 10:00", "2/1/2026 10:00"], True),
        (["2/1/2026 10:00", "1/2/2026 10:00", "12/1/2025 10:00"], False),
        (["1/2/2026 10:00", "2/1/2026 10:00", "1/1/2026 10:00"], True),
        (["1/2/2026 10:00 AM"], False),
        (["1/2/2026 10:00"], True),
        (["1.2.2026 10:00"], True),
        ([], True),
    ],
)
def test_all_dates_say_which_number_is_the_day(dates: list[str], by_day: bool) -> None:
    found = [one for date in dates if (one := local_times.moment(date)) is not None]
    assert len(found) == len(dates)
    assert local_times.day_first(found) is by_day


def test_what_is_no_date_is_none() -> None:
    assert [local_times.moment(text) for text in ("", "20", "LAB", "10:00:00", "2026-01-02", "1.2.3.4")] == [None] * 6


def test_services_by_the_name_that_is_shown() -> None:
    assert service_called("Background Intelligent Transfer Service") == "BITS"
    assert service_called("Фоновая интеллектуальная служба передачи (BITS)") == "BITS"
    assert service_called("wuauserv") == "wuauserv"
    assert service_called("Lab Agent") is None
    assert service_in("Windows Update Medic Service 服务意外地终止。") == "WaaSMedicSvc"
    assert service_in("Lab Agent") is None


def test_a_service_in_an_event_of_a_look_is_known_by_a_translated_name() -> None:
    assert seen.our_service({"param1": "Kryptografiedienste", "param2": "%%1053"}) == "CryptSvc"
    assert seen.our_service({"param1": "30000", "param2": "wuauserv"}) == "wuauserv"
    assert seen.our_service({"param1": "Druckwarteschlange"}) is None


def test_times_of_text_are_local_and_order_its_file() -> None:
    text = (
        f"Event[0]:\r\n  Log Name: System\r\n  Source: {WUC}\r\n  Date: 2026-01-02T10:00:00.000Z\r\n  Event ID: 25\r\n"
        "  Description: \r\nWindows Update failed to check for updates with error 0x8024402c.\r\n"
    )
    (seen,) = logs.read(text.encode(), "a.txt", 7200)
    assert (seen.time, seen.bound_s, seen.place, seen.channel) == (TEN - 7200, 3600, TEN, "events as text:a.txt")


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.name)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_the_encoding_changes_nothing(path: Path, encoding: str) -> None:
    text = logs.decode(path.read_bytes())
    again = logs.read(text.encode(encoding), path.name)
    assert again == logs.read(path.read_bytes(), path.name)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.name)
def test_a_cut_invents_nothing(path: Path) -> None:
    """A cut may lose an event, its code or its name; it makes no other failure of it."""
    data = path.read_bytes()
    whole = {(one.layer, one.code) for one in logs.read(data, path.name) if not one.ok and one.code}
    order = random.Random(path.name)
    for _try in range(40):
        start, end = sorted((order.randrange(len(data)), order.randrange(len(data))))
        assert {(one.layer, one.code) for one in logs.read(data[start:end], path.name) if not one.ok and one.code} <= whole


PIECES = (
    "<Event ", "<Event><System>", "</System>", "<Data Name='a'", "<Data>", "<EventData>", "a:", "Event[1]:\n", " : \n", '"', '",',
    "\t", "\n", ",",
    "1/2/2026 10:00:00 AM\t", "  Date: 2026-01-02T10:00:00\n  Event ID: 20\n", f"  Source: {WUC}\n",
    "ProviderName: Service Control Manager\n", "1/2/2026 10:00:00 AM 7000 Error the ", '"Message","Id","ProviderName"\n',
    "   ProviderName : ", "Id : 20\n", "Error LAB 3 ", "Microsoft-Windows-Servicing ", "<Provider Name=", "&#x41;", "0x8024402c:", "\uff1a",
)  # fmt: skip


@pytest.mark.parametrize("seed", range(len(PIECES)))
def test_pathological_text_takes_a_second_a_megabyte(seed: int) -> None:
    order = random.Random(seed)
    chosen = [PIECES[seed], *order.sample(PIECES, 2)]
    text = "".join(order.choices(chosen, k=400_000 // max(map(len, chosen)))) + PIECES[seed] * 20_000
    began = time.process_time()
    logs.read(text.encode())
    assert time.process_time() - began < 2 + 2 * len(text) / 1_000_000


# --- JSON and columns ---


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (r'"\/Date(1767348000123)\/"', TEN),
        ('"2026-01-02T10:00:00.123Z"', TEN),
        ('"2026-01-02T11:30:00+01:30"', TEN),
        ('"2026-01-02T05:00:00-05:00"', TEN),
        ('"2026-01-02T12:00:00"', TEN),  # local time
        (r'{"value": "\/Date(1767348000123)\/", "DisplayHint": 2, "DateTime": "Friday"}', TEN),
        ("null", None),
        ('"yesterday"', None),
        ("[7]", None),
    ],
)
def test_dates_in_json(written: str, expected: int | None) -> None:
    text = f'[{{"Id": 25, "ProviderName": "{WUC}", "TimeCreated": {written}, "Message": "failed with error 0x80072EE2"}}]'
    (one,) = logs.read(text.encode(), "events.json", 7200)
    assert (one.time, one.code) == (expected, 0x80072EE2)


@pytest.mark.parametrize(
    "piece",
    ['[{"a":', '{"a":', '[{"Id": 20, ', '{"ProviderName": [', "[" * 50 + '{"', "\n  ---- ---- ---- ----\nId Source Message\n"],
)
def test_pathological_json_and_columns_take_a_second_a_megabyte(piece: str) -> None:
    text = ('[{"Id": 20, "ProviderName": "Lab"}, ' + piece) + piece * (400_000 // len(piece))
    began = time.process_time()
    logs.read(text.encode())
    assert time.process_time() - began < 3


# --- binary files ---

EVENT = (
    f"<Event><System><Provider Name='{WUC}'/><EventID>20</EventID><TimeCreated SystemTime='2026-01-02T10:00:00Z'/></System>"
    "<EventData><Data Name='errorCode'>0x80070643</Data></EventData></Event>"
)
OTHER = "<Event><System><Provider Name='Lab'/><EventID>1</EventID></System></Event>"


def binary(chunks: int) -> bytes:
    """A file with empty chunks, the newest of which stands first, as in a log that began anew."""
    order = [chunks, *range(1, chunks)]
    return (b"ElfFile\0").ljust(4096, b"\0") + b"".join(
        (b"ElfChnk\0" + bytes(16) + number.to_bytes(8, "little")).ljust(65536, b"\0") for number in order
    )


class _Records:
    """As the package has it: what cannot be read is raised, and the next one is given after it."""

    def __init__(self, given: list[Any]) -> None:
        self.given = iter(given)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        one = next(self.given)
        if isinstance(one, Exception):
            raise one
        return one


def package(monkeypatch: pytest.MonkeyPatch, **modules: Any) -> None:
    """Only these of the two packages are there."""
    for name, attributes in {"evtx": None, "Evtx": None, "Evtx.Evtx": None, **modules}.items():
        module = None
        if attributes is not None:
            module = ModuleType(name)
            vars(module).update(attributes)
        monkeypatch.setitem(sys.modules, name, module)


def test_without_a_package_the_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    package(monkeypatch)
    with pytest.raises(event_binary.EvtxError, match=r"pip install evtx.* wevtutil qe FILE /lf:true /f:xml"):
        event_binary.xml_of(binary(1))


def test_by_evtx(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []

    class PyEvtxParser:
        def __init__(self, stream: Any, number_of_threads: int) -> None:
            asked.append(stream.read())

        def records(self) -> _Records:
            return _Records([{"data": OTHER}, RuntimeError("damaged"), {"data": f'<?xml version="1.0"?>\n{EVENT}'}, RuntimeError("given")])

    package(monkeypatch, evtx={"PyEvtxParser": PyEvtxParser})
    text = event_binary.xml_of(binary(3))
    (seen,) = logs.read(text.encode())
    assert seen.code == 0x80070643
    assert logs.kind_of(text.encode()) == "events"
    assert text.count("<Event>") == 2
    (given,) = asked
    numbers = [int.from_bytes(given[start + 24 : start + 32], "little") for start in range(4096, len(given), 65536)]
    assert (numbers, given[42]) == ([1, 2, 3], 3), "the oldest first"


def test_by_python_evtx(monkeypatch: pytest.MonkeyPatch) -> None:
    class Record:
        def __init__(self, text: str | None) -> None:
            self.text = text

        def xml(self) -> str:
            if self.text is None:
                raise KeyError(242)
            return self.text

    class Chunk:
        def records(self) -> _Records:
            return _Records([Record(None), Record(EVENT), ValueError("damaged"), Record(OTHER)])

    class FileHeader:
        def __init__(self, data: bytes, _offset: int) -> None:
            self.count = (len(data) - 4096) // 65536

        def chunks(self) -> _Records:
            return _Records([Chunk()] * self.count)

    package(monkeypatch, **{"Evtx": {}, "Evtx.Evtx": {"FileHeader": FileHeader}})
    assert event_binary.xml_of(binary(2)).count(EVENT) == 2
    assert event_binary.xml_of(binary(9)).count(EVENT) == 4, "the newest alone, for it takes seconds a chunk"
    assert [event_binary.bytes_read(binary(count)) for count in (9, 4)] == [4 * 65536, len(binary(4))]


def test_successes_that_have_but_a_title_stay_apart() -> None:
    event = "Event[{}]:\n  Log Name: System\n  Source: {}\n  Date: 2026-01-02T10:0{}:00.000\n  Event ID: {}\n  Description: \n{}\n\n"
    failed = "Installation Failure: Windows failed to install the following update with error 0x8024200B: Example - Display - 1.2."
    went_well = "Installation Successful: Windows successfully installed the following update: "
    told = [(20, failed), (19, f"{went_well}Example - Display - 1.2"), (19, f"{went_well}Example - Net - 3.4")]
    text = "".join(event.format(place, WUC, place, number, message) for place, (number, message) in enumerate(told))
    found = findings.from_observations(logs.read(text.encode(), "system.txt"), situation.Settings())
    assert [(one.subject, one.state) for one in found] == [("driver:Example - Display - 1.2", "closed")]


def test_downloads_without_a_name_are_many() -> None:
    head = '"Id","ProviderName","TimeCreated","Message"\r\n'
    row = '"44","{}","1/{}/2026 10:00:00 AM","Windows Update started downloading an update."\r\n'
    text = head + "".join(row.format(WUC, day) for day in (13, 15, 17, 19, 21))
    seen = logs.read(text.encode(), "System.csv")
    assert [(one.layer, one.outcome, one.count) for one in seen] == [("download", "started", 5)]
    assert findings.from_observations(seen, situation.Settings()) == []


@pytest.mark.parametrize("data", [b"ElfFile\0", binary(0), binary(1)[:40_000], binary(1)])
def test_a_file_without_events_is_said_to_be_one(data: bytes) -> None:
    pytest.importorskip("evtx")
    assert event_binary.is_evtx(data)
    with pytest.raises(event_binary.EvtxError, match="No event"):
        event_binary.xml_of(data)


def test_what_is_no_binary_file() -> None:
    assert not any(map(event_binary.is_evtx, (b"", b"ElfFile", b"<Events>", EVENT.encode("utf-16"))))
