"""CANCEL, BYE and ACK at the wrong moment, repeated, or not at all: RFC 3261 §9, §15 and §17 seen from outside."""

from __future__ import annotations

import time

import pytest

from tests.calls.caller import Caller
from tests.calls.exchange import ANSWER, STAY, Exchange, hangup, sleep
from tests.calls.message import Message
from tests.calls.rtp import offer

T1 = 0.5


def test_100_comes_at_once_and_says_no_more_than_that(exchange: Exchange, caller: Caller) -> None:
    call = caller.call(exchange.number(sleep(300), hangup("busy")), offer(caller.media), "Timestamp: 54.21")
    trying = call.provisional(100)
    assert "tag=" not in trying.text("To")
    assert trying.text("Timestamp") == "54.21"
    assert call.refused().status == 486


def test_a_flow_that_answers_in_the_same_turn_needs_no_100(exchange: Exchange, caller: Caller) -> None:
    number = exchange.number(hangup("busy"))
    assert caller.call(number, offer(caller.media)).refused().status == 486  # now the number and its flow are known
    caller.listen(0.05)
    caller.inbox.clear()
    assert caller.call(number, offer(caller.media)).refused().status == 486
    assert not [message for message in caller.inbox if message.status == 100]


def test_cancel_before_the_answer_is_200_and_487(exchange: Exchange, caller: Caller) -> None:
    cancelled = exchange.counted("edge_calls_total", outcome="cancelled")
    call = caller.call(exchange.number(sleep(5000), ANSWER, STAY), offer(caller.media))
    call.provisional(100)
    cancel = call.cancel()
    answer = caller.answer(cancel)
    final = call.refused()
    assert (answer.status, final.status) == (200, 487)
    assert answer.text("To") == final.text("To"), "one To-tag for both (§9.2)"
    caller.listen(0.1)
    assert not caller.left()
    record = exchange.record(call.id)
    assert (record["outcome"], record["sip_code"]) == ("cancelled", 487)
    assert (record["hangup_by"], record["hangup_reason"]) == ("remote", "cancel")
    assert exchange.counted("edge_calls_total", outcome="cancelled") == cancelled + 1


def test_cancel_after_the_answer_has_no_effect(exchange: Exchange, caller: Caller) -> None:
    call = caller.call(exchange.number(ANSWER, STAY), offer(caller.media))
    answer = call.final()
    cancel = call.cancel()
    assert caller.answer(cancel).status == 200
    call.acknowledge(answer)
    caller.hear(5)
    assert not caller.left()
    call.hang_up()
    assert exchange.record(call.id)["outcome"] == "answered"


def test_cancel_of_nothing_is_481(exchange: Exchange, caller: Caller) -> None:
    call = caller.call(exchange.number(ANSWER), offer(caller.media), send=False)
    cancel = call.cancel()
    assert caller.answer(cancel).status == 481


def test_what_must_be_acknowledged_is_repeated_until_it_is(exchange: Exchange, caller: Caller) -> None:
    """Refusals and 200s until their ACK (§17.2.1, §13.3.1.4), a BYE until its answer (§17.1.2)."""
    refused, answered, left = (
        caller.call(exchange.number(*actions), offer(caller.media))
        for actions in ((hangup("busy"),), (ANSWER, STAY), (ANSWER, hangup()))
    )
    left.answered()
    refusal, answer, bye = refused.final(), answered.final(), caller.request("BYE")
    came = time.monotonic()
    assert refused.final().data == refusal.data
    assert answered.final().data == answer.data
    assert caller.request("BYE").data == bye.data
    assert T1 * 0.8 < time.monotonic() - came < T1 * 3
    assert len(caller.packets) > 10, "the audio of the one that was answered does not wait for its ACK"
    refused.acknowledge(refusal)
    answered.acknowledge(answer)
    caller.reply(bye, 200)
    caller.listen(2 * T1 + 0.2)
    assert not caller.left()
    answered.hang_up()


def test_an_invite_that_is_repeated_is_answered_again_and_is_one_call(exchange: Exchange, caller: Caller) -> None:
    call = caller.call(exchange.number(ANSWER, STAY), offer(caller.media))
    first = call.final()
    caller.send(call.invite)
    assert call.final().data == first.data
    call.acknowledge(first)
    call.acknowledge(first)
    call.hang_up()
    exchange.record(call.id)  # is one


