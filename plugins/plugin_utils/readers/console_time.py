# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: what w32tm writes to a console: labels are translated, the order of the fields, numbers and units are not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice, pairwise

from ..observation import FAILED, OK, Observation
from .console_screen import Piece, Screen
from .records import Collector, part, to_code

# Who copies a status into a page often aligns the values.
_COLON = r"[:\uff1a][ \u00a0]{0,30}"
# The precision, third field of a status: `-23 (119.209ns per tick)`.
_PRECISION = re.compile(_COLON + r"-[0-9]{1,2}[ \u00a0]?\([^()\n]{0,40}?[0-9]{1,5}[.,][0-9]{1,4}[ \u00a0]?[num\u00b5]s")
_ENUM = re.compile(_COLON + r"([0-9]{1,3})[ \u00a0]?\(")
_REFERENCE = re.compile(_COLON + r"0x([0-9A-Fa-f]{8})[ \u00a0]?\(")
_POLL = re.compile(_COLON + r"[0-9]{1,2}[ \u00a0]?\([0-9]{1,7}s\)")
_SECONDS = re.compile(r"[^:\uff1a]{1,80}" + _COLON + r"-?[0-9]{1,9}[.,][0-9]{7}s$")
_OWN_CLOCK = re.compile(r"Local CMOS Clock|Free-running System Clock", re.I)
# What W32Time says of its last try (`Last Sync Error`): no data, stale data, a change beyond the limit.
_RESULTS = {1: "no_time_data", 2: "time_data_stale", 3: "clock_beyond_limit"}
_UNSYNCHRONISED = 3
_BEFORE, _AFTER = 400, 2500

_TRACKED = re.compile(r"(?<![\w.-])([A-Za-z0-9][\w.-]{0,120}) ?(?:\*{3} PDC \*{3})?\[[0-9a-fA-F.:%]{2,60}\]:?[0-9]{0,5}")
# In German, Dutch and Japanese a word stands between the name and its address: `ntp.example.net wird verfolgt [192.0.2.1:123].`
_TRACKED_BEFORE = re.compile(r"(?:^|[\s\"\u201c\u300c])((?:[A-Za-z0-9-]{1,63}\.){1,12}[A-Za-z0-9-]{1,63})(?![\w.-])")
_CLOCK = r"[0-9]{1,2}[:.][0-9]{2}[:.][0-9]{2}(?: ?[AP]M)?,? ?"
_SAMPLE = re.compile(_CLOCK + r"(?:d:[+-]?[0-9.]{1,20}s ?o:)?([+-][0-9]{1,12}[.,][0-9]{7})s")
_NO_SAMPLE = re.compile(_CLOCK + r"[^:\uff1a\n]{1,40}" + _COLON + r"(0x[0-9A-Fa-f]{8})")
_MONITORED = re.compile(r"NTP: ?(?:([+-][0-9]{1,12}[.,][0-9]{7})s|[^\n]{0,40}?(0x[0-9A-Fa-f]{8}|ERROR_TIMEOUT|ERROR_\w{1,40}))")
# Of a status two fields: when it last went well, and the source with its flags.
_WENT_WELL = re.compile(r"[^:\uff1a]{4,80}" + _COLON + r"[0-9]{1,4}[-./][^\n]{4,12}[ ,]" + _CLOCK)
_A_SOURCE = re.compile(r"[^:\uff1a]{2,40}" + _COLON + r"([A-Za-z0-9][\w.-]{2,120}),0x[0-9a-f]{1,2}$", re.I)
_NOT_ACTIVE = 0x80070426
# The same two fields alone: `Source: Local CMOS Clock`, `ReferenceId: 0x4C4F434C (...)` (LOCL).
_FREE_SOURCE = re.compile(r"([^:\uff1a]{2,40}?)[ \u00a0]?" + _COLON + r"(Local CMOS Clock|Free-running System Clock)\W{0,3}$", re.I)
_NAMED_SOURCE = re.compile(r"[ \u00a0]?" + _COLON + r"([A-Za-z0-9][\w.-]{2,120})(?:,0x[0-9a-f]{1,2})?$", re.I)
_FREE_REFERENCE = re.compile(r"[^:\uff1a]{2,40}" + _COLON + r"0x4C4F434C\b", re.I)
_FIELDS = 3
# `The following error occurred: The service has not been started. (0x80070426)`: how w32tm ends in every language. That it was w32tm
# says its command, or a line above it that speaks of the time.
_NOT_RUN = re.compile(r"[^:\uff1a()]{5,80}" + _COLON + r"[^()]{5,200} ?\(0x80070426\)$", re.I)
_OF_TIME = re.compile(
    r"\bNTP\b|w32time|\btime (?:server|source|service|sync)|Zeit(?:server|dienst|quelle)|serveur de temps|\btime\.windows\.", re.I
)
_TIME_ABOVE = 6
# Further off than this and TLS, tickets and signatures fail; W32Time's own limit for members of a domain.
_OFF_S = 300
# Domain controllers that one call asks.
_MOST = 500

