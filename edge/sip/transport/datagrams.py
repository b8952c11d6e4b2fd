"""One UDP socket: read by the endpoint in batches; what it does not take at once waits in a short queue."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from typing import TYPE_CHECKING

from edge.sip.limits import QUEUED
from edge.sip.peer import Peer
from edge.sip.transport.address import Address

if TYPE_CHECKING:
    from edge.sip.transport.endpoint import Endpoint

BUFFER = 4 << 20  # octets of the socket's receive buffer: half a second of INVITEs at 5,000/s


class Datagrams:
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


def bound(host: str, port: int) -> socket.socket:
    """A socket at a local address. Raises OSError."""
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
    return sock
