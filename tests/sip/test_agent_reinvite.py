"""Re-INVITEs of ours: answers, glare, what has to wait, and calls that end meanwhile (RFC 3261 §14.1)."""

from __future__ import annotations

import pytest

from edge.sip import reinvite
from edge.sip.events import Call, CallAnswered, CallEnded, ReinviteAnswered, ReinviteFailed, Reoffered
from edge.sip.limits import REINVITE
from edge.sip.peer import Peer
from edge.sip.timers import GIVE_UP, T2
from tests.sip.ladder import OURS, SDP, TCP, UDP, US, Fields, Ladder, invite, reply_to, request

HOLD = OURS.replace(b"m=", b"a=sendonly\r\nm=")
OTHER = OURS.replace(b"7000", b"7002")


def asked(sdp: bytes = HOLD, peer: Peer = UDP) -> tuple[Ladder, Call]:
    """A call that is up, and our re-INVITE in it."""
    ladder = Ladder(peer)
    call = ladder.up(invite(via="SIP/2.0/TCP 192.0.2.9:5062") if peer is TCP else None)
    ladder.agent.reinvite(call, sdp, 0.0)
    ladder.drain() << "INVITE"
    return ladder, call


def called() -> tuple[Ladder, Call]:
    """A call of ours that is up, and our re-INVITE in it."""
    ladder = Ladder()
    ladder.agent.invite(peer=UDP, uri="sip:b@192.0.2.9", from_="sip:a@192.0.2.1", to="sip:b@d", sdp=OURS, now=0.0)
    ladder.drain() << "INVITE"
    ladder >> ok(ladder, SDP, to_tag="phone") << "ACK"
    call = ladder.event(CallAnswered).call
    ladder.agent.reinvite(call, HOLD, 0.0)
    ladder.drain() << "INVITE"
    return ladder, call


def ok(ladder: Ladder, sdp: bytes = SDP, *, to_tag: str | None = None, fields: Fields | None = None) -> bytes:
    contact: Fields = {"Contact": "<sip:them@192.0.2.9:5062>"}
    return reply_to(ladder, 200, to_tag=to_tag, body=sdp, fields=contact if fields is None else fields)


def of_theirs(call: Call, cseq: int) -> bytes:
    return invite(branch=f"re-{cseq}", to_tag=call.local_tag, cseq=cseq)


def within(method: str, call: Call, cseq: int, branch: str) -> bytes:
    return request(method, branch=branch, to_tag=call.local_tag, cseq=cseq)


def test_it_is_answered() -> None:
    ladder, call = asked()
    sent = ladder.request
    assert (sent.body, sent.uri, str(sent.cseq)) == (HOLD, "sip:them@192.0.2.9:5062", "1 INVITE")
    assert (sent.call_id, sent.from_tag, sent.to_tag) == ("call-1", call.local_tag, "them")
    assert ladder.header("contact") == "<sip:192.0.2.1:5060>"
    assert ladder.header("content-type") == "application/sdp"
    assert "INVITE" in ladder.header("allow")
    answer = ok(ladder)
    ladder >> reply_to(ladder, 100)
    assert not ladder.events
    ladder >> answer << "ACK"
    assert (ladder.request.via.branch != sent.via.branch, str(ladder.request.cseq)) == (True, "1 ACK")
    assert ladder.event(ReinviteAnswered) == ReinviteAnswered(call, SDP, HOLD)
    first = bytes(ladder.last)
    ladder.at(3.0) >> answer << "ACK"  # ours was lost
    assert bytes(ladder.last) == first
    assert not ladder.events
    ladder.agent.end(call, ladder.now)
    ladder.drain() << "BYE"
    assert str(ladder.request.cseq) == "2 BYE"
    ladder >> answer << "ACK"  # even now
    assert ladder.event(CallEnded).by == "local"
    ladder.gone()


def test_it_is_repeated_until_a_1xx() -> None:
    ladder, _ = asked()
    trying = reply_to(ladder, 100)
    ladder.at(0.5) << "INVITE"
    ladder >> trying
    ladder.at(REINVITE - 1)
    assert ladder.quiet()


