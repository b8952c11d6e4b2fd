"""Events: an account's server is told of what happens to its resources, of each resource in the order it happened.

SQL is the queue, and memory holds only what is being sent. Of a resource only the oldest event that waits may be sent,
so the next one is not sent before that one was taken or given up, whichever process sends it, and one that waits for
its next try holds up its own resource and no other.

Each account with something to send has a stream: so many requests at once, and one at a time, with a growing pause
before each, from the first that failed until one is taken. So a server that is away costs little, however much waits
for it, and is told all of it, in order, when it is back within `give_up_hours`.

    2xx                           taken
    400 409 413 415 422           it was read, and is not wanted: given up
    410                           given up, and the account's events are off until its `webhook_uri` is set anew
    anything else, or no answer   tried again

What is not nice: when the process dies between the server's yes and the row that says so, the event is sent again. Its
id is the same.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Unpack

from pydantic import Field, PositiveFloat, PositiveInt
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.accounts.event import EVENT_TYPES
from edge.errors import Unavailable
from edge.log import get_logger
from edge.metrics import counter, gauge
from edge.sessions.events.journal import AGAIN_KIND, KIND
from edge.sessions.events.queue import AGAIN, EXPIRE, FAILED, OVER, RELEASE, Queued, accounts, heads, waiting
from edge.sessions.queues.backlog import Pace
from edge.sessions.queues.claims import PAUSES, RENEW_SECONDS, Claims
from edge.sessions.queues.sender import SPREAD
from edge.settings import Section
from edge.sms.carrier import NotNow, SendError
from edge.store.metadata import micros, storable
from edge.store.notice import Notices
from edge.store.writer import Statement, Writer

log = get_logger("events")

EVENTS = counter("events_total", "Events by type and by what became of each try to tell them.", ("type", "outcome"))
DEPTH = gauge("events_depth", "Events that wait to be told, of all processes.")
OLDEST = gauge("events_oldest_seconds", "Age of the oldest event that waits to be told.")
FAILING = gauge("events_accounts_failing", "Accounts whose server did not take the last event that was tried here.")

OTHER: Final = "other"  # of another release, on the same database
OUTCOMES: Final = ("sent", "failed", "retried")
_COUNTED: Final = {
    (type, outcome): EVENTS.labels(type, outcome) for type in (*EVENT_TYPES, OTHER) for outcome in OUTCOMES
}
PAGE: Final = 16  # events of one account claimed at a time
PROBE_SECONDS: Final = 60.0  # the longest pause before a server that failed is tried again


class EventsSection(Section):
    """Events that accounts' servers are told."""

    at_once: PositiveInt = Field(default=64, description="How many are sent at the same time.")
    of_one_account: PositiveInt = Field(default=4, description="How many of them to one account's server.")
    first_wait_seconds: PositiveFloat = Field(
        default=1.0, description="The wait before the second try; it doubles with each further one."
    )
    longest_wait_seconds: PositiveFloat = Field(default=300.0, description="No wait is longer than this.")
    give_up_hours: PositiveFloat = Field(
        default=72.0, description="Age at which an event is given up as failed; it can be told again by the API."
    )


Tell = Callable[[Queued], Awaitable[str]]  # returns the status of the answer; raises SendError


class _Stream:
    """What is sent to one account's server. `until` is when a server that failed is tried again, `fails` how often it
    has failed since it took anything, `ready` what is claimed and not begun."""

    __slots__ = ("beginning", "customer_id", "fails", "flying", "news", "ready", "task", "until")

    def __init__(self, customer_id: str) -> None:
        self.customer_id = customer_id
        self.beginning = False
        self.fails = 0
        self.until = datetime.min.replace(tzinfo=UTC)
        self.flying: set[asyncio.Task[None]] = set()
        self.ready: deque[Queued] = deque()
        self.news = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def landed(self, task: asyncio.Task[None]) -> None:
        """One is over, so there is room for another."""
        self.flying.discard(task)
        self.news.set()


