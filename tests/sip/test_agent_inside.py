"""An agent that calls itself: what goes out to the peer "loop" comes in again, a turn later, from its other end."""

from __future__ import annotations

from collections import deque
from itertools import count

import pytest

from edge.sip.agent import Agent
from edge.sip.events import (
    CallAnswered,
    CallConfirmed,
    CallEnded,
    CallFailed,
    CallOffered,
    CallProgress,
    OfferCancelled,
    ReinviteAnswered,
    ReinviteFailed,
    Reoffered,
    TextDone,
    TextOffered,
)
from edge.sip.handle import Call, Offer, OutgoingCall
from edge.sip.message import Request, Response, parse
from edge.sip.peer import LOOP, Peer
from tests.sip.ladder import OURS, SDP, UDP, US, Fields, Ladder, request

INSIDE = Peer(LOOP, US, US)
HOLD = OURS.replace(b"m=", b"a=sendonly\r\nm=")


class House(Ladder):
    """One agent on both ends. `told` is what passed, and `out` stays empty: nothing leaves the house."""

    def __init__(self, agent: Agent | None = None) -> None:
        super().__init__(INSIDE, agent)
        self.told: list[str] = []
        self.passed: list[tuple[Peer, bytes]] = []
        self.hold = False  # what comes out stays in `out`

    def drain(self) -> House:
        super().drain()
        while self.out and not self.hold:
            self.turn()
        return self

    def turn(self) -> None:
        """What came out of this turn comes in with the next."""
        sent, self.out = self.out, deque()
        for peer, data in sent:
            assert peer.inside
            self.passed.append((peer, data))
            message = parse(data)
            self.told.append(message.method if isinstance(message, Request) else str(message.status))
            self.agent.receive(data, peer.turned(), self.now)
        super().drain()

    def invite(self) -> tuple[OutgoingCall, Offer]:
        outgoing = self.agent.invite(
            peer=INSIDE, uri="sip:+2@192.0.2.1", from_="sip:+1@192.0.2.1", to="sip:+2@192.0.2.1", sdp=OURS, now=self.now
        )
        self.drain()
        offer = self.event(CallOffered).offer
        assert self.event(CallProgress).status == 100
        return outgoing, offer

    def both(self) -> tuple[Call, Call]:
        """A call between two ends of ours: who called, and who answered."""
        _, offer = self.invite()
        answering = self.agent.answer(offer, SDP, self.now)
        self.drain()
        calling = self.event(CallAnswered).call
        self.event(CallConfirmed)
        self.told.clear()
        return calling, answering

    def nothing_left(self) -> None:
        assert not self.events
        self.told.clear()
        self.gone()
        assert not self.told


def test_a_call() -> None:
    house = House()
    outgoing, offer = house.invite()
    assert (offer.peer, offer.sdp, offer.call_id) == (INSIDE, OURS, outgoing.call_id)
    house.agent.ring(offer, 0.0)
    house.agent.progress(offer, SDP, 0.0)
    house.drain()
    assert [(e.status, e.sdp) for e in (house.event(CallProgress), house.event(CallProgress))] == [
        (180, None),
        (183, SDP),
    ]
    answering = house.agent.answer(offer, SDP, 0.0)
    house.drain()
    answered = house.event(CallAnswered)
    assert (answered.outgoing, answered.sdp) == (outgoing, SDP)
    assert house.event(CallConfirmed).call is answering
    assert house.told == ["INVITE", "100", "180", "183", "200", "ACK"]
    house.agent.end(answered.call, 0.0, reason="Q.850;cause=16")
    house.drain()
    assert house.event(CallEnded) == CallEnded(answered.call, "local", "Q.850;cause=16")
    assert house.event(CallEnded) == CallEnded(answering, "remote", "Q.850;cause=16")
    assert house.told[6:] == ["BYE", "200"]
    house.nothing_left()


def test_the_one_that_answered_hangs_up() -> None:
    house = House()
    calling, answering = house.both()
    house.agent.end(answering, 0.0)
    house.drain()
    assert [house.event(CallEnded), house.event(CallEnded)] == [
        CallEnded(answering, "local"),
        CallEnded(calling, "remote"),
    ]
    house.nothing_left()


def test_its_messages_say_what_they_are() -> None:
    tokens = count()
    house = House(Agent(lambda: f"t{next(tokens)}", advertise={US[0]: "203.0.113.1"}))
    house.both()
    messages = [parse(data) for _, data in house.passed]
    assert {(m.via.transport, m.via.sent_by, m.via.received, m.via.rport) for m in messages} == {
        ("LOOP", "192.0.2.1:5060", None, None)
    }
    contacts = {m.headers.get("contact") for m in messages} - {None}
    assert contacts == {"<sip:192.0.2.1:5060;transport=loop>"}


