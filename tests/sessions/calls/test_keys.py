"""Keys typed ahead, and gathered."""

from __future__ import annotations

import pytest

from edge.sessions.calls.keys import TYPE_AHEAD, Gathering, Keys


@pytest.mark.parametrize(
    ("typed", "end_keys", "length", "digits", "complete", "left"),
    [
        ("", "#", 4, "", False, False),
        ("12", "#", 4, "12", False, False),
        ("1234", "#", 4, "1234", True, False),
        ("12345", "#", 4, "1234", True, True),
        ("12#4", "*#", 4, "12#", True, True),
        ("12345678", "", 0, "12345678", False, False),
    ],
)
def test_what_is_gathered(typed: str, end_keys: str, length: int, digits: str, complete: bool, left: bool) -> None:
    keys = Keys()
    keys.type(typed)
    gathering = Gathering(keys, end_keys, length)
    assert (gathering.complete(), gathering.digits, bool(keys)) == (complete, digits, left)


def test_it_goes_on_with_what_comes_later() -> None:
    keys = Keys()
    gathering = Gathering(keys, "#", 0)
    keys.type("1")
    assert not gathering.complete()
    keys.type("2#3")
    assert gathering.complete()
    assert gathering.digits == "12#"
    assert keys.take() == "3"


def test_the_oldest_go_when_there_are_too_many() -> None:
    keys = Keys()
    keys.type("9" + "1" * (TYPE_AHEAD - 1))
    keys.type("2")
    assert [keys.take() for _ in range(TYPE_AHEAD)] == ["1"] * (TYPE_AHEAD - 1) + ["2"]
    assert not keys


def test_what_was_cleared_is_gone() -> None:
    keys = Keys()
    keys.type("12")
    keys.clear()
    assert not keys
