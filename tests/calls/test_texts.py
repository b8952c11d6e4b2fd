"""Texts by SIP MESSAGE: kept, answered, run once, and sent on."""

from __future__ import annotations

import itertools
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.calls.caller import Caller
from tests.calls.exchange import ANSWER, STAY, Action, Exchange, hangup, sleep
from tests.calls.message import Message, join
from tests.calls.rtp import offer

peers = itertools.count(2000)


def reply(text: str) -> Action:
    return {"type": "reply", "option": {"text": text}}


def send(*destinations: str, text: str = "hello", source: str = "") -> Action:
    option = {"destinations": list(destinations), "text": text, **({"source": source} if source else {})}
    return {"type": "message_send", "option": option}


ECHO = reply("You wrote: ${voipbin.conversation_message.text}")


@pytest.fixture(scope="module")
def number(exchange: Exchange) -> str:
    return exchange.number(texts=(ECHO,))


def texter(exchange: Exchange, transport: str = "udp", host: str = "127.0.0.1") -> Caller:
    """Somebody with a number of his own: texts between two numbers wait for each other."""
    return Caller(exchange.daemon.sip, transport=transport, host=host, user=f"+1415557{next(peers)}")


@pytest.fixture
def caller(exchange: Exchange) -> Iterator[Caller]:
    with texter(exchange) as found:
        yield found


def at_the_trunk(trunk: socket.socket, exchange: Exchange, number: str) -> Message:
    """The next MESSAGE from a number that leaves by the trunk, taken; those of other stories are taken too."""
    while True:
        message = Message(trunk.recv(65535))
        lines = [b"SIP/2.0 202 Accepted"]
        for name in ("Via", "From", "To", "Call-ID", "CSeq"):
            lines += message.lines(name)
        trunk.sendto(join(lines, (), b""), exchange.daemon.sip)
        if number in message.text("From"):
            return message


def status_of_last(exchange: Exchange, number: str) -> str:
    """How far the last text from a number got."""
    return str(exchange.texts(number, "outbound")[0]["targets"][0]["status"])


@contextmanager
def counting(exchange: Exchange, outcome: str, by: int = 1, direction: str = "inbound") -> Iterator[None]:
    """At least so many texts are counted with that outcome in the block, and soon after.

    Texts that other stories left to be tried again may be counted too, so what became of one is read from its record.
    """

    def counted() -> float:
        return exchange.counted("edge_texts_total", carrier="sip", direction=direction, outcome=outcome)

    before = counted()
    yield
    exchange.wait(lambda: counted() >= before + by, f"{by} texts {outcome}")


def test_a_text_is_taken_with_202_and_answered_where_it_came_from(
    exchange: Exchange, caller: Caller, number: str
) -> None:
    with counting(exchange, "received"), counting(exchange, "sent", direction="outbound"):
        taken = caller.answer(caller.text(number, "Grüß Gott ☎", "Content-Type: text/plain;charset=utf-8"))
        assert taken.status == 202
        assert ";tag=" in taken.text("To")
        answer = caller.request("MESSAGE")
        assert answer.body.decode() == "You wrote: Grüß Gott ☎"
        assert answer.text("Content-Type") == "text/plain;charset=utf-8"
        assert answer.uri == f"sip:{caller.user}@{caller.hostport}"
        assert f"<sip:{number}@127.0.0.1:{caller.daemon[1]}>" in answer.text("From")
        assert f"<sip:{caller.user}@{caller.hostport}>" in answer.text("To")
        caller.reply(answer, 200)

    exchange.wait(lambda: status_of_last(exchange, number) == "sent", "the receipt")
    (received,) = [text for text in exchange.texts(number, "inbound") if text["text"] == "Grüß Gott ☎"]
    assert (received["edge"]["outcome"], received["edge"]["flow_state"]) == ("finished", "done")
    assert received["source"]["target"] == caller.user
    sent = exchange.texts(number, "outbound")[0]
    assert (sent["text"], sent["edge"]["reference_id"]) == ("You wrote: Grüß Gott ☎", received["id"])
    assert sent["edge"]["attempts"] == 1


