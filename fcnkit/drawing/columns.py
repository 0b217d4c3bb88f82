"""A tall picture cut into columns: nets are long, and pages and screens are not."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

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

_Row = TypeVar("_Row", bound=tuple[Any, ...])


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


class _Sorted(NamedTuple):
    """The boxes and the points of curves from top to bottom, so that a strip is a slice of them.

    A box is (y, number), a point (y, number of its curve, where it is in that, x).  `starts` are
    the heights at which each curve begins; `firsts` those of curves that go down, in order, and
    `lasts` those at which these end.
    """

    boxes: list[tuple[float, int]]
    points: list[tuple[float, int, int, float]]
    starts: list[float]
    firsts: list[float]
    lasts: list[float]


def columns(places: Layout, sizes: Sequence[Point]) -> list[Column]:
    """The strips from top to bottom, cut between boxes; `sizes` are those of the boxes."""
    ordered = _ordered(places)
    free = list(_free(places, sizes)) if places.height > TALLEST else []
    for count in range(1, len(free) + 2):
        ends = _ends(places, ordered, free, count)
        found = [_strip(places, sizes, ordered, top, bottom) for top, bottom in ends]
        if sum(strip.right - strip.left + GAP for strip in found) > places.height / count:
            break
    return found


def _ordered(places: Layout) -> _Sorted:
    points = [
        (y, number, at, x)
        for number, curve in enumerate(places.curves)
        for at, (x, y) in enumerate(_points(curve))
    ]
    down = [(curve[0][1], curve[-1][1]) for curve in places.curves if curve[0][1] < curve[-1][1]]
    return _Sorted(
        sorted((y, number) for number, (_, y) in enumerate(places.centres)),
        sorted(points),
        [curve[0][1] for curve in places.curves],
        sorted(first for first, _ in down),
        sorted(last for _, last in down),
    )


def _ends(
    places: Layout, ordered: _Sorted, free: Sequence[float], count: int
) -> Iterator[tuple[float, float]]:
    """The heights between which `count` strips lie: about equal, and cut where few curves are."""

    def cost(goal: float, y: float) -> float:
        crossing = bisect_left(ordered.firsts, y) - bisect_right(ordered.lasts, y)
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
    places: Layout, sizes: Sequence[Point], ordered: _Sorted, top: float, bottom: float
) -> Column:
    """What lies between two heights."""
    boxes = sorted(number for _, number in _between_heights(ordered.boxes, top, bottom))
    points = _between_heights(ordered.points, top, bottom)
    highest: dict[int, float] = {}
    for _, number, _, x in points:
        highest.setdefault(number, x)
    within = sorted(highest)
    entries = [(number, highest[number]) for number in within if ordered.starts[number] < top]
    sides = [x for _, _, _, x in points]
    sides += [
        places.centres[number][0] + side * sizes[number][0] / 2
        for number in boxes
        for side in (-1, 1)
    ]
    left, right = min(sides) - _EDGE, max(sides) + _EDGE
    return Column(top, bottom, left, right, tuple(boxes), tuple(within), tuple(entries))


def _between_heights(rows: list[_Row], top: float, bottom: float) -> list[_Row]:
    """The rows, sorted by their first numbers, of which that is from `top` to `bottom`."""
    height = itemgetter(0)
    return rows[bisect_left(rows, top, key=height) : bisect_right(rows, bottom, key=height)]


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
