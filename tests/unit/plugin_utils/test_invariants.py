# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What holds for every host, over generated looks and logs. WU_EXAMPLES raises the number of examples (300)."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import (
    conditions,
    coverage,
    plan,
    repairs,
    routing,
    seen,
    subjects,
    verdict,
)
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import situation as situations
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.evidence import Evidence, Section, parse
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.finding import FAILING, UNTESTED, Finding
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.observation import CANCELLED, FAILED, OK, STARTED, Observation
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.repairs import PROVED, REFUTED, UNPROVEN, Proof
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from unit.plugin_utils.documents import (
    BY_WSUS,
    DAY,
    FLIGHTING,
    HOUR,
    MICROSOFT,
    NOW,
    RUN,
    SETTINGS,
    STORE,
    WSUS,
    carried_out,
    folder,
    healthy,
    installed,
    look,
    scan_section,
    searched,
    service,
    source,
)
from unit.plugin_utils.judging import judged_by

EXAMPLES = int(os.environ.get("WU_EXAMPLES", "300"))
many = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)

OFFLINE = "0d95de3c-0000-4000-8000-000000000001"
CALLERS = ["UpdateOrchestrator", "MoUpdateOrchestrator", "CcmExec", "CompatTelRunner", "Windows Defender", None]
CODES = [
    0x80070002, 0x80070003, 0x80070005, 0x80070020, 0x80070070, 0x80070422, 0x80070424, 0x80070643, 0x80070BC9, 0x8007007E, 0x8001011F,
    0x80072EE2, 0x80072EFD, 0x80072F8F, 0x80073712, 0x80073D02, 0x80080005, 0x80096004, 0x800B0101, 0x800F0823, 0x800F081F, 0x800F0922,
    0x8024000B, 0x8024001E, 0x80240022, 0x80240024, 0x8024002E, 0x8024200B, 0x80242014, 0x80244007, 0x80244010, 0x80244022, 0x8024401B,
    0x80244019, 0x8024402C, 0x80246010, 0x80246008, 0x80248007, 0x8024A000, 0x80D02002, 0xC1900101, 0xC1900208, 0xC80003FA,
]  # fmt: skip
HOURS = [-48.0, -2.0, 0.1, 0.5, 1.0, 2.0, 5.0, 11.0, 20.5, 23.0, 26.0, 50.0, 80.0, 9 * 24.0, 13 * 24.0, 16 * 24.0, 25 * 24.0, 50 * 24.0]
BACKUP = "SoftwareDistribution.wu_repair-20251123T160000Z-1a2b3c"
RESET_AT = 1_763_913_600

# What a reset or a restart answers is few of many, and most of what can go wrong goes wrong there.
REPAIRED = [0x80070002, 0x80246010, 0x80248007, 0x8024A000, 0x80070BC9, 0x8001011F]
codes = st.one_of(st.sampled_from(CODES), st.sampled_from(CODES), st.sampled_from(REPAIRED), st.integers(0x80000000, 0xFFFFFFFF))
hours = st.sampled_from(HOURS)
times = hours.map(lambda hour: NOW - int(hour * HOUR))


# --- observations ---

_UPDATES: list[dict[str, Any]] = [
    {"kb": "KB5099002", "title": "2025-11 Cumulative Update for Windows 10 Version 22H2 for x64-based Systems (KB5099002)", "update": "a1"},
    {"kb": "KB5098001", "title": "2025-10 Cumulative Update for Windows 10 Version 22H2 for x64-based Systems (KB5098001)"},
    {"kb": "KB5070773", "title": "2025-10 Security Update (KB5070773) (19045.5100)"},
    {"kb": "KB5034441", "title": "2024-01 Security Update for Windows 10 Version 22H2 (KB5034441)"},
    {"kb": "KB5034441", "update": "a4"},
    {"kb": "KB2267602", "title": "Security Intelligence Update - KB2267602 (Version 1.2)"},
    {"kb": "KB5066747", "title": "2025-10 Cumulative Update for .NET Framework 3.5 and 4.8 for Windows 10 (KB5066747)"},
    {"title": "Intel - System - 10.1.1.42", "update": "a2"},
    {"title": "9NBLGGH4NNS1-Microsoft.DesktopAppInstaller"},
    {"title": "Windows 11, version 24H2", "update": "a3"},
    {"title": "Servicing Stack Update (KB5054006)", "kb": "KB5054006"},
    {"title": "odd} %s \u00e4\u4e16 " + "x" * 190, "update": "a5"},
    {},
]


