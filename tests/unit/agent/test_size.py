# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How much a healthy host sends: the lab's machines with an ordinary month, by the agent itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lab import scenario
from lab.sim import Sim

from .conftest import ROOT, Shell
from .test_observe import ALL

HEALTHY = [name for name in scenario.names() if name.startswith(("healthy-", "noise-"))]


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_host_sends_at_most_8_kilobytes(name: str, shell: Shell, tmp_path: Path) -> None:
    sim = Sim.load(name, tmp_path / "host", name)
    request = tmp_path / "request.json"
    sections = [section for section in ALL if section != "scan"]
    request.write_text(json.dumps({"schema": 1, "op": "observe", "sections": sections}))
    utils = [ROOT / "tests/lab/platform/_PlatformRead.psm1", ROOT / "plugins/module_utils/_Evidence.psm1"]
    order = {"lab": sim.address, "state": "", "root": "", "request": str(request), "utils": [str(file) for file in utils]}
    answer = shell.run({**order, "module": str(ROOT / "plugins/modules/wu_observe.ps1")})
    sim.close()
    assert answer["errors"] == []
    assert len(answer["out"]) <= 8192
