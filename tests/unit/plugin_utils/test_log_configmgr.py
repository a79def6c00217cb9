# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Logs of the ConfigMgr client: their forms, their times, and what single records mean. Whole files are in tests/cases/logs/cmtrace."""

from __future__ import annotations

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import logs
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.observation import Observation

T0 = 1_767_348_000  # 2026-01-02 10:00:00 UTC
ONE = "aaaaaaaa-1111-4222-8333-444455556666"
WSUS = "3da21691-e39d-4da6-8a4b-b43877bcb1b7"
FAILED = "Scan failed with error = 0x8024402c."


def record(text: str, component: str = "WUAHandler", clock: str = "10:00:00.000+000", date: str = "01-02-2026") -> str:
    return f'<![LOG[{text}]LOG]!><time="{clock}" date="{date}" component="{component}" context="" type="1" thread="1" file="a.cpp:1">\r\n'


def read(*records: str) -> list[Observation]:
    return logs.read("".join(records).encode(), "WUAHandler.log")


@pytest.mark.parametrize(
    ("text", "moment", "bound"),
    [
        (record(FAILED), T0, 0),
        (record(FAILED, clock="06:00:00.000+240"), T0, 0),
        (record(FAILED, clock="11:00:00.000-60"), T0, 0),
        (record(FAILED, clock="11:00:00.000+-60"), T0, 0),
        (record(FAILED, clock="10:00:00.000"), T0, 14 * 3600),
        (record(FAILED, clock="10:00:00.000+9999"), T0, 14 * 3600),
        (record(FAILED, date="1-2-2026"), T0, 0),
        (record(FAILED, date="13-45-2026"), None, 0),
        (f"{FAILED}  $$<WUAHandler><01-02-2026 06:00:00.000+240><thread=12 (0xC)>\r\n", T0, 0),
        (f"{FAILED}\tWUAHandler\t02.01.2026 10:00:00\t12 (0x000C)\n{FAILED}\tExecMgr\t13.01.2026 10:00:00\t12 (0x000C)\n", T0, 14 * 3600),
        (f"{FAILED}  WUAHandler  1/2/2026 10:00:00 AM  12 (0xC)\nx  ExecMgr  1/13/2026 10:00:00 AM  12 (0xC)\n", T0, 14 * 3600),
        (f"{FAILED}\tWUAHandler\t1/2/2026 10:00:00 AM\t12 (0x000C)\n", None, 14 * 3600),
    ],
)
def test_every_form_is_read_at_its_time(text: str, moment: int | None, bound: int) -> None:
    assert logs.kind_of(text.encode("utf-16")) == "cmtrace"
    (seen,) = logs.read(text.encode("utf-16"))
    assert (seen.layer, seen.outcome, seen.code, seen.service, seen.caller) == ("scan", "failed", 0x8024402C, WSUS, "CcmExec")
    assert (seen.time, seen.bound_s) == (moment, bound)


def test_records_of_several_lines_and_cut_ones_are_read() -> None:
    whole = record("Some text\r\nof two lines") + record(FAILED)
    assert [one.place for one in read(whole)] == [1]
    assert [one.code for one in read(record(FAILED)[5:], record("x"))] == [0x8024402C]
    assert read(record(FAILED)[:30]) == []


@pytest.mark.parametrize(
    "text",
    [
        "OnSearchComplete - Failed to end search job. Error = 0x8024402c.",
        FAILED,
        "ScanJob({E0452CF4-5B04-4A1A-B8EB-10B11B063249}): CScanJob::OnScanComplete -Scan Failed with Error=0x8024402c",
        "Failed to Add Update Source for WUAgent of type (2) and id ({891B2E1B-4873-4092-B1FD-7EAADE75A3D3}). Error = 0x8024402c.",
        "Updates scan completion received, result = 0x8024402c.",
        "Job error (0x8024402c) received for assignment ({B040D195-8FA8-48D3-953F-17E878DAB23D}) action",
    ],
)
def test_a_search_has_failed(text: str) -> None:
    (seen,) = read(record(text, "ScanAgent"))
    assert (seen.layer, seen.outcome, seen.code, seen.name) == ("scan", "failed", 0x8024402C, None)
    assert text[:40] in seen.line


def test_a_job_of_an_installation_is_no_search() -> None:
    seen = read(
        record("Starting install for assignment ({B040D195-8FA8-48D3-953F-17E878DAB23D})", "UpdatesDeploymentAgent"),
        record("Job error (0x80070005) received for assignment ({B040D195-8FA8-48D3-953F-17E878DAB23D}) action", "UpdatesDeploymentAgent"),
    )
    assert [one.layer for one in seen] == ["install"]


