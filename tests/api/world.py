"""The API over a real socket, on a real database, with two customers and an admin: what its tests stand on."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest

from edge.accounts.customer import CustomerDirectory, CustomerTable
from edge.accounts.key import KeyTable
from edge.accounts.webhook_secret import WebhookSecretTable
from edge.api.app import Server, create_app
from edge.api.forms import FORMS
from edge.api.section import ApiSection
from edge.api.services import Services
from edge.carriers.loopback import Loopback, LoopbackSection
from edge.carriers.site import Site
from edge.errors import Fault, Invalid, Unauthenticated
from edge.flows.dial import CallOrder
from edge.flows.library import Library
from edge.flows.resource import CALENDARS, CALLER_LISTS, Resources, ResourceTable
from edge.flows.table import FlowTable
from edge.http import Guard, HttpSection
from edge.numbers.directory import Directory
from edge.numbers.number import Number
from edge.numbers.provider import AvailableNumber, Order, Search
from edge.numbers.table import NumberTable
from edge.plugins import load
from edge.providers.pool import Pool, PoolRange, PoolSection
from edge.recordings.keeper import Keeper
from edge.recordings.section import RecordingsSection
from edge.recordings.spool import Spool
from edge.recordings.table import Recording, RecordingTable
from edge.sessions.calls.book import CallBook
from edge.sessions.calls.guests import Guests
from edge.sessions.calls.leg import Way, attempt_of
from edge.sessions.calls.placing import Placing
from edge.sessions.calls.record import CallRecords, CallTable
from edge.sessions.conversation import ConversationTable
from edge.sessions.deliveries.delivery import DeliveryTable
from edge.sessions.deliveries.webhook import Webhooks
from edge.sessions.entrance import Entrance
from edge.sessions.events.journal import Journal
from edge.sessions.events.table import EventTable
from edge.sessions.events.telling import Telling
from edge.sessions.origin import Origin
from edge.sessions.outside import Master
from edge.sessions.route import Routes
from edge.sessions.step_counts import StepCounts
from edge.sessions.texts.carrier_states import CarrierState
from edge.sessions.texts.dead_letters import DeadLetters
from edge.sessions.texts.manners import Manners, MannersSection
from edge.sessions.texts.message import MessageTable
from edge.sessions.texts.opt_outs import OptOuts
from edge.sessions.texts.outbox import Outbox, OutboxSection
from edge.sessions.texts.posting import Posting
from edge.sessions.texts.routes import TextRoutes
from edge.sessions.texts.session import TextSending
from edge.sessions.trunks.asking import Asking
from edge.sessions.trunks.probes import Probes
from edge.sessions.trunks.registrations import Registrations
from edge.sip.capture import Capture
from edge.sip.peer import Peer
from edge.sip.strangers import Strangers
from edge.sip.transport import Endpoint
from edge.sms.carrier import Called, Carrier, Hook, Said
from edge.sms.keywords import Keywords
from edge.sms.text import OutgoingText, Receipt, Report, Text, Verdict
from edge.storages.directory import Directory as Folder
from edge.storages.directory import DirectorySection
from edge.store.cache_outbox import CacheWriter
from edge.store.cache_section import CacheSection
from edge.store.engine import StoreSection, open_engine
from edge.store.metadata import NIL, micros, new_id
from edge.store.notice import Notices
from edge.store.reader import Reader
from edge.store.writer import Writer
from edge.trunks.roll import TrunkRoll
from edge.trunks.stored import StoredTrunks
from edge.trunks.trunk import Trunk

load("edge.actions")
load("edge.carriers")

on_still = pytest.mark.asyncio(loop_scope="session")  # for tests that take the fixture `still`

START = datetime(2026, 8, 1, 9, 0, tzinfo=UTC)
NODE = "world"  # the process, in rows that say whose they are
FREE = "+14155550100"  # the first of a hundred numbers of the pool

CALL_FLOW = {"name": "greeting", "actions": [{"id": "a", "type": "answer"}, {"id": "b", "type": "hangup"}]}
MESSAGE_FLOW = {"name": "thanks", "actions": [{"id": "r", "type": "reply", "option": {"text": "thanks"}}]}
BOTH_FLOW = {"name": "both", "actions": [{"id": "s", "type": "stop"}]}


class Clock:
    """Each look at it is a microsecond later."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        self.now += timedelta(microseconds=1)
        return self.now


