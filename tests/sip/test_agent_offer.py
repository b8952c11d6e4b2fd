"""Calls offered to us, from the INVITE to its final answer (RFC 3261 §13.3, §17.2.1, §9.2; RFC 6026)."""

from __future__ import annotations

from itertools import count

import pytest

from edge.sip.agent import Agent
from edge.sip.events import CallConfirmed, CallEnded, CallOffered, OfferCancelled
from edge.sip.limits import ANSWERLESS, UNANSWERED, UNANSWERED_REPEAT
from edge.sip.terms import Terms
from edge.sip.timers import GIVE_UP, T4
from tests.sip.ladder import OURS, SDP, TCP, UDP, Ladder, invite, reply_to, request

ELSEWHERE = ["sip:+14155550111@198.51.100.7"]


def ack_to(ladder: Ladder, *, branch: str = "one") -> bytes:
    """The ACK to the refusal taken last."""
    return request("ACK", branch=branch, to_tag=ladder.last.to_tag, via="SIP/2.0/UDP 192.0.2.9:5062")


# 100 and final answers


def test_an_answer_in_the_same_turn_spares_the_100() -> None:
    ladder = Ladder()
    ladder.agent.receive(invite(), UDP, 0.0)
    event = ladder.agent.next_event()
    assert isinstance(event, CallOffered)
    ladder.agent.redirect(event.offer, ELSEWHERE, 0.0)
    ladder.drain() << 302
    assert ladder.header("contact") == "<sip:+14155550111@198.51.100.7>"
    assert ladder.quiet()
    ladder >> ack_to(ladder)
    assert ladder.quiet()
    ladder.gone()


def test_who_has_to_wait_hears_100_at_once() -> None:
    ladder = Ladder()
    offer = ladder.offered()
    assert ladder.last.to_tag is None
    assert offer.sdp == SDP
    assert offer.call_id == "call-1"
    assert offer.target.user == "+14155550100"
    assert offer.from_.uri.user == "+14155550199"
    ladder.agent.reject(offer, 404, 0.0, fields=[("Reason", "Q.850;cause=1")])
    ladder.drain() << 404
    assert ladder.header("reason") == "Q.850;cause=1"
    assert ladder.last.to_tag is not None
    ladder.gone()


def test_a_timestamp_comes_back_in_the_100() -> None:
    ladder = Ladder()
    ladder >> invite(fields={"Timestamp": "54.21"}) << 100  # §8.2.6.1
    assert ladder.header("timestamp") == "54.21"


def test_a_repeated_invite_gets_the_last_answer_again() -> None:
    ladder = Ladder()
    ladder >> invite()
    ladder << 100
    ladder >> invite() << 100
    offer = ladder.event(CallOffered).offer
    assert not ladder.events
    ladder.agent.ring(offer, 0.0)
    ladder.drain() << 180
    first = bytes(ladder.last)
    ladder >> invite() << 180
    assert bytes(ladder.last) == first
    ladder.agent.reject(offer, 486, 0.0)
    ladder.drain() << 486
    tag = ladder.last.to_tag
    ladder >> invite() << 486
    assert ladder.last.to_tag == tag
    assert ladder.quiet()


def test_a_refusal_is_repeated_until_its_ack() -> None:
    ladder = Ladder()
    ladder.agent.reject(ladder.offered(), 404, 0.0)
    ladder.drain() << 404
    for moment in (0.5, 1.5, 3.5, 7.5, 11.5):  # Timer G: T1, doubled, no more than T2
        ladder.at(moment - 0.01)
        assert ladder.quiet()
        ladder.at(moment) << 404
    ladder.at(12) >> ack_to(ladder)
    ladder.at(100)
    assert ladder.quiet()
    ladder.gone()


def test_a_refusal_nobody_acknowledges_ends_at_timer_h() -> None:
    ladder = Ladder()
    ladder.agent.reject(ladder.offered(), 404, 0.0)
    ladder.drain() << 404
    ladder.at(GIVE_UP - 0.01)
    assert len(ladder.out) == 10  # 0.5 1.5 3.5 7.5 11.5 … 31.5
    assert ladder.agent.stats()["transactions"] == 1
    ladder.at(GIVE_UP)
    assert ladder.agent.stats()["transactions"] == 0


