"""A SIP peer on one UDP socket, that sends and hears plain bytes: a caller, a texter, or a load balancer that asks."""

from __future__ import annotations

import itertools
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.calls.daemon import HOST, Daemon
from tests.calls.raw import Answer, ack, bye

HEAR_SECONDS = 5.0
_numbers = itertools.count(1)


class Packet(Answer):
    """A SIP message as it came, a request or an answer."""

    @property
    def request(self) -> bool:
        return not self.data.startswith(b"SIP/2.0 ")

    @property
    def method(self) -> str:
        """Its method; of an answer that of its request."""
        return self.value("CSeq").split()[-1].decode()

    @property
    def call_id(self) -> str:
        return self.value("Call-ID").decode()

    @property
    def body(self) -> str:
        return self.data.partition(b"\r\n\r\n")[2].decode()

    def answers(self, call_id: str) -> bool:
        """Whether it is a final answer in that call."""
        return not self.request and self.final and self.call_id == call_id


class Line:
    """One peer. Packets that nobody wanted yet wait in `heard`."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.heard: list[Packet] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((HOST, 0))
        self.here = f"{HOST}:{self._socket.getsockname()[1]}"

    def close(self) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendto(data, self.daemon.sip)

    def hear(self, wanted: Callable[[Packet], bool], seconds: float = HEAR_SECONDS) -> Packet:
        """The first packet of that kind, heard before or coming in time. Raises AssertionError when there is none."""
        deadline = time.monotonic() + seconds
        while True:
            for packet in self.heard:
                if wanted(packet):
                    self.heard.remove(packet)
                    return packet
            left = deadline - time.monotonic()
            assert left > 0, f"not heard within {seconds:g} s\n{self.daemon.words()}"
            self.listen(left)

    def listen(self, seconds: float) -> None:
        """Take in one packet, if one comes in time."""
        self._socket.settimeout(max(seconds, 0.001))
        try:
            self.heard.append(Packet(self._socket.recv(65535)))
        except TimeoutError:
            pass

    # Requests; each returns its bytes, and its Call-ID is in `call_id_of`

    def compose(
        self, method: str, number: str, body: str = "", kind: str = "", *, caller: str = "+14155550199"
    ) -> bytes:
        unique = f"{next(_numbers)}-{time.monotonic_ns()}"
        host, port = self.daemon.sip
        fields = [
            f"{method} sip:{number}@{host}:{port} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.here};branch=z9hG4bK{unique}",
            "Max-Forwards: 70",
            f"From: <sip:{caller}@{self.here}>;tag=t{unique}",
            f"To: <sip:{number}@{host}:{port}>",
            f"Call-ID: {unique}",
            f"CSeq: 1 {method}",
            f"Contact: <sip:{caller}@{self.here}>",
            *([f"Content-Type: {kind}"] if kind else []),
            f"Content-Length: {len(body.encode())}",
        ]
        return ("\r\n".join(fields) + f"\r\n\r\n{body}").encode()

    def text(self, number: str, body: str, *, caller: str = "+14155550199") -> bytes:
        """Send a text."""
        request = self.compose("MESSAGE", number, body, "text/plain", caller=caller)
        self.send(request)
        return request

    def invite(self, number: str) -> bytes:
        """Offer a call, and wait for nothing."""
        sdp = (
            f"v=0\r\no=- 1 1 IN IP4 {HOST}\r\ns=-\r\nc=IN IP4 {HOST}\r\nt=0 0\r\n"
            "m=audio 9 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"
        )
        request = self.compose("INVITE", number, sdp, "application/sdp")
        self.send(request)
        return request

    # Whole exchanges

    def call(self, number: str, seconds: float = HEAR_SECONDS) -> Packet:
        """Offer a call; its final answer, which is acknowledged."""
        request = self.invite(number)
        call_id = call_id_of(request)
        answer = self.hear(lambda packet: packet.answers(call_id), seconds)
        self.send(ack(request, answer))
        return answer

    def hang_up(self, answer: Packet) -> None:
        """End a call that was answered."""
        request = bye(answer)
        self.send(request)
        self.hear(lambda packet: packet.answers(answer.call_id) and packet.method == "BYE")

    def ask(self, method: str, number: str, body: str = "", kind: str = "") -> Packet:
        """Any other request; its final answer."""
        request = self.compose(method, number, body, kind)
        self.send(request)
        return self.hear(lambda packet: packet.answers(call_id_of(request)))

    def take(self, request: Packet, status: str = "200 OK") -> None:
        """Answer a request of theirs."""
        to = re.sub(rb"(?i)^(to:[^;]*>)$", rb"\1;tag=ours", request.lines("To")[0])
        lines = [
            f"SIP/2.0 {status}".encode(),
            *request.lines("Via"),
            *request.lines("From"),
            to,
            *request.lines("Call-ID"),
            *request.lines("CSeq"),
            b"Content-Length: 0",
        ]
        self.send(b"\r\n".join(lines) + b"\r\n\r\n")


def call_id_of(request: bytes) -> str:
    return Packet(request).call_id


@contextmanager
def line(daemon: Daemon) -> Iterator[Line]:
    """A peer of a daemon."""
    peer = Line(daemon)
    try:
        yield peer
    finally:
        peer.close()
