"""The naming lint: every series of every module, as Prometheus asks for names, with labels from closed sets only."""

from __future__ import annotations

import importlib
import pkgutil
import re
from typing import NamedTuple

import pytest
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import Collector

import edge
from edge.metrics import REGISTRY, Tally

# Every label and the closed set that its values come from. A number, an id or an address of somebody is never one.
LABELS = {
    "action": "names of the action plug-ins",
    "carrier": "names in the configuration",
    "code": "status codes",
    "command": "written in the code",
    "direction": "incoming outgoing",
    "event": "written in the code",
    "kind": "written in the code",
    "medium": "call message",
    "method": "methods we know, and other",
    "name": "of leases: the kind written in the code, a name in the configuration",
    "outcome": "written in the code",
    "provider": "names of the provider plug-ins",
    "python": "of the interpreter",
    "reason": "written in the code",
    "result": "written in the code",
    "route": "templates of our routes",
    "source": "memory redis sql stale",
    "state": "written in the code",
    "status": "names of the statuses of SMPP that we know, and other",
    "statement": "names of our SQL statements",
    "table": "names of our tables",
    "target": "targets of trunks in the configuration",
    "tier": "memory redis sql",
    "transport": "udp tcp tls",
    "trunk": "names in the configuration",
    "type": "written in the code",
    "version": "of the program",
    "why": "written in the code",
}
UNITS = ("_seconds", "_bytes", "_ratio", "_packets", "_count")  # of histograms
NOT_BASE = re.compile(r"_(ms|us|milliseconds|microseconds|minutes|hours|kb|mb|percent)(_|$)")
NAME = re.compile(r"^edge_[a-z][a-z0-9]*(_[a-z0-9]+)*$")


class Series(NamedTuple):
    """What the lint looks at."""

    name: str
    type: str
    sentence: str
    labels: tuple[str, ...]


def described(collector: Collector) -> Series:
    """A series by what made it. Raises TypeError for a kind of collector that the lint does not know."""
    match collector:
        case Tally():
            return Series(collector._name, "counter", collector._sentence, collector._labels)
        case MetricWrapperBase():
            return Series(collector._name, str(collector._type), collector._documentation, tuple(collector._labelnames))
    raise TypeError(f"teach the lint about {type(collector).__name__}")


def faults(series: Series) -> list[str]:
    """What is wrong with one series."""
    found = []
    if not NAME.match(series.name):
        found.append("is not edge_ and words in lower case")
    if NOT_BASE.search(series.name):
        found.append("is not in a base unit")
    if series.type == "histogram" and not series.name.endswith(UNITS):
        found.append(f"is a histogram whose name ends in none of {UNITS}")
    if series.type == "gauge" and series.name.endswith(("_total", "_count", "_sum", "_bucket")):
        found.append("is a gauge with the ending of another type")
    if len(series.sentence.split()) < 2 or series.sentence[0].islower():
        found.append(f"has no sentence: {series.sentence!r}")
    found += [f"has the label {one}, which no closed set is known for" for one in series.labels if one not in LABELS]
    return found


def load_everything() -> None:
    for module in pkgutil.walk_packages(edge.__path__, "edge."):
        if not module.name.endswith("__main__") and ".migrations" not in module.name:
            importlib.import_module(module.name)


def test_every_series_is_well_named() -> None:
    load_everything()
    series = [described(collector) for collector in REGISTRY._collector_to_names]
    found = {one.name: wrong for one in series if (wrong := faults(one))}
    assert found == {}
    assert len(series) > 20


def test_counters_are_scraped_with_total() -> None:
    load_everything()
    counters = [described(collector).name for collector in REGISTRY._collector_to_names]
    for family in REGISTRY.collect():
        assert family.name in counters
        for sample in family.samples if family.type == "counter" else ():
            assert sample.name == f"{family.name}_total"


@pytest.mark.parametrize(
    ("collector", "wrong"),
    [
        (Counter("edge_calls_total", "Calls by outcome.", ["outcome"], registry=None), 0),
        (Counter("edge_calls_total", "Calls by number.", ["number"], registry=None), 1),
        (Counter("calls_total", "Calls by outcome.", registry=None), 1),
        (Counter("edge_calls_total", "calls", registry=None), 1),
        (Tally("calls_total", "Calls by outcome.", ["outcome"]), 0),
        (Tally("calls_total", "Calls by caller.", ["caller"]), 1),
        (Gauge("edge_outbox_total", "Texts in the outbox.", registry=None), 1),
        (Histogram("edge_lookup", "Time of a lookup.", registry=None), 1),
        (Histogram("edge_lookup_ms", "Time of a lookup.", registry=None), 2),
        (Histogram("edge_lookup_seconds", "Time of a lookup.", registry=None), 0),
    ],
)
def test_the_lint_finds_what_is_wrong(collector: Collector, wrong: int) -> None:
    assert len(faults(described(collector))) == wrong