def test_a_refusal() -> None:
    house = House()
    outgoing, offer = house.invite()
    house.agent.reject(offer, 486, 0.0, fields=[("Reason", "Q.850;cause=17")])
    house.drain()
    assert house.event(CallFailed) == CallFailed(outgoing, 486, "Busy Here", 17)
    assert house.agent.stats()["transactions"] == 0  # Timers D and I are 0
    house.nothing_left()


def test_a_redirect() -> None:
    house = House()
    _, offer = house.invite()
    house.agent.redirect(offer, ["sip:a@b", "tel:+3"], 0.0)
    house.drain()
    assert house.event(CallFailed).contacts == ("sip:a@b", "tel:+3")
    house.nothing_left()


def test_cancel() -> None:
    house = House()
    outgoing, offer = house.invite()
    house.agent.ring(offer, 0.0)
    house.agent.cancel(outgoing, 0.0)
    house.drain()
    house.event(CallProgress)
    assert house.event(OfferCancelled).offer is offer
    assert house.event(CallFailed).status == 487
    assert house.told == ["INVITE", "100", "180", "CANCEL", "200", "487", "ACK"]
    house.nothing_left()


def test_a_cancel_and_an_answer_in_one_turn() -> None:
    house = House()
    outgoing, offer = house.invite()
    answering = house.agent.answer(offer, SDP, 0.0)
    house.agent.cancel(outgoing, 0.0)
    house.drain()
    assert house.event(CallFailed).status == 487
    house.event(CallConfirmed)
    assert house.event(CallEnded) == CallEnded(answering, "remote")
    house.nothing_left()


@pytest.mark.parametrize("caller", [True, False])
def test_a_reinvite(caller: bool) -> None:
    house = House()
    calling, answering = house.both()
    mine, other = (calling, answering) if caller else (answering, calling)
    house.agent.reinvite(mine, HOLD, 0.0)
    house.drain()
    reoffer = house.event(Reoffered).reoffer
    assert (reoffer.call, reoffer.sdp) == (other, HOLD)
    house.agent.accept(reoffer, SDP, 0.0)
    house.drain()
    assert house.event(ReinviteAnswered) == ReinviteAnswered(mine, SDP, HOLD)
    assert house.told == ["INVITE", "100", "200", "ACK"]
    house.agent.reinvite(other, OURS, 0.0)
    house.drain()
    house.agent.refuse(house.event(Reoffered).reoffer, 488, 0.0)
    house.drain()
    assert house.event(ReinviteFailed) == ReinviteFailed(other, 488, OURS)
    house.agent.end(calling, 0.0)
    house.drain()
    house.events.clear()
    house.nothing_left()


def test_both_ends_wish_at_once() -> None:
    house = House()
    calling, answering = house.both()
    house.agent.reinvite(calling, HOLD, 0.0)
    house.agent.reinvite(answering, SDP, 0.0)
    house.drain()
    assert sorted(house.told) == ["491", "491", "ACK", "ACK", "INVITE", "INVITE"]
    house.at(2.0)  # who answered comes first
    reoffer = house.event(Reoffered).reoffer
    assert (reoffer.call, reoffer.sdp) == (calling, SDP)
    house.agent.accept(reoffer, SDP, house.now)
    house.drain()
    assert house.event(ReinviteAnswered).call is answering
    house.at(4.0)
    reoffer = house.event(Reoffered).reoffer
    assert (reoffer.call, reoffer.sdp) == (answering, HOLD)
    house.agent.accept(reoffer, SDP, house.now)
    house.drain()
    assert house.event(ReinviteAnswered).call is calling


def test_a_text() -> None:
    house = House()
    id = house.agent.send_text(
        peer=INSIDE, uri="sip:+2@192.0.2.1", from_="sip:+1@192.0.2.1", to="sip:+2@192.0.2.1", body=b"hello", now=0.0
    )
    house.drain()
    house.agent.take_text(house.event(TextOffered).text, 202, 0.0)
    house.drain()
    assert house.event(TextDone) == TextDone(id, 202)
    house.nothing_left()


def test_nothing_is_repeated() -> None:
    house = House()
    house.hold = True
    house.agent.invite(peer=INSIDE, uri="sip:a@b", from_="sip:c@d", to="sip:a@b", sdp=OURS, now=0.0)
    house.drain() << "INVITE"
    house.at(31.9)
    assert house.quiet()


