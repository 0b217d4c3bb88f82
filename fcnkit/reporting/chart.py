"""Lines against iterations, as plain figures that a template draws as SVG.

The drawing is stretched to whatever room there is, and the ticks are text beside it, so
that a chart can be read on a narrow screen as on a wide one.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from fcnkit import ticks

# The drawing's own units, and how many points of a line are drawn at most.
WIDTH, HEIGHT = 1000, 400
_POINTS = 400
# With fewer points each is marked; there are so many colours.
_MARKED, COLOURS = 40, 8
_MARGIN = 0.04
Points = Sequence[tuple[float, float | None]]


class Series(NamedTuple):
    """Values over iterations; None where a value was no number."""

    name: str
    points: Points
    colour: int = 0
    dashed: bool = False


class Line(NamedTuple):
    """A series as it is drawn: the path of its line and of its marks, and what a pointer reads."""

    name: str
    path: str
    marks: str
    points: str
    last: str
    colour: int
    dashed: bool


class Tick(NamedTuple):
    """Where a tick is, in hundredths of the axis, and its number."""

    place: float
    text: str


class Chart(NamedTuple):
    """Lines between two axes with their ticks; `alt` says what is seen."""

    title: str
    lines: tuple[Line, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    logarithmic: bool
    alt: str
    span: str


class _Axis(NamedTuple):
    low: float
    high: float
    logarithmic: bool

    def place(self, value: float) -> float:
        """0 at the axis' beginning, 1 at its end."""
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self, most: int) -> tuple[Tick, ...]:
        find = ticks.logarithmic if self.logarithmic else ticks.linear
        return tuple(
            Tick(round(100 * self.place(value), 3), ticks.plain(value))
            for value in find(self.low, self.high, most)
        )


def chart(
    title: str, series: Sequence[Series], *, logarithmic: bool = False, last: float = 0
) -> Chart | None:
    """The chart of these series from iteration 0 on, to `last` at least; None without a value.

    A logarithmic one is linear where a value is not above 0.
    """
    known = [each for each in series if any(y is not None for _, y in each.points)]
    values = [y for each in known for _, y in each.points if y is not None]
    places = [x for each in known for x, _ in each.points]
    if not values:
        return None
    logarithmic = logarithmic and min(values) > 0
    across = _Axis(0, max(1, last, *places), False)
    up = _around(min(values), max(values), logarithmic)
    lines = tuple(_line(each, across, up) for each in known)
    alt = "; ".join(f"{each.name}: {_told(each.points)}" for each in known[:6])
    return Chart(
        title,
        lines,
        across.ticks(7),
        up.ticks(9),
        logarithmic,
        f"{title} against iterations. {alt}",
        f"{across.low:g} {across.high:g}",
    )


def _around(low: float, high: float, logarithmic: bool) -> _Axis:
    """An axis with a little room below and above."""
    if logarithmic:
        room = (high / low) ** _MARGIN if high > low else 1.1
        return _Axis(low / room, high * room, True)
    room = (high - low) * _MARGIN or abs(high) * 0.1 or 1.0
    return _Axis(low - room, high + room, False)


def _line(series: Series, across: _Axis, up: _Axis) -> Line:
    points = thinned(series.points)
    parts = [
        list(part) for there, part in groupby(points, lambda each: each[1] is not None) if there
    ]
    place = _placed(across, up)
    path = "".join("M" + "L".join(map(place, part)) for part in parts)
    # A line of no length has round ends: a point of one size, however the drawing is stretched.
    alone = [part[0] for part in parts if len(part) == 1]
    marked = [each for part in parts for each in part] if len(points) < _MARKED else alone
    last = next(y for _, y in reversed(series.points) if y is not None)
    return Line(
        series.name,
        path,
        "".join(f"M{place(each)}h0" for each in marked),
        " ".join(f"{x:g}:{y:.5g}" for x, y in points if y is not None),
        ticks.plain(float(f"{last:.4g}")),
        series.colour % COLOURS,
        series.dashed,
    )


def _placed(across: _Axis, up: _Axis) -> Callable[[tuple[float, float | None]], str]:
    def place(point: tuple[float, float | None]) -> str:
        x, y = WIDTH * across.place(point[0]), HEIGHT * (1 - up.place(point[1] or 0))
        return f"{x:.1f} {y:.1f}"

    return place


def thinned(points: Points, most: int = _POINTS) -> list[tuple[float, float | None]]:
    """At most so many points, in order: of each stretch the least and the greatest value.

    A spike of a single point is never lost, and neither is the last value.
    """
    if len(points) <= most:
        return list(points)
    size = -(-len(points) // ((most - 1) // 2))
    found = [each for start in range(0, len(points), size) for each in _ends(points, start, size)]
    return found if found[-1] == points[-1] else [*found, points[-1]]


def _ends(points: Points, start: int, size: int) -> Iterator[tuple[float, float | None]]:
    stretch = range(start, min(start + size, len(points)))
    known = [(y, number) for number in stretch if (y := points[number][1]) is not None]
    chosen = {min(known)[1], max(known)[1]} if known else {start}
    yield from (points[number] for number in sorted(chosen))


def _told(points: Points) -> str:
    known = [(x, y) for x, y in points if y is not None]
    (first, start), (last, end) = known[0], known[-1]
    if len(known) == 1:
        return f"{end:.4g} at {last:,g}"
    return f"from {start:.4g} at {first:,g} to {end:.4g} at {last:,g}"
