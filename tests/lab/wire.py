# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A WinRM server for a whole fleet: HTTP with Basic authentication, WS-Management, the remote shell (MS-WSMV).

One thread runs one event loop with one listening port a host. A running command occupies one more thread that waits
for its output. pywinrm and what is built on it speak to it without knowing.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import re
import socket
import threading
import time
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, TypeVar
from xml.sax.saxutils import escape, quoteattr

from lab.hosts import Backend, Process

T = TypeVar("T")

_SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
_TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
_ANONYMOUS = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous"
_NS = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "a": "http://schemas.xmlsoap.org/ws/2004/08/addressing",
    "w": "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd",
    "x": _TRANSFER,
    "r": _SHELL,
}

# Codes of wsmerror.h, as Windows answers them.
TIMED_OUT = 2150858793
SHELL_NOT_FOUND = 2150858843
ACTION_NOT_SUPPORTED = 2150858752
INVALID_PARAMETER = 87

_SUBCODES = {
    TIMED_OUT: (
        "s:Receiver", "w:TimedOut",
        "The WS-Management service cannot complete the operation within the time specified in OperationTimeout.",
    ),
    SHELL_NOT_FOUND: (
        "s:Sender", "w:InvalidSelectors",
        "The request for the Windows Remote Shell failed because the shell was not found on the server.",
    ),
    ACTION_NOT_SUPPORTED: ("s:Sender", "a:ActionNotSupported", "The action is not supported by the service."),
    INVALID_PARAMETER: ("s:Sender", "w:InvalidParameter", "The parameter is incorrect."),
}

# What cmd.exe says of a program that is not there, on standard error, with exit code 1.
_NO_POWERSHELL = (
    b"'PowerShell' is not recognized as an internal or external command,\r\noperable program or batch file.\r\n"
)
_RUBBISH = (b"\r\nWARNING: profile script line 3: The term 'Set-Prompt' is not recognized\r\n"
            b'{"reply": {"schema": 1, "sections": {"host": {"status": "ok\x00\xff\xfe\r\n%%%% \xd0\xcf\x11\xe0')
_HTML = b"<!DOCTYPE html><html><head><meta charset=utf-8><title>Sign in</title></head><body>Web gateway</html>"

_MAX_BODY = 16 << 20
_MAX_BUFFER = 8 << 20
# What an answer needs beside the streams: headers, two stream elements, the state.
_ENVELOPE_SPARE = 3000


class Fault(Exception):
    """A WSMan fault to answer with."""

    def __init__(self, code: int, message: str | None = None) -> None:
        other = ("s:Receiver", "w:InternalError", "The service refused the request.")
        self.sender, self.subcode, text = _SUBCODES.get(code, other)
        self.code, self.message = code, message or text
        super().__init__(self.message)


@dataclass
class Counters:
    """What one host cost, seen from the controller: ``bytes_sent`` go to the host (HTTP headers and bodies)."""

    messages: int = 0
    connections: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    processes: int = 0
    process_seconds: float = 0.0


@dataclass
class _Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    size: int


