"""Two streams relayed to each other over real sockets on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import pairwise

import pytest

from edge.media import dtmf, rtcp
from edge.media.audio import Audio
from edge.media.g711 import convert, decode, encode
from edge.media.rtp import Packet, read
from edge.media.section import MediaSection
from edge.media.stream import StreamClosed
from edge.media.transport import clock, passing
from edge.media.transport.engine import MediaEngine
from tests.media.conftest import sine
from tests.media.phone import HOST, Phone, Told, until

HELLO = Audio(sine(440, 8000, 0.2).tobytes())


class Bridge:
    """Two phones on two streams, relayed to each other."""

    def __init__(self, engine: MediaEngine, one: Phone, two: Phone) -> None:
        self.digits: list[str] = []
        self.phones = one, two
        self.streams = engine.open(HOST, on_digit=self.digits.append), engine.open(HOST)
        for stream, phone in zip(self.streams, self.phones, strict=True):
            stream.connect(phone.agreed())
        self.streams[0].relay(self.streams[1])

    async def talk(self, count: int = 5, *, kind: int = 0, way: int = 0) -> list[Packet]:
        """What one phone hears, once it has heard so many of the packets that the other says."""
        heard: list[Packet] = []
        speaker, stream, listener = self.phones[way], self.streams[way], self.phones[1 - way]
        for _ in range(count):
            speaker.say(stream, SPEECH, kind)

        def all_there() -> bool:
            heard.extend(listener.packets())
            return len([packet for packet in heard if set(packet.payload) != {255}]) >= count

        await until(all_there)
        return heard


SPEECH = bytes(range(1, 161))


def said(to: Phone, payload: bytes) -> bool:
    return any(packet.payload == payload for packet in to.packets())


@pytest.fixture
def bridge(engine: MediaEngine, phone: Phone) -> Iterator[Bridge]:
    with Phone() as other:
        yield Bridge(engine, phone, other)


async def test_two_phones_talk_through_a_relay(bridge: Bridge) -> None:
    for way in (0, 1):
        heard = [packet for packet in await bridge.talk(way=way) if packet.payload == SPEECH]
        assert {packet.ssrc for packet in heard} == {bridge.streams[1 - way].sender.ssrc}
        assert [b.sequence - a.sequence & 0xFFFF for a, b in pairwise(heard)] == [1] * 4
        assert [b.timestamp - a.timestamp & 0xFFFFFFFF for a, b in pairwise(heard)] == [160] * 4
    for stream, phone in zip(bridge.streams, bridge.phones, strict=True):
        assert stream.remote == phone.address
        assert stream.stats.received_packets == 5


async def test_a_relay_invents_nothing_and_waits_for_no_clock(bridge: Bridge) -> None:
    one, two = bridge.phones
    await bridge.talk()
    await asyncio.sleep(0.06)  # three packet times in which nobody speaks
    assert one.packets() == two.packets() == []
    for number in range(10):
        one.say(bridge.streams[0], bytes([number]) * 160)
        two.rtp.setblocking(True)
        heard = asyncio.get_running_loop().run_in_executor(None, two.rtp.recv, 2048)
        assert read(await asyncio.wait_for(heard, 2)).payload == bytes([number]) * 160
    two.rtp.setblocking(False)


@pytest.mark.parametrize("busy", [0.0, passing.BUSY, 1e9], ids=["looking", "as it comes", "waiting"])
async def test_fast_or_slow_all_packets_pass(bridge: Bridge, monkeypatch: pytest.MonkeyPatch, busy: float) -> None:
    monkeypatch.setattr(passing, "BUSY", busy)
    one, two = bridge.phones
    heard: list[Packet] = []
    for number in range(200):
        one.say(bridge.streams[0], bytes([number]) * 160)
        await asyncio.sleep(0)
        heard += two.packets()
    await until(lambda: bridge.streams[0].stats.received_packets == 200)
    heard += two.packets()
    assert [packet.payload[0] for packet in heard] == list(range(200))
    await asyncio.sleep(3 * passing.SPAN_SECONDS)  # now they come slowly again
    await bridge.talk(1)
    await asyncio.sleep(3 * passing.SPAN_SECONDS)
    await bridge.talk(1, way=1)


async def test_a_prompt_then_a_relay_then_a_prompt_are_one_stream(engine: MediaEngine, phone: Phone) -> None:
    with Phone() as other:
        one, two = engine.open(HOST), engine.open(HOST)
        two.connect(other.agreed(codec="PCMA", payload_type=8))
        one.connect(phone.agreed())
        await one.play(HELLO)
        one.relay(two)
        for _ in range(5):
            other.say(two, SPEECH, 8)
        await until(lambda: two.stats.received_packets == 5)
        one.unrelay()
        one.unrelay()
        await one.play(HELLO)
        one.close()
        heard = phone.packets()
        relayed = [place for place, packet in enumerate(heard) if packet.payload == convert(SPEECH, "PCMA", "PCMU")]
        assert len(relayed) == 5
        assert [place for place, packet in enumerate(heard) if packet.marker] == [0, relayed[0], relayed[-1] + 1]
        assert [b.sequence - a.sequence & 0xFFFF for a, b in pairwise(heard)] == [1] * (len(heard) - 1)
        steps = [b.timestamp - a.timestamp & 0xFFFFFFFF for a, b in pairwise(heard)]
        assert all(0 < step < 8000 for step in steps)
        assert sum(steps) == heard[-1].timestamp - heard[0].timestamp & 0xFFFFFFFF
        other.packets()
        await until(other.packets)  # it, too, is served by the clock again


async def test_keys_pass_and_are_reported(bridge: Bridge) -> None:
    one, two = bridge.phones
    bridge.streams[1].connect(two.agreed(dtmf_payload_type=96))
    two.packets()
    for payload in dtmf.press("7", 60, 20):
        one.say(bridge.streams[0], payload, 101, 8000)
    await until(lambda: bridge.digits)
    heard = two.packets()
    assert [packet.payload for packet in heard if packet.payload_type == 96] == dtmf.press("7", 60, 20)
    assert len({packet.timestamp for packet in heard if packet.payload_type == 96}) == 1
    assert bridge.digits == ["7"]


async def test_before_the_other_side_is_known_it_is_sent_to_where_its_sdp_says(engine: MediaEngine) -> None:
    with Phone() as one, Phone() as two, Phone() as real:
        left, right = engine.open(HOST), engine.open(HOST)
        left.relay(right)
        one.say(left)
        left.connect(one.agreed())
        right.connect(two.agreed(remote=None, rtcp=None))
        await until(lambda: left.stats.received_packets == 1)
        assert right.stats.sent_packets == 0
        right.connect(two.agreed())
        one.say(left, SPEECH)
        await until(two.packets)
        real.say(right)
        await until(lambda: right.remote == real.address)
        one.say(left, SPEECH)
        await until(real.packets)
        assert two.packets() == []


async def test_hold_passes_through(bridge: Bridge) -> None:
    """Who is held hears the music of the one who holds; who holds hears nothing."""
    one, two = bridge.phones
    await bridge.talk()
    await bridge.talk(way=1)
    bridge.streams[1].connect(two.agreed(direction="recvonly"))
    bridge.streams[0].connect(one.agreed(direction="sendonly"))
    two.packets()
    one.say(bridge.streams[0], SPEECH)
    await bridge.talk(way=1)
    await until(lambda: bridge.streams[0].stats.received_packets == 6)
    assert two.packets() == []
    for stream, phone in zip(bridge.streams, bridge.phones, strict=True):
        stream.connect(phone.agreed())
    assert (await bridge.talk())[0].marker


async def test_a_later_offer_is_followed_within_the_relay(bridge: Bridge) -> None:
    await bridge.talk()
    await bridge.talk(way=1)
    one, two = bridge.phones
    with Phone() as second:
        bridge.streams[1].connect(second.agreed(codec="PCMA", payload_type=8, ptime_ms=30))
        bridge.phones = one, second
        one.say(bridge.streams[0], SPEECH)
        await until(lambda: said(second, convert(SPEECH, "PCMU", "PCMA")))
        two.packets()
        two.say(bridge.streams[1], SPEECH, 8)  # the old place is a new source like any other
        await until(lambda: bridge.streams[1].remote == two.address)
        assert one.packets()[-1].payload == convert(SPEECH, "PCMA", "PCMU")


async def test_an_echo(engine: MediaEngine, phone: Phone) -> None:
    stream = engine.open(HOST)
    stream.connect(phone.agreed())
    stream.relay(stream)
    stream.relay(stream)
    for number in range(4):
        phone.say(stream, bytes([number]) * 160)
    await until(lambda: stream.stats.received_packets == 4)
    assert [packet.payload[0] for packet in phone.packets() if packet.payload[0] != 255] == [0, 1, 2, 3]
    stream.unrelay()
    await until(phone.packets)


async def test_closing_one_gives_the_other_back_to_the_clock(bridge: Bridge, engine: MediaEngine) -> None:
    await bridge.talk()
    one, two = bridge.streams
    two.close()
    await one.play(HELLO)
    assert encode(HELLO.pcm, "PCMU") in b"".join(packet.payload for packet in bridge.phones[0].packets())
    with pytest.raises(StreamClosed):
        one.relay(two)
    with pytest.raises(StreamClosed):
        two.relay(one)


async def test_a_third_takes_the_place_of_the_second(bridge: Bridge, engine: MediaEngine) -> None:
    with Phone() as last:
        third = engine.open(HOST)
        third.connect(last.agreed())
        one = bridge.streams[0]
        third.relay(one)
        two_heard = bridge.phones[1].packets
        two_heard()
        await until(two_heard)  # silence from the clock
        bridge.phones[0].say(one, SPEECH)
        await until(lambda: said(last, SPEECH))
        assert all(packet.payload != SPEECH for packet in two_heard())
        one.close()


async def test_taps_are_told_what_is_relayed(bridge: Bridge) -> None:
    tap = Told()
    bridge.streams[0].tap(tap)
    await bridge.talk(2)
    await bridge.talk(3, way=1)
    speech = decode(SPEECH, "PCMU")
    assert [pcm for _, pcm in tap.of_them] == [speech] * 2
    assert [pcm for _, pcm in tap.of_us] == [speech] * 3
    assert [b - a for (a, _), (b, _) in pairwise(tap.of_us)] == [160, 160]


async def test_nobody_listens_on_the_other_side(bridge: Bridge) -> None:
    await bridge.talk()
    await bridge.talk(way=1)
    bridge.phones[1].rtp.close()
    for _ in range(3):
        bridge.phones[0].say(bridge.streams[0])
    await until(lambda: bridge.streams[0].stats.received_packets == 8)


async def test_silence_within_a_relay_is_told_for_the_one_who_is_silent(
    phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "SWEEP_SECONDS", 0.01)
    engine = MediaEngine(MediaSection(first_port=17000, last_port=17999, silence_seconds=0.15))
    await engine.start()
    told: list[str] = []
    with Phone() as other:
        one = engine.open(HOST, on_timeout=lambda: told.append("one"))
        two = engine.open(HOST, on_timeout=lambda: told.append("two"))
        one.connect(phone.agreed())
        two.connect(other.agreed())
        one.relay(two)

        def spoken() -> list[str]:
            phone.say(one)
            return told

        await until(spoken)
        assert told == ["two"]
    await engine.close()


async def test_reports_of_a_relayed_stream_are_our_own(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    await bridge.talk(4)
    await bridge.talk(2, way=1)
    two = bridge.streams[1]
    sent = two.stats.sent_packets
    two.close()
    report, bye = bridge.phones[1].reports()
    assert isinstance(report, rtcp.Report)
    assert report.sent is not None
    assert (report.sent.packets, report.sent.octets) == (sent, 160 * sent)
    assert [(block.ssrc, block.lost) for block in report.blocks] == [(77, 0)]
    assert bye == rtcp.Bye((two.sender.ssrc,))
