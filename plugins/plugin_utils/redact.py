# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Puts pseudonyms in the place of what names a machine, a person or a network, so that a result can be shown to anybody.

It works in two passes. First everything that was read is learnt from: by its form (a SID, an address) or by where it stands
(`C:\\Users\\`, behind `Computer:`). Then every text of the result is written anew: what has such a form, and every learnt name wherever it
stands. When in doubt a name goes: a word too few can be asked for, a word too many cannot be taken back. What Microsoft published stays:
KBs, GUIDs of updates, codes, its own servers, names of components.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Mapping
from functools import cache, partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

_MOST_SHOWN = 200
_MOST_LEARNT_FROM = 400_000
_LEAST_LETTERS = 3

# `common`: words that name nobody, where a name could stand. `file_words`: of files that Windows or a tool of it names; any other may
# hold the name of a machine. `public_domains`: below them nothing is private. `top_level`: how a name on the network ends; other ends are
# those of files and components.
_DATA = json.loads(Path(__file__).with_name("data").joinpath("redact.json").read_text(encoding="utf-8"))
_COMMON = frozenset(_DATA["common"])
_FILE_WORDS = frozenset(_DATA["file_words"])
_PUBLIC = re.compile(rf"(?:.*\.)?(?:{'|'.join(map(re.escape, _DATA['public_domains']))})", re.I)
_TOP = f"(?:{'|'.join(_DATA['top_level'])})"
_FILES = f"(?:{'|'.join(_DATA['file_endings'])})"
_WORD = r"[^\W_]"


class _Form(NamedTuple):
    """One form of what names somebody: `kind` is the pseudonym's, group 1 what is replaced, `learnt` that it is replaced elsewhere too."""

    kind: str
    found: re.Pattern[str]
    learnt: bool = False


def _labelled(labels: str, value: str) -> re.Pattern[str]:
    """A value behind its label: `Serial Number: 4711`, `"user"="jdoe"`, `Host Name . . . . :   PC1`; the labels in any language."""
    between = r"(?:\s{0,3}|[ .]{0,60})(?:[:=#\uff1a]|\s-\s)(?:\s{0,3}|[ \t]{0,40})"
    return re.compile(rf"(?<!{_WORD})(?:{labels})[\"']?{between}[\"'<]?({value})", re.I)


_GUID = r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"
_NAME = r"[\w.$-]{2,64}"

