# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the agent sends raw becomes the evidence of the contract."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import _arrival, sections
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import evidence as ev
from unit.plugin_utils.evidence_samples import NOW, TLS, raw, reply

NAMES = r"CCS\Control\ComputerName"
VERSION = r"MS\Windows NT\CurrentVersion"
TIME = r"CCS\Services\W32Time"


def arrived(**sent: Any) -> ev.Evidence:
    return ev.from_reply({"schema": 1, "op": "observe", "sections": sent}, None, None)


def of_registry(name: str, tables: dict[str, Any], **data: Any) -> ev.Evidence:
    return arrived(**{name: raw({"registry": tables, **data})})


def test_a_reply_becomes_evidence() -> None:
    evidence = ev.from_reply(reply(), 1, 2)
    assert {name: section.status for name, section in evidence.sections.items() if section.status != "ok"} == {
        "events": "partial", "history": "failed", "cbs": "partial", "reporting": "absent",
    }  # fmt: skip
    assert evidence.host == sections.Host(
        build=19045, revision=4780, edition="Professional", product_type="client", domain_role=1, domain="corp.example", elevated=True,
        boot_time=NOW - 86400,
    )  # fmt: skip
    assert (evidence.clock.type, evidence.clock.servers, evidence.clock.max_pos) == ("NTP", ("a,0x9", "b"), 54000)
    assert (evidence.clock.client_enabled, evidence.clock.utc_offset_s, evidence.now) == (1, 0, NOW)
    assert evidence.servicing == sections.Servicing(
        in_progress=0, installer_in_progress=False, setup_in_progress=False, upgrade_in_progress=False
    )
    assert evidence.reboot == sections.Reboot(("computer_rename",))
    assert (evidence.policy.wu, evidence.policy.au) == ({"WUServer": "http://w:8530"}, {"UseWUServer": 1})
    assert (evidence.policy.mdm_wins, evidence.policy.tls, evidence.policy.configmgr) == (1, {"Enabled": 0}, False)
    assert (evidence.sources.services, evidence.sources.last_search) == ((), NOW - 100)
    folder = evidence.cache.by_name("SoftwareDistribution")
    assert folder is not None
    assert (folder.data_store, folder.data_store_created) == (True, NOW - 9)
    assert (evidence.upgrade.osupgrade, evidence.upgrade.box_result) == ({"AllowOSUpgrade": 1}, 0x80070005)


def test_what_w32time_says_of_itself() -> None:
    data = {"LeapIndicator": "0", "Stratum": "4", "ReferenceId": "0x0A000001", "Source": "dc1", "PollInterval": "10",
            "TimeSinceLastGoodSync": "2820,1997480s", "Configuration": "x"}  # fmt: skip
    clock = of_registry("clock", {}, status={"id": 260, "time": NOW, "record": 7, "data": data}).clock
    assert clock.status == sections.TimeStatus(NOW, 0, 4, "0x0A000001", "dc1", 10, 2820)
    for rubbish in (None, 5, {"data": "x"}, {"time": NOW}):
        assert of_registry("clock", {}, status=rubbish).clock.status is None
    strange = of_registry("clock", {}, status={"time": NOW, "data": {"TimeSinceLastGoodSync": "unspecified", "Stratum": "4 (x)"}})
    assert strange.clock.status == sections.TimeStatus(time=NOW, stratum=4), "and the rest of the clock is read"


def test_who_moves_the_clock_and_how_fast_is_read_with_the_policy_over_it() -> None:
    tables = {
        TIME + r"\Config": {"MaxAllowedPhaseOffset": 300, "MaxPollInterval": 10, "UtilizeSslTimeData": 1},
        TIME + r"\TimeProviders\NtpClient": {"SpecialPollInterval": 3600},
        TIME + r"\TimeProviders\VMICTimeProvider": {"Enabled": 0},
        r"POL\W32Time\Config": {"MaxAllowedPhaseOffset": 600, "UtilizeSslTimeData": 0},
    }
    clock = of_registry("clock", tables).clock
    assert (clock.max_slew, clock.max_poll, clock.special_poll, clock.seeding, clock.hypervisor) == (600, 10, 3600, 0, 0)


