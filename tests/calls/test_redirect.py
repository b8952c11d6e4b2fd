"""Callers who are sent elsewhere: by a 302 before the answer, by a REFER after it."""

from __future__ import annotations

import pytest

from tests.calls.caller import ALLOW, Call, Caller
from tests.calls.exchange import ANSWER, STAY, Exchange, hangup, play, redirect
from tests.calls.message import Message
from tests.calls.rtp import check_unbroken, codes, linear, offer, write_wav

DESK = "sip:desk@pbx.example.com"
TEL = {"type": "tel", "target": "+14155550177"}


def sipfrag(call: Call, refer: Message, status: int, state: str = "active;expires=60", *, event: str = "") -> int:
    """A NOTIFY about a REFER (RFC 3515 §2.4.5); the status of its answer."""
    answer = call.ask(
        "NOTIFY",
        f"Event: {event or f'refer;id={refer.number}'}",
        f"Subscription-State: {state}",
        "Content-Type: message/sipfrag;version=2.0",
        body=f"SIP/2.0 {status} Whatever\r\n".encode(),
    )
    return answer.status


def referred(call: Call, status: int = 202) -> Message:
    """The daemon's REFER, answered."""
    refer = call.caller.request("REFER")
    assert refer.text("Call-ID") == call.id
    call.caller.reply(refer, status)
    return refer


def no_refer(caller: Caller, seconds: float = 0.1) -> None:
    caller.listen(seconds)
    assert not [message for message in caller.inbox if message.method == "REFER"]


# Before the answer


@pytest.mark.parametrize(
    ("destinations", "contacts"),
    [
        ([DESK], [f"<{DESK}>"]),
        ([TEL], ["<tel:+14155550177>"]),
        (["+14155550177"], ["<tel:+14155550177>"]),
        ([DESK, TEL, "sips:a;b=c@[2001:db8::1]:5061"],
         [f"<{DESK}>;q=1.0", "<tel:+14155550177>;q=0.9", "<sips:a;b=c@[2001:db8::1]:5061>;q=0.8"]),
    ],
)  # fmt: skip
def test_before_the_answer_it_is_a_302(
    exchange: Exchange, caller: Caller, destinations: list[str], contacts: list[str]
) -> None:
    counted = exchange.counted("edge_calls_total", outcome="redirected")
    call = caller.call(exchange.number(redirect(*destinations), hangup()), offer(caller.media))
    answer = call.refused()
    assert (answer.status, answer.texts("Contact")) == (302, contacts)
    assert not caller.packets
    record = exchange.record(call.id)
    assert (record["outcome"], record["sip_code"], record["hangup_by"]) == ("redirected", 302, "local")
    assert record["hangup_reason"] == "redirect"
    assert record["error"] == ""
    assert [step["outcome"] for step in record["steps"]] == ["ended"]
    assert exchange.counted("edge_calls_total", outcome="redirected") == counted + 1


def test_who_calls_may_be_a_part_of_a_destination_and_never_more(exchange: Exchange, caller: Caller) -> None:
    """What was escaped stays so, and what looks like a variable is none."""
    number = exchange.number(redirect("sip:${voipbin.call.source.target}@pbx.example.com"))
    for user in ("+14155550188", "a%3e%0d%0aX%3a", "$%7bvoipbin.call.id%7d", "a%40b", "a;b=c"):
        answer = caller.call(number, offer(caller.media), user=user).refused()
        assert (answer.status, answer.texts("Contact")) == (302, [f"<sip:{user}@pbx.example.com>"])


def test_a_destination_that_turns_out_to_be_none_is_a_step_that_failed(exchange: Exchange, caller: Caller) -> None:
    call = caller.call(exchange.number(redirect("${nothing.there}"), hangup("busy")), offer(caller.media))
    assert call.refused().status == 486
    assert [step["outcome"] for step in exchange.record(call.id)["steps"]] == ["failed", "ended"]


def test_with_no_hop_left_it_is_483(exchange: Exchange, caller: Caller) -> None:
    call = caller.call(exchange.number(redirect(DESK)), offer(caller.media), "Max-Forwards: 0")
    answer = call.refused()
    assert (answer.status, answer.lines("Contact")) == (483, [])
    record = exchange.record(call.id)
    assert (record["outcome"], record["sip_code"]) == ("rejected", 483)


def test_with_no_hop_left_a_call_that_stays_here_is_served(exchange: Exchange, caller: Caller) -> None:
    call = caller.call(exchange.number(ANSWER, STAY), offer(caller.media), "Max-Forwards: 0")
    call.answered()
    call.hang_up()


def test_a_302_after_early_media(exchange: Exchange, caller: Caller) -> None:
    write_wav(exchange.prompts / "elsewhere.wav", linear(codes(0.1, "PCMU"), "PCMU"))
    call = caller.call(exchange.number(play("elsewhere.wav"), redirect(DESK)), offer(caller.media))
    early = call.provisional(183)
    answer = call.refused()
    assert answer.status == 302
    assert answer.text("To") == early.text("To")


def test_a_call_without_sdp_is_redirected_too(exchange: Exchange, caller: Caller) -> None:
    call = caller.call(exchange.number(redirect(DESK)), None)
    assert call.refused().status == 302


# After the answer


