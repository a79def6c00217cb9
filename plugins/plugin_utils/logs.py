# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Readers of the logs Windows writes while it services itself: what in them is a failure, and what is noise.

They make observations and decide nothing: what cures a failure is for `states`. All patterns are linear in the length of a
line, and lines are cut before any pattern sees them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace

from ._log_agent import REPORT, REPORT_TIME, report, report_time, reporting, wulog
from ._log_events import TEXT_EVENT, event_observation, event_text, event_xml, service_key
from ._log_servicing import Servicing, servicing
from ._log_setup import SETUPDIAG_SIGN, setupdiag
from ._log_stack import DATED
from ._records import MAX_LINE, Collector, clean, decode, stamp_of
from ._records import guid_of as guid
from ._records import kb_of as kb
from .observation import Observation
from .sections import LogKind

__all__ = [
    "TAIL_BYTES", "clean", "decode", "event_observation", "guid", "kb", "kind_of", "read", "read_lines", "service_key",
]  # fmt: skip

TAIL_BYTES = 64 * 1024 * 1024

_SERVICING_SIGN = re.compile(
    r"(?:^|\n)\ufeff?(?:[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,7})?, )?"
    r"[ \t]*(?:Info|Warning|Error)[ \t]{1,24}"
    r"(?:\[0x[0-9a-f]{2,8}\][ \t]{1,8})?(?:CBS|CSI|DISM|SP|MOUPG|MIG|IBS|IBSLIB|CONX|SYSPRP|DEPLOY|PANTHR)[ \t]"
    r"|\[SR\] |Total Detected Corruption:"
)
_WU_SIGN = re.compile(
    r"(?:^|\n)\ufeff?[0-9]{4}[-/.][0-9]{2}[-/.][0-9]{2}[ \t][0-9]{2}:[0-9]{2}:[0-9]{2}[.:][0-9]{3,7}"
    r"\s{1,4}[0-9]{1,6}\s{1,6}[0-9a-fA-F]{1,6}\s{1,6}\w"
)


def read(data: bytes, name: str = "", zone_offset_s: int | None = None) -> list[Observation]:
    """Read a whole log, or the tail of one, recognised by its content.

    Never raises, whatever the bytes are; rubbish gives nothing. Takes time linear in the length.

    Args:
        data: the file as it is (callers pass at most the last TAIL_BYTES).
        name: the file's name. It keeps the order of lines apart from another file's, and helps where the content says nothing.
        zone_offset_s: the host's local time minus UTC in seconds, for logs that write local time.

    Returns:
        What was seen, in the order of when each was seen last.
    """
    text = decode(bytes(data[-TAIL_BYTES:]))
    kind = _kind(text, name)
    if kind is None:
        return []
    out = Collector(zone_offset_s, _channel(kind, name))
    _READERS[kind](text, out)
    return out.result()


def kind_of(data: bytes, name: str = "") -> str | None:
    """Name what `read` takes a log for, None for what is no log that is known.

    `events`, `events as text`, `wulog`, `reporting`, `setupdiag` or `servicing` (CBS, DISM and set-up).
    """
    return _kind(decode(bytes(data[-TAIL_BYTES:])), name)


_READERS: dict[str, Callable[[str, Collector], None]] = {
    "events": event_xml,
    "events as text": event_text,
    "wulog": wulog,
    "reporting": reporting,
    "setupdiag": setupdiag,
    "servicing": servicing,
}


def _kind(text: str, name: str) -> str | None:
    sample = text
    if len(text) > 400_000:
        sample = text[:300_000] + "\n" + text[-100_000:]
    if "<Event " in sample and ("<System>" in sample or "<Provider " in sample):
        return "events"
    if TEXT_EVENT.search(sample) and "Event ID:" in sample:
        return "events as text"
    if _WU_SIGN.search(sample):
        return "wulog"
    if REPORT.search(sample):
        return "reporting"
    if SETUPDIAG_SIGN.search(sample) or "setupdiagresults" in name.lower():
        return "setupdiag"
    if _SERVICING_SIGN.search(sample):
        return "servicing"
    return None


def _channel(kind: str, name: str) -> str:
    """What the places of one log count in; another file of the kind is another channel."""
    return f"{kind}:{name}" if name else kind


def read_lines(kind: str, groups: Iterable[LogKind], zone_offset_s: int | None = None, name: str = "") -> list[Observation]:
    """Read the groups of a log that the host filtered.

    Args:
        kind: `cbs`, `setup`, `dism` or `reporting`; with `name` the channel in which the order of groups counts.
        groups: in the order of their last lines.
        zone_offset_s: as in `read`.
        name: the log's path, where there is more than one of a kind.
    """
    out = Collector(zone_offset_s, _channel(kind, name))
    if kind == "reporting":
        for place, group in enumerate(groups):
            _report_group(place, group, out)
        return out.result()
    stream = Servicing(out)
    for group in groups:
        # The comma that follows the time where it is a whole line.
        first = stamp_of(DATED.match(f"{(group.first or '')[:MAX_LINE]}, "))
        stream.line(group.last[:MAX_LINE], max(group.count, 1), first)
    stream.close()
    return out.result()


def _report_group(place: int, group: LogKind, out: Collector) -> None:
    match = REPORT.search(group.last[:MAX_LINE])
    seen = match and report(match, "reporting")
    if seen is None:
        return
    first = REPORT_TIME.search((group.first or "")[:MAX_LINE])
    began = first and report_time(*first.groups())
    out.add(replace(seen, place=place, channel=out.channel, count=max(group.count, 1), first=began))
