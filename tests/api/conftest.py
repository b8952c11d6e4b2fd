from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api.world import World, running


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
