# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The agent played in Python: what ``wu_apply`` does, read out of docs/architecture.md a second time."""

from __future__ import annotations

import calendar
import functools
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from .model_observe import FOLDERS, OSUPGRADE, SERVICES, W32TIME, Observer, why_of
from .sim import SimError

DOWNLOADER = r"C:\ProgramData\Microsoft\Network\Downloader"
# What may be stopped, started and changed.
OURS = tuple(name for name in SERVICES if name not in ("TrustedInstaller", "WaaSMedicSvc", "AppIDSvc", "msiserver"))
STRONG = {
    "cbs_reboot_pending",
    "cbs_reboot_in_progress",
    "wu_reboot_required",
    "server_manager",
    "netlogon_join",
    "computer_rename",
}
SDDL = {
    "bits": "D:(A;CI;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;SY)(A;;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;BA)"
    "(A;;CCLCSWLOCRRC;;;IU)(A;;CCLCSWLOCRRC;;;SU)",
    "wuauserv": "D:(A;;CCLCSWRPLORC;;;AU)(A;;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;BA)(A;;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;SY)",
}
RUN_ID = re.compile(r"(\d{8}T\d{6}Z)-([0-9a-f]{6})")
OURS_ENDING = re.compile(r"\.wu(?:-([0-9a-z]{6,7})[0-9a-z]{2}|_repair-(\d{8}T\d{6}Z)-[0-9a-f]{6,8})(\.new)?$")


def _second(stamp: str) -> int:
    return calendar.timegm(time.strptime(stamp, "%Y%m%dT%H%M%SZ"))


