"""What of the SIP side can be configured."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Final

from pydantic import Field, IPvAnyNetwork, PositiveInt, field_validator

from edge.settings import Section

LISTEN: Final = re.compile(r"(udp|tcp):(\[[0-9a-fA-F:.]+\]|[0-9.]+):(\d{1,5})")


class SipSection(Section):
    """SIP over UDP and TCP."""

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
    allow_private: list[IPvAnyNetwork] = Field(
        default_factory=list,
        description="Private networks that SIP URIs in flows may lead to all the same, e.g. that of a PBX next door.",
    )

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
                raise ValueError(f"{text} is not transport:address:port, e.g. udp:0.0.0.0:5060 or tcp:[::1]:5060")
            ip_address(match[2].strip("[]"))
        return listen

    @field_validator("advertise")
    @classmethod
    def _is_address(cls, advertise: str | None) -> str | None:
        return None if advertise is None else str(ip_address(advertise))

    def advertised(self) -> dict[str, str]:
        """For each local address the one that others know it by."""
        if self.advertise is None:
            return {}
        hosts = {match[2].strip("[]") for text in self.listen if (match := LISTEN.fullmatch(text))}
        family = ip_address(self.advertise).version
        return {host: self.advertise for host in hosts if ip_address(host).version == family}
