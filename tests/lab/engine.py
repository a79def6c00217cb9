# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A host whose command lines run under a real PowerShell on Linux, with the platform functions of the lab."""

from __future__ import annotations

import functools
import ntpath
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from lab.hosts import ChildProcess, SimLike
from lab.manifest import Rewriter

REPOSITORY = Path(__file__).resolve().parents[2]
PLATFORM = Path(__file__).resolve().parent / "platform"
SWAPPED = ("_PlatformRead.psm1", "_PlatformChange.psm1")

_OURS = frozenset({"LD_LIBRARY_PATH", "DOTNET_ROOT", "PSH_CACHE", "XDG_CACHE_HOME"})


@functools.cache
def find_powershell() -> dict[str, Path] | None:
    """Return the executables that play ``powershell`` (5.1) and ``pwsh`` (7), or None without a PowerShell.

    A pwsh on PATH wins; it plays both unless a ``powershell`` stands beside it. Otherwise the sibling folder
    ``../shared/tools/psh`` of the repository is asked.
    """
    found = shutil.which("pwsh")
    if found:
        # What is on PATH may be a link or a script; the programs themselves stand in $PSHOME.
        home = Path(_ask(found, "-NoProfile", "-NonInteractive", "-Command", "$PSHOME") or Path(found).parent)
        pwsh = home / "pwsh" if os.access(home / "pwsh", os.X_OK) else Path(found)
        beside = pwsh.with_name("powershell")
        return {"pwsh": pwsh, "powershell": beside if os.access(beside, os.X_OK) else pwsh}
    unpack = REPOSITORY.parent / "shared/tools/psh/unpack"
    if not os.access(unpack, os.X_OK):
        return None
    folder = Path(_ask(str(unpack), "linux-x64"))
    programs = {name: folder / name for name in ("pwsh", "powershell")}
    return programs if all(os.access(path, os.X_OK) for path in programs.values()) else None


def _ask(*argv: str) -> str:
    try:
        return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=300).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def swap_platform(name: str, source: bytes) -> bytes:
    """Return the lab's platform module instead of the collection's; any other script as it is."""
    for file in SWAPPED:
        if name.endswith(f".{file}") and (PLATFORM / file).is_file():
            return (PLATFORM / file).read_bytes()
    return source


_ARGUMENT = re.compile(r'(?:[^\s"]|"(?:[^"\\]|\\.)*(?:"|$))+')


def split_arguments(line: str) -> list[str]:
    """Split a Windows command line; quotes group and fall away, a backslash shields a quote."""
    return [re.sub(r'(\\?)"', lambda m: '"' if m[1] else "", word) for word in _ARGUMENT.findall(line)]


class EngineProcess:
    """A command of an engine host: scripts are swapped on their way to standard input."""

    def __init__(self, child: ChildProcess) -> None:
        self._child, self.began = child, child.began
        self._rewriter = Rewriter(swap_platform)
        self.read = child.read
        self.kill = child.kill

    def write(self, data: bytes) -> None:
        """See hosts.Process."""
        self._child.write(self._rewriter.feed(data))

    def close_stdin(self) -> None:
        """See hosts.Process."""
        self._child.write(self._rewriter.finish())
        self._child.close_stdin()


class EngineBackend:
    """One engine host.

    Args:
        sim: the simulated Windows behind the platform functions.
        folder: the host's own folder; programs run in it and keep their temporary files there.
        personality: "5.1" or "7": which PowerShell answers to the name ``powershell``.

    Raises:
        RuntimeError: there is no PowerShell here.
    """

    name = "engine"

    def __init__(self, sim: SimLike, folder: Path, personality: str = "5.1") -> None:
        programs = find_powershell()
        if programs is None:
            raise RuntimeError("no PowerShell: neither pwsh on PATH nor ../shared/tools/psh")
        self._programs = programs if personality == "5.1" else dict.fromkeys(programs, programs["pwsh"])
        self._folder = folder
        self._processes: list[ChildProcess] = []
        # A shared home or temporary folder would let hosts see each other's files.
        self._home = folder / "home"
        self._temp = folder / "temp"
        # ansible-core 2.21 looks the interpreter's name up on the host's PATH before it runs a module.
        self._bin = folder / "bin"
        for path in (self._home, self._temp, self._bin):
            path.mkdir(parents=True, exist_ok=True)
        for name, program in self._programs.items():
            (self._bin / name).unlink(missing_ok=True)
            (self._bin / name).symlink_to(program)
        self._sim = sim
        self._environment = {
            **{key: value for key, value in os.environ.items() if key in _OURS},
            "PATH": f"{self._bin}:{os.environ.get('PATH', '/usr/bin:/bin')}",
            "COMPUTERNAME": sim.name.upper()[:15], "USERNAME": "lab", "LANG": "C.UTF-8",
            "HOME": str(self._home), "TMPDIR": str(self._temp), "TEMP": str(self._temp), "TMP": str(self._temp),
            "SystemDrive": "C:", "SystemRoot": "C:\\Windows", "windir": "C:\\Windows",
            "ProgramData": "C:\\ProgramData", "ProgramFiles": "C:\\Program Files",
            "POWERSHELL_TELEMETRY_OPTOUT": "1", "DOTNET_NOLOGO": "1", "NO_COLOR": "1",
        }

    def start(self, command_line: str, environment: Mapping[str, str] | None = None) -> EngineProcess:
        """See hosts.Backend."""
        self._sim.serve()
        variables = {**self._environment, **(environment or {}), "WULAB": self._sim.address}
        child = ChildProcess(self._argv(command_line), variables, self._folder)
        self._processes = [old for old in self._processes if not old.ended]
        self._processes.append(child)
        return EngineProcess(child)

    def close(self) -> None:
        """See hosts.Backend."""
        for child in self._processes:
            child.kill()

    def _argv(self, command_line: str) -> list[str]:
        words = split_arguments(command_line)
        name = ntpath.basename(words[0]).lower().removesuffix(".exe") if words else ""
        if name in self._programs:
            return [str(self._programs[name]), *words[1:]]
        if name == "cmd" and len(words) > 2 and words[1].lower() in ("/c", "/s"):
            command_line = command_line[re.search(r"/c\s*", command_line, re.IGNORECASE).end():]  # type: ignore[union-attr]
        # There is no cmd.exe here; for a simple command the shell's own syntax is the same.
        return ["/bin/sh", "-c", command_line]
