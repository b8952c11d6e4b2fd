"""What the tests of media share: third-party vectors, WAV files made to order, an engine and a phone to call it."""

from __future__ import annotations

import math
import os
import struct
from array import array
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from edge.media.section import MediaSection
from edge.media.transport.engine import MediaEngine
from tests.media.phone import Phone

ROOT = Path(__file__).resolve().parents[2]


def seeds(*folders: str) -> list[Path]:
    """The files of these folders of third-party seeds; one placeholder when they are not there."""
    base = Path(os.environ.get("EDGE_VECTORS", ROOT.parent / "shared" / "vectors")) / "seeds"
    found = sorted(path for folder in folders for path in (base / folder).rglob("*") if path.is_file())
    return found or [base]


def read_seed(path: Path) -> bytes:
    if not path.is_file():
        pytest.skip(f"third-party vectors are not there: {path}")
    return path.read_bytes()


def sine(hertz: float, rate: int, seconds: float, channels: int = 1, peak: float = 0.5) -> array[int]:
    """Samples of 16 bit, the same in each channel."""
    turn = 2 * math.pi * hertz / rate
    return array(
        "h", [round(32767 * peak * math.sin(turn * n)) for n in range(int(rate * seconds)) for _ in range(channels)]
    )


def wav(data: bytes, rate: int = 8000, channels: int = 1, bits: int = 16, kind: int = 1, extra: bytes = b"") -> bytes:
    """A WAV file. `extra` are chunks that stand between the format and the data."""
    block = channels * bits // 8
    form = struct.pack("<HHIIHH", kind, channels, rate, rate * block, block, bits)
    body = b"WAVE" + chunk(b"fmt ", form) + extra + chunk(b"data", data)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


@pytest.fixture
async def engine() -> AsyncIterator[MediaEngine]:
    made = MediaEngine(MediaSection(first_port=17000, last_port=17999, press_ms=60, gap_ms=40))
    await made.start()
    yield made
    await made.close()


@pytest.fixture
def phone() -> Iterator[Phone]:
    with Phone() as made:
        yield made
