# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reset: repair disabled start types, set the download cache aside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .. import routing
from ..conditions import Finding
from ..evidence import Evidence, records
from ..situation import Settings, number, rows
from . import _common
from ._common import Expect, Proof, Refusal, Step

NAME = "reset"
TITLE = "reset the download cache and the update services"

_CACHE = "SoftwareDistribution"
_CATALOGUES = "catroot2"
# Who holds files in each folder open. CryptSvc only the catalogues: it is left running where they stay.
_USERS = {_CACHE: ("UsoSvc", "DoSvc", "BITS", "wuauserv"), _CATALOGUES: ("CryptSvc",)}


def asked_for_by(found: Sequence[Finding]) -> tuple[Finding, ...]:
    """The active findings that a reset answers."""
    return _common.asked(found, NAME)


def guards(evidence: Evidence, found: Sequence[Finding], options: Mapping[str, Any]) -> Refusal | None:
    """Servicing, a pending restart, a folder that is a link, services that are not known."""
    refusal = _common.not_quiet(evidence)
    if refusal is not None:
        return refusal
    if not rows(evidence.data("services"), "services"):
        return Refusal("failed", f"The services could not be read ({evidence.status('services')}), so none is touched.")
    for row in rows(evidence.data("cache"), "folders"):
        if row.get("reparse") and row.get("name") in _folders(found, options, force=bool(options.get("force"))):
            where = row.get("path") or row.get("name")
            return Refusal("unresolved", f"{where} is a link to another place: a person must reset it (owner admin).")
    return None


def steps(
    evidence: Evidence, found: Sequence[Finding], options: Mapping[str, Any], settings: Settings, *, force: bool
) -> tuple[Step, ...]:
    """Start types first, then the folders with their services stopped."""
    drifted = _drifted(found, evidence, force=force)
    plan = [Step("set_start_type", {"name": name, **_healthy(name)}) for name in drifted]
    plan += _cache_steps(evidence, _folders(found, options, force=force), options)
    plan += [
        Step("start_service", {"name": name, "timeout_ms": _timeout(options), "stop_after": False})
        for name in drifted
        if _healthy(name)["start"] == 2 and _common.service(evidence, name).get("state") == "stopped"
    ]
    # What deletes comes last of all: it has no undo.
    keep = number(options.get("keep_backups"))
    for step in [step for step in plan if step.kind == "set_aside"]:
        if keep is not None and keep >= 1 and len(_folder(evidence, step.args["folder"]).get("backups") or ()) >= keep:
            plan.append(Step("prune_backups", {"folder": step.args["folder"], "keep": keep}))
    return tuple(plan)


def expect(evidence: Evidence, steps: Sequence[Step]) -> tuple[Expect, ...]:
    """The same boot, the same start types, the same folders, and nothing at work."""
    wanted = [*_common.same_boot(evidence), *_common.quiet(), *_common.same_start(evidence, steps)]
    for step in steps:
        if step.kind == "set_aside":
            name = str(step.args["folder"])
            if "exists" in _folder(evidence, name):
                wanted.append(Expect("folder", name, "exists", True))
            wanted.append(Expect("folder", name, "reparse", False))
    return tuple(wanted)


def notes(evidence: Evidence, options: Mapping[str, Any], settings: Settings) -> tuple[str, ...]:
    """Nothing beside the steps."""
    return ()


def proof(
    steps: Sequence[Step],
    before: Evidence,
    after: Evidence,
    found_before: Sequence[Finding],
    found_after: Sequence[Finding],
) -> Proof:
    """What was seen must be gone: start types in the table, searches by a search, installations by an installation."""
    seen = asked_for_by(found_before)
    disabled = [item for item in asked_for_by(found_after) if item.condition == "service_disabled"]
    if disabled:
        return Proof("refuted", None, f"still disabled: {', '.join(_service_of(item) for item in disabled)}")
    failures = [item for item in seen if item.code is not None or item.area in ("cache", "scan")]
    if seen and not failures:
        return Proof("proved", "the start types, read again")
    search = _common.search_proof(after, found_after, NAME, "the cache")
    if search.status == "unproven" and _searched_since(before, after):
        search = Proof("proved", "a successful search since the repair")
    if search.status != "proved":
        return search
    # The same code in a search had the same cause, and the search has shown that it is gone.
    searched = {item.code for item in failures if item.area in ("scan", "cache")}
    waiting = [
        item
        for item in failures
        if item.area in ("download", "install")
        and item.code not in searched
        and not _only_services(item)
        and not _succeeded_since(item, found_after)
    ]
    if waiting:
        what = " and ".join(dict.fromkeys(f"{item.area}s" for item in waiting)).replace("installs", "installations")
        return Proof(
            "unproven",
            None,
            f"{search.by} shows that the agent works with the new cache; only the next try can tell about {what}",
        )
    return search


