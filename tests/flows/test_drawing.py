"""The picture: well-formed, with every step and way in it, and nothing of a flow read as markup."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.flows.drawing import svg
from edge.flows.flow import compile_flow
from edge.flows.graph import Counts, Ran, graph_of

EXAMPLES = Path(__file__).parents[2] / "config" / "flows"
SVG = "{http://www.w3.org/2000/svg}"
MENU = graph_of(compile_flow(json.loads((EXAMPLES / "greeting-menu.json").read_text())))


def texts(picture: str, kind: str) -> list[str]:
    root = ElementTree.fromstring(picture)
    return ["".join(element.itertext()) for element in root.iter(f"{SVG}text") if element.get("class") == kind]


def test_every_step_and_way_is_in_it() -> None:
    picture = svg(MENU)
    assert texts(picture, "title") == ["Greeting and menu"]
    assert texts(picture, "type") == [node.type for node in MENU.nodes]
    assert texts(picture, "id") == [node.id for node in MENU.nodes]
    assert texts(picture, "word") == [way.label for way in MENU.ways if way.label]
    assert picture.count("marker-end") == len(MENU.ways)
    assert texts(picture, "count") == []


def test_counts_are_in_it() -> None:
    picture = svg(MENU, Counts(1234, {"greeting": Ran(2468, 617)}))
    assert texts(picture, "title") == ["Greeting and menu (1,234 runs)"]
    assert texts(picture, "count")[:2] == ["0 times, in 0 % of the runs", "2,468 times, in 50 % of the runs"]
    assert texts(svg(MENU, Counts(0, {})), "count")[0] == "0 times"


def test_what_nothing_leads_to_is_dashed() -> None:
    lost = {"id": "lost", "type": "beep"}
    picture = svg(graph_of(compile_flow({"actions": [{"id": "a", "type": "stop"}, lost]})))
    root = ElementTree.fromstring(picture)
    groups = [group for group in root.iter(f"{SVG}g") if "step" in (group.get("class") or "")]
    assert [group.get("class") for group in groups] == ["step", "step lost"]


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.json")), ids=lambda path: path.stem)
def test_the_examples_can_be_drawn(path: Path) -> None:
    flow = compile_flow(json.loads(path.read_text()))
    assert len(texts(svg(graph_of(flow)), "type")) == len(flow.steps)


@given(name=st.text(max_size=40), text=st.text(min_size=1, max_size=40), digit=st.text(max_size=10))
def test_nothing_in_a_flow_is_read_as_markup(name: str, text: str, digit: str) -> None:
    if not all(character.isprintable() or character.isspace() for character in name + text + digit):
        return  # refused when stored, or blanks here
    reply = {"id": "r", "type": "reply", "option": {"text": text}}
    branch = {"id": "b", "type": "branch", "option": {"variable": "x", "target_ids": {digit: "r"}}}
    picture = svg(graph_of(compile_flow({"name": name, "actions": [branch, reply]})))
    root = ElementTree.fromstring(picture)
    allowed = {"svg", "title", "style", "defs", "marker", "path", "rect", "text", "g", "circle"}
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= allowed
    assert all(not name.startswith("on") and "href" not in name for element in root.iter() for name in element.attrib)
