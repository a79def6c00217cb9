# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The WinRM wire, spoken to by pywinrm, with machines of a few lines behind it."""

from __future__ import annotations

import base64
import os
import re
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

requests = pytest.importorskip("requests")
winrm = pytest.importorskip("winrm", reason="pywinrm is not installed")

from lab.hosts import ChildProcess  # noqa: E402
from lab.wire import SHELL_NOT_FOUND, Wire  # noqa: E402
from winrm import exceptions  # noqa: E402

SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"


class ShBackend:
    """Runs each command line with /bin/sh."""

    name = "sh"

    def __init__(self) -> None:
        self.started: list[ChildProcess] = []

    def start(self, command_line: str, environment: Mapping[str, str] | None = None) -> ChildProcess:
        if command_line.startswith("missing"):
            raise FileNotFoundError(2, "No such program")
        child = ChildProcess(["/bin/sh", "-c", command_line], {**os.environ, **(environment or {})}, "/")
        self.started.append(child)
        return child

    def close(self) -> None:
        for child in self.started:
            child.kill()


class Script:
    """A process that plays fixed reads: (delay, stdout, stderr, exit code)."""

    def __init__(self, *reads: tuple[float, bytes, bytes, int | None]) -> None:
        self.reads = list(reads)
        self.killed = threading.Event()
        self.got = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        self.got += data

    def close_stdin(self) -> None:
        self.closed = True

    def read(self, timeout: float) -> tuple[bytes, bytes, int | None]:
        if self.killed.is_set() or not self.reads:
            return b"", b"", 1
        delay, out, err, code = self.reads[0]
        if self.killed.wait(min(delay, timeout)) or delay > timeout:
            self.reads[0] = (delay - timeout, out, err, code)
            return b"", b"", None
        self.reads.pop(0)
        return out, err, code

    def kill(self) -> None:
        self.killed.set()


class ScriptBackend:
    name = "script"

    def __init__(self, *processes: Script) -> None:
        self.processes = list(processes)

    def start(self, command_line: str, environment: Mapping[str, str] | None = None) -> Script:
        return self.processes.pop(0)

    def close(self) -> None:
        pass


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire()
    yield wire
    wire.close()
    assert wire.errors == []


def connect(wire: Wire, host: Any, **options: Any) -> Any:
    options = {"operation_timeout_sec": 5, "read_timeout_sec": 10, "password": wire.password, **options}
    return winrm.Protocol(
        f"http://127.0.0.1:{host.port}/wsman", transport="basic", username=wire.user, proxy=None, **options
    )


def run(protocol: Any, line: str, stdin: bytes | None = None, **shell: Any) -> tuple[bytes, bytes, int]:
    shell_id = protocol.open_shell(**shell)
    command_id = protocol.run_command(shell_id, line)
    if stdin is not None:
        protocol.send_command_input(shell_id, command_id, stdin, end=True)
    answer: tuple[bytes, bytes, int] = protocol.get_command_output(shell_id, command_id)
    protocol.cleanup_command(shell_id, command_id)
    protocol.close_shell(shell_id)
    return answer


def test_streams_exit_code_and_input(wire: Wire) -> None:
    host = wire.add("a", ShBackend())
    out, err, code = run(connect(wire, host), "cat; echo bad >&2; exit 7", b"one\x00\xff two")
    assert (out, err, code) == (b"one\x00\xff two", b"bad\n", 7)
    assert host.shells == {}


def test_arguments_and_environment(wire: Wire) -> None:
    host = wire.add("a", ShBackend())
    protocol = connect(wire, host)
    shell_id = protocol.open_shell(env_vars={"WHO": "<&>"}, working_directory="C:\\", idle_timeout="PT60S")
    command_id = protocol.run_command(shell_id, "printf", ["%s-%s", '"$WHO"', "'b  c'"], skip_cmd_shell=True)
    assert protocol.get_command_output(shell_id, command_id)[0] == b"<&>-b  c"


@pytest.mark.parametrize(("code", "seen"), [(3010, 3010), (-1, 0xFFFFFFFF), (0xC0000005, 0xC0000005)])
def test_exit_code_has_32_bits(wire: Wire, code: int, seen: int) -> None:
    host = wire.add("a", ScriptBackend(Script((0, b"", b"", code))))
    assert run(connect(wire, host), "x") == (b"", b"", seen)


