"""A voice agent on real sockets: a WebSocket server that keeps what comes, and says what a test has it say.

It runs in a thread with an event loop of its own, for stories of calls wait by blocking.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest
from aiohttp import WSMsgType, web

from tests.calls.daemon import HOST

T = TypeVar("T")

SECONDS = 5.0


class Agent:
    """Use as a context manager. `audio` and `words` are what came, of all connections together."""

    def __init__(self) -> None:
        self.port = 0
        self.audio = bytearray()
        self.words: list[dict[str, Any]] = []
        self.closed = threading.Event()  # a connection is over
        self.hold = threading.Event()  # set: it reads nothing
        self._sockets: list[web.WebSocketResponse] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._runner: web.AppRunner | None = None

    def __enter__(self) -> Agent:
        self._thread.start()
        self._do(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(SECONDS)
        self._loop.close()

    @property
    def url(self) -> str:
        return f"ws://{HOST}:{self.port}/agent"

    def send(self, audio: bytes) -> None:
        self._do(self._socket.send_bytes(audio))

    def say(self, kind: str, **what: Any) -> None:
        self._do(self._socket.send_str(json.dumps({"type": kind, **what})))

    def send_text(self, text: str) -> None:
        self._do(self._socket.send_str(text))

    def close(self) -> None:
        self._do(self._socket.close())

    def die(self) -> None:
        """As a process that is killed: no word, the connection is reset."""

        async def cut() -> None:
            transport = self._socket._req.transport if self._socket._req is not None else None
            assert transport is not None
            transport.abort()

        self._do(cut())

    def until(self, look: Callable[[], T], what: str) -> T:
        """Wait until there is something."""
        deadline = time.monotonic() + SECONDS
        while not (found := look()):
            if time.monotonic() > deadline:
                pytest.fail(f"{what} did not come; {self.words} and {len(self.audio)} bytes did")
            time.sleep(0.005)  # looked at again until the deadline
        return found

    def word(self, kind: str) -> dict[str, Any]:
        """The first of this kind, once it has come."""

        def look() -> dict[str, Any] | None:
            return next((word for word in self.words if word["type"] == kind), None)

        found = self.until(look, kind)
        assert found is not None
        return found

    @property
    def _socket(self) -> web.WebSocketResponse:
        return self._sockets[-1]

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(SECONDS)

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_get("/agent", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, 0)
        await site.start()
        assert site._server is not None
        self.port = self._runner.addresses[0][1]

    async def _stop(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._sockets.append(socket)
        try:
            async for message in socket:
                if message.type is WSMsgType.BINARY:
                    self.audio += message.data
                elif message.type is WSMsgType.TEXT:
                    self.words.append(json.loads(message.data))
        finally:
            self.closed.set()
        return socket
