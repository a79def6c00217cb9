# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: logs of set-up (setupact.log, setuperr.log) and of Sysprep, which writes the same form.

One try of a set-up is one operation with one result, though a dozen lines repeat it. Only that result is a failure of the upgrade (marker
`final`): set-ups that end well log hundreds of errors, too, so those have the marker `on_the_way`. What the servicing stack logs inside
of a set-up is about the image that is being built, never about the store of this host.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from ..observation import CANCELLED, FAILED, OK, Observation
from .records import Collector, each_line, part, stamp_of, to_code
from .stack import ANY_HEX, E_FAIL, MOST_PASTED, RUN_ON, Line, Reader, Subject, without_examples

# What set-up says of how it ends.
_FINAL = (
    "Finalize: Reporting result value",
    "Finalize: Remapping install error",
    "SetupHost: Reporting error event",
    "SetupHost: Reporting post reboot event",
    "SetupHost: Reporting success event",
    "SetupNotify: Specifying extended data",
    "ImageExit: Initializing SetupResult",
    "ExecuteOperations: Main operation execution failed",
    "ExecuteOperations: Failed execution phase",
    "CSetupPlatformPrivate::Execute: Execution of operations queue failed",
    "CInstallUI::OnFinalResult",
    "Current result: ",
)
# The outermost calls fail with the whole, and in setuperr.log they are all that is left of the result. But set-up also leaves them to begin
# anew with updated files (ERROR_RESTART_APPLICATION), so they count only where nothing follows.
_OUTER = (
    "CSetupHost::Execute(",
    "CSetupManager::Execute(",
    "CSetupManager::ExecuteInstallMode(",
    "CSetupManager::ExecuteDownlevelMode(",
    "CDlpTask::Execute(",
    # That an operation failed ends the queue, but for one that can be tried again.
    "Operation execution failed: ",
)
# What set-up showed before it gave up, in the language of its installer: these words are English.
_SHOWN = re.compile(
    r"PublishMessage: Publishing message \[(.{5,200}?(?:cannot (?:proceed|continue)|To (?:restart|install Windows)).{0,200}?)\]"
)
# What it shows while it takes the upgrade back by itself; who goes back by his own will is shown other words. English, too.
_TAKEN_BACK = re.compile(r"Rollback: (?:\([0-9]\) )?Showing splash window with .{3,40}: (?:Undoing changes|Attempting to recover)")
# An operation of the platform failed, and what had been done before it is taken back. (Some that fail may be tried again.)
_OPERATION, _REVERTS = "Operation failed: ", "Cannot revert execution of operation "
# The window of set-up, where its user said that he wants to leave it.
_USER_LEFT = "CInstallUI::ConfirmCanceled: User cancel confirmed"
_BEGINS_ANEW = 0x800705BB
# So long the diagnostics tool may run after the end, at most.
_AFTER_END_S = 120
# ERROR_CANCELLED, ERROR_REQUEST_ABORTED, ERROR_INSTALL_USEREXIT, the cancelled task of set-up, and what the user left set-up for.
_CANCELLED = (0x800704C7, 0x800704D3, 0x80070642, 0xC1800108, 0xC1900110, 0xC1900113)
_CANCELLED_AT_BLOCK = (0xC1900201, 0xC1900203, 0xC1900205, 0xC1900207, 0xC1900209, 0xC190020B, 0xC190020D, 0xC190020F)
# Codes that stand for another one: what telemetry gets (MOSETUP_E_REPORTING), and set-up's own request to cancel.
_REPORTING, _CANCEL_REQUEST, _CANCELLED_BY_USER = 0xC1900108, 0x800704D3, 0x800704C7
_NUMBER = re.compile(r"(?<![0-9A-Za-z])0x([0-9a-f]{1,8})(?![0-9A-Za-z])", re.I)
_PHASE_NUMBER = re.compile(r"[1-6][0-9a-f]{4}", re.I)
_CURRENT = re.compile(r"Current (phase|op)[ \t]{0,8}: ([0-9]{1,3})$")
_PHASE_WORDS = re.compile(r"Failed execution phase ([A-Za-z][\w -]{1,30})\.")
# Who takes the host down: `Module name : acmeflt.sys` below `Crash 0x0000007E detected`.
_CRASHED = re.compile(r"Module name[ \t]{0,20}: ([\w.-]{1,60}\.sys)\b", re.I)
# What a block names: `AppName = X`, `Application: [X]`, `Inf="oem5.inf"`.
_BLOCKED = re.compile(
    r"\b(?:AppName|Application|Program|Driver|Inf|Device|Name)\b[ \t]{0,3}[=:][ \t]{0,3}[\"'\[]?([^\"'\[\],;<>]{2,80})", re.I
)
_BLOCK_WORD = re.compile(r"hard.?block|\bblock(?:s|ed|ing|ingType)?\b", re.I)
_BLOCK_CODES = range(0xC1900200, 0xC1900210)

