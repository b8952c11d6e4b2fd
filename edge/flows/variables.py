"""Variables: `${name}` in the options of a step, replaced by a text just before the step runs.

Rules:

- Everything between `${` and the next `}` on the line is the name, blanks included. An unknown name gives an empty
text.
- Only what the owner of the flow wrote is looked through, once. What comes from outside (a caller's name, the text of a
  message, digits) is put in as it is, even when it looks like a variable.
- Texts in lists and objects are expanded too; numbers stay numbers, and keys of objects stay as they are.
- Names that begin with `voipbin.` or `edge.` belong to the system: a flow can read but not set them.
- Values are texts.

What sessions provide (the names of the platform; an empty text where nothing is known):

    voipbin.activeflow.id .flow_id .reference_type .reference_id    the run, its flow, what it runs for
    voipbin.call.id .direction                                      the call; "incoming"
    voipbin.call.source.{name,detail,target,target_name,type}       the caller
    voipbin.call.destination.{name,detail,target,target_name,type}  the dialed number
    voipbin.call.digits                                             what the last `digits_receive` got, with its end key
    voipbin.conversation.id .owner_id                               the conversation with this sender
    voipbin.conversation.self.{name,detail,target,target_name,type} the texted number
    voipbin.conversation.peer.{name,detail,target,target_name,type} the sender
    voipbin.conversation_message.id .text .direction                the text; "inbound"
    edge.number.{id,name,detail}                                    the number's own record

The platform sets `voipbin.call.digits` on every key; here only `digits_receive` does (and keys before it count).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from edge.errors import Forbidden, Invalid
from edge.flows import limits

DIGITS: Final = "voipbin.call.digits"
RESERVED: Final = ("voipbin.", "edge.")
SHOWN: Final = 200  # characters of a value that people are shown

_VARIABLE: Final = re.compile(r"\$\{(.*?)\}")
_NOTHING: Final[Mapping[str, str]] = {}


def is_reserved(name: str) -> bool:
    """Whether only the system may set it."""
    return name.startswith(RESERVED)


def quoted(value: str) -> str:
    """A value for people to read: in quotation marks, on one line, and not endless."""
    return json.dumps(value if len(value) <= SHOWN else f"{value[:SHOWN]}…", ensure_ascii=False)


def has_variables(value: Any) -> bool:
    """Whether there is a `${name}` anywhere in the texts of a JSON value."""
    if isinstance(value, str):
        return "${" in value and _VARIABLE.search(value) is not None
    if isinstance(value, dict):
        return any(has_variables(item) for item in value.values())
    if isinstance(value, list):
        return any(has_variables(item) for item in value)
    return False


class Variables:
    """The variables of one run: those the session gave, and those set on the way.

    `given` is not copied: many runs may share one mapping, and one that computes its values when asked is welcome.
    """

    __slots__ = ("_count", "_given", "_own", "_size")

    def __init__(self, given: Mapping[str, str] = _NOTHING) -> None:
        self._given = given
        self._own: dict[str, str] | None = None
        self._count = 0
        self._size = 0

    def get(self, name: str) -> str:
        """The value, "" for an unknown name."""
        if self._own is not None and (value := self._own.get(name)) is not None:
            return value
        return self._given.get(name, "")

    def set(self, name: str, value: str) -> None:
        """What a flow sets. Raises Forbidden for a name of the system's, Invalid above a limit or for no name."""
        if is_reserved(name):
            raise Forbidden(f"the variable {name} can only be read")
        if not name or "}" in name or "\n" in name or len(name) > limits.VARIABLE_NAME_CHARACTERS:
            raise Invalid(f"not a name for a variable: {name[:40]!r}")
        if len(value) > limits.VARIABLE_CHARACTERS:
            raise Invalid(f"the value of {name} has more than {limits.VARIABLE_CHARACTERS} characters")
        own = {} if self._own is None else self._own
        before = own.get(name)
        if before is None and self._count >= limits.VARIABLES:
            raise Invalid(f"a run sets at most {limits.VARIABLES} variables")
        grown = len(value) - len(before) if before is not None else len(name) + len(value)
        if self._size + grown > limits.VARIABLES_CHARACTERS:
            raise Invalid(f"the variables of a run have more than {limits.VARIABLES_CHARACTERS} characters")
        own[name] = value
        self._own = own
        self._count += before is None
        self._size += grown

    def set_system(self, name: str, value: str) -> None:
        """What the system sets, reserved names included; actions use it for what they provide."""
        if self._own is None:
            self._own = {}
        self._own[name] = value

    def own(self) -> dict[str, str]:
        """A copy of what was set during the run."""
        return dict(self._own or {})


class Template:
    """The options of a step that hold variables, taken apart once so that a run only puts the values in."""

    __slots__ = ("_nested", "_option", "_texts")

    def __init__(self, option: Mapping[str, Any]) -> None:
        self._option = dict(option)
        self._texts: list[tuple[str, list[str]]] = []  # texts at the top: literal, name, literal, …
        self._nested: list[tuple[str, Any]] = []  # lists and objects
        for key, value in option.items():
            if has_variables(value):
                if isinstance(value, str):
                    self._texts.append((key, _VARIABLE.split(value)))
                else:
                    self._nested.append((key, value))

    def fill(self, variables: Variables) -> dict[str, Any]:
        """The options with the values of now. Raises Invalid when they grow too large."""
        filled = self._option.copy()
        room = limits.EXPANDED_CHARACTERS
        for key, parts in self._texts:
            filled[key], room = _fill_text(parts, variables, room)
        for key, value in self._nested:
            filled[key], room = _fill_value(value, variables, room)
        return filled


def _fill_text(parts: list[str], variables: Variables, room: int) -> tuple[str, int]:
    """The text, and the room that is left for others."""
    if len(parts) == 3 and not parts[0] and not parts[2]:
        value = variables.get(parts[1])
        if len(value) > room:
            raise _too_large()
        return value, room - len(value)
    values = [variables.get(name) for name in parts[1::2]]
    room -= sum(map(len, values))
    if room < 0:
        raise _too_large()
    whole = parts.copy()
    whole[1::2] = values
    return "".join(whole), room


def _fill_value(value: Any, variables: Variables, room: int) -> tuple[Any, int]:
    if isinstance(value, str):
        return _fill_text(_VARIABLE.split(value), variables, room)
    if isinstance(value, dict):
        filled = {}
        for key, item in value.items():
            filled[key], room = _fill_value(item, variables, room)
        return filled, room
    if isinstance(value, list):
        items = []
        for item in value:
            one, room = _fill_value(item, variables, room)
            items.append(one)
        return items, room
    return value, room


def _too_large() -> Invalid:
    return Invalid(f"variables add more than {limits.EXPANDED_CHARACTERS} characters to the options of one step")
