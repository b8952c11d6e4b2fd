"""Where prompts may come from, and how often they are really read."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest

from edge.errors import Invalid, Unavailable
from edge.media import prompt
from edge.media.audio import Audio
from edge.media.prompt import RECHECK_SECONDS, REFETCH_SECONDS, Prompts, read_seconds
from tests.media.conftest import sine, wav

T = TypeVar("T")
PCM = sine(440, 8000, 0.05).tobytes()


class World:
    """Prompts whose clock, threads and web are in our hand."""

    def __init__(self, directory: Path, cache_bytes: int = 10**9) -> None:
        self.time = 0.0
        self.web: dict[str, bytes] = {}
        self.fetched: list[str] = []
        self.jobs = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.prompts = Prompts(
            directory,
            self.fetch,
            in_thread=self.in_thread,
            shared=shared,
            now=lambda: self.time,
            cache_bytes=cache_bytes,
        )

    async def fetch(self, url: str) -> bytes:
        self.fetched.append(url)
        await self.gate.wait()
        if url not in self.web:
            raise Unavailable(f"{url}: is away")
        return self.web[url]

    async def in_thread(self, function: Callable[..., T], /, *args: Any) -> T:
        self.jobs += 1
        await self.gate.wait()
        return function(*args)

    async def load(self, source: str) -> Audio:
        return await self.prompts.load(source)


def shared(coroutine: Coroutine[Any, Any, Audio]) -> Callable[[], Awaitable[Audio]]:
    task = asyncio.ensure_future(coroutine)
    return lambda: asyncio.shield(task)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    inside = tmp_path / "prompts"
    (inside / "en").mkdir(parents=True)
    (inside / "hello.wav").write_bytes(wav(PCM))
    (inside / "en" / "bye.wav").write_bytes(wav(PCM[:400]))
    (tmp_path / "secret.wav").write_bytes(wav(PCM))
    (tmp_path / "prompts-of-others").mkdir()
    (tmp_path / "prompts-of-others" / "x.wav").write_bytes(wav(PCM))
    (inside / "link.wav").symlink_to("en/bye.wav")
    (inside / "out.wav").symlink_to("../secret.wav")
    (inside / "outside").symlink_to(tmp_path)
    (inside / "loop.wav").symlink_to("loop.wav")
    (inside / "bad.wav").write_bytes(b"not audio")
    os.mkfifo(inside / "pipe.wav")
    return inside


@pytest.mark.parametrize(
    ("source", "samples"),
    [("hello.wav", 400), ("en/bye.wav", 200), ("./en/./bye.wav", 200), ("en//bye.wav", 200), ("link.wav", 200)],
)
async def test_files_below_the_directory(directory: Path, source: str, samples: int) -> None:
    assert (await World(directory).load(source)).pcm == PCM[: 2 * samples]


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("", "is empty"),
        ("x" * 3000, "longer than 2048"),
        ("/etc/passwd", "is absolute"),
        ("../secret.wav", "leaves the prompts directory"),
        ("en/../../secret.wav", "leaves the prompts directory"),
        ("en/../hello.wav", "leaves the prompts directory"),
        ("out.wav", "leaves the prompts directory"),
        ("outside/secret.wav", "leaves the prompts directory"),
        ("outside/prompts-of-others/x.wav", "leaves the prompts directory"),
        (".", "leaves the prompts directory"),
        ("en", "is not a file"),
        ("pipe.wav", "is not a file"),
        ("loop.wav", "cannot be opened"),
        ("missing.wav", "cannot be opened: No such file or directory"),
        ("hello.wav/x", "cannot be opened"),
        ("he\0llo.wav", "holds a NUL"),
        ("\ud800.wav", "cannot be opened"),
        ("file:///etc/passwd", "is neither a file name nor"),
        ("ftp://x/y.wav", "is neither a file name nor"),
        ("bad.wav", "byte 0: is not a RIFF/WAVE file"),
    ],
)
async def test_what_is_refused_is_named(directory: Path, source: str, what: str) -> None:
    with pytest.raises(Invalid) as caught:
        await World(directory).load(source)
    assert what in caught.value.message
    assert caught.value.message.startswith(source[:200].replace("\0", "\\0") + ": ")
    with pytest.raises(Invalid, match=f"^{re.escape(caught.value.message)}$"):
        read_seconds(directory, source)


def test_how_long_a_file_lasts(directory: Path) -> None:
    assert read_seconds(directory, "hello.wav") == len(PCM) / 16000


async def test_a_file_is_read_once_and_looked_at_now_and_then(directory: Path) -> None:
    world = World(directory)
    first = await world.load("hello.wav")
    assert await world.load("hello.wav") is first
    assert world.jobs == 1
    world.time = RECHECK_SECONDS
    assert await world.load("hello.wav") is first
    assert world.jobs == 2


async def test_a_changed_file_is_heard(directory: Path) -> None:
    world = World(directory)
    await world.load("hello.wav")
    (directory / "hello.wav").write_bytes(wav(PCM[:100]))
    world.time = RECHECK_SECONDS
    assert (await world.load("hello.wav")).pcm == PCM[:100]
    (directory / "hello.wav").unlink()
    world.time = 2 * RECHECK_SECONDS
    with pytest.raises(Invalid):
        await world.load("hello.wav")


async def test_many_who_want_the_same_cause_one_load(directory: Path) -> None:
    world = World(directory)
    world.gate.clear()
    waiting = [asyncio.ensure_future(world.load("hello.wav")) for _ in range(5)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting[0].cancel()
    world.gate.set()
    heard = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(heard[0], asyncio.CancelledError)
    assert {id(one) for one in heard[1:]} == {id(heard[1])}
    assert isinstance(heard[1], Audio)
    assert world.jobs == 1


async def test_a_failure_is_not_kept(directory: Path) -> None:
    world = World(directory)
    with pytest.raises(Invalid):
        await world.load("new.wav")
    (directory / "new.wav").write_bytes(wav(PCM))
    assert (await world.load("new.wav")).pcm == PCM


async def test_a_url_is_fetched_and_kept_for_a_while(directory: Path) -> None:
    world = World(directory)
    url = "https://example.com/a.wav"
    world.web[url] = wav(PCM)
    first = await world.load(url)
    assert first.pcm == PCM
    world.time = REFETCH_SECONDS - 1
    assert await world.load(url) is first
    world.time = REFETCH_SECONDS
    world.web[url] = wav(PCM[:100])
    assert (await world.load(url)).pcm == PCM[:100]
    assert world.fetched == [url, url]


async def test_a_url_that_went_away_is_played_on(directory: Path) -> None:
    world = World(directory)
    url = "HTTP://example.com/a.wav"
    world.web[url] = wav(PCM)
    await world.load(url)
    world.web.clear()
    world.time = REFETCH_SECONDS
    assert (await world.load(url)).pcm == PCM


@pytest.mark.parametrize(("body", "error"), [(None, Unavailable), (b"<html>", Invalid)])
async def test_a_url_that_gives_no_audio(directory: Path, body: bytes | None, error: type[Exception]) -> None:
    world = World(directory)
    if body is not None:
        world.web["http://example.com/a.wav"] = body
    with pytest.raises(error, match=r"http://example.com/a.wav: "):
        await world.load("http://example.com/a.wav")


async def test_the_longest_unused_goes_when_there_is_too_much(directory: Path) -> None:
    world = World(directory, cache_bytes=2 * len(PCM) + 2 * 400)
    await world.load("hello.wav")
    await world.load("en/bye.wav")
    await world.load("hello.wav")
    jobs = world.jobs
    (directory / "third.wav").write_bytes(wav(PCM[:400]))
    await world.load("third.wav")
    await world.load("hello.wav")
    assert world.jobs == jobs + 1
    await world.load("en/bye.wav")
    assert world.jobs == jobs + 2


async def test_a_file_that_is_too_big_is_not_read(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt, "MAX_FILE_BYTES", 100)
    with pytest.raises(Invalid, match=r"hello.wav: 844 bytes are more than 100"):
        await World(directory).load("hello.wav")
