"""The contract of a carrier: it describes what can come in, and sends.

A carrier is one file in `edge/carriers`: its section of the configuration, and a class that enters itself here. It does
not serve, store, retry or log: the host mounts the routes it describes, keeps what they read before it answers, calls
`send` from the outbox, and asks an error whether to try again. What only some carriers can do is a protocol of its own,
like `Webhooks` and `Connected`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final, Literal, Protocol, runtime_checkable

from pydantic import BaseModel, Field, PositiveFloat

from edge.plugins import Plugins
from edge.settings import KindSection
from edge.sms.part import Part
from edge.sms.text import OutgoingText, Receipt, Report, Text, Verdict

LEAVE_SECONDS: Final = 1.0  # so long a carrier takes leave of the other side, at most: another process waits for that

Scope = Literal["anyone", "customer", "admin"]  # a customer's route is open to admins too; anyone: the route checks


class CarrierSection(KindSection):
    """A way for texts to come in and go out. `kind` says which, and thereby which other keys there are."""

    rate: PositiveFloat | None = Field(
        default=None,
        description="Segments a second that it is given; without it there is no limit."
        " Where every process sends by itself, of each.",
    )
    rate_per_number: PositiveFloat | None = Field(
        default=None, description="Segments a second that it is given from one number of ours; the others do not wait."
    )
    opt_out: Literal["edge", "carrier"] = Field(
        default="edge",
        description="Who answers STOP, START and HELP: edge; or carrier: it does so itself, and the edge only keeps to"
        " it.",
    )

    @classmethod
    def table(cls) -> Plugins[Carrier]:
        return CARRIERS


class Carrier(ABC):
    """One instance of a carrier. A kind sets `kind` and `section`, and is built from its section and its site.

    `one_sender`: of all processes that share a database one sends its texts, and has its connections; another takes
    over when that one dies. Otherwise each process sends what was put there.

    `opted_out`: the codes, of refusals and of receipts, by which it says that a receiver has opted out with it.
    """

    kind: ClassVar[str]
    section: ClassVar[type[CarrierSection]]
    one_sender: ClassVar[bool] = False
    opted_out: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "kind" in vars(cls):  # a class without is no plug-in, only something between
            CARRIERS.add(cls.kind, cls)

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    async def send(self, text: OutgoingText) -> Receipt:
        """Hand one text over, once. Raises SendError, which says whether it may be tried again."""


CARRIERS: Plugins[Carrier] = Plugins("carrier")


def path_of(name: str, suffix: str) -> str:
    """Where a route of a carrier is mounted."""
    return f"/v1.0/carriers/{name}/{suffix.lstrip('/')}"


@runtime_checkable
class Webhooks(Protocol):
    """A carrier that is spoken to over HTTP, under `/v1.0/carriers/<name>/`."""

    def routes(self) -> Sequence[Inbound | View | Hook]:
        """What to mount. Asked once, when the HTTP door is built."""


class Desk(Protocol):
    """Where a carrier with connections of its own brings what came. All raise Unavailable: not kept, come again."""

    async def keep(self, text: Text | Part, /) -> Verdict:
        """Keep a text or a part of one; what brought it may be acknowledged once this returns."""

    async def report(self, report: Report, /) -> None:
        """Keep what became of a text that was sent; the same."""

    async def recent(self, carrier: str, since: datetime, limit: int, /) -> Sequence[str]:
        """The ids of what was kept of a carrier since then, newest first. Raises Unavailable too."""


@runtime_checkable
class Connected(Protocol):
    """A carrier that holds connections of its own."""

    async def serve(self, desk: Desk) -> None:
        """Connect, and stay connected, until cancelled; then take leave of the other side, for `LEAVE_SECONDS` at
        most. Raises nothing else."""


@dataclass(frozen=True, slots=True)
class Posted:
    """A request to an inbound route, checked: the payload is of the route's model, the sender of its scope."""

    payload: BaseModel
    account: str | None  # the customer whose key was shown; None for an admin's, or where none is needed
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """A webhook that texts come in by.

    The host reads the body into `payload` (400 with its faults otherwise), has each text and report of `read` kept, and
    then sends what `answer` makes of the verdicts, in the order of the texts.
    """

    suffix: str
    summary: str
    scope: Scope
    payload: type[BaseModel]
    result: type[BaseModel]
    read: Callable[[Posted], Sequence[Text | Report]]  # raises Invalid; empty when there is nothing in it
    answer: Callable[[Sequence[Verdict]], BaseModel]
    method: Literal["POST"] = "POST"


@dataclass(frozen=True, slots=True)
class Called:
    """A request to a hook, as it came. `url` is the one that its sender asked for, before any proxy."""

    url: str
    headers: Mapping[str, str]  # names in any case
    body: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Said:
    """What a hook answers."""

    body: bytes = b""
    content_type: str = "text/plain"
    status: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """A webhook that a carrier calls, in a form of its own, and proves with a signature of its own.

    The host reads the raw body, up to `limit` bytes (413), has what `read` finds in it kept, and then sends what
    `answer` makes of the verdicts of its texts, in their order.
    """

    suffix: str
    summary: str
    read: Callable[[Called], Sequence[Text | Report]]  # raises Unauthenticated before it looks at the body, Invalid
    answer: Callable[[Sequence[Verdict]], Said]
    limit: int = 262_144
    method: Literal["POST", "GET"] = "POST"


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Something of the carrier to look at. `show` gets the customer who asks, None for an admin."""

    suffix: str
    summary: str
    scope: Scope
    result: type[BaseModel]
    show: Callable[[str | None], BaseModel]
    method: Literal["GET"] = "GET"


class SendError(Exception):
    """A text was not taken. The sentence is for the user who looks at the message later."""

    retry: ClassVar[bool]

    def __init__(self, sentence: str, *, code: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.code = code  # the carrier's own: `404`, `40300`


class Refused(SendError):
    """For good: the same text would be refused again. `elsewhere`: by this carrier; another one might take it."""

    retry = False

    def __init__(self, sentence: str, *, code: str = "", elsewhere: bool = False) -> None:
        super().__init__(sentence, code=code)
        self.elsewhere = elsewhere


class NotNow(SendError):
    """For now: the carrier or the way to it is away, or busy. `after` is the wait in seconds that it asked for."""

    retry = True

    def __init__(self, sentence: str, *, code: str = "", after: float | None = None) -> None:
        super().__init__(sentence, code=code)
        self.after = after


class Busy(NotNow):
    """For now, whatever the text: the carrier is away, or says that it gets too many. All that is for it waits."""
