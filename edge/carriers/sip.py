"""Texts by SIP MESSAGE (RFC 3428), to and from trunks.

    [[carriers]]
    kind = "sip"

What comes in is identified by Call-ID, CSeq number and From-tag. An answer goes to the target of the trunk that the
text came by, or, where it has none, back to the address, port and transport the text came from, on TCP over the same
connection while it is open. Any other text leaves by the trunk named here, or the first one that has a target.

A text may come in an envelope of its own (message/cpim, RFC 3862). Who that says it is from and for is believed of
trunks with `trust_cpim` only. A trunk with `trusted_headers` is believed in who its P-Asserted-Identity or
Remote-Party-ID says the text is from. A sender who withholds his number is `anonymous`, and can be answered. Ours go
out in an envelope with `cpim = true`.

A 2xx is a receipt. 408 and 503 lead to the next target of the trunk, if there is one. 408, 480 and 5xx mean not now,
everything else means no.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import Final, Literal, NamedTuple, NotRequired, TypedDict
from urllib.parse import unquote

from pydantic import BaseModel, Field

from edge.carriers.site import ANY_LOCAL, Site
from edge.settings import NAME
from edge.sip import party
from edge.sip.body import CPIM
from edge.sip.cpim import wrap
from edge.sip.events import TextOffer
from edge.sip.message import REASONS, Uri
from edge.sip.peer import Peer
from edge.sms.carrier import Carrier, CarrierSection, NotNow, Refused
from edge.sms.text import OutgoingText, Receipt, Text
from edge.store.metadata import new_id
from edge.trunks.resolve import FAILED_OVER
from edge.trunks.target import TRANSPORTS, Transport
from edge.trunks.trunk import Trunk

ID_LENGTH: Final = 200  # an identity longer than this is kept as its hash
FAIL_OVER: Final = frozenset({408, 503})  # to the next target, if the trunk has one
NOT_NOW: Final = frozenset({408, 480})  # and all 5xx
OF_THE_TRUNK: Final = frozenset({401, 402, 403, 405, 407})  # it does not take texts, or not ours

_NUMBER = re.compile(r"\+?[0-9][0-9().-]{2,30}")


class SipSection(CarrierSection):
    """Texts by SIP MESSAGE."""

    kind: Literal["sip"] = Field(default="sip", description="sip: SIP MESSAGE to and from trunks.")
    name: str = Field(default="sip", pattern=NAME, description="The carrier's name; there is one of this kind.")
    cpim: bool = Field(default=False, description="Texts go out in envelopes (message/cpim) that name both ends.")
    trunk: str | None = Field(
        default=None,
        description="Trunk that texts leave by which are no answers; without it the first one that has a target.",
    )


class Route(BaseModel):
    """Where an answer goes. `life` is the process that `connection` belongs to."""

    trunk: str
    uri: str  # of the sender, as his From had it
    transport: Transport
    subject: str = ""  # who it proved to be, over TLS
    local: tuple[str, int]
    remote: tuple[str, int]
    connection: int
    life: str
    sender: str = ""  # the number, or the URI, of one who withholds it from whom he texts


class Content(TypedDict):
    """What is sent, and as what."""

    body: bytes
    content_type: NotRequired[str]


class _Way(NamedTuple):
    peer: Peer
    uri: str


class _Elsewhere(NotNow):
    """The target did not take it, and another of the trunk may."""


class Sip(Carrier):
    kind = "sip"
    section = SipSection

    def __init__(self, section: SipSection, site: Site) -> None:
        super().__init__(section.name)
        self._trunk = section.trunk
        self._cpim = section.cpim
        self._site = site
        self._life = new_id()

    def read(self, offer: TextOffer, trunk: Trunk, received_at: datetime, dialed: str = "") -> Text:
        """The text in a MESSAGE that came by a trunk, for whom `dialed` says or else its Request-URI.

        Raises Invalid for one that cannot be kept.
        """
        request, peer, sender, wrapped = offer.request, offer.peer, offer.from_.uri, offer.wrapped
        found = party.caller(request, trunk.trusted_headers) if trunk.trusted_headers else None
        if found is not None and found.uri is not None:
            sender = found.uri
        source = _source(sender)
        destination = (
            dialed or request.uri if request.to_tag is None else str(offer.to.uri)
        )  # within a call it is our Contact
        if wrapped is not None and trunk.trust_cpim:
            source = _said(wrapped.source) or source
            destination = _said(wrapped.destination) or destination
        behind = ""
        if party.is_withheld(request):
            behind, source = source, party.NOBODY
        route = Route(
            trunk=trunk.name,
            uri=str(sender),
            transport=TRANSPORTS.get(peer.transport, "udp"),
            subject=peer.subject,
            local=peer.local,
            remote=peer.remote,
            connection=peer.connection,
            life=self._life,
            sender=behind,
        )
        return Text(
            carrier=self.name,
            id=_identity(request.call_id, request.cseq.number, request.from_tag or ""),
            source=source,
            destination=destination,
            body=offer.text.replace("\0", "\N{REPLACEMENT CHARACTER}"),
            received_at=received_at,
            country=trunk.country,
            route=route.model_dump_json(),
            trunk_id=trunk.id,
        )

    async def send(self, text: OutgoingText) -> Receipt:
        trunk, ways = self._answer(Route.model_validate_json(text.route), text) if text.route else self._ways(text)
        for way in ways[:-1]:
            try:
                return await self._send(way, trunk, text)
            except _Elsewhere:
                FAILED_OVER.labels(trunk.name).inc()
        return await self._send(ways[-1], trunk, text)

    async def _send(self, way: _Way, trunk: Trunk, text: OutgoingText) -> Receipt:
        """Raises _Elsewhere where another target may take it, NotNow, Refused."""
        content = self._content(text, way.uri)
        try:
            status = await self._site.messages.send(
                way.peer, uri=way.uri, from_user=text.source, trunk=trunk, **content
            )
        except OSError as error:
            raise _Elsewhere(f"trunk {trunk.name} cannot be reached: {error}") from error
        if 200 <= status < 300:
            return Receipt()
        sentence = f"trunk {trunk.name} answered {status} {REASONS.get(status, '')}".rstrip()
        if status in FAIL_OVER:
            raise _Elsewhere(sentence, code=str(status))
        if status in NOT_NOW or 500 <= status < 600:
            raise NotNow(sentence, code=str(status))
        raise Refused(sentence, code=str(status), elsewhere=status in OF_THE_TRUNK)

    def _content(self, text: OutgoingText, uri: str) -> Content:
        body = text.body.encode()
        if not self._cpim:
            return {"body": body}
        ends = (f"tel:{end}" if _NUMBER.fullmatch(end) else end for end in (text.source, text.destination))
        source, destination = (end if ":" in end else uri for end in ends)
        return {"body": wrap(source, destination, body), "content_type": CPIM}

    def _answer(self, route: Route, text: OutgoingText) -> tuple[Trunk, list[_Way]]:
        trunk = self._site.trunks.named(route.trunk)
        if trunk is None:
            raise self._missing(f"trunk {route.trunk} is not configured any more")
        if trunk.target is not None:
            return trunk, self._to_targets(trunk, replace(text, destination=route.sender or text.destination))
        connection = route.connection if route.life == self._life else 0
        return trunk, [_Way(Peer(route.transport, route.local, route.remote, connection, route.subject), route.uri)]

    def _ways(self, text: OutgoingText) -> tuple[Trunk, list[_Way]]:
        trunks = self._site.trunks
        if self._trunk is not None:
            trunk = trunks.named(self._trunk)
        else:
            trunk = next((trunk for trunk in trunks if trunk.target is not None), None)
        if trunk is None or trunk.target is None:
            raise self._missing("no trunk has a target to send texts to; only a text that came in can be answered")
        return trunk, self._to_targets(trunk, text)

    def _missing(self, sentence: str) -> NotNow | Refused:
        """What is to be said where there is no such trunk, or not yet."""
        if not self._site.trunks.complete:
            return NotNow("the trunks in the database are not known yet")
        return Refused(sentence, elsewhere=True)

    def _to_targets(self, trunk: Trunk, text: OutgoingText) -> list[_Way]:
        """One for each target that has an address, in order. Raises NotNow when none has."""
        ways: list[_Way] = []
        for target in self._site.targets.order(trunk):
            address = self._site.targets.address(target)
            if address is not None:
                uri = text.destination
                if not uri.startswith(("sip:", "sips:")):
                    uri = target.uri(uri)
                peer = Peer(target.transport, ANY_LOCAL, (address, target.port), subject=target.subject)
                ways.append(_Way(peer, uri))
        if not ways:
            raise NotNow(f"the target of trunk {trunk.name}, {trunk.targets[0].host}, has no address")
        return ways


def _identity(call_id: str, cseq: int, tag: str) -> str:
    identity = f"{call_id} {cseq} {tag}"
    if len(identity) <= ID_LENGTH:
        return identity
    return "sha256:" + sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()


def _source(uri: Uri) -> str:
    """A number where the user part is one, else the URI without what only concerned its way."""
    user = uri.plain_user
    if _NUMBER.fullmatch(user):
        return user
    return str(uri._replace(headers="", password=None))


def _said(uri: str) -> str:
    """The number in a URI of an envelope, or else the URI."""
    scheme, _, rest = uri.partition(":")
    end = rest if scheme.lower() == "tel" else rest.rpartition("@")[0]
    user = unquote(end.partition(";")[0])
    return user if _NUMBER.fullmatch(user) else uri
