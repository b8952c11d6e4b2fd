"""A flow, and how it comes out of the document that its owner wrote.

    {"name": "greeting", "detail": "", "on_complete_flow_id": "", "actions": [
        {"id": "hello", "type": "play", "option": {"stream_urls": ["hello.wav"]}, "next_id": "",
         "failure_id": "sorry"}, …]}

Step ids are unique texts; a step without one gets a UUID. `next_id` nil, "" or null is the following step. Three ids
are places and no steps: start (…0001, the first step), finish (…0002, the end of the flow) and next (…0003, the step
that follows); they can be jumped to. `failure_id` is where the flow goes on when the step fails: without it the run
fails or, where the action says so, the following step is next. `on_complete_flow_id` is a flow that runs when a run of
this one is over, however it came out, and its session too.

With `"unavailable": "skip"` a flow of the platform can be brought over: its actions that are not here (queues,
conferences, transcribing …) are stored with their options as they are, and skipped when it runs. Otherwise, "refuse",
they are faults.

Everything that can be known is checked here, before the flow is stored, and all faults are told at once: unknown
actions, wrong options, unknown variables, ids given twice, jumps to nowhere, loops without an end or a wait, steps that
no one session can all do. What may be meant but probably is not, such as a step that nothing leads to, is a warning.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, get_args

from edge.errors import Fault, Invalid
from edge.flows import limits
from edge.flows.action import FINISH, NEXT, START, Action
from edge.flows.loops import find_loops
from edge.flows.session import Medium
from edge.flows.step import Skipped, Step, find_action, place, read_option
from edge.flows.variables import MEMORY, Template, has_variables
from edge.store.metadata import NIL, is_id, json_text, new_id

KEYS: Final = ("name", "detail", "actions", "on_complete_flow_id", "unavailable")
STEP_KEYS: Final = (
    "id",
    "type",
    "option",
    "next_id",
    "failure_id",
    "tm_execute",
)  # the last is the platform's, empty when stored
RESERVED_IDS: Final = (START, FINISH, NEXT)
MEDIA: Final[tuple[Medium, ...]] = get_args(Medium)
_INDEX: Final = re.compile(r"actions\[(\d+)\]")
WhenUnavailable = Literal["refuse", "skip"]
UNAVAILABLE: Final[tuple[WhenUnavailable, ...]] = get_args(WhenUnavailable)
NEEDS: Final[dict[Medium, str]] = {"call": "a call", "message": "a message"}


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """One version of a flow, ready to run. Never changed: a run keeps the one it began with."""

    id: str
    customer_id: str
    version: int
    name: str
    detail: str
    actions: tuple[Mapping[str, Any], ...]  # as stored: ids filled in, `next_id` nil for the following step
    steps: tuple[Step, ...]
    places: Mapping[str, int]  # index by id; start and finish are in it
    media: frozenset[Medium]
    on_complete_flow_id: str = NIL
    unavailable: WhenUnavailable = "refuse"
    recalls: bool = False  # it may read or set what is remembered of a person
    warnings: tuple[Fault, ...] = ()

    @property
    def needs_no_session(self) -> bool:
        """Whether it can run when its session is over: every step of it is one for any medium."""
        return len(self.media) == len(MEDIA)

    def first_without(self, medium: Medium) -> Step | None:
        """The first step that cannot be done for a medium."""
        return next((step for step in self.steps if medium not in step.model.media), None)

    def document(self) -> dict[str, Any]:
        """What `compile_flow` takes."""
        return {
            "name": self.name,
            "detail": self.detail,
            "on_complete_flow_id": self.on_complete_flow_id,
            "unavailable": self.unavailable,
            "actions": [dict(action) for action in self.actions],
        }

    def to_json(self) -> bytes:
        """The form in Redis."""
        return json_text([self.id, self.customer_id, self.version, self.document()]).encode()

    @classmethod
    def from_json(cls, body: bytes) -> Flow:
        """Raises ValueError for what `to_json` did not make, and for a flow that this release does not allow."""
        fields = json.loads(body)
        try:
            id, customer_id, version, document = fields
            return compile_flow(document, id=id, customer_id=customer_id, version=version)
        except (TypeError, Invalid) as error:
            raise ValueError(f"not a flow: {error}") from None


def require_medium(flow: Flow, medium: Medium, where: str = "") -> None:
    """Raise Invalid, naming the step, when a flow cannot run for a medium. `where` is the slot it is to be bound to."""
    step = flow.first_without(medium)
    if step is not None:
        raise Invalid(
            f"the flow cannot run for {NEEDS[medium]}: {_blame(step)}",
            faults=[Fault(where, f"the flow cannot run for {NEEDS[medium]}: {_blame(step)}")],
            reason="FLOW_MEDIUM_MISMATCH",
        )


def compile_flow(document: Any, *, id: str = NIL, customer_id: str = NIL, version: int = 0) -> Flow:
    """Make a flow out of a document. Raises Invalid with one `Fault` per place that is wrong."""
    faults = list(_size_faults(document))
    if faults:
        raise _invalid(faults)
    name, detail = document.get("name"), document.get("detail")
    faults += _text_faults(document)
    skip = document.get("unavailable") == "skip"
    drafts = _drafts(document.get("actions"), faults, skip=skip)
    places = _places(drafts, faults)
    steps = [_step(draft, drafts, places, faults) for draft in drafts]
    built = [step for step in steps if step is not None]
    media = _media(built, faults)
    endless, doubtful = ([], []) if faults else find_loops(built, places)
    faults += endless
    if faults:
        raise _invalid([_with_step(fault, drafts) for fault in faults])
    warnings = (*_skipped(built), *_doubts(built), *doubtful, *_unreachable(built, places))
    return Flow(
        id=id,
        customer_id=customer_id,
        version=version,
        name=name or "",
        detail=detail or "",
        actions=tuple(draft.stored for draft in drafts),
        steps=tuple(built),
        places=places,
        media=media,
        unavailable="skip" if skip else "refuse",
        recalls=any(step.model.enters for step in built) or MEMORY in json_text(document["actions"]),
        on_complete_flow_id=(document.get("on_complete_flow_id") or NIL).lower(),
        warnings=tuple(_with_step(warning, drafts) for warning in warnings),
    )


def name_steps(document: Any) -> Any:
    """The document with an id for each step that has none: `step-3` for the third. They are the same each time."""
    if not isinstance(document, dict) or not isinstance(document.get("actions"), list):
        return document
    taken = {action.get("id") for action in document["actions"] if isinstance(action, dict)}
    actions = []
    for number, action in enumerate(document["actions"], 1):
        if isinstance(action, dict) and action.get("id") in (None, "", NIL):
            name = f"step-{number}"
            while name in taken:
                name += "-"
            action = {**action, "id": name}
        actions.append(action)
    return {**document, "actions": actions}


@dataclass(slots=True)
class _Draft:
    """A step while the document is read."""

    index: int
    id: str
    named: bool  # by the document; otherwise the id was made
    next_id: str
    failure_id: str
    model: type[Action] | None
    option: dict[str, Any]
    action: Action | None
    stored: dict[str, Any]

    @property
    def where(self) -> str:
        return f"actions[{self.index}]"


def _size_faults(document: Any) -> Iterator[Fault]:
    """What would make reading on unwise. What goes too deep is found before anything recurses into it."""
    if not isinstance(document, dict):
        yield Fault("", "a flow is an object with name, detail and actions")
        return
    level: list[Any] = [document]
    for _ in range(limits.DOCUMENT_DEPTH):
        level = [child for item in level for child in _children(item)]
    if level:
        yield Fault("", f"lists and objects go deeper than {limits.DOCUMENT_DEPTH} levels")
        return
    try:
        size = len(json.dumps(document, ensure_ascii=False).encode())
    except UnicodeEncodeError:
        yield Fault("", "a text holds half a character (a lone surrogate)")
    except (TypeError, ValueError) as error:
        yield Fault("", f"not JSON: {error}")
    else:
        if size > limits.DOCUMENT_CHARACTERS:
            yield Fault("", f"larger than {limits.DOCUMENT_CHARACTERS} bytes")


def _children(item: Any) -> Iterator[Any]:
    if isinstance(item, dict):
        yield from item.values()
    elif isinstance(item, list):
        yield from item


def _text_faults(document: dict[str, Any]) -> Iterator[Fault]:
    yield from (Fault(str(key)[:40], _unknown(KEYS)) for key in document if key not in KEYS)
    for key, longest in (("name", limits.NAME_CHARACTERS), ("detail", limits.DETAIL_CHARACTERS)):
        text = document.get(key)
        if text is not None and not isinstance(text, str):
            yield Fault(key, "must be a text")
        elif text and len(text) > longest:
            yield Fault(key, f"longer than {longest} characters")
        elif text and "\0" in text:
            yield Fault(key, "holds a NUL character")
    following = document.get("on_complete_flow_id")
    if following is not None and following != "" and not (isinstance(following, str) and is_id(following.lower())):
        yield Fault("on_complete_flow_id", "neither a UUID nor empty")
    if document.get("unavailable") not in (None, "", *UNAVAILABLE):
        yield Fault("unavailable", f"must be {' or '.join(UNAVAILABLE)}")


def _drafts(actions: Any, faults: list[Fault], *, skip: bool) -> list[_Draft]:
    if not isinstance(actions, list) or not actions:
        faults.append(Fault("actions", "must be a list of at least one step"))
        return []
    if len(actions) > limits.STEPS_PER_FLOW:
        faults.append(Fault("actions", f"more than {limits.STEPS_PER_FLOW} steps"))
        return []
    return [_draft(index, raw, faults, skip=skip) for index, raw in enumerate(actions)]


def _draft(index: int, raw: Any, faults: list[Fault], *, skip: bool) -> _Draft:
    where = f"actions[{index}]"
    if not isinstance(raw, dict):
        faults.append(Fault(where, "must be an object with type and option"))
        return _Draft(index, new_id(), False, "", "", None, {}, None, {})
    faults += [Fault(place(where, [str(key)[:40]]), _unknown(STEP_KEYS[:-1])) for key in raw if key not in STEP_KEYS]
    own, follows, failure = (_id(raw, key, where, faults) for key in ("id", "next_id", "failure_id"))
    if own in RESERVED_IDS:
        faults.append(Fault(f"{where}.id", f"{own} is reserved"))
    named = bool(own)
    own = own or new_id()
    found = find_action(raw.get("type"), f"{where}.type", skip=skip)
    model: type[Action] | None = None
    option: dict[str, Any] = {}
    action: Action | None = None
    if isinstance(found, Fault):
        faults.append(found)
    else:
        model = found
        option, action, wrong = read_option(model, raw.get("option"), f"{where}.option", skip=skip)
        faults += wrong
    stored = {"id": own, "type": raw.get("type"), "option": raw.get("option") or {}, "next_id": follows or NIL}
    if failure:
        stored["failure_id"] = failure
    return _Draft(index, own, named, follows, failure, model, option, action, stored)


def _id(raw: dict[str, Any], key: str, where: str, faults: list[Fault]) -> str:
    value = raw.get(key)
    if value is None or value in ("", NIL):
        return ""
    if not isinstance(value, str) or len(value) > limits.STEP_ID_CHARACTERS or not value.isprintable():
        faults.append(
            Fault(f"{where}.{key}", f"must be a printable text of at most {limits.STEP_ID_CHARACTERS} characters")
        )
        return ""
    return value


def _places(drafts: list[_Draft], faults: list[Fault]) -> dict[str, int]:
    places: dict[str, int] = {}
    for draft in drafts:
        other = places.setdefault(draft.id, draft.index)
        if other != draft.index:
            faults.append(Fault(f"{draft.where}.id", f"actions[{other}] has the id {draft.id} too"))
    places[START], places[FINISH] = 0, len(drafts) + 1  # the end of the run, not only of this flow
    return places


def _step(draft: _Draft, drafts: list[_Draft], places: dict[str, int], faults: list[Fault]) -> Step | None:
    following = _follows(draft, "next_id", draft.index + 1, places, faults)
    failure = _follows(draft, "failure_id", following, places, faults) if draft.failure_id else None
    if draft.model is None:
        return None
    for path, target in targets_of(draft.model, draft.option):
        where = place(f"{draft.where}.option", path)
        if not target:
            if len(path) > 1 or draft.model.model_fields[path[0]].is_required():
                faults.append(Fault(where, "needs the id of a step"))
        elif target not in places and target != NEXT and not has_variables(target):
            faults.append(Fault(where, _nowhere(target)))
    return Step(
        id=draft.id,
        type=draft.stored["type"],
        index=draft.index,
        next=following,
        failure=failure,
        model=draft.model,
        option=draft.option,
        action=draft.action,
        template=None if draft.action is not None else Template(draft.option, draft.model.untouched),
    )


def _follows(draft: _Draft, key: str, otherwise: int, places: dict[str, int], faults: list[Fault]) -> int:
    """The index of the step that one of the keys of a step leads to."""
    target: str = getattr(draft, key)
    if not target or target == NEXT:
        return otherwise
    if target not in places:
        faults.append(Fault(f"{draft.where}.{key}", _nowhere(target)))
    return places.get(target, otherwise)


def targets_of(model: type[Action], option: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """The ids in the options that name steps, with their places; "" for none. Other types are told elsewhere."""
    for name in model.targets:
        value = option.get(name)
        if isinstance(value, dict):
            yield from (((name, str(key)), _empty(item)) for key, item in value.items() if _may_be_id(item))
        elif name in option and _may_be_id(value):
            yield (name,), _empty(value)


def _may_be_id(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _empty(value: str | None) -> str:
    return "" if value is None or value == NIL else value


def _media(steps: list[Step], faults: list[Fault]) -> frozenset[Medium]:
    media = frozenset(MEDIA)
    for step in steps:
        media &= step.model.media
    if steps and not media:
        blamed = {blocking.index: blocking for medium in MEDIA if (blocking := _blocking(steps, medium))}
        told = ", ".join(_blame(blamed[index]) for index in sorted(blamed))
        faults.append(Fault("actions", f"no session can run all of them: {told}"))
    return media


def _blocking(steps: list[Step], medium: Medium) -> Step | None:
    return next((step for step in steps if medium not in step.model.media), None)


def _blame(step: Step) -> str:
    """`step 3, "hello" (play), needs a call`; counted from 0, as places are."""
    needs = " or ".join(NEEDS[medium] for medium in sorted(step.model.media))
    return f"actions[{step.index}] ({step.type}, id {step.id}) needs {needs}"


def _skipped(steps: list[Step]) -> Iterator[Fault]:
    for step in steps:
        if step.model is Skipped:
            yield Fault(f"actions[{step.index}].type", f"{step.type} is not available here and will be skipped")


def _doubts(steps: list[Step]) -> Iterator[Fault]:
    for step in steps:
        if step.action is not None:
            for name, sentence in step.action.doubts():
                yield Fault(f"actions[{step.index}].option.{name}", sentence)


def _unreachable(steps: list[Step], places: Mapping[str, int]) -> Iterator[Fault]:
    """Steps that nothing leads to. A jump whose target is a variable may lead anywhere."""
    reached: set[int] = set()
    front = [0]
    while front:
        index = front.pop()
        if index in reached or index >= len(steps):
            continue
        reached.add(index)
        step = steps[index]
        if step.model.goes_on:
            front.append(step.next)
        if step.failure is not None:
            front.append(step.failure)
        for _, target in targets_of(step.model, step.option):
            if has_variables(target):
                return
            if target:
                front.append(step.next if target == NEXT else places[target])
    for step in steps:
        if step.index not in reached:
            yield Fault(f"actions[{step.index}]", f"nothing leads to this step ({step.type}, id {step.id})")


def _with_step(fault: Fault, drafts: list[_Draft]) -> Fault:
    """The fault with the id of its step. An id that was made just now would tell nobody anything."""
    found = _INDEX.match(fault.where)
    draft = drafts[int(found[1])] if found else None
    return replace(fault, step=draft.id) if draft is not None and draft.named else fault


def _nowhere(target: str) -> str:
    return f"there is no step {target[:60]!r}"


def _unknown(known: tuple[str, ...]) -> str:
    return f"unknown key; known are {', '.join(known)}"


def _invalid(faults: list[Fault]) -> Invalid:
    told = faults[: limits.FAULTS]
    more = f" and {len(faults) - 1} more" if len(faults) > 1 else ""
    return Invalid(f"the flow is wrong: {faults[0]}{more}", faults=told, reason="INVALID_FLOW")
