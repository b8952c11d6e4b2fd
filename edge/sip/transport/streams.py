"""All TCP connections: those that others open to us, and ours to them.

What goes to an address that no connection of ours leads to waits until one stands, or cannot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from edge.sip.connection import Crowd, Waiting
from edge.sip.counts import DISCARDED
from edge.sip.limits import CONNECT, CONNECTIONS
from edge.sip.peer import Peer
from edge.sip.strangers import Strangers
from edge.sip.transport.address import Address, is_address
from edge.sip.transport.stream import Stream

SWEEP = 5.0  # s between looks at idle and slow connections


class Hub(Protocol):
    """Who has the turns."""

    def read(self, peer: Peer, messages: list[bytes], pong: Callable[[bytes], bool], /) -> None:
        """What a connection brought: one turn."""

    def lost(self, peers: set[Peer], /) -> None:
        """There is no way to these any more."""

    def arm(self) -> None:
        """There is a deadline where there may have been none."""


class Streams:
    """The connections of one endpoint."""

    def __init__(self, hub: Hub, admit: Callable[[str, str], bool], strangers: Strangers) -> None:
        self.locals: list[Address] = []
        self._hub = hub
        self._admit = admit
        self._strangers = strangers
        self._loop = asyncio.get_running_loop()
        self._servers: list[asyncio.Server] = []
        self._open: dict[int, Stream] = {}
        self._crowd = Crowd()
        self._to: dict[Address, Stream | Waiting] = {}  # connections of ours
        self._connecting: set[asyncio.Task[None]] = set()
        self._count = 0
        self._swept = 0.0
        self._closed = False

    def __len__(self) -> int:
        return len(self._open)

    def now(self) -> float:
        return self._loop.time()

    async def listen(self, host: str, port: int) -> Address:
        """Raises OSError."""
        server = await self._loop.create_server(lambda: Stream(self, inbound=True), host, port, backlog=1024)
        self._servers.append(server)
        name = server.sockets[0].getsockname()
        local = name[0], name[1]
        self.locals.append(local)
        return local

    def send(self, peer: Peer, data: bytes) -> bool:
        """False: the peer cannot be reached."""
        if peer.connection:
            stream = self._open.get(peer.connection)
            return stream is not None and stream.send(data)
        there = self._to.get(peer.remote)
        if there is None:
            if not is_address(peer.remote[0]) or self._closed or len(self._to) >= CONNECTIONS:
                return False
            there = self._to[peer.remote] = Waiting(peer.remote)
            task = self._loop.create_task(self._connect(there))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)
        there.peers.add(peer)
        return there.send(data)

    @property
    def due(self) -> float | None:
        """When to `look` next; None while there are none."""
        return self._swept + SWEEP if self._open else None

    def look(self, now: float) -> None:
        """Close what is idle or slow, if it is time to look."""
        if self._open and now >= self._swept + SWEEP:
            self._swept = now
            for stream in list(self._open.values()):
                stream.look(now)

    async def close(self) -> None:
        """Send what is still waiting in connections, and close them."""
        self._closed = True
        for server in self._servers:
            server.close()
        for task in self._connecting:
            task.cancel()
        for stream in list(self._open.values()):
            stream.close()
        await asyncio.gather(*self._connecting, return_exceptions=True)
        await asyncio.sleep(0)

    # What a connection says

    def connected(self, stream: Stream, local: Address, remote: Address) -> Peer | None:
        """A new connection. None: it is not wanted."""
        if stream.inbound:
            if not self._admit(remote[0], "tcp"):
                self._strangers.seen(remote[0], "tcp", self._loop.time())
                return None
            if not self._crowd.enter(remote[0]):
                DISCARDED["connections"]()
                return None
        self._count += 1
        if not self._open:
            self._swept = self._loop.time()
        self._open[self._count] = stream
        self._hub.arm()
        return Peer("tcp", local, remote, self._count)

    def read(self, stream: Stream, messages: list[bytes]) -> None:
        self._hub.read(stream.peer, messages, stream.send)

    def disconnected(self, stream: Stream) -> None:
        peer = stream.peer
        self._open.pop(peer.connection, None)
        if stream.inbound:
            self._crowd.leave(peer.remote[0])
        elif self._to.get(peer.remote) is stream:
            del self._to[peer.remote]
        self._hub.lost({peer, *stream.peers})

    async def _connect(self, waiting: Waiting) -> None:
        """Open a connection of ours and send what waited for it."""
        try:
            async with asyncio.timeout(CONNECT):
                _, stream = await self._loop.create_connection(lambda: Stream(self, inbound=False), *waiting.remote)
        except (OSError, TimeoutError):
            del self._to[waiting.remote]
            self._hub.lost(waiting.peers)
            return
        stream.peers = waiting.peers
        self._to[waiting.remote] = stream
        for data in waiting.messages:
            stream.send(data)