# In this order: the longer form first, for what is replaced is not looked at again by a later one.
_FORMS = (
    _Form("user", re.compile(r"(?<=://)([^/\s@]{1,128})(?=@)"), True),
    # What lets somebody in: in an address, behind its name, and the form that nearly all such have.
    _Form(
        "key",
        re.compile(
            r"[?&;](?:sig|signature|(?:\w{1,20}_)?token|code|(?:api_?)?key|password|pwd|secret|sas|auth|ticket)=([^&\s\"'<>]{3,2000})", re.I
        ),
    ),
    _Form("key", re.compile(r"\b(?:Bearer|Basic|Negotiate|NTLM) ((?=[^\s]{0,4000}[0-9=+/])[A-Za-z0-9+/=._~-]{12,4000})")),
    _Form("key", re.compile(r"(?<![\w-])(eyJ[\w-]{8,4000}\.[\w-]{2,4000}(?:\.[\w-]{0,4000})?)")),
    _Form("key", _labelled(_DATA["labels"]["secret"], r"[^\s\"'<>,;]{3,128}"), True),
    _Form("email", re.compile(r"(?<![\w.+-])([\w.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,6})")),
    _Form("sid", re.compile(r"(?<![\w-])(S-1-(?!5-32-)[0-9]{1,15}(?:-[0-9]{1,12}){2,15})", re.I)),
    _Form(
        "machine",
        _labelled(
            r"Sus ?Client ?Id|Client ?Id|Machine ?(?:Guid|Id)|(?:AAD ?)?Device ?Id|Computer ?Id|Hardware ?Id|"
            r"SMS ?(?:Unique ?)?(?:Identifier|Id|Guid)|UUID|Tenant ?Id|SQM ?(?:Client|Machine) ?Id|PingID",
            rf"\{{?{_GUID}\}}?",
        ),
        True,
    ),
    _Form("machine", re.compile(rf"\bmachine guid \{{?({_GUID})", re.I), True),
    # As ConfigMgr writes the identity of a client.
    _Form("machine", re.compile(rf"(?<!\w)GUID:({_GUID})"), True),
    _Form("key", re.compile(r"(?<![\w-])([A-Z0-9]{5}(?:-[A-Z0-9]{5}){4})(?![\w-])", re.I), True),
    _Form("key", re.compile(r"(?<![\w-])([0-9]{5}-[0-9A-Z]{3,5}-[0-9A-Z]{5,7}-[0-9A-Z]{5})(?![\w-])", re.I), True),
    # What opens a disk that BitLocker has locked.
    _Form("key", re.compile(r"(?<![\w-])([0-9]{6}(?:-[0-9]{6}){7})(?![\w-])"), True),
    _Form("serial", _labelled(_DATA["labels"]["serial"], r"[A-Za-z0-9][\w-]{2,40}"), True),
    _Form("mac", re.compile(r"(?<![\w:-])((?:[0-9A-F]{2}[:-]){5}[0-9A-F]{2})(?![\w:-])", re.I)),
    _Form("mac", re.compile(r"(?<![\w.])((?:[0-9A-F]{4}\.){2}[0-9A-F]{4})(?![\w.])", re.I)),
    _Form("mac", re.compile(r"\bMAC(?: ?-?address| ?-?adresse)?[ .:=]{1,40}([0-9A-F]{12})(?![\w-])", re.I)),
    _Form("dn", re.compile(r"(?<!\w)((?:CN|OU|DC)=[^,;\"<>\r\n]{1,80}(?:,(?:CN|OU|DC)=[^,;\"<>\r\n]{1,80}){1,12})", re.I)),
    _Form(
        "user",
        re.compile(
            r"(?:\\|/)(?:Users|Documents and Settings|Benutzer|Utilisateurs)(?:\\{1,2}|/)"
            r"([^\\/:*?\"<>|\r\n]{1,64})(?=[\\/])",
            re.I,
        ),
        True,
    ),
    _Form(
        "user",
        re.compile(r"(?:\\|/)(?:Users|Documents and Settings|Benutzer|Utilisateurs)(?:\\{1,2}|/)([^\\/:*?\"<>|\s,;)\]]{1,64})", re.I),
        True,
    ),
    # A folder of homes on a server: `\\nas\profiles$\zoe`.
    _Form(
        "user",
        re.compile(
            r"\\(?:\\|UNC\\)[\w.-]{1,253}\\(?:profiles?|homes?|users?|userdata|redirect\w{0,12})\$?\\([^\\\s:*?\"<>|]{1,64})", re.I
        ),
        True,
    ),
    _Form("user", re.compile(r"(?<![\w.])/home/([^/\s:\"']{1,64})"), True),
    _Form("user", _labelled(_DATA["labels"]["owner"], r"[^\s\"'<>,;|][^\r\n\"'<>,;|]{1,63}"), True),
    _Form("user", _labelled(_DATA["labels"]["user"], _NAME), True),
    # The prompt of a shell over ssh.
    _Form("user", re.compile(r"(?:^|\n)\[?([\w.-]{1,32})(?=@[A-Za-z][\w-]{1,30}[ :])"), True),
    _Form("user", re.compile(r"Name=['\"](?:Subject|Target)?(?:User|Account)Name['\"]>([^<]{2,64})<"), True),
    _Form("domain", re.compile(r"Name=['\"](?:Subject|Target)?DomainName['\"]>([^<]{2,64})<"), True),
    _Form("domain", _labelled(r"domain(?:[ _-]?name)?|dom[a\u00e4]ne|domaine|dominio|forest", _NAME), True),
    _Form("net", _labelled(r"SSID", r"[^\r\n\"'<>,;|]{1,64}"), True),
)
# Here stands a machine and nothing else, so that it goes although its name is an ordinary word: the computer of an event, a share.
_SURE_HOST_FORMS = (
    re.compile(r"<Computer>([^<]{1,253})</Computer>"),
    re.compile(r"(?<![\\\w:])\\\\([A-Za-z0-9][\w.-]{0,252})(?=\\)"),
    re.compile(r"\\\\\?\\UNC\\([A-Za-z0-9][\w.-]{0,252})(?=\\)", re.I),
    # The first column of PSWindowsUpdate's lists: `PC1  Installation  Failed`, `PC1  -D-----  KB5034441`.
    re.compile(r"(?:^|\n)([A-Za-z][\w-]{0,62})[ \t]{1,40}(?:Uni|I)nstallation[ \t]{1,20}[A-Z][A-Za-z]{5,20}[ \t]"),
    re.compile(r"(?:^|\n)([A-Za-z][\w-]{0,62})[ \t]{1,40}[A-Z-]{7}[ \t]{1,8}KB[0-9]{6,8}\b"),
    # Where a prompt or a program tells on which machine it runs.
    re.compile(r"(?<!\w)\[([A-Za-z][\w.-]{1,252})\]: PS [A-Z]:\\"),
    re.compile(r"(?:^|\n)\[?[\w.-]{1,32}@([A-Za-z][\w-]{1,30})(?=[ :])"),
    re.compile(r"(?:logon ?server|anmeldeserver)[ .]{0,40}[:=]\s{0,40}\\\\([A-Za-z0-9][\w.-]{0,252})", re.I),
)
_NO_HOST = ("localhost", "null", "none")
_HOST_FORMS = (
    re.compile(r"\b(?:https?|ftp|ldaps?|tcp|udp|rpc)://(?:[^/\s@]{1,128}@)?([A-Za-z0-9_][A-Za-z0-9._-]{0,252})", re.I),
    _labelled(_DATA["labels"]["host"], r"(?![0-9.]{1,15}\b)[A-Za-z0-9][\w.-]{1,252}"),
    re.compile(r"(?<![\w-])((?:DESKTOP|LAPTOP)-[A-Z0-9]{4,11}|WIN-[A-Z0-9]{8,12}|MININT-[A-Z0-9]{4,8})(?![\w-])", re.I),
    re.compile(r"(?<![\w$%\\-])([A-Za-z][\w-]{2,14})\$(?![\w$])"),
)  # fmt: skip
_FQDN = re.compile(rf"(?<![\w.~@-])((?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{{0,61}}[A-Za-z0-9_])?\.){{1,8}}{_TOP})(?![\w-]|\.\w)", re.I)
# `contoso.com/Berlin/Clients/PC1`: where an object stands in a directory.
_CANONICAL = re.compile(rf"(?<![\w/:.@-])((?:[A-Za-z0-9-]{{1,63}}\.){{1,6}}{_TOP})(?:/[^/\s\"'<>?,;]{{1,64}}){{2,8}}(?![/?])", re.I)
_ACCOUNT = re.compile(rf"(?<![\\/:%\w.-])([A-Za-z][\w.-]{{0,62}})\\{{1,2}}(?!\S{{1,64}}\.{_FILES}\b)([\w.$-]{{1,64}})(?![\w\\$-])", re.I)
_IPV4 = re.compile(r"(?<![\w.~-])((?:[0-9]{1,3}\.){3}[0-9]{1,3})(?![\w~-]|\.[0-9])")
_IPV6 = re.compile(r"(?<![\w:.])([0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:\.[0-9.]{5,13})?)(?:%\w{1,16})?(?![\w:])")
_VERSION = re.compile(r"(?:\bv|version|ver\.?|build|[~_])[ \"'=:]{0,3}$", re.I)
# `C:\Program Files\Windows ` in front of `Defender\Platform`.
_IN_A_PATH = re.compile(r"\\[^\s\\,;:\"'=<>|()\[\]]{1,40} ?$")
_COLUMN_KINDS = {"machinename": "host", "computer": "host", "computername": "host", "userid": "user", "username": "user", "user": "user"}


