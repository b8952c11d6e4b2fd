"""Calls that we make: INVITE and its answers, ACK, CANCEL and its races (RFC 3261 §13.2, §17.1.1, §9.1)."""

from __future__ import annotations

import pytest

from edge.sip import uac
from edge.sip.events import CallAnswered, CallEnded, CallFailed, CallProgress
from edge.sip.handle import OutgoingCall
from edge.sip.limits import RINGING
from edge.sip.peer import Peer
from edge.sip.timers import GIVE_UP
from tests.sip.ladder import OURS, SDP, TCP, THEM, UDP, US, Fields, Ladder, reply_to, request

CONTACT: Fields = {"Contact": "<sip:phone@192.0.2.9:5062>"}


def calling(peer: Peer = UDP, *, stranger: bool = False) -> tuple[Ladder, OutgoingCall]:
    ladder = Ladder(peer)
    outgoing = ladder.agent.invite(
        peer=peer,
        uri="sip:+14155550199@192.0.2.9",
        from_="sip:me@192.0.2.1",
        to="sip:+14155550199@192.0.2.9",
        sdp=OURS,
        now=0.0,
        fields=[("Subject", "test")],
        stranger=stranger,
    )
    ladder.drain() << "INVITE"
    return ladder, outgoing


def test_a_call_of_ours() -> None:
    ladder, outgoing = calling()
    sent = ladder.request
    assert ladder.to == UDP
    assert sent.body == OURS
    assert ladder.header("contact") == "<sip:192.0.2.1:5060>"
    assert ladder.header("subject") == "test"
    assert (sent.call_id, sent.to_tag, sent.cseq.number) == (outgoing.call_id, None, 1)
    ok = reply_to(ladder, 200, to_tag="phone", body=SDP, fields={**CONTACT, "Allow": "INVITE, BYE"})
    ladder >> reply_to(ladder, 100)
    assert ladder.event(CallProgress) == CallProgress(outgoing, 100, None)
    ladder >> reply_to(ladder, 180, to_tag="phone")
    assert ladder.event(CallProgress).status == 180
    ladder >> reply_to(ladder, 183, to_tag="phone", body=SDP)
    assert ladder.event(CallProgress) == CallProgress(outgoing, 183, SDP, "phone")
    ladder >> ok << "ACK"
    answered = ladder.event(CallAnswered)
    assert (answered.outgoing, answered.sdp, answered.call.allow) == (
        outgoing,
        SDP,
        frozenset({"INVITE", "BYE"}),
    )
    assert ladder.request.uri == "sip:phone@192.0.2.9:5062"
    assert ladder.request.to_tag == "phone"
    assert ladder.request.via.branch != sent.via.branch  # §13.2.2.4: a transaction of its own
    assert str(ladder.request.cseq) == "1 ACK"
    first = bytes(ladder.last)
    ladder.at(0.5) >> ok << "ACK"  # ours was lost
    assert bytes(ladder.last) == first
    assert not ladder.events
    ladder.agent.end(answered.call, ladder.now)
    ladder.drain() << "BYE"
    assert str(ladder.request.cseq) == "2 BYE"
    ladder >> reply_to(ladder, 200)
    ladder >> ok << "ACK"  # even now
    assert ladder.event(CallEnded).by == "local"
    ladder.gone()


def test_what_its_user_puts_into_the_header() -> None:
    ladder = Ladder()
    ladder.agent.invite(
        peer=UDP,
        uri="sip:b@192.0.2.9",
        from_='"Alice" <sip:+441632960000@192.0.2.1>',
        to="sip:b@192.0.2.9",
        sdp=OURS,
        now=0.0,
        max_forwards=12,
        fields=[
            ("P-Asserted-Identity", "<sip:+441632960000@192.0.2.1>"),
            ("Route", "<sip:192.0.2.30;lr>"),
            ("Diversion", "<sip:+441632960001@192.0.2.1>;reason=unconditional"),
        ],
    )
    ladder.drain() << "INVITE"
    sent = ladder.request
    refusal = reply_to(ladder, 404, to_tag="phone")
    assert (ladder.header("max-forwards"), sent.routes) == ("12", ("<sip:192.0.2.30;lr>",))
    assert ladder.header("p-asserted-identity") == "<sip:+441632960000@192.0.2.1>"
    assert ladder.header("diversion") == "<sip:+441632960001@192.0.2.1>;reason=unconditional"
    assert (sent.from_.display, sent.caller[0]) == ("Alice", "+441632960000")
    ladder >> refusal << "ACK"
    assert (ladder.header("max-forwards"), ladder.request.routes) == ("12", sent.routes)  # §17.1.1.3
    assert "diversion" not in ladder.request.headers


