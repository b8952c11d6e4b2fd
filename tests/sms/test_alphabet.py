"""Alphabets by data_coding, and what they make of octets."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sms import gsm
from edge.sms.alphabet import BINARY, CODECS, decode, of_coding, read
from edge.sms.split import split
from edge.sms.text import unstorable
from edge.sms.udh import Concatenation


@pytest.mark.parametrize(
    ("data_coding", "alphabet"),
    [
        *((0, "gsm"), (1, "ascii"), (2, BINARY), (3, "latin-1"), (4, BINARY), (5, "shift-jis"), (6, "cyrillic")),
        *((7, "hebrew"), (8, "ucs2"), (9, "shift-jis"), (10, "iso-2022-jp"), (11, "gsm"), (13, "euc-jp")),
        *((14, "euc-kr"), (15, "gsm")),
        *((0x10, "gsm"), (0x15, BINARY), (0x18, "ucs2"), (0x1C, "gsm"), (0x20, BINARY), (0x48, "ucs2")),
        *((0x80, "gsm"), (0xBF, "gsm"), (0xC8, "gsm"), (0xD0, "gsm"), (0xE0, "ucs2")),
        *((0xF0, "gsm"), (0xF1, "gsm"), (0xF4, BINARY), (0xF6, BINARY)),
    ],
)
def test_data_codings(data_coding: int, alphabet: str) -> None:
    assert of_coding(data_coding) == alphabet
    assert of_coding(data_coding, "latin-1") == ("latin-1" if alphabet == "gsm" else alphabet)


@pytest.mark.parametrize(
    ("alphabet", "payload", "text"),
    [
        ("gsm", b"\x00\x1be", "@€"),
        ("gsm-1-1", b"\x04\x1bI", "€İ"),
        ("ascii", b"hi\xe9\0", "hi\ufffd"),
        ("latin-1", b"\xe9 \x93x\x94 \x80", "é “x” €"),
        ("utf-8", b"\xc3\xa9\xff", "é\ufffd"),
        ("ucs2", "é😀".encode("utf-16-be"), "é😀"),
        ("ucs2", b"\xd8\x3d\x00a", "\ufffda"),  # half of a pair
        ("ucs2", b"\xde\x00\x00a", "\ufffda"),
        ("ucs2", b"\x00a\x00", "a\ufffd"),
        ("ucs2", b"\xff\xfea\x00", "a"),
        ("ucs2", b"\xfe\xff\x00a", "a"),
        ("ucs2", b"\x00a\x00\x00\x00b\x00\x00", "a\ufffdb"),
        ("cyrillic", b"\xbf\xe0\xd8", "При"),
        ("hebrew", b"\xf9\xec", "של"),
        ("shift-jis", b"\x83A", "ア"),
        ("iso-2022-jp", b'\x1b$B%"\x1b(B', "ア"),
        ("euc-jp", b"\xa5\xa2", "ア"),
        ("euc-kr", b"\xb0\xa1", "가"),
        (BINARY, b"\x00\x01\xff", "00 01 ff"),
        (BINARY, b"\x01\x06", "01 06"),
        (BINARY, b"BEGIN:VCARD\r\nN:J\r\nEND:VCARD", "BEGIN:VCARD\r\nN:J\r\nEND:VCARD"),
        ("klingon", b"\x00\x01", "00 01"),
        ("gsm-packed", b"\x00\x01", "00 01"),
    ],
)
def test_octets_are_read(alphabet: str, payload: bytes, text: str) -> None:
    assert decode(alphabet, payload) == text


@given(st.sampled_from(["gsm", "gsm-13-13", "gsm-99-255", "ucs2", BINARY, "?", *CODECS]), st.binary(max_size=300))
def test_nothing_raises_and_everything_can_be_stored(alphabet: str, payload: bytes) -> None:
    assert unstorable(decode(alphabet, payload)) is None


@given(st.binary(max_size=200), st.integers(0, 255), st.booleans(), st.sampled_from(["gsm", "gsm-packed", *CODECS]))
def test_any_message_is_read(octets: bytes, data_coding: int, headed: bool, default: Any) -> None:
    assert unstorable(read(octets, data_coding, headed=headed, default=default).text) is None


def test_national_tables_are_named_by_the_header() -> None:
    body = read(bytes.fromhex("06240101250101") + b"\x04", 0, headed=True)
    assert (body.alphabet, body.text) == ("gsm-1-1", "€")
    assert read(bytes.fromhex("03240102") + b"\x1ba", 0xF1, headed=True).text == "á"
    assert read(bytes.fromhex("03240102") + b"\x00a", 8, headed=True).alphabet == "ucs2"


def test_packed_septets_begin_behind_the_header() -> None:
    header = Concatenation(1, 2, 1).header()
    body = read(header + gsm.pack(b"hello", 1), 0, headed=True, default="gsm-packed")
    assert (body.alphabet, body.payload) == ("gsm", b"hello")
    assert body.header.concatenation == Concatenation(1, 2, 1)


@pytest.mark.parametrize("default", ["gsm", "latin-1", "utf-8"])
@given(
    text=st.text(
        st.one_of(st.sampled_from("aé€ñÑ@"), st.characters(codec="utf-8", exclude_characters="\0\ufeff\ufffe"))
    )
)
def test_what_we_send_is_read(default: Any, text: str) -> None:
    cut = split(text, 7, alphabet=default)
    bodies = [read(part, cut.data_coding, headed=cut.headed, default=default) for part in cut.parts]
    assert decode(bodies[0].alphabet, b"".join(body.payload for body in bodies)) == text
    assert [body.header.concatenation.number for body in bodies if body.header.concatenation is not None] == (
        [*range(1, len(bodies) + 1)] if cut.headed else []
    )
