"""What a stream makes of the packets that come."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.media.g711 import decode
from edge.media.receiver import Receiver
from edge.media.rtcp import Block, Report, Sent
from edge.media.rtp import Packet
from edge.media.sdp import Negotiated
from tests.media.conftest import read_seed, seeds

AGREED = Negotiated("PCMU", 0, 101, 20, ("192.0.2.9", 4000), "sendrecv")
SOUND = bytes(range(160))


def receiver() -> Receiver:
    made = Receiver(0.0)
    made.agree(AGREED, 0.0)
    return made


def packet(
    sequence: int, *, ssrc: int = 7, payload_type: int = 0, payload: bytes = SOUND, timestamp: int | None = None
) -> bytes:
    when = sequence * 160 if timestamp is None else timestamp
    return Packet(payload_type, sequence & 0xFFFF, when & 0xFFFFFFFF, ssrc, payload).to_bytes()


@pytest.mark.parametrize(
    ("sequences", "expected", "lost", "highest"),
    [
        ([5, 6, 7, 8], 4, 0, 8),
        ([5, 6, 8, 9], 5, 1, 9),
        ([5, 7, 6, 8], 4, 0, 8),
        ([5, 6, 6, 7], 3, -1, 7),
        ([65534, 65535, 65536, 65538], 5, 1, 65538),
        ([5, 6, 2000], 1996, 1993, 2000),
        ([500, 499, 498, 501], 2, -2, 501),
    ],
)
def test_losses_are_counted_as_the_rfc_does(sequences: list[int], expected: int, lost: int, highest: int) -> None:
    made = receiver()
    for sequence in sequences:
        made.receive(packet(sequence), sequence * 0.02)
    block = made.block(10.0)
    assert block is not None
    assert (block.lost, block.highest) == (lost, highest)
    assert block.fraction == (lost * 256 // expected if lost > 0 else 0)
    assert made.lost == lost


def test_each_report_has_the_losses_of_its_own_interval() -> None:
    made = receiver()
    fractions = []
    for sequences in ([1, 2, 3, 4], [5, 8], [9, 10, 11, 12]):
        for sequence in sequences:
            made.receive(packet(sequence), sequence * 0.02)
        block = made.block(1.0)
        assert block is not None
        fractions.append((block.fraction, block.lost))
    assert fractions == [(0, 0), (128, 2), (0, 2)]


def test_a_source_that_begins_anew_is_no_loss() -> None:
    made = receiver()
    for sequence in (1, 2, 40000, 40001, 40002):
        made.receive(packet(sequence), 1.0)
    block = made.block(1.0)
    assert block is not None
    assert (block.lost, block.highest) == (0, 40002)


def test_a_single_stray_number_changes_nothing() -> None:
    made = receiver()
    for sequence in (1, 2, 40000, 3, 4):
        made.receive(packet(sequence), 1.0)
    block = made.block(1.0)
    assert block is not None
    assert block.highest == 4


def test_another_source_begins_with_fresh_numbers_and_keys() -> None:
    made = receiver()
    event = bytes([1, 0x8A, 0, 160])
    assert made.receive(packet(1, payload_type=101, payload=event, timestamp=5000), 1.0) == "1"
    assert made.receive(packet(9000, ssrc=8, payload_type=101, payload=event, timestamp=5000), 1.0) == "1"
    block = made.block(1.0)
    assert block is not None
    assert (block.ssrc, block.lost, block.highest) == (8, 0, 9000)


@pytest.mark.parametrize(
    ("delays", "jitter"),
    [([0.0] * 50, 0), ([0.0, 0.01] * 200, 79), ([0.005] * 50, 0)],
)
def test_jitter(delays: list[float], jitter: int) -> None:
    made = receiver()
    for sequence, delay in enumerate(delays):
        made.receive(packet(sequence), 100.0 + sequence * 0.02 + delay)
    assert int(made.jitter) == jitter


def test_keys_do_not_disturb_the_jitter() -> None:
    made = receiver()
    for sequence in range(10):
        made.receive(packet(sequence), sequence * 0.02)
        made.receive(packet(sequence, payload_type=101, payload=bytes([1, 10, 0, 160]), timestamp=77), sequence * 0.02)
    assert made.jitter < 1


def test_audio_goes_to_the_sink() -> None:
    made = receiver()
    heard: list[tuple[int, bytes]] = []
    made.sink = lambda timestamp, pcm: heard.append((timestamp, pcm))
    made.receive(packet(3), 0.0)
    made.receive(Packet(0, 4, 640, 7, SOUND, csrc=(1, 2), extension=(1, b"abcd")).to_bytes(), 0.0)
    made.receive(packet(5, payload_type=13, payload=b"\x40"), 0.0)
    assert heard == [(480, decode(SOUND, "PCMU")), (640, decode(SOUND, "PCMU"))]
    assert made.packets == 3


@pytest.mark.parametrize(
    ("data", "plausible"),
    [
        (packet(1), True),
        (packet(1, payload_type=101, payload=b"\1\x0a\0\1"), True),
        (packet(1, payload_type=13), True),
        (packet(1, payload_type=8), False),
        (packet(1)[:11], False),
        (b"\x00" + packet(1)[1:], False),
        (b"\x80\xc8" + bytes(30), False),  # RTCP
        (b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12), False),  # STUN
    ],
)
def test_what_could_be_of_this_session(data: bytes, plausible: bool) -> None:
    made = receiver()
    assert made.plausible(data) is plausible
    made.receive(data, 5.0)
    assert (made.packets, made.strange) == ((1, 0) if plausible else (0, 1))
    assert made.heard == (5.0 if plausible else 0.0)


def test_the_other_sides_report_is_answered_with_its_time() -> None:
    made = receiver()
    made.receive(packet(1), 1.0)
    made.reported(
        Report(7, Sent(0x1122334455667788, 0, 0, 0), (Block(99, 0, 12, 0, 34), Block(5, 0, 1, 0, 1))), 99, 2.0
    )
    assert (made.remote_lost, made.remote_jitter) == (12, 34)
    block = made.block(3.5)
    assert block is not None
    assert (block.last_report, block.delay) == (0x33445566, 98304)


def test_nothing_heard_is_nothing_reported() -> None:
    assert receiver().block(1.0) is None
    assert receiver().lost == 0


@pytest.mark.parametrize("path", seeds("pjproject-fuzz-rtp", "pjproject-fuzz-rtcp"), ids=lambda path: path.name)
def test_seeds(path: Path) -> None:
    data = read_seed(path)
    made = receiver()
    made.sink = lambda timestamp, pcm: None
    for start in range(len(data)):
        made.receive(data[start:], 0.0)


@settings(max_examples=30)
@given(st.lists(st.binary(max_size=40)))
def test_bytes_do_no_harm(datagrams: list[bytes]) -> None:
    made = receiver()
    made.sink = lambda timestamp, pcm: None
    for data in datagrams:
        made.receive(b"\x80\x00" + data, 0.0)
        made.receive(b"\xb1\x65" + data, 0.0)
    made.block(1.0)
