"""Loops that nobody meant: steps that lead round and round without ever waiting.

Steps that take no time (`Action.at_once`) are looked at, and every way that leads on from each: the step that follows,
the targets of its jumps. A way that can be taken only so many times (`goto`) is not counted, for a run that never ends
has left it behind. What remains is certain, or it is not:

- *Endless* is a loop that cannot be left, whatever the values are: no way leads from it to the end, or to a step that
  ends or waits. Endless too is one whose steps do and decide the same thing each time (not `Action.varies`): whoever
  goes round once goes round for ever, since what changes from outside is not noticed without a wait. Such a flow is
  refused.
- *Doubtful* is any other one: a variable that it sets, or the clock, may end it, though a run is cut long before the
  clock has moved. That is a warning.

What a jump to a variable leads to nobody knows; it counts as a way out. A flow that is entered (`fetch_flow`) may wait.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Final

from edge.errors import Fault
from edge.flows import limits
from edge.flows.action import NEXT
from edge.flows.step import Step
from edge.flows.variables import has_variables
from edge.store.metadata import NIL

OUT: Final = -1

Ways = Mapping[int, Collection[int]]  # where each step leads, by index


def find_loops(steps: Sequence[Step], places: Mapping[str, int]) -> tuple[list[Fault], list[Fault]]:
    """The loops that are endless, and those that are doubtful."""
    reached = _reached(steps, places)
    quick = [step for step in steps if step.index in reached and _is_at_once(step)]
    ways = {step.index: set(_ways(step, places, len(steps), counted=True)) for step in quick}
    lasting = {step.index: set(_ways(step, places, len(steps), counted=False)) for step in quick}
    trapped = _trapped(ways)
    same = {step.index for step in quick if not step.model.varies}
    endless = [*_loops(lasting, trapped)]
    within = {index for loop in endless for index in loop}
    endless += _loops(lasting, same - within)
    within = {index for loop in endless for index in loop}
    doubtful = _loops(lasting, lasting.keys() - trapped - within)
    return (
        [_told(steps, loop, "goes round for ever without a wait") for loop in endless],
        [_told(steps, loop, "may go round for ever without a wait") for loop in doubtful],
    )


def _is_at_once(step: Step) -> bool:
    return step.action.at_once() if step.action is not None else step.model.instant


def _ways(step: Step, places: Mapping[str, int], end: int, *, counted: bool) -> Iterator[int]:
    """Where a step may lead; OUT is anywhere outside the steps of the flow."""
    model = step.model
    if step.failure is not None:
        yield step.failure if step.failure < end else OUT
    if model.goes_on:
        yield step.next if step.next < end else OUT
    elif not model.targets:
        yield OUT
    if model.counts and not counted:
        return
    for name in model.targets:
        value = step.option.get(name, "")
        for target in value.values() if isinstance(value, dict) else [value]:
            if not isinstance(target, str) or target in ("", NIL) or has_variables(target):
                yield OUT  # it fails, or nobody knows
            else:
                place = step.next if target == NEXT else places[target]
                yield place if place < end else OUT


def _reached(steps: Sequence[Step], places: Mapping[str, int]) -> set[int]:
    reached: set[int] = set()
    front = [0]
    while front:
        index = front.pop()
        if index != OUT and index not in reached:
            reached.add(index)
            front += _ways(steps[index], places, len(steps), counted=True)
    return reached


def _trapped(ways: Ways) -> set[int]:
    """The steps that no way leads out from: neither to the end nor to a step that is not among them."""
    trapped = set(ways)
    while free := {index for index in trapped if not trapped.issuperset(ways[index])}:
        trapped -= free
    return trapped


def _loops(ways: Ways, among: Collection[int]) -> Iterator[list[int]]:
    """Loops of nothing but the steps `among`; those that share a step with one that was found are left out."""
    left = set(among)
    for _ in range(limits.LOOPS):
        try:
            TopologicalSorter({index: sorted(left.intersection(ways[index])) for index in sorted(left)}).prepare()
        except CycleError as error:
            loop = error.args[1][:0:-1]  # graphlib tells it against the way, and its first step twice
            first = loop.index(min(loop))
            yield [*loop[first:], *loop[:first]]
            left.difference_update(loop)
        else:
            return


def _told(steps: Sequence[Step], loop: list[int], what: str) -> Fault:
    names = [steps[index].id for index in (*loop, loop[0])]
    shown = names if len(names) <= limits.LOOP_STEPS else [*names[: limits.LOOP_STEPS - 1], "…", names[-1]]
    return Fault(f"actions[{loop[0]}]", f"{what}: {' → '.join(shown)}")
