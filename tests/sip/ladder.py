"""Tests of the agent, written the way a ladder is drawn.

    ladder = Ladder()
    ladder >> invite() << 100          # bytes in, bytes out
    ladder.at(0.5) << 200              # half a second later it is repeated
    assert ladder.quiet()

`>>` gives a message to the agent and drains it, `<<` takes the next message that came out: an int expects a response of
that status, a str a request of that method. What was taken last is in `last`, and where it went in `to`. `at` moves the
clock, waking the agent at each of its deadlines on the way. Events gather in `events`, and `event` takes the next one.
"""

from __future__ import annotations

from collections import deque
from itertools import count
from typing import TypeVar

from edge.sip.agent import Agent
from edge.sip.events import Call, CallOffered, CallRefused, Event, Offer
from edge.sip.message import Request, Response, parse
from edge.sip.peer import Peer

US = ("192.0.2.1", 5060)
THEM = ("192.0.2.9", 5062)
UDP = Peer("udp", US, THEM)
TCP = Peer("tcp", US, THEM, 7)

SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\n"
OURS = b"v=0\r\no=- 2 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 7000 RTP/AVP 0\r\n"

E = TypeVar("E")

Fields = dict[str, str | None]


def request(
    method: str,
    *,
    uri: str = "sip:+14155550100@192.0.2.1",
    branch: str | None = "one",
    tag: str | None = "them",
    to_tag: str | None = None,
    cseq: int = 1,
    call_id: str = "call-1",
    via: str = "SIP/2.0/UDP 192.0.2.9:5062",
    body: bytes = b"",
    kind: str | None = None,
    fields: Fields | None = None,
) -> bytes:
    """A request of theirs. `fields` adds header fields, replaces those there are, or (None) leaves them out."""
    lines: dict[str, str | None] = {
        "Via": f"{via};rport" + (f";branch=z9hG4bK-{branch}" if branch else ""),
        "From": "<sip:+14155550199@192.0.2.9>" + (f";tag={tag}" if tag else ""),
        "To": f"<{uri}>" + (f";tag={to_tag}" if to_tag else ""),
        "Call-ID": call_id,
        "CSeq": f"{cseq} {method}",
        "Max-Forwards": "70",
        "Content-Type": kind,
    }
    if method in ("INVITE", "REFER"):
        lines["Contact"] = "<sip:them@192.0.2.9:5062>"
    lines.update(fields or {})
    lines["Content-Length"] = lines.get("Content-Length") or str(len(body))
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value is not None)
    return f"{method} {uri} SIP/2.0\r\n{head}\r\n".encode() + body


def invite(
    *,
    branch: str | None = "one",
    to_tag: str | None = None,
    cseq: int = 1,
    uri: str = "sip:+14155550100@192.0.2.1",
    via: str = "SIP/2.0/UDP 192.0.2.9:5062",
    body: bytes = SDP,
    fields: Fields | None = None,
    call_id: str = "call-1",
    tag: str | None = "them",
) -> bytes:
    return request(
        "INVITE",
        branch=branch,
        to_tag=to_tag,
        cseq=cseq,
        uri=uri,
        via=via,
        body=body,
        kind="application/sdp" if body else None,
        fields=fields,
        call_id=call_id,
        tag=tag,
    )


class Ladder:
    """One agent, its clock, and whoever is on the other side of the wire."""

    def __init__(self, peer: Peer = UDP, agent: Agent | None = None) -> None:
        tokens = count(1)
        self.agent = agent or Agent(lambda: f"t{next(tokens)}")
        self.peer = peer
        self.now = 0.0
        self.out: deque[tuple[Peer, bytes]] = deque()
        self.events: deque[Event] = deque()
        self.refused: list[CallRefused] = []  # INVITEs that came no further than the agent
        self.last: Request | Response = Response(
            0,
            "",
            parse(
                b"SIP/2.0 100\r\nVia: SIP/2.0/UDP a\r\nFrom: <sip:a>\r\nTo: <sip:a>\r\nCall-ID: a\r\nCSeq: 1 A\r\n\r\n"
            ).headers,
        )
        self.to: Peer = peer

    def __rshift__(self, data: bytes) -> Ladder:
        self.agent.receive(data, self.peer, self.now)
        return self.drain()

    def __lshift__(self, expected: int | str) -> Ladder:
        assert self.out, f"nothing came out; expected {expected}"
        self.to, data = self.out.popleft()
        message = self.last = parse(data)
        got: int | str = message.status if isinstance(message, Response) else message.method
        assert got == expected, data.decode()
        return self

    def drain(self) -> Ladder:
        """After a verb of the user: the same turn ends."""
        self.out.extend(self.agent.to_send(self.now))
        while (event := self.agent.next_event()) is not None:
            if isinstance(event, CallRefused):
                self.refused.append(event)
            else:
                self.events.append(event)
        return self

    def at(self, now: float) -> Ladder:
        """Let time pass until `now`."""
        while (deadline := self.agent.get_timer()) is not None and deadline <= now:
            self.now = max(self.now, deadline)
            self.agent.handle_timer(self.now)
            self.drain()
        self.now = now
        return self

    def later(self, seconds: float) -> Ladder:
        return self.at(self.now + seconds)

    def quiet(self) -> bool:
        """Nothing came out that was not taken."""
        return not self.out

    def event(self, kind: type[E]) -> E:
        """The next event, which must be of that kind."""
        assert self.events, f"no event; expected {kind.__name__}"
        event = self.events.popleft()
        assert isinstance(event, kind), event
        return event

    @property
    def response(self) -> Response:
        assert isinstance(self.last, Response)
        return self.last

    @property
    def request(self) -> Request:
        assert isinstance(self.last, Request)
        return self.last

    def header(self, name: str) -> str:
        value = self.last.headers.get(name)
        assert value is not None, f"no {name} in {bytes(self.last).decode()}"
        return value

    # Beginnings that many ladders share

    def offered(self, data: bytes | None = None) -> Offer:
        """An INVITE comes, and gets its 100."""
        self >> (data or invite()) << 100
        return self.event(CallOffered).offer

    def answered(self, data: bytes | None = None) -> Call:
        """An INVITE comes and is answered; no ACK yet."""
        offer = self.offered(data)
        call = self.agent.answer(offer, OURS, self.now)
        self.drain() << 200
        return call

    def up(self, data: bytes | None = None) -> Call:
        """A call that is up: INVITE, 200, ACK."""
        call = self.answered(data)
        self >> request("ACK", branch="ack", to_tag=call.local_tag)
        self.events.clear()
        return call

    def gone(self) -> None:
        """Everything ends by itself: some time later nothing is left."""
        self.later(1000)
        assert set(self.agent.stats().values()) == {0}, self.agent.stats()


def reply_to(
    ladder: Ladder, status: int, *, to_tag: str | None = None, body: bytes = b"", fields: Fields | None = None
) -> bytes:
    """Their response to the request of ours taken last."""
    asked = ladder.request
    names = ("via", "from", "to", "call-id", "cseq")
    lines: dict[str, str | None] = {name: asked.headers.get(name) for name in names}
    if to_tag is not None:
        lines["to"] = f"{lines['to']};tag={to_tag}"
    if body:
        lines["content-type"] = "application/sdp"
    lines.update(fields or {})
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value is not None)
    return f"SIP/2.0 {status} Whatever\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
