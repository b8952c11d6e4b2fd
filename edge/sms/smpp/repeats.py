"""Which deliver_sm are the same text again, where the carrier gives texts no ids of their own.

An SMSC sends a text again when it was told "not now", when our answer took too long, or when the connection went away
before the answer was read. All of that we can see from here, so only then is an equal text within `WINDOW` taken for a
repeat: it gets the id of the first, and is known by it in SQL. A person who writes "yes" twice writes two texts: the
first was answered in time, and the SMSC has proven since that it read our answer (`Session.proven`), which takes two
seconds at the most; or the second comes by the same connection, on which nothing is lost while it stands. By another
one, and before that proof, it is taken for a repeat: we may not know yet that the first connection is dead.

Equal are texts of the same source, destination, header or SAR, coding, octets, and the times that some carriers give.
The id is their hash, and when the first of them came. What a process that died had kept is read from SQL once, before
the first connection, ids only: from them all of this is there again, and no text costs a query. Of those nobody knows
how they were answered, so for as long as the window all of them may come again.

What is not nice: then a second "yes" from somebody who wrote "yes" just before a restart is taken for the first. And
what an SMSC sends again though it was answered in time, on a connection that never went away, is a text of its own.

Memory is bounded: what cannot come again is forgotten, and beyond `REMEMBERED` the oldest is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2b
from math import inf
from typing import Final, Protocol

from edge.sms.smpp import pdu
from edge.sms.smpp.pdu import Message

WINDOW: Final = 300.0  # s from one to the next, within which equal texts may be one
IN_TIME: Final = 5.0  # s; an answer later than that may find an SMSC that has given up waiting for it
REMEMBERED: Final = 100_000  # texts; those of the last minutes that may come again

_ID = re.compile(r"([0-9a-f]{32})-([0-9]{1,15})")
_SAR = (pdu.SAR_MSG_REF_NUM, pdu.SAR_TOTAL_SEGMENTS, pdu.SAR_SEGMENT_SEQNUM)


class Line(Protocol):
    """The connection that a text came by, as far as it tells what the other side has read."""

    @property
    def closed(self) -> bool: ...
    @property
    def proven(self) -> float: ...


class Seen:
    """A text that came, and how far its answer got."""

    __slots__ = ("_answered", "_line", "came", "id", "stamp")

    def __init__(self, print: str, stamp: int, came: float, line: Line | None) -> None:
        self.id = f"{print}-{stamp}"
        self.stamp = stamp
        self.came = came  # last
        self._line = line  # None: by one of a process that is gone
        self._answered = inf

    def answered(self, now: float) -> None:
        """It was told "received"."""
        self._answered = now

    def refused(self) -> None:
        """It was told "not now": it comes again."""
        self._line = None

    def again(self, now: float, line: Line) -> None:
        """It came once more."""
        self.came, self._line, self._answered = now, line, inf

    def may_come_again(self, now: float, line: Line) -> bool:
        """Whether its SMSC may have a reason to send it again, by that line."""
        if self._line is None or min(self._answered, now) - self.came > IN_TIME:
            return True
        return not self.settled and (line is not self._line or line.closed)

    @property
    def settled(self) -> bool:
        """Whether its SMSC has surely read that it was received, in time."""
        line = self._line
        return line is not None and self._answered <= line.proven and self._answered - self.came <= IN_TIME


class Repeats:
    """The texts of the last minutes of one carrier. `now` is monotonic, `stamp` milliseconds since the epoch."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._seen: dict[str, Seen] = {}  # by hash, in the order in which they came last

    def __len__(self) -> int:
        return len(self._seen)

    def recall(self, ids: Iterable[str], now: float, stamp: int) -> int:
        """Take up what another process has kept, oldest first; how many it were. What came here is known better."""
        count = 0
        for id in ids:
            match = _ID.fullmatch(id)
            if match is not None and ((known := self._seen.get(match[1])) is None or known.stamp < int(match[2])):
                age = max(0.0, (stamp - int(match[2])) / 1000)
                self._put(match[1], Seen(match[1], int(match[2]), now - age, None), now)
                count += 1
        return count

    def identify(self, message: Message, line: Line, now: float, stamp: int) -> Seen:
        """What this text is known by: that of one before, when it may be the same."""
        print = fingerprint(message)
        seen = self._seen.get(print)
        if seen is not None and now - seen.came < WINDOW and seen.may_come_again(now, line):
            seen.again(now, line)
        else:
            if seen is not None:
                stamp = max(stamp, seen.stamp + 1)  # two texts in one millisecond are two
            seen = Seen(print, stamp, now, line)
        self._put(print, seen, now)
        return seen

    def _put(self, print: str, seen: Seen, now: float) -> None:
        entries = self._seen
        entries.pop(print, None)
        entries[print] = seen
        for _ in range(2):  # more than come in, so that what is over goes
            first = next(iter(entries))
            oldest = entries[first]
            if oldest is seen or not (len(entries) > self._remembered or now - oldest.came >= WINDOW or oldest.settled):
                return
            del entries[first]


def fingerprint(message: Message) -> str:
    """What equal texts have in common."""
    parts = (
        message.source.digits,
        message.destination.digits,
        message.schedule_delivery_time,
        message.validity_period,
        message.esm_class & pdu.UDHI,
        message.data_coding,
        message.payload,
        [message.tlv(tag) for tag in _SAR] if message.tlvs else (),
    )
    return blake2b(repr(parts).encode(), digest_size=16).hexdigest()
