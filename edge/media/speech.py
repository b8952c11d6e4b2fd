"""Speech: what the voices said, made once and kept.

A text is spoken once for each provider, language and voice, whoever asks: it is kept in memory and, for the next start,
in files (`spoken.py`). Several calls that want the same text at the same time cause one synthesis. Of others so many
are done at once, some wait, and more are refused; waiting and speaking have one deadline. A changed configuration of a
voice is another voice.

This file knows no event loop: `turn` is what a synthesis does under, a context that waits its turn and raises
TimeoutError when the deadline is over; `in_thread`, `shared` and `now` are as those of prompts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import Field

from edge.errors import EdgeError, Exhausted, Invalid, Unavailable
from edge.log import get_logger
from edge.media import ssml
from edge.media.audio import Audio, ready
from edge.media.prompt import InThread
from edge.media.shelf import Shared, Shelf
from edge.media.spoken import SpokenFiles
from edge.media.ssml import Phrase
from edge.media.voice import Voice, VoiceSection, speaks
from edge.metrics import counter, histogram
from edge.settings import Section

WAITING: Final = 100  # texts that are being spoken or wait for it; more are refused
FOREIGN: Final = frozenset({"gcp", "aws"})  # providers that flows from the platform name: our first voice stands in

_SPEECH = counter("speech_total", "Texts to speak, by where the speech came from.", ("outcome",))
_FROM_MEMORY, _FROM_DISK, _SPOKEN, _REFUSED, _FAILED = (
    _SPEECH.labels(outcome) for outcome in ("memory", "disk", "spoken", "refused", "failed")
)
_SECONDS = histogram("speech_seconds", "Time a voice took to speak a text.")

log = get_logger("speech")


class SpeechSection(Section):
    """Texts that flows speak, whatever the voice."""

    memory_mb: int = Field(default=64, ge=1, description="Memory for speech.")
    disk_mb: int = Field(
        default=256,
        ge=0,
        description="Disk for speech, below the data folder, as audio; 0: none, and a restart speaks all of it again.",
    )
    at_once: int = Field(default=2, ge=1, le=64, description="Texts that are being spoken at the same time.")
    deadline_seconds: float = Field(
        default=10.0, gt=0, le=120, description="A text that is not spoken after this time has failed."
    )


class Speaker(NamedTuple):
    """A voice with its configuration."""

    section: VoiceSection
    voice: Voice


class Speech:
    """What flows say. `speakers` by name, in the order in which they are considered."""

    def __init__(
        self,
        speakers: Mapping[str, Speaker],
        section: SpeechSection,
        folder: Path,
        *,
        turn: Callable[[], AbstractAsyncContextManager[None]],
        in_thread: InThread,
        shared: Shared,
        now: Callable[[], float],
    ) -> None:
        self._speakers = speakers
        self._turn = turn
        self._in_thread = in_thread
        self._now = now
        self._files = SpokenFiles(folder, section.disk_mb * 1024 * 1024)
        self._shelf: Shelf[Audio] = Shelf(section.memory_mb * 1024 * 1024, shared)
        self._waiting = 0

    async def speak(self, text: str, *, language: str, voice: str, provider: str) -> Audio:
        """The text, plain or SSML, by a voice of a provider; each may be "" for what the configuration says.

        Raises Invalid for a provider, language or voice that is not there and for a text without anything to say,
        Exhausted when too much else is being spoken, Unavailable when the voice is away or too slow.
        """
        phrase = ssml.read(text)
        if not phrase.text:
            raise Invalid("there is nothing to say")
        if provider in FOREIGN and provider not in self._speakers:
            provider = voice = ""  # its voices have names that ours have not
        speaker = self._choose(provider, language)
        language = language or speaker.section.language
        key = _key(speaker, phrase, language, voice)
        audio = self._shelf.find(key)
        if audio is not None:
            _FROM_MEMORY.inc()
            return audio
        return await self._shelf.once(key, lambda: self._find(key, speaker, phrase, language, voice))

    def lacks(self) -> dict[str, str]:
        """What keeps voices from speaking, by their names."""
        return {name: lack for name, speaker in self._speakers.items() if (lack := speaker.voice.lack())}

    def _choose(self, provider: str, language: str) -> Speaker:
        if provider:
            named = self._speakers.get(provider)
            if named is None:
                known = ", ".join(self._speakers) or "none"
                raise Invalid(f"there is no voice {provider[:40]!r} in the configuration, only {known}")
            return named
        for speaker in self._speakers.values():
            if speaks(speaker.section, language or speaker.section.language):
                return speaker
        raise Invalid(f"no voice of the configuration is for {language or 'a text without a language'}")

    async def _find(self, key: str, speaker: Speaker, phrase: Phrase, language: str, voice: str) -> Audio:
        audio = await self._in_thread(self._files.read, key)
        if audio is not None:
            _FROM_DISK.inc()
        else:
            audio = await self._make(speaker, phrase, language, voice)
            await self._save(key, audio)
        await self._in_thread(ready, audio)
        self._shelf.keep(key, audio, audio.cost)
        return audio

    async def _make(self, speaker: Speaker, phrase: Phrase, language: str, voice: str) -> Audio:
        if self._waiting >= WAITING:
            _REFUSED.inc()
            raise Exhausted(f"{WAITING} texts are being spoken already")
        self._waiting += 1
        began = self._now()
        try:
            async with self._turn():
                audio = await speaker.voice.speak(phrase, language, voice)
        except EdgeError:
            _FAILED.inc()
            raise
        except TimeoutError:
            _FAILED.inc()
            raise Unavailable(f"{speaker.section.name}: not spoken in time") from None
        finally:
            self._waiting -= 1
        _SPOKEN.inc()
        _SECONDS.observe(self._now() - began)
        return audio

    async def _save(self, key: str, audio: Audio) -> None:
        """A disk that does not take it costs a synthesis after the next start, and no call its words."""
        try:
            await self._in_thread(self._files.write, key, audio)
        except OSError as error:
            log.warning("speech not kept on disk", error=str(error))


def _key(speaker: Speaker, phrase: Phrase, language: str, voice: str) -> str:
    """Like the name of a file: what was said cannot be read from it."""
    said = [speaker.section.model_dump(mode="json", exclude={"languages"}), language.lower(), voice, *phrase]
    return sha256(json.dumps(said, ensure_ascii=True, sort_keys=True).encode()).hexdigest()
