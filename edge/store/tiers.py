"""A read-through cache in tiers: memory, Redis, SQL. The number directory and the flow library stand on it.

`peek` looks into memory only and is what a call in the fast lane uses; `find` goes down the tiers. Rules:

- *Single flight*: all who look for one key at the same time wait for one look-up.
- *Misses are remembered* too, shorter: in memory, and in Redis as a tombstone of version 0 that is written only where
  there is nothing.
- *Fresh* entries live long while Redis tells us about changes, and a fraction of a second while nobody does.
- A notice makes an entry old at once, and a look-up that was under way when the notice came is answered but not kept.
- *Stale*: an entry that is too old stays. When Redis and SQL both fail it is served, and counted. A remembered miss is
  never served so: what is not known is `Unavailable`, not missing.
- *Versions*: a lower version never replaces a higher one; a Redis that came back with yesterday's value is passed over.

Memory is bounded by two generations: what is used moves into the young one; when that is full it becomes the old one,
and what nobody used since the last time is dropped. That is nearly the order of use, at the price of a dict look-up.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, Literal, NamedTuple, TypeVar

from edge.errors import Unavailable
from edge.log import get_logger
from edge.metrics import histogram, tally
from edge.store.breaker import Breaker
from edge.store.cache_section import CacheSection
from edge.store.notice import Notices, cache_key
from edge.store.redis import RedisTier

V = TypeVar("V")

SourceName = Literal["memory", "redis", "sql", "stale"]


class Found(NamedTuple, Generic[V]):
    """An answer. `value` None: there is none, for certain. `source`: the tier it came from."""

    value: V | None
    source: SourceName


class Versioned(NamedTuple, Generic[V]):
    """What SQL says about a key. Never heard of: version 0 and None. Gone: its last version and None."""

    version: int
    value: V | None


class _Entry(Generic[V]):
    __slots__ = ("epoch", "expires", "found", "stale_until", "version")

    def __init__(self, version: int, value: V | None, epoch: int, expires: float, stale_until: float) -> None:
        self.found: Found[V] = Found(value, "memory")
        self.version = version
        self.epoch = epoch
        self.expires = expires
        self.stale_until = stale_until


class _Flight(Generic[V]):
    """A look-up under way and those who wait for it."""

    __slots__ = ("dirty", "epoch", "task", "waiting")

    def __init__(self, epoch: int) -> None:
        self.waiting: list[asyncio.Future[Found[V]]] = []
        self.epoch = epoch
        self.dirty = False
        self.task: asyncio.Task[None] | None = None


LOOKUPS = tally("lookups_total", "Look-ups, by the tier that answered and what it said", ["kind", "source", "outcome"])
_SECONDS = histogram("lookup_seconds", "Duration of look-ups that memory could not answer", ["kind", "source"])

_log = get_logger("store")


class Tiers(Generic[V]):
    """The tiers for one kind of value.

    `load` asks SQL; what it raises but `Unavailable`, TimeoutError and OSError is a fault of ours and reaches whoever
    asked. `encode` and `decode` make and read the value's form in Redis; a value that `decode` refuses with ValueError
    is replaced. `clock` gives the monotonic seconds that `peek` takes.
    """

    def __init__(
        self,
        kind: str,
        *,
        section: CacheSection,
        notices: Notices,
        redis: RedisTier | None,
        load: Callable[[str], Awaitable[Versioned[V]]],
        encode: Callable[[V], bytes],
        decode: Callable[[bytes], V],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kind = kind
        self._section = section
        self._redis = redis
        self._load = load
        self._encode = encode
        self._decode = decode
        self._clock = clock
        self._half = max(1, section.entries // 2)
        self._young: dict[str, _Entry[V]] = {}
        self._old: dict[str, _Entry[V]] = {}
        self._flights: dict[str, _Flight[V]] = {}
        self._epoch = 0
        self._sql = Breaker()
        self._memory_found = LOOKUPS.labels(kind, "memory", "found")
        self._memory_missing = LOOKUPS.labels(kind, "memory", "missing")
        self._counts = {
            (source, outcome): LOOKUPS.labels(kind, source, outcome)
            for source in ("redis", "sql", "stale")
            for outcome in ("found", "missing")
        }
        self._unavailable = LOOKUPS.labels(kind, "none", "unavailable")
        self._seconds = {source: _SECONDS.labels(kind, source) for source in ("redis", "sql", "stale", "none")}
        notices.listen(kind, self.forget)

    def peek(self, key: str, now: float) -> Found[V] | None:
        """What memory knows, fresh; None when it does not know. Never waits."""
        entry = self._young.get(key)
        if entry is None:
            entry = self._old.get(key)
            if entry is None:
                return None
            self._keep(key, entry)
        if entry.expires <= now or entry.epoch != self._epoch:
            return None
        found = entry.found
        if found[0] is None:
            self._memory_missing.value += 1
        else:
            self._memory_found.value += 1
        return found

    async def find(self, key: str) -> Found[V]:
        """The answer of the first tier that knows. Raises Unavailable when none does and none can."""
        found = self.peek(key, self._clock())
        if found is not None:
            return found
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(self._epoch)
            return await self._fly(key, flight)
        waiter: asyncio.Future[Found[V]] = asyncio.get_running_loop().create_future()
        flight.waiting.append(waiter)
        return await waiter

    def forget(self, key: str | None) -> None:
        """What is known of the key, None: of all keys, is outdated. It stays for bad times, as stale."""
        if key is None:
            self._epoch += 1
            return
        entry = self._young.get(key) or self._old.get(key)
        if entry is not None:
            entry.expires = 0.0
        flight = self._flights.get(key)
        if flight is not None:
            flight.dirty = True

    def __len__(self) -> int:
        """Entries in memory."""
        return len(self._young) + len(self._old)

    async def _fly(self, key: str, flight: _Flight[V]) -> Found[V]:
        """Look the key up, for who came first and all who wait with him."""
        started = self._clock()
        try:
            found = await self._descend(key, flight)
        except Exception as error:
            del self._flights[key]
            if isinstance(error, Unavailable):
                self._unavailable.inc()
                self._seconds["none"].observe(self._clock() - started)
            for waiter in flight.waiting:
                if not waiter.done():
                    waiter.set_exception(error)
            raise
        except BaseException:  # who came first was stopped; the others want to know still
            if flight.waiting:
                flight.task = asyncio.create_task(self._fly_on(key, flight))
            else:
                del self._flights[key]
            raise
        del self._flights[key]
        self._counts[found.source, "missing" if found.value is None else "found"].inc(1 + len(flight.waiting))
        self._seconds[found.source].observe(self._clock() - started)
        for waiter in flight.waiting:
            if not waiter.done():
                waiter.set_result(found)
        return found

    async def _fly_on(self, key: str, flight: _Flight[V]) -> None:
        first = flight.waiting.pop(0)
        try:
            found = await self._fly(key, flight)
        except asyncio.CancelledError:
            first.cancel()
            raise
        except Exception as error:
            if not first.done():
                first.set_exception(error)
        else:
            if not first.done():
                first.set_result(found)

    async def _descend(self, key: str, flight: _Flight[V]) -> Found[V]:
        known = self._young.get(key) or self._old.get(key)
        known_version = known.version if known is not None else 0
        redis_had: int | None = None  # the version, when Redis answered with something we do not use
        redis = self._redis
        if redis is not None and redis.up:
            try:
                held = await redis.get(cache_key(self._kind, key))
            except Unavailable:
                redis = None
            else:
                if held is not None:
                    redis_had = held.version
                    if held.version >= known_version:
                        try:
                            value = None if held.body is None else self._decode(held.body)
                        except ValueError as error:
                            _log.error("a cached value cannot be read", kind=self._kind, error=type(error).__name__)
                        else:
                            self._remember(key, flight, held.version, value)
                            return Found(value, "redis")
        try:  # in a task: a deadline needs one, and who looks may have none so far (`flows/eager.py`)
            loaded = await asyncio.create_task(self._ask_sql(key))
        except Unavailable:
            if known is not None and known.found.value is not None and known.stale_until > self._clock():
                return Found(known.found.value, "stale")
            raise
        self._remember(key, flight, *loaded)
        if redis is not None:
            self._fill(redis, key, loaded, redis_had)
        return Found(loaded.value, "sql")

    async def _ask_sql(self, key: str) -> Versioned[V]:
        """Raises Unavailable when SQL fails, is too slow, or has failed so often that nobody asks it just now."""
        if not self._sql.allows(self._clock()):
            raise Unavailable("the database is down")
        try:
            async with asyncio.timeout(self._section.sql_seconds):
                loaded = await self._load(key)
        except (Unavailable, TimeoutError, OSError) as error:
            if self._sql.failed(self._clock()):
                _log.warning("sql does not answer: serving what is known", kind=self._kind, error=str(error))
            raise Unavailable(f"the database does not answer: {error}") from error
        if self._sql.worked():
            _log.info("sql answers again", kind=self._kind)
        return loaded

    def _remember(self, key: str, flight: _Flight[V], version: int, value: V | None) -> None:
        """Keep an answer in memory, unless something newer is there."""
        known = self._young.get(key) or self._old.get(key)
        if known is not None and known.version > version:
            return
        section, now = self._section, self._clock()
        tracked = self._redis is not None and self._redis.tracked
        seconds = section.memory_seconds if tracked else section.untracked_seconds
        if value is None:
            seconds = min(seconds, section.negative_seconds)
        if flight.dirty:
            seconds = 0.0
        self._keep(key, _Entry(version, value, flight.epoch, now + seconds, now + section.stale_seconds))

    def _keep(self, key: str, entry: _Entry[V]) -> None:
        """Put an entry among the young ones."""
        self._old.pop(key, None)
        if len(self._young) >= self._half and key not in self._young:
            self._old, self._young = self._young, {}
        self._young[key] = entry

    def _fill(self, redis: RedisTier, key: str, loaded: Versioned[V], had: int | None) -> None:
        """Tell Redis what SQL said: where it has nothing, or has an older version or something unreadable."""
        body = None if loaded.value is None else self._encode(loaded.value)
        seconds = self._section.redis_negative_seconds if body is None else self._section.redis_seconds
        full_key, ttl_ms = cache_key(self._kind, key), int(seconds * 1000)
        if had is None:
            redis.fill(full_key, loaded.version, body, ttl_ms)
        elif loaded.version > 0:
            redis.replace(full_key, loaded.version, body, ttl_ms)