_COMMAND = re.compile(r"\bw32tm(?:\.exe)?[ \u00a0]{1,4}[/-](\w{1,20})([^\n]{0,200})", re.I)
_CODE = re.compile(r"\((0x8[0-9A-Fa-f]{7})\)")
_CONFIGURATION = re.compile(r"\[TimeProviders\]|^\[Configuration\]", re.M)
# What a call says without a code; in other languages the one sentence that all of them ask for.
_SAID = (
    (
        re.compile(
            r"(?<!\()(?:da keine Zeitdaten verf|\u043d\u0435\u0442 \u0434\u043e\u0441\u0442\u0443\u043f\u043d\u044b\u0445 "
            r"\u0434\u0430\u043d\u043d\u044b\u0445 \u043e \u0432\u0440\u0435\u043c\u0435\u043d\u0438"
            r"|\u6ca1\u6709\u53ef\u7528\u7684\u65f6\u95f4\u6570\u636e)"
        ),
        FAILED,
        "no_time_data",
    ),
    (re.compile(r"(?<!\()The computer did not resync because no time data"), FAILED, "no_time_data"),
    (re.compile(r"(?<!\()The computer did not resync because only stale time data"), FAILED, "time_data_stale"),
    (re.compile(r"(?<!\()The computer did not resync because the required time change was too big"), FAILED, "clock_beyond_limit"),
    (re.compile(r"Sending resync command to [^\n]{1,80}\n[^\n]{0,3}The command completed successfully"), OK, "resynchronised"),
)
# What the time service writes into the System log, where people quote it without the rest of the event. English alone is known.
_LOGGED = (
    (re.compile(r"No valid response has been received from (?:manually configured peer|domain controller) ([^\s,]{2,120})"), FAILED,
     "time_source_failed"),
    (re.compile(r"NtpClient was unable to set a (?:manual|domain) peer to use as a time source because of (?:DNS resolution error on "
                r"['\"]?([^\s,'\"]{2,120})|discovery error)"), FAILED, "time_source_failed"),
    (re.compile(r"one or more time sources, however none of the sources are currently accessible()"), FAILED, "time_source_failed"),
    (re.compile(r"The time service has not synchronized the system time for [0-9]{1,9} seconds because none()"), FAILED,
     "clock_not_synchronised"),
    (re.compile(r"The time provider NtpClient is currently receiving valid time data from ([^\s,]{2,120})"), OK, None),
    (re.compile(r"The time service is now synchronizing the system time with the time source ([^\s,]{2,120})"), OK, None),
)  # fmt: skip
_REASON = 400


def is_time(screen: Screen) -> bool:
    """Whether w32tm wrote to this console."""
    text = screen.text
    if _PRECISION.search(text) or _CONFIGURATION.search(text) or _peers(screen):
        return True
    if _TRACKED.search(text) and (_SAMPLE.search(text) or _NO_SAMPLE.search(text) or _MONITORED.search(text)):
        return True
    if _command_results(screen) or _free_fields(screen) or _not_run(screen) or _logged(screen):
        return True
    return any(True for _one in _sentences(screen))


