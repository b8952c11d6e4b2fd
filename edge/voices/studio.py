"""What voices are given to work with, and how they are built from the configuration."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.errors import Fault, Invalid
from edge.http import Guard
from edge.media.speech import Speaker, Speech, SpeechSection
from edge.media.transport.loading import shared
from edge.media.voice import VOICES, VoiceSection


@dataclass(frozen=True, slots=True)
class Studio:
    """Where a voice stands."""

    guard: Guard


def build_voices(sections: Sequence[VoiceSection], studio: Studio) -> dict[str, Speaker]:
    """All voices by name. Raises Invalid when two have one name. `edge.voices` must be loaded."""
    speakers: dict[str, Speaker] = {}
    for index, section in enumerate(sections):
        if section.name in speakers:
            raise Invalid(
                "two voices have one name",
                faults=[Fault(f"voices[{index}].name", f"{section.name} is the name of another voice already")],
            )
        kind: Any = VOICES.get(section.kind)
        speakers[section.name] = Speaker(section, kind(section, studio))
    return speakers


def open_speech(section: SpeechSection, speakers: Mapping[str, Speaker], folder: Path) -> Speech:
    """The speech of a running daemon: threads, tasks and clock of its event loop."""
    gate = asyncio.Semaphore(section.at_once)

    @asynccontextmanager
    async def turn() -> AsyncIterator[None]:
        async with asyncio.timeout(section.deadline_seconds), gate:
            yield

    return Speech(
        speakers,
        section,
        folder,
        turn=turn,
        in_thread=asyncio.to_thread,
        shared=shared,
        now=time.monotonic,
    )
