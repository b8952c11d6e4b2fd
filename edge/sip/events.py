"""What an agent tells its user, in the order it happened. Each carries the handle it is about.

A call has exactly one `CallOffered`, and then either `OfferCancelled` or what its user's answer leads to; a `Call` has
exactly one `CallEnded`, also when the user himself ends it (at once then: the rest on the wire is the agent's
business). After that nothing more is told about it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edge.sip.handle import Call, Offer, OutgoingCall, Reoffer, TextOffer
from edge.sip.message import Request, Response
from edge.sip.peer import Peer

By = Literal["remote", "local", "timeout", "lost"]


@dataclass(frozen=True, slots=True)
class CallOffered:
    """An INVITE came. Answered before the next `to_send` there is no 100 Trying, else it goes out then."""

    offer: Offer


@dataclass(frozen=True, slots=True)
class CallRefused:
    """An INVITE was refused before it became an offer: by the agent itself, or because it was not let in (`terms.py`).
    Its answer is on its way, and nothing was kept of it.
    """

    request: Request
    peer: Peer
    status: int
    why: str = ""  # the user's word for it; "": the agent's own decision
    what: str = ""  # what is wrong with it, in a clause; of one that is malformed not every field can be read


@dataclass(frozen=True, slots=True)
class OfferCancelled:
    """The caller gave up before the answer, nobody decided for `limits.UNANSWERED`, or a provisional answer got no
    PRACK. Verbs on the offer have no effect.
    """

    offer: Offer
    reason: str | None = None  # the Reason of the CANCEL or BYE, as written, or one of ours
    status: int = 487  # how the INVITE was answered


@dataclass(frozen=True, slots=True)
class OfferConfirmed:
    """The PRACK to our 183 brought the answer to the offer in it. (To an answer in a 183 no PRACK brings anything.)"""

    offer: Offer
    sdp: bytes


@dataclass(frozen=True, slots=True)
class CallConfirmed:
    """The ACK to our 200 came; `sdp` is what it carried. Told again when the ACK of a re-INVITE brings the answer to an
    offer of ours."""

    call: Call
    sdp: bytes | None = None


@dataclass(frozen=True, slots=True)
class CallEnded:
    """By the other side's BYE (`remote`), by us (`local`), for want of an ACK (`timeout`), or because the other side
    does not know the call any more or cannot be reached (`lost`).
    """

    call: Call
    by: By
    reason: str | None = None  # a Reason as in RFC 3326
    status: int = 0  # how the INVITE was answered, where our 200 never went out


@dataclass(frozen=True, slots=True)
class Reoffered:
    """A re-INVITE came, or an UPDATE or PRACK with an offer."""

    reoffer: Reoffer


@dataclass(frozen=True, slots=True)
class DigitsReceived:
    """Keys by SIP INFO, of a call or of one still ringing."""

    call: Call | Offer | OutgoingCall
    digits: str
    duration_ms: int | None = None  # None: not said


@dataclass(frozen=True, slots=True)
class TextOffered:
    """A MESSAGE came; it is repeated by its sender until the user decides."""

    text: TextOffer


@dataclass(frozen=True, slots=True)
class TextDone:
    """What became of a text of ours: the final status; 408 without an answer, 503 when it could not be sent."""

    id: int
    status: int


@dataclass(frozen=True, slots=True)
class AskDone:
    """The final answer to a request of ours that belongs to no call (`Agent.ask`)."""

    id: int
    status: int  # 408 without an answer, 503 when it could not be sent
    number: int  # the CSeq that it was sent with last
    response: Response | None = None


@dataclass(frozen=True, slots=True)
class ReferProgress:
    """How the other side fares with our REFER: the status of its own INVITE (RFC 3515 §2.4.4), or that of the REFER
    itself when it was refused. 408 when it never said.
    """

    call: Call
    status: int
    final: bool


@dataclass(frozen=True, slots=True)
class CallProgress:
    """A provisional answer to an INVITE of ours, 100 included. When a proxy forked it, each phone has its own `tag`;
    the one that answers is the `remote_tag` of the call in `CallAnswered`. Early media of one are none of the others'.
    """

    outgoing: OutgoingCall
    status: int
    sdp: bytes | None = None
    tag: str | None = None  # None in most 100s


@dataclass(frozen=True, slots=True)
class CallAnswered:
    """The 200 to an INVITE of ours; it is acknowledged already."""

    outgoing: OutgoingCall
    call: Call
    sdp: bytes | None = None


@dataclass(frozen=True, slots=True)
class CallFailed:
    """An INVITE of ours came to nothing: 408 without an answer, 503 when it could not be sent, 487 once cancelled."""

    outgoing: OutgoingCall
    status: int
    reason: str  # the phrase behind the status
    cause: int | None = None  # Q.850, from a Reason field (RFC 3326, RFC 6432)
    contacts: tuple[str, ...] = ()  # where a 3xx says to go: URIs, best first


@dataclass(frozen=True, slots=True)
class InfoAnswered:
    """The final answer to an INFO of ours; 503 when it could not be sent. What means that the call is lost (408, 481)
    is a `CallEnded` instead."""

    call: Call
    status: int


@dataclass(frozen=True, slots=True)
class ReinviteAnswered:
    """The 200 to a re-INVITE of ours; it is acknowledged already."""

    call: Call
    sdp: bytes | None  # their answer; None when there is none to be read
    offer: bytes = b""  # ours that it answers
    refresh: bool = False  # the agent's own: what was said before, to keep the session up


@dataclass(frozen=True, slots=True)
class ReinviteFailed:
    """A re-INVITE of ours was refused, or could not be sent (503); the session goes on as it was. A 491 is told only
    when it came twice. What means that the call is lost (408, 481) is a `CallEnded` instead."""

    call: Call
    status: int
    offer: bytes = b""


Event = (
    CallOffered
    | CallRefused
    | OfferCancelled
    | OfferConfirmed
    | CallConfirmed
    | CallEnded
    | Reoffered
    | DigitsReceived
    | TextOffered
    | TextDone
    | AskDone
    | ReferProgress
    | CallProgress
    | CallAnswered
    | CallFailed
    | InfoAnswered
    | ReinviteAnswered
    | ReinviteFailed
)

__all__ = [
    "AskDone",
    "By",
    "Call",
    "CallAnswered",
    "CallConfirmed",
    "CallEnded",
    "CallFailed",
    "CallOffered",
    "CallProgress",
    "CallRefused",
    "DigitsReceived",
    "Event",
    "InfoAnswered",
    "Offer",
    "OfferCancelled",
    "OfferConfirmed",
    "OutgoingCall",
    "ReferProgress",
    "ReinviteAnswered",
    "ReinviteFailed",
    "Reoffer",
    "Reoffered",
    "TextDone",
    "TextOffer",
    "TextOffered",
]
