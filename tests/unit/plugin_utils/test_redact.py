# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pseudonyms: what names somebody goes, wherever it stands, and what Microsoft published stays."""

from __future__ import annotations

import json
import re

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.redact import Redactor
from hypothesis import given
from hypothesis import strategies as st

SID = "S-1-5-21-1004336348-1177238915-682003330-512"


def once(text: str) -> str:
    redactor = Redactor()
    redactor.learn(text)
    return redactor.text(text)


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        (r"C:\Users\j.doe\AppData\Local\Temp\a.log", r"C:\Users\user-1\AppData\Local\Temp\a.log"),
        (r"C:\Users\Jane Doe\Desktop", r"C:\Users\user-1\Desktop"),
        (r"C:\Users\Public\x and C:\Users\Default\y", r"C:\Users\Public\x and C:\Users\Default\y"),
        (r"started by FABRIKAM\jdoe, then jdoe left", r"started by domain-1\user-1, then user-1 left"),
        (r"NT AUTHORITY\SYSTEM and HKLM\SOFTWARE", r"NT AUTHORITY\SYSTEM and HKLM\SOFTWARE"),
        (r"winsxs\amd64_x\a.dll and CBS\CBS.log", r"winsxs\amd64_x\a.dll and CBS\CBS.log"),
        (f"user {SID}; S-1-5-18", "user sid-1; S-1-5-18"),
        ("asked 10.20.30.40 and 10.20.30.40, then fe80::1c2d:3e4f", "asked ip-1 and ip-1, then ip-2"),
        ("Version 10.0.1.22 of ~~10.0.1.3, 127.0.0.1", "Version 10.0.1.22 of ~~10.0.1.3, 127.0.0.1"),
        ("00-1A-2B-3C-4D-5E at 06:17:22", "mac-1 at 06:17:22"),
        ("mail jane.doe@fabrikam.de", "mail email-1"),
        ("Serial Number: PF2X9Q7R on PF2X9Q7R", "Serial Number: serial-1 on serial-1"),
        ("key VK7JG-NPHTM-C97JM-9MPGT-3V66T", "key key-1"),
        (
            "SusClientId = 3f2504e0-4f89-11d3-9a0c-0305e82c3301",
            "SusClientId = machine-1",
        ),
        ("http://wsus01.ad.fabrikam.local:8530/x", "http://host-1.domain-1:8530/x"),
        ("http://wsus01:8530 and WSUS01", "http://host-1:8530 and host-1"),
        (r"\\fs07\share\a.log", r"\\host-1\share\a.log"),
        (r"\\office\share\a.log of Office, an office", r"\\host-1\share\a.log of Office, an office"),
        ("<Computer>SETUP</Computer> setup failed", "<Computer>host-1</Computer> setup failed"),
        ("print.fabrikam.local and print", "host-1.domain-1 and print"),
        (r"\\localhost\c$", r"\\localhost\c$"),
        ("Computer: PC-4711 (pc-4711)", "Computer: host-1 (host-1)"),
        ("DESKTOP-8ABC123 DESKTOP-8ABC123$", "host-1 host-1$"),
        ("CN=PC1,OU=Berlin,DC=fabrikam,DC=de", "dn-1"),
        ("https://fe2.update.microsoft.com/v6 and time.windows.com", "https://fe2.update.microsoft.com/v6 and time.windows.com"),
        (
            "Package_for_KB5034441~31bf3856ad364e35~amd64~~10.0.1.3 0x80070643",
            "Package_for_KB5034441~31bf3856ad364e35~amd64~~10.0.1.3 0x80070643",
        ),
        ("update {3A1B9F65-5A71-4D92-B1B1-0123456789AB}", "update {3A1B9F65-5A71-4D92-B1B1-0123456789AB}"),
        (r"\\nas07\profiles$\zoe\x, \\?\UNC\nas07\home\zoe\x", r"\\host-1\profiles$\user-1\x, \\?\UNC\host-1\home\user-1\x"),
        ("https://a.blob.core.windows.net/x?sv=2021&sig=Zm9v%3D&se=1", "https://a.blob.core.windows.net/x?sv=2021&sig=key-1&se=1"),
        ("Authorization: Bearer eyJ0eXAi1.abc.def", "Authorization: Bearer key-1"),
        ("Basic authentication, Negotiate authentication", "Basic authentication, Negotiate authentication"),
        ("password=Geheim12 Kennwort: Winter1", "password=key-1 Kennwort: key-2"),
        ("MAC address: 001A2B3C4D5E", "MAC address: mac-1"),
        ("Gebruiker: hmueller", "Gebruiker: user-1"),
        ("\u8ba1\u7b97\u673a\uff1aPC4711; Ordinateur : PC4711", "\u8ba1\u7b97\u673a\uff1ahost-1; Ordinateur : host-1"),
        ("Host Name:                 PC4711", "Host Name:                 host-1"),
        ("Hostname . . . . . . . . : PC4711", "Hostname . . . . . . . . : host-1"),
        ("Registered Owner:          Jane Doe", "Registered Owner:          user-1"),
        ("[PC4711]: PS C:\\> sfc /scannow on PC4711", "[host-1]: PS C:\\> sfc /scannow on host-1"),
        ("zoe@PC4711 C:\\> whoami", "user-1@host-1 C:\\> whoami"),
        ("PC4711  Installation   Failed  1/11/2024 of PC4711", "host-1  Installation   Failed  1/11/2024 of host-1"),
        ("PC4711  -D-----  KB5034441  61MB", "host-1  -D-----  KB5034441  61MB"),
        ("Logon Server: \\\\DC07", "Logon Server: \\\\host-1"),
        ("fabrikam.local/Berlin/Clients/PC4711 is PC4711", "dn-1 is host-1"),
        ("see go.microsoft.com/fwlink/x/events.asp", "see go.microsoft.com/fwlink/x/events.asp"),
        ("key 123456-234567-345678-456789-567890-678901-789012-890123", "key key-1"),
    ],
)
def test_what_goes_and_what_stays(text: str, becomes: str) -> None:
    assert once(text) == becomes


