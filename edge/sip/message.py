"""The door of the message layer: what the rest of the edge imports.

    parse(data) → Request | Response, or Malformed      check(request)      peek_ack(data)      (reading.py, peek.py)
    respond(request, status, …) → bytes                 request_bytes(method, uri, fields, body)     (respond.py)

A message keeps its fields raw (`headers.py`) and reads a value when it is first asked for (`values.py`); the values
themselves are in `via.py`, `address.py`, `cseq.py`, `uri.py`. Beside it: `body.py` finds SDP or text in a body,
`framing.py` messages in a byte stream.
"""

from edge.sip.address import Address
from edge.sip.cseq import CSeq
from edge.sip.grammar import Params, Unreadable
from edge.sip.headers import Headers, media_type
from edge.sip.malformed import Malformed
from edge.sip.peek import AckKey, peek_ack
from edge.sip.reading import BODY_MAX, HEAD_MAX, KNOWN_METHODS, MAGIC_COOKIE, check, parse
from edge.sip.respond import REASONS, request_bytes, respond
from edge.sip.uri import Uri
from edge.sip.values import Message, Request, Response
from edge.sip.via import Via

__all__ = [
    "BODY_MAX",
    "HEAD_MAX",
    "KNOWN_METHODS",
    "MAGIC_COOKIE",
    "REASONS",
    "AckKey",
    "Address",
    "CSeq",
    "Headers",
    "Malformed",
    "Message",
    "Params",
    "Request",
    "Response",
    "Unreadable",
    "Uri",
    "Via",
    "check",
    "media_type",
    "parse",
    "peek_ack",
    "request_bytes",
    "respond",
]
