# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A host that is a Wine prefix: the collection's own PowerShell, real services, registry, files and processes.

What Wine lacks is overlaid, function by function, by what the simulated Windows answers: ``platform/wine_overlay``.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import importlib.util
import ntpath
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
import types
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.hosts import ChildProcess
from lab.manifest import Rewriter
from lab.sim import CATROOT2, CHANGE, DATA_STORE, DOWNLOADER, READ, Sim, win32

REPOSITORY = Path(__file__).resolve().parents[2]
TOOLS = REPOSITORY.parent / "shared" / "tools"
PLATFORM = Path(__file__).resolve().parent / "platform"
OVERLAY = PLATFORM / "wine_overlay"
MODULES = {"_PlatformRead.psm1": READ, "_PlatformChange.psm1": CHANGE}

REG_SZ, REG_EXPAND_SZ, REG_BINARY, REG_DWORD, REG_MULTI_SZ, REG_QWORD = 1, 2, 3, 4, 7, 11
STATES = {
    1: "stopped",
    2: "start_pending",
    3: "stop_pending",
    4: "running",
    5: "continue_pending",
    6: "pause_pending",
    7: "paused",
}
SERVICES = "HKLM\\SYSTEM\\CurrentControlSet\\Services"

# What a snapshot leaves out, because a host writes it by itself, with nobody at work on it.
NOISE = {
    "HKLM\\SYSTEM\\CurrentControlSet\\Control\\Video": "Wine makes a display device when a program first asks for one",
    "HKLM\\SYSTEM\\CurrentControlSet\\Control\\ServiceCurrent": "the service manager counts its starts there",
    "HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\Perflib": "counters are made anew with every look at them",
}
SNAPSHOT_TREES = ("HKLM\\SYSTEM", "HKLM\\SOFTWARE\\Microsoft", "HKLM\\SOFTWARE\\Policies", "HKLM\\SOFTWARE\\winfleet")

Value = int | str | list[str] | bytes


@functools.cache
def winhost() -> types.ModuleType:
    """Return the module that makes and runs Wine prefixes."""
    path = TOOLS / "winhost" / "winhost.py"
    spec = importlib.util.spec_from_file_location("wulab_winhost", path)
    if spec is None or spec.loader is None:
        raise RuntimeError(f"cannot read {path}")
    module = importlib.util.module_from_spec(spec)
    # Its dataclasses look themselves up by the name of their module.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def available() -> str | None:
    """Return why there can be no Wine host here, or None."""
    for part in ("winhost/winhost.py", "psh/unpack"):
        if not (TOOLS / part).is_file():
            return f"no ../shared/tools/{part}"
    tools = winhost()
    for path in (tools.LOADER, tools.SERVER):
        if not path.exists():
            return f"Wine (64 bit) is not installed: no {path}"
    if shutil.which(tools.COMPILER) is None:
        return f"no {tools.COMPILER}"
    return None


@functools.cache
def powershell() -> Path:
    """Return the folder with the Windows executables of PowerShell."""
    done = subprocess.run([TOOLS / "psh" / "unpack", "win-x64"], check=True, capture_output=True, text=True)
    return Path(done.stdout.strip())


def _sources() -> list[Path]:
    tools = TOOLS / "winhost"
    return [*sorted(path for path in tools.iterdir() if path.is_file()), OVERLAY / "ask.c"]


