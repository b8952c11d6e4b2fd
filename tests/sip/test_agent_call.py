"""Within a dialog: BYE both ways and its races, INFO, re-INVITE, order, routes (RFC 3261 §12, §14, §15)."""

from __future__ import annotations

import pytest

from edge.sip.events import CallConfirmed, CallEnded, DigitsReceived, OfferCancelled, Reoffer, Reoffered
from edge.sip.limits import REOFFER
from edge.sip.peer import Peer
from edge.sip.timers import GIVE_UP
from tests.sip.ladder import OURS, SDP, TCP, THEM, US, Fields, Ladder, invite, reply_to, request

HELD = SDP + b"a=sendonly\r\n"


def within(method: str, ladder_tag: str, cseq: int, **more: object) -> bytes:
    """A request of theirs in the dialog of a ladder."""
    return request(method, branch=f"{method}-{cseq}", to_tag=ladder_tag, cseq=cseq, **more)  # type: ignore[arg-type]


# BYE


def test_the_caller_hangs_up() -> None:
    ladder = Ladder()
    call = ladder.up()
    bye = within("BYE", call.local_tag, 2, fields={"Reason": "Q.850;cause=16"})
    ladder >> bye << 200
    assert ladder.event(CallEnded) == CallEnded(call, "remote", "Q.850;cause=16")
    ladder >> bye << 200
    ladder >> within("BYE", call.local_tag, 3) << 481
    assert not ladder.events
    ladder.agent.end(call, 0.0)
    ladder.agent.refer(call, "sip:a@b", 0.0)
    ladder.drain()
    assert ladder.quiet()
    assert not ladder.events
    ladder.gone()


def test_we_hang_up() -> None:
    ladder = Ladder()
    call = ladder.up()
    ladder.agent.end(call, 0.0, reason="Q.850;cause=16")
    assert call.ended
    ladder.drain() << "BYE"
    assert ladder.event(CallEnded) == CallEnded(call, "local", "Q.850;cause=16")
    assert ladder.header("reason") == "Q.850;cause=16"
    assert ladder.request.uri == "sip:them@192.0.2.9:5062"
    assert ladder.request.to_tag == "them"
    assert ladder.request.from_tag == call.local_tag
    assert ladder.to == Peer("udp", US, THEM)
    ladder.at(0.5) << "BYE"  # Timer E
    ladder.at(1.5) << "BYE"
    ladder >> reply_to(ladder, 200)
    assert ladder.agent.stats()["dialogs"] == 0
    ladder >> reply_to(ladder, 200)
    ladder.gone()
    assert ladder.quiet()


def test_nobody_answers_our_bye() -> None:
    ladder = Ladder()
    call = ladder.up()
    ladder.agent.end(call, 0.0)
    ladder.drain()
    ladder.at(GIVE_UP - 0.01)
    assert len(ladder.out) == 11  # 0 0.5 1.5 3.5 7.5 … 31.5
    ladder.gone()


@pytest.mark.parametrize("status", [481, 408, 401, 500])
def test_our_bye_ends_the_call_whatever_they_say(status: int) -> None:
    ladder = Ladder()
    ladder.agent.end(ladder.up(), 0.0)
    ladder.drain() << "BYE"
    ladder >> reply_to(ladder, status)
    assert ladder.agent.stats()["dialogs"] == 0


def test_byes_that_cross() -> None:
    ladder = Ladder()
    call = ladder.up()
    ladder.agent.end(call, 0.0)
    ladder.drain() << "BYE"
    ladder.event(CallEnded)
    ours = reply_to(ladder, 481)
    ladder >> within("BYE", call.local_tag, 2) << 200
    ladder >> ours
    assert not ladder.events
    ladder.gone()


def test_our_bye_waits_for_the_ack() -> None:
    ladder = Ladder()
    call = ladder.answered()
    ladder.agent.end(call, 0.0, reason="Q.850;cause=16")  # §15.1.1
    ladder.drain()
    assert ladder.event(CallEnded).by == "local"
    assert ladder.quiet()
    ladder.at(0.5) << 200
    ladder >> request("ACK", branch="ack", to_tag=call.local_tag) << "BYE"
    assert ladder.header("reason") == "Q.850;cause=16"
    assert not ladder.events
    ladder >> reply_to(ladder, 200)
    ladder.gone()