def test_a_search_that_completes_went_well_only_without_an_error_behind_it() -> None:
    done = record("Async searching completed.")
    assert [one.outcome for one in read(done)] == ["ok"]
    assert [one.outcome for one in read(done, record("Successfully completed scan.", clock="10:00:01.000+000"))] == ["ok"]
    assert [one.outcome for one in read(done, record(FAILED, clock="10:00:01.000+000"))] == ["failed"]
    later = read(done, record(FAILED, clock="18:00:01.000+000"))
    assert [one.outcome for one in later] == ["ok", "failed"]
    again = read(done, record("Async searching of updates using WUAgent started."), record(FAILED))
    assert [one.outcome for one in again] == ["ok", "failed"]


@pytest.mark.parametrize(
    "text",
    [
        "Enabling WUA Managed server policy to use server: https://sup.example:8531",
        "Existing WUA Managed server was already set (https://sup.example:8531), skipping Group Policy registration.",
    ],
)
def test_the_server_is_named(text: str) -> None:
    assert [one.name for one in read(record(text), record(FAILED))] == ["https://sup.example:8531"]


@pytest.mark.parametrize("server", ["http://gpo.example", ""])
def test_a_policy_that_wins_is_a_failure_with_its_server(server: str) -> None:
    line = f"Group policy settings were overwritten by a higher authority (Domain Controller) to: Server {server} and Policy ENABLED"
    (seen,) = read(record(line), record("Failed to Add Update Source for WUAgent of type (2) and id (x). Error = 0x87d00692."))
    assert (seen.layer, seen.code, seen.name, seen.count) == ("scan", 0x87D00692, server or None, 1)


@pytest.mark.parametrize(
    ("text", "outcome", "code"),
    [
        (f"Update 1 ({ONE}) finished installing (0x80070643), Reboot Required? No", "failed", 0x80070643),
        (f"Update 1 ({ONE}) finished installing (0x00000000), Reboot Required? Yes", "ok", None),
        (f"WSUS update ({ONE}) installation result = 0x80004002, Reboot State = NoReboot", "failed", 0x80004002),
        (f"Failed to install update ({ONE}). Error = 0x80070005", "failed", 0x80070005),
        (
            f"Update (Site_X/SUM_{ONE}) Progress: Status = ciStateError, PercentComplete = 0, DownloadSize = 0, Result = 0x80070005",
            "failed",
            0x80070005,
        ),
        (
            f"Update (Site_X/SUM_{ONE}) Progress: Status = ciStatePendingSoftReboot, PercentComplete = 100, DownloadSize = 0, Result = 0x0",
            "ok",
            None,
        ),
        (
            f"Raised update (Site_X/SUM_{ONE}) enforcement state message successfully. StateName = CI_ENFORCEMENT_SUCCESSFULL",
            "ok",
            None,
        ),
    ],
)
def test_an_installation_has_its_update(text: str, outcome: str, code: int | None) -> None:
    (seen,) = read(record(text, "UpdatesHandler"))
    assert (seen.layer, seen.outcome, seen.code, seen.update) == ("install", outcome, code, ONE)


def test_what_has_no_code_is_told_by_its_name() -> None:
    (seen,) = read(record("Update execution failed.", "UpdatesHandler"))
    assert (seen.layer, seen.code, seen.marker) == ("install", None, "install_failed")


@pytest.mark.parametrize(
    "text",
    [
        f"Update (Site_X/SUM_{ONE}) Name (An Update (KB5098700)) ArticleID (5098700) added to the targeted list of deployment (x)",
        f"1. Update (Missing): An Update (KB5098700) ({ONE}, 200)",
        f"Queried Update ({ONE}): Status=Missing, Title=An Update (KB5098700), BulletinID=, QNumbers=5098700, LocaleID=, ProductID=x",
    ],
)
def test_an_update_is_named_by_other_lines(text: str) -> None:
    (seen,) = read(record(text, "UpdatesStore"), record(f"Update 1 ({ONE}) finished installing (0x80070643), Reboot Required? No"))
    assert (seen.title, seen.kb) == ("An Update (KB5098700)", "KB5098700")


@pytest.mark.parametrize("component", ["AppEnforce", "PolicyAgent", "", "DataTransferService"])
def test_other_components_say_nothing(component: str) -> None:
    text = record(FAILED, component)
    assert logs.kind_of(text.encode()) == "cmtrace"
    assert read(text) == []


def test_a_queue_and_a_missing_policy_are_noise() -> None:
    assert read(
        record("Unable to read existing resultant WUA policy. Error = 0x80070002."),
        record("SetJobTimeoutOptions failed. Error = 0x87d00215", "UpdatesHandler"),
        record("Updates scan completion received, result = 0x0.", "UpdatesHandler"),
    ) == []  # fmt: skip
