"""What all machines of one agent stand on: the way out, the deadlines, the tables, fresh tokens.

Machines write what is to be sent into `out` and what the user has to know into `events`; the agent's `to_send` and
`next_event` drain both. Nothing here knows a socket.

Where a response goes (RFC 3261 §18.2.2, RFC 3581 §4): over UDP always to the address the request came from, never to a
name, nor to `maddr`: answers must not be turned against somebody else. The port is that of the source when the client
asked with `rport`, else the one of its Via. Over TCP it is the connection; when that is gone, a new one to the
source address and the port of the Via.

What goes to ourselves (`peer.LOOP`) says so: its Via has the transport LOOP (§20.42 leaves room for other words than
UDP and TCP) and its Contact `transport=loop`, both with the address of the peer and not an advertised one, so that
§18.2.1 finds nothing to add. It is reliable, and its answers go back the same way. Nothing is decided by these words: a
message from a socket may have them too.

Where a request of ours within a dialog goes is said in `dialog.py`.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

from edge.sip.counts import RESPONSES
from edge.sip.grammar import print_host
from edge.sip.limits import RETRY_AFTER
from edge.sip.message import Request, respond
from edge.sip.peer import Peer
from edge.sip.refusals import Refusals
from edge.sip.timers import Timers
from edge.sip.upgrade import Upgrades, anybody

if TYPE_CHECKING:
    from edge.sip.client_transaction import ClientTransaction
    from edge.sip.events import Event
    from edge.sip.server_transaction import InviteServer, ServerTransaction
    from edge.sip.transaction import ClientKey, MergeKey, ServerKey

SIP_PORT = 5060
SIPS_PORT = 5061  # over TLS (RFC 3261 §18.2, §19.1.2)

Fields = Iterable[tuple[str, str]]


class Linked(Protocol):
    """What talks over a connection and outlives it."""

    @property
    def peer(self) -> Peer: ...

    def disconnected(self) -> None:
        """The connection of `peer` is gone: turn `peer` into one that a new connection can be made to."""


class Wire:
    """The ground of one agent's machines."""

    __slots__ = (
        "_advertise",
        "_links",
        "_prefix",
        "_token",
        "clients",
        "events",
        "fresh",
        "merged",
        "out",
        "refusals",
        "servers",
        "timers",
        "upgrades",
    )

    def __init__(
        self,
        token: Callable[[], str],
        prefix: str,
        advertise: Mapping[str, str],
        takes_tcp: Callable[[Peer], bool] = anybody,
    ) -> None:
        self._token = token
        self._prefix = prefix
        self._advertise = advertise
        self._links: dict[int, set[Linked]] = {}
        self.timers = Timers()
        self.out: list[tuple[Peer, bytes]] = []
        self.events: deque[Event] = deque()
        self.fresh: list[InviteServer] = []  # INVITEs of this turn: those still unanswered at its end get their 100
        self.servers: dict[ServerKey, ServerTransaction] = {}
        self.merged: dict[MergeKey, ServerTransaction] = {}
        self.refusals = Refusals()
        self.upgrades = Upgrades(takes_tcp)
        self.clients: dict[ClientKey, ClientTransaction] = {}

    # Names of ours

    def token(self) -> str:
        """A fresh one, for a tag, a branch or a Call-ID; begins with the prefix of this agent."""
        return self._prefix + self._token()

    def branch(self) -> str:
        return "z9hG4bK" + self._prefix + self._token()  # §8.1.1.7

    def stateless_tag(self, request: Request) -> str:
        """The To-tag of an answer nobody remembers: the same for each repeat of the request (§8.2.7)."""
        seed = (request.headers.get("call-id") or "") + (request.headers.get("from") or "") + (request.via.branch or "")
        return f"{self._prefix}{zlib.crc32(seed.encode('utf-8', 'surrogateescape')):08x}"

    def retry_after(self) -> tuple[str, str]:
        """The header field, with a jitter that keeps peers from coming back together."""
        low, high = RETRY_AFTER
        return "Retry-After", str(low + int(self.chance() * (high - low + 1)))

    def chance(self) -> float:
        """A number from 0 to less than 1, as random as the tokens are."""
        return zlib.crc32(self._token().encode()) / (1 << 32)

    def sent_by(self, peer: Peer, advertise: str | None = None) -> str:
        """Our side of `peer`, as the outside has to write it: `host:port`. `advertise` is the host, if it is known."""
        host, port = peer.local
        if advertise is not None:
            host = advertise
        elif self._advertise and not peer.inside:
            everywhere = self._advertise.get("::" if ":" in host else "0.0.0.0", host)  # as a socket may be bound
            host = self._advertise.get(host, everywhere)
        return f"{print_host(host)}:{port}"

    def contact(self, peer: Peer, user: str = "", *, secure: bool = False, advertise: str | None = None) -> str:
        """Our Contact towards `peer`; `secure`: a sips URI, where theirs is one (§12.1.1)."""
        whose = f"{user}@" if user else ""
        where = self.sent_by(peer, advertise)
        if secure and peer.transport == "tls":
            return f"<sips:{whose}{where}>"
        return f"<sip:{whose}{where}{'' if peer.transport == 'udp' else f';transport={peer.transport}'}>"

    def via(self, peer: Peer, branch: str, advertise: str | None = None) -> str:
        """The Via of a request of ours; `rport` asks for the answer where we sent from (RFC 3581 §3)."""
        rport = "" if peer.inside else ";rport;alias" if peer.transport == "tls" else ";rport"  # RFC 5923 §5
        return f"SIP/2.0/{peer.transport.upper()} {self.sent_by(peer, advertise)};branch={branch}{rport}"

    # Responses

    def respond(
        self,
        request: Request,
        peer: Peer,
        status: int,
        reason: str | None = None,
        *,
        tag: str | None = None,
        fields: Fields = (),
        body: bytes = b"",
    ) -> bytes:
        """The bytes of a response, counted."""
        RESPONSES[status]()
        return respond(request, status, reason, to_tag=tag, fields=fields, body=body, source=peer.remote)

    def respond_statelessly(self, request: Request, peer: Peer, status: int, fields: Fields = ()) -> None:
        """Answer and remember nothing (§8.2.7)."""
        data = self.respond(request, peer, status, tag=self.stateless_tag(request), fields=fields)
        self.out.append((back(request, peer), data))

    # Connections

    def link(self, one: Linked) -> None:
        """Tell `one` when the connection of its peer is lost."""
        if one.peer.connection:
            self._links.setdefault(one.peer.connection, set()).add(one)

    def unlink(self, one: Linked) -> None:
        connection = one.peer.connection
        if connection and (linked := self._links.get(connection)) is not None:
            linked.discard(one)
            if not linked:
                del self._links[connection]

    def disconnected(self, connection: int) -> None:
        for one in self._links.pop(connection, ()):
            one.disconnected()


def back(request: Request, peer: Peer) -> Peer:
    """Where the responses to a request from `peer` go."""
    via = request.via
    if via.rport is not None or peer.transport != "udp":
        return peer
    port = via.port or SIP_PORT
    return peer if port == peer.remote[1] else peer._replace(remote=(peer.remote[0], port))
