# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Readers of the logs Windows writes while it services itself: what in them is a failure, and what is noise.

All patterns are linear in the length of a line, and lines are cut before any pattern sees them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ._log_agent import REPORT, report, reporting, wulog
from ._log_events import TEXT_EVENT, event_fields, event_record, event_text, event_xml, service_key
from ._log_servicing import DATED, SETUPDIAG_SIGN, Servicing, servicing, setupdiag
from ._records import MAX_LINE, Collector, Record, clean, decode, stamp, update_id

__all__ = [
    "TAIL_BYTES", "Record", "clean", "decode", "event_fields", "event_record", "kind_of", "overtaken_by", "read", "read_lines",
    "service_key", "standing", "update_id",
]  # fmt: skip

TAIL_BYTES = 64 * 1024 * 1024

_STORE_CURES = ("store_repaired", "store_clean")


def _cures(success: Record, failure: Record) -> bool:
    if success.layer != failure.layer:
        return False
    if failure.layer == "store":
        # sfc looks at files in use, DISM at the store: neither proves what the other one found.
        if (failure.marker or "").startswith("sr_"):
            return success.marker == "sr_repaired"
        return success.marker in _STORE_CURES
    if failure.layer in ("download", "install"):
        return success.update is not None and success.update == failure.update
    return failure.layer != "service" or (success.update is not None and success.update == failure.update)


def overtaken_by(record: Record, records: list[Record]) -> Record | None:
    """The later success that makes a failure history.

    Args:
        record: a failure, one of `records`.
        records: what one reader gave, in its order (which decides where times are equal or unknown).
    """
    if record.ok:
        return None
    at = next((index for index, other in enumerate(records) if other is record), -1)
    for index, other in enumerate(records):
        if not other.ok or not _cures(other, record):
            continue
        no_order = record.time is None or other.time is None or record.time == other.time
        later = index > at if no_order else (other.time or 0) > (record.time or 0)
        if later:
            return other
    return None


def standing(records: list[Record]) -> list[Record]:
    """The failures that no later success in the same list overtakes."""
    return [record for record in records if not record.ok and overtaken_by(record, records) is None]


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


def read(data: bytes, name: str = "", zone_offset_s: int | None = None) -> list[Record]:
    """Read a whole log, or the tail of one, recognised by its content.

    Never raises, whatever the bytes are; rubbish gives nothing. Takes time linear in the length.

    Args:
        data: the file as it is (callers pass at most the last TAIL_BYTES).
        name: the file's name, a help only where the content says nothing.
        zone_offset_s: the host's local time minus UTC in seconds, for logs that write local time.

    Returns:
        Failures and successes in the order of when each was seen last.
    """
    text = decode(bytes(data[-TAIL_BYTES:]))
    out = Collector(zone_offset_s)
    if kind := _kind(text, name):
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
    sample = text if len(text) < 400_000 else text[:300_000] + "\n" + text[-100_000:]
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
    return "servicing" if _SERVICING_SIGN.search(sample) else None


def read_lines(kind: str, groups: Iterable[Mapping[str, Any]], zone_offset_s: int | None = None) -> list[Record]:
    """Read the groups of a LOG that the host filtered.

    Args:
        kind: `cbs`, `setup`, `dism` or `reporting`.
        groups: `{"count", "first", "last"}`, in the order of their last lines. `first` may be the time alone, as the first
            line writes it, or None where it is the last line.
        zone_offset_s: as in `read`.
    """
    out = Collector(zone_offset_s)
    stream = Servicing(out)
    for group in groups:
        last = str(group.get("last") or "")[:MAX_LINE]
        first = str(group.get("first") or last)[:MAX_LINE]
        number = group.get("count")
        count = max(int(number), 1) if isinstance(number, int) else 1
        if kind == "reporting":
            match, before = REPORT.search(last), REPORT.search(first)
            if before is None and match is not None:
                before = REPORT.search(last[: match.start(1)] + first + last[match.end(3) :])
            if before is not None and match is not None and before.group(0) != match.group(0):
                report(before, out, 1, "reporting")
                count = max(count - 1, 1)
            if match is not None:
                report(match, out, count, "reporting")
        else:
            # The comma that follows the time where it is a whole line.
            dated = DATED.match(f"{first}, ")
            stream.line(last, count, stamp(dated.group(1), dated.group(2)) if dated else None)
    stream.close()
    return out.result()