def clock(screen: Screen, out: Collector) -> None:
    """Read what w32tm said of the clock."""
    seen = [*_statuses(screen), *_peer_results(screen), *_samples(screen), *_monitored(screen), *_command_results(screen)]
    seen += [*_sentences(screen), *_went_well(screen), *_free_fields(screen), *_not_run(screen), *_logged(screen)]
    # Who answers runs: that the service did not run before is over.
    answered = max((one.place or 0 for one in seen if one.code is None), default=0)
    seen = [one for one in seen if one.code != _NOT_ACTIVE or (one.place or 0) > answered]
    if all(one.ok for one in seen):
        # A clock that is right says nothing about updates; beside a failure it says whether that is over.
        return
    for one in seen:
        out.add(replace(one, channel=out.channel))


def _seen(piece: Piece, outcome: str = FAILED, marker: str | None = None, code: int | None = None, name: str | None = None) -> Observation:
    return Observation("w32tm", "clock", outcome, place=piece.place, code=code, marker=marker, name=name, line=piece.text)


def _sentences(screen: Screen) -> Iterator[Observation]:
    if not screen.has("w32tm", "resync"):
        return
    for pattern, outcome, marker in _SAID:
        for found in pattern.finditer(screen.text):
            if not screen.is_supposed(found.start()):
                yield _seen(screen.at(found.start()), outcome, marker)


def _went_well(screen: Screen) -> Iterator[Observation]:
    """Fields that somebody copied out of a status; of a whole one, all its fields count."""
    if _PRECISION.search(screen.text):
        return
    for above, piece in pairwise(screen.pieces):
        source = _A_SOURCE.match(piece.text)
        if source and _WENT_WELL.match(above.text):
            yield _seen(piece, OK, name=source.group(1))


def _free_fields(screen: Screen) -> list[Observation]:
    """Fields that somebody copied out of a status of a clock that follows nothing; the same field may name a source further below."""
    if not screen.has("local cmos clock", "free-running system clock", "0x4c4f434c") or _PRECISION.search(screen.text):
        return []
    seen: list[Observation] = []
    label, last = "", -_FIELDS
    for index, piece in enumerate(screen.pieces):
        free, reference = _FREE_SOURCE.match(piece.text), _FREE_REFERENCE.match(piece.text)
        # The date above says that the source has given the time.
        went_well = index > 0 and _WENT_WELL.match(screen.pieces[index - 1].text)
        source = (_NAMED_SOURCE.match(piece.text, len(label)) if went_well else None) or _A_SOURCE.match(piece.text)
        if free is None and source and label and piece.text.startswith(label):
            seen.append(_seen(piece, OK, name=source.group(1)))
        elif index - last >= _FIELDS and _is_field(screen, index, free or reference):
            seen.append(_seen(piece, marker="clock_runs_free", name=part(free, 2)))
            last = index
        label = part(free) or label
    return seen


def _is_field(screen: Screen, index: int, found: re.Match[str] | None) -> bool:
    """Whether a field that was found was written by w32tm, and is not only spoken of."""
    return found is not None and not screen.is_supposed(screen.start_of(index) + found.end())


def _not_run(screen: Screen) -> list[Observation]:
    """That W32Time does not run, below a line that speaks of the time; below the command of w32tm it is told as its result."""
    if not screen.has("0x80070426"):
        return []
    seen: list[Observation] = []
    for index, piece in enumerate(screen.pieces):
        if not _NOT_RUN.match(piece.text):
            continue
        above = "\n".join(one.text for one in screen.pieces[max(0, index - _TIME_ABOVE) : index])
        if _OF_TIME.search(above) and not _COMMAND.search(above):
            seen.append(_seen(piece, code=_NOT_ACTIVE, name="W32Time"))
    return seen


def _logged(screen: Screen) -> list[Observation]:
    """Sentences of the time service, each with the code behind it; what a text supposes is none.

    Lists of events begin with the newest or with the oldest: beside a success it is not known which was last, so nothing is told.
    """
    if not screen.has("ntpclient", "time service", "time sources"):
        return []
    seen: list[Observation] = []
    for pattern, outcome, marker in _LOGGED:
        for found in islice(pattern.finditer(screen.text), _MOST):
            if screen.is_supposed(found.start()):
                continue
            reason = _CODE.search(screen.text[found.end() : found.end() + _REASON].partition("\n\n")[0])
            code = to_code(reason.group(1)) if reason else None
            name = part(found)
            if name is not None and "..." in name:
                name = None
            seen.append(_seen(screen.at(found.start()), outcome, None if code else marker, code, name))
    return [] if any(one.ok for one in seen) else seen


