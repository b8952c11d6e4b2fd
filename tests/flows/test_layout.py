"""Places: no box over another, layers from top to bottom, ways that begin and end at their boxes."""

from __future__ import annotations

import time
from itertools import combinations, pairwise

from hypothesis import given
from hypothesis import strategies as st

from edge.flows.layout import Layout, Pair, place

HEIGHT = 50.0


def at(layout: Layout, box: int) -> tuple[float, float]:
    return layout.boxes[box]


def test_a_chain_stands_upright() -> None:
    found = place([100.0, 60.0, 140.0], HEIGHT, [(0, 1), (1, 2)])
    assert len({x for x, _ in found.boxes}) == 1
    assert [y for _, y in found.boxes] == sorted(y for _, y in found.boxes)
    assert all(not route.square for route in found.routes)


def test_a_choice_is_side_by_side_below_and_meets_again() -> None:
    found = place([100.0] * 5, HEIGHT, [(0, 1), (0, 2), (0, 3), (1, 4), (2, 4), (3, 4)])
    assert len({y for _, y in found.boxes[1:4]}) == 1
    assert abs(at(found, 0)[0] - at(found, 2)[0]) < 1
    assert at(found, 4)[1] > at(found, 1)[1] > at(found, 0)[1]


def test_a_way_back_goes_round() -> None:
    found = place([100.0] * 3, HEIGHT, [(0, 1), (1, 2), (2, 0)])
    back = found.routes[2]
    assert back.square
    assert max(x for x, _ in back.points) > max(x for x, _ in found.boxes) + 50
    assert all(a[0] == b[0] or a[1] == b[1] for a, b in pairwise(back.points))


def test_a_way_over_a_layer_goes_beside_its_boxes() -> None:
    found = place([100.0] * 3, HEIGHT, [(0, 1), (1, 2), (0, 2)])
    over = found.routes[2]
    x, y = at(found, 1)
    passing = [point for point in over.points if abs(point[1] - y) <= HEIGHT / 2]
    assert len(passing) == 2
    assert all(abs(point[0] - x) > 50 for point in passing)


def test_a_long_way_goes_round() -> None:
    chain = [(number, number + 1) for number in range(9)]
    assert place([100.0] * 10, HEIGHT, [*chain, (0, 9)]).routes[-1].square


def test_the_largest_flow_takes_no_time() -> None:
    ways = list({(n, (n * 7 + k * 31) % 500) for n in range(500) for k in range(20)} | {(n, n + 1) for n in range(499)})
    begun = time.perf_counter()
    place([200.0] * 500, HEIGHT, sorted(ways))
    assert time.perf_counter() - begun < 5


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[float], list[Pair]]:
    count = draw(st.integers(1, 20))
    box = st.integers(0, count - 1)
    widths = draw(st.lists(st.floats(20, 300), min_size=count, max_size=count))
    return widths, draw(st.lists(st.tuples(box, box), max_size=40, unique=True))


@given(graphs())
def test_any_graph(graph: tuple[list[float], list[Pair]]) -> None:
    widths, ways = graph
    found = place(widths, HEIGHT, ways)
    assert found == place(widths, HEIGHT, ways)
    assert (len(found.boxes), len(found.routes)) == (len(widths), len(ways))
    for a, b in combinations(range(len(widths)), 2):
        (ax, ay), (bx, by) = found.boxes[a], found.boxes[b]
        assert abs(ay - by) >= HEIGHT or abs(ax - bx) >= (widths[a] + widths[b]) / 2
    for (x, y), width in zip(found.boxes, widths, strict=True):
        assert x - width / 2 >= 0
        assert x + width / 2 <= found.width
        assert y - HEIGHT / 2 >= 0
        assert y + HEIGHT / 2 <= found.height
    for (source, target), route in zip(ways, found.routes, strict=True):
        (begin_x, begin_y), (end_x, end_y) = route.points[0], route.points[-1]
        assert begin_y == found.boxes[source][1] + HEIGHT / 2
        assert end_y == found.boxes[target][1] - HEIGHT / 2
        assert abs(begin_x - found.boxes[source][0]) <= widths[source] / 2
        assert abs(end_x - found.boxes[target][0]) <= widths[target] / 2
        assert all(0 <= x <= found.width and 0 <= y <= found.height for x, y in route.points)
