"""Tones: audio that is computed. The beep after which a caller speaks."""

from __future__ import annotations

import math
from array import array
from functools import cache

from edge.media.audio import Audio
from edge.media.g711 import RATE

BEEP_HERTZ = 1000.0
BEEP_SECONDS = 0.5
LEVEL = 0.25  # of full scale, -12 dBFS: clearly heard, not startling
FADE_SECONDS = 0.005  # in and out, so that it does not click


def tone(hertz: float, seconds: float, level: float = LEVEL) -> Audio:
    """A sine wave, faded in and out. `level` is its peak, 1 being full scale."""
    count = round(seconds * RATE)
    fade = max(1.0, FADE_SECONDS * RATE)
    turn = 2 * math.pi * hertz / RATE
    peak = 32767 * level
    samples = (min(1.0, n / fade, (count - n) / fade) * math.sin(turn * n) for n in range(count))
    return Audio(array("h", [round(peak * sample) for sample in samples]).tobytes())


@cache
def beep() -> Audio:
    return tone(BEEP_HERTZ, BEEP_SECONDS)
