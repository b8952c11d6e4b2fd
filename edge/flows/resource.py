"""What an account keeps for its flows beside them, such as calendars and lists of callers.

A flow refers to one by its id or its name, and finds it as it is now: unlike flows they have no versions to keep, a
change counts at once. Names are unique among the live ones of a kind and account. Every change is promised to the
caches in the same transaction, under the id and under the name.

Versions are counted per account and kind, so that they grow under a name too that one gave up and another took.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Select,
    String,
    Table,
    Text,
    column,
    func,
    insert,
    select,
    table,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.errors import Conflict, Exhausted, Fault, Invalid, NotFound
from edge.flows import limits
from edge.flows.action import ACTIONS
from edge.flows.calendar import Calendar
from edge.flows.caller_list import CallerList, Callers
from edge.flows.variables import has_variables
from edge.store.cache_outbox import CacheWriter, Change
from edge.store.cache_section import CacheSection
from edge.store.engine import reading
from edge.store.metadata import Instant, Json, Uuid, instant_text, is_id, json_text, metadata, new_id
from edge.store.notice import Notices, cache_key
from edge.store.page import SIZE_MAX, Page, Place, after, cut, read_token
from edge.store.reader import Lookup, Reader
from edge.store.redis import RedisTier
from edge.store.tiers import Tiers, Versioned

R = TypeVar("R")

LIVE: Final = text("tm_delete IS NULL")

resources = Table(
    "resources",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("customer_id", Uuid, ForeignKey("customers.id"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("name", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("content", Json, nullable=False),
    Column("tm_create", Instant, nullable=False),
    Column("tm_update", Instant),
    Column("tm_delete", Instant),
    Index("ux_resources_live", "customer_id", "kind", "name", unique=True, sqlite_where=LIVE, postgresql_where=LIVE),
    Index("ix_resources_customer_id_tm_create", "customer_id", "kind", "tm_create", "id"),
    Index("ix_resources_tm_create", "kind", "tm_create", "id"),
)

# The statements, by what they are for.
_OWNER: Final = table("customers", column("id"))
_SHORT: Final = select(*(each for each in resources.c if each.name != "content"))  # contents may be large
_WHOLE: Final = select(*resources.c)
_BY_REFERENCE: Final = (  # the key is the account's id, a slash, and the id or the name
    "SELECT wanted.value AS key, r.version, r.content FROM {keys} JOIN resources r "
    "ON r.customer_id = substr(wanted.value, 1, 36) AND r.kind = '{kind}' AND r.tm_delete IS NULL "
    "AND (r.id = substr(wanted.value, 38) OR r.name = substr(wanted.value, 38))"
)


@dataclass(frozen=True, slots=True)
class Kind(Generic[R]):
    """One kind of them. `model` checks what is stored, `ready` makes of it what flows work with, `written` is the way
    back."""

    name: str  # in SQL, and in the keys of the caches
    noun: str
    model: type[BaseModel]
    ready: Callable[[Mapping[str, Any]], R]
    written: Callable[[R], bytes]
    in_memory: int  # how many at most

    @property
    def reason(self) -> str:
        """The API's word for one that is not there."""
        return f"{self.name.upper()}_NOT_FOUND"


CALENDARS: Final = Kind(
    "calendar", "calendar", Calendar, Calendar.model_validate, Calendar.to_json, limits.CALENDARS_IN_MEMORY
)
CALLER_LISTS: Final = Kind(
    "caller_list", "caller list", CallerList, Callers.from_stored, Callers.to_json, limits.CALLER_LISTS_IN_MEMORY
)


@dataclass(frozen=True, slots=True)
class Resource:
    """One as it is stored. `content` is None where it was not asked for."""

    id: str
    customer_id: str
    version: int
    name: str
    detail: str
    content: Mapping[str, Any] | None
    tm_create: datetime
    tm_update: datetime | None = None
    tm_delete: datetime | None = None

    def public(self) -> dict[str, Any]:
        """The body of the API's answers, but for the content."""
        return {
            "id": self.id,
            "customer_id": self.customer_id,
            "version": self.version,
            "name": self.name,
            "detail": self.detail,
            "tm_create": instant_text(self.tm_create),
            "tm_update": instant_text(self.tm_update) if self.tm_update else None,
            "tm_delete": instant_text(self.tm_delete) if self.tm_delete else None,
        }


