"""Whether targets answer: up, down, unknown, tried last, and forgotten with their trunk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from edge.metrics import REGISTRY
from edge.sessions.trunks.probes import Probes
from edge.trunks.trunk import Trunk
from tests import jumping
from tests.logged import logged
from tests.sessions.trunks.carrier import Carrier, carrier, edge, until


def trunk(*at: Carrier, seconds: float = 30.0, **more: Any) -> Trunk:
    first, *others = [one.uri for one in at]
    values = {"name": "acme", "networks": ["127.0.0.0/8"], "target": first, "failover": others}
    return Trunk.model_validate({**values, "probe_seconds": seconds, **more})


@asynccontextmanager
async def probing(made: Trunk) -> AsyncIterator[tuple[Probes, Callable[[list[Trunk]], None]]]:
    async with edge(made) as (table, asking):
        probes = Probes(asking, lambda: 0.5)
        probes.replace(table)

        def replace(others: list[Trunk]) -> None:
            table.replace(others)
            asking.targets.replace(others)
            probes.replace(table)

        yield probes, replace
        await probes.close()


def metric(target: Carrier, name: str = "edge_trunk_target_up") -> float | None:
    return REGISTRY.get_sample_value(name, {"trunk": "acme", "target": f"{target.uri};transport=udp"})


@pytest.mark.parametrize("status", [200, 404, 405, 401, 480, 500, 603])
def test_whatever_a_target_answers_it_is_there(status: int) -> None:
    async def story() -> None:
        async with carrier() as one:
            one.statuses = [status]
            made = trunk(one)
            async with probing(made) as (probes, _):
                assert probes.status(made)[0].state == "unknown"
                await until(lambda: probes.status(made)[0].state == "up")
                (found,) = probes.status(made)
                assert (found.status, found.since is not None) == (status, True)
                assert found.seconds is not None
                assert found.seconds < 4
                assert metric(one) == 1
                assert metric(one, "edge_trunk_probe_seconds") == found.seconds
                (request,) = one.requests
                assert (request.method, request.uri) == ("OPTIONS", f"{one.uri};transport=udp")

    jumping.run(story())


@pytest.mark.parametrize("status", [None, 408, 503])
def test_one_that_does_not_answer_is_down_and_tried_last(status: int | None) -> None:
    async def story() -> None:
        async with carrier() as first, carrier() as second:
            first.statuses = [200, status]
            made = trunk(first, second)
            primary, secondary = made.targets
            with logged() as lines:
                async with probing(made) as (probes, _):
                    targets = probes._asking.targets
                    assert list(targets.order(made)) == [primary, secondary]
                    await until(lambda: targets.order(made)[0] is secondary)
                    assert list(targets.order(made)) == [secondary, primary]
                    assert metric(first) == 0
                    assert probes.status(made)[1].status == (status or 408)
                    assert [found.state for found in probes.status(made)] == ["up", "down"]
                    await until(lambda: targets.order(made)[0] is primary)
                    assert list(targets.order(made)) == [primary, secondary]
                said = [line["event"] for line in lines() if line["event"].startswith("target")]
            assert said == ["target down", "target up again"]

    jumping.run(story())


def test_they_come_by_the_clock() -> None:
    async def story() -> None:
        async with carrier() as one, probing(trunk(one, seconds=60)):
            await until(lambda: len(one.times) == 4)
            gaps = [later - earlier for earlier, later in zip(one.times, one.times[1:], strict=False)]
            assert gaps == pytest.approx([60, 60, 60], abs=1)

    jumping.run(story())


def test_without_the_word_for_it_nobody_asks() -> None:
    async def story() -> None:
        async with carrier() as one, carrier() as other:
            made = trunk(one, other, seconds=0)
            async with probing(made) as (probes, _):
                await asyncio.sleep(120)
                assert [found.state for found in probes.status(made)] == ["unknown", "unknown"]
                assert [found.target for found in probes.status(made)] == list(made.targets)
            assert not one.requests

    jumping.run(story())


def test_trunks_come_and_go() -> None:
    async def story() -> None:
        async with carrier() as one, carrier() as other:
            made = trunk(one)
            async with probing(made) as (probes, replace):
                await until(lambda: probes.status(made)[0].state == "up")
                moved = trunk(other)
                replace([moved])
                await until(lambda: probes.status(moved)[0].state == "up")
                assert (metric(one), metric(other)) == (None, 1)
                before = len(one.requests)
                replace([])
                await asyncio.sleep(90)
                assert len(one.requests) == before
                assert metric(other) is None

    jumping.run(story())


def test_a_name_without_an_address_is_down() -> None:
    async def story() -> None:
        async with carrier() as one:
            made = trunk(one, target="sip:nowhere.example", failover=[])
            async with probing(made) as (probes, _):
                await until(lambda: probes.status(made)[0].state == "down")
                assert probes.status(made)[0].status == 503

    jumping.run(story())
