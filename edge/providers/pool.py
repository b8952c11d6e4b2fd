"""Numbers of our own: ranges in the configuration. An order is done at once, and nothing is to be given back.

    [[providers.pool.ranges]]
    country = "US"
    first = "+14155550000"
    last = "+14155559999"

A search begins at a place drawn by lot and walks on from there, around the end, so that two who search at the same time
are rarely offered the same numbers; with `contains` it steps through the fitting numbers only, from the lowest on. It
looks at a bounded count of numbers, so in a huge range that is nearly sold out it may find fewer than there are.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import chain, islice

from pydantic import Field, field_validator, model_validator

from edge.errors import NotFound
from edge.numbers.number import Kind, fault_of
from edge.numbers.provider import AvailableNumber, Feature, Order, Provider, Search, Taken
from edge.settings import Section

LOOKED_AT_MAX = 20_000  # numbers of one range that one search looks at
CHUNK = 250  # numbers of one question which of them live


class PoolRange(Section):
    """Numbers from first to last, both included."""

    country: str = Field(description="ISO code of the country, 899 for virtual numbers.", pattern=r"^([A-Z]{2}|899)$")
    first: str = Field(description="The lowest number, in E.164.")
    last: str = Field(description="The highest number, with as many digits.")
    type: Kind = Field(default="normal", description="normal or virtual.")
    features: tuple[Feature, ...] = Field(
        default=("voice", "sms"), description="What the numbers can do: emergency, fax, mms, sms, voice."
    )
    region: str = Field(default="", description="Name of the region, as a search shows it.")

    @field_validator("features")
    @classmethod
    def _sorted(cls, features: tuple[Feature, ...]) -> tuple[Feature, ...]:
        return tuple(sorted(set(features)))

    @model_validator(mode="after")
    def _whole(self) -> PoolRange:
        for name in ("first", "last"):
            what = fault_of(getattr(self, name), self.type)
            if what:
                raise ValueError(f"{name}: {what}")
        if len(self.first) != len(self.last) or self.first > self.last:
            raise ValueError("last must have as many digits as first, and not be lower")
        return self

    def __contains__(self, number: str) -> bool:
        return len(number) == len(self.first) and self.first <= number <= self.last


class PoolSection(Section):
    """Ranges of numbers that are ours to give out."""

    ranges: tuple[PoolRange, ...] = Field(
        default=(
            PoolRange(country="US", first="+14155550000", last="+14155559999", region="California"),
            PoolRange(country="899", first="+899001000000", last="+899999999999", type="virtual", features=("voice",)),
        ),
        description="From first to last, both included.",
    )


class Pool(Provider):
    """`lot(n)` draws a number below n: where a search begins."""

    name = "pool"
    Options = PoolSection

    def __init__(self, options: PoolSection, taken: Taken, lot: Callable[[int], int] = random.randrange) -> None:
        self._ranges = options.ranges
        self._taken = taken
        self._lot = lot

    async def search(self, wanted: Search) -> list[AvailableNumber]:
        offers: dict[str, AvailableNumber] = {}
        for numbers in self._ranges:
            fits = numbers.type == wanted.type and wanted.features <= set(numbers.features)
            if not fits or (wanted.country_code not in ("", numbers.country)):
                continue
            candidates = islice(self._candidates(numbers, wanted.contains), LOOKED_AT_MAX)
            while len(offers) < wanted.page_size and (chunk := list(islice(candidates, CHUNK))):
                taken = await self._taken(chunk)
                for number in chunk:
                    if number not in taken and number not in offers and len(offers) < wanted.page_size:
                        offers[number] = self._offer(numbers, number)
        return list(offers.values())

    async def order(self, number: str, reference: str) -> Order:
        numbers = next((numbers for numbers in self._ranges if number in numbers), None)
        if numbers is None:
            raise NotFound(f"{number} is in no range of the pool", reason="NUMBER_NOT_AVAILABLE")
        return Order(
            number=number,
            status="active",
            reference=reference,
            t38_enabled="fax" in numbers.features,
            emergency_enabled="emergency" in numbers.features,
        )

    async def release(self, number: str, reference: str) -> None:
        """There is nothing to do: what is not live in the table is available again."""

    def _offer(self, numbers: PoolRange, number: str) -> AvailableNumber:
        return AvailableNumber(
            number=number,
            provider_name=self.name,
            type=numbers.type,
            country=numbers.country,
            region=numbers.region,
            features=numbers.features,
        )

    def _candidates(self, numbers: PoolRange, contains: str) -> Iterator[str]:
        first, last = int(numbers.first[1:]), int(numbers.last[1:])
        if contains.removeprefix("+"):
            anchored = contains.startswith("+")
            found = _containing(first, last, contains.removeprefix("+"), len(numbers.first) - 1, anchored=anchored)
        else:
            start = first + self._lot(last - first + 1)
            found = chain(range(start, last + 1), range(first, start))
        return (f"+{number}" for number in found)


def _containing(first: int, last: int, pattern: str, digits: int, *, anchored: bool) -> Iterator[int]:
    """The numbers of a range whose digits contain the pattern (`anchored`: begin with it), each place of it in turn.

    A number that contains it twice comes twice. Steps over what does not fit, so it is quick in a range of any size.
    """
    for right in [digits - len(pattern)] if anchored else range(digits - len(pattern), -1, -1):
        if right < 0:
            continue
        unit = 10**right  # the value of the pattern's last digit
        span = 10 ** (right + len(pattern))
        for above in range(first // span, last // span + 1):
            lowest = above * span + int(pattern) * unit
            yield from range(max(first, lowest), min(last, lowest + unit - 1) + 1)