def observations(outcomes: tuple[str, ...] = (OK, FAILED, FAILED, CANCELLED, STARTED)) -> st.SearchStrategy[Observation]:
    """One thing that was seen, anywhere."""
    good = [_of_layer(layer, good=True) for layer in _LAYERS]
    bad = [_of_layer(layer, good=False) for layer in _LAYERS]
    strategies = [one for outcome in outcomes for one in (good if outcome == OK else [_with_outcome(layer, outcome) for layer in bad])]
    return st.one_of(strategies)


def _with_outcome(layer: st.SearchStrategy[Observation], outcome: str) -> st.SearchStrategy[Observation]:
    return layer if outcome == FAILED else layer.map(lambda one: replace(one, outcome=outcome))


_LAYERS = ("scan", "scan", "install", "install", "download", "store", "service", "upgrade", "clock", "cbs")
_MARKERS = ("scan_failed", "install_failed", "download_failed", "cannot_connect", "rolled_back")
_BAD = st.one_of(
    codes.map(lambda code: (code, None)), codes.map(lambda code: (code, None)), st.sampled_from(_MARKERS).map(lambda name: (None, name))
)
_PLACES = st.one_of(st.none(), st.integers(0, 9))
_WHEN = st.tuples(
    st.one_of(times, times, times, st.none()), st.sampled_from([0, 0, 0, HOUR, 14 * HOUR]), st.sampled_from([0, 0, HOUR, 3 * DAY])
)
_PACKAGES = (None, "Package_for_RollupFix~31bf~amd64~~19041.5247.1.5", "Package_for_KB5034441~31bf~amd64~~1.1", "lab-component")


def _of_layer(layer: str, *, good: bool) -> st.SearchStrategy[Observation]:
    fault = st.just((None, None)) if good else _BAD
    return st.builds(_observation, st.just(layer), st.just(good), _WHEN, fault, _fields(layer, good=good), _PLACES)


def _observation(  # noqa: PLR0917 - as the strategy draws them
    layer: str,
    good: bool,
    when: tuple[int | None, int, int],
    fault: tuple[int | None, str | None],
    fields: dict[str, Any],
    place: int | None,
) -> Observation:
    time, bound, before = when
    own: dict[str, Any] = {"layer": layer, "code": fault[0], "marker": fault[1], "source": f"event:x/{layer}", **fields}
    first = None if time is None else time - before
    return Observation(outcome=OK if good else FAILED, time=time, bound_s=bound, first=first, count=1 + (before > 0), place=place, **own)


def _fields(layer: str, *, good: bool) -> st.SearchStrategy[dict[str, Any]]:
    """What an observation of a layer is about."""
    if layer == "scan":
        found = st.sampled_from([0, 1, 5]) if good else st.none()
        services_ = st.sampled_from([MICROSOFT, MICROSOFT, WSUS, STORE, FLIGHTING, OFFLINE, None])
        return st.builds(
            lambda asked, caller, number: {"service": asked, "caller": caller, "found": number, "channel": "Operational"},
            services_,
            st.sampled_from(CALLERS),
            found,
        )
    kinds: dict[str, list[dict[str, Any]]] = {
        "install": [{"channel": "System", **update} for update in _UPDATES],
        "download": [{"channel": "System", **update} for update in _UPDATES],
        "cbs": [{"layer": "install", "source": "cbs", "channel": "cbs", "name": name} for name in _PACKAGES],
        "store": [{"source": "cbs", "channel": "cbs", "marker": name} for name in _STORE_MARKERS[good]],
        "service": [{"name": name} for name in ("wuauserv", "BITS", "UsoSvc", "msiserver", "W32Time", "Steam")],
        "upgrade": [
            {"source": kind, "title": title, "marker": marker}
            for kind in ("setup", "registry")
            for title in _UPGRADES
            for marker in ("final", "on_the_way")
        ],
        "clock": [{}],
    }
    return st.sampled_from(kinds[layer])


