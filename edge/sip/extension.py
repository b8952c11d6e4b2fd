"""Extensions and their option tags (RFC 3261 §19.2): which we serve, and which the other side does.

`Supported` in a message of ours lists what is served in its answer, no more.
"""

from __future__ import annotations

from typing import Final

from edge.sip.message import Message
from edge.sip.terms import DEFAULT, Reliable, Terms

RELIABLE: Final = "100rel"  # RFC 3262
TIMER: Final = "timer"  # RFC 4028
NO_SUBSCRIPTION: Final = "norefersub"  # RFC 4488

ALWAYS: Final = (TIMER, NO_SUBSCRIPTION)
_SERVED: Final[dict[Reliable, tuple[str, ...]]] = {
    "off": ALWAYS,
    "supported": (RELIABLE, *ALWAYS),
    "required": (RELIABLE, *ALWAYS),
}
_SUPPORTED: Final = {reliable: ("Supported", ", ".join(tags)) for reliable, tags in _SERVED.items()}
SUPPORTED: Final = _SUPPORTED[DEFAULT.reliable]  # without reliable provisional answers


def supported(terms: Terms) -> tuple[str, str]:
    """The Supported field of a message to somebody we deal with on these terms."""
    return _SUPPORTED[terms.reliable]


def unserved(message: Message, terms: Terms) -> list[str]:
    """The option tags that it requires and we do not serve."""
    served = _SERVED[terms.reliable]
    return [tag for tag in message.headers.values("require") if tag.lower() not in served]


def requires(message: Message, tag: str) -> bool:
    return "require" in message.headers.first and _lists(message, "require", tag)


def supports(message: Message, tag: str) -> bool:
    """Whether its sender serves an extension; who requires one does."""
    first = message.headers.first
    return ("supported" in first and _lists(message, "supported", tag)) or requires(message, tag)


def _lists(message: Message, field: str, tag: str) -> bool:
    return any(value.lower() == tag for value in message.headers.values(field))
