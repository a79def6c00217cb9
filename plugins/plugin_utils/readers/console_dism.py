# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: what DISM writes to a console.

Banner, its version, the image's version, a line for what is at work (packages and features alone), a bar, then either a code and
the path of its log, or a sentence of success. All of it is translated but the numbers, the code and the path.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .. import hresult
from ..observation import FAILED, OK, Observation, changed
from .console_screen import Piece, Screen
from .records import Collector, kb_of, part, to_code
from .stack import NO_SOURCE, SOME_FEATURE, layer_of

_BANNER = re.compile(r"Deployment Image Servicing and Management tool", re.I)
_HEADED = re.compile(_BANNER.pattern + r"\s{1,80}\w{2,20}: ?(?:6|10)\.[0-9]", re.I)
_VERSION = re.compile(r"[^:\uff1a\d]{2,60}[:\uff1a][ \u00a0]{0,2}(?:6|10)\.[0-9]{1,2}\.[0-9]{4,5}\.[0-9]{1,5}$")
_VERSIONS = re.compile(
    r"[:\uff1a][ \u00a0]{0,2}(?:6|10)\.[0-9]{1,2}\.[0-9]{4,5}\.[0-9]{1,5}\s{1,80}"
    r"[^:\uff1a\d\n]{2,60}[:\uff1a][ \u00a0]{0,2}(?:6|10)\.[0-9]{1,2}\.[0-9]{4,5}\.[0-9]{1,5}"
)
_BAR = re.compile(r"\[=*[ \u00a0]{0,60}([0-9]{1,3})[.,][0-9][ \u00a0]?%[ \u00a0]{0,60}=*[ \u00a0]{0,60}\]")
_LOG = re.compile(r"[\\/]dism[^\\/:*?\"<>|\n]{0,40}\.log\b", re.I)
# `Error: 0x800f081f`, `Erreur : 0x800f081f`, `错误: 0x800f081f`; a Windows error is decimal: `Error: 3017`.
_LABEL = r"([^\W\d_]{1,16})[ \u00a0]?[:\uff1a][ \u00a0]{0,2}"
_HEX = re.compile(_LABEL + r"(0x[8c][0-9a-f]{7})(?![0-9a-z]| ?\()", re.I)
_DECIMAL = re.compile(_LABEL + r"([0-9]{1,5})$")
# Who tells of a call writes a word before what it ended with: `Result: Error: 0x800f081f`.
_TOLD = re.compile(_LABEL + r"(?=" + _LABEL + r"0x[8c][0-9a-f]{7}\.?$)", re.I)
# A program that calls DISM may log the arguments alone.
_COMMAND = re.compile(
    r"\b(?:dism(?:\.exe)?[\"']?|Arguments:(?= {1,40}/(?:online|image)))"
    r"((?:[ \u00a0]{1,40}[/-][^\s\]]{1,300}(?:[ \u00a0]\"[^\"]{1,200}\")?){1,12})",
    re.I,
)
_PACKAGE = re.compile(r"(?<![\w~.-])([A-Za-z][\w.-]{3,120}~[0-9a-f]{16}~[\w.~-]{0,80})")
# `Processing 2 of 3 - Lab-Package: The specified package is not valid ...`: nothing else writes so, and here is the name.
_PROCESSED = re.compile(r"^Processing [0-9]{1,4} of [0-9]{1,4} - (?:\w+ package )?([\w.~-]{3,160})")
_FEATURE = re.compile(r"[/-](?:featurename|capabilityname)[:=][\"']?([\w.~-]{1,120})", re.I)
_PACKAGE_PATH = re.compile(r"[/-]packagepath[:=][\"']?(?:[^\"'\s]{0,200}[\\/])?([^\s\"'\\/]{1,160})", re.I)
# The last part of a path: the driver's file, or the folder of drivers.
_DRIVER = re.compile(r"[/-]driver:[\"']?(?:[^\"'\s]{0,200}[\\/])?([\w. ()-]{1,80})", re.I)
# `Installing 2 of 9 - D:\Lab\x.inf: The driver package was successfully installed.`, in any language: two counts and the driver's file.
_DRIVER_AT_WORK = re.compile(
    r"[^\d\\:]{0,30}[0-9]{1,4}[^\d\\:]{1,12}[0-9]{1,4}[^\d\\:]{0,40}?[-\u2013] ?"
    r"(?:[A-Z]:)?([^:*?\"<>|]{1,300}\.inf)(?: ?[:\uff1a](.{0,200})|$)",
    re.I,
)
_DRIVERS_SOUGHT = re.compile(
    r"\bdriver packages?\b|Treiberpaket|packages? de pilotes|paquetes? de controlador|pacotes? de driver|pacchett[oi] driver"
    r"|\u043f\u0430\u043a\u0435\u0442\w{0,3} \u0434\u0440\u0430\u0439\u0432\u0435\u0440"
    r"|\u9a71\u52a8\u7a0b\u5e8f\u5305|\u9a45\u52d5\u7a0b\u5f0f\u5957\u4ef6"
    r"|\u30c9\u30e9\u30a4\u30d0\u30fc ?\u30d1\u30c3\u30b1\u30fc\u30b8", re.I
)
_SOME_DRIVER = "named in dism.log"
_REPAIR = re.compile(
    r"[/-](?:cleanup-image|restorehealth|scanhealth|checkhealth|startcomponentcleanup|revertpendingactions|analyzecomponentstore)\b", re.I
)
# It lists how large the store is, and how many packages may go.
_ANALYSIS = re.compile(r"[/-]analyzecomponentstore\b", re.I)
_RESTORE = re.compile(r"[/-]restorehealth\b", re.I)
_PACKAGES = re.compile(r"[/-](?:add-package|remove-package|enable-feature|disable-feature|add-capability|remove-capability)\b", re.I)
# Of what works on an image: the folder that it is laid out in, or the file that it lies in.
_IMAGE = re.compile(
    r"(?<!\S)[/-](?:image:|(?:apply|append|capture|commit|mount|remount|split|unmount)-(?:customdataimage|ffu|image|wim)\b"
    r"|export-image\b|cleanup-(?:wim|mountpoints)\b)", re.I
)
# The file alone tells of one image and another; `/MountDir:` and `/ApplyDir:` are only the places where they are.
_IMAGE_FILE = re.compile(r"[/-](?:image|wim|source|ffu)file:[\"']?(?:[^\"'\s]{0,200}[\\/])?([^\s\"'\\/:]{1,100})", re.I)
_OFFLINE = re.compile(
    r"(?<!\S)[/-](?:image|apply-\w+|capture-\w+|mount-\w+|unmount-\w+|commit-\w+|cleanup-(?:wim|mountpoints)|export-\w+)\b", re.I
)

