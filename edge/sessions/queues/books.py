"""What a sender is told of what it sends: what an item is, what else happens with it, how its end is written down."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Sequence
from datetime import datetime
from typing import Generic, NamedTuple, Protocol, Self, TypeVar

import sqlalchemy as sa
from prometheus_client import Counter, Gauge

from edge.sms.carrier import SendError
from edge.store.writer import Statement, Then


class Item(Protocol):
    """One thing to send, as its row says it. `tm_create` in microseconds, as is `since`, when it was put there or put
    there again; `attempts` the tries made."""

    @property
    def id(self) -> str: ...
    @property
    def customer_id(self) -> str: ...
    @property
    def tm_create(self) -> int: ...
    @property
    def since(self) -> int: ...
    @property
    def attempts(self) -> int: ...
    @property
    def lane(self) -> Hashable:
        """What is sent one after another."""

    def tried(self, attempts: int) -> Self:
        """The same after so many tries."""


T = TypeVar("T", bound=Item)
C = TypeVar("C", contravariant=True)

Send = Callable[[T], Awaitable[str | tuple[str, ...]]]  # what the other side calls it, or its parts; raises SendError


class Over(NamedTuple):
    """What became of an item in the end. `when` in microseconds."""

    channel: str
    state: str  # sent or failed
    ids: tuple[str, ...]  # what the other side calls it, or its parts
    code: str
    error: str
    when: int
    tries: int


class Along(Protocol[C]):
    """What else happens when an item is over."""

    async def along(self, item: C, over: Over, /) -> Sequence[Then]:
        """What is to be written together with it, see `Writer.put_with`. Raises Unavailable."""

    async def settle(self, item: C, over: Over, /) -> None:
        """Called once that is written. Raises nothing."""


class Alone:
    """Nothing else happens."""

    async def along(self, _item: object, _over: Over, /) -> Sequence[Then]:
        return ()

    async def settle(self, _item: object, _over: Over, /) -> None:
        pass


class Ways(Protocol[C]):
    """Other channels for what one does not take."""

    def other(self, item: C, error: SendError, /) -> str | None:
        """The channel that is to have it now; None: it stays."""

    async def move(self, item: C, to: str, tries: int, error: SendError, /) -> None:
        """Have another channel send it. Raises Unavailable; then it may have been done nevertheless."""


class Pacing(NamedTuple, Generic[T]):
    """How fast a channel may be given items: so many units a second in all, and of each group. None: no limit."""

    rate: float | None
    per_group: float | None
    group: Callable[[T], Hashable]
    units: Callable[[T], float]


class Books:
    """What the senders of one table have in common: how they write down what became of a row, and count it.

    `channel` is the table's column with the name of the way out, `receipt` that with what the other side calls it,
    `since` that from which on its age counts; `what` is what the log calls one.
    """

    def __init__(
        self,
        table: sa.Table,
        *,
        channel: str,
        receipt: str,
        since: str,
        what: str,
        count: Callable[[str, str], Counter],
        depth: Gauge,
        oldest: Gauge,
        paused: Gauge,
    ) -> None:
        self.table = table
        self.channel: sa.Column[str] = table.c[channel]
        self.since: sa.Column[datetime] = table.c[since]
        self.what = what
        self.count = count  # of a channel and an outcome
        self.depth = depth
        self.oldest = oldest
        self.paused = paused
        name = table.name
        self.over = Statement.of(
            f"{name}.over",
            f"UPDATE {name} SET state = ?, attempts = ?, {receipt} = ?, code = ?, error = ?, tm_update = ?,"  # noqa: S608
            " claimed_until = 0 WHERE id = ? AND state = 'queued'",
        )
        ours = f" AND {channel} = ? AND claimed_by = ?"
        self.failed = Statement.of(f"{name}.failed", self.over.sqlite + ours)
        self.again = Statement.of(
            f"{name}.again",
            f"UPDATE {name} SET attempts = ?, due = ?, code = ?, error = ?, tm_update = ?"  # noqa: S608
            f" WHERE id = ? AND state = 'queued'{ours}",
        )
        self.expire = Statement.of(
            f"{name}.expire",
            f"UPDATE {name} SET state = 'failed', error = ?, tm_update = ?"  # noqa: S608
            " WHERE id = ? AND state = 'queued' AND claimed_until < ?",
        )