def test_a_line_break_in_a_field_is_no_other_field() -> None:
    with pytest.raises(ValueError, match="CR or LF"):
        Ladder().agent.invite(
            peer=UDP, uri="sip:b@d", from_="sip:a@d", to="sip:b@d", sdp=OURS, now=0.0, fields=[("Subject", "a\r\nX: b")]
        )


def test_the_other_side_hangs_up() -> None:
    ladder, outgoing = calling()
    ladder >> reply_to(ladder, 200, to_tag="phone", body=SDP, fields=CONTACT) << "ACK"
    call = ladder.event(CallAnswered).call
    reason: Fields = {"Reason": "Q.850;cause=31"}
    bye = request(
        "BYE", branch="bye", tag="phone", to_tag=call.local_tag, cseq=1, call_id=outgoing.call_id, fields=reason
    )
    ladder >> bye << 200
    assert ladder.event(CallEnded) == CallEnded(call, "remote", "Q.850;cause=31")
    ladder.gone()


@pytest.mark.parametrize(
    ("contact", "to"),
    [
        ("<sip:phone@10.0.0.5:6379;transport=tcp>", "192.0.2.9"),
        ("<sip:phone@[::1]:6379>", "192.0.2.9"),
        ("<sip:phone@[::ffff:127.0.0.1]:6379>", "192.0.2.9"),
        ("<sip:phone@169.254.169.254:80>", "192.0.2.9"),
        ("<sip:phone@9.9.9.9>", "9.9.9.9"),
        ("<sip:phone@192.0.2.9:5099>", "192.0.2.9"),
    ],
)
@pytest.mark.parametrize("field", ["Contact", "Record-Route"])
def test_a_stranger_sends_us_into_no_network_of_ours(contact: str, to: str, field: str) -> None:
    ladder, _ = calling(stranger=True)
    fields: Fields = {"Contact": "<sip:phone@9.9.9.9>", field: contact.replace(">", ";lr>")}
    ladder >> reply_to(ladder, 200, to_tag="phone", body=SDP, fields=fields) << "ACK"
    assert ladder.to.remote[0] == to
    call = ladder.event(CallAnswered).call
    ladder.agent.end(call, 1.0)
    ladder.drain() << "BYE"
    assert ladder.to.remote[0] == to


def test_the_route_set_is_reversed() -> None:
    ladder, _ = calling()
    routes: Fields = {**CONTACT, "Record-Route": "<sip:192.0.2.31;lr>, <sip:192.0.2.30;lr>"}
    ladder >> reply_to(ladder, 200, to_tag="phone", body=SDP, fields=routes) << "ACK"
    assert list(ladder.request.routes) == ["<sip:192.0.2.30;lr>", "<sip:192.0.2.31;lr>"]  # §12.1.2
    assert ladder.to.remote == ("192.0.2.30", 5060)


@pytest.mark.parametrize("status", [302, 404, 486, 603])
def test_a_refusal(status: int) -> None:
    ladder, outgoing = calling()
    sent = ladder.request
    refusal = reply_to(ladder, status, to_tag="phone")
    ladder >> refusal << "ACK"
    ack = ladder.request
    assert (ack.uri, ack.via, ack.to_tag) == (sent.uri, sent.via, "phone")  # §17.1.1.3
    assert str(ack.cseq) == "1 ACK"
    assert ack.headers.get("from") == sent.headers.get("from")
    assert ladder.event(CallFailed) == CallFailed(outgoing, status, "Whatever")
    ladder >> refusal << "ACK"
    ladder.at(GIVE_UP - 0.1) >> refusal << "ACK"  # Timer D
    assert not ladder.events
    ladder.gone()


def test_a_refusal_says_why() -> None:
    ladder, outgoing = calling()
    why: Fields = {"Reason": 'SIP;cause=486, Q.850;cause=17;text="User busy"'}
    ladder >> reply_to(ladder, 486, to_tag="phone", fields=why) << "ACK"
    assert ladder.event(CallFailed) == CallFailed(outgoing, 486, "Whatever", 17)


@pytest.mark.parametrize(
    ("status", "contact", "contacts"),
    [
        (
            302,
            "<sip:b@192.0.2.3>;q=0.2, <tel:+4420>, sip:c@192.0.2.4;q=0.7",
            ("tel:+4420", "sip:c@192.0.2.4", "sip:b@192.0.2.3"),
        ),
        (300, "<sip:b@192.0.2.3>;q=x, <sip:c@192.0.2.4>", ("sip:b@192.0.2.3", "sip:c@192.0.2.4")),
        (302, "<sip:b", ()),
        (302, None, ()),
        (486, "<sip:b@192.0.2.3>", ()),
    ],
)
def test_a_refusal_says_where_else(status: int, contact: str | None, contacts: tuple[str, ...]) -> None:
    ladder, outgoing = calling()
    ladder >> reply_to(ladder, status, to_tag="phone", fields={"Contact": contact}) << "ACK"
    assert ladder.event(CallFailed) == CallFailed(outgoing, status, "Whatever", None, contacts)


