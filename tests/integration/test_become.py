# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hosts that refuse searches to a network logon: as SYSTEM they search."""

from __future__ import annotations

import json

from lab.controller import results

from .conftest import MakeFleet

ROLE = "winfleet.wu_repair.wu_repair"


def test_one_variable_lets_hosts_search_that_refuse_it_to_a_network_logon(make_fleet: MakeFleet) -> None:
    fleet = make_fleet("model", *(f"scan-denied={name}" for name in ("as-it-is", "by-variable", "by-its-play")), "stale-host=silent")
    for spec in fleet.specs:
        if spec.name in ("by-variable", "silent"):
            spec.variables["wu_repair_become"] = True
    # Where the variable is not set, what the user's own play says holds.
    as_system = {"become": True, "become_method": "ansible.builtin.runas", "become_user": "SYSTEM"}
    own = {"name": "By its own play", "hosts": "by-its-play", "gather_facts": False, "roles": [ROLE], **as_system}
    book = fleet.folder / "site.yml"
    book.write_text(json.dumps([{"import_playbook": "winfleet.wu_repair.fix_wu"}, own]), "utf-8")
    kept = fleet.folder / "evidence"
    given = {"wu_repair_hosts": "as-it-is,by-variable,silent", "wu_repair_evidence_dir": str(kept)}
    came = results(fleet, "ansible-playbook", str(book), "-e", json.dumps(given))
    assert {host: row["verdict"] for host, row in came.items()} == {
        "as-it-is": "unproven", "by-variable": "repaired", "by-its-play": "repaired", "silent": "healthy"
    }, came["silent"]["_output"]  # fmt: skip
    # The summary says the way out, and a search keeps its evidence as any look does.
    assert "-e wu_repair_become=true" in came["silent"]["_output"]
    assert json.loads((kept / "silent.json").read_text("utf-8"))["sections"]["scan"]["status"] == "ok"
    assert (kept / "by-variable.after.json").exists()
