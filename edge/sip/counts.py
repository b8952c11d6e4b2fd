"""What the SIP side counts. Children are bound once; label values come from the closed sets below."""

from __future__ import annotations

from collections.abc import Callable

from edge.metrics import Tally, tally
from edge.sip.message import KNOWN_METHODS, REASONS

OTHER = "other"

Increment = Callable[[], None]


class Bound(dict[str, Increment]):
    """Label value → the bound child's `inc`. Values outside of the closed set are counted as `other`."""

    def __init__(self, series: Tally, known: frozenset[str]) -> None:
        super().__init__()
        self._series = series
        self._known = known

    def __missing__(self, value: str) -> Increment:
        if value not in self._known:
            return self[OTHER] if value != OTHER else self._bind(OTHER)
        return self._bind(value)

    def _bind(self, value: str) -> Increment:
        increment: Increment = self._series.labels(value).inc
        self[value] = increment
        return increment


class BoundStatus(dict[int, Increment]):
    """Status code → the bound child's `inc`; what is not registered is counted as `other`."""

    def __init__(self, series: Tally) -> None:
        super().__init__()
        self._series = series

    def __missing__(self, status: int) -> Increment:
        known = status in REASONS
        increment: Increment = self._series.labels(str(status) if known else OTHER).inc
        if known:
            self[status] = increment
        return increment


REQUESTS = Bound(tally("sip_requests_total", "SIP requests received, repeats included.", ["method"]), KNOWN_METHODS)
RESPONSES = BoundStatus(tally("sip_responses_total", "SIP responses sent, repeats not included.", ["code"]))
REQUESTS_SENT = Bound(
    tally("sip_requests_sent_total", "SIP requests sent, repeats not included.", ["method"]), KNOWN_METHODS
)
RESPONSES_RECEIVED = BoundStatus(
    tally("sip_responses_received_total", "SIP responses received to requests of ours.", ["code"])
)
DISCARDED = Bound(
    tally("sip_discarded_total", "SIP messages and connections dropped without an answer, by why.", ["why"]),
    frozenset({"malformed", "stray", "source", "banned", "connections", "slow", "unsent", "framing", "handshake"}),
)
for _why in ("malformed", "source"):  # an alert is on their rate, which needs a series from the start
    _ = DISCARDED[_why]
