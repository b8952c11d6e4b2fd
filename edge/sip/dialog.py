"""What two ends keep between transactions (RFC 3261 §12): identifiers, CSeq numbers, the remote target, the route set.

Where a request of ours goes: to the first Route, or without one to the remote target, if that names an IP address; a
host name is never looked up (nothing waits for DNS), then it goes where the dialog's last request came from. Two
exceptions, both for peers behind a NAT: on a TCP connection that still stands it stays (RFC 5923 in spirit), and a
peer whose Contact is the very sent-by that its packets do not come from is answered at their source. What goes to
ourselves stays inside; what began over TLS stays with it, and with whom it was. A stranger, whom we called by a URI
that somebody gave us, sends us nowhere but to the Internet: what he says of other networks is not followed, and he is
told where he was called.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING

from edge.http import is_public
from edge.sip.message import Address, Malformed, Unreadable, Uri, request_bytes
from edge.sip.peer import Peer
from edge.sip.wire import SIP_PORT, SIPS_PORT, Wire

if TYPE_CHECKING:
    from edge.sip.message import Message, Request, Response
    from edge.sip.prover import Prover

MAX_FORWARDS = 70  # §8.1.1.6

DialogKey = tuple[str, str, str | None]  # Call-ID, local tag, remote tag (None: a peer of RFC 2543, §12.1.1)


class Dialog:
    """One dialog as one end sees it."""

    __slots__ = (
        "advertise",
        "call_id",
        "local",
        "local_seq",
        "local_tag",
        "masked",
        "ours",
        "peer",
        "prover",
        "remote",
        "remote_seq",
        "remote_tag",
        "routes",
        "source",
        "stranger",
        "target",
    )

    def __init__(
        self,
        call_id: str,
        local: str,
        local_tag: str,
        remote: str,
        remote_tag: str | None,
        routes: tuple[str, ...],
        target: Uri,
        source: Peer,
        *,
        masked: bool = False,
        ours: bool = False,
        stranger: bool = False,
        advertise: str | None = None,
    ) -> None:
        """`local` and `remote` are From and To of a request of ours, tags included; `source` is where the other side's
        message came from; `masked` says that its Contact is of no use behind its NAT, `ours` that we made the Call-ID,
        `advertise` at which address of ours the other side finds us.
        """
        self.call_id = call_id
        self.local = local
        self.local_tag = local_tag
        self.local_seq = 0
        self.remote = remote
        self.remote_tag = remote_tag
        self.remote_seq: int | None = None
        self.routes = routes
        self.target = target
        self.source = source
        self.masked = masked
        self.ours = ours
        self.stranger = stranger
        self.advertise = advertise
        self.prover: Prover | None = None  # of who we are, where the other side may ask
        self.peer = source if source.connection else self.fresh_peer()

    @classmethod
    def answering(cls, request: Request, local_tag: str, source: Peer, advertise: str | None = None) -> Dialog:
        """The dialog that our answer to this INVITE makes (§12.1.1)."""
        to = request.headers.get("to") or ""
        local = to if request.to_tag is not None else f"{to if '<' in to else str(request.to)};tag={local_tag}"
        dialog = cls(
            request.call_id,
            local,
            local_tag,
            request.headers.get("from") or "",
            request.from_tag,
            request.record_routes,
            remote_target(request, source),
            source,
            masked=is_masked(request, source),
            advertise=advertise,
        )
        dialog.remote_seq = request.cseq.number
        return dialog

    @classmethod
    def calling(
        cls,
        response: Response,
        local_tag: str,
        source: Peer,
        *,
        stranger: bool = False,
        advertise: str | None = None,
    ) -> Dialog:
        """The dialog that this answer to our INVITE makes (§12.1.2)."""
        dialog = cls(
            response.call_id,
            response.headers.get("from") or "",
            local_tag,
            response.headers.get("to") or "",
            response.to_tag,
            response.record_routes[::-1],
            remote_target(response, source),
            source,
            ours=True,
            stranger=stranger,
            advertise=advertise,
        )
        dialog.local_seq = response.cseq.number
        return dialog

    def counts_on(self, early: Dialog) -> None:
        """It was an early one: the numbers go on from there."""
        self.local_seq = max(self.local_seq, early.local_seq)
        self.remote_seq = early.remote_seq

    @property
    def key(self) -> DialogKey:
        return self.call_id, self.local_tag, self.remote_tag

    @property
    def secure(self) -> bool:
        """Whether they are called by a sips URI, and then so are we (§12.1.1)."""
        return self.target.scheme == "sips"

    def in_order(self, number: int) -> bool:
        """Whether a request of theirs with this CSeq may be served; then it is the highest seen (§12.2.2)."""
        if self.remote_seq is not None and number < self.remote_seq:
            return False
        self.remote_seq = number
        return True

    def refresh(self, request: Request, source: Peer) -> None:
        """A re-INVITE or UPDATE may bring another target (§12.2.2); the route set stays."""
        if "contact" in request.headers:
            self.source = source
            self.target = remote_target(request, source)
            self.masked = is_masked(request, source)
            self.peer = source if source.connection else self.fresh_peer()

    def retarget(self, response: Response) -> None:
        """So may the 2xx to one of ours (§12.2.1.2)."""
        if "contact" in response.headers:
            target = remote_target(response, self.source)
            self.masked = self.masked and target.host == self.target.host
            self.target = target
            if not self.peer.connection:
                self.peer = self.fresh_peer()

    def fresh_peer(self) -> Peer:
        """Where a request of ours goes when there is no connection that still stands."""
        same = self.source._replace(connection=0)
        if same.inside:
            return same
        hop = self.target
        if self.routes:
            try:
                hop = Address.parse(self.routes[0]).uri
            except Unreadable:
                return same
        elif self.masked:
            return same
        secure = same.transport == "tls"
        transport = "tls" if secure else (hop.params.get("transport") or same.transport).lower()
        if not hop.is_sip or (not secure and transport not in ("udp", "tcp")):
            return same
        host = _address(hop.host)
        if host is None or (self.stranger and host != same.remote[0] and not is_public(ip_address(host))):
            return same
        if secure:  # who proved to be somebody there must do so again
            return Peer(transport, same.local, (host, hop.port or SIPS_PORT), subject=same.subject or hop.host)
        return Peer(transport, same.local, (host, hop.port or SIP_PORT))

    def request(
        self,
        wire: Wire,
        method: str,
        number: int,
        branch: str,
        fields: tuple[tuple[str, str], ...] = (),
        body: bytes = b"",
    ) -> bytes:
        """A request within the dialog, with a Contact of ours for REFER."""
        uri, lines = self.opening(wire, branch)
        proof = self.proof(method, uri, body)
        return request_bytes(method, uri, [*lines, ("CSeq", f"{number} {method}"), *proof, *fields], body)

    def proof(self, method: str, uri: str, body: bytes = b"") -> tuple[tuple[str, str], ...]:
        """The fields that prove who sends a request. An ACK has those of its INVITE instead (§22.1)."""
        return () if self.prover is None or method == "ACK" else self.prover.fields(method, uri, body)

    def contact(self, wire: Wire, peer: Peer | None = None) -> tuple[str, str]:
        """The field that says where we are, towards `peer` or where our requests go."""
        return "Contact", wire.contact(peer or self.peer, secure=self.secure, advertise=self.advertise)

    def opening(self, wire: Wire, branch: str) -> tuple[str, tuple[tuple[str, str], ...]]:
        """The Request-URI of a request of ours, and the fields that say which dialog and way are meant (§12.2.1.1)."""
        uri, routes = self.target, self.routes
        if routes and not _is_loose(routes[0]):  # a strict router wants itself in the Request-URI, the target last
            uri = Address.parse(routes[0]).uri._replace(headers="")
            routes = (*routes[1:], f"<{self.target}>")
        return str(uri), (
            ("Via", wire.via(self.peer, branch, self.advertise)),
            *[("Route", route) for route in routes],
            ("Max-Forwards", str(MAX_FORWARDS)),
            ("From", self.local),
            ("To", self.remote),
            ("Call-ID", self.call_id),
        )


def remote_target(message: Message, source: Peer) -> Uri:
    """The URI in its Contact. Without one that can be used: the source, so that a BYE still gets there."""
    try:
        contact = message.contact
    except Malformed:
        contact = None
    if contact is None or not contact.uri.is_sip:
        return Uri("sip", "", *source.remote)
    return contact.uri


def is_masked(request: Request, source: Peer) -> bool:
    """Whether the one that sent this request stands behind a NAT and does not know it: packets come from elsewhere
    than the address that Via and Contact both name."""
    sent_by = request.via.host
    return sent_by != source.remote[0] and remote_target(request, source).host == sent_by and len(request.vias) == 1


@lru_cache(maxsize=4096)
def _address(host: str) -> str | None:
    """An IP address in the one way to write it; None for a name."""
    try:
        return str(ip_address(host))
    except ValueError:
        return None


def _is_loose(route: str) -> bool:
    try:
        return "lr" in Address.parse(route).uri.params
    except Unreadable:
        return True