def test_a_name_has_one_pseudonym_and_is_known_where_nothing_shows_it() -> None:
    redactor = Redactor()
    redactor.learn("<Computer>web07.ad.fabrikam.example</Computer>")
    redactor.learn(r"FABRIKAM\svc_patch logged on")
    texts = ["WEB07 failed", "web07.ad.fabrikam.example failed", "svc_patch of fabrikam", "web077 is another"]
    assert [redactor.text(text) for text in texts] == ["host-1 failed", "host-1.domain-1 failed", "user-1 of domain-1", "web077 is another"]


def test_a_table_names_machines_in_a_column() -> None:
    redactor = Redactor()
    redactor.learn('"Id","MachineName","UserName"\r\n"20","srvx9","CORPX\\zoe"\r\n')
    assert redactor.text("srvx9: zoe") == "host-1: user-1"


def test_files_are_named_where_all_of_their_kind_are() -> None:
    redactor = Redactor()
    names = [
        "/home/jane/case/CBS.log",
        "/x/web07-System.evtx",
        "/x/web07.zip!Logs/setupact.log",
        "/x/CbsPersist_20261124010203.log",
        "/x/a b",
    ]
    shown = [redactor.file(name) for name in names]
    assert shown == ["CBS.log", "file-1.evtx", "file-2.zip!setupact.log", "CbsPersist_20261124010203.log", "file-3"]


def test_ids_of_findings_are_no_addresses_and_lines_stay_short() -> None:
    result = {"id": "0x80070643@update:KB5034441", "lines": ["http://a/ " * 40 + "x" * 200], "count": 3, "name": None}
    shown = Redactor().value(result)
    assert (shown["id"], shown["count"], shown["name"]) == ("0x80070643@update:KB5034441", 3, None)
    assert max(len(line) for line in shown["lines"]) <= 200


_LETTERS = st.text("bcdfghjklmnpqrstvwxz", min_size=6, max_size=10)
_OCTET = st.integers(1, 254)


@given(st.data())
def test_no_planted_secret_survives(data: st.DataObject) -> None:
    """Each secret stands once where its form or its place shows it; then it is named bare, in another case, in any order."""
    words = data.draw(st.lists(_LETTERS, min_size=6, max_size=6, unique=True))
    if any(one in other for one in words for other in words if one is not other):
        return
    host, domain, user, serial, other_user, server = words
    address = ".".join(str(one) for one in data.draw(st.tuples(_OCTET, _OCTET, _OCTET, _OCTET)) if one) + ""
    if address.startswith("127."):
        return
    shown = [
        data.draw(st.sampled_from([f"Computer: {host}", f"<Computer>{host}.{domain}.local</Computer>", f"Host Name:   {host}"])),
        data.draw(st.sampled_from([rf"{domain}\{user} logged on", rf"by {domain.upper()}\\{user}."])),
        f"http://{server}.{domain}.local:8530/selfupdate",
        rf"C:\Users\{other_user}\AppData\x.log",
        f"Serial Number: {serial}",
        f"address {address} and {user}@{domain}.com and {SID}",
    ]
    bare = data.draw(st.permutations([host.upper(), user, f"({server})", other_user.title(), serial, f"\u201c{domain}\u201d", address]))
    redactor = Redactor()
    for line in data.draw(st.permutations(shown)):
        redactor.learn(line)
    result = {"lines": shown, "msg": " ".join(bare), "hosts": [{"host": host, "findings": [{"name": user, "id": f"x@service:{user}"}]}]}
    text = json.dumps(redactor.value(result)).lower()
    for secret in (*words, address, SID.lower()):
        assert secret not in text


@given(st.text(max_size=300))
def test_any_text_is_taken_and_what_is_redacted_stays_so(text: str) -> None:
    redactor = Redactor()
    redactor.learn(text)
    once_more = redactor.text(redactor.text(text))
    assert isinstance(once_more, str)


def test_no_line_takes_long() -> None:
    redactor = Redactor()
    for text in (
        "a." * 100_000,
        "\\" * 200_000,
        "S-1-" * 50_000,
        "a@" * 100_000,
        "A-" * 100_000,
        ":" * 200_000,
        "1." * 100_000,
        "CN=a," * 40_000,
    ):
        redactor.learn(text)
        assert len(redactor.text(text[:20_000])) > 0
    assert re.fullmatch(r"[\w-]+", redactor.file("a" * 5000))
