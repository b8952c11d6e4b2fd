"""Addresses as sockets have them. Nothing here resolves a name."""

from __future__ import annotations

import socket
from functools import lru_cache
from ipaddress import ip_address

Address = tuple[str, int]


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
