"""What of the HTTP door can be configured."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Literal

from pydantic import Field, IPvAnyNetwork, field_validator

from edge.settings import BaseUrl, Section


class ApiSection(Section):
    """The HTTP door: provisioning under /v1.0, carriers' webhooks, /health, /ready and /metrics."""

    host: str = Field(
        default="127.0.0.1", description="Address to listen on; 0.0.0.0 or :: for all. There is no TLS here."
    )
    port: int = Field(default=8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    body_limit: int = Field(
        default=1024 * 1024, ge=1024, description="Bytes; a request with a larger body is answered 413."
    )
    metrics_open: bool = Field(
        default=True,
        description="Answer /metrics to anyone who reaches this port. Off: only to an admin access key.",
    )
    close_seconds: float = Field(
        default=5.0, ge=0, description="Seconds that requests under way get to finish when the daemon stops."
    )

    trusted_proxies: list[IPvAnyNetwork] = Field(
        default_factory=list,
        description="Networks of the proxies before this port. Only they are believed who asks, and for which URL.",
    )
    proxy_fields: Literal["x-forwarded", "forwarded"] = Field(
        default="x-forwarded",
        description="Which header fields those proxies set and take no other's word in: X-Forwarded-For, -Proto and"
        " -Host, or Forwarded (RFC 7239).",
    )
    public_url: BaseUrl | None = Field(
        default=None,
        description="What URLs of this port begin with for the outside: https://edge.example.com. Carriers sign the URL"
        " they call, and are told it for receipts; without this it is what a trusted proxy or the request says.",
    )

    @field_validator("host")
    @classmethod
    def _is_address(cls, value: str) -> str:
        if value != "localhost":
            ip_address(value)  # a name would make the start depend on DNS
        return value
