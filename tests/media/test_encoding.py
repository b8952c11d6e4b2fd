"""The formats of forks, there and back."""

from __future__ import annotations

from array import array

import pytest

from edge.media.encoding import ENCODINGS, FORMATS, Decoder, Encoder, Format
from edge.media.g711 import decode, encode
from tests.media.conftest import sine

TONE = sine(440, 8000, 0.1).tobytes()


def through(name: Format, pieces: int, *, network_order: bool = False) -> bytes:
    encoding = ENCODINGS[name]
    there = Encoder(encoding, network_order=network_order)
    back = Decoder(encoding, network_order=network_order)
    wire = b"".join(there(TONE[at : at + 320]) for at in range(0, len(TONE), 320))
    return b"".join(back(wire[at : at + pieces]) for at in range(0, len(wire), pieces))


@pytest.mark.parametrize("network_order", [False, True])
@pytest.mark.parametrize("pieces", [1, 3, 160, 100_000])
def test_there_and_back(pieces: int, network_order: bool) -> None:
    assert through("slin", pieces, network_order=network_order) == TONE
    assert through("ulaw", pieces, network_order=network_order) == decode(encode(TONE, "PCMU"), "PCMU")
    assert through("alaw", pieces, network_order=network_order) == decode(encode(TONE, "PCMA"), "PCMA")
    wide = array("h", through("slin16", pieces, network_order=network_order))
    error = [abs(a - b) for a, b in zip(wide[50:], array("h", TONE)[50:], strict=False)]
    assert len(wide) > 700
    assert max(error) < 400


def test_the_order_of_bytes() -> None:
    assert Encoder(ENCODINGS["slin"], network_order=True)(b"\x01\x02") == b"\x02\x01"
    assert Encoder(ENCODINGS["slin"], network_order=False)(b"\x01\x02") == b"\x01\x02"
    assert Decoder(ENCODINGS["slin"], network_order=True)(b"\x02\x01") == b"\x01\x02"


def test_a_wide_second_has_twice_the_samples() -> None:
    encoder = Encoder(ENCODINGS["slin16"], network_order=False)
    assert len(encoder(bytes(16_000)) + encoder(bytes(320))) == pytest.approx(2 * 16_320, abs=4 * 20)


def test_each_format_has_its_type_and_width() -> None:
    assert {name: (one.rate, one.width, one.payload_type) for name, one in ENCODINGS.items()} == {
        "ulaw": (8000, 1, 0),
        "alaw": (8000, 1, 8),
        "slin": (8000, 2, 11),
        "slin16": (16000, 2, 118),
    }
    assert tuple(ENCODINGS) == FORMATS
