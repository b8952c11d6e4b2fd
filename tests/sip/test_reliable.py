"""Reliable provisional answers (RFC 3262): ours and theirs, and the offers that PRACK may carry."""

from __future__ import annotations

from itertools import count

import pytest

from edge.sip.agent import Agent
from edge.sip.events import (
    Call,
    CallAnswered,
    CallConfirmed,
    CallEnded,
    CallFailed,
    CallOffered,
    CallProgress,
    Offer,
    OfferCancelled,
    OfferConfirmed,
    OutgoingCall,
    Reoffered,
)
from edge.sip.limits import UNANSWERED_REPEAT
from edge.sip.terms import Reliable, Terms
from edge.sip.timers import GIVE_UP
from tests.sip.ladder import OURS, SDP, UDP, Fields, Ladder, invite, reply_to, request

REL = {"Supported": "100rel, timer"}
OTHER = SDP.replace(b"6000", b"6002")


def offered(reliable: Reliable = "supported", fields: Fields | None = None, body: bytes = SDP) -> tuple[Ladder, Offer]:
    tokens = count(1)
    ladder = Ladder(agent=Agent(lambda: f"t{next(tokens)}", admit=lambda *_: Terms(reliable=reliable)))
    ladder >> invite(fields=dict(REL) if fields is None else fields, body=body) << 100
    return ladder, ladder.event(CallOffered).offer


def prack(ladder: Ladder, cseq: int = 2, *, rack: str | None = None, body: bytes = b"", branch: str = "") -> bytes:
    """Their PRACK to the answer of ours taken last."""
    answer = ladder.response
    rack = rack or f"{answer.headers.get('rseq')} {answer.cseq.number} INVITE"
    return request(
        "PRACK",
        branch=branch or f"prack-{cseq}",
        to_tag=answer.to_tag,
        cseq=cseq,
        fields={"RAck": rack},
        body=body,
        kind="application/sdp" if body else None,
    )


def ring(ladder: Ladder, offer: Offer) -> None:
    ladder.agent.ring(offer, ladder.now)
    ladder.drain() << 180


def progress(ladder: Ladder, offer: Offer, sdp: bytes = OURS) -> None:
    ladder.agent.progress(offer, sdp, ladder.now)
    ladder.drain() << 183


# Whether there are any


@pytest.mark.parametrize(
    ("reliable", "fields", "numbered"),
    [
        ("off", REL, False),
        ("off", {}, False),
        ("supported", {}, False),
        ("supported", REL, True),
        ("supported", {"k": "timer,100REL"}, True),
        ("supported", {"Require": "100rel"}, True),
        ("required", REL, True),
    ],
)
def test_when_both_want_it(reliable: Reliable, fields: Fields, numbered: bool) -> None:
    ladder, offer = offered(reliable, dict(fields))
    ring(ladder, offer)
    assert (ladder.last.headers.get("require") == "100rel") is numbered
    assert ("rseq" in ladder.last.headers) is numbered
    if numbered:
        assert 1 <= int(ladder.header("rseq")) < 2**31
    ladder.at(0.5)
    assert ladder.quiet() is not numbered


@pytest.mark.parametrize(
    ("reliable", "fields", "status", "name"),
    [
        ("off", {"Require": "100rel"}, 420, "unsupported"),
        ("required", {}, 421, "require"),
        ("required", {"Supported": "timer"}, 421, "require"),
    ],
)
def test_when_one_must_and_the_other_cannot(reliable: Reliable, fields: Fields, status: int, name: str) -> None:
    ladder = Ladder(agent=Agent(lambda: "t", admit=lambda *_: Terms(reliable=reliable)))
    ladder >> invite(fields=fields) << status
    assert ladder.header(name) == "100rel"
    assert [event.status for event in ladder.refused] == [status]


# Repeats and PRACKs


def test_it_is_repeated_until_its_prack() -> None:
    ladder, offer = offered()
    ring(ladder, offer)
    first = bytes(ladder.last)
    for at in (0.5, 1.5, 3.5, 7.5, 15.5):  # T1·2^n, without an upper bound (§3)
        ladder.at(at - 0.01)
        assert ladder.quiet()
        ladder.at(at) << 180
        assert bytes(ladder.last) == first
    data, late = prack(ladder), prack(ladder, 3)
    ladder >> data << 200
    ladder >> data << 200  # a repeat
    ladder >> late << 481  # it has its PRACK
    ladder.at(50)
    assert ladder.quiet()


