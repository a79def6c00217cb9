# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: the update agent's logs: ReportingEvents.log and WindowsUpdate.log, old and new."""

from __future__ import annotations

import re
from dataclasses import replace

from . import hresult
from ._records import Collector, Record, each_line, is_failure, stamp, update_id

REPORT = re.compile(
    r"\{[0-9A-Fa-f-]{36}\}"
    r"\s{1,4}([0-9]{4}-[0-9]{2}-[0-9]{2}) ([0-9]{2}:[0-9]{2}:[0-9]{2}):[0-9]{3}([+-][0-9]{4})\s{1,4}[0-9]{1,3}\s{1,4}"
    r"([0-9]{1,4})(?: \[([A-Za-z_()]{1,60})\])?\s{1,4}[0-9]{1,5}\s{1,4}\{([0-9A-Fa-f-]{36})\}"
    r"\s{1,4}[0-9]{1,10}\s{1,4}"
    r"([0-9A-Fa-f]{1,8})\b([^\r\n]{0,600})"
)
# Numbers whose name a build does not know come as [(null)].
_REPORT_RANGES = ((range(140, 160), "scan"), (range(160, 180), "download"), (range(180, 210), "install"))
_REPORT_WORDS = (("DETECT", "scan"), ("DOWNLOAD", "download"), ("INSTALL", "install"), ("SELFUPDATE", "scan"))
_REPORT_OK = {147, 162, 183}


def _report_layer(number: int, name: str) -> str | None:
    for word, layer in _REPORT_WORDS:
        if word in name:
            return layer
    return next((layer for numbers, layer in _REPORT_RANGES if number in numbers), None)


def report(match: re.Match[str], out: Collector, count: int, source: str) -> None:
    date, clock, zone, number_text, name, guid, hex_code, rest = match.groups()
    number, name = int(number_text), (name or "").upper()
    layer = _report_layer(number, name)
    time = stamp(date, clock)
    if layer is None:
        return
    if time is not None:
        offset = int(zone[1:3]) * 3600 + int(zone[3:5]) * 60
        time += offset if zone[0] == "-" else -offset
    code = int(hex_code, 16)
    update = None if layer == "scan" else update_id(guid)
    text = f"{number} {name} {hresult.hex_of(code)}{rest}"
    # 163 AGENT_DOWNLOAD_CANCELED says Success in its result column while the code is the failure.
    if is_failure(code):
        out.add(Record(source, layer, time, code=code, update=update, text=text, count=count))
    elif name.endswith("FAILED"):
        out.add(Record(source, layer, time, marker=f"{layer}is_failure", update=update, text=text, count=count))
    elif (number in _REPORT_OK and not name) or name.endswith(("FINISHED", "SUCCEEDED", "SUCCEEDED_REBOOT_REQUIRED")):
        out.add(Record(source, layer, time, ok=True, update=update, text=text, count=count))


def reporting(text: str, out: Collector) -> None:
    for match in REPORT.finditer(text):
        report(match, out, 1, "reporting")


