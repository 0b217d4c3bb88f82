"""New blobs out of stored ones: slices mixed, groups spread out, normalisations folded in.

Each function takes a Blob and gives one whose values are made when they are
written, some megabytes at a time; only what mixes slices along the first axis
holds the whole blob.  Sums are formed in float64 and rounded once.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from fcnkit.errors import WeightsError
from fcnkit.formats.blobproto import ITEM_BYTES, shown_shape
from fcnkit.nets.layers.traits import Affine
from fcnkit.plural import number_of
from fcnkit.shape import Shape
from fcnkit.weights import fillers
from fcnkit.weights.blobs import Blob, Lazy, reshaped, writable

if TYPE_CHECKING:
    import numpy

Terms = Sequence[tuple[int, float]]
# Gives a blob of another layer.
Read = Callable[[str, int], Blob]

_BLOCK = 4 << 20


def mixed(
    blob: Blob, old: Shape, axes: Iterable[tuple[int, Sequence[Terms]]], filler: tuple = ()
) -> Blob:
    """Of the blob in the shape `old`,
    every new slice along an axis is the weighted sum of old ones.

    Each of `axes` is (axis, rows), a row per new slice: ((old index, weight), ...).
    One index with weight 1 copies bits.  An empty row is zero; along axis 0
    with `filler`, (name, seed), such slices are filled as Caffe would.

    Raises WeightsError when the counts differ or there is no such slice.
    """
    result = reshaped(writable(blob), old)
    for axis, rows in axes:
        last = max((index for row in rows for index, _ in row), default=0)
        if last >= old[axis]:
            fact = (
                f"{shown_shape(old)} has {number_of(old[axis], 'slice')} along axis {axis}, and "
                f"{last} is "
                f"asked for"
            )
            raise WeightsError(f"{blob.where}: {fact}; count from 0")
        result = _along(result, axis, rows, filler if axis == 0 else ())
    return result


def _along(blob: Blob, axis: int, rows: Sequence[Terms], filler: tuple) -> Blob:
    shape, count = blob.shape, blob.shape[axis]
    inner = prod(shape[axis + 1 :])
    new = (*shape[:axis], len(rows), *shape[axis + 1 :])

    def chunks() -> Iterator:
        filled = _filled(rows, new, filler)
        for part in _blocks(blob, count * inner):
            part = part.reshape(-1, count, inner)
            # One slice of a large blob at a time is a whole copy less.
            band = (
                max(1, _BLOCK // (ITEM_BYTES[blob.dtype] * max(1, inner)))
                if len(part) == 1
                else len(rows)
            )
            for at in range(0, len(rows), band):
                yield _sums(part, rows[at : at + band], filled)

    return _lazy(blob, new, chunks)


def _sums(part: "numpy.ndarray", rows: Sequence[Terms], filled: Iterator | None) -> "numpy.ndarray":
    """Of part, k x old x inner, the k x new x inner that the rows say;
    empty rows take from `filled`.
    """
    import numpy as np

    out = np.zeros((len(part), len(rows), part.shape[2]), part.dtype)
    copies = [(at, row[0][0]) for at, row in enumerate(rows) if len(row) == 1 and row[0][1] == 1]
    if copies:
        new, old = map(list, zip(*copies, strict=True))
        out[:, new] = part[:, old]
    for at, row in enumerate(rows):
        if row and (len(row) > 1 or row[0][1] != 1):
            out[:, at] = sum(np.float64(weight) * part[:, index] for index, weight in row)
        elif not row and filled is not None:
            out[0, at] = next(filled)
    return out


def _filled(rows: Sequence[Terms], shape: Shape, filler: tuple) -> "Iterator[numpy.ndarray] | None":
    """What the filler gives for the empty rows, each flat."""
    count = sum(not row for row in rows)
    if not filler or not count:
        return None
    name, seed = filler
    return iter(fillers.fill(name, (count, *shape[1:]), rng=seed).reshape(count, -1))


def spread(blob: Blob, groups: int, shape: Shape) -> Blob:
    """The weights of `groups` groups as those of one,
    in `shape`, A x (groups n) x ...; zero off the blocks.

    Slice i of the A x n x ... of the blob belongs to group i // (A / groups).
    """
    import numpy as np

    old = (shape[0], shape[1] // groups, *shape[2:])
    blob = reshaped(writable(blob), old)

    def chunks() -> Iterator:
        for part, at in _grouped(blob, groups):
            out = np.zeros((len(part), groups, part.shape[1]), part.dtype)
            out[np.arange(len(part)), at] = part
            yield out

    return _lazy(blob, shape, chunks)


def gathered(blob: Blob, groups: int, shape: Shape) -> Blob:
    """The blocks of block-diagonal weights, in `shape`, A x n x ...: the inverse of `spread`.

    When they are written, raises WeightsError with the largest value off the
    blocks where not all are zero.
    """
    import numpy as np

    old = (shape[0], shape[1] * groups, *shape[2:])
    blob = reshaped(writable(blob), old)

    def chunks() -> Iterator:
        largest = 0.0
        for part, at in _grouped(blob, groups):
            part = part.reshape(len(part), groups, -1)
            own = part[np.arange(len(part)), at]
            part[np.arange(len(part)), at] = 0
            largest = max(largest, float(np.abs(np.nan_to_num(part, nan=np.inf)).max(initial=0)))
            yield own
        if largest:
            fact = (
                f"values outside the blocks of {number_of(groups, 'group')} must be zero, and go "
                f"up to {largest:.6g}"
            )
            raise WeightsError(f"{blob.where}: {fact}; keep the layer in one group")

    return _lazy(blob, shape, chunks)


def _grouped(blob: Blob, groups: int) -> Iterator[tuple]:
    """Blocks of slices along the first axis, and the group of each slice."""
    import numpy as np

    row, each = 0, blob.shape[0] // groups
    for part in _blocks(blob, prod(blob.shape[1:])):
        yield part, np.arange(row, row + len(part)) // each
        row += len(part)


def scaled(
    blob: Blob, links: Sequence[tuple], axis: int, groups: int, shape: Shape, read: Read
) -> Blob:
    """Weights whose output channels are multiplied by what the links multiply by.

    The channel of slice i along `axis` 0 is i; along axis 1, in group g of
    `groups` along axis 0, channel g n + i where n is the size of axis 1.
    """
    import numpy as np

    blob = reshaped(writable(blob), shape)
    channels = shape[0] if axis == 0 else shape[1] * groups

    def chunks() -> Iterator:
        factors = _affine(links, read, channels)[0].reshape(
            (-1, 1) if axis == 0 else (groups, shape[1], 1)
        )
        row = 0
        for part, at in _grouped(blob, groups):
            own = factors[row : row + len(part)] if axis == 0 else factors[at]
            with np.errstate(over="ignore", invalid="ignore"):
                made = part.reshape(*own.shape[:-1], -1) * own
            yield _cast(made, part.dtype, blob.where)
            row += len(part)

    return _lazy(blob, shape, chunks)


def shifted(
    blob: Blob | None, links: Sequence[tuple], shape: Shape, read: Read, where: str
) -> Blob:
    """The bias, zero where there is none, through the links."""
    import numpy as np

    old = None if blob is None else reshaped(writable(blob), shape)
    dtype = "float32" if old is None else old.dtype

    def chunks() -> Iterator:
        factors, summands = _affine(links, read, shape[0])
        bias = 0 if old is None else old.array()
        with np.errstate(over="ignore", invalid="ignore"):
            made = bias * factors + summands
        yield _cast(made, dtype, place)

    place = old.where if old else where
    return Blob(shape, dtype, False, Lazy(shape, chunks, dtype), place)


def given(values: Sequence[float], shape: Shape) -> Lazy:
    """These values, in float32."""
    import numpy as np

    array = np.asarray(values, "f4").reshape(shape)
    return Lazy(array.shape, lambda: [array])


def placed(places: Sequence[int], shape: Shape) -> Lazy:
    """Zeros, and ones at these places."""
    import numpy as np

    array = np.zeros(prod(shape), "f4")
    array[list(places)] = 1
    return Lazy(tuple(shape), lambda: [array])


def plane(rows: Sequence[float], columns: Sequence[float], shape: Shape) -> Lazy:
    """In every channel the products of a column and a row."""
    import numpy as np

    kernel = np.outer(rows, columns).astype("f4")
    return Lazy(tuple(shape), lambda: (kernel for _ in range(prod(shape[:-2]))))


def moved_by(
    blob: Blob | None,
    weights: Blob,
    old: Shape,
    axis: int,
    values: Sequence[float],
    shape: Shape,
    where: str,
) -> Blob:
    """The bias, zero where there is none, and what an image of these values adds to it.

    `old` is the shape of the weights with the image's channels along `axis`.
    """
    import numpy as np

    bias = None if blob is None else reshaped(writable(blob), shape)
    dtype = "float32" if bias is None else bias.dtype

    def chunks() -> Iterator:
        rest = tuple(each for each in range(len(old)) if each not in (axis, 0 if axis else 2))
        found = reshaped(writable(weights), old).array().astype("f8").sum(rest)
        sums = found @ np.asarray(values) if axis else np.asarray(values) @ found
        yield _cast((0 if bias is None else bias.array().astype("f8")) + sums, dtype, place)

    place = bias.where if bias else where
    return Blob(shape, dtype, False, Lazy(shape, chunks, dtype), place)


def _cast(values: Any, dtype: Any, where: str) -> Any:
    """The values in this type; WeightsError where one is not finite in it."""
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):
        found = values.astype(dtype)
    if not np.isfinite(found).all():
        odd = float(values[~np.isfinite(found)].flat[0])
        fact = f"a value would become {odd:.6g}, and {np.dtype(dtype)} holds finite ones up to "
        remedy = "leave the layers as they are, or train with smaller scales"
        raise WeightsError(f"{where}: {fact}{float(np.finfo(dtype).max):.3g}; {remedy}")
    return found


def _affine(links: Sequence[tuple], read: Read, channels: int) -> tuple:
    """(factors, summands) in float64,
    such that the links make factor * x + summand of channel x.
    """
    import numpy as np

    factors, summands = np.ones(channels), np.zeros(channels)
    for layer, affine in links:
        with np.errstate(over="ignore", invalid="ignore"):  # what comes of it is looked at
            try:
                factor, summand = _link(
                    affine, lambda blob, layer=layer: _vector(read(layer, blob), channels)
                )
            except WeightsError as error:
                raise WeightsError(f'layer "{layer}": {error}') from None
            factors, summands = factors * factor, summands * factor + summand
    return factors, summands


def _vector(blob: Blob, channels: int) -> "numpy.ndarray":
    if blob.count not in (1, channels):
        fact = (
            f"{shown_shape(blob.shape)} is {number_of(blob.count, 'value')} for "
            f"{number_of(channels, 'channel')}"
        )
        raise WeightsError(f"{blob.where}: {fact}; it belongs to another net")
    return blob.array().reshape(-1).astype("f8")


def _link(affine: Affine, vector: Callable) -> tuple:
    """What one layer multiplies each channel by and adds to it; `vector` gives one of its blobs."""
    factor, summand = 1.0, 0.0
    count = vector(affine.divisor)[0] if affine.divisor is not None else 1.0
    share = 1 / count if count else 0.0
    if affine.variance is not None:
        spread = vector(affine.variance) * share + affine.eps
        if not (spread > 0).all():
            channel = int((~(spread > 0)).argmax())
            fact = f"the variance of channel {channel} is {spread[channel] - affine.eps:g}"
            remedy = "measure it again, or set it to 0 if that is a rounding error"
            if spread[channel] == 0:  # only without an eps
                remedy = "give the layer an eps above 0, such as Caffe's own 1e-5"
            raise WeightsError(f"{fact}, which has no square root; {remedy}")
        factor = spread**-0.5
    if affine.mean is not None:
        summand = -vector(affine.mean) * share * factor
    if affine.factor is not None:
        factor, summand = factor * vector(affine.factor), summand * vector(affine.factor)
    return factor, summand if affine.summand is None else summand + vector(affine.summand)


def _lazy(blob: Blob, shape: Shape, chunks: Callable[[], Iterable]) -> Blob:
    return Blob(shape, blob.dtype, False, Lazy(shape, chunks, blob.dtype), blob.where)


def _blocks(blob: Blob, length: int) -> "Iterator[numpy.ndarray]":
    """The values as arrays of rows x length,
    some megabytes or one row each; each overwrites the last.
    """
    import numpy as np

    size = max(1, length) * ITEM_BYTES[blob.dtype]
    buffer = np.empty(min(max(1, _BLOCK // size) * size, blob.nbytes), np.uint8)
    done = 0
    for piece in blob.pieces():
        rest = np.frombuffer(piece, np.uint8)
        while len(rest):
            some = rest[: len(buffer) - done]
            buffer[done : done + len(some)] = some
            done, rest = done + len(some), rest[len(some) :]
            if done == len(buffer):
                yield buffer.view(blob.dtype).reshape(-1, length)
                done = 0
    if done:
        yield buffer[:done].view(blob.dtype).reshape(-1, length)
