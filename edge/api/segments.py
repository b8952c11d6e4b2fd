"""What a text costs before it is sent: how many short messages it makes, and which characters make it more."""

from __future__ import annotations

import asyncio
import unicodedata
from collections import Counter
from typing import Annotated, Final, Literal

from pydantic import Field

from edge.api.field import Model, Result
from edge.api.operation import AnyOperation, Ask, Nothing, Operation
from edge.sms import gsm
from edge.sms.plain import instead, plain
from edge.sms.split import LIMITS, count
from edge.sms.text import BODY_LIMIT

LONG: Final = 1_000  # characters; a text of more may take tens of milliseconds, so calls are not kept waiting for it
NAMED: Final = 100  # different characters that an answer names

Name = Literal["GSM-7", "UCS-2"]


class SegmentsQuestion(Model):
    text: Annotated[str, Field(max_length=BODY_LIMIT, pattern=r"^[^\u0000]*$", description="What would be sent.")]


class Strange(Result):
    """A character that the GSM alphabet does not have."""

    character: str = Field(description="The character.")
    code: str = Field(description="Its code point.", examples=["U+2019"])
    name: str = Field(description="Its name in Unicode.", examples=["RIGHT SINGLE QUOTATION MARK"])
    count: int = Field(description="How often it occurs.")
    instead: str | None = Field(description="What that alphabet has of the same meaning; null when it has nothing.")


class Plain(Result):
    """The text with likenesses in place of characters that the GSM alphabet does not have."""

    text: str = Field(description="What could be sent instead.")
    encoding: Name = Field(description="The alphabet it needs.")
    segments: int = Field(description="The short messages it makes.")


class Segments(Result):
    """How carriers count a text."""

    encoding: Name = Field(description="The alphabet it needs: GSM-7 as long as that has all of its characters.")
    segments: int = Field(description="The short messages it makes.")
    characters: int = Field(description="Its characters.")
    units: int = Field(description="What they take: septets in GSM-7, some of them two; 16-bit units in UCS-2.")
    limit: int = Field(description="The units that fit into one of these short messages.")
    left: int = Field(description="The units for which there is still room in the last of them.")
    strange: list[Strange] = Field(description="The characters because of which it needs UCS-2, most frequent first.")
    plain: Plain | None = Field(description="A text of fewer segments that looks alike; null when there is none.")


def segments_of(text: str) -> Segments:
    """How a text is counted."""
    counted = count(text)
    occurring = Counter(text)
    strange = sorted(gsm.strange(text), key=lambda character: -occurring[character])
    return Segments(
        encoding=_name(counted.encoding),
        segments=counted.parts,
        characters=len(text),
        units=counted.units,
        limit=LIMITS[counted.encoding][counted.parts > 1],
        left=counted.left,
        strange=[_strange(character, occurring[character]) for character in strange[:NAMED]],
        plain=_plain(text, counted.parts) if strange else None,
    )


def _plain(text: str, parts: int) -> Plain | None:
    alike = plain(text)
    counted = count(alike)
    if counted.parts >= parts:
        return None
    return Plain(text=alike, encoding=_name(counted.encoding), segments=counted.parts)


def _strange(character: str, occurs: int) -> Strange:
    return Strange(
        character=character,
        code=f"U+{ord(character):04X}",
        name=unicodedata.name(character, ""),
        count=occurs,
        instead=instead(character),
    )


def _name(encoding: Literal["gsm", "ucs2"]) -> Name:
    return "GSM-7" if encoding == "gsm" else "UCS-2"


async def segments(ask: Ask[Nothing, SegmentsQuestion]) -> Segments:
    text = ask.body.text
    return segments_of(text) if len(text) <= LONG else await asyncio.to_thread(segments_of, text)


def operations() -> list[AnyOperation]:
    """The one operation."""
    return [
        Operation(
            method="POST",
            path="/v1.0/messages/segments",
            tag="messages",
            summary="How many short messages would a text make?",
            detail="Nothing is sent. 160 septets of the GSM alphabet make one, 153 each of several; 70 and 67 units in"
            " UCS-2, which one character that the GSM alphabet does not have makes necessary for all.",
            query=Nothing,
            body=SegmentsQuestion,
            result=Segments,
            handler=segments,
        )
    ]
