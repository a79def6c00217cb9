# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``python -m lab up`` starts a fleet, ``python -m lab list`` names the scenarios."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from lab import demo
from lab.fleet import BACKENDS, SCENARIOS, Fleet, parse_hosts, read_scenario


def _list() -> int:
    for path in sorted(SCENARIOS.glob("[!_]*.yml")):
        title = str(read_scenario(str(path)).get("title", "")).strip().splitlines()
        print(f"{path.stem:28} {title[0] if title else ''}".rstrip())
    return 0


def _ended(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _to_try(inventory: Path) -> str:
    """A command that works as it is pasted into any shell: this Python's ansible, and the collections that it finds here."""
    ansible = Path(sys.executable).with_name("ansible-playbook")
    collections = os.environ.get("ANSIBLE_COLLECTIONS_PATH", "")
    given = f"ANSIBLE_COLLECTIONS_PATH={shlex.quote(collections)} " if collections else ""
    return f"{given}{shlex.quote(str(ansible))} -i {shlex.quote(str(inventory))} winfleet.wu_repair.check_wu"


def _up(options: argparse.Namespace) -> int:
    # An ended lab leaves no programs and no temporary folder, however it is ended.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _ended)
    try:
        specs = parse_hosts(options.hosts)
        fleet = Fleet(specs, options.backend, options.folder, personality=options.personality)
        with fleet:
            path = fleet.write_inventory()
            print(f"{len(specs)} hosts, backend {fleet.backend}, inventory {path}")
            print(f"try: {_to_try(path)}")
            sys.stdout.flush()
            end = time.monotonic() + options.seconds if options.seconds else None
            try:
                while end is None or time.monotonic() < end:
                    time.sleep(0.2)
            except KeyboardInterrupt:
                print()
            for name, cost in fleet.counters().items():
                if cost["messages"]:
                    figures = ", ".join(f"{key} {round(value, 2)}" for key, value in cost.items())
                    print(f"{name}: {figures}")
            for error in fleet.wire.errors:
                print(f"error: {error}", file=sys.stderr)
    except (ValueError, RuntimeError, OSError) as exc:
        print(f"lab: {exc}", file=sys.stderr)
        return 1
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m lab", description="A simulated fleet of Windows hosts.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="name the scenarios")
    up = commands.add_parser("up", help="start a fleet and keep it until Ctrl-C")
    up.add_argument("--backend", choices=BACKENDS, default="auto")
    up.add_argument("--hosts", default="healthy-server", metavar="SCENARIO[=NAME][*COUNT],...")
    up.add_argument("--folder", help="where the hosts live; a temporary folder by default")
    up.add_argument("--personality", choices=("5.1", "7"), default="5.1")
    up.add_argument("--seconds", type=float, help="end by itself after so long")
    show = commands.add_parser("demo", help="fix a mixed fleet by the real playbook and compare with what its scenarios promise")
    show.add_argument("--backend", choices=BACKENDS, default="auto")
    show.add_argument("--hosts", default="", metavar="SCENARIO,...")
    show.add_argument("--personality", choices=("5.1", "7"), default="5.1")
    options = parser.parse_args(arguments)
    if options.command == "demo":
        return demo.main(options.backend, [name for name in options.hosts.split(",") if name], options.personality)
    return _list() if options.command == "list" else _up(options)


if __name__ == "__main__":
    raise SystemExit(main())
