# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Fleets: what is asked for, the inventory, and the command line, with stand-ins for the simulated Windows."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import types
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml
from lab import __main__ as command_line
from lab import engine, fleet
from lab.fleet import Fleet, parse_hosts
from lab.hosts import ChildProcess, HostSpec


class StandInSim:
    """As much of a simulated Windows as a fleet sees."""

    closed: list[str] = []

    def __init__(self, scenario: str, folder: Path, name: str) -> None:
        document = fleet.read_scenario(scenario)
        self.name, self.folder, self.wire = name, folder, document.get("wire", {})
        self.address = ""

    @classmethod
    def load(cls, scenario: str, folder: Path, name: str) -> StandInSim:
        return cls(scenario, folder, name)

    def serve(self) -> tuple[str, int]:
        self.address = "127.0.0.1:1:token"
        return "127.0.0.1", 1

    def close(self) -> None:
        self.closed.append(self.name)


class StandInModel:
    name = "model"

    def __init__(self, sim: StandInSim, folder: Path) -> None:
        self.folder = folder

    def start(self, command_line: str, environment: Mapping[str, str] | None = None) -> ChildProcess:
        return ChildProcess(["/bin/sh", "-c", "cat; pwd"], os.environ, self.folder)

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    scenarios = tmp_path / "scenarios"
    scenarios.mkdir()
    (scenarios / "healthy.yml").write_text("title: |-\n  Nothing is wrong.\n  More.\n")
    (scenarios / "_machines.yml").write_text("every: {}\n")
    (scenarios / "gone.yml").write_text("title: The port is closed.\nwire: {down: true}\n")
    (scenarios / "penguin.yml").write_text("title: Not Windows.\nlinux: true\n")
    monkeypatch.setattr(fleet, "SCENARIOS", scenarios)
    monkeypatch.setattr(command_line, "SCENARIOS", scenarios)
    for name, content in {"model": {"ModelBackend": StandInModel}}.items():
        module = types.ModuleType(f"lab.{name}")
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, f"lab.{name}", module)
    monkeypatch.setattr(fleet, "Sim", StandInSim)
    StandInSim.closed.clear()
    return scenarios


@pytest.mark.parametrize(("text", "hosts"), [
    ("healthy", [("healthy", "healthy")]),
    ("a=x, b", [("x", "a"), ("b", "b")]),
    ("bad_clock*2", [("bad-clock-1", "bad_clock"), ("bad-clock-2", "bad_clock")]),
    ("a=w*1,a=z", [("w-1", "a"), ("z", "a")]),
    ("/tmp/own.yml", [("own", "/tmp/own.yml")]),
])
def test_parse_hosts(text: str, hosts: list[tuple[str, str]]) -> None:
    assert [(spec.name, spec.scenario) for spec in parse_hosts(text)] == hosts


@pytest.mark.parametrize("text", ["", "a,,b", "a=*2", "a*x", "a,a", "a=b c"])
def test_parse_hosts_refuses(text: str) -> None:
    with pytest.raises(ValueError, match=r"not scenario|two hosts"):
        parse_hosts(text)


def test_inventory_of_a_mixed_fleet(tmp_path: Path) -> None:
    specs = [*parse_hosts("healthy*2,gone,penguin"), HostSpec("own", "healthy", {"ansible_password": "wrong"})]
    with Fleet(specs, "model", tmp_path / "hosts", operation_timeout=2, read_timeout=4) as lab:
        document = yaml.safe_load(lab.write_inventory().read_text())
        group = document["all"]["children"]["windows"]
        assert list(group["hosts"]) == ["healthy-1", "healthy-2", "gone", "penguin", "own"]
        assert group["hosts"]["penguin"]["ansible_connection"] == "local"
        assert group["hosts"]["own"]["ansible_password"] == "wrong"
        assert group["vars"]["ansible_winrm_operation_timeout_sec"] == 2
        ports = [host["ansible_port"] for host in group["hosts"].values() if "ansible_port" in host]
        assert len(set(ports)) == 4
        socket.create_connection(("127.0.0.1", ports[0]), 2).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", group["hosts"]["gone"]["ansible_port"]), 2)
        assert lab.sim("gone").wire == {"down": True}
        assert set(lab.counters()) == {"healthy-1", "healthy-2", "gone", "own"}
    assert sorted(StandInSim.closed) == ["gone", "healthy-1", "healthy-2", "own"]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", ports[0]), 2)


