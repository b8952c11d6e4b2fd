"""The daemon: builds all of it, top to bottom, serves, and takes it down again.

SIGTERM, SIGINT   not ready, 503 for what is new; calls run on for `drain_seconds`, then BYE. A second one: at once.
SIGHUP            read the configuration again: trunks, certificates and log change at once; what else differs
                  needs a restart and is named.
"""

from __future__ import annotations

import asyncio
import gc
import platform
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

from edge import __version__, systemd
from edge.api.app import Server, create_app
from edge.api.forms import call_form, recording_form
from edge.api.opt_outs import opt_out_form
from edge.api.services import Services
from edge.carriers.sip import Sip, SipSection
from edge.carriers.site import Site, build
from edge.config import Config
from edge.demo import Demo, furnish
from edge.errors import Invalid
from edge.flows.session import Session
from edge.http import Guard, HttpSection
from edge.log import configure, get_logger
from edge.media.transport.engine import MediaEngine
from edge.media.transport.loading import open_prompts
from edge.metrics import gauge
from edge.numbers.provider import PROVIDERS, Provider
from edge.plugins import load
from edge.recordings.keeper import Keeper
from edge.recordings.recorder import Recorder
from edge.recordings.spool import Spool
from edge.recordings.storage import open_storage
from edge.recordings.table import RecordingTable
from edge.sessions.admission import Admission
from edge.sessions.calls.after_recording import AfterRecording
from edge.sessions.calls.book import CallBook
from edge.sessions.calls.call import Desk
from edge.sessions.calls.connecting import Switchboard
from edge.sessions.calls.events import CallEvents
from edge.sessions.calls.external_media.desk import ForkDesk
from edge.sessions.calls.guests import Guests
from edge.sessions.calls.lines import open_lines
from edge.sessions.calls.placing import Placing
from edge.sessions.calls.record import COLUMNS, CallRecords, CallTable
from edge.sessions.calls.recording_events import RecordingEvents
from edge.sessions.calls.router import Router
from edge.sessions.calls.unproven import Unproven
from edge.sessions.calls.vouching import Vouching
from edge.sessions.calls.ways import Ways
from edge.sessions.canary import Canary
from edge.sessions.conversation import ConversationTable
from edge.sessions.deliveries.attachment import Attachments
from edge.sessions.deliveries.delivery import DeliveryTable
from edge.sessions.deliveries.desk import Deliveries
from edge.sessions.deliveries.mail import Mail
from edge.sessions.deliveries.webhook import Webhooks
from edge.sessions.entrance import Entrance
from edge.sessions.events.streams import Events
from edge.sessions.events.table import EventTable
from edge.sessions.events.telling import Telling
from edge.sessions.memory import Memory
from edge.sessions.outside import Reach
from edge.sessions.overload import Overload
from edge.sessions.proofs import Proofs
from edge.sessions.queues.leases import Leases
from edge.sessions.step_counts import StepCounts
from edge.sessions.texts.carrier_desk import CarrierDesk
from edge.sessions.texts.carrier_opt_outs import CarrierOptOuts
from edge.sessions.texts.carrier_states import CarrierStates
from edge.sessions.texts.dead_letters import DeadLetters
from edge.sessions.texts.desk import TextDesk, TextRuns
from edge.sessions.texts.events import MessageEvents
from edge.sessions.texts.inbox import Inbox
from edge.sessions.texts.manners import Manners
from edge.sessions.texts.message import Message, MessageTable
from edge.sessions.texts.opt_out_events import OptOutEvents
from edge.sessions.texts.opt_outs import OptOuts
from edge.sessions.texts.opting import Opting
from edge.sessions.texts.outbox import Outbox, Rates
from edge.sessions.texts.parking import Parking
from edge.sessions.texts.parts import PartDesk
from edge.sessions.texts.posting import Posting
from edge.sessions.texts.recent import Recent
from edge.sessions.texts.reports import Reports
from edge.sessions.texts.routes import TextRoutes
from edge.sessions.texts.serving import Serving
from edge.sessions.texts.session import TextSending
from edge.sessions.texts.sip_door import SipDoor
from edge.sessions.texts.sip_messages import SipMessages
from edge.sessions.trunks.asking import Asking
from edge.sessions.trunks.probes import Probes
from edge.sessions.trunks.registrations import Registrations
from edge.sip.agent import Agent
from edge.sip.capture import Capture
from edge.sip.events import Event
from edge.sip.nonce import MAKER, Nonces
from edge.sip.strangers import Strangers
from edge.sip.transport import Endpoint
from edge.sip.transport.tls import read_tls
from edge.sms.keywords import Keywords
from edge.stir.anchors import read_anchors
from edge.stir.repository import Repository
from edge.stir.verifier import Verifier
from edge.store.metadata import new_id, take_chance
from edge.store.shared_key import shared_key
from edge.store.spool import Spool as RowSpool
from edge.store.writer import Writer
from edge.stores import Stores, open_stores
from edge.trunks.table import TrunkTable
from edge.upkeep import Daemon
from edge.voices.studio import Studio, build_voices, open_speech

