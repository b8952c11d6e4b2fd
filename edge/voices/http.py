"""A voice behind a URL: somebody's server, or ten lines in front of a vendor's.

    [[voices]]
    kind = "http"
    url = "http://127.0.0.1:5002/speak"

It gets a POST of `{"text", "language", "voice"}` in JSON, and `"ssml"` beside them when the flow wrote SSML, of which
`text` is then the plain reading. It answers 200 with a WAV file of any rate. An address in a private network has to be
allowed in `[http]`.
"""

from __future__ import annotations

import asyncio
import json
from typing import Literal

from pydantic import Field, HttpUrl, SecretStr

from edge.errors import Invalid, Unavailable
from edge.media.audio import Audio, read_wav
from edge.media.ssml import Phrase
from edge.media.voice import Voice, VoiceSection
from edge.settings import NAME
from edge.voices.studio import Studio

SORRY = frozenset({400, 404, 422})  # it will say the same to this text again


class HttpVoiceSection(VoiceSection):
    """A voice behind a URL."""

    kind: Literal["http"] = Field(default="http", description="http: a URL that answers with audio.")
    name: str = Field(default="http", pattern=NAME, description="The voice's name, by which flows may ask for it.")
    url: HttpUrl = Field(description="Where to POST what is to be spoken.")
    authorization: SecretStr | None = Field(
        default=None, description="The Authorization header that is sent along: Bearer and a key, say."
    )


class Http(Voice):
    kind = "http"
    section = HttpVoiceSection

    def __init__(self, section: HttpVoiceSection, studio: Studio) -> None:
        self._name = section.name
        self._url = str(section.url)
        self._guard = studio.guard
        self._headers = {"Content-Type": "application/json", "Accept": "audio/wav"}
        if section.authorization is not None:
            self._headers["Authorization"] = section.authorization.get_secret_value()

    def lack(self) -> str:
        return ""

    async def speak(self, phrase: Phrase, language: str, voice: str) -> Audio:
        wanted = {"text": phrase.text, "language": language, "voice": voice}
        if phrase.ssml:
            wanted["ssml"] = phrase.ssml
        answer = await self._guard.request("POST", self._url, headers=self._headers, body=json.dumps(wanted).encode())
        if answer.status in SORRY:
            raise Invalid(f"voice {self._name} answered {answer.status}: it does not speak this")
        if answer.status != 200:
            raise Unavailable(f"voice {self._name} answered {answer.status}")
        try:
            return await asyncio.to_thread(read_wav, answer.body, f"voice {self._name}")
        except Invalid as error:
            raise Unavailable(error.message) from None
