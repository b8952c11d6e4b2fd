"""Inputs out of inputs, by chance that is the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

MOST: Final = 4096  # octets of one input: what is longer is cut, so that each try is short
WORDS: Final = (
    *(
        b"\r\n",
        b"\r\n\r\n",
        b"\n",
        b"\x00",
        b"\xff",
        b" ",
        b"\t",
        b",",
        b";",
        b"=",
        b'"',
        b"\\",
        b"<",
        b">",
        b"%",
        b"%00",
    ),
    *(b"[::1]", b"4294967296", b"-1", b"99999999999999999999", b"0", b"65536", b"sip:", b"tel:", b"@", b":", b"/"),
    *(b"z9hG4bK", b"Content-Length: 7", b"Content-Length: -7", b"m=audio 0 RTP/AVP 0", b"c=IN IP6 ::", b"a=crypto:1"),
    *(b"Via: ", b"To: ", b"CSeq: 1 ACK", b"multipart/mixed;boundary=x", b"--x", b"Digest ", b"nonce=", b"\xc3\x28"),
)

Step = Callable[[random.Random, bytes, Sequence[bytes]], bytes]


def mutated(seed: int, corpus: Sequence[bytes]) -> bytes:
    """The input of this number: one of the corpus, broken in one to eight places."""
    chance = random.Random(seed)
    data = chance.choice(corpus)[:MOST]
    for _ in range(chance.randint(1, 8)):
        data = chance.choice(STEPS)(chance, data, corpus)[:MOST]
    return data


def _flip(chance: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]


def _drop(chance: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + data[at + chance.randint(1, 40) :]


def _insert(chance: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + chance.choice(WORDS) + data[at:]


def _repeat(chance: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    at, length = chance.randrange(len(data) + 1), chance.randint(1, 60)
    return data[:at] + data[at : at + length] * chance.choice((2, 3, 50)) + data[at + length :]


def _swap_lines(chance: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    lines = data.split(b"\r\n")
    one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"\r\n".join(lines)


def _splice(chance: random.Random, data: bytes, corpus: Sequence[bytes]) -> bytes:
    other = chance.choice(corpus)
    return data[: chance.randrange(len(data) + 1)] + other[chance.randrange(len(other) + 1) :]


STEPS: Final[tuple[Step, ...]] = (_flip, _flip, _drop, _insert, _insert, _repeat, _swap_lines, _splice)
