"""A line to the edge: the real agent, router, stores and media, with a ladder where the SIP sockets would be.

    async with exchange(folder, template) as line:
        await line.number(actions=[…])
        line >> invite() << 100
        await line.comes(302)

The flows wait for stores and media as they do in the daemon, so what follows from that is awaited with `comes`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from shutil import copy
from typing import Any, cast

import sqlalchemy as sa

from edge.config import LOOPBACK, Config
from edge.errors import Unavailable
from edge.flows.session import Session
from edge.http import Answer, Guard, HttpSection, Method
from edge.media.section import MediaSection
from edge.media.transport.engine import MediaEngine
from edge.media.transport.loading import open_prompts
from edge.numbers.number import Number, draft
from edge.plugins import load
from edge.recordings.recorder import Recorder
from edge.sessions.admission import Admission
from edge.sessions.calls.book import CallBook
from edge.sessions.calls.call import Desk
from edge.sessions.calls.connecting import Switchboard
from edge.sessions.calls.external_media.desk import ForkDesk
from edge.sessions.calls.guests import Guests
from edge.sessions.calls.offered import OfferedCall
from edge.sessions.calls.record import Attempt, CallRecords, wall_micros
from edge.sessions.calls.router import Router
from edge.sessions.calls.unproven import Unproven
from edge.sessions.calls.vouching import Vouching
from edge.sessions.calls.ways import Ways
from edge.sessions.entrance import Entrance
from edge.sessions.overload import Overload, OverloadSection
from edge.sessions.proofs import Proofs
from edge.sessions.route import Routes
from edge.sessions.tables import calls
from edge.sip.agent import Agent
from edge.sip.events import Event, Offer, TextOffer
from edge.sip.nonce import Nonces
from edge.sip.peer import Peer
from edge.sip.transport import Endpoint
from edge.sip.turn import Turn
from edge.stir.repository import Repository
from edge.stir.section import StirSection
from edge.stir.verifier import Verifier
from edge.store.cache_section import CacheSection
from edge.store.engine import StoreSection, reading
from edge.store.metadata import new_id
from edge.store.tiers import Found
from edge.store.writer import Writer
from edge.stores import Stores, open_stores
from edge.trunks.resolve import Targets
from edge.trunks.table import TrunkTable
from edge.trunks.trunk import Network, Trunk
from tests.media.parrot import Parrot
from tests.sessions.ground import reach, until
from tests.sip.ladder import Ladder, request

load("edge.actions")

NUMBER, CALLER = "+14155550100", "+14155550199"
MESSAGE = "01910000-0000-7000-8000-000000000001"  # the id of what was sent
THERE = "192.0.2.9"  # where the trunk leads
PEER = Peer("udp", ("127.0.0.1", 5060), ("127.0.0.2", 5062))
OUT = Trunk.model_validate(
    {"name": "out", "networks": ["192.0.2.0/24"], "target": f"sip:{THERE}:5060", "outbound": True, "pass_caller": True}
)
MEDIA = MediaSection(first_port=18000, last_port=18999, port_rest_seconds=0)


def tag(address: str) -> str:
    """The tag of a From or To of ours, which stands last."""
    return address.rpartition("tag=")[2]


class Line(Ladder):
    """One caller, and the edge. `texts` and `others` are what the router gave to others than calls, unless `take_text`
    and `other` are set to somebody else.
    """

    def __init__(self) -> None:
        self.trunks = TrunkTable([LOOPBACK, OUT])
        self.entrance = Entrance(self.trunks)
        self.overload = Overload(OverloadSection(), lambda: self.book.active, lambda: self.router.waiting)
        self.proofs = Proofs(Nonces(b"key", b"edge", 60.0), clock=lambda: self.now)
        self.unproven = Unproven(lambda attempt: self.book.note(attempt), 60.0, lambda: self.now)
        self.certificates = Repository(StirSection(allow_http=True), (), self.fetch_certificate, lambda: self.wall)
        self.vouching = Vouching(Verifier(StirSection(), self.certificates, lambda: self.wall))
        self.fetched: list[str] = []  # URLs of certificates
        self.served: dict[str, Answer] = {}  # what is there
        self.wall = 1_800_000_000.0  # what the clock on it says
        tokens = count(1)
        super().__init__(
            PEER,
            Agent(
                lambda: f"t{next(tokens)}",
                admit=Admission(self.entrance, self.overload, lambda name: self.book.of_trunk(name), self.proofs),
            ),
        )
        self.texts: list[TextOffer] = []
        self.take_text: Callable[[TextOffer], None] = self.texts.append
        self.others: list[Event] = []
        self.other: Callable[[Event], None] = self.others.append
        self.sent: list[tuple[str, str, str]] = []
        self.owned = {NUMBER}
        self.names: dict[str, str] = {}
        self.private: list[Network] = []
        self.listed: tuple[str, ...] = ()
        self.kept: list[Attempt] = []
        self.stores: Stores
        self.router: Router
        self.book: CallBook
        self.desk: Desk
        self.media: MediaEngine
        self.writer: Writer
        self.parrot = Parrot()
        self.forks = ForkDesk(Guard(HttpSection()))
        self._turn = Turn(self.agent, self._told, self._out)

    def ways(self) -> Ways:
        """Calls of ours go out by one trunk; in a line without stores every number of `owned` is anybody's."""
        return Ways(
            self.trunks, Targets(self.trunks), self.owns, Known(self), self.desk.endpoint, self.private, self.resolve
        )

    async def resolve(self, host: str, port: int) -> str:
        if host not in self.names:
            raise OSError("no such name")
        return self.names[host]

    async def fetch_certificate(self, method: Method, url: str, **limits: Any) -> Answer:
        self.fetched.append(url)
        if url not in self.served:
            raise Unavailable(f"{url} is away")
        return self.served[url]

    async def owns(self, number: str, customer_id: str) -> Number | None:
        if hasattr(self, "stores"):
            return await self.stores.owned(number, customer_id)
        return cast("Number", number) if number in self.owned else None

    def keep(self, attempt: Attempt) -> None:
        """A record, where there is no database for it."""
        self.kept.append(attempt)

    def wired(self, kind: type[Router], routes: Routes | None, records: CallRecords | None) -> Router:
        """A router on this line, with a book of its own."""
        self.book = CallBook(records or cast("CallRecords", self), Guests())
        return kind(
            entrance=self.entrance,
            routes=cast("Routes", routes),
            desk=self.desk,
            book=self.book,
            take_text=lambda text: self.take_text(text),
            other=lambda event: self.other(event),
            proofs=self.proofs,
            unproven=self.unproven,
            vouching=self.vouching,
        )

    def rewire(self) -> None:
        """A router for the desk of now."""
        self.router = self.wired(Router, self.stores.routes, CallRecords(self.writer))

    @property
    def call(self) -> OfferedCall:
        """The call that was offered last, where nobody else sees to it."""
        assert isinstance(self.router, Switch)
        return self.router.call

    def _told(self, event: Event) -> None:
        self.events.append(event)
        self.router.handle(event)

    def _out(self, peer: Peer, data: bytes) -> bool:
        self.out.append((peer, data))
        return True

    def drain(self) -> Line:
        if self._turn.begin():
            self._turn.end(self.now)
        return self

    async def comes(self, expected: int | str) -> Line:
        """Wait for the next message, which must be this."""
        await until(lambda: self.out)
        self << expected
        return self

    async def over(self) -> dict[str, Any]:
        """Wait until no call is left; the newest record."""
        async with asyncio.timeout(5):
            await self.book.idle()
        return (await self.records())[-1]

    async def records(self) -> list[dict[str, Any]]:
        """All records, oldest first."""
        await self.writer.flush()
        async with reading(self.stores.engine) as connection:
            found = await connection.execute(sa.select(calls).order_by(calls.c.tm_create, calls.c.id))
            return [dict(row) for row in found.mappings()]

    async def flow(self, actions: list[dict[str, Any]], customer_id: str, following: str = "") -> str:
        document = {"name": "flow", "actions": actions, "on_complete_flow_id": following}
        return (await self.stores.flows.create(customer_id, document)).id

    async def number(self, *actions: dict[str, Any], number: str = NUMBER, **fields: Any) -> Number:
        """A number of a customer of its own, bound to a flow of these actions if there are any."""
        customer = await self.stores.customers.create("acme")
        if actions:
            fields["call_flow_id"] = await self.flow(list(actions), customer.id)
        return await self.stores.numbers.create(draft(customer_id=customer.id, number=number, **fields))

    def ack(self) -> Line:
        """Acknowledge the 200 that was taken last."""
        self >> request("ACK", branch="ack", call_id=self.header("call-id"), to_tag=tag(self.header("to")))
        return self

    def bye(self) -> Line:
        """Hang up the call whose message from us was taken last."""
        side = "to" if self.header("from").endswith("tag=them") else "from"
        self >> request("BYE", branch="bye", cseq=9, call_id=self.header("call-id"), to_tag=tag(self.header(side)))
        return self


