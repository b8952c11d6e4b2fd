"""SIP messages as callers of tests read and write them: the bytes, and what they say."""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Sequence

from tests.calls.raw import Answer

counter = itertools.count(1)


class Message(Answer):
    """A response, or a request, whose status is then 0."""

    @property
    def status(self) -> int:
        return int(self.data.split(b" ", 2)[1]) if self.data.startswith(b"SIP/2.0 ") else 0

    @property
    def method(self) -> str:
        """Of a request; empty for a response."""
        return "" if self.status else self.data.split(b" ", 1)[0].decode()

    @property
    def uri(self) -> str:
        return self.data.split(b" ", 2)[1].decode()

    @property
    def body(self) -> bytes:
        return self.data.partition(b"\r\n\r\n")[2]

    def text(self, name: str) -> str:
        """The first value of a header; empty when there is none."""
        return self.value(name).decode()

    def texts(self, name: str) -> list[str]:
        return [line.partition(b":")[2].strip().decode() for line in self.lines(name)]

    @property
    def branch(self) -> str:
        found = re.search(r"branch=([^;,\s]+)", self.text("Via"))
        return found[1] if found else ""

    @property
    def number(self) -> int:
        """Of its CSeq."""
        return int(self.value("CSeq").split()[0])

    @property
    def of(self) -> str:
        """The method in its CSeq."""
        return self.value("CSeq").split()[1].decode()

    def __str__(self) -> str:
        return self.data.partition(b"\r\n")[0].decode(errors="replace")


def fresh() -> str:
    """A token that nobody used before."""
    return f"{next(counter)}-{secrets.token_hex(6)}"


def described(body: bytes | None) -> tuple[str, ...]:
    return () if body is None else ("Content-Type: application/sdp",)


def join(lines: Sequence[bytes], fields: Sequence[str], body: bytes) -> bytes:
    """A message; Content-Length is added."""
    own = [field.encode() for field in fields]
    return b"\r\n".join([*lines, *own, b"Content-Length: %d" % len(body), b"", b""]) + body
