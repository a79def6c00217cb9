# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: the reports of what blocks an upgrade: CompatData_*.xml, ScanResult.xml, and the appraiser's *_HumanReadable.xml."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from itertools import zip_longest

from ..observation import Observation
from .records import Collector, clean, part

_REPORT = re.compile(r"<(?:\w{1,12}:)?CompatReport[ >]")
_ASSETS = re.compile(r"Name=\"DT_ANY_|<(?:Assets|AssetList|WicaRun)[ >]")
# `<Program Name="X"><CompatibilityInfo BlockingType="Hard"`: the block stands below what it is about, up to the end of that.
_ITEM = re.compile(r"<(Program|Device|HardwareItem|SystemComponent)\b([^<>]{0,2000})>")
_HARD = re.compile(r"\bBlockingType=\"Hard\"", re.I)
_NAME = re.compile(r"\b(?:Name|HardwareType|Title|Manufacturer)=\"([^\"]{1,200})\"")
_DRIVER = re.compile(r"<DriverPackage\b([^<>]{0,1000})>")
_INF = re.compile(r"\bInf=\"([^\"]{1,80})\"")
_NOT_MIGRATED = re.compile(r"\bBlockMigration=\"True\"", re.I)
_ASSET = re.compile(r"<Asset\b")
_BLOCKING = re.compile(r"Name=\"DT_ANY_FMC_Blocking\w{0,40}\"[^<>]{0,60}Value=\"True\"", re.I)
_PATH = re.compile(r"Name=\"(?:LowerCaseLongPathUnexpanded|DriverName|Inf)\"[^<>]{0,60}Value=\"([^\"]{1,300})\"")
_MAX_TEXT, _MOST = 8_000_000, 50


def is_compat(sample: str, _name: str) -> bool:
    """Whether the appraiser of set-up wrote it."""
    return _REPORT.search(sample) is not None or (_ASSETS.search(sample) is not None and "<PropertyList" in sample)


def compat(text: str, out: Collector) -> None:
    """Read what blocks an upgrade: each by its name. A report in which nothing does says nothing."""
    text = text[:_MAX_TEXT]
    blocks = dict.fromkeys([*_items(text), *_drivers(text), *_files(text)])
    for name, line in list(blocks)[:_MOST]:
        out.add(Observation("setup", "upgrade", channel=out.channel, marker="compat_block", name=name, line=clean(line)))


def _items(text: str) -> Iterator[tuple[str, str]]:
    found = list(_ITEM.finditer(text))
    for item, following in zip_longest(found, found[1:]):
        below = text[item.start() : following.start() if following else len(text)][:4000]
        hard = _HARD.search(below)
        if hard:
            name = part(_NAME.search(item.group(2))) or item.group(1)
            yield html.unescape(name), html.unescape(below[: hard.end() + 120])


def _drivers(text: str) -> Iterator[tuple[str, str]]:
    for found in _DRIVER.finditer(text):
        if _NOT_MIGRATED.search(found.group(1)):
            yield part(_INF.search(found.group(1))) or "a driver", found.group(0)


def _files(text: str) -> Iterator[tuple[str, str]]:
    starts = [found.start() for found in _ASSET.finditer(text)]
    for start, end in zip_longest(starts, starts[1:], fillvalue=len(text)):
        asset = text[start : min(end, start + 60_000)]
        blocking = _BLOCKING.search(asset)
        if blocking:
            path = html.unescape(part(_PATH.search(asset)) or "")
            yield path.rpartition("\\")[2] or "a program", f"{blocking.group(0)} {path}"
