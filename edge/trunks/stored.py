"""Trunks in SQL: made and changed over the API, in force on all edges (`roll.py`).

All of them are checked together, with those of the configuration file, before one is written. To see to it that two who
write at once do not both find room, each write first takes the next revision of the whole, a row of its own, and has it
locked until its transaction ends. The revision also says to whoever asks whether anything changed.

Passwords are kept as they are, for they are needed so (RFC 8760); they are in no answer of the API, in no cache and in
no log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import SecretStr, ValidationError
from sqlalchemy import BigInteger, Column, Integer, String, Table, delete, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from edge.errors import Conflict, Exhausted, Fault, Invalid, NotFound, faults_of
from edge.log import get_logger
from edge.store.cache_outbox import CacheWriter, Change
from edge.store.engine import reading
from edge.store.metadata import Instant, Json, Uuid, metadata, new_id
from edge.store.notice import cache_key
from edge.trunks.table import clashes
from edge.trunks.trunk import Trunk

KIND: Final = "trunk"  # of the notices that there are other trunks
TRUNKS: Final = 1000  # in SQL; all of them are in the memory of every edge

trunks = Table(
    "trunks",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", String(63), nullable=False, unique=True),
    Column("settings", Json, nullable=False),  # the other fields, where they are not the default
    Column("version", BigInteger, nullable=False),
    Column("tm_create", Instant, nullable=False),
    Column("tm_update", Instant),
)

trunk_revisions = Table(  # one row
    "trunk_revisions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("revision", BigInteger, nullable=False),
)

_NEXT: Final = text(
    "INSERT INTO trunk_revisions (id, revision) VALUES (1, 1)"
    " ON CONFLICT (id) DO UPDATE SET revision = trunk_revisions.revision + 1 RETURNING revision"
)
_ALL: Final = select(trunks).order_by(trunks.c.tm_create, trunks.c.id)
_REVISION: Final = select(trunk_revisions.c.revision)

log = get_logger("trunks")


@dataclass(frozen=True, slots=True)
class Stored:
    """One row. The trunk has the row's id."""

    trunk: Trunk
    version: int
    tm_create: datetime
    tm_update: datetime | None = None

    @property
    def id(self) -> str:
        return self.trunk.id


