"""Paging: newest first, by (creation time, id), so that equal times at a page's border skip nothing.

A token is the place of the last item, `<microseconds>.<id>`; clients hand it back as it is. `next_page_token` is empty
exactly on the last page: a page is read with one item too many to know.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Generic, Protocol, TypeVar

from pydantic import BeforeValidator, Field, WithJsonSchema

from edge.api.field import Model, Result
from edge.store.metadata import from_micros, micros

PAGE_SIZE = 100  # the default and the most
TOKEN_PATTERN = r"^([0-9]{1,16}\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})?$"  # noqa: S105

Key = tuple[datetime, str]  # creation time and id of the last item seen; the next page is strictly older
R = TypeVar("R")


def read_size(value: Any) -> int:
    """Like the platform: what lies outside 1 to 100 means 100."""
    text = str(value)
    if not text.removeprefix("-").isascii() or not text.removeprefix("-").isdigit():
        raise ValueError("must be a whole number")
    return int(text) if len(text) <= 3 and 1 <= int(text) <= PAGE_SIZE else PAGE_SIZE


Size = Annotated[
    int,
    BeforeValidator(read_size),
    WithJsonSchema({"type": "integer", "default": PAGE_SIZE}),
]
Token = Annotated[str, Field(pattern=TOKEN_PATTERN)]


class PageQuery(Model):
    page_size: Size = Field(default=PAGE_SIZE, description="Most items to answer; outside 1 to 100 it is 100.")
    page_token: Token = Field(default="", description="next_page_token of the page before; empty for the first page.")


class Page(Result, Generic[R]):
    result: list[R] = Field(description="Newest first.")
    next_page_token: str = Field(description="Ask with it for the next page; empty on the last page.")


def after(token: str) -> Key | None:
    """What a token stands for; None is the start."""
    if not token:
        return None
    time, _, item = token.partition(".")
    return from_micros(int(time)), item


def cut(items: Sequence[R], size: int, key: Callable[[R], Key]) -> tuple[list[R], str]:
    """A page out of up to `size + 1` items, and the token of the next one; `key` tells an item's place."""
    if len(items) <= size:
        return list(items), ""
    time, item = key(items[size - 1])
    return list(items[:size]), f"{micros(time)}.{item}"


class Placed(Protocol):
    """What an answer shows of its place."""

    @property
    def id(self) -> str: ...
    @property
    def tm_create(self) -> str: ...


def key_of(item: Placed) -> Key:
    return datetime.fromisoformat(item.tm_create), item.id
