"""Lanes: work that must be done in order for each pair of numbers, and as much at once as is allowed.

A lane is what waits under one key. Of each lane one piece is at work at a time, of all lanes at most `limit`; lanes
take turns, so that one with a long queue does not hold up the others. An idle lane does not exist.

Where there is a gate (`gate.py`), a piece begins when that lets it. Lanes are then in groups, which take turns, and a
group that has to wait does not hold up the others.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from itertools import count
from typing import Final, Literal, NamedTuple

from edge.log import get_logger
from edge.sessions.queues.gate import Gate

log = get_logger("sessions")

SHORTEST: Final = 0.0005  # seconds; what is due while it is looked at is begun a moment later

Again = Literal["again"]  # the piece stays at the head of its lane
Work = Callable[[], Awaitable[Again | None]]


class _Piece(NamedTuple):
    work: Work
    units: float


class Lanes:
    """Work by key. What work raises is logged and does not stop its lane."""

    def __init__(self, limit: int, gate: Gate | None = None) -> None:
        self._limit = limit
        self._gate = gate
        self._lanes: dict[Hashable, deque[_Piece]] = {}
        self._groups: dict[Hashable, deque[Hashable]] = {}  # lanes with work and none of it being done, by group
        self._turns: deque[Hashable] = deque()  # groups that may begin something
        self._asleep: list[tuple[float, int, Hashable]] = []  # groups that the gate holds up: a heap by their time
        self._entry = count()
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def add(self, key: Hashable, work: Work, *, group: Hashable = None, units: float = 1.0) -> None:
        """Put work at the end of a lane. It begins in a later turn of the loop.

        `group` is the same for all work of a lane; without it each lane is one of its own.
        """
        lane = self._lanes.get(key)
        if lane is not None:
            lane.append(_Piece(work, units))
            return
        self._lanes[key] = deque((_Piece(work, units),))
        self._ready(key, key if group is None else group)
        self.look()

    def free(self, key: Hashable) -> bool:
        """Whether work added now would begin at once."""
        return key not in self._lanes and len(self._tasks) < self._limit and not self._turns

    async def idle(self) -> None:
        """Wait until nothing is left to do, or only what the gate holds up."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def clear(self) -> None:
        """Forget what waits; what is at work goes on."""
        for lanes in self._groups.values():
            for key in lanes:
                del self._lanes[key]
        for lane in self._lanes.values():
            lane.clear()
        self._groups.clear()
        self._turns.clear()
        self._asleep.clear()

    async def close(self) -> None:
        """Cancel what is at work, forget what waits."""
        self._closed = True
        self._lanes.clear()
        self._groups.clear()
        self._turns.clear()
        self._asleep.clear()
        self._set_timer(0)
        for task in self._tasks:
            task.cancel()
        await self.idle()

    def look(self) -> None:
        """Begin what may begin now."""
        gate, wait = self._gate, 0.0
        self._wake()
        while self._turns and len(self._tasks) < self._limit and not self._closed:
            if gate is not None:
                if wait := gate.wait():
                    break
                if held_up := gate.wait_of(self._turns[0]):
                    until = gate.now() + held_up
                    heapq.heappush(self._asleep, (until, next(self._entry), self._turns.popleft()))
                    continue
            self._begin(self._turns.popleft())
        self._set_timer(wait)

    def _begin(self, group: Hashable) -> None:
        lanes = self._groups[group]
        key = lanes.popleft()
        piece = self._lanes[key].popleft()
        if lanes:
            self._turns.append(group)
        else:
            del self._groups[group]
        if self._gate is not None:
            self._gate.go(group, piece.units)
        task = asyncio.get_running_loop().create_task(self._do(key, group, piece))
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def _do(self, key: Hashable, group: Hashable, piece: _Piece) -> None:
        again: Again | None = None
        try:
            again = await piece.work()
        except Exception:
            log.exception("work on a text failed")
        finally:
            lane = self._lanes.get(key)
            if lane is not None:
                if again is not None:
                    lane.appendleft(piece)
                if lane:
                    self._ready(key, group)
                else:
                    del self._lanes[key]

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self.look()

    def _ready(self, key: Hashable, group: Hashable) -> None:
        lanes = self._groups.get(group)
        if lanes is not None:
            lanes.append(key)
        else:
            self._groups[group] = deque((key,))
            self._turns.append(group)

    def _wake(self) -> None:
        if self._gate is not None:
            now = self._gate.now()
            while self._asleep and self._asleep[0][0] <= now:
                self._turns.append(heapq.heappop(self._asleep)[2])

    def _set_timer(self, wait: float) -> None:
        """Look again when the gate opens, for all or for the group that may go first."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._gate is None or self._closed:
            return
        if self._asleep:
            held_up = max(SHORTEST, self._asleep[0][0] - self._gate.now())
            wait = min(wait, held_up) if wait else held_up
        if 0 < wait < math.inf:
            self._timer = asyncio.get_running_loop().call_later(wait, self.look)