def test_our_bye_does_not_wait_for_ever() -> None:
    ladder = Ladder()
    ladder.agent.end(ladder.answered(), 0.0)
    ladder.drain()
    ladder.at(GIVE_UP - 0.01)
    ladder.out.clear()
    ladder.at(GIVE_UP) << "BYE"
    ladder.event(CallEnded)
    assert not ladder.events
    ladder.gone()


def test_their_bye_before_their_ack() -> None:
    ladder = Ladder()
    call = ladder.answered()
    ladder >> within("BYE", call.local_tag, 2) << 200
    assert ladder.event(CallEnded).by == "remote"
    ladder >> request("ACK", branch="ack", to_tag=call.local_tag)  # overtaken on the way
    assert ladder.quiet()
    assert not ladder.events
    assert ladder.agent.stats()["dialogs"] == 0
    ladder.gone()


def test_their_bye_and_never_an_ack() -> None:
    ladder = Ladder()
    call = ladder.answered()
    ladder >> within("BYE", call.local_tag, 2) << 200
    ladder.event(CallEnded)
    ladder.gone()
    assert all(b"BYE sip" not in data for _, data in ladder.out)
    assert not ladder.events


@pytest.mark.parametrize("method", ["BYE", "INFO", "UPDATE", "INVITE", "NOTIFY", "MESSAGE", "OPTIONS"])
def test_a_dialog_nobody_knows_is_481(method: str) -> None:
    ladder = Ladder()
    ladder >> within(method, "nobody", 2) << 481
    assert not ladder.events
    ladder.gone()


@pytest.mark.parametrize("method", ["BYE", "INFO", "UPDATE", "NOTIFY"])
def test_what_needs_a_dialog_is_481_without_one(method: str) -> None:
    ladder = Ladder()
    ladder >> request(method) << 481


@pytest.mark.parametrize("wrong", [{"tag": "else"}, {"call_id": "else"}])
def test_a_dialog_is_known_by_all_three(wrong: dict[str, str]) -> None:
    ladder = Ladder()
    call = ladder.up()
    ladder >> within("BYE", call.local_tag, 2, **wrong) << 481
    assert not call.ended


# Order (§12.2.2)


def test_a_lower_cseq_is_500() -> None:
    ladder = Ladder()
    call = ladder.up()
    ladder >> within("INFO", call.local_tag, 9) << 200
    ladder >> within("INFO", call.local_tag, 8) << 500
    ladder >> within("BYE", call.local_tag, 10) << 200


def test_our_cseq_rises() -> None:
    ladder = Ladder()
    call = ladder.up()
    ladder.agent.refer(call, "sip:a@b", 0.0)
    ladder.drain() << "REFER"
    first = ladder.request.cseq.number
    ladder.agent.end(call, 0.0)
    ladder.drain() << "BYE"
    assert ladder.request.cseq.number == first + 1


@pytest.mark.parametrize(
    ("method", "status"), [("OPTIONS", 200), ("UPDATE", 200), ("REFER", 405), ("SUBSCRIBE", 405), ("FOO", 501)]
)
def test_other_methods_within(method: str, status: int) -> None:
    ladder = Ladder()
    call = ladder.up()
    ladder >> within(method, call.local_tag, 2) << status
    assert "INVITE" in ladder.header("allow")
    assert not call.ended


def test_an_extension_within() -> None:
    ladder = Ladder()
    call = ladder.up()
    ladder >> within("INFO", call.local_tag, 2, fields={"Require": "x"}) << 420
    assert ladder.header("unsupported") == "x"


# INFO

RELAY = "application/dtmf-relay"
PLAIN = "application/dtmf"


