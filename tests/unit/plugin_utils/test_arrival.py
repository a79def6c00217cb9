# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the agent sends raw becomes the evidence of the contract."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import _arrival
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import evidence as ev
from hypothesis import given
from hypothesis import strategies as st

NAMES = r"CCS\Control\ComputerName"


def arrived(name: str, section: Any) -> ev.Section:
    return ev.from_reply({"schema": 1, "op": "observe", "sections": {name: section}}, None, None).sections[name]


def registry(name: str, tables: dict[str, Any], **data: Any) -> Any:
    return arrived(name, {"ms": 1, "data": {"registry": tables, **data}}).data


def test_a_policy_overrides_the_clocks_own_settings() -> None:
    data = registry(
        "clock",
        {
            r"CCS\Services\W32Time\Parameters": {"Type": "NT5DS", "NtpServer": "a,0x9 b,0x8"},
            r"CCS\Services\W32Time\Config": {"MaxPosPhaseCorrection": 54000},
            r"CCS\Services\W32Time\TimeProviders\NtpClient": {"enabled": 1},
            r"POL\W32Time\Parameters": {"Type": "NTP"},
            r"POL\W32Time\TimeProviders\NtpClient": {"Enabled": 0},
        },
    )
    assert data == {
        "type": "NTP", "servers": ["a,0x9", "b,0x8"], "policy": {"Type": "NTP"}, "max_pos": 54000, "max_neg": None, "client_enabled": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("tables", "markers"),
    [
        ({}, []),
        ({r"CBS\RebootPending": {}}, ["cbs_reboot_pending"]),
        ({r"MS\Updates": {"UpdateExeVolatile": 0}}, []),
        ({r"MS\Updates": {"UpdateExeVolatile": 2}}, ["update_exe_volatile"]),
        ({r"CV\WindowsUpdate\Services\Pending": {"#": 0}}, []),
        ({r"CV\WindowsUpdate\Services\Pending": {"#": 1}}, ["wu_services_pending"]),
        ({r"MS\ServerManager\ServicingStorage\ServerComponentCache": {"RestartRequired": 1}}, ["server_manager"]),
        ({NAMES + r"\ActiveComputerName": {"ComputerName": "A"}, NAMES + r"\ComputerName": {"ComputerName": "a"}}, []),
        ({NAMES + r"\ActiveComputerName": {"ComputerName": "A"}, NAMES + r"\ComputerName": {"ComputerName": "B"}}, ["computer_rename"]),
    ],
)  # fmt: skip
def test_markers_of_a_restart(tables: dict[str, Any], markers: list[str]) -> None:
    assert registry("reboot", tables)["markers"] == markers


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"type": "UnauthorizedAccessException ", "code": None, "why": "x"}, "denied"),
        ({"type": "CimException AccessDenied", "code": None, "why": "x"}, "denied"),
        ({"type": "COMException ", "code": -2147024891, "why": "x"}, "denied"),
        ({"type": "EventLogNotFoundException ", "code": None, "why": "x"}, "absent"),
        ({"type": "TimeoutException ", "code": None, "why": "x"}, "timeout"),
        ({"type": "COMException ", "code": -2145124329, "why": "x"}, "failed"),
    ],
)
def test_what_a_fault_makes_of_a_section(fault: dict[str, Any], status: str) -> None:
    section = arrived("history", {"ms": 1, "data": None, "faults": [fault]})
    assert (section.status, section.why) == (status, "x")
    half = arrived("sources", {"ms": 1, "data": {"last_search": 5}, "faults": [fault, {"type": "Cut", "why": "cut to fit"}]})
    assert (half.status, half.why) == ("partial", "x; cut to fit")


def test_parts_become_one_with_their_sections() -> None:
    def host(section: Any, part: Any) -> ev.Section:
        reply = {"schema": 1, "op": "observe", "sections": {"host": section, "fact": part}}
        sections = ev.from_reply(reply, None, None).sections
        assert set(sections) == {"host"}
        return sections["host"]

    fault = {"type": "TimeoutException ", "code": None, "why": "no answer in time"}
    session, fact = {"elevated": True}, {"domain_role": 1}
    whole = host({"ms": 1, "data": session}, {"ms": 2, "data": fact})
    assert (whole.status, whole.data) == ("ok", {"domain_role": 1, "elevated": True})
    half = host({"ms": 1, "data": session}, {"ms": 2, "data": None, "faults": [fault]})
    assert (half.status, half.why, half.data) == ("partial", "no answer in time", session)
    other = host({"ms": 1, "data": None, "faults": [fault]}, {"ms": 2, "data": fact})
    assert (other.status, other.data) == ("partial", fact)


def test_a_service_that_is_not_there_and_one_that_is() -> None:
    row = {"start": 3, "delayed": False, "state": "stopped", "dependents": []}
    rows = {row["name"]: row for row in arrived("services", {"ms": 1, "data": {"services": {"BITS": row}}}).data["services"]}
    assert rows["BITS"] == {"name": "BITS", "exists": True, **row}
    assert rows["wuauserv"]["exists"] is False
    assert list(rows) == list(ev.SERVICES)


_KEYS = ["registry", "faults", "services", "folders", "store", "type", "code", r"CBS\RebootPending", "data"]
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(["host", "sources", "clock", "services", "servicing", "reboot", "policy", "cache", "upgrade"]), _JSON)
def test_whatever_a_host_sends_is_evidence_or_one_line(name: str, sent: Any) -> None:
    section = {"ms": 1, "data": sent, "faults": sent}
    try:
        ev.from_reply({"schema": 1, "op": "observe", "sections": {name: section, "fact": section, "agent": sent}}, None, None)
    except ev.EvidenceError as error:
        line = str(error)
    else:
        line = ""
    assert "\n" not in line


def test_arrays_that_5_1_wraps_are_unwrapped_at_any_depth() -> None:
    wrapped = {"value": [{"kinds": {"value": [1, 2], "Count": 2}}], "Count": 1}
    assert _arrival.bare({"logs": wrapped}) == {"logs": [{"kinds": [1, 2]}]}
    # A table that merely has a value is none.
    assert _arrival.bare({"value": 1, "Count": 1}) == {"value": 1, "Count": 1}
