from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.api.world import Residents, World, running, settle
from tests.servers import apart


@pytest.fixture(scope="session")
def settled(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Residents]:
    """A database to copy, and who has settled in it: to make them anew would take longer than most tests do."""
    path = tmp_path_factory.mktemp("settled") / "edge.sqlite3"
    shutil.copy(migrated_sqlite, path)
    return path, apart(settle(f"sqlite:///{path}"))


@pytest.fixture
async def world(settled: tuple[Path, Residents], tmp_path: Path) -> AsyncIterator[World]:
    """The API on SQLite."""
    template, residents = settled
    shutil.copy(template, tmp_path / "edge.sqlite3")
    async with running(f"sqlite:///{tmp_path}/edge.sqlite3", residents=residents) as made:
        yield made


@pytest.fixture
async def each_world(database_url: str) -> AsyncIterator[World]:
    """The API on SQLite and on PostgreSQL, a test each."""
    async with running(database_url) as made:
        yield made


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def still(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One API for all tests that change nothing. They run on the session's loop: `@on_still`."""
    path = tmp_path_factory.mktemp("still") / "edge.sqlite3"
    shutil.copy(migrated_sqlite, path)
    async with running(f"sqlite:///{path}") as made:
        yield made
