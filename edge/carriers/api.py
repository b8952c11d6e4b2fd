"""A carrier's API over HTTP, as far as all of them are alike: what is said of a text, and what of the carrier itself.

Connections are kept open between texts. What could not be asked, 429 and 5xx say nothing of the text: the carrier is
away or gets too many, and everything for it waits. What comes back otherwise is the carrier's to read.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from pydantic_core import from_json

from edge.carriers.hooks import ID_LIMIT
from edge.carriers.site import Ask
from edge.errors import EdgeError
from edge.http import Answer
from edge.sms.carrier import Busy
from edge.sms.text import Receipt, unstorable

ANSWER_BYTES: Final = 262_144
LONGEST_WAIT: Final = 3_600.0  # seconds; who asks for more is asked again after these
AWAY: Final = frozenset({408, 425, 429})  # and all 5xx


class Api:
    """One carrier's API. `name` is the carrier's, for the sentences of errors."""

    def __init__(self, name: str, base_url: str, ask: Ask, seconds: float) -> None:
        self._name = name
        self._base_url = base_url
        self._ask = ask
        self._seconds = seconds

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """What the carrier answers to a text. Raises Busy when that says nothing of the text."""
        try:
            answer = await self._ask(
                "POST",
                self._base_url + path,
                headers=headers,
                body=body,
                max_bytes=ANSWER_BYTES,
                deadline=self._seconds,
            )
        except EdgeError as error:
            raise Busy(f"{self._name} cannot be reached: {error.message}") from error
        if answer.status in AWAY or answer.status >= 500:
            raise Busy(
                f"{self._name} answered {answer.status}", code=str(answer.status), after=seconds_of(answer.retry_after)
            )
        return answer


def seconds_of(retry_after: str, now: datetime | None = None) -> float | None:
    """Retry-After (RFC 9110 §10.2.3) in seconds from now; None where there is none."""
    value = retry_after.strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), LONGEST_WAIT)
    try:
        then = parsedate_to_datetime(value)
        wait = then - (now or datetime.now(then.tzinfo))
    except (TypeError, ValueError):
        return None
    return min(max(wait.total_seconds(), 0.0), LONGEST_WAIT)


def json_of(answer: Answer) -> dict[str, Any]:
    """The JSON object in an answer; an empty one where there is none."""
    try:
        value = from_json(answer.body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def receipt_of(carrier_id: Any) -> Receipt:
    """The receipt of a text that was taken, with what the carrier calls it, if it said that."""
    usable = isinstance(carrier_id, str) and 0 < len(carrier_id) <= ID_LIMIT and unstorable(carrier_id) is None
    return Receipt((carrier_id,) if usable else ())
