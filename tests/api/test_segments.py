"""What a text costs, asked before it is sent."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from edge.api import segments
from edge.api.segments import segments_of
from tests.api.world import World, on_still

SEGMENTS = "/v1.0/messages/segments"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ("GSM-7", 1, 0, 0, 160, 160)),
        ("hello", ("GSM-7", 1, 5, 5, 160, 155)),
        ("€" * 80, ("GSM-7", 1, 80, 160, 160, 0)),
        ("a" * 161, ("GSM-7", 2, 161, 161, 153, 145)),
        ("ア" * 70, ("UCS-2", 1, 70, 70, 70, 0)),
        ("😀" * 36, ("UCS-2", 2, 36, 72, 67, 61)),
    ],
    ids=["nothing", "short", "extended", "long", "other script", "emoji"],
)
@on_still
async def test_a_text_is_counted(still: World, text: str, told: tuple[Any, ...]) -> None:
    got = await still.did("POST", SEGMENTS, {"text": text})
    assert tuple(got[name] for name in ("encoding", "segments", "characters", "units", "limit", "left")) == told


@on_still
async def test_what_makes_it_more_is_named(still: World) -> None:
    text = "It’s here – it’s 5 o’clock " + "a" * 100 + "😀"
    got = await still.did("POST", SEGMENTS, {"text": text})
    assert (got["encoding"], got["segments"]) == ("UCS-2", 2)
    assert got["strange"] == [
        {"character": "’", "code": "U+2019", "name": "RIGHT SINGLE QUOTATION MARK", "count": 3, "instead": "'"},
        {"character": "–", "code": "U+2013", "name": "EN DASH", "count": 1, "instead": "-"},
        {"character": "😀", "code": "U+1F600", "name": "GRINNING FACE", "count": 1, "instead": None},
    ]
    assert got["plain"] is None  # the emoji needs UCS-2 all the same
    got = await still.did("POST", SEGMENTS, {"text": text[:-1]})
    assert got["plain"] == {
        "text": "It's here - it's 5 o'clock " + "a" * 100,
        "encoding": "GSM-7",
        "segments": 1,
    }


@pytest.mark.parametrize("body", [{}, {"text": 5}, {"text": "a\0"}, {"text": "a" * 16_385}, {"text": "a", "to": "b"}])
@on_still
async def test_what_is_no_question(still: World, body: dict[str, Any]) -> None:
    status, _, _ = await still.ask("POST", SEGMENTS, body)
    assert status == 400


@on_still
async def test_a_long_text_is_counted_beside_the_loop(still: World, monkeypatch: pytest.MonkeyPatch) -> None:
    here: list[bool] = []

    def noted(text: str) -> segments.Segments:
        here.append(threading.current_thread() is threading.main_thread())
        return segments_of(text)

    monkeypatch.setattr(segments, "segments_of", noted)
    for text in ("ж" * segments.LONG, "ж" * (segments.LONG + 1)):
        assert (await still.did("POST", SEGMENTS, {"text": text}))["characters"] == len(text)
    assert here == [True, False]