# Written by set-ups whatever comes of them: telemetry, settings and reports of Microsoft's, what is looked for and may be absent, each of
# 60 tries to copy a boot file, packages of other releases that are not in the image, and the crash of the diagnostics tool after the end.
# Disk Cleanup asks for folders of earlier set-ups, the first sign-in for a window, and what resets a PC is no upgrade.
_NOISE = re.compile(
    r"telemetry|OneSettings|GetWuIdFromRegistry|GetDUSetupResults|ReportDownlevelInstallChannel|DiagnosticAnalysis|Diagnostic tool"
    r"|hwreqchk|AppraiserData|ResurrectAutomation|\(Attempt [0-9]{1,3} of |SetFirmwareEnvironmentVariable|Failed to resolve package"
    r"|Ignoring replacement manifest|Invalid xml format|^Plugin \{|^Error (?:READ|WRITE), |Failed to delete |RParan expected"
    r"|CheckUserInterrupt|::Suspend\(|OEMConnection|compute timestamp interval|SysQueryValueKey|GetDriveLetterFromUnattend"
    r"|Failed to check OS architecture|BFSVC: |EnumeratePathEx: FindFirstFile|PushButtonReset::|CFirstUXWnd::OpenExisting",
    re.I,
)
_RETURNS = re.compile(r"^[\w<>: ,]{1,300}\([0-9]{1,6}\): Result = 0x")
_FILE = re.compile(r"\b([A-Za-z]:\\[^\s\"*?<>|\[\]]{1,220}\.[A-Za-z0-9]{1,8})\b")
_MAX_TOLD = 20
_UPGRADE_PARTS = ("SP", "MOUPG", "MIG", "IBS")


@dataclass
class _Try:
    """One try of a set-up, from its command line to its result."""

    codes: dict[int, Line] = field(default_factory=dict)
    outer: dict[int, Line] = field(default_factory=dict)
    operation: dict[int, Line] = field(default_factory=dict)
    reverted: dict[int, Line] = field(default_factory=dict)
    phases: dict[int, str] = field(default_factory=dict)
    phase: str | None = None
    words: str | None = None
    driver: str | None = None
    blocked: str | None = None
    current: dict[str, int] = field(default_factory=dict)
    good: Line | None = None
    shown: Line | None = None
    taken_back: Line | None = None
    before_restart: bool = False