def test_an_invite_that_came_by_two_ways_is_482(exchange: Exchange, caller: Caller) -> None:
    """§8.2.2.2: the same request with another branch."""
    call = caller.call(exchange.number(ANSWER, STAY), offer(caller.media))
    call.answered()
    branch = Message(call.invite).branch.encode()
    merged = call.invite.replace(branch, branch + b"-other")
    caller.send(merged)
    assert caller.answer(merged).status == 482
    call.hang_up()


def test_bye_before_the_ack_ends_the_call(exchange: Exchange, caller: Caller) -> None:
    call = caller.call(exchange.number(ANSWER, STAY), offer(caller.media))
    call.enter(call.final())
    call.hang_up()
    caller.send(call.compose("ACK", number=1))
    record = exchange.record(call.id)
    assert (record["outcome"], record["hangup_by"]) == ("answered", "remote")
    caller.listen(T1 + 0.1)
    assert not caller.left(), "no BYE of ours crosses theirs"


def test_our_bye_waits_for_the_ack(exchange: Exchange, caller: Caller) -> None:
    """§15.1.1: a callee must not hang up before the ACK."""
    call = caller.call(exchange.number(ANSWER, hangup()), offer(caller.media))
    answer = call.final()
    caller.listen(0.2)
    assert not caller.left()
    call.acknowledge(answer)
    call.ended()


def test_byes_that_cross_are_both_answered(exchange: Exchange, caller: Caller) -> None:
    call = caller.call(exchange.number(ANSWER, sleep(100), hangup()), offer(caller.media))
    call.answered()
    theirs = caller.request("BYE")
    ours = call.send("BYE")
    assert caller.answer(ours).status in (200, 481)
    caller.reply(theirs, 200)
    assert exchange.record(call.id)["hangup_by"] == "local"


def test_a_bye_for_an_early_dialog_is_487_for_its_invite(exchange: Exchange, caller: Caller) -> None:
    call = caller.call(exchange.number({"type": "beep"}, sleep(5000), ANSWER), offer(caller.media))
    call.enter(call.provisional(183))
    call.hang_up()
    call.number = 1
    assert call.refused().status == 487
    assert exchange.record(call.id)["outcome"] == "cancelled"


@pytest.mark.parametrize("method", ["BYE", "INFO", "NOTIFY", "UPDATE"])
def test_a_request_of_no_dialog_is_481(exchange: Exchange, caller: Caller, method: str) -> None:
    call = caller.call(exchange.number(ANSWER), offer(caller.media), send=False)
    for remote in ("", f"<{call.uri}>;tag=nobody"):
        call.remote = remote
        assert call.ask(method).status == 481


def test_an_ack_of_nothing_is_never_answered(exchange: Exchange, caller: Caller) -> None:
    call = caller.call(exchange.number(ANSWER), offer(caller.media), send=False)
    caller.send(call.compose("ACK"))
    call.remote = f"<{call.uri}>;tag=nobody"
    caller.send(call.compose("ACK"))
    caller.listen(0.15)
    assert not caller.left()


def test_another_callers_bye_does_not_end_a_call(exchange: Exchange, caller: Caller) -> None:
    """Its ids are right but for the tag, which only the two ends know."""
    call = caller.call(exchange.number(ANSWER, STAY), offer(caller.media))
    call.answered()
    with Caller(exchange.daemon.sip) as other:
        forged = call.compose("BYE", to=f"<{call.uri}>;tag=guessed", number=2)
        other.send(forged)
        assert other.next(lambda message: message.final, "an answer").status == 481
    caller.hear(3)
    call.hang_up()


def test_a_whole_call_over_tcp(exchange: Exchange) -> None:
    with Caller(exchange.daemon.sip, transport="tcp") as caller:
        call = caller.call(exchange.number(ANSWER, sleep(200), hangup("busy")), offer(caller.media))
        call.answered()
        caller.hear(5)
        assert call.ended().text("Reason") == "Q.850;cause=17", "its BYE comes over the same connection"
        assert not caller.closed
        assert exchange.record(call.id)["outcome"] == "answered"
