"""What the other side of a relay gets, packet by packet."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.media.audio import Audio
from edge.media.g711 import convert
from edge.media.relay import MAX_DRIFT, Relay
from edge.media.rtp import Packet, read
from edge.media.sdp import Negotiated
from edge.media.sender import Sender
from tests.media.conftest import sine

SOURCE = Negotiated("PCMU", 0, 101, 20, ("192.0.2.8", 4000), "sendrecv")
LISTENER = Negotiated("PCMU", 0, 96, 20, ("192.0.2.9", 4000), "sendrecv")
SOUND = Random(1).randbytes(160)
START = 0xFFFFFF00  # wraps soon


class Leg:
    """A sender and the relay that makes its packets, with time going on."""

    def __init__(self, source: Negotiated = SOURCE, listener: Negotiated = LISTENER) -> None:
        self.source = source
        self.sender = Sender(0xABCD, 0xFFF0, START)
        self.sender.agree(listener, on=listener.sends)
        self.relay = Relay(self.sender)
        self.relay.agree(source)

    def again(self, source: Negotiated, listener: Negotiated) -> None:
        self.sender.agree(listener, on=listener.sends)
        self.relay.agree(source)

    def get(self, *packets: Packet) -> list[Packet]:
        """What becomes of these; after each 20 ms are over."""
        found = []
        for packet in packets:
            data = self.relay.packet(packet.to_bytes())
            found += [read(data)] if data is not None else []
            self.sender.idle()
        return found

    def speak(self, count: int) -> list[Packet]:
        return [read(data) for data in (self.sender.packet() for _ in range(count)) if data is not None]


def packet(number: int, **changes: object) -> Packet:
    """The source's packet of that number."""
    made = Packet(0, 65530 + number & 0xFFFF, 7_000_000 + 160 * number, 0x5555, SOUND)
    return made._replace(**changes)  # type: ignore[arg-type]


def packets(numbers: Iterable[int]) -> list[Packet]:
    return [packet(number) for number in numbers]


def check_goes_on(found: list[Packet]) -> None:
    """One stream without a gap."""
    assert {packet.ssrc for packet in found} == {0xABCD}
    assert all(b.sequence - a.sequence & 0xFFFF == 1 for a, b in pairwise(found))
    assert all(b.timestamp - a.timestamp & 0xFFFFFFFF == 160 for a, b in pairwise(found))


def test_prompt_relay_and_prompt_are_one_stream() -> None:
    leg = Leg()
    found = leg.speak(5)
    leg.relay = Relay(leg.sender)
    leg.relay.agree(SOURCE)
    found += leg.get(*packets(range(20)))
    leg.relay.end()
    found += leg.speak(5)
    check_goes_on(found)
    assert [packet.marker for packet in found] == [place in (0, 5, 25) for place in range(30)]
    assert {packet.payload for packet in found[5:25]} == {SOUND}
    assert leg.sender.packets == 30
    assert leg.sender.octets == 30 * 160


@pytest.mark.parametrize(("theirs", "ours"), [("PCMU", "PCMU"), ("PCMU", "PCMA"), ("PCMA", "PCMU"), ("PCMA", "PCMA")])
def test_one_law_becomes_the_other(theirs: str, ours: str) -> None:
    source = SOURCE._replace(codec=theirs, payload_type=98)  # type: ignore[arg-type]
    listener = LISTENER._replace(codec=ours, payload_type=8)  # type: ignore[arg-type]
    (found,) = Leg(source, listener).get(packet(0, payload_type=98))
    assert found.payload_type == 8
    assert found.payload == convert(SOUND, source.codec, listener.codec)


def test_keys_are_passed_on_under_the_listeners_type_with_the_time_they_began() -> None:
    leg = Leg(SOURCE._replace(codec="PCMA"))
    pressed = [
        packet(n, payload_type=101, payload=bytes([5, 10, 0, n]), timestamp=packet(1).timestamp, marker=n == 1)
        for n in range(1, 6)
    ]
    found = leg.get(packet(0), *pressed, packet(6))
    assert [one.payload_type for one in found] == [0] + [96] * 5 + [0]
    assert [one.payload for one in found[1:6]] == [one.payload for one in pressed]
    assert {one.timestamp for one in found[1:6]} == {found[0].timestamp + 160 & 0xFFFFFFFF}
    assert found[6].timestamp == found[0].timestamp + 6 * 160 & 0xFFFFFFFF
    assert [one.marker for one in found] == [True, True] + [False] * 5
    assert all(b.sequence - a.sequence & 0xFFFF == 1 for a, b in pairwise(found))


