"""What a flow says about a fork of its call's audio."""

from __future__ import annotations

from typing import Literal, NamedTuple

MediaFormat = Literal["ulaw", "alaw", "slin", "slin16"]
Direction = Literal["none", "in", "out", "both"]


class ExternalMedia(NamedTuple):
    """Where the audio goes, how, and which.

    host    `address:port` for RTP, a ws or wss URL for a WebSocket
    listen  in: what the caller says; out: what the caller is told; both: mixed
    speak   whether what comes back is played to the caller
    data    for the other side of a WebSocket
    """

    host: str
    format: MediaFormat
    listen: Direction
    speak: bool
    data: str = ""

    @property
    def is_websocket(self) -> bool:
        return is_websocket(self.host)


def is_websocket(host: str) -> bool:
    return host[:5].lower() == "ws://" or host[:6].lower() == "wss://"


def read_host(host: str) -> tuple[str, int]:
    """The host and port of `name:port` or `[address]:port`. Raises ValueError."""
    name, colon, port = host.rpartition(":")
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
    elif ":" in name and "/" not in host:
        raise ValueError("an IPv6 address stands in brackets: [2001:db8::1]:4000")
    if not colon or not name or "/" in host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError("is neither host:port nor a ws or wss URL")
    return name, int(port)