class ResourceTable(Generic[R]):
    """Those of one kind in SQL. All methods raise Unavailable when the database is away.

    Where a `customer_id` is taken, None means everybody's, and what is somebody else's does not exist.
    """

    def __init__(
        self,
        kind: Kind[R],
        engine: AsyncEngine,
        cache: CacheWriter,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.kind = kind
        self._engine = engine
        self._cache = cache
        self._clock = clock

    async def create(self, customer_id: str, name: str, detail: str, content: Mapping[str, Any]) -> Resource:
        """A new one. Raises Invalid, Conflict when the name is taken, Exhausted when the account has too many."""
        checked = self._checked(name, detail, content)
        async with self._cache.change() as change:
            version = await self._next_version(change, customer_id)
            live = self._mine(select(func.count()).select_from(resources), customer_id)
            if (await change.connection.execute(live)).scalar_one() >= limits.RESOURCES_PER_CUSTOMER:
                most, noun = limits.RESOURCES_PER_CUSTOMER, self.kind.noun
                raise Exhausted(f"more than {most} {noun}s", reason=f"TOO_MANY_{self.kind.name.upper()}S")
            made = Resource(new_id(), customer_id, version, name, detail, checked, self._clock())
            await self._write(change, insert(resources).values(kind=self.kind.name, **_columns(made)), name)
            await self._tell(change, made)
        return made

    async def get(self, resource_id: str, customer_id: str | None = None) -> Resource | None:
        """A live one with its content."""
        query = self._mine(_WHOLE, customer_id).where(resources.c.id == resource_id)
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).mappings().first()
        return _from(row) if row is not None else None

    async def list(
        self, customer_id: str | None, *, token: str = "", size: int = SIZE_MAX, name: str | None = None
    ) -> Page[Resource]:
        """Live ones without their contents, newest first. Raises Invalid for a token that nobody gave out."""
        query = self._mine(_SHORT, customer_id)
        if name is not None:
            query = query.where(resources.c.name == name)
        place = read_token(token)
        if place is not None:
            query = query.where(after(place, resources.c.tm_create, resources.c.id))
        query = query.order_by(resources.c.tm_create.desc(), resources.c.id.desc()).limit(size + 1)
        async with reading(self._engine) as connection:
            found = [_from(row) for row in (await connection.execute(query)).mappings()]
        return cut(found, size, lambda item: Place(item.tm_create, item.id))

    async def update(
        self,
        resource_id: str,
        customer_id: str | None,
        changes: Mapping[str, Any],
        expected_version: int | None = None,
    ) -> Resource:
        """Change the name, the detail or keys of the content; what is left out stays.

        Raises NotFound, Invalid, and Conflict when the name is taken or it is not of the expected version any more.
        """
        async with self._cache.change() as change:
            old = await self._locked(change, resource_id, customer_id)
            if expected_version is not None and old.version != expected_version:
                raise Conflict(f"the {self.kind.noun} has changed meanwhile", reason="VERSION_MISMATCH")
            rest = dict(changes)
            name, detail = rest.pop("name", old.name), rest.pop("detail", old.detail)
            content = self._checked(name, detail, {**(old.content or {}), **rest})
            version = await self._next_version(change, old.customer_id)
            new = replace(old, version=version, name=name, detail=detail, content=content, tm_update=self._clock())
            await self._write(change, update(resources).where(resources.c.id == old.id).values(**_columns(new)), name)
            if name != old.name:
                await change.put(self._key(old.customer_id, old.name), version, None)
            await self._tell(change, new)
        return new

    async def delete(
        self, resource_id: str, customer_id: str | None = None, expected_version: int | None = None
    ) -> Resource:
        """Take one out of use; a flow that names it does not find it any more. Raises NotFound, Conflict."""
        async with self._cache.change() as change:
            old = await self._locked(change, resource_id, customer_id)
            if expected_version is not None and old.version != expected_version:
                raise Conflict(f"the {self.kind.noun} has changed meanwhile", reason="VERSION_MISMATCH")
            version, now = await self._next_version(change, old.customer_id), self._clock()
            values = {"version": version, "tm_update": now, "tm_delete": now}
            await change.connection.execute(update(resources).where(resources.c.id == old.id).values(**values))
            for reference in (old.id, old.name):
                await change.put(self._key(old.customer_id, reference), version, None)
        return replace(old, version=version, tm_update=now, tm_delete=now)

    def _checked(self, name: str, detail: str, content: Mapping[str, Any]) -> dict[str, Any]:
        """The content in its one form. Raises Invalid with one fault per place."""
        faults = []
        if not name.strip() or len(name) > limits.NAME_CHARACTERS or not name.isprintable() or is_id(name.lower()):
            faults.append(Fault("name", f"must be 1 to {limits.NAME_CHARACTERS} printable characters, and no UUID"))
        if len(detail) > limits.DETAIL_CHARACTERS or "\0" in detail:
            faults.append(Fault("detail", f"must be at most {limits.DETAIL_CHARACTERS} characters, and none a NUL"))
        try:
            checked = self.kind.model.model_validate(content)
        except ValidationError as error:
            faults += [Fault(_place(one["loc"]), one["msg"].removeprefix("Value error, ")) for one in error.errors()]
        if faults:
            raise Invalid(f"the {self.kind.noun} is wrong: {faults[0]}", faults=faults[: limits.FAULTS])
        return checked.model_dump(mode="json", by_alias=True)

    async def _next_version(self, change: Change, customer_id: str) -> int:
        """Whoever takes it has the account's ones for himself until the transaction ends. Raises Invalid."""
        owner = select(_OWNER.c.id).where(_OWNER.c.id == customer_id).with_for_update()
        if (await change.connection.execute(owner)).first() is None:
            fault = Fault("customer_id", "there is no such customer")
            raise Invalid(f"the {self.kind.noun} cannot be stored", faults=[fault])
        last = select(func.max(resources.c.version)).where(
            resources.c.customer_id == customer_id, resources.c.kind == self.kind.name
        )
        return int((await change.connection.execute(last)).scalar_one() or 0) + 1

    async def _write(self, change: Change, statement: Any, name: str) -> None:
        try:
            await change.connection.execute(statement)
        except IntegrityError:
            raise Conflict(f"there is a {self.kind.noun} called {name!r} already", reason="NAME_TAKEN") from None

    async def _locked(self, change: Change, resource_id: str, customer_id: str | None) -> Resource:
        query = self._mine(_WHOLE, customer_id).where(resources.c.id == resource_id).with_for_update()
        row = (await change.connection.execute(query)).mappings().first()
        if row is None:
            raise NotFound(f"there is no {self.kind.noun} {resource_id}", reason=self.kind.reason)
        return _from(row)

    async def _tell(self, change: Change, resource: Resource) -> None:
        body = json_text(resource.content).encode()
        for reference in (resource.id, resource.name):
            await change.put(self._key(resource.customer_id, reference), resource.version, body)

    def _key(self, customer_id: str, reference: str) -> str:
        return cache_key(self.kind.name, _key(customer_id, reference))

    def _mine(self, query: Select[Any], customer_id: str | None) -> Select[Any]:
        query = query.where(resources.c.kind == self.kind.name, resources.c.tm_delete.is_(None))
        return query if customer_id is None else query.where(resources.c.customer_id == customer_id)


