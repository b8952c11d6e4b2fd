"""Errors that know whose fault they are and which HTTP and SIP answers they mean.

Raise one where the fault is found, a new instance each time, saying what and where. Two places turn them into answers:
`sessions/calls/router.py` on the wire and `api/app.py` over HTTP. Whoever raises does not log.

    EdgeError
    ├── Invalid            400  the sender wrote something wrong; carries one `Fault` per place
    │   └── TextTooLong    413  SIP 513
    ├── Unauthenticated    401
    ├── Forbidden          403
    ├── NotFound           404
    │   ├── NumberUnknown       SIP 404, cause 1
    │   ├── FlowUnbound         SIP 404, cause 1: the number has no flow for this medium
    │   └── NumberReleased      SIP 410, cause 22
    ├── NumberIncomplete   400  SIP 484, cause 28
    ├── SchemeUnsupported  400  SIP 416
    ├── NumberSuspended    403  SIP 403, cause 21
    ├── LoopDetected       409  SIP 482, cause 25: a call came back to a number that it has passed through
    ├── Conflict           409
    ├── TooLarge           413  SIP 513
    ├── Exhausted          429  a limit of ours or of the customer's: SIP 503
    ├── Unavailable        503  a store or a peer we need is away
    └── Internal           500  a fault of ours
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from pydantic import ValidationError

MAX_FAULTS: Final = 50  # of one request; a body of a megabyte can hold very many


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong, and the place of it: `actions[2].option.length`, `edge.toml: sip.listen`.

    `step` is the id of the step of a flow that the place is in, where it has one.
    """

    where: str
    what: str
    step: str = ""

    def __str__(self) -> str:
        where = f"{self.where} (id {self.step})" if self.step else self.where
        return f"{where}: {self.what}" if where else self.what


class EdgeError(Exception):
    """Base of all errors that reach a user. The message is one sentence, in lower case, without a full stop."""

    http: ClassVar[int] = 500
    status: ClassVar[str] = "INTERNAL"  # the API's word for the HTTP status
    sip: ClassVar[int] = 500
    cause: ClassVar[int | None] = None  # Q.850, for the Reason header (RFC 3326)

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.status  # the API's word for the error itself, e.g. NUMBER_NOT_FOUND

    @property
    def story(self) -> str:
        """The message with every place that is wrong, as one line of a log."""
        return self.message


class Invalid(EdgeError):
    """The sender's fault. `faults` says every place that is wrong, not only the first."""

    http, status, sip = 400, "INVALID_ARGUMENT", 400

    def __init__(self, message: str, *, faults: Iterable[Fault] = (), reason: str | None = None) -> None:
        super().__init__(message, reason=reason)
        self.faults = tuple(faults)

    @property
    def story(self) -> str:
        return "; ".join((self.message, *map(str, self.faults)))


class TextTooLong(Invalid):
    """What a text says is longer than any that is kept."""

    http, sip = 413, 513


class Unauthenticated(EdgeError):
    http, status, sip = 401, "UNAUTHENTICATED", 401


class Forbidden(EdgeError):
    http, status, sip = 403, "PERMISSION_DENIED", 403


class NotFound(EdgeError):
    http, status, sip, cause = 404, "NOT_FOUND", 404, 1


class NumberUnknown(NotFound):
    """The number is not ours (unallocated, RFC 3398 §7.2.4.1)."""


class FlowUnbound(NotFound):
    """The number is ours, but nothing is bound to it for this medium."""


class NumberReleased(NotFound):
    sip, cause = 410, 22


class NumberIncomplete(EdgeError):
    http, status, sip, cause = 400, "INVALID_ARGUMENT", 484, 28


class SchemeUnsupported(EdgeError):
    http, status, sip = 400, "INVALID_ARGUMENT", 416


class NumberSuspended(EdgeError):
    http, status, sip, cause = 403, "PERMISSION_DENIED", 403, 21


class LoopDetected(EdgeError):
    """A call came back to a number of ours that it has passed through, or passed through too many of them."""

    http, status, sip, cause = 409, "ABORTED", 482, 25


class Conflict(EdgeError):
    http, status, sip = 409, "ALREADY_EXISTS", 500


class TooLarge(EdgeError):
    http, status, sip = 413, "INVALID_ARGUMENT", 513


class Exhausted(EdgeError):
    http, status, sip, cause = 429, "RESOURCE_EXHAUSTED", 503, 42


class Unavailable(EdgeError):
    """Something we need is away. On the wire a plain 503, without Retry-After: other numbers may still be known."""

    http, status, sip, cause = 503, "UNAVAILABLE", 503, 41


class Internal(EdgeError):
    pass


def faults_of(error: ValidationError) -> list[Fault]:
    """What a model of a request found wrong, each with its place; nothing of a wrong value is repeated."""
    found = error.errors(include_url=False, include_input=False, include_context=False)[:MAX_FAULTS]
    return [Fault(place(item["loc"]), _what(item["type"], item["msg"])) for item in found]


def place(path: Sequence[str | int]) -> str:
    """`("actions", 2, "type")` as `actions[2].type`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text or "body"


def _what(kind: str, message: str) -> str:
    match kind:
        case "extra_forbidden":
            return "unknown key"
        case "missing":
            return "is missing"
        case "value_error":
            return message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]
