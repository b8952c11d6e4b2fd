"""One TCP connection."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from edge.sip.connection import Connection
from edge.sip.counts import DISCARDED
from edge.sip.framing import FramingError
from edge.sip.limits import UNSENT
from edge.sip.peer import Peer

if TYPE_CHECKING:
    from edge.sip.transport.streams import Streams


class Stream(asyncio.Protocol):
    """One TCP connection."""

    def __init__(self, streams: Streams, *, inbound: bool) -> None:
        self.inbound = inbound
        self.peer = Peer("tcp", ("", 0), ("", 0))
        self.peers: set[Peer] = set()  # other names of this connection, when it is ours
        self._streams = streams
        self._connection = Connection(streams.now())
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        local, remote = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
        peer = self._streams.connected(self, (local[0], local[1]), (remote[0], remote[1])) if remote else None
        if peer is None:
            transport.abort()
        else:
            self.peer = peer
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        try:
            messages = self._connection.feed(data, self._streams.now())
        except FramingError as error:  # the end of it, once the last one is answered
            DISCARDED["framing"]()
            self._streams.read(self, error.messages)
            self._transport.close()
            return
        if messages:
            self._streams.read(self, messages)

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
            self._streams.disconnected(self)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