def test_an_invite_is_repeated_until_a_1xx() -> None:
    ladder, _ = calling()
    for moment in (0.5, 1.5, 3.5, 7.5, 15.5):  # Timer A doubles without an end
        ladder.at(moment - 0.01)
        assert ladder.quiet()
        ladder.at(moment) << "INVITE"
    ladder >> reply_to(ladder, 100)
    ladder.at(GIVE_UP + 1)
    assert ladder.quiet()


def test_nobody_answers() -> None:
    ladder, outgoing = calling()
    ladder.at(GIVE_UP)
    assert ladder.event(CallFailed) == CallFailed(outgoing, 408, "Request Timeout")
    ladder.gone()


def test_nobody_is_there() -> None:
    ladder, outgoing = calling(TCP)
    ladder.agent.lost(TCP, 0.0)
    ladder.drain()
    assert ladder.event(CallFailed) == CallFailed(outgoing, 503, "Service Unavailable")
    ladder.gone()


def test_over_tcp_nothing_is_repeated() -> None:
    ladder, _ = calling(TCP)
    ladder.at(GIVE_UP - 0.1)
    assert ladder.quiet()
    ladder >> reply_to(ladder, 404, to_tag="phone") << "ACK"
    assert ladder.agent.stats()["transactions"] == 0


# CANCEL


def test_cancel_while_it_rings() -> None:
    ladder, outgoing = calling()
    sent = ladder.request
    ladder >> reply_to(ladder, 180, to_tag="phone")
    final = reply_to(ladder, 487, to_tag="phone")
    ladder.agent.cancel(outgoing, 0.0)
    ladder.agent.cancel(outgoing, 0.0)
    ladder.drain() << "CANCEL"
    cancel = ladder.request
    assert (cancel.uri, cancel.via, cancel.to_tag, cancel.call_id) == (sent.uri, sent.via, None, sent.call_id)
    assert str(cancel.cseq) == "1 CANCEL"
    assert "reason" not in cancel.headers
    assert ladder.quiet()
    ladder >> reply_to(ladder, 200)
    ladder >> final << "ACK"
    ladder.event(CallProgress)
    assert ladder.event(CallFailed).status == 487
    ladder.gone()


def test_cancel_waits_for_a_1xx() -> None:
    ladder, outgoing = calling()
    trying = reply_to(ladder, 100)
    ladder.agent.cancel(outgoing, 0.0, reason='SIP;cause=200;text="Call completed elsewhere"')
    ladder.drain()
    assert ladder.quiet()  # §9.1
    ladder >> trying << "CANCEL"
    assert ladder.header("reason") == 'SIP;cause=200;text="Call completed elsewhere"'  # RFC 3326 §3.1
    ladder.gone()


def test_a_200_without_any_1xx_after_a_cancel() -> None:
    ladder, outgoing = calling()
    ok = reply_to(ladder, 200, to_tag="phone", body=SDP, fields=CONTACT)
    ladder.agent.cancel(outgoing, 0.0)
    ladder >> ok << "ACK" << "BYE"
    assert ladder.event(CallFailed).status == 487
    ladder >> ok << "ACK"
    ladder >> reply_to(ladder, 200)
    assert ladder.quiet()
    ladder.gone()


def test_both_phones_answered_a_cancelled_call() -> None:
    ladder, outgoing = calling()
    both = [reply_to(ladder, 200, to_tag=tag, body=SDP, fields=CONTACT) for tag in ("one", "two")]
    ladder >> reply_to(ladder, 180)
    ladder.agent.cancel(outgoing, 0.0)
    ladder.drain() << "CANCEL"
    for ok in both:
        ladder >> ok << "ACK" << "BYE"
    ladder.event(CallProgress)
    assert ladder.event(CallFailed).status == 487
    assert not ladder.events
    ladder.gone()


def test_cancel_and_nobody_is_there() -> None:
    ladder, outgoing = calling()
    ladder.agent.cancel(outgoing, 0.0)
    ladder.at(GIVE_UP)
    assert ladder.event(CallFailed).status == 487
    ladder.gone()


