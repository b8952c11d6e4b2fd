"""Who is called by the daemon: on real sockets, and as plain as a caller (`caller.py`).

    rung = callee.rung()              the next INVITE
    rung.rings()                      180
    rung.answers(offer(callee.media)) 200, and the ACK to it

A callee's SIP socket is made before the daemon, whose trunk leads to it; its ports for audio are fresh in each story.
"""

from __future__ import annotations

import socket

from tests.calls.caller import SECONDS, Address, Caller
from tests.calls.message import Message, described, fresh, join


class Callee(Caller):
    """One phone behind a trunk. Leaves its SIP socket, or connection, open for the next story."""

    def __init__(self, daemon: Address, sip: socket.socket, *, transport: str = "udp") -> None:
        super().__init__(daemon, host=sip.getsockname()[0], transport=transport, sip=sip)

    def __enter__(self) -> Callee:
        return self

    def __exit__(self, *_: object) -> None:
        self.drain()
        for sock in (self.rtp, self.rtcp):
            sock.close()

    def rung(self, seconds: float = SECONDS) -> Rung:
        """The next call."""
        return Rung(self, self.next(lambda message: message.method == "INVITE", "INVITE", seconds))

    def spared(self, seconds: float = 0.3) -> None:
        """It is not called."""
        self.listen(seconds)
        assert [message for message in self.inbox if message.method == "INVITE"] == []


class Rung:
    """One call that came to a callee."""

    def __init__(self, callee: Callee, invite: Message) -> None:
        self.callee = callee
        self.invite = invite
        self.id = invite.text("Call-ID")
        self.number = 0  # of our last request
        self._tag = fresh()

    @property
    def to(self) -> str:
        return f"{self.invite.text('To')};tag={self._tag}"

    def says(self, status: int, *fields: str, body: bytes = b"") -> None:
        """Answer the INVITE."""
        lines = [f"SIP/2.0 {status} Whatever".encode()]
        for name in ("Via", "From"):
            lines += self.invite.lines(name)
        lines += [f"To: {self.to}".encode(), *self.invite.lines("Call-ID"), *self.invite.lines("CSeq")]
        contact = f"Contact: <sip:callee@{self.callee.hostport}>"
        self.callee.send(join(lines, (contact, *described(body or None), *fields), body))

    def rings(self, body: bytes = b"") -> None:
        self.says(183 if body else 180, body=body)

    def answers(self, body: bytes) -> Message:
        """200; its ACK."""
        self.says(200, body=body)
        return self._next("ACK")

    def refuses(self, status: int, *fields: str) -> Message:
        """A refusal; its ACK."""
        self.says(status, *fields)
        return self._next("ACK")

    def cancelled(self) -> Message:
        """The CANCEL, answered, and its INVITE too."""
        cancel = self._next("CANCEL")
        self.callee.reply(cancel, 200)
        self.refuses(487)
        return cancel

    def send(self, method: str, *fields: str, body: bytes = b"", number: int | None = None) -> bytes:
        """The next request of the dialog, sent; the request."""
        self.number += number is None
        target = self.invite.text("Contact").strip("<>")
        lines = [
            f"{method} {target} SIP/2.0",
            self.callee.via(f"z9hG4bK{fresh()}"),
            "Max-Forwards: 70",
            f"From: {self.to}",
            f"To: {self.invite.text('From')}",
            f"Call-ID: {self.id}",
            f"CSeq: {self.number if number is None else number} {method}",
            f"Contact: <sip:callee@{self.callee.hostport}>",
        ]
        data = join([line.encode() for line in lines], (*described(body or None), *fields), body)
        self.callee.send(data)
        return data

    def hang_up(self) -> None:
        assert self.callee.answer(self.send("BYE")).status == 200

    def ended(self) -> Message:
        """The daemon's BYE, answered."""
        bye = self._next("BYE")
        self.callee.reply(bye, 200)
        return bye

    def reinvite(self, offer: bytes) -> Message:
        """The answer to a re-INVITE, acknowledged."""
        found = self.callee.answer(self.send("INVITE", body=offer))
        self.send("ACK", number=self.number)
        return found

    def reinvited(self, answer: bytes) -> Message:
        """The daemon's re-INVITE, answered; its ACK is awaited."""
        found = self.callee.next(lambda one: one.method == "INVITE" and one.text("Call-ID") == self.id, "re-INVITE")
        contact = f"Contact: <sip:callee@{self.callee.hostport}>"
        self.callee.reply(found, 200, contact, *described(answer), body=answer)
        self._next("ACK")
        return found

    def _next(self, method: str) -> Message:
        return self.callee.next(
            lambda message: message.method == method and message.text("Call-ID") == self.id, f"{method} of {self.id}"
        )
