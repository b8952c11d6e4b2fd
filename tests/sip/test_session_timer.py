"""Session timers (RFC 4028), both sides, both refreshers."""

from __future__ import annotations

from itertools import count

import pytest

from edge.sip.agent import Agent
from edge.sip.events import Call, CallAnswered, CallEnded, CallFailed, ReinviteAnswered, Reoffered
from edge.sip.terms import Terms
from edge.sip.timers import GIVE_UP
from tests.sip.ladder import OURS, SDP, UDP, Fields, Ladder, invite, reply_to, request

EXPIRED = 'Q.850;cause=102;text="session expired"'
UPDATES = {"Allow": "INVITE, ACK, BYE, UPDATE"}
CONTACT = {"Contact": "<sip:them@192.0.2.9:5062>"}


def ladder_on(terms: Terms) -> Ladder:
    tokens = count(1)
    return Ladder(
        agent=Agent(lambda: f"t{next(tokens)}", admit=lambda *_: terms, known=lambda *_: terms),
    )


def asking(interval: str | None = "1800", *, supported: str | None = "timer", **fields: str | None) -> Fields:
    return {"Session-Expires": interval, "Supported": supported, **{k.replace("_", "-"): v for k, v in fields.items()}}


def answered(terms: Terms, fields: Fields) -> Ladder:
    ladder = ladder_on(terms)
    ladder.answered(invite(fields=fields))
    return ladder


def up(terms: Terms, fields: Fields) -> tuple[Ladder, Call]:
    ladder = ladder_on(terms)
    return ladder, ladder.up(invite(fields=fields))


def within(method: str, call: Call, cseq: int, fields: Fields | None = None, body: bytes = b"") -> bytes:
    kind = "application/sdp" if body else None
    more: Fields = {**CONTACT, **(fields or {})}
    return request(method, branch=f"in-{cseq}", to_tag=call.local_tag, cseq=cseq, fields=more, body=body, kind=kind)


# What is agreed when they ask (§9)


@pytest.mark.parametrize(
    ("terms", "fields", "interval", "required"),
    [
        (Terms(), asking("1800;refresher=uac"), "1800;refresher=uac", "timer"),
        (Terms(), asking("1800;refresher=uas"), "1800;refresher=uas", "timer"),
        (Terms(), asking(" 1800 ; refresher=UAS "), "1800;refresher=uas", "timer"),
        (Terms(), asking(), "1800;refresher=uac", "timer"),
        (Terms(), {"x": "300", "k": "100rel, timer"}, "300;refresher=uac", "timer"),
        (Terms(), asking("90", Min_SE="90"), "90;refresher=uac", "timer"),
        (Terms(), asking("99999999"), "86400;refresher=uac", "timer"),
        (Terms(), asking("1800", supported=None), "1800;refresher=uas", None),  # a proxy asks
        (Terms(), asking("1800;refresher=uac", supported=None), "1800;refresher=uas", None),
        (Terms(), asking("60", supported=None), None, None),  # 422 would not be understood
        (Terms(), asking(None), None, None),
        (Terms(), {}, None, None),
        (Terms(session_expires=600), asking(), "600;refresher=uac", "timer"),
        (Terms(session_expires=600), asking("300"), "300;refresher=uac", "timer"),  # never longer than asked
        (Terms(session_expires=600), asking("1800", Min_SE="900"), "900;refresher=uac", "timer"),
        (Terms(session_expires=600, min_se=700), asking("1800"), "700;refresher=uac", "timer"),
        (Terms(session_expires=600), asking(None), "600;refresher=uas", "timer"),
        (Terms(session_expires=600), asking(None, Min_SE="900"), "900;refresher=uas", "timer"),
        (Terms(session_expires=600), {}, None, None),  # nobody would keep it up
        (Terms(session_expires=600), {"Require": "timer"}, "600;refresher=uas", "timer"),
    ],
)
def test_what_is_agreed(terms: Terms, fields: Fields, interval: str | None, required: str | None) -> None:
    ladder = answered(terms, fields)
    assert (ladder.last.headers.get("session-expires"), ladder.last.headers.get("require")) == (interval, required)
    assert "timer" in ladder.header("supported")


