"""Requests of ours that are too large for UDP: by TCP, and by UDP where there is none (RFC 3261 §18.1.1)."""

from __future__ import annotations

from itertools import count

import pytest

from edge.sip.agent import Agent
from edge.sip.events import CallAnswered, CallEnded, CallFailed, TextDone
from edge.sip.limits import NO_TCP, NO_TCP_PEERS, UPGRADE
from edge.sip.peer import Peer
from edge.sip.timers import GIVE_UP
from edge.sip.upgrade import Upgrades, anybody
from tests.sip.ladder import OURS, SDP, UDP, US, Ladder, invite, reply_to, request

LARGE = (("X-Long", "x" * UPGRADE),)
TCP = UDP._replace(transport="tcp")


def ladder_of(*, tcp: bool = True) -> Ladder:
    tokens = count(1)
    return Ladder(agent=Agent(lambda: f"t{next(tokens)}", takes_tcp=lambda _: tcp))


def calling(ladder: Ladder, fields: tuple[tuple[str, str], ...] = LARGE) -> Ladder:
    ladder.agent.invite(
        peer=UDP,
        uri="sip:b@192.0.2.9",
        from_="sip:a@192.0.2.1",
        to="sip:b@d",
        sdp=OURS,
        now=ladder.now,
        fields=fields,
    )
    return ladder.drain() << "INVITE"


def test_a_small_one_goes_by_udp() -> None:
    ladder = calling(ladder_of(), ())
    assert (ladder.to, ladder.request.via.transport) == (UDP, "UDP")


def test_a_large_one_goes_by_tcp_and_so_does_what_follows_it() -> None:
    ladder = calling(ladder_of())
    assert (ladder.to, ladder.request.via.transport) == (TCP, "TCP")
    sent = ladder.request
    ladder.at(5)
    assert ladder.quiet()  # nothing is repeated
    ladder >> reply_to(ladder, 486, to_tag="phone") << "ACK"
    assert (ladder.to, str(ladder.request.via)) == (TCP, str(sent.via))
    assert ladder.event(CallFailed).status == 486


def test_a_cancel_too() -> None:
    ladder = ladder_of()
    outgoing = ladder.agent.invite(
        peer=UDP, uri="sip:b@192.0.2.9", from_="sip:a@a", to="sip:b@d", sdp=OURS, now=0.0, fields=LARGE
    )
    ladder.drain() << "INVITE"
    sent = ladder.request
    ladder >> reply_to(ladder, 180, to_tag="phone")
    ladder.agent.cancel(outgoing, 0.0)
    ladder.drain() << "CANCEL"
    assert (ladder.to, str(ladder.request.via)) == (TCP, str(sent.via))


def test_the_dialog_goes_where_the_contact_says() -> None:
    ladder = calling(ladder_of())
    contact: dict[str, str | None] = {"Contact": "<sip:them@192.0.2.9:5062>"}
    ladder >> reply_to(ladder, 200, to_tag="phone", body=SDP, fields=contact) << "ACK"
    assert (ladder.to, ladder.request.via.transport) == (UDP, "UDP")
    ladder.agent.end(ladder.event(CallAnswered).call, 0.0)
    ladder.drain() << "BYE"
    assert ladder.to == UDP


def test_without_tcp_it_goes_by_udp_as_if_it_had_from_the_first() -> None:
    ladder = calling(ladder_of())
    by_tcp = ladder.request
    ladder.at(5.0)
    ladder.agent.lost(TCP, 5.0)
    ladder.drain() << "INVITE"
    assert (ladder.to, ladder.request.via.transport, ladder.request.via.branch) == (UDP, "UDP", by_tcp.via.branch)
    assert (ladder.request.call_id, ladder.request.cseq) == (by_tcp.call_id, by_tcp.cseq)
    ladder.at(5.5) << "INVITE"
    ladder.at(6.5) << "INVITE"
    ladder >> reply_to(ladder, 486, to_tag="phone") << "ACK"
    assert (ladder.to, ladder.request.via.transport) == (UDP, "UDP")
    assert ladder.event(CallFailed).status == 486
    calling(ladder)  # the next one at once
    assert ladder.to == UDP
    ladder.out.clear()
    ladder.later(NO_TCP)
    ladder.out.clear()
    calling(ladder)
    assert ladder.to == TCP


def test_udp_may_be_lost_as_well() -> None:
    ladder = calling(ladder_of())
    ladder.agent.lost(TCP, 0.0)
    ladder.drain() << "INVITE"
    ladder.agent.lost(UDP, 0.0)
    ladder.drain()
    assert ladder.event(CallFailed).status == 503
    ladder.gone()


def test_a_connection_that_breaks_after_a_1xx_is_the_end() -> None:
    ladder = calling(ladder_of())
    ladder >> reply_to(ladder, 100)
    ladder.agent.lost(TCP, 0.0)
    ladder.drain()
    ladder.events.popleft()
    assert ladder.event(CallFailed).status == 503


def test_nobody_answers() -> None:
    ladder = calling(ladder_of())
    ladder.at(GIVE_UP)
    assert ladder.event(CallFailed).status == 408


def test_who_agreed_to_udp_alone() -> None:
    assert calling(ladder_of(tcp=False)).to == UDP


def test_texts() -> None:
    ladder = ladder_of()
    ladder.agent.send_text(peer=UDP, uri="sip:b@d", from_="sip:a@a", to="sip:b@d", body=b"x" * UPGRADE, now=0.0)
    ladder.drain() << "MESSAGE"
    assert ladder.to == TCP
    ladder.agent.lost(TCP, 0.0)
    ladder.drain() << "MESSAGE"
    assert ladder.to == UDP
    ladder >> reply_to(ladder, 202)
    assert ladder.event(TextDone).status == 202


def test_in_a_call() -> None:
    ladder = ladder_of()
    call = ladder.up(invite(fields={"Record-Route": f"<sip:192.0.2.20;lr;x={'x' * UPGRADE}>"}))
    ladder.agent.end(call, 0.0)
    ladder.drain() << "BYE"
    assert ladder.to == Peer("tcp", US, ("192.0.2.20", 5060))
    ladder.event(CallEnded)


def test_answers_never_change_their_way() -> None:
    ladder = ladder_of()
    ladder >> invite(fields={"Record-Route": f"<sip:192.0.2.20;lr;x={'x' * UPGRADE}>"}) << 100
    assert ladder.to == UDP
    ladder >> request("OPTIONS", branch="o", fields={"Via": f"SIP/2.0/UDP 192.0.2.9:5062;branch=z{'x' * 2000}"}) << 200
    assert ladder.to == UDP


@pytest.mark.parametrize("transport", ["tcp", "tls", "loop"])
def test_only_udp_is_too_small(transport: str) -> None:
    peer = UDP._replace(transport=transport)
    assert Upgrades(anybody).find(peer, b"x" * (UPGRADE + 1), 0.0) is None


def test_what_is_remembered_is_bounded() -> None:
    upgrades = Upgrades(anybody)
    for port in range(NO_TCP_PEERS + 1):
        upgrades.refused(UDP._replace(remote=("192.0.2.9", port)), 0.0)
    large = b"x" * (UPGRADE + 1)
    assert upgrades.find(UDP._replace(remote=("192.0.2.9", NO_TCP_PEERS)), large, 1.0) is None
    assert upgrades.find(UDP._replace(remote=("192.0.2.9", 0)), large, 1.0) is not None