class _Command:
    """A process of a shell, and what it has written that nobody received yet."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.out, self.err = bytearray(), bytearray()
        self.code: int | None = None
        self.changed = asyncio.Event()
        self.room = asyncio.Event()


class _Shell:
    def __init__(self, environment: dict[str, str], idle_s: float) -> None:
        self.environment = environment
        self.idle_s = idle_s
        self.used = time.monotonic()
        self.commands: dict[str, _Command] = {}


class Host:
    """One host on the wire."""

    def __init__(self, name: str, backend: Backend, faults: dict[str, Any]) -> None:
        self.name, self.backend, self.faults = name, backend, faults
        self.port = 0
        self.counters = Counters()
        self.total_messages = 0
        self.shells: dict[str, _Shell] = {}


class Wire:
    """The listening side of a fleet. Add hosts, start, use, close."""

    def __init__(self, bind: str = "127.0.0.1", user: str = "lab", password: str = "lab-Passw0rd") -> None:
        self.bind, self.user, self.password = bind, user, password
        self.hosts: dict[str, Host] = {}
        self.errors: list[str] = []
        self._authorised = {
            "Basic " + base64.b64encode(f"{user}:{password}".encode(codec)).decode() for codec in ("utf-8", "latin-1")
        }
        self._loop = asyncio.new_event_loop()
        self._thread: threading.Thread | None = None
        self._servers: list[asyncio.AbstractServer] = []
        self._reserved: list[socket.socket] = []
        self._connections: set[asyncio.Task[None]] = set()
        self._pumping: set[asyncio.Task[None]] = set()
        # Threads are made on demand: an idle fleet has none.
        self._pumps = ThreadPoolExecutor(2048, "pump")
        self._workers = ThreadPoolExecutor(16, "wire")

    def add(self, name: str, backend: Backend, faults: dict[str, Any] | None = None) -> Host:
        """Give a host its port; ``faults`` is looked at anew with every request, ``down`` when it starts to listen."""
        host = Host(name, backend, {} if faults is None else faults)
        listener = socket.socket(socket.AF_INET6 if ":" in self.bind else socket.AF_INET, socket.SOCK_STREAM)
        listener.bind((self.bind, 0))
        host.port = listener.getsockname()[1]
        self.hosts[name] = host
        self._start_loop()
        if host.faults.get("down"):
            self._reserved.append(listener)  # bound, not listening: a connection is refused and nobody takes the port
        else:
            self._run(self._listen(host, listener))
        return host

    def close(self) -> None:
        """Kill what runs, close every connection and port."""
        if self._thread is None:
            return
        self._run(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._thread = None
        self._pumps.shutdown(wait=False, cancel_futures=True)
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._loop.close()
        for reserved in self._reserved:
            reserved.close()

    def counters(self) -> dict[str, dict[str, float]]:
        """Return the counters of each host by name."""
        return {name: asdict(host.counters) for name, host in self.hosts.items()}

    def reset_counters(self) -> None:
        """Set every counter to zero."""
        for host in self.hosts.values():
            host.counters = Counters()

    # -- the loop

    def _start_loop(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._loop.run_forever, name="wire", daemon=True)
            self._thread.start()

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self, host: Host, listener: socket.socket) -> None:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._connections.add(task)
            try:
                await self._serve(host, reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
                pass
            except Exception as exc:  # a fault of the lab itself: the tests look at errors
                self.errors.append(f"{host.name}: {exc!r}")
            finally:
                self._connections.discard(task)
                writer.close()

        self._servers.append(await asyncio.start_server(connected, sock=listener, backlog=512))

    async def _shut(self) -> None:
        for server in self._servers:
            server.close()
        for task in list(self._connections):
            task.cancel()
        for host in self.hosts.values():
            for shell_id in list(host.shells):
                await self._drop_shell(host, shell_id)
        if self._pumping:
            await asyncio.wait(self._pumping, timeout=5)

    async def _work(self, call: Callable[..., T], *args: Any) -> T:
        return await self._loop.run_in_executor(self._workers, call, *args)

    # -- HTTP

    async def _serve(self, host: Host, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host.counters.connections += 1
        if host.faults.get("down"):
            return
        while True:
            request = await self._read_request(reader, writer)
            if request is None:
                return
            if host.faults.get("down"):
                # It goes down while it is spoken to: what ran there ends with it.
                for shell_id in list(host.shells):
                    await self._drop_shell(host, shell_id)
                return
            host.counters.bytes_sent += request.size
            faults = host.faults
            if faults.get("hang"):
                await asyncio.Event().wait()
            if faults.get("slow_ms"):
                await asyncio.sleep(faults["slow_ms"] / 1000)
            limit = faults.get("drop_after_messages")
            if limit is not None and host.total_messages >= limit:
                return
            status, kind, body = await self._answer(host, request)
            head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nServer: Microsoft-HTTPAPI/2.0\r\n"
            if status.startswith("401"):
                head += 'WWW-Authenticate: Basic realm="WSMAN"\r\n'
            close = request.headers.get("connection", "").lower() == "close"
            head += f"Content-Length: {len(body)}\r\nConnection: {'close' if close else 'keep-alive'}\r\n\r\n"
            answer = head.encode() + body
            host.counters.bytes_received += len(answer)
            writer.write(answer)
            await writer.drain()
            if close:
                return

    async def _read_request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> _Request | None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as exc:
            if exc.partial:
                raise
            return None
        lines = head.decode("latin-1").split("\r\n")
        method, path, _version = (lines[0].split(" ") + ["", ""])[:3]
        headers = {k.strip().lower(): v.strip() for k, _colon, v in (line.partition(":") for line in lines[1:] if line)}
        if headers.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        length = int(headers.get("content-length", "0") or "0")
        if length > _MAX_BODY:
            return None
        body = await reader.readexactly(length)
        return _Request(method, path, headers, body, len(head) + len(body))

    async def _answer(self, host: Host, request: _Request) -> tuple[str, str, bytes]:
        soap = "application/soap+xml;charset=UTF-8"
        if host.faults.get("access_denied") or request.headers.get("authorization") not in self._authorised:
            return "401 ", "text/plain", b""
        host.counters.messages += 1
        host.total_messages += 1
        if host.faults.get("html"):
            return "200 OK", "text/html", _HTML
        if request.path.split("?")[0].rstrip("/").lower() != "/wsman":
            return "404 Not Found", "text/plain", b""
        if request.method != "POST":
            return "405 Method Not Allowed", "text/plain", b""
        message_id = ""
        try:
            try:
                root = ET.fromstring(request.body)
            except ET.ParseError:
                return "400 Bad Request", "text/plain", b""
            message_id = root.findtext("s:Header/a:MessageID", "", _NS)
            action, body = await self._dispatch(host, root)
            return "200 OK", soap, _envelope(action, message_id, body)
        except Fault as fault:
            return "500 ", soap, _fault(host.name, message_id, fault)

    # -- WS-Management

    async def _dispatch(self, host: Host, root: ET.Element) -> tuple[str, str]:
        action = root.findtext("s:Header/a:Action", "", _NS).strip()
        known: dict[str, Callable[[Host, ET.Element], Awaitable[str]]] = {
            f"{_TRANSFER}/Create": self._create,
            f"{_TRANSFER}/Delete": self._delete,
            f"{_SHELL}/Command": self._command,
            f"{_SHELL}/Send": self._send,
            f"{_SHELL}/Receive": self._receive,
            f"{_SHELL}/Signal": self._signal,
        }
        if action not in known:
            raise Fault(ACTION_NOT_SUPPORTED)
        return f"{action}Response", await known[action](host, root)

    async def _create(self, host: Host, root: ET.Element) -> str:
        if host.faults.get("fault"):
            raise Fault(int(host.faults["fault"]))
        uri = root.findtext("s:Header/w:ResourceURI", "", _NS).strip()
        if uri.rstrip("/") != f"{_SHELL}/cmd":
            raise Fault(ACTION_NOT_SUPPORTED, "The resource URI is not that of the command shell.")
        environment = {
            item.get("Name", ""): item.text or ""
            for item in root.findall("s:Body/r:Shell/r:Environment/r:Variable", _NS)
        }
        idle = _seconds(root.findtext("s:Body/r:Shell/r:IdleTimeOut", "", _NS), 7200.0)
        shell_id = str(uuid.uuid4()).upper()
        host.shells[shell_id] = _Shell(environment, idle)
        self._loop.call_later(idle, self._idle, host, shell_id)
        return (
            f"<x:ResourceCreated><a:Address>http://{self.bind}:{host.port}/wsman</a:Address><a:ReferenceParameters>"
            f"<w:ResourceURI>{_SHELL}/cmd</w:ResourceURI>"
            f'<w:SelectorSet><w:Selector Name="ShellId">{shell_id}</w:Selector></w:SelectorSet>'
            f"</a:ReferenceParameters></x:ResourceCreated><rsp:Shell><rsp:ShellId>{shell_id}</rsp:ShellId>"
            f"<rsp:ResourceUri>{_SHELL}/cmd</rsp:ResourceUri><rsp:InputStreams>stdin</rsp:InputStreams>"
            f"<rsp:OutputStreams>stdout stderr</rsp:OutputStreams>"
            f"<rsp:IdleTimeOut>PT{idle:.3f}S</rsp:IdleTimeOut></rsp:Shell>"
        )

    async def _delete(self, host: Host, root: ET.Element) -> str:
        shell_id, _shell = self._shell(host, root)
        await self._drop_shell(host, shell_id)
        return ""

    async def _command(self, host: Host, root: ET.Element) -> str:
        _shell_id, shell = self._shell(host, root)
        line = root.findtext("s:Body/r:CommandLine/r:Command", "", _NS)
        arguments = [item.text or "" for item in root.findall("s:Body/r:CommandLine/r:Arguments", _NS)]
        line = " ".join([line, *arguments]).strip()
        try:
            if shell.environment:
                process = await self._work(host.backend.start, line, shell.environment)
            else:
                process = await self._work(host.backend.start, line)
        except OSError as exc:
            raise Fault(exc.errno or 2, f"The command cannot be started: {exc}") from exc
        command = _Command(process)
        command_id = str(uuid.uuid4()).upper()
        shell.commands[command_id] = command
        pump = self._loop.create_task(self._pump(host, command))
        self._pumping.add(pump)
        pump.add_done_callback(self._pumping.discard)
        return f"<rsp:CommandResponse><rsp:CommandId>{command_id}</rsp:CommandId></rsp:CommandResponse>"

    async def _send(self, host: Host, root: ET.Element) -> str:
        _shell_id, shell = self._shell(host, root)
        for stream in root.findall("s:Body/r:Send/r:Stream", _NS):
            command = _find_command(shell, stream.get("CommandId"))
            try:
                data = base64.b64decode(stream.text or "")
            except binascii.Error as exc:
                raise Fault(INVALID_PARAMETER) from exc
            if data:
                await self._work(command.process.write, data)
            if stream.get("End", "").lower() in ("true", "1"):
                await self._work(command.process.close_stdin)
        return "<rsp:SendResponse/>"

    async def _receive(self, host: Host, root: ET.Element) -> str:
        shell_id, shell = self._shell(host, root)
        desired = root.find("s:Body/r:Receive/r:DesiredStream", _NS)
        command_id = desired.get("CommandId") if desired is not None else None
        command = _find_command(shell, command_id)
        timeout = _seconds(root.findtext("s:Header/w:OperationTimeout", "", _NS), 60.0)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(command.changed.wait(), timeout)
        shell.used = time.monotonic()
        if not command.changed.is_set():
            raise Fault(TIMED_OUT)
        if shell_id not in host.shells or command_id not in shell.commands:
            raise Fault(995, "The I/O operation has been aborted because of an application request.")
        size = root.findtext("s:Header/w:MaxEnvelopeSize", "", _NS)
        budget = max((int(size) if size.isdigit() else 153600) - _ENVELOPE_SPARE, 400) // 4 * 3
        out = bytes(command.out[:budget])
        del command.out[:budget]
        err = bytes(command.err[:budget - len(out)])
        del command.err[:budget - len(out)]
        command.room.set()
        done = command.code is not None and not command.out and not command.err
        if not done and not command.out and not command.err:
            command.changed.clear()
        mark = f"CommandId={quoteattr(command_id or '')}"
        streams = "".join(
            f'<rsp:Stream Name="{name}" {mark}>{base64.b64encode(data).decode()}</rsp:Stream>'
            for name, data in (("stdout", out), ("stderr", err)) if data
        )
        if done:
            assert command.code is not None
            streams += f'<rsp:Stream Name="stdout" {mark} End="true"/><rsp:Stream Name="stderr" {mark} End="true"/>'
            code = f"<rsp:ExitCode>{command.code & 0xFFFFFFFF}</rsp:ExitCode>"
            state = f'State="{_SHELL}/CommandState/Done">{code}</rsp:CommandState>'
        else:
            state = f'State="{_SHELL}/CommandState/Running"/>'
        return f"<rsp:ReceiveResponse>{streams}<rsp:CommandState {mark} {state}</rsp:ReceiveResponse>"

    async def _signal(self, host: Host, root: ET.Element) -> str:
        _shell_id, shell = self._shell(host, root)
        signal = root.find("s:Body/r:Signal", _NS)
        command_id = signal.get("CommandId") if signal is not None else None
        command = _find_command(shell, command_id)
        code = root.findtext("s:Body/r:Signal/r:Code", "", _NS).strip().lower()
        if code.endswith("terminate") or code.endswith("ctrl_c") or code.endswith("ctrl_break"):
            await self._work(command.process.kill)
        if code.endswith("terminate"):
            shell.commands.pop(command_id or "", None)
            command.changed.set()
            command.room.set()
        return "<rsp:SignalResponse/>"

    # -- shells and their processes

    def _shell(self, host: Host, root: ET.Element) -> tuple[str, _Shell]:
        for selector in root.findall("s:Header/w:SelectorSet/w:Selector", _NS):
            if selector.get("Name") == "ShellId":
                shell_id = (selector.text or "").strip().upper()
                if shell_id in host.shells:
                    host.shells[shell_id].used = time.monotonic()
                    return shell_id, host.shells[shell_id]
        raise Fault(SHELL_NOT_FOUND)

    def _idle(self, host: Host, shell_id: str) -> None:
        shell = host.shells.get(shell_id)
        if shell is None:
            return
        left = shell.used + shell.idle_s - time.monotonic()
        if left > 0:
            self._loop.call_later(left, self._idle, host, shell_id)
        else:
            self._loop.create_task(self._drop_shell(host, shell_id))

    async def _drop_shell(self, host: Host, shell_id: str) -> None:
        shell = host.shells.pop(shell_id, None)
        for command in list(shell.commands.values()) if shell else []:
            await self._work(command.process.kill)
            command.changed.set()
            command.room.set()

    async def _pump(self, host: Host, command: _Command) -> None:
        counters = host.counters
        counters.processes += 1
        spoilt = False
        while command.code is None:
            try:
                out, err, code = await self._loop.run_in_executor(self._pumps, command.process.read, 1.0)
            except Exception as exc:
                self.errors.append(f"{host.name}: {exc!r}")
                out, err, code = b"", f"{exc!r}".encode(), 1
            rubbish = host.faults.get("rubbish")
            if rubbish and out:
                said = rubbish.encode() if isinstance(rubbish, str) else _RUBBISH
                out, spoilt = b"" if spoilt else said, True
            if host.faults.get("no_powershell"):
                out, err, code = b"", _NO_POWERSHELL, 1
            command.out += out
            command.err += err
            command.code = code
            if out or err or code is not None:
                command.changed.set()
            while len(command.out) + len(command.err) > _MAX_BUFFER and command.code is None:
                command.room.clear()
                await command.room.wait()
                if not any(command in shell.commands.values() for shell in host.shells.values()):
                    command.out.clear()
                    command.err.clear()
        counters.process_seconds += time.monotonic() - command.process.began


def _find_command(shell: _Shell, command_id: str | None) -> _Command:
    command = shell.commands.get((command_id or "").upper())
    if command is None:
        raise Fault(INVALID_PARAMETER)
    return command


_DURATION = re.compile(r"^PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?$")


def _seconds(duration: str, otherwise: float) -> float:
    match = _DURATION.match(duration.strip())
    if not match or not any(match.groups()):
        return otherwise
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds


_XMLNS = " ".join(
    f'xmlns:{prefix}="{uri}"'
    for prefix, uri in {
        "s": _NS["s"], "a": _NS["a"], "x": _NS["x"], "w": _NS["w"], "rsp": _NS["r"],
        "p": "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd",
        "f": "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault",
    }.items()
)


def _envelope(action: str, relates_to: str, body: str) -> bytes:
    return (
        f'<s:Envelope xml:lang="en-US" {_XMLNS}><s:Header><a:Action>{action}</a:Action>'
        f"<a:MessageID>uuid:{str(uuid.uuid4()).upper()}</a:MessageID><a:To>{_ANONYMOUS}</a:To>"
        f"<a:RelatesTo>{escape(relates_to)}</a:RelatesTo></s:Header><s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def _fault(machine: str, relates_to: str, fault: Fault) -> bytes:
    text = escape(fault.message)
    return _envelope(
        "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault", relates_to,
        f"<s:Fault><s:Code><s:Value>{fault.sender}</s:Value>"
        f"<s:Subcode><s:Value>{fault.subcode}</s:Value></s:Subcode></s:Code>"
        f'<s:Reason><s:Text xml:lang="en-US">{text}</s:Text></s:Reason><s:Detail>'
        f'<f:WSManFault Code="{fault.code}" Machine={quoteattr(machine)}><f:Message>{text}</f:Message></f:WSManFault>'
        f"</s:Detail></s:Fault>",
    )
