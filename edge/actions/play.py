"""Play recordings."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from edge.errors import Invalid
from edge.flows import limits
from edge.flows.action import Action, Next
from edge.flows.run import Run
from edge.flows.session import CallSession
from edge.media.prompt import check_name


def _playable(source: str) -> str:
    """Raises ValueError for what can be neither a file of ours nor a URL, whatever is there."""
    try:
        check_name(source)
    except Invalid as error:
        raise ValueError(error.faults[0].what) from None
    return source


class Play(Action):
    """Play WAV files one after another, then go on. A call that is not answered yet hears them as early media.

    On failure (a file that is not there, is no WAV or comes too slowly) nothing of the list is played, the reason goes
    into the step log and the next step follows.

        {"id": "greeting", "type": "play", "option": {"stream_urls": ["welcome.wav", "https://example.com/menu.wav"]}}
    """

    type = "play"

    stream_urls: list[
        Annotated[str, Field(min_length=1, max_length=limits.SOURCE_CHARACTERS), AfterValidator(_playable)]
    ] = Field(
        min_length=1,
        max_length=limits.SOURCES,
        description="What to play, in order: file names in the folder of prompts, or http and https URLs.",
    )

    async def run(self, session: CallSession, run: Run) -> Next:
        await session.play(self.stream_urls)
        return None
