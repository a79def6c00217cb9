# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Wine hosts: a real prefix is what the scenario says, and the lab's laws look at that prefix."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import wine
from lab.sim import DATA_STORE, Sim, SimError
from lab.wine import WineBackend, WineProcess, WineSim

needs_wine = pytest.mark.skipif(wine.available() is not None, reason=str(wine.available()))
pytestmark = [pytest.mark.wine, needs_wine]

SCENARIO = r"""
title: A Wine host of many parts
machine: client10
data_store: damaged 0x80070002
zone: W. Europe Standard Time
services:
  BITS: {start: 4}
  UsoSvc: {state: stopped}
  wlidsvc: {stop: hang, state: running}
  LabChild: {display: 'Lab child', start: 3, state: running, needs: [CryptSvc]}
  WaaSMedicSvc: null
registry:
  'HKLM\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate': {WUServer: 'http://wsus.example:8530', ElevateNonAdmins: 1}
  'HKLM\SOFTWARE\Lab [1]':
    'na"me': 'Zürich'
    Bits: {kind: MultiString, value: [a, b]}
    Wide: {kind: QWord, value: 1099511627776}
files:
  'Windows\Logs\lab.log': {modified: now-4h, text: "hello\r\n"}
  'Data\keep.txt': {text: x}
  'Windows\Linked': {link: 'C:\Data\target'}
processes: [TiWorker]
locks:
  - {path: 'C:\Data\keep.txt', by: a scanner}
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WineBackend]:
    folder = tmp_path_factory.mktemp("wine")
    scenario = folder / "many-parts.yml"
    scenario.write_text(SCENARIO, "utf-8")
    backend = WineBackend(Sim.load(scenario, folder / "host", "wine-1"), folder / "host")
    yield backend
    backend.close()
    backend.sim.close()


def run(host: WineBackend, line: str, given: bytes = b"", timeout: float = 60) -> tuple[bytes, bytes, int]:
    process = host.start(line)
    process.write(given)
    process.close_stdin()
    return drain(process, timeout)


def drain(process: WineProcess, timeout: float = 60) -> tuple[bytes, bytes, int]:
    out, err = b"", b""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        more, wrong, code = process.read(1)
        out, err = out + more, err + wrong
        if code is not None:
            return out, err, code
    raise AssertionError(f"still running: {out!r} {err!r}")


def powershell(host: WineBackend, script: str) -> tuple[bytes, bytes, int]:
    encoded = base64.b64encode(script.encode("utf-16-le")).decode()
    return run(host, f"powershell -NoProfile -NonInteractive -EncodedCommand {encoded}")


def platform(host: WineBackend, script: str) -> object:
    """Run a script with the platform modules and their overlay, as a manifest brings them; its value from JSON."""
    for module in wine.MODULES:
        source = wine.REPOSITORY / "plugins" / "module_utils" / module
        text = wine.overlaid(f"x.{module}", source.read_bytes()).decode()
        (host.prefix.drive / "winhost" / module).write_text(text, "utf-8")
    out, err, code = powershell(
        host,
        "$ErrorActionPreference = 'Stop'\n"
        "foreach ($name in '_PlatformRead', '_PlatformChange') {\n"
        '  $text = [IO.File]::ReadAllText("C:\\winhost\\$name.psm1")\n'
        '  New-Module -Name "a.b.$name" -ScriptBlock ([ScriptBlock]::Create($text)) | Import-Module\n'
        "}\n"
        f"ConvertTo-Json -Compress -Depth 5 -InputObject $(& {{ {script} }})",
    )
    assert code == 0, err
    return json.loads(out)


def test_exit_code_has_32_bits_and_stdin_and_environment_arrive(host: WineBackend) -> None:
    process = host.start(
        'powershell -NoProfile -Command "$input; $env:WULAB; $env:FROM_SHELL; exit -2145124318"', {"FROM_SHELL": "yes"}
    )
    process.write(b"first\r\n")
    process.write(b"second\r\n")
    process.close_stdin()
    out, _err, code = drain(process)
    assert out.decode().split() == ["first", "second", host.sim.address, "yes"]
    assert code == 0x80240022


def test_other_commands_run_under_cmd(host: WineBackend) -> None:
    out, _err, code = run(host, "echo %OS% & exit 300")
    assert (out.split(), code) == ([b"Windows_NT"], 300)


def test_kill_ends_the_program_in_the_host(host: WineBackend) -> None:
    process = host.start('powershell -NoProfile -Command "Start-Sleep 60"')
    deadline = time.monotonic() + 10
    while "powershell" not in str(processes(host)) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    _out, _err, code = drain(process, 5)
    assert code != 0
    deadline = time.monotonic() + 5
    while "powershell" in str(processes(host)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "powershell" not in str(processes(host))


def processes(host: WineBackend) -> list[str]:
    return list(wine.winhost().processes(host.prefix.home).values())


def test_services_are_as_the_scenario_says(host: WineBackend) -> None:
    found = {name: (one.start, one.state) for name, one in host.prefix.services().items()}
    assert found["bits"] == (4, "stopped")
    assert found["cryptsvc"] == (2, "running")
    assert found["usosvc"] == (2, "stopped")
    assert found["labchild"] == (3, "running")
    assert "waasmedicsvc" not in found
    assert host.sim.services["dosvc"]["delayed"] is True


def test_registry_is_as_the_scenario_says(host: WineBackend) -> None:
    assert (
        host.sim.value("HKLM\\SOFTWARE\\Policies\\Microsoft\\Windows\\WindowsUpdate", "wuserver")
        == "http://wsus.example:8530"
    )
    key = host.prefix.key("HKLM\\SOFTWARE\\Lab [1]")
    assert key is not None
    assert key.plain() == {'na"me': "Zürich", "Bits": ["a", "b"], "Wide": 1 << 40}
    assert host.prefix.key("HKLM\\SOFTWARE\\Nowhere") is None


def test_real_functions_read_the_prefix_and_overlaid_ones_the_lab(host: WineBackend) -> None:
    seen = platform(
        host,
        r"""
        # As netsh winhttp writes it: flags at 8, the length of the text at 12, the text at 16, and what nobody reads behind it.
        $setting = [byte[]](@(40) + @(0) * 7 + 3, 0, 0, 0, 12, 0, 0, 0 + [Text.Encoding]::ASCII.GetBytes('proxy.lab:80rest'))
        $internet = 'SOFTWARE\Microsoft\Windows\CurrentVersion\Internet Settings'
        [Microsoft.Win32.Registry]::SetValue("HKEY_LOCAL_MACHINE\$internet\Connections", 'WinHttpSettings', $setting)
        [Microsoft.Win32.Registry]::SetValue("HKEY_USERS\S-1-5-18\$internet", 'ProxyServer', 'own.lab:80')
        $missing = try { Read-EventRecord -Channel Nowhere -XPath '*' -Max 1 -TimeoutMs 100 }
        catch { $_.Exception.GetBaseException().GetType().Name }
        @{
          services = Get-ServiceTable -Name wuauserv, BITS, UsoSvc, CryptSvc, Nope
          tail = (Read-FileTail -Path 'C:\Windows\Logs\lab.log' -Bytes 100).size
          key = (Read-RegistryKey -Key 'HKLM\SOFTWARE\Lab [1]').values
          link = (Get-FolderFact -Path 'C:\Windows\Linked').reparse
          processes = @((Get-ProcessTime -Name TiWorker, SetupHost).Keys)
          zone = Get-TimeZoneId
          history = @(Get-UpdateHistory -Max 5).Length
          clock = Get-HostClock
          host = Get-HostFact
          tcp = Test-TcpConnect -Server 127.0.0.1 -Port 9 -TimeoutMs 500
          far = Test-TcpConnect -Server nowhere.example -Port 443 -TimeoutMs 500
          missing = $missing
          proxy = Get-WinHttpProxy
          real = & (Get-Command Get-ServiceTable).Module { Get-RealServiceTable -Name UsoSvc, BITS }
          own = (Read-RegistryKey -Key "HKU\S-1-5-18\$internet").values.ProxyServer
          session = Get-SessionFact
        }""",
    )
    assert isinstance(seen, dict)
    services = seen["services"]
    assert services["BITS"]["start"] == 4
    assert services["CryptSvc"]["dependents"] == ["LabChild"]
    assert (services["BITS"]["account"], services["BITS"]["dll_missing"]) == ("LocalSystem", False)
    # Wine has no usosvc.dll, the lab's Windows has.
    assert services["UsoSvc"]["dll_missing"] is False
    assert [seen["real"][name]["dll_missing"] for name in ("UsoSvc", "BITS")] == [True, False]
    assert (seen["proxy"], seen["own"]) == ("proxy.lab:80", "own.lab:80")
    assert "Nope" not in services
    assert seen["tail"] == 7
    assert seen["key"] == {'na"me': "Zürich", "Bits": ["a", "b"], "Wide": 1 << 40}
    assert seen["link"] is True
    assert seen["processes"] == ["TiWorker"]
    assert seen["zone"] == "W. Europe Standard Time"
    assert seen["history"] == 2
    assert abs(seen["clock"] / 1000 - host.sim.host_time()) < 30
    assert seen["host"]["domain_role"] == 0
    assert (seen["tcp"]["ok"], seen["far"]["error"]) == (False, "No such host is known")
    assert seen["missing"] in ("FileNotFoundException", "EventLogNotFoundException")


def test_a_lock_keeps_its_folder_in_place(host: WineBackend) -> None:
    out, err, code = run(host, r"ren C:\Data Data2")
    assert code != 0, (out, err)
    assert (host.prefix.drive / "Data").is_dir()


def test_a_hanging_service_stays_stop_pending(host: WineBackend) -> None:
    host.prefix.control("stop", "wlidsvc", "stop_pending")
    time.sleep(0.3)
    host.sim.pull()
    assert host.sim.services["wlidsvc"]["state"] == "stop_pending"


def test_a_damaged_store_heals_when_its_folder_is_set_aside_by_the_host_itself(host: WineBackend) -> None:
    with pytest.raises(SimError) as refused:
        host.sim.call("Invoke-UpdateSearch", {"Criteria": "IsInstalled=0"})
    assert refused.value.hresult & 0xFFFFFFFF == 0x80070002
    found = host.prefix.service("wuauserv")
    assert found is not None
    assert found.state == "running", "a search starts the service by trigger"
    assert run(host, r"ren C:\Windows\SoftwareDistribution Aside")[2] != 0, "a running service holds its folder"
    host.prefix.control("stop", "wuauserv", "stopped")
    assert run(host, r"ren C:\Windows\SoftwareDistribution Aside")[2] == 0
    out, err, code = powershell(
        host, "Start-Service wuauserv; Test-Path C:\\Windows\\SoftwareDistribution\\DataStore\\DataStore.edb"
    )
    assert (out.split(), code) == ([b"True"], 0), err
    assert host.sim.call("Invoke-UpdateSearch", {"Criteria": "IsInstalled=0"}) == {
        "result": 2,
        "hresult": 0,
        "count": 0,
        "updates": [],
        "warnings": [],
    }


def test_a_disabled_update_service_is_the_law_wherever_it_was_disabled(host: WineBackend) -> None:
    host.prefix.ask("config", "wuauserv", "4")
    assert host.sim.law("search") == 0x80070422
    host.prefix.ask("config", "wuauserv", "3")
    assert host.sim.law("search") != 0x80070422


def test_equal_snapshots_mean_that_nothing_changed(host: WineBackend) -> None:
    first = host.sim.snapshot()
    powershell(host, "Get-Service | Out-Null; Get-CimInstance Win32_Service | Out-Null")
    assert host.sim.snapshot() == first
    powershell(host, "New-Item -Path HKLM:\\SOFTWARE\\Microsoft\\LabProbe | Out-Null")
    assert host.sim.snapshot()["registry"] != first["registry"]
    run(host, r"echo x> C:\Windows\Logs\new.txt")
    assert host.sim.snapshot()["files"] != first["files"]
    host.prefix.ask("config", "msiserver", "4")
    assert host.sim.snapshot()["services"] != first["services"]


def test_laws_may_write_the_registry(host: WineBackend) -> None:
    host.sim.call(
        "Invoke-Program",
        {
            "Path": "w32tm.exe",
            "Argument": "/config /manualpeerlist:lab.example /syncfromflags:manual",
            "TimeoutMs": 1000,
        },
    )
    out, _err, _code = powershell(
        host, "(Get-ItemProperty HKLM:\\SYSTEM\\CurrentControlSet\\Services\\W32Time\\Parameters).NtpServer"
    )
    assert out.strip() == b"lab.example"


def test_a_start_that_fails_in_the_service_reaches_the_caller(host: WineBackend) -> None:
    host.prefix.ask("config", "msiserver", "4")
    with host.sim._lock, pytest.raises(SimError) as refused:
        host.sim._start(host.sim.services["msiserver"])
    assert refused.value.hresult & 0xFFFF == 1058


def test_the_adopted_simulation_is_the_one_that_was_loaded(host: WineBackend) -> None:
    assert isinstance(host.sim, WineSim)
    assert host.sim.root == host.prefix.drive
    assert host.sim.path(DATA_STORE).is_relative_to(host.prefix.drive)
    assert not Path(host.sim.folder, "c").exists()


def test_real_functions_change_the_prefix_and_overlaid_ones_the_lab(host: WineBackend) -> None:
    wine.winhost().install_program(host.prefix.home, "labhang.exe", "match\nhang\n")
    before = host.sim.clock_offset
    seen = platform(
        host,
        r"""
        function Try-It([scriptblock] $Block) {
          try { $null = & $Block; 'done' } catch { $_.Exception.GetBaseException().GetType().Name }
        }
        $made = [IO.Directory]::CreateDirectory('C:\Made\inner'); [IO.File]::WriteAllText('C:\Made\inner\a.txt', 'a')
        (Get-Item C:\Made\inner\a.txt).IsReadOnly = $true
        [IO.File]::WriteAllText('C:\Data\target\kept.txt', 'kept')
        @{
          delayed = Try-It { Set-ServiceStart -Name AppIDSvc -Start 2 -Delayed $true }
          manual = Try-It { Set-ServiceStart -Name UsoSvc -Start 3 -Delayed $false }
          start = Try-It { Send-ServiceStart -Name AppIDSvc }
          listing = Read-ServiceListing
          other = Try-It { Stop-ServiceProcess -ProcessId $PID -Name svchost -Started 1 }
          depended = Try-It { Send-ServiceStop -Name CryptSvc }
          move = Try-It { Move-Folder -Path 'C:\Made' -Destination 'C:\Moved' }
          file = Try-It { Move-SingleFile -Path 'C:\Moved\inner\a.txt' -Destination 'C:\Moved\inner\b.txt' }
          remove = Try-It { Remove-FolderTree -Path 'C:\Moved' }
          value = Try-It { Write-RegistryValue -Key 'HKLM\SOFTWARE\Lab [1]' -Name Big -Kind DWord -Value 4294967295 }
          text = Try-It { Write-RegistryValue -Key 'HKLM\SOFTWARE\New\Deep' -Name Word -Kind String -Value 'x y' }
          gone = Try-It { Remove-RegistryValue -Key 'HKLM\SOFTWARE\Lab [1]' -Name Wide }
          clock = Try-It { Set-HostClock -OffsetMs 60000 }
          zone = Try-It { Set-TimeZoneId -Id 'Tokyo Standard Time' }
          w32tm = Invoke-Program -Path w32tm.exe -Argument '/resync' -TimeoutMs 1000
          program = Invoke-Program -Path "$env:SystemRoot\System32\cmd.exe" -Argument '/c', 'exit 7' -TimeoutMs 10000
          late = $null -eq (Invoke-Program -Path C:\windows\system32\labhang.exe -Argument 'x' -TimeoutMs 300)
          sddl = Try-It { Set-ServiceSecurity -Name bits -Sddl 'D:(A;;CC;;;SY)' }
          shown = Get-ServiceSecurity -Name bits
        }""",
    )
    assert isinstance(seen, dict)
    assert (seen["w32tm"], seen["program"], seen["depended"]) == (-2147023834, 7, "Win32Exception")
    assert {
        name: seen[name] for name in seen if name not in ("listing", "other", "w32tm", "program", "depended", "late", "shown")
    } == dict.fromkeys(
        ("delayed", "manual", "start", "move", "file", "remove", "value", "text", "gone", "clock", "zone", "sddl"),
        "done",
    )
    assert "SERVICE_NAME: CryptSvc" in seen["listing"]
    assert "SERVICE_NAME: msiserver" not in seen["listing"]
    assert seen["other"] == "InvalidOperationException"
    assert seen["late"] is True
    assert "labhang" not in str(processes(host))
    assert seen["shown"] == "D:(A;;CC;;;SY)"
    host.sim.pull()
    assert (host.sim.services["appidsvc"]["start"], host.sim.services["appidsvc"]["delayed"]) == (2, True)
    assert host.sim.services["usosvc"]["start"] == 3
    assert not host.prefix.path("C:\\Moved").exists()
    assert host.sim.value("HKLM\\SOFTWARE\\Lab [1]", "Big") == 0xFFFFFFFF
    assert host.sim.value("HKLM\\SOFTWARE\\Lab [1]", "Wide") is None
    assert host.sim.value("HKLM\\SOFTWARE\\New\\Deep", "Word") == "x y"
    assert host.sim.clock_offset == pytest.approx(before + 60)
    assert host.sim.zone == "Tokyo Standard Time"


HOLD = "$lock = Enter-HostChange -Run 20261124T101530Z-1a2b3c; [IO.File]::WriteAllText('C:\\held.txt', $lock.held); Start-Sleep 120"


def test_one_run_changes_a_host_another_is_told_which_and_a_dead_one_holds_nothing(host: WineBackend) -> None:
    # Whoever may change a host may open it: of one that SYSTEM made an administrator could not.
    access = "[Threading.ThreadingAclExtensions]::GetAccessControl((Enter-HostChange -Run 20261124T111530Z-aaaaaa).handle[0])"
    assert platform(host, f"{access}.GetSecurityDescriptorSddlForm('Access')") == "D:(A;;0x1f0001;;;SY)(A;;0x1f0001;;;BA)"
    seen = "$lock = Enter-HostChange -Run 20261124T111530Z-aaaaaa; $lock.Remove('handle'); $lock"
    assert platform(host, seen) == {"held": True, "by": None, "why": None}
    # The modules are where the call before wrote them.
    read = "New-Module ([ScriptBlock]::Create([IO.File]::ReadAllText(\"C:\\winhost\\$name.psm1\"))) | Import-Module"
    load = f"foreach ($name in '_PlatformRead', '_PlatformChange') {{ {read} }}"
    encoded = base64.b64encode(f"{load}; {HOLD}".encode("utf-16-le")).decode()
    holder = host.start(f"powershell -NoProfile -NonInteractive -EncodedCommand {encoded}")
    holder.close_stdin()
    deadline = time.monotonic() + 60
    while not host.prefix.path("C:\\held.txt").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert platform(host, seen) == {"held": False, "by": "20261124T101530Z-1a2b3c", "why": None}
    holder.kill()
    drain(holder)
    assert platform(host, seen) == {"held": True, "by": None, "why": None}


def test_deleting_goes_on_and_spares_what_has_another_name(host: WineBackend) -> None:
    deep = "C:\\Deep\\" + "\\".join(["x" * 60] * 6)
    seen = platform(
        host,
        rf"""
        $null = [IO.Directory]::CreateDirectory('\\?\{deep}'); [IO.File]::WriteAllText('\\?\{deep}\a.txt', 'a')
        [IO.File]::WriteAllText('C:\Deep\alone.txt', 'a'); [IO.File]::SetAttributes('C:\Deep\alone.txt', 'ReadOnly')
        [IO.File]::WriteAllText('C:\Kept.txt', 'a')
        $null = New-Item -ItemType HardLink -Path 'C:\Deep\shared.txt' -Target 'C:\Kept.txt'
        [IO.File]::SetAttributes('C:\Kept.txt', 'ReadOnly')
        try {{ Remove-FolderTree -Path 'C:\Deep'; $why = '' }} catch {{ $why = "$_" }}
        @{{
          why = $why; kept = "$([IO.File]::GetAttributes('C:\Kept.txt'))"
          left = @([IO.Directory]::GetFileSystemEntries('C:\Deep'))
        }}""",
    )
    assert isinstance(seen, dict)
    # Windows deletes no file that is read-only, and its attribute is its other name's too.
    assert seen["left"] == ["C:\\Deep\\shared.txt"]
    assert "ReadOnly" in seen["kept"]
    assert seen["why"]


def test_text_with_variables_and_a_key_of_ours_go_back_as_they_were(host: WineBackend) -> None:
    host.prefix.set_value("HKLM\\SOFTWARE\\Lab\\Time", "NtpServer", "%x%", wine.REG_EXPAND_SZ)
    platform(
        host,
        r"""
        Write-RegistryValue -Key 'HKLM\SOFTWARE\Lab\Time' -Name NtpServer -Kind String -Value other
        Write-RegistryValue -Key 'HKLM\SOFTWARE\Lab\Time' -Name NtpServer -Kind String -Value '%x%'
        Write-RegistryValue -Key 'HKLM\SOFTWARE\Lab\Made' -Name A -Kind DWord -Value 1
        Remove-RegistryValue -Key 'HKLM\SOFTWARE\Lab\Made' -Name A -EmptyKey $true
        Write-RegistryValue -Key 'HKLM\SOFTWARE\Lab\Full' -Name A -Kind DWord -Value 1
        Write-RegistryValue -Key 'HKLM\SOFTWARE\Lab\Full' -Name B -Kind DWord -Value 1
        Remove-RegistryValue -Key 'HKLM\SOFTWARE\Lab\Full' -Name A -EmptyKey $true
        'done'""",
    )
    key = host.prefix.key("HKLM\\SOFTWARE\\Lab\\Time")
    assert key is not None
    assert key.values["NtpServer"] == (wine.REG_EXPAND_SZ, wine.encode("%x%", wine.REG_EXPAND_SZ))
    assert host.prefix.key("HKLM\\SOFTWARE\\Lab\\Made") is None
    full = host.prefix.key("HKLM\\SOFTWARE\\Lab\\Full")
    assert full is not None
    assert full.plain() == {"B": 1}
