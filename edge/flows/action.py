"""What an action is: one class in one file of `edge/actions`, its options as fields, its behaviour as `run`.

Making the class enters it into `ACTIONS`. The annotation of `session` in its `run` says which media it works for, so
the class needs to say nothing more about that:

    class Beep(Action):
        '''Play a beep. …'''

        type = "beep"

        async def run(self, session: CallSession, run: Run) -> Next:
            await session.beep()
            return None

Actions are frozen and shared by all runs of a flow: what one run has to remember goes into the `Run`. `run` may wait on
the session and on nothing else, and must not ask for the current task (`asyncio.timeout` does), because until the first
wait there is none.

An action fails by raising an `EdgeError`. When it is `fatal` the run fails with it, otherwise the reason goes into the
step log and the next step follows. Whatever else it raises is a fault of ours and fails the run.
"""

from __future__ import annotations

import inspect
import json
from abc import abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, NamedTuple, TypeAlias, get_type_hints

from pydantic import BaseModel, BeforeValidator, ConfigDict

from edge import metrics
from edge.flows.session import CallSession, Medium, MessageSession, Session
from edge.flows.variables import Variables
from edge.plugins import Plugins
from edge.store.metadata import NIL

if TYPE_CHECKING:
    from edge.flows.flow import Flow
    from edge.flows.run import Run

MEDIA_OF: Final[dict[Any, frozenset[Medium]]] = {
    Session: frozenset({"call", "message"}),
    CallSession: frozenset({"call"}),
    MessageSession: frozenset({"message"}),
}

# Ids that mean a place and not a step; the nil UUID means "none".
START: Final = "00000000-0000-0000-0000-000000000001"
FINISH: Final = "00000000-0000-0000-0000-000000000002"
NEXT: Final = "00000000-0000-0000-0000-000000000003"

STEP_OUTCOMES: Final = ("done", "failed", "fatal", "ended")  # failed: the run went on; fatal: it did not
ACTION_RUNS = metrics.tally("actions_total", "Actions run, by type and how each went.", ("type", "outcome"))


class Jump(NamedTuple):
    """Go on with the step of this id."""

    step: str


class Stop(NamedTuple):
    """The flow is over."""


class Enter(NamedTuple):
    """Run the steps of another flow, then the step that follows. Made by `Run.enter`, which checks it."""

    flow: Flow


class Park(NamedTuple):
    """Let the run rest, out of memory, until its host has news for it: for so many seconds at most, then go on with
    `otherwise`, a step's id, or "" for the step that follows."""

    seconds: float
    otherwise: str


Next: TypeAlias = Jump | Stop | Enter | Park | None  # None: the step that follows


class _Target:
    """Marks an option that names a step, so that the compiler can look whether it is there."""


class _Variable:
    """Marks an option that names a variable, without `${}`, so that the compiler can look whether there is one."""


class Names(NamedTuple):
    """Marks an option that names something that the account keeps, so that a name of nothing can be warned of."""

    kind: Literal["calendar", "caller_list"]


def _none_is_empty(value: object) -> object:
    return "" if value is None or value == NIL else value


StepId = Annotated[str, BeforeValidator(_none_is_empty, json_schema_input_type=str | None), _Target()]
VariableName = Annotated[str, _Variable()]
StepIds = Annotated[dict[str, StepId], _Target()]


