"""A call is connected: its caller waits while others are rung, and talks to the first that answers.

`dialing.py` says whom to ring and for how long, `leg.py` rings, `bridge.py` joins. This file carries the news of the
legs to the first and its orders back, and sees to what the caller hears meanwhile: the early media of the one who rings
if the flow wants that, else a ring of our own: 180, by which his phone makes one, or, where he hears us already, the
tone of his country.

Everything happens in the turn in which the news come: the caller is answered in the turn of the callee's 200, and when
one side hangs up the other is ended in the same turn. The flow only waits for the outcome. Whoever ends last finds
nothing to do: both may hang up at once, an answer may cross a CANCEL (`leg.py`), and a caller who is gone ends all that
was begun for him.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from edge.accounts.allowance import country_of
from edge.errors import EdgeError, Invalid, Unavailable
from edge.flows.dial import Dial, Dialed, outcome_of
from edge.flows.session import SessionEnded
from edge.media.sdp import Direction
from edge.media.stream import StreamClosed
from edge.media.tone import ringback
from edge.sessions.calls.book import CallBook
from edge.sessions.calls.bridge import Bridge
from edge.sessions.calls.call import Call
from edge.sessions.calls.dialing import CAUSE_OF_STATUS, Cancel, Dialing, Orders, Ring
from edge.sessions.calls.leg import ELSEWHERE, Leg, Way, attempt_of
from edge.sessions.calls.ways import Ways

SPENT: Final = 483  # Max-Forwards is used up
NOT_NOW: Final = 503  # the network's fault, for who decides on the next one
NOT_RELAYED: Final = frozenset({401, 402, 407})  # between us and the trunk; nobody else's business
UNAVAILABLE: Final = 480


class Switchboard:
    """Connects calls; one for the daemon."""

    def __init__(self, ways: Ways, book: CallBook) -> None:
        self._ways = ways
        self._book = book

    async def connect(self, call: Call, dial: Dial) -> Dialed:
        """See `CallSession.connect`."""
        if call.hops_left == 0:
            if call.answered:
                raise Unavailable("the call has passed through too many hands (Max-Forwards is 0)")
            call.hang_up("failed", status=SPENT, cause=CAUSE_OF_STATUS[SPENT])
        ways = await call.during(lambda: self._ways.find(call.origin, dial))
        connecting = Connecting(call, dial, ways, self._book)
        call.join(connecting)
        try:
            connecting.begin()
            while (dialed := connecting.dialed) is None:
                await call.wait()
        finally:
            call.join(None)
            connecting.close()
        if dial.relay_reason and dialed.outcome != "answered":
            try:
                call.hang_up("dialout", status=_relayed(dialed.status), cause=dialed.cause)
                await call.wait()
            except SessionEnded as ended:  # the step is over with it, and its record is to say who was not reached
                raise SessionEnded(ended.by, f"{ended.reason}; {dialed}") from None
        return dialed


class Connecting:
    """One connect, from the first ring to the end of the talk. Raises, in `begin`, when nobody can be rung at all."""

    def __init__(self, caller: Call, dial: Dial, ways: Sequence[Way | EdgeError], book: CallBook) -> None:
        self._caller = caller
        self._dial = dial
        self._ways = ways
        self._book = book
        self._dialing = Dialing(len(ways), together=dial.together, seconds=dial.ring_seconds)
        self._legs: dict[Leg, int] = {}
        self._early: Leg | None = None  # whom the caller hears before the answer
        self._bridge: Bridge | None = None
        self._since = 0.0  # when the talk began
        self._rung = False  # an INVITE went out
        self._fault: EdgeError | None = None  # the first reason of ours why one could not
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._tone: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self.dialed: Dialed | None = None  # what came of it

    def begin(self) -> None:
        self._obey(self._dialing.begin(self._loop.time()))
        if self.dialed is not None and not self._rung and self._fault is not None:
            raise self._fault

    def close(self) -> None:
        """Whatever is still there is over."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._silence()
        bridge, self._bridge = self._bridge, None  # which knows the legs, and they us
        if bridge is not None:
            bridge.close()
        said = self._caller.attempt.hangup_cause if self._caller.ended is not None else 0  # RFC 3326: passed on
        for leg in list(self._legs):
            leg.hang_up("normal" if leg.answered else "cancel", cause=said or None)

    # News of the calls

    @property
    def talking(self) -> bool:
        return self._bridge is not None

    def rang(self, leg: Leg, *, early: bool) -> None:
        if self._bridge is not None or self._early is not None or self._caller.ended is not None:
            return
        if early and self._dial.early_media and self._hear(leg):
            return
        if self._caller.stream is None:
            self._caller.ring()
        elif self._tone is None:
            self._tone = self._loop.create_task(self._ring_tone())

    def answered(self, leg: Leg) -> None:
        self._obey(self._dialing.answered(self._legs[leg]), why=ELSEWHERE)
        if self._dialing.winner != self._legs[leg] or self._caller.ended is not None:
            leg.hang_up("normal")
            return
        self._silence()
        try:
            self._caller.pick_up()
            self._bridge = Bridge(self._caller, leg)
        except (SessionEnded, StreamClosed):
            leg.hang_up("normal")
            return
        self._since = self._loop.time()

    def ended(self, call: Call) -> None:
        if call is self._caller or not isinstance(call, Leg):
            self.close()
            return
        index = self._legs.pop(call)
        self._book.leave(call)
        if call is self._early:
            self._early = None
        if self._closed:
            return
        if index == self._dialing.winner:
            talked = self._loop.time() - self._since if self._bridge is not None else 0.0
            self._finish(Dialed("answered", 200, self._destination(index), None, talked))
        else:
            self._obey(self._dialing.failed(index, call.refusal, call.cause, self._loop.time()))

    def pressed(self, call: Call, digits: str, *, relayed: bool) -> None:
        if self._bridge is not None:
            self._bridge.pressed(call, digits, relayed=relayed)

    def described(self, call: Call, direction: Direction) -> None:
        if self._bridge is not None:
            self._bridge.described(call, direction)

    # What is done about it

    def _obey(self, orders: Orders, *, why: str = "cancel") -> None:
        """Ring who is to be rung, and give up others, `why` as the record has it."""
        waiting = deque(orders)
        while waiting:
            match waiting.popleft():
                case Ring(index):
                    waiting.extend(self._ring(index))
                case Cancel(index):
                    for leg in [leg for leg, its in self._legs.items() if its == index]:
                        leg.hang_up(why)
        self._set_timer()
        verdict = self._dialing.verdict
        if self._dialing.over and self._dialing.winner is None and verdict is not None:
            status, cause = verdict.status, verdict.cause or CAUSE_OF_STATUS.get(verdict.status)
            note = self._fault.message if self._fault is not None else ""
            self._finish(Dialed(outcome_of(status), status, self._destination(verdict.index), cause, note=note))

    def _ring(self, index: int) -> Orders:
        """Send the INVITE; when that is impossible the network is to blame, and the next one may do."""
        way = self._ways[index]
        try:
            if isinstance(way, EdgeError):
                raise way
            leg = self._leg(way)
            self._legs[leg] = index
            self._book.enter(leg)
            leg.invite_or_fail(way, self._caller.codec)
            self._rung = True
        except EdgeError as error:
            self._fault = self._fault or error
            return self._dialing.failed(index, NOT_NOW, error.cause, self._loop.time())
        return []

    def _leg(self, way: Way) -> Leg:
        master = self._caller.attempt
        self._book.require_room(master.customer_id, way.trunk, way.max_calls)
        attempt = attempt_of(way, master.customer_id, master.number_id, master.number, master.id)
        return Leg(self._caller.desk, attempt, self, self._caller.path)

    def _destination(self, index: int) -> str:
        return self._dial.destinations[index]

    def _finish(self, dialed: Dialed) -> None:
        if self.dialed is None:
            self.dialed = dialed
            self._caller.wake()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._dialing.deadline is not None:
            self._timer = self._loop.call_at(self._dialing.deadline, self._time_is_over)

    def _time_is_over(self) -> None:
        self._timer = None
        self._obey(self._dialing.wake(self._loop.time()), why="noanswer")

    # What the caller hears

    def _hear(self, leg: Leg) -> bool:
        """Early media: relay them, if the caller can have some."""
        try:
            self._caller.open_early()
        except Invalid:
            return False
        except SessionEnded:
            return True
        if self._caller.stream is None or leg.stream is None:
            return False
        self._silence()
        self._early = leg
        self._caller.stream.relay(leg.stream)
        return True

    async def _ring_tone(self) -> None:
        country = self._dial.ringback or country_of(self._caller.attempt.number)
        ring = await asyncio.to_thread(ringback, country)  # the first of a country takes longer than a packet may wait
        rings = int((len(self._ways) * self._dial.ring_seconds) // ring.seconds) + 1
        if self._caller.stream is not None:
            with suppress(StreamClosed):
                await self._caller.stream.play(*[ring] * rings)

    def _silence(self) -> None:
        """No ring tone any more."""
        if self._tone is not None:
            self._tone.cancel()
            self._tone = None


def _relayed(status: int) -> int:
    """The status of the callee as the caller's side may have it."""
    return UNAVAILABLE if status in NOT_RELAYED or not 400 <= status < 700 else status