_ENABLE = re.compile(r"[/-]enable-feature\b(?!.{0,600}[/-]all\b)", re.I)
# What is at work where the command was not copied: `Enabling feature(s)`, `Features werden aktiviert`.
_OF_FEATURES = re.compile(
    r"feature|fonctionnalit|caracter\u00edstica|funzionalit|recurso|functie|funktion"
    r"|\u043a\u043e\u043c\u043f\u043e\u043d\u0435\u043d\u0442|\u0444\u0443\u043d\u043a\u0446\u0438|\u529f\u80fd|\u6a5f\u80fd", re.I
)
# The label of an error in the languages that people paste most; where the command is there its label does not matter.
_ERROR_LABELS = (
    "error", "fehler", "erreur", "errore", "erro", "fout", "fel", "feil", "fejl", "virhe", "chyba", "hata", "hiba", "b\u0142\u0105d",
    "\u043e\u0448\u0438\u0431\u043a\u0430", "\u043f\u043e\u043c\u0438\u043b\u043a\u0430",
    "\u9519\u8bef", "\u932f\u8aa4", "\u30a8\u30e9\u30fc", "\uc624\ub958",
)  # fmt: skip

# What only English says. Other languages have none of it, and their success is told by the structure alone.
_SAID = (
    ("No component store corruption detected", OK, "store_clean"),
    ("The restore operation completed successfully", OK, "store_repaired"),
    ("The component store corruption was repaired", OK, "store_repaired"),
    ("The component store is repairable", FAILED, "store_corrupt"),
    ("The component store cannot be repaired", FAILED, "repair_failed"),
    ("The component store is not repairable", FAILED, "repair_failed"),
)
# Without a code, in English alone.
_NOT_ENABLED = re.compile(r"The operation is complete but ([\w.-]{2,100}) feature was not enabled")
_DONE = "The operation completed successfully"
# ERROR_ELEVATION_REQUIRED; ERROR_BAD_FORMAT, with which the DISM of SysWOW64 ends before it names the version of the image.
_NOT_ELEVATED, _BAD_FORMAT = 0x800702E4, 0x8007000B
# A typing error, and a console without rights: nothing was tried.
_MISTAKES = (0x80070057, _NOT_ELEVATED)
# ERROR_NOT_SUPPORTED: a feature whose parent is off.
_PARENT_OFF = 0x80070032
# Done, and done but for a restart.
_NO_ERRORS = (0, 1641, 3010)
_FILE_NOT_FOUND = (0x80070002, 0x80070003)
# CBS_E_IMAGE_UNSERVICEABLE: a package that failed has spoiled those behind it.
_UNSERVICEABLE = 0x800F0830
# ERROR_SXS_...: errors of assemblies, the parts of the component store.
_OF_ASSEMBLIES = range(14000, 14112)
_SAME_RUN, _LONG_LINE, _ERROR_TO_LOG = 15, 200, 4
_FEATURES_ALONE = (0x800F0907, 0x800F0950, 0x800F0954)
# What these say is about a package that was to go in or out: none of them ends a repair of the store.
# CBS_E_INVALID_PACKAGE, ..._UNKNOWN_UPDATE, ..._NOT_APPLICABLE, ..._NEW_SERVICING_STACK_REQUIRED, ..._CANNOT_UNINSTALL,
# ..._INSTALLERS_FAILED.
_OF_PACKAGES = (0x800F0805, 0x800F080C, 0x800F081E, 0x800F0823, 0x800F0825, 0x800F0922, *_FEATURES_ALONE)


