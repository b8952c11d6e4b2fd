"""Texts by MESSAGE (RFC 3428), theirs and ours.

Theirs waits for the user, who answers 202 only once it is kept; its sender repeats it until then, and each repeat gets
the one answer. An empty one carries nothing to keep and is answered 200 at once.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from edge.sip import cpim, screen
from edge.sip.body import CPIM, body_of
from edge.sip.body import TEXT as TEXT_TYPE
from edge.sip.cpim import CHARSETS, Foreign, Wrapped
from edge.sip.digest import Login
from edge.sip.errand import Errand
from edge.sip.events import TextDone, TextOffered
from edge.sip.grammar import Unreadable
from edge.sip.handle import TextOffer
from edge.sip.limits import PENDING_TEXTS, TEXT, UNDECIDED_TEXT
from edge.sip.message import Request, Response
from edge.sip.peer import Peer
from edge.sip.prover import Prover
from edge.sip.screen import Refusal
from edge.sip.server_transaction import PROCEEDING, PlainServer, ServerTransaction
from edge.sip.terms import DEFAULT, Terms
from edge.sip.values import refusal as malformed
from edge.sip.wire import Fields, Wire, back

if TYPE_CHECKING:
    from edge.sip.transaction import MergeKey, ServerKey

ACCEPT: Final = ("Accept", f"text/plain;charset=utf-8, {CPIM}")


class Texts:
    """The MESSAGEs of one agent."""

    __slots__ = ("_count", "_pending", "_wire")

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._pending = 0  # theirs, undecided
        self._count = 0  # ours, ever

    @property
    def pending(self) -> int:
        return self._pending

    def offered(
        self, request: Request, key: ServerKey, merge: MergeKey, peer: Peer, now: float, terms: Terms = DEFAULT
    ) -> None:
        """A MESSAGE that nothing speaks against. Raises `Malformed` for a body that must be understood and is not."""
        wire = self._wire
        kind = screen.content_type(request, TEXT_TYPE)[0]
        body = body_of(request, CPIM if kind == CPIM else TEXT_TYPE) if len(request.body) <= TEXT else b""
        refusal = self._refusal(request, body)
        wrapped: Wrapped | None = None
        if refusal is None and body and kind == CPIM:
            try:
                wrapped = cpim.unwrap(body)
            except Unreadable as fault:
                raise malformed(400, f"body: {fault}", request) from None
            except Foreign:
                refusal = 415, (ACCEPT,)
            else:
                body = wrapped.text.encode()
        if refusal is not None or not body:
            wire.respond_statelessly(request, peer, *(refusal or (200, ())))  # nothing in it that could be kept
            return
        transaction = PlainServer(wire, key, request, back(request, peer))
        transaction.remember_merge(merge)
        transaction.patience(self, now, UNDECIDED_TEXT)
        said = body.decode(_charset(request) or "utf-8", "replace")
        text = TextOffer(request, peer, transaction, said, wrapped, terms)
        transaction.handle = text
        self._pending += 1
        wire.events.append(TextOffered(text))

    def _refusal(self, request: Request, body: bytes | None) -> Refusal | None:
        if len(request.body) > TEXT:
            return 513, ()
        if body and _charset(request) is None:
            return 415, (ACCEPT,)
        if body and self._pending >= PENDING_TEXTS:
            return 503, (self._wire.retry_after(),)
        return None

    def take(self, text: TextOffer, status: int, now: float, fields: Fields = ()) -> None:
        """The final answer; without effect when the sender has given up meanwhile (he will have sent it again)."""
        transaction = text._transaction
        if transaction.state is PROCEEDING:
            data = self._wire.respond(text.request, text.peer, status, tag=self._wire.token(), fields=fields)
            self._pending -= 1
            transaction.respond(data, now)

    def waited(self, transaction: ServerTransaction, now: float) -> None:
        """Nobody decided, and by now the sender waits no more (Timer F; RFC 4320 §4.2: no 408)."""
        self._pending -= 1
        transaction.forget()

    def send(
        self,
        *,
        peer: Peer,
        uri: str,
        from_: str,
        to: str,
        body: bytes,
        content_type: str,
        now: float,
        login: Login | None = None,
        advertise: str | None = None,
    ) -> int:
        """Send a MESSAGE; the id comes back in `TextDone`."""
        wire = self._wire
        self._count += 1
        id = self._count
        lines = (("From", f"{name_addr(from_)};tag={wire.token()}"), ("To", name_addr(to)), ("Call-ID", wire.token()))
        Errand(
            wire,
            "MESSAGE",
            peer=peer,
            uri=uri,
            lines=lines,
            number=1,
            done=partial(self._done, id),
            fields=(("Content-Type", content_type),),
            body=body,
            prover=None if login is None else Prover(login, wire.token),
            advertise=advertise,
        ).send(now)
        return id

    def _done(self, id: int, _errand: Errand, outcome: Response | int) -> None:
        self._wire.events.append(TextDone(id, outcome if isinstance(outcome, int) else outcome.status))


def _charset(request: Request) -> str | None:
    """The codec of the body; None when it is none of ours. A text among the parts of another body is UTF-8."""
    kind, params = screen.content_type(request, TEXT_TYPE)
    if kind != TEXT_TYPE:
        return "utf-8"
    return CHARSETS.get((params.text("charset") or "utf-8").lower())


def name_addr(text: str) -> str:
    """A URI in the brackets that From and To want; what has them already stays."""
    return text if text.endswith(">") else f"<{text}>"
