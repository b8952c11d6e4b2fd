"""What carriers are given to work with, and how they are built from the configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from edge.errors import Fault, Invalid
from edge.http import Answer
from edge.sip.peer import Peer
from edge.sms.carrier import CARRIERS, Carrier, CarrierSection, path_of
from edge.trunks.resolve import Targets
from edge.trunks.table import TrunkTable
from edge.trunks.trunk import Trunk

PLAIN_TEXT = "text/plain;charset=utf-8"
ANY_LOCAL = ("", 0)  # in a Peer: whichever of our addresses fits


class MessageSender(Protocol):
    """Sends SIP MESSAGEs (RFC 3428)."""

    async def send(
        self, peer: Peer, *, uri: str, from_user: str, body: bytes, trunk: Trunk, content_type: str = PLAIN_TEXT
    ) -> int:
        """Send one and return its final status; 408 when none came, 503 when it could not be sent.

        From is `from_user` at our own address, To is `uri`, the body is UTF-8 text if not said otherwise. Where
        `peer.local` is ANY_LOCAL any bound address of that transport and family will do. A `peer.connection` that is
        not open, or not to `peer.remote`, is as good as none: a new one is opened. What was agreed with the carrier of
        `trunk` holds: where he finds us, what we prove.
        """


class Post(Protocol):
    """POSTs JSON."""

    async def __call__(self, url: str, body: dict[str, Any], /) -> int:
        """Returns the HTTP status. Raises OSError, TimeoutError or an EdgeError when there is none."""


class Ask(Protocol):
    """Asks what the operator has named, over connections that are kept open."""

    async def __call__(
        self,
        method: Literal["GET", "POST"],
        url: str,
        /,
        *,
        headers: Mapping[str, str],
        body: bytes,
        max_bytes: int,
        deadline: float,
    ) -> Answer:
        """What it answers, whatever the status. Raises an EdgeError when there is no answer in `deadline` seconds."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where a carrier stands. `public_url` is what URLs of its hooks begin with for the outside, if that is known."""

    messages: MessageSender
    post: Post
    trunks: TrunkTable
    targets: Targets
    ask: Ask
    public_url: str | None = None

    def hook(self, name: str, suffix: str) -> str | None:
        """The URL of a carrier's hook, if it can be told."""
        return None if self.public_url is None else self.public_url + path_of(name, suffix)


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
