"""What a stream sends, packet by packet."""

from __future__ import annotations

from itertools import pairwise

import pytest

from edge.errors import Invalid
from edge.media.audio import Audio
from edge.media.g711 import CODECS, Codec, encode, silence
from edge.media.live import Live
from edge.media.rtp import Packet, read
from edge.media.sdp import Negotiated
from edge.media.sender import Sender
from tests.media.conftest import sine

AGREED = Negotiated("PCMU", 0, 101, 20, ("192.0.2.9", 4000), "sendrecv")
START = 0xFFFFFF00  # wraps at once


class Played:
    """A sender, and what came out of it."""

    def __init__(self, agreed: Negotiated = AGREED, *, on: bool = True) -> None:
        self.sender = Sender(0xABCD, 0xFFFE, START)
        self.sender.agree(agreed, on=on)
        self.events: list[str] = []

    def play(self, *audio: Audio, name: str = "played") -> None:
        self.sender.play(audio, lambda: self.events.append(name))

    def run(self, count: int) -> list[Packet]:
        return [read(data) for data in (self.sender.packet() for _ in range(count)) if data is not None]


def audio(milliseconds: int, hertz: float = 440) -> Audio:
    return Audio(sine(hertz, 8000, milliseconds / 1000).tobytes())


def heard(packets: list[Packet]) -> bytes:
    return b"".join(packet.payload for packet in packets)


