"""An INVITE of ours as it was sent: what its ACK to a refusal and its CANCEL repeat of it."""

from __future__ import annotations

from typing import NamedTuple

from edge.sip.counts import REQUESTS_SENT
from edge.sip.message import Response, request_bytes

Field = tuple[str, str]


class Invitation(NamedTuple):
    """One INVITE of ours."""

    uri: str
    fields: tuple[Field, ...]  # Via, Route, Max-Forwards, From, To, Call-ID
    number: int  # of its CSeq
    proof: tuple[Field, ...] = ()  # Authorization, Proxy-Authorization; its ACK has them too (§22.1)

    def request(self, fields: tuple[Field, ...], sdp: bytes) -> bytes:
        """The INVITE itself, with `fields` behind those that are repeated."""
        lines = [*self.fields, ("CSeq", f"{self.number} INVITE"), *self.proof, *fields]
        return request_bytes("INVITE", self.uri, lines, sdp)

    def ack(self, response: Response) -> bytes:
        """The ACK to a 300–699 (§17.1.1.3): as the INVITE, with the To of the answer."""
        fields = [field for field in self.fields if field[0] != "To"]
        fields += [("To", response.headers.first["to"]), ("CSeq", f"{self.number} ACK"), *self.proof]
        REQUESTS_SENT["ACK"]()
        return request_bytes("ACK", self.uri, fields)

    def cancel(self, reason: str | None = None) -> bytes:
        """The CANCEL (§9.1): as the INVITE, the branch too. `reason` is the value of its Reason field (RFC 3326)."""
        reasons = [] if reason is None else [("Reason", reason)]
        return request_bytes("CANCEL", self.uri, [*self.fields, ("CSeq", f"{self.number} CANCEL"), *reasons])
