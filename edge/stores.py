"""The stores put together: SQL, Redis, and the tables and directories that stand on them.

The daemon opens all of it; the commands that look something up or make a key open it too, beside a running daemon.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from edge.accounts.customer import CustomerDirectory, CustomerTable
from edge.accounts.key import KeyTable
from edge.accounts.webhook_secret import WebhookSecretTable
from edge.api.forms import FORMS
from edge.config import Config
from edge.errors import Unavailable
from edge.flows.calendar import Calendar
from edge.flows.caller_list import Callers
from edge.flows.library import Library
from edge.flows.resource import CALENDARS, CALLER_LISTS, Resources, ResourceTable
from edge.flows.table import FlowTable
from edge.log import get_logger
from edge.numbers.directory import Directory
from edge.numbers.number import Number
from edge.numbers.table import NumberTable
from edge.sessions.events.journal import Journal
from edge.sessions.route import Routes
from edge.store.cache_outbox import CacheWriter
from edge.store.embedded import EmbeddedRedis, server_binary
from edge.store.engine import is_sqlite, open_engine
from edge.store.migrate import is_behind, migrate
from edge.store.notice import Notices
from edge.store.reader import Reader
from edge.store.redis import RedisTier
from edge.trunks.roll import TrunkRoll
from edge.trunks.stored import StoredTrunks

log = get_logger("store")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """`redis` None: there is no such tier, two remain."""

    engine: AsyncEngine
    reader: Reader
    redis: RedisTier | None
    customers: CustomerTable
    accounts: CustomerDirectory
    keys: KeyTable
    secrets: WebhookSecretTable
    numbers: NumberTable
    directory: Directory
    flows: FlowTable
    library: Library
    calendars: ResourceTable[Calendar]
    caller_lists: ResourceTable[Callers]
    resources: Resources
    routes: Routes
    roll: TrunkRoll
    trunks: StoredTrunks
    notices: Notices
    journal: Journal

    async def owned(self, number: str, customer_id: str) -> Number | None:
        """The number, if it is an active one of that customer."""
        found = (await self.directory.find(number)).value
        return found if found is not None and found.customer_id == customer_id and found.status == "active" else None


@asynccontextmanager
async def open_stores(config: Config, *, embedded_redis: bool = False) -> AsyncIterator[Stores]:
    """Open everything, and close it in reverse. An SQLite database is brought up to date, PostgreSQL has to be.

    `embedded_redis`: start a server of our own where the configuration names none. Raises Unavailable.
    """
    async with AsyncExitStack() as stack:
        if is_sqlite(config.store.url):
            await migrate(config.store.url)
        elif await is_behind(config.store.url):
            raise Unavailable("the database is not up to date: edge migrate")
        engine = await open_engine(config.store.url, pool=config.store.pool)
        stack.push_async_callback(engine.dispose)
        notices = Notices()
        redis = await _open_redis(config, notices, stack, embedded=embedded_redis)
        reader = Reader(config.store)
        await reader.start()
        stack.push_async_callback(reader.close)
        cache = CacheWriter(engine, redis, notices, ttl_seconds=config.cache.redis_seconds)
        await cache.start()
        stack.push_async_callback(cache.close)
        tiers = (config.cache, notices, redis, reader)
        directory, accounts, library = Directory(*tiers), CustomerDirectory(*tiers), Library(*tiers)
        roll = TrunkRoll(config.trunks, notices, lambda: redis is not None and redis.tracked)
        journal = Journal(accounts, notices, FORMS, lambda: datetime.now(UTC))
        yield Stores(
            engine=engine,
            reader=reader,
            redis=redis,
            customers=CustomerTable(engine, cache),
            accounts=accounts,
            keys=KeyTable(engine),
            secrets=WebhookSecretTable(engine),
            numbers=NumberTable(engine, cache, note=journal.number),
            directory=directory,
            flows=FlowTable(engine, cache, note=journal.flow),
            library=library,
            calendars=ResourceTable(CALENDARS, engine, cache),
            caller_lists=ResourceTable(CALLER_LISTS, engine, cache),
            resources=Resources.open(*tiers),
            routes=Routes(directory, accounts, library),
            roll=roll,
            trunks=StoredTrunks(engine, cache, roll.given),
            notices=notices,
            journal=journal,
        )


async def _open_redis(config: Config, notices: Notices, stack: AsyncExitStack, *, embedded: bool) -> RedisTier | None:
    section = config.redis
    if section.url is None:
        if not embedded:
            return None
        if server_binary() is None:
            log.info("no redis: the embedded server is not installed")
            return None
        server = EmbeddedRedis(config.data)
        try:
            section = section.model_copy(update={"url": await server.start()})
        except Unavailable as error:
            log.warning("no redis", error=error.message)
            return None
        stack.push_async_callback(server.stop)
    redis = RedisTier(section, notices)
    await redis.start()
    stack.push_async_callback(redis.close)
    return redis