_STORE_MARKERS = {True: ("store_repaired", "store_clean", "sr_repaired"), False: ("payload_corrupt", "sr_cannot_repair", None)}
_UPGRADES = ("Windows 11, version 24H2", "Windows 10, version 22H2", None)


def _lost(layer: str, code: int, time: int) -> Observation:
    return Observation(f"event:x/{layer}", layer, FAILED, time, code=code, first=time, service=MICROSOFT if layer == "scan" else None)


lost = st.builds(_lost, st.sampled_from(["scan", "download"]), st.sampled_from(REPAIRED), times)
logs: st.SearchStrategy[list[Observation]] = st.one_of(
    st.just([]), st.lists(lost, min_size=1, max_size=2), st.lists(observations(), max_size=2), st.lists(observations(), max_size=8)
)
failures = observations(outcomes=(FAILED,))


# --- looks ---

_SECTIONS = sorted(set(healthy()) - {"host"})
_POLICIES: list[dict[str, Any]] = [
    {},
    {},
    {},
    {},
    BY_WSUS,
    BY_WSUS,
    {"policy.au": {"NoAutoUpdate": 1}},
    {"policy.wu": {"DisableWindowsUpdateAccess": 1}},
    {"policy.configmgr": True},
]
_OFFSETS = [
    (0, 0),
    (0, 0),
    (0, 0),
    (7_200_000, 7_200_000),
    (7_200_000, 0),
    (None, 7_200_000),
    (None, 0),
    (12, 7_200_000),
    (7_200_000, 3_600_000),
]
_SCANS: list[dict[str, Any]] = [
    {}, {}, {}, {}, scan_section(count=0), scan_section(count=2), scan_section(0x80070002), scan_section(0x80072EE2),
    {"scan": {"result": 3, "hresult": 0, "count": 1, "warnings": [0x80070002]}},
    {"scan": {"result": None, "hresult": -2147024891, "count": None, "warnings": []}},
]  # fmt: skip


_SERVICES = ("wuauserv", "BITS", "CryptSvc", "UsoSvc", "DoSvc", "msiserver", "wlidsvc", "TrustedInstaller", "W32Time")
_DISABLED = [
    (),
    (),
    (),
    ("wuauserv",),
    ("BITS", "DoSvc"),
    ("UsoSvc",),
    ("msiserver",),
    ("wlidsvc",),
    ("TrustedInstaller",),
    ("W32Time",),
    ("BITS", "W32Time"),
]
_SILENT_WSUS = {"role": "wsus", "host": "wsus.corp.example", "port": 8530, "ok": False, "error": "timed out"}
_CACHES = [
    [folder("SoftwareDistribution", backups=backups, data_store_created=stored), folder("catroot2")]
    for backups in ([], [BACKUP])
    for stored in (NOW - 400 * DAY, NOW - 400 * DAY, RESET_AT + 60, NOW - HOUR, NOW + 30 * DAY)
]


def changes() -> st.SearchStrategy[dict[str, Any]]:
    """What is otherwise than on the healthy host."""
    single: dict[str, st.SearchStrategy[Any]] = {
        "services.services": st.sampled_from([[service(name, 4 if name in off else None) for name in _SERVICES] for off in _DISABLED]),
        "reboot.markers": st.sampled_from([[]] * 8 + [["file_renames"], ["wu_reboot_required"], ["computer_rename"]]),
        "servicing.processes": st.sampled_from([[]] * 12 + [[{"name": "TiWorker", "busy_ms": 900}], ["TiWorker"], ["msiexec"]]),
        "host.boot_time": st.sampled_from([NOW - 300, NOW - HOUR, NOW - 3 * HOUR, NOW - 9 * DAY, NOW - 40 * DAY, None]),
        "host.product_type": st.sampled_from(["client", "client", "server"]),
        "disk.free": st.sampled_from([50 * 1024**3] * 6 + [1024**3]),
        "sources.last_search": st.sampled_from(
            [NOW - 5 * HOUR, NOW - 5 * HOUR, NOW - 13 * DAY, NOW - 16 * DAY, NOW - 50 * DAY, NOW + 2 * DAY, None]
        ),
        "events.records": st.lists(
            st.builds(searched, hours, st.sampled_from([0, 2]), st.sampled_from([MICROSOFT, MICROSOFT, WSUS, STORE])), max_size=2
        ),
        "history.entries": st.sampled_from([[installed()], [installed()], [installed(60 * 24)], []]),
        "sources.endpoints": st.sampled_from([[]] * 6 + [[_SILENT_WSUS]]),
        "cache.folders": st.sampled_from(_CACHES),
    }
    return st.builds(
        lambda base, policy, scan: {**base, **policy, **scan},
        st.fixed_dictionaries(single),
        st.sampled_from(_POLICIES),
        st.sampled_from(_SCANS),
    )


