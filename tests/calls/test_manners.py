"""Manners, as whoever texts by SIP MESSAGE sees them: he stops, starts, asks for help, and is no machine."""

from __future__ import annotations

import itertools
import socket
import urllib.parse
from collections.abc import Iterator

import pytest

from edge.sms.keywords import DEFAULTS
from tests.calls.caller import Caller
from tests.calls.exchange import ANSWER, STAY, Exchange
from tests.calls.rtp import offer
from tests.calls.test_texts import ECHO, reply, send

peers = itertools.count(6000)
EN = DEFAULTS[0]


@pytest.fixture
def caller(exchange: Exchange) -> Iterator[Caller]:
    with Caller(exchange.daemon.sip, user=f"+1415557{next(peers)}") as found:
        yield found


def hears(caller: Caller, number: str, *said: str) -> list[str]:
    """He says things, each after the answer to the one before; what he is answered."""
    heard = []
    for text in said:
        assert caller.answer(caller.text(number, text)).status == 202
        answer = caller.request("MESSAGE")
        caller.reply(answer, 200)
        heard.append(answer.body.decode())
    return heard


def silent(caller: Caller, number: str, text: str, exchange: Exchange, outcome: str) -> None:
    """He says something, which comes to its end, and hears nothing."""
    assert caller.answer(caller.text(number, text)).status == 202
    exchange.wait(lambda: exchange.texts(number, "inbound")[0]["edge"]["outcome"] == outcome, outcome)
    caller.listen(0.2)
    assert not [message for message in caller.left() if message.method]


def answers(number: str) -> tuple[str, str, str]:
    return tuple(said.replace("{number}", number) for said in (EN.stopped, EN.started, EN.helped))  # type: ignore[return-value]


def test_who_stops_hears_it_once_and_nothing_more_until_he_starts(exchange: Exchange, caller: Caller) -> None:
    number = exchange.number(texts=(ECHO,))
    stopped, started, helped = answers(number)
    assert hears(caller, number, "hi", "Stop!") == ["You wrote: hi", stopped]
    silent(caller, number, "STOP", exchange, "opted_out")
    silent(caller, number, "are you there?", exchange, "finished")
    (step,) = exchange.texts(number, "inbound")[0]["edge"]["steps"]
    assert (step["outcome"], step["note"]) == ("failed", f"{caller.user} has opted out of texts from {number}")
    assert hears(caller, number, "help", "start", "again") == [helped, started, "You wrote: again"]

    path = f"/v1.0/opt_outs?status=deleted&number={urllib.parse.quote(number)}"
    (ended,) = exchange.daemon.ask("GET", path)["result"]
    assert (ended["peer"]["target"], ended["word"], ended["begun_by"]) == (caller.user, "STOP", "text")
    assert (ended["ended_by"], ended["tm_delete"] is None) == ("text", False)


def test_nobody_reaches_who_stopped(exchange: Exchange, caller: Caller, trunk: socket.socket) -> None:
    """Not a flow of another medium, not the API, and not the conversation."""
    number = exchange.number(ANSWER, send(caller.user, text="call"), STAY, texts=(ECHO,))
    assert hears(caller, number, "stop") == [answers(number)[0]]
    call = caller.call(number, offer(caller.media))
    call.answered()
    call.ended()
    record = exchange.record(call.id)
    assert record["error"].endswith(f"{caller.user} has opted out of texts from {number}")

    (said,) = exchange.daemon.ask("GET", f"/v1.0/conversations?number={urllib.parse.quote(number)}")["result"]
    path = f"/v1.0/conversations/{said['id']}/messages"
    status, refused = exchange.daemon.request("POST", path, {"text": "psst"})
    assert (status, refused["error"]["reason"]) == (403, "OPTED_OUT")
    order = {"customer_id": exchange.customer, "source": number, "destinations": [caller.user], "text": "psst"}
    status, refused = exchange.daemon.request("POST", "/v1.0/messages", order)
    assert (status, refused["error"]["reason"]) == (403, "OPTED_OUT")

    exchange.daemon.ask("DELETE", f"/v1.0/opt_outs/{said['id']}")
    exchange.daemon.ask("POST", path, {"text": "welcome back"})
    answer = caller.request("MESSAGE")
    caller.reply(answer, 200)
    assert answer.body == b"welcome back"
    texts = [text["text"] for text in exchange.daemon.ask("GET", path)["result"]]
    assert texts == ["welcome back", answers(number)[0], "stop"]


def test_a_number_without_a_flow_for_texts_keeps_to_a_stop(exchange: Exchange, caller: Caller) -> None:
    number = exchange.number(ANSWER)
    assert hears(caller, number, "unsubscribe") == [answers(number)[0]]


@pytest.mark.parametrize("user", ["12345", "ACME"])
def test_a_machine_is_not_answered(exchange: Exchange, user: str) -> None:
    number = exchange.number(texts=(ECHO, reply("and more")))
    with Caller(exchange.daemon.sip, user=user) as machine:
        machine.text(number, "your parcel is on its way")
        if user == "ACME":  # by SIP a name is an address, which can be answered
            machine.reply(machine.request("MESSAGE"), 200)
            machine.reply(machine.request("MESSAGE"), 200)
            return
        exchange.wait(lambda: [t for t in exchange.texts(number, "inbound") if t["edge"]["outcome"]], "its flow")
        machine.listen(0.2)
        assert not [message for message in machine.left() if message.method]
    (kept,) = exchange.texts(number, "inbound")
    assert [step["note"] for step in kept["edge"]["steps"]] == ["12345 is a short code, which is not answered"] * 2


def test_a_machine_that_answers_each_answer_is_not_answered_for_ever(exchange: Exchange, caller: Caller) -> None:
    number = exchange.number(texts=(ECHO,))
    loops = exchange.counted("edge_text_loops_total")
    assert len(hears(caller, number, *(f"auto-reply {n}" for n in range(15)))) == 15
    silent(caller, number, "auto-reply 15", exchange, "finished")
    note = exchange.texts(number, "inbound")[0]["edge"]["steps"][0]["note"]
    assert note == f"{number} texts {caller.user} too often: a loop, until a minute goes by without"
    assert exchange.counted("edge_text_loops_total") >= loops + 1
