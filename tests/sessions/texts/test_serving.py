"""Carriers with connections are served: by one process or by all, again when they end, and left in order."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import pytest

from edge.metrics import REGISTRY
from edge.sessions.queues.leases import Leases
from edge.sessions.texts.serving import Serving
from edge.sms.carrier import Carrier, Desk
from edge.sms.text import OutgoingText, Receipt
from tests.sessions.ground import Ground, until
from tests.sessions.queues.test_leases import Time

DESK = cast("Desk", object())


class Ship(Carrier):
    """A carrier with a connection."""

    def __init__(self, name: str = "ship") -> None:
        super().__init__(name)
        self.does: list[Any] = []
        self.sinks = False

    async def send(self, text: OutgoingText) -> Receipt:
        return Receipt()

    async def serve(self, desk: Desk) -> None:
        self.does.append(desk)
        if self.sinks:
            self.sinks = False
            raise OSError("water")
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            self.does.append("bye")


class Pigeon(Carrier):
    """One without."""

    async def send(self, text: OutgoingText) -> Receipt:
        return Receipt()


def served(name: str) -> float | None:
    return REGISTRY.get_sample_value("edge_carrier_served", {"carrier": name})


@pytest.fixture
def time(ground: Ground) -> Time:
    return Time(ground)


async def test_one_without_a_lease_is_served_everywhere_until_the_end() -> None:
    ship = Ship()
    carriers: Mapping[str, Carrier] = {"ship": ship, "pigeon": Pigeon("pigeon")}
    ships = [Serving(carriers, {}, DESK), Serving(carriers, {}, DESK)]
    assert ships[0].places() == {"ship": "elsewhere"}
    for serving in ships:
        await serving.start()
    await until(lambda: ship.does == [DESK, DESK])
    assert ships[0].places() == {"ship": "here"}
    assert served("ship") == 1
    for serving in ships:
        await serving.close()
    assert ship.does == [DESK, DESK, "bye", "bye"]
    assert served("ship") == 0


async def test_one_of_one_sender_is_served_by_who_has_the_lease(ground: Ground, time: Time) -> None:
    ships = [Ship(), Ship()]
    leases = [Leases(ground.writer, ["ship"], node=name, clock=time) for name in ("one", "two")]
    servings = [Serving({"ship": ship}, {"ship": own["ship"]}, DESK) for ship, own in zip(ships, leases, strict=True)]
    for own, serving in zip(leases, servings, strict=True):
        await own.start()
        await serving.start()
    await until(lambda: ships[0].does == [DESK])
    assert [serving.places()["ship"] for serving in servings] == ["here", "elsewhere"]
    await leases[0].close()
    assert ships[0].does == [DESK, "bye"]
    await leases[1].ask()
    await until(lambda: ships[1].does == [DESK])
    assert [serving.places()["ship"] for serving in servings] == ["elsewhere", "here"]
    await leases[1].close()


async def test_what_raises_is_served_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.sessions.queues.leases.AGAIN_SECONDS", (0.0,))
    ship = Ship()
    ship.sinks = True
    serving = Serving({"ship": ship}, {}, DESK)
    await serving.start()
    await until(lambda: ship.does == [DESK, DESK])
    await serving.close()
