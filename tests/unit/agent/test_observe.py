# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the agent sees, and how one blind spot leaves the rest alone."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import NOW, Host

ALL = ("policy", "disk", "upgrade", "cache", "reporting", "cbs", "clock", "events", "history", "sources", "scan")
ALWAYS = {"host", "services", "servicing", "reboot"}
ZERO = "{00000000-0000-0000-0000-000000000000}"


def report_line(day: int, number: int, code: str, update: str, text: str = "t") -> str:
    when = f"2025-11-{day:02d} 10:00:00:000+0100"
    outcome = "Success" if code == "0" else "Failure"
    return f"{{AAAA0000-0000-0000-0000-{day:012d}}}\t{when}\t1\t{number} [X]\t101\t{update}\t200\t{code}\tWU\t{outcome}\tC\t{text}\tk\r\n"


def event(provider: str, number: int, record: int, data: str, when: str = "2025-11-20T10:00:00.123456700Z") -> str:
    return (
        "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>"
        f"<Provider Name='{provider}'/><EventID Qualifiers='0'>{number}</EventID><TimeCreated SystemTime='{when}'/>"
        f"<EventRecordID>{record}</EventRecordID><Channel>System</Channel></System>{data}</Event>"
    )


def named(**fields: str) -> str:
    inner = "".join(f"<Data Name='{name}'>{value}</Data>" for name, value in fields.items())
    return f"<EventData>{inner}</EventData>"


def cbs_line(minute: int, text: str, level: str = "Info", part: str = "CBS") -> str:
    return f"2025-11-20 10:{minute:02d}:00, {level:<22}{part:<7}{text}\r\n"


def test_a_healthy_host(host: Host) -> None:
    guid = "{{{:08d}-1111-2222-3333-444455556666}}"
    lines = [report_line(1 + i % 28, 147, "0", ZERO) for i in range(40)] + [
        report_line(1 + i % 28, number, "0", guid.format(i)) for i in range(200) for number in (162, 183)
    ]
    host.put("Windows/SoftwareDistribution/ReportingEvents.log", "".join(lines).encode("utf-16"))
    noise = [
        cbs_line(i % 60, f"Not able to read {i % 4 * 'x'} [HRESULT = 0x80070002 - ERROR_FILE_NOT_FOUND]")
        for i in range(400)
    ]
    host.put("Windows/Logs/CBS/CBS.log", "".join(noise).encode())
    wu = "Microsoft-Windows-WindowsUpdateClient"
    host.state["channels"]["System"] = [
        event(
            wu,
            number,
            1000 - i,
            named(updateTitle=f"Update {i}", updateGuid=guid.format(i), updateRevisionNumber="200"),
        )
        for i in range(60)
        for number in (19, 43, 44)
    ]
    host.state["history"] = [
        {
            "time": NOW - i,
            "operation": 1,
            "result": 2,
            "hresult": 0,
            "title": f"Update {i}",
            "update_id": guid.format(i),
            "client": "x",
        }
        for i in range(120)
    ]
    sections = host.observe(*ALL)
    assert set(sections) == {*ALL, *ALWAYS}
    assert {name: section["status"] for name, section in sections.items()} == dict.fromkeys(sections, "ok")
    assert len(host.raw) < 8192
    assert sections["host"]["data"]["product_type"] == "client"
    assert sections["clock"]["data"]["sources"] == [
        {"server": "time.windows.com", "ok": True, "offset_ms": 40, "error": None}
    ]
    assert sections["clock"]["data"]["utc_offset_s"] == 3600
    assert [kind["last"].split("\t")[3] for kind in sections["reporting"]["data"]["kinds"]] == ["147 [X]", "162 [X]", "183 [X]"]
    services = {row["name"]: row for row in sections["services"]["data"]["services"]}
    assert services["BITS"]["service_dll"].endswith("BITS.dll")
    assert services["DoSvc"].get("service_dll") is None
    oldest = sections["events"]["data"]["reach"]
    assert [row["complete"] for row in oldest] == [True, True]


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"type": "denied", "message": "no"}, "denied"),
        # A file that the update agent lacks is a failure of it.
        ({"type": "absent", "message": "gone"}, "failed"),
        ({"type": "timeout", "message": "late"}, "timeout"),
        ({"message": "x", "code": -2147024891}, "denied"),
        ({"message": "broken\r\nline", "code": -2145124329}, "failed"),
    ],
)
def test_one_blind_section_leaves_the_rest(host: Host, fault: dict[str, Any], status: str) -> None:
    host.state["fails"]["Get-UpdateHistory"] = fault
    host.state["fails"]["Get-ServiceTable"] = fault
    sections = host.observe("history", "disk")
    assert {name: section["status"] for name, section in sections.items()} == {
        "host": "ok", "servicing": "ok", "reboot": "ok", "disk": "ok", "history": status, "services": status,
    }  # fmt: skip
    assert sections["history"]["data"] is None
    if "code" in fault and status == "failed":
        assert sections["history"]["why"] == "broken line (0x80240017)"


def test_a_hung_update_agent_is_left_alone_and_the_process_ends(host: Host) -> None:
    host.state["hangs"] = {"Invoke-UpdateSearch": True}
    sections = host.observe("scan", scan_ms=300)
    assert sections["scan"]["status"] == "timeout"
    assert host.seconds < 30, "the stuck search kept the process"


