"""Prompts by the threads and tasks of a real loop."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from edge.errors import Invalid
from edge.media.audio import Audio, write_wav
from edge.media.section import MediaSection
from edge.media.transport.loading import open_prompts
from tests.media.conftest import sine

HELLO = Audio(sine(440, 8000, 0.2).tobytes())


async def test_the_prompts_of_a_running_daemon(tmp_path: Path) -> None:
    (tmp_path / "hello.wav").write_bytes(write_wav(HELLO.pcm))

    async def fetch(url: str) -> bytes:
        return write_wav(HELLO.pcm[:320])

    prompts = open_prompts(MediaSection(prompts=tmp_path), fetch)
    heard = await asyncio.gather(*(prompts.load("hello.wav") for _ in range(3)))
    assert heard[0] == HELLO
    assert heard[0] is heard[2]
    assert (await prompts.load("http://x/y.wav")).pcm == HELLO.pcm[:320]
    with pytest.raises(Invalid):
        await prompts.load("../hello.wav")
