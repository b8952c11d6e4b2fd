from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.servers import PostgresServer
from tests.sessions.ground import Ground, make_tables
from tests.sessions.ground import ground as opened


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def texts_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """One database of each kind for all tests of texts; `ground` empties it. To make one for each would take longer
    than the tests do."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('texts')}/edge.sqlite3"
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.create()
    asyncio.run(make_tables(url))
    return url


@pytest.fixture
async def ground(texts_url: str) -> AsyncIterator[Ground]:
    async with opened(texts_url) as it:
        yield it
