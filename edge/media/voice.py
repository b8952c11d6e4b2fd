"""The contract of a voice: it speaks a phrase.

A voice is one file in `edge/voices`: its section of the configuration, and a class that enters itself here. It does not
cache, queue, count or limit the time: the host does (`speech.py`), and cancels `speak` when it takes too long. What
only the operator can put right is told by `lack` when the daemon starts, and by `speak` each time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from pydantic import Field

from edge.media.audio import Audio
from edge.media.ssml import Phrase
from edge.plugins import Plugins
from edge.settings import KindSection

LANGUAGE = r"^([A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,4})?$"  # BCP 47, as far as voices go; or none


class VoiceSection(KindSection):
    """A voice. `kind` says which, and thereby which other keys there are."""

    languages: list[str] = Field(
        default_factory=list,
        description="Languages (de, pt-BR) it speaks for flows that name no provider; the first voice that fits does."
        " Empty: all.",
    )
    language: str = Field(default="en-US", pattern=LANGUAGE, description="Language of texts that do not say theirs.")

    @classmethod
    def table(cls) -> Plugins[Voice]:
        return VOICES


class Voice(ABC):
    """A voice, or the many of an engine. A kind sets `kind` and `section`, and is built with its section and studio."""

    kind: ClassVar[str]
    section: ClassVar[type[VoiceSection]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        VOICES.add(cls.kind, cls)

    @abstractmethod
    def __init__(self, section: Any, studio: Any) -> None: ...

    @abstractmethod
    def lack(self) -> str:
        """What is missing for it to speak, in a sentence; "" when nothing is."""

    @abstractmethod
    async def speak(self, phrase: Phrase, language: str, voice: str) -> Audio:
        """The phrase in a language (BCP 47), by one of its voices ("": the one for that language).

        Raises Invalid for a language or voice it does not have, and for a phrase that lasts longer than
        `audio.MAX_SECONDS`; Unavailable when what it needs is away.
        """


VOICES: Plugins[Voice] = Plugins("voice")


def speaks(section: VoiceSection, language: str) -> bool:
    """Whether a flow that names no provider gets this voice for the language."""
    wanted = language.lower()
    return not section.languages or any(
        wanted == one.lower() or wanted.startswith(f"{one.lower()}-") for one in section.languages
    )
