"""Two weights files compared value by value, or a weights file held against a net."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import reduce
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

from fcnkit import expected
from fcnkit.errors import WeightsError
from fcnkit.formats.prototxt import Prototxt
from fcnkit.inspection import MISMATCH
from fcnkit.progress import Progress, no_progress
from fcnkit.shape import Shape
from fcnkit.weights.blobs import Blob
from fcnkit.weights.difference import (
    CHANGED,
    CLOSE,
    EQUAL,
    EXTRA,
    MISSING,
    RESHAPED,
    BlobChange,
    BlobDifference,
    Comparison,
)
from fcnkit.weights.fit import net_rows
from fcnkit.weights.statistics import values
from fcnkit.weights.store import Weights, WeightsOrPath
from fcnkit.weights.store import given as given_weights

if TYPE_CHECKING:
    import numpy

Names = Mapping[str, str]


@expected.checked
def compare(
    first: WeightsOrPath,
    second: WeightsOrPath | Prototxt,
    *,
    names: Names | None = None,
    tolerance: float = 0.0,
    inputs: Mapping[str, Shape] | None = None,
    progress: Progress = no_progress,
) -> Comparison:
    """Compares two weights files blob by blob, or a weights file with the shapes that a net
    needs.

    >>> print(fk.compare("net.caffemodel", "net.caffemodel").summary().strip())
    8 blobs equal
    >>> fk.compare("net.caffemodel", fk.read("deploy.prototxt")).equal
    True

    Layers are matched by name, as in Caffe. Two shapes are equal if Caffe accepts one for the
    other, such as the legacy shape 1 x 1 x 2 x 3 for 2 x 3. Values of different types are
    compared in float64. Each value is read once.

    - `first`: Weights or their path.
    - `second`: Weights or their path, or a Prototxt. For a net, all states are considered and
      no values are read: a blob is "missing" if any state needs it, and "extra" if none does.
    - `names`: {old: new} for layers that have different names.
    - `tolerance`: blobs are close, which counts as equal, if they differ by at most this factor
      times the largest magnitude in `first`.
    - `inputs`: shapes by blob name, for a net.
    - `progress`: is called with the number of bytes of both files that have been read.

    Returns a Comparison with one row for each blob.

    Raises WeightsError if `names` names a layer that does not exist, and NetError if the net
    cannot be built.
    """
    first = given_weights(first)
    second = second if isinstance(second, Prototxt) else given_weights(second)
    names = dict(names or {})
    _check(names, first, second.path)
    if isinstance(second, Prototxt):
        rows = tuple(net_rows(first, second, names, inputs or {}))
        return Comparison(first.path, second.path, first.path, rows)
    rows = tuple(
        row
        for pair in _pairs(first, second, names)
        for row in _layer_rows(first, second, *pair, tolerance, progress)
    )
    return Comparison(first.path, second.path, second.path, rows, tolerance)


def _check(names: Names, first: Weights, second: str) -> None:
    for old in names:
        first.layer(old)
    new, times = next(iter(Counter(names.values()).most_common(1)), ("", 0))
    if times > 1:
        raise WeightsError(f'{second}: {times} layers are mapped to "{new}"; map one')


def _pairs(first: Weights, second: Weights, names: Names) -> list[tuple[str | None, str | None]]:
    """The layers that belong together, None for none, in the order of `first`, then of `second`."""
    targets = {second.layer(new).name for new in names.values()}
    found = {old: names.get(old, None if old in targets else old) for old in first}
    pairs = [(old, new if new in second else None) for old, new in found.items()]
    taken = {new for _, new in pairs}
    return pairs + [(None, new) for new in second if new not in taken]


def _layer_rows(
    first: Weights,
    second: Weights,
    old: str | None,
    new: str | None,
    tolerance: float,
    progress: Progress,
) -> Iterator[BlobDifference]:
    blobs = zip_longest(() if old is None else first[old], () if new is None else second[new])
    for number, (before, after) in enumerate(blobs):
        change = _change(before, after, progress)
        yield BlobDifference(
            _verdict(before, after, change, tolerance),
            old or "",
            new or "",
            number,
            before.shape if before else None,
            after.shape if after else None,
            before.dtype if before else "",
            after.dtype if after else "",
            change,
        )


def _verdict(
    old: Blob | None, new: Blob | None, change: BlobChange | None, tolerance: float
) -> str:
    if old is None or new is None:
        return EXTRA if old is None else MISSING
    if change is None:
        return MISMATCH
    if not (old.shape == new.shape or old.fits(new.shape) or new.fits(old.shape)):
        return RESHAPED
    if not change.differing:
        return EQUAL
    return CLOSE if change.within(tolerance) else CHANGED


def _change(old: Blob | None, new: Blob | None, progress: Progress) -> BlobChange | None:
    """How far the values of `new` are from those of `old`; None unless they are as many."""
    if old is None or new is None or old.count != new.count:
        progress(sum(blob.nbytes for blob in (old, new) if blob))
        return None
    import numpy

    pairs = _together(values(old, progress), values(new, progress))
    with numpy.errstate(
        over="ignore", invalid="ignore"
    ):  # NaN of any kind, float64 that comes to infinity
        found = reduce(_joined, (_part(*pair) for pair in pairs), _Differences())
    relative = found.largest / found.scale if found.scale else math.inf
    return BlobChange(
        old.count,
        found.differing,
        found.largest,
        found.total / max(found.finite, 1),
        relative if found.largest else 0.0,
        found.odd,
    )


def _together(
    one: Iterator["numpy.ndarray"], other: Iterator["numpy.ndarray"]
) -> Iterator[tuple["numpy.ndarray", "numpy.ndarray"]]:
    """Runs of equal length of two sequences of runs, however each is cut."""
    left, right = next(one, None), next(other, None)
    while left is not None and right is not None:
        length = min(len(left), len(right))
        if length:
            yield left[:length], right[:length]
        left = left[length:] if length < len(left) else next(one, None)
        right = right[length:] if length < len(right) else next(other, None)


class _Differences(NamedTuple):
    """What two runs of values come to:
    places finite on both sides, and |b - a| summed over those.
    """

    finite: int = 0
    differing: int = 0
    odd: int = 0
    total: float = 0.0
    largest: float = 0.0
    scale: float = 0.0


def _part(old: "numpy.ndarray", new: "numpy.ndarray") -> _Differences:
    import numpy

    if old.dtype != new.dtype:
        old, new = old.astype("<f8"), new.astype("<f8")
    same = _bits(old) == _bits(new)
    wide = old.astype(numpy.float64)
    finite = numpy.isfinite(wide)
    scale = float(numpy.abs(wide).max(where=finite, initial=0))
    if same.all():
        return _Differences(int(finite.sum()), scale=scale)
    same |= old == new
    gaps = numpy.abs(new - wide)
    finite &= numpy.isfinite(new)
    return _Differences(
        int(finite.sum()),
        int((~same).sum()),
        int((~same & ~finite).sum()),
        float(gaps.sum(where=finite)),
        float(gaps.max(where=finite, initial=0)),
        scale,
    )


def _bits(run: "numpy.ndarray") -> "numpy.ndarray":
    return run.view(f"<u{run.itemsize}")


def _joined(one: _Differences, other: _Differences) -> _Differences:
    return _Differences(
        one.finite + other.finite,
        one.differing + other.differing,
        one.odd + other.odd,
        one.total + other.total,
        max(one.largest, other.largest),
        max(one.scale, other.scale),
    )
