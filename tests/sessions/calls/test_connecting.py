"""A call that is connected, seen from the wire: the caller's ladder on one side, those of the called on the other.

The agent and the media are real; only the SIP sockets are missing. Whole connects with their audio are in
tests/calls/test_connect.py.
"""

from __future__ import annotations

import asyncio
import gc
import re
from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from edge.errors import EdgeError, Exhausted, Forbidden, Invalid, Unavailable
from edge.flows.dial import Dial, Dialed
from edge.flows.session import SessionEnded
from edge.sessions.calls import limits
from edge.sessions.calls.leg import Leg
from edge.sessions.calls.offered import OfferedCall
from edge.sip.message import Request, parse
from edge.trunks.target import Target
from tests.sessions.ground import until
from tests.sessions.line import CALLER, NUMBER, OUT, Line, tag, talking
from tests.sip.ladder import SDP, Fields, Ladder, invite, reply_to, request

DESK, DOOR = "tel:+14155550177", "tel:+14155550178"
CONTACT: Fields = {"Contact": "<sip:desk@192.0.2.9:5062>"}


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    async with talking(tmp_path) as opened:
        yield opened


def offered(line: Line, **more: Any) -> OfferedCall:
    line >> invite(**more) << 100
    line.call.attempt.number = NUMBER
    line.call.attempt.source = CALLER
    return line.call


async def up(line: Line, **more: Any) -> OfferedCall:
    call = offered(line, **more)
    await call.answer()
    line << 200
    line.ack()
    return call


def described(direction: str, version: int = 2) -> bytes:
    return SDP.replace(b"o=- 1 1", b"o=- 1 %d" % version) + f"a={direction}\r\n".encode()


def body(line: Line) -> str:
    return bytes(line.last).partition(b"\r\n\r\n")[2].decode()


class Called:
    """One whom we rang: the INVITE that was taken last. It answers with what `reply_to` makes of it."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.invite = line.request
        self.to = line.to
        self.tag = f"desk-{self.invite.via.branch}"
        self._cseq = 0

    def says(self, status: int, body: bytes = b"", fields: Fields | None = None) -> Ladder:
        before, self.line.last = self.line.last, self.invite
        answer = reply_to(self.line, status, to_tag=self.tag, body=body, fields={**CONTACT, **(fields or {})})
        self.line.last = before
        return self.line >> answer

    def asks(self, method: str, *, body: bytes = b"", kind: str | None = None, branch: str = "") -> Ladder:
        """A request of its own in the dialog."""
        self._cseq += 1
        return self.line >> self.compose(method, body=body, kind=kind, branch=branch)

    def compose(self, method: str, *, body: bytes = b"", kind: str | None = None, branch: str = "") -> bytes:
        return request(
            method,
            branch=branch or f"{method}-{self._cseq}-{self.tag}",
            tag=self.tag,
            to_tag=self.invite.from_tag,
            call_id=self.invite.call_id,
            cseq=max(self._cseq, 1),
            body=body,
            kind=kind or ("application/sdp" if body else None),
        )


class Attempted:
    """A connect under way."""

    def __init__(self, line: Line, call: OfferedCall, *destinations: str, **options: Any) -> None:
        self.line = line
        self.task = asyncio.create_task(call.connect(Dial(destinations or (DESK,), **options)))

    async def rings(self) -> Called:
        """The next one that is rung."""
        await self.line.comes("INVITE")
        return Called(self.line)

    async def dialed(self) -> Dialed:
        return await asyncio.wait_for(self.task, 5)

    async def ended(self) -> SessionEnded:
        with pytest.raises(SessionEnded) as caught:
            await self.dialed()
        return caught.value

    async def fails(self, kind: type[EdgeError], match: str) -> None:
        with pytest.raises(kind, match=match):
            await self.dialed()


def nothing_left(line: Line) -> None:
    """No leg is in the book, and nobody's port is taken."""
    assert line.book.active == 0
    assert line.quiet()


