"""How commands end: what went wrong on standard error, and the status that says whose fault it is.

A wrong configuration or command ends with status 2, which systemd does not restart; any other failure with 1.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, TypeVar

import typer

from edge.config import Config
from edge.errors import EdgeError, Invalid

T = TypeVar("T")


def checked(read: Callable[[], Config]) -> Config:
    """The configuration; one line per fault and status 2 when it is bad."""
    try:
        return read()
    except Invalid as error:
        fail(told(error), status=2)


def run(work: Coroutine[Any, Any, T]) -> T:
    """What the work returns; status 1 for an error of it."""
    try:
        return asyncio.run(work)
    except EdgeError as error:
        fail(told(error))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def told(error: EdgeError) -> str:
    """One line per fault, or the error itself."""
    faults = error.faults if isinstance(error, Invalid) else ()
    return "\n".join(map(str, faults)) or error.message


def fail(message: str, *, status: int = 1) -> NoReturn:
    print(message, file=sys.stderr)
    raise typer.Exit(status)
