from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.sessions.ground import Ground
from tests.sessions.ground import ground as opened


@pytest.fixture
def sql_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/edge.sqlite3"


@pytest.fixture
async def ground(sql_url: str) -> AsyncIterator[Ground]:
    async with opened(sql_url) as it:
        yield it
