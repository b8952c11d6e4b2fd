"""A flow as a graph: its steps, and the ways between them; as text for Mermaid. `drawing.py` makes a picture of it.

The ways out of a step are the step that follows and those that its options name, each with a word for when it is taken:
the digits of a branch, `false` of a condition, `failure`. Ways of one step to the same step are one way.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from edge.flows.action import NEXT
from edge.flows.flow import Flow, targets_of
from edge.flows.step import Step
from edge.flows.variables import has_variables

DETAIL: Final = 36  # characters of the options that a picture shows
LABEL: Final = 28  # characters of the word at a way
WORDS: Final = {"target_id": "jump", "default_target_id": "else"}  # of ways whose option says too much or too little


class Node(NamedTuple):
    """A step; `reached` is whether anything leads to it from the first one."""

    number: int
    id: str
    type: str
    detail: str
    reached: bool


class Way(NamedTuple):
    """From a step to another, by index; the number of steps stands for the end of the flow."""

    source: int
    target: int
    label: str  # when it is taken; "" when nothing else can come


class Ran(NamedTuple):
    """How often a step ran: `times` in all, in `runs` different runs."""

    times: int
    runs: int


class Counts(NamedTuple):
    """How often the steps of a flow ran, by their ids, in so many runs."""

    runs: int
    steps: Mapping[str, Ran]

    def of(self, id: str) -> str:
        """`1,234 times, in 87 % of the runs`"""
        ran = self.steps.get(id, Ran(0, 0))
        times = f"{ran.times:,} time{'s' if ran.times != 1 else ''}"
        return f"{times}, in {100 * ran.runs / self.runs:.0f} % of the runs" if self.runs else times


class Graph(NamedTuple):
    """`open` are the steps that may lead anywhere, because a variable says where."""

    name: str
    nodes: tuple[Node, ...]
    ways: tuple[Way, ...]
    open: frozenset[int]

    @property
    def end(self) -> int:
        """The index that stands for the end of the flow."""
        return len(self.nodes)

    @property
    def ends(self) -> bool:
        """Whether a way leads to the end."""
        return any(way.target == self.end for way in self.ways)


def graph_of(flow: Flow) -> Graph:
    ways: dict[tuple[int, int], list[str]] = {}
    open_: set[int] = set()
    end = len(flow.steps)  # of this flow; what lies beyond is the end of the whole run, and drawn as the same
    for step in flow.steps:
        if step.model.goes_on:
            ways.setdefault((step.index, min(step.next, end)), []).append("next")
        if step.failure is not None:
            ways.setdefault((step.index, min(step.failure, end)), []).append("failure")
        for path, target in targets_of(step.model, step.option):
            if has_variables(target):
                open_.add(step.index)
            elif target:
                place = step.next if target == NEXT else flow.places[target]
                ways.setdefault((step.index, min(place, end)), []).append(_word(path))
    merged = _merged(ways)
    reached = _reached(end, merged, open_)
    nodes = tuple(Node(s.index, s.id, s.type, _detail(s), s.index in reached) for s in flow.steps)
    return Graph(flow.name, nodes, merged, frozenset(open_))


def mermaid(graph: Graph, counts: Counts | None = None) -> str:
    """The graph in the language of Mermaid (https://mermaid.js.org/syntax/flowchart.html)."""
    return "\n".join(_mermaid(graph, counts)) + "\n"


def _mermaid(graph: Graph, counts: Counts | None) -> Iterator[str]:
    if graph.name:
        title = _line(graph.name).replace("<", "‹").replace(">", "›")
        yield f"---\ntitle: {json.dumps(title, ensure_ascii=False)}\n---"
    yield "flowchart TD"
    for node in graph.nodes:
        lines = [f"<b>{_safe(node.type)}</b> {_safe(node.id)}", *([_safe(node.detail)] if node.detail else [])]
        if counts is not None:
            lines.append(_safe(counts.of(node.id)))
        yield f'    s{node.number}["{"<br/>".join(lines)}"]'
    if graph.ends:
        yield f'    s{graph.end}(("end"))'
    for way in graph.ways:
        label = f'|"{_safe(way.label)}"|' if way.label else ""
        yield f"    s{way.source} -->{label} s{way.target}"
    for index in sorted(graph.open):
        yield f'    s{index} -.-> v{index}{{{{"where a variable says"}}}}'
    lost = [f"s{node.number}" for node in graph.nodes if not node.reached]
    if lost:
        yield "    classDef lost stroke-dasharray: 5 5,opacity: 0.6"
        yield f"    class {','.join(lost)} lost"


def _safe(text: str) -> str:
    """Text for a label of Mermaid: what it or HTML would read as its own is written as an entity."""
    return "".join(c if c.isalnum() or c in " .,:;+-_/()|=%*…" else f"#{ord(c)};" for c in _line(text))


def _line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def _word(path: tuple[str, ...]) -> str:
    """`target_ids.1` is `1`, `false_target_id` is `false`."""
    name, *key = path
    if key:
        return key[0] or '""'
    return WORDS.get(name, name.removesuffix("_target_id").replace("_", " "))


def _merged(ways: Mapping[tuple[int, int], list[str]]) -> tuple[Way, ...]:
    """The ways with their words. One that is the only one of its step, whatever comes out there, needs none."""
    out = Counter(source for source, _ in ways)
    return tuple(
        Way(source, target, "" if out[source] == 1 and "next" in words else cut(", ".join(dict.fromkeys(words)), LABEL))
        for (source, target), words in ways.items()
    )


def _detail(step: Step) -> str:
    shown = [
        f"{name}: {_plain(value)}"
        for name, value in step.option.items()
        if name not in step.model.targets and value not in ("", [], {}, None)
    ]
    return cut(", ".join(shown), DETAIL)


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(_plain, value))
    if isinstance(value, dict):
        return _plain(value.get("target") or json.dumps(value, ensure_ascii=False))
    return value if isinstance(value, str) else json.dumps(value)


def cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _reached(steps: int, ways: tuple[Way, ...], open_: set[int]) -> set[int]:
    after: dict[int, list[int]] = {}
    for way in ways:
        after.setdefault(way.source, []).append(way.target)
    reached: set[int] = set()
    front = [0]
    while front:
        index = front.pop()
        if index in reached:
            continue
        if index in open_:
            return set(range(steps))
        reached.add(index)
        front += after.get(index, ())
    return reached
