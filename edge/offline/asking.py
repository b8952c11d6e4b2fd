"""Asking the edge that runs, for what only its memory has: by its API, with a key that is good for a minute.

Who may read the configuration and write the database may make such a key anyway (`edge key create`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import aiohttp

from edge.config import Config
from edge.errors import EdgeError, NotFound, Unavailable

SECONDS: Final = 10.0  # for one answer
KEY_SECONDS: Final = 60
ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


class Running:
    """The edge of this configuration, as its API shows it."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def json(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        """Raises NotFound, Unavailable."""
        async with self._asked(path, query) as response:
            found: dict[str, Any] = await response.json()
            return found

    async def body(self, path: str, query: Mapping[str, str] | None = None) -> bytes:
        """Raises NotFound, Unavailable."""
        async with self._asked(path, query or {}) as response:
            return await response.read()

    @asynccontextmanager
    async def _asked(self, path: str, query: Mapping[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            async with self._session.get(self._url + path, params=query) as response:
                if response.status >= 400:
                    raise await _refusal(response)
                yield response
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"no edge answers at {self._url}: {error or 'too late'}") from None


async def _refusal(response: aiohttp.ClientResponse) -> EdgeError:
    try:
        message = (await response.json())["error"]["message"]
    except (aiohttp.ClientError, ValueError, KeyError, TypeError):
        message = f"status {response.status}"
    return NotFound(message) if response.status == 404 else Unavailable(f"the edge does not answer that: {message}")


@asynccontextmanager
async def running_edge(config: Config, keys: Any) -> AsyncIterator[Running]:
    """`keys` is the table of keys (`accounts/key.py`). Raises Unavailable when SQL is away."""
    host = ANYWHERE.get(config.api.host, config.api.host)
    url = f"http://{f'[{host}]' if ':' in host else host}:{config.api.port}"
    expires = datetime.now(UTC) + timedelta(seconds=KEY_SECONDS)
    key, token = await keys.create(None, admin=True, name="edge explain", expires=expires)
    try:
        async with aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {token}"}, timeout=aiohttp.ClientTimeout(total=SECONDS)
        ) as session:
            yield Running(session, url)
    finally:
        await keys.revoke(key.id)
