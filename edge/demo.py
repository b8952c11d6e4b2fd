"""The demo: a customer, a number, two flows and a key, so that a newcomer hears a call answered within a minute.

It furnishes an empty database only; what is there already is left alone. Its key is kept in a file beside the database,
readable by its owner, because SQL has only the hash.
"""

from __future__ import annotations

import os
import secrets
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, NamedTuple

from edge.accounts.customer import CustomerTable
from edge.accounts.key import PREFIX, KeyTable
from edge.flows.table import FlowTable
from edge.numbers.number import NumberDraft
from edge.numbers.table import NumberTable

NUMBER: Final = "+14155550100"
PROMPTS: Final = ("demo-greeting.wav", "demo-goodbye.wav")

CALL_FLOW: Final[list[dict[str, Any]]] = [
    {"id": "pick-up", "type": "answer"},
    {"id": "greet", "type": "play", "option": {"stream_urls": ["demo-greeting.wav"]}},
    {"id": "ask", "type": "digits_receive", "option": {"duration": 5000, "length": 1}},
    {
        "id": "decide",
        "type": "branch",
        "option": {"target_ids": {"1": "tone", "2": "send-on"}, "default_target_id": "part"},
    },
    {"id": "tone", "type": "beep"},
    {"id": "again", "type": "goto", "option": {"target_id": "ask", "loop_count": 3}},
    {"id": "part", "type": "play", "option": {"stream_urls": ["demo-goodbye.wav"]}},
    {"id": "end", "type": "hangup"},
    {"id": "send-on", "type": "redirect", "option": {"destinations": ["sip:reception@127.0.0.1:5099"]}},
    {"id": "stay", "type": "goto", "option": {"target_id": "ask", "loop_count": 1}},
]

MESSAGE_FLOW: Final[list[dict[str, Any]]] = [
    {
        "id": "answer",
        "type": "reply",
        "option": {
            "text": "Hello ${voipbin.conversation.peer.target}, this is the edge."
            " You wrote: ${voipbin.conversation_message.text}"
        },
    }
]


class Demo(NamedTuple):
    """What the screen shows; None is what a database that was there before the demo does not have."""

    number: str | None
    key: str | None


async def furnish(
    data: Path, prompts: Path, customers: CustomerTable, keys: KeyTable, numbers: NumberTable, flows: FlowTable
) -> Demo:
    """Put the demo into an empty database, and its prompts where flows look for them."""
    key_file = data / "demo.key"
    _copy_prompts(prompts)
    if (await customers.list(size=1)).items:
        number = NUMBER if await numbers.taken([NUMBER]) else None
        return Demo(number, key_file.read_text().strip() if key_file.exists() else None)
    token = PREFIX + secrets.token_urlsafe(32)
    _write_private(key_file, token)
    customer = await customers.create("Demo", detail="Made by edge serve --demo")
    await keys.create(customer.id, name="demo", token=token)
    call_flow = await flows.create(customer.id, {"name": "Greeting", "detail": "", "actions": CALL_FLOW})
    message_flow = await flows.create(customer.id, {"name": "Answer", "detail": "", "actions": MESSAGE_FLOW})
    await numbers.create(
        NumberDraft(
            customer_id=customer.id,
            number=NUMBER,
            name="Demo",
            call_flow_id=call_flow.id,
            message_flow_id=message_flow.id,
        )
    )
    return Demo(NUMBER, token)


def _copy_prompts(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name in PROMPTS:
        if not (directory / name).exists():
            (directory / name).write_bytes(files("edge").joinpath("prompts", name).read_bytes())


def _write_private(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
