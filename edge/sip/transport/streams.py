"""All connections, TCP and TLS: those that others open to us, and ours to them.

What goes to an address that no connection of ours leads to waits until one stands, or cannot. Over TLS it leads to an
address and a name: `Peer.subject` of one that is still to be opened says who has to prove to be there. Who is not let
in is gone before the handshake.

Who connects to us over TLS, shows a certificate and writes `alias` into his Via is called over that connection, too, as
long as it stands (RFC 5923): at the address it came from and the port of that Via.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from edge.log import get_logger
from edge.sip.certificate import proves
from edge.sip.connection import Crowd, Waiting
from edge.sip.counts import DISCARDED
from edge.sip.limits import CONNECT, CONNECTIONS, HANDSHAKES
from edge.sip.message import Malformed, Request, parse
from edge.sip.peer import Peer
from edge.sip.secure import Secured
from edge.sip.strangers import Strangers
from edge.sip.transport.address import Address, is_address
from edge.sip.transport.stream import Kind, Stream
from edge.sip.transport.tls import Tls
from edge.sip.wire import SIPS_PORT

SWEEP = 5.0  # s between looks at idle and slow connections
KINDS: Final[dict[str, Kind]] = {"tcp": "tcp", "tls": "tls"}

LINE: Final = 1.0  # s between two lines of the log about handshakes of others that failed

log = get_logger("sip")

Key = tuple[Kind, Address, str]  # where a connection of ours leads: how, to which address, and to whom


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

    def __init__(
        self, hub: Hub, admit: Callable[[str, str], bool], strangers: Strangers, tls: Tls | None = None
    ) -> None:
        self.locals: dict[str, list[Address]] = {kind: [] for kind in KINDS}
        self.tls = tls  # for connections from now on
        self._hub = hub
        self._admit = admit
        self._strangers = strangers
        self._loop = asyncio.get_running_loop()
        self._servers: list[asyncio.Server] = []
        self._open: dict[int, Stream] = {}
        self._crowd = Crowd()
        self._to: dict[Key, Stream | Waiting] = {}  # connections of ours
        self._connecting: set[asyncio.Task[None]] = set()
        self._aliases: dict[Address, Stream] = {}  # connections of others that may be used as if they were ours
        self._complained = -LINE
        self._count = 0
        self._shaking = 0  # handshakes of others that are under way
        self._swept = 0.0
        self._closed = False

    def __len__(self) -> int:
        return len(self._open)

    def now(self) -> float:
        return self._loop.time()

    async def listen(self, kind: Kind, host: str, port: int) -> Address:
        """Raises OSError; ValueError for TLS without a certificate."""
        if kind == "tls" and (self.tls is None or self.tls.server is None):
            raise ValueError("TLS is listened for without a certificate")
        server = await self._loop.create_server(lambda: Stream(self, kind), host, port, backlog=1024)
        self._servers.append(server)
        name = server.sockets[0].getsockname()
        local = name[0], name[1]
        self.locals[kind].append(local)
        return local

    def send(self, peer: Peer, data: bytes) -> bool:
        """False: the peer cannot be reached."""
        if peer.connection:
            stream = self._open.get(peer.connection)
            return stream is not None and stream.send(data)
        kind = KINDS[peer.transport]
        key = kind, peer.remote, peer.subject
        there = self._to.get(key) or self._reused(key)
        if there is None:
            if not is_address(peer.remote[0]) or self._closed or len(self._to) >= CONNECTIONS:
                return False
            there = self._to[key] = Waiting()
            task = self._loop.create_task(self._connect(key, there))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)
        there.peers.add(peer)
        return there.send(data)

    def _reused(self, key: Key) -> Stream | None:
        """A connection of theirs that leads to whom is meant."""
        stream = self._aliases.get(key[1])
        if stream is None or key[0] != "tls" or not proves(stream.peer.subject.split(), key[2].split() or [key[1][0]]):
            return None
        return stream

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
            if not self._admit(remote[0], stream.kind):
                self._strangers.seen(remote[0], stream.kind, self._loop.time())
                return None
            if (stream.kind == "tls" and self._shaking >= HANDSHAKES) or not self._crowd.enter(remote[0]):
                DISCARDED["connections"]()
                return None
            self._shaking += stream.kind == "tls"
        self._count += 1
        if not self._open:
            self._swept = self._loop.time()
        self._open[self._count] = stream
        self._hub.arm()
        return Peer(stream.kind, local, remote, self._count)

    def welcome(self) -> Secured:
        """For a TLS connection that was opened to us."""
        assert self.tls is not None
        assert self.tls.server is not None
        return Secured(self.tls.server)

    def shaken(self, stream: Stream) -> None:
        """The handshake is over."""
        self._shaking -= stream.inbound

    def insecure(self, stream: Stream, why: str) -> None:
        """There will be no TLS on this connection. What others do is told once in a while only."""
        now = self.now()
        if stream.inbound and now < self._complained + LINE:
            return
        self._complained = now
        host, port = stream.peer.remote
        log.warning("no TLS", remote=f"{host}:{port}", opened_by="them" if stream.inbound else "us", why=why)

    def read(self, stream: Stream, messages: list[bytes]) -> None:
        """What it brought. The first of it may say that it leads back as well."""
        if stream.is_new and messages:
            stream.is_new = False
            port = alias(messages[0]) if stream.inbound and stream.peer.subject else None
            if port is not None:
                stream.alias = stream.peer.remote[0], port
                self._aliases[stream.alias] = stream
        self._hub.read(stream.peer, messages, stream.send)

    def disconnected(self, stream: Stream) -> None:
        peer = stream.peer
        self._open.pop(peer.connection, None)
        if stream.key is None:
            self._crowd.leave(peer.remote[0])
            self._shaking -= stream.shaking
            if stream.alias is not None and self._aliases.get(stream.alias) is stream:
                del self._aliases[stream.alias]
        elif self._to.get(stream.key) is stream:
            del self._to[stream.key]
        self._hub.lost({peer, *stream.peers})

    async def _connect(self, key: Key, waiting: Waiting) -> None:
        """Open a connection of ours and send what waited for it."""
        stream: Stream | None = None
        try:
            stream = self._stream_to(key)
            async with asyncio.timeout(CONNECT):
                await self._loop.create_connection(lambda: stream, *key[1])
                if stream.stands is not None:
                    await stream.stands
            if stream.is_gone:  # as soon as it stood
                raise ConnectionResetError
        except (OSError, TimeoutError, ValueError):
            if stream is not None:
                stream.abort()
            del self._to[key]
            self._hub.lost(waiting.peers)
            return
        stream.peers = waiting.peers
        self._to[key] = stream
        for data in waiting.messages:
            stream.send(data)

    def _stream_to(self, key: Key) -> Stream:
        """Raises ValueError where the other side can prove nothing."""
        kind, (host, _), subject = key
        if kind == "tcp":
            return Stream(self, kind, key)
        if self.tls is None:
            raise ValueError("no TLS is configured")
        stream = Stream(self, kind, key, Secured(self.tls.client, wanted=subject.split() or [host]))
        stream.stands = self._loop.create_future()
        return stream


def alias(message: bytes) -> int | None:
    """The port that whoever sent this request may be called at by the connection it came over; None: by none."""
    try:
        request = parse(message)
        via = request.via
    except Malformed:
        return None
    if not isinstance(request, Request) or via.transport != "TLS" or "alias" not in via.params:
        return None
    return via.port or SIPS_PORT