async def talk(line: Line, **options: Any) -> tuple[OfferedCall, Attempted, Called]:
    """Two who talk; the caller has acknowledged."""
    call = offered(line)
    attempted = Attempted(line, call, **options)
    called = await attempted.rings()
    called.says(200, SDP) << "ACK"
    line << 200
    line.ack()
    assert line.quiet()
    return call, attempted, called


def caller_asks(line: Line, call: OfferedCall, method: str, cseq: int, sdp: bytes = b"") -> Ladder:
    ours = call.offer._tag
    return line >> request(
        method,
        branch=f"{method}{cseq}",
        cseq=cseq,
        to_tag=ours,
        body=sdp,
        kind="application/sdp" if sdp else None,
    )


# From ring to end


async def test_the_caller_rings_is_answered_and_goes_on_when_the_other_hangs_up(line: Line) -> None:
    call = offered(line)
    attempted = Attempted(line, call)
    called = await attempted.rings()
    sent = called.invite
    assert called.to.remote == ("192.0.2.9", 5060)
    assert sent.uri == "sip:+14155550177@192.0.2.9:5060"
    assert (sent.from_.uri.user, sent.to.uri.user) == (CALLER, "+14155550177")
    assert sent.max_forwards == 69
    assert sent.call_id != call.offer.call_id
    called.says(100)
    assert line.quiet()
    called.says(180) << 180
    assert not body(line)
    called.says(180)
    assert line.quiet(), "once is enough"
    called.says(200, SDP) << "ACK"
    line << 200
    assert "m=audio" in body(line)
    line.ack()
    assert call.answered
    called.asks("BYE") << 200
    dialed = await attempted.dialed()
    assert (dialed.outcome, dialed.status, dialed.destination) == ("answered", 200, DESK)
    assert call.ended is None
    nothing_left(line)


async def test_when_the_caller_hangs_up_the_other_is_ended(line: Line) -> None:
    call, attempted, _ = await talk(line)
    caller_asks(line, call, "BYE", 2) << 200
    line << "BYE"
    end = await attempted.ended()
    assert (end.by, end.reason) == ("remote", "normal")
    nothing_left(line)


async def test_both_may_hang_up_at_once(line: Line) -> None:
    call, attempted, called = await talk(line)
    bye = request("BYE", branch="bye", cseq=2, to_tag=call.offer._tag)
    called._cseq += 1
    line.agent.receive(bye, line.peer, line.now)
    line.agent.receive(called.compose("BYE"), line.peer, line.now)
    line.drain() << 200 << 200
    await attempted.ended()
    nothing_left(line)


async def test_a_caller_who_gives_up_cancels_the_other(line: Line) -> None:
    call = offered(line)
    attempted = Attempted(line, call)
    called = await attempted.rings()
    called.says(180) << 180
    line >> request("CANCEL") << 200 << 487
    line << "CANCEL"
    assert line.request.via.branch == called.invite.via.branch
    assert line.header("reason") == "Q.850;cause=16"
    await attempted.ended()
    nothing_left(line)
    called.says(487) << "ACK"
    assert line.quiet()


async def test_an_answer_that_crosses_the_cancel_is_acknowledged_and_ended(line: Line) -> None:
    call = offered(line)
    attempted = Attempted(line, call)
    called = await attempted.rings()
    called.says(180) << 180
    line >> request("CANCEL") << 200 << 487
    line << "CANCEL"
    called.says(200, SDP) << "ACK" << "BYE"
    assert line.request.call_id == called.invite.call_id
    await attempted.ended()
    nothing_left(line)


async def test_an_answer_in_the_very_turn_of_the_cancel_is_ended_too(line: Line) -> None:
    call = offered(line)
    attempted = Attempted(line, call)
    called = await attempted.rings()
    line.last = called.invite
    answer = reply_to(line, 200, to_tag="desk", body=SDP, fields=CONTACT)
    line.agent.receive(request("CANCEL"), line.peer, line.now)
    line.agent.receive(answer, line.peer, line.now)
    line.drain()
    seen = [parse(data) for _, data in line.out]
    line.out.clear()
    methods = [one.method for one in seen if isinstance(one, Request)]
    assert methods == ["ACK", "BYE"]
    await attempted.ended()
    nothing_left(line)