log = get_logger("daemon")

PLUGINS: Final = ("edge.actions", "edge.carriers", "edge.providers", "edge.storages", "edge.voices")
GC_THRESHOLDS: Final = (5_000, 5, 1_000)  # calls leave no rings: a full collection is rare, for it halts the audio

BUILD = gauge("build_info", "Always 1; the labels say what runs.", ("version", "python"))
START = gauge("start_time_seconds", "When the edge became ready, in seconds since the epoch.")


@asynccontextmanager
async def running(config: Config, prepare: Callable[[Stores], Awaitable[None]] | None = None) -> AsyncIterator[Daemon]:
    """Everything up and listening; down again at the end. Raises EdgeError, or OSError for an address that is taken.

    `prepare` is given the stores before anybody else.
    """
    for package in PLUGINS:
        load(package)
    BUILD.labels(__version__, platform.python_version()).set(1)
    async with AsyncExitStack() as stack:
        stores = await stack.enter_async_context(open_stores(config, embedded_redis=True))
        if prepare is not None:
            await prepare(stores)
        writer = Writer(config.store)
        await writer.start()
        stack.push_async_callback(writer.close)
        record_spool = RowSpool(
            *(config.data / "records", config.records.spool_mb * 1_000_000, "calls", COLUMNS, writer),
            also=open_lines(config.records, _now),
        )
        await record_spool.start()
        stack.push_async_callback(record_spool.close)

        trunks, targets = stores.roll.table, stores.roll.targets
        await stores.roll.start(stores.trunks)
        _warn_of_trunks(config, trunks)
        guard, own = Guard(config.http), Guard(config.http, own=True)
        stack.push_async_callback(guard.close)
        stack.push_async_callback(own.close)
        speech = open_speech(config.speech, build_voices(config.voices, Studio(guard)), config.data / "speech")
        for name, lack in speech.lacks().items():
            log.warning("voice cannot speak", voice=name, why=lack)
        signers = Guard(HttpSection(allow_private=config.stir.allow_private))
        stack.push_async_callback(signers.close)
        credentials = Repository(config.stir, read_anchors(config.stir), signers.request, time.time)
        stack.push_async_callback(credentials.close)
        forks = ForkDesk(guard)
        media = MediaEngine(config.media)
        await media.start()
        stack.push_async_callback(media.close)

        tls = read_tls(config.sip)
        tls.announce()
        entrance = Entrance(trunks, config.sip.trusted_proxies, targets)
        overload = Overload(config.overload, lambda: book.active, lambda: router.waiting)
        nonces = Nonces(
            await shared_key(stores.engine, "nonces", _micros()), take_chance(MAKER), config.sip.nonce_seconds
        )
        ledger = stores.redis if config.redis.url is not None else None  # an embedded one is shared with nobody
        proofs = Proofs(nonces, realm=config.sip.realm, ledger=ledger)
        admission = Admission(entrance, overload, lambda name: book.of_trunk(name), proofs)
        agent = Agent(
            lambda: take_chance(8).hex(),
            advertise=config.sip.advertised(),
            admit=admission,
            known=admission.known,
            takes_tcp=entrance.takes_tcp,
        )
        guests = Guests()
        capture = Capture(config.sip.trace_mb * 1_000_000, _micros) if config.sip.trace_mb else None
        strangers = Strangers(config.sip.ban_after, config.sip.ban_seconds)
        endpoint = Endpoint(
            agent,
            lambda event: router.handle(event),
            lambda address, transport: entrance.admits(address, transport) or guests.admits(address),
            strangers=strangers,
            trace=capture,
            tls=tls,
        )
        stack.push_async_callback(endpoint.close)
        messages = SipMessages(endpoint)
        asking = Asking(endpoint, targets)
        registrations, probes = Registrations(asking), Probes(asking)

        def others(event: Event) -> None:
            messages.handle(event)
            asking.handle(event)

        site = Site(
            messages=messages,
            post=guard.post,
            trunks=trunks,
            targets=targets,
            ask=own.request,
            public_url=config.api.public_url,
        )
        carriers = build(config.carriers, site)

        node = config.node or f"{socket.gethostname()}:{config.data.absolute()}"
        records = MessageTable(stores.engine)
        news = MessageEvents(stores.journal, records, _now)
        text_routes = TextRoutes(config.text_routes, list(carriers))
        one_sender = [name for name, carrier in carriers.items() if carrier.one_sender]
        owning = Leases(writer, (f"carrier:{name}" for name in one_sender), node=node)
        leases = {name: owning[f"carrier:{name}"] for name in one_sender}
        rates = {section.name: Rates(section.rate, section.rate_per_number) for section in config.carriers}
        opt_out_events = OptOutEvents(stores.journal, opt_out_form, _now)
        opt_outs = OptOuts(stores.engine, stores.reader, writer, _now, opt_out_events)
        await opt_outs.start()
        learning = CarrierOptOuts(opt_outs, {name: carrier.opted_out for name, carrier in carriers.items()})
        reports = Reports(config.receipts, stores.engine, stores.reader, writer, _now, news, learning)
        manners = Manners(config.manners, opt_outs, time.monotonic, stores.owned)
        outbox = Outbox(
            *(config.outbox, stores.engine, writer, carriers),
            node=node,
            along=reports,
            news=news,
            leases=leases,
            rates=rates,
            routes=text_routes,
            ask=manners.hand_over,
        )
        conversations = ConversationTable(stores.engine)
        may_go = stores.routes.destinations
        sending = TextSending(outbox, stores.owned, _micros, text_routes, may_go, manners, conversations.find)
        silent = [section.name for section in config.carriers if section.opt_out == "carrier"]
        keywords = Keywords(config.keywords)
        opting = Opting(keywords, opt_outs, sending, silent)
        memory = Memory(config.memory, stores.engine, stores.reader, writer, _now)
        section = config.recordings
        recordings = RecordingTable(stores.engine, writer, RecordingEvents(stores.journal, recording_form, _now))
        spool = Spool(section.spool, section.free_mb * 1_000_000)
        stack.callback(spool.close)
        after = AfterRecording(lambda: desk, _now)
        keeper = Keeper(section, spool, open_storage(section.storage), recordings, node=node, follow=after.run)
        webhooks, mail = Webhooks(guard, stores.secrets, _now), Mail(config.smtp, Attachments(recordings, keeper))
        deliveries = Deliveries(
            config.deliveries, stores.engine, writer, {"webhook": webhooks.send, "email": mail.send}, node=node
        )
        telling = Telling(stores.accounts, stores.customers, webhooks, _now)
        events = Events(config.events, stores.engine, writer, telling.tell, stores.notices, node=node)
        call_events = CallEvents(stores.journal, stores.accounts, writer, call_form, _now, config.store.lazy_ms / 1000)
        stack.push_async_callback(call_events.close)
        book = CallBook(CallRecords(writer, record_spool), guests, call_events.tell)
        unproven = Unproven(book.note, config.sip.nonce_seconds, time.monotonic)
        ways = Ways(trunks, targets, stores.owned, stores.routes, endpoint, config.sip.allow_private)
        placing = Placing(ways, book, lambda: desk, lambda leg, run: router.serve(leg, run))
        reach = Reach(
            flows=stores.library,
            http=guard,
            memory=memory,
            resources=stores.resources,
            webhooks=webhooks,
            mail=mail,
            deliveries=deliveries,
            conversations=conversations,
            texts=sending,
            calls=placing,
            clock=_now,
        )
        parking = Parking(stores.engine, stores.reader, writer, _now)
        runs = TextRuns(stores.directory, sending, reach, parking, _now, opting)
        inbox = Inbox(config.inbox, stores.engine, writer, runs.perform, node=node, news=news)
        texts = TextDesk(stores.directory, inbox, account=stores.routes.account, opting=opting)
        parts = PartDesk(config.parts, stores.engine, stores.reader, writer, texts, _now)
        sip = next((carrier for carrier in carriers.values() if isinstance(carrier, Sip)), None)
        serving = Serving(
            carriers,
            leases,
            CarrierDesk(texts.receive, parts.keep, reports.take, Recent(stores.engine).ids, lambda: daemon.draining),
        )
        door = SipDoor(sip, entrance, texts, endpoint, _now, proofs)

        recorder = Recorder(section, spool, recordings, node=node, closed=keeper.look)
        switchboard = Switchboard(ways, book)
        desk = Desk(
            endpoint,
            media,
            open_prompts(config.media, guard.fetch),
            speech,
            forks,
            _send_for_calls(sending),
            reach,
            recorder,
            switchboard.connect,
            call_events.tell,
        )
        calls, delivered = CallTable(stores.engine), DeliveryTable(stores.engine)
        told = EventTable(stores.engine)
        router = Router(
            entrance=entrance,
            routes=stores.routes,
            desk=desk,
            book=book,
            take_text=door.take,
            other=others,
            proofs=proofs,
            unproven=unproven,
            vouching=Vouching(Verifier(config.stir, credentials, time.time)),
        )
        tables = calls, records, conversations, opt_outs, delivered, told, memory, parking

        async def leave() -> None:
            await asyncio.gather(owning.close(), serving.close(), registrations.close())

        daemon = Daemon(config, stores, endpoint, book, tables, credentials, leave)
        server = Server(
            create_app(
                Services(
                    section=config.api,
                    version=__version__,
                    customers=stores.customers,
                    accounts=stores.accounts,
                    keys=stores.keys,
                    numbers=stores.numbers,
                    providers=_providers(config, stores),
                    flows=stores.flows,
                    calendars=stores.calendars,
                    caller_lists=stores.caller_lists,
                    resources=stores.resources,
                    prompts=(config.media.prompts,),
                    book=book,
                    step_counts=StepCounts(stores.engine),
                    calls=calls,
                    placing=placing,
                    capture=capture,
                    strangers=strangers,
                    messages=records,
                    posting=Posting(sending, records),
                    dead_letters=DeadLetters(
                        *(records, writer, outbox, inbox, sending.may_again, _now, news),
                        way=_way_again(carriers, text_routes),
                    ),
                    conversations=conversations,
                    opt_outs=opt_outs,
                    keywords=keywords,
                    manners=config.manners,
                    sending=sending,
                    recordings=recordings,
                    keeper=keeper,
                    deliveries=delivered,
                    events=told,
                    journal=stores.journal,
                    telling=telling,
                    secrets=stores.secrets,
                    http=guard,
                    trunks=trunks,
                    registrations=registrations,
                    probes=probes,
                    entrance=entrance,
                    roll=stores.roll,
                    stored_trunks=stores.trunks,
                    routes=stores.routes,
                    carriers=list(carriers.values()),
                    keep=texts.receive,
                    report=reports.take,
                    clock=_now,
                    readiness=daemon.readiness,
                    carrier_states=CarrierStates(carriers, serving.places, texts.last, outbox.sending),
                    draining=lambda: daemon.draining,
                )
            ),
            config.api,
        )

        canary = Canary(stores.engine, stores.numbers)
        await targets.refresh()
        for backlog in (outbox, deliveries, events):
            await backlog.start()
            stack.push_async_callback(backlog.close)
        await inbox.start()
        stack.push_async_callback(inbox.close)
        await keeper.start()
        stack.push_async_callback(keeper.close)
        await recorder.start()
        stack.push_async_callback(recorder.close)
        stack.push_async_callback(forks.close)
        stack.push_async_callback(router.close)
        daemon.http = "http://{}:{}".format(*_shown(await server.listen()))
        stack.push_async_callback(server.close)
        daemon.sip = await endpoint.listen(config.sip.listen)
        await owning.start()
        stack.push_async_callback(owning.close)
        await serving.start()
        stack.push_async_callback(serving.close)
        stack.push_async_callback(registrations.close)
        stack.push_async_callback(probes.close)
        for work in (
            daemon.measure_lag(overload),
            daemon.feed_watchdog(),
            daemon.purge(),
            targets.keep_fresh(),
            stores.roll.watch(stores.trunks),
            registrations.watch(trunks),
            probes.watch(trunks),
            canary.watch(asyncio.sleep),
            parking.watch(inbox.accept, asyncio.sleep),
            opt_outs.watch(asyncio.sleep),
            unproven.watch(asyncio.sleep),
            reports.early.watch(asyncio.sleep),
            parts.watch(asyncio.sleep),
            record_spool.watch(asyncio.sleep),
        ):
            stack.push_async_callback(_cancel, asyncio.create_task(_insist(work)))
        START.set(time.time())
        gc.collect()
        gc.freeze()  # what is here now stays: the collector need not walk it again
        gc.set_threshold(*GC_THRESHOLDS)
        yield daemon


