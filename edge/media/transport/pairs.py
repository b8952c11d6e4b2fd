"""Pairs of sockets: RTP on an even port, RTCP on the odd one above it (RFC 3550 §11)."""

from __future__ import annotations

import errno
import socket
import time

from edge.errors import Exhausted, Internal
from edge.media.port import Ports
from edge.media.section import MediaSection
from edge.media.transport.counts import EXHAUSTED

BIND_TRIES = 64  # pairs of ports tried for one stream, when others hold some of the range

_TAKEN = (errno.EADDRINUSE, errno.EACCES)  # another program has this port
_USED_UP = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_CLASS = {
    socket.AF_INET: (socket.IPPROTO_IP, socket.IP_TOS),
    socket.AF_INET6: (socket.IPPROTO_IPV6, socket.IPV6_TCLASS),
}


class Pairs:
    """Takes pairs out of the configured range, and gives them back."""

    def __init__(self, section: MediaSection) -> None:
        self._section = section
        self._ports = Ports(section.first_port, section.last_port, section.port_rest_seconds)

    def open(self, host: str) -> tuple[int, tuple[socket.socket, socket.socket]]:
        """The first port of a pair at this address, and its sockets. Raises Exhausted, Internal."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        now = time.monotonic()
        for _ in range(BIND_TRIES):
            port = self._ports.take(now)
            if port is None:
                break
            bound: list[socket.socket] = []
            try:
                bound.append(self._bound(family, host, port))
                bound.append(self._bound(family, host, port + 1))
                return port, (bound[0], bound[1])
            except OSError as error:
                for one in bound:
                    one.close()
                self._ports.give(port, now)
                if error.errno in _USED_UP:
                    EXHAUSTED.inc()
                    raise Exhausted(f"media: {error.strerror}") from error
                if error.errno not in _TAKEN:
                    raise Internal(f"media: cannot open a port on {host}: {error.strerror}") from error
        EXHAUSTED.inc()
        section = self._section
        raise Exhausted(f"media: no pair of ports is free between {section.first_port} and {section.last_port}")

    def reopen(self, old: socket.socket) -> socket.socket:
        """An unconnected socket in the place of a connected one."""
        address = old.getsockname()
        old.close()
        try:
            return self._bound(socket.AddressFamily(old.family), address[0], address[1])
        except OSError as error:
            raise Internal(f"media: port {address[1]} is lost: {error.strerror}") from error

    def give(self, port: int) -> None:
        """The pair rests, and is then another's."""
        self._ports.give(port, time.monotonic())

    def _bound(self, family: socket.AddressFamily, host: str, port: int) -> socket.socket:
        one = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            if self._section.dscp:
                level, option = _CLASS[family]
                one.setsockopt(level, option, self._section.dscp << 2)
            one.bind((host, port))
        except OSError:
            one.close()
            raise
        return one