async def test_a_cancel_before_anybody_rang_waits_for_the_first_answer(line: Line) -> None:
    attempted = Attempted(line, offered(line))
    called = await attempted.rings()
    line >> request("CANCEL") << 200 << 487
    await attempted.ended()
    assert line.quiet()
    called.says(100) << "CANCEL"
    nothing_left(line)


async def test_a_caller_who_gives_up_while_we_look_is_never_connected(line: Line) -> None:
    call = offered(line)
    attempted = Attempted(line, call)
    line >> request("CANCEL") << 200 << 487
    await attempted.ended()
    nothing_left(line)


# Nobody answers


@pytest.mark.parametrize(
    ("status", "outcome", "cause"),
    [(486, "busy", 17), (603, "declined", 21), (480, "noanswer", 18), (404, "failed", 1), (503, "failed", 41)],
)
async def test_what_the_other_said_is_what_came_of_it(line: Line, status: int, outcome: str, cause: int) -> None:
    call = offered(line)
    attempted = Attempted(line, call)
    (await attempted.rings()).says(status) << "ACK"
    dialed = await attempted.dialed()
    assert (dialed.outcome, dialed.status, dialed.cause, dialed.destination) == (outcome, status, cause, DESK)
    assert (call.ended, call.answered) == (None, False)
    nothing_left(line)


async def test_a_cause_of_theirs_goes_before_the_one_that_the_status_means(line: Line) -> None:
    attempted = Attempted(line, offered(line))
    (await attempted.rings()).says(480, fields={"Reason": "Q.850;cause=20"}) << "ACK"
    assert (await attempted.dialed()).cause == 20


@pytest.mark.parametrize(("said", "relayed", "cause"), [(486, 486, 17), (603, 603, 21), (401, 480, 18), (302, 480, 18)])
async def test_the_reason_is_relayed_when_the_flow_wants_that(line: Line, said: int, relayed: int, cause: int) -> None:
    attempted = Attempted(line, offered(line), relay_reason=True)
    (await attempted.rings()).says(said, fields={"Reason": f"Q.850;cause={cause}"}) << "ACK"
    await line.comes(relayed)
    assert line.header("reason") == f"Q.850;cause={cause}"
    assert f"({said}): {DESK}" in (await attempted.ended()).reason


async def test_an_answered_caller_gets_the_reason_in_his_bye(line: Line) -> None:
    attempted = Attempted(line, await up(line), relay_reason=True)
    (await attempted.rings()).says(486) << "ACK"
    await line.comes("BYE")
    assert line.header("reason") == "Q.850;cause=17"
    assert str(await attempted.ended()) == f"ended by local: dialout; busy (486): {DESK}"


async def test_a_network_that_fails_is_passed_over_and_a_busy_phone_is_not(line: Line) -> None:
    attempted = Attempted(line, offered(line), DESK, DOOR, "tel:+14155550179", together=False)
    (await attempted.rings()).says(503) << "ACK"
    second = await attempted.rings()
    assert second.invite.uri.startswith("sip:+14155550178@")
    second.says(486) << "ACK"
    dialed = await attempted.dialed()
    assert (dialed.outcome, dialed.destination) == ("busy", DOOR)
    nothing_left(line)


async def test_who_does_not_answer_in_time_is_cancelled_and_the_next_is_rung(line: Line) -> None:
    attempted = Attempted(line, offered(line), DESK, DOOR, together=False, ring_seconds=0.02)
    first = await attempted.rings()
    first.says(180) << 180
    await line.comes("CANCEL")
    assert line.request.call_id == first.invite.call_id
    second = await attempted.rings()
    first.says(487) << "ACK"
    second.says(180)
    await line.comes("CANCEL")
    dialed = await attempted.dialed()
    assert (dialed.outcome, dialed.status, dialed.cause, dialed.destination) == ("noanswer", 480, 19, DOOR)
    nothing_left(line)


# All at once


