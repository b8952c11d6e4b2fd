"""A take: what ends it, and when. The time is what the test says."""

from __future__ import annotations

import pytest

from edge.recordings.limits import BEHIND_SECONDS, SILENCE_LEVEL
from edge.recordings.take import Take, Wish
from edge.recordings.timeline import RATE, Side
from tests.recordings.sound import SAMPLES, STEP, packet, runs, sides

BEGAN = 5000.0  # of a clock that has gone for a while
LIMIT = 3600.0


def take_of(wish: Wish, longest: float = LIMIT) -> Take:
    return Take(wish, BEGAN, longest)


def speak(take: Take, since: float, until: float, *, side: Side = "left", value: int = 1000) -> None:
    first, last = round(since / STEP), round(until / STEP)
    for number in range(first, last):
        take.put(side, SAMPLES * number, packet(value - 1000), BEGAN + number * STEP)


def test_without_a_wish_only_the_limit_ends_it() -> None:
    take = take_of(Wish(), 100)
    assert take.due(BEGAN + 99.9) is None
    assert take.due(BEGAN + 100) == "limit"
    assert not any(take.press(key) for key in "0123456789*#ABCD")


@pytest.mark.parametrize(
    ("seconds", "limit", "ending"), [(10, 100, "duration"), (100, 10, "limit"), (10, 10, "duration")]
)
def test_a_duration_is_kept_to_the_sample(seconds: float, limit: float, ending: str) -> None:
    take = take_of(Wish(seconds=seconds), limit)
    speak(take, 0, 12)
    assert take.due(BEGAN + 9.99) is None
    assert take.due(BEGAN + 10) == ending
    take.end("duration", BEGAN + 10.3)
    frames = take.take(BEGAN + 11)
    assert (frames.place, len(frames.stereo())) == (0, 10 * RATE * 4)
    assert take.seconds == 10


@pytest.mark.parametrize("side", ["left", "right"])
def test_silence_is_when_nobody_is_heard(side: Side) -> None:
    take = take_of(Wish(silence_seconds=3))
    assert take.due(BEGAN + 2.9) is None
    speak(take, 2.0, 4.0, side=side)
    assert take.due(BEGAN + 6.9) is None
    assert take.due(BEGAN + 7.1) == "silence"


def test_somebody_who_never_speaks_is_silent_from_the_beginning() -> None:
    assert take_of(Wish(silence_seconds=3)).due(BEGAN + 3) == "silence"


@pytest.mark.parametrize(("value", "heard"), [(SILENCE_LEVEL - 1, False), (SILENCE_LEVEL, True)])
def test_noise_below_the_level_is_silence(value: int, heard: bool) -> None:
    take = take_of(Wish(silence_seconds=3))
    speak(take, 0, 3, value=value)
    assert (take.due(BEGAN + 3.1) is None) == heard


@pytest.mark.parametrize(("wanted", "ends"), [("none", ""), ("any", "0123456789*#ABCD"), ("#", "#"), ("*", "*")])
def test_keys(wanted: str, ends: str) -> None:
    take = take_of(Wish(key=wanted))  # type: ignore[arg-type]
    assert "".join(key for key in "0123456789*#ABCD" if take.press(key)) == ends


def test_only_the_first_end_counts_and_nothing_is_taken_after_it() -> None:
    take = take_of(Wish())
    speak(take, 0, 1)
    take.end("key", BEGAN + 1)
    take.end("hangup", BEGAN + 2)
    speak(take, 1, 2)
    assert take.ending == "key"
    left, _ = sides(take.take(BEGAN + 3).stereo())
    assert (len(left), len(runs(left))) == (RATE, 1)


def test_a_disk_that_does_not_follow_ends_it_before_memory_is_full() -> None:
    take = take_of(Wish())
    speak(take, 0, BEHIND_SECONDS + 5)
    assert take.ending == "disk"
    assert len(take.take(BEGAN + 100).stereo()) == pytest.approx(BEHIND_SECONDS * RATE * 4, rel=0.01)