@functools.cache
def template() -> Path:
    """Return the prefix that hosts are cloned from; the first call on a machine builds it, in about 12 s."""
    key = hashlib.sha256()
    for path in _sources():
        key.update(path.name.encode() + b"\0" + path.read_bytes())
    loader = winhost().LOADER.stat()
    key.update(f"{loader.st_size} {loader.st_mtime_ns}".encode())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wulab"
    cache.mkdir(parents=True, exist_ok=True)
    home = cache / f"wine-{key.hexdigest()[:16]}"
    with (cache / "wine.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.is_dir():
            scratch = Path(tempfile.mkdtemp(prefix="wine-new-", dir=cache))
            try:
                winhost().template(scratch / "prefix")
                _compile(OVERLAY / "ask.c", scratch / "prefix" / "drive_c" / "winhost" / "bin" / "ask.exe")
                (scratch / "prefix").rename(home)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
    return home


def _compile(source: Path, target: Path) -> None:
    flags = ["-O2", "-s", "-Wall", "-Wextra", "-municode"]
    subprocess.run([winhost().COMPILER, *flags, "-o", target, source, "-ladvapi32", "-luser32"], check=True)


# -- registry data


def encode(value: Value, kind: int) -> bytes:
    """Return a registry value as Windows stores it."""
    if kind in (REG_DWORD, REG_QWORD):
        size = 4 if kind == REG_DWORD else 8
        return (int(value) & (1 << 8 * size) - 1).to_bytes(size, "little")  # type: ignore[arg-type]
    if kind == REG_MULTI_SZ:
        assert isinstance(value, list)
        return ("".join(part + "\0" for part in value) + "\0").encode("utf-16-le")
    if kind in (REG_SZ, REG_EXPAND_SZ):
        return (str(value) + "\0").encode("utf-16-le")
    assert isinstance(value, bytes)
    return value


def decode(kind: int, data: bytes) -> Value:
    """Return what a stored registry value means."""
    if kind == REG_DWORD and len(data) == 4:
        return int(struct.unpack("<I", data)[0])
    if kind == REG_QWORD and len(data) == 8:
        return int(struct.unpack("<Q", data)[0])
    if kind in (REG_SZ, REG_EXPAND_SZ):
        return data.decode("utf-16-le", "replace").split("\0")[0]
    if kind == REG_MULTI_SZ:
        return [part for part in data.decode("utf-16-le", "replace").split("\0") if part]
    return data


def kind_of(value: Value) -> int:
    """Return the registry type that a plain value has by default."""
    if isinstance(value, int):
        return REG_DWORD if -(1 << 31) <= value < 1 << 32 else REG_QWORD
    if isinstance(value, str):
        return REG_SZ
    return REG_MULTI_SZ if isinstance(value, list) else REG_BINARY


@dataclass(frozen=True)
class ServiceState:
    """What the service manager says of a service."""

    name: str
    start: int
    state: str
    pid: int
    code: int
    delayed: bool = False


@dataclass(frozen=True)
class Key:
    """One registry key."""

    values: dict[str, tuple[int, bytes]]
    subkeys: list[str]

    def plain(self) -> dict[str, Value]:
        """Return the values as Python means them."""
        return {name: decode(kind, data) for name, (kind, data) in self.values.items()}


class AskError(RuntimeError):
    """Windows refused; ``code`` is its Win32 error."""

    def __init__(self, code: int, question: Sequence[str]) -> None:
        super().__init__(f"{' '.join(question)[:100]}: error {code}")
        self.code = code


def write_hive(file: Path, keys: Mapping[str, Mapping[str, tuple[int, bytes] | None]]) -> None:
    """Change the saved registry of a host that is down.

    Args:
        file: ``system.reg``.
        keys: values by key (without ``HKLM\\``) and name; None removes the value.
    """
    # Wine reads the file from the top and lets the later of two sections of one key win, value by value.
    removed = {
        (key.lower(), name.lower()) for key, values in keys.items() for name, value in values.items() if value is None
    }
    lines: list[str] = []
    here = ""
    for line in file.read_text("latin-1").split("\n") if removed else [file.read_text("latin-1").rstrip("\n")]:
        if line.startswith("["):
            here = line[1 : line.rindex("]")].replace("\\\\", "\\").lower()
        if line.startswith('"') and (here, line[1 : line.index('"=')].lower()) in removed:
            continue
        lines.append(line)
    for key, values in keys.items():
        lines += ["", f"[{_escape(key, '[]')}] {int(time.time())}"]
        for name, value in values.items():
            if value is not None:
                kind, data = value
                left = f'"{_escape(name, chr(34))}"' if name else "@"
                lines.append(f"{left}=hex({kind:x}):{data.hex(',')}")
    file.write_text("\n".join(lines) + "\n", "latin-1")


def cut_keys(file: Path, keys: Sequence[str]) -> None:
    """Remove keys, with all below, from the saved registry of a host that is down."""
    gone = tuple(key.lower() for key in keys)
    lines: list[str] = []
    keep = True
    for line in file.read_text("latin-1").split("\n"):
        if line.startswith("["):
            here = line[1 : line.rindex("]")].replace("\\\\", "\\").lower()
            keep = not any(here == key or here.startswith(key + "\\") for key in gone)
        if keep:
            lines.append(line)
    file.write_text("\n".join(lines), "latin-1")


def _escape(text: str, also: str) -> str:
    parts = []
    for unit in text:
        if unit == "\\" or unit in also:
            parts.append("\\" + unit)
        else:
            parts.append(unit if " " <= unit <= "~" else f"\\x{ord(unit):04x}")
    return "".join(parts)


# Wine's own sc.exe knows no "config", "sdshow", "sdset". Its service manager knows no delayed start either, only the value of it, and
# keeps no descriptor: each service shows this one.
_SC = r"""
match sdshow *
out
out D:(A;;CCLCSWRPWPDTLOCRRC;;;SY)(A;;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;BA)(A;;CCLCSWLOCRRC;;;IU)
match sdset *
out [SC] SetServiceObjectSecurity SUCCESS
match config * start= delayed-auto
reg HKLM\SYSTEM\CurrentControlSet\Services\%2 DelayedAutostart dword 1
match config * start= auto
reg HKLM\SYSTEM\CurrentControlSet\Services\%2 DelayedAutostart dword 0
"""


class Prefix:
    """One Wine prefix and the small program in it that answers for its registry and its service manager.

    Args:
        home: where the prefix is made; must not exist yet.
    """

    def __init__(self, home: Path) -> None:
        self.home = home.resolve()
        self.drive = self.home / "drive_c"
        self._lock = threading.RLock()
        self._asked: subprocess.Popen[bytes] | None = None
        self._beside: list[subprocess.Popen[bytes]] = []
        self.closed = False
        winhost().clone(self.home, template(), powershell())
        winhost().install_program(self.home, "sc.exe", _SC)

    def path(self, windows: str) -> Path:
        """Return the Linux path of a C:\\ path, its case found as Windows would find it."""
        found: Path = winhost().path(self.home, windows)
        return found

    def boot(self) -> None:
        """Start the host if it is down: its automatic services start with it."""
        winhost().start(self.home)

    def stop(self) -> None:
        """End the host, registry saved."""
        self._hang_up()
        winhost().stop(self.home)

    def crash(self) -> None:
        """End the host as a power cut does."""
        self._hang_up()
        winhost().crash(self.home)

    def close(self) -> None:
        """End the host for good: who asks it later gets an error, not a host that boots anew."""
        with self._lock:
            self.closed = True
            self.crash()

    def run(self, line: str, timeout: float = 60) -> tuple[int, bytes, bytes]:
        """Run a command line in the host and return exit code, standard output and error."""
        done = winhost().run_line(self.home, line, timeout=timeout)
        return done.code, done.stdout, done.stderr

    def run_beside(self, name: str) -> None:
        """Let a program of that name (``TiWorker``) run until the host's end."""
        winhost().install_program(self.home, f"{name}.exe", "match\nhang\n")
        quiet = subprocess.DEVNULL
        code_file = self.drive / "winhost" / "codes" / f"beside-{uuid.uuid4().hex}"
        self._beside.append(
            winhost().popen(self.home, f"{name}.exe", code_file, stdin=quiet, stdout=quiet, stderr=quiet)
        )

    # -- registry and services, asked of the running host

    def ask(self, *words: str) -> list[list[str]]:
        """Put one question to the program in the host.

        Raises:
            AskError: Windows answered with an error code.
        """
        with self._lock:
            if self.closed:
                raise RuntimeError(f"{self.home} is closed")
            if self._asked is None or self._asked.poll() is not None:
                code_file = self.drive / "winhost" / "codes" / f"ask-{uuid.uuid4().hex}"
                self._asked = winhost().popen(
                    self.home,
                    "C:\\winhost\\bin\\ask.exe",
                    code_file,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                )
            assert self._asked is not None
            assert self._asked.stdin is not None
            assert self._asked.stdout is not None
            self._asked.stdin.write("\t".join(words).encode() + b"\n")
            self._asked.stdin.flush()
            lines: list[list[str]] = []
            while True:
                line = self._asked.stdout.readline().decode("utf-8", "replace").rstrip("\n")
                if not line:
                    raise RuntimeError(f"{self.home} went down while it was asked {words[0]}")
                if line.startswith("="):
                    if line != "=0":
                        raise AskError(int(line[1:]), words)
                    return lines
                lines.append(line.split("\t"))

    def key(self, key: str) -> Key | None:
        """Return one key, None when there is none."""
        try:
            lines = self.ask("key", key)
        except AskError as error:
            if error.code == 2:
                return None
            raise
        values = {line[1]: (int(line[2]), bytes.fromhex(line[3])) for line in lines if line[0] == "V"}
        return Key(values, [line[1] for line in lines if line[0] == "K"])

    def set_value(self, key: str, name: str, value: Value, kind: int | None = None) -> None:
        """Write one value; the key is made."""
        kind = kind_of(value) if kind is None else kind
        self.ask("set", key, name, str(kind), encode(value, kind).hex())

    def make_key(self, key: str) -> None:
        """Make a key if it is not there."""
        self.ask("make", key)

    def remove_value(self, key: str, name: str) -> None:
        """Remove one value if it is there."""
        with contextlib.suppress(AskError):
            self.ask("unset", key, name)

    def services(self) -> dict[str, ServiceState]:
        """Return all services by their lower-case names."""
        return {line[1].lower(): _service(line) for line in self.ask("services")}

    def service(self, name: str) -> ServiceState | None:
        """Return one service, None when there is none."""
        try:
            return _service(self.ask("service", name)[0])
        except AskError as error:
            if error.code == 1060:
                return None
            raise

    def control(self, verb: str, name: str, state: str | None = None, timeout: float = 10) -> None:
        """``start`` or ``stop`` a service and wait until it has that state."""
        self.ask(verb, name)
        deadline = time.monotonic() + timeout
        while state and (found := self.service(name)) and found.state != state:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name} is {found.state}, not {state}, after {timeout} s")
            time.sleep(0.02)

    # -- a snapshot

    def snapshot(self) -> dict[str, dict[str, str]]:
        """Return files (path: hash), registry (path: type and data) and services (name: start type, state) as they are.

        Two of them are equal when nothing was changed between. What is left out, and why, is in NOISE; of files the
        lab's own folders and what PowerShell writes for itself.
        """
        registry: dict[str, str] = {}
        for tree in SNAPSHOT_TREES:
            try:
                lines = self.ask("tree", tree, *NOISE)
            except AskError as error:
                if error.code == 2:
                    continue
                raise
            registry |= {line[1].lower(): " ".join(line[2:]) for line in lines}
        services = {name: f"{one.start} {one.state}" for name, one in self.services().items()}
        return {"files": dict(self._files()), "registry": registry, "services": services}

    def _files(self) -> Iterator[tuple[str, str]]:
        ours = {"winhost", "users", "windows/temp", "windows/globalization", "program files/powershell"}
        for folder, names, files in os.walk(self.drive):
            here = Path(folder).relative_to(self.drive)
            names[:] = [name for name in names if str(here / name).lower() not in ours]
            for name in names:
                path = Path(folder) / name
                yield str(here / name), f"link {os.readlink(path)}" if path.is_symlink() else "folder"
            for name in files:
                path = Path(folder) / name
                yield str(here / name), _fingerprint(path)

    def _hang_up(self) -> None:
        with self._lock:
            for process in self._beside:
                process.kill()
                process.wait()
            self._beside.clear()
            if self._asked is not None:
                for stream in (self._asked.stdin, self._asked.stdout):
                    if stream:
                        with contextlib.suppress(OSError):
                            stream.close()
                self._asked.kill()
                self._asked.wait()
                self._asked = None


