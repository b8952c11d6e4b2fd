"""Carriers that hold connections of their own, each served as long as this process is the one to do so.

A carrier of one sender is served under its lease, by the process that also sends its texts; any other by every process.
What ends or raises is begun again after a pause.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Literal

from edge.metrics import gauge
from edge.sessions.queues.leases import Lease, insist
from edge.sms.carrier import Carrier, Connected, Desk

SERVED = gauge("carrier_served", "1 while this process holds the connections of a carrier.", ("carrier",))

Place = Literal["here", "elsewhere"]


class Serving:
    """Serves the carriers. `leases` has one for each carrier of one sender, and is started and closed by itself."""

    def __init__(self, carriers: Mapping[str, Carrier], leases: Mapping[str, Lease], desk: Desk) -> None:
        self._desk = desk
        self._places: dict[str, Place] = {}
        self._everywhere: dict[str, Connected] = {}
        self._tasks: list[asyncio.Task[None]] = []
        for name, carrier in carriers.items():
            if not isinstance(carrier, Connected):
                continue
            self._note(name, "elsewhere")
            if name in leases:
                leases[name].during(f"serving {name}", partial(self._serve, name, carrier))
            else:
                self._everywhere[name] = carrier

    def places(self) -> Mapping[str, Place]:
        """Where each carrier is served that has connections."""
        return self._places

    async def start(self) -> None:
        self._tasks = [
            asyncio.create_task(insist(f"serving {name}", partial(self._serve, name, carrier)))
            for name, carrier in self._everywhere.items()
        ]

    async def close(self) -> None:
        """Take leave of the carriers that have no lease."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def _serve(self, name: str, carrier: Connected) -> None:
        self._note(name, "here")
        try:
            await carrier.serve(self._desk)
        finally:
            self._note(name, "elsewhere")

    def _note(self, name: str, place: Place) -> None:
        self._places[name] = place
        SERVED.labels(name).set(place == "here")
