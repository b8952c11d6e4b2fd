"""Two agents talk over a bad wire: it loses, repeats, delays and reorders. Whatever it does, everything ends.

Each message meets the next of a list of fates, in turn: the delays of its copies in seconds; none means it is lost.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count, cycle, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.sip.agent import Agent
from edge.sip.events import (
    CallAnswered,
    CallConfirmed,
    CallEnded,
    CallFailed,
    CallOffered,
    Event,
    OfferCancelled,
    ReinviteAnswered,
    ReinviteFailed,
    Reoffered,
    TextDone,
    TextOffered,
)
from edge.sip.peer import Peer
from edge.sip.terms import Reliable, Terms
from edge.sip.timers import GIVE_UP
from tests.sip.ladder import OURS, SDP

CALLER, CALLEE = ("192.0.2.9", 5060), ("192.0.2.1", 5060)
URI = "sip:+14155550100@192.0.2.1"

Fate = tuple[float, ...]
GOOD: list[Fate] = [(0.02,)]
FATES: list[Fate] = [(0.02,), (0.02,), (0.3,), (1.1,), (3.0,), (), (), (0.02, 0.02), (0.02, 0.7), (0.4, 2.5)]
HANGS_UP_AT_LAST = 400.0  # when nobody else did


@dataclass
class Plan:
    """What the users do; None means never. Times of the caller are since the INVITE, of the callee since the offer."""

    answer: int = 200  # or a refusal
    answer_after: float | None = 0.0
    ring: bool = False
    early: bool = False  # media before the answer
    reliable: Reliable = "off"
    session: int | None = None  # the interval that both ask for
    cancel_at: float | None = None
    caller_ends_after: float | None = None  # the answer
    callee_ends_after: float | None = None
    refers: bool = False  # the callee sends a REFER
    caller_wishes: tuple[float, ...] = ()  # re-INVITEs; seconds after the answer
    callee_wishes: tuple[float, ...] = ()
    accepts: bool = True  # re-INVITEs of the other side; else 488
    ponders: float = 0.0  # before it does
    fates: list[Fate] = field(default_factory=lambda: list(GOOD))


class Side:
    def __init__(self, name: str, wire: Simulation) -> None:
        tokens = count(1)
        self.agent = Agent(lambda: f"{name}{next(tokens)}", admit=lambda *_: wire.terms)
        self.wire = wire
        self.events: list[Event] = []
        self.calls: list[Any] = []
        self.offered_at: list[float] = []  # when calls and texts were offered
        self.wished: list[bytes] = []  # while the call was up

    def count(self, kind: type) -> int:
        return sum(isinstance(event, kind) for event in self.events)

    def first(self, kind: type) -> Any:
        return next((event for event in self.events if isinstance(event, kind)), None)


class Simulation:
    """The wire, the clock and both users."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.terms = Terms(reliable=plan.reliable, session_expires=plan.session)
        self.now = 0.0
        self.fates = cycle(plan.fates)
        self.queue: list[tuple[float, int, Callable[[], object]]] = []
        self.order = count()
        self.caller, self.callee = Side("a", self), Side("b", self)
        self.sides = {CALLER: self.caller, CALLEE: self.callee}
        self.outgoing: Any = None

    def after(self, seconds: float, what: Callable[[], object]) -> None:
        heapq.heappush(self.queue, (self.now + seconds, next(self.order), what))

    def drain(self) -> None:
        """Both sides end their turns."""
        busy = True
        while busy:
            busy = False
            for side in self.sides.values():
                while (event := side.agent.next_event()) is not None:
                    busy = True
                    side.events.append(event)
                    self.told(side, event)
                for peer, data in side.agent.to_send(self.now):
                    back = Peer("udp", peer.remote, peer.local)
                    there = self.sides[peer.remote].agent
                    for delay in next(self.fates):
                        self.after(delay, lambda there=there, data=data, back=back: there.receive(data, back, self.now))  # type: ignore[misc]

    def run(self) -> None:
        """Until nothing is left to happen."""
        self.drain()
        for _ in range(20_000):
            deadlines = [d for side in self.sides.values() if (d := side.agent.get_timer()) is not None]
            if self.queue:
                deadlines.append(self.queue[0][0])
            if not deadlines:
                return
            self.now = max(self.now, min(deadlines))
            while self.queue and self.queue[0][0] <= self.now:
                heapq.heappop(self.queue)[2]()
                self.drain()
            for side in self.sides.values():
                side.agent.handle_timer(self.now)
            self.drain()
        pytest.fail("it never ends")

    # The users

    def told(self, side: Side, event: Event) -> None:
        plan, agent = self.plan, side.agent
        if isinstance(event, CallOffered | TextOffered):
            side.offered_at.append(self.now)
        match event:
            case CallOffered(offer):
                if plan.ring:
                    agent.ring(offer, self.now)
                if plan.early:
                    agent.progress(offer, OURS, self.now)
                if plan.answer_after is not None:
                    self.after(plan.answer_after, lambda: self.decide(offer))
            case CallAnswered(_, call, _):
                side.calls.append(call)
                self.wish_later(side, call, plan.caller_wishes)
                self.end_later(side, call, plan.caller_ends_after)
            case Reoffered(reoffer):
                self.after(plan.ponders, lambda: self.ponder(side, reoffer))
            case TextOffered(text):
                if plan.answer_after is not None:
                    self.after(plan.answer_after, lambda: agent.take_text(text, 202, self.now))

    def decide(self, offer: Any) -> None:
        agent = self.callee.agent
        if self.plan.answer == 302:
            agent.redirect(offer, ["sip:a@b"], self.now)
        elif self.plan.answer >= 300:
            agent.reject(offer, self.plan.answer, self.now)
        else:
            call = agent.answer(offer, OURS, self.now)
            if not call.ended:
                self.callee.calls.append(call)
                self.wish_later(self.callee, call, self.plan.callee_wishes)
                self.end_later(self.callee, call, self.plan.callee_ends_after)
                if self.plan.refers:
                    self.after(1.0, lambda: agent.refer(call, "sip:x@y", self.now))

    def ponder(self, side: Side, reoffer: Any) -> None:
        if self.plan.accepts:
            side.agent.accept(reoffer, b"yes to " + reoffer.sdp, self.now)
        else:
            side.agent.refuse(reoffer, 488, self.now)

    def wish_later(self, side: Side, call: Any, times: tuple[float, ...]) -> None:
        def wish(sdp: bytes) -> None:
            if not call.ended:
                side.wished.append(sdp)
            side.agent.reinvite(call, sdp, self.now)

        for number, seconds in enumerate(times):
            self.after(seconds, partial(wish, b"wish %d" % number))

    def end_later(self, side: Side, call: Any, seconds: float | None) -> None:
        self.after(HANGS_UP_AT_LAST if seconds is None else seconds, lambda: side.agent.end(call, self.now))

    def call(self) -> None:
        agent = self.caller.agent
        peer = Peer("udp", CALLER, CALLEE)
        self.outgoing = agent.invite(
            peer=peer, uri=URI, from_="sip:a@192.0.2.9", to=URI, sdp=SDP, now=0.0, terms=self.terms
        )
        if self.plan.cancel_at is not None:
            self.after(self.plan.cancel_at, lambda: agent.cancel(self.outgoing, self.now))
        self.run()

    def text(self) -> None:
        peer = Peer("udp", CALLER, CALLEE)
        self.caller.agent.send_text(peer=peer, uri=URI, from_="sip:a@192.0.2.9", to=URI, body=b"hello", now=0.0)
        self.run()