def test_a_policy_overrides_the_clocks_own_settings() -> None:
    evidence = of_registry(
        "clock",
        {
            TIME + r"\Parameters": {"Type": "NT5DS", "NtpServer": "a,0x9 b,0x8"},
            TIME + r"\Config": {"MaxPosPhaseCorrection": 54000, "MaxNegPhaseCorrection": 60},
            TIME + r"\TimeProviders\NtpClient": {"enabled": 1},
            r"POL\W32Time\Parameters": {"Type": "NTP"},
            r"POL\W32Time\Config": {"MaxNegPhaseCorrection": 0},
            r"POL\W32Time\TimeProviders\NtpClient": {"Enabled": 0},
        },
    )
    assert evidence.clock == sections.Clock(
        type="NTP", servers=("a,0x9", "b,0x8"), policy={"Type": "NTP", "MaxNegPhaseCorrection": 0}, max_pos=54000, max_neg=0,
        client_enabled=0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("tables", "markers"),
    [
        ({}, ()),
        ({r"CBS\RebootPending": {}}, ("cbs_reboot_pending",)),
        ({r"MS\ServerManager\ServicingStorage\ServerComponentCache": {"RestartRequired": 0}}, ()),
        ({r"MS\ServerManager\ServicingStorage\ServerComponentCache": {"RestartRequired": "0"}}, ()),
        ({r"MS\ServerManager\ServicingStorage\ServerComponentCache": {"RestartRequired": 1}}, ("server_manager",)),
        ({NAMES + r"\ActiveComputerName": {"ComputerName": "A"}, NAMES + r"\ComputerName": {"ComputerName": "a"}}, ()),
        ({NAMES + r"\ActiveComputerName": {"ComputerName": "A"}, NAMES + r"\ComputerName": {"ComputerName": "B"}}, ("computer_rename",)),
        ({NAMES + r"\ComputerName": {"ComputerName": "B"}}, ()),
    ],
)  # fmt: skip
def test_markers_of_a_restart(tables: dict[str, Any], markers: tuple[str, ...]) -> None:
    assert of_registry("reboot", tables).reboot.markers == markers


@pytest.mark.parametrize(
    ("tables", "is_true"),
    [
        ({r"CV\Installer\InProgress": {}}, "installer_in_progress"),
        ({r"SYSTEM\Setup": {"SystemSetupInProgress": 1, "UpgradeInProgress": 0}}, "setup_in_progress"),
        ({r"SYSTEM\Setup": {"SystemSetupInProgress": 0, "UpgradeInProgress": 1}}, "upgrade_in_progress"),
    ],
)
def test_what_servicing_says_of_itself(tables: dict[str, Any], is_true: str) -> None:
    servicing = of_registry("servicing", tables, processes=[]).servicing
    flags = {name: getattr(servicing, name) for name in ("installer_in_progress", "setup_in_progress", "upgrade_in_progress")}
    assert flags == {name: name == is_true for name in flags}


@pytest.mark.parametrize(
    ("times", "later", "processes"),
    [
        ({}, None, []),
        ({"TiWorker": 900}, {"TiWorker": 1300}, [("TiWorker", 400)]),
        ({"msiexec": 900}, {"msiexec": 900, "TiWorker": 70}, [("msiexec", 0)]),
        # Who may not be asked is unknown, who has gone does nothing, another one of the name may have taken less.
        ({"TiWorker": None}, {"TiWorker": 3}, [("TiWorker", None)]),
        ({"TiWorker": 900}, {"TiWorker": None}, [("TiWorker", None)]),
        ({"TiWorker": 900, "SetupHost": 5}, {}, [("SetupHost", None)]),
        ({"TiWorker": 900}, {"TiWorker": 3}, [("TiWorker", 0)]),
        ({"TiWorker": 900}, None, [("TiWorker", None)]),
    ],
)
def test_what_processes_took_during_the_look(times: dict[str, Any], later: dict[str, Any] | None, processes: list[Any]) -> None:
    servicing = of_registry("servicing", {}, times=times, later=later).servicing
    assert [(process.name, process.busy_ms) for process in servicing.processes] == processes


