from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.recordings.studio import Studio, studio


@pytest.fixture
def sqlite_url(migrated_sqlite: Path, tmp_path: Path) -> str:
    shutil.copy(migrated_sqlite, tmp_path / "edge.sqlite3")
    return f"sqlite:///{tmp_path}/edge.sqlite3"


@pytest.fixture
async def room(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Studio]:
    async with studio(sqlite_url, tmp_path) as made:
        yield made
