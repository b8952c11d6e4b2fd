"""From bytes to values: `parse` reads a message, `check` holds a request to what RFC 3261 demands of every request.

The head is decoded and split once; a value is read when somebody asks for it. Bytes that are no UTF-8 become surrogates
and come out again as they were. Whatever comes in, the outcome is a `Request`, a `Response` or a `Malformed`.

How strict: what RFC 4475 calls reasonable to reject is rejected (blanks or brackets in the request line, a bare CR or
LF in the head, separators too many, a Content-Length that promises more than there is). What could be read of the
request is in the error, so that it can be answered.
"""

from __future__ import annotations

import re
from typing import Final

from edge.sip.address import match_plain as match_address
from edge.sip.cseq import CSeq
from edge.sip.grammar import TOKEN, Unreadable, is_token, number
from edge.sip.headers import Headers
from edge.sip.malformed import Malformed
from edge.sip.uri import match_plain as match_uri
from edge.sip.values import Message, Request, Response, refusal
from edge.sip.via import match_plain as match_via
from edge.sip.via import of_plain as via_of

HEAD_MAX: Final = 65536  # bytes of start-line and header together; a UDP datagram is smaller anyway
BODY_MAX: Final = 1 << 20  # bytes of body; SDP and texts stay far below
MAGIC_COOKIE: Final = "z9hG4bK"  # §8.1.1.7: what a branch of RFC 3261 begins with; it must not be all of it
LINES_MAX: Final = 512  # header lines; the longest honest request seen has about 60

# The registered methods (IANA, "SIP Methods"). A method that is not among them is for nobody here: 501.
KNOWN_METHODS: Final = frozenset(
    (
        "ACK",
        "BYE",
        "CANCEL",
        "INFO",
        "INVITE",
        "MESSAGE",
        "NOTIFY",
        "OPTIONS",
        "PRACK",
        "PUBLISH",
        "REFER",
        "REGISTER",
        "SUBSCRIBE",
        "UPDATE",
    )
)

# Fields of which there may be one (§7.3.1: only lists may be repeated). Contact, Via and the like are lists.
SINGLE: Final = frozenset(
    (
        "call-id",
        "content-disposition",
        "content-length",
        "content-type",
        "cseq",
        "date",
        "event",
        "expires",
        "from",
        "max-forwards",
        "mime-version",
        "min-expires",
        "min-se",
        "rack",
        "refer-to",
        "referred-by",
        "replaces",
        "reply-to",
        "retry-after",
        "rseq",
        "session-expires",
        "subject",
        "to",
    )
)
_SINGLE_IN_RESPONSE: Final = frozenset(
    ("call-id", "content-length", "cseq", "from", "to")
)  # the rest is not worth a call

_request_line = re.compile(rf'({TOKEN}++) ([^\x00-\x20\x7f<>"]++) [Ss][Ii][Pp]/2\.0').fullmatch
_status_line = re.compile(r"[Ss][Ii][Pp]/2\.0 ([1-6][0-9][0-9])(?: ([^\r\n]*+))?").fullmatch
_version = re.compile(r"SIP/([0-9]++\.[0-9]++)", re.IGNORECASE).fullmatch
_unfold = re.compile(r"(?<![ \t])[ \t]*+(?:\r\n[ \t]++)+")
_new = tuple.__new__
_break = re.compile(r"[\r\n]++")


def parse(data: bytes) -> Request | Response:
    """Reads one datagram or one framed message. CRLFs before the start-line are passed over (§7.5).

    Raises `Malformed`. A body longer than Content-Length says is cut, the rest ignored (§18.3); without a
    Content-Length it goes to the end of the data. A response is read strictly enough to find its transaction and
    dialog, or not at all.
    """
    if data[:2] == b"\r\n":
        data = data.lstrip(b"\r\n")
    end = data.find(b"\r\n\r\n")
    if end < 0 or end > HEAD_MAX:
        raise _no_head(data[:HEAD_MAX])
    text = str(data[:end], "utf-8", "surrogateescape")
    lines = text.split("\r\n")
    start = lines.pop(0)
    wrong = ""
    try:
        headers = Headers.read(lines)
    except Unreadable as fault:
        if "\r\n " in text or "\r\n\t" in text:  # a folded line is no header line, so it comes here (§7.3.1)
            return parse(_unfold.sub(" ", text).encode("utf-8", "surrogateescape") + data[end:])
        headers, wrong = Headers.salvage(lines), str(fault)
    if len(lines) > LINES_MAX:
        raise _refuse_head(400, "too many header lines", start, lines)
    together = "".join(lines)
    if "\n" in together or "\r" in together:  # §7: lines end in CRLF, and §25.1 has neither anywhere else
        raise _refuse_head(400, "bare CR or LF in the head", start, [_break.sub(" ", line) for line in lines])
    match = _request_line(start)
    if match is None:
        return _read_response(start, lines, headers, wrong, data[end + 4 :])
    body = data[end + 4 :]
    method, request_uri = match.groups()
    length = headers.first.get("content-length")
    if length is not None and length != str(len(body)):
        body, status, what = _cut(body, length)
        if status:
            raise refusal(status, what, Request(method, request_uri, headers, body))
    request = Request(method, request_uri, headers, body)
    if wrong:
        raise refusal(400, wrong, request)
    return request