@dataclass(frozen=True)
class Host:
    """A generated host, of which a test may change a part."""

    changes: Mapping[str, Any]
    offset: tuple[int | None, int]
    status: Mapping[str, str]

    def look(self, **more: Any) -> Evidence:
        own, controller = self.offset
        data = healthy()
        for path, value in {**self.changes, "clock.sources": [source(offset_ms=own)], **more}.items():
            name, _dot, key = path.partition(".")
            data[name] = {**data[name], key: value} if key else value
        sections = {name: _section(name, json.dumps(content)) for name, content in data.items()}
        sections |= {name: Section(why, 1, why) for name, why in self.status.items()}
        return Evidence(NOW * 1000 - 600 + controller, NOW * 1000 + 100 + controller, sections)


@cache
def _section(name: str, data: str) -> Section:
    """A section as it is checked; most hosts share most of theirs, and checking takes longer than judging."""
    row = {"status": "ok", "ms": 1, "why": None, "data": json.loads(data)}
    return parse({"schema": 1, "sections": {name: row}}).sections[name]


statuses: st.SearchStrategy[dict[str, str]] = st.one_of(
    st.just({}),
    st.just({}),
    st.dictionaries(st.sampled_from([*_SECTIONS, "scan"]), st.sampled_from(["timeout", "denied", "failed", "absent"]), max_size=4),
)
hosts = st.builds(Host, changes(), st.sampled_from(_OFFSETS), statuses)


def judge(host: Evidence, observed: list[Observation], **more: Any) -> verdict.Judged:
    return judged_by(host, observed, replace(SETTINGS, **more))


# --- every look ---


@many
@given(hosts, logs)
def test_every_look(host: Host, observed: list[Observation]) -> None:
    evidence = host.look()
    judged = judge(evidence, observed)
    _verdict_can_be_told(judged)
    _findings_are_complete(judged)
    _is_the_first_row_that_holds(judged, evidence)
    _no_restart_is_asked_for_twice(judged, evidence)
    _healthy_implies_that_everything_was_seen(judged, evidence)
    _healthy_implies_a_good_search_of_late(judged, [*seen.observations(evidence), *observed])


def _verdict_can_be_told(judged: verdict.Judged) -> None:
    said = judged.verdict
    assert said.name in verdict.OUTCOME
    assert 0 < len(said.msg) <= 300
    assert said.msg.isprintable()
    assert said.msg == " ".join(said.msg.split())
    assert (said.next_step == "") == (said.name == "healthy")
    assert said.next_step.isprintable()
    assert set(said.findings) <= {item.id for item in judged.findings}
    assert said.name != "sick" or (said.repairs and said.owner is None)
    assert said.name != "needs_action" or said.owner in verdict.OWNERS


def _findings_are_complete(judged: verdict.Judged) -> None:
    for item in judged.findings:
        _is_complete(item)
    assert max(Counter(item.id for item in judged.findings).values(), default=1) == 1


_ANSWERS = {"repair": set(repairs.ORDER), "wait": {"restart", "servicing", "retry", "search"}, "owner": set(verdict.OWNERS)}


