"""Keys that all processes on one database share, each made by whoever needs it first.

They are for what goes out into the world and comes back to another process: nonces of digest. Who reads the database
has them; nothing that is to be kept from him may hang on one.
"""

from __future__ import annotations

import base64
import secrets
from typing import Final

from sqlalchemy import BigInteger, Column, String, Table, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.store.engine import reading, writing
from edge.store.metadata import metadata

KEY_BYTES: Final = 32

shared_keys = Table(
    "shared_keys",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("secret", String(64), nullable=False),  # in base64
    Column("tm_create", BigInteger, nullable=False),
)

KEEP: Final = text(
    "INSERT INTO shared_keys (name, secret, tm_create) VALUES (:name, :secret, :now) ON CONFLICT DO NOTHING"
)


async def shared_key(engine: AsyncEngine, name: str, now: int) -> bytes:
    """The key of that name; `now` in microseconds, for one that is made. Raises Unavailable."""
    query = select(shared_keys.c.secret).where(shared_keys.c.name == name)
    async with reading(engine) as connection:
        found = (await connection.execute(query)).scalar()
    if found is None:
        made = base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()
        async with writing(engine) as connection:
            await connection.execute(KEEP, {"name": name, "secret": made, "now": now})
            found = (await connection.execute(query)).scalar_one()
    return base64.b64decode(found)