def nothing_is_left(simulation: Simulation) -> None:
    for side in simulation.sides.values():
        assert set(side.agent.stats().values()) == {0}, side.agent.stats()


def each_ends_once(simulation: Simulation) -> None:
    for side in simulation.sides.values():
        ended = Counter(id(event.call) for event in side.events if isinstance(event, CallEnded))
        assert ended == Counter(id(call) for call in side.calls)
        assert all(call.ended for call in side.calls)
    caller, callee = simulation.caller, simulation.callee
    assert caller.count(CallAnswered) + caller.count(CallFailed) == 1
    assert callee.count(CallConfirmed) <= len(callee.calls)
    assert len(callee.calls) + callee.count(OfferCancelled) <= callee.count(CallOffered)
    repeats_are_known(callee)


def wishes_are_told(simulation: Simulation) -> None:
    """Each is told of once at the most, the last one of a call that goes on surely; and an answer fits its offer."""
    for side in simulation.sides.values():
        told = [event for event in side.events if isinstance(event, ReinviteAnswered | ReinviteFailed)]
        offers = [event.offer for event in told]
        assert len(set(offers)) == len(offers)
        assert set(offers) <= set(side.wished)
        assert offers == sorted(offers)
        for event in told:
            if isinstance(event, ReinviteAnswered):
                assert event.sdp == b"yes to " + event.offer
            else:
                assert event.status in (487, 488, 491, 500)  # 487: theirs hung up meanwhile
        ended = side.first(CallEnded)
        if ended is not None:  # nothing after the end
            after = side.events[side.events.index(ended) :]
            assert not any(isinstance(event, ReinviteAnswered | ReinviteFailed | Reoffered) for event in after)