def is_dism(screen: Screen) -> bool:
    """Whether DISM wrote to this console. Its command alone, in a text that says to run it, is none."""
    if _VERSIONS.search(screen.text) or _BAR.search(screen.text) or _HEADED.search(screen.text):
        return True
    return _NOT_ENABLED.search(screen.text) is not None or any(run.code is not None and run.shown for run in _runs(screen))


class _Part(NamedTuple):
    """A package of a call that had several, and how it ended."""

    package: str
    code: int
    piece: Piece


@dataclass
class _Run:
    """One call of DISM: what it was for, and how it ended."""

    command: str = ""
    place: int = 0
    line: str = ""
    versions: int = 0
    percent: int = 0
    work: str = ""
    package: str = ""
    code: int | None = None
    guess: int | None = None
    guessed: int = 0
    shown: bool = False
    log: bool = False
    done: bool = False
    begun: int = 0
    last: int = 0
    said: list[tuple[str, str, Piece]] = field(default_factory=list)
    # The package that is at work, and those that have failed.
    current: str = ""
    failed: list[_Part] = field(default_factory=list)
    # The drivers of a call that adds some, each with what is said of it.
    drivers: list[tuple[str, str]] = field(default_factory=list)

    @property
    def is_foreign(self) -> bool:
        """Whether it was about an image that is not this Windows, about apps or drivers: no matter of updates."""
        if self.adds_drivers:
            return True
        if not self.command:
            return False
        return bool(_OFFLINE.search(self.command)) or not (_REPAIR.search(self.command) or _PACKAGES.search(self.command))

    @property
    def adds_drivers(self) -> bool:
        """Whether its work was drivers, also where its command was not copied: no matter of the component store."""
        return bool(self.drivers) or _DRIVERS_SOUGHT.search(self.work) is not None

    @property
    def is_repair(self) -> bool:
        """Whether it looked at the component store. Without the command: DISM names what is at work, but for a repair it names nothing."""
        if self.command:
            return _REPAIR.search(self.command) is not None
        if self.code in _OF_PACKAGES:
            return False
        return not self.work and not self.package

    @property
    def name(self) -> str | None:
        if self.package:
            return self.package
        feature = _FEATURE.search(self.command)
        if feature:
            return feature.group(1)
        needs_parent = self.code == _PARENT_OFF and _OF_FEATURES.search(self.work)
        return SOME_FEATURE if needs_parent or (self.code in NO_SOURCE and not self.is_repair) else None


