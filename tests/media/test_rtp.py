from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.media.rtp import BadRtp, Packet, read
from tests.media.conftest import read_seed, seeds

packets = st.builds(
    Packet,
    payload_type=st.integers(0, 127),
    sequence=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFFFFFF),
    ssrc=st.integers(0, 0xFFFFFFFF),
    payload=st.binary(max_size=200),
    marker=st.booleans(),
    csrc=st.lists(st.integers(0, 0xFFFFFFFF), max_size=15).map(tuple),
    extension=st.none()
    | st.tuples(
        st.integers(0, 0xFFFF),
        st.integers(0, 5).flatmap(lambda words: st.binary(min_size=4 * words, max_size=4 * words)),
    ),
)


@settings(max_examples=30)
@given(packets)
def test_a_packet_prints_itself(packet: Packet) -> None:
    assert read(packet.to_bytes()) == packet


@settings(max_examples=30)
@given(packets, st.integers(1, 255))
def test_padding_is_taken_off(packet: Packet, padding: int) -> None:
    data = packet.to_bytes()
    padded = bytes([data[0] | 0x20]) + data[1:] + bytes(padding - 1) + bytes([padding])
    assert read(padded) == packet


HEADER = bytes([0x80, 0]) + bytes(10)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "few"),
        (HEADER[:11], "few"),
        (b"\x40" + HEADER[1:], "version 1"),
        (b"\x81" + HEADER[1:], "contributing"),
        (b"\x90" + HEADER[1:], "extension"),
        (b"\x90" + HEADER[1:] + b"\0\0\0\1", "extension"),
        (b"\xa0" + HEADER[1:], "padding"),
        (b"\xa0" + HEADER[1:] + b"\0", "padding"),
        (b"\xa0" + HEADER[1:] + b"\0\3", "padding"),
    ],
)
def test_what_is_no_packet(data: bytes, what: str) -> None:
    with pytest.raises(BadRtp, match=what):
        read(data)


@pytest.mark.parametrize("path", seeds("pjproject-fuzz-rtp", "pjproject-fuzz-rtcp"), ids=lambda path: path.name)
def test_seeds(path: Path) -> None:
    data = read_seed(path)
    for start in range(len(data)):
        try:
            read(data[start:])
        except BadRtp:
            pass


@settings(max_examples=30)
@given(st.binary(max_size=64))
def test_bytes_are_a_packet_or_none(data: bytes) -> None:
    try:
        packet = read(data)
    except BadRtp:
        return
    assert read(packet.to_bytes()) == packet