@dataclass(frozen=True)
class Residents:
    """The two customers and the admin, and when they had settled."""

    a: str
    b: str
    key_a: str
    key_b: str
    key_admin: str
    since: datetime


@dataclass
class Shop:
    """What `Fickle` does next, and what it was asked."""

    answers: list[Order | Exception] = field(default_factory=list)
    orders: list[tuple[str, str]] = field(default_factory=list)
    released: list[str] = field(default_factory=list)


class Fickle:
    """A provider of +1999…, whose orders come out as told."""

    name = "fickle"

    def __init__(self, shop: Shop) -> None:
        self.shop = shop

    async def search(self, wanted: Search) -> list[AvailableNumber]:
        number = f"+{wanted.contains}"
        offered = number.startswith("+1999") and wanted.type == "normal"
        return [AvailableNumber(number=number, provider_name=self.name, country="US")] if offered else []

    async def order(self, number: str, reference: str) -> Order:
        self.shop.orders.append((number, reference))
        answer = self.shop.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def release(self, number: str, reference: str) -> None:
        self.shop.released.append(number)


class Mailbox:
    """Keeps texts as the text desk would; `failure` is what it raises instead."""

    def __init__(self) -> None:
        self.texts: list[Text] = []
        self.reports: list[Report] = []
        self.failure: Exception | None = None

    async def __call__(self, text: Text) -> Verdict:
        if self.failure is not None:
            raise self.failure
        self.texts.append(text)
        return Verdict(new_id())

    async def report(self, report: Report) -> None:
        if self.failure is not None:
            raise self.failure
        self.reports.append(report)


class Bell(Carrier):
    """A carrier that calls hooks: texts are lines `from to text`, reports lines `id status`, proven by a word."""

    LIMIT = 200
    WORD = "rightly"

    def __init__(self) -> None:
        super().__init__("bell")
        self.called: list[Called] = []

    async def send(self, text: OutgoingText) -> Receipt:
        raise NotImplementedError  # a carrier that calls us; no test of the API sends by it

    def routes(self) -> Sequence[Hook]:
        read, answer = self._read, self._answer
        return (
            Hook(suffix="hook", summary="Ring", read=read, answer=answer, limit=self.LIMIT),
            Hook(suffix="hook", summary="Ring", read=read, answer=answer, method="GET"),
        )

    def _read(self, called: Called) -> Sequence[Text | Report]:
        self.called.append(called)
        proof = called.headers.get("X-Bell")
        if proof != self.WORD:
            raise Unauthenticated("not proven", reason="STALE" if proof == "yesterday" else "SIGNATURE_WRONG")
        return [self._one(at, *line.split()) for at, line in enumerate(called.body.decode().splitlines())]

    def _one(self, at: int, *words: str) -> Text | Report:
        now = START
        match words:
            case (source, destination, body):
                return Text(self.name, f"{at} {body}", source, destination, body, now)
            case (carrier_id, "delivered"):
                return Report(self.name, carrier_id, "delivered", now)
        raise Invalid("no text and no report", faults=[Fault(f"line[{at}]", f"has {len(words)} words")])

    def _answer(self, verdicts: Sequence[Verdict]) -> Said:
        return Said(b"<%d/>" % len(verdicts), "text/xml", 202) if verdicts else Said()


