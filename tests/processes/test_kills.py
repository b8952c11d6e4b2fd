"""An edge under load, by webhook and by SMPP at the same time, that is killed and started again, and again.

`test_crash.py` kills it at places of interest; here it dies wherever it happens to be. Nothing that was acknowledged is
lost, nothing is kept or answered twice; a reply is twice on the wire only if it was on its way when the edge died, and
where replies have an id both times with the same one.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.calls.daemon import HOST, Daemon, new
from tests.processes.bringing import (
    BOOKS,
    CONNECTIONS,
    WINDOW,
    Smsc,
    WebCarrier,
    configuration,
    expected,
    provision,
    until,
)
from tests.servers import free_port

pytestmark = [pytest.mark.server, pytest.mark.slow]

TEXTS = 600  # by each way
DIES = (150, 700)  # acknowledged texts after which the edge is killed
ON_THEIR_WAY = 32  # replies at once, of each way: `outbox.at_once`


class World(NamedTuple):
    edge: Daemon
    callback: int
    smsc: int


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    callback, smsc = free_port(), free_port()
    edge = new(tmp_path_factory.mktemp("kills"), configuration(callback, smsc))
    try:
        edge.start()
        provision(edge)
        yield World(edge, callback, smsc)
        assert edge.stop() == 0
    finally:
        edge.stop()


def books(edge: Daemon) -> dict[str, int]:
    """What SQL says of all of it."""
    with sqlite3.connect(f"file:{edge.folder}/edge.sqlite3?mode=ro", uri=True, timeout=5) as connection:
        return {name: connection.execute(query).fetchone()[0] for name, query in BOOKS.items()}


async def test_kills_under_load_lose_nothing_and_double_nothing(world: World) -> None:
    edge, web, smsc = world.edge, WebCarrier(world.edge, TEXTS), Smsc(TEXTS)
    both = (web, smsc)
    async with (
        await asyncio.start_server(web.take, HOST, world.callback),
        await asyncio.start_server(smsc.serve, HOST, world.smsc),
    ):
        sending = [asyncio.create_task(web.send()) for _ in range(CONNECTIONS)]
        for place in DIES:
            await until(both, lambda place=place: sum(c.acknowledged.total() for c in both) >= place, f"text {place}")  # type: ignore[misc]
            edge.kill()
            edge.launch()
        await until(both, lambda: all(carrier.done for carrier in both), "the last reply")
        await asyncio.gather(*sending)
        async with asyncio.timeout(10):
            while (found := books(edge))["not run"] + found["not sent"]:
                await asyncio.sleep(0.1)  # the last few are being written down
    assert found == expected(2 * TEXTS)
    again = [carrier.replies.total() - len(carrier.replies) for carrier in both]
    print(f"\n{2 * TEXTS} texts, {len(DIES)} kills; replies again on the wire: {again}")
    assert max(again) <= len(DIES) * max(ON_THEIR_WAY, WINDOW)
    assert {text: ids for text, ids in web.ids.items() if len(ids) != 1} == {}
