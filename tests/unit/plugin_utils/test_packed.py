# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Packed files: what comes out of them, and what stays in."""

from __future__ import annotations

import gzip
import io
import random
import zipfile
from pathlib import Path

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import packed
from hypothesis import given
from hypothesis import strategies as st


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return file.getvalue()


def unpacked(
    data: bytes, name: str = "case.zip", tail: int = 1 << 20, room: int = packed.MOST_BYTES
) -> tuple[list[packed.Member], list[str]]:
    unpacker = packed.Unpacker(tail, room=room)
    members = list(unpacker.unpack(io.BytesIO(data), name, len(data)))
    return members, unpacker.notes


def test_members_come_out_with_their_names_and_hidden_ones_stay() -> None:
    members, notes = unpacked(zipped(("Logs/CBS/CBS.log", b"a"), ("__MACOSX/x", b"b"), (".git/config", b"c"), ("Logs\\dism.log", b"d")))
    assert [(one.name, one.data, one.size) for one in members] == [("Logs/CBS/CBS.log", b"a", 1), ("Logs/dism.log", b"d", 1)]
    assert notes == []


def test_no_path_leads_out_and_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    members, _notes = unpacked(zipped(("../../etc/passwd", b"a"), ("/abs/CBS.log", b"b"), ("C:/x.log", b"c")))
    assert [one.name for one in members] == ["etc/passwd", "abs/CBS.log", "C:/x.log"]
    assert list(tmp_path.iterdir()) == []


def test_a_zip_in_a_zip_comes_out_and_one_in_that_does_not() -> None:
    third = zipped(("c.log", b"c"))
    second = zipped(("b.log", b"b"), ("third.zip", third))
    members, notes = unpacked(zipped(("a.log", b"a"), ("second.zip", second)))
    assert [one.name for one in members] == ["a.log", "second.zip!b.log"]
    assert notes == ["third.zip is packed inside of a packed file: unpack it first"]


def test_only_so_many_members_and_bytes_come_out() -> None:
    many = zipped(*((f"{number}.log", b"x") for number in range(packed.MOST_MEMBERS + 1)))
    members, notes = unpacked(many)
    assert len(members) == packed.MOST_MEMBERS
    assert notes == [f"only the first {packed.MOST_MEMBERS} of its files were read"]
    noise = random.Random(1).randbytes(3 << 20)
    members, notes = unpacked(zipped(("a", noise), ("b", noise)), room=4 << 20)
    assert [one.name for one in members] == ["a"]
    assert notes == ["only the first 256 MB that came out of it were read"]


def test_the_limits_hold_for_what_is_nested_too() -> None:
    inner = zipped(*((f"{number}.log", b"x") for number in range(150)))
    members, notes = unpacked(zipped(("1.zip", inner), ("2.zip", inner)))
    assert len(members) == packed.MOST_MEMBERS - 2
    assert len(notes) == 1


def test_a_bomb_is_left_alone_and_a_log_is_not() -> None:
    members, notes = unpacked(zipped(("bomb", bytes(64 << 20)), ("CBS.log", b"x")))
    assert members == []
    assert "as no log does" in notes[0]
    members, notes = unpacked(gzip.compress(bytes(64 << 20)), "bomb.gz")
    assert (members, len(notes)) == ([], 1)
    small = b"2026-11-24 00:00:01, Info                  CBS    the same line again and again\r\n" * 40_000
    members, notes = unpacked(zipped(("CBS.log", small)))
    assert (len(members), notes) == (1, [])


def test_of_a_large_member_the_end_is_kept() -> None:
    noise = random.Random(2).randbytes(3 << 20)
    (member,), _notes = unpacked(zipped(("CBS.log", noise)), tail=1000)
    assert (member.data, member.size) == (noise[-1000:], len(noise))
    (member,), _notes = unpacked(gzip.compress(noise), "CBS.log.gz", tail=1000)
    assert (member.name, member.data, member.size) == ("CBS.log", noise[-1000:], len(noise))


@pytest.mark.parametrize("more", [0, 1, 4096, 65535])
def test_of_large_binary_events_the_header_is_kept_and_chunks_are_whole(more: int) -> None:
    header = b"ElfFile\0".ljust(4096, b"h")
    chunks = [bytes([number]) * 65536 for number in range(4)]
    data = header + b"".join(chunks)
    (member,), _notes = unpacked(zipped(("System.evtx", data)), tail=2 * 65536 + more)
    assert (member.data, member.size) == (header + chunks[2] + chunks[3], len(data))
    (member,), _notes = unpacked(zipped(("System.evtx", data)), tail=len(data))
    assert member.data == data


def test_a_password_is_told() -> None:
    data = bytearray(zipped(("a.log", b"a"), method=zipfile.ZIP_STORED))
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    assert unpacked(bytes(data)) == ([], ["a.log is protected by a password"])


@given(st.binary(max_size=400), st.integers(0, 400))
def test_damaged_archives_never_raise(noise: bytes, at: int) -> None:
    good = zipped(("a.log", b"abc" * 50), ("b.zip", zipped(("c.log", b"d"))))
    for data in (good[:at] + noise + good[at + len(noise) :], good[:at], b"PK\3\4" + noise, b"\x1f\x8b\x08" + noise):
        unpacked(data)


@pytest.mark.parametrize(
    ("head", "name", "says"),
    [
        (b"MSCF\0\0\0\0", "logs.cab", "expand FILE"),
        (b"7z\xbc\xaf\x27\x1c", "a.7z", "7z x"),
        (b"\x00\x00\x01\x00\xb8\xff\x00\x00\xb8\xff\x00\x00" + bytes(50), "WindowsUpdate.20261124.log", "Get-WindowsUpdateLog"),
        (b"anything", "WindowsUpdate.ETL", "Get-WindowsUpdateLog"),
        (b"2026-11-24 00:00:01, Info", "CBS.log", ""),
        (b"\xff\xfe{\x00", "ReportingEvents.log", ""),
        (b"0\0\0\0LfLe\1\0\0\0\1\0\0\0", "SysEvent.Evt", "wevtutil"),
        (b"text of LfLe in it", "log.evt", ""),
        (b"", "empty.etl", ""),
    ],
)
def test_what_is_not_unpacked_is_told_what_to_do_with(head: bytes, name: str, says: str) -> None:
    found = packed.advice(head, name)
    assert says in found
    assert bool(found) == bool(says)
