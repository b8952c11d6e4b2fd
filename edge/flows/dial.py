"""Dialing: what a flow wants when it connects its caller to somebody else, and what came of it; and calls of their own
that it wants made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, get_args

if TYPE_CHECKING:
    from edge.flows.flow import Flow

Anonymous = Literal["yes", "no", "auto"]  # auto: as the caller asked for
DialOutcome = Literal["answered", "busy", "noanswer", "declined", "failed"]

OUTCOMES: Final[tuple[DialOutcome, ...]] = get_args(DialOutcome)

BUSY: Final = frozenset({486, 600})
DECLINED: Final = frozenset({403, 603, 607, 608})
NOBODY: Final = frozenset({408, 480, 487})


@dataclass(frozen=True, slots=True)
class Dial:
    """Whom to ring, and how. Destinations are `tel:` and `sip:` URIs, in the order they are tried."""

    destinations: tuple[str, ...]
    source: str | None = None  # E.164; None: the caller's own number where it may be shown, else the one he called
    together: bool = True  # all at once; else one after another
    ring_seconds: float = 30.0  # for each of them
    early_media: bool = False  # the caller hears what the other side plays before it answers
    relay_reason: bool = False  # when nobody answers, the caller's call ends as the other one did
    anonymous: Anonymous = "auto"
    ringback: str | None = None  # the country whose ring tone the caller hears; None: that of the number he called
    trunk: str | None = None  # None: the first that takes calls


@dataclass(frozen=True, slots=True)
class Dialed:
    """What came of it. `status` is the last answer of SIP, `cause` that of Q.850 where one is known."""

    outcome: DialOutcome
    status: int
    destination: str  # who answered; else who was tried last, or said most
    cause: int | None = None
    seconds: float = 0.0  # how long the two talked
    note: str = ""  # why a destination could not be tried

    def __str__(self) -> str:
        """For the record."""
        return f"{self.outcome} ({self.status}): {self.destination}" + (self.note and f"; {self.note}")


@dataclass(frozen=True, slots=True)
class CallOrder:
    """Calls to be made, one to each destination, that have nothing to do with each other: who answers gets the flow."""

    destinations: tuple[str, ...]
    flow: Flow
    source: str | None = None  # E.164; None: the number that is at work
    chained: bool = False  # hung up with the call that ordered them
    anonymous: Anonymous = "auto"
    trunk: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)  # that the flow begins with


def outcome_of(status: int) -> DialOutcome:
    """What a final answer to a call of ours means to its caller."""
    if 200 <= status < 300:
        return "answered"
    if status in BUSY:
        return "busy"
    if status in DECLINED:
        return "declined"
    return "noanswer" if status in NOBODY else "failed"