class Known:
    """What is known of numbers and accounts: what the stores know, if there are any."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def number(self, e164: str) -> Found[Number]:
        line = self._line
        return await line.stores.routes.number(e164) if hasattr(line, "stores") else Found(None, "memory")

    async def destinations(self, customer_id: str) -> tuple[str, ...]:
        line = self._line
        return await line.stores.routes.destinations(customer_id) if hasattr(line, "stores") else line.listed


class Door:
    """What sessions and the daemon use of an endpoint."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self.listening = asyncio.Event()
        self.listening.set()

    @property
    def agent(self) -> Agent:
        return self._line.agent

    def now(self) -> float:
        return self._line.now

    def flush(self) -> None:
        self._line.drain()

    def local_for(self, peer: Peer) -> tuple[str, int]:
        if peer.transport != PEER.transport:
            raise OSError(f"no address of ours can reach {peer.transport}")
        return PEER.local

    async def settle(self, seconds: float) -> None:
        """Nobody answers by himself."""


class Switch(Router):
    """A router that leaves what to do with an offered call to the test."""

    call: OfferedCall

    def _offered(self, offer: Offer) -> None:
        self.call = offer.owner = OfferedCall(offer, self._desk, attempt_of(offer))


def attempt_of(offer: Offer) -> Attempt:
    return Attempt(
        id=new_id(),
        call_id=offer.call_id,
        remote=offer.peer.remote[0],
        dialed=offer.request.uri,
        source=offer.request.caller[0],
        source_name=offer.request.caller[1],
        tm_create=wall_micros(),
    )


