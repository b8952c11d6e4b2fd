"""A text on its way through its flow: the session that answers and sends.

A run may be repeated after a crash. So what a step sends has an id made from the text, the step and how often the step
has sent before: the repeated run finds its messages in the outbox and sends none of them twice.

When SQL is away, sending waits for it: the text was accepted, so its answer must not be lost over an outage.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar

from edge.accounts.allowance import refusal
from edge.errors import Conflict, Fault, Forbidden, Invalid, Unavailable
from edge.flows.run import Run
from edge.log import get_logger
from edge.numbers.number import E164, Number
from edge.sessions.conversation import Conversation, conversation_id
from edge.sessions.origin import Origin
from edge.sessions.outside import Outside, Reach
from edge.sessions.route import Owns
from edge.sessions.texts.incoming import Incoming
from edge.sessions.texts.manners import Manners, confirmation_id
from edge.sessions.texts.message import Message
from edge.sessions.texts.outbox import Outbox, Outgoing
from edge.sessions.texts.routes import TextRoutes
from edge.sms.text import BODY_LIMIT, unstorable
from edge.store.metadata import NIL, name_id

T = TypeVar("T")

log = get_logger("sessions")

_NAMESPACE: Final = uuid.UUID("5b1f6d0e-64f2-5e0a-9d7c-1f2a6c3b8e41")
OUTAGE_PAUSES: Final = (0.1, 0.3, 1.0, 3.0)  # seconds between tries while SQL is away; then the last one, for ever

Destinations = Callable[[str], Awaitable[tuple[str, ...]]]  # of a customer, see `Routes.destinations`
Talks = Callable[[str, str], Awaitable[Conversation | None]]  # see `ConversationTable.find`


def run_id(text_id: str) -> str:
    """The id of the run of a text's flow, also when it is repeated."""
    return name_id(_NAMESPACE, f"run {text_id}")


def message_id(reference_id: str, step: str, occurrence: int) -> str:
    """The id of what a step of a session's flow sends, the first or a later time. The same in every run."""
    return name_id(_NAMESPACE, f"message {reference_id} {occurrence} {step}")


class TextSending:
    """Texts that flows and the API send, those of calls too: checked, then put into the outbox.

    `destinations` says which prefixes an account may text by whom it was not texted, as `talks` knows; without it, all.
    All texts go through `put`, and there `manners` says whom we do not text; without them we text anybody.
    """

    def __init__(
        self,
        outbox: Outbox,
        owns: Owns,
        now: Callable[[], int],
        routes: TextRoutes,
        destinations: Destinations | None = None,
        manners: Manners | None = None,
        talks: Talks | None = None,
    ) -> None:
        self._outbox = outbox
        self._manners = manners
        self._owns = owns
        self._now = now  # microseconds since the epoch
        self._routes = routes
        self._destinations = destinations
        self._talks = talks

    async def send(
        self,
        *,
        id: str,
        customer_id: str,
        source: str,
        destination: str,
        text: str,
        carrier: str = "",
        route: str = "",
        otherwise: str = "",
        reference_id: str = NIL,
    ) -> str:
        """Put a text into the outbox; returns its id once it is durable.

        `carrier` and `route` are those of the text that this one answers. One that answers none goes as the routes of
        texts say; where none fits, by the carrier `otherwise`, or the first one.
        Raises Forbidden when `source` is no live number of the customer or `destination` none that it may text, Invalid
        for a text or number that cannot be used, Unavailable when numbers or the outbox are away, and what
        `Manners.permit` raises. `destination` is checked to be
        a number.
        """
        if E164.fullmatch(destination) is None:
            raise Invalid("the text cannot be sent", faults=[Fault("destination", "is no number in E.164")])
        check_body(text)
        way = (carrier,) if carrier else self._routes.carriers(source, destination, otherwise=otherwise)
        if not way:
            raise Unavailable("no carrier for texts is configured")
        number = await self.owned(source, customer_id)
        if not carrier:
            await self._allowed(customer_id, source, destination)
        await self.put(
            Outgoing(
                id=id,
                customer_id=customer_id,
                carrier=way[0],
                number=source,
                peer=destination,
                text=text,
                tm_create=self._now(),
                route=route,
                number_id=number.id,
                conversation_id=conversation_id(customer_id, source, destination),
                reference_id=reference_id,
            )
        )
        return id

    async def go_on(
        self, conversation: Conversation, id: str, customer_id: str, text: str, *, reference_id: str
    ) -> str:
        """Put a text into the outbox that goes on with a conversation, the way its peer's texts come. Raises as `send`.

        The peer need not be a number: whoever texted us can be answered.
        """
        check_body(text)
        number = await self.owned(conversation.number, customer_id)
        if not conversation.texted:
            await self._allowed(customer_id, conversation.number, conversation.peer)
        await self.put(
            Outgoing(
                id=id,
                customer_id=customer_id,
                carrier=conversation.carrier,
                number=conversation.number,
                peer=conversation.peer,
                text=text,
                tm_create=self._now(),
                route=conversation.route,
                number_id=number.id,
                conversation_id=conversation.id,
                reference_id=reference_id,
            )
        )
        return id

    async def may_again(self, message: Message) -> None:
        """Raises Conflict or Forbidden when a message that was sent before may not be sent now."""
        number, facts = message.source.target, message.edge
        owned = await self._owns(number, message.customer_id)
        if owned is None or owned.id != facts.number_id:
            raise Conflict(f"{number} is no active number of this account any more", reason="SOURCE_NOT_ALLOWED")
        peer = message.targets[0].destination.target
        talks = await self._talks(facts.conversation_id, message.customer_id) if self._talks is not None else None
        if talks is None or not talks.texted:
            await self._allowed(message.customer_id, number, peer)
        if self._manners is not None:
            await self._manners.may_again(facts.conversation_id, number, peer)

    async def _allowed(self, customer_id: str, number: str, peer: str) -> None:
        """Raises Forbidden for a peer that the account may not text, unless he texted it."""
        if self._destinations is not None:
            reason = refusal(peer, await self._destinations(customer_id), number)
            if reason is not None:
                raise Forbidden(reason, reason="DESTINATION_NOT_ALLOWED")

    async def owned(self, number: str, customer_id: str) -> Number:
        """The number, if it is an active one of that customer. Raises Forbidden, Unavailable."""
        found = await self._owns(number, customer_id)
        if found is None:
            raise Forbidden(f"{number} is no active number of this account", reason="SOURCE_NOT_ALLOWED")
        return found

    async def put(self, text: Outgoing, *, confirms: bool = False) -> None:
        """Put a checked text into the outbox. Raises Unavailable, and what `Manners.permit` raises."""
        if self._manners is not None:
            await self._manners.permit(text, confirms=confirms)
        await self._outbox.put(text)

    async def answer(self, text: Incoming, id: str, body: str) -> str:
        """Answer a text the way it came. Raises Invalid, Unavailable, and what `Manners.permit` raises."""
        check_body(body)
        await self.put(self._answer(text, id, body))
        return id

    async def confirm(self, text: Incoming, body: str) -> None:
        """Answer a keyword, be it to somebody who opted out by it. Raises as `answer`."""
        await self.put(self._answer(text, confirmation_id(text.id), body), confirms=True)

    def _answer(self, text: Incoming, id: str, body: str) -> Outgoing:
        return Outgoing(
            id=id,
            customer_id=text.customer_id,
            carrier=text.carrier,
            number=text.number,
            peer=text.peer,
            text=body,
            tm_create=self._now(),
            route=text.route,
            number_id=text.number_id,
            conversation_id=text.conversation_id,
            reference_id=text.id,
        )


