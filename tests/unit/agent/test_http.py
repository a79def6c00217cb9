# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The agent's real HTTP question against real servers: what a WSUS answers, without a proxy and without following it elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from .conftest import find_shell, platform_script

PATH = "/ClientWebService/client.asmx"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.asked: list[str] = []


class _Answers(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        """Answer with the status that the address names."""
        self.server.asked.append(self.path)
        wanted = self.path.split("/")[1]
        if wanted == "hang":
            time.sleep(5)
        if wanted in ("hang", "cut"):
            self.close_connection = True
            return
        self.send_response(int(wanted))
        if wanted in ("301", "302", "307"):
            self.send_header("Location", "/200/moved")
        body = b"<html>Service Unavailable</html>"
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def ask(tmp_path: Path, server: _Server, *paths: str, timeout_ms: int = 4000) -> list[Any]:
    """What each address of the server gives: a status, or text that says why none; a proxy of the environment must not be asked."""
    shell = find_shell()
    if shell is None:
        pytest.skip("no PowerShell: neither ../shared/tools/psh nor one on PATH")
    urls = ", ".join(f"'http://127.0.0.1:{server.server_port}/{path}'" for path in paths)
    script = tmp_path / "ask.ps1"
    script.write_text(
        platform_script(
            f"""
            $all = @(foreach ($url in {urls}) {{
              try {{ Get-HttpStatus -Url $url -TimeoutMs {timeout_ms} }} catch {{ "$_" }}
            }})
            ConvertTo-Json -InputObject $all -Compress
            """
        )
    )
    environment = os.environ | {"http_proxy": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1", "no_proxy": "", "NO_PROXY": ""}
    done = subprocess.run(
        [shell, "-NoProfile", "-NonInteractive", "-File", str(script)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment,
    )
    assert done.stdout.strip(), done.stderr
    return list(json.loads(done.stdout.strip().splitlines()[-1]))


def test_every_status_is_an_answer_and_no_redirect_is_followed(tmp_path: Path, server: _Server) -> None:
    statuses = (200, 302, 307, 401, 403, 404, 500, 503)
    assert ask(tmp_path, server, *(f"{status}{PATH}" for status in statuses)) == list(statuses)
    assert server.asked == [f"/{status}{PATH}" for status in statuses], "it went where a redirect sent it"


def test_connections_of_many_answers_are_given_back(tmp_path: Path, server: _Server) -> None:
    """.NET allows two connections a server at a time: a third question would hang on answers that were not closed."""
    assert ask(tmp_path, server, *["503/x"] * 6) == [503] * 6


def test_a_server_that_takes_the_connection_and_says_nothing(tmp_path: Path, server: _Server) -> None:
    silent, cut = ask(tmp_path, server, "hang/x", "cut/x", timeout_ms=700)
    assert isinstance(silent, str)
    assert isinstance(cut, str)
    assert silent
    assert cut
