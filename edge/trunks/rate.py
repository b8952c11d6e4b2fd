"""How many calls a second: a bucket that fills at the rate and holds what may begin in one second."""

from __future__ import annotations


class Rate:
    """One trunk's. Times in seconds of any clock that does not go back."""

    __slots__ = ("_at", "_full", "_held", "_rate")

    def __init__(self, rate: float) -> None:
        """`rate` a second; bursts are as large as what a second may bring, one at the least."""
        self._rate = rate
        self._full = max(1.0, rate)
        self._held = self._full
        self._at = 0.0

    def take(self, now: float) -> bool:
        """One begins. False: it is one too many."""
        held = min(self._full, self._held + (now - self._at) * self._rate)
        self._at = now
        if held < 1.0:
            self._held = held
            return False
        self._held = held - 1.0
        return True
