"""What the user of an agent holds: an `Offer` can be answered or rejected, a `Call` ended, a `TextOffer` taken.

Handles are given out by events and taken back by the agent's verbs. They say facts; what belongs to the agent begins
with an underscore. `owner` is the user's: whatever he wants to find again when the next event comes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from edge.sip.body import sdp_body
from edge.sip.extension import RELIABLE, supports
from edge.sip.grammar import split_list
from edge.sip.message import Address, Malformed, Uri
from edge.sip.peer import Peer
from edge.sip.server_transaction import PROCEEDING
from edge.sip.terms import DEFAULT, Terms

if TYPE_CHECKING:
    from edge.sip.answer import Answer, Answerless
    from edge.sip.call import Late
    from edge.sip.client_transaction import InviteClient
    from edge.sip.cpim import Wrapped
    from edge.sip.dialog import Dialog
    from edge.sip.early import Early
    from edge.sip.message import Message, Request
    from edge.sip.referral import Referral
    from edge.sip.reinvite import Change
    from edge.sip.reliable import Reliable
    from edge.sip.server_transaction import ServerTransaction
    from edge.sip.session_timer import SessionTimer
    from edge.sip.uac import Calling


class _Asked:
    """A request of theirs that waits for the user's decision."""

    __slots__ = ("_transaction", "owner", "peer", "request")

    def __init__(self, request: Request, peer: Peer, transaction: ServerTransaction) -> None:
        self.request = request
        self.peer = peer  # where it came from
        self.owner: Any = None
        self._transaction = transaction

    @property
    def call_id(self) -> str:
        return self.request.call_id

    @property
    def from_(self) -> Address:
        return self.request.from_

    @property
    def to(self) -> Address:
        return self.request.to

    @property
    def target(self) -> Uri:
        """The Request-URI; as written it is `request.uri`."""
        return self.request.target


class Offer(_Asked):
    """An INVITE nobody has answered yet."""

    __slots__ = ("_call", "_dialog", "_reliable", "_reoffer", "_since", "_tag", "sdp", "terms")

    def __init__(
        self,
        request: Request,
        peer: Peer,
        transaction: ServerTransaction,
        sdp: bytes | None,
        terms: Terms = DEFAULT,
    ) -> None:
        self.request = request
        self.peer = peer
        self.owner = None
        self.sdp = sdp  # None: the answer has to make the offer
        self.terms = terms  # on which it was let in
        self._transaction = transaction
        self._tag: str | None = None  # the To-tag of all our answers
        self._dialog: Dialog | None = None  # early, once a 180 or 183 was sent
        self._since: float | None = None  # when its user began to let it wait
        self._reliable: Reliable | None = None  # provisional answers that want a PRACK
        self._reoffer: Reoffer | None = None  # another session, before the first is answered
        self._call: Call | None = None  # answered, but the 200 waits for a PRACK

    @property
    def reliable(self) -> bool:
        """Whether our provisional answers are acknowledged (RFC 3262), so that they may carry our offer."""
        return self.terms.reliable != "off" and supports(self.request, RELIABLE)

    @property
    def _over(self) -> bool:
        """Whether it has its final answer."""
        return self._transaction.state is not PROCEEDING

    @property
    def allow(self) -> frozenset[str] | None:
        """The methods the other side serves; None when it does not say."""
        return served_by(self.request)


class TextOffer(_Asked):
    """A MESSAGE with a text. Its identity is `call_id`, `cseq` and `from_tag`.

    `wrapped`: the envelope that the text was in, whose word on who sent it is only as good as who sent the envelope.
    """

    __slots__ = ("terms", "text", "wrapped")

    def __init__(
        self,
        request: Request,
        peer: Peer,
        transaction: ServerTransaction,
        text: str,
        wrapped: Wrapped | None = None,
        terms: Terms = DEFAULT,
    ) -> None:
        super().__init__(request, peer, transaction)
        self.terms = terms  # on which it was let in; those of nobody for one within a call
        self.text = text
        self.wrapped = wrapped