def test_an_answer_goes_to_the_source_of_a_text_whatever_its_from_says(exchange: Exchange, number: str) -> None:
    with texter(exchange, host="127.0.0.3") as caller:
        data = caller.text(number, "in the open")
        caller.reply(caller.request("MESSAGE"), 200)
        data = data.replace(f"sip:{caller.user}@{caller.hostport}".encode(), f"sip:{caller.user}@203.0.113.9".encode())
        data = data.replace(Message(data).branch.encode(), b"z9hG4bKbehind-a-nat").replace(b"CSeq: 1", b"CSeq: 2")
        caller.send(data)
        answer = caller.request("MESSAGE")
        assert answer.uri == f"sip:{caller.user}@203.0.113.9"
        caller.reply(answer, 200)


def test_a_text_that_is_repeated_runs_once(exchange: Exchange, caller: Caller, number: str) -> None:
    with counting(exchange, "received"):
        data = caller.text(number, "once only")
        caller.send(data)
        first = caller.answer(data)
        caller.reply(caller.request("MESSAGE"), 200)
        caller.send(data)
        again = caller.answer(data)
        assert first.status == 202
        assert again.data == first.data
    caller.listen(0.2)
    assert not [message for message in caller.left() if message.method]
    assert len([text for text in exchange.texts(number, "inbound") if text["text"] == "once only"]) == 1


def test_a_text_that_came_by_two_ways_runs_once(exchange: Exchange, caller: Caller, number: str) -> None:
    data = caller.text(number, "two ways")
    assert caller.answer(data).status == 202
    caller.reply(caller.request("MESSAGE"), 200)
    other = data.replace(Message(data).branch.encode(), b"z9hG4bK" + b"elsewhere")
    caller.send(other)
    assert caller.answer(other).status == 482
    caller.listen(0.1)
    assert not caller.left()


def test_texts_of_one_sender_are_answered_in_their_order(exchange: Exchange, caller: Caller, number: str) -> None:
    said = [f"number {count}" for count in range(10)]
    for text in said:
        caller.text(number, text)
    heard = []
    for _ in said:
        answer = caller.request("MESSAGE")
        caller.reply(answer, 200)
        heard.append(answer.body.decode().removeprefix("You wrote: "))
    assert heard == said


def test_an_answer_that_gets_none_is_repeated_as_it_was(caller: Caller, number: str) -> None:
    assert caller.answer(caller.text(number, "are you there?")).status == 202
    first = caller.request("MESSAGE")
    again = caller.request("MESSAGE")
    assert again.data == first.data
    caller.reply(again, 200)


def test_an_answer_that_is_not_wanted_now_is_tried_again(exchange: Exchange, caller: Caller, number: str) -> None:
    with counting(exchange, "retried", direction="outbound"), counting(exchange, "sent", direction="outbound"):
        caller.answer(caller.text(number, "busy?"))
        first = caller.request("MESSAGE")
        caller.reply(first, 503)
        second = caller.request("MESSAGE")
        assert second.branch != first.branch
        assert second.body == first.body
        caller.reply(second, 200)

    exchange.wait(lambda: status_of_last(exchange, number) == "sent", "the receipt")
    assert exchange.texts(number, "outbound")[0]["edge"]["attempts"] == 2


def test_an_answer_that_is_refused_is_not_tried_again(exchange: Exchange, caller: Caller, number: str) -> None:
    with counting(exchange, "failed", direction="outbound"):
        caller.answer(caller.text(number, "go away"))
        caller.reply(caller.request("MESSAGE"), 403)

    exchange.wait(lambda: status_of_last(exchange, number) == "failed", "the failure")
    facts = exchange.texts(number, "outbound")[0]["edge"]
    assert (facts["code"], facts["reason"]) == ("403", "trunk loopback answered 403 Forbidden")


@pytest.mark.parametrize(
    ("body", "fields", "status"),
    [
        ("", (), 200),
        ("", ("Content-Type: text/plain",), 200),
        ("<xml/>", ("Content-Type: application/im-iscomposing+xml",), 415),
        ("caf\\xe9", ("Content-Type: text/plain;charset=koi8-r",), 415),
        ("x" * 60_000, (), 513),
        ("hello", ("Require: foo",), 420),
    ],
    ids=["empty", "empty-text", "composing", "charset", "huge", "extension"],
)
def test_a_message_that_is_no_text_is_kept_nowhere(
    exchange: Exchange, caller: Caller, number: str, body: str, fields: tuple[str, ...], status: int
) -> None:
    before = len(exchange.texts(number, "inbound"))
    assert caller.answer(caller.text(number, body, *fields)).status == status
    caller.listen(0.1)
    assert not caller.left()
    assert len(exchange.texts(number, "inbound")) == before