def test_timer_i_absorbs_late_acks_and_invites() -> None:
    ladder = Ladder()
    ladder.agent.reject(ladder.offered(), 404, 0.0)
    ladder.drain() << 404
    ladder >> ack_to(ladder) >> ack_to(ladder) >> invite()
    assert ladder.quiet()
    assert ladder.agent.stats()["transactions"] == 1
    ladder.at(T4)
    assert ladder.agent.stats()["transactions"] == 0


def test_over_tcp_nothing_is_repeated_and_nothing_stays() -> None:
    ladder = Ladder(TCP)
    via = "SIP/2.0/TCP 192.0.2.9:5062"
    ladder.agent.reject(ladder.offered(invite(via=via)), 404, 0.0)
    ladder.drain() << 404
    ladder.at(10)
    assert ladder.quiet()
    ladder >> request("ACK", to_tag=ladder.last.to_tag, via=via)
    assert ladder.agent.stats()["transactions"] == 0


@pytest.mark.parametrize(
    ("contacts", "expected"),
    [
        (["sip:a@x"], ["<sip:a@x>"]),
        (["sip:a@x", "tel:+1415"], ["<sip:a@x>;q=1.0", "<tel:+1415>;q=0.9"]),
    ],
)
def test_redirect_keeps_the_order_of_its_destinations(contacts: list[str], expected: list[str]) -> None:
    ladder = Ladder()
    ladder.agent.redirect(ladder.offered(), contacts, 0.0)
    ladder.drain() << 302
    assert ladder.last.headers.all("contact") == expected


def test_a_redirect_is_a_hop() -> None:
    ladder = Ladder()
    ladder.agent.redirect(ladder.offered(invite(fields={"Max-Forwards": "0"})), ELSEWHERE, 0.0)
    ladder.drain() << 483
    ladder.gone()


def test_an_answer_needs_no_hop() -> None:
    ladder = Ladder()
    ladder.answered(invite(fields={"Max-Forwards": "0"}))


def test_a_header_that_breaks_its_line_is_the_users_fault_and_harms_nothing() -> None:
    ladder = Ladder()
    offer = ladder.offered()
    with pytest.raises(ValueError):
        ladder.agent.reject(offer, 404, 0.0, fields=[("Reason", "a\r\nContact: <sip:b>")])
    ladder.agent.reject(offer, 404, 0.0)
    ladder.drain() << 404
    ladder.gone()


# 180, 183, 200


def test_all_answers_carry_one_tag_and_the_dialog_what_it_needs() -> None:
    ladder = Ladder()
    routes = "<sip:p2.example.net;lr>, <sip:p1.example.net;lr>"
    offer = ladder.offered(invite(fields={"Record-Route": routes}))
    ladder.agent.ring(offer, 0.0)
    ladder.drain() << 180
    tags = {ladder.last.to_tag}
    assert ladder.header("contact") == "<sip:192.0.2.1:5060>"
    assert ladder.header("record-route") == routes
    assert not ladder.last.body
    ladder.agent.progress(offer, OURS, 0.0)
    ladder.drain() << 183
    tags.add(ladder.last.to_tag)
    assert ladder.last.body == OURS
    assert ladder.header("content-type") == "application/sdp"
    call = ladder.agent.answer(offer, OURS, 0.0)
    ladder.drain() << 200
    tags.add(ladder.last.to_tag)
    assert tags == {call.local_tag}
    assert ladder.last.body == OURS
    assert ladder.header("record-route") == routes
    assert "BYE" in ladder.header("allow")


def test_a_200_is_repeated_until_its_ack() -> None:
    ladder = Ladder()
    call = ladder.answered()
    for moment in (0.5, 1.5, 3.5, 7.5, 11.5, 15.5):  # §13.3.1.4
        ladder.at(moment - 0.01)
        assert ladder.quiet()
        ladder.at(moment) << 200
    ladder >> request("ACK", branch="ack", to_tag=call.local_tag)
    assert ladder.event(CallConfirmed) == CallConfirmed(call)
    ladder.at(60)
    assert ladder.quiet()


def test_a_200_is_repeated_over_tcp_too() -> None:
    ladder = Ladder(TCP)
    ladder.answered(invite(via="SIP/2.0/TCP 192.0.2.9:5062"))
    ladder.at(0.5) << 200
    assert ladder.to == TCP