def _service(line: list[str]) -> ServiceState:
    return ServiceState(line[1], int(line[2]), STATES.get(int(line[3]), line[3]), int(line[4]), int(line[5]), line[6:] == ["1"])


def _fingerprint(path: Path) -> str:
    """Return a hash of a file; of Wine's own programs, which nobody writes, size and time alone."""
    if path.is_symlink():
        return f"link {os.readlink(path)}"
    facts = path.stat()
    if path.suffix.lower() in (".dll", ".exe", ".nls", ".ttf", ".sys", ".drv", ".ocx", ".cpl", ".acm"):
        return f"{facts.st_size} {facts.st_mtime_ns}"
    return f"{facts.st_size} {hashlib.sha256(path.read_bytes()).hexdigest()}"


# -- the overlay


@functools.cache
def overlay_table() -> dict[str, tuple[str, str]]:
    """Return what Wine lacks: function, who answers instead (``lab`` or ``both``), the reason."""
    rows = (line.split("\t") for line in (OVERLAY / "table.tsv").read_text("utf-8").splitlines())
    return {row[0]: (row[1], row[2]) for row in rows if not row[0].startswith("#")}


def functions(source: str) -> dict[str, str]:
    """Return the text of the functions that a script defines at its top level."""
    found = re.finditer(r"^function ([\w-]+)(?:\(.*?\))? \{\n.*?^\}$", source, re.MULTILINE | re.DOTALL)
    return {match[1]: match[0] for match in found}


