"""Sockets and the clock for one agent: the only module of this package that knows them.

UDP is read by `add_reader` in batches of `recvfrom` (asyncio's datagram endpoint costs three times as much a message)
and written by plain `sendto`; what the socket does not take at once waits in a short queue. TCP goes through asyncio's
streams of bytes and a `Framer`. There is one timer on the loop for everything that has a deadline here.

One turn is: messages in, events to the user, messages out, timer. A batch is one turn, so an INVITE that its user
answers while he is told of it never gets a 100, and all others get it before anything waits.

What the agent sends to itself (`peer.LOOP`) comes back in a later turn, as from a peer that its answers go back
through. That peer is made here and nowhere else, so nothing that came from a socket can be taken for it; `admit` is not
asked about it.

A source that `admit` refuses hears nothing over UDP and loses its connection over TCP. Nothing here resolves a name: a
peer whose address is none is one that cannot be reached.

What is not nice: deadlines are kept to `TICK`; nobody on the wire can tell, and the loop is woken a hundred times a
second at the most.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import ip_address

from edge.sip.agent import Agent
from edge.sip.connection import PONG, Connection, Crowd, Waiting
from edge.sip.counts import DISCARDED
from edge.sip.events import Event
from edge.sip.framing import FramingError
from edge.sip.limits import CONNECT, CONNECTIONS, INSIDE, PEERS, QUEUED, UNSENT
from edge.sip.peer import Peer
from edge.sip.section import LISTEN
from edge.sip.timers import T1
from edge.sip.turn import Trace, Turn

BATCH = 64  # datagrams read in one turn; TCP and the API get their share after it
DATAGRAM = 65_535
KEEP_ALIVE = 4  # octets; no message is so short
BUFFER = 4 << 20  # octets of the socket's receive buffer: half a second of INVITEs at 5,000/s
TICK = 0.01  # s
SETTLE = 0.01  # s between looks at what is still to be answered
SWEEP = 5.0  # s between looks at idle and slow connections

Address = tuple[str, int]


class Endpoint:
    """The transport of one agent. After verbs of the user outside of an event call `flush`."""

    def __init__(
        self,
        agent: Agent,
        handle: Callable[[Event], None],
        admit: Callable[[str], bool],
        trace: Trace | None = None,
    ) -> None:
        """`handle` gets each event; `admit` says whether an address may talk to us; `trace` sees what passes."""
        self.agent = agent
        self.listening = asyncio.Event()  # what goes out needs an address of ours
        self._agent = agent
        self._admit = admit
        self._turn = Turn(agent, handle, self._send, trace)
        self._loop = asyncio.get_running_loop()
        self._datagrams: list[_Datagrams] = []
        self._by_local: dict[Address, _Datagrams] = {}
        self._servers: list[asyncio.Server] = []
        self._tcp_locals: list[Address] = []
        self._streams: dict[int, _Stream] = {}
        self._crowd = Crowd()
        self._to: dict[Address, _Stream | Waiting] = {}  # connections of ours
        self._inside: deque[tuple[Peer, bytes]] = deque()  # from ourselves to ourselves
        self._connecting: set[asyncio.Task[None]] = set()
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None
        self._swept = 0.0
        self._closed = False

    # What the user calls

    async def listen(self, binds: Iterable[str]) -> list[str]:
        """Listen at `udp:127.0.0.1:5060`, `tcp:[::1]:5060` …; returns the same with the ports that port 0 became.

        Raises OSError, naming the bind, when it cannot; ValueError for one that is none.
        """
        bound = []
        for bind in binds:
            match = LISTEN.fullmatch(bind)
            if match is None:
                raise ValueError(f"{bind} is not transport:address:port")
            transport, host, port = match[1], match[2].strip("[]"), int(match[3])
            try:
                local = await (self._listen_udp if transport == "udp" else self._listen_tcp)(host, port)
            except OSError as error:
                raise OSError(error.errno, f"cannot listen at {bind}: {error.strerror}") from error
            bound.append(f"{transport}:{f'[{host}]' if ':' in host else host}:{local[1]}")
        self.listening.set()
        return bound

    def now(self) -> float:
        """The clock of the agent."""
        return self._loop.time()

    def flush(self) -> None:
        """End a turn: tell events, send, set the timer. Within a turn it does nothing, for the turn ends so anyway."""
        if not self._closed and self._turn.begin():
            self._end_turn()

    async def close(self) -> None:
        """Stop listening, send what is still waiting in connections, and close them."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for datagrams in self._datagrams:
            datagrams.close()
        for server in self._servers:
            server.close()
        for task in self._connecting:
            task.cancel()
        for stream in list(self._streams.values()):
            stream.close()
        await asyncio.gather(*self._connecting, return_exceptions=True)
        await asyncio.sleep(0)

    def local_for(self, peer: Peer) -> Address:
        """The address of ours that messages to this peer leave from. Raises OSError when none fits."""
        family = socket.AF_INET6 if ":" in peer.remote[0] else socket.AF_INET
        bound = [one.local for one in self._datagrams] if peer.transport == "udp" else self._tcp_locals
        for host, port in bound:
            if (":" in host) == (family == socket.AF_INET6):
                return (outward(peer.remote, family), port) if is_any(host) else (host, port)
        raise OSError(f"no address of ours can reach {peer.transport}:{peer.remote[0]}")

    async def settle(self, seconds: float) -> None:
        """Wait until our last requests have their answers, up to that time."""
        deadline = self.now() + seconds
        while self._agent.stats()["unanswered"] and self.now() < deadline:  # noqa: ASYNC110 - the agent has no event for it
            await asyncio.sleep(SETTLE)

    @property
    def connections(self) -> int:
        return len(self._streams)

    # A turn

    def _end_turn(self) -> None:
        now = self._loop.time()
        self._turn.end(now)
        # Save when they are woken, machines set no deadline nearer than T1: a timer before that stays as it is.
        # (But for the pause after a 491, which is a matter of chance anyway.)
        if self._timer is None or self._timer.when() > now + T1:
            self._arm(now)

    def _arm(self, now: float) -> None:
        """Set the timer to the first deadline."""
        deadline = self._agent.get_timer()
        if self._streams and (deadline is None or self._swept + SWEEP < deadline):
            deadline = self._swept + SWEEP
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            self._timer = self._loop.call_at(max(deadline, now + TICK), self._wake)

    def _wake(self) -> None:
        self._timer = None
        now = self._loop.time()
        if self._streams and now >= self._swept + SWEEP:
            self._swept = now
            for stream in list(self._streams.values()):
                stream.look(now)
        if self._turn.begin():
            self._turn.wake(now)
            self._end_turn()

    # Sending

    def _send(self, peer: Peer, data: bytes) -> bool:
        """False: the peer cannot be reached."""
        if peer.transport == "udp":
            datagrams = self._by_local.get(peer.local) or self._datagrams_for(peer)
            return datagrams is not None and is_address(peer.remote[0]) and datagrams.send(data, peer.remote)
        if peer.inside:
            return self._send_inside(peer, data)
        if peer.connection:
            stream = self._streams.get(peer.connection)
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

    def _datagrams_for(self, peer: Peer) -> _Datagrams | None:
        """A socket for a peer whose local address is none of ours: the first that speaks its family."""
        wanted = ":" in peer.remote[0]
        for datagrams in self._datagrams:
            if (":" in datagrams.local[0]) == wanted:
                return datagrams
        return None

    # To ourselves

    def _send_inside(self, peer: Peer, data: bytes) -> bool:
        if self._closed or len(self._inside) >= INSIDE:
            DISCARDED["unsent"]()
            return False
        if not self._inside:
            self._loop.call_soon(self._read_inside)
        self._inside.append((peer.turned(), data))
        return True

    def _read_inside(self) -> None:
        """One batch, one turn."""
        if self._closed:
            self._inside.clear()
            return
        turn, inside, now = self._turn, self._inside, self._loop.time()
        turn.begin()
        for _ in range(min(BATCH, len(inside))):
            peer, data = inside.popleft()
            turn.receive(data, peer, now)
        if inside:
            self._loop.call_soon(self._read_inside)
        self._end_turn()

    # UDP

    async def _listen_udp(self, host: str, port: int) -> Address:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
            sock.setblocking(False)
            sock.bind((host, port))
        except OSError:
            sock.close()
            raise
        datagrams = _Datagrams(self, sock)
        self._datagrams.append(datagrams)
        self._by_local[datagrams.local] = datagrams
        return datagrams.local

    def read_datagrams(self, datagrams: _Datagrams) -> None:
        """One batch, one turn."""
        turn, admit, now = self._turn, self._admit, self._loop.time()
        receive, peers = datagrams.sock.recvfrom, datagrams.peers
        turn.begin()
        try:
            for _ in range(BATCH):
                try:
                    data, source = receive(DATAGRAM)
                except BlockingIOError:
                    break
                except OSError:  # an ICMP error of an earlier datagram: its transaction's timer tells
                    continue
                if not admit(source[0]):
                    DISCARDED["source"]()
                elif len(data) > KEEP_ALIVE:
                    turn.receive(data, peers.get(source) or self._meet(datagrams, source), now)
        finally:
            self._end_turn()

    def _meet(self, datagrams: _Datagrams, source: Address) -> Peer:
        """The peer behind an address, remembered; bounded, since sources may be invented."""
        if len(datagrams.peers) >= PEERS:
            datagrams.peers.clear()
        local = datagrams.local
        if is_any(local[0]):
            local = (outward(source, datagrams.sock.family), local[1])
            self._by_local.setdefault(local, datagrams)
        peer = datagrams.peers[source] = Peer("udp", local, (source[0], source[1]))
        return peer

    # TCP

    async def _listen_tcp(self, host: str, port: int) -> Address:
        server = await self._loop.create_server(self._accept, host, port, backlog=1024)
        self._servers.append(server)
        local = server.sockets[0].getsockname()
        self._tcp_locals.append((local[0], local[1]))
        return local[0], local[1]

    def _accept(self) -> _Stream:
        return _Stream(self, inbound=True)

    def connected(self, stream: _Stream, local: Address, remote: Address) -> Peer | None:
        """A new connection. None: it is not wanted."""
        if stream.inbound:
            if not self._admit(remote[0]):
                DISCARDED["source"]()
                return None
            if not self._crowd.enter(remote[0]):
                DISCARDED["connections"]()
                return None
        self._count += 1
        if not self._streams:
            self._swept = self._loop.time()
        self._streams[self._count] = stream
        if self._timer is None:
            self._arm(self._loop.time())
        return Peer("tcp", local, remote, self._count)

    def read_stream(self, stream: _Stream, messages: list[bytes]) -> None:
        """What a connection brought, one turn."""
        now = self._loop.time()
        self._turn.begin()
        for message in messages:
            if message:
                self._turn.receive(message, stream.peer, now)
            else:
                stream.send(PONG)
        self._end_turn()

    def disconnected(self, stream: _Stream) -> None:
        peer = stream.peer
        self._streams.pop(peer.connection, None)
        if stream.inbound:
            self._crowd.leave(peer.remote[0])
        elif self._to.get(peer.remote) is stream:
            del self._to[peer.remote]
        self._lost({peer, *stream.peers})

    def _lost(self, peers: set[Peer]) -> None:
        if not self._closed:
            for peer in peers:
                self._agent.lost(peer, self._loop.time())
            self.flush()

    async def _connect(self, waiting: Waiting) -> None:
        """Open a connection of ours and send what waited for it."""
        try:
            async with asyncio.timeout(CONNECT):
                _, stream = await self._loop.create_connection(lambda: _Stream(self, inbound=False), *waiting.remote)
        except (OSError, TimeoutError):
            del self._to[waiting.remote]
            self._lost(waiting.peers)
            return
        stream.peers = waiting.peers
        self._to[waiting.remote] = stream
        for data in waiting.messages:
            stream.send(data)


