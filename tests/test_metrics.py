"""The naming lint: every series of every module, as Prometheus asks for names, with labels from closed sets only."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

import edge
from edge.metrics import REGISTRY

# Every label and the closed set that its values come from. A number, an id or an address of somebody is never one.
LABELS = {
    "action": "names of the action plug-ins",
    "carrier": "names in the configuration",
    "code": "status codes",
    "direction": "incoming outgoing",
    "event": "written in the code",
    "kind": "written in the code",
    "medium": "call message",
    "method": "methods we know, and other",
    "outcome": "written in the code",
    "provider": "names of the provider plug-ins",
    "python": "of the interpreter",
    "reason": "written in the code",
    "route": "templates of our routes",
    "source": "memory redis sql stale",
    "state": "written in the code",
    "statement": "names of our SQL statements",
    "table": "names of our tables",
    "tier": "memory redis sql",
    "transport": "udp tcp",
    "trunk": "names in the configuration",
    "type": "written in the code",
    "version": "of the program",
    "why": "written in the code",
}
UNITS = ("_seconds", "_bytes", "_ratio", "_packets", "_count")  # of histograms
NOT_BASE = re.compile(r"_(ms|us|milliseconds|microseconds|minutes|hours|kb|mb|percent)(_|$)")
NAME = re.compile(r"^edge_[a-z][a-z0-9]*(_[a-z0-9]+)*$")


def all_series(registry: CollectorRegistry) -> Iterator[MetricWrapperBase]:
    return (collector for collector in registry._collector_to_names if isinstance(collector, MetricWrapperBase))


def faults(series: MetricWrapperBase) -> list[str]:
    """What is wrong with one series."""
    name, sentence, labels = series._name, series._documentation, series._labelnames
    found = []
    if not NAME.match(name):
        found.append("is not edge_ and words in lower case")
    if NOT_BASE.search(name):
        found.append("is not in a base unit")
    if isinstance(series, Histogram) and not name.endswith(UNITS):
        found.append(f"is a histogram whose name ends in none of {UNITS}")
    if isinstance(series, Gauge) and name.endswith(("_total", "_count", "_sum", "_bucket")):
        found.append("is a gauge with the ending of another type")
    if len(sentence.split()) < 3 or not sentence[0].isupper():
        found.append(f"has no sentence: {sentence!r}")
    found += [f"has the label {label}, which no closed set is known for" for label in labels if label not in LABELS]
    return found


def load_everything() -> None:
    for module in pkgutil.walk_packages(edge.__path__, "edge."):
        if not module.name.endswith("__main__") and ".migrations" not in module.name:
            importlib.import_module(module.name)


def test_every_series_is_well_named() -> None:
    load_everything()
    found = {series._name: wrong for series in all_series(REGISTRY) if (wrong := faults(series))}
    assert found == {}
    assert len(list(all_series(REGISTRY))) >= 3


def test_counters_are_scraped_with_total() -> None:
    load_everything()
    for series in all_series(REGISTRY):
        if isinstance(series, Counter):
            assert f"{series._name}_total" in REGISTRY._collector_to_names[series]


@pytest.mark.parametrize(
    ("series", "wrong"),
    [
        (Counter("edge_calls_total", "Calls by outcome.", ["outcome"], registry=None), 0),
        (Counter("edge_calls_total", "Calls by number.", ["number"], registry=None), 1),
        (Counter("calls_total", "Calls by outcome.", registry=None), 1),
        (Counter("edge_calls_total", "calls", registry=None), 1),
        (Gauge("edge_outbox_total", "Texts in the outbox.", registry=None), 1),
        (Histogram("edge_lookup", "Time of a lookup.", registry=None), 1),
        (Histogram("edge_lookup_ms", "Time of a lookup.", registry=None), 2),
        (Histogram("edge_lookup_seconds", "Time of a lookup.", registry=None), 0),
    ],
)
def test_the_lint_finds_what_is_wrong(series: MetricWrapperBase, wrong: int) -> None:
    assert len(faults(series)) == wrong
