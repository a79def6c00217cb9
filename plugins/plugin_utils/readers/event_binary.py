# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: .evtx, the binary form in which Windows keeps its events, as the XML that the readers know.

A package reads it where the controller has one: evtx (fast), else python-evtx. Of a large file the newest chunks are read.
"""

from __future__ import annotations

import importlib
import io
import re
from collections.abc import Iterator
from typing import Any

HOW = "Binary events (.evtx): pip install evtx on the controller, or on the host wevtutil qe FILE /lf:true /f:xml > FILE.xml and give that"
_FILE, _CHUNK = b"ElfFile\0", b"ElfChnk\0"
HEADER_BYTES, _CHUNK_BYTES = 4096, 65536
# Behind the mark of a chunk and the number of its first event.
_LAST_EVENT, _NONE = 16, b"\xff" * 8
# Read in some seconds: evtx takes 6 ms a chunk, python-evtx up to 5 s.
_MOST_CHUNKS, _MOST_CHUNKS_SLOW = 640, 4
_MOST_CHARS = 64 * 1024 * 1024
_MOST_FAULTS = 1000
# What no reader looks at is left out but for the newest few, which show what log it is.
_OURS = re.compile(
    r"<Provider\b[^<>]{0,80}(?:WindowsUpdateClient|Microsoft-Windows-Servicing|Service Control Manager|Time-Service|Windows-WUSA)"
)
_OTHERS = 20


class EvtxError(Exception):
    """A file of binary events that cannot be read; its text is one line that says what to do."""


def is_evtx(data: bytes) -> bool:
    """Whether these are binary events."""
    return data.startswith(_FILE)


def is_empty(data: bytes) -> bool:
    """Whether it is a log in which nothing has been written: the number of the last event of its chunks is none."""
    chunks = _chunks(data)
    return bool(chunks) and all(chunk[_LAST_EVENT : _LAST_EVENT + len(_NONE)] == _NONE for chunk in chunks)


def end_of(head: bytes, end: bytes, size: int) -> bytes:
    """The end of a large file behind its header, which alone says what it is, from where a chunk begins.

    Args:
        head: the first bytes of the file, HEADER_BYTES at least.
        end: its last ones.
        size: all of its bytes.
    """
    if size <= len(end) or not is_evtx(head):
        return end
    begun = (size - len(end) - HEADER_BYTES) % _CHUNK_BYTES
    return head[:HEADER_BYTES] + end[(_CHUNK_BYTES - begun) % _CHUNK_BYTES :]


def bytes_read(data: bytes) -> int:
    """How much of a file `xml_of` reads: all of it, or its newest part."""
    most = _MOST_CHUNKS if _module("evtx") is not None else _MOST_CHUNKS_SLOW
    return min(len(data), most * _CHUNK_BYTES) if len(_chunks(data)) > most else len(data)


def xml_of(data: bytes) -> str:
    """The events as one XML document, for `logs.read`: those about updates, services and the clock, the newest others.

    Args:
        data: the whole file.

    Raises:
        EvtxError: no package reads it, or there is no event in it that can be read.
    """
    fast, slow = _module("evtx"), _module("Evtx.Evtx")
    if fast is None and slow is None:
        raise EvtxError(HOW)
    chunks = _chunks(data)
    if fast is not None:
        found = _document(_by_evtx(fast, _file(data, chunks[-_MOST_CHUNKS:])))
    else:
        found = _document(_by_python_evtx(slow, _file(data, chunks[-_MOST_CHUNKS_SLOW:])))
    if found is None:
        raise EvtxError("No event in this .evtx could be read: it is damaged or cut; export it anew (wevtutil epl System FILE.evtx)")
    return found


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except Exception:
        # A package that is there and cannot be loaded is not there: built for another machine, or half installed.
        return None


# --- the newest of a file ---


def _chunks(data: bytes) -> list[bytes]:
    """The chunks, oldest first. A log that is full begins anew at its front, so that their place does not tell."""
    found = []
    for start in range(HEADER_BYTES, len(data) - _CHUNK_BYTES + 1, _CHUNK_BYTES):
        chunk = data[start : start + _CHUNK_BYTES]
        if chunk.startswith(_CHUNK):
            found.append(chunk)
    return sorted(found, key=_first_record)


def _first_record(chunk: bytes) -> int:
    return int.from_bytes(chunk[24:32], "little")


def _file(data: bytes, chunks: list[bytes]) -> bytes:
    """A file of these chunks alone."""
    header = bytearray(data[:HEADER_BYTES])
    header[42:44] = len(chunks).to_bytes(2, "little")
    return b"".join((bytes(header), *chunks))


# --- its records ---


def _by_evtx(module: Any, data: bytes) -> Iterator[str]:
    try:
        records = module.PyEvtxParser(io.BytesIO(data), number_of_threads=1).records()
    except Exception:
        # A header that was damaged.
        return
    for record in _each(records):
        # Before 0.9 a record that cannot be read is given as its exception.
        if isinstance(record, dict):
            yield str(record.get("data", ""))


def _by_python_evtx(module: Any, data: bytes) -> Iterator[str]:
    for chunk in _each(module.FileHeader(data, 0).chunks()):
        for record in _each(chunk.records()):
            yield from _xml(record)


def _xml(record: Any) -> Iterator[str]:
    try:
        yield str(record.xml())
    except Exception:
        # Any exception may come of a damaged record; the next one may be sound.
        return


def _each(records: Iterator[Any]) -> Iterator[Any]:
    """What an iterator of a package gives; what it cannot read it raises, and may go on behind it."""
    for _fault in range(_MOST_FAULTS):
        try:
            yield from records
        except Exception:
            continue
        return


def _document(records: Iterator[str]) -> str | None:
    """The events in one root, None if there is none; the newest where they are too many."""
    kept: list[str] = []
    others: list[str] = []
    for record in records:
        start = record.find("<Event")
        if start >= 0:
            (kept if _OURS.search(record) else others).append(record[start:])
    kept = [*others[-_OTHERS:], *kept]
    size, first = 0, len(kept)
    while first > 0 and size + len(kept[first - 1]) <= _MOST_CHARS:
        first -= 1
        size += len(kept[first])
    if first == len(kept):
        return None
    return "\n".join(("<Events>", *kept[first:], "</Events>"))