def test_the_invite_again_brings_it_again() -> None:
    ladder, offer = offered()
    ring(ladder, offer)
    first = bytes(ladder.last)
    ladder >> invite(fields=dict(REL)) << 180
    assert bytes(ladder.last) == first


@pytest.mark.parametrize(
    ("rack", "status"),
    [
        ("1 1 INVITE", 481),
        ("{} 2 INVITE", 481),
        ("{} 1 UPDATE", 481),
        ("{} 1", 400),
        ("x 1 INVITE", 400),
        ("99999999999 1 INVITE", 400),
        ("{} 1 INVITE", 200),
        (" {}  1\tINVITE", 200),
    ],
)
def test_which_it_is_for(rack: str, status: int) -> None:
    ladder, offer = offered()
    ring(ladder, offer)
    ladder >> prack(ladder, rack=rack.format(ladder.header("rseq"))) << status


def test_a_prack_must_say_what_for() -> None:
    ladder, offer = offered()
    ring(ladder, offer)
    ladder >> request("PRACK", branch="p", to_tag=ladder.response.to_tag, cseq=2) << 400


def test_one_at_a_time_and_numbered_on() -> None:
    ladder, offer = offered()
    ring(ladder, offer)
    number = int(ladder.header("rseq"))
    ladder.agent.progress(offer, OURS, 0.0)
    ladder.drain()
    assert ladder.quiet()
    ladder >> prack(ladder) << 200 << 183
    assert (int(ladder.header("rseq")), ladder.last.body) == (number + 1, OURS)
    ladder.at(0.5) << 183
    ladder >> prack(ladder, 3) << 200
    ladder.at(20)
    assert ladder.quiet()


def test_no_prack_at_all_is_504() -> None:
    ladder, offer = offered()
    ring(ladder, offer)
    ladder.at(GIVE_UP - 0.1)
    ladder.out.clear()
    ladder.at(GIVE_UP) << 504
    assert ladder.event(OfferCancelled) == OfferCancelled(offer, 'Q.850;cause=102;text="no PRACK"', 504)
    ladder >> request("ACK", branch="one", to_tag=ladder.response.to_tag)
    ladder.gone()


def test_each_minute_another_one() -> None:
    ladder, offer = offered()
    ring(ladder, offer)
    number = int(ladder.header("rseq"))
    ladder >> prack(ladder) << 200
    ladder.at(UNANSWERED_REPEAT) << 180
    assert int(ladder.header("rseq")) == number + 1


# The final answer


def test_a_200_does_not_wait_for_a_180() -> None:
    ladder, offer = offered()
    ring(ladder, offer)
    rung = ladder.last
    ladder.agent.answer(offer, OURS, 0.1)
    ladder.drain() << 200
    assert (ladder.last.body, ladder.last.headers.get("require")) == (OURS, None)
    tag = ladder.response.to_tag
    ladder >> request("ACK", branch="ack", to_tag=tag)
    ladder.event(CallConfirmed)
    ladder.at(5)
    assert ladder.quiet()  # it is not repeated any more
    ladder.last = rung
    ladder >> prack(ladder) << 200  # but may still get its PRACK
    ladder >> request("BYE", branch="bye", to_tag=tag, cseq=3) << 200
    ladder.gone()


def test_a_200_waits_for_a_183_that_describes_our_media() -> None:
    ladder, offer = offered()
    progress(ladder, offer)
    call = ladder.agent.answer(offer, OURS, 0.1)
    ladder.drain()
    assert ladder.quiet()
    ladder.at(0.5) << 183
    ladder >> prack(ladder) << 200 << 200
    assert (str(ladder.last.headers.get("cseq")), ladder.last.body) == ("1 INVITE", b"")  # said once, for sure
    ladder >> request("ACK", branch="ack", to_tag=call.local_tag)
    assert ladder.event(CallConfirmed) == CallConfirmed(call, None)
    ladder >> request("BYE", branch="bye", to_tag=call.local_tag, cseq=3) << 200
    ladder.gone()


def test_what_waits_for_a_prack_is_not_sent_before_a_200() -> None:
    ladder, offer = offered()
    ring(ladder, offer)
    ladder.agent.progress(offer, OURS, 0.0)
    call = ladder.agent.answer(offer, OURS, 0.1)
    ladder.drain() << 200
    assert ladder.last.body == OURS
    assert call.local_tag == ladder.response.to_tag


