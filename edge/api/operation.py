"""An operation: one thing a client may ask for, described once.

The host mounts the description and reads each request into an `Ask`; the handler gets it checked and typed, returns its
result model, or an `Answer` where status or header fields differ, and raises `EdgeError` for the rest.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict

from edge.accounts.key import Identity
from edge.errors import EdgeError
from edge.sms.carrier import Said

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Who = Literal["anyone", "customer", "admin"]  # a customer's operation is open to admin keys too


class Nothing(BaseModel):
    """No query parameters, or no body."""

    model_config = ConfigDict(extra="forbid", frozen=True)


_NAMED = str.maketrans({"{": None, "}": None, "-": "_", ".": "_"})

Q = TypeVar("Q", bound=BaseModel)
B = TypeVar("B", bound=BaseModel)


class Came(NamedTuple):
    """A request as it came. `url` is the one that was asked for, before any proxy."""

    url: str
    headers: Mapping[str, str]  # names in any case
    body: bytes


@dataclass(frozen=True, slots=True)
class Raw:
    """Of an operation whose requests have somebody else's form and proof: the host reads nothing of them."""

    limit: int  # bytes of a body
    refused: Callable[[EdgeError], None]  # told of each request that is refused, also before the handler


@dataclass(frozen=True, slots=True)
class Ask(Generic[Q, B]):
    """One request, read and checked. `who` is None only in operations for anyone."""

    who: Identity | None
    query: Q
    body: B
    path: Mapping[str, str]
    match: int | None  # the version in If-Match
    request_id: str
    came: Came | None = None  # in raw operations
    key: str | None = None  # the Idempotency-Key, in repeatable operations

    @property
    def id(self) -> str:
        return self.path["id"]

    @property
    def asker(self) -> Identity:
        """Who asks, in operations that are not for anyone."""
        assert self.who is not None
        return self.who


@dataclass(frozen=True, slots=True)
class Answer:
    """A result of a versioned operation, with its version."""

    result: BaseModel
    version: int


@dataclass(frozen=True, slots=True)
class Download:
    """A file as a result; a client may ask for a part of it. It never changes: `tag` is its name among all files.

    `read` gives so many bytes from one on, in pieces; what it raises before the first becomes the answer.
    """

    filename: str
    content_type: str
    size: int
    tag: str
    read: Callable[[int, int], AsyncGenerator[bytes, None]]


@dataclass(frozen=True, slots=True)
class Lines:
    """Values as a result that has no end to be foreseen, each a line of JSON."""

    read: Callable[[], AsyncGenerator[BaseModel, None]]


Handler: TypeAlias = Callable[[Ask[Q, B]], Awaitable[BaseModel | Answer | Download | Lines | Said]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation(Generic[Q, B]):
    """`errors` lists what is particular; the host adds what every operation may answer."""

    method: Method
    path: str
    tag: str
    summary: str
    handler: Handler[Q, B]
    result: type[BaseModel]
    query: type[Q]
    body: type[B]
    detail: str = ""
    success: int = 200
    errors: tuple[type[EdgeError], ...] = ()
    who: Who = "customer"
    versioned: bool = False  # answers carry an ETag with the version
    lines: bool = False  # the result is Lines, each a `result`
    files: tuple[str, ...] = ()  # the result is a file of one of these content types, and `result` is Nothing
    raw: Raw | None = None  # the handler gets `Ask.came`, and returns Said
    repeatable: bool = False  # an Idempotency-Key is honoured: the same request again does nothing new
    inbound: bool = False  # brings traffic, in or out, so it is refused while draining

    @property
    def conditional(self) -> bool:
        """Whether If-Match is honoured: it changes what is there."""
        return self.versioned and self.method in ("PUT", "PATCH", "DELETE")

    @property
    def name(self) -> str:
        """A stable name for programs made from the document: `get_numbers_id`."""
        words = self.path.removeprefix("/v1.0").translate(_NAMED).split("/")
        return "_".join([self.method.lower(), *(word for word in words if word)])


AnyOperation: TypeAlias = Operation[Any, Any]
