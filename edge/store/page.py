"""Pages of a list, newest first, by (tm_create, id): exact also where many rows share one microsecond.

A token is opaque to clients: the last row's time and id in URL-safe base64. The platform's own form, a bare time such
as `2026-08-01T09:00:00.000000Z`, is read too and means "older than that".
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy import Column, ColumnElement, Select, and_, or_

from edge.errors import Fault, Invalid
from edge.store.metadata import from_micros, is_id, micros

T = TypeVar("T")

SIZE_MAX = 100  # rows of one page; more are cut to this, as on the platform

_PLATFORM_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"
_LATEST = datetime.max.replace(tzinfo=UTC) - timedelta(days=1)


class Place(NamedTuple):
    """Where a page ended. An empty id: before every row of that time."""

    when: datetime
    id: str


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """The rows of a page, and the token of the next one: empty when this is the last."""

    items: tuple[T, ...]
    next_token: str


def cut(rows: Sequence[T], size: int, place: Callable[[T], Place]) -> Page[T]:
    """A page of `size` out of up to `size` + 1 rows fetched."""
    items = tuple(rows[:size])
    return Page(items, token(place(items[-1])) if len(rows) > size else "")


def token(place: Place) -> str:
    return base64.urlsafe_b64encode(f"{micros(place.when)}:{place.id}".encode()).decode().rstrip("=")


def read_token(text: str) -> Place | None:
    """The place a token stands for; None for the empty one. Raises Invalid for one that nobody gave out."""
    if not text:
        return None
    try:
        return Place(datetime.strptime(text, _PLATFORM_TIME).replace(tzinfo=UTC), "")
    except ValueError:
        pass
    try:
        plain = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode("ascii")
        when, _, row_id = plain.partition(":")
        if not (when.isdecimal() and (is_id(row_id))):
            raise ValueError
        place = Place(from_micros(int(when)), row_id)
    except (ValueError, OverflowError, binascii.Error, UnicodeError):
        raise Invalid(
            "the page token is not one of ours",
            faults=[Fault("page_token", "not a token of an earlier answer")],
            reason="INVALID_REQUEST_PARAMETER",
        ) from None
    return place if place.when <= _LATEST else Place(_LATEST, row_id)


def newest(
    query: Select[Any],
    when: Column[datetime],
    row_id: Column[str],
    *,
    since: datetime | None,
    until: datetime | None,
    behind: Place | None,
    size: int,
) -> Select[Any]:
    """The first `size` rows of a query, newest first, with `since` ≤ `when` < `until`, that come after the place."""
    if since is not None:
        query = query.where(when >= since)
    if until is not None:
        query = query.where(when < until)
    if behind is not None:
        query = query.where(after(behind, when, row_id))
    return query.order_by(when.desc(), row_id.desc()).limit(size)


def after(place: Place, when: Column[datetime], row_id: Column[str]) -> ColumnElement[bool]:
    """The condition for rows that come after the place in a list ordered by `when DESC, id DESC`."""
    return or_(when < place.when, and_(when == place.when, row_id < place.id))