@functools.cache
def overlay_text(module: str) -> str:
    """Return what follows the source of one real module: the lab's functions for what Wine lacks of it."""
    proxies = functions((PLATFORM / module).read_text("utf-8"))
    wanted = [name for name, (who, _reason) in overlay_table().items() if who == "lab" and name in MODULES[module]]
    helpers = [name for name in proxies if name not in MODULES[module]]
    parts = [proxies[name] for name in [*helpers, *wanted]]
    return "\n\n".join(["", *parts, (OVERLAY / module).read_text("utf-8")])


def overlaid(name: str, source: bytes) -> bytes:
    """Return a script of a manifest, the platform modules with their overlay behind the real source."""
    for module in MODULES:
        if name.endswith(f".{module}"):
            return source + overlay_text(module).encode()
    return source


def rewriter() -> Callable[[bytes], bytes]:
    """Return what a task's standard input passes through; called with b"" at its end."""
    inner = Rewriter(overlaid)

    def feed(data: bytes) -> bytes:
        out = inner.feed(data) if data else inner.finish()
        # The real lines stand where they stood: what is covered of them counts for the real file.
        return out.replace(b'"path": "swapped:', b'"path": "')

    return feed


class WineProcess:
    """A command of a Wine host."""

    def __init__(self, child: ChildProcess, code_file: Path) -> None:
        self._child, self._code_file, self.began = child, code_file, child.began
        self._feed = rewriter()
        self._code: int | None = None
        self.kill = child.kill

    @property
    def ended(self) -> bool:
        """Whether it has ended and all it wrote was read."""
        return self._child.ended

    def write(self, data: bytes) -> None:
        """See hosts.Process."""
        if data:
            self._child.write(self._feed(data))

    def close_stdin(self) -> None:
        """See hosts.Process."""
        self._child.write(self._feed(b""))
        self._child.close_stdin()

    def read(self, timeout: float) -> tuple[bytes, bytes, int | None]:
        """See hosts.Process."""
        out, err, code = self._child.read(timeout)
        if code is not None and self._code is None:
            try:
                self._code = int(self._code_file.read_text("ascii"))
                self._code_file.unlink()
            except FileNotFoundError:
                self._code = code & 0xFFFFFFFF  # it was killed
        return out, err, self._code


