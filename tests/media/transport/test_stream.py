"""Streams over real sockets on this machine: what is heard, bit for bit, and when, by RTP timestamps."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from itertools import pairwise

import pytest

from edge.errors import Invalid
from edge.media import dtmf, rtcp
from edge.media.audio import Audio, Recording
from edge.media.g711 import STATIC_TYPE, Codec, decode, encode, silence
from edge.media.latch import PROBATION
from edge.media.live import Live
from edge.media.sdp import Negotiated
from edge.media.section import MediaSection
from edge.media.stream import StreamClosed
from edge.media.transport import clock, wire
from edge.media.transport.engine import MediaEngine
from edge.media.transport.stream import Stream
from edge.metrics import REGISTRY
from tests.media.conftest import sine
from tests.media.phone import HOST, Phone, Told, until

HELLO = Audio(sine(440, 8000, 0.2).tobytes())


@pytest.mark.parametrize(("codec", "ptime"), [("PCMU", 20), ("PCMA", 20), ("PCMU", 10), ("PCMA", 60)])
async def test_a_greeting_is_heard_bit_for_bit(engine: MediaEngine, phone: Phone, codec: Codec, ptime: int) -> None:
    kind = STATIC_TYPE[codec]
    stream = engine.open(HOST)
    assert stream.local[0] == HOST
    assert stream.local[1] % 2 == 0
    stream.connect(phone.agreed(codec=codec, payload_type=kind, ptime_ms=ptime))
    began = time.monotonic()
    await stream.play(HELLO)
    assert time.monotonic() - began >= HELLO.seconds - ptime / 1000
    stream.close()
    packets = phone.packets()
    sound = b"".join(packet.payload for packet in packets)
    greeting = encode(HELLO.pcm, codec)
    at = sound.index(greeting)
    assert at % (8 * ptime) == 0
    assert set(sound[:at] + sound[at + len(greeting) :]) <= set(silence(codec, 1))
    assert {packet.payload_type for packet in packets} == {kind}
    assert [packet.marker for packet in packets] == [True] + [False] * (len(packets) - 1)
    assert all(b.timestamp - a.timestamp & 0xFFFFFFFF == 8 * ptime for a, b in pairwise(packets))
    assert all(b.sequence - a.sequence & 0xFFFF == 1 for a, b in pairwise(packets))


async def test_from_connect_to_close_it_never_stops(engine: MediaEngine, phone: Phone) -> None:
    stream = engine.open(HOST)
    await asyncio.sleep(0.03)
    assert phone.packets() == []
    stream.connect(phone.agreed())
    await until(lambda: stream.stats.sent_packets >= 5)
    stream.close()
    packets = phone.packets()
    assert {packet.payload for packet in packets} == {silence("PCMU", 160)}
    await asyncio.sleep(0.05)
    assert phone.packets() == []
    assert len(packets) == stream.stats.sent_packets


async def test_several_in_a_row_and_playing_before_the_connection(engine: MediaEngine, phone: Phone) -> None:
    stream = engine.open(HOST)
    playing = asyncio.ensure_future(stream.play(HELLO, HELLO))
    await asyncio.sleep(0)
    stream.connect(phone.agreed())
    await playing
    sound = b"".join(packet.payload for packet in phone.packets())
    assert encode(HELLO.pcm, "PCMU") * 2 in sound


async def test_cancelling_stops_at_the_next_frame(engine: MediaEngine, phone: Phone) -> None:
    stream = engine.open(HOST)
    stream.connect(phone.agreed())
    playing = asyncio.ensure_future(stream.play(HELLO))
    await until(lambda: stream.stats.sent_packets >= 4)
    playing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await playing
    phone.packets()
    await until(lambda: stream.stats.sent_packets >= 8)
    assert {packet.payload for packet in phone.packets()} == {silence("PCMU", 160)}


async def test_closing_ends_what_plays(engine: MediaEngine, phone: Phone) -> None:
    stream = engine.open(HOST)
    stream.connect(phone.agreed())
    waiting = [asyncio.ensure_future(stream.play(HELLO)), asyncio.ensure_future(stream.send_digits("1"))]
    await asyncio.sleep(0)
    stream.close()
    stream.close()
    for one in waiting:
        with pytest.raises(StreamClosed):
            await one
    with pytest.raises(StreamClosed):
        await stream.play(HELLO)
    with pytest.raises(StreamClosed):
        await stream.send_digits("1")
    stream.connect(phone.agreed(ptime_ms=30))


async def test_keys_are_heard_once_each(engine: MediaEngine, phone: Phone) -> None:
    digits: list[str] = []
    stream = engine.open(HOST, on_digit=digits.append)
    stream.connect(phone.agreed(dtmf_payload_type=96))
    for timestamp, digit in ((1000, "1"), (3000, "1"), (5000, "#")):
        for payload in dtmf.press(digit, 60, 20):
            phone.say(stream, payload, 96, timestamp)
            phone.say(stream)
    await until(lambda: len(digits) == 3)
    await until(lambda: stream.stats.received_packets == 30)
    assert "".join(digits) == "11#"


async def test_two_of_us_talk(engine: MediaEngine) -> None:
    """Keys one way, audio both ways, and each recording is what the other played."""
    digits: list[str] = []
    one, two = engine.open(HOST), engine.open(HOST, on_digit=digits.append)
    heard = {one: Recording(), two: Recording()}
    for stream, other in ((one, two), (two, one)):
        reports = (other.local[0], other.local[1] + 1)
        stream.connect(Negotiated("PCMU", 0, 101, 20, other.local, "sendrecv", reports))
        stream.tap(heard[stream])
    tune = Audio(sine(700, 8000, 0.1).tobytes())
    await asyncio.gather(one.play(tune), two.play(HELLO))
    await one.send_digits("4*")
    await until(lambda: len(digits) == 2)
    assert "".join(digits) == "4*"
    assert decode(encode(HELLO.pcm, "PCMU"), "PCMU") in heard[one].pcm
    assert decode(encode(tune.pcm, "PCMU"), "PCMU") in heard[two].pcm
    assert (one.remote, two.remote) == (two.local, one.local)
    assert one.stats.lost_packets == 0


class Broken(Told):
    """A tap that fails, as soon as it is told anything."""

    def heard(self, timestamp: int, pcm: bytes) -> None:
        super().heard(timestamp, pcm)
        raise RuntimeError("a fault of ours")

    said = heard


async def test_taps_are_told_what_is_heard_and_said(engine: MediaEngine, phone: Phone) -> None:
    stream = engine.open(HOST)
    one, two, late = Told(), Told(), Told()
    stream.tap(one)
    stream.connect(phone.agreed(codec="PCMA", payload_type=8))
    stream.tap(two)
    for place in range(3):
        phone.say(stream, bytes([place]) * 160, 8, 160 * place)
    await until(lambda: len(two.of_them) == 3)
    stream.tap(late)
    await asyncio.gather(stream.play(HELLO), stream.send_digits("1"))
    stream.untap(two)
    stream.untap(two)
    await stream.play(HELLO)
    assert one.of_them == two.of_them == [(160 * n, decode(bytes([n]) * 160, "PCMA")) for n in range(3)]
    assert late.of_them == []
    hello = decode(encode(HELLO.pcm, "PCMA"), "PCMA")
    assert b"".join(pcm for _, pcm in two.of_us) == hello  # and neither silence nor the key
    assert b"".join(pcm for _, pcm in one.of_us) == hello * 2
    sent = {packet.timestamp: packet.payload for packet in phone.packets() if packet.payload_type == 8}
    assert all(decode(sent[timestamp], "PCMA") == pcm for timestamp, pcm in one.of_us)
    stream.close()
    with pytest.raises(StreamClosed):
        stream.tap(one)


async def test_who_is_not_tapped_pays_nothing(engine: MediaEngine, phone: Phone) -> None:
    stream, tap = engine.open(HOST), Told()
    stream.connect(phone.agreed())
    phone.say(stream)
    await until(lambda: stream.remote == phone.address)
    plain = stream.line
    stream.tap(tap)
    assert stream.line != plain
    stream.untap(tap)
    assert stream.line == plain
    assert stream.receiver.sink is None


async def test_a_tap_that_fails_is_taken_off(engine: MediaEngine, phone: Phone) -> None:
    stream = engine.open(HOST)
    stream.connect(phone.agreed())
    broken, sound = Broken(), Told()
    stream.tap(broken)
    stream.tap(sound)
    phone.say(stream, timestamp=0)
    phone.say(stream, timestamp=160)
    await stream.play(HELLO)
    assert len(broken.of_them) == 1
    assert [timestamp for timestamp, _ in sound.of_them] == [0, 160]
    stream.tap(broken)
    await stream.play(HELLO)
    assert len(broken.of_them) == 2
    assert len(sound.of_us) == 20
    assert encode(HELLO.pcm, "PCMU") * 2 in b"".join(p.payload for p in phone.packets() if set(p.payload) != {255})


async def test_what_is_pushed_is_heard(engine: MediaEngine, phone: Phone) -> None:
    stream, live, tap = engine.open(HOST), Live(), Told()
    stream.connect(phone.agreed())
    stream.live(live)
    stream.tap(tap)
    live.push(HELLO.pcm)
    await until(lambda: len(tap.of_us) == 10)
    stream.live(None)
    live.push(HELLO.pcm)
    before = stream.stats.sent_packets
    await until(lambda: stream.stats.sent_packets >= before + 4)
    assert len(tap.of_us) == 10
    assert encode(HELLO.pcm, "PCMU") in b"".join(packet.payload for packet in phone.packets())
    stream.close()
    with pytest.raises(StreamClosed):
        stream.live(live)


async def test_keys_need_telephone_event(engine: MediaEngine, phone: Phone) -> None:
    stream = engine.open(HOST)
    stream.connect(phone.agreed(dtmf_payload_type=None))
    with pytest.raises(Invalid, match="telephone-event"):
        await stream.send_digits("1")
    with pytest.raises(Invalid, match="'x'"):
        await stream.send_digits("x")


async def test_it_sends_where_rtp_really_comes_from(engine: MediaEngine, phone: Phone) -> None:
    """The SDP names an address that is not the phone's, as behind NAT."""
    stream = engine.open(HOST)
    with Phone() as wrong:
        stream.connect(wrong.agreed())
        await until(lambda: stream.stats.sent_packets >= 2)
        phone.rtp.sendto(b"not RTP", stream.local)
        phone.say(stream, kind=8)  # a payload type of another session
        await until(lambda: stream.stats.strange_packets == 2)
        assert stream.remote == wrong.address
        phone.say(stream)
        await until(lambda: stream.remote == phone.address)
        wrong.packets()
        wrong.say(stream)
        await until(phone.packets)
        await until(lambda: len(phone.packets()) >= 1)
        assert wrong.packets() == []
        assert stream.stats.received_packets == 1


