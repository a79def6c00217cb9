# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""`code=` of wu_explain: what people paste becomes one code, what is nearly one is refused in one line, and the answer is by place."""

from __future__ import annotations

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import hresult, routing
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.situation import Situation
from hypothesis import given
from hypothesis import strategies as st

BLANK = Situation()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Exception from HRESULT: 0x80240438", 0x80240438),
        ("Ausnahme von HRESULT: 0x8024402C", 0x8024402C),
        ('Exception calling "Search" with "1" argument(s): "Exception from HRESULT: 0x80072EE2"', 0x80072EE2),
        ("(-2147352567, 'Exception occurred.', (0, None, None, None, 0, -2145124329), None)", 0x80240017),
        ("pywintypes.com_error: (-2147352567, 'Ausnahmefehler.', (0, None, None, None, 0, -2145107924), None)", 0x8024402C),
        ("(-2147352567, 'Exception occurred.', None, None)", 0x80020009),
        ("-2145107940", 0x8024401C),
        ("-2147107940", 0x8005BB9C),
        ("2149842967", 0x80240017),
        ("-0x7ff8fffe", 0x80070002),
        ("0x80070002L", 0x80070002),
        ("-2147024894L", 0x80070002),
        ("80070002L", 0x80070002),
        ("WU_E_NO_SERVICE", 0x80240001),
        ("CBS_E_SOURCE_MISSING", 0x800F081F),
        ("WININET_E_TIMEOUT", 0x80072EE2),
        ("ERROR_INTERNET_NAME_NOT_RESOLVED", 0x80072EE7),
        ("ERROR_WINHTTP_CANNOT_CONNECT", 0x80072EFD),
        ("E_ACCESSDENIED", 0x80070005),
        ("WindowsUpdate_80070002", 0x80070002),
        ("windowsupdate_8024402C windowsupdate_dt000", 0x8024402C),
        ("Code 80072EFE Windows Update encountered an unknown error.", 0x80072EFE),
        ("Error: 3017", 0x80070BC9),
        ("Fehler: 1603", 0x80070643),
        ("exit code 1603", 0x80070643),
        ("80070002", 0x80070002),
        ("8024402C", 0x8024402C),
        ("'0x80070002'", 0x80070002),
        ("[0x80070002]:", 0x80070002),
        ("There were problems installing updates, but we'll try again later. (0x8024001e)", 0x8024001E),
        ("0x8024402C WU_E_PT_WINHTTP_NAME_NOT_RESOLVED", 0x8024402C),
        ("2147942402 (0x80070002)", 0x80070002),
    ],
)
def test_what_people_paste(text: str, code: int) -> None:
    assert hresult.pasted(text) == hresult.Pasted(code)


@pytest.mark.parametrize(
    ("text", "code", "phase"),
    [
        ("0xC1900101 - 0x30018", 0xC1900101, "0x30018"),
        ("0xc1900101-0x20017", 0xC1900101, "0x20017"),
        ("C1900101-4000d", 0xC1900101, "0x4000D"),
        ("Error: 0x8007000D-0x2000C", 0x8007000D, "0x2000C"),
    ],
)
def test_a_code_with_the_phase_of_a_set_up(text: str, code: int, phase: str) -> None:
    assert hresult.pasted(text) == hresult.Pasted(code, phase)
    rows = routing.by_place(code, BLANK, phase)
    assert [place for place, _answer, _step in rows] == ["in set-up"]
    assert phase in rows[0][2]


def test_the_phase_is_named() -> None:
    assert routing.phase_words("0x30018") == "0x30018 = first boot, Sysprep"
    assert routing.phase_words("") == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0x8007002", "7 digits"),
        ("8007002", "7 digits"),
        ("8024402", "7 digits"),
        ("0x80244", "5 digits"),
        ("0x800700020", "9 digits"),
        ("800700020", "9 digits"),
        ("80240FFFF", "9 digits"),
        ("Update failed with 0x8007002, what now?", "7 digits"),
        ("WindowsUpdate_dt000", "help page"),
        ("0x30018", "phase"),
        ("0x80070643 and then 0x80070002", "2 codes"),
        ("WU_E_NO_SUCH_NAME", "no code of the name"),
        ("x" * 3000, "too long"),
    ],
)
def test_what_is_nearly_a_code_says_why_not(text: str, said: str) -> None:
    with pytest.raises(hresult.HResultError, match=said) as caught:
        hresult.pasted(text)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("text", ["hunter2", "S3cret-Pass", "0x", "", "no code here", "DESKTOP-8007ABCD-X"])
