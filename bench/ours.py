"""Our own side of the bench: its configuration, its database with all numbers, and its greeting."""

from __future__ import annotations

import math
import socket
import struct
import wave
from collections.abc import Iterator
from pathlib import Path

NUMBERS = 10_000
SECONDS = 3.0
TARGET = "sip:flow@127.0.0.1:5099"
GREETED = "+15559000000"  # has the greeting bound
HELD = "+15559000001"  # rings, unanswered


def numbers() -> Iterator[str]:
    """The numbers in the table, all bound to a redirect."""
    return (f"+1555{n:07}" for n in range(NUMBERS))


def strangers() -> Iterator[str]:
    """As many numbers that nobody has."""
    return (f"+1666{n:07}" for n in range(NUMBERS))


def write_numbers(path: Path, them: Iterator[str]) -> Path:
    """A file for SIPp's -inf."""
    path.write_text("SEQUENTIAL\n" + "".join(f"{number};\n" for number in them))
    return path


def fill_redis(sock: Path) -> None:
    """The same numbers for a peer that reads Redis itself: `bench:<number>` → target."""
    command = b"".join(_command(b"SET", b"bench:" + number.encode(), TARGET.encode()) for number in numbers())
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(sock))
        connection.sendall(command)
        answers = b""
        while answers.count(b"+OK\r\n") < NUMBERS:
            answers += connection.recv(65536)


def _command(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def write_greeting(path: Path) -> None:
    """Three seconds of a tone as WAV, 8 kHz, mono, 16 bit."""
    samples = (round(8000 * math.sin(2 * math.pi * 440 * n / 8000)) for n in range(int(8000 * SECONDS)))
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))


def configure(folder: Path, port: int) -> Path:
    raise RuntimeError("not built yet")


def fill(config: Path, folder: Path, job: str) -> None:
    raise RuntimeError("not built yet")


def ready(folder: Path) -> bool:
    raise RuntimeError("not built yet")
