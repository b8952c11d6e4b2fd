"""`Request` and `Response`: immutable (mypy sees to it), fields raw, values read when first asked for and then kept.

Reading a value that the sender wrote wrong raises `Malformed`, wherever it happens; after `check` that can no longer
happen for the fields it checked (Via at the top, From, To, CSeq, Contact, Max-Forwards, the Request-URI).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar, overload

from edge.sip import address
from edge.sip.address import Address
from edge.sip.cseq import CSeq
from edge.sip.grammar import Unreadable, number
from edge.sip.headers import Headers
from edge.sip.malformed import Malformed
from edge.sip.uri import Uri, of_plain
from edge.sip.via import Via, top_of

T = TypeVar("T")

MAX_FORWARDS_BELOW: Final = 256  # §20.22


class lazy(Generic[T]):  # noqa: N801  # used like `property`
    """A value read from the fields of a message when first asked for. An `Unreadable` in it becomes `Malformed`."""

    def __init__(self, read: Callable[[Any], T]) -> None:
        self.read = read
        self.name = read.__name__
        self.__doc__ = read.__doc__

    @overload
    def __get__(self, message: None, owner: type) -> lazy[T]: ...
    @overload
    def __get__(self, message: Message, owner: type) -> T: ...
    def __get__(self, message: Message | None, owner: type) -> lazy[T] | T:
        if message is None:
            return self
        try:
            value = self.read(message)
        except Unreadable as fault:
            raise refusal(400, f"{self.name.rstrip('_')}: {fault}", message) from None
        message.__dict__[self.name] = value
        return value


class Message:
    """What a request and a response have in common."""

    headers: Headers
    body: bytes
    # Matches of `address.match_plain` that `check` found; the addresses are built from them when asked for.
    _plain_from: re.Match[str] | None = None
    _plain_to: re.Match[str] | None = None
    _plain_contact: re.Match[str] | None = None

    def _need(self, name: str) -> str:
        value = self.headers.first.get(name)
        if value is None:
            raise Unreadable("missing")
        return value

    @lazy
    def via(self) -> Via:
        """The topmost Via."""
        return Via.parse(top_of(self._need("via"))[0])

    @lazy
    def vias(self) -> tuple[Via, ...]:
        return tuple(Via.parse(text) for text in self.headers.values("via"))

    @property
    def passed_others(self) -> bool:
        """Whether there is more than one Via."""
        return "via" in self.headers.more or ("," in self.headers.first.get("via", "") and len(self.vias) > 1)

    @lazy
    def from_(self) -> Address:
        plain = self._plain_from
        return Address.parse(self._need("from")) if plain is None else address.of_match(plain)

    @property
    def caller(self) -> tuple[str, str]:
        """The user part and the display name in From, "" for what is not there."""
        plain = self._plain_from
        return (self.from_.uri.user, self.from_.display) if plain is None else address.user_and_name(plain)

    @lazy
    def to(self) -> Address:
        plain = self._plain_to
        return Address.parse(self._need("to")) if plain is None else address.of_match(plain)

    @lazy
    def from_tag(self) -> str | None:
        """None: there is none, as RFC 2543 allowed."""
        return self.from_.tag

    @lazy
    def to_tag(self) -> str | None:
        return self.to.tag

    @lazy
    def call_id(self) -> str:
        return self._need("call-id")

    @lazy
    def cseq(self) -> CSeq:
        return CSeq.parse(self._need("cseq"))

    @lazy
    def contact(self) -> Address | None:
        """The first Contact. None when there is none, and for the `*` of a REGISTER."""
        if self._plain_contact is not None:
            return address.of_match(self._plain_contact)
        contacts = self.contacts
        return contacts[0] if contacts else None

    @lazy
    def contacts(self) -> tuple[Address, ...]:
        """All Contacts, of all lines; empty for `*`."""
        texts = self.headers.values("contact")
        return () if texts == ["*"] else tuple(map(Address.parse, texts))

    @lazy
    def max_forwards(self) -> int | None:
        text = self.headers.first.get("max-forwards")
        return None if text is None else number(text, MAX_FORWARDS_BELOW)

    @lazy
    def routes(self) -> tuple[str, ...]:
        """The Route values as texts, topmost first."""
        return tuple(self.headers.values("route"))

    @lazy
    def record_routes(self) -> tuple[str, ...]:
        """The Record-Route values as texts, topmost first."""
        return tuple(self.headers.values("record-route"))

    def _start_line(self) -> str:
        raise NotImplementedError

    def __bytes__(self) -> bytes:
        """The message again: the same fields and body, names spelled the usual way, nothing folded."""
        return f"{self._start_line()}\r\n{self.headers}\r\n".encode("utf-8", "surrogateescape") + self.body

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Message)
            and self._start_line() == other._start_line()
            and self.headers == other.headers
            and self.body == other.body
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{self._start_line()}>"


class Request(Message):
    _plain_target: re.Match[str] | None = None  # the same for the Request-URI

    def __init__(self, method: str, uri: str, headers: Headers, body: bytes = b"") -> None:
        self.headers = headers
        self.body = body
        self.method: Final = method  # as written: methods are case-sensitive (§7.1)
        self.uri: Final = uri  # the Request-URI as written

    @lazy
    def target(self) -> Uri:
        """The Request-URI."""
        plain = self._plain_target
        return Uri.parse(self.uri) if plain is None else of_plain(*plain.groups())

    def _start_line(self) -> str:
        return f"{self.method} {self.uri} SIP/2.0"


class Response(Message):
    def __init__(self, status: int, reason: str, headers: Headers, body: bytes = b"") -> None:
        self.headers = headers
        self.body = body
        self.status: Final = status  # 100–699
        self.reason: Final = reason

    def _start_line(self) -> str:
        return f"SIP/2.0 {self.status} {self.reason}"


def refusal(status: int, what: str, message: Message, fields: tuple[tuple[str, str], ...] = ()) -> Malformed:
    """The error to raise for a fault in `message`; its `request` is set if it may be answered, and then has a readable
    Via."""
    if not isinstance(message, Request) or message.method == "ACK":  # §17.1.1.3: an ACK is never answered
        return Malformed(status, what)
    if "via" not in message.__dict__:
        text, others = top_of(message.headers.get("via") or "")
        try:
            message.__dict__["via"] = Via.parse(text)
        except Unreadable:
            via = Via.salvage(text)
            if via is None:
                return Malformed(status, what)
            mended = f"{via}, {others}" if others else str(via)
            message = Request(message.method, message.uri, message.headers.with_first("via", mended), message.body)
            message.__dict__["via"] = via
    return Malformed(status, what, message, fields)
