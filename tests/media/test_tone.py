from __future__ import annotations

import math
from array import array
from itertools import pairwise

from edge.media.tone import LEVEL, beep, tone


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