def test_its_answer_may_bring_another_target() -> None:
    ladder, call = asked()
    ladder >> ok(ladder, fields={"Contact": "<sip:moved@192.0.2.77:5099>"}) << "ACK"
    assert ladder.request.uri == "sip:moved@192.0.2.77:5099"  # §12.2.1.2
    assert ladder.to.remote == ("192.0.2.77", 5099)
    ladder.agent.end(call, 0.0)
    ladder.drain() << "BYE"
    assert ladder.to.remote == ("192.0.2.77", 5099)


def test_a_phone_behind_nat_stays_where_its_packets_come_from() -> None:
    ladder = Ladder()
    natted: Fields = {"Contact": "<sip:them@10.0.0.7:5060>"}
    call = ladder.up(invite(via="SIP/2.0/UDP 10.0.0.7:5060", fields=natted))
    ladder.agent.reinvite(call, HOLD, 0.0)
    ladder.drain() << "INVITE"
    assert ladder.to == UDP
    ladder >> ok(ladder, fields=natted) << "ACK"
    assert ladder.to == UDP


def test_it_takes_the_route_set_and_so_do_its_ack_and_cancel() -> None:
    ladder = Ladder()
    call = ladder.up(invite(fields={"Record-Route": "<sip:192.0.2.20;lr>, <sip:192.0.2.21;lr>"}))
    ladder.agent.reinvite(call, HOLD, 0.0)
    ladder.drain() << "INVITE"
    sent = ladder.request
    refusal = reply_to(ladder, 488)
    ladder >> reply_to(ladder, 100)
    ladder.at(REINVITE) << "CANCEL"
    for _ in range(2):
        again = ladder.request
        assert (again.uri, again.routes, again.via, again.to_tag) == (sent.uri, sent.routes, sent.via, "them")
        assert ladder.to.remote == ("192.0.2.20", 5060)
        ladder >> refusal << "ACK"


def test_an_answer_without_sdp() -> None:
    ladder, call = asked()
    ladder >> ok(ladder, b"") << "ACK"
    assert ladder.event(ReinviteAnswered) == ReinviteAnswered(call, None, HOLD)


@pytest.mark.parametrize("status", [401, 486, 488, 500, 603])
def test_a_refusal_leaves_the_session(status: int) -> None:
    ladder, call = asked()
    sent = ladder.request
    refusal = reply_to(ladder, status)
    ladder >> refusal << "ACK"
    assert (ladder.request.via, str(ladder.request.cseq)) == (sent.via, "1 ACK")
    assert ladder.event(ReinviteFailed) == ReinviteFailed(call, status, HOLD)
    ladder >> refusal << "ACK"
    ladder.later(60)
    assert ladder.quiet()
    assert not call.ended
    ladder.agent.end(call, ladder.now)
    ladder.drain() << "BYE"
    ladder >> reply_to(ladder, 200)
    ladder.gone()


@pytest.mark.parametrize("status", [408, 481])
def test_a_dialog_they_do_not_know(status: int) -> None:
    ladder, call = asked()
    ladder.agent.reinvite(call, OTHER, 0.0)
    ladder >> reply_to(ladder, status) << "ACK" << "BYE"
    assert ladder.event(CallEnded) == CallEnded(call, "lost")
    ladder >> reply_to(ladder, 481)
    assert not ladder.events
    ladder.gone()


def test_nobody_answers() -> None:
    ladder, call = asked()
    ladder.at(GIVE_UP)
    assert ladder.event(CallEnded) == CallEnded(call, "lost")
    assert not ladder.events
    ladder.out.clear()
    ladder.gone()


def test_it_is_pondered_over_for_too_long() -> None:
    ladder, call = asked()
    refusal = reply_to(ladder, 487)
    ladder >> reply_to(ladder, 180)
    ladder.at(REINVITE) << "CANCEL"
    ladder >> reply_to(ladder, 200)
    ladder >> refusal << "ACK"
    assert ladder.event(ReinviteFailed) == ReinviteFailed(call, 487, HOLD)
    assert not call.ended


def test_it_is_pondered_over_for_ever() -> None:
    ladder, call = asked()
    ladder >> reply_to(ladder, 180)
    ladder.at(REINVITE + GIVE_UP)
    assert ladder.event(CallEnded) == CallEnded(call, "lost")
    ladder.out.clear()
    ladder.gone()


# Glare