class Action(BaseModel):
    """The base of all actions."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    type: ClassVar[str]
    listed: ClassVar[bool] = True  # a flow can name it
    fatal: ClassVar[bool] = False  # a failure ends the run
    goes_on: ClassVar[bool] = True  # the step that follows may be next
    # What loops are judged by (`flows/loops.py`); an action that says nothing is taken to wait.
    enters: ClassVar[bool] = False  # it runs steps that are not in its flow
    instant: ClassVar[bool] = False  # it waits for nothing that takes its time
    varies: ClassVar[bool] = True  # done again at once it may set or decide something else
    counts: ClassVar[bool] = False  # it jumps only so many times in a run

    media: ClassVar[frozenset[Medium]]
    targets: ClassVar[tuple[str, ...]]  # the options that name steps
    variables: ClassVar[tuple[str, ...]]  # the options that name variables
    names: ClassVar[tuple[tuple[str, str], ...]]  # the options that name what the account keeps, each with its kind
    untouched: ClassVar[frozenset[str]] = frozenset()  # options that are put in as they are: steps for another run
    counted: ClassVar[dict[str, metrics.Count]]  # the metric by outcome

    @abstractmethod
    async def run(self, session: Any, run: Run) -> Next:
        """Do it. Raises EdgeError when it cannot be done, SessionEnded when the session is over."""

    def at_once(self) -> bool:
        """Whether it waits for nothing, with these options."""
        return self.instant

    def doubts(self) -> Iterable[tuple[str, str]]:
        """Options that are allowed and probably not meant: (option, what about it). Told as warnings when stored."""
        return ()

    def facts(self, variables: Variables) -> str:
        """The values that it decides on or sets, for a simulation to show. They may be secret: they are never logged.

        Asked just before `run`; "" when there is nothing to tell.
        """
        return ""

    @classmethod
    def example(cls) -> dict[str, Any]:
        """The step that the docstring shows."""
        text = inspect.cleandoc(cls.__doc__ or "")
        example: dict[str, Any] = json.loads(text[text.index("\n    {") :])
        return example

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        bare = [name for name, field in cls.model_fields.items() if not field.description]
        if bare:
            raise TypeError(f"{cls.__qualname__}: options without a description: {', '.join(bare)}")
        cls.media = MEDIA_OF[get_type_hints(cls.run)["session"]]
        cls.targets = _marked(cls, _Target)
        cls.variables = _marked(cls, _Variable)
        cls.names = tuple(
            (field.alias or name, mark.kind)
            for name, field in cls.model_fields.items()
            for mark in field.metadata
            if isinstance(mark, Names)
        )
        cls.counted = {outcome: ACTION_RUNS.labels(cls.type, outcome) for outcome in STEP_OUTCOMES}
        if cls.listed:
            ACTIONS.add(cls.type, cls)


def _marked(model: type[Action], mark: type) -> tuple[str, ...]:
    """The options that carry a mark."""
    fields = model.model_fields.items()
    return tuple(field.alias or name for name, field in fields if any(isinstance(m, mark) for m in field.metadata))


ACTIONS: Final[Plugins[Action]] = Plugins("action")


class Option(NamedTuple):
    """One option of an action, for people."""

    name: str
    type: str  # as JSON Schema calls it
    required: bool
    default: Any
    sentence: str


class Description(NamedTuple):
    """One action, for people: what `/docs` and the command line print."""

    type: str
    text: str  # the docstring without its example
    media: tuple[str, ...]
    fatal: bool
    options: tuple[Option, ...]
    example: dict[str, Any]


def describe() -> list[Description]:
    """All actions in alphabetical order, from their classes."""
    return [_describe(action) for _, action in ACTIONS]


def _describe(action: type[Action]) -> Description:
    properties = action.model_json_schema(by_alias=True)["properties"] if action.model_fields else {}
    options = tuple(
        Option(
            name=field.alias or name,
            type=_type_of(properties[field.alias or name]),
            required=field.is_required(),
            default=properties[field.alias or name].get("default"),
            sentence=field.description or "",
        )
        for name, field in action.model_fields.items()
    )
    text = inspect.cleandoc(action.__doc__ or "")
    return Description(
        type=action.type,
        text=text[: text.index("\n    {")].rstrip(),
        media=tuple(sorted(action.media)),
        fatal=action.fatal,
        options=options,
        example=action.example(),
    )


def _type_of(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    if "anyOf" in schema:
        return " | ".join(_type_of(one) for one in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_type_of(schema.get('items', {}))}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_type_of(schema['additionalProperties'])}"
    kind: str = schema.get("type", "any")
    return kind