async def test_the_first_answer_wins_and_the_others_are_cancelled(line: Line) -> None:
    attempted = Attempted(line, offered(line), DESK, DOOR)
    one, other = await attempted.rings(), await attempted.rings()
    one.says(180) << 180
    other.says(180)
    other.says(200, SDP) << "ACK"
    line << "CANCEL"
    assert line.request.call_id == one.invite.call_id
    assert line.header("reason") == 'SIP;cause=200;text="Call completed elsewhere"'
    line << 200
    line.ack()
    one.says(200, SDP) << "ACK" << "BYE"
    assert line.request.call_id == one.invite.call_id
    other.asks("BYE") << 200
    dialed = await attempted.dialed()
    assert (dialed.outcome, dialed.destination) == ("answered", DOOR)
    nothing_left(line)


async def test_two_answers_in_one_turn_are_one_talk(line: Line) -> None:
    attempted = Attempted(line, offered(line), DESK, DOOR)
    both = await attempted.rings(), await attempted.rings()
    for called in both:
        line.last = called.invite
        line.agent.receive(reply_to(line, 200, to_tag=called.tag, body=SDP, fields=CONTACT), line.peer, line.now)
    line.drain()
    seen = [parse(data) for _, data in line.out]
    line.out.clear()
    asked = [(one.method, one.call_id) for one in seen if isinstance(one, Request)]
    assert ("BYE", both[1].invite.call_id) in asked
    assert [method for method, _ in asked].count("BYE") == 1
    both[0].asks("BYE") << 200
    assert (await attempted.dialed()).destination == DESK
    nothing_left(line)


async def test_a_phone_that_is_busy_does_not_end_the_others(line: Line) -> None:
    attempted = Attempted(line, offered(line), DESK, DOOR)
    one, other = await attempted.rings(), await attempted.rings()
    one.says(486) << "ACK"
    assert not attempted.task.done()
    other.says(503) << "ACK"
    dialed = await attempted.dialed()
    assert (dialed.outcome, dialed.destination) == ("busy", DESK)


# What the caller hears meanwhile


async def test_early_media_go_to_the_caller_behind_a_183(line: Line) -> None:
    call = offered(line)
    attempted = Attempted(line, call, early_media=True)
    called = await attempted.rings()
    called.says(183, SDP) << 183
    early = body(line)
    assert "m=audio" in early
    assert call.stream is not None
    called.says(180)
    assert line.quiet()
    called.says(200, SDP) << "ACK"
    line << 200
    assert body(line) == early
    line.ack()
    called.asks("BYE") << 200
    await attempted.dialed()


async def test_without_that_wish_early_media_are_a_180(line: Line) -> None:
    attempted = Attempted(line, offered(line))
    (await attempted.rings()).says(183, SDP) << 180
    assert not body(line)
    attempted.task.cancel()


async def test_early_media_of_an_invite_without_sdp_are_a_180(line: Line) -> None:
    attempted = Attempted(line, offered(line, body=b""), early_media=True)
    (await attempted.rings()).says(183, SDP) << 180
    attempted.task.cancel()


async def test_an_answered_caller_hears_a_ring_until_somebody_answers(line: Line) -> None:
    call = await up(line)
    attempted = Attempted(line, call)
    called = await attempted.rings()
    called.says(180)
    assert line.quiet()
    sender = call.stream.sender if call.stream is not None else None
    assert sender is not None
    await until(lambda: sender._playing is not None)
    called.says(200, SDP) << "ACK"
    assert line.quiet(), "he is answered already"
    await until(lambda: sender._playing is None)
    called.asks("BYE") << 200
    await attempted.dialed()


async def test_a_caller_who_left_the_offer_to_us_is_connected_too(line: Line) -> None:
    attempted = Attempted(line, offered(line, body=b""))
    called = await attempted.rings()
    called.says(200, SDP) << "ACK"
    line << 200
    assert "m=audio" in body(line)
    line >> request(
        "ACK", branch="ack", to_tag=tag(line.header("to")), body=SDP.replace(b"6000", b"6002"), kind="application/sdp"
    )
    assert line.quiet()
    called.asks("BYE") << 200
    assert (await attempted.dialed()).outcome == "answered"