def waiting() -> tuple[Ladder, Offer, Call]:
    """Answered by its user, and the 200 waits."""
    ladder, offer = offered()
    progress(ladder, offer)
    call = ladder.agent.answer(offer, OURS, 0.0)
    ladder.drain()
    assert ladder.quiet()
    return ladder, offer, call


def test_it_may_be_cancelled_until_then() -> None:
    ladder, _, call = waiting()
    ladder >> request("CANCEL", fields={"Reason": "Q.850;cause=16"}) << 200 << 487
    assert ladder.event(CallEnded) == CallEnded(call, "remote", "Q.850;cause=16", 487)
    assert not ladder.events
    ladder.gone()


def test_the_caller_may_hang_up_until_then() -> None:
    ladder, _, call = waiting()
    ladder >> request("BYE", branch="bye", to_tag=call.local_tag, cseq=2) << 200 << 487
    assert ladder.event(CallEnded).by == "remote"
    ladder.gone()


def test_and_so_may_we() -> None:
    ladder, offer, call = waiting()
    ladder.agent.end(call, 0.0, reason="Q.850;cause=16")
    ladder.drain() << 480
    assert ladder.header("reason") == "Q.850;cause=16"
    assert ladder.event(CallEnded).by == "local"
    ladder.agent.reject(offer, 486, 0.0)
    again = ladder.agent.answer(offer, OURS, 0.0)
    ladder.drain()
    assert ladder.quiet()
    assert again.ended
    ladder.gone()


def test_and_without_a_prack_it_is_504() -> None:
    ladder, _, call = waiting()
    ladder.at(GIVE_UP - 0.1)
    ladder.out.clear()
    ladder.at(GIVE_UP) << 504
    assert ladder.event(CallEnded) == CallEnded(call, "timeout", 'Q.850;cause=102;text="no PRACK"', 504)
    ladder.gone()


def test_nothing_else_happens_to_a_call_that_waits() -> None:
    ladder, offer, call = waiting()
    ladder.agent.ring(offer, 0.0)
    ladder.agent.reinvite(call, OURS, 0.0)
    ladder.drain()
    assert ladder.quiet()
    ladder >> invite(branch="re", to_tag=call.local_tag, cseq=2) << 500
    ladder >> request("OPTIONS", branch="o", to_tag=call.local_tag, cseq=3) << 200
    assert not ladder.events


def test_a_refusal_ends_the_repeats_and_a_prack_may_still_come() -> None:
    ladder, offer = offered()
    ring(ladder, offer)
    rung = ladder.last
    ladder.agent.reject(offer, 486, 0.1)
    ladder.drain() << 486
    ladder >> request("ACK", branch="one", to_tag=ladder.response.to_tag)
    ladder.at(3)
    assert ladder.quiet()
    ladder.last = rung
    ladder >> request("INFO", branch="i", to_tag=ladder.response.to_tag, cseq=2) << 481
    ladder.last = rung
    ladder >> prack(ladder, 3) << 200
    assert ladder.agent.stats()["dialogs"] == 0
    ladder.last = rung
    ladder >> prack(ladder, 4) << 481
    ladder.gone()


def test_a_refusal_whose_prack_never_comes_is_forgotten() -> None:
    ladder, offer = offered()
    ring(ladder, offer)
    ladder.agent.reject(offer, 486, 0.1)
    ladder.drain() << 486
    ladder >> request("ACK", branch="one", to_tag=ladder.response.to_tag)
    ladder.gone()


# Offers and answers (§5)


def test_the_answer_to_our_offer_comes_in_the_prack() -> None:
    ladder, offer = offered(body=b"")
    assert (offer.sdp, offer.reliable) == (None, True)
    progress(ladder, offer)
    ladder >> prack(ladder, body=SDP) << 200
    assert ladder.last.body == b""
    assert ladder.event(OfferConfirmed) == OfferConfirmed(offer, SDP)
    call = ladder.agent.answer(offer, OURS, 0.0)
    ladder.drain() << 200
    assert ladder.last.body == b""
    ladder >> request("ACK", branch="ack", to_tag=call.local_tag)
    ladder.at(20)
    assert not call.ended  # nothing is missing in that ACK


