"""What a flow may ask of the world beside its session, whatever its medium. `edge/sessions/outside.py` implements it.

As with a session, what waits raises `SessionEnded` when the session is over meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from edge.http import Answer, Method

if TYPE_CHECKING:
    from edge.flows.calendar import Calendar
    from edge.flows.caller_list import Callers
    from edge.flows.dial import CallOrder
    from edge.flows.flow import Flow


@dataclass(frozen=True, slots=True)
class Webhook:
    """A request that tells a customer's server something. It is signed with the account's secret."""

    method: Method
    uri: str
    data_type: str
    data: str


@dataclass(frozen=True, slots=True)
class Email:
    """An email to one address. Its texts are of one line but the content; `attachments` are ids of recordings."""

    address: str
    name: str  # of the receiver; "" for none
    subject: str
    content: str
    attachments: tuple[str, ...] = ()


class Outside(Protocol):
    """The world, asked on behalf of one session."""

    async def flow(self, flow_id: str) -> Flow:
        """The newest version of another flow of the same account. Raises NotFound; Unavailable when nobody knows now.

        The session of a text asks again until somebody does.
        """

    async def calendar(self, reference: str) -> Calendar:
        """A calendar of the account by its id or name, as it is now. Raises NotFound; Unavailable as `flow` does."""

    async def caller_list(self, reference: str) -> Callers:
        """A list of callers of the account by its id or name, as it is now. Raises as `calendar` does."""

    async def recall(self) -> Mapping[str, str]:
        """What is remembered of this person at this number, by the names of its variables. Raises Unavailable."""

    async def remember(self, name: str, value: str) -> None:
        """Keep a value for later calls and texts of this person to this number; an empty one is forgotten.

        Raises Invalid for one that cannot be kept, Unavailable.
        """

    async def request(
        self, method: Method, url: str, *, headers: Mapping[str, str], body: bytes | None = None, max_bytes: int
    ) -> Answer:
        """What a URL answers, whatever the status; asked once, redirects of GET followed. Raises EdgeError when it
        gives no answer in time, too large a one, or is not to be asked."""

    async def call_webhook(self, webhook: Webhook, *, max_bytes: int) -> Answer:
        """Send a webhook now, once, and wait for its answer, whatever the status. Raises as `request` does."""

    async def send_webhook(self, webhook: Webhook) -> str:
        """Keep a webhook and send it soon, again and again until it is taken; returns the id of its event.

        The same call in a repeated run (after a crash) is the same event. Raises EdgeError when it is not kept.
        """

    async def send_email(self, email: Email) -> str:
        """Keep an email and send it soon, in the same way; returns its id."""

    async def call(self, order: CallOrder) -> Sequence[str]:
        """Begin calls of their own; returns their ids. They ring when this returns; nobody waits for what they come to.

        Raises EdgeError, saying why, when none could be begun.
        """

    async def send_to_conversation(self, conversation_id: str, text: str) -> str:
        """Send a text to whom a conversation of the account is with, from its number; returns the message's id.

        Raises NotFound for a conversation that the account does not have, else as `Session.send_text`.
        """