@pytest.mark.parametrize(
    ("kind", "body", "digits", "duration"),
    [
        (RELAY, b"Signal=5\r\nDuration=160\r\n", "5", 160),
        (RELAY, b"Signal= *\nDuration= 250", "*", 250),
        (RELAY, b"signal=10\r\n", "*", None),
        (RELAY, b"Signal=11", "#", None),
        (RELAY, b"Signal=d\r\nDuration=999999\r\n", "D", 10000),
        (PLAIN, b"7", "7", None),
        (PLAIN, b"#\r\n", "#", None),
    ],
)
def test_digits_by_info(kind: str, body: bytes, digits: str, duration: int | None) -> None:
    ladder = Ladder()
    call = ladder.up()
    info = within("INFO", call.local_tag, 2, kind=kind, body=body)
    ladder >> info << 200
    ladder >> info << 200
    assert ladder.event(DigitsReceived) == DigitsReceived(call, digits, duration)
    assert not ladder.events  # once, however often it was sent


@pytest.mark.parametrize(
    ("kind", "body", "fields", "status"),
    [
        (None, b"", {}, 200),
        (RELAY, b"Signal=x", {}, 400),
        (RELAY, b"", {}, 200),
        (PLAIN, b"55", {}, 400),
        (PLAIN, b"\xff\xfe", {}, 400),
        ("application/media_control+xml", b"<x/>", {}, 415),
        ("nonsense", b"1", {}, 415),
        ("application/x", b"1", {"Info-Package": "x"}, 469),
    ],
)
def test_info_without_digits(kind: str | None, body: bytes, fields: Fields, status: int) -> None:
    ladder = Ladder()
    call = ladder.up()
    ladder >> within("INFO", call.local_tag, 2, kind=kind, body=body, fields=fields) << status
    assert not ladder.events


def test_digits_before_the_answer() -> None:
    ladder = Ladder()
    offer = ladder.offered()
    ladder.agent.progress(offer, OURS, 0.0)
    ladder.drain() << 183
    tag = ladder.last.to_tag
    assert tag
    ladder >> within("INFO", tag, 2, kind=PLAIN, body=b"1") << 200
    assert ladder.event(DigitsReceived) == DigitsReceived(offer, "1")
    ladder >> within("INVITE", tag, 3, kind="application/sdp", body=SDP) << 500
    ladder >> within("NOTIFY", tag, 4, fields={"Event": "refer"}) << 481
    ladder >> request("CANCEL") << 200 << 487
    ladder >> within("INFO", tag, 5, kind=PLAIN, body=b"1") << 481
    assert ladder.event(OfferCancelled)


# Re-INVITE (§14.2)


def reinvite(tag: str, cseq: int, **more: object) -> bytes:
    return invite(branch=f"re-{cseq}", to_tag=tag, cseq=cseq, **more)  # type: ignore[arg-type]


def reoffered(ladder: Ladder, data: bytes) -> Reoffer:
    ladder >> data << 100
    return ladder.event(Reoffered).reoffer


def test_a_reinvite_that_holds() -> None:
    ladder = Ladder()
    call = ladder.up()
    reoffer = reoffered(ladder, reinvite(call.local_tag, 2, body=HELD))
    assert (reoffer.call, reoffer.sdp) == (call, HELD)
    ladder.agent.accept(reoffer, OURS, 0.0)
    ladder.drain() << 200
    assert ladder.last.body == OURS
    assert ladder.last.to_tag == call.local_tag
    assert ladder.header("contact") == "<sip:192.0.2.1:5060>"
    ladder.at(0.5) << 200
    ladder >> within("ACK", call.local_tag, 1)  # a late one of the first INVITE
    ladder.at(1.5) << 200
    ladder >> within("ACK", call.local_tag, 2)
    ladder.at(40)
    assert ladder.quiet()
    assert not ladder.events
    ladder >> within("BYE", call.local_tag, 3) << 200
    ladder.gone()


def test_a_reinvite_without_sdp_brings_its_answer_in_the_ack() -> None:
    ladder = Ladder()
    call = ladder.up()
    reoffer = reoffered(ladder, reinvite(call.local_tag, 2, body=b""))
    assert reoffer.sdp is None
    ladder.agent.accept(reoffer, OURS, 0.0)
    ladder.drain() << 200
    ladder >> within("ACK", call.local_tag, 2, body=SDP, kind="application/sdp")
    assert ladder.event(CallConfirmed) == CallConfirmed(call, SDP)
    assert ladder.quiet()


