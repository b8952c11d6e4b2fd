"""Flows in SQL: one row per flow, and one per version, which is written once and never changed.

The flow's row says which version is the newest. An update adds a version; deleting puts a date into the row and takes
nothing away, so that the record of a call can always show what ran. Every change is promised to the caches in the same
transaction (`store.cache_outbox`).
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Select, String, Table, Text, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from edge.errors import Conflict, Exhausted, Fault, Internal, Invalid, NotFound
from edge.flows import limits
from edge.flows.flow import Flow, WhenUnavailable, compile_flow, require_medium
from edge.flows.session import Medium
from edge.store.cache_outbox import CacheWriter, Change, Note, unnoted
from edge.store.engine import reading
from edge.store.metadata import Instant, Json, Uuid, instant_text, metadata, new_id
from edge.store.notice import cache_key
from edge.store.page import SIZE_MAX, Page, Place, after, cut, read_token
from edge.store.reader import Lookup, Row
from edge.store.tiers import Versioned

KIND: Final = "flow"
VERSION_KIND: Final = "flow_version"  # its keys are `flow id/version`

flows = Table(
    "flows",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("customer_id", Uuid, ForeignKey("customers.id"), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("tm_create", Instant, nullable=False),
    Column("tm_update", Instant),
    Column("tm_delete", Instant),
    Index("ix_flows_customer_id_tm_create", "customer_id", "tm_create", "id"),
    Index("ix_flows_tm_create", "tm_create", "id"),
)

flow_versions = Table(
    "flow_versions",
    metadata,
    Column("flow_id", Uuid, ForeignKey("flows.id"), primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("name", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("actions", Json, nullable=False),
    Column("on_complete_flow_id", Uuid, nullable=False),
    Column("unavailable", String(8), nullable=False),
    Column("tm_create", Instant, nullable=False),
)

# The statements, by what they are for.
_CONTENT: Final = tuple(
    flow_versions.c[name] for name in ("name", "detail", "actions", "on_complete_flow_id", "unavailable")
)
_FLOWS: Final = select(*flows.c, *_CONTENT).join_from(
    flows, flow_versions, (flow_versions.c.flow_id == flows.c.id) & (flow_versions.c.version == flows.c.version)
)
_LIVE: Final = _FLOWS.where(flows.c.tm_delete.is_(None))
_VERSIONS: Final = select(
    flows.c.id,
    flows.c.customer_id,
    flow_versions.c.version,
    flows.c.tm_create,
    flow_versions.c.tm_create.label("tm_update"),
    flows.c.tm_delete,
    *_CONTENT,
).join_from(flows, flow_versions, flow_versions.c.flow_id == flows.c.id)
_COUNT: Final = select(func.count()).select_from(flows)

_NEWEST: Final = (
    "SELECT f.id AS key, f.customer_id, f.version, f.tm_delete, v.name, v.detail, v.actions, v.on_complete_flow_id, "
    "v.unavailable "
    "FROM {keys} JOIN flows f ON f.id = wanted.value "
    "JOIN flow_versions v ON v.flow_id = f.id AND v.version = f.version"
)
BY_ID: Final = Lookup(
    "flow.by_id",
    _NEWEST.format(keys="json_each(?) wanted"),
    _NEWEST.format(keys="unnest($1::text[]) wanted(value)"),
)

_VERSION: Final = (
    "SELECT wanted.value AS key, f.id, f.customer_id, v.version, f.tm_delete, "
    "v.name, v.detail, v.actions, v.on_complete_flow_id, v.unavailable "
    "FROM {keys} JOIN flows f ON f.id = substr(wanted.value, 1, 36) "
    "JOIN flow_versions v ON v.flow_id = f.id AND v.version = CAST(substr(wanted.value, 38) AS BIGINT)"
)
BY_VERSION: Final = Lookup(
    "flow.by_version",
    _VERSION.format(keys="json_each(?) wanted"),
    _VERSION.format(keys="unnest($1::text[]) wanted(value)"),
)

InUse = Callable[[], Awaitable[Collection[Medium]]]


@dataclass(frozen=True, slots=True)
class StoredFlow:
    """One version of a flow as it is stored. `tm_create` and `tm_delete` are the flow's, `tm_update` the version's."""

    id: str
    customer_id: str
    version: int
    name: str
    detail: str
    actions: Sequence[Mapping[str, Any]]
    on_complete_flow_id: str
    unavailable: WhenUnavailable
    tm_create: datetime
    tm_update: datetime | None = None
    tm_delete: datetime | None = None
    warnings: tuple[Fault, ...] = ()  # of the version that was just stored

    def document(self) -> dict[str, Any]:
        """What `compile_flow` takes."""
        return {
            "name": self.name,
            "detail": self.detail,
            "on_complete_flow_id": self.on_complete_flow_id,
            "unavailable": self.unavailable,
            "actions": [dict(action) for action in self.actions],
        }

    def compiled(self) -> Flow:
        """Ready to run. Raises Invalid for what another release stored and this one does not allow."""
        return compile_flow(self.document(), id=self.id, customer_id=self.customer_id, version=self.version)

    def public(self) -> dict[str, Any]:
        """The body of the API's answers."""
        return {
            "id": self.id,
            "customer_id": self.customer_id,
            "type": "flow",
            "version": self.version,
            **self.document(),
            "tm_create": instant_text(self.tm_create),
            "tm_update": instant_text(self.tm_update) if self.tm_update else None,
            "tm_delete": instant_text(self.tm_delete) if self.tm_delete else None,
        }


