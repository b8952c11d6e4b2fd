"""How the API says no: one envelope for every error, and the errors that only HTTP knows.

    {"error": {"status": "NOT_FOUND", "reason": "NUMBER_NOT_FOUND", "message": "…", "request_id": "…", "details": […]}}

`status` follows from the HTTP status, `reason` names the error for programs, `message` says it to people. `details`
is there when single places of the request are wrong. Of an error of ours nothing but the request id gets out; the
rest is in the log.
"""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field

from edge.errors import (
    Conflict,
    EdgeError,
    Fault,
    Internal,
    Invalid,
    NotFound,
    TooLarge,
    Unauthenticated,
    Unavailable,
)

RETRY_SECONDS = 5  # 2 to 10 s, so that a carrier comes back soon, perhaps at another edge


class RouteUnknown(NotFound):
    def __init__(self) -> None:
        super().__init__("there is nothing at this path", reason="ROUTE_NOT_FOUND")


class MethodRefused(EdgeError):
    """The path exists, the method does not (RFC 9110 §15.5.6)."""

    http, status = 405, "INVALID_ARGUMENT"

    def __init__(self, allowed: Iterable[str]) -> None:
        self.allow = ", ".join(sorted(allowed))
        super().__init__(f"this path serves {self.allow}", reason="METHOD_NOT_ALLOWED")


class Stale(Conflict):
    """If-Match names another version than the one stored (RFC 9110 §13.1.1)."""

    http, status = 412, "FAILED_PRECONDITION"

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="VERSION_MISMATCH")


class TypeRefused(EdgeError):
    http, status = 415, "INVALID_ARGUMENT"

    def __init__(self) -> None:
        super().__init__("the body must be application/json in UTF-8", reason="UNSUPPORTED_MEDIA_TYPE")


class RangeRefused(EdgeError):
    """The file is shorter than what was asked for (RFC 9110 §15.5.17)."""

    http, status = 416, "OUT_OF_RANGE"

    def __init__(self, size: int) -> None:
        self.size = size
        super().__init__(f"the file has {size} bytes", reason="RANGE_NOT_SATISFIABLE")


class NotReady(Unavailable):
    """We should get no traffic now; one fault per reason."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        super().__init__("not ready to take traffic", reason="NOT_READY")
        self.faults = tuple(faults)


class Draining(Unavailable):
    def __init__(self) -> None:
        super().__init__("this edge is shutting down, try again soon", reason="DRAINING")


class Place(BaseModel):
    """One thing that is wrong, and where."""

    model_config = ConfigDict(title="Place")

    where: str = Field(description="The place: a key such as actions[2].option.length, or a line of the body.")
    what: str = Field(description="What is wrong there.")
    step: str | None = Field(default=None, description="The id of the step of a flow that it is in.")

    @classmethod
    def of(cls, fault: Fault) -> Place:
        return cls(where=fault.where, what=fault.what, step=fault.step or None)


class Error(BaseModel):
    """What went wrong."""

    status: str = Field(description="Follows from the HTTP status: INVALID_ARGUMENT, NOT_FOUND, UNAVAILABLE …")
    reason: str = Field(description="The error's own name, for programs: NUMBER_NOT_FOUND, INVALID_JSON_BODY …")
    message: str = Field(description="One sentence for people.")
    request_id: str = Field(description="Finds this request in the log; also in the X-Request-Id header.")
    details: list[Place] | None = Field(default=None, description="Every place that is wrong, where that can be said.")


class Envelope(BaseModel):
    """Every answer that is not a success has this shape."""

    error: Error


def envelope(error: EdgeError, request_id: str) -> Envelope:
    faults: tuple[Fault, ...] = error.faults if isinstance(error, Invalid | NotReady) else ()
    details = [Place.of(fault) for fault in faults] or None
    return Envelope(
        error=Error(
            status=error.status,
            reason=error.reason,
            message=_message(error),
            request_id=request_id,
            details=details,
        )
    )


def _message(error: EdgeError) -> str:
    """What strangers may read: of an outage or a fault of ours the words are for the log."""
    match error:
        case NotReady() | Draining():
            return error.message
        case Unavailable():
            return "something this needs is away just now"
        case Internal():
            return "something went wrong here; the log has the rest"
    return error.message


def headers(error: EdgeError) -> dict[str, str]:
    """Header fields that belong to an error."""
    match error:
        case Unauthenticated():
            return {"WWW-Authenticate": 'Bearer realm="edge"'}  # RFC 9110 §11.6.1 demands one, RFC 6750 §3 this
        case MethodRefused():
            return {"Allow": error.allow}
        case RangeRefused():
            return {"Content-Range": f"bytes */{error.size}"}
        case TypeRefused():
            return {"Accept": "application/json"}
        case NotReady():
            return {}
        case Unavailable():
            return {"Retry-After": str(RETRY_SECONDS)}
        case TooLarge():
            return {"Connection": "close"}  # the rest of the body stays unread
    return {}
