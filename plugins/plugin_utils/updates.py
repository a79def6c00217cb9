# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a title, a KB number or a classification says about an update, whatever language the host speaks."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

_TABLE: dict[str, Any] = json.loads(Path(__file__).with_name("data").joinpath("updates.json").read_text(encoding="utf-8"))
_CUMULATIVE: tuple[str, ...] = tuple(stem for stems in _TABLE["cumulative"].values() for stem in stems)
_FALSE_FAILURES: dict[str, tuple[int, ...]] = {kb: tuple(int(code, 16) for code in codes) for kb, codes in _TABLE["false_failure"].items()}

# Since autumn 2025 the titles of Windows name no product: `2025-11 Security Update (KB5068861) (26100.7171)`.
_BUILD_AT_END = re.compile(r"[(\uff08][1-9]\d{4}\.\d{1,5}[)\uff09]\s*$")
_MONTH = re.compile(r"\b20\d\d-(?:0[1-9]|1[0-2])\b")
# Versions of Defender: 4.18.25010.3 of its platform, 1.391.396.0 of its security intelligence.
_PLATFORM = re.compile(r"\b4\.\d\d\.\d|antimalware platform")
_DOTNET = ".net framework"
# `Update for Windows (KB5099001)`, as an .msu is called; `Security Update for Windows Server 2012 R2 (KB...)`.
_FOR_WINDOWS = re.compile(r"\b(?:update|hotfix|rollup) for windows\b(?! (?:defender|mail|live|media))")
_MAX_TITLE = 300


def rolling_kb(kb: str | None) -> bool:
    """Whether new versions appear under this KB all the time, so that one failure of one of them says little."""
    return _key(kb) in _TABLE["rolling"]


def rolling_name(kb: str | None) -> str | None:
    """What a rolling KB brings, in words; None for any other."""
    name: str | None = _TABLE["rolling"].get(_key(kb))
    return name


def rolling_of(title: str | None) -> str | None:
    """The rolling KB that a title means although its KB was cut away; None for any other title."""
    text = _lower(title)
    if not _has(text, _TABLE["defender_stems"]):
        return None
    return "KB4052623" if _PLATFORM.search(text) else "KB2267602"


def updates_itself(kb: str | None) -> bool:
    """Whether the product fetches it by other ways, too, so that its installer fails because it is there already."""
    return _key(kb) in _TABLE["updates_itself"]


def is_winre(kb: str | None, title: str | None) -> bool:
    """Whether the update goes to the partition of the recovery environment, which may be too small for it."""
    return _key(kb) in _TABLE["winre"] or _has(_lower(title), _TABLE["winre_stems"])


def is_false_failure(kb: str | None, code: int | None) -> bool:
    """Whether Microsoft says of this update that it is installed although this code is shown."""
    return code in _FALSE_FAILURES.get(_key(kb), ())


def is_cumulative_os(title: str | None) -> bool:
    """Whether it is a cumulative update of Windows itself: preview and hotpatch too, .NET Framework not."""
    text = _lower(title)
    if _DOTNET in text or _has(text, _TABLE["not_the_system"]) or _has(text, _TABLE["servicing_stack"]):
        return False
    if _BUILD_AT_END.search(text):
        return True
    return _has(text, _CUMULATIVE) and _has(text, _TABLE["systems"])


def is_for_windows(title: str | None) -> bool:
    """Whether an English title says that it is an update of Windows: what the servicing stack installs."""
    return _FOR_WINDOWS.search(_lower(title)) is not None and not is_dotnet(title)


def names_no_product(title: str | None) -> bool:
    """Whether it is a monthly title that says neither what it is for nor what build it brings: `2026-01 Security Update (KB5099001)`."""
    text = _lower(title)
    if _MONTH.match(text) is None or _BUILD_AT_END.search(text):
        return False
    return _DOTNET not in text and not _has(text, _TABLE["systems"]) and not _has(text, _TABLE["not_the_system"])


def is_dotnet(title: str | None) -> bool:
    """Whether it is one of the monthly updates of .NET Framework (which is never translated), not the product itself."""
    text = _lower(title)
    return _DOTNET in text and (_MONTH.search(text) is not None or _has(text, _CUMULATIVE))


def is_servicing_stack(title: str | None) -> bool:
    """Whether it is a servicing stack update."""
    return _has(_lower(title), _TABLE["servicing_stack"])


def classification(guid: str | None) -> str | None:
    """The English name of a classification GUID, braces and case aside; None for a product or anything else."""
    name: str | None = _TABLE["classifications"].get((guid or "").strip("{} ").lower())
    return name


def _key(kb: str | None) -> str:
    text = (kb or "").strip().upper()
    return f"KB{text}" if text.isdigit() else text


def _lower(title: str | None) -> str:
    return (title or "")[:_MAX_TITLE].lower()


def _has(text: str, stems: tuple[str, ...] | list[str]) -> bool:
    return any(stem in text for stem in stems)
