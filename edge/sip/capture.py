"""The SIP messages of calls of the last while, in memory: what passed, when, from whom and to whom.

It is a `Trace` (`turn.py`). A message that goes by costs a look for its Call-ID and a reference: nothing is read or
copied until somebody asks. Kept are the messages of calls only, from their INVITE on; no texts, no pings.

There are three bounds: octets in all, calls, and messages of one call. Over the first two the calls go that began
first; of a call with very many messages those in the middle go, for it is the beginning and the end that tell.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from edge.sip.peer import Peer

CALLS: Final = 20_000
MESSAGES: Final = 256  # of one call
FIRST: Final = 64  # of these stay when there are more
OVERHEAD: Final = 150  # octets that Python needs for a message beside its own

_CALL_ID: Final = b"\r\nCall-ID: "  # as nearly everybody writes it
_call_id = re.compile(rb"\r\n(?:call-id|i)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE).search


class Captured(NamedTuple):
    """One message as it passed."""

    when: int  # microseconds since the epoch
    sent: bool  # by us
    peer: Peer
    data: bytes


class _Kept:
    """The messages of one Call-ID, all in one list, four places each: the collector of garbage looks at every container
    there is, and these stay."""

    __slots__ = ("omitted", "size", "values")

    def __init__(self) -> None:
        self.values: list[Any] = []  # when, sent, peer, data, and again
        self.size = 0
        self.omitted = 0

    def messages(self) -> list[Captured]:
        four = [iter(self.values)] * 4
        return [Captured(*values) for values in zip(*four, strict=True)]


class Passed(NamedTuple):
    """What is still known of a call's messages, in the order they passed."""

    messages: tuple[Captured, ...]
    omitted: int = 0  # how many were in the middle


class Capture:
    """One for the daemon. `clock` gives microseconds since the epoch."""

    def __init__(self, limit_bytes: int, clock: Callable[[], int]) -> None:
        self._limit = limit_bytes
        self._clock = clock
        self._calls: OrderedDict[bytes, _Kept] = OrderedDict()  # the first goes in no time, as of a dict it does not
        self.size = 0

    def __len__(self) -> int:
        return len(self._calls)

    def __call__(self, sent: bool, peer: Peer, data: bytes) -> None:
        start = data.find(_CALL_ID)
        if start >= 0:
            key = data[start + 11 : data.find(b"\r", start + 11)]
        else:
            found = _call_id(data)
            if found is None:
                return
            key = found[1].rstrip()
        kept = self._calls.get(key)
        if kept is None:
            if data[:7] != b"INVITE ":
                return
            kept = self._calls[key] = _Kept()
        elif peer.inside and not sent:  # it was seen when it left
            return
        size = len(data) + OVERHEAD
        values = kept.values
        values += (self._clock(), sent, peer, data)
        kept.size += size
        self.size += size
        if len(values) > 4 * MESSAGES:
            gone = len(values[4 * FIRST + 3]) + OVERHEAD
            del values[4 * FIRST : 4 * FIRST + 4]
            kept.omitted += 1
            kept.size -= gone
            self.size -= gone
        if self.size > self._limit or len(self._calls) > CALLS:
            self._make_room()

    def of(self, call_ids: Iterable[str]) -> Passed:
        """The messages with one of these Call-IDs; none when they are not here any more."""
        found = [kept for call_id in call_ids if (kept := self._calls.get(_octets(call_id))) is not None]
        messages = sorted((message for kept in found for message in kept.messages()), key=lambda message: message.when)
        return Passed(tuple(messages), sum(kept.omitted for kept in found))

    def _make_room(self) -> None:
        while self._calls and (self.size > self._limit or len(self._calls) > CALLS):
            _, gone = self._calls.popitem(last=False)
            self.size -= gone.size


def _octets(call_id: str) -> bytes:
    return call_id.encode("utf-8", "surrogateescape")
