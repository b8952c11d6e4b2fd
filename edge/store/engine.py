"""The one SQL engine: SQLAlchemy Core over aiosqlite or asyncpg, for the API and all that is off the path of a call.

SQLite runs in WAL mode with `synchronous=FULL`: what was committed survives a power cut. It has one writer at a time,
and a transaction that began by reading cannot become a writing one once another has written; so whoever will write
says so from the start, with `writing(engine)`.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

from pydantic import Field, PositiveFloat, PositiveInt, field_validator
from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from edge.errors import Fault, Invalid, Unavailable
from edge.settings import Section

BUSY_SECONDS = 5.0  # how long SQLite waits for another writer before it is `Unavailable`
WAL_RETRY_SECONDS = 0.002


class StoreSection(Section):
    """Where the record is kept: SQLite for one machine, PostgreSQL for several."""

    url: str = Field(
        default="sqlite:///var/edge.sqlite3",
        description="sqlite:///relative/path, sqlite:////absolute/path or postgresql://user:password@host/database.",
    )
    pool: PositiveInt = Field(default=5, description="Connections kept for the API and for background work.")
    lazy_ms: PositiveInt = Field(
        default=250, description="Call records are committed with the next text, or after this many milliseconds."
    )
    lazy_rows: PositiveInt = Field(
        default=10_000,
        description="Call records kept in memory while the database is away; more are dropped and counted.",
    )
    read_seconds: PositiveFloat = Field(
        default=0.5, description="A look-up that SQL has not answered after this time counts as failed."
    )

    @field_validator("url")
    @classmethod
    def _known(cls, url: str) -> str:
        try:
            driver_url(url)
        except Invalid as error:
            raise ValueError(error.message) from None
        return url


def driver_url(url: str) -> URL:
    """The URL with its asyncio driver named. Raises Invalid for a database other than the two."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise _bad_url("cannot be read as a database URL") from None
    match parsed.get_backend_name():
        case "sqlite":
            if not parsed.database or parsed.database == ":memory:":
                raise _bad_url("SQLite needs a file: each connection would have a memory database of its own")
            return parsed.set(drivername="sqlite+aiosqlite")
        case "postgresql":
            return parsed.set(drivername="postgresql+asyncpg")
        case other:
            raise _bad_url(f"{other} is not served: sqlite or postgresql")


def is_sqlite(url: str) -> bool:
    return driver_url(url).get_backend_name() == "sqlite"


def sqlite_path(url: str) -> Path:
    """The file of an SQLite URL."""
    return Path(str(driver_url(url).database))


def asyncpg_dsn(url: str) -> str:
    """A PostgreSQL URL as asyncpg itself reads it."""
    return driver_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


async def open_engine(url: str, *, pool: int = 5, foreign_keys: bool = True) -> AsyncEngine:
    """An engine for the URL. No connection is made to PostgreSQL yet; an SQLite file and its folder are made.

    Raises Invalid for a URL of another database and a file of another kind, Unavailable when it cannot be opened.
    """
    target = driver_url(url)
    if target.get_backend_name() != "sqlite":
        engine = create_async_engine(target, pool_size=pool, max_overflow=pool, pool_timeout=5)
        event.listen(engine.sync_engine, "checkout", _refuse_closed)
        return engine
    with translated("open the database file"):
        path = sqlite_path(url)
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDONLY, 0o600))  # texts and callers are nobody else's to read
    await asyncio.to_thread(_into_wal, path)
    engine = create_async_engine(
        target, pool_size=pool, max_overflow=pool, pool_timeout=5, connect_args={"timeout": BUSY_SECONDS}
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself; `_begin` does
        cursor = connection.cursor()
        for pragma in sqlite_pragmas(foreign_keys=foreign_keys):
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("writing", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


def _into_wal(path: Path) -> None:
    """Have the file in WAL mode, which it keeps. Of two who change a new file at once SQLite tells one at once that it
    is busy, whatever its timeout, for they would wait for each other: that one tries again.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
                connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.Error as error:
            if not is_outage(error):
                raise _bad_url(f"{path}: {error}") from None
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise Unavailable(f"cannot open the database file {path}: {error}") from error
            time.sleep(WAL_RETRY_SECONDS)  # in a thread of its own; SQLite has nothing to wait on here


def _refuse_closed(connection: Any, _record: object, _proxy: object) -> None:
    """Have the pool replace a connection that the server has closed; to ask each time would cost a round trip."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError


def sqlite_pragmas(*, foreign_keys: bool = True) -> list[str]:
    """What every connection to the file is told first."""
    return [
        f"PRAGMA busy_timeout={int(BUSY_SECONDS * 1000)}",
        "PRAGMA journal_mode=WAL",
        "PRAGMA synchronous=FULL",
        f"PRAGMA foreign_keys={'ON' if foreign_keys else 'OFF'}",
    ]


@asynccontextmanager
async def writing(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A transaction that will write, committed at the end.

    Raises Unavailable when the database is away, full, or locked for longer than `BUSY_SECONDS`.
    """
    with translated("write to the database"):
        async with engine.execution_options(writing=True).begin() as connection:
            yield connection


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A transaction that only reads. Raises Unavailable when the database is away."""
    with translated("read from the database"):
        async with engine.begin() as connection:
            yield connection


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn what a database that is away, locked or full raises into `Unavailable`; an IntegrityError passes."""
    try:
        yield
    except IntegrityError:
        raise
    except DBAPIError as error:
        if is_outage(error.orig):
            raise Unavailable(f"cannot {doing}: {error.orig}") from error
        raise
    except (PoolTimeout, OSError) as error:
        raise Unavailable(f"cannot {doing}: {error}") from error


def is_outage(error: object) -> bool:
    """Whether a driver's error says that the database is away, locked or full, and not that the statement is wrong."""
    chain: list[object] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = getattr(error, "__cause__", None)
    return any(_says_outage(link) for link in chain)


def _says_outage(error: object) -> bool:
    if isinstance(error, (OSError, TimeoutError, EOFError)):
        return True
    state = getattr(error, "sqlstate", None)  # PostgreSQL
    if isinstance(state, str):
        return state[:2] in {"08", "53", "57", "58"} or state in {"25006", "40001", "40P01", "55P03"}
    code = getattr(error, "sqlite_errorcode", None)  # SQLite: primary result code in the low byte
    if isinstance(code, int):
        return code & 0xFF in {5, 6, 7, 8, 10, 13, 14, 15}  # busy locked nomem readonly ioerr full cantopen protocol
    names = {kind.__name__ for kind in type(error).__mro__ if kind.__module__.startswith("asyncpg")}
    # asyncpg on a closed connection, or one closed meanwhile; its DataError, a wrong argument, is an InterfaceError too
    return bool(names & {"InterfaceError", "InternalClientError"}) and "DataError" not in names


def _bad_url(what: str) -> Invalid:
    return Invalid(f"bad database URL: {what}", faults=[Fault("store.url", what)])
