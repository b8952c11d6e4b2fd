"""Whether the daemon is alive, and whether it should get traffic."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from pydantic import Field

from edge.api.field import Result
from edge.api.operation import AnyOperation, Ask, Nothing, Operation
from edge.api.refusal import NotReady
from edge.errors import Fault
from edge.sessions.texts.carrier_states import CarrierState
from edge.sessions.texts.serving import Place
from edge.store.metadata import instant_text


class Health(Result):
    status: Literal["ok"] = Field(default="ok", description="The process answers; that is all this says.")


class CarrierReadiness(Result):
    """How a carrier is, as this edge sees it."""

    kind: str = Field(description="What sort of carrier.")
    connections: Place | None = Field(
        description="Where its connections are: here, or elsewhere, by another edge or none; null where it has none."
    )
    sending: Place = Field(description="Whether texts are given to it here, or elsewhere, by another edge or none.")
    paused: bool = Field(description="It is busy or away, and all that is for it waits.")
    last_received: str | None = Field(description="When its last text came here; null: none since the start.")
    last_sent: str | None = Field(description="When it last took a text from here; null: none since the start.")


class Readiness(Result):
    status: Literal["ready"] = Field(default="ready", description="Calls and texts may be sent here.")
    carriers: dict[str, CarrierReadiness] = Field(description="Every configured carrier by its name.")


def operations(
    readiness: Callable[[], Sequence[Fault]], carriers: Callable[[], Mapping[str, CarrierState]]
) -> list[AnyOperation]:
    """`readiness` gives the reasons against traffic: none when ready. `carriers` says how each of them is."""

    async def health(ask: Ask[Nothing, Nothing]) -> Health:
        return Health()

    async def ready(ask: Ask[Nothing, Nothing]) -> Readiness:
        faults = readiness()
        if faults:
            raise NotReady(faults)
        return Readiness(carriers={name: _shown(state) for name, state in carriers().items()})

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


def _shown(state: CarrierState) -> CarrierReadiness:
    came, went = state.last_received, state.last_sent
    return CarrierReadiness(
        kind=state.kind,
        connections=state.connections,
        sending=state.sending,
        paused=state.paused,
        last_received=instant_text(came) if came is not None else None,
        last_sent=instant_text(went) if went is not None else None,
    )
