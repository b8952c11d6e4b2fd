"""The picture of a flow: its graph as SVG, with how often each step ran where that is known.

Whatever stands in a flow is text here: nothing of it is read as markup, and the picture loads and runs nothing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final
from xml.sax.saxutils import escape

from edge.flows.graph import Counts, Graph, Node, cut
from edge.flows.layout import MARGIN, Layout, Route, place

CHARACTER: Final = 6.7  # the width of one in the font of boxes
LINE: Final = 15.0
PADDING: Final = 10.0
NAME: Final = 30  # characters of an id
TITLE: Final = 30.0  # height of the line above
OPEN: Final = "where a variable says"

STYLE: Final = """
text{font:11px ui-monospace,Menlo,Consolas,monospace;fill:#222}
.title{font-size:15px;font-weight:bold}.type{font-weight:bold}.detail{fill:#666}.count{fill:#0a5}
.box{fill:#f6f8fa;stroke:#57606a}.end{fill:#57606a}.way{fill:none;stroke:#57606a}
.word{fill:#0550ae;paint-order:stroke;stroke:#fff;stroke-width:4px}
.lost .box{stroke-dasharray:5 4;fill:#fff}.lost text{opacity:.55}.lost.way{stroke-dasharray:5 4;opacity:.6}
"""


def svg(graph: Graph, counts: Counts | None = None) -> str:
    """The picture, as one SVG document."""
    labels = [_lines(node, node.number in graph.open, counts) for node in graph.nodes]
    height = PADDING + LINE * max(map(len, labels))
    widths = [max(_width(text) for _, text in lines) + 2 * PADDING for lines in labels]
    if graph.ends:
        widths.append(44.0)
    found = place(widths, height, [(way.source, way.target) for way in graph.ways])
    return "\n".join(_svg(graph, found, labels, widths, height, counts)) + "\n"


def _svg(
    graph: Graph,
    layout: Layout,
    labels: Sequence[Sequence[tuple[str, str]]],
    widths: Sequence[float],
    height: float,
    counts: Counts | None,
) -> Iterator[str]:
    title = _clean(graph.name) or "flow"
    if counts is not None:
        title += f" ({counts.runs:,} run{'s' if counts.runs != 1 else ''})"
    wide, high = max(layout.width, 9.2 * len(title) + 2 * MARGIN), layout.height + TITLE
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide:.0f}" height="{high:.0f}"'
        f' viewBox="0 0 {wide:.0f} {high:.0f}" role="img">'
    )
    yield f"<title>{escape(title)}</title>"
    yield f"<style>{STYLE}</style>"
    yield (
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#57606a"/></marker></defs>'
    )
    yield f'<rect width="{wide:.0f}" height="{high:.0f}" fill="#fff"/>'
    yield f'<text class="title" x="{MARGIN:.0f}" y="{TITLE - 8:.0f}">{escape(title)}</text>'
    yield f'<g transform="translate(0 {TITLE:.0f})">'
    lost = {node.number for node in graph.nodes if not node.reached}
    for way, route in zip(graph.ways, layout.routes, strict=True):
        dashed = " lost" if way.source in lost else ""
        yield f'<path class="way{dashed}" d="{_path(route)}" marker-end="url(#tip)"/>'
    for node in graph.nodes:
        (x, y), width = layout.boxes[node.number], widths[node.number]
        yield f'<g class="{"step" if node.reached else "step lost"}">'
        yield (
            f'<rect class="box" x="{x - width / 2:.1f}" y="{y - height / 2:.1f}" width="{width:.1f}"'
            f' height="{height:.1f}" rx="5"/>'
        )
        for number, (kind, text) in enumerate(labels[node.number]):
            line = y - height / 2 + PADDING / 2 + LINE * (number + 0.75)
            yield f'<text class="{kind}" x="{x - width / 2 + PADDING:.1f}" y="{line:.1f}">{escape(text)}</text>'
        yield "</g>"
    if graph.ends:
        x, y = layout.boxes[graph.end]
        yield f'<circle class="end" cx="{x:.1f}" cy="{y - height / 2 + 8:.1f}" r="8"/>'
    for way, route in zip(graph.ways, layout.routes, strict=True):
        if way.label:
            yield _word(_clean(way.label), route)
    yield "</g></svg>"


def _lines(node: Node, is_open: bool, counts: Counts | None) -> list[tuple[str, str]]:
    """What stands in a box: (class, text) for each line."""
    lines = [("type", _clean(node.type)), ("id", cut(_clean(node.id), NAME))]
    if node.detail:
        lines.append(("detail", _clean(node.detail)))
    if is_open:
        lines.append(("word", OPEN))
    if counts is not None:
        lines.append(("count", counts.of(node.id)))
    return lines


def _path(route: Route) -> str:
    points = route.points
    begin = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    if route.square:
        return begin + "".join(f"L{x:.1f} {y:.1f}" for x, y in points[1:])
    parts = []
    for number, ((x, y), (to_x, to_y)) in enumerate(pairwise(points)):
        middle = (y + to_y) / 2
        between = f"C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}"
        parts.append(f"V{to_y:.1f}" if number % 2 else between)
    return begin + "".join(parts)


def _word(word: str, route: Route) -> str:
    """A word near the beginning of a way."""
    (x, y), (to_x, to_y) = route.points[0], route.points[1]
    place = (x + 6, to_y + 4, "start") if route.square else (x + (to_x - x) * 0.6, y + (to_y - y) * 0.62, "middle")
    return f'<text class="word" x="{place[0]:.1f}" y="{place[1]:.1f}" text-anchor="{place[2]}">{escape(word)}</text>'


def _clean(text: str) -> str:
    """Without the control characters that XML does not take."""
    return "".join(character if character.isprintable() else " " for character in text)


def _width(text: str) -> float:
    return CHARACTER * sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