def test_a_press_of_seven_seconds_keeps_its_time() -> None:
    leg = Leg()
    (first,) = leg.get(packet(0))
    pressed = leg.get(*(packet(n, payload_type=101, timestamp=packet(1).timestamp) for n in range(1, 350)))
    assert {one.timestamp for one in pressed} == {first.timestamp + 160 & 0xFFFFFFFF}
    (after,) = leg.get(packet(350))
    assert after.timestamp == first.timestamp + 350 * 160 & 0xFFFFFFFF
    assert not after.marker


def test_what_was_not_agreed_is_left_out_and_looks_like_no_loss() -> None:
    leg = Leg(listener=LISTENER._replace(dtmf_payload_type=None))
    found = leg.get(
        packet(0),
        packet(1, payload_type=101),
        packet(2, payload_type=13, payload=b"\x40"),
        packet(3),
        packet(5, payload_type=101),  # 4 is lost
        packet(6),
    )
    assert [one.sequence - found[0].sequence & 0xFFFF for one in found] == [0, 1, 3]
    assert [one.timestamp - found[0].timestamp & 0xFFFFFFFF for one in found] == [0, 480, 960]


def test_losses_and_overtaken_packets_stay_what_they_are() -> None:
    leg = Leg()
    order = [0, 1, 3, 2, 3, 7, 8]
    found = leg.get(*packets(order))
    assert [one.sequence - found[0].sequence & 0xFFFF for one in found] == order
    assert [one.timestamp - found[0].timestamp & 0xFFFFFFFF for one in found] == [160 * n for n in order]
    assert [one.marker for one in found] == [True] + [False] * 6


def test_what_was_overtaken_by_a_packet_that_is_left_out_is_lost() -> None:
    leg = Leg()
    found = leg.get(*packets([0, 1, 3]), packet(4, payload_type=13), *packets([2, 5]))
    assert [one.sequence - found[0].sequence & 0xFFFF for one in found] == [0, 1, 3, 4]
    assert found[-1].timestamp == found[0].timestamp + 5 * 160 & 0xFFFFFFFF


def test_what_was_overtaken_by_the_switch_takes_no_number_of_a_prompt() -> None:
    leg = Leg()
    spoken = leg.speak(3)
    found = leg.get(*packets([5, 4, 6]))
    assert len(found) == 2
    check_goes_on(spoken + found[:1])
    assert found[1].sequence == found[0].sequence + 1 & 0xFFFF


def test_when_the_source_is_silent_time_goes_on() -> None:
    """It comes back with the time that has passed, or with none of it."""
    for later in (100, 5000):
        leg = Leg()
        (first,) = leg.get(packet(0))
        for _ in range(99):
            leg.sender.idle()
        (second,) = leg.get(packet(1, timestamp=packet(0).timestamp + 160 * later))
        assert second.sequence == first.sequence + 1 & 0xFFFF
        assert second.timestamp == first.timestamp + 16000 & 0xFFFFFFFF
        assert second.marker == (later == 5000)


def test_a_clock_that_goes_wrong_a_little_is_followed() -> None:
    """One sample in a thousand, for ten minutes; then the prompt goes on where the audio ended."""
    fast, slow = Leg(), Leg()
    for leg, step in ((fast, 161), (slow, 159)):
        found = leg.get(*(packet(n, timestamp=step * n) for n in range(30_000)))
        assert len(found) == 30_000
        assert all(b.timestamp - a.timestamp & 0xFFFFFFFF == step for a, b in pairwise(found))
        assert sum(one.marker for one in found) == 1
        leg.relay.end()
        (prompt,) = leg.speak(1)
        assert prompt.marker
        assert prompt.timestamp - found[-1].timestamp & 0xFFFFFFFF == (160 if leg is fast else 159 + 30_000)


@pytest.mark.parametrize(
    "other",
    [
        {"ssrc": 0x6666},
        {"ssrc": 0x6666, "sequence": 5, "timestamp": 1},
        {"sequence": 30_000},
        {"timestamp": 7_000_000 + 2 * MAX_DRIFT},
        {"timestamp": 7_000_000 - 2 * MAX_DRIFT},
    ],
)
def test_another_source_or_a_jump_does_not_jump_for_the_listener(other: dict[str, int]) -> None:
    leg = Leg()
    jump = packet(10)._replace(**other)  # type: ignore[arg-type]
    after = [
        jump._replace(sequence=jump.sequence + n & 0xFFFF, timestamp=jump.timestamp + 160 * n) for n in range(1, 9)
    ]
    found = leg.get(*packets(range(10)), jump, *after)
    check_goes_on(found)
    assert [place for place, one in enumerate(found) if one.marker] == [0, 10]