_WU_HEAD = re.compile(
    r"([0-9]{4}[-/.][0-9]{2}[-/.][0-9]{2})[ \t]([0-9]{2}:[0-9]{2}:[0-9]{2})[.:][0-9]{3,7}\s{1,4}[0-9]{1,6}"
    r"\s{1,6}[0-9a-fA-F]{1,6}\s{1,6}(\w{1,30})\s{1,20}(.*)",
    re.S,
)
_WU_EXIT = re.compile(r"[Ee]xit code = (0x[0-9A-Fa-f]{8})")
_WU_RETURN = re.compile(
    r"Install complete for update ID: ([0-9A-Fa-f-]{36})\.[0-9]{1,5}\s{1,3}Return code is (0x[0-9A-Fa-f]{8})"
)
_WU_DEPLOY = re.compile(r"Method failed for update ([0-9A-Fa-f-]{36})\.[0-9]{1,5}, hrDeploy = (0x[0-9A-Fa-f]{8})")
_WU_FILE = re.compile(r"\*FAILED\* \[([0-9A-Fa-f]{8})\] Failed to (?:postprocess|download|verify) the file")
_WU_DOWNLOAD = re.compile(
    r"Error (0x[0-9A-Fa-f]{8}) occurred while downloading update"
    r"|Begin Downloading Updates.{0,200}\[hr = (0x[0-9A-Fa-f]{8})\]"
    r"|^\w{1,60} returned, hr=(0x[0-9A-Fa-f]{8})"
)
_WU_CALL = re.compile(
    r"download call (\{[0-9A-Fa-f-]{36}\}) with code Call (progress|complete) and error (0x[0-9A-Fa-f]{8})"
)
_WU_CBS = re.compile(r"FATAL: .{0,80}?(0x[0-9A-Fa-f]{8})|CBS called Error with (0x[0-9A-Fa-f]{8})")
_WU_WORTH = re.compile(
    r"xit code = 0x|Return code is|hrDeploy = |Failed to (?:post|down|ver)|REPORT EVENT|occurred while down"
    r"|\[hr = 0x|CBS called Error|FATAL|download call|returned, hr=0x8"
)


def _download_call(found: re.Match[str], seen: Record, calls: dict[str, list[Record]], out: Collector) -> None:
    """An error on the way counts once the call ended with an error, too; before that the agent still tries."""
    call, what, code = found.group(1), found.group(2), int(found.group(3), 16)
    if what == "progress":
        if is_failure(code) and len(calls) < 1000:
            calls.setdefault(call, []).append(replace(seen, code=code))
        return
    before = calls.pop(call, [])
    if is_failure(code):
        for record in [*before[-20:], replace(seen, code=code)]:
            out.add(record, local=True)


def wulog(text: str, out: Collector) -> None:
    search = False
    calls: dict[str, list[Record]] = {}
    for raw in each_line(text):
        if not _WU_WORTH.search(raw):
            if "Finding updates" in raw or "** END **" in raw:
                search = "Finding updates" in raw and "END" in raw
            continue
        if "REPORT EVENT" in raw and (embedded := REPORT.search(raw)):
            report(embedded, out, 1, "wulog")
            continue
        head = _WU_HEAD.match(raw.rstrip("\r"))
        if not head:
            continue
        date, clock, component, message = head.groups()
        time = stamp(date, clock)
        text_ = f"{component} {message}"
        if (found := _WU_RETURN.search(message)) or (found := _WU_DEPLOY.search(message)):
            code = int(found.group(2), 16)
            out.add(
                Record(
                    "wulog",
                    "install",
                    time,
                    ok=code == 0,
                    code=code or None,
                    update=update_id(found.group(1)),
                    text=text_,
                ),
                local=True,
            )
        elif found := _WU_EXIT.search(message):
            # The old format says what ended on the banner line before.
            if component == "Agent" and ("Finding updates" in message or search):
                code = int(found.group(1), 16)
                if is_failure(code) or code == 0:
                    out.add(Record("wulog", "scan", time, ok=code == 0, code=code or None, text=text_), local=True)
            search = False
        elif found := _WU_CALL.search(message):
            _download_call(found, Record("wulog", "download", time, text=text_), calls, out)
        elif found := _WU_FILE.search(message):
            out.add(Record("wulog", "download", time, code=int(found.group(1), 16), text=text_), local=True)
        elif found := _WU_DOWNLOAD.search(message):
            code = int(next(filter(None, found.groups())), 16)
            if is_failure(code):
                out.add(Record("wulog", "download", time, code=code, text=text_), local=True)
        elif component == "Handler" and (found := _WU_CBS.search(message)):
            code = int(found.group(1) or found.group(2), 16)
            if is_failure(code):
                out.add(Record("wulog", "install", time, code=code, text=text_), local=True)
