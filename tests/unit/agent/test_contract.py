# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The platform's functions are those of the contract, in the product, in the lab and here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .conftest import HERE, ROOT

# Parameters stand behind the name where bytes count.
FUNCTION = re.compile(
    r"^function ([\w-]+)(?:\((.*?)\))?\s*\{(?:\s*(?:\[CmdletBinding\(\)\]\s*)?param\((.*?)\)\s)?", re.DOTALL | re.MULTILINE
)

# What the stand-ins are made with.
HELPERS = {"Invoke-Lab", "Get-TestState", "Get-TestPath", "ConvertFrom-TestNode", "Edit-TestState", "Get-ChangePath"}


def exported(file: Path) -> dict[str, set[str]]:
    text = file.read_text()
    assert text.endswith("\nExport-ModuleMember -Function *\n")
    return {name: set(re.findall(r"\$(\w+)", head + inner)) for name, head, inner in FUNCTION.findall(text)}


def promised(half: str) -> dict[str, set[str]]:
    page = (ROOT / "docs/architecture.md").read_text()
    table = page[page.index("### Platform functions") : page.index("## The core")].split("| change |")
    rows = re.findall(r"^\| (`.*?) \|", table[0 if half == "Read" else 1], re.MULTILINE)
    calls = [call for row in rows for call in re.findall(r"`([^`]*)`", row)]
    return {call.split()[0]: set(re.findall(r"-(\w+)", call.partition(" ")[2])) for call in calls}


@pytest.mark.parametrize("half", ["Read", "Change"])
@pytest.mark.parametrize("folder", [ROOT / "plugins/module_utils", ROOT / "tests/lab/platform", HERE / "platform"])
def test_names_and_parameters(half: str, folder: Path) -> None:
    file = folder / f"_Platform{half}.psm1"
    if not file.exists():
        pytest.skip(f"{file.name} is not in {folder.name} yet")
    found = exported(file)
    if folder.name == "platform":
        found = {name: parameters for name, parameters in found.items() if name not in HELPERS}
    assert found == promised(half)


def test_a_look_ships_nothing_that_changes() -> None:
    needs = re.findall(r"module_utils\.(\w+)", (ROOT / "plugins/modules/wu_observe.ps1").read_text())
    assert sorted(needs) == ["_Evidence", "_PlatformRead"]


@pytest.mark.parametrize("name", ["_Evidence", "_PlatformRead", "_PlatformChange", "_Steps"])
def test_ascii_and_nothing_runs_at_import(name: str) -> None:
    text = (ROOT / f"plugins/module_utils/{name}.psm1").read_text(encoding="ascii")
    outside = re.sub(r"^function .*?^\}$", "", text, flags=re.DOTALL | re.MULTILINE)
    outside = outside[: outside.index("Export-ModuleMember")]
    assert not [line for line in outside.splitlines() if line and not line.startswith("#")]


def test_what_is_asked_of_the_event_log_decides_and_what_decides_is_asked() -> None:
    from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.readers import events  # noqa: PLC0415
    from lab.model_observe import EVENTS  # noqa: PLC0415

    text = (ROOT / "plugins/module_utils/_Evidence.psm1").read_text("ascii")
    # Kernel-General 1 tells each slew of the clock, and the newest 50 of it nothing of last week: no row asks for it or another provider.
    rows = [row.split(";") for row in re.findall(r"'(\w;\w;[\d,]+;[\d,]*;\d+)'", text)]
    names = dict(re.findall(r"\b([A-Z]) = '([^']+)'", text))

    def numbers(text: str) -> tuple[int, ...]:
        return tuple(map(int, filter(None, text.split(","))))

    asked = [(names[of], names[by], numbers(ids), numbers(calm)) for of, by, ids, calm, _max in rows]
    assert asked == list(EVENTS), "the lab plays another agent"
    every = {(provider, number) for _channel, provider, ids, _calm in asked for number in ids}
    assert [one for one in every if not events.tells(*one)] == []
    # 43xx were written before Windows 10; W32Time says the same as those asked in more of its ids.
    known = {(name, number) for name in (events.WUC, events.SERVICING, events.SCM) for number in range(4000) if events.tells(name, number)}
    # What is downloaded and waits (17, 18) decides nothing on a host, and a restart that is owed (4) it says itself; a log that has no more
    # is told for what it is.
    assert known - every == {(events.WUC, 17), (events.WUC, 18), (events.SERVICING, 4)}


def function_text(name: str) -> str:
    """A function of the platform, as it is written."""
    text = "".join((ROOT / f"plugins/module_utils/_Platform{half}.psm1").read_text("ascii") for half in ("Read", "Change"))
    (body,) = re.findall(rf"^function {name}\b.*?^}}", text, flags=re.DOTALL | re.MULTILINE)
    return body


def test_a_socket_that_cannot_be_made_is_an_answer() -> None:
    """.NET Framework makes it for IPv6, which a host may have switched off: outside of the try that took all endpoints along.

    No machine here refuses it.
    """
    body = function_text("Test-TcpConnect")
    assert -1 < body.find("try {") < body.find("[Net.Sockets.Socket]::new") < body.find("catch {")


def test_the_error_of_a_call_is_read_by_what_called() -> None:
    """Between two lines of PowerShell others set it: a change of the clock was refused as "The operation completed successfully".

    No machine here may set its clock.
    """
    body = function_text("Set-HostClock")
    assert body.count("GetLastWin32Error") == 1
    assert "return SetSystemTime(time) ? 0 : Marshal.GetLastWin32Error();" in body
    utils = (ROOT / "plugins/module_utils").glob("*.psm1")
    assert [file.name for file in utils if "]::GetLastWin32Error" in file.read_text("ascii")] == []


@pytest.mark.parametrize(
    "word",
    [
        "PendingFileRename", "UpdateExeVolatile", "DVDRebootSignal", "PackagesPending", "CurrentCulture.Name", "PSEdition", "TotalSize",
        "rtt_ms", "FailureCount", "InstallAttempts", "ProgramData",
    ],
)  # fmt: skip
def test_a_look_gathers_nothing_that_decides_nothing(word: str) -> None:
    """Each of these was read once, crossed the wire of every look, and changed no verdict; any user may fill a folder under ProgramData."""
    files = ("_PlatformRead.psm1", "_Evidence.psm1")
    assert [name for name in files if word in (ROOT / "plugins/module_utils" / name).read_text("ascii")] == []


def test_a_look_is_small() -> None:
    """A look at a healthy host may cost at most 0.7 times the bytes of win_ping, of which ansible-core itself takes most."""
    files = ("modules/wu_observe.ps1", "module_utils/_PlatformRead.psm1", "module_utils/_Evidence.psm1")
    assert sum((ROOT / "plugins" / name).stat().st_size for name in files) <= 45056
