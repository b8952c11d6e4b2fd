"""Ids of carriers, written in other ways."""

from __future__ import annotations

import pytest

from edge.sessions.texts.carrier_ids import LONGEST, distance, fold, spellings


@pytest.mark.parametrize(
    ("said", "kept", "expected"),
    [
        ("abc-1", "abc-1", 0),
        ("ABC-1", "abc-1", 1),
        ("00FF", "ff", 1),
        ("0000000017", "17", 1),
        ("255", "ff", 2),
        ("255", "00FF", 2),
        ("0000000255", "FF", 2),
        ("FF", "255", 2),
        ("ff", "0000000255", 2),
        ("18446744073709551615", "ffffffffffffffff", 2),
        ("10", "16", 2),  # said in hexadecimal, kept in decimal
        ("16", "10", 2),
        ("255", "fe", None),
        ("00ab-1", "ab-1", None),  # no number, so its zeros count
        ("0", "00", 1),
        ("6f1c3f0e-8a55-4c8e-9f39-6c2f5c0d3a11", "6f1c3f0e-8a55-4c8e-9f39-6c2f5c0d3a12", None),
        ("1" * 21, "2" * 21, None),
        ("", "0", None),
        ("0", "", None),
        ("x" * (LONGEST + 1), "X" * (LONGEST + 1), 1),
        ("x" * (LONGEST + 1), "x" * (LONGEST + 2), None),
    ],
)
def test_an_id_is_found_in_another_spelling(said: str, kept: str, expected: int | None) -> None:
    assert distance(said, kept) == expected
    assert (fold(kept) in spellings(said)) == (expected is not None)


def test_a_folded_id_fits_into_an_index() -> None:
    assert len(fold("é" * 5000)) < LONGEST
