# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reset: start types and services put right, the download cache set aside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .. import routing, seen, situation, subjects
from ..conditions import CACHE_IS_FILE
from ..evidence import Evidence
from ..finding import Finding
from ._common import (
    PROVED,
    REFUTED,
    UNPROVEN,
    Expect,
    Look,
    Proof,
    Refusal,
    Repair,
    Step,
    Wish,
    all_of,
    code_of,
    codes_of,
    not_quiet,
    quiet,
    search_proof,
)

_CACHE = "SoftwareDistribution"
_CATALOGUES = "catroot2"
# Who holds files in each folder open. CryptSvc only the catalogues: it is left running where they stay.
_USERS = {_CACHE: ("UsoSvc", "DoSvc", "BITS", "wuauserv"), _CATALOGUES: ("CryptSvc",)}
# Without these a folder cannot be moved, or updates cannot work; the others hold no file of it, and what of them does not stop or start
# (DoSvc and UsoSvc refuse it on some builds) is no reason to throw a good reset away.
_NEEDED = frozenset({"BITS", "wuauserv", "CryptSvc"})

_APPLOCKER = frozenset({"appidsvc", "applockerfltr"})

_DISABLED, _STOPPED = "service_disabled", "service_stopped"
_DISABLED_START, _AUTOMATIC = 4, 2
_SERVICE_CONDITIONS = (_DISABLED, _STOPPED)
_DEFAULT_STOP_S = 60


class Reset(Repair):
    """Only the folders and services that the findings point at."""

    name = "reset"
    title = "reset the download cache and the update services"
    deed = "cache reset"
    order = 30
    howto_order = 20

    def guards(self, wish: Wish) -> Refusal | None:
        """Servicing, a pending restart, services that are not known, a folder that cannot be set aside."""
        refusal = not_quiet(wish.evidence)
        if refusal is not None:
            return refusal
        if not wish.evidence.services.services:
            status = wish.evidence.status("services")
            return Refusal("failed", f"The services could not be read ({status}), so none is touched.", "Look again, then run again.")
        wanted = _wanted_folders(self, wish)
        return _link(wish.evidence, wanted) or _held(wish.evidence, wanted)

    def steps(self, wish: Wish) -> tuple[Step, ...]:
        """Who may change services first, their start types, then the folders with their services stopped, then services that shall run.

        What deletes comes last of all.
        """
        drifted = _drifted(self, wish)
        start_types = [Step("set_start_type", {"name": name, **_shipped(name)}) for name in drifted]
        folders = _movable(wish.evidence, _wanted_folders(self, wish))
        return (
            *(_security_steps(wish) if folders or drifted else []),
            *start_types,
            *_cache_steps(wish, folders),
            *_start_steps(self, wish, drifted),
            *_prune_steps(wish, folders),
        )

    def expect(self, wish: Wish, steps: Sequence[Step]) -> tuple[Expect, ...]:
        """Nothing else at work, beside what each step expects."""
        return (*super().expect(wish, steps), *quiet())

    def notes(self, wish: Wish) -> tuple[str, ...]:
        """Which folder is left, and why."""
        left = [name for name in _wanted_folders(self, wish) if _holders(wish.evidence, name)]
        return tuple(f"{name} is left: {_holder_words(wish.evidence, name)}" for name in left)

    def prove(self, before: Look, after: Look, steps: Sequence[Step]) -> Proof:
        """What was asked for must be gone, each by its own kind: services by the table, searches by a search, installations by one."""
        asked = self.asked_by(before.findings)
        of_services = [item for item in asked if item.condition in _SERVICE_CONDITIONS]
        of_files = [item for item in asked if item.condition == CACHE_IS_FILE]
        failures = [item for item in asked if item not in (*of_services, *of_files)]
        proofs = [_service_proof(item, after) for item in of_services]
        proofs += [_file_proof(item, after) for item in of_files]
        searches = [item for item in failures if item.layer not in ("download", "install")]
        if searches or failures or not asked:
            proofs.append(_searched(before, after, searches or failures))
        proofs += [_installed(item, before, after) for item in failures if item not in searches]
        return all_of(proofs)


REPAIR = Reset()


# --- what is wanted ---


def _about(item: Finding) -> str:
    return item.id.partition(":")[2]


def _shipped(name: str) -> dict[str, Any]:
    wanted = routing.SERVICES[name]
    return {"start": wanted["start"], "delayed": wanted["delayed"]}


def _is_ours(name: str) -> bool:
    """Whether a step may change how that service starts: some are refused to everybody, or look after themselves."""
    return routing.SERVICES.get(name, {}).get("repair") == Reset.name


def _named(repair: Repair, wish: Wish, condition: str) -> set[str]:
    asked = repair.asked_by(wish.findings)
    return {_about(item) for item in asked if item.condition == condition and _is_ours(_about(item))}


def _in_starting_order(names: Iterable[str]) -> list[str]:
    wanted = set(names)
    order = [*reversed(routing.STOP_ORDER), *(name for name in routing.SERVICES if name not in routing.STOP_ORDER)]
    return [name for name in order if name in wanted]