# --- /query /status [/verbose] ---


def _statuses(screen: Screen) -> list[Observation]:
    anchors = list(_PRECISION.finditer(screen.text))
    ends = [*(anchor.start() for anchor in anchors[1:]), len(screen.text)]
    return [_status(screen, anchor, ends[place]) for place, anchor in enumerate(anchors)]


def _status(screen: Screen, anchor: re.Match[str], end: int) -> Observation:
    before = [int(number) for number in _ENUM.findall(screen.text[max(0, anchor.start() - _BEFORE) : anchor.start()])][-2:]
    after = screen.text[anchor.end() : min(anchor.end() + _AFTER, end)]
    stratum = before[-1] if before else None
    leap = before[0] if len(before) == 2 else None
    poll = _POLL.search(after)
    source_at, source = _source(screen, anchor.end(), after, poll)
    error, error_at = _last_error(after, poll)
    if error:
        piece = screen.at(anchor.end() + error_at)
        # The host's own clock is no source that could have given the time.
        served = f"only {source}" if source and _OWN_CLOCK.search(source) else source
        return _seen(piece, marker=_RESULTS.get(error, "clock_not_synchronised"), name=served)
    if leap == _UNSYNCHRONISED or stratum == 0:
        return _seen(source_at, marker="clock_not_synchronised", name=source)
    if source and _OWN_CLOCK.search(source):
        return _seen(source_at, marker="clock_runs_free", name=source)
    return _seen(source_at, OK, name=source)


def _source(screen: Screen, start: int, after: str, poll: re.Match[str] | None) -> tuple[Piece, str | None]:
    """The time source: the field before the interval of polling."""
    own = _OWN_CLOCK.search(after[: poll.start() if poll else 600])
    if own:
        return screen.at(start + own.start()), own.group(0)
    if poll is None:
        return screen.at(start), None
    index = screen.index_at(start + poll.start())
    # With the poll on a line of its own the source has one, too; on one line with all else it is not told apart.
    if index == 0 or index <= screen.index_at(start):
        return screen.at(start), None
    piece = screen.pieces[index - 1]
    return piece, piece.value.partition(",")[0] or None


def _last_error(after: str, poll: re.Match[str] | None) -> tuple[int, int]:
    """The result of the last try and where it stands: the fourth number after the interval, in the verbose form alone."""
    if poll is None:
        return 0, 0
    numbers = list(_ENUM.finditer(after, poll.end()))
    if len(numbers) < 4:
        return 0, 0
    between = after[poll.end() : numbers[0].start()]
    if not re.search(r"[0-9][.,][0-9]{7}s", between):
        return 0, 0
    return int(numbers[3].group(1)), numbers[3].start()


# --- /query /peers ---


def _peers(screen: Screen) -> list[int]:
    """Where the time that remains until the next poll stands: the third field of a peer, with the mode and the stratum behind it."""
    pieces = screen.pieces
    return [
        index
        for index in range(2, len(pieces) - 2)
        if _SECONDS.match(pieces[index].text)
        and not _SECONDS.match(pieces[index - 1].text)
        and not _SECONDS.match(pieces[index + 1].text)
        and not _ENUM.search(pieces[index - 1].text)
        and _ENUM.search(pieces[index + 1].text)
        and _ENUM.search(pieces[index + 2].text)
    ]


def _peer_results(screen: Screen) -> list[Observation]:
    """One source that serves is enough: then the others are told, but end nothing."""
    found = _peers(screen)
    good: list[Observation] = []
    bad: list[Observation] = []
    for place, index in enumerate(found):
        end = min([index + 14, *(other - 2 for other in found[place + 1 : place + 2]), len(screen.pieces)])
        seen = _peer(screen, index, end)
        (good if seen.ok else bad).append(seen)
    if good and bad:
        last = max(one.place or 0 for one in bad)
        good = [replace(one, place=max(last + 1, one.place or 0)) for one in good]
    return [*bad, *good]