def test_what_hangs_first_takes_no_more_with_it_than_what_is_asked_after_it(host: Host) -> None:
    """CIM that never answers is a common sickness of its own; what the registry, the services and the logs say still arrives."""
    host.state["hangs"] = {"Get-HostFact": True}
    sections = host.observe(*ALL, budget_ms=9000)
    assert host.seconds < 30
    # Events and the caches do not need it, and are asked first.
    far = {"clock", "sources", "history", "scan"}
    assert {name for name, section in sections.items() if section["status"] == "timeout"} == far
    assert (sections["host"]["status"], sections["host"]["why"]) == ("partial", "no answer in time")
    assert sections["host"]["data"]["build"] == 19045
    # Its two logs are not there.
    assert {sections[name]["status"] for name in set(sections) - far - {"host", "reporting", "cbs"}} == {"ok"}


def test_one_runspace_sees_what_two_see(host: Host) -> None:
    wu = "Microsoft-Windows-WindowsUpdateClient"
    host.state["channels"]["System"] = [event(wu, 20, 9, named(errorCode="0x80070002", updateTitle="&lt;t&gt; &amp; u", updateGuid="{g}"))]
    host.state["fails"]["Get-UpdateService"] = {"message": "x", "code": -2145124329}
    two, one = (host.observe(*ALL, lanes=lanes) for lanes in (2, 1))
    assert two["events"]["data"]["records"][0]["data"]["updateTitle"] == "<t> & u"
    assert (two["sources"]["status"], two["sources"]["data"]["last_search"]) == ("partial", 1764000000)
    for sections in (two, one):
        for section in sections.values():
            del section["ms"]
    assert one == two


def test_a_search_that_failed_with_a_code_is_a_finding(host: Host) -> None:
    host.state["fails"]["Invoke-UpdateSearch"] = {"message": "x", "code": -2147024894}
    scan = host.observe("scan")["scan"]
    assert (scan["status"], scan["data"]["hresult"], scan["data"].get("result")) == ("ok", -2147024894, None)


def test_time_that_is_over_is_said(host: Host) -> None:
    sections = host.observe("disk", "scan", budget_ms=0)
    assert {section["status"] for section in sections.values()} <= {"timeout", "ok"}
    assert sections["scan"]["status"] == "timeout"


