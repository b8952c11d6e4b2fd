"""What flows may ask of the world (`flows.outside`), done with what the daemon shares among all sessions.

A host is the session that asks. It decides how to wait: a call gives up when it is over, a text tries again until what
was away is back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

from edge.errors import NotFound, Unavailable
from edge.flows.calendar import Calendar
from edge.flows.caller_list import Callers
from edge.flows.dial import CallOrder
from edge.flows.flow import Flow
from edge.flows.outside import Email, Webhook
from edge.flows.resource import ResourceLibrary, Resources
from edge.flows.session import SessionEnded
from edge.http import Answer, Guard, Method
from edge.sessions.conversation import Conversation, ConversationTable
from edge.sessions.deliveries.desk import Deliveries
from edge.sessions.deliveries.mail import Mail
from edge.sessions.deliveries.webhook import Webhooks, delivery_of
from edge.sessions.memory import Memory
from edge.sessions.origin import Origin
from edge.store.tiers import Found

T = TypeVar("T")


class Flows(Protocol):
    """The flow library, as far as sessions need it."""

    async def find(self, flow_id: str, /) -> Found[Flow]: ...

    async def find_version(self, flow_id: str, version: int, /) -> Found[Flow]: ...


class Texts(Protocol):
    """Who sends texts, as far as conversations need it."""

    async def go_on(
        self, conversation: Conversation, id: str, customer_id: str, text: str, *, reference_id: str
    ) -> str: ...


class Made(Protocol):
    """A call that was made for a flow."""

    @property
    def id(self) -> str: ...

    @property
    def ended(self) -> SessionEnded | None:
        """Why it is over; None while it rings or is up."""

    def hang_up(self, reason: str) -> None: ...


class Master(Protocol):
    """A session that calls are chained to."""

    @property
    def id(self) -> str: ...

    def chain(self, call: Made) -> None:
        """Hang that call up when the session ends, or at once when it has."""


class Calls(Protocol):
    """Who makes calls (`calls.placing.Placing`)."""

    async def call(self, origin: Origin, order: CallOrder, master: Master | None = None) -> Sequence[Made]: ...


class Host(Protocol):
    """The session that asks."""

    @property
    def id(self) -> str: ...

    @property
    def customer_id(self) -> str: ...

    @property
    def number_id(self) -> str:
        """Our number."""

    @property
    def peer(self) -> str:
        """Who is at the other end, in E.164 if he has a number; "" when he is not known."""

    @property
    def origin(self) -> Origin:
        """On whose behalf it makes calls."""

    def chain(self, call: Made) -> None:
        """See `Master`."""

    def next_id(self) -> str:
        """An id for what the step at work makes. A run that is repeated gets the same ones again."""

    async def during(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What the work returns, as long as the session lasts. It may be begun anew while something is Unavailable."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What the daemon has, one for all sessions."""

    flows: Flows
    http: Guard
    memory: Memory
    webhooks: Webhooks
    mail: Mail
    deliveries: Deliveries
    conversations: ConversationTable
    texts: Texts
    calls: Calls
    clock: Callable[[], datetime]
    resources: Resources


class Outside:
    """Implements `flows.outside.Outside` for one session."""

    __slots__ = ("_host", "_reach")

    def __init__(self, host: Host, reach: Reach) -> None:
        self._host = host
        self._reach = reach

    async def flow(self, flow_id: str) -> Flow:
        found = await self._host.during(lambda: self._reach.flows.find(flow_id))
        if found.value is None or found.value.customer_id != self._host.customer_id:
            raise NotFound(f"there is no flow {flow_id[:60]}", reason="FLOW_NOT_FOUND")
        return found.value

    async def calendar(self, reference: str) -> Calendar:
        return await self._resource(self._reach.resources.calendars, reference)

    async def caller_list(self, reference: str) -> Callers:
        return await self._resource(self._reach.resources.caller_lists, reference)

    async def recall(self) -> Mapping[str, str]:
        host, memory = self._host, self._reach.memory
        return await host.during(lambda: memory.recall(host.number_id, host.peer))

    async def remember(self, name: str, value: str) -> None:
        host, memory = self._host, self._reach.memory
        await host.during(lambda: memory.remember(host.number_id, host.peer, name, value))

    async def request(
        self, method: Method, url: str, *, headers: Mapping[str, str], body: bytes | None = None, max_bytes: int
    ) -> Answer:
        return await self._once(
            lambda: self._reach.http.request(method, url, headers=headers, body=body, max_bytes=max_bytes)
        )

    async def call_webhook(self, webhook: Webhook, *, max_bytes: int) -> Answer:
        event_id = self._host.next_id()
        return await self._once(
            lambda: self._reach.webhooks.ask(event_id, self._host.customer_id, webhook, max_bytes=max_bytes)
        )

    async def send_webhook(self, webhook: Webhook) -> str:
        host, reach = self._host, self._reach
        delivery = delivery_of(host.next_id(), host.customer_id, host.id, webhook, reach.clock())
        await host.during(lambda: reach.deliveries.put(delivery))
        return delivery.id

    async def send_email(self, email: Email) -> str:
        host, reach = self._host, self._reach
        email_id, now = host.next_id(), reach.clock()
        delivery = await host.during(lambda: reach.mail.delivery_of(email_id, host.customer_id, host.id, email, now))
        await host.during(lambda: reach.deliveries.put(delivery))
        return delivery.id

    async def send_to_conversation(self, conversation_id: str, text: str) -> str:
        host, reach = self._host, self._reach
        found = await host.during(lambda: reach.conversations.find(conversation_id, host.customer_id))
        if found is None:
            raise NotFound(f"there is no conversation {conversation_id[:60]}", reason="CONVERSATION_NOT_FOUND")
        message_id = host.next_id()
        return await host.during(
            lambda: reach.texts.go_on(found, message_id, host.customer_id, text, reference_id=host.id)
        )

    async def call(self, order: CallOrder) -> Sequence[str]:
        host, reach = self._host, self._reach
        made = await self._once(lambda: reach.calls.call(host.origin, order, host if order.chained else None))
        return [call.id for call in made]

    async def _once(self, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Ask somebody else. That he is away is his fault, and no reason for a text to try for ever."""

        async def asked() -> T | Unavailable:
            try:
                return await ask()
            except Unavailable as error:
                return error

        answer = await self._host.during(asked)
        if isinstance(answer, Unavailable):
            raise answer
        return answer

    async def _resource(self, library: ResourceLibrary[T], reference: str) -> T:
        owner = self._host.customer_id
        known = library.peek(owner, reference, time.monotonic())
        return known if known is not None else await self._host.during(lambda: library.find(owner, reference))