@pytest.mark.parametrize(
    ("terms", "fields", "status", "least"),
    [
        (Terms(), asking("89"), 422, "90"),
        (Terms(), asking("0"), 422, "90"),
        (Terms(min_se=300), asking("299;refresher=uac"), 422, "300"),
        (Terms(), asking("soon"), 400, None),
        (Terms(), asking("90;;"), 400, None),
    ],
)
def test_what_is_too_small_or_nothing(terms: Terms, fields: Fields, status: int, least: str | None) -> None:
    ladder = ladder_on(terms)
    ladder >> invite(fields=fields) << status
    assert ladder.last.headers.get("min-se") == least
    assert not ladder.events


# They refresh


@pytest.mark.parametrize("seconds", [90, 1800])
def test_nobody_refreshes(seconds: int) -> None:
    ladder, call = up(Terms(), asking(f"{seconds};refresher=uac"))
    over = seconds - min(32, seconds / 3)
    ladder.at(over - 0.01)
    assert ladder.quiet()
    ladder.at(over) << "BYE"
    assert ladder.header("reason") == EXPIRED
    assert ladder.event(CallEnded) == CallEnded(call, "timeout", EXPIRED)
    ladder >> reply_to(ladder, 200)
    ladder.gone()


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_they_refresh(method: str) -> None:
    ladder, call = up(Terms(), asking("300;refresher=uac"))
    for number in range(2, 6):
        ladder.later(150)
        body = SDP if method == "INVITE" else b""
        ladder >> within(method, call, number, asking("300;refresher=uac"), body)
        if method == "INVITE":
            ladder << 100
            ladder.agent.accept(ladder.event(Reoffered).reoffer, OURS, ladder.now)
            ladder.drain()
        ladder << 200
        assert ladder.header("session-expires") == "300;refresher=uac"
        assert ladder.header("require") == "timer"
        assert ladder.header("contact") == "<sip:192.0.2.1:5060>"
        if method == "INVITE":
            ladder >> request("ACK", branch=f"ack-{number}", to_tag=call.local_tag, cseq=number)
            ladder.events.clear()
    assert not call.ended
    ladder.later(299) << "BYE"


def test_a_refresh_may_change_who_refreshes_and_how_often() -> None:
    ladder, call = up(Terms(), asking("300;refresher=uac"))
    ladder >> within("UPDATE", call, 2, {**asking("120;refresher=uas"), **UPDATES}) << 200
    assert ladder.header("session-expires") == "120;refresher=uas"
    ladder.at(60) << "INVITE"


def test_a_refresh_that_is_too_small() -> None:
    ladder, call = up(Terms(min_se=200), asking("300;refresher=uac"))
    ladder >> within("UPDATE", call, 2, asking("100;refresher=uac")) << 422
    assert ladder.header("min-se") == "200"
    assert not call.ended
    ladder.at(268) << "BYE"  # and it was none


def test_a_reinvite_that_says_nothing_of_it_goes_on_with_it() -> None:
    ladder, call = up(Terms(), asking("300;refresher=uac"))
    ladder.at(100) >> within("UPDATE", call, 2, asking(None)) << 200
    assert ladder.header("session-expires") == "300;refresher=uac"
    ladder >> within("UPDATE", call, 3) << 200  # from somebody who serves none any more
    assert ladder.last.headers.get("session-expires") is None
    ladder.at(2000)
    assert not call.ended


# We refresh


def test_by_update() -> None:
    ladder, call = up(Terms(), {**asking("300;refresher=uas"), **UPDATES})
    for n in range(1, 4):
        ladder.at(150 * n - 0.01)
        assert ladder.quiet()
        ladder.at(150 * n) << "UPDATE"
        sent = ladder.request
        assert (sent.uri, sent.body, sent.cseq.number) == ("sip:them@192.0.2.9:5062", b"", n)
        assert ladder.header("session-expires") == "300;refresher=uac"
        assert "timer" in ladder.header("supported")
        assert ladder.header("contact") == "<sip:192.0.2.1:5060>"
        ladder >> reply_to(ladder, 200, fields={"Session-Expires": "300;refresher=uac", "Require": "timer"})
    ladder >> within("BYE", call, 2) << 200
    assert ladder.event(CallEnded).by == "remote"
    ladder.gone()


def test_by_reinvite_with_what_was_said_last() -> None:
    ladder, call = up(Terms(), asking("300;refresher=uas"))
    ladder.at(150) << "INVITE"
    assert ladder.request.body == OURS
    assert ladder.header("session-expires") == "300;refresher=uac"
    fields: Fields = {"Session-Expires": "300;refresher=uac", **CONTACT}
    ladder >> reply_to(ladder, 200, body=SDP, fields=fields) << "ACK"
    assert ladder.event(ReinviteAnswered) == ReinviteAnswered(call, SDP, OURS, True)
    ladder.at(300) << "INVITE"
    assert not call.ended


