# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Small logs, one fault each, and what is right of them: tests/cases/logs/FAMILY.yml says it of the files in the folder FAMILY.

All files are made up; only the form of their lines is that of Windows. Keys of a row, all but `why` optional:

verdict: one of them, or a list.
kind: what the file is taken for.
active, history, notices: findings as CODE_OR_CONDITION@AREA, all of them, in any order; `[]` for none. A key left out is not looked at.
owner: who must act; next: words of the next step.
says: words that stand in the sentence, the next step or a finding. unsaid: words that stand nowhere.
count: how often, by finding. why: the reason, for a reader.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import logs, verdict
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.finding import Finding
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.situation import Settings

CASES = Path(__file__).resolve().parents[2] / "cases/logs"
NOW = 1_795_000_000  # November 2026: after every file.
KEYS = {"verdict", "kind", "active", "history", "notices", "owner", "next", "says", "unsaid", "count", "why"}


def rows() -> dict[str, dict[str, Any]]:
    """Every row, by FAMILY/FILE."""
    found = {}
    for path in sorted(CASES.glob("*.yml")):
        for name, row in yaml.safe_load(path.read_text("utf-8")).items():
            found[f"{path.stem}/{name}"] = row
    return found


ROWS = rows()


def names(found: list[Finding]) -> list[str]:
    return sorted(f"{item.code or item.condition}@{item.layer}" for item in found)


@pytest.mark.parametrize("name", ROWS)
def test_a_log_is_read_right(name: str) -> None:
    row = ROWS[name]
    assert set(row) <= KEYS, "a key that nobody looks at"
    path = CASES / name
    data = path.read_bytes()
    judged = verdict.logs(logs.read(data, path.name), Settings(), NOW)
    found = list(judged.findings)
    shown = json.dumps([judged.verdict.name, judged.verdict.msg, judged.verdict.next_step, *(item.to_dict() for item in found)], indent=1)
    verdicts = row.get("verdict", judged.verdict.name)
    assert judged.verdict.name in ([verdicts] if isinstance(verdicts, str) else verdicts), shown
    assert logs.kind_of(data, path.name) == row.get("kind", logs.kind_of(data, path.name)), shown
    groups = {
        "active": [item for item in found if item.active],
        "history": [item for item in found if item.superseded_by is not None],
        "notices": [item for item in found if item.notice and item.superseded_by is None],
    }
    for key, items in groups.items():
        if key in row:
            assert names(items) == sorted(row[key]), shown
    if "owner" in row:
        assert judged.verdict.owner == row["owner"], shown
    assert row.get("next", "") in judged.verdict.next_step, shown
    for word in row.get("says", []):
        assert word in shown, shown
    for word in row.get("unsaid", []):
        assert word not in shown, shown
    counts = {f"{item.code or item.condition}@{item.layer}": item.count for item in found}
    for finding, count in row.get("count", {}).items():
        assert counts.get(finding) == count, shown


def test_every_file_has_its_row() -> None:
    files = {f"{path.parent.name}/{path.name}" for path in CASES.glob("*/*") if path.is_file()}
    assert files == set(ROWS)
