"""Why calls end: the words of a record, and the causes of Q.850 that a Reason field has (RFC 3326)."""

from __future__ import annotations

from typing import Final

NORMAL_CAUSE: Final = 16
CAUSE_OF_REASON: Final[dict[str, int]] = {
    "normal": 16,
    "cancel": 16,
    "timeout": 16,
    "amd": 16,
    "failed": 18,
    "busy": 17,
    "noanswer": 19,
    "dialout": 19,
}
_WORDS: Final[dict[int, str]] = {  # of those that say something else than that somebody hung up
    17: "busy",
    18: "noanswer",
    19: "noanswer",
    102: "timeout",
}
_FAILURES: Final = range(34, 128)  # resource, service, protocol (Q.850 §2.2.6)


def word_of(cause: int | None, otherwise: str) -> str:
    """The word of the record for what another side gave as its cause."""
    if cause is None:
        return otherwise
    return _WORDS.get(cause) or ("failed" if cause in _FAILURES else otherwise)


def reason_of(cause: int, text: str = "") -> str:
    """The value of a Reason field."""
    return f"Q.850;cause={cause}" + (f';text="{text}"' if text else "")
