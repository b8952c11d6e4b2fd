"""Keys that the caller types, in every way they travel, and the flow that goes where they say."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from edge.media.g711 import decode, encode
from edge.media.inband import ToneReader, spoken
from tests.calls.caller import Call, Caller
from tests.calls.exchange import ANSWER, Action, Exchange, hangup, sleep
from tests.calls.rtp import Address, Described, Packet, offer, payloads, presses

Presses = list[list[Packet]]


def gather(length: int = 0, key: str = "", duration: int = 4000) -> Action:
    return {"type": "digits_receive", "option": {"duration": duration, "length": length, "key": key}}


def expect(exchange: Exchange, keys: str, *actions: Action) -> str:
    """A number whose flow is busy when it heard these keys, and not when it heard others."""
    right = {**hangup("busy"), "id": "right"}
    wrong = {**hangup("noanswer"), "id": "wrong"}
    judge = {"type": "branch", "option": {"target_ids": {keys: "right"}, "default_target_id": "wrong"}}
    return exchange.number(ANSWER, *actions, judge, right, wrong)


def begin(caller: Caller, number: str, event: int = 101) -> tuple[Call, Address]:
    """An answered call that speaks telephone-event, and where its RTP goes."""
    call = caller.call(number, offer(caller.media, f"0 {event}", event=event))
    described = Described.read(call.answered().body)
    assert described.formats == f"0 {event}"
    assert f"rtpmap:{event} telephone-event/8000" in described.attributes
    return call, described.address


def understood(call: Call) -> None:
    assert call.ended().text("Reason") == "Q.850;cause=17", "other keys than those were heard"


def press(caller: Caller, there: Address, pressed: Presses) -> None:
    for packets in pressed:
        for packet in packets:
            caller.rtp.sendto(bytes(packet), there)


@pytest.mark.parametrize("event", [96, 101, 127])
def test_keys_by_rtp_at_any_payload_type(exchange: Exchange, caller: Caller, event: int) -> None:
    call, there = begin(caller, expect(exchange, "1234567890*#ABCD", gather(16)), event)
    press(caller, there, presses("1234567890*#ABCD", kind=event))
    understood(call)
    assert exchange.record(call.id)["steps"][1]["note"] == "16 keys"


def first_only(packets: list[Packet]) -> list[Packet]:
    return packets[:1]


def an_update_only(packets: list[Packet]) -> list[Packet]:
    return packets[2:3]


def last_end_only(packets: list[Packet]) -> list[Packet]:
    return packets[5:]


def no_end(packets: list[Packet]) -> list[Packet]:
    return packets[:3]


def each_twice(packets: list[Packet]) -> list[Packet]:
    return [packet for packet in packets for _ in range(2)]


def ends_first(packets: list[Packet]) -> list[Packet]:
    return packets[::-1]


def ends_again(packets: list[Packet]) -> list[Packet]:
    """More ends than three, with numbers of their own."""
    return [*packets, *(packets[-1]._replace(sequence=packets[-1].sequence + extra) for extra in range(1, 4))]


@pytest.mark.parametrize("markers", [True, False], ids=["marked", "unmarked"])
@pytest.mark.parametrize(
    "wire", [first_only, an_update_only, last_end_only, no_end, each_twice, ends_first, ends_again]
)
def test_a_press_counts_once_whatever_arrives_of_it(
    exchange: Exchange, caller: Caller, wire: Callable[[list[Packet]], list[Packet]], markers: bool
) -> None:
    call, there = begin(caller, expect(exchange, "1771#", gather(key="#")))
    press(caller, there, [wire(packets) for packets in presses("1771#", markers=markers)])
    understood(call)


def test_keys_among_audio_and_comfort_noise(exchange: Exchange, caller: Caller) -> None:
    call, there = begin(caller, expect(exchange, "55", gather(2)))
    for place, packets in enumerate(presses("55", first=100)):
        before = Packet(0, place == 0, 99 + 6 * place, 800 * place, 0x1234, b"\x12" * 160)
        noise = Packet(13, False, 99 + 6 * place, 800 * place, 0x1234, b"\x40")
        press(caller, there, [[before, noise, *packets]])
    understood(call)


def test_a_press_longer_than_one_packet_can_say_counts_once(exchange: Exchange, caller: Caller) -> None:
    """RFC 4733 §2.5.1.3: it goes on under another timestamp, without an end in between."""
    call, there = begin(caller, expect(exchange, "81", gather(2)))

    def event(timestamp: int, key: int, end: bool, duration: int) -> Packet:
        return Packet(101, False, 0, timestamp, 5, struct.pack("!BBH", key, 0x80 * end + 10, duration))

    long = [event(1000, 8, False, 0xFFFF), event(1000 + 0xFFFF, 8, False, 160), event(1000 + 0xFFFF, 8, True, 800)]
    after = event(200_000, 1, True, 160)
    press(caller, there, [[packet._replace(sequence=count) for count, packet in enumerate([*long, after])]])
    understood(call)


def test_events_that_are_no_keys_are_none(exchange: Exchange, caller: Caller) -> None:
    call, there = begin(caller, expect(exchange, "3", gather(1)))
    flash = Packet(101, True, 10, 100, 5, struct.pack("!BBH", 16, 0x8A, 800))
    strange = Packet(101, True, 11, 900, 5, b"\x01\x02")
    press(caller, there, [[flash, strange], *presses("3", first=12)])
    understood(call)


def test_keys_from_a_stranger_are_not_heard(exchange: Exchange, caller: Caller) -> None:
    call, there = begin(caller, expect(exchange, "12", gather(2)))
    press(caller, there, presses("1"))
    caller.hear(3)  # by now the stream is locked to where that came from
    with Caller(exchange.daemon.sip) as stranger:
        press(stranger, there, presses("999", timestamp=900_000))
        caller.hear(3)
    press(caller, there, presses("2", first=2000, timestamp=90_000))
    understood(call)


@pytest.mark.parametrize(
    ("kind", "bodies"),
    [
        ("application/dtmf-relay", [f"Signal={key}\r\nDuration=160\r\n" for key in "1*#d"]),
        ("application/dtmf-relay", ["Signal= 1\r\nDuration= 160", "Signal=10", "signal: 11\n", "Signal=15\r\n"]),
        ("application/dtmf", ["1", "*", "#\r\n", "D"]),
        ("Application/DTMF; charset=us-ascii", ["1", "10", "11", "15"]),
    ],
)
def test_keys_by_info(exchange: Exchange, caller: Caller, kind: str, bodies: list[str]) -> None:
    call, _ = begin(caller, expect(exchange, "1*#D", gather(4)))
    for body in bodies:
        assert call.ask("INFO", f"Content-Type: {kind}", body=body.encode()).status == 200
    understood(call)


@pytest.mark.parametrize(
    ("fields", "body", "status"),
    [
        (("Content-Type: application/dtmf-relay",), b"Signal=hello", 400),
        (("Content-Type: application/dtmf",), b"77", 400),
        (("Content-Type: text/plain",), b"7", 415),
        (("Content-Type: application/dtmf", "Info-Package: key"), b"7", 469),
        ((), b"", 200),
    ],
)
def test_an_info_that_is_no_key(
    exchange: Exchange, caller: Caller, fields: tuple[str, ...], body: bytes, status: int
) -> None:
    call, _ = begin(caller, expect(exchange, "1", gather(1)))
    assert call.ask("INFO", *fields, body=body).status == status
    assert call.ask("INFO", "Content-Type: application/dtmf", body=b"1").status == 200
    understood(call)


def test_an_info_that_is_repeated_counts_once(exchange: Exchange, caller: Caller) -> None:
    call, _ = begin(caller, expect(exchange, "12", gather(2)))
    data = call.send("INFO", "Content-Type: application/dtmf", body=b"1")
    assert caller.answer(data).status == 200
    caller.send(data)
    assert caller.answer(data).status == 200
    assert call.ask("INFO", "Content-Type: application/dtmf", body=b"2").status == 200
    understood(call)


def by_tones(caller: Caller, there: Address, keys: str) -> None:
    """Keys in the audio, as fast as they can be sent."""
    pcm = b"".join(audio.pcm for audio in spoken(keys, 80, 60))
    encoded = encode(pcm, "PCMU")
    for count in range(len(encoded) // 160):
        packet = Packet(0, count == 0, count, 160 * count, 0x77, encoded[160 * count : 160 * (count + 1)])
        caller.rtp.sendto(bytes(packet), there)


def test_keys_as_tones_where_nothing_else_was_agreed(exchange: Exchange, caller: Caller) -> None:
    call = caller.call(expect(exchange, "159#", gather(key="#")), offer(caller.media, "0"))
    there = Described.read(call.answered().body).address
    caller.hear(3)
    by_tones(caller, there, "159#")
    understood(call)


def test_tones_are_audio_where_telephone_events_were_agreed(exchange: Exchange, caller: Caller) -> None:
    call, there = begin(caller, expect(exchange, "7", gather(1)))
    caller.hear(3)
    by_tones(caller, there, "159")
    press(caller, there, presses("7", first=2000, timestamp=90_000))
    understood(call)


def send_keys(keys: str) -> Action:
    return {"type": "digits_send", "option": {"digits": keys, "duration": 100, "interval": 60}}


def test_who_takes_info_only_gets_keys_by_info(exchange: Exchange, caller: Caller) -> None:
    """Each once the one before is answered."""
    call = caller.call(exchange.number(ANSWER, send_keys("4#"), hangup()), offer(caller.media, "0"))
    call.answered()
    for key in "4#":
        info = caller.request("INFO")
        assert (info.text("Content-Type"), info.body) == (
            "application/dtmf-relay",
            f"Signal={key}\r\nDuration=100\r\n".encode(),
        )
        caller.reply(info, 200)
    call.ended()


def test_an_info_that_is_refused_ends_the_step(exchange: Exchange, caller: Caller) -> None:
    call = caller.call(exchange.number(ANSWER, send_keys("42"), hangup()), offer(caller.media, "0"))
    call.answered()
    caller.reply(caller.request("INFO"), 415)
    call.ended()
    assert "415" in exchange.record(call.id)["steps"][1]["note"]


def test_who_takes_neither_hears_tones(exchange: Exchange, caller: Caller) -> None:
    number = exchange.number(ANSWER, sleep(200), send_keys("159D"), hangup())
    call = caller.call(number, offer(caller.media, "8"), "Allow: INVITE, ACK, BYE, CANCEL")
    call.answered()
    call.ended()
    caller.drain()
    assert ToneReader().read(decode(payloads(caller.packets), "PCMA")) == "159D"


def test_keys_by_rtp_and_by_info_in_one_call(exchange: Exchange, caller: Caller) -> None:
    call, there = begin(caller, expect(exchange, "123", gather(3)))
    press(caller, there, presses("1"))
    caller.hear(3)
    assert call.ask("INFO", "Content-Type: application/dtmf", body=b"2").status == 200
    press(caller, there, presses("3", first=2000, timestamp=90_000))
    understood(call)


@pytest.mark.parametrize("duration", [0, 4000])
def test_keys_typed_before_they_are_asked_for_count(exchange: Exchange, caller: Caller, duration: int) -> None:
    call, there = begin(caller, expect(exchange, "42", sleep(400), gather(2, duration=duration)))
    press(caller, there, presses("42"))
    understood(call)


def test_keys_that_nobody_asked_for_yet_stay_for_the_next_step(exchange: Exchange, caller: Caller) -> None:
    """Two menus, one after another, and a caller who knows them by heart."""
    first = {"type": "branch", "option": {"target_ids": {"4": "second"}, "default_target_id": "wrong"}}
    number = expect(exchange, "2#", gather(1), first, {**gather(key="#"), "id": "second"})
    call, there = begin(caller, number)
    press(caller, there, presses("42#"))
    understood(call)


def test_what_was_typed_first_is_not_taken_for_a_later_answer(exchange: Exchange, caller: Caller) -> None:
    """The variable is emptied when a step begins to gather."""
    call, there = begin(caller, expect(exchange, "", gather(1), gather(1, duration=100)))
    press(caller, there, presses("7"))
    call.ended()
    steps = exchange.record(call.id)["steps"]
    assert [step["note"] for step in steps[1:3]] == ["1 keys", "0 keys"]


def test_the_time_for_keys_ends(exchange: Exchange, caller: Caller) -> None:
    number = expect(exchange, "12", gather(5, duration=500))
    call, there = begin(caller, number)
    press(caller, there, presses("12"))
    understood(call)


def test_which_keys_were_typed_is_in_no_record(exchange: Exchange, caller: Caller) -> None:
    call, there = begin(caller, expect(exchange, "13579", gather(5)))
    press(caller, there, presses("13579"))
    understood(call)
    assert "13579" not in str(exchange.record(call.id))
