"""Calls that were asked to prove who sends them, and did not come back.

A challenge is no refusal: who knows the password sends his INVITE again at once. So the attempt waits here for that
long. Whoever comes back takes it out, and has the record of his call; of who does not, there is one all the same, for
that is what a wrong configuration at the other end looks like.

The bound: an attempt waits here for as long as a nonce is good, and there are so many at the most; those above are
counted and have no record.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

from edge.metrics import counter
from edge.sessions.calls.record import Attempt

WAITING: Final = 4096  # attempts, about 1 kB each
LOOK_SECONDS: Final = 1.0

UNRECORDED = counter("calls_unproven_unrecorded_total", "Challenged calls that never came back and have no record.")


class Unproven:
    """One for the daemon. `note` takes the attempts of those who did not come back."""

    def __init__(self, note: Callable[[Attempt], None], seconds: float, clock: Callable[[], float]) -> None:
        self._note = note
        self._seconds = seconds
        self._clock = clock
        self._waiting: OrderedDict[str, tuple[float, Attempt]] = OrderedDict()  # by Call-ID: until when, oldest first

    def __len__(self) -> int:
        return len(self._waiting)

    def wait(self, attempt: Attempt) -> None:
        """It got a challenge. The last one of several counts."""
        self._waiting.pop(attempt.call_id, None)
        if len(self._waiting) >= WAITING:
            UNRECORDED.inc()
            return
        self._waiting[attempt.call_id] = self._clock() + self._seconds, attempt

    def back(self, call_id: str) -> None:
        """It came again with something to show for itself."""
        self._waiting.pop(call_id, None)

    def look(self) -> None:
        """Record those whose time is over."""
        now = self._clock()
        while self._waiting:
            call_id, (until, attempt) = next(iter(self._waiting.items()))
            if until > now:
                return
            del self._waiting[call_id]
            self._note(attempt)

    async def watch(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Look now and then, for ever."""
        while True:
            await sleep(LOOK_SECONDS)
            self.look()
