"""The Redis tier: one connection, which carries both the questions and the word that an answer has changed.

It speaks RESP3 and tracks every key of ours (`CLIENT TRACKING ON BCAST PREFIX edge:v1: NOLOOP`). That both share one
connection is what makes memory safe: an answer and the notice that it is outdated arrive in the order in which the
server made them.

A value is `<version> <body>`, a tombstone `<version> ` without a body. Writers go through a script that never replaces
a higher version; a reader that filled in from SQL only uses `SET … NX`, which NOLOOP keeps from coming back to us.

The breaker is the connection itself (`store.redis_connection`). It counts as broken when the socket says so, when three
batches in a row missed the deadline, or when a PING did; then everything waiting fails, all notices may have been
missed (`tell(None)`), and every question fails at once until a new connection has answered a handshake. One log line
when it goes, one when it is back.

What is not nice: there is one server; Sentinel and Cluster would need a connection per primary, made in `_connect`.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from pydantic import Field, PositiveInt, field_validator
from redis.asyncio.connection import parse_url
from redis.exceptions import NoScriptError, RedisError, ResponseError

from edge.errors import Unavailable
from edge.log import get_logger
from edge.metrics import counter, gauge
from edge.settings import Section
from edge.store.notice import PREFIX, Notices
from edge.store.redis_connection import RedisConnection, Word, connect

BACKOFF_SECONDS = (0.05, 1.0)  # first and longest pause between two tries to connect

PUT_IF_NEWER = """
local held = redis.call('GET', KEYS[1])
if held then
  local version = tonumber(string.match(held, '^%d+'))
  if version and (version > tonumber(ARGV[1]) or (version == tonumber(ARGV[1]) and ARGV[4] == '0')) then
    return 0
  end
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""
COUNT_UP = """
local held = tonumber(redis.call('GET', KEYS[1]) or '-1')
if held >= tonumber(ARGV[1]) then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
COUNT_SHA = hashlib.sha1(COUNT_UP.encode(), usedforsecurity=False).hexdigest()
PUT_SHA = hashlib.sha1(PUT_IF_NEWER.encode(), usedforsecurity=False).hexdigest()

_UP = gauge("redis_up", "Whether Redis answers")
_TRACKING = gauge("redis_tracking", "Whether Redis tells us about changed keys")
_LOST = counter("redis_lost_total", "Connections to Redis that were lost")
_CHANGES = counter("redis_notices_total", "Changed keys that Redis told us about")

_log = get_logger("redis")


class RedisSection(Section):
    """The cache between the processes. Without it two tiers remain, memory and SQL."""

    url: str | None = Field(
        default=None,
        description="redis://host:6379/0, rediss://…, unix:///path. Empty: the embedded server, where it is installed.",
    )
    deadline_ms: PositiveInt = Field(default=50, description="A question not answered after this time has failed.")
    connect_ms: PositiveInt = Field(default=500, description="Time to connect and shake hands.")
    heartbeat_ms: PositiveInt = Field(default=1000, description="A quiet connection is asked for a sign of life.")

    @field_validator("url")
    @classmethod
    def _readable(cls, url: str | None) -> str | None:
        if url is not None:
            parse_url(url)
        return url


class Held(NamedTuple):
    """What Redis holds under a key. `body` None: a tombstone. A negative version: something nobody here wrote."""

    version: int
    body: bytes | None


def read_held(raw: bytes) -> Held:
    """A value as it lies in Redis."""
    version, _, body = raw.partition(b" ")
    return Held(int(version), body or None) if version.isdigit() else Held(-1, None)


def held_bytes(version: int, body: bytes | None) -> bytes:
    return b"%d %b" % (version, body or b"")


class RedisTier:
    """The connection of one process. `start` it; it connects, and reconnects, by itself."""

    def __init__(self, section: RedisSection, notices: Notices) -> None:
        if section.url is None:
            raise ValueError("the Redis tier needs an address")
        self._url = section.url
        self._deadline = section.deadline_ms / 1000
        self._connect_seconds = section.connect_ms / 1000
        self._heartbeat = section.heartbeat_ms / 1000
        self._notices = notices
        self._connection: RedisConnection | None = None  # there while `up`
        self._tried = asyncio.Event()
        self._announced: bool | None = None
        self.tracked = False

    @property
    def up(self) -> bool:
        return self._connection is not None

    async def start(self) -> None:
        """Begin to connect; returns when that worked or failed for the first time. A Redis that is down is no error."""
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._run(), name="redis")
        await self._tried.wait()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def get(self, key: str) -> Held | None:
        """What Redis holds, None when nothing. Raises Unavailable when it is down or does not answer in time."""
        if self._connection is None:
            raise Unavailable("Redis is down")
        try:
            raw: bytes | None = await self._connection.get(key)
        except RedisError as error:
            raise Unavailable(f"Redis refuses: {error}") from error
        return None if raw is None else read_held(raw)

    async def put_if_newer(self, key: str, version: int, body: bytes | None, ttl_ms: int) -> bool:
        """Write a value, or with None a tombstone; False when that version or a higher one is there.

        Raises Unavailable.
        """
        arguments = (1, key, version, held_bytes(version, body), ttl_ms, 0)
        try:
            return bool(await self._command("EVALSHA", PUT_SHA, *arguments))
        except NoScriptError:
            return bool(await self._command("EVAL", PUT_IF_NEWER, *arguments))

    async def count_up(self, key: str, number: int, ttl_ms: int) -> bool:
        """Raise the number under a key; False when it is as high already. Raises Unavailable."""
        try:
            return bool(await self._command("EVALSHA", COUNT_SHA, 1, key, number, ttl_ms))
        except NoScriptError:
            return bool(await self._command("EVAL", COUNT_UP, 1, key, number, ttl_ms))

    def fill(self, key: str, version: int, body: bytes | None, ttl_ms: int) -> None:
        """Write what was read from SQL where Redis had nothing, and still has nothing. Nobody waits for it."""
        if self._connection is not None:
            self._connection.tell("SET", key, held_bytes(version, body), "PX", ttl_ms, "NX")

    def replace(self, key: str, version: int, body: bytes | None, ttl_ms: int) -> None:
        """Write what was read from SQL over an older version or an unreadable value. Nobody waits for it."""
        if self._connection is not None:
            self._connection.tell("EVALSHA", PUT_SHA, 1, key, version, held_bytes(version, body), ttl_ms, 1)

    async def ping(self) -> None:
        """Raises Unavailable unless Redis answers in time."""
        await self._command("PING")

    async def _command(self, *words: Word) -> Any:
        if self._connection is None:
            raise Unavailable("Redis is down")
        try:
            return await self._connection.ask(*words)
        except NoScriptError:
            raise
        except RedisError as error:
            raise Unavailable(f"Redis refuses: {error}") from error

    # The life of the connection

    async def _run(self) -> None:
        pause = BACKOFF_SECONDS[0]
        while True:
            try:
                async with asyncio.timeout(self._connect_seconds):
                    connection = await self._connect()
            except Exception as error:  # redis-py raises more than its own; whoever waits for `start` must hear of it
                self._is_down(error)
                await asyncio.sleep(pause * random.uniform(0.8, 1.2))
                pause = min(pause * 2, BACKOFF_SECONDS[1])
                continue
            pause = BACKOFF_SECONDS[0]
            self._is_up(connection)
            try:
                self._is_down(await self._broken(connection))
            finally:
                connection.close()
                self._is_down(None)

    async def _connect(self) -> RedisConnection:
        """A connection that has shaken hands, tracks our keys and knows the script."""
        connection = await connect(self._url, self._pushed)
        try:
            try:
                await connection.ask("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", PREFIX, "NOLOOP")
                self.tracked = True
            except ResponseError as error:
                self.tracked = False
                _log.warning("redis does not track keys: changes are seen later", error=str(error))
            await connection.ask("SCRIPT", "LOAD", PUT_IF_NEWER)
        except BaseException:
            self.tracked = False
            connection.close()
            raise
        connection.deadline = self._deadline
        return connection

    async def _broken(self, connection: RedisConnection) -> Exception:
        """Wait until the connection breaks; says why. One that is quiet may be dead, and then its notices are missed:
        it is asked for a sign of life.
        """
        while not connection.gone.done():
            await asyncio.wait([connection.gone], timeout=self._heartbeat)
            if self._loop.time() - connection.heard >= self._heartbeat:
                try:
                    await self.ping()
                except Unavailable as error:
                    connection.close(error)
        return connection.gone.result()

    def _pushed(self, push: list[Any]) -> None:
        """`["invalidate", [key, …]]`, or None for the keys when everything was flushed."""
        if push[0] != b"invalidate":
            return
        keys: list[bytes] | None = push[1]
        if keys is None:
            self._notices.tell(None)
            return
        _CHANGES.inc(len(keys))
        for key in keys:
            self._notices.tell(key.decode("utf-8", "replace"))

    def _is_up(self, connection: RedisConnection) -> None:
        self._connection = connection
        _UP.set(1)
        _TRACKING.set(self.tracked)
        if self._announced is False:
            _log.info("redis is back", url=self._shown)
        self._announced = True
        self._tried.set()

    def _is_down(self, error: BaseException | None) -> None:
        """Forget what may have changed. Said once; without an error (we close) not at all."""
        if self._connection is not None:
            self._connection = None
            self.tracked = False
            _LOST.inc()
            _UP.set(0)
            _TRACKING.set(0)
            self._notices.tell(None)
        if error is not None:
            if self._announced is not False:
                _log.warning("redis is down: going on without it", url=self._shown, error=str(error) or repr(error))
            self._announced = False
        self._tried.set()

    @property
    def _shown(self) -> str:
        """The address without its password, which stands before the host or among the options."""
        parts = urlsplit(self._url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
