# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: what people copy from the windows of Windows Update: its history, the details of one update, the sentence of an event; and
what tools list of it: Get-WUHistory, and the results of win_updates.

Words are translated. What is not: a code at the end of the line below a title, and a title behind a code (`0x80070643: TITLE (KB...)`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from .. import hresult
from ..observation import FAILED, OK, STARTED, Observation, changed
from .records import ANSWERS, Collector, clean, each_line, is_failure, kb_of, only_kb, outcome_of_failure, part, title_of, to_code

_MARKS = str.maketrans("\u202f\u00a0", "  ", "\u200b\u200e\u200f\u202a\u202b\u202c\ufeff")
# `Failed to install on 1/10/2024 - 0x80070643`, `Install error - 0x80070643`.
# The window of Windows 11: a sentence, and behind its colon the code in brackets. A quotation ends behind it.
_ENDS_IN_CODE = re.compile(
    r"[^\W\d_].{2,160}?(?:\s[-\u2013\u2014:]\s?\(?|[:\uff1a] ?\()(0x(?:[89c]|e(?=0000))[0-9a-f]{7})\)?[.)`\"'*]{0,4}\s{0,4}$", re.I
)
# `2031-02 Cumulative Update for ... (KB5099001) - Error 0x8000ffff`: a title as Windows writes it, and the code on its line.
_DATED_WITH_CODE = re.compile(
    r"[0-9]{4}-[0-9]{2} [^\W\d_].{5,200}\(KB[0-9]{6,8}\)(?: \([0-9.]{3,12}\))? ?[-\u2013\u2014:\uff1a] ?(?:[^\W\d_]{3,12} )?"
    r"\(?(0x[89c][0-9a-f]{7})\)?[.`\"'*]{0,4}\s{0,4}$", re.I
)
# `Error details: Code 80070643`.
_DETAIL = re.compile(r"\s{0,8}[^\W\d_][^:\uff1a\n]{3,40}[:\uff1a]\s?[^\W\d_]{3,12} (?:0x)?([89c][0-9a-f]{7})\s{0,4}$", re.I)
_A_DATE = re.compile(r"[0-9]{1,4}[-/.] ?[0-9]{1,2}[-/.] ?[0-9]{1,4}\.?$")
_INSTALLED = re.compile(
    r"Successfully installed|Erfolgreich installiert|Installation r.{1,2}ussie|Se instal.{1,2} correctamente|Instalado com", re.I
)
_DOWNLOAD = re.compile(r"download|herunterlad|t.{1,2}l.{1,2}charge|descarga|scaric", re.I)
_TITLE = re.compile(r"\b(?:Windows|Microsoft|Office|\.NET|Defender|Server|Update)\b|\(KB[0-9]{6,8}\)", re.I)
# By whether it was a search.
_LAYERS = {True: "scan", False: "install"}
_NETWORK_AREAS = ("network", "proxy", "protocol", "time_tls", "policy_wsus")
# A title within a sentence: `... this update (2031-02 Cumulative Update ... (KB5099001)).`
_DATED_TITLE = re.compile(r"[0-9]{4}-[0-9]{2} [A-Z].{5,160}?\(KB[0-9]{6,8}\)")
# A title on the line of its result.
_OWN_TITLE = re.compile(r".{5,220}\(KB[0-9]{6,8}\)")
_TITLE_ABOVE, _DETAILS_BELOW, _WHAT_FAILED = 2, 8, 40
# A sentence of an event, with the blanks gone in which a console or a ticket has wrapped it.
_SENTENCE = re.compile(
    r"(?<=[^\W\d_])(0x[89c][0-9a-f]{7})[:\uff1a](?=[^:]{0,200}(?:Windows|\.NET|Microsoft|Office))([^;]{3,250}?)\((KB[0-9]{6,8})\)", re.I
)
_ENGLISH = re.compile(r"failed to install the following update with error (0x[89c][0-9a-f]{7}): ([^\r\n]{3,250})", re.I)
# Events 3 of Servicing and of WUSA, in English.
_PACKAGE = re.compile(r"\bPackage (\w[\w.~-]{3,160}) failed to be changed to the Installed state\. Status: (0x8[0-9a-f]{7})", re.I)
_PACKAGE_GOOD = re.compile(r"\bPackage (\w[\w.~-]{3,160}) was successfully changed to the Installed state", re.I)
_WUSA = re.compile(
    r"\bWindows update ([^\r\n]{0,200}?) ?could not be installed \*{0,2}because of error ([0-9]{4,10})\b"
    r"((?:(?!Windows update )[^\r\n]){0,400})", re.I
)
# What the update agent calls the end of a task (OperationResultCode): succeeded; failed, aborted.
_TASKS = {"download_result": "download", "install_result": "install"}
_SUCCEEDED, _NOT_ENDED_WELL, _LONGEST_TITLE = 2, (4, 5), 300
_ENGLISH_GOOD = re.compile(r"successfully installed the following update: ([^\r\n]{3,250})", re.I)
# The window of Windows 7 lists codes alone; the one of Windows 10 sets the code behind a sentence that says where to ask.
_WINDOW_7 = re.compile(r"^[ \t]{0,8}C[^\W\d_]{3,6} (?:0x)?([89c][0-9a-f]{7})[ \t]{1,12}(?=.{0,100}Windows Update)", re.I | re.M)
_WINDOW_10 = re.compile(
    r"(?:contact support|search the web|im Web suchen|den Support|sur le Web|contacter le support|en la Web|soporte t.{1,2}cnico)"
    r".{0,120}?[:\uff1a] ?\((0x[89c][0-9a-f]{7})\)", re.I
)
_SEARCHING = re.compile(
    r"could not search|checking for|konnte nicht nach|rechercher de nouvelles|no pudo buscar|connect to the update service", re.I
)
# The window of set-up: `0xC1900101 - 0x20017`, and what no language translates below it, or what it begins with.
_UPGRADE = re.compile(r"(?<![0-9a-z])(0x[89c][0-9a-f]{7}) ?[-\u2013\u2014] ?(0x[1-9][0-9a-f]{4})(?![0-9a-z])", re.I)
_PHASE = re.compile(r"\b(?:SAFE_OS|FIRST_BOOT|SECOND_BOOT|OOBE_BOOT|INSTALL_UPDATES|PREPARE_\w{3,20})\b")
_NOT_INSTALLED = re.compile(r"(?:couldn.?t|could not|unable to|cannot|failed to) install|installation (?:has )?failed", re.I)
_PHASE_NEAR = 250
# `PC01  Installation  Failed  1/11/2024 3:12:44 ...  TITLE`: PSWindowsUpdate translates none of it.
_HISTORY = re.compile(
    r"^\S{1,63}[ \t]{1,20}Installation[ \t]{1,20}(Succeeded|Failed)[ \t]{1,20}[0-9][0-9./: -]{5,22}\S{0,4}[ \t]{1,8}(\S.{3,300})$", re.M
)
_RESULTS = {"Succeeded": "", "Failed": "install_failed"}
# `3  PC01  Failed  KB5034439  22MB  TITLE`: what Install-WindowsUpdate shows at work, the step first; behind what a wrapper writes.
_AT_WORK = re.compile(
    r"^(?:[^\n]{0,80}[ \t])?([23])[ \t]{1,8}(?:\S{1,63}[ \t]{1,20})?(Installed|Failed|Aborted)[ \t]{1,20}"
    r"(?:KB[0-9]{6,8}[ \t]{1,12})?[0-9]{1,5} ?[KMG]?B[ \t]{1,8}(\S[^\n]{3,300})$",
    re.M,
)
_STEPS = {"2": "download", "3": "install"}
# An update in the result of ansible.windows.win_updates.
_OBJECT = re.compile(r"\{[^{}]{0,4000}\}")
_OF_OBJECT = re.compile(r"\"(title|failure_hresult_code|installed)\"\s{0,4}:\s{0,4}(?:\"((?:[^\"\\]|\\.){0,400})\"|(\w{1,12}))")
# Microsoft's sample script of the update agent and its offspring list results at the end: `1> TITLE: 2`, or `Item: TITLE`, `Result: 2` on
# two lines; of some a table of codes and results stands above, in the same order. A build sets its own name before each line.
_OF_SAMPLE = "individual installation results"
_ITEM = re.compile(
    r"^(?:[^\n]{1,60}: )??(?:[0-9]{1,3}> (?P<title>[^\n]{4,250}?): (?P<result>[0-5])"
    r"|Item: (?P<item>[^\n]{4,250})\n(?:[^\n]{1,60}: )??Result: (?P<ended>[0-5]))[ \t\r]{0,4}$", re.M
)
_CODE_ROW = re.compile(r"^(?:[^\n]{1,60}:)?[ \t]{1,20}(-?[0-9]{1,10})[ \t]{1,20}[0-5][ \t\r]{0,4}$", re.M)
# What programs say once, of all that they installed.
_OWED = re.compile(r"\bReboot Required: True\b|\"reboot_required\"\s{0,4}:\s{0,4}true\b", re.I)
_MOST, _MAX_TEXT = 200, 400_000


_Way = Callable[[str], Iterator["_Said"]]


class _Said(NamedTuple):
    place: int
    code: int | None
    layer: str
    title: str
    line: str
    marker: str = ""
    name: str | None = None


def is_update_screen(sample: str, _name: str) -> bool:
    """Whether an update is named beside what came of it; of a mere success only the tables of programs are believed."""
    way, said = _found(sample[:_MAX_TEXT])
    return any(one.code is not None or one.marker for one in said) or (way in _TABLES and bool(said))


def update_screen(text: str, out: Collector) -> None:
    """Read each update and what came of it. Lists have the newest first."""
    way, said = _found(text[:_MAX_TEXT])
    told = [_seen(one, out.channel) for one in said]
    for seen in told:
        out.add(seen)
    good = [seen for seen in told if seen.ok]
    if good and way in _TABLES and _OWED.search(text):
        # It is said once, of all that went in.
        newest = max(good, key=lambda seen: seen.place or 0)
        out.add(changed(newest, outcome=STARTED, marker="restart_owed"))


def _seen(one: _Said, channel: str | None) -> Observation:
    title = clean(one.title).rstrip(" .") or None
    seen = Observation("screen", one.layer, OK, place=-one.place, channel=channel, title=title, kb=kb_of(title), line=one.line)
    if one.marker in ANSWERS.values():
        return changed(seen, outcome=FAILED, marker=one.marker, related=tuple(filter(None, (one.code,))))
    if one.marker:
        return changed(seen, outcome=FAILED, marker=one.marker, code=one.code, name=one.name)
    if one.code is not None:
        return changed(seen, outcome=outcome_of_failure(one.layer, one.code), code=one.code)
    return seen


def _found(text: str) -> tuple[_Way, list[_Said]]:
    """The first way in which a text tells anything, and what it tells."""
    text = text.translate(_MARKS)
    for way in _WAYS:
        said = list(islice(way(text), _MOST))
        if said:
            return way, said
    return _upgrades, []


def _objects(text: str) -> Iterator[_Said]:
    if "failure_hresult_code" not in text and "found_update_count" not in text:
        return
    for place, found in enumerate(_OBJECT.finditer(text)):
        values = {key: quoted or bare for key, quoted, bare in _OF_OBJECT.findall(found.group(0))}
        title, code = values.get("title", ""), to_code(values.get("failure_hresult_code"))
        if title and is_failure(code):
            yield _Said(place, code, "install", title, f"{title}: {values['failure_hresult_code']}")
        elif title and values.get("installed") == "true":
            yield _Said(place, None, "install", title, f"{title}: installed")


def _tasks(text: str) -> Iterator[_Said]:
    """The progress of win_updates, a JSON object a line: what was found by its id, and below it what came of each."""
    if '_result"' not in text or '"result_code"' not in text:
        return
    titles: dict[str, str] = {}
    # Whole lines: one holds all that was found.
    for place, line in enumerate(text.split("\n"), 1):
        task, rows = _task(line)
        for row in rows:
            if task == "search_result":
                titles[str(row.get("id"))] = str(row.get("title") or "")[:_LONGEST_TITLE]
            elif task in _TASKS:
                yield from _ended(-place, task, row, titles.get(str(row.get("id")), ""))


def _task(line: str) -> tuple[str, list[dict[str, Any]]]:
    """The name of a task and the updates that it tells of."""
    if not line.startswith("{") or '"task"' not in line:
        return "", []
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        return "", []
    result = told.get("result")
    rows = [result.get("updates"), result.get("info")] if isinstance(result, dict) else []
    found = next((part for part in rows if isinstance(part, list)), [])
    return str(told.get("task")), [row for row in found if isinstance(row, dict)]


def _ended(place: int, task: str, row: dict[str, Any], title: str) -> Iterator[_Said]:
    layer, result, code = _TASKS[task], row.get("result_code"), to_code(str(row.get("hresult")))
    line = f"{title or 'an update'}: result_code {result}, hresult {row.get('hresult')}"
    if title or result != _SUCCEEDED:
        yield from _as_the_agent_says(_Said(place, code, layer, title, line), result)


def _as_the_agent_says(one: _Said, result: object) -> Iterator[_Said]:
    """What an OperationResultCode makes of an update: its code counts where it failed, and is not always told."""
    if result == _SUCCEEDED:
        yield one._replace(code=None)
    elif result in _NOT_ENDED_WELL and is_failure(one.code):
        yield one
    elif result in _NOT_ENDED_WELL:
        yield one._replace(code=None, marker=f"{one.layer}_failed")


def _history(text: str) -> Iterator[_Said]:
    for place, found in enumerate(_HISTORY.finditer(text)):
        yield _Said(place, None, "install", found.group(2).strip(), found.group(0), _RESULTS[found.group(1)])


def _sampled(text: str) -> Iterator[_Said]:
    """What the sample script lists."""
    start = text.find(_OF_SAMPLE)
    if start < 0:
        return
    items = list(_ITEM.finditer(text, start))
    codes = [to_code(code) for code in _CODE_ROW.findall(text, start, items[0].start())] if items else []
    for index, found in enumerate(items):
        title, result = found["title"] or found["item"], int(found["result"] or found["ended"])
        code = codes[index] if len(codes) == len(items) else None
        yield from _as_the_agent_says(_Said(index, code, "install", title, f"{title.strip()}: result {result}"), result)


def _at_work(text: str) -> Iterator[_Said]:
    for place, found in enumerate(_AT_WORK.finditer(text)):
        layer, marker = _STEPS[found.group(1)], ""
        if found.group(2) != "Installed":
            marker = f"{layer}_failed"
        title = found.group(3).strip()
        if not kb_of(title) and (kb := kb_of(found.group(0))):
            title = f"{title} ({kb})"
        # The newest stands last, and places are counted from the newest.
        yield _Said(-place, None, layer, title, found.group(0).strip(), marker)


def _windows(text: str) -> Iterator[_Said]:
    """Codes without an update."""
    searching = _SEARCHING.search(text) is not None
    for place, found in enumerate([*_WINDOW_7.finditer(text), *_WINDOW_10.finditer(text)]):
        code = to_code(found.group(1))
        if code is not None and is_failure(code):
            network = hresult.describe(code).area in _NETWORK_AREAS
            yield _Said(place, code, _LAYERS[searching or network], "", found.group(0))


def _upgrades(text: str) -> Iterator[_Said]:
    """A feature upgrade that set-up took back. A list of several codes explains them."""
    found = list(_UPGRADE.finditer(text))
    if len({one.group(0).lower() for one in found}) > 2:
        return
    for one in found:
        above, below = text[max(0, one.start() - _PHASE_NEAR) : one.start()], text[one.end() : one.end() + _PHASE_NEAR]
        code = to_code(one.group(1))
        if is_failure(code) and (_PHASE.search(below) or _PHASE.search(above) or _NOT_INSTALLED.search(above)):
            yield _Said(0, code, "upgrade", "", one.group(0), "final", one.group(2))


def _listed(text: str) -> Iterator[_Said]:
    """Titles, each with a line below that ends in a date or a code."""
    titles: list[tuple[int, str]] = []
    for place, raw in enumerate(each_line(text)):
        line = raw.strip()
        if not line:
            continue
        ended, detail = _ENDS_IN_CODE.match(line) or _DATED_WITH_CODE.match(line), _DETAIL.match(line)
        below = _TITLE_ABOVE
        if detail:
            below = _DETAILS_BELOW
        own = part(_OWN_TITLE.match(line), 0) or ""
        title = own or next((title for at, title in reversed(titles) if place - at <= 2 * below), "")
        found = ended or detail
        if found and title:
            code, layer = to_code(found.group(1)), "install"
            # Further on the window of Windows 11 says that it will download again.
            if ended and _DOWNLOAD.search(line[len(own) :][:_WHAT_FAILED]):
                layer = "download"
            if is_failure(code):
                yield _Said(place, code, layer, title, f"{title}: {line[len(own):].strip()}")
        elif title and not own and _INSTALLED.search(line) and _A_DATE.search(line):
            yield _Said(place, None, "install", title, f"{title}: {line}")
        elif len(line) <= 250 and kb_of(line) and _TITLE.search(line):
            titles = [*titles[-3:], (place, part(_DATED_TITLE.search(line), 0) or line)]


def _titled_below(text: str) -> Iterator[_Said]:
    """One code, and right below it the one title of a text: copied from the top of the window."""
    lines = [line.strip() for line in each_line(text) if line.strip()]
    ended = [(place, found) for place, line in enumerate(lines) if (found := _ENDS_IN_CODE.match(line))]
    titles = [place for place, line in enumerate(lines) if _OWN_TITLE.match(line) and _TITLE.search(line)]
    if len(ended) != 1 or titles != [ended[0][0] + 1]:
        return
    line, title = lines[ended[0][0]], lines[titles[0]]
    layer = "download" if _DOWNLOAD.search(line[:_WHAT_FAILED]) else "install"
    yield _Said(0, to_code(ended[0][1].group(1)), layer, title, f"{title}: {line}")


def _packages(text: str) -> Iterator[_Said]:
    """Sentences of events about packages; of one that went in later, or before, nobody knows which counts."""
    good = {found.group(1) for found in _PACKAGE_GOOD.finditer(text)}
    for found in _PACKAGE.finditer(text):
        if found.group(1) not in good:
            yield _Said(0, to_code(found.group(2)), "install", kb_of(found.group(1)) or found.group(1), found.group(0))
    ended = list(_WUSA.finditer(text))
    for found in ended:
        code = to_code(found.group(2))
        kb = kb_of(f"{found.group(1)} {found.group(3)}".replace("-", " "))
        if kb is None and len(ended) == 1:
            kb = only_kb(text)
        if code in ANSWERS:
            yield _Said(0, code, "install", kb or found.group(1).strip(), found.group(0), ANSWERS[code])
        elif is_failure(code):
            yield _Said(0, code, "install", kb or found.group(1).strip(), found.group(0))


def _sentences(text: str) -> Iterator[_Said]:
    """Sentences of events without a head: which was first is not known, and who tries again after a success is rare."""
    told: set[tuple[int | None, str]] = set()
    for found in _ENGLISH.finditer(text):
        title = title_of(f": {found.group(0)}") or found.group(2)
        kb = kb_of(title)
        if kb or _TITLE.search(title):
            told.add((to_code(found.group(1)), kb or title))
            yield _Said(0, to_code(found.group(1)), "install", title, found.group(0))
    for found in _SENTENCE.finditer(re.sub(r"\s+", "", text)):
        code, kb = to_code(found.group(1)), found.group(3).upper()
        if (code, kb) not in told:
            told.add((code, kb))
            yield _Said(0, code, "install", kb, f"{found.group(1)}: {kb}")
    yield from _packages(text)
    for title in dict.fromkeys(found.group(1) for found in _ENGLISH_GOOD.finditer(text)):
        # Places are counted from the newest.
        yield _Said(-1, None, "install", title.rstrip(' ".'), f"successfully installed the following update: {title}")


# What programs write comes before what people write.
_TABLES: tuple[_Way, ...] = (_objects, _tasks, _history, _sampled, _at_work)
_WAYS: tuple[_Way, ...] = (_objects, _tasks, _history, _sampled, _listed, _titled_below, _sentences, _at_work, _windows, _upgrades)
