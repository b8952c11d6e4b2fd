"""Runs that are told to go on."""

from __future__ import annotations

from typing import Any, cast

import pytest

from edge.sessions.calls.call import Call
from edge.sessions.calls.record import Attempt
from edge.store.metadata import new_id
from tests.api.world import World, on_still, wheres


class Blocked:
    """A call as the book has it, as far as this needs one."""

    def __init__(self, customer_id: str) -> None:
        self.attempt = Attempt(id=new_id(), call_id="c", remote="", dialed="", source="", source_name="", tm_create=1)
        self.attempt.customer_id = customer_id
        self.attempt.flow_id = "55555555-5555-4555-8555-555555555555"
        self.ended: Any = None
        self.told: list[Any] = []

    @property
    def id(self) -> str:
        return self.attempt.id

    @property
    def customer_id(self) -> str:
        return self.attempt.customer_id

    def go_on(self, variables: Any) -> None:
        self.told.append(dict(variables))


def enter(world: World, customer_id: str) -> tuple[Blocked, str]:
    call = Blocked(customer_id)
    world.services.book.enter(cast("Call", call))
    return call, f"/v1.0/activeflows/{call.id}/continue"


@on_still
async def test_a_run_goes_on(still: World) -> None:
    call, path = enter(still, still.a)
    answer = await still.did("POST", path, {"variables": {"agent": "bob"}})
    assert answer == {
        "id": call.id,
        "customer_id": still.a,
        "flow_id": call.attempt.flow_id,
        "reference_type": "call",
        "reference_id": call.id,
    }
    await still.did("POST", path, {}, key=still.key_admin)
    assert call.told == [{"agent": "bob"}, {}]


@on_still
async def test_what_is_not_at_work_here_is_not_there(still: World) -> None:
    call, path = enter(still, still.b)
    assert (await still.refused(404, "POST", path, {}))["reason"] == "ACTIVEFLOW_NOT_FOUND"  # another account's
    await still.refused(404, "POST", f"/v1.0/activeflows/{new_id()}/continue", {})
    call.ended = object()
    await still.refused(404, "POST", path, {}, key=still.key_b)
    assert call.told == []


@pytest.mark.parametrize(
    ("variables", "where"),
    [
        ({"voipbin.call.digits": "1"}, "variables"),
        ({"": "1"}, "variables"),
        ({"a}b": "1"}, "variables"),
        ({"a": 1}, "variables.a"),
        ({f"v{number}": "" for number in range(101)}, "variables"),
    ],
)
@on_still
async def test_what_cannot_be_set(still: World, variables: dict[str, Any], where: str) -> None:
    call, path = enter(still, still.a)
    assert wheres(await still.refused(400, "POST", path, {"variables": variables})) == [where]
    assert call.told == []
