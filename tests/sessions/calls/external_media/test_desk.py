"""Forks on a stream that nobody calls: what is bounded, what is counted, and that nothing stays behind."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from ipaddress import IPv4Network
from typing import Any

import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

from edge.errors import Conflict, Exhausted, Forbidden, Unavailable
from edge.flows.external_media import ExternalMedia
from edge.http import Guard, HttpSection
from edge.media.section import MediaSection
from edge.media.stream import StreamClosed
from edge.media.transport.engine import MediaEngine
from edge.media.transport.stream import Stream
from edge.metrics import REGISTRY
from edge.sessions.calls.external_media import desk as module
from edge.sessions.calls.external_media import websocket
from edge.sessions.calls.external_media.desk import ForkDesk
from edge.sessions.calls.external_media.websocket import WebSocketFork

HOST = "127.0.0.1"
TOLD = {"call_id": "c", "source": "+1", "destination": "+2"}
QUIET = bytes(320)


class Server:
    """A WebSocket server that reads, or, as long as `deaf` is set, does not."""

    def __init__(self) -> None:
        self.url = ""
        self.words: list[dict[str, Any]] = []
        self.audio = 0
        self.deaf = asyncio.Event()
        self.open = 0
        self.sockets: list[web.WebSocketResponse] = []

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        made = web.WebSocketResponse(autoping=False)
        await made.prepare(request)
        self.sockets.append(made)
        self.open += 1
        try:
            while self.deaf.is_set():
                await asyncio.sleep(0.01)  # looked at again: what is tested is that it does not read
            async for message in made:
                if message.type is WSMsgType.TEXT:
                    self.words.append(json.loads(message.data))
                elif message.type is WSMsgType.BINARY:
                    self.audio += len(message.data)
        finally:
            self.open -= 1
        return made


async def until(condition: Callable[[], object], seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.001)  # a socket of the other side has no event for us


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    app = web.Application()
    app.router.add_get("/agent", made.serve)
    serving = TestServer(app, host=HOST)
    await serving.start_server()
    made.url = f"ws://{HOST}:{serving.port}/agent"
    yield made
    made.deaf.clear()
    with suppress(TimeoutError):
        await asyncio.wait_for(serving.close(), 5)


@pytest.fixture
async def engine() -> AsyncIterator[MediaEngine]:
    first = 19000 + os.getpid() % 100 * 8
    made = MediaEngine(MediaSection(first_port=first, last_port=first + 7, port_rest_seconds=0))
    await made.start()
    yield made
    await made.close()


@pytest.fixture
def stream(engine: MediaEngine) -> Stream:
    return engine.open(HOST)


@pytest.fixture
async def forks(server: Server) -> AsyncIterator[ForkDesk]:
    """Closed before the server is."""
    guard = Guard(HttpSection(allow_private=[IPv4Network("127.0.0.1/32")]))
    made = ForkDesk(guard)
    yield made
    await made.close()
    assert not made._tasks
    assert not made._forks
    await guard.close()


def media(host: str, **more: Any) -> ExternalMedia:
    return ExternalMedia(host=host, **{"format": "ulaw", "listen": "in", "speak": True, **more})


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def hear(stream: Stream, count: int, start: int = 0) -> None:
    """So many packets of the caller."""
    for number in range(start, start + count):
        for tap in stream._taps:
            tap.heard(160 * number, QUIET)


async def test_a_server_that_does_not_read_costs_its_own_audio(
    forks: ForkDesk, stream: Stream, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "GOODBYE_SECONDS", 0.05)
    server.deaf.set()
    await forks.start(stream, media(server.url), TOLD)
    (fork,) = forks._forks[stream]
    assert isinstance(fork, WebSocketFork)
    before = counted("edge_external_media_dropped_total", kind="websocket", direction="outgoing")
    sent = 0
    while counted("edge_external_media_dropped_total", kind="websocket", direction="outgoing") < before + 100:
        hear(stream, 500, sent)
        sent += 500
        await asyncio.sleep(0)
        assert sent < 2_000_000, "what waits for it has no end"
    assert len(fork._audio) <= websocket.WAITING
    assert forks.stop(stream, "stopped") == 1
    assert stream._taps == ()
    await asyncio.wait_for(forks.close(), 5)


async def test_a_server_that_answers_no_ping_is_gone(
    forks: ForkDesk, stream: Stream, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(websocket, "GOODBYE_SECONDS", 0.05)
    server.deaf.set()
    lost = counted("edge_external_media_total", kind="websocket", event="lost")
    await forks.start(stream, media(server.url), TOLD)
    await until(lambda: not forks._forks)
    assert counted("edge_external_media_total", kind="websocket", event="lost") == lost + 1
    assert stream._taps == ()


async def test_what_is_sent_too_far_ahead_goes_and_is_counted(
    forks: ForkDesk, stream: Stream, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "AHEAD_MS", 1000)
    before = counted("edge_external_media_dropped_total", kind="websocket", direction="incoming")
    await forks.start(stream, media(server.url), TOLD)
    await until(lambda: server.sockets)
    await server.sockets[0].send_bytes(bytes(100_000))
    live = stream.sender.live
    assert live is not None
    await until(lambda: live.dropped_ms == 11_500)
    assert live.buffered_ms == 1000
    assert counted("edge_external_media_dropped_total", kind="websocket", direction="incoming") > before


async def test_a_message_that_is_too_long_ends_it(forks: ForkDesk, stream: Stream, server: Server) -> None:
    await forks.start(stream, media(server.url), TOLD)
    await until(lambda: server.sockets)
    await server.sockets[0].send_bytes(bytes(websocket.MESSAGE_BYTES + 1))
    await until(lambda: not forks._forks)
    assert stream.sender.live is None


async def test_a_stream_that_is_closed_meanwhile_keeps_no_fork(forks: ForkDesk, stream: Stream, server: Server) -> None:
    stream.close()
    for where in (server.url, f"{HOST}:9"):
        with pytest.raises(StreamClosed):
            await forks.start(stream, media(where), TOLD)
    await until(lambda: server.words and server.words[-1]["type"] == "stop" and not server.open)


async def test_who_gives_up_while_it_connects_leaves_nothing(forks: ForkDesk, stream: Stream) -> None:
    with socket.socket() as silent:
        silent.bind((HOST, 0))
        silent.listen(1)
        where = f"ws://{HOST}:{silent.getsockname()[1]}/"
        starting = asyncio.ensure_future(forks.start(stream, media(where), TOLD))
        await until(lambda: stream in forks._forks)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
    assert not forks._forks
    assert stream._taps == ()


async def test_a_server_that_does_not_answer_is_not_waited_for(
    forks: ForkDesk, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "CONNECT_SECONDS", 0.05)
    with socket.socket() as silent:
        silent.bind((HOST, 0))
        silent.listen(1)
        with pytest.raises(Unavailable, match=r"did not come within 0\.05 seconds"):
            await forks.start(stream, media(f"ws://{HOST}:{silent.getsockname()[1]}/"), TOLD)


async def test_limits(forks: ForkDesk, engine: MediaEngine, stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = media(f"{HOST}:9", speak=False)
    await forks.start(stream, media(f"{HOST}:9"), TOLD)
    with pytest.raises(Conflict, match="another fork speaks"):
        await forks.start(stream, media(f"{HOST}:9"), TOLD)
    for _ in range(module.FORKS_PER_CALL - 1):
        await forks.start(stream, silent, TOLD)
    with pytest.raises(Exhausted, match="the call has 4 forks already"):
        await forks.start(stream, silent, TOLD)
    other = engine.open(HOST)
    monkeypatch.setattr(module, "FORKS", 5)
    await forks.start(other, silent, TOLD)
    with pytest.raises(Exhausted, match="5 forks are open already"):
        await forks.start(other, silent, TOLD)
    assert forks.stop(stream, "stopped") == 4
    assert forks.stop(stream, "stopped") == 0
    await forks.start(stream, media(f"{HOST}:9"), TOLD)


async def test_a_host_that_must_not_be_reached_is_not(forks: ForkDesk, stream: Stream) -> None:
    for where in ("127.0.0.2:4000", "ws://127.0.0.2:4000/"):
        with pytest.raises(Forbidden):
            await forks.start(stream, media(where), TOLD)
    assert counted("edge_external_media_forks") == 0


async def test_nobody_is_told_of_what_was_not_asked_for(forks: ForkDesk, stream: Stream, server: Server) -> None:
    await forks.start(stream, media(server.url, listen="none", speak=False), TOLD)
    hear(stream, 10)
    await until(lambda: server.sockets)
    await server.sockets[0].send_bytes(bytes(1000))
    await server.sockets[0].send_str('{"type": "mark", "name": "x"}')
    await until(lambda: any(word["type"] == "marked" for word in server.words))
    assert server.audio == 0
    assert stream.sender.live is None
