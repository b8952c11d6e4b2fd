"""Keys as a pair of tones in the audio (ITU-T Q.23), for those who send them in no other way.

The audio is looked at in windows of 25 ms, one every 6 ms. A window has a key when one tone of each group is in it,
each loud enough and not much louder than the other (Q.24), and hardly anything else. Two such windows in a row begin
a press, so one of 40 ms is heard; it is over after as long a time without it. Voices rarely are that pure.

The sums of Goertzel's filters are done by `audioop`, in C: 16 of them cost some 30 µs, a window.
"""

from __future__ import annotations

import math
from array import array
from functools import cache
from typing import Final

from edge.media.audio import Audio
from edge.media.dtmf import PAUSE, PAUSE_MS
from edge.media.g711 import RATE, SAMPLES_PER_MS, WIDTH, energy, share
from edge.media.tone import tone

LOW: Final = (697.0, 770.0, 852.0, 941.0)
HIGH: Final = (1209.0, 1336.0, 1477.0, 1633.0)
KEYS: Final = ("123A", "456B", "789C", "*0#D")  # a row for each low tone
WINDOW: Final = 205  # samples
STEP: Final = 51
BEGINS: Final = 2  # windows with a key
ENDS: Final = 4  # windows without it
LEAST: Final = 100.0  # root mean square of the window, about -47 dBm0
PURE: Final = 0.75  # of its energy is in the two tones
TWIST: Final = 6.3  # 8 dB: how much more energy one of the two may have
LEVEL: Final = 0.5  # of what we send: each tone at -12 dBFS
_SCALE: Final = 16384  # of the waves that audio is multiplied with


class ToneReader:
    """Turns the audio of one side into keys, each at its beginning and once."""

    __slots__ = ("_candidate", "_key", "_pcm", "_seen", "_unseen")

    def __init__(self) -> None:
        self._pcm = b""
        self._key = ""  # that is pressed
        self._unseen = 0  # windows without it
        self._candidate = ""
        self._seen = 0

    def read(self, pcm: bytes) -> str:
        """The keys that begin in this piece of audio."""
        self._pcm += pcm
        begun, at = "", 0
        while len(self._pcm) - at >= WINDOW * WIDTH:
            begun += self._take(key_in(self._pcm[at : at + WINDOW * WIDTH]))
            at += STEP * WIDTH
        self._pcm = self._pcm[at:]
        return begun

    def _take(self, key: str) -> str:
        if self._key:
            self._unseen = 0 if key == self._key else self._unseen + 1
            if self._unseen >= ENDS:
                self._key = ""
        self._seen = self._seen + 1 if key and key == self._candidate else bool(key)
        self._candidate = key
        if self._seen < BEGINS or key == self._key:
            return ""
        self._key, self._unseen = key, 0
        return key


def key_in(window: bytes) -> str:
    """The key whose tones a window is made of; "" for none."""
    level = energy(window)
    if level < LEAST:
        return ""
    low = [_energy(window, hertz) for hertz in LOW]
    high = [_energy(window, hertz) for hertz in HIGH]
    one, other = max(low), max(high)
    if one + other < PURE * level * level or one > TWIST * other or other > TWIST * one:
        return ""
    return KEYS[low.index(one)][high.index(other)]


def spoken(keys: str, press_ms: int, gap_ms: int) -> list[Audio]:
    """These keys as audio, each with the gap after it; `,` is a pause."""
    audio: list[Audio] = []
    for key in keys:
        if key == PAUSE:
            audio.append(_quiet(PAUSE_MS))
        else:
            audio += [_sound(key, press_ms), _quiet(gap_ms)]
    return audio


def _energy(window: bytes, hertz: float) -> float:
    """Of one tone in a window: the mean square of that part of it."""
    cosine, sine, norm = _waves(hertz)
    x, y = share(window, cosine), share(window, sine)
    return (x * x + y * y) * norm


@cache
def _waves(hertz: float) -> tuple[bytes, bytes, float]:
    turn = 2 * math.pi * hertz / RATE
    cosine = array("h", [round(_SCALE * math.cos(turn * n)) for n in range(WINDOW)]).tobytes()
    sine = array("h", [round(_SCALE * math.sin(turn * n)) for n in range(WINDOW)]).tobytes()
    return cosine, sine, _SCALE * _SCALE / 2


@cache
def _sound(key: str, milliseconds: int) -> Audio:
    row = next(row for row, keys in enumerate(KEYS) if key in keys)
    return tone((LOW[row], HIGH[KEYS[row].index(key)]), milliseconds / 1000, LEVEL)


@cache
def _quiet(milliseconds: int) -> Audio:
    return Audio(bytes(milliseconds * SAMPLES_PER_MS * WIDTH))
