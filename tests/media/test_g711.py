"""Both laws, held against the formulas of G.711 written out."""

from __future__ import annotations

import subprocess
import sys
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.media import g711
from edge.media.g711 import CODECS, Codec, convert, decode, encode, silence

ALL = bytes(range(256))


def ulaw_value(byte: int) -> int:
    """G.711 table 2, scaled to 16 bit."""
    byte = ~byte & 0xFF
    exponent, mantissa = byte >> 4 & 7, byte & 15
    magnitude = ((mantissa << 3) + 0x84 << exponent) - 0x84
    return -magnitude if byte & 0x80 else magnitude


def alaw_value(byte: int) -> int:
    """G.711 table 1, scaled to 16 bit."""
    byte ^= 0x55
    exponent, mantissa = byte >> 4 & 7, byte & 15
    magnitude = (mantissa << 4) + 8 if exponent == 0 else (mantissa << 4) + 0x108 << exponent - 1
    return magnitude if byte & 0x80 else -magnitude


@pytest.mark.parametrize(("codec", "value"), [("PCMU", ulaw_value), ("PCMA", alaw_value)])
def test_decoding_is_the_standards(codec: Codec, value: object) -> None:
    assert callable(value)
    assert list(array("h", decode(ALL, codec))) == [value(byte) for byte in ALL]


@pytest.mark.parametrize("codec", CODECS)
def test_every_byte_survives_the_round_trip(codec: Codec) -> None:
    changed = [
        (before, after) for before, after in zip(ALL, encode(decode(ALL, codec), codec), strict=True) if before != after
    ]
    assert changed == ([(0x7F, 0xFF)] if codec == "PCMU" else [])  # µ-law's second zero


@settings(max_examples=30)
@given(sample=st.integers(-32768, 32767), codec=st.sampled_from(CODECS))
def test_encoding_takes_a_level_near_by(sample: int, codec: Codec) -> None:
    heard = array("h", decode(encode(array("h", [sample]).tobytes(), codec), codec))[0]
    assert abs(heard - sample) <= max(16, abs(sample) / 16)


@pytest.mark.parametrize(("source", "target"), [(a, b) for a in CODECS for b in CODECS])
def test_one_law_into_the_other(source: Codec, target: Codec) -> None:
    assert convert(ALL, source, target) == (ALL if source == target else encode(decode(ALL, source), target))


@pytest.mark.parametrize("codec", CODECS)
def test_silence_is_as_quiet_as_the_law_can_be(codec: Codec) -> None:
    assert len(silence(codec, 160)) == 160
    assert set(array("h", decode(silence(codec, 160), codec))) == ({0} if codec == "PCMU" else {8})


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="3 bytes"):
        encode(b"abc", "PCMU")


def test_nobody_is_bothered_with_deprecations() -> None:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"import {g711.__name__}, edge.media.audio"],
        capture_output=True,
        text=True,
    )
    assert run.stderr == ""
