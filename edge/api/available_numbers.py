"""Available numbers: what providers would sell. A search reserves nothing; creating the number decides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from pydantic import Field

from edge.api.field import Model, Result
from edge.api.operation import AnyOperation, Ask, Nothing, Operation
from edge.api.paging import Size
from edge.numbers.number import Kind
from edge.numbers.provider import Feature, Provider, Search

PAGE_SIZE = 10  # the platform's, when nothing is said
FEATURES: tuple[Feature, ...] = get_args(Feature)
ONE = f"({'|'.join(FEATURES)})"


class AvailableNumber(Result):
    """A number that can be created."""

    number: str = Field(description="E.164, with +.")
    country: str = Field(description="ISO code; 899 for virtual numbers.")
    region: str = Field(description="Name of the region, where it is known.")
    postal_code: str = Field(description="Where it is known.")
    features: list[Feature] = Field(description="What it can do.")


class AvailableNumbersPage(Result):
    """What a search found."""

    result: list[AvailableNumber] = Field(description="In no order; search again for others.")


class AvailableQuery(Model):
    country_code: str = Field(
        default="",
        pattern=r"^([A-Za-z]{2}|899)?$",
        description="ISO code, 899 for virtual numbers; empty for any.",
        examples=["US"],
    )
    type: Kind = Field(default="normal", description="normal or virtual.")
    page_size: Size = Field(default=PAGE_SIZE, description="Most numbers to answer; outside 1 to 100 it is 100.")
    contains: str = Field(
        default="",
        pattern=r"^([0-9]{0,15}|\+[0-9]{0,14})$",
        description="Digits anywhere in the number; with + those it begins with.",
    )
    features: str = Field(
        default="", pattern=f"^({ONE}(,{ONE})*)?$", description=f"It has all of these, by comma: {', '.join(FEATURES)}."
    )


class AvailableNumbers:
    """The one operation."""

    def __init__(self, providers: Sequence[Provider]) -> None:
        self._providers = providers

    async def search(self, ask: Ask[AvailableQuery, Nothing]) -> AvailableNumbersPage:
        """Providers in the order of the configuration, until the page is full."""
        query = ask.query
        found: list[AvailableNumber] = []
        for provider in self._providers:
            wanted = Search(
                country_code=query.country_code,
                type=query.type,
                page_size=query.page_size - len(found),
                contains=query.contains,
                features=frozenset(one for one in FEATURES if one in query.features.split(",")),
            )
            found += [AvailableNumber.model_validate(one.public()) for one in await provider.search(wanted)]
            if len(found) >= query.page_size:
                break
        return AvailableNumbersPage(result=found)

    def operations(self) -> list[AnyOperation]:
        return [
            Operation(
                method="GET",
                path="/v1.0/available_numbers",
                tag="numbers",
                summary="Search for numbers that can be created",
                query=AvailableQuery,
                body=Nothing,
                result=AvailableNumbersPage,
                handler=self.search,
            )
        ]