@pytest.mark.parametrize(("outgoing", "least", "most"), [(True, 2.1, 4.0), (False, 0.0, 2.0)])
@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999999])
def test_a_491_is_tried_once_more(
    outgoing: bool, least: float, most: float, chance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.sip.wire.Wire.chance", lambda _: chance)
    ladder, call = called() if outgoing else asked()
    ladder >> reply_to(ladder, 491) << "ACK"
    due = ladder.agent.get_timer()
    assert due is not None
    assert least <= due <= most  # who made the Call-ID waits longer
    assert chance not in (0.0, 0.999999) or due == pytest.approx(most if chance else least)
    ladder.at(due) << "INVITE"
    assert ladder.request.body == HOLD
    assert ladder.request.cseq.number == (3 if outgoing else 2)
    ladder >> reply_to(ladder, 491) << "ACK"
    assert ladder.event(ReinviteFailed) == ReinviteFailed(call, 491, HOLD)
    ladder.later(20)
    assert ladder.quiet()
    assert not call.ended


def test_after_a_491_the_newest_is_sent() -> None:
    ladder, call = asked()
    ladder.agent.reinvite(call, SDP, 0.0)
    ladder >> reply_to(ladder, 491) << "ACK"
    ladder.agent.reinvite(call, OTHER, 0.0)
    ladder.drain()
    assert ladder.quiet()
    due = ladder.agent.get_timer()
    assert due is not None
    ladder.at(due) << "INVITE"
    assert ladder.request.body == OTHER
    ladder >> ok(ladder) << "ACK"
    assert ladder.event(ReinviteAnswered) == ReinviteAnswered(call, SDP, OTHER)
    assert not ladder.events


def test_theirs_during_the_pause_goes_first() -> None:
    ladder, call = called()
    ladder >> reply_to(ladder, 491) << "ACK"
    theirs = invite(branch="re", to_tag=call.local_tag, tag="phone", cseq=1, call_id=call.call_id)
    ladder.at(1.0) >> theirs << 100
    reoffer = ladder.event(Reoffered).reoffer
    ladder.at(5.0)
    assert ladder.quiet()  # ours waits
    ladder.agent.accept(reoffer, OURS, ladder.now)
    ladder.drain() << 200
    ack = request("ACK", branch="ack", tag="phone", to_tag=call.local_tag, cseq=1, call_id=call.call_id)
    ladder >> ack << "INVITE"
    assert ladder.request.body == HOLD


def test_theirs_while_ours_is_under_way() -> None:
    ladder, call = asked()
    answer = ok(ladder)
    ladder >> of_theirs(call, 2) << 491  # §14.2
    ladder >> within("ACK", call, 2, "re-2")
    assert not ladder.events
    ladder >> answer << "ACK"
    ladder.event(ReinviteAnswered)
    ladder >> of_theirs(call, 3) << 100
    ladder.event(Reoffered)


# What ours waits for


def test_the_ack_to_our_200() -> None:
    ladder = Ladder()
    call = ladder.answered()
    ladder.agent.reinvite(call, OTHER, 0.0)
    ladder.agent.reinvite(call, HOLD, 0.0)
    ladder.drain()
    assert ladder.quiet()
    ladder >> within("ACK", call, 1, "ack") << "INVITE"
    assert ladder.request.body == HOLD
    assert ladder.quiet()


def test_our_answer_to_theirs_and_its_ack() -> None:
    ladder = Ladder()
    call = ladder.up()
    ladder >> of_theirs(call, 2) << 100
    reoffer = ladder.event(Reoffered).reoffer
    ladder.agent.reinvite(call, HOLD, 0.0)
    ladder.drain()
    assert ladder.quiet()
    ladder.agent.accept(reoffer, OURS, 0.0)
    ladder.drain() << 200
    assert ladder.quiet()
    ladder >> within("ACK", call, 2, "ack-2") << "INVITE"


@pytest.mark.parametrize("acknowledged", [True, False])
def test_our_refusal_of_theirs_and_its_ack(acknowledged: bool) -> None:
    ladder = Ladder()
    call = ladder.up()
    ladder >> of_theirs(call, 2) << 100
    ladder.agent.refuse(ladder.event(Reoffered).reoffer, 488, 0.0)
    ladder.agent.reinvite(call, HOLD, 0.0)
    ladder.drain() << 488
    assert ladder.quiet()  # §14.1: until it is confirmed
    if acknowledged:
        ladder >> within("ACK", call, 2, "re-2") << "INVITE"
    else:
        ladder.at(GIVE_UP - 0.01)
        assert {bytes(data)[:11] for _, data in ladder.out} == {b"SIP/2.0 488"}
        ladder.out.clear()
        ladder.at(GIVE_UP) << "INVITE"  # or terminated


def test_one_at_a_time_and_the_newest_wins() -> None:
    ladder, call = asked()
    answer = ok(ladder)
    ladder.agent.reinvite(call, SDP, 0.0)
    ladder.agent.reinvite(call, OTHER, 0.0)
    ladder.drain()
    assert ladder.quiet()
    ladder >> answer << "ACK" << "INVITE"
    assert ladder.event(ReinviteAnswered).offer == HOLD
    assert (ladder.request.body, str(ladder.request.cseq)) == (OTHER, "2 INVITE")
    ladder >> reply_to(ladder, 488) << "ACK"
    assert ladder.event(ReinviteFailed) == ReinviteFailed(call, 488, OTHER)
    assert not ladder.events
    assert ladder.quiet()


# The end of the call meanwhile


@pytest.mark.parametrize("status", [200, 487, 491, None])
@pytest.mark.parametrize("trying", [True, False])
def test_we_hang_up(status: int | None, trying: bool) -> None:
    ladder, call = asked()
    ladder.agent.reinvite(call, OTHER, 0.0)
    late = reply_to(ladder, status or 200, body=SDP)
    if trying:
        ladder >> reply_to(ladder, 100)
    ladder.agent.end(call, 0.0)
    ladder.drain() << "BYE"
    ladder >> reply_to(ladder, 200)
    if status is not None:
        ladder >> late << "ACK"
    assert ladder.event(CallEnded).by == "local"
    ladder.at(T2)
    ladder.out.clear()  # the INVITE again, as long as nobody said a word to it
    ladder.gone()
    assert not ladder.events
    assert all(data.startswith(b"INVITE") for _, data in ladder.out)


@pytest.mark.parametrize("paused", [True, False])
def test_they_hang_up(paused: bool) -> None:
    ladder, call = asked()
    final = reply_to(ladder, 491 if paused else 487)
    if paused:
        ladder >> final << "ACK"
    ladder >> within("BYE", call, 2, "bye") << 200
    assert ladder.event(CallEnded).by == "remote"
    if not paused:
        ladder >> final << "ACK"
    ladder.gone()
    assert ladder.quiet()
    assert not ladder.events


def test_without_a_call_it_has_no_effect() -> None:
    ladder = Ladder()
    call = ladder.up()
    ladder.agent.end(call, 0.0)
    ladder.agent.reinvite(call, HOLD, 0.0)
    ladder.drain() << "BYE"
    assert ladder.quiet()


# What cannot be sent


def test_a_connection_that_broke_is_made_anew_once() -> None:
    ladder, call = asked(peer=TCP)
    ladder.agent.lost(TCP, 0.0)
    ladder.drain() << "INVITE"
    anew = Peer("tcp", US, ("192.0.2.9", 5062), 0)
    assert ladder.to == anew
    ladder.agent.lost(anew, 0.0)
    ladder.drain()
    assert ladder.event(ReinviteFailed) == ReinviteFailed(call, 503, HOLD)
    assert not call.ended


def test_too_many_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reinvite, "CLIENT_TRANSACTIONS", 0)
    ladder = Ladder()
    call = ladder.up()
    ladder.agent.reinvite(call, HOLD, 0.0)
    ladder.drain()
    assert ladder.event(ReinviteFailed) == ReinviteFailed(call, 503, HOLD)
    assert ladder.quiet()


def test_who_did_not_answer_our_offer_may_answer_the_next() -> None:
    ladder = Ladder()
    call = ladder.answered(invite(body=b""))
    ladder >> within("ACK", call, 1, "ack")
    ladder.agent.reinvite(call, OTHER, 0.0)
    ladder.drain() << "INVITE"
    ladder >> ok(ladder) << "ACK"
    ladder.later(60)
    assert ladder.quiet()
    assert not call.ended
