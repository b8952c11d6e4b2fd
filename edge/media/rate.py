"""Another rate while the samples come: between 8 and 16 kHz, piece by piece, as `audio.resample` does it for a whole.

What is said about a sample needs those around it, so what comes out is late by `delay` samples of the input, which is
less than 2 ms; the last of them never come.
"""

from __future__ import annotations

from edge.media.audio import narrow, reach, resample, widen
from edge.media.g711 import RATE

_WORK = 4  # bytes of a sample in between


class Rate:
    """PCM from one rate to another; one of the two is twice the other."""

    def __init__(self, given: int, wanted: int) -> None:
        if given not in (2 * wanted, wanted // 2):
            raise ValueError(f"{given} to {wanted} samples a second is neither half nor twice")
        self._as = RATE * given // wanted  # the rate from which `resample` makes the same change
        self._step = max(1, given // wanted)  # samples in for
        self._phases = max(1, wanted // given)  # so many out
        self.delay = -(-reach(self._as) // self._step) * self._step
        self._before = bytes(self.delay * _WORK)  # what was given and is still needed

    def __call__(self, pcm: bytes) -> bytes:
        """The samples that are certain by now."""
        signal = self._before + widen(pcm)
        count = (len(signal) // _WORK - 2 * self.delay) // self._step * self._step
        if count <= 0:
            self._before = signal
            return b""
        skip = self.delay // self._step * self._phases * _WORK
        size = count // self._step * self._phases * _WORK
        self._before = signal[count * _WORK :]
        return narrow(resample(signal, self._as)[skip : skip + size])