def test_a_text_without_a_type_is_plain_text(caller: Caller, number: str) -> None:
    data = caller.text(number, "what am I?", "Content-Type: x/y")
    assert caller.answer(data).status == 415
    data = data.replace(b"Content-Type: x/y\r\n", b"").replace(b"CSeq: 1", b"CSeq: 2")
    data = data.replace(Message(data).branch.encode(), Message(data).branch.encode() + b"-2")
    caller.send(data)
    assert caller.answer(data).status == 202
    caller.reply(caller.request("MESSAGE"), 200)


def test_a_number_without_a_flow_for_texts_takes_them_all_the_same(exchange: Exchange, caller: Caller) -> None:
    number = exchange.number(hangup())
    with counting(exchange, "unbound"):
        assert caller.answer(caller.text(number, "anybody?")).status == 202
    (kept,) = exchange.texts(number, "inbound")
    assert (kept["text"], kept["edge"]["flow_state"]) == ("anybody?", "none")


def test_a_number_that_takes_no_texts(exchange: Exchange, caller: Caller) -> None:
    released, suspended = (exchange.provision(texts=(ECHO,)) for _ in range(2))
    exchange.daemon.ask("DELETE", f"/v1.0/numbers/{released['id']}")
    exchange.daemon.ask("PATCH", f"/v1.0/numbers/{suspended['id']}", {"status": "suspended"})
    customer = exchange.daemon.account()
    owned = exchange.provision(texts=(ECHO,), customer=customer)
    exchange.daemon.ask("PUT", f"/v1.0/customers/{customer}", {"status": "suspended"})
    table = [
        ("+14155559875", 404),
        ("+1415", 484),
        (str(released["number"]), 410),
        (str(suspended["number"]), 403),
        (str(owned["number"]), 403),
    ]
    with counting(exchange, "rejected", by=3), counting(exchange, "suspended", by=2):
        for dialed, status in table:
            assert caller.answer(caller.text(dialed, "hello")).status == status
    caller.listen(0.1)
    assert not caller.left()
    (kept,) = exchange.texts("+14155559875", "inbound")
    assert (kept["targets"][0]["status"], kept["edge"]["reason"]) == ("rejected", "NumberUnknown")


def test_what_a_text_says_is_never_taken_for_a_variable(caller: Caller, number: str) -> None:
    caller.answer(caller.text(number, "${voipbin.conversation.self.target} ${x"))
    answer = caller.request("MESSAGE")
    caller.reply(answer, 200)
    assert answer.body == b"You wrote: ${voipbin.conversation.self.target} ${x"


def test_a_text_in_an_envelope_is_what_is_in_it(caller: Caller, number: str) -> None:
    envelope = "From: <im:eve@h>\r\nTo: <im:bob@h>\r\n\r\nContent-Type: {}\r\n\r\nhello there"
    other = caller.text(number, envelope.format("text/html"), "Content-Type: message/cpim")
    assert caller.answer(other).text("Accept") == "text/plain;charset=utf-8, message/cpim"
    broken = caller.text(number, "From: <im:eve@h>", "Content-Type: message/cpim")
    assert caller.answer(broken).status == 400
    assert caller.answer(caller.text(number, envelope.format("text/plain"), "Content-Type: message/cpim")).status == 202
    answer = caller.request("MESSAGE")
    assert answer.body == b"You wrote: hello there"
    assert answer.uri == f"sip:{caller.user}@{caller.hostport}"  # and not eve, whom nobody vouches for
    caller.reply(answer, 200)


# TCP


def test_a_text_over_tcp_is_answered_over_the_same_connection(exchange: Exchange, number: str) -> None:
    with texter(exchange, "tcp") as caller:
        for count in range(2):
            data = caller.text(number, f"by stream {count}")
            assert caller.answer(data).status == 202
            answer = caller.request("MESSAGE")
            assert answer.body == b"You wrote: by stream %d" % count
            assert b"SIP/2.0/TCP" in answer.value("Via")
            caller.reply(answer, 200)


