# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Calls of one module on one host that take a repair where fix_wu.yml seldom goes: half way and back, and to its limits.

One table for the tests, which look at what comes of each, and for the coverage run, which looks at what ran.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.controller import each
from lab.fleet import Fleet
from lab.hosts import HostSpec
from lab.model_apply import ending

W32TIME = r"HKLM\SYSTEM\CurrentControlSet\Services\W32Time"
CBS = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing"
# A run may be told its name, so that what it sets aside is known beforehand.
RUN = "20261124T101530Z-1a2b3c"
ENDING = ending(RUN)
OLD = "20250101T000000Z-aaaaaa"
SCM = {"channel": "System", "provider": "Service Control Manager", "id": 7034}
W32TIME_HEX = "".join(f"{ord(letter):02X}00" for letter in "W32Time") + "0000"


@dataclass(frozen=True)
class Case:
    """A host, a call, and what shall come of it.

    Args:
        host: its name.
        scenario: laid over a healthy client.
        module: of this collection.
        arguments: of the module.
        changed: whether the host is different afterwards.
        failed: whether the call fails.
        says: a part of the message.
        left: what a repair that was taken back leaves beside everything as it was: files by the begin of their name.
        meanwhile: what happens to the host between the look and the call, which then acts on that look.
        wine: whether Wine plays it, too.
        model: whether the model does. It has neither a helper that it could leave behind nor a limit on what it sends.
    """

    host: str
    module: str
    arguments: dict[str, Any]
    scenario: dict[str, Any] = field(default_factory=dict)
    changed: bool = True
    failed: bool = False
    says: str = ""
    left: tuple[str, ...] = ()
    meanwhile: Callable[[Any], object] | None = None
    wine: bool = False
    model: bool = True


# A domain as W32Time finds it: by the name that all its controllers have.
_DOMAIN: dict[str, Any] = {
    "registry": {rf"{W32TIME}\Parameters": {"Type": "NT5DS"}, rf"{W32TIME}\Config": {"MaxAllowedPhaseOffset": 300}},
    "services": {"W32Time": {"start": 2, "state": "running"}},
    "domain_source": "corp.example",
    "time_sources": {"corp.example": {"addresses": [{"reachable": False}, {"reachable": True}]}},
}


def _pending_restart(sim: Any) -> None:
    sim.call("Write-RegistryValue", {"Key": rf"{CBS}\RebootPending", "Name": "Pending", "Kind": "DWord", "Value": 1})


def _clock_set(sim: Any) -> None:
    sim.step_clock(7200)


def _renewed(sim: Any) -> None:
    """Another run set the cache aside, and Windows made it anew."""
    cache = r"C:\Windows\SoftwareDistribution"
    sim.call("Send-ServiceStop", {"Name": "wuauserv"})
    sim.call("Move-Folder", {"Path": cache, "Destination": cache + ending("20261124T101000Z-abcdef")})
    sim.call("Send-ServiceStart", {"Name": "wuauserv"})


def _uninstalled(sim: Any) -> None:
    del sim.services["usosvc"]