def _drifted(repair: Repair, wish: Wish) -> list[str]:
    """Disabled services to repair, in the order they are started."""
    names = _named(repair, wish, _DISABLED)
    if wish.force:
        names |= {name for name, row in routing.SERVICES.items() if _is_ours(name) and row["needed"] == "always"}
    return [name for name in _in_starting_order(names) if _start_of(wish.evidence, name) == _DISABLED_START]


def _start_of(evidence: Evidence, name: str) -> int | None:
    service = evidence.services.by_name(name)
    return service.start if service is not None and service.exists else None


def _state_of(evidence: Evidence, name: str) -> str | None:
    service = evidence.services.by_name(name)
    return service.state if service is not None and service.exists else None


def _exists(evidence: Evidence, name: str) -> bool:
    service = evidence.services.by_name(name)
    return service is not None and service.exists


def _is_service_code(item: Finding) -> bool:
    return routing.is_service_code(code_of(item))


def _wanted_folders(repair: Repair, wish: Wish) -> list[str]:
    """The folders that the failures, or the user, want set aside."""
    asked = repair.asked_by(wish.findings)
    failures = [item for item in asked if item.condition not in (*_SERVICE_CONDITIONS, CACHE_IS_FILE) and not _is_service_code(item)]
    files = {_about(item) for item in asked if item.condition == CACHE_IS_FILE}
    if not failures and not files and not wish.force:
        return []
    listed = [str(name) for name in wish.options.get("folders") or ["auto"]]
    wanted = {name for name in listed if name != "auto"}
    if "auto" in listed:
        wanted |= files | _folders_of(failures) if failures or files else {_CACHE, _CATALOGUES}
    return [name for name in (_CACHE, _CATALOGUES) if name in wanted]


def _folders_of(failures: Sequence[Finding]) -> set[str]:
    codes: set[int | None] = {code for item in failures for code in codes_of(item)}
    if any(not codes_of(item) for item in failures):
        codes.add(None)
    return {folder for code in codes for folder in routing.reset_folders(code)}


def _holders(evidence: Evidence, folder: str) -> dict[str, str]:
    """Running dependents of a folder's services that are not ours to stop, each with the service that it depends on.

    They belong to other products, or guard themselves: AppIDSvc and the driver applockerfltr depend on CryptSvc, and without them AppLocker
    is off (Microsoft, SERVICE_LAUNCH_PROTECTED_INFO). What depends on a service that only helps keeps that one running, and no folder.
    """
    ours = {*routing.STOP_ORDER, *(name for name in routing.SERVICES if _is_ours(name))}
    allowed = {name.lower() for name in ours}
    running: dict[str, str] = {}
    for user in _USERS[folder]:
        service = evidence.services.by_name(user) if user in _NEEDED else None
        if service is not None:
            running |= {name: user for name in service.dependents if name.lower() not in allowed}
    return running


def _holder_words(evidence: Evidence, folder: str) -> str:
    holders = _holders(evidence, folder)
    verb = "depends" if len(holders) == 1 else "depend"
    depends = f"{', '.join(holders)} {verb} on {' and '.join(dict.fromkeys(holders.values()))}"
    if _is_applocker(holders):
        return f"{depends}, and AppLocker would be switched off"
    return f"{depends} and would be stopped too"


def _is_applocker(holders: Iterable[str]) -> bool:
    return any(name.lower() in _APPLOCKER for name in holders)


def _movable(evidence: Evidence, folders: Sequence[str]) -> list[str]:
    """Of the wanted folders those that are there and may be moved; one that could not be looked at is left to the agent."""
    there = []
    for name in folders:
        folder = evidence.cache.by_name(name)
        if (folder is None or folder.exists or folder.file) and not _holders(evidence, name):
            there.append(name)
    return there


def _link(evidence: Evidence, folders: Sequence[str]) -> Refusal | None:
    for name in folders:
        folder = evidence.cache.by_name(name)
        if folder is not None and folder.reparse:
            where = folder.path or name
            return Refusal(
                "needs_action",
                f"{where} is a link to another place, and no reset follows a link.",
                f"Replace the link {where} by a folder, or reset what it points to by hand.",
                "admin",
            )
    return None


def _held(evidence: Evidence, folders: Sequence[str]) -> Refusal | None:
    """Where each wanted folder is held by others there is nothing to reset."""
    held = [name for name in folders if _holders(evidence, name)]
    if not held or len(held) < len(folders):
        return None
    holders = dict.fromkeys(holder for name in held for holder in _holders(evidence, name))
    next_step = f"Stop {', '.join(holders)} for the time of a reset, then run again."
    if _is_applocker(holders):
        next_step = f"Leave {held[0]} as it is, or reset it by hand at a time when AppLocker ({', '.join(holders)}) may be off."
    return Refusal("needs_action", f"{held[0]} cannot be reset: {_holder_words(evidence, held[0])}.", next_step, "admin")


# --- steps ---


