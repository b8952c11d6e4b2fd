"""A SIP client that sends bytes as they are, and hears where RFC 3261 §18.2.2 sends the answer: to the Via's port.

The daemon is on 127.0.0.1 and this on 127.0.0.2: an answer to a Via that names another host comes back here, for the
daemon writes `received` into it, and its port is free here whatever it is.
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

HERE = "127.0.0.2"


@dataclass(frozen=True)
class Answer:
    """A response as it came: its status and its bytes."""

    data: bytes

    @property
    def status(self) -> int:
        return int(self.data.split(b" ", 2)[1])

    @property
    def final(self) -> bool:
        return self.status >= 200

    def lines(self, name: str) -> list[bytes]:
        """The header lines of one name, whole."""
        head = self.data.partition(b"\r\n\r\n")[0]
        return [line for line in head.split(b"\r\n") if line.lower().startswith(name.lower().encode() + b":")]

    def value(self, name: str) -> bytes:
        """The first value of a header; empty when there is none."""
        return next((line.partition(b":")[2].strip() for line in self.lines(name)), b"")

    @property
    def has_sdp(self) -> bool:
        return b"application/sdp" in self.value("Content-Type").lower()


class Client:
    """Sends to one daemon over UDP; answers are read from all its sockets."""

    def __init__(self, daemon: tuple[str, int]) -> None:
        self.daemon = daemon
        self._open: dict[int, socket.socket] = {}

    def __enter__(self) -> Client:
        self._source = self._listen(0)
        return self

    def __exit__(self, *_: object) -> None:
        for sock in [*self._open.values(), self._source]:
            sock.close()

    def _listen(self, port: int) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((HERE, port))
        return sock

    def send(self, message: bytes) -> None:
        """Send one datagram, after opening the ports its answer may come to."""
        for port in {5060, *via_ports(message)}:
            if port not in self._open:
                with contextlib.suppress(OSError, OverflowError):
                    self._open[port] = self._listen(port)
        self._source.sendto(message, self.daemon)

    def answers(self, seconds: float, mark: str = "") -> Iterator[Answer]:
        """All responses that come within so many seconds, but those with a Call-ID that has no `mark` in it."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            for sock in readable([self._source, *self._open.values()], left):
                answer = Answer(sock.recv(65535))
                if answer.data.startswith(b"SIP/2.0 ") and mark.encode() in (answer.value("Call-ID") or mark.encode()):
                    yield answer

    def final(self, seconds: float, mark: str = "") -> Answer | None:
        """The first final response, None when there is none in time; `mark` as above."""
        return next((answer for answer in self.answers(seconds, mark) if answer.final), None)


def readable(sockets: Sequence[socket.socket], seconds: float) -> list[socket.socket]:
    """Those that something is there to read from, now or first within so many seconds. (`select` knows 1,024 files.)"""
    poll = select.poll()
    for sock in sockets:
        poll.register(sock, select.POLLIN)
    ready = {number for number, _ in poll.poll(max(seconds, 0.0) * 1000)}
    return [sock for sock in sockets if sock.fileno() in ready]


def via_ports(message: bytes) -> set[int]:
    """Ports named in the Vias of a message, well-formed or not."""
    head = re.sub(rb"\r?\n[ \t]+", b" ", message.partition(b"\r\n\r\n")[0])
    vias = re.findall(rb"(?im)^(?:via|v)\s*:(.*)$", head)
    return {
        int(port) for via in vias for port in re.findall(rb"[\w\].]\s*:\s*(\d{1,5})\b", via) if 0 < int(port) < 65536
    }


def unique(message: bytes, suffix: str, *, branch: bool = True) -> bytes:
    """The message with its top branch and Call-ID made its own: the vectors share theirs.

    With the same ids they would be each other's retransmissions (§17.2.3) or merged requests (§8.2.2.2).
    """
    head, end, body = message.partition(b"\r\n\r\n")
    if branch:
        head = re.sub(rb"(?i)(branch\s*=\s*[^\s;,]+)", rb"\g<1>" + suffix.encode(), head, count=1)
    head = re.sub(
        rb"(?im)^((?:call-id|i)\s*:\s*[^\r\n]*?)(\s*)$", rb"\g<1>" + suffix.encode() + rb"\g<2>", head, count=1
    )
    return head + end + body


def ack(request: bytes, answer: Answer) -> bytes:
    """The ACK to an answer of an INVITE, made of what the answer repeats; to a 200 with a branch of its own."""
    uri = request.split(b" ")[1]
    via = re.sub(rb";received=[^;,\s]+", b"", answer.value("Via")).partition(b",")[0]
    if answer.status < 300:
        via = re.sub(rb"(?i)branch=[^;,\s]+", b"branch=z9hG4bK%d" % time.monotonic_ns(), via)
    number = answer.value("CSeq").split()[0]
    return _follow(b"ACK", uri, via, number, answer)


def bye(answer: Answer) -> bytes:
    """The BYE to a call that was answered."""
    uri = answer.value("Contact").partition(b"<")[2].partition(b">")[0]
    via = re.sub(rb"(?i)branch=[^;,\s]+", b"branch=z9hG4bK%d" % time.monotonic_ns(), answer.value("Via"))
    number = b"%d" % (int(answer.value("CSeq").split()[0]) + 1)
    return _follow(b"BYE", uri, via, number, answer)


def _follow(method: bytes, uri: bytes, via: bytes, number: bytes, answer: Answer) -> bytes:
    lines = [
        b"%s %s SIP/2.0" % (method, uri),
        b"Via: " + via,
        b"Max-Forwards: 70",
        *answer.lines("From"),
        *answer.lines("To"),
        *answer.lines("Call-ID"),
        b"CSeq: %s %s" % (number, method),
        b"Content-Length: 0",
        b"",
        b"",
    ]
    return b"\r\n".join(lines)
