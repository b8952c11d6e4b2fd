"""The secret an account's webhooks are signed with: `whsec_` and 32 bytes of chance in base64 (Standard Webhooks 1.0).

It is made when it is first needed, and its owner may look at it, for both sides have to have it; so it is kept as it
is. After a change the one before is good for a day more: what is sent meanwhile bears a signature by each.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Column, ForeignKey, RowMapping, Table, Text, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.errors import NotFound
from edge.store.engine import reading, writing
from edge.store.metadata import Instant, Uuid, instant_text, metadata, micros

PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32  # the specification asks for 24 at least
OVERLAP: Final = timedelta(days=1)  # how long the secret before is still used after a change

webhook_secrets = Table(
    "webhook_secrets",
    metadata,
    Column("customer_id", Uuid, ForeignKey("customers.id"), primary_key=True),
    Column("secret", Text, nullable=False),
    Column("previous", Text, nullable=False),  # "" when there is none
    Column("tm_create", Instant, nullable=False),  # of the secret, not of the row
)

KEEP: Final = text(
    "INSERT INTO webhook_secrets (customer_id, secret, previous, tm_create) VALUES (:customer_id, :secret, '', :now)"
    " ON CONFLICT DO NOTHING"
)


class WebhookSecret(BaseModel):
    """An account's secret, and the one before."""

    model_config = ConfigDict(frozen=True)

    customer_id: str
    secret: str
    previous: str
    tm_create: datetime

    def in_force(self, now: datetime) -> list[str]:
        """What to sign with, the newest first."""
        return [self.secret, *([self.previous] if self.previous and now < self.tm_create + OVERLAP else [])]

    def public(self) -> dict[str, Any]:
        """As the API shows it."""
        return {
            "customer_id": self.customer_id,
            "secret": self.secret,
            "previous": self.previous,
            "tm_create": instant_text(self.tm_create),
        }


class WebhookSecretTable:
    """Secrets in SQL. All methods raise Unavailable, and NotFound when there is no such customer."""

    def __init__(self, engine: AsyncEngine, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._engine = engine
        self._clock = clock

    async def get(self, customer_id: str) -> WebhookSecret:
        """The secret of an account, made now if it has none."""
        query = select(webhook_secrets).where(webhook_secrets.c.customer_id == customer_id)
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).mappings().first()
        if row is not None:
            return _from_row(row)
        try:
            async with writing(self._engine) as connection:
                new = {"customer_id": customer_id, "secret": _new_secret(), "now": micros(self._clock())}
                await connection.execute(KEEP, new)
                return _from_row((await connection.execute(query)).mappings().one())
        except IntegrityError:
            raise NotFound(f"there is no customer {customer_id}", reason="CUSTOMER_NOT_FOUND") from None

    async def rotate(self, customer_id: str) -> WebhookSecret:
        """A new secret. The one that it replaces stays in force for a while, the one before that does not."""
        await self.get(customer_id)
        mine = webhook_secrets.c.customer_id == customer_id
        async with writing(self._engine) as connection:
            row = await connection.execute(select(webhook_secrets).where(mine).with_for_update())
            old = _from_row(row.mappings().one())
            fields = {"secret": _new_secret(), "previous": old.secret, "tm_create": self._clock()}
            await connection.execute(update(webhook_secrets).where(mine).values(**fields))
        return old.model_copy(update=fields)


def key_of(secret: str) -> bytes:
    """What the text of a secret stands for."""
    return base64.b64decode(secret.removeprefix(PREFIX))


def _new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def _from_row(row: RowMapping) -> WebhookSecret:
    return WebhookSecret.model_validate(dict(row))