def read_newest(rows: Sequence[Row]) -> Versioned[Flow]:
    """What the rows of `BY_ID` say. The tombstone of a deleted flow is one version above its last.

    Raises Internal for a flow that was stored by another release, which allowed what this one does not.
    """
    if not rows:
        return Versioned(0, None)
    id, customer_id, version, deleted, name, detail, actions, following, unavailable = rows[0]
    if deleted is not None:
        return Versioned(version + 1, None)
    document = {
        "name": name,
        "detail": detail,
        "on_complete_flow_id": following,
        "unavailable": unavailable,
        "actions": json.loads(actions),
    }
    try:
        return Versioned(version, compile_flow(document, id=id, customer_id=customer_id, version=version))
    except Invalid as error:
        raise Internal(f"the stored flow {id} cannot run here: {error.message}") from error


def read_version(rows: Sequence[Row]) -> Versioned[Flow]:
    """What the rows of `BY_VERSION` say."""
    return read_newest([row[1:] for row in rows])


class FlowTable:
    """Flows in SQL. All methods raise Unavailable when the database is away. Where a `customer_id` is taken, None means
    everybody's, and somebody else's flow does not exist. `note` writes down what became of one.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        cache: CacheWriter,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        note: Note[StoredFlow] = unnoted,
    ) -> None:
        self._engine = engine
        self._cache = cache
        self._clock = clock
        self._note = note

    async def create(self, customer_id: str, document: Any) -> StoredFlow:
        """Store a new flow as its version 1.

        Raises Invalid with one fault per place, Exhausted when the customer has too many flows.
        """
        flow = compile_flow(document, id=new_id(), customer_id=customer_id, version=1)
        stored = _stored(flow, self._clock(), None)
        try:
            async with self._cache.change() as change:
                live = _COUNT.where(flows.c.customer_id == customer_id, flows.c.tm_delete.is_(None))
                if (await change.connection.execute(live)).scalar_one() >= limits.FLOWS_PER_CUSTOMER:
                    raise Exhausted(f"more than {limits.FLOWS_PER_CUSTOMER} flows", reason="TOO_MANY_FLOWS")
                row = {"id": flow.id, "customer_id": customer_id, "version": 1, "tm_create": stored.tm_create}
                await change.connection.execute(insert(flows), row)
                await _add_version(change, flow, stored.tm_create)
                await self._note(change, stored)
        except IntegrityError:
            fault = Fault("customer_id", "there is no such customer")
            raise Invalid("the flow cannot be stored", faults=[fault]) from None
        return stored

    async def get(self, flow_id: str, customer_id: str | None = None) -> StoredFlow | None:
        """The newest version of a flow that is not deleted."""
        async with reading(self._engine) as connection:
            return await _one(connection, _of(_LIVE, customer_id).where(flows.c.id == flow_id))

    async def list(
        self, customer_id: str | None, *, token: str = "", size: int = SIZE_MAX, name: str | None = None
    ) -> Page[StoredFlow]:
        """Flows that are not deleted, newest first. Raises Invalid for a token that nobody gave out."""
        query = _of(_LIVE, customer_id)
        if name is not None:
            query = query.where(flow_versions.c.name == name)
        place = read_token(token)
        if place is not None:
            query = query.where(after(place, flows.c.tm_create, flows.c.id))
        query = query.order_by(flows.c.tm_create.desc(), flows.c.id.desc()).limit(size + 1)
        async with reading(self._engine) as connection:
            found = [_from(row) for row in (await connection.execute(query)).mappings()]
        return cut(found, size, lambda item: Place(item.tm_create, item.id))

    async def update(
        self, flow_id: str, customer_id: str | None, document: Any, *, in_use: InUse | None = None
    ) -> StoredFlow:
        """Store the next version. Sessions that run keep theirs.

        `in_use` is asked, with the flow locked, for which media numbers are bound to it: a version that drops one of
        them is a Conflict that names the step. Raises Invalid with one fault per place, and NotFound.
        """
        draft = compile_flow(document)
        async with self._cache.change() as change:
            old = await self._locked(change, flow_id, customer_id)
            if in_use is not None:
                _keep_media(draft, await in_use())
            now = self._clock()
            flow = replace(draft, id=old.id, customer_id=old.customer_id, version=old.version + 1)
            stored = _stored(flow, old.tm_create, now)
            values = {"version": stored.version, "tm_update": now}
            await change.connection.execute(update(flows).where(flows.c.id == flow_id).values(**values))
            await _add_version(change, flow, now)
            await self._note(change, stored)
        return stored

    async def delete(self, flow_id: str, customer_id: str | None = None) -> StoredFlow:
        """Take a flow out of use; sessions that run keep it, and its versions stay to be read. Raises NotFound.

        Numbers bound to it are to be unbound by whoever knows them.
        """
        async with self._cache.change() as change:
            old = await self._locked(change, flow_id, customer_id)
            now = self._clock()
            values = {"tm_update": now, "tm_delete": now}
            await change.connection.execute(update(flows).where(flows.c.id == flow_id).values(**values))
            await change.put(cache_key(KIND, flow_id), old.version + 1, None)
            deleted = replace(old, tm_update=now, tm_delete=now)
            await self._note(change, deleted)
        return deleted

    async def versions(
        self, flow_id: str, customer_id: str | None = None, *, below: int | None = None
    ) -> Sequence[StoredFlow]:
        """Versions of a flow, at most a hundred, newest first, from under `below` on; those of a deleted flow too."""
        query = _of(_VERSIONS, customer_id).where(flows.c.id == flow_id)
        if below is not None:
            query = query.where(flow_versions.c.version < below)
        async with reading(self._engine) as connection:
            found = await connection.execute(query.order_by(flow_versions.c.version.desc()).limit(SIZE_MAX))
            return [_from(row) for row in found.mappings()]

    async def version(self, flow_id: str, version: int, customer_id: str | None = None) -> StoredFlow | None:
        """One version, whether it is the newest or not."""
        query = _of(_VERSIONS, customer_id).where(flows.c.id == flow_id, flow_versions.c.version == version)
        async with reading(self._engine) as connection:
            return await _one(connection, query)

    async def _locked(self, change: Change, flow_id: str, customer_id: str | None) -> StoredFlow:
        """A flow that nobody else changes until the transaction ends.

        Two statements: one that joined would, having waited for another's update on PostgreSQL, still look for the
        version that was the newest when it began.
        """
        mine = _of(select(flows.c.id), customer_id).where(flows.c.id == flow_id, flows.c.tm_delete.is_(None))
        await change.connection.execute(mine.with_for_update())
        stored = await _one(change.connection, _of(_LIVE, customer_id).where(flows.c.id == flow_id))
        if stored is None:
            raise NotFound(f"there is no flow {flow_id}", reason="FLOW_NOT_FOUND")
        return stored


def _stored(flow: Flow, tm_create: datetime, tm_update: datetime | None) -> StoredFlow:
    return StoredFlow(
        id=flow.id,
        customer_id=flow.customer_id,
        version=flow.version,
        name=flow.name,
        detail=flow.detail,
        actions=list(flow.actions),
        on_complete_flow_id=flow.on_complete_flow_id,
        unavailable=flow.unavailable,
        tm_create=tm_create,
        tm_update=tm_update,
        warnings=flow.warnings,
    )


def _keep_media(flow: Flow, in_use: Collection[Medium]) -> None:
    for medium in sorted(in_use):
        try:
            require_medium(flow, medium, "actions")
        except Invalid as error:
            message = f"numbers are bound to this flow for a {medium}: {error.message}"
            raise Conflict(message, reason="FLOW_MEDIUM_IN_USE") from None


async def _add_version(change: Change, flow: Flow, now: datetime) -> None:
    row = {
        "flow_id": flow.id,
        "version": flow.version,
        "name": flow.name,
        "detail": flow.detail,
        "actions": flow.actions,
        "on_complete_flow_id": flow.on_complete_flow_id,
        "unavailable": flow.unavailable,
        "tm_create": now,
    }
    await change.connection.execute(insert(flow_versions), row)
    await change.put(cache_key(KIND, flow.id), flow.version, flow.to_json())


def _of(query: Select[Any], customer_id: str | None) -> Select[Any]:
    return query if customer_id is None else query.where(flows.c.customer_id == customer_id)


async def _one(connection: AsyncConnection, query: Select[Any]) -> StoredFlow | None:
    row = (await connection.execute(query)).mappings().first()
    return _from(row) if row is not None else None


def _from(row: Mapping[Any, Any]) -> StoredFlow:
    return StoredFlow(**row)
