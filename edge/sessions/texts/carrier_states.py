"""How each configured carrier is, as this process sees it: where it is served, and when a text last came and went."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NamedTuple

from edge.sessions.texts.serving import Place
from edge.sms.carrier import Carrier


class Sending(NamedTuple):
    """How far a carrier is given texts by this process."""

    here: bool
    paused: bool
    last: datetime | None


class CarrierState(NamedTuple):
    """One carrier. `connections` is None for one that holds none; times are None for what never was."""

    kind: str
    connections: Place | None
    sending: Place
    paused: bool
    last_received: datetime | None
    last_sent: datetime | None


class CarrierStates:
    """`places` says where connections are, `received` when the last text of each carrier came, `sending` of a name how
    far it is given texts."""

    def __init__(
        self,
        carriers: Mapping[str, Carrier],
        places: Callable[[], Mapping[str, Place]],
        received: Mapping[str, datetime],
        sending: Callable[[str], Sending],
    ) -> None:
        self._carriers = carriers
        self._places = places
        self._received = received
        self._sending = sending

    def __call__(self) -> dict[str, CarrierState]:
        """All that are configured, by name."""
        return {name: self._of(name, carrier) for name, carrier in self._carriers.items()}

    def _of(self, name: str, carrier: Carrier) -> CarrierState:
        here, paused, sent = self._sending(name)
        place = self._places().get(name)
        return CarrierState(
            carrier.kind, place, "here" if here else "elsewhere", paused, self._received.get(name), sent
        )
