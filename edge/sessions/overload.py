"""When to turn new calls and texts away because there is too much to do already.

The story of the bound. What an edge has too little of is time of its one event loop: once more comes in than it can
do, all that waits grows, answers come late, carriers repeat what is not answered, and the repeats are more work. So the
loop is watched: a beat that should come each `BEAT_SECONDS` comes late by what the loop is behind. While that is more
than `lag_ms` a growing share of what is new is refused, from each beat to the next; once it is less, the share shrinks.
A refusal costs a tenth of a call and holds nothing, so the loop catches up, and what was let in is served in time. The
other bounds are counts: calls that wait for the tables (a store that hangs makes them pile up without any lag), and
calls in all.

Only what is new is refused: a request outside of dialogs. ACK, BYE, CANCEL, re-INVITEs and all that belongs to a call
are served whatever the load. A refusal is a 503 with Retry-After from 2 to 10 s, spread, for other edges may have room
now, and a longer one would have carriers take this edge out of service.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pydantic import Field

from edge.metrics import gauge, tally
from edge.settings import Section

BEAT_SECONDS: Final = 0.05
STEEPEST: Final = (
    0.25  # of what is new, more to be refused from one beat to the next when the lag is twice what it may be
)
EASE: Final = 0.8  # what is left of the share after a beat in time
NONE_SHARE: Final = 0.02  # a share below is none
ALL_SHARE: Final = 0.98  # never all: what is let in shows whether it is over

SHED = tally("calls_shed_total", "New calls and texts turned away for overload, by which bound.", ("reason",))
_SHED: Final = {bound: SHED.labels(bound) for bound in ("lag", "waiting", "calls", "trunk_rate", "trunk_calls")}
SHARE = gauge("shed_share", "The share of new calls and texts that is turned away because the event loop is late.")


class OverloadSection(Section):
    """When new calls and texts are turned away with a 503 and a Retry-After."""

    lag_ms: float = Field(
        default=100.0, ge=0, description="Milliseconds that the event loop may be late; above, a growing share. 0: any."
    )
    max_calls: int = Field(default=10_000, gt=0, description="Calls at once, in both directions.")
    max_waiting: int = Field(default=1_000, gt=0, description="Calls at once that wait for their number or flow.")


class Overload:
    """Says whether there is room. `calls` and `waiting` tell how many there are now."""

    def __init__(self, section: OverloadSection, calls: Callable[[], int], waiting: Callable[[], int]) -> None:
        self._section = section
        self._calls = calls
        self._waiting = waiting
        self._share = 0.0
        self._owed = 0.0  # refusals that the share asks for and that were not given yet

    @property
    def share(self) -> float:
        """Of what is new, what is refused for lag: 0 to 1."""
        return self._share

    def beat(self, late: float) -> None:
        """The beat came `late` seconds after its time."""
        allowed = self._section.lag_ms / 1000
        if allowed and late > allowed:
            self._share = min(ALL_SHARE, self._share + STEEPEST * min(1.0, late / allowed - 1.0) + NONE_SHARE)
        elif self._share:
            self._share = self._share * EASE if self._share * EASE > NONE_SHARE else 0.0
            self._owed = 0.0 if not self._share else self._owed
        SHARE.set(self._share)

    def refuses(self) -> bool:
        """Whether the next new one is turned away. Counted."""
        if self._share:
            self._owed += self._share
            if self._owed >= 1.0:
                self._owed -= 1.0
                _SHED["lag"].inc()
                return True
        if self._calls() >= self._section.max_calls:
            _SHED["calls"].inc()
            return True
        if self._waiting() >= self._section.max_waiting:
            _SHED["waiting"].inc()
            return True
        return False


def count_refusal(bound: str) -> None:
    """A trunk's own bound turned something away: trunk_rate or trunk_calls."""
    _SHED[bound].inc()