def test_a_200_without_ack_ends_in_a_bye() -> None:
    ladder = Ladder()
    call = ladder.answered()
    ladder.at(GIVE_UP - 0.01)
    assert len(ladder.out) == 10
    ladder.out.clear()
    ladder.at(GIVE_UP) << "BYE"
    ended = ladder.event(CallEnded)
    assert (ended.call, ended.by) == (call, "timeout")
    ladder >> reply_to(ladder, 200)
    ladder.gone()
    assert not ladder.events


def test_a_repeated_invite_is_absorbed_once_it_is_accepted() -> None:
    ladder = Ladder()
    ladder.answered()
    ladder >> invite()  # RFC 6026 §7.1
    assert ladder.quiet()
    assert not ladder.events


def test_the_ack_to_a_200_may_have_the_branch_of_the_invite() -> None:
    ladder = Ladder()
    call = ladder.answered()
    ladder >> request("ACK", branch="one", to_tag=call.local_tag)  # wrong by §13.2.2.4, and seen
    assert ladder.event(CallConfirmed).call is call


@pytest.mark.parametrize(
    "ack",
    [
        request("ACK", branch="ack", to_tag="nobody"),
        request("ACK", branch="ack"),
        request("ACK", branch="ack", to_tag="t1", cseq=2),
        request("ACK", branch="ack", to_tag="t1", tag="somebody"),
        request("ACK", branch="one", call_id="call-2"),
        request("ACK", branch="one", fields={"CSeq": "nonsense"}),
        b"ACK sip:a SIP/2.0\r\n\r\n",
    ],
)
def test_an_ack_that_matches_nothing_is_never_answered(ack: bytes) -> None:
    ladder = Ladder()
    ladder.answered()
    ladder.events.clear()
    ladder >> ack
    assert ladder.quiet()
    assert not ladder.events
    ladder.at(0.5) << 200  # still waiting for the right one


def test_an_invite_without_sdp_gets_our_offer() -> None:
    ladder = Ladder()
    offer = ladder.offered(invite(body=b""))
    assert offer.sdp is None
    call = ladder.agent.answer(offer, OURS, 0.0)
    ladder.drain() << 200
    assert ladder.last.body == OURS
    ladder >> request("ACK", branch="ack", to_tag=call.local_tag, body=SDP, kind="application/sdp")
    assert ladder.event(CallConfirmed) == CallConfirmed(call, SDP)
    assert ladder.quiet()


def test_an_offer_without_an_answer_ends_in_a_bye() -> None:
    ladder = Ladder()
    call = ladder.answered(invite(body=b""))
    ladder >> request("ACK", branch="ack", to_tag=call.local_tag)
    assert ladder.event(CallConfirmed) == CallConfirmed(call, None)
    assert ladder.quiet()
    ladder.later(ANSWERLESS) << "BYE"
    assert ladder.event(CallEnded).by == "local"
    ladder >> reply_to(ladder, 200)
    ladder.gone()


def test_waiting_is_said_each_minute_and_ends() -> None:
    ladder = Ladder()
    offer = ladder.offered()
    ladder.at(UNANSWERED_REPEAT) << 180  # §13.3.1.1
    ladder.at(2 * UNANSWERED_REPEAT) << 180
    ladder.at(UNANSWERED)
    ladder.out = type(ladder.out)([ladder.out[-1]])
    ladder << 480
    assert ladder.event(OfferCancelled).offer is offer
    ladder.gone()


# CANCEL


def test_cancel_in_time() -> None:
    ladder = Ladder()
    offer = ladder.offered()
    ladder >> request("CANCEL", fields={"Reason": "SIP;cause=200"}) << 200
    tag = ladder.last.to_tag
    assert ladder.header("cseq") == "1 CANCEL"
    ladder << 487
    assert ladder.header("cseq") == "1 INVITE"
    assert ladder.last.to_tag == tag  # §9.2
    assert ladder.event(OfferCancelled) == OfferCancelled(offer, "SIP;cause=200")
    ladder >> request("ACK", to_tag=tag)
    call = ladder.agent.answer(offer, OURS, 0.0)  # its user was on the way
    assert call.ended
    ladder.agent.ring(offer, 0.0)
    ladder.agent.reject(offer, 404, 0.0)
    ladder.agent.end(call, 0.0)
    ladder.drain()
    assert ladder.quiet()
    assert not ladder.events
    ladder.gone()