def _timeout(options: Mapping[str, Any]) -> int:
    seconds = situation.number(options.get("stop_timeout"))
    if seconds is None or seconds < 1:
        return 1000 * _DEFAULT_STOP_S
    return 1000 * seconds


def _security_steps(wish: Wish) -> list[Step]:
    """The descriptors that let an administrator stop services and set their start types: after these it would be too late for either."""
    if not wish.options.get("service_security"):
        return []
    return [Step("set_service_security", {"name": name}) for name in ("bits", "wuauserv") if _exists(wish.evidence, name)]


def _cache_steps(wish: Wish, folders: Sequence[str]) -> list[Step]:
    if not folders:
        return []
    evidence, options = wish.evidence, wish.options
    users = {user for name in folders for user in _USERS[name]}
    if options.get("bits_queue"):
        users.add("BITS")
    timeout = _timeout(options)
    stop = [name for name in routing.STOP_ORDER if name in users and _exists(evidence, name)]
    plan = [Step("stop_service", {"name": name, "timeout_ms": timeout, "needed": name in _NEEDED}) for name in stop]
    plan += [Step("set_aside", {"folder": name}) for name in folders]
    if options.get("bits_queue"):
        plan.append(Step("set_aside_bits_queue"))
    return [*plan, Step("restore_services", {"timeout_ms": timeout})]


def _start_steps(repair: Repair, wish: Wish, drifted: Sequence[str]) -> list[Step]:
    """Start the services that must run and do not."""
    names = {name for name in drifted if _shipped(name)["start"] == _AUTOMATIC}
    names |= _named(repair, wish, _STOPPED)
    stopped = [name for name in _in_starting_order(names) if _state_of(wish.evidence, name) == "stopped"]
    timeout = _timeout(wish.options)
    return [
        Step("start_service", {"name": name, "timeout_ms": timeout, "stop_after": False, "needed": name in _NEEDED}) for name in stopped
    ]


def _prune_steps(wish: Wish, folders: Sequence[str]) -> list[Step]:
    keep = situation.number(wish.options.get("keep_backups"))
    if keep is None or keep < 1:
        return []
    steps = []
    for name in folders:
        folder = wish.evidence.cache.by_name(name)
        if folder is not None and sum(map(situation.is_backup, folder.backups)) >= keep:
            steps.append(Step("prune_backups", {"folder": name, "keep": keep}))
    return steps


# --- proof ---


def _file_proof(item: Finding, after: Look) -> Proof:
    """The place of a folder, where a file stood."""
    folder = after.evidence.cache.by_name(_about(item))
    if folder is None:
        return Proof(UNPROVEN, None, f"{_about(item)} could not be looked at again ({after.evidence.status('cache')})")
    if folder.file:
        return Proof(REFUTED, None, f"a file still stands where the folder {_about(item)} must be")
    return Proof(PROVED, f"the place of {_about(item)}, looked at again")


def _service_proof(item: Finding, after: Look) -> Proof:
    """A service by its row, read again."""
    name = _about(item)
    if not after.evidence.has("services") or not _exists(after.evidence, name):
        return Proof(UNPROVEN, None, f"{name} could not be read again ({after.evidence.status('services')})")
    if _start_of(after.evidence, name) == _DISABLED_START:
        return Proof(REFUTED, None, f"{name} is still disabled")
    state = _state_of(after.evidence, name)
    if item.condition == _STOPPED and state != "running":
        return Proof(REFUTED, None, f"{name} still does not run ({state})")
    what = "the state of the services" if item.condition == _STOPPED else "the start types"
    return Proof(PROVED, f"{what}, read again")


def _searched(before: Look, after: Look, asked: Sequence[Finding]) -> Proof:
    """A live search, or a search that the host made by itself since."""
    live = search_proof(after, asked, "the cache")
    if live.status != UNPROVEN or after.evidence.scan.result is not None:
        return live
    host = situation.of(after.evidence, after.settings)
    if _succeeded_since(before, after, f"search:{host.required_class}"):
        return Proof(PROVED, "a successful search since the repair")
    return live


def _installed(item: Finding, before: Look, after: Look) -> Proof:
    """An installation is cured by an installation alone."""
    if _succeeded_since(before, after, item.subject):
        return Proof(PROVED, "a later success of the same update")
    what = "download" if item.layer == "download" else "installation"
    name = f" of {item.name}" if item.name else ""
    return Proof(UNPROVEN, None, f"only the next try can tell about the {what}{name}")


def _succeeded_since(before: Look, after: Look, subject: str) -> bool:
    """Whether a success of that subject is certainly later than the look before, and not dated in the host's future."""
    host = situation.of(after.evidence, after.settings)
    for one in seen.observations(after.evidence):
        earliest = one.earliest
        # The agent's own date names no service: whose search moved it, nobody knows.
        if not one.ok or one.source == "agent" or earliest is None or earliest <= before.evidence.now or host.is_future(one.time):
            continue
        if subjects.of(one, host) == subject:
            return True
    return False
