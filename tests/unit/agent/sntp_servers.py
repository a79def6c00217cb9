# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Time servers on 127.0.0.2 and on, each as a row of a file says; run within a network of its own."""

from __future__ import annotations

import json
import select
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Any

_UNIX_ERA = 2208988800


def stamp(at: float) -> bytes:
    """An NTP time: seconds since 1900 and their fraction."""
    return struct.pack(">II", int(at + _UNIX_ERA) & 0xFFFFFFFF, int(at % 1 * (1 << 32)))


def answer(row: dict[str, Any], question: bytes) -> bytes | None:
    """What a server says, by RFC 5905, 7.3."""
    if row.get("echo"):
        return question
    now = time.time() + row.get("ahead_s", 0)
    head = struct.pack(
        ">BBbbiI4s",
        row.get("leap", 0) << 6 | 4 << 3 | 4,
        row.get("stratum", 2),
        6,
        -20,
        round(row.get("delay_s", 0.01) * 65536),
        round(row.get("dispersion_s", 0.02) * 65536),
        bytes.fromhex(row.get("reference", "c0a80001")),
    )
    cookie = bytes.fromhex(row["cookie"]) * 8 if "cookie" in row else question[40:48]
    said = head + stamp(now - 60) + cookie + stamp(now) + stamp(now)
    return said[:20] if row.get("short") else said


class RawServer:
    """A server behind a firewall that lets port 123 alone ask. Bound to no port: on Linux that would keep the asker from binding it."""

    def __init__(self, address: str) -> None:
        self.raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
        self.raw.bind((address, 0))

    def fileno(self) -> int:
        """For select."""
        return self.raw.fileno()

    def recvfrom(self, most: int) -> tuple[bytes, tuple[str, int]]:
        """A question and who asked it."""
        packet, (address, _port) = self.raw.recvfrom(most)
        head = (packet[0] & 15) * 4
        source, target = struct.unpack(">HH", packet[head : head + 4])
        # Its own answers come back, too.
        return packet[head + 8 :], (address, source if target == 123 and packet[head + 8] & 7 == 3 else 0)

    def sendto(self, said: bytes, to: tuple[str, int]) -> None:
        """An answer from port 123."""
        self.raw.sendto(struct.pack(">HHHH", 123, to[1], len(said) + 8, 0) + said, (to[0], 0))


def serve(rows: list[dict[str, Any]], *, port_taken: bool, ready: Path) -> None:
    """Answer until the process is ended."""
    sockets: dict[socket.socket | RawServer, dict[str, Any]] = {}
    for index, row in enumerate(rows):
        if row.get("from_123"):
            sockets[RawServer(f"127.0.0.{2 + index}")] = row
        elif row:
            server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            server.bind((f"127.0.0.{2 + index}", 123))
            sockets[server] = row
    if port_taken:
        # As W32Time holds it.
        held = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        held.bind(("127.0.0.1", 123))
    ready.write_text("ready\n")
    late: list[tuple[float, socket.socket | RawServer, bytes, Any]] = []
    while True:
        for server in select.select(list(sockets), [], [], 0.05)[0]:
            question, sender = server.recvfrom(1024)
            row = sockets[server]
            if row.get("silent") or (row.get("from_123") and sender[1] != 123):
                continue
            late.append((time.monotonic() + row.get("late_s", 0), server, question, sender))
        for item in [item for item in late if item[0] <= time.monotonic()]:
            late.remove(item)
            said = answer(sockets[item[1]], item[2])
            if said is not None:
                item[1].sendto(said, item[3])


if __name__ == "__main__":
    described = Path(sys.argv[1])
    serve(json.loads(described.read_text()), port_taken=sys.argv[2] == "taken", ready=described.with_name("ready"))