def test_other_text_is_refused_and_never_told(text: str) -> None:
    with pytest.raises(hresult.HResultError) as caught:
        hresult.pasted(text)
    assert not isinstance(caught.value, hresult.NoCodeError)


@given(st.one_of(st.text(max_size=300), st.text(alphabet="0123456789abcxXLE_-:(), ", max_size=80)))
def test_a_code_or_one_line(text: str) -> None:
    line = ""
    try:
        assert 0 <= hresult.pasted(text).code <= 0xFFFFFFFF
    except hresult.HResultError as error:
        line = str(error)
    assert len(line.splitlines()) <= 1


def test_a_tuple_that_a_list_option_split_is_whole_again() -> None:
    text = "(-2147352567, 'Exception occurred.', (0, None, None, None, 0, -2145124329), None)"
    assert hresult.whole([*text.split(","), "0x80070002"]) == [text, "0x80070002"]
    assert hresult.whole(["0x80070002)", "(2"]) == ["0x80070002)", "(2"]


# --- by place ---


def places(code: int) -> str:
    return "; ".join(f"{place}: {answer}" for place, answer, _step in routing.by_place(code, BLANK))


@pytest.mark.parametrize(
    ("code", "said", "unsaid"),
    [
        (0x80070002, ["in a search, a download or an installation: a reset", "in CBS.log: DISM, then SFC"], []),
        (
            0x80244022,
            ["in a search or a download, with a WSUS: a retry for a day, then the owner of the WSUS"],
            ["installation", "CBS.log"],
        ),
        (0x80240438, ["in a search or a download, with a WSUS"], ["installation", "CBS.log"]),
        (0x8024402C, ["in a search or a download"], ["installation", "CBS.log", "set-up"]),
        (0x800F081F, ["in an installation or CBS.log: DISM with a source"], ["search", "download"]),
        (0x800736B3, ["in an installation or CBS.log: DISM, then SFC"], ["search", "download"]),
        (0x80246007, ["in a download or an installation: a reset"], ["search", "CBS.log", "set-up"]),
        (0x80242006, ["in an installation"], ["search", "CBS.log"]),
        (0x80D05001, ["in a download"], ["search", "installation", "CBS.log"]),
        (0xC80003FD, ["in a search, a download or an installation: a reset of the update cache"], ["CBS.log", "set-up"]),
        (0xC8000247, ["in a search, a download or an installation: a reset of the update cache"], ["CBS.log", "set-up"]),
        (0xC8000999, ["in a search, a download or an installation: a reset of the update cache"], ["CBS.log", "set-up"]),
        (0xC1900101, ["in set-up"], ["search", "CBS.log"]),
        (0x80073CF2, ["in Sysprep: work by hand"], ["search", "CBS.log"]),
        (0x80070643, ["in an installation"], ["search", "download", "CBS.log"]),
        (0x80070422, ["a service's start: enabling the service"], ["CBS.log"]),
        (0x800705B4, ["in the time service"], ["CBS.log"]),
    ],
)
def test_an_answer_a_place_and_no_place_that_cannot_show_it(code: int, said: list[str], unsaid: list[str]) -> None:
    told = places(code)
    for words in said:
        assert words in told, told
    for words in unsaid:
        assert words not in told.replace("then SFC", ""), told


@pytest.mark.parametrize(("code", "said"), [(0x12345678, "Not an error code that is known"), (0x8DDD0018, "old Windows Update web site")])
def test_what_is_no_code_of_today_has_no_answer(code: int, said: str) -> None:
    assert said in hresult.describe(code).meaning
    assert routing.by_place(code, BLANK) == []
