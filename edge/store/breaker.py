"""A breaker: after some failures in a row nobody waits for the failing thing any more; from time to time one may try.

Time is an argument, in monotonic seconds.
"""

from __future__ import annotations


class Breaker:
    """Closed: everything passes. Open: nothing does, but one probe per `seconds`. One success closes it."""

    def __init__(self, failures: int = 3, seconds: float = 1.0) -> None:
        self._limit = failures
        self._seconds = seconds
        self._failures = 0
        self._probe_at = 0.0

    @property
    def open(self) -> bool:
        return self._failures >= self._limit

    def allows(self, now: float) -> bool:
        """Whether to try. When it is open, a yes is the one probe of this period."""
        if self._failures < self._limit:
            return True
        if now < self._probe_at:
            return False
        self._probe_at = now + self._seconds
        return True

    def worked(self) -> bool:
        """Note a success; returns whether that closed an open breaker."""
        was_open = self._failures >= self._limit
        self._failures = 0
        return was_open

    def failed(self, now: float) -> bool:
        """Note a failure; returns whether that opened a closed breaker."""
        self._failures += 1
        if self._failures < self._limit:
            return False
        self._probe_at = now + self._seconds
        return self._failures == self._limit
