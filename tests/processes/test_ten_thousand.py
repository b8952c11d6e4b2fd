"""Ten thousand texts, and a PostgreSQL that goes away twice meanwhile: none is lost, and none is answered twice.

While the database is away each text is refused so that it comes again. In the end the books are made up: what was sent,
what is in SQL, and what came back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import asyncpg  # type: ignore[import-untyped]
import pytest

from tests.calls.daemon import HOST, Daemon, new
from tests.processes.bringing import (
    BOOKS,
    CONNECTIONS,
    QUIET,
    Smsc,
    WebCarrier,
    configuration,
    expected,
    provision,
    until,
)
from tests.processes.line import Line, line
from tests.servers import PostgresServer, free_port

pytestmark = [pytest.mark.server, pytest.mark.slow]

TEXTS = 5_000  # by each way
GOES_AWAY = (2_500, 6_000)  # acknowledged texts after which the database is stopped
REFUSED = 50  # texts refused by each way before it is started again


class World(NamedTuple):
    edge: Daemon
    postgres: PostgresServer
    line: Line
    callback: int
    smsc: int


@pytest.fixture(scope="module")
def world(short_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = short_directory / "postgres-of-ten-thousand"
    directory.mkdir()
    postgres = PostgresServer(directory)
    postgres.start()
    callback, smsc = free_port(), free_port()
    edge = new(tmp_path_factory.mktemp("ten-thousand"), configuration(callback, smsc), store=postgres.create())
    try:
        edge.run("migrate", "--config", str(edge.config))
        edge.start()
        provision(edge)
        with line(edge) as peer:
            yield World(edge, postgres, peer, callback, smsc)
        assert edge.alive, edge.words()
        assert not edge.lines("Traceback"), edge.words()
        assert edge.stop() == 0
    finally:
        edge.stop()
        postgres.stop()


async def bring(world: World, web: WebCarrier, smsc: Smsc) -> None:
    """All texts, by both ways at the same time, while the database goes away and comes back."""
    both = (web, smsc)
    async with (
        await asyncio.start_server(web.take, HOST, world.callback),
        await asyncio.start_server(smsc.serve, HOST, world.smsc),
    ):
        sending = [asyncio.create_task(web.send()) for _ in range(CONNECTIONS)]
        for place in GOES_AWAY:
            await until(both, lambda place=place: sum(c.acknowledged.total() for c in both) >= place, f"text {place}")  # type: ignore[misc]
            before = [carrier.refused for carrier in both]
            world.postgres.stop()
            await until(
                both,
                lambda before=before: all(c.refused >= b + REFUSED for c, b in zip(both, before, strict=True)),  # type: ignore[misc]
                "that each way is refused",
            )
            assert (await asyncio.to_thread(world.line.ask, "MESSAGE", QUIET, "by sip", "text/plain")).status == 503
            await asyncio.to_thread(world.postgres.start)
        await until(both, lambda: all(carrier.done for carrier in both), "the last reply")
        await asyncio.gather(*sending)


async def books(world: World) -> dict[str, int]:
    """What SQL says of all of it."""
    connection = await asyncpg.connect(world.edge.store)
    try:
        return {name: await connection.fetchval(query) for name, query in BOOKS.items()}
    finally:
        await connection.close()


async def test_ten_thousand_texts_while_the_database_is_restarted(world: World) -> None:
    web, smsc = WebCarrier(world.edge, TEXTS), Smsc(TEXTS)
    began = time.monotonic()
    await bring(world, web, smsc)
    took = time.monotonic() - began
    print(f"\n{2 * TEXTS} texts in {took:.0f} s; refused for now {web.refused} by webhook, {smsc.refused} by SMPP")
    async with asyncio.timeout(10):
        while (found := await books(world)) != expected(2 * TEXTS) and found["not run"] + found["not sent"]:
            await asyncio.sleep(0.1)  # the last few are being written down
    assert found == expected(2 * TEXTS)
    assert {text: times for carrier in (web, smsc) for text, times in carrier.replies.items() if times != 1} == {}
