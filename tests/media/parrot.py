"""A voice for tests: it says some samples for each character of a text, and remembers what it was asked.

It stands where an engine would be; the rest of speech, with its caches, is the real one.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

from pydantic import Field

from edge.errors import EdgeError
from edge.media.audio import Audio
from edge.media.speech import Speaker, Speech, SpeechSection
from edge.media.ssml import Phrase
from edge.media.voice import Voice, VoiceSection
from edge.voices.studio import open_speech


class ParrotSection(VoiceSection):
    kind: str = Field(default="parrot", description="A bird.")


class Parrot:
    """`gate` holds it up while it is closed; `fault` is what it raises; a character lasts `samples`."""

    def __init__(self, samples: int = 40) -> None:
        self.asked: list[tuple[Phrase, str, str]] = []
        self.samples = samples
        self.fault: EdgeError | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.busy = 0
        self.busiest = 0

    def lack(self) -> str:
        return "a cracker" if self.fault else ""

    async def speak(self, phrase: Phrase, language: str, voice: str) -> Audio:
        self.asked.append((phrase, language, voice))
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        try:
            await self.gate.wait()
        finally:
            self.busy -= 1
        if self.fault is not None:
            raise self.fault
        return said(phrase.text, self.samples)

    def speaker(self, name: str = "parrot", **settings: Any) -> Speaker:
        return Speaker(ParrotSection(name=name, **settings), cast("Voice", self))

    def speech(self, folder: Path, **settings: Any) -> Speech:
        """Speech that has this voice only."""
        return open_speech(SpeechSection(**settings), {"parrot": self.speaker()}, folder)


def said(text: str, samples: int = 40) -> Audio:
    return Audio(b"".join((1000 + 10 * (ord(character) % 256)).to_bytes(2, "little") * samples for character in text))