def test_policies_by_where_they_stand() -> None:
    tables: dict[str, Any] = {
        r"CV\Policies\WindowsUpdate": {"DisableWindowsUpdateAccess": 1},
        r"CV\Policies\Explorer": {"NoAutoUpdate": 1},
        r"MS\WindowsUpdate\UX\Settings": {"PauseUpdatesExpiryTime": "x"},
        r"MS\PolicyManager\current\device\Update": {"AllowAutoUpdate": 1},
        r"CV\Policies\Servicing": {"LocalSourcePath": "y"},
        r"CCS\Services\CcmExec": {},
        TLS: {"Enabled": 0, "DisabledByDefault": 1},
    }
    policy = of_registry("policy", tables).policy
    assert policy == sections.Policy(
        user={"DisableWindowsUpdateAccess": 1, "NoAutoUpdate": 1}, ux={"PauseUpdatesExpiryTime": "x"}, mdm={"AllowAutoUpdate": 1},
        servicing={"LocalSourcePath": "y"}, tls={"Enabled": 0, "DisabledByDefault": 1}, configmgr=True,
    )  # fmt: skip


def test_names_of_values_are_compared_without_case() -> None:
    assert of_registry("clock", {TIME + r"\TimeProviders\NtpClient": {"enabled": 1}}).clock.client_enabled == 1


def test_setupdiag_where_it_writes_and_where_it_wrote() -> None:
    new, old = r"SYSTEM\Setup\MoSetup\Volatile\SetupDiag", r"SYSTEM\Setup\SetupDiag\Results"
    assert of_registry("upgrade", {new: {"ProfileName": "a"}}).upgrade.setupdiag == {"ProfileName": "a"}
    assert of_registry("upgrade", {new: {"ProfileName": "a"}, old: {"ProfileName": "b"}}).upgrade.setupdiag == {"ProfileName": "b"}
    assert of_registry("upgrade", {}).upgrade.setupdiag is None


# --- values of the registry of another type than they should have -----------------------------------------------------


@pytest.mark.parametrize(
    ("name", "tables", "why"),
    [
        ("clock", {TIME + r"\Config": {"MaxPosPhaseCorrection": "54000"}}, "clock.max_pos is text of length 5, expected unsigned seconds"),
        ("clock", {TIME + r"\TimeProviders\NtpClient": {"Enabled": "1"}}, "clock.client_enabled is text of length 1, expected a number"),
        ("clock", {TIME + r"\Parameters": {"Type": 7}}, "clock.type is 7, expected text"),
        ("clock", {TIME + r"\Parameters": {"NtpServer": 7}}, "clock.servers is 7, expected a list"),
        ("servicing", {r"CBS\Interface": {"ServicingInProgress": "2"}}, "servicing.in_progress is text of length 1, expected a number"),
        ("servicing", {r"SYSTEM\Setup": {"UpgradeInProgress": "1"}},
         "servicing.upgrade_in_progress is text of length 1, expected true or false"),
        ("policy", {r"MS\PolicyManager\current\device\ControlPolicyConflict": {"MDMWinsOverGP": "1"}},
         "policy.mdm_wins is text of length 1, expected a number"),
        ("host", {VERSION: {"UBR": "4780"}}, "host.revision is text of length 4, expected a number from 0 on"),
        ("host", {VERSION: {"CurrentBuildNumber": "19045.1"}}, "host.build is text of length 7, expected a number from 0 on"),
        ("host", {VERSION: {"CurrentBuildNumber": "\u0661\u0669"}}, "host.build is text of length 2, expected a number from 0 on"),
        ("host", {r"CCS\Control\ProductOptions": {"ProductType": "Phone"}},
         "host.product_type is text of length 5, expected one of client, server, domain_controller"),
        ("host", {r"CCS\Control\ProductOptions": {"ProductType": []}},
         "host.product_type is a list, expected one of client, server, domain_controller"),
        ("upgrade", {r"SYSTEM\Setup\MoSetup\Volatile": {"BoxResult": "0x80070005"}},
         "upgrade.box_result is text of length 10, expected an HRESULT"),
    ],
)  # fmt: skip
def test_a_value_of_another_type_spoils_its_section_alone(name: str, tables: dict[str, Any], why: str) -> None:
    sent = reply()["sections"]
    sent[name]["data"]["registry"] |= tables
    evidence, whole = arrived(**sent), arrived(**reply()["sections"])
    assert (evidence.status(name), evidence.sections[name].why) == ("partial", why)
    assert {**evidence.sections, name: None} == {**whole.sections, name: None}