def _runs(screen: Screen) -> list[_Run]:
    """The calls of DISM, in their order."""
    runs = [_Run()]
    # Of several commands that PowerShell took at once (`>> dism ...`), those that have not begun yet.
    waiting: list[tuple[str, Piece]] = []
    for index, piece in enumerate(screen.pieces):
        run = runs[-1]
        command = _COMMAND.search(piece.text)
        if command and run.command and piece.text.startswith(">>"):
            waiting.append((command.group(1), piece))
            continue
        begins = command is not None and not _BAR.search(piece.text[: command.start()])
        if begins or piece.is_prompt or _is_next(run, piece, index):
            run = _Run(begun=index, last=index)
            runs.append(run)
            if waiting and not begins and not piece.is_prompt:
                run.command, asked = waiting.pop(0)
                run.place, run.line = asked.place, asked.text
        if command:
            run.command = command.group(1)
            run.place, run.line = piece.place, piece.text
        _read(run, piece, index)
    for run in runs:
        if run.code is None and run.guess is not None and run.log and (not run.guessed or run.last - run.guessed <= _ERROR_TO_LOG):
            run.code = run.guess
    return runs


def _is_next(run: _Run, piece: Piece, index: int) -> bool:
    """Whether another call begins without a prompt: at a banner or a version after the two of the last one, or far away from it."""
    if run.versions >= 2 and (_BANNER.search(piece.text) or _VERSION.match(piece.text)):
        return True
    return bool(run.versions or run.code or run.percent) and index - run.last > _SAME_RUN


def _read(run: _Run, piece: Piece, index: int) -> None:
    text = piece.text
    shares = [int(found.group(1)) for found in _BAR.finditer(text)]
    versions = len(_VERSIONS.findall(text)) * 2 or int(bool(_VERSION.match(text)))
    log, package = _LOG.search(text), _PACKAGE.search(text)
    if versions == 1 and not run.versions and run.begun != index and not run.command:
        # The banner stands a line above the version; what stood before it was another program's.
        run.work = ""
    run.versions += versions
    if versions or shares or log or _BANNER.search(text):
        # A version by itself may stand in any text; the version of DISM and that of the image do not.
        run.last, run.shown = index, run.shown or run.versions >= 2 or not versions
    run.percent = max([run.percent, *shares])
    run.log = run.log or log is not None
    driver = _DRIVER_AT_WORK.match(text)
    if driver:
        run.last, run.shown = index, True
        run.drivers.append((driver.group(1).replace("/", "\\").rpartition("\\")[2], (driver.group(2) or "").strip()))
        return
    processed = _PROCESSED.match(text)
    if processed:
        run.last, run.shown = index, True
    package = package or processed
    if package:
        run.current = package.group(1)
    if package and (run.code is None or not run.package):
        run.package = package.group(1)
    elif run.versions >= 2 and not versions and not shares and not run.percent and run.code is None and not _is_said(text):
        run.work = run.work or text
    _read_end(run, piece, index)


