# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: what SFC writes to a console: a share of progress and one sentence, translated but for the path of the log."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..observation import FAILED, OK, Observation
from .console_screen import Piece, Screen
from .records import Collector

# Lines between the begin of a scan and its result; how much of a sentence is read.
_SAME_RUN, _SENTENCE = 15, 220
_SFC = re.compile(r"Windows\s{1,3}Resource\s{1,3}Protection\s{1,3}((?:found|did|could)\b[^.]{1,160})\.?", re.I)
_SFC_RESULTS = (
    ("but was unable to fix", FAILED, "sr_cannot_repair"),
    ("and successfully repaired", OK, "sr_repaired"),
    ("did not find any integrity", OK, "sr_repaired"),
    ("could not perform", FAILED, "sfc_could_not_run"),
    ("could not start the repair", FAILED, "sfc_no_service"),
)
# Where it found nothing, or could not work, it names no log: the sentence is all there is. Accents are lost on the way through code pages.
_SFC_SENTENCES = (
    (re.compile(r"keine Integrit.{1,3}tsverletzungen gefunden"), OK, "sr_repaired"),
    (re.compile(r"no encontr.{1,3} ninguna infracci.{1,3}n de integridad"), OK, "sr_repaired"),
    (re.compile(r"aucune violation d.{1,3}int.{1,3}grit"), OK, "sr_repaired"),
    (re.compile(r"b.{1,3}t.{1,3}nl.{1,3}k ihlali (?:bulamad|ile kar)"), OK, "sr_repaired"),
    (re.compile(r"recursos de Windows no pudo realizar"), FAILED, "sfc_could_not_run"),
    (re.compile(r"Windows Kaynak Korumas.{1,3} istenen i.{1,3}lemi ger.{1,3}ekle"), FAILED, "sfc_could_not_run"),
)
# As it calls itself, whatever code page has made of it.
_SFC_NAMES = re.compile(
    r"Windows-Ressourcenschutz|protection des ressources Windows|Protecci.{1,3}n de recursos de Windows|Prote.{1,5}o de Recursos do Windows"
    r"|Protezione risorse (?:di )?Windows|Windows-bronbescherming|Ochrona zasob.{1,3}w systemu Windows|Windows resursskydd"
    r"|Windows Kaynak Korumas|Ochrana prost.{1,3}edk.{1,3} syst.{1,3}mu Windows"
    r"|\u0417\u0430\u0449\u0438\u0442\u0430 \u0440\u0435\u0441\u0443\u0440\u0441\u043e\u0432 Windows"
    r"|Windows ?\u8d44\u6e90\u4fdd\u62a4|Windows ?\u8cc7\u6e90\u4fdd\u8b77|Windows ?\u30ea\u30bd\u30fc\u30b9\u4fdd\u8b77",
    re.I,
)
_SFC_DAMAGE = re.compile(
    r"besch.{1,3}dig|corromp|corrupt|da\u00f1ad|endommag|danneggiat|uszkodzon|bozuk|po.kozen|skadad|\u043f\u043e\u0432\u0440\u0435\u0436\u0434"
    r"|\u635f\u574f|\u640d\u6bc0|\u7834\u640d", re.I
)
# In a language that is not known: that it ran, no more.
_SFC_RAN = re.compile(r"> ?sfc(?:\.exe)?[\"']? {1,3}/(?:scannow|verifyonly|scanfile|verifyfile)", re.I)
_SFC_BEGINS = re.compile(r"Beginning (?:system scan|verification)|^(?:[^\s<>|]{0,200}> ?)?sfc(?:\.exe)? /", re.I)
_FULL = re.compile(r"100 ?%|% ?100\b")
_SHARE = re.compile(r"\b[0-9]{1,3} ?%|% ?[0-9]{1,3}\b")
_RAN_LINES, _MOST_LINES = 60, 500
_SFC_PENDING = re.compile(
    r"There\s{1,3}is\s{1,3}a\s{1,3}system\s{1,3}repair\s{1,3}pending\b[^.]{1,80}|Es\s{1,3}steht\s{1,3}eine\s{1,3}Systemreparatur\s{1,3}aus\b[^.]{1,80}"
)
# SFC names the log without percent signs, then an example of it, only where files were damaged.
_SFC_LOG = re.compile(r"windir%?\\Logs\\CBS\\CBS\.log.{0,80}?[A-Z]:\\Windows\\Logs\\CBS\\CBS\.log", re.I | re.S)
# Whether all was repaired stands in words alone. A text in none of these languages says that files were damaged, no more.
_SFC_LEFT = (
    "einige der Dateien jedoch nicht", "konnte einige", "konnte jedoch einige", "no pudo", "n'a pas ", "n\u2019a pas ",
    "mas n\u00e3o ", "ma non ", "maar kan ", "men kunne ",
    "\u043d\u043e \u043d\u0435 ", "ale nie ", "ale nepoda", "ancak ",
    "\u65e0\u6cd5\u4fee\u590d", "\u7121\u6cd5\u4fee\u5fa9", "\u4fee\u5fa9\u3067\u304d\u307e\u305b\u3093",
)  # fmt: skip
_SFC_DONE = (
    "erfolgreich repariert", "los repar\u00f3", "les a r\u00e9par", "reparou", "li ha corr", "li ha ripar", "gerepareerd",
    "\u0443\u0441\u043f\u0435\u0448\u043d\u043e", "pomy\u015blnie", "ba\u015far\u0131yla",
    "\u6210\u529f\u4fee\u590d", "\u6b63\u5e38\u306b\u4fee\u5fa9",
)  # fmt: skip