def test_a_reinvite_without_sdp_whose_ack_brings_no_answer_leaves_the_session() -> None:
    ladder = Ladder()
    call = ladder.up()
    reoffer = reoffered(ladder, reinvite(call.local_tag, 2, body=b""))
    ladder.agent.accept(reoffer, OURS, 0.0)
    ladder.drain() << 200
    ladder >> within("ACK", call.local_tag, 2)
    assert ladder.event(CallConfirmed) == CallConfirmed(call, None)
    ladder.later(60)
    assert ladder.quiet()
    assert not call.ended


def test_who_did_not_answer_our_offer_may_make_his_own() -> None:
    ladder = Ladder()
    call = ladder.answered(invite(body=b""))
    ladder >> within("ACK", call.local_tag, 1)
    assert ladder.event(CallConfirmed) == CallConfirmed(call, None)
    reoffer = reoffered(ladder, reinvite(call.local_tag, 2, body=HELD))
    ladder.agent.accept(reoffer, OURS, 0.0)
    ladder.drain() << 200
    ladder >> within("ACK", call.local_tag, 2)
    ladder.later(60)
    assert ladder.quiet()
    assert not call.ended


def test_a_refused_reinvite_leaves_the_session() -> None:
    ladder = Ladder()
    call = ladder.up()
    reoffer = reoffered(ladder, reinvite(call.local_tag, 2, fields={"Contact": "<sip:new@192.0.2.77>"}))
    ladder.agent.refuse(reoffer, 488, 0.0, fields=[("Warning", '304 edge "no"')])
    ladder.drain() << 488
    assert ladder.header("warning") == '304 edge "no"'
    ladder >> request("ACK", branch="re-2", to_tag=call.local_tag, cseq=2)
    ladder.agent.accept(reoffer, OURS, 0.0)  # too late
    ladder.agent.end(call, 0.0)
    ladder.drain() << "BYE"
    assert ladder.request.uri == "sip:them@192.0.2.9:5062"
    ladder >> reply_to(ladder, 200)
    ladder.gone()


def test_an_overlapping_reinvite() -> None:
    ladder = Ladder()
    call = ladder.up()
    reoffer = reoffered(ladder, reinvite(call.local_tag, 2))
    ladder >> reinvite(call.local_tag, 3) << 500
    assert 0 <= int(ladder.header("retry-after")) <= 10
    ladder.agent.accept(reoffer, OURS, 0.0)
    ladder.drain() << 200
    assert not call.ended


def test_a_reinvite_before_the_ack_is_glare() -> None:
    ladder = Ladder()
    call = ladder.answered()
    ladder >> reinvite(call.local_tag, 2) << 491
    ladder >> within("ACK", call.local_tag, 1)
    ladder.event(CallConfirmed)
    reoffered(ladder, reinvite(call.local_tag, 3))


def test_a_cancelled_reinvite() -> None:
    ladder = Ladder()
    call = ladder.up()
    reoffer = reoffered(ladder, reinvite(call.local_tag, 2))
    ladder >> request("CANCEL", branch="re-2", to_tag=call.local_tag, cseq=2) << 200 << 487
    ladder >> request("ACK", branch="re-2", to_tag=call.local_tag, cseq=2)
    ladder.agent.accept(reoffer, OURS, 0.0)
    ladder.drain()
    assert ladder.quiet()
    assert not call.ended
    reoffered(ladder, reinvite(call.local_tag, 3))


def test_a_reinvite_nobody_decides_on() -> None:
    ladder = Ladder()
    call = ladder.up()
    reoffered(ladder, reinvite(call.local_tag, 2))
    ladder.at(REOFFER) << 500
    assert not call.ended
    ladder.later(40)
    ladder.out.clear()
    ladder >> within("BYE", call.local_tag, 3) << 200
    ladder.gone()