def _is_complete(item: Finding) -> None:
    ((kind, value),) = item.answer.items()
    assert value in _ANSWERS[kind], item.id
    assert item.meaning.strip(), item.id
    assert item.active or item.notice or item.superseded_by
    assert not item.active or item.next_step.strip(), item.id
    assert not item.active or item.state in (FAILING, "unknown", UNTESTED)
    assert "None" not in item.next_step.split(), item.next_step
    assert not re.search(r"\{\w*\}", item.next_step), item.next_step


@many
@given(logs, st.one_of(st.none(), st.just(NOW)))
def test_logs_alone_are_told_likewise(observed: list[Observation], now: int | None) -> None:
    judged = verdict.logs(observed, SETTINGS, now)
    assert 0 < len(judged.verdict.msg) <= 300
    assert judged.verdict.msg.isprintable()
    for item in judged.findings:
        _is_complete(item)
    if not any(one.ok for one in observed):
        assert judged.verdict.name != "healthy"


# --- order and duplicates ---


@many
@given(hosts, logs, st.randoms(use_true_random=False))
def test_neither_order_nor_duplicates_change_what_is_said(host: Host, observed: list[Observation], random: Any) -> None:
    evidence = host.look()
    other = [*observed, *observed[:3]]
    random.shuffle(other)
    rows: dict[str, Any] = {
        name: list(host.changes[name]) for name in ("events.records", "cache.folders", "reboot.markers") if name in host.changes
    }
    for values in rows.values():
        random.shuffle(values)
    first, second = judge(evidence, observed), judge(host.look(**rows), other)
    assert first.verdict == second.verdict
    assert {item.id: item for item in first.findings} == {item.id: item for item in second.findings}


# --- healthy ---


def _healthy_implies_that_everything_was_seen(judged: verdict.Judged, evidence: Evidence) -> None:
    if judged.verdict.name != "healthy":
        return
    assert coverage.of(evidence).missing == ()
    for name in ("host", "services", "reboot", "servicing", "policy"):
        assert evidence.has(name)
    assert evidence.has("cbs") or evidence.status("cbs") == "absent"
    assert any(evidence.has(name) and not evidence.cut(name) for name in ("events", "reporting", "history"))
    assert not [item for item in judged.findings if item.active and item.state == FAILING]


def _healthy_implies_a_good_search_of_late(judged: verdict.Judged, observed: list[Observation]) -> None:
    if judged.verdict.name == "healthy":
        good = [one for one in observed if one.ok and one.layer == "scan" and one.time is not None]
        # The look's own search is of now, whatever the host's clock says.
        assert [one for one in good if one.source == "scan" or NOW - 14 * DAY <= (one.time or 0) <= NOW + 300]


@many
@given(hosts, logs, st.sampled_from(["policy", "services", "cbs", "reboot", "servicing"]), st.sampled_from(["timeout", "denied", "failed"]))
def test_less_seen_is_never_healthier(host: Host, observed: list[Observation], section: str, status: str) -> None:
    assert judge(replace(host, status={**host.status, section: status}).look(), observed).verdict.name != "healthy"


# --- searches by class ---


@many
@given(hosts, logs, st.sampled_from([STORE, FLIGHTING, OFFLINE]), times, st.sampled_from(CALLERS))
def test_a_success_of_another_class_changes_nothing(
    host: Host, observed: list[Observation], service_: str, time: int, caller: str | None
) -> None:
    evidence = host.look()
    other = Observation("event:x/26", "scan", OK, time, service=service_, caller=caller, found=0, first=time)
    before, after = judge(evidence, observed), judge(evidence, [*observed, other])
    # Any server that was reached by TLS proves the clock, which is all that it may change: a signature that failed is then the file's.
    by_clock = {item.id for item in before.findings if item.code and routing.is_clock_code(int(item.code, 16))}
    kept = {
        item.id: (item.state, item.active, item.id not in by_clock and item.answer)
        for item in before.findings
        if item.subject.split(":")[0] != "service" and _counts(item)
    }
    now = {item.id: (item.state, item.active, item.id not in by_clock and item.answer) for item in after.findings}
    assert {name: now.get(name) for name in kept} == kept
    assert after.verdict.name == before.verdict.name or by_clock & set(kept)