async def serve(
    read_config: Callable[[], Config], *, demo: bool, announce: Callable[[Daemon, Demo | None], None]
) -> None:
    """Serve until a signal says to stop. `read_config` is called again for each SIGHUP."""
    config = read_config()
    configure(config.log)
    stop, hurry = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: hurry.set() if stop.is_set() else stop.set())
    shown: Demo | None = None

    async def show(stores: Stores) -> None:
        nonlocal shown
        tables = stores.customers, stores.keys, stores.numbers, stores.flows
        shown = await furnish(config.data, config.media.prompts, *tables)

    async with running(config, show if demo else None) as daemon:
        loop.add_signal_handler(signal.SIGHUP, _reload, daemon, read_config)
        announce(daemon, shown)
        log.info("ready", sip=" ".join(daemon.sip), http=daemon.http, version=__version__)
        systemd.ready(f"serving {' '.join(daemon.sip)} and {daemon.http}")
        await stop.wait()
        await daemon.drain(hurry)
    log.info("stopped")


def _reload(daemon: Daemon, read_config: Callable[[], Config]) -> None:
    systemd.reloading()
    try:
        daemon.reload(read_config())
    except Invalid as error:
        for fault in error.faults:
            log.error("configuration not taken over", where=fault.where, error=fault.what)
    systemd.ready("serving")


