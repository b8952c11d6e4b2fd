"""Metric series for Prometheus: how they are named and made.

Each module declares the series it counts, next to what it counts, as module constants made here. Label values come from
closed sets written in the code; a number, a Call-ID or an address never becomes a label. On the path of a call bind the
children once (`calls = {o: CALLS.labels(o) for o in OUTCOMES}`): `labels()` costs four times the increment.
"""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

REGISTRY = CollectorRegistry(auto_describe=False)
PREFIX = "edge_"

disable_created_metrics()  # type: ignore[no-untyped-call]  # a `_created` series for each counter would double what a scrape costs

LATENCY_SECONDS = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)


def counter(name: str, sentence: str, labels: Sequence[str] = ()) -> Counter:
    """A counter `edge_<name>`; `name` ends in `_total`."""
    return Counter(PREFIX + name, sentence, labels, registry=REGISTRY)


def gauge(name: str, sentence: str, labels: Sequence[str] = ()) -> Gauge:
    return Gauge(PREFIX + name, sentence, labels, registry=REGISTRY)


def histogram(
    name: str, sentence: str, labels: Sequence[str] = (), buckets: Sequence[float] = LATENCY_SECONDS
) -> Histogram:
    """A histogram `edge_<name>`; `name` ends in its unit, e.g. `_seconds`."""
    return Histogram(PREFIX + name, sentence, labels, registry=REGISTRY, buckets=buckets)
