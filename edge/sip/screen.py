"""What is refused before anybody is asked, in the order of RFC 3261 §8.2: method, scheme, extensions, body.

All of it is answered statelessly: the same request gets the same answer each time it comes.

`ALLOW` lists what is served, no more. A body that must be understood is SDP for a call, text for a message; whatever
is marked `handling=optional` is passed over (§20.11), also a body type we know nothing of.
"""

from __future__ import annotations

from typing import Final

from edge.sip.limits import BODY, TEXT
from edge.sip.message import KNOWN_METHODS, Message, Params, Request, Unreadable, media_type

SERVED: Final = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "NOTIFY", "MESSAGE")
ALLOW: Final = ("Allow", ", ".join(SERVED))
ACCEPT: Final = ("Accept", "application/sdp, text/plain")  # in answers to OPTIONS
SUPPORTED: Final = ("Supported", "")  # no extension so far (§20.37: an empty list says so)
SDP: Final = "application/sdp"
SDP_TYPE: Final = ("Content-Type", SDP)
DTMF_TYPES: Final = ("application/dtmf-relay", "application/dtmf")

Refusal = tuple[int, tuple[tuple[str, str], ...]]  # a status, and fields that go with it

_SCHEMES: Final = ("sip:", "sips:", "tel:")
_served: Final = frozenset(SERVED)


def method(request: Request) -> Refusal | None:
    """§8.2.1."""
    if request.method in _served:
        return None
    return (405, (ALLOW,)) if request.method in KNOWN_METHODS else (501, (ALLOW,))


def target(request: Request) -> Refusal | None:
    """§8.2.2.1."""
    uri = request.uri
    if uri.startswith(_SCHEMES) or uri.partition(":")[0].lower() + ":" in _SCHEMES:
        return None
    return 416, ()


def extensions(request: Request) -> Refusal | None:
    """§8.2.2.3: none is supported."""
    if "require" not in request.headers.first:
        return None
    wanted = request.headers.values("require")
    return (420, (("Unsupported", ", ".join(wanted)),)) if wanted else None


def session_body(request: Request) -> Refusal | None:
    """§8.2.3, for INVITE."""
    first = request.headers.first
    if request.body:
        if len(request.body) > BODY:
            return 513, ()
        if "content-encoding" in first and (refusal := _encoding(request)):
            return refusal
        kind = first.get("content-type", SDP)  # RFC 2543 took it for SDP
        if kind != SDP and (refusal := _type(request, (SDP,))):
            return refusal
    if "accept" in first and not _accepts_sdp(request):
        return 406, ()
    return None


def text_body(request: Request) -> Refusal | None:
    """§8.2.3 and RFC 3428 §7, for MESSAGE."""
    if len(request.body) > TEXT:
        return 513, ()
    if not request.body:
        return None
    if "content-encoding" in request.headers.first and (refusal := _encoding(request)):
        return refusal
    return _type(request, ("text/plain",))


def sdp_of(message: Message) -> bytes | None:
    """The session description in its body, or None."""
    if not message.body:
        return None
    if message.headers.first.get("content-type", SDP) == SDP:
        return message.body
    return message.body if content_type(message, SDP)[0] == SDP else None


def content_type(message: Message, default: str) -> tuple[str, Params]:
    """Type and parameters of the body; an unreadable type is no type of ours."""
    try:
        return media_type(message.headers.first.get("content-type", default))
    except Unreadable:
        return "", Params()


def _type(request: Request, known: tuple[str, ...]) -> Refusal | None:
    if content_type(request, known[0])[0] in known or _is_optional(request):
        return None
    return 415, (("Accept", ", ".join(known)),)


def _encoding(request: Request) -> Refusal | None:
    if [c.lower() for c in request.headers.values("content-encoding")] in ([], ["identity"]) or _is_optional(request):
        return None
    return 415, (("Accept-Encoding", "identity"),)


def _is_optional(request: Request) -> bool:
    """§20.11; the default is required."""
    _, semicolon, params = request.headers.first.get("content-disposition", "").partition(";")
    try:
        return (Params.parse(semicolon + params).text("handling") or "").lower() == "optional"
    except Unreadable:
        return False


def _accepts_sdp(request: Request) -> bool:
    for value in request.headers.values("accept"):
        if value.partition(";")[0].strip(" \t").lower() in (SDP, "application/*", "*/*"):
            return True
    return False