def repeats_are_known(side: Side) -> None:
    """One request is offered once; but the RFC's timers forget it after 64·T1, and the last repeat may come later."""
    for before, after in pairwise(side.offered_at):
        assert after - before >= GIVE_UP


def both_tell_the_same_story(simulation: Simulation) -> None:
    """As far as any wire allows: nobody hears what the other did not say."""
    plan, caller, callee = simulation.plan, simulation.caller, simulation.callee
    if caller.count(CallAnswered):
        assert plan.answer == 200
        assert callee.calls
    failed = caller.first(CallFailed)
    if failed is not None:
        assert failed.status in (plan.answer, 408, 487, 480, 504)
        if failed.status == 504:  # no PRACK came
            assert plan.reliable != "off"
        if failed.status == plan.answer:
            assert callee.count(CallOffered)
    if callee.count(OfferCancelled) == callee.count(CallOffered):
        assert not caller.count(CallAnswered)
    if callee.count(CallConfirmed):  # an ACK is only sent for a 200 that came
        assert caller.count(CallAnswered) == 1 or failed is not None


wishes = st.lists(st.sampled_from([0.0, 0.0, 0.03, 0.5, 1.0, 3.0, 50.0]), max_size=3).map(
    lambda found: tuple(sorted(found))
)
times = st.sampled_from([0.0, 0.05, 0.5, 2.0, 40.0])
plans = st.builds(
    Plan,
    answer=st.sampled_from([200, 200, 200, 404, 302, 486]),
    answer_after=st.sampled_from([0.0, 0.0, 0.05, 1.0, 6.0, 70.0, None]),
    ring=st.booleans(),
    early=st.booleans(),
    reliable=st.sampled_from(["off", "supported", "required"]),
    session=st.sampled_from([None, 90, 300]),
    cancel_at=st.none() | times,
    caller_ends_after=st.none() | times,
    callee_ends_after=st.none() | times,
    refers=st.booleans(),
    caller_wishes=wishes,
    callee_wishes=wishes,
    accepts=st.booleans(),
    ponders=st.sampled_from([0.0, 0.0, 0.2, 5.0, 70.0]),
    fates=st.lists(st.sampled_from(FATES), min_size=1, max_size=10),
)


@settings(max_examples=100, deadline=None)
@given(plans)
def test_a_call_over_a_bad_wire(plan: Plan) -> None:
    simulation = Simulation(plan)
    simulation.call()
    each_ends_once(simulation)
    both_tell_the_same_story(simulation)
    wishes_are_told(simulation)
    nothing_is_left(simulation)


@settings(max_examples=50, deadline=None)
@given(plans)
def test_a_text_over_a_bad_wire(plan: Plan) -> None:
    simulation = Simulation(plan)
    simulation.text()
    repeats_are_known(simulation.callee)
    assert simulation.caller.count(TextDone) == 1
    status = simulation.caller.first(TextDone).status
    assert status in (202, 408)
    if status == 202:
        assert simulation.callee.count(TextOffered)
    nothing_is_left(simulation)