def _base36(number: int) -> str:
    return "0123456789abcdefghijklmnopqrstuvwxyz"[number] if number < 36 else _base36(number // 36) + _base36(number % 36)


def ending(run: str) -> str:
    """What a run appends to what it sets aside."""
    stamp, rest = RUN_ID.fullmatch(run).groups()  # type: ignore[union-attr]
    return f".wu-{_base36(_second(stamp)):0>6}{_base36(int(rest, 16) % 1296):0>2}"


def made_at(name: str) -> int | None:
    """When a run made what has that name."""
    found = OURS_ENDING.search(name)
    if not found:
        return None
    return int(found[1], 36) if found[1] else _second(found[2])


class Refused(Exception):
    """A request that is not carried out; one line says why."""


class Applier(Observer):
    """Changes a host by platform functions alone."""

    def apply(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The reply to an apply request."""
        try:
            _check(request)
            session: Any = self._call("Get-SessionFact", {})
            if not session["is_64bit"]:
                raise Refused("PowerShell is a 32-bit process on the host")
        except Refused as error:
            return {"schema": 1, "refused": str(error)}
        steps = [dict(step, args=dict(step.get("args") or {})) for step in request["steps"]]
        rows = [
            {
                "id": step["id"],
                "kind": step["kind"],
                "status": "not_run",
                "changed": False,
                "why": None,
                "before": None,
                "after": None,
                "ms": 0,
            }
            for step in steps
        ]
        lock: Any = self._call("Enter-HostChange", {"Run": request["run"]})
        if not lock["held"] and not lock["why"]:
            return {"schema": 1, "refused": "another run changes this host now", "busy": lock["by"] or ""}
        try:
            return self._change(request, steps, rows, lock["why"])
        finally:
            self._call("Exit-HostChange", {"Lock": lock})

    def _change(
        self, request: Mapping[str, Any], steps: list[dict[str, Any]], rows: list[dict[str, Any]], open_to_others: str | None
    ) -> dict[str, Any]:
        reply: dict[str, Any] = {
            "schema": 1,
            "op": "apply",
            "differs": self._differs(request.get("expect") or []),
            "steps": rows,
            "failed": None,
            "undone": [],
            "warnings": [],
            "changed": False,
            "sections": None,
        }
        run = _Run(self._call, request["run"])
        if open_to_others:
            run.warnings.append({"id": None, "why": f"other runs are not kept out: {open_to_others}"})
        reply["warnings"] = run.warnings
        if reply["differs"]:
            return reply
        pairs = list(zip(steps, rows, strict=True))
        last = [pair for pair in pairs if pair[0]["kind"] == "prune_backups"]
        reply["failed"] = run.play([pair for pair in pairs if pair not in last])
        if reply["failed"]:
            reply["undone"] = run.take_back()
            reply["changed"] = not all(line["ok"] for line in reply["undone"])
        else:
            run.complete(last)
            passing = {"stop_service", "restore_services"}
            reply["changed"] = any(
                row["changed"] for row in rows if row["kind"] not in passing and row["id"] not in run.stop_after.values()
            )
        reply["warnings"] = run.warnings
        if request.get("observe"):
            reply["sections"] = self.observe(request["observe"])["sections"]
        return reply

    def _differs(self, expect: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
        found = []
        for one in expect:
            now = self._found(one)
            want = ", ".join(sorted(one["is"])) if one["field"] == "backups" else one.get("is")
            if not _holds({**one, "is": want}, now):
                row = {name: one.get(name) for name in ("what", "name", "field")}
                found.append({**row, "expected": want, "found": now})
        return found

    def _found(self, one: Mapping[str, Any]) -> Any:
        name = str(one.get("name"))
        if one["what"] == "service":
            table: Any = self._call("Get-ServiceTable", {"Name": [name]})
            return table.get(name, {}).get("start")
        if one["what"] == "folder":
            return self._folder(name, one["field"])
        if one["what"] == "value":
            key, _cut, value = name.rpartition("\\")
            return self.value(key, value)
        if one["what"] == "boot":
            host: Any = self._call("Get-HostFact", {})
            if one["field"] == "uptime":
                clock_ms: Any = self._call("Get-HostClock", {})
                return clock_ms // 1000 - host["boot_time"]
            return host["boot_time"]
        if one["what"] == "servicing":
            return self._busy()
        # An update that does no work and waits for a restart.
        waits = self.look_servicing({}, 0)["in_progress"] == 1
        return waits or bool(STRONG & set(self.look_reboot({}, 0)["markers"]))

    def _folder(self, name: str, field: str) -> Any:
        path = f"{FOLDERS[name]}\\{name}"
        if field == "backups":
            names: Any = self._call("Get-ChildName", {"Path": FOLDERS[name], "Filter": f"{name}.wu*"})
            return ", ".join(sorted(names))
        if field == "file":
            return self._call("Get-FileFact", {"Path": path}) is not None
        fact: Any = self._call("Get-FolderFact", {"Path": path})
        return fact is not None if field == "exists" else (fact or {"created": None, "reparse": False})[field]

    def _busy(self) -> bool:
        """Whether something is installed: a worker that takes no time in two spans of three seconds is waited for, at most 150 s."""
        end = time.monotonic() + 150
        before: dict[str, int] = {}
        grown = 0
        while time.monotonic() < end:
            look = self.look_servicing({}, 0)
            times = look["times"]
            if look["in_progress"] == 2 or look["setup_in_progress"] or look["upgrade_in_progress"]:
                return True
            if {"SetupHost", "setupprep"} & set(times):
                return True
            if not times:
                return False
            if before:
                grown = grown + 1 if any(times[name] - before.get(name, times[name]) >= 50 for name in times) else 0
                if grown == 2:
                    return True
                if not grown and "TiWorker" not in times:
                    return False
            before = times
            time.sleep(3)
        return grown > 0


def _holds(one: Mapping[str, Any], now: Any) -> bool:
    """Whether what was expected is so: a start of the host within five seconds, an uptime that went on."""
    if one["what"] != "boot" or not isinstance(now, int) or not isinstance(one.get("is"), int):
        return bool(now == one.get("is"))
    apart = now - int(one["is"])
    return apart >= -5 if one["field"] == "uptime" else abs(apart) <= 5


# What each argument of each kind may be; the second reading of the table of steps.
def _whole(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _among(*allowed: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value in allowed


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _servers(value: Any) -> bool:
    known = re.compile(r"[A-Za-z0-9.:_-]{1,253}(,0x[0-9A-Fa-f]{1,2})?")
    return value is None or (
        isinstance(value, list) and all(isinstance(item, str) and known.fullmatch(item) for item in value)
    )


def _zone(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9 .+()-]{1,64}", value) is not None


def _flag(value: Any) -> bool:
    return value is None or isinstance(value, bool)


_WAIT = _whole(0, 3_600_000)
_FOLDER = _among(*FOLDERS)
RULES: dict[str, dict[str, Callable[[Any], bool]]] = {
    "set_start_type": {"name": _among(*OURS), "start": _whole(2, 4), "delayed": _is_bool},
    "stop_service": {"name": _among(*OURS), "timeout_ms": _WAIT, "needed": _flag},
    "restore_services": {"timeout_ms": _WAIT},
    "start_service": {
        "name": _among(*OURS),
        "timeout_ms": _WAIT,
        "stop_after": _flag,
        "needed": _flag,
    },
    "set_aside": {"folder": _FOLDER},
    "prune_backups": {"folder": _FOLDER, "keep": _whole(1, 1000)},
    "set_value": {
        "key": _among(OSUPGRADE),
        "name": _among("AllowOSUpgrade"),
        "kind": _among("DWord"),
        "value": _whole(0, 1),
    },
    "remove_value": {"key": _among(OSUPGRADE), "name": _among("AllowOSUpgrade")},
    "set_time_source": {"type": _among("NTP", "NT5DS", "AllSync", "NoSync"), "servers": _servers},
    "resync": {"rediscover": _is_bool, "lift_limit": _is_bool, "timeout_ms": _WAIT, "settle_ms": _WAIT},
    "set_clock": {"offset_ms": _whole(-3_155_760_000_000, 3_155_760_000_000)},
    "set_time_zone": {"id": _zone},
    "set_aside_bits_queue": {},
    "set_service_security": {"name": _among(*SDDL)},
}
EXPECT = {
    ("service", "start"),
    ("folder", "exists"),
    ("folder", "reparse"),
    ("folder", "file"),
    ("folder", "created"),
    ("folder", "backups"),
    ("value", "value"),
    ("boot", "time"),
    ("boot", "uptime"),
    ("servicing", "busy"),
    ("reboot", "pending"),
}


def _check(request: Mapping[str, Any]) -> None:
    if request.get("schema") != 1 or request.get("op") != "apply":
        raise Refused("this agent applies by schema 1 alone")
    if not RUN_ID.fullmatch(str(request.get("run"))):
        raise Refused("run is not a run id")
    uses = request.get("uses") or []
    if unknown := [kind for kind in uses if kind not in RULES]:
        raise Refused(f"unknown kind of step {unknown[0]}")
    for step in request.get("steps") or []:
        kind, args = step.get("kind"), step.get("args") or {}
        if kind not in uses:
            raise Refused(f"step kind {kind} is not among those it says it uses")
        if more := set(args) - set(RULES[kind]):
            raise Refused(f"unknown argument {min(more)} of {kind}")
        for name, good in RULES[kind].items():
            if not good(args.get(name)):
                raise Refused(f"argument {name} of {kind} is missing or outside the fixed set")
    _check_expectations(request)


def _check_expectations(request: Mapping[str, Any]) -> None:
    for one in request.get("expect") or []:
        what, field, name = one.get("what"), one.get("field"), one.get("name")
        if (
            (what, field) not in EXPECT
            or (what == "folder" and name not in FOLDERS)
            or (what == "value" and str(name) != OSUPGRADE + r"\AllowOSUpgrade")
        ):
            raise Refused(f"unknown expectation {what} {name} {field}")


def _done(before: Any, after: Any) -> dict[str, Any]:
    return {"status": "done", "changed": True, "before": before, "after": after}


def _skip(why: str, state: Any = None) -> dict[str, Any]:
    return {"status": "skipped", "changed": False, "why": why, "before": state, "after": state}


Pair = tuple[dict[str, Any], dict[str, Any]]


class _Run:
    """The steps of one apply, and what takes each effect back."""

    POLL_S = 0.02

    def __init__(self, call: Callable[[str, dict[str, Any]], object], run: str) -> None:
        self._call = call
        self._ending = ending(run)
        self._undo: list[tuple[dict[str, Any], Callable[[], str | None]]] = []
        # Services that were stopped and shall run again: name, step, whether the run may fail for it.
        self._stopped: list[tuple[str, dict[str, Any], bool]] = []
        self.stop_after: dict[str, int] = {}
        self.warnings: list[dict[str, Any]] = []

    def play(self, pairs: list[Pair]) -> dict[str, Any] | None:
        """Carry out steps until one fails: that failure, or None. A plan that forgot them leaves no service stopped."""
        for step, row in pairs:
            failed = self._step(step, row)
            if failed:
                return failed
        while self._stopped:
            step = self._stopped[-1][1]
            try:
                self._restore_one(step, 60000)
            except SimError as error:
                return {"id": step["id"], "why": why_of(error), "code": error.hresult}
        return None

    def _step(self, step: dict[str, Any], row: dict[str, Any]) -> dict[str, Any] | None:
        begin = time.monotonic()
        self._now = step
        try:
            row.update(getattr(self, f"_do_{step['kind']}")(**step["args"]))
        except SimError as error:
            row.update(status="failed", why=why_of(error))
            return {"id": step["id"], "why": why_of(error), "code": error.hresult}
        finally:
            row["ms"] = round((time.monotonic() - begin) * 1000)
        return None

    def complete(self, pairs: list[Pair]) -> None:
        """What runs when all else has succeeded, and can fail nothing."""
        for name, number in self.stop_after.items():
            try:
                self._stop(name, 30000, kill=False)
            except SimError as error:
                self.warnings.append({"id": number, "why": why_of(error)})
        for step, row in pairs:
            failed = self._step(step, row)
            if failed:
                row["status"] = "skipped"
                self._remark(failed["why"])

    def _remark(self, why: str) -> None:
        self.warnings.append({"id": self._now["id"], "why": why})

    def _effect(self, do: Callable[[], object], undo: Callable[[], object], step: dict[str, Any] | None = None) -> None:
        """Register the way back, then make the effect."""
        self._undo.append((step or self._now, undo))  # type: ignore[arg-type]
        do()

    def take_back(self) -> list[dict[str, Any]]:
        """Undo in reverse; what is so already is success."""
        lines = []
        for step, undo in reversed(self._undo):
            line = {"id": step["id"], "kind": step["kind"], "ok": True, "why": None}
            try:
                said = undo()
                line["why"] = said if isinstance(said, str) else None
            except SimError as error:
                line.update(ok=False, why=why_of(error))
            lines.append(line)
        return lines

    # services

    def _row(self, name: str) -> dict[str, Any]:
        table: Any = self._call("Get-ServiceTable", {"Name": [name]})
        row: dict[str, Any] = table.get(name)
        return row

    def _wait(self, name: str, state: str, timeout_ms: int) -> bool:
        deadline = time.monotonic() + timeout_ms / 1000
        while True:
            row = self._row(name)
            if row is None or row["state"] == state:
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(self.POLL_S)

    def _stop(self, name: str, timeout_ms: int, *, kill: bool = True) -> None:
        row = self._row(name)
        if row is None or row["state"] == "stopped":
            return
        fault = None
        try:
            self._call("Send-ServiceStop", {"Name": name})
        except SimError as error:
            fault = error
        if self._wait(name, "stopped", 0 if fault else timeout_ms):
            return
        row = self._row(name)
        late = f"{name} did not stop within {timeout_ms / 1000:g} s (state {row['state']})"
        if not kill or (fault and fault.hresult & 0xFFFFFFFF == 0x80070005):
            raise SimError(fault.hresult if fault else 0x8007041D, late)
        process, shared = self._process(name)
        if shared != 1:
            raise SimError(fault.hresult if fault else 0x8007041D, f"{late}; its process serves {shared} services")
        fact: Any = self._call("Get-ProcessFact", {"ProcessId": process})
        if fact["name"] != "svchost":
            raise SimError(0x8007041D, f"{late}; its process is {fact['name']}")
        self._call("Stop-ServiceProcess", {"ProcessId": process, "Name": fact["name"], "Started": fact["started"]})
        if not self._wait(name, "stopped", 10000):
            raise SimError(0x8007041D, f"{name} is not stopped though its process was ended")

    def _process(self, name: str) -> tuple[int, int]:
        """The process of a service and how many services it runs, from what sc.exe prints."""
        text = str(self._call("Read-ServiceListing", {}))
        blocks = [block.splitlines() for block in text.replace("\r\n", "\n").strip().split("\n\n")]
        pids = {block[0].split(": ", 1)[1]: int(block[-2].split(":")[1]) for block in blocks if len(block) > 8}
        own = pids.get(name, 0)
        return own, list(pids.values()).count(own) if own else 0

    def _start(self, name: str, timeout_ms: int, stop_ms: int = 30000) -> str | None:
        row = self._row(name)
        if row and row["state"] == "stop_pending" and not self._wait(name, "stopped", stop_ms):
            return f"{name} never stopped: it is still stopping"
        if row is None or row["state"] == "running":
            return None
        self._call("Send-ServiceStart", {"Name": name})
        if not self._wait(name, "running", timeout_ms):
            raise SimError(0x8007041D, f"{name} does not run")
        return None

    def _restore_one(self, step: dict[str, Any], timeout_ms: int) -> str:
        """Start again what was stopped last."""
        name, _by, needed = self._stopped[-1]

        def stop_for_the_move_back() -> str | None:
            try:
                self._stop(name, 30000, kill=needed)
            except SimError as error:
                return why_of(error)
            return None

        try:
            self._effect(lambda: self._start(name, timeout_ms, 5000), stop_for_the_move_back, step)
        except SimError as error:
            if needed:
                raise
            self.warnings.append({"id": step["id"], "why": f"not started again: {why_of(error)}"})
        self._stopped.pop()
        return name

    def _do_set_start_type(self, name: str, start: int, delayed: bool) -> dict[str, Any]:
        row = self._row(name)
        if row is None:
            return _skip("no such service")
        before = {"start": row["start"], "delayed": row["delayed"]}
        after = {"start": start, "delayed": delayed}
        if row["start"] == start and (start != 2 or row["delayed"] == delayed):
            return _skip("is so", before)

        def put(wanted: Mapping[str, Any]) -> None:
            is_so = self._row(name)
            if is_so["start"] != wanted["start"] or is_so["delayed"] != wanted["delayed"]:
                self._call("Set-ServiceStart", {"Name": name, "Start": wanted["start"], "Delayed": wanted["delayed"]})

        try:
            self._effect(lambda: put(after), lambda: put(before))
        except SimError as error:
            self._remark(f"the start type of {name} was not changed: {why_of(error)}")
            return _skip(why_of(error), before)
        return _done(before, after)

    def _do_stop_service(self, name: str, timeout_ms: int, needed: bool | None = None) -> dict[str, Any]:
        row = self._row(name)
        if row is None:
            return _skip("no such service")
        before = {"state": row["state"], "dependents": row["dependents"]}
        if row["state"] == "stopped":
            return _skip("was not running", before)
        try:
            strange = [one for one in row["dependents"] if one not in OURS]
            if strange:
                raise SimError(0x8007041B, f"{', '.join(strange)} would stop with {name} and is not ours to stop")
            for one in row["dependents"]:
                self._stop_running(one, timeout_ms, False)
            self._stop_running(name, timeout_ms, needed is not False)
        except SimError as error:
            if needed is not False:
                raise
            self._remark(why_of(error))
            return _skip(why_of(error), before)
        return _done(before, {"state": "stopped", "dependents": []})

    def _stop_running(self, name: str, timeout_ms: int, needed: bool) -> None:
        row = self._row(name)
        if row is None or row["state"] == "stopped":
            return
        self._stopped.append((name, self._now, needed))
        again = functools.partial(self._start, name, 60000, min(30000, timeout_ms))
        self._effect(lambda: self._stop(name, timeout_ms, kill=needed), again)

    def _do_restore_services(self, timeout_ms: int) -> dict[str, Any]:
        started = []
        while self._stopped:
            started.append(self._restore_one(self._now, timeout_ms))
        return _done(None, {"started": started}) if started else _skip("nothing was stopped")

    def _do_start_service(
        self, name: str, timeout_ms: int, stop_after: bool | None = None, needed: bool | None = None
    ) -> dict[str, Any]:
        row = self._row(name)
        if row is None:
            raise SimError(0x80070424, f"there is no service {name}")
        if row["state"] == "running":
            return _skip("is running", {"state": "running"})
        if row["start"] == 4:
            self._remark(f"{name} is disabled and was not started")
            return _skip("is disabled", {"state": row["state"]})
        try:
            self._effect(lambda: self._start(name, timeout_ms), lambda: self._stop(name, 30000))
        except SimError as error:
            if needed is not False:
                raise
            self._remark(why_of(error))
            return _skip(why_of(error), {"state": row["state"]})
        if stop_after:
            self.stop_after[name] = self._now["id"]
        return _done({"state": row["state"]}, {"state": "running"})

    # folders

    def _do_set_aside(self, folder: str) -> dict[str, Any]:
        parent = FOLDERS[folder]
        path, target = f"{parent}\\{folder}", f"{parent}\\{folder}{self._ending}"
        fact: Any = self._call("Get-FolderFact", {"Path": path})
        if fact is None and self._call("Get-FileFact", {"Path": path}) is None:
            return _skip("there is no such folder")
        if fact is None:
            self._effect(
                lambda: self._call("Move-SingleFile", {"Path": path, "Destination": target}), lambda: self._back(path, target, "File")
            )
            return _done({"path": path}, {"path": target})
        if fact["reparse"]:
            raise SimError(0x80071126, f"{path} is a reparse point and is not moved")
        if self._call("Get-ChildName", {"Path": parent, "Filter": f"{folder}{self._ending}"}):
            raise SimError(0x800700B7, f"{target} is there already")
        self._effect(
            lambda: self._call("Move-Folder", {"Path": path, "Destination": target}), lambda: self._back(path, target, "Folder")
        )
        return _done({"path": path}, {"path": target})

    def _back(self, path: str, target: str, kind: str) -> None:
        """What was moved to target to path again; what Windows made there meanwhile is moved away."""
        fact, move = f"Get-{kind}Fact", "Move-Folder" if kind == "Folder" else "Move-SingleFile"
        if self._call(fact, {"Path": target}) is None:
            return
        if self._call("Get-FolderFact", {"Path": path}) is not None:
            self._call("Move-Folder", {"Path": path, "Destination": target + ".new"})
        if self._call("Get-FileFact", {"Path": path}) is not None:
            self._call("Move-SingleFile", {"Path": path, "Destination": target + ".new"})
        self._call(move, {"Path": target, "Destination": path})

    def _do_prune_backups(self, folder: str, keep: int) -> dict[str, Any]:
        parent = FOLDERS[folder]
        names: Any = self._call("Get-ChildName", {"Path": parent, "Filter": f"{folder}.wu*"})
        ours = sorted((name for name in names if made_at(name)), key=lambda name: (made_at(name), name), reverse=True)
        gone, stays = [], []
        for name in ours[keep:]:
            fact: Any = self._call("Get-FolderFact", {"Path": f"{parent}\\{name}"})
            if not (fact and fact["reparse"]) and self._ending not in name:
                try:
                    self._call("Remove-FolderTree", {"Path": f"{parent}\\{name}"})
                    gone.append(name)
                except SimError as error:
                    stays.append(f"{name} was not deleted: {why_of(error)}")
        for why in stays:
            self._remark(why)
        if gone:
            done = _done({"backups": ours}, {"backups": [name for name in ours if name not in gone]})
            return {**done, "why": stays[0] if stays else None}
        return _skip(stays[0] if stays else "nothing to remove")

    def _do_set_aside_bits_queue(self) -> dict[str, Any]:
        names: set[str] = set()
        for pattern in ("qmgr*.dat", "qmgr.db", "qmgr.jfm", "edb*.log", "edb.chk"):
            found: Any = self._call("Get-ChildName", {"Path": DOWNLOADER, "Filter": pattern})
            names.update(name for name in found if ".wu-" not in name and ".wu_repair-" not in name)
        if not names:
            return _skip("there is no queue")
        for name in sorted(names):
            path = f"{DOWNLOADER}\\{name}"
            target = f"{path}{self._ending}"
            move = functools.partial(self._call, "Move-SingleFile", {"Path": path, "Destination": target})
            self._effect(move, functools.partial(self._back, path, target, "File"))
        return _done({"files": sorted(names)}, {"files": []})

    # registry and clock

    def _get(self, key: str, name: str) -> Any:
        read: Any = self._call("Read-RegistryKey", {"Key": key})
        return read["values"].get(name) if read else None

    def _put(self, key: str, name: str, kind: str, value: Any, *, made: bool = False) -> None:
        if value is None:
            self._call("Remove-RegistryValue", {"Key": key, "Name": name, "EmptyKey": made})
        else:
            self._call("Write-RegistryValue", {"Key": key, "Name": name, "Kind": kind, "Value": value})

    def _set(self, key: str, name: str, kind: str, value: Any) -> bool:
        before = self._get(key, name)
        if before == value:
            return False
        was = "String" if isinstance(before, str) else kind
        made = self._call("Read-RegistryKey", {"Key": key}) is None
        self._effect(lambda: self._put(key, name, kind, value), lambda: self._put(key, name, was, before, made=made))
        return True

    def _do_set_value(self, key: str, name: str, kind: str, value: Any) -> dict[str, Any]:
        before = {"value": self._get(key, name)}
        return _done(before, {"value": value}) if self._set(key, name, kind, value) else _skip("is so", before)

    def _do_remove_value(self, key: str, name: str) -> dict[str, Any]:
        return self._do_set_value(key, name, "DWord", None)

    def _time_service_reads(self) -> None:
        row = self._row("W32Time")
        if row and row["state"] == "running":
            self._program("/config", "/update")

    def _program(self, *arguments: str, timeout_ms: int = 30000) -> Any:
        asked = {"Path": r"C:\Windows\System32\w32tm.exe", "Argument": list(arguments), "TimeoutMs": timeout_ms}
        return self._call("Invoke-Program", asked)

    def _do_set_time_source(self, type: str, servers: list[str] | None = None) -> dict[str, Any]:
        key = W32TIME + r"\Parameters"
        before = {"type": self._get(key, "Type"), "servers": self._get(key, "NtpServer")}
        if self._needs(before, type, servers):
            self._undo.append((self._now, self._time_service_reads))  # undone last of this step, when the values are back
        changed = self._set(key, "Type", "String", type)
        if servers is not None:
            changed = self._set(key, "NtpServer", "String", " ".join(servers)) or changed
        if not changed:
            return _skip("is so", before)
        self._time_service_reads()
        return _done(before, {"type": self._get(key, "Type"), "servers": self._get(key, "NtpServer")})

    @staticmethod
    def _needs(before: Mapping[str, Any], kind: str, servers: list[str] | None) -> bool:
        return before["type"] != kind or (servers is not None and before["servers"] != " ".join(servers))

    def _own_offset(self) -> dict[str, Any]:
        look = Observer(self._call).look_clock({"start_ms": 0}, 0)
        answered = [row for row in look["sources"] if row["ok"]]
        return {
            "offset_ms": answered[0]["offset_ms"] if answered else None,
            "server": answered[0]["server"] if answered else None,
        }

    def _do_resync(self, rediscover: bool, lift_limit: bool, timeout_ms: int, settle_ms: int) -> dict[str, Any]:
        config = W32TIME + r"\Config"
        before = self._own_offset()
        limits = {name: self._get(config, name) for name in ("MaxPosPhaseCorrection", "MaxNegPhaseCorrection")}
        try:
            if lift_limit:
                for name in limits:
                    self._put(config, name, "DWord", 0xFFFFFFFF)
                self._time_service_reads()
            code = self._program("/resync", *(["/rediscover"] if rediscover else []), timeout_ms=timeout_ms)
            deadline = time.monotonic() + settle_ms / 1000
            after = self._own_offset()
            while code == 0 and time.monotonic() < deadline and abs(after["offset_ms"] or 0) >= 1000:
                time.sleep(self.POLL_S)
                after = self._own_offset()
        finally:
            if lift_limit:
                for name, value in limits.items():
                    self._put(config, name, "DWord", value)
                self._time_service_reads()
        if code is None:
            raise SimError(0x800705B4, f"the resync took longer than {timeout_ms / 1000:g} s")
        if code != 0:
            raise SimError(code, "the time service did not resync")
        known = before["offset_ms"] is not None and after["offset_ms"] is not None
        return {**_done(before, after), "changed": not known or abs(before["offset_ms"] - after["offset_ms"]) >= 1000}

    def _do_set_clock(self, offset_ms: int) -> dict[str, Any]:
        before = {"clock_ms": self._call("Get-HostClock", {})}
        if offset_ms == 0:
            return _skip("is so", before)
        self._effect(
            lambda: self._call("Set-HostClock", {"OffsetMs": offset_ms}),
            lambda: self._call("Set-HostClock", {"OffsetMs": -offset_ms}) if self._clock_moved(before["clock_ms"], offset_ms) else None,
        )
        return _done(before, {"clock_ms": self._call("Get-HostClock", {})})

    def _clock_moved(self, before_ms: Any, offset_ms: int) -> bool:
        """Whether the clock is nearer to where it was set than to where it was; a run takes no longer than half a minute here."""
        now: Any = self._call("Get-HostClock", {})
        return bool(abs(now - before_ms - offset_ms) < abs(now - before_ms))

    def _do_set_time_zone(self, id: str) -> dict[str, Any]:
        before = {"id": self._call("Get-TimeZoneId", {})}
        if before["id"] == id:
            return _skip("is so", before)
        self._effect(lambda: self._call("Set-TimeZoneId", {"Id": id}), lambda: self._call("Set-TimeZoneId", {"Id": before["id"]}))
        return _done(before, {"id": id})

    def _do_set_service_security(self, name: str) -> dict[str, Any]:
        before = {"sddl": self._call("Get-ServiceSecurity", {"Name": name})}
        if before["sddl"] == SDDL[name]:
            return _skip("is so", before)
        self._effect(
            lambda: self._call("Set-ServiceSecurity", {"Name": name, "Sddl": SDDL[name]}),
            lambda: self._call("Set-ServiceSecurity", {"Name": name, "Sddl": before["sddl"]}),
        )
        return _done(before, {"sddl": SDDL[name]})
