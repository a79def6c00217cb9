# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Logs of real machines, where they are at hand: each failure named for a file is found, healthy files give none."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import logs
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.observation import Observation

REAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "real"
KINDS = ("cbs", "reporting_events", "events")

NOISE = re.compile(r"noise|summary says", re.I)
# What the index says in words.
WORDS: dict[str, set[str]] = {
    "cbs/alborz25-server2012-head.log": {"repair_failed", "payload_corrupt"},
    "cbs/alborz25-server2012-tail.log": {"sr_cannot_repair"},
    "cbs/appostarsi-w10-0x80070bc9.log": {"payload_corrupt"},
    "cbs/appostarsi-w10-sr.log": {"sr_cannot_repair", "0x80004005"},
    "cbs/appostarsi-w11-dism-detect.log": {"payload_corrupt", "store_corrupt"},
    "cbs/appostarsi-w11-sr.log": {"sr_cannot_repair"},
    "cbs/appostarsi-w11-tail.log": {"store_corrupt", "catalog_corrupt", "sr_cannot_repair"},
    "cbs/infinito-win7-x86-de-tail.log": {"sr_cannot_repair"},
    "cbs/msdocs-server2022-0x80073712-excerpt.log": {"store_corrupt"},
    "cbs/rbo-server2022-sr-excerpt.log": {"sr_cannot_repair"},
    "events/deepblue-w10-scm7001.xml": {"0x80070422", "0x8007042c"},
    "events/tugix-w10-tr-system.xml": {"0x80070015", "0x8007041d"},
    "events/zeus-win7-system.xml": {"0x80070424"},
}


def rows() -> list[dict[str, str]]:
    index = REAL / "INDEX.tsv"
    if not index.is_file():
        return []
    with index.open(encoding="utf-8", newline="") as stream:
        return [row for row in csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE) if row["kind"] in KINDS]


ROWS = rows()
pytestmark = pytest.mark.skipif(not ROWS, reason="the recorded logs are not beside this checkout")


def names(seen: list[Observation]) -> set[str]:
    codes = {code for one in seen for code in (one.code, *one.related) if code is not None}
    return {f"0x{code:08x}" for code in codes} | {one.marker for one in seen if one.marker}


def bad(seen: list[Observation]) -> list[Observation]:
    return [one for one in seen if one.outcome in ("failed", "cancelled")]


def expected(row: dict[str, str]) -> set[str]:
    clauses = [clause for clause in re.split(r"[;,]", row["failures"]) if not NOISE.search(clause)]
    codes = {
        "0x" + code.lower() for clause in clauses for code in re.findall(r"\b(?:0x)?([89c][0-9a-f]{7})\b", clause, re.I)
    }
    return codes | WORDS.get(row["file"], set())


def read(row: dict[str, str]) -> list[Observation]:
    return logs.read((REAL / row["file"]).read_bytes(), row["file"])


def of_status(*words: str) -> pytest.MarkDecorator:
    rows = [row for row in ROWS if any(word in row["status"] for word in words)]
    return pytest.mark.parametrize("row", rows, ids=lambda row: row["file"])


@pytest.mark.parametrize("row", [row for row in ROWS if row["status"] == "failing"], ids=lambda row: row["file"])
def test_every_named_failure_is_found(row: dict[str, str]) -> None:
    wanted = expected(row)
    assert wanted, "the index names something for every failing file"
    assert wanted <= names(bad(read(row)))


@of_status("healthy", "unknown")
def test_healthy_files_give_no_failure(row: dict[str, str]) -> None:
    assert bad(read(row)) == []


@of_status("then repaired")
def test_repaired_damage_is_found_and_what_repaired_it_comes_after(row: dict[str, str]) -> None:
    store = [one for one in read(row) if one.layer == "store"]
    damage, repairs = bad(store), [one for one in store if one.ok]
    assert damage
    last = max(one.place or 0 for one in repairs)
    assert all(one.place is not None and one.place < last and one.channel == repairs[0].channel for one in damage)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["file"])
def test_cuts_do_not_invent_failures(row: dict[str, str]) -> None:
    data = (REAL / row["file"]).read_bytes()
    whole = names(bad(logs.read(data, row["file"])))
    for start, end in ((1, None), (len(data) // 3, None), (0, -len(data) // 4), (len(data) // 2 + 1, -7)):
        part = names(bad(logs.read(data[start:end], row["file"])))
        # A cut may lose the success around an error, never more than that.
        assert len(part - whole) <= (1 if row["status"] == "failing" else 0)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["file"])
def test_every_line_has_its_place(row: dict[str, str]) -> None:
    assert all(one.place is not None and one.channel is not None for one in read(row))


@pytest.mark.parametrize("row", [row for row in ROWS if row["file"].endswith("nms2023-w10-tail.log")], ids=lambda row: row["file"])
def test_searches_name_who_asked_and_which_service(row: dict[str, str]) -> None:
    searches = [one for one in read(row) if one.layer == "scan"]
    asked = {(one.service, one.caller) for one in searches if one.ok}
    assert ("9482f4b4-e343-43b6-b170-9a65bc822c77", "MoUpdateOrchestrator") in asked
    assert ("855e8a7c-ecb4-4ca3-b045-1dfa50104289", "Update;ScanForUpdates") in asked
    assert ("9482f4b4-e343-43b6-b170-9a65bc822c77", "<<PROCESS>>: CompatTelRunner.exe") in asked
    assert all(one.found is not None for one in searches if one.ok)
    assert all(one.update is None for one in searches)
    (stopped,) = [one for one in read(row) if one.outcome == "cancelled"]
    assert (stopped.code, stopped.count, stopped.update) == (0x8024000B, 16, "c7b927c8-6b48-4e6d-8c0b-8f0da7ed9959")


def setup(name: str) -> list[Observation]:
    return logs.read((REAL / "setup" / name).read_bytes(), name)


def finals(seen: list[Observation]) -> set[tuple[int | None, str]]:
    return {(one.code, one.outcome) for one in seen if one.marker == "final"}


@pytest.mark.parametrize(
    ("name", "final"),
    [
        ("vitalskib-w11-25h2-setuperr.log", set()),
        ("bitbtrust-w10-1709-de-setuperr.log", set()),
        ("appostarsi-upgrade-setupact-tail.log", {(0x8007000D, "failed")}),
        ("copyleft-w11-install-cancelled-setupact.log", {(0x800704C7, "cancelled")}),
    ],
)
def test_an_upgrade_fails_by_its_final_result_alone(name: str, final: set[tuple[int, str]]) -> None:
    seen = setup(name)
    assert final <= finals(seen)
    assert bool(final) == bool(finals(seen))
    assert {one.marker for one in seen if one.layer == "upgrade"} <= {"final", "on_the_way"}
