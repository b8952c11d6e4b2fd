"""Messages out of a byte stream (RFC 3261 §18.3, §7.5; RFC 5626 §3.5.1 for the pings between them).

A message ends where its Content-Length, in long or compact form, says. Without one it has no body: RFC 3261 §18.3
demands the field on streams, but a lone OPTIONS without it is harmless, and if there was a body after all, it is no
start-line, and the stream ends there. A Content-Length that is no number, or two that differ, leave no way to find the
next message (RFC 4475 §3.1.2.3, §3.3.9): the stream ends, after the head in question was handed out, so that it can be
answered.

How the bytes were cut into segments changes nothing of what comes out. Each byte is looked at a bounded number of
times.
"""

from __future__ import annotations

import re
from typing import Final

from edge.sip.grammar import Unreadable, number
from edge.sip.reading import BODY_MAX, HEAD_MAX

PING: Final = b"\r\n\r\n"  # RFC 5626 §3.5.1
_lengths = re.compile(
    rb"\r\n(?:[Cc][Oo][Nn][Tt][Ee][Nn][Tt]-[Ll][Ee][Nn][Gg][Tt][Hh]|[Ll])[ \t]*+:((?:[^\r]|\r\n[ \t])*)"
).findall
_like_start_line = re.compile(rb"(?:^|[ \t])SIP/[0-9]", re.IGNORECASE).search
_first = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.!%*_+`'~"
)  # of a method, or of SIP/2.0


class FramingError(Exception):
    """The stream cannot be followed any further; the connection ends.

    `messages` are those that were complete before, to be handled as usual. The last of them may be a head whose
    Content-Length is the reason: reading it says what to answer.
    """

    def __init__(self, what: str, messages: list[bytes]) -> None:
        super().__init__(what)
        self.what = what
        self.messages = messages


class Framer:
    """Cuts one byte stream into messages. After a `FramingError` it is of no use any more."""

    def __init__(self, head_max: int = HEAD_MAX, body_max: int = BODY_MAX) -> None:
        self._head_max = head_max
        self._body_max = body_max
        self._buffer = bytearray()
        self._scanned = 0  # no end of a head begins before here
        self._needed = 0  # bytes of the message whose head is known; 0 while it is not

    @property
    def pending(self) -> int:
        """Bytes of an unfinished message: while there are some, time is running (RFC 4475 §3.1.2.2)."""
        return 0 if self._buffer[:1] == b"\r" else len(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """Takes bytes as they came. Returns the messages complete now, and `b""` for each ping, to be answered with
        CRLF.

        Raises `FramingError`.
        """
        self._buffer += data
        messages: list[bytes] = []
        while self._needed or self._find_end(messages):
            if len(self._buffer) < self._needed:
                break
            messages.append(bytes(self._buffer[: self._needed]))
            self._drop(self._needed)
        return messages

    def _find_end(self, messages: list[bytes]) -> bool:
        """Whether the length of the next message is known now. Takes pings and stray CRLFs away."""
        buffer = self._buffer
        while buffer.startswith(b"\r\n"):
            if buffer.startswith(PING):
                messages.append(b"")
                self._drop(4)
            elif not PING.startswith(buffer):  # §7.5: ignored before a start-line
                self._drop(2)
            else:
                return False
        if not buffer or buffer == b"\r":
            return False
        if buffer[0] not in _first:
            raise FramingError("not SIP", messages)
        end = buffer.find(PING, max(0, self._scanned - 3), self._head_max + 4)
        self._scanned = len(buffer)
        if end < 0:
            if len(buffer) >= self._head_max + 4:
                raise FramingError("head too long", messages)
            return False
        self._needed = end + 4 + self._body_length(bytes(buffer[: end + 2]), messages)
        return True

    def _body_length(self, head: bytes, messages: list[bytes]) -> int:
        if _like_start_line(head, 0, head.index(b"\r\n")) is None:
            raise FramingError("not SIP", messages)
        lengths = _lengths(head)
        if not lengths:
            return 0
        try:
            found = {number(text.decode("latin-1").strip(" \t\r\n"), 1 << 63) for text in lengths}
        except Unreadable:
            raise FramingError("wrong Content-Length", [*messages, head + b"\r\n"]) from None
        if len(found) > 1:
            raise FramingError("several Content-Lengths", [*messages, head + b"\r\n"])
        length = found.pop()
        if length > self._body_max:
            raise FramingError("body too long", [*messages, head + b"\r\n"])
        return length

    def _drop(self, count: int) -> None:
        del self._buffer[:count]
        self._scanned = self._needed = 0
