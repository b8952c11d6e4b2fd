"""The number table. The database itself sees to it that a number lives only once, whoever races whom.

Versions are counted per number in a table of their own: taking the next one locks that number for the rest of the
transaction, and the count goes on when the number is released and created again. Released numbers stay as rows, with
`tm_delete`; what the directory is told is the live row or, when there is none, the one released last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Select,
    String,
    Table,
    Text,
    and_,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from edge.errors import Conflict, Fault, Invalid, NotFound
from edge.numbers.number import RELEASES, Number, NumberDraft, faults_of
from edge.store.cache_outbox import CacheWriter, Change, Note, unnoted
from edge.store.engine import reading
from edge.store.metadata import NIL, Instant, Json, Uuid, instant_text, metadata, with_times
from edge.store.notice import cache_key
from edge.store.page import SIZE_MAX, Page, Place, after, cut, read_token
from edge.store.reader import Lookup, Row
from edge.store.tiers import Versioned

KIND = "number"
WRITABLE = frozenset(
    {
        *(
            "call_flow_id",
            "message_flow_id",
            "fallback_flow_id",
            "call_flow_release",
            "message_flow_release",
            "name",
            "detail",
            "status",
            "metadata",
            "trunk_ids",
            "t38_enabled",
            "emergency_enabled",
        ),
        *("provider_name", "provider_reference_id", "tm_purchase", "tm_renew"),
    }
)
SLOTS = ("call_flow_id", "message_flow_id", "fallback_flow_id")
RELEASED = "call_flow_release IS NOT NULL OR message_flow_release IS NOT NULL"
ON_SOME = "trunk_ids <> '[]'"
UNBIND_ROWS = 200  # numbers of one transaction when a flow is deleted: others write in between

numbers = Table(
    "numbers",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("customer_id", Uuid, ForeignKey("customers.id"), nullable=False),
    Column("number", String(16), nullable=False),
    Column("type", String(16), nullable=False),
    Column("call_flow_id", Uuid, nullable=False),
    Column("message_flow_id", Uuid, nullable=False),
    Column("fallback_flow_id", Uuid, nullable=False),
    Column("call_flow_release", Json),
    Column("message_flow_release", Json),
    Column("name", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("t38_enabled", Boolean, nullable=False),
    Column("emergency_enabled", Boolean, nullable=False),
    Column("metadata", Json, nullable=False),
    Column("provider_name", Text, nullable=False),
    Column("provider_reference_id", Text, nullable=False),
    Column("trunk_ids", Json, nullable=False, server_default="[]"),
    Column("version", BigInteger, nullable=False),
    Column("tm_purchase", Instant),
    Column("tm_renew", Instant),
    Column("tm_create", Instant, nullable=False),
    Column("tm_update", Instant),
    Column("tm_delete", Instant),
    CheckConstraint("number LIKE '+%' AND length(number) BETWEEN 8 AND 16", name="number"),
    CheckConstraint("type IN ('normal', 'virtual')", name="type"),
    CheckConstraint("status IN ('pending', 'active', 'suspended', 'failed', 'released')", name="status"),
    CheckConstraint("(status = 'released') = (tm_delete IS NOT NULL)", name="released"),
    Index(
        "ux_numbers_live",
        "number",
        unique=True,
        sqlite_where=text("tm_delete IS NULL"),
        postgresql_where=text("tm_delete IS NULL"),
    ),
    Index("ux_numbers_number_version", "number", "version", unique=True),
    Index("ix_numbers_customer_id_tm_create", "customer_id", "tm_create", "id"),
    Index("ix_numbers_tm_create", "tm_create", "id"),
    Index("ix_numbers_call_flow_id", "call_flow_id"),
    Index("ix_numbers_message_flow_id", "message_flow_id"),
    Index("ix_numbers_fallback_flow_id", "fallback_flow_id"),
    Index("ix_numbers_released", "number", sqlite_where=text(RELEASED), postgresql_where=text(RELEASED)),
    Index("ix_numbers_trunk_ids", "number", sqlite_where=text(ON_SOME), postgresql_where=text(ON_SOME)),
)

number_versions = Table(
    "number_versions",
    metadata,
    Column("number", String(16), primary_key=True),
    Column("version", BigInteger, nullable=False),
)

_NEXT_VERSION = text(
    "INSERT INTO number_versions (number, version) VALUES (:number, 1) "
    "ON CONFLICT (number) DO UPDATE SET version = number_versions.version + 1 RETURNING version"
)
_COLUMNS = tuple(column.name for column in numbers.columns)
_LAST = (
    f"SELECT n.number AS key, {', '.join(f'n.{name}' for name in _COLUMNS)} "  # noqa: S608  # our own column names
    "FROM {keys} JOIN numbers n ON n.number = wanted.value "
    "WHERE n.version = (SELECT max(m.version) FROM numbers m WHERE m.number = n.number)"
)
BY_E164 = Lookup(  # the live row always has the highest version, and without one the row released last
    "number.by_e164",
    _LAST.format(keys="json_each(?) wanted"),
    _LAST.format(keys="unnest($1::text[]) wanted(value)"),
)


def read_last(rows: Sequence[Row]) -> Versioned[Number]:
    """What the rows of `BY_E164` say."""
    if not rows:
        return Versioned(0, None)
    number = Number.from_columns(with_times(dict(zip(_COLUMNS, rows[0][1:], strict=True))))
    return Versioned(number.version, number)


class NumberTable:
    """Numbers in SQL. All methods raise Unavailable when the database is away.

    Where a `customer_id` is taken, None means everybody's, and somebody else's number does not exist. `note` writes
    down what became of one.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        cache: CacheWriter,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        note: Note[Number] = unnoted,
    ) -> None:
        self._engine = engine
        self._cache = cache
        self._clock = clock
        self._note = note

    async def create(self, draft: NumberDraft) -> Number:
        """Make a number live. Raises Conflict when it lives already, Invalid when there is no such customer."""
        number = draft.number_at(self._clock())
        try:
            async with self._cache.change() as change:
                number = number.model_copy(update={"version": await _next_version(change.connection, number.number)})
                await change.connection.execute(insert(numbers), number.columns())
                await self._tell(change, number)
        except IntegrityError:
            if await self.taken([number.number]):
                raise Conflict(f"{number.number} is in use already", reason="NUMBER_EXISTS") from None
            fault = Fault("customer_id", "there is no such customer")
            raise Invalid("the number is not usable", faults=[fault]) from None
        return number

    async def get(self, number_id: str, customer_id: str | None = None) -> Number | None:
        """A live number by its id."""
        async with reading(self._engine) as connection:
            return await _one(connection, _live(customer_id).where(numbers.c.id == number_id))

    async def list(
        self,
        customer_id: str | None,
        *,
        token: str = "",
        size: int = SIZE_MAX,
        number: str | None = None,
        type: str | None = None,
        call_flow_id: str | None = None,
        message_flow_id: str | None = None,
    ) -> Page[Number]:
        """Live numbers, newest first. Raises Invalid for a token that nobody gave out."""
        query = _live(customer_id)
        wanted = {"number": number, "type": type, "call_flow_id": call_flow_id, "message_flow_id": message_flow_id}
        for name, value in wanted.items():
            if value is not None:
                query = query.where(numbers.c[name] == value)
        place = read_token(token)
        if place is not None:
            query = query.where(after(place, numbers.c.tm_create, numbers.c.id))
        query = query.order_by(numbers.c.tm_create.desc(), numbers.c.id.desc()).limit(size + 1)
        async with reading(self._engine) as connection:
            found = await _all(connection, query)
        return cut(found, size, lambda item: Place(item.tm_create, item.id))

    async def update(
        self,
        number_id: str,
        customer_id: str | None,
        changes: Mapping[str, Any],
        expected_version: int | None = None,
    ) -> Number:
        """Change a live number's writable fields; returns it as it is then.

        Raises NotFound, Invalid (a field that cannot be changed, or not to that), and Conflict when it is not of the
        expected version any more.
        """
        unknown = [Fault(name, "cannot be changed") for name in changes if name not in WRITABLE]
        if unknown:
            raise Invalid("the change is not possible", faults=unknown)
        if changes.get("status") == "released":
            raise Invalid("the change is not possible", faults=[Fault("status", "a number is released by deleting it")])
        async with self._cache.change() as change:
            old = await self._locked(change, number_id, customer_id)
            if expected_version is not None and old.version != expected_version:
                raise Conflict(f"{old.number} has changed meanwhile", reason="VERSION_MISMATCH")
            return await self._change(change, old, changes)

    async def release(self, number_id: str, customer_id: str | None = None) -> Number:
        """End a live number. Its row stays, and callers are told 410 until the number is created again.

        Raises NotFound, also when it was released before.
        """
        async with self._cache.change() as change:
            old = await self._locked(change, number_id, customer_id)
            return await self._change(change, old, {"status": "released", "tm_delete": self._clock()})

    async def unbind_flow(self, flow_id: str) -> Sequence[Number]:
        """Take a deleted flow off all live numbers; returns them as they are then."""
        if flow_id == NIL:
            return []
        bound = or_(*(numbers.c[slot] == flow_id for slot in SLOTS))
        changed = []
        while True:
            async with self._cache.change() as change:
                query = _live(None).where(bound).order_by(numbers.c.number).limit(UNBIND_ROWS).with_for_update()
                found = await _all(change.connection, query)
                for old in found:
                    slots = {name: NIL for name in SLOTS if getattr(old, name) == flow_id}
                    changed.append(await self._change(change, old, slots))
            if len(found) < UNBIND_ROWS:
                return changed

    async def bound(self, flow_id: str) -> Sequence[Number]:
        """Live numbers that a flow is bound to, at most a hundred."""
        bound = or_(*(numbers.c[slot] == flow_id for slot in SLOTS))
        async with reading(self._engine) as connection:
            return await _all(connection, _live(None).where(bound).order_by(numbers.c.number).limit(SIZE_MAX))

    async def released(self) -> Sequence[Number]:
        """Live numbers that do not simply run the newest version of their flow."""
        either = or_(*(numbers.c[release].is_not(None) for release, _ in RELEASES.values()))
        async with reading(self._engine) as connection:
            return await _all(connection, _live(None).where(either).order_by(numbers.c.number))

    async def on_trunk(self, trunk_id: str) -> Number | None:
        """A live number that answers on that trunk and not on all."""
        query = _live(None).where(text(ON_SOME), numbers.c.trunk_ids.cast(Text).contains(trunk_id, autoescape=True))
        async with reading(self._engine) as connection:
            return await _one(connection, query.order_by(numbers.c.number).limit(1))

    async def states(self, wanted: Sequence[str], customer_id: str | None) -> dict[str, str]:
        """Of these numbers those that are there, or were, and their status."""
        return await self._states(_versions(customer_id).where(numbers.c.number.in_(wanted)))

    async def ending(self, digits: str, among: int, size: int, customer_id: str | None) -> dict[str, str]:
        """The same of up to `size` that end in these digits, looked for in as many as `among` at the most."""
        some = _versions(customer_id).order_by(numbers.c.number).limit(among).subquery()
        return await self._states(select(some).where(some.c.number.endswith(digits, autoescape=True)).limit(size))

    async def _states(self, query: Select[Any]) -> dict[str, str]:
        known: dict[str, tuple[int, str]] = {}
        async with reading(self._engine) as connection:
            for number, status, version in await connection.execute(query):
                known[number] = max(known.get(number, (-1, "")), (version, status))
        return {number: status for number, (_, status) in known.items()}

    async def by_e164(self, e164: str) -> Number | None:
        """The live row, else the one released last, else None. (The directory answers the same, from its caches.)"""
        query = select(numbers).where(numbers.c.number == e164).order_by(numbers.c.version.desc()).limit(1)
        async with reading(self._engine) as connection:
            return await _one(connection, query)

    async def taken(self, wanted: Sequence[str]) -> set[str]:
        """Which of these numbers live."""
        query = select(numbers.c.number).where(and_(numbers.c.tm_delete.is_(None), numbers.c.number.in_(wanted)))
        async with reading(self._engine) as connection:
            return set((await connection.execute(query)).scalars())

    async def _locked(self, change: Change, number_id: str, customer_id: str | None) -> Number:
        """A live number that nobody else changes until the transaction ends."""
        query = _live(customer_id).where(numbers.c.id == number_id).with_for_update()
        number = await _one(change.connection, query)
        if number is None:
            raise NotFound(f"there is no number {number_id}", reason="NUMBER_NOT_FOUND")
        return number

    async def _change(self, change: Change, old: Number, changes: Mapping[str, Any]) -> Number:
        version = await _next_version(change.connection, old.number)
        changes = self._with_releases(old, changes)
        fields = {**old.columns(), **changes, "version": version, "tm_update": self._clock()}
        try:
            number = Number.model_validate(fields)
        except ValidationError as error:
            raise Invalid("the change is not possible", faults=faults_of(error)) from None
        columns = number.columns()
        del columns["id"]
        await change.connection.execute(update(numbers).where(numbers.c.id == old.id).values(**columns))
        await self._tell(change, number)
        return number

    async def _tell(self, change: Change, number: Number) -> None:
        await change.put(cache_key(KIND, number.number), number.version, number.to_json())
        await self._note(change, number)

    def _with_releases(self, old: Number, changes: Mapping[str, Any]) -> dict[str, Any]:
        """A release is one of a certain flow: it goes with it, and it begins when it is set."""
        changed = dict(changes)
        for slot, (release, _) in RELEASES.items():
            if release in changed:
                given = changed[release]
                if isinstance(given, Mapping):
                    changed[release] = {**given, "tm_start": instant_text(self._clock())}
            elif changed.get(slot, getattr(old, slot)) != getattr(old, slot):
                changed[release] = None
        return changed


async def _next_version(connection: AsyncConnection, e164: str) -> int:
    return int((await connection.execute(_NEXT_VERSION, {"number": e164})).scalar_one())


def _versions(customer_id: str | None) -> Select[Any]:
    """Number, status and version of every row, of one customer or of all."""
    query = select(numbers.c.number, numbers.c.status, numbers.c.version)
    return query if customer_id is None else query.where(numbers.c.customer_id == customer_id)


def _live(customer_id: str | None) -> Select[Any]:
    query = select(numbers).where(numbers.c.tm_delete.is_(None))
    return query if customer_id is None else query.where(numbers.c.customer_id == customer_id)


async def _one(connection: AsyncConnection, query: Select[Any]) -> Number | None:
    row = (await connection.execute(query)).mappings().first()
    return Number.from_columns(dict(row)) if row is not None else None


async def _all(connection: AsyncConnection, query: Select[Any]) -> list[Number]:
    return [Number.from_columns(dict(row)) for row in (await connection.execute(query)).mappings()]
