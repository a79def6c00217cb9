# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Public reports of administrators, played as hosts: each comes out as it is right."""

from __future__ import annotations

from typing import Any

import pytest
from lab.cases import REPORTS, broken, play, promising
from lab.fleet import read_scenario

CASES = promising([REPORTS])


@pytest.fixture(scope="module")
def played() -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    return play(CASES)


@pytest.mark.parametrize("name", CASES)
def test_a_report_comes_out_right(played: dict[str, tuple[dict[str, Any], dict[str, Any]]], name: str) -> None:
    row, look = played[name]
    assert broken(row, look, read_scenario(str(CASES[name]))["promise"]) == [], row.get("msg")