def test_cancel_in_the_same_turn_as_its_invite() -> None:
    ladder = Ladder()
    ladder.agent.receive(invite(), UDP, 0.0)
    ladder >> request("CANCEL") << 200 << 487
    assert ladder.quiet()  # no 100 after the 487
    assert ladder.event(CallOffered).offer is ladder.event(OfferCancelled).offer
    ladder.gone()


def test_a_repeated_cancel_gets_its_answer_again() -> None:
    ladder = Ladder()
    ladder.offered()
    ladder >> request("CANCEL") << 200 << 487
    ladder >> request("ACK", to_tag=ladder.last.to_tag)
    ladder.at(20) >> request("CANCEL") << 200  # its INVITE is long forgotten, the CANCEL is not
    ladder.gone()


@pytest.mark.parametrize("status", [200, 486])
def test_cancel_after_the_final_answer_has_no_effect(status: int) -> None:
    ladder = Ladder()
    if status == 200:
        ladder.answered()
    else:
        ladder.agent.reject(ladder.offered(), status, 0.0)
        ladder.drain() << status
    tag = ladder.last.to_tag
    ladder >> request("CANCEL") << 200
    assert ladder.last.to_tag == tag
    assert ladder.quiet()
    assert not ladder.events


@pytest.mark.parametrize(
    "cancel",
    [
        request("CANCEL", branch="two"),
        request("CANCEL", via="SIP/2.0/UDP 192.0.2.9:5063"),
        request("CANCEL", via="SIP/2.0/UDP 192.0.2.10:5062"),
    ],
)
def test_cancel_of_something_else_is_481(cancel: bytes) -> None:
    ladder = Ladder()
    ladder.offered()
    ladder >> cancel << 481
    assert not ladder.events


def test_cancel_need_not_be_understood() -> None:
    ladder = Ladder()
    ladder.offered()
    ladder >> request("CANCEL", fields={"Require": "100rel"}) << 200 << 487  # §8.2.2.3


def test_after_a_cancel_the_487_is_repeated_until_its_ack() -> None:
    ladder = Ladder()
    ladder.offered()
    ladder >> request("CANCEL") << 200 << 487
    ladder.at(0.5) << 487
    ladder >> request("ACK", to_tag=ladder.last.to_tag)
    ladder.gone()


def test_bye_before_the_answer() -> None:
    ladder = Ladder()
    offer = ladder.offered()
    ladder.agent.ring(offer, 0.0)
    ladder.drain() << 180
    ladder >> request("BYE", branch="bye", to_tag=ladder.last.to_tag, cseq=2) << 200 << 487  # §15.1.2
    assert ladder.event(OfferCancelled).offer is offer
    ladder >> request("ACK", to_tag=ladder.last.to_tag)
    ladder.gone()


# Matching (§17.2.3)


def test_a_merged_request_is_482() -> None:
    ladder = Ladder()
    ladder.offered()
    ladder >> invite(branch="other-way") << 482  # §8.2.2.2
    assert not ladder.events
    (refused,) = ladder.refused
    assert (refused.status, refused.why, refused.peer) == (482, "", ladder.peer)
    ladder >> invite(branch="again", cseq=2) << 100  # a new attempt of the same caller


def test_a_client_of_rfc_2543() -> None:
    ladder = Ladder()
    old = {"Via": "SIP/2.0/UDP 192.0.2.9:5062", "Contact": None, "Max-Forwards": None}
    offer = ladder.offered(invite(tag=None, fields=old))
    ladder >> invite(tag=None, fields=old) << 100
    ladder.agent.reject(offer, 404, 0.0)
    ladder.drain() << 404
    ladder >> request("ACK", tag=None, to_tag=ladder.last.to_tag, fields=old)
    ladder.at(4)
    assert ladder.quiet()
    ladder >> invite(tag=None, cseq=2, call_id="call-2", fields=old) << 100
    ladder >> request("CANCEL", tag=None, cseq=2, call_id="call-2", fields=old) << 200 << 487
    ladder.gone()


def test_a_call_of_rfc_2543_without_tags() -> None:
    ladder = Ladder()
    old = {"Via": "SIP/2.0/UDP 192.0.2.9:5062", "Contact": None, "Max-Forwards": None}
    call = ladder.answered(invite(tag=None, fields=old))
    ladder >> request("ACK", tag=None, to_tag=call.local_tag, fields=old)
    assert ladder.event(CallConfirmed).call is call
    ladder >> request("BYE", tag=None, to_tag=call.local_tag, cseq=2, fields=old) << 200
    assert ladder.event(CallEnded).by == "remote"
    ladder.gone()


