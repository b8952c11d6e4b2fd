"""The endpoint: sockets and the clock for one agent.

UDP is read by `add_reader` in batches of `recvfrom` (asyncio's datagram endpoint costs three times as much a message)
and written by plain `sendto`; what the socket does not take at once waits in a short queue. TCP goes through asyncio's
streams of bytes and a `Framer`, TLS through `secure.py` between them. There is one timer on the loop for everything
that has a deadline here.

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

from edge.sip.agent import Agent
from edge.sip.connection import PONG
from edge.sip.counts import DISCARDED
from edge.sip.events import Event
from edge.sip.limits import INSIDE, PEERS
from edge.sip.peer import Peer
from edge.sip.section import LISTEN
from edge.sip.strangers import Strangers
from edge.sip.timers import T1
from edge.sip.transport.address import Address, is_address, is_any, outward
from edge.sip.transport.datagrams import Datagrams, bound
from edge.sip.transport.streams import KINDS, Streams
from edge.sip.transport.tls import Tls
from edge.sip.turn import Trace, Turn

BATCH = 64  # datagrams read in one turn; TCP and the API get their share after it
DATAGRAM = 65_535
KEEP_ALIVE = 4  # octets; no message is so short
TICK = 0.01  # s
SETTLE = 0.01  # s between looks at what is still to be answered


class Endpoint:
    """The transport of one agent. After verbs of the user outside of an event call `flush`."""

    def __init__(
        self,
        agent: Agent,
        handle: Callable[[Event], None],
        admit: Callable[[str, str], bool],
        trace: Trace | None = None,
        strangers: Strangers | None = None,
        tls: Tls | None = None,
    ) -> None:
        """`handle` gets each event; `admit` says whether an address may talk to us by a transport, `strangers` is told
        of those that may not; `trace` sees what passes; `tls` is what connections are secured with."""
        self._strangers = strangers if strangers is not None else Strangers()
        self.agent = agent
        self.listening = asyncio.Event()  # what goes out needs an address of ours
        self._agent = agent
        self._admit = admit
        self._turn = Turn(agent, handle, self._send, trace)
        self._loop = asyncio.get_running_loop()
        self._datagrams: list[Datagrams] = []
        self._by_local: dict[Address, Datagrams] = {}
        self._streams = Streams(self, admit, self._strangers, tls)
        self._inside: deque[tuple[Peer, bytes]] = deque()  # from ourselves to ourselves
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    # What the user calls

    async def listen(self, binds: Iterable[str]) -> list[str]:
        """Listen at `udp:127.0.0.1:5060`, `tls:[::1]:5061` …; returns the same with the ports that port 0 became.

        Raises OSError, naming the bind, when it cannot; ValueError for one that is none.
        """
        heard = []
        for bind in binds:
            match = LISTEN.fullmatch(bind)
            if match is None:
                raise ValueError(f"{bind} is not transport:address:port")
            transport, host, port = match[1], match[2].strip("[]"), int(match[3])
            try:
                if transport == "udp":
                    local = self._listen_udp(host, port)
                else:
                    local = await self._streams.listen(KINDS[transport], host, port)
            except OSError as error:
                raise OSError(error.errno, f"cannot listen at {bind}: {error.strerror}") from error
            heard.append(f"{transport}:{f'[{host}]' if ':' in host else host}:{local[1]}")
        self.listening.set()
        return heard

    def secure(self, tls: Tls) -> None:
        """Secure connections with these from now on; those that stand stay as they are."""
        self._streams.tls = tls

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
        await self._streams.close()

    def local_for(self, peer: Peer) -> Address:
        """The address of ours that messages to this peer leave from. Raises OSError when none fits."""
        family = socket.AF_INET6 if ":" in peer.remote[0] else socket.AF_INET
        locals_ = (
            [one.local for one in self._datagrams] if peer.transport == "udp" else self._streams.locals[peer.transport]
        )
        for host, port in locals_:
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
        deadline, due = self._agent.get_timer(), self._streams.due
        if due is not None and (deadline is None or due < deadline):
            deadline = due
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            self._timer = self._loop.call_at(max(deadline, now + TICK), self._wake)

    def _wake(self) -> None:
        self._timer = None
        now = self._loop.time()
        self._streams.look(now)
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
        return self._streams.send(peer, data)

    def _datagrams_for(self, peer: Peer) -> Datagrams | None:
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

    def _listen_udp(self, host: str, port: int) -> Address:
        datagrams = Datagrams(self, bound(host, port))
        self._datagrams.append(datagrams)
        self._by_local[datagrams.local] = datagrams
        return datagrams.local

    def read_datagrams(self, datagrams: Datagrams) -> None:
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
                if not admit(source[0], "udp"):
                    self._strangers.seen(source[0], "udp", now)
                elif len(data) > KEEP_ALIVE:
                    turn.receive(data, peers.get(source) or self._meet(datagrams, source), now)
        finally:
            self._end_turn()

    def _meet(self, datagrams: Datagrams, source: Address) -> Peer:
        """The peer behind an address, remembered; bounded, since sources may be invented."""
        if len(datagrams.peers) >= PEERS:
            datagrams.peers.clear()
        local = datagrams.local
        if is_any(local[0]):
            local = (outward(source, datagrams.sock.family), local[1])
            self._by_local.setdefault(local, datagrams)
        peer = datagrams.peers[source] = Peer("udp", local, (source[0], source[1]))
        return peer

    # Connections (`Hub`)

    def read(self, peer: Peer, messages: list[bytes], pong: Callable[[bytes], bool]) -> None:
        now = self._loop.time()
        self._turn.begin()
        for message in messages:
            if message:
                self._turn.receive(message, peer, now)
            else:
                pong(PONG)
        self._end_turn()

    def lost(self, peers: set[Peer]) -> None:
        if not self._closed:
            for peer in peers:
                self._agent.lost(peer, self._loop.time())
            self.flush()

    def arm(self) -> None:
        if self._timer is None:
            self._arm(self._loop.time())