# `You must be an administrator running a console session in order to use the sfc utility.` below its call, in any language.
_CALL = re.compile(r"(?:^|[> ])sfc(?:\.exe)?[\"']? {1,3}/\w", re.I)
_ADMINISTRATOR = re.compile(
    r"administr|amministr|\u0430\u0434\u043c\u0456?\u0438?\u043d\u0438\u0441\u0442\u0440|\u7ba1\u7406\u5458"
    r"|\u7cfb\u7d71\u7ba1\u7406|\u7ba1\u7406\u8005|j\u00e4rjestelm\u00e4nvalvoj|rendszergazd|y\u00f6netici",
    re.I,
)
_SFC_NAMED = re.compile(r"(?<![\w/\\])sfc(?![\w/\\:])", re.I)
_REFUSED_BELOW = 4
# `Restart Windows and run sfc again.` below its call and its first line, in any language but English, whose own sentence is known: of all
# that SFC writes, this and the refusal alone name it.
_AGAIN = re.compile(r"(?<![a-z])Windows(?![a-z])[^/\\\n]{0,60}?(?<![a-z0-9/\\.-])sfc(?![a-z0-9/\\:-]| {1,3}/)", re.I)
_ENGLISH = re.compile(r"\b(?:again|ran|run|the)\b", re.I)
_PENDING_BELOW, _LONGEST_LINE = 6, 160


def is_sfc(screen: Screen) -> bool:
    """Whether SFC wrote to this console."""
    if _refusal(screen) is not None:
        return True
    if _sfc_english(screen):
        return True
    if any(True for _said in _sfc_said(screen)) or _sfc_ran(screen) or _sfc_translated(screen):
        return True
    if _SFC_LOG.search(screen.text) is not None or _SFC_PENDING.search(screen.text) is not None:
        return True
    return any(True for _piece in _pending_translated(screen))


def _sfc_ran(screen: Screen) -> bool:
    """Whether its command stands at a prompt and a share of a hundred percent below it."""
    for index, piece in enumerate(screen.pieces):
        if _SFC_RAN.search(piece.text):
            below = screen.pieces[index + 1 : index + _RAN_LINES]
            return any(_FULL.search(one.text) for one in below)
    return False


def _sfc_said(screen: Screen) -> Iterator[tuple[Piece, str, str]]:
    """What it says below a share of a hundred percent; a text that says what to wait for has none."""
    for pattern, outcome, marker in _SFC_SENTENCES:
        for found in pattern.finditer(screen.text):
            index = screen.index_at(found.start())
            if any(_SHARE.search(piece.text) for piece in screen.pieces[max(0, index - 6) : index + 1]):
                yield screen.pieces[index], outcome, marker


def _sfc_translated(screen: Screen) -> list[tuple[int, str, str]]:
    """The sentences of a result in another language that name damage; of several, as a text that explains has, those below a scan."""
    told = []
    for found in _SFC_NAMES.finditer(screen.text):
        words = screen.text[found.start() : found.start() + _SENTENCE]
        if not _SFC_DAMAGE.search(words) or screen.is_supposed(found.start()):
            continue
        result = next(((FAILED, "sr_cannot_repair") for said in _SFC_LEFT if said in words), None)
        result = result or next(((OK, "sr_repaired") for said in _SFC_DONE if said in words), None)
        if result is not None:
            told.append((found.start(), *result))
    if len(told) < 2:
        return told
    return [one for one in told[:_MOST_LINES] if _is_below_a_scan(screen, screen.index_at(one[0]))]