# What cannot be agreed on


async def test_an_answer_without_a_codec_of_ours_is_ended_and_is_no_answer(line: Line) -> None:
    call = offered(line)
    attempted = Attempted(line, call)
    called = await attempted.rings()
    called.says(200, SDP.replace(b"RTP/AVP 0", b"RTP/AVP 18")) << "ACK" << "BYE"
    dialed = await attempted.dialed()
    assert (dialed.outcome, dialed.status, call.answered) == ("failed", 488, False)
    nothing_left(line)


async def test_a_caller_who_cannot_be_answered_ends_the_other(line: Line) -> None:
    attempted = Attempted(line, offered(line, body=SDP.replace(b"RTP/AVP 0", b"RTP/AVP 18")))
    called = await attempted.rings()
    called.says(200, SDP) << "ACK"
    line << 488 << "BYE"
    await attempted.ended()
    nothing_left(line)


# Hold


async def test_a_hold_is_answered_and_passed_on_and_so_is_its_end(line: Line) -> None:
    call, attempted, called = await talk(line)
    caller_asks(line, call, "INVITE", 2, described("sendonly")) << 200
    assert "a=recvonly" in body(line)
    line >> request("ACK", branch="ack2", cseq=2, to_tag=call.offer._tag)
    line << "INVITE"
    assert line.request.call_id == called.invite.call_id
    assert "a=sendonly" in body(line)
    line >> reply_to(line, 200, body=described("recvonly"), fields=CONTACT)
    line << "ACK"
    caller_asks(line, call, "INVITE", 3, described("sendrecv", 3)) << 200
    assert "a=sendrecv" in body(line)
    line >> request("ACK", branch="ack3", cseq=3, to_tag=call.offer._tag)
    line << "INVITE"
    assert "a=sendrecv" in body(line)
    line >> reply_to(line, 200, body=described("sendrecv", 3), fields=CONTACT)
    line << "ACK"
    called.asks("BYE") << 200
    await attempted.dialed()
    nothing_left(line)


async def test_a_hold_of_the_called_reaches_the_caller_and_ends_with_the_talk(line: Line) -> None:
    call, attempted, called = await talk(line)
    called.asks("INVITE", body=described("inactive")) << 200
    assert "a=inactive" in body(line)
    called.asks("ACK")
    line << "INVITE"
    assert line.request.call_id == call.offer.call_id
    assert "a=inactive" in body(line)
    line >> reply_to(line, 200, body=described("inactive"), fields=CONTACT)
    line << "ACK"
    called._cseq += 1
    called.asks("BYE") << 200
    await attempted.dialed()
    await line.comes("INVITE")
    assert "a=sendrecv" in body(line)
    line >> reply_to(line, 200, body=described("sendrecv", 3), fields=CONTACT)
    line << "ACK"
    assert call.ended is None
    nothing_left(line)


async def test_a_new_address_is_nobody_elses_business(line: Line) -> None:
    call, attempted, called = await talk(line)
    caller_asks(line, call, "INVITE", 2, SDP.replace(b"6000", b"6010")) << 200
    line >> request("ACK", branch="ack2", cseq=2, to_tag=call.offer._tag)
    assert line.quiet()
    called.asks("BYE") << 200
    await attempted.dialed()


async def test_both_may_change_their_media_at_once(line: Line) -> None:
    """Our re-INVITE and theirs meet: theirs gets a 491, and so does ours; the call goes on."""
    call, attempted, called = await talk(line)
    caller_asks(line, call, "INVITE", 2, described("sendonly")) << 200
    line >> request("ACK", branch="ack2", cseq=2, to_tag=call.offer._tag)
    line << "INVITE"
    ours = line.last
    called.asks("INVITE", body=described("sendonly")) << 491
    line.last = ours
    line >> reply_to(line, 491) << "ACK"
    line.later(4.5)
    while line.out:
        line.out.popleft()
    assert not attempted.task.done()
    caller_asks(line, call, "BYE", 3)
    await attempted.ended()
    assert line.book.active == 0


