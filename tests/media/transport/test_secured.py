"""Encrypted streams over real sockets, beside a phone that has libsrtp for itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edge.media import dtmf
from edge.media.audio import Audio
from edge.media.crypto import OCTETS, Sdes
from edge.media.g711 import encode
from edge.media.transport.engine import MediaEngine
from edge.metrics import REGISTRY
from tests.media.conftest import sine
from tests.media.phone import HOST, Phone, Told, until
from tests.media.secure_phone import SecurePhone, keys

HELLO = Audio(sine(440, 8000, 0.1).tobytes())


@pytest.fixture(params=list(OCTETS))
def secure(request: pytest.FixtureRequest) -> Iterator[SecurePhone]:
    with SecurePhone(request.param) as made:
        yield made


@pytest.fixture
def other() -> Iterator[SecurePhone]:
    with SecurePhone("AES_CM_128_HMAC_SHA1_32", 50) as made:
        yield made


def unauthentic() -> float:
    return REGISTRY.get_sample_value("edge_rtp_unauthentic_packets_total") or 0.0


async def test_a_greeting_is_heard_bit_for_bit(engine: MediaEngine, secure: SecurePhone) -> None:
    stream = engine.open(HOST)
    told = Told()
    stream.tap(told)
    stream.connect(secure.agreed())
    await stream.play(HELLO)
    stream.close()
    assert encode(HELLO.pcm, "PCMU") in b"".join(packet.payload for packet in secure.packets())
    assert told.of_us
    assert len(secure.reports()) == 2  # the last report and its goodbye


async def test_what_they_say_and_type(engine: MediaEngine, secure: SecurePhone) -> None:
    digits: list[str] = []
    told = Told()
    stream = engine.open(HOST, on_digit=digits.append)
    stream.tap(told)
    stream.connect(secure.agreed())
    payloads = [bytes([n]) * 160 for n in range(1, 6)]
    for payload in payloads:
        secure.say(stream, payload)
    for event in dtmf.press("5", 100, 20):
        secure.say(stream, event, kind=101, timestamp=800)
    await until(lambda: digits)
    assert digits == ["5"]
    assert len(told.of_them) == 5
    assert stream.remote == secure.address


async def test_what_is_not_signed_is_dropped_and_locks_nothing(engine: MediaEngine, secure: SecurePhone) -> None:
    stream = engine.open(HOST)
    stream.connect(secure.agreed(remote=None))
    before = unauthentic()
    with Phone() as liar, SecurePhone(secure.suite, 9) as stranger:
        liar.say(stream)
        stranger.say(stream)
        await until(lambda: unauthentic() == before + 2)
        assert stream.remote is None
        assert stream.stats.received_packets == 0
        again = secure.sealed()
        for _ in range(2):
            secure.rtp.sendto(again, stream.local)
        await until(lambda: unauthentic() == before + 3)
    assert stream.remote == secure.address
    assert stream.stats.received_packets == 1
    assert stream.stats.strange_packets == 3


async def test_a_later_offer_keeps_the_count_or_brings_another_key(engine: MediaEngine, secure: SecurePhone) -> None:
    stream = engine.open(HOST)
    stream.connect(secure.agreed())
    secure.say(stream)
    await until(lambda: stream.stats.received_packets == 1)
    stream.connect(secure.agreed(direction="recvonly"))
    stream.connect(secure.agreed())
    secure.say(stream)
    await until(lambda: stream.stats.received_packets == 2)
    with SecurePhone(secure.suite, 30) as changed:
        secure.ours = changed.ours
        stream.connect(secure.agreed(sdes=Sdes(1, secure.suite, secure.edge_key, changed.key)))
        secure.say(stream)
        await until(lambda: stream.stats.received_packets == 3)
    secure.packets()  # what we send goes on under the same key, without a break
    sent = stream.stats.sent_packets
    await until(lambda: stream.stats.sent_packets > sent + 2)
    assert secure.packets()


async def test_from_plain_to_encrypted_and_back(engine: MediaEngine, secure: SecurePhone) -> None:
    stream = engine.open(HOST)
    stream.connect(secure.agreed(sdes=None))
    await until(lambda: stream.stats.sent_packets > 1)
    Phone.packets(secure)  # readable as they are
    stream.connect(secure.agreed())
    Phone.packets(secure)
    sent = stream.stats.sent_packets
    await until(lambda: stream.stats.sent_packets > sent + 2)
    assert secure.packets()
    stream.connect(secure.agreed(sdes=None))
    secure.packets()
    sent = stream.stats.sent_packets
    await until(lambda: stream.stats.sent_packets > sent + 2)
    assert Phone.packets(secure)[-1].payload_type == 0


@pytest.mark.parametrize("plain", [True, False])
async def test_relayed_between_two_ways(
    engine: MediaEngine, secure: SecurePhone, other: SecurePhone, phone: Phone, plain: bool
) -> None:
    """SRTP to RTP and back, and SRTP to SRTP under other keys."""
    far = phone if plain else other
    one, two = engine.open(HOST), engine.open(HOST)
    one.connect(secure.agreed())
    two.connect(far.agreed())
    secure.say(one)
    far.say(two)
    await until(lambda: one.stats.received_packets and two.stats.received_packets)
    one.relay(two)
    secure.packets()
    far.packets()
    said, replied = [bytes([n]) * 160 for n in range(1, 6)], [bytes([n]) * 160 for n in range(11, 16)]
    for payload, reply in zip(said, replied, strict=True):
        secure.say(one, payload)
        far.say(two, reply)
    heard: list[bytes] = []
    answered: list[bytes] = []

    def all_there() -> bool:
        heard.extend(packet.payload for packet in far.packets())
        answered.extend(packet.payload for packet in secure.packets())
        return len(heard) >= 5 and len(answered) >= 5

    await until(all_there)
    assert heard == said
    assert answered == replied


async def test_a_packet_that_was_overtaken_twice_is_not_relayed_twice(
    engine: MediaEngine, phone: Phone, other: SecurePhone
) -> None:
    one, two = engine.open(HOST), engine.open(HOST)
    one.connect(phone.agreed())
    two.connect(other.agreed())
    phone.say(one)
    other.say(two)
    await until(lambda: one.stats.received_packets and two.stats.received_packets)
    one.relay(two)
    other.packets()
    for _ in range(2):
        phone.sequence = 7
        phone.say(one, b"\x01" * 160)
    phone.say(one, b"\x02" * 160)
    heard: list[bytes] = []

    def last() -> bool:
        heard.extend(packet.payload for packet in other.packets())
        return b"\x02" * 160 in heard

    await until(last)
    assert heard == [b"\x01" * 160, b"\x02" * 160]


def test_the_keys_of_two_seeds_differ() -> None:
    assert keys("AEAD_AES_256_GCM", 1) != keys("AEAD_AES_256_GCM", 50)