def test_a_bye_during_a_reinvite() -> None:
    ladder = Ladder()
    call = ladder.up()
    reoffer = reoffered(ladder, reinvite(call.local_tag, 2))
    ladder >> within("BYE", call.local_tag, 3) << 200 << 487
    assert ladder.event(CallEnded).by == "remote"
    ladder.agent.accept(reoffer, OURS, 0.0)
    ladder.drain()
    assert ladder.quiet()
    ladder.gone()


def test_we_hang_up_during_a_reinvite() -> None:
    ladder = Ladder()
    call = ladder.up()
    reoffered(ladder, reinvite(call.local_tag, 2))
    ladder.agent.end(call, 0.0)
    ladder.drain() << 487 << "BYE"
    ladder.gone()


def test_a_reinvite_without_ack_ends_the_call() -> None:
    ladder = Ladder()
    call = ladder.up()
    ladder.agent.accept(reoffered(ladder, reinvite(call.local_tag, 2)), OURS, 0.0)
    ladder.drain()
    ladder.at(GIVE_UP - 0.01)
    ladder.out.clear()
    ladder.at(GIVE_UP) << "BYE"
    assert ladder.event(CallEnded).by == "timeout"
    ladder.gone()


@pytest.mark.parametrize(
    ("fields", "status"),
    [({"Content-Type": "text/plain"}, 415), ({"Accept": "text/plain"}, 406), ({"Require": "100rel"}, 420)],
)
def test_a_reinvite_that_cannot_be_served(fields: Fields, status: int) -> None:
    ladder = Ladder()
    call = ladder.up()
    ladder >> reinvite(call.local_tag, 2, fields=fields) << status
    assert not ladder.events
    assert not call.ended


# Where our requests go (§12.2.1.1)


def test_the_target_is_refreshed() -> None:
    ladder = Ladder()
    call = ladder.up()
    moved = reinvite(call.local_tag, 2, fields={"Contact": "<sip:moved@192.0.2.77:5099>"})
    ladder.agent.accept(reoffered(ladder, moved), OURS, 0.0)
    ladder.drain() << 200
    ladder >> within("ACK", call.local_tag, 2)
    ladder.agent.end(call, 0.0)
    ladder.drain() << "BYE"
    assert ladder.request.uri == "sip:moved@192.0.2.77:5099"
    assert ladder.to.remote == ("192.0.2.77", 5099)


@pytest.mark.parametrize(
    ("routes", "uri", "route", "remote"),
    [
        (
            "<sip:192.0.2.20;lr>, <sip:192.0.2.21:5070;lr>",
            "sip:them@192.0.2.9:5062",
            ["<sip:192.0.2.20;lr>", "<sip:192.0.2.21:5070;lr>"],
            ("192.0.2.20", 5060),
        ),
        (  # a strict router: itself in the Request-URI, the target last
            "<sip:192.0.2.20>, <sip:192.0.2.21;lr>",
            "sip:192.0.2.20",
            ["<sip:192.0.2.21;lr>", "<sip:them@192.0.2.9:5062>"],
            ("192.0.2.20", 5060),
        ),
        ("<sip:proxy.example.net;lr>", "sip:them@192.0.2.9:5062", ["<sip:proxy.example.net;lr>"], THEM),
        ("<sip:[2001:db8::5];lr>", "sip:them@192.0.2.9:5062", ["<sip:[2001:db8::5];lr>"], ("2001:db8::5", 5060)),
    ],
)
def test_the_route_set(routes: str, uri: str, route: list[str], remote: tuple[str, int]) -> None:
    ladder = Ladder()
    call = ladder.up(invite(fields={"Record-Route": routes}))
    ladder.agent.end(call, 0.0)
    ladder.drain() << "BYE"
    assert ladder.request.uri == uri
    assert list(ladder.request.routes) == route
    assert ladder.to.remote == remote


