"""News of messages: what is written with a new one, or one that is in another state now, to tell somebody of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from edge.store.writer import Row, Then


class Said(NamedTuple):
    """What a carrier said of a part that a text was sent in. `tm` in microseconds; None: nothing since it was sent."""

    carrier: str
    carrier_id: str
    status: str
    code: str
    reason: str
    tm: int | None


class Changed(NamedTuple):
    """A message that is in another state now: an outgoing one, or one that was deleted. `tm` in microseconds.

    `facts` has what else is new of it, by the names below `edge` in its public form; `parts` what is new of parts that
    it was sent in, by their places.
    """

    message_id: str
    customer_id: str
    state: str
    code: str
    reason: str
    tm: int
    facts: Mapping[str, Any] = {}
    parts: Mapping[int, Said] = {}


class News(Protocol):
    """Who is told. What raises raises Unavailable."""

    async def hears(self, customer_id: str, /) -> bool:
        """Whether somebody wants to know of new messages of an account."""

    def created(self, columns: Sequence[str], row: Row, /) -> Sequence[Then]:
        """What is to be written with the row of a new one."""

    async def changed(self, changed: Changed, /) -> Sequence[Then]:
        """What is to be written with a change."""

    def written(self, customer_id: str, /) -> None:
        """It is."""


class NoNews:
    """Nobody is told."""

    async def hears(self, _customer_id: str, /) -> bool:
        return False

    def created(self, _columns: Sequence[str], _row: Row, /) -> Sequence[Then]:
        return ()

    async def changed(self, _changed: Changed, /) -> Sequence[Then]:
        return ()

    def written(self, _customer_id: str, /) -> None:
        pass