class Setup(Reader):
    """The lines of set-ups and of Sysprep.

    Args:
        host: a host filtered the lines. What proves that a good result was the last one may be missing, so none is taken as a success.
    """

    def __init__(self, out: Collector, *, host: bool = False) -> None:
        super().__init__(out)
        self._host = host
        self._try = _Try()
        self._ended: set[int] = set()
        self._sysprep = Sysprep(out)
        self._is_upgrade = False
        # Errors on the way, those with a code by it, the others by their words; the newest of each.
        self._coded: dict[object, Observation] = {}
        self._told: dict[object, Observation] = {}

    def line(self, line: Line) -> None:
        self._is_upgrade = self._is_upgrade or line.component in _UPGRADE_PARTS
        if line.component == "SYSPRP":
            self._sysprep.line(line)
        elif line.message.startswith(_FINAL):
            self._final(line)
        elif line.message.startswith(_OUTER):
            self._outermost(line)
        elif line.message.startswith(_USER_LEFT):
            self._try.outer[_CANCELLED_BY_USER] = line
        elif line.message.startswith(_REVERTS):
            self._try.reverted = self._try.operation
            self._on_the_way(line)
        elif not self._marks(line) and line.is_error:
            self._on_the_way(line)

    def close(self) -> None:
        """No more lines."""
        self._end()
        if self._is_upgrade:
            # An upgrade runs Sysprep in its first boot.
            for line in self._sysprep.errors:
                self._on_the_way(line)
        elif self._sysprep.seen:
            self._sysprep.close()
            self._coded, self._told = {}, {}
        # That a call in which another failed returns its code tells nothing more.
        ways = [
            one for one in (*self._coded.values(), *self._told.values()) if one.code not in self._ended or not _RETURNS.search(one.line)
        ]
        for seen in sorted(ways, key=lambda one: one.place or 0):
            self._out.add(seen, local=True, by_line=seen.code is None)
        self._coded.clear()
        self._told.clear()

    # -- the result --

    def _marks(self, line: Line) -> bool:
        """Whether the line tells something of the try: that one begins, how far it is, what stopped it."""
        message, ours = line.message, self._try
        if message.startswith("SetupHost::Initialize: CmdLine"):
            if "/Rollback" not in message and "/Success" not in message:
                self._end()
            self._try.before_restart = False
            return True
        if message.startswith("ImageExit: Initializing "):
            return self._image_exit(message)
        if "ompleted the downlevel phase" in message or message.startswith("SetupHost: Reporting pending reboot"):
            ours.before_restart, ours.good = True, None
            return True
        if message.startswith("PublishMessage: ") and _SHOWN.match(message):
            ours.shown = line
            return True
        if message.startswith("Rollback: ") and _TAKEN_BACK.match(message):
            ours.taken_back = ours.taken_back or line
            return True
        current = _CURRENT.match(message)
        if current:
            ours.current[current.group(1)] = int(current.group(2))
            return True
        return self._names(message)

    def _image_exit(self, message: str) -> bool:
        if "Extended:" in message:
            self._try.phase = next(_phases(message), None)
        elif "PostReboot:" in message and "FALSE" in message.upper():
            # The end of what is done before the first restart: most of the upgrade is still to come.
            self._try.before_restart, self._try.good = True, None
        return True

    def _names(self, message: str) -> bool:
        ours = self._try
        # A plain word is found in a tenth of the time of a pattern.
        words = part(_PHASE_WORDS.search(message)) if "Failed execution" in message else None
        ours.words = words or ours.words
        if "odule " in message:
            ours.driver = part(_CRASHED.search(message)) or ours.driver
        if ours.blocked is None and "lock" in message.lower() and _BLOCK_WORD.search(message):
            ours.blocked = (part(_BLOCKED.search(message)) or "").strip() or None
        return words is not None

    def _final(self, line: Line) -> None:
        ours = self._try
        self._names(line.message)
        codes = _codes(line.message)
        phase = next(_phases(line.message), None)
        if not codes:
            if _is_zero(line.message) and not ours.before_restart and not self._host:
                self._end()
                self._try.good = line
            return
        ours.good = None
        for code in codes:
            if phase or code not in ours.codes:
                ours.codes[code] = line
            else:
                ours.codes[code] = _moved(ours.codes[code], line)
            if phase:
                ours.phases[code] = phase

    def _outermost(self, line: Line) -> None:
        for code in _codes(line.message):
            if code not in (_BEGINS_ANEW, E_FAIL):
                self._try.outer[code] = line

    def _goes_on(self, line: Line) -> None:
        """Forget the outermost calls where set-up goes on after them."""
        ended = [one.time for one in self._try.outer.values()]
        if any(time is None or line.time is None or line.time - time > _AFTER_END_S for time in ended):
            self._try.outer.clear()

    def _end(self) -> None:
        """The try is over: say its result, once."""
        ours, self._try = self._try, _Try()
        if not ours.codes and ours.good is None:
            ours.codes = ours.outer or ours.reverted
        if ours.good is not None:
            self._emit(replace(self._seen(ours.good, "upgrade", source="setup", marker="final"), outcome=OK, count=1))
        elif not ours.codes:
            self._without_code(ours)
        codes = _deciding(list(ours.codes))
        self._ended.update(ours.codes)
        for code in codes:
            cancelled = code in _CANCELLED or code in _CANCELLED_AT_BLOCK
            name = None if code in _CANCELLED else _name(ours, code)
            seen = self._seen(ours.codes[code], "upgrade", Subject(name), "setup", code=code, marker="final")
            related = tuple(other for other in ours.codes if other not in codes)
            outcome = CANCELLED if cancelled else FAILED
            self._emit(replace(seen, outcome=outcome, count=1, first=None, related=related))

    def _without_code(self, ours: _Try) -> None:
        """What set-up said of its failure in words; what a host sends may lack the success behind it."""
        line = ours.shown
        if line is None and not self._host:
            line = ours.taken_back
        if line is not None:
            words = (part(_SHOWN.match(line.message)) or "")[:120].rstrip(" .")
            self._emit(replace(self._seen(line, "upgrade", Subject(words or None), "setup", marker="setup_failed"), count=1))

    # -- errors on the way --

    def _on_the_way(self, line: Line) -> None:
        if _NOISE.search(line.message):
            return
        self._goes_on(line)
        file = part(_FILE.search(line.message))
        seen = self._seen(line, "upgrade", Subject(file), "setup", marker="on_the_way")
        codes = [code for code in _codes(line.message) if code != E_FAIL]
        if line.message.startswith(_OPERATION):
            self._try.operation = dict.fromkeys(codes[:1], line)
        for code in codes:
            _keep(self._coded, (code, file), replace(seen, code=code))
        if not codes:
            _keep(self._told, line.message, seen)


