# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``make coverage``: which lines of the collection's PowerShell ran, seen by ansible-core's own wrapper over the wire.

The wrapper sets a breakpoint on every line where a command begins and writes one JSON file a task on the host. Breakpoints count
in the first runspace only, so looks run in one, but for one that shows the other way. The engine
answers for all files but ``_Platform*``, which it swaps; Wine for those.
"""

from __future__ import annotations

import argparse
import contextlib
import http.server
import json
import os
import shutil
import socket
import struct
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import here
from here import ROOT
from lab.controller import adhoc, fix
from lab.demo import QUICK, promised_scenarios
from lab.fleet import Fleet, missing
from lab.hosts import HostSpec
from lab.steps import CASES, OLD
from lab.steps import run as play
from lab.steps import specs as case_specs

AGENT, PLATFORM = "agent", "platform"
FLOOR = {AGENT: 95.0, PLATFORM: 80.0}
BACKEND = {AGENT: "engine", PLATFORM: "wine"}
Call = tuple[str, str, dict[str, Any], tuple[str, ...]]

# A host without an answer costs its timeouts and runs no line.
SILENT = {"dead-host", "linux-host"}
# A few hosts for the real platform: each is booted.
WINE = ("lost-cache", "clock-ahead-workgroup", "wuauserv-disabled", "wuauserv-will-not-stop")
# A host without the lab's overlay: what Wine lacks fails as Wine lets it fail, and its servers are on this machine.
BARE = "bare"
BARE_SCENARIO = {
    "machine": "server2022",
    "registry": {
        r"HKLM\SYSTEM\CurrentControlSet\Services\W32Time\Parameters": {"Type": "NTP", "NtpServer": "127.0.0.2,0x9 127.0.0.1,0x9"},
        r"HKLM\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate\AU": {"UseWUServer": 1},
        # Nobody listens there.
        r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Internet Settings": {"ProxyEnable": 1, "ProxyServer": "127.0.0.1:9"},
        # The key that a deleted service leaves.
        r"HKLM\SYSTEM\CurrentControlSet\Services\wlidsvc": {"Start": 3},
    },
    "services": {"wlidsvc": None},
    "winhttp_proxy": "127.0.0.1:9",
    # A backup of an earlier run, to be pruned.
    "files": {rf"Windows\SoftwareDistribution.wu_repair-{OLD}\Download\a.bin": {"size": 10}},
}
# More than a look counts.
MANY_FILES = 50500
BARE_CALLS: list[Call] = [
    (BARE, "win_wu_info", {"gather_subset": ["all"]}, ()),
    (BARE, "win_timesync", {"source": "ntp", "servers": ["127.0.0.2", "127.0.0.1"], "resync": "always"}, ()),
    (BARE, "win_timesync", {"time_zone": "UTC", "resync": "never"}, ()),
    (BARE, "win_wu_reset", {"force": True, "service_security": True, "keep_backups": 1}, ()),
]

# The case of a search that hangs is about the runspace beside the first.
HANGS = "hung-agent"

# What neither fix_wu.yml nor the cases of lab/steps.py ask, of hosts of the scenarios.
CALLS: dict[str, list[Call]] = {
    AGENT: [
        ("controller-clock", "win_timesync", {"reference": "controller"}, ()),
        ("clock-domain-member", "win_timesync", {"source": "domain", "resync": "always"}, ()),
    ],
    PLATFORM: [
        ("lost-cache", "win_wu_info", {"gather_subset": ["all"]}, ()),
        ("lost-cache", "win_wu_reset", {"force": True, "folders": ["SoftwareDistribution", "catroot2"], "keep_backups": 1}, ()),
        ("lost-cache", "win_wu_reset", {"force": True, "keep_backups": 1}, ()),
    ],
}

# Lines that no run over the wire can reach: a text of the line, and why.
UNREACHED = {
    "_Steps.psm1": {
        "foreach ($property in $Value.PSObject.Properties)": "ansible-core sends dictionaries; other wrappers may not",
        "return $plain": "the same",
        "try { $null = Invoke-restore_servicesStep": "the controller's plans always restore themselves",
        "catch { $reply.failed = @{ id = $null": "the same",
        "return 'an expectation is not a table'": "the controller sends no such request",
    },
    "_PlatformRead.psm1": {
        "$count": "Wine keeps nothing in an event log",
        "$record": "the same",
        "$reader.Dispose()": "the same",
        "$searcher": "Wine has no update agent",
        "$entry": "the same",
        "$manager": "the same",
        "$service.ServiceID": "the same",
        "$date": "the same",
        "$found": "the same",
    },
    "_PlatformChange.psm1": {
        "SetSystemTime": "it would set the clock of this machine",
    },
    "wu_apply.ps1": {"'the agent broke: '": "a fault of the agent itself, unknown as yet"},
    "wu_observe.ps1": {"'the agent broke: '": "a fault of the agent itself, unknown as yet"},
}


def group(path: str) -> str:
    """Return which of the two backends answers for a file."""
    return PLATFORM if Path(path).name.startswith("_Platform") else AGENT


@contextlib.contextmanager
def watched(output: str) -> Iterator[None]:
    """Let ansible-core's wrapper write to a folder on the host for the time of the block."""
    added = {"_ANSIBLE_COVERAGE_REMOTE_OUTPUT": output, "_ANSIBLE_COVERAGE_REMOTE_PATH_FILTER": "*wu_repair*", "WULAB_LANES": "1"}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


