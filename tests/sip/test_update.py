"""UPDATE (RFC 3311), before the answer and after it, and what meets what: one offer at a time (RFC 6337)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from edge.sip.agent import Agent
from edge.sip.events import (
    CallAnswered,
    CallConfirmed,
    CallEnded,
    DigitsReceived,
    Offer,
    OutgoingCall,
    ReinviteAnswered,
    Reoffered,
)
from edge.sip.limits import UPDATE
from edge.sip.terms import Terms
from tests.sip.ladder import OURS, SDP, UDP, Fields, Ladder, invite, reply_to, request

REL: Fields = {"Supported": "100rel, timer"}
OTHER = SDP.replace(b"6000", b"6002")
CONTACT: Fields = {"Contact": "<sip:them@192.0.2.9:5062>"}
MOVED: Fields = {"Contact": "<sip:moved@192.0.2.77:5099>"}
TERMS = Terms(reliable="supported")


def fresh() -> Ladder:
    tokens = count(1)
    return Ladder(agent=Agent(lambda: f"t{next(tokens)}", admit=lambda *_: TERMS))


def theirs(
    method: str, tag: str, cseq: int, body: bytes = b"", fields: Fields | None = None, frm: str = "them", **more: str
) -> bytes:
    given: Fields = {**CONTACT, **(fields or {})}
    kind = "application/sdp" if body else None
    return request(
        method, branch=f"{method}-{cseq}", to_tag=tag, cseq=cseq, body=body, kind=kind, fields=given, tag=frm, **more
    )


# In a call


def test_one_with_an_offer_is_decided_by_the_user() -> None:
    ladder = fresh()
    call = ladder.up()
    data = theirs("UPDATE", call.local_tag, 2, OTHER, MOVED)
    ladder >> data
    assert ladder.quiet()  # no 100: it is no INVITE
    reoffer = ladder.event(Reoffered).reoffer
    assert (reoffer.call, reoffer.sdp) == (call, OTHER)
    ladder.agent.accept(reoffer, OURS, 0.1)
    ladder.drain() << 200
    assert (ladder.last.body, ladder.header("content-type")) == (OURS, "application/sdp")
    assert ladder.header("contact") == "<sip:192.0.2.1:5060>"
    ladder >> data << 200  # a repeat
    ladder.agent.end(call, 0.2)
    ladder.drain() << "BYE"  # no ACK is waited for
    assert (ladder.request.uri, ladder.to.remote) == ("sip:moved@192.0.2.77:5099", ("192.0.2.77", 5099))


def test_refused_the_session_and_the_target_stay() -> None:
    ladder = fresh()
    call = ladder.up()
    ladder >> theirs("UPDATE", call.local_tag, 2, OTHER, MOVED)
    ladder.agent.refuse(ladder.event(Reoffered).reoffer, 488, 0.0, fields=(("Warning", '304 a "x"'),))
    ladder.drain() << 488
    assert ladder.header("warning") == '304 a "x"'
    ladder.agent.end(call, 0.0)
    ladder.drain() << "BYE"
    assert ladder.to == UDP


def test_one_without_says_where_they_are() -> None:
    ladder = fresh()
    call = ladder.up()
    ladder >> theirs("UPDATE", call.local_tag, 2, fields=MOVED) << 200
    assert (ladder.last.body, ladder.last.headers.get("content-type")) == (b"", None)
    assert not ladder.events
    ladder.agent.end(call, 0.0)
    ladder.drain() << "BYE"
    assert ladder.to.remote == ("192.0.2.77", 5099)


def test_nobody_decides() -> None:
    ladder = fresh()
    call = ladder.up()
    ladder >> theirs("UPDATE", call.local_tag, 2, OTHER)
    ladder.event(Reoffered)
    ladder.at(UPDATE) << 504  # RFC 3311 §5.2
    assert not call.ended


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Require": "precondition"}, 420),
        ({"Accept": "text/plain"}, 406),
        ({"Session-Expires": "10", "Supported": "timer"}, 422),
    ],
)
def test_one_that_cannot_be_served(fields: Fields, status: int) -> None:
    ladder = fresh()
    call = ladder.up()
    ladder >> theirs("UPDATE", call.local_tag, 2, OTHER, fields) << status
    assert not ladder.events
    assert not call.ended


def test_one_of_no_call() -> None:
    ladder = fresh()
    ladder >> theirs("UPDATE", "nobody", 2, OTHER) << 481


def test_one_that_is_undecided_when_the_call_ends() -> None:
    ladder = fresh()
    call = ladder.up()
    ladder >> theirs("UPDATE", call.local_tag, 2, OTHER)
    reoffer = ladder.event(Reoffered).reoffer
    ladder >> theirs("BYE", call.local_tag, 3) << 200 << 487
    ladder.agent.accept(reoffer, OURS, 0.0)
    ladder.drain()
    assert ladder.quiet()
    ladder.events.clear()
    ladder.gone()


def test_a_wish_of_ours_waits_for_theirs() -> None:
    ladder = fresh()
    call = ladder.up()
    ladder >> theirs("UPDATE", call.local_tag, 2, OTHER)
    ladder.agent.reinvite(call, OURS, 0.0)
    ladder.drain()
    assert ladder.quiet()
    ladder.agent.accept(ladder.event(Reoffered).reoffer, OURS, 0.0)
    ladder.drain() << 200 << "INVITE"


# What meets what: the state that the dialog is in, what comes, and how it is answered


def undecided_update(ladder: Ladder) -> str:
    call = ladder.up()
    ladder >> theirs("UPDATE", call.local_tag, 2, OTHER)
    return call.local_tag


def undecided_invite(ladder: Ladder) -> str:
    call = ladder.up()
    ladder >> theirs("INVITE", call.local_tag, 2, OTHER) << 100
    return call.local_tag


def undecided_empty_invite(ladder: Ladder) -> str:
    call = ladder.up()
    ladder >> theirs("INVITE", call.local_tag, 2) << 100
    return call.local_tag


def our_invite(ladder: Ladder) -> str:
    call = ladder.up()
    ladder.agent.reinvite(call, OURS, 0.0)
    ladder.drain() << "INVITE"
    return call.local_tag


def unacknowledged_answer(ladder: Ladder) -> str:
    return ladder.answered().local_tag


def unacknowledged_offer(ladder: Ladder) -> str:
    return ladder.answered(invite(body=b"")).local_tag


def quiet_call(ladder: Ladder) -> str:
    return ladder.up().local_tag


def answered_late(ladder: Ladder) -> str:
    """Our offer in a 200 found its answer in the ACK."""
    call = ladder.answered(invite(body=b""))
    ladder >> theirs("ACK", call.local_tag, 1, SDP)
    return call.local_tag


def ringing(ladder: Ladder) -> str:
    """A 180 that nobody acknowledges."""
    offer = ladder.offered()
    ladder.agent.ring(offer, 0.0)
    ladder.drain() << 180
    return ladder.response.to_tag or ""


def early_unsure(ladder: Ladder) -> str:
    """An answer in a 183 that may be lost."""
    offer = ladder.offered()
    ladder.agent.progress(offer, OURS, 0.0)
    ladder.drain() << 183
    return ladder.response.to_tag or ""


def early_sure(ladder: Ladder, body: bytes = SDP, answer: bytes = b"") -> str:
    """An answer in a 183 that has its PRACK."""
    return prack(ladder, ladder.offered(invite(fields=REL, body=body)), answer)


def prack(ladder: Ladder, offer: Offer, answer: bytes = b"") -> str:
    ladder.agent.progress(offer, OURS, 0.0)
    ladder.drain() << 183
    rack: Fields = {"RAck": f"{ladder.header('rseq')} 1 INVITE"}
    tag = ladder.response.to_tag or ""
    ladder >> theirs("PRACK", tag, 2, answer, rack) << 200
    return tag


def early_offer(ladder: Ladder) -> str:
    """Our offer in a 183, and no PRACK yet."""
    offer = ladder.offered(invite(fields=REL, body=b""))
    ladder.agent.progress(offer, OURS, 0.0)
    ladder.drain() << 183
    return ladder.response.to_tag or ""


def early_late(ladder: Ladder) -> str:
    """Our offer in a 183, and its answer in the PRACK."""
    return early_sure(ladder, b"", SDP)


State = Callable[[Ladder], str]


@pytest.mark.parametrize(
    ("state", "method", "body", "status"),
    [
        (quiet_call, "INVITE", SDP, 100),
        (quiet_call, "INVITE", b"", 100),
        (quiet_call, "UPDATE", SDP, None),
        (quiet_call, "UPDATE", b"", 200),
        (answered_late, "UPDATE", SDP, None),
        (answered_late, "INVITE", SDP, 100),
        (undecided_update, "UPDATE", SDP, 500),
        (undecided_update, "UPDATE", b"", 500),
        (undecided_update, "INVITE", SDP, 500),
        (undecided_update, "INVITE", b"", 500),
        (undecided_invite, "UPDATE", SDP, 500),
        (undecided_invite, "UPDATE", b"", 200),  # it asks for nothing
        (undecided_invite, "INVITE", SDP, 500),
        (undecided_empty_invite, "UPDATE", SDP, 500),
        (our_invite, "UPDATE", SDP, 491),
        (our_invite, "UPDATE", b"", 200),
        (our_invite, "INVITE", SDP, 491),
        (our_invite, "INVITE", b"", 491),
        (unacknowledged_answer, "UPDATE", SDP, None),  # offer and answer are done
        (unacknowledged_answer, "UPDATE", b"", 200),
        (unacknowledged_answer, "INVITE", SDP, 491),
        (unacknowledged_offer, "UPDATE", SDP, 491),
        (unacknowledged_offer, "UPDATE", b"", 200),
        (ringing, "UPDATE", SDP, 500),
        (ringing, "UPDATE", b"", 200),
        (ringing, "INVITE", SDP, 500),
        (early_unsure, "UPDATE", SDP, 500),
        (early_sure, "UPDATE", SDP, None),
        (early_sure, "UPDATE", b"", 200),
        (early_sure, "INVITE", SDP, 500),
        (early_offer, "UPDATE", SDP, 491),
        (early_offer, "UPDATE", b"", 200),
        (early_late, "UPDATE", SDP, None),
    ],
)
def test_what_meets_what(state: State, method: str, body: bytes, status: int | None) -> None:
    ladder = fresh()
    tag = state(ladder)
    ladder.events.clear()
    ladder.out.clear()
    ladder >> theirs(method, tag, 7, body)
    if status is not None:
        ladder << status
    if status == 500:
        assert 0 <= int(ladder.header("retry-after")) <= 10
    assert ladder.quiet()
    told = [event for event in ladder.events if isinstance(event, Reoffered)]
    assert len(told) == (status in (None, 100))


def test_an_older_request_is_500_whatever_it_is() -> None:
    ladder = fresh()
    call = ladder.up()
    ladder >> theirs("UPDATE", call.local_tag, 9) << 200
    ladder >> theirs("UPDATE", call.local_tag, 8) << 500
    ladder >> theirs("PRACK", call.local_tag, 7) << 500


# Before the answer: we are called


def early() -> tuple[Ladder, Offer, str]:
    """Early media that the caller is sure to have the description of."""
    ladder = fresh()
    offer = ladder.offered(invite(fields=REL))
    return ladder, offer, prack(ladder, offer)


def test_the_caller_changes_the_session_before_the_answer() -> None:
    ladder, offer, tag = early()
    ladder >> theirs("UPDATE", tag, 3, OTHER, MOVED)
    reoffer = ladder.event(Reoffered).reoffer
    assert (reoffer.call, reoffer.sdp) == (offer, OTHER)
    ladder.agent.accept(reoffer, OURS, 0.0)
    ladder.drain() << 200
    assert ladder.last.headers.get("session-expires") is None
    call = ladder.agent.answer(offer, OURS, 0.0)
    ladder.drain() << 200
    assert ladder.last.body == b""
    ladder >> theirs("ACK", tag, 1)
    assert ladder.event(CallConfirmed) == CallConfirmed(call, None)
    ladder.agent.end(call, 0.0)
    ladder.drain() << "BYE"
    assert ladder.request.uri == "sip:moved@192.0.2.77:5099"


def test_the_answer_may_overtake_the_user() -> None:
    """He answers the call while a change of it waits for him: first the change, then the call."""
    ladder, offer, tag = early()
    ladder >> theirs("UPDATE", tag, 3, OTHER)
    reoffer = ladder.event(Reoffered).reoffer
    call = ladder.agent.answer(offer, OURS, 0.0)
    ladder.drain()
    assert ladder.quiet()
    assert reoffer.call is call
    ladder.agent.refuse(reoffer, 488, 0.0)
    ladder.drain() << 488 << 200
    assert ladder.header("cseq") == "1 INVITE"


def test_a_refusal_takes_it_along() -> None:
    ladder, offer, tag = early()
    ladder >> theirs("UPDATE", tag, 3, OTHER)
    ladder.event(Reoffered)
    ladder.agent.reject(offer, 486, 0.0)
    ladder.drain() << 487 << 486


def test_a_cancel_takes_it_along() -> None:
    ladder, _, tag = early()
    ladder >> theirs("UPDATE", tag, 3, OTHER)
    ladder >> request("CANCEL", fields=REL)
    assert [int(data.split()[1]) for _, data in ladder.out] == [200, 487, 487]


# Before the answer: we call


def calling(body: bytes = SDP, *, reliable: bool = True) -> tuple[Ladder, OutgoingCall, str]:
    ladder = fresh()
    outgoing = ladder.agent.invite(
        peer=UDP, uri="sip:b@192.0.2.9", from_="sip:a@192.0.2.1", to="sip:b@d", sdp=OURS, now=0.0, terms=TERMS
    )
    ladder.drain() << "INVITE"
    first = ladder.request
    fields: Fields = {**CONTACT, **({"Require": "100rel", "RSeq": "1"} if reliable else {})}
    ladder >> reply_to(ladder, 183, to_tag="phone", body=body, fields=fields)
    if reliable:
        ladder << "PRACK"
        ladder >> reply_to(ladder, 200)
    ladder.last = first
    ladder.events.clear()
    return ladder, outgoing, first.from_tag or ""


def from_phone(method: str, outgoing: OutgoingCall, tag: str, cseq: int, body: bytes = b"", kind: str = "") -> bytes:
    return request(
        method,
        branch=f"{method}-{cseq}",
        tag="phone",
        to_tag=tag,
        cseq=cseq,
        call_id=outgoing.call_id,
        body=body,
        kind=kind or ("application/sdp" if body else None),
        fields=CONTACT,
    )


def test_the_callee_changes_the_session_before_the_answer() -> None:
    ladder, outgoing, tag = calling()
    sent = ladder.last
    ladder >> from_phone("UPDATE", outgoing, tag, 5, OTHER)
    reoffer = ladder.event(Reoffered).reoffer
    assert (reoffer.call, reoffer.sdp) == (outgoing, OTHER)
    ladder.agent.accept(reoffer, OURS, 0.0)
    ladder.drain() << 200
    ladder.last = sent
    ladder >> reply_to(ladder, 200, to_tag="phone", fields=CONTACT) << "ACK"
    call = ladder.event(CallAnswered).call
    ladder >> from_phone("BYE", outgoing, tag, 4) << 500  # it has seen a 5
    ladder >> from_phone("BYE", outgoing, tag, 6) << 200
    assert ladder.event(CallEnded).call is call


@pytest.mark.parametrize(
    ("body", "reliable", "method", "with_", "status"),
    [
        (b"", True, "UPDATE", SDP, 491),  # our offer in the INVITE is open
        (SDP, False, "UPDATE", SDP, 491),
        (SDP, False, "UPDATE", b"", 200),
        (b"", True, "UPDATE", b"", 200),
        (SDP, True, "INVITE", SDP, 491),
        (SDP, True, "INVITE", b"", 491),
        (SDP, True, "BYE", b"", 481),
        (SDP, True, "OPTIONS", b"", 200),
        (SDP, True, "PRACK", b"", 400),
        (SDP, True, "NOTIFY", b"", 481),
        (SDP, True, "REFER", b"", 405),
        (SDP, True, "INFO", b"", 200),
    ],
)
def test_what_a_phone_that_rings_may_ask(body: bytes, reliable: bool, method: str, with_: bytes, status: int) -> None:
    ladder, outgoing, tag = calling(body, reliable=reliable)
    ladder >> from_phone(method, outgoing, tag, 5, with_) << status
    assert not ladder.events


def test_keys_of_a_phone_that_rings() -> None:
    ladder, outgoing, tag = calling()
    ladder >> from_phone("INFO", outgoing, tag, 5, b"Signal=5\r\n", "application/dtmf-relay") << 200
    assert ladder.event(DigitsReceived) == DigitsReceived(outgoing, "5")


def test_another_phone_answers() -> None:
    ladder, outgoing, tag = calling()
    ladder >> from_phone("UPDATE", outgoing, tag, 5, OTHER)
    ladder.event(Reoffered)
    ladder >> reply_to(ladder, 200, to_tag="other", body=SDP, fields=CONTACT) << "ACK"
    assert ladder.event(CallAnswered).sdp == SDP
    assert ladder.quiet()
    assert ladder.agent.stats()["dialogs"] == 1
    ladder >> from_phone("UPDATE", outgoing, tag, 6) << 481


# The way of requests in early dialogs


STRICT: Fields = {**REL, "Record-Route": "<sip:192.0.2.20>, <sip:192.0.2.21;lr>"}


def test_a_target_that_changes_keeps_its_way() -> None:
    """§12.2.2: an UPDATE refreshes the target, and never the route set. The first router here is a strict one."""
    ladder = fresh()
    offer = ladder.offered(invite(fields=STRICT))
    tag = prack(ladder, offer)
    moved: Fields = {**MOVED, "Record-Route": "<sip:192.0.2.99;lr>"}
    ladder >> theirs("UPDATE", tag, 3, fields=moved) << 200
    call = ladder.agent.answer(offer, OURS, 0.0)
    ladder.drain() << 200
    assert ladder.response.record_routes == ("<sip:192.0.2.20>", "<sip:192.0.2.21;lr>")
    ladder >> theirs("ACK", tag, 1)
    ladder.agent.end(call, 0.0)
    ladder.drain() << "BYE"
    assert (ladder.request.uri, ladder.to.remote) == ("sip:192.0.2.20", ("192.0.2.20", 5060))
    assert ladder.request.routes == ("<sip:192.0.2.21;lr>", "<sip:moved@192.0.2.77:5099>")


def test_the_way_of_a_call_of_ours_is_that_of_its_200() -> None:
    """§13.2.2.4: what an early dialog had for a way is forgotten, and its numbers go on."""
    ladder = fresh()
    ladder.agent.invite(peer=UDP, uri="sip:b@192.0.2.9", from_="sip:a@a", to="sip:b@d", sdp=OURS, now=0.0, terms=TERMS)
    ladder.drain() << "INVITE"
    sent = ladder.last
    early: Fields = {**CONTACT, "Require": "100rel", "RSeq": "1", "Record-Route": "<sip:192.0.2.31>"}
    ladder >> reply_to(ladder, 180, to_tag="phone", fields=early) << "PRACK"
    assert (ladder.request.uri, ladder.request.routes) == ("sip:192.0.2.31", ("<sip:them@192.0.2.9:5062>",))
    ladder.last = sent
    ladder.events.clear()
    ladder >> reply_to(ladder, 200, to_tag="phone", body=SDP, fields={**MOVED, "Record-Route": "<sip:192.0.2.32;lr>"})
    ladder << "ACK"
    assert (ladder.request.uri, ladder.request.routes) == ("sip:moved@192.0.2.77:5099", ("<sip:192.0.2.32;lr>",))
    ladder.agent.end(ladder.event(CallAnswered).call, 0.0)
    ladder.drain() << "BYE"
    assert (ladder.to.remote, ladder.request.cseq.number) == (("192.0.2.32", 5060), 3)


# Late offers, in every combination


@pytest.mark.parametrize("ring", [False, True])
@pytest.mark.parametrize("reliable", [False, True])
@pytest.mark.parametrize("answer", [b"", SDP])
def test_an_invite_without_an_offer(ring: bool, reliable: bool, answer: bytes) -> None:
    ladder = fresh()
    offer = ladder.offered(invite(body=b"", fields=REL if reliable else None))
    cseq = 2
    if ring:
        ladder.agent.ring(offer, 0.0)
        ladder.drain() << 180
        assert ladder.last.body == b""
        if reliable:
            rack: Fields = {"RAck": f"{ladder.header('rseq')} 1 INVITE"}
            ladder >> theirs("PRACK", ladder.response.to_tag or "", cseq, fields=rack) << 200
            cseq += 1
    call = ladder.agent.answer(offer, OURS, 0.0)
    ladder.drain() << 200
    assert ladder.last.body == OURS
    ladder >> theirs("ACK", call.local_tag, 1, answer)
    assert ladder.event(CallConfirmed) == CallConfirmed(call, answer or None)
    ladder.at(10)
    assert call.ended is (not answer)


@pytest.mark.parametrize("answer", [b"", SDP])
def test_a_reinvite_without_an_offer(answer: bytes) -> None:
    ladder = fresh()
    call = ladder.up()
    ladder >> theirs("INVITE", call.local_tag, 2) << 100
    reoffer = ladder.event(Reoffered).reoffer
    assert reoffer.sdp is None
    ladder.agent.accept(reoffer, OURS, 0.0)
    ladder.drain() << 200
    ladder >> theirs("UPDATE", call.local_tag, 3, OTHER) << 491
    ladder >> theirs("ACK", call.local_tag, 2, answer)
    assert ladder.event(CallConfirmed) == CallConfirmed(call, answer or None)
    ladder.at(10)
    assert not call.ended  # the session goes on as it was
    ladder.agent.reinvite(call, OURS, 10.0)
    ladder.drain() << "INVITE"
    ladder >> reply_to(ladder, 200, body=SDP, fields=CONTACT) << "ACK"
    assert ladder.event(ReinviteAnswered).call is call
