"""The journal: what happens to the resources of an account is written down as events, with the change it tells of.

In a transaction of the API `number` and `flow` write the event themselves. Accounts whose server does not want to know
cost a look into memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from edge.accounts.customer import Customer, CustomerDirectory, customers
from edge.accounts.event import EventType
from edge.flows.table import StoredFlow
from edge.numbers.number import Number
from edge.sessions.events.event import COLUMNS, Event
from edge.store.cache_outbox import Change
from edge.store.notice import Notices, cache_key

KIND: Final = "event"  # of the notices that an account has new events
AGAIN_KIND: Final = "event_again"  # that some of them are to be told again
_INSERT: Final = sa.text(
    f"INSERT INTO events ({', '.join(COLUMNS)}) VALUES ({', '.join(f':{name}' for name in COLUMNS)})"  # noqa: S608
    " ON CONFLICT (id) DO NOTHING"
)
_HEARS: Final = sa.select(
    *(customers.c[name] for name in ("id", "name", "webhook_uri", "webhook_events", "tm_webhook_gone", "tm_create"))
)


@dataclass(frozen=True, slots=True)
class Forms:
    """Resources as the API shows them."""

    number: Callable[[Number], Mapping[str, Any]]
    flow: Callable[[StoredFlow], Mapping[str, Any]]


class Journal:
    """One for the process."""

    def __init__(
        self, accounts: CustomerDirectory, notices: Notices, forms: Forms, clock: Callable[[], datetime]
    ) -> None:
        self._accounts = accounts
        self._notices = notices
        self._forms = forms
        self._clock = clock

    async def number(self, change: Change, number: Number) -> None:
        """A number was made, changed or released."""
        type: EventType = "number_created"
        if number.tm_delete is not None:
            type = "number_deleted"
        elif number.tm_update is not None:
            type = "number_updated"
        await self._add(change, number.customer_id, type, number.id, number.version, lambda: self._forms.number(number))

    async def flow(self, change: Change, flow: StoredFlow) -> None:
        """A flow was made, changed or deleted."""
        type: EventType = "flow_created"
        if flow.tm_delete is not None:
            type = "flow_deleted"
        elif flow.tm_update is not None:
            type = "flow_updated"
        await self._add(change, flow.customer_id, type, flow.id, flow.version, lambda: self._forms.flow(flow))

    def written(self, customer_id: str) -> None:
        """Events of an account were committed: they can be sent."""
        self._notices.tell(cache_key(KIND, customer_id))

    def replayed(self, customer_id: str) -> None:
        """Events of an account are to be told again, now."""
        self._notices.tell(cache_key(AGAIN_KIND, customer_id))

    async def hears(self, customer_id: str, type: EventType) -> bool:
        """Whether the server of an account is to be told of events of a type. Raises Unavailable."""
        accounts = self._accounts
        found = accounts.peek(customer_id, time.monotonic()) or await accounts.find(customer_id)
        return found.value is not None and found.value.hears(type)

    async def _add(
        self,
        change: Change,
        customer_id: str,
        type: EventType,
        resource_id: str,
        what: object,
        form: Callable[[], Mapping[str, Any]],
    ) -> None:
        """Write an event in a transaction."""
        row = (await change.connection.execute(_HEARS.where(customers.c.id == customer_id))).mappings().first()
        if row is None or not Customer.model_validate(dict(row)).hears(type):
            return
        event = Event(customer_id, type, resource_id, what, form(), self._clock())
        await change.connection.execute(_INSERT, dict(zip(COLUMNS, event.row(), strict=True)))
        change.afterwards.append(lambda: self.written(customer_id))