def test_texts_that_come_in_pieces(exchange: Exchange, number: str) -> None:
    with texter(exchange, "tcp") as caller:
        texts = [caller.text(number, f"part {count}", send=False) for count in range(3)]
        whole = b"\r\n\r\n".join(texts)  # with keep-alives between them
        caller.sip.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(whole), 97):
            caller.send(whole[at : at + 97])
        answers = [caller.answer(data) for data in texts]
        assert [answer.status for answer in answers] == [202] * 3
        for _ in texts:
            caller.reply(caller.request("MESSAGE"), 200)


def test_an_answer_whose_connection_is_gone_waits_and_is_tried_again(exchange: Exchange) -> None:
    number = exchange.number(texts=(sleep(300), ECHO))
    with (
        counting(exchange, "retried", direction="outbound"),
        texter(exchange, "tcp") as caller,
    ):
        assert caller.answer(caller.text(number, "bye")).status == 202
    assert status_of_last(exchange, number) == "queued"


# From a flow


def test_the_flow_of_a_call_sends_a_text_by_the_trunk_with_a_target(
    exchange: Exchange, caller: Caller, trunk: socket.socket
) -> None:
    sms = send("+14155550123", text="${voipbin.call.source.target} called")
    number = exchange.number(ANSWER, sms, STAY)
    with counting(exchange, "sent", direction="outbound"):
        call = caller.call(number, offer(caller.media))
        call.answered()
        sent = at_the_trunk(trunk, exchange, number)
        assert sent.body == f"{caller.user} called".encode()
        assert sent.uri == f"sip:+14155550123@127.0.0.9:{trunk.getsockname()[1]}"
        assert f"sip:{number}@" in sent.text("From")
        call.hang_up()
    record = exchange.record(call.id)
    assert [(step["type"], step["note"]) for step in record["steps"]][1] == ("message_send", "1 of 1")
    (kept,) = exchange.texts(number, "outbound")
    assert kept["edge"]["reference_id"] == record["id"]
    assert (kept["source"]["target"], kept["targets"][0]["destination"]["target"]) == (number, "+14155550123")


def test_the_flow_of_a_text_sends_it_on(exchange: Exchange, caller: Caller, trunk: socket.socket) -> None:
    forward = send("+14155550121", "+14155550122", text="${voipbin.conversation_message.text}")
    number = exchange.number(texts=(forward, reply("sent on")))
    assert caller.answer(caller.text(number, "for all of you")).status == 202
    sent = [at_the_trunk(trunk, exchange, number) for _ in range(2)]
    assert {re.findall(r"sip:(.*)@", message.uri)[0] for message in sent} == {"+14155550121", "+14155550122"}
    assert {message.body for message in sent} == {b"for all of you"}
    answer = caller.request("MESSAGE")
    assert answer.body == b"sent on"
    caller.reply(answer, 200)


def test_a_text_from_somebody_elses_number_is_not_sent(exchange: Exchange, caller: Caller) -> None:
    foreign = exchange.number(hangup(), customer=exchange.daemon.account())
    number = exchange.number(ANSWER, send("+14155550123", source=foreign), STAY)
    call = caller.call(number, offer(caller.media))
    call.answered()
    assert call.ended().text("Reason") == "Q.850;cause=18"
    record = exchange.record(call.id)
    assert record["steps"][1]["outcome"] == "fatal"
    assert record["error"].endswith(f"{foreign} is no active number of this account")
    assert not exchange.texts(foreign, "outbound")


def test_a_text_within_a_call_is_a_text(exchange: Exchange, caller: Caller) -> None:
    """RFC 3428 §9: a dialog makes no difference."""
    number = exchange.number(ANSWER, STAY, texts=(ECHO,))
    call = caller.call(number, offer(caller.media))
    call.answered()
    assert call.ask("MESSAGE", "Content-Type: text/plain", body=b"while we talk").status == 202
    answer = caller.request("MESSAGE")
    assert answer.body == b"You wrote: while we talk"
    caller.reply(answer, 200)
    caller.hear(3)
    call.hang_up()
