"""Places coarse scores over their image: a classifier's windows, and heat at every pixel.

The middle of the window that gives cell (i, j) is the image's pixel place(i),
place(j), by the net's exact coordinate map.  Values are bilinear between the
middles of four windows and constant up to half a stride outside the outermost
ones; farther out there are none.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from fcnkit.nets.coordmap import CoordMap

if TYPE_CHECKING:
    import numpy

# What a class map has where no score lies: the label that Caffe's users ignore.
NOWHERE = 255
_BAND = 64


class Guess(NamedTuple):
    """A class and its probability."""

    number: int
    probability: float


class Window(NamedTuple):
    """One cell of the scores: its place among them, its centre in the image, and its most likely
    classes.
    """

    row: int
    column: int
    x: float
    y: float
    top: tuple[Guess, ...]


def windows(probabilities: "numpy.ndarray", place: CoordMap, count: int = 5) -> tuple[Window, ...]:
    """Every window with its `count` likeliest classes, row by row."""
    (scale_y, shift_y), (scale_x, shift_x) = _axes(place)
    rows, columns = probabilities.shape[1:]
    return tuple(
        Window(
            i, j, scale_x * j + shift_x, scale_y * i + shift_y, best(probabilities[:, i, j], count)
        )
        for i in range(rows)
        for j in range(columns)
    )


def best(probabilities: "numpy.ndarray", count: int = 5) -> tuple[Guess, ...]:
    """The `count` likeliest of all classes, the likeliest first."""
    order = (-probabilities).argsort(kind="stable")[:count]
    return tuple(Guess(int(number), float(probabilities[number])) for number in order)


def frequent(found: Sequence[Window], count: int) -> tuple[int, ...]:
    """The `count` classes that are the likeliest of most windows, the most frequent first."""
    wins: dict[int, int] = {}
    for window in found:
        wins[window.top[0].number] = wins.get(window.top[0].number, 0) + 1
    return tuple(sorted(wins, key=lambda number: (-wins[number], number))[:count])


def placed(cells: "numpy.ndarray", place: CoordMap, size: tuple[int, int]) -> "numpy.ndarray":
    """The value at each pixel of an image of (height, width), NaN where there is none.

    `cells` is (rows, columns).
    """
    import numpy as np

    axes = [_steps(place, axis, cells.shape[axis], size[axis]) for axis in (0, 1)]
    values = _between(_between(cells[None], axes[0], 1), axes[1], 2)[0]
    values[~_inside(axes)] = np.nan
    return values


def class_map(
    probabilities: "numpy.ndarray", place: CoordMap, size: tuple[int, int]
) -> tuple["numpy.ndarray", "numpy.ndarray"]:
    """The likeliest class at each pixel,
    NOWHERE where no window is, and its probability, 0 there.
    """
    import numpy as np

    axes = [_steps(place, axis, probabilities.shape[axis + 1], size[axis]) for axis in (0, 1)]
    classes, sure = np.empty(size, np.uint8), np.empty(size, np.float32)
    for top in range(0, size[0], _BAND):  # all classes of a large image at once would not fit
        band = slice(top, top + _BAND)
        values = _between(_between(probabilities, axes[0].part(top, top + _BAND), 1), axes[1], 2)
        classes[band], sure[band] = values.argmax(axis=0), values.max(axis=0)
    outside = ~_inside(axes)
    classes[outside], sure[outside] = NOWHERE, 0
    return classes, sure


def _axes(place: CoordMap) -> list[tuple[float, float]]:
    """Scale and shift down and across."""
    axes = [(1, 0), (1, 0), *place.axes][-2:]
    return [(float(scale), float(shift)) for scale, shift in axes]


class _Steps(NamedTuple):
    """For each pixel along an axis: the cell before it,
    how far it is to the next, whether cells reach it.
    """

    low: "numpy.ndarray"
    high: "numpy.ndarray"
    share: "numpy.ndarray"
    inside: "numpy.ndarray"

    def part(self, start: int, stop: int) -> "_Steps":
        """Those of some pixels alone."""
        return _Steps(*(each[start:stop] for each in self))


def _steps(place: CoordMap, axis: int, cells: int, pixels: int) -> _Steps:
    import numpy as np

    scale, shift = _axes(place)[axis]
    at = (np.arange(pixels) - shift) / scale
    inside = (at >= -0.5) & (at < cells - 0.5)
    at = at.clip(0, cells - 1)
    low = at.astype(int)
    return _Steps(low, np.minimum(low + 1, cells - 1), (at - low).astype(np.float32), inside)


def _between(values: "numpy.ndarray", steps: _Steps, axis: int) -> "numpy.ndarray":
    import numpy as np

    share = np.expand_dims(steps.share, [each for each in range(values.ndim) if each != axis])
    return values.take(steps.low, axis) * (1 - share) + values.take(steps.high, axis) * share


def _inside(axes: Sequence[_Steps]) -> "numpy.ndarray":
    return axes[0].inside[:, None] & axes[1].inside[None]