@asynccontextmanager
async def talking(folder: Path, media: MediaSection = MEDIA) -> AsyncIterator[Line]:
    """A line with media and prompts, without stores: what is offered is `line.call`."""
    (folder / "prompts").mkdir(exist_ok=True)
    line = Line()
    line.media = MediaEngine(media)
    await line.media.start()

    async def fetch(url: str) -> bytes:
        raise AssertionError(f"nobody should fetch {url}")

    async def send(session: Session, source: str, destination: str, text: str) -> str:
        line.sent.append((source, destination, text))
        return MESSAGE

    prompts = open_prompts(media.model_copy(update={"prompts": folder / "prompts"}), fetch)
    line.desk = Desk(
        cast("Endpoint", Door(line)),
        line.media,
        prompts,
        line.parrot.speech(folder / "speech"),
        line.forks,
        send,
        reach(),
        cast("Recorder", None),
        lambda call, dial: Switchboard(line.ways(), line.book).connect(call, dial),
    )
    line.router = line.wired(Switch, None, None)
    try:
        yield line
    finally:
        await line.media.close()


@asynccontextmanager
async def exchange(folder: Path, template: Path) -> AsyncIterator[Line]:
    """The edge on a copy of a migrated database, its prompts in `folder/prompts`."""
    copy(template, folder / "edge.sqlite3")
    store = StoreSection(url=f"sqlite:///{folder}/edge.sqlite3", lazy_ms=1)
    config = Config(data=folder, store=store, cache=CacheSection(untracked_seconds=60))
    async with AsyncExitStack() as stack:
        line = await stack.enter_async_context(talking(folder))
        line.stores = await stack.enter_async_context(open_stores(config))
        line.desk = replace(line.desk, reach=replace(line.desk.reach, flows=line.stores.library))
        line.writer = Writer(config.store)
        await line.writer.start()
        stack.push_async_callback(line.writer.close)
        line.rewire()
        stack.push_async_callback(lambda: line.router.close())
        yield line
