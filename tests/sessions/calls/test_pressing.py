"""How keys go to another side."""

from __future__ import annotations

import pytest

from edge.sessions.calls.pressing import NOBODY, Wanted, Way, body, ways

INFO, NONE = frozenset({"INVITE", "INFO"}), frozenset({"INVITE"})


@pytest.mark.parametrize(
    ("wanted", "events", "methods", "expected"),
    [
        ("rfc4733", True, INFO, ("events",)),
        ("rfc4733", False, INFO, ("info",)),
        ("rfc4733", False, NONE, ("tones",)),
        ("rfc4733", False, None, ("tones",)),
        ("rfc4733", False, NOBODY, ("tones",)),
        ("info", True, INFO, ("info",)),
        ("info", True, None, ("info",)),
        ("info", True, NONE, ("tones",)),
        ("info", False, NOBODY, ("tones",)),
        ("both", True, INFO, ("events", "info")),
        ("both", True, None, ("events", "info")),
        ("both", True, NONE, ("events",)),
        ("both", False, INFO, ("info",)),
        ("both", False, None, ("info",)),
        ("both", False, NONE, ("tones",)),
    ],
)
def test_ways(wanted: Wanted, events: bool, methods: frozenset[str] | None, expected: tuple[Way, ...]) -> None:
    assert ways(wanted, events=events, methods=methods) == expected


def test_a_key_of_an_info() -> None:
    assert body("#", 160) == b"Signal=#\r\nDuration=160\r\n"