def _counts(item: Finding) -> bool:
    return item.active and item.state == FAILING


@many
@given(hosts, logs, times)
def test_a_search_at_microsoft_does_not_cure_the_wsus(host: Host, observed: list[Observation], time: int) -> None:
    by_wsus = replace(
        host, changes={**host.changes, **BY_WSUS}, status={name: why for name, why in host.status.items() if name != "policy"}
    )
    failure = Observation("event:x/25", "scan", FAILED, NOW - HOUR, code=0x80244022, service=WSUS, first=NOW - HOUR)
    success = Observation("event:x/26", "scan", OK, time, service=MICROSOFT, found=0, first=time)
    others = [one for one in observed if not (one.layer == "scan" and one.service == WSUS)]
    evidence = by_wsus.look(**{"events.records": [], "sources.last_search": None, "scan": {"result": None}})
    judged = judge(evidence, [*others, failure, success])
    assert [item.subject for item in judged.findings if item.subject == "search:wsus" and item.active]
    assert judged.verdict.name not in ("healthy", "behind", "stale")


# --- restarts ---


def _no_restart_is_asked_for_twice(judged: verdict.Judged, evidence: Evidence) -> None:
    boot = evidence.host.boot_time
    for item in judged.findings:
        if not _counts(item) or item.answer.get("wait") != "restart" or item.pending:
            continue
        assert not item.subject.startswith(("update:", "driver:")) or item.layer == "download" or item.code in _MAY_NEED_A_RESTART, item.id
        assert boot is None or item.first_seen is None or item.first_seen >= boot, item.id


# ERROR_FAIL_NOACTION_REBOOT, a remote procedure call that failed while a package was being installed, and three that say that a service of
# the agent was not reached (tests/data/codes.tsv: services, then a restart once, then a person).
_MAY_NEED_A_RESTART = ("0x80070BC9", "0x800706BE", "0x80246008", "0x8024A000", "0x80D01001")


@many
@given(hosts, codes, st.sampled_from(["scan", "download", "install", "service", "store"]), st.integers(2, 6))
def test_no_code_restarts_a_host_night_after_night(host: Host, code: int, layer: str, nights: int) -> None:
    owns: dict[str, dict[str, Any]] = {"service": {"name": "wuauserv"}, "scan": {"service": MICROSOFT}}
    own = owns.get(layer, {"kb": "KB5099002", "title": "Update (KB5099002)"})
    restarts, boot, observed = 0, NOW - 40 * DAY, []
    quiet = {
        "reboot.markers": [],
        "servicing.processes": [],
        "sources.last_search": NOW - 9 * DAY,
        "events.records": [],
        "scan": {"result": None},
    }
    for night in range(nights, 0, -1):
        time = NOW - night * DAY
        observed.append(Observation("event:x/25", layer, FAILED, time, code=code, first=time, **own))
        shifted = {"clock.end_ms": (time + 60) * 1000, "clock.start_ms": (time + 60) * 1000 - 500, "host.boot_time": boot}
        found = judge(host.look(**quiet, **shifted), observed).findings
        if any(_counts(item) and item.code is not None and item.answer.get("wait") == "restart" for item in found):
            restarts += 1
            boot = time + 120
    assert restarts <= 1


# --- repairs ---


def _reset_host(host: Host) -> Host:
    rows = [
        folder("SoftwareDistribution", backups=[BACKUP], data_store_created=RESET_AT + 60),
        folder("catroot2", backups=[BACKUP.replace("SoftwareDistribution", "catroot2")]),
    ]
    return replace(
        host, changes={**host.changes, "cache.folders": rows}, status={name: why for name, why in host.status.items() if name != "cache"}
    )