# -- the simulated Windows over a prefix


_TCPIP = "HKLM\\SYSTEM\\CurrentControlSet\\Services\\Tcpip\\Parameters"


class WineSim(Sim):
    """The simulated Windows whose services, registry and files are those of a prefix: its laws look there.

    A Sim becomes one by ``adopt``, after it was loaded.
    """

    prefix: Prefix
    _watch: threading.Thread | None = None
    _closing: threading.Event

    @classmethod
    def adopt(cls, sim: Sim, prefix: Prefix) -> WineSim:
        """Turn a loaded host into the one of a prefix that is down; boots it."""
        sim.__class__ = cls
        assert isinstance(sim, WineSim)
        sim.prefix = prefix
        with sim._lock:
            sim._tell_time()
            sim._furnish()
        return sim

    @property
    def clock_offset(self) -> float:
        """Seconds that the host's clock is ahead of the true time; its programs read it in a file, which takes no question of the lab."""
        return float(self.__dict__["clock_offset"])

    @clock_offset.setter
    def clock_offset(self, seconds: float) -> None:
        self.__dict__["clock_offset"] = seconds
        self._tell_time()

    def _tell_time(self) -> None:
        file = self.prefix.drive / "winhost" / "clock.txt"
        new = file.with_name("clock.new")
        new.write_text(str(round((self.host_time() - time.time()) * 1000)), "ascii")
        new.replace(file)

    # what the prefix knows better

    def pull(self) -> None:
        """Take over what services are now."""
        with self._lock:
            found = self.prefix.services()
            for name, service in list(self.services.items()):
                one = found.get(name)
                if one is None:
                    del self.services[name]
                    continue
                service.update(start=one.start, state=one.state, until=None, delayed=one.start == 2 and one.delayed)
                if one.state == "stopped":
                    service.update(pid=0, by_trigger=False)
                elif not service["pid"]:
                    # Its own number, for Windows lets services of a group share a process.
                    service["pid"] = self._service_pid(service)

    def _process_of(self, service: dict[str, Any]) -> int:
        # Services that share a process on Windows have one each here: what is alone is told with its true number.
        shared = [other for other in self.services.values() if other["pid"] == service["pid"]]
        own = self.prefix.service(service["name"])
        return own.pid if own is not None and len(shared) == 1 else int(service["pid"])

    def call(self, function: str, args: dict[str, Any]) -> object:
        """See Sim."""
        if function not in _WITHOUT_SERVICES:
            with self._lock:
                self.pull()
        return super().call(function, args)

    def law(self, event: str, update: dict[str, Any] | None = None) -> int | None:
        """See Sim."""
        with self._lock:
            self.pull()
            return super().law(event, update)

    def value(self, key: str, name: str) -> Any:
        """See Sim."""
        return self._real_value(_short_hive(key), name)

    @property
    def reboot_required(self) -> bool:
        """See Sim."""
        base = "HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\WindowsUpdate\\Auto Update\\RebootRequired"
        return self.prefix.key(base) is not None

    def shut_down(self, delay_s: float, away_s: float = 1.0) -> None:
        """See Sim."""
        raise win32(50, "a Wine host is not restarted")

    def snapshot(self) -> dict[str, Any]:
        """See Sim: the prefix as it is, so that equal ones mean that nothing was changed."""
        with self._lock:
            self.pull()
            found: dict[str, Any] = self.prefix.snapshot()
            for name, service in self.services.items():
                if service["by_trigger"]:
                    found["services"][name] = f"{service['start']} stopped"
            return {**found, "clock_offset": round(self.clock_offset, 3), "zone": self.zone}

    def close(self) -> None:
        """See Sim."""
        if self._watch is not None:
            self._closing.set()
            self._watch.join()
        super().close()

    def _real_value(self, key: str, name: str) -> Any:
        found = self.prefix.key(key)
        if found is None:
            return None
        return next((value for known, value in found.plain().items() if known.lower() == name.lower()), None)

    def _registry_make(self, key: str) -> dict[str, Any]:
        entry = super()._registry_make(key)
        self.prefix.make_key(key)
        return entry

    def _set_value(self, key: str, name: str, kind: str, value: Any) -> None:
        self.prefix.set_value(_short_hive(key), name, value, _KINDS[kind])

    def _settle(self, service: dict[str, Any]) -> None:
        """Pending changes happen in the prefix."""

    def _start(self, service: dict[str, Any], by_trigger: bool = False) -> None:
        name = service["name"]
        try:
            self._started(service)
            self.prefix.control("start", name, "running")
        except AskError as error:
            raise win32(error.code, f"The service {name} cannot be started.") from error
        finally:
            self.pull()
        service["by_trigger"] = by_trigger

    # making it

    def _furnish(self) -> None:
        _merge(self, self.root, self.prefix.drive, self.root)
        shutil.rmtree(self.root)
        self.root = self.prefix.drive
        _settle_times(self.root, self._created)
        self._furnish_registry()
        self._closing = threading.Event()
        self._watch = threading.Thread(target=self._watch_services, name=f"services of {self.name}", daemon=True)
        self._watch.start()
        self.prefix.boot()
        # Wine writes this machine's own domain over it when it boots.
        for name, kind, value in (self.registry.get(_TCPIP.lower()) or {"values": {}})["values"].values():
            self.prefix.set_value(_TCPIP, name, value, _KINDS[kind])
        self._furnish_services()
        for lock in self.spec.get("locks") or []:
            self.prefix.ask("hold", lock["path"])
            if "for_s" in lock:
                timer = threading.Timer(lock["for_s"], self._release)
                timer.daemon = True
                timer.start()
        for name in self.processes:
            self.prefix.run_beside(name)

    def _release(self) -> None:
        with contextlib.suppress(RuntimeError, OSError):
            self.prefix.ask("release")

    def _furnish_registry(self) -> None:
        """Write the scenario's registry and services into the hive, before anything of the host runs."""
        keys: dict[str, dict[str, tuple[int, bytes] | None]] = {}
        for path, entry in self.registry.items():
            names = path.split("\\")
            if names[0] == "hklm" and len(names) > 1:
                above = ["\\".join(names[: depth + 1]) for depth in range(1, len(names))]
                shown = "\\".join(self.registry[part]["name"] for part in above)
                keys[shown] = {
                    name: (_KINDS[kind], encode(value, _KINDS[kind])) for name, kind, value in entry["values"].values()
                }
        sections = []
        lab = {name for name in _ini_names(self.prefix.drive / "winhost" / "services.ini") if name != "eventlog"}
        for service in self.services.values():
            path = f"System\\CurrentControlSet\\Services\\{service['name']}"
            needs = list(service["needs"])
            values: dict[str, Any] = {
                "Type": 16,
                "ErrorControl": 1,
                "Start": service["start"],
                "DisplayName": service["display"],
                "ObjectName": "LocalSystem",
                "ImagePath": f'"C:\\winhost\\bin\\fakesvc.exe" {service["name"]}',
            }
            if service["delayed"]:
                values["DelayedAutostart"] = 1
            if needs:
                values["DependOnService"] = needs
            own = keys.setdefault(path, {})
            own.update({key: (kind_of(value), encode(value, kind_of(value))) for key, value in values.items()})
            sections.append(_section(service))
        hive = self.prefix.home / "system.reg"
        ours = [f"System\\CurrentControlSet\\Services\\{name}" for name in {*lab, *self.services}]
        cut_keys(hive, ours)
        write_hive(hive, keys)
        ini = "\n".join(sections) + "\n[eventlog]\ndisplay=Windows Event Log\nstart=auto\n"
        # GetPrivateProfileString reads bytes in the code page, or UTF-16 after a mark.
        (self.prefix.drive / "winhost" / "services.ini").write_bytes(b"\xff\xfe" + ini.encode("utf-16-le"))

    def _furnish_services(self) -> None:
        """Bring services from what the boot made of them to what the scenario says."""
        wanted = {name: service["state"] for name, service in self.services.items()}
        deadline = time.monotonic() + 20
        asked: set[tuple[str, str]] = set()
        while time.monotonic() < deadline:
            found = self.prefix.services()
            todo = {name: state for name, state in wanted.items() if found[name].state != state}
            if not todo:
                break
            for name, state in todo.items():
                verb = "start" if state in ("running", "start_pending") or found[name].state == "stopped" else "stop"
                if (verb, name) not in asked and found[name].state in ("stopped", "running"):
                    asked.add((verb, name))
                    self._allow(name)
                    self.prefix.ask(verb, name)
            time.sleep(0.02)
        else:
            raise RuntimeError(f"{self.name}: services do not get as the scenario wants them: {todo}")
        for name in wanted:
            self._forbid(name)
        self.pull()

    def _allow(self, name: str) -> None:
        """A disabled service that runs was started before it was disabled."""
        if self.services[name]["start"] == 4:
            self.prefix.ask("config", name, "3")

    def _forbid(self, name: str) -> None:
        if self.services[name]["start"] == 4:
            self.prefix.ask("config", name, "4")

    def _watch_services(self) -> None:
        """Let the laws of a start happen while the service is still pending: fakesvc logs each start and stop."""
        log = self.prefix.drive / "winhost" / "services.log"
        read = log.stat().st_size if log.exists() else 0
        while not self._closing.wait(0.01):
            try:
                size = log.stat().st_size
            except FileNotFoundError:
                continue
            if size <= read:
                read = min(read, size)
                continue
            with log.open("rb") as file:
                file.seek(read)
                data = file.read()
            data = data[: data.rfind(b"\n") + 1]
            read += len(data)
            for line in data.decode("utf-8", "replace").splitlines():
                words = line.split("\t")
                if len(words) == 4 and words[3] == "start asked":
                    with self._lock:
                        service = self.services.get(words[2].lower())
                        if service is not None:
                            try:
                                self._started(service)
                            except (RuntimeError, OSError):
                                if self.prefix.closed:
                                    return
                                raise


