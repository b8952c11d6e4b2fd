"""Whether the daemon is alive, and whether it should get traffic."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from pydantic import Field

from edge.api.field import Result
from edge.api.operation import AnyOperation, Ask, Nothing, Operation
from edge.api.refusal import NotReady
from edge.errors import Fault
from edge.sessions.texts.serving import Place


class Health(Result):
    status: Literal["ok"] = Field(default="ok", description="The process answers; that is all this says.")


class Readiness(Result):
    status: Literal["ready"] = Field(default="ready", description="Calls and texts may be sent here.")
    carriers: dict[str, Place] = Field(
        description="Where the carriers that hold connections are served: here, or elsewhere, by another edge or none."
    )


def operations(
    readiness: Callable[[], Sequence[Fault]], served: Callable[[], Mapping[str, Place]]
) -> list[AnyOperation]:
    """`readiness` gives the reasons against traffic: none when ready. `served` says where carriers are."""

    async def health(ask: Ask[Nothing, Nothing]) -> Health:
        return Health()

    async def ready(ask: Ask[Nothing, Nothing]) -> Readiness:
        faults = readiness()
        if faults:
            raise NotReady(faults)
        return Readiness(carriers=dict(served()))

    return [
        Operation(
            method="GET",
            path="/health",
            tag="health",
            summary="Is the daemon alive?",
            who="anyone",
            query=Nothing,
            body=Nothing,
            result=Health,
            handler=health,
        ),
        Operation(
            method="GET",
            path="/ready",
            tag="health",
            summary="May it take traffic?",
            detail="503 with the reasons in details while starting, draining, or without what it needs.",
            who="anyone",
            query=Nothing,
            body=Nothing,
            result=Readiness,
            handler=ready,
        ),
    ]
