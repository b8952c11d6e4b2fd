"""One connection to Redis: bytes out, replies and pushes in, without a task or a stream in between.

The GETs of one turn of the loop are one MGET, and whatever is asked in one turn is one write. hiredis packs the
commands and takes the replies apart; each reply goes from the socket's callback straight to those who wait for it.
redis-py reads the address (host, path, database, password, TLS) and lends its exceptions.

A batch that is not answered within `deadline` has failed. Batches go out in order, so one timer suffices: it looks at
the oldest that still waits, and runs once per deadline, not once per batch. When `LATE_MAX` in a row were late, the
server is frozen or the network gone, and the connection breaks. It also breaks when the socket says so, and on what
makes no sense. Then everything that waits fails, and `gone` says why; it does not come back, make a new one.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import hiredis
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
    parse_url,
)
from redis.exceptions import AuthenticationError, BusyLoadingError, NoScriptError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError

from edge.errors import Unavailable
from edge.metrics import counter

KEYS_MAX = 256  # of one MGET, so that no other client waits long for ours
LATE_MAX = 3  # batches in a row over the deadline: the server is frozen, or the network gone
BUFFER_BYTES = 256 * 1024  # read at once, as asyncio does

_LATE = counter("redis_late_total", "Batches that missed the deadline")

_NOTHING = object()  # what hiredis answers while a reply is not complete
_ERRORS: dict[str, type[RedisError]] = {
    "NOSCRIPT": NoScriptError,
    "LOADING": BusyLoadingError,  # this one and the next two are of no use as a connection
    "NOAUTH": AuthenticationError,
    "WRONGPASS": AuthenticationError,
}

Word = str | bytes | int


def _error(text: str) -> RedisError:
    """An error reply: its first word says which."""
    return _ERRORS.get(text.partition(" ")[0], ResponseError)(text)


def _packed(words: tuple[Word, ...]) -> bytes:
    packed: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]  # its stub means a tuple of one
    return packed


class _Batch:
    """A command, or a batch of GETs (`many`), that waits for its reply."""

    __slots__ = ("due", "ended", "futures", "many")

    def __init__(self, futures: list[asyncio.Future[Any]], *, many: bool) -> None:
        self.futures = futures
        self.many = many
        self.due = math.inf
        self.ended = False

    def end(self, reply: Any) -> None:
        """Hand out the reply, or the error that came instead. Only the first time counts."""
        if self.ended:
            return
        self.ended = True
        if isinstance(reply, Exception):
            for future in self.futures:
                if not future.done():
                    future.set_exception(reply)
            return
        for future, value in zip(self.futures, reply if self.many else (reply,), strict=False):  # nobody may wait
            if not future.done():
                future.set_result(value)


class RedisConnection(asyncio.BufferedProtocol):
    """`connect` makes one. `pushed` gets what the server says unasked."""

    def __init__(self, pushed: Callable[[list[Any]], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._pushed = pushed
        self._reader = hiredis.Reader(replyError=_error, notEnoughData=_NOTHING)
        self._buffer = bytearray(BUFFER_BYTES)
        self._transport: asyncio.Transport | None = None
        self._keys: list[str] = []  # of the next MGET
        self._askers: list[asyncio.Future[Any]] = []  # one for each of them
        self._packed: list[bytes] = []  # commands of this turn
        self._queued: list[_Batch] = []  # one for each of them
        self._sent: deque[_Batch] = deque()
        self._flushing = False
        self._timer: asyncio.Handle | None = None
        self._late = 0
        self.deadline = math.inf  # of what is sent from now on, in seconds; whoever shakes hands has their own
        self.heard = self._loop.time()
        self.gone: asyncio.Future[Exception] = self._loop.create_future()

    def get(self, key: str) -> asyncio.Future[Any]:
        """The future value of a key, None when it has none."""
        future: asyncio.Future[Any] = self._loop.create_future()
        self._keys.append(key)
        self._askers.append(future)
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)
        return future

    def ask(self, *words: Word) -> asyncio.Future[Any]:
        """The future reply to a command."""
        future: asyncio.Future[Any] = self._loop.create_future()
        self._queue(words, [future])
        return future

    def tell(self, *words: Word) -> None:
        """A command whose reply is of no interest."""
        self._queue(words, [])

    def close(self, reason: Exception | None = None) -> None:
        """It is of no use any more; whatever waits fails. Only the first reason counts."""
        if not self.gone.done():
            self.gone.set_result(reason or ConnectionAbortedError("closed by us"))
        if self._transport is not None:
            self._transport.abort()
        if self._timer is not None:
            self._timer.cancel()
        waiting = [*self._sent, *self._queued, _Batch(self._askers, many=True)]
        self._sent.clear()
        self._keys, self._askers, self._packed, self._queued = [], [], [], []
        for batch in waiting:
            batch.end(Unavailable(f"Redis is down: {self.gone.result()}"))

    # Out

    def _queue(self, words: tuple[Word, ...], futures: list[asyncio.Future[Any]]) -> None:
        self._packed.append(_packed(words))
        self._queued.append(_Batch(futures, many=False))
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Write what this turn of the loop has asked: commands first, so that a GET sees what was filled in before."""
        self._flushing = False
        if self._transport is None or self.gone.done():
            self.close()
            return
        keys, askers, packed, queued = self._keys, self._askers, self._packed, self._queued
        self._keys, self._askers, self._packed, self._queued = [], [], [], []
        for start in range(0, len(keys), KEYS_MAX):
            packed.append(_packed(("MGET", *keys[start : start + KEYS_MAX])))
            queued.append(_Batch(askers[start : start + KEYS_MAX], many=True))
        due = self._loop.time() + self.deadline
        for batch in queued:
            batch.due = due
        self._sent.extend(queued)
        if self._timer is None and due < math.inf:
            self._timer = self._loop.call_at(due, self._look)
        self._transport.write(b"".join(packed))

    def _look(self) -> None:
        """Is the oldest batch overdue? It has one turn more: a reply that came while *we* slept still counts."""
        self._timer = None
        for batch in self._sent:
            if not batch.ended:
                now = self._loop.time()
                if batch.due <= now:
                    self._timer = self._loop.call_soon(self._missed, now)
                else:
                    self._timer = self._loop.call_at(batch.due, self._look)
                return

    def _missed(self, now: float) -> None:
        for batch in self._sent:
            if batch.due > now:
                break
            if not batch.ended:
                _LATE.inc()
                self._late += 1
                batch.end(Unavailable(f"Redis did not answer within {self.deadline * 1000:g} ms"))
        if self._late >= LATE_MAX:
            self.close(Unavailable(f"{LATE_MAX} batches in a row missed the deadline"))
        else:
            self._look()

    # In; called by the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        reader = self._reader
        try:
            reader.feed(self._buffer, 0, nbytes)  # type: ignore[arg-type]  # any buffer will do
            while (reply := reader.gets()) is not _NOTHING:
                if type(reply) is hiredis.PushNotification:
                    self._pushed(reply)
                    continue
                if not self._sent:
                    raise hiredis.ProtocolError("a reply to nothing")
                self.heard = self._loop.time()
                self._late = 0
                self._sent.popleft().end(reply)
                if isinstance(reply, RedisConnectionError):
                    raise reply
        except (hiredis.ProtocolError, RedisConnectionError) as error:
            self.close(error)

    def connection_lost(self, error: Exception | None) -> None:
        self.close(error or ConnectionResetError("the server closed the connection"))


async def connect(url: str, pushed: Callable[[list[Any]], None]) -> RedisConnection:
    """A connection that speaks RESP3, has said who it is and chosen its database."""
    loop = asyncio.get_running_loop()
    options: dict[str, Any] = dict(parse_url(url))
    kind: type[AbstractConnection] = options.pop("connection_class", Connection)
    address: Any = kind(**options, protocol=3, driver_info=None)  # knows what the address means; never connected
    connection = RedisConnection(pushed)
    try:
        if isinstance(address, UnixDomainSocketConnection):
            await loop.create_unix_connection(lambda: connection, address.path)
        else:
            context = address.ssl_context.get() if isinstance(address, SSLConnection) else None
            await loop.create_connection(lambda: connection, address.host, address.port, ssl=context)
        hello: list[Word] = ["HELLO", 3]
        if address.username or address.password:
            hello += ["AUTH", address.username or "default", address.password or ""]
        if address.client_name:
            hello += ["SETNAME", address.client_name]
        await connection.ask(*hello)
        if address.db:
            await connection.ask("SELECT", int(address.db))
    except BaseException:
        connection.close()
        raise
    return connection
