"""Metric series for Prometheus: how they are named and made.

Each module declares the series it counts, next to what it counts, as module constants made here. Label values come from
closed sets written in the code; a number, a Call-ID or an address never becomes a label. On the path of a call use a
`tally`, and bind its cells once (`calls = {o: CALLS.labels(o) for o in OUTCOMES}`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

REGISTRY = CollectorRegistry(auto_describe=False)
PREFIX = "edge_"

disable_created_metrics()  # type: ignore[no-untyped-call]  # a `_created` series for each counter would double what a scrape costs

LATENCY_SECONDS = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)


def counter(name: str, sentence: str, labels: Sequence[str] = ()) -> Counter:
    """A counter `edge_<name>`; `name` ends in `_total`."""
    return Counter(PREFIX + name, sentence, labels, registry=REGISTRY)


class Count:
    """One cell of a `Tally`."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0

    def inc(self, amount: int = 1) -> None:
        self.value += amount


class Tally(Collector):
    """A counter for the path of a call: plain integers, a tenth of what a `Counter` with its lock costs.

    Only the event loop may count here. Reading it from another thread, as `/metrics` does, is safe.
    """

    def __init__(self, name: str, sentence: str, labels: Sequence[str]) -> None:
        self._name = PREFIX + name.removesuffix("_total")
        self._sentence = sentence
        self._labels = tuple(labels)
        self._counts: dict[tuple[str, ...], Count] = {}

    def labels(self, *values: str) -> Count:
        """The cell for these label values, in the order of the labels."""
        if len(values) != len(self._labels):
            raise ValueError(f"{self._name} has the labels {', '.join(self._labels)}")
        return self._counts.setdefault(values, Count())

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily(self._name, self._sentence, labels=self._labels)
        for values, count in sorted(self._counts.items()):
            family.add_metric(values, count.value)
        yield family


def tally(name: str, sentence: str, labels: Sequence[str] = ()) -> Tally:
    """A counter `edge_<name>` that only the event loop counts in; `name` ends in `_total`."""
    made = Tally(name, sentence, labels)
    REGISTRY.register(made)
    return made


def gauge(name: str, sentence: str, labels: Sequence[str] = ()) -> Gauge:
    return Gauge(PREFIX + name, sentence, labels, registry=REGISTRY)


def histogram(
    name: str, sentence: str, labels: Sequence[str] = (), buckets: Sequence[float] = LATENCY_SECONDS
) -> Histogram:
    """A histogram `edge_<name>`; `name` ends in its unit, e.g. `_seconds`."""
    return Histogram(PREFIX + name, sentence, labels, registry=REGISTRY, buckets=buckets)
