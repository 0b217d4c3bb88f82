"""A tall picture cut into columns: nets are long, and pages and screens are not."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

from fcnkit.drawing.layout import Layout, Point

# Up to this height, in points, a picture stays whole; a taller one gets columns until it is wider
# than high.
TALLEST = 1800
GAP = 28
_EDGE = 2
_STEPS = 12
# How many points of height a cut may be out of place to meet one curve less, of how many gaps on
# each side.
_CROSSING = 40
_CHOICE = 4


class Column(NamedTuple):
    """A strip of the picture between two heights, as wide as what it holds.

    `boxes` and `curves` are numbers; `entries` are the curves that come in at
    the top, each with where.
    """

    top: float
    bottom: float
    left: float
    right: float
    boxes: tuple[int, ...]
    curves: tuple[int, ...]
    entries: tuple[tuple[int, float], ...]


def columns(places: Layout, sizes: Sequence[Point]) -> list[Column]:
    """The strips from top to bottom, cut between boxes; `sizes` are those of the boxes."""
    curves = [tuple(_points(curve)) for curve in places.curves]
    free = list(_free(places, sizes)) if places.height > TALLEST else []
    for count in range(1, len(free) + 2):
        ends = _ends(places, free, count)
        found = [_strip(places, sizes, curves, top, bottom) for top, bottom in ends]
        if sum(strip.right - strip.left + GAP for strip in found) > places.height / count:
            break
    return found


def _ends(places: Layout, free: Sequence[float], count: int) -> Iterator[tuple[float, float]]:
    """The heights between which `count` strips lie: about equal, and cut where few curves are."""

    def cost(goal: float, y: float) -> float:
        crossing = sum(curve[0][1] < y < curve[-1][1] for curve in places.curves)
        return abs(y - goal) + _CROSSING * crossing

    goals = [places.height * number / count for number in range(1, count)]
    cuts = sorted({min(_near(free, goal), key=partial(cost, goal)) for goal in goals})
    return zip((0.0, *cuts), (*cuts, places.height), strict=True)


def _near(free: Sequence[float], goal: float) -> Sequence[float]:
    at = bisect_left(free, goal)
    return free[max(0, at - _CHOICE) : at + _CHOICE]


def _free(places: Layout, sizes: Sequence[Point]) -> Iterator[float]:
    """The heights at which no box is cut: the middle of each gap between them."""
    spans = sorted(
        (y - height / 2, y + height / 2)
        for (_, y), (_, height) in zip(places.centres, sizes, strict=True)
    )
    reached = spans[0][1]
    for top, bottom in spans:
        if top > reached:
            yield (top + reached) / 2
        reached = max(reached, bottom)


def _strip(
    places: Layout,
    sizes: Sequence[Point],
    curves: Sequence[Sequence[Point]],
    top: float,
    bottom: float,
) -> Column:
    """What lies between two heights."""
    boxes = [number for number, (_, y) in enumerate(places.centres) if top <= y <= bottom]
    within = {
        number: found
        for number, curve in enumerate(curves)
        if (found := [point for point in curve if top <= point[1] <= bottom])
    }
    entries = [
        (number, min(found, key=lambda point: point[1])[0])
        for number, found in within.items()
        if curves[number][0][1] < top
    ]
    sides = [x for found in within.values() for x, _ in found]
    sides += [
        places.centres[number][0] + side * sizes[number][0] / 2
        for number in boxes
        for side in (-1, 1)
    ]
    left, right = min(sides) - _EDGE, max(sides) + _EDGE
    return Column(top, bottom, left, right, tuple(boxes), tuple(within), tuple(entries))


def _points(curve: Sequence[Point]) -> Iterator[Point]:
    """Points along a curve, close enough to say where it runs."""
    for at in range(0, len(curve) - 1, 3):
        yield from (_between(curve[at : at + 4], step / _STEPS) for step in range(_STEPS + 1))


def _between(piece: Sequence[Point], t: float) -> Point:
    """The point at `t`, from 0 to 1, of a cubic Bezier curve."""
    weights = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
    x, y = (
        sum(w * point[axis] for w, point in zip(weights, piece, strict=True)) for axis in (0, 1)
    )
    return x, y