async def test_strangers_that_came_before_the_lock_are_counted(engine: MediaEngine, phone: Phone) -> None:
    stream = engine.open(HOST)
    with Phone() as stranger:
        phone.say(stream)
        for _ in range(3):
            stranger.say(stream)
        phone.say(stream)
        stream.connect(phone.agreed())
        await until(lambda: stream.stats.received_packets == 2)
        assert stream.stats.strange_packets == 3
        assert stream.remote == phone.address


async def test_who_sprays_packets_takes_nothing_over(engine: MediaEngine, phone: Phone) -> None:
    """From another host, before and after the first packet of the right one, to both ports."""
    stream = engine.open(HOST)
    told = Told()
    stream.tap(told)
    with Phone("127.0.0.66") as stranger:
        stream.connect(phone.agreed())

        def spray() -> None:
            for _ in range(20):
                stranger.say(stream, b"\x10" * 160)
            stranger.rtcp.sendto(rtcp.compound(rtcp.Report(9, None, ()), "x", bye=True), (HOST, stream.local[1] + 1))

        spray()
        await until(lambda: stream.stats.strange_packets == 21)
        assert stream.remote == phone.address
        phone.say(stream, b"\x20" * 160)
        await until(lambda: stream.stats.received_packets == 1)
        spray()
        phone.say(stream, b"\x20" * 160)
        await until(lambda: stream.stats.received_packets == 2)
        assert stream.remote == phone.address
        assert not stranger.packets()
        assert not stranger.reports()
    assert {pcm for _, pcm in told.of_them} == {decode(b"\x20" * 160, "PCMU")}