def test_output_comes_in_envelopes_of_the_size_asked_for(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    host = wire.add("a", ShBackend())
    protocol = connect(wire, host)
    sizes = []
    send = protocol.transport.send_message

    def record(message: Any) -> bytes:
        answer: bytes = send(message)
        sizes.append(len(answer))
        return answer

    monkeypatch.setattr(protocol.transport, "send_message", record)
    shell_id = protocol.open_shell()
    command_id = protocol.run_command(shell_id, "head -c 700000 /dev/zero; head -c 300000 /dev/zero >&2")
    # What a slow program has written so far goes out at once: on a busy machine in small pieces.
    time.sleep(2)
    out, err, code = protocol.get_command_output(shell_id, command_id)
    assert (len(out), len(err), code) == (700000, 300000, 0)
    assert max(sizes) <= 153600
    assert len(sizes) < 40


def test_output_beyond_the_buffer_waits_for_the_reader(wire: Wire) -> None:
    host = wire.add("a", ShBackend())
    out, _err, code = run(connect(wire, host), "head -c 12000000 /dev/zero; exit 3")
    assert (len(out), code) == (12000000, 3)


def test_large_input_while_the_program_writes(wire: Wire) -> None:
    # The client reads nothing before all its input is sent: neither side may wait for the other.
    host = wire.add("a", ShBackend())
    data = os.urandom(900_000)
    protocol = connect(wire, host)
    shell_id = protocol.open_shell()
    command_id = protocol.run_command(shell_id, "cat")
    for start in range(0, len(data), 200_000):
        protocol.send_command_input(shell_id, command_id, data[start:start + 200_000], end=start + 200_000 >= len(data))
    assert protocol.get_command_output(shell_id, command_id)[0] == data


def test_receive_times_out_as_windows_does_and_goes_on(wire: Wire) -> None:
    host = wire.add("a", ScriptBackend(Script((1.5, b"late", b"", None), (0, b"", b"", 0))))
    protocol = connect(wire, host, operation_timeout_sec=1, read_timeout_sec=5)
    shell_id = protocol.open_shell()
    command_id = protocol.run_command(shell_id, "x")
    begun = time.monotonic()
    with pytest.raises(exceptions.WinRMOperationTimeoutError):
        protocol.get_command_output_raw(shell_id, command_id)
    assert 0.9 < time.monotonic() - begun < 1.4
    assert protocol.get_command_output(shell_id, command_id) == (b"late", b"", 0)


def test_output_arrives_before_the_end(wire: Wire) -> None:
    host = wire.add("a", ScriptBackend(Script((0, b"first", b"", None), (30, b"", b"", 0))))
    protocol = connect(wire, host, operation_timeout_sec=1, read_timeout_sec=5)
    shell_id = protocol.open_shell()
    command_id = protocol.run_command(shell_id, "x")
    assert protocol.get_command_output_raw(shell_id, command_id) == (b"first", b"", -1, False)
    with pytest.raises(exceptions.WinRMOperationTimeoutError):
        protocol.get_command_output_raw(shell_id, command_id)


def test_terminate_kills_the_whole_group(wire: Wire) -> None:
    backend = ShBackend()
    host = wire.add("a", backend)
    protocol = connect(wire, host)
    shell_id = protocol.open_shell()
    command_id = protocol.run_command(shell_id, "sleep 61 & echo $!; wait")
    child = int(protocol.get_command_output_raw(shell_id, command_id)[0])
    protocol.cleanup_command(shell_id, command_id)
    deadline = time.monotonic() + 3
    while _runs(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _runs(child)
    with pytest.raises(exceptions.WSManFaultError):
        protocol.get_command_output_raw(shell_id, command_id)


def _runs(pid: int) -> bool:
    # A killed orphan may stay a zombie where no init reaps it.
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_deleting_the_shell_kills_what_runs(wire: Wire) -> None:
    process = Script((60, b"", b"", 0))
    protocol = connect(wire, wire.add("a", ScriptBackend(process)))
    shell_id = protocol.open_shell()
    protocol.run_command(shell_id, "x")
    protocol.close_shell(shell_id)
    assert process.killed.wait(2)


def test_a_background_child_does_not_hold_the_command(wire: Wire) -> None:
    host = wire.add("a", ShBackend())
    begun = time.monotonic()
    out, _err, code = run(connect(wire, host), "sleep 30 & echo done; exit 4")
    assert (out, code) == (b"done\n", 4)
    assert time.monotonic() - begun < 5


def test_unknown_shell(wire: Wire) -> None:
    protocol = connect(wire, wire.add("a", ShBackend()))
    with pytest.raises(exceptions.WSManFaultError) as caught:
        protocol.run_command("11111111-1111-1111-1111-111111111111", "true")
    assert caught.value.wsman_fault_code == SHELL_NOT_FOUND == 2150858843


def test_idle_shell_goes(wire: Wire) -> None:
    protocol = connect(wire, wire.add("a", ShBackend()))
    shell_id = protocol.open_shell(idle_timeout="PT0.3S")
    time.sleep(0.8)
    with pytest.raises(exceptions.WSManFaultError):
        protocol.run_command(shell_id, "true")


def test_program_that_cannot_start(wire: Wire) -> None:
    protocol = connect(wire, wire.add("a", ShBackend()))
    with pytest.raises(exceptions.WSManFaultError) as caught:
        run(protocol, "missing.exe")
    assert caught.value.wsman_fault_code == 2


def test_unknown_action(wire: Wire) -> None:
    protocol = connect(wire, wire.add("a", ShBackend()))
    header = protocol.build_wsman_header("http://example.com/Dance", f"{SHELL}/cmd")
    header["env:Body"] = {}
    xmltodict = pytest.importorskip("xmltodict")
    with pytest.raises(exceptions.WSManFaultError) as caught:
        protocol.send_message(xmltodict.unparse({"env:Envelope": header}))
    assert caught.value.fault_subcode == "a:ActionNotSupported"


def test_wrong_password(wire: Wire) -> None:
    host = wire.add("a", ShBackend())
    with pytest.raises(exceptions.InvalidCredentialsError):
        connect(wire, host, password="wrong").open_shell()
    assert host.counters.messages == 0


def test_fifty_at_once_over_kept_connections(wire: Wire) -> None:
    hosts = [wire.add(f"h{number}", ShBackend()) for number in range(50)]
    barrier = threading.Barrier(50)

    def one(number: int) -> bytes:
        protocol = connect(wire, hosts[number], operation_timeout_sec=15, read_timeout_sec=30)
        barrier.wait()
        return run(protocol, f"sleep 0.5; echo {number}")[0]

    begun = time.monotonic()
    with ThreadPoolExecutor(50) as pool:
        assert list(pool.map(one, range(50))) == [f"{number}\n".encode() for number in range(50)]
    took = time.monotonic() - begun
    assert [host.counters.connections for host in hosts] == [1] * 50
    assert [host.counters.processes for host in hosts] == [1] * 50
    each = [host.counters.process_seconds for host in hosts]
    assert min(each) >= 0.5
    # One after the other they would take the sum of their times; a busy machine stretches both sides.
    assert took < sum(each) / 2


def test_counters_count_what_the_client_sees(wire: Wire) -> None:
    host = wire.add("a", ShBackend())
    token = base64.b64encode(f"{wire.user}:{wire.password}".encode()).decode()
    body = b"<not-soap/>"
    request = (
        f"POST /wsman HTTP/1.1\r\nHost: a\r\nAuthorization: Basic {token}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    with socket.create_connection(("127.0.0.1", host.port), 5) as client:
        client.sendall(request)
        client.settimeout(5)
        got = client.recv(65536)
        length = int(re.search(rb"Content-Length: (\d+)", got)[1])  # type: ignore[index]
        while len(got) < got.index(b"\r\n\r\n") + 4 + length:
            got += client.recv(65536)
    counters = wire.counters()["a"]
    assert (counters["messages"], counters["bytes_sent"], counters["bytes_received"]) == (1, len(request), len(got))
    wire.reset_counters()
    assert set(wire.counters()["a"].values()) == {0}


@pytest.mark.parametrize(
    ("faults", "error", "text"),
    [
        ({"down": True}, "ConnectionError", "refused"),
        ({"access_denied": True}, "InvalidCredentialsError", "rejected"),
        ({"fault": 2150858817}, "WSManFaultError", "2150858817"),
        ({"html": True}, "ParseError", None),
        ({"hang": True}, "ReadTimeout", "timed out"),
        ({"drop_after_messages": 2}, "ConnectionError", None),
    ],
)
def test_fault(wire: Wire, faults: dict[str, Any], error: str, text: str | None) -> None:
    host = wire.add("a", ShBackend(), faults)
    protocol = connect(wire, host, operation_timeout_sec=1, read_timeout_sec=2)
    with pytest.raises(Exception, match=text) as caught:
        run(protocol, "echo x")
    assert type(caught.value).__name__ == error


def test_rubbish_instead_of_output(wire: Wire) -> None:
    host = wire.add("a", ShBackend(), {"rubbish": True})
    out, err, code = run(connect(wire, host), "echo '{\"reply\": {}}'; echo warned >&2")
    assert b"reply\": {}" not in out
    assert b"\x00" in out
    assert (err, code) == (b"warned\n", 0)


def test_slow(wire: Wire) -> None:
    host = wire.add("a", ShBackend(), {"slow_ms": 150})
    begun = time.monotonic()
    run(connect(wire, host), "true")
    assert time.monotonic() - begun > 5 * 0.15


def test_faults_are_looked_at_anew(wire: Wire) -> None:
    faults: dict[str, Any] = {}
    host = wire.add("a", ShBackend(), faults)
    assert run(connect(wire, host), "true")[2] == 0
    faults["fault"] = 5
    with pytest.raises(exceptions.WSManFaultError):
        run(connect(wire, host), "true")


def test_closing_ends_what_runs() -> None:
    wire = Wire()
    process = Script((60, b"", b"", 0))
    protocol = connect(wire, wire.add("a", ScriptBackend(process)))
    protocol.run_command(protocol.open_shell(), "x")
    begun = time.monotonic()
    wire.close()
    assert process.killed.is_set()
    assert time.monotonic() - begun < 3
    wire.close()