# Keys


async def test_keys_by_info_are_pressed_towards_the_other_side(line: Line) -> None:
    call, attempted, called = await talk(line)
    caller_asks(line, call, "INFO", 2) << 200
    relay = request(
        "INFO", branch="info", cseq=3, to_tag=call.offer._tag, kind="application/dtmf-relay", body=b"Signal=5\r\n"
    )
    line >> relay << 200
    await asyncio.sleep(0)
    assert not call._keys, "they are not for the flow"
    called.asks("BYE") << 200
    await attempted.dialed()


# Whether it may


async def test_a_call_that_passed_through_too_many_hands_is_483(line: Line) -> None:
    call = offered(line, fields={"Max-Forwards": "0"})
    attempted = Attempted(line, call)
    await line.comes(483)
    await attempted.ended()


async def test_an_answered_call_that_passed_through_too_many_hands_goes_on_without(line: Line) -> None:
    call = await up(line, fields={"Max-Forwards": "0"})
    await Attempted(line, call).fails(Unavailable, "Max-Forwards")
    assert call.ended is None


@pytest.mark.parametrize("destination", ["tel:+442079460000", "tel:+19005550177", "tel:112;phone-context=+1"])
async def test_a_destination_that_is_not_allowed_is_not_rung(line: Line, destination: str) -> None:
    call = offered(line)
    with pytest.raises(EdgeError):
        await Attempted(line, call, destination).dialed()
    assert call.ended is None
    nothing_left(line)


async def test_an_account_may_list_where_it_calls(line: Line) -> None:
    line.listed = ("+44",)
    call = offered(line)
    await Attempted(line, call).fails(Forbidden, "not among the destinations of this account")
    attempted = Attempted(line, call, "tel:+442079460000")
    assert (await attempted.rings()).invite.uri.startswith("sip:+442079460000@")
    attempted.task.cancel()


async def test_one_that_is_not_allowed_is_passed_over_and_told(line: Line) -> None:
    attempted = Attempted(line, offered(line), "tel:+442079460000", DESK, together=False)
    called = await attempted.rings()
    assert called.invite.uri.startswith("sip:+14155550177@")
    called.says(486) << "ACK"
    dialed = await attempted.dialed()
    assert (dialed.outcome, dialed.destination) == ("busy", DESK)
    assert "+442079460000 is abroad" in dialed.note


async def test_a_source_that_is_nobodys_is_refused(line: Line) -> None:
    await Attempted(line, offered(line), source="+14155550666").fails(Forbidden, "no active number of this account")
    nothing_left(line)


@pytest.mark.parametrize("written", ["+14155550199", "14155550199", "4155550199"])
async def test_the_callers_own_number_is_known_however_it_is_written(line: Line, written: str) -> None:
    call = offered(line)
    call.attempt.source = written
    attempted = Attempted(line, call, source=CALLER)
    assert (await attempted.rings()).invite.from_.uri.user == CALLER
    attempted.task.cancel()


async def test_a_source_of_the_accounts_is_shown(line: Line) -> None:
    attempted = Attempted(line, offered(line), source=NUMBER)
    assert (await attempted.rings()).invite.from_.uri.user == NUMBER
    attempted.task.cancel()


async def test_the_callers_own_number_is_shown_only_where_the_trunk_permits_it(line: Line) -> None:
    line.trunks.replace([trunk.model_copy(update={"pass_caller": False}) for trunk in line.trunks])
    call = offered(line)
    await Attempted(line, call, source=CALLER).fails(Forbidden, "trunk out does not show that of a caller")
    attempted = Attempted(line, call)
    assert (await attempted.rings()).invite.from_.uri.user == NUMBER
    attempted.task.cancel()