def test_packet_times_pass_as_they_come() -> None:
    leg = Leg(listener=LISTENER._replace(ptime_ms=30))
    found = leg.get(*(packet(n, payload=SOUND[:80], timestamp=80 * n) for n in range(4)))
    assert [len(one.payload) for one in found] == [80] * 4
    assert leg.sender.octets == 4 * 80
    leg.again(SOURCE, LISTENER)
    leg.get(packet(5))
    assert leg.sender.octets == 4 * 80 + 160


def test_contributing_sources_extensions_and_padding_stay_behind() -> None:
    leg = Leg()
    full = packet(0, csrc=(1, 2), extension=(0xBEDE, b"abcd")).to_bytes()
    padded = bytes([full[0] | 0x20]) + full[1:] + b"\0\0\0\4"
    data = leg.relay.packet(padded)
    assert data is not None
    assert data[0] == 0x80
    assert read(data).payload == SOUND
    assert leg.relay.packet(bytes([0xA0]) + packet(1).to_bytes()[1:12] + b"\xff") is None  # more padding than payload


@pytest.mark.parametrize("data", [b"", b"\x80\0", packet(0).to_bytes()[:11], b"\x40" + packet(0).to_bytes()[1:]])
def test_what_is_no_rtp_is_not_passed_on(data: bytes) -> None:
    assert Leg().relay.packet(data) is None


def test_nothing_is_sent_to_one_on_hold_nor_from_one_we_hold() -> None:
    leg = Leg()
    before = leg.get(*packets(range(3)))
    leg.again(SOURCE, LISTENER._replace(direction="recvonly"))
    assert leg.get(*packets(range(3, 10))) == []
    leg.again(SOURCE._replace(direction="sendonly"), LISTENER)
    assert leg.get(*packets(range(10, 12))) == []
    leg.again(SOURCE, LISTENER)
    after = leg.get(*packets(range(12, 15)))
    assert [one.marker for one in after] == [True, False, False]
    assert after[0].sequence == before[-1].sequence + 1 & 0xFFFF
    assert after[0].timestamp == before[0].timestamp + 12 * 160 & 0xFFFFFFFF


def test_another_agreement_holds_at_once_and_the_same_changes_nothing() -> None:
    leg = Leg()
    found = leg.get(*packets(range(3)))
    leg.again(SOURCE, LISTENER)
    found += leg.get(*packets(range(3, 6)))
    leg.again(SOURCE, LISTENER._replace(codec="PCMA", payload_type=8))
    found += leg.get(*packets(range(6, 9)))
    check_goes_on(found)
    assert [one.payload_type for one in found] == [0] * 6 + [8] * 3
    assert [place for place, one in enumerate(found) if one.marker] == [0, 6]


def test_before_anything_is_agreed_nothing_passes() -> None:
    sender = Sender(1, 1, 1)
    relay = Relay(sender)
    relay.agree(None)
    assert relay.packet(packet(0).to_bytes()) is None


def test_what_plays_waits_for_the_end_of_the_relay() -> None:
    leg = Leg()
    prompt = Audio(sine(440, 8000, 0.1).tobytes())
    done: list[str] = []
    leg.sender.play([prompt], lambda: done.append("played"))
    leg.get(*packets(range(10)))
    leg.relay.end()
    found = leg.speak(6)
    assert done == ["played"]
    assert b"".join(one.payload for one in found[:5]) == prompt.encoded("PCMU")


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(st.integers(0, 150), st.integers(0, 50_000), st.integers(0, 1), st.sampled_from([0, 0, 101, 13]))
    )
)
def test_whatever_comes_numbers_are_taken_once(given_packets: list[tuple[int, int, int, int]]) -> None:
    """A number that was sent is sent again with the same packet at most."""
    leg = Leg()
    came = [Packet(kind, sequence, time, ssrc, SOUND) for sequence, time, ssrc, kind in given_packets]
    found = leg.get(*came, *packets(range(3)))
    sequences = [one.sequence for one in found]
    again = len(came) - len({(one.ssrc, one.sequence) for one in came})
    assert len(set(sequences)) >= len(sequences) - again
    assert {one.payload_type for one in found} <= {0, 96}
    assert leg.sender.packets == len(found)


@settings(max_examples=30)
@given(st.lists(st.binary(max_size=40)))
def test_bytes_do_no_harm(datagrams: list[bytes]) -> None:
    leg = Leg()
    for data in datagrams:
        leg.relay.packet(data)
        leg.relay.packet(b"\xb1\x65" + data)
        made = leg.relay.packet(b"\x80\x00" + data)
        assert made is None or read(made).ssrc == 0xABCD
