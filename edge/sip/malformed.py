"""The error of this layer: the sender wrote something wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.sip.values import Request


class Malformed(Exception):
    """A message that cannot be served as it is.

    `status` is the answer it calls for (400, 415, 501, 505, 513), `what` says what is wrong, in one clause, and
    `fields` are header fields that the answer needs (Accept in a 415).

    `request` is there when an answer can and must be sent: the request as far as it could be read. Its `method`, `uri`,
    `headers`, `body` and `via` are readable; everything else may raise `Malformed` again. `respond` works on it, with
    the fields that are there. None means silence: a response, an ACK, something that is not SIP, or a request without a
    Via to answer by.
    """

    def __init__(
        self, status: int, what: str, request: Request | None = None, fields: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(f"{status} {what}")
        self.status = status
        self.what = what
        self.request = request
        self.fields = fields