def test_two_clients_with_one_branch_are_two() -> None:
    ladder = Ladder()
    ladder.offered(invite(branch="same"))
    ladder >> invite(branch="same", via="SIP/2.0/UDP 192.0.2.8:5062", call_id="call-2") << 100
    assert ladder.event(CallOffered).offer.call_id == "call-2"


# Where answers go (§18.2.2, RFC 3581)


@pytest.mark.parametrize(
    ("via", "port", "received", "rport"),
    [
        ("SIP/2.0/UDP 192.0.2.9:5062;rport;branch=z9hG4bK1", 5062, "192.0.2.9", 5062),
        ("SIP/2.0/UDP 10.0.0.1:5099;rport;branch=z9hG4bK1", 5062, "192.0.2.9", 5062),
        ("SIP/2.0/UDP 192.0.2.9:5099;branch=z9hG4bK1", 5099, None, None),
        ("SIP/2.0/UDP 10.0.0.1:5099;branch=z9hG4bK1", 5099, "192.0.2.9", None),
        ("SIP/2.0/UDP phone.example;branch=z9hG4bK1", 5060, "192.0.2.9", None),
        ("SIP/2.0/UDP 10.0.0.1:5099;maddr=224.0.0.1;branch=z9hG4bK1", 5099, "192.0.2.9", None),
    ],
)
def test_answers_go_to_the_source(via: str, port: int, received: str | None, rport: int | None) -> None:
    ladder = Ladder()
    ladder >> invite(fields={"Via": via}) << 100
    assert ladder.to.remote == ("192.0.2.9", port)
    assert ladder.last.via.received == received
    assert ladder.last.via.rport == rport


def test_a_broken_connection_is_made_anew_for_the_answer() -> None:
    ladder = Ladder(TCP)
    offer = ladder.offered(invite(via="SIP/2.0/TCP 192.0.2.9:5070"))
    ladder.agent.lost(TCP, 0.0)
    ladder.agent.reject(offer, 404, 0.0)
    ladder.drain() << 404
    assert (ladder.to.remote, ladder.to.connection) == (("192.0.2.9", 5070), 0)
    ladder.gone()


def test_advertised_address() -> None:
    ladder = Ladder(agent=Agent(lambda: "t1", prefix="3.", advertise={"192.0.2.1": "2001:db8::1"}))
    call = ladder.answered()
    assert ladder.header("contact") == "<sip:[2001:db8::1]:5060>"
    assert call.local_tag == "3.t1"


def test_an_address_that_is_advertised_to_this_one_only() -> None:
    terms, tokens = Terms(advertise="203.0.113.5"), count(1)
    advertised = {"192.0.2.1": "2001:db8::1"}
    ladder = Ladder(agent=Agent(lambda: f"t{next(tokens)}", advertise=advertised, admit=lambda *_: terms))
    offer = ladder.offered()
    ladder.agent.ring(offer, 0.0)
    ladder.drain() << 180
    assert ladder.header("contact") == "<sip:203.0.113.5:5060>"
    call = ladder.agent.answer(offer, SDP, 0.0)
    ladder.drain() << 200
    assert ladder.header("contact") == "<sip:203.0.113.5:5060>"
    to_tag = ladder.header("to").partition("tag=")[2]
    ladder >> request("ACK", branch="ack", to_tag=to_tag)
    ladder.agent.reinvite(call, SDP, 0.0)
    ladder.drain() << "INVITE"
    assert (ladder.request.via.host, ladder.header("contact")) == ("203.0.113.5", "<sip:203.0.113.5:5060>")
    ladder.agent.end(call, 0.0)


@pytest.mark.parametrize(("advertise", "host"), [("203.0.113.5", "203.0.113.5"), (None, "192.0.2.1")])
def test_a_text_says_the_address_that_its_receiver_knows(advertise: str | None, host: str) -> None:
    ladder = Ladder()
    there, here = "sip:b@192.0.2.9", "sip:a@192.0.2.1"
    ladder.agent.send_text(peer=ladder.peer, uri=there, from_=here, to=there, body=b"x", now=0.0, advertise=advertise)
    ladder.drain() << "MESSAGE"
    assert ladder.request.via.host == host
