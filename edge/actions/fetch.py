"""Ask a URL what to do."""

from __future__ import annotations

import json
import uuid
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

from pydantic import BeforeValidator, Field

from edge.errors import Invalid, Unavailable
from edge.flows import limits
from edge.flows.action import Action, Next
from edge.flows.address import WebUrl
from edge.flows.flow import compile_flow
from edge.flows.run import Run
from edge.flows.session import Medium, Session
from edge.flows.variables import DIGITS
from edge.http import Answer

IDS: Final = {
    "activeflow_id": "voipbin.activeflow.id",
    "flow_id": "voipbin.activeflow.flow_id",
    "reference_type": "voipbin.activeflow.reference_type",
    "reference_id": "voipbin.activeflow.reference_id",
}
KNOWN: Final[dict[Medium, dict[str, str]]] = {  # what else it is told, by the variable that has it
    "call": {
        "source": "voipbin.call.source.target",
        "destination": "voipbin.call.destination.target",
        "digits": DIGITS,
    },
    "message": {
        "source": "voipbin.conversation.peer.target",
        "destination": "voipbin.conversation.self.target",
        "text": "voipbin.conversation_message.text",
    },
}


def _method(value: object) -> object:
    return (value.upper() or "GET") if isinstance(value, str) else value


class Fetch(Action):
    """Ask a URL for steps, run them, then go on with the step that follows.

    The URL is told `activeflow_id`, `flow_id`, `reference_type` and `reference_id`: with GET in its query, with POST
    and PUT in a JSON object that also has `source`, `destination`, the `digits` of a call or the `text` of a message,
    and the `variables` that the run has set. It answers 200 and a list of steps as a flow has them, or an object with
    that list as `actions`. They are checked like a flow that is stored, and have the same variables.

    On failure (no answer in time, another status, too large, anything that is no such list or cannot run here) the run
    fails, unless the step has a `failure_id`.

        {"id": "ask", "type": "fetch", "option": {"event_url": "https://example.com/steps", "event_method": "POST"}}
    """

    type = "fetch"
    fatal = True
    enters = True

    event_url: WebUrl = Field(description="The http or https URL to ask.")
    event_method: Annotated[Literal["GET", "POST", "PUT"], BeforeValidator(_method)] = Field(
        default="GET", description="How to ask."
    )

    async def run(self, session: Session, run: Run) -> Next:
        actions = _actions(await self._ask(session, run))
        if not actions:
            run.note = "no steps"
            return None
        document = {"name": "fetched", "actions": _named(actions, run), "unavailable": run.flow.unavailable}
        flow = compile_flow(document, customer_id=session.customer_id)
        run.note = f"{len(flow.steps)} steps"
        return run.enter(flow)

    async def _ask(self, session: Session, run: Run) -> Answer:
        told = {name: run.variables.get(variable) for name, variable in IDS.items()}
        url, body = self.event_url, None
        headers = {"Accept": "application/json"}
        if self.event_method == "GET":
            url, hash_, fragment = url.partition("#")
            url += ("&" if "?" in url else "?") + urlencode(told) + hash_ + fragment
        else:
            told |= {name: run.variables.get(variable) for name, variable in KNOWN[run.medium].items()}
            body = json.dumps({**told, "variables": run.variables.own()}).encode()
            headers["Content-Type"] = "application/json"
        return await session.outside.request(
            self.event_method, url, headers=headers, body=body, max_bytes=limits.FETCHED_BYTES
        )


def _actions(answer: Answer) -> list[Any]:
    """The list of steps in an answer. Raises Unavailable, Invalid."""
    if answer.status != 200:
        raise Unavailable(f"the URL was answered {answer.status}")
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        raise Invalid("the answer is not JSON") from None
    if isinstance(found, dict):
        found = found.get("actions")
    if not isinstance(found, list):
        raise Invalid("the answer is no list of steps")
    if len(found) > limits.FETCHED_STEPS:
        raise Invalid(f"the answer has {len(found)} steps, more than {limits.FETCHED_STEPS}")
    return found


def _named(actions: list[Any], run: Run) -> list[Any]:
    """The steps, with ids for those that came without: a run that is repeated makes the same ones."""

    def name(index: int, action: Any) -> Any:
        if not isinstance(action, dict) or action.get("id"):
            return action
        return {**action, "id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{run.id} {run.step.id} {index}"))}

    return [name(index, action) for index, action in enumerate(actions)]