_KINDS = {
    "String": REG_SZ,
    "ExpandString": REG_EXPAND_SZ,
    "Binary": REG_BINARY,
    "DWord": REG_DWORD,
    "MultiString": REG_MULTI_SZ,
    "QWord": REG_QWORD,
}
# A running service keeps these open, and laws make the first two at its start, which takes that long.
_HOLDS = {
    "wuauserv": DATA_STORE,
    "cryptsvc": CATROOT2 + "\\{F750E6C3-38EE-11D1-85E5-00C04FC295EE}\\catdb",
    "bits": DOWNLOADER + "\\qmgr.db",
}
_LAW_MS = 300
# What services are has no part in these answers, or a law looks first: no 13 ms to look here.
_WITHOUT_SERVICES = {
    "Get-HostFact",
    "Get-TimeZoneId",
    "Get-DriveFact",
    "Read-EventRecord",
    "Invoke-SntpQuery",
    "Test-TcpConnect",
    "Get-HttpStatus",
    "Get-UpdateHistory",
    "Get-UpdateService",
    "Get-UpdateResult",
}


def _short_hive(key: str) -> str:
    return re.sub(r"^HKEY_LOCAL_MACHINE", "HKLM", key, flags=re.IGNORECASE)


def _ini_names(file: Path) -> list[str]:
    return re.findall(r"^\[(\S+)\]", file.read_text("utf-8"), re.MULTILINE)