def test_a_200_that_was_faster_than_the_cancel() -> None:
    ladder, outgoing = calling()
    ok = reply_to(ladder, 200, to_tag="phone", body=SDP, fields=CONTACT)
    ladder >> reply_to(ladder, 180)
    ladder.agent.cancel(outgoing, 0.0)
    ladder.drain() << "CANCEL"
    ladder >> ok << "ACK" << "BYE"
    ladder.event(CallProgress)
    assert ladder.event(CallFailed).status == 487
    ladder >> ok << "ACK"
    assert not ladder.events
    ladder.gone()


def test_cancel_after_the_answer_has_no_effect() -> None:
    ladder, outgoing = calling()
    ladder >> reply_to(ladder, 200, to_tag="phone", body=SDP, fields=CONTACT) << "ACK"
    ladder.agent.cancel(outgoing, 0.0)
    ladder.drain()
    assert ladder.quiet()


def test_an_old_server_that_never_says_487() -> None:
    ladder, outgoing = calling()
    ladder >> reply_to(ladder, 180)
    ladder.agent.cancel(outgoing, 0.0)
    ladder.drain() << "CANCEL"
    ladder >> reply_to(ladder, 200)
    ladder.at(GIVE_UP)
    ladder.event(CallProgress)
    assert ladder.event(CallFailed).status == 487  # §9.1
    ladder.gone()


def test_it_does_not_ring_for_ever() -> None:
    ladder, _ = calling()
    ladder >> reply_to(ladder, 180)
    ladder.at(RINGING - 0.1)
    assert ladder.quiet()
    ladder.at(RINGING) << "CANCEL"
    ladder.gone()
    ladder.event(CallProgress)
    assert ladder.event(CallFailed).status == 487


def test_early_media_of_two_phones() -> None:
    ladder, outgoing = calling()
    sent = ladder.last
    first, second = (reply_to(ladder, 183, to_tag=tag, body=tag.encode()) for tag in ("one", "two"))
    ringing, ok = reply_to(ladder, 180, to_tag="two"), reply_to(ladder, 200, to_tag="two", body=SDP, fields=CONTACT)
    refusal = reply_to(ladder, 486, to_tag="one")
    ladder >> ringing >> first >> second
    told = [ladder.event(CallProgress) for _ in range(3)]
    assert [(event.status, event.sdp, event.tag) for event in told] == [
        (180, None, "two"),
        (183, b"one", "one"),
        (183, b"two", "two"),
    ]
    ladder >> ok << "ACK"
    answered = ladder.event(CallAnswered)
    assert (answered.outgoing, answered.call.remote_tag) == (outgoing, "two")
    ladder.last = sent
    ladder >> reply_to(ladder, 180, to_tag="one") >> refusal  # too late
    assert ladder.quiet()
    assert not ladder.events


def test_a_second_phone_that_answered_is_let_go() -> None:
    ladder, _ = calling()
    first = reply_to(ladder, 200, to_tag="one", body=SDP, fields=CONTACT)
    second = reply_to(ladder, 200, to_tag="two", body=SDP, fields={"Contact": "<sip:two@192.0.2.10:5062>"})
    ladder >> first << "ACK"
    call = ladder.event(CallAnswered).call
    assert call.remote_tag == "one"
    ladder >> second << "ACK"
    assert ladder.to.remote == ("192.0.2.10", 5062)
    ladder << "BYE"
    assert ladder.request.to_tag == "two"
    ladder >> second << "ACK"
    assert not ladder.events
    ladder >> request("BYE", branch="bye", tag="one", to_tag=call.local_tag, call_id=call.call_id) << 200
    ladder.gone()


@pytest.mark.parametrize(
    "stray",
    [
        {"via": "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKelse"},
        {"cseq": "1 BYE"},
        {"via": None},
    ],
)
def test_a_stray_response_is_dropped(stray: Fields) -> None:
    ladder, _ = calling()
    ladder >> reply_to(ladder, 200, to_tag="phone", fields=stray)
    assert ladder.quiet()
    assert not ladder.events


def test_a_response_with_two_vias_is_not_for_us() -> None:
    ladder, _ = calling()
    via = f"{ladder.request.via}, SIP/2.0/UDP 192.0.2.30;branch=z9hG4bK2"
    ladder >> reply_to(ladder, 200, to_tag="phone", fields={"via": via})  # §8.1.3.3
    assert ladder.quiet()
    assert not ladder.events


@pytest.mark.parametrize("limit", ["CLIENT_TRANSACTIONS", "DIALOGS"])
def test_too_many_of_ours(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uac, limit, 0)
    ladder = Ladder()
    there = Peer("udp", US, THEM)
    outgoing = ladder.agent.invite(peer=there, uri="sip:a@b", from_="sip:c@d", to="sip:a@b", sdp=OURS, now=0.0)
    ladder.agent.cancel(outgoing, 0.0)
    ladder.drain()
    assert ladder.event(CallFailed).status == 503
    assert ladder.quiet()
