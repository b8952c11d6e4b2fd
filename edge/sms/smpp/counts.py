"""What is counted of connections to SMSCs. Carriers have their names from the configuration, statuses from `status`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from edge.metrics import Count, gauge, histogram, tally
from edge.sms.smpp import status

REASONS: Final = ("response", "command", "malformed", "outbind", "alert", "state", "receipt")
BOUND = gauge("smpp_bound", "Connections to the carrier's SMSC that are bound.", ("carrier",))
WINDOW = gauge("smpp_window", "Texts that wait for the answer of the carrier's SMSC.", ("carrier",))
WORKING = gauge("smpp_working", "Texts that the carrier's SMSC waits for our answer to.", ("carrier",))
CONNECTS = tally("smpp_connects_total", "Tries to connect to an SMSC, by what came of them.", ("carrier", "outcome"))
SUBMIT = histogram(
    "smpp_submit_seconds",
    "From a submit_sm to its response.",
    ("carrier",),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
ANSWERS = tally(
    "smpp_responses_total",
    "Responses by their status: the SMSC's to submit_sm, ours to deliver_sm.",
    ("carrier", "command", "status"),
)
IGNORED = tally("smpp_ignored_total", "PDUs that meant nothing where they came, by reason.", ("carrier", "reason"))


class Counts:
    """The series of one carrier."""

    def __init__(self, carrier: str) -> None:
        self._carrier = carrier
        self._answers: dict[tuple[str, int], Count] = {}
        self.bound = BOUND.labels(carrier)
        self.submit = SUBMIT.labels(carrier)
        self.connects = {outcome: CONNECTS.labels(carrier, outcome) for outcome in ("bound", "refused", "failed")}
        self.ignored = {reason: IGNORED.labels(carrier, reason) for reason in REASONS}
        self.bound.set(0)

    def watch(self, window: Callable[[], int], working: Callable[[], int]) -> None:
        """What is asked when somebody reads the metrics."""
        WINDOW.labels(self._carrier).set_function(window)
        WORKING.labels(self._carrier).set_function(working)

    def submitted(self, state: int) -> None:
        """An SMSC answered a submit_sm."""
        self._count("submit_sm", state)

    def delivered(self, state: int) -> None:
        """We answered a deliver_sm."""
        self._count("deliver_sm", state)

    def _count(self, command: str, state: int) -> None:
        count = self._answers.get((command, state))
        if count is None:
            count = ANSWERS.labels(self._carrier, command, status.label(state))
            if status.label(state) != status.OTHER:  # there are too many others to remember each
                self._answers[command, state] = count
        count.inc()
