"""One connection: TCP, or TLS over it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal

from edge.sip.connection import Connection
from edge.sip.counts import DISCARDED
from edge.sip.framing import FramingError
from edge.sip.limits import HANDSHAKE, UNSENT
from edge.sip.peer import Peer
from edge.sip.secure import Insecure, Secured

if TYPE_CHECKING:
    from edge.sip.transport.streams import Key, Streams

Kind = Literal["tcp", "tls"]


class Stream(asyncio.Protocol):
    """A connection that somebody opened to us, or one of ours; that leads to `key`.

    Over TLS there is no message before the handshake is over. `stands` is for one of ours: it is done then, or failed.
    """

    def __init__(self, streams: Streams, kind: Kind, key: Key | None = None, secured: Secured | None = None) -> None:
        self.kind: Kind = kind
        self.key = key
        self.peer = Peer(kind, ("", 0), ("", 0))
        self.peers: set[Peer] = set()  # other names of this connection, when it is ours
        self.is_new = True  # nothing came over it yet
        self.alias: tuple[str, int] | None = None  # where it leads as well, when it was opened to us
        self.stands: asyncio.Future[None] | None = None
        self._streams = streams
        self._secured = secured
        self._begun = streams.now()
        self._connection = Connection(self._begun)
        self._transport: asyncio.Transport | None = None

    @property
    def inbound(self) -> bool:
        return self.key is None

    @property
    def is_gone(self) -> bool:
        return self._transport is None

    @property
    def shaking(self) -> bool:
        """Whether its handshake is under way."""
        return self._secured is not None and not self._secured.stands

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        local, remote = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
        peer = self._streams.connected(self, (local[0], local[1]), (remote[0], remote[1])) if remote else None
        if peer is None:
            transport.abort()
            return
        self.peer = peer
        self._transport = transport
        if self.kind == "tls":
            if self._secured is None:
                self._secured = self._streams.welcome()
            else:
                self._secured.begin()
                transport.write(self._secured.take())

    def data_received(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if self._secured is not None:
            data = self._unseal(self._secured, transport, data)
        if data:
            self._take(data)
        if self._secured is not None and self._secured.over:
            self.close()

    def _take(self, data: bytes) -> None:
        try:
            messages = self._connection.feed(data, self._streams.now())
        except FramingError as error:  # the end of it, once the last one is answered
            DISCARDED["framing"]()
            self._streams.read(self, error.messages)
            self.close()
            return
        if messages:
            self._streams.read(self, messages)

    def _unseal(self, secured: Secured, transport: asyncio.Transport, data: bytes) -> bytes:
        """What came, readable; nothing is left of a connection that fails."""
        shaking = not secured.stands
        try:
            data = secured.feed(data)
        except Insecure as error:
            DISCARDED["handshake" if shaking else "framing"]()
            self._streams.insecure(self, str(error))
            transport.write(secured.take())
            transport.close()
            return b""
        transport.write(secured.take())
        if shaking and secured.stands:
            self.peer = self.peer._replace(subject=" ".join(secured.names))
            self._streams.shaken(self)
            self._settle()
        return data

    def send(self, data: bytes) -> bool:
        """False: the connection is gone."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        if self._secured is not None:
            try:
                data = self._secured.seal(data)
            except Insecure:
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
        slow = self.shaking and now - self._begun > HANDSHAKE
        match "slow" if slow else self._connection.fault(now):
            case "slow":
                DISCARDED["slow"]()
                self._transport.abort()
            case "idle":
                self.close()

    def connection_lost(self, error: Exception | None) -> None:
        if self._transport is not None:
            self._transport = None
            self._streams.disconnected(self)
        self._settle(error or ConnectionResetError("closed"))

    def _settle(self, error: Exception | None = None) -> None:
        if self.stands is not None and not self.stands.done():
            if error is None:
                self.stands.set_result(None)
            else:
                self.stands.set_exception(error)

    def close(self) -> None:
        """Once what was sent is gone."""
        if self._transport is not None:
            if self._secured is not None and not self._transport.is_closing():
                self._transport.write(self._secured.finish())
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