class _Stopped(http.server.BaseHTTPRequestHandler):
    """A WSUS whose application pool is stopped: IIS answers 503."""

    def do_GET(self) -> None:
        """Answer as IIS does."""
        self.send_error(503)

    def log_message(self, *_words: object) -> None:
        """Keep the screen for what is said here."""


def _time_server(address: str, *, fit: bool) -> contextlib.AbstractContextManager[object]:
    """Serve time on port 123 of an address of this machine; one that is unfit sends away whoever asks (RFC 5905, 7.4)."""
    clock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def answer() -> None:
        with contextlib.suppress(OSError):
            while True:
                question, sender = clock.recvfrom(512)
                if not sender:
                    return
                now = time.time() + 2208988800
                stamp = struct.pack("!II", int(now), int(now % 1 * 2**32))
                # Version 4, mode server, stratum 2; the client's transmit time comes back as the originate time.
                head = bytes([0x24, 2, 6, 0xEC]) + bytes(12)
                if not fit:
                    head = bytes([0xE4, 0, 6, 0xEC]) + bytes(8) + b"RATE"
                clock.sendto(head + stamp + question[40:48] + stamp + stamp, sender)

    try:
        clock.bind((address, 123))
        threading.Thread(target=answer, daemon=True).start()
    except OSError as error:
        print(f"coverage: wine: no time server on {address}: {error}", flush=True)
    return _closing(clock)