@cache
def _spoken() -> frozenset[str]:
    """Words that results are made of: a name that is one of them cannot be told from it where it stands alone."""
    table = Path(__file__).with_name("data").joinpath("hresults.csv").read_text(encoding="utf-8").lower()
    return _COMMON | frozenset(re.findall(r"[a-z]{3,}", table))


class Redactor:
    """Pseudonyms for one result: the same name has the same one wherever it stands."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._learnt: dict[str, str] = {}
        self._literals: re.Pattern[str] | None = None

    # -- what is learnt

    def learn(self, text: str) -> None:
        """Look for names in what was read, so that they are known where nothing shows that they are names."""
        text = text[:_MOST_LEARNT_FROM]
        self._by_form(text)
        self._learn_columns(text)

    def learn_host(self, name: str) -> None:
        """A machine, by its name or by its name on the network."""
        self.host(name)

    def learn_domain(self, name: str) -> None:
        """A domain."""
        self._domain(name)

    def learn_document(self, value: object) -> None:
        """Everything in JSON, with the names of keys in front of values that stand behind them."""
        if isinstance(value, Mapping):
            for key, item in value.items():
                if isinstance(item, str):
                    self.learn(f"{key}: {item}")
                self.learn_document(item)
        elif isinstance(value, (list, tuple)):
            for item in value:
                self.learn_document(item)
        elif isinstance(value, str):
            self.learn(value)

    def _learn_columns(self, text: str) -> None:
        """A table with a column for the machine or its user, as Export-Csv makes it."""
        lines = text[:100_000].lstrip("\ufeff").splitlines()
        lines = [line for line in lines if not line.startswith("#TYPE")][:300]
        if not lines or len(lines[0]) > 2000:
            return
        separator = max((",", ";", "\t"), key=lines[0].count)
        try:
            rows = list(csv.reader(lines, delimiter=separator))
        except csv.Error:
            return
        for at, column in enumerate(rows[0]):
            kind = _COLUMN_KINDS.get(column.strip().lower().replace(" ", ""))
            for row in rows[1:] if kind else []:
                if at < len(row) and 2 <= len(row[at].strip()) <= 253 and "\n" not in row[at]:
                    self._learn_cell(str(kind), row[at].strip())

    def _learn_cell(self, kind: str, value: str) -> None:
        if kind == "host":
            self._host(value)
        else:
            self._by_form(f"user: {value}")

    # -- pseudonyms

    def _pseudonym(self, kind: str, name: str, *, learnt: bool = False) -> str:
        key = name.strip().lower()
        known = self._names.get(key)
        if known is None:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            known = self._names[key] = f"{kind}-{self._counts[kind]}"
        if learnt and len(key) >= _LEAST_LETTERS and key not in _spoken() and key not in self._learnt and not key.isdigit():
            self._learnt[key] = known
            self._literals = None
        return known

    def _host(self, name: str) -> str:
        """A machine's name; of one on the network the domain is a name of its own."""
        name = name.strip().strip(".")
        if not name or name.lower() in _COMMON or _PUBLIC.fullmatch(name) or _is_pseudonym(name):
            return name
        if _address(name) is not None or name.isdigit():
            return self._address(name) if _address(name) is not None else name
        if name.lower() in self._names and self._names[name.lower()].startswith("domain-"):
            return self._names[name.lower()]
        head, _dot, rest = name.partition(".")
        if not rest:
            return self._pseudonym("host", name, learnt=True)
        if "." not in rest and not re.fullmatch(r"local(?:domain)?|lan|home|internal", rest, re.I):
            return self._domain(name)
        return f"{self._pseudonym('host', head, learnt=True)}.{self._domain(rest)}"

    def _domain(self, name: str) -> str:
        name = name.strip().strip(".")
        if not name or name.lower() in _COMMON or _PUBLIC.fullmatch(name) or _is_pseudonym(name):
            return name
        made = self._pseudonym("domain", name, learnt=True)
        # `contoso.local` is CONTOSO in front of an account.
        for label in name.split(".")[:-1]:
            if len(label) > _LEAST_LETTERS and label.lower() not in self._names:
                self._names[label.lower()] = made
                self._pseudonym("domain", label, learnt=True)
        return made

    def _address(self, text: str) -> str:
        found = _address(text)
        if found is None or found.is_loopback or found.is_unspecified:
            return text
        return self._pseudonym("ip", str(found))

    # -- texts

    def text(self, text: str) -> str:
        """A text with pseudonyms."""
        return self._known(self._by_form(text))

    def value(self, value: Any) -> Any:
        """Everything in a result: texts anew, all else as it is."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {key: self._item(key, item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.value(item) for item in value]
        return value

    def _item(self, key: str, item: Any) -> Any:
        if key == "id" and isinstance(item, str):
            # CODE@SUBJECT is no address.
            code, at, subject = item.partition("@")
            return f"{self.text(code)}{at}{self.text(subject)}"
        if key == "lines" and isinstance(item, list):
            return [self.text(line)[:_MOST_SHOWN] for line in item]
        return self.value(item)

    def host(self, name: str) -> str:
        """The name of a machine, where nothing else can stand, with its pseudonym: also one that is an ordinary word, as `office`."""
        name = name.strip().strip(".")
        if "." in name or name.lower() not in _COMMON or name.lower() in _NO_HOST:
            return self._host(name)
        return self._pseudonym("host", name)

    def file(self, shown: str) -> str:
        """A file by its own name where every file of its kind is called so, else by a pseudonym; never by its folder."""
        return "!".join(self._file(part) for part in shown.split("!"))

    def _file(self, path: str) -> str:
        name = re.split(r"[\\/]", path)[-1]
        words = re.findall(r"[^\W\d_]+", name.lower())
        numbers = re.findall(r"[0-9]+", name)
        if words and all(word in _FILE_WORDS for word in words) and all(len(one) <= 2 or one.startswith("20") for one in numbers):
            return name
        ending = re.search(rf"(?:\.(?:{_FILES}|gz))$", name, re.I)
        return self._pseudonym("file", path) + (ending.group(0).lower() if ending else "")

    def _by_form(self, text: str) -> str:
        for form in _FORMS:
            text = form.found.sub(self._replacing(partial(self._of_form, form)), text)
        text = _CANONICAL.sub(self._canonical, text)
        text = _ACCOUNT.sub(self._account, text)
        for pattern in _SURE_HOST_FORMS:
            text = pattern.sub(self._replacing(self.host), text)
        for pattern in _HOST_FORMS:
            text = pattern.sub(self._replacing(self._host), text)
        text = _FQDN.sub(self._replacing(self._host), text)
        text = _IPV4.sub(self._ipv4, text)
        return _IPV6.sub(self._replacing(self._address), text)

    @staticmethod
    def _replacing(rename: Callable[[str], str]) -> Callable[[re.Match[str]], str]:
        """Rename group 1 of what was found, and leave what stands around it."""

        def replaced(found: re.Match[str]) -> str:
            whole, start = found.group(0), found.start(0)
            return f"{whole[: found.start(1) - start]}{rename(found.group(1))}{whole[found.end(1) - start :]}"

        return replaced

    def _of_form(self, form: _Form, name: str) -> str:
        if name.strip().lower() in _COMMON or _is_pseudonym(name) or (form.learnt and name.strip().isdigit() and form.kind == "user"):
            return name
        if form.kind == "domain":
            return self._domain(name)
        if form.kind == "user" and ":" in name:
            # Name and password in front of a server.
            for part in name.split(":"):
                self._pseudonym("user", part, learnt=True)
        if form.kind == "email":
            self._pseudonym("user", name.partition("@")[0], learnt=True)
            self._host(name.partition("@")[2])
        return self._pseudonym(form.kind, name, learnt=form.learnt)

    def _canonical(self, found: re.Match[str]) -> str:
        if _PUBLIC.fullmatch(found.group(1)):
            return found.group(0)
        self._pseudonym("host", found.group(0).rpartition("/")[2], learnt=True)
        self._domain(found.group(1))
        return self._pseudonym("dn", found.group(0))

    def _account(self, found: re.Match[str]) -> str:
        domain, user = found.groups()
        if (
            _IN_A_PATH.search(found.string[max(0, found.start() - 60) : found.start()])
            or domain.lower() in _COMMON
            or domain.lower().startswith(("hkey", "harddiskvolume", "microsoft", "amd64_", "x86_", "wow64_"))
        ):
            return found.group(0)
        shown = user if user.lower() in _COMMON or _is_pseudonym(user) else self._pseudonym("user", user, learnt=True)
        return f"{self._domain(domain)}\\{shown}"

    def _ipv4(self, found: re.Match[str]) -> str:
        text = found.group(1)
        if _VERSION.search(found.string[max(0, found.start() - 12) : found.start()]):
            return text
        return self._address(text)

    def _known(self, text: str) -> str:
        """Learnt names wherever they stand, as words of their own."""
        if self._literals is None:
            names = sorted(self._learnt, key=lambda name: (-len(name), name))
            words = "|".join(re.escape(name) for name in names) or r"(?!)"
            self._literals = re.compile(rf"(?<!{_WORD})(?:{words})(?!{_WORD})", re.I)
        return self._literals.sub(lambda found: self._learnt[found.group(0).lower()], text)


_PSEUDONYM = re.compile(r"(?:host|user|domain|email|sid|machine|key|serial|mac|dn|ip|net|file)-[0-9]{1,6}(?:\.domain-[0-9]{1,6})?")


def _is_pseudonym(name: str) -> bool:
    return _PSEUDONYM.fullmatch(name) is not None


def _address(text: str) -> Any:
    try:
        return ip_address(text)
    except ValueError:
        return None
