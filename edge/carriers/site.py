"""What carriers are given to work with, and how they are built from the configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from edge.errors import Fault, Invalid
from edge.sip.peer import Peer
from edge.sms.carrier import CARRIERS, Carrier, CarrierSection
from edge.trunks.resolve import Targets
from edge.trunks.table import TrunkTable

ANY_LOCAL = ("", 0)  # in a Peer: whichever of our addresses fits


class MessageSender(Protocol):
    """Sends SIP MESSAGEs (RFC 3428)."""

    async def send(self, peer: Peer, *, uri: str, from_user: str, body: bytes) -> int:
        """Send one and return its final status; 408 when none came, 503 when it could not be sent.

        From is `from_user` at our own address, To is `uri`, the body is UTF-8. Where `peer.local` is ANY_LOCAL any
        bound address of that transport and family will do. A `peer.connection` that is not open, or not to
        `peer.remote`, is as good as none: a new one is opened.
        """


class Post(Protocol):
    """POSTs JSON."""

    async def __call__(self, url: str, body: dict[str, Any], /) -> int:
        """Returns the HTTP status. Raises OSError, TimeoutError or an EdgeError when there is none."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where a carrier stands."""

    messages: MessageSender
    post: Post
    trunks: TrunkTable
    targets: Targets


def build(sections: Sequence[CarrierSection], site: Site) -> dict[str, Carrier]:
    """All carriers by name. Raises Invalid when two have one name. `edge.carriers` must be loaded."""
    carriers: dict[str, Carrier] = {}
    for index, section in enumerate(sections):
        if section.name in carriers:
            raise Invalid(
                "two carriers have one name",
                faults=[Fault(f"carriers[{index}].name", f"{section.name} is the name of another carrier already")],
            )
        kind: Any = CARRIERS.get(section.kind)
        carriers[section.name] = kind(section, site)
    return carriers
