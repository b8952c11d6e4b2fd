"""A session that follows a script: where the network ends in tests of flows and actions.

It notes what is asked of it, in order, and answers from queues, one per method:

    null or absent           nothing special: hangs up, plays, gives no digits …
    "12#"                    this is the answer
    {"raises": "Invalid", "message": "…"}
    {"ended": "remote"}      SessionEnded, raised while it waits

With `waits` every method gives the event loop a turn before it answers, as real ones do. Time stands still but for
`sleep` and `echo`.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, astuple
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, cast

import edge.errors
from edge.errors import EdgeError
from edge.flows.calendar import Calendar
from edge.flows.caller_list import Callers
from edge.flows.dial import CallOrder, Dial, Dialed
from edge.flows.eager import start
from edge.flows.executor import execute
from edge.flows.external_media import ExternalMedia
from edge.flows.flow import Flow, compile_flow
from edge.flows.outside import Email, Webhook
from edge.flows.run import Run
from edge.flows.session import (
    CallSession,
    CallStatus,
    EndKey,
    HangupReason,
    Medium,
    MessageSession,
    RecordingFormat,
    Session,
    SessionEnded,
)
from edge.http import Answer, Method

NOON = datetime(2026, 8, 5, 12, 0, tzinfo=UTC)  # a Wednesday

Script = Mapping[str, Sequence[Any]]


class ScriptedSession:
    """What both media can do."""

    id = "01910000-0000-7000-8000-000000000001"
    customer_id = "01910000-0000-7000-8000-000000000002"
    medium: Medium

    def __init__(
        self, script: Script | None = None, *, waits: bool = False, end_at: int | None = None, now: datetime = NOON
    ) -> None:
        self.asked: list[list[Any]] = []
        self.now = now
        self._script = {method: list(answers) for method, answers in (script or {}).items()}
        self._waits = waits
        self._end_at = end_at  # the other side hangs up during this question
        self._ids = itertools.count(1)

    def clock(self) -> datetime:
        return self.now

    @property
    def outside(self) -> ScriptedOutside:
        return ScriptedOutside(self._ask, self._ids)

    async def sleep(self, seconds: float) -> None:
        await self._ask("sleep", seconds)
        self.now += timedelta(seconds=seconds)

    async def send_text(self, source: str, destination: str, text: str) -> str:
        await self._ask("send_text", source, destination, text)
        return f"text-{next(self._ids)}"

    async def _ask(self, method: str, *arguments: Any) -> Any:
        self.asked.append([method, *arguments])
        if self._waits:
            await asyncio.sleep(0)
        if self._end_at == len(self.asked) - 1:
            raise SessionEnded("remote")
        queue = self._script.get(method)
        match queue.pop(0) if queue else None:
            case {"raises": kind, "message": message}:
                raise cast(type[EdgeError], getattr(edge.errors, kind))(message)
            case {"bug": message}:
                raise RuntimeError(message)
            case {"ended": by}:
                raise SessionEnded(by)
            case answer:
                return answer


class ScriptedOutside:
    """The world beside it. The answer to `flow` is a list of actions, that to `request` and `call_webhook` is
    `[status, body]`, that to `calendar` what is stored of one, that to `caller_list` labels by what they match."""

    def __init__(self, ask: Callable[..., Awaitable[Any]], ids: Iterator[int]) -> None:
        self._ask = ask
        self._ids = ids

    async def call(self, order: CallOrder) -> Sequence[str]:
        usual = CallOrder(order.destinations, order.flow)
        names = ("source", "chained", "anonymous", "trunk")
        unusual = {name: getattr(order, name) for name in names if getattr(order, name) != getattr(usual, name)}
        made = await self._ask("call", order.flow.name, *order.destinations, unusual)
        return [f"call-{index}" for index in range(made or len(order.destinations))]

    async def flow(self, flow_id: str) -> Flow:
        return compile_flow({"name": "other", "actions": await self._ask("flow", flow_id)}, id=flow_id, version=3)

    async def calendar(self, reference: str) -> Calendar:
        return Calendar.model_validate(await self._ask("calendar", reference) or {})

    async def caller_list(self, reference: str) -> Callers:
        return Callers(await self._ask("caller_list", reference) or {})

    async def recall(self) -> Mapping[str, str]:
        return await self._ask("recall") or {}

    async def remember(self, name: str, value: str) -> None:
        await self._ask("remember", name, value)

    async def request(
        self, method: Method, url: str, *, headers: Mapping[str, str], body: bytes | None = None, max_bytes: int
    ) -> Answer:
        told = [] if body is None else [json.loads(body)]
        status, content = await self._ask("request", method, url, *told) or (200, [])
        text = content if isinstance(content, str) else json.dumps(content)
        return Answer(status, text.encode(), headers.get("Accept", ""))

    async def call_webhook(self, webhook: Webhook, *, max_bytes: int) -> Answer:
        status, content = await self._ask("call_webhook", *astuple(webhook)) or (200, "")
        return Answer(status, content.encode("utf-8", "surrogatepass"), "")

    async def send_webhook(self, webhook: Webhook) -> str:
        await self._ask("send_webhook", *astuple(webhook))
        return f"event-{next(self._ids)}"

    async def send_email(self, email: Email) -> str:
        *texts, attachments = astuple(email)
        await self._ask("send_email", *texts, *attachments)
        return f"email-{next(self._ids)}"

    async def send_to_conversation(self, conversation_id: str, text: str) -> str:
        await self._ask("send_to_conversation", conversation_id, text)
        return f"text-{next(self._ids)}"


class ScriptedCall(ScriptedSession):
    """A call."""

    medium: Medium = "call"
    status: CallStatus = "ringing"

    async def answer(self) -> None:
        await self._ask("answer")
        self.status = "progressing"

    async def play(self, sources: Sequence[str]) -> None:
        await self._ask("play", *sources)

    async def say(self, text: str, *, language: str, voice: str, provider: str, keys_end: bool, wait: bool) -> None:
        await self._ask("say", text, language, voice, provider, keys_end, *([] if wait else ["without waiting"]))

    async def beep(self) -> None:
        await self._ask("beep")

    async def start_external_media(self, media: ExternalMedia) -> str:
        await self._ask("start_external_media", *media)
        return f"fork-{next(self._ids)}"

    async def stop_external_media(self) -> int:
        return await self._ask("stop_external_media") or 0

    async def receive_digits(self, *, end_keys: str, length: int, seconds: float) -> str:
        return await self._ask("receive_digits", end_keys, length, seconds) or ""

    async def echo(self, seconds: float) -> None:
        await self._ask("echo", seconds)
        self.now += timedelta(seconds=seconds)

    async def send_digits(self, digits: str, *, press_ms: int, gap_ms: int) -> None:
        await self._ask("send_digits", digits, press_ms, gap_ms)

    async def start_recording(
        self,
        *,
        format: RecordingFormat,
        end_of_silence: float,
        end_of_key: EndKey,
        duration: float,
        beep: bool,
        on_end_flow_id: str,
    ) -> str:
        await self._ask("start_recording", format, end_of_silence, end_of_key, duration, beep, on_end_flow_id)
        return f"recording-{next(self._ids)}"

    async def stop_recording(self) -> None:
        await self._ask("stop_recording")

    async def connect(self, dial: Dial) -> Dialed:
        """Asked with what is not as usual; the answer is what there is to say, or that the first one answered."""
        usual = Dial(dial.destinations)
        unusual = {name: value for name, value in asdict(dial).items() if value != getattr(usual, name)}
        answer = await self._ask("connect", *dial.destinations, unusual)
        return Dialed(**(answer or {"outcome": "answered", "status": 200, "destination": dial.destinations[0]}))

    async def block(self, seconds: float) -> Mapping[str, str] | None:
        told: Mapping[str, str] | None = await self._ask("block", seconds)
        return told

    async def redirect(self, destinations: Sequence[str]) -> NoReturn:
        await self._ask("redirect", *destinations)
        raise SessionEnded("local", "redirected")

    async def hangup(self, reason: HangupReason) -> NoReturn:
        await self._ask("hangup", reason)
        raise SessionEnded("local", reason)


class ScriptedText(ScriptedSession):
    """A text."""

    medium: Medium = "message"

    async def reply(self, text: str) -> str:
        await self._ask("reply", text)
        return f"text-{next(self._ids)}"


def session_for(
    medium: Medium,
    script: Script | None = None,
    *,
    waits: bool = False,
    end_at: int | None = None,
    now: datetime = NOON,
) -> ScriptedCall | ScriptedText:
    kind = ScriptedCall if medium == "call" else ScriptedText
    return kind(script, waits=waits, end_at=end_at, now=now)


async def run_through(flow: Flow, session: ScriptedSession, variables: Mapping[str, str] | None = None) -> Run:
    """The whole run, started as sessions start it."""
    run = Run(flow, id="run", medium=session.medium, clock=session.clock, variables=variables or {})
    task = start(execute(run, session))
    if task is not None:
        await task
    return run


_a_call_is_a_call_session: type[CallSession] = ScriptedCall
_a_text_is_a_message_session: type[MessageSession] = ScriptedText
_both_are_sessions: tuple[type[Session], type[Session]] = (ScriptedCall, ScriptedText)