class ResourceLibrary(Generic[R]):
    """Those of one kind by account and reference, ready to work with, through memory, Redis and SQL."""

    def __init__(
        self, kind: Kind[R], section: CacheSection, notices: Notices, redis: RedisTier | None, reader: Reader
    ) -> None:
        self.kind = kind
        self._reader = reader
        self._lookup = Lookup(
            f"resource.{kind.name}",
            _BY_REFERENCE.format(keys="json_each(?) wanted", kind=kind.name),
            _BY_REFERENCE.format(keys="unnest($1::text[]) wanted(value)", kind=kind.name),
        )
        self._tiers: Tiers[R] = Tiers(
            kind.name,
            section=section.model_copy(update={"entries": min(section.entries, kind.in_memory)}),
            notices=notices,
            redis=redis,
            load=self._load,
            encode=kind.written,
            decode=self._decode,
        )

    def peek(self, customer_id: str, reference: str, now: float) -> R | None:
        """What memory has; None also when it does not know. Never waits."""
        found = self._tiers.peek(_key(customer_id, reference), now)
        return found.value if found is not None else None

    async def find(self, customer_id: str, reference: str) -> R:
        """Raises NotFound, Unavailable when no tier knows and none can."""
        found = await self._tiers.find(_key(customer_id, reference))
        if found.value is None:
            raise NotFound(f"there is no {self.kind.noun} {reference[:60]!r}", reason=self.kind.reason)
        return found.value

    async def has(self, customer_id: str, reference: str) -> bool:
        """Raises Unavailable."""
        return (await self._tiers.find(_key(customer_id, reference))).value is not None

    def _decode(self, body: bytes | str) -> R:
        try:
            return self.kind.ready(json.loads(body))
        except (TypeError, KeyError) as error:
            raise ValueError(f"not a {self.kind.noun}: {error}") from None

    async def _load(self, key: str) -> Versioned[R]:
        rows = await self._reader.get(self._lookup, key)
        if not rows:
            return Versioned(0, None)
        _, version, content = rows[0]
        return Versioned(version, self._decode(content))


