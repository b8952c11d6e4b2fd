"""re-INVITEs in a call that is up: nothing new, hold and resume, another address, and what cannot be agreed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.calls.caller import Call, Caller
from tests.calls.exchange import ANSWER, STAY, Exchange
from tests.calls.message import Message
from tests.calls.rtp import QUIET, Described, Packet, check_unbroken, offer, presses

SILENT_SECONDS = 0.15  # of no packet: seven packet times


class Up(NamedTuple):
    """A call that was answered, and is heard."""

    caller: Caller
    call: Call
    offer: bytes
    answer: Message

    @property
    def described(self) -> Described:
        return Described.read(self.answer.body)


@pytest.fixture(scope="module")
def number(exchange: Exchange) -> str:
    return exchange.number(ANSWER, STAY)


@pytest.fixture
def up(caller: Caller, number: str) -> Iterator[Up]:
    first = offer(caller.media)
    call = caller.call(number, first)
    answer = call.answered()
    caller.hear(3)
    yield Up(caller, call, first, answer)
    call.hang_up()


def no_more(caller: Caller) -> None:
    """From now on no packet comes, once those under way did."""
    caller.drain()
    before = len(caller.packets)
    caller.listen(SILENT_SECONDS)
    assert len(caller.packets) == before


def test_the_same_offer_again_gets_the_same_answer_and_the_audio_goes_on(up: Up) -> None:
    again = up.call.reinvite(up.offer)
    assert again.status == 200
    assert again.body == up.answer.body, "not even the version"
    up.caller.hear(5)
    check_unbroken(up.caller.packets, "PCMU", 20)


def test_a_new_version_that_changes_nothing_changes_nothing(up: Up) -> None:
    again = up.call.reinvite(offer(up.caller.media, version=2))
    assert again.body == up.answer.body
    up.caller.hear(5)
    check_unbroken(up.caller.packets, "PCMU", 20)


@pytest.mark.parametrize(
    ("direction", "host", "answered"),
    [
        ("sendonly", "", "recvonly"),
        ("inactive", "", "inactive"),
        ("", "0.0.0.0", "recvonly"),
        ("inactive", "0.0.0.0", "inactive"),
    ],
)
def test_on_hold_nothing_is_sent_and_time_goes_on(up: Up, direction: str, host: str, answered: str) -> None:
    held = up.call.reinvite(offer(up.caller.media, direction=direction, host=host, version=2))
    assert held.status == 200
    description = Described.read(held.body)
    assert description.direction == answered
    assert (description.session, description.version) == (up.described.session, up.described.version + 1)
    assert description.address == up.described.address
    no_more(up.caller)
    before, last = len(up.caller.packets), up.caller.packets[-1]

    resumed = up.call.reinvite(offer(up.caller.media, version=3))
    assert Described.read(resumed.body).direction == "sendrecv"
    assert Described.read(resumed.body).version == up.described.version + 2
    up.caller.hear(5)
    packets = up.caller.packets[before:]
    check_unbroken(packets, "PCMU", 20)  # with a marker on the first: it follows a pause
    assert packets[0].sequence == (last.sequence + 1) % 2**16
    pause = (packets[0].timestamp - last.timestamp) % 2**32
    assert pause % 160 == 0
    assert pause >= SILENT_SECONDS * 8000


def test_who_only_listens_is_played_to(up: Up) -> None:
    """`recvonly` is no hold of us: it asks for what we send (RFC 3264 §5.1)."""
    listening = up.call.reinvite(offer(up.caller.media, direction="recvonly", version=2))
    assert Described.read(listening.body).direction == "sendonly"
    up.caller.hear(5)
    check_unbroken(up.caller.packets, "PCMU", 20)


def test_audio_at_port_0_is_gone_until_a_later_offer(up: Up) -> None:
    """RFC 3264 §8.2: refused at port 0, the call goes on; §8.1: another offer makes it anew."""
    gone = up.call.reinvite(offer((up.caller.media[0], 0), version=2))
    assert gone.status == 200
    assert Described.read(gone.body).address[1] == 0
    assert Described.read(gone.body).version == up.described.version + 1
    no_more(up.caller)
    up.caller.reports.clear()
    back = up.call.reinvite(offer(up.caller.media, version=3))
    assert Described.read(back.body).address == up.described.address
    up.caller.hear(5)


def test_a_hold_is_ended_by_a_reinvite_without_sdp(up: Up) -> None:
    """Our offer is what we want: both directions. The answer in the ACK says what they do."""
    up.call.reinvite(offer(up.caller.media, direction="sendonly", version=2))
    no_more(up.caller)
    resumed = up.call.reinvite(None, answer=offer(up.caller.media, version=3))
    assert Described.read(resumed.body).direction == "sendrecv"
    assert Described.read(resumed.body).version == up.described.version + 2
    up.caller.hear(5)


def test_a_reinvite_that_leaves_the_hold_as_it_is(up: Up) -> None:
    up.call.reinvite(offer(up.caller.media, direction="sendonly", version=2))
    held = up.call.reinvite(None, answer=offer(up.caller.media, direction="sendonly", version=2))
    assert held.status == 200
    no_more(up.caller)


def test_keys_under_another_type_in_the_middle_of_the_call(exchange: Exchange, caller: Caller) -> None:
    gather = {"type": "digits_receive", "option": {"duration": 4000, "length": 2}}
    call = caller.call(exchange.number(ANSWER, gather), offer(caller.media))
    there = Described.read(call.answered().body).address
    for packet in presses("5")[0]:
        caller.rtp.sendto(bytes(packet), there)
    caller.hear(3)
    changed = call.reinvite(offer(caller.media, "8 96", event=96, version=2))
    assert Described.read(changed.body).formats == "8 96"
    for packet in presses("7", kind=96, first=2000, timestamp=90_000)[0]:
        caller.rtp.sendto(bytes(packet), there)
    call.ended()
    assert exchange.record(call.id)["steps"][1]["note"] == "2 keys"


def test_later_offers_of_ours_have_all_lines_of_the_session(caller: Caller, number: str) -> None:
    video = ("m=video 40000 RTP/AVP 34", "a=sendrecv")
    call = caller.call(number, offer(caller.media, lines=video))
    assert re.findall(rb"(?m)^m=(\S+) \d+ ", call.answered().body) == [b"audio", b"video"]
    again = call.reinvite(None, answer=offer(caller.media, lines=("m=video 0 RTP/AVP 34",)))
    assert re.findall(rb"(?m)^m=(\S+ \d+) ", again.body)[1:] == [b"video 0"]
    caller.hear(3)
    call.hang_up()


def test_holding_twice_is_holding(up: Up) -> None:
    for version in (2, 3):
        held = up.call.reinvite(offer(up.caller.media, direction="sendonly", version=version))
        assert Described.read(held.body).version == up.described.version + 1
    no_more(up.caller)


def test_keys_typed_on_hold_are_heard(exchange: Exchange, caller: Caller) -> None:
    gather = {"type": "digits_receive", "option": {"duration": 4000, "length": 1}}
    call = caller.call(exchange.number(ANSWER, gather), offer(caller.media))
    call.answered()
    call.reinvite(offer(caller.media, direction="sendonly", version=2))
    assert call.ask("INFO", "Content-Type: application/dtmf", body=b"5").status == 200
    call.ended()
    assert exchange.record(call.id)["steps"][1]["note"] == "1 keys"


def test_another_address_moves_the_audio(exchange: Exchange, up: Up) -> None:
    with Caller(exchange.daemon.sip) as other:
        moved = up.call.reinvite(offer(other.media, version=2))
        assert Described.read(moved.body).address == up.described.address
        other.hear(5)
        no_more(up.caller)
        check_unbroken([*up.caller.packets, *other.packets], "PCMU", 20)


def test_another_address_moves_the_audio_also_after_it_was_heard_from_the_first(exchange: Exchange, up: Up) -> None:
    """The stream is locked to where RTP comes from; a new address in an offer undoes that."""
    quiet = QUIET["PCMU"] * 160
    up.caller.rtp.sendto(bytes(Packet(0, True, 1, 0, 9, quiet)), up.described.address)
    up.caller.hear(3)
    with Caller(exchange.daemon.sip) as other:
        up.call.reinvite(offer(other.media, version=2))
        other.hear(3)
        no_more(up.caller)
        other.rtp.sendto(bytes(Packet(0, True, 1, 0, 10, quiet)), up.described.address)
        other.hear(3)
        check_unbroken([*up.caller.packets, *other.packets], "PCMU", 20)


def test_another_law_in_the_middle_of_the_call(up: Up) -> None:
    changed = up.call.reinvite(offer(up.caller.media, "8 101", version=2))
    assert Described.read(changed.body).formats == "8 101"
    up.caller.until(lambda: up.caller.packets[-1].kind == 8 or None, "A-law")
    assert up.caller.packets[-1].payload == QUIET["PCMA"] * 160
    kinds = [packet.kind for packet in up.caller.packets]
    assert kinds == sorted(kinds), "first one, then the other"
    sequences = [packet.sequence for packet in up.caller.packets]
    assert sequences == [(sequences[0] + count) % 2**16 for count in range(len(sequences))]


def test_another_packet_time_in_the_middle_of_the_call(up: Up) -> None:
    changed = up.call.reinvite(offer(up.caller.media, ptime=40, version=2))
    assert "ptime:40" in Described.read(changed.body).attributes
    up.caller.until(lambda: len(up.caller.packets[-1].payload) == 320 or None, "longer packets")
    packets = up.caller.hear(3)
    assert {len(packet.payload) for packet in packets} == {320}
    assert packets[1].timestamp - packets[0].timestamp in (320, 320 - 2**32)


def test_no_common_codec_is_488_and_the_call_goes_on(up: Up) -> None:
    for body in (offer(up.caller.media, "18", version=2), offer(up.caller.media, "9 101", direction="sendonly")):
        refused = up.call.reinvite(body)
        assert refused.status == 488
        assert re.fullmatch(r'305 127\.0\.0\.1 "Incompatible media format: .*"', refused.text("Warning"))
    up.caller.hear(5)
    check_unbroken(up.caller.packets, "PCMU", 20)


def test_a_broken_offer_is_400_and_the_call_goes_on(up: Up) -> None:
    refused = up.call.reinvite(b"v=0\r\nm=audio nowhere RTP/AVP 0\r\n")
    assert refused.status == 400
    up.caller.hear(5)
    check_unbroken(up.caller.packets, "PCMU", 20)


def test_a_reinvite_without_sdp_gets_our_offer(up: Up) -> None:
    renewed = up.call.reinvite(None, answer=offer(up.caller.media, "8"))
    ours = Described.read(renewed.body)
    assert (ours.formats, ours.version) == ("0 8 101", up.described.version + 1)
    up.caller.until(lambda: up.caller.packets[-1].kind == 8 or None, "A-law, as the ACK said")


def test_a_reinvite_before_the_ack_of_the_first_is_491(caller: Caller, number: str) -> None:
    call = caller.call(number, offer(caller.media))
    answer = call.final()
    call.enter(answer)
    refused = call.reinvite(offer(caller.media, version=2))
    assert refused.status == 491
    caller.send(call.compose("ACK", number=1))
    assert call.reinvite(offer(caller.media, version=3)).status == 200
    call.hang_up()


def test_a_reinvite_of_no_dialog_is_481(up: Up) -> None:
    remote = up.call.remote
    up.call.remote = re.sub("tag=.*", "tag=nobody", remote)
    assert up.call.reinvite(offer(up.caller.media, version=2)).status == 481
    up.call.remote = remote
    up.caller.hear(3)


def test_a_cseq_from_the_past_is_500(up: Up) -> None:
    up.call.reinvite(up.offer)
    data = up.call.compose("INFO", "Content-Type: application/dtmf", body=b"1", number=1)
    up.caller.send(data)
    assert up.caller.answer(data).status == 500