def _keep(kept: dict[object, Observation], key: object, seen: Observation) -> None:
    """Keep the newest of each kind, and of the kinds the newest."""
    kept.pop(key, None)
    kept[key] = seen
    if len(kept) > _MAX_TOLD:
        del kept[next(iter(kept))]


def _moved(kept: Line, newer: Line) -> Line:
    """The words of the line that tells more, where and when the newer one stands."""
    return kept._replace(time=newer.time, place=newer.place)


def _codes(message: str) -> list[int]:
    return [int(found.group(1), 16) for found in list(ANY_HEX.finditer(message))[:2]]


def _phases(message: str) -> Iterator[str]:
    return (f"0x{found.group(1).upper()}" for found in _NUMBER.finditer(message) if _PHASE_NUMBER.fullmatch(found.group(1)))


def _is_zero(message: str) -> bool:
    """Whether all numbers of a result are nought, and there is one."""
    numbers = [found.group(1) for found in _NUMBER.finditer(message)]
    return bool(numbers) and not any(number.strip("0") for number in numbers)


def _deciding(codes: list[int]) -> list[int]:
    """The codes that say why: not those that stand for one of the others."""
    if len(codes) > 1:
        codes = [code for code in codes if code != _REPORTING]
    if _CANCELLED_BY_USER in codes:
        codes = [code for code in codes if code != _CANCEL_REQUEST]
    return codes


def _name(ours: _Try, code: int) -> str | None:
    """The phase in which it ended, and the driver or program that ended it."""
    phase = ours.phases.get(code) or ours.phase
    if phase is None and len(ours.current) == 2:
        phase = f"0x{ours.current['phase'] & 0xF:X}{ours.current['op']:04X}"
    culprit = ours.blocked if code in _BLOCK_CODES else ours.driver
    if phase is None and culprit is None and ours.words:
        phase = f"phase {ours.words}"
    return " ".join(word for word in (phase, culprit) if word) or None


# --- Sysprep ---

_APP = re.compile(r"\bPackage ([\w.+-]{3,120}(?:<[\w -]{1,20}>)?) (?:was )?installed for a user")
# The same sentence quoted without its line.
_APP_QUOTED = re.compile(_APP.pattern + r", but not {1,4}provisioned for all users")
# `hr = 0x80073cf2`, `dwRet = 0x3cf2`, `Exit code of RemoveAllApps thread was 0x3cf2`, `(0x80310039)`.
_SYSPREP_CODE = re.compile(
    r"\b(?:hr|dwRet|status|code|was)\b[ ]{0,2}[=:]?[ ]{0,2}(0x[0-9a-f]{1,8}|[0-9a-f]{1,4})\b|\b(0x[89c][0-9a-f]{7})\b", re.I
)
_SYSPREP_MODULE = re.compile(
    r"\bfrom [^\s;,]{0,120}?\\([\w.-]{1,60}\.dll)\b"
    r"|\bexecuting '(?:[^'\n]{0,120}\\)?([\w.-]{1,60}\.dll)|\bexecuting action for ([\w.-]{3,80});", re.I
)
_SYSPREP_END = "WinMain:Hit failure"