class StoredTrunks:
    """The rows. All methods raise Unavailable when the database is away. `beside` gives the trunks of the file."""

    def __init__(
        self,
        engine: AsyncEngine,
        cache: CacheWriter,
        beside: Callable[[], Sequence[Trunk]] = tuple,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._engine = engine
        self._cache = cache
        self._beside = beside
        self._clock = clock

    async def revision(self) -> int:
        """That of all rows together: it grows with each change."""
        async with reading(self._engine) as connection:
            return await _revision(connection)

    async def all(self) -> tuple[int, list[Stored]]:
        """A revision and all rows, oldest first, as they are then or later. A row that cannot be read, because a newer
        edge has written it, is left out and logged."""
        async with reading(self._engine) as connection:
            revision = await _revision(connection)
            return revision, await _read(connection)

    async def get(self, trunk_id: str) -> Stored | None:
        async with reading(self._engine) as connection:
            row = (await connection.execute(select(trunks).where(trunks.c.id == trunk_id))).mappings().first()
        return _from(row) if row is not None else None

    async def create(self, fields: Mapping[str, Any]) -> Stored:
        """A new one. Raises Invalid, Conflict when the name is taken, Exhausted."""
        made = Stored(checked(fields).kept_as(new_id()), 1, self._clock())
        async with self._cache.change() as change:
            others = await self._others(change, made.id)
            if len(others) >= TRUNKS:
                raise Exhausted(f"more than {TRUNKS} trunks", reason="TOO_MANY_TRUNKS")
            self._fit(made.trunk, others)
            await change.connection.execute(insert(trunks), _row(made))
            await _tell(change, made.id, made.version)
        return made

    async def update(self, trunk_id: str, changes: Mapping[str, Any], expected_version: int | None = None) -> Stored:
        """Change some fields. A user name that comes without its password keeps the one it has.

        Raises NotFound, Invalid, and Conflict when the name is taken or it is not of the expected version any more.
        """
        async with self._cache.change() as change:
            others = await self._others(change, trunk_id)
            old = await self._locked(change, trunk_id, expected_version)
            fields = {**fields_of(old.trunk), **_with_passwords(old.trunk, changes)}
            new = Stored(checked(fields).kept_as(old.id), old.version + 1, old.tm_create, self._clock())
            self._fit(new.trunk, others)
            await change.connection.execute(update(trunks).where(trunks.c.id == new.id).values(**_row(new)))
            await _tell(change, new.id, new.version)
        return new

    async def delete(self, trunk_id: str, expected_version: int | None = None) -> Stored:
        """Take one away. Raises NotFound, Conflict."""
        async with self._cache.change() as change:
            await change.connection.execute(_NEXT)
            old = await self._locked(change, trunk_id, expected_version)
            await change.connection.execute(delete(trunks).where(trunks.c.id == trunk_id))
            await _tell(change, trunk_id, old.version + 1)
        return old

    async def _others(self, change: Change, trunk_id: str) -> list[Trunk]:
        """The other rows' trunks; nobody else writes until the transaction ends."""
        await change.connection.execute(_NEXT)
        return [stored.trunk for stored in await _read(change.connection) if stored.id != trunk_id]

    async def _locked(self, change: Change, trunk_id: str, expected_version: int | None) -> Stored:
        query = select(trunks).where(trunks.c.id == trunk_id).with_for_update()
        row = (await change.connection.execute(query)).mappings().first()
        if row is None:
            raise NotFound("there is no such trunk", reason="TRUNK_NOT_FOUND")
        if expected_version is not None and row["version"] != expected_version:
            raise Conflict("the trunk has changed meanwhile", reason="VERSION_MISMATCH")
        return _from(row)

    def _fit(self, trunk: Trunk, others: Sequence[Trunk]) -> None:
        """Raises Conflict, Invalid for one that gets in the way of others."""
        everybody = [*self._beside(), *others]
        if any(trunk.name == other.name for other in everybody):
            raise Conflict(f"there is a trunk called {trunk.name} already", reason="NAME_TAKEN")
        faults = [
            Fault(
                f"networks[{found.place}]",
                "is there twice"
                if found.earlier == found.later
                else f"{found.network} is that of trunk {everybody[found.earlier].name} already",
            )
            for found in clashes([*everybody, trunk])
            if found.later == len(everybody)
        ]
        if faults:
            raise Invalid(f"trunk {trunk.name} gets in the way of another", faults=faults, reason="NETWORK_TAKEN")


def fields_of(trunk: Trunk) -> dict[str, Any]:
    """All that a trunk says and that is not the default, passwords too: what makes it again."""
    fields = trunk.model_dump(mode="json", exclude_defaults=True)
    for name in ("auth", "credentials"):
        proof = getattr(trunk, name)
        if proof is not None:
            fields[name]["password"] = proof.password.get_secret_value()
    return fields


def checked(fields: Mapping[str, Any]) -> Trunk:
    """The trunk of some fields. Raises Invalid with one fault per place."""
    try:
        return Trunk.model_validate(fields)
    except ValidationError as error:
        raise Invalid("the trunk is not usable", faults=faults_of(error)) from None


def _with_passwords(old: Trunk, changes: Mapping[str, Any]) -> dict[str, Any]:
    changed = dict(changes)
    for name in ("auth", "credentials"):
        given, known = changed.get(name), getattr(old, name)
        if not isinstance(given, Mapping):
            continue
        password: Any = given.get("password")
        if password is None and known is not None and known.username == given.get("username"):
            password = known.password
        if isinstance(password, SecretStr):
            password = password.get_secret_value()
        changed[name] = {key: value for key, value in {**given, "password": password}.items() if value is not None}
    return changed


def _row(stored: Stored) -> dict[str, Any]:
    settings = fields_of(stored.trunk)
    return {
        "id": stored.id,
        "name": settings.pop("name"),
        "settings": settings,
        "version": stored.version,
        "tm_create": stored.tm_create,
        "tm_update": stored.tm_update,
    }


def _from(row: Mapping[Any, Any]) -> Stored:
    """Raises ValidationError. A field that only a newer edge knows is left aside."""
    known = {name: value for name, value in row["settings"].items() if name in Trunk.model_fields}
    trunk = Trunk.model_validate({**known, "name": row["name"]}).kept_as(row["id"])
    return Stored(trunk, row["version"], row["tm_create"], row["tm_update"])


async def _revision(connection: AsyncConnection) -> int:
    return int((await connection.execute(_REVISION)).scalar_one_or_none() or 0)


async def _read(connection: AsyncConnection) -> list[Stored]:
    found: list[Stored] = []
    for row in (await connection.execute(_ALL)).mappings():
        try:
            found.append(_from(row))
        except ValidationError as error:
            faults = "; ".join(map(str, faults_of(error)))  # which repeat nothing of a value
            log.error("a stored trunk cannot be read", trunk=row["name"], error=faults)
    return found


async def _tell(change: Change, trunk_id: str, version: int) -> None:
    """All edges are to look. What is in the cache is only the notice: passwords stay in SQL."""
    await change.put(cache_key(KIND, trunk_id), version, None)