async def test_who_is_perhaps_the_right_one_gives_way_to_him(engine: MediaEngine, phone: Phone) -> None:
    """A private address was told, so packets may come from elsewhere."""
    stream = engine.open(HOST)
    stream.connect(phone.agreed())
    with Phone("127.0.0.66") as other:
        for _ in range(PROBATION + 3):
            other.say(stream)
            await asyncio.sleep(0.02)  # the pace of a phone
        await until(lambda: stream.remote == other.address)
        await until(other.packets)
        phone.say(stream)
        await until(lambda: stream.remote == phone.address)
        await until(phone.packets)
        other.packets()
        before = stream.stats.received_packets
        other.say(stream)
        phone.say(stream)
        await until(lambda: stream.stats.received_packets == before + 1)
        assert stream.remote == phone.address


async def test_after_a_silence_it_may_come_from_another_port(
    engine: MediaEngine, phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A NAT that has begun anew."""
    monkeypatch.setattr(wire, "RELEARN_SECONDS", 0.0)
    stream = engine.open(HOST)
    stream.connect(phone.agreed())
    phone.say(stream)
    await until(lambda: stream.stats.received_packets == 1)
    with Phone() as moved:

        def heard() -> bool:
            moved.say(stream)
            return stream.remote == moved.address

        await until(heard)
        await until(moved.packets)


async def test_on_hold_by_address_there_are_no_reports_either(
    engine: MediaEngine, phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 3264 §8.4."""
    monkeypatch.setattr(rtcp, "INTERVAL_SECONDS", 0.05)
    stream = engine.open(HOST)
    stream.connect(phone.agreed(direction="recvonly"))
    await until(phone.reports)
    stream.connect(phone.agreed(remote=None, rtcp=None, direction="recvonly"))
    phone.reports()
    await asyncio.sleep(0.6)  # more than a sweep of the clock
    assert phone.reports() == []


async def test_a_name_for_an_address_waits_for_the_first_packet(engine: MediaEngine, phone: Phone) -> None:
    stream = engine.open(HOST, near=HOST)
    stream.connect(phone.agreed(remote=None, rtcp=None))
    await asyncio.sleep(0.05)
    assert stream.stats.sent_packets == 0
    phone.say(stream)
    await until(phone.packets)


async def test_hold_and_back_again(engine: MediaEngine, phone: Phone) -> None:
    stream = engine.open(HOST)
    stream.connect(phone.agreed())
    phone.say(stream)
    await until(lambda: stream.stats.received_packets == 1 and stream.stats.sent_packets >= 2)
    stream.connect(phone.agreed(remote=None, direction="recvonly"))
    before = phone.packets()
    await asyncio.sleep(0.05)
    assert phone.packets() == []
    stream.connect(phone.agreed())
    await until(lambda: stream.stats.sent_packets >= len(before) + 2)
    after = phone.packets()
    assert after[0].marker
    assert after[0].sequence == before[-1].sequence + 1 & 0xFFFF
    assert after[0].timestamp - before[-1].timestamp & 0xFFFFFFFF > 160


async def test_a_new_address_in_a_later_offer_is_followed(engine: MediaEngine, phone: Phone) -> None:
    stream = engine.open(HOST)
    stream.connect(phone.agreed())
    phone.say(stream)
    await until(lambda: stream.stats.received_packets == 1)
    with Phone() as second, Phone() as real:
        stream.connect(second.agreed(ptime_ms=10))
        await until(second.packets)
        assert stream.remote == second.address
        real.say(stream)  # it, too, is behind NAT
        await until(lambda: stream.remote == real.address)
        await until(real.packets)
        assert len(real.packets() or [None]) >= 1
    assert {packet.ssrc for packet in phone.packets()} == {stream.sender.ssrc}


async def test_reports_and_bye(engine: MediaEngine, phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtcp, "INTERVAL_SECONDS", 0.02)
    monkeypatch.setattr(clock, "SWEEP_SECONDS", 0.02)
    stream = engine.open(HOST)
    stream.connect(phone.agreed())
    phone.say(stream)
    reports: list[rtcp.Report] = []

    def heard_of_us() -> bool:
        reports.extend(item for item in phone.reports() if isinstance(item, rtcp.Report) and item.blocks)
        return bool(reports)

    await until(heard_of_us)
    report = reports[0]
    assert report.ssrc == stream.sender.ssrc
    assert report.sent is not None
    assert report.sent.octets == 160 * report.sent.packets
    assert [(block.ssrc, block.lost) for block in report.blocks] == [(77, 0)]
    theirs = rtcp.Report(77, rtcp.Sent(0x1234567890ABCDEF, 0, 1, 160), (rtcp.Block(report.ssrc, 0, 3, 0, 80),))
    phone.rtcp.sendto(b"junk", (stream.local[0], stream.local[1] + 1))
    phone.rtcp.sendto(rtcp.compound(theirs, "phone"), (stream.local[0], stream.local[1] + 1))
    await until(lambda: stream.stats.remote_lost_packets == 3)
    assert stream.stats.remote_jitter_ms == 10.0
    assert stream.stats.strange_packets == 1
    phone.reports()
    stream.close()
    last = phone.reports()
    assert isinstance(last[-2], rtcp.Report)
    assert last[-2].blocks[0].last_report == 0x567890AB
    assert last[-1] == rtcp.Bye((stream.sender.ssrc,))


async def test_who_never_sent_says_no_bye(engine: MediaEngine, phone: Phone) -> None:
    stream = engine.open(HOST)
    stream.connect(phone.agreed(direction="recvonly"))
    stream.close()
    assert phone.reports() == []


async def test_silence_of_the_other_side_is_told_once(phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "SWEEP_SECONDS", 0.01)
    engine = MediaEngine(MediaSection(first_port=17000, last_port=17999, silence_seconds=0.1))
    await engine.start()
    told: list[float] = []
    stream = engine.open(HOST, on_timeout=lambda: told.append(time.monotonic()))
    held = engine.open(HOST, on_timeout=lambda: told.append(-1.0))
    began = time.monotonic()
    stream.connect(phone.agreed())
    held.connect(phone.agreed(direction="sendonly"))
    await until(lambda: stream.stats.sent_packets >= 3)
    phone.say(stream)
    await until(lambda: told)
    assert told[0] - began > 0.1
    await asyncio.sleep(0.15)
    assert len(told) == 1
    await engine.close()


async def test_ipv6(engine: MediaEngine) -> None:
    with Phone("::1") as phone:
        stream = engine.open("::1")
        stream.connect(phone.agreed())
        await until(phone.packets)
        phone.say(stream)
        await until(lambda: stream.stats.received_packets == 1)
        await until(phone.packets)
        assert stream.remote == phone.address
        stream.close()
        assert isinstance(phone.reports()[-1], rtcp.Bye)


async def test_an_address_of_the_other_family_waits_for_the_first_packet(engine: MediaEngine, phone: Phone) -> None:
    stream = engine.open(HOST, near=HOST)
    stream.connect(phone.agreed(remote=("2001:db8::9", 4000), rtcp=("2001:db8::9", 4001)))
    assert stream.remote is None
    phone.say(stream)
    await until(phone.packets)
    assert stream.remote == phone.address


async def test_nobody_listens_there(engine: MediaEngine, phone: Phone) -> None:
    """An ICMP error on the connected socket is no reason to stop."""
    stream = engine.open(HOST)
    stream.connect(phone.agreed())
    phone.say(stream)
    await until(lambda: stream.stats.received_packets == 1)
    phone.rtp.close()
    await stream.play(HELLO)
    assert stream.stats.sent_packets >= 10


async def test_one_broken_stream_does_not_silence_the_others(engine: MediaEngine, phone: Phone) -> None:
    broken, sound = engine.open(HOST), engine.open(HOST)

    def fail() -> bytes:
        raise RuntimeError("a fault of ours")

    broken.line = (fail, broken.line[1])
    broken.connect(phone.agreed())
    broken.receiver.sink = lambda timestamp, pcm: print(fail())
    phone.say(broken)
    sound.connect(phone.agreed())
    await sound.play(HELLO)
    assert encode(HELLO.pcm, "PCMU") in b"".join(
        packet.payload for packet in phone.packets() if packet.ssrc == sound.sender.ssrc
    )


async def test_many_streams_keep_their_time(engine: MediaEngine, phone: Phone) -> None:
    streams = [engine.open(HOST) for _ in range(40)]
    for number, stream in enumerate(streams):
        stream.connect(phone.agreed(ptime_ms=(10, 20, 30, 60)[number % 4]))
    began = time.monotonic()
    await asyncio.gather(*(stream.play(HELLO) for stream in streams))
    assert time.monotonic() - began < 2.0
    counts = [stream.stats.sent_packets for stream in streams[:4]]
    assert all(wanted <= count <= wanted * 1.5 + 3 for count, wanted in zip(counts, (20, 10, 6, 3), strict=True))


async def test_a_closed_stream_is_forgotten(engine: MediaEngine, phone: Phone) -> None:
    async def live() -> weakref.ref[Stream]:
        stream = engine.open(HOST)
        stream.connect(phone.agreed())
        phone.say(stream)
        for _ in range(500):
            if stream.stats.received_packets:
                break
            await asyncio.sleep(0.002)
        stream.close()
        return weakref.ref(stream)

    gc.disable()
    try:
        assert (await live())() is None
    finally:
        gc.enable()


async def test_metrics(engine: MediaEngine, phone: Phone) -> None:
    def value(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(f"edge_{name}", labels) or 0.0

    before = {direction: value("rtp_packets_total", direction=direction) for direction in ("sent", "received")}
    streams = value("media_streams")
    stream = engine.open(HOST)
    assert value("media_streams") == streams + 1
    stream.connect(phone.agreed())
    phone.say(stream)
    await until(lambda: stream.stats.sent_packets >= 3 and stream.stats.received_packets == 1)
    stream.close()
    assert value("media_streams") == streams
    assert value("rtp_packets_total", direction="received") == before["received"] + 1
    assert value("rtp_packets_total", direction="sent") == before["sent"] + stream.stats.sent_packets
