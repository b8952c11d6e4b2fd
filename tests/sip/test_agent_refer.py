"""REFER of ours and the NOTIFYs that tell how it goes (RFC 3515, RFC 6665)."""

from __future__ import annotations

import pytest

from edge.sip.events import CallEnded, ReferProgress
from edge.sip.handle import Call
from edge.sip.timers import GIVE_UP
from tests.sip.ladder import Fields, Ladder, reply_to, request

ACTIVE = "active;expires=60"
OVER = "terminated;reason=noresource"


def notify(tag: str, cseq: int, status: int | None, state: str = ACTIVE, event: str = "refer") -> bytes:
    fields: Fields = {"Event": event, "Subscription-State": state}
    body = b"" if status is None else f"SIP/2.0 {status} Whatever\r\n".encode()
    kind = "message/sipfrag;version=2.0" if body else None
    return request("NOTIFY", branch=f"n-{cseq}", to_tag=tag, cseq=cseq, fields=fields, body=body, kind=kind)


def referring() -> tuple[Ladder, Call]:
    ladder = Ladder()
    call = ladder.up()
    ladder.agent.refer(call, "sip:+14155550111@198.51.100.7", 0.0)
    ladder.drain() << "REFER"
    return ladder, call


def test_refer_and_its_notifies() -> None:
    ladder, call = referring()
    assert ladder.header("refer-to") == "<sip:+14155550111@198.51.100.7>"
    assert ladder.header("contact") == "<sip:192.0.2.1:5060>"
    ladder >> reply_to(ladder, 202)
    ladder >> notify(call.local_tag, 2, 100) << 200
    assert ladder.event(ReferProgress) == ReferProgress(call, 100, False)
    last = notify(call.local_tag, 3, 200, OVER)
    ladder >> last << 200
    assert ladder.event(ReferProgress) == ReferProgress(call, 200, True)
    ladder >> last << 200  # a repeat
    ladder >> notify(call.local_tag, 4, 200, OVER) << 481  # over is over
    assert not ladder.events
    assert not call.ended
    ladder >> request("BYE", branch="bye", to_tag=call.local_tag, cseq=5) << 200
    ladder.gone()


def test_a_notify_may_overtake_the_202() -> None:
    ladder, call = referring()
    accepted = reply_to(ladder, 202)
    ladder >> notify(call.local_tag, 2, 100) << 200
    ladder >> accepted
    assert ladder.event(ReferProgress).status == 100
    assert not ladder.events


def test_a_final_status_is_told_once_even_when_the_subscription_goes_on() -> None:
    ladder, call = referring()
    ladder >> notify(call.local_tag, 2, 486) << 200
    assert ladder.event(ReferProgress) == ReferProgress(call, 486, True)
    ladder >> notify(call.local_tag, 3, 486, OVER) << 200
    assert not ladder.events


@pytest.mark.parametrize("event", ["refer;id=1", "refer", "Refer ; id=1"])
def test_the_id_of_the_event_is_the_cseq_of_the_refer(event: str) -> None:
    ladder, call = referring()
    ladder >> notify(call.local_tag, 2, 200, OVER, event) << 200


@pytest.mark.parametrize("event", ["refer;id=99", "presence", "", "refer;;"])
def test_another_subscription_is_481(event: str) -> None:
    ladder, call = referring()
    ladder >> notify(call.local_tag, 2, 200, OVER, event) << 481
    assert not ladder.events


def test_a_notify_without_a_refer_is_481() -> None:
    ladder = Ladder()
    call = ladder.up()
    ladder >> notify(call.local_tag, 2, 200) << 481


@pytest.mark.parametrize("status", [405, 603, 503])
def test_a_refused_refer(status: int) -> None:
    ladder, call = referring()
    ladder >> reply_to(ladder, status)
    assert ladder.event(ReferProgress) == ReferProgress(call, status, True)
    assert not call.ended
    ladder >> notify(call.local_tag, 2, 200) << 481
    ladder.agent.refer(call, "<sip:again@198.51.100.7>", 0.0)
    ladder.drain() << "REFER"
    assert ladder.header("refer-to") == "<sip:again@198.51.100.7>"


def test_a_refer_nobody_answers() -> None:
    ladder, call = referring()
    ladder.at(GIVE_UP)
    assert ladder.event(ReferProgress) == ReferProgress(call, 408, True)
    assert not call.ended


def test_a_refer_whose_notifies_stay_away() -> None:
    ladder, call = referring()
    ladder >> reply_to(ladder, 202)
    ladder.at(2 * GIVE_UP - 0.1)
    assert not ladder.events
    ladder.at(2 * GIVE_UP)
    assert ladder.event(ReferProgress) == ReferProgress(call, 408, True)


def test_a_subscription_that_expires() -> None:
    ladder, call = referring()
    ladder >> notify(call.local_tag, 2, 180, "active;expires=10") << 200
    assert ladder.event(ReferProgress).status == 180
    ladder.at(10)
    assert ladder.event(ReferProgress) == ReferProgress(call, 408, True)


def test_a_subscription_that_ends_without_a_word() -> None:
    ladder, call = referring()
    ladder >> notify(call.local_tag, 2, None, OVER) << 200
    assert ladder.event(ReferProgress) == ReferProgress(call, 408, True)


def test_a_peer_that_does_not_know_the_call_any_more() -> None:
    ladder, _ = referring()
    ladder >> reply_to(ladder, 481) << "BYE"
    assert ladder.event(ReferProgress).status == 481
    assert ladder.event(CallEnded).by == "lost"
    ladder.gone()


def test_one_refer_at_a_time() -> None:
    ladder, call = referring()
    ladder.agent.refer(call, "sip:second@198.51.100.7", 0.0)
    ladder.drain()
    assert ladder.event(ReferProgress) == ReferProgress(call, 491, True)
    assert ladder.quiet()


def test_the_caller_hangs_up_and_still_tells() -> None:
    ladder, call = referring()
    ladder >> reply_to(ladder, 202)
    ladder >> request("BYE", branch="bye", to_tag=call.local_tag, cseq=2) << 200
    assert ladder.event(CallEnded).by == "remote"
    ladder >> notify(call.local_tag, 3, 200, OVER) << 200  # RFC 5057 §5.2: the subscription outlives the call
    assert not ladder.events
    assert ladder.agent.stats()["dialogs"] == 0
    ladder.gone()


@pytest.mark.parametrize("field", ["false", "False;x=y", " false "])
def test_who_will_not_tell_how_it_goes(field: str) -> None:
    """RFC 4488 §4."""
    ladder, call = referring()
    assert "norefersub" in ladder.header("supported")
    ladder >> reply_to(ladder, 202, fields={"Refer-Sub": field})
    assert ladder.event(ReferProgress) == ReferProgress(call, 200, True)
    ladder >> notify(call.local_tag, 2, 200, OVER) << 481
    ladder.agent.end(call, 0.0)
    ladder.drain() << "BYE"
    ladder >> reply_to(ladder, 200)
    ladder.events.clear()
    ladder.gone()


def test_who_will() -> None:
    ladder, _ = referring()
    ladder >> reply_to(ladder, 202, fields={"Refer-Sub": "true"})
    assert not ladder.events
