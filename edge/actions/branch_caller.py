"""Go where the caller says."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from edge.flows import limits
from edge.flows.action import Action, Jump, Names, Next, StepId, StepIds
from edge.flows.caller_list import Caller, Callers, read_match
from edge.flows.run import Run
from edge.flows.session import Medium, Session
from edge.flows.variables import Variables, quoted

ATTESTATION: Final = "edge.call.attestation"
SOURCE: Final[dict[Medium, str]] = {
    "call": "edge.call.caller",
    "message": "voipbin.conversation.peer.target",
}


def _matches(targets: dict[str, str]) -> dict[str, str]:
    """Each match in its one form."""
    read: dict[str, str] = {}
    for text, target in targets.items():
        match = read_match(text)
        if match in read:
            raise ValueError(f"names {match} twice")
        read[match] = target
    return read


class BranchCaller(Action):
    """Look the caller, or the sender of a text, up among callers named here and in a list of the account, and go on
    where the most specific match says: the number itself, then the longest beginning, then `anonymous`, then the
    attestation. When both know him equally well, `callers` counts.

    Numbers are compared as E.164, however the carrier writes them.

    `callers` has a target for each match: `+14155550199`, `+44*`, `anonymous`, `attestation:A` (B, C, none). A match of
    the `caller_list` goes to the target of its label in `target_ids`, or else to `match_target_id`. Where no target is
    given the next step follows. So a list turns callers away with a `match_target_id`, and lets only its callers in
    with a `default_target_id`.

    On failure (there is no such list) the run fails.

        {"id": "who", "type": "branch_caller", "option": {"callers": {"anonymous": "no-number"},
         "caller_list": "known", "target_ids": {"vip": "desk"}, "default_target_id": "queue"}}
    """

    type = "branch_caller"
    fatal = True
    instant = True
    varies = False

    callers: Annotated[StepIds, AfterValidator(_matches)] = Field(
        default_factory=dict,
        max_length=limits.STEP_CALLERS,
        description="The step to go to, by what it matches: a number, a beginning, anonymous or an attestation.",
    )
    caller_list: Annotated[str, Names("caller_list")] = Field(
        default="", max_length=limits.NAME_CHARACTERS, description="The id or name of a caller list of the account."
    )
    target_ids: StepIds = Field(
        default_factory=dict, description="The step to go to, by the label that the match has in the list."
    )
    match_target_id: StepId = Field(default="", description="The step to go to for any other match in the list.")
    default_target_id: StepId = Field(default="", description="The step to go to when nothing matches.")

    def doubts(self) -> Iterable[tuple[str, str]]:
        if not (self.callers or self.caller_list):
            yield "callers", "neither callers nor a list: nothing ever matches"
        if not self.caller_list and (self.target_ids or self.match_target_id):
            yield "caller_list", "not given: target_ids and match_target_id are for matches of a list"
        elif self.caller_list and not (self.target_ids or self.match_target_id or self.default_target_id):
            yield "caller_list", "the next step follows whether or not it has a match"

    def facts(self, variables: Variables) -> str:
        number = next((found for name in SOURCE.values() if (found := variables.get(name))), "")
        return f"the caller is {quoted(number)}"

    async def run(self, session: Session, run: Run) -> Next:
        variables = run.variables
        caller = Caller(variables.get(SOURCE[run.medium]), variables.get(ATTESTATION) if run.medium == "call" else None)
        own = self._own.find(caller)
        listed = None
        if self.caller_list:
            listed = (await session.outside.caller_list(self.caller_list)).find(caller)
        if own is not None and (listed is None or own.rank >= listed.rank):
            run.note, target = own.match, self.callers[own.match]
        elif listed is not None:
            label = f" ({listed.label})" if listed.label else ""
            run.note = f"{listed.match}{label} in {self.caller_list}"
            target = self.target_ids.get(listed.label) or self.match_target_id
        else:
            run.note, target = "no match", self.default_target_id
        return Jump(target) if target else None

    @cached_property
    def _own(self) -> Callers:
        return Callers(dict.fromkeys(self.callers, ""))
