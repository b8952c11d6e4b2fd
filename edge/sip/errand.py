"""A request of ours outside of calls: MESSAGE, REGISTER, OPTIONS. It has one final answer, and no dialog comes of it.

Refused because it proves nothing, it is sent again with what is asked for: with the same Call-ID and From, the next
CSeq and a new branch (RFC 3261 §22.2).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from edge.sip.client_transaction import PlainClient
from edge.sip.dialog import MAX_FORWARDS
from edge.sip.limits import CLIENT_TRANSACTIONS
from edge.sip.message import request_bytes
from edge.sip.prover import Field, Prover, Rounds
from edge.sip.wire import Wire

if TYPE_CHECKING:
    from edge.sip.message import Response
    from edge.sip.peer import Peer


class Errand:
    """One request, until its final answer."""

    __slots__ = (
        "_advertise",
        "_body",
        "_done",
        "_fields",
        "_lines",
        "_method",
        "_peer",
        "_prover",
        "_rounds",
        "_transaction",
        "_uri",
        "_wire",
        "number",
    )

    def __init__(
        self,
        wire: Wire,
        method: str,
        *,
        peer: Peer,
        uri: str,
        lines: tuple[Field, ...],
        number: int,
        done: Callable[[Errand, Response | int], None],
        fields: tuple[Field, ...] = (),
        body: bytes = b"",
        prover: Prover | None = None,
        advertise: str | None = None,
    ) -> None:
        """`lines` are From, To and Call-ID, `number` is the first CSeq; `done` gets the final answer, 408 when there is
        none, or 503."""
        self.number = number  # of the request that was sent last
        self._wire = wire
        self._method = method
        self._peer = peer
        self._uri = uri
        self._lines = lines
        self._fields = fields
        self._body = body
        self._done = done
        self._prover = prover
        self._advertise = advertise
        self._rounds = Rounds()
        self._transaction: PlainClient | None = None

    def send(self, now: float) -> None:
        wire, method, peer, prover = self._wire, self._method, self._peer, self._prover
        if len(wire.clients) >= CLIENT_TRANSACTIONS:
            self._done(self, 503)
            return
        branch = wire.branch()
        lines = [
            ("Via", wire.via(peer, branch, self._advertise)),
            ("Max-Forwards", str(MAX_FORWARDS)),
            *self._lines,
            ("CSeq", f"{self.number} {method}"),
            *(() if prover is None else prover.fields(method, self._uri, self._body)),
            *self._fields,
        ]
        data = request_bytes(method, self._uri, lines, self._body)
        self._transaction = PlainClient(
            wire, (branch, method), peer, data, now, self._responded, self._failed, peer._replace(connection=0)
        )

    def drop(self) -> None:
        """Nobody waits for the answer any more: it is not sent again, and `done` is not called."""
        if self._transaction is not None:
            self._transaction.forget()

    def _responded(self, response: Response, now: float) -> None:
        if self._prover is not None and self._prover.takes(response, self._rounds):
            self.number += 1
            self.send(now)
        else:
            self._done(self, response)

    def _failed(self, status: int, _now: float) -> None:
        self._done(self, status)
