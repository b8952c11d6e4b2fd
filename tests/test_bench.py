"""The harness of `make bench` counts right; what it finds is printed, never asserted."""

from __future__ import annotations

import struct
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import ours, run, step
from bench.job import Round
from bench.listener import Pacing, Packet, pacing
from bench.run import Job

SCENARIOS = Path(run.__file__).parent / "scenarios"


def job(**found: list[Round]) -> Job:
    servers = dict.fromkeys([name.replace("_", " ") for name in found])
    rounds = {name.replace("_", " "): rounds for name, rounds in found.items()}
    return Job("redirect", "µs CPU/call", lambda *_: Round(0, 0, 0, 0), servers, found=rounds)  # type: ignore[arg-type]


def rounds(*values: float, failed: int = 0) -> list[Round]:
    return [Round(value, 1000 - failed, failed, 0) for value in values]


def test_a_row_for_each_peer_with_medians_ratio_and_floor() -> None:
    one = job(edge=rounds(40, 30, 35), Kamailio=rounds(70, 90, 80), htable=rounds(60), C_floor=rounds(10))
    assert list(run.rows([one])) == [
        {
            "job": "redirect",
            "unit": "µs CPU/call",
            "ours": 35,
            "peer": "Kamailio",
            "peer_value": 80,
            "floor": 10,
            "ratio": 0.438,
        },
        {
            "job": "redirect",
            "unit": "µs CPU/call",
            "ours": 35,
            "peer": "htable",
            "peer_value": 60,
            "floor": 10,
            "ratio": 0.583,
        },
    ]


def test_a_round_in_which_calls_failed_does_not_count() -> None:
    one = job(edge=[*rounds(40), *rounds(1, failed=500)], Kamailio=rounds(5, failed=20))
    (row,) = run.rows([one])
    assert (row["ours"], row["peer_value"], row["ratio"]) == (40, None, None)
    assert "failed" in list(run.table([one]))[2]


def test_without_a_peer_there_is_a_row_of_our_own() -> None:
    (row,) = run.rows([job(edge=rounds(12.345))])
    assert (row["ours"], row["peer"], row["ratio"]) == (12.35, None, None)


def test_pacing_has_rows_of_its_own() -> None:
    even, uneven = Pacing(1, 1000, 0.1, 0.5, 0), Pacing(1, 1000, 0.1, 5.0, 20)
    one = job(edge=[Round(1, 10, 0, 0, even)], Sippy=[Round(4, 10, 0, 0, uneven)])
    found = {row["unit"]: (row["ours"], row["peer_value"], row["ratio"]) for row in run.rows([one])}
    assert found["ms pacing error p99"] == (0.5, 5.0, 0.1)
    assert found["late packets per 1000"] == (0.0, 20.0, 0.0)


def packets(arrivals_ms: list[float], kind: int = 0) -> list[Packet]:
    return [
        (
            struct.pack("!BBHII", 0x80, kind, n, n * 160, 7),
            24000,
            struct.pack("qq", int(ms // 1000), int(ms % 1000 * 1e6)),
        )
        for n, ms in enumerate(arrivals_ms)
    ]


def test_even_packets_have_no_error() -> None:
    found = pacing(packets([20.0 * n for n in range(100)]))
    assert (found.streams, found.packets, found.late) == (1, 100, 0)
    assert found.error_p99_ms == pytest.approx(0, abs=1e-3)


def test_a_late_packet_is_seen_and_so_is_its_error() -> None:
    arrivals = [20.0 * n for n in range(100)]
    arrivals[50] += 30
    found = pacing(packets(arrivals))
    assert found.late == 1
    assert found.error_p99_ms == pytest.approx(30, abs=1e-3)


def test_rtcp_is_left_out() -> None:
    assert pacing(packets([0.0, 20.0], kind=200)).packets == 0


def test_numbers_are_ten_thousand_and_their_strangers_are_others() -> None:
    known, unknown = set(ours.numbers()), set(ours.strangers())
    assert len(known) == len(unknown) == ours.NUMBERS
    assert not known & unknown
    assert not {ours.GREETED, ours.HELD, ours.BRIDGED, ours.CALLEE} & known


async def test_every_step_of_the_flow_is_taken() -> None:
    value, steps = await step.measure(2)
    assert value > 0
    assert steps == 2 * (4 * step.ROUNDS + 5)


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.xml")), ids=lambda path: path.stem)
def test_scenarios_are_xml(path: Path) -> None:
    assert ElementTree.fromstring(path.read_text()).tag == "scenario"
