from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.api.world import World, running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        spec = getattr(item, "callspec", None)
        if spec is not None and spec.params.get("database_url") == "postgresql":
            item.add_marker(pytest.mark.server)


@pytest.fixture
async def world(migrated_sqlite: Path, tmp_path: Path) -> AsyncIterator[World]:
    """The API on SQLite."""
    shutil.copy(migrated_sqlite, tmp_path / "edge.sqlite3")
    async with running(f"sqlite:///{tmp_path}/edge.sqlite3") as made:
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