@pytest.mark.parametrize("answer", [200, 302, 404])
@pytest.mark.parametrize("ring", [False, True])
@pytest.mark.parametrize("reliable", ["off", "supported", "required"])
@pytest.mark.parametrize("early", [False, True])
def test_over_a_good_wire_they_agree(answer: int, ring: bool, reliable: Reliable, early: bool) -> None:
    plan = Plan(
        answer=answer, ring=ring, early=early, reliable=reliable, answer_after=1.0, caller_ends_after=2.0, session=90
    )
    simulation = Simulation(plan)
    simulation.call()
    if answer == 200:
        assert simulation.caller.first(CallEnded).by == "local"
        assert simulation.callee.first(CallEnded).by == "remote"
        assert simulation.callee.count(CallConfirmed) == 1
    else:
        assert simulation.caller.first(CallFailed).status == answer
    each_ends_once(simulation)
    nothing_is_left(simulation)


@pytest.mark.parametrize(
    ("caller_wishes", "callee_wishes"),
    [((1.0,), ()), ((), (1.0,)), ((1.0,), (1.0,)), ((0.0,), (0.0,)), ((1.0, 1.0, 1.01, 1.02), (1.0, 1.005))],
)
@pytest.mark.parametrize("ponders", [0.0, 0.1])
def test_over_a_good_wire_the_last_wish_of_each_comes_true(
    caller_wishes: tuple[float, ...], callee_wishes: tuple[float, ...], ponders: float
) -> None:
    plan = Plan(
        caller_wishes=caller_wishes, callee_wishes=callee_wishes, ponders=ponders, caller_ends_after=60.0, fates=GOOD
    )
    simulation = Simulation(plan)
    simulation.call()
    for side in simulation.sides.values():
        answered = [event.offer for event in side.events if isinstance(event, ReinviteAnswered)]
        assert answered[-1:] == side.wished[-1:]
        assert not side.count(ReinviteFailed)
    assert simulation.caller.first(CallEnded).by == "local"
    wishes_are_told(simulation)
    each_ends_once(simulation)
    nothing_is_left(simulation)


def test_over_a_good_wire_a_session_is_kept_up() -> None:
    simulation = Simulation(Plan(session=90, caller_ends_after=3600.0, callee_ends_after=7200.0))
    simulation.call()
    assert simulation.now > 3600
    assert simulation.caller.first(CallEnded).by == "local"
    nothing_is_left(simulation)


def test_when_the_wire_is_cut_the_session_runs_out() -> None:
    simulation = Simulation(Plan(session=90, caller_ends_after=3600.0, callee_ends_after=3600.0))
    simulation.fates = cycle([*GOOD * 3, *[()] * 1000])
    simulation.call()
    ends = [side.first(CallEnded).by for side in simulation.sides.values()]
    assert ends == ["timeout", "timeout"]
    nothing_is_left(simulation)


def test_over_a_good_wire_a_cancel_is_heard() -> None:
    simulation = Simulation(Plan(answer_after=None, ring=True, cancel_at=1.0))
    simulation.call()
    assert simulation.caller.first(CallFailed).status == 487
    assert simulation.callee.count(OfferCancelled) == 1
    nothing_is_left(simulation)


def test_when_the_wire_is_cut_in_a_call_both_still_end() -> None:
    good: list[Fate] = [(0.02,)]
    simulation = Simulation(Plan(caller_ends_after=5.0, callee_ends_after=9.0))
    simulation.fates = cycle([*good * 3, *[()] * 1000])
    simulation.call()
    assert len(simulation.callee.calls) == len(simulation.caller.calls) == 1
    each_ends_once(simulation)
    nothing_is_left(simulation)


def test_the_wire_is_really_bad() -> None:
    """The fates reach what they are for: among many calls there are answered, failed, cancelled and timed-out ones."""
    seen: Counter[str] = Counter()
    for number in range(60):
        if number % 4:
            fates = [FATES[(number * 7 + step * 3) % len(FATES)] for step in range(1 + number % 7)]
        else:  # cut after some messages
            fates = [*GOOD * (number // 4), *[()] * 100]
        cancelled = number % 3 == 0
        plan = Plan(fates=fates, cancel_at=1.0 if cancelled else None, answer_after=None if cancelled else 0.5)
        simulation = Simulation(plan)
        simulation.call()
        each_ends_once(simulation)
        seen.update(type(event).__name__ for side in simulation.sides.values() for event in side.events)
        seen.update(e.by for side in simulation.sides.values() for e in side.events if isinstance(e, CallEnded))
    assert {"CallAnswered", "CallFailed", "OfferCancelled", "CallEnded", "remote", "local", "timeout"} <= set(seen)