def check_body(text: str) -> None:
    """Raises Invalid for a text that nobody could send."""
    what = "is empty" if not text else unstorable(text)
    if what is None and len(text) > BODY_LIMIT:
        what = f"has {len(text)} characters, more than {BODY_LIMIT}"
    if what is not None:
        raise Invalid("the text cannot be sent", faults=[Fault("text", what)])


class MessageSession:
    """Implements `flows.session.MessageSession` for one run of one text's flow."""

    def __init__(
        self,
        text: Incoming,
        run: Run,
        sending: TextSending,
        reach: Reach,
        *,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._text = text
        self._run = run
        self._sending = sending
        self._reach = reach
        self._pause = pause
        self._sent: Counter[str] = Counter()  # by step

    @property
    def id(self) -> str:
        return self._text.id

    @property
    def customer_id(self) -> str:
        return self._text.customer_id

    @property
    def number_id(self) -> str:
        return self._text.number_id

    @property
    def peer(self) -> str:
        return self._text.peer

    @property
    def outside(self) -> Outside:
        return Outside(self, self._reach)

    @property
    def origin(self) -> Origin:
        return Origin(self._text.customer_id, self._text.number)

    def chain(self, call: object) -> None:
        """A text has no end that somebody could wait for."""

    async def sleep(self, seconds: float) -> None:
        await self._pause(seconds)

    async def reply(self, text: str) -> str:
        new_id = self.next_id()
        return await self.during(lambda: self._sending.answer(self._text, new_id, text))

    async def send_text(self, source: str, destination: str, text: str) -> str:
        new_id = self.next_id()
        answers = (source, destination) == self._text.pair
        return await self.during(
            lambda: self._sending.send(
                id=new_id,
                customer_id=self.customer_id,
                source=source,
                destination=destination,
                text=text,
                carrier=self._text.carrier if answers else "",
                route=self._text.route if answers else "",
                otherwise=self._text.carrier,
                reference_id=self.id,
            )
        )

    def next_id(self) -> str:
        step = self._run.step.id
        self._sent[step] += 1
        return message_id(self.id, step, self._sent[step])

    async def during(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What the work returns, begun anew while what it needs is away."""
        tries = 0
        while True:
            try:
                return await work()
            except Unavailable as error:
                if tries == 0:
                    log.warning("a text's flow waits", message_id=self.id, error=error.message)
                await self._pause(OUTAGE_PAUSES[min(tries, len(OUTAGE_PAUSES) - 1)])
                tries += 1
