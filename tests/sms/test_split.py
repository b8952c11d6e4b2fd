"""Texts cut into parts: how many, where, and that they are the text again when put together."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import Invalid
from edge.sms import gsm
from edge.sms.split import Segments, Split, count, split, whole

HEADER = 6

GSM = st.text(st.sampled_from("ab €[]{}~|\\^\f@Ωß\n"), max_size=700)
ANY = st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from("a😀é👍🏽\u200d\u0301🇩🇪ア")), max_size=500)


def read(cut: Split, alphabet: str = "gsm") -> str:
    octets = b"".join(part[HEADER if cut.headed else 0 :] for part in cut.parts)
    if cut.encoding == "ucs2":
        return octets.decode("utf-16-be")
    return gsm.decode(octets) if alphabet == "gsm" else octets.decode(alphabet)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Segments("gsm", 1, 0, 160)),
        ("a" * 160, Segments("gsm", 1, 160, 0)),
        ("a" * 161, Segments("gsm", 2, 161, 145)),
        ("a" * 306, Segments("gsm", 2, 306, 0)),
        ("a" * 307, Segments("gsm", 3, 307, 152)),
        ("€" * 80, Segments("gsm", 1, 160, 0)),
        ("€" * 81, Segments("gsm", 2, 162, 143)),  # 76 of them, as 153 septets end in half of one
        ("ア" * 70, Segments("ucs2", 1, 70, 0)),
        ("ア" * 71, Segments("ucs2", 2, 71, 63)),
        ("😀" * 35, Segments("ucs2", 1, 70, 0)),
        ("😀" * 36, Segments("ucs2", 2, 72, 61)),  # 33 of them, as 67 units end in half of one
        ("a" * 159 + "ç", Segments("ucs2", 3, 160, 41)),  # the alphabet has only the capital one
        ("a" * 159 + "Ç", Segments("gsm", 1, 160, 0)),
    ],
    ids=lambda value: value[-1:] + str(len(value)) if isinstance(value, str) else "",
)
def test_texts_are_as_long_as_carriers_count(text: str, expected: Segments) -> None:
    assert count(text) == expected


@given(st.one_of(GSM, ANY), st.integers(0, 255))
def test_the_parts_are_the_text(text: str, reference: int) -> None:
    cut = split(text, reference)
    assert read(cut) == text
    assert count(text).parts == len(cut.parts)
    assert all(len(part) <= (160 if cut.encoding == "gsm" else 140) for part in cut.parts)
    if cut.headed:
        assert [part[:HEADER] for part in cut.parts] == [
            bytes((5, 0, 3, reference, len(cut.parts), at + 1)) for at in range(len(cut.parts))
        ]
    bare = split(text, reference, header=False)
    assert bare.parts == tuple(part[HEADER if cut.headed else 0 :] for part in cut.parts)
    assert whole(text).parts == (b"".join(bare.parts),)


@given(st.one_of(GSM, ANY))
def test_each_part_can_be_read_alone(text: str) -> None:
    cut = split(text, 0, header=False)
    if cut.encoding == "gsm":
        assert not any(part.endswith(b"\x1b") for part in cut.parts)
    else:
        assert "".join(part.decode("utf-16-be") for part in cut.parts) == text  # raises at half a surrogate pair


@pytest.mark.parametrize(
    ("character", "name"),
    [
        ("e\u0301", "a letter and its accent"),
        ("👍🏽", "an emoji and its colour"),
        ("👩\u200d👩\u200d👧", "a family"),
        ("❤\ufe0f", "a heart, red"),
        ("🇩🇪", "a flag"),
        ("\r\n", "the end of a line"),
    ],
)
def test_what_is_seen_as_one_character_is_not_cut(character: str, name: str) -> None:
    units = len(character.encode("utf-16-be")) // 2
    for before in range(67 - units, 68):
        first, second = split("ア" * before + character + "ア" * 70, 1, header=False).parts[:2]
        assert first.decode("utf-16-be").endswith(("ア", character)), (name, before)
        assert second.decode("utf-16-be").startswith(("ア", character)), (name, before)


def test_a_cut_goes_through_what_has_no_end() -> None:
    text = "a" + "\u0301" * 200
    cut = split(text, 1)
    assert read(cut) == text
    assert len(cut.parts) == 3
    assert unicodedata.combining(cut.parts[1][HEADER:].decode("utf-16-be")[0])


@pytest.mark.parametrize("alphabet", ["latin-1", "ascii", "utf-8"])
@given(text=st.one_of(GSM, ANY))
def test_a_carrier_may_want_another_alphabet(alphabet: Any, text: str) -> None:
    cut = split(text, 1, alphabet=alphabet)
    assert read(cut, alphabet) == text
    assert count(text, alphabet=alphabet).parts == len(cut.parts)
    assert cut.encoding == "ucs2" or len(cut.parts) == count(text).parts


@pytest.mark.parametrize(
    ("alphabet", "text", "encoding"),
    [
        ("latin-1", "Ñandú", "ucs2"),  # not in the GSM alphabet
        ("latin-1", "Ñ€", "ucs2"),  # not in Latin-1
        ("latin-1", "Ñü", "gsm"),
        ("ascii", "ü", "ucs2"),
        ("utf-8", "€", "gsm"),
    ],
)
def test_what_the_other_alphabet_lacks_goes_in_ucs2(alphabet: Any, text: str, encoding: str) -> None:
    assert split(text, 1, alphabet=alphabet).encoding == encoding


def test_data_coding_follows_the_alphabet() -> None:
    assert split("hi", 1).data_coding == 0
    assert split("ア", 1).data_coding == 8


def test_more_parts_than_a_header_counts_are_refused() -> None:
    assert len(split("a" * (255 * 153), 1).parts) == 255
    with pytest.raises(Invalid, match="too long") as refused:
        split("a" * (255 * 153 + 1), 1)
    assert "256 parts" in str(refused.value.faults[0])
    assert count("a" * (255 * 153 + 1)).parts == 256
