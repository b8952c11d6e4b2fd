"""What a person typed in a call is known when he texts, and a flow that asked him something hears his answer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.calls.caller import Caller
from tests.calls.exchange import ANSWER, Action, Exchange, hangup
from tests.calls.rtp import Described, offer, presses
from tests.calls.test_texts import reply, texter

GATHER: Action = {"type": "digits_receive", "option": {"duration": 4000, "key": "#"}}
REMEMBER: Action = {"type": "variable_set", "option": {"key": "memory.order", "value": "${voipbin.call.digits}"}}
TELL = reply("Your order: ${memory.order:-none}")


@pytest.fixture
def caller(exchange: Exchange) -> Iterator[Caller]:
    with texter(exchange) as found:
        yield found


def asks(caller: Caller, number: str, body: str) -> str:
    """Send a text and take the answer."""
    assert caller.answer(caller.text(number, body)).status == 202
    answer = caller.request("MESSAGE")
    caller.reply(answer, 200)
    return answer.body.decode()


def test_digits_typed_in_a_call_are_read_when_the_same_person_texts(exchange: Exchange, caller: Caller) -> None:
    number = exchange.number(ANSWER, GATHER, REMEMBER, hangup(), texts=(TELL,))
    assert asks(caller, number, "before") == "Your order: none"
    call = caller.call(number, offer(caller.media, "0 101", event=101))
    there = Described.read(call.answered().body).address
    for packets in presses("4711#"):
        for packet in packets:
            caller.rtp.sendto(bytes(packet), there)
    call.ended()
    assert asks(caller, number, "after") == "Your order: 4711#"
    with texter(exchange) as other:
        assert asks(other, number, "somebody else") == "Your order: none"
    assert asks(caller, exchange.number(texts=(TELL,)), "another number") == "Your order: none"


def test_a_flow_waits_for_the_answer_to_its_question(exchange: Exchange, caller: Caller) -> None:
    wait: Action = {"type": "text_receive", "option": {"duration": 60_000}}
    number = exchange.number(texts=(reply("Your name?"), wait, reply("Hello ${voipbin.conversation_message.text}")))
    assert asks(caller, number, "hi") == "Your name?"
    assert asks(caller, number, "Ann") == "Hello Ann"
    assert asks(caller, number, "hi") == "Your name?"

    def outcomes() -> list[str]:
        return [text["edge"]["outcome"] for text in exchange.texts(number, "inbound")]

    exchange.wait(lambda: outcomes() == ["parked", "finished", "parked"], "the ends of the runs")


def test_a_flow_that_hears_nothing_in_time_goes_on(exchange: Exchange, caller: Caller) -> None:
    wait: Action = {"type": "text_receive", "option": {"duration": 1_000}}
    number = exchange.number(texts=(reply("Your name?"), wait, reply("${edge.text_receive.outcome}")))
    assert asks(caller, number, "hi") == "Your name?"
    late = caller.request("MESSAGE")
    caller.reply(late, 200)
    assert late.body == b"timeout"