def _is_said(text: str) -> bool:
    return any(words in text for words, _outcome, _marker in _SAID) or _HEX.search(text) is not None or _DECIMAL.match(text) is not None


def _read_end(run: _Run, piece: Piece, index: int) -> None:
    text = piece.text
    run.said += [(outcome, marker, piece) for words, outcome, marker in _SAID if words in text]
    if _DONE in text and run.shown:
        run.done = True
    # A row of a table explains codes.
    found = None if text.startswith("|") else _HEX.search(text)
    if found and (found.start() == 0 or run.shown) and not text[0].isdigit():
        code = to_code(found.group(2))
        if run.current and code is not None and not (code == _UNSERVICEABLE and run.failed):
            run.failed.append(_Part(run.current, code, piece))
            run.current = ""
        # The last line repeats a code.
        if run.code is None:
            run.code, run.place = code, piece.place
            run.line = text[found.start() :] if len(text) > _LONG_LINE else text
        run.last, run.shown = index, run.shown or bool(run.command)
        return
    if found and run.command and run.code is None and _TOLD.match(text):
        # Only the path of its log, a line or two below, says that DISM wrote it.
        run.guess, run.guessed, run.place, run.line = to_code(found.group(2)), index, piece.place, text
        return
    decimal = _DECIMAL.match(text)
    if decimal and run.code is None:
        code = to_code(decimal.group(2))
        if not run.shown and not run.command:
            # The end of what DISM wrote, copied alone: the number says of itself that it is one, and the path of the log stands below it.
            if int(decimal.group(2)) in _OF_ASSEMBLIES:
                run.guess, run.guessed, run.place, run.line = code, index, piece.place, text
            return
        run.place, run.line, run.last = piece.place, text, index
        run.guess, run.guessed = code, 0
        # Lists of DISM have numbers behind a label, too (`Index : 1`); only its errors end in the path of its log.
        if decimal.group(1).lower() == "error" or _is_error(run, decimal):
            run.code, run.shown = code, True


def _is_error(run: _Run, decimal: re.Match[str]) -> bool:
    """Whether a label and a number in another language than English are how DISM ended: below its head, of work that lists nothing."""
    if run.versions < 2 or int(decimal.group(2)) in _NO_ERRORS:
        return False
    if run.command:
        changes = _PACKAGES.search(run.command) or _REPAIR.search(run.command)
        return changes is not None and not _ANALYSIS.search(run.command)
    return decimal.group(1).lower() in _ERROR_LABELS


def dism(screen: Screen, out: Collector) -> None:
    """Read what DISM wrote: a call has one result."""
    broken = False
    unchanged = {found.group(1): found for found in _NOT_ENABLED.finditer(screen.text)}
    runs = [run for run in _runs(screen) if run.shown or run.said]
    for run in runs:
        refusal = _refusal(run)
        if refusal is not None and run is runs[-1]:
            marker, program = refusal
            common: dict[str, Any] = {"place": run.place, "channel": out.channel, "line": run.line}
            out.add(Observation("console", "tool", marker=marker, name=program, related=(run.code or 0,), **common))
        if refusal is not None:
            continue
        seen = _failure(run, out)
        if seen is not None:
            if seen.name == SOME_FEATURE and len(unchanged) == 1:
                seen = changed(seen, name=next(iter(unchanged)))
            for one in _each(run, seen):
                out.add(one)
                unchanged.pop(one.name or "", None)
            broken = broken or seen.layer == "store"
        if seen is not None or run.is_foreign:
            continue
        for outcome, marker, piece in run.said:
            out.add(Observation("dism", "store", outcome, place=piece.place, channel=out.channel, marker=marker, line=piece.text))
        _success(run, out, broken=broken)
    for name, found in unchanged.items():
        common = {"place": screen.at(found.start()).place, "channel": out.channel, "line": found.group(0)}
        out.add(Observation("dism", "install", marker="feature_failed", name=name, **common))


