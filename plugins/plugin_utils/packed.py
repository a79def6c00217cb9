# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Packed files: `.zip` and `.gz` are unpacked in memory within limits, for the others it is said what to do.

No path of an archive is ever written or opened: a member's name is only shown. Every limit is counted on what really comes out, never
on what the archive says about itself.
"""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

from .readers import event_binary

MOST_MEMBERS = 200
MOST_BYTES = 256 * 1024 * 1024
# Logs shrink to a twentieth or a fiftieth; a bomb shrinks to a thousandth. Below this size the ratio says nothing.
MOST_RATIO = 200
_RATIO_COUNTS_FROM = 4 * 1024 * 1024
_CHUNK = 1024 * 1024

_ZIP = (b"PK\3\4", b"PK\5\6")
_GZIP = b"\x1f\x8b\x08"
# What is not unpacked here, by how it begins.
_ADVICE = {
    b"MSCF": "unpack it first: expand FILE -F:* FOLDER",
    b"7z\xbc\xaf\x27\x1c": "unpack it first: 7z x FILE",
    b"Rar!\x1a\x07": "unpack it first: unrar x FILE",
}
_ETL = "make text of it on Windows first: Get-WindowsUpdateLog -ETLPath FOLDER -LogPath WindowsUpdate.log"
# A log of the event viewer of Windows XP and Server 2003, or of one saved in that form: its signature stands behind its size.
_EVT_SIGN, _EVT = b"LfLe", "make a newer log of it on Windows first: wevtutil export-log FILE.evt FILE.evtx /logfile:true"
# What the standard library raises for archives that are cut, damaged or of a method that it does not know.
_SPOILT = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, RuntimeError, OverflowError, IndexError)


class LimitError(ValueError):
    """More would come out than is unpacked here; the message is a few words."""


@dataclass(frozen=True)
class Member:
    """The end of one file that was packed: `size` is the whole of it."""

    name: str
    data: bytes
    size: int


@dataclass
class Unpacker:
    """Unpacks one file. What is left out is in `notes`, one line each, after the last member came out.

    Attributes:
        tail: as many bytes of the end of each member are kept.
        members: how many there may still be; `room` is how many bytes may still come out.
    """

    tail: int
    members: int = MOST_MEMBERS
    room: int = MOST_BYTES
    notes: list[str] = field(default_factory=list)

    def unpack(self, stream: IO[bytes], name: str, packed_size: int) -> Iterator[Member]:
        """The members of a `.zip`, or the one file in a `.gz`.

        Args:
            stream: the packed file.
            name: of the packed file; a `.gz` does not always name what is in it.
            packed_size: its bytes.
        """
        try:
            stream.seek(0)
            if stream.read(3) == _GZIP:
                stream.seek(0)
                yield self._gzip(stream, name, packed_size)
                return
            yield from self._zip(stream, nested=False)
        except LimitError as error:
            self.notes.append(str(error))
        except _SPOILT as error:
            self.notes.append(f"cannot be unpacked: {type(error).__name__}")

    def _gzip(self, stream: IO[bytes], name: str, packed_size: int) -> Member:
        inner = name[:-3] if name.lower().endswith(".gz") else name
        with gzip.open(stream) as unpacked:
            data, size = self._read(unpacked, packed_size)
        return Member(inner, data, size)

    def _zip(self, stream: IO[bytes], *, nested: bool) -> Iterator[Member]:
        with zipfile.ZipFile(stream) as archive:
            for info in archive.infolist():
                parts = [part for part in info.filename.replace("\\", "/").split("/") if part not in ("", ".", "..")]
                if info.is_dir() or not parts or any(part.startswith((".", "__MACOSX")) for part in parts):
                    continue
                if self.members <= 0:
                    raise LimitError(f"only the first {MOST_MEMBERS} of its files were read")
                self.members -= 1
                yield from self._member(archive, info, "/".join(parts), nested=nested)

    def _member(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, *, nested: bool) -> Iterator[Member]:
        if info.flag_bits & 1:
            self.notes.append(f"{name} is protected by a password")
            return
        try:
            with archive.open(info) as unpacked:
                data, size = self._read(unpacked, info.compress_size)
        except LimitError:
            raise
        except _SPOILT as error:
            self.notes.append(f"{name} cannot be unpacked: {type(error).__name__}")
            return
        if not data.startswith(_ZIP):
            yield Member(name, data, size)
        elif nested:
            self.notes.append(f"{name} is packed inside of a packed file: unpack it first")
        else:
            for inner in self._inner(data, name):
                yield Member(f"{name}!{inner.name}", inner.data, inner.size)

    def _inner(self, data: bytes, name: str) -> Iterator[Member]:
        try:
            yield from self._zip(io.BytesIO(data), nested=True)
        except LimitError:
            raise
        except _SPOILT as error:
            self.notes.append(f"{name} cannot be unpacked: {type(error).__name__}")

    def _read(self, unpacked: IO[bytes] | gzip.GzipFile, packed_size: int) -> tuple[bytes, int]:
        """The end of what comes out, and how much it was."""
        kept: deque[bytes] = deque()
        held, size, head = 0, 0, b""
        while chunk := unpacked.read(_CHUNK):
            if len(head) < event_binary.HEADER_BYTES:
                head += chunk[: event_binary.HEADER_BYTES]
            size += len(chunk)
            self.room -= len(chunk)
            if self.room < 0:
                raise LimitError(f"only the first {MOST_BYTES >> 20} MB that came out of it were read")
            if size > _RATIO_COUNTS_FROM and size > MOST_RATIO * max(packed_size, 1):
                raise LimitError(f"left alone: it unpacks to more than {MOST_RATIO} times its size, as no log does")
            kept.append(chunk)
            held += len(chunk)
            while held - len(kept[0]) >= self.tail:
                held -= len(kept.popleft())
        return event_binary.end_of(head, b"".join(kept)[-self.tail :], size), size


def is_packed(head: bytes) -> bool:
    """Whether it is unpacked here, by its first bytes."""
    return head.startswith((*_ZIP, _GZIP))


def advice(head: bytes, name: str) -> str:
    """What to do with a file that cannot be read as it is, '' for any other.

    Args:
        head: at least its first 16 bytes.
        name: of the file.
    """
    known = next((what for sign, what in _ADVICE.items() if head.startswith(sign)), "")
    if known or not head:
        return known
    if head[4:8] == _EVT_SIGN:
        return _EVT
    return _ETL if _is_etl(head) or name.lower().endswith(".etl") else ""


def _is_etl(head: bytes) -> bool:
    """Whether it begins with the header of a trace buffer (WMI_BUFFER_HEADER): its size, and how much of it is used, twice."""
    size, saved, current = (int.from_bytes(head[at : at + 4], "little") for at in (0, 4, 8))
    return 4096 <= size <= 1 << 20 and size % 1024 == 0 and 72 <= saved <= size and current <= size and b"\0" in head[:16]
