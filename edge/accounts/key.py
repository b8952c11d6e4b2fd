"""Access keys: `vb_` and 43 characters of chance. Only the SHA-256 is kept, which is enough for a secret nobody can
guess.

What `identify` found is believed for a few seconds, so that a busy client costs no query per request, and the requests
that come when those are over are one query; a key that is revoked here is forgotten at once, elsewhere within those
seconds.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict
from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    RowMapping,
    String,
    Table,
    Text,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.errors import Fault, Invalid, NotFound
from edge.store.engine import reading, writing
from edge.store.metadata import Instant, Uuid, instant_text, metadata, new_id
from edge.store.page import SIZE_MAX, Page, Place, after, cut, read_token

PREFIX = "vb_"
SECRET_BYTES = 32
BELIEVED_SECONDS = 5.0
BELIEVED_MAX = 10_000  # tokens remembered, good and bad

access_keys = Table(
    "access_keys",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("customer_id", Uuid, ForeignKey("customers.id")),
    Column("admin", Boolean, nullable=False),
    Column("name", Text, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("hint", String(16), nullable=False),
    Column("tm_expire", Instant),
    Column("tm_create", Instant, nullable=False),
    Column("tm_delete", Instant),
    CheckConstraint("admin = (customer_id IS NULL)", name="scope"),
    Index("ux_access_keys_hash", "hash", unique=True),
    Index("ix_access_keys_customer_id_tm_create", "customer_id", "tm_create"),
)


class AccessKey(BaseModel):
    """A key as it is kept. `hint` is its beginning, to tell two apart; `customer_id` None is an admin's."""

    model_config = ConfigDict(frozen=True)

    id: str
    customer_id: str | None
    admin: bool
    name: str
    hash: str
    hint: str
    tm_expire: datetime | None
    tm_create: datetime
    tm_delete: datetime | None = None

    def public(self) -> dict[str, Any]:
        """As the API shows it; neither the hash nor, ever again, the token."""
        return {
            "id": self.id,
            "customer_id": self.customer_id,
            "admin": self.admin,
            "name": self.name,
            "hint": self.hint,
            "tm_expire": instant_text(self.tm_expire) if self.tm_expire else None,
            "tm_create": instant_text(self.tm_create),
            "tm_delete": instant_text(self.tm_delete) if self.tm_delete else None,
        }


class Identity(NamedTuple):
    """Whom a key stands for: a customer, or an admin, who is nobody's."""

    customer_id: str | None
    admin: bool
    key_id: str


class Belief(NamedTuple):
    """Whom a token stands for, None for nobody, and until when that is believed."""

    identity: Identity | None
    until: datetime


