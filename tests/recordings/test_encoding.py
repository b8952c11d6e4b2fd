"""WAV files into other formats, by a process of its own; and what is said where that cannot be done."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
import soundfile

from edge.actions.recording_start import RecordingStart
from edge.errors import Invalid, Unavailable
from edge.recordings import encoding, wav
from edge.recordings.take import Format

SECONDS = 3


def noise(path: Path) -> None:
    """Left is loud, right is silent."""
    path.write_bytes(wav.header(0))
    file = os.open(path, os.O_RDWR)
    frames = bytearray(os.urandom(4 * 8000 * SECONDS))
    frames[2::4] = frames[3::4] = bytes(8000 * SECONDS)
    wav.write(file, 0, bytes(frames))
    os.close(file)


@pytest.mark.parametrize("format", ["mp3", "ogg"])
async def test_both_sides_stay_where_they_are(tmp_path: Path, format: Format) -> None:
    noise(tmp_path / "a.wav")
    await encoding.encode(tmp_path / "a.wav", tmp_path / "a.part", format)
    samples, rate = soundfile.read(tmp_path / "a.part")
    left, right = (float((samples[:, side] ** 2).mean() ** 0.5) for side in (0, 1))
    assert rate == 8000
    assert len(samples) == pytest.approx(8000 * SECONDS, abs=3000)
    assert left > 0.2 > 20 * right


async def test_one_that_fails_leaves_nothing_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("This is not audio, though it is long enough for a header.")
    with pytest.raises(Unavailable, match=r"mp3 cannot be made: .*RIFF"):
        await encoding.encode(tmp_path / "a.wav", tmp_path / "a.mp3", "mp3")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wav"]


@pytest.mark.parametrize("slow", [False, True], ids=["given up", "too slow"])
async def test_one_that_is_ended_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow: bool) -> None:
    noise(tmp_path / "a.wav")
    if slow:
        monkeypatch.setattr(encoding, "ENCODE_SECONDS", 0.01)
    task = asyncio.create_task(encoding.encode(tmp_path / "a.wav", tmp_path / "a.mp3", "mp3"))
    await asyncio.sleep(0)
    if not slow:
        task.cancel()
    with pytest.raises(Unavailable if slow else asyncio.CancelledError):
        await task
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wav"]


def test_without_its_package_a_format_is_a_doubt_when_stored_and_a_fault_when_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(encoding, "find_spec", lambda name: None)
    needs = "needs the package soundfile: pip install 'edge[recording]'"
    assert list(RecordingStart(format="mp3").doubts()) == [("format", f"cannot be made on this edge: mp3 {needs}")]
    assert list(RecordingStart().doubts()) == []
    encoding.require("wav")
    with pytest.raises(Invalid, match="ogg needs the package"):
        encoding.require("ogg")
