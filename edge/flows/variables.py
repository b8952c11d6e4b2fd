"""Variables: `${name}` in the options of a step, replaced by a text just before the step runs.

Rules:

- Everything between `${` and the next `}` on the line is the name, blanks included. An unknown name gives an empty
  text.
- `${name:-text}` gives the text where the value is empty or unknown. The text is what the owner wrote, up to the next
  `}`, put in as it is; it may be empty, and it is not looked through. So a name holds no `:-`.
- Only what the owner of the flow wrote is looked through, once. What comes from outside (a caller's name, the text of a
  message, digits) is put in as it is, even when it looks like a variable.
- Texts in lists and objects are expanded too; numbers stay numbers, and keys of objects stay as they are.
- Names that begin with `voipbin.` or `edge.` belong to the system: a flow can read but not set them. `KNOWN` has all
  of them, and a flow that names another one is refused when it is stored. What is not known in a session is empty.
- Names that begin with `memory.` are kept for the person who calls or texts: a later call or text of the same person
  to the same number has them too.
- Values are texts.

The platform sets `voipbin.call.digits` on every key; here only `digits_receive` does (and keys before it count).
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any, Final

from edge.errors import Forbidden, Invalid
from edge.flows import limits

DIGITS: Final = "voipbin.call.digits"
RESERVED: Final = ("voipbin.", "edge.")
SHOWN: Final = 200  # characters of a value that people are shown
MEMORY: Final = "memory."  # names of what outlives the run, see `variable_set`
DEFAULT: Final = ":-"  # between a name and what stands in for an empty value


def _address(name: str, whose: str) -> dict[str, str]:
    return {
        f"{name}.type": f"{whose}: tel or sip",
        f"{name}.target": f"{whose}: the number or address",
        f"{name}.target_name": f"{whose}: the name shown with it",
        f"{name}.name": f"{whose}: the name in our own records",
        f"{name}.detail": f"{whose}: the detail in our own records",
    }


_MARK_OF_TRUST: Final = "true when the trunk is believed in that, else false; empty when it does not say it"

# Every name of the system's with what it is. One that ends with `.*` stands for all that begin so.
KNOWN: Final[Mapping[str, str]] = {
    "voipbin.activeflow.id": "the run",
    "voipbin.activeflow.flow_id": "the flow it began with",
    "voipbin.activeflow.reference_type": "what it runs for: call or conversation",
    "voipbin.activeflow.reference_id": "the id of that call or conversation",
    "voipbin.activeflow.reference_activeflow_id": "the run before it, whose end began this one; else the nil UUID",
    "voipbin.activeflow.complete_count": "how many runs were before it in that way",
    "voipbin.flow.reference_data": "the call or the conversation as a JSON object",
    "voipbin.call.id": "the call",
    "voipbin.call.direction": "incoming or outgoing",
    "voipbin.call.master_call_id": "the call that this one is chained to, else the nil UUID",
    "voipbin.call.digits": "what the last digits_receive got, with its end key",
    **_address("voipbin.call.source", "the caller"),
    **_address("voipbin.call.destination", "the dialed number"),
    "voipbin.recording.id": "the recording that was begun last",
    "voipbin.recording.reference_type": "what it records: call",
    "voipbin.recording.reference_id": "the id of that call",
    "voipbin.recording.format": "wav, mp3 or ogg",
    "voipbin.recording.recording_name": "its name",
    "voipbin.recording.filenames": "the name of its file",
    "voipbin.conversation.id": "the conversation with this sender",
    "voipbin.conversation.owner_id": "its owner; here the nil UUID",
    **_address("voipbin.conversation.self", "the texted number"),
    **_address("voipbin.conversation.peer", "the sender"),
    "voipbin.conversation_message.id": "the text",
    "voipbin.conversation_message.text": "what it says",
    "voipbin.conversation_message.direction": "inbound",
    "edge.message.media.count": "how many pictures and other media came with the text (MMS)",
    "edge.message.media.*": "the URL of each, by its number: edge.message.media.0 is the first",
    "edge.call.status": "ringing, progressing or hangup",
    "edge.call.caller": "the caller's number as E.164 where it can be read so, else as it came",
    "edge.call.sip_call_id": "the Call-ID on the wire",
    "edge.call.trunk": "the trunk the call came by",
    "edge.call.attestation": "who vouches for the caller's number: A, B or C; empty when nobody does",
    "edge.call.verstat": "what verifying that came to: TN-Validation-Passed, TN-Validation-Failed, No-TN-Validation;"
    " empty when nobody looks",
    "edge.call.origination_id": "where the call began, as who vouches names it",
    "edge.call.diversion": "who sent the call on last; anonymous when he withholds that",
    "edge.call.diversion_reason": "why: user-busy, no-answer, unconditional, deflection, unknown …",
    "edge.call.diversion_trusted": _MARK_OF_TRUST,
    "edge.call.diversions": "how often it was sent on",
    "edge.call.original_called": "who was dialed first, where that is said",
    "edge.call.original_called_trusted": _MARK_OF_TRUST,
    "edge.call.called_party": "P-Called-Party-ID: what was dialed, as a registrar kept it",
    "edge.caller.read_from": "where the caller's number was read: from, p-asserted-identity or remote-party-id",
    "edge.caller.withheld": "true when the caller keeps his number from whom he calls, else false",
    "edge.caller.from": "the number in From, which anybody can write; anonymous for one that is withheld",
    "edge.caller.from_name": "the name in From",
    "edge.caller.asserted": "the number in P-Asserted-Identity; anonymous for one that is withheld",
    "edge.caller.asserted_name": "the name in P-Asserted-Identity",
    "edge.caller.asserted_trusted": _MARK_OF_TRUST,
    "edge.caller.remote_party": "the number in Remote-Party-ID; anonymous for one that is withheld",
    "edge.caller.remote_party_name": "the name in Remote-Party-ID",
    "edge.caller.remote_party_screened": "its screen: yes or no",
    "edge.caller.remote_party_trusted": _MARK_OF_TRUST,
    "edge.caller.privacy": "the words of Privacy, with ; between them",
    "edge.caller.privacy_trusted": _MARK_OF_TRUST,
    "edge.flow.error": "why the step failed whose failure_id was taken, or the flow whose place the fallback took",
    "edge.connect.outcome": "what came of the last connect: answered, busy, noanswer, declined or failed",
    "edge.connect.status": "its final SIP status",
    "edge.connect.cause": "its Q.850 cause, where one is known",
    "edge.connect.destination": "who answered, or who was tried last",
    "edge.connect.seconds": "how long the two talked",
    "edge.webhook.status": "the status that the last webhook_send with sync was answered with; empty for no answer",
    "edge.webhook.body": "the body of that answer",
    "edge.webhook.json.*": "the texts, numbers and truths in it, by name, where it was a JSON object",
    "edge.text_receive.outcome": "how the last text_receive ended: received or timeout",
    "edge.number.id": "the number that was reached",
    "edge.number.name": "its name",
    "edge.number.detail": "its detail",
}

# Names of the platform's whose part is not here.
OF_THE_PLATFORM: Final = (
    *("voipbin.transcribe.*", "voipbin.aicall.*", "voipbin.ai_summary.*"),
    *("voipbin.queue.*", "voipbin.queuecall.*", "voipbin.tts.*"),
)

_MARK: Final = re.compile(r"\$\{|\}|\n")
_NOTHING: Final[Mapping[str, str]] = {}


def is_reserved(name: str) -> bool:
    """Whether only the system may set it."""
    return name.startswith(RESERVED)


def quoted(value: str) -> str:
    """A value for people to read: in quotation marks, on one line, and not endless."""
    return json.dumps(value if len(value) <= SHOWN else f"{value[:SHOWN]}…", ensure_ascii=False)


def is_name(name: str) -> bool:
    """Whether `${name}` would read it."""
    return bool(name) and not ("}" in name or "\n" in name or DEFAULT in name)


def what_is_wrong(name: str, *, of_the_platform: bool = False) -> str | None:
    """Why a flow cannot read a name: one of the system's that there is not. Any other name the flow may set itself.

    `of_the_platform`: the names of parts that are not here are nothing wrong, and empty.
    """
    if not is_reserved(name) or _is_among(name, KNOWN):
        return None
    if _is_among(name, OF_THE_PLATFORM):
        return None if of_the_platform else f"the variable {name[:60]} is not available here"
    near = difflib.get_close_matches(name, KNOWN, 1)
    return f"there is no variable {name[:60]}" + (f"; did you mean {near[0]}?" if near else "")


def _is_among(name: str, names: Iterable[str]) -> bool:
    return any(name == one or (one.endswith(".*") and name.startswith(one[:-1])) for one in names)


def variables_in(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """The names that a JSON value reads, each with its place in it."""
    if isinstance(value, str):
        yield from ((path, name) for name in _taken_apart(value)[1::3])
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from variables_in(item, (*path, str(key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from variables_in(item, (*path, index))


def _taken_apart(text: str) -> list[str]:
    """Literal, name, default, literal, name, default, …, literal. One look at each character, whoever wrote them."""
    if "${" not in text:
        return [text]
    parts: list[str] = []
    done, opened = 0, -1
    for mark in _MARK.finditer(text):
        match mark[0]:
            case "${" if opened < 0:
                opened = mark.start()
            case "\n":
                opened = -1
            case "}" if opened >= 0:
                name, _, default = text[opened + 2 : mark.start()].partition(DEFAULT)
                parts += text[done:opened], name, default
                done, opened = mark.end(), -1
    return [*parts, text[done:]]


def has_variables(value: Any) -> bool:
    """Whether there is a `${name}` anywhere in the texts of a JSON value."""
    if isinstance(value, str):
        return len(_taken_apart(value)) > 1
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

    def __init__(self, given: Mapping[str, str] = _NOTHING, own: Mapping[str, str] = _NOTHING) -> None:
        """`own` is what an earlier part of the run had set."""
        self._given = given
        self._own: dict[str, str] | None = None
        self._count = 0
        self._size = 0
        if own:
            free = [(name, value) for name, value in own.items() if not is_reserved(name)]
            self._own, self._count = dict(own), len(free)
            self._size = sum(len(name) + len(value) for name, value in free)

    def get(self, name: str) -> str:
        """The value, "" for an unknown name."""
        if self._own is not None and (value := self._own.get(name)) is not None:
            return value
        return self._given.get(name, "")

    def set(self, name: str, value: str) -> None:
        """What a flow sets. Raises Forbidden for a name of the system's, Invalid above a limit or for no name."""
        if is_reserved(name):
            raise Forbidden(f"the variable {name} can only be read")
        if not is_name(name) or len(name) > limits.VARIABLE_NAME_CHARACTERS:
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

    def forget_system(self, prefix: str) -> None:
        """Take back what the system set under names that begin so."""
        for name in [name for name in self._own or () if name.startswith(prefix)]:
            del self._own[name]  # type: ignore[union-attr]  # it has names

    def own(self) -> dict[str, str]:
        """A copy of what was set during the run."""
        return dict(self._own or {})


class Template:
    """The options of a step that hold variables, taken apart once so that a run only puts the values in."""

    __slots__ = ("_nested", "_option", "_texts")

    def __init__(self, option: Mapping[str, Any], untouched: Container[str] = ()) -> None:
        self._option = dict(option)
        self._texts: list[tuple[str, list[str]]] = []  # texts at the top, taken apart
        self._nested: list[tuple[str, Any]] = []  # lists and objects
        for key, value in option.items():
            if key not in untouched and has_variables(value):
                if isinstance(value, str):
                    self._texts.append((key, _taken_apart(value)))
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
    if len(parts) == 4 and not parts[0] and not parts[3]:
        value = variables.get(parts[1]) or parts[2]
        if len(value) > room:
            raise _too_large()
        return value, room - len(value)
    whole = [parts[0]]
    for at in range(1, len(parts), 3):
        value = variables.get(parts[at]) or parts[at + 1]
        room -= len(value)
        whole += value, parts[at + 2]
    if room < 0:
        raise _too_large()
    return "".join(whole), room


def _fill_value(value: Any, variables: Variables, room: int) -> tuple[Any, int]:
    if isinstance(value, str):
        return _fill_text(_taken_apart(value), variables, room)
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
