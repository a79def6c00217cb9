# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every form of a code leads to the same code; what is no code says so in one line."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import hresult
from hypothesis import given
from hypothesis import strategies as st

DATA = Path(hresult.__file__).parent / "data" / "hresults.csv"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (-2147024894, 0x80070002),
        (2147942402, 0x80070002),
        (2, 0x80070002),
        (0, 0),
        ("0x80070002", 0x80070002),
        ("0X80070002", 0x80070002),
        ("80070002", 0x80070002),
        ("8024402C", 0x8024402C),
        ("-2147024894", 0x80070002),
        ("2147942402", 0x80070002),
        ("2", 0x80070002),
        ("1058", 0x80070422),
        ("%%1058", 0x80070422),
        ("%%2147942414", 0x8007000E),
        ("WIN32: 2", 0x80070002),
        ("WIN32:1058", 0x80070422),
        ("ERROR_FILE_NOT_FOUND", 0x80070002),
        ("wu_e_no_service", 0x80240001),
        ("HRESULT=80070BC9", 0x80070BC9),
        ("[HRESULT = 0x800f081f - CBS_E_SOURCE_MISSING]", 0x800F081F),
        ("Error: 3017", 0x80070BC9),
        (" 0x80070002.\r\n", 0x80070002),
        ("(0x80070002),", 0x80070002),
        ("0xffffffff80070002", 0x80070002),
        ("0x00000001", 1),
        ("S_OK", 0),
    ],
)
def test_forms(value: int | str, code: int) -> None:
    assert hresult.normalise(value) == code


@pytest.mark.parametrize(
    "value",
    [True, False, None, 1.5, [], "", "   ", "0x", "0xnope", "UNNAMED", "8007002C0", 1 << 32, -(1 << 31) - 1, "4294967296",
     "0x180070002", "0x8024043", "0x8007002", "0x80244", "8024043", "1234567", "a\nb", "0x8007 0002", "x" * 100000, 1 << 64, b"0x80070002"],
)  # fmt: skip
def test_no_code(value: object) -> None:
    with pytest.raises(hresult.HResultError) as caught:
        hresult.normalise(value)  # type: ignore[arg-type]
    line = str(caught.value)
    assert len(line.splitlines()) == 1
    assert len(line) < 200


class Tagged(str):
    """ansible tags its strings by subclassing."""


def test_subclasses_of_text() -> None:
    assert hresult.normalise(Tagged("0x80070002")) == 0x80070002


@given(st.integers(min_value=0x10000000, max_value=0xFFFFFFFF))
def test_all_forms_of_one_code_agree(code: int) -> None:
    signed = code - (1 << 32) if code >> 31 else code
    forms: list[int | str] = [code, signed, hex(code), hresult.hex_of(code), f"{code:08X}", f"{code:08X}.", f"%%{code}"]
    # Eight bare digits are hexadecimal, whatever they are meant as.
    forms += [form for form in (str(code), f"hr = {signed}") if len(form.removeprefix("hr = ")) != 8]
    assert {hresult.normalise(form) for form in forms} == {code}


@given(st.one_of(st.text(), st.integers(), st.floats(), st.none()))
def test_a_code_or_one_line(value: object) -> None:
    line = "a code"
    try:
        assert 0 <= hresult.normalise(value) <= 0xFFFFFFFF  # type: ignore[arg-type]
    except hresult.HResultError as error:
        line = str(error)
    assert len(line.splitlines()) == 1


@given(st.integers(min_value=0, max_value=0xFFFFFFFF))
def test_everything_is_described(code: int) -> None:
    info = hresult.describe(code)
    assert (info.code, info.hex) == (code, f"0x{code:08X}")
    assert info.meaning
    assert info.area


def test_every_row_of_the_table_is_reached() -> None:
    with DATA.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) > 1030
    for row in rows:
        info = hresult.describe(hresult.normalise(row["hresult"]))
        assert (info.hex, info.area, info.meaning) == (f"0x{info.code:08X}", row["area"], row["meaning"])
        if row["symbol"] != "UNNAMED":
            assert hresult.normalise(row["symbol"]) == info.code


@pytest.mark.parametrize(
    ("code", "area", "part"),
    [
        (0xC1901FFF, "setup_upgrade", "set-up"),
        (0xD015001A, "servicing_cbs", "0xC015001A"),
        (0xD0154321, "store", "0xC0154321"),
        (0xC0004321, "other", "kernel"),
        (0xC8000223, "store", "547"),
        (0x803D0777, "network", "web services"),
        (0x8DDD0018, "other", "old Windows Update web site"),
        (0x12345678, "other", "Not an error code"),
        (0x08024043, "other", "Not an error code"),
        (0x88070002, "other", "Not an error code"),
        (0x8007FFFE, "other", "65534"),
        (0x801901A5, "network", "HTTP 421"),
        (0x800F9999, "servicing_cbs", "servicing"),
        (0x00240010, "other", "Success"),
        (0xC0000034, "store", "0x80070002"),
    ],
)
def test_unknown_codes_say_what_their_bits_say(code: int, area: str, part: str) -> None:
    info = hresult.describe(code)
    assert info.area == area
    if not info.symbol:
        assert part in info.meaning


@pytest.mark.parametrize(
    ("value", "code"),
    [("0x240006", 0x00240006), ("0x00240006", 0x00240006), ("0xBC9", 0x80070BC9), ("3017", 0x80070BC9)],
)
def test_short_numbers(value: str, code: int) -> None:
    assert hresult.normalise(value) == code


def test_a_missing_digit_is_told() -> None:
    with pytest.raises(hresult.HResultError, match="7 digits where an error code has eight"):
        hresult.normalise("0x8024043")


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (0xC0150004, 0x800736B3),
        (0xD0150004, 0x800736B3),
        (0xC000042A, 0x80070308),
        (0xD000042A, 0x80070308),
        (0xC0000034, 0x80070002),
        (0xC007000D, 0x8007000D),
        (0xD007000D, 0x8007000D),
        (0xC0155555, 0xC0155555),
        (0x80070002, 0x80070002),
        (0xC1900101, 0xC1900101),
        (0xC8000222, 0xC8000222),
    ],
)
def test_a_kernel_status_is_the_windows_error_beside_it(status: int, code: int) -> None:
    assert hresult.nt_to_win32(status) == code
    if code != status:
        assert hresult.describe(code).meaning in hresult.describe(status).meaning
        assert hresult.is_known(status)


def test_every_kernel_status_of_the_table_has_a_meaning() -> None:
    for status, number in hresult.NT_TO_WIN32.items():
        assert status >> 28 == 0xC
        assert 0 < number < 0x10000
        assert hresult.nt_to_win32(status | 0x10000000) == 0x80070000 | number


def test_codes_of_the_data_store() -> None:
    assert all("reset" in hresult.describe(code).remedies for code in (0xC8000222, 0xC80003F3))
    assert "database engine" in hresult.describe(0xC8000223).meaning
    assert "Sector size" in hresult.describe(0xC8000247).meaning
    assert "checksum" in hresult.describe(0xC80003FD).meaning
    assert "reset" not in hresult.describe(0xC8010000).remedies
