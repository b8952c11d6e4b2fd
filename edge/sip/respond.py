"""Writing messages: a response to a request, and a request of our own.

A response copies Via, From, To, Call-ID and CSeq as they came (RFC 3261 §8.2.6.2), each line unfolded. The topmost Via
says in `received` where the request came from, if its sent-by does not (§18.2.1), and gets its `rport` filled in (RFC
3581 §4).

Nothing we are given can break out of its line: a CR or LF in any argument is a `ValueError`. What is copied from a
request has none, for `parse` lets none through.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from edge.sip.malformed import Malformed
from edge.sip.values import Request
from edge.sip.via import top_of

REASONS: Final[dict[int, str]] = {  # IANA, "Response Codes"
    100: "Trying",
    180: "Ringing",
    181: "Call Is Being Forwarded",
    182: "Queued",
    183: "Session Progress",
    199: "Early Dialog Terminated",
    200: "OK",
    202: "Accepted",
    204: "No Notification",
    300: "Multiple Choices",
    301: "Moved Permanently",
    302: "Moved Temporarily",
    305: "Use Proxy",
    380: "Alternative Service",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    410: "Gone",
    412: "Conditional Request Failed",
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    417: "Unknown Resource-Priority",
    420: "Bad Extension",
    421: "Extension Required",
    422: "Session Interval Too Small",
    423: "Interval Too Brief",
    428: "Use Identity Header",
    429: "Provide Referrer Identity",
    430: "Flow Failed",
    433: "Anonymity Disallowed",
    436: "Bad Identity Info",
    437: "Unsupported Credential",
    438: "Invalid Identity Header",
    439: "First Hop Lacks Outbound Support",
    440: "Max-Breadth Exceeded",
    469: "Bad Info Package",
    470: "Consent Needed",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    484: "Address Incomplete",
    485: "Ambiguous",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    489: "Bad Event",
    491: "Request Pending",
    493: "Undecipherable",
    494: "Security Agreement Required",
    500: "Server Internal Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    513: "Message Too Large",
    555: "Push Notification Service Not Supported",
    580: "Precondition Failure",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
    607: "Unwanted",
    608: "Rejected",
}


def respond(
    request: Request,
    status: int,
    reason: str | None = None,
    *,
    to_tag: str | None = None,
    fields: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    source: tuple[str, int] | None = None,
) -> bytes:
    """A response to `request`.

    `to_tag` goes into To unless there is a tag already. `source` is the address and port the request came from; None
    leaves the Vias as they are. Content-Length is added; Content-Type is the caller's, in `fields`. Works on the
    request of a `Malformed` too: a field that is missing is left out. Raises `ValueError` for a CR or LF in an
    argument.
    """
    first, more = request.headers.first, request.headers.more
    if reason is None:
        reason = REASONS.get(status, "")
    via = first.get("via", "")
    if source is not None:
        via = _stamped(request, via, source)
    lines = [f"SIP/2.0 {status} {reason}", f"Via: {via}"]
    if "via" in more:
        lines += [f"Via: {value}" for value in more["via"][1:]]
    try:
        lines += (
            f"From: {first['from']}",
            f"To: {first['to']}",
            f"Call-ID: {first['call-id']}",
            f"CSeq: {first['cseq']}",
        )
        if to_tag is not None and _lacks_tag(request):
            lines[-3] = f"{lines[-3]};tag={to_tag}"
    except KeyError:
        lines += _what_is_there(first, to_tag)
    if status == 100 and "timestamp" in first:  # §8.2.6.1
        lines.append(f"Timestamp: {first['timestamp']}")
    for name, value in fields:
        lines.append(f"{name}: {value}")
    return _joined(lines, body)


def request_bytes(method: str, uri: str, fields: Iterable[tuple[str, str]], body: bytes = b"") -> bytes:
    """A request of ours: `fields` in their order, then Content-Length. Raises `ValueError` for a CR or LF in an
    argument."""
    lines = [f"{method} {uri} SIP/2.0"]
    lines += [f"{name}: {value}" for name, value in fields]
    return _joined(lines, body)


def _joined(lines: list[str], body: bytes) -> bytes:
    together = "".join(lines)
    if "\n" in together or "\r" in together:
        raise ValueError("CR or LF in a header field")
    lines.append(f"Content-Length: {len(body)}\r\n\r\n")
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + body


def _stamped(request: Request, field: str, source: tuple[str, int]) -> str:
    """The first Via field, its topmost value marked with where the request came from."""
    via = request.via
    host, port = source
    if "%" in host:
        host = host.partition("%")[0]  # a zone means nothing to the other side
    if via.rport is None and via.received is None and host == via.host:
        return field
    top, others = top_of(field)
    if via.rport is None and via.received is None:
        top = f"{top};received={host}"
    else:
        top = via.stamped(host, None if via.rport is None else port)
    return f"{top}, {others}" if others else top


def _lacks_tag(request: Request) -> bool:
    try:
        return request.to_tag is None
    except Malformed:
        return ";tag=" not in request.headers.first["to"].lower()


def _what_is_there(first: dict[str, str], to_tag: str | None) -> list[str]:
    """The copied fields of a request that lacks some of them."""
    to = first.get("to")
    if to is not None and to_tag is not None and ";tag=" not in to.lower():
        first = {**first, "to": f"{to};tag={to_tag}"}
    shown = (("from", "From"), ("to", "To"), ("call-id", "Call-ID"), ("cseq", "CSeq"))
    return [f"{name}: {first[key]}" for key, name in shown if key in first]