@pytest.mark.parametrize(
    "request_",
    [
        {"schema": 2, "op": "observe"}, {"schema": 1, "op": "apply"}, {"schema": 1, "op": "observe", "sections": ["nope"]},
        {"schema": 1, "op": "observe", "lookback_s": "x"}, None, [], "text",
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused(host: Host, request_: Any) -> None:
    reply = host.run("wu_observe", request_)
    assert set(reply) == {"schema", "refused"}
    assert "\n" not in reply["refused"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_logs_of_every_encoding(host: Host, encoding: str) -> None:
    lines = [cbs_line(i, f"Größe {i} [HRESULT = 0x800f0831 - CBS_E_STORE_CORRUPTION]", "Error") for i in range(3)]
    host.put("Windows/Logs/CBS/CBS.log", "".join(lines).encode(encoding))
    kinds = host.observe("cbs")["cbs"]["data"]["kinds"]
    assert kinds == [{"count": 3, "first": "2025-11-20 10:00:00", "last": lines[2].strip()}]


@pytest.mark.parametrize("cut", [0, 1])
def test_a_slice_that_begins_within_a_character(host: Host, cut: int) -> None:
    text = "".join(report_line(1 + i, 182, "80070002", ZERO, f"title {i}") for i in range(9))
    data = text.encode("utf-16-le")
    host.put("Windows/SoftwareDistribution/ReportingEvents.log", data)
    log = host.observe("reporting", log_bytes=len(data) // 2 + cut)["reporting"]["data"]
    assert log["read"] < log["size"]
    assert [(kind["count"], kind["first"]) for kind in log["kinds"]] == [(4, "2025-11-06 10:00:00:000+0100")]


def test_what_matters_in_cbs_and_what_does_not(host: Host) -> None:
    lines = [
        cbs_line(1, "0000 [SR] Verifying 100 components", part="CSI"),
        cbs_line(2, "0001 [SR] Cannot repair member file [l:8]'a.dll' of X", part="CSI"),
        cbs_line(3, "(p)\tCSI Payload Corrupt\t\t\tamd64_x\\y.dll"),
        cbs_line(4, "Repair failed: Missing replacement payload."),
        cbs_line(5, "Session: 1 finalized [HRESULT = 0x00000000 - S_OK]"),
        cbs_line(6, "Failed. HRESULT=80073712"),
        cbs_line(7, "nothing to see"),
    ]
    host.put("Windows/Logs/CBS/CBS.log", "".join(lines).encode())
    kinds = host.observe("cbs")["cbs"]["data"]["kinds"]
    assert [kind["last"][14:16] for kind in kinds] == ["02", "03", "04", "06"]


def test_a_success_of_an_update_that_failed_is_kept(host: Host) -> None:
    sick = "{11111111-0000-0000-0000-000000000000}"
    lines = [report_line(1, 182, "80070005", sick), report_line(2, 183, "0", sick)]
    lines += [report_line(3 + i, 183, "0", f"{{22222222-0000-0000-0000-{i:012d}}}") for i in range(20)]
    host.put("Windows/SoftwareDistribution/ReportingEvents.log", "".join(lines).encode("utf-16"))
    kinds = [kind["last"] for kind in host.observe("reporting")["reporting"]["data"]["kinds"]]
    # But for the first and the last column, which decide nothing.
    assert kinds[:2] == [line.strip().removesuffix("\tk")[38:] for line in lines[:2]]
    assert len(kinds) == 3


def test_old_lines_do_not_count(host: Host) -> None:
    old = "2020-01-01 10:00:00, Error                 CBS    Failed [HRESULT = 0x80073712]\r\n"
    host.put("Windows/Logs/CBS/CBS.log", (old + cbs_line(1, "Failed [HRESULT = 0x800f081f]")).encode())
    kinds = host.observe("cbs", lookback_s=40 * 86400)["cbs"]["data"]["kinds"]
    assert kinds[0]["last"].endswith("0x800f081f]")
    assert len(kinds) == 1


def test_a_look_back_counts_from_the_hosts_own_clock(host: Host) -> None:
    """A clock that is five years ahead wrote logs that are five years ahead; what it wrote while it was right is old to it."""
    host.state["clock_ms"] = (NOW + 5 * 365 * 86400) * 1000
    old, new = cbs_line(1, "Failed [HRESULT = 0x80073712]"), cbs_line(2, "Failed [HRESULT = 0x800f081f]").replace("2025-", "2030-")
    future = cbs_line(3, "Failed [HRESULT = 0x800f0831]").replace("2025-", "2035-")
    host.put("Windows/Logs/CBS/CBS.log", (old + new + future).encode(), modified=NOW + 5 * 365 * 86400)
    kinds = host.observe("cbs", lookback_s=40 * 86400)["cbs"]["data"]["kinds"]
    assert [kind["last"][-11:] for kind in kinds] == ["0x800f081f]", "0x800f0831]"]


def test_events_by_name_by_place_and_of_user_data(host: Host) -> None:
    scm, wu = "Service Control Manager", "Microsoft-Windows-WindowsUpdateClient"
    binary = "wuauserv\0".encode("utf-16-le").hex().upper()
    other = "Spooler\0".encode("utf-16-le").hex().upper()
    host.state["channels"]["System"] = [
        event(wu, 20, 9, named(errorCode="0x80070002", updateTitle="t" * 300, updateGuid="{g}")),
        event(
            scm,
            7023,
            8,
            f"<EventData><Data Name='param1'>Uhr</Data><Data>%%2147942402</Data><Binary>{binary}</Binary></EventData>",
        ),
        event(scm, 7023, 7, f"<EventData><Data Name='param1'>Druck</Data><Binary>{other}</Binary></EventData>"),
        # The fourth parameter of 7031 is the number of an action; 7041 names a service by its key.
        event(scm, 7031, 6, f"<EventData><Data>Uhr</Data><Data>1</Data><Data>6</Data><Data>1</Data><Binary>{binary}</Binary></EventData>"),
        event(scm, 7041, 5, named(param1="BITS", param2="LocalSystem")),
    ]
    user = "<UserData><Cbs xmlns='x'><PackageIdentifier>KB1</PackageIdentifier><ErrorCode>0x800f0831</ErrorCode></Cbs></UserData>"
    host.state["channels"]["Setup"] = [event("Microsoft-Windows-Servicing", 3, 4, user, "2025-11-21T10:00:00Z")]
    records = host.observe("events")["events"]["data"]["records"]
    assert [record["record"] for record in records] == [4, 9, 8, 6, 5]
    assert [record["channel"] for record in records] == ["Setup", "System", "System", "System", "System"]
    assert records[0]["data"] == {"PackageIdentifier": "KB1", "ErrorCode": "0x800f0831"}
    assert records[1]["time"] == 1763632800
    assert records[1]["data"]["updateTitle"] == "t" * 70 + "..." + "t" * 46
    assert records[2]["data"] == {"param1": "Uhr", "param2": "%%2147942402", "service": "wuauserv"}


def test_failures_are_folded_and_successes_that_cure_them_stay(host: Host) -> None:
    """A month of Defender's failures, three a day, leaves room for the one failure that matters."""
    wu, guid = "Microsoft-Windows-WindowsUpdateClient", "{{00000000-0000-0000-0000-{:012d}}}"

    def one(number: int, record: int, title: str, **more: str) -> str:
        day = f"2025-11-{1 + record // 10:02d}T{record % 10:02d}:00:00.000Z"
        return event(wu, number, record, named(updateTitle=title, updateGuid=guid.format(record), serviceGuid="{9482}", **more), day)

    failures = [one(20, record, f"Definitions - KB2267602 (Version 1.{record})", errorCode="0x80070020") for record in range(200, 110, -1)]
    texts = [*failures[:45], one(19, 155, "Definitions - KB2267602 (Version 2)"), *failures[45:]]
    texts += [one(20, 100, "Cumulative Update (KB5099001)", errorCode="0x80073712"), one(19, 90, "Other (KB5099009)")]
    host.state["channels"]["System"] = texts
    host.state["channels"]["Microsoft-Windows-WindowsUpdateClient/Operational"] = [
        event(wu, 26, 300 - at, named(updateCount="0", serviceGuid=service)) for at, service in enumerate(["{a}", "{a}", "{b}", "{a}"])
    ]
    events = host.observe("events")["events"]
    kept = [(row["id"], row["record"], row.get("count")) for row in events["data"]["records"] if row["channel"] == "System"]
    # Those after the newest success are one; of those before it the newest is told.
    assert sorted(kept, reverse=True) == [(20, 200, 45), (20, 155, None), (20, 100, None), (19, 155, None), (19, 90, None)]
    (folded,) = [row for row in events["data"]["records"] if row.get("count")]
    assert (folded["first"], folded["time"]) == (1763272800, 1763683200)
    assert [record["record"] for record in events["data"]["records"] if record["channel"] != "System"] == [300, 298]
    assert "updateRevisionNumber" not in host.raw


def test_sixty_failures_of_definitions_hide_no_cumulative_update(host: Host) -> None:
    """Three a day for three weeks, each version with a GUID of its own and a title that is cut; ten days ago the one that matters."""
    title = "Security Intelligence Update for Microsoft Defender Antivirus - KB2267602 (Version 1.{}.0) - Current Channel (Broad)"

    def entry(at: int, code: int, name: str) -> dict[str, Any]:
        when = {"time": NOW - 3600 - at * 28800, "update_id": f"6f1e2d3c-0a1b-4c5d-8e9f-{at:012d}"}
        row = {"operation": 1, "result": 4, "hresult": code, "title": name, "caller": "UpdateOrchestrator", "classes": ["c" * 36]}
        return {**when, **row, "service": "9482f4b4-e343-43b6-b170-9a65bc822c77"}

    definitions = [entry(at, -2147024864, title.format(f"{400 - at}.1000.20260.1234")) for at in range(60)]
    host.state["history"] = definitions[:30] + [entry(30, -2146498670, "Cumulative Update (KB5099001)")] + definitions[30:]
    sections = host.observe("history")["history"]
    assert sections["status"] == "ok"
    newest, update = sections["data"]["entries"]
    assert (newest["count"], newest["first"], newest["title"][64:76]) == (60, NOW - 3600 - 59 * 28800, "KB2267602...")
    assert (update["hresult"], update.get("count")) == (-2146498670, None)


def test_failures_that_find_no_room_are_said(host: Host) -> None:
    guid = "6f1e2d3c-0a1b-4c5d-8e9f-{:012d}"
    row = {"operation": 1, "hresult": -2147024864, "caller": "x", "classes": []}
    host.state["history"] = [
        {**row, "time": NOW - at, "result": 4, "title": f"{'a driver ' * 9}{at}", "update_id": guid.format(at)} for at in range(60)
    ]
    history = host.observe("history")["history"]
    assert (history["status"], history["why"], len(history["data"]["entries"]) < 60) == ("partial", "failures cut to fit", True)


def test_how_far_back_a_channel_was_read(host: Host) -> None:
    wu = "Microsoft-Windows-WindowsUpdateClient"
    old = event(wu, 4, 1, named(x="1"), "2025-01-01T00:00:00.000Z")
    host.state["channels"]["System"] = [event(wu, 20, 9, named(errorCode="0x80070002", updateTitle="t")), old]
    operational = f"{wu}/Operational"
    host.state["channels"][operational] = [event(wu, 25, 400 - at, named(errorCode="0x80072ee2")) for at in range(250)]
    reach = {row["channel"]: row for row in host.observe("events", lookback_s=40 * 86400)["events"]["data"]["reach"]}
    assert reach["System"] == {"channel": "System", "oldest": NOW - 40 * 86400, "complete": True}
    # More failures than are read.
    assert reach[operational] == {"channel": operational, "oldest": 1763632800, "complete": False}


def test_a_log_says_from_when_on_it_was_read(host: Host) -> None:
    host.put("Windows/Logs/CBS/CBS.log", (cbs_line(3, "first") + cbs_line(4, "Failed [HRESULT = 0x80073712]")).encode())
    lines = [report_line(1 + at, 147, "0", ZERO) for at in range(9)]
    host.put("Windows/SoftwareDistribution/ReportingEvents.log", "".join(lines).encode("utf-16"))
    sections = host.observe("cbs", "reporting")
    assert sections["cbs"]["data"]["oldest"] == "2025-11-20 10:03:00"
    assert sections["reporting"]["data"]["oldest"] == "2025-11-01 10:00:00"
    # Lines before the look back are not told, so the log reaches no further.
    assert host.observe("cbs", lookback_s=86400)["cbs"]["data"]["oldest"] == "2025-11-22 16:00:00"


def test_searches_by_service_and_caller_and_updates_by_number(host: Host) -> None:
    services = ("{A}", "{B}", "{A}", "{B}", "{A}")
    lines = [report_line(1 + at, 147, "0", service).replace("\tWU\t", f"\tcaller{at // 4}\t") for at, service in enumerate(services)]
    host.put("Windows/SoftwareDistribution/ReportingEvents.log", "".join(lines).encode("utf-16"))
    kinds = host.observe("reporting")["reporting"]["data"]["kinds"]
    assert [(kind["count"], kind["last"].split("\t")[5], kind["last"].split("\t")[8]) for kind in kinds] == [
        (1, "{A}", "caller0"), (1, "{B}", "caller0"), (1, "{A}", "caller1"),
    ]  # fmt: skip


def test_setup_errors_without_a_code_are_kept(host: Host) -> None:
    lines = [cbs_line(1, "could not load document path=A.tmp", "Error"), cbs_line(2, "nothing", "Info")]
    host.put("$WINDOWS.~BT/Sources/Panther/setuperr.log", "".join(lines).encode())
    logs = host.observe("upgrade")["upgrade"]["data"]["logs"]
    assert [kind["last"] for log in logs for kind in log["kinds"]] == [lines[0].strip()]


def test_history_by_service_and_class(host: Host) -> None:
    def entry(hour: int, title: str, **more: Any) -> dict[str, Any]:
        row = {"time": NOW - 3600 * hour, "operation": 1, "result": 2, "hresult": 0, "title": title, "update_id": f"u{hour}"}
        return {**row, "service": "s", "caller": "", "classes": [], **more}

    host.state["history"] = [
        entry(1, "App a", service="855e", classes=["c0"]), entry(2, "App b", service="855e", classes=["c0"]),
        entry(3, "KB5099001"), entry(4, "Definitions KB2267602", classes=["d"]), entry(5, "Definitions KB2267602", classes=["d"]),
        entry(6, "A", result=4, hresult=-2147024894, classes=[f"c{at}" for at in range(9)], caller="UpdateOrchestrator"),
    ]  # fmt: skip
    entries = host.observe("history")["history"]["data"]["entries"]
    assert [one["update_id"] for one in entries] == ["u1", "u3", "u4", "u6"]
    assert (entries[0]["service"], entries[0].get("caller"), entries[0]["classes"]) == ("855e", None, ["c0"])
    assert (entries[3]["caller"], len(entries[3]["classes"])) == ("UpdateOrchestrator", 6)


def test_what_a_search_offers(host: Host) -> None:
    data = host.observe("scan")["scan"]["data"]
    title = "t" * 70 + "..." + "t" * 46
    assert data["updates"] == [{"title": title, "kb": ["KB5034441"], "id": "u1", "classes": ["0fa1201d-4330-4fa8-8ae9-b877473b6441"]}]


def test_events_that_were_read_before_a_fault_are_told(host: Host) -> None:
    wu = "Microsoft-Windows-WindowsUpdateClient"
    host.state["channels"]["System"] = [event(wu, 20, 9 - at, named(errorCode=f"0x8007000{at}", updateTitle="t")) for at in range(5)]
    host.state["breaks"] = {"System": 2}
    events = host.observe("events")["events"]
    assert (events["status"], events["why"]) == ("partial", "System: late")
    assert [row["record"] for row in events["data"]["records"]] == [9, 8]
    assert [row["complete"] for row in events["data"]["reach"] if row["channel"] == "System"] == [False]
    host.state["fails"]["Read-EventRecord"] = {"type": "timeout", "message": "late"}
    assert host.observe("events")["events"]["status"] == "timeout"


def test_letters_are_matched_alike_under_every_culture(host: Host) -> None:
    """A Turkish I is no i: under that culture `PackageIdentifier` ended in no `identifier`, and the package had no KB."""
    servicing, wsus = "Microsoft-Windows-Servicing", r"HKLM\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate\AU"
    packages = [f"Package_for_KB500000{at}~31bf3856ad364e35~amd64~~10.0" for at in range(3)]
    user = "<UserData><Cbs xmlns='x'><PackageIdentifier>{}</PackageIdentifier><ErrorCode>0x800f0831</ErrorCode></Cbs></UserData>"
    host.state["channels"]["Setup"] = [event(servicing, 3, 9 - at, user.format(package)) for at, package in enumerate(packages)]
    host.state["registry"][wsus] = {"USEWUSERVER": 1}
    host.state["culture"] = "tr-TR"
    sections = host.observe("events", "policy", lanes=1)
    assert [row["record"] for row in sections["events"]["data"]["records"]] == [9, 8, 7]
    assert sections["policy"]["data"]["au"] == {"USEWUSERVER": 1}


def test_a_far_lane_that_ends_says_why_and_takes_nothing_else_along(host: Host) -> None:
    host.state["fails"]["Get-HostClock"] = {"message": "blocked by policy", "code": -2147023651, "far": True}
    sections = host.observe("events", "history", "disk")
    assert [sections[name]["status"] for name in ("events", "history", "disk")] == ["failed", "failed", "ok"]
    assert "blocked by policy" in sections["events"]["why"]


def test_a_lane_that_ends_says_why(host: Host) -> None:
    host.state["fails"]["Get-HostClock"] = {"message": "no clock", "code": -2145124329}
    reply = host.run("wu_observe", {"schema": 1, "op": "observe", "sections": []})
    assert "no clock" in reply["refused"]


def test_the_proxy_of_winhttp_and_tls_by_policy(host: Host) -> None:
    client = r"HKLM\SYSTEM\CurrentControlSet\Control\SecurityProviders\SCHANNEL\Protocols\TLS 1.2\Client"
    host.state["registry"][client] = {"Enabled": 0, "DisabledByDefault": 1, "Other": 3}
    host.state["winhttp_proxy"] = "http=proxy.example:8080;https=other.example:443"
    sections = host.observe("sources", "policy")
    assert [(point["role"], point["host"], point["port"]) for point in sections["sources"]["data"]["endpoints"]] == [
        ("proxy", "proxy.example", 8080)
    ]
    assert sections["policy"]["data"]["tls"] == {"Enabled": 0, "DisabledByDefault": 1}


def test_restart_markers_policies_and_their_secrets(host: Host) -> None:
    version = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion"
    policy = r"HKLM\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate"
    host.state["registry"].update({
        version + r"\WindowsUpdate\Auto Update\RebootRequired": {},
        # What any installer leaves says nothing of updates.
        r"HKLM\SYSTEM\CurrentControlSet\Control\Session Manager": {"PendingFileRenameOperations": ["\\??\\C:\\a", ""]},
        policy: {"WUServer": "http://user:secret@wsus.example:8530", "keys": 1},
        policy + r"\AU": {"UseWUServer": 1},
    })  # fmt: skip
    host.state["tcp"] = ["wsus.example:8530"]
    sections = host.observe("policy", "sources")
    assert sections["reboot"]["data"] == {"markers": ["wu_reboot_required"]}
    assert sections["policy"]["data"]["wu"] == {"WUServer": "http://wsus.example:8530", "keys": 1}
    assert "secret" not in host.raw
    assert [
        (point["role"], point["host"], point["port"], point["ok"]) for point in sections["sources"]["data"]["endpoints"]
    ] == [("wsus", "wsus.example", 8530, True)]


def test_lines_of_hosts_that_name_servers_of_updates_and_who_a_wsus_takes_it_for(host: Host) -> None:
    ours = ["0.0.0.0 fe3.delivery.mp.microsoft.com", "10.0.0.5\tdownload.windowsupdate.com # cache", "::1 SLS.Update.Microsoft.com"]
    others = ["# 0.0.0.0 windowsupdate.com", " #0.0.0.0 update.microsoft.com", "127.0.0.1 localhost", "0.0.0.0 telemetry.microsoft.com", "x" * 400 + "windowsupdate"]  # noqa: E501
    version = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate"
    host.state["registry"][version] = {"SusClientId": "3f2504e0-4f89-11d3-9a0c-0305e82c3301", "Other": 1}
    path = "Windows/System32/drivers/etc/hosts"
    host.put(path, "\r\n".join([*others, *ours]).encode())
    sections = host.observe("sources", "policy")
    assert sections["sources"]["data"]["hosts"] == [line.replace("\t", " ") for line in ours]
    assert sections["policy"]["data"]["sus_client_id"] == "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
    host.put(path, b"0.0.0.0 windowsupdate.com\n" * 30)
    assert host.observe("sources")["sources"]["data"]["hosts"] == ["0.0.0.0 windowsupdate.com"] * 9
    host.put(path, b"127.0.0.1 localhost")
    assert host.observe("sources")["sources"]["data"]["hosts"] == []


@pytest.mark.parametrize(
    ("server", "status", "error"),
    [
        ("http://user:secret@wsus.example:8530", 503, None),
        ("http://wsus.example:8530/", 200, None),
        ("HTTP://wsus.example:8530", None, "nothing at http://wsus.example:8530/ClientWebService/client.asmx within 6000 ms"),
        # What TLS says would need its certificate: TCP alone.
        ("https://wsus.example:8530", None, None),
        ("http://dead.example:8530", None, None),
    ],
)
def test_a_wsus_by_plain_http_is_asked_what_it_answers(host: Host, server: str, status: int | None, error: str | None) -> None:
    policy = r"HKLM\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate"
    host.state["registry"].update({policy: {"WUServer": server}, policy + r"\AU": {"UseWUServer": 1}})
    host.state["tcp"] = ["wsus.example:8530"]
    url = "http://wsus.example:8530/ClientWebService/client.asmx"
    host.state["http"] = {url: status, url.replace("wsus", "dead"): 503}
    (point,) = host.observe("sources")["sources"]["data"]["endpoints"]
    assert (point["ok"], point.get("status"), point["error"]) == ("wsus" in server, status, error)


@pytest.mark.parametrize(
    ("server", "asked"),
    [
        ("proxy.example:8080", ("proxy.example", 8080)),
        ("http://proxy.example:3128", ("proxy.example", 3128)),
        ("ftp=f.example:21;http=proxy.example:80;https=other.example:443", ("proxy.example", 80)),
        ("https=proxy.example:8443", ("proxy.example", 8443)),
        ("socks=s.example:1080", None),
        ("", None),
    ],
)
def test_the_proxy_is_asked_however_it_is_written(host: Host, server: str, asked: tuple[str, int] | None) -> None:
    host.state["registry"][r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Internet Settings"] = {"ProxyEnable": 1, "ProxyServer": server}
    points = host.observe("sources")["sources"]["data"]["endpoints"]
    assert [(point["role"], point["host"], point["port"]) for point in points] == ([("proxy", *asked)] if asked else [])


def test_what_system_itself_uses_to_reach_servers(host: Host) -> None:
    own = r"HKU\S-1-5-18\SOFTWARE\Microsoft\Windows\CurrentVersion\Internet Settings"
    host.state["registry"][own] = {"ProxyEnable": 1, "ProxyServer": "own.example:8080", "AutoConfigURL": "http://wpad.example/wpad.dat"}
    everybodys = own.replace(r"HKU\S-1-5-18", "HKLM")
    host.state["registry"][everybodys] = {"ProxyEnable": 1, "ProxyServer": "all.example:80"}
    points = host.observe("sources")["sources"]["data"]["endpoints"]
    assert [(point["role"], point["host"], point["port"]) for point in points] == [
        ("pac", "wpad.example", 80), ("proxy", "all.example", 80), ("proxy", "own.example", 8080),
    ]  # fmt: skip


@pytest.mark.parametrize("script", ["file://server/share/proxy.pac", "file:///C:/proxy.pac", r"\\server\share\proxy.pac", "proxy.pac"])
def test_a_script_of_a_proxy_that_no_port_serves_is_not_asked(host: Host, script: str) -> None:
    """A file has a server and no port: a connection to port -1 failed, and the script's server was said not to answer."""
    own = r"HKU\S-1-5-18\SOFTWARE\Microsoft\Windows\CurrentVersion\Internet Settings"
    host.state["registry"][own] = {"AutoConfigURL": script}
    sources = host.observe("sources")["sources"]
    assert (sources["status"], sources["data"]["endpoints"]) == ("ok", [])


def test_a_key_that_is_guarded_hides_no_other(host: Host) -> None:
    """A program that guards one key (as update blockers do) took the whole section with it: no policy at all was known."""
    policy = r"HKLM\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate"
    host.state["registry"].update({policy: {"WUServer": "http://wsus.example:8530"}, policy + r"\AU": {"UseWUServer": 1}})
    host.state["guarded"] = [policy + r"\AU"]
    found = host.observe("policy")["policy"]
    assert (found["status"], found["data"]["wu"], found["data"]["au"]) == ("partial", {"WUServer": "http://wsus.example:8530"}, {})
    assert "not allowed" in found["why"]


def test_how_downloads_are_made_by_policy(host: Host) -> None:
    policy, managed = r"HKLM\SOFTWARE\Policies\Microsoft\Windows", r"HKLM\SOFTWARE\Microsoft\PolicyManager\current\device"
    host.state["registry"][policy + r"\DeliveryOptimization"] = {"DODownloadMode": 100, "DOGroupId": "x"}
    host.state["registry"][managed + r"\DeliveryOptimization"] = {"DODownloadMode": 99, "DOMaxCacheAge": 1}
    data = host.observe("policy")["policy"]["data"]
    assert (data["wu"], data["mdm"]) == ({"DODownloadMode": 100}, {"DODownloadMode": 99})


def test_who_runs_a_service_what_servicing_keeps_and_what_winhttp_may_speak(host: Host) -> None:
    base = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion"
    host.state["services"]["BITS"]["account"] = r".\svc-bits"
    host.state["services"]["wuauserv"]["dll_missing"] = True
    host.state["registry"][base + r"\Component Based Servicing\SessionsPending"] = {"Exclusive": 1, "TotalSessionPhases": 3}
    host.state["registry"][base + r"\Installer\InProgress"] = {}
    host.state["registry"][base + r"\Internet Settings\WinHttp"] = {"DefaultSecureProtocols": 0x80}
    sections = host.observe("policy")
    services = {row["name"]: row for row in sections["services"]["data"]["services"]}
    told = {name: (services[name].get("account"), bool(services[name].get("dll_missing"))) for name in ("wuauserv", "BITS", "UsoSvc")}
    assert told == {"wuauserv": (None, True), "BITS": (r".\svc-bits", False), "UsoSvc": (None, False)}
    assert (sections["servicing"]["data"]["exclusive"], sections["servicing"]["data"]["installer_in_progress"]) == (1, True)
    assert sections["policy"]["data"]["protocols"] == 0x80


@pytest.mark.parametrize(
    ("data", "damaged"), [(None, False), (b"PReg\1\0\0\0", False), (b"", True), (bytes(4096), True), (b"PReg\1" + bytes(1 << 20), False)]
)
def test_a_file_of_local_policy_that_is_none(host: Host, data: bytes | None, damaged: bool) -> None:
    if data is not None:
        host.put("Windows/System32/GroupPolicy/Machine/Registry.pol", data)
    assert bool(host.observe("policy")["policy"]["data"].get("pol_damaged")) is damaged


PACKED = cbs_line(9, "is no line of a log [HRESULT = 0x80070570]", "Error").encode()
FAILED_BEFORE = [event("Microsoft-Windows-WindowsUpdateClient", 20, 9, named(errorCode="0x80073712", updateTitle="t"))]


@pytest.mark.parametrize(
    ("events", "beside", "told"),
    [
        # In the host's zone, an hour ahead of UTC: the failure at 11:00, the log from 11:03 on.
        (FAILED_BEFORE, {}, ["0x80073712]", "0x800f0831]"]),
        ([], {}, ["0x800f0831]"]),
        (FAILED_BEFORE, {"CbsPersist_20251121000000.cab": PACKED}, ["0x800f0831]"]),
        (FAILED_BEFORE, {"CbsPersist_20251119000000.cab": PACKED}, ["0x80073712]", "0x800f0831]"]),
        ([FAILED_BEFORE[0].replace("T10:00", "T10:04")], {}, ["0x800f0831]"]),
    ],
)
def test_what_a_log_held_before_its_rotation(host: Host, events: list[str], beside: dict[str, bytes], told: list[str]) -> None:
    host.state["channels"]["System"] = events
    old = [cbs_line(0, "x"), cbs_line(1, "Info of [HRESULT = 0x80070002]"), cbs_line(2, "Failed [HRESULT = 0x80073712]", "Error")]
    now = [cbs_line(3, "begin"), cbs_line(5, "Failed [HRESULT = 0x800f0831]", "Error")]
    host.put("Windows/Logs/CBS/CbsPersist_20251120100259.log", "".join(old).replace(" 10:", " 09:").encode())
    host.put("Windows/Logs/CBS/CBS.log", "".join(now).replace(" 10:", " 11:").encode())
    for name, data in beside.items():
        host.put(f"Windows/Logs/CBS/{name}", data)
    log = host.observe("cbs", "events")["cbs"]["data"]
    assert [kind["last"][-11:] for kind in log["kinds"]] == told
    assert log["oldest"] == f"2025-11-20 {'09:00' if len(told) > 1 else '11:03'}:00"


def test_any_host_fits(host: Host) -> None:
    words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"]
    lines = [
        cbs_line(i % 60, f"Failed {words[i % 8]} {words[i // 8 % 8]} {words[i // 64 % 8]} {'q' * 250} [HRESULT = 0x800f{i:04x}]")
        for i in range(500)
    ]  # fmt: skip
    host.put("Windows/Logs/CBS/CBS.log", "".join(lines).encode())
    host.state["history"] = [
        {
            "time": NOW - i,
            "operation": 1,
            "result": 4,
            "hresult": -2147024894,
            "title": "ü" * 200,
            "update_id": f"{i}",
            "client": "x",
        }
        for i in range(120)
    ]
    sections = host.observe("cbs", "history")
    assert len(host.raw) < 48 * 1024
    assert sections["cbs"]["status"] == "partial"
    newest = sections["cbs"]["data"]["kinds"][-1]["last"]
    assert len(newest) >= 60
    assert lines[-1].startswith(newest)
    assert host.raw.isascii()


TIME_STATUS = "Microsoft-Windows-Time-Service/Operational"


def test_a_member_asks_its_domain_and_not_its_suffix(host: Host) -> None:
    time_service = r"HKLM\SYSTEM\CurrentControlSet\Services\W32Time"
    host.state["registry"][time_service + r"\Parameters"] = {"Type": "NT5DS", "NtpServer": "time.windows.com,0x9"}
    # Win32_ComputerSystem.Domain is the domain of the directory; the DNS suffix is another name in a disjoint namespace.
    host.state["registry"][r"HKLM\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters"] = {"Domain": "branch.example"}
    host.state["sntp"] = {"corp.example": 900_000}
    for role, asked in ((0, []), (1, ["corp.example"]), (2, []), (3, ["corp.example"]), (4, []), (5, [])):
        host.state["host"] |= {"domain_role": role, "domain": "corp.example"}
        sections = host.observe("clock")
        assert [row["server"] for row in sections["clock"]["data"]["sources"]] == asked, role
        assert sections["host"]["data"]["domain"] == ("corp.example" if role in (1, 3, 4, 5) else None)


def test_w32time_is_asked_about_itself_where_no_source_answers(host: Host) -> None:
    data = named(
        Configuration="MaxAllowedPhaseOffset: 1 (Local)", LeapIndicator="0", Stratum="4", ReferenceId="0x0A000001",
        Source="dc1.corp.example", PollInterval="10", LastSyncError="0", TimeSinceLastGoodSync="300.1234567s",
    )  # fmt: skip
    host.state["channels"][TIME_STATUS] = [event("Microsoft-Windows-Time-Service", 260, 7, data)]
    assert "status" not in host.observe("clock")["clock"]["data"], "nothing is read of the channel where a source answers"
    host.state["sntp"] = {}
    told = host.observe("clock")["clock"]["data"]["status"]
    assert (told["stratum"], told["since_s"], told["poll"], told["source"]) == (4, 300, 10, "dc1.corp.example")
    for channel in ([], None):
        # Empty, and before 1703 not there.
        host.state["channels"][TIME_STATUS] = channel
        section = host.observe("clock")["clock"]
        assert (section["status"], "status" in section["data"]) == ("ok", False)


def test_who_moves_the_clock_is_read(host: Host) -> None:
    time_service = r"HKLM\SYSTEM\CurrentControlSet\Services\W32Time"
    more = {"MaxAllowedPhaseOffset": 300, "MaxPollInterval": 15, "UtilizeSslTimeData": 1, "MaxClockRate": 156406}
    host.state["registry"][time_service + r"\Config"] |= more
    host.state["registry"][time_service + r"\TimeProviders\VMICTimeProvider"] = {"Enabled": 1}
    host.state["services"]["vmictimesync"] = {**host.state["services"]["W32Time"], "state": "running"}
    sections = host.observe("clock")
    clock = sections["clock"]["data"]
    assert (clock["max_slew"], clock["max_poll"], clock["seeding"], clock["hypervisor"]) == (300, 15, 1, 1)
    assert {row["name"]: row["state"] for row in sections["services"]["data"]["services"]}["vmictimesync"] == "running"
    assert "156406" not in host.raw