@pytest.mark.parametrize(
    ("wish", "privacy", "hidden"),
    [
        ("yes", None, True),
        ("no", "id", True),
        ("no", None, False),
        ("auto", "id", True),
        ("auto", None, False),
        ("auto", "none", False),
    ],
)
async def test_who_wants_to_be_anonymous_is_whatever_the_flow_says(
    line: Line, wish: Any, privacy: str | None, hidden: bool
) -> None:
    attempted = Attempted(line, offered(line, fields={"Privacy": privacy}), anonymous=wish)
    sent = (await attempted.rings()).invite
    assert sent.headers.get("privacy") == ("id" if hidden else None)
    if hidden:
        assert str(sent.from_.uri) == "sip:anonymous@anonymous.invalid"
        assert CALLER not in (sent.headers.get("from") or "")
        assert re.fullmatch(rf"<sip:\{CALLER}@127\.0\.0\.1:5060>", sent.headers.get("p-asserted-identity") or "")
    else:
        assert sent.from_.uri.user == CALLER
        assert "p-asserted-identity" not in sent.headers
    attempted.task.cancel()


async def test_who_withholds_his_number_hides_nobody_elses(line: Line) -> None:
    attempted = Attempted(line, offered(line, fields={"Privacy": "id"}), source=NUMBER, anonymous="no")
    sent = (await attempted.rings()).invite
    assert (sent.from_.uri.user, sent.headers.get("privacy")) == (NUMBER, None)
    attempted.task.cancel()


async def test_the_record_of_a_leg_withholds_what_its_caller_does(line: Line) -> None:
    attempted = Attempted(line, offered(line, fields={"Privacy": "id"}))
    await attempted.rings()
    made = next(call for call in line.book if call.attempt.direction == "outgoing")
    assert (made.attempt.source, made.attempt.shown_source) == (CALLER, "anonymous")
    attempted.task.cancel()


# SIP URIs


@pytest.mark.parametrize(
    ("destination", "address"),
    [
        ("sip:desk@9.9.9.9", ("9.9.9.9", 5060)),
        ("sip:desk@9.9.9.9:5080", ("9.9.9.9", 5080)),
        ("sip:desk@pbx.example.com", ("9.9.9.9", 5060)),
    ],
)
async def test_a_uri_goes_to_its_host(line: Line, destination: str, address: tuple[str, int]) -> None:
    line.names["pbx.example.com"] = "9.9.9.9"
    attempted = Attempted(line, offered(line), destination)
    called = await attempted.rings()
    assert (called.to.transport, called.to.remote) == ("udp", address)
    assert called.invite.uri == destination
    assert called.invite.from_.uri.user == CALLER
    called.says(486) << "ACK"
    assert (await attempted.dialed()).outcome == "busy"
    nothing_left(line)
    assert (line.kept[0].trunk, line.kept[0].remote, line.kept[0].destination) == ("", "9.9.9.9", destination)


@pytest.mark.parametrize(("said", "meant"), [("10.0.0.5", "9.9.9.9"), ("127.0.0.1", "9.9.9.9"), ("9.9.9.1", "9.9.9.1")])
async def test_a_stranger_has_his_media_where_he_was_called_or_on_the_internet(
    line: Line, said: str, meant: str
) -> None:
    attempted = Attempted(line, offered(line), "sip:desk@9.9.9.9")
    called = await attempted.rings()
    called.says(183, SDP.replace(b"192.0.2.9", said.encode()))
    (leg,) = [call for call in line.book._calls.values() if isinstance(call, Leg)]
    assert leg._agreed is not None
    assert leg._agreed.remote is not None
    assert leg._agreed.remote[0] == meant
    attempted.task.cancel()


