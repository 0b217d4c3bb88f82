"""The shape of an array, outermost axis first, and which shapes arrange the same numbers alike."""

from collections.abc import Iterator, Sequence
from math import prod

Shape = tuple[int, ...]


# Caffe's blobs have at most 32 axes.
_SHOWN = 32


def show(shape: Sequence[int], times: str = " x ") -> str:
    """The shape as messages have it, "" for a scalar; of one that no blob has, the first axes."""
    more = f"{times}... ({len(shape):,} axes)" if len(shape) > _SHOWN else ""
    return times.join(map(str, shape[:_SHOWN])) + more


def alike(stored: Sequence[int], wanted: Sequence[int]) -> bool:
    """Whether numbers that are stored in one shape mean the same in the other, in the same order.

    Allowed are: the same shape, but for ones in front, which old files have; a
    vector as 1 x C x 1 x 1 or the like; and a matrix of N outputs as N windows,
    which is how an InnerProduct becomes a Convolution and back.  Equal counts
    are not enough: a 3 x 5 kernel is no 5 x 3 one, and a matrix is not its
    transpose.
    """
    return any(_alike(old, new) for old in _forms(stored) for new in _forms(wanted))


def _forms(shape: Sequence[int]) -> Iterator[Shape]:
    """The shape, and without each of the ones in front."""
    yield tuple(shape)
    for start, size in enumerate(shape[:-1], 1):
        if size != 1:
            return
        yield tuple(shape[start:])


def _alike(old: Shape, new: Shape) -> bool:
    if old == new or prod(old) == prod(new) == 1:
        return True
    few, many = sorted((old, new), key=len)
    if len(few) == 1:
        return len(many) != 2 and few == tuple(size for size in many if size != 1)
    return len(few) == 2 < len(many) and few[0] == many[0] and few[1] == prod(many[1:])
