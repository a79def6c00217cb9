# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Prints what came of a run of the playbooks beside it, last on the screen, and writes the report.

All that decides is in plugin_utils/run.py.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import platform
import re
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible import constants as C
from ansible import context
from ansible.inventory.manager import split_host_pattern
from ansible.plugins.callback import CallbackBase
from ansible.release import __version__ as ansible_version
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import plan, report
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import run as runs
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils._action import too_old
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils._files import FileError, append_lines, write_json, write_text

DOCUMENTATION = """
name: wu_repair_summary
type: aggregate
short_description: Summary and report of the playbooks of winfleet.wu_repair
description:
  - On by itself with the playbooks C(winfleet.wu_repair.check_wu) and C(winfleet.wu_repair.fix_wu), also through import_playbook.
  - Prints totals, what is left to do by cause and owner, and the hosts that are not healthy, after the recap. Writes the report that the
    variable C(wu_repair_report) names.
"""

_COLLECTION = "winfleet.wu_repair."
_OURS = Path(__file__).resolve().parents[1]
# What may change a host.
_CHANGES = (*(f"{_COLLECTION}{name}" for name in ("win_timesync", "win_wu_reset", "win_osupgrade_reg")), "ansible.windows.win_reboot")
# No pattern that may well match nobody.
_A_NAME = re.compile(r"\w[\w.-]*")
_NOBODY = "No host was looked at: no host matches the pattern of wu_repair_hosts (and --limit), or tags left the look out."


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Gathers the rows that modules of this collection return."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "wu_repair_summary"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._run: runs.Run | None = None
        self._report: Path | None = None
        self._alone = False
        self._pid = os.getpid()
        # A run that is interrupted (Ctrl-C) sends no statistics.
        atexit.register(self._interrupted)
        # Results had other names, and the first task refuses.
        self.disabled = bool(too_old(ansible_version))

    # -- what ansible-core tells

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """A playbook begins; where it is one of ours, nothing else is in it."""
        path = Path(str(getattr(playbook, "_file_name", "")))
        self._alone = path.resolve().parent == _OURS
        self._begin(path.stem)
        # Where ansible-core runs in a thread of another program, its signals are not ours.
        with contextlib.suppress(ValueError):
            for number in (signal.SIGTERM, signal.SIGHUP):
                self._catch(number)

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """The first play that looks at hosts says who is asked for."""
        if self._run is None or self._run.rows or str(play.get_name()) != "Look" or not self._is_ours(play):
            return
        with contextlib.suppress(Exception):
            # Without it the summary does not know who was not looked at any more.
            inventory = play.get_variable_manager()._inventory
            names = [name for item in play.hosts for name in split_host_pattern(str(item)) if _A_NAME.fullmatch(name)]
            unknown = [name for name in names if not inventory.get_hosts(name, ignore_limits=True)]
            self._run.ask(",".join(map(str, play.hosts)), [str(host.name) for host in inventory.get_hosts(play.hosts)], unknown)

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        """A task begins on a host."""
        if self._run is not None:
            self._run.begins(str(host.name), str(task.get_name()), int(time.time()), changes=_action(task) in _CHANGES)

    def v2_runner_on_skipped(self, result: Any) -> None:
        """Nothing was to be done."""
        if self._run is not None:
            self._run.ends(str(result.host.name))

    def v2_runner_on_ok(self, result: Any) -> None:
        """A task went well."""
        self._take(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """A task failed; before a module of ours could say anything, or on purpose."""
        self._take(result, ended=not ignore_errors)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """A host was lost in a task that is not of this collection's modules."""
        self._take(result, ended=True)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """The playbook is over, and ansible-core has printed its recap."""
        run, self._run = self._run, None
        if run is None:
            return
        if run.rows or run.asked or self._alone:
            self._tell(run)
        if self._alone and not run.rows:
            # Nothing failed, since nothing was done: exit codes of ansible-core call that a success.
            raise SystemExit(2)

    # -- what is made of it

    def _begin(self, playbook: str) -> None:
        now = time.time()
        self._report = None
        self._run = runs.Run(
            runs.Head(
                run=plan.new_run_id(now),
                began=int(now),
                playbook=playbook,
                version=_version(),
                ansible=ansible_version,
                controller=platform.node(),
                limit=str(context.CLIARGS.get("subset") or ""),
                check=bool(context.CLIARGS.get("check")),
            )
        )

    def _is_ours(self, thing: Any) -> bool:
        path = str(thing.get_path() or "").rpartition(":")[0]
        return bool(path) and Path(path).resolve().is_relative_to(_OURS.parent)

    def _take(self, result: Any, *, ended: bool = False) -> None:
        if self._run is None:
            return
        returned: Mapping[str, Any] = result.result
        task, host, now = result.task, str(result.host.name), int(time.time())
        self._run.ends(host)
        action = _action(task)
        if action == f"{_COLLECTION}wu_case" and task.args.get("event") == "begin":
            self._begun(host, returned, failed=ended)
        elif action.startswith(_COLLECTION) and report.is_of_case(returned):
            self._run.take(host, returned, now)
        elif action.startswith(_COLLECTION) and returned.get("not_tried"):
            self._run.not_tried(host)
        elif ended and (action.startswith(_COLLECTION) or self._is_ours(task)):
            self._run.ended_by_ansible(host, returned, now)
        self._append()
        # Only when something ends: a thread beside the one that forks may leave a lock held in the child.
        if said := self._run.progress(now):
            self._print(said)

    def _begun(self, host: str, returned: Mapping[str, Any], *, failed: bool) -> None:
        """The variables were checked: what fails there is of the run and not of the host that was asked for it."""
        if self._run is not None and failed:
            self._run.refused = report.without_case(host, returned)["msg"]
        elif self._run is not None and isinstance(returned.get("run"), Mapping):
            self._run.shared_server = returned["run"].get("shared_server", self._run.shared_server)
            self._write_to(str(returned["run"].get("report") or ""))

    def _write_to(self, path: str) -> None:
        """The report's file is known, and that it can be written."""
        if self._run is None or not path:
            return
        self._report = Path(path)
        with contextlib.suppress(OSError, ValueError, RecursionError):
            self._run.previous = runs.previous(json.loads(self._report.read_text("utf-8")))
        self._guarded(write_text, runs.beside(self._report)[0], f"{json.dumps(self._run.first_line())}\n")

    def _append(self, *, all_of_them: bool = False) -> None:
        if self._run is None or self._report is None:
            return
        fresh = self._run.untold(all_of_them=all_of_them)
        if fresh:
            self._guarded(append_lines, runs.beside(self._report)[0], [json.dumps(row) for row in fresh])

    def _tell(self, run: runs.Run, *, interrupted: bool = False) -> None:
        run.name_shared_servers()
        said = run.lines(interrupted=interrupted, rest=str(self._report or ""))
        self._print(*(said if run.rows or run.refused or interrupted else [_NOBODY]))
        if self._report is None:
            return
        self._run = run
        self._append(all_of_them=True)
        self._run = None
        now = int(time.time())
        lines, table = runs.beside(self._report)
        self._guarded(append_lines, lines, [json.dumps({"ended": now, "interrupted": interrupted})])
        self._guarded(write_text, table, runs.as_csv(list(run.rows.values())))
        if self._guarded(write_json, self._report, run.document(now, interrupted=interrupted)):
            self._print(f"Report: {self._report} (beside it {lines.name} and {table.name})")

    def _interrupted(self) -> None:
        run, self._run = self._run, None
        if run is not None and os.getpid() == self._pid and (run.rows or run.asked):
            run.interrupt()
            self._tell(run, interrupted=True)

    def _catch(self, number: int) -> None:
        """Ctrl-C ends ansible-core by its own exits. These end it at once: whoever stops a service or container, a terminal that closes."""
        before = signal.getsignal(number)
        # A run by nohup ignores the terminal.
        if before in (signal.SIG_IGN, None):
            return

        def ended(number: int, frame: Any) -> None:
            # The terminal may be gone.
            with contextlib.suppress(OSError):
                self._interrupted()
            if callable(before):
                before(number, frame)
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

        signal.signal(number, ended)

    def _guarded(self, write: Any, path: Path, *content: Any) -> bool:
        """A disk that is full must not lose the summary."""
        try:
            write(path, *content)
        except FileError as error:
            self._display.warning(str(error))
            return False
        return True

    def _print(self, *lines: str) -> None:
        # Who reads JSON from the output must not find anything else in it.
        aside = "json" in str(C.DEFAULT_STDOUT_CALLBACK)
        for line in lines:
            self._display.display(line, stderr=aside)


def _action(task: Any) -> str:
    return str(getattr(task, "resolved_action", None) or task.action)


def _version() -> str:
    """The version of this collection, as Galaxy installed it."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads((_OURS.parent / "MANIFEST.json").read_text("utf-8"))["collection_info"]["version"])
    with contextlib.suppress(OSError):
        for line in (_OURS.parent / "galaxy.yml").read_text("utf-8").splitlines():
            if line.startswith("version:"):
                return line.partition(":")[2].strip()
    return ""