@pytest.mark.parametrize(
    ("destination", "kind", "why"),
    [
        ("sip:desk@10.0.0.1", Forbidden, "not allowed"),
        ("sip:desk@127.0.0.1", Forbidden, "not allowed"),
        ("sip:desk@[::ffff:10.0.0.1]", Forbidden, "not allowed"),
        ("sip:desk@inside.example.com", Forbidden, "not allowed"),
        ("sip:+882161234@9.9.9.8", Forbidden, "is a trunk, which only numbers lead to"),
        ("sip:+882161234@[::ffff:9.9.9.8]", Forbidden, "is a trunk, which only numbers lead to"),
        ("sip:+882161234@[64:ff9b::909:908]", Forbidden, "is a trunk, which only numbers lead to"),
        ("sip:+882161234@SIP.carrier.example.", Forbidden, "is a trunk, which only numbers lead to"),
        ("sip:desk@nowhere.example.com", Unavailable, "cannot be resolved: no such name"),
        ("sips:desk@9.9.9.9", Unavailable, "no address of ours can reach tls"),
        ("sip:desk@9.9.9.9;transport=ws", Invalid, "SIP over ws is not spoken here"),
        ("sip:desk@9.9.9.9;transport=tcp", Unavailable, "no address of ours can reach tcp"),
    ],
)
async def test_a_uri_that_leads_where_it_should_not_is_not_called(
    line: Line, destination: str, kind: type[EdgeError], why: str
) -> None:
    line.names["inside.example.com"] = "192.168.1.1"
    line.names["sip.carrier.example."] = "9.9.9.7"  # one of several that the name has
    named = OUT.model_copy(update={"name": "named", "networks": (), "target": Target("sip.carrier.example")})
    carrier = OUT.model_copy(update={"name": "carrier", "networks": (), "target": Target("9.9.9.8"), "outbound": False})
    line.trunks.replace([*line.trunks, carrier, named])
    await Attempted(line, offered(line), destination).fails(kind, why)
    nothing_left(line)


async def test_a_private_host_may_be_allowed_but_not_ourselves(line: Line) -> None:
    line.private = [ip_network("10.0.0.0/8"), ip_network("127.0.0.0/8")]
    attempted = Attempted(line, offered(line), "sip:desk@10.0.0.1")
    assert (await attempted.rings()).to.remote == ("10.0.0.1", 5060)
    await Attempted(line, line.call, "sip:desk@127.0.0.1:5060").fails(Forbidden, "is this edge itself")
    attempted.task.cancel()


async def test_a_stranger_is_not_told_who_is_anonymous(line: Line) -> None:
    attempted = Attempted(line, offered(line), "sip:desk@9.9.9.9", anonymous="yes")
    assert CALLER not in bytes((await attempted.rings()).invite).decode()
    attempted.task.cancel()


async def test_an_account_has_so_many_outgoing_calls_and_no_more(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LEGS_PER_ACCOUNT", 1)
    call = offered(line)
    attempted = Attempted(line, call, DESK, DOOR)
    called = await attempted.rings()
    assert line.quiet(), "the second is not rung"
    called.says(486) << "ACK"
    assert (await attempted.dialed()).note == "this account has 1 outgoing calls already"
    monkeypatch.setattr(limits, "LEGS_PER_ACCOUNT", 0)
    await Attempted(line, call).fails(Exhausted, "0 outgoing calls")
    nothing_left(line)


async def test_without_a_trunk_that_takes_calls_nobody_can_be_rung(line: Line) -> None:
    line.trunks.replace([trunk for trunk in line.trunks if not trunk.outbound])
    call = offered(line)
    await Attempted(line, call).fails(Unavailable, "no trunk takes calls")
    await Attempted(line, call, trunk="loopback").fails(Invalid, "there is no trunk loopback that takes calls")


async def test_the_end_of_the_daemon_ends_both(line: Line) -> None:
    call, attempted, _ = await talk(line)
    line.book.enter(call)
    line.book.hang_up_all()
    await attempted.ended()
    methods = sorted(one.method for _, data in line.out if isinstance(one := parse(data), Request))
    assert methods == ["BYE", "BYE"]


def legs_in_memory() -> int:
    return sum(isinstance(one, Leg) for one in gc.get_objects())


async def test_what_is_over_leaves_no_ring_for_the_collector(line: Line) -> None:
    gc.collect()
    before = legs_in_memory()
    call, attempted, called = await talk(line, early_media=True)
    gc.disable()
    try:
        assert legs_in_memory() == before + 1
        called.asks("BYE") << 200
        await attempted.dialed()
        line.events.clear()
        assert legs_in_memory() == before
    finally:
        gc.enable()
    assert call.ended is None
