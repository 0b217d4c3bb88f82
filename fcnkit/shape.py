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
    transpose.  Of an old file's 1 x 1 x N x K the last two axes are a matrix.
    """
    old, new = tuple(stored), tuple(wanted)
    if old == new or prod(old) == prod(new) == 1:
        return True
    if len(new) == 2:
        legacy = len(old) > 2 and prod(old[:-2]) == 1
        return old[-2:] == new if legacy else len(old) > 2 and _windows(old, new)
    if len(new) < 2:
        return len(old) != 2 and _vector(old) == new or old == (1, *new)
    return any(
        form == new
        or len(form) == 2
        and _windows(new, form)
        or len(form) == 1
        and form == _vector(new)
        for form in _forms(old)
    )


def _forms(shape: Shape) -> Iterator[Shape]:
    """The shape, and without each of the ones in front."""
    yield shape
    for start, size in enumerate(shape[:-1], 1):
        if size != 1:
            return
        yield shape[start:]


def _vector(shape: Shape) -> Shape:
    return tuple(size for size in shape if size != 1)


def _windows(many: Shape, matrix: Shape) -> bool:
    """Whether the axes behind the outputs are the matrix's columns, in one axis or several."""
    return many[0] == matrix[0] and prod(many[1:]) == matrix[1]
