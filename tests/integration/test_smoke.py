# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The smoke target, which the windows workflow and ansible-test play on a real Windows, over the lab."""

from __future__ import annotations

import json

from lab.controller import REPOSITORY, results

from .conftest import MakeFleet


def test_smoke_holds_on_a_healthy_and_on_a_sick_host(make_fleet: MakeFleet) -> None:
    fleet = make_fleet("model", "healthy-client", "german-host")
    book = REPOSITORY / "tests" / "integration" / "smoke.yml"
    found = results(fleet, "ansible-playbook", str(book), "-e", json.dumps({"smoke_change": True, "smoke_client": True}))
    assert {host: result["failed"] for host, result in found.items()} == {"healthy-client": False, "german-host": False}
    for host in found:
        functions = [change["function"] for change in fleet.sim(host).changes]  # type: ignore[attr-defined]
        assert functions.count("Move-Folder") == 1, host