class Call:
    """A call that was answered, by us or by them."""

    __slots__ = (
        "_answer",
        "_answerless",
        "_bye",
        "_byes",
        "_change",
        "_dialog",
        "_ended",
        "_late",
        "_referral",
        "_refused",
        "_reliable",
        "_reoffer",
        "_said",
        "_session",
        "_unconfirmed",
        "allow",
        "owner",
        "source",
        "terms",
    )

    def __init__(
        self, dialog: Dialog, source: Peer, allow: frozenset[str] | None, terms: Terms, said: bytes = b""
    ) -> None:
        self.source = source  # where the other side's INVITE or 200 came from
        self.allow = allow  # the methods the other side serves; None when it does not say
        self.terms = terms  # on which we deal with the other side
        self.owner: Any = None
        self._dialog = dialog
        self._answer: Answer | None = None  # our 200 without its ACK
        self._answerless: Answerless | None = None  # our offer was acknowledged without an answer
        self._unconfirmed = False  # answered by us, first ACK still to come
        self._reoffer: Reoffer | None = None
        self._refused: ServerTransaction | None = None  # of a re-INVITE of theirs: refused, and no ACK yet
        self._change: Change | None = None  # what its user wants changed
        self._referral: Referral | None = None
        self._late: Late | None = None  # the 200 that waits for a PRACK
        self._reliable: Reliable | None = None  # provisional answers before it that may still get their PRACK
        self._said = said  # the last session description of ours that was agreed on, for refreshes
        self._session: SessionTimer | None = None
        self._bye: tuple[str | None] | None = None  # to be sent once the 200 is acknowledged; holds its Reason
        self._byes = 0  # BYEs of ours without their answer
        self._ended = False

    @property
    def call_id(self) -> str:
        return self._dialog.call_id

    @property
    def local_tag(self) -> str:
        return self._dialog.local_tag

    @property
    def remote_tag(self) -> str | None:
        return self._dialog.remote_tag

    @property
    def ended(self) -> bool:
        return self._ended

    @property
    def peer(self) -> Peer:
        """Where our next request goes."""
        return self._dialog.peer

    def _agreed(self) -> None:
        """An offer found its answer: one of ours without is forgotten."""
        if self._answerless is not None:
            self._answerless.stop()
            self._answerless = None

    def disconnected(self) -> None:
        self._dialog.peer = self._dialog.fresh_peer()


class Reoffer(_Asked):
    """A re-INVITE nobody has answered yet, or an UPDATE or PRACK with an offer, which may come before the answer to the
    INVITE too. Cancelled or refused, the session goes on as it was (§14.1)."""

    __slots__ = ("_side", "sdp")

    def __init__(
        self, request: Request, peer: Peer, transaction: ServerTransaction, side: Side, sdp: bytes | None
    ) -> None:
        super().__init__(request, peer, transaction)
        self.sdp = sdp  # None: the answer has to make the offer
        self._side = side

    @property
    def call(self) -> Call | Offer | OutgoingCall:
        """What it is about."""
        side = self._side
        return side if isinstance(side, Call | Offer) else side.outgoing


class OutgoingCall:
    """An INVITE of ours without its final answer."""

    __slots__ = (
        "_acks",
        "_calling",
        "_done",
        "_early",
        "_tag",
        "_transaction",
        "call_id",
        "owner",
        "peer",
        "stranger",
        "terms",
    )

    def __init__(self, peer: Peer, call_id: str, tag: str, calling: Calling, *, stranger: bool, terms: Terms) -> None:
        self.peer = peer
        self.stranger = stranger
        self.terms = terms
        self.call_id = call_id
        self.owner: Any = None
        self._tag = tag
        self._calling = calling  # what is said in it
        self._transaction: InviteClient | None = None  # until its end is told
        self._early: dict[str, Early] = {}  # To-tag → the dialog that a provisional answer made
        self._acks: dict[str | None, tuple[Peer, bytes]] = {}  # To-tag of a 200 → our ACK to it
        self._done = False  # its end was told

    @property
    def cancelled(self) -> bool:
        """Whether it was given up, by its user or after `limits.RINGING`, and its end is still to come."""
        return self._transaction is not None and self._transaction.cancelled

    def _over(self) -> None:
        self._done = True
        self._transaction = None


Side: TypeAlias = "Call | Offer | Early"  # one end of a dialog, as the table of dialogs has it


def unanswered(side: Side) -> Offer | None:
    """The INVITE of theirs that has no final answer yet, where this is an end of its dialog."""
    if isinstance(side, Offer):
        return side
    return side._late.offer if isinstance(side, Call) and side._late is not None else None


def served_by(message: Message) -> frozenset[str] | None:
    """What its Allow says; None when there is none."""
    lines = message.headers.all("allow")
    return _methods(", ".join(lines)) if lines else None


@lru_cache(maxsize=1024)
def _methods(text: str) -> frozenset[str]:
    return frozenset(split_list(text))


def sdp_of(message: Message) -> bytes | None:
    """The session description in an ACK or a response, which cannot be refused any more: None when there is none to be
    read."""
    try:
        return sdp_body(message)
    except Malformed:
        return None
