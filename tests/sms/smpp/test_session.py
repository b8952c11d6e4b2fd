"""A session and an SMSC over a wire that tears, stalls and lies; minutes of it in milliseconds."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sms.smpp import limits, pdu, status
from edge.sms.smpp.pdu import Address, Message, Pdu, write_id
from edge.sms.smpp.session import Answered, Closed, Delivered, Ignored, Mode, Session, Unanswered, Up
from tests.sms.smpp.smsc import BIND, TEXT, Pair


def delivered(pair: Pair) -> list[Delivered]:
    return [event for event in pair.of(Delivered) if isinstance(event, Delivered)]


@pytest.mark.parametrize("mode", ["transceiver", "transmitter", "receiver"])
def test_it_binds(mode: Mode) -> None:
    pair = Pair(mode).open()
    assert pair.events == [Up("smsc", 0x34)]
    (bind,) = pair.smsc.named(f"bind_{mode}")
    assert pdu.Bind.read(bind.body) == BIND
    assert pair.esme.up


@pytest.mark.parametrize("code", [status.RINVPASWD, status.RALYBND, 0x4FF])
def test_a_bind_that_is_refused_is_the_end_and_says_why(code: int) -> None:
    pair = Pair()
    pair.smsc.status[pdu.BIND_TRANSCEIVER] = code
    pair.open()
    assert pair.events == [Closed(f"the SMSC refused the bind: {status.name(code)}", code)]
    assert pair.esme.closed


def test_so_is_one_that_gets_a_generic_nack() -> None:
    pair = Pair()
    pair.smsc.silent.add(pdu.BIND_TRANSCEIVER)
    pair.open().smsc.say(Pdu(pdu.GENERIC_NACK, 1))
    assert pair.run().events == [Closed("the SMSC refused the bind: ESME_RBINDFAIL", status.RBINDFAIL)]


def test_so_is_one_that_nobody_answers() -> None:
    pair = Pair()
    pair.smsc.silent.add(pdu.BIND_TRANSCEIVER)
    pair.open().wait(limits.BIND)
    assert pair.events == [Closed("the SMSC did not answer the bind")]
    assert pair.esme.get_timer() is None


def test_an_answer_without_a_body_will_do() -> None:
    pair = Pair()
    pair.smsc.silent.add(pdu.BIND_TRANSCEIVER)
    pair.open().smsc.say(Pdu(pdu.BIND_TRANSCEIVER | pdu.RESP, 1))
    assert pair.run().events == [Up("", None)]


# Texts in


def test_a_text_is_delivered_and_answered_when_its_user_says_so() -> None:
    pair = Pair().open()
    sequence = pair.smsc.deliver()
    pair.run()
    (event,) = delivered(pair)
    assert event == Delivered(sequence, TEXT)
    assert not pair.smsc.named("deliver_sm_resp")
    pair.esme.respond(event, status.ROK, pair.now)
    assert pair.run().smsc.named("deliver_sm_resp") == [Pdu(pdu.DELIVER_SM | pdu.RESP, sequence, 0, b"\0")]


def test_texts_are_answered_in_any_order() -> None:
    pair = Pair().open()
    sequences = [pair.smsc.deliver() for _ in range(5)]
    events = delivered(pair.run())
    assert pair.esme.working == 5
    for event in reversed(events):
        pair.esme.respond(event, status.ROK, pair.now)
    assert [one.sequence for one in pair.run().smsc.named("deliver_sm_resp")] == sequences[::-1]
    assert pair.esme.working == 0


def test_a_data_sm_is_a_text_too() -> None:
    pair = Pair().open()
    message = Message(Address("1", 1, 1), Address("2", 1, 1), tlvs=((pdu.MESSAGE_PAYLOAD, b"hello"),))
    pair.smsc.ask(pdu.DATA_SM, message.write_data())
    (event,) = delivered(pair.run())
    assert event.message.payload == b"hello"
    pair.esme.respond(event, status.RX_T_APPN, pair.now)
    (answer,) = pair.run().smsc.named("data_sm_resp")
    assert answer.status == status.RX_T_APPN


def test_a_text_that_cannot_be_read_is_answered_with_what_is_wrong() -> None:
    pair = Pair().open()
    sequence = pair.smsc.ask(pdu.DELIVER_SM, TEXT.write()[:-2])
    assert pair.run().smsc.named("deliver_sm_resp")[0].status == status.RINVMSGLEN
    assert pair.of(Ignored) == [Ignored("malformed", f"deliver_sm {sequence}: a text of 5 octets of which 3 are there")]
    pair.smsc.deliver()
    assert len(delivered(pair.run())) == 1, "the connection stands"


@pytest.mark.parametrize("mode", ["transceiver", "transmitter"])
def test_a_text_for_who_is_not_bound_for_it(mode: Mode) -> None:
    pair = Pair(mode)
    if mode == "transceiver":
        pair.smsc.silent.add(pdu.BIND_TRANSCEIVER)
    pair.open().smsc.deliver()
    assert pair.run().smsc.named("deliver_sm_resp")[0].status == status.RINVBNDSTS
    assert not delivered(pair)


# Texts out


def submit(pair: Pair) -> int:
    sequence = pair.esme.submit(TEXT, pair.now)
    pair.run()
    return sequence


def test_a_submit_is_answered() -> None:
    pair = Pair().open()
    sequence = submit(pair)
    assert pair.of(Answered) == [Answered(sequence, status.ROK, "m1", 0.0)]
    assert Message.read(pair.smsc.named("submit_sm")[0].body) == TEXT


def test_answers_may_come_in_any_order() -> None:
    pair = Pair().open()
    pair.smsc.silent.add(pdu.SUBMIT_SM)
    first, second = submit(pair), submit(pair)
    pair.now += 2
    pair.smsc.say(Pdu(pdu.SUBMIT_SM | pdu.RESP, second, 0, write_id("b")))
    pair.smsc.say(Pdu(pdu.SUBMIT_SM | pdu.RESP, first, status.RTHROTTLED))
    assert pair.run().of(Answered) == [
        Answered(second, status.ROK, "b", 2.0),
        Answered(first, status.RTHROTTLED, "", 2.0),
    ]


def test_a_submit_that_nobody_answers_is_given_up_alone() -> None:
    pair = Pair().open()
    pair.smsc.silent.add(pdu.SUBMIT_SM)
    sequence = submit(pair)
    pair.wait(19.9)
    assert not pair.of(Unanswered)
    assert pair.wait(0.2).of(Unanswered) == [Unanswered(sequence)]
    assert pair.esme.up
    pair.smsc.say(Pdu(pdu.SUBMIT_SM | pdu.RESP, sequence, 0, write_id("late")))
    assert pair.run().events[1:] == [Ignored("response", f"submit_sm_resp {sequence} ESME_ROK")]


@pytest.mark.parametrize("code", [0, status.RINVCMDID])
def test_a_generic_nack_of_a_submit_is_a_failure(code: int) -> None:
    pair = Pair().open()
    pair.smsc.silent.add(pdu.SUBMIT_SM)
    sequence = submit(pair)
    pair.smsc.say(Pdu(pdu.GENERIC_NACK, sequence, code))
    assert pair.run().of(Answered) == [Answered(sequence, code or status.RSYSERR, "", 0.0)]


@pytest.mark.parametrize(
    ("command", "off"),
    [
        (pdu.SUBMIT_SM | pdu.RESP, 1),  # nobody asked that
        (pdu.ENQUIRE_LINK | pdu.RESP, 0),  # somebody asked something else
        (pdu.DELIVER_SM | pdu.RESP, 0),
        (pdu.GENERIC_NACK, 5),
    ],
)
def test_a_response_that_fits_nothing_changes_nothing(command: int, off: int) -> None:
    pair = Pair().open()
    pair.smsc.silent.add(pdu.SUBMIT_SM)
    sequence = submit(pair)
    pair.smsc.say(Pdu(command, sequence + off, 0, b"x\0"))
    assert len(pair.run().of(Ignored)) == 1
    pair.smsc.say(Pdu(pdu.SUBMIT_SM | pdu.RESP, sequence, 0, b"x\0"))
    assert pair.run().of(Answered) == [Answered(sequence, 0, "x", 0.0)]
    pair.smsc.say(Pdu(pdu.SUBMIT_SM | pdu.RESP, sequence, 0, b"y\0"))
    assert pair.run().of(Answered) == [], "a second answer is none"


def test_sequence_numbers_begin_again_and_pass_over_those_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SEQUENCES", 4)
    pair = Pair().open()  # 1
    pair.smsc.silent.add(pdu.SUBMIT_SM)
    assert [submit(pair) for _ in range(4)] == [2, 3, 4, 1]
    pair.smsc.say(Pdu(pdu.SUBMIT_SM | pdu.RESP, 3, 0, b"x\0"))
    pair.run()
    assert submit(pair) == 3


# Is anybody there?


def test_a_connection_that_says_nothing_is_asked() -> None:
    pair = Pair().open()
    pair.wait(100)
    assert len(pair.smsc.named("enquire_link")) == 3
    assert pair.esme.up


def test_a_connection_on_which_only_they_talk_is_asked_too() -> None:
    pair = Pair().open()
    for _ in range(10):
        pair.wait(5)
        pair.smsc.say(Pdu(pdu.ALERT_NOTIFICATION, 1))  # has no response
        pair.run()
    assert len(pair.smsc.named("enquire_link")) == 1


def test_silence_is_the_end() -> None:
    pair = Pair().open()
    pair.smsc.silent.add(pdu.ENQUIRE_LINK)
    pair.wait(30 + limits.ALIVE - 0.1)
    assert not pair.esme.closed
    assert pair.wait(0.2).of(Closed) == [Closed("the SMSC did not answer an enquire_link")]


def test_they_may_ask_as_well() -> None:
    pair = Pair().open()
    sequence = pair.smsc.ask(pdu.ENQUIRE_LINK)
    assert pair.run().smsc.named("enquire_link_resp") == [Pdu(pdu.ENQUIRE_LINK | pdu.RESP, sequence)]


def test_an_answer_proves_what_was_said_before_the_question() -> None:
    pair = Pair().open()
    assert pair.esme.proven == 100
    pair.now = 110
    submit(pair)
    assert pair.esme.proven == 110
    pair.wait(40)
    assert pair.esme.proven == 140


def test_that_a_text_was_received_is_soon_proven_to_have_been_read() -> None:
    pair = Pair().open()
    for _ in range(100):
        pair.smsc.deliver()
        for event in delivered(pair.run()):
            pair.esme.respond(event, status.ROK, pair.now)
        pair.wait(0.1)
    assert pair.esme.proven >= pair.now - 0.1 - limits.PROVE
    assert len(pair.smsc.named("enquire_link")) == 4, "one for many"
    pair.wait(29)
    assert len(pair.smsc.named("enquire_link")) == 5


def test_what_is_asked_anyway_is_proof_enough() -> None:
    pair = Pair().open()
    pair.smsc.deliver()
    (event,) = delivered(pair.run())
    pair.esme.respond(event, status.ROK, pair.now)
    submit(pair)
    pair.wait(20)
    assert not pair.smsc.named("enquire_link")


# The end


def test_we_unbind() -> None:
    pair = Pair().open()
    pair.esme.unbind(pair.now)
    pair.run()
    assert pair.smsc.named("unbind")
    assert pair.of(Closed) == [Closed("unbound by us")]


def test_before_we_unbind_what_is_at_work_ends() -> None:
    pair = Pair().open()
    pair.smsc.silent.add(pdu.SUBMIT_SM)
    pair.smsc.deliver()
    sequence = submit(pair)
    (event,) = delivered(pair)
    pair.esme.unbind(pair.now)
    assert not pair.esme.up
    pair.smsc.deliver()
    assert pair.run().smsc.named("deliver_sm_resp")[0].status == status.RX_T_APPN, "nothing new is taken"
    assert not pair.smsc.named("unbind")
    pair.esme.respond(event, status.ROK, pair.now)
    assert not pair.run().smsc.named("unbind")
    pair.smsc.say(Pdu(pdu.SUBMIT_SM | pdu.RESP, sequence, 0, b"x\0"))
    pair.run()
    assert [one.name for one in pair.smsc.got[-2:]] == ["deliver_sm_resp", "unbind"]
    assert pair.esme.closed


def test_but_not_for_ever() -> None:
    pair = Pair().open()
    pair.smsc.silent.add(pdu.UNBIND)
    pair.smsc.deliver()
    pair.run().esme.unbind(pair.now)
    pair.wait(limits.LEAVE + limits.UNBIND)
    assert pair.smsc.named("unbind")
    assert pair.of(Closed) == [Closed("unbound by us, without an answer")]


@pytest.mark.parametrize("answered", [True, False])
def test_they_unbind_and_what_is_at_work_is_answered_first(answered: bool) -> None:
    pair = Pair().open()
    pair.smsc.deliver()
    (event,) = delivered(pair.run())
    pair.smsc.ask(pdu.UNBIND)
    assert not pair.run().esme.up
    assert not pair.smsc.named("unbind_resp")
    if answered:
        pair.esme.respond(event, status.ROK, pair.now)
        pair.run()
    else:
        pair.wait(limits.LEAVE)
    expected = ["deliver_sm_resp"] * answered + ["unbind_resp"]
    assert [one.name for one in pair.smsc.got if "_resp" in one.name] == expected
    assert pair.of(Closed) == [Closed("unbound by the SMSC")]
    pair.esme.respond(event, status.ROK, pair.now)
    assert pair.esme.to_send() == b""


def test_they_unbind_and_still_answer_what_we_sent() -> None:
    pair = Pair().open()
    pair.smsc.silent.add(pdu.SUBMIT_SM)
    sequence = submit(pair)
    pair.smsc.ask(pdu.UNBIND)
    assert not pair.run().smsc.named("unbind_resp")
    pair.smsc.say(Pdu(pdu.SUBMIT_SM | pdu.RESP, sequence, 0, b"x\0"))
    pair.run()
    assert [event for event in pair.events if not isinstance(event, Up)] == [
        Answered(sequence, 0, "x", 0.0),
        Closed("unbound by the SMSC"),
    ]


def test_both_unbind_at_once() -> None:
    pair = Pair().open()
    pair.esme.unbind(pair.now)
    pair.smsc.ask(pdu.UNBIND)
    pair.run()
    assert len(pair.of(Closed)) == 1
    assert pair.smsc.named("unbind")


def test_a_connection_that_is_lost_is_closed_once() -> None:
    pair = Pair().open()
    pair.esme.lost("reset")
    pair.esme.lost("again")
    pair.esme.unbind(pair.now)
    pair.esme.receive(b"\0", pair.now)
    assert pair.run().of(Closed) == [Closed("reset")]
    assert pair.esme.get_timer() is None


# Bad input


def test_garbage_is_answered_once_and_ends_the_connection() -> None:
    pair = Pair().open()
    pair.esme.receive(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", pair.now)
    pair.run()
    (nack,) = pair.smsc.named("generic_nack")
    assert (nack.sequence, nack.status) == (0, status.RINVCMDLEN)
    assert pair.of(Closed) == [Closed(f"the SMSC sent a PDU of {0x47455420} octets")]


def test_a_command_that_we_do_not_know_is_nacked() -> None:
    pair = Pair().open()
    sequence = pair.smsc.ask(0x1234, b"what?")
    (nack,) = pair.run().smsc.named("generic_nack")
    assert (nack.sequence, nack.status) == (sequence, status.RINVCMDID)
    assert pair.esme.up


def test_an_outbind_and_an_alert_are_heard_and_nothing_more() -> None:
    pair = Pair().open()
    before = len(pair.smsc.got)
    pair.smsc.ask(pdu.OUTBIND, b"smsc\0secret\0")
    pair.smsc.ask(pdu.ALERT_NOTIFICATION, b"\1\x01123\0\1\x01456\0")
    assert [event.reason for event in pair.run().of(Ignored) if isinstance(event, Ignored)] == ["outbind", "alert"]
    assert len(pair.smsc.got) == before


@pytest.mark.parametrize("seed", range(20))
def test_a_hundred_texts_each_way_over_a_wire_that_tears(seed: int) -> None:
    chance = random.Random(seed)

    def cut(data: bytes) -> list[bytes]:
        pieces = []
        while data:
            size = chance.randrange(1, 40)
            pieces.append(data[:size])
            data = data[size:]
        return pieces

    pair = Pair(cut=cut).open()
    asked, waiting = [], []
    for _ in range(100):
        pair.smsc.deliver()
        asked.append(pair.esme.submit(TEXT, pair.now))
        pair.wait(chance.random())
        waiting += delivered(pair)
        chance.shuffle(waiting)
        while waiting and chance.random() < 0.7:
            pair.esme.respond(waiting.pop(), status.ROK, pair.now)
    for event in waiting:
        pair.esme.respond(event, status.ROK, pair.now)
    pair.run()
    assert sorted(event.sequence for event in pair.of(Answered) if isinstance(event, Answered)) == sorted(asked)
    assert len({one.sequence for one in pair.smsc.named("deliver_sm_resp")}) == 100
    assert not pair.of(Closed, Ignored, Unanswered)


COMMANDS = [*pdu.COMMANDS, *(command | pdu.RESP for command in pdu.COMMANDS), pdu.GENERIC_NACK, 0x7777]
strangers = st.lists(
    st.builds(
        Pdu,
        st.sampled_from(COMMANDS),
        st.integers(0, 6),
        st.sampled_from([0, 0, 0, status.RTHROTTLED, 0x4FF, 0xFFFFFFFF]),
        st.one_of(st.binary(max_size=60), st.just(TEXT.write()), st.just(b"id\0")),
    ),
    max_size=12,
)


@given(strangers, st.binary(max_size=20), st.lists(st.floats(0, 60), max_size=6))
def test_whatever_comes_nothing_breaks(sent: list[Pdu], rest: bytes, pauses: list[float]) -> None:
    pair = Pair()
    pair.smsc.silent = {*COMMANDS}
    pair.open()
    for one in [Pdu(pdu.BIND_TRANSCEIVER | pdu.RESP, 1), *sent]:
        pair.smsc.say(one)
        pair.run()
        if pair.esme.up:
            pair.esme.submit(TEXT, pair.now)
        for event in delivered(pair):
            pair.esme.respond(event, status.ROK, pair.now)
        if pauses:
            pair.wait(pauses.pop())
    pair.esme.receive(rest, pair.now)
    pair.run().wait(1000)
    assert pair.esme.closed, "nobody answers"
    assert len(pair.of(Closed)) == 1
    assert pair.esme.get_timer() is None


def test_a_session_before_its_connection_wants_nothing() -> None:
    session = Session(BIND, "transceiver", enquire=30, answer=20)
    assert session.get_timer() is None
    session.handle_timer(1.0)
    session.unbind(1.0)
    assert session.closed
