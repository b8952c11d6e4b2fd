"""What of the SIP side can be configured."""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Final, Literal

from pydantic import Field, IPvAnyNetwork, PositiveInt, field_validator

from edge.settings import Secret, Section

LISTEN: Final = re.compile(r"(udp|tcp|tls):(\[[0-9a-fA-F:.]+\]|[0-9.]+):(\d{1,5})")


class TlsSection(Section):
    """SIP over TLS (1.2 and above)."""

    certificate: Path | None = Field(
        default=None, description="File (PEM) of our certificate, those that vouch for it behind it."
    )
    key: Path | None = Field(default=None, description="File (PEM) of its private key. Empty: that of the certificate.")
    key_password: Secret | None = Field(
        default=None, description="Password of the key, if it has one, or file: and the path of a file that holds it."
    )
    ca: Path | None = Field(
        default=None,
        description="File (PEM) of who may vouch for the certificates of others. Empty: for carriers that we connect"
        " to, whom this system trusts; nobody for those that connect to us.",
    )
    clients: Literal["ignore", "ask", "require"] = Field(
        default="ignore",
        description="Certificates of those that connect to us: not asked for, asked for (a trunk can want a name in"
        " it), or no connection without one. A bad one is always refused.",
    )


class SipSection(Section):
    """SIP over UDP, TCP and TLS."""

    listen: tuple[str, ...] = Field(
        default=("udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"),
        min_length=1,
        description="Where to listen: transport:address:port, an IPv6 address in brackets. Port 0 takes a free one.",
    )
    advertise: str | None = Field(
        default=None,
        description="Address to write into Via and Contact instead of the local one, when behind NAT.",
    )

    trusted_proxies: tuple[IPvAnyNetwork, ...] = Field(
        default=(),
        description="Proxies and load balancers of our own before the edge. Whom a call is from says the Via below"
        " theirs, by the `received` that they write there; so they must take away one that is there already.",
    )
    ban_after: int = Field(
        default=30,
        ge=0,
        description="Connections within a minute after which an address of no trunk is not looked at any more."
        " Datagrams ban nobody. 0: never.",
    )
    ban_seconds: float = Field(default=600.0, gt=0, description="How long such an address is banned.")
    trace_mb: int = Field(
        default=16,
        ge=0,
        description="The SIP messages of recent calls stay in so much memory, for `edge explain --ladder`. 0: none.",
    )
    allow_private: list[IPvAnyNetwork] = Field(
        default_factory=list,
        description="Private networks that SIP URIs in flows may lead to all the same, e.g. that of a PBX next door.",
    )
    tls: TlsSection = Field(default=TlsSection(), description="Certificates of SIP over TLS (1.2 and above).")

    realm: str | None = Field(
        default=None,
        min_length=1,
        max_length=128,
        pattern=r"^[\x20-\x7e]+$",
        description="Realm of the digest challenges that trunks with `auth` get. Empty: the trunk's name.",
    )
    nonce_seconds: PositiveInt = Field(
        default=60, le=3600, description="How long the answer to a digest challenge may take before it is stale."
    )

    @field_validator("listen")
    @classmethod
    def _are_addresses(cls, listen: tuple[str, ...]) -> tuple[str, ...]:
        for text in listen:
            match = LISTEN.fullmatch(text)
            if match is None or int(match[3]) > 65535:
                raise ValueError(f"{text} is not transport:address:port, e.g. udp:0.0.0.0:5060 or tls:[::1]:5061")
            ip_address(match[2].strip("[]"))
        return listen

    @field_validator("advertise")
    @classmethod
    def _is_address(cls, advertise: str | None) -> str | None:
        return None if advertise is None else str(ip_address(advertise))

    @property
    def secure(self) -> bool:
        """Whether TLS is listened for."""
        return any(text.startswith("tls:") for text in self.listen)

    def advertised(self) -> dict[str, str]:
        """For each local address the one that others know it by."""
        if self.advertise is None:
            return {}
        hosts = {match[2].strip("[]") for text in self.listen if (match := LISTEN.fullmatch(text))}
        family = ip_address(self.advertise).version
        return {host: self.advertise for host in hosts if ip_address(host).version == family}
