"""The values that pass between carriers and the rest of the edge: a text in, its verdict, a text out.

All strings can be stored: a NUL or half a surrogate pair, which no database and no wire takes, is refused here, so a
carrier that may meet one (JSON's `\\ud800`) says so while there is still somebody to tell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from edge.errors import EdgeError, Fault, Invalid, TextTooLong

BODY_LIMIT: Final = 16_384  # characters; ten times the longest text that carriers join from parts
MEDIA_LIMIT: Final = 20  # URLs of one text; carriers send ten at most
MEDIA_URL_LIMIT: Final = 2_048  # characters of one
ADDRESS_LIMIT: Final = 512  # characters of a source or destination as its carrier wrote it
_MEDIA_URL: Final = re.compile(r"https?://[!-~]+", re.IGNORECASE)
ID_LIMIT: Final = 640  # characters of what its carrier calls a text; with four octets each an index still takes it
TAKEN: Final = 202  # RFC 3428 §7: taken over, though nobody has read it yet


@dataclass(frozen=True, slots=True)
class Text:
    """A text that came in. Raises Invalid, naming the field, for one that cannot be kept.

    `(carrier, id)` is its identity: the same two again are the same text again. For SIP the id is Call-ID, CSeq and
    From-tag together.
    """

    carrier: str  # the instance's name
    id: str
    source: str  # as the carrier wrote it: a number, a short code, a name, a SIP URI
    destination: str  # as the carrier wrote it
    body: str
    received_at: datetime  # aware
    country: str | None = None  # whose national forms source and destination may be written in
    account: str | None = None  # when set, only numbers of this customer can be reached
    route: str = ""
    trunk_id: str = ""  # of the trunk it came by, where it did by one
    media: tuple[str, ...] = ()  # URLs of what came beside the words: pictures, sounds (MMS)
    parts: int = 1  # that it came in
    keyword: Literal["", "stop", "start", "help"] = ""  # what its carrier took it for, and acted upon

    def __post_init__(self) -> None:
        if faults := [*_faults(self)]:
            kind = TextTooLong if len(self.body) > BODY_LIMIT else Invalid
            raise kind("the text cannot be kept", faults=faults)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a text: kept under `message_id`, and refused with an error's answer, or received.

    A part of a text of which others are still to come is received, and has no `message_id` yet.

    `repeated` says that it had come before; the rest is then what was said the first time.
    """

    message_id: str
    refusal: type[EdgeError] | None = None
    repeated: bool = False

    @property
    def sip(self) -> int:
        """The status that answers a MESSAGE."""
        return TAKEN if self.refusal is None else self.refusal.sip


@dataclass(frozen=True, slots=True)
class OutgoingText:
    """A text for a carrier to send. A repeated attempt has the same id, so that its receiver can tell."""

    id: str
    customer_id: str
    source: str  # E.164
    destination: str
    body: str
    route: str = ""  # of the text that this one answers, or what the carrier said about another way


@dataclass(frozen=True, slots=True)
class Receipt:
    """The carrier took the text over. `ids` is what it calls the text, or each of the parts it was sent in, if it said.

    A carrier that tells later how far the text got does so under these ids, see `Report`.
    """

    ids: tuple[str, ...] = ()

    @property
    def carrier_id(self) -> str:
        return self.ids[0] if self.ids else ""


@dataclass(frozen=True, slots=True)
class Report:
    """What a carrier says of a text that it took over before: a delivery receipt.

    It is found by `carrier_id`, one of the ids of its Receipt, or by `message_id`, ours, where the carrier gives it
    back. It may come before the Receipt does.
    """

    carrier: str  # the instance's name
    carrier_id: str
    status: Literal["sent", "delivered", "failed"]  # sent: on its way, nothing final
    received_at: datetime  # aware
    code: str = ""  # the carrier's own, of a failure
    reason: str = ""  # a sentence for the user who looks at the message
    source: str = ""  # as the carrier wrote them, where it did: ours, and theirs
    destination: str = ""
    message_id: str = ""
    account: str | None = None  # when set, only messages of this customer are meant


def is_media_url(url: str) -> bool:
    """Whether media of a text may be said to be there."""
    return len(url) <= MEDIA_URL_LIMIT and _MEDIA_URL.fullmatch(url) is not None


def unstorable(text: str) -> str | None:
    """What no database takes of a text, in words; None when all of it can be stored."""
    if "\0" in text:
        return "has a NUL character"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "has half of a surrogate pair"
    return None


def _faults(text: Text) -> Iterator[Fault]:
    for where, value, limit, needed in (
        ("carrier", text.carrier, ADDRESS_LIMIT, True),
        ("id", text.id, ID_LIMIT, True),
        ("from", text.source, ADDRESS_LIMIT, True),
        ("to", text.destination, ADDRESS_LIMIT, True),
        ("text", text.body, BODY_LIMIT, False),
        ("route", text.route, BODY_LIMIT, False),
    ):
        if needed and not value:
            yield Fault(where, "is empty")
        elif len(value) > limit:
            yield Fault(where, f"has {len(value)} characters, more than {limit}")
        elif (what := unstorable(value)) is not None:
            yield Fault(where, what)
    if len(text.media) > MEDIA_LIMIT:
        yield Fault("media", f"has {len(text.media)} URLs, more than {MEDIA_LIMIT}")
    for index, url in enumerate(text.media[:MEDIA_LIMIT]):
        if not is_media_url(url):
            yield Fault(f"media[{index}]", f"is no http or https URL of up to {MEDIA_URL_LIMIT} characters")
    if text.received_at.tzinfo is None:
        yield Fault("received_at", "has no time zone")