def check(request: Request) -> None:
    """Raises `Malformed` unless the request has what every request must have, and it is readable (§8.1.1, §16.3).

    Mandatory are Via, From, To, Call-ID and CSeq. From without a tag, Via without a branch, no Max-Forwards and no
    Contact are fine: RFC 2543 wrote so. What is there but wrong is a 400: the Request-URI (an unknown scheme is not
    wrong), Max-Forwards, any Contact, a single field that stands twice, the cookie alone as a branch (RFC 4475 §3.2.1).
    """
    first = request.headers.first
    values = request.__dict__
    if request.headers.more:
        for name in request.headers.more:
            if name in SINGLE:
                raise refusal(400, f"{name} stands twice", request)
    try:
        from_, to, call_id, cseq = first["from"], first["to"], first["call-id"], first["cseq"]
    except KeyError as missing:
        raise refusal(400, f"no {missing.args[0]}", request) from None
    plain = match_via(first.get("via", ""))
    top = request.via if plain is None else via_of(plain)
    values["via"] = top
    if top.branch == MAGIC_COOKIE:
        raise refusal(400, "branch is empty", request)
    _read_ends(request, from_, to)
    if not call_id or " " in call_id or "\t" in call_id:
        raise refusal(400, "wrong call-id", request)
    values["call_id"] = call_id
    digits, _blank, method = cseq.partition(" ")
    if method == request.method and digits.isdigit() and len(digits) < 10 and digits.isascii():
        values["cseq"] = _new(CSeq, (int(digits), method))
    elif request.cseq.method != request.method:  # §8.1.1.5
        raise refusal(400 if request.method in KNOWN_METHODS else 501, "cseq has another method", request)
    contact = first.get("contact")
    if contact is not None:
        plain = match_address(contact)
        if plain is not None and "contact" not in request.headers.more:
            values["_plain_contact"] = plain
        elif not request.contacts and request.method != "REGISTER":  # §10.2.2: "*" is for REGISTER; empty is for nobody
            raise refusal(400, "wrong contact", request)
    forwards = first.get("max-forwards")
    if forwards == "70":  # the default of §8.1.1.6
        values["max_forwards"] = 70
    elif forwards is not None:
        _ = request.max_forwards
    plain = match_uri(request.uri)
    if plain is not None:
        values["_plain_target"] = plain
    elif request.target.headers:  # §19.1.1: not allowed in a Request-URI
        raise refusal(400, "header fields in the request-uri", request)


def _cut(body: bytes, length: str) -> tuple[bytes, int, str]:
    """The body as long as Content-Length says, or status and fault."""
    try:
        octets = number(length, 1 << 63)
    except Unreadable as fault:
        return b"", 400, f"content-length: {fault}"
    if octets > BODY_MAX:
        return b"", 513, "body too long"
    if octets > len(body):  # §18.3
        return body, 400, "content-length is larger than the body"
    return body[:octets], 0, ""


def _read_response(start: str, lines: list[str], headers: Headers, wrong: str, body: bytes) -> Response:
    """Raises `Malformed`; if it is no response either, with what can be read of it as a request."""
    match = _status_line(start)
    if match is None:
        words = start.split()
        version = _version(words[-1]) if words else None
        if version is not None and version[1] != "2.0":
            raise _refuse_head(505, f"SIP version {version[1]}", start, lines)  # §21.5.6
        raise _refuse_head(400, "wrong request line", start, lines)
    if wrong:
        raise Malformed(400, wrong)
    length = headers.first.get("content-length")
    if length is not None:
        body, status, what = _cut(body, length)
        if status:
            raise Malformed(status, what)
    if not _SINGLE_IN_RESPONSE.isdisjoint(headers.more):
        raise Malformed(400, "a single field stands twice")
    response = Response(int(match[1]), match[2] or "", headers, body)
    first, values = headers.first, response.__dict__
    via = match_via(first.get("via", ""))
    values["via"] = response.via if via is None else via_of(via)
    _read_ends(response, first.get("from", ""), first.get("to", ""))
    digits, _blank, method = first.get("cseq", "").partition(" ")
    if method in KNOWN_METHODS and digits.isdigit() and len(digits) < 10 and digits.isascii():
        values["cseq"] = _new(CSeq, (int(digits), method))
    _ = response.call_id, response.cseq
    contact = match_address(first.get("contact", ""))
    if contact is not None and "contact" not in headers.more:
        values["_plain_contact"] = contact
    return response


def _read_ends(message: Message, from_: str, to: str) -> None:
    """From and To. What nearly everybody writes is only looked at, and built when asked for."""
    values = message.__dict__
    plain = match_address(from_)
    if plain is None:
        _ = message.from_
    else:
        values["_plain_from"] = plain
        values["from_tag"] = plain[9]
    plain = match_address(to)
    if plain is None:
        _ = message.to
    else:
        values["_plain_to"] = plain
        values["to_tag"] = plain[9]


def _no_head(data: bytes) -> Malformed:
    """The error for data in which no empty line ends the head."""
    text = str(data.rstrip(b"\r\n"), "utf-8", "surrogateescape")
    start, *lines = [_break.sub(" ", line) for line in _unfold.sub(" ", text).split("\r\n")]
    return _refuse_head(400, "no empty line after the header", start, lines)


def _refuse_head(status: int, what: str, start: str, lines: list[str]) -> Malformed:
    """The error for a head that is wrong as a whole, with the request as far as it can be read."""
    words = start.split()
    if len(words) < 3 or not is_token(words[0]) or _version(words[-1]) is None:
        return Malformed(status, what)
    return refusal(status, what, Request(words[0], " ".join(words[1:-1]), Headers.salvage(lines[:LINES_MAX])))
