# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Readers of the logs Windows writes while it services itself: what in them is a failure, and what is noise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

TAIL_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Record:
    """One thing that was seen, whatever it was seen in."""

    source: str
    layer: str
    time: int | None
    ok: bool = False
    code: int | None = None
    marker: str | None = None
    update: str | None = None
    text: str = ""
    count: int = 1
    first: int | None = None
    local_time: bool = False


def read(data: bytes, name: str = "", zone_offset_s: int | None = None) -> list[Record]:
    """Read a whole log, or the tail of one."""
    return []


def read_lines(kind: str, groups: Iterable[Mapping[str, Any]], zone_offset_s: int | None = None) -> list[Record]:
    """Read the groups of a LOG that the host filtered."""
    return []
