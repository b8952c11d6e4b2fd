"""Where the carrier by SMPP is tested: an SMSC of our own behind a real socket, and a desk that notes what it gets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any

from edge.carriers.smpp import Smpp
from edge.errors import EdgeError, Unavailable
from edge.sms.part import Part
from edge.sms.smpp.section import SmppSection
from edge.sms.text import Report, Text, Verdict
from tests.carriers.stage import site
from tests.sms.smpp.smsc import Smsc

SECONDS = 10.0  # for anything to happen


class Door:
    """Listens, and has an SMSC for each connection."""

    def __init__(self, prepare: Callable[[Smsc], None] = lambda smsc: None) -> None:
        self.all: list[Smsc] = []
        self.prepare = prepare
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None
        self._changed = asyncio.Event()
        self.port = 0

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def smsc(self) -> Smsc:
        """Of the last connection."""
        return self.all[-1]

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        self.drop()
        await self.until(lambda: all(writer.is_closing() for writer in self._writers))

    def drop(self) -> None:
        """End all connections without a word."""
        for writer in self._writers:
            writer.transport.abort()

    def flush(self) -> None:
        for smsc, writer in zip(self.all, self._writers, strict=True):
            if out := smsc.to_send():
                writer.write(out)

    def write(self, data: bytes) -> None:
        """Octets, by the last connection."""
        self._writers[-1].write(data)

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait for something to have come; looked at after whatever comes."""
        async with asyncio.timeout(SECONDS):
            while not condition():
                await asyncio.sleep(0.002)

    async def got(self, name: str, count: int = 1) -> list[Any]:
        """So many PDUs of a name, by the last connection."""
        await self.until(lambda: self.all and len(self.smsc.named(name)) >= count)
        return self.smsc.named(name)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        smsc = Smsc()
        self.prepare(smsc)
        self.all.append(smsc)
        self._writers.append(writer)
        with suppress(OSError):
            while data := await reader.read(65536):
                smsc.receive(data)
                self.flush()
        writer.close()


class Desk:
    """Keeps what it is given, when it may."""

    def __init__(self) -> None:
        self.kept: list[Text | Part] = []
        self.reports: list[Report] = []
        self.refusals: dict[str, type[EdgeError]] = {}  # by destination
        self.away = False
        self.open = asyncio.Event()  # until then nothing is kept
        self.open.set()
        self.ids: list[str] = []
        self.asked: list[tuple[str, datetime]] = []

    async def keep(self, text: Text | Part, /) -> Verdict:
        await self.open.wait()
        if self.away:
            raise Unavailable("the database is away")
        repeated = any(other.id == text.id for other in self.kept)
        if not repeated:
            self.kept.append(text)
        return Verdict("m1", self.refusals.get(text.destination), repeated)

    async def report(self, report: Report, /) -> None:
        if self.away:
            raise Unavailable("the database is away")
        self.reports.append(report)

    async def recent(self, carrier: str, since: datetime, limit: int, /) -> Sequence[str]:
        self.asked.append((carrier, since))
        if self.away:
            raise Unavailable("the database is away")
        return self.ids[:limit]


def carrier(*hosts: str, **settings: Any) -> Smpp:
    given = {"hosts": hosts, "system_id": "edge", "password": "secret", **settings}
    return Smpp(SmppSection.model_validate(given), site())


@asynccontextmanager
async def served(carrier: Smpp, desk: Desk) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(carrier.serve(desk))
    try:
        yield task
    finally:
        await left(task)


async def left(task: asyncio.Task[None]) -> None:
    """Have it take leave."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
