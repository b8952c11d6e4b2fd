"""Tones: audio that is computed. The beep after which a caller speaks, the ring he hears while somebody is rung."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from functools import cache
from typing import Final, NamedTuple

from edge.media.audio import Audio
from edge.media.g711 import RATE

BEEP_HERTZ = 1000.0
BEEP_SECONDS = 0.5
LEVEL = 0.25  # of full scale, -12 dBFS: clearly heard, not startling
FADE_SECONDS = 0.005  # in and out, so that it does not click


class Cadence(NamedTuple):
    """A ring as it is heard: its frequencies, and how long by turns it sounds and pauses, in seconds."""

    hertz: tuple[float, ...]
    turns: tuple[float, ...]


# ITU-T E.180 Supplement 2, "Various tones used in national networks"; what most of Europe has is for all others.
RINGBACK: Final = Cadence((425.0,), (1.0, 4.0))
_NORTH_AMERICA: Final = Cadence((440.0, 480.0), (2.0, 4.0))
_BRITISH: Final = Cadence((400.0, 450.0), (0.4, 0.2, 0.4, 2.0))
RINGBACK_OF: Final[dict[str, Cadence]] = {
    **dict.fromkeys(("US", "CA", "PR"), _NORTH_AMERICA),
    **dict.fromkeys(("GB", "IE", "NZ", "GI"), _BRITISH),
    "AU": Cadence((400.0, 425.0, 450.0), (0.4, 0.2, 0.4, 2.0)),
    "FR": Cadence((440.0,), (1.5, 3.5)),
    "IN": Cadence((400.0, 425.0), (0.4, 0.2, 0.4, 2.0)),
    "JP": Cadence((384.0, 400.0, 416.0), (1.0, 2.0)),
    "KR": Cadence((440.0, 480.0), (1.0, 2.0)),
    "CN": Cadence((450.0,), (1.0, 4.0)),
    "ES": Cadence((425.0,), (1.5, 3.0)),
}


def tone(hertz: float | Sequence[float], seconds: float, level: float = LEVEL) -> Audio:
    """Sine waves together, faded in and out. `level` is their peak, 1 being full scale."""
    count = round(seconds * RATE)
    fade = max(1.0, FADE_SECONDS * RATE)
    turns = [2 * math.pi * one / RATE for one in (hertz if isinstance(hertz, Sequence) else [hertz])]
    peak = 32767 * level / len(turns)
    waves = (sum(math.sin(turn * n) for turn in turns) for n in range(count))
    samples = (min(1.0, n / fade, (count - n) / fade) * wave for n, wave in enumerate(waves))
    return Audio(array("h", [round(peak * sample) for sample in samples]).tobytes())


@cache
def ringback(country: str | None) -> Audio:
    """One ring and its pause, as callers of that country know it. Played again and again it is a ringing line."""
    hertz, turns = RINGBACK_OF.get(country or "", RINGBACK)
    pcm = b""
    for sounds, seconds in zip([True, False] * len(turns), turns, strict=False):
        pcm += tone(hertz, seconds).pcm if sounds else bytes(2 * round(seconds * RATE))
    return Audio(pcm)


@cache
def beep() -> Audio:
    return tone(BEEP_HERTZ, BEEP_SECONDS)