class KeyTable:
    """Keys in SQL. All methods raise Unavailable when the database is away."""

    def __init__(self, engine: AsyncEngine, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._engine = engine
        self._clock = clock
        self._believed: dict[str, Belief] = {}  # by hash
        self._asked: dict[str, asyncio.Task[Belief]] = {}  # by hash, while SQL is asked

    async def create(
        self,
        customer_id: str | None,
        *,
        admin: bool = False,
        name: str = "",
        expires: datetime | None = None,
        token: str | None = None,
    ) -> tuple[AccessKey, str]:
        """A new key, and its token, which is shown this once. Raises Invalid when the customer does not exist.

        `token` is for a key whose secret is known beforehand (the demo's); it needs as much of it as a drawn one.
        """
        if admin != (customer_id is None):
            raise Invalid("a key is a customer's or an admin's", faults=[Fault("customer_id", "needed unless admin")])
        token = token or PREFIX + secrets.token_urlsafe(SECRET_BYTES)
        if not token.startswith(PREFIX) or len(token) < len(PREFIX) + SECRET_BYTES:
            raise Invalid("the key is too short", faults=[Fault("token", f"{PREFIX} and {SECRET_BYTES} characters")])
        key = AccessKey(
            id=new_id(),
            customer_id=customer_id,
            admin=admin,
            name=name,
            hash=_hash(token),
            hint=token[: len(PREFIX) + 4],
            tm_expire=expires,
            tm_create=self._clock(),
        )
        try:
            async with writing(self._engine) as connection:
                await connection.execute(insert(access_keys), key.model_dump())
        except IntegrityError:
            raise Invalid(
                "the key cannot be stored",
                faults=[Fault("customer_id", "there is no such customer, or the key is known")],
            ) from None
        self._forget(key.hash)
        return key, token

    async def list(self, customer_id: str | None, *, token: str = "", size: int = SIZE_MAX) -> Page[AccessKey]:
        """Keys that are not revoked, newest first; None: everybody's and the admins'."""
        query = (
            select(access_keys)
            .where(access_keys.c.tm_delete.is_(None))
            .order_by(access_keys.c.tm_create.desc(), access_keys.c.id.desc())
            .limit(size + 1)
        )
        if customer_id is not None:
            query = query.where(access_keys.c.customer_id == customer_id)
        place = read_token(token)
        if place is not None:
            query = query.where(after(place, access_keys.c.tm_create, access_keys.c.id))
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query)).mappings().all()
        return cut([_from_row(row) for row in rows], size, lambda key: Place(key.tm_create, key.id))

    async def get(self, key_id: str, customer_id: str | None = None) -> AccessKey | None:
        """A key that is not revoked; of that customer, when one is given."""
        query = select(access_keys).where(access_keys.c.id == key_id, access_keys.c.tm_delete.is_(None))
        if customer_id is not None:
            query = query.where(access_keys.c.customer_id == customer_id)
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).mappings().first()
        return _from_row(row) if row is not None else None

    async def revoke(self, key_id: str, customer_id: str | None = None) -> AccessKey:
        """End a key; of that customer, when one is given. Raises NotFound, also for one that is revoked already."""
        key = await self.get(key_id, customer_id)
        if key is not None:
            now = self._clock()
            statement = (
                update(access_keys)
                .where(access_keys.c.id == key_id, access_keys.c.tm_delete.is_(None))
                .values(tm_delete=now)
            )
            async with writing(self._engine) as connection:
                done = await connection.execute(statement)
            self._forget(key.hash)
            if done.rowcount:
                return key.model_copy(update={"tm_delete": now})
        raise NotFound(f"there is no access key {key_id}", reason="ACCESS_KEY_NOT_FOUND")

    async def identify(self, token: str) -> Identity | None:
        """Whom a token stands for; None for one that is unknown, revoked or expired."""
        if not token.startswith(PREFIX):
            return None
        digest, now = _hash(token), self._clock()
        believed = self._believed.get(digest)
        if believed is not None and now < believed.until:
            return believed.identity
        asked = self._asked.get(digest)
        if asked is None:
            asked = self._asked[digest] = asyncio.create_task(self._ask(digest, now))
            asked.add_done_callback(partial(self._answered, digest))
        return (await asyncio.shield(asked)).identity

    async def _ask(self, digest: str, now: datetime) -> Belief:
        query = select(access_keys).where(access_keys.c.hash == digest)
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).mappings().first()
        until = now + timedelta(seconds=BELIEVED_SECONDS)
        if row is not None and hmac.compare_digest(str(row["hash"]), digest):
            key = _from_row(row)
            if key.tm_delete is None and (key.tm_expire is None or now < key.tm_expire):
                return Belief(Identity(key.customer_id, key.admin, key.id), min(until, key.tm_expire or until))
        return Belief(None, until)

    def _answered(self, digest: str, asked: asyncio.Task[Belief]) -> None:
        if self._asked.get(digest) is not asked:
            return  # the key was made or revoked meanwhile
        del self._asked[digest]
        if not asked.cancelled() and asked.exception() is None:
            if len(self._believed) >= BELIEVED_MAX:
                self._believed.clear()
            self._believed[digest] = asked.result()

    def _forget(self, digest: str) -> None:
        self._believed.pop(digest, None)
        self._asked.pop(digest, None)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _from_row(row: RowMapping) -> AccessKey:
    return AccessKey.model_validate(dict(row))
