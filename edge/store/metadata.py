"""The one `MetaData` and the column types every table is written with, equal on SQLite and PostgreSQL.

Times are BIGINT microseconds since the epoch in SQL, aware UTC datetimes in Python, and the platform's text on the
wire. Rows written past SQLAlchemy (`store.writer`) hold the SQL forms themselves: `micros(when)`, `json_text(value)`.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from typing import Any

from sqlalchemy import BigInteger, MetaData, String, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

NIL = "00000000-0000-0000-0000-000000000000"  # the unbound flow, the absent reference

metadata = MetaData(
    naming_convention={  # batch migrations on SQLite find a constraint by its name only
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}  # RFC 9562 §4.1


def new_id() -> str:
    """A UUID of version 7 (RFC 9562 §5.7): ids made later sort later, which keeps inserts at the end of an index."""
    when = f"{time.time_ns() // 1_000_000:012x}"
    chance = take_chance(10).hex()
    return f"{when[:8]}-{when[8:]}-7{chance[:3]}-{_VARIANT[chance[3]]}{chance[4:7]}-{chance[7:19]}"


def name_id(namespace: uuid.UUID, name: str) -> str:
    """The UUID of version 5 (RFC 9562 §5.5) of a name, as `uuid.uuid5` makes it, in a fifth of the time."""
    digest = sha1(namespace.bytes + name.encode(), usedforsecurity=False).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{_VARIANT[digest[16]]}{digest[17:20]}-{digest[20:32]}"


class _Chance:
    """Random bytes of the system, fetched a few thousand at a time: a system call costs more than all that uses one."""

    SIZE = 4096

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self._bytes = b""
        self._at = 0

    def __call__(self, count: int) -> bytes:
        at = self._at
        if at + count > len(self._bytes):
            self._bytes, at = os.urandom(self.SIZE), 0
        self._at = at + count
        return self._bytes[at : at + count]


take_chance = _Chance()
os.register_at_fork(after_in_child=take_chance.forget)  # a child draws its own


def is_id(text: str) -> bool:
    """Whether `text` is a UUID in its canonical lower-case form, the only one that ids are stored in."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def micros(when: datetime) -> int:
    """An aware datetime as microseconds since the epoch, exactly."""
    return (when - _EPOCH) // _MICROSECOND


def from_micros(value: int) -> datetime:
    return _EPOCH + timedelta(microseconds=value)


def instant_text(when: datetime) -> str:
    """The platform's text of a time: `2026-08-01T09:00:00.000000Z`."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def with_times(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A driver's row by column, its `tm_…` columns as datetimes."""
    return {
        name: from_micros(value) if value is not None and name.startswith("tm_") else value
        for name, value in fields.items()
    }


def json_text(value: Any) -> str:
    """A JSON value as the text a `Json` column holds."""
    return _encode(value)


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode


def storable(text: str) -> str:
    """The text, with a mark in place of what no database takes of it: a NUL, or bytes that were no character."""
    if not text.isascii():
        text = text.encode(errors="replace").decode()
    return text.replace("\0", "\ufffd") if "\0" in text else text


class Uuid(TypeDecorator[str]):
    """A UUID as text of 36 characters."""

    impl = String(36)
    cache_ok = True


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime, stored as microseconds since the epoch."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else micros(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else from_micros(value)


class Json(TypeDecorator[Any]):
    """A JSON value as text. A Python None is SQL NULL."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else json_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)
