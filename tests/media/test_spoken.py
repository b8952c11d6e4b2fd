"""Speech in a folder: whole files only, the longest unused go first, and what is broken is as good as not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge.media.audio import Audio, write_wav
from edge.media.spoken import STALE_NS, SpokenFiles

SECOND = Audio(b"\x01\x02" * 8000)
BYTES = len(write_wav(SECOND.pcm))


def put(files: SpokenFiles, folder: Path, *keys: str) -> None:
    """Write these, each a second after the one before."""
    for key in keys:
        files.write(key, SECOND)
        times = [path.stat().st_mtime_ns for path in folder.iterdir() if path.stem != key]
        latest = max(times, default=10**18) + 10**9
        os.utime(folder / f"{key}.wav", ns=(latest, latest))


def names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.iterdir())


def test_what_was_written_is_read_by_whoever_comes_next(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "speech"
    SpokenFiles(folder, 10**6).write("key", SECOND)
    assert SpokenFiles(folder, 10**6).read("key") == SECOND
    assert SpokenFiles(folder, 10**6).read("other") is None
    assert [path.name for path in folder.iterdir()] == ["key.wav"]
    assert (folder / "key.wav").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


def test_the_longest_unused_go_when_there_is_too_much(tmp_path: Path) -> None:
    files = SpokenFiles(tmp_path, 4 * BYTES)
    put(files, tmp_path, "a", "b", "c", "d")
    assert names(tmp_path) == ["a", "b", "c", "d"]
    assert files.read("a") == SECOND  # a is used now
    put(files, tmp_path, "e")
    assert names(tmp_path) == ["a", "d", "e"]


def test_nothing_is_written_without_room(tmp_path: Path) -> None:
    files = SpokenFiles(tmp_path / "none", 0)
    files.write("a", SECOND)
    assert files.read("a") is None
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("content", [b"", b"RIFF", write_wav(SECOND.pcm)[:1000]])
def test_what_is_no_audio_is_deleted(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    assert SpokenFiles(tmp_path, 10**6).read("a") is None
    assert names(tmp_path) == []


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = SpokenFiles(tmp_path, 10**6)
    files.write("a", SECOND)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        files.write("b", SECOND)
    assert names(tmp_path) == ["a"]


def test_a_file_that_was_begun_long_ago_goes_and_one_of_now_stays(tmp_path: Path) -> None:
    files = SpokenFiles(tmp_path, 10**6)
    for name, age in (("old", 2 * STALE_NS), ("new", 0)):
        path = tmp_path / f"{name}.part"
        path.write_bytes(b"x")
        changed = path.stat().st_mtime_ns - age
        os.utime(path, ns=(changed, changed))
    (tmp_path / "notes.txt").write_text("somebody else's")
    files.write("a", SECOND)
    assert names(tmp_path) == ["a", "new", "notes"]


def test_the_folder_is_looked_through_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = SpokenFiles(tmp_path, 100 * BYTES)
    looked = 0
    scan = os.scandir

    def count(path: Path) -> object:
        nonlocal looked
        looked += 1
        return scan(path)

    monkeypatch.setattr(os, "scandir", count)
    for number in range(31):
        files.write(str(number), SECOND)
    assert looked == 6
