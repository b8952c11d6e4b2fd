"""How a trunk is now, as the edge that is asked sees it: whether it is registered, and which of its targets answer.

Another edge registers and probes for itself, and may see otherwise.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edge.api.field import Result
from edge.api.operation import AnyOperation, Ask, Nothing, Operation
from edge.errors import NotFound
from edge.sessions.trunks.probes import Probes, TargetStatus
from edge.sessions.trunks.registrations import Registrations, RegistrationStatus
from edge.store.metadata import instant_text
from edge.trunks.table import TrunkTable


class TrunkRegistration(Result):
    """How a registration is."""

    state: Literal["unregistered", "registered", "failed"] = Field(
        description="unregistered: the first answer is still to come; failed: the carrier sends no calls here."
    )
    since: str = Field(description="When it became so.")
    status: int = Field(description="The last answer, e.g. 403; 408: none came; 0: not yet.")
    registrar: str = Field(description="Where it is, or is tried next.")
    address: str = Field(description="Our address there.")
    expires: int = Field(description="Seconds that were granted the last time.")


class TrunkTarget(Result):
    """How a target is."""

    target: str = Field(description="Where requests go.")
    state: Literal["unknown", "up", "down"] = Field(
        description="up: it answers; down: it does not, and is tried last; unknown: nobody asks (probe_seconds)."
    )
    since: str | None = Field(description="When it became so; null: it was never asked.")
    status: int = Field(description="The last answer; 408: none came, 503 also: nothing could be sent; 0: not asked.")
    milliseconds: float | None = Field(description="How long its last answer took.")


class TrunkStatus(Result):
    """How a trunk is, as this edge sees it."""

    id: str = Field(description="Identity of the trunk.")
    name: str = Field(description="Its name.")
    registration: TrunkRegistration | None = Field(description="Our registration; null where it wants none.")
    targets: list[TrunkTarget] = Field(description="Its targets, in the order in which they are to be tried.")


class TrunkStates:
    """The operation on it."""

    def __init__(self, trunks: TrunkTable, registrations: Registrations, probes: Probes) -> None:
        self._trunks = trunks
        self._registrations = registrations
        self._probes = probes

    async def get(self, ask: Ask[Nothing, Nothing]) -> TrunkStatus:
        trunk = next((trunk for trunk in self._trunks if trunk.id == ask.id), None)
        if trunk is None:
            raise NotFound("there is no such trunk in force here", reason="TRUNK_NOT_FOUND")
        registration = self._registrations.status(trunk.name)
        return TrunkStatus(
            id=trunk.id,
            name=trunk.name,
            registration=None if registration is None else _registration(registration),
            targets=[_target(status) for status in self._probes.status(trunk)],
        )

    def operations(self) -> list[AnyOperation]:
        return [
            Operation(
                method="GET",
                path="/v1.0/trunks/{id}/status",
                tag="trunks",
                summary="See how a trunk is",
                detail="Registration and targets as the edge that answers sees them; another one may see otherwise.",
                who="admin",
                query=Nothing,
                body=Nothing,
                result=TrunkStatus,
                handler=self.get,
            )
        ]


def _registration(status: RegistrationStatus) -> TrunkRegistration:
    return TrunkRegistration(
        state=status.state,
        since=instant_text(status.since),
        status=status.status,
        registrar=status.registrar,
        address=status.address,
        expires=status.granted,
    )


def _target(status: TargetStatus) -> TrunkTarget:
    return TrunkTarget(
        target=str(status.target),
        state=status.state,
        since=None if status.since is None else instant_text(status.since),
        status=status.status,
        milliseconds=None if status.seconds is None else round(status.seconds * 1000, 3),
    )