def test_a_change_of_ours_is_a_refresh() -> None:
    ladder, call = up(Terms(), {**asking("300;refresher=uas"), **UPDATES})
    other = OURS.replace(b"7000", b"7002")
    ladder.at(140)
    ladder.agent.reinvite(call, other, ladder.now)
    ladder.drain() << "INVITE"
    assert ladder.header("session-expires") == "300;refresher=uac"
    fields: Fields = {"Session-Expires": "300;refresher=uac", **CONTACT}
    ladder >> reply_to(ladder, 200, body=SDP, fields=fields) << "ACK"
    ladder.at(289.9)
    assert ladder.quiet()
    ladder.at(290) << "UPDATE"
    ladder >> reply_to(ladder, 405) << "INVITE"  # they thought better of it
    assert ladder.request.body == other


def test_an_answer_without_it_turns_it_off() -> None:
    ladder, call = up(Terms(), {**asking("300;refresher=uas"), **UPDATES})
    ladder.at(150) << "UPDATE"
    ladder >> reply_to(ladder, 200)
    ladder.at(5000)
    assert ladder.quiet()
    assert not call.ended


def test_the_roles_may_be_given_to_them() -> None:
    ladder, call = up(Terms(), {**asking("300;refresher=uas"), **UPDATES})
    ladder.at(150) << "UPDATE"
    ladder >> reply_to(ladder, 200, fields={"Session-Expires": "300;refresher=uas"})
    ladder.at(150 + 268) << "BYE"
    assert call.ended


def test_refusals_are_tried_again_until_the_session_runs_out() -> None:
    ladder, call = up(Terms(), {**asking("90;refresher=uas"), **UPDATES})
    for at in (45.0, 55.0):
        ladder.at(at) << "UPDATE"
        ladder >> reply_to(ladder, 500)
    ladder.at(60) << "BYE"
    assert ladder.header("reason") == EXPIRED
    assert call.ended


def test_a_larger_interval_is_asked_for() -> None:
    ladder, call = up(Terms(), {**asking("90;refresher=uas"), **UPDATES})
    ladder.at(45) << "UPDATE"
    ladder >> reply_to(ladder, 422, fields={"Min-SE": "120"}) << "UPDATE"
    assert (ladder.header("session-expires"), ladder.header("min-se")) == ("120;refresher=uac", "120")
    ladder >> reply_to(ladder, 422, fields={"Min-SE": "120"})  # that was heeded
    assert ladder.quiet()
    ladder.at(55) << "UPDATE"
    ladder >> reply_to(ladder, 200, fields={"Session-Expires": "120;refresher=uac"})
    ladder.at(55 + 60) << "UPDATE"
    assert not call.ended


def test_a_larger_interval_by_reinvite() -> None:
    ladder, call = up(Terms(), asking("90;refresher=uas"))
    ladder.at(45) << "INVITE"
    ladder >> reply_to(ladder, 422, fields={"Min-SE": "120"}) << "ACK" << "INVITE"
    assert (ladder.header("session-expires"), ladder.request.body) == ("120;refresher=uac", OURS)
    assert not ladder.events
    assert not call.ended


@pytest.mark.parametrize("status", [408, 481])
def test_who_does_not_know_the_call_is_gone(status: int) -> None:
    ladder, call = up(Terms(), {**asking("300;refresher=uas"), **UPDATES})
    ladder.at(150) << "UPDATE"
    ladder >> reply_to(ladder, status) << "BYE"
    assert ladder.event(CallEnded) == CallEnded(call, "lost", None)


def test_who_never_answers_is_gone() -> None:
    ladder, _ = up(Terms(), {**asking("300;refresher=uas"), **UPDATES})
    ladder.at(150 + GIVE_UP)
    assert ladder.event(CallEnded).by == "lost"


# Calls of ours (§7)


def calling(terms: Terms) -> Ladder:
    ladder = Ladder()
    ladder.agent.invite(
        peer=UDP, uri="sip:b@192.0.2.9", from_="sip:a@192.0.2.1", to="sip:b@d", sdp=OURS, now=0.0, terms=terms
    )
    return ladder.drain() << "INVITE"


def picked_up(ladder: Ladder, fields: Fields) -> Call:
    ladder >> reply_to(ladder, 200, to_tag="phone", body=SDP, fields={**CONTACT, **fields}) << "ACK"
    return ladder.event(CallAnswered).call