def _section(service: Mapping[str, Any]) -> str:
    """Return a service's part of services.ini."""
    name = service["name"]
    given = {
        "display": service["display"],
        "depends": "/".join(service["needs"]),
        "start_delay": max(service.get("start_ms", 0), _LAW_MS if name.lower() in _HOLDS else 0),
        "stop": service["stop"],
        "stop_delay": service.get("stop_ms", 0),
        "fail_start": service.get("start_fails", 0),
        "revive_after": service.get("revive_ms", 200) if service.get("revived_by") else 0,
        "hold": _HOLDS.get(name.lower(), ""),
    }
    return "\n".join([f"[{name}]", *(f"{key}={value}" for key, value in given.items() if value)])


def _merge(sim: WineSim, source: Path, target: Path, root: Path) -> None:
    """Move the scenario's files into the prefix, names matched without regard to case."""
    known = {entry.name.lower(): Path(entry.path) for entry in os.scandir(target)}
    for entry in sorted(source.iterdir()):
        there = known.get(entry.name.lower(), target / entry.name)
        if entry.is_symlink():
            goal = Path(os.path.normpath(entry.parent / os.readlink(entry))).relative_to(root)
            entry.unlink()
            real = sim.prefix.path(str(goal))
            there.symlink_to(os.path.relpath(real, there.parent), target_is_directory=True)
        elif entry.is_dir() and there.is_dir():
            _merge(sim, entry, there, root)
            facts = there.stat()
            sim._created[facts.st_dev, facts.st_ino] = sim._created_at(entry)
        else:
            entry.rename(there)