def _peer(screen: Screen, index: int, end: int) -> Observation:
    pieces = screen.pieces
    name = pieces[index - 2].value.partition(",")[0] or None
    stratum = int((_ENUM.findall(pieces[index + 2].text) or ["0"])[0])
    for piece in pieces[index + 3 : end]:
        reference = _REFERENCE.search(piece.text)
        if reference is None:
            continue
        code = to_code(f"0x{reference.group(1)}")
        if code:
            return _seen(piece, code=code, name=name)
        break
    if stratum == 0:
        return _seen(pieces[index - 2], marker="time_source_failed", name=name)
    return _seen(pieces[index - 2], OK, name=name)


# --- /stripchart, /monitor ---


def _samples(screen: Screen) -> list[Observation]:
    """A clock that is far off, or a source that never answered. That a source agrees does not say that Windows follows it."""
    tracked = _TRACKED.search(screen.text)
    if tracked is None:
        return []
    name = _tracked_name(screen, tracked)
    samples = list(_SAMPLE.finditer(screen.text))
    if samples:
        last = samples[-1]
        return _far_off(screen.at(last.start()), last.group(1), name)
    failed = list(_NO_SAMPLE.finditer(screen.text))
    return [_seen(screen.at(one.start()), code=to_code(one.group(1)), name=name) for one in failed if _is_failure(one.group(1))]


def _tracked_name(screen: Screen, tracked: re.Match[str]) -> str | None:
    """The source that a sentence names before its address: a word of the sentence may stand between them."""
    name = tracked.group(1)
    if "." in name:
        return name
    before = screen.at(tracked.start()).text.partition("[")[0]
    dotted = _TRACKED_BEFORE.findall(before)
    if dotted:
        return str(dotted[-1])
    # `Tracking dc1 [...]` names it last, `dc1 wird verfolgt [...]` first.
    return name if len(before.split()) < 3 else None


def _far_off(piece: Piece, offset: str, name: str | None) -> list[Observation]:
    if abs(float(offset.replace(",", "."))) <= _OFF_S:
        return []
    return [_seen(piece, marker="clock_off", name=name)]


def _monitored(screen: Screen) -> list[Observation]:
    seen: list[Observation] = []
    for found in islice(_MONITORED.finditer(screen.text), _MOST):
        names = _TRACKED.findall(screen.text[max(0, found.start() - 300) : found.start()])
        if not names:
            continue
        piece = screen.at(found.start())
        if found.group(1):
            seen += _far_off(piece, found.group(1), names[-1])
            continue
        code = 0x800705B4 if found.group(2) == "ERROR_TIMEOUT" else to_code(found.group(2))
        seen.append(_seen(piece, marker=None if code else "time_source_failed", code=code, name=names[-1]))
    return seen


# --- what a call ended with ---


def _is_failure(text: str) -> bool:
    code = to_code(text)
    return code is not None and bool(code & 0x80000000)


def _command_results(screen: Screen) -> list[Observation]:
    seen: list[Observation] = []
    for index, piece in enumerate(screen.pieces):
        command = _COMMAND.search(piece.text)
        if command is None or command.group(1).lower() in ("stripchart", "monitor"):
            continue
        answer = _answer(screen, index)
        code = next((found.group(1) for one in answer if (found := _CODE.search(one.text))), None)
        asks_source = "/source" in command.group(2).lower()
        if code is not None:
            line = next(one for one in answer if code in one.text)
            seen.append(_seen(line, code=to_code(code), name="W32Time"))
        elif asks_source and answer and _OWN_CLOCK.match(answer[0].text):
            seen.append(_seen(answer[0], marker="clock_runs_free", name=answer[0].text))
    return seen


def _answer(screen: Screen, index: int) -> list[Piece]:
    """What a call wrote, up to the next prompt."""
    answer: list[Piece] = []
    for piece in screen.pieces[index + 1 : index + 9]:
        if piece.is_prompt or _COMMAND.search(piece.text):
            break
        answer.append(piece)
    return answer
