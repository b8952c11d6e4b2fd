from __future__ import annotations

import math
from array import array
from itertools import pairwise

import pytest

from edge.media.tone import LEVEL, RINGBACK_OF, beep, ringback, tone


def test_the_beep_is_heard_and_does_not_click() -> None:
    samples = array("h", beep().pcm)
    assert len(samples) == 4000
    assert abs(max(samples) - 32767 * LEVEL) < 100
    assert abs(samples[0]) < 10
    assert abs(samples[-1]) < 500
    assert beep() is beep()


def test_a_tone_has_the_pitch_that_was_asked_for() -> None:
    samples = array("h", tone(440, 1.0).pcm)
    crossings = sum(1 for a, b in pairwise(samples) if a < 0 <= b)
    assert abs(crossings - 440) <= 1


def test_its_level() -> None:
    samples = array("h", tone(1000, 0.5, level=0.5).pcm)[400:-400]
    assert math.isclose(math.sqrt(sum(s * s for s in samples) / len(samples)), 32767 * 0.5 / math.sqrt(2), rel_tol=0.01)


def test_several_pitches_together_are_no_louder_than_one() -> None:
    one, two = (array("h", tone(hertz, 0.5).pcm) for hertz in (440, (440, 480)))
    assert max(two) <= max(one) + 1
    assert max(two) > 0.9 * max(one)


@pytest.mark.parametrize(
    ("country", "sounds", "pauses"), [("US", 2.0, 4.0), ("DE", 1.0, 4.0), (None, 1.0, 4.0), ("FR", 1.5, 3.5)]
)
def test_a_ring_sounds_and_pauses_as_in_its_country(country: str | None, sounds: float, pauses: float) -> None:
    ring = ringback(country)
    assert ring.seconds == sounds + pauses
    samples = array("h", ring.pcm)
    ends = int(sounds * 8000)
    assert max(samples[ends - 400 : ends - 100]) > 1000
    assert set(samples[ends:]) == {0}
    assert ringback(country) is ring


def test_a_british_ring_is_double() -> None:
    samples = array("h", ringback("GB").pcm)
    loud = [max(samples[at : at + 800]) > 1000 for at in range(0, len(samples), 800)]
    assert loud[:10] == [True] * 4 + [False] * 2 + [True] * 4
    assert not any(loud[10:])
    assert ringback("IE") == ringback("GB")
    assert all(len(cadence.turns) % 2 == 0 for cadence in RINGBACK_OF.values())
