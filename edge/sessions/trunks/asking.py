"""Requests of ours that belong to no call, REGISTER and OPTIONS, each with whoever waits for its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from edge.sip.events import AskDone, Event
from edge.sip.peer import Peer
from edge.sip.prover import ROUNDS_MAX, Prover
from edge.sip.transport import Endpoint
from edge.trunks.resolve import Targets
from edge.trunks.target import Target

ANY_LOCAL: Final = ("", 0)
NO_ANSWER: Final = 408


class Asking:
    """One for the daemon. `handle` must get the endpoint's AskDone events."""

    def __init__(self, endpoint: Endpoint, targets: Targets) -> None:
        self.endpoint = endpoint
        self.targets = targets
        self._waiting: dict[int, asyncio.Future[AskDone]] = {}

    def peer(self, target: Target) -> Peer | None:
        """The way to a target; None while it has no address, or none of ours fits."""
        address = self.targets.address(target)
        if address is None:
            return None
        peer = Peer(target.transport, ANY_LOCAL, (address, target.port), subject=target.subject)
        try:
            return peer._replace(local=self.endpoint.local_for(peer))
        except OSError:
            return None

    async def ask(
        self,
        method: str,
        peer: Peer,
        *,
        uri: str,
        from_: str,
        to: str,
        seconds: float,
        call_id: str | None = None,
        number: int = 1,
        fields: Sequence[tuple[str, str]] = (),
        prover: Prover | None = None,
        advertise: str | None = None,
    ) -> AskDone:
        """Send one, and wait for its final answer; after so many seconds without there was none."""
        endpoint = self.endpoint
        id = endpoint.agent.ask(
            method,
            peer=peer,
            uri=uri,
            from_=from_,
            to=to,
            now=endpoint.now(),
            call_id=call_id,
            number=number,
            fields=fields,
            prover=prover,
            advertise=advertise,
        )
        done: asyncio.Future[AskDone] = asyncio.get_running_loop().create_future()
        self._waiting[id] = done
        endpoint.flush()
        try:
            async with asyncio.timeout(seconds):
                return await done
        except TimeoutError:
            return AskDone(id, NO_ANSWER, number + ROUNDS_MAX)  # no CSeq that it was sent with is higher
        finally:
            del self._waiting[id]
            endpoint.agent.drop(id)

    def handle(self, event: Event) -> None:
        if isinstance(event, AskDone):
            waiting = self._waiting.get(event.id)
            if waiting is not None and not waiting.done():
                waiting.set_result(event)
