"""Parts of long texts put together.

A phone numbers its texts with 8 bits and begins anew after the last one, so parts of two texts may have one reference
at the same time. A part belongs to the newest text under way that lacks it; where all have another in its place, it
begins one more. The same octets once more, under another id, are the part that is there already. What that leads to
depends on nothing but the parts and when they came, so whoever looks at the same parts finds the same texts.

The octets are joined before they are read: a cut may go through an escape and what it escapes, or a surrogate pair.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby

from edge.sms.alphabet import decode
from edge.sms.part import Part
from edge.sms.text import BODY_LIMIT, Text


@dataclass(slots=True)
class Gathered:
    """The parts of one text, as far as they came. There is at least one."""

    total: int
    parts: dict[int, Part] = field(default_factory=dict)  # by number, in the order in which they came
    again: list[Part] = field(default_factory=list)  # that came under another id before

    @property
    def whole(self) -> bool:
        return len(self.parts) == self.total

    @property
    def head(self) -> Part:
        """The one that came first, which stays the same whatever comes later."""
        return next(iter(self.parts.values()))

    @property
    def all(self) -> list[Part]:
        return [*self.parts.values(), *self.again]

    @property
    def since(self) -> datetime:
        """When the first one came."""
        return min(part.received_at for part in self.all)

    @property
    def id(self) -> str:
        """What the text is known by: the id of its head, and how many parts there are beside that."""
        return f"{self.head.id} +{len(self.parts) - 1}"

    def takes(self, part: Part) -> bool:
        there = self.parts.get(part.number)
        return there is None or (there.payload, there.alphabet) == (part.payload, part.alphabet)

    def add(self, part: Part) -> None:
        if self.parts.setdefault(part.number, part) is not part:
            self.again.append(part)

    def text(self, id: str) -> Text:
        """The text, with marks where parts are missing. Its way back is that of the part that came last."""
        last = max(self.all, key=lambda part: (part.received_at, part.id))
        return Text(
            carrier=last.carrier,
            id=id,
            source=last.source,
            destination=last.destination,
            body=fitting(self._body()),
            received_at=last.received_at,
            country=last.country,
            route=last.route,
            parts=len(self.parts),
        )

    def _body(self) -> str:
        alphabets = {number: part.alphabet for number, part in self.parts.items()}
        text: list[str] = []
        for alphabet, run in groupby(range(1, self.total + 1), alphabets.get):
            numbers = list(run)
            if alphabet is None:
                text.append(_missing(numbers[0], numbers[-1], self.total))
            else:
                text.append(decode(alphabet, b"".join(self.parts[number].payload for number in numbers)))
        return "".join(text)


def gather(parts: Iterable[Part]) -> list[Gathered]:
    """The texts that parts of one pair of numbers belong to, oldest first."""
    found: list[Gathered] = []
    lacking: dict[tuple[int, int], list[Gathered]] = {}  # by reference and total
    for part in sorted(parts, key=lambda part: (part.received_at, part.id)):
        under_way = lacking.setdefault((part.reference, part.total), [])
        text = next((text for text in reversed(under_way) if text.takes(part)), None)
        if text is None:
            text = Gathered(part.total)
            found.append(text)
            under_way.append(text)
        text.add(part)
        if text.whole:
            under_way.remove(text)
    return found


def alone(part: Part) -> Text:
    """A part as a text of its own. Raises Invalid for one that cannot be kept."""
    return Text(
        carrier=part.carrier,
        id=part.id,
        source=part.source,
        destination=part.destination,
        body=fitting(decode(part.alphabet, part.payload)),
        received_at=part.received_at,
        country=part.country,
        route=part.route,
    )


def fitting(body: str) -> str:
    """As much of a text as is kept of one."""
    return body if len(body) <= BODY_LIMIT else body[: BODY_LIMIT - 1] + "…"


def _missing(first: int, last: int, total: int) -> str:
    if first == last:
        return f"[part {first} of {total} is missing]"
    return f"[parts {first} to {last} of {total} are missing]"
