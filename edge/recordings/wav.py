"""The WAV file of a take: its header says how long it is, and is put right when nobody came to say so."""

from __future__ import annotations

import os
from pathlib import Path
from struct import Struct
from typing import Final

from edge.recordings.timeline import FRAME, RATE, WIDTH

HEADER_BYTES: Final = 44

_HEADER: Final = Struct("<4sI4s4sIHHIIHH4sI")
_PCM: Final = 1
_CHANNELS: Final = 2


def header(frames: int) -> bytes:
    """That of so many frames: stereo, 16 bit, 8 kHz."""
    size = frames * FRAME
    return _HEADER.pack(
        *(b"RIFF", HEADER_BYTES - 8 + size, b"WAVE"),
        *(b"fmt ", 16, _PCM, _CHANNELS, RATE, RATE * FRAME, FRAME, 8 * WIDTH),
        *(b"data", size),
    )


def write(file: int, place: int, pcm: bytes) -> None:
    """Write frames to their place, and what the header has to say then. Raises OSError."""
    at = HEADER_BYTES + place * FRAME
    view = memoryview(pcm)
    while view:
        count = os.pwrite(file, view, at)
        view, at = view[count:], at + count
    os.pwrite(file, header((max(os.fstat(file).st_size, HEADER_BYTES) - HEADER_BYTES) // FRAME), 0)


def complete(path: Path) -> int:
    """Put the header right by what is there, and have all of it on the disk; returns the number of frames.

    Raises OSError.
    """
    with path.open("r+b") as file:
        frames = max(0, os.fstat(file.fileno()).st_size - HEADER_BYTES) // FRAME
        file.truncate(HEADER_BYTES + frames * FRAME)
        file.write(header(frames))
        file.flush()
        os.fsync(file.fileno())
    return frames
