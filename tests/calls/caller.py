"""A caller on real sockets: what it sends is written out as bytes, and what comes is kept until a test asks for it.

Nothing is repeated, acknowledged or answered by itself. A test says all that its caller does, so a caller may also do
what none should. Sockets are read whenever a test waits for something; a wait ends when that came, or fails the test
and says what came instead.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import pytest

from tests.calls.daemon import HOST
from tests.calls.message import Message, described, fresh, join
from tests.calls.raw import readable
from tests.calls.rtp import Packet, print_host, socket_pair
from tests.calls.sealed import Sealed

T = TypeVar("T")

SECONDS = 5.0  # how long a test waits for what has to come
RECEIVE_BYTES = 4_000_000  # of RTP, while a test looks elsewhere
FROM = "+14155550199"
ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, NOTIFY, MESSAGE, REFER"

Address = tuple[str, int]
Fields = Sequence[str]  # whole header lines


class Caller:
    """One phone: a SIP socket, and a pair of ports for RTP and RTCP. Use as a context manager.

    `inbox` has SIP messages that nobody asked for yet, `packets` and `reports` all RTP and RTCP that came.
    """

    def __init__(
        self,
        daemon: Address,
        *,
        transport: str = "udp",
        host: str = HOST,
        user: str = FROM,
        tls: ssl.SSLContext | None = None,
        sip: socket.socket | None = None,
    ) -> None:
        """`tls` is what it connects with over that; `sip` a connection that stands already."""
        self.daemon = daemon
        self.user = user
        self.transport = transport
        self.host = host
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.sip: socket.socket
        if sip is not None:
            self.sip = sip
        elif transport in ("tcp", "tls"):
            self.sip = socket.create_connection(daemon, SECONDS, (host, 0))
            if tls is not None:
                self.sip = tls.wrap_socket(self.sip, server_hostname=daemon[0])
        else:
            self.sip = socket.socket(family, socket.SOCK_DGRAM)
            self.sip.bind((host, 0))
        self.rtp, self.rtcp = socket_pair(host)
        self.rtp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        self.inbox: list[Message] = []
        self.packets: list[Packet] = []
        self.reports: list[bytes] = []
        self.sealed: Sealed | None = None  # its audio is encrypted
        self.closed = False  # the daemon closed our connection
        self._buffer = b""

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        for sock in (self.sip, self.rtp, self.rtcp):
            sock.close()

    @property
    def address(self) -> Address:
        name = self.sip.getsockname()
        return name[0], name[1]

    @property
    def hostport(self) -> str:
        return f"{print_host(self.host)}:{self.address[1]}"

    @property
    def media(self) -> Address:
        """Where it wants RTP; RTCP is on the next port."""
        name = self.rtp.getsockname()
        return name[0], name[1]

    def uri(self, user: str) -> str:
        """Somebody at the daemon."""
        return f"sip:{user}@{print_host(self.daemon[0])}:{self.daemon[1]}"

    def via(self, branch: str) -> str:
        return f"Via: SIP/2.0/{self.transport.upper()} {self.hostport};branch={branch};rport"

    # Sending

    def send(self, data: bytes) -> None:
        if self.transport == "udp":
            self.sip.sendto(data, self.daemon)
        else:
            self.sip.sendall(data)

    def say(self, packet: Packet, there: Address) -> None:
        """Send a packet of RTP, encrypted if that is so."""
        data = bytes(packet)
        self.rtp.sendto(data if self.sealed is None else self.sealed.seal(data), there)

    def unseal(self, body: bytes) -> None:
        """The daemon's key is in this description; what came before is readable now."""
        assert self.sealed is not None
        self.packets += [Packet.read(data, source) for data, source in self.sealed.agree(body)]

    def reply(self, request: Message, status: int, *fields: str, body: bytes = b"") -> None:
        """Answer a request of the daemon."""
        lines = [f"SIP/2.0 {status} Whatever".encode()]
        for name in ("Via", "From", "To", "Call-ID", "CSeq"):
            lines += request.lines(name)
        self.send(join(lines, fields, body))

    # Waiting

    def until(self, look: Callable[[], T | None], what: str, seconds: float = SECONDS) -> T:
        """Read on until `look` finds something."""
        deadline = time.monotonic() + seconds
        while (found := look()) is None:
            left = deadline - time.monotonic()
            if left <= 0 or self.closed:
                came = ", ".join(map(str, self.inbox)) or "nothing else"
                pytest.fail(f"{what} did not come within {seconds:g} s; {came} did, and {len(self.packets)} packets")
            self._read(left)
        return found

    def listen(self, seconds: float) -> None:
        """Read on for so long, whatever comes."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not self.closed:
            self._read(left)

    def next(self, wanted: Callable[[Message], bool], what: str, seconds: float = SECONDS) -> Message:
        """The first message of that kind, which is then taken out of the inbox."""

        def look() -> Message | None:
            return next((message for message in self.inbox if wanted(message)), None)

        found = self.until(look, what, seconds)
        self.inbox.remove(found)
        return found

    def answer(self, request: bytes, seconds: float = SECONDS) -> Message:
        """The final answer to a request of ours."""
        sent = Message(request)
        return self.next(
            lambda message: message.final and message.branch == sent.branch and message.of == sent.method,
            f"the answer to {sent.method}",
            seconds,
        )

    def request(self, method: str, seconds: float = SECONDS) -> Message:
        """The next request of the daemon with that method."""
        return self.next(lambda message: message.method == method, method, seconds)

    def left(self) -> list[Message]:
        """What came and nobody asked for, but 100 Trying."""
        self.drain()
        return [message for message in self.inbox if message.status != 100]

    def hear(self, count: int, seconds: float = SECONDS) -> list[Packet]:
        """Wait for so many more packets of RTP than have come by now; those."""
        self.drain()
        before = len(self.packets)
        self.until(lambda: len(self.packets) >= before + count or None, f"{count} packets", seconds)
        return self.packets[before : before + count]

    def drain(self) -> None:
        """Read what came already."""
        while self._read(0.0):
            pass

    def _read(self, seconds: float) -> bool:
        """Read what is there, or comes first in that time; False when nothing did."""
        ready = readable([self.sip, self.rtp, self.rtcp], seconds)
        if self.sip in ready:
            self._read_sip()
        if self.rtp in ready:
            self._read_rtp()
        if self.rtcp in ready:
            self.reports.append(self.rtcp.recv(65535))
        return bool(ready)

    def _read_rtp(self) -> None:
        data, name = self.rtp.recvfrom(65535)
        source = name[0], name[1]
        if self.sealed is not None:
            opened = self.sealed.open(data, source)
            if opened is None:  # kept until its key is known
                return
            data = opened
        self.packets.append(Packet.read(data, source))

    def _read_sip(self) -> None:
        try:
            data = self.sip.recv(65535)
            while isinstance(self.sip, ssl.SSLSocket) and self.sip.pending():
                data += self.sip.recv(65535)
        except (ConnectionResetError, ssl.SSLError):
            data = b""
        if self.transport == "udp":
            self.inbox.append(Message(data))
            return
        self.closed = self.closed or not data
        self._buffer = (self._buffer + data).lstrip(b"\r\n")  # without answers to keep-alives
        while b"\r\n\r\n" in self._buffer:
            head, _, rest = self._buffer.partition(b"\r\n\r\n")
            length = int(Message(head + b"\r\n\r\n").value("Content-Length"))
            if len(rest) < length:
                return
            self.inbox.append(Message(head + b"\r\n\r\n" + rest[:length]))
            self._buffer = rest[length:]

    # Requests

    def call(
        self, number: str, offer: bytes | None, *fields: str, uri: str = "", send: bool = True, user: str = ""
    ) -> Call:
        """Call a number."""
        call = Call(self, uri or self.uri(number), offer, fields, user or self.user)
        if send:
            self.send(call.invite)
        return call

    def text(self, number: str, body: str, *fields: str, send: bool = True) -> bytes:
        """A MESSAGE, sent; the request."""
        headers = (
            fields
            if any(field.startswith("Content-Type") for field in fields) or not body
            else (
                "Content-Type: text/plain",
                *fields,
            )
        )
        token = fresh()
        data = join(
            [
                f"MESSAGE {self.uri(number)} SIP/2.0".encode(),
                self.via(f"z9hG4bK{token}").encode(),
                b"Max-Forwards: 70",
                f"From: <sip:{self.user}@{self.hostport}>;tag={token}".encode(),
                f"To: <{self.uri(number)}>".encode(),
                f"Call-ID: {token}".encode(),
                b"CSeq: 1 MESSAGE",
            ],
            headers,
            body.encode(),
        )
        if send:
            self.send(data)
        return data


class Call:
    """One call of a caller, from its INVITE on."""

    def __init__(self, caller: Caller, uri: str, offer: bytes | None, fields: Fields, user: str) -> None:
        self.caller = caller
        self.uri = uri
        self.id = fresh()
        self.number = 1  # of our last request
        self.remote = ""  # the To of the dialog, with its tag
        self.target = uri
        self._tag = fresh()
        self._user = user
        self.invite = self.compose("INVITE", *described(offer), *fields, body=offer or b"")

    def compose(
        self, method: str, *fields: str, body: bytes = b"", number: int | None = None, branch: str = "", to: str = ""
    ) -> bytes:
        """A request of this call."""
        caller = self.caller
        written = {field.partition(":")[0].lower() for field in fields}
        own = [
            "Max-Forwards: 70",
            f"Contact: <sip:{self._user}@{caller.hostport};transport={caller.transport}>",
            f"Allow: {ALLOW}",
        ]
        lines = [
            f"{method} {self.target} SIP/2.0",
            caller.via(branch or f"z9hG4bK{fresh()}"),
            f'From: "A caller" <sip:{self._user}@{caller.hostport}>;tag={self._tag}',
            f"To: {to or self.remote or f'<{self.uri}>'}",
            f"Call-ID: {self.id}",
            f"CSeq: {self.number if number is None else number} {method}",
            *(line for line in own if line.partition(":")[0].lower() not in written),
        ]
        return join([line.encode() for line in lines], fields, body)

    # Before the answer

    def provisional(self, status: int, seconds: float = SECONDS) -> Message:
        return self._next(lambda message: message.of == "INVITE" and message.status == status, str(status), seconds)

    def final(self, seconds: float = SECONDS) -> Message:
        """The final answer to the last INVITE; not acknowledged yet."""
        return self._next(
            lambda message: message.final and message.of == "INVITE" and message.number == self.number,
            "the answer to INVITE",
            seconds,
        )

    def refused(self, seconds: float = SECONDS) -> Message:
        """The refusal of the INVITE, acknowledged."""
        answer = self.final(seconds)
        assert answer.status >= 300, answer.data.decode()
        self.acknowledge(answer)
        return answer

    def answered(self, body: bytes = b"", seconds: float = SECONDS) -> Message:
        """The 200, acknowledged; `body` goes into the ACK."""
        answer = self.final(seconds)
        assert answer.status == 200, answer.data.decode()
        self.acknowledge(answer, body)
        return answer

    def enter(self, answer: Message) -> None:
        """Take part in the dialog that an answer makes."""
        self.remote = answer.text("To")
        contact = re.search(r"<([^>]*)>", answer.text("Contact"))
        assert contact, answer.data.decode()
        self.target = contact[1]

    def acknowledge(self, answer: Message, body: bytes = b"") -> None:
        """ACK: to a 200 with a branch of its own, to a refusal with that of the INVITE (RFC 3261 §17.1.1.3)."""
        if answer.status < 300:
            self.enter(answer)
            ack = self.compose("ACK", *described(body or None), body=body, number=answer.number)
        else:
            ack = self.compose("ACK", number=answer.number, branch=answer.branch, to=answer.text("To"))
        self.caller.send(ack)

    def cancel(self) -> bytes:
        """CANCEL, sent (§9.1); the request."""
        data = self.compose("CANCEL", branch=Message(self.invite).branch, number=1)
        self.caller.send(data)
        return data

    # In the dialog

    def send(self, method: str, *fields: str, body: bytes = b"") -> bytes:
        """The next request of the dialog, sent; the request."""
        self.number += 1
        data = self.compose(method, *fields, body=body)
        self.caller.send(data)
        return data

    def ask(self, method: str, *fields: str, body: bytes = b"") -> Message:
        """The final answer to the next request of the dialog."""
        return self.caller.answer(self.send(method, *fields, body=body))

    def reinvite(self, offer: bytes | None, *fields: str, answer: bytes = b"") -> Message:
        """The answer to a re-INVITE, acknowledged."""
        found = self.ask("INVITE", *described(offer), *fields, body=offer or b"")
        if found.status >= 300:
            self.caller.send(self.compose("ACK", number=found.number, branch=found.branch))
        else:
            self.acknowledge(found, answer)
        return found

    def hang_up(self) -> None:
        assert self.ask("BYE").status == 200

    def ended(self, seconds: float = SECONDS) -> Message:
        """The daemon's BYE, answered."""
        bye = self._next(lambda message: message.method == "BYE", "BYE", seconds)
        self.caller.reply(bye, 200)
        return bye

    def _next(self, wanted: Callable[[Message], bool], what: str, seconds: float) -> Message:
        return self.caller.next(lambda message: message.text("Call-ID") == self.id and wanted(message), what, seconds)