def _service_of(item: Finding) -> str:
    return item.id.partition(":")[2]


def _healthy(name: str) -> dict[str, Any]:
    wanted = routing.SERVICES[name]
    return {"start": wanted["start"], "delayed": wanted["delayed"]}


def _drifted(found: Sequence[Finding], evidence: Evidence, *, force: bool) -> list[str]:
    """Services to repair, in the order they are started."""
    named = {_service_of(item) for item in asked_for_by(found) if item.condition == "service_disabled"}
    if force:
        named |= {name for name, row in routing.SERVICES.items() if row["rung"] == NAME and row["needed"] == "always"}
    order = [*reversed(routing.STOP_ORDER), *(name for name in routing.SERVICES if name not in routing.STOP_ORDER)]
    return [name for name in order if name in named and _common.exists(evidence, name) and _is_disabled(evidence, name)]


def _is_disabled(evidence: Evidence, name: str) -> bool:
    return number(_common.service(evidence, name).get("start")) == 4


def _folders(found: Sequence[Finding], options: Mapping[str, Any], *, force: bool) -> list[str]:
    """The folders that are set aside."""
    failures = [
        item for item in asked_for_by(found) if item.condition != "service_disabled" and not _only_services(item)
    ]
    if not failures and not force:
        return []
    listed = [str(name) for name in options.get("folders") or ["auto"]]
    wanted = {name for name in listed if name != "auto"}
    if "auto" in listed:
        codes = [None if item.code is None else int(item.code, 16) for item in failures]
        if not failures:
            wanted |= {_CACHE, _CATALOGUES}
        if any(not routing.is_signature_code(code) for code in codes):
            wanted.add(_CACHE)
        if any(routing.is_signature_code(code) for code in codes):
            # A damaged signature may sit in the downloaded files as well as in the catalogues that check them.
            wanted |= {_CACHE, _CATALOGUES}
    return [name for name in (_CACHE, _CATALOGUES) if name in wanted]


def _only_services(item: Finding) -> bool:
    return item.code is not None and routing.is_service_code(int(item.code, 16))


def _folder(evidence: Evidence, name: str) -> Mapping[str, Any]:
    for row in rows(evidence.data("cache"), "folders"):
        if row.get("name") == name:
            return row
    return {}


def _timeout(options: Mapping[str, Any]) -> int:
    seconds = number(options.get("stop_timeout"))
    return 1000 * (60 if seconds is None or seconds < 1 else seconds)


def _cache_steps(evidence: Evidence, folders: Sequence[str], options: Mapping[str, Any]) -> list[Step]:
    there = [name for name in folders if _folder(evidence, name).get("exists", True)]
    if not there:
        return []
    users = {user for name in there for user in _USERS[name]}
    queue = bool(options.get("bits_queue"))
    if queue:
        users.add("BITS")
    stop = [name for name in routing.STOP_ORDER if name in users and _common.exists(evidence, name)]
    plan = [Step("stop_service", {"name": name, "timeout_ms": _timeout(options)}) for name in stop]
    plan += [Step("set_aside", {"folder": name}) for name in there]
    if queue:
        plan.append(Step("set_aside_bits_queue"))
    if options.get("service_security"):
        plan += [
            Step("set_service_security", {"name": name})
            for name in ("bits", "wuauserv")
            if _common.exists(evidence, name)
        ]
    return [*plan, Step("restore_services", {"timeout_ms": _timeout(options)})]


def _searched_since(before: Evidence, after: Evidence) -> bool:
    """Whether the host logged a successful search that it had not when it was looked at before."""
    times = [item.time for item in records(after) if item.ok and item.layer == "scan" and item.time is not None]
    times += [time for time in (number(after.data("sources").get("last_search")),) if time is not None]
    return any(time > before.now for time in times)


def _succeeded_since(item: Finding, found_after: Sequence[Finding]) -> bool:
    return any(
        other.id == item.id and other.overtaken_by == "a later success of the same update" for other in found_after
    )
