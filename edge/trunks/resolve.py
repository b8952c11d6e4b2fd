"""The addresses of trunks' targets, known before they are needed.

A target may be a name. Names are resolved here, off the loop, at the start and every now and then, so that nobody who
sends ever waits for DNS. A name that cannot be resolved keeps the address it had; one that never could has none.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

from edge.log import get_logger
from edge.metrics import counter
from edge.names import look_up
from edge.trunks.target import Target
from edge.trunks.trunk import Trunk

log = get_logger("trunks")

FAILED_OVER = counter(
    "trunk_failovers_total", "Calls and texts that went on to another target of their trunk.", ["trunk"]
)

Resolve = Callable[[str, int], Awaitable[str]]  # name, port → an address; raises OSError

DEADLINE_SECONDS: Final = 10.0
REFRESH_SECONDS: Final = 60.0


async def resolve(host: str, port: int) -> str:
    """The first address the system's resolver has for a name. Raises OSError. It runs in a thread."""
    found = await look_up(host, port, kind=socket.SOCK_DGRAM)
    return str(found[0][4][0])


class Targets:
    """Where the targets of trunks are. Targets that are addresses are known from the start."""

    def __init__(self, trunks: Iterable[Trunk], resolver: Resolve = resolve) -> None:
        self._resolve = resolver
        self._addresses: dict[Target, str] = {}
        self._down: set[tuple[str, Target]] = set()  # by the trunk's name
        self.replace(trunks)

    def replace(self, trunks: Iterable[Trunk]) -> None:
        """Other trunks, for all who hold this. A new name has no address until the next `refresh`."""
        targets = {target for trunk in trunks for target in (*trunk.targets, *trunk.registrars)}
        self._names = sorted((target for target in targets if target.is_name), key=str)
        known = {target: address for target, address in self._addresses.items() if target in targets}
        self._addresses = known | {target: target.host for target in targets if not target.is_name}
        self._reached = set(self._addresses.values())
        self._down = {key for key in self._down if key[1] in targets}

    def mark(self, trunk: str, target: Target, *, down: bool) -> None:
        """Whether a target answered when a trunk's was asked last."""
        if down:
            self._down.add((trunk, target))
        else:
            self._down.discard((trunk, target))

    def order(self, trunk: Trunk) -> Sequence[Target]:
        """The targets of a trunk as they are to be tried: as they stand, those that are down behind the others."""
        if not self._down:
            return trunk.targets
        return sorted(trunk.targets, key=lambda target: (trunk.name, target) in self._down)

    def address(self, target: Target) -> str | None:
        """The address of a target now; None for a name that was never resolved."""
        return self._addresses.get(target)

    def reach(self, address: str) -> bool:
        """Whether a target is at an address, so that answers come from there."""
        return address in self._reached

    async def refresh(self) -> None:
        """Resolve all names anew, at once."""
        await asyncio.gather(*(self._refresh(target) for target in self._names))

    async def keep_fresh(self, seconds: float = REFRESH_SECONDS) -> None:
        """Refresh now and then, for ever."""
        while True:
            await asyncio.sleep(seconds)
            await self.refresh()

    async def _refresh(self, target: Target) -> None:
        known = self._addresses.get(target)
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                address = await self._resolve(target.host, target.port)
        except (OSError, TimeoutError) as error:
            log.warning("target not resolved", target=str(target), keeping=known, error=str(error) or "no answer")
            return
        if address != known:
            log.info("target resolved", target=str(target), address=address)
        if target in self._names:  # still, for others may have come meanwhile
            self._addresses[target] = address
            self._reached = set(self._addresses.values())
