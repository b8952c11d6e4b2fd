"""The gate of a channel: when something may be given to it.

A rate is so many units a second (segments of texts), for all of the channel and for each group in it (each of our
numbers). What goes through puts off what comes next by as long as it takes at that rate: no more goes at once, however
long nothing went. An instant that was missed for lack of a timer that is exact is made up for, up to `SLACK`.

A channel that says it is busy is given nothing until that is over, and then one thing first. If the channel is busy
still it waits longer; whatever else it says, it is there again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from typing import Final

FIRST_PAUSE: Final = 1.0  # seconds, where a channel that is busy does not say how long; it doubles each time
LONGEST_PAUSE: Final = 15.0  # a carrier whose connection is there again should not wait for us for long
LONGEST_NAMED: Final = 3600.0  # whatever a channel says
SLACK: Final = 0.02  # seconds; less than the timer of the loop may be late
GROUPS: Final = 1000  # remembered, before those are forgotten that may go anyway


class Gate:
    """One channel's. `rate` and `per_group` in units a second, None for no limit; `clock` in seconds, never set."""

    def __init__(self, clock: Callable[[], float], rate: float | None = None, per_group: float | None = None) -> None:
        self._clock = clock
        self._rate = rate
        self._per_group = per_group
        self._next = -math.inf  # when the channel may be given something
        self._of_groups: dict[Hashable, float] = {}
        self._until = -math.inf  # of the pause
        self._pause = 0.0  # how long it was; 0: there is none
        self._probing = False

    def now(self) -> float:
        """The time as the gate has it."""
        return self._clock()

    @property
    def paused(self) -> bool:
        return self._pause > 0

    def wait(self) -> float:
        """Seconds until anything may go: 0 now, infinity when something has to come back first."""
        if self._pause:
            left = self._until - self._clock()
            if left > 0:
                return left
            if self._probing:
                return math.inf
        return max(0.0, self._next - self._clock())

    def wait_of(self, group: Hashable) -> float:
        """The same for what is of a group."""
        return max(0.0, self._of_groups.get(group, -math.inf) - self._clock())

    def go(self, group: Hashable, units: float) -> None:
        """Something goes through."""
        now = self._clock()
        if self._pause:
            self._probing = True
        if self._rate is not None:
            self._next = max(self._next, now - SLACK) + units / self._rate
        if self._per_group is not None:
            self._of_groups[group] = max(self._of_groups.get(group, -math.inf), now - SLACK) + units / self._per_group
            if len(self._of_groups) > GROUPS:
                self._of_groups = {group: at for group, at in self._of_groups.items() if at > now - SLACK}

    def busy(self, after: float | None) -> float | None:
        """The channel says so: nothing goes for a while. Returns how long, None when it was known already."""
        now = self._clock()
        if self._pause and not self._probing:  # of what went before the pause
            if after is not None:
                self._until = max(self._until, now + min(after, LONGEST_NAMED))
            return None
        self._probing = False
        self._pause = min(LONGEST_PAUSE, 2 * self._pause) if self._pause else FIRST_PAUSE
        wait = self._pause if after is None else min(after, LONGEST_NAMED)
        self._until = now + wait
        return wait

    def answered(self) -> bool:
        """The channel took or refused something: it is there. Whether that ends a pause."""
        if not self._probing:
            return False  # there is none, or this went before it
        ended, self._pause, self._probing = self._pause > 0, 0.0, False
        return ended

    def returned(self) -> None:
        """What went did not get as far as the channel; the next one may try."""
        self._probing = False
