"""Places for the boxes and ways of a graph: in layers, from top to bottom, as Sugiyama and others have done it.

1. Ways that lead back are found by going through the graph, and left out for now. What remains has no loop, so each
   box is in the layer below the last of those that lead to it.
2. A way over a few layers gets a place in each it passes, as if a thin box were there. One that leads back or far goes
   round instead: between the layers to a lane at the right side, along it, and back between the layers.
3. Boxes are ordered in their layer by the middle of those they hang on, down and up a few times, then placed as near to
   that middle as their neighbours let them.

A box is a number from 0 on with a width; all are of one height. The first is where one begins.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

SPAN: Final = 4  # layers that a way passes between the boxes; a longer one goes round
SWEEPS: Final = 8
GAP: Final = 28.0  # between boxes in a layer
THIN: Final = 12.0  # the width of a place where a way passes
BETWEEN: Final = 62.0  # from layer to layer
LANE: Final = 14.0  # from lane to lane
LANES: Final = 60
MARGIN: Final = 16.0

Point = tuple[float, float]
Pair = tuple[int, int]


class Route(NamedTuple):
    """A way: the points it goes through. A `square` one has level and upright parts only; of another one every other
    part, beginning with the first, leads from one layer to the next, and the others straight down through a layer."""

    points: tuple[Point, ...]
    square: bool


class Layout(NamedTuple):
    """`boxes` are middles. `routes` are in the order of the ways that were given."""

    width: float
    height: float
    boxes: tuple[Point, ...]
    routes: tuple[Route, ...]


def place(widths: Sequence[float], height: float, ways: Sequence[Pair]) -> Layout:
    """Where everything goes."""
    back = _leading_back(len(widths), ways)
    forward = [way for way in ways if way not in back]
    layer = _layers(len(widths), forward)
    all_widths = list(widths)
    chains: dict[Pair, list[int]] = {}  # what a way passes, itself included
    for source, target in forward:
        if layer[target] - layer[source] <= SPAN:
            thin = range(len(all_widths), len(all_widths) + layer[target] - layer[source] - 1)
            all_widths += [THIN] * len(thin)
            layer += [layer[source] + 1 + number for number in range(len(thin))]
            chains[source, target] = [source, *thin, target]
    rows = _ordered(layer, [pair for chain in chains.values() for pair in pairwise(chain)])
    x = _placed(rows, all_widths, [pair for chain in chains.values() for pair in pairwise(chain)])
    lanes = _lanes((way for way in ways if way not in chains), layer)
    step, aside = height + BETWEEN, BETWEEN / 2 if lanes else 0.0  # above the first layer and below the last
    y = [MARGIN + aside + height / 2 + step * number for number in layer]
    right = max((x[box] + all_widths[box] / 2 for box in range(len(x))), default=0.0)
    routes = []
    for way in ways:
        source, target = way
        if way in chains:
            sides = [(x[box], y[box] + side) for box in chains[way] for side in (-height / 2, height / 2)]
            routes.append(Route(tuple(sides[1:-1]), square=False))
            continue
        at = right + GAP + LANE * lanes[way]
        shift = min(3.0 * lanes[way], BETWEEN / 4)
        out, in_ = y[source] + height / 2 + BETWEEN / 3 + shift, y[target] - height / 2 - BETWEEN / 3 + shift / 2
        begin = (x[source] + all_widths[source] / 4, y[source] + height / 2)
        end = (x[target] + all_widths[target] / 4, y[target] - height / 2)
        routes.append(Route((begin, (begin[0], out), (at, out), (at, in_), (end[0], in_), end), square=True))
    width = right + MARGIN + (GAP + LANE * (max(lanes.values()) + 1) if lanes else 0.0)
    bottom = max(y[: len(widths)], default=0.0) + height / 2 + 1.5 * aside
    return Layout(width, bottom + MARGIN, tuple(zip(x, y, strict=True))[: len(widths)], tuple(routes))


def _leading_back(boxes: int, ways: Sequence[Pair]) -> set[Pair]:
    """The ways to a box that one came by, going through the graph from the first box, then from what is left."""
    after = _neighbours(boxes, ways)
    back: set[Pair] = set()
    open_, done = set[int](), set[int]()
    for root in range(boxes):
        if root in done:
            continue
        path = [(root, iter(after[root]))]
        open_.add(root)
        while path:
            box, rest = path[-1]
            following = next(rest, None)
            if following is None:
                path.pop()
                open_.discard(box)
                done.add(box)
            elif following in open_:
                back.add((box, following))
            elif following not in done:
                open_.add(following)
                path.append((following, iter(after[following])))
    return back


def _layers(boxes: int, ways: Sequence[Pair]) -> list[int]:
    """The layer of each box, one below all that lead to it. What nothing leads to is beside the box before it."""
    after = _neighbours(boxes, ways)
    left = [0] * boxes
    for _, target in ways:
        left[target] += 1
    alone = [box for box in range(1, boxes) if not left[box]]
    layer = [0] * boxes
    front = [box for box in range(boxes) if not left[box]]
    while front:
        box = front.pop()
        for following in after[box]:
            layer[following] = max(layer[following], layer[box] + 1)
            left[following] -= 1
            if not left[following]:
                front.append(following)
    for box in alone:
        if after[box]:
            layer[box] = max(min(layer[following] for following in after[box]) - 1, 0)
        else:
            layer[box] = layer[box - 1]
    return layer


def _neighbours(boxes: int, ways: Iterable[Pair]) -> list[list[int]]:
    found: list[list[int]] = [[] for _ in range(boxes)]
    for source, target in ways:
        found[source].append(target)
    return found


def _ordered(layer: Sequence[int], pairs: Sequence[Pair]) -> list[list[int]]:
    """The boxes of each layer from left to right, so that few ways cross."""
    rows: list[list[int]] = [[] for _ in range(max(layer, default=-1) + 1)]
    for box, number in enumerate(layer):
        rows[number].append(box)
    above, below = _neighbours(len(layer), [(b, a) for a, b in pairs]), _neighbours(len(layer), pairs)
    position = [0.0] * len(layer)

    def settle(row: list[int], hangs_on: list[list[int]] | None) -> None:
        if hangs_on is not None:
            middle = {
                box: sum(position[other] for other in hangs_on[box]) / len(hangs_on[box])
                if hangs_on[box]
                else position[box]
                for box in row
            }
            row.sort(key=middle.__getitem__)
        for number, box in enumerate(row):
            position[box] = (number + 0.5) / len(row)

    for row in rows:
        settle(row, None)
    for _ in range(SWEEPS):
        for row in rows[1:]:
            settle(row, above)
        for row in reversed(rows[:-1]):
            settle(row, below)
    return rows


def _placed(rows: Sequence[Sequence[int]], widths: Sequence[float], pairs: Sequence[Pair]) -> list[float]:
    """The middle of each box from left to right, none over another, all from the margin on."""
    x = [0.0] * len(widths)
    for row in rows:
        at = 0.0
        for box in row:
            x[box] = at + widths[box] / 2
            at += widths[box] + GAP
        for box in row:
            x[box] -= at / 2
    above, below = _neighbours(len(widths), [(b, a) for a, b in pairs]), _neighbours(len(widths), pairs)
    for sweep in range(SWEEPS):
        up = sweep % 2 == 0  # the last one goes down, so that what follows stands below
        beside = below if up else above
        for row in list(reversed(rows)) if up else rows:
            wish = [sum(x[o] for o in beside[box]) / len(beside[box]) if beside[box] else x[box] for box in row]
            for box, at in zip(row, _apart(wish, [widths[box] for box in row]), strict=True):
                x[box] = at
    left = min((x[box] - widths[box] / 2 for box in range(len(x))), default=0.0)
    return [at - left + MARGIN for at in x]


def _apart(wish: Sequence[float], widths: Sequence[float]) -> list[float]:
    """Places near the wished ones, in the same order, that do not overlap.

    Neighbours that want to overlap become a block, which stands at the mean of their wishes.
    """
    offsets = [0.0]
    for width, following in pairwise(widths):
        offsets.append(offsets[-1] + (width + following) / 2 + GAP)
    blocks: list[tuple[float, int]] = []  # where each would begin, and how many are in it
    for wanted, offset in zip(wish, offsets, strict=False):
        begins, size = wanted - offset, 1
        while blocks and begins < blocks[-1][0]:
            other, count = blocks.pop()
            begins, size = (other * count + begins * size) / (count + size), count + size
        blocks.append((begins, size))
    starts = [begins for begins, size in blocks for _ in range(size)]
    return [start + offset for start, offset in zip(starts, offsets, strict=False)]


def _lanes(ways: Iterable[Pair], layer: Sequence[int]) -> dict[Pair, int]:
    """A lane for each of the ways that go round, the first that is free there; when none is, they share the last."""
    lanes: dict[Pair, int] = {}
    taken: list[int] = []  # the layer to which each lane is taken
    for way in sorted(ways, key=lambda way: sorted((layer[way[0]], layer[way[1]]))):
        low, high = sorted((layer[way[0]], layer[way[1]]))
        number = next((number for number, until in enumerate(taken) if until < low), len(taken))
        if number == len(taken) and number < LANES:
            taken.append(high)
        number = min(number, LANES - 1)
        taken[number] = max(taken[number], high)
        lanes[way] = number
    return lanes
