"""Which images a page shows: so many that each class is seen, and the worst and the best."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy

COUNT = 10
WORST, BEST = "worst", "best"


def covering(pixels: "numpy.ndarray", count: int) -> list[int]:
    """At most `count` images in which every class is seen, as far as so few can show all.

    `pixels` has a row for each image, with the pixels of each class.  The rarest class is
    served first, by the image that shows most of the classes that are still unseen.
    """
    missing = (pixels > 0).any(axis=0)
    found: list[int] = []
    while missing.any() and len(found) < count:
        rarest = min(missing.nonzero()[0], key=lambda number: int((pixels[:, number] > 0).sum()))
        images = (pixels[:, rarest] > 0).nonzero()[0]
        best = max(
            images,
            key=lambda image: (int(((pixels[image] > 0) & missing).sum()), pixels[image, rarest]),
        )
        found.append(int(best))
        missing &= pixels[best] == 0
    return found


def spread(total: int, count: int, taken: Sequence[int] = ()) -> list[int]:
    """The images that are taken, and others evenly apart, `count` in all or all there are."""
    found = dict.fromkeys(taken[:count])
    rest = [number for number in range(total) if number not in found]
    more = min(count - len(found), len(rest))
    found |= dict.fromkeys(rest[(2 * place + 1) * len(rest) // (2 * more)] for place in range(more))
    return sorted(found)


def allotted(sizes: Sequence[int], count: int) -> list[int]:
    """So many of each of several sets, as even as their sizes allow, `count` in all."""
    found = [0] * len(sizes)
    while sum(found) < min(count, sum(sizes)):
        open_sets = [number for number, size in enumerate(sizes) if found[number] < size]
        found[min(open_sets, key=found.__getitem__)] += 1
    return found


def extremes(values: Sequence[float], count: int, taken: Sequence[int] = ()) -> list[int]:
    """The images that are taken, and the worst and the best, `count` in all."""
    order = sorted(range(len(values)), key=values.__getitem__)
    found = dict.fromkeys(taken[:count])
    for place in range(len(order)):
        for number in (order[place], order[-1 - place]):
            if len(found) < count:
                found.setdefault(number)
    return [*found]


def ranked(values: Sequence[float]) -> list[tuple[int, str]]:
    """The images in the order of a page, and what each is: at most three are the worst, the
    worst first; then as many the best, the best first; then come the others.
    """
    order = sorted(range(len(values)), key=values.__getitem__)
    ends = min(3, len(order) // 2)
    worst, best = order[:ends], order[: len(order) - ends - 1 : -1]
    rest = order[ends : len(order) - ends]
    return (
        [(number, WORST) for number in worst]
        + [(number, BEST) for number in best]
        + [(number, "") for number in rest]
    )