class _Datagrams:
    """One UDP socket."""

    __slots__ = ("_endpoint", "_loop", "_queue", "local", "peers", "sock")

    def __init__(self, endpoint: Endpoint, sock: socket.socket) -> None:
        self._endpoint = endpoint
        self._loop = asyncio.get_running_loop()
        self._queue: deque[tuple[bytes, Address]] = deque(maxlen=QUEUED)
        self.sock = sock
        name = sock.getsockname()
        self.local: Address = (name[0], name[1])
        self.peers: dict[tuple[str, int], Peer] = {}
        self._loop.add_reader(sock, endpoint.read_datagrams, self)

    def send(self, data: bytes, remote: Address) -> bool:
        """False: there is no way to that address."""
        if self._queue:
            self._queue.append((data, remote))
            return True
        try:
            self.sock.sendto(data, remote)
        except BlockingIOError:
            self._queue.append((data, remote))
            self._loop.add_writer(self.sock, self._send_queued)
        except OSError:
            return False
        return True

    def _send_queued(self) -> None:
        while self._queue:
            data, remote = self._queue[0]
            try:
                self.sock.sendto(data, remote)
            except BlockingIOError:
                return
            except OSError:
                pass  # its transaction's timer tells
            self._queue.popleft()
        self._loop.remove_writer(self.sock)

    def close(self) -> None:
        self._loop.remove_reader(self.sock)
        self._loop.remove_writer(self.sock)
        self.sock.close()


