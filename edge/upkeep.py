"""What is up: whether it is ready, its drain, what a reload takes over, and what goes on beside the traffic."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from edge import systemd
from edge.config import Config
from edge.errors import Fault, Unavailable
from edge.log import configure, get_logger
from edge.metrics import gauge
from edge.sessions.calls.book import CallBook
from edge.sessions.overload import BEAT_SECONDS, Overload
from edge.sip.transport import Endpoint
from edge.sip.transport.tls import read_tls
from edge.stir.anchors import read_anchors
from edge.stir.repository import Repository
from edge.stores import Stores

log = get_logger("daemon")

RELOADED: Final = ("trunks", "log", "drain_seconds", "keep_days")  # what SIGHUP takes over at once
PURGE_SECONDS: Final = 3600.0  # between two looks for records that are too old
PURGE_BATCH: Final = 1000  # rows of one DELETE, so that nobody waits long for it
BEATS: Final = 10  # of the loop, for one value of its lag
PURGE_PAUSE: Final = 0.1
CLOSE_SECONDS: Final = 1.0  # for the answers to the last BYEs

LAG = gauge("event_loop_lag_seconds", "How late the event loop was, the most of the last half second.")
DRAINING = gauge("draining", "1 from SIGTERM on.")


class Purged(Protocol):
    """A table whose old rows go."""

    async def purge(self, before: datetime, batch: int, /) -> int:
        """Delete up to `batch` rows that are too old; how many went. Raises Unavailable."""


class Daemon:
    """What is up. Made by `daemon.running`; everything that changes while it runs is in here."""

    def __init__(
        self,
        config: Config,
        stores: Stores,
        endpoint: Endpoint,
        book: CallBook,
        tables: Sequence[Purged],
        credentials: Repository,
        leave: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self.config = config
        self.stores = stores
        self.endpoint = endpoint
        self.sip: list[str] = []
        self.http = ""
        self.draining = False
        self._book = book
        self._tables = tables
        self._credentials = credentials
        self._leave = leave  # what goes first when draining: another edge has it at once

    def readiness(self) -> list[Fault]:
        """Reasons against traffic. A database that is away is none: what is in the caches is served."""
        if not self.sip:
            return [Fault("sip", "not listening yet")]
        return [Fault("daemon", "draining")] if self.draining else []

    async def drain(self, hurry: asyncio.Event) -> None:
        """Take nothing new; let calls run on, but not for ever, and not once somebody is in a hurry."""
        self.draining = True
        DRAINING.set(1)
        self.endpoint.agent.drain(self.endpoint.now())
        log.info("draining", calls=self._book.active, seconds=self.config.drain_seconds)
        systemd.stopping(f"draining, {self._book.active} calls")
        if self._leave is not None:
            await self._leave()
        waits = [asyncio.create_task(self._book.idle()), asyncio.create_task(hurry.wait())]
        await asyncio.wait(waits, timeout=self.config.drain_seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        if self._book.active:
            log.warning("calls hung up at the end of the drain", calls=self._book.active)
            self._book.hang_up_all()
            await self.endpoint.settle(CLOSE_SECONDS)

    def reload(self, new: Config) -> None:
        """Take over what can change in flight, and say what cannot. Raises Invalid, and then nothing changed."""
        sip = self.config.sip.model_copy(update={"tls": new.sip.tls})
        tls = read_tls(sip)  # what the files hold may be new, though their names are not
        anchors = read_anchors(new.stir)  # the same
        if self.config.trunks != new.trunks:
            self.stores.roll.reload(new.trunks)
        self.endpoint.secure(tls)
        tls.announce()
        self._credentials.trust(anchors)
        stir = self.config.stir.model_copy(update={"anchors": new.stir.anchors})
        self.config = self.config.model_copy(update={"sip": sip, "stir": stir})
        changed = [name for name in Config.model_fields if getattr(self.config, name) != getattr(new, name)]
        applied = [name for name in changed if name in RELOADED]
        restart = [name for name in changed if name not in RELOADED]
        self.config = self.config.model_copy(update={name: getattr(new, name) for name in applied})
        if "log" in changed:
            configure(new.log)
        log.info("configuration read again", changed=", ".join(applied) or "nothing")
        if restart:
            log.warning("configuration that needs a restart", changed=", ".join(restart))

    # What goes on beside the traffic

    async def measure_lag(self, overload: Overload) -> None:
        """How late the loop is: at each beat for who turns away what is too much, the worst of some for Prometheus."""
        while True:
            worst = 0.0
            for _ in range(BEATS):
                due = time.monotonic() + BEAT_SECONDS
                await asyncio.sleep(BEAT_SECONDS)
                late = max(0.0, time.monotonic() - due)
                overload.beat(late)
                worst = max(worst, late)
            LAG.set(worst)

    async def feed_watchdog(self) -> None:
        """From the event loop: a loop that hangs must not look alive."""
        seconds = systemd.watchdog_seconds()
        while seconds is not None:
            systemd.alive()
            await asyncio.sleep(seconds)

    async def purge(self) -> None:
        """Delete old records in batches, with a pause after each for those who write."""
        while True:
            if self.config.keep_days:
                before = datetime.now(UTC) - timedelta(days=self.config.keep_days)
                for table in self._tables:
                    await self._purge(table, before)
            await asyncio.sleep(PURGE_SECONDS)

    async def _purge(self, table: Purged, before: datetime) -> None:
        try:
            while await table.purge(before, PURGE_BATCH) == PURGE_BATCH:  # noqa: ASYNC110 - a pause for those who write
                await asyncio.sleep(PURGE_PAUSE)
        except Unavailable as error:
            log.warning("old records stay for now", error=error.message)
