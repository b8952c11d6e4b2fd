from __future__ import annotations

from tests.api.world import World


async def test_alive(world: World) -> None:
    assert await world.did("GET", "/health", key="") == {"status": "ok"}
    print(await world.flow())
    print(await world.number())