@pytest.mark.parametrize(
    ("terms", "interval", "least"),
    [
        (Terms(), None, None),
        (Terms(session_expires=1800), "1800", None),
        (Terms(session_expires=1800, min_se=600), "1800", "600"),
        (Terms(session_expires=300, min_se=600), "600", "600"),
        (Terms(min_se=600), None, "600"),
    ],
)
def test_what_we_ask_for(terms: Terms, interval: str | None, least: str | None) -> None:
    ladder = calling(terms)
    headers = ladder.last.headers
    assert (headers.get("session-expires"), headers.get("min-se")) == (interval, least)
    assert "timer" in ladder.header("supported")


@pytest.mark.parametrize("terms", [Terms(), Terms(session_expires=1800)])
def test_no_timer_without_a_word_of_them(terms: Terms) -> None:
    ladder = calling(terms)
    call = picked_up(ladder, {})
    ladder.at(10_000)
    assert ladder.quiet()
    assert not call.ended


@pytest.mark.parametrize("interval", ["300;refresher=uac", "300", "300;refresher=nobody"])
def test_we_refresh_a_call_of_ours(interval: str) -> None:
    ladder = calling(Terms(session_expires=300))
    picked_up(ladder, {"Session-Expires": interval, "Require": "timer", **UPDATES})
    ladder.at(150) << "UPDATE"
    assert ladder.header("session-expires") == "300;refresher=uac"


def test_they_refresh_a_call_of_ours() -> None:
    ladder = calling(Terms(session_expires=300))
    call = picked_up(ladder, {"Session-Expires": "300;refresher=uas", "Require": "timer"})
    ladder.at(268) << "BYE"
    assert call.ended


def test_nobody_hurries_us() -> None:
    ladder = calling(Terms())
    picked_up(ladder, {"Session-Expires": "1;refresher=uac", **UPDATES})
    ladder.at(44.9)
    assert ladder.quiet()
    ladder.at(45) << "UPDATE"


def test_422_is_heeded_once() -> None:
    ladder = calling(Terms(session_expires=300))
    first = ladder.request
    small = reply_to(ladder, 422, to_tag="proxy", fields={"Min-SE": "600"})
    ladder >> small << "ACK" << "INVITE"
    again = ladder.request
    assert (ladder.header("session-expires"), ladder.header("min-se")) == ("600", "600")
    assert (again.call_id, again.from_tag, again.to_tag) == (first.call_id, first.from_tag, None)
    assert (again.cseq.number, again.via.branch != first.via.branch) == (first.cseq.number + 1, True)
    assert not ladder.events
    ladder >> small << "ACK"  # a repeat
    ladder.last = again
    call = picked_up(ladder, {"Session-Expires": "600;refresher=uac"})
    ladder.agent.end(call, ladder.now)
    ladder.drain() << "BYE"
    assert ladder.request.cseq.number == again.cseq.number + 1


def test_a_second_422_is_the_end() -> None:
    ladder = calling(Terms(session_expires=300))
    ladder >> reply_to(ladder, 422, to_tag="p", fields={"Min-SE": "600"}) << "ACK" << "INVITE"
    ladder >> reply_to(ladder, 422, to_tag="p", fields={"Min-SE": "600"}) << "ACK"
    assert ladder.event(CallFailed).status == 422
    ladder.gone()


def test_options_within_and_without_say_so() -> None:
    ladder, call = up(Terms(reliable="supported"), {})
    ladder >> within("OPTIONS", call, 2) << 200
    assert ladder.header("supported") == "100rel, timer, norefersub"
    ladder >> request("OPTIONS", branch="o") << 200
    assert ladder.header("supported") == "100rel, timer, norefersub"


def test_a_call_that_ends_before_the_ack_of_a_refresh() -> None:
    ladder, call = up(Terms(), asking("90;refresher=uac"))
    ladder.at(40) >> within("INVITE", call, 2, asking("90;refresher=uac"), SDP) << 100
    ladder.agent.accept(ladder.event(Reoffered).reoffer, OURS, ladder.now)
    ladder.drain() << 200
    ladder.agent.end(call, ladder.now)
    ladder.drain()
    ladder.event(CallEnded)
    ladder.at(40.1) >> request("ACK", branch="late", to_tag=call.local_tag, cseq=2) << "BYE"
    ladder >> reply_to(ladder, 200)
    ladder.gone()
    assert not ladder.events
