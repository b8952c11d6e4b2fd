"""A carrier's side of registrations and probes: a registrar on a socket of this machine, and an edge that talks to it.

The registrar asks for a proof as we ask others for one, and keeps what it was told. The loop's clock jumps
(`tests/jumping.py`), so hours pass in milliseconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, cast

from edge.sessions.trunks.asking import Asking
from edge.sip.agent import Agent
from edge.sip.authentication import Demand, Proof, ask
from edge.sip.digest import Login
from edge.sip.message import Request, parse, respond
from edge.sip.nonce import Nonces
from edge.sip.transport import Endpoint
from edge.trunks.resolve import Targets
from edge.trunks.table import TrunkTable
from edge.trunks.trunk import Trunk

LOGIN = Login("edge", "sesame")
Fields = dict[str, str]


class Carrier(asyncio.DatagramProtocol):
    """Where REGISTERs and OPTIONS come. `statuses` are the next answers, then 200; None says nothing."""

    def __init__(self, nonce_seconds: float = 3600.0) -> None:
        self.requests: list[Request] = []  # repeats not included
        self.times: list[float] = []
        self.bindings: dict[str, int] = {}  # Contact → seconds
        self.statuses: list[int | tuple[int, Fields] | None] = []
        self.login: Login | None = None  # whom it wants proved
        self.silent = False
        self.granted: int | None = None
        self.port = 0
        self._nonces = Nonces(b"carrier", b"them", nonce_seconds)
        self._transport: asyncio.DatagramTransport
        self._answers: dict[str, bytes | None] = {}  # by branch

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, address: Any) -> None:
        message = parse(data)
        assert isinstance(message, Request)
        if self.silent:
            return
        branch = message.via.branch or ""
        if branch not in self._answers:
            self.requests.append(message)
            self.times.append(asyncio.get_running_loop().time())
            self._answers[branch] = self._answer(message, address)
        answer = self._answers[branch]
        if answer is not None:
            self._transport.sendto(answer, address)

    def _answer(self, message: Request, address: Any) -> bytes | None:
        now = asyncio.get_running_loop().time()
        fields: Fields = {}
        if self.login is not None and message.method == "REGISTER":
            outcome = ask(message, Demand(self.login, "carrier"), message.call_id, now, self._nonces).outcome
            if not isinstance(outcome, Proof):
                return respond(message, outcome.status, to_tag="t", fields=outcome.fields, source=address)
        said = self.statuses.pop(0) if self.statuses else 200
        if said is None:
            return None
        status, fields = said if isinstance(said, tuple) else (said, {})
        if status == 200 and message.method == "REGISTER":
            contact = message.headers.get("contact") or ""
            wanted = int(message.headers.get("expires") or 0)
            seconds = min(wanted, self.granted) if self.granted is not None else wanted
            self.bindings.pop(contact, None)
            if seconds:
                self.bindings[contact] = seconds
                fields = {"Contact": f"{contact};expires={seconds}", **fields}
        return respond(message, status, to_tag="t", fields=fields.items(), source=address)

    @property
    def uri(self) -> str:
        return f"sip:127.0.0.1:{self.port}"

    @property
    def expires(self) -> list[str | None]:
        """What the REGISTERs wanted that were no repeats of a refused one."""
        return [request.headers.get("expires") for request in self.requests if request.method == "REGISTER"]


@asynccontextmanager
async def carrier(**more: Any) -> AsyncIterator[Carrier]:
    loop = asyncio.get_running_loop()
    transport, made = await loop.create_datagram_endpoint(lambda: Carrier(**more), ("127.0.0.1", 0))
    try:
        yield made
    finally:
        transport.close()


@asynccontextmanager
async def edge(*trunks: Trunk) -> AsyncIterator[tuple[TrunkTable, Asking]]:
    """What registers and probes: an endpoint on a free port."""
    table, targets = TrunkTable(trunks), Targets(trunks)
    tokens = count(1)
    agent = Agent(lambda: f"t{next(tokens)}")
    endpoint = Endpoint(agent, lambda event: asking.handle(event), lambda _address, _transport: True)
    asking = Asking(endpoint, targets)
    await endpoint.listen(["udp:127.0.0.1:0"])
    try:
        yield table, asking
    finally:
        await endpoint.close()


async def until(true: Callable[[], object], seconds: float = 7200.0) -> None:
    """Wait, by the loop's clock, for something that happens by itself."""
    pause = 0.05
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(pause)
            pause = min(1.0, 1.2 * pause)