def test_after_the_answer_it_is_a_refer_and_success_ends_the_call(exchange: Exchange, caller: Caller) -> None:
    call = caller.call(exchange.number(ANSWER, redirect(DESK), hangup("busy")), offer(caller.media))
    call.answered()
    refer = referred(call)
    assert refer.texts("Refer-To") == [f"<{DESK}>"]
    assert refer.uri.startswith(f"sip:+14155550199@{caller.hostport}")
    assert refer.text("From") == call.remote
    assert refer.lines("Contact")
    assert sipfrag(call, refer, 100) == 200
    assert sipfrag(call, refer, 180) == 200
    caller.hear(3)
    assert not [message for message in caller.inbox if message.method], "nothing is decided yet"
    assert sipfrag(call, refer, 200, "terminated;reason=noresource") == 200
    call.ended()
    caller.drain()
    check_unbroken(caller.packets, "PCMU", 20)
    record = exchange.record(call.id)
    assert (record["outcome"], record["hangup_by"], record["hangup_reason"]) == ("answered", "local", "redirect")
    assert [step["outcome"] for step in record["steps"]] == ["done", "ended"]


def test_a_busy_destination_is_followed_by_the_next(exchange: Exchange, caller: Caller) -> None:
    call = caller.call(exchange.number(ANSWER, redirect(DESK, TEL["target"]), hangup("busy")), offer(caller.media))
    call.answered()
    first = referred(call)
    sipfrag(call, first, 100)
    sipfrag(call, first, 486, "terminated;reason=noresource")
    second = referred(call)
    assert second.text("Refer-To") == "<tel:+14155550177>"
    assert second.number == first.number + 1
    assert sipfrag(call, first, 200, "terminated") == 481, "what is said of the first is too late"
    sipfrag(call, second, 200, "terminated;reason=noresource")
    call.ended()
    assert exchange.record(call.id)["hangup_reason"] == "redirect"


def test_when_all_destinations_fail_the_flow_goes_on(exchange: Exchange, caller: Caller) -> None:
    call = caller.call(exchange.number(ANSWER, redirect(DESK, TEL["target"]), hangup("busy")), offer(caller.media))
    call.answered()
    for status in (486, 603):
        refer = referred(call)
        sipfrag(call, refer, status, "terminated;reason=noresource")
    assert call.ended().text("Reason") == "Q.850;cause=17"
    record = exchange.record(call.id)
    assert [step["outcome"] for step in record["steps"]] == ["done", "failed", "ended"]
    assert record["steps"][1]["note"] == "the transfer failed with 603"


@pytest.mark.parametrize("status", [403, 405, 603])
def test_a_refer_that_is_refused_advances(exchange: Exchange, caller: Caller, status: int) -> None:
    call = caller.call(exchange.number(ANSWER, redirect(DESK), hangup("busy")), offer(caller.media))
    call.answered()
    referred(call, status)
    assert call.ended().text("Reason") == "Q.850;cause=17"
    assert exchange.record(call.id)["steps"][1]["note"] == f"the transfer failed with {status}"


def test_a_subscription_that_ends_without_a_word_is_a_failure(exchange: Exchange, caller: Caller) -> None:
    call = caller.call(exchange.number(ANSWER, redirect(DESK), hangup("busy")), offer(caller.media))
    call.answered()
    refer = referred(call)
    body = call.ask("NOTIFY", f"Event: refer;id={refer.number}", "Subscription-State: terminated;reason=timeout")
    assert body.status == 200
    assert call.ended().text("Reason") == "Q.850;cause=17"
    assert exchange.record(call.id)["steps"][1]["note"] == "the transfer failed with 408"


def test_a_caller_that_does_not_allow_refer_is_not_referred(exchange: Exchange, caller: Caller) -> None:
    without = ALLOW.replace(", REFER", "")
    call = caller.call(
        exchange.number(ANSWER, redirect(DESK), hangup("busy")), offer(caller.media), f"Allow: {without}"
    )
    call.answered()
    assert call.ended().text("Reason") == "Q.850;cause=17"
    no_refer(caller)
    step = exchange.record(call.id)["steps"][1]
    assert (step["outcome"], step["note"]) == ("failed", "the caller's side does not allow REFER")


def test_a_caller_that_says_nothing_of_what_it_allows_is_asked(exchange: Exchange, caller: Caller) -> None:
    call = caller.call(exchange.number(ANSWER, redirect(DESK), hangup("busy")), offer(caller.media), send=False)
    call.invite = call.invite.replace(f"Allow: {ALLOW}\r\n".encode(), b"")
    caller.send(call.invite)
    call.answered()
    refer = referred(call)
    sipfrag(call, refer, 200, "terminated")
    call.ended()


def test_a_caller_that_hangs_up_by_itself_once_it_was_referred(exchange: Exchange, caller: Caller) -> None:
    """Many do not wait for our BYE."""
    call = caller.call(exchange.number(ANSWER, redirect(DESK), hangup("busy")), offer(caller.media))
    call.answered()
    refer = referred(call)
    sipfrag(call, refer, 100)
    call.hang_up()
    assert exchange.record(call.id)["hangup_by"] == "remote"
    assert not [message for message in caller.inbox if message.method == "BYE"]


def test_a_notify_about_nothing_of_ours_is_481(exchange: Exchange, caller: Caller) -> None:
    call = caller.call(exchange.number(ANSWER, STAY), offer(caller.media))
    answer = call.answered()
    assert sipfrag(call, answer, 200, "terminated") == 481
    assert sipfrag(call, answer, 200, event="presence") == 481
    call.hang_up()
