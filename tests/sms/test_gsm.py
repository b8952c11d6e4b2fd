"""The GSM alphabet and the national tables."""

from __future__ import annotations

import gsmcodecs  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sms import gsm

BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENDED = {0x0A: "\f", 0x14: "^", 0x28: "{", 0x29: "}", 0x2F: "\\", 0x3C: "[", 0x3D: "~", 0x3E: "]", 0x40: "|"}
TEXTS = st.text(st.sampled_from(BASIC + "".join(EXTENDED.values()) + "€"))


def test_the_default_alphabet() -> None:
    septets = bytes(code for code in range(128) if code != gsm.ESCAPE)
    assert gsm.decode(septets) == BASIC
    assert gsm.encode(BASIC) == septets


def test_its_extension() -> None:
    table = EXTENDED | {0x65: "€"}
    for code in range(128):
        other = " " if code == gsm.ESCAPE else gsm.decode(bytes([code]))
        assert gsm.decode(bytes([gsm.ESCAPE, code])) == table.get(code, other)
    assert gsm.encode("".join(table.values())) == bytes(octet for code in table for octet in (gsm.ESCAPE, code))


@pytest.mark.parametrize(
    ("septets", "text"),
    [
        (b"a\x1b", "a "),  # an escape of nothing
        (b"a\x1b\x1bb", "a b"),  # to a table that there is not
        (b"\x1b\x1b\x1be", " €"),
        (b"a\x1bzb", "azb"),
        (b"a\x80b", "a\ufffdb"),
        (b"\x1b\xff", "\ufffd"),
    ],
)
def test_what_no_table_has(septets: bytes, text: str) -> None:
    assert gsm.decode(septets) == text


@pytest.mark.parametrize("text", ["ç", "ア", "a\u0301", "\t", "`", "’"])
def test_what_cannot_be_encoded(text: str) -> None:
    assert gsm.encode("a" + text) is None
    assert gsm.strange(f"a{text}b{text}") == [*dict.fromkeys(text.replace("a", ""))]


@given(TEXTS)
def test_texts_are_read_as_they_were_written(text: str) -> None:
    septets = gsm.encode(text)
    assert septets is not None
    assert gsm.decode(septets) == text
    assert not gsm.strange(text)


@pytest.mark.parametrize(
    ("septets", "locking", "single", "text"),
    [
        (b"\x07\x1bI\x40", 1, 1, "ıİİ"),
        (b"\x07\x1bI", 0, 1, "ìİ"),
        (b"\x1ba\x1be\x1bo", 0, 2, "á€ó"),
        (b"\x12\x5b\x1b\x0b", 3, 3, "ªÃÔ"),
        (b"\x04\x10\x1b\x19", 4, 4, "আঐ০"),
        (b"\x64\x1b\x1c", 6, 6, "d०"),
        (b"\x50\x22\x1b\x1c", 13, 13, "ںڏ۰"),
        (b"\x0e", 4, 0, "\ufffd"),  # Bengali has nothing there
        (b"@A", 2, 0, "¡A"),  # Spanish has no locking table
        (b"@\x1be", 99, 99, "¡€"),  # reserved
        (b"\x1bz", 6, 6, "z"),
    ],
)
def test_national_tables(septets: bytes, locking: int, single: int, text: str) -> None:
    assert gsm.decode(septets, locking, single) == text


@given(st.binary(), st.integers(0, 20), st.integers(0, 20))
def test_decoding_never_raises(octets: bytes, locking: int, single: int) -> None:
    text = gsm.decode(octets, locking, single)
    text.encode()
    assert len(octets) // 2 <= len(text) <= len(octets)
    assert "\0" not in text
    gsm.unpack(octets, locking % 7)


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("hellohello", "e8329bfd4697d9ec37"),
        ("1234567", "31d98c56b3dd1a"),  # seven spare bits are a CR
        ("12345678", "31d98c56b3dd70"),
        ("", ""),
    ],
)
def test_packed_septets(text: str, octets: str) -> None:
    septets = gsm.encode(text)
    assert septets is not None
    assert gsm.pack(septets).hex() == octets
    assert gsm.unpack(bytes.fromhex(octets)) == septets


@given(st.binary(max_size=170).map(lambda octets: bytes(octet & 0x7F for octet in octets)), st.integers(0, 6))
def test_what_is_packed_is_unpacked(septets: bytes, fill: int) -> None:
    got = gsm.unpack(gsm.pack(septets, fill), fill)
    assert got == septets or (got == septets[:-1] and septets[-1] == 0x0D)  # which may be a filler


def test_tables_are_those_that_others_copied_from_the_specification() -> None:
    """But where gsmcodecs has an apostrophe for the comma, twice what is printed twice, and no € for Telugu."""
    for language, tables in gsmcodecs.GSMCHARMAPS.items():
        single = {code: chr(character) for code, character in tables["singleShift"]["decode"].items()}
        single.pop(gsm.ESCAPE)
        if language == 12:
            single[0x65] = "€"
        locking = tables.get("locking", gsmcodecs.GSMCHARMAPS[0]["locking"])["decode"]
        expected = [chr(locking.get(code, ord(gsm.BROKEN))) for code in range(128)]
        if language >= 4:
            expected[0x2C] = ","
        if language == 7:
            expected[0x24] = "\u0ca1"
        assert [gsm.decode(bytes([code]), language, language) for code in range(128)] == expected
        expected = [single.get(code, character) for code, character in enumerate(expected)]
        assert [gsm.decode(bytes([gsm.ESCAPE, code]), language, language) for code in range(128)] == expected