def _providers(config: Config, stores: Stores) -> list[Provider]:
    kinds = ((name, getattr(config.providers, name, None), kind) for name, kind in PROVIDERS)
    return [_provider(kind, options, stores) for _, options, kind in kinds if options is not None]


def _provider(kind: Any, options: Any, stores: Stores) -> Provider:
    provider: Provider = kind(options, stores.numbers.taken)
    return provider


def _send_for_calls(sending: TextSending) -> Callable[[Session, str, str, str], Coroutine[Any, Any, str]]:
    """How the flow of a call sends a text."""

    async def send(session: Session, source: str, destination: str, text: str) -> str:
        return await sending.send(
            id=new_id(),
            customer_id=session.customer_id,
            source=source,
            destination=destination,
            text=text,
            reference_id=session.id,
        )

    return send


def _way_again(carriers: Collection[str], routes: TextRoutes) -> Callable[[Message], str]:
    """How a text leaves that is sent again: by its carrier, or as a new one where that is not configured any more."""

    def way(message: Message) -> str:
        carrier, (target,) = message.edge.carrier, message.targets
        if carrier in carriers:
            return carrier
        return next(iter(routes.carriers(message.source.target, target.destination.target)), carrier)

    return way


async def _insist(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except Exception:
        log.exception("background work ended")


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _warn_of_trunks(config: Config, trunks: TrunkTable) -> None:
    """Texts whose carrier sends by a trunk that is nowhere are refused until it is there."""
    for carrier in config.carriers:
        if isinstance(carrier, SipSection) and carrier.trunk is not None and trunks.named(carrier.trunk) is None:
            log.warning("the trunk of a carrier is not there", carrier=carrier.name, trunk=carrier.trunk)


def _now() -> datetime:
    return datetime.now(UTC)


def _micros() -> int:
    return time.time_ns() // 1000


def _shown(address: tuple[str, int]) -> tuple[str, int]:
    host, port = address
    return (f"[{host}]" if ":" in host else host), port