class _Stream(asyncio.Protocol):
    """One TCP connection."""

    def __init__(self, endpoint: Endpoint, *, inbound: bool) -> None:
        self.inbound = inbound
        self.peer = Peer("tcp", ("", 0), ("", 0))
        self.peers: set[Peer] = set()  # other names of this connection, when it is ours
        self._endpoint = endpoint
        self._connection = Connection(endpoint.now())
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        local, remote = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
        peer = self._endpoint.connected(self, (local[0], local[1]), (remote[0], remote[1])) if remote else None
        if peer is None:
            transport.abort()
        else:
            self.peer = peer
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        try:
            messages = self._connection.feed(data, self._endpoint.now())
        except FramingError as error:  # the end of it, once the last one is answered
            DISCARDED["framing"]()
            self._endpoint.read_stream(self, error.messages)
            self._transport.close()
            return
        if messages:
            self._endpoint.read_stream(self, messages)

    def send(self, data: bytes) -> bool:
        """False: the connection is gone."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        transport.write(data)
        if transport.get_write_buffer_size() > UNSENT:  # a peer that does not read
            DISCARDED["unsent"]()
            transport.abort()
        return True

    def look(self, now: float) -> None:
        """Close it if nothing good comes of it any more."""
        if self._transport is None:
            return
        match self._connection.fault(now):
            case "slow":
                DISCARDED["slow"]()
                self._transport.abort()
            case "idle":
                self._transport.close()

    def connection_lost(self, _error: Exception | None) -> None:
        if self._transport is not None:
            self._transport = None
            self._endpoint.disconnected(self)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


@lru_cache(maxsize=4096)
def is_address(host: str) -> bool:
    """Whether sending there resolves nothing."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=64)
def is_any(host: str) -> bool:
    """Whether a socket bound there has no address of its own."""
    return ip_address(host).is_unspecified


def outward(remote: Address, family: int) -> str:
    """The local address that packets to `remote` leave from."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(remote)
        except OSError:
            return "::" if family == socket.AF_INET6 else "0.0.0.0"
        host: str = probe.getsockname()[0]
        return host
