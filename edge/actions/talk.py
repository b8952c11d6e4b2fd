"""Speak a text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from edge.flows import limits
from edge.flows.action import Action, Next
from edge.flows.run import Run
from edge.flows.session import CallSession
from edge.media.speech import FOREIGN
from edge.media.ssml import fault
from edge.media.voice import LANGUAGE


class Talk(Action):
    """Answer the call if that was not done, speak a text to its end, then go on.

    The text is plain, or SSML (`speak`, `p`, `s`, `break`, `emphasis`, `prosody`, `say-as`, `sub`; of others only their
    text counts). `provider` is the name of a voice of the configuration; `gcp` and `aws`, voices of the platform, mean
    the first one here unless one has that name. With `digits_handle` `next` a key ends the talking, or leaves it out
    when it was typed before; the key stays for the next `digits_receive`. With `async` the flow goes on meanwhile, so a
    `digits_receive` behind it takes keys from the first word on; the end of the flow ends the talking.

    On failure (nothing to say, no such voice or language, a voice that is away or too slow) the call is not answered by
    it, the reason goes into the step log and the next step follows.

        {"id": "greeting", "type": "talk", "option": {"text": "Hello. For sales, press 1.", "language": "en-US",
         "digits_handle": "next"}}
    """

    type = "talk"

    text: str = Field(min_length=1, max_length=limits.TALK_CHARACTERS, description="The text, plain or SSML.")
    language: str = Field(
        default="", pattern=LANGUAGE, description="Its language, as en-US or de; empty: what the voice's section says."
    )
    provider: str = Field(
        default="", max_length=255, description="The voice of the configuration that speaks; empty: the first one."
    )
    voice_id: str = Field(
        default="", max_length=255, description="Which of its voices; empty: the one for the language."
    )
    digits_handle: Literal["", "next"] = Field(
        default="", description="next: a key ends the talking, and stays for digits_receive; empty: keys only wait."
    )
    async_: bool = Field(
        default=False,
        alias="async",
        description="Go on while the text is spoken, until something else is played or the caller is connected.",
    )

    def at_once(self) -> bool:
        return self.async_

    def doubts(self) -> Iterable[tuple[str, str]]:
        if wrong := fault(self.text):
            yield "text", f"is no well-formed SSML, so its tags are left out: {wrong}"
        if self.provider in FOREIGN:
            yield "provider", "the first voice of the configuration speaks, unless one has this name"

    async def run(self, session: CallSession, run: Run) -> Next:
        await session.say(
            self.text,
            language=self.language,
            voice=self.voice_id,
            provider=self.provider,
            keys_end=self.digits_handle == "next",
            wait=not self.async_,
        )
        return None