def _settle_times(root: Path, created: Mapping[tuple[int, int], float]) -> None:
    """Give folders back the time that moving files into them took: Wine shows the last change as creation time."""
    for folder, _folders, _files in os.walk(root, topdown=False):
        facts = os.stat(folder)
        when = created.get((facts.st_dev, facts.st_ino))
        if when is not None:
            os.utime(folder, (when, when))


def windows_line(command_line: str, personality: str = "5.1") -> str:
    """Return what Windows is to run for a command line that WinRM would give to cmd.exe."""
    match = re.match(r'\s*("[^"]*"|\S+)', command_line)
    name = ntpath.basename(match[1].strip('"')).lower().removesuffix(".exe") if match else ""
    if match is None or name not in ("powershell", "pwsh"):
        return f"cmd.exe /c {command_line}"
    # The name of the file says which PowerShell it plays, wherever it stands.
    if name == "powershell" and personality == "7":
        return "pwsh" + command_line[match.end() :]
    return command_line


class WineBackend:
    """One Wine host.

    Args:
        sim: the simulated Windows of the scenario; it becomes a WineSim.
        folder: the host's own folder; the prefix is made in it.
        personality: "5.1" or "7": which PowerShell answers to the name ``powershell``.

    Raises:
        RuntimeError: there can be no Wine host here.
    """

    name = "wine"

    def __init__(self, sim: Sim, folder: Path, personality: str = "5.1") -> None:
        reason = available()
        if reason:
            raise RuntimeError(f"no Wine host: {reason}")
        self.prefix = Prefix(folder / "prefix")
        self._personality = personality
        self._processes: list[WineProcess] = []
        try:
            self.sim = WineSim.adopt(sim, self.prefix)
        except BaseException:
            self.prefix.close()
            raise
        self._environment = {"WULAB": sim.address, "POWERSHELL_TELEMETRY_OPTOUT": "1"}

    def start(self, command_line: str, environment: Mapping[str, str] | None = None) -> WineProcess:
        """See hosts.Backend."""
        tools = winhost()
        line = windows_line(command_line, self._personality)
        self.prefix.boot()
        code = f"run-{uuid.uuid4().hex}"
        more = {
            **self._environment,
            **(environment or {}),
            "WINHOST_LINE": line,
            "WINHOST_CODE": f"C:\\winhost\\codes\\{code}",
        }
        argv = [str(tools.LOADER), "C:\\winhost\\bin\\launch.exe"]
        child = ChildProcess(argv, tools.environment(self.prefix.home, more), self.prefix.drive)
        process = WineProcess(child, self.prefix.drive / "winhost" / "codes" / code)
        self._processes = [old for old in self._processes if not old.ended]
        self._processes.append(process)
        return process

    def close(self) -> None:
        """See hosts.Backend."""
        for process in self._processes:
            process.kill()
        self.prefix.close()
