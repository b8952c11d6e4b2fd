"""The Redis tier: one connection, which carries both the questions and the word that an answer has changed.

The GETs of one turn of the loop are one MGET. The connection speaks RESP3 and tracks every key of ours (`CLIENT
TRACKING ON BCAST PREFIX edge:v1: NOLOOP`). That both share one connection is what makes memory safe: an answer and the
notice that it is outdated arrive in the order in which the server made them.

A value is `<version> <body>`, a tombstone `<version> ` without a body. Writers go through a script that never replaces
a higher version; a reader that filled in from SQL only uses `SET … NX`, which NOLOOP keeps from coming back to us.

The breaker is the connection itself. It counts as broken when the socket says so, when three batches in a row missed
the deadline, or when a PING did; then everything waiting fails, all notices may have been missed (`tell(None)`), and
every question fails at once until a new connection has answered a handshake. One log line when it goes, one when it is
back.

redis-py makes the connection (URL, TLS, passwords); its client, pool and retries are not used, for they cost 70 µs a
GET and wait seconds for a server that is down. What is not nice: there is one server; Sentinel and Cluster would need
a connection per primary, made in `_connect`.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import random
from collections import deque
from typing import Any, NamedTuple

import hiredis
from pydantic import Field, PositiveInt, field_validator
from redis.asyncio.connection import AbstractConnection, Connection, parse_url
from redis.exceptions import NoScriptError, ResponseError

from edge.errors import Unavailable
from edge.log import get_logger
from edge.metrics import counter, gauge
from edge.settings import Section
from edge.store.notice import PREFIX, Notices

KEYS_MAX = 256  # of one MGET, so that no other client waits long for ours
LATE_MAX = 3  # batches in a row over the deadline: the server is frozen, or the network gone
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
PUT_SHA = hashlib.sha1(PUT_IF_NEWER.encode(), usedforsecurity=False).hexdigest()

_UP = gauge("redis_up", "Whether Redis answers")
_TRACKING = gauge("redis_tracking", "Whether Redis tells us about changed keys")
_LATE = counter("redis_late_total", "Batches that missed the deadline")
_LOST = counter("redis_lost_total", "Connections to Redis that were lost")
_CHANGES = counter("redis_notices_total", "Changed keys that Redis told us about")

_log = get_logger("redis")
_PUSHED = object()  # what reading answers for a push message


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


def _packed(words: tuple[str | bytes | int, ...]) -> bytes:
    packed: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]  # its stub means a tuple of any length
    return packed


class _Sent:
    """A command (`single`) or a batch of GETs that waits for its reply."""

    __slots__ = ("ended", "futures", "single", "timer")

    def __init__(self, futures: list[asyncio.Future[Any]], *, single: bool) -> None:
        self.futures = futures
        self.single = single
        self.ended = False
        self.timer: asyncio.TimerHandle | None = None

    def end(self, reply: Any) -> None:
        """Hand out the reply, or the error that came instead. Only the first time counts."""
        if self.timer is not None:
            self.timer.cancel()
        if self.ended:
            return
        self.ended = True
        if isinstance(reply, Exception):
            for future in self.futures:
                if not future.done():
                    future.set_exception(reply)
            return
        replies = [reply] if self.single else reply
        for future, value in zip(self.futures, replies, strict=False):  # nobody waits for a fill's reply
            if not future.done():
                future.set_result(value)


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
        self._keys: list[str] = []  # of the next MGET
        self._key_futures: list[asyncio.Future[Any]] = []
        self._commands: list[tuple[bytes, _Sent]] = []
        self._sent: deque[_Sent] = deque()
        self._wake = asyncio.Event()
        self._tried = asyncio.Event()
        self._late = 0
        self._heard = 0.0
        self._announced: bool | None = None
        self.up = False
        self.tracked = False

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
        if not self.up:
            raise Unavailable("Redis is down")
        future: asyncio.Future[bytes | None] = self._loop.create_future()
        self._keys.append(key)
        self._key_futures.append(future)
        self._wake.set()
        try:
            raw = await future
        except ResponseError as error:
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

    def fill(self, key: str, version: int, body: bytes | None, ttl_ms: int) -> None:
        """Write what was read from SQL where Redis had nothing, and still has nothing. Nobody waits for it."""
        if self.up:
            self._queue(("SET", key, held_bytes(version, body), "PX", ttl_ms, "NX"), _Sent([], single=True))

    def replace(self, key: str, version: int, body: bytes | None, ttl_ms: int) -> None:
        """Write what was read from SQL over an older version or an unreadable value. Nobody waits for it."""
        if self.up:
            value = held_bytes(version, body)
            self._queue(("EVALSHA", PUT_SHA, 1, key, version, value, ttl_ms, 1), _Sent([], single=True))

    async def ping(self) -> None:
        """Raises Unavailable unless Redis answers in time."""
        await self._command("PING")

    async def _command(self, *words: str | bytes | int) -> Any:
        if not self.up:
            raise Unavailable("Redis is down")
        future: asyncio.Future[Any] = self._loop.create_future()
        self._queue(words, _Sent([future], single=True))
        try:
            return await future
        except NoScriptError:
            raise
        except ResponseError as error:
            raise Unavailable(f"Redis refuses: {error}") from error

    def _queue(self, words: tuple[str | bytes | int, ...], sent: _Sent) -> None:
        self._commands.append((_packed(words), sent))
        self._wake.set()

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
            self._is_up()
            try:
                self._is_down(await self._serve(connection))
            finally:
                self._is_down(None)
                await connection.disconnect(nowait=True)

    async def _connect(self) -> AbstractConnection:
        """A connection that has shaken hands, tracks our keys and knows the script."""
        options: dict[str, Any] = dict(parse_url(self._url))
        kind: type[AbstractConnection] = options.pop("connection_class", Connection)
        connection = kind(
            **options, protocol=3, socket_timeout=None, socket_connect_timeout=self._connect_seconds, driver_info=None
        )
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            parser: Any = connection._parser  # there is no public way to hear of pushes
            parser.set_invalidation_push_handler(self._pushed)
            try:
                await self._ask(connection, "CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", PREFIX, "NOLOOP")
                self.tracked = True
            except ResponseError as error:
                self.tracked = False
                _log.warning("redis does not track keys: changes are seen later", error=str(error))
            await self._ask(connection, "SCRIPT", "LOAD", PUT_IF_NEWER)
        except BaseException:
            self.tracked = False
            await connection.disconnect(nowait=True)
            raise
        return connection

    async def _ask(self, connection: AbstractConnection, *words: str) -> Any:
        await connection.send_command(*words, check_health=False)
        return await connection.read_response(timeout=math.inf)

    async def _serve(self, connection: AbstractConnection) -> BaseException | None:
        """Carry questions and answers until the connection breaks; says why."""
        self._frozen: asyncio.Future[None] = self._loop.create_future()
        tasks: list[asyncio.Future[None]] = [
            self._frozen,
            asyncio.ensure_future(self._write(connection)),
            asyncio.ensure_future(self._read(connection)),
            asyncio.ensure_future(self._pulse()),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return next(task.exception() for task in done)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _write(self, connection: AbstractConnection) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            parts: list[bytes] = []
            keys, futures, commands = self._keys, self._key_futures, self._commands
            self._keys, self._key_futures, self._commands = [], [], []
            for packed, sent in commands:
                parts.append(packed)
                self._expect(sent)
            for start in range(0, len(keys), KEYS_MAX):
                parts.append(_packed(("MGET", *keys[start : start + KEYS_MAX])))
                self._expect(_Sent(futures[start : start + KEYS_MAX], single=False))
            await connection.send_packed_command(parts, check_health=False)

    def _expect(self, sent: _Sent) -> None:
        sent.timer = self._loop.call_later(self._deadline, self._loop.call_soon, self._missed, sent)
        self._sent.append(sent)

    def _missed(self, sent: _Sent) -> None:
        """The deadline of a batch has passed. (One turn late, so that a reply that came while *we* slept still
        counts.)
        """
        if sent.ended:
            return
        _LATE.inc()
        sent.end(Unavailable(f"Redis did not answer within {self._deadline * 1000:g} ms"))
        self._late += 1
        if self._late >= LATE_MAX and not self._frozen.done():
            self._frozen.set_exception(Unavailable(f"{LATE_MAX} batches in a row missed the deadline"))

    async def _read(self, connection: AbstractConnection) -> None:
        while True:
            reply: Any
            try:
                reply = await connection.read_response(disable_decoding=True, timeout=math.inf, push_request=True)
            except ResponseError as error:
                reply = error
            if reply is _PUSHED:
                continue
            self._late = 0
            self._heard = self._loop.time()
            self._sent.popleft().end(reply)

    async def _pushed(self, push: list[Any]) -> object:
        """`["invalidate", [key, …]]`, or None for the keys when everything was flushed."""
        keys: list[bytes] | None = push[1]
        if keys is None:
            self._notices.tell(None)
            return _PUSHED
        _CHANGES.inc(len(keys))
        for key in keys:
            self._notices.tell(key.decode("utf-8", "replace"))
        return _PUSHED

    async def _pulse(self) -> None:
        """A connection on which nothing is said may be dead, and then its notices are missed."""
        while True:
            await asyncio.sleep(self._heartbeat)
            if self._loop.time() - self._heard >= self._heartbeat:
                await self.ping()

    def _is_up(self) -> None:
        self.up = True
        self._late = 0
        self._heard = self._loop.time()
        _UP.set(1)
        _TRACKING.set(self.tracked)
        if self._announced is False:
            _log.info("redis is back", url=self._shown)
        self._announced = True
        self._tried.set()

    def _is_down(self, error: BaseException | None) -> None:
        """Fail what waits and forget what may have changed. Said once; without an error (we close) not at all."""
        if self.up:
            self.up = self.tracked = False
            _LOST.inc()
            _UP.set(0)
            _TRACKING.set(0)
            waiting = [*self._sent, *(sent for _, sent in self._commands), _Sent(self._key_futures, single=True)]
            self._sent.clear()
            self._keys, self._key_futures, self._commands = [], [], []
            for sent in waiting:
                sent.end(Unavailable("Redis is down"))
            self._notices.tell(None)
        if error is not None:
            if self._announced is not False:
                _log.warning("redis is down: going on without it", url=self._shown, error=str(error))
            self._announced = False
        self._tried.set()

    @property
    def _shown(self) -> str:
        """The address without its password."""
        scheme, _, rest = self._url.partition("://")
        return f"{scheme}://{rest.rpartition('@')[2]}"
