"""Paging as clients see it; how a page is cut and what a token holds is `store.page`'s.

`next_page_token` is empty exactly on the last page. The platform fills it for as long as a page has an item.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Generic, Protocol, TypeVar

from pydantic import BeforeValidator, Field, WithJsonSchema

from edge.api.field import Model, Result
from edge.store.page import SIZE_MAX, Place

R = TypeVar("R")


def read_size(value: Any) -> int:
    """Like the platform: what lies outside 1 to 100 means 100."""
    digits = str(value).removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError("must be a whole number")
    size = int(str(value)) if len(digits) <= 3 else 0
    return size if 1 <= size <= SIZE_MAX else SIZE_MAX


Size = Annotated[int, BeforeValidator(read_size), WithJsonSchema({"type": "integer"})]


class PageQuery(Model):
    """`page_token` is read by the tables (`store.page.read_token`)."""

    page_size: Size = Field(default=SIZE_MAX, description="Most items to answer; outside 1 to 100 it is 100.")
    page_token: str = Field(default="", description="next_page_token of the page before; empty for the first page.")


class Page(Result, Generic[R]):
    """One page of a list."""

    result: list[R] = Field(description="Newest first.")
    next_page_token: str = Field(description="Ask with it for the next page; empty on the last page.")


class Placed(Protocol):
    """What an answer shows of its place in a list."""

    @property
    def id(self) -> str: ...
    @property
    def tm_create(self) -> str: ...


def place_of(item: Placed) -> Place:
    return Place(datetime.fromisoformat(item.tm_create), item.id)