@pytest.mark.parametrize("ptime", [10, 20, 25, 30, 60])
@pytest.mark.parametrize("codec", CODECS)
def test_what_is_heard_is_the_source_bit_for_bit(ptime: int, codec: Codec) -> None:
    played = Played(AGREED._replace(codec=codec, payload_type=97, ptime_ms=ptime))
    source = audio(300)
    played.play(source)
    packets = played.run(300 // ptime + 3)
    assert {packet.payload_type for packet in packets} == {97}
    assert {len(packet.payload) for packet in packets} == {8 * ptime}
    assert heard(packets) == encode(source.pcm, codec) + silence(codec, 3 * 8 * ptime)


def test_numbers_go_on_without_a_gap_whatever_is_sent() -> None:
    played = Played()
    packets = played.run(3)
    played.play(audio(50))
    packets += played.run(5)
    played.sender.press("1", 60, 40, lambda: None)
    packets += played.run(12)
    assert [packet.sequence for packet in packets] == [0xFFFF + n & 0xFFFF for n in range(20)]
    assert {packet.ssrc for packet in packets} == {0xABCD}
    sound = [(n, packet.timestamp) for n, packet in enumerate(packets) if packet.payload_type == 0]
    assert all(timestamp == START + 160 * n & 0xFFFFFFFF for n, timestamp in sound)
    assert played.sender.packets == 20
    assert played.sender.octets == 20 * 160


def test_the_marker_is_set_only_after_a_pause() -> None:
    played = Played()
    packets = played.run(2)
    played.play(audio(40))
    packets += played.run(4)
    played.sender.agree(AGREED._replace(direction="recvonly"), on=False)
    assert played.run(3) == []
    played.sender.agree(AGREED, on=True)
    packets += played.run(2)
    assert [packet.marker for packet in packets] == [True, False, False, False, False, False, True, False]
    assert packets[-2].timestamp == packets[-3].timestamp + 160 * 4 & 0xFFFFFFFF  # time went on in the hold
    assert packets[-2].sequence == packets[-3].sequence + 1 & 0xFFFF


def test_the_end_is_told_when_the_last_frame_has_been_heard() -> None:
    played = Played()
    played.play(audio(50))  # two frames and a half
    played.run(3)
    assert played.events == []
    played.run(1)
    assert played.events == ["played"]
    played.run(5)
    assert played.events == ["played"]


def test_several_follow_each_other_without_a_frame_between() -> None:
    played = Played()
    one, two = audio(30), audio(40, 700)
    played.play(one, Audio(b""), two)
    packets = played.run(5)
    assert heard(packets) == (
        encode(one.pcm, "PCMU") + silence("PCMU", 80) + encode(two.pcm, "PCMU") + silence("PCMU", 160)
    )
    assert played.events == ["played"]


def test_nothing_to_play_ends_with_the_next_packet() -> None:
    played = Played()
    played.play()
    played.run(1)
    assert played.events == ["played"]


def test_another_play_ends_the_first() -> None:
    played = Played()
    played.play(audio(100), name="first")
    played.run(2)
    second = audio(40, 700)
    played.play(second, name="second")
    assert played.events == ["first"]
    assert heard(played.run(2)) == encode(second.pcm, "PCMU")
    played.run(1)
    assert played.events == ["first", "second"]


def test_stop_is_heard_with_the_next_packet() -> None:
    played = Played()
    played.play(audio(100), audio(100))
    played.run(2)
    played.sender.stop()
    assert heard(played.run(2)) == silence("PCMU", 320)
    assert played.events == []


def test_another_codec_and_packet_time_in_the_middle() -> None:
    played = Played()
    source = audio(100)
    played.play(source)
    first = played.run(2)
    played.sender.agree(AGREED._replace(codec="PCMA", payload_type=8, ptime_ms=30), on=True)
    second = played.run(2)
    assert heard(first) == encode(source.pcm, "PCMU")[:320]
    assert heard(second) == encode(source.pcm, "PCMA")[320:]
    assert [packet.payload_type for packet in second] == [8, 8]
    assert second[0].timestamp == first[-1].timestamp + 160 & 0xFFFFFFFF
    assert played.sender.octets == 2 * 160 + 2 * 240


def test_what_plays_goes_on_unheard_during_a_hold() -> None:
    played = Played()
    source = audio(200)
    played.play(source)
    played.run(2)
    played.sender.agree(AGREED, on=False)
    played.run(3)
    played.sender.agree(AGREED, on=True)
    assert heard(played.run(5)) == encode(source.pcm, "PCMU")[5 * 160 :]
    played.run(1)
    assert played.events == ["played"]


def test_a_press_is_sent_as_rfc_4733_wants_it() -> None:
    played = Played()
    played.run(1)
    played.sender.press("5#", 60, 40, lambda: played.events.append("pressed"))
    packets = played.run(14)
    kinds = [packet.payload_type for packet in packets]
    assert kinds == [101] * 5 + [0] * 2 + [101] * 5 + [0] * 2
    assert played.events == ["pressed"]
    for press, code in ((packets[:5], 5), (packets[7:12], 11)):
        assert {packet.timestamp for packet in press} == {press[0].timestamp}
        assert [packet.marker for packet in press] == [True, False, False, False, False]
        assert [packet.payload[0] for packet in press] == [code] * 5
        assert [packet.payload[1] >> 7 for packet in press] == [0, 0, 1, 1, 1]
        assert [int.from_bytes(packet.payload[2:], "big") for packet in press] == [160, 320, 480, 480, 480]
    assert packets[7].timestamp == packets[0].timestamp + 7 * 160 & 0xFFFFFFFF
    assert all(b.sequence == a.sequence + 1 & 0xFFFF for a, b in pairwise(packets))


def test_what_plays_waits_for_the_keys() -> None:
    played = Played()
    source = audio(60)
    played.play(source)
    before = played.run(1)
    played.sender.press("1", 40, 20, lambda: None)
    packets = before + played.run(8)
    assert heard([packet for packet in packets if packet.payload_type == 0]) == (
        encode(source.pcm, "PCMU")[:160]
        + silence("PCMU", 160)
        + encode(source.pcm, "PCMU")[160:]
        + silence("PCMU", 160)
    )


def test_a_live_source_is_heard_when_nothing_else_is() -> None:
    played = Played(AGREED._replace(codec="PCMA", payload_type=8))
    played.sender.live = live = Live(least_ms=20)
    said = audio(50)
    live.push(said.pcm)
    prompt = audio(40, 700)
    played.play(prompt)
    packets = played.run(6)
    assert heard(packets) == encode(prompt.pcm + said.pcm, "PCMA") + silence("PCMA", 80 + 160)
    assert [packet.sequence for packet in packets] == [0xFFFF + n & 0xFFFF for n in range(6)]
    assert played.events == ["played"]


def test_pauses_and_release() -> None:
    played = Played()
    played.sender.press(",1", 40, 20, lambda: played.events.append("pressed"))
    assert {packet.payload_type for packet in played.run(50)} == {0}
    assert played.run(1)[0].payload_type == 101
    played.sender.release()
    assert {packet.payload_type for packet in played.run(5)} == {0}
    assert played.events == []


def test_no_keys_at_all_are_pressed_at_once() -> None:
    played = Played()
    played.sender.press("", 40, 20, lambda: played.events.append("pressed"))
    assert played.events == ["pressed"]


def test_keys_need_telephone_event() -> None:
    with pytest.raises(Invalid, match="telephone-event"):
        Played(AGREED._replace(dtmf_payload_type=None)).sender.press("1", 100, 100, lambda: None)