@contextlib.contextmanager
def _closing(clock: socket.socket) -> Iterator[None]:
    with clock:
        yield
        # A close does not wake a thread that waits to receive.
        with contextlib.suppress(OSError):
            clock.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def servers() -> Iterator[int]:
    """Serve time on port 123 of 127.0.0.1 and, unfit, of 127.0.0.2, where we may, and a stopped WSUS on the port that it yields."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(_time_server("127.0.0.1", fit=True))
        stack.enter_context(_time_server("127.0.0.2", fit=False))
        wsus = stack.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Stopped))
        threading.Thread(target=wsus.serve_forever, daemon=True).start()
        stack.callback(wsus.shutdown)
        yield int(wsus.server_address[1])


def call(fleet: Fleet, calls: Sequence[Call]) -> None:
    """Make each call and say what came of it; a failure is an outcome, too."""
    for host, module, arguments, more in calls:
        say(fleet, host, module, arguments, adhoc(fleet, host, module, arguments, *more))


def say(fleet: Fleet, host: str, module: str, arguments: dict[str, Any], result: dict[str, Any]) -> None:
    """Tell of one call in one line."""
    words = " ".join(f"{key}={value}" for key, value in arguments.items())
    outcome = str(result.get("verdict") or result.get("msg")).splitlines()[0]
    print(f"coverage: {fleet.backend}: {host} {module} {words}: {outcome}", flush=True)


def keep(place: Path, kept: Path, name: str) -> None:
    """Copy what the tasks of a host wrote."""
    for number, file in enumerate(sorted(place.iterdir())):
        (kept / f"{name}{number}.json").write_bytes(file.read_bytes())


def bare(kept: Path) -> None:
    """Look at, and call everything on, a Wine host whose platform functions are all real."""
    from lab import wine  # noqa: PLC0415

    overlaid = wine.overlaid
    wine.overlaid = lambda name, source: source
    try:
        with servers() as port, watched("C:\\cover\\seen"):
            policy = r"HKLM\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate"
            registry = {**BARE_SCENARIO["registry"], policy: {"WUServer": f"http://127.0.0.1:{port}"}}  # type: ignore[dict-item]
            scenario = kept / "bare.yml"
            scenario.write_text(json.dumps({**BARE_SCENARIO, "registry": registry}), "utf-8")
            with Fleet([HostSpec(BARE, str(scenario))], "wine") as fleet:
                drive = fleet.folder / BARE / "prefix" / "drive_c"
                (drive / "cover").mkdir()
                # Wine tells a file without the right to write as read-only.
                next((drive / "windows").glob(f"*{OLD}/**/a.bin")).chmod(0o444)
                cache = next(path for path in (drive / "windows").iterdir() if path.name.lower() == "softwaredistribution") / "Many"
                cache.mkdir()
                for number in range(MANY_FILES):
                    (cache / f"{number}.bin").touch()
                # Wine has no w32tm; a program that ends at once shows how one is run and waited for.
                shutil.copy2(drive / "windows" / "system32" / "hostname.exe", drive / "windows" / "system32" / "w32tm.exe")
                call(fleet, BARE_CALLS)
                keep(drive / "cover", kept, BARE)
    finally:
        wine.overlaid = overlaid


def run(what: str, names: Sequence[str]) -> list[Path]:
    """Run the fleet of a backend and return what its tasks wrote, copied together."""
    backend = BACKEND[what]
    begin = time.monotonic()
    kept = here.BUILD / "coverage" / backend
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    cases = [case for case in CASES if case.wine or backend != "wine"]
    (kept / "scenarios").mkdir()
    hosts = [HostSpec(name, name) for name in names]
    with Fleet([*hosts, *case_specs(kept / "scenarios", cases)], backend) as fleet:
        every = [*names, *(case.host for case in cases)]
        places = {name: fleet.folder / name / "prefix" / "drive_c" / "cover" for name in every} if backend == "wine" else {}
        places = places or {"": fleet.folder / "cover"}
        for place in places.values():
            place.mkdir(parents=True)
        with watched("C:\\cover\\seen" if backend == "wine" else str(places[""] / "seen")):
            print(f"coverage: {backend}: fix_wu.yml on {len(names)} hosts", flush=True)
            rows, done = fix(fleet, "--limit", ",".join([*names, "localhost"]), variables=QUICK)
            if not rows:
                raise RuntimeError(f"fix_wu.yml gave no report\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
            call(fleet, [each for each in CALLS[what] if each[0] in names])
            for case in cases:
                os.environ["WULAB_LANES"] = "2" if case.host == HANGS else "1"
                say(fleet, case.host, case.module, case.arguments, play(fleet, [case])[case.host])
        for name, place in places.items():
            keep(place, kept, name)
    if backend == "wine":
        bare(kept)
    files = sorted(kept.glob("*.json"))
    print(f"coverage: {backend}: {len(files)} tasks seen, {time.monotonic() - begin:.0f} s", flush=True)
    return files


def merge(files: Sequence[Path]) -> dict[str, dict[int, int]]:
    """Add up what the wrapper wrote: path in the repository -> line -> hits."""
    total: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for file in files:
        for name, lines in json.loads(file.read_text(encoding="utf-8-sig")).items():
            path = Path(name).resolve()
            # What the lab swapped or added behind the source is not the collection's.
            if not path.is_relative_to(ROOT / "plugins"):
                continue
            length = len(path.read_bytes().splitlines())
            for entry in lines if isinstance(lines, list) else [lines]:
                if entry["Line"] <= length:
                    total[str(path.relative_to(ROOT))][entry["Line"]] += entry["HitCount"]
    return total


def report(seen: dict[str, dict[str, dict[int, int]]], output: Path) -> int:
    """Print the table, write the JSON and return the exit code."""
    files: dict[str, dict[str, Any]] = {}
    sums = {AGENT: [0, 0], PLATFORM: [0, 0]}
    never = []
    for path in sorted(str(file.relative_to(ROOT)) for kind in ("*.ps1", "*.psm1") for file in (ROOT / "plugins").rglob(kind)):
        lines = seen.get(group(path), {}).get(path)
        if lines is None:
            if group(path) in seen:
                never.append(path)
            continue
        missed = sorted(line for line, hits in lines.items() if not hits)
        files[path] = {"lines": len(lines), "hit": len(lines) - len(missed), "missed": missed}
        sums[group(path)][0] += len(lines)
        sums[group(path)][1] += len(lines) - len(missed)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps({"files": files}, indent=1) + "\n", "utf-8")
    print(f"{'file':44} {'lines':>6} {'hit':>6} {'%':>6}  missed")
    for path, row in files.items():
        print(f"{path:44} {row['lines']:6} {row['hit']:6} {100 * row['hit'] / row['lines']:6.1f}  {ranges(row['missed'])}")
        text = (ROOT / path).read_text("utf-8").splitlines()
        for word, why in UNREACHED.get(Path(path).name, {}).items():
            for line in (line for line in row["missed"] if word in text[line - 1]):
                print(f"{'':44} line {line}: {why}")
    bad = [f"{path} never ran" for path in never]
    for what, (count, hit) in sums.items():
        if what not in seen:
            continue
        share = 100 * hit / count if count else 0.0
        print(f"{BACKEND[what]}: {hit} of {count} lines, {share:.1f} %, wanted {FLOOR[what]:.0f} %")
        if share < FLOOR[what]:
            bad.append(f"{what} under {FLOOR[what]:.0f} %")
    print(f"coverage: {'FAILED: ' + ', '.join(bad) if bad else 'ok'}, {output}")
    return 1 if bad else 0


def ranges(numbers: Sequence[int]) -> str:
    """Write line numbers in one short line."""
    words = " ".join(str(number) for number in numbers)
    return words if len(words) <= 120 else words[:120].rsplit(" ", 1)[0] + " ..."


def main() -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", metavar="SCENARIO,...", help="these hosts only")
    parser.add_argument("--wine", metavar="SCENARIO,...", help="these hosts only; empty: no Wine")
    parser.add_argument("--merge", action="store_true", help="read again what the last run kept")
    given = parser.parse_args()
    chosen = {
        AGENT: [name for name in promised_scenarios() if name not in SILENT] if given.engine is None else given.engine.split(","),
        PLATFORM: list(WINE) if given.wine is None else given.wine.split(","),
    }
    seen: dict[str, dict[str, dict[int, int]]] = {}
    for what, wanted in chosen.items():
        backend = BACKEND[what]
        names = [name for name in wanted if name]
        reason = missing(backend)
        if reason or not names:
            print(f"coverage: {backend}: skipped, {reason or 'no hosts asked for'}", flush=True)
            continue
        kept = sorted((here.BUILD / "coverage" / backend).glob("*.json")) if given.merge else run(what, names)
        seen[what] = merge(kept)
    if not seen:
        return 0
    return report(seen, here.BUILD / "coverage.json")


if __name__ == "__main__":
    sys.exit(main())
