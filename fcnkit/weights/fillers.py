"""Caffe's fillers: the values that a new parameter blob starts with.

Formulas are those of caffe/filler.hpp; every array is float32, the type that
Caffe computes in.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from fcnkit.errors import WeightsError
from fcnkit.formats.blobproto import shown_shape
from fcnkit.formats.schema import FILLERS
from fcnkit.plural import number_of
from fcnkit.shape import Shape

if TYPE_CHECKING:
    import numpy
    from numpy.random import Generator as Rng

# So many numbers are drawn at a time.
_PIECE = 1 << 18
VARIANCE_NORMS = ("FAN_IN", "FAN_OUT", "AVERAGE")


def bilinear(kernel: int | tuple[int, int]) -> "numpy.ndarray":
    """The kernel, height x width, by which a Deconvolution interpolates linearly.

    Along each axis of size K: 1 - |x / f - c| with f = ceil(K / 2) and
    c = (K - 1) / (2 f), for x = 0 ... K - 1.  With stride s and K = 2s or
    2s - 1 the shifted kernels sum to one everywhere.

    Raises WeightsError for a size below 1.
    """
    import numpy as np

    height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
    if height < 1 or width < 1:
        raise WeightsError(
            f"bilinear kernel {height} x {width}: a side is below 1; give a larger kernel"
        )
    return np.outer(_ramp(height), _ramp(width))


def _ramp(size: int) -> "numpy.ndarray":
    import numpy as np

    half = np.float32(math.ceil(size / 2))
    centre = np.float32((size - 1) / (2 * float(half)))
    return np.float32(1) - np.abs(np.arange(size, dtype=np.float32) / half - centre)


def bilinear_planes(shape: Sequence[int], group: int | None = None) -> Iterator["numpy.ndarray"]:
    """The planes of weights that make a Deconvolution interpolate each channel by itself.

    `shape` is (I, O / group, height, width).  Channel i of the input goes to
    channel i of the output: with group = I all I x 1 planes hold the kernel,
    with fewer groups the diagonal ones do and the others are zero.

    Raises WeightsError when input and output channels differ in number.
    """
    shape = tuple(shape)
    if len(shape) != 4:
        fact = f"expected 4 axes, found {len(shape)}"
        raise WeightsError(
            f"bilinear weights of shape {shown_shape(shape)}: {fact}; use another filler"
        )
    inputs, outputs, *kernel = shape
    groups = inputs // outputs if outputs and inputs % outputs == 0 else 0
    if not groups or group not in (None, groups):
        fact = (
            f"with group {group or 1} they take {number_of(inputs, 'channel')} to "
            f"{outputs * (group or 1)}"
        )
        raise WeightsError(
            f"bilinear weights of shape {shown_shape(shape)}: {fact}, and each channel must go "
            f"to itself; "
            "give as many outputs as inputs"
        )
    return _planes(inputs, outputs, (kernel[0], kernel[1]))


def _planes(inputs: int, outputs: int, size: tuple[int, int]) -> Iterator["numpy.ndarray"]:
    kernel = bilinear(size)
    for channel in range(inputs):
        for output in range(outputs):
            yield kernel if output == channel % outputs else kernel * 0


def fill(
    filler: str, shape: Sequence[int], *, rng: "numpy.random.Generator | int", **params: float | str
) -> "numpy.ndarray":
    """An array of `shape` with the values that Caffe's filler of this name gives.

    `rng` is a numpy Generator or a seed.  `params` are FillerParameter's
    fields under their names: value, min, max, mean, std, sparse,
    variance_norm.  With n = fan_in = count / shape[0] (FAN_IN),
    fan_out = count / shape[1] (FAN_OUT), or their mean (AVERAGE):

    constant           value (0)
    uniform            min (0) to max (1)
    gaussian           mean (0), standard deviation std (1); with sparse >= 0
                       each value stays with probability sparse / shape[0]
    xavier             uniform within +- sqrt(3 / n)
    msra               gaussian of standard deviation sqrt(2 / n)
    positive_unitball  uniform 0 to 1, each shape[0] slice divided by its sum
    bilinear           the bilinear kernel in every plane, as Caffe writes it

    Raises WeightsError for another name, an unknown parameter, or values that
    Caffe would refuse.
    """
    import numpy as np

    shape = tuple(shape)
    if filler not in _FILL:
        raise WeightsError(
            f'filler "{filler}": Caffe has no such filler; use one of {", ".join(FILLERS)}'
        )
    make, known = _FILL[filler]
    for name in params:
        if name not in known:
            takes = ", ".join(known) or "no parameters"
            raise WeightsError(f'filler "{filler}": takes no {name}; it takes {takes}')
    values = make(shape, np.random.default_rng(rng), **params)
    return np.ascontiguousarray(values, dtype=np.float32)


def takes(filler: str) -> tuple[str, ...]:
    """FillerParameter's fields that Caffe's filler of this name heeds; none for another name."""
    return _FILL[filler][1] if filler in _FILL else ()


def _constant(shape: Shape, rng: "Rng", *, value: float = 0.0) -> "numpy.ndarray":
    import numpy as np

    return np.full(shape, value, np.float32)


def _uniform(shape: Shape, rng: "Rng", *, min: float = 0.0, max: float = 1.0) -> "numpy.ndarray":
    if min > max:
        raise WeightsError(f'filler "uniform": min {min} is above max {max}; exchange them')
    return _drawn(shape, lambda count: rng.uniform(min, max, count))


def _drawn(shape: Shape, draw: Callable[[int], "numpy.ndarray"]) -> "numpy.ndarray":
    """Float32 numbers, drawn some at a time, as their doubles would take twice the room."""
    import numpy as np

    found = np.empty(math.prod(shape), np.float32)
    for at in range(0, len(found), _PIECE):
        piece = found[at : at + _PIECE]
        piece[:] = draw(len(piece))
    return found.reshape(shape)


def _gaussian(
    shape: Shape, rng: "Rng", *, mean: float = 0.0, std: float = 1.0, sparse: int = -1
) -> "numpy.ndarray":
    values = _drawn(shape, lambda count: rng.normal(mean, std, count))
    if sparse < 0:
        return values
    if sparse > shape[0]:
        fact = f"sparse {sparse} is above its {shape[0]} outputs"
        raise WeightsError(f'filler "gaussian": {fact}; give at most that')
    return values * (rng.random(shape) < sparse / shape[0])


def _xavier(shape: Shape, rng: "Rng", *, variance_norm: str = "FAN_IN") -> "numpy.ndarray":
    bound = math.sqrt(3 / _fan(shape, "xavier", variance_norm))
    return _drawn(shape, lambda count: rng.uniform(-bound, bound, count))


def _msra(shape: Shape, rng: "Rng", *, variance_norm: str = "FAN_IN") -> "numpy.ndarray":
    std = math.sqrt(2 / _fan(shape, "msra", variance_norm))
    return _drawn(shape, lambda count: rng.normal(0, std, count))


def _positive_unitball(shape: Shape, rng: "Rng") -> "numpy.ndarray":
    values = rng.random(shape)
    rows = values.reshape(shape[0], -1)
    rows /= rows.sum(axis=1, keepdims=True)
    return values


def _bilinear(shape: Shape, rng: "Rng") -> "numpy.ndarray":
    import numpy as np

    if len(shape) != 4 or shape[2] != shape[3]:
        fact = f"expected 4 axes and a square kernel, found {shown_shape(shape)}"
        raise WeightsError(f'filler "bilinear": {fact}; use another filler')
    return np.broadcast_to(bilinear(shape[2]), shape)


def _fan(shape: Sequence[int], filler: str, norm: str) -> float:
    count = math.prod(shape)
    fan_in = count / shape[0]
    fan_out = count / shape[1] if len(shape) > 1 else count
    fans = {"FAN_IN": fan_in, "FAN_OUT": fan_out, "AVERAGE": (fan_in + fan_out) / 2}
    if norm not in fans:
        known = ", ".join(VARIANCE_NORMS)
        raise WeightsError(f'filler "{filler}": no variance_norm {norm}; use one of {known}')
    return fans[norm]


_FILL: dict[str, tuple[Callable[..., "numpy.ndarray"], tuple[str, ...]]] = {
    "bilinear": (_bilinear, ()),
    "constant": (_constant, ("value",)),
    "gaussian": (_gaussian, ("mean", "std", "sparse")),
    "msra": (_msra, ("variance_norm",)),
    "positive_unitball": (_positive_unitball, ()),
    "uniform": (_uniform, ("min", "max")),
    "xavier": (_xavier, ("variance_norm",)),
}
