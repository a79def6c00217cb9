# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Logs of real machines, where they are at hand: each failure named for a file is found, healthy files give none."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import logs

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
# Found, and history by the end of the file: a later search or time sample succeeded.
OVERTAKEN = {
    "reporting_events/nms2023-w10-tail.log": {"0x80072ee2"},
    "events/tugix-w10-tr-system.xml": {"0x80072af9"},
    "events/zeus-win7-system.xml": {"0x80072af9"},
}


def rows() -> list[dict[str, str]]:
    index = REAL / "INDEX.tsv"
    if not index.is_file():
        return []
    with index.open(encoding="utf-8", newline="") as stream:
        return [row for row in csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE) if row["kind"] in KINDS]


ROWS = rows()
pytestmark = pytest.mark.skipif(not ROWS, reason="the recorded logs are not beside this checkout")


def names(records: list[logs.Record]) -> set[str]:
    codes = {code for r in records for code in (r.code, *r.beside) if code is not None}
    return {f"0x{code:08x}" for code in codes} | {r.marker for r in records if r.marker}


def expected(row: dict[str, str]) -> set[str]:
    clauses = [clause for clause in re.split(r"[;,]", row["failures"]) if not NOISE.search(clause)]
    codes = {
        "0x" + code.lower() for clause in clauses for code in re.findall(r"\b(?:0x)?([89c][0-9a-f]{7})\b", clause, re.I)
    }
    return codes | WORDS.get(row["file"], set())


def read(row: dict[str, str]) -> list[logs.Record]:
    return logs.read((REAL / row["file"]).read_bytes(), row["file"])


@pytest.mark.parametrize("row", [r for r in ROWS if r["status"] == "failing"], ids=lambda row: row["file"])
def test_every_named_failure_is_found(row: dict[str, str]) -> None:
    records = read(row)
    wanted = expected(row)
    history = OVERTAKEN.get(row["file"], set())
    assert wanted, "the index names something for every failing file"
    assert wanted - history <= names(logs.standing(records))
    assert history <= names([record for record in records if not record.ok])


@pytest.mark.parametrize("row", [r for r in ROWS if r["status"] in ("healthy", "unknown")], ids=lambda row: row["file"])
def test_healthy_files_give_no_failure(row: dict[str, str]) -> None:
    assert [record for record in read(row) if not record.ok] == []


@pytest.mark.parametrize("row", [r for r in ROWS if "then repaired" in r["status"]], ids=lambda row: row["file"])
def test_repaired_damage_is_found_and_overtaken(row: dict[str, str]) -> None:
    records = read(row)
    assert any(not record.ok and record.layer == "store" for record in records)
    assert logs.standing(records) == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["file"])
def test_cuts_do_not_invent_failures(row: dict[str, str]) -> None:
    data = (REAL / row["file"]).read_bytes()
    whole = names([record for record in logs.read(data, row["file"]) if not record.ok])
    for start, end in ((1, None), (len(data) // 3, None), (0, -len(data) // 4), (len(data) // 2 + 1, -7)):
        part = [record for record in logs.read(data[start:end], row["file"]) if not record.ok]
        # A cut may lose the success around an error, never more than that.
        assert len(names(part) - whole) <= (1 if row["status"] == "failing" else 0)
