"""The target of a trunk: `sip:host[:port][;transport=udp|tcp|tls]` or `sips:host[:port]`, text → value → text.

A host is an IPv4 address, an IPv6 address in brackets or a name; who uses a target never resolves the name himself
(`resolve.py`). There is no user part, and no other parameter: what a peer must be sent is decided elsewhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Any, Final, Literal

Transport = Literal["udp", "tcp", "tls"]
Scheme = Literal["sip", "sips"]

SIP_PORT: Final = 5060  # RFC 3261 §19.1.2
SIPS_PORT: Final = 5061  # over TLS
TRANSPORTS: Final[dict[str, Transport]] = {"udp": "udp", "tcp": "tcp", "tls": "tls"}

TARGET_PATTERN: Final = r"^[sS][iI][pP][sS]?:"  # for whom a rough word will do
_FORM = re.compile(r"(sips?):(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(\d{1,5}))?((?:;[^;]*)*)", re.IGNORECASE)
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9_-]{1,63}(?<!-))*\.?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Target:
    """A place that SIP requests are sent to. `host` is without brackets."""

    host: str
    port: int = SIP_PORT
    transport: Transport = "udp"
    scheme: Scheme = "sip"

    @property
    def is_name(self) -> bool:
        """Whether the host must be resolved before anything can be sent there."""
        try:
            ip_address(self.host)
        except ValueError:
            return True
        return False

    @property
    def hostport(self) -> str:
        """`host:port` as it stands in a URI."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def subject(self) -> str:
        """Who has to prove to be there (`Peer.subject`)."""
        return self.host.lower() if self.transport == "tls" else ""

    def uri(self, user: str) -> str:
        """Somebody there."""
        said = self.transport != "udp" and self.scheme == "sip"  # sips says it already (RFC 3261 §26.2.2)
        return f"{self.scheme}:{user}@{self.hostport}{f';transport={self.transport}' if said else ''}"

    def __str__(self) -> str:
        return f"sips:{self.hostport}" if self.scheme == "sips" else f"sip:{self.hostport};transport={self.transport}"


def read_target(value: Any) -> Any:
    """Read a target from its text; what is no text passes. Raises ValueError, saying what is wrong with it."""
    if not isinstance(value, str):
        return value
    found = _FORM.fullmatch(value.strip())
    if found is None:
        raise ValueError(f"{value!r} is not sip:host[:port][;transport=udp|tcp|tls] or sips:host[:port]")
    scheme: Scheme = "sips" if found[1].lower() == "sips" else "sip"
    transport: Transport = "tls" if scheme == "sips" else "udp"
    for parameter in found[4].lower().split(";")[1:]:
        name, _, word = parameter.partition("=")
        if name != "transport" or word not in TRANSPORTS:
            raise ValueError(f"{value!r}: only ;transport=udp, tcp or tls is understood, not ;{parameter}")
        transport = TRANSPORTS[word]
    if scheme == "sips" and transport == "udp":
        raise ValueError(f"{value!r}: sips is SIP over TLS")
    transport = "tls" if scheme == "sips" else transport
    host, port = found[2], int(found[3] or (SIPS_PORT if transport == "tls" else SIP_PORT))
    if not 1 <= port <= 65535:
        raise ValueError(f"{value!r}: there is no port {port}")
    if host.startswith("["):
        host = str(IPv6Address(host[1:-1]))
    elif _NAME.fullmatch(host) is None or _is_bad_address(host):
        raise ValueError(f"{value!r}: {host} is neither an address nor a name")
    return Target(host, port, transport, scheme)


def _is_bad_address(host: str) -> bool:
    """Digits and dots are meant as an IPv4 address; no name ends in a number (RFC 3696 §2)."""
    if not host.replace(".", "").isdigit():
        return False
    try:
        ip_address(host)
    except ValueError:
        return True
    return False