@pytest.mark.parametrize("start", [5, "3"])
def test_a_start_type_that_is_none(start: object) -> None:
    sent = reply()["sections"]
    sent["services"]["data"]["services"]["BITS"]["start"] = start
    services = arrived(**sent).services
    bits, wuauserv = services.by_name("BITS"), services.by_name("wuauserv")
    assert bits is not None
    assert wuauserv is not None
    assert (bits.exists, bits.start, bits.state, wuauserv.start) == (True, None, "stopped", 3)


# --- services and folders ---------------------------------------------------------------------------------------------


def test_a_service_that_is_not_there_and_one_that_is() -> None:
    row = {"start": 3, "delayed": True, "state": "stopped", "dependents": ["x"], "trigger": True, "image_path": "a", "service_dll": "b"}
    services = arrived(services=raw({"services": {"BITS": row, "Spooler": row}})).services.services
    assert [service.name for service in services] == list(ev.SERVICES)
    assert services[0] == sections.Service("wuauserv", exists=False, delayed=False)
    assert services[1] == sections.Service(
        "BITS", exists=True, start=3, delayed=True, state="stopped", trigger=True, image_path="a", service_dll="b", dependents=("x",)
    )


def test_a_service_that_cannot_be_read_is_not_taken_for_one_that_is_not_there() -> None:
    evidence = arrived(services=raw({"services": {"BITS": "x", "wuauserv": {"name": "y", "exists": False}}}))
    assert evidence.services.services[0] == sections.Service("wuauserv", exists=True, delayed=False)
    assert evidence.services.by_name("BITS") is None
    assert evidence.status("services") == "partial"


@pytest.mark.parametrize(
    ("name", "store", "facts"),
    [
        ("SoftwareDistribution", {"created": 5, "size": 7}, (True, 5)),
        ("SoftwareDistribution", None, (False, None)),
        ("catroot2", None, (None, None)),
    ],
)
def test_the_data_store_of_a_folder(name: str, store: object, facts: tuple[object, object]) -> None:
    (folder,) = arrived(cache=raw({"folders": [{"name": name, "exists": True, "store": store}]})).cache.folders
    assert (folder.data_store, folder.data_store_created) == facts


# --- faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "fault", "status"),
    [
        ("history", {"type": "UnauthorizedAccessException ", "code": None, "why": "x"}, "denied"),
        ("host", {"type": "CimException AccessDenied", "code": None, "why": "x"}, "denied"),
        ("history", {"type": "COMException ", "code": -2147024891, "why": "x"}, "denied"),
        ("history", {"type": "TimeoutException ", "code": None, "why": "x"}, "timeout"),
        ("history", {"type": "COMException ", "code": -2145124329, "why": "x"}, "failed"),
        ("events", {"type": "EventLogNotFoundException ", "code": None, "why": "x"}, "absent"),
        ("cbs", {"type": "DirectoryNotFoundException ", "code": -2147024893, "why": "x"}, "absent"),
        ("history", {"type": "FileNotFoundException ", "code": -2147024894, "why": "x"}, "failed"),
        ("history", {"type": "DirectoryNotFoundException ", "code": -2147024893, "why": "x"}, "failed"),
        ("scan", {"type": "COMException ", "code": -2147221164, "why": "x"}, "failed"),
        ("scan", {"type": "FileNotFoundException ", "code": -2147024894, "why": "x"}, "failed"),
        ("sources", {"type": "FileNotFoundException ", "code": -2147024894, "why": "x"}, "failed"),
        ("events", {"type": "CommandNotFoundException ", "code": None, "why": "x"}, "failed"),
        ("events", {}, "failed"),
    ],
)
def test_what_a_fault_makes_of_a_section(name: str, fault: dict[str, Any], status: str) -> None:
    section = arrived(**{name: raw(None, fault)}).sections[name]
    assert section.status == status
    code = fault.get("code")
    assert section.why == (f"x (0x{code & 0xFFFFFFFF:08X})" if code else fault.get("why"))