@many
@given(
    hosts,
    logs,
    codes,
    st.sampled_from(["scan", "download", "install"]),
    st.sampled_from([1, HOUR, 9 * DAY]),
    st.sampled_from([120, HOUR, 20 * HOUR]),
)
def test_a_repair_that_did_not_cure_is_not_made_again(  # noqa: PLR0917
    host: Host, observed: list[Observation], code: int, layer: str, before: int, after: int
) -> None:
    own: dict[str, Any] = {"service": MICROSOFT} if layer == "scan" else {"kb": "KB5099003", "title": "Update (KB5099003)"}
    tries = [Observation("event:x/25", layer, FAILED, time, code=code, first=time, **own) for time in (RESET_AT - before, RESET_AT + after)]
    subject = "search:microsoft" if layer == "scan" else "update:KB5099003"
    others = [one for one in observed if one.layer not in ("scan",) or not one.ok]
    evidence = _reset_host(host).look(**{"events.records": [], "sources.last_search": None, "scan": {"result": None}})
    asked = [
        item
        for item in judge(evidence, [*others, *tries]).findings
        if item.subject == subject and _counts(item) and item.answer.get("repair") == "reset"
    ]
    services_are_off = any(row.start == 4 for row in evidence.services.services)
    assert not asked or services_are_off


@many
@given(
    hosts, logs, st.lists(observations(), max_size=3), st.sampled_from(repairs.ORDER), st.booleans(), st.sampled_from(_SCANS), st.booleans()
)
def test_repaired_is_never_better_than_the_look_after_it(  # noqa: PLR0917
    host: Host, observed: list[Observation], later: list[Observation], name: str, force: bool, scan: dict[str, Any], waits: bool
) -> None:
    before = replace(host, status={}).look()
    first = judge(before, observed)
    made = plan.build(name, before, first.findings, {}, RUN, SETTINGS, force=force)
    assume(made.changes)
    extra = {"reboot": {"markers": ["wu_reboot_required"]}} if waits else {}
    after = carried_out(before, made, {**scan, **extra})
    everything = [*observed, *later]
    repaired_by = ((name, before.now),)
    second = judge(after, everything, repaired=repaired_by)
    proof = plan.prove(made, before, after, first.findings, second.findings, SETTINGS)
    end = verdict.after_change(
        failed=None,
        changed=True,
        after=second.verdict,
        after_strong_restart=bool(conditions.reboot_markers(after)),
        proof=proof,
        what="something",
    )
    assert end.name in ("repaired", "unproven", "unresolved", "restart_required")
    if end.name == "repaired":
        assert judge(after, everything).verdict.name in ("healthy", "behind")
        assert not [
            item
            for item in second.findings
            if item.active and item.id in {one.id for one in repairs.BY_NAME[name].asked_by(first.findings)}
        ]
    if second.verdict.name in ("sick", "needs_action"):
        assert end.name in ("unresolved", "restart_required")


VERDICTS = st.builds(
    verdict.Verdict,
    name=st.sampled_from(sorted(set(verdict.OUTCOME) - {"repaired", "unresolved"})),
    msg=st.text(min_size=1, max_size=400),
    next_step=st.text(max_size=20),
)
PROOFS = st.builds(
    Proof, st.sampled_from([PROVED, UNPROVEN, REFUTED]), st.just("a live search"), st.one_of(st.none(), st.text(max_size=400))
)


@many
@given(
    st.one_of(st.none(), st.text(max_size=600)), st.one_of(st.none(), VERDICTS), st.booleans(), PROOFS, st.text(min_size=1, max_size=500)
)
def test_the_second_table(failed_: str | None, after: verdict.Verdict | None, waits: bool, proof: Proof, what: str) -> None:
    end = verdict.after_change(failed=failed_, changed=True, after=after, after_strong_restart=waits, proof=proof, what=what)
    assert end.msg.isprintable()
    assert len(end.msg) <= 300
    assert end.name == _by_the_table(failed_, after, waits, proof)


def _by_the_table(failed_: str | None, after: verdict.Verdict | None, waits: bool, proof: Proof) -> str:
    """The table of verdicts after a change, row by row."""
    if failed_ is not None:
        return "failed"
    if after is None:
        return "unproven"
    if waits:
        return "restart_required"
    if after.name in ("needs_action", "sick", "restart_required"):
        return "unresolved"
    if after.name in ("healthy", "behind") and proof.status == PROVED:
        return "repaired"
    return "unproven"


# --- more failures ---

