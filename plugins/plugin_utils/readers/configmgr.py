# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: logs of the ConfigMgr client in the forms of CMTrace: WUAHandler, UpdatesDeployment, UpdatesHandler, UpdatesStore, ScanAgent;
of a site server the one of its synchronisation, wsyncmgr.log.

Searches of this client are those at its WSUS, the software update point. Logs of other components have the same form and say nothing
about updates.
"""

from __future__ import annotations

import re
from dataclasses import replace

from ..observation import OK, Observation
from .cmtrace import SYNC_MANAGER, Record, is_cmtrace, records
from .records import Collector, is_failure, kb_of, outcome_of_failure, part, to_code
from .told import WSUS_SERVICE, Told
from .update_log_line import GUID

__all__ = ["configmgr", "is_cmtrace"]

_CALLER = "CcmExec"
_COMPONENTS = (
    "wuahandler", "updatesdeploymentagent", "updatesdeployment", "updateshandler", "updatesstore", "scanagent", "ccmexec",
    "updatesinstallmgr", "locationservices", SYNC_MANAGER.lower(),
)  # fmt: skip
# CCM_E_POLICY_CONFLICT: another policy names another server than ConfigMgr.
POLICY_CONFLICT = 0x87D00692

_HEX = r"(?:0x)?([0-9A-Fa-f]{8})\b"
_SEARCH_FAILED = (
    ("search", re.compile(rf"Failed to end search job\. Error = {_HEX}")),
    ("scan", re.compile(rf"\bScan failed with error ?=? ?{_HEX}", re.I)),
    ("source", re.compile(rf"Failed to Add Update Source for WUAgent.{{0,120}}? Error = {_HEX}")),
    ("job", re.compile(rf"Failed at AddUpdateSource, Error = {_HEX}")),
    ("completion", re.compile(rf"[Ss]can completion received.{{0,60}}? result = {_HEX}")),
    ("warning", re.compile(rf"HResult: {_HEX} Context: uec")),
    ("initiate", re.compile(rf"Failed to (?:initiate|start|perform) (?:async )?(?:scan|search).{{0,80}}? [Ee]rror ?= ?{_HEX}")),
)
_CONFLICT = re.compile(r"settings were overwritten by a higher authority.{0,60}? to: Server (https?://[^\s,;\"']{1,200})?")
_SERVER = re.compile(
    r"(?:policy to use server: ?|Managed server was already set \(|WSUS(?:Server| Path)? ?= ?'?)(https?://[^\s)'\",;]{1,200})"
)
_SEARCHED = re.compile(
    r"Async searching completed|Successfully completed scan|Finished searching for everything|[Ss]can completed successfully"
)
_SEARCH_BEGUN = re.compile(r"Async searching of updates using WUAgent started")
_NOT_SYNCHRONISED = re.compile(r"Sync failed: |Failed to sync (?:update [0-9A-Fa-f-]{36}|some of the updates)\b")
_SYNCHRONISED = re.compile(r"Sync succeeded\. Setting sync alert")
_ASSIGNMENT = re.compile(rf"Job error \({_HEX}\) received for assignment")
_INSTALLING = re.compile(r"Starting install for assignment|ApplyCIs - JobId|EnforceAssignment|CI enforcement")
_DETECTING = re.compile(r"Detection job \(|Evaluation initiated|Started evaluation for assignment")
_RESULTS = (
    ("result", re.compile(rf"Update [0-9]{{1,5}} \((?P<update>{GUID})\) finished installing \((?P<code>0x[0-9A-Fa-f]{{1,8}})\)")),
    ("handler", re.compile(rf"update \((?P<update>{GUID})\) installation result = (?P<code>0x[0-9A-Fa-f]{{1,8}})", re.I)),
    (
        "progress",
        re.compile(
            rf"SUM_(?P<update>{GUID})\)? Progress: Status = ciState(?:Error|InstallComplete|Pending\w{{1,12}}Reboot)\b.{{0,120}}?"
            r"Result = (?P<code>0x[0-9A-Fa-f]{1,8})"
        ),
    ),
)
_INSTALL_FAILED = (
    (
        "install",
        re.compile(rf"Failed to install update(?:s|\(s\))?(?: \((?P<update>{GUID})\))?.{{0,80}}? Error = (?P<code>0x[0-9A-F]{{8}})", re.I),
    ),
    ("job", re.compile(r"nstallation job encountered some failures\.? (?:Error|Job Result) = (?P<code>0x[0-9A-Fa-f]{8})(?P<update>)")),
    ("final", re.compile(r"Failed to get final installation result of updates\. Error = (?P<code>0x[0-9A-Fa-f]{8})(?P<update>)")),
    ("initiate", re.compile(rf"Failed to initiate install of WSUS updates ?, error ?= ?(?P<code>{_HEX})(?P<update>)", re.I)),
    ("batch", re.compile(rf"Failed to start batch install through WSUS Install handler ?, error ?= ?(?P<code>{_HEX})(?P<update>)", re.I)),
    ("in batch", re.compile(rf"InstallUpdatesInBatch failed with error ?(?P<code>{_HEX})(?P<update>)")),
    ("execution", re.compile(r"Update execution failed(?:.{0,60}?(?P<code>0x[0-9A-Fa-f]{8}))?(?P<update>)")),
)
_DOWNLOAD_FAILED = (
    re.compile(rf"Failed to (?:start )?download (?:for )?(?:the )?update \((?P<update>{GUID})\).{{0,120}}? Error = (?P<code>{_HEX})", re.I),
    re.compile(rf"Failed to download updates to the WUAgent datastore\. Error = (?P<code>{_HEX})(?P<update>)"),
)
_ENFORCED = re.compile(rf"SUM_({GUID})\).{{0,120}}?StateName = CI_ENFORCEMENT_(SUCCESS|FAIL|ERROR)")
_NAMES = (
    re.compile(rf"SUM_(?P<update>{GUID})\) Name \((?P<title>.{{3,300}}?)\) ArticleID \((?P<kb>[0-9]{{6,8}})?\)"),
    re.compile(rf"Update \((?:Missing|Installed)\): (?P<title>.{{3,300}}?) \((?P<update>{GUID}), [0-9]{{1,5}}\)(?P<kb>)"),
    re.compile(
        rf"Queried Update \((?P<update>{GUID})\): Status=\w{{1,20}}, Title=(?P<title>.{{3,300}}?), BulletinID=.{{0,40}}?, "
        r"QNumbers=(?P<kb>[0-9]{6,8})?"
    ),
)
_STORED = re.compile(rf"Queried Update \(({GUID})\): Status=Installed\b")
# A failed search ends first, too: `Async searching completed` is a success only if no error follows.
_SETTLED_S, _SETTLED_RECORDS = 300, 12


class _Client:
    """Reads the records of the components that deal with updates."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._server: str | None = None
        self._installs = False
        self._searched: tuple[Record, Observation] | None = None
        self._not_downloaded: tuple[Record, int] | None = None

    def record(self, record: Record) -> None:
        """Take the next record."""
        if record.component.strip().lower() not in _COMPONENTS:
            return
        self._settle(record)
        for reader in (
            self._names, self._search_failed, self._conflict, self._search_went_well, self._result, self._install_failed, self._enforced,
            self._download, self._assignment, self._synchronised, self._context,
        ):  # fmt: skip
            if reader(record):
                return

    def close(self) -> None:
        """Tell the search that no error follows any more."""
        self._told_search()

    def _seen(self, record: Record, layer: str, update: str | None = None) -> Observation:
        seen = Observation(
            "configmgr",
            layer,
            time=record.time,
            place=record.place,
            channel=self._told.channel,
            update=update.lower() if update else None,
            line=f"{record.component}: {record.text}",
        )
        if layer == "scan":
            return replace(seen, service=WSUS_SERVICE, caller=_CALLER, name=self._server)
        if layer == "download" and not update:
            # To the agent, which takes the update as the WSUS published it.
            return replace(seen, service=WSUS_SERVICE)
        return seen

    def _ok(self, record: Record, update: str) -> None:
        self._told.add(replace(self._seen(record, "install", update), outcome=OK), local=record.local)

    def _bad(self, record: Record, layer: str, code: int | None, said_by: str, update: str | None = None) -> None:
        marker = None if code is not None else f"{layer}_failed"
        seen = self._seen(record, layer, update)
        seen = replace(seen, outcome=outcome_of_failure(layer, code), code=code, marker=marker)
        self._told.failed(seen, said_by, local=record.local)

    # -- searches

    def _search_failed(self, record: Record) -> bool:
        for said_by, pattern in _SEARCH_FAILED:
            code = to_code(part(pattern.search(record.text)))
            if code is None:
                continue
            if is_failure(code):
                self._searched = None
                self._bad(record, "scan", code, said_by)
            return True
        return False

    def _conflict(self, record: Record) -> bool:
        found = _CONFLICT.search(record.text)
        if found is None:
            return False
        self._server = found.group(1) or self._server
        self._bad(record, "scan", POLICY_CONFLICT, "conflict")
        return True

    def _search_went_well(self, record: Record) -> bool:
        if _SEARCH_BEGUN.search(record.text):
            self._told_search()
            return True
        if not _SEARCHED.search(record.text):
            return False
        if self._searched is None:
            self._searched = (record, replace(self._seen(record, "scan"), outcome=OK))
        return True

    def _settle(self, record: Record) -> None:
        """Whether the search that has ended went well: no error came within minutes and a few records."""
        if self._searched is None:
            return
        ended = self._searched[0]
        if ended.time is not None and record.time is not None:
            settled = abs(record.time - ended.time) > _SETTLED_S
        else:
            settled = record.place - ended.place > _SETTLED_RECORDS
        if settled:
            self._told_search()

    def _told_search(self) -> None:
        if self._searched is not None:
            record, seen = self._searched
            self._told.add(seen, local=record.local)
        self._searched = None

    # -- installations and downloads

    def _result(self, record: Record) -> bool:
        for said_by, pattern in _RESULTS:
            found = pattern.search(record.text)
            if found is None:
                continue
            code = int(found.group("code"), 16)
            if is_failure(code):
                self._bad(record, "install", code, said_by, found.group("update"))
            elif "ciStateError" not in record.text:
                self._ok(record, found.group("update"))
            return True
        return False

    def _install_failed(self, record: Record) -> bool:
        for said_by, pattern in _INSTALL_FAILED:
            found = pattern.search(record.text)
            if found is None:
                continue
            code = to_code(found.group("code"))
            if (code is None or is_failure(code)) and not self._is_told(record, code):
                self._bad(record, "install", code, said_by, found.group("update"))
            return True
        return False

    def _enforced(self, record: Record) -> bool:
        found = _ENFORCED.search(record.text)
        if found is None:
            return False
        if found.group(2) == "SUCCESS":
            self._ok(record, found.group(1))
        else:
            self._bad(record, "install", None, "enforced", found.group(1))
        return True

    def _download(self, record: Record) -> bool:
        for pattern in _DOWNLOAD_FAILED:
            found = pattern.search(record.text)
            if found is None:
                continue
            code = to_code(found.group("code"))
            if code is not None and is_failure(code):
                self._not_downloaded = (record, code)
                self._bad(record, "download", code, "download", found.group("update"))
            return True
        return False

    def _is_told(self, record: Record, code: int | None) -> bool:
        """Whether it is the failed download that an installation waited for."""
        if self._not_downloaded is None or self._not_downloaded[1] != code:
            return False
        return record.place - self._not_downloaded[0].place <= _SETTLED_RECORDS

    def _assignment(self, record: Record) -> bool:
        """A job of a deployment failed: its installation, or the search before it, by what was begun last."""
        code = to_code(part(_ASSIGNMENT.search(record.text)))
        if code is None:
            return False
        layer = "install" if self._installs and code != POLICY_CONFLICT else "scan"
        if is_failure(code):
            self._bad(record, layer, code, "assignment")
        return True

    # -- the site server

    def _synchronised(self, record: Record) -> bool:
        """A synchronisation of the site: of no host, and what no host can mend."""
        if record.component != SYNC_MANAGER:
            return False
        if _NOT_SYNCHRONISED.match(record.text):
            self._told.add(replace(self._seen(record, "sync"), marker="sync_failed"), local=record.local)
        elif _SYNCHRONISED.match(record.text):
            self._told.add(replace(self._seen(record, "sync"), outcome=OK), local=record.local)
        return True

    # -- what lines name

    def _names(self, record: Record) -> bool:
        for pattern in _NAMES:
            found = pattern.search(record.text)
            if found is None:
                continue
            kb = f"KB{found.group('kb')}" if found.group("kb") else kb_of(found.group("title"))
            self._told.name(found.group("update"), found.group("title"), kb)
            installed = part(_STORED.search(record.text))
            if installed is not None:
                self._ok(record, installed)
            return True
        return False

    def _context(self, record: Record) -> bool:
        self._server = part(_SERVER.search(record.text)) or self._server
        if _INSTALLING.search(record.text):
            self._installs = True
        elif _DETECTING.search(record.text):
            self._installs = False
        return True


def configmgr(text: str, out: Collector) -> None:
    """Read a log of the ConfigMgr client."""
    told = Told(out)
    client = _Client(told)
    for record in records(text):
        client.record(record)
    client.close()
    told.close()
