"""A flow as a graph: which ways there are, what they are called, and how Mermaid is told."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from edge.flows.action import FINISH, NEXT, START
from edge.flows.flow import compile_flow
from edge.flows.graph import Counts, Graph, Ran, Way, graph_of, mermaid

EXAMPLES = Path(__file__).parents[2] / "config" / "flows"
END = {"id": "end", "type": "stop"}


def graph(*actions: dict[str, Any], name: str = "tried") -> Graph:
    return graph_of(compile_flow({"name": name, "actions": list(actions)}))


def branch(target_ids: dict[str, str], default: str = "", **option: Any) -> dict[str, Any]:
    return {
        "id": "b",
        "type": "branch",
        "option": {"variable": "x", "target_ids": target_ids, "default_target_id": default, **option},
    }


def test_the_step_that_follows_and_the_end() -> None:
    found = graph({"id": "a", "type": "answer"}, {"id": "s", "type": "sleep", "option": {"duration": 10}})
    assert found.ways == (Way(0, 1, ""), Way(1, 2, ""))
    assert (found.end, found.ends) == (2, True)
    assert [(node.id, node.type, node.detail, node.reached) for node in found.nodes] == [
        ("a", "answer", "", True),
        ("s", "sleep", "duration: 10", True),
    ]


def test_ways_are_called_by_what_takes_them() -> None:
    found = graph(
        branch({"1": "g", "2": "g", "": "c"}, "end"),
        {"id": "g", "type": "goto", "option": {"target_id": "b", "loop_count": 2}},
        {"id": "c", "type": "condition_datetime", "option": {"hour": 9, "false_target_id": "g"}},
        END,
    )
    assert set(found.ways) == {
        Way(0, 1, "1, 2"),
        Way(0, 2, '""'),
        Way(0, 3, "else"),
        Way(1, 2, "next"),
        Way(1, 0, "jump"),
        Way(2, 3, "next"),
        Way(2, 1, "false"),
    }


def test_a_jump_to_the_step_that_follows_anyway_is_one_way_without_a_word() -> None:
    condition = {"id": "c", "type": "condition_datetime", "option": {"hour": 9, "false_target_id": "end"}}
    assert graph(condition, END).ways == (Way(0, 1, ""),)


def test_the_way_of_a_failure() -> None:
    beep = {"id": "b", "type": "beep", "failure_id": "sorry"}
    sorry = {"id": "sorry", "type": "answer", "failure_id": "end"}
    assert graph(beep, {"id": "a", "type": "answer", "next_id": "end"}, sorry, END).ways == (
        Way(0, 1, "next"),
        Way(0, 2, "failure"),
        Way(1, 3, ""),
        Way(2, 3, ""),
    )


def test_places_that_are_no_steps() -> None:
    found = graph(branch({"1": FINISH, "2": NEXT, "3": START}), END)
    assert set(found.ways) == {Way(0, 2, "1"), Way(0, 1, "2"), Way(0, 0, "3")}


def test_what_nothing_leads_to_is_known_unless_a_variable_leads_anywhere() -> None:
    lost = {"id": "lost", "type": "answer", "next_id": "end"}
    found = graph({"id": "a", "type": "answer", "next_id": "end"}, lost, END)
    assert [node.id for node in found.nodes if not node.reached] == ["lost"]
    anywhere = graph(branch({"1": "${there}"}, "end"), lost, END)
    assert anywhere.open == {0}
    assert all(node.reached for node in anywhere.nodes)
    assert 's0 -.-> v0{{"where a variable says"}}' in mermaid(anywhere)


def test_mermaid() -> None:
    found = graph(
        branch({"1": "end"}, "p"),
        {"id": "p", "type": "play", "option": {"stream_urls": ["a.wav", "b.wav"]}, "next_id": FINISH},
        {"id": "lost", "type": "beep"},
        END,
        name="A <menu>",
    )
    assert mermaid(found, Counts(2000, {"b": Ran(3000, 2000), "p": Ran(1, 1)})) == (
        '---\ntitle: "A ‹menu›"\n---\n'
        "flowchart TD\n"
        '    s0["<b>branch</b> b<br/>variable: x<br/>3,000 times, in 100 % of the runs"]\n'
        '    s1["<b>play</b> p<br/>stream_urls: a.wav b.wav<br/>1 time, in 0 % of the runs"]\n'
        '    s2["<b>beep</b> lost<br/>0 times, in 0 % of the runs"]\n'
        '    s3["<b>stop</b> end<br/>0 times, in 0 % of the runs"]\n'
        '    s4(("end"))\n'
        '    s0 -->|"1"| s3\n'
        '    s0 -->|"else"| s1\n'
        "    s1 --> s4\n"
        "    s2 --> s3\n"
        "    classDef lost stroke-dasharray: 5 5,opacity: 0.6\n"
        "    class s2 lost\n"
    )


@pytest.mark.parametrize("text", ['"]', "</b><script>", "a|b", "#quot;", "`x`", "{{}}", "a\nb --> c", "“”", "a\u202eb"])
def test_nothing_in_a_flow_is_read_as_mermaid_or_html(text: str) -> None:
    found = mermaid(graph(branch({text: "r"}, "r"), {"id": "r", "type": "reply", "option": {"text": text}}))
    for line in found.splitlines()[4:]:
        quoted = re.findall(r'"(.*?)"', line)
        assert line.count('"') == 2 * len(quoted)
        for label in quoted:
            bare = label.replace("<b>", "").replace("</b>", "").replace("<br/>", "")
            assert not re.search(r'[<>"`{}\[\]&\\\u202e]', bare)
            assert re.fullmatch(r"(?:[^#]|#\d+;)*", bare)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.json")), ids=lambda path: path.stem)
def test_the_examples_have_no_step_that_nothing_leads_to(path: Path) -> None:
    found = graph_of(compile_flow(json.loads(path.read_text())))
    assert all(node.reached for node in found.nodes)