_FINE = ("healthy", "behind")
_MILD = (*_FINE, "stale")


@many
@given(hosts, logs, failures)
def test_more_failures_never_make_a_host_healthier(host: Host, observed: list[Observation], failure: Observation) -> None:
    evidence = host.look()
    before, after = judge(evidence, observed).verdict, judge(evidence, [*observed, failure]).verdict
    if before.name not in _FINE:
        assert after.name not in _FINE
    if before.name not in _MILD:
        assert after.name not in _MILD


@many
@given(hosts, logs, st.sampled_from(["wu_reboot_required", "computer_rename"]))
def test_a_pending_restart_comes_before_all_but_servicing(host: Host, observed: list[Observation], marker: str) -> None:
    usable = replace(
        host,
        changes={**host.changes, "reboot.markers": [marker]},
        status={name: why for name, why in host.status.items() if name != "reboot"},
    )
    assert judge(usable.look(), observed).verdict.name in ("restart_required", "busy")


@many
@given(hosts, logs, st.sampled_from([{"host.elevated": False}, {"host.language_mode": "ConstrainedLanguage"}, {"host.is_64bit": False}]))
def test_who_may_not_look_is_told_nothing_else(host: Host, observed: list[Observation], fault: dict[str, Any]) -> None:
    assert judge(host.look(**fault), observed).verdict.name == "unsupported"


def _is_the_first_row_that_holds(judged: verdict.Judged, evidence: Evidence) -> None:
    assert judged.verdict.name == _row(judged, evidence)


def _row(judged: verdict.Judged, evidence: Evidence) -> str:
    """The table of verdicts of a look, by the findings alone: the first row that holds."""
    found = [item for item in judged.findings if item.active]
    failing = [item for item in found if item.state == FAILING and item.condition not in _MILD]
    answers = {f"{kind} {value}" for item in failing for kind, value in item.answer.items()}
    kinds = {kind for item in failing for kind in item.answer}
    first = {"clock_off", "time_source_none", "time_source_silent", "service_disabled", "service_stopped"}
    repaired_first = any(item.condition in first and "repair" in item.answer for item in failing)
    rows = [
        ("busy", "wait servicing" in answers),
        ("restart_required", any(item.pending for item in failing)),
        ("needs_action", any(item.blocking for item in failing) and not repaired_first),
        ("sick", "repair" in kinds),
        ("restart_required", "wait restart" in answers),
        ("needs_action", "owner" in kinds),
        ("busy", "wait retry" in answers),
        ("unproven", any(item.state == UNTESTED for item in found)),
        (
            "unknown" if evidence.status("scan") in ("denied", "timeout", "failed", "absent") else "stale",
            any(item.condition == "stale" for item in found),
        ),
        ("behind", any(item.condition == "behind" for item in found)),
        ("unknown", bool(judged.coverage.missing) or any(item.state == "unknown" for item in found)),
        # A search that was asked for and not carried out, whatever else was seen.
        ("unknown", evidence.status("scan") != "missing" and not seen.has_searched(evidence)),
    ]
    return next((name for name, holds in rows if holds), "healthy")


# --- the generators themselves ---


def test_the_generators_reach_every_verdict() -> None:
    """Properties over hosts that are all alike would prove nothing."""
    reached: Counter[str] = Counter()

    @settings(max_examples=700, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(hosts, logs)
    def look_around(host: Host, observed: list[Observation]) -> None:
        reached[judge(host.look(), observed).verdict.name] += 1

    look_around()
    assert set(reached) >= {"healthy", "sick", "needs_action", "restart_required", "busy", "unproven", "stale", "unknown"}, reached


def test_the_generators_reach_the_subjects() -> None:
    host = situations.of(look(), SETTINGS)
    named: set[str | None] = set()

    @settings(max_examples=600, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(failures)
    def name_it(failure: Observation) -> None:
        named.add(subjects.of(failure, host))

    name_it()
    assert named >= {
        "search:microsoft",
        "search:wsus",
        "update:os",
        "update:KB5034441",
        "store:packages",
        "driver:a2",
        "service:wuauserv",
        "upgrade:24H2",
    }
