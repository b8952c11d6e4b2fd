"""What is refused before anybody is asked, in the order of RFC 3261 §8.2: method, scheme, extensions, body.

All of it is answered statelessly: the same request gets the same answer each time it comes. `ALLOW` lists what is
served, no more.
"""

from __future__ import annotations

from typing import Final

from edge.sip.body import SDP
from edge.sip.extension import RELIABLE, supported, supports, unserved
from edge.sip.limits import BODY
from edge.sip.message import KNOWN_METHODS, Message, Params, Request, Unreadable, media_type
from edge.sip.session_timer import too_small
from edge.sip.terms import Terms

SERVED: Final = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "NOTIFY", "MESSAGE", "UPDATE", "PRACK")
ALLOW: Final = ("Allow", ", ".join(SERVED))
ACCEPT: Final = (  # in answers to OPTIONS; which multiparts are taken has to be said too (RFC 5621 §3.1)
    "Accept",
    "application/sdp, multipart/mixed, multipart/alternative, multipart/related, text/plain, message/cpim",
)
SDP_TYPE: Final = ("Content-Type", SDP)
DTMF_TYPES: Final = ("application/dtmf-relay", "application/dtmf")

Refusal = tuple[int, tuple[tuple[str, str], ...]]  # a status, and fields that go with it

_DESCRIBING: Final = frozenset({"INVITE", "UPDATE", "PRACK"})
_SCHEMES: Final = ("sip", "sips", "tel")
_served: Final = frozenset(SERVED)


def method(request: Request) -> Refusal | None:
    """§8.2.1."""
    if request.method in _served:
        return None
    return (405, (ALLOW,)) if request.method in KNOWN_METHODS else (501, (ALLOW,))


def target(request: Request) -> Refusal | None:
    """§8.2.2.1."""
    uri = request.uri
    if uri[:4] in ("sip:", "tel:") or uri.partition(":")[0].lower() in _SCHEMES:
        return None
    return 416, ()


def needs(request: Request, terms: Terms) -> Refusal | None:
    """What must be understood (§8.2.2.3), which session interval is long enough (RFC 4028 §9), and for what describes a
    session what must come back (§8.2.3); what its body holds is for `body.py`."""
    first = request.headers.first
    if "require" in first and (unknown := unserved(request, terms)):
        return 420, (("Unsupported", ", ".join(unknown)),)
    if request.method not in _DESCRIBING:
        return None
    if len(request.body) > BODY:
        return 513, ()
    if "accept" in first and not _accepts_sdp(request):
        return 406, ()
    return too_small(request, terms) if "session-expires" in first else None


def wants(request: Request, terms: Terms) -> Refusal | None:
    """What a new INVITE must bring along because these terms say so (§21.4.16)."""
    if terms.reliable == "required" and not supports(request, RELIABLE):
        return 421, (("Require", RELIABLE),)
    return None


def options(terms: Terms) -> tuple[tuple[str, str], ...]:
    """The fields of an answer to OPTIONS (§11.2)."""
    return ALLOW, ACCEPT, supported(terms)


def content_type(message: Message, default: str) -> tuple[str, Params]:
    """Type and parameters of the body; an unreadable type is no type of ours."""
    try:
        return media_type(message.headers.first.get("content-type", default))
    except Unreadable:
        return "", Params()


def _accepts_sdp(request: Request) -> bool:
    for value in request.headers.values("accept"):
        if value.partition(";")[0].strip(" \t").lower() in (SDP, "application/*", "*/*"):
            return True
    return False