def test_hosts_have_folders_of_their_own_and_a_temporary_fleet_leaves_nothing() -> None:
    winrm = pytest.importorskip("winrm")
    with Fleet(parse_hosts("healthy*2"), "model") as lab:
        folder = lab.folder
        for name, host in lab.wire.hosts.items():
            protocol = winrm.Protocol(
                f"http://127.0.0.1:{host.port}/wsman", "basic", lab.wire.user, lab.wire.password, proxy=None
            )
            shell = protocol.open_shell()
            command = protocol.run_command(shell, "x")
            protocol.send_command_input(shell, command, b"in ", end=True)
            assert protocol.get_command_output(shell, command)[0] == f"in {folder / name}\n".encode()
        assert {cost["processes"] for cost in lab.counters().values()} == {1}
        lab.reset_counters()
        assert {cost["processes"] for cost in lab.counters().values()} == {0}
    assert not folder.exists()


def test_two_hundred_hosts_start_fast_and_idle_without_threads() -> None:
    before = threading.active_count()
    with Fleet(parse_hosts("healthy*200"), "model") as lab:
        assert len({host.port for host in lab.wire.hosts.values()}) == 200
        assert threading.active_count() <= before + 2


def test_a_fleet_that_cannot_be_built_lets_go_of_everything(tmp_path: Path) -> None:
    lab = Fleet([HostSpec("a", "healthy"), HostSpec("b", "no-such-scenario")], "model", tmp_path / "hosts")
    with pytest.raises(FileNotFoundError):
        lab.__enter__()
    assert StandInSim.closed == ["a"]


def test_auto_is_the_engine_where_there_is_a_powershell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "find_powershell", lambda: None)
    assert Fleet([]).backend == "model"
    monkeypatch.setattr(engine, "find_powershell", lambda: {"pwsh": Path("/x"), "powershell": Path("/x")})
    assert Fleet([]).backend == "engine"
    with pytest.raises(ValueError, match="backend is one of"):
        Fleet([], "vmware")


def test_engine_without_a_powershell_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "find_powershell", lambda: None)
    with pytest.raises(RuntimeError, match="no pwsh on PATH"), Fleet(parse_hosts("healthy"), "engine"):
        pass


@pytest.mark.parametrize(("line", "words"), [
    ("PowerShell -NoProfile -EncodedCommand QQA=", ["PowerShell", "-NoProfile", "-EncodedCommand", "QQA="]),
    (r'"C:\Program Files\x.exe" a\b "c d"', [r"C:\Program Files\x.exe", r"a\b", "c d"]),
    (r'x "say \"hi\"" "" y', ["x", 'say "hi"', "", "y"]),
])
def test_split_arguments(line: str, words: list[str]) -> None:
    assert engine.split_arguments(line) == words


def test_a_pwsh_on_path_wins_and_plays_both(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "pwsh").write_text(f"#!/bin/sh\necho {home}\n")
    (home / "pwsh").chmod(0o755)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/pwsh").symlink_to(home / "pwsh")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    assert engine.find_powershell.__wrapped__() == {"pwsh": home / "pwsh", "powershell": home / "pwsh"}
    (home / "powershell").symlink_to("pwsh")
    assert engine.find_powershell.__wrapped__() == {"pwsh": home / "pwsh", "powershell": home / "powershell"}


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["gone", "healthy", "penguin"]
    assert lines[1].endswith("Nothing is wrong.")


def test_up(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = str(tmp_path / "f")
    arguments = ["up", "--backend", "model", "--hosts", "healthy*3", "--folder", folder, "--seconds", "0.1"]
    assert command_line.main(arguments) == 0
    out = capsys.readouterr().out
    path = re.search(r"inventory (\S+)", out)
    assert path is not None
    assert Path(path[1]) == tmp_path / "f/inventory.yml"
    assert f"ansible-playbook -i {path[1]} winfleet.wu_repair.check_wu" in out


def test_up_says_in_one_line_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["up", "--backend", "model", "--hosts", "nonsense"]) == 1
    assert capsys.readouterr().err.startswith("lab: ")


def test_help_runs_as_a_program() -> None:
    tests = Path(fleet.__file__).parents[1]
    answer = subprocess.run(
        [sys.executable, "-m", "lab", "--help"], cwd=tests, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0
    assert "up" in answer.stdout