def test_a_code_that_the_reason_names_is_not_named_again() -> None:
    fault = {"type": "COMException ", "code": -2145124329, "why": "Search failed (0x80240017)"}
    assert arrived(history=raw(None, fault)).sections["history"].why == "Search failed (0x80240017)"


def test_nothing_at_all_is_absent() -> None:
    assert arrived(cbs=raw(None)).sections["cbs"] == ev.Section("absent", 3, None, None)


def test_faults_beside_data() -> None:
    slow = {"type": "TimeoutException ", "code": None, "why": "Setup: no answer in time"}
    section = arrived(disk=raw({"drive": "C:"}, slow, slow)).sections["disk"]
    assert (section.status, section.why, section.data) == ("partial", "Setup: no answer in time", sections.Disk("C:"))


def test_cut_to_fit_stands_first_and_is_not_cut() -> None:
    faults = [{"type": "COMException ", "code": None, "why": f"{number}" * 200} for number in range(4)]
    evidence = arrived(disk=raw({"drive": "C:"}, *faults, {"type": "Cut", "why": "cut to fit"}))
    assert evidence.cut("disk")
    assert (evidence.sections["disk"].why or "").startswith("cut to fit; 000")


@pytest.mark.parametrize("faults", [7, "x", [7], {"why": "x"}])
def test_faults_that_are_none(faults: object) -> None:
    section = arrived(disk={"ms": 1, "data": {"drive": "C:"}, "faults": faults}).sections["disk"]
    assert (section.status, section.why) == ("ok", None)


# --- parts ------------------------------------------------------------------------------------------------------------


def test_parts_become_one_with_their_sections() -> None:
    def host(section: Any, part: Any) -> ev.Section:
        evidence = arrived(host=section, fact=part)
        assert set(evidence.sections) == {"host"}
        return evidence.sections["host"]

    slow = {"type": "TimeoutException ", "code": None, "why": "no answer in time"}
    whole = host(raw({"elevated": True}), raw({"domain_role": 1}))
    assert (whole.status, whole.data) == ("ok", sections.Host(domain_role=1, elevated=True))
    half = host(raw({"elevated": True}), raw(None, slow))
    assert (half.status, half.why, half.data) == ("partial", "no answer in time", sections.Host(elevated=True))
    other = host(raw(None, slow), raw({"domain_role": 1}))
    assert (other.status, other.data) == ("partial", sections.Host(domain_role=1))
    own_first = host(raw({"domain_role": 3}), raw({"domain_role": 1}))
    assert own_first.data == sections.Host(domain_role=3)


def test_the_domain_of_a_member_alone() -> None:
    domains = [of_registry("host", {}, domain_role=role, domain="corp.example").host.domain for role in range(6)]
    assert domains == [None, "corp.example", None, "corp.example", "corp.example", "corp.example"]


def test_a_section_in_the_form_of_the_contract_is_taken_as_it_is() -> None:
    section = {"status": "denied", "ms": 1, "why": "x", "data": None, "faults": [{"type": "TimeoutException", "why": "y"}]}
    assert arrived(disk=section).sections["disk"] == ev.Section("denied", 1, "x", None)


def test_arrays_that_5_1_wraps_are_unwrapped_at_any_depth() -> None:
    wrapped = {"value": [{"kinds": {"value": [1, 2], "Count": 2}}], "Count": 1}
    assert _arrival.unwrap({"logs": wrapped}) == {"logs": [{"kinds": [1, 2]}]}
    # A table that merely has a value is none.
    assert _arrival.unwrap({"value": 1, "Count": 1}) == {"value": 1, "Count": 1}
    assert _arrival.unwrap({"value": [1], "Count": 1, "more": 1}) == {"value": [1], "Count": 1, "more": 1}


def test_unwrapping_ends_at_a_depth() -> None:
    deep: Any = "x"
    for _level in range(600):
        deep = [deep]
    unwrapped, levels = _arrival.unwrap(deep), 0
    while isinstance(unwrapped, list):
        unwrapped, levels = unwrapped[0], levels + 1
    assert (unwrapped, levels) == (None, 64)
