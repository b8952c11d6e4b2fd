"""What a flow can read of its text: the platform's names (`flows/variables.py`), each computed only when asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from edge.numbers.number import Number
from edge.sessions.texts.incoming import Incoming
from edge.sessions.texts.message import Address
from edge.sessions.texts.session import run_id
from edge.store.metadata import NIL, json_text

_Read = Callable[[Incoming, "Number | None"], str]


def _self(text: Incoming, number: Number | None) -> Address:
    name, detail = (number.name, number.detail) if number is not None else ("", "")
    return Address.of(text.number).model_copy(update={"name": name, "detail": detail})


def _peer(text: Incoming, number: Number | None) -> Address:
    return Address.of(text.peer)


def _conversation(text: Incoming, number: Number | None) -> str:
    return json_text(
        {
            "id": text.conversation_id,
            "customer_id": text.customer_id,
            "owner_type": "",
            "owner_id": NIL,
            "type": "message",
            "self": _self(text, number).model_dump(),
            "peer": _peer(text, number).model_dump(),
        }
    )


def _address(end: str, read: Callable[[Incoming, Number | None], Address]) -> dict[str, _Read]:
    return {
        f"voipbin.conversation.{end}.type": lambda text, number: read(text, number).type,
        f"voipbin.conversation.{end}.target": lambda text, number: read(text, number).target,
        f"voipbin.conversation.{end}.target_name": lambda text, number: read(text, number).target_name,
        f"voipbin.conversation.{end}.name": lambda text, number: read(text, number).name,
        f"voipbin.conversation.{end}.detail": lambda text, number: read(text, number).detail,
    }


_NAMES: Final[dict[str, _Read]] = {
    "voipbin.activeflow.id": lambda text, number: run_id(text.id),
    "voipbin.activeflow.flow_id": lambda text, number: text.flow_id,
    "voipbin.activeflow.reference_type": lambda text, number: "conversation",
    "voipbin.activeflow.reference_id": lambda text, number: text.conversation_id,
    "voipbin.activeflow.reference_activeflow_id": lambda text, number: NIL,
    "voipbin.activeflow.complete_count": lambda text, number: "0",
    "voipbin.flow.reference_data": _conversation,
    "voipbin.conversation.id": lambda text, number: text.conversation_id,
    "voipbin.conversation.owner_id": lambda text, number: NIL,
    **_address("self", _self),
    **_address("peer", _peer),
    "voipbin.conversation_message.id": lambda text, number: text.id,
    "voipbin.conversation_message.text": lambda text, number: text.text,
    "voipbin.conversation_message.direction": lambda text, number: "inbound",
    "edge.message.media.count": lambda text, number: str(len(text.media)),
    "edge.number.id": lambda text, number: text.number_id,
    "edge.number.name": lambda text, number: number.name if number is not None else "",
    "edge.number.detail": lambda text, number: number.detail if number is not None else "",
}


class TextVariables(Mapping[str, str]):
    """A view of one text and the number it came to, None when that is not known just now; copies nothing."""

    __slots__ = ("_number", "_text")

    def __init__(self, text: Incoming, number: Number | None) -> None:
        self._text = text
        self._number = number

    def __getitem__(self, name: str) -> str:
        read = _NAMES.get(name)
        return read(self._text, self._number) if read is not None else self._media()[name]

    def __iter__(self) -> Iterator[str]:
        yield from _NAMES
        yield from self._media()

    def __len__(self) -> int:
        return len(_NAMES) + len(self._text.media)

    def _media(self) -> dict[str, str]:
        return {f"edge.message.media.{index}": url for index, url in enumerate(self._text.media)}
