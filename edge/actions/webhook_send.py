"""Tell a server something."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from edge.errors import Unavailable
from edge.flows import limits
from edge.flows.action import Action, Next
from edge.flows.address import WebUrl
from edge.flows.outside import Webhook
from edge.flows.run import Run
from edge.flows.session import Session
from edge.flows.variables import Variables, is_name
from edge.http import Answer, Method
from edge.store.metadata import json_text

ANSWER: Final = "edge.webhook."
JSON: Final = "application/json"
MEDIA_TYPE: Final = r"^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+( *;[ -~]*)?$"  # RFC 9110 §8.3.1, nearly


def _method(value: object) -> object:
    return (value.upper() or "POST") if isinstance(value, str) else value


def _text(value: Any) -> Any:
    """A JSON value as its text. Raises ValueError for what cannot be sent."""
    text = json_text(value) if isinstance(value, (dict, list)) else value
    if isinstance(text, str):
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError("holds half a character (a lone surrogate)") from None
    return text


class WebhookSend(Action):
    """Send a request to a server, signed with the account's webhook secret (Standard Webhooks 1.0, and the platform's
    header).

    It is kept first and sent soon, again and again until the server answers 2xx, under one `webhook-id`. With `sync` it
    is sent once and now, and the answer can be read: `edge.webhook.status`, `edge.webhook.body`, and of a JSON object
    `edge.webhook.json.NAME`. Redirects are not followed.

    `data` is a text, or a JSON value; variables in a JSON value need no care for quotation marks.

    On failure (a server at an address that is not allowed, too many that wait already; with `sync` also no answer in
    time, one that is too large or not 2xx) the reason goes into the step log and the next step follows.

        {"id": "tell", "type": "webhook_send", "option": {"uri": "https://example.com/calls", "method": "POST",
         "data_type": "application/json", "data": {"caller": "${voipbin.call.source.target}"}}}
    """

    type = "webhook_send"

    sync: bool = Field(default=False, description="Whether to wait for the answer.")
    uri: WebUrl = Field(description="The http or https URL.")
    method: Annotated[Method, BeforeValidator(_method)] = Field(default="POST", description="The HTTP method.")
    data_type: Annotated[str, BeforeValidator(lambda value: value or JSON)] = Field(
        default=JSON, max_length=255, pattern=MEDIA_TYPE, description="What `data` is, as its Content-Type."
    )
    data: Annotated[str, BeforeValidator(_text, json_schema_input_type=str | dict[str, Any] | list[Any])] = Field(
        default="", max_length=limits.WEBHOOK_CHARACTERS, description="The body of the request: a text or a JSON value."
    )

    def at_once(self) -> bool:
        return not self.sync

    def doubts(self) -> Iterable[tuple[str, str]]:
        if self.data and self.method == "GET":
            yield "data", "is not sent with GET"

    async def run(self, session: Session, run: Run) -> Next:
        webhook = Webhook(self.method, self.uri, self.data_type, self.data)
        if not self.sync:
            run.note = await session.outside.send_webhook(webhook)
            return None
        run.variables.forget_system(ANSWER)
        answer = await session.outside.call_webhook(webhook, max_bytes=limits.ANSWER_BYTES)
        _remember(answer, run.variables)
        run.note = f"the server answered {answer.status}"
        if not 200 <= answer.status < 300:
            raise Unavailable(run.note)
        return None


def _remember(answer: Answer, variables: Variables) -> None:
    """Have an answer where the flow can read it."""
    variables.set_system(f"{ANSWER}status", str(answer.status))
    variables.set_system(f"{ANSWER}body", answer.body.decode(errors="replace"))
    for name, value in list(_members(answer.body))[: limits.ANSWER_NAMES]:
        variables.set_system(f"{ANSWER}json.{name}", value)


def _members(body: bytes) -> Iterable[tuple[str, str]]:
    """The texts, numbers and truths of a JSON object, by their names; of anything else nothing."""
    try:
        found = json.loads(body, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        return
    for name, value in found.items() if isinstance(found, dict) else ():
        if is_name(name) and len(name) <= limits.ANSWER_NAME_CHARACTERS:
            if isinstance(value, bool):
                yield name, str(value).lower()
            elif isinstance(value, str):
                yield name, value.encode(errors="replace").decode()
