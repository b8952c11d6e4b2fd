"""How a message finds its transaction (RFC 3261 §17.1.3, §17.2.3).

A client that follows RFC 3261 begins its branch with a magic cookie; then branch, sent-by and method say it all, and
ACK looks for the INVITE it belongs to. Older ones are matched by the Request-URI, tags, Call-ID, CSeq and the top Via.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.sip.message import MAGIC_COOKIE

if TYPE_CHECKING:
    from edge.sip.message import Request, Response

ServerKey = tuple[str | int | None, ...]  # an INVITE's is what `peek_ack` finds in its ACK
ClientKey = tuple[str | None, str]  # branch, method
MergeKey = tuple[str | None, str | None, int, str]


def server_key(request: Request, method: str | None = None) -> ServerKey:
    """The key of the server transaction of `request`; for ACK that of its INVITE. `method` asks for another one's:
    a CANCEL looks for the INVITE with the same branch (§9.2).

    Call-ID is more than the RFC asks for: clients that make poor branches do exist.
    """
    via = request.via
    branch = via.branch
    if method is None:
        method = request.method
        if method == "ACK":
            method = "INVITE"
    if branch is not None and branch.startswith(MAGIC_COOKIE):
        host, port = via.host, via.port
        sent_by = f"{host}:{port}" if port is not None and ":" not in host else via.sent_by
        if method == "INVITE":
            return branch, sent_by, request.call_id
        return branch, sent_by, request.call_id, method
    # RFC 2543; the To-tag is left out, for an ACK has the one of our answer and its INVITE had none.
    return str(via), request.uri, request.from_tag, request.call_id, request.cseq.number, method


def merge_key(request: Request) -> MergeKey:
    """What two copies of one request that came along different ways have in common (§8.2.2.2)."""
    return request.call_id, request.from_tag, *request.cseq


def client_key(response: Response) -> ClientKey:
    """The key of the client transaction that `response` belongs to (§17.1.3)."""
    return response.via.branch, response.cseq.method
