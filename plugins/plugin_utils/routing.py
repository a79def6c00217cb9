# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who can act on a failure, and what he does next.

`data/routing.json` holds for each place and kind of code a list of words. Each word is a function here that gives the answer or declines,
so that a wrong answer is either a wrong row of the table or a wrong function, never a mixture of both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import hresult, updates
from .finding import named_server
from .observation import SOME_DRIVER, called
from .situation import Situation, size

_DATA = Path(__file__).with_name("data")
_TABLE: dict[str, Any] = json.loads((_DATA / "routing.json").read_text(encoding="utf-8"))
_CODES: dict[int, dict[str, list[str]]] = {int(code, 16): row for code, row in _TABLE["codes"].items()}
_STEPS: dict[str, str] = _TABLE["steps"]
_DAMAGE_CODES = frozenset(int(code, 16) for code in _TABLE["damage_codes"])
_SERVICES_OF_CODES: dict[int, str] = {int(code, 16): name for code, name in _TABLE["services_of_codes"].items()}
_SPACE_CODES = frozenset(int(code, 16) for code in _TABLE["space_codes"])
_SIGNATURES = tuple((int(low, 16), int(high, 16)) for low, high in _TABLE["signature_codes"])
_MISSING_SERVICE = frozenset(int(code, 16) for code in _TABLE["missing_service_codes"])
_DISABLED_SERVICE, _INSTALL_FAILURE = 0x80070422, 0x80070643
# What a server sent may be behind these: damaged metadata, files and packages.
_DELIVERED = frozenset(int(code, 16) for code in _TABLE["delivered_codes"])
_BOTH_FOLDERS = frozenset(int(code, 16) for code in _TABLE["both_folders"])
_UPGRADES = range(int(_TABLE["upgrade_codes"]["from"], 16), int(_TABLE["upgrade_codes"]["to"], 16) + 1)
_RANGES = tuple((range(int(span["from"], 16), int(span["to"], 16) + 1), span) for span in _TABLE["ranges"])
_SERVICE_TABLE: dict[str, Any] = json.loads((_DATA / "services.json").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = _SERVICE_TABLE["services"]
STOP_ORDER: tuple[str, ...] = tuple(_SERVICE_TABLE["stop_order"])
_TIME_SERVICE = "W32Time"

# Layers at which the data store and the download cache are at work: a reset renews both, so it is an answer only there.
_CACHE_LAYERS = ("cache", "scan", "download", "install")
# What of it asks a server, or uses what a server sent.
_ASKING_LAYERS = ("scan", "download", "install")
_WSUS, _STORE = "wsus", "store"
# Codes of the update agent, of its handlers, of Delivery Optimization, by their first digits.
_AGENT, _HANDLERS, _DELIVERY = 0x8024, 0x80242, 0x80D0

# HTTP statuses that the update agent has codes of its own for: WU_E_PT_HTTP_STATUS_BAD_REQUEST (0x80244016) and on.
_STATUSES = (400, 401, 403, 404, 405, 407, 408, 409, 410, 500, 501, 502, 503, 504, 505)
_HTTP = {0x80244016 + place: status for place, status in enumerate(_STATUSES)}
# What BITS and WinHTTP have for all of them.
_HTTP_FACILITY = 0x8019
_OF_HTTP = {status: code for code, status in _HTTP.items()}
_GIB = 1024**3
# What Windows asks for: an update, and a feature upgrade (64-bit, without external media).
_UPDATE_GIB, _UPGRADE_GIB = 3, 20
# Codes of space that have other causes, too: a folder that cannot be written to, a file in too many pieces.
_NOT_ONLY_SPACE = (0x80070660, 0x80070299)
_MAX_NAME = 80
# Packages of features on demand, as the servicing stack names them: Microsoft-Windows-NetFx3-OnDemand-Package~31bf3856ad364e35~...
_ON_DEMAND = re.compile(r"(?:-OnDemand|-FoD|LanguageFeatures-[\w-]{1,60})-Package(?:~|$)", re.I)


@dataclass(frozen=True)
class Failure:
    """A failing subject, as it is routed.

    Attributes:
        layer: `scan`, `download`, `install`, `store`, `cache`, `upgrade`, `service`, `clock`.
        asked: class of the update service that was asked: `wsus`, `microsoft`, `store`, `flighting`, `offline`, `unknown`.
        name: component, package, installer, Windows service; of an upgrade its phase, a driver or file, or both (`0x20017 filter.sys`).
        lasting: it has not passed: no success for a day, or it was tried for longer than a day.
        lasted: that it goes on for more than a day is seen: a log may hold one line of it, or none with a date.
        restarted_since: the host has started since the first failure of it.
        source: what told of it, where that decides with which tool it is mended.
        reset_tried: a reset of ours lies between two failures of it, without a success since.
    """

    layer: str
    code: int | None = None
    marker: str | None = None
    subject: str = ""
    asked: str | None = None
    kb: str | None = None
    title: str | None = None
    name: str | None = None
    lasting: bool = True
    lasted: bool = True
    restarted_since: bool = False
    reset_tried: bool = False
    source: str = ""


@dataclass(frozen=True)
class Routed:
    """Who acts, and how.

    Attributes:
        answer: exactly one of `repair` (`reset`, `timesync`), `wait` (`restart`, `retry`), `owner` (`wsus`, `proxy`, `policy`,
            `management`, `hardware`, `admin`).
        next_step: one sentence that names the thing.
        step: the name of that sentence in the table.
        attempt: `osupgrade` where it may be tried once, though nothing shows that it helps.
        notice: true, but nothing is wrong for it.
        blocking: no search can succeed until it is mended.
    """

    answer: dict[str, str]
    next_step: str
    step: str = ""
    attempt: str | None = None
    notice: bool = False
    blocking: bool = False


@dataclass(frozen=True)
class _Case:
    failure: Failure
    situation: Situation
    step: str | None = None


_Word = Callable[[_Case], "Routed | None"]


def answer_for(failure: Failure, situation: Situation) -> Routed:
    """Who can act on a failure of a host."""
    case = _Case(failure, situation)
    routed = _no_concern(case) or _first(_words(failure), case) or _admin(case)
    return replace(routed, blocking=_is_blocking(routed, failure))


def _first(words: list[str], case: _Case) -> Routed | None:
    """The answer of the first word that does not decline."""
    for entry in words:
        word, _colon, step = entry.partition(":")
        routed = _WORDS[word](replace(case, step=step or None))
        if routed is not None:
            return routed
    return None


def _is_blocking(routed: Routed, failure: Failure) -> bool:
    if routed.notice:
        return False
    owner = routed.answer.get("owner")
    if owner == "admin":
        return routed.step in _TABLE["blocking_steps"] and (failure.layer == "scan" or "service_" in routed.step)
    return failure.layer == "scan" and owner in ("wsus", "proxy", "policy", "management")


# --- what a code is ---


def is_signature_code(code: int | None) -> bool:
    """Whether the code is about catalogues and signatures, whose cache is catroot2."""
    return code is not None and any(low <= code <= high for low, high in _SIGNATURES)


def is_damage_code(code: int) -> bool:
    """Whether the code says that the component store is damaged, whatever was to be done with it."""
    return code in _DAMAGE_CODES


def server_of(failure: Failure, routed: Routed, situation: Situation) -> str:
    """The server of one's own that may be behind a failure which a repair would answer, as `wsus:NAME` or `proxy:NAME`; else ''.

    What a server sent may be damaged, and its certificate wrong. What is of the host's own data store, services, disk or clock is not.
    """
    code = failure.code
    by_code = code in _DELIVERED or is_signature_code(code) or is_clock_code(code)
    is_repaired = "repair" in routed.answer and situation.clock.state != "off"
    if failure.layer not in _ASKING_LAYERS or not by_code or not is_repaired:
        return ""
    if _asks_wsus(_Case(failure, situation)):
        return named_server("wsus", situation.wsus_server)
    return named_server("proxy", situation.proxy_server)


def reset_folders(code: int | None) -> tuple[str, ...]:
    """The cache folders that a reset for this code renews."""
    if code in _BOTH_FOLDERS or is_signature_code(code):
        return ("SoftwareDistribution", "catroot2")
    return ("SoftwareDistribution",)


def is_service_code(code: int | None) -> bool:
    """Whether the code says that a service is not there to be used: its start type is what a reset repairs."""
    return code is not None and any(words[0] == "services" for words in _CODES.get(code, {}).values())


def is_missing_service_code(code: int | None) -> bool:
    """Whether the code says that the program or the registration of a service is gone."""
    return code in _MISSING_SERVICE


def is_clock_code(code: int | None) -> bool:
    """Whether a wrong clock explains the code: TLS, certificates, signatures."""
    if code is None:
        return False
    info = hresult.describe(code)
    return info.area == "time_tls" and "timesync" in info.remedies


def is_dotnet_code(code: int | None) -> bool:
    """Whether the code is an exception of .NET (facility 0x13), so of whoever asked, not of Windows Update."""
    return code is not None and code >> 16 == 0x8013


def is_upgrade_code(code: int | None) -> bool:
    """Whether the code comes from the set-up of a feature upgrade, wherever it was seen."""
    return code is not None and code in _UPGRADES


def passes(failure: Failure) -> bool:
    """Whether this kind of failure usually passes by itself, so that it is left alone for a day."""
    return any(word.partition(":")[0] == "retry" for word in _words(failure))


def repairable_services(situation: Situation) -> tuple[str, ...] | None:
    """The disabled services whose start type a reset repairs, None when the start types are not known."""
    if situation.disabled is None:
        return None
    return tuple(name for name in situation.disabled if SERVICES.get(name, {}).get("repair") == "reset")


# --- the table ---


def _layer(failure: Failure) -> str:
    if is_upgrade_code(failure.code):
        return "upgrade"
    if failure.layer == "install" and failure.subject.startswith("upgrade:") and not _is_agents(failure.code):
        return "upgrade"
    return failure.layer


def _is_agents(code: int | None) -> bool:
    """Whether the update agent or Delivery Optimization failed by itself, before set-up began; its handlers (0x80242...) run the set-up."""
    if code is None:
        return False
    return code >> 16 in (_AGENT, _DELIVERY) and code >> 12 != _HANDLERS


def _words(failure: Failure) -> list[str]:
    layer = _layer(failure)
    if failure.code is None:
        return list(_TABLE["markers"].get(failure.marker) or _TABLE["marker_layers"].get(layer) or ["admin"])
    if layer == "install" and _is_driver(failure):
        return ["admin:driver"]
    code = hresult.nt_to_win32(failure.code)
    info = hresult.describe(code)
    words: list[str] = []
    for word in _row(code, layer, info.area):
        words.extend(_remedies(info, layer) if word == "remedies" else [word])
    return words


def _is_driver(failure: Failure) -> bool:
    """Whether the servicing stack could not install a driver that an update brings, whatever the code says of its files."""
    name = (failure.name or "").lower()
    return failure.source == "cbs" and (name.endswith(".inf") or name.startswith(f"{SOME_DRIVER} of "))


def _row(code: int, layer: str, area: str) -> list[str]:
    by_code = _CODES.get(code, {})
    keys = (layer, "work", "*") if layer in _CACHE_LAYERS else (layer, "*")
    row = next((by_code[key] for key in keys if key in by_code), None) or _of_range(code, layer, area)
    if row is None:
        by_layer = _TABLE["layers"].get(layer, {})
        row = by_layer.get(area) or by_layer.get("*") or _TABLE["areas"].get(area) or ["admin"]
    return list(row)


def _of_range(code: int, layer: str, area: str) -> list[str] | None:
    for codes, span in _RANGES:
        if code in codes and layer in span.get("layers", [layer]) and area in span.get("areas", [area]):
            row: list[str] = span["answer"]
            return row
    return None


def _remedies(info: hresult.CodeInfo, layer: str) -> list[str]:
    """The remedies of the code's own row. DISM only where a known code speaks of servicing: a data store is no part of it."""
    may_be_damage = layer == _STORE or (info.area in _TABLE["damage_areas"] and hresult.is_known(info.code))
    wanted = [name for name in info.remedies if name != "troubleshoot" or may_be_damage]
    return [word for name in wanted for word in _TABLE["remedies"].get(name, [])]


# --- what is no concern of Windows Update ---


def _no_concern(case: _Case) -> Routed | None:
    """True things for which nothing is wrong: another service's search, an app of the Store, a service that updates do not need."""
    failure, situation = case.failure, case.situation
    if failure.layer == "service" and failure.name and not is_ours(failure.name):
        return _notice(replace(case, step="foreign_service"))
    if failure.layer != "scan":
        of_the_store = failure.asked == _STORE or failure.subject.startswith("app:")
        return _only(of_the_store, _notice(replace(case, step="app")))
    if failure.asked == "flighting" and not situation.wsus:
        return _notice(replace(case, step="asked_beside"))
    other = failure.asked in (_STORE, "flighting", "offline")
    if not other and situation.host:
        other = failure.asked in (_WSUS, "microsoft") and failure.asked != situation.required_class
    return _only(other, _notice(replace(case, step="other_class")))


def is_ours(name: str) -> bool:
    """Whether updates or the clock need the service."""
    return name.lower() in {known.lower() for known in (*SERVICES, _TIME_SERVICE)}


# --- the words: each gives the answer, or None where it declines ---


def _only(holds: bool, routed: Routed | None) -> Routed | None:
    if holds:
        return routed
    return None


def _reset(case: _Case) -> Routed | None:
    failure, situation = case.failure, case.situation
    if failure.layer not in _CACHE_LAYERS or failure.subject.startswith(("servicing:", "feature:")) or failure.source == "dism":
        # What the stack alone tells, of no update that the agent brought, is none of the agent's cache; DISM is given its packages.
        return None
    if failure.source == "configmgr" and failure.layer == "download":
        # ConfigMgr gives the agent files that a distribution point gave it.
        return _owner("management", replace(case, step="site_files"))
    if situation.service_broken:
        return _owner("admin", replace(case, step="service_dll"))
    if failure.layer == "install" and situation.store_damaged:
        return _dism(replace(case, step=None))
    if failure.reset_tried:
        return None
    return _repair("reset", case)


def _lists(case: _Case, remedy: str) -> bool:
    """Whether the code's own row of hresults.csv has that remedy."""
    code = case.failure.code
    return code is not None and remedy in hresult.describe(code).remedies


def _listed_reset(case: _Case) -> Routed | None:
    """A reset where the code's own row lists it, and no WSUS answered: what a server says is not cured on its clients."""
    return _only(_lists(case, "reset") and not _asks_wsus(case), _reset(case))


# A component or a package of Vista, Windows 7 or their servers, by its version: `..._6.1.7601.17514_none_...`, `...~amd64~~6.1.1.0`.
_OLD_RELEASE = re.compile(r"_6\.(?:0\.600[0-3]|1\.760[01])\.[0-9]|~6\.[01]\.[0-9]{1,4}\.[0-9]")


def _dism(case: _Case) -> Routed | None:
    """DISM, then SFC. That the store is damaged is said only where its own codes, SFC or the look say so."""
    failure = case.failure
    if failure.source == "checksur" or _OLD_RELEASE.search(failure.name or ""):
        return _owner("admin", replace(case, step="checksur"))
    damaged = failure.code is None or is_damage_code(hresult.nt_to_win32(failure.code)) or case.situation.store_damaged
    step = "dism" if damaged else "dism_check"
    if failure.reset_tried:
        step = "dism_after_reset"
    return _owner("admin", replace(case, step=case.step or step))


def _dism_after_reset(case: _Case) -> Routed | None:
    """DISM where a reset did not cure: that a file is missing (a driver's, say) is by itself no damage of the store."""
    return _only(case.failure.reset_tried, _dism(case))


def _named_repair(case: _Case) -> Routed | None:
    """A repair that only its own row of the table knows: `repair:NAME`."""
    return None if case.step is None else _repair(case.step, replace(case, step=None))


def _timesync(case: _Case) -> Routed | None:
    clock = case.situation.clock
    if clock.state == "right":
        return None
    if clock.state == "off":
        return _repair("timesync", case)
    if clock.silent:
        return _owner("admin", replace(case, step="time_silent"))
    if clock.unfit:
        return _owner("admin", replace(case, step="time_unfit"))
    if not case.situation.host and case.failure.layer != "clock":
        # Logs alone show no offset, and such a code comes of certificates as well.
        return _owner("admin", replace(case, step="clock_first"))
    return _only(clock.state != "suspect", _repair("timesync", case))


def _listed_timesync(case: _Case) -> Routed | None:
    """The clock, where the code's own row lists it: an issuer or a name that does not fit is no matter of time."""
    return _only(_lists(case, "timesync"), _timesync(case))


def _clock(case: _Case) -> Routed | None:
    return _only(case.situation.clock.state == "off", _repair("timesync", case))


def _tls(case: _Case) -> Routed | None:
    return _only(case.situation.tls12_off, _owner("admin", replace(case, step="tls")))


def _signature(case: _Case) -> Routed | None:
    """A file's signature is the clock's matter only where that is known to be wrong, or where a search failed by it."""
    if not is_signature_code(case.failure.code):
        return None
    by_clock = _timesync(case) if case.failure.layer == "scan" else _clock(case)
    return by_clock or _reset(case) or _source(replace(case, step="signature"))


def _services(case: _Case) -> Routed | None:
    failure, situation = case.failure, case.situation
    if situation.service_broken:
        return _owner("admin", replace(case, step="service_dll"))
    repairable = repairable_services(situation)
    if repairable is None and failure.layer == "service" and SERVICES.get(failure.name or "", {"repair": ""})["repair"] is None:
        known = replace(situation, disabled=(str(failure.name),))
        return _only(failure.code == _DISABLED_SERVICE, _owner("admin", replace(case, step="start_type", situation=known)))
    if repairable is None:
        # Of all codes only this one says that a start type is the cause. The servicing stack, which runs without the services that a
        # reset starts, means one that a component needs.
        is_ours = failure.code == _DISABLED_SERVICE and failure.source != "cbs"
        return _only(is_ours and not failure.reset_tried, _repair("reset", replace(case, step="services")))
    if failure.layer == "service" and failure.name:
        repairable = tuple(name for name in repairable if name.lower() == str(failure.name).lower())
    if repairable:
        return _repair("reset", replace(case, step="services"))
    if _owned_start_types(situation) and is_service_code(failure.code):
        return _owner("admin", replace(case, step="start_type"))
    return None


def _service_dll(case: _Case) -> Routed | None:
    return _only(bool(case.situation.service_broken), _owner("admin", replace(case, step="service_dll")))


def _installer_service(case: _Case) -> Routed:
    """Windows Installer: its start type is refused to administrators, so no reset mends it."""
    disabled = "msiserver" in (case.situation.disabled or ())
    return _owner("admin", replace(case, step="installer_service" if disabled else "service"))


def _restart(case: _Case) -> Routed | None:
    """It may help, once. It cures no installation."""
    if case.failure.layer == "install":
        return None
    return _restart_once(case)


def _listed_restart(case: _Case) -> Routed | None:
    """A restart where the code's own row lists it: none gives a service its account or its registration back."""
    return _only(_lists(case, "reboot"), _restart(case))


def _restart_once(case: _Case) -> Routed | None:
    if case.failure.restarted_since:
        return None
    return _wait("restart", case)


def _retry(case: _Case) -> Routed | None:
    if case.failure.lasting:
        return None
    return _wait("retry", case)


def _wsus(case: _Case) -> Routed | None:
    return _only(_asks_wsus(case), _server(case))


def _server(case: _Case) -> Routed:
    """The owner of the WSUS; of the policy where that names nobody's server."""
    if case.situation.client is not False and is_nobodys(case.situation.wsus_server):
        return _owner("policy", replace(case, step="fake"))
    return _owner("wsus", case)


def _source(case: _Case) -> Routed:
    """Whoever serves the updates that were asked for."""
    if _asks_wsus(case):
        return _server(case)
    return _owner("proxy" if case.situation.proxy else "admin", case)


def _proxy(case: _Case) -> Routed:
    # HTTP 407 comes from a proxy, whether the host's settings name one or not.
    if case.step != "login" and _asks_wsus(case) and not case.situation.proxy:
        return _server(case)
    return _owner("proxy", case)


def _proxy_if_any(case: _Case) -> Routed | None:
    return _only(case.situation.proxy, _owner("proxy", case))


def _policy(case: _Case) -> Routed:
    return _owner("management" if case.situation.managed else "policy", case)


def _management(case: _Case) -> Routed:
    return _owner("management", case)


def _policy_if_wsus(case: _Case) -> Routed | None:
    return _only(_asks_wsus(case), _policy(case))


def _feature(case: _Case) -> Routed | None:
    """Files of a feature that was switched off: they come from a source or, by policy, from Microsoft; the store is sound."""
    subject, name = case.failure.subject, case.failure.name or ""
    on_demand = subject.startswith("servicing:") and _ON_DEMAND.search(name) is not None
    if not (on_demand or subject.startswith("feature:") or name.lower().startswith("netfx")):
        return None
    features = replace(case, step="features")
    return _policy_if_wsus(features) or _owner("admin", features)


def _of_feature(case: _Case) -> Routed | None:
    """A feature, which neither has the parts of an update nor those of a driver."""
    if "~" in (case.failure.name or ""):
        # A capability is no part of another one.
        case = replace(case, step=None)
    return _only(case.failure.subject.startswith("feature:"), _owner("admin", case))


def _title(case: _Case) -> Routed | None:
    """What an installer's mere failure means by the update that it came with."""
    failure = case.failure
    if updates.is_false_failure(failure.kb, failure.code):
        return _notice(replace(case, step="false_failure"))
    if updates.is_winre(failure.kb, failure.title):
        return _owner("admin", replace(case, step="recovery_partition"))
    rolling = _rolling(failure)
    if rolling is None:
        perhaps = failure.code == _INSTALL_FAILURE and updates.names_no_product(failure.title)
        return _only(perhaps, _owner("admin", replace(case, step="perhaps_recovery")))
    if not failure.lasting:
        return _notice(replace(case, step="rolling"))
    return _owner("admin", replace(case, step="defender" if updates.updates_itself(rolling) else "rolling"))


def _of_windows(case: _Case) -> Routed | None:
    """An update that the servicing stack installs: unlike .NET, Office and drivers it has no installer of its own."""
    failure = case.failure
    return _only(failure.subject in ("update:os", "update:ssu") or updates.is_for_windows(failure.title), _owner("admin", case))


def _rolling(failure: Failure) -> str | None:
    """The KB under which new versions of the update come all the time, None for any other update."""
    if updates.rolling_kb(failure.kb):
        return failure.kb
    return updates.rolling_of(failure.title)


def _upgrade(case: _Case) -> Routed:
    """The inner reason decides. `AllowOSUpgrade` may be tried once on a client; nothing shows that Windows 10 or 11 reads it."""
    step = case.step or "setup"
    file = _phase_and_file(case.failure.name)[1].lower()
    if step == "setup_driver" and file.endswith((".sys", ".inf")):
        step = "setup_named_driver"
    elif step == "setup_driver" and file.startswith("package "):
        # SetupDiag names a package that would not open: it was no driver.
        step = "setup"
    routed = _owner("admin", replace(case, step=step))
    situation = case.situation
    if step == "setup_named_driver":
        return routed
    if situation.host and situation.client is True and not situation.upgrade_allowed:
        return replace(routed, attempt="osupgrade")
    return routed


def _disk(case: _Case) -> Routed:
    if case.failure.code in _SPACE_CODES:
        return _space(case)
    return _owner("admin", replace(case, step="disk"))


def _space(case: _Case) -> Routed:
    """Where space is there by now, nobody frees any: the update was not tried since, or another drive is full."""
    free = case.situation.free_bytes
    if free is None or free < _needed_gib(case.failure) * _GIB:
        return _owner("admin", replace(case, step="space"))
    return _owner("admin", replace(case, step="disk" if case.failure.code in _NOT_ONLY_SPACE else "space_there"))


def _needed_gib(failure: Failure) -> int:
    return _UPGRADE_GIB if _layer(failure) == "upgrade" else _UPDATE_GIB


def _hardware(case: _Case) -> Routed:
    return _owner("hardware", case)


def _admin(case: _Case) -> Routed:
    if case.failure.reset_tried and case.step is None:
        return _owner("admin", replace(case, step="reset_tried"))
    return _owner("admin", case)


def _called(case: _Case) -> Routed | None:
    """Who called the agent was refused, if it is a program that says so: the agent serves no remote session."""
    return _only(case.failure.source in ("tool", "powershell"), _owner("admin", replace(case, step="rights_called")))


def _notice(case: _Case) -> Routed:
    name, sentence = _sentence("notice", case)
    return Routed({"owner": "admin"}, sentence, name, notice=True)


_WORDS: dict[str, _Word] = {
    "reset": _reset,
    "listed_reset": _listed_reset,
    "repair": _named_repair,
    "dism": _dism,
    "dism_after_reset": _dism_after_reset,
    "timesync": _timesync,
    "listed_timesync": _listed_timesync,
    "clock": _clock,
    "tls": _tls,
    "signature": _signature,
    "services": _services,
    "installer_service": _installer_service,
    "service_dll": _service_dll,
    "restart": _restart,
    "listed_restart": _listed_restart,
    "restart_once": _restart_once,
    "retry": _retry,
    "wsus": _wsus,
    "server": _server,
    "source": _source,
    "proxy": _proxy,
    "proxy_if_any": _proxy_if_any,
    "policy": _policy,
    "management": _management,
    "policy_if_wsus": _policy_if_wsus,
    "feature": _feature,
    "of_feature": _of_feature,
    "title": _title,
    "of_windows": _of_windows,
    "upgrade": _upgrade,
    "disk": _disk,
    "space": _space,
    "hardware": _hardware,
    "called": _called,
    "admin": _admin,
    "notice": _notice,
}


def _asks_wsus(case: _Case) -> bool:
    """Whether it was a WSUS that was asked: what the failure itself says outranks what the policy wants."""
    if case.failure.asked in (None, "unknown"):
        return case.situation.wsus
    return case.failure.asked == _WSUS


def is_nobodys(address: str | None) -> bool:
    """Whether a WSUS address is the client itself or a name that cannot exist: privacy tools write such ones."""
    host = _host_of(address or "")
    return host in ("localhost", "localhost.localdomain", "0.0.0.0", "::", "::1") or host.startswith("127.") or host.endswith(_NOWHERE)


_NOWHERE = (".invalid", ".localhost")


def _host_of(address: str) -> str:
    text = address.rpartition("//")[2].partition("/")[0].lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.rpartition(":")[0] or text


def _owned_start_types(situation: Situation) -> tuple[str, ...]:
    """Disabled services whose start type only a person can set."""
    rows = (SERVICES.get(name) for name in situation.disabled or ())
    return tuple(row["owner_step"] for row in rows if row is not None and row["repair"] is None)


# --- answers and sentences ---


def _repair(name: str, case: _Case) -> Routed:
    step, sentence = _sentence(name, case)
    return Routed({"repair": name}, sentence, step)


def _wait(name: str, case: _Case) -> Routed:
    step, sentence = _sentence(name, case)
    return Routed({"wait": name}, sentence, step)


def _owner(name: str, case: _Case) -> Routed:
    step, sentence = _sentence(name, case)
    return Routed({"owner": name}, sentence, step)


def _sentence(who: str, case: _Case) -> tuple[str, str]:
    """The name of the next step and its sentence, with the things named."""
    brief = "" if case.failure.lasted else f"{who}:{case.step}@brief"
    names = (brief, f"{who}:{case.step}", case.step or "", f"{who}@{_layer(case.failure)}", who)
    step = next(name for name in names if name in _STEPS)
    return step, f"{_STEPS[step].format_map(_names(case))}."


def _instead(case: _Case) -> str:
    """Where something answers that should not: a log may not say which server was asked."""
    if case.situation.host or case.failure.asked not in (None, "unknown"):
        return "instead of Microsoft's update servers on the way of this host"
    return "where this host searches: its WSUS, or something instead of Microsoft's update servers"


def _names(case: _Case) -> dict[str, str]:
    """The things that a sentence can name, each with a word to stand in for it."""
    failure, situation = case.failure, case.situation
    name = called(failure.name or "")[:_MAX_NAME]
    phase, file = _phase_and_file(name)
    service = name or _SERVICES_OF_CODES.get(failure.code or 0, "")
    return {
        "code": _code_words(failure),
        "http": str(_http(failure.code) or "an error"),
        "instead": _instead(case),
        "update": _update(failure),
        "rolling": updates.rolling_name(_rolling(failure)) or "it comes again and again",
        # The phase that an upgrade is called by is no package.
        "named": _worded(": ", file),
        "phase": f"{_worded(', phase ', phase_words(phase))}{_worded(': ', file)}",
        "phase_only": _worded(", phase ", phase_words(phase)),
        "lasted": "has lasted for more than a day" if failure.lasted else "was not followed by a success",
        "file": file,
        "installer": name or "the installer",
        "service": _service_words(failure, service),
        # Of Sysprep only its own program may be known.
        "app": _OF_SYSPREP.sub("", name) or "the app",
        "server": _server_words(case),
        "wsus_only": _worded(_ONLY_WSUS, _server_words(case) if _asks_wsus(case) else ""),
        **_server_names(case),
        "policies": ", ".join(situation.policies) or "HKLM\\SOFTWARE\\Policies\\Microsoft\\Windows\\WindowsUpdate",
        "drive": situation.drive,
        "free": _size(situation.free_bytes),
        "needs": f"{_TAKERS[_layer(failure) == 'upgrade']} needs about {_needed_gib(failure)} GB",
        "time": _time_source(failure, situation),
        "broken": ", ".join(situation.service_broken) or name or "wuauserv",
        "disabled": ", ".join(repairable_services(situation) or ()) or "the disabled services",
        "start_steps": "; ".join(_owned_start_types(situation)),
    }


def _service_words(failure: Failure, name: str) -> str:
    """The service; the servicing stack names an installer or a package, which needs one that only the System log names."""
    if failure.source in ("cbs", "dism") and failure.layer != "service" and name:
        return f"the service that {name} needs"
    return _worded("the service ", name, "the service")


def _time_source(failure: Failure, situation: Situation) -> str:
    """The source that does not answer, else the host's own; in logs alone the one that the failure names."""
    named = failure.name if failure.layer == "clock" and failure.name != _TIME_SERVICE else None
    clock = situation.clock
    return ", ".join(clock.silent) or ", ".join(clock.unfit) or situation.clock.own_server or named or "its time source"


_OF_SYSPREP = re.compile(r"^[\w.-]{1,60}\.dll$", re.I)
_ONLY_WSUS = ", or by policy (DoNotConnectToWindowsUpdateInternetLocations = 1) keep it to "
_TAKERS = {False: "an update", True: "an upgrade"}
# A set-up gives the phase and operation in which it ended by five digits.
_PHASE = re.compile(r"\b0x[0-9A-Fa-f]{5}\b")


def _phase_and_file(name: str | None) -> tuple[str, str]:
    """The parts of an upgrade's name: the phase, and the driver or file."""
    found = _PHASE.search(name or "")
    if found is None:
        return "", name or ""
    rest = f"{found.string[: found.start()]} {found.string[found.end() :]}"
    return found.group(0), rest.strip(" ,;:-")


def phase_words(phase: str) -> str:
    """The phase as `0x30018 = first boot, Sysprep`, as far as Microsoft names its parts."""
    if not phase:
        return ""
    names = _TABLE["setup_phases"].get(phase[2:3], ""), _TABLE["setup_operations"].get(phase[3:].lstrip("0").upper(), "")
    return f"{phase}{_worded(' = ', ', '.join(word for word in names if word))}"


def phase_and_culprit(names: Iterable[str | None]) -> str | None:
    """One name of what several results of one upgrade name: the first phase, and the first driver, program or file."""
    parts = [_phase_and_file(name) for name in names if name]
    phase = next((phase for phase, _file in parts if phase), "")
    files = [file for _phase, file in parts if file]
    file = next((file for file in files if not file.startswith("phase ")), files[0] if files and not phase else "")
    return f"{phase} {file}".strip() or None


def _wsus_address(case: _Case) -> str | None:
    """The WSUS of the policy; where logs alone are known the one that the search names."""
    failure, situation = case.failure, case.situation
    if situation.wsus_server or situation.host or failure.layer != "scan" or failure.asked != _WSUS:
        return situation.wsus_server
    return (failure.name or "")[:_MAX_NAME] or None


def _server_names(case: _Case) -> dict[str, str]:
    address, proxy = _wsus_address(case), case.situation.proxy_server
    port = (address or "").rpartition(":")[2]
    return {
        "wsus": _worded("WSUS ", address, "the WSUS"),
        "wsus_address": address or "the address",
        "port": f"TCP {port}" if port.isdigit() else "its port",
        "proxy": _worded("the proxy ", proxy, "the proxy"),
    }


def _worded(before: str, name: str | None, otherwise: str = "") -> str:
    """A name with a word before it, or what stands in where there is none."""
    if name:
        return f"{before}{name}"
    return otherwise


def _server_words(case: _Case) -> str:
    if _asks_wsus(case):
        return _server_names(case)["wsus"]
    return "Microsoft's update servers"


def _code_words(failure: Failure) -> str:
    if failure.code is None:
        return (failure.marker or "no code").replace("_", " ")
    return f"{hresult.hex_of(failure.code)}{_worded(' = HTTP ', str(_http(failure.code) or ''))}"


def _update(failure: Failure) -> str:
    kb = failure.kb or _rolling(failure)
    if kb:
        return kb
    return f'"{failure.title[:_MAX_NAME]}"' if failure.title else "the update"


def _http(code: int | None) -> int | None:
    if code is not None and code >> 16 == _HTTP_FACILITY:
        return code & 0xFFFF
    return _HTTP.get(code or 0)


def _size(free: int | None) -> str:
    return "too few bytes" if free is None else size(free)


# --- one code by itself ---

_PLACES = (
    ("a search", "scan"),
    ("a download", "download"),
    ("an installation", "install"),
    ("CBS.log", "store"),
    ("set-up", "upgrade"),
    ("Sysprep", "sysprep"),
    ("a service's start", "service"),
    ("the time service", "clock"),
)
_FILE_AREAS = ("store", "servicing_cbs", "other", "disk", "permission", "reboot", "driver")
_UPDATES = ("scan", "download", "install")
# Where a code of one part of Windows can be seen at all, by its first digits: the update agent writes no
# CBS.log, the servicing stack searches for nothing, and no server answers in an installation.
_SEEN_IN = {
    "0x80242": ("install",), "0x80244": ("scan", "download"), "0x80245": ("scan",), "0x80246": ("download", "install"),
    "0x8024D": ("scan",), "0x8024E": ("scan",), "0x8024F": ("scan",), "0x80247": ("scan",),
    "0x8024": _UPDATES, "0x800F": ("install", "store", "upgrade"), "0x8019": ("scan", "download"), "0x80D0": ("download",),
    "0x8020": ("download",), "0x803D": ("scan",), "0xC800": _UPDATES, "0x8050": ("install",), "0x87D0": _UPDATES,
    "0x8007064": ("install",), "0x8007065": ("install",), "0x8007066": ("install",), "0x8007067": ("install",),
}  # fmt: skip
_NETWORK_AREAS = ("network", "proxy", "protocol")
_APPS = range(0x80073CF0, 0x80073E00)
_ANSWER_WORDS = {
    "reset": "a reset of the update cache",
    "timesync": "setting the clock",
    "restart": "a restart, once",
    "retry": "a retry for a day",
    "wsus": "the owner of the WSUS",
    "proxy": "the owner of the proxy",
    "policy": "the owner of the policy",
    "management": "the device management",
    "hardware": "the hardware",
    "admin": "work by hand",
}


def agents_code(code: int) -> int:
    """The update agent's own code for an HTTP status of BITS or WinHTTP (0x80190194 is 404, and so is 0x80244019); any other as it is."""
    return _OF_HTTP.get(code & 0xFFFF, code) if code >> 16 == _HTTP_FACILITY else code


def is_app_code(code: int) -> bool:
    """Whether the deployment of an app package ended with a code: Appx's own errors, 0x80073CF0 on."""
    return code in _APPS


def by_place(code: int, unknown: Situation, phase: str = "") -> list[tuple[str, str, str]]:
    """What a code asks for, by where it is seen: the place, who or what helps, and the next step, in words.

    Args:
        unknown: a situation of which nothing is known.
        phase: the five digits with which a set-up says where it ended (`0x30018`), else empty.
    """
    info = hresult.describe(code)
    if not info.remedies and (not code & 0x80000000 or not hresult.is_known(code)):
        return []
    rows: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for asked in ("microsoft", _WSUS):
        for place, layer in _places(code, phase):
            words, step = _in_words(Failure(layer, code, asked=asked, name=phase or None), unknown)
            rows.setdefault((words, step), []).append((place, asked))
    return [(_place_words(places), words, step) for (words, step), places in rows.items()]


def _places(code: int, phase: str) -> Iterator[tuple[str, str]]:
    known = hresult.nt_to_win32(code)
    if is_upgrade_code(code) or phase:
        layers: tuple[str, ...] = ("upgrade",)
    elif is_app_code(known):
        layers = ("install", "sysprep")
    else:
        layers = _seen_in(known) or _seen_by_area(known)
    yield from ((place, layer) for place, layer in _PLACES if layer in layers)


def _seen_in(code: int) -> tuple[str, ...] | None:
    digits = hresult.hex_of(code)
    layers = next((_SEEN_IN[digits[:length]] for length in (9, 7, 6) if digits[:length] in _SEEN_IN), None)
    if layers == _UPDATES and hresult.describe(code).area in _NETWORK_AREAS:
        return _UPDATES[:2]
    return layers


def _seen_by_area(code: int) -> tuple[str, ...]:
    """Where a code of Windows itself can be seen: what it is about, and where the table has an answer of its own for it."""
    area, layers = hresult.describe(code).area, set(_UPDATES)
    if area in _NETWORK_AREAS or (area == "time_tls" and not is_signature_code(code)):
        layers.remove("install")
    if area == "servicing_cbs":
        layers = {"install"}
    if area in _FILE_AREAS:
        layers |= {"store", "upgrade"}
    own = set(_CODES.get(code, {})) & {"store", "upgrade", "service", "clock"}
    return tuple(layers | own | ({area} & {"service", "clock"}))


def _in_words(failure: Failure, unknown: Situation) -> tuple[str, str]:
    """What helps at first and, where that is a mere wait, what helps when it stays."""
    first = answer_for(replace(failure, lasting=False), unknown)
    later = answer_for(replace(failure, restarted_since=True), unknown)
    words = _answer_words(first)
    if "wait" in first.answer and later.answer != first.answer:
        return f"{words}, then {_answer_words(later)}", f"{first.next_step} Where it stays: {later.next_step}"
    if first.answer == {"repair": "timesync"} or first.step == "admin:clock_first":
        words = _ANSWER_WORDS["timesync"]
        right = answer_for(failure, replace(unknown, clock=replace(unknown.clock, state="right")))
        return f"{words} where it is wrong, else {_answer_words(right)}", right.next_step
    return words, first.next_step


def _answer_words(routed: Routed) -> str:
    if routed.notice:
        return "nothing"
    short: str | None = _TABLE["short"].get(routed.step)
    return short or _ANSWER_WORDS[next(iter(routed.answer.values()))]


def _place_words(places: list[tuple[str, str]]) -> str:
    names = list(dict.fromkeys(place for place, _asked in places))
    joined = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
    asked = {server for _place, server in places}
    if len(asked) == 2:
        return f"in {joined}"
    return f"in {joined}, {'with' if _WSUS in asked else 'without'} a WSUS"
