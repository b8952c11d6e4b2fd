"""The provider contract: where numbers come from.

A provider is one file in `edge/providers`: a `Provider` subclass with its `name` and its `Options`, which enters
itself into `PROVIDERS`. It searches its available numbers, orders one and gives one back. An order may take its time:
then it is `pending`, the number's row is too, and `order` asked again with the same reference says how far it is.
Ordering twice with one reference buys once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from edge.numbers.number import Kind
from edge.plugins import Plugins
from edge.settings import Section

Feature = Literal["emergency", "fax", "mms", "sms", "voice"]
Taken = Callable[[Sequence[str]], Awaitable[set[str]]]  # which of these numbers live: `NumberTable.taken`


class AvailableNumber(BaseModel):
    """A number that can be ordered."""

    model_config = ConfigDict(frozen=True)

    number: str
    provider_name: str
    type: Kind = "normal"
    country: str
    region: str = ""
    postal_code: str = ""
    features: tuple[Feature, ...] = ()

    def public(self) -> dict[str, Any]:
        """As the API shows it; which provider has it is ours to know."""
        return {**self.model_dump(exclude={"provider_name", "type"}), "features": list(self.features)}


class Search(BaseModel):
    """What is looked for. `contains`: digits that occur anywhere in the number; `features`: it has all of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    country_code: str = Field(default="", max_length=3)
    type: Kind = "normal"
    page_size: int = Field(default=10, ge=1, le=100)
    contains: str = Field(default="", max_length=15, pattern=r"^\+?[0-9]*$")
    features: frozenset[Feature] = frozenset()

    @field_validator("country_code")
    @classmethod
    def _upper(cls, value: str) -> str:
        return value.upper()


class Order(BaseModel):
    """How an order stands. `reference` is the provider's own name for the number."""

    model_config = ConfigDict(frozen=True)

    number: str
    status: Literal["pending", "active", "failed"]
    reference: str = ""
    t38_enabled: bool = False
    emergency_enabled: bool = False


class Provider(ABC):
    """One source of numbers, made from its options and the question which numbers live already."""

    name: ClassVar[str]
    Options: ClassVar[type[Section]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        PROVIDERS.add(cls.name, cls)

    @abstractmethod
    def __init__(self, options: Any, taken: Taken) -> None: ...

    @abstractmethod
    async def search(self, wanted: Search) -> list[AvailableNumber]:
        """At most `page_size` numbers that can be ordered. Raises Unavailable when the provider is away."""

    @abstractmethod
    async def order(self, number: str, reference: str) -> Order:
        """Order a number, or ask how the order of that reference stands.

        Raises NotFound when the provider does not have it, Conflict when it is sold, Unavailable when nobody can say.
        """

    @abstractmethod
    async def release(self, number: str, reference: str) -> None:
        """Give a number back. Giving it back twice is no error. Raises Unavailable."""


PROVIDERS: Plugins[Provider] = Plugins("provider")