CASES = (
    # Half way and back.
    Case(
        "catalogues-held", "win_wu_reset", {"force": True, "run_id": RUN, "stop_timeout": 5},
        {
            "locks": [{"path": r"C:\Windows\System32\catroot2", "by": "a scanner"}],
            "services": {
                "wuauserv": {"state": "running"}, "BITS": {"state": "running"}, "DoSvc": {"start": 4, "delayed": False, "state": "stopped"},
            },
        },
        changed=False, failed=True, says="everything was undone",
    ),
    Case(
        "will-not-start", "win_wu_reset",
        {"force": True, "folders": ["SoftwareDistribution", "catroot2"], "bits_queue": True, "service_security": True, "run_id": RUN},
        {
            "services": {
                "CryptSvc": {"start": 4, "delayed": False, "state": "stopped", "start_fails": 1053},
                # Administrators may write the descriptor, and not stop the service.
                "BITS": {"state": "running", "sddl": "D:(A;;CCLCSWRPWPDTLOCRRC;;;SY)(A;;CCLCSWLORCWD;;;BA)"},
                "wuauserv": {"state": "running", "sddl": "D:(D;;DCWP;;;BA)(A;;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;BA)"},
            },
        },
        changed=False, failed=True, says="everything was undone",
        left=(rf"Windows\System32\catroot2{ENDING}.new", rf"Windows\SoftwareDistribution{ENDING}.new"),
    ),
    # What only helps does not spoil the rest: services that refuse a start type or a stop, or do not come back.
    Case(
        "helpers-refuse", "win_wu_reset", {"force": True, "folders": ["SoftwareDistribution"], "stop_timeout": 5, "scan": False},
        {
            "services": {
                "UsoSvc": {"state": "running", "stop": "refuse"},
                "DoSvc": {"start": 4, "delayed": False, "state": "stopped", "protected": True},
                "wlidsvc": {"start": 4, "protected": True},
            },
        },
        says="cache reset",
    ),
    Case(
        "type-denied", "win_wu_reset", {"force": True, "folders": ["SoftwareDistribution"], "scan": False},
        {"services": {"BITS": {"start": 4, "protected": True}, "wuauserv": {"start": 4}}}, says="cache reset",
    ),
    Case(
        "no-such-zone", "win_timesync", {"reference": "controller", "time_zone": "Nowhere Standard Time"},
        {"clock_offset": "-2h", "time_sources": {"time.windows.com": {"reachable": False}}, "services": {"W32Time": {"start": 4}}},
        changed=False, failed=True, says="everything was undone",
    ),
    Case(
        "source-is-silent", "win_timesync", {"source": "ntp", "servers": ["time.example.com"], "resync": "always"},
        {"services": {"W32Time": {"state": "running"}}}, changed=False, failed=True, says="everything was undone",
    ),
    # What runs into a limit.
    Case(
        "beyond-the-limit", "win_timesync", {"time_zone": "W. Europe Standard Time"},
        {"clock_offset": "20h", "w32time_settle_ms": 1500}, says="Proved", wine=True,
    ),
    # What W32Time would only slew: a member's clock is set, a controller's is not.
    Case(
        "slewed-member", "win_timesync", {"max_skew": 60},
        {**_DOMAIN, "host": {"domain_role": 1, "domain": "corp.example"}, "clock_offset": "-2m"}, says="Proved", wine=True,
    ),
    Case(
        "slewed-controller", "win_timesync", {"max_skew": 60},
        {
            **_DOMAIN, "machine": "server2022", "host": {"domain_role": 4, "domain": "corp.example"}, "clock_offset": "-2m",
            "registry": {
                rf"{W32TIME}\Parameters": {"Type": "NTP", "NtpServer": "corp.example,0x8"},
                rf"{W32TIME}\Config": {"MaxAllowedPhaseOffset": 300},
                r"HKLM\SYSTEM\CurrentControlSet\Control\ProductOptions": {"ProductType": "LanmanNT"},
            },
        },
        changed=False, says="being slewed",
    ),
    # Two controllers are down, the third stands behind a firewall that lets port 123 alone ask.
    Case(
        "third-controller", "win_timesync", {},
        {
            **_DOMAIN, "host": {"domain_role": 1, "domain": "corp.example"}, "clock_offset": "-15m",
            "services": {"W32Time": {"start": 3, "state": "stopped"}},
            "time_sources": {
                "corp.example": {"addresses": [{"reachable": False}, {"reachable": False}, {"reachable": True, "from_123": True}]},
            },
        },
        says="Proved by W32Time, which synchronised",
    ),
    Case(
        "unfit-source", "win_timesync", {},
        {"clock_offset": "-2h", "time_sources": {"time.windows.com": {"reachable": True, "offset": "1h", "stratum": 1, "root_s": 900}}},
        changed=False, says="root distance",
    ),
    Case(
        "stuck-alone", "win_wu_reset", {"force": True, "folders": ["SoftwareDistribution"], "stop_timeout": 6},
        {"services": {"wuauserv": {"state": "running", "stop": "refuse", "group": "alone"}}}, says="Proved", wine=True,
    ),
    Case(
        "dependent", "win_wu_reset", {"force": True, "folders": ["SoftwareDistribution"]},
        {"services": {"wuauserv": {"state": "running"}, "wlidsvc": {"start": 3, "state": "running", "needs": ["wuauserv"]}}}, says="Proved",
    ),
    # Another product's service would stop with it, so nothing is touched.
    Case(
        "stranger", "win_wu_reset", {"force": True, "folders": ["SoftwareDistribution"]},
        {"services": {"wuauserv": {"state": "running"}, "Needy": {"start": 3, "state": "running", "needs": ["wuauserv"]}}},
        changed=False, says="Needy",
    ),
    # AppLocker at work: its service and its driver depend on CryptSvc, which therefore runs on.
    Case(
        "applocker", "win_wu_reset", {"force": True, "folders": ["SoftwareDistribution", "catroot2"], "scan": False},
        {
            "services": {
                "CryptSvc": {"state": "running"},
                "AppIDSvc": {"start": 3, "state": "running", "needs": ["CryptSvc", "applockerfltr"]},
                "applockerfltr": {"driver": True, "start": 3, "state": "running", "needs": ["CryptSvc"]},
            },
        },
        says="cache reset",
    ),
    Case(
        "old-backups", "win_wu_reset",
        {"force": True, "folders": ["SoftwareDistribution"], "keep_backups": 1, "bits_queue": True, "service_security": True},
        {
            "files": {
                rf"Windows\SoftwareDistribution.wu_repair-{OLD}\Download\a.bin": {"size": 10},
                r"Windows\SoftwareDistribution.wu_repair-not-ours\b.bin": {"size": 10},
            },
        },
        says="Proved", wine=True,
    ),
    Case(
        # Its administrators may write a descriptor, and neither stop the service nor enable it.
        "not-allowed", "win_wu_reset", {"force": True, "folders": ["SoftwareDistribution"], "service_security": True, "scan": False},
        {"services": {"wuauserv": {"state": "running", "sddl": "D:(D;;DCWP;;;BA)(A;;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;BA)"}}},
        says="cache reset",
    ),
    Case(
        "delayed", "win_wu_reset", {"force": True, "folders": ["SoftwareDistribution"], "scan": False},
        {"services": {"UsoSvc": {"start": 4, "delayed": False, "state": "stopped"}}}, says="cache reset", wine=True,
    ),
    Case("value", "win_osupgrade_reg", {"state": "present", "scan": False}, wine=True),
    Case(
        "value-away", "win_osupgrade_reg", {"state": "absent", "scan": False},
        {"registry": {r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\OSUpgrade": {"AllowOSUpgrade": 1}}}, wine=True,
    ),
    # What is no longer as it was looked at.
    Case(
        "restart-since", "win_wu_reset", {"force": True}, changed=False,
        says="waits for a restart", meanwhile=_pending_restart, wine=True,
    ),
    # Somebody set the clock: by it the host started two hours later, which is no restart.
    Case(
        "clock-set-since", "win_wu_reset", {"force": True}, changed=False, failed=True,
        says="clock was set", meanwhile=_clock_set, wine=True,
    ),
    Case("uninstalled-since", "win_wu_reset", {"force": True}, changed=False, failed=True, says="UsoSvc", meanwhile=_uninstalled),
    Case(
        "renewed-since", "win_wu_reset", {"force": True}, changed=False, failed=True,
        says="SoftwareDistribution was set aside or made anew", meanwhile=_renewed,
    ),
    # Another run is at it.
    Case("busy", "win_wu_reset", {"force": True}, {"host_change": {"by": RUN}}, changed=False, says=f"being changed by run {RUN}"),
    Case(
        "lock-is-not-ours", "win_wu_reset", {"force": True, "scan": False}, {"host_change": {"why": "Access to the path is denied."}},
        says="cache reset",
    ),
    # A file stands where Windows wants its folder; nothing but that asks for the repair.
    Case(
        "file-in-its-place", "win_wu_reset", {"scan": False},
        {"data_store": "missing", "files": {r"Windows\SoftwareDistribution": {"size": 3}}}, says="cache reset",
    ),
    # What a look can meet.
    Case(
        "hung-agent", "win_wu_info", {"gather_subset": ["all", "scan"], "scan_timeout": 5},
        {"search": {"ms": 20000}}, changed=False, model=False,
    ),
    Case(
        "much-to-tell", "win_wu_info", {"gather_subset": ["all"]},
        {
            "registry": {r"HKLM\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate": {f"Word{number}": "x" * 390 for number in range(20)}},
            "events": [
                {**SCM, "time": "now-2h", "data": {"param1": "Windows-Zeitgeber", "param2": "1", "Binary": W32TIME_HEX}},
                {**SCM, "time": "now-1h", "data": {"param1": "Windows-Zeitgeber", "param2": "2", "Binary": "0A0B"}},
            ],
            "history": [
                {"time": f"now-{number}h", "result": 4, "hresult": 0x80070002, "title": "Update " * 9, "update_id": f"{number:036}"}
                for number in range(1, 60)
            ],
            "time_sources": {"time.windows.com": {"reachable": False}},
        },
        changed=False, model=False,
    ),
)  # fmt: skip


def specs(folder: Path, cases: Sequence[Case] = CASES) -> list[HostSpec]:
    """Write the scenarios of the cases, and return their hosts."""
    found = []
    for case in cases:
        path = folder / f"{case.host}.yml"
        # A document of JSON is one of YAML.
        path.write_text(json.dumps({"title": case.host, "machine": "client10", **case.scenario}), "utf-8")
        found.append(HostSpec(case.host, str(path)))
    return found


def run(fleet: Fleet, cases: Sequence[Case]) -> dict[str, dict[str, Any]]:
    """Make the calls of cases, one on each of their hosts, side by side; host -> the module's result."""
    given = {case.host: {"return_evidence": "unhealthy", **case.arguments} for case in cases}
    late = [case for case in cases if case.meanwhile]
    if late:
        looks = each(fleet, {case.host: ("win_wu_info", {"return_evidence": "always"}) for case in late})
        for case in late:
            given[case.host]["evidence"] = looks[case.host]["evidence"]
            assert case.meanwhile is not None
            case.meanwhile(fleet.sim(case.host))
    return each(fleet, {case.host: (case.module, given[case.host]) for case in cases})
