"""The door put together: every resource mounted on one aiohttp application, and a server for it."""

from __future__ import annotations

import asyncio
import logging

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from edge.api import health, pages, segments, webhooks
from edge.api.access_keys import AccessKeys
from edge.api.activeflows import Activeflows
from edge.api.auth import Door
from edge.api.available_numbers import AvailableNumbers
from edge.api.binding import Binding
from edge.api.calendars import calendars
from edge.api.call_orders import CallOrders
from edge.api.caller_lists import caller_lists
from edge.api.calls import Calls
from edge.api.conversations import Conversations
from edge.api.customers import Customers
from edge.api.deliveries import Deliveries
from edge.api.events import Events
from edge.api.explain import Explain
from edge.api.flows import Flows
from edge.api.graph import Graphs
from edge.api.host import around, mount, mount_plain
from edge.api.ladders import Ladders
from edge.api.message_orders import MessageOrders
from edge.api.messages import Messages
from edge.api.numbers import Numbers
from edge.api.operation import AnyOperation
from edge.api.opt_outs import OptOuts
from edge.api.ordering import Ordering
from edge.api.proxies import Proxies
from edge.api.recordings import Recordings
from edge.api.section import ApiSection
from edge.api.services import Services
from edge.api.simulation import Simulation
from edge.api.trunk_status import TrunkStates
from edge.api.trunks import Trunks
from edge.api.webhook_secrets import WebhookSecrets
from edge.metrics import counter

KEEPALIVE_SECONDS = 75.0  # longer than the minute that proxies and Prometheus keep idle connections
MALFORMED = counter("http_malformed_total", "Requests that were not HTTP, answered 400.")


def operations(services: Services) -> list[AnyOperation]:
    """Everything a client may ask for, in the order the documents show it."""
    binding = Binding(services.flows, services.numbers)
    simulation = Simulation(
        *(services.flows, services.prompts, services.resources, services.keywords, services.manners)
    )
    trunks = Trunks(services.stored_trunks, services.roll, services.numbers)
    ordering = Ordering(services.numbers, services.providers, services.clock)
    return [
        *Numbers(services.numbers, binding, ordering, trunks.unknown).operations(),
        *AvailableNumbers(services.providers).operations(),
        *Flows(services.flows, services.numbers, binding, services.resources).operations(),
        *simulation.operations(),
        *calendars(services.calendars).operations(),
        *caller_lists(services.caller_lists).operations(),
        *Graphs(services.flows, services.step_counts).operations(),
        *Activeflows(services.book).operations(),
        *Calls(services.calls, services.book, services.recordings).operations(),
        *Ladders(services.calls, services.book, services.capture).operations(),
        *CallOrders(services.placing, services.routes.library).operations(),
        *Messages(services.messages).operations(),
        *MessageOrders(services.posting, services.dead_letters).operations(),
        *segments.operations(),
        *Conversations(services.conversations, services.messages, services.sending).operations(),
        *OptOuts(services.opt_outs, services.sending).operations(),
        *Recordings(services.recordings, services.keeper).operations(),
        *Deliveries(services.deliveries).operations(),
        *Events(services.events, services.customers, services.journal, services.telling, services.clock).operations(),
        *Explain(
            services.trunks,
            services.entrance,
            services.routes,
            services.calls,
            services.numbers,
            services.book,
            services.strangers,
            simulation.tried,
        ).operations(),
        *trunks.operations(),
        *TrunkStates(services.trunks, services.registrations, services.probes).operations(),
        *Customers(services.customers, services.http).operations(),
        *WebhookSecrets(services.secrets).operations(),
        *AccessKeys(services.keys, services.clock).operations(),
        *webhooks.operations(services.carriers, services.keep, services.report, services.clock),
        *health.operations(services.readiness, services.carrier_states),
    ]


def create_app(services: Services) -> web.Application:
    """The application. It holds nothing that has to be closed."""
    door = Door(services.keys, services.accounts)
    served = operations(services)
    proxies = Proxies(services.section)
    app = web.Application(middlewares=[around(proxies)], client_max_size=services.section.body_limit)
    mount(app, served, door, services.draining, proxies)
    mount_plain(app, "/openapi.json", {"GET": pages.openapi(served, services.version)})
    mount_plain(app, "/docs", {"GET": pages.docs()})
    mount_plain(app, "/", {"GET": pages.to_docs})
    mount_plain(app, "/metrics", {"GET": pages.metrics(door, services.section.metrics_open)})
    return app


class _Junk(logging.Filter):
    """Counts what is not HTTP at all, which aiohttp answers 400 by itself and would log with a stack each time."""

    def filter(self, record: logging.LogRecord) -> bool:
        junk = record.exc_info is not None and isinstance(record.exc_info[1], HttpProcessingError)
        if junk:
            MALFORMED.inc()
        return not junk and record.levelno >= logging.WARNING


_library_log = logging.getLogger("edge.api.server")
_library_log.setLevel(logging.DEBUG)  # some junk is told at this level only
_library_log.addFilter(_Junk())


class Server:
    """The application on its port."""

    def __init__(self, app: web.Application, section: ApiSection) -> None:
        self._section = section
        # handler_cancellation stays off: a client that goes away does not undo half of an order.
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=_library_log,
            handle_signals=False,
            shutdown_timeout=section.close_seconds,
            keepalive_timeout=KEEPALIVE_SECONDS,
        )

    async def listen(self) -> tuple[str, int]:
        """Start; returns the address it listens on. Raises OSError when that is taken."""
        await self._runner.setup()
        await web.TCPSite(self._runner, self._section.host, self._section.port).start()
        host, port, *_ = self._runner.addresses[0]
        return str(host), int(port)

    async def close(self) -> None:
        """Stop listening, let requests under way finish, cut what is left after `close_seconds`."""
        async with asyncio.timeout(self._section.close_seconds + 1):
            await self._runner.cleanup()