@dataclass(frozen=True, slots=True)
class Resources:
    """The libraries of all kinds."""

    calendars: ResourceLibrary[Calendar]
    caller_lists: ResourceLibrary[Callers]

    @classmethod
    def open(cls, section: CacheSection, notices: Notices, redis: RedisTier | None, reader: Reader) -> Resources:
        tiers = (section, notices, redis, reader)
        return cls(ResourceLibrary(CALENDARS, *tiers), ResourceLibrary(CALLER_LISTS, *tiers))

    async def absent(self, customer_id: str, actions: Iterable[Mapping[str, Any]]) -> list[Fault]:
        """What the steps of a flow name and the account has not, as things are now. Raises Unavailable."""
        libraries: dict[str, ResourceLibrary[Any]] = {"calendar": self.calendars, "caller_list": self.caller_lists}
        known: dict[tuple[str, str], bool] = {}
        faults: list[Fault] = []
        for index, action in enumerate(actions):
            model = ACTIONS.get(action["type"])
            for option, kind in model.names if model is not None else ():
                reference = action["option"].get(option)
                if not isinstance(reference, str) or not reference or has_variables(reference):
                    continue
                if (kind, reference) not in known:
                    if len(known) >= limits.NAMES_LOOKED_UP:
                        return faults
                    known[kind, reference] = await libraries[kind].has(customer_id, reference)
                if not known[kind, reference]:
                    what = f"there is no {libraries[kind].kind.noun} {reference[:60]!r}: the step fails until there is"
                    faults.append(Fault(f"actions[{index}].option.{option}", what, action["id"]))
        return faults


@dataclass(frozen=True, slots=True)
class AccountResources:
    """What one account has."""

    resources: Resources
    customer_id: str

    async def calendar(self, reference: str) -> Calendar:
        """By its id or name. Raises NotFound, Unavailable."""
        return await self.resources.calendars.find(self.customer_id, reference)

    async def caller_list(self, reference: str) -> Callers:
        """By its id or name. Raises NotFound, Unavailable."""
        return await self.resources.caller_lists.find(self.customer_id, reference)


def _key(customer_id: str, reference: str) -> str:
    lower = reference.lower()
    return f"{customer_id}/{lower if is_id(lower) else reference}"


def _columns(resource: Resource) -> dict[str, Any]:
    names = ("id", "customer_id", "version", "name", "detail", "content", "tm_create", "tm_update", "tm_delete")
    return {name: getattr(resource, name) for name in names}


def _from(row: Mapping[Any, Any]) -> Resource:
    return Resource(**{"content": None, **{name: value for name, value in row.items() if name != "kind"}})


def _place(path: Sequence[str | int]) -> str:
    place = ""
    for part in path:
        place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else part
    return place
