"""One step of a document: an action with its options, checked once, or when it runs if they hold variables.

Options without `${` are validated when the flow is compiled, and every run uses that one action. Options with variables
are checked as far as their plain parts go; the rest is a failure of the step when its values turn out wrong. In both a
null is an option that was not given.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from pydantic import ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from edge.errors import Fault, Internal, Invalid
from edge.flows.action import ACTIONS, Action, Next
from edge.flows.session import Session
from edge.flows.variables import Template, Variables, has_variables, variables_in, what_is_wrong

ActionClass: TypeAlias = type[Action]

# Actions of the platform. Those that nobody built here are refused by name, or skipped where the flow says so; an entry
# whose action exists is not looked at.
# fmt: off
OF_THE_PLATFORM: Final = frozenset({
    "ai_summary", "ai_talk", "ai_task", "amd", "call", "case_create", "confbridge_join", "conference_join",
    "connect", "empty", "mute", "queue_join", "recording_start",
    "recording_stop", "transcribe_recording", "transcribe_start", "transcribe_stop",
})
# fmt: on


class Skipped(Action):
    """Stands for an action of the platform that is not here, in a flow that wants those skipped."""

    model_config = ConfigDict(extra="ignore")

    type = "skipped"
    listed = False
    instant = True
    varies = False

    async def run(self, session: Session, run: Any) -> Next:
        run.note = f"skipped: {run.step.type} is not available here"
        return None


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One step of a flow. `next` is the index of the step that follows, the number of steps for the end; `failure` that
    of the one that follows when it fails, if there is one of its own."""

    id: str
    type: str
    index: int
    next: int
    failure: int | None
    model: ActionClass
    option: Mapping[str, Any]
    action: Action | None  # None: the options hold variables, and `template` has them
    template: Template | None

    def fill(self, variables: Variables) -> Action:
        """The action with the values of now. Raises Invalid when they do not fit."""
        if self.template is None:
            raise Internal(f"the step {self.id} has no variables to fill in")
        option = self.template.fill(variables)
        try:
            action: Action = self.model.__pydantic_validator__.validate_python(option)  # what model_validate calls
            return action
        except ValidationError as error:
            faults = tuple(option_faults(self.model, error, "option"))
            raise Invalid("; ".join(map(str, faults)), faults=faults) from None


def find_action(name: Any, where: str, *, skip: bool = False) -> type[Action] | Fault:
    """The class of an action by its type. `skip`: what the platform has and we have not is no fault but skipped."""
    if not isinstance(name, str) or not name:
        return Fault(where, "needs the name of an action")
    model = ACTIONS.get(name)
    if model is not None:
        return model
    if name in OF_THE_PLATFORM:
        return Skipped if skip else Fault(where, f"{name} is not available here")
    near = difflib.get_close_matches(name, ACTIONS.names(), 1)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(ACTIONS.names())}"
    return Fault(where, f"there is no action {name[:40]!r}; {hint}")


def read_option(
    model: type[Action], raw: Any, where: str, *, skip: bool = False
) -> tuple[dict[str, Any], Action | None, list[Fault]]:
    """The options of a step as (what is kept, the action unless there are variables, faults).

    `skip`: variables of the platform that are not here are no faults but empty.
    """
    if raw is None:
        raw = {}
    if not isinstance(raw, dict):
        return {}, None, [Fault(where, "must be an object")]
    if model is Skipped:
        return raw, Skipped(), []
    option = {name: value for name, value in raw.items() if value is not None}
    open_ = {name: value for name, value in option.items() if name not in model.untouched}
    unknown = [
        Fault(place(where, path), wrong)
        for path, name in _names_in(model, open_)
        if (wrong := what_is_wrong(name, of_the_platform=skip))
    ]
    try:
        action = model.model_validate(option)
    except ValidationError as error:
        return option, None, [*option_faults(model, error, where, but_variables=True), *unknown]
    return option, None if has_variables(open_) else action, unknown


def _names_in(model: type[Action], option: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """The variables that a step reads, with the places of their names in its options."""
    yield from variables_in(option)
    for name in model.variables:
        value = option.get(name)
        if isinstance(value, str) and not has_variables(value):
            yield (name,), value


def option_faults(
    model: type[Action], error: ValidationError, where: str, *, but_variables: bool = False
) -> Iterator[Fault]:
    """What pydantic found, each with its place: `actions[2].option.length`.

    With `but_variables` what is wrong with a value that holds variables is left out: nobody knows it yet.
    """
    untouched = {(name,) for name in model.untouched}
    for detail in error.errors(include_url=False):
        unknown = but_variables and has_variables(detail["input"]) and detail["loc"][:1] not in untouched
        if unknown and detail["type"] not in ("missing", "extra_forbidden"):
            continue
        yield Fault(place(where, detail["loc"]), _sentence(model, detail))


def place(where: str, path: Iterable[str | int]) -> str:
    """`actions[2].option` and ("target_ids", "1") → `actions[2].option.target_ids.1`."""
    for part in path:
        where += f"[{part}]" if isinstance(part, int) else f".{part}"
    return where


def _sentence(model: type[Action], detail: ErrorDetails) -> str:
    match detail["type"]:
        case "missing":
            return "is needed"
        case "extra_forbidden":
            return f"{model.type} has no such option; {_known(_names(model))}"
        case "value_error":
            return str(detail["ctx"]["error"])
    text = detail["msg"]
    return text[:1].lower() + text[1:]


def _names(model: type[Action]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _known(names: Sequence[str]) -> str:
    return f"it has {', '.join(names)}" if names else "it has none"
