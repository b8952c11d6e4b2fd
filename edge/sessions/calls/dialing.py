"""The order of attempts: whom to ring next, whom to cancel, and when it is over. Told things with their time; it knows
neither calls nor clocks.

One after another: the next one is rung when one did not answer in its time, or when its network failed (408 and 5xx).
What a human's phone said (486, 603, and every other answer) ends it: whoever pressed "busy" did not ask for his
colleague to be rung.

All at once: the first answer wins and the others are cancelled. A phone that is busy or declines (486, 600, 603) does
not speak for the others; any other 6xx does (RFC 3261 §21.6), for it says that nobody there can be reached.

What is told to the caller when nobody answered: one after another the last answer, of all at once the best, that of a
human before that of a network (in the manner of §16.7).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

NO_ANSWER: Final = 480  # it rang, and nobody came
NO_ANSWER_CAUSE: Final = 19  # Q.850: user alerted, no answer
CAUSE_OF_STATUS: Final = {  # Q.850, by RFC 3398 §8.2.6.1
    403: 21,
    404: 1,
    405: 63,
    406: 79,
    408: 102,
    410: 22,
    415: 79,
    480: 18,
    482: 25,
    483: 25,
    484: 28,
    485: 1,
    486: 17,
    500: 41,
    501: 79,
    502: 38,
    503: 41,
    504: 102,
    600: 17,
    603: 21,
    604: 1,
}
ONE_PHONE: Final = frozenset({486, 600, 603})  # said by one phone of several, for itself


@dataclass(frozen=True, slots=True)
class Ring:
    """Begin to ring this one."""

    index: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """Ring this one no more."""

    index: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why nobody answered: whose answer, and which."""

    index: int
    status: int
    cause: int | None


Orders = list[Ring | Cancel]


class Dialing:
    """The attempts of one dialing. Over when somebody answered (`winner`) or nobody will (`verdict`)."""

    __slots__ = ("_count", "_next", "_ringing", "_seconds", "_together", "deadline", "verdict", "winner")

    def __init__(self, count: int, *, together: bool, seconds: float) -> None:
        self._count = count
        self._together = together
        self._seconds = seconds
        self._ringing: set[int] = set()
        self._next = 0
        self.deadline: float | None = None  # when `wake` is to be called
        self.winner: int | None = None
        self.verdict: Verdict | None = None

    @property
    def over(self) -> bool:
        return self.winner is not None or (self.verdict is not None and not self._ringing)

    def begin(self, now: float) -> Orders:
        return self._ring(now)

    def answered(self, index: int) -> Orders:
        """This one answered. Who comes too late, or was cancelled, is not ringing any more."""
        if index not in self._ringing:
            return []
        self._ringing.discard(index)
        self.winner = index
        return self._cancel_all()

    def failed(self, index: int, status: int, cause: int | None, now: float) -> Orders:
        """This one will not answer, or could not be rung at all."""
        if index not in self._ringing:
            return []
        self._ringing.discard(index)
        self._note(Verdict(index, status, cause))
        if self._together:
            return self._cancel_all() if status >= 600 and status not in ONE_PHONE else self._still()
        return self._ring(now) if status == 408 or 500 <= status < 600 else self._end()

    def wake(self, now: float) -> Orders:
        """The time has come: whoever rings has rung long enough."""
        if self.deadline is None or now < self.deadline:
            return []
        for index in sorted(self._ringing):
            self._note(Verdict(index, NO_ANSWER, NO_ANSWER_CAUSE))
        orders = self._cancel_all()
        return orders if self._together else orders + self._ring(now)

    def _ring(self, now: float) -> Orders:
        last = self._count if self._together else min(self._next + 1, self._count)
        fresh = range(self._next, last)
        if not fresh:
            return self._end()
        self._next = last
        self._ringing.update(fresh)
        self.deadline = now + self._seconds
        return [Ring(index) for index in fresh]

    def _note(self, verdict: Verdict) -> None:
        if self.verdict is None or not self._together or _weight(verdict) > _weight(self.verdict):
            self.verdict = verdict

    def _still(self) -> Orders:
        return [] if self._ringing else self._end()

    def _cancel_all(self) -> Orders:
        orders: Orders = [Cancel(index) for index in sorted(self._ringing)]
        self._ringing.clear()
        return orders + self._end()

    def _end(self) -> Orders:
        self.deadline = None
        return []


def _weight(verdict: Verdict) -> int:
    """How much an answer says: 6xx most, then a human's, then that nobody came, then the network's."""
    status = verdict.status
    if status >= 600:
        return 4
    if status in ONE_PHONE:
        return 3
    if status == NO_ANSWER:
        return 2
    return 1 if status < 500 else 0
