"""The world beside a simulated session: implements `flows.outside.Outside` without asking anybody."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol

from edge.errors import EdgeError, Invalid, TooLarge
from edge.flows.calendar import Calendar
from edge.flows.caller_list import Callers
from edge.flows.dial import CallOrder
from edge.flows.flow import Flow
from edge.flows.outside import Email, Outside, Webhook
from edge.flows.variables import quoted
from edge.http import Answer, Method
from edge.sessions.simulation.manners import SimulatedManners
from edge.sessions.simulation.script import Script, WebAnswer
from edge.sessions.simulation.stage import Stage
from edge.sessions.texts.manners import MannersSection
from edge.sessions.texts.session import check_body
from edge.store.metadata import NIL


class FindResources(Protocol):
    """Calendars and lists of callers by id or name. Raises NotFound."""

    async def calendar(self, reference: str, /) -> Calendar: ...

    async def caller_list(self, reference: str, /) -> Callers: ...


FindFlow = Callable[[str], Awaitable[Flow]]  # by id; raises NotFound


ALWAYS: Final = Calendar.model_validate({"hours": [{"weekdays": list(range(7)), "from": "00:00", "to": "24:00"}]})


class SimulatedOutside:
    """One for a session."""

    def __init__(
        self,
        stage: Stage,
        script: Script,
        manners: MannersSection,
        find_flow: FindFlow,
        find_resources: FindResources | None = None,
    ) -> None:
        self._find_resources = find_resources
        self._stage = stage
        self._script = script
        self._find_flow = find_flow
        self._memory: dict[str, str] = {}
        self.manners = SimulatedManners(manners, stage, script)

    async def flow(self, flow_id: str) -> Flow:
        try:
            flow = await self._find_flow(flow_id)
        except EdgeError as error:
            self._stage.note(f"asks for another flow: {error.message}")
            raise
        self._stage.note(f"asks for the flow {flow.name or flow.id}")
        return flow

    async def recall(self) -> Mapping[str, str]:
        return dict(self._memory)

    async def remember(self, name: str, value: str) -> None:
        if self._script.anonymous:
            raise Invalid("nothing is remembered of who is not known by a number")
        self._stage.note(f"remembers {name}" if value else f"forgets {name}")
        self._memory[name] = value

    async def calendar(self, reference: str) -> Calendar:
        given = self._script.calendars.get(reference)
        if given is not None:
            return given
        if self._find_resources is not None:
            return await self._find_resources.calendar(reference)
        self._stage.note(f"the calendar {reference} is not known here; it is open", "assumed")
        return ALWAYS

    async def caller_list(self, reference: str) -> Callers:
        given = self._script.caller_lists.get(reference)
        if given is not None:
            return given.ready()
        if self._find_resources is not None:
            return await self._find_resources.caller_list(reference)
        self._stage.note(f"the caller list {reference} is not known here; nobody is in it", "assumed")
        return Callers({})

    async def request(
        self, method: Method, url: str, *, headers: Mapping[str, str], body: bytes | None = None, max_bytes: int
    ) -> Answer:
        sent = f", {len(body)} bytes of {headers.get('Content-Type', 'anything')}" if body else ""
        self._stage.note(f"asks {method} {url}{sent}")
        return self._answer(url, max_bytes, "[]" if "json" in headers.get("Accept", "") else "")

    async def call_webhook(self, webhook: Webhook, *, max_bytes: int) -> Answer:
        self._stage.note(f"tells {webhook.uri}{_data(webhook)}")
        return self._answer(webhook.uri, max_bytes, "")

    async def send_webhook(self, webhook: Webhook) -> str:
        self._stage.note(f"will tell {webhook.uri}{_data(webhook)}")
        return self._stage.id()

    async def send_email(self, email: Email) -> str:
        self._stage.note(f"emails {email.address}, {quoted(email.subject)}: {quoted(email.content)}")
        for recording_id in email.attachments:
            self._stage.note(f"with the recording {recording_id}")
        return self._stage.id()

    async def call(self, order: CallOrder) -> Sequence[str]:
        what = "flow" if order.flow.id != NIL else "steps"
        chained = ", chained to this one" if order.chained else ""
        self._stage.note(f"calls {', '.join(order.destinations)} with {what} of their own{chained}")
        return [self._stage.id() for _ in order.destinations]

    async def send_to_conversation(self, conversation_id: str, text: str) -> str:
        check_body(text)
        self._stage.note(f"there is a conversation {conversation_id}", "assumed")
        self._stage.note(f"texts into it: {quoted(text)}")
        return self._stage.id()

    def _answer(self, url: str, max_bytes: int, otherwise: str) -> Answer:
        """What the script says that a URL answers; a body of that where it says nothing."""
        answers = self._script.answers
        told = answers.get(url) or answers.get(url.partition("#")[0].partition("?")[0])
        if told is None:
            told = WebAnswer(body=otherwise)
            with_body = f" and {told.body}" if told.body else ""
            self._stage.note(f"it is not asked; it answers {told.status}{with_body}", "assumed")
        else:
            self._stage.note(f"it answers {told.status}, {len(told.body.encode())} bytes of {told.type}", "outside")
        found = told.body.encode()
        if len(found) > max_bytes:
            raise TooLarge(f"the answer has more than {max_bytes} bytes")
        return Answer(told.status, found, told.type.partition(";")[0].strip().lower())


def _data(webhook: Webhook) -> str:
    return f": {quoted(webhook.data)}" if webhook.data else ""


_is_the_outside: type[Outside] = SimulatedOutside
