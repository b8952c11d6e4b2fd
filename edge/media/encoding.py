"""How a fork carries audio: the four formats, from and to the PCM of 8 kHz that everything here works on.

`ulaw` and `alaw` are G.711; `slin` and `slin16` are linear samples of 16 bit at 8 and 16 kHz. In RTP linear samples are
in network byte order (RFC 3551 §4.5.11) under the payload types that Asterisk gives them, elsewhere in little-endian.
"""

from __future__ import annotations

import warnings
from typing import Literal, NamedTuple, get_args

from edge.media.g711 import RATE, WIDTH, Codec, decode, encode
from edge.media.rate import Rate

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # see g711.py
    import audioop

Format = Literal["ulaw", "alaw", "slin", "slin16"]
FORMATS: tuple[Format, ...] = get_args(Format)

_LAWS: dict[Format, Codec] = {"ulaw": "PCMU", "alaw": "PCMA"}


class Encoding(NamedTuple):
    """One format: samples a second, bytes of a sample, and the payload type in RTP."""

    format: Format
    rate: int
    width: int
    payload_type: int


ENCODINGS: dict[Format, Encoding] = {
    "ulaw": Encoding("ulaw", RATE, 1, 0),
    "alaw": Encoding("alaw", RATE, 1, 8),
    "slin": Encoding("slin", RATE, WIDTH, 11),
    "slin16": Encoding("slin16", 2 * RATE, WIDTH, 118),
}


class Encoder:
    """PCM of 8 kHz to a format, piece by piece."""

    def __init__(self, encoding: Encoding, *, network_order: bool) -> None:
        self._law = _LAWS.get(encoding.format)
        self._rate = Rate(RATE, encoding.rate) if encoding.rate != RATE else None
        self._swap = network_order and encoding.width == WIDTH

    def __call__(self, pcm: bytes) -> bytes:
        if self._law is not None:
            return encode(pcm, self._law)
        if self._rate is not None:
            pcm = self._rate(pcm)
        return audioop.byteswap(pcm, WIDTH) if self._swap else pcm


class Decoder:
    """A format to PCM of 8 kHz, piece by piece; half a sample waits for its other half."""

    def __init__(self, encoding: Encoding, *, network_order: bool) -> None:
        self._law = _LAWS.get(encoding.format)
        self._rate = Rate(encoding.rate, RATE) if encoding.rate != RATE else None
        self._swap = network_order and encoding.width == WIDTH
        self._half = b""

    def __call__(self, data: bytes) -> bytes:
        if self._law is not None:
            return decode(data, self._law)
        data = self._half + data
        self._half = data[len(data) // WIDTH * WIDTH :]
        pcm = data[: len(data) // WIDTH * WIDTH]
        if self._swap:
            pcm = audioop.byteswap(pcm, WIDTH)
        return self._rate(pcm) if self._rate is not None else pcm