def _sfc_english(screen: Screen) -> list[tuple[int, str, str, str]]:
    """Where SFC says in English what it found: offset, outcome, marker, sentence.

    A text that explains quotes several results, and none stands below a share or the begin of a scan.
    """
    said = [
        (found.start(), *result, found.group(0))
        for found in _SFC.finditer(screen.text)
        if (result := _sfc_result(found.group(1))) and not screen.is_supposed(found.start())
    ]
    if len({sentence.split(".")[0][:60].lower() for _at, _outcome, _marker, sentence in said}) < 2:
        return said
    places = {at: screen.index_at(at) for at, *_rest in said}
    below = {index for index in sorted(set(places.values()))[:_MOST_LINES] if _is_below_a_scan(screen, index)}
    return [one for one in said if places[one[0]] in below]


def _is_below_a_scan(screen: Screen, index: int) -> bool:
    above = screen.pieces[max(0, index - _SAME_RUN) : index + 1]
    return any(_SHARE.search(piece.text) or _SFC_BEGINS.search(piece.text) for piece in above)


def _sfc_result(words: str) -> tuple[str, str] | None:
    plain = " ".join(words.split()).lower()
    return next(((outcome, marker) for part, outcome, marker in _SFC_RESULTS if part in plain), None)


def _refusal(screen: Screen) -> Piece | None:
    """What SFC wrote when it was called without rights, where that was its last call."""
    calls = [index for index, piece in enumerate(screen.pieces) if _CALL.search(piece.text)]
    below = screen.pieces[calls[-1] + 1 : calls[-1] + 1 + _REFUSED_BELOW] if calls else []
    return next((piece for piece in below if _SFC_NAMED.search(piece.text) and _ADMINISTRATOR.search(piece.text)), None)


def _pending_translated(screen: Screen) -> Iterator[Piece]:
    """Where SFC, below its call and before any share of progress, asks for a restart in another language."""
    for index, piece in enumerate(screen.pieces):
        if not _SFC_RAN.search(piece.text):
            continue
        for below in screen.pieces[index + 2 : index + 1 + _PENDING_BELOW]:
            if below.is_prompt or _SHARE.search(below.text) or len(below.text) > _LONGEST_LINE:
                break
            if _AGAIN.search(below.text) and not (_ADMINISTRATOR.search(below.text) or _ENGLISH.search(below.text)):
                yield below
                break


def _pending(screen: Screen, out: Collector) -> None:
    """That a repair waits for a restart."""
    said = [(screen.at(found.start()), found.group(0)) for found in _SFC_PENDING.finditer(screen.text)]
    said = said or [(piece, piece.text) for piece in _pending_translated(screen)]
    for piece, line in said:
        out.add(Observation("sfc", "store", place=piece.place, channel=out.channel, marker="sfc_repair_pending", line=line))


def sfc(screen: Screen, out: Collector) -> None:
    """Read what SFC found."""
    told: set[int] = set()
    refusal = _refusal(screen)
    if refusal is not None:
        marker, line = "not_elevated", refusal.text
        out.add(Observation("console", "tool", place=refusal.place, channel=out.channel, marker=marker, name="SFC", line=line))
    for offset, outcome, marker, sentence in _sfc_english(screen):
        piece = screen.at(offset)
        told.add(screen.index_at(offset))
        out.add(Observation("sfc", "store", outcome, place=piece.place, channel=out.channel, marker=marker, line=sentence))
    for piece, outcome, marker in _sfc_said(screen):
        out.add(Observation("sfc", "store", outcome, place=piece.place, channel=out.channel, marker=marker, line=piece.text))
    for offset, outcome, marker in _sfc_translated(screen):
        piece = screen.at(offset)
        told.add(screen.index_at(offset))
        out.add(Observation("sfc", "store", outcome, place=piece.place, channel=out.channel, marker=marker, line=piece.text))
    _pending(screen, out)
    for found in _SFC_LOG.finditer(screen.text):
        index = screen.index_at(found.start())
        if not any(index - _SAME_RUN <= other <= index for other in told):
            _translated(screen, found, out)


def _translated(screen: Screen, found: re.Match[str], out: Collector) -> None:
    """Damaged files, in another language: what came of them stands in the sentence before the path of the log."""
    index = screen.index_at(found.start())
    words = " ".join(piece.text for piece in screen.pieces[max(0, index - 6) : index + 1])[-800:]
    outcome, marker = FAILED, "sr_damaged"
    if any(part in words for part in _SFC_LEFT):
        marker = "sr_cannot_repair"
    elif any(part in words for part in _SFC_DONE):
        outcome, marker = OK, "sr_repaired"
    piece = screen.pieces[index]
    shown = screen.pieces[max(0, index - 1)].text if len(piece.text) < 60 else piece.text
    out.add(Observation("sfc", "store", outcome, place=piece.place, channel=out.channel, marker=marker, line=shown))
