# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The agent's real SNTP question against real UDP servers.

In a network and a name space of its own, so that port 123 is free and a name has the addresses that the test gives it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from .conftest import find_shell, platform_script

HERE = Path(__file__).resolve().parent


def _has_namespaces() -> bool:
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return False
    tried = subprocess.run(["unshare", "-rnm", "ip", "link", "set", "lo", "up"], capture_output=True, check=False)
    return tried.returncode == 0


pytestmark = pytest.mark.skipif(not _has_namespaces(), reason="no name spaces of this user")


def ask(tmp_path: Path, servers: list[dict[str, Any]], *, port_taken: bool = False, timeout_ms: int = 400) -> dict[str, Any]:
    """One question for a name whose addresses are 127.0.0.2 and on, a server each; `{}` is an address where nobody listens."""
    shell = find_shell()
    if shell is None:
        pytest.skip("no PowerShell: neither ../shared/tools/psh nor one on PATH")
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    hosts = folder / "hosts"
    hosts.write_text("".join(f"127.0.0.{2 + index} dc.example\n" for index in range(len(servers))))
    (folder / "servers.json").write_text(json.dumps(servers))
    script = folder / "ask.ps1"
    script.write_text(
        platform_script(
            f"""
            $clock = [Diagnostics.Stopwatch]::StartNew()
            try {{ $answer = Invoke-SntpQuery -Server dc.example -TimeoutMs {timeout_ms} }} catch {{ $answer = @{{ error = "$_" }} }}
            $answer['ms'] = $clock.ElapsedMilliseconds
            ConvertTo-Json -InputObject $answer -Compress
            """
        )
    )
    taken = "taken" if port_taken else "free"
    server = [sys.executable, str(HERE / "sntp_servers.py"), str(folder / "servers.json"), taken]
    inner = (
        f"mount --bind {hosts} /etc/hosts && ip link set lo up && {{ {' '.join(server)} & }} && read ready < {folder / 'ready'}"
        f" && {shell} -NoProfile -NonInteractive -File {script}; kill $!"
    )
    os.mkfifo(folder / "ready")
    done = subprocess.run(["unshare", "-rnm", "sh", "-c", inner], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.strip(), done.stderr
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def test_one_server_that_answers(tmp_path: Path) -> None:
    answer = ask(tmp_path, [{"ahead_s": 3600, "stratum": 4}])
    assert abs(answer["offset_ms"] - 3_600_000) < 1000


def test_the_first_address_is_dead_and_the_fifth_answers(tmp_path: Path) -> None:
    answer = ask(tmp_path, [{}, {"silent": True}, {}, {}, {"ahead_s": -900}], timeout_ms=3000)
    assert abs(answer["offset_ms"] + 900_000) < 1000
    assert answer["ms"] < 2500, "it waited for those that are dead"


@pytest.mark.parametrize(
    ("server", "why"),
    [
        # A Windows server that has not synchronised yet: leap 3, stratum 0, no reference.
        ({"leap": 3, "stratum": 0, "reference": "00000000"}, "unfit: not synchronised"),
        ({"stratum": 0, "reference": "00000000"}, "unfit: not synchronised"),
        ({"stratum": 0, "reference": "01020304"}, "unfit: not synchronised"),
        ({"stratum": 16}, "unfit: not synchronised"),
        ({"leap": 3, "stratum": 3}, "unfit: not synchronised"),
        # RFC 5905, 7.4: a kiss is stratum 0 with four printable letters; ntpd sends it with leap 3.
        ({"stratum": 0, "reference": "52415445"}, "unfit: not synchronised, kiss-o'-death RATE"),
        ({"leap": 3, "stratum": 0, "reference": "44454e59"}, "unfit: not synchronised, kiss-o'-death DENY"),
        # A clock that nobody sets: W32Time says 10 s of itself (LocalClockDispersion), and more as it runs on.
        ({"stratum": 1, "reference": "4c4f434c", "delay_s": 0, "dispersion_s": 900}, "unfit: root distance 900000 ms"),
        ({"delay_s": 4, "dispersion_s": 3.5}, "unfit: root distance 5500 ms"),
    ],
)
def test_an_answer_that_is_not_fit(tmp_path: Path, server: dict[str, Any], why: str) -> None:
    assert ask(tmp_path, [server])["error"] == why


@pytest.mark.parametrize(
    "server", [{"delay_s": 4, "dispersion_s": 2.9}, {"delay_s": -0.001, "dispersion_s": 1}, {"leap": 1, "stratum": 15}]
)
def test_an_answer_that_is_fit(tmp_path: Path, server: dict[str, Any]) -> None:
    assert abs(ask(tmp_path, [server])["offset_ms"]) < 1000


def test_a_good_answer_wins_over_those_that_are_unfit_or_none(tmp_path: Path) -> None:
    servers = [{"leap": 3}, {"echo": True}, {"short": True}, {"cookie": "00"}, {"ahead_s": 60, "late_s": 0.3}]
    answer = ask(tmp_path, servers, timeout_ms=3000)
    assert abs(answer["offset_ms"] - 60_000) < 1000


def test_silence_is_asked_again_from_port_123_where_that_is_free(tmp_path: Path) -> None:
    guarded = [{"from_123": True, "ahead_s": 7200}]
    assert abs(ask(tmp_path, guarded)["offset_ms"] - 7_200_000) < 1000
    held = ask(tmp_path, guarded, port_taken=True)
    assert held["error"] == "no answer within 400 ms"


def test_a_name_of_more_addresses_than_are_asked(tmp_path: Path) -> None:
    answer = ask(tmp_path, [*({} for _more in range(14)), {"ahead_s": 5}, *({} for _more in range(6))], timeout_ms=3000)
    assert abs(answer["offset_ms"] - 5000) < 1000
