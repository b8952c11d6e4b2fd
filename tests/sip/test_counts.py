"""What is counted: requests and responses under closed sets of labels."""

from __future__ import annotations

from edge.metrics import REGISTRY
from tests.sip.ladder import Ladder, request


def counted(series: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"edge_sip_{series}_total", labels) or 0.0


def test_a_call_is_counted() -> None:
    series = [
        ("requests", {"method": "INVITE"}),
        ("requests", {"method": "ACK"}),
        ("responses", {"code": "100"}),
        ("responses", {"code": "404"}),
    ]
    before = [counted(name, **labels) for name, labels in series]
    ladder = Ladder()
    ladder.agent.reject(ladder.offered(), 404, 0.0)
    ladder.drain() << 404
    ladder >> request("ACK", to_tag=ladder.last.to_tag)
    assert [counted(name, **labels) for name, labels in series] == [value + 1 for value in before]


def test_our_side_is_counted_apart() -> None:
    before = counted("requests_sent", method="BYE"), counted("responses_received", code="200")
    ladder = Ladder()
    ladder.agent.end(ladder.up(), 0.0)
    ladder.drain() << "BYE"
    ladder.at(1.0)  # a repeat is not counted
    assert counted("requests_sent", method="BYE") == before[0] + 1


def test_names_from_outside_never_become_labels() -> None:
    before = counted("requests", method="other"), counted("responses", code="other")
    ladder = Ladder()
    for method in ("FOO", "BAR", "invite"):
        ladder >> request(method, call_id=method) << 501
    offer = ladder.offered()
    ladder.agent.reject(offer, 699, 0.0)
    ladder.drain() << 699
    assert counted("requests", method="other") == before[0] + 3
    assert counted("responses", code="other") == before[1] + 1
    assert REGISTRY.get_sample_value("edge_sip_requests_total", {"method": "FOO"}) is None
