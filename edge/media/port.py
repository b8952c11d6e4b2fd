"""Ports: pairs of an even one for RTP and the next one for RTCP (RFC 3550 §11), each resting before it is used again.

The rest keeps the last packets of one call out of the next. Pairs come round in turn, so that in a quiet hour each
rests far longer than it must.
"""

from __future__ import annotations

from collections import deque


class Ports:
    """The pairs of a range, inclusive at both ends. `now` is monotonic seconds."""

    def __init__(self, first: int, last: int, rest_seconds: float) -> None:
        self.rest_seconds = rest_seconds
        self._free = deque(range(first + first % 2, last, 2))
        self._resting: deque[tuple[float, int]] = deque()  # when it may be used again, in order

    def take(self, now: float) -> int | None:
        """The RTP port of a pair; None when all are in use or resting."""
        resting = self._resting
        while resting and resting[0][0] <= now:
            self._free.append(resting.popleft()[1])
        return self._free.popleft() if self._free else None

    def give(self, port: int, now: float) -> None:
        """A pair that was taken comes back."""
        self._resting.append((now + self.rest_seconds, port))

    def __len__(self) -> int:
        """How many could be taken, if those whose rest has ended are counted in at the next `take`."""
        return len(self._free)
