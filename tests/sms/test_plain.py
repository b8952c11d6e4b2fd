from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sms import gsm
from edge.sms.plain import instead, plain
from edge.sms.split import count


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It’s “here” – now…", 'It\'s "here" - now...'),
        ("a\u00a0b\u200bc\td", "a bc d"),
        ("café naïve Łódź", "café naive Lodz"),
        ("e\u0301 o\u0301", "é o"),  # composed, where that is in the alphabet
        ("½ ﬁ №", "1/2 fi No"),
        ("Привет 😀 ア", "Привет 😀 ア"),
        ("ü ß € {", "ü ß € {"),
        ("", ""),
    ],
)
def test_likenesses(text: str, expected: str) -> None:
    assert plain(text) == expected


@pytest.mark.parametrize("character", ["😀", "я", "中", "ア", "★"])
def test_what_has_no_likeness(character: str) -> None:
    assert instead(character) is None


@given(st.text())
def test_nothing_becomes_stranger(text: str) -> None:
    alike = plain(text)
    assert set(gsm.strange(alike)) <= set(gsm.strange(text))
    assert plain(alike) == alike
    assert gsm.strange(text) or alike == text
    assert count(alike).encoding == "gsm" or gsm.strange(alike)
