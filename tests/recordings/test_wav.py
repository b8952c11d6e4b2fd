"""The file of a take: right after each write, and put right when the last word was not written."""

from __future__ import annotations

import os
import wave
from pathlib import Path

import pytest

from edge.recordings import wav
from tests.recordings.sound import packet


def read(path: Path) -> tuple[int, int, int, bytes]:
    with wave.open(str(path)) as file:
        return file.getnchannels(), file.getsampwidth(), file.getframerate(), file.readframes(10**6)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "take.wav"
    found.write_bytes(wav.header(0))
    return found


def test_it_is_right_after_each_write_also_into_what_was_written(path: Path) -> None:
    file = os.open(path, os.O_RDWR)
    one, two, three = (packet(number) * 2 for number in range(3))
    wav.write(file, 0, one)
    assert read(path) == (2, 2, 8000, one)
    wav.write(file, 160, two)
    assert read(path) == (2, 2, 8000, one + two)
    wav.write(file, 80, three)
    assert read(path) == (2, 2, 8000, one[:320] + three + two[320:])
    os.close(file)


@pytest.mark.parametrize("size", [0, 10, 44, 45, 47, 48, 44 + 640, 44 + 643])
def test_what_a_crash_left_is_completed(path: Path, size: int) -> None:
    whole = wav.header(7) + packet(1) * 2
    path.write_bytes(whole[:size])
    frames = wav.complete(path)
    assert frames == max(0, size - 44) // 4
    assert read(path) == (2, 2, 8000, whole[44 : 44 + frames * 4])
    assert wav.complete(path) == frames