def test_the_answer_comes_after_the_user_answered() -> None:
    ladder, offer = offered(body=b"")
    progress(ladder, offer)
    call = ladder.agent.answer(offer, OURS, 0.0)
    ladder >> prack(ladder, body=SDP) << 200 << 200
    assert ladder.event(OfferConfirmed) == OfferConfirmed(offer, SDP)
    ladder >> request("ACK", branch="ack", to_tag=call.local_tag)
    ladder.at(20)
    assert not call.ended


def test_a_prack_that_brings_no_answer() -> None:
    ladder, offer = offered(body=b"")
    progress(ladder, offer)
    ladder >> prack(ladder) << 200
    call = ladder.agent.answer(offer, OURS, 0.0)
    ladder.drain() << 200
    ladder >> request("ACK", branch="ack", to_tag=call.local_tag)
    ladder.at(6) << "BYE"
    assert call.ended


def test_a_prack_may_bring_another_offer() -> None:
    ladder, offer = offered()
    progress(ladder, offer)
    tag = ladder.response.to_tag
    ladder >> prack(ladder, body=OTHER)
    assert ladder.quiet()
    reoffer = ladder.event(Reoffered).reoffer
    assert (reoffer.call, reoffer.sdp) == (offer, OTHER)
    call = ladder.agent.answer(offer, OURS, 0.0)  # its 200 waits for our answer to that
    ladder.drain()
    assert ladder.quiet()
    ladder.agent.accept(reoffer, OURS, 0.0)
    ladder.drain() << 200
    assert (ladder.header("cseq"), ladder.last.body) == ("2 PRACK", OURS)
    ladder << 200
    assert (ladder.header("cseq"), ladder.last.body) == ("1 INVITE", b"")
    assert call.local_tag == tag
    ladder >> request("ACK", branch="ack", to_tag=tag)
    ladder >> request("BYE", branch="bye", to_tag=tag, cseq=3) << 200
    ladder.gone()


def test_an_offer_in_a_prack_before_the_first_is_answered() -> None:
    ladder, offer = offered()
    ring(ladder, offer)
    ladder >> prack(ladder, body=OTHER) << 500
    assert 0 <= int(ladder.header("retry-after")) <= 10
    assert not ladder.events
    ladder.at(5)
    assert ladder.quiet()  # it was a PRACK all the same


def test_an_offer_in_a_prack_that_is_refused() -> None:
    ladder, offer = offered()
    progress(ladder, offer)
    ladder >> prack(ladder, body=OTHER)
    ladder.agent.refuse(ladder.event(Reoffered).reoffer, 488, 0.0)
    ladder.drain() << 488
    ladder.agent.answer(offer, OURS, 0.0)
    ladder.drain() << 200


# Theirs


def calling(reliable: Reliable = "supported") -> tuple[Ladder, OutgoingCall]:
    ladder = Ladder()
    outgoing = ladder.agent.invite(
        peer=UDP,
        uri="sip:b@192.0.2.9",
        from_="sip:a@192.0.2.1",
        to="sip:b@d",
        sdp=OURS,
        now=0.0,
        terms=Terms(reliable=reliable),
    )
    ladder.drain() << "INVITE"
    return ladder, outgoing


def numbered(ladder: Ladder, status: int, rseq: int | str, body: bytes = b"", tag: str = "phone") -> bytes:
    fields: Fields = {
        "Require": "100rel",
        "RSeq": str(rseq),
        "Contact": "<sip:phone@192.0.2.9:5099>",
        "Record-Route": "<sip:192.0.2.77;lr>",
    }
    return reply_to(ladder, status, to_tag=tag, body=body, fields=fields)


@pytest.mark.parametrize(
    ("reliable", "supported", "required"),
    [("off", False, None), ("supported", True, None), ("required", True, "100rel")],
)
def test_what_we_say(reliable: Reliable, supported: bool, required: str | None) -> None:
    ladder, _ = calling(reliable)
    assert ("100rel" in ladder.header("supported")) is supported
    assert ladder.last.headers.get("require") == required