def _refusal(run: _Run) -> tuple[str, str] | None:
    """Why which DISM refused to work: nothing was tried, and nothing is known to be wrong."""
    if run.code == _NOT_ELEVATED:
        return "not_elevated", "DISM"
    if run.code == _BAD_FORMAT and run.versions < 2:
        return "wrong_dism", "the 32-bit DISM"
    return None


def _each(run: _Run, seen: Observation) -> list[Observation]:
    """What a call ended with, of each of several packages that failed."""
    if len(run.failed) < 2:
        return [seen]
    return [
        changed(
            seen,
            layer=layer_of(part.code, part.piece.text),
            place=part.piece.place,
            code=part.code,
            name=part.package,
            kb=kb_of(part.package),
            line=f"{part.package}: {part.piece.text}",
        )
        for part in run.failed
        if part.code & 0x80000000 and part.code not in _MISTAKES
    ]


def _failure(run: _Run, out: Collector) -> Observation | None:
    code = run.code
    if code is None or not run.shown or code in _MISTAKES or not code & 0x80000000:
        return None
    if _IMAGE.search(run.command) or hresult.is_image_code(code):
        named = (part(names.search(run.command)) for names in (_FEATURE, _DRIVER, _PACKAGE_PATH, _IMAGE_FILE))
        return Observation(
            "dism",
            "offline",
            place=run.place,
            channel=out.channel,
            marker="offline_image",
            related=(code,),
            name=run.package or next(filter(None, named), hresult.hex_of(code)),
            line=run.line,
        )
    if run.adds_drivers:
        name = _refused_driver(run.drivers) or _SOME_DRIVER
        return Observation(
            "console", "drivers", place=run.place, channel=out.channel, marker="driver_refused", related=(code,), name=name, line=run.line
        )
    if run.is_foreign:
        return None
    if code == _PARENT_OFF and _FEATURE.search(run.command) and not _ENABLE.search(run.command):
        # The features that it is a part of were asked for, too.
        common: dict[str, Any] = {"place": run.place, "channel": out.channel, "line": run.line}
        return Observation("dism", "install", marker="feature_failed", related=(code,), name=run.name, **common)
    layer = layer_of(code, run.line, repair=run.is_repair)
    if code in _FILE_NOT_FOUND and run.package and not run.is_repair:
        # The file of the package, which somebody named: the store misses none.
        layer = "install"
    return Observation(
        "dism",
        layer,
        place=run.place,
        channel=out.channel,
        code=code,
        name=run.name,
        kb=kb_of(run.package) or kb_of(run.line) or kb_of(part(_PACKAGE_PATH.search(run.command))),
        line=run.line,
    )


def _refused_driver(drivers: list[tuple[str, str]]) -> str | None:
    """The first of some drivers of which something else is said than of most. Where all went alike, English alone says how."""
    often = Counter(said for _name, said in drivers)
    most = max(often.values(), default=0)
    return next((name for name, said in drivers if often[said] < most or said.lower().startswith("error")), None)


def _success(run: _Run, out: Collector, *, broken: bool) -> None:
    """A finished bar without a code. That a repair ended well is believed where one failed above: it never says that all is well."""
    if run.said or run.log or run.guess is not None:
        return
    if run.done and run.package and not run.is_repair:
        out.add(
            Observation("dism", "install", OK, place=run.place, channel=out.channel, name=run.package, kb=kb_of(run.package), line=run.work)
        )
    if broken and run.percent >= 100 and _RESTORE.search(run.command):
        out.add(Observation("dism", "store", OK, place=run.place, channel=out.channel, marker="store_repaired", line=run.line))