class Sysprep(Reader):
    """Sysprep by itself: one run is one failure, of each app that stopped it."""

    def __init__(self, out: Collector) -> None:
        super().__init__(out)
        self.seen = False
        self.errors: list[Line] = []
        self._apps: dict[str, Line] = {}
        self._code: int | None = None
        self._module: str | None = None
        self._last: Line | None = None

    def line(self, line: Line) -> None:
        self.seen = True
        if not line.is_error:
            return
        self.errors = [*self.errors[1 - _MAX_TOLD :], line]
        app = part(_APP.search(line.message))
        if app:
            self._apps[app] = line
        code = _sysprep_code(line.message)
        if code is not None and (code != E_FAIL or self._code is None):
            self._code = code
        module = _SYSPREP_MODULE.search(line.message)
        if module:
            self._module = next(filter(None, module.groups()))
        self._last = line
        if line.message.startswith(_SYSPREP_END):
            self.close()

    def close(self) -> None:
        """The run is over, or the log."""
        apps, code, module, last = self._apps, self._code, self._module, self._last
        self._apps, self._code, self._module, self._last = {}, None, None, None
        if last is None or not (apps or code):
            return
        for app, line in apps.items():
            self._failed(_moved(line, last), app, code)
        if not apps:
            self._failed(last, module, code)

    def _failed(self, line: Line, name: str | None, code: int | None) -> None:
        self._emit(replace(self._seen(line, "sysprep", Subject(name), "setup", code=code, marker="sysprep"), count=1, first=None))


def _sysprep_code(message: str) -> int | None:
    found = _SYSPREP_CODE.search(message)
    if found is None:
        return None
    # `dwRet= 1f` is hexadecimal, too.
    text = found.group(1) or found.group(2)
    return to_code(text if text[:2].lower() == "0x" else f"0x{text}") or None


# --- the stream of lines, and what it is recognised by ---

_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}"
_LEVEL = r"(?:Info|Warning|Error|Fatal)"
_PARTS = "SP|MOUPG|MIG|IBSLIB|IBS|CONX|SYSPRP|PANTHR|SetupPl"
_BEFORE = r"(?:^|\n|,|[>*|:\ufeff])[ \t]{0,8}"
_CODE_COLUMN = r"(?:\[0x[0-9a-f]{2,8}\][ \t]{0,24})?"
# Before the level stands the date, behind what a search or a quotation set before it, or what somebody wrote in its place.
_HEAD = re.compile(
    rf"[^\n]{{0,100}}?{_BEFORE}({_LEVEL}|Perf)[ \t]{{1,40}}{_CODE_COLUMN}"
    rf"(?:({_PARTS}|CBS|CSI|CMI|DISM|DEPLOY|TOOL|DIAG|DU|UDIAG|WDS|UI)[ \t]+)?(.*)",
    re.S,
)
# A paste that lost date and level keeps the component.
_BARE_HEAD = re.compile(rf"[ \t>*|]{{0,20}}()(?:\[0x[0-9a-f]{{2,8}}\][ \t]{{1,24}})?({_PARTS})[ \t]{{1,8}}(.*)", re.S)
_WHEN = re.compile(r"[^\n]{0,100}?([0-9]{4}-[0-9]{2}-[0-9]{2})[ T]([0-9]{2}:[0-9]{2}:[0-9]{2})")
_START = rf"{_BEFORE}{_LEVEL}[ \t]{{1,40}}{_CODE_COLUMN}"
_SETUP_SIGN = re.compile(rf"{_START}(?:{_PARTS})[ \t]")
_STACK_SIGN = re.compile(rf"{_START}(?:CBS|CSI|DISM|DEPLOY)[ \t]|\[SR\] |Total Detected Corruption:")
# Who wraps lines for an article sets what follows far behind the begin.
_WRAPPED = re.compile(rf"\n[ \t]{{4,80}}(?=[A-Za-z])(?!(?:{_PARTS}|CBS|CSI|CMI|DISM|DEPLOY|TOOL|DIAG|DU|UDIAG|WDS|UI|{_LEVEL})\b)")
_FAILS = re.compile(r"fail|error|not provisioned|dwRet|hr =|Result = 0x[89C]", re.I)
_BARE_SIGN = re.compile(r"(?:^|\n)[ \t>*|]{0,20}(?:\[0x[0-9a-f]{2,8}\][ \t]{1,24})?(?:MOUPG|SYSPRP)[ \t]{1,8}[A-Z]")
# What a screenshot or a table has left of a line: `CSetupHost::Execute(564): Result = 0xC19001F4`, sometimes on two lines.
_FUNCTION = re.compile(
    r"\bC(?:Setup|MOSetup|Dlp|Unattend)[A-Za-z]{2,40}(?:<[^<>\r\n]{0,80}>)?::[A-Za-z]{3,40}\([0-9]{1,5}\):\s{1,4}Result = 0x[0-9A-Fa-f]{8}"
)
_SPLIT = re.compile(r"(?<=\):)[ \t]{0,4}\r?\n[ \t]{0,8}(?=Result = 0x)")
# Lines without a component (WinRE, windeploy.exe, oobe): the same form, and the text follows.
_PLAIN_SIGN = re.compile(rf"(?:^|\n)\ufeff?{_DATE}(?:\.[0-9]{{1,7}})?,[ ]?[ \t]{{0,8}}{_LEVEL}[ \t]{{1,60}}\S")
_ANY_SIGN = re.compile(rf"{_START}\S")
# C:\Windows\setupact.log of a host that was not set up lately: what class installers of devices say, one `NAME:  ` a line, without dates.
_DEVICE_SIGN = re.compile(r"(?:^|\n)\ufeff?(?:AudMig: |Input Install: |[A-Za-z_]{2,20}\.dll:  )")
# So many lines of the stack may stand beside one of set-up: pasted beside a CBS.log it would be a rarity.
_STACK_SHARE = 20
_A_FEW = 50


