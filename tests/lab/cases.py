# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Cases: scenarios that say what is right in more words than a verdict, played by a look and by fix_wu.yml."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lab.controller import each, fix
from lab.demo import QUICK
from lab.fleet import Fleet, read_scenario
from lab.hosts import HostSpec

# Public reports of administrators.
REPORTS = Path(__file__).resolve().parents[1] / "cases" / "scenarios"
# What the first release called it, for scenarios that were written in its words.
ALSO = {"not_this_host": {"needs_action"}}


def wanted(value: Any) -> set[str]:
    """The verdicts that a promise allows."""
    names = [str(one) for one in (value if isinstance(value, list) else [value])]
    return {name for one in names for name in (one, *ALSO.get(one, ()))}


def broken(row: Mapping[str, Any], look: Mapping[str, Any], promise: Mapping[str, Any]) -> list[str]:
    """What of a promise was not kept, in words."""
    wrong = [
        f"{name} {row.get(name) or '-'} instead of {promise[name]}"
        for name in ("was", "now")
        if name in promise and str(row.get(name)) not in wanted(promise[name])
    ]
    if "why" in promise and (row.get("why") or "") != (promise["why"] or ""):
        wrong.append(f"why {row.get('why') or '-'} instead of {promise['why'] or '-'}")
    if "did" in promise and list(row.get("did") or ()) != list(promise["did"]):
        wrong.append(f"did {row.get('did')} instead of {promise['did']}")
    if "changed" in promise and bool(row.get("changed")) is not promise["changed"]:
        wrong.append(f"changed {row.get('changed')}")
    if promise.get("owner") and row.get("owner") not in promise["owner"]:
        wrong.append(f"owner {row.get('owner') or '-'} instead of {' or '.join(promise['owner'])}")
    said = {key: value for key, value in look.items() if key not in ("evidence", "_output", "invocation")}
    told = json.dumps([said, row], ensure_ascii=False)
    wrong += [f"does not say {word!r}" for word in promise.get("says") or () if str(word) not in told]
    return wrong


def promising(folders: Iterable[Path]) -> dict[str, Path]:
    """The scenarios of some folders that promise something, by name."""
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.glob("[!_]*.yml")):
            if read_scenario(str(path)).get("promise"):
                found[path.stem] = path
    return found


def play(paths: Mapping[str, Path], backend: str = "model") -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Look at every host, then repair: host -> its row and its first look."""
    specs = [HostSpec(name, str(path)) for name, path in paths.items()]
    with Fleet(specs, backend) as fleet:
        looks = each(fleet, {name: ("win_wu_info", {"return_evidence": "never"}) for name in paths})
        # In one batch: a case that ends badly is no canary for the others.
        rows, done = fix(fleet, variables={**QUICK, "wu_repair_serial": ["100%"]})
        if not rows:
            print(done.stdout[-3000:], done.stderr[-3000:], sep="\n")
        return {name: (rows.get(name, {}), looks.get(name, {})) for name in paths}
