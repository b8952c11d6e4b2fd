"""What of signed callers can be configured."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, IPvAnyNetwork, PositiveFloat, PositiveInt

from edge.settings import Section


class StirSection(Section):
    """Signed callers (STIR/SHAKEN). What a trunk makes of them says its `stir`."""

    anchors: tuple[Path, ...] = Field(
        default=(),
        description="Files (PEM) of the certificates that others must lead to, or folders of such files (.pem, .crt)."
        " Empty: nobody's signature is looked at.",
    )
    fresh_seconds: PositiveInt = Field(
        default=60, le=600, description="A signature is at most this old, and at most this far ahead of our clock."
    )
    deadline_seconds: PositiveFloat = Field(
        default=2.0, le=10, description="How long a call waits for certificates that are not here yet."
    )
    max_bytes: PositiveInt = Field(
        default=32_768, le=1_000_000, description="A file of certificates is at most this large."
    )
    cache_seconds: PositiveInt = Field(
        default=86_400, description="Certificates are kept as long as their server says, and at most so long."
    )
    hosts: tuple[str, ...] = Field(
        default=(), description="Hosts that certificates are fetched from. Empty: any on the Internet."
    )
    allow_http: bool = Field(
        default=False, description="Whether they may be fetched without TLS too. For tests; RFC 8226 wants https."
    )
    allow_private: list[IPvAnyNetwork] = Field(
        default_factory=list, description="Private networks that they may be fetched from all the same."
    )