class Events:
    """Sends them. `tell` brings one to its account's server; `node` is this process's name in claims."""

    def __init__(
        self,
        section: EventsSection,
        engine: AsyncEngine,
        writer: Writer,
        tell: Tell,
        notices: Notices,
        *,
        node: str,
        **pace: Unpack[Pace],
    ) -> None:
        self._section = section
        self._engine = engine
        self._writer = writer
        self._tell = tell
        self._claims = Claims(writer, node, "events")
        self._clock = pace.get("clock", lambda: datetime.now(UTC))
        self._pause = pace.get("pause", asyncio.sleep)
        self._chance = pace.get("chance", random.random)
        self._slots = asyncio.Semaphore(section.at_once)
        self._streams: dict[str, _Stream] = {}
        self._held: set[str] = set()
        self._since = 0  # claims made before that time, in microseconds, may have run out
        self._tending: asyncio.Task[None] | None = None
        notices.listen(KIND, self.look)
        notices.listen(AGAIN_KIND, self.look_again)

    async def start(self) -> None:
        """Take up what was left. Raises Unavailable."""
        await self._claims.recover()
        await self._claims.renew(self._clock(), any_held=False)
        self._tending = asyncio.create_task(self._tend())
        await self._sweep()
        await self._measure()

    async def close(self) -> None:
        """Stop; what is being sent right now may be sent again by the next start."""
        tending, self._tending = self._tending, None
        if tending is None:
            return
        streams = list(self._streams.values())
        tasks = [tending, *(task for stream in streams for task in (stream.task, *stream.flying) if task is not None)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            await self._claims.leave()
        except Unavailable as error:
            log.warning("events that wait stay claimed for a while", error=error.message)

    def look(self, customer_id: str | None) -> None:
        """An account has events to send, or may have; without effect before the start, which looks at all."""
        if customer_id is None or self._tending is None:
            return
        stream = self._streams.get(customer_id)
        if stream is None:
            stream = self._streams[customer_id] = _Stream(customer_id)
            stream.task = asyncio.create_task(self._serve(stream))
        stream.news.set()

    def look_again(self, customer_id: str | None) -> None:
        """Somebody wants events of an account told now: its server gets no pause."""
        self.look(customer_id)
        if (stream := self._streams.get(customer_id or "")) is not None:
            stream.until = self._clock()

    async def idle(self) -> None:
        """Wait until all that is due was tried."""
        while busy := [stream for stream in self._streams.values() if self._is_busy(stream)]:
            await asyncio.wait([task for s in busy for task in (s.task, *s.flying) if task is not None], timeout=0.001)

    def _is_busy(self, stream: _Stream) -> bool:
        return stream.news.is_set() or stream.beginning or bool(stream.flying)

    # One account

    async def _serve(self, stream: _Stream) -> None:
        """Send what an account has until nothing is left that this process may send."""
        while True:
            stream.news.clear()
            stream.beginning = True
            try:
                wait = await self._begin(stream)
            except Unavailable:
                wait = RENEW_SECONDS
            except Exception:
                log.exception("events of an account not sent", customer_id=stream.customer_id)
                wait = RENEW_SECONDS
            finally:
                stream.beginning = False
            if wait is None and not stream.flying and not stream.news.is_set():
                del self._streams[stream.customer_id]
                return
            try:
                async with asyncio.timeout(wait):
                    await stream.news.wait()
            except TimeoutError:
                pass

    async def _begin(self, stream: _Stream) -> float | None:
        """Begin to send all that may be sent now; returns the seconds until something else may."""
        wait: float | None = None
        if not stream.ready and self._room(stream):
            wait = await self._take(stream)
        while stream.ready and self._room(stream):
            event = stream.ready.popleft()
            task = asyncio.create_task(self._send(stream, event))
            stream.flying.add(task)
            task.add_done_callback(stream.landed)
        paused = (stream.until - self._clock()).total_seconds()
        return paused if paused > 0 else wait

    def _room(self, stream: _Stream) -> int:
        if stream.until > self._clock():
            return 0
        return max(0, (1 if stream.fails else self._section.of_one_account) - len(stream.flying))

    async def _take(self, stream: _Stream) -> float | None:
        """Claim events that are due; returns the seconds until others are. Raises Unavailable."""
        now = self._clock()
        size = self._room(stream) if stream.fails else PAGE
        rows = await heads(self._engine, stream.customer_id, now, size)
        due = [event for event in rows if event.due <= now and event.id not in self._held]
        for event, ours in zip(due, await self._claims.take([event.id for event in due], now), strict=True):
            if ours:
                self._held.add(event.id)
                stream.ready.append(event._replace(claimed=micros(now)))
        return min(((event.due - now).total_seconds() for event in rows if event.due > now), default=None)

    async def _send(self, stream: _Stream, event: Queued) -> None:
        """Tell one, and write down what became of it."""
        tries = event.attempts + 1
        try:
            async with self._slots:
                if not self._is_ours(event):
                    self._held.discard(event.id)
                    return
                code = await self._tell(event)
        except SendError as error:
            await self._failed(stream, event, tries, error)
        except Exception as error:
            log.exception("an event cannot be told", id=event.id)
            await self._failed(stream, event, tries, NotNow(f"a fault of ours: {type(error).__name__}"))
        else:
            self._took(stream)
            await self._over(event, "sent", tries, code, "")
        self._held.discard(event.id)

    def _is_ours(self, event: Queued) -> bool:
        """Whether the claim holds; a process that was frozen must not tell what another has told meanwhile."""
        return event.claimed >= self._since and self._claims.sure(event.claimed, self._clock())

    def _took(self, stream: _Stream) -> None:
        """The server is there."""
        if stream.fails:
            log.info("events are taken again", customer_id=stream.customer_id)
        stream.fails, stream.until = 0, self._clock()

    async def _failed(self, stream: _Stream, event: Queued, tries: int, error: SendError) -> None:
        now = self._clock()
        if not error.retry:
            self._took(stream)
            log.warning("event refused", id=event.id, type=event.type, error=error.sentence)
            await self._over(event, "failed", tries, error.code, error.sentence)
            return
        await self._back_off(stream, error)
        due = now + timedelta(seconds=self._wait(tries, self._section.longest_wait_seconds))
        if due >= event.tm_queued + timedelta(hours=self._section.give_up_hours):
            sentence = f"given up after {tries} tries: {error.sentence}"
            log.warning("event given up", id=event.id, type=event.type, error=sentence)
            await self._over(event, "failed", tries, error.code, sentence)
            return
        _count(event, "retried")
        said = (storable(error.code), storable(error.sentence))
        await self._write(AGAIN, (tries, micros(due), *said, micros(now), event.id, self._claims.node))

    async def _back_off(self, stream: _Stream, error: SendError) -> None:
        """Give a server that failed a pause. Others that were under way then do not make it longer."""
        now = self._clock()
        if stream.until > now:
            return
        if not stream.fails:
            log.warning("events are not taken", customer_id=stream.customer_id, error=error.sentence)
        stream.fails += 1
        wait = self._wait(stream.fails, PROBE_SECONDS)
        if isinstance(error, NotNow) and error.after is not None:
            wait = max(wait, error.after)
        stream.until = now + timedelta(seconds=wait)
        ready, stream.ready = stream.ready, deque()
        if ready:
            self._held.difference_update(event.id for event in ready)
            await self._write(RELEASE, *((event.id, self._claims.node) for event in ready))

    def _wait(self, tries: int, longest: float) -> float:
        wait = min(longest, self._section.first_wait_seconds * 2.0 ** min(tries - 1, 60))
        return wait * (1 + SPREAD * (2 * self._chance() - 1))

    async def _over(self, event: Queued, state: str, tries: int, code: str, error: str) -> None:
        row = (state, tries, storable(code), storable(error), micros(self._clock()), event.id)
        if state == "failed":
            await self._write(FAILED, (*row, self._claims.node))
        else:
            await self._write(OVER, row)
        _count(event, state)

    async def _write(self, statement: Statement, *rows: tuple[Any, ...]) -> None:
        """Write until SQL takes it: what was taken must not be sent again because SQL was away."""
        tries = 0
        while True:
            try:
                await self._writer.put(statement, rows)
            except Unavailable as error:
                if tries == 0:
                    log.warning("what became of an event cannot be written down", error=error.message)
                await self._pause(PAUSES[min(tries, len(PAUSES) - 1)])
                tries += 1
            else:
                return

    # All accounts

    async def _tend(self) -> None:
        """Hold on to what we have, look for what others have left, give up what is too old, and measure."""
        while True:
            await self._pause(RENEW_SECONDS)
            try:
                await self._renew()
                await self._expire()
                await self._sweep()
                await self._measure()
            except Unavailable as error:
                log.warning("claims on events not renewed", error=error.message)
            except Exception:
                log.exception("events that wait not looked after")

    async def _renew(self) -> None:
        """Hold on to what we have; if that is too late, it is not ours any more."""
        now = self._clock()
        if not self._claims.sure(0, now):
            self._since = micros(now)
        await self._claims.renew(now, any_held=bool(self._held))

    async def _sweep(self) -> None:
        for customer_id in await accounts(self._engine):
            self.look(customer_id)

    async def _expire(self) -> None:
        """Fail what is too old and was not tried lately."""
        now = self._clock()
        old = now - timedelta(hours=self._section.give_up_hours)
        error = "given up: the server did not take what came before it in time"
        count = await self._writer.put(EXPIRE, [(error, micros(now), micros(old), micros(now))])
        if count:
            log.warning("events given up", count=count)

    async def _measure(self) -> None:
        count, oldest = await waiting(self._engine)
        FAILING.set(sum(1 for stream in self._streams.values() if stream.fails))
        DEPTH.set(count)
        OLDEST.set(max(0.0, (self._clock() - oldest).total_seconds()) if oldest is not None else 0)


def _count(event: Queued, outcome: str) -> None:
    _COUNTED[event.type if event.type in EVENT_TYPES else OTHER, outcome].inc()
