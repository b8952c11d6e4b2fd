"""What a body holds: the session description of a call, the text of a MESSAGE, alone or among the parts of a multipart
body.

What is not understood and says `handling=optional` is passed over, else the answer is 415 (RFC 3261 §20.11, RFC 5621
§8). Of a `multipart/alternative` the last readable
part is the one meant (RFC 2046 §5.1.4), of a `multipart/related` the root (RFC 2387); any other multipart is a list
(RFC 2046 §5.1.3).

Not nice: a body without Content-Type is taken for what was asked for, as RFC 2543 did with SDP. And a part that says
nothing of its handling counts as required by the letter; beside the part that was asked for it is passed over all the
same, for a call with somebody's location in it is better served than refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from edge.sip.grammar import NO_PARAMS, Params, Unreadable
from edge.sip.headers import Headers, media_type
from edge.sip.values import Message, refusal

SDP: Final = "application/sdp"
TEXT: Final = "text/plain"
CPIM: Final = "message/cpim"
ACCEPTED: Final = {SDP: SDP, TEXT: f"{TEXT}, {CPIM}", CPIM: f"{TEXT}, {CPIM}"}

PARTS_MAX: Final = 32  # parts of one body; SIP-I has three
DEPTH_MAX: Final = 4  # bodies within bodies
BOUNDARY_MAX: Final = 70  # RFC 2046 §5.1.1

_fold = re.compile(r"(?<![ \t])[ \t]*+(?:\r\n[ \t]++)+")


class Part(NamedTuple):
    """One body or body part."""

    type: str  # in lower case
    params: Params
    disposition: str  # in lower case; "" when it does not say
    handling: str  # in lower case: required optional; "" when it does not say
    encoding: str  # in lower case; "" when there is none
    body: bytes


def sdp_body(message: Message) -> bytes | None:
    """The session description. As `body_of`."""
    return body_of(message, SDP)


def body_of(message: Message, kind: str) -> bytes | None:
    """The body, or the part of it, that is of the media type `kind`. None: there is nothing but what may be passed
    over.

    Raises `Malformed`: 415, with the fields its answer needs, if something must be understood and is not, or is
    encoded; 400 if the body does not hold together.
    """
    if not message.body:
        return None
    first = message.headers.first
    if (
        first.get("content-type", kind) == kind
        and "content-encoding" not in first
        and "content-disposition" not in first
    ):
        return message.body
    try:
        found = _find(_part(message.headers, message.body, kind), kind, 0)
    except Unreadable as fault:
        raise refusal(400, f"body: {fault}", message) from None
    except _NotUnderstood as fault:
        raise refusal(415, fault.what, message, fault.fields) from None
    return found


class _NotUnderstood(Exception):
    def __init__(self, what: str, *fields: tuple[str, str]) -> None:
        super().__init__(what)
        self.what = what
        self.fields = fields


def _find(part: Part, kind: str, depth: int) -> bytes | None:
    """The bytes of `kind` in a part. Raises `_NotUnderstood`."""
    if part.encoding not in ("", "identity"):
        if part.handling == "optional":
            return None
        raise _NotUnderstood(f"content-encoding {part.encoding}", ("Accept-Encoding", "identity"))
    if part.type == kind and part.disposition in ("", "session" if kind == SDP else "render"):
        return part.body
    try:
        if part.type.startswith("multipart/") and depth < DEPTH_MAX:
            return _find_among(part, list(_parts(part)), kind, depth + 1)
        raise _NotUnderstood(f"body of type {part.type}", ("Accept", ACCEPTED[kind]))
    except _NotUnderstood:
        if part.handling == "optional":
            return None
        raise


def _find_among(whole: Part, parts: list[Part], kind: str, depth: int) -> bytes | None:
    found: bytes | None = None
    if whole.type == "multipart/alternative":
        last: _NotUnderstood | None = None
        for part in reversed(parts):
            try:
                found = _find(part, kind, depth)
            except _NotUnderstood as fault:
                last = last or fault
            if found is not None:
                return found
        if last is not None:
            raise last
        return None
    if whole.type == "multipart/related":
        parts = parts[:1]  # the parameter `start` may name another, and in SIP never does
    unsaid: _NotUnderstood | None = None
    for part in parts:
        try:
            body = _find(part, kind, depth)
        except _NotUnderstood as fault:
            if part.handling:
                raise
            unsaid = unsaid or fault
        else:
            found = body if found is None else found
    if found is None and unsaid is not None:
        raise unsaid
    return found


def _parts(whole: Part) -> Iterator[Part]:
    """RFC 2046 §5.1.1. Raises `Unreadable`."""
    boundary = (whole.params.text("boundary") or "").encode("utf-8", "surrogateescape")
    if not 0 < len(boundary) <= BOUNDARY_MAX:
        raise Unreadable("multipart without a boundary")
    _preamble, *chunks = (b"\r\n" + whole.body).split(b"\r\n--" + boundary)
    if not chunks or len(chunks) > PARTS_MAX + 1:
        raise Unreadable("multipart without parts" if not chunks else "too many parts")
    for chunk in chunks:
        if chunk.startswith(b"--"):
            return
        padding, line_end, rest = chunk.partition(b"\r\n")
        if padding.strip(b" \t") or not line_end:
            raise Unreadable("wrong boundary line")
        head, _, body = (b"\r\n" + rest).partition(b"\r\n\r\n")
        text = _fold.sub(" ", str(head, "utf-8", "surrogateescape"))
        yield _part(Headers.read([line for line in text.split("\r\n") if line]), body, TEXT)


def _part(headers: Headers, body: bytes, default: str) -> Part:
    """Raises `Unreadable`."""
    kind, params = media_type(headers.get("content-type") or default)
    disposition, semicolon, rest = (headers.get("content-disposition") or "").partition(";")
    handling = (Params.parse(semicolon + rest) if rest else NO_PARAMS).text("handling") or ""
    encodings = [encoding.lower() for encoding in headers.values("content-encoding")]
    return Part(
        kind,
        params,
        disposition.strip(" \t").lower(),
        handling.lower(),
        ", ".join(encoding for encoding in encodings if encoding != "identity"),
        body,
    )
