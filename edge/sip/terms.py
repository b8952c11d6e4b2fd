"""What the user of an agent says of a new request before anything is kept of it: let in, on which terms, or refused.

The agent asks once for each INVITE and MESSAGE outside of a dialog, after what RFC 3261 §8.2 wants looked at first, and
before there is a transaction. A refusal costs one stateless answer (§8.2.7).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from edge.sip.digest import Login
from edge.sip.message import Request
from edge.sip.peer import Peer

Reliable = Literal["off", "supported", "required"]

MIN_SE: Final = 90  # s; RFC 4028 §4: the least that a session interval may be


@dataclass(frozen=True, slots=True)
class Terms:
    """How we deal with the other side of a call, beyond RFC 3261."""

    reliable: Reliable = "off"  # provisional answers (RFC 3262): never, when they can, or always
    session_expires: int | None = None  # s, the session interval we ask for (RFC 4028); None: only what they ask for
    min_se: int = MIN_SE  # s, the least we take
    advertise: str | None = None  # the address in Via and Contact towards them; None: that of the agent
    login: Login | None = None  # what we prove where they ask us to (RFC 3261 §22)
    whose: Any = None  # the user's: by what he let it in


DEFAULT: Final = Terms()


class Refused(NamedTuple):
    """Not let in."""

    status: int
    fields: tuple[tuple[str, str], ...] = ()
    why: str = ""  # a word for the record, e.g. Overloaded
    later: bool = False  # with a Retry-After of the agent's: another time, or another edge, may do


Known = Callable[[Request, Peer], Terms]
Admit = Callable[[Request, Peer, float], Terms | Refused]  # the request, where it came from, now


def admit_all(_request: Request, _peer: Peer, _now: float) -> Terms:
    """Everybody, on no special terms."""
    return DEFAULT


def known_to_nobody(_request: Request, _peer: Peer) -> Terms:
    """No special terms with anybody."""
    return DEFAULT
