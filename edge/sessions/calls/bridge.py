"""Two calls joined: each hears the other.

Audio and keys go from stream to stream (`media`), past everything here. What is left is what only SIP says:

- A re-INVITE is answered by us at once, since our own media stay where they are. When it changes what its side does
  (hold, resume), the other side is told so with a re-INVITE of ours. What only changes codec or address is nobody
  else's business.
- Keys are pressed towards the other side in its way (`pressing.py`), unless they are events that the relay passes on.

When the bridge ends, a side that was told of a hold is taken back from it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import groupby

from edge.errors import Invalid, Unavailable
from edge.media.sdp import Direction
from edge.media.stream import StreamClosed
from edge.sessions.calls.call import Call
from edge.sessions.calls.pressing import Way

WAITING_KEYS = 64  # not pressed yet; more are lost


class Bridge:
    """The join of two calls that are up. Raises StreamClosed when one is over."""

    def __init__(self, one: Call, other: Call) -> None:
        self._other = {one: other, other: one}
        self._told: dict[Call, Direction] = {one: "sendrecv", other: "sendrecv"}
        self._keys: dict[Call, deque[tuple[str, tuple[Way, ...]]]] = {one: deque(), other: deque()}
        self._pressing: set[asyncio.Task[None]] = set()
        self._closed = False
        self._relay()
        for call in (one, other):
            if call.direction is not None:
                self.described(call, call.direction)

    def described(self, call: Call, direction: Direction) -> None:
        """This side does that from now on: tell the other."""
        other = self._other[call]
        if self._told[other] != direction:
            self._told[other] = direction
            other.offer_again(direction)

    def pressed(self, call: Call, digits: str, *, relayed: bool) -> None:
        """Press these keys towards the other side; `relayed`: they came as events."""
        other = self._other[call]
        by = tuple(way for way in other.key_ways() if not (relayed and way == "events"))
        waiting = self._keys[other]
        idle = not waiting
        waiting.extend((key, by) for key in digits[: WAITING_KEYS - len(waiting)] if by)
        if idle and waiting:
            task = asyncio.get_running_loop().create_task(self._press(other))
            self._pressing.add(task)
            task.add_done_callback(self._pressing.discard)

    def close(self) -> None:
        """Each speaks for itself again."""
        self._closed = True
        for task in self._pressing:
            task.cancel()
        for call, direction in self._told.items():
            if call.stream is not None:
                call.stream.unrelay()
            if direction != "sendrecv" and call.ended is None:
                call.offer_again("sendrecv")

    def _relay(self) -> None:
        one, other = self._other
        if one.stream is None or other.stream is None:
            raise StreamClosed
        one.stream.relay(other.stream)

    async def _press(self, call: Call) -> None:
        """The relay pauses for what goes through the stream: what is relayed leaves no room for packets of our own."""
        waiting = self._keys[call]
        while waiting and call.stream is not None and not self._closed:
            by = waiting[0][1]
            keys = "".join(key for key, _ in next(groupby(waiting, key=_way_of))[1])
            sounds = by != ("info",)
            if sounds:
                call.stream.unrelay()
            try:
                await call.press(keys, by)
                for _ in keys:
                    waiting.popleft()
            except (Invalid, Unavailable, StreamClosed):  # it takes none
                waiting.clear()
            finally:
                if sounds and not self._closed and all(one.stream is not None for one in self._other):
                    self._relay()


def _way_of(pressed: tuple[str, tuple[Way, ...]]) -> tuple[Way, ...]:
    return pressed[1]