class World:
    """A running API. `as_a`, `as_b` and `admin` ask it with the keys of two customers and of an admin."""

    def __init__(
        self,
        url: str,
        database_url: str,
        services: Services,
        clock: Clock,
        directory: Directory,
        shop: Shop,
        mailbox: Mailbox,
        bell: Bell,
        residents: Residents,
        folder: Path,
    ) -> None:
        self.folder = folder
        self.url = url
        self.database_url = database_url
        self.services = services
        self.clock = clock
        self.directory = directory
        self.shop = shop
        self.mailbox = mailbox
        self.bell = bell
        self.reasons: list[Fault] = []
        self.is_draining = False
        self.a, self.b = residents.a, residents.b
        self.key_a, self.key_b, self.key_admin = residents.key_a, residents.key_b, residents.key_admin
        self.client: aiohttp.ClientSession

    async def ask(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, **more: Any
    ) -> tuple[int, Any, aiohttp.ClientResponse]:
        """Status, body and response. `key` None: customer A's; empty: none."""
        token = self.key_a if key is None else key
        headers = {**({"Authorization": f"Bearer {token}"} if token else {}), **more.pop("headers", {})}
        async with self.client.request(
            method, self.url + path, json=body, headers=headers, allow_redirects=False, **more
        ) as response:
            kind = response.content_type
            return response.status, await (response.json() if kind == "application/json" else response.text()), response

    async def did(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> Any:
        """The body of what has to succeed."""
        status, answer, _ = await self.ask(method, path, body, key=key)
        assert status == 200, answer
        return answer

    async def refused(
        self, status: int, method: str, path: str, body: Any = None, *, key: str | None = None, **more: Any
    ) -> dict[str, Any]:
        """The error of what has to be refused."""
        found, answer, response = await self.ask(method, path, body, key=key, **more)
        assert found == status, answer
        assert answer["error"]["request_id"] == response.headers["X-Request-Id"]
        error: dict[str, Any] = answer["error"]
        return error

    async def flow(self, document: dict[str, Any] = BOTH_FLOW, *, key: str | None = None) -> str:
        made = await self.did("POST", "/v1.0/flows", document, key=key)
        return str(made["id"])

    async def number(self, number: str = FREE, *, key: str | None = None, **fields: Any) -> dict[str, Any]:
        made: dict[str, Any] = await self.did("POST", "/v1.0/numbers", {"number": number, **fields}, key=key)
        return made

    async def routed(self, number: str) -> Number:
        """What the path of a call finds."""
        found = (await self.directory.find(number)).value
        assert found is not None
        return found


async def nothing(recording: Recording) -> None:
    raise AssertionError("no recording names a flow")


def wheres(error: dict[str, Any]) -> list[str]:
    return [detail["where"] for detail in error["details"]]


async def settle(database_url: str) -> Residents:
    """Make the customers and their keys in a migrated database."""
    clock = Clock()
    engine = await open_engine(database_url)
    customers = CustomerTable(engine, CacheWriter(engine, None, Notices(), clock=clock), clock=clock)
    keys = KeyTable(engine, clock=clock)
    a, b = (await customers.create("A")).id, (await customers.create("B")).id
    key_a, key_b = (await keys.create(a, name="a"))[1], (await keys.create(b, name="b"))[1]
    key_admin = (await keys.create(None, admin=True, name="admin"))[1]
    await engine.dispose()
    return Residents(a, b, key_a, key_b, key_admin, clock())


class Phones:
    """Where calls end that the API makes: every one is begun, and nobody is called."""

    async def call(self, origin: Origin, order: CallOrder, master: Master | None = None) -> list[Any]:
        made = []
        for destination in order.destinations:
            there = Peer("udp", ("192.0.2.1", 5060), ("192.0.2.2", 5060))
            way = Way(there, destination, "", "", (), 70, "carrier", order.source or "", destination)
            attempt = attempt_of(way, origin.customer_id, NIL, origin.number, NIL)
            attempt.flow_id = order.flow.id
            made.append(SimpleNamespace(attempt=attempt))
        return made


@asynccontextmanager
async def running(
    database_url: str, section: ApiSection | None = None, residents: Residents | None = None
) -> AsyncIterator[World]:
    """A world on a migrated database, in which the residents have settled already when they are given."""
    with TemporaryDirectory() as folder:
        async with _running(database_url, section, residents, Path(folder)) as world:
            yield world


@asynccontextmanager
async def _running(
    database_url: str, section: ApiSection | None, residents: Residents | None, folder: Path
) -> AsyncIterator[World]:
    residents = residents or await settle(database_url)
    clock, shop, mailbox, bell = Clock(residents.since), Shop(), Mailbox(), Bell()
    engine = await open_engine(database_url)
    notices = Notices()
    reader = Reader(StoreSection(url=database_url))
    await reader.start()
    cache = CacheWriter(engine, None, notices, clock=clock)
    fresh = CacheSection(untracked_seconds=30.0)
    directory = Directory(fresh, notices, None, reader)
    accounts = CustomerDirectory(fresh, notices, None, reader)
    journal = Journal(accounts, notices, FORMS, clock)
    numbers = NumberTable(engine, cache, clock=clock, note=journal.number)
    flows = FlowTable(engine, cache, clock=clock, note=journal.flow)
    customers, secrets = CustomerTable(engine, cache, clock=clock), WebhookSecretTable(engine, clock=clock)
    pool = PoolRange(country="US", first=FREE, last="+14155550199", region="California")
    virtual = PoolRange(country="899", first="+899001000000", last="+899001000099", type="virtual", features=("voice",))
    providers: Sequence[Any] = (Pool(PoolSection(ranges=(pool, virtual)), numbers.taken), Fickle(shop))
    roll = TrunkRoll([Trunk(name="carrier", networks=("192.0.2.0/24",), country="US")], notices)
    trunks = roll.table
    # its carriers only take texts in, and ask nothing
    site: Any = Site(messages=None, post=None, trunks=trunks, targets=roll.targets, ask=None)  # type: ignore[arg-type]
    writer = Writer(StoreSection(url=database_url))
    await writer.start()
    recordings = RecordingTable(engine, writer)
    opt_outs = OptOuts(engine, reader, writer, clock)
    spool = Spool(folder / "spool", 0)
    guard = Guard(HttpSection(allow_private=[ip_network("127.0.0.0/8")]))
    keeping = RecordingsSection(storage=DirectorySection(path=folder / "recordings"))
    keeper = Keeper(
        keeping, spool, Folder(DirectorySection(path=folder / "recordings")), recordings, node=NODE, follow=nothing
    )
    loopback, messages = Loopback(LoopbackSection(), site), MessageTable(engine)
    outbox = Outbox(OutboxSection(), engine, writer, {"loopback": loopback}, node=NODE)  # not begun: nothing is sent
    routes = Routes(directory, accounts, Library(fresh, notices, None, reader))

    async def owned(number: str, customer_id: str) -> Number | None:
        found = (await directory.find(number)).value
        return found if found is not None and (found.customer_id, found.status) == (customer_id, "active") else None

    ways, manners = TextRoutes((), ["loopback"]), Manners(MannersSection(), opt_outs, time.monotonic)
    conversations = ConversationTable(engine)
    sending = TextSending(
        outbox, owned, lambda: micros(clock()), ways, routes.destinations, manners, conversations.find
    )
    asking = Asking(cast("Endpoint", None), roll.targets)
    world: World
    services = Services(
        section=section or ApiSection(port=0),
        version="0.1.0",
        customers=customers,
        accounts=accounts,
        keys=KeyTable(engine, clock=clock),
        numbers=numbers,
        providers=providers,
        flows=flows,
        calendars=ResourceTable(CALENDARS, engine, cache, clock=clock),
        caller_lists=ResourceTable(CALLER_LISTS, engine, cache, clock=clock),
        resources=Resources.open(fresh, notices, None, reader),
        prompts=(folder / "prompts",),
        book=CallBook(CallRecords(writer), Guests()),
        step_counts=StepCounts(engine),
        calls=CallTable(engine),
        placing=cast("Placing", Phones()),
        capture=Capture(1_000_000, lambda: micros(clock())),
        strangers=Strangers(),
        messages=messages,
        posting=Posting(sending, messages),
        dead_letters=DeadLetters(messages, writer, outbox, outbox, sending.may_again, clock),
        conversations=conversations,
        opt_outs=opt_outs,
        keywords=Keywords(),
        manners=MannersSection(a_minute=2),
        sending=sending,
        recordings=recordings,
        keeper=keeper,
        deliveries=DeliveryTable(engine),
        events=EventTable(engine),
        journal=journal,
        telling=Telling(accounts, customers, Webhooks(guard, secrets, clock), clock),
        secrets=secrets,
        http=guard,
        trunks=trunks,
        entrance=Entrance(trunks),
        roll=roll,
        stored_trunks=StoredTrunks(engine, cache, roll.given, clock=clock),
        registrations=Registrations(asking),
        probes=Probes(asking),
        routes=routes,
        carriers=[loopback, bell],
        keep=mailbox,
        report=mailbox.report,
        clock=clock,
        readiness=lambda: world.reasons,
        carrier_states=lambda: {
            "acme": CarrierState("smpp", "here", "here", True, START, None),
            "web": CarrierState("telnyx", None, "elsewhere", False, None, START),
        },
        draining=lambda: world.is_draining,
    )
    server = Server(create_app(services), services.section)
    host, port = await server.listen()
    url = f"http://{host}:{port}"
    world = World(url, database_url, services, clock, directory, shop, mailbox, bell, residents, folder)
    try:
        async with aiohttp.ClientSession() as world.client:
            yield world
    finally:
        await server.close()
        await guard.close()
        spool.close()
        await writer.close()
        await reader.close()
        await engine.dispose()