class SetupLog:
    """One stream of lines of set-up in their order."""

    def __init__(self, out: Collector, *, host: bool = False) -> None:
        self._setup = Setup(out, host=host)
        self._place = 0
        self._time: int | None = None

    def line(self, raw: str, count: int = 1, first: int | None = None) -> None:
        """Take the next line, or the last of `count` lines alike."""
        self._place += 1
        when = _WHEN.match(raw)
        if when:
            self._time = stamp_of(when) or self._time
        head = _BARE_HEAD.match(raw) or _HEAD.match(raw)
        if head is None:
            self._quoted(raw)
            return
        level, component, message = head.groups()
        if not level and _FAILS.search(message):
            level = "Error"
        self._setup.line(Line(self._time, level, component or "", message.strip(), count, first, self._place))

    def _quoted(self, raw: str) -> None:
        for component, pattern in (("SYSPRP", _APP_QUOTED), ("MOUPG", _FUNCTION)):
            found = pattern.search(raw)
            if found is not None:
                self._setup.line(Line(self._time, "Error", component, found.group(0), 1, None, self._place))

    def close(self) -> None:
        """No more lines."""
        self._setup.close()


def setup(text: str, out: Collector) -> None:
    """Read setupact.log or setuperr.log."""
    stream = SetupLog(out)
    if len(text) <= MOST_PASTED:
        text = without_examples(_WRAPPED.sub(" ", RUN_ON.sub("\n", _SPLIT.sub(" ", text))))
    for line in each_line(text):
        stream.line(line.rstrip("\r"))
    stream.close()


def nothing(_text: str, _out: Collector) -> None:
    """Read what tells nothing of updates."""


def _is_named(name: str) -> bool:
    return "setuperr" in name.lower() or "setupact" in name.lower()


def is_setup(sample: str, name: str) -> bool:
    """Whether a set-up or Sysprep wrote it: by their components; by the mere form only where the servicing stack wrote nothing in it."""
    ours = sum(1 for _found in _SETUP_SIGN.finditer(sample))
    if _is_named(name):
        # Of what it does to an image the stack tells more than set-up itself.
        return ours > 0 or any(sign.search(sample) for sign in (_ANY_SIGN, _BARE_SIGN, _FUNCTION))
    stack = sum(1 for _found in _STACK_SIGN.finditer(sample))
    if stack == 0:
        return ours > 0 or any(sign.search(sample) for sign in (_PLAIN_SIGN, _BARE_SIGN, _APP_QUOTED, _FUNCTION))
    # A few lines that somebody picked out of several logs are the log of most of them.
    share = 1 if ours + stack < _A_FEW else _STACK_SHARE
    return ours * share >= stack


def is_device_setup(sample: str, _name: str) -> bool:
    """Whether class installers of devices wrote it, and no set-up of Windows."""
    return _DEVICE_SIGN.search(sample) is not None and _SETUP_SIGN.search(sample) is None
