"""G.711: samples to bytes and back, in µ-law and A-law, and one law into the other.

The work is done by `audioop`, in C: part of Python up to 3.12, the package `audioop-lts` under the same name from 3.13
on. One law becomes the other by a table of 256 bytes, which takes 0.2 µs for a frame.

Not nice: µ-law knows two zeros. 0x7F decodes to 0, which encodes to 0xFF; no other byte changes on such a round trip.
"""

from __future__ import annotations

import warnings
from typing import Literal, get_args

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # 3.11 and 3.12 announce what audioop-lts has since put right
    import audioop

Codec = Literal["PCMU", "PCMA"]
CODECS: tuple[Codec, ...] = get_args(Codec)
RATE = 8000  # samples a second, RFC 3551 §4.5.14
SAMPLES_PER_MS = RATE // 1000
WIDTH = 2  # bytes of a linear sample

STATIC_TYPE: dict[Codec, int] = {"PCMU": 0, "PCMA": 8}  # RFC 3551 §6, table 4
ZERO: dict[Codec, bytes] = {"PCMU": b"\xff", "PCMA": b"\xd5"}  # one sample of silence


def encode(pcm: bytes, codec: Codec) -> bytes:
    """PCM to one byte a sample. Raises ValueError when `pcm` is not whole samples."""
    if len(pcm) % WIDTH:
        raise ValueError(f"{len(pcm)} bytes are not whole samples of {WIDTH}")
    return audioop.lin2ulaw(pcm, WIDTH) if codec == "PCMU" else audioop.lin2alaw(pcm, WIDTH)


def decode(data: bytes, codec: Codec) -> bytes:
    """One byte a sample to PCM."""
    return audioop.ulaw2lin(data, WIDTH) if codec == "PCMU" else audioop.alaw2lin(data, WIDTH)


def energy(pcm: bytes) -> int:
    """The root mean square of samples."""
    return audioop.rms(pcm, WIDTH)


def share(pcm: bytes, wave: bytes) -> float:
    """How much of a wave is in as many samples: the factor that fits best."""
    return audioop.findfactor(pcm, wave)


def silence(codec: Codec, samples: int) -> bytes:
    return ZERO[codec] * samples


def convert(data: bytes, source: Codec, target: Codec) -> bytes:
    """Encoded samples in the other law (or unchanged, when it is the same)."""
    translation = table(source, target)
    return data if translation is None else data.translate(translation)


def table(source: Codec, target: Codec) -> bytes | None:
    """For `bytes.translate`: the other law's byte for each byte of the first; None when they are the same."""
    return None if source == target else _TO_PCMA if target == "PCMA" else _TO_PCMU


_ALL = bytes(range(256))
_TO_PCMA = encode(decode(_ALL, "PCMU"), "PCMA")
_TO_PCMU = encode(decode(_ALL, "PCMA"), "PCMU")