def test_a_house_that_is_full() -> None:
    house = House()
    house.hold = True
    outgoing = house.agent.invite(peer=INSIDE, uri="sip:a@b", from_="sip:c@d", to="sip:a@b", sdp=OURS, now=0.0)
    house.agent.lost(INSIDE, 0.0)
    house.drain()
    assert house.event(CallFailed) == CallFailed(outgoing, 503, "Service Unavailable")


# Nothing from outside belongs to a call inside, whatever it knows


def from_outside(house: House, data: bytes) -> list[int | str]:
    """The same message, from a socket: what comes back there."""
    house.hold = True
    house.agent.receive(data, UDP, house.now)
    house.drain()
    answers: list[int | str] = []
    while house.out:
        peer, out = house.out.popleft()
        assert not peer.inside
        answer = parse(out)
        assert isinstance(answer, Response)
        answers.append(answer.status)
    house.hold = False
    return answers


def test_a_response_from_outside() -> None:
    house = House()
    house.hold = True
    house.agent.invite(peer=INSIDE, uri="sip:a@b", from_="sip:c@d", to="sip:a@b", sdp=OURS, now=0.0)
    house.drain() << "INVITE"
    via, call_id, sender = house.header("via"), house.header("call-id"), house.header("from")
    head = f"Via: {via}\r\nFrom: {sender}\r\nTo: <sip:a@b>;tag=x\r\nCall-ID: {call_id}\r\nCSeq: 1 INVITE\r\n\r\n"
    for status in ("180 Ringing", "200 OK", "486 Busy Here"):
        assert from_outside(house, f"SIP/2.0 {status}\r\n{head}".encode()) == []
    assert not house.events


@pytest.mark.parametrize(
    ("method", "answers"), [("INVITE", []), ("CANCEL", [481]), ("BYE", [481]), ("ACK", []), ("INFO", [481])]
)
@pytest.mark.parametrize("transport", ["LOOP", "UDP"])
def test_a_request_from_outside(method: str, answers: list[int], transport: str) -> None:
    house = House()
    _, offer = house.invite()
    house.agent.ring(offer, 0.0)
    house.drain()
    ringing = parse(house.passed[-1][1])
    to_tag = None if method in ("INVITE", "CANCEL") else ringing.to_tag
    fields: Fields = {"Via": str(ringing.via).replace("LOOP", transport)}
    data = request(method, tag=ringing.from_tag, to_tag=to_tag, call_id=ringing.call_id, fields=fields)
    assert from_outside(house, data) == answers
    house.events.clear()
    house.agent.answer(offer, SDP, 0.0)
    house.drain()
    assert house.event(CallAnswered).outgoing.call_id == offer.call_id


@pytest.mark.parametrize("method", ["BYE", "INVITE", "INFO", "NOTIFY", "OPTIONS"])
def test_a_request_within_from_outside(method: str) -> None:
    house = House()
    calling, answering = house.both()
    for call in (calling, answering):
        data = request(method, branch=method, tag=call.remote_tag, to_tag=call.local_tag, call_id=call.call_id, cseq=9)
        assert from_outside(house, data) == [481]
    assert not house.events
    assert not any(call.ended for call in (calling, answering))


def test_an_ack_from_outside() -> None:
    house = House()
    _, offer = house.invite()
    house.hold = True
    answering = house.agent.answer(offer, SDP, 0.0)
    house.drain() << 200
    ack = request("ACK", branch="x", tag=answering.remote_tag, to_tag=answering.local_tag, call_id=answering.call_id)
    assert from_outside(house, ack) == []
    assert not house.events
    house.hold = True
    house.at(0.5) << 200  # it still waits for its own


def test_an_ack_to_a_refusal_from_outside() -> None:
    house = House()
    _, offer = house.invite()
    house.hold = True
    house.agent.reject(offer, 486, 0.0)
    house.drain() << 486
    refusal = house.last
    before = house.agent.stats()["transactions"]
    fields: Fields = {"Via": str(refusal.via)}
    ack = request("ACK", tag=refusal.from_tag, to_tag=refusal.to_tag, call_id=refusal.call_id, fields=fields)
    assert from_outside(house, ack) == []
    assert house.agent.stats()["transactions"] == before


def test_from_inside_nothing_reaches_a_call_outside() -> None:
    ladder = Ladder()
    call = ladder.up()
    bye = request("BYE", branch="bye", to_tag=call.local_tag, cseq=2)
    ladder.agent.receive(bye, INSIDE, 0.0)
    ladder.drain() << 481
    assert not call.ended