@pytest.mark.parametrize(
    ("contact", "uri", "transport", "remote"),
    [
        ("<sip:them@192.0.2.44>", "sip:them@192.0.2.44", "udp", ("192.0.2.44", 5060)),
        ("<sip:them@192.0.2.44:99;transport=tcp>", "sip:them@192.0.2.44:99;transport=tcp", "tcp", ("192.0.2.44", 99)),
        ("<sip:them@phone.example:99>", "sip:them@phone.example:99", "udp", THEM),  # nothing waits for DNS
        ("<tel:+1415>", "sip:192.0.2.9:5062", "udp", THEM),
        (None, "sip:192.0.2.9:5062", "udp", THEM),
        ("<sip:them@192.0.2.44;transport=sctp>", "sip:them@192.0.2.44;transport=sctp", "udp", THEM),
    ],
)
def test_the_remote_target(contact: str | None, uri: str, transport: str, remote: tuple[str, int]) -> None:
    ladder = Ladder()
    call = ladder.up(invite(fields={"Contact": contact}))
    ladder.agent.end(call, 0.0)
    ladder.drain() << "BYE"
    assert ladder.request.uri == uri
    assert (ladder.to.transport, ladder.to.remote) == (transport, remote)
    assert ladder.header("via").startswith(f"SIP/2.0/{transport.upper()} 192.0.2.1:5060;branch=z9hG4bK")


def test_a_phone_behind_nat_is_reached_where_its_packets_come_from() -> None:
    ladder = Ladder()
    call = ladder.up(
        invite(via="SIP/2.0/UDP 10.0.0.7:5060", fields={"Contact": "<sip:them@10.0.0.7:5060>"}),
    )
    ladder.agent.end(call, 0.0)
    ladder.drain() << "BYE"
    assert ladder.request.uri == "sip:them@10.0.0.7:5060"
    assert ladder.to.remote == THEM


def test_over_tcp_our_bye_takes_the_connection() -> None:
    ladder = Ladder(TCP)
    call = ladder.up(invite(via="SIP/2.0/TCP 192.0.2.9:5062"))
    ladder.agent.end(call, 0.0)
    ladder.drain() << "BYE"
    assert ladder.to == TCP
    assert "SIP/2.0/TCP" in ladder.header("via")


def test_over_tcp_our_bye_gets_a_new_connection_when_theirs_is_gone() -> None:
    ladder = Ladder(TCP)
    contact: Fields = {"Contact": "<sip:them@192.0.2.9:5070;transport=tcp>"}
    call = ladder.up(invite(via="SIP/2.0/TCP 192.0.2.9:5062", fields=contact))
    ladder.agent.lost(TCP, 0.0)
    assert not call.ended
    ladder.agent.end(call, 0.0)
    ladder.drain() << "BYE"
    assert ladder.to == Peer("tcp", US, ("192.0.2.9", 5070), 0)
    ladder.agent.lost(ladder.to, 0.0)  # refused
    ladder.drain()
    assert ladder.quiet()
    ladder.gone()


def test_a_connection_that_breaks_under_our_bye_is_made_anew_once() -> None:
    ladder = Ladder(TCP)
    call = ladder.up(invite(via="SIP/2.0/TCP 192.0.2.9:5062"))
    ladder.agent.end(call, 0.0)
    ladder.drain() << "BYE"
    ladder.agent.lost(TCP, 0.0)
    ladder.drain() << "BYE"
    assert ladder.to == Peer("tcp", US, THEM, 0)
    ladder >> reply_to(ladder, 200)
    ladder.gone()


def test_a_200_on_a_broken_connection_goes_to_a_new_one() -> None:
    ladder = Ladder(TCP)
    ladder.answered(invite(via="SIP/2.0/TCP 192.0.2.9:5071"))
    ladder.agent.lost(TCP, 0.0)
    ladder.at(0.5) << 200
    assert ladder.to == Peer("tcp", US, ("192.0.2.9", 5071), 0)
    ladder.gone()


def test_the_peers_allow() -> None:
    ladder = Ladder()
    assert ladder.up(invite(fields={"Allow": "INVITE, ACK,REFER"})).allow == frozenset({"INVITE", "ACK", "REFER"})
    assert Ladder().up().allow is None