def test_theirs_get_a_prack_each_once_and_in_order() -> None:
    ladder, outgoing = calling()
    sent = ladder.last
    first, second, third = (numbered(ladder, 180 + n, 70 + n, SDP if n == 1 else b"") for n in range(3))
    ladder >> first << "PRACK"
    prack = ladder.request
    assert (ladder.header("rack"), prack.cseq.number) == ("70 1 INVITE", 2)
    assert (prack.uri, prack.routes, prack.to_tag) == ("sip:phone@192.0.2.9:5099", ("<sip:192.0.2.77;lr>",), "phone")
    assert ladder.to.remote == ("192.0.2.77", 5060)
    done = reply_to(ladder, 200)
    ladder >> first
    assert ladder.quiet()
    ladder >> third  # the second is missing: it comes again
    assert ladder.quiet()
    ladder >> second << "PRACK"
    assert (ladder.header("rack"), ladder.request.cseq.number) == ("71 1 INVITE", 3)
    ladder >> reply_to(ladder, 200)
    ladder >> third << "PRACK"
    ladder >> reply_to(ladder, 200)
    ladder >> done
    told = [ladder.event(CallProgress) for _ in range(3)]
    assert [(event.status, event.sdp) for event in told] == [(180, None), (181, SDP), (182, None)]
    assert not ladder.events
    ladder.last = sent
    contact: Fields = {"Contact": "<sip:phone@192.0.2.9:5098>"}
    ladder >> reply_to(ladder, 200, to_tag="phone", body=OTHER, fields=contact) << "ACK"
    assert (ladder.request.uri, ladder.request.cseq.number) == ("sip:phone@192.0.2.9:5098", 1)
    answered = ladder.event(CallAnswered)
    assert (answered.outgoing, answered.sdp) == (outgoing, None)  # §13.2.1: the first was the answer
    ladder.agent.end(answered.call, 0.0)
    ladder.drain() << "BYE"
    assert ladder.request.cseq.number == 5
    ladder >> reply_to(ladder, 200)
    ladder.gone()


def test_a_prack_is_repeated() -> None:
    ladder, _ = calling()
    ladder >> numbered(ladder, 183, 1, SDP) << "PRACK"
    ladder.at(0.5) << "PRACK"
    ladder >> reply_to(ladder, 200)
    ladder.at(30)
    assert ladder.quiet()


def test_each_phone_counts_by_itself() -> None:
    ladder, _ = calling()
    ringing = [numbered(ladder, 180, n, tag=tag) for n, tag in ((5, "a"), (900, "b"), (6, "a"))]
    for answer, rack in zip(ringing, ("5", "900", "6"), strict=True):
        ladder >> answer << "PRACK"
        assert ladder.header("rack") == f"{rack} 1 INVITE"


@pytest.mark.parametrize(
    "fields",
    [{"Require": "100rel", "RSeq": "x"}, {"Require": "100rel"}, {"RSeq": "7"}, {"Supported": "100rel", "RSeq": "7"}],
)
def test_what_wants_no_prack(fields: Fields) -> None:
    ladder, _ = calling()
    ladder >> reply_to(ladder, 180, to_tag="phone", fields=fields)
    assert ladder.quiet()
    assert ladder.event(CallProgress).status == 180


def test_a_100_never_does() -> None:
    ladder, _ = calling()
    ladder >> reply_to(ladder, 100, fields={"Require": "100rel", "RSeq": "7"})
    assert ladder.quiet()


def test_a_call_given_up_still_gives_pracks() -> None:
    ladder, outgoing = calling()
    sent = ladder.last
    ringing = numbered(ladder, 180, 1)
    ladder >> reply_to(ladder, 100)
    ladder.agent.cancel(outgoing, 0.0)
    ladder.drain() << "CANCEL"
    ladder >> reply_to(ladder, 200)
    ladder >> ringing << "PRACK"
    ladder >> reply_to(ladder, 200)
    ladder.last = sent
    ladder >> reply_to(ladder, 487, to_tag="phone") << "ACK"
    ladder.events.clear()
    ladder.gone()


def test_an_invite_that_fails_leaves_no_early_dialogs() -> None:
    ladder, _ = calling()
    sent = ladder.last
    ladder >> numbered(ladder, 180, 1, tag="a") << "PRACK"
    ladder.last = sent
    ladder >> reply_to(ladder, 180, to_tag="b")
    assert ladder.agent.stats()["dialogs"] == 2
    ladder >> reply_to(ladder, 486, to_tag="a") << "ACK"
    assert ladder.agent.stats()["dialogs"] == 0
    ladder.events.popleft()
    ladder.events.popleft()
    assert ladder.event(CallFailed).status == 486
